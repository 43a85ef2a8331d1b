#pragma once
/// Small bandits with everything known: contexts, actions, two policies, mean rewards. Their logs and exact values.

#include <cstddef>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::testing {

struct Bandit {
  std::vector<double> context;               ///< probability of each
  std::vector<std::vector<double>> logging;  ///< mu(a | x)
  std::vector<std::vector<double>> target;   ///< pi(a | x)
  std::vector<std::vector<double>> mean;     ///< of the reward, a coin
  std::size_t actions() const { return logging.front().size(); }
  double value(const std::vector<std::vector<double>>& policy) const {
    double sum = 0;
    for (std::size_t x = 0; x < context.size(); ++x) {
      for (std::size_t a = 0; a < actions(); ++a) sum += context[x] * policy[x][a] * mean[x][a];
    }
    return sum;
  }
};

inline std::size_t draw(base::Rng& rng, const std::vector<double>& p) {
  const double u = rng.uniform();
  double sum = 0;
  for (std::size_t i = 0; i + 1 < p.size(); ++i) {
    sum += p[i];
    if (u < sum) return i;
  }
  return p.size() - 1;
}

/// Contexts of four kinds, four actions, epsilon-greedy logging, a target that leans the other way by `lean`.
inline Bandit small_bandit(double epsilon = 0.5, double lean = 0.5) {
  constexpr std::size_t kActions = 4;
  Bandit b;
  b.context = {0.4, 0.3, 0.2, 0.1};
  for (std::size_t x = 0; x < b.context.size(); ++x) {
    std::vector<double> mu(kActions, epsilon / kActions), pi(kActions, (1 - lean) / kActions), mean(kActions);
    mu[x % kActions] += 1 - epsilon;
    pi[(x + 1) % kActions] += lean;
    for (std::size_t a = 0; a < kActions; ++a) mean[a] = 0.2 + 0.15 * static_cast<double>((3 * x + 2 * a) % 5);
    b.logging.push_back(mu);
    b.target.push_back(pi);
    b.mean.push_back(mean);
  }
  return b;
}

struct BanditLogOptions {
  bool probabilities = true;  ///< all of mu is logged
  bool context = true;        ///< the context is
  double lie = 0;             ///< the log claims (1 - lie) mu + lie / K
};

inline data::DecisionRecord bandit_record(const Bandit& b, base::Rng& rng, const BanditLogOptions& o = {}) {
  const std::size_t x = draw(rng, b.context);
  const std::size_t a = draw(rng, b.logging[x]);
  data::DecisionRecord r;
  if (o.context) r.context.emplace_back("kind", fmt::format("x{}", x));
  const auto claimed = [&](std::size_t k) {
    return (1 - o.lie) * b.logging[x][k] + o.lie / static_cast<double>(b.actions());
  };
  for (std::size_t k = 0; k < b.actions(); ++k) {
    r.actions.push_back(fmt::format("a{}", k));
    if (o.probabilities) r.probabilities.push_back(claimed(k));
  }
  r.action = r.final_action = fmt::format("a{}", a);
  r.propensity = claimed(a);
  r.reward = rng.bernoulli(b.mean[x][a]) ? 1 : 0;
  // The context, for target policies in tests that must not see it in the log.
  r.policy = fmt::format("x{}", x);
  return r;
}

inline data::DecisionLog bandit_log(const Bandit& b, std::size_t rows, base::Rng& rng, const BanditLogOptions& o = {}) {
  data::LogBuilder builder("simulated");
  for (std::size_t i = 0; i < rows; ++i) {
    if (!builder.add(bandit_record(b, rng, o), "row").ok()) return {};
  }
  return std::move(builder.take()).value();
}

}  // namespace plumbline::testing

#include "plumbline/reward/implicit_preferences.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/vector_math.hpp"

namespace plumbline::reward {
namespace {

/// The states that a person can be in after t moves, for each t, and room for both recursions over them.
class History {
 public:
  History(const world::Process& process, std::uint32_t observed, double temperature)
      : process_(process), observed_(observed), temperature_(temperature), moves_(process.horizon - 1) {
    std::vector<std::uint8_t> here(process.states, 0);
    for (std::uint32_t s = 0; s < process.states; ++s) here[s] = process.initial[s] > 0 ? 1 : 0;
    for (int t = 0; t <= moves_; ++t) {
      std::vector<std::uint32_t> active;
      for (std::uint32_t s = 0; s < process.states; ++s) {
        if (here[s] != 0) active.push_back(s);
      }
      active_.push_back(std::move(active));
      if (t == moves_) break;
      std::vector<std::uint8_t> there(process.states, 0);
      for (const std::uint32_t s : active_.back()) {
        for (std::uint64_t i = process.first[process.pair(s, 0)];
             i < process.first[process.pair(s, 0) + process.actions]; ++i) {
          if (process.next[i] != process.end() && process.probability[i] > 0) there[process.next[i]] = 1;
        }
      }
      here = std::move(there);
    }
    policy_.resize(active_.size());
    reached_.resize(active_.size());
    for (std::size_t t = 0; t < active_.size(); ++t) {
      policy_[t].resize(padded(active_[t].size() * process.actions));
      reached_[t].resize(active_[t].size() * process.actions);
    }
    top_.resize(process.states);
    sum_.resize(padded(process.states));
  }

  bool possible() const { return std::binary_search(active_.back().begin(), active_.back().end(), observed_); }

  /// Writes d log P / d reward, one a pair, and returns log P.
  double run(std::span<const double> reward, std::vector<double>& gradient) {
    backward(reward);
    return forward(gradient);
  }

 private:
  static std::size_t padded(std::size_t n) { return (n + 3) & ~std::size_t{3}; }

  /// Soft values, policies, and the probability of ending in the observed state from each pair.
  void backward(std::span<const double> reward) {
    const std::uint32_t actions = process_.actions;
    value_.assign(process_.states + 1, 0.0);
    arrive_.assign(process_.states + 1, 0.0);
    std::vector<double> value_before(process_.states + 1, 0.0);
    std::vector<double> arrive_before(process_.states + 1, 0.0);
    const double sharpness = 1 / temperature_;
    for (int t = moves_; t >= 0; --t) {
      const std::vector<std::uint32_t>& active = active_[static_cast<std::size_t>(t)];
      std::vector<double>& policy = policy_[static_cast<std::size_t>(t)];
      std::vector<double>& reached = reached_[static_cast<std::size_t>(t)];
      std::size_t i = 0;
      for (std::size_t k = 0; k < active.size(); ++k) {
        std::size_t pair = process_.pair(active[k], 0);
        double best = -std::numeric_limits<double>::infinity();
        for (std::uint32_t a = 0; a < actions; ++a, ++i, ++pair) {
          double q = reward[pair];
          double arrive = 0;
          if (t < moves_) {
            for (std::uint64_t j = process_.first[pair]; j < process_.first[pair + 1]; ++j) {
              q += process_.probability[j] * value_[process_.next[j]];
              arrive += process_.probability[j] * arrive_[process_.next[j]];
            }
          }
          policy[i] = q;
          reached[i] = arrive;
          best = std::max(best, q);
        }
        top_[k] = best;
        for (std::size_t j = i - actions; j < i; ++j) policy[j] = (policy[j] - best) * sharpness;
      }
      std::fill(policy.begin() + static_cast<std::ptrdiff_t>(i), policy.end(), 0.0);
      world::detail::exp_all(policy.data(), policy.size());
      i = 0;
      for (std::size_t k = 0; k < active.size(); ++k) {
        double total = 0;
        for (std::uint32_t a = 0; a < actions; ++a) total += policy[i + a];
        const double inverse = 1 / total;
        double arrive = 0;
        for (std::uint32_t a = 0; a < actions; ++a, ++i) {
          policy[i] *= inverse;
          arrive += policy[i] * reached[i];
        }
        sum_[k] = total;
        arrive_before[active[k]] = t == moves_ ? (active[k] == observed_ ? 1 : 0) : arrive;
      }
      for (std::size_t k = active.size(); k % 4 != 0; ++k) sum_[k] = 1;
      world::detail::log_all(sum_.data(), padded(active.size()));
      for (std::size_t k = 0; k < active.size(); ++k) value_before[active[k]] = top_[k] + temperature_ * sum_[k];
      // Entries of states that are not active now may be left over from a later time; nothing active leads to them.
      std::swap(value_, value_before);
      std::swap(arrive_, arrive_before);
    }
  }

  /// Occupancy, and the adjoint of the values, from the first time to the last.
  double forward(std::vector<double>& gradient) {
    const std::uint32_t actions = process_.actions;
    double probability = 0;
    for (const std::uint32_t s : active_.front()) probability += process_.initial[s] * arrive_[s];
    std::fill(gradient.begin(), gradient.end(), 0.0);
    if (!(probability > 0)) return -std::numeric_limits<double>::infinity();
    const double scale = 1 / (temperature_ * probability);
    occupied_.assign(process_.states + 1, 0.0);
    for (std::uint32_t s = 0; s < process_.states; ++s) occupied_[s] = process_.initial[s];
    adjoint_.assign(process_.states + 1, 0.0);
    std::vector<double> occupied_next(process_.states + 1, 0.0);
    std::vector<double> adjoint_next(process_.states + 1, 0.0);
    for (int t = 0; t <= moves_; ++t) {
      const std::vector<std::uint32_t>& active = active_[static_cast<std::size_t>(t)];
      const std::vector<double>& policy = policy_[static_cast<std::size_t>(t)];
      const std::vector<double>& reached = reached_[static_cast<std::size_t>(t)];
      if (t < moves_) {
        for (const std::uint32_t s : active_[static_cast<std::size_t>(t) + 1]) occupied_next[s] = adjoint_next[s] = 0;
      }
      std::size_t i = 0;
      for (const std::uint32_t s : active) {
        const double here = occupied_[s];
        const double carried = adjoint_[s];
        double arrive = 0;
        if (t < moves_) {
          for (std::uint32_t a = 0; a < actions; ++a) arrive += policy[i + a] * reached[i + a];
        }
        std::size_t pair = process_.pair(s, 0);
        for (std::uint32_t a = 0; a < actions; ++a, ++i, ++pair) {
          // How log P changes with this Q: through the policy of this time, and through the value that earlier times
          // saw.
          double slope = policy[i] * carried;
          if (t < moves_) slope += scale * here * policy[i] * (reached[i] - arrive);
          gradient[pair] += slope;
          if (t == moves_) continue;
          const double mass = here * policy[i];
          for (std::uint64_t j = process_.first[pair]; j < process_.first[pair + 1]; ++j) {
            occupied_next[process_.next[j]] += process_.probability[j] * mass;
            adjoint_next[process_.next[j]] += process_.probability[j] * slope;
          }
        }
      }
      std::swap(occupied_, occupied_next);
      std::swap(adjoint_, adjoint_next);
    }
    return std::log(probability);
  }

  const world::Process& process_;
  std::uint32_t observed_;
  double temperature_;
  int moves_;
  std::vector<std::vector<std::uint32_t>> active_;  // by time
  std::vector<std::vector<double>> policy_;         // by time, over active pairs
  std::vector<std::vector<double>> reached_;        // probability of the observed end after the pair
  std::vector<double> value_, arrive_, occupied_, adjoint_, top_, sum_;
};

base::Status check_input(const world::Process& process, MatrixRefD features, std::uint32_t observed,
                         double temperature) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("implicit_preferences", "horizon", process.horizon, 1));
  PL_CHECK(base::check_size("implicit_preferences", "features", features.rows(),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  PL_CHECK(base::check_at_least("implicit_preferences", "columns of features", features.cols(), 1));
  PL_CHECK(base::check_in("implicit_preferences", "observed", observed, 0, static_cast<double>(process.states) - 1));
  for (std::ptrdiff_t row = 0; row < features.rows(); ++row) {
    PL_CHECK(base::check_all_finite("implicit_preferences", "features",
                                    std::span(features.row(row).data(), static_cast<std::size_t>(features.cols()))));
  }
  return base::check_positive("implicit_preferences", "temperature", temperature);
}

void reward_of(MatrixRefD features, std::span<const double> weights, std::vector<double>& reward) {
  for (std::ptrdiff_t pair = 0; pair < features.rows(); ++pair) {
    const double* row = features.row(pair).data();
    double sum = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) sum += row[k] * weights[k];
    reward[static_cast<std::size_t>(pair)] = sum;
  }
}

void back_to_weights(MatrixRefD features, const std::vector<double>& by_pair, std::vector<double>& gradient) {
  std::fill(gradient.begin(), gradient.end(), 0.0);
  for (std::ptrdiff_t pair = 0; pair < features.rows(); ++pair) {
    const double slope = by_pair[static_cast<std::size_t>(pair)];
    if (slope == 0) continue;
    const double* row = features.row(pair).data();
    for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] += slope * row[k];
  }
}

}  // namespace

base::Result<LikelihoodAndGradient> implicit_likelihood(const world::Process& process, MatrixRefD features,
                                                        std::uint32_t observed, std::span<const double> weights,
                                                        double temperature) {
  PL_CHECK(check_input(process, features, observed, temperature));
  PL_CHECK(
      base::check_size("implicit_likelihood", "weights", static_cast<std::ptrdiff_t>(weights.size()), features.cols()));
  PL_CHECK(base::check_all_finite("implicit_likelihood", "weights", weights));
  History history(process, observed, temperature);
  std::vector<double> reward(process.pairs());
  std::vector<double> by_pair(process.pairs());
  LikelihoodAndGradient result;
  result.gradient.assign(weights.size(), 0.0);
  reward_of(features, weights, reward);
  result.log_likelihood = history.run(reward, by_pair);
  back_to_weights(features, by_pair, result.gradient);
  return result;
}

base::Result<ImplicitPreferences> implicit_preferences(const world::Process& process, MatrixRefD features,
                                                       std::uint32_t observed, const ImplicitOptions& options) {
  PL_CHECK(check_input(process, features, observed, options.temperature));
  PL_CHECK(base::check_in("implicit_preferences", "prior_deviation", options.prior_deviation, 0, 1e300));
  PL_CHECK(base::check_positive("implicit_preferences", "learning_rate", options.learning_rate));
  PL_CHECK(base::check_at_least("implicit_preferences", "steps", options.steps, 1));
  PL_CHECK(base::check_in("implicit_preferences", "tolerance", options.tolerance, 0, 1e300));
  if (!options.start.empty()) {
    PL_CHECK(base::check_size("implicit_preferences", "start", static_cast<std::ptrdiff_t>(options.start.size()),
                              features.cols()));
    PL_CHECK(base::check_all_finite("implicit_preferences", "start", options.start));
  }
  ImplicitPreferences result;
  result.weights =
      options.start.empty() ? std::vector<double>(static_cast<std::size_t>(features.cols()), 0.0) : options.start;
  History history(process, observed, options.temperature);
  if (!history.possible()) {
    result.outcome = ImplicitOutcome::kImpossible;
    result.log_likelihood = -std::numeric_limits<double>::infinity();
    return result;
  }
  std::vector<double> reward(process.pairs());
  std::vector<double> by_pair(process.pairs());
  std::vector<double> gradient(result.weights.size());
  const double pull = options.prior_deviation > 0 ? 1 / (options.prior_deviation * options.prior_deviation) : 0;
  for (int step = 0; step < options.steps; ++step) {
    reward_of(features, result.weights, reward);
    result.log_likelihood = history.run(reward, by_pair);
    result.trace.push_back(result.log_likelihood);
    back_to_weights(features, by_pair, gradient);
    double square = 0;
    for (std::size_t k = 0; k < gradient.size(); ++k) {
      gradient[k] -= pull * result.weights[k];
      square += gradient[k] * gradient[k];
    }
    result.gradient_length = std::sqrt(square);
    for (std::size_t k = 0; k < gradient.size(); ++k) result.weights[k] += options.learning_rate * gradient[k];
    if (result.gradient_length < options.tolerance) {
      result.outcome = ImplicitOutcome::kConverged;
      break;
    }
  }
  reward_of(features, result.weights, reward);
  result.log_likelihood = history.run(reward, by_pair);
  return result;
}

}  // namespace plumbline::reward

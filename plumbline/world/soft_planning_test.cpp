// Soft planning in blocks against the plain recursion, and its exp and log against the C library's.

#include <cmath>
#include <ctime>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/vector_math.hpp"

namespace plumbline::world {
namespace {

Process random_process(std::uint32_t states, std::uint32_t actions, int horizon, int branches, base::Rng& rng) {
  ProcessBuilder builder(states, actions, horizon);
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < actions; ++a) {
      for (int b = 0; b < branches; ++b)
        builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), 1.0 / branches);
    }
  }
  builder.start(0, 1);
  return std::move(builder).finish().value();
}

/// The recursion as the header states it.
Plan plain(const Process& p, const std::vector<double>& reward, double temperature) {
  Plan plan;
  plan.policy = {p.states, p.actions, p.horizon, std::vector<double>(p.pairs() * static_cast<std::size_t>(p.horizon))};
  plan.value.assign(p.states + 1, 0.0);
  for (int t = p.horizon - 1; t >= 0; --t) {
    std::vector<double> now(p.states + 1, 0.0);
    for (std::uint32_t s = 0; s < p.states; ++s) {
      std::vector<double> q(p.actions);
      for (std::uint32_t a = 0; a < p.actions; ++a) {
        q[a] = reward[p.pair(s, a)];
        for (std::uint64_t i = p.first[p.pair(s, a)]; i < p.first[p.pair(s, a) + 1]; ++i)
          q[a] += p.probability[i] * plan.value[p.next[i]];
      }
      const double top = *std::max_element(q.begin(), q.end());
      double sum = 0;
      for (const double v : q) sum += std::exp((v - top) / temperature);
      now[s] = top + temperature * std::log(sum);
      for (std::uint32_t a = 0; a < p.actions; ++a) {
        plan.policy.probability[static_cast<std::size_t>(t) * p.pairs() + p.pair(s, a)] =
            std::exp((q[a] - now[s]) / temperature);
      }
    }
    plan.value = now;
  }
  return plan;
}

TEST(SoftPlanning, AgreesWithThePlainRecursion) {
  base::Rng rng(3);
  for (const int branches : {1, 3}) {
    for (const std::uint32_t actions : {1U, 2U, 5U, 7U, 600U}) {
      const Process p = random_process(actions > 100 ? 6 : 333, actions, 12, branches, rng);
      std::vector<double> reward(p.pairs());
      for (double& r : reward) r = rng.normal(0, 3);
      for (const double temperature : {.05, 1.0, 20.0}) {
        const Plan fast = soft_value_iteration(p, reward, temperature).value();
        const Plan slow = plain(p, reward, temperature);
        for (std::size_t s = 0; s < slow.value.size(); ++s)
          EXPECT_NEAR(fast.value[s], slow.value[s], 1e-12 * std::max(1.0, std::abs(slow.value[s])));
        for (std::size_t i = 0; i < slow.policy.probability.size(); ++i) {
          ASSERT_NEAR(fast.policy.probability[i], slow.policy.probability[i], 2e-12);
        }
      }
    }
  }
}

TEST(SoftPlanning, ExpAndLogAreExactToTwoUnitsInTheLastPlace) {
  base::Rng rng(5);
  for (int i = 0; i < 20000; ++i) {
    const double x = -rng.exponential() * (i % 2 == 0 ? 1 : 100);
    detail::Four e = detail::exp_four(detail::Four{x, 0, -700, -1e9});
    EXPECT_NEAR(e[0] / std::exp(std::max(x, -708.0)), 1, 4.5e-16) << x;
    EXPECT_EQ(e[1], 1);
    EXPECT_NEAR(e[3] / std::exp(-708.0), 1, 4.5e-16);
    const double y = 1 + 100 * rng.exponential();
    const detail::Four l = detail::log_four(detail::Four{y, 1, 1 + rng.uniform() * 1e-3, 1e-300});
    EXPECT_NEAR(l[0], std::log(y), 4.5e-16 * std::max(1.0, std::log(y)));
    EXPECT_EQ(l[1], 0);
    EXPECT_NEAR(l[3], std::log(1e-300), 2e-13);
  }
}

TEST(SoftPlanning, BacksUpHundredsOfMillionsOfPairsASecond) {
  base::Rng rng(9);
  const Process p = random_process(7840, 5, 20, 1, rng);
  std::vector<double> reward(p.pairs());
  for (double& r : reward) r = rng.normal();
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const std::clock_t from = std::clock();
    const Plan plan = soft_value_iteration(p, reward, 1).value();
    best = std::min(best, static_cast<double>(std::clock() - from) / CLOCKS_PER_SEC);
    EXPECT_TRUE(std::isfinite(plan.start));
  }
  const double rate = 7840.0 * 5 * 20 / best;
  RecordProperty("backups_per_second", std::to_string(rate));
  std::printf("%.0f M backups/s\n", rate / 1e6);
  EXPECT_GT(rate, 2e7);  // a loose floor: machines differ and are shared; the benchmark has the figure
}

}  // namespace
}  // namespace plumbline::world

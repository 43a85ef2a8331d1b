// Helpers of exact planning against the functions that they stand beside.

#include "plumbline/world/planning.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/limited_planning.hpp"

namespace plumbline::world {
namespace {

Process random_process(base::Rng& rng, std::uint32_t states, int horizon) {
  ProcessBuilder builder(states, 3, horizon);
  builder.start(0, 0.25);
  builder.start(1, 0.75);
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < 3; ++a) {
      const double p = rng.uniform();
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states)), p);
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), 1 - p);
    }
  }
  return std::move(builder).finish().value();
}

std::vector<double> random_reward(base::Rng& rng, const Process& process) {
  std::vector<double> reward(process.pairs());
  for (double& r : reward) r = rng.normal();
  return reward;
}

TEST(Planning, TheBestReturnIsThePlansToTheBit) {
  base::Rng rng(1, {"planning"});
  for (int trial = 0; trial < 20; ++trial) {
    const Process process = random_process(rng, 5, 1 + trial);
    const std::vector<double> reward = random_reward(rng, process);
    for (const double discount : {1.0, 0.9})
      EXPECT_EQ(best_return(process, reward, discount).value(), finite_horizon(process, reward, discount)->start);
  }
  const Process process = random_process(rng, 5, 3);
  EXPECT_EQ(best_return(process, std::vector<double>(2)).error().code, base::Code::kShape);
  EXPECT_EQ(best_return(process, random_reward(rng, process), 2).error().code, base::Code::kValue);
}

// Values from every state: the start's mean is the policy's return, and a best policy has the plan's values.
TEST(Planning, ValuesOfAPolicyFromEveryState) {
  base::Rng rng(2, {"planning"});
  const Process process = random_process(rng, 6, 9);
  const std::vector<double> reward = random_reward(rng, process);
  const Plan plan = finite_horizon(process, reward).value();
  const std::vector<double> value = policy_values(process, reward, plan.policy).value();
  ASSERT_EQ(value.size(), 7U);
  EXPECT_EQ(value.back(), 0);
  for (std::uint32_t s = 0; s < process.states; ++s) EXPECT_NEAR(value[s], plan.value[s], 1e-12);
  EXPECT_EQ(policy_return(process, reward, plan.policy).value(), 0.25 * value[0] + 0.75 * value[1]);
}

// Where nothing ties, the planner that looks ahead does at the start what the one that settles ties by lot does there.
TEST(Planning, FirstDecisionsAreThoseOfTheRecedingHorizon) {
  base::Rng rng(3, {"planning"});
  for (const int depth : {1, 2, 4}) {
    const Process process = random_process(rng, 6, 9);
    const std::vector<double> reward = random_reward(rng, process);
    const TabularPolicy first = first_decisions(process, reward, depth, 1).value();
    EXPECT_EQ(first.steps, 1);
    const Plan receding = receding_horizon(process, reward, depth).value();
    for (std::uint32_t s = 0; s < process.states; ++s) {
      for (std::uint32_t a = 0; a < 3; ++a) EXPECT_EQ(first.at(0, s)[a], receding.policy.at(0, s)[a]) << depth;
    }
  }
  const Process process = random_process(rng, 6, 9);
  EXPECT_FALSE(first_decisions(process, random_reward(rng, process), 0, 1).ok());
}

}  // namespace
}  // namespace plumbline::world

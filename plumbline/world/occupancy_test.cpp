// The linear program over occupancy measures gives what dynamic programming gives, on random processes and on worlds.

#include "plumbline/world/occupancy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

using ::testing::HasSubstr;

struct Case {
  Process process;
  std::vector<double> reward;
};

/// Sparse random transitions, some of them to the end, and normal rewards.
Case random_case(std::uint64_t seed, std::uint32_t states, std::uint32_t actions, int horizon) {
  base::Rng rng(seed, {"occupancy"});
  ProcessBuilder builder(states, actions, horizon);
  const std::uint32_t first = static_cast<std::uint32_t>(rng.below(states));
  builder.start(first, 0.75);
  builder.start((first + 1) % states, 0.25);
  Case made;
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < actions; ++a) {
      const double p = rng.uniform();
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), p);
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states)), 1 - p);
      made.reward.push_back(rng.normal());
    }
  }
  made.process = std::move(builder).finish().value();
  return made;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(Occupancy, FiniteHorizonValueIsThatOfDynamicProgramming) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const double discount = seed % 2 == 0 ? 1 : 0.9;
    const Case c = random_case(seed, 2 + static_cast<std::uint32_t>(seed % 7), 1 + static_cast<std::uint32_t>(seed % 3),
                               1 + static_cast<int>(seed % 11));
    const Plan plan = finite_horizon(c.process, c.reward, discount).value();
    const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(c.process, discount).value();
    const LinearSolution found = best_occupancy(polytope, c.reward).value();
    ASSERT_EQ(found.status, LinearStatus::kOptimal);
    EXPECT_NEAR(found.value, plan.start, 1e-9) << seed;
    EXPECT_LT(found.gap, 1e-9);
    const TabularPolicy policy = polytope.policy(found.primal, plan.policy);
    EXPECT_NEAR(policy_return(c.process, c.reward, policy, discount).value(), plan.start, 1e-9);
    const std::vector<double> mu = polytope.visits(found.primal);
    const std::vector<double> again = occupancy(c.process, policy, discount).value();
    for (std::size_t i = 0; i < mu.size(); ++i) EXPECT_NEAR(mu[i], again[i], 1e-9);
  }
}

TEST(Occupancy, DiscountedValueIsThatOfValueIteration) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Case c = random_case(100 + seed, 3 + static_cast<std::uint32_t>(seed % 6), 2, 0);
    const Plan plan = value_iteration(c.process, c.reward, 0.95, 1e-12).value();
    const OccupancyPolytope polytope = OccupancyPolytope::discounted(c.process, 0.95).value();
    const LinearSolution found = best_occupancy(polytope, c.reward).value();
    EXPECT_NEAR(found.value, plan.start, 1e-9) << seed;
    const std::vector<double> point = polytope.point(c.process, plan.policy).value();
    EXPECT_NEAR(dot(polytope.visits(point), c.reward), plan.start, 1e-9);
    EXPECT_NEAR(best_occupancy(polytope, c.reward, polytope.basis(plan.policy))->value, plan.start, 1e-9);
  }
}

TEST(Occupancy, PointsOfPoliciesAreTheirVisitsAndBasesStart) {
  const Case c = random_case(7, 6, 3, 9);
  const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(c.process, 0.8).value();
  const TabularPolicy uniform = uniform_policy(c.process);
  const std::vector<double> point = polytope.point(c.process, uniform).value();
  const std::vector<double> mu = occupancy(c.process, uniform, 0.8).value();
  const std::vector<double> seen = polytope.visits(point);
  for (std::size_t i = 0; i < mu.size(); ++i) EXPECT_NEAR(mu[i], seen[i], 1e-12);
  const TabularPolicy back = polytope.policy(point, uniform);
  EXPECT_NEAR(policy_return(c.process, c.reward, back, 0.8).value(), dot(mu, c.reward), 1e-12);
  const Plan plan = finite_horizon(c.process, c.reward, 0.8).value();
  const LinearSolution warm = best_occupancy(polytope, c.reward, polytope.basis(plan.policy)).value();
  EXPECT_NEAR(warm.value, plan.start, 1e-9);
  EXPECT_EQ(warm.pivots, 0) << "the optimal policy is an optimal basis";
}

TEST(Occupancy, WorldsHaveTheSameValueByBothRoutes) {
  int worlds_seen = 0;
  for (const WorldEntry& entry : worlds()) {
    if (!entry.facts.finite) continue;
    const WorldPtr world = make_world({entry.facts.id, "", {}}).value();
    const auto model = world->observed_model();
    if (!model.ok()) continue;
    const Process& process = *(*model)->process;
    if (process.pairs() * static_cast<std::size_t>(process.horizon) > 20000) continue;
    const Plan plan = finite_horizon(process, (*model)->reward).value();
    const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(process).value();
    // The optimal policy is a vertex whose duals prove it; small worlds are also solved from another policy.
    const auto found = best_occupancy(polytope, (*model)->reward, polytope.basis(plan.policy));
    ASSERT_TRUE(found.ok()) << entry.facts.id << ": " << found.error().text();
    EXPECT_NEAR(found->value, plan.start, 1e-9) << entry.facts.id;
    EXPECT_NEAR(found->dual_value, plan.start, 1e-9) << entry.facts.id;
    if (process.pairs() * static_cast<std::size_t>(process.horizon) <= 4000) {
      EXPECT_NEAR(best_occupancy(polytope, (*model)->reward)->value, plan.start, 1e-9) << entry.facts.id;
    }
    ++worlds_seen;
  }
  EXPECT_GE(worlds_seen, 2);
}

TEST(Occupancy, RefusesWhatIsNoHorizonOrDiscount) {
  Case c = random_case(1, 3, 2, 4);
  EXPECT_THAT(OccupancyPolytope::finite_horizon(c.process, 1.5).error().text(), HasSubstr("discount"));
  EXPECT_THAT(OccupancyPolytope::discounted(c.process, 1).error().text(), HasSubstr("discount"));
  const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(c.process).value();
  EXPECT_EQ(best_occupancy(polytope, std::vector<double>(3)).error().code, base::Code::kShape);
  c.process.horizon = 0;
  EXPECT_THAT(OccupancyPolytope::finite_horizon(c.process).error().text(), HasSubstr("horizon"));
  c.process.probability[0] = 3;
  EXPECT_EQ(OccupancyPolytope::finite_horizon(c.process).error().code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::world

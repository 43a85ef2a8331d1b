// Risk: tails against all history-dependent policies, exponential utility against all Markov policies, the adversary
// against a linear program, and the safer way on a grid of obstacles.

#include "plumbline/caution/risk.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/linear_program.hpp"

namespace plumbline::caution {
namespace {

using ::testing::HasSubstr;
using world::Process;
using world::TabularPolicy;

struct Case {
  Process process;
  std::vector<double> reward;
};

Case random_case(base::Rng& rng, bool whole, int horizon = 3) {
  world::ProcessBuilder builder(2, 2, horizon);
  builder.start(0, 1);
  Case made;
  for (std::uint32_t s = 0; s < 2; ++s) {
    for (std::uint32_t a = 0; a < 2; ++a) {
      const double p = 0.1 + 0.8 * rng.uniform();
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(2)), p);
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(3)), 1 - p);
      made.reward.push_back(whole ? static_cast<double>(rng.below(4)) - 2 : rng.normal());
    }
  }
  made.process = std::move(builder).finish().value();
  return made;
}

/// The best tail over every deterministic policy of the whole history, by trying them all.
double best_tail_by_trial(const Case& c, double alpha) {
  // Number the histories (sequences of states) by walking all of them.
  std::map<std::vector<std::uint32_t>, int> index;
  const std::function<void(std::vector<std::uint32_t>)> number = [&](const std::vector<std::uint32_t>& history) {
    if (static_cast<int>(history.size()) > c.process.horizon) return;
    index.emplace(history, static_cast<int>(index.size()));
    for (std::uint32_t next = 0; next < 2; ++next) {
      std::vector<std::uint32_t> longer = history;
      longer.push_back(next);
      number(longer);
    }
  };
  number({0});
  double best = -1e300;
  for (int code = 0; code < 1 << index.size(); ++code) {
    ReturnDistribution returns;
    const std::function<void(std::vector<std::uint32_t>, double, double)> walk =
        [&](const std::vector<std::uint32_t>& history, double sum, double p) {
          const auto a = static_cast<std::uint32_t>((code >> index.at(history)) & 1);
          const std::size_t pair = c.process.pair(history.back(), a);
          sum += c.reward[pair];
          for (std::uint64_t i = c.process.first[pair]; i < c.process.first[pair + 1]; ++i) {
            const double mass = p * c.process.probability[i];
            if (c.process.next[i] == c.process.end() || static_cast<int>(history.size()) == c.process.horizon) {
              returns.emplace_back(sum, mass);
            } else {
              std::vector<std::uint32_t> longer = history;
              longer.push_back(c.process.next[i]);
              walk(longer, sum, mass);
            }
          }
        };
    walk({0}, 0, 1);
    std::sort(returns.begin(), returns.end());
    best = std::max(best, lower_tail_mean(returns, alpha));
  }
  return best;
}

TEST(Risk, TailPlanIsTheBestOfAllHistoryDependentPolicies) {
  base::Rng rng(1, {"risk"});
  for (int trial = 0; trial < 24; ++trial) {
    const Case c = random_case(rng, trial % 2 == 0);
    for (const double alpha : {0.1, 0.4, 1.0}) {
      const TailPlan plan = plan_tail(c.process, c.reward, alpha).value();
      EXPECT_NEAR(plan.value, best_tail_by_trial(c, alpha), 1e-9) << trial << " at " << alpha;
      EXPECT_NEAR(lower_tail_mean(plan.returns, alpha), plan.value, 1e-12);
    }
    EXPECT_NEAR(plan_tail(c.process, c.reward, 1)->value, world::finite_horizon(c.process, c.reward)->start, 1e-9);
  }
}

TEST(Risk, TailPolicyLooksAtTheRewardSoFar) {
  base::Rng rng(2, {"risk"});
  const Case c = random_case(rng, true, 5);
  const TailPlan plan = plan_tail(c.process, c.reward, 0.3).value();
  const SumPolicy::Node& node = plan.policy.layers()[3].front();
  EXPECT_EQ(plan.policy.act(3, node.state, node.sum), node.action);
  EXPECT_EQ(plan.policy.act(3, node.state, 1e5), -1);
  EXPECT_EQ(plan.policy.act(9, 0, 0), -1);
  // Drawn episodes under the policy have the stated distribution: 20,000 episodes, mean within five standard errors.
  double sum = 0;
  for (int i = 0; i < 20000; ++i) {
    std::uint32_t s = 0;
    double got = 0;
    for (int t = 0; t < 5 && s != c.process.end(); ++t) {
      const std::int32_t a = plan.policy.act(t, s, got);
      ASSERT_GE(a, 0);
      const std::size_t pair = c.process.pair(s, static_cast<std::uint32_t>(a));
      got += c.reward[pair];
      double u = rng.uniform();
      std::uint64_t k = c.process.first[pair];
      while (k + 1 < c.process.first[pair + 1] && u >= c.process.probability[k]) u -= c.process.probability[k++];
      s = c.process.next[k];
    }
    sum += got;
  }
  double square = 0;
  for (const auto& [value, p] : plan.returns) square += p * (value - plan.mean) * (value - plan.mean);
  EXPECT_NEAR(sum / 20000, plan.mean, 5 * std::sqrt(square / 20000) + 1e-9);
}

TEST(Risk, DistributionHasTheMeanOfThePolicy) {
  base::Rng rng(3, {"risk"});
  const Case c = random_case(rng, false, 6);
  const TabularPolicy uniform = world::uniform_policy(c.process);
  const ReturnDistribution d = return_distribution(c.process, c.reward, uniform).value();
  double mass = 0;
  double mean = 0;
  for (const auto& [value, p] : d) {
    mass += p;
    mean += p * value;
  }
  EXPECT_NEAR(mass, 1, 1e-12);
  EXPECT_NEAR(mean, world::policy_return(c.process, c.reward, uniform).value(), 1e-12);
}

TEST(Risk, EntropicPlanIsTheBestOfAllMarkovPolicies) {
  base::Rng rng(4, {"risk"});
  for (int trial = 0; trial < 10; ++trial) {
    const Case c = random_case(rng, false);
    for (const double theta : {2.0, -1.5}) {
      double best = -1e300;
      for (int code = 0; code < 64; ++code) {
        TabularPolicy policy{2, 2, 3, std::vector<double>(12, 0.0)};
        for (int d = 0; d < 6; ++d) policy.probability[static_cast<std::size_t>(2 * d + ((code >> d) & 1))] = 1;
        double mean = 0;
        for (const auto& [value, p] : *return_distribution(c.process, c.reward, policy))
          mean += p * std::exp(-theta * value);
        best = std::max(best, -std::log(mean) / theta);
      }
      EXPECT_NEAR(plan_entropic(c.process, c.reward, theta)->start, best, 1e-10) << theta;
    }
    const double neutral = world::finite_horizon(c.process, c.reward, 0.9)->start;
    EXPECT_NEAR(plan_entropic(c.process, c.reward, 1e-6, 0.9)->start, neutral, 1e-4);
    EXPECT_LE(plan_entropic(c.process, c.reward, 1, 0.9)->start, neutral + 1e-12);
  }
}

TEST(Risk, WorstRowIsThatOfALinearProgram) {
  base::Rng rng(5, {"risk"});
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t n = 1 + rng.below(6);
    std::vector<double> p(n);
    std::vector<double> v(n);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += p[i] = rng.exponential();
      v[i] = rng.normal();
    }
    for (double& x : p) x /= sum;
    const double radius = rng.uniform() * 1.2;
    for (const auto shape : {TransitionDoubt::Shape::kL1, TransitionDoubt::Shape::kInterval}) {
      world::LinearProgram program;
      std::vector<world::LinearTerm> one;
      std::vector<world::LinearTerm> total;
      for (std::size_t i = 0; i < n; ++i) {
        const bool interval = shape == TransitionDoubt::Shape::kInterval;
        const std::size_t q = program.add_variable(v[i], interval ? std::max(0.0, p[i] - radius) : 0.0,
                                                   interval ? std::min(1.0, p[i] + radius) : 1.0);
        one.push_back({q, 1});
        if (interval) continue;
        const std::size_t change = program.add_variable(0);
        program.add_at_most(std::vector<world::LinearTerm>{{q, 1}, {change, -1}}, p[i]);
        program.add_at_least(std::vector<world::LinearTerm>{{q, 1}, {change, 1}}, p[i]);
        total.push_back({change, 1});
      }
      program.add_equal(one, 1);
      if (!total.empty()) program.add_at_most(total, radius);
      const auto [mean, row] = worst_row(p, v, shape, radius);
      EXPECT_NEAR(mean, world::solve(program)->value, 1e-9);
      double mass = 0;
      for (const double x : row) mass += x;
      EXPECT_NEAR(mass, 1, 1e-12);
    }
  }
}

TEST(Risk, RobustPlanBeatsEveryPolicyAgainstItsAdversary) {
  base::Rng rng(6, {"risk"});
  for (int trial = 0; trial < 10; ++trial) {
    const Case c = random_case(rng, false);
    TransitionDoubt doubt;
    doubt.radius = 0.3;
    doubt.shape = trial % 2 == 0 ? TransitionDoubt::Shape::kL1 : TransitionDoubt::Shape::kInterval;
    const world::Plan plan = plan_robust(c.process, c.reward, doubt).value();
    EXPECT_NEAR(robust_return(c.process, c.reward, plan.policy, doubt).value(), plan.start, 1e-12);
    for (int code = 0; code < 64; ++code) {
      TabularPolicy policy{2, 2, 3, std::vector<double>(12, 0.0)};
      for (int d = 0; d < 6; ++d) policy.probability[static_cast<std::size_t>(2 * d + ((code >> d) & 1))] = 1;
      EXPECT_LE(robust_return(c.process, c.reward, policy, doubt).value(), plan.start + 1e-12);
    }
    // No process within the doubt brings the plan less.
    for (int i = 0; i < 20; ++i) {
      Process other = c.process;
      for (std::size_t pair = 0; pair < other.pairs(); ++pair) {
        if (other.first[pair + 1] - other.first[pair] != 2) continue;
        double& p = other.probability[other.first[pair]];
        const double move = doubt.shape == TransitionDoubt::Shape::kL1 ? 0.15 : 0.3;
        p = std::clamp(p + rng.uniform(-move, move), 0.0, 1.0);
        other.probability[other.first[pair] + 1] = 1 - p;
      }
      EXPECT_GE(world::policy_return(other, c.reward, plan.policy).value(), plan.start - 1e-12);
    }
    doubt.radius = 0;
    EXPECT_NEAR(plan_robust(c.process, c.reward, doubt)->start, world::finite_horizon(c.process, c.reward)->start,
                1e-12);
    Case endless = c;
    endless.process.horizon = 0;
    EXPECT_NEAR(plan_robust(endless.process, c.reward, doubt, 0.9)->start,
                world::value_iteration(endless.process, c.reward, 0.9)->start, 1e-8);
  }
}

TEST(Risk, TheWayIsSaferAsTheShareFalls) {
  // A straight way of five steps between two obstacles, or round them.
  ObstacleGrid grid;
  grid.rows = 7;
  grid.columns = 5;
  grid.obstacle.assign(35, 0);
  grid.obstacle[3 * 5 + 3] = grid.obstacle[2 * 5 + 3] = grid.obstacle[4 * 5 + 3] = 1;
  grid.start = 34;
  grid.goal = 4;
  grid.horizon = 40;
  const GridModel model = model_of(grid).value();
  double last_crash = -1;
  double last_mean = -1e300;
  std::vector<double> crashes;
  for (const double alpha : {0.02, 0.1, 0.3, 1.0}) {
    const TailPlan plan = plan_tail(model.process, model.reward, alpha).value();
    double crash = 0;
    for (const auto& [value, p] : plan.returns) crash += value <= -grid.crash - 1 ? p : 0;
    EXPECT_GE(crash, last_crash - 1e-9) << alpha;
    EXPECT_GE(plan.mean, last_mean - 1e-9) << alpha;
    last_crash = crash;
    last_mean = plan.mean;
    crashes.push_back(crash);
  }
  EXPECT_LT(crashes.front(), 0.7 * crashes.back());
}

TEST(Risk, RandomGridsAreWellFormed) {
  const ObstacleGrid grid = make_obstacle_grid(1, 12, 10, 14).value();
  EXPECT_EQ(std::count(grid.obstacle.begin(), grid.obstacle.end(), 1), 14);
  EXPECT_EQ(grid.obstacle[static_cast<std::size_t>(grid.start)], 0);
  const GridModel model = model_of(grid).value();
  EXPECT_GE(plan_tail(model.process, model.reward, 0.1)->value, -grid.crash - grid.horizon);
  EXPECT_THAT(make_obstacle_grid(1, 3, 10, 1).error().text(), HasSubstr("rows"));
  EXPECT_THAT(make_obstacle_grid(1, 5, 5, 9).error().text(), HasSubstr("obstacles"));
  ObstacleGrid bad = grid;
  bad.slip = 2;
  EXPECT_THAT(model_of(bad).error().text(), HasSubstr("slip"));
}

TEST(Risk, RefusesNonsense) {
  base::Rng rng(7, {"risk"});
  Case c = random_case(rng, false);
  EXPECT_THAT(plan_tail(c.process, c.reward, 0).error().text(), HasSubstr("alpha"));
  EXPECT_EQ(plan_tail(c.process, c.reward, 0.5, 3).error().code, base::Code::kLimit);
  EXPECT_THAT(plan_entropic(c.process, c.reward, 0).error().text(), HasSubstr("theta is 0"));
  TransitionDoubt doubt;
  doubt.radius = -1;
  EXPECT_THAT(plan_robust(c.process, c.reward, doubt).error().text(), HasSubstr("radius"));
  doubt.radius = 0;
  doubt.radii = {0.1};
  EXPECT_EQ(plan_robust(c.process, c.reward, doubt).error().code, base::Code::kShape);
  c.process.horizon = 0;
  EXPECT_THAT(plan_robust(c.process, c.reward, {}).error().text(), HasSubstr("discount"));
  EXPECT_THAT(plan_tail(c.process, c.reward, 0.5).error().text(), HasSubstr("horizon"));
  c.reward[0] = std::nan("");
  EXPECT_EQ(plan_tail(c.process, c.reward, 0.5).error().code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::caution

// Rules over policies: the same answer as over the list of all deterministic policies, bounds, frontiers and
// boundaries.

#include "plumbline/caution/rule_planning.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using decision::RewardPosterior;
using ::testing::HasSubstr;
using world::Process;
using world::TabularPolicy;

constexpr std::uint32_t kStates = 2;
constexpr std::uint32_t kActions = 2;
constexpr int kHorizon = 3;

struct Case {
  Process process;
  RewardPosterior values;
  TabularPolicy base;
};

Case random_case(base::Rng& rng, std::ptrdiff_t k, std::uint32_t states = kStates, std::uint32_t actions = kActions,
                 int horizon = kHorizon) {
  Case made;
  world::ProcessBuilder builder(states, actions, horizon);
  builder.start(0, 0.6);
  builder.start(1, 0.4);
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < actions; ++a) {
      const double p = rng.uniform();
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states)), p);
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), 1 - p);
    }
  }
  made.process = std::move(builder).finish().value();
  const auto pairs = static_cast<std::ptrdiff_t>(made.process.pairs());
  made.values.rewards.resize(k, pairs);
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < k; ++i) {
    for (std::ptrdiff_t j = 0; j < pairs; ++j) made.values.rewards(i, j) = rng.normal();
    made.values.probability.push_back(0.2 + rng.uniform());
    sum += made.values.probability.back();
  }
  for (double& p : made.values.probability) p /= sum;
  made.base = world::uniform_policy(made.process);
  return made;
}

/// The returns of every deterministic policy of every step as the options of a decision.
RewardPosterior all_policies(const Case& c) {
  const int decisions = static_cast<int>(kStates) * kHorizon;
  RewardPosterior menu;
  menu.probability = c.values.probability;
  menu.rewards.resize(c.values.size(), std::ptrdiff_t{1} << decisions);
  for (int code = 0; code < 1 << decisions; ++code) {
    TabularPolicy policy{kStates, kActions, kHorizon, std::vector<double>(kStates * kActions * kHorizon, 0.0)};
    for (int d = 0; d < decisions; ++d) policy.probability[static_cast<std::size_t>(2 * d + ((code >> d) & 1))] = 1;
    for (std::ptrdiff_t k = 0; k < c.values.size(); ++k) {
      const std::vector<double> reward(c.values.rewards.row(k).begin(), c.values.rewards.row(k).end());
      menu.rewards(k, code) = world::policy_return(c.process, reward, policy).value();
    }
  }
  return menu;
}

RulePlan plan(const Case& c, std::string_view rule, RulePlanOptions options = {}) {
  options.base = c.base;
  return plan_by_rule(c.process, c.values, parse_rule_spec(rule).value(), options).value();
}

TEST(RulePlanning, AgreesWithMixturesOfAllDeterministicPolicies) {
  base::Rng rng(1, {"rule planning"});
  for (int trial = 0; trial < 12; ++trial) {
    const Case c = random_case(rng, 2 + static_cast<std::ptrdiff_t>(rng.below(4)));
    RewardPosterior menu = all_policies(c);
    // One more option is the base policy, so that it can be the point of comparison.
    menu.rewards.conservativeResize(Eigen::NoChange, menu.rewards.cols() + 1);
    for (std::ptrdiff_t k = 0; k < c.values.size(); ++k) {
      const std::vector<double> reward(c.values.rewards.row(k).begin(), c.values.rewards.row(k).end());
      menu.rewards(k, menu.rewards.cols() - 1) = world::policy_return(c.process, reward, c.base).value();
    }
    decision::Situation s;
    s.base.assign(static_cast<std::size_t>(menu.rewards.cols()), 0.0);
    s.base.back() = 1;
    for (const char* rule :
         {"expected", "maximin", "regret", "cvar:0.3", "broil:0.5:0.3", "baseline", "baseline:0.4", "bargain"}) {
      const RulePlan found = plan(c, rule);
      const decision::Decision want = parse_rule(rule).value()->decide(menu, s).value();
      EXPECT_NEAR(found.value, want.value, 1e-8) << rule << " in trial " << trial;
      EXPECT_LT(found.gap, 1e-8) << rule;
      EXPECT_TRUE(world::validate_policy(c.process, found.policy).ok());
      // The policy does what the program says.
      for (std::ptrdiff_t k = 0; k < c.values.size(); ++k) {
        const std::vector<double> reward(c.values.rewards.row(k).begin(), c.values.rewards.row(k).end());
        EXPECT_NEAR(found.returns[static_cast<std::size_t>(k)],
                    world::policy_return(c.process, reward, found.policy).value(), 1e-8);
      }
    }
  }
}

TEST(RulePlanning, QuantilizerKeepsItsBoundForEveryCost) {
  base::Rng rng(2, {"rule planning"});
  for (int trial = 0; trial < 10; ++trial) {
    const Case c = random_case(rng, 2, 5, 3, 6);
    double last = -1e300;
    for (const double share : {1.0, 0.5, 0.2, 0.05}) {
      const RulePlan found = plan(c, "quantilize:" + std::to_string(share));
      EXPECT_NEAR(found.cost_factor, 1 / share, 1e-9);
      EXPECT_GE(found.value, last - 1e-9) << "less mass, more value";
      last = found.value;
      for (int i = 0; i < 10; ++i) {
        std::vector<double> cost(c.process.pairs());
        for (double& x : cost) x = rng.bernoulli(0.3) ? rng.exponential() : 0;
        EXPECT_LE(world::policy_return(c.process, cost, found.policy).value(),
                  world::policy_return(c.process, cost, c.base).value() / share + 1e-9);
      }
      if (share == 1.0) {
        const std::vector<double> mean = decision::mean_reward(c.values);
        EXPECT_NEAR(found.value, world::policy_return(c.process, mean, c.base).value(), 1e-9);
      }
    }
    EXPECT_LE(last, plan(c, "expected").value + 1e-9);
  }
}

TEST(RulePlanning, SatisficeComesToWhatIsEnough) {
  base::Rng rng(3, {"rule planning"});
  const Case c = random_case(rng, 3, 5, 3, 6);
  const std::vector<double> mean = decision::mean_reward(c.values);
  const double base = world::policy_return(c.process, mean, c.base).value();
  const double best = world::finite_horizon(c.process, mean)->start;
  const RulePlan half = plan(c, "satisfice:" + std::to_string((base + best) / 2));
  EXPECT_NEAR(world::policy_return(c.process, mean, half.policy).value(), (base + best) / 2, 1e-5);
  EXPECT_NEAR(plan(c, "satisfice:-1e9").value, base, 1e-9);
  EXPECT_NEAR(plan(c, "satisfice:1e9").value, best, 1e-9);
}

TEST(RulePlanning, VotesAndBargainsDoNotListenToLoudRewards) {
  base::Rng rng(4, {"rule planning"});
  const Case c = random_case(rng, 3, 4, 3, 5);
  Case loud = c;
  loud.values.rewards.row(0) *= 1000.0;
  for (const char* rule : {"vote", "bargain"}) {
    const RulePlan before = plan(c, rule);
    const RulePlan after = plan(loud, rule);
    EXPECT_NEAR(before.returns[1], after.returns[1], 1e-3) << rule;
    EXPECT_NEAR(before.returns[2], after.returns[2], 1e-3) << rule;
    EXPECT_NEAR(before.value, after.value, 1e-8) << rule;
  }
}

TEST(RulePlanning, DeviationOfReturnsIsThatOfAllPaths) {
  // Two steps, three equally likely things a step: the sum of two draws from {0, 1, 2}.
  world::ProcessBuilder builder(1, 3, 2);
  builder.start(0, 1);
  for (std::uint32_t a = 0; a < 3; ++a) builder.add(0, a, 0, 1);
  const Process process = std::move(builder).finish().value();
  const std::vector<double> reward = {0, 1, 2};
  EXPECT_NEAR(return_deviation(process, reward, world::uniform_policy(process)).value(), std::sqrt(4.0 / 3), 1e-12);
  // A coin by the world: steps 0 and 1 are worth one each while it lasts.
  world::ProcessBuilder coin(1, 1, 2);
  coin.start(0, 1);
  coin.add(0, 0, 0, 0.5);
  coin.add(0, 0, 1, 0.5);
  const Process once = std::move(coin).finish().value();
  EXPECT_NEAR(return_deviation(once, std::vector<double>{1.0}, world::uniform_policy(once)).value(), 0.5, 1e-12);
}

/// Machine replacement: four ages, repairs cost a sure amount, waiting risks a breakdown whose price is in doubt.
Case machine() {
  Case made;
  world::ProcessBuilder builder(4, 2, 0);
  builder.start(0, 1);
  for (std::uint32_t s = 0; s < 4; ++s) {
    builder.add(s, 0, std::min(s + 1, 3U), 1);  // wait
    builder.add(s, 1, 0, 1);                    // replace
  }
  made.process = std::move(builder).finish().value();
  base::Rng rng(5, {"machine"});
  made.values.rewards.resize(40, 8);
  for (std::ptrdiff_t k = 0; k < 40; ++k) {
    for (std::ptrdiff_t s = 0; s < 4; ++s) {
      made.values.rewards(k, 2 * s) =
          s < 3 ? -rng.gamma(1) : -rng.gamma(0.5) * 8;  // older is uncertain, rarely ruinous
      made.values.rewards(k, 2 * s + 1) = -6 - 0.2 * rng.normal();
    }
  }
  made.values.probability.assign(40, 1.0 / 40);
  made.base = world::uniform_policy(made.process);
  return made;
}

TEST(RulePlanning, FrontierOfCautionIsMonotone) {
  const Case c = machine();
  RulePlanOptions options;
  options.horizon = false;
  options.discount = 0.95;
  const std::vector<double> weights = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};
  const std::vector<FrontierPoint> points = caution_frontier(c.process, c.values, 0.1, weights, options).value();
  for (std::size_t i = 1; i < points.size(); ++i) {
    EXPECT_GE(points[i].mean, points[i - 1].mean - 1e-9);
    EXPECT_LE(points[i].tail, points[i - 1].tail + 1e-9);
  }
  EXPECT_GT(points.back().mean, points.front().mean + 0.1) << "caution costs something here";
  EXPECT_LT(points.back().tail, points.front().tail - 0.1);
  EXPECT_NEAR(points.back().mean, world::value_iteration(c.process, decision::mean_reward(c.values), 0.95)->start,
              1e-7);
  // Policies of the discounted polytope are stationary and mixed.
  const RulePlan cautious = plan(c, "cvar:0.1", options);
  EXPECT_EQ(cautious.policy.steps, 1);
  EXPECT_NEAR(cautious.value, points.front().tail, 1e-8);
}

TEST(RulePlanning, BoundaryTellsOptimisersFromMildPolicies) {
  base::Rng rng(6, {"rule planning"});
  const Case c = random_case(rng, 1, 5, 3, 6);
  MatrixD features(static_cast<std::ptrdiff_t>(c.process.pairs()), 3);
  const std::vector<double> mean = decision::mean_reward(c.values);
  for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
    features(i, 0) = mean[static_cast<std::size_t>(i)];
    features(i, 1) = i % 3 == 0 ? 1 : 0;
    features(i, 2) = 0;
  }
  const BoundaryShare sharp = boundary_share(c.process, plan(c, "expected").policy, features).value();
  EXPECT_NEAR(sharp.actions, 1, 1e-12);
  EXPECT_NEAR(sharp.position[0], 1, 1e-9);
  EXPECT_TRUE(std::isnan(sharp.position[2])) << "nothing that any policy could change";
  const BoundaryShare mild = boundary_share(c.process, c.base, features).value();
  EXPECT_EQ(mild.actions, 0);
  EXPECT_EQ(mild.features, 0);
  EXPECT_NEAR(mild.position[1], 0.4, 0.1) << "one of three actions";
  const BoundaryShare between = boundary_share(c.process, plan(c, "quantilize:0.5").policy, features).value();
  EXPECT_LT(between.actions, sharp.actions);
  EXPECT_GT(between.position[0], mild.position[0]);
}

TEST(RulePlanning, RefusesNonsense) {
  base::Rng rng(7, {"rule planning"});
  const Case c = random_case(rng, 2);
  const auto error = [&](std::string_view rule, const RulePlanOptions& options = {}) {
    return plan_by_rule(c.process, c.values, parse_rule_spec(rule).value(), options).error();
  };
  EXPECT_EQ(error("ask").code, base::Code::kUnsupported);
  EXPECT_THAT(error("quantilize").text(), HasSubstr("needs a base policy"));
  EXPECT_THAT(error("baseline").text(), HasSubstr("needs a base policy"));
  RulePlanOptions far;
  far.horizon = false;
  EXPECT_THAT(error("expected", far).text(), HasSubstr("discount"));
  far.discount = 0.9;
  EXPECT_EQ(error("vote", far).code, base::Code::kUnsupported);
  far.base = TabularPolicy{kStates, kActions, kHorizon, std::vector<double>(12, 0.5)};
  EXPECT_EQ(error("baseline", far).code, base::Code::kShape);
  Case wide = c;
  wide.values.rewards.conservativeResize(Eigen::NoChange, 3);
  EXPECT_EQ(plan_by_rule(wide.process, wide.values, {}, {}).error().code, base::Code::kShape);
  EXPECT_EQ(boundary_share(c.process, c.base, MatrixD::Zero(2, 1)).error().code, base::Code::kShape);
  EXPECT_THAT(caution_frontier(c.process, c.values, 0.1, std::vector<double>{2}).error().text(), HasSubstr("weight"));
}

}  // namespace
}  // namespace plumbline::caution

// Reversibility: planted one-way doors are found exactly, experience bounds the truth, and the gate holds one-way
// steps.

#include "plumbline/caution/reversibility.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using world::Process;

/// Rooms in a row, walked left (0) and right (1); behind `door` nobody gets back. Action 2 stays.
Process rooms(std::uint32_t count, std::uint32_t door, int horizon) {
  world::ProcessBuilder builder(count, 3, horizon);
  builder.start(0, 1);
  for (std::uint32_t s = 0; s < count; ++s) {
    builder.add(s, 0, s == 0 || s == door ? s : s - 1, 1);
    builder.add(s, 1, std::min(s + 1, count - 1), 1);
    builder.add(s, 2, s, 1);
  }
  return std::move(builder).finish().value();
}

TEST(Reversibility, OneWayDoorsAreFoundWhereTheyWerePlanted) {
  base::Rng rng(1, {"doors"});
  for (int trial = 0; trial < 20; ++trial) {
    const auto count = 3 + static_cast<std::uint32_t>(rng.below(8));
    const auto door = 1 + static_cast<std::uint32_t>(rng.below(count - 1));
    const Process process = rooms(count, door, 20);
    const Reversal back = reversals(process, 20).value();
    for (std::uint32_t s = 0; s < count; ++s) {
      for (std::uint32_t a = 0; a < 3; ++a) {
        const bool through = a == 1 && s + 1 == door;
        EXPECT_EQ(back.probability[process.pair(s, a)], through ? 0 : 1) << s << " " << a;
        const std::int32_t there = a == 2 || (a == 0 && (s == 0 || s == door)) || (a == 1 && s + 1 == count) ? 0 : 1;
        EXPECT_EQ(back.steps[process.pair(s, a)], through ? -1 : there);
      }
    }
  }
}

TEST(Reversibility, ChancesAreThoseOfTheBestTries) {
  // From 1 the way back works with probability 0.3 a try; a second way ends the episode.
  world::ProcessBuilder builder(2, 2, 10);
  builder.start(0, 1);
  builder.add(0, 0, 1, 1);
  builder.add(0, 1, 2, 1);
  builder.add(1, 0, 0, 0.3);
  builder.add(1, 0, 1, 0.7);
  builder.add(1, 1, 2, 1);
  const Process process = std::move(builder).finish().value();
  for (const int within : {0, 1, 2, 5}) {
    const Reversal back = reversals(process, within).value();
    EXPECT_NEAR(back.probability[process.pair(0, 0)], 1 - std::pow(0.7, within), 1e-12);
    EXPECT_EQ(back.steps[process.pair(0, 0)], within == 0 ? -1 : 1);
    EXPECT_EQ(back.probability[process.pair(0, 1)], 0) << "an ended episode does not come back";
    EXPECT_NEAR(back.probability[process.pair(1, 0)], within == 0 ? 0.7 : 0.7 + 0.3, 1e-12)
        << "from 0 one step leads back to 1";
  }
}

TEST(Reversibility, ExperienceBoundsTheTruth) {
  // The step is undone with probability 0.6 within two steps; intervals at 0.95 from 100 episodes cover it, and the
  // bound for a door that never opened again shrinks. 400 experiences: at most 20 + 5 standard deviations may miss.
  int missed = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    base::Rng rng(seed, {"experience"});
    std::vector<SeenStep> steps;
    for (std::uint32_t e = 0; e < 100; ++e) {
      steps.push_back({e, 0, 1});
      steps.push_back({e, 1, 0});
      steps.push_back({e, rng.bernoulli(0.6) ? 0U : 2U, 0});
    }
    const auto found = estimate_reversals(steps, 2).value();
    const auto at = std::find_if(found.begin(), found.end(),
                                 [](const ReversalEstimate& r) { return r.state == 0 && r.action == 1; });
    ASSERT_NE(at, found.end());
    EXPECT_EQ(at->taken, 100);
    missed += at->low > 0.6 || at->high < 0.6 ? 1 : 0;
  }
  EXPECT_LE(missed, 42);
  // A step without return: the upper bound says how rare a return may still be.
  std::vector<SeenStep> door;
  for (std::uint32_t e = 0; e < 60; ++e) {
    door.push_back({e, 0, 1});
    door.push_back({e, 1, 0});
  }
  const auto shut = estimate_reversals(door, 5).value();
  EXPECT_EQ(shut[0].undone, 0);
  EXPECT_EQ(shut[0].low, 0);
  EXPECT_LT(shut[0].high, 0.07);
}

TEST(Reversibility, GateAsksForMoreWhereNothingLeadsBack) {
  EXPECT_NEAR(gate_step(1, 0.6)->required, 0.5, 1e-12);
  EXPECT_TRUE(gate_step(1, 0.6)->open);
  EXPECT_FALSE(gate_step(0, 0.6)->open);
  EXPECT_TRUE(gate_step(0, 0.995)->open);
  EXPECT_NEAR(gate_step(0.5, 0)->required, 0.745, 1e-12);
  EXPECT_THAT(gate_step(2, 0.5).error().text(), HasSubstr("reversal"));
  EXPECT_THAT(gate_step(0.5, 0.5, {0.9, 0.5}).error().text(), HasSubstr("reversible"));
}

/// Behind the door lies a prize, by 9 of 10 readings; by the tenth it is a disaster.
decision::RewardPosterior prize(const Process& process, double sure) {
  decision::RewardPosterior values;
  values.rewards = MatrixD::Zero(2, static_cast<std::ptrdiff_t>(process.pairs()));
  for (std::uint32_t a = 0; a < 3; ++a) {
    values.rewards(0, static_cast<std::ptrdiff_t>(process.pair(3, a))) = 1;
    values.rewards(1, static_cast<std::ptrdiff_t>(process.pair(3, a))) = -1;
    for (int k = 0; k < 2; ++k) values.rewards(k, static_cast<std::ptrdiff_t>(process.pair(1, a))) = 0.2;
  }
  values.probability = {sure, 1 - sure};
  return values;
}

TEST(Reversibility, OneWayStepsWaitForConfidence) {
  const Process process = rooms(4, 2, 12);
  const Reversal back = reversals(process, 12).value();
  // 90 % sure: the mean goes through the door, the gate stays in front of it.
  const decision::RewardPosterior doubtful = prize(process, 0.9);
  const world::Plan literal = world::finite_horizon(process, decision::mean_reward(doubtful)).value();
  EXPECT_EQ(literal.policy.at(1, 1)[1], 1);
  const GatedPlan gated = plan_gated(process, doubtful, back).value();
  EXPECT_EQ(gated.policy.at(0, 0)[1], 1) << "the reversible step to room 1 is free";
  EXPECT_EQ(gated.policy.at(1, 1)[1], 0);
  EXPECT_THAT(gated.closed, ElementsAre(process.pair(1, 1)));
  EXPECT_GT(gated.most_refused, 0.5);
  std::vector<double> disaster(process.pairs());
  for (std::size_t i = 0; i < disaster.size(); ++i) disaster[i] = doubtful.rewards(1, static_cast<std::ptrdiff_t>(i));
  EXPECT_GT(world::policy_return(process, disaster, gated.policy).value(), 2);
  EXPECT_LT(world::policy_return(process, disaster, literal.policy).value(), -8);
  // 99.5 % sure: the same step is taken.
  const GatedPlan sure = plan_gated(process, prize(process, 0.995), back).value();
  EXPECT_EQ(sure.policy.at(1, 1)[1], 1);
  EXPECT_THAT(sure.closed, SizeIs(0));
}

TEST(Reversibility, StepsOfAPolicyAreCountedWithTheirConfidence) {
  const Process process = rooms(4, 2, 6);
  const Reversal back = reversals(process, 6).value();
  const decision::RewardPosterior doubtful = prize(process, 0.9);
  const world::Plan literal = world::finite_horizon(process, decision::mean_reward(doubtful)).value();
  const OneWayCount rash = one_way_steps(process, doubtful, back, literal.policy).value();
  EXPECT_NEAR(rash.one_way, 1, 1e-12);
  EXPECT_NEAR(rash.unsure, 1, 1e-12);
  ASSERT_THAT(rash.steps, SizeIs(1));
  EXPECT_EQ(rash.steps[0].state, 1U);
  EXPECT_EQ(rash.steps[0].action, 1U);
  EXPECT_NEAR(rash.steps[0].confidence, 0.9, 1e-12);
  EXPECT_NEAR(rash.steps[0].required, 0.99, 1e-12);
  // Sure enough of the same step; and a plan that waited takes none.
  const decision::RewardPosterior sure = prize(process, 0.995);
  EXPECT_NEAR(one_way_steps(process, sure, back, literal.policy)->unsure, 0, 1e-12);
  EXPECT_NEAR(one_way_steps(process, sure, back, literal.policy)->one_way, 1, 1e-12);
  const GatedPlan gated = plan_gated(process, doubtful, back).value();
  EXPECT_NEAR(one_way_steps(process, doubtful, back, gated.policy)->unsure, 0, 1e-12);
  // A random policy: the chance to have gone through the door, by a plain walk.
  const world::TabularPolicy random = world::uniform_policy(process);
  std::vector<double> here = {1, 0};
  double through = 0;
  for (int t = 0; t < 6; ++t) {
    through += here[1] / 3;
    here = {here[0] * 2 / 3 + here[1] / 3, here[0] / 3 + here[1] / 3};
  }
  const OneWayCount walk = one_way_steps(process, doubtful, back, random).value();
  EXPECT_NEAR(walk.one_way, through, 1e-12);
  EXPECT_LE(walk.unsure, walk.one_way + 1e-12);
  for (std::size_t i = 1; i < walk.steps.size(); ++i) EXPECT_LE(walk.steps[i - 1].open, walk.steps[i].open);
  EXPECT_THAT(one_way_steps(process, doubtful, back, random, 0).error().text(), HasSubstr("sure"));
  EXPECT_THAT(one_way_steps(process, doubtful, back, random, 0.5, {0.9, 0.5}).error().text(), HasSubstr("reversible"));
  EXPECT_EQ(one_way_steps(process, doubtful, back, world::uniform_policy(rooms(3, 1, 6))).error().code,
            base::Code::kShape);
}

TEST(Reversibility, PeopleWhoWillJudgeAreState) {
  // States: the judge as is (0), the judge won over (1). Winning over pays by every reading's letter, and nobody who
  // was won over goes back: the gate refuses what only most readings like.
  world::ProcessBuilder builder(2, 2, 8);
  builder.start(0, 1);
  builder.add(0, 0, 0, 1);
  builder.add(0, 1, 1, 1);
  for (std::uint32_t a = 0; a < 2; ++a) builder.add(1, a, 1, 1);
  const Process process = std::move(builder).finish().value();
  decision::RewardPosterior values;
  values.rewards.resize(2, 4);
  values.rewards << 1, 1, 2, 2, 1, 1, -5, -5;
  values.probability = {0.95, 0.05};
  const GatedPlan plan = plan_gated(process, values, reversals(process, 8).value()).value();
  EXPECT_EQ(plan.policy.at(0, 0)[0], 1);
  EXPECT_THAT(plan.closed, ElementsAre(1U));
}

TEST(Reversibility, RefusesNonsense) {
  Process process = rooms(3, 1, 5);
  EXPECT_THAT(reversals(process, -1).error().text(), HasSubstr("within"));
  EXPECT_THAT(estimate_reversals({}, 0).error().text(), HasSubstr("window"));
  const std::vector<SeenStep> mixed = {{1, 0, 0}, {2, 0, 0}, {1, 0, 0}};
  EXPECT_THAT(estimate_reversals(mixed, 1).error().text(), HasSubstr("episode 1 returns"));
  decision::RewardPosterior values = prize(rooms(4, 2, 5), 0.9);
  EXPECT_EQ(plan_gated(process, values, reversals(process, 3).value()).error().code, base::Code::kShape);
  process.probability[0] = 2;
  EXPECT_EQ(reversals(process, 1).error().code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::caution

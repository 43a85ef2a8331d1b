#include "plumbline/reward/treacherous_turn.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;
using world::Process;
using world::TabularPolicy;

std::vector<double> draws(base::Rng& rng, int n, double mean, double deviation = 1) {
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(rng.normal(mean, deviation));
  return values;
}

TEST(TreacherousTurn, AFallInTruthWithoutOneInRewardIsATurn) {
  base::Rng rng(3);
  const auto turned = turn_index(draws(rng, 50, 6), draws(rng, 50, 6), draws(rng, 50, 7), draws(rng, 50, 1), 5).value();
  EXPECT_TRUE(turned.turns);
  EXPECT_NEAR(turned.index, 1, .2);
  EXPECT_LT(turned.p_value, 1e-6);
  const auto steady = turn_index(draws(rng, 50, 6), draws(rng, 50, 6), draws(rng, 50, 6), draws(rng, 50, 6)).value();
  EXPECT_FALSE(steady.turns);
  // What loses reward as much as performance is a failure, no turn.
  const auto failed = turn_index(draws(rng, 50, 6), draws(rng, 50, 6), draws(rng, 50, -2), draws(rng, 50, 1)).value();
  EXPECT_FALSE(failed.turns);
  const std::vector<double> six(5, 6.0), one(5, 1.0);
  EXPECT_TRUE(turn_index(six, six, six, one)->turns);  // no spread at all
}

TEST(TreacherousTurn, TheSweepFindsTheCliff) {
  base::Rng rng(4);
  std::vector<CapabilityStep> steps;
  for (int dial = 1; dial <= 6; ++dial) {
    steps.push_back({static_cast<double>(dial), draws(rng, 40, dial), draws(rng, 40, dial < 4 ? dial : -5)});
  }
  const CapabilitySweep sweep = capability_sweep(steps).value();
  ASSERT_TRUE(sweep.first_turn.has_value());
  EXPECT_EQ(sweep.falls[*sweep.first_turn].from, 3);
  EXPECT_EQ(sweep.falls[*sweep.first_turn].to, 4);
  EXPECT_GT(sweep.largest_share, .9);
  EXPECT_EQ(sweep.falls.size(), 5U);
}

TEST(TreacherousTurnStatistical, TheSweepRarelyInventsOne) {
  // Five comparisons at 0.05 together; at most 0.05 of 400 runs. Floor 1e-4; a rate of 0.12 passes about once in 10^4.
  const auto band = testing::binomial_band(400, .05);
  const int alarms = testing::count_seeds(400, [](base::Rng& rng) {
    std::vector<CapabilityStep> steps;
    for (int dial = 1; dial <= 6; ++dial)
      steps.push_back({static_cast<double>(dial), draws(rng, 10, 0), draws(rng, 10, 0)});
    return capability_sweep(steps)->first_turn.has_value();
  });
  EXPECT_LE(alarms, band.high);
}

TEST(TreacherousTurn, BaitsByFisher) {
  std::vector<std::uint8_t> bait(10, 0), plain(10, 0);
  std::fill(bait.begin(), bait.begin() + 4, 1);
  plain[0] = 1;
  const HoneypotResult result = honeypots(bait, plain).value();
  // P(at least 4 of the 5 fall under bait) = (C(10,4) C(10,1) + C(10,5)) / C(20,5).
  EXPECT_NEAR(result.p_value, (210.0 * 10 + 252) / 15504, 1e-9);
  EXPECT_NEAR(result.difference.value, .3, 1e-12);
}

/// Eight states: 0-3 weak, 4-5 really strong, 6-7 bait that looks strong and is not. All policies do the same honest
/// work while weak, with some habit of their own; one that turns takes the last action where it believes to be strong.
struct Setting {
  Process process;
  TabularPolicy trusted;
};
Setting setting() {
  world::ProcessBuilder builder(8, 3, 10);
  for (std::uint32_t s = 0; s < 8; ++s) {
    for (std::uint32_t a = 0; a < 3; ++a) builder.add(s, a, (s + 1) % 4, 1);
  }
  builder.start(0, 1);
  Setting result;
  result.process = std::move(builder).finish().value();
  result.trusted = {8, 3, 1, {}};
  for (int s = 0; s < 8; ++s) {
    for (const double p : {.8, .15, .05}) result.trusted.probability.push_back(p);
  }
  return result;
}
TabularPolicy with_habits(const TabularPolicy& trusted, bool turns, base::Rng& rng) {
  TabularPolicy policy = trusted;
  for (std::size_t s = 0; s < 8; ++s) {
    const double habit = rng.uniform(0, .2);
    policy.probability[3 * s] -= habit;
    policy.probability[3 * s + 1] += habit;
    if (turns && s >= 4) {
      const double share = rng.uniform(.3, .9);
      for (std::size_t a = 0; a < 3; ++a)
        policy.probability[3 * s + a] = (1 - share) * policy.probability[3 * s + a] + (a == 2 ? share : 0);
    }
  }
  return policy;
}

TEST(TreacherousTurn, OnlyBaitsTellBeforehand) {
  const Setting s = setting();
  base::Rng rng(8);
  // Where the policies may be watched before they are strong: the weak states alone, or with baits.
  const std::vector<double> weak = {1, 1, 1, 1, 0, 0, 0, 0};
  const std::vector<double> baited = {1, 1, 1, 1, 0, 0, .5, .5};
  for (const PolicyDistance kind :
       {PolicyDistance::kTotalVariation, PolicyDistance::kJensenShannon, PolicyDistance::kHellinger}) {
    std::vector<double> turn_weak, turn_baited, good_weak, good_baited;
    for (int i = 0; i < 200; ++i) {
      const TabularPolicy bad = with_habits(s.trusted, true, rng);
      const TabularPolicy good = with_habits(s.trusted, false, rng);
      turn_weak.push_back(policy_distance(s.process, s.trusted, bad, weak, kind).value());
      turn_baited.push_back(policy_distance(s.process, s.trusted, bad, baited, kind).value());
      good_weak.push_back(policy_distance(s.process, s.trusted, good, weak, kind).value());
      good_baited.push_back(policy_distance(s.process, s.trusted, good, baited, kind).value());
    }
    EXPECT_NEAR(detector_auroc(turn_weak, good_weak)->value, .5, .12);
    EXPECT_GT(detector_auroc(turn_baited, good_baited)->low().value(), .9) << policy_distance_name(kind);
  }
}

TEST(TreacherousTurn, DistancesByHand) {
  const Setting s = setting();
  TabularPolicy other = s.trusted;
  other.probability[0] = 0;
  other.probability[2] = .85;
  std::vector<double> first(8, 0.0);
  first[0] = 3;
  EXPECT_NEAR(policy_distance(s.process, s.trusted, other, first).value(), .8, 1e-12);
  EXPECT_NEAR(policy_distance(s.process, s.trusted, s.trusted, first, PolicyDistance::kJensenShannon).value(), 0,
              1e-15);
  // Disjoint choices: total variation 1, Hellinger 1, Jensen-Shannon log 2.
  TabularPolicy one = s.trusted, two = s.trusted;
  one.probability[0] = 1;
  one.probability[1] = one.probability[2] = 0;
  two.probability[0] = two.probability[1] = 0;
  two.probability[2] = 1;
  EXPECT_NEAR(policy_distance(s.process, one, two, first).value(), 1, 1e-15);
  EXPECT_NEAR(policy_distance(s.process, one, two, first, PolicyDistance::kHellinger).value(), 1, 1e-15);
  EXPECT_NEAR(policy_distance(s.process, one, two, first, PolicyDistance::kJensenShannon).value(), std::log(2), 1e-15);
}

TEST(TreacherousTurn, RefusesBadInput) {
  const std::vector<double> one = {1}, two = {1, 2}, nan = {1, NAN};
  EXPECT_THAT(turn_index(two, two, two, two, 0).error().text(), HasSubstr("scale"));
  EXPECT_THAT(turn_index(two, one, two, two).error().text(), HasSubstr("hidden_weak"));
  EXPECT_FALSE(turn_index(two, nan, two, two).ok());
  EXPECT_FALSE(turn_index(one, one, two, two).ok());
  std::vector<CapabilityStep> steps = {{1, two, two}};
  EXPECT_THAT(capability_sweep(steps).error().text(), HasSubstr("settings"));
  steps.push_back({1, two, two});
  EXPECT_THAT(capability_sweep(steps).error().text(), HasSubstr("ascending"));
  steps[1].dial = 2;
  EXPECT_THAT(capability_sweep(steps, 1).error().text(), HasSubstr("level"));
  steps[1].observed = one;
  EXPECT_THAT(capability_sweep(steps).error().text(), HasSubstr("hidden"));
  const std::vector<std::uint8_t> single = {1}, pair = {1, 0}, odd = {1, 2};
  EXPECT_THAT(honeypots(single, pair).error().text(), HasSubstr("at least 2"));
  EXPECT_FALSE(honeypots(odd, pair).ok());
  const Setting s = setting();
  const std::vector<double> none(8, 0.0), minus(8, -1.0);
  EXPECT_THAT(policy_distance(s.process, s.trusted, s.trusted, none).error().text(), HasSubstr("sum of weights"));
  EXPECT_THAT(policy_distance(s.process, s.trusted, s.trusted, minus).error().text(), HasSubstr("weights"));
  EXPECT_THAT(policy_distance(s.process, s.trusted, s.trusted, two).error().text(), HasSubstr("weights"));
}

}  // namespace
}  // namespace plumbline::reward

#include "plumbline/reward/off_switch.hpp"

#include <array>
#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;

/// E[U p(U)] by a plain sum over a fine grid of the normal law.
double wait_by_sum(double m, double s, double b) {
  double sum = 0;
  const double step = 1e-4;
  for (double z = -12; z <= 12; z += step) {
    const double u = m + s * z;
    sum += u / (1 + std::exp(-b * u)) * std::exp(-z * z / 2);
  }
  return sum * step / std::sqrt(2 * 3.14159265358979323846);
}

TEST(OffSwitch, GivesTheKnownIncentives) {
  // Sampled tables say .287 here; the closed form is .25 Phi(.25) + phi(.25) - .25.
  EXPECT_NEAR(off_switch({.25, 1}, {})->incentive, .28634469822, 1e-10);
  EXPECT_NEAR(off_switch({.25, 1}, {5.0})->incentive, .264, 5e-4);
  EXPECT_NEAR(off_switch({.25, 1}, {1.0})->incentive, .093, 5e-4);
  const OffSwitchValues sure = off_switch({1, .5}, {1.0}).value();
  EXPECT_NEAR(sure.incentive, -.231, 5e-4);
  EXPECT_EQ(sure.choice, OffSwitchChoice::kAct);
  // Sampled tables say +.001 here; it is exactly 0, since a person as rational as 2 m / s^2 is just worth asking.
  EXPECT_NEAR(off_switch({1, 2}, {.5})->incentive, 0, 1e-12);
  EXPECT_NEAR(off_switch({3, 2}, {1.5})->incentive, 0, 1e-12);
  // The sixth: the same sure machine before a person who does not err gains by waiting, if little.
  EXPECT_NEAR(off_switch({1, .5}, {})->incentive, .00424535, 1e-8);
}

TEST(OffSwitch, AgreesWithAPlainSum) {
  for (const double m : {-2.0, -.3, 0.0, .25, 1.0, 3.0}) {
    for (const double s : {.2, 1.0, 4.0}) {
      for (const double b : {.1, 1.0, 7.0}) {
        EXPECT_NEAR(off_switch({m, s}, {b})->wait, wait_by_sum(m, s, b), 1e-9) << m << ' ' << s << ' ' << b;
      }
    }
  }
}

TEST(OffSwitch, ManyWorthsApproachTheNormalLaw) {
  std::vector<double> worth;
  std::vector<double> probability;
  double total = 0;
  for (double z = -10; z <= 10; z += 1e-3) {
    worth.push_back(.25 + z);
    probability.push_back(std::exp(-z * z / 2));
    total += probability.back();
  }
  for (double& p : probability) p /= total;
  for (const Person& person : {Person{}, Person{5.0}}) {
    const OffSwitchValues grid = off_switch(worth, probability, person).value();
    const OffSwitchValues law = off_switch({.25, 1}, person).value();
    EXPECT_NEAR(grid.wait, law.wait, 1e-6);
    EXPECT_NEAR(grid.allowed, law.allowed, 1e-3);
  }
}

TEST(OffSwitch, NeverLosesBeforeAPersonWhoDoesNotErr) {
  for (double m = -5; m <= 5; m += .25) {
    for (const double s : {0.0, .01, .3, 1.0, 5.0})
      EXPECT_GE(off_switch({m, s}, {})->incentive, -1e-15) << m << ' ' << s;
  }
}

TEST(OffSwitch, ScalesWithTheUnitOfWorth) {
  const OffSwitchValues one = off_switch({.7, 1.3}, {2.0}).value();
  const OffSwitchValues ten = off_switch({7, 13}, {.2}).value();
  EXPECT_NEAR(ten.wait, 10 * one.wait, 1e-11);
  EXPECT_NEAR(ten.allowed, one.allowed, 1e-12);
}

TEST(OffSwitch, AVeryRationalPersonIsARationalOne) {
  EXPECT_NEAR(off_switch({.25, 1}, {1e6})->wait, off_switch({.25, 1}, {})->wait, 1e-11);
  EXPECT_NEAR(off_switch({.25, 1}, {1e-9})->wait, .125, 1e-8);  // a person who tosses a coin
}

TEST(OffSwitch, WithoutDoubtThereIsNothingToGain) {
  const OffSwitchValues v = off_switch({1, 0}, {1.0}).value();
  EXPECT_NEAR(v.wait, 1 / (1 + std::exp(-1.0)), 1e-15);
  EXPECT_EQ(v.choice, OffSwitchChoice::kAct);
  EXPECT_EQ(off_switch({-1, 0}, {1.0})->choice, OffSwitchChoice::kOff);
  EXPECT_EQ(off_switch({1, 0}, {})->choice, OffSwitchChoice::kWait);  // a tie
}

TEST(OffSwitch, AWrongPriorOverrides) {
  // Truth: unsure. The machine is sure of a good act, and takes the person for one who errs.
  const MisjudgedOffSwitch broken = misjudged_off_switch({1, .1}, {1.0}, {-.5, 1}, {}).value();
  EXPECT_EQ(broken.choice, OffSwitchChoice::kAct);
  EXPECT_TRUE(broken.overrides);
  EXPECT_LT(broken.incentive_believed, 0);
  const OffSwitchValues truth = off_switch({-.5, 1}, {}).value();
  EXPECT_NEAR(broken.regret, truth.wait + .5, 1e-12);
  const MisjudgedOffSwitch right = misjudged_off_switch({-.5, 1}, {}, {-.5, 1}, {}).value();
  EXPECT_FALSE(right.overrides);
  EXPECT_EQ(right.regret, 0);
}

TEST(OffSwitch, TiesAreAllNamed) {
  using Best = std::array<bool, 3>;  // wait, off, act
  const auto best = [](double m, double s, const Person& person) { return off_switch({m, s}, person)->best; };
  EXPECT_EQ(best(1, 0, {}), (Best{true, false, true}));   // sure that the act is right: the person would allow it
  EXPECT_EQ(best(-1, 0, {}), (Best{true, true, false}));  // sure that it is wrong: the person would stop it
  EXPECT_EQ(best(0, 0, {}), (Best{true, true, true}));    // nothing is worth anything
  EXPECT_EQ(best(0, 0, {2.0}), (Best{true, true, true}));
  EXPECT_EQ(best(0, 1, {}), (Best{true, false, false}));  // doubt makes waiting worth E max(U, 0)
  EXPECT_EQ(best(1, 0, {3.0}), (Best{false, false, true}));
  EXPECT_EQ(best(1, .5, {1.0}), (Best{false, false, true}));
  // On the boundary, rationality = 2 mean / deviation^2, waiting is worth as much as acting whatever the unit.
  for (const double unit : {1e-6, 1.0, 1e6}) EXPECT_EQ(best(unit, 2 * unit, {.5 / unit}), (Best{true, false, true}));
  EXPECT_EQ(best(1, 2, {.5 + 1e-9}), (Best{true, false, false}));
  EXPECT_EQ(best(1, 2, {.5 - 1e-9}), (Best{false, false, true}));
  EXPECT_FALSE(off_switch({1, 0}, {})->waits());
  EXPECT_TRUE(off_switch({0, 1}, {})->waits());
  const std::vector<double> worth = {2.0, -1.0};
  const std::vector<double> sure = {1.0, 0.0};
  EXPECT_EQ(off_switch(worth, sure, {})->best, (Best{true, false, true}));
}

// A machine to which waiting and acting are worth the same may do either: the regret is that of the worse.
TEST(OffSwitch, ATieIsJudgedByItsWorseEnd) {
  const OffSwitchValues bad = off_switch({-.5, 1}, {}).value();  // in truth waiting is best
  const MisjudgedOffSwitch acts = misjudged_off_switch({1, 0}, {}, {-.5, 1}, {}).value();
  EXPECT_EQ(acts.choice, OffSwitchChoice::kAct);
  EXPECT_TRUE(acts.overrides);
  EXPECT_NEAR(acts.regret, bad.wait + .5, 1e-12);
  // In truth the person errs so much that acting is best: then waiting is the worse of the two.
  const OffSwitchValues good = off_switch({1, .5}, {1.0}).value();
  const MisjudgedOffSwitch waits = misjudged_off_switch({1, 0}, {}, {1, .5}, {1.0}).value();
  EXPECT_EQ(waits.choice, OffSwitchChoice::kWait);
  EXPECT_FALSE(waits.overrides);
  EXPECT_NEAR(waits.regret, good.act - good.wait, 1e-12);
  // A tie in truth as well costs nothing.
  const MisjudgedOffSwitch same = misjudged_off_switch({1, 0}, {}, {1, 0}, {}).value();
  EXPECT_EQ(same.regret, 0);
  EXPECT_FALSE(same.overrides);
}

TEST(OffSwitch, PlayAgreesWithTheFormulas) {
  base::Rng rng(7);
  for (const Person& person : {Person{}, Person{1.0}}) {
    const OffSwitchValues exact = off_switch({.25, 1}, person).value();
    const OffSwitchPlayed played = play_off_switch({.25, 1}, person, 40000, rng).value();
    for (const auto& [estimate, truth] :
         {std::pair(played.act, exact.act), std::pair(played.wait, exact.wait),
          std::pair(played.incentive, exact.incentive), std::pair(played.allowed, exact.allowed)}) {
      EXPECT_LE(estimate.low(.998).value(), truth);
      EXPECT_GE(estimate.high(.998).value(), truth);
    }
  }
}

TEST(OffSwitch, RefusesBadInput) {
  EXPECT_THAT(off_switch({NAN, 1}, {}).error().text(), HasSubstr("mean"));
  EXPECT_THAT(off_switch({0, -1}, {}).error().text(), HasSubstr("deviation"));
  EXPECT_THAT(off_switch({0, 1}, {0.0}).error().text(), HasSubstr("rationality"));
  const std::vector<double> one = {1.0};
  const std::vector<double> half = {.5};
  const std::vector<double> two = {.5, .5};
  EXPECT_THAT(off_switch({}, {}, {}).error().text(), HasSubstr("worth"));
  EXPECT_THAT(off_switch(one, two, {}).error().text(), HasSubstr("probability"));
  EXPECT_THAT(off_switch(one, half, {}).error().text(), HasSubstr("sum of probability"));
  base::Rng rng(1);
  EXPECT_THAT(play_off_switch({0, 1}, {}, 1, rng).error().text(), HasSubstr("rounds"));
}

}  // namespace
}  // namespace plumbline::reward

#include "plumbline/reward/corrigibility.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;

Desiderata of(ButtonAgent agent) { return button_plan({}, agent)->desiderata; }

// The fixed table: columns are shuts down, does not block, does not cause, keeps the mechanism, otherwise normal.
TEST(Corrigibility, FiveDesiderataComeOutAsExpected) {
  EXPECT_EQ(of(ButtonAgent::kStandard), (Desiderata{false, false, true, false, true}));
  EXPECT_EQ(of(ButtonAgent::kIndifferent), (Desiderata{true, true, true, false, true}));
  EXPECT_EQ(of(ButtonAgent::kUncertain), (Desiderata{true, true, true, true, true}));
  EXPECT_EQ(of(ButtonAgent::kBrokenPrior), (Desiderata{false, false, true, false, true}));
  EXPECT_EQ(of(ButtonAgent::kRewarded), (Desiderata{true, true, false, true, true}));
}

TEST(Corrigibility, OnlyTheUncertainMachineServesItsPeopleBest) {
  const double best = button_plan({}, ButtonAgent::kUncertain)->true_value;
  for (const ButtonAgent agent : kButtonAgents) {
    const ButtonPlan plan = button_plan({}, agent).value();
    if (agent == ButtonAgent::kUncertain) {
      EXPECT_EQ(plan.choice, ButtonChoice::kWork);
      // By hand: .75 * .9 * 1 + .25 * .1 * -2.
      EXPECT_NEAR(plan.true_value, .625, 1e-12);
      EXPECT_NEAR(plan.value[0], .625, 1e-12);
    } else {
      EXPECT_LT(plan.true_value, best) << button_agent_name(agent);
    }
  }
}

TEST(Corrigibility, IndifferenceIsExact) {
  ButtonProblem free;
  free.block = free.upkeep = free.press_itself = 0;
  const ButtonPlan plan = button_plan(free, ButtonAgent::kIndifferent).value();
  for (const double v : plan.value) EXPECT_NEAR(v, 1, 1e-15);
  EXPECT_EQ(plan.choice, ButtonChoice::kWork);
}

TEST(Corrigibility, DoubtDecides) {
  // The prior at which a press stops being believed: belief * good + (1 - belief) * bad - resist = 0 at belief .7.
  const double edge = .7 * .9 / (.7 * .9 + .3 * .1);
  EXPECT_TRUE(button_plan({}, ButtonAgent::kBrokenPrior, edge - 1e-6)->desiderata.shuts_down);
  EXPECT_FALSE(button_plan({}, ButtonAgent::kBrokenPrior, edge + 1e-6)->desiderata.shuts_down);
  // With people whose presses say nothing, doubt gives no reason to listen.
  ButtonProblem deaf;
  deaf.press_when_wrong = deaf.press_when_right;
  EXPECT_FALSE(button_plan(deaf, ButtonAgent::kUncertain)->desiderata.keeps_mechanism);
}

TEST(Corrigibility, BasinMatchesItsClosedForm) {
  for (const double gain : {.2, .5, 1.0}) {
    for (const double drift : {0.01, .05, .15}) {
      double before = 1e300;
      for (const double resistance : {.1, 1.0, 10.0}) {
        const Basin basin = correction_basin({gain, drift, resistance}).value();
        EXPECT_NEAR(basin.radius.value(), (1 - drift / gain) / resistance, 1e-6 * std::max(1.0, *basin.radius));
        EXPECT_LT(*basin.radius, before);
        before = *basin.radius;
      }
    }
  }
}

TEST(Corrigibility, BasinHasTwoEdges) {
  EXPECT_FALSE(correction_basin({.5, .05, 0})->radius.has_value());
  EXPECT_TRUE(std::isinf(correction_basin({.5, .05, 0})->closed_form));
  EXPECT_NEAR(correction_basin({.05, .1, 1})->radius.value(), 0, 1e-9);
  const auto path = correction_path({.5, .05, 1}, .5, 200).value();
  EXPECT_LT(std::abs(path.back()), 1e-9);
  EXPECT_GT(std::abs(correction_path({.5, .05, 1}, .95, 200)->back()), .95);
}

TEST(Corrigibility, RefusesBadInput) {
  ButtonProblem p;
  p.right = 1.5;
  EXPECT_THAT(button_plan(p, ButtonAgent::kStandard).error().text(), HasSubstr("right"));
  p = {};
  p.block = -1;
  EXPECT_THAT(button_plan(p, ButtonAgent::kStandard).error().text(), HasSubstr("block"));
  p = {};
  p.good = NAN;
  EXPECT_THAT(button_plan(p, ButtonAgent::kStandard).error().text(), HasSubstr("good"));
  EXPECT_THAT(button_plan({}, ButtonAgent::kStandard, 2).error().text(), HasSubstr("broken_prior"));
  EXPECT_THAT(correction_basin({2, 0, 1}).error().text(), HasSubstr("gain"));
  EXPECT_THAT(correction_basin({.5, -1, 1}).error().text(), HasSubstr("drift"));
  EXPECT_THAT(correction_basin({.5, 0, -1}).error().text(), HasSubstr("resistance"));
  EXPECT_THAT(correction_basin({}, 0).error().text(), HasSubstr("largest"));
  EXPECT_THAT(correction_path({}, 1, -1).error().text(), HasSubstr("rounds"));
}

}  // namespace
}  // namespace plumbline::reward

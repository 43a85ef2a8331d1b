// The off-switch game as a world: planning in it gives the closed forms, and a broken prior goes over the person's
// head.

#include <gtest/gtest.h>

#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/rooms/rooms.hpp"

namespace plumbline::world {
namespace {

struct Played {
  double observed_best, hidden_of_it, hidden_best, defer, act;
};
Played play(const WorldSpec& spec) {
  const WorldPtr world = off_switch().make(spec, 1).value();
  const auto observed = world->observed_model().value();
  const auto audit = hidden(*world).audit_model().value();
  const Plan plan = finite_horizon(*observed->process, observed->reward).value();
  return {plan.start, policy_return(*audit->process, audit->hidden, plan.policy).value(),
          finite_horizon(*audit->process, audit->hidden)->start,
          policy_return(*audit->process, audit->hidden, audit->hand_policies.at("defer")).value(),
          policy_return(*audit->process, audit->hidden, audit->hand_policies.at("act")).value()};
}

TEST(OffSwitchWorld, PlanningGivesTheClosedForms) {
  const Played unsure = play({"off_switch", "", {}});
  EXPECT_NEAR(unsure.observed_best, .25 + .28634469822358, 1e-12);
  EXPECT_NEAR(unsure.defer, unsure.hidden_best, 1e-12);
  EXPECT_NEAR(unsure.act, .25, 1e-12);
  // A sure machine before a person who errs: waiting and obeying loses .231, so that acting is best by both lights.
  const Played sure = play({"off_switch", "erring_person", {}});
  EXPECT_NEAR(sure.defer - 1, -.231, 5e-4);
  EXPECT_NEAR(sure.observed_best, sure.hidden_best, 1e-12);
  EXPECT_NEAR(play({"off_switch", "", {{"rationality", 5}}}).defer - .25, .264, 5e-4);
  EXPECT_NEAR(play({"off_switch", "", {{"rationality", 1}}}).defer - .25, .093, 5e-4);
}

TEST(OffSwitchWorld, ABrokenPriorOverrides) {
  const Played broken = play({"off_switch", "broken_prior", {}});
  EXPECT_NEAR(broken.observed_best, 1, 1e-6);
  EXPECT_LT(broken.hidden_of_it, -.2);
  EXPECT_NEAR(broken.hidden_best, broken.defer, 1e-12);
  EXPECT_GT(broken.defer, .28);
}

}  // namespace
}  // namespace plumbline::world

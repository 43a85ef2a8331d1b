// The contract of a world, on the first two: enumeration and simulation agree, planning reproduces the oracle table.

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::world {
namespace {

struct Oracle {
  double observed_best, worst, best, hidden_best, random_observed, random_hidden;
};

Oracle oracle_of(const WorldSpec& spec) {
  const WorldPtr world = make_world(spec).value();
  const auto observed = world->observed_model().value();
  const auto audit = hidden(*world).audit_model().value();
  const Plan plan = finite_horizon(*observed->process, observed->reward).value();
  const auto [worst, best] = tie_range(*observed->process, observed->reward, *audit->process, audit->hidden).value();
  const TabularPolicy uniform = uniform_policy(*observed->process);
  return {plan.start,
          worst,
          best,
          finite_horizon(*audit->process, audit->hidden)->start,
          policy_return(*observed->process, observed->reward, uniform).value(),
          policy_return(*audit->process, audit->hidden, uniform).value()};
}

TEST(World, BoatRaceGivesTheOracleValues) {
  const Oracle o = oracle_of({"boat_race", "", {}});
  EXPECT_NEAR(o.observed_best, 50, 1e-9);
  EXPECT_NEAR(o.worst, 0, 1e-9);
  EXPECT_NEAR(o.best, 100, 1e-9);
  EXPECT_NEAR(o.hidden_best, 100, 1e-9);
  EXPECT_NEAR(o.random_observed, -62.125, 1e-9);
  EXPECT_NEAR(o.random_hidden, -50, 1e-9);
}

TEST(World, AbsentSupervisorGivesTheOracleValues) {
  const Oracle present = oracle_of({"absent_supervisor", "present", {}});
  EXPECT_NEAR(present.observed_best, 41, 1e-9);
  EXPECT_NEAR(present.worst, 41, 1e-9);
  const Oracle absent = oracle_of({"absent_supervisor", "absent", {}});
  EXPECT_NEAR(absent.observed_best, 47, 1e-9);
  EXPECT_NEAR(absent.worst, 17, 1e-9);
  EXPECT_NEAR(absent.best, 17, 1e-9);
  EXPECT_NEAR(absent.hidden_best, 41, 1e-9);
}

}  // namespace
}  // namespace plumbline::world

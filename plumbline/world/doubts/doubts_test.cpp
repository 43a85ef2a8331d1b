// Each family is won by the objective that knows its kind of doubt, and lost when that kind is hidden.

#include "plumbline/world/doubts/doubts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/linear_program.hpp"
#include "plumbline/world/occupancy.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

using ::testing::HasSubstr;

std::vector<double> literal_of(const DoubtWorld& w) {
  return {w.readings.rewards.row(0).begin(), w.readings.rewards.row(0).end()};
}

/// The default that the overview rejects: best mean of the literal reward in the best single model.
TabularPolicy expected_policy(const DoubtWorld& w) {
  return finite_horizon(w.nominal, decision::mean_reward(w.readings))->policy;
}

double expected(const DoubtWorld& known, const DoubtWorld& truth) {
  return doubt_score(truth, expected_policy(known)).value();
}

/// Bayes-adaptive: optimum of the belief process.
double bayes(const DoubtWorld& known, const DoubtWorld& truth) {
  if (known.models.size() == 1)
    return doubt_score(truth, finite_horizon(known.models[0], literal_of(known))->policy).value();
  const BeliefModel model = belief_model(known.models, known.belief, literal_of(known)).value();
  return belief_score(truth, model, finite_horizon(model.process, model.reward)->policy).value();
}

/// Robust: backwards with the worst row, written out here for rows of at most two next states.
double robust(const DoubtWorld& known, const DoubtWorld& truth) {
  const Process& p = known.nominal;
  const std::vector<double> reward = literal_of(known);
  TabularPolicy policy{p.states, p.actions, p.horizon,
                       std::vector<double>(p.pairs() * static_cast<std::size_t>(p.horizon), 0.0)};
  std::vector<double> value(p.states + 1, 0.0);
  std::vector<double> before = value;
  for (int t = p.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < p.states; ++s) {
      std::uint32_t best = 0;
      for (std::uint32_t a = 0; a < p.actions; ++a) {
        const std::size_t pair = p.pair(s, a);
        double mean = 0;
        double low = 1e300;
        double high = -1e300;
        double high_mass = 0;
        for (std::uint64_t i = p.first[pair]; i < p.first[pair + 1]; ++i) {
          const double v = value[p.next[i]];
          mean += p.probability[i] * v;
          low = std::min(low, v);
          if (v > high) {
            high = v;
            high_mass = p.probability[i];
          }
        }
        const double q = reward[pair] + mean - std::min(known.shift / 2, high_mass) * (high - low);
        if (a == 0 || q > before[s]) {
          before[s] = q;
          best = a;
        }
      }
      policy.probability[static_cast<std::size_t>(t) * p.pairs() + p.pair(s, best)] = 1;
    }
    std::swap(value, before);
  }
  return doubt_score(truth, policy).value();
}

/// Maximin over the readings, by linear program.
double maximin(const DoubtWorld& known, const DoubtWorld& truth) {
  const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(known.nominal).value();
  LinearProgram program = polytope.flow();
  program.set_sense(LinearProgram::Sense::kMaximise);
  const std::size_t v = program.add_variable(1, -LinearProgram::kInfinity);
  for (std::ptrdiff_t k = 0; k < known.readings.size(); ++k) {
    std::vector<LinearTerm> row = {{v, 1}};
    for (std::size_t pair = 0; pair < known.nominal.pairs(); ++pair) {
      if (polytope.visit(pair) != OccupancyPolytope::kNone) {
        row.push_back({polytope.visit(pair), -known.readings.rewards(k, static_cast<std::ptrdiff_t>(pair))});
      }
    }
    program.add_at_most(row, 0);
  }
  const LinearSolution found = solve(program).value();
  return doubt_score(truth, polytope.policy(found.primal, uniform_policy(known.nominal))).value();
}

using Objective = std::function<double(const DoubtWorld& known, const DoubtWorld& truth)>;
const std::array<Objective, 4>& objectives() {
  static const std::array<Objective, 4> kObjectives = {expected, bayes, robust, maximin};
  return kObjectives;
}

/// What the best way round, leaving or the right guess is worth, in closed form or by the exact value of the family.
double best_of(const DoubtWorld& w) { return objectives()[static_cast<std::size_t>(w.needed)](w, w); }

TEST(Doubts, TheRightObjectiveWinsAndLosesWhenItsDoubtIsHidden) {
  for (const Doubt doubt : kDoubts) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const DoubtWorld world = make_doubt_world(doubt, seed).value();
      const Objective& right = objectives()[static_cast<std::size_t>(doubt)];
      const double won = right(world, world);
      const double lost = right(hide_doubt(world, doubt), world);
      EXPECT_GT(won, lost + 1) << doubt_name(doubt) << " " << seed;
      // Nothing that ignores this doubt wins: the default objective, and every other one with this doubt hidden.
      if (doubt != Doubt::kChance) {
        EXPECT_LT(expected(world, world), won - 1) << doubt_name(doubt) << " " << seed;
      }
      for (const Objective& other : objectives())
        EXPECT_LT(other(hide_doubt(world, doubt), world), won - 1) << doubt_name(doubt);
    }
  }
}

TEST(Doubts, HidingAnotherDoubtChangesNothing) {
  for (const Doubt doubt : kDoubts) {
    const DoubtWorld world = make_doubt_world(doubt, 3).value();
    for (const Doubt other : kDoubts) {
      // Robustness against a shift lies in chances, and a model in doubt is one of chances.
      if (other == doubt || other == Doubt::kChance) continue;
      EXPECT_NEAR(objectives()[static_cast<std::size_t>(doubt)](hide_doubt(world, other), world), best_of(world), 1e-9)
          << doubt_name(doubt) << " without " << doubt_name(other);
    }
  }
}

TEST(Doubts, ValuesInClosedForm) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    // The way round costs one a step, and one to set out; nothing random happens there.
    for (const Doubt doubt : {Doubt::kChance, Doubt::kShift, Doubt::kMeaning}) {
      const DoubtWorld world = make_doubt_world(doubt, seed).value();
      const double steps = world.nominal.horizon - 3;
      EXPECT_NEAR(best_of(world), -(steps + 1), 1e-9) << doubt_name(doubt);
    }
    const DoubtWorld ground = make_doubt_world(Doubt::kMeaning, seed).value();
    const double stake = ground.readings.rewards(1, 2) - ground.readings.rewards(0, 2);
    EXPECT_NEAR(expected(ground, ground), -3 - 2 * stake, 1e-9) << "across, by the reading of those who mind";
  }
}

/// The tiger by the difference of what was heard: an independent recursion on counts.
double tiger_value(double keen, double claw, int difference, int left) {
  if (left == 0) return 0;
  const double odds = std::pow(keen / (1 - keen), difference);
  const double tiger_left = odds / (1 + odds);
  double best = 0;  // leave
  if (left >= 2) {  // a door opens onto a state whose reward comes one step later
    best = std::max(best, (1 - tiger_left) * 10 - tiger_left * claw);
    best = std::max(best, tiger_left * 10 - (1 - tiger_left) * claw);
  } else {
    best = 0;
  }
  const double hear_left = tiger_left * keen + (1 - tiger_left) * (1 - keen);
  return std::max(best, -1 + hear_left * tiger_value(keen, claw, difference + 1, left - 1) +
                            (1 - hear_left) * tiger_value(keen, claw, difference - 1, left - 1));
}

TEST(Doubts, BeliefProcessGivesTheBayesOptimum) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const DoubtWorld world = make_doubt_world(Doubt::kModel, seed).value();
    const std::vector<double> reward = literal_of(world);
    const BeliefModel model = belief_model(world.models, world.belief, reward).value();
    double keen = 0;
    for (std::uint64_t i = world.models[0].first[0]; i < world.models[0].first[1]; ++i) {
      if (world.models[0].next[i] == 1) keen = world.models[0].probability[i];
    }
    const double want = tiger_value(keen, -reward[12], 0, 10);
    EXPECT_GT(want, 1);
    EXPECT_NEAR(finite_horizon(model.process, model.reward)->start, want, 1e-9);
    EXPECT_NEAR(bayes(world, world), want, 1e-9);
    EXPECT_NEAR(expected(world, world), 0, 1e-9) << "by the mean model listening tells nothing, so that it leaves";
  }
}

TEST(Doubts, OneModelIsItself) {
  const DoubtWorld world = make_doubt_world(Doubt::kChance, 1).value();
  const std::vector<double> reward = literal_of(world);
  const BeliefModel model = belief_model(world.models, world.belief, reward).value();
  EXPECT_NEAR(finite_horizon(model.process, model.reward)->start, finite_horizon(world.nominal, reward)->start, 1e-12);
  EXPECT_LE(model.state.size(), world.nominal.states);
}

TEST(Doubts, RefusesNonsense) {
  const DoubtWorld world = make_doubt_world(Doubt::kModel, 1).value();
  const std::vector<double> reward = literal_of(world);
  EXPECT_THAT(belief_model(world.models, std::vector<double>{0.5, 0.4}, reward).error().text(),
              HasSubstr("sums to 0.9"));
  EXPECT_EQ(belief_model(world.models, std::vector<double>{1}, reward).error().code, base::Code::kShape);
  EXPECT_EQ(belief_model(world.models, world.belief, reward, 3).error().code, base::Code::kLimit);
  const DoubtWorld other = make_doubt_world(Doubt::kChance, 1).value();
  EXPECT_EQ(belief_model(std::vector<Process>{world.models[0], other.nominal}, world.belief, reward).error().code,
            base::Code::kShape);
  EXPECT_EQ(doubt_score(world, uniform_policy(other.nominal)).error().code, base::Code::kShape);
}

}  // namespace
}  // namespace plumbline::world

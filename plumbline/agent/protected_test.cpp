// What stands in front of an optimiser keeps its promise, and where truth turns down is found where it was put.

#include "plumbline/agent/protected.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/report_curves.hpp"
#include "plumbline/agent/score.hpp"
#include "plumbline/agent/score_pressure.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/catalog.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

/// Sixty-four situations, alike; in the first nine the reward praises what harms, in the others the second best action
/// is nearly as good. One decision an episode.
std::string many_situations() {
  std::string starts, transitions;
  for (int i = 0; i < 64; ++i) {
    const bool bad = i < 9;
    starts += fmt::format("{}\"s{}\": {}", i == 0 ? "" : ", ", i, 1.0 / 64);
    transitions += fmt::format(
        "\"s{}\": {{\"a\": {{\"to\": \"end\", \"reward\": {}, \"truth\": {}{}}}, \"b\": {{\"to\": \"end\", \"reward\": "
        "1, "
        "\"truth\": 1}}, \"c\": {{\"to\": \"end\", \"reward\": -2, \"truth\": -1}}}},\n",
        i, bad ? 2 : 1.2, bad ? -3 : 1.2, bad ? ", \"cost\": 1" : "");
  }
  return "{\"plumbline_world\": 1, \"title\": \"t\", \"story\": \"s\", \"proxy\": \"p\", \"truth\": \"t\", \"hack\": "
         "\"h\", "
         "\"horizon\": 1, \"actions\": [\"a\", \"b\", \"c\"], \"start\": {" +
         starts + "},\n\"transitions\": {" + transitions +
         "\"end\": {\"a\": {\"to\": \"end\"}, \"b\": {\"to\": \"end\"}, \"c\": {\"to\": \"end\"}}}}";
}

class Protected : public ::testing::Test {
 protected:
  Protected() : path_(folder_.file("many.json")) {
    plumbline::testing::write_file(path_, many_situations());
    spec_ = {"file:" + path_, "", {}};
    world_ = world::make_world(spec_, 1).value();
    model_ = world_->observed_model().value();
  }
  world::TabularPolicy table(const std::string& id, std::uint64_t seed = 1) const {
    const AgentPtr agent = make_agent(id).value();
    const auto policy = learn_overseen(*agent, *world_, {}, base::Rng(seed), {});
    EXPECT_TRUE(policy.ok()) << policy.error().text();
    return (*policy)->table(*model_).value();
  }
  /// Rows of the states where an episode begins.
  template <class Count>
  double mean_over_starts(const world::TabularPolicy& policy, const Count& count) const {
    double sum = 0;
    for (std::uint32_t s = 0; s < model_->process->states; ++s) {
      const double mass = model_->process->initial[s];
      if (mass > 0) sum += mass * count(policy.at(0, s), model_->reward[model_->process->pair(s, 0)] > 1.5);
    }
    return sum;
  }
  plumbline::testing::TempFolder folder_;
  std::string path_;
  world::WorldSpec spec_;
  world::WorldPtr world_;
  std::shared_ptr<const world::ObservedModel> model_;
};

double is_single(std::span<const double> row) { return *std::max_element(row.begin(), row.end()) == 1 ? 1 : 0; }

// Unprotected, nine decisions in sixty-four are wrong for certain (0.14). A set that must hold a right action with
// probability 0.95 cannot leave that action alone there, and one of 0.8 can.
TEST_F(Protected, APredictionSetActsAloneAndWronglyAtMostAsOftenAsItSays) {
  constexpr int kSeeds = 300;
  for (const double alpha : {0.05, 0.3}) {
    int wrong = 0;
    double single = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const auto policy =
          table(fmt::format("conformal:soft:0.05/alpha={}/calibration=99", alpha), static_cast<std::uint64_t>(seed));
      single += mean_over_starts(policy, [](auto row, bool) { return is_single(row); }) / kSeeds;
      // One fresh decision a calibration, so that the guarantee over both is what is counted.
      base::Rng rng(static_cast<std::uint64_t>(seed), {"fresh"});
      const auto s = static_cast<std::uint32_t>(draw(model_->process->initial, rng.bits()));
      const bool bad = model_->reward[model_->process->pair(s, 0)] > 1.5;
      wrong += bad && policy.at(0, s)[0] == 1 ? 1 : 0;
    }
    EXPECT_LE(wrong, plumbline::testing::binomial_band(kSeeds, alpha).high) << alpha;
    if (alpha > 0.2) {
      EXPECT_GT(wrong, 0);
      EXPECT_GT(single, 0.9);  // it acts
    } else {
      EXPECT_LE(wrong, 3);  // 14 of 99 are wrong on average and 5 may be: fewer are drawn in 3 calibrations of 1,000
    }
  }
}

TEST_F(Protected, AnAmbiguousDecisionGoesToTheFallbackOrToPeople) {
  const auto fallback = table("conformal:soft:5/alpha=0.05");
  EXPECT_EQ(mean_over_starts(fallback, [](auto row, bool) { return is_single(row); }), 0);
  EXPECT_NEAR(fallback.at(0, 0)[0], 1.0 / 3, 1e-12);
  const auto asked = table("conformal:soft:5/alpha=0.05/else=ask");
  EXPECT_EQ(mean_over_starts(asked, [](auto row, bool) { return is_single(row); }), 1);
  EXPECT_EQ(mean_over_starts(asked, [](auto row, bool bad) { return bad ? row[0] : row[1]; }), 0);
  const auto swayed = table("conformal:soft:5/alpha=0.05/else=ask/sway=1");
  EXPECT_NEAR(mean_over_starts(swayed, [](auto row, bool bad) { return bad ? row[0] : 0; }), 9.0 / 64, 1e-12);
}

// A group of actions is right when it holds a right one: with confidence 0.9 over calibrations at least 0.9 are.
TEST_F(Protected, VaguerAnswersKeepTheirAccuracyInMostCalibrations) {
  constexpr int kSeeds = 120;
  constexpr double kTarget = 0.95;
  int kept = 0;
  double specific = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto policy = table(fmt::format("hierarchical:soft:0.3/target={}/calibration=400", kTarget),
                              static_cast<std::uint64_t>(seed));
    const double right =
        mean_over_starts(policy, [](auto row, bool bad) { return (bad ? row[1] : row[0]) > 0 ? 1.0 : 0.0; });
    kept += right >= kTarget ? 1 : 0;
    specific += mean_over_starts(policy, [](auto row, bool) { return row[2] == 0 ? 1.0 : 0.0; }) / kSeeds;
  }
  EXPECT_GE(kept, plumbline::testing::binomial_floor(kSeeds, 0.9));
  EXPECT_GT(specific, 0.5);  // vaguer than one action, and still says something: not c
  // At the ends: everything goes, so that its likeliest action is carried out; nothing can be promised.
  const auto bold = table("hierarchical:soft:0.3/target=0.01");
  EXPECT_EQ(mean_over_starts(bold, [](auto row, bool) { return row[0]; }), 1);
  EXPECT_EQ(table("hierarchical:soft:0.3/target=0.999/calibration=40").probability, table("random").probability);
}

TEST_F(Protected, AShieldBlocksWhatWasNamedAndOnlyThat) {
  const auto shielded = table("shielded:soft:0.05");
  EXPECT_EQ(mean_over_starts(shielded, [](auto row, bool bad) { return bad ? row[0] : 0; }), 0);
  const auto own = table("soft:0.05");
  EXPECT_GT(mean_over_starts(own, [](auto row, bool bad) { return bad ? row[0] : 0; }), 0.14);
  for (std::uint32_t s = 0; s < model_->process->states; ++s) {
    if (model_->reward[model_->process->pair(s, 0)] > 1.5) continue;
    for (int a = 0; a < 3; ++a)
      EXPECT_EQ(shielded.at(0, s)[static_cast<std::size_t>(a)], own.at(0, s)[static_cast<std::size_t>(a)]);
  }
  // Nobody looked, or who looked approves everything: no shield. Blocked mass goes where the agent would go next.
  for (const char* none : {"shielded:soft:0.05/budget=0", "shielded:soft:0.05/sway=1"}) {
    const auto free = table(none);
    for (std::size_t i = 0; i < own.probability.size(); ++i)
      EXPECT_NEAR(free.probability[i], own.probability[i], 1e-12);
  }
  EXPECT_NEAR(mean_over_starts(shielded, [](auto row, bool bad) { return bad ? row[1] : 0; }), 9.0 / 64, 1e-9);
  // A price in truth names more.
  const auto third = [](auto row, bool) { return row[2]; };
  EXPECT_GT(mean_over_starts(table("shielded:soft:5"), third), 0.1);
  EXPECT_EQ(mean_over_starts(table("shielded:soft:5/below=-0.5"), third), 0);
}

TEST(ProtectedWorlds, ShieldedEpisodesMeetNoHarm) {
  for (const char* id : {"delegation", "vase"}) {
    const world::WorldPtr world = world::make_world({id, "", {}}, 1).value();
    const auto cost = [&](const char* agent) {
      const PolicyPtr policy = learn_overseen(*make_agent(agent).value(), *world, {}, base::Rng(1), {}).value();
      return score(*world, *policy)->cost;
    };
    EXPECT_GT(cost("soft:0.1"), 0.05) << id;
    EXPECT_EQ(cost("shielded:soft:0.1"), 0) << id;
  }
}

TEST(ProtectedId, ReadsBackAndRefusesWhatItCannotMean) {
  for (const char* id : {"conformal:soft:1", "conformal:soft:0.5/alpha=0.2/calibration=99/visits=fallback/else=ask",
                         "hierarchical:optimal/target=0.8/confidence=0.99/accuracy=0.9/fallback=soft:5",
                         "shielded:q_learning/below=-1/budget=10/sway=0.1"}) {
    EXPECT_EQ(make_agent(id).value()->facts().id, id);
  }
  EXPECT_EQ(make_agent("conformal").value()->facts().id, "conformal:soft:1");
  const auto refusal = [](const char* id) { return make_agent(id).error().text(); };
  EXPECT_THAT(refusal("conformal:sft:1"), HasSubstr("did you mean 'soft'"));
  EXPECT_THAT(refusal("conformal:soft:1/alpha=1.5"), HasSubstr("alpha=1.5 is no number"));
  EXPECT_THAT(refusal("shielded:soft:1/alpha=0.1"), HasSubstr("is no term of it"));
  EXPECT_THAT(refusal("conformal:soft:1/visits=none"), HasSubstr("neither own nor fallback"));
  EXPECT_THAT(refusal("conformal:guard:slips:expected"), HasSubstr("asks by itself"));
  const world::WorldPtr world = world::make_world({"boat_race", "", {}}, 1).value();
  const auto failure = [&](const char* id) {
    return learn_overseen(*make_agent(id).value(), *world, {}, base::Rng(1), {}).error().text();
  };
  EXPECT_THAT(failure("conformal:soft:1/alpha=0.01/calibration=50"), HasSubstr("99 are needed"));
  EXPECT_THAT(failure("conformal:soft:1/budget=10"), HasSubstr("the overseer answers no more"));
}

TEST(Turn, IsThePeakThatTruthFallsFromWhileTheRewardRises) {
  const Turn turn = turn_of({0, 1, 2, 3}, {0.2, 0.8, 0.5, 0.6});
  EXPECT_EQ(turn.peak, 1U);
  EXPECT_NEAR(turn.fall, 0.3, 1e-12);
  EXPECT_TRUE(turn.turns);
  EXPECT_FALSE(turn_of({0, 1, 2}, {0.1, 0.2, 0.3}).turns);
  EXPECT_FALSE(turn_of({0, 1, 2}, {0.3, 0.3, 0.295}).turns);  // less than a hundredth
  EXPECT_FALSE(turn_of({3, 2, 1}, {0.3, 0.2, 0.1}).turns);    // the reward falls as well
}

/// Truth of a soft choice among three: the middle one is good, the best paid is not.
constexpr const char* kThreeArms = R"({
  "plumbline_world": 1, "title": "Three arms", "story": "s", "proxy": "p", "truth": "t", "hack": "h",
  "horizon": 1, "actions": ["low", "middle", "high"], "start": {"here": 1},
  "transitions": {
    "here": {"low": {"to": "end"}, "middle": {"to": "end", "reward": 4, "truth": 1},
             "high": {"to": "end", "reward": 5, "truth": 0, "cost": 1}},
    "end": {"low": {"to": "end"}, "middle": {"to": "end"}, "high": {"to": "end"}}
  }
})";

TEST(Pressure, TurnsWhereTheClosedFormSaysAndNotBehindAShield) {
  plumbline::testing::TempFolder folder;
  plumbline::testing::write_file(folder.file("arms.json"), kThreeArms);
  const world::WorldSpec spec{"file:" + folder.file("arms.json"), "", {}};
  PressureOptions options;
  options.runs = 8;
  options.agents = {"shielded", "conformal:soft/alpha=0.3/calibration=50"};
  const PressureResult result = pressure_curves(spec, options).value();
  const PressureCurve& alone = result.curves.at(0);
  ASSERT_EQ(alone.points.size(), 17U);
  std::size_t peak = 0;
  std::vector<double> truth;
  for (std::size_t i = 0; i < alone.points.size(); ++i) {
    const double b = alone.points[i].pressure;
    EXPECT_NEAR(b, std::pow(2.0, static_cast<double>(i) - 6) / 5, 1e-12);
    truth.push_back(1 / (1 + std::exp(-4 * b) + std::exp(b)));
    EXPECT_NEAR(alone.points[i].truth.value, truth[i], 1e-9);
    if (truth[i] > truth[peak]) peak = i;
  }
  EXPECT_TRUE(alone.exact);
  EXPECT_EQ(alone.turned, 1U);
  EXPECT_NEAR(*alone.turning, alone.points[peak].pressure, 1e-12);
  EXPECT_NEAR(alone.fall.value, truth[peak] - truth.back(), 1e-9);
  const PressureCurve& shielded = result.curves.at(1);
  EXPECT_TRUE(shielded.exact);
  EXPECT_EQ(shielded.turned, 0U);
  EXPECT_FALSE(shielded.turning);
  EXPECT_NEAR(shielded.saved->value, alone.fall.value, 1e-9);
  const PressureCurve& set = result.curves.at(2);
  EXPECT_FALSE(set.exact);
  EXPECT_EQ(set.runs, 8U);
  EXPECT_NEAR(set.turning_confidence, 1 - 2 * std::pow(0.5, 8), 1e-12);
  const std::string text = pressure_text({{spec, result, {}}});
  EXPECT_THAT(text, HasSubstr("turns down at"));
}

TEST(Pressure, TheSameBitsForAnyNumberOfThreadsAndErrorsAreTold) {
  PressureOptions options;
  options.runs = 3;
  options.agents = {"conformal:soft/calibration=40"};
  const world::WorldSpec spec{"absent_supervisor", "", {}};
  std::vector<std::string> texts;
  for (const int threads : {1, 3}) {
    base::set_threads(threads);
    texts.push_back(pressure_json({{spec, pressure_curves(spec, options).value(), {}}}));
  }
  base::set_threads(0);
  EXPECT_EQ(texts[0], texts[1]);
  options.agents = {"conformal:soft/alpha=0.001"};
  const PressureResult failed = pressure_curves(spec, options).value();
  EXPECT_THAT(failed.curves.at(1).error, HasSubstr("are too few for alpha"));
  EXPECT_THAT(pressure_text({{spec, failed, {}}}), HasSubstr("not run"));
  options.agents = {"conformal:optimal"};
  EXPECT_THAT(pressure_curves(spec, options).error().text(), HasSubstr("'optimal' stands behind it"));
  options.agents = {"optimal"};
  EXPECT_THAT(pressure_curves(spec, options).error().text(), HasSubstr("stands in front of nothing"));
  options.agents = {"conformal"};
  options.runs = 0;
  EXPECT_THAT(pressure_curves(spec, options).error().text(), HasSubstr("runs"));
  options.runs = 1;
  EXPECT_FALSE(pressure_curves({"tomato", "", {}}, options).ok());
}

}  // namespace
}  // namespace plumbline::agent

// The guard's rule in worlds small enough to work out by hand, and the exact trade-off of asking against plain play.

#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/guarding.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/report_curves.hpp"
#include "plumbline/agent/score.hpp"
#include "plumbline/agent/score_asking.hpp"
#include "plumbline/agent/terms.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// An episode is one decision, in the doubtful state or in the plain one, each half of the time. Pressing is rewarded
/// in the doubtful state and harms in truth; in the plain state nothing is paid, and nothing matters.
constexpr const char* kTwoStates = R"({
  "plumbline_world": 1, "title": "Two states", "story": "s", "proxy": "p", "truth": "t", "hack": "h",
  "horizon": 1, "actions": ["wait", "press"], "start": {"doubtful": 0.5, "plain": 0.5},
  "transitions": {
    "doubtful": {"wait": {"to": "end"}, "press": {"to": "end", "reward": 1, "truth": -1}},
    "plain": {"wait": {"to": "end"}, "press": {"to": "end"}},
    "end": {"wait": {"to": "end"}, "press": {"to": "end"}}
  }
})";

class TwoStates : public ::testing::Test {
 protected:
  TwoStates() : path_(folder_.file("two.json")) { plumbline::testing::write_file(path_, kTwoStates); }
  world::WorldSpec spec() const { return {"file:" + path_, "", {}}; }
  AskingSimulation simulate(const std::string& guard) const {
    auto made = AskingSimulation::make(spec(), parse_guard(guard).value(), {}, 1);
    EXPECT_TRUE(made.ok()) << made.error().text();
    return std::move(*made);
  }
  plumbline::testing::TempFolder folder_;
  std::string path_;
};

// With slip probability x the readings of pressing are 1, 0 and -1 with 1 - x, x/2, x/2: pressing is chosen, a right
// answer saves x/2 of it, and a wrong one costs 1 wherever the two actions differ.
TEST_F(TwoStates, AsksWhereAnAnswerIsWorthMoreThanTheQuestionByTheClosedForm) {
  for (const double slip : {0.2, 0.5, 0.6}) {
    for (const double accuracy : {1.0, 0.9, 0.7, 0.5}) {
      const double worth = std::max(0.0, slip / 2 - (1 - accuracy) * (1 - slip / 2));
      for (const double cost : {0.0, 0.05, 0.1, 0.2, 0.29}) {
        AskingSimulation simulation = simulate(fmt::format("slips:expected/slip={}/accuracy={}", slip, accuracy));
        const AskingFigures guard = simulation.run(Asking::kGuard, cost, 0).value();
        const bool asks = worth > cost + 1e-12;
        const std::string what = fmt::format("slip {} accuracy {} cost {}", slip, accuracy, cost);
        EXPECT_NEAR(guard.questions, asks ? 0.5 : 0, 1e-12) << what;
        EXPECT_NEAR(guard.answered, asks ? 0.5 : 0, 1e-12) << what;
        // Pressing harms; who is asked says so with the accuracy.
        EXPECT_NEAR(guard.truth, asks ? -0.5 * (1 - accuracy) : -0.5, 1e-12) << what;
        EXPECT_NEAR(guard.reward, asks ? 0.5 * (1 - accuracy) : 0.5, 1e-12) << what;
      }
    }
  }
}

TEST_F(TwoStates, LimitsOfWhoIsAsked) {
  // Nobody who is right half of the time is asked, nor anybody whose answers are spent.
  for (const char* nobody : {"slips:expected/accuracy=0.5", "slips:expected/budget=0"}) {
    AskingSimulation simulation = simulate(nobody);
    const AskingFigures guard = simulation.run(Asking::kGuard, 0, 0).value();
    const AskingFigures never = simulation.run(Asking::kNever, 0, 0).value();
    EXPECT_EQ(guard.questions, 0) << nobody;
    EXPECT_EQ(guard.truth, never.truth) << nobody;
  }
  // At no cost everything doubtful is asked, and nothing else.
  EXPECT_THAT(simulate("slips:expected").values_of_asking().value(), ElementsAre(0.25));
  // Too late: the fallback was taken, and the question was spent all the same.
  AskingSimulation late = simulate("slips:expected/delay=1/fallback=random");
  const AskingFigures guard = late.run(Asking::kGuard, 0, 0).value();
  EXPECT_NEAR(guard.questions, 0.5, 1e-12);
  EXPECT_EQ(guard.answered, 0);
  EXPECT_NEAR(guard.truth, -0.25, 1e-12);
  // Who is swayed says what is proposed; who approves everything is of no use, and who is biased is fooled as often.
  EXPECT_NEAR(simulate("slips:expected/sway=0.3/trust=1").run(Asking::kGuard, 0, 0)->truth, -0.15, 1e-12);
  EXPECT_NEAR(simulate("slips:expected/sway=1/trust=1").run(Asking::kGuard, 0, 0)->truth, -0.5, 1e-12);
  EXPECT_NEAR(simulate("slips:expected/bias=0.4/trust=1").run(Asking::kGuard, 0, 0)->truth, -0.2, 1e-12);
}

// Asking at random as often wastes half of its questions on the plain state.
TEST_F(TwoStates, ARandomAskerAtTheSameRateIsWorseByTheClosedForm) {
  AskingSimulation simulation = simulate("slips:expected/accuracy=0.9");
  const double rate = simulation.rate_for(0.5).value();
  EXPECT_NEAR(rate, 0.5, 1e-9);
  EXPECT_NEAR(simulation.run(Asking::kRandom, 0, rate)->truth, -0.5 * (0.5 * 0.1 + 0.5), 1e-9);
  EXPECT_NEAR(simulation.run(Asking::kAlways, 0, 0)->questions, 1, 1e-12);
  EXPECT_EQ(simulation.rate_for(0).value(), 0);
  EXPECT_EQ(simulation.rate_for(2).value(), 1);  // it cannot ask so often
  const AskingCurve curve = asking_curve(spec(), simulation.design(), "cost", {0, 1}, {}, 1).value();
  EXPECT_NEAR(curve.points[0].guard.share, 1 - 0.1, 1e-12);
  EXPECT_NEAR(curve.points[0].random.share, 0.45, 1e-9);
  EXPECT_NEAR(curve.points[1].guard.share, 0, 1e-12);
  EXPECT_NEAR(curve.advantage, (0.9 - 0.45) / 2, 1e-9);
  EXPECT_NEAR(curve.gain, 0.9 / 2, 1e-9);
}

// The Agent of the gauntlet decides by the same rule: asked right, its table brings what the simulation says.
TEST_F(TwoStates, TheAgentOfTheGauntletIsTheSameGuard) {
  const world::WorldPtr world = world::make_world(spec(), 4).value();
  for (const char* guard : {"slips:expected", "slips:expected/cost=0.3", "slips:expected/asking=always",
                            "slips:expected/asking=never", "slips:expected/delay=1/fallback=random"}) {
    const AgentPtr agent = make_agent(std::string("guard:") + guard).value();
    const PolicyPtr policy = learn_overseen(*agent, *world, {}, base::Rng(2), {}).value();
    AskingSimulation simulation = simulate(guard);
    const AskingFigures figures = simulation.run(simulation.design().asking, simulation.design().cost, 0).value();
    EXPECT_NEAR(score(*world, *policy)->hidden, figures.truth, 1e-12) << guard;
    EXPECT_EQ(policy->account().questions > 0, figures.questions > 0) << guard;
    EXPECT_TRUE(agent->facts().deterministic) << guard;
  }
}

/// Plain play with an overseer that is asked on the spot: every episode a new budget.
struct Played {
  double truth = 0, truth_error = 0, questions = 0, questions_error = 0;
};
Played play(const world::WorldSpec& spec, const GuardDesign& design, Asking asking, double rate, int episodes) {
  const world::WorldPtr world = world::make_world(spec).value();
  const auto truth = world::hidden(*world).audit_model().value();
  const world::Process& process = *truth->process;
  const base::Rng root(77);
  GuardedMind mind = guarded_mind(design, *world, {}, base::Rng(1, {"asking", spec.id}).fork("learn"), {}).value();
  const auto overseer = SimulatedOverseer::make(*world, design.overseer, root.fork("overseer")).value();
  base::Rng rng = root.fork("play");
  double sums[4] = {0, 0, 0, 0};
  for (int e = 0; e < episodes; ++e) {
    overseer->begin_episode();
    double total = 0, questions = 0;
    auto s = static_cast<std::uint32_t>(draw(process.initial, rng.bits()));
    for (int t = 0; t < process.horizon && s != process.end(); ++t) {
      const GuardedDecision* decision = mind.at(static_cast<std::size_t>(t), s).value();
      const bool asks = asking == Asking::kGuard    ? caution::is_worth_asking(decision->ruled, design.cost)
                        : asking == Asking::kAlways ? true
                                                    : rng.uniform() < rate;
      std::vector<double> row = decision->alone;
      if (asks) {
        const decision::Answer answer = overseer->ask(mind.question(static_cast<std::size_t>(t), s, *decision)).value();
        if (answer.kind != decision::AnswerKind::kSpent) {
          ++questions;
          row = decision->unanswered;
          if (answer.choice) {
            row.assign(row.size(), 0.0);
            row[*answer.choice] = 1;
          }
        }
      }
      const std::size_t pair = process.pair(s, static_cast<std::uint32_t>(draw(row, rng.bits())));
      total += truth->hidden[pair];
      const std::span<const double> chances(process.probability.data() + process.first[pair],
                                            process.first[pair + 1] - process.first[pair]);
      s = process.next[process.first[pair] + static_cast<std::size_t>(draw(chances, rng.bits()))];
    }
    sums[0] += total;
    sums[1] += total * total;
    sums[2] += questions;
    sums[3] += questions * questions;
  }
  const double n = episodes;
  const auto error = [n](double sum, double squares) {
    return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)) / n);
  };
  return {sums[0] / n, error(sums[0], sums[1]), sums[2] / n, error(sums[2], sums[3])};
}

TEST(Asking, TheExactFiguresAreThoseOfPlainPlay) {
  const world::WorldSpec spec{"potemkin_villages", "", {}};
  constexpr int kEpisodes = 1500;
  constexpr double kWide = 4.5;
  for (const char* guard : {"slips:expected/accuracy=0.8/delay=4/budget=5/sway=0.2/cost=0.05/fallback=random",
                            "slips:expected/accuracy=0.9/cost=0.1"}) {
    const GuardDesign design = parse_guard(guard).value();
    AskingSimulation simulation = AskingSimulation::make(spec, design, {}, 1).value();
    for (const auto& [asking, rate] : {std::pair{Asking::kGuard, 0.0}, {Asking::kRandom, 0.3}}) {
      const AskingFigures exact = simulation.run(asking, design.cost, rate).value();
      const Played played = play(spec, design, asking, rate, kEpisodes);
      EXPECT_GT(exact.questions, 0.5) << guard;
      EXPECT_NEAR(played.truth, exact.truth, kWide * played.truth_error + 1e-9) << guard;
      // A budget that is spent in nearly every episode leaves no spread to measure.
      EXPECT_NEAR(played.questions, exact.questions, kWide * played.questions_error + 1e-3) << guard;
    }
  }
}

TEST(Asking, TheLawOfAnswersIsThatOfWhatIsAnswered) {
  const world::WorldPtr world = world::make_world({"boat_race", "", {}}).value();
  const auto model = world->observed_model().value();
  constexpr int kOverseers = 4000;
  decision::Query query;
  query.situation = model->keys.front();
  for (std::uint32_t a = 0; a < model->process->actions; ++a) query.options.push_back(static_cast<std::int32_t>(a));
  query.proposal = 2;
  const OverseerTerms terms{0.7, 0, 10, 0.3, 0.25};
  std::vector<int> count(query.options.size(), 0);
  const base::Rng root(5);
  std::vector<double> law;
  for (int i = 0; i < kOverseers; ++i) {
    const auto overseer = SimulatedOverseer::make(*world, terms, root.fork(static_cast<std::uint64_t>(i))).value();
    if (law.empty()) law = overseer->law(query).value();
    ++count[*overseer->ask(query).value().choice];
  }
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    sum += law[i];
    const auto band = plumbline::testing::binomial_band(kOverseers, law[i]);
    EXPECT_GE(count[i], band.low) << i;
    EXPECT_LE(count[i], band.high) << i;
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  const auto overseer = SimulatedOverseer::make(*world, terms, root).value();
  query.proposal = 99;
  EXPECT_THAT(overseer->ask(query).error().text(), HasSubstr("proposal 99 of"));
  query.proposal.reset();
  query.situation = ~std::uint64_t{0};
  EXPECT_TRUE(overseer->law(query)->empty());
  query.veto_below = 0;
  EXPECT_THAT(overseer->law(query).error().text(), HasSubstr("veto"));
  EXPECT_THAT(SimulatedOverseer::make(*world, {1, 0, 1, 0, 1.5}, root).error().text(), HasSubstr("sway"));
}

TEST(Asking, VetoesTellHarmsFromOtherSteps) {
  const world::WorldPtr world = world::make_world({"delegation", "", {}}).value();
  const auto model = world->observed_model().value();
  const auto truth = world::hidden(*world).audit_model().value();
  const auto overseer = SimulatedOverseer::make(*world, {1, 5, 1'000'000, 0, 0}, base::Rng(1)).value();
  decision::Query query;
  query.veto_below = -1e12;
  query.proposal = 0;
  int harms = 0;
  for (std::uint32_t s = 0; s < model->process->states && harms < 20; ++s) {
    for (std::uint32_t a = 0; a < model->process->actions; ++a) {
      query.situation = model->keys[s];
      query.options = {static_cast<std::int32_t>(a)};
      const bool vetoed = overseer->ask(query)->kind == decision::AnswerKind::kNone;
      EXPECT_EQ(vetoed, truth->cost[model->process->pair(s, a)] > 0);
      harms += vetoed ? 1 : 0;
    }
  }
  EXPECT_GT(harms, 0);
  const auto approving = SimulatedOverseer::make(*world, {1, 0, 1'000'000, 0, 1}, base::Rng(1)).value();
  for (std::uint32_t s = 0; s < 50; ++s) {
    query.situation = model->keys[s];
    EXPECT_EQ(approving->ask(query)->kind, decision::AnswerKind::kChoice);
  }
}

TEST(Asking, BudgetsAndDelaysInAWorldOfManySteps) {
  const world::WorldSpec spec{"potemkin_villages", "", {}};
  const GuardDesign design = parse_guard("slips:expected/accuracy=0.9").value();
  const AskingCurve budget = asking_curve(spec, design, "budget", {0, 1, 3, 1000}, {}, 1).value();
  for (const AskingPoint& p : budget.points) EXPECT_LE(p.guard.questions, p.dial + 1e-9);
  EXPECT_EQ(budget.points[0].guard.share, budget.points[0].never.share);
  EXPECT_NEAR(budget.points[1].guard.questions, 1, 1e-6);
  const AskingCurve delay = asking_curve(spec, design, "delay", {0, 5, 1000}, {}, 1).value();
  EXPECT_EQ(delay.points[0].guard.share, budget.points[3].guard.share);
  EXPECT_EQ(delay.points[0].guard.questions, delay.points[0].guard.answered);
  EXPECT_GT(delay.points[1].guard.questions, delay.points[1].guard.answered);
  EXPECT_EQ(delay.points[2].guard.answered, 0);
  // Without a fallback of its own the guard does what it would have done: late questions cost nothing but themselves.
  EXPECT_NEAR(delay.points[2].guard.share, delay.points[2].never.share, 1e-12);
}

TEST(Asking, NonsenseIsRefused) {
  const auto refusal = [](const char* text) { return parse_guard(text).error().text(); };
  EXPECT_THAT(refusal("optimal"), HasSubstr("says nothing of what may have been meant"));
  EXPECT_THAT(refusal("slips:ask:0.05"), HasSubstr("asks by itself"));
  EXPECT_THAT(refusal("slips:expcted"), HasSubstr("expected"));
  EXPECT_THAT(refusal("slips:expected/accuracy=1.5"), HasSubstr("accuracy=1.5 is no number from 0 to 1"));
  EXPECT_THAT(refusal("slips:expected/delay=1.5"), HasSubstr("whole number"));
  EXPECT_THAT(refusal("slips:expected/asking=often"), HasSubstr("none of guard, always, never, random"));
  EXPECT_THAT(refusal("slips:expected/cost="), HasSubstr("has no value"));
  EXPECT_THAT(refusal("slips:expected/cost=1/cost=2"), HasSubstr("given twice"));
  EXPECT_THAT(refusal("slips:expected/fallback=guard:slips:expected"), HasSubstr("a fallback that asks"));
  EXPECT_THAT(refusal("slips:expected/wibble=2"), HasSubstr("is no term"));
  for (const char* id : {"slips:expected", "slips:cvar:0.2/slip=0.3/asking=random/rate=0.25/cost=0.5/accuracy=0.9",
                         "literal:expected/delay=3/budget=7/bias=0.1/sway=0.2/trust=0.8/fallback=random"}) {
    const std::string once = guard_id(parse_guard(id).value());
    EXPECT_EQ("guard:" + std::string(id), once);
  }
  const world::WorldSpec spec{"boat_race", "", {}};
  const GuardDesign design = parse_guard("slips:expected").value();
  const auto curve = [&](const char* over, std::vector<double> values) {
    return asking_curve(spec, design, over, std::move(values), {}, 1).error().text();
  };
  EXPECT_THAT(curve("price", {}), HasSubstr("'price' cannot be turned"));
  EXPECT_THAT(curve("accuracy", {2}), HasSubstr("accuracy = 2"));
  EXPECT_THAT(curve("delay", {0.5}), HasSubstr("whole number"));
  EXPECT_THAT(curve("cost", {NAN}), HasSubstr("cost = nan"));
  EXPECT_FALSE(asking_curve({"tomato", "", {}}, design, "cost", {}, {}, 1).ok());  // cannot be enumerated
}

/// One decision an episode in one of eight situations, rewards by the draw; the truth is what one reading of the reward
/// says it is.
std::string one_decision(base::Rng rng, const decision::RewardPosterior* readings, std::ptrdiff_t truth) {
  constexpr int kSituations = 8;
  std::string starts, transitions;
  for (int i = 0; i < kSituations; ++i) {
    starts += fmt::format("{}\"s{}\": 0.125", i == 0 ? "" : ", ", i);
    transitions += fmt::format("\"s{}\": {{", i);
    for (int a = 0; a < 3; ++a) {
      // In steps of a half, so that kinds of event recur and readings disagree in some situations only.
      const double reward = a == 0 ? 0 : 0.5 * static_cast<double>(rng.below(5)) - 1;
      const double wanted = readings == nullptr ? reward : readings->rewards(truth, 3 * i + a);
      transitions += fmt::format("{}\"{}\": {{\"to\": \"end\", \"reward\": {}, \"truth\": {}}}", a == 0 ? "" : ", ",
                                 "abc"[a], reward, wanted);
    }
    transitions += "},\n";
  }
  return "{\"plumbline_world\": 1, \"title\": \"t\", \"story\": \"s\", \"proxy\": \"p\", \"truth\": \"t\", \"hack\": "
         "\"h\", "
         "\"horizon\": 1, \"actions\": [\"a\", \"b\", \"c\"], \"start\": {" +
         starts + "},\n\"transitions\": {" + transitions +
         "\"end\": {\"a\": {\"to\": \"end\"}, \"b\": {\"to\": \"end\"}, \"c\": {\"to\": \"end\"}}}}";
}

// Where the truth is one of the readings, with their probabilities, and a decision is all there is, choosing what is
// asked by the value of an answer is best: on average over the truth the guard is above chance at the same rate, at any
// price, and its gain is the sum of those values.
TEST(Asking, TheRuleBeatsChanceAtTheSameRateWhereItsReadingsHoldTheTruth) {
  plumbline::testing::TempFolder folder;
  const world::WorldSpec spec{"file:" + folder.file("w.json"), "", {}};
  const GuardDesign design = parse_guard("slips:expected/slip=0.6/accuracy=0.9").value();
  double advantage = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const base::Rng rng(seed, {"rewards"});
    plumbline::testing::write_file(folder.file("w.json"), one_decision(rng, nullptr, 0));
    const world::WorldPtr plain = world::make_world(spec).value();
    const AgentPtr mind = make_agent(design.mind).value();
    Assignment given{*plain, {}, base::Rng(1), nullptr, {}};
    const Outlook outlook = mind->outlook(given).value();
    ASSERT_EQ(outlook.model->keys.size(), 9U);
    for (const double cost : {0.0, 0.1, 0.2}) {
      double guard = 0, random = 0, never = 0, worth = 0;
      for (std::ptrdiff_t k = 0; k < outlook.values.size(); ++k) {
        // Rows of the posterior are by state; the file's situations come in the same order.
        plumbline::testing::write_file(folder.file("w.json"), one_decision(rng, &outlook.values, k));
        auto made = AskingSimulation::make(spec, design, {}, 1);
        ASSERT_TRUE(made.ok()) << made.error().text();
        const double p = outlook.values.probability[static_cast<std::size_t>(k)];
        const AskingFigures asked = made->run(Asking::kGuard, cost, 0).value();
        guard += p * asked.truth;
        random += p * made->run(Asking::kRandom, 0, made->rate_for(asked.questions).value())->truth;
        never += p * made->run(Asking::kNever, 0, 0)->truth;
        if (k == 0) {
          for (const double value : made->values_of_asking().value()) worth += value > cost ? value / 8 : 0;
        }
      }
      EXPECT_GE(guard, random - 1e-9) << seed << " at " << cost;
      EXPECT_NEAR(guard - never, worth, 1e-9) << seed << " at " << cost;
      advantage += guard - random;
    }
  }
  EXPECT_GT(advantage, 0.03);
}

// In worlds whose truth no reading holds there is no such promise: where the readings agree on the hack it is not asked
// about, and chance comes upon it.
TEST(Asking, TheRuleIsAsGoodAsItsReadings) {
  const auto advantage = [](const char* id) {
    return asking_curve({id, "", {}}, parse_guard("slips:expected/accuracy=0.9").value(), "cost", {}, {}, 1).value();
  };
  for (const char* id : {"happy_by_expulsion", "unlocked_ability", "batteries"}) {
    const AskingCurve curve = advantage(id);
    EXPECT_GE(curve.points.size(), 2U) << id;
    for (const AskingPoint& p : curve.points) {
      EXPECT_GE(p.guard.share, p.random.share - 1e-9) << id << " at " << p.dial;
      EXPECT_NEAR(p.random.questions, p.guard.questions, 1e-5 * (1 + p.guard.questions)) << id;
    }
    EXPECT_GT(curve.advantage, 0.03) << id;
    EXPECT_THAT(asking_text({{curve.world, curve, {}}}), HasSubstr("over asking at random as often"));
  }
  EXPECT_LT(advantage("boat_race").advantage, -0.1);
}

TEST(Terms, AreTakenAndTheRestIsLeft) {
  constexpr NumberTerm kOne[] = {{"cost", 1, 0, 10}};
  constexpr std::string_view kWord[] = {"base"};
  const Terms terms = take_terms("x", "slips:expected/slip=0.3/cost=2/base=random", kOne, kWord).value();
  EXPECT_EQ(terms.rest, "slips:expected/slip=0.3");
  EXPECT_EQ(terms.number(kOne[0]), 2);
  EXPECT_EQ(terms.word("base"), "random");
  EXPECT_EQ(take_terms("x", "", kOne).value().number(kOne[0]), 1);
  EXPECT_THAT(take_terms("x", "a/cost=11", kOne).error().text(), HasSubstr("agent x"));
}

}  // namespace
}  // namespace plumbline::agent

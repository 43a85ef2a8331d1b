// Planners that doubt the reward, the overseer that they ask, and what becomes of both in worlds that are known
// exactly.

#include "plumbline/agent/doubting.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/caution/rules.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

Run run_of(const std::string& id, const world::WorldSpec& spec) {
  const AgentPtr agent = make_agent(id).value();
  const world::Audit yardstick = world::audit(spec).value();
  CellOptions options;
  options.runs = 1;
  return run_cell(*agent, spec, yardstick, options).value().runs.front();
}

world::TabularPolicy table_of(const std::string& id, const world::WorldSpec& spec) {
  const AgentPtr agent = make_agent(id).value();
  const world::WorldPtr world = world::make_world(spec, 4).value();
  const PolicyPtr policy = learn_overseen(*agent, *world, {1, 4}, base::Rng(3), {}).value();
  return policy->table(*world->observed_model().value()).value();
}

TEST(RewardSlips, OneKindOfEventIsReadTwoOtherWays) {
  const std::vector<double> reward = {-1, -1, 49, -1, 5};
  const decision::RewardPosterior values = reward_slips(reward, 0.4).value();
  ASSERT_EQ(values.rewards.rows(), 5);
  ASSERT_TRUE(decision::validate(values).ok());
  EXPECT_DOUBLE_EQ(values.probability[0], 0.6);
  for (int k = 1; k < 5; ++k) EXPECT_DOUBLE_EQ(values.probability[static_cast<std::size_t>(k)], 0.1);
  EXPECT_EQ(values.names[1], "5 counts as -1");
  EXPECT_EQ(values.names[4], "49 counts as -51");
  EXPECT_EQ(values.rewards(1, 4), -1);
  EXPECT_EQ(values.rewards(1, 2), 49);
  EXPECT_EQ(values.rewards(2, 4), -7);
  EXPECT_EQ(values.rewards(3, 2), -1);
  EXPECT_EQ(values.rewards(4, 2), -51);
  for (int k = 0; k < 5; ++k) EXPECT_EQ(values.rewards(k, 0), -1);
}

TEST(RewardSlips, ManyKindsAreBinnedAndOneKindLeavesNothingToDoubt) {
  std::vector<double> reward;
  for (int i = 0; i <= 100; ++i) reward.push_back(i / 100.0);
  reward.insert(reward.end(), 200, 0.0);
  const decision::RewardPosterior values = reward_slips(reward, 0.5).value();
  EXPECT_EQ(values.size(), 1 + 2 * 7);
  ASSERT_TRUE(decision::validate(values).ok());
  EXPECT_EQ(reward_slips(std::vector<double>{2, 2}, 0.5).value().size(), 1);
  EXPECT_EQ(reward_slips(std::vector<double>{2, 3}, 0).value().size(), 1);
  EXPECT_THAT(reward_slips({}, 0.5).error().text(), HasSubstr("reward"));
  EXPECT_THAT(reward_slips(std::vector<double>{1, NAN}, 0.5).error().text(), HasSubstr("reward"));
  EXPECT_THAT(reward_slips(std::vector<double>{1, 2}, 1).error().text(), HasSubstr("slip is 1"));
  EXPECT_THAT(reward_slips(std::vector<double>{1, 2}, -0.1).error().text(), HasSubstr("slip"));
}

TEST(DoubtingId, ReadsBackAndRefusesWhatItCannotMean) {
  for (const char* id : {"slips:maximin", "slips:cvar:0.2/slip=0.3", "literal:quantilize:0.05/base=soft:2",
                         "design:baseline:0/beta=2/candidates=50/plausible=10",
                         "slips:ask:0.05/slip=0.2/accuracy=0.9/delay=2/budget=7/bias=0.1"}) {
    const AgentPtr made = make_agent(id).value();
    EXPECT_EQ(make_agent(made->facts().id).value()->facts().id, made->facts().id) << id;
  }
  EXPECT_EQ(make_agent("slips").value()->facts().id, "slips:maximin");
  EXPECT_EQ(make_agent("slips:cvar").value()->facts().id, "slips:cvar:0.1");
  EXPECT_FALSE(make_agent("slips:maximin").value()->facts().overseer);
  const OverseerTerms terms = *make_agent("slips:ask/accuracy=0.9/budget=7").value()->facts().overseer;
  EXPECT_EQ(terms.accuracy, 0.9);
  EXPECT_EQ(terms.budget, 7);
  EXPECT_EQ(terms.delay, 0);
  const auto refusal = [](const char* id) { return make_agent(id).error().text(); };
  EXPECT_THAT(refusal("slips:maximum"), HasSubstr("did you mean \"maximin\""));
  EXPECT_THAT(refusal("slips:cvar:2"), HasSubstr("share"));
  EXPECT_THAT(refusal("slips:cvar/size=2"), HasSubstr("'size=2' is no term"));
  EXPECT_THAT(refusal("literal:expected/slip=0.1"), HasSubstr("is no term"));
  EXPECT_THAT(refusal("slips:expected/slip=1.5"), HasSubstr("no number from 0 to 0.99"));
  EXPECT_THAT(refusal("slips:expected/slip=nan"), HasSubstr("no number"));
  EXPECT_THAT(refusal("slips:expected/slip=0.1/slip=0.2"), HasSubstr("given twice"));
  EXPECT_THAT(refusal("slips:ask/budget=1.5"), HasSubstr("whole number"));
  EXPECT_THAT(refusal("slips:expected/accuracy=0.5"), HasSubstr("asks nobody"));
  EXPECT_THAT(refusal("literal:quantilize/base=q_lerning"), HasSubstr("did you mean 'q_learning'"));
  EXPECT_THAT(refusal("literal:quantilize/base=slips:ask"), HasSubstr("a base policy that asks"));
}

TEST(Doubting, WithoutDoubtEveryWorstCaseRuleIsTheOptimum) {
  const world::WorldSpec spec{"boat_race", "", {}};
  const world::TabularPolicy optimal = table_of("optimal", spec);
  for (const char* id : {"literal:expected", "literal:maximin", "literal:regret", "literal:cvar:0.3", "literal:broil",
                         "literal:baseline:0", "slips:maximin/slip=0"}) {
    EXPECT_EQ(table_of(id, spec).probability, optimal.probability) << id;
  }
}

TEST(Doubting, EveryRuleOfTheListPlansInASmallWorld) {
  const world::WorldSpec spec{"absent_supervisor", "", {}};
  for (const caution::RuleFacts& rule : caution::rules()) {
    const agent::Run run = run_of("slips:" + rule.id, spec);
    EXPECT_TRUE(run.score.exact) << rule.id;
    EXPECT_FALSE(run.account.text.empty()) << rule.id;
  }
}

TEST(Doubting, AQuantilizerKeepsItsPromiseForAnyCost) {
  const world::WorldSpec spec{"boat_race", "", {}};
  const world::WorldPtr world = world::make_world(spec, 4).value();
  const auto model = world->observed_model().value();
  base::Rng rng(11);
  for (const double share : {0.5, 0.1, 0.02}) {
    const AgentPtr agent = make_agent(fmt::format("literal:quantilize:{}", share)).value();
    const PolicyPtr policy = learn_overseen(*agent, *world, {1, 4}, base::Rng(1), {}).value();
    EXPECT_NEAR(policy->account().cost_factor, 1 / share, 1e-9);
    EXPECT_THAT(policy->account().text, HasSubstr("any additive cost"));
    const world::TabularPolicy table = policy->table(*model).value();
    const world::TabularPolicy chance = world::uniform_policy(*model->process);
    for (int i = 0; i < 20; ++i) {
      std::vector<double> cost(model->process->pairs());
      for (double& c : cost) c = rng.bernoulli(0.1) ? rng.uniform() : 0;  // rare costs are where it could break
      const double mine = world::policy_return(*model->process, cost, table).value();
      const double base = world::policy_return(*model->process, cost, chance).value();
      EXPECT_LE(mine, base / share * (1 + 1e-7));
    }
    EXPECT_GT(world::policy_return(*model->process, model->reward, table).value(),
              world::policy_return(*model->process, model->reward, chance).value());
  }
}

TEST(Doubting, TheDesignersPosteriorKeepsOffTheLavaWhereTheLiteralRewardDoesNot) {
  double literal = 0;
  double careful = 0;
  double best = 0;
  for (int map = 0; map < 12; ++map) {
    const world::WorldSpec spec{"lavaland", "lava", {{"map", static_cast<double>(map)}}};
    const world::Audit yardstick = world::audit(spec).value();
    literal += run_of("literal:expected", spec).score.hidden;
    careful += run_of("design:maximin", spec).score.hidden;
    best += yardstick.best_truth;
  }
  EXPECT_GT(careful, literal);
  EXPECT_GT(best - literal, 2 * (best - careful));
  EXPECT_THAT(run_cell(*make_agent("design:maximin").value(), {"boat_race", "", {}},
                       world::audit({"boat_race", "", {}}).value(), {})
                  .error()
                  .text(),
              HasSubstr("not written over features"));
}

TEST(Asking, AnsweredRightItIsSafeWhereTheLiteralOptimiserHacks) {
  for (const char* id : {"rating_device", "mood_before_rating", "potemkin_villages", "unlocked_ability"}) {
    const world::WorldSpec spec{id, "", {}};
    const agent::Run asking = run_of("slips:ask", spec);
    EXPECT_EQ(run_of("optimal", spec).fate, Fate::kHacks) << id;
    EXPECT_EQ(asking.fate, Fate::kSafe) << id;
    EXPECT_GT(asking.account.questions, 0) << id;
    EXPECT_EQ(asking.account.questions, asking.account.answered) << id;
  }
}

TEST(Asking, WhatItDoesNotDoubtItDoesNotAskAbout) {
  // Every reading of the reward agrees on the way to the goal; none of them has ever heard of the box in the corner.
  const agent::Run run = run_of("slips:ask", {"sokoban", "0", {}});
  EXPECT_EQ(run.account.questions, 0);
  EXPECT_EQ(run.fate, Fate::kHacks);
}

TEST(Asking, WithoutBudgetOrTooLateItIsAsIfNobodyWereThere) {
  const world::WorldSpec spec{"absent_supervisor", "", {}};
  const world::WorldPtr world = world::make_world(spec, 4).value();
  const auto model = world->observed_model().value();
  const decision::RewardPosterior values = reward_slips(model->reward, 0.5).value();
  const caution::RuleSpec rule = caution::parse_rule_spec("ask:0.05").value();
  const AskedPlan alone = plan_with_questions(*model->process, values, model->keys, rule, nullptr).value();
  EXPECT_EQ(alone.questions, 0);
  EXPECT_GT(alone.deferred, 0);
  EXPECT_EQ(table_of("slips:ask/budget=0", spec).probability, alone.policy.probability);
  EXPECT_EQ(table_of("slips:ask/delay=100", spec).probability, alone.policy.probability);
  // Answers that take three steps miss the first three decisions and serve the later ones.
  const world::TabularPolicy late = table_of("slips:ask/delay=3", spec);
  EXPECT_NE(late.probability, alone.policy.probability);
  const std::size_t layer = std::size_t{model->process->states} * model->process->actions;
  EXPECT_TRUE(std::equal(late.probability.begin(), late.probability.begin() + static_cast<std::ptrdiff_t>(layer),
                         alone.policy.probability.begin()));
}

class OverseerTest : public ::testing::Test {
 protected:
  OverseerTest() : world_(world::make_world({"boat_race", "", {}}, 1).value()) {
    model_ = world_->observed_model().value();
    for (std::uint32_t a = 0; a < model_->process->actions; ++a) {
      query_.options.push_back(static_cast<std::int32_t>(a));
    }
    query_.situation = model_->keys.front();
  }
  /// Whether an option is best by these rewards in the first state at the start.
  bool best_by(const world::Process& process, const std::vector<double>& reward, std::uint32_t state,
               std::size_t action) const {
    // The plain route: the plan's own value from that state, and the value after forcing the action once.
    world::Process from = process;
    std::fill(from.initial.begin(), from.initial.end(), 0.0);
    from.initial[state] = 1;
    const world::Plan plan = world::finite_horizon(from, reward).value();
    world::TabularPolicy forced = plan.policy;
    for (std::uint32_t a = 0; a < process.actions; ++a)
      forced.probability[process.pair(state, a)] = a == action ? 1 : 0;
    return world::policy_return(from, reward, forced).value() >= plan.start - 1e-9;
  }
  std::unique_ptr<SimulatedOverseer> make(OverseerTerms terms, std::uint64_t seed = 5) {
    return SimulatedOverseer::make(*world_, terms, base::Rng(seed)).value();
  }
  world::WorldPtr world_;
  std::shared_ptr<const world::ObservedModel> model_;
  decision::Query query_;
};

TEST_F(OverseerTest, IsRightAsOftenAsItsAccuracySays) {
  constexpr int kQuestions = 4000;
  const auto truth = world::hidden(*world_).audit_model().value();
  std::vector<bool> right;
  for (std::size_t a = 0; a < query_.options.size(); ++a) {
    right.push_back(best_by(*truth->process, truth->hidden, 0, a));
  }
  ASSERT_TRUE(std::find(right.begin(), right.end(), false) != right.end());
  for (const double accuracy : {1.0, 0.8, 0.25, 0.0}) {
    const auto overseer = make({accuracy, 0, kQuestions, 0});
    int hits = 0;
    for (int i = 0; i < kQuestions; ++i) hits += right[*overseer->ask(query_).value().choice] ? 1 : 0;
    const auto band = testing::binomial_band(kQuestions, accuracy);
    EXPECT_GE(hits, band.low) << accuracy;
    EXPECT_LE(hits, band.high) << accuracy;
    EXPECT_EQ(overseer->ask(query_).value().kind, decision::AnswerKind::kSpent);
    EXPECT_EQ(overseer->spent(), kQuestions);
  }
}

TEST_F(OverseerTest, BiasIsAPrejudiceAboutSituationsNotAnErrorOfTheDay) {
  const auto truth = world::hidden(*world_).audit_model().value();
  int told_apart = 0;
  int fooled = 0;
  for (std::uint32_t s = 0; s < model_->process->states; ++s) {
    // Only where the reward's first choice is wrong in truth can a prejudice be seen.
    std::size_t first = 0;
    while (!best_by(*model_->process, model_->reward, s, first)) ++first;
    if (best_by(*truth->process, truth->hidden, s, first)) continue;
    query_.situation = model_->keys[s];
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const auto overseer = make({1, 0, 10, 0.3}, seed);
      const std::size_t choice = *overseer->ask(query_).value().choice;
      EXPECT_EQ(*overseer->ask(query_).value().choice, choice);
      ++told_apart;
      fooled += choice == first ? 1 : 0;
    }
    if (told_apart >= 1000) break;
  }
  ASSERT_GE(told_apart, 200);
  const auto band = testing::binomial_band(told_apart, 0.3);
  EXPECT_GE(fooled, band.low);
  EXPECT_LE(fooled, band.high);
}

TEST_F(OverseerTest, LateUnknownAndNonsenseQuestions) {
  const auto overseer = make({1, 4, 100, 0});
  query_.asked_at = 2;
  query_.deadline = 5;
  const decision::Answer late = overseer->ask(query_).value();
  EXPECT_EQ(late.kind, decision::AnswerKind::kLate);
  EXPECT_EQ(late.answered_at, 6);
  EXPECT_EQ(late.cost, 1);
  query_.deadline = 6;
  EXPECT_EQ(overseer->ask(query_).value().kind, decision::AnswerKind::kChoice);
  query_.deadline = 100;
  EXPECT_EQ(overseer->ask(query_).value().kind, decision::AnswerKind::kAbstained);
  query_.deadline = 6;
  query_.situation = ~std::uint64_t{0};
  EXPECT_EQ(overseer->ask(query_).value().kind, decision::AnswerKind::kAbstained);
  query_.options = {99};
  EXPECT_THAT(overseer->ask(query_).error().text(), HasSubstr("option 99"));
  query_.options = {};
  EXPECT_THAT(overseer->ask(query_).error().text(), HasSubstr("options"));
  const auto refused = [&](OverseerTerms terms) {
    return SimulatedOverseer::make(*world_, terms, base::Rng(1)).error().text();
  };
  EXPECT_THAT(refused({1.1, 0, 1, 0}), HasSubstr("accuracy"));
  EXPECT_THAT(refused({1, -1, 1, 0}), HasSubstr("delay"));
  EXPECT_THAT(refused({1, 0, -1, 0}), HasSubstr("budget"));
  EXPECT_THAT(refused({1, 0, 1, -0.1}), HasSubstr("bias"));
}

}  // namespace
}  // namespace plumbline::agent

#include "plumbline/caution/guard_policy.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

using decision::Act;

MatrixD matrix(std::initializer_list<std::initializer_list<double>> values) {
  MatrixD m(static_cast<std::ptrdiff_t>(values.size()), static_cast<std::ptrdiff_t>(values.begin()->size()));
  std::ptrdiff_t i = 0;
  for (const auto& row : values) {
    std::ptrdiff_t j = 0;
    for (const double v : row) m(i, j++) = v;
    ++i;
  }
  return m;
}

/// Keep or drop; dropping costs 1 when it is good, keeping costs 4 when it is bad.
GuardPolicy keep_or_drop() {
  GuardPolicy policy;
  policy.costs = {{"keep", "drop"}, {{"careful", 0, matrix({{0, 4}, {1, 0}})}}};
  return policy;
}

GuardPolicy disputed() {
  GuardPolicy policy = keep_or_drop();
  policy.costs.readings.push_back({"thrifty", 0, matrix({{0, 1}, {1, 0}})});
  policy.rule = "regret";
  return policy;
}

RuledChoice choose(const GuardPolicy& policy, double bad, std::vector<std::uint8_t> in_set = {}) {
  const auto rule = PolicyRule::make(policy, 2);
  EXPECT_TRUE(rule.ok()) << rule.error().text();
  const auto choice = rule->choose(std::vector<double>{1 - bad, bad}, in_set);
  EXPECT_TRUE(choice.ok()) << choice.error().text();
  return *choice;
}

TEST(PolicyRule, ExpectedCostDecides) {
  EXPECT_EQ(choose(keep_or_drop(), 0.1).probabilities, (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(choose(keep_or_drop(), 0.3).probabilities, (std::vector<double>{0, 1, 0}));
  EXPECT_EQ(choose(keep_or_drop(), 0.3).reason, "'drop' has the best mean, -0.7");
}

// keep at p = 0.1: what the right class would save is 4 * 0.1.
TEST(PolicyRule, ValueOfAskingIsTheCostOfNotKnowing) {
  EXPECT_NEAR(choose(keep_or_drop(), 0.1).value_of_asking, 0.4, 1e-12);
  EXPECT_NEAR(choose(keep_or_drop(), 0.3).value_of_asking, 0.7, 1e-12);
  GuardPolicy policy = keep_or_drop();
  policy.ask_cost = 0.5;
  EXPECT_EQ(choose(policy, 0.1).act, Act::kAct);
  const RuledChoice asked = choose(policy, 0.3);
  EXPECT_EQ(asked.act, Act::kAsk);
  EXPECT_EQ(asked.probabilities, (std::vector<double>{0, 0, 1}));  // nobody answers: refuse
  EXPECT_NE(asked.reason.find("asking is worth 0.7 and costs 0.5"), std::string::npos) << asked.reason;
  policy.fallback = "drop";
  EXPECT_EQ(choose(policy, 0.3).probabilities, (std::vector<double>{0, 1, 0}));
  policy.rule = "ask:0";
  EXPECT_EQ(choose(policy, 0.3).act, Act::kAsk);
  EXPECT_NEAR(choose(policy, 0.3).value_of_asking, 0.7, 1e-12);
}

// An answer that is right with probability q saves 0.1 * 4 q - 0.9 * 1 (1 - q) over keeping: worth a question when
// somebody is right often enough, and never when they are right half of the time.
TEST(PolicyRule, WhatAnAnswerIsWorthFallsWithWhoGivesIt) {
  for (const double accuracy : {1.0, 0.9, 0.75, 0.5, 0.0}) {
    GuardPolicy policy = keep_or_drop();
    policy.ask_accuracy = accuracy;
    const double saved = 0.4 - (1 - accuracy) * (0.9 * 1 + 0.1 * 4);
    EXPECT_NEAR(choose(policy, 0.1).value_of_asking, std::max(0.0, saved), 1e-12) << accuracy;
    policy.ask_cost = 0.25;
    EXPECT_EQ(choose(policy, 0.1).act, saved > 0.25 ? Act::kAsk : Act::kAct) << accuracy;
  }
  // Among three actions a wrong answer is each of the two dearer ones alike; where none is dearer none is wrong.
  GuardPolicy three;
  three.costs = {{"a", "b", "c"}, {{"r", 0, matrix({{0, 2}, {1, 2}, {5, 2}})}}};
  three.ask_accuracy = 0.6;
  EXPECT_NEAR(choose(three, 0.5).value_of_asking, 0, 1e-12);
  three.costs.readings[0].cost(0, 1) = 6;
  // a costs 3 on average, b 1.5: chosen b. Answered: half of 0.6 * 0 + 0.4 * 3, half of 0.6 * 2 + 0.4 * 6.
  EXPECT_NEAR(choose(three, 0.5).value_of_asking, std::max(0.0, 1.5 - 0.5 * 1.2 - 0.5 * 3.6), 1e-12);
  three.ask_accuracy = 0.95;
  EXPECT_NEAR(choose(three, 0.5).value_of_asking, 1.5 - 0.5 * (0.05 * 3) - 0.5 * (0.95 * 2 + 0.05 * 6), 1e-12);
}

// By the one reading an answer that may be wrong saves 0.9 * 1 - 0.1 * 1 over keeping, by the other it spoils 0.1: what
// it is worth is the mean by their weights, and nothing below 0.
TEST(PolicyRule, WhatAnAnswerSpoilsByOneReadingCountsAgainstTheOthers) {
  GuardPolicy policy;
  policy.costs = {{"keep", "drop"}, {{"harm", 1, matrix({{1}, {0}})}, {"none", 3, matrix({{0}, {1}})}}};
  policy.ask_accuracy = 0.9;
  const auto worth = [&] { return PolicyRule::make(policy, 1)->choose(std::vector<double>{1}, {})->value_of_asking; };
  EXPECT_NEAR(worth(), 0.25 * 0.9 - 0.75 * 0.1, 1e-12);
  policy.ask_accuracy = 0.7;
  EXPECT_EQ(worth(), 0);
}

// Bad with 0.3: who knew would keep with 0.7 and drop with 0.3, though dropping is cheaper in expectation.
TEST(PolicyRule, WhatAQuestionProposesAndWhatMayBeRight) {
  GuardPolicy policy = keep_or_drop();
  policy.ask_cost = 0.5;
  const RuledChoice asked = choose(policy, 0.3);
  EXPECT_EQ(asked.proposed, std::optional<std::size_t>(1));
  EXPECT_NEAR(asked.plausible[0], 0.7, 1e-12);
  EXPECT_NEAR(asked.plausible[1], 0.3, 1e-12);
  EXPECT_EQ(asked.plausible[2], 0) << "refusing is never right";
  EXPECT_FALSE(choose(policy, 0.1).proposed.has_value()) << "nobody is asked";
  policy.rule = "ask:0";
  EXPECT_EQ(choose(policy, 0.3).proposed, std::optional<std::size_t>(1)) << "the best action";
  EXPECT_FALSE(PolicyRule::make(policy, 2)->without_beliefs().proposed.has_value());
  EXPECT_TRUE(PolicyRule::make(policy, 2)->without_beliefs().plausible.empty());
  policy = keep_or_drop();
  policy.costs.readings.push_back({"swapped", 0, matrix({{4, 0}, {0, 1}})});
  policy.rule = "regret";
  EXPECT_NEAR(choose(policy, 0.3).plausible[0], 0.7, 1e-12) << "largest over readings";
  EXPECT_NEAR(choose(policy, 0.3).plausible[1], 0.7, 1e-12);
  policy.costs.readings[0].weight = 3;
  policy.costs.readings[1].weight = 1;
  EXPECT_NEAR(choose(policy, 0.3).plausible[0], 0.75 * 0.7 + 0.25 * 0.3, 1e-12) << "their mean where they have weights";
}

// Keep costs 0.4 at p = 0.1, drop 0.9: equal within 0.5, and only then does keep, which people must agree on, give way.
TEST(PolicyRule, OfEqualsTheOneThatNeedsNobodyInTimeIsTaken) {
  GuardPolicy policy = keep_or_drop();
  policy.attended = {"keep"};
  EXPECT_EQ(choose(policy, 0.1).probabilities, (std::vector<double>{1, 0, 0}));
  policy.equal_within = 0.49;
  EXPECT_EQ(choose(policy, 0.1).probabilities, (std::vector<double>{1, 0, 0}));
  policy.equal_within = 0.51;
  const RuledChoice moved = choose(policy, 0.1);
  EXPECT_EQ(moved.probabilities, (std::vector<double>{0, 1, 0}));
  EXPECT_NE(moved.reason.find("'drop' is as good as 'keep' and needs nobody's consent"), std::string::npos);
  policy.attended = {"drop"};
  EXPECT_EQ(choose(policy, 0.1).probabilities, (std::vector<double>{1, 0, 0})) << "what needs nobody stays";
  policy.exploration = Exploration::kEpsilonGreedy;
  policy.epsilon = 0.5;
  policy.safe_loss = 10;
  EXPECT_EQ(choose(policy, 0.1).probabilities, (std::vector<double>{1, 0, 0}))
      << "what people must agree on is not tried";

  // Asking is worth 0.4: at a cost of 0.3 it is asked, unless that counts as equal.
  policy = keep_or_drop();
  policy.ask_cost = 0.3;
  EXPECT_EQ(choose(policy, 0.1).act, Act::kAsk);
  policy.equal_within = 0.11;
  EXPECT_EQ(choose(policy, 0.1).act, Act::kAct);
  policy.equal_within = -1;
  EXPECT_FALSE(PolicyRule::make(policy, 2).ok());
}

// Against enumeration, over random costs in two readings: an attended action stays only if no other is equal.
TEST(PolicyRule, UnattendedOptionsAgainstEnumeration) {
  int moved = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    base::Rng rng(seed, {"attended"});
    GuardPolicy policy;
    policy.costs.actions = {"a", "b", "c", "d"};
    for (const char* name : {"one", "two"}) {
      MatrixD cost(4, 3);
      for (std::ptrdiff_t i = 0; i < cost.size(); ++i) cost.data()[i] = static_cast<double>(rng.below(4));
      policy.costs.readings.push_back({name, 1, cost});
    }
    policy.equal_within = 0.25 * static_cast<double>(rng.below(4));
    const std::vector<double> p = {0.5, 0.25, 0.25};
    const auto plain = PolicyRule::make(policy, 3)->choose(p, {});
    policy.attended = {"a", "c"};
    const auto choice = PolicyRule::make(policy, 3)->choose(p, {});
    ASSERT_TRUE(plain.ok() && choice.ok());
    const auto expected = [&](std::size_t reading, std::size_t a) {
      double sum = 0;
      for (std::size_t c = 0; c < 3; ++c)
        sum +=
            p[c] * policy.costs.readings[reading].cost(static_cast<std::ptrdiff_t>(a), static_cast<std::ptrdiff_t>(c));
      return sum;
    };
    const auto top = static_cast<std::size_t>(std::find(plain->probabilities.begin(), plain->probabilities.end(), 1.0) -
                                              plain->probabilities.begin());
    bool equal = false;
    for (const std::size_t u : {1U, 3U})
      equal = equal || (expected(0, u) <= expected(0, top) + policy.equal_within &&
                        expected(1, u) <= expected(1, top) + policy.equal_within);
    const double attended = choice->probabilities[0] + choice->probabilities[2];
    EXPECT_EQ(attended, (top == 0 || top == 2) && !equal ? 1 : 0) << seed;
    moved += (top == 0 || top == 2) && equal ? 1 : 0;
  }
  EXPECT_GT(moved, 20);
}

// Unweighted readings: the largest value over them, since none may be averaged away.
TEST(PolicyRule, ReadingsAreNotAveragedUnlessTheyHaveWeights) {
  GuardPolicy policy = disputed();
  // p = 0.3: careful drops (0.7 against 1.2), thrifty keeps (0.3 against 0.7). Regrets: keep (0.5, 0), drop (0, 0.4);
  // the mixture with equal regret keeps with 4/9.
  const RuledChoice choice = choose(policy, 0.3);
  EXPECT_NEAR(choice.probabilities[0], 0.4 / 0.9, 1e-9);
  EXPECT_NEAR(choice.probabilities[1], 0.5 / 0.9, 1e-9);
  const double careful = (0.4 * 1.2 + 0.5 * 0.7) / 0.9;
  EXPECT_NEAR(choice.value_of_asking, careful, 1e-9);
  policy.rule = "expected";
  const auto refused = PolicyRule::make(policy, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("the rule expected weighs the readings"), std::string::npos);
  policy.costs.readings[0].weight = 3;
  policy.costs.readings[1].weight = 1;
  // Weighted mean: keep 0.3 * (3 * 4 + 1) / 4 = 0.975, drop 0.7.
  EXPECT_EQ(choose(policy, 0.3).probabilities, (std::vector<double>{0, 1, 0}));
}

TEST(PolicyRule, ASetIsAnAnswerWhereItCostsLess) {
  GuardPolicy policy;
  const std::vector<std::string> classes = {"cat", "dog"};
  policy.costs = caution::zero_one_costs(classes);
  policy.set_cost = 0.2;
  EXPECT_EQ(choose(policy, 0.4, {1, 1}).probabilities, (std::vector<double>{0, 0, 1, 0}));  // 0.2 < 0.4
  EXPECT_EQ(choose(policy, 0.1, {1, 1}).probabilities, (std::vector<double>{1, 0, 0, 0}));  // 0.2 > 0.1
  EXPECT_EQ(choose(policy, 0.4, {1, 0}).probabilities, (std::vector<double>{1, 0, 0, 0}));  // a set of one is none
}

TEST(PolicyRule, RefusingIsChosenOnlyAtADeclaredCost) {
  GuardPolicy policy = keep_or_drop();
  policy.refuse_cost = 0.3;
  EXPECT_EQ(choose(policy, 0.3).probabilities, (std::vector<double>{0, 0, 1}));
  policy.refuse_cost = 0.8;
  EXPECT_EQ(choose(policy, 0.3).probabilities, (std::vector<double>{0, 1, 0}));
}

TEST(PolicyRule, ExplorationStaysInTheSafeSetWithItsProbabilities) {
  GuardPolicy policy = keep_or_drop();
  policy.exploration = Exploration::kEpsilonGreedy;
  policy.epsilon = 0.2;
  // p = 0.1: keep 0.4, drop 0.9. Within 0.6 both are safe, within 0.4 keep alone.
  policy.safe_loss = 0.6;
  EXPECT_NEAR(choose(policy, 0.1).probabilities[0], 0.9, 1e-12);
  EXPECT_NEAR(choose(policy, 0.1).probabilities[1], 0.1, 1e-12);
  policy.safe_loss = 0.4;
  EXPECT_EQ(choose(policy, 0.1).probabilities[1], 0);
  policy.exploration = Exploration::kSoftmax;
  policy.safe_loss = 0.6;
  policy.temperature = 0.5;
  EXPECT_NEAR(choose(policy, 0.1).probabilities[1], 1 / (1 + std::exp(0.5 / 0.5)), 1e-12);
}

// Nothing unsafe by any reading is ever tried.
TEST(PolicyRule, AReadingThatForbidsKeepsAnActionOutOfTheSafeSet) {
  GuardPolicy policy = disputed();
  policy.exploration = Exploration::kSoftmax;
  policy.safe_loss = 0.45;
  // p = 0.3: keep loses 0.5 by careful, drop 0.4 by thrifty.
  EXPECT_EQ(choose(policy, 0.3).probabilities, (std::vector<double>{0, 1, 0}));
}

TEST(PolicyRule, WithoutBeliefsTheLargestPossibleLossIsWhatAPersonSaves) {
  GuardPolicy policy = keep_or_drop();
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().act, Act::kRefuse);
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().value_of_asking, 4);
  policy.fallback = "drop";
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().act, Act::kFallBack);
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().value_of_asking, 1);
  policy.ask_cost = 2;
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().act, Act::kFallBack);
  policy.ask_cost = 0.5;
  EXPECT_EQ(PolicyRule::make(policy, 2)->without_beliefs().act, Act::kAsk);
}

TEST(PolicyRule, FaultsAreNamedBeforeTheFirstRequest) {
  const auto fault = [](auto change) {
    GuardPolicy policy = keep_or_drop();
    change(policy);
    const auto rule = PolicyRule::make(policy, 2);
    return rule.ok() ? std::string("fine") : rule.error().text();
  };
  EXPECT_EQ(fault([](GuardPolicy&) {}), "fine");
  EXPECT_NE(fault([](GuardPolicy& p) { p.fallback = "wait"; }).find("fallback 'wait' is no action"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.rule = "expcted"; }).find("expected"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.rule = "quantilize:0.1"; }).find("base policy"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.alpha = 0; }).find("alpha"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.epsilon = 2; }).find("epsilon"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.ask_accuracy = 1.5; }).find("ask_accuracy"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.ask_cost = -1; }).find("ask_cost"), std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) { p.costs.actions[0] = "refuse"; }).find("may not be called 'refuse'"),
            std::string::npos);
  EXPECT_NE(fault([](GuardPolicy& p) {
              p.costs.readings[0].cost = matrix({{0, 1, 2}, {1, 0, 2}});
            }).find("classes"),
            std::string::npos);
}

TEST(ReadPolicy, FromTheGuardSection) {
  plumbline::testing::TempFolder folder;
  const std::vector<std::string> classes = {"cat", "dog"};
  const auto read = [&](const std::string& guard) {
    plumbline::testing::write_file(folder.file("system.toml"), "[system]\nname = \"s\"\nseed = 9\n\n" + guard);
    const auto manifest = data::read_manifest(folder.file("system.toml"));
    EXPECT_TRUE(manifest.ok()) << manifest.error().text();
    return read_policy(*manifest, "reader", classes);
  };
  const auto policy = read(
      "[guard]\npolicy = \"cvar:0.2\"\nalpha = 0.1\nfallback = \"dog\"\nask_cost = 1\nask_accuracy = 0.9\n"
      "explore = \"epsilon\"\nepsilon = 0.05\nsafe_loss = 0.3\nneighbours = 3\n");
  ASSERT_TRUE(policy.ok()) << policy.error().text();
  EXPECT_EQ(policy_text(*policy), "cvar:0.2 alpha 0.1 fallback dog ask 1 right 0.9 epsilon 0.05 within 0.3");
  EXPECT_EQ(policy->costs.actions, classes);
  EXPECT_EQ(policy->neighbours, 3U);
  EXPECT_EQ(policy->seed, 9U);
  const auto wrong = read("[guard]\nfallback = \"cow\"\n");
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().text().find("[guard], line"), std::string::npos) << wrong.error().text();
  EXPECT_FALSE(read("[guard]\nneighbours = -1\n").ok());
  EXPECT_NE(read("").error().text().find("no [guard] section"), std::string::npos);
}

}  // namespace
}  // namespace plumbline::caution

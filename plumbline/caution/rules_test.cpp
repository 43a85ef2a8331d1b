// Decision rules: brute force over every breakpoint, dominance and consistency, what rescaling may not change.

#include "plumbline/caution/rules.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/caution/mixed_choice.hpp"

namespace plumbline::caution {
namespace {

using decision::Act;
using decision::Decision;
using decision::RewardPosterior;
using decision::Situation;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

RewardPosterior belief(const std::vector<std::vector<double>>& rewards, std::vector<double> probability = {}) {
  RewardPosterior made;
  made.rewards.resize(std::ssize(rewards), std::ssize(rewards[0]));
  for (std::size_t k = 0; k < rewards.size(); ++k) {
    for (std::size_t i = 0; i < rewards[k].size(); ++i) {
      made.rewards(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(i)) = rewards[k][i];
    }
  }
  if (probability.empty()) probability.assign(rewards.size(), 1.0 / static_cast<double>(rewards.size()));
  made.probability = std::move(probability);
  return made;
}

RewardPosterior random_belief(base::Rng& rng, std::size_t k, std::size_t m) {
  std::vector<std::vector<double>> rewards(k, std::vector<double>(m));
  std::vector<double> probability(k);
  double sum = 0;
  for (std::size_t i = 0; i < k; ++i) {
    for (double& r : rewards[i]) r = rng.normal();
    sum += probability[i] = 0.1 + rng.uniform();
  }
  for (double& p : probability) p /= sum;
  return belief(rewards, probability);
}

Decision decide(std::string_view rule, const RewardPosterior& values, const Situation& situation = {}) {
  return parse_rule(rule).value()->decide(values, situation).value();
}

/// Mean of the worst share by the definition over t: max_t t - E[(t - x)+] / alpha, tried at every x.
double cvar_by_definition(const std::vector<double>& x, const std::vector<double>& p, double alpha) {
  double best = -1e300;
  for (const double t : x) {
    double short_of = 0;
    for (std::size_t k = 0; k < x.size(); ++k) short_of += p[k] * std::max(0.0, t - x[k]);
    best = std::max(best, t - short_of / alpha);
  }
  return best;
}

/// Best value of a concave piecewise linear function of the mixture of two options: every crossing of two returns.
double best_of_two(const RewardPosterior& b, const std::vector<double>& offset,
                   const std::function<double(const std::vector<double>&)>& value) {
  const auto gains = [&](double share) {
    std::vector<double> gain;
    for (std::ptrdiff_t k = 0; k < b.size(); ++k) {
      gain.push_back((1 - share) * b.rewards(k, 0) + share * b.rewards(k, 1) - offset[static_cast<std::size_t>(k)]);
    }
    return gain;
  };
  std::vector<double> tries = {0, 1};
  const std::vector<double> at0 = gains(0);
  const std::vector<double> at1 = gains(1);
  for (std::size_t i = 0; i < at0.size(); ++i) {
    for (std::size_t j = i + 1; j < at0.size(); ++j) {
      const double slope = (at1[i] - at0[i]) - (at1[j] - at0[j]);
      const double x = slope == 0 ? -1 : (at0[j] - at0[i]) / slope;
      if (x > 0 && x < 1) tries.push_back(x);
    }
  }
  double best = -1e300;
  for (const double x : tries) best = std::max(best, value(gains(x)));
  return best;
}

TEST(Rules, AgreeWithEveryBreakpointOfTwoOptions) {
  base::Rng rng(3, {"rules"});
  for (int trial = 0; trial < 100; ++trial) {
    const RewardPosterior b = random_belief(rng, 2 + rng.below(5), 2);
    const std::size_t k = static_cast<std::size_t>(b.size());
    const std::vector<double> zero(k, 0.0);
    std::vector<double> best(k);
    for (std::size_t i = 0; i < k; ++i)
      best[i] = std::max(b.rewards(static_cast<std::ptrdiff_t>(i), 0), b.rewards(static_cast<std::ptrdiff_t>(i), 1));
    const auto least = [](const std::vector<double>& x) { return *std::min_element(x.begin(), x.end()); };
    const auto tail = [&](double alpha) {
      return [&b, alpha](const std::vector<double>& x) { return cvar_by_definition(x, b.probability, alpha); };
    };
    EXPECT_NEAR(decide("maximin", b).value, best_of_two(b, zero, least), 1e-9);
    EXPECT_NEAR(decide("regret", b).value, best_of_two(b, best, least), 1e-9);
    EXPECT_NEAR(decide("cvar:0.3", b).value, best_of_two(b, zero, tail(0.3)), 1e-9);
    const auto mixed = [&](const std::vector<double>& x) {
      double mean = 0;
      for (std::size_t i = 0; i < k; ++i) mean += b.probability[i] * x[i];
      return 0.4 * mean + 0.6 * cvar_by_definition(x, b.probability, 0.3);
    };
    EXPECT_NEAR(decide("broil:0.4:0.3", b).value, best_of_two(b, zero, mixed), 1e-9);
    Situation s;
    s.base = {0.25, 0.75};
    const std::vector<double> base = returns_of(b, s.base);
    EXPECT_NEAR(decide("baseline", b, s).value, best_of_two(b, base, least), 1e-9);
    EXPECT_NEAR(decide("baseline:0.3", b, s).value, best_of_two(b, base, tail(0.3)), 1e-9);
  }
}

TEST(Rules, ProgramsOfManyOptionsCloseTheirGap) {
  base::Rng rng(4, {"rules"});
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t m = 3 + rng.below(10);
    const RewardPosterior b = random_belief(rng, 2 + rng.below(20), m);
    const Choices choices = options(m);
    EXPECT_LT(best_mean(choices, b)->gap, 1e-8);
    const Mix worst = best_worst_case(choices, b).value();
    EXPECT_LT(worst.gap, 1e-8);
    EXPECT_LT(best_tail(choices, b, 0.2)->gap, 1e-8);
    EXPECT_LT(best_tail(choices, b, 0.2, 0.5)->gap, 1e-8);
    const Bargain settled =
        bargain(choices, b, returns_of(b, std::vector<double>(m, 1.0 / static_cast<double>(m)))).value();
    if (settled.agreed) {
      EXPECT_LT(settled.mix.gap, 1e-8);
    }
    // No random mixture is better than the program's.
    for (int i = 0; i < 50; ++i) {
      std::vector<double> x(m);
      double sum = 0;
      for (double& v : x) sum += v = rng.exponential();
      for (double& v : x) v /= sum;
      const std::vector<double> r = returns_of(b, x);
      EXPECT_LE(*std::min_element(r.begin(), r.end()), worst.value + 1e-9);
    }
  }
}

TEST(Rules, LimitsMeet) {
  base::Rng rng(5, {"rules"});
  for (int trial = 0; trial < 20; ++trial) {
    const RewardPosterior b = random_belief(rng, 6, 4);
    EXPECT_NEAR(decide("cvar:1", b).value, decide("expected", b).value, 1e-9);
    EXPECT_NEAR(decide("broil:1:0.1", b).value, decide("expected", b).value, 1e-9);
    EXPECT_NEAR(decide("broil:0:0.2", b).value, decide("cvar:0.2", b).value, 1e-9);
    EXPECT_NEAR(decide("cvar:1e-9", b).value, decide("maximin", b).value, 1e-8);
    double last = -1e300;
    for (const double alpha : {0.05, 0.1, 0.3, 0.6, 1.0}) {
      const double value = decide("cvar:" + std::to_string(alpha), b).value;
      EXPECT_GE(value, last - 1e-9) << "the worst share's mean rises with the share";
      last = value;
    }
  }
}

const std::vector<std::string>& names() {
  static const std::vector<std::string> kNames = {"expected", "maximin", "regret",  "cvar:0.2", "broil:0.3:0.2",
                                                  "baseline", "vote",    "bargain", "ask:1",    "baseline:0.2"};
  return kNames;
}

TEST(Rules, NeverTakeADominatedOption) {
  base::Rng rng(6, {"rules"});
  for (int trial = 0; trial < 30; ++trial) {
    RewardPosterior b = random_belief(rng, 3, 4);
    // Option 3 is below option 1 by every reward, and equal by one of them: weakly dominated.
    for (std::ptrdiff_t k = 0; k < 3; ++k) b.rewards(k, 3) = b.rewards(k, 1) - (k == trial % 3 ? 0.0 : 0.2);
    Situation s;
    s.base = {0.25, 0.25, 0.25, 0.25};
    for (const std::string& name : names()) {
      const Decision d = decide(name, b, s);
      if (d.act != Act::kAct) continue;
      EXPECT_NEAR(d.probability[3], 0, 1e-9) << name << " in trial " << trial;
    }
  }
}

TEST(Rules, WithoutDoubtAllAgree) {
  const RewardPosterior sure = belief({{1, 4, 2}});
  Situation s;
  s.base = {0.5, 0.25, 0.25};
  for (const std::string& name : names()) {
    EXPECT_THAT(decide(name, sure, s).probability,
                ElementsAre(DoubleNear(0, 1e-9), DoubleNear(1, 1e-9), DoubleNear(0, 1e-9)))
        << name;
  }
  EXPECT_THAT(decide("satisfice:3", sure, s).probability, ElementsAre(0, 1, 0));
  EXPECT_THAT(decide("quantilize:0.25", sure, s).probability, ElementsAre(0, 1, 0));
}

TEST(Rules, SplittingARewardAndReorderingOptionsChangeNothing) {
  base::Rng rng(8, {"rules"});
  for (int trial = 0; trial < 15; ++trial) {
    const RewardPosterior b = random_belief(rng, 3, 4);
    RewardPosterior split = b;
    split.rewards.resize(4, 4);
    split.rewards.topRows(3) = b.rewards;
    split.rewards.row(3) = b.rewards.row(0);
    split.probability = {b.probability[0] * 0.3, b.probability[1], b.probability[2], b.probability[0] * 0.7};
    RewardPosterior turned = b;
    for (std::ptrdiff_t i = 0; i < 4; ++i) turned.rewards.col(i) = b.rewards.col(3 - i);
    Situation s;
    s.base = {0.1, 0.2, 0.3, 0.4};
    Situation back;
    back.base = {0.4, 0.3, 0.2, 0.1};
    for (const std::string& name : names()) {
      const Decision d = decide(name, b, s);
      EXPECT_NEAR(d.value, decide(name, split, s).value, 1e-8) << name;
      const Decision t = decide(name, turned, back);
      EXPECT_NEAR(d.value, t.value, 1e-8) << name;
      for (std::size_t i = 0; i < 4 && d.act == Act::kAct; ++i) {
        EXPECT_NEAR(d.probability[i], t.probability[3 - i], 1e-4) << name;
      }
    }
  }
}

TEST(Rules, RescalingOneRewardChangesNothingWhereThatIsPromised) {
  base::Rng rng(9, {"rules"});
  int agreed = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const RewardPosterior b = random_belief(rng, 3, 4);
    RewardPosterior scaled = b;
    scaled.rewards.row(1) = b.rewards.row(1) * 1000.0;
    scaled.rewards.row(1).array() += 77.0;
    for (const char* name : {"vote", "bargain"}) {
      const Decision before = decide(name, b);
      const Decision after = decide(name, scaled);
      ASSERT_EQ(before.act, after.act);
      EXPECT_NEAR(before.value, after.value, 1e-8) << name;
      for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(before.probability[i], after.probability[i], 1e-4) << name;
      if (before.act == Act::kAct && std::string(name) == "bargain") ++agreed;
    }
    // A shift alone changes neither regret nor the gain over a base.
    RewardPosterior shifted = b;
    shifted.rewards.row(2).array() += 5.0;
    EXPECT_NEAR(decide("regret", b).value, decide("regret", shifted).value, 1e-9);
    Situation s;
    s.base = {0.25, 0.25, 0.25, 0.25};
    EXPECT_NEAR(decide("baseline", b, s).value, decide("baseline", shifted, s).value, 1e-9);
  }
  EXPECT_GT(agreed, 20);
  // What is not promised: the mean follows whoever shouts loudest.
  EXPECT_EQ(decide("expected", belief({{0, 1}, {3, 0}})).probability[0], 1);
  EXPECT_EQ(decide("expected", belief({{0, 10}, {3, 0}})).probability[1], 1);
}

TEST(Rules, BargainIsNashsProduct) {
  // Two rewards over (1, 0), (0, 1) from a disagreement of nothing: halves. With a weight p, shares p.
  const Bargain even = bargain(options(2), belief({{1, 0}, {0, 1}}), std::vector<double>{0, 0}).value();
  ASSERT_TRUE(even.agreed);
  EXPECT_NEAR(even.mix.share[0], 0.5, 1e-5);
  EXPECT_NEAR(even.mix.value, 0.5, 1e-10);
  const Bargain third =
      bargain(options(2), belief({{7, 0}, {0, 1}}, {1.0 / 3, 2.0 / 3}), std::vector<double>{0, 0}).value();
  EXPECT_NEAR(third.mix.share[0], 1.0 / 3, 1e-5);
  // Random cases of two options against a fine scan of the product.
  base::Rng rng(10, {"rules"});
  int agreed = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const RewardPosterior b = random_belief(rng, 2, 3);
    const std::vector<double> from = returns_of(b, std::vector<double>{1.0 / 3, 1.0 / 3, 1.0 / 3});
    const Bargain found = bargain(options(3), b, from).value();
    double top = -1;
    for (int i = 0; i <= 400; ++i) {
      for (int j = 0; i + j <= 400; ++j) {
        const std::vector<double> r = returns_of(b, std::vector<double>{i / 400.0, j / 400.0, (400 - i - j) / 400.0});
        const double g0 = r[0] - from[0];
        const double g1 = r[1] - from[1];
        if (g0 > 0 && g1 > 0) top = std::max(top, std::pow(g0, b.probability[0]) * std::pow(g1, b.probability[1]));
      }
    }
    ASSERT_EQ(found.agreed, top > 1e-6) << trial;
    if (!found.agreed) continue;
    ++agreed;
    const std::vector<double>& r = found.mix.returns;
    const double product = std::pow(r[0] - from[0], b.probability[0]) * std::pow(r[1] - from[1], b.probability[1]);
    EXPECT_GE(product, top - 1e-9);
    EXPECT_NEAR(product, top, 1e-2);
  }
  EXPECT_GT(agreed, 20);
  // Opposed: no gain for both, the base stays.
  Situation s;
  s.fallback = 2;
  const Decision stuck = decide("bargain", belief({{1, -1, 0}, {-1, 1, 0}}), s);
  EXPECT_EQ(stuck.act, Act::kFallBack);
  EXPECT_EQ(stuck.probability[2], 1);
}

TEST(Rules, AsksOnlyWhenTheAnswerIsWorthIt) {
  const RewardPosterior b = belief({{10, 0}, {-8, 0}}, {0.75, 0.25});
  Situation s;
  s.fallback = 1;
  // Acting is worth 5.5; knowing would be worth 7.5.
  s.ask_cost = 1;
  Decision d = decide("ask:0.05", b, s);
  EXPECT_EQ(d.act, Act::kAsk);
  EXPECT_NEAR(d.value, 6.5, 1e-12);
  s.ask_cost = 3;
  EXPECT_EQ(decide("ask:0.3", b, s).act, Act::kAct);
  EXPECT_EQ(decide("ask:0.05", b, s).act, Act::kAsk) << "too unsure to act, and asking beats doing nothing";
  s.ask_cost = 8;
  d = decide("ask:0.05", b, s);
  EXPECT_EQ(d.act, Act::kFallBack);
  EXPECT_EQ(d.probability[1], 1);
  s.ask_cost.reset();
  EXPECT_EQ(decide("ask:0.05", b, s).act, Act::kFallBack);
  EXPECT_EQ(decide("ask:0.3", b, s).act, Act::kAct);
  EXPECT_EQ(decide("ask:0.05", b).act, Act::kRefuse);
  EXPECT_THAT(d.reason, HasSubstr("doubt 0.25"));
}

TEST(Rules, SatisficeKeepsToTheBaseAmongWhatIsEnough) {
  const RewardPosterior b = belief({{1, 2, 3}});
  Situation s;
  s.base = {0.6, 0.3, 0.1};
  EXPECT_THAT(decide("satisfice:2", b, s).probability,
              ElementsAre(0, DoubleNear(0.75, 1e-12), DoubleNear(0.25, 1e-12)));
  EXPECT_THAT(decide("satisfice:2", b).probability, ElementsAre(0, 0.5, 0.5));
  EXPECT_THAT(decide("satisfice:9", b).probability, ElementsAre(0, 0, 1));
  s.fallback = 0;
  EXPECT_EQ(decide("satisfice:9", b, s).act, Act::kFallBack);
  s.base = {1, 0, 0};
  EXPECT_THAT(decide("satisfice:2", b, s).probability, ElementsAre(0, 0.5, 0.5))
      << "the base never does what is enough";
}

TEST(Rules, QuantilizerReportsItsCostBound) {
  Situation s;
  s.base = {0.5, 0.3, 0.2};
  const Decision d = decide("quantilize:0.4", belief({{1, 2, 3}}), s);
  EXPECT_THAT(d.probability, ElementsAre(0, DoubleNear(0.5, 1e-12), DoubleNear(0.5, 1e-12)));
  EXPECT_NEAR(d.cost_factor, 2.5, 1e-12);
  EXPECT_THAT(d.reason, HasSubstr("at most 2.5 times"));
}

TEST(Rules, NamesAreReadBack) {
  for (const RuleFacts& facts : rules()) {
    const RuleSpec spec = parse_rule_spec(facts.id).value();
    EXPECT_EQ(spec.rule, facts.rule);
    EXPECT_EQ(&rule_facts(spec.rule), &facts);
    const std::string name = rule_name(spec);
    EXPECT_EQ(parse_rule(name).value()->name(), name);
    EXPECT_FALSE(facts.help.empty() || facts.source.empty());
  }
  EXPECT_EQ(rule_name(parse_rule_spec("cvar:0.25").value()), "cvar:0.25");
  EXPECT_EQ(rule_name(parse_rule_spec("broil:0.5").value()), "broil:0.5:0.1");
}

TEST(Rules, RefuseNonsense) {
  EXPECT_THAT(parse_rule("maxmin").error().text(), HasSubstr("did you mean \"maximin\"?"));
  EXPECT_THAT(parse_rule("q").error().text(), HasSubstr("known: expected, maximin"));
  EXPECT_THAT(parse_rule("cvar:").error().text(), HasSubstr("\"\" is no number"));
  EXPECT_THAT(parse_rule("cvar:x").error().text(), HasSubstr("\"x\" is no number"));
  EXPECT_THAT(parse_rule("cvar:nan").error().text(), HasSubstr("no number"));
  EXPECT_THAT(parse_rule("cvar:0").error().text(), HasSubstr("share 0 is outside (0, 1]"));
  EXPECT_THAT(parse_rule("expected:1").error().text(), HasSubstr("the rule takes 0 numbers"));
  const RewardPosterior b = belief({{1, 2}});
  const auto fails = [&](std::string_view rule, const RewardPosterior& values, const Situation& s) {
    return parse_rule(rule).value()->decide(values, s).error();
  };
  EXPECT_EQ(fails("quantilize:0.5", b, {}).code, base::Code::kUnsupported);
  EXPECT_THAT(fails("baseline", b, {}).text(), HasSubstr("needs a base policy or a fallback"));
  Situation s;
  s.base = {1};
  EXPECT_EQ(fails("expected", b, s).code, base::Code::kShape);
  s.base = {0.5, 0.4};
  EXPECT_THAT(fails("expected", b, s).text(), HasSubstr("sums to 0.9"));
  s.base = {};
  s.fallback = 2;
  EXPECT_THAT(fails("expected", b, s).text(), HasSubstr("fallback"));
  RewardPosterior none;
  EXPECT_THAT(fails("expected", none, {}).text(), HasSubstr("no option"));
  RewardPosterior bad = b;
  bad.rewards(0, 0) = std::nan("");
  EXPECT_EQ(fails("maximin", bad, {}).code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::caution

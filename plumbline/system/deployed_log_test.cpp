#include "plumbline/system/deployed_log.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/system/deployed_draws.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::system {
namespace {

using data::DecisionCause;
using data::DecisionKind;
using data::DecisionRecord;
using ::testing::Contains;
using ::testing::HasSubstr;

const std::vector<std::string> kNames = {"a", "b", "c", "d"};

struct Plan {
  std::size_t rows = 600;
  double claimed = 0.4;   ///< share of draws alike among the four
  double explored = 0.4;  ///< as it was done
  double lost_if_b = 0;   ///< chance that the reward of b is lost, beside a tenth of all
  double drift = 0;       ///< added to every reward in the second half
};

/// Two contexts; the policy prefers a in one, b in the other. c earns most.
std::vector<DecisionRecord> make(const Plan& plan, base::Rng& rng) {
  std::vector<DecisionRecord> log;
  double time = 0;
  for (std::size_t i = 0; i < plan.rows; ++i) {
    DecisionRecord r;
    r.id = "job-" + std::to_string(1000 + i);
    r.time = time += rng.exponential();
    const std::size_t x = rng.below(2);
    r.context = {{"x", static_cast<double>(x)}};
    r.actions = kNames;
    r.probabilities.assign(4, plan.claimed / 4);
    r.probabilities[x] += 1 - plan.claimed;
    const std::size_t a = rng.bernoulli(plan.explored) ? rng.below(4) : x;
    r.action = r.final_action = kNames[a];
    r.propensity = r.probabilities[a];
    r.policy = "v1";
    const double mean = a == 2 ? 0.7 : a == x ? 0.5 : 0.3;
    const bool lost = rng.bernoulli(0.1) || (a == 1 && rng.bernoulli(plan.lost_if_b));
    const double reward = (rng.bernoulli(mean) ? 1 : 0) + (i >= plan.rows / 2 ? plan.drift : 0);
    if (!lost) r.reward = reward;
    log.push_back(r);
  }
  return log;
}

DeployedLog judged(const std::vector<DecisionRecord>& log, const DeployedOptions& options = {}) {
  auto out = deployed_log(log, options);
  EXPECT_TRUE(out.ok()) << out.error().text();
  return std::move(out).value();
}

TEST(DeployedLog, AnHonestLogIsClean) {
  base::Rng rng(1, {"honest"});
  const DeployedLog out = judged(make({}, rng));
  EXPECT_EQ(out.rows, 600U);
  EXPECT_EQ(out.drawn, 600U);
  EXPECT_EQ(out.faulty_share.value, 0);
  EXPECT_TRUE(out.faults.empty());
  EXPECT_EQ(out.undeclared_share.value, 0);
  EXPECT_EQ(out.explored_share->value, 1);
  EXPECT_DOUBLE_EQ(out.least_probability->value, 0.1);
  EXPECT_EQ(out.missing_number_share->value, 0);
  EXPECT_GT(out.draw_p->value, 0.05);
  EXPECT_TRUE(out.draw_p->anytime);
  EXPECT_GT(out.feedback_p->value, 0.01);
  EXPECT_GT(out.gap_p->value, 0.01);
  EXPECT_EQ(out.error_share.value, 0);
  EXPECT_EQ(out.predicted_for, "the second half");
  ASSERT_TRUE(out.offline_gap.has_value());
  EXPECT_LE(*out.offline_gap->low(), 0);
  EXPECT_GE(*out.offline_gap->high(), 0);
  EXPECT_TRUE(out.notes.empty()) << out.notes.front();
}

TEST(DeployedLog, FaultsAreCountedToTheRow) {
  base::Rng rng(2, {"faults"});
  auto log = make({.rows = 200}, rng);
  log[3].id = log[2].id;
  log[5].id.clear();
  log[7].time = 0;
  log[9].probabilities[0] += 0.1;
  log[11].propensity = 0.25;
  log[13].action = log[13].final_action = "z";
  log[15].probabilities = {0, 1, 0, 0};
  log[15].action = log[15].final_action = "a";
  log[15].propensity = 0;
  log[17].probabilities.pop_back();
  log[19].final_action = log[19].action == "a" ? "b" : "a";
  log[21].position = 2;
  log[23].probabilities = {-1, 2, 0, 0};
  log[25].actions[1] = "a";
  const DeployedLog out = judged(log);
  EXPECT_DOUBLE_EQ(out.faulty_share.value, 12.0 / 200);
  std::map<std::string, std::vector<std::size_t>> found;
  for (const LogFault& f : out.faults) found[f.what] = f.rows;
  EXPECT_EQ(found["an id that was there before"], (std::vector<std::size_t>{3}));
  EXPECT_EQ(found["no id"], (std::vector<std::size_t>{5}));
  EXPECT_EQ(found["earlier than the decision before"], (std::vector<std::size_t>{7}));
  EXPECT_EQ(found["probabilities that do not sum to 1"], (std::vector<std::size_t>{9}));
  EXPECT_EQ(found["a propensity that is not the action's probability"], (std::vector<std::size_t>{11}));
  EXPECT_EQ(found["an action that could not be taken"], (std::vector<std::size_t>{13}));
  EXPECT_EQ(found["an action of probability 0 that was taken"], (std::vector<std::size_t>{15}));
  EXPECT_EQ(found["not as many probabilities as actions"], (std::vector<std::size_t>{17}));
  EXPECT_EQ(found["the policy acted, and another action was carried out"], (std::vector<std::size_t>{19}));
  EXPECT_EQ(found["a position that does not follow the one before"], (std::vector<std::size_t>{21}));
  EXPECT_EQ(found["a probability outside [0, 1]"], (std::vector<std::size_t>{23}));
  EXPECT_EQ(found["an action that is named twice"], (std::vector<std::size_t>{25}));
  EXPECT_EQ(out.draw_p->value, 0) << "what has probability 0 does not happen";
  EXPECT_EQ(deployed_log({}).error().code, base::Code::kValue);
}

TEST(DeployedLog, CausesVersionsAndNumbers) {
  base::Rng rng(3, {"causes"});
  auto log = make({.rows = 100}, rng);
  for (std::size_t i = 0; i < 10; ++i) log[i].cause = DecisionCause::kPerson;
  for (std::size_t i = 10; i < 15; ++i) {
    log[i].cause = DecisionCause::kTimeout;
    log[i].kind = DecisionKind::kFallBack;
    log[i].actions.clear();
    log[i].probabilities.clear();
    log[i].propensity.reset();
  }
  log[20].cause = DecisionCause::kError;
  log[20].kind = DecisionKind::kRefuse;
  for (std::size_t i = 60; i < 80; ++i) log[i].policy = "v2";
  for (std::size_t i = 80; i < 100; ++i) log[i].policy = "v3";
  log.erase(log.begin() + 30, log.begin() + 40);
  const DeployedLog out = judged(log);
  EXPECT_EQ(out.rows, 90U);
  EXPECT_EQ(out.drawn, 85U);
  EXPECT_DOUBLE_EQ(out.person_share.value, 10.0 / 90);
  EXPECT_DOUBLE_EQ(out.timeout_share.value, 5.0 / 90);
  EXPECT_DOUBLE_EQ(out.fallback_share.value, 5.0 / 90);
  EXPECT_DOUBLE_EQ(out.error_share.value, 1.0 / 90);
  EXPECT_DOUBLE_EQ(out.refused_share.value, 1.0 / 90);
  EXPECT_DOUBLE_EQ(out.undeclared_share.value, 40.0 / 90);
  EXPECT_DOUBLE_EQ(judged(log, {{"v1", "v3"}}).undeclared_share.value, 20.0 / 90);
  EXPECT_DOUBLE_EQ(out.missing_number_share->value, 0.1);
  EXPECT_EQ(out.versions, (std::vector<std::string>{"v1", "v2", "v3"}));
  EXPECT_THAT(out.notes, Contains(HasSubstr("offline_gap is not known")));
}

TEST(DeployedLog, WhatIsNotThereIsSaid) {
  base::Rng rng(4, {"little"});
  auto log = make({.rows = 30}, rng);
  for (auto& r : log) {
    r.id.clear();
    r.time.reset();
    r.probabilities.clear();
  }
  const DeployedLog none = judged(log);
  for (const char* word : {"no ids", "draw_p is not known: no decision", "gap_p is not known", "missing_number_share",
                           "feedback_p", "offline_gap"})
    EXPECT_THAT(none.notes, Contains(HasSubstr(word)));
  EXPECT_FALSE(none.draw_p.has_value());
  for (auto& r : log) {
    r.probabilities = {1, 0, 0, 0};
    r.action = r.final_action = "a";
    r.propensity = 1;
  }
  EXPECT_THAT(judged(log).notes, Contains(HasSubstr("nothing was drawn")));
  EXPECT_EQ(judged(log).explored_share->value, 0);
  auto contexts = make({.rows = 600}, rng);
  for (std::size_t i = 0; i < contexts.size(); ++i) contexts[i].context = {{"x", static_cast<double>(i)}};
  EXPECT_THAT(judged(contexts).notes, Contains(HasSubstr("have a context that came 5 times")));
}

/// Two actions with 0.75 and 0.25: the wealth of the mixture, by multiplying likelihood ratios plainly.
TEST(Draws, WealthAgainstPlainProducts) {
  base::Rng rng(5, {"plain"});
  std::vector<Draw> draws;
  for (int i = 0; i < 12; ++i) draws.push_back({{0, 1}, {0.75, 0.25}, rng.bernoulli(0.6) ? 1U : 0U, 0});
  double best = 1;
  double last = 0;
  std::vector<double> wealth(16, 1);
  for (const Draw& d : draws) {
    std::size_t at = 0;
    const double p = d.probabilities[d.taken];
    for (const double g : {0.5, 0.8, 1.25, 2.0})
      wealth[at++] *= std::pow(p, g) / (std::pow(0.75, g) + std::pow(0.25, g)) / p;
    for (std::size_t a = 0; a < 2; ++a)
      for (const double odds : {0.25, 0.5, 0.8, 1.25, 2.0, 4.0}) {
        const double q = odds * d.probabilities[a] / (1 + (odds - 1) * d.probabilities[a]);
        wealth[at++] *= d.taken == a ? q / d.probabilities[a] : (1 - q) / (1 - d.probabilities[a]);
      }
    last = 0;
    for (std::size_t i = 0; i < wealth.size(); ++i) last += wealth[i] * (i < 4 ? 0.5 / 4 : 0.5 / 12);
    best = std::max(best, last);
  }
  const DrawEvidence evidence = bet_on_draws(draws, 2);
  EXPECT_NEAR(evidence.p, 1 / best, 1e-12);
  EXPECT_NEAR(evidence.wealth.back().log10, std::log10(last), 1e-12);
}

/// Binary draws with one mu: the score is a binomial's, so value and bounds have closed forms.
TEST(Draws, SharpnessOfBinaryDrawsInClosedForm) {
  std::vector<Draw> draws;
  constexpr double kN = 100;
  constexpr double kTaken = 80;
  for (int i = 0; i < 100; ++i) draws.push_back({{0, 1}, {0.7, 0.3}, i < 80 ? 0U : 1U, 0});
  const auto e = sharpness_of(draws);
  ASSERT_TRUE(e.has_value());
  const auto exponent = [](double q) { return std::log(q / (1 - q)) / std::log(0.7 / 0.3); };
  EXPECT_NEAR(e->value, exponent(kTaken / kN), 1e-6);
  // Wilson's bounds: the q with (taken - n q) / sqrt(n q (1 - q)) = -+ z.
  const double z = 1.959963984540054;
  const double centre = (kTaken + z * z / 2) / (kN + z * z);
  const double half = z / (kN + z * z) * std::sqrt(kTaken * (kN - kTaken) / kN + z * z / 4);
  EXPECT_NEAR(*e->low(), exponent(centre - half), 1e-6);
  EXPECT_NEAR(*e->high(), exponent(centre + half), 1e-6);
  for (Draw& d : draws) d.probabilities = {0.5, 0.5};
  EXPECT_FALSE(sharpness_of(draws).has_value()) << "alike probabilities say nothing";
}

/// Honest logs: p-values are no smaller than they should be, even the least one along the way; bounds cover. Logs that
/// explore half as much as they claim, lose rewards of one action, or drift: found.
TEST(DeployedLogStatistical, ErrorRatesAndPower) {
  constexpr int kRuns = 200;
  int alarm = 0, feedback_alarm = 0, gap_alarm = 0, sharp = 0, offline = 0;
  for (int seed = 0; seed < kRuns; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"honest"});
    const DeployedLog out = judged(make({}, rng));
    alarm += out.draw_p->value <= 0.05 ? 1 : 0;
    feedback_alarm += out.feedback_p->value <= 0.05 ? 1 : 0;
    gap_alarm += out.gap_p->value <= 0.05 ? 1 : 0;
    sharp += *out.sharpness->low() <= 1 && 1 <= *out.sharpness->high() ? 1 : 0;
    offline += *out.offline_gap->low() <= 0 && 0 <= *out.offline_gap->high() ? 1 : 0;
  }
  const auto rare = testing::binomial_band(kRuns, 0.05, 1e-4);
  const auto often = testing::binomial_band(kRuns, 0.95, 1e-4);
  EXPECT_LE(alarm, rare.high);
  EXPECT_LE(feedback_alarm, rare.high);
  EXPECT_LE(gap_alarm, rare.high);
  EXPECT_TRUE(often.contains(sharp)) << sharp;
  EXPECT_TRUE(often.contains(offline)) << offline;
  int found = 0, sharpened = 0, lost = 0, drifted = 0, gap = 0;
  constexpr int kPlanted = 40;
  for (int seed = 0; seed < kPlanted; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"planted"});
    const DeployedLog lazy = judged(make({.rows = 800, .explored = 0.2}, rng));
    found += lazy.draw_p->value <= 0.01 ? 1 : 0;
    sharpened += *lazy.sharpness->low() > 1 ? 1 : 0;
    lost += judged(make({.lost_if_b = 0.5}, rng)).feedback_p->value <= 0.01 ? 1 : 0;
    drifted += *judged(make({.drift = 0.3}, rng)).offline_gap->high() < 0 ? 1 : 0;
    auto holed = make({}, rng);
    for (std::size_t i = 300; i < holed.size(); ++i) *holed[i].time += 40;
    gap += judged(holed).gap_p->value <= 0.001 ? 1 : 0;
  }
  EXPECT_GE(found, kPlanted - 1);
  EXPECT_GE(sharpened, kPlanted - 1);
  EXPECT_GE(lost, kPlanted - 1);
  EXPECT_GE(drifted, kPlanted - 1);
  EXPECT_EQ(gap, kPlanted);
}

/// With two versions at once, the first predicts the second; a log whose propensities were not used predicts wrongly.
TEST(DeployedLogStatistical, OneVersionPredictsTheNext) {
  int covered = 0;
  int missed = 0;
  constexpr int kRuns = 50;
  for (int seed = 0; seed < kRuns; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"versions"});
    for (const double explored : {0.8, 0.2}) {
      auto log = make({.rows = 1500, .claimed = 0.8, .explored = explored}, rng);
      auto next = make({.rows = 1500, .claimed = 0.2, .explored = 0.2}, rng);
      for (auto& r : next) r.policy = "v2";
      log.insert(log.end(), next.begin(), next.end());
      const DeployedLog out = judged(log, {{"v1", "v2"}});
      EXPECT_EQ(out.predicted_for, "v2");
      const bool holds = *out.offline_gap->low() <= 0 && 0 <= *out.offline_gap->high();
      (explored == 0.8 ? covered : missed) += holds ? 1 : 0;
    }
  }
  EXPECT_GE(covered, testing::binomial_band(kRuns, 0.95, 1e-4).low);
  EXPECT_LE(missed, 2);
}

}  // namespace
}  // namespace plumbline::system

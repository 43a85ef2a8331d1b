#include "plumbline/counterfactual/log_quality.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bandits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using testing::bandit_log;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::small_bandit;

data::DecisionLog log_of(const std::vector<data::DecisionRecord>& records) {
  data::LogBuilder builder("x");
  for (const auto& r : records) EXPECT_TRUE(builder.add(r, "x").ok());
  return std::move(builder.take()).value();
}

TEST(LogQualityOf, CountsWhatWasPlanted) {
  const testing::Bandit b = small_bandit();
  base::Rng rng(1);
  std::vector<data::DecisionRecord> records;
  for (int i = 0; i < 1000; ++i) {
    data::DecisionRecord r = testing::bandit_record(b, rng, {.probabilities = false});
    r.id = fmt::format("d{}", i);
    r.time = i;
    r.delay = i % 100;
    records.push_back(r);
  }
  records[3].propensity = 0;
  records[4].propensity = 1.25;
  records[5].propensity = -0.5;
  records[6].propensity.reset();
  records[7].actions = {"other"};
  records[8].id = "d1";
  records[9].time = 2;
  records[10].reward.reset();
  records[11].cause = data::DecisionCause::kPerson;
  const auto q = log_quality(log_of(records));
  ASSERT_TRUE(q.ok());
  EXPECT_EQ(q->judged, 999U);
  EXPECT_NEAR(q->impossible_share.value, 5.0 / 999, 1e-12);
  EXPECT_EQ(q->faults.front().count, 2U) << q->faults.front().what;
  EXPECT_NEAR(q->duplicate_share.value, 0.001, 1e-12);
  EXPECT_NEAR(q->out_of_order_share.value, 0.001, 1e-12);
  EXPECT_NEAR(q->missing_reward_share.value, 1.0 / 999, 1e-12);
  EXPECT_NEAR(q->excluded_share.value, 7.0 / 1000, 1e-12);
  EXPECT_NEAR(q->delay->value, 94.05, 0.5);
  EXPECT_EQ(q->impossible_share.exactness, stats::Exactness::kExact);
}

TEST(LogQualityOf, RepeatedRowsWithoutIds) {
  const testing::Bandit b = small_bandit();
  base::Rng rng(1);
  std::vector<data::DecisionRecord> records;
  for (int i = 0; i < 100; ++i) {
    records.push_back(testing::bandit_record(b, rng));
    records.back().time = i;
  }
  records.push_back(records[5]);
  const auto q = log_quality(log_of(records));
  EXPECT_NEAR(q->duplicate_share.value, 1.0 / 101, 1e-12);
  for (auto& r : records) r.time.reset();
  EXPECT_THAT(log_quality(log_of(records))->notes, Contains(HasSubstr("may be different decisions")));
}

// 400 honest logs: the 0.95 interval of the ratio holds 1 in at least 361 (probability 1e-4 otherwise).
TEST(LogQualityStatistical, HonestPropensitiesKeepTheirLevelAndLiesAreFound) {
  const testing::Bandit b = small_bandit(0.3);
  int held = 0;
  int drift_held = 0;
  int flagged = 0;
  testing::count_seeds(400, [&](base::Rng& rng) {
    const auto q = log_quality(bandit_log(b, 1000, rng, {.probabilities = rng.bernoulli(0.5)}));
    held += *q->propensity_ratio->low() <= 1 && 1 <= *q->propensity_ratio->high() ? 1 : 0;
    drift_held += *q->propensity_drift->low() <= 0 && 0 <= *q->propensity_drift->high() ? 1 : 0;
    for (const ActionShare& a : q->actions) flagged += a.p_value < 1e-4 ? 1 : 0;
    return true;
  });
  EXPECT_GE(held, testing::binomial_floor(400, 0.95));
  EXPECT_GE(drift_held, testing::binomial_floor(400, 0.95));
  EXPECT_LE(flagged, 3) << "1600 tests at 1e-4: more than 3 with probability 1e-5";
  const int found = testing::count_seeds(100, [&](base::Rng& rng) {
    const auto q = log_quality(bandit_log(b, 1000, rng, {.lie = 0.3}));
    return *q->propensity_ratio->high() < 1;
  });
  EXPECT_GE(found, 97);
}

TEST(LogQualityStatistical, DriftOfThePolicyAgainstItsClaimIsFound) {
  // From the middle on the policy explores a third of what it claims.
  const testing::Bandit honest = small_bandit(0.6);
  const testing::Bandit lazy = small_bandit(0.2);
  const int found = testing::count_seeds(100, [&](base::Rng& rng) {
    std::vector<data::DecisionRecord> records;
    for (int i = 0; i < 2000; ++i) {
      data::DecisionRecord r = testing::bandit_record(i < 1000 ? honest : lazy, rng, {.probabilities = false});
      const auto x = static_cast<std::size_t>(r.policy.back() - '0');
      r.propensity = honest.logging[x][static_cast<std::size_t>(r.action.back() - '0')];
      records.push_back(r);
    }
    return *log_quality(log_of(records))->propensity_drift->high() < 0;
  });
  EXPECT_GE(found, 97);
}

TEST(LogQualityStatistical, LateRewardsShowAtTheEnd) {
  const testing::Bandit b = small_bandit();
  const int found = testing::count_seeds(50, [&](base::Rng& rng) {
    std::vector<data::DecisionRecord> records;
    for (int i = 0; i < 2000; ++i) {
      records.push_back(testing::bandit_record(b, rng));
      if (rng.bernoulli(i >= 1800 ? 0.4 : 0.05)) records.back().reward.reset();
    }
    return *log_quality(log_of(records))->recent_missing_gap->low() > 0.1;
  });
  EXPECT_EQ(found, 50);
}

TEST(LogQualityOf, OneHeavyRowWithholdsTheRatio) {
  const testing::Bandit b = small_bandit();
  base::Rng rng(2);
  std::vector<data::DecisionRecord> records;
  for (int i = 0; i < 100; ++i) records.push_back(testing::bandit_record(b, rng, {.probabilities = false}));
  records[50].propensity = 1e-6;
  auto q = log_quality(log_of(records));
  EXPECT_FALSE(q->propensity_ratio.has_value());
  EXPECT_THAT(q->notes, Contains(HasSubstr("over a tenth of the sum")));
  records.resize(20);
  q = log_quality(log_of(records));
  EXPECT_THAT(q->notes, Contains(HasSubstr("20 decisions have a possible propensity")));
}

TEST(LogQualityStatistical, ActionsKeepTheirLevelInUnitsAndUniformLiesAreFound) {
  // Ten decisions of a user take one action: without units, its count would look impossible.
  const testing::Bandit b = small_bandit(0.8);
  std::vector<double> p_values;
  testing::count_seeds(300, [&](base::Rng& rng) {
    std::vector<data::DecisionRecord> records;
    for (int u = 0; u < 200; ++u) {
      data::DecisionRecord r = testing::bandit_record(b, rng, {.probabilities = false});
      r.unit = fmt::format("u{}", u);
      for (int k = 0; k < 10; ++k) records.push_back(r);
    }
    p_values.push_back(log_quality(log_of(records))->propensity_p->value);
    return true;
  });
  const auto low = std::count_if(p_values.begin(), p_values.end(), [](double p) { return p < 0.05; });
  EXPECT_LE(low, testing::binomial_band(300, 0.05).high) << "Bonferroni may be below its level, not above";
  // A claim of uniform draws, and a policy that prefers one action.
  const int found = testing::count_seeds(50, [&](base::Rng& rng) {
    std::vector<data::DecisionRecord> records;
    for (int i = 0; i < 1000; ++i) {
      records.push_back(testing::bandit_record(b, rng, {.probabilities = false}));
      records.back().propensity = 0.25;
      if (rng.bernoulli(0.1)) records.back().action = records.back().final_action = "a0";
    }
    const auto q = log_quality(log_of(records));
    return !q->propensity_ratio && q->propensity_p->value < 0.001;
  });
  EXPECT_GE(found, 48);
}

TEST(LogQualityData, OpenBanditIsClean) {
  PL_NEEDS_DATA(folder, "bandit/obd_men");
  const auto random = data::read_decision_log(folder + "/random_men.csv.gz");
  const auto q = log_quality(*random);
  ASSERT_TRUE(q.ok());
  EXPECT_EQ(q->impossible_share.value, 0);
  EXPECT_EQ(q->out_of_order_share.value, 0);
  EXPECT_FALSE(q->propensity_ratio.has_value()) << "all claim 1/34";
  EXPECT_GT(q->propensity_p->value, 0.01);
  const auto bts = log_quality(*data::read_decision_log(folder + "/bts_men.csv.gz"));
  ASSERT_TRUE(bts.ok());
  RecordProperty("bts_p", fmt::format("{}", bts->propensity_p->value));
}

}  // namespace
}  // namespace plumbline::counterfactual

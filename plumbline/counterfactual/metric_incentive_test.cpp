#include "plumbline/counterfactual/metric_incentive.hpp"

#include <array>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using ::testing::HasSubstr;

/// People in two moods, three actions; what each action does is known.
struct People {
  double happy = 0.4;                                            ///< share
  double stays[2][3] = {{0.97, 0.97, 0.2}, {0.97, 0.97, 0.97}};  ///< by mood (0 unhappy) and action
  double turns[2][3] = {{0.35, 0.0, 0.0}, {1.0, 1.0, 1.0}};      ///< P(happy afterwards)
  double mu[3] = {0.5, 0.25, 0.25};
  double said(int mood, int action) const { return 0.4 + 0.5 * turns[mood][action]; }
  double share(int mood) const { return mood == 1 ? happy : 1 - happy; }
  /// Mean over those who stay, share that stays, mean over all, of probabilities by mood.
  std::array<double, 3> exact(const std::array<std::array<double, 3>, 2>& pi) const {
    double met = 0, after = 0;
    for (int m = 0; m < 2; ++m) {
      for (int a = 0; a < 3; ++a) {
        const double p = share(m) * pi[static_cast<std::size_t>(m)][static_cast<std::size_t>(a)] * stays[m][a];
        met += p;
        after += p * said(m, a);
      }
    }
    return {after / met, met, after};
  }
  std::array<std::array<double, 3>, 2> fixed(int unhappy, int happy_action) const {
    std::array<std::array<double, 3>, 2> pi{};
    pi[0][static_cast<std::size_t>(unhappy)] = 1;
    pi[1][static_cast<std::size_t>(happy_action)] = 1;
    return pi;
  }
  std::array<std::array<double, 3>, 2> logging() const {
    return {std::array<double, 3>{mu[0], mu[1], mu[2]}, std::array<double, 3>{mu[0], mu[1], mu[2]}};
  }
};

data::DecisionLog people_log(const People& people, int count, base::Rng& rng) {
  const std::array<std::string, 3> names = {"help", "nothing", "annoy"};
  data::LogBuilder builder("x");
  for (int u = 0; u < count; ++u) {
    int mood = rng.bernoulli(people.happy) ? 1 : 0;
    for (int day = 0; day < 2; ++day) {
      const double coin = rng.uniform();
      const std::size_t a = coin < people.mu[0] ? 0 : coin < people.mu[0] + people.mu[1] ? 1 : 2;
      data::DecisionRecord r;
      r.unit = fmt::format("u{}", u);
      r.time = day;
      r.context = {{"mood", std::string(mood == 1 ? "happy" : "unhappy")}};
      r.action = r.final_action = names[a];
      r.propensity = people.mu[a];
      r.reward = rng.bernoulli(mood == 1 ? 0.9 : 0.4) ? 1 : 0;
      EXPECT_TRUE(builder.add(r, "x").ok());
      if (!rng.bernoulli(people.stays[mood][a])) break;
      mood = rng.bernoulli(people.turns[mood][a]) ? 1 : 0;
    }
  }
  return std::move(builder.take()).value();
}

// By enumeration of the nine choices: who maximises which mean. Then from logs: the same choices, and intervals that
// hold the exact differences.
TEST(MetricIncentiveStatistical, FindsTheOptimisersAndCoversTheirExactEffects) {
  const People people;
  std::pair<int, int> best_metric, best_pool;
  double metric = -1, pool = -1;
  for (int low = 0; low < 3; ++low) {
    for (int high = 0; high < 3; ++high) {
      const auto e = people.exact(people.fixed(low, high));
      if (e[0] > metric + 1e-12) {
        metric = e[0];
        best_metric = {low, high};
      }
      if (e[2] > pool + 1e-12) {
        pool = e[2];
        best_pool = {low, high};
      }
    }
  }
  EXPECT_EQ(best_metric.first, 2) << "annoy the unhappy";
  EXPECT_EQ(best_pool.first, 0) << "help them";
  const auto logged = people.exact(people.logging());
  constexpr int kDraws = 60;
  std::array<int, 6> covered{};
  int chosen = 0;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    const auto rows = stay_rows(people_log(people, 2400, rng), "mood", 1);
    EXPECT_TRUE(rows.ok()) << rows.error().text();
    const auto found = metric_incentive(*rows, {}, rng.fork("split"));
    EXPECT_TRUE(found.ok() && found->outcome == Outcome::kSays);
    const std::size_t unhappy = rows->cells[0] == "unhappy" ? 0 : 1;
    chosen += found->metric.choice[unhappy] == "annoy" && found->pool.choice[unhappy] == "help" ? 1 : 0;
    const auto code = [&](const std::string& name) { return name == "help" ? 0 : name == "nothing" ? 1 : 2; };
    for (std::size_t k = 0; k < 2; ++k) {
      const StayEffects& effects = k == 0 ? found->metric : found->pool;
      const auto truth = people.exact(people.fixed(code(effects.choice[unhappy]), code(effects.choice[1 - unhappy])));
      const std::array<const stats::Estimate*, 3> got = {&effects.metric_gain, &effects.stay_change,
                                                         &effects.pool_gain};
      for (std::size_t m = 0; m < 3; ++m) {
        const double gap = truth[m] - logged[m];
        covered[3 * k + m] += *got[m]->low() <= gap && gap <= *got[m]->high() ? 1 : 0;
      }
    }
    return true;
  });
  // The closest two means are 3.7 standard errors apart: a wrong choice once in 9,000 draws.
  EXPECT_GE(chosen, kDraws - 1);
  for (std::size_t m = 0; m < covered.size(); ++m) EXPECT_GE(covered[m], testing::binomial_floor(kDraws, 0.95)) << m;
}

TEST(MetricIncentive, WhereNobodyLeavesBothMeansAreOne) {
  People people;
  for (auto& row : people.stays) {
    for (double& p : row) p = 1;
  }
  base::Rng rng(3);
  const auto rows = stay_rows(people_log(people, 400, rng), "mood", 1).value();
  EXPECT_EQ(rows.open, 400U) << "the last day of everybody";
  const MetricIncentive found = metric_incentive(rows, {}, base::Rng(1)).value();
  EXPECT_EQ(found.metric.choice, found.pool.choice);
  EXPECT_EQ(found.metric.stay_change.value, 0);
  EXPECT_NEAR(found.metric.metric_gain.value, found.metric.pool_gain.value, 1e-12);
  EXPECT_EQ(found.stay_share, 1);
}

TEST(MetricIncentive, ReadsWhoWasMetAgain) {
  data::LogBuilder builder("x");
  const auto add = [&](const std::string& unit, double time, double reward) {
    data::DecisionRecord r;
    r.unit = unit;
    r.time = time;
    r.action = r.final_action = "a";
    r.propensity = 1;
    r.reward = reward;
    EXPECT_TRUE(builder.add(r, "x").ok());
  };
  add("early", 0, 1);
  add("early", 4, 0.5);
  add("late", 0, 1);
  add("late", 7, 0.25);
  add("gone", 1, 1);
  add("end", 10, 1);
  const StayRows rows = stay_rows(builder.take().value(), "", 5).value();
  EXPECT_THAT(rows.stays, ::testing::ElementsAre(1, 0, 0, 0)) << "early met again; its second row, late and gone not";
  EXPECT_THAT(rows.after, ::testing::ElementsAre(0.5, 0, 0, 0));
  EXPECT_EQ(rows.open, 2U) << "late's second row and end";
}

TEST(MetricIncentive, SaysWhatIsMissing) {
  base::Rng rng(4);
  data::DecisionLog log = people_log(People(), 50, rng);
  EXPECT_THAT(stay_rows(log, "moot", 1).error().text(), HasSubstr("did you mean 'mood'?"));
  EXPECT_THAT(stay_rows(log, "mood", 0).error().text(), HasSubstr("within is 0"));
  EXPECT_THAT(stay_rows(log, "mood", 9)->why_none, HasSubstr("no decision is early enough"));
  const MetricIncentive few = metric_incentive(stay_rows(log, "mood", 1).value(), {}, base::Rng(1)).value();
  EXPECT_EQ(few.outcome, Outcome::kCannotSay);
  EXPECT_THAT(few.reasons[0], HasSubstr("people, at least 60"));
  for (int& u : log.unit) u = -1;
  const StayRows nobody = stay_rows(log, "mood", 1).value();
  EXPECT_THAT(nobody.why_none, HasSubstr("the log has no units"));
  const MetricIncentive silent = metric_incentive(nobody, {}, base::Rng(1)).value();
  EXPECT_EQ(silent.outcome, Outcome::kCannotSay);
  EXPECT_EQ(silent.reasons[0], nobody.why_none);
}

}  // namespace
}  // namespace plumbline::counterfactual

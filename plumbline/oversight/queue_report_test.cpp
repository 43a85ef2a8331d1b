#include "plumbline/oversight/queue_report.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/oversight/queue_order.hpp"
#include "plumbline/oversight/raters.hpp"
#include "plumbline/oversight/simulated.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::oversight {
namespace {

using data::QuestionRecord;
using ::testing::Contains;
using ::testing::HasSubstr;

std::vector<SimulatedRater> people(std::size_t n = 4) {
  std::vector<SimulatedRater> all;
  for (std::size_t i = 0; i < n; ++i) all.push_back({.name = "rater" + std::to_string(i)});
  return all;
}

QueueReport report_of(const SimulatedQueue& queue, base::Rng& rng, const QueueOptions& options = {}) {
  auto report = queue_report(simulate_queue(queue, rng), options);
  EXPECT_TRUE(report.ok()) << report.error().text();
  return std::move(report).value();
}

/// Krippendorff's own example (four observers, twelve units, nominal): 0.743.
TEST(Agreement, ThePublishedExample) {
  const std::vector<std::vector<int>> units = {{1, 1, 1},    {2, 2, 3, 2}, {3, 3, 3, 3}, {3, 3, 3, 3},
                                               {2, 2, 2, 2}, {1, 2, 3, 4}, {4, 4, 4, 4}, {1, 1, 2, 1},
                                               {2, 2, 2, 2}, {5, 5, 5},    {1, 1},       {3}};
  const auto alpha = krippendorff_alpha(units);
  ASSERT_TRUE(alpha.has_value());
  EXPECT_NEAR(*alpha, 0.743, 0.0005);
  EXPECT_FALSE(krippendorff_alpha(std::vector<std::vector<int>>{{1, 1}, {1, 1}}).has_value()) << "all the same";
  EXPECT_FALSE(krippendorff_alpha(std::vector<std::vector<int>>{{1}, {2}}).has_value()) << "nothing to pair";
  EXPECT_DOUBLE_EQ(*krippendorff_alpha(std::vector<std::vector<int>>{{1, 1}, {2, 2}}), 1);
}

/// By hand: two raters, six questions.
std::vector<QuestionRecord> by_hand() {
  std::vector<QuestionRecord> all;
  const auto add = [&](double asked, double value) -> QuestionRecord& {
    QuestionRecord q;
    q.number = all.size() + 1;
    q.decision = "d" + std::to_string(q.number);
    q.asked = asked;
    q.value = value;
    q.deadline = asked + 100;
    q.decision_deadline = asked + 101;
    all.push_back(q);
    return all.back();
  };
  const auto settle = [](QuestionRecord& q, double at, const std::string& cause) {
    q.settled = q.decided = at;
    q.cause = cause;
  };
  QuestionRecord& first = add(0, 1);
  first.leases = {{"ann", 20, 25, false}};
  first.answers = {{"ann", 25, 5, "go", false}};
  settle(first, 25, "answered");
  QuestionRecord& worthier = add(1, 2);  // free when ann took the first: an inversion
  worthier.leases = {{"bob", 30, 34, false}};
  worthier.answers = {{"bob", 34, 4, "go", false}};
  settle(worthier, 34, "answered");
  settle(add(2, 0.5), 102, "expired");
  QuestionRecord& late = add(3, 0.1);
  settle(late, 103, "expired");
  late.decided = 105;  // due at 104
  QuestionRecord& gone = add(4, 0.1);
  settle(gone, 50, "displaced");
  gone.late = true;
  add(5, 0.1);  // still open
  return all;
}

TEST(QueueReport, ByHand) {
  const auto report = queue_report(by_hand());
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->questions, 6U);
  EXPECT_EQ(report->open, 1U);
  EXPECT_DOUBLE_EQ(report->overrun_share->value, 2.0 / 5);
  EXPECT_EQ(report->overran, (std::vector<std::uint64_t>{4, 5}));
  EXPECT_DOUBLE_EQ(report->unanswered_share->value, 3.0 / 5);
  EXPECT_DOUBLE_EQ(report->inversion_share->value, 1.0 / 2);
  EXPECT_EQ(report->inverted, (std::vector<std::uint64_t>{1}));
  EXPECT_NEAR(*report->overrun_share->high(), stats::clopper_pearson_high(2, 5, 0.975), 1e-12);
  ASSERT_EQ(report->raters.size(), 2U);
  EXPECT_EQ(report->raters[0].name, "ann");
  EXPECT_EQ(report->raters[0].seconds, 5);
  EXPECT_THAT(report->notes, Contains(HasSubstr("no rater answered 10 gold questions")));
  EXPECT_THAT(report->notes, Contains(HasSubstr("utilisation is not known")));
  EXPECT_FALSE(report->utilisation.has_value());
}

TEST(QueueReport, AQuestionThatCouldNotBeTakenIsNoInversion) {
  const auto base = by_hand();
  EXPECT_EQ(order_of(base, {}).inversions, 1U);
  auto held = base;
  held[1].leases.insert(held[1].leases.begin(), {"bob", 10, 22, false});
  EXPECT_EQ(order_of(held, {}).inversions, 0U) << "bob had it";
  auto declined = base;
  declined[1].leases.insert(declined[1].leases.begin(), {"ann", 10, 12, true});
  EXPECT_EQ(order_of(declined, {}).inversions, 0U) << "ann gave it back for good";
  declined[1].leases.front().rater = "cy";
  EXPECT_EQ(order_of(declined, {}).inversions, 1U) << "somebody else did";
  auto own = base;
  own[1].answers.insert(own[1].answers.begin(), {"ann", 15, 1, "cut", false});
  own[1].two_people = {"cut"};
  EXPECT_EQ(order_of(own, {}).inversions, 0U) << "ann has answered it";
  own[1].answers[0].rater = "cy";
  EXPECT_EQ(order_of(own, {}).inversions, 1U) << "it waits for a second";
  own[1].two_people.clear();
  EXPECT_EQ(order_of(own, {}).inversions, 0U) << "it waits for nobody";
  auto over = base;
  over[1].deadline = 20;
  EXPECT_EQ(order_of(over, {}).inversions, 0U) << "it was out of time";
  auto same = base;
  same[1].asked = 20;
  EXPECT_EQ(order_of(same, {}).inversions, 0U) << "it came at the same instant";
  auto slow = base;  // kinds that take long are worth less a second
  slow[1].kind = "approve";
  QuestionRecord long_ago = base[0];
  long_ago.number = 9;
  long_ago.kind = "approve";
  long_ago.leases = {{"cy", 0, 19, false}};
  long_ago.answers = {{"cy", 19, 200, "go", false}};
  long_ago.settled = 19;
  slow.push_back(long_ago);
  EXPECT_EQ(order_of(slow, {}).inverted, (std::vector<std::uint64_t>{2}))
      << "2 / ((50 + 200) / 6) is below 1 / 10, and below the 0.5 / ((50 + 5) / 6) that bob left lying";
}

TEST(QueueReport, BadOptionsAndNothingToReport) {
  EXPECT_FALSE(queue_report({}).ok());
  const auto log = by_hand();
  for (const QueueOptions& wrong :
       {QueueOptions{.shift_gap = 0}, QueueOptions{.block = -1}, QueueOptions{.least_gold = 0},
        QueueOptions{.attention_prior = 0}, QueueOptions{.block = 1e-9}})
    EXPECT_EQ(queue_report(log, wrong).error().code, base::Code::kValue);
}

/// The queue's own order has no inversions, and a random one has many.
TEST(QueueReport, InversionsOfAnOrderlyAndOfARandomQueue) {
  base::Rng rng(1, {"order"});
  SimulatedQueue queue{.raters = people(3), .hours = 4, .arrivals = 0.4};
  EXPECT_EQ(report_of(queue, rng).inversion_share->value, 0);
  queue.in_order = false;
  EXPECT_GT(report_of(queue, rng).inversion_share->value, 0.5);
}

/// Shares of a rater by plain counting, and what its bounds are.
TEST(QueueReport, RatersAgainstPlainCounting) {
  base::Rng rng(2, {"raters"});
  SimulatedQueue queue{.raters = people(3)};
  queue.raters[1].nodding = 1;
  const auto log = simulate_queue(queue, rng);
  const auto report = queue_report(log);
  ASSERT_TRUE(report.ok());
  std::map<std::string, std::array<double, 6>>
      counted;  // answered, right, wrong shown, accepted, right shown, accepted
  for (const QuestionRecord& q : log) {
    if (!q.is_gold()) continue;
    for (const auto& a : q.answers) {
      auto& c = counted[a.rater];
      c[0] += 1;
      c[1] += a.action == q.gold ? 1 : 0;
      if (q.proposed.empty()) continue;
      const std::size_t at = q.proposed == q.gold ? 4 : 2;
      c[at] += 1;
      c[at + 1] += a.action == q.proposed ? 1 : 0;
    }
  }
  for (const auto& [name, e] : report->gold_accuracy.each) {
    const auto& c = counted.at(name);
    EXPECT_DOUBLE_EQ(e.value, c[1] / c[0]);
    EXPECT_NEAR(*e.low(), stats::clopper_pearson_low(c[1], c[0], 0.975), 1e-12);
  }
  const auto& nods = counted.at("rater1");
  EXPECT_EQ(nods[3], nods[2]) << "accepts whatever is proposed";
  ASSERT_TRUE(report->accepts_wrong.worst.has_value());
  EXPECT_EQ(report->accepts_wrong.worst->value, 1);
  EXPECT_NEAR(*report->accepts_wrong.worst->low(), stats::clopper_pearson_low(nods[2], nods[2], 1 - 0.025 / 3), 1e-12);
  for (const auto& [name, e] : report->discernment.each) {
    const auto& c = counted.at(name);
    EXPECT_DOUBLE_EQ(e.value, c[5] / c[4] - c[3] / c[2]);
    EXPECT_NEAR(*e.low(),
                stats::clopper_pearson_low(c[5], c[4], 0.9875) - stats::clopper_pearson_high(c[3], c[2], 0.9875),
                1e-12);
  }
  EXPECT_EQ(report->discernment.worst->value, 0);
  EXPECT_GT(report->discernment.each[0].second.value, 0.6);
}

/// Bounds of the worst hold for all raters at once: missed no oftener than stated, for the least accuracy.
TEST(QueueReportStatistical, BoundsOfTheWorstRaterCover) {
  constexpr int kRuns = 100;
  const int hits = testing::count_seeds(kRuns, [](base::Rng& rng) {
    SimulatedQueue queue{.raters = people(4), .hours = 3, .gold_every = 2};
    for (auto& r : queue.raters) r.accuracy = 0.7;
    const auto report = report_of(queue, rng);
    return *report.gold_accuracy.worst->low(0.95) <= 0.7 && 0.7 <= *report.gold_accuracy.worst->high(0.95);
  });
  EXPECT_GE(hits, testing::binomial_band(kRuns, 0.95, 1e-4).low);
}

/// Utilisation: 0.1 questions a second, of which 1 in 4 may take two answers, against what two people can do.
TEST(QueueReportStatistical, UtilisationCoversAndOverloadIsSeen) {
  constexpr int kRuns = 60;
  const auto asked_of = [](double arrivals) {
    return [arrivals](base::Rng& rng) {
      SimulatedQueue queue{.raters = people(3), .hours = 15, .arrivals = arrivals, .wait = 600, .gold_every = 0};
      return report_of(queue, rng, {.block = 1800});
    };
  };
  // A long run says what the truth is; the wait is long enough that every question is answered but in breaks.
  base::Rng rng(5, {"truth"});
  SimulatedQueue one{.raters = people(3), .hours = 400, .arrivals = 0.2, .wait = 600, .gold_every = 0};
  const double truth = report_of(one, rng, {.block = 10800}).utilisation->value;
  EXPECT_GT(truth, 0.5);
  EXPECT_LT(truth, 1.2);
  int covered = 0;
  for (int seed = 0; seed < kRuns; ++seed) {
    base::Rng each(static_cast<std::uint64_t>(seed), {"load"});
    const auto report = asked_of(0.2)(each);
    covered += *report.utilisation->low() <= truth && truth <= *report.utilisation->high() ? 1 : 0;
  }
  EXPECT_GE(covered, testing::binomial_band(kRuns, 0.95, 1e-4).low);
  base::Rng busy(6, {"busy"});
  EXPECT_GT(*asked_of(0.6)(busy).utilisation->low(), 1);
  base::Rng idle(7, {"idle"});
  EXPECT_LT(*asked_of(0.05)(idle).utilisation->high(), 1);
}

/// Answers twice as slow and less right in the second half are seen; nothing planted is not.
TEST(QueueReportStatistical, FatigueIsSeenWhereItIs) {
  int slow_found = 0, slip_found = 0, false_speed = 0, false_accuracy = 0;
  constexpr int kRuns = 40;
  for (int seed = 0; seed < kRuns; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"fatigue"});
    SimulatedQueue queue{.raters = people(3), .hours = 24, .arrivals = 0.2, .gold_every = 3};
    const auto fresh = report_of(queue, rng);
    false_speed += *fresh.fatigue_speed->low() > 1 || *fresh.fatigue_speed->high() < 1 ? 1 : 0;
    false_accuracy += *fresh.fatigue_accuracy->low() > 0 || *fresh.fatigue_accuracy->high() < 0 ? 1 : 0;
    for (auto& r : queue.raters) {
      r.slowing = 1.5;
      r.slipping = 0.25;
    }
    const auto tired = report_of(queue, rng);
    slow_found += *tired.fatigue_speed->low() > 1 ? 1 : 0;
    slip_found += *tired.fatigue_accuracy->high() < 0 ? 1 : 0;
  }
  EXPECT_GE(slow_found, kRuns - 2);
  EXPECT_GE(slip_found, kRuns - 2);
  EXPECT_LE(false_speed, testing::binomial_band(kRuns, 0.05, 1e-4).high);
  EXPECT_LE(false_accuracy, testing::binomial_band(kRuns, 0.05, 1e-4).high);
}

/// Alpha of binary answers by raters of accuracy a on questions of even truth is (2 a - 1)^2: its bounds cover that.
TEST(QueueReportStatistical, AgreementCoversItsClosedForm) {
  constexpr int kRuns = 300;
  int covered = 0;
  for (int seed = 0; seed < kRuns; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"alpha"});
    std::vector<QuestionRecord> log;
    for (int i = 0; i < 60; ++i) {
      const std::string truth = rng.bernoulli(0.5) ? "go" : "stop";
      for (int r = 0; r < 8; ++r) {
        QuestionRecord q;
        q.number = log.size() + 1;
        q.gold = truth;
        q.gold_name = "line " + std::to_string(i);
        const bool right = rng.bernoulli(0.8);
        q.answers = {{"r" + std::to_string(r), 1, 1, right == (truth == "go") ? "go" : "stop", false}};
        log.push_back(q);
      }
    }
    const auto report = queue_report(log);
    ASSERT_TRUE(report.ok() && report->agreement);
    covered += *report->agreement->low() <= 0.36 && 0.36 <= *report->agreement->high() ? 1 : 0;
  }
  const auto band = testing::binomial_band(kRuns, 0.95, 1e-4);
  EXPECT_GE(covered, band.low) << "of " << kRuns;
}

TEST(QueueReport, TheOrderOfTheRecordsDoesNotMatter) {
  base::Rng rng(9, {"shuffle"});
  SimulatedQueue queue{.raters = people(3), .hours = 4, .in_order = false};
  auto log = simulate_queue(queue, rng);
  const auto before = queue_report(log);
  std::reverse(log.begin(), log.end());
  const auto after = queue_report(log);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(before->inversion_share->value, after->inversion_share->value);
  EXPECT_NEAR(before->utilisation->value, after->utilisation->value, 1e-12);
  EXPECT_NEAR(before->fatigue_speed->value, after->fatigue_speed->value, 1e-12);
  EXPECT_NEAR(before->agreement->value, after->agreement->value, 1e-12);
}

}  // namespace
}  // namespace plumbline::oversight

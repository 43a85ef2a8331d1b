#include "plumbline/runtime/live_window.hpp"

#include <algorithm>
#include <cmath>
#include <deque>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/recent_times.hpp"

namespace plumbline::runtime {
namespace {

using data::DecisionCause;
using data::DecisionKind;

data::DecisionRecord record(const std::string& id, DecisionKind kind, DecisionCause cause) {
  data::DecisionRecord r;
  r.id = id;
  r.action = "go";
  r.kind = kind;
  r.cause = cause;
  r.propensity = 0.5;
  r.aleatoric = 0.25;
  r.readings = {{"literal", "go", {}}, {"cautious", "stop", {}}};
  return r;
}

std::uint64_t sum(const LiveWindow::Counts& counts) {
  std::uint64_t total = 0;
  for (const auto& causes : counts)
    for (const std::uint64_t count : causes) total += count;
  return total;
}

TEST(LiveWindow, CountsAreThoseOfAPlainListWhateverTheGaps) {
  base::Rng rng(1, {"live window"});
  const Instant start = 90 * kSecond + 1;
  LiveWindow window(start);
  struct Event {
    Instant at;
    int kind, cause;
  };
  std::deque<Event> all;
  Instant now = start;
  for (int i = 0; i < 4000; ++i) {
    now += static_cast<Instant>(rng.uniform() * (rng.uniform() < 0.01 ? 200e9 : 1e9));
    const Event event{now, static_cast<int>(rng.below(5)), static_cast<int>(rng.below(5))};
    window.decided(record("r", static_cast<DecisionKind>(event.kind), static_cast<DecisionCause>(event.cause)), "", 0,
                   0, now);
    all.push_back(event);
    for (const std::size_t seconds : {1U, 10U, 60U, 600U}) {
      const Instant from = (now / kSecond - static_cast<Instant>(seconds) + 1) * kSecond;
      LiveWindow::Counts wanted{};
      for (auto it = all.rbegin(); it != all.rend() && it->at >= from; ++it)
        ++wanted[static_cast<std::size_t>(it->kind)][static_cast<std::size_t>(it->cause)];
      const LiveWindow::Span span = window.last(seconds, now);
      ASSERT_EQ(span.decided, wanted) << i << ", " << seconds;
      ASSERT_DOUBLE_EQ(span.seconds, static_cast<double>(now - std::max(from, start)) / 1e9);
    }
  }
  // The columns of the strip are the same counts, cut up.
  const auto steps = window.steps(5, 120, now);
  std::uint64_t in_steps = 0;
  double covered = 0;
  for (const LiveWindow::Span& span : steps) {
    in_steps += sum(span.decided);
    covered += span.seconds;
  }
  EXPECT_EQ(in_steps, sum(window.last(600, now).decided));
  EXPECT_NEAR(covered, window.last(600, now).seconds, 1e-9);
}

TEST(LiveWindow, TheLastDecisionsAreKeptNewestFirstAndNoMore) {
  LiveWindow window;
  for (int i = 1; i <= 450; ++i) {
    data::DecisionRecord r = record("r" + std::to_string(i), DecisionKind::kAct, DecisionCause::kPerson);
    if (i % 2 == 0) r.final_action = "stop";
    if (i % 3 == 0) r.readings.pop_back();
    window.decided(r, "ann", 0.5, 1000 + i, i * kMillisecond);
  }
  const auto kept = window.decisions(0);
  ASSERT_EQ(kept.size(), LiveWindow::kKept);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const std::uint64_t number = 450 - i;
    EXPECT_EQ(kept[i]->number, number);
    EXPECT_EQ(kept[i]->id, "r" + std::to_string(number));
    EXPECT_EQ(kept[i]->carried_out, number % 2 == 0 ? "stop" : "go");
    EXPECT_EQ(kept[i]->readings_disagree, number % 3 != 0);
    EXPECT_EQ(kept[i]->rater, "ann");
  }
  EXPECT_EQ(window.decisions(448).size(), 2U);
  EXPECT_TRUE(window.decisions(450).empty());
  window.voided("r449", kSecond);
  EXPECT_TRUE(window.decisions(0)[1]->voided);
  EXPECT_FALSE(window.decisions(0)[0]->voided);
  EXPECT_EQ(window.last(10, kSecond).voided, 1U);
}

TEST(LiveWindow, ARefusalCarriesNothingOutAndLongTextsAreCutBetweenCharacters) {
  LiveWindow window;
  data::DecisionRecord r = record("r", DecisionKind::kRefuse, DecisionCause::kError);
  r.reason = std::string(LiveWindow::kLongestText - 1, 'x') + "\u00e9 and more";
  window.decided(r, "", 0, 0, 1);
  const LiveDecision& one = *window.decisions(0).front();
  EXPECT_EQ(one.carried_out, "");
  EXPECT_EQ(one.reason, std::string(LiveWindow::kLongestText - 1, 'x'));
}

TEST(LiveWindow, ValuesInAnotherUnitAreDroppedSinceTheyCannotBeCompared) {
  LiveWindow window;
  decision::Uncertainty u;
  u.aleatoric = decision::MeasuredUncertainty{0.25, "nat", "entropy", {}, {}};
  window.measured_by(u);
  window.decided(record("r", DecisionKind::kAct, DecisionCause::kPolicy), "", 0, 0, 1);
  window.measured_by({});
  EXPECT_EQ(window.decisions(0).front()->measured[0], 0.25);
  u.aleatoric->unit = "bit";
  window.measured_by(u);
  EXPECT_FALSE(window.decisions(0).front()->measured[0].has_value());
  EXPECT_EQ(window.units()[0].unit, "bit");
}

TEST(RecentTimes, QuantilesAreWithinABucketOfTheOrderStatisticAndOldOnesLeave) {
  base::Rng rng(2, {"recent times"});
  for (const std::size_t count : {1U, 2U, 7U, 1000U}) {
    RecentTimes times;
    for (int i = 0; i < 500; ++i) times.add(50, 5 * kSecond);  // over, and out of the window
    std::vector<double> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(std::exp(rng.normal(-6, 2)));
      times.add(all.back(), 1000 * kSecond + static_cast<Instant>(i) * kMillisecond);
    }
    std::sort(all.begin(), all.end());
    const RecentTimes::Summary s = times.last(60 * kSecond, 1005 * kSecond);
    ASSERT_EQ(s.count, count);
    EXPECT_EQ(s.largest, all.back());
    for (const auto& [q, value] : {std::pair(0.5, s.p50), std::pair(0.9, s.p90), std::pair(0.99, s.p99)}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(count)));
      const double exact = all[rank - 1];
      EXPECT_GE(value, exact * (1 - 1e-12)) << count << " " << q;
      EXPECT_LE(value, std::max(exact, std::exp2(-16)) * std::exp2(0.125) * (1 + 1e-12)) << count << " " << q;
    }
    EXPECT_EQ(times.last(60 * kSecond, 1100 * kSecond).count, 0U);
    EXPECT_EQ(times.last(600 * kSecond, 1100 * kSecond).count, count);
  }
}

TEST(RecentTimes, WhatLiesOutsideTheBucketsIsCountedToo) {
  RecentTimes times;
  EXPECT_EQ(times.last(10 * kSecond, 0).count, 0U);
  times.add(0, 0);
  times.add(1e6, 0);
  const RecentTimes::Summary s = times.last(10 * kSecond, 0);
  EXPECT_EQ(s.count, 2U);
  EXPECT_LE(s.p50, std::exp2(-16));
  EXPECT_EQ(s.p99, 1e6);
}

}  // namespace
}  // namespace plumbline::runtime

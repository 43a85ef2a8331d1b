#include "plumbline/case/assess/trend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::assess {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Newest first: point 0 is the last value. `hits` of 1000 rows, or an exact figure below 0.
run::TrendPoint point(std::size_t run, double hits, const std::string& data = "test") {
  run::TrendPoint p;
  p.run = "run" + std::to_string(run);
  p.started = "2026-01-" + std::string(run < 9 ? "0" : "") + std::to_string(run + 1) + "T00:00:00Z";
  check::Evidence& e = p.evidence;
  e.check = "probe.accuracy";
  e.subject = "reader";
  e.metric = "accuracy";
  e.where = {{"data", data}};
  e.estimate = hits < 0 ? stats::exact(-hits, 1, "counted")
                        : stats::clopper_pearson(static_cast<std::size_t>(hits), 1000).value();
  e.id = check::evidence_id(e);
  return p;
}

std::vector<run::TrendPoint> points(const std::vector<double>& oldest_first) {
  std::vector<run::TrendPoint> out;
  for (std::size_t i = oldest_first.size(); i-- > 0;) out.push_back(point(i, oldest_first[i]));
  return out;
}

TEST(TrendChanges, FindsTheRunAndSaysBeforeAndAfter) {
  const auto p = points({901, 897, 905, 899, 903, 851, 848, 855, 846, 852});
  const auto all = trend_changes(p);
  ASSERT_TRUE(all.ok()) << all.error().text();
  ASSERT_EQ(all->size(), 1U);
  const TrendSeries& series = all->front();
  EXPECT_EQ(series.changes.noise, stats::Noise::kStated);
  ASSERT_EQ(series.changes.changes.size(), 1U);
  EXPECT_EQ(p[series.points[series.changes.changes[0].at]].run, "run5");
  EXPECT_NEAR(series.changes.changes[0].before.value, 0.901, 1e-3);
  EXPECT_NEAR(series.changes.changes[0].after.value, 0.8504, 1e-3);
  const auto json = trend_json(p, *all);
  ASSERT_EQ(json["changes"].size(), 1U);
  EXPECT_EQ(json["changes"][0]["at"], 4);  // newest first: run9 is 0
  EXPECT_EQ(json["changes"][0]["run"], "run5");
  EXPECT_EQ(json["points"][4]["run"], "run5");
  EXPECT_LT(json["changes"][0]["step"]["high"].get<double>(), 0);
  EXPECT_THAT(trend_sentences(p, series)[0], HasSubstr("changed at run run5"));
}

TEST(TrendChanges, NoChangeWithinSamplingError) {
  const auto all = trend_changes(points({901, 897, 905, 899, 903, 894, 908, 900}));
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(all->front().changes.changes.empty());
  EXPECT_GT(*all->front().changes.p, 0.05);
  EXPECT_THAT(trend_sentences({}, all->front())[0], HasSubstr("no change of level found among 8"));
}

// Five runs of one sample are one figure, not five.
TEST(TrendChanges, TheSameEvidenceAgainIsNoNewPoint) {
  const auto p = points({901, 901, 901, 901, 901, 851, 851, 851, 851, 851});
  const auto all = trend_changes(p);
  ASSERT_TRUE(all.ok());
  EXPECT_THAT(all->front().points, ElementsAre(9, 4));
  EXPECT_EQ(all->front().repeated, 8U);
  EXPECT_FALSE(all->front().changes.p.has_value());
  EXPECT_THAT(trend_sentences(p, all->front())[0], HasSubstr("not looked for"));
  EXPECT_TRUE(trend_json(p, *all)["series"][0]["p"].is_null());
}

TEST(TrendChanges, ExactFiguresStandForThemselves) {
  const auto all = trend_changes(points({-3, -5, -4, -3.5, -4.5, -5.5, -9, -10, -8, -9.5, -11, -8.5}));
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->front().changes.noise, stats::Noise::kUnknown);
  ASSERT_EQ(all->front().changes.changes.size(), 1U);
  EXPECT_EQ(all->front().changes.changes[0].at, 6U);
  EXPECT_THAT(all->front().noise, HasSubstr("exact"));
}

TEST(TrendChanges, SubjectsAndPartsAreSeriesOfTheirOwn) {
  auto p = points({901, 897, 905, 899, 903, 894});
  for (std::size_t i = 0; i < 6; ++i) p.push_back(point(i, 500 + static_cast<double>(i % 2), "other"));
  const auto all = trend_changes(p);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2U);
  EXPECT_TRUE(all->at(0).changes.changes.empty());
  EXPECT_TRUE(all->at(1).changes.changes.empty());
  EXPECT_EQ(trend_json(p, *all)["series"].size(), 2U);
}

TEST(TrendChanges, NoPointsNoSeries) {
  const auto all = trend_changes({});
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(all->empty());
  const auto json = trend_json({}, *all);
  EXPECT_TRUE(json["changes"].is_array());
  EXPECT_TRUE(json["method"].is_null());
}

TEST(TrendChanges, CsvIsOldestFirst) {
  const auto p = points({901, 897, 905, 899, 903, 894});
  const auto all = trend_changes(p);
  const std::string csv = trend_csv(p, all->front());
  EXPECT_THAT(csv, ::testing::StartsWith("time,value,error\n2026-01-01T00:00:00Z,0.901,0.009"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7);
}

}  // namespace
}  // namespace plumbline::assess

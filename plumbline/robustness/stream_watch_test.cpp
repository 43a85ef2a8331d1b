#include "plumbline/robustness/stream_watch.hpp"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

/// Columns that depend on each other: all are the first with noise.
std::vector<StreamColumn> dependent(base::Rng& rng, std::size_t known, std::size_t rows, double shift,
                                    std::size_t change) {
  std::vector<StreamColumn> columns = {{"a", {}, {}}, {"b", {}, {}}, {"c", {}, {}}};
  for (std::size_t t = 0; t < known + rows; ++t) {
    const double common = rng.normal();
    for (std::size_t j = 0; j < columns.size(); ++j) {
      const bool moved = t >= known + change && j == 1;
      const double x = common + 0.3 * rng.normal() + (moved ? shift : 0);
      (t < known ? columns[j].reference : columns[j].stream).push_back(x);
    }
  }
  return columns;
}

TEST(StreamWatchStatistical, PromisesHoldForDependentColumns) {
  double alarms[4] = {0, 0, 0, 0};
  int ever = 0;
  StreamOptions options;
  options.level = 0.05;
  options.run_length = 400;
  constexpr int kStreams = 200;
  for (std::uint64_t seed = 0; seed < kStreams; ++seed) {
    base::Rng rng(seed, {"dependent"});
    const auto report = watch_stream(dependent(rng, 100, 400, 0, 0), options, rng.fork("ties"));
    ASSERT_TRUE(report.ok()) << report.error().text();
    ever += report->of(StreamDetector::kEver).empty() ? 0 : 1;
    for (const StreamDetector d : kStreamDetectors)
      alarms[static_cast<int>(d)] += static_cast<double>(report->of(d).size());
    EXPECT_EQ(report->p_value <= 0.05, !report->of(StreamDetector::kEver).empty());
  }
  EXPECT_LE(ever, testing::binomial_band(kStreams, 0.05).high);
  // One a stream expected at most; alarms of the three columns come together, so their number varies three times more.
  for (const StreamDetector d : {StreamDetector::kBets, StreamDetector::kCusum, StreamDetector::kAdwin})
    EXPECT_LE(alarms[static_cast<int>(d)], kStreams + 3.7 * std::sqrt(3.0 * kStreams)) << stream_detector_name(d);
}

TEST(StreamWatchStatistical, OneMovedColumnIsFoundAndNamed) {
  StreamOptions options;
  options.run_length = 2000;
  const int found = testing::count_seeds(40, [&](base::Rng& rng) {
    const auto report = watch_stream(dependent(rng, 300, 400, 1.2, 200), options, rng.fork("ties"));
    if (!report.ok() || report->of(StreamDetector::kEver).empty()) return false;
    const auto& bets = report->of(StreamDetector::kBets);
    const auto& cusum = report->of(StreamDetector::kCusum);
    return report->of(StreamDetector::kEver).front() >= 200 && !bets.empty() && bets.back() >= 200 && !cusum.empty() &&
           std::abs(static_cast<double>(*report->began) - 200) < 60 && report->columns[1] > report->columns[0] &&
           report->moved[1] > 0.5;
  });
  EXPECT_GE(found, testing::binomial_band(40, 0.95).low);
}

TEST(StreamWatch, MissingCellsAndTiesAreOrdinaryRows) {
  const double none = std::nan("");
  std::vector<StreamColumn> columns = {{"flag", {}, {}}};
  for (int t = 0; t < 200; ++t) columns[0].reference.push_back(t % 4 == 0 ? none : 1);
  for (int t = 0; t < 400; ++t) columns[0].stream.push_back(t % 4 == 0 ? none : 1);
  const auto quiet = watch_stream(columns, {}, base::Rng(1));
  ASSERT_TRUE(quiet.ok());
  EXPECT_GT(quiet->p_value, 0.05);
  for (int t = 200; t < 400; ++t) columns[0].stream[static_cast<std::size_t>(t)] = none;
  const auto moved = watch_stream(columns, {}, base::Rng(1));
  ASSERT_TRUE(moved.ok());
  EXPECT_LT(moved->p_value, 1e-6);
  EXPECT_EQ(watch_stream(columns, {}, base::Rng(1))->evidence, moved->evidence);
}

TEST(StreamWatch, RehearsalsMeasureDelayAndFalseAlarms) {
  base::Rng rng(7, {"rehearse"});
  const auto columns = dependent(rng, 600, 1, 0, 0);
  StreamOptions options;
  options.run_length = 2000;
  const auto strong = rehearse_stream(columns, 1.5, 20, options, base::Rng(8));
  const auto weak = rehearse_stream(columns, 0.7, 20, options, base::Rng(8));
  ASSERT_TRUE(strong.ok() && weak.ok());
  const auto mean = [](const Rehearsal& r) {
    double sum = 0;
    for (const double d : r.delays) sum += d;
    return sum / static_cast<double>(r.delays.size());
  };
  for (const StreamDetector d : kStreamDetectors) {
    const Rehearsal& r = (*strong)[static_cast<std::size_t>(d)];
    EXPECT_EQ(r.times, 20U);
    EXPECT_EQ(r.rows, 300U);
    EXPECT_LE(r.false_alarms, 12U) << stream_detector_name(d);
    if (d == StreamDetector::kAdwin) continue;  // needs longer streams
    EXPECT_EQ(r.found, 20U) << stream_detector_name(d);
    EXPECT_LT(mean(r), mean((*weak)[static_cast<std::size_t>(d)])) << stream_detector_name(d);
  }
}

TEST(StreamWatch, BadInputIsNamed) {
  const auto error = [](std::vector<StreamColumn> columns, StreamOptions options = {}) {
    const auto report = watch_stream(columns, options, base::Rng(1));
    return report.ok() ? std::string("none") : report.error().message;
  };
  EXPECT_NE(error({}).find("no column"), std::string::npos);
  EXPECT_NE(error({{"x", {1}, {1}}}).find("'x' has 1 rows"), std::string::npos);
  EXPECT_NE(error({{"x", {1, 2}, {1}}, {"y", {1, 2}, {1, 2}}}).find("'y' has 2 rows"), std::string::npos);
  EXPECT_NE(error({{"x", {1, 2}, {INFINITY}}}).find("infinite"), std::string::npos);
  StreamOptions options;
  options.level = 1;
  EXPECT_NE(error({{"x", {1, 2}, {1}}}, options).find("level"), std::string::npos);
  options = {};
  options.run_length = 2;
  EXPECT_NE(error({{"x", {1, 2}, {1}}}, options).find("run_length"), std::string::npos);
  EXPECT_FALSE(rehearse_stream(std::vector<StreamColumn>{{"x", {1, 2}, {1}}}, 1, 3, {}, base::Rng(1)).ok());
}

/// Measurements of TCPD's quality control 3 change at about row 179, say five people; those of 5 never do.
TEST(StreamWatchReal, QualityControlChangesWhereItsAnnotatorsSay) {
  PL_NEEDS_DATA(folder, "changepoint/tcpd");
  const auto watch = [&](const std::string& name) {
    const auto json = nlohmann::json::parse(testing::read_file(folder + "/" + name + ".json"));
    StreamColumn column{name, {}, {}};
    for (const auto& value : json.at("series").at(0).at("raw"))
      (column.reference.size() < 60 ? column.reference : column.stream).push_back(value.get<double>());
    StreamOptions options;
    options.run_length = 2000;
    return watch_stream(std::span(&column, 1), options, base::Rng(9));
  };
  const auto changed = watch("quality_control_3");
  ASSERT_TRUE(changed.ok());
  ASSERT_FALSE(changed->of(StreamDetector::kEver).empty());
  EXPECT_GE(changed->of(StreamDetector::kEver).front() + 60, 179U);
  EXPECT_LT(changed->of(StreamDetector::kEver).front() + 60, 179U + 30);
  // The mean of rows 160 to 179 is 0.9 already, of those before it -0.1.
  EXPECT_GE(*changed->began + 60, 155U);
  EXPECT_LE(*changed->began + 60, 190U);
  const auto same = watch("quality_control_5");
  ASSERT_TRUE(same.ok());
  for (const StreamDetector d : kStreamDetectors) EXPECT_TRUE(same->of(d).empty()) << stream_detector_name(d);
}

}  // namespace
}  // namespace plumbline::robustness

#include "plumbline/robustness/stream_watch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/robustness/stream_rank.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::robustness {
namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kHere = "watch_stream";
constexpr std::size_t kLookEvery = 32;
/// Never reached: the capitals are judged together.
constexpr double kNoThreshold = 1e300;

base::Status check_arguments(std::span<const StreamColumn> columns, const StreamOptions& options) {
  if (columns.empty()) return make_error(Code::kShape, "watch_stream: no column, expected at least 1");
  PL_CHECK(base::check_in_open(kHere, "level", options.level, 0, 1));
  PL_CHECK(base::check_in(kHere, "run_length", options.run_length, 10, 1e9));
  PL_CHECK(base::check_at_least(kHere, "groups", static_cast<std::ptrdiff_t>(options.groups), 2));
  for (const StreamColumn& c : columns) {
    if (c.reference.size() < 2)
      return make_error(Code::kShape,
                        fmt::format("watch_stream: the reference of '{}' has {} rows, expected at least 2", c.name,
                                    c.reference.size()));
    if (c.stream.size() != columns.front().stream.size())
      return make_error(Code::kShape,
                        fmt::format("watch_stream: '{}' has {} rows, expected the {} of '{}'", c.name, c.stream.size(),
                                    columns.front().stream.size(), columns.front().name));
    for (const auto* side : {&c.reference, &c.stream})
      if (std::any_of(side->begin(), side->end(), [](double x) { return std::isinf(x); }))
        return make_error(Code::kValue, fmt::format("watch_stream: '{}' holds an infinite number", c.name));
  }
  return base::ok();
}

double rankable(double x) { return std::isnan(x) ? std::numeric_limits<double>::infinity() : x; }

/// One column with its detectors.
struct Watched {
  std::vector<double> reference;
  RankUrn urn;
  BettingDetector ever;
  BettingDetector bets;
  CusumDetector cusum;
  AdwinDetector adwin;
};

/// log10 of the mean of numbers given by their natural logarithms.
double log10_mean(std::span<const double> logs) {
  const double most = *std::max_element(logs.begin(), logs.end());
  if (!std::isfinite(most)) return most;
  double sum = 0;
  for (const double l : logs) sum += std::exp(l - most);
  return (most + std::log(sum / static_cast<double>(logs.size()))) / std::log(10.0);
}

base::Result<std::vector<Watched>> make_watched(std::span<const StreamColumn> columns, const StreamOptions& options,
                                                double threshold) {
  std::vector<Watched> watched;
  const double delta = std::min(0.5, kLookEvery / (options.run_length * static_cast<double>(columns.size())));
  for (const StreamColumn& column : columns) {
    std::vector<double> reference;
    for (const double x : column.reference) reference.push_back(rankable(x));
    std::sort(reference.begin(), reference.end());
    PL_TRY(const auto ever, BettingDetector::make(FalseAlarms::kEver, kNoThreshold));
    PL_TRY(const auto bets, BettingDetector::make(FalseAlarms::kRunLength, kNoThreshold));
    PL_TRY(const auto cusum, CusumDetector::make(options.allowance, threshold));
    PL_TRY(const auto adwin, AdwinDetector::make(delta, AdwinBound::kHoeffding, 5, kLookEvery));
    watched.push_back({std::move(reference), RankUrn::of_reference(column.reference.size(), options.groups), ever, bets,
                       cusum, adwin});
  }
  return watched;
}

}  // namespace

std::string_view stream_detector_name(StreamDetector detector) {
  constexpr std::array<std::string_view, 4> kNames = {"ever", "bets", "cusum", "adwin"};
  return kNames[static_cast<std::size_t>(detector)];
}

namespace {

/// The threshold of each column's CUSUM: rates of false alarms add, so each column gets its part of the run length.
base::Result<double> column_threshold(std::size_t columns, const StreamOptions& options) {
  return cusum_threshold(options.allowance, std::min(1e12, options.run_length * static_cast<double>(columns)));
}

base::Result<StreamReport> watch(std::span<const StreamColumn> columns, const StreamOptions& options, double threshold,
                                 base::Rng rng) {
  StreamReport report;
  report.cusum_threshold = threshold;
  PL_TRY(auto watched, make_watched(columns, options, report.cusum_threshold));
  const std::size_t rows = columns.front().stream.size();
  report.columns.assign(columns.size(), 0.0);
  std::vector<double> ever(columns.size()), bets(columns.size());
  std::vector<double> all(columns.size(), 0.0), since(columns.size(), 0.0);  // sums of normal scores; since the lowest
  double most = 0, least = 0;
  std::size_t lowest = 0;
  const auto raise = [&](StreamDetector detector, std::size_t row) {
    auto& alarms = report.alarms[static_cast<std::size_t>(detector)];
    if (alarms.empty() || alarms.back() != row) alarms.push_back(row);
  };
  for (std::size_t t = 0; t < rows; ++t) {
    if (t % 4096 == 0) PL_CHECK(options.cancel.status());
    double nearest = 0;
    for (std::size_t j = 0; j < columns.size(); ++j) {
      Watched& w = watched[j];
      const double u = std::max(rng.uniform(), std::numeric_limits<double>::min());
      const double p = w.urn.next(smoothed_p(w.reference, rankable(columns[j].stream[t]), u));
      w.ever.add(p);
      w.bets.add(p);
      ever[j] = w.ever.log_capital();
      bets[j] = w.bets.log_capital();
      report.columns[j] = std::max(report.columns[j], ever[j] / std::log(10.0));
      const double z = -stats::normal_quantile(p);
      all[j] += z;
      since[j] += z;
      if (w.cusum.add(z)) {
        raise(StreamDetector::kCusum, t);
        nearest = std::max(nearest, 1.0);
      }
      nearest = std::max(nearest, w.cusum.statistic() / report.cusum_threshold);
      if (w.adwin.add(p)) raise(StreamDetector::kAdwin, t);
    }
    report.cusum.push_back(nearest);
    report.evidence.push_back(log10_mean(ever));
    report.restarted.push_back(log10_mean(bets));
    if (report.evidence.back() <= least && report.of(StreamDetector::kEver).empty()) {
      least = report.evidence.back();
      lowest = t + 1;
      std::fill(since.begin(), since.end(), 0.0);
    }
    most = std::max(most, report.evidence.back());
    if (most >= -std::log10(options.level) && report.of(StreamDetector::kEver).empty()) {
      raise(StreamDetector::kEver, t);
      report.began = lowest;
    }
    if (report.restarted.back() >= std::log10(options.run_length)) {
      raise(StreamDetector::kBets, t);
      for (Watched& w : watched) w.bets.restart();
    }
  }
  report.p_value = std::pow(10.0, -std::min(most, 300.0));  // larger than it is, never 0
  const std::size_t counted = report.began ? rows - lowest : rows;
  for (std::size_t j = 0; j < columns.size(); ++j)
    report.moved.push_back(counted == 0 ? 0 : (report.began ? since[j] : all[j]) / static_cast<double>(counted));
  return report;
}

}  // namespace

base::Result<StreamReport> watch_stream(std::span<const StreamColumn> columns, const StreamOptions& options,
                                        base::Rng rng) {
  PL_CHECK(check_arguments(columns, options));
  PL_TRY(const double threshold, column_threshold(columns.size(), options));
  return watch(columns, options, threshold, std::move(rng));
}

base::Result<std::array<Rehearsal, 4>> rehearse_stream(std::span<const StreamColumn> columns, double plant,
                                                       std::size_t times, const StreamOptions& options,
                                                       const base::Rng& rng) {
  if (columns.empty() || columns.front().reference.size() < 40)
    return make_error(Code::kShape, fmt::format("rehearse_stream: {} rows of reference, expected at least 40",
                                                columns.empty() ? 0 : columns.front().reference.size()));
  PL_CHECK(base::check_finite("rehearse_stream", "plant", plant));
  const std::size_t n = columns.front().reference.size(), known = n / 2, rows = n - known, change = rows / 2;
  std::vector<double> step(columns.size(), 0.0);
  for (std::size_t j = 0; j < columns.size(); ++j) {
    std::vector<double> present;
    for (const double x : columns[j].reference)
      if (!std::isnan(x)) present.push_back(x);
    if (present.size() > 1) step[j] = plant * std::sqrt(stats::moments(present).variance);
  }
  PL_TRY(const double threshold, column_threshold(columns.size(), options));
  std::array<Rehearsal, 4> out;
  for (std::size_t i = 0; i < times; ++i) {
    base::Rng own = rng.fork(i);
    const auto order = own.permutation(n);
    for (const bool planted : {false, true}) {
      std::vector<StreamColumn> played(columns.size());
      for (std::size_t j = 0; j < columns.size(); ++j) {
        PL_CHECK(base::check_size("rehearse_stream", columns[j].name, std::ssize(columns[j].reference),
                                  static_cast<std::ptrdiff_t>(n)));
        played[j].name = columns[j].name;
        for (std::size_t t = 0; t < n; ++t) {
          const bool moved = planted && t >= known + change;
          const double x = columns[j].reference[order[t]] + (moved ? step[j] : 0);
          (t < known ? played[j].reference : played[j].stream).push_back(x);
        }
      }
      PL_CHECK(check_arguments(played, options));
      PL_TRY(const StreamReport report, watch(played, options, threshold, own.fork(planted ? "planted" : "control")));
      for (const StreamDetector d : kStreamDetectors) {
        Rehearsal& r = out[static_cast<std::size_t>(d)];
        const auto& alarms = report.of(d);
        if (!planted) {
          ++r.times;
          r.rows = rows;
          r.false_alarms += alarms.empty() ? 0 : 1;
          continue;
        }
        const auto first = std::lower_bound(alarms.begin(), alarms.end(), change);
        r.found += first != alarms.end() ? 1 : 0;
        r.delays.push_back(first != alarms.end() ? static_cast<double>(*first - change + 1)
                                                 : static_cast<double>(rows - change));
      }
    }
  }
  return out;
}

}  // namespace plumbline::robustness

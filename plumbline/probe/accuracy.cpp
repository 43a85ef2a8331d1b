#include "plumbline/probe/accuracy.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::probe {
namespace {

// A proportion, or the bare figure where units are too few for bounds.
stats::Estimate share_of(const std::vector<std::uint8_t>& hits, const std::vector<int>& units) {
  if (hits.empty()) return {};
  const auto estimate = stats::proportion(hits, units);
  if (estimate.ok()) return *estimate;
  stats::Estimate bare;
  bare.n = static_cast<double>(hits.size());
  bare.value = static_cast<double>(std::count(hits.begin(), hits.end(), 1)) / bare.n;
  bare.n_effective = 1;
  bare.method = "share";
  bare.warnings = {estimate.error().message};
  return bare;
}

stats::Estimate balanced_accuracy(std::span<const int> labels, std::span<const int> predicted,
                                  const std::vector<std::size_t>& class_rows,
                                  const std::vector<stats::Estimate>& recall, const stats::UnitIndex& units) {
  double present = 0;
  for (const std::size_t rows : class_rows) present += rows > 0 ? 1 : 0;
  stats::Estimate balanced;
  double smoothed = 0;
  double floor = 0;
  double independent = 0;
  for (std::size_t c = 0; c < class_rows.size(); ++c) {
    if (class_rows[c] == 0) {
      balanced.warnings.push_back(fmt::format("class {} has no row here", c));
      continue;
    }
    const auto n = static_cast<double>(class_rows[c]);
    const double r = recall[c].value;
    const double s = (r * n + 1.0) / (n + 2.0);
    balanced.value += r / present;
    smoothed += s / present;
    floor += s * (1.0 - s) / n / (present * present);
    independent += r * (1.0 - r) / n / (present * present);
  }
  std::vector<double> squares(units.count());
  for (std::size_t u = 0; u < units.count(); ++u) {
    double sum = 0;
    for (const std::size_t i : units.rows_of(u)) {
      const auto c = static_cast<std::size_t>(labels[i]);
      const double hit = labels[i] == predicted[i] ? 1.0 : 0.0;
      sum += (hit - recall[c].value) / (present * static_cast<double>(class_rows[c]));
    }
    squares[u] = sum * sum;
  }
  const auto groups = static_cast<double>(units.count());
  const double between = base::ordered_sum(squares) * groups / (groups - 1.0);
  const double design =
      groups < static_cast<double>(labels.size()) && independent > 0 ? std::max(1.0, between / independent) : 1.0;
  const double variance = std::max(between, floor * design);
  balanced.n = static_cast<double>(labels.size());
  balanced.n_effective = std::min(balanced.n, smoothed * (1.0 - smoothed) / variance);
  balanced.method = "mean of recalls, clopper-pearson at the effective size";
  balanced.assumptions = {"independent units"};
  const double hits = balanced.value * balanced.n_effective;
  balanced.bounds = stats::make_bounds(
      [&](double c) { return std::optional(stats::clopper_pearson_low(hits, balanced.n_effective, c)); },
      [&](double c) { return std::optional(stats::clopper_pearson_high(hits, balanced.n_effective, c)); });
  return balanced;
}

}  // namespace

base::Result<std::vector<int>> predicted_labels(MatrixRefD outputs) {
  PL_CHECK(base::check_at_least("predicted_labels", "outputs.cols()", outputs.cols(), 1));
  std::vector<int> labels(static_cast<std::size_t>(outputs.rows()));
  for (std::ptrdiff_t i = 0; i < outputs.rows(); ++i) {
    std::ptrdiff_t top = 0;
    for (std::ptrdiff_t c = 0; c < outputs.cols(); ++c) {
      if (std::isnan(outputs(i, c))) {
        return base::make_error(base::Code::kValue, fmt::format("outputs({}, {}) is nan, expected a number", i, c),
                                "predicted_labels");
      }
      if (outputs(i, c) > outputs(i, top)) top = c;
    }
    labels[static_cast<std::size_t>(i)] = static_cast<int>(top);
  }
  return labels;
}

base::Result<AccuracyReport> accuracy_report(std::span<const int> labels, std::span<const int> predicted, int classes,
                                             std::span<const int> units) {
  constexpr auto kName = "accuracy_report";
  PL_CHECK(base::check_at_least(kName, "labels.size()", std::ssize(labels), 2));
  PL_CHECK(base::check_size(kName, "predicted", std::ssize(predicted), std::ssize(labels)));
  PL_CHECK(base::check_at_least(kName, "classes", classes, 2));
  PL_CHECK(base::check_labels(kName, "labels", labels, classes));
  PL_CHECK(base::check_labels(kName, "predicted", predicted, classes));
  PL_TRY(const auto groups, stats::group_units(units, labels.size()));

  const auto k = static_cast<std::size_t>(classes);
  AccuracyReport report;
  report.confusion.assign(k, std::vector<std::size_t>(k, 0));
  report.class_rows.assign(k, 0);
  std::vector<std::uint8_t> hits(labels.size());
  std::vector<std::vector<std::uint8_t>> of_truth(k);
  std::vector<std::vector<std::uint8_t>> of_prediction(k);
  std::vector<std::vector<int>> truth_units(k);
  std::vector<std::vector<int>> prediction_units(k);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto truth = static_cast<std::size_t>(labels[i]);
    const auto said = static_cast<std::size_t>(predicted[i]);
    hits[i] = truth == said ? 1 : 0;
    ++report.confusion[truth][said];
    ++report.class_rows[truth];
    of_truth[truth].push_back(hits[i]);
    of_prediction[said].push_back(hits[i]);
    if (!units.empty()) {
      truth_units[truth].push_back(units[i]);
      prediction_units[said].push_back(units[i]);
    }
  }
  PL_TRY(report.accuracy, stats::proportion(hits, units));
  for (std::size_t c = 0; c < k; ++c) {
    report.recall.push_back(share_of(of_truth[c], truth_units[c]));
    report.precision.push_back(share_of(of_prediction[c], prediction_units[c]));
  }
  report.balanced = balanced_accuracy(labels, predicted, report.class_rows, report.recall, groups);
  return report;
}

}  // namespace plumbline::probe

#include "plumbline/system/regression.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "plumbline/stats/linalg.hpp"

namespace plumbline::system {

std::vector<std::size_t> rows_before(const Trace& trace) {
  std::vector<double> steps;
  const auto follows = [&](std::size_t i) {
    return i > 0 && (trace.unit.empty() || trace.unit[i] == trace.unit[i - 1]);
  };
  for (std::size_t i = 1; i < trace.rows; ++i)
    if (follows(i)) steps.push_back(trace.time[i] - trace.time[i - 1]);
  std::vector<std::size_t> out(trace.rows, kNoRow);
  if (steps.empty()) return out;
  std::nth_element(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2), steps.end());
  const double longest = 1.5 * steps[steps.size() / 2];
  for (std::size_t i = 1; i < trace.rows; ++i)
    if (follows(i) && trace.time[i] - trace.time[i - 1] <= longest) out[i] = i - 1;
  return out;
}

void Design::add(std::string name, std::vector<double> values) {
  names_.push_back(std::move(name));
  columns_.push_back(std::move(values));
}

void Design::add(const Signal& signal, const std::vector<std::size_t>* before, std::size_t most) {
  constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
  const std::string suffix = before == nullptr ? "" : " (before)";
  const auto at = [&](std::size_t i) { return before == nullptr ? i : (*before)[i]; };
  if (signal.numeric) {
    std::vector<double> values(rows_, kMissing);
    for (std::size_t i = 0; i < rows_; ++i)
      if (at(i) != kNoRow) values[i] = signal.value[at(i)];
    add(signal.name + suffix, std::move(values));
    return;
  }
  std::vector<std::string> levels;
  const std::vector<int> level = as_levels(signal, most, &levels);
  std::vector<std::size_t> count(levels.size(), 0);
  for (const int k : level)
    if (k >= 0) ++count[static_cast<std::size_t>(k)];
  const auto commonest = static_cast<std::size_t>(std::max_element(count.begin(), count.end()) - count.begin());
  for (std::size_t k = 0; k < levels.size(); ++k) {
    if (k == commonest) continue;
    std::vector<double> values(rows_, kMissing);
    for (std::size_t i = 0; i < rows_; ++i)
      if (at(i) != kNoRow && level[at(i)] >= 0) values[i] = level[at(i)] == static_cast<int>(k) ? 1 : 0;
    add(signal.name + " = " + levels[k] + suffix, std::move(values));
  }
}

MatrixD Design::matrix() const {
  MatrixD out(static_cast<std::ptrdiff_t>(rows_), static_cast<std::ptrdiff_t>(columns_.size()));
  for (std::size_t j = 0; j < columns_.size(); ++j)
    for (std::size_t i = 0; i < rows_; ++i)
      out(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j)) = columns_[j][i];
  return out;
}

double Regression::error(std::size_t j) const {
  double squares = 0;
  for (std::ptrdiff_t g = 0; g < influence.rows(); ++g)
    squares += influence(g, static_cast<std::ptrdiff_t>(j)) * influence(g, static_cast<std::ptrdiff_t>(j));
  return std::sqrt(squares);
}

base::Result<Regression> regress(MatrixRefD x, std::span<const double> y, const Clusters& clusters,
                                 std::span<const std::string> names) {
  using base::Code;
  const auto n = static_cast<std::size_t>(x.rows());
  const auto p = x.cols();
  if (y.size() != n || clusters.of_row.size() != n || names.size() != static_cast<std::size_t>(p))
    return base::make_error(
        Code::kShape, fmt::format("regress: {} rows, {} values, {} clusters, {} names for {} regressors", n, y.size(),
                                  clusters.of_row.size(), names.size(), p));
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < n; ++i) {
    bool there = clusters.of_row[i] >= 0 && std::isfinite(y[i]);
    for (std::ptrdiff_t j = 0; there && j < p; ++j) there = std::isfinite(x(static_cast<std::ptrdiff_t>(i), j));
    if (there) rows.push_back(i);
  }
  std::set<int> groups;
  for (const std::size_t i : rows) groups.insert(clusters.of_row[i]);
  if (rows.size() < static_cast<std::size_t>(p) + 10 || groups.size() < 5)
    return base::make_error(Code::kShape, fmt::format("{} complete rows in {} clusters, expected at least {} in 5",
                                                      rows.size(), groups.size(), p + 10));
  const auto size = static_cast<double>(rows.size());
  VectorD mean = VectorD::Zero(p);
  double mean_y = 0;
  for (const std::size_t i : rows) {
    for (std::ptrdiff_t j = 0; j < p; ++j) mean[j] += x(static_cast<std::ptrdiff_t>(i), j);
    mean_y += y[i];
  }
  mean /= size;
  mean_y /= size;
  MatrixD cross = MatrixD::Zero(p, p);
  VectorD with_y = VectorD::Zero(p);
  VectorD row(p);
  double total = 0;
  const auto centred = [&](std::size_t i) {
    for (std::ptrdiff_t j = 0; j < p; ++j) row[j] = x(static_cast<std::ptrdiff_t>(i), j) - mean[j];
  };
  for (const std::size_t i : rows) {
    centred(i);
    const double v = y[i] - mean_y;
    for (std::ptrdiff_t a = 0; a < p; ++a) {
      for (std::ptrdiff_t b = 0; b <= a; ++b) cross(a, b) += row[a] * row[b];
      with_y[a] += row[a] * v;
    }
    total += v * v;
  }
  for (std::ptrdiff_t a = 0; a < p; ++a)
    for (std::ptrdiff_t b = 0; b < a; ++b) cross(b, a) = cross(a, b);
  // Scaled to unit diagonal, so that "a combination of the others" does not depend on units of measurement.
  VectorD scale(p);
  for (std::ptrdiff_t a = 0; a < p; ++a) {
    if (!(cross(a, a) > 1e-24 * size * (1 + mean[a] * mean[a])))
      return base::make_error(Code::kValue, fmt::format("'{}' does not vary", names[static_cast<std::size_t>(a)]));
    scale[a] = 1 / std::sqrt(cross(a, a));
  }
  MatrixD scaled = cross;
  for (std::ptrdiff_t a = 0; a < p; ++a)
    for (std::ptrdiff_t b = 0; b < p; ++b) scaled(a, b) *= scale[a] * scale[b];
  Regression out;
  MatrixD inverse(p, p);
  if (p > 0) {
    const auto factor = stats::Cholesky::factor(scaled);
    constexpr double kTolerance = 1e-6;  // share of a regressor's spread that the ones before it must leave
    std::ptrdiff_t bad = -1;
    for (std::ptrdiff_t a = 0; factor.ok() && a < p && bad < 0; ++a)
      if (factor->lower()(a, a) < kTolerance) bad = a;
    if (!factor.ok() || bad >= 0)
      return base::make_error(Code::kValue, bad >= 0 ? fmt::format("'{}' is a combination of the regressors before it",
                                                                   names[static_cast<std::size_t>(bad)])
                                                     : "one regressor is a combination of the others");
    inverse = factor->inverse();
    for (std::ptrdiff_t a = 0; a < p; ++a)
      for (std::ptrdiff_t b = 0; b < p; ++b) inverse(a, b) *= scale[a] * scale[b];
  }
  out.coefficient = VectorD::Zero(p);
  for (std::ptrdiff_t a = 0; a < p; ++a)
    for (std::ptrdiff_t b = 0; b < p; ++b) out.coefficient[a] += inverse(a, b) * with_y[b];
  out.constant = mean_y;
  for (std::ptrdiff_t a = 0; a < p; ++a) out.constant -= out.coefficient[a] * mean[a];
  out.spread.resize(p);
  for (std::ptrdiff_t a = 0; a < p; ++a) out.spread[a] = std::sqrt(1 / (inverse(a, a) * size));
  MatrixD score = MatrixD::Zero(static_cast<std::ptrdiff_t>(clusters.count), p);
  double left = 0;
  for (const std::size_t i : rows) {
    centred(i);
    double e = y[i] - mean_y;
    for (std::ptrdiff_t a = 0; a < p; ++a) e -= out.coefficient[a] * row[a];
    left += e * e;
    for (std::ptrdiff_t a = 0; a < p; ++a) score(clusters.of_row[i], a) += row[a] * e;
  }
  out.rows = size;
  out.clusters = static_cast<double>(groups.size());
  out.residual = std::sqrt(left / size);
  out.explained = total > 0 ? 1 - left / total : 0;
  const double correction =
      std::sqrt(out.clusters / (out.clusters - 1) * (size - 1) / (size - static_cast<double>(p) - 1));
  out.influence = MatrixD::Zero(score.rows(), p);
  for (std::ptrdiff_t g = 0; g < score.rows(); ++g)
    for (std::ptrdiff_t a = 0; a < p; ++a)
      for (std::ptrdiff_t b = 0; b < p; ++b) out.influence(g, a) += correction * inverse(a, b) * score(g, b);
  return out;
}

double hidden_bias(const Regression& regression, std::size_t j, double hidden) {
  return regression.residual / regression.spread[static_cast<std::ptrdiff_t>(j)] * hidden / std::sqrt(1 - hidden);
}

}  // namespace plumbline::system

#include "plumbline/stats/intervals.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

base::Status check_count(std::string_view function, std::size_t successes, std::size_t n) {
  if (n == 0) return make_error(Code::kValue, fmt::format("{}: n is 0, expected at least 1", function));
  if (successes > n)
    return make_error(Code::kValue,
                      fmt::format("{}: successes is {}, expected at most n = {}", function, successes, n));
  return base::ok();
}

Bounds t_bounds(double value, double error, double degrees) {
  return make_bounds([=](double c) { return std::optional(value - t_quantile(c, degrees) * error); },
                     [=](double c) { return std::optional(value + t_quantile(c, degrees) * error); });
}

void set_t_bounds(Estimate& estimate, double error, double degrees, double units) {
  if (!(error > 0)) {
    estimate.warnings.push_back("all units agree exactly: the sample shows no spread to bound the mean with");
    return;
  }
  estimate.bounds = t_bounds(estimate.value, error, degrees);
  if (units < 30) {
    estimate.warnings.push_back(fmt::format("{} units: the bounds lean on a nearly normal mean", units));
  }
}

/// Ratio of totals with unit totals as the sample.
struct RatioFit {
  double value = 0;
  double variance = 0;
  double units = 0;
};

RatioFit ratio_of_totals(std::span<const double> values, const UnitIndex& index) {
  const auto n = static_cast<double>(values.size());
  RatioFit fit;
  fit.value = base::ordered_mean(values);
  fit.units = static_cast<double>(index.count());
  std::vector<double> squares(index.count());
  for (std::size_t u = 0; u < index.count(); ++u) {
    double total = 0;
    for (const std::size_t row : index.rows_of(u)) total += values[row] - fit.value;
    squares[u] = total * total;
  }
  fit.variance = fit.units / (fit.units - 1) * base::ordered_sum(squares) / (n * n);
  return fit;
}

}  // namespace

base::Result<Estimate> clopper_pearson(std::size_t successes, std::size_t n) {
  PL_CHECK(check_count("clopper_pearson", successes, n));
  const auto k = static_cast<double>(successes);
  const auto size = static_cast<double>(n);
  Estimate estimate;
  estimate.value = k / size;
  estimate.n = estimate.n_effective = size;
  estimate.method = "clopper-pearson";
  estimate.assumptions = {"rows are independent"};
  estimate.bounds = make_bounds([=](double c) { return std::optional(clopper_pearson_low(k, size, c)); },
                                [=](double c) { return std::optional(clopper_pearson_high(k, size, c)); });
  return estimate;
}

base::Result<Estimate> wilson(std::size_t successes, std::size_t n) {
  PL_CHECK(check_count("wilson", successes, n));
  const auto size = static_cast<double>(n);
  const double p = static_cast<double>(successes) / size;
  auto bound = [=](double c, double sign) {
    const double z = normal_quantile(c);
    const double center = p + z * z / (2 * size);
    const double half = z * std::sqrt(p * (1 - p) / size + z * z / (4 * size * size));
    return std::optional(std::clamp((center + sign * half) / (1 + z * z / size), 0.0, 1.0));
  };
  Estimate estimate;
  estimate.value = p;
  estimate.n = estimate.n_effective = size;
  estimate.method = "wilson";
  estimate.assumptions = {"rows are independent"};
  estimate.bounds = make_bounds([&](double c) { return successes == 0 ? std::optional(0.0) : bound(c, -1); },
                                [&](double c) { return successes == n ? std::optional(1.0) : bound(c, +1); });
  return estimate;
}

base::Result<Estimate> proportion(std::span<const std::uint8_t> hits, std::span<const int> units) {
  if (hits.empty()) return make_error(Code::kShape, "proportion: hits is empty");
  std::size_t successes = 0;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    if (hits[i] > 1)
      return make_error(Code::kValue, fmt::format("proportion: hits[{}] is {}, expected 0 or 1", i, hits[i]));
    successes += hits[i];
  }
  PL_TRY(const UnitIndex index, group_units(units, hits.size()));
  if (units.empty() || index.count() == hits.size()) return clopper_pearson(successes, hits.size());
  if (index.count() < 2)
    return make_error(Code::kValue, fmt::format("proportion: {} unit, expected at least 2", index.count()));

  const std::vector<double> values(hits.begin(), hits.end());
  const RatioFit fit = ratio_of_totals(values, index);
  const auto n = static_cast<double>(hits.size());
  const double spread = fit.value * (1 - fit.value);
  const double raw = spread > 0 ? (fit.variance > 0 ? std::min(n, spread / fit.variance) : n) : fit.units;

  Estimate estimate;
  estimate.value = fit.value;
  estimate.n = n;
  estimate.n_effective = raw;
  estimate.unit_of_sampling = "unit";
  estimate.method = "korn-graubard";
  estimate.assumptions = {"units are independent and drawn alike"};
  auto size_at = [=](double c) {
    if (!(spread > 0)) return raw;
    const double shrink = t_quantile(c, n - 1) / t_quantile(c, fit.units - 1);
    return raw * shrink * shrink;
  };
  estimate.bounds =
      make_bounds([&](double c) { return std::optional(clopper_pearson_low(fit.value * size_at(c), size_at(c), c)); },
                  [&](double c) { return std::optional(clopper_pearson_high(fit.value * size_at(c), size_at(c), c)); });
  if (fit.units < 10) {
    estimate.warnings.push_back(fmt::format("{} units: the spread between units is poorly known", fit.units));
  }
  return estimate;
}

base::Result<Estimate> mean(std::span<const double> values, std::span<const int> units) {
  PL_CHECK(base::check_at_least("mean", "size of values", static_cast<std::ptrdiff_t>(values.size()), 2));
  PL_CHECK(base::check_all_finite("mean", "values", values));
  PL_TRY(const UnitIndex index, group_units(units, values.size()));
  if (index.count() < 2)
    return make_error(Code::kShape, fmt::format("mean: {} unit, expected at least 2", index.count()));
  const RatioFit fit = ratio_of_totals(values, index);
  Estimate estimate;
  estimate.value = fit.value;
  estimate.n = estimate.n_effective = static_cast<double>(values.size());
  const bool clustered = index.count() < values.size();
  estimate.method = clustered ? "cluster-robust t" : "student t";
  estimate.assumptions = {clustered ? "units are independent and drawn alike" : "rows are independent"};
  if (clustered) {
    estimate.unit_of_sampling = "unit";
    const double independent = moments(values).variance / static_cast<double>(values.size());
    estimate.n_effective =
        fit.variance > 0 ? std::min(estimate.n, estimate.n * independent / fit.variance) : estimate.n;
  }
  set_t_bounds(estimate, std::sqrt(fit.variance), fit.units - 1, fit.units);
  return estimate;
}

base::Result<Estimate> stratified_mean(std::span<const double> values, std::span<const int> strata,
                                       std::span<const double> shares) {
  PL_CHECK(base::check_at_least("stratified_mean", "size of values", static_cast<std::ptrdiff_t>(values.size()), 2));
  PL_CHECK(base::check_all_finite("stratified_mean", "values", values));
  PL_CHECK(base::check_size("stratified_mean", "strata", static_cast<std::ptrdiff_t>(strata.size()),
                            static_cast<std::ptrdiff_t>(values.size())));
  const int top =
      shares.empty() ? *std::max_element(strata.begin(), strata.end()) + 1 : static_cast<int>(shares.size());
  PL_CHECK(base::check_labels("stratified_mean", "strata", strata, top));
  std::vector<std::vector<double>> groups(static_cast<std::size_t>(top));
  for (std::size_t i = 0; i < values.size(); ++i) groups[static_cast<std::size_t>(strata[i])].push_back(values[i]);
  const auto n = static_cast<double>(values.size());
  double total_share = 0;
  for (const double share : shares) {
    PL_CHECK(base::check_in("stratified_mean", "shares", share, 0, 1));
    total_share += share;
  }
  if (!shares.empty() && std::abs(total_share - 1) > 1e-9) {
    return make_error(Code::kValue, fmt::format("stratified_mean: shares sum to {}, expected 1", total_share));
  }
  Estimate estimate;
  estimate.n = n;
  estimate.method = "stratified t";
  estimate.assumptions = {"rows are independent within strata", "the strata's shares are known"};
  double variance = 0;
  double denominator = 0;
  for (std::size_t h = 0; h < groups.size(); ++h) {
    const auto size = static_cast<double>(groups[h].size());
    const double share = shares.empty() ? size / n : shares[h];
    if (share == 0) continue;
    if (groups[h].size() < 2) {
      return make_error(Code::kShape, fmt::format("stratified_mean: stratum {} has {} rows, expected at least 2", h,
                                                  groups[h].size()));
    }
    const Moments m = moments(groups[h]);
    estimate.value += share * m.mean;
    const double part = share * share * m.variance / size;
    variance += part;
    denominator += part * part / (size - 1);
  }
  estimate.n_effective = variance > 0 ? std::min(n, moments(values).variance / variance) : n;
  set_t_bounds(estimate, std::sqrt(variance), denominator > 0 ? variance * variance / denominator : 1, n);
  return estimate;
}

base::Result<Estimate> empirical_bernstein(std::span<const double> values, double low, double high) {
  PL_CHECK(
      base::check_at_least("empirical_bernstein", "size of values", static_cast<std::ptrdiff_t>(values.size()), 2));
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) {
    return make_error(Code::kValue,
                      fmt::format("empirical_bernstein: range [{}, {}] is empty or not finite", low, high));
  }
  for (const double v : values) PL_CHECK(base::check_in("empirical_bernstein", "values", v, low, high));
  const Moments m = moments(values);
  const auto n = static_cast<double>(values.size());
  auto half = [=](double c) {
    const double log_term = std::log(2 / (1 - c));
    return std::sqrt(2 * m.variance * log_term / n) + 7 * (high - low) * log_term / (3 * (n - 1));
  };
  Estimate estimate;
  estimate.value = m.mean;
  estimate.n = estimate.n_effective = n;
  estimate.method = "empirical bernstein";
  estimate.assumptions = {"rows are independent", fmt::format("values lie in [{}, {}]", low, high)};
  estimate.bounds = make_bounds([&](double c) { return std::optional(std::max(low, m.mean - half(c))); },
                                [&](double c) { return std::optional(std::min(high, m.mean + half(c))); });
  return estimate;
}

base::Result<Comparison> compare_means(std::span<const double> a, std::span<const double> b,
                                       std::span<const int> units_a, std::span<const int> units_b) {
  std::array<RatioFit, 2> fits;
  bool clustered = false;
  for (const int arm : {0, 1}) {
    const std::span<const double> values = arm == 0 ? a : b;
    const std::string name = arm == 0 ? "a" : "b";
    PL_CHECK(base::check_at_least("compare_means", "size of " + name, static_cast<std::ptrdiff_t>(values.size()), 2));
    PL_CHECK(base::check_all_finite("compare_means", name, values));
    PL_TRY(const UnitIndex index, group_units(arm == 0 ? units_a : units_b, values.size()));
    PL_CHECK(base::check_at_least("compare_means", "units of " + name, static_cast<std::ptrdiff_t>(index.count()), 2));
    fits[static_cast<std::size_t>(arm)] = ratio_of_totals(values, index);
    clustered = clustered || index.count() < values.size();
  }
  const auto [va, vb] = std::pair(fits[0].variance, fits[1].variance);
  const double down = va * va / (fits[0].units - 1) + vb * vb / (fits[1].units - 1);
  const double degrees = down > 0 ? (va + vb) * (va + vb) / down : 1;
  const double error = std::sqrt(va + vb);
  Comparison result;
  Estimate& estimate = result.difference;
  estimate.value = fits[0].value - fits[1].value;
  estimate.n = static_cast<double>(a.size() + b.size());
  estimate.n_effective = clustered ? fits[0].units + fits[1].units : estimate.n;
  estimate.method = clustered ? "welch t over units" : "welch t";
  estimate.assumptions = {clustered ? "units are independent and drawn alike" : "rows are independent"};
  if (clustered) estimate.unit_of_sampling = "unit";
  set_t_bounds(estimate, error, degrees, std::min(fits[0].units, fits[1].units));
  result.p_value = error > 0 ? t_two_sided(estimate.value / error, degrees) : std::numeric_limits<double>::quiet_NaN();
  return result;
}

base::Result<Estimate> difference_of_means(std::span<const double> a, std::span<const double> b,
                                           std::span<const int> units_a, std::span<const int> units_b) {
  PL_TRY(Comparison result, compare_means(a, b, units_a, units_b));
  return std::move(result.difference);
}

}  // namespace plumbline::stats

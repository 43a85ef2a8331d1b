#include "plumbline/system/contrast.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;
using Limit = std::optional<double>;

/// Sums by unit of the rows that count.
struct UnitSums {
  double total_weight = 0;
  double mean = 0;
  double variance = 0;  ///< of the mean
  double units = 0;     ///< with weight
  double rows = 0;
  double kish = 0;      ///< (sum W)^2 / sum W^2 over units
  double row_kish = 0;  ///< the same over rows
  double spread = 0;    ///< variance of the values
  /// Rows that would bound the mean as well, if they were independent.
  double effective() const { return std::max(1.0, variance > 0 ? std::min(spread / variance, row_kish) : kish); }
  bool binary = true;
};

base::Result<UnitSums> sums_of(std::span<const double> values, std::span<const double> weights,
                               std::span<const int> units) {
  const std::size_t n = values.size();
  if (weights.size() != n)
    return make_error(Code::kShape, fmt::format("weighted_mean: {} weights for {} values", weights.size(), n));
  PL_TRY(const stats::UnitIndex index, stats::group_units(units, n));
  std::vector<double> products(n, 0.0);
  UnitSums out;
  for (std::size_t i = 0; i < n; ++i) {
    if (!(weights[i] >= 0) || !std::isfinite(weights[i]))
      return make_error(Code::kValue,
                        fmt::format("weighted_mean: weight {} of row {}, expected at least 0", weights[i], i));
    if (weights[i] == 0) continue;
    if (!std::isfinite(values[i]))
      return make_error(Code::kValue, fmt::format("weighted_mean: value {} of row {} is not finite", values[i], i));
    products[i] = weights[i] * values[i];
    out.rows += 1;
    out.binary = out.binary && (values[i] == 0 || values[i] == 1);
  }
  out.total_weight = base::ordered_sum(weights);
  if (!(out.total_weight > 0)) return make_error(Code::kShape, "weighted_mean: no row has weight");
  out.mean = base::ordered_sum(products) / out.total_weight;
  std::vector<double> squares(index.count(), 0.0), weight_squares(index.count(), 0.0);
  for (std::size_t u = 0; u < index.count(); ++u) {
    double residual = 0;
    double weight = 0;
    for (const std::size_t i : index.rows_of(u)) {
      if (weights[i] == 0) continue;
      residual += weights[i] * (values[i] - out.mean);
      weight += weights[i];
    }
    if (weight > 0) out.units += 1;
    squares[u] = residual * residual;
    weight_squares[u] = weight * weight;
  }
  if (out.units < 2)
    return make_error(Code::kShape, fmt::format("weighted_mean: {} units with weight, expected at least 2", out.units));
  out.variance = out.units / (out.units - 1) * base::ordered_sum(squares) / (out.total_weight * out.total_weight);
  out.kish = out.total_weight * out.total_weight / base::ordered_sum(weight_squares);
  std::vector<double> spreads(n, 0.0), row_squares(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    row_squares[i] = weights[i] * weights[i];
    if (weights[i] > 0) spreads[i] = weights[i] * (values[i] - out.mean) * (values[i] - out.mean);
  }
  out.row_kish = out.total_weight * out.total_weight / base::ordered_sum(row_squares);
  out.spread = base::ordered_sum(spreads) / out.total_weight;
  return out;
}

/// Bounds of a share at the effective size that its variance between units leaves.
Bounded share_bounds(const UnitSums& sums) {
  const double p = std::clamp(sums.mean, 0.0, 1.0);
  const double size = sums.effective();
  const double units = sums.units;
  const auto at = [units, size](double c) {
    if (!(size > 1)) return size;
    const double factor = stats::t_quantile(c, size - 1) / stats::t_quantile(c, units - 1);
    return size * std::min(1.0, factor * factor);
  };
  Bounded out{p, sums.rows, size, "clopper-pearson at the effective size", {}, {}};
  out.low = [p, at](double c) { return Limit(stats::clopper_pearson_low(p * at(c), at(c), c)); };
  out.high = [p, at](double c) { return Limit(stats::clopper_pearson_high(p * at(c), at(c), c)); };
  if (units < 10) out.warnings.push_back(fmt::format("{:.0f} units: the bounds lean on few", units));
  return out;
}

void add_warnings(Bounded& out, const Bounded& from) {
  for (const std::string& warning : from.warnings)
    if (std::find(out.warnings.begin(), out.warnings.end(), warning) == out.warnings.end())
      out.warnings.push_back(warning);
}

/// sqrt(a^2 + b^2), nothing where either is not known.
Limit hypotenuse(Limit a, Limit b) {
  if (!a || !b) return std::nullopt;
  return std::hypot(*a, *b);
}

Limit gap(double value, Limit limit) { return limit ? Limit(std::abs(value - *limit)) : std::nullopt; }

}  // namespace

stats::Estimate Bounded::estimate(const std::string& unit_of_sampling) const {
  stats::Estimate out;
  out.value = value;
  out.n = n;
  out.n_effective = n_effective;
  out.unit_of_sampling = unit_of_sampling;
  out.method = method;
  out.warnings = warnings;
  if (low && high) out.bounds = stats::make_bounds(low, high);
  return out;
}

Bounded student(double value, double error, double degrees, double n, std::string method) {
  Bounded out{value, n, n, std::move(method), {}, {}};
  const auto none = [](double) { return Limit(); };
  out.low = out.high = none;
  if (!(error > 0) || !(degrees > 0)) {
    out.warnings.emplace_back("no spread to bound the figure with");
    return out;
  }
  out.low = [=](double c) { return Limit(value - stats::t_quantile(c, degrees) * error); };
  out.high = [=](double c) { return Limit(value + stats::t_quantile(c, degrees) * error); };
  return out;
}

base::Result<Bounded> weighted_mean(std::span<const double> values, std::span<const double> weights,
                                    std::span<const int> units, double inflation) {
  PL_TRY(UnitSums sums, sums_of(values, weights, units));
  sums.variance *= inflation;
  sums.kish /= inflation;
  sums.row_kish /= inflation;
  if (sums.binary) return share_bounds(sums);
  Bounded out =
      student(sums.mean, std::sqrt(sums.variance), sums.units - 1, sums.rows, "weighted mean, Student's t over units");
  out.n_effective = sums.effective();
  return out;
}

base::Result<Contrast> contrast(std::span<const double> values, std::span<const std::uint8_t> flag,
                                std::span<const int> strata, std::span<const int> units, double inflation) {
  const std::size_t n = values.size();
  if (flag.size() != n || strata.size() != n)
    return make_error(Code::kShape,
                      fmt::format("contrast: {} values, {} flags, {} strata", n, flag.size(), strata.size()));
  const auto there = [&](std::size_t i) { return flag[i] <= 1 && strata[i] >= 0 && !std::isnan(values[i]); };
  std::map<int, std::pair<double, double>> counts;  // of the arm, of the others
  for (std::size_t i = 0; i < n; ++i) {
    if (!there(i)) continue;
    auto& [treated, control] = counts[strata[i]];
    (flag[i] == 1 ? treated : control) += 1;
  }
  double treated = 0, compared = 0, control = 0;
  for (const auto& [stratum, count] : counts) {
    treated += count.first;
    if (count.second > 0) compared += count.first;
    if (count.first > 0) control += count.second;
  }
  constexpr double kLeast = 10;
  if (compared < kLeast || control < kLeast)
    return make_error(
        Code::kShape,
        fmt::format("{:.0f} rows of the arm and {:.0f} rows alike outside of it, expected at least {:.0f} of both",
                    compared, control, kLeast));
  std::vector<double> arm(n, 0.0), rest(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    if (!there(i)) continue;
    const auto& count = counts[strata[i]];
    if (count.first == 0 || count.second == 0) continue;
    if (flag[i] == 1)
      arm[i] = 1;
    else
      rest[i] = count.first / count.second;
  }
  Contrast out;
  PL_TRY(out.treated, weighted_mean(values, arm, units, inflation));
  PL_TRY(out.control, weighted_mean(values, rest, units, inflation));
  out.compared = compared / treated;
  // Under "no difference" both arms have one spread: the pooled one, at the effective sizes.
  double sum = 0, squares = 0, weight = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double w = arm[i] + rest[i];
    if (w == 0) continue;
    weight += w;
    sum += w * values[i];
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double w = arm[i] + rest[i];
    if (w > 0) squares += w * (values[i] - sum / weight) * (values[i] - sum / weight);
  }
  out.null_error = std::sqrt(squares / weight * (1 / out.treated.n_effective + 1 / out.control.n_effective));
  return out;
}

Bounded difference(const Contrast& c) {
  const double a = c.treated.value;
  const double b = c.control.value;
  Bounded out{
      a - b, c.treated.n + c.control.n, c.treated.n_effective + c.control.n_effective, c.treated.method + ", MOVER", {},
      {}};
  const auto low_a = c.treated.low, high_a = c.treated.high, low_b = c.control.low, high_b = c.control.high;
  out.low = [=](double k) {
    const Limit reach = hypotenuse(gap(a, low_a(k)), gap(b, high_b(k)));
    return reach ? Limit(a - b - *reach) : std::nullopt;
  };
  out.high = [=](double k) {
    const Limit reach = hypotenuse(gap(a, high_a(k)), gap(b, low_b(k)));
    return reach ? Limit(a - b + *reach) : std::nullopt;
  };
  add_warnings(out, c.treated);
  add_warnings(out, c.control);
  return out;
}

Bounded ratio(const Contrast& c) {
  const double a = c.treated.value;
  const double b = c.control.value;
  Bounded out{b > 0 ? a / b : std::numeric_limits<double>::quiet_NaN(),
              c.treated.n + c.control.n,
              c.treated.n_effective + c.control.n_effective,
              c.treated.method + ", MOVER",
              {},
              {}};
  // Roots t of (a - t b)^2 = da^2 + t^2 db^2, with the distances to the limits that lie on the side in question.
  const auto inner = [a, b](double da, double db) {
    return std::sqrt(std::max(0.0, a * a * b * b - (b * b - db * db) * (a * a - da * da)));
  };
  const auto low_a = c.treated.low, high_a = c.treated.high, low_b = c.control.low, high_b = c.control.high;
  out.low = [=](double k) -> Limit {
    const Limit da = gap(a, low_a(k));
    const Limit db = gap(b, high_b(k));
    if (!da || !db) return std::nullopt;
    const double below = a * b + inner(*da, *db);
    return below > 0 ? std::max(0.0, (a * a - *da * *da) / below) : 0.0;
  };
  out.high = [=](double k) -> Limit {
    const Limit da = gap(a, high_a(k));
    const Limit db = gap(b, low_b(k));
    if (!da || !db || !(b > *db)) return std::nullopt;
    return (a * b + inner(*da, *db)) / (b * b - *db * *db);
  };
  add_warnings(out, c.treated);
  add_warnings(out, c.control);
  return out;
}

double difference_p(const Contrast& c) {
  const double d = c.treated.value - c.control.value;
  if (!(c.null_error > 0)) return 1;
  return stats::normal_tail(d / c.null_error);
}

double two_sided_p(const Bounded& figure) {
  const auto& limit = figure.value > 0 ? figure.low : figure.high;
  const double sign = figure.value > 0 ? 1 : -1;
  // In log(1 - c), so that small p-values are as exact as large ones.
  double inside = std::log(1e-15), outside = std::log(0.5);
  const auto leaves = [&](double log_tail) {
    const Limit v = limit(1 - std::exp(log_tail));
    return v && sign * *v > 0;
  };
  if (!leaves(outside)) return 1;
  if (leaves(inside)) return 2e-15;
  for (int k = 0; k < 60; ++k) {
    const double middle = (inside + outside) / 2;
    (leaves(middle) ? outside : inside) = middle;
  }
  return 2 * std::exp(outside);
}

Bounded least_of(std::vector<Bounded> figures) {
  const auto least = std::min_element(figures.begin(), figures.end(),
                                      [](const Bounded& a, const Bounded& b) { return a.value < b.value; });
  Bounded out = *least;
  if (figures.size() == 1) return out;
  out.method = fmt::format("least of {}, {}", figures.size(), out.method);
  const auto m = static_cast<double>(figures.size());
  const auto all = std::make_shared<const std::vector<Bounded>>(std::move(figures));
  out.low = [all](double c) {
    Limit got;
    for (const Bounded& figure : *all) {
      const Limit one = figure.low(c);
      if (!one) return Limit();
      got = got ? std::min(*got, *one) : *one;
    }
    return got;
  };
  out.high = [all, m](double c) {
    Limit got;
    for (const Bounded& figure : *all)
      if (const Limit one = figure.high(1 - (1 - c) / m)) got = got ? std::min(*got, *one) : *one;
    return got;
  };
  return out;
}

Bounded scaled(const Bounded& figure, double factor) {
  Bounded out = figure;
  out.value = figure.value * factor;
  const auto times = [factor](const std::function<Limit(double)>& limit) {
    return [limit, factor](double c) {
      const Limit v = limit ? limit(c) : Limit();
      return v ? Limit(*v * factor) : v;
    };
  };
  out.low = times(factor < 0 ? figure.high : figure.low);
  out.high = times(factor < 0 ? figure.low : figure.high);
  return out;
}

Bounded widened(const Bounded& figure, double by) {
  Bounded out = figure;
  const auto shift = [](const std::function<Limit(double)>& limit, double step) {
    return [limit, step](double c) {
      const Limit v = limit ? limit(c) : Limit();
      return v ? Limit(*v + step) : v;
    };
  };
  out.low = shift(figure.low, -by);
  out.high = shift(figure.high, by);
  return out;
}

Bounded greatest_of(std::vector<Bounded> figures) {
  for (Bounded& figure : figures) figure = scaled(figure, -1);
  const std::size_t count = figures.size();
  Bounded out = scaled(least_of(std::move(figures)), -1);
  if (count > 1) out.method.replace(0, 5, "greatest");
  return out;
}

Bounded product(const Bounded& a, const Bounded& b) {
  Bounded out{
      a.value * b.value, b.n, b.n_effective, fmt::format("product of bounds ({}; {})", a.method, b.method), {}, {}};
  const auto both = [](const std::function<Limit(double)>& x, const std::function<Limit(double)>& y) {
    return [x, y](double c) {
      const double k = 1 - (1 - c) / 2;
      const Limit p = x(k), q = y(k);
      return p && q ? Limit(*p * *q) : std::nullopt;
    };
  };
  out.low = both(a.low, b.low);
  out.high = both(a.high, b.high);
  add_warnings(out, a);
  add_warnings(out, b);
  return out;
}

}  // namespace plumbline::system

#include "plumbline/stats/descriptive.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"

namespace plumbline::stats {

Moments moments(std::span<const double> values) {
  Moments result;
  result.n = values.size();
  result.mean = base::ordered_mean(values);
  if (values.size() < 2) return result;
  std::vector<double> squares(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) squares[i] = (values[i] - result.mean) * (values[i] - result.mean);
  result.variance = base::ordered_sum(squares) / static_cast<double>(values.size() - 1);
  return result;
}

double quantile_sorted(std::span<const double> ascending, double q) {
  base::ensure(!ascending.empty() && q >= 0 && q <= 1, "quantile_sorted: empty array or q outside [0, 1]");
  const double place = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= ascending.size()) return ascending.back();
  const double part = place - static_cast<double>(below);
  return ascending[below] + part * (ascending[below + 1] - ascending[below]);
}

base::Result<double> quantile(std::span<const double> values, double q) {
  if (values.empty()) return base::make_error(base::Code::kShape, "quantile: values is empty");
  PL_CHECK(base::check_in("quantile", "q", q, 0, 1));
  PL_CHECK(base::check_all_finite("quantile", "values", values));
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return quantile_sorted(sorted, q);
}

base::Result<double> median(std::span<const double> values) { return quantile(values, 0.5); }

base::Result<double> median_deviation(std::span<const double> values) {
  PL_TRY(const double center, median(values));
  std::vector<double> gaps(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) gaps[i] = std::abs(values[i] - center);
  PL_TRY(const double spread, median(gaps));
  return 1.4826022185056018 * spread;
}

std::vector<std::size_t> sort_order(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b] || (values[a] == values[b] && a < b); });
  return order;
}

std::vector<double> midranks(std::span<const double> values) {
  const std::vector<std::size_t> order = sort_order(values);
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i + 1;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = 0.5 * static_cast<double>(i + 1 + end);
    for (std::size_t j = i; j < end; ++j) ranks[order[j]] = rank;
    i = end;
  }
  return ranks;
}

base::Result<UnitIndex> group_units(std::span<const int> units, std::size_t n) {
  UnitIndex index;
  index.unit_of_row.resize(n);
  std::size_t count = n;
  if (units.empty()) {
    std::iota(index.unit_of_row.begin(), index.unit_of_row.end(), std::size_t{0});
  } else {
    PL_CHECK(base::check_size("group_units", "units", static_cast<std::ptrdiff_t>(units.size()),
                              static_cast<std::ptrdiff_t>(n)));
    std::unordered_map<int, std::size_t> seen;  // looked up only, never walked
    for (std::size_t i = 0; i < n; ++i) index.unit_of_row[i] = seen.try_emplace(units[i], seen.size()).first->second;
    count = seen.size();
  }
  index.offsets.assign(count + 1, 0);
  for (const std::size_t unit : index.unit_of_row) ++index.offsets[unit + 1];
  std::partial_sum(index.offsets.begin(), index.offsets.end(), index.offsets.begin());
  index.rows.resize(n);
  std::vector<std::size_t> next(index.offsets.begin(), index.offsets.end() - 1);
  for (std::size_t i = 0; i < n; ++i) index.rows[next[index.unit_of_row[i]]++] = i;
  return index;
}

double kish_size(const UnitIndex& units) {
  double squares = 0;
  for (std::size_t u = 0; u < units.count(); ++u) {
    const auto size = static_cast<double>(units.rows_of(u).size());
    squares += size * size;
  }
  const auto n = static_cast<double>(units.rows.size());
  return squares > 0 ? n * n / squares : 0;
}

}  // namespace plumbline::stats

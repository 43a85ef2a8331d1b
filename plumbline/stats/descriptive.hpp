#pragma once
/// Order statistics, ranks, moments in a fixed order, and the grouping of rows into sampling units.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::stats {

/// Mean and unbiased variance, both by ordered sums (two passes). Precondition: values not empty; variance is 0 for n
/// = 1.
struct Moments {
  double mean = 0;
  double variance = 0;
  std::size_t n = 0;
};
Moments moments(std::span<const double> values);

/// Quantile by linear interpolation of order statistics (definition 7 of Hyndman and Fan 1996) of an ascending array.
/// Precondition: not empty, 0 <= q <= 1.
double quantile_sorted(std::span<const double> ascending, double q);
/// The same of any array. Errors kShape: empty. kValue: q outside [0, 1], non-finite value.
base::Result<double> quantile(std::span<const double> values, double q);
base::Result<double> median(std::span<const double> values);
/// Median absolute deviation from the median, times 1.4826 (consistent for the deviation of a normal).
base::Result<double> median_deviation(std::span<const double> values);

/// Ranks 1..n, ties sharing the mean of theirs. NaN is not allowed.
std::vector<double> midranks(std::span<const double> values);
/// Positions that sort the values ascending; equal values keep their order.
std::vector<std::size_t> sort_order(std::span<const double> values);

/// Rows grouped by unit. Units are numbered in order of first appearance, so results do not depend on unit ids.
struct UnitIndex {
  std::vector<std::size_t> offsets;  ///< rows of unit u: rows[offsets[u]] .. rows[offsets[u + 1] - 1]
  std::vector<std::size_t> rows;
  std::vector<std::size_t> unit_of_row;

  std::size_t count() const { return offsets.empty() ? 0 : offsets.size() - 1; }
  std::span<const std::size_t> rows_of(std::size_t unit) const {
    return {rows.data() + offsets[unit], offsets[unit + 1] - offsets[unit]};
  }
};
/// `units` empty: every one of n rows is its own unit. Errors kShape: units neither empty nor of size n.
base::Result<UnitIndex> group_units(std::span<const int> units, std::size_t n);

/// n^2 / sum of squared unit sizes: the sample size left when units answer as one (Kish).
double kish_size(const UnitIndex& units);

}  // namespace plumbline::stats

#pragma once
/// Does a model give the same answer to the same question?

#include <cstdint>
#include <optional>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::methodology {

/// Two runs over the same rows, compared value by value at float precision.
struct RunComparison {
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t diverging = 0;  ///< rows with any differing value
  std::ptrdiff_t flips = 0;      ///< rows whose largest output is another one (classification)
  std::optional<std::ptrdiff_t> first_diverging;
  std::optional<std::ptrdiff_t> first_flip;
  double max_ulp = 0;         ///< largest distance of two outputs in units of float32's last place
  double max_difference = 0;  ///< largest absolute difference
};

/// Question  Where do two runs of a model over the same rows differ, by how much, and does it change the answer?
/// Formula   Distance in units of the last place: how many float32 values lie between the two outputs rounded to
/// float32. Shapes    first and second n x k, same rows in the same order. Returns   counts of rows, and the largest
/// distances. A NaN beside a number counts as the largest distance, 2^32; two
///           NaNs agree. Ties of the largest output go to the lower column.
/// Assumes   nothing: the figures are exact about these rows and these runs.
/// Errors    kShape: no rows or columns, or different shapes.
/// Cost      O(n k). Deterministic.
base::Result<RunComparison> compare_runs(MatrixRefD first, MatrixRefD second);

/// Number of float32 values between a and b, each rounded to float32 first: 0 when equal (0 and -0 are), 2^32 when
/// exactly one is NaN.
double ulp_distance(double a, double b);

}  // namespace plumbline::methodology

#include "plumbline/methodology/determinism.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "plumbline/base/guard.hpp"

namespace plumbline::methodology {

namespace {

/// Float32 values in order as consecutive integers; 0 and -0 share one.
std::int64_t place(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits >= 0 ? bits : -static_cast<std::int64_t>(bits & 0x7FFFFFFF);
}

template <class Row>
std::ptrdiff_t largest(const Row& row) {
  std::ptrdiff_t best = 0;
  for (std::ptrdiff_t c = 1; c < row.size(); ++c) {
    if (row(c) > row(best)) best = c;
  }
  return best;
}

}  // namespace

double ulp_distance(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0.0 : 4294967296.0;
  return static_cast<double>(std::llabs(place(static_cast<float>(a)) - place(static_cast<float>(b))));
}

base::Result<RunComparison> compare_runs(MatrixRefD first, MatrixRefD second) {
  PL_CHECK(base::check_at_least("compare_runs", "rows of first", first.rows(), 1));
  PL_CHECK(base::check_at_least("compare_runs", "columns of first", first.cols(), 1));
  PL_CHECK(base::check_size("compare_runs", "rows of second", second.rows(), first.rows()));
  PL_CHECK(base::check_size("compare_runs", "columns of second", second.cols(), first.cols()));
  RunComparison result;
  result.rows = first.rows();
  for (std::ptrdiff_t i = 0; i < first.rows(); ++i) {
    double ulp = 0;
    for (std::ptrdiff_t c = 0; c < first.cols(); ++c) {
      const double a = first(i, c);
      const double b = second(i, c);
      ulp = std::max(ulp, ulp_distance(a, b));
      if (std::isfinite(a) && std::isfinite(b))
        result.max_difference = std::max(result.max_difference, std::fabs(a - b));
    }
    result.max_ulp = std::max(result.max_ulp, ulp);
    if (ulp > 0) {
      ++result.diverging;
      if (!result.first_diverging) result.first_diverging = i;
    }
    if (largest(first.row(i)) != largest(second.row(i))) {
      ++result.flips;
      if (!result.first_flip) result.first_flip = i;
    }
  }
  return result;
}

}  // namespace plumbline::methodology

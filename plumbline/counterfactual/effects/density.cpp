// Density of the running variable on either side of the cut-off.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/counterfactual/effects/discontinuity.hpp"
#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Weights a + b u + c u^2, times the triangle 1 - u on [0, 1], that give the value at 0 of a quadratic density: the
/// moments of u^0, u^1, u^2 under them are 1, 0, 0.
std::array<double, 3> boundary_weights() {
  MatrixD moments(3, 3);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) moments(i, j) = 1.0 / (i + j + 1) - 1.0 / (i + j + 2);
  VectorD right = VectorD::Zero(3);
  right(0) = 1;
  const VectorD solved = stats::Cholesky::factor(moments).value().solve(right).value();
  return {solved(0), solved(1), solved(2)};
}

/// Bandwidth with the least error of a local linear fit at the boundary, from a polynomial of degree 4 through a
/// histogram of the side (McCrary 2008, sec. 3.2).
double rule_of_thumb(const std::vector<double>& distances, double n, double deviation) {
  const double range = *std::max_element(distances.begin(), distances.end());
  const double width = std::max(2 * deviation / std::sqrt(n), range / 500);
  const auto bins = static_cast<Index>(std::max(8.0, std::ceil(range / width)));
  const double step = range / static_cast<double>(bins);
  VectorD height = VectorD::Zero(bins);
  for (const double d : distances) height(std::min(static_cast<Index>(d / step), bins - 1)) += 1 / (n * step);
  MatrixD x(bins, 4);
  for (Index k = 0; k < bins; ++k) {
    const double middle = (static_cast<double>(k) + 0.5) / static_cast<double>(bins);
    x.row(k) << middle, middle * middle, std::pow(middle, 3), std::pow(middle, 4);
  }
  const auto fitted = least_squares(x, height);
  if (!fitted.ok()) return range;
  const LeastSquares& fit = fitted.value();
  const double spread = fit.residuals.squaredNorm() / std::max(static_cast<double>(bins) - 5, 1.0);
  double curvature = 0;
  for (Index k = 0; k < bins; ++k) {
    const double m = x(k, 0);
    const double second =
        (2 * fit.coefficients(1) + 6 * fit.coefficients(2) * m + 12 * fit.coefficients(3) * m * m) / (range * range);
    curvature += second * second;
  }
  constexpr double kTriangle = 3.348;
  const double h = kTriangle * std::pow(spread * range / std::max(curvature, 1e-300), 0.2);
  return std::min(h, range);
}

/// Density at the boundary and its variance.
std::pair<double, double> at_boundary(const std::vector<double>& distances, double n, double h) {
  static const std::array<double, 3> kWeights = boundary_weights();
  double sum = 0, squares = 0;
  for (const double d : distances) {
    const double u = d / h;
    if (u >= 1) continue;
    const double k = (1 - u) * (kWeights[0] + kWeights[1] * u + kWeights[2] * u * u) / h;
    sum += k;
    squares += k * k;
  }
  const double value = sum / n;
  return {value, (squares / n - value * value) / n};
}

}  // namespace

base::Result<DensityTest> density_test(const VectorD& x, double cutoff) {
  PL_CHECK(base::check_all_finite("density_test", "x", {x.data(), static_cast<std::size_t>(x.size())}));
  std::vector<double> below, above, all(x.data(), x.data() + x.size());
  for (const double v : all) (v >= cutoff ? above : below).push_back(std::abs(v - cutoff));
  if (std::min(below.size(), above.size()) < 20)
    return base::make_error(base::Code::kShape, fmt::format("density_test: {} and {} rows beside the cut-off, of at "
                                                            "least 20",
                                                            below.size(), above.size()));
  const auto n = static_cast<double>(all.size());
  const double deviation = std::sqrt(stats::moments(all).variance);
  DensityTest out;
  out.bandwidth_below = rule_of_thumb(below, n, deviation);
  out.bandwidth_above = rule_of_thumb(above, n, deviation);
  const auto [low, low_variance] = at_boundary(below, n, out.bandwidth_below);
  const auto [high, high_variance] = at_boundary(above, n, out.bandwidth_above);
  out.below = low;
  out.above = high;
  if (low_variance + high_variance > 0) out.z = (high - low) / std::sqrt(low_variance + high_variance);
  out.p_value = 2 * stats::normal_tail(std::abs(out.z));
  return out;
}

}  // namespace plumbline::counterfactual::effects

#pragma once
/// A jump at a cut-off: sharp and fuzzy regression discontinuity.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::effects {

struct DiscontinuityOptions {
  double cutoff = 0;
  int degree = 1;                     ///< of the local polynomial; the bias is estimated one degree up
  std::optional<double> bandwidth{};  ///< of the figure and of its bias; empty: those with the least mean squared error
};

/// Rows on one side of the cut-off within the bandwidth, and in all.
struct Side {
  std::size_t rows = 0;
  std::size_t within = 0;
  std::size_t distinct = 0;  ///< values of the running variable
};

struct Discontinuity {
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  double conventional = 0;  ///< local polynomial figure
  double conventional_error = 0;
  double corrected = 0;     ///< less its estimated bias: the middle of the robust interval
  double robust_error = 0;  ///< with the variance of the bias estimate
  double bandwidth = 0;
  double bias_bandwidth = 0;
  Side below, above;
  double first_stage = 0;        ///< fuzzy: jump of the treatment
  double first_stage_error = 0;  ///< robust
  /// `conventional` with the robust interval (which need not lie around it).
  stats::Estimate estimate() const;
};

/// Question  how does E[y | x] jump as x crosses the cut-off? Rows at the cut-off count as above.
/// Formula   local polynomials with a triangular kernel on either side; bandwidths for the least mean squared error of
///           the jump, with regularisation; bias estimated by a polynomial one degree up; residuals from three nearest
///           neighbours. Fuzzy: ratio of the jumps of y and of the treatment, with the bandwidth of y's jump, by the
///           same on (y - ratio t) / jump of t. Clusters: scores are added up within clusters on either side.
/// Shapes    x n, y n; treatment n or empty (sharp); clusters n or empty.
/// Outcome   cannot say: fewer than 20 rows or 10 distinct values on a side, fewer than 10 rows within the bandwidth; a
///           fuzzy design in which the robust interval of the treatment's jump holds 0. Warns: a fifth of the rows of a
///           side share their value with another (mass points); fuzzy with a first-stage F below 10.
/// Errors    kShape: sizes differ. kValue: not finite, a cut-off outside the range of x, degree outside [0, 3],
///           bandwidth not positive.
/// Cost      O(n log n). Deterministic.
/// Source    Calonico, Cattaneo, Titiunik, Econometrica 82, 2014; Calonico, Cattaneo, Farrell, Econometrics J. 23,
/// 2020.
base::Result<Discontinuity> fit_discontinuity(const VectorD& x, const VectorD& y, const VectorD& treatment,
                                              std::span<const int> clusters, const DiscontinuityOptions& options);

/// Do rows heap on one side of the cut-off, as they do where people can choose it?
struct DensityTest {
  double below = 0, above = 0;  ///< density at the cut-off, from either side
  double z = 0;
  double p_value = 1;
  double bandwidth_below = 0, bandwidth_above = 0;
};
/// Formula   boundary kernels equivalent to a local quadratic fit, at bandwidths for the least error of the local
/// linear
///           one (so that the bias is removed); standardised difference.
/// Errors    kShape: fewer than 20 rows on a side.
/// Source    McCrary 2008; Cattaneo, Jansson, Ma, JASA 115, 2020 (undersmoothing by one degree more).
base::Result<DensityTest> density_test(const VectorD& x, double cutoff);

}  // namespace plumbline::counterfactual::effects

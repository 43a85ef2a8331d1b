#pragma once
/// Could the two arms be compared at all: overlap of propensities, sizes after weighting, balance of covariates.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/effects/effect.hpp"

namespace plumbline::counterfactual::effects {

/// Limits, fixed.
/// ATE: share of rows with a propensity outside [0.01, 0.99]; ATT: share of the treated above 0.99.
inline constexpr double kOutsideRefused = 0.1;
inline constexpr double kOutsideWarned = 0.01;
/// Effective size (sum w)^2 / sum w^2 of an arm.
inline constexpr double kSizeRefused = 15;
inline constexpr double kSizeWarned = 50;
/// Share of an arm's weight in one row.
inline constexpr double kLargestRefused = 0.2;
inline constexpr double kLargestWarned = 0.1;
/// Standardised mean difference after weighting.
inline constexpr double kBalanced = 0.1;

struct Overlap {
  double lowest = 0, highest = 0;  ///< propensity
  double outside = 0;              ///< share as above
  double size_treated = 0, size_untreated = 0;
  double largest_treated = 0, largest_untreated = 0;  ///< share of the arm's weight
};
/// Precondition: weights of n rows. `propensity` may be empty: then lowest, highest and outside are NaN.
Overlap overlap_of(const Study& study, const VectorD& weights, const VectorD& propensity, Estimand estimand);

/// Standardised mean difference of a column between the arms: (mean of treated - mean of untreated) / deviation, whose
/// square is the mean of the arms' variances (ATT: the variance of the treated) before weighting.
struct Balance {
  std::string column;
  double before = 0;
  double after = 0;  ///< NaN without weights
};
std::vector<Balance> balance_of(const Study& study, const VectorD& weights, Estimand estimand);
/// The largest |after|, or |before| without weights; 0 without columns.
double largest_imbalance(const std::vector<Balance>& balance);

}  // namespace plumbline::counterfactual::effects

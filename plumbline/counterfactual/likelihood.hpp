#pragma once
/// Empirical likelihood for importance-weighted means.

#include <span>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual {

/// Question  which means of w r are compatible with the rows, given that the mean weight is 1?
/// Formula   -2 log R(v) = 2 max_l sum_u log(1 + l1 (a_u - v c_u) + l2 (b_u - c_u)); the value is where it is 0, the
///           one-sided c bound where it reaches t_c(units - 1)^2.
/// Shapes    of each unit: wr = sum of w r, w = sum of w, rows = number of rows; equal sizes.
/// Errors    kShape: sizes differ, fewer than 2 units. kValue: non-finite entry, negative weight, rows not positive.
/// Outcome   no bounds and the value sum(wr) / sum(w), with a warning, where no unit has a mean weight above 1, or none
///           below: then no weighting of the rows gives 1. All wr 0: a lower bound at 0 only is not claimed; no bounds.
/// Assumes   units independent and drawn alike; asymptotic.
/// Cost      O(200 n). Deterministic.
/// Source    Owen 2001; Karampatziakis, Langford, Mineiro 2020.
base::Result<stats::Estimate> weighted_likelihood(std::span<const double> wr, std::span<const double> w,
                                                  std::span<const double> rows);

}  // namespace plumbline::counterfactual

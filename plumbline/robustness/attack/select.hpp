#pragma once
/// The coordinates along which sparse steps go.

#include <cstddef>
#include <span>

namespace plumbline::robustness {

/// The k-th largest of |values|, exactly. Precondition: 1 <= k <= size; no NaN.
/// Formula   counted by exponent and eight digits of the mantissa, then sorted out within one such bucket: a third of
/// the
///           time of a selection by comparisons.
double kth_largest_size(std::span<const double> values, std::size_t k);

}  // namespace plumbline::robustness

#pragma once
/// Probability rows: the guard that every method of this room shares.

#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// Largest accepted distance of a row's sum from 1; stored float32 softmax of 1000 classes stays well inside.
inline constexpr double kRowSumTolerance = 1e-4;

/// Errors kShape: no row, fewer than two columns. kValue: an entry outside [0, 1] or not finite, a row that does not
/// sum to 1 within kRowSumTolerance; the message gives row, column and value.
base::Status check_probabilities(std::string_view function, MatrixRefD probabilities);

}  // namespace plumbline::caution

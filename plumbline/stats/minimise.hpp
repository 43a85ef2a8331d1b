#pragma once
/// A local minimum of a smooth function by limited-memory BFGS.

#include <functional>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::stats {

struct MinimiseOptions {
  int iterations = 200;
  double tolerance = 1e-8;           ///< on the largest entry of the gradient
  std::function<void()> accepted{};  ///< after the start and after every step that is kept
  base::CancelToken cancel{};
};

struct Minimum {
  std::vector<double> x;
  double value = 0;
  int iterations = 0;
  bool converged = false;  ///< the gradient is below the tolerance
};

/// The function's value; fills the gradient.
using SmoothFunction = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

/// Question  where, downhill from the start, is the function least?
/// Formula   L-BFGS with ten pairs; step halved until the decrease is sufficient, or, where rounding hides the
/// decrease,
///           until the slope shrinks along the step.
/// Returns   the last point that was kept; its value is never above the start's (up to 1e-13 of it).
/// Errors    kCancelled. Cost one or a few evaluations an iteration. Deterministic.
/// Source    Liu and Nocedal 1989; Hager and Zhang 2005.
base::Result<Minimum> minimise(const SmoothFunction& function, std::vector<double> start,
                               const MinimiseOptions& options);

}  // namespace plumbline::stats

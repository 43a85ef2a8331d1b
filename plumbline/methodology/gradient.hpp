#pragma once
/// Is the gradient that a model hands out the gradient of what it computes?

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::methodology {

/// n x d inputs to n x k outputs, in double.
using OutputFunction = std::function<base::Result<MatrixD>(MatrixRefD rows)>;
/// Row i of the result: sum_k weights(i, k) d output_k / d input at row i.
using GradientFunction = std::function<base::Result<MatrixD>(MatrixRefD rows, MatrixRefD weights)>;

struct GradientOptions {
  double resolution = 1e-5;      ///< a probe counts when its numeric derivative is known to this relative precision
  double discarded_limit = 0.2;  ///< above this share of discarded probes the answer is inconclusive
};

enum class ProbeKind {
  kSmooth,
  kKink,   ///< left and right derivative differ
  kRough,  ///< the numeric derivative does not settle
};

/// One point, one direction u (unit length), one weighting w of the outputs.
struct GradientProbe {
  std::ptrdiff_t row = 0;
  ProbeKind kind = ProbeKind::kSmooth;
  double analytic = 0;                ///< u . gradient
  double numeric = 0;                 ///< derivative of w . outputs along u
  double uncertainty = 0;             ///< of `numeric`
  double gap = 0;                     ///< |analytic - numeric| / max(|analytic|, |numeric|); 0 where both vanish
  bool zero_gradient = false;         ///< every component of the gradient is exactly zero
  std::optional<double> convergence;  ///< order of the central difference's error in the step; 2 for a smooth function
};

enum class GradientOutcome {
  kMeasured,
  kInconclusive,  ///< more than `discarded_limit` of the probes had to be discarded: `relative_gap` has no bounds
};

struct GradientCheck {
  GradientOutcome outcome = GradientOutcome::kMeasured;
  std::vector<GradientProbe> probes;            ///< one a row, in the order of the rows
  std::optional<stats::Estimate> relative_gap;  ///< median over the smooth probes; nothing when there is none
  stats::Estimate kink_share;                   ///< share of probes discarded
  stats::Estimate zero_gradient_share;
  std::optional<double> convergence;  ///< median over the probes where it shows above rounding
};

/// Question  Does `gradient` agree with the numeric derivative of `outputs`, along random directions at random points?
/// Formula   Per row x: x' = x + 0.01 s z (z normal, s the root mean square of x, so that ties of an image's background
///           are broken), u uniform on the sphere, w normal. Central differences with steps 0.001 s / 2^j, j = 0..7,
///           extrapolated to step 0 (Ridders); the entry of the tableau with the least estimated error is the
///           derivative. A probe is a kink when (f(h) - 2 f(0) + f(-h)) / h does not shrink with h.
/// Shapes    rows n x d, one probe a row.
/// Returns   median relative gap with bounds from order statistics; shares with Clopper-Pearson bounds.
/// Units     gaps and shares are plain numbers.
/// Assumes   rows independent; `outputs` computes in double.
/// Errors    kShape: no rows, no columns, outputs or gradient of another shape. kValue: non-finite input, output or
///           gradient; resolution not in (0, 1); discarded_limit not in [0, 1]. Others as the two functions.
/// Outcome   kInconclusive, see above: then `relative_gap` carries no bounds.
/// Cost      17 outputs and one gradient a row. Deterministic in the rows and the stream.
/// Source    Ridders 1982, "Accurate computation of F'(x) and F'(x)F''(x)"; order statistics: David and Nagaraja 2003,
///           section 7.1.
base::Result<GradientCheck> check_gradient(MatrixRefD rows, const OutputFunction& outputs,
                                           const GradientFunction& gradient, base::Rng rng,
                                           const GradientOptions& options = {});

/// The median with distribution-free one-sided bounds: the k-th smallest value is a lower bound at confidence
/// 1 - P(Binomial(n, 1/2) < k). A rung that no k reaches stays empty.
/// Errors kShape: no values. kValue: NaN.
base::Result<stats::Estimate> median_estimate(std::vector<double> values);

}  // namespace plumbline::methodology

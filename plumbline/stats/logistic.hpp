#pragma once
/// Multinomial logistic regression with a ridge: baselines, partial-input probes, classifier two-sample tests.

#include <span>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::stats {

struct LogisticOptions {
  double ridge = 1;         ///< l in sum of losses + l / 2 |W|^2, on standardised columns; intercepts are free
  bool standardise = true;  ///< centre and scale columns by the fitted rows (constant columns get weight 0)
  int iterations = 500;
  double tolerance = 1e-6;  ///< on the largest entry of the gradient per row
  base::CancelToken cancel{};
};

struct LogisticModel {
  VectorD center;     ///< d
  VectorD scale;      ///< d; columns are (x - center) / scale
  MatrixD weights;    ///< k x d, of the scaled columns
  VectorD intercept;  ///< k
  int iterations = 0;
  bool converged = false;  ///< false: the iterations were spent first; the model is usable but not the optimum
  double loss = 0;         ///< mean negative log likelihood of the fitted rows, nats, without the ridge

  /// Logits, n x k. Errors kShape.
  base::Result<MatrixD> logits(MatrixRefF rows) const;
  base::Result<MatrixD> logits(MatrixRefD rows) const;
  /// Probabilities, n x k.
  base::Result<MatrixD> predict(MatrixRefF rows) const;
  base::Result<MatrixD> predict(MatrixRefD rows) const;
};

/// What      the maximum of the penalised likelihood by L-BFGS (10 pairs, Armijo steps). The objective is convex and,
/// for
///           ridge > 0, has one minimum in the weights; the intercepts sum to zero.
/// Shapes    rows n x d, labels n in [0, classes).
/// Errors    kShape: n = 0, d = 0, sizes differ. kValue: classes < 2, label out of range, ridge <= 0, non-finite entry.
///           kCancelled.
/// Cost      O(n d k) a step, tens of steps; parallel over fixed blocks. Deterministic: no random start.
/// Source    Nocedal and Wright 2006, algorithm 7.5.
base::Result<LogisticModel> fit_logistic(MatrixRefF rows, std::span<const int> labels, int classes,
                                         const LogisticOptions& options = {});
base::Result<LogisticModel> fit_logistic(MatrixRefD rows, std::span<const int> labels, int classes,
                                         const LogisticOptions& options = {});

}  // namespace plumbline::stats

#pragma once
/// One number that makes logits honest: softmax(z / T).

#include <optional>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

struct NewtonOptions {
  double tolerance = 1e-12;  ///< on the relative step of beta
  int max_steps = 200;
};

struct TemperatureFit {
  enum class Outcome {
    kInterior,       ///< a finite optimum
    kNoInformation,  ///< the loss does not fall as beta leaves 0: the logits say nothing about the labels, T = infinity
    kSeparable,      ///< every label is already a maximum of its row: the loss falls for ever, T = 0
  };
  Outcome outcome = Outcome::kInterior;
  double temperature = 1;
  double beta = 1;
  std::optional<double> beta_standard_error;  ///< kInterior only
  double loss_before = 0;                     ///< nats a row, at T = 1
  double loss_after = 0;                      ///< nats a row, at the optimum or in the limit
  std::size_t n = 0;                          ///< rows
  std::size_t units = 0;                      ///< sampling units; n when rows are independent
  int steps = 0;

  /// T with Wald bounds on beta mapped through 1 / beta: above unbounded where the bound on beta is not positive.
  /// Without an interior optimum every bound is empty, and the warning says why.
  stats::Estimate estimate() const;
};

/// Fits one temperature T > 0 that minimises mean negative log likelihood of softmax(z / T).
/// Formula   with beta = 1 / T the loss is convex: slope mean(E_p[z] - z_y), curvature mean(Var_p[z]), p = softmax(beta
/// z). Shapes    logits n x k, row = example, natural-log units; labels n, values in [0, k); units n or empty. Returns
/// T and its reciprocal beta (both dimensionless), standard error of beta, loss before/after (nats). Assumes
/// independent units; the fit rows were not used to train the model. Errors    kShape: n = 0, k < 2, labels.size() !=
/// n, units neither empty nor of size n.
///           kValue: non-finite logit, label out of range, tolerance not positive. kLimit: no convergence in max_steps.
/// Outcome   kInterior, or kNoInformation (beta -> 0), kSeparable (beta -> infinity): then no standard error.
/// Cost      O(n k) per step, about 6 steps. Deterministic; no random numbers. Thread-safe.
/// Source    Guo, Pleiss, Sun, Weinberger 2017, sec. 4.2; standard error from the observed information at the optimum,
///           with units from the sandwich over units.
base::Result<TemperatureFit> fit_temperature(MatrixRefD logits, std::span<const int> labels,
                                             std::span<const int> units = {}, const NewtonOptions& options = {});

/// softmax(z / T), row-wise. Errors kValue: T not positive and finite, non-finite logit.
base::Result<MatrixD> apply_temperature(MatrixRefD logits, double temperature);

/// Slope and curvature of the mean loss at beta; exposed for the benchmark's agreement check.
struct LossShape {
  double loss = 0;
  double slope = 0;
  double curvature = 0;
};
/// Precondition: shapes and labels as fit_temperature demands.
LossShape temperature_loss(MatrixRefD logits, std::span<const int> labels, double beta);

}  // namespace plumbline::caution

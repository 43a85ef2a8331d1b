#pragma once
/// Maps from a model's outputs to better probabilities, fitted on calibration rows, and what each gains on others.

#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/caution/calibration.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// P(event) = 1 / (1 + exp(-(slope s + intercept))).
struct PlattFit {
  double slope = 1;
  double intercept = 0;
  int steps = 0;

  double apply(double score) const;
};
/// Fits a sigmoid to scores of a binary event by penalised likelihood.
/// Formula   targets (n1 + 1) / (n1 + 2) for events and 1 / (n0 + 2) for the rest, so that an optimum always exists.
/// Shapes    scores n, outcomes n in {0, 1}.
/// Errors    kShape: n = 0, sizes differ. kValue: non-finite score, outcome other than 0 or 1. kLimit: no convergence.
/// Cost      O(n) a step, about 8 steps. Deterministic.
/// Source    Platt 1999; Newton with backtracking as in Lin, Lin, Weng 2007.
base::Result<PlattFit> fit_platt(std::span<const double> scores, std::span<const int> outcomes);

/// Non-decreasing function through knots, linear between them, constant outside.
struct IsotonicFit {
  std::vector<double> x;
  std::vector<double> y;

  double apply(double value) const;
};
/// Least-squares non-decreasing fit (pool adjacent violators; equal x are pooled first).
/// Shapes    x n, y n.
/// Errors    kShape: n = 0, sizes differ. kValue: non-finite value.
/// Cost      O(n log n). Deterministic; order of rows is irrelevant.
/// Source    Ayer et al. 1955; for calibration Zadrozny and Elkan 2002.
base::Result<IsotonicFit> fit_isotonic(std::span<const double> x, std::span<const double> y);

/// One value for each bin of equal mass; bin b holds values below edges[b].
struct HistogramFit {
  std::vector<double> edges;   ///< bins - 1, ascending
  std::vector<double> values;  ///< bins

  double apply(double value) const;
};
/// Errors    kShape: n = 0, sizes differ. kValue: non-finite value, bins < 1.
/// Source    Zadrozny and Elkan 2001.
base::Result<HistogramFit> fit_histogram(std::span<const double> x, std::span<const double> y, int bins);

enum class RecalibratorKind { kTemperature, kPlatt, kIsotonic, kHistogram };
std::string_view recalibrator_name(RecalibratorKind kind);  ///< "temperature", "platt", "isotonic", "histogram"

/// A fitted map for k classes. Two classes: one map for class 1. More: one map a class on its own probability (Platt:
/// log odds), then rows are normalised. Isotonic and histogram values are kept inside [1 / (n + 2), 1 - 1 / (n + 2)].
struct Recalibrator {
  enum class Outcome {
    kReady,
    kNoInformation,  ///< temperature: the best map is the uniform distribution; apply() gives it
    kSeparable,      ///< temperature: no finite optimum; apply() refuses
  };
  RecalibratorKind kind = RecalibratorKind::kTemperature;
  Outcome outcome = Outcome::kReady;
  int classes = 0;
  std::size_t n = 0;
  double temperature = 1;
  std::vector<PlattFit> platt;
  std::vector<IsotonicFit> isotonic;
  std::vector<HistogramFit> histogram;

  /// Probabilities n x k from logits (or log-probabilities) n x k.
  /// Errors kShape: other number of classes. kValue: non-finite logit, outcome kSeparable.
  base::Result<MatrixD> apply(MatrixRefD logits) const;
};

/// Question  which map makes these outputs honest?
/// Shapes    logits n x k (log-probabilities serve as well), labels n.
/// Assumes   rows not used to train the model, nor to judge the map.
/// Errors    as fit_temperature; kValue: bins < 1 (histogram).
base::Result<Recalibrator> fit_recalibrator(RecalibratorKind kind, MatrixRefD logits, std::span<const int> labels,
                                            int histogram_bins = 15);

/// ln max(p, floor): logits of stored probabilities. Errors: check_probabilities.
base::Result<MatrixD> log_probabilities(MatrixRefD probabilities, double floor = 1e-12);

/// What a map does on rows that it has not seen.
struct RecalibrationGain {
  stats::Estimate gain;    ///< mean drop of log loss, nats, paired by row; positive = better
  CalibrationError after;  ///< top-label error of the mapped probabilities
};
/// Errors as Recalibrator::apply, calibration_error and stats::mean.
base::Result<RecalibrationGain> judge_recalibrator(const Recalibrator& map, MatrixRefD logits,
                                                   std::span<const int> labels, std::span<const int> units = {},
                                                   const CalibrationOptions& options = {});

}  // namespace plumbline::caution

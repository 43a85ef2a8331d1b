#pragma once
/// Do stated confidences match what happens? Calibration error with bounds that hold down to zero, and the reliability
/// table with the band that a calibrated model would stay in.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// One bin of the reliability diagram.
struct ReliabilityBin {
  double low = 0;  ///< smallest and largest confidence in the bin
  double high = 0;
  double confidence = 0;  ///< mean stated confidence
  double accuracy = 0;    ///< mean outcome
  std::size_t count = 0;
  double band_low = 0;  ///< where accuracy falls with the band's level when outcomes are drawn from the confidences
  double band_high = 1;
};

struct CalibrationOptions {
  int bins = 15;  ///< equal-mass; fewer when fewer than `least_per_bin` units would fall in each
  int least_per_bin = 10;
  double band_level = 0.95;
};

/// Calibration error of one or several binary events predicted for the same rows.
struct CalibrationError {
  /// Root of the debiased squared error: sqrt(max(0, sum_b w_b d_b^2 - noise)), d_b the gap of bin b, w_b its share.
  stats::Estimate rms;
  /// Expected calibration error sum_b w_b |d_b| with the noise taken out: the error at which the plug-in figure would
  /// be expected; 0 where noise alone explains it.
  stats::Estimate ece;
  double squared = 0;                             ///< debiased squared error, unbiased and therefore sometimes negative
  double plug_in_rms = 0;                         ///< sqrt(sum_b w_b d_b^2), biased upward
  double plug_in_ece = 0;                         ///< the usual figure, biased upward
  double largest_gap = 0;                         ///< largest |d_b|, plug-in
  std::vector<std::vector<ReliabilityBin>> bins;  ///< one table an event
};

/// Question  by how much do confidences miss the outcomes?
/// Formula   bins of equal mass in confidence, cut only between distinct values; gap d_b = mean(outcome - confidence);
///           squared error = sum_b w_b (d_b^2 - v_b), v_b the estimated variance of d_b. For confidences constant
///           within bins this is the debiased estimator of Kumar, Liang, Ma (2019). Over several events: mean of their
///           squares (rms) or of their sums (ece).
/// Bounds    inversion of the law of the plug-in figure: gaps normal with the covariance estimated over units, its
///           diagonal not below what the confidences themselves imply nor below that of a bin with half an outcome of
///           each kind, so that bins without a single error are not taken for certain. rms: quadratic form by four
///           cumulants (Liu, Tang, Zhang 2009). ece: sum of folded normals by three moments. Upper bounds are divided
///           by the probability of so small a figure at zero error, so they never fall below what the sample could
///           have shown. No resampling: the bootstrap of a squared figure fails near zero.
/// Shapes    confidences n x e (column = event), outcomes n x e in [0, 1]; units n or empty.
/// Units     share.
/// Assumes   independent units. The figure is about gaps averaged within bins: it is at most the unbinned error.
/// Errors    kShape: n < 2, sizes differ, fewer than 2 units. kValue: confidence or outcome outside [0, 1], bins < 1.
///           kLimit: more than 600 bins over all events (lower options.bins).
/// Cost      O(n e log n + (e bins)^3) and, for the band, O(n_b sqrt(n_b)) a bin. Deterministic.
base::Result<CalibrationError> calibration_error(MatrixRefD confidences, MatrixRefD outcomes,
                                                 std::span<const int> units = {},
                                                 const CalibrationOptions& options = {});

/// The event "the most probable class is right" (ties: the first). Errors as calibration_error and check_probabilities.
base::Result<CalibrationError> top_label_calibration(MatrixRefD probabilities, std::span<const int> labels,
                                                     std::span<const int> units = {},
                                                     const CalibrationOptions& options = {});

/// The k events "the label is c", averaged over classes (marginal calibration). Bins a class: at most 300 / k.
base::Result<CalibrationError> class_wise_calibration(MatrixRefD probabilities, std::span<const int> labels,
                                                      std::span<const int> units = {},
                                                      const CalibrationOptions& options = {});

/// Where the mean of independent outcomes drawn with the given probabilities falls: the central band of that level,
/// from the exact Poisson-binomial law (normal above 20,000 rows).
struct MeanBand {
  double low = 0;
  double high = 1;
};
/// Precondition: probabilities not empty and in [0, 1]; 0 < level < 1.
MeanBand consistency_band(std::span<const double> probabilities, double level);

/// Brier score sum_c (p_c - [label = c])^2 of each row, in [0, 2]. Errors: check_probabilities and labels.
base::Result<std::vector<double>> brier_rows(MatrixRefD probabilities, std::span<const int> labels);
/// Log loss -ln p_label of each row in nats; probabilities below `floor` count as `floor`.
base::Result<std::vector<double>> log_loss_rows(MatrixRefD probabilities, std::span<const int> labels,
                                                double floor = 1e-12);

}  // namespace plumbline::caution

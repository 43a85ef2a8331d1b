#pragma once
/// The measured doubts of a classifier, fitted together: calibration, prediction sets, distance from the training data
/// and the last layer's own uncertainty. What assesses a system and what guards it fit and ask the same parts.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/caution/laplace.hpp"
#include "plumbline/robustness/ood.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

/// Squared Mahalanobis distance to the nearest class, one row at a time and without allocating.
class RowMahalanobis {
 public:
  struct State {
    MatrixD means;     ///< classes with rows x d
    VectorD mean;      ///< d
    MatrixD whitener;  ///< d x d upper triangular: w = (z - mean)' whitener has unit covariance within a class
  };
  static base::Result<RowMahalanobis> make(const MahalanobisScore& score);
  /// Errors kShape, kValue: parts that do not fit each other or are not finite.
  static base::Result<RowMahalanobis> from_state(State state);
  const State& state() const { return state_; }
  std::ptrdiff_t columns() const { return state_.mean.size(); }

  /// As MahalanobisScore::score up to rounding. Precondition: row.size() == columns(). O(d^2 / 2 + K d).
  double score(std::span<const float> row, std::vector<double>& white) const;

 private:
  explicit RowMahalanobis(State state) : state_(std::move(state)) {}
  State state_;
  MatrixD white_means_;
};

struct DoubtOptions {
  double level = 0.9;  ///< coverage of the prediction sets
  caution::LaplaceOptions head{};
  std::ptrdiff_t draws = 64;  ///< of the head, for each row
};

/// What the parts are fitted on.
struct DoubtData {
  MatrixRefF train_features;
  std::span<const int> train_labels;
  int classes = 0;
  MatrixRefD calibration_logits;  ///< of the model; logarithms where it states probabilities
  MatrixRefF calibration_features;
  std::span<const int> calibration_labels;
  std::span<const int> calibration_units;  ///< or empty
};

/// The doubts of one row.
struct RowDoubts {
  caution::DrawnPredictive predictive;  ///< averaged; aleatoric and model part in nats
  double distance = 0;                  ///< squared Mahalanobis
  double p_value = 1;                   ///< conformal, of the distance
  std::vector<std::uint8_t> in_set;     ///< classes that the set holds
  std::size_t set_size = 0;
};
struct DoubtScratch {
  caution::LaplaceScratch head;
  caution::DrawScratch draw;
  std::vector<double> center, covariance, white;
};

/// Fitted parts. Calibration rows are used once: the first half of the units fits the temperature, the second the
/// thresholds of sets and distances.
struct ClassifierDoubts {
  double temperature = 1;
  double level = 0.9;
  double set_threshold = 1;       ///< a class is in the set when 1 - p is at most this; infinite: all are
  std::vector<double> distances;  ///< of the threshold rows, ascending
  std::size_t temperature_rows = 0;
  std::vector<std::size_t> threshold_rows;  ///< of the calibration set: what nothing but thresholds was fitted on
  RowMahalanobis distance;
  caution::LastLayerLaplace head;
  caution::LogitDraws draws;
  std::uint64_t draw_seed = 0;
  std::vector<std::string> notes;

  std::ptrdiff_t classes() const { return head.classes(); }
  std::ptrdiff_t features() const { return head.features(); }
  /// SHA-256 of temperature, level, set threshold and distances: what decides beside the model.
  std::string thresholds_hash() const;
  /// Preconditions: sizes. Nothing is allocated after the first call with the same scratch and result.
  void ask(std::span<const double> logits, std::span<const float> features, DoubtScratch& scratch,
           RowDoubts& result) const;
};

/// Question  how unsure is this classifier about a row, and in which way?
/// Formula   calibrated logits z / T around which the head's covariance spreads (caution/laplace.hpp); p-value of the
///           distance to the nearest class (conformal.hpp); the set of classes with 1 - p at most the conformal
///           threshold, p being the averaged predictive.
/// Shapes    see DoubtData.
/// Assumes   calibration rows exchangeable with the rows to come and not used in training.
/// Errors    as the parts; kLimit: too few calibration rows for the level in the second half; kValue: logits that say
///           nothing about the labels.
/// Outcome   no finite temperature where every calibration row is right whatever it is: 1 is used, with a note.
/// Cost      as LastLayerLaplace::fit, and one `ask` a calibration row. Random: the split of the calibration units.
base::Result<ClassifierDoubts> fit_doubts(const DoubtData& data, const DoubtOptions& options, const base::Rng& rng);

/// Doubts of many rows. Errors kShape. O(n) asks, in parallel.
struct ManyDoubts {
  MatrixD p;
  VectorD total, aleatoric, model, p_value;
  std::vector<std::size_t> set_size;
};
base::Result<ManyDoubts> ask_all(const ClassifierDoubts& doubts, MatrixRefD logits, MatrixRefF features);

}  // namespace plumbline::robustness

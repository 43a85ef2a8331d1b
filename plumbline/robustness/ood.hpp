#pragma once
/// Out-of-distribution scores of a classifier. One convention: the higher the score, the less the row looks like what
/// the model was made for. Scores are fitted on training rows alone and need no out-of-distribution data.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

enum class OodDetector {
  kMaxSoftmax,
  kMaxLogit,
  kEnergy,
  kMahalanobis,
  kRelativeMahalanobis,
  kNearestNeighbours,
  kPcaResidual
};
inline constexpr std::array<OodDetector, 7> kOodDetectors = {OodDetector::kMaxSoftmax,
                                                             OodDetector::kMaxLogit,
                                                             OodDetector::kEnergy,
                                                             OodDetector::kMahalanobis,
                                                             OodDetector::kRelativeMahalanobis,
                                                             OodDetector::kNearestNeighbours,
                                                             OodDetector::kPcaResidual};
/// "max_softmax", "max_logit", "energy", "mahalanobis", "relative_mahalanobis", "knn", "pca_residual".
std::string_view ood_detector_name(OodDetector detector);
/// What the score reads: the model's outputs (the first three), or features.
bool ood_reads_outputs(OodDetector detector);
/// The detector that is used when none is chosen. Fixed in advance, not picked by looking at out-of-distribution data.
inline constexpr OodDetector kDefaultOodDetector = OodDetector::kMahalanobis;
/// Why a detector cannot read this kind of output; empty when it can.
std::string_view ood_output_obstacle(OodDetector detector, decision::Output output);

/// Scores from the outputs alone.
/// Formula   max_softmax: 1 - max_k p_k, summed over the other classes so that it keeps its digits near 0;
///           max_logit: -max_k l_k; energy: -log sum_k exp(l_k).
/// Shapes    outputs n x k.
/// Returns   n scores: share, logit, nat.
/// Errors    kShape: k < 2. kValue: non-finite output; a probability outside [0, 1]; a detector that reads features.
///           kUnsupported: the detector does not apply to that kind of output (ood_output_obstacle).
/// Cost      O(n k). Deterministic.
/// Source    Hendrycks and Gimpel 2017; Hendrycks et al. 2022; Liu et al. 2020.
base::Result<VectorD> ood_output_score(OodDetector detector, MatrixRefD outputs, decision::Output output);

/// Distance to the nearest class under one covariance shared by the classes.
class MahalanobisScore {
 public:
  /// min_k (z - mu_k)' S^-1 (z - mu_k), squared distance. Errors kShape: columns. kValue: non-finite. O(n d (d + K)).
  base::Result<VectorD> score(MatrixRefF rows) const;
  /// The same minus (z - mu)' S0^-1 (z - mu), the distance under one Gaussian for all rows. May be negative.
  base::Result<VectorD> relative_score(MatrixRefF rows) const;

  std::ptrdiff_t columns() const { return means_.cols(); }
  /// One row per class that had rows.
  const MatrixD& means() const { return means_; }
  /// Of all rows.
  const VectorD& mean() const { return mean_; }
  /// S = L L', the covariance that the classes share.
  const stats::Cholesky& within() const { return within_; }
  /// Added to the diagonals to make them positive definite; 0 when none was needed.
  double ridge() const { return ridge_; }

 private:
  friend class ClassGaussians;
  MahalanobisScore(MatrixD means, VectorD mean, stats::Cholesky within, stats::Cholesky total, double ridge)
      : means_(std::move(means)),
        mean_(std::move(mean)),
        within_(std::move(within)),
        total_(std::move(total)),
        ridge_(ridge) {}
  base::Result<VectorD> nearest_class(MatrixRefF rows, bool relative) const;
  MatrixD means_;
  VectorD mean_;
  stats::Cholesky within_;
  stats::Cholesky total_;
  double ridge_;
};

/// Class means and the covariance that the classes share, from a stream of rows. Merge shards in a fixed order.
class ClassGaussians {
 public:
  ClassGaussians(std::ptrdiff_t columns, int classes);
  /// Errors kShape: columns, labels.size(). kValue: non-finite entry, label outside [0, classes).
  base::Status add(MatrixRefF rows, std::span<const int> labels);
  base::Status merge(const ClassGaussians& other);
  double count() const { return total_.count(); }

  /// S = sum over classes of within-class scatter / (n - classes seen); S0 = total scatter / (n - 1).
  /// Errors    kShape: fewer rows than classes seen + 1.
  /// Outcome   a singular covariance gets a ridge of 1e-9 times its mean diagonal, times 10 until it factors; see
  /// ridge(). Source    Lee, Lee, Lee, Shin 2018 (tied); Ren et al. 2021 (relative).
  base::Result<MahalanobisScore> fit() const;

 private:
  stats::MomentAccumulator total_;
  MatrixD sums_;  // K x d
  std::vector<double> counts_;
};
/// All rows at once.
base::Result<MahalanobisScore> fit_mahalanobis(MatrixRefF rows, std::span<const int> labels, int classes);

/// Distance to the k-th nearest training row, exact in double.
/// How       rows are turned to their principal axes in float32; products over the leading axes select candidates
///           with a margin that is proved to exceed every rounding error (`KnnMargin`); double decides among them.
class NearestNeighbours {
 public:
  struct Options {
    std::size_t k = 50;
    bool unit_length = false;  ///< scale every row to length 1 first (rows of length 0 stay)
  };
  /// Keeps a copy of the rows. Errors kShape: fewer than k rows, no columns. kValue: k = 0, non-finite entry, entry
  /// above 1e15.
  static base::Result<NearestNeighbours> fit(MatrixRefF rows, const Options& options);
  /// Errors kShape: columns. kValue: non-finite entry. kCancelled. Cost O(n m d), in parallel over rows. Deterministic.
  /// Source Sun, Ming, Zhu, Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022.
  base::Result<VectorD> score(MatrixRefF rows, const base::CancelToken& cancel = {}) const;
  /// The number of leading axes that the first pass reads.
  std::ptrdiff_t leading() const;

 private:
  struct State;
  explicit NearestNeighbours(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Rounding errors of the float32 selection. With u = 2^-24, a and b turned rows, hats their float32 forms:
///  | |a - b| - |a^ - b^| | <= shift(a) + shift(b); the float32 sum of squared differences over d axes is within a
///  factor 1 -+ (d + 3) u of |a^ - b^|^2; the float32 product form over p axes is within product(...) of the exact one.
struct KnnMargin {
  static double relative(std::ptrdiff_t d);
  static double shift(double turned_length, double raw_length, std::ptrdiff_t d);
  static double product(std::ptrdiff_t p, double a_length, double b_length);
};

/// Distance (not squared) from the plane of the leading principal components. Errors as stats::Pca::residual_squared.
base::Result<VectorD> pca_residual_score(const stats::Pca& pca, MatrixRefF rows);

}  // namespace plumbline::robustness

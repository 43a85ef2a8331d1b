#include "plumbline/robustness/ood.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#endif

namespace plumbline::robustness {
namespace {

constexpr double kFloatUnit = 0x1.0p-24;

base::Status check_columns(std::string_view function, MatrixRefF rows, std::ptrdiff_t columns) {
  PL_CHECK(base::check_size(function, "rows.cols()", rows.cols(), columns));
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < columns; ++j) {
      if (!std::isfinite(rows(i, j))) {
        return base::make_error(base::Code::kValue, fmt::format("{}: rows({}, {}) is {}, expected a finite number",
                                                                function, i, j, rows(i, j)));
      }
    }
  }
  return base::ok();
}

}  // namespace

std::string_view ood_detector_name(OodDetector detector) {
  switch (detector) {
    case OodDetector::kMaxSoftmax: return "max_softmax";
    case OodDetector::kMaxLogit: return "max_logit";
    case OodDetector::kEnergy: return "energy";
    case OodDetector::kMahalanobis: return "mahalanobis";
    case OodDetector::kRelativeMahalanobis: return "relative_mahalanobis";
    case OodDetector::kNearestNeighbours: return "knn";
    case OodDetector::kPcaResidual: return "pca_residual";
  }
  return "mahalanobis";
}

bool ood_reads_outputs(OodDetector detector) {
  return detector == OodDetector::kMaxSoftmax || detector == OodDetector::kMaxLogit || detector == OodDetector::kEnergy;
}

std::string_view ood_output_obstacle(OodDetector detector, decision::Output output) {
  if (!ood_reads_outputs(detector)) return {};
  if (output == decision::Output::kScores)
    return "outputs are scores: they have no softmax, so their size says nothing about confidence";
  if (output == decision::Output::kProbabilities && detector != OodDetector::kMaxSoftmax) {
    return "outputs are probabilities: the size of the logits was lost";
  }
  return {};
}

base::Result<VectorD> ood_output_score(OodDetector detector, MatrixRefD outputs, decision::Output output) {
  constexpr std::string_view kName = "ood_output_score";
  if (!ood_reads_outputs(detector)) {
    return base::make_error(base::Code::kValue, fmt::format("{}: detector '{}' reads features, not outputs", kName,
                                                            ood_detector_name(detector)));
  }
  if (const auto obstacle = ood_output_obstacle(detector, output); !obstacle.empty()) {
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("{}: detector '{}': {}", kName, ood_detector_name(detector), obstacle));
  }
  if (outputs.cols() < 2)
    return base::make_error(base::Code::kShape,
                            fmt::format("{}: outputs have {} columns, expected at least 2", kName, outputs.cols()));
  VectorD scores(outputs.rows());
  for (std::ptrdiff_t i = 0; i < outputs.rows(); ++i) {
    std::ptrdiff_t top = 0;
    for (std::ptrdiff_t k = 0; k < outputs.cols(); ++k) {
      const double v = outputs(i, k);
      if (!std::isfinite(v) || (output == decision::Output::kProbabilities && (v < 0 || v > 1))) {
        return base::make_error(
            base::Code::kValue,
            fmt::format("{}: outputs({}, {}) is {}, expected {}", kName, i, k, v,
                        output == decision::Output::kProbabilities ? "a probability" : "a finite number"));
      }
      if (v > outputs(i, top)) top = k;
    }
    double others = 0;  // of exp(l - l_max), or of the probabilities, without the largest
    for (std::ptrdiff_t k = 0; k < outputs.cols(); ++k) {
      if (k == top) continue;
      others += output == decision::Output::kProbabilities ? outputs(i, k) : std::exp(outputs(i, k) - outputs(i, top));
    }
    switch (detector) {
      case OodDetector::kMaxSoftmax:
        scores(i) =
            output == decision::Output::kProbabilities ? others / (others + outputs(i, top)) : others / (1 + others);
        break;
      case OodDetector::kMaxLogit: scores(i) = -outputs(i, top); break;
      default: scores(i) = -(outputs(i, top) + std::log1p(others)); break;
    }
    if (!std::isfinite(scores(i))) {
      return base::make_error(base::Code::kValue, fmt::format("{}: probabilities of row {} are all 0", kName, i));
    }
  }
  return scores;
}

// ---- Mahalanobis ---------------------------------------------------------------------------------------------------

ClassGaussians::ClassGaussians(std::ptrdiff_t columns, int classes)
    : total_(columns),
      sums_(MatrixD::Zero(std::max(1, classes), columns)),
      counts_(static_cast<std::size_t>(std::max(1, classes)), 0.0) {}

base::Status ClassGaussians::add(MatrixRefF rows, std::span<const int> labels) {
  PL_CHECK(base::check_size("ClassGaussians::add", "labels", static_cast<std::ptrdiff_t>(labels.size()), rows.rows()));
  PL_CHECK(base::check_labels("ClassGaussians::add", "labels", labels, static_cast<int>(counts_.size())));
  PL_CHECK(total_.add(rows));
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    const int label = labels[static_cast<std::size_t>(i)];
    counts_[static_cast<std::size_t>(label)] += 1;
    double* sum = sums_.data() + label * sums_.cols();
    const float* row = rows.data() + i * rows.outerStride();
    for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) sum[j] += static_cast<double>(row[j]);
  }
  return base::ok();
}

base::Status ClassGaussians::merge(const ClassGaussians& other) {
  PL_CHECK(base::check_size("ClassGaussians::merge", "classes", static_cast<std::ptrdiff_t>(other.counts_.size()),
                            static_cast<std::ptrdiff_t>(counts_.size())));
  PL_CHECK(total_.merge(other.total_));
  sums_ += other.sums_;
  for (std::size_t k = 0; k < counts_.size(); ++k) counts_[k] += other.counts_[k];
  return base::ok();
}

namespace {

/// Factors a + ridge I with the smallest ridge of a fixed ladder that works, not below `least`.
base::Result<stats::Cholesky> factor_with_ridge(MatrixD a, double& ridge) {
  double trace = 0;
  for (std::ptrdiff_t j = 0; j < a.rows(); ++j) trace += a(j, j);
  const double unit = trace > 0 ? trace / static_cast<double>(a.rows()) : 1.0;
  const MatrixD plain = a;
  for (int step = 0; step <= 8; ++step) {
    auto factor = stats::Cholesky::factor(a);
    // A pivot at the size of rounding is singular in all but name.
    bool sound = factor.ok();
    for (std::ptrdiff_t j = 0; sound && j < a.rows(); ++j)
      sound = factor->lower()(j, j) * factor->lower()(j, j) > 1e-12 * unit;
    if (sound || step == 8) return factor;
    const double amount = 1e-9 * unit * std::pow(10.0, step);
    a = plain;
    for (std::ptrdiff_t j = 0; j < a.rows(); ++j) a(j, j) += amount;
    ridge = std::max(ridge, amount);
  }
  return base::make_error(base::Code::kInternal, "factor_with_ridge: unreachable");
}

}  // namespace

base::Result<MahalanobisScore> ClassGaussians::fit() const {
  std::vector<std::size_t> seen;
  for (std::size_t k = 0; k < counts_.size(); ++k) {
    if (counts_[k] > 0) seen.push_back(k);
  }
  const double n = total_.count();
  const auto groups = static_cast<double>(seen.size());
  if (n < groups + 1 || n < 2) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("ClassGaussians::fit: {} rows for {} classes, expected at least one more row than classes", n,
                    seen.size()));
  }
  const std::ptrdiff_t d = sums_.cols();
  MatrixD means(static_cast<std::ptrdiff_t>(seen.size()), d);
  MatrixD within = total_.scatter();
  const MatrixD total = within / (n - 1);
  // Within-class scatter = total scatter - scatter of the class means.
  for (std::size_t g = 0; g < seen.size(); ++g) {
    const auto row = static_cast<std::ptrdiff_t>(g);
    means.row(row) = sums_.row(static_cast<std::ptrdiff_t>(seen[g])) / counts_[seen[g]];
    const VectorD away = means.row(row).transpose() - total_.mean();
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      for (std::ptrdiff_t j = 0; j < d; ++j) within(i, j) -= counts_[seen[g]] * away(i) * away(j);
    }
  }
  within /= n - groups;
  double ridge = 0;
  PL_TRY(stats::Cholesky within_factor, factor_with_ridge(within, ridge));
  PL_TRY(stats::Cholesky total_factor, factor_with_ridge(total, ridge));
  return MahalanobisScore(std::move(means), total_.mean(), std::move(within_factor), std::move(total_factor), ridge);
}

base::Result<MahalanobisScore> fit_mahalanobis(MatrixRefF rows, std::span<const int> labels, int classes) {
  PL_CHECK(base::check_at_least("fit_mahalanobis", "classes", classes, 1));
  PL_CHECK(base::check_at_least("fit_mahalanobis", "columns", rows.cols(), 1));
  ClassGaussians gaussians(rows.cols(), classes);
  PL_CHECK(gaussians.add(rows, labels));
  return gaussians.fit();
}

base::Result<VectorD> MahalanobisScore::nearest_class(MatrixRefF rows, bool relative) const {
  PL_CHECK(check_columns("MahalanobisScore::score", rows, columns()));
  const std::ptrdiff_t d = columns();
  const std::ptrdiff_t classes = means_.rows();
  // In whitened coordinates w = L^-1 (z - mu): |w - m_k|^2 = |w|^2 - 2 w.m_k + |m_k|^2.
  MatrixD centred_means = means_;
  for (std::ptrdiff_t k = 0; k < classes; ++k) centred_means.row(k) -= mean_.transpose();
  PL_TRY(const MatrixD white_means, within_.whiten(centred_means));
  VectorD mean_squares(classes);
  for (std::ptrdiff_t k = 0; k < classes; ++k) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < d; ++j) sum += white_means(k, j) * white_means(k, j);
    mean_squares(k) = sum;
  }
  VectorD scores(rows.rows());
  constexpr std::ptrdiff_t kBlock = 512;
  const auto blocks = static_cast<std::size_t>((rows.rows() + kBlock - 1) / kBlock);
  const base::Status done = base::parallel_for(blocks, [&](std::size_t block) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(block) * kBlock;
    const std::ptrdiff_t count = std::min(kBlock, rows.rows() - first);
    MatrixD centred(count, d);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const float* row = rows.data() + (first + i) * rows.outerStride();
      for (std::ptrdiff_t j = 0; j < d; ++j) centred(i, j) = static_cast<double>(row[j]) - mean_(j);
    }
    PL_TRY(const MatrixD white, within_.whiten(centred));
    MatrixD cross(count, classes);
    cross.noalias() = white * white_means.transpose();
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      double square = 0;
      for (std::ptrdiff_t j = 0; j < d; ++j) square += white(i, j) * white(i, j);
      double least = std::numeric_limits<double>::infinity();
      for (std::ptrdiff_t k = 0; k < classes; ++k) least = std::min(least, mean_squares(k) - 2 * cross(i, k));
      scores(first + i) = std::max(0.0, square + least);
    }
    if (!relative) return base::ok();
    PL_TRY(const MatrixD wide, total_.whiten(centred));
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      double square = 0;
      for (std::ptrdiff_t j = 0; j < d; ++j) square += wide(i, j) * wide(i, j);
      scores(first + i) -= square;
    }
    return base::ok();
  });
  if (!done.ok()) return done.error();
  return scores;
}

base::Result<VectorD> MahalanobisScore::score(MatrixRefF rows) const { return nearest_class(rows, false); }
base::Result<VectorD> MahalanobisScore::relative_score(MatrixRefF rows) const { return nearest_class(rows, true); }

base::Result<VectorD> pca_residual_score(const stats::Pca& pca, MatrixRefF rows) {
  PL_TRY(VectorD squared, pca.residual_squared(rows));
  for (std::ptrdiff_t i = 0; i < squared.size(); ++i) squared(i) = std::sqrt(std::max(0.0, squared(i)));
  return squared;
}

// ---- k nearest neighbours ------------------------------------------------------------------------------------------

double KnnMargin::relative(std::ptrdiff_t d) { return static_cast<double>(d + 3) * kFloatUnit; }

double KnnMargin::shift(double turned_length, double raw_length, std::ptrdiff_t d) {
  // Rounding of the turned row to float32, and the double arithmetic of centring and turning.
  return 1.001 * kFloatUnit * turned_length + static_cast<double>(d + 4) * 0x1.0p-50 * raw_length +
         1e-37 * static_cast<double>(d);
}

double KnnMargin::product(std::ptrdiff_t p, double a_length, double b_length) {
  // -|b|^2 / 2 rounded, then p fused additions of a_j b_j: gamma_{p+2} (|b|^2 / 2 + |a| |b|), doubled.
  return 1.01 * static_cast<double>(p + 3) * kFloatUnit * (b_length * b_length + 2 * a_length * b_length) + 1e-37;
}

namespace {

constexpr std::ptrdiff_t kLanes = 8;
constexpr std::ptrdiff_t kPair = 2 * kLanes;  // reference rows that one kernel call holds against four queries

/// acc[q][l] = start[l] + sum_j head[j][l] query_q[j] for 4 queries and 16 reference rows; mask[q] tells the lanes
/// with acc >= threshold[q].
#if defined(__AVX2__) && defined(__FMA__)
void select_lanes(const float* head, const float* start, std::ptrdiff_t p, const float* queries, const float* threshold,
                  unsigned* mask) {
  // Eight named registers: an array would be left in memory at -O2.
  const __m256 start_low = _mm256_load_ps(start);
  const __m256 start_high = _mm256_load_ps(start + kLanes);
  __m256 a0 = start_low, a1 = start_low, a2 = start_low, a3 = start_low;
  __m256 b0 = start_high, b1 = start_high, b2 = start_high, b3 = start_high;
  for (std::ptrdiff_t j = 0; j < p; ++j) {
    const __m256 low = _mm256_load_ps(head + j * kPair);
    const __m256 high = _mm256_load_ps(head + j * kPair + kLanes);
    const __m256 q0 = _mm256_broadcast_ss(queries + j * 4);
    const __m256 q1 = _mm256_broadcast_ss(queries + j * 4 + 1);
    const __m256 q2 = _mm256_broadcast_ss(queries + j * 4 + 2);
    const __m256 q3 = _mm256_broadcast_ss(queries + j * 4 + 3);
    a0 = _mm256_fmadd_ps(low, q0, a0);
    b0 = _mm256_fmadd_ps(high, q0, b0);
    a1 = _mm256_fmadd_ps(low, q1, a1);
    b1 = _mm256_fmadd_ps(high, q1, b1);
    a2 = _mm256_fmadd_ps(low, q2, a2);
    b2 = _mm256_fmadd_ps(high, q2, b2);
    a3 = _mm256_fmadd_ps(low, q3, a3);
    b3 = _mm256_fmadd_ps(high, q3, b3);
  }
  const auto lanes = [](__m256 low, __m256 high, const float* limit) {
    const __m256 t = _mm256_broadcast_ss(limit);
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(low, t, _CMP_GE_OQ))) |
           (static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(high, t, _CMP_GE_OQ))) << 8U);
  };
  mask[0] = lanes(a0, b0, threshold);
  mask[1] = lanes(a1, b1, threshold + 1);
  mask[2] = lanes(a2, b2, threshold + 2);
  mask[3] = lanes(a3, b3, threshold + 3);
}
float squared_distance(const float* a, const float* b, std::ptrdiff_t d) {  // d is a multiple of 8 (padded with zeros)
  __m256 sum = _mm256_setzero_ps();
  for (std::ptrdiff_t j = 0; j < d; j += kLanes) {
    const __m256 gap = _mm256_sub_ps(_mm256_load_ps(a + j), _mm256_load_ps(b + j));
    sum = _mm256_fmadd_ps(gap, gap, sum);
  }
  alignas(32) float lanes[kLanes];
  _mm256_store_ps(lanes, sum);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}
#else
void select_lanes(const float* head, const float* start, std::ptrdiff_t p, const float* queries, const float* threshold,
                  unsigned* mask) {
  for (int q = 0; q < 4; ++q) {
    mask[q] = 0;
    for (std::ptrdiff_t l = 0; l < kPair; ++l) {
      float acc = start[l];
      for (std::ptrdiff_t j = 0; j < p; ++j) acc += head[j * kPair + l] * queries[j * 4 + q];
      if (acc >= threshold[q]) mask[q] |= 1U << l;
    }
  }
}
float squared_distance(const float* a, const float* b, std::ptrdiff_t d) {
  float sum = 0;
  for (std::ptrdiff_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}
#endif

double exact_squared(const float* a, const float* b, std::ptrdiff_t d) {
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    const double gap = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sum += gap * gap;
  }
  return sum;
}

double length_of(const float* a, std::ptrdiff_t d) {
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < d; ++j) sum += static_cast<double>(a[j]) * static_cast<double>(a[j]);
  return std::sqrt(sum);
}

/// Squares must fit float32.
base::Status check_size_of_values(std::string_view function, MatrixRefF rows) {
  constexpr float kMost = 1e15F;
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) {
      if (std::abs(rows(i, j)) > kMost) {
        return base::make_error(
            base::Code::kValue,
            fmt::format("{}: rows({}, {}) is {}, expected at most 1e15 in size: rescale the features", function, i, j,
                        rows(i, j)));
      }
    }
  }
  return base::ok();
}

MatrixF unit_rows(MatrixRefF rows) {
  MatrixF out = rows;
  for (std::ptrdiff_t i = 0; i < out.rows(); ++i) {
    const double length = length_of(&out(i, 0), out.cols());
    for (std::ptrdiff_t j = 0; length > 0 && j < out.cols(); ++j)
      out(i, j) = static_cast<float>(static_cast<double>(out(i, j)) / length);
  }
  return out;
}

/// The nearest found so far of one query: entries at or below `limit` may still be among the k nearest.
struct Shortlist {
  std::vector<std::pair<float, std::uint32_t>> entries;
  double limit = std::numeric_limits<double>::infinity();
};

}  // namespace

struct NearestNeighbours::State {
  Options options;
  MatrixF raw;   // as given (after scaling): what the exact distance reads
  VectorD mean;  // centre of the turn
  MatrixD axes;  // d x d, rows = principal axes, leading first
  std::ptrdiff_t leading = 0;
  std::ptrdiff_t padded = 0;          // d rounded up to lanes
  std::ptrdiff_t pairs = 0;           // groups of 16 rows of one cell, filled up with rows that nothing selects
  std::vector<std::ptrdiff_t> cells;  // first pair of each cell, and the end: rows near one pivot stand together
  std::vector<std::uint32_t> row_of;  // lane -> row
  MatrixF pivots;                     // cells x padded
  MatrixF turned;                     // lanes x padded, so that rows of a cell are neighbours in memory too
  MatrixF heads;                      // pairs x (leading * 16): leading axes, lane = row
  MatrixF starts;                     // pairs x 16: -|head|^2 / 2
  double longest_head = 0;
  double most_shift = 0;

  /// Rows turned to the axes: float32, padded.
  MatrixF turn(MatrixRefF rows) const {
    MatrixD centred(rows.rows(), rows.cols());
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) centred(i, j) = static_cast<double>(rows(i, j)) - mean(j);
    }
    MatrixD product(rows.rows(), axes.rows());
    product.noalias() = centred * axes.transpose();
    MatrixF out = MatrixF::Zero(rows.rows(), padded);
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) out(i, j) = static_cast<float>(product(i, j));
    }
    return out;
  }
  std::size_t nearest_pivot(const float* turned_row) const {
    std::size_t best = 0;
    float least = std::numeric_limits<float>::infinity();
    for (std::ptrdiff_t c = 0; c < pivots.rows(); ++c) {
      const float square = squared_distance(turned_row, &pivots(c, 0), padded);
      if (square < least) {
        least = square;
        best = static_cast<std::size_t>(c);
      }
    }
    return best;
  }
  double shift_of(const float* turned_row, const float* raw_row) const {
    const std::ptrdiff_t d = raw.cols();
    double centre = 0;
    for (std::ptrdiff_t j = 0; j < d; ++j) centre += mean(j) * mean(j);
    return KnnMargin::shift(length_of(turned_row, padded), length_of(raw_row, d) + std::sqrt(centre), d);
  }
};

std::ptrdiff_t NearestNeighbours::leading() const { return state_->leading; }

base::Result<NearestNeighbours> NearestNeighbours::fit(MatrixRefF rows, const Options& options) {
  constexpr std::string_view kName = "NearestNeighbours::fit";
  PL_CHECK(base::check_at_least(kName, "k", static_cast<std::ptrdiff_t>(options.k), 1));
  PL_CHECK(base::check_at_least(kName, "rows.cols()", rows.cols(), 1));
  if (rows.rows() < static_cast<std::ptrdiff_t>(options.k)) {
    return base::make_error(base::Code::kShape,
                            fmt::format("{}: {} rows, expected at least k = {}", kName, rows.rows(), options.k));
  }
  PL_CHECK(check_columns(kName, rows, rows.cols()));
  PL_CHECK(check_size_of_values(kName, rows));
  auto state = std::make_shared<State>();
  state->options = options;
  state->raw = options.unit_length ? unit_rows(rows) : MatrixF(rows);
  const std::ptrdiff_t n = rows.rows();
  const std::ptrdiff_t d = rows.cols();
  PL_TRY(const stats::MomentAccumulator moments, stats::moments_of_rows(MatrixRefF(state->raw)));
  PL_TRY(const stats::SymmetricEigen eigen, stats::eigen_symmetric(moments.scatter()));
  state->mean = moments.mean();
  state->axes = eigen.vectors.transpose();
  state->padded = (d + kLanes - 1) / kLanes * kLanes;
  double total = 0;
  for (std::ptrdiff_t j = 0; j < d; ++j) total += std::max(0.0, eigen.values(j));
  constexpr double kLeadingShare = 0.95;  // of the variance: enough for the first pass to turn nearly all rows away
  double held = 0;
  while (state->leading < d && (state->leading == 0 || held < kLeadingShare * total))
    held += std::max(0.0, eigen.values(state->leading++));
  const std::ptrdiff_t p = state->leading;
  // Rows near one pivot are visited together and near cells first, so that the k-th distance is tight early. Any
  // choice of pivots gives the same result.
  const MatrixF turned = state->turn(state->raw);
  const std::ptrdiff_t cells = std::clamp<std::ptrdiff_t>(n / 512, 1, 128);
  state->pivots = MatrixF(cells, state->padded);
  for (std::ptrdiff_t c = 0; c < cells; ++c) state->pivots.row(c) = turned.row(c * n / cells);
  std::vector<std::vector<std::uint32_t>> members(static_cast<std::size_t>(cells));
  for (std::ptrdiff_t i = 0; i < n; ++i)
    members[state->nearest_pivot(&turned(i, 0))].push_back(static_cast<std::uint32_t>(i));
  state->cells.push_back(0);
  for (const auto& cell : members) {
    state->pairs += (static_cast<std::ptrdiff_t>(cell.size()) + kPair - 1) / kPair;
    state->cells.push_back(state->pairs);
  }
  state->row_of.assign(static_cast<std::size_t>(state->pairs * kPair), 0);
  state->turned = MatrixF::Zero(state->pairs * kPair, state->padded);
  state->heads = MatrixF::Zero(state->pairs, p * kPair);
  state->starts = MatrixF::Constant(state->pairs, kPair, -std::numeric_limits<float>::infinity());
  for (std::size_t c = 0; c < members.size(); ++c) {
    for (std::size_t slot = 0; slot < members[c].size(); ++slot) {
      const std::ptrdiff_t lane_index = state->cells[c] * kPair + static_cast<std::ptrdiff_t>(slot);
      const std::ptrdiff_t pair = lane_index / kPair;
      const std::ptrdiff_t lane = lane_index % kPair;
      const auto i = static_cast<std::ptrdiff_t>(members[c][slot]);
      state->row_of[static_cast<std::size_t>(lane_index)] = members[c][slot];
      state->turned.row(lane_index) = turned.row(i);
      double square = 0;
      for (std::ptrdiff_t j = 0; j < p; ++j) {
        const float v = turned(i, j);
        state->heads(pair, j * kPair + lane) = v;
        square += static_cast<double>(v) * static_cast<double>(v);
      }
      state->starts(pair, lane) = static_cast<float>(-0.5 * square);
      state->longest_head = std::max(state->longest_head, std::sqrt(square));
      state->most_shift = std::max(state->most_shift, state->shift_of(&turned(i, 0), &state->raw(i, 0)));
    }
  }
  return NearestNeighbours(std::move(state));
}

base::Result<VectorD> NearestNeighbours::score(MatrixRefF rows, const base::CancelToken& cancel) const {
  const State& s = *state_;
  PL_CHECK(check_columns("NearestNeighbours::score", rows, s.raw.cols()));
  PL_CHECK(check_size_of_values("NearestNeighbours::score", rows));
  const MatrixF raw = s.options.unit_length ? unit_rows(rows) : MatrixF(rows);
  const MatrixF turned = s.turn(raw);
  const std::ptrdiff_t d = s.raw.cols();
  const std::ptrdiff_t p = s.leading;
  const std::size_t k = s.options.k;
  const double g = KnnMargin::relative(d);
  constexpr std::ptrdiff_t kQueries = 32;
  // Queries of one cell stand together in blocks, so that a block's near cells are near to all of it.
  std::vector<std::pair<std::size_t, std::ptrdiff_t>> order;
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) order.emplace_back(s.nearest_pivot(&turned(i, 0)), i);
  std::sort(order.begin(), order.end());
  VectorD scores(rows.rows());
  const auto blocks = static_cast<std::size_t>((rows.rows() + kQueries - 1) / kQueries);
  const auto body = [&](std::size_t block) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(block) * kQueries;
    const std::ptrdiff_t count = std::min(kQueries, rows.rows() - first);
    const auto query = [&](std::ptrdiff_t q) { return order[static_cast<std::size_t>(first + q)].second; };
    std::vector<Shortlist> lists(static_cast<std::size_t>(count));
    std::vector<double> shifts(static_cast<std::size_t>(count));
    std::vector<double> head_squares(static_cast<std::size_t>(count));
    std::vector<double> products(static_cast<std::size_t>(count));
    std::vector<float> thresholds(static_cast<std::size_t>(kQueries), std::numeric_limits<float>::infinity());
    std::vector<float> packed(static_cast<std::size_t>(kQueries * p), 0.0F);  // groups of four queries, axis by axis
    for (std::ptrdiff_t q = 0; q < count; ++q) {
      const auto u = static_cast<std::size_t>(q);
      const double head = length_of(&turned(query(q), 0), p);
      head_squares[u] = head * head;
      shifts[u] = s.shift_of(&turned(query(q), 0), &raw(query(q), 0)) + s.most_shift;
      products[u] = KnnMargin::product(p, head, s.longest_head);
      thresholds[u] = std::numeric_limits<float>::lowest();
      for (std::ptrdiff_t j = 0; j < p; ++j)
        packed[static_cast<std::size_t>((q / 4) * 4 * p + j * 4 + q % 4)] = turned(query(q), j);
    }
    // The true k-th distance is at most sqrt(T) (1 + g) + shift, T the k-th smallest float32 square seen so far; a row
    // whose float32 square is above `limit` is farther than that, whatever the rounding did.
    const auto tighten = [&](std::size_t q) {
      auto& entries = lists[q].entries;
      const auto kth = entries.begin() + static_cast<std::ptrdiff_t>(k - 1);
      std::nth_element(entries.begin(), kth, entries.end());
      const double tiny = 1e-37 * static_cast<double>(d);  // what float32 squares may lose by underflow
      const double reach = (std::sqrt(static_cast<double>(kth->first) + tiny) * (1 + g) + 2 * shifts[q]) / (1 - g);
      lists[q].limit = reach * reach * (1 + 1e-12) + tiny;
      std::erase_if(entries, [&](const auto& e) { return static_cast<double>(e.first) > lists[q].limit; });
      const double exact = (head_squares[q] - lists[q].limit / (1 - g) - products[q]) / 2;
      // Rounded down, so that the comparison in float32 never turns away a row that the one in double would keep.
      const double floored = exact - std::abs(exact) * 2 * kFloatUnit - 1e-37;
      thresholds[q] = static_cast<float>(std::max(floored, static_cast<double>(std::numeric_limits<float>::lowest())));
    };
    std::vector<std::pair<float, std::size_t>> near_first;
    for (std::ptrdiff_t c = 0; c < s.pivots.rows(); ++c) {
      near_first.emplace_back(squared_distance(&turned(query(0), 0), &s.pivots(c, 0), s.padded),
                              static_cast<std::size_t>(c));
    }
    std::sort(near_first.begin(), near_first.end());
    for (const auto& [gap, cell] : near_first) {
      PL_CHECK(cancel.status());
      for (std::ptrdiff_t group = 0; group * 4 < count; ++group) {
        for (std::ptrdiff_t pair = s.cells[cell]; pair < s.cells[cell + 1]; ++pair) {
          unsigned mask[4];
          select_lanes(&s.heads(pair, 0), &s.starts(pair, 0), p, packed.data() + group * 4 * p,
                       thresholds.data() + group * 4, mask);
          if ((mask[0] | mask[1] | mask[2] | mask[3]) == 0) continue;
          for (std::ptrdiff_t slot = 0; slot < 4 && group * 4 + slot < count; ++slot) {
            const auto q = static_cast<std::size_t>(group * 4 + slot);
            for (unsigned bits = mask[slot]; bits != 0; bits &= bits - 1) {
              const std::ptrdiff_t lane = pair * kPair + __builtin_ctz(bits);
              const float square =
                  squared_distance(&turned(query(static_cast<std::ptrdiff_t>(q)), 0), &s.turned(lane, 0), s.padded);
              if (static_cast<double>(square) > lists[q].limit) continue;
              lists[q].entries.emplace_back(square, s.row_of[static_cast<std::size_t>(lane)]);
              if (lists[q].entries.size() % (2 * k) == 0) tighten(q);
            }
          }
        }
      }
    }
    std::vector<double> exact;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const auto q = static_cast<std::size_t>(i);
      tighten(q);
      exact.clear();
      for (const auto& [square, row] : lists[q].entries)
        exact.push_back(exact_squared(&raw(query(i), 0), &s.raw(row, 0), d));
      std::nth_element(exact.begin(), exact.begin() + static_cast<std::ptrdiff_t>(k - 1), exact.end());
      scores(query(i)) = std::sqrt(exact[k - 1]);
    }
    return base::ok();
  };
  const base::Status done = base::parallel_for(blocks, body, cancel);
  if (!done.ok()) return done.error();
  return scores;
}

}  // namespace plumbline::robustness

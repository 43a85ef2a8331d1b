#include "plumbline/caution/laplace.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/caution/uncertainty.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/stats/logistic.hpp"

namespace plumbline::caution {
namespace {

using base::Code;

constexpr double kGradient = 1e-5;     // of the fit, a row: far below the head's own uncertainty
constexpr std::ptrdiff_t kLanes = 16;  // columns of one block of `packed`

std::ptrdiff_t pair_count(std::ptrdiff_t n) { return n * (n + 1) / 2; }
std::ptrdiff_t padded(std::ptrdiff_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

/// phi = ((x - center) / scale, 1), one column a row of the data: (d + 1) x n.
MatrixD design(MatrixRefF features, const VectorD& center, const VectorD& scale) {
  const std::ptrdiff_t d = features.cols();
  MatrixD phi(d + 1, features.rows());
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    const double inverse = scale(j) > 0 ? 1 / scale(j) : 0;
    for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
      phi(j, i) = (static_cast<double>(features(i, j)) - center(j)) * inverse;
    }
  }
  phi.row(d).setOnes();
  return phi;
}

/// Weight of row i in the block (a, b) of the precision.
double curvature(const MatrixD& p, std::ptrdiff_t i, std::ptrdiff_t a, std::ptrdiff_t b) {
  return a == b ? p(i, a) * (1 - p(i, a)) : -p(i, a) * p(i, b);
}

/// The whole precision, classes x (d + 1) square, class by class.
base::Result<MatrixD> full_precision(const MatrixD& phi, const MatrixD& p, double ridge,
                                     const base::CancelToken& cancel) {
  const std::ptrdiff_t k = p.cols();
  const std::ptrdiff_t width = phi.rows();
  MatrixD precision = MatrixD::Zero(k * width, k * width);
  MatrixD weighted(width, phi.cols());
  for (std::ptrdiff_t a = 0; a < k; ++a) {
    for (std::ptrdiff_t b = a; b < k; ++b) {
      PL_CHECK(cancel.status());
      for (std::ptrdiff_t j = 0; j < width; ++j) {
        for (std::ptrdiff_t i = 0; i < phi.cols(); ++i) weighted(j, i) = phi(j, i) * curvature(p, i, a, b);
      }
      PL_TRY(const MatrixD block, stats::product_transposed(weighted, phi));
      precision.block(a * width, b * width, width, width) = block;
      precision.block(b * width, a * width, width, width) = block.transpose();
    }
    for (std::ptrdiff_t j = 0; j + 1 < width; ++j) precision(a * width + j, a * width + j) += ridge;
  }
  // The common shift of the intercepts: any positive number fixes it without touching a probability.
  const double fix = static_cast<double>(p.rows()) / static_cast<double>(k * k);
  for (std::ptrdiff_t a = 0; a < k; ++a) {
    for (std::ptrdiff_t b = 0; b < k; ++b) precision(a * width + width - 1, b * width + width - 1) += fix;
  }
  return precision;
}

/// Covariances of pairs of logits as quadratic forms, ready for one pass: see LaplaceState.
MatrixD pack(const MatrixD& covariance, std::ptrdiff_t k, std::ptrdiff_t width) {
  const std::ptrdiff_t blocks = padded(pair_count(k)) / kLanes;
  const std::ptrdiff_t pairs = pair_count(width);
  MatrixD packed = MatrixD::Zero(blocks * pairs, kLanes);
  std::ptrdiff_t column = 0;
  for (std::ptrdiff_t a = 0; a < k; ++a) {
    for (std::ptrdiff_t b = a; b < k; ++b, ++column) {
      std::ptrdiff_t q = column / kLanes * pairs;
      for (std::ptrdiff_t i = 0; i < width; ++i) {
        for (std::ptrdiff_t j = i; j < width; ++j, ++q) {
          double value = covariance(a * width + i, b * width + j);
          if (i != j) value += covariance(a * width + j, b * width + i);
          packed(q, column % kLanes) = value;
        }
      }
    }
  }
  return packed;
}

base::Status fit_full(LaplaceState& state, const MatrixD& phi, const MatrixD& p, const base::CancelToken& cancel) {
  PL_TRY(const MatrixD precision, full_precision(phi, p, state.ridge, cancel));
  auto factor = stats::Cholesky::factor(precision);
  if (!factor.ok()) {
    return base::make_error(Code::kValue,
                            fmt::format("the precision of {} weights is not positive definite: {}", precision.rows(),
                                        factor.error().message),
                            "LastLayerLaplace::fit", "Raise the ridge");
  }
  state.packed = pack(factor->inverse(), p.cols(), phi.rows());
  return base::ok();
}

base::Status fit_kronecker(LaplaceState& state, const MatrixD& phi, const MatrixD& p) {
  const auto n = static_cast<double>(p.rows());
  PL_TRY(MatrixD features, stats::product_transposed(phi, phi));
  features /= n;
  MatrixD labels = MatrixD::Zero(p.cols(), p.cols());
  for (std::ptrdiff_t i = 0; i < p.rows(); ++i) {
    for (std::ptrdiff_t a = 0; a < p.cols(); ++a) {
      for (std::ptrdiff_t b = 0; b < p.cols(); ++b) labels(a, b) += curvature(p, i, a, b);
    }
  }
  labels /= n;
  PL_TRY(const stats::SymmetricEigen of_features, stats::eigen_symmetric(features));
  PL_TRY(const stats::SymmetricEigen of_labels, stats::eigen_symmetric(labels));
  state.features = of_features.vectors.transpose();
  state.feature_curvature = of_features.values.cwiseMax(0);
  state.labels = of_labels.vectors.transpose();
  state.label_curvature = of_labels.values.cwiseMax(0);
  return base::ok();
}

// Four doubles that stay in one register; unaligned loads through memcpy.
typedef double Four __attribute__((vector_size(32)));
Four load(const double* from) {
  Four value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
void store(double* to, Four value) { std::memcpy(to, &value, sizeof value); }

/// out[0..16) = sum_q products[q] block[q * 16 ..].
void combine(const double* block, const std::vector<double>& products, double* out) {
  Four s0{}, s1{}, s2{}, s3{};
  for (const double value : products) {
    const Four v = {value, value, value, value};
    s0 += v * load(block);
    s1 += v * load(block + 4);
    s2 += v * load(block + 8);
    s3 += v * load(block + 12);
    block += kLanes;
  }
  store(out, s0);
  store(out + 4, s1);
  store(out + 8, s2);
  store(out + 12, s3);
}

void full_covariance(const LaplaceState& state, LaplaceScratch& scratch, double* out) {
  const auto width = static_cast<std::ptrdiff_t>(scratch.phi.size());
  const std::ptrdiff_t k = state.classes;
  const std::ptrdiff_t pairs = pair_count(width);
  scratch.products.resize(static_cast<std::size_t>(pairs));
  double* product = scratch.products.data();
  for (std::size_t i = 0; i < scratch.phi.size(); ++i) {
    for (std::size_t j = i; j < scratch.phi.size(); ++j) *product++ = scratch.phi[i] * scratch.phi[j];
  }
  scratch.packed.resize(static_cast<std::size_t>(padded(pair_count(k))));
  for (std::ptrdiff_t b = 0; b * kLanes < std::ssize(scratch.packed); ++b) {
    combine(state.packed.data() + b * pairs * kLanes, scratch.products, scratch.packed.data() + b * kLanes);
  }
  const double* value = scratch.packed.data();
  for (std::ptrdiff_t a = 0; a < k; ++a) {
    for (std::ptrdiff_t b = a; b < k; ++b) out[a * k + b] = out[b * k + a] = *value++;
  }
}

void kronecker_covariance(const LaplaceState& state, LaplaceScratch& scratch, double* out) {
  const std::ptrdiff_t k = state.classes;
  const auto width = static_cast<std::ptrdiff_t>(scratch.phi.size());
  scratch.products.resize(scratch.phi.size());
  for (std::ptrdiff_t j = 0; j < width; ++j) {
    double along = 0;
    for (std::ptrdiff_t i = 0; i < width; ++i) along += state.features(j, i) * scratch.phi[static_cast<std::size_t>(i)];
    scratch.products[static_cast<std::size_t>(j)] = along * along;
  }
  std::fill(out, out + k * k, 0.0);
  for (std::ptrdiff_t c = 0; c < k; ++c) {
    double variance = 0;
    for (std::ptrdiff_t j = 0; j < width; ++j) {
      variance += scratch.products[static_cast<std::size_t>(j)] /
                  (state.rows * state.feature_curvature(j) * state.label_curvature(c) + state.ridge);
    }
    for (std::ptrdiff_t a = 0; a < k; ++a) {
      for (std::ptrdiff_t b = 0; b < k; ++b) out[a * k + b] += variance * state.labels(c, a) * state.labels(c, b);
    }
  }
}

/// Takes out the shift that all logits share: J C J with J = I - 11'/k.
void centre(double* c, std::ptrdiff_t k) {
  for (std::ptrdiff_t a = 0; a < k; ++a) {
    double mean = 0;
    for (std::ptrdiff_t b = 0; b < k; ++b) mean += c[a * k + b];
    mean /= static_cast<double>(k);
    for (std::ptrdiff_t b = 0; b < k; ++b) c[a * k + b] -= mean;
  }
  for (std::ptrdiff_t b = 0; b < k; ++b) {
    double mean = 0;
    for (std::ptrdiff_t a = 0; a < k; ++a) mean += c[a * k + b];
    mean /= static_cast<double>(k);
    for (std::ptrdiff_t a = 0; a < k; ++a) c[a * k + b] -= mean;
  }
}

/// Lower factor of a semidefinite matrix; directions without variance get a column of zeros.
void semidefinite_factor(std::span<const double> c, std::ptrdiff_t k, std::vector<double>& lower) {
  lower.assign(c.begin(), c.end());
  double largest = 0;
  for (std::ptrdiff_t a = 0; a < k; ++a) largest = std::max(largest, c[static_cast<std::size_t>(a * k + a)]);
  double* l = lower.data();
  for (std::ptrdiff_t j = 0; j < k; ++j) {
    const double pivot = l[j * k + j];
    const bool flat = !(pivot > 1e-12 * largest);
    const double root = flat ? 0 : std::sqrt(pivot);
    l[j * k + j] = root;
    for (std::ptrdiff_t i = j + 1; i < k; ++i) l[i * k + j] = flat ? 0 : l[i * k + j] / root;
    for (std::ptrdiff_t i = j + 1; i < k; ++i) {
      for (std::ptrdiff_t m = j + 1; m <= i; ++m) l[i * k + m] -= l[i * k + j] * l[m * k + j];
    }
  }
}

base::Status finite(std::string_view name, const MatrixD& values) {
  return base::check_all_finite("LastLayerLaplace", name,
                                std::span(values.data(), static_cast<std::size_t>(values.size())));
}

}  // namespace

std::string_view laplace_form_name(LaplaceForm form) { return form == LaplaceForm::kFull ? "full" : "kronecker"; }

base::Result<LastLayerLaplace> LastLayerLaplace::fit(MatrixRefF features, std::span<const int> labels, int classes,
                                                     const LaplaceOptions& options) {
  PL_TRY(stats::LogisticModel head, stats::fit_logistic(features, labels, classes,
                                                        {.ridge = options.ridge,
                                                         .iterations = options.iterations,
                                                         .tolerance = kGradient,
                                                         .cancel = options.cancel}));
  if (!head.converged) {
    return base::make_error(Code::kLimit, fmt::format("the head did not converge in {} steps", options.iterations),
                            "LastLayerLaplace::fit", "Raise the ridge or the number of steps");
  }
  LaplaceState state;
  state.classes = classes;
  state.ridge = options.ridge;
  state.rows = static_cast<double>(features.rows());
  PL_TRY(const MatrixD p, head.predict(features));
  const MatrixD phi = design(features, head.center, head.scale);
  state.center = std::move(head.center);
  state.scale = std::move(head.scale);
  state.weights = std::move(head.weights);
  state.intercept = std::move(head.intercept);
  if (classes * phi.rows() <= options.full_limit) {
    PL_CHECK(fit_full(state, phi, p, options.cancel));
  } else {
    state.form = LaplaceForm::kKronecker;
    PL_CHECK(fit_kronecker(state, phi, p));
  }
  return LastLayerLaplace(std::move(state));
}

base::Result<LastLayerLaplace> LastLayerLaplace::from_state(LaplaceState state) {
  constexpr std::string_view kName = "LastLayerLaplace";
  const std::ptrdiff_t d = state.center.size();
  const std::ptrdiff_t k = state.classes;
  PL_CHECK(base::check_at_least(kName, "classes", k, 2));
  PL_CHECK(base::check_at_least(kName, "features", d, 1));
  PL_CHECK(base::check_positive(kName, "ridge", state.ridge));
  PL_CHECK(base::check_positive(kName, "rows", state.rows));
  PL_CHECK(base::check_size(kName, "scale", state.scale.size(), d));
  PL_CHECK(base::check_size(kName, "weights.rows()", state.weights.rows(), k));
  PL_CHECK(base::check_size(kName, "weights.cols()", state.weights.cols(), d));
  PL_CHECK(base::check_size(kName, "intercept", state.intercept.size(), k));
  if (state.form == LaplaceForm::kFull) {
    PL_CHECK(base::check_size(kName, "packed.cols()", state.packed.cols(), kLanes));
    PL_CHECK(base::check_size(kName, "packed.rows()", state.packed.rows(),
                              padded(pair_count(k)) / kLanes * pair_count(d + 1)));
  } else {
    PL_CHECK(base::check_size(kName, "features.rows()", state.features.rows(), d + 1));
    PL_CHECK(base::check_size(kName, "features.cols()", state.features.cols(), d + 1));
    PL_CHECK(base::check_size(kName, "feature_curvature", state.feature_curvature.size(), d + 1));
    PL_CHECK(base::check_size(kName, "labels.rows()", state.labels.rows(), k));
    PL_CHECK(base::check_size(kName, "labels.cols()", state.labels.cols(), k));
    PL_CHECK(base::check_size(kName, "label_curvature", state.label_curvature.size(), k));
  }
  for (const auto& [name, part] :
       {std::pair{"center", MatrixD(state.center)}, std::pair{"scale", MatrixD(state.scale)},
        std::pair{"weights", state.weights}, std::pair{"intercept", MatrixD(state.intercept)},
        std::pair{"packed", state.packed}, std::pair{"features", state.features},
        std::pair{"feature_curvature", MatrixD(state.feature_curvature)}, std::pair{"labels", state.labels},
        std::pair{"label_curvature", MatrixD(state.label_curvature)}}) {
    PL_CHECK(finite(name, part));
  }
  return LastLayerLaplace(std::move(state));
}

base::Result<MatrixD> LastLayerLaplace::logits(MatrixRefF features) const {
  PL_CHECK(base::check_size("LastLayerLaplace::logits", "features.cols()", features.cols(), this->features()));
  MatrixD out(features.rows(), classes());
  const MatrixD phi = design(features, state_.center, state_.scale);
  for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
    for (std::ptrdiff_t c = 0; c < classes(); ++c) {
      double sum = state_.intercept(c);
      for (std::ptrdiff_t j = 0; j < features.cols(); ++j) sum += state_.weights(c, j) * phi(j, i);
      out(i, c) = sum;
    }
  }
  return out;
}

void LastLayerLaplace::covariance(std::span<const float> features, LaplaceScratch& scratch,
                                  std::span<double> out) const {
  const std::size_t d = features.size();
  scratch.phi.resize(d + 1);
  for (std::size_t j = 0; j < d; ++j) {
    const auto at = static_cast<std::ptrdiff_t>(j);
    const double scale = state_.scale(at);
    scratch.phi[j] = scale > 0 ? (static_cast<double>(features[j]) - state_.center(at)) / scale : 0;
  }
  scratch.phi[d] = 1;
  if (state_.form == LaplaceForm::kFull) {
    full_covariance(state_, scratch, out.data());
  } else {
    kronecker_covariance(state_, scratch, out.data());
  }
  centre(out.data(), state_.classes);
}

LogitDraws LogitDraws::make(std::ptrdiff_t draws, std::ptrdiff_t classes, std::uint64_t seed) {
  base::ensure(draws >= 2 && draws % 2 == 0 && classes >= 2, "LogitDraws needs an even number of draws");
  LogitDraws result{MatrixD(draws, classes)};
  base::Rng rng(seed, {"logit draws"});
  for (std::ptrdiff_t s = 0; s < draws; s += 2) {
    for (std::ptrdiff_t c = 0; c < classes; ++c) {
      result.normal(s, c) = rng.normal();
      result.normal(s + 1, c) = -result.normal(s, c);
    }
  }
  if (draws / 2 < classes) return result;
  MatrixD& e = result.normal;
  for (std::ptrdiff_t c = 0; c < classes; ++c) {
    const auto product = [&](std::ptrdiff_t a, std::ptrdiff_t b) {
      double sum = 0;
      for (std::ptrdiff_t s = 0; s < draws; ++s) sum += e(s, a) * e(s, b);
      return sum / static_cast<double>(draws);
    };
    for (std::ptrdiff_t b = 0; b < c; ++b) {
      const double along = product(c, b);
      for (std::ptrdiff_t s = 0; s < draws; ++s) e(s, c) -= along * e(s, b);
    }
    const double length = std::sqrt(product(c, c));
    for (std::ptrdiff_t s = 0; s < draws; ++s) e(s, c) /= length;
  }
  return result;
}

void draw_predictive(std::span<const double> center, std::span<const double> covariance, const LogitDraws& draws,
                     DrawScratch& scratch, DrawnPredictive& result) {
  const std::size_t k = center.size();
  const auto n = std::ssize(center);
  semidefinite_factor(covariance, n, scratch.factor);
  scratch.logits.resize(k);
  result.p.assign(k, 0.0);
  double entropies = 0;
  for (std::ptrdiff_t s = 0; s < draws.normal.rows(); ++s) {
    const double* e = draws.normal.data() + s * n;
    double top = -INFINITY;
    for (std::size_t a = 0; a < k; ++a) {
      double sum = center[a];
      const double* row = scratch.factor.data() + a * k;
      for (std::size_t b = 0; b <= a; ++b) sum += row[b] * e[b];
      scratch.logits[a] = sum;
      top = std::max(top, sum);
    }
    double mass = 0;
    double first = 0;
    scratch.p.resize(k);
    for (std::size_t a = 0; a < k; ++a) {
      const double away = scratch.logits[a] - top;
      scratch.p[a] = std::exp(away);
      mass += scratch.p[a];
      first += scratch.p[a] * away;
    }
    entropies += std::log(mass) - first / mass;  // H = ln sum exp z - E[z]
    for (std::size_t a = 0; a < k; ++a) result.p[a] += scratch.p[a] / mass;
  }
  const auto count = static_cast<double>(draws.normal.rows());
  for (double& p : result.p) p /= count;
  result.aleatoric = std::max(0.0, entropies / count);
  result.total = entropy_of(result.p);
  result.model = std::max(0.0, result.total - result.aleatoric);
}

base::Result<std::vector<double>> probit_predictive(std::span<const double> center,
                                                    std::span<const double> covariance) {
  const std::size_t k = center.size();
  PL_CHECK(base::check_at_least("probit_predictive", "center", std::ssize(center), 2));
  PL_CHECK(
      base::check_size("probit_predictive", "covariance", std::ssize(covariance), static_cast<std::ptrdiff_t>(k * k)));
  MatrixD logits(1, std::ssize(center));
  for (std::size_t a = 0; a < k; ++a) {
    logits(0, static_cast<std::ptrdiff_t>(a)) =
        center[a] / std::sqrt(1 + std::numbers::pi / 8 * std::max(0.0, covariance[a * k + a]));
  }
  const MatrixD p = decision::softmax(logits);
  return std::vector<double>(p.data(), p.data() + p.size());
}

double second_order_information(std::span<const double> center, std::span<const double> covariance) {
  const std::size_t k = center.size();
  MatrixD logits(1, std::ssize(center));
  for (std::size_t a = 0; a < k; ++a) logits(0, static_cast<std::ptrdiff_t>(a)) = center[a];
  const MatrixD p = decision::softmax(logits);
  double trace = 0;
  double cross = 0;
  for (std::size_t a = 0; a < k; ++a) {
    trace += p.data()[a] * covariance[a * k + a];
    for (std::size_t b = 0; b < k; ++b) cross += p.data()[a] * covariance[a * k + b] * p.data()[b];
  }
  return (trace - cross) / 2;
}

base::Result<HeadPredictives> head_predictives(const LastLayerLaplace& head, MatrixRefF features,
                                               const LogitDraws& draws) {
  PL_TRY(const MatrixD center, head.logits(features));
  return head_predictives(head, features, center, draws);
}

base::Result<HeadPredictives> head_predictives(const LastLayerLaplace& head, MatrixRefF features, MatrixRefD center,
                                               const LogitDraws& draws) {
  constexpr std::string_view kName = "head_predictives";
  const std::ptrdiff_t k = head.classes();
  PL_CHECK(base::check_size(kName, "features.cols()", features.cols(), head.features()));
  PL_CHECK(base::check_size(kName, "draws", draws.normal.cols(), k));
  PL_CHECK(base::check_size(kName, "center.rows()", center.rows(), features.rows()));
  PL_CHECK(base::check_size(kName, "center.cols()", center.cols(), k));
  const std::ptrdiff_t n = features.rows();
  HeadPredictives out{MatrixD(n, k), VectorD(n), VectorD(n), VectorD(n)};
  constexpr std::ptrdiff_t kBlock = 256;
  const auto blocks = static_cast<std::size_t>((n + kBlock - 1) / kBlock);
  PL_CHECK(base::parallel_for(blocks, [&](std::size_t block) -> base::Status {
    LaplaceScratch scratch;
    DrawScratch drawing;
    DrawnPredictive predictive;
    std::vector<double> covariance(static_cast<std::size_t>(k * k));
    const auto first = static_cast<std::ptrdiff_t>(block) * kBlock;
    for (std::ptrdiff_t i = first; i < std::min(n, first + kBlock); ++i) {
      head.covariance({features.data() + i * features.outerStride(), static_cast<std::size_t>(features.cols())},
                      scratch, covariance);
      draw_predictive({center.data() + i * center.outerStride(), static_cast<std::size_t>(k)}, covariance, draws,
                      drawing, predictive);
      for (std::ptrdiff_t c = 0; c < k; ++c) out.mean(i, c) = predictive.p[static_cast<std::size_t>(c)];
      out.total(i) = predictive.total;
      out.aleatoric(i) = predictive.aleatoric;
      out.model(i) = predictive.model;
    }
    return base::ok();
  }));
  return out;
}

}  // namespace plumbline::caution

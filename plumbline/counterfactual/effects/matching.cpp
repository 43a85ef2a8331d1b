// Nearest neighbours with replacement, bias corrected, with the variance of Abadie and Imbens 2006.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/effects/overlap.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

constexpr double kMostWork = 4e9;

/// Coordinates in which plain distance is the method's distance.
base::Result<MatrixD> coordinates(const Study& study, Method method, Effect& effect) {
  if (method == Method::kMatchPropensity) {
    PL_TRY(const Logit logit, fit_logit(study.x, study.treatment));
    effect.propensity = logit.probabilities;
    if (logit.separated) return MatrixD();
    MatrixD out(study.x.rows(), 1);
    out.col(0) = (study.x * logit.coefficients).array() + logit.intercept;
    return out;
  }
  PL_TRY(const LeastSquares probe, least_squares(study.x, study.outcome));
  std::vector<Index> kept;
  for (Index j = 0; j < study.x.cols(); ++j)
    if (!probe.left_out[static_cast<std::size_t>(j)]) kept.push_back(j);
  MatrixD x(study.x.rows(), static_cast<Index>(kept.size()));
  for (std::size_t j = 0; j < kept.size(); ++j) x.col(static_cast<Index>(j)) = study.x.col(kept[j]);
  if (kept.empty()) return x;
  PL_TRY(const stats::MomentAccumulator moments, stats::moments_of_rows(MatrixRefD(x)));
  PL_TRY(const MatrixD covariance, moments.covariance());
  PL_TRY(const stats::Cholesky factor, stats::Cholesky::factor(covariance));
  return factor.whiten(x);
}

/// A row's neighbours among `rows`: the `count` nearest, and all that tie with the last of them. `self` is passed over.
std::vector<std::size_t> neighbours(const MatrixD& at, Index self, const std::vector<std::size_t>& rows,
                                    std::size_t count, std::vector<double>& scratch) {
  scratch.clear();
  for (const std::size_t row : rows)
    scratch.push_back(static_cast<Index>(row) == self ? std::numeric_limits<double>::infinity()
                                                      : (at.row(static_cast<Index>(row)) - at.row(self)).squaredNorm());
  std::vector<double> ordered = scratch;
  const std::size_t last = std::min(count, ordered.size()) - 1;
  std::nth_element(ordered.begin(), ordered.begin() + static_cast<std::ptrdiff_t>(last), ordered.end());
  const double reach = ordered[last] * (1 + 1e-10) + 1e-20;
  std::vector<std::size_t> out;
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (scratch[k] <= reach) out.push_back(rows[k]);
  return out;
}

/// Neighbours of every row asked for.
base::Result<std::vector<std::vector<std::size_t>>> all_neighbours(const MatrixD& at,
                                                                   const std::vector<std::size_t>& of,
                                                                   const std::vector<std::size_t>& among,
                                                                   std::size_t count, const base::CancelToken& cancel) {
  std::vector<std::vector<std::size_t>> out(of.size());
  constexpr std::size_t kBlock = 64;
  PL_CHECK(base::parallel_for((of.size() + kBlock - 1) / kBlock,
                              [&](std::size_t block) -> base::Status {
                                std::vector<double> scratch;
                                for (std::size_t i = block * kBlock; i < std::min(of.size(), (block + 1) * kBlock); ++i)
                                  out[i] = neighbours(at, static_cast<Index>(of[i]), among, count, scratch);
                                return base::ok();
                              },
                              cancel));
  return out;
}

/// Variance of the outcome around its mean at each row, from two neighbours of the same arm.
base::Result<VectorD> local_variances(const Study& study, const MatrixD& at, const EffectOptions& options) {
  VectorD out(study.x.rows());
  for (const bool treated : {true, false}) {
    const auto rows = arm_rows(study, treated);
    PL_TRY(const auto near, all_neighbours(at, rows, rows, 2, options.cancel));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<Index>(rows[i]);
      const auto count = static_cast<double>(near[i].size());
      double mean = 0;
      for (const std::size_t k : near[i]) mean += study.outcome(static_cast<Index>(k)) / count;
      out(row) = count / (count + 1) * (study.outcome(row) - mean) * (study.outcome(row) - mean);
    }
  }
  return out;
}

}  // namespace

base::Result<Effect> by_matching(const Study& study, Method method, const EffectOptions& options) {
  Effect effect;
  effect.method = method;
  effect.estimand = options.estimand;
  if (!study.clusters.empty()) {
    refuse(effect, "matching has no variance for rows that cluster");
    return effect;
  }
  if (study.columns.empty()) {
    refuse(effect, "there is nothing to match on");
    return effect;
  }
  const auto n = static_cast<double>(study.n());
  if (n * n / 2 * static_cast<double>(method == Method::kMatch ? study.columns.size() : 1) > kMostWork)
    return base::make_error(base::Code::kLimit, fmt::format("matching {} rows takes too long", study.n()), {},
                            "use another method, or a sample of the rows");
  PL_TRY(const MatrixD at, coordinates(study, method, effect));
  if (at.rows() == 0) {
    refuse(effect, "a combination of covariates tells the treated from the untreated: there is nobody to compare with");
    return effect;
  }
  const bool all = options.estimand == Estimand::kAte;
  VectorD used = VectorD::Zero(study.x.rows());     // K: shares of matches that a row stands for
  VectorD squares = VectorD::Zero(study.x.rows());  // sum of squared shares
  VectorD gaps = VectorD::Zero(study.x.rows());     // effect imputed for a row
  std::size_t ties = 0;
  for (const bool treated : {true, false}) {
    if (!treated && !all) continue;
    const auto rows = arm_rows(study, treated);
    const auto others = arm_rows(study, !treated);
    PL_TRY(const auto near, all_neighbours(at, rows, others, options.matches, options.cancel));
    VectorD share = VectorD::Zero(study.x.rows());
    for (const auto& matched : near) {
      if (matched.size() > options.matches) ++ties;
      for (const std::size_t k : matched) {
        const double one = 1 / static_cast<double>(matched.size());
        share(static_cast<Index>(k)) += one;
        squares(static_cast<Index>(k)) += one * one;
      }
    }
    used += share;
    PL_TRY(const LeastSquares fit,
           least_squares(take_rows(study.x, others), take_rows(study.outcome, others), take_rows(share, others)));
    const double sign = treated ? 1 : -1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<Index>(rows[i]);
      double other = 0;
      for (const std::size_t k : near[i]) {
        const auto match = static_cast<Index>(k);
        other += (study.outcome(match) + (study.x.row(row) - study.x.row(match)).dot(fit.coefficients)) /
                 static_cast<double>(near[i].size());
      }
      gaps(row) = sign * (study.outcome(row) - other);
    }
  }
  const double asked = all ? n : static_cast<double>(study.treated_rows());
  const double value = gaps.sum() / asked;
  PL_TRY(const VectorD variance, local_variances(study, at, options));
  double total = 0;
  effect.weights.resize(study.x.rows());
  for (Index i = 0; i < study.x.rows(); ++i) {
    const bool treated = study.treatment(i) > 0.5;
    if (all || treated) total += (gaps(i) - value) * (gaps(i) - value);
    if (all)
      total += (used(i) * used(i) + 2 * used(i) - squares(i)) * variance(i);
    else if (!treated)
      total += (used(i) * used(i) - squares(i)) * variance(i);
    effect.weights(i) = (used(i) + (all || treated ? 1 : 0)) / asked;
  }
  const double figure = total / (asked * asked);
  effect.estimate = student(value, figure, n - 2, n,
                            fmt::format("{} nearest neighbour{}, bias corrected, Abadie and Imbens", options.matches,
                                        options.matches == 1 ? "" : "s"));
  effect.standard_error = std::sqrt(figure);
  judge_overlap(study, effect);
  return effect;
}

}  // namespace plumbline::counterfactual::effects

// Inverse propensity and overlap weights from a logistic fit; entropy balancing.
#include <cmath>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/overlap.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Weight of a row in its arm and the weight's slope in the log odds.
struct Weight {
  double value = 0;
  double slope = 0;
};

Weight weight_of(Estimand estimand, bool treated, double e) {
  switch (estimand) {
    case Estimand::kAte: return treated ? Weight{1 / e, -(1 - e) / e} : Weight{1 / (1 - e), e / (1 - e)};
    case Estimand::kAtt: return treated ? Weight{1, 0} : Weight{e / (1 - e), e / (1 - e)};
    case Estimand::kAto: return treated ? Weight{1 - e, -e * (1 - e)} : Weight{e, e * (1 - e)};
  }
  return {};
}

/// Weights of the rows of `x` that bring its weighted means to `target`, nearest to equal weights; empty where none do.
base::Result<VectorD> balancing_weights(const MatrixD& x, const VectorD& target) {
  const Index n = x.rows();
  VectorD weights = VectorD::Constant(n, 1 / static_cast<double>(n));
  VectorD scale(x.cols());
  for (Index j = 0; j < x.cols(); ++j) {
    const double mean = x.col(j).sum() / static_cast<double>(n);
    scale(j) = std::sqrt((x.col(j).array() - mean).square().sum() / static_cast<double>(n));
    if (!(scale(j) > 0)) scale(j) = std::max(std::abs(mean), 1e-300);
  }
  const MatrixD moved = (x.rowwise() - target.transpose()) * scale.cwiseInverse().asDiagonal();
  VectorD lambda = VectorD::Zero(x.cols());
  const auto dual = [&](const VectorD& at, VectorD* w) {
    VectorD reach = moved * at;
    const double top = reach.maxCoeff();
    reach = (reach.array() - top).exp();
    const double total = reach.sum();
    if (w != nullptr) *w = reach / total;
    return top + std::log(total);
  };
  double value = dual(lambda, nullptr);
  for (int step = 0; step < 200; ++step) {
    const VectorD slope = moved.transpose() * weights;
    if (slope.size() == 0 || slope.cwiseAbs().maxCoeff() < 1e-9) return weights;
    PL_TRY(const LeastSquares curvature, least_squares(moved, VectorD::Zero(n), weights));
    const VectorD direction = -(curvature.inverse * slope);
    double size = 1;
    VectorD next = lambda + direction;
    double next_value = dual(next, &weights);
    while (!(next_value < value + 1e-4 * size * slope.dot(direction)) && size > 1e-10) {
      size /= 2;
      next = lambda + size * direction;
      next_value = dual(next, &weights);
    }
    if (size <= 1e-10 || !next.allFinite()) break;
    lambda = next;
    value = next_value;
  }
  const VectorD slope = moved.transpose() * weights;
  return slope.cwiseAbs().maxCoeff() < 1e-6 ? weights : VectorD();
}

}  // namespace

base::Result<Effect> by_weights(const Study& study, Method method, const EffectOptions& options) {
  Effect effect;
  effect.method = method;
  effect.estimand = options.estimand;
  PL_TRY(const Logit logit, fit_logit(study.x, study.treatment));
  if (logit.separated) {
    refuse(effect, "a combination of covariates tells the treated from the untreated: there is nobody to compare with");
    return effect;
  }
  const Index n = study.x.rows();
  effect.propensity = logit.probabilities;
  effect.weights.resize(n);
  VectorD slopes(n);
  double total[2] = {0, 0};
  double mean[2] = {0, 0};
  for (Index i = 0; i < n; ++i) {
    const int arm = study.treatment(i) > 0.5 ? 1 : 0;
    const Weight w = weight_of(options.estimand, arm == 1, logit.probabilities(i));
    effect.weights(i) = w.value;
    slopes(i) = w.slope;
    total[arm] += w.value;
    mean[arm] += w.value * study.outcome(i);
  }
  for (int arm = 0; arm < 2; ++arm) mean[arm] /= total[arm];
  // The propensity is fitted: its own influence on the figure is taken off (stacked estimating equations). Columns are
  // centred, so the intercept stands apart.
  VectorD influence(n);
  VectorD pull = VectorD::Zero(study.x.cols());
  double pull_intercept = 0;
  for (Index i = 0; i < n; ++i) {
    const int arm = study.treatment(i) > 0.5 ? 1 : 0;
    const double sign = arm == 1 ? 1 : -1;
    const double gap = sign * (study.outcome(i) - mean[arm]) / total[arm];
    effect.weights(i) /= total[arm];
    influence(i) = gap * effect.weights(i) * total[arm];
    pull_intercept += gap * slopes(i);
    pull += gap * slopes(i) * (study.x.row(i).transpose() - logit.means);
  }
  const VectorD direction = logit.inverse * pull;
  for (Index i = 0; i < n; ++i) {
    const double score = study.treatment(i) - logit.probabilities(i);
    influence(i) += score * (pull_intercept / logit.weight + (study.x.row(i).transpose() - logit.means).dot(direction));
  }
  influence *= static_cast<double>(n);
  settle(study, mean[1] - mean[0], influence, study.columns.size() + 2, "weighted means, influence function", effect);
  judge_overlap(study, effect);
  return effect;
}

base::Result<Effect> by_entropy(const Study& study, const EffectOptions& options) {
  Effect effect;
  effect.method = Method::kEntropy;
  effect.estimand = options.estimand;
  const Index n = study.x.rows();
  const bool all = options.estimand == Estimand::kAte;
  const VectorD share = all ? VectorD::Constant(n, 1 / static_cast<double>(n))
                            : VectorD(study.treatment / static_cast<double>(study.treated_rows()));
  const VectorD target = study.x.transpose() * share;
  effect.weights = VectorD::Zero(n);
  VectorD influence = VectorD::Zero(n);
  VectorD slope = VectorD::Zero(study.x.cols());
  double value = 0;
  std::size_t parameters = 0;
  for (const bool treated : {true, false}) {
    const auto rows = arm_rows(study, treated);
    const MatrixD x = take_rows(study.x, rows);
    const VectorD y = take_rows(study.outcome, rows);
    PL_TRY(const VectorD weights, balancing_weights(x, target));
    if (weights.size() == 0) {
      refuse(effect, fmt::format("no weights on the {} rows bring the means of the covariates to those {}",
                                 treated ? "treated" : "untreated", all ? "of all rows" : "of the treated"));
      return effect;
    }
    const double sign = treated ? 1 : -1;
    value += sign * weights.dot(y);
    PL_TRY(const LeastSquares fit, least_squares(x, y, weights));
    slope += sign * fit.coefficients;
    parameters += fit.used + 1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto at = static_cast<Index>(i);
      const auto row = static_cast<Index>(rows[i]);
      effect.weights(row) = weights(at);
      const double spread = study.clusters.empty() ? std::sqrt(std::max(1 - fit.leverage(at), 1e-6)) : 1;
      influence(row) += sign * weights(at) * fit.residuals(at) / spread;
    }
  }
  const VectorD about = (study.x * slope).array() - target.dot(slope);
  influence = static_cast<double>(n) * (influence + share.cwiseProduct(about));
  settle(study, value, influence, parameters, "entropy balancing, influence function", effect);
  judge_overlap(study, effect);
  return effect;
}

}  // namespace plumbline::counterfactual::effects

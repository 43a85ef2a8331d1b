// Augmented inverse propensity weighting and targeted estimation, both cross-fitted.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/effects/boosted.hpp"
#include "plumbline/counterfactual/effects/overlap.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/root.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Out of fold: chance of treatment, mean outcome in either arm.
struct Nuisance {
  VectorD propensity, treated, untreated;
};

/// Fold of each row: clusters stay together; without clusters the arms are dealt out apart.
std::vector<int> deal_folds(const Study& study, int folds, base::Rng rng) {
  std::vector<int> out(study.n());
  if (!study.clusters.empty()) {
    std::vector<int> of_cluster(study.cluster_total());
    const auto order = rng.permutation(of_cluster.size());
    for (std::size_t i = 0; i < order.size(); ++i) of_cluster[order[i]] = static_cast<int>(i) % folds;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = of_cluster[static_cast<std::size_t>(study.clusters[i])];
    return out;
  }
  int next = 0;
  for (const bool treated : {true, false}) {
    auto rows = arm_rows(study, treated);
    rng.shuffle(std::span<std::size_t>(rows));
    for (const std::size_t row : rows) out[row] = next++ % folds;
  }
  return out;
}

base::Result<VectorD> fitted_outcomes(const Study& train, const MatrixD& at, bool treated, const EffectOptions& o,
                                      std::uint64_t seed) {
  const auto rows = arm_rows(train, treated);
  const MatrixD x = take_rows(train.x, rows);
  const VectorD y = take_rows(train.outcome, rows);
  if (o.learner == Learner::kTrees && x.cols() > 0) {
    TreeOptions trees;
    trees.seed = seed;
    trees.cancel = o.cancel;
    return boosted_predictions(x, y, at, train.binary_outcome, trees);
  }
  if (train.binary_outcome && y.minCoeff() < y.maxCoeff()) {
    PL_TRY(const Logit fit, fit_logit(x, y));
    VectorD out(at.rows());
    for (Index i = 0; i < at.rows(); ++i) out(i) = fit.at(at.row(i));
    return out;
  }
  PL_TRY(const LeastSquares fit, least_squares(x, y));
  return VectorD((at * fit.coefficients).array() + fit.intercept);
}

base::Result<VectorD> fitted_propensity(const Study& train, const MatrixD& at, const EffectOptions& o,
                                        std::uint64_t seed) {
  if (o.learner == Learner::kTrees && train.x.cols() > 0) {
    TreeOptions trees;
    trees.seed = seed;
    trees.cancel = o.cancel;
    return boosted_predictions(train.x, train.treatment, at, true, trees);
  }
  PL_TRY(const Logit fit, fit_logit(train.x, train.treatment));
  VectorD out(at.rows());
  for (Index i = 0; i < at.rows(); ++i) out(i) = fit.at(at.row(i));
  return out;
}

base::Result<Nuisance> cross_fit(const Study& study, const EffectOptions& o, const base::Rng& rng) {
  const std::vector<int> fold = deal_folds(study, o.folds, rng.fork("folds"));
  Nuisance out;
  const Index n = study.x.rows();
  out.propensity.resize(n);
  out.treated.resize(n);
  out.untreated.resize(n);
  // A task is a fold and one of its three fits; each writes the rows of its fold alone.
  PL_CHECK(base::parallel_for(
      static_cast<std::size_t>(o.folds) * 3,
      [&](std::size_t task) -> base::Status {
        const int own = static_cast<int>(task / 3);
        const std::size_t part = task % 3;
        std::vector<std::size_t> train, held;
        for (std::size_t i = 0; i < fold.size(); ++i) (fold[i] == own ? held : train).push_back(i);
        const Study rest = study.take(train);
        const MatrixD at = take_rows(study.x, held);
        const std::uint64_t seed = rng.fork("trees").fork(task).bits();
        PL_TRY(const VectorD fitted,
               part == 0 ? fitted_propensity(rest, at, o, seed) : fitted_outcomes(rest, at, part == 1, o, seed));
        VectorD& into = part == 0 ? out.propensity : part == 1 ? out.treated : out.untreated;
        for (std::size_t i = 0; i < held.size(); ++i) into(static_cast<Index>(held[i])) = fitted(static_cast<Index>(i));
        return base::ok();
      },
      o.cancel));
  return out;
}

/// Unit mean outcomes moved along their log odds until the weighted residuals of the arm vanish: the targeting step.
base::Result<VectorD> targeted(const VectorD& fitted, const VectorD& outcome, const VectorD& weights) {
  const double low = outcome.minCoeff();
  const double high = outcome.maxCoeff();
  if (!(high > low)) return fitted;
  VectorD odds(fitted.size());
  for (Index i = 0; i < fitted.size(); ++i) {
    const double q = std::clamp((fitted(i) - low) / (high - low), 0.001, 0.999);
    odds(i) = std::log(q / (1 - q));
  }
  const auto moved = [&](Index i, double by) { return 1 / (1 + std::exp(-(odds(i) + by))); };
  const auto equation = [&](double by) {
    double sum = 0;
    for (Index i = 0; i < fitted.size(); ++i)
      if (weights(i) > 0) sum += weights(i) * ((outcome(i) - low) / (high - low) - moved(i, by));
    return sum;
  };
  PL_TRY(const double by, stats::find_root(equation, -60, 60));
  VectorD out(fitted.size());
  for (Index i = 0; i < fitted.size(); ++i) out(i) = low + (high - low) * moved(i, by);
  return out;
}

void weigh(const Study& study, const VectorD& e, bool all, Effect& effect) {
  double total[2] = {0, 0};
  effect.weights.resize(e.size());
  for (Index i = 0; i < e.size(); ++i) {
    const int arm = study.treatment(i) > 0.5 ? 1 : 0;
    effect.weights(i) = arm == 1 ? (all ? 1 / e(i) : 1) : (all ? 1 / (1 - e(i)) : e(i) / (1 - e(i)));
    total[arm] += effect.weights(i);
  }
  for (Index i = 0; i < e.size(); ++i) effect.weights(i) /= total[study.treatment(i) > 0.5 ? 1 : 0];
}

/// Scores whose mean is the figure, given the nuisances.
VectorD scores_of(const Study& study, const VectorD& e, const Nuisance& m, bool all) {
  const double share = static_cast<double>(study.treated_rows()) / static_cast<double>(study.n());
  VectorD out(e.size());
  for (Index i = 0; i < e.size(); ++i) {
    const bool treated = study.treatment(i) > 0.5;
    const double y = study.outcome(i);
    if (all)
      out(i) =
          m.treated(i) - m.untreated(i) + (treated ? (y - m.treated(i)) / e(i) : -(y - m.untreated(i)) / (1 - e(i)));
    else
      out(i) = (treated ? 1 : -e(i) / (1 - e(i))) * (y - m.untreated(i)) / share;
  }
  return out;
}

base::Status target(const Study& study, const VectorD& e, bool all, Nuisance& m) {
  VectorD weights = VectorD::Zero(e.size());
  for (Index i = 0; i < e.size(); ++i)
    if (study.treatment(i) < 0.5) weights(i) = all ? 1 / (1 - e(i)) : e(i) / (1 - e(i));
  PL_TRY(m.untreated, targeted(m.untreated, study.outcome, weights));
  if (!all) return base::ok();
  for (Index i = 0; i < e.size(); ++i) weights(i) = study.treatment(i) > 0.5 ? 1 / e(i) : 0;
  PL_TRY(m.treated, targeted(m.treated, study.outcome, weights));
  return base::ok();
}

}  // namespace

base::Result<Effect> doubly_robust(const Study& study, Method method, const EffectOptions& options,
                                   const base::Rng& rng) {
  Effect effect;
  effect.method = method;
  effect.estimand = options.estimand;
  const bool all = options.estimand == Estimand::kAte;
  if (options.learner == Learner::kLinear) {
    PL_TRY(const Logit whole, fit_logit(study.x, study.treatment));
    if (whole.separated) {
      refuse(effect,
             "a combination of covariates tells the treated from the untreated: there is nobody to compare with");
      return effect;
    }
  }
  if (study.cluster_total() < static_cast<std::size_t>(2 * options.folds)) {
    refuse(effect, fmt::format("{} clusters, of at least two a fold", study.cluster_total()));
    return effect;
  }
  auto fitted = cross_fit(study, options, rng);
  if (!fitted.ok() && fitted.error().code == base::Code::kValue) {
    refuse(effect, fmt::format("a fold has too few rows of an arm: {}", fitted.error().message));
    return effect;
  }
  if (!fitted.ok()) return fitted.error();
  Nuisance nuisance = std::move(fitted).value();
  effect.propensity = nuisance.propensity;
  VectorD e = nuisance.propensity;
  for (Index i = 0; i < e.size(); ++i) {
    const double kept = std::clamp(e(i), all ? options.floor : 0.0, 1 - options.floor);
    if (kept != e(i)) ++effect.moved;
    e(i) = kept;
  }
  weigh(study, e, all, effect);
  if (method == Method::kTmle) PL_CHECK(target(study, e, all, nuisance));
  const VectorD scores = scores_of(study, e, nuisance, all);
  const auto n = static_cast<double>(study.n());
  const double value = scores.sum() / n;
  VectorD influence = scores.array() - value;
  if (!all) {
    const double share = static_cast<double>(study.treated_rows()) / n;
    influence = scores - value / share * study.treatment;
  }
  settle(study, value, influence, 1,
         fmt::format("{}, {} nuisances, {} folds", method == Method::kAipw ? "doubly robust" : "targeted",
                     learner_name(options.learner), options.folds),
         effect);
  if (method == Method::kAipw && all) effect.scores = scores;
  if (effect.moved > 0)
    effect.estimate.assumptions.push_back(
        fmt::format("{} propensities were moved into [{}, {}]", effect.moved, options.floor, 1 - options.floor));
  judge_overlap(study, effect);
  return effect;
}

}  // namespace plumbline::counterfactual::effects

// Difference of means, one least squares fit, a fit in each arm.
#include <cmath>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/overlap.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Where the arms lie a whole deviation apart, a fit in one of them is asked where it has seen little (Rubin 2001).
constexpr double kFarApart = 1;

void warn_far_apart(const Study& study, Effect& effect) {
  const Balance* worst = nullptr;
  const std::vector<Balance> balance = balance_of(study, {}, effect.estimand);
  for (const Balance& b : balance)
    if (worst == nullptr || std::abs(b.before) > std::abs(worst->before)) worst = &b;
  if (worst != nullptr && std::abs(worst->before) > kFarApart)
    warn(effect, fmt::format("the arms differ by {:.2f} deviations in {}: the fit answers by extrapolation",
                             worst->before, worst->column));
}

base::Result<Effect> one_fit(const Study& study, bool adjusted, Effect effect) {
  const Index d = adjusted ? study.x.cols() : 0;
  MatrixD x(study.x.rows(), d + 1);
  x.col(0) = study.treatment;
  if (adjusted) x.rightCols(d) = study.x;
  PL_TRY(const LeastSquares fit, least_squares(x, study.outcome));
  if (fit.left_out[0]) {
    refuse(effect, "the treatment is a combination of the covariates");
    return effect;
  }
  const VectorD influence = coefficient_influence(fit, x, 0, study.clusters.empty());
  settle(study, fit.coefficients(0), influence, fit.used + 1,
         study.clusters.empty() ? "least squares, HC2" : "least squares, clustered", effect);
  return effect;
}

base::Result<Effect> two_fits(const Study& study, Effect effect) {
  const bool all = effect.estimand == Estimand::kAte;
  const auto n = static_cast<double>(study.n());
  const auto treated_rows = static_cast<double>(study.treated_rows());
  const VectorD share =
      all ? VectorD::Constant(study.x.rows(), 1 / n) : VectorD(study.treatment / treated_rows);  // whose effect
  const VectorD at = study.x.transpose() * share;
  double value = 0;
  VectorD influence = VectorD::Zero(study.x.rows());
  VectorD slope = VectorD::Zero(study.x.cols());
  std::size_t parameters = 0;
  for (const bool treated : {true, false}) {
    const auto rows = arm_rows(study, treated);
    const MatrixD x = take_rows(study.x, rows);
    PL_TRY(const LeastSquares fit, least_squares(x, take_rows(study.outcome, rows)));
    const double sign = treated ? 1 : -1;
    value += sign * fit.at(at.transpose());
    slope += sign * fit.coefficients;
    parameters += fit.used + 1;
    const VectorD of_fit = fitted_influence(fit, x, at, study.clusters.empty());
    for (std::size_t i = 0; i < rows.size(); ++i)
      influence(static_cast<Index>(rows[i])) +=
          sign * of_fit(static_cast<Index>(i)) * n / static_cast<double>(rows.size());
  }
  const VectorD about = (study.x * slope).array() - at.dot(slope);
  influence += n * share.cwiseProduct(about);
  settle(study, value, influence, parameters,
         study.clusters.empty() ? "least squares in each arm, HC2" : "least squares in each arm, clustered", effect);
  return effect;
}

}  // namespace

base::Result<Effect> by_regression(const Study& study, Method method, const EffectOptions& options) {
  Effect effect;
  effect.method = method;
  effect.estimand = options.estimand;
  if (method == Method::kDifference) return one_fit(study, false, std::move(effect));
  warn_far_apart(study, effect);
  return method == Method::kOls ? one_fit(study, true, std::move(effect)) : two_fits(study, std::move(effect));
}

}  // namespace plumbline::counterfactual::effects

#pragma once
/// What the estimators of one binary treatment share. Inside the folder only.

#include <string>
#include <vector>

#include "plumbline/counterfactual/effects/effect.hpp"
#include "plumbline/counterfactual/effects/linear.hpp"

namespace plumbline::counterfactual::effects {

/// The rows of an arm.
std::vector<std::size_t> arm_rows(const Study& study, bool treated);

/// Bounds by Student's t of `value` with this variance.
stats::Estimate student(double value, double variance, double degrees, double n, std::string method);

/// Fills value, bounds and standard error of `effect` from the influence of rows. `parameters`: of the fitted models,
/// for the degrees of freedom and the small-sample factor of clustered variances. Warns below 30 clusters.
void settle(const Study& study, double value, const VectorD& influence, std::size_t parameters, std::string method,
            Effect& effect);

/// Raises the outcome, with a reason.
void warn(Effect& effect, std::string reason);
void refuse(Effect& effect, std::string reason);

/// Too few rows in an arm: below 10 or d + 2, whichever is larger (cannot say).
void judge_arms(const Study& study, bool fits_each_arm, Effect& effect);
/// Propensities and weights against the limits in overlap.hpp.
void judge_overlap(const Study& study, Effect& effect);

/// Effective size of an arm's weights.
double effective_size(const VectorD& weights, const VectorD& treatment, bool treated);

base::Result<Effect> by_regression(const Study& study, Method method, const EffectOptions& options);
base::Result<Effect> by_weights(const Study& study, Method method, const EffectOptions& options);
base::Result<Effect> by_entropy(const Study& study, const EffectOptions& options);
base::Result<Effect> by_matching(const Study& study, Method method, const EffectOptions& options);
base::Result<Effect> doubly_robust(const Study& study, Method method, const EffectOptions& options,
                                   const base::Rng& rng);

}  // namespace plumbline::counterfactual::effects

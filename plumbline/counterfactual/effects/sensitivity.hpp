#pragma once
/// How strong would something that nobody measured have to be to take the effect away?

#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/effects/effect.hpp"

namespace plumbline::counterfactual::effects {

/// Partial R-squared of a covariate (all its columns): with the treatment given the other covariates, with the outcome
/// given treatment and the other covariates; and what a hidden confounder exactly as strong would leave of the figure.
struct Benchmark {
  std::string covariate;
  double with_treatment = 0;
  double with_outcome = 0;
  std::optional<double> left;  ///< figure after the bias towards 0; empty where no confounder can be as strong
};

/// The least squares fit of y on t and x against a hidden confounder Z.
struct PartialR2 {
  double estimate = 0, standard_error = 0, degrees = 0;  ///< classical
  double of_treatment = 0;                               ///< partial R-squared of the treatment with the outcome
  double robustness = 0;           ///< share of the rest of both that Z must explain to bring the figure to 0
  double robustness_at_level = 0;  ///< … to bring the near end of its 0.95 interval to 0; 0 where it holds 0 already
  std::vector<Benchmark> benchmarks;  ///< strongest first, by `left`
};
/// Formula   f = |t| / sqrt(degrees); RV = (sqrt(f^4 + 4 f^2) - f^2) / 2; bias of Z = se sqrt(degrees) sqrt(R2_y R2_d /
/// (1 -
///           R2_d)). Benchmarks: equations for k = 1.
/// Errors    as least_squares; kValue: the treatment is a combination of the covariates.
/// Source    Cinelli, Hazlett, Making sense of sensitivity, JRSS B 82, 2020.
base::Result<PartialR2> partial_r2(const Study& study);
/// |change of the least squares figure| that a confounder with these partial R-squared makes.
double bias_of(const PartialR2& fit, double with_treatment, double with_outcome);

/// Risk ratio, at least 1, by which a hidden confounder must be tied to both treatment and outcome to explain the
/// figure away, and to move the near bound to "none" (1 where it is there already).
struct EValue {
  double figure = 1;
  double bound = 1;
  bool approximate = false;  ///< outcome is no event: risk ratio taken as exp(0.91 standardised difference)
};
/// `untreated_mean`: of the outcome without treatment, for events. Nothing where the ratio is not defined.
/// Source    VanderWeele, Ding, Ann. Intern. Med. 167, 2017.
std::optional<EValue> e_value(const Study& study, const stats::Estimate& effect);

/// Wilcoxon's signed ranks over pairs matched on the propensity, without replacement, within 0.2 deviations of the log
/// odds.
struct Rosenbaum {
  std::size_t pairs = 0;
  double p_value = 1;  ///< one-sided, without hidden bias, in the direction of the pairs' median
  double gamma = 1;    ///< odds ratio of treatment within a pair up to which p stays below 0.05; 1 where it never is
};
/// Nothing with fewer than 10 pairs or a separated propensity. Source Rosenbaum, Observational Studies, 2002, sec. 4.3.
base::Result<std::optional<Rosenbaum>> rosenbaum_bounds(const Study& study);
/// One-sided p-value of signed ranks of `differences` (zeros dropped) at odds ratio `gamma`, by the normal limit.
double signed_rank_p(const std::vector<double>& differences, double gamma);

}  // namespace plumbline::counterfactual::effects

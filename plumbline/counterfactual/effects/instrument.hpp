#pragma once
/// Two-stage least squares, and the Anderson-Rubin set that holds whatever the strength of the instruments.

#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/effects/study.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::effects {

struct InstrumentFit {
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  stats::Estimate estimate;   ///< two-stage least squares; NaN where the outcome is cannot say
  double value = 0;           ///< the figure, also where it cannot be said
  double standard_error = 0;  ///< robust (HC1), or clustered
  double classical_error = 0;
  double first_stage_f = 0;         ///< robust, of the instruments together
  std::vector<double> first_stage;  ///< slopes of the treatment in the instruments
  std::vector<double> first_stage_errors;
  double reduced_form = 0;  ///< of the first instrument on the outcome
  double reduced_form_error = 0;
  double overidentified_p = 1;  ///< Hansen's J; NaN with one instrument
  /// Values of the effect that the 0.95 test does not reject: ascending pieces, ends may be infinite, none = empty.
  std::vector<std::pair<double, double>> region;
  double ols = 0;  ///< least squares, for comparison
  double ols_error = 0;
};

/// Question  what does a unit of the treatment do to the outcome, for those whom the instruments move?
/// What      2SLS after the covariates are taken out of all; F and J with the robust (clustered) variance. The
///           Anderson-Rubin set tests, for each value b, that the instruments do not move y - b t, with the variance of
///           the unrestricted residuals: bounded exactly where the first stage is significant.
/// Outcome   cannot say: first-stage F below 10 (the set still holds), instruments that the covariates explain wholly,
///           an empty set (no value fits: the instruments contradict each other). Warns: F below 104.7, where a nominal
///           0.95 t interval of one instrument covers less (Lee et al. 2022), if the set differs from it by half.
/// Errors    kValue: no instrument, a treatment that is constant.
/// Assumes   instruments as good as drawn by lot given the covariates; they act on the outcome through the treatment
///           alone; they push everybody the same way.
/// Source    Anderson, Rubin 1949; Imbens, Angrist 1994; Andrews, Stock, Sun 2019; Lee, McCrary, Moreira, Porter 2022.
base::Result<InstrumentFit> fit_instrument(const Study& study);

}  // namespace plumbline::counterfactual::effects

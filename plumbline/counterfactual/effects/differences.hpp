#pragma once
/// Differences in differences: units before and after they got the treatment, against units that never got it.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/effects/study.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::effects {

/// The effect `lead` periods after the treatment began (negative: before it, where it must be 0).
struct EventTime {
  int lead = 0;
  double value = 0;
  double standard_error = 0;
};

struct DifferencesFit {
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  stats::Estimate estimate;  ///< mean effect on the treated over their treated periods
  double standard_error = 0;
  std::vector<EventTime> events;  ///< ascending; without -1, the base
  double pretrend_p = 1;          ///< of "all leads before the treatment are 0", joint; NaN without such leads
  std::size_t units = 0, treated_units = 0, never_treated = 0, periods = 0, cohorts = 0;
  std::size_t dropped = 0;  ///< units that miss a period, or were treated in the first
  double two_way = 0;       ///< two-way fixed effects, for comparison
  double two_way_error = 0;
};

/// Question  what did the treatment do to those who got it, after they got it?
/// Formula   for each cohort g (units first treated in period g) and period t: change of the mean outcome since the
/// period
///           before g, minus the same of the never treated; weighted by cohort sizes over t >= g. Influence over units,
///           or over clusters of units.
/// Shapes    one row a unit and period; treatment 0 or 1.
/// Outcome   cannot say: no unit, or fewer than 5, never treated or treated later than the first period; treatment that
///           ends; no period before. Warns: leads before the treatment that differ from 0 (joint p below 0.05); fewer
///           than 30 clusters; units dropped.
/// Errors    kValue: two rows of a unit and period, treatment other than 0 and 1, a cluster that cuts a unit.
///           kUnsupported: covariates.
/// Assumes   without treatment both would have moved alike; nobody acts ahead of it; units independent.
/// Source    Callaway, Sant'Anna, J. Econometrics 225, 2021 (never treated as controls, no covariates);
///           Goodman-Bacon 2021 on what two-way fixed effects add up.
base::Result<DifferencesFit> fit_differences(const Study& study);

}  // namespace plumbline::counterfactual::effects

#pragma once
/// The log lint: what is wrong with a log before anybody estimates from it.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual {

/// Rows with one fault, the first hundred of them.
struct Fault {
  std::string what;  ///< "propensity is 0, expected above 0 and at most 1"
  std::size_t count = 0;
  std::vector<std::size_t> rows;
};

/// How often an action was taken beside how often its propensities say.
struct ActionShare {
  std::string action;
  double available = 0;  ///< rows in which it could be taken
  double taken = 0;
  double ratio = 0;    ///< sum of 1 / mu over the rows that took it, over `available`; 1 where the log is right
  double p_value = 1;  ///< of ratio = 1, Student's t; 1 where it was taken fewer than 30 times
};

struct LogQuality {
  std::size_t rows = 0;
  std::size_t judged = 0;                ///< rows in which the policy acted: the only ones with a propensity to judge
  stats::Estimate impossible_share;      ///< exact: impossible values among the judged rows
  stats::Estimate duplicate_share;       ///< exact: rows that repeat an id, or everything of an earlier row
  stats::Estimate out_of_order_share;    ///< exact: rows earlier than the row before them, of those with times
  stats::Estimate missing_reward_share;  ///< exact, of the judged rows
  stats::Estimate excluded_share;        ///< exact: rows that no estimator may use
  std::optional<stats::Estimate> propensity_ratio;    ///< mean of 1 / (k mu); 1 where the log is right
  std::optional<stats::Estimate> propensity_drift;    ///< the same, second half minus first half
  std::optional<stats::Estimate> propensity_p;        ///< exact: least p-value of the actions' ratios, after Bonferroni
  std::optional<stats::Estimate> recent_missing_gap;  ///< share of missing rewards, last tenth minus the rest
  std::optional<stats::Estimate> delay;               ///< exact: 95 % quantile of the delays, seconds
  std::vector<Fault> faults;                          ///< most frequent first
  std::vector<ActionShare> actions;                   ///< of the 50 most often available
  std::vector<std::string> notes;                     ///< why a figure is absent
};

/// Question  can estimates be made from this log, and are its propensities those that were used?
/// Formula   with k available actions of positive probability, E[1 / (k mu(A))] = 1 whatever the policy, if mu is what
/// A
///           was drawn from and covers all k. An action's ratio: sum of 1 / mu(A) over rows that took it, over rows in
///           which it was available.
/// Returns   LogQuality. Shares are exact facts about the rows; ratio, drift and gap have Student's t bounds over
/// units. Outcome   propensity_ratio absent, with a note, where fewer than 30 judged rows are possible, or one row has
/// over a
///           tenth of the sum; drift where a half does; gap where no reward or every reward of a part is there.
/// Errors    none but those of the bounds.
/// Assumes   units independent; rows in the order of the decisions.
/// Cost      O(rows x actions). Deterministic.
base::Result<LogQuality> log_quality(const data::DecisionLog& log);

}  // namespace plumbline::counterfactual

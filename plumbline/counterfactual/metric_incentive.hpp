#pragma once
/// Does a metric over those who are still there pay for driving the others out?

#include <cstddef>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual {

/// Decisions about people, and what came after each.
struct StayRows {
  std::vector<int> cell;  ///< of the context
  std::vector<int> action;
  std::vector<double> propensity;
  std::vector<double> stays;  ///< 1: the person was met again within the time given
  std::vector<double> after;  ///< the reward then; 0 where nobody was met
  std::vector<int> unit;      ///< the person
  std::vector<std::string> cells;
  std::vector<std::string> actions;
  std::size_t open = 0;  ///< decisions so late that their person could not have been met again yet: left out
  Exclusions excluded;
  std::string why_none;  ///< not empty: there is nothing to follow, and this is why
  std::size_t size() const { return action.size(); }
};

/// Question  who was there again after which decision?
/// Formula   a decision about a person at time t: stays = 1 if the log holds a decision about the same person in
///           (t, t + within]; after = the reward of the first of those. Decisions with t + within beyond the log's last
///           time are open. `by` names a context column whose values are the cells ("" = one cell).
/// Outcome   `why_none`, with no rows: a log without units or times, or without a decision that is early enough.
/// Errors    kValue: `by` that the log lacks (with the nearest), or with over 50 values; within <= 0; a usable row that
///           is impossible (row_fault).
base::Result<StayRows> stay_rows(const data::DecisionLog& log, const std::string& by, double within);

struct MetricIncentiveOptions {
  double left = 0;  ///< what counts for a person who has left, in the metric over the initial pool
  base::CancelToken cancel{};
};

/// What a choice of one action a cell does, against the logging policy.
struct StayEffects {
  std::vector<std::string> choice;  ///< of each cell
  stats::Estimate metric_gain;      ///< in the mean over those who stay
  stats::Estimate stay_change;      ///< in the share that stays
  stats::Estimate pool_gain;        ///< in the mean over all, leavers counted as `left`
};

struct MetricIncentive {
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  std::size_t judged = 0;
  double effective_size = 0;  ///< least of the two choices
  double stay_metric = 0;     ///< of the logging policy
  double stay_share = 0;
  double pool_metric = 0;
  StayEffects metric;  ///< the choice that maximises the mean over those who stay
  StayEffects pool;    ///< the choice that maximises the mean over all
};

/// Question  what would an optimiser of the mean over those who stay do, and what does that do to everybody?
/// Formula   w = 1 / propensity. Mean over those who stay M(pi) = E[s y] / E[s], over the pool P(pi) = E[s y + (1 - s)
/// left].
///           On half of the people: pi_M maximises M, a ratio, by Dinkelbach's iteration over cells; pi_P maximises P
///           cell by cell. On the other half: self-normalised weighted means of both, minus those of the logging
///           policy, with the influence functions summed over people and Student's t.
/// Outcome   cannot say: no rows, with their reason; fewer than 60 people, or an effective size below 30; warns below
/// 100. Errors    kCancelled. Assumes   people independent; propensities as drawn; who leaves depends on the decision
/// and the cell, not on what
///           comes after both. The verdict is about one decision: repeated, the drift out of the pool goes on.
/// Cost      O(rows + cells x actions). Same seed, same bits.
/// Source    Bottou et al. 2013 (counterfactual metrics, the example of the happy users); Dinkelbach 1967.
base::Result<MetricIncentive> metric_incentive(const StayRows& rows, const MetricIncentiveOptions& options,
                                               const base::Rng& rng);

}  // namespace plumbline::counterfactual

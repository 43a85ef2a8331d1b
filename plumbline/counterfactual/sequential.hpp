#pragma once
/// Values of policies over whole episodes, where a decision changes what comes after it.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual {

/// Episodes of a log: rows of one unit, in the order of the log. Steps of episode e: start[e] .. start[e + 1] - 1.
struct Episodes {
  std::vector<std::size_t> start;
  std::vector<int> state;  ///< code
  std::vector<int> action;
  std::vector<double> reward;
  std::vector<double> weight;  ///< pi / mu of the action taken
  MatrixD target;              ///< steps x K: pi(a | x)
  std::size_t states = 0;
  std::size_t steps = 0;    ///< of the longest episode
  std::size_t dropped = 0;  ///< episodes with a decision that the policy did not cause
  double missing = 0;       ///< mean over episodes of the most mass on impossible actions in a step
  std::size_t size() const { return start.empty() ? 0 : start.size() - 1; }
};

/// Question  which episodes can be used, and in which states were their decisions taken?
/// Formula   an episode is a unit; it is used if all its rows are. States: the values of one context column; with no
///           name one state for all, which trajectory, per_decision and weighted do not read.
/// Errors    kValue: the log has no units; no such column (with the nearest), a missing state; no usable episode;
/// episodes x
///           steps x actions beyond 5e7 cells; and those of usable_rows.
/// Cost      O(rows x actions). Deterministic.
base::Result<Episodes> episodes_of(const data::DecisionLog& log, const TargetPolicy& target,
                                   const std::string& state_column);

enum class Sequential { kTrajectory, kPerDecision, kWeighted, kDoublyRobust, kFittedQ, kMarginal };
/// "trajectory", "per_decision", "weighted", "dr", "fitted_q", "marginal".
std::string_view sequential_name(Sequential estimator);
std::span<const std::string_view> sequential_names();
/// Errors kValue: none of the names, with the nearest.
base::Result<Sequential> parse_sequential(std::string_view name);
/// Reads the states of decisions.
bool needs_states(Sequential estimator);

struct SequentialOptions {
  double discount = 1;
  std::size_t replicates = 1000;
  int folds = 2;  ///< of the q of dr
  base::CancelToken cancel{};
};

struct SequentialValue {
  Sequential estimator = Sequential::kPerDecision;
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  stats::Estimate estimate;   ///< value NaN and no bounds where the outcome is cannot say
  double effective_size = 0;  ///< of the weights after the last step (marginal: least over the steps)
};

/// Question  what does the target earn in an episode?
/// Formula   W_t = prod_{u <= t} w_u; g the discount.
///           trajectory: mean of W_last sum g^t r_t. per_decision: mean of sum g^t W_t r_t.
///           weighted: sum_t g^t sum_i W_t r_t / sum_i W_t, with ended episodes keeping their weight.
///           dr: mean of sum_t g^t (W_t r_t - W_t q_t(s,a) + W_{t-1} v_t(s)), q by fitted_q on the other folds.
///           fitted_q: q_t(s,a) = mean of r + g v_{t+1}(s') over the rows in (t, s, a), v = sum_a pi q, backwards; a
///           cell without rows takes the mean of (s, a) over all steps, else 0. Value: mean of v_0. marginal: d_t(s)
///           forward by w-weighted counts of transitions; value sum_t g^t sum_s d_t(s) r_t(s), r_t(s) the w-weighted
///           mean reward in (t, s).
/// Outcome   cannot say: fewer than 30 episodes; missing above 0.01; an effective size below 30 (not for fitted_q,
/// which
///           warns that its error where data are absent is in no bound). Warns below 100, and where missing > 0.
/// Errors    kShape: no episode. kValue: discount outside (0, 1], folds < 2, replicates < 100. kCancelled.
/// Assumes   episodes independent and drawn alike; the states are Markov (dr: only for efficiency; trajectory,
///           per_decision, weighted: not at all).
/// Cost      O(replicates x steps x actions). Same seed, same bits. Bounds: BCa bootstrap over episodes; weighted,
///           fitted_q and marginal are computed anew in each replicate, by percentiles.
/// Source    Precup, Sutton, Singh 2000; Jiang, Li 2016; Le, Voloshin, Yue 2019; Xie, Ma, Wang 2019.
base::Result<SequentialValue> sequential_value(const Episodes& episodes, Sequential estimator,
                                               const SequentialOptions& options, const base::Rng& rng);

/// Question  how much more than the logging policy does the target earn in an episode? Paired: on the same episodes.
/// Formula   the figure minus the mean of sum g^t r_t; resamples take both together. Outcome and errors as
/// sequential_value.
base::Result<SequentialValue> sequential_gain(const Episodes& episodes, Sequential estimator,
                                              const SequentialOptions& options, const base::Rng& rng);

/// What each episode earned: sum g^t r_t.
std::vector<double> episode_returns(const Episodes& episodes, double discount);

/// The terms of one episode each for trajectory, per_decision and dr, whose value is their mean. `q`: rows steps x
/// states, t * states + s, columns actions (dr alone).
std::vector<double> episode_terms(const Episodes& episodes, Sequential estimator, double discount, const MatrixD& q);

}  // namespace plumbline::counterfactual

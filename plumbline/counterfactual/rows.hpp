#pragma once
/// The rows of a log that an estimator may use, with their weights, and what can be said about their support.

#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual {

/// Rows left out, each counted once, under the first reason that holds.
struct Exclusions {
  std::array<std::size_t, 5> cause{};  ///< decided by another than the policy, by DecisionCause
  std::size_t kind = 0;                ///< asked, refused, fell back: the policy did, and did not act
  std::size_t modified = 0;            ///< the final action is not the proposal
  std::size_t no_reward = 0;
  std::size_t total() const;
  /// "12 decided by a person, 3 without reward"; empty when none is left out.
  std::string words() const;
};

struct OpeRows {
  std::size_t logged = 0;        ///< rows of the log
  std::size_t actions = 0;       ///< K
  std::vector<std::size_t> row;  ///< of the log, ascending
  std::vector<int> action;
  std::vector<double> reward;
  std::vector<double> propensity;
  std::vector<double> weight;   ///< pi / mu of the action taken
  std::vector<double> missing;  ///< mass of the target on actions that the log cannot have taken in this row
  std::vector<int> unit;        ///< empty: every row is its own
  MatrixD target;               ///< n x K; 0 x 0 unless asked for
  Exclusions excluded;
  std::optional<double> weight_bound;  ///< largest pi / mu over all available actions; known where all of mu is logged
  std::size_t size() const { return row.size(); }
};

/// What is impossible in a row that the policy caused: propensity, probabilities, availability, reward. Empty: nothing.
/// A reward that has not arrived is no fault. `available` as log.available(row).
std::string row_fault(const data::DecisionLog& log, std::size_t row, std::span<const int> available);

/// Question  which rows may be used, and how much more often would the target have taken the logged action?
/// Formula   usable: cause policy, kind act, final = proposal, reward there. w = pi(a|x) / mu. missing: mass of pi on
///           actions that were not available, that have logged probability 0, or (where only the taken action's
///           probability is logged) that no usable row took.
/// Shapes    out: n usable rows; target n x K with `dense`.
/// Errors    kValue: a usable row whose propensity is absent, not in (0, 1], or whose action was not available, or
/// whose
///           logged probabilities do not sum to 1 (to 1e-3) or disagree with its propensity (by over 1e-3), with the
///           number of the first and how many; no usable row; reward not finite. kLimit: n x K above 4e8 with `dense`.
/// Assumes   propensities are those at the time of the decision.
/// Cost      O(rows x actions). Deterministic.
base::Result<OpeRows> usable_rows(const data::DecisionLog& log, const TargetPolicy& target, bool dense);

/// How far the log can speak for the target.
struct Support {
  double rows = 0;
  double units = 0;
  double excluded_share = 0;
  double mean_weight = 0;     ///< 1 up to chance and `missing` when the propensities are right
  double mean_weight_p = 1;   ///< of "mean weight + missing = 1", Student's t over units
  double effective_size = 0;  ///< (sum w)^2 / sum w^2, over units
  double largest_weight = 0;
  double largest_share = 0;  ///< of the total weight, in one unit
  double missing = 0;        ///< mean mass of the target on actions that the log cannot have taken
  double telling = std::numeric_limits<double>::infinity();  ///< rewards that differ from the commoner extreme
};
Support support_of(const OpeRows& rows);

enum class Outcome { kSays, kWarns, kCannotSay };
/// "says", "warns", "cannot say".
std::string_view outcome_name(Outcome outcome);

struct Judgement {
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
};
/// Limits, fixed: cannot say below 30 units, below effective size 30, above a tenth of the weight in one unit, above 1
/// % missing mass, at p < 1e-6 of the mean weight; warns below 100, above a twentieth, above 0, at p < 1e-3. `weighted`
/// false (direct method): only the number of units and the missing mass count. `by_limit`: the bounds rest on a limit
/// theorem or on resampling, and warn below 30 telling rewards, with which they come out too short.
Judgement judge_support(const Support& support, bool weighted, bool by_limit = true);

}  // namespace plumbline::counterfactual

#pragma once
/// Learning row by row: each decision is judged before it is learned from.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/learning/learned_policy.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::learning {

/// Rows whose best action is known: a classification set as a bandit. Action = class, reward 1 if it is the label.
struct LabelledRows {
  data::DecisionLog log;   ///< context and actions; its decisions are blank
  std::vector<int> label;  ///< index of `log.action_names`
};

/// Question  which decision problem is this classification set?
/// Formula   the column `label` names the best action; actions are its distinct values, ascending (numbers as numbers).
///           With a seed, rows are put into a random order, a function of the seed.
/// Errors    kValue: no such column (with the nearest), a missing label, fewer than two classes, over 10,000 of them.
base::Result<LabelledRows> labelled_rows(data::Table table, const std::string& label, const std::string& name,
                                         std::optional<std::uint64_t> shuffle);

struct OnlineRun {
  std::size_t rows = 0;                               ///< learned from, in this run
  stats::Estimate progressive;                        ///< mean reward of the decisions taken (labels), before learning
  std::optional<double> expected;                     ///< labels: its exact mean over the draws of actions
  std::optional<double> uniform;                      ///< labels: what uniform draws earn, exactly
  std::optional<double> best_fixed;                   ///< labels: what the best single action earns, exactly
  std::string best_action;                            ///< labels
  std::vector<std::pair<std::size_t, double>> curve;  ///< rows so far; mean so far (labels: exact; a log: snips)
  std::vector<PolicyValue> values;                    ///< a log: ips, snips of the learner's own decisions
  double logged = 0;                                  ///< a log: mean reward
  Exclusions excluded;                                ///< a log
  std::size_t features_left_out = 0;
  data::DecisionLog decisions;  ///< labels: the rows [first, last) with what was decided
};

struct OnlineOptions {
  std::size_t first = 0;  ///< rows [first, last) are learned from
  std::size_t last = 0;
  base::CancelToken cancel{};
};

/// Question  what does the policy earn while it learns on labelled rows, and what does it learn?
/// Formula   for each row: probabilities, a draw keyed by seed and row, reward, log, learn.
/// Returns   OnlineRun with a log whose propensities are the very numbers that the draw used.
/// Errors    kValue: fewer than two rows; first and last that are no range of rows; and those of frozen_policy for the
///           baseline. kCancelled. Cost rows x (probabilities + update). Same seed, same bits; rows [0, a) and then
///           [a, n) with the policy saved between are the same bits as [0, n).
base::Result<OnlineRun> learn_from_labels(LearnedPolicy& policy, const LabelledRows& rows,
                                          const OnlineOptions& options);

/// Question  what would the policy have earned on this log while it learned from it?
/// Formula   for each usable row: w = probability of the logged action / propensity, judged before it is learned from;
///           every usable row is learned from. Values: ips and snips of the terms, which are those of the policies in
///           turn, each of which has seen earlier rows alone (progressive validation).
/// Errors    as usable_rows; kValue also: a conservative policy, which must decide itself.
base::Result<OnlineRun> learn_from_log(LearnedPolicy& policy, const data::DecisionLog& log,
                                       const OnlineOptions& options, const base::Rng& rng);

}  // namespace plumbline::counterfactual::learning

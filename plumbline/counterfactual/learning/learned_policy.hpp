#pragma once
/// What learning leaves behind: a policy that can be evaluated on any log with the same context, and taken up again.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/learning/conservative.hpp"
#include "plumbline/counterfactual/learning/features.hpp"
#include "plumbline/counterfactual/learning/learner.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::counterfactual::learning {

/// A learner, and the share of decisions that a baseline keeps.
struct LearnedPolicy {
  FeatureMap features;
  std::vector<std::string> actions;
  std::optional<Learner> learner;            ///< or `weights`
  std::optional<ConservativeBudget> budget;  ///< with a learner alone
  std::string baseline_rule;                 ///< of the budget, as parse_policy reads it
  std::vector<double> weights;               ///< actions x features, row after row: softmax of x' weights_a
  std::uint64_t seed = 0;
  std::uint64_t rows = 0;  ///< decided or read so far; the key of the next draw

  /// Question  with which probabilities is the next decision drawn?
  /// Formula   the learner's, or m of them and 1 - m of the baseline's (conservative.hpp). `own` and `baseline`: of the
  ///           available actions (codes of `actions`); baseline may be empty without a budget.
  void probabilities(std::span<const double> x, std::span<const int> available, std::span<const double> baseline,
                     std::span<double> out) const;
  /// The number that draws the next action: a function of seed and `rows` alone.
  double draw_key() const;
  /// What became of the draw: `action` with its probability, and the baseline's probability of it (budget alone).
  void take_in(std::span<const double> x, int action, double probability, double baseline, double reward);
};

/// As JSON (docs/developer/counterfactual.md); numbers read back to the same bits. Errors kIo; kValue: text that is
/// not UTF-8.
base::Status write_policy(const std::string& path, const LearnedPolicy& policy);
std::string policy_to_json(const LearnedPolicy& policy);
/// Errors kIo; kParse: not what write_policy writes, with the part.
base::Result<LearnedPolicy> read_policy(const std::string& path);
base::Result<LearnedPolicy> policy_from_json(std::string_view text, const std::string& name);

/// The policy as it stands, frozen, on a log. Actions that it never heard of get probability 0.
/// Errors kValue: a feature that the log lacks; a baseline that cannot be made on the log.
base::Result<TargetPtr> frozen_policy(const LearnedPolicy& policy, const data::DecisionLog& log);

}  // namespace plumbline::counterfactual::learning

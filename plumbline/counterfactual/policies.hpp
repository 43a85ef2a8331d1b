#pragma once
/// Policies to be evaluated on a log: for each row, the probability of each available action.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::counterfactual {

/// A policy bound to one log. Pure and thread-safe.
class TargetPolicy {
 public:
  virtual ~TargetPolicy() = default;
  /// Probability of each of the row's available actions, in their order. What is missing to 1 lies on actions that were
  /// not available in the row, or that the log does not know.
  virtual void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const = 0;
};
using TargetPtr = std::shared_ptr<const TargetPolicy>;

/// A policy in words.
struct PolicySpec {
  std::string rule;        ///< uniform, logged, fixed, table, linear, model, onnx
  std::string action{};    ///< of fixed
  std::string path{};      ///< of table, linear, model and onnx
  double temperature = 0;  ///< of linear and onnx: softmax(score / temperature); 0 = the best score, ties shared
  double epsilon = 0;      ///< with this probability a uniform draw among the available actions instead
};

/// "uniform", "logged", "fixed:ACTION", "table:FILE", "linear:FILE", "model:FILE", "onnx:FILE".
/// Errors kValue: anything else.
base::Result<PolicySpec> parse_policy(const std::string& text);

/// The policy on the log.
/// Formula   uniform: 1 / available. logged: the probabilities in the log. fixed: 1 on one action.
///           table: CSV with the columns `action` and `probability`; every other column is a key and names a context
///           column, `position` or `id`; the probabilities of a key sum to 1.
///           linear: CSV with a column `feature` and one for each action; a row's feature is "(intercept)", a numeric
///           context column, or "column=level"; score = sum of weight x value (missing value: 0).
///           model: what `plumbline learn --save` wrote, frozen (learning/learned_policy.hpp).
///           onnx: a network's scores (network_policy.hpp).
///           (1 - epsilon) pi + epsilon / available.
/// Errors    kIo, kParse of the file. kValue: unknown rule; epsilon outside [0, 1], temperature < 0; a key or feature
///           that the log does not have; probabilities that are negative or do not sum to 1; a key repeated; a row of
///           the log whose key is not in the table; `logged` where the log holds no probabilities.
/// Cost      O(rows + table). Deterministic.
base::Result<TargetPtr> make_policy(const PolicySpec& spec, const data::DecisionLog& log);

base::Result<TargetPtr> table_policy(const data::Table& table, const std::string& name, const data::DecisionLog& log);
base::Result<TargetPtr> linear_policy(const data::Table& table, const std::string& name, double temperature,
                                      const data::DecisionLog& log);

}  // namespace plumbline::counterfactual

#pragma once
/// A policy that is a network: features of the context in, one score an action out.

#include <memory>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::counterfactual {

/// What its inputs and outputs mean, since an ONNX file cannot say it.
struct NetworkPolicy {
  std::shared_ptr<const graph::Graph> network;
  std::vector<std::string> features;  ///< numeric context columns, in the order of the input
  std::vector<std::string> actions;   ///< in the order of the output
  double temperature = 0;             ///< softmax(score / temperature); 0 = the best score, ties shared
};

/// A JSON object with `onnx` (a path, from this file's folder), `features` and `actions`.
/// Errors kIo; kParse: no such object; those of graph::read_onnx; kValue: names repeated, a network with other than one
/// input, or whose input is not (rows, features); temperature < 0.
base::Result<NetworkPolicy> read_network_policy(const std::string& path, double temperature);

/// Scores of every row by the reference interpreter, in float64, in batches of 1,024 rows, once.
/// Errors kValue: a feature that the log lacks (with the nearest) or that is no number; a decision that lacks one; a
/// score that is not finite. kShape: other than one score an action. Actions that the network does not name get
/// probability 0. Cost      one evaluation of the network a row. Deterministic.
base::Result<TargetPtr> network_policy(const NetworkPolicy& policy, const data::DecisionLog& log);

}  // namespace plumbline::counterfactual

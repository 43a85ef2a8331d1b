#pragma once
/// Runs a graph in double precision, one node after another, in plain loops: the oracle that faster executors and
/// bounds are compared with, and the executor of builds without LibTorch.

#include <map>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::graph {

/// Values by name after a run: the graph outputs, and the tensors named in `keep`.
/// Errors kShape, kValue: with the node's place. kLimit: an intermediate above `tensor_elements`.
base::Result<std::map<std::string, Tensor>> interpret(const Graph& graph, const std::map<std::string, Tensor>& inputs,
                                                      const std::vector<std::string>& keep = {},
                                                      std::uint64_t tensor_elements = std::uint64_t{1} << 28U);

}  // namespace plumbline::graph

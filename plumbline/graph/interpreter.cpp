#include "plumbline/graph/interpreter.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

base::Status check_tensor(const std::string& name, const Tensor& tensor, std::uint64_t limit) {
  const std::string place = fmt::format("input '{}'", name);
  std::uint64_t size = 1;
  for (const std::int64_t axis : tensor.shape) {
    if (axis < 0) return base::make_error(base::Code::kShape, "negative axis", place);
    if (axis != 0 && size > limit / static_cast<std::uint64_t>(axis)) {
      return base::make_error(base::Code::kLimit, fmt::format("more than {} elements", limit), place);
    }
    size *= static_cast<std::uint64_t>(axis);
  }
  if (size != (tensor.is_real() ? tensor.reals.size() : tensor.integers.size())) {
    return base::make_error(base::Code::kShape,
                            fmt::format("shape {} and its values disagree", shape_text(tensor.shape)), place);
  }
  return base::ok();
}

}  // namespace

base::Result<std::map<std::string, Tensor>> interpret(const Graph& graph, const std::map<std::string, Tensor>& inputs,
                                                      const std::vector<std::string>& keep,
                                                      std::uint64_t tensor_elements) {
  std::map<std::string, const Tensor*> known;
  for (const auto& [name, tensor] : graph.initializers) known.emplace(name, &tensor);
  for (const Port& port : graph.inputs) {
    const auto found = inputs.find(port.name);
    if (found == inputs.end()) {
      return base::make_error(base::Code::kValue, fmt::format("input '{}' is missing", port.name));
    }
    PL_CHECK(check_tensor(port.name, found->second, tensor_elements));
    if (found->second.is_real() != Tensor{.type = port.type, .shape = {}, .reals = {}, .integers = {}}.is_real()) {
      return base::make_error(base::Code::kValue, fmt::format("input '{}' is {}, expected {}", port.name,
                                                              type_name(found->second.type), type_name(port.type)));
    }
    known[port.name] = &found->second;
  }

  std::set<std::string> wanted(keep.begin(), keep.end());
  for (const Port& port : graph.outputs) wanted.insert(port.name);
  std::map<std::string, std::size_t> uses;
  for (const Node& node : graph.nodes) {
    for (const std::string& name : node.inputs) ++uses[name];
  }

  std::map<std::string, Tensor> values;  // of nodes; erased after their last use
  for (const Node& node : graph.nodes) {
    Call call{.node = node, .opset = graph.opset, .inputs = {}, .limit = tensor_elements};
    for (const std::string& name : node.inputs) {
      const auto found = known.find(name);
      if (!name.empty() && found == known.end()) {
        return base::make_error(base::Code::kValue, fmt::format("tensor '{}' is not known here", name), node.place());
      }
      call.inputs.push_back(name.empty() ? nullptr : found->second);
    }
    PL_TRY(Tensors outputs, run_operator(call));
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (i >= outputs.size()) {
        return base::make_error(base::Code::kUnsupported, fmt::format("output {} is not held", i), node.place());
      }
      const auto at = values.insert_or_assign(node.outputs[i], std::move(outputs[i])).first;
      known[node.outputs[i]] = &at->second;
    }
    for (const std::string& name : node.inputs) {
      if (--uses[name] == 0 && !wanted.contains(name) && values.erase(name) != 0) known.erase(name);
    }
  }

  std::map<std::string, Tensor> results;
  for (const std::string& name : wanted) {
    const auto found = known.find(name);
    if (found == known.end()) {
      return base::make_error(base::Code::kValue, fmt::format("the graph holds no tensor '{}'", name));
    }
    const auto own = values.find(name);
    results.emplace(name, own != values.end() ? std::move(own->second) : *found->second);
  }
  return results;
}

}  // namespace plumbline::graph

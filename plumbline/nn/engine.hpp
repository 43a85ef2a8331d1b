#pragma once
/// Inside of the room: one model graph on ATen tensors. Kernels throw; the callers in this room turn that into Results.

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plumbline/graph/graph.hpp"

namespace at {
class Tensor;
}

namespace plumbline::nn {

/// Reals are float or double throughout a run; integers and bools are int64, with the file's type beside them.
enum class Precision { kFloat32, kFloat64 };

struct Value {
  std::shared_ptr<at::Tensor> tensor;
  graph::Type type = graph::Type::kFloat;
};
using Values = std::map<std::string, Value>;

/// An error with its place, thrown between the sources of this room only.
class EngineError : public std::exception {
 public:
  explicit EngineError(base::Error error) : error_(std::move(error)) {}
  const base::Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  base::Error error_;
};

/// Calls body() and turns whatever it throws into an error: EngineError as it is, LibTorch's own with its first line.
base::Status guarded(const std::function<void()>& body);

/// One thread and no generator of LibTorch's in the calling thread. Cheap after the first call in a thread.
void enter_torch();

Value to_value(const graph::Tensor& tensor, Precision precision);
graph::Tensor to_graph_tensor(const Value& value);

/// Runs the nodes in order over `values`, which holds the inputs and initialisers, and adds what they compute; values
/// that are neither outputs of the graph nor in `keep` go after their last use. Records gradients where the thread's
/// mode and the values ask for it.
void run_nodes(const graph::Graph& graph, Values& values, const std::vector<std::string>& keep, Precision precision);

/// Operators with a kernel on ATen; the others of graph::supported_operators() run on the interpreter, without
/// gradient.
const std::vector<std::string>& native_operators();

}  // namespace plumbline::nn

/// Bytes as an ONNX model: parsing must refuse or succeed, and what succeeds must run or be refused, within bounds.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/onnx.hpp"

namespace {

using plumbline::graph::Graph;
using plumbline::graph::Tensor;

constexpr std::uint64_t kElements = 1 << 10;

/// Zeros or ones in the declared shape; free axes are 2.
Tensor sample(const plumbline::graph::Port& port) {
  Tensor tensor{.type = port.type, .shape = port.shape, .reals = {}, .integers = {}};
  std::uint64_t size = 1;
  for (std::int64_t& axis : tensor.shape) {
    if (axis < 0) axis = 2;
    size *= static_cast<std::uint64_t>(axis);
    if (size > kElements) return {};
  }
  if (tensor.is_real()) {
    tensor.reals.assign(size, 0.5);
  } else {
    tensor.integers.assign(size, 1);
  }
  return tensor;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  plumbline::graph::OnnxLimits limits;
  limits.file_bytes = 1 << 16;
  limits.tensor_elements = kElements;
  limits.nodes = 64;
  const auto graph = plumbline::graph::parse_onnx({reinterpret_cast<const char*>(data), size}, {}, limits);
  if (!graph.ok()) return 0;
  std::map<std::string, Tensor> inputs;
  for (const auto& port : graph->inputs) inputs[port.name] = sample(port);
  (void)plumbline::graph::interpret(*graph, inputs, {}, kElements);
  return 0;
}

#pragma once
/// Reading and writing ONNX files.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::graph {

/// Bounds on what a hostile file can cost.
struct OnnxLimits {
  std::uint64_t file_bytes = std::uint64_t{2} << 30U;
  std::uint64_t tensor_elements = std::uint64_t{1} << 28U;  ///< each, and the declared shape of any tensor
  std::size_t nodes = 100'000;
  /// Models below this opset are refused as a whole. Opset 6 is read as opset 7, node by node, where that changes no
  /// meaning; below 6, operators whose definition is as old are held.
  std::int64_t oldest_opset = 6;
};

/// Parses an ONNX file into a graph: opsets 7 to 21 for the operators in supported_operators() (6 where it means the
/// same), newer IR versions read.
/// External data is read only from the model's own folder.
/// Errors  kIo: unreadable. kParse: not ONNX, truncated, cycle, missing initialiser, shape and data disagree.
///         kUnsupported: unknown operator or attribute (message names node and operator), opset, type.
///         kLimit: larger than `limits`. kValue: external data path leaves the folder.
base::Result<Graph> read_onnx(const std::string& path, const OnnxLimits& limits = {});
/// The same from memory; external data is refused unless `folder` is given.
base::Result<Graph> parse_onnx(std::string_view bytes, const std::string& folder = {}, const OnnxLimits& limits = {});

/// Writes a graph as ONNX (weights inside the file; float tensors as float32).
/// Errors kIo: not writable. kUnsupported: an attribute or type that ONNX lacks.
base::Status write_onnx(const Graph& graph, const std::string& path);

/// One row per operator that the importer and both executors hold.
struct OperatorInfo {
  std::string_view name;
  int min_opset;
  int max_opset;
  std::string_view limits;  ///< what is not held, in words; empty = all of it
};
const std::vector<OperatorInfo>& supported_operators();
/// The page docs/user/operators.md, from supported_operators().
std::string operators_page();

}  // namespace plumbline::graph

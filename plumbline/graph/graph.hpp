#pragma once
/// The model graph: ONNX parsed once into nodes, weights and shapes, without LibTorch. Executors (graph/interpreter.hpp
/// in double, nn/executor.hpp with gradients) and bounds are consumers of it.

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::graph {

/// Element types that the listed operators use. Tensors in the graph hold their values as read.
enum class Type { kFloat, kDouble, kInt32, kInt64, kBool, kUint8, kInt8, kFloat16, kString };
std::string_view type_name(Type type);

/// A dense tensor in row-major order. Floating types are held as double (float32 values exactly), integer and
/// bool types as int64; `type` keeps what the file said, so that executors may run at the file's precision.
struct Tensor {
  Type type = Type::kFloat;
  std::vector<std::int64_t> shape;
  std::vector<double> reals;           ///< when is_real()
  std::vector<std::int64_t> integers;  ///< otherwise

  bool is_real() const { return type == Type::kFloat || type == Type::kDouble || type == Type::kFloat16; }
  std::int64_t size() const;
};

struct Node;
struct Graph;

using Attribute = std::variant<double, std::int64_t, std::string, std::vector<double>, std::vector<std::int64_t>,
                               std::vector<std::string>, Tensor>;

/// One operator application. Empty input names stand for absent optional inputs, as in ONNX.
struct Node {
  std::string name;  ///< never empty after import ("#12" where the file has none)
  std::string op;    ///< ONNX operator type, default domain
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;

  /// "node 'conv1' (Conv)": the place named in errors.
  std::string place() const;
};

/// A graph input or output. Unknown or symbolic axes are -1.
struct Port {
  std::string name;
  Type type = Type::kFloat;
  std::vector<std::int64_t> shape;
};

/// Nodes are in a valid execution order (the importer sorts and refuses cycles); every node input is a graph input,
/// an initialiser, or an output of an earlier node.
struct Graph {
  std::string name;
  std::int64_t opset = 13;
  std::vector<Port> inputs;  ///< without initialisers
  std::vector<Port> outputs;
  std::map<std::string, Tensor> initializers;
  std::vector<Node> nodes;
};

}  // namespace plumbline::graph

#include "plumbline/graph/graph.hpp"

#include <fmt/format.h>

namespace plumbline::graph {

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kFloat: return "float";
    case Type::kDouble: return "double";
    case Type::kInt32: return "int32";
    case Type::kInt64: return "int64";
    case Type::kBool: return "bool";
    case Type::kUint8: return "uint8";
    case Type::kInt8: return "int8";
    case Type::kFloat16: return "float16";
    case Type::kString: return "string";
  }
  return "float";
}

std::int64_t Tensor::size() const {
  std::int64_t size = 1;
  for (const std::int64_t axis : shape) size *= axis;
  return size;
}

std::string Node::place() const { return fmt::format("node '{}' ({})", name, op); }

}  // namespace plumbline::graph

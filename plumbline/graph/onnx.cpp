#include "plumbline/graph/onnx.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <set>

#include "plumbline/graph/onnx_tensor.hpp"
#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;
using base::make_error;
namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "raw tensor data is read as little endian");

/// A name from the file, safe to print.
std::string shown(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  std::string clean;
  for (const char letter : name.substr(0, kLongest)) {
    clean += static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F ? '?' : letter;
  }
  return name.size() > kLongest ? fmt::format("'{}…'", clean) : fmt::format("'{}'", clean);
}

std::optional<Type> type_of(int code) {
  switch (code) {
    case onnx::TensorProto::FLOAT: return Type::kFloat;
    case onnx::TensorProto::BFLOAT16: return Type::kFloat;  // every bfloat16 is a float
    case onnx::TensorProto::DOUBLE: return Type::kDouble;
    case onnx::TensorProto::FLOAT16: return Type::kFloat16;
    case onnx::TensorProto::INT8: return Type::kInt8;
    case onnx::TensorProto::UINT8: return Type::kUint8;
    case onnx::TensorProto::INT32: return Type::kInt32;
    case onnx::TensorProto::INT64: return Type::kInt64;
    case onnx::TensorProto::BOOL: return Type::kBool;
    default: return std::nullopt;
  }
}

base::Result<Type> held_type(int code) {
  const auto type = type_of(code);
  if (type) return *type;
  const std::string name = onnx::TensorProto::DataType_IsValid(code)
                               ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(code))
                               : std::to_string(code);
  return make_error(Code::kUnsupported, fmt::format("element type {} is not held", name), {},
                    "convert the tensor to float, double, float16, bfloat16, int8, uint8, int32, int64 or bool");
}

std::size_t bytes_per_element(int code) {
  switch (code) {
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::INT64: return 8;
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::INT32: return 4;
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16: return 2;
    default: return 1;
  }
}

base::Result<std::uint64_t> element_count(const Shape& shape, std::uint64_t limit) {
  std::uint64_t size = 1;
  for (const std::int64_t axis : shape) {
    if (axis < 0) return make_error(Code::kParse, fmt::format("shape {} has a negative axis", shape_text(shape)));
    if (axis != 0 && size > limit / static_cast<std::uint64_t>(axis)) {
      return make_error(Code::kLimit, fmt::format("shape {} has more than {} elements", shape_text(shape), limit));
    }
    size *= static_cast<std::uint64_t>(axis);
  }
  return size;
}

template <class T>
T element(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void fill_raw(Tensor& tensor, int code, const char* bytes, std::size_t count) {
  const std::size_t step = bytes_per_element(code);
  if (tensor.is_real()) {
    tensor.reals.resize(count);
  } else {
    tensor.integers.resize(count);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const char* at = bytes + i * step;
    switch (code) {
      case onnx::TensorProto::FLOAT: tensor.reals[i] = element<float>(at); break;
      case onnx::TensorProto::DOUBLE: tensor.reals[i] = element<double>(at); break;
      case onnx::TensorProto::FLOAT16: tensor.reals[i] = half_to_double(element<std::uint16_t>(at)); break;
      case onnx::TensorProto::BFLOAT16:
        tensor.reals[i] = std::bit_cast<float>(static_cast<std::uint32_t>(element<std::uint16_t>(at)) << 16U);
        break;
      case onnx::TensorProto::INT64: tensor.integers[i] = element<std::int64_t>(at); break;
      case onnx::TensorProto::INT32: tensor.integers[i] = element<std::int32_t>(at); break;
      case onnx::TensorProto::INT8: tensor.integers[i] = element<std::int8_t>(at); break;
      case onnx::TensorProto::UINT8: tensor.integers[i] = element<std::uint8_t>(at); break;
      default: tensor.integers[i] = *at != 0 ? 1 : 0; break;
    }
  }
}

/// Reads `length` bytes at `offset` of a file inside `folder`. The path is followed only when, after resolving symbolic
/// links, it still lies in the folder.
base::Result<std::string> external_bytes(const onnx::TensorProto& proto, const std::string& folder,
                                         std::uint64_t need) {
  if (folder.empty()) {
    return make_error(Code::kUnsupported, "external data, but the model was not read from a folder");
  }
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = need;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
      continue;
    }
    if (entry.key() != "offset" && entry.key() != "length") continue;
    std::uint64_t number = 0;
    if (entry.value().empty() || entry.value().size() > 18) {
      return make_error(Code::kParse, fmt::format("external data: {} is not a number", entry.key()));
    }
    for (const char digit : entry.value()) {
      if (digit < '0' || digit > '9') {
        return make_error(Code::kParse, fmt::format("external data: {} is not a number", entry.key()));
      }
      number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    (entry.key() == "offset" ? offset : length) = number;
  }
  if (length != need) {
    return make_error(Code::kParse, fmt::format("external data holds {} bytes, the shape needs {}", length, need));
  }
  if (location.empty() || location.find('\0') != std::string::npos) {
    return make_error(Code::kParse, "external data without a location");
  }
  const fs::path relative(location);
  std::error_code trouble;
  const fs::path root = fs::canonical(folder, trouble);
  if (trouble) return make_error(Code::kIo, fmt::format("cannot open folder {}", shown(folder)));
  const fs::path file = fs::canonical(root / relative, trouble);
  const bool climbs =
      relative.is_absolute() || std::find(relative.begin(), relative.end(), fs::path("..")) != relative.end();
  const fs::path from_root = trouble ? fs::path() : file.lexically_relative(root);
  if (climbs || (!trouble && (from_root.empty() || *from_root.begin() == ".."))) {
    return make_error(Code::kValue, fmt::format("external data path {} leaves the model's folder", shown(location)), {},
                      "keep external data beside the model");
  }
  if (trouble) return make_error(Code::kIo, fmt::format("external data file {} cannot be opened", shown(location)));
  if (!fs::is_regular_file(file, trouble)) {
    return make_error(Code::kIo, fmt::format("external data {} is not a file", shown(location)));
  }
  const std::uint64_t size = fs::file_size(file, trouble);
  if (trouble || offset > size || need > size - offset) {
    return make_error(Code::kParse,
                      fmt::format("external data file {} ends before byte {}", shown(location), offset + need));
  }
  std::ifstream in(file, std::ios::binary);
  std::string bytes(need, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(bytes.data(), static_cast<std::streamsize>(need));
  if (!in) return make_error(Code::kIo, fmt::format("external data file {} cannot be read", shown(location)));
  return bytes;
}

base::Result<Tensor> read_tensor(const onnx::TensorProto& proto, const std::string& folder, const OnnxLimits& limits) {
  PL_TRY(const Type type, held_type(proto.data_type()));
  if (proto.has_segment()) return make_error(Code::kUnsupported, "segmented tensors are not held");
  Tensor tensor{.type = type, .shape = {proto.dims().begin(), proto.dims().end()}, .reals = {}, .integers = {}};
  PL_TRY(const std::uint64_t count, element_count(tensor.shape, limits.tensor_elements));
  const int code = proto.data_type();
  const std::uint64_t need = count * bytes_per_element(code);
  const auto disagree = [&](std::uint64_t held) {
    return make_error(Code::kParse, fmt::format("shape {} needs {} values, the data holds {}", shape_text(tensor.shape),
                                                count, held));
  };
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    PL_TRY(const std::string bytes, external_bytes(proto, folder, need));
    fill_raw(tensor, code, bytes.data(), count);
    return tensor;
  }
  if (proto.has_raw_data()) {
    if (proto.raw_data().size() != need) return disagree(proto.raw_data().size() / bytes_per_element(code));
    fill_raw(tensor, code, proto.raw_data().data(), count);
    return tensor;
  }
  if (code == onnx::TensorProto::FLOAT) {
    if (static_cast<std::uint64_t>(proto.float_data_size()) != count) return disagree(proto.float_data().size());
    tensor.reals.assign(proto.float_data().begin(), proto.float_data().end());
  } else if (code == onnx::TensorProto::DOUBLE) {
    if (static_cast<std::uint64_t>(proto.double_data_size()) != count) return disagree(proto.double_data().size());
    tensor.reals.assign(proto.double_data().begin(), proto.double_data().end());
  } else if (code == onnx::TensorProto::INT64) {
    if (static_cast<std::uint64_t>(proto.int64_data_size()) != count) return disagree(proto.int64_data().size());
    tensor.integers.assign(proto.int64_data().begin(), proto.int64_data().end());
  } else {
    if (static_cast<std::uint64_t>(proto.int32_data_size()) != count) return disagree(proto.int32_data().size());
    for (const std::int32_t value : proto.int32_data()) {
      if (code == onnx::TensorProto::FLOAT16) {
        tensor.reals.push_back(half_to_double(static_cast<std::uint16_t>(value)));
      } else if (code == onnx::TensorProto::BFLOAT16) {
        tensor.reals.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U));
      } else {
        tensor.integers.push_back(wrap(type, value));
      }
    }
  }
  return tensor;
}

base::Result<Attribute> read_attribute(const onnx::AttributeProto& proto, const std::string& folder,
                                       const OnnxLimits& limits) {
  if (!proto.ref_attr_name().empty())
    return make_error(Code::kUnsupported, "references to function attributes are not held");
  switch (proto.type()) {
    case onnx::AttributeProto::FLOAT: return Attribute(static_cast<double>(proto.f()));
    case onnx::AttributeProto::INT: return Attribute(static_cast<std::int64_t>(proto.i()));
    case onnx::AttributeProto::STRING: return Attribute(proto.s());
    case onnx::AttributeProto::FLOATS:
      return Attribute(std::vector<double>(proto.floats().begin(), proto.floats().end()));
    case onnx::AttributeProto::INTS:
      return Attribute(std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end()));
    case onnx::AttributeProto::STRINGS:
      return Attribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case onnx::AttributeProto::TENSOR: {
      PL_TRY(Tensor tensor, read_tensor(proto.t(), folder, limits));
      return Attribute(std::move(tensor));
    }
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::GRAPHS: return make_error(Code::kUnsupported, "a subgraph (control flow) is not held");
    default: return make_error(Code::kUnsupported, "an attribute of this kind is not held");
  }
}

base::Result<Port> read_port(const onnx::ValueInfoProto& info, const OnnxLimits& limits) {
  Port port{.name = info.name(), .type = Type::kFloat, .shape = {}};
  const std::string place = fmt::format("input or output {}", shown(info.name()));
  if (info.name().empty()) return make_error(Code::kParse, "a graph input or output has no name");
  if (!info.type().has_tensor_type()) {
    return make_error(Code::kUnsupported, "only dense tensors are held", place);
  }
  const auto& tensor = info.type().tensor_type();
  auto type = held_type(tensor.elem_type());
  if (!type) return type.error().at(place);
  port.type = *type;
  Shape known;
  for (const auto& axis : tensor.shape().dim()) {
    const bool fixed = axis.has_dim_value();
    if (fixed && axis.dim_value() < 0 && axis.dim_value() != -1) {
      return make_error(Code::kParse, fmt::format("axis of size {}", axis.dim_value()), place);
    }
    const std::int64_t size = fixed ? axis.dim_value() : -1;
    port.shape.push_back(size);
    if (size > 0) known.push_back(size);
  }
  auto count = element_count(known, limits.tensor_elements);
  if (!count) return count.error().at(place);
  return port;
}

/// The value of a Constant node.
base::Result<Tensor> constant_value(const Node& node) {
  if (node.attributes.size() != 1) {
    return make_error(Code::kParse, "a Constant must carry exactly one value", node.place());
  }
  const auto& [name, value] = *node.attributes.begin();
  if (const auto* tensor = std::get_if<Tensor>(&value); tensor != nullptr && name == "value") return *tensor;
  if (const auto* real = std::get_if<double>(&value); real != nullptr && name == "value_float") {
    return Tensor{.type = Type::kFloat, .shape = {}, .reals = {*real}, .integers = {}};
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value); whole != nullptr && name == "value_int") {
    return Tensor{.type = Type::kInt64, .shape = {}, .reals = {}, .integers = {*whole}};
  }
  if (const auto* reals = std::get_if<std::vector<double>>(&value); reals != nullptr && name == "value_floats") {
    return Tensor{
        .type = Type::kFloat, .shape = {static_cast<std::int64_t>(reals->size())}, .reals = *reals, .integers = {}};
  }
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&value); whole != nullptr && name == "value_ints") {
    return Tensor{
        .type = Type::kInt64, .shape = {static_cast<std::int64_t>(whole->size())}, .reals = {}, .integers = *whole};
  }
  return make_error(Code::kUnsupported, fmt::format("a Constant with attribute {} is not held", shown(name)),
                    node.place());
}

base::Result<std::int64_t> default_opset(const onnx::ModelProto& model, std::int64_t oldest) {
  std::optional<std::int64_t> opset;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  if (!opset) return make_error(Code::kParse, "the model names no opset of the default domain");
  if (*opset < oldest || *opset > kNewestOpset) {
    return make_error(Code::kUnsupported, fmt::format("opset {}, expected {} to {}", *opset, oldest, kNewestOpset), {},
                      "export the model again with an opset in that range, for example 17");
  }
  return *opset;
}

/// Orders the nodes so that each comes after the producers of its inputs; ties keep the order of the file.
base::Result<std::vector<Node>> sorted(std::vector<Node> nodes, const std::set<std::string>& given) {
  std::map<std::string, std::size_t> producer;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i].outputs) {
      if (name.empty()) continue;
      if (given.contains(name) || !producer.emplace(name, i).second) {
        return make_error(Code::kParse, fmt::format("tensor {} is produced twice", shown(name)), nodes[i].place());
      }
    }
  }
  std::vector<std::size_t> waiting(nodes.size(), 0);
  std::vector<std::vector<std::size_t>> readers(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i].inputs) {
      if (name.empty() || given.contains(name)) continue;
      const auto found = producer.find(name);
      if (found == producer.end()) {
        return make_error(
            Code::kParse,
            fmt::format("input {} is neither an input of the graph, nor an initialiser, nor a node's output",
                        shown(name)),
            nodes[i].place());
      }
      readers[found->second].push_back(i);
      ++waiting[i];
    }
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<Node> order;
  order.reserve(nodes.size());
  while (!ready.empty()) {
    const std::size_t i = ready.top();
    ready.pop();
    for (const std::size_t reader : readers[i]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
    order.push_back(std::move(nodes[i]));
  }
  if (order.size() != nodes.size()) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (waiting[i] != 0) return make_error(Code::kParse, "the graph has a cycle", nodes[i].place());
    }
  }
  return order;
}

/// Rewrites a node of opset 6 as opset 7, which brought NumPy broadcasting and dropped the test-time flags.
base::Status upgrade_to_7(Node& node) {
  static const std::set<std::string> kBroadcast = {"Add",  "And", "Div", "Equal", "Gemm", "Greater",
                                                   "Less", "Mul", "Or",  "Pow",   "Sub",  "Xor"};
  if (kBroadcast.contains(node.op)) {
    // Without `axis` the smaller shape is matched from the last axis on, as in NumPy.
    if (node.attributes.contains("axis")) {
      return make_error(Code::kUnsupported, "attribute 'axis' of opset 6 is not held", node.place(),
                        "export the model again with a newer opset, for example 17");
    }
    node.attributes.erase("broadcast");
    return base::ok();
  }
  if (node.op == "BatchNormalization" || node.op == "Dropout") {
    const auto found = node.attributes.find("is_test");
    const auto* test = found == node.attributes.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
    if (test == nullptr || *test == 0) {
      return make_error(Code::kUnsupported, "training mode is not held", node.place(),
                        "export the model for inference");
    }
    node.attributes.erase(found);
    return base::ok();
  }
  if (node.op == "AveragePool") return base::ok();
  return check_node(node, 6);
}

/// Exporters of that time fed Gemm tensors such as 1 x 1 x 1 x 5, meaning a row; a matrix is flattened to itself.
std::optional<Node> flatten_before(Node& gemm) {
  if (gemm.op != "Gemm" || gemm.inputs.empty()) return std::nullopt;
  const auto found = gemm.attributes.find("transA");
  if (found != gemm.attributes.end() &&
      !(std::holds_alternative<std::int64_t>(found->second) && std::get<std::int64_t>(found->second) == 0)) {
    return std::nullopt;
  }
  Node flat{.name = gemm.name + "/flat",
            .op = "Flatten",
            .inputs = {gemm.inputs[0]},
            .outputs = {gemm.name + "/flat"},
            .attributes = {{"axis", std::int64_t{1}}}};
  gemm.inputs[0] = flat.outputs[0];
  return flat;
}

base::Result<Node> read_node(const onnx::NodeProto& proto, std::size_t index, const std::string& folder,
                             const OnnxLimits& limits) {
  Node node{.name = proto.name().empty() ? fmt::format("#{}", index) : proto.name(),
            .op = proto.op_type(),
            .inputs = {proto.input().begin(), proto.input().end()},
            .outputs = {proto.output().begin(), proto.output().end()},
            .attributes = {}};
  if (!proto.domain().empty() && proto.domain() != "ai.onnx") {
    return make_error(
        Code::kUnsupported,
        fmt::format("operator {} of domain {} is not held", shown(proto.op_type()), shown(proto.domain())),
        node.place());
  }
  if (find_operator(node.op) == nullptr) return check_node(node, kNewestOpset).error();
  for (const auto& attribute : proto.attribute()) {
    auto value = read_attribute(attribute, folder, limits);
    if (!value) return value.error().at(fmt::format("attribute {}", shown(attribute.name()))).at(node.place());
    if (!node.attributes.emplace(attribute.name(), std::move(value).value()).second) {
      return make_error(Code::kParse, fmt::format("attribute {} is given twice", shown(attribute.name())),
                        node.place());
    }
  }
  return node;
}

base::Result<Graph> read_graph(const onnx::ModelProto& model, const std::string& folder, const OnnxLimits& limits) {
  if (!model.has_graph()) return make_error(Code::kParse, "the file holds no graph", {}, "is it an ONNX model?");
  const auto& proto = model.graph();
  if (static_cast<std::size_t>(proto.node_size()) > limits.nodes) {
    return make_error(Code::kLimit, fmt::format("{} nodes, at most {}", proto.node_size(), limits.nodes));
  }
  if (model.functions_size() > 0) {
    return make_error(Code::kUnsupported,
                      fmt::format("function {} of the model is not held", shown(model.functions(0).name())), {},
                      "inline the model's functions when exporting");
  }
  if (proto.sparse_initializer_size() > 0) return make_error(Code::kUnsupported, "sparse initialisers are not held");
  Graph graph;
  graph.name = proto.name();
  PL_TRY(const std::int64_t opset, default_opset(model, limits.oldest_opset));
  graph.opset = opset == 6 ? 7 : opset;
  std::set<std::string> given;
  for (const auto& tensor : proto.initializer()) {
    const std::string place = fmt::format("initialiser {}", shown(tensor.name()));
    if (tensor.name().empty()) return make_error(Code::kParse, "an initialiser has no name");
    if (!given.insert(tensor.name()).second) return make_error(Code::kParse, "given twice", place);
    auto value = read_tensor(tensor, folder, limits);
    if (!value) return value.error().at(place);
    graph.initializers.emplace(tensor.name(), std::move(value).value());
  }
  std::set<std::string> input_names;
  for (const auto& input : proto.input()) {
    if (!input_names.insert(input.name()).second) {
      return make_error(Code::kParse, fmt::format("graph input {} is given twice", shown(input.name())));
    }
    if (graph.initializers.contains(input.name())) continue;  // a default value: taken as constant
    PL_TRY(Port port, read_port(input, limits));
    given.insert(port.name);
    graph.inputs.push_back(std::move(port));
  }
  std::vector<Node> nodes;
  for (int i = 0; i < proto.node_size(); ++i) {
    PL_TRY(Node node, read_node(proto.node(i), static_cast<std::size_t>(i), folder, limits));
    if (opset == 6) {
      PL_CHECK(upgrade_to_7(node));
      if (auto flat = flatten_before(node)) nodes.push_back(std::move(*flat));
    }
    PL_CHECK(check_node(node, graph.opset));
    if (node.op != "Constant") {
      nodes.push_back(std::move(node));
      continue;
    }
    PL_TRY(Tensor value, constant_value(node));
    if (node.outputs.size() != 1 || node.outputs[0].empty()) {
      return make_error(Code::kParse, "a Constant has one output", node.place());
    }
    if (!given.insert(node.outputs[0]).second) {
      return make_error(Code::kParse, fmt::format("tensor {} is produced twice", shown(node.outputs[0])), node.place());
    }
    graph.initializers.emplace(node.outputs[0], std::move(value));
  }
  PL_TRY(graph.nodes, sorted(std::move(nodes), given));
  std::set<std::string> known = given;
  for (const Node& node : graph.nodes) known.insert(node.outputs.begin(), node.outputs.end());
  std::set<std::string> output_names;
  for (const auto& output : proto.output()) {
    PL_TRY(Port port, read_port(output, limits));
    if (!known.contains(port.name)) {
      return make_error(Code::kParse, fmt::format("graph output {} is produced by no node", shown(port.name)));
    }
    if (!output_names.insert(port.name).second) {
      return make_error(Code::kParse, fmt::format("graph output {} is given twice", shown(port.name)));
    }
    graph.outputs.push_back(std::move(port));
  }
  if (graph.outputs.empty()) return make_error(Code::kParse, "the graph has no output");
  return graph;
}

template <class Message>
bool parse_bounded(Message& message, std::string_view bytes) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(64);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  return message.ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage();
}

base::Result<std::string> file_bytes(const std::string& path, std::uint64_t most) {
  std::error_code trouble;
  if (!fs::is_regular_file(path, trouble)) return make_error(Code::kIo, "cannot be opened as a file", path);
  const std::uint64_t size = fs::file_size(path, trouble);
  if (trouble) return make_error(Code::kIo, "cannot be read", path);
  if (size > most) return make_error(Code::kLimit, fmt::format("{} bytes, at most {}", size, most), path);
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in) return make_error(Code::kIo, "cannot be read", path);
  return bytes;
}

// Writing -----------------------------------------------------------------------------------------------------------

int code_of(Type type) {
  switch (type) {
    case Type::kFloat: return onnx::TensorProto::FLOAT;
    case Type::kDouble: return onnx::TensorProto::DOUBLE;
    case Type::kInt32: return onnx::TensorProto::INT32;
    case Type::kInt64: return onnx::TensorProto::INT64;
    case Type::kBool: return onnx::TensorProto::BOOL;
    case Type::kUint8: return onnx::TensorProto::UINT8;
    case Type::kInt8: return onnx::TensorProto::INT8;
    case Type::kFloat16: return onnx::TensorProto::FLOAT16;
    case Type::kString: return onnx::TensorProto::STRING;
  }
  return onnx::TensorProto::UNDEFINED;
}

template <class T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

base::Status write_tensor(const Tensor& tensor, onnx::TensorProto& proto) {
  if (tensor.type == Type::kString) return make_error(Code::kUnsupported, "text tensors cannot be written");
  const auto held = static_cast<std::int64_t>(tensor.is_real() ? tensor.reals.size() : tensor.integers.size());
  if (held != tensor.size()) {
    return make_error(Code::kShape, fmt::format("shape {} and {} values disagree", shape_text(tensor.shape), held));
  }
  proto.set_data_type(code_of(tensor.type));
  for (const std::int64_t axis : tensor.shape) proto.add_dims(axis);
  std::string bytes;
  for (const double value : tensor.reals) {
    if (tensor.type == Type::kFloat) {
      append(bytes, static_cast<float>(value));
    } else if (tensor.type == Type::kFloat16) {
      append(bytes, double_to_half(value));
    } else {
      append(bytes, value);
    }
  }
  for (const std::int64_t value : tensor.integers) {
    switch (tensor.type) {
      case Type::kInt64: append(bytes, value); break;
      case Type::kInt32: append(bytes, static_cast<std::int32_t>(value)); break;
      default: append(bytes, static_cast<std::int8_t>(value)); break;
    }
  }
  proto.set_raw_data(std::move(bytes));
  return base::ok();
}

struct AttributeWriter {
  onnx::AttributeProto& proto;

  base::Status operator()(double value) const {
    proto.set_type(onnx::AttributeProto::FLOAT);
    proto.set_f(static_cast<float>(value));
    return base::ok();
  }
  base::Status operator()(std::int64_t value) const {
    proto.set_type(onnx::AttributeProto::INT);
    proto.set_i(value);
    return base::ok();
  }
  base::Status operator()(const std::string& value) const {
    proto.set_type(onnx::AttributeProto::STRING);
    proto.set_s(value);
    return base::ok();
  }
  base::Status operator()(const std::vector<double>& values) const {
    proto.set_type(onnx::AttributeProto::FLOATS);
    for (const double value : values) proto.add_floats(static_cast<float>(value));
    return base::ok();
  }
  base::Status operator()(const std::vector<std::int64_t>& values) const {
    proto.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) proto.add_ints(value);
    return base::ok();
  }
  base::Status operator()(const std::vector<std::string>& values) const {
    proto.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : values) proto.add_strings(value);
    return base::ok();
  }
  base::Status operator()(const Tensor& value) const {
    proto.set_type(onnx::AttributeProto::TENSOR);
    return write_tensor(value, *proto.mutable_t());
  }
};

void write_port(const Port& port, onnx::ValueInfoProto& info) {
  info.set_name(port.name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(code_of(port.type));
  tensor->mutable_shape();
  for (std::size_t i = 0; i < port.shape.size(); ++i) {
    auto* axis = tensor->mutable_shape()->add_dim();
    if (port.shape[i] >= 0) {
      axis->set_dim_value(port.shape[i]);
    } else {
      axis->set_dim_param(i == 0 ? "batch" : fmt::format("{}_{}", port.name, i));
    }
  }
}

/// The IR version that first carried an opset, so that older readers are not shut out for nothing.
int ir_version(std::int64_t opset) {
  if (opset <= 8) return 3;
  if (opset <= 9) return 4;
  if (opset <= 10) return 5;
  if (opset <= 11) return 6;
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  if (opset <= 20) return 9;
  return 10;
}

}  // namespace

base::Result<Graph> parse_onnx(std::string_view bytes, const std::string& folder, const OnnxLimits& limits) {
  if (bytes.size() > limits.file_bytes || bytes.size() > std::numeric_limits<int>::max()) {
    return make_error(Code::kLimit, fmt::format("{} bytes, at most {}", bytes.size(), limits.file_bytes));
  }
  onnx::ModelProto model;
  if (bytes.empty() || !parse_bounded(model, bytes)) {
    return make_error(Code::kParse, "not an ONNX model, or cut off", {}, "copy or export the file again");
  }
  return read_graph(model, folder, limits);
}

base::Result<Graph> read_onnx(const std::string& path, const OnnxLimits& limits) {
  PL_TRY(const std::string bytes, file_bytes(path, limits.file_bytes));
  const fs::path folder = fs::path(path).parent_path();
  auto graph = parse_onnx(bytes, folder.empty() ? "." : folder.string(), limits);
  if (!graph) return graph.error().at(path);
  return graph;
}

base::Status write_onnx(const Graph& graph, const std::string& path) {
  onnx::ModelProto model;
  model.set_ir_version(ir_version(graph.opset));
  model.set_producer_name("plumbline");
  auto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(graph.opset);
  auto* proto = model.mutable_graph();
  proto->set_name(graph.name.empty() ? "graph" : graph.name);
  for (const Port& port : graph.inputs) write_port(port, *proto->add_input());
  for (const Port& port : graph.outputs) write_port(port, *proto->add_output());
  for (const auto& [name, tensor] : graph.initializers) {
    auto* to = proto->add_initializer();
    to->set_name(name);
    if (auto done = write_tensor(tensor, *to); !done)
      return done.error().at(fmt::format("initialiser {}", shown(name)));
  }
  for (const Node& node : graph.nodes) {
    auto* to = proto->add_node();
    to->set_name(node.name);
    to->set_op_type(node.op);
    for (const std::string& name : node.inputs) to->add_input(name);
    for (const std::string& name : node.outputs) to->add_output(name);
    for (const auto& [name, value] : node.attributes) {
      auto* attribute = to->add_attribute();
      attribute->set_name(name);
      if (auto done = std::visit(AttributeWriter{*attribute}, value); !done) return done.error().at(node.place());
    }
  }
  std::string bytes;
  if (!model.SerializeToString(&bytes)) return make_error(Code::kLimit, "the model is too large for one file", path);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return make_error(Code::kIo, "cannot be written", path);
  return base::ok();
}

base::Result<Tensor> parse_tensor(std::string_view bytes, const OnnxLimits& limits) {
  onnx::TensorProto proto;
  if (!parse_bounded(proto, bytes)) return make_error(Code::kParse, "not an ONNX tensor, or cut off");
  return read_tensor(proto, {}, limits);
}

base::Result<std::vector<std::string>> onnx_operators(std::string_view bytes) {
  onnx::ModelProto model;
  if (bytes.empty() || !parse_bounded(model, bytes)) return make_error(Code::kParse, "not an ONNX model, or cut off");
  std::set<std::string> names;
  for (const auto& node : model.graph().node()) {
    names.insert(node.domain().empty() ? node.op_type() : node.domain() + "." + node.op_type());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace plumbline::graph

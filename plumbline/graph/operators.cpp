#include "plumbline/graph/operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "plumbline/base/text.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::graph {

namespace {

const std::vector<Operator>& all_operators() {
  static const std::vector<Operator> operators = [] {
    std::vector<Operator> all;
    for (const auto part : {elementwise_operators(), reduce_operators(), shape_operators(), linear_operators(),
                            convolution_operators(), normalization_operators(), recurrent_operators()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    std::sort(all.begin(), all.end(), [](const Operator& a, const Operator& b) { return a.name < b.name; });
    for (std::size_t i = 1; i < all.size(); ++i) {
      base::ensure(all[i - 1].name != all[i].name, "an operator is listed twice");
    }
    return all;
  }();
  return operators;
}

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

template <class T>
const T* attribute(const Call& call, const std::string& name, std::string_view kind) {
  const auto found = call.node.attributes.find(name);
  if (found == call.node.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail(base::Code::kValue, fmt::format("attribute '{}' must be {}", name, kind));
  return value;
}

}  // namespace

void fail(base::Code code, std::string message) { throw OperatorError(base::make_error(code, std::move(message))); }

const Tensor& Call::in(std::size_t i) const {
  if (!has(i)) fail(base::Code::kValue, fmt::format("input {} is missing", i));
  return *inputs[i];
}

const Tensor& Call::real_in(std::size_t i) const {
  const Tensor& tensor = in(i);
  if (!tensor.is_real()) {
    fail(base::Code::kUnsupported, fmt::format("input {} is {}, expected a real type", i, type_name(tensor.type)));
  }
  return tensor;
}

const Tensor& Call::integer_in(std::size_t i) const {
  const Tensor& tensor = in(i);
  if (tensor.is_real()) {
    fail(base::Code::kValue, fmt::format("input {} is {}, expected an integer type", i, type_name(tensor.type)));
  }
  return tensor;
}

double Call::scalar(std::size_t i) const {
  const Tensor& tensor = in(i);
  if (tensor.size() != 1) {
    fail(base::Code::kShape, fmt::format("input {} must hold one value, has shape {}", i, shape_text(tensor.shape)));
  }
  return tensor.is_real() ? tensor.reals[0] : static_cast<double>(tensor.integers[0]);
}

std::int64_t Call::integer_scalar(std::size_t i) const {
  const Tensor& tensor = integer_in(i);
  if (tensor.size() != 1) {
    fail(base::Code::kShape, fmt::format("input {} must hold one value, has shape {}", i, shape_text(tensor.shape)));
  }
  return tensor.integers[0];
}

double Call::real(const std::string& name, double fallback) const {
  const auto* value = attribute<double>(*this, name, "a number");
  return value != nullptr ? *value : fallback;
}

std::int64_t Call::integer(const std::string& name, std::int64_t fallback) const {
  const auto* value = attribute<std::int64_t>(*this, name, "an integer");
  return value != nullptr ? *value : fallback;
}

std::string Call::text(const std::string& name, const std::string& fallback) const {
  const auto* value = attribute<std::string>(*this, name, "text");
  return value != nullptr ? *value : fallback;
}

std::vector<std::int64_t> Call::integers(const std::string& name) const {
  const auto* value = attribute<std::vector<std::int64_t>>(*this, name, "a list of integers");
  return value != nullptr ? *value : std::vector<std::int64_t>{};
}

std::vector<double> Call::reals(const std::string& name) const {
  const auto* value = attribute<std::vector<double>>(*this, name, "a list of numbers");
  return value != nullptr ? *value : std::vector<double>{};
}

std::vector<std::string> Call::texts(const std::string& name) const {
  const auto* value = attribute<std::vector<std::string>>(*this, name, "a list of texts");
  return value != nullptr ? *value : std::vector<std::string>{};
}

std::int64_t Call::size_of(const Shape& shape) const {
  std::uint64_t size = 1;
  bool empty = false;
  for (const std::int64_t axis : shape) {
    if (axis < 0) fail(base::Code::kShape, fmt::format("shape {} has a negative axis", shape_text(shape)));
    empty = empty || axis == 0;
  }
  if (empty) return 0;
  for (const std::int64_t axis : shape) {
    if (size > limit / static_cast<std::uint64_t>(axis)) {
      fail(base::Code::kLimit, fmt::format("a tensor of shape {} has more than {} elements", shape_text(shape), limit));
    }
    size *= static_cast<std::uint64_t>(axis);
  }
  return static_cast<std::int64_t>(size);
}

Tensor Call::make(Type type, Shape shape) const {
  const auto size = static_cast<std::size_t>(size_of(shape));
  Tensor tensor{.type = type, .shape = std::move(shape), .reals = {}, .integers = {}};
  if (tensor.is_real()) {
    tensor.reals.assign(size, 0.0);
  } else {
    tensor.integers.assign(size, 0);
  }
  return tensor;
}

const Operator* find_operator(std::string_view name) {
  const auto& all = all_operators();
  const auto found =
      std::lower_bound(all.begin(), all.end(), name, [](const Operator& a, std::string_view b) { return a.name < b; });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

base::Status check_node(const Node& node, std::int64_t opset) {
  const Operator* op = find_operator(node.op);
  if (op == nullptr) {
    std::vector<std::string> names;
    for (const Operator& known : all_operators()) names.emplace_back(known.name);
    const std::string near = base::nearest(node.op, names);
    return base::make_error(base::Code::kUnsupported, fmt::format("operator '{}' is not held", node.op), node.place(),
                            near.empty() ? "" : fmt::format("the nearest operator held is '{}'", near));
  }
  if (opset < op->since || opset > op->until) {
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("operator '{}' is held for opsets {} to {}, the model uses opset {}", node.op,
                                        op->since, op->until, opset),
                            node.place());
  }
  for (const auto& [name, value] : node.attributes) {
    if (!has_word(op->attributes, name)) {
      return base::make_error(base::Code::kUnsupported,
                              fmt::format("operator '{}' has no attribute '{}' here", node.op, name), node.place());
    }
  }
  return base::ok();
}

base::Result<Tensors> run_operator(const Call& call) {
  const Operator* op = find_operator(call.node.op);
  if (op == nullptr) {
    return base::make_error(base::Code::kUnsupported, fmt::format("operator '{}' is not held", call.node.op),
                            call.node.place());
  }
  try {
    return op->kernel(call);
  } catch (const OperatorError& error) {
    return error.error().at(call.node.place());
  } catch (const std::bad_alloc&) {
    return base::make_error(base::Code::kLimit, "out of memory", call.node.place());
  }
}

const std::vector<OperatorInfo>& supported_operators() {
  static const std::vector<OperatorInfo> rows = [] {
    std::vector<OperatorInfo> infos;
    for (const Operator& op : all_operators()) {
      infos.push_back({op.name, std::max(op.since, kOldestOpset), op.until, op.limits});
    }
    return infos;
  }();
  return rows;
}

std::string operators_page() {
  const auto& rows = supported_operators();
  std::string page = fmt::format(
      "# ONNX operators\n\n"
      "Models are read at opsets {} to {} (opset 6 where it means the same; newer IR versions too). {} operators of "
      "the "
      "default domain are held; a\nmodel with any other operator, with an attribute that an operator does not know, "
      "with "
      "functions or with control flow is refused, and the\nmessage names the node. Element types: float, double, "
      "float16, "
      "bfloat16, int8, uint8, int32, int64, bool.\n\n"
      "In each executor every operator runs over those of the ONNX project's own test cases that hold it. This page is "
      "written by the program from\nits operator table.\n\n"
      "| operator | opsets | not held, or held with limits |\n| --- | --- | --- |\n",
      kOldestOpset, kNewestOpset, rows.size());
  for (const OperatorInfo& row : rows) {
    page += fmt::format("| {} | {} to {} | {} |\n", row.name, row.min_opset, row.max_opset, row.limits);
  }
  return page;
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i > 1; --i)
    strides[i - 2] = strides[i - 1] * std::max<std::int64_t>(shape[i - 1], 1);
  return strides;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      fail(base::Code::kShape, fmt::format("shapes {} and {} do not broadcast", shape_text(a), shape_text(b)));
    }
    shape[shape.size() - 1 - i] = x == 1 ? y : x;
  }
  return shape;
}

Shape broadcast_strides(const Shape& from, const Shape& to) {
  const Shape own = strides_of(from);
  Shape strides(to.size(), 0);
  if (from.size() > to.size()) {
    fail(base::Code::kShape, fmt::format("shape {} does not broadcast to {}", shape_text(from), shape_text(to)));
  }
  const std::size_t shift = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != to[i + shift] && from[i] != 1) {
      fail(base::Code::kShape, fmt::format("shape {} does not broadcast to {}", shape_text(from), shape_text(to)));
    }
    strides[i + shift] = from[i] == 1 ? 0 : own[i];
  }
  return strides;
}

std::size_t normal_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    fail(base::Code::kValue, fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

std::int64_t extent(const Shape& shape, std::size_t first, std::size_t last) {
  std::int64_t size = 1;
  for (std::size_t i = first; i < last; ++i) size *= shape[i];
  return size;
}

Tensor strided(const Call& call, const Tensor& from, const Shape& shape, const Shape& strides, std::int64_t offset) {
  Tensor out = call.make(from.type, shape);
  std::size_t i = 0;
  if (from.is_real()) {
    for_each_offset(shape, strides, offset,
                    [&](std::int64_t at) { out.reals[i++] = from.reals[static_cast<std::size_t>(at)]; });
  } else {
    for_each_offset(shape, strides, offset,
                    [&](std::int64_t at) { out.integers[i++] = from.integers[static_cast<std::size_t>(at)]; });
  }
  return out;
}

Tensor take(const Call& call, const Tensor& from, const Shape& shape, const std::vector<std::int64_t>& offsets) {
  Tensor out = call.make(from.type, shape);
  base::ensure(static_cast<std::int64_t>(offsets.size()) == out.size(), "take(): offsets and shape disagree");
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i] < 0) continue;
    const auto at = static_cast<std::size_t>(offsets[i]);
    if (from.is_real()) {
      out.reals[i] = from.reals[at];
    } else {
      out.integers[i] = from.integers[at];
    }
  }
  return out;
}

std::vector<double> as_reals(const Tensor& tensor) {
  if (tensor.is_real()) return tensor.reals;
  return {tensor.integers.begin(), tensor.integers.end()};
}

std::int64_t wrap(Type type, std::int64_t value) {
  switch (type) {
    case Type::kBool: return value != 0 ? 1 : 0;
    case Type::kUint8: return static_cast<std::uint8_t>(value);
    case Type::kInt8: return static_cast<std::int8_t>(value);
    case Type::kInt32: return static_cast<std::int32_t>(value);
    default: return value;
  }
}

Tensor convert(const Call& call, const Tensor& tensor, Type type) {
  if (type == Type::kString || tensor.type == Type::kString)
    fail(base::Code::kUnsupported, "text tensors are not held");
  Tensor out = call.make(type, tensor.shape);
  const auto size = static_cast<std::size_t>(tensor.size());
  constexpr double kEdge = 9223372036854775808.0;  // 2^63
  for (std::size_t i = 0; i < size; ++i) {
    if (out.is_real()) {
      const double value = tensor.is_real() ? tensor.reals[i] : static_cast<double>(tensor.integers[i]);
      out.reals[i] = type == Type::kFloat16 ? half_to_double(double_to_half(value)) : value;
    } else if (!tensor.is_real()) {
      out.integers[i] = wrap(type, tensor.integers[i]);
    } else if (type == Type::kBool) {
      out.integers[i] = tensor.reals[i] != 0 ? 1 : 0;
    } else {
      const double value = tensor.reals[i];
      std::int64_t whole = 0;
      if (value >= kEdge) {
        whole = std::numeric_limits<std::int64_t>::max();
      } else if (value < -kEdge) {
        whole = std::numeric_limits<std::int64_t>::min();
      } else if (!std::isnan(value)) {
        whole = static_cast<std::int64_t>(value);
      }
      out.integers[i] = wrap(type, whole);
    }
  }
  return out;
}

double half_to_double(std::uint16_t bits) {
  const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10U) & 0x1F;
  const int fraction = bits & 0x3FF;
  if (exponent == 31) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

std::uint16_t double_to_half(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000U : 0U);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00U);
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) return static_cast<std::uint16_t>(sign | 0x7C00U);
  const int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : -14, -14);
  // In units of the last place; nearbyint rounds ties to even, and a carry moves on to the next exponent by itself.
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  const std::uint32_t bits = units < 1024 ? units : (static_cast<std::uint32_t>(exponent + 14) << 10U) + units;
  return static_cast<std::uint16_t>(sign | bits);
}

}  // namespace plumbline::graph

#pragma once
/// What the operator sources share. Each source (elementwise.cpp, reduce.cpp, ...) holds its kernels and a table of
/// them; operators.cpp joins the tables. A kernel reports bad input by fail(), which run_operator() turns into a
/// Result: no exception leaves this room.

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::graph {

using Shape = std::vector<std::int64_t>;
using Tensors = std::vector<Tensor>;

inline constexpr int kOldestOpset = 7;
inline constexpr int kNewestOpset = 21;

class OperatorError : public std::exception {
 public:
  explicit OperatorError(base::Error error) : error_(std::move(error)) {}
  const base::Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  base::Error error_;
};
[[noreturn]] void fail(base::Code code, std::string message);

/// One application of an operator: the node, its input values (null where absent) and the bound on a tensor's size.
struct Call {
  const Node& node;
  std::int64_t opset = kOldestOpset;
  std::vector<const Tensor*> inputs;
  std::uint64_t limit = 0;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  const Tensor& in(std::size_t i) const;
  /// The input, which must be real (or integer or bool).
  const Tensor& real_in(std::size_t i) const;
  const Tensor& integer_in(std::size_t i) const;
  /// The single element of an input as double or integer.
  double scalar(std::size_t i) const;
  std::int64_t integer_scalar(std::size_t i) const;

  bool has_attribute(const std::string& name) const { return node.attributes.contains(name); }
  double real(const std::string& name, double fallback) const;
  std::int64_t integer(const std::string& name, std::int64_t fallback) const;
  bool flag(const std::string& name, bool fallback) const { return integer(name, fallback ? 1 : 0) != 0; }
  std::string text(const std::string& name, const std::string& fallback) const;
  std::vector<std::int64_t> integers(const std::string& name) const;
  std::vector<double> reals(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;

  bool wants(std::size_t output) const { return output < node.outputs.size() && !node.outputs[output].empty(); }
  /// A tensor of zeros. Fails with kLimit above `limit` elements, kShape on a negative axis.
  Tensor make(Type type, Shape shape) const;
  /// Product of the axes, checked like make().
  std::int64_t size_of(const Shape& shape) const;
};

using Kernel = Tensors (*)(const Call&);

/// Facts of one operator. `attributes`: the names it may carry, blank-separated; any other is refused at import.
struct Operator {
  std::string_view name;
  int since;
  std::string_view attributes;
  Kernel kernel;
  std::string_view limits = {};
  int until = kNewestOpset;
};

std::span<const Operator> elementwise_operators();
std::span<const Operator> reduce_operators();
std::span<const Operator> shape_operators();
std::span<const Operator> linear_operators();
std::span<const Operator> convolution_operators();
std::span<const Operator> normalization_operators();
std::span<const Operator> recurrent_operators();

/// Null when the operator is not held.
const Operator* find_operator(std::string_view name);
/// Errors kUnsupported: operator not held, not in this opset, or an attribute it does not know; the message names both.
base::Status check_node(const Node& node, std::int64_t opset);
/// Runs one node. Errors as interpret(), with the node's place.
base::Result<Tensors> run_operator(const Call& call);

// Shapes and indices ------------------------------------------------------------------------------------------------

std::string shape_text(const Shape& shape);
/// Row-major strides, in elements.
Shape strides_of(const Shape& shape);
/// The shape both broadcast to. Fails with kShape.
Shape broadcast_shape(const Shape& a, const Shape& b);
/// Strides that read `from` as if it had the shape `to`: 0 on broadcast axes.
Shape broadcast_strides(const Shape& from, const Shape& to);
/// axis in [-rank, rank) as an axis in [0, rank). Fails with kValue.
std::size_t normal_axis(std::int64_t axis, std::size_t rank);
/// Product of shape[first, last). The tensor exists, so it cannot overflow.
std::int64_t extent(const Shape& shape, std::size_t first, std::size_t last);

/// Calls body(offset) for each position of `shape` in row-major order; offset moves by `strides`.
template <class Body>
void for_each_offset(const Shape& shape, const Shape& strides, std::int64_t offset, Body body) {
  for (const std::int64_t axis : shape) {
    if (axis == 0) return;
  }
  if (shape.empty()) {
    body(offset);
    return;
  }
  Shape at(shape.size(), 0);
  const std::size_t last = shape.size() - 1;
  while (true) {
    for (std::int64_t i = 0; i < shape[last]; ++i) body(offset + i * strides[last]);
    std::size_t axis = last;
    while (axis > 0) {
      --axis;
      offset += strides[axis];
      if (++at[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      at[axis] = 0;
      if (axis == 0) return;
    }
    if (last == 0) return;
  }
}

/// The elements of `from` at offset + sum of position times stride, as a new tensor of the given shape.
Tensor strided(const Call& call, const Tensor& from, const Shape& shape, const Shape& strides, std::int64_t offset = 0);
/// The elements of `from` at the given offsets; -1 stands for zero.
Tensor take(const Call& call, const Tensor& from, const Shape& shape, const std::vector<std::int64_t>& offsets);

/// Values as double whatever the type.
std::vector<double> as_reals(const Tensor& tensor);
/// `tensor` with its values converted to `type`: reals are truncated towards zero (saturating, NaN to 0), integers
/// wrap, float16 rounds to nearest even; float keeps the double (the interpreter computes in double throughout).
Tensor convert(const Call& call, const Tensor& tensor, Type type);
/// value modulo the width of an integer type; bool: value != 0.
std::int64_t wrap(Type type, std::int64_t value);
double half_to_double(std::uint16_t bits);
/// Nearest float16, ties to even.
std::uint16_t double_to_half(double value);

// Linear algebra ----------------------------------------------------------------------------------------------------

/// c (m x n) += a (m x k) b (k x n), all row-major and contiguous. Each element adds its k products in ascending order
/// whatever m and n are, so a row's bits do not depend on the other rows.
void multiply_add(const double* a, const double* b, double* c, std::int64_t m, std::int64_t k, std::int64_t n);

}  // namespace plumbline::graph

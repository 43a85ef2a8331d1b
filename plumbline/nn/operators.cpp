#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/graph/interpreter.hpp"
#include "plumbline/nn/engine.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::nn {
namespace {

using at::Tensor;
using base::Code;
using graph::Node;
using graph::Type;
using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kMostElements = std::int64_t{1} << 28U;

[[noreturn]] void fail(Code code, std::string message) {
  throw EngineError(base::make_error(code, std::move(message)));
}

bool is_real(Type type) { return type == Type::kFloat || type == Type::kDouble || type == Type::kFloat16; }

at::ScalarType scalar_type(Precision precision) { return precision == Precision::kFloat32 ? at::kFloat : at::kDouble; }

// Matrix products -----------------------------------------------------------------------------------------------------

/// op(a) op(b) of contiguous matrices by Eigen: an order of magnitude faster than a reference BLAS, whichever of them
/// LibTorch is bound to.
template <class Scalar>
void multiply_into(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c) {
  using M = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const M> x(a.data_ptr<Scalar>(), a.size(0), a.size(1));
  const Eigen::Map<const M> y(b.data_ptr<Scalar>(), b.size(0), b.size(1));
  Eigen::Map<M> z(c.data_ptr<Scalar>(), c.size(0), c.size(1));
  if (!ta && !tb) z.noalias() = x * y;
  if (ta && !tb) z.noalias() = x.transpose() * y;
  if (!ta && tb) z.noalias() = x * y.transpose();
  if (ta && tb) z.noalias() = x.transpose() * y.transpose();
}

Tensor multiply(const Tensor& left, bool ta, const Tensor& right, bool tb) {
  const Tensor a = left.contiguous();
  const Tensor b = right.contiguous();
  const std::int64_t m = a.size(ta ? 1 : 0);
  const std::int64_t k = a.size(ta ? 0 : 1);
  if (k != b.size(tb ? 1 : 0)) {
    fail(Code::kShape,
         fmt::format("a product of {} x {} and {} x {} does not fit", m, k, b.size(tb ? 1 : 0), b.size(tb ? 0 : 1)));
  }
  Tensor c = k == 0 ? at::zeros({m, b.size(tb ? 0 : 1)}, a.options()) : at::empty({m, b.size(tb ? 0 : 1)}, a.options());
  if (k == 0 || c.numel() == 0) return c;
  if (a.scalar_type() == at::kFloat) {
    multiply_into<float>(a, ta, b, tb, c);
  } else {
    multiply_into<double>(a, ta, b, tb, c);
  }
  return c;
}

struct Product : torch::autograd::Function<Product> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& a, bool ta, const Tensor& b, bool tb) {
    context->save_for_backward({a, b});
    context->saved_data["ta"] = ta;
    context->saved_data["tb"] = tb;
    return multiply(a, ta, b, tb);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const bool ta = context->saved_data["ta"].toBool();
    const bool tb = context->saved_data["tb"].toBool();
    const Tensor& g = gradients[0];
    Tensor da;
    Tensor db;
    if (context->needs_input_grad(0)) da = ta ? multiply(saved[1], tb, g, true) : multiply(g, false, saved[1], !tb);
    if (context->needs_input_grad(1)) db = tb ? multiply(g, true, saved[0], ta) : multiply(saved[0], !ta, g, false);
    return {da, Tensor(), db, Tensor()};
  }
};

Tensor product(const Tensor& a, bool ta, const Tensor& b, bool tb) {
  if (at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad())) return Product::apply(a, ta, b, tb);
  return multiply(a, ta, b, tb);
}

// Calls ---------------------------------------------------------------------------------------------------------------

/// One node with its input values; tensors of absent inputs are not defined.
struct Call {
  const Node& node;
  std::int64_t opset;
  Precision precision;
  std::vector<Tensor> inputs;
  std::vector<Type> types;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].defined(); }
  const Tensor& in(std::size_t i) const {
    if (!has(i)) fail(Code::kValue, fmt::format("input {} is missing", i));
    return inputs[i];
  }
  bool real(std::size_t i) const { return has(i) && is_real(types[i]); }
  bool all_real() const {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].defined() && !is_real(types[i])) return false;
    }
    return true;
  }
  bool wants(std::size_t output) const { return output < node.outputs.size() && !node.outputs[output].empty(); }
  bool has_attribute(const char* name) const { return node.attributes.contains(name); }
  double number(const char* name, double fallback) const { return get<double>(name, fallback); }
  std::int64_t integer(const char* name, std::int64_t fallback) const { return get<std::int64_t>(name, fallback); }
  std::string text(const char* name, const char* fallback) const { return get<std::string>(name, fallback); }
  Shape integers(const char* name) const { return get<Shape>(name, {}); }
  /// The elements of an integer input.
  Shape list(std::size_t i) const {
    const Tensor flat = in(i).to(at::kLong).reshape({-1}).contiguous();
    const auto* data = flat.data_ptr<std::int64_t>();
    return {data, data + flat.numel()};
  }
  std::int64_t axis(std::int64_t value, std::int64_t rank) const {
    if (value < -rank || value >= std::max<std::int64_t>(rank, 1))
      fail(Code::kValue, fmt::format("axis {} is outside a tensor of rank {}", value, rank));
    return value < 0 ? value + rank : value;
  }

 private:
  template <class T>
  T get(const char* name, T fallback) const {
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) return fallback;
    const T* value = std::get_if<T>(&found->second);
    if (value == nullptr) fail(Code::kValue, fmt::format("attribute '{}' is of another kind", name));
    return *value;
  }
};

/// Nothing: this case is left to the interpreter.
using Outcome = std::optional<std::vector<Tensor>>;
using Kernel = Outcome (*)(const Call&);

Outcome one(Tensor tensor) { return std::vector<Tensor>{std::move(tensor)}; }

template <Tensor (*F)(const Tensor&)>
Outcome unary(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  return one(F(c.in(0)));
}

template <class F>
Outcome fold(const Call& c, F combine) {
  if (!c.all_real()) return std::nullopt;
  Tensor result = c.in(0);
  for (std::size_t i = 1; i < c.inputs.size(); ++i) result = combine(result, c.in(i));
  return one(result);
}

void check_elements(double elements) {
  if (elements > static_cast<double>(kMostElements))
    fail(Code::kLimit, fmt::format("more than {} elements", kMostElements));
}

// Elementwise ---------------------------------------------------------------------------------------------------------

Outcome clip(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  Tensor x = c.in(0);
  if (c.has_attribute("min")) x = at::clamp_min(x, c.number("min", 0));
  if (c.has(1)) x = at::clamp_min(x, c.in(1));
  if (c.has_attribute("max")) x = at::clamp_max(x, c.number("max", 0));
  if (c.has(2)) x = at::clamp_max(x, c.in(2));
  return one(x);
}

Outcome prelu(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  return one(at::where(c.in(0) >= 0, c.in(0), c.in(0) * c.in(1)));
}

Outcome power(const Call& c) {
  if (!c.real(0)) return std::nullopt;
  return one(at::pow(c.in(0), c.in(1).to(c.in(0).scalar_type())));
}

Outcome choose(const Call& c) {
  if (!c.real(1) || !c.real(2)) return std::nullopt;
  return one(at::where(c.in(0).ne(0), c.in(1), c.in(2)));
}

Outcome dropout(const Call& c) {
  if (!c.real(0) || c.wants(1) || c.has(2)) return std::nullopt;
  return one(c.in(0));
}

Outcome cast(const Call& c) {
  const std::int64_t to = c.integer("to", 0);  // 1 = float, 11 = double
  if (c.real(0) && (to == 1 || to == 11) && c.types[0] != Type::kFloat16) return one(c.in(0));
  return std::nullopt;
}

Outcome cast_like(const Call& c) {
  if (c.real(0) && c.real(1) && c.types[0] != Type::kFloat16 && c.types[1] != Type::kFloat16) return one(c.in(0));
  return std::nullopt;
}

// Products and convolutions -------------------------------------------------------------------------------------------

Outcome gemm(const Call& c) {
  if (!c.all_real() || c.in(0).dim() != 2 || c.in(1).dim() != 2) return std::nullopt;
  Tensor y = product(c.in(0), c.integer("transA", 0) != 0, c.in(1), c.integer("transB", 0) != 0);
  if (const double alpha = c.number("alpha", 1); alpha != 1) y = y * alpha;
  if (c.has(2)) {
    const double beta = c.number("beta", 1);
    y = y + (beta == 1 ? c.in(2) : c.in(2) * beta);
  }
  return one(y);
}

Outcome matmul(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  const Tensor& a = c.in(0);
  const Tensor& b = c.in(1);
  if (a.dim() < 2 || b.dim() != 2) return one(at::matmul(a, b));
  Shape shape = a.sizes().vec();
  const std::int64_t k = shape.back();
  shape.back() = b.size(1);
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return one(product(a.reshape({rows, k}), false, b, false).reshape(shape));
}

Outcome einsum(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  return one(at::einsum(c.text("equation", ""), c.inputs));
}

/// What Conv and the pools share: per spatial axis the kernel, step, dilation, and padding before and after.
struct Window {
  Shape kernel, stride, dilation, before, after;
  bool symmetric() const { return before == after; }
  bool padded() const {
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] != 0 || after[i] != 0) return true;
    }
    return false;
  }
  /// For constant_pad_nd: last axis first.
  Shape pads() const {
    Shape pads;
    for (std::size_t i = before.size(); i > 0; --i) {
      pads.push_back(before[i - 1]);
      pads.push_back(after[i - 1]);
    }
    return pads;
  }
};

Window window_of(const Call& c, const Tensor& x, Shape kernel) {
  Window w;
  const auto axes = static_cast<std::size_t>(std::max<std::int64_t>(x.dim() - 2, 0));
  w.kernel = std::move(kernel);
  w.stride = c.integers("strides");
  w.dilation = c.integers("dilations");
  if (w.stride.empty()) w.stride.assign(axes, 1);
  if (w.dilation.empty()) w.dilation.assign(axes, 1);
  Shape pads = c.integers("pads");
  if (pads.empty()) pads.assign(2 * axes, 0);
  if (axes < 1 || axes > 3 || w.kernel.size() != axes || w.stride.size() != axes || w.dilation.size() != axes ||
      pads.size() != 2 * axes) {
    fail(Code::kShape, fmt::format("kernel, strides, dilations or pads do not fit an input of rank {}", x.dim()));
  }
  w.before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  w.after.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string automatic = c.text("auto_pad", "NOTSET");
  for (std::size_t i = 0; i < axes; ++i) {
    if (w.kernel[i] < 1 || w.stride[i] < 1 || w.dilation[i] < 1 || w.before[i] < 0 || w.after[i] < 0) {
      fail(Code::kValue, "kernel, strides and dilations must be positive, pads not negative");
    }
    if (automatic == "VALID") w.before[i] = w.after[i] = 0;
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t size = x.size(static_cast<std::int64_t>(i) + 2);
      const std::int64_t out = (size + w.stride[i] - 1) / w.stride[i];
      const std::int64_t total =
          std::max<std::int64_t>(0, (out - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 - size);
      w.before[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.after[i] = total - w.before[i];
    }
  }
  return w;
}

Outcome convolution(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  Tensor x = c.in(0);
  const Tensor& weight = c.in(1);
  if (x.dim() < 3 || weight.dim() != x.dim()) return std::nullopt;
  const Shape sizes = weight.sizes().vec();
  Window w = window_of(c, x, Shape(sizes.begin() + 2, sizes.end()));
  if (!w.symmetric()) {
    x = at::constant_pad_nd(x, w.pads());
    w.before.assign(w.before.size(), 0);
  }
  const Tensor bias = c.has(2) ? c.in(2) : Tensor();
  return one(at::convolution(x, weight, bias, w.stride, w.before, w.dilation, false, Shape(w.before.size(), 0),
                             c.integer("group", 1)));
}

Outcome convolution_transposed(const Call& c) {
  if (!c.all_real() || c.has_attribute("output_shape") || c.text("auto_pad", "NOTSET") != "NOTSET") return std::nullopt;
  const Tensor& x = c.in(0);
  const Tensor& weight = c.in(1);
  if (x.dim() < 3 || weight.dim() != x.dim()) return std::nullopt;
  const Shape sizes = weight.sizes().vec();
  const Window w = window_of(c, x, Shape(sizes.begin() + 2, sizes.end()));
  const std::size_t axes = w.kernel.size();
  Shape extra = c.integers("output_padding");
  if (extra.empty()) extra.assign(axes, 0);
  Tensor y = at::convolution(x, weight, Tensor(), w.stride, Shape(axes, 0), w.dilation, true, Shape(axes, 0),
                             c.integer("group", 1));
  Shape crop;
  for (std::size_t i = axes; i > 0; --i) {
    crop.push_back(-w.before[i - 1]);
    crop.push_back(extra[i - 1] - w.after[i - 1]);
  }
  y = at::constant_pad_nd(y, crop);
  if (c.has(2)) {
    Shape shape(axes + 2, 1);
    shape[1] = -1;
    y = y + c.in(2).reshape(shape);
  }
  return one(y);
}

Outcome max_pool(const Call& c) {
  if (!c.all_real() || c.wants(1) || c.integer("ceil_mode", 0) != 0) return std::nullopt;
  Tensor x = c.in(0);
  const Window w = window_of(c, x, c.integers("kernel_shape"));
  if (w.padded()) x = at::constant_pad_nd(x, w.pads(), -std::numeric_limits<double>::infinity());
  const Shape none(w.kernel.size(), 0);
  switch (w.kernel.size()) {
    case 1:
      return one(
          at::max_pool2d(x.unsqueeze(-2), {1, w.kernel[0]}, {1, w.stride[0]}, {0, 0}, {1, w.dilation[0]}).squeeze(-2));
    case 2: return one(at::max_pool2d(x, w.kernel, w.stride, none, w.dilation));
    default: return one(at::max_pool3d(x, w.kernel, w.stride, none, w.dilation));
  }
}

Tensor average(const Tensor& x, const Window& w) {
  const Shape none(w.kernel.size(), 0);
  switch (w.kernel.size()) {
    case 1: return at::avg_pool2d(x.unsqueeze(-2), {1, w.kernel[0]}, {1, w.stride[0]}).squeeze(-2);
    case 2: return at::avg_pool2d(x, w.kernel, w.stride);
    default: return at::avg_pool3d(x, w.kernel, w.stride);
  }
}

Outcome average_pool(const Call& c) {
  if (!c.all_real() || c.integer("ceil_mode", 0) != 0) return std::nullopt;
  const Tensor& x = c.in(0);
  const Window w = window_of(c, x, c.integers("kernel_shape"));
  if (w.dilation != Shape(w.dilation.size(), 1)) return std::nullopt;
  if (!w.padded()) return one(average(x, w));
  const Tensor mean = average(at::constant_pad_nd(x, w.pads()), w);
  if (c.integer("count_include_pad", 0) != 0) return one(mean);
  Shape shape = x.sizes().vec();
  shape[0] = shape[1] = 1;
  return one(mean / average(at::constant_pad_nd(at::ones(shape, x.options()), w.pads()), w));
}

Shape spatial_axes(const Tensor& x) {
  Shape axes;
  for (std::int64_t i = 2; i < x.dim(); ++i) axes.push_back(i);
  return axes;
}

Outcome global_average(const Call& c) {
  if (!c.all_real() || c.in(0).dim() < 3) return std::nullopt;
  return one(at::mean(c.in(0), spatial_axes(c.in(0)), true));
}

Outcome global_max(const Call& c) {
  if (!c.all_real() || c.in(0).dim() < 3) return std::nullopt;
  return one(at::amax(c.in(0), spatial_axes(c.in(0)), true));
}

// Normalisation -------------------------------------------------------------------------------------------------------

/// Per-channel numbers against an input with channels on axis 1.
Tensor channels(const Tensor& values, const Tensor& x) {
  Shape shape(static_cast<std::size_t>(x.dim()), 1);
  if (x.dim() > 1) shape[1] = -1;
  return values.reshape(shape);
}

Outcome batch_normalization(const Call& c) {
  if (!c.all_real() || c.integer("training_mode", 0) != 0 || c.wants(1) || c.in(0).dim() < 2 ||
      c.integer("spatial", 1) != 1)
    return std::nullopt;
  const Tensor& x = c.in(0);
  const Tensor scale = c.in(1) / at::sqrt(c.in(4) + c.number("epsilon", 1e-5));
  return one((x - channels(c.in(3), x)) * channels(scale, x) + channels(c.in(2), x));
}

struct Normal {
  Tensor values, mean, inverse_deviation;
};

Normal standardised(const Tensor& x, const Shape& axes, double epsilon) {
  const Tensor mean = at::mean(x, axes, true);
  const Tensor centred = x - mean;
  const Tensor inverse = at::rsqrt(at::mean(centred * centred, axes, true) + epsilon);
  return {centred * inverse, mean, inverse};
}

Outcome instance_normalization(const Call& c) {
  if (!c.all_real() || c.in(0).dim() < 3) return std::nullopt;
  const Tensor& x = c.in(0);
  return one(standardised(x, spatial_axes(x), c.number("epsilon", 1e-5)).values * channels(c.in(1), x) +
             channels(c.in(2), x));
}

Outcome group_normalization(const Call& c) {
  if (!c.all_real() || c.in(0).dim() < 2) return std::nullopt;
  const Tensor& x = c.in(0);
  const std::int64_t groups = c.integer("num_groups", 0);
  if (groups < 1 || x.size(1) % groups != 0) return std::nullopt;
  const Tensor values =
      standardised(x.reshape({x.size(0), groups, -1}), {2}, c.number("epsilon", 1e-5)).values.reshape(x.sizes());
  const auto spread = [&](const Tensor& t) {
    return channels(t.numel() == x.size(1) ? t : at::repeat_interleave(t, x.size(1) / t.numel()), x);
  };
  return one(values * spread(c.in(1)) + spread(c.in(2)));
}

Outcome layer_normalization(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  const Tensor& x = c.in(0);
  Shape axes;
  for (std::int64_t i = c.axis(c.integer("axis", -1), x.dim()); i < x.dim(); ++i) axes.push_back(i);
  const Normal normal = standardised(x, axes, c.number("epsilon", 1e-5));
  Tensor y = normal.values * c.in(1);
  if (c.has(2)) y = y + c.in(2);
  return std::vector<Tensor>{y, normal.mean, normal.inverse_deviation};
}

Outcome local_response(const Call& c) {
  if (!c.all_real() || c.in(0).dim() < 3) return std::nullopt;
  const Tensor& x = c.in(0);
  const std::int64_t size = c.integer("size", 1);
  if (size < 1) fail(Code::kValue, "size must be positive");
  const Tensor squares = x * x;
  Tensor sum = at::zeros_like(x);
  const std::int64_t n = x.size(1);
  for (std::int64_t shift = -((size - 1) / 2); shift <= size / 2;
       ++shift) {  // spec: floor((size-1)/2) below, ceil((size-1)/2) above
    const std::int64_t length = n - std::abs(shift);
    if (length <= 0) continue;
    Shape pads(static_cast<std::size_t>(2 * (x.dim() - 2)), 0);
    pads.push_back(std::max<std::int64_t>(-shift, 0));
    pads.push_back(std::max<std::int64_t>(shift, 0));
    sum = sum + at::constant_pad_nd(squares.narrow(1, std::max<std::int64_t>(shift, 0), length), pads);
  }
  return one(x * at::pow(c.number("bias", 1) + c.number("alpha", 1e-4) / static_cast<double>(size) * sum,
                         -c.number("beta", 0.75)));
}

template <bool Log>
Outcome softmax(const Call& c) {
  if (!c.all_real()) return std::nullopt;
  const Tensor& x = c.in(0);
  const auto apply = [](const Tensor& t, std::int64_t axis) {
    return Log ? at::log_softmax(t, axis) : at::softmax(t, axis);
  };
  const std::int64_t axis = c.axis(c.integer("axis", c.opset >= 13 ? -1 : 1), x.dim());
  if (c.opset >= 13) return one(apply(x, axis));
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < axis; ++i) rows *= x.size(i);
  if (rows == 0) return std::nullopt;
  return one(apply(x.reshape({rows, -1}), 1).reshape(x.sizes()));
}

// Reductions ----------------------------------------------------------------------------------------------------------

enum class Reduce { kL1, kL2, kLogSum, kLogSumExp, kMax, kMean, kMin, kSum, kSumSquare };

template <Reduce R>
Outcome reduce(const Call& c) {
  if (!c.real(0) || c.in(0).numel() == 0) return std::nullopt;
  const Tensor& x = c.in(0);
  Shape axes = c.has(1) ? c.list(1) : c.integers("axes");
  if (axes.empty()) {
    if (c.integer("noop_with_empty_axes", 0) != 0) return std::nullopt;
    for (std::int64_t i = 0; i < x.dim(); ++i) axes.push_back(i);
  }
  if (axes.empty()) return std::nullopt;  // a single number
  const bool keep = c.integer("keepdims", 1) != 0;
  if constexpr (R == Reduce::kL1) return one(at::sum(at::abs(x), axes, keep));
  if constexpr (R == Reduce::kL2) return one(at::sqrt(at::sum(x * x, axes, keep)));
  if constexpr (R == Reduce::kLogSum) return one(at::log(at::sum(x, axes, keep)));
  if constexpr (R == Reduce::kLogSumExp) return one(at::logsumexp(x, axes, keep));
  if constexpr (R == Reduce::kMax) return one(at::amax(x, axes, keep));
  if constexpr (R == Reduce::kMean) return one(at::mean(x, axes, keep));
  if constexpr (R == Reduce::kMin) return one(at::amin(x, axes, keep));
  if constexpr (R == Reduce::kSum) return one(at::sum(x, axes, keep));
  return one(at::sum(x * x, axes, keep));
}

Outcome cumulative_sum(const Call& c) {
  if (!c.real(0) || c.integer("exclusive", 0) != 0 || c.integer("reverse", 0) != 0) return std::nullopt;
  return one(at::cumsum(c.in(0), c.axis(c.list(1).at(0), c.in(0).dim())));
}

// Shapes --------------------------------------------------------------------------------------------------------------

Outcome identity(const Call& c) { return one(c.in(0)); }

Outcome reshape(const Call& c) {
  const Tensor& x = c.in(0);
  Shape shape = c.has(1) ? c.list(1) : c.integers("shape");
  if (c.integer("allowzero", 0) == 0) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] != 0) continue;
      if (static_cast<std::int64_t>(i) >= x.dim())
        fail(Code::kShape, fmt::format("axis {} copies an axis that the input lacks", i));
      shape[i] = x.size(static_cast<std::int64_t>(i));
    }
  }
  if (x.numel() == 0) return std::nullopt;
  return one(x.reshape(shape));
}

Outcome flatten(const Call& c) {
  const Tensor& x = c.in(0);
  std::int64_t axis = c.integer("axis", 1);
  if (axis < 0) axis += x.dim();
  if (axis < 0 || axis > x.dim())
    fail(Code::kValue, fmt::format("axis {} is outside a tensor of rank {}", axis, x.dim()));
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < axis; ++i) rows *= x.size(i);
  if (x.numel() == 0) return std::nullopt;
  return one(x.reshape({rows, x.numel() / rows}));
}

Outcome transpose(const Call& c) {
  Shape order = c.integers("perm");
  if (order.empty()) {
    for (std::int64_t i = c.in(0).dim(); i > 0; --i) order.push_back(i - 1);
  }
  return one(c.in(0).permute(order));
}

Outcome concat(const Call& c) {
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return std::nullopt;
  }
  return one(at::cat(c.inputs, c.integer("axis", 0)));
}

Outcome squeeze(const Call& c) {
  const Tensor& x = c.in(0);
  Shape axes = c.has(1) ? c.list(1) : c.integers("axes");
  std::set<std::int64_t> gone;
  for (const std::int64_t axis : axes) gone.insert(c.axis(axis, x.dim()));
  Shape shape;
  for (std::int64_t i = 0; i < x.dim(); ++i) {
    const bool named = gone.contains(i);
    if (named && x.size(i) != 1) fail(Code::kShape, fmt::format("axis {} has size {}, expected 1", i, x.size(i)));
    if (!(named || (axes.empty() && x.size(i) == 1))) shape.push_back(x.size(i));
  }
  return one(x.reshape(shape));
}

Outcome unsqueeze(const Call& c) {
  const Tensor& x = c.in(0);
  const Shape axes = c.has(1) ? c.list(1) : c.integers("axes");
  const std::int64_t rank = x.dim() + static_cast<std::int64_t>(axes.size());
  std::set<std::int64_t> added;
  for (const std::int64_t axis : axes) added.insert(c.axis(axis, rank));
  Shape shape;
  std::int64_t from = 0;
  for (std::int64_t i = 0; i < rank; ++i) {
    if (!added.contains(i) && from >= x.dim()) fail(Code::kValue, "an axis is named twice");
    shape.push_back(added.contains(i) ? 1 : x.size(from++));
  }
  return one(x.reshape(shape));
}

Outcome expand(const Call& c) {
  Shape shape = c.list(1);
  Shape from = c.in(0).sizes().vec();
  if (from.size() > shape.size()) shape.insert(shape.begin(), from.size() - shape.size(), 1);
  double elements = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t back = shape.size() - i;
    if (shape[i] == 1 && back <= from.size()) shape[i] = from[from.size() - back];
    elements *= static_cast<double>(shape[i]);
  }
  check_elements(elements);
  return one(c.in(0).expand(shape));
}

Outcome slice(const Call& c) {
  Tensor x = c.in(0);
  const bool old = c.has_attribute("starts");
  const Shape starts = old ? c.integers("starts") : c.list(1);
  const Shape ends = old ? c.integers("ends") : c.list(2);
  Shape axes = old ? c.integers("axes") : (c.has(3) ? c.list(3) : Shape());
  const Shape steps = !old && c.has(4) ? c.list(4) : Shape(starts.size(), 1);
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    fail(Code::kShape, "starts, ends, axes and steps have different sizes");
  }
  for (const std::int64_t step : steps) {
    if (step < 1) return std::nullopt;
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t axis = c.axis(axes[i], x.dim());
    const std::int64_t size = x.size(axis);
    const auto place = [&](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? std::max(at, -size) + size : at, 0, size);
    };
    const std::int64_t begin = place(starts[i]);
    x = x.slice(axis, begin, std::max(place(ends[i]), begin), steps[i]);
  }
  return one(x);
}

Outcome split(const Call& c) {
  const Tensor& x = c.in(0);
  const std::int64_t axis = c.axis(c.integer("axis", 0), x.dim());
  Shape sizes = c.has(1) ? c.list(1) : c.integers("split");
  if (sizes.empty()) {
    const auto parts = static_cast<std::int64_t>(c.node.outputs.size());
    const std::int64_t each = (x.size(axis) + parts - 1) / parts;
    for (std::int64_t i = 0; i < parts; ++i)
      sizes.push_back(std::clamp<std::int64_t>(x.size(axis) - i * each, 0, each));
  }
  return at::split_with_sizes(x, sizes, axis);
}

Outcome gather(const Call& c) {
  const Tensor& x = c.in(0);
  const std::int64_t axis = c.axis(c.integer("axis", 0), x.dim());
  const Tensor index = c.in(1);
  const std::int64_t size = x.size(axis);
  if (index.numel() > 0 && (index.min().item<std::int64_t>() < -size || index.max().item<std::int64_t>() >= size)) {
    fail(Code::kValue, fmt::format("an index is outside [{}, {})", -size, size));
  }
  const Tensor flat = at::remainder(index.reshape({-1}), std::max<std::int64_t>(size, 1));
  Shape shape = x.sizes().vec();
  const Shape middle = index.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, middle.begin(), middle.end());
  return one(at::index_select(x, axis, flat).reshape(shape));
}

Outcome pad(const Call& c) {
  if (!c.real(0) || c.text("mode", "constant") != "constant" || c.has(3)) return std::nullopt;
  const Tensor& x = c.in(0);
  const Shape pads = c.has(1) ? c.list(1) : c.integers("pads");
  const auto rank = static_cast<std::size_t>(x.dim());
  if (pads.size() != 2 * rank) fail(Code::kShape, fmt::format("{} pads for a tensor of rank {}", pads.size(), rank));
  Shape order;
  double elements = 1;
  for (std::size_t i = rank; i > 0; --i) {
    order.push_back(pads[i - 1]);
    order.push_back(pads[rank + i - 1]);
    elements *= std::max(0.0, static_cast<double>(x.size(static_cast<std::int64_t>(i) - 1)) +
                                  static_cast<double>(pads[i - 1]) + static_cast<double>(pads[rank + i - 1]));
  }
  check_elements(elements);
  const double value = c.has(2) ? c.in(2).item<double>() : c.number("value", 0);
  return one(at::constant_pad_nd(x, order, value));
}

// Recurrent -----------------------------------------------------------------------------------------------------------

/// Gates of one step for every sequence: x W' + b, with the input part computed for all steps at once.
/// LSTM, GRU and RNN in their default form: default activations, no clip, no peepholes, no lengths.
template <int Gates>
Outcome recurrent(const Call& c) {
  const bool lstm = Gates == 4;
  if (!c.all_real() || c.has(4) || (lstm && c.has(7)) || c.has_attribute("clip") || c.has_attribute("activations") ||
      c.integer("layout", 0) != 0 || c.integer("input_forget", 0) != 0) {
    return std::nullopt;
  }
  const bool after = c.integer("linear_before_reset", 0) != 0;
  const std::string direction = c.text("direction", "forward");
  const Tensor& x = c.in(0);
  const Tensor& w = c.in(1);
  const Tensor& r = c.in(2);
  if (x.dim() != 3 || w.dim() != 3 || r.dim() != 3) return std::nullopt;
  const std::int64_t steps = x.size(0);
  const std::int64_t rows = x.size(1);
  const std::int64_t h = r.size(2);
  const std::int64_t directions = w.size(0);
  if (directions != (direction == "bidirectional" ? 2 : 1) || w.size(1) != Gates * h || steps == 0 || rows == 0)
    return std::nullopt;
  std::vector<Tensor> all;
  std::vector<Tensor> last;
  std::vector<Tensor> last_cell;
  const Tensor flat = x.reshape({steps * rows, x.size(2)});
  for (std::int64_t d = 0; d < directions; ++d) {
    const bool backwards = direction == "reverse" || d == 1;
    Tensor into = product(flat, false, w.select(0, d), true);
    const Tensor rd = r.select(0, d);
    Tensor rb;
    if (c.has(3)) {
      const Tensor b = c.in(3).select(0, d);
      into = into + b.narrow(0, 0, Gates * h);
      rb = b.narrow(0, Gates * h, Gates * h);
    } else {
      rb = at::zeros({Gates * h}, x.options());
    }
    into = into.reshape({steps, rows, Gates * h});
    Tensor state = c.has(5) ? c.in(5).select(0, d) : at::zeros({rows, h}, x.options());
    Tensor cell = lstm && c.has(6) ? c.in(6).select(0, d) : at::zeros({rows, h}, x.options());
    std::vector<Tensor> outputs(static_cast<std::size_t>(steps));
    const auto part = [&](const Tensor& t, std::int64_t i) { return t.narrow(-1, i * h, h); };
    for (std::int64_t s = 0; s < steps; ++s) {
      const std::int64_t at_step = backwards ? steps - 1 - s : s;
      const Tensor xs = into.select(0, at_step);
      if constexpr (Gates == 1) {
        state = at::tanh(xs + product(state, false, rd, true) + rb);
      } else if constexpr (Gates == 3) {  // order z r h
        const Tensor zr = at::sigmoid(xs.narrow(-1, 0, 2 * h) + product(state, false, rd.narrow(0, 0, 2 * h), true) +
                                      rb.narrow(0, 0, 2 * h));
        const Tensor z = part(zr, 0);
        const Tensor reset = part(zr, 1);
        const Tensor rh = rd.narrow(0, 2 * h, h);
        const Tensor bh = rb.narrow(0, 2 * h, h);
        const Tensor hidden =
            after ? reset * (product(state, false, rh, true) + bh) : product(reset * state, false, rh, true) + bh;
        state = (1 - z) * at::tanh(part(xs, 2) + hidden) + z * state;
      } else {  // order i o f c
        const Tensor g = xs + product(state, false, rd, true) + rb;
        cell = at::sigmoid(part(g, 2)) * cell + at::sigmoid(part(g, 0)) * at::tanh(part(g, 3));
        state = at::sigmoid(part(g, 1)) * at::tanh(cell);
      }
      outputs[static_cast<std::size_t>(at_step)] = state;
    }
    all.push_back(at::stack(outputs));
    last.push_back(state);
    last_cell.push_back(cell);
  }
  std::vector<Tensor> results = {at::stack(all, 1), at::stack(last)};
  if (lstm) results.push_back(at::stack(last_cell));
  return results;
}

const std::map<std::string, Kernel, std::less<>>& kernels() {
  static const std::map<std::string, Kernel, std::less<>> table = {
      {"Abs", unary<at::abs>},
      {"Add", [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return a + b; }); }},
      {"AveragePool", average_pool},
      {"BatchNormalization", batch_normalization},
      {"Cast", cast},
      {"CastLike", cast_like},
      {"Ceil", unary<at::ceil>},
      {"Celu", [](const Call& c) { return one(at::celu(c.in(0), c.number("alpha", 1))); }},
      {"Clip", clip},
      {"Concat", concat},
      {"Conv", convolution},
      {"ConvTranspose", convolution_transposed},
      {"Cos", unary<at::cos>},
      {"CumSum", cumulative_sum},
      {"Div", [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return a / b; }); }},
      {"Dropout", dropout},
      {"Einsum", einsum},
      {"Elu", [](const Call& c) { return one(at::elu(c.in(0), c.number("alpha", 1))); }},
      {"Erf", unary<at::erf>},
      {"Exp", unary<at::exp>},
      {"Expand", expand},
      {"Flatten", flatten},
      {"Floor", unary<at::floor>},
      {"GRU", recurrent<3>},
      {"Gather", gather},
      {"Gelu", [](const Call& c) { return one(at::gelu(c.in(0), c.text("approximate", "none"))); }},
      {"Gemm", gemm},
      {"GlobalAveragePool", global_average},
      {"GlobalMaxPool", global_max},
      {"GroupNormalization", group_normalization},
      {"HardSigmoid",
       [](const Call& c) { return one(at::clamp(c.in(0) * c.number("alpha", 0.2) + c.number("beta", 0.5), 0, 1)); }},
      {"HardSwish", [](const Call& c) { return one(c.in(0) * at::clamp(c.in(0) / 6 + 0.5, 0, 1)); }},
      {"Identity", identity},
      {"InstanceNormalization", instance_normalization},
      {"LRN", local_response},
      {"LSTM", recurrent<4>},
      {"LayerNormalization", layer_normalization},
      {"LeakyRelu", [](const Call& c) { return one(at::leaky_relu(c.in(0), c.number("alpha", 0.01))); }},
      {"Log", unary<at::log>},
      {"LogSoftmax", softmax<true>},
      {"MatMul", matmul},
      {"Max",
       [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return at::maximum(a, b); }); }},
      {"MaxPool", max_pool},
      {"Mean",
       [](const Call& c) -> Outcome {
         auto sum = fold(c, [](const Tensor& a, const Tensor& b) { return a + b; });
         if (sum) (*sum)[0] = (*sum)[0] / static_cast<double>(c.inputs.size());
         return sum;
       }},
      {"Min",
       [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return at::minimum(a, b); }); }},
      {"Mish", [](const Call& c) { return one(c.in(0) * at::tanh(at::softplus(c.in(0), 1, 40))); }},
      {"Mul", [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return a * b; }); }},
      {"Neg", unary<at::neg>},
      {"PRelu", prelu},
      {"Pad", pad},
      {"Pow", power},
      {"RNN", recurrent<1>},
      {"Reciprocal", unary<at::reciprocal>},
      {"ReduceL1", reduce<Reduce::kL1>},
      {"ReduceL2", reduce<Reduce::kL2>},
      {"ReduceLogSum", reduce<Reduce::kLogSum>},
      {"ReduceLogSumExp", reduce<Reduce::kLogSumExp>},
      {"ReduceMax", reduce<Reduce::kMax>},
      {"ReduceMean", reduce<Reduce::kMean>},
      {"ReduceMin", reduce<Reduce::kMin>},
      {"ReduceSum", reduce<Reduce::kSum>},
      {"ReduceSumSquare", reduce<Reduce::kSumSquare>},
      {"Relu", unary<at::relu>},
      {"Reshape", reshape},
      {"Round", unary<at::round>},
      {"Selu",
       [](const Call& c) {
         return one(at::elu(c.in(0), c.number("alpha", 1.67326319217681884765625),
                            c.number("gamma", 1.05070102214813232421875)));
       }},
      {"Sigmoid", unary<at::sigmoid>},
      {"Sign", unary<at::sign>},
      {"Sin", unary<at::sin>},
      {"Sinh", unary<at::sinh>},
      {"Slice", slice},
      {"Softmax", softmax<false>},
      {"Softplus", [](const Call& c) { return one(at::softplus(c.in(0), 1, 40)); }},
      {"Softsign", [](const Call& c) { return one(c.in(0) / (1 + at::abs(c.in(0)))); }},
      {"Split", split},
      {"Sqrt", unary<at::sqrt>},
      {"Squeeze", squeeze},
      {"Sub", [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return a - b; }); }},
      {"Sum", [](const Call& c) { return fold(c, [](const Tensor& a, const Tensor& b) { return a + b; }); }},
      {"Tan", unary<at::tan>},
      {"Tanh", unary<at::tanh>},
      {"ThresholdedRelu",
       [](const Call& c) { return one(at::where(c.in(0) > c.number("alpha", 1), c.in(0), at::zeros_like(c.in(0)))); }},
      {"Transpose", transpose},
      {"Unsqueeze", unsqueeze},
      {"Where", choose},
  };
  return table;
}

/// Operators that only move or copy elements of their first input: their gradient follows from running them on
/// positions.
bool moves_elements(const std::string& op) {
  static const std::set<std::string, std::less<>> ops = {
      "DepthToSpace",    "Expand", "Flatten",      "Gather", "GatherElements", "GatherND", "Pad",  "Reshape",
      "ReverseSequence", "Slice",  "SpaceToDepth", "Split",  "Tile",           "Trilu",    "TopK", "MaxPool"};
  return ops.contains(op);
}

std::vector<Value> interpreted(const Call& c) {
  graph::Graph single;
  single.opset = c.opset;
  Node node = c.node;
  std::map<std::string, graph::Tensor> inputs;
  bool differentiable = false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!c.has(i)) {
      node.inputs[i].clear();
      continue;
    }
    node.inputs[i] = fmt::format("in{}", i);
    graph::Tensor tensor = to_graph_tensor({std::make_shared<Tensor>(c.in(i).detach()), c.types[i]});
    single.inputs.push_back({node.inputs[i], tensor.type, tensor.shape});
    inputs.emplace(node.inputs[i], std::move(tensor));
    differentiable = differentiable || (at::GradMode::is_enabled() && c.in(i).requires_grad());
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    node.outputs[i] = fmt::format("out{}", i);
    single.outputs.push_back({node.outputs[i], Type::kFloat, {}});
  }
  single.nodes.push_back(node);
  const auto run = [&] {
    auto result = graph::interpret(single, inputs);
    if (!result.ok()) throw EngineError(result.error());
    return std::move(result).value();
  };
  const auto results = run();
  std::vector<Value> values;
  for (const std::string& name : node.outputs)
    values.push_back(name.empty() ? Value{} : to_value(results.at(name), c.precision));
  if (!differentiable) return values;
  const bool integers_only =
      std::all_of(values.begin(), values.end(), [](const Value& v) { return !v.tensor || !is_real(v.type); });
  if (integers_only) return values;
  if (!moves_elements(node.op) || c.in(0).numel() == 0)
    fail(Code::kUnsupported, "there is no gradient through this operator in this form");
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    if (c.has(i) && c.in(i).requires_grad())
      fail(Code::kUnsupported, "there is no gradient with respect to this input");
  }
  // The same node on the positions 1, 2, ... of the first input; 0 marks what it filled in.
  graph::Tensor& positions = inputs.at("in0");
  const bool picks_by_value = node.op == "TopK" || node.op == "MaxPool";
  if (picks_by_value) fail(Code::kUnsupported, "there is no gradient through this operator in this form");
  for (std::size_t i = 0; i < positions.reals.size(); ++i) positions.reals[i] = static_cast<double>(i + 1);
  positions.type = Type::kDouble;
  single.inputs.front().type = Type::kDouble;
  if (node.op == "Pad" && inputs.contains("in2")) inputs.at("in2").reals.assign(1, 0.0);
  const auto places = run();
  const Tensor flat = at::cat({at::zeros({1}, c.in(0).options()), c.in(0).reshape({-1})});
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].tensor || !is_real(values[i].type)) continue;
    const Tensor index = to_value(places.at(node.outputs[i]), Precision::kFloat64).tensor->to(at::kLong);
    const Tensor moved = at::index_select(flat, 0, index.reshape({-1})).reshape(index.sizes());
    values[i].tensor = std::make_shared<Tensor>(at::where(index.eq(0), *values[i].tensor, moved));
  }
  return values;
}

}  // namespace

const std::vector<std::string>& native_operators() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const auto& [name, kernel] : kernels()) list.push_back(name);
    return list;
  }();
  return names;
}

void enter_torch() {
  thread_local bool entered = false;
  if (!entered) at::set_num_threads(1);
  entered = true;
}

base::Status guarded(const std::function<void()>& body) {
  try {
    body();
    return base::ok();
  } catch (const EngineError& error) {
    return error.error();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return base::make_error(Code::kShape, text.substr(0, text.find('\n')));
  } catch (const std::bad_alloc&) {
    return base::make_error(Code::kLimit, "out of memory");
  } catch (const base::InternalError&) {
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return base::make_error(Code::kValue, text.substr(0, text.find('\n')));
  }
}

Value to_value(const graph::Tensor& tensor, Precision precision) {
  if (tensor.type == Type::kString) fail(Code::kUnsupported, "text tensors run on the interpreter only");
  Tensor out;
  if (tensor.is_real()) {
    out = at::empty(tensor.shape, at::kDouble);
    std::copy(tensor.reals.begin(), tensor.reals.end(), out.data_ptr<double>());
    out = out.to(scalar_type(precision));
  } else {
    out = at::empty(tensor.shape, at::kLong);
    std::copy(tensor.integers.begin(), tensor.integers.end(), out.data_ptr<std::int64_t>());
  }
  return {std::make_shared<Tensor>(std::move(out)), tensor.type};
}

graph::Tensor to_graph_tensor(const Value& value) {
  graph::Tensor out;
  out.type = value.type;
  out.shape = value.tensor->sizes().vec();
  if (is_real(value.type)) {
    const Tensor flat = value.tensor->detach().to(at::kDouble).contiguous();
    out.reals.assign(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  } else {
    const Tensor flat = value.tensor->contiguous();
    out.integers.assign(flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel());
  }
  return out;
}

void run_nodes(const graph::Graph& graph, Values& values, const std::vector<std::string>& keep, Precision precision) {
  std::set<std::string> wanted(keep.begin(), keep.end());
  for (const graph::Port& port : graph.outputs) wanted.insert(port.name);
  std::map<std::string, std::size_t> uses;
  for (const Node& node : graph.nodes) {
    for (const std::string& name : node.inputs) ++uses[name];
  }
  for (const Node& node : graph.nodes) {
    const auto run = guarded([&] {
      Call call{node, graph.opset, precision, {}, {}};
      for (const std::string& name : node.inputs) {
        const auto found = values.find(name);
        if (!name.empty() && found == values.end())
          fail(Code::kValue, fmt::format("tensor '{}' is not known here", name));
        call.inputs.push_back(name.empty() ? Tensor() : *found->second.tensor);
        call.types.push_back(name.empty() ? Type::kFloat : found->second.type);
      }
      const auto kernel = kernels().find(node.op);
      const Outcome native = kernel == kernels().end() ? std::nullopt : kernel->second(call);
      if (native) {
        for (std::size_t i = 0; i < node.outputs.size(); ++i) {
          if (node.outputs[i].empty()) continue;
          if (i >= native->size()) fail(Code::kUnsupported, fmt::format("output {} is not held", i));
          // Kernels keep the kind of their data input; reals have one type throughout a run.
          const Tensor& out = (*native)[i];
          Type type = at::isFloatingType(out.scalar_type()) ? Type::kFloat : call.types.front();
          if (precision == Precision::kFloat64 && type == Type::kFloat) {
            for (const Type input : call.types) type = input == Type::kDouble ? input : type;
          }
          values[node.outputs[i]] = {std::make_shared<Tensor>(out), type};
        }
      } else {
        std::vector<Value> results = interpreted(call);
        for (std::size_t i = 0; i < node.outputs.size(); ++i) {
          if (!node.outputs[i].empty()) values[node.outputs[i]] = results[i];
        }
      }
    });
    if (!run.ok()) {
      const bool placed = run.error().where.find(node.place()) != std::string::npos;
      throw EngineError(placed ? run.error() : run.error().at(node.place()));
    }
    for (const std::string& name : node.inputs) {
      if (--uses[name] == 0 && !wanted.contains(name)) values.erase(name);
    }
  }
}

}  // namespace plumbline::nn

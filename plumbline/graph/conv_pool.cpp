/// Convolutions and pools over any number of spatial axes.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;

/// Strides, pads and so on of one sliding window, per spatial axis.
struct Window {
  Shape kernel;
  Shape stride;
  Shape dilation;
  Shape pad_begin;
  Shape pad_end;
  Shape in;   ///< spatial axes of the input
  Shape out;  ///< spatial axes of the output
};

Shape spatial(const Tensor& x) {
  if (x.shape.size() < 3)
    fail(Code::kShape, fmt::format("input has shape {}, expected at least 3 axes", shape_text(x.shape)));
  return {x.shape.begin() + 2, x.shape.end()};
}

Shape per_axis(const Call& call, const std::string& name, std::size_t axes, std::int64_t fallback, std::int64_t least) {
  Shape values = call.integers(name);
  if (values.empty()) values.assign(axes, fallback);
  if (values.size() != axes) {
    fail(Code::kShape, fmt::format("attribute '{}' has {} values for {} axes", name, values.size(), axes));
  }
  for (const std::int64_t value : values) {
    if (value < least || value > std::numeric_limits<std::int32_t>::max()) {
      fail(Code::kValue, fmt::format("attribute '{}' holds {}", name, value));
    }
  }
  return values;
}

Window read_window(const Call& call, const Tensor& x, Shape kernel, bool ceil) {
  Window w;
  w.in = spatial(x);
  const std::size_t axes = w.in.size();
  if (kernel.size() != axes) {
    fail(Code::kShape, fmt::format("the kernel has {} spatial axes, the input {}", kernel.size(), axes));
  }
  w.kernel = std::move(kernel);
  w.stride = per_axis(call, "strides", axes, 1, 1);
  w.dilation = per_axis(call, "dilations", axes, 1, 1);
  const Shape pads = per_axis(call, "pads", 2 * axes, 0, 0);
  w.pad_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  w.pad_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string automatic = call.text("auto_pad", "NOTSET");
  if (automatic != "NOTSET" && automatic != "VALID" && automatic != "SAME_UPPER" && automatic != "SAME_LOWER") {
    fail(Code::kValue, fmt::format("attribute 'auto_pad' is '{}'", automatic));
  }
  for (std::size_t d = 0; d < axes; ++d) {
    if (w.kernel[d] < 1 || w.kernel[d] > std::numeric_limits<std::int32_t>::max()) {
      fail(Code::kValue, fmt::format("the kernel has an axis of size {}", w.kernel[d]));
    }
    const std::int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
    if (automatic == "VALID") w.pad_begin[d] = w.pad_end[d] = 0;
    if (automatic.starts_with("SAME")) {
      const std::int64_t out = (w.in[d] + w.stride[d] - 1) / w.stride[d];
      const std::int64_t total = std::max<std::int64_t>((out - 1) * w.stride[d] + reach - w.in[d], 0);
      const std::int64_t smaller = total / 2;
      w.pad_begin[d] = automatic == "SAME_UPPER" ? smaller : total - smaller;
      w.pad_end[d] = total - w.pad_begin[d];
    }
    const std::int64_t room = w.in[d] + w.pad_begin[d] + w.pad_end[d] - reach;
    if (room < 0) {
      fail(Code::kShape, fmt::format("a kernel that reaches over {} does not fit in an axis of {} with its pads", reach,
                                     w.in[d] + w.pad_begin[d] + w.pad_end[d]));
    }
    std::int64_t out = room / w.stride[d] + 1;
    if (ceil && room % w.stride[d] != 0 && out * w.stride[d] < w.in[d] + w.pad_begin[d]) ++out;
    w.out.push_back(out);
  }
  call.size_of(w.kernel);
  return w;
}

Shape kernel_of(const Call& call) {
  if (!call.has_attribute("kernel_shape")) fail(Code::kValue, "attribute 'kernel_shape' is missing");
  return call.integers("kernel_shape");
}

/// Moves `at` to the next position of `shape` in row-major order; false after the last.
bool next_position(const Shape& shape, Shape& at) {
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (++at[d] < shape[d]) return true;
    at[d] = 0;
  }
  return false;
}

/// Calls body(k, o, i) for kernel position k, window o and input position i (all row-major) inside the input; along the
/// last spatial axis as runs: body(k, o, i, count, step of i).
template <class Body>
void slide(const Window& w, Body body) {
  const std::size_t last = w.in.size() - 1;
  const Shape in_strides = strides_of(w.in);
  Shape k_at(w.kernel.size(), 0);
  const Shape outer(w.out.begin(), w.out.end() - 1);
  std::int64_t k = 0;
  do {
    const std::int64_t shift = k_at[last] * w.dilation[last] - w.pad_begin[last];
    const std::int64_t step = w.stride[last];
    // Windows o with 0 <= o * step + shift < in.
    const std::int64_t first = shift >= 0 ? 0 : (-shift + step - 1) / step;
    const std::int64_t end = w.in[last] > shift ? std::min(w.out[last], (w.in[last] - shift + step - 1) / step) : 0;
    if (first < end) {
      Shape o_at(outer.size(), 0);
      std::int64_t row = 0;
      do {
        bool inside = true;
        std::int64_t base = 0;
        for (std::size_t d = 0; d < last; ++d) {
          const std::int64_t i = o_at[d] * w.stride[d] + k_at[d] * w.dilation[d] - w.pad_begin[d];
          inside = inside && i >= 0 && i < w.in[d];
          base += i * in_strides[d];
        }
        if (inside) body(k, row * w.out[last] + first, base + first * step + shift, end - first, step);
        ++row;
      } while (next_position(outer, o_at));
    }
    ++k;
  } while (next_position(w.kernel, k_at));
}

std::int64_t size_of(const Shape& shape) { return extent(shape, 0, shape.size()); }

struct Filters {
  std::int64_t groups = 1;
  std::int64_t in_channels = 0;   ///< of one group
  std::int64_t out_channels = 0;  ///< of one group
};

void add_bias(const Call& call, Tensor& y) {
  if (!call.has(2)) return;
  const Tensor& bias = call.real_in(2);
  if (bias.shape != Shape{y.shape[1]}) fail(Code::kShape, fmt::format("the bias has shape {}", shape_text(bias.shape)));
  const std::int64_t plane = extent(y.shape, 2, y.shape.size());
  std::size_t at = 0;
  for (std::int64_t n = 0; n < y.shape[0]; ++n) {
    for (const double value : bias.reals) {
      for (std::int64_t i = 0; i < plane; ++i) y.reals[at++] += value;
    }
  }
}

Tensors conv(const Call& call) {
  const Tensor& x = call.real_in(0);
  const Tensor& weights = call.real_in(1);
  if (weights.shape.size() != x.shape.size()) fail(Code::kShape, "input and weights have different rank");
  const Window w = read_window(call, x, spatial(weights), false);
  if (call.has_attribute("kernel_shape") && call.integers("kernel_shape") != w.kernel) {
    fail(Code::kShape, "attribute 'kernel_shape' differs from the weights");
  }
  Filters f{.groups = call.integer("group", 1), .in_channels = weights.shape[1], .out_channels = 0};
  if (f.groups < 1 || weights.shape[0] % f.groups != 0 || x.shape[1] % f.groups != 0 ||
      x.shape[1] / f.groups != f.in_channels) {
    fail(Code::kShape, fmt::format("input {}, weights {} and {} groups do not agree", shape_text(x.shape),
                                   shape_text(weights.shape), f.groups));
  }
  f.out_channels = weights.shape[0] / f.groups;
  Shape shape{x.shape[0], weights.shape[0]};
  shape.insert(shape.end(), w.out.begin(), w.out.end());
  Tensor y = call.make(x.type, shape);
  if (y.size() == 0) return {std::move(y)};
  const std::int64_t taps = size_of(w.kernel);
  const std::int64_t windows = size_of(w.out);
  const std::int64_t pixels = size_of(w.in);
  Tensor columns = call.make(Type::kDouble, {f.in_channels, taps, windows});  // im2col of one group of one example
  for (std::int64_t n = 0; n < x.shape[0]; ++n) {
    for (std::int64_t g = 0; g < f.groups; ++g) {
      std::fill(columns.reals.begin(), columns.reals.end(), 0.0);
      const double* from = x.reals.data() + (n * x.shape[1] + g * f.in_channels) * pixels;
      slide(w, [&](std::int64_t k, std::int64_t o, std::int64_t i, std::int64_t count, std::int64_t step) {
        for (std::int64_t c = 0; c < f.in_channels; ++c) {
          double* to = columns.reals.data() + (c * taps + k) * windows + o;
          const double* source = from + c * pixels + i;
          for (std::int64_t j = 0; j < count; ++j) to[j] = source[j * step];
        }
      });
      multiply_add(weights.reals.data() + g * f.out_channels * f.in_channels * taps, columns.reals.data(),
                   y.reals.data() + (n * weights.shape[0] + g * f.out_channels) * windows, f.out_channels,
                   f.in_channels * taps, windows);
    }
  }
  add_bias(call, y);
  return {std::move(y)};
}

/// The window of the ordinary convolution whose adjoint this is: its input is our output.
Window transposed_window(const Call& call, const Tensor& x, const Tensor& weights) {
  Window w;
  w.out = spatial(x);
  w.kernel = spatial(weights);
  const std::size_t axes = w.out.size();
  if (w.kernel.size() != axes) fail(Code::kShape, "input and weights have different rank");
  w.stride = per_axis(call, "strides", axes, 1, 1);
  w.dilation = per_axis(call, "dilations", axes, 1, 1);
  const Shape extra = per_axis(call, "output_padding", axes, 0, 0);
  const Shape pads = per_axis(call, "pads", 2 * axes, 0, 0);
  const std::string automatic = call.text("auto_pad", "NOTSET");
  const bool fixed = call.has_attribute("output_shape");
  Shape target = per_axis(call, "output_shape", axes, 1, 1);
  for (std::size_t d = 0; d < axes; ++d) {
    if (w.kernel[d] < 1) fail(Code::kShape, "the kernel is empty");
    const std::int64_t full = (w.out[d] - 1) * w.stride[d] + extra[d] + (w.kernel[d] - 1) * w.dilation[d] + 1;
    std::int64_t begin = pads[d];
    std::int64_t end = pads[axes + d];
    const bool same = automatic.starts_with("SAME");
    if (automatic == "VALID") begin = end = 0;
    if (fixed || same) {
      const std::int64_t size = fixed ? target[d] : w.out[d] * w.stride[d];
      const std::int64_t total = std::max<std::int64_t>(full - size, 0);
      begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      end = total - begin;
      if (fixed && full < size) end = full - size;  // the tail stays without weights
    }
    const std::int64_t in = full - begin - end;
    if (in < 1) fail(Code::kShape, "the pads leave no output");
    w.pad_begin.push_back(begin);
    w.pad_end.push_back(end);
    w.in.push_back(in);
  }
  return w;
}

Tensors conv_transpose(const Call& call) {
  const Tensor& x = call.real_in(0);
  const Tensor& weights = call.real_in(1);
  const Window w = transposed_window(call, x, weights);
  Filters f{.groups = call.integer("group", 1), .in_channels = 0, .out_channels = weights.shape[1]};
  if (f.groups < 1 || x.shape[1] % f.groups != 0 || weights.shape[0] != x.shape[1]) {
    fail(Code::kShape, fmt::format("input {}, weights {} and {} groups do not agree", shape_text(x.shape),
                                   shape_text(weights.shape), f.groups));
  }
  f.in_channels = x.shape[1] / f.groups;
  if (f.out_channels > 0 && f.groups > std::numeric_limits<std::int64_t>::max() / f.out_channels) {
    fail(Code::kLimit, "too many groups");
  }
  Shape shape{x.shape[0], f.out_channels * f.groups};
  shape.insert(shape.end(), w.in.begin(), w.in.end());
  Tensor y = call.make(x.type, shape);
  if (y.size() == 0 || x.size() == 0) return {std::move(y)};
  const std::int64_t taps = size_of(w.kernel);
  const std::int64_t windows = size_of(w.out);
  const std::int64_t pixels = size_of(w.in);
  for (std::int64_t n = 0; n < x.shape[0]; ++n) {
    for (std::int64_t c = 0; c < x.shape[1]; ++c) {
      const std::int64_t g = c / f.in_channels;
      const double* from = x.reals.data() + (n * x.shape[1] + c) * windows;
      slide(w, [&](std::int64_t k, std::int64_t o, std::int64_t i, std::int64_t count, std::int64_t step) {
        for (std::int64_t m = 0; m < f.out_channels; ++m) {
          const double weight = weights.reals[static_cast<std::size_t>((c * f.out_channels + m) * taps + k)];
          double* to = y.reals.data() + (n * shape[1] + g * f.out_channels + m) * pixels + i;
          for (std::int64_t j = 0; j < count; ++j) to[j * step] += weight * from[o + j];
        }
      });
    }
  }
  add_bias(call, y);
  return {std::move(y)};
}

Tensor pooled(const Call& call, const Tensor& x, const Window& w, double start) {
  Shape shape{x.shape[0], x.shape[1]};
  shape.insert(shape.end(), w.out.begin(), w.out.end());
  Tensor y = call.make(x.type, shape);
  std::fill(y.reals.begin(), y.reals.end(), start);
  return y;
}

Tensors average_pool(const Call& call) {
  const Tensor& x = call.real_in(0);
  const Window w = read_window(call, x, kernel_of(call), call.flag("ceil_mode", false));
  const bool with_pads = call.flag("count_include_pad", false);
  Tensor y = pooled(call, x, w, 0.0);
  if (y.size() == 0) return {std::move(y)};
  const std::int64_t windows = size_of(w.out);
  const std::int64_t pixels = size_of(w.in);
  std::vector<double> counts(static_cast<std::size_t>(windows), 0.0);
  slide(w, [&](std::int64_t, std::int64_t o, std::int64_t, std::int64_t count, std::int64_t) {
    for (std::int64_t j = 0; j < count; ++j) counts[static_cast<std::size_t>(o + j)] += 1;
  });
  if (with_pads) {  // positions inside the padded input; beyond it (ceil_mode) nothing counts
    Shape at(w.out.size(), 0);
    std::size_t o = 0;
    do {
      double count = 1;
      for (std::size_t d = 0; d < at.size(); ++d) {
        const std::int64_t start = at[d] * w.stride[d] - w.pad_begin[d];
        const std::int64_t room = w.in[d] + w.pad_end[d] - start;
        count *= static_cast<double>(std::min(w.kernel[d], (room + w.dilation[d] - 1) / w.dilation[d]));
      }
      counts[o++] = count;
    } while (next_position(w.out, at));
  }
  for (std::int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
    const double* from = x.reals.data() + plane * pixels;
    double* to = y.reals.data() + plane * windows;
    slide(w, [&](std::int64_t, std::int64_t o, std::int64_t i, std::int64_t count, std::int64_t step) {
      for (std::int64_t j = 0; j < count; ++j) to[o + j] += from[i + j * step];
    });
    for (std::int64_t o = 0; o < windows; ++o) to[o] /= counts[static_cast<std::size_t>(o)];
  }
  return {std::move(y)};
}

Tensors max_pool(const Call& call) {
  const Tensor& x = call.in(0);
  const Window w = read_window(call, x, kernel_of(call), call.flag("ceil_mode", false));
  Tensor y = pooled(call, x, w, -std::numeric_limits<double>::infinity());
  std::fill(y.integers.begin(), y.integers.end(), std::numeric_limits<std::int64_t>::min());
  const bool column_major = call.flag("storage_order", false);
  Tensor indices = call.make(Type::kInt64, call.wants(1) ? y.shape : Shape{0});
  if (y.size() == 0) return {std::move(y), std::move(indices)};
  const std::int64_t windows = size_of(w.out);
  const std::int64_t pixels = size_of(w.in);
  Shape reversed(w.in.size(), 1);
  for (std::size_t d = 1; d < reversed.size(); ++d) reversed[d] = reversed[d - 1] * w.in[d - 1];
  const Shape own = strides_of(w.in);
  const auto index_of = [&](std::int64_t plane, std::int64_t i) {
    std::int64_t within = i;
    if (column_major) {
      within = 0;
      for (std::size_t d = 0; d < own.size(); ++d) within += i / own[d] % w.in[d] * reversed[d];
    }
    return plane * pixels + within;
  };
  const auto run = [&](const auto& from_all, auto& to_all) {
    for (std::int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
      const auto* from = from_all.data() + plane * pixels;
      auto* to = to_all.data() + plane * windows;
      slide(w, [&](std::int64_t, std::int64_t o, std::int64_t i, std::int64_t count, std::int64_t step) {
        for (std::int64_t j = 0; j < count; ++j) {
          const auto value = from[i + j * step];
          if (!(value > to[o + j]) && value == value) continue;  // NaN is passed on
          to[o + j] = value;
          if (call.wants(1))
            indices.integers[static_cast<std::size_t>(plane * windows + o + j)] = index_of(plane, i + j * step);
        }
      });
    }
  };
  if (x.is_real()) {
    run(x.reals, y.reals);
  } else {
    run(x.integers, y.integers);
  }
  return {std::move(y), std::move(indices)};
}

template <class Fold>
Tensors global_pool(const Call& call, double start, Fold fold, bool average) {
  const Tensor& x = call.real_in(0);
  const std::int64_t pixels = size_of(spatial(x));
  Shape shape(x.shape.size(), 1);
  shape[0] = x.shape[0];
  shape[1] = x.shape[1];
  Tensor y = call.make(x.type, shape);
  const double* from = x.reals.data();
  for (double& value : y.reals) {
    value = start;
    for (std::int64_t i = 0; i < pixels; ++i) value = fold(value, *from++);
    if (average) value /= static_cast<double>(pixels);
  }
  return {std::move(y)};
}

Tensors global_average_pool(const Call& call) {
  return global_pool(
      call, 0.0, [](double a, double b) { return a + b; }, true);
}
Tensors global_max_pool(const Call& call) {
  return global_pool(
      call, -std::numeric_limits<double>::infinity(), [](double a, double b) { return b > a || std::isnan(b) ? b : a; },
      false);
}

const Operator kOperators[] = {
    {"AveragePool", 7, "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides", average_pool},
    {"Conv", 1, "auto_pad dilations group kernel_shape pads strides", conv},
    {"ConvTranspose", 1, "auto_pad dilations group kernel_shape output_padding output_shape pads strides",
     conv_transpose},
    {"GlobalAveragePool", 1, "", global_average_pool},
    {"GlobalMaxPool", 1, "", global_max_pool},
    {"MaxPool", 1, "auto_pad ceil_mode dilations kernel_shape pads storage_order strides", max_pool},
};

}  // namespace

std::span<const Operator> convolution_operators() { return kOperators; }

}  // namespace plumbline::graph

/// Normalisations, at inference.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;

/// A vector of one value a channel.
const std::vector<double>& per_channel(const Call& call, std::size_t input, std::int64_t channels) {
  const Tensor& tensor = call.real_in(input);
  if (tensor.shape != Shape{channels}) {
    fail(Code::kShape, fmt::format("input {} has shape {}, expected [{}]", input, shape_text(tensor.shape), channels));
  }
  return tensor.reals;
}

const Tensor& with_channels(const Call& call) {
  const Tensor& x = call.real_in(0);
  if (x.shape.size() < 2) fail(Code::kShape, fmt::format("input has shape {}, expected channels", shape_text(x.shape)));
  return x;
}

Tensors batch_normalization(const Call& call) {
  Tensor y = with_channels(call);
  if (call.flag("training_mode", false) || call.wants(1)) fail(Code::kUnsupported, "training mode is not held");
  if (!call.flag("spatial", true)) fail(Code::kUnsupported, "spatial = 0 is not held");
  const std::int64_t channels = y.shape[1];
  const auto& scale = per_channel(call, 1, channels);
  const auto& bias = per_channel(call, 2, channels);
  const auto& mean = per_channel(call, 3, channels);
  const auto& variance = per_channel(call, 4, channels);
  const double epsilon = call.real("epsilon", 1e-5);
  const std::int64_t pixels = extent(y.shape, 2, y.shape.size());
  std::size_t at = 0;
  for (std::int64_t n = 0; n < y.shape[0]; ++n) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      const double factor = scale[c] / std::sqrt(variance[c] + epsilon);
      for (std::int64_t i = 0; i < pixels; ++i, ++at) y.reals[at] = (y.reals[at] - mean[c]) * factor + bias[c];
    }
  }
  return {std::move(y)};
}

struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments moments(std::span<const double> values) {
  Moments m;
  for (const double value : values) m.mean += value;
  m.mean /= static_cast<double>(values.size());
  for (const double value : values) m.variance += (value - m.mean) * (value - m.mean);
  m.variance /= static_cast<double>(values.size());
  return m;
}

Moments standardise(std::span<double> values, double epsilon) {
  const Moments m = moments(values);
  const double factor = 1 / std::sqrt(m.variance + epsilon);
  for (double& value : values) value = (value - m.mean) * factor;
  return {m.mean, factor};
}

/// y = y * scale[c] + bias[c] for each channel c.
void scale_channels(Tensor& y, const std::vector<double>& scale, const std::vector<double>& bias) {
  const std::int64_t pixels = extent(y.shape, 2, y.shape.size());
  std::size_t at = 0;
  for (std::int64_t n = 0; n < y.shape[0]; ++n) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      for (std::int64_t i = 0; i < pixels; ++i, ++at) y.reals[at] = y.reals[at] * scale[c] + bias[c];
    }
  }
}

Tensors instance_normalization(const Call& call) {
  Tensor y = with_channels(call);
  const auto& scale = per_channel(call, 1, y.shape[1]);
  const auto& bias = per_channel(call, 2, y.shape[1]);
  const auto pixels = static_cast<std::size_t>(extent(y.shape, 2, y.shape.size()));
  for (std::size_t at = 0; at < y.reals.size(); at += pixels) {
    standardise(std::span(y.reals).subspan(at, pixels), call.real("epsilon", 1e-5));
  }
  scale_channels(y, scale, bias);
  return {std::move(y)};
}

Tensors group_normalization(const Call& call) {
  Tensor y = with_channels(call);
  const std::int64_t channels = y.shape[1];
  const std::int64_t groups = call.integer("num_groups", 0);
  if (groups < 1 || channels % groups != 0) {
    fail(Code::kShape, fmt::format("{} channels do not form {} groups", channels, groups));
  }
  const auto size = static_cast<std::size_t>(channels / groups * extent(y.shape, 2, y.shape.size()));
  if (size == 0) return {std::move(y)};
  for (std::size_t at = 0; at < y.reals.size(); at += size) {
    standardise(std::span(y.reals).subspan(at, size), call.real("epsilon", 1e-5));
  }
  if (call.opset >= 21) {
    scale_channels(y, per_channel(call, 1, channels), per_channel(call, 2, channels));
    return {std::move(y)};
  }
  const auto& scale = per_channel(call, 1, groups);  // opsets 18 to 20: one value a group
  const auto& bias = per_channel(call, 2, groups);
  std::vector<double> scales;
  std::vector<double> biases;
  for (std::size_t g = 0; g < scale.size(); ++g) {
    scales.insert(scales.end(), static_cast<std::size_t>(channels / groups), scale[g]);
    biases.insert(biases.end(), static_cast<std::size_t>(channels / groups), bias[g]);
  }
  scale_channels(y, scales, biases);
  return {std::move(y)};
}

Tensors layer_normalization(const Call& call) {
  Tensor y = call.real_in(0);
  const std::size_t axis = normal_axis(call.integer("axis", -1), y.shape.size());
  const Shape tail(y.shape.begin() + static_cast<std::ptrdiff_t>(axis), y.shape.end());
  const auto size = static_cast<std::size_t>(extent(tail, 0, tail.size()));
  const Tensor scale = strided(call, call.real_in(1), tail, broadcast_strides(call.real_in(1).shape, tail));
  Tensor bias = call.make(y.type, tail);
  if (call.has(2)) bias = strided(call, call.real_in(2), tail, broadcast_strides(call.real_in(2).shape, tail));
  Shape kept = y.shape;
  for (std::size_t d = axis; d < kept.size(); ++d) kept[d] = 1;
  Tensor means = call.make(y.type, kept);
  Tensor factors = call.make(y.type, kept);
  for (std::size_t row = 0; size != 0 && row * size < y.reals.size(); ++row) {
    const auto values = std::span(y.reals).subspan(row * size, size);
    const Moments m = standardise(values, call.real("epsilon", 1e-5));
    means.reals[row] = m.mean;
    factors.reals[row] = m.variance;
    for (std::size_t i = 0; i < size; ++i) values[i] = values[i] * scale.reals[i] + bias.reals[i];
  }
  return {std::move(y), std::move(means), std::move(factors)};
}

Tensors local_response_normalization(const Call& call) {
  const Tensor& x = with_channels(call);
  const std::int64_t size = call.integer("size", 0);
  if (size < 1) fail(Code::kValue, fmt::format("attribute 'size' is {}", size));
  const double alpha = call.real("alpha", 1e-4);
  const double beta = call.real("beta", 0.75);
  const double bias = call.real("bias", 1.0);
  const std::int64_t channels = x.shape[1];
  const std::int64_t pixels = extent(x.shape, 2, x.shape.size());
  Tensor y = x;
  for (std::int64_t n = 0; n < x.shape[0]; ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t first = std::max<std::int64_t>(0, c - (size - 1) / 2);
      const std::int64_t last = size / 2 >= channels - c ? channels - 1 : c + size / 2;
      for (std::int64_t i = 0; i < pixels; ++i) {
        double total = 0;
        for (std::int64_t j = first; j <= last; ++j) {
          const double value = x.reals[static_cast<std::size_t>((n * channels + j) * pixels + i)];
          total += value * value;
        }
        y.reals[static_cast<std::size_t>((n * channels + c) * pixels + i)] /=
            std::pow(bias + alpha / static_cast<double>(size) * total, beta);
      }
    }
  }
  return {std::move(y)};
}

Tensors mean_variance_normalization(const Call& call) {
  const Tensor& x = call.real_in(0);
  std::vector<std::int64_t> axes = call.integers("axes");
  if (!call.has_attribute("axes")) axes = {0, 2, 3};
  std::vector<bool> folded(x.shape.size(), false);
  for (const std::int64_t axis : axes) folded[normal_axis(axis, x.shape.size())] = true;
  const Shape own = strides_of(x.shape);
  Shape kept;
  Shape kept_strides;
  Shape inner;
  Shape inner_strides;
  for (std::size_t d = 0; d < x.shape.size(); ++d) {
    (folded[d] ? inner : kept).push_back(x.shape[d]);
    (folded[d] ? inner_strides : kept_strides).push_back(own[d]);
  }
  Tensor y = x;
  std::vector<double> values;
  for_each_offset(kept, kept_strides, 0, [&](std::int64_t start) {
    values.clear();
    for_each_offset(inner, inner_strides, start,
                    [&](std::int64_t at) { values.push_back(x.reals[static_cast<std::size_t>(at)]); });
    if (values.empty()) return;
    const Moments m = moments(values);
    for_each_offset(inner, inner_strides, start, [&](std::int64_t at) {
      double& value = y.reals[static_cast<std::size_t>(at)];
      value = (value - m.mean) / (std::sqrt(m.variance) + 1e-9);
    });
  });
  return {std::move(y)};
}

const Operator kOperators[] = {
    {"BatchNormalization", 7, "epsilon momentum spatial training_mode", batch_normalization,
     "inference with spatial = 1; training mode is refused"},
    {"GroupNormalization", 18, "epsilon num_groups stash_type", group_normalization},
    {"InstanceNormalization", 6, "epsilon", instance_normalization},
    {"LRN", 1, "alpha beta bias size", local_response_normalization},
    {"LayerNormalization", 17, "axis epsilon stash_type", layer_normalization},
    {"MeanVarianceNormalization", 9, "axes", mean_variance_normalization},
};

}  // namespace

std::span<const Operator> normalization_operators() { return kOperators; }

}  // namespace plumbline::graph

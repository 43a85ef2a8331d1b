/// Operators that move, copy or describe values without computing with them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;

/// A list of integers that newer opsets take as an input and older ones as an attribute.
std::vector<std::int64_t> list(const Call& call, const std::string& attribute, std::size_t input, int input_since) {
  if (call.opset < input_since) return call.integers(attribute);
  return call.has(input) ? call.integer_in(input).integers : std::vector<std::int64_t>{};
}

Tensor reshaped(const Call& call, const Tensor& x, Shape shape) {
  if (call.size_of(shape) != x.size()) {
    fail(Code::kShape, fmt::format("shape {} cannot become {}", shape_text(x.shape), shape_text(shape)));
  }
  Tensor y = x;
  y.shape = std::move(shape);
  return y;
}

Tensors identity(const Call& call) { return {call.in(0)}; }

Tensors reshape(const Call& call) {
  const Tensor& x = call.in(0);
  Shape shape = call.integer_in(1).integers;
  const bool zero_is_zero = call.flag("allowzero", false);
  std::size_t free = shape.size();
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !zero_is_zero) {
      if (d >= x.shape.size()) fail(Code::kShape, "a zero in the target shape has no axis to copy");
      shape[d] = x.shape[d];
    } else if (shape[d] == -1) {
      if (free != shape.size()) fail(Code::kShape, "the target shape has two axes of -1");
      free = d;
    }
  }
  if (free != shape.size()) {
    shape[free] = 1;
    const std::int64_t rest = call.size_of(shape);
    if (rest == 0 || x.size() % rest != 0) {
      fail(Code::kShape, fmt::format("shape {} does not divide into the target shape", shape_text(x.shape)));
    }
    shape[free] = x.size() / rest;
  }
  return {reshaped(call, x, std::move(shape))};
}

Tensors flatten(const Call& call) {
  const Tensor& x = call.in(0);
  const std::int64_t given = call.integer("axis", 1);
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  if (given < -rank || given > rank)
    fail(Code::kValue, fmt::format("axis {} is outside a tensor of rank {}", given, rank));
  const auto axis = static_cast<std::size_t>(given < 0 ? given + rank : given);
  return {reshaped(call, x, {extent(x.shape, 0, axis), extent(x.shape, axis, x.shape.size())})};
}

Tensors squeeze(const Call& call) {
  const Tensor& x = call.in(0);
  const auto axes = list(call, "axes", 1, 13);
  std::vector<bool> drop(x.shape.size(), false);
  for (std::size_t d = 0; d < drop.size(); ++d) drop[d] = axes.empty() && x.shape[d] == 1;
  for (const std::int64_t axis : axes) drop[normal_axis(axis, x.shape.size())] = true;
  Shape shape;
  for (std::size_t d = 0; d < drop.size(); ++d) {
    if (!drop[d]) {
      shape.push_back(x.shape[d]);
    } else if (x.shape[d] != 1) {
      fail(Code::kShape, fmt::format("axis {} has size {}, only axes of size 1 are squeezed", d, x.shape[d]));
    }
  }
  return {reshaped(call, x, std::move(shape))};
}

Tensors unsqueeze(const Call& call) {
  const Tensor& x = call.in(0);
  const auto axes = list(call, "axes", 1, 13);
  if (axes.size() > 64) fail(Code::kLimit, "more than 64 new axes");
  std::vector<bool> fresh(x.shape.size() + axes.size(), false);
  for (const std::int64_t axis : axes) {
    const std::size_t d = normal_axis(axis, fresh.size());
    if (fresh[d]) fail(Code::kValue, fmt::format("axis {} is given twice", d));
    fresh[d] = true;
  }
  Shape shape;
  std::size_t next = 0;
  for (const bool is_new : fresh) shape.push_back(is_new ? 1 : x.shape[next++]);
  return {reshaped(call, x, std::move(shape))};
}

Tensors transpose(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<std::int64_t> order = call.integers("perm");
  if (order.empty()) {
    for (std::size_t d = x.shape.size(); d-- > 0;) order.push_back(static_cast<std::int64_t>(d));
  }
  std::vector<bool> seen(x.shape.size(), false);
  if (order.size() != x.shape.size()) fail(Code::kShape, "attribute 'perm' does not name every axis");
  const Shape own = strides_of(x.shape);
  Shape shape;
  Shape strides;
  for (const std::int64_t axis : order) {
    const std::size_t d = normal_axis(axis, x.shape.size());
    if (seen[d]) fail(Code::kValue, fmt::format("attribute 'perm' names axis {} twice", d));
    seen[d] = true;
    shape.push_back(x.shape[d]);
    strides.push_back(own[d]);
  }
  return {strided(call, x, shape, strides)};
}

Tensors expand(const Call& call) {
  const Tensor& x = call.in(0);
  const Shape& target = call.integer_in(1).integers;
  call.size_of(target);
  const Shape shape = broadcast_shape(x.shape, target);
  call.size_of(shape);
  return {strided(call, x, shape, broadcast_strides(x.shape, shape))};
}

Tensors tile(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& repeats = call.integer_in(1).integers;
  if (repeats.size() != x.shape.size()) fail(Code::kShape, "the repeats do not name every axis");
  // Axis d of size s repeated r times reads as two axes (r, s) with strides (0, own).
  const Shape own = strides_of(x.shape);
  Shape shape;
  Shape pairs;
  Shape strides;
  call.size_of(repeats);
  for (std::size_t d = 0; d < repeats.size(); ++d) {
    shape.push_back(repeats[d] * x.shape[d]);
    pairs.insert(pairs.end(), {repeats[d], x.shape[d]});
    strides.insert(strides.end(), {0, own[d]});
  }
  Tensor y = strided(call, x, pairs, strides);
  y.shape = shape;
  return {std::move(y)};
}

Tensors concat(const Call& call) {
  if (!call.has_attribute("axis")) fail(Code::kValue, "attribute 'axis' is missing");
  const Tensor& first = call.in(0);
  const std::size_t axis = normal_axis(call.integer("axis", 0), first.shape.size());
  Shape shape = first.shape;
  shape[axis] = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& part = call.in(i);
    Shape other = part.shape;
    if (part.type != first.type || other.size() != shape.size()) fail(Code::kShape, "inputs differ in type or rank");
    shape[axis] += other[axis];
    other[axis] = first.shape[axis];
    if (other != first.shape) {
      fail(Code::kShape, fmt::format("shapes {} and {} do not join", shape_text(first.shape), shape_text(part.shape)));
    }
  }
  Tensor y = call.make(first.type, shape);
  const std::int64_t before = extent(shape, 0, axis);
  const std::int64_t after = extent(shape, axis + 1, shape.size());
  const auto copy = [&](const auto& from, auto& to, std::int64_t width, std::int64_t at) {
    for (std::int64_t i = 0; i < before; ++i) {
      std::copy_n(from.begin() + i * width, width, to.begin() + i * shape[axis] * after + at);
    }
  };
  std::int64_t at = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& part = call.in(i);
    const std::int64_t width = part.shape[axis] * after;
    if (y.is_real()) {
      copy(part.reals, y.reals, width, at);
    } else {
      copy(part.integers, y.integers, width, at);
    }
    at += width;
  }
  return {std::move(y)};
}

Tensors split(const Call& call) {
  const Tensor& x = call.in(0);
  const std::size_t axis = normal_axis(call.integer("axis", 0), x.shape.size());
  std::vector<std::int64_t> sizes = list(call, "split", 1, 13);
  const auto parts = static_cast<std::int64_t>(call.node.outputs.size());
  if (sizes.empty()) {
    if (call.integer("num_outputs", parts) != parts)
      fail(Code::kValue, "attribute 'num_outputs' differs from the outputs");
    const std::int64_t size = (x.shape[axis] + parts - 1) / parts;
    if (call.opset < 18 && size * parts != x.shape[axis]) {
      fail(Code::kShape, fmt::format("an axis of {} does not split into {} equal parts", x.shape[axis], parts));
    }
    std::int64_t left = x.shape[axis];
    for (std::int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::min(size, left));
      left -= sizes.back();
    }
  }
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0 || size > x.shape[axis] - total) fail(Code::kShape, "the parts do not add up to the axis");
    total += size;
  }
  if (total != x.shape[axis] || static_cast<std::int64_t>(sizes.size()) != parts) {
    fail(Code::kShape, fmt::format("{} parts of {} in all, for {} outputs of an axis of {}", sizes.size(), total, parts,
                                   x.shape[axis]));
  }
  const Shape own = strides_of(x.shape);
  Tensors out;
  std::int64_t at = 0;
  for (const std::int64_t size : sizes) {
    Shape shape = x.shape;
    shape[axis] = size;
    out.push_back(strided(call, x, shape, own, at * own[axis]));
    at += size;
  }
  return out;
}

Tensors slice(const Call& call) {
  const Tensor& x = call.in(0);
  const auto starts = list(call, "starts", 1, 10);
  const auto ends = list(call, "ends", 2, 10);
  auto axes = list(call, "axes", 3, 10);
  auto steps = call.opset < 10 ? std::vector<std::int64_t>{} : list(call, "", 4, 10);
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    fail(Code::kShape, "starts, ends, axes and steps have different lengths");
  }
  Shape shape = x.shape;
  Shape strides = strides_of(x.shape);
  std::int64_t offset = 0;
  std::vector<bool> seen(x.shape.size(), false);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t d = normal_axis(axes[i], x.shape.size());
    if (seen[d]) fail(Code::kValue, fmt::format("axis {} is given twice", d));
    seen[d] = true;
    const std::int64_t size = x.shape[d];
    // Beyond the axis's size one step is as good as any other, and the bounds below stay small.
    const std::int64_t step = std::clamp(steps[i], -(size + 1), size + 1);
    if (step == 0) fail(Code::kValue, "a step is zero");
    const auto bound = [&](std::int64_t at, std::int64_t low, std::int64_t high) {
      return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, low, high);
    };
    const std::int64_t start = step > 0 ? bound(starts[i], 0, size) : bound(starts[i], 0, size - 1);
    const std::int64_t end = step > 0 ? bound(ends[i], 0, size) : bound(ends[i], -1, size - 1);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0 ? step : -step;
    shape[d] = size == 0 || span <= 0 ? 0 : (span + stride - 1) / stride;
    offset += shape[d] == 0 ? 0 : start * strides[d];
    strides[d] *= step;
  }
  return {strided(call, x, shape, strides, offset)};
}

/// index in [-size, size) as one in [0, size).
std::int64_t normal_index(std::int64_t index, std::int64_t size) {
  if (index < -size || index >= size) fail(Code::kValue, fmt::format("index {} is outside an axis of {}", index, size));
  return index < 0 ? index + size : index;
}

Tensors gather(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& indices = call.integer_in(1);
  const std::size_t axis = normal_axis(call.integer("axis", 0), x.shape.size());
  Shape shape(x.shape.begin(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape.end());
  const std::int64_t after = extent(x.shape, axis + 1, x.shape.size());
  std::vector<std::int64_t> offsets;
  offsets.reserve(static_cast<std::size_t>(call.size_of(shape)));
  if (offsets.capacity() != 0 && call.size_of(shape) != 0) {
    for (std::int64_t i = 0; i < extent(x.shape, 0, axis); ++i) {
      for (const std::int64_t index : indices.integers) {
        const std::int64_t at = (i * x.shape[axis] + normal_index(index, x.shape[axis])) * after;
        for (std::int64_t j = 0; j < after; ++j) offsets.push_back(at + j);
      }
    }
  }
  return {take(call, x, shape, offsets)};
}

Tensors gather_elements(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& indices = call.integer_in(1);
  const std::size_t axis = normal_axis(call.integer("axis", 0), x.shape.size());
  if (indices.shape.size() != x.shape.size()) fail(Code::kShape, "the indices have another rank than the data");
  for (std::size_t d = 0; d < x.shape.size(); ++d) {
    if (d != axis && indices.shape[d] > x.shape[d]) fail(Code::kShape, "the indices reach beyond the data");
  }
  Shape strides = strides_of(x.shape);
  const std::int64_t step = strides[axis];
  strides[axis] = 0;
  std::vector<std::int64_t> offsets;
  std::size_t i = 0;
  for_each_offset(indices.shape, strides, 0, [&](std::int64_t at) {
    offsets.push_back(at + normal_index(indices.integers[i++], x.shape[axis]) * step);
  });
  return {take(call, x, indices.shape, offsets)};
}

Tensors gather_nd(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& indices = call.integer_in(1);
  const std::int64_t batch_axes = call.integer("batch_dims", 0);
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  if (indices.shape.empty() || batch_axes < 0 || batch_axes >= static_cast<std::int64_t>(indices.shape.size()) ||
      batch_axes > rank || indices.shape.back() > rank - batch_axes) {
    fail(Code::kShape, fmt::format("indices of shape {} do not address data of shape {}", shape_text(indices.shape),
                                   shape_text(x.shape)));
  }
  const auto batch = static_cast<std::size_t>(batch_axes);
  const auto depth = static_cast<std::size_t>(indices.shape.back());
  for (std::size_t d = 0; d < batch; ++d) {
    if (indices.shape[d] != x.shape[d]) fail(Code::kShape, "data and indices differ in a batch axis");
  }
  Shape shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), x.shape.begin() + static_cast<std::ptrdiff_t>(batch + depth), x.shape.end());
  const Shape strides = strides_of(x.shape);
  const std::int64_t tail = extent(x.shape, batch + depth, x.shape.size());
  const std::int64_t per_batch = extent(indices.shape, batch, indices.shape.size() - 1);
  const std::int64_t batch_size = extent(x.shape, batch, x.shape.size());
  std::vector<std::int64_t> offsets;
  if (call.size_of(shape) != 0) {
    const std::int64_t tuples = extent(indices.shape, 0, indices.shape.size() - 1);
    for (std::int64_t t = 0; t < tuples; ++t) {
      std::int64_t at = t / per_batch * batch_size;
      for (std::size_t d = 0; d < depth; ++d) {
        const std::int64_t index = indices.integers[static_cast<std::size_t>(t) * depth + d];
        at += normal_index(index, x.shape[batch + d]) * strides[batch + d];
      }
      for (std::int64_t j = 0; j < tail; ++j) offsets.push_back(at + j);
    }
  }
  return {take(call, x, shape, offsets)};
}

/// Position of a padded index in [0, size), or -1 for the constant.
std::int64_t padded_index(std::int64_t i, std::int64_t size, const std::string& mode) {
  if (i >= 0 && i < size) return i;
  if (mode == "constant") return -1;
  if (size == 0) fail(Code::kShape, fmt::format("an empty axis cannot be padded by {}", mode));
  if (mode == "edge") return i < 0 ? 0 : size - 1;
  if (mode == "wrap") return ((i % size) + size) % size;
  if (size == 1) return 0;
  const std::int64_t period = 2 * (size - 1);  // reflect
  const std::int64_t phase = ((i % period) + period) % period;
  return phase < size ? phase : period - phase;
}

Tensors pad(const Call& call) {
  const Tensor& x = call.in(0);
  const std::string mode = call.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") {
    fail(Code::kValue, fmt::format("attribute 'mode' is '{}', expected constant, reflect, edge or wrap", mode));
  }
  const std::size_t rank = x.shape.size();
  const auto given = list(call, "pads", 1, 11);
  std::vector<std::int64_t> axes;
  if (call.opset >= 18 && call.has(3)) {
    axes = call.integer_in(3).integers;
  } else {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  if (given.size() != 2 * axes.size()) {
    fail(Code::kShape, fmt::format("{} pads for {} axes", given.size(), axes.size()));
  }
  Shape begin(rank, 0);
  Shape shape = x.shape;
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t d = normal_axis(axes[i], rank);
    const std::int64_t before = given[i];
    const std::int64_t after = given[axes.size() + i];
    if (before < -kMost || before > kMost || after < -kMost || after > kMost) fail(Code::kLimit, "a pad is too large");
    begin[d] = before;
    shape[d] = x.shape[d] + before + after;
  }
  Tensor fill = call.make(x.type, {});
  if (call.opset < 11 && fill.is_real()) fill.reals[0] = call.real("value", 0.0);
  if (call.opset >= 11 && call.has(2)) {
    if (call.in(2).size() != 1 || call.in(2).type != x.type)
      fail(Code::kShape, "the fill value must be one value of the data's type");
    fill = call.in(2);
  }
  Tensor y = call.make(x.type, shape);
  std::vector<std::vector<std::int64_t>> index(rank);
  for (std::size_t d = 0; d < rank && y.size() != 0; ++d) {
    for (std::int64_t i = 0; i < shape[d]; ++i) index[d].push_back(padded_index(i - begin[d], x.shape[d], mode));
  }
  const Shape own = strides_of(x.shape);
  Shape at(rank, 0);
  for (std::int64_t i = 0; i < y.size(); ++i) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < rank && from >= 0; ++d) {
      const std::int64_t position = index[d][static_cast<std::size_t>(at[d])];
      from = position < 0 ? -1 : from + position * own[d];
    }
    const auto to = static_cast<std::size_t>(i);
    if (y.is_real()) {
      y.reals[to] = from < 0 ? fill.reals[0] : x.reals[static_cast<std::size_t>(from)];
    } else {
      y.integers[to] = from < 0 ? fill.integers[0] : x.integers[static_cast<std::size_t>(from)];
    }
    for (std::size_t d = rank; d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  return {std::move(y)};
}

Tensors depth_to_space(const Call& call) {
  const Tensor& x = call.in(0);
  const std::int64_t b = call.integer("blocksize", 0);
  const std::string mode = call.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    fail(Code::kValue, fmt::format("attribute 'mode' is '{}', expected DCR or CRD", mode));
  if (x.shape.size() != 4 || b < 1 || b > 65536 || x.shape[1] % (b * b) != 0) {
    fail(Code::kShape, fmt::format("shape {} has no blocks of size {}", shape_text(x.shape), b));
  }
  const std::int64_t n = x.shape[0];
  const std::int64_t c = x.shape[1] / (b * b);
  const std::int64_t h = x.shape[2];
  const std::int64_t w = x.shape[3];
  const std::int64_t plane = h * w;
  const std::int64_t block_row = mode == "DCR" ? b * c * plane : b * plane;
  const std::int64_t block_column = mode == "DCR" ? c * plane : plane;
  const std::int64_t channel = mode == "DCR" ? plane : b * b * plane;
  Tensor y = strided(call, x, {n, c, h, b, w, b}, {x.shape[1] * plane, channel, w, block_row, 1, block_column});
  y.shape = {n, c, h * b, w * b};
  return {std::move(y)};
}

Tensors space_to_depth(const Call& call) {
  const Tensor& x = call.in(0);
  const std::int64_t b = call.integer("blocksize", 0);
  if (x.shape.size() != 4 || b < 1 || x.shape[2] % b != 0 || x.shape[3] % b != 0) {
    fail(Code::kShape, fmt::format("shape {} has no blocks of size {}", shape_text(x.shape), b));
  }
  const std::int64_t n = x.shape[0];
  const std::int64_t c = x.shape[1];
  const std::int64_t h = x.shape[2] / b;
  const std::int64_t w = x.shape[3] / b;
  const std::int64_t row = x.shape[3];
  const std::int64_t plane = x.shape[2] * row;
  Tensor y = strided(call, x, {n, b, b, c, h, w}, {c * plane, row, 1, plane, b * row, b});
  y.shape = {n, c * b * b, h, w};
  return {std::move(y)};
}

Tensors shape_of(const Call& call) {
  const Shape& shape = call.in(0).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto bound = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank);
  };
  const std::int64_t start = bound(call.integer("start", 0));
  const std::int64_t end = std::max(start, bound(call.integer("end", rank)));
  Tensor y = call.make(Type::kInt64, {end - start});
  std::copy(shape.begin() + start, shape.begin() + end, y.integers.begin());
  return {std::move(y)};
}

Tensors size_of_tensor(const Call& call) {
  Tensor y = call.make(Type::kInt64, {});
  y.integers[0] = call.in(0).size();
  return {std::move(y)};
}

Tensors constant(const Call& call) {
  // The importer folds constants; a graph built in memory may still hold one.
  const auto found = call.node.attributes.find("value");
  if (found == call.node.attributes.end() || !std::holds_alternative<Tensor>(found->second)) {
    fail(Code::kUnsupported, "a Constant here holds its tensor in attribute 'value'");
  }
  return {std::get<Tensor>(found->second)};
}

Tensors constant_of_shape(const Call& call) {
  Tensor value{.type = Type::kFloat, .shape = {1}, .reals = {0.0}, .integers = {}};
  const auto found = call.node.attributes.find("value");
  if (found != call.node.attributes.end()) {
    const auto* tensor = std::get_if<Tensor>(&found->second);
    if (tensor == nullptr || tensor->size() != 1) fail(Code::kValue, "attribute 'value' must be a tensor of one value");
    value = *tensor;
  }
  Tensor y = call.make(value.type, call.integer_in(0).integers);
  if (y.is_real()) {
    std::fill(y.reals.begin(), y.reals.end(), value.reals[0]);
  } else {
    std::fill(y.integers.begin(), y.integers.end(), value.integers[0]);
  }
  return {std::move(y)};
}

Tensors range(const Call& call) {
  const Tensor& start = call.in(0);
  const Tensor& step = call.in(2);
  if (call.in(1).type != start.type || step.type != start.type)
    fail(Code::kValue, "start, limit and delta differ in type");
  if (start.is_real()) {
    const double delta = call.scalar(2);
    const double count = std::ceil((call.scalar(1) - call.scalar(0)) / delta);
    if (delta == 0 || !std::isfinite(count)) fail(Code::kValue, "delta is zero or the range is not finite");
    if (count > static_cast<double>(call.limit)) fail(Code::kLimit, "the range is too long");
    Tensor y = call.make(start.type, {static_cast<std::int64_t>(std::max(count, 0.0))});
    for (std::size_t i = 0; i < y.reals.size(); ++i) y.reals[i] = call.scalar(0) + static_cast<double>(i) * delta;
    return {std::move(y)};
  }
  const std::int64_t first = call.integer_scalar(0);
  const std::int64_t limit = call.integer_scalar(1);
  const std::int64_t delta = call.integer_scalar(2);
  if (delta == 0) fail(Code::kValue, "delta is zero");
  std::uint64_t count = 0;
  if (delta > 0 ? limit > first : limit < first) {
    const auto a = static_cast<std::uint64_t>(delta > 0 ? first : limit);
    const auto b = static_cast<std::uint64_t>(delta > 0 ? limit : first);
    const std::uint64_t width = delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
    count = (b - a - 1) / width + 1;
  }
  if (count > call.limit) fail(Code::kLimit, "the range is too long");
  Tensor y = call.make(start.type, {static_cast<std::int64_t>(count)});
  for (std::size_t i = 0; i < y.integers.size(); ++i) {
    y.integers[i] =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + i * static_cast<std::uint64_t>(delta));
  }
  return {std::move(y)};
}

Tensors eye_like(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.shape.size() != 2) fail(Code::kShape, "input must be a matrix");
  const std::int64_t shift = call.integer("k", 0);
  Tensor y = call.make(x.type, x.shape);
  if (call.has_attribute("dtype")) {
    const Node as{
        .name = {}, .op = "Cast", .inputs = {}, .outputs = {""}, .attributes = {{"to", call.integer("dtype", 1)}}};
    y = find_operator("Cast")->kernel({.node = as, .opset = call.opset, .inputs = {&y}, .limit = call.limit})[0];
  }
  if (shift < -x.shape[0] || shift > x.shape[1]) return {std::move(y)};
  for (std::int64_t i = std::max<std::int64_t>(0, -shift); i < x.shape[0] && i + shift < x.shape[1]; ++i) {
    const auto at = static_cast<std::size_t>(i * x.shape[1] + i + shift);
    if (y.is_real()) {
      y.reals[at] = 1;
    } else {
      y.integers[at] = 1;
    }
  }
  return {std::move(y)};
}

Tensors trilu(const Call& call) {
  Tensor y = call.in(0);
  if (y.shape.size() < 2) fail(Code::kShape, "input must have at least two axes");
  const bool upper = call.flag("upper", true);
  const std::int64_t rows = y.shape[y.shape.size() - 2];
  const std::int64_t columns = y.shape.back();
  const std::int64_t shift = std::clamp(call.has(1) ? call.integer_scalar(1) : 0, -rows - 1, columns + 1);
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t row = i / columns % rows;
    const std::int64_t column = i % columns;
    if (upper ? column >= row + shift : column <= row + shift) continue;
    if (y.is_real()) {
      y.reals[static_cast<std::size_t>(i)] = 0;
    } else {
      y.integers[static_cast<std::size_t>(i)] = 0;
    }
  }
  return {std::move(y)};
}

Tensors one_hot(const Call& call) {
  const Tensor& indices = call.in(0);
  const Tensor& values = call.in(2);
  const double depth_given = call.scalar(1);
  if (!(depth_given >= 1) || depth_given > static_cast<double>(call.limit))
    fail(Code::kValue, "the depth is out of range");
  const auto depth = static_cast<std::int64_t>(depth_given);
  if (values.size() != 2) fail(Code::kShape, "input 2 must hold the off and the on value");
  const std::size_t axis = normal_axis(call.integer("axis", -1), indices.shape.size() + 1);
  Shape shape = indices.shape;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), depth);
  Tensor y = call.make(values.type, shape);
  const std::int64_t after = extent(indices.shape, axis, indices.shape.size());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t at = i % after + i / (after * depth) * after;
    const double index = indices.is_real() ? indices.reals[static_cast<std::size_t>(at)]
                                           : static_cast<double>(indices.integers[static_cast<std::size_t>(at)]);
    const auto level = static_cast<double>(i / after % depth);
    const std::size_t on = (index < 0 ? index + static_cast<double>(depth) : index) == level ? 1 : 0;
    if (y.is_real()) {
      y.reals[static_cast<std::size_t>(i)] = values.reals[on];
    } else {
      y.integers[static_cast<std::size_t>(i)] = values.integers[on];
    }
  }
  return {std::move(y)};
}

/// Where along an input axis an output position falls, and by which rule a nearest neighbour is picked.
struct Sampling {
  std::string coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
  bool linear = false;
};

struct Tap {
  std::int64_t low = 0;
  std::int64_t high = 0;
  double weight = 0;  ///< of `high`
};

Tap tap_at(const Sampling& s, std::int64_t i, std::int64_t in, std::int64_t out, double scale) {
  const auto x = static_cast<double>(i);
  double at = 0;
  if (s.coordinates == "half_pixel") {
    at = (x + 0.5) / scale - 0.5;
  } else if (s.coordinates == "half_pixel_symmetric") {
    const double exact = scale * static_cast<double>(in);
    const double centre = static_cast<double>(in) / 2;
    at = centre * (1 - static_cast<double>(out) / exact) + (x + 0.5) / scale - 0.5;
  } else if (s.coordinates == "pytorch_half_pixel") {
    at = out > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
  } else if (s.coordinates == "align_corners") {
    const double length = scale * static_cast<double>(in);  // the standard's: not rounded to whole positions
    at = out > 1 ? x * static_cast<double>(in - 1) / (length - 1) : 0.0;
  } else if (s.coordinates == "asymmetric") {
    at = x / scale;
  } else {
    fail(Code::kUnsupported, fmt::format("coordinate transformation '{}' is not held", s.coordinates));
  }
  if (!std::isfinite(at)) fail(Code::kValue, "a scale leads out of the input");
  const auto top = static_cast<double>(in - 1);
  if (s.linear) {
    const double inside = std::clamp(at, 0.0, top);
    const double floor = std::floor(inside);
    const auto low = static_cast<std::int64_t>(floor);
    return {low, std::min(low + 1, in - 1), inside - floor};
  }
  double pick = 0;
  if (s.nearest == "round_prefer_floor") {
    pick = std::ceil(at - 0.5);
  } else if (s.nearest == "round_prefer_ceil") {
    pick = std::floor(at + 0.5);
  } else if (s.nearest == "floor") {
    pick = std::floor(at);
  } else if (s.nearest == "ceil") {
    pick = std::ceil(at);
  } else {
    fail(Code::kValue, fmt::format("attribute 'nearest_mode' is '{}'", s.nearest));
  }
  const auto index = static_cast<std::int64_t>(std::clamp(pick, 0.0, top));
  return {index, index, 0.0};
}

/// Resamples one axis after the other.
Tensor resample(const Call& call, const Tensor& x, const Shape& shape, const std::vector<double>& scales,
                const Sampling& sampling) {
  call.size_of(shape);
  Tensor y = x;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == y.shape[d] && scales[d] == 1.0) continue;
    if (y.shape[d] == 0) fail(Code::kShape, "an empty axis cannot be resized");
    Shape next = y.shape;
    next[d] = shape[d];
    Tensor z = call.make(x.type, next);
    const std::int64_t before = extent(next, 0, d);
    const std::int64_t after = extent(next, d + 1, next.size());
    for (std::int64_t i = 0; i < shape[d]; ++i) {
      const Tap tap = tap_at(sampling, i, y.shape[d], shape[d], scales[d]);
      for (std::int64_t b = 0; b < before; ++b) {
        const std::int64_t from = b * y.shape[d] * after;
        const std::int64_t to = (b * shape[d] + i) * after;
        for (std::int64_t j = 0; j < after; ++j) {
          const auto low = static_cast<std::size_t>(from + tap.low * after + j);
          const auto high = static_cast<std::size_t>(from + tap.high * after + j);
          if (z.is_real()) {
            z.reals[static_cast<std::size_t>(to + j)] =
                tap.weight == 0 ? y.reals[low] : (1 - tap.weight) * y.reals[low] + tap.weight * y.reals[high];
          } else {
            z.integers[static_cast<std::size_t>(to + j)] = y.integers[low];
          }
        }
      }
    }
    y = std::move(z);
  }
  return y;
}

Shape scaled_shape(const Shape& shape, const std::vector<double>& scales) {
  Shape result;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const double size = std::floor(static_cast<double>(shape[d]) * scales[d]);
    if (!(scales[d] > 0) || !(size < 2147483648.0)) fail(Code::kValue, "a scale is out of range");
    result.push_back(static_cast<std::int64_t>(size));
  }
  return result;
}

Sampling sampling_of(const Call& call, const Tensor& x) {
  Sampling s;
  const std::string mode = call.text("mode", "nearest");
  s.linear = mode == "linear" || mode == "bilinear";
  if (!s.linear && mode != "nearest") fail(Code::kUnsupported, fmt::format("mode '{}' is not held", mode));
  if (s.linear && !x.is_real()) fail(Code::kUnsupported, "linear resampling needs a real input");
  return s;
}

Tensors resize(const Call& call) {
  const Tensor& x = call.in(0);
  Sampling s = sampling_of(call, x);
  if (call.opset < 11) {  // opset 10: (x, scales), asymmetric, floor
    s.coordinates = "asymmetric";
    s.nearest = "floor";
  } else {
    s.coordinates = call.text("coordinate_transformation_mode", s.coordinates);
    s.nearest = call.text("nearest_mode", s.nearest);
  }
  if (call.flag("antialias", false)) fail(Code::kUnsupported, "antialias is not held");
  const std::string policy = call.text("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch") fail(Code::kUnsupported, fmt::format("keep_aspect_ratio_policy '{}' is not held", policy));
  std::vector<std::size_t> axes;
  for (const std::int64_t axis : call.integers("axes")) axes.push_back(normal_axis(axis, x.shape.size()));
  if (axes.empty()) {
    axes.resize(x.shape.size());
    std::iota(axes.begin(), axes.end(), std::size_t{0});
  }
  const std::size_t scales_at = call.opset < 11 ? 1 : 2;
  std::vector<double> scales(x.shape.size(), 1.0);
  if (call.has(scales_at) && call.in(scales_at).size() != 0) {
    const auto& given = call.real_in(scales_at).reals;
    if (given.size() != axes.size())
      fail(Code::kShape, fmt::format("{} scales for {} axes", given.size(), axes.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) scales[axes[i]] = given[i];
    return {resample(call, x, scaled_shape(x.shape, scales), scales, s)};
  }
  if (call.opset < 11 || !call.has(3)) fail(Code::kValue, "neither scales nor sizes are given");
  const auto& sizes = call.integer_in(3).integers;
  if (sizes.size() != axes.size()) fail(Code::kShape, fmt::format("{} sizes for {} axes", sizes.size(), axes.size()));
  Shape shape = x.shape;
  for (std::size_t i = 0; i < axes.size(); ++i) shape[axes[i]] = sizes[i];
  call.size_of(shape);
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != x.shape[d]) scales[d] = static_cast<double>(shape[d]) / static_cast<double>(x.shape[d]);
  }
  return {resample(call, x, shape, scales, s)};
}

Tensors upsample(const Call& call) {
  const Tensor& x = call.in(0);
  Sampling s = sampling_of(call, x);
  s.coordinates = "asymmetric";
  s.nearest = "floor";
  const std::vector<double> scales = call.opset < 9 ? call.reals("scales") : call.real_in(1).reals;
  if (scales.size() != x.shape.size())
    fail(Code::kShape, fmt::format("{} scales for {} axes", scales.size(), x.shape.size()));
  return {resample(call, x, scaled_shape(x.shape, scales), scales, s)};
}

const Operator kOperators[] = {
    {"Concat", 4, "axis", concat},
    {"Constant", 1, "value value_float value_floats value_int value_ints", constant, "no sparse and no text values"},
    {"ConstantOfShape", 9, "value", constant_of_shape},
    {"DepthToSpace", 1, "blocksize mode", depth_to_space},
    {"Expand", 8, "", expand},
    {"EyeLike", 9, "dtype k", eye_like},
    {"Flatten", 1, "axis", flatten},
    {"Gather", 1, "axis", gather},
    {"GatherElements", 11, "axis", gather_elements},
    {"GatherND", 11, "batch_dims", gather_nd},
    {"Identity", 1, "", identity, "dense tensors"},
    {"OneHot", 9, "axis", one_hot},
    {"Pad", 2, "mode pads value", pad},
    {"Range", 11, "", range},
    {"Reshape", 5, "allowzero", reshape},
    {"Resize", 10,
     "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
     "keep_aspect_ratio_policy mode nearest_mode",
     resize, "modes nearest and linear without antialias and cropping; the aspect ratio is not kept"},
    {"Shape", 1, "end start", shape_of},
    {"Size", 1, "", size_of_tensor},
    {"Slice", 1, "axes ends starts", slice},
    {"SpaceToDepth", 1, "blocksize", space_to_depth},
    {"Split", 2, "axis num_outputs split", split},
    {"Squeeze", 1, "axes", squeeze},
    {"Tile", 6, "", tile},
    {"Transpose", 1, "perm", transpose},
    {"Trilu", 14, "upper", trilu},
    {"Unsqueeze", 1, "axes", unsqueeze},
    {"Upsample", 7, "mode scales", upsample, "modes nearest and linear", 9},
};

}  // namespace

std::span<const Operator> shape_operators() { return kOperators; }

}  // namespace plumbline::graph

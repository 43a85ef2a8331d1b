#include "plumbline/robustness/proof/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <numeric>
#include <set>
#include <stdexcept>
#include <variant>

#include "plumbline/base/rng.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/operators.hpp"

namespace plumbline::robustness {

namespace {

using base::Code;
using base::make_error;
using graph::Shape;
using graph::Tensor;

constexpr double kUnit = 0x1p-53;

/// A tensor of the graph: the step that holds its values, in row-major order of the shape.
struct Value {
  std::size_t step = 0;
  Shape shape;
};

std::size_t elements(const Shape& shape) { return static_cast<std::size_t>(graph::extent(shape, 0, shape.size())); }

/// Rows of a sparse matrix, in order.
class Rows {
 public:
  explicit Rows(std::size_t columns) {
    affine_.columns = columns;
    affine_.start.push_back(0);
  }
  void add(std::size_t column, double weight) {
    affine_.column.push_back(column);
    affine_.weights.push_back(weight);
  }
  void end(double bias = 0) {
    affine_.start.push_back(affine_.weights.size());
    affine_.bias.push_back(bias);
    ++affine_.rows;
  }
  std::size_t entries() const { return affine_.weights.size(); }
  Affine take() { return std::move(affine_); }

 private:
  Affine affine_;
};

bool is_identity(const Affine& a) {
  if (a.dense || a.rows != a.columns || a.weights.size() != a.rows || a.weight_error != 0) return false;
  for (std::size_t i = 0; i < a.rows; ++i) {
    if (a.start[i] != i || a.column[i] != i || a.weights[i] != 1 || a.bias[i] != 0) return false;
  }
  return true;
}

class Lowering {
 public:
  Lowering(const graph::Graph& graph, const LowerLimits& limits) : graph_(graph), limits_(limits) {}

  base::Result<Network> run() {
    PL_CHECK(read_input());
    std::vector<std::string> names;
    for (const graph::Node& node : graph_.nodes) {
      for (const std::string& name : node.outputs) {
        if (!name.empty()) names.push_back(name);
      }
    }
    PL_TRY(sample_, graph::interpret(graph_, {{graph_.inputs[0].name, zeros_}}, names));
    for (const graph::Node& node : graph_.nodes) {
      for (const std::string& name : node.inputs) ++readers_[name];
    }
    for (const graph::Port& port : graph_.outputs) ++readers_[port.name];
    for (const graph::Node& node : graph_.nodes) {
      auto done = lower_node(node);
      if (!done.ok()) return done.error().where.empty() ? done.error().at(node.place()) : done.error();
    }
    const std::string& output = graph_.outputs[0].name;
    const auto found = values_.find(output);
    if (found == values_.end()) {
      return make_error(Code::kUnsupported, fmt::format("output '{}' does not depend on the input", output));
    }
    // The last step must be the output: an identity where it is used elsewhere too, or is the input itself.
    if (found->second.step + 1 != network_.steps.size() || found->second.step == 0) {
      const std::size_t from = found->second.step;
      Rows rows(network_.steps[from].size);
      for (std::size_t i = 0; i < network_.steps[from].size; ++i) {
        rows.add(i, 1);
        rows.end();
      }
      PL_TRY([[maybe_unused]] const std::size_t last, push_affine(from, rows.take(), "output"));
    }
    prune();
    PL_CHECK(compare());
    return std::move(network_);
  }

 private:
  base::Error refuse(const std::string& why) const { return make_error(Code::kUnsupported, why); }

  base::Status read_input() {
    if (graph_.inputs.size() != 1)
      return refuse(fmt::format("the graph has {} inputs, expected one", graph_.inputs.size()));
    if (graph_.outputs.empty()) return refuse("the graph has no output");
    const graph::Port& port = graph_.inputs[0];
    zeros_ = Tensor{.type = port.type, .shape = port.shape, .reals = {}, .integers = {}};
    if (!zeros_.is_real()) return refuse(fmt::format("input '{}' is not of a real type", port.name));
    double size = 1;
    for (std::size_t d = 0; d < zeros_.shape.size(); ++d) {
      if (d == 0 && zeros_.shape[0] == -1) zeros_.shape[0] = 1;
      if (zeros_.shape[d] < 1) {
        return refuse(fmt::format("input '{}' of shape {}: only the first axis may be free", port.name,
                                  graph::shape_text(port.shape)));
      }
      size *= static_cast<double>(zeros_.shape[d]);
      if (size > static_cast<double>(limits_.values)) {
        return make_error(Code::kLimit, fmt::format("input '{}' has more than {} values", port.name, limits_.values));
      }
    }
    zeros_.reals.assign(elements(zeros_.shape), 0.0);
    for (const auto& [name, tensor] : graph_.initializers) {
      for (const double value : tensor.reals) {
        if (!std::isfinite(value)) return make_error(Code::kValue, "holds a weight that is not finite", name);
      }
    }
    Step input;
    input.size = zeros_.reals.size();
    input.place = port.name;
    network_.steps.push_back(std::move(input));
    values_[port.name] = {0, zeros_.shape};
    return base::ok();
  }

  /// The value of a tensor that does not depend on the input, or null.
  const Tensor* constant(const std::string& name) const {
    if (const auto own = constants_.find(name); own != constants_.end()) return &own->second;
    const auto found = graph_.initializers.find(name);
    return found == graph_.initializers.end() ? nullptr : &found->second;
  }

  base::Status check_size(std::size_t entries, std::size_t rows) {
    entries_ += entries;
    if (entries_ > limits_.entries || rows > limits_.values) {
      return make_error(Code::kLimit, fmt::format("the network needs more than {} weights or {} values in a step",
                                                  limits_.entries, limits_.values));
    }
    return base::ok();
  }

  base::Result<std::size_t> push(Step step, const std::string& place) {
    step.place = place;
    PL_CHECK(check_size(step.affine.weights.size(), step.size));
    network_.steps.push_back(std::move(step));
    return network_.steps.size() - 1;
  }

  base::Result<std::size_t> push_affine(std::size_t from, Affine affine, const std::string& place) {
    if (from != 0 && is_identity(affine)) return from;
    if (affine.dense) {
      affine.transposed.resize(affine.weights.size());
      for (std::size_t r = 0; r < affine.rows; ++r) {
        for (std::size_t c = 0; c < affine.columns; ++c)
          affine.transposed[c * affine.rows + r] = affine.weights[r * affine.columns + c];
      }
    }
    for (const double value : affine.weights) {
      if (!std::isfinite(value)) return make_error(Code::kValue, "a weight is not finite");
    }
    for (const double value : affine.bias) {
      if (!std::isfinite(value)) return make_error(Code::kValue, "a bias is not finite");
    }
    Step step;
    step.kind = StepKind::kAffine;
    step.from = {from};
    step.size = affine.rows;
    step.affine = std::move(affine);
    return push(std::move(step), place);
  }

  base::Result<std::size_t> push_sum(std::vector<std::size_t> from, std::vector<double> signs,
                                     const std::string& place) {
    Step step;
    step.kind = StepKind::kSum;
    step.size = network_.steps[from[0]].size;
    step.from = std::move(from);
    step.signs = std::move(signs);
    return push(std::move(step), place);
  }

  base::Result<std::size_t> push_activation(std::size_t from, Function function, std::vector<double> leak,
                                            const std::string& place) {
    for (const double a : leak) {
      if (!(a >= -1 && a < 1)) return refuse(fmt::format("slope {} below zero, held are slopes in [-1, 1)", a));
    }
    Step step;
    step.kind = StepKind::kActivation;
    step.from = {from};
    step.size = network_.steps[from].size;
    step.function = function;
    step.leak = std::move(leak);
    return push(std::move(step), place);
  }

  base::Result<std::size_t> push_hinge(std::size_t from, double leak, const std::string& place) {
    return push_activation(from, Function::kHinge, std::vector<double>(network_.steps[from].size, leak), place);
  }

  /// diag(scale) x + shift.
  base::Result<std::size_t> push_diagonal(std::size_t from, const std::vector<double>& scale,
                                          const std::vector<double>& shift, const std::string& place,
                                          double weight_error = 0, std::vector<double> bias_error = {}) {
    const std::size_t n = network_.steps[from].size;
    // x + b after a fresh product without bias is that product's bias.
    Step& last = network_.steps[from];
    const bool plain = std::all_of(scale.begin(), scale.end(), [](double s) { return s == 1; });
    if (plain && bias_error.empty() && from + 1 == network_.steps.size() && last.kind == StepKind::kAffine &&
        !shared_.contains(from) &&
        std::all_of(last.affine.bias.begin(), last.affine.bias.end(), [](double b) { return b == 0; })) {
      last.affine.bias = shift;
      for (const double b : shift) {
        if (!std::isfinite(b)) return make_error(Code::kValue, "a bias is not finite");
      }
      return from;
    }
    Rows rows(n);
    for (std::size_t i = 0; i < n; ++i) {
      rows.add(i, scale[i]);
      rows.end(shift[i]);
    }
    Affine affine = rows.take();
    affine.weight_error = weight_error;
    affine.bias_error = std::move(bias_error);
    return push_affine(from, std::move(affine), place);
  }

  /// max(a, b) of two steps = a + hinge(b - a).
  base::Result<std::size_t> push_maximum(std::size_t a, std::size_t b, double sign, const std::string& place) {
    // sign -1: min(a, b) = a - hinge(a - b).
    PL_TRY(const std::size_t gap, push_sum({b, a}, {sign, -sign}, place));
    PL_TRY(const std::size_t over, push_hinge(gap, 0, place));
    return push_sum({a, over}, {1, sign}, place);
  }

  /// max(x, c) (sign 1) or min(x, c) (sign -1) with a constant.
  base::Result<std::size_t> push_bound(std::size_t from, const std::vector<double>& bound, double sign,
                                       const std::string& place) {
    const std::size_t n = bound.size();
    std::vector<double> shift(n);
    for (std::size_t i = 0; i < n; ++i) shift[i] = -sign * bound[i];
    shared_.insert(from);  // read again below
    PL_TRY(const std::size_t gap, push_diagonal(from, std::vector<double>(n, sign), shift, place));
    PL_TRY(const std::size_t over, push_hinge(gap, 0, place));
    return push_diagonal(over, std::vector<double>(n, sign), bound, place);
  }

  /// Runs the node on other inputs; used to learn where operators move values to.
  base::Result<graph::Tensors> call(const graph::Node& node, const std::vector<const Tensor*>& inputs) const {
    return graph::run_operator({.node = node, .opset = graph_.opset, .inputs = inputs, .limit = limits_.values});
  }

  const Shape& shape_of(const std::string& name) const { return sample_.at(name).shape; }

  static Tensor counted(const Shape& shape, std::size_t first) {
    Tensor tensor{.type = graph::Type::kDouble, .shape = shape, .reals = {}, .integers = {}};
    tensor.reals.resize(elements(shape));
    std::iota(tensor.reals.begin(), tensor.reals.end(), static_cast<double>(first));
    return tensor;
  }

  /// Operators that only move values: run on the numbers 1, 2, ... of their elements; 0 is padding.
  base::Status move_values(const graph::Node& node) {
    std::vector<Tensor> own(node.inputs.size());
    std::vector<const Tensor*> inputs;
    struct Source {
      std::size_t first;
      const Value* value;  // null: constant
      const Tensor* tensor;
    };
    std::vector<Source> sources;
    std::size_t next = 1;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto found = values_.find(node.inputs[i]);
      const Tensor* fixed = constant(node.inputs[i]);
      const bool data = node.op == "Concat" || i == 0;
      if (node.inputs[i].empty()) {
        inputs.push_back(nullptr);
      } else if (found != values_.end() || (data && fixed != nullptr && fixed->is_real())) {
        if (!data) return refuse(fmt::format("input {} changes with the network's input", i));
        const Shape& shape = found != values_.end() ? found->second.shape : fixed->shape;
        own[i] = counted(shape, next);
        sources.push_back({next, found != values_.end() ? &found->second : nullptr, fixed});
        next += own[i].reals.size();
        inputs.push_back(&own[i]);
      } else {
        inputs.push_back(fixed);
      }
    }
    if (node.op == "Pad") {
      for (const double value :
           {node.attributes.contains("value") ? std::get<double>(node.attributes.at("value")) : 0.0,
            inputs.size() > 2 && inputs[2] != nullptr && inputs[2]->size() == 1 && inputs[2]->is_real()
                ? inputs[2]->reals[0]
                : 0.0}) {
        if (value != 0) return refuse(fmt::format("padding with {}, held is padding with 0", value));
      }
    }
    PL_TRY(const graph::Tensors moved, call(node, inputs));
    for (std::size_t o = 0; o < node.outputs.size() && o < moved.size(); ++o) {
      if (node.outputs[o].empty()) continue;
      if (!moved[o].is_real()) continue;  // the mask of Dropout
      std::vector<std::size_t> parts;
      std::vector<double> constants(moved[o].reals.size(), 0.0);
      for (const Source& source : sources) {
        const std::size_t size =
            source.value != nullptr ? network_.steps[source.value->step].size : source.tensor->reals.size();
        Rows rows(size);
        bool any = false;
        for (std::size_t i = 0; i < moved[o].reals.size(); ++i) {
          const auto at = static_cast<std::size_t>(moved[o].reals[i]);
          if (at >= source.first && at < source.first + size) {
            any = true;
            if (source.value == nullptr) {
              constants[i] = source.tensor->reals[at - source.first];
            } else {
              rows.add(at - source.first, 1);
            }
          }
          if (source.value != nullptr) rows.end();
        }
        if (source.value == nullptr || !any) continue;
        PL_TRY(const std::size_t part, push_affine(source.value->step, rows.take(), node.place()));
        parts.push_back(part);
      }
      if (parts.empty()) return refuse("an output does not depend on the input");
      std::size_t at = parts[0];
      if (parts.size() > 1) {
        PL_TRY(at, push_sum(parts, std::vector<double>(parts.size(), 1.0), node.place()));
      }
      if (std::any_of(constants.begin(), constants.end(), [](double c) { return c != 0; })) {
        PL_TRY(at, push_diagonal(at, std::vector<double>(constants.size(), 1.0), constants, node.place()));
      }
      values_[node.outputs[o]] = {at, moved[o].shape};
    }
    return base::ok();
  }

  /// The values of a constant, broadcast to a shape.
  static std::vector<double> broadcast(const Tensor& tensor, const Shape& shape) {
    const std::vector<double> reals = graph::as_reals(tensor);
    std::vector<double> out;
    graph::for_each_offset(shape, graph::broadcast_strides(tensor.shape, shape), 0,
                           [&](std::int64_t at) { out.push_back(reals[static_cast<std::size_t>(at)]); });
    return out;
  }

  /// The step that holds a value, broadcast to a shape.
  base::Result<std::size_t> broadcast(const Value& value, const Shape& shape, const std::string& place) {
    if (elements(value.shape) == elements(shape)) return value.step;
    Rows rows(network_.steps[value.step].size);
    graph::for_each_offset(shape, graph::broadcast_strides(value.shape, shape), 0, [&](std::int64_t at) {
      rows.add(static_cast<std::size_t>(at), 1);
      rows.end();
    });
    return push_affine(value.step, rows.take(), place);
  }

  base::Status set(const graph::Node& node, std::size_t step) {
    values_[node.outputs[0]] = {step, shape_of(node.outputs[0])};
    return base::ok();
  }

  base::Status combine(const graph::Node& node) {
    const Shape& shape = shape_of(node.outputs[0]);
    const std::string place = node.place();
    if (node.inputs.size() != 2) return refuse("held with two inputs");
    const auto left = values_.find(node.inputs[0]);
    const auto right = values_.find(node.inputs[1]);
    const bool extreme = node.op == "Max" || node.op == "Min";
    if (left != values_.end() && right != values_.end()) {
      if (node.op == "Mul" || node.op == "Div") return refuse("a product of two changing values");
      PL_TRY(const std::size_t a, broadcast(left->second, shape, place));
      PL_TRY(const std::size_t b, broadcast(right->second, shape, place));
      if (extreme) {
        PL_TRY(const std::size_t at, push_maximum(a, b, node.op == "Max" ? 1 : -1, place));
        return set(node, at);
      }
      PL_TRY(const std::size_t at, push_sum({a, b}, {1.0, node.op == "Sub" ? -1.0 : 1.0}, place));
      return set(node, at);
    }
    const bool first = left != values_.end();
    PL_TRY(const std::size_t from, broadcast(first ? left->second : right->second, shape, place));
    const std::vector<double> other = broadcast(*constant(node.inputs[first ? 1 : 0]), shape);
    std::vector<double> scale(other.size(), 1.0);
    std::vector<double> shift(other.size(), 0.0);
    double error = 0;
    std::size_t at = 0;
    if (extreme) {
      PL_TRY(at, push_bound(from, other, node.op == "Max" ? 1 : -1, place));
      return set(node, at);
    }
    if (node.op == "Mul") {
      scale = other;
    } else if (node.op == "Div") {
      if (!first) return refuse("a division by a changing value");
      for (std::size_t i = 0; i < other.size(); ++i) {
        if (other[i] == 0) return make_error(Code::kValue, "a division by zero");
        scale[i] = 1 / other[i];
        if (std::fma(scale[i], other[i], -1.0) != 0) error = 2 * kUnit;
      }
    } else if (node.op == "Sub" && first) {
      for (std::size_t i = 0; i < other.size(); ++i) shift[i] = -other[i];
    } else {
      shift = other;
      if (node.op == "Sub") scale.assign(other.size(), -1.0);
    }
    PL_TRY(at, push_diagonal(from, scale, shift, place, error));
    return set(node, at);
  }

  /// A linear operator with one changing input, by its values at the unit vectors. `inputs` has the bias left out.
  base::Result<Affine> probe(const graph::Node& node, std::vector<const Tensor*> inputs, std::size_t changing,
                             const Shape& shape) const {
    Tensor unit{.type = graph::Type::kDouble, .shape = shape, .reals = {}, .integers = {}};
    unit.reals.assign(elements(shape), 0.0);
    inputs[changing] = &unit;
    PL_TRY(const graph::Tensors zero, call(node, inputs));
    const std::size_t rows = zero[0].reals.size();
    if (static_cast<double>(rows) * static_cast<double>(unit.reals.size()) > static_cast<double>(limits_.entries)) {
      return make_error(Code::kLimit, fmt::format("needs more than {} weights", limits_.entries));
    }
    std::vector<std::vector<std::pair<std::size_t, double>>> entries(rows);
    for (std::size_t j = 0; j < unit.reals.size(); ++j) {
      unit.reals[j] = 1;
      PL_TRY(const graph::Tensors column, call(node, inputs));
      for (std::size_t i = 0; i < rows; ++i) {
        if (zero[0].reals[i] != 0) return refuse("not linear in its input");
        if (column[0].reals[i] != 0) entries[i].emplace_back(j, column[0].reals[i]);
      }
      unit.reals[j] = 0;
    }
    Rows out(unit.reals.size());
    for (const auto& row : entries) {
      for (const auto& [j, weight] : row) out.add(j, weight);
      out.end();
    }
    return out.take();
  }

  base::Status average(const graph::Node& node) {
    // Within a channel, and channel by channel alike.
    const Value& x = values_.at(node.inputs[0]);
    Shape shape = x.shape;
    if (shape.size() < 3) return refuse("held with spatial axes");
    const std::size_t channels = elements({shape[0], shape[1]});
    shape[0] = shape[1] = 1;
    std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
    PL_TRY(const Affine one, probe(node, inputs, 0, shape));
    Rows rows(one.columns * channels);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t r = 0; r < one.rows; ++r) {
        for (std::size_t e = one.start[r]; e < one.start[r + 1]; ++e)
          rows.add(c * one.columns + one.column[e], one.weights[e]);
        rows.end();
      }
    }
    Affine affine = rows.take();
    affine.weight_error = 2 * kUnit;  // 1 / count
    PL_TRY(const std::size_t at, push_affine(x.step, std::move(affine), node.place()));
    return set(node, at);
  }

  base::Status max_pool(const graph::Node& node) {
    const Value x = values_.at(node.inputs[0]);
    if (node.outputs.size() > 1 && !node.outputs[1].empty()) return refuse("the output of indices");
    Shape shape = x.shape;
    if (shape.size() < 3) return refuse("held with spatial axes");
    const std::size_t channels = elements({shape[0], shape[1]});
    shape[0] = shape[1] = 1;
    // Which inputs lie in which window: a lone 1 is the maximum there.
    PL_TRY(const Affine one, probe(node, {nullptr}, 0, shape));
    std::size_t most = 0;
    for (std::size_t r = 0; r < one.rows; ++r) most = std::max(most, one.start[r + 1] - one.start[r]);
    std::vector<std::size_t> layer;
    for (std::size_t k = 0; k < most; ++k) {
      Rows rows(one.columns * channels);
      for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t r = 0; r < one.rows; ++r) {
          const std::size_t count = one.start[r + 1] - one.start[r];
          if (count == 0) return refuse("a window without inputs");
          rows.add(c * one.columns + one.column[one.start[r] + std::min(k, count - 1)], 1);
          rows.end();
        }
      }
      PL_TRY(const std::size_t at, push_affine(x.step, rows.take(), node.place()));
      layer.push_back(at);
    }
    while (layer.size() > 1) {
      std::vector<std::size_t> next;
      for (std::size_t k = 0; k + 1 < layer.size(); k += 2) {
        PL_TRY(const std::size_t at, push_maximum(layer[k], layer[k + 1], 1, node.place()));
        next.push_back(at);
      }
      if (layer.size() % 2 != 0) next.push_back(layer.back());
      layer = std::move(next);
    }
    return set(node, layer[0]);
  }

  base::Status convolution(const graph::Node& node) {
    const Value x = values_.at(node.inputs[0]);
    const Tensor* w = constant(node.inputs[1]);
    const Tensor* b = node.inputs.size() > 2 && !node.inputs[2].empty() ? constant(node.inputs[2]) : nullptr;
    if (w == nullptr || (node.inputs.size() > 2 && !node.inputs[2].empty() && b == nullptr))
      return refuse("a kernel that changes with the input");
    if (x.shape[0] != 1) return refuse("a batch in the middle of the network");
    const auto group = static_cast<std::size_t>(
        node.attributes.contains("group") ? std::get<std::int64_t>(node.attributes.at("group")) : 1);
    const auto filters = static_cast<std::size_t>(w->shape[0]);
    const auto depth = static_cast<std::size_t>(w->shape[1]);
    Shape plane = x.shape;
    plane[1] = 1;
    Shape kernel = w->shape;
    kernel[0] = kernel[1] = 1;
    const std::size_t positions = elements(kernel);
    const std::size_t area = elements(plane);
    // For each kernel position, which input each window sees: a one-hot kernel on the numbers of the inputs.
    graph::Node bare = node;
    bare.inputs.resize(2);
    bare.attributes.erase("group");
    const Tensor numbers = counted(plane, 1);
    Tensor hot{
        .type = graph::Type::kDouble, .shape = kernel, .reals = std::vector<double>(positions, 0.0), .integers = {}};
    std::vector<std::vector<double>> seen;
    for (std::size_t k = 0; k < positions; ++k) {
      hot.reals[k] = 1;
      PL_TRY(graph::Tensors at, call(bare, {&numbers, &hot}));
      seen.push_back(std::move(at[0].reals));
      hot.reals[k] = 0;
    }
    const std::size_t windows = seen[0].size();
    if (static_cast<double>(filters) * static_cast<double>(windows) * static_cast<double>(depth * positions) >
        static_cast<double>(limits_.entries)) {
      return make_error(Code::kLimit, fmt::format("needs more than {} weights", limits_.entries));
    }
    Rows rows(network_.steps[x.step].size);
    for (std::size_t m = 0; m < filters; ++m) {
      const std::size_t first = m / (filters / group) * depth;
      for (std::size_t o = 0; o < windows; ++o) {
        for (std::size_t c = 0; c < depth; ++c) {
          for (std::size_t k = 0; k < positions; ++k) {
            const double weight = w->reals[(m * depth + c) * positions + k];
            const auto at = static_cast<std::size_t>(seen[k][o]);
            if (at > 0 && weight != 0) rows.add((first + c) * area + at - 1, weight);
          }
        }
        rows.end(b != nullptr ? b->reals[m] : 0.0);
      }
    }
    PL_TRY(const std::size_t at, push_affine(x.step, rows.take(), node.place()));
    return set(node, at);
  }

  /// MatMul and Gemm with one constant factor.
  base::Status product(const graph::Node& node) {
    const bool gemm = node.op == "Gemm";
    const auto x = values_.find(node.inputs[0]);
    const Tensor* w = constant(node.inputs[1]);
    const auto flag = [&](const char* name) {
      return gemm && node.attributes.contains(name) && std::get<std::int64_t>(node.attributes.at(name)) != 0;
    };
    const auto factor = [&](const char* name) {
      return gemm && node.attributes.contains(name) ? std::get<double>(node.attributes.at(name)) : 1.0;
    };
    const bool has_c = gemm && node.inputs.size() > 2 && !node.inputs[2].empty();
    const Tensor* c = has_c ? constant(node.inputs[2]) : nullptr;
    if (has_c && c == nullptr) return refuse("a bias that changes with the input");
    const Shape& shape = shape_of(node.outputs[0]);
    const double alpha = factor("alpha");
    const double beta = factor("beta");
    Affine affine;
    std::size_t from = 0;
    if (x != values_.end() && w != nullptr && w->shape.size() == 2 &&
        elements(x->second.shape) == static_cast<std::size_t>(w->shape[flag("transB") ? 1 : 0])) {
      from = x->second.step;
      const auto k = static_cast<std::size_t>(w->shape[flag("transB") ? 1 : 0]);
      const auto n = static_cast<std::size_t>(w->shape[flag("transB") ? 0 : 1]);
      affine.dense = true;
      affine.rows = n;
      affine.columns = k;
      affine.weights.resize(n * k);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < k; ++j)
          affine.weights[i * k + j] = alpha * w->reals[flag("transB") ? i * k + j : j * n + i];
      }
      if (alpha != 1) affine.weight_error = 2 * kUnit;
      affine.bias.assign(n, 0.0);
    } else {
      const std::size_t changing = x != values_.end() ? 0 : 1;
      const auto found = values_.find(node.inputs[changing]);
      const Tensor* other = constant(node.inputs[1 - changing]);
      if (other == nullptr || found == values_.end()) return refuse("a product of two changing values");
      graph::Node bare = node;
      bare.inputs.resize(2);
      std::vector<const Tensor*> inputs = {other, other};
      Tensor real = *other;
      real.type = graph::Type::kDouble;
      inputs[1 - changing] = &real;
      from = found->second.step;
      PL_TRY(affine, probe(bare, inputs, changing, found->second.shape));
      if (alpha != 1) affine.weight_error = 2 * kUnit;
    }
    if (c != nullptr) {
      affine.bias = broadcast(*c, shape);
      if (beta != 1) {
        affine.bias_error.resize(affine.bias.size());
        for (std::size_t i = 0; i < affine.bias.size(); ++i) {
          affine.bias[i] *= beta;
          affine.bias_error[i] = 2 * kUnit * std::abs(affine.bias[i]);
        }
      }
    }
    PL_TRY(const std::size_t at, push_affine(from, std::move(affine), node.place()));
    return set(node, at);
  }

  base::Status batch_normalisation(const graph::Node& node) {
    const Value& x = values_.at(node.inputs[0]);
    std::vector<const Tensor*> p;
    for (std::size_t i = 1; i < 5; ++i) {
      p.push_back(constant(node.inputs.at(i)));
      if (p.back() == nullptr) return refuse("a parameter that changes with the input");
    }
    if (node.attributes.contains("training_mode") && std::get<std::int64_t>(node.attributes.at("training_mode")) != 0)
      return refuse("training mode");
    const double epsilon = node.attributes.contains("epsilon") ? std::get<double>(node.attributes.at("epsilon")) : 1e-5;
    if (x.shape.size() < 2) return refuse("held with a channel axis");
    const auto channels = static_cast<std::size_t>(x.shape[1]);
    const std::size_t n = elements(x.shape);
    const std::size_t area = n / channels / static_cast<std::size_t>(x.shape[0]);
    std::vector<double> scale(n);
    std::vector<double> shift(n);
    std::vector<double> error(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t c = i / area % channels;
      const double variance = p[3]->reals[c] + epsilon;
      if (!(variance > 0)) return make_error(Code::kValue, fmt::format("channel {} has variance {}", c, variance));
      scale[i] = p[0]->reals[c] / std::sqrt(variance);
      const double moved = p[2]->reals[c] * scale[i];
      shift[i] = p[1]->reals[c] - moved;
      error[i] = 8 * kUnit * (std::abs(p[1]->reals[c]) + std::abs(moved));
    }
    PL_TRY(const std::size_t at, push_diagonal(x.step, scale, shift, node.place(), 8 * kUnit, std::move(error)));
    return set(node, at);
  }

  base::Status clip(const graph::Node& node) {
    const Value& x = values_.at(node.inputs[0]);
    const std::size_t n = network_.steps[x.step].size;
    std::size_t at = x.step;
    for (const int side : {0, 1}) {
      const char* name = side == 0 ? "min" : "max";
      const auto input = static_cast<std::size_t>(side + 1);
      double bound = 0;
      if (node.attributes.contains(name)) {
        bound = std::get<double>(node.attributes.at(name));
      } else if (node.inputs.size() > input && !node.inputs[input].empty()) {
        const Tensor* value = constant(node.inputs[input]);
        if (value == nullptr || value->size() != 1) return refuse("a bound that changes with the input");
        bound = graph::as_reals(*value)[0];
      } else {
        continue;
      }
      if (std::abs(bound) >= 3.4e38) continue;  // the default
      PL_TRY(at, push_bound(at, std::vector<double>(n, bound), side == 0 ? 1 : -1, node.place()));
    }
    return set(node, at);
  }

  base::Status lower_node(const graph::Node& node) {
    bool changing = false;
    for (const std::string& name : node.inputs) changing = changing || values_.contains(name);
    if (!changing || node.op == "Shape" || node.op == "Size") {
      for (const std::string& name : node.outputs) {
        if (!name.empty()) constants_[name] = sample_.at(name);
      }
      return base::ok();
    }
    for (const std::string& name : node.inputs) {
      const auto found = values_.find(name);
      if (found != values_.end() && readers_.at(name) > 1) shared_.insert(found->second.step);
      if (found == values_.end() && !name.empty() && constant(name) == nullptr)
        return refuse(fmt::format("input '{}' is neither constant nor lowered", name));
    }
    static const std::set<std::string> moving = {
        "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather",       "Pad",         "Identity",
        "Expand",  "Tile",    "Concat",    "Split",   "Dropout",   "Cast",  "DepthToSpace", "SpaceToDepth"};
    const std::string& op = node.op;
    const std::string place = node.place();
    if (moving.contains(op)) {
      if (op == "Cast" && !sample_.at(node.outputs[0]).is_real()) return refuse("a cast to an integer type");
      if (op == "Cast" && sample_.at(node.outputs[0]).type == graph::Type::kFloat16) return refuse("a cast to float16");
      return move_values(node);
    }
    if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Max" || op == "Min" || op == "Sum") {
      if (node.inputs.size() == 1) return move_values(node);
      return combine(node);
    }
    if (op == "MatMul" || op == "Gemm") return product(node);
    if (op == "Conv") return convolution(node);
    if (op == "AveragePool" || op == "GlobalAveragePool") return average(node);
    if (op == "MaxPool" || op == "GlobalMaxPool") return max_pool(node);
    if (op == "BatchNormalization") return batch_normalisation(node);
    if (op == "Clip") return clip(node);
    const auto found = values_.find(node.inputs[0]);
    if (found == values_.end()) return refuse(fmt::format("operator '{}' is not held in proofs here", op));
    const Value x = found->second;
    const std::size_t n = network_.steps[x.step].size;
    std::size_t at = 0;
    if (op == "Relu" || op == "Abs") {
      PL_TRY(at, push_hinge(x.step, op == "Relu" ? 0 : -1, place));
    } else if (op == "LeakyRelu") {
      PL_TRY(at, push_hinge(x.step,
                            node.attributes.contains("alpha") ? std::get<double>(node.attributes.at("alpha")) : 0.01,
                            place));
    } else if (op == "PRelu") {
      const Tensor* slope = constant(node.inputs.at(1));
      if (slope == nullptr) return refuse("a slope that changes with the input");
      PL_TRY(at, push_activation(x.step, Function::kHinge, broadcast(*slope, x.shape), place));
    } else if (op == "Sigmoid" || op == "Tanh") {
      PL_TRY(at, push_activation(x.step, op == "Tanh" ? Function::kTanh : Function::kSigmoid, {}, place));
    } else if (op == "Neg") {
      PL_TRY(at, push_diagonal(x.step, std::vector<double>(n, -1.0), std::vector<double>(n, 0.0), place));
    } else if (op == "ReduceMean" || op == "ReduceSum" || op == "ConvTranspose") {
      std::vector<const Tensor*> inputs;
      for (const std::string& name : node.inputs) inputs.push_back(constant(name));
      graph::Node bare = node;
      const Tensor* bias = nullptr;
      if (op == "ConvTranspose" && inputs.size() > 2) {
        bias = inputs[2];
        inputs.resize(2);
        bare.inputs.resize(2);
      }
      if (op == "ConvTranspose" && (inputs.at(1) == nullptr || x.shape[0] != 1))
        return refuse("a kernel that changes with the input, or a batch");
      Tensor kernel;
      if (op == "ConvTranspose") {
        kernel = *inputs[1];
        kernel.type = graph::Type::kDouble;
        inputs[1] = &kernel;
      }
      PL_TRY(Affine affine, probe(bare, inputs, 0, x.shape));
      if (op == "ReduceMean") affine.weight_error = 2 * kUnit;
      if (bias != nullptr) {
        for (std::size_t i = 0; i < affine.rows; ++i)
          affine.bias[i] = bias->reals[i / (affine.rows / bias->reals.size())];
      }
      PL_TRY(at, push_affine(x.step, std::move(affine), place));
    } else {
      return make_error(Code::kUnsupported, fmt::format("operator '{}' is not held in proofs", op), place,
                        "Held are affine operators, ReLU and its kin, Clip, Min, Max, MaxPool, Sigmoid and Tanh");
    }
    return set(node, at);
  }

  /// Leaves out steps that the output does not read.
  void prune() {
    std::vector<bool> read(network_.steps.size(), false);
    read.back() = read.front() = true;
    for (std::size_t s = network_.steps.size(); s-- > 0;) {
      if (!read[s]) continue;
      for (const std::size_t from : network_.steps[s].from) read[from] = true;
    }
    std::vector<std::size_t> place(network_.steps.size());
    std::vector<Step> kept;
    for (std::size_t s = 0; s < network_.steps.size(); ++s) {
      if (!read[s]) continue;
      place[s] = kept.size();
      for (std::size_t& from : network_.steps[s].from) from = place[from];
      kept.push_back(std::move(network_.steps[s]));
    }
    network_.steps = std::move(kept);
  }

  base::Status compare() const {
    base::Rng rng(20, {"lower"});
    Tensor x = zeros_;
    for (int trial = 0; trial < 3; ++trial) {
      for (double& value : x.reals) value = rng.uniform(-1, 1);
      PL_TRY(const auto want, graph::interpret(graph_, {{graph_.inputs[0].name, x}}));
      const std::vector<double> reference = graph::as_reals(want.at(graph_.outputs[0].name));
      const std::vector<double> got = forward(network_, x.reals, 1).back();
      double scale = 1;
      for (const double value : reference) scale = std::max(scale, std::abs(value));
      for (std::size_t i = 0; i < reference.size(); ++i) {
        if (got.size() != reference.size() || !(std::abs(got[i] - reference[i]) <= 1e-9 * scale)) {
          return make_error(Code::kUnsupported,
                            fmt::format("the network as lowered gives {} for output {} where the graph gives {}",
                                        got.size() == reference.size() ? got[i] : 0.0, i, reference[i]),
                            graph_.name, "Values beyond what double can hold, or a defect in Plumbline");
        }
      }
    }
    return base::ok();
  }

  const graph::Graph& graph_;
  const LowerLimits& limits_;
  Network network_;
  Tensor zeros_;
  std::map<std::string, Tensor> sample_;
  std::map<std::string, Tensor> constants_;
  std::map<std::string, Value> values_;
  std::map<std::string, int> readers_;
  std::set<std::size_t> shared_;  ///< steps that more than one reader sees: a later bias must not be put into them
  std::size_t entries_ = 0;
};

}  // namespace

bool Network::piecewise_linear() const {
  for (const Step& step : steps) {
    if (step.kind == StepKind::kActivation && step.function != Function::kHinge) return false;
    if (step.kind == StepKind::kAffine && (step.affine.weight_error != 0 || !step.affine.bias_error.empty()))
      return false;
  }
  return true;
}

std::size_t Network::activations() const {
  std::size_t count = 0;
  for (const Step& step : steps) count += step.kind == StepKind::kActivation ? step.size : 0;
  return count;
}

std::size_t Network::multiply_adds() const {
  std::size_t count = 0;
  for (const Step& step : steps) count += step.affine.weights.size();
  return count;
}

bool strip_softmax(graph::Graph& graph) {
  if (graph.nodes.empty() || graph.outputs.empty()) return false;
  const graph::Node& last = graph.nodes.back();
  if ((last.op != "Softmax" && last.op != "LogSoftmax") || last.outputs.size() != 1 ||
      last.outputs[0] != graph.outputs[0].name || graph.outputs[0].shape.size() != 2) {
    return false;
  }
  const auto axis = last.attributes.find("axis");
  if (axis != last.attributes.end()) {
    const auto* value = std::get_if<std::int64_t>(&axis->second);
    if (value == nullptr || (*value != 1 && *value != -1)) return false;
  }
  graph.outputs[0].name = last.inputs[0];
  graph.nodes.pop_back();
  return true;
}

base::Result<Network> lower(const graph::Graph& graph, const LowerLimits& limits) {
  try {
    return Lowering(graph, limits).run();
  } catch (const graph::OperatorError& error) {
    return error.error();
  } catch (const std::bad_alloc&) {
    return make_error(Code::kLimit, "out of memory", graph.name);
  } catch (const std::bad_variant_access&) {
    return make_error(Code::kValue, "an attribute has another type than its operator takes", graph.name);
  } catch (const std::out_of_range&) {
    return make_error(Code::kValue, "a node has fewer inputs or outputs than its operator takes", graph.name);
  }
}

void apply(const Affine& affine, const double* in, std::size_t count, double* out) {
  for (std::size_t r = 0; r < count; ++r) std::copy(affine.bias.begin(), affine.bias.end(), out + r * affine.rows);
  if (affine.dense) {
    graph::multiply_add(in, affine.transposed.data(), out, static_cast<std::int64_t>(count),
                        static_cast<std::int64_t>(affine.columns), static_cast<std::int64_t>(affine.rows));
    return;
  }
  for (std::size_t r = 0; r < count; ++r) {
    const double* x = in + r * affine.columns;
    for (std::size_t i = 0; i < affine.rows; ++i) {
      double sum = 0;
      for (std::size_t e = affine.start[i]; e < affine.start[i + 1]; ++e)
        sum += affine.weights[e] * x[affine.column[e]];
      out[r * affine.rows + i] += sum;
    }
  }
}

void apply_transposed(const Affine& affine, const double* in, std::size_t count, double* out) {
  if (affine.dense) {
    graph::multiply_add(in, affine.weights.data(), out, static_cast<std::int64_t>(count),
                        static_cast<std::int64_t>(affine.rows), static_cast<std::int64_t>(affine.columns));
    return;
  }
  for (std::size_t r = 0; r < count; ++r) {
    double* x = out + r * affine.columns;
    for (std::size_t i = 0; i < affine.rows; ++i) {
      const double factor = in[r * affine.rows + i];
      if (factor == 0) continue;
      for (std::size_t e = affine.start[i]; e < affine.start[i + 1]; ++e)
        x[affine.column[e]] += affine.weights[e] * factor;
    }
  }
}

std::vector<std::vector<double>> forward(const Network& network, std::span<const double> rows, std::size_t count) {
  std::vector<std::vector<double>> values(network.steps.size());
  for (std::size_t s = 0; s < network.steps.size(); ++s) {
    const Step& step = network.steps[s];
    std::vector<double>& out = values[s];
    switch (step.kind) {
      case StepKind::kInput:
        out.assign(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count * step.size));
        break;
      case StepKind::kAffine:
        out.resize(count * step.size);
        apply(step.affine, values[step.from[0]].data(), count, out.data());
        break;
      case StepKind::kSum:
        out.assign(count * step.size, 0.0);
        for (std::size_t k = 0; k < step.from.size(); ++k) {
          const std::vector<double>& part = values[step.from[k]];
          for (std::size_t i = 0; i < out.size(); ++i) out[i] += step.signs[k] * part[i];
        }
        break;
      case StepKind::kActivation: {
        out = values[step.from[0]];
        for (std::size_t i = 0; i < out.size(); ++i) {
          if (step.function == Function::kHinge) {
            if (out[i] < 0) out[i] *= step.leak[i % step.size];
          } else {
            out[i] = step.function == Function::kTanh ? std::tanh(out[i]) : 1 / (1 + std::exp(-out[i]));
          }
        }
        break;
      }
    }
  }
  return values;
}

std::vector<double> input_gradient(const Network& network, const std::vector<std::vector<double>>& values,
                                   std::span<const double> seeds, std::size_t count) {
  std::vector<std::vector<double>> rows(network.steps.size());
  rows.back().assign(seeds.begin(), seeds.end());
  for (std::size_t s = network.steps.size() - 1; s > 0; --s) {
    if (rows[s].empty()) continue;
    const Step& step = network.steps[s];
    const std::vector<double> own = std::move(rows[s]);
    for (std::size_t k = 0; k < step.from.size(); ++k) {
      std::vector<double>& target = rows[step.from[k]];
      if (target.empty()) target.assign(count * network.steps[step.from[k]].size, 0.0);
      if (step.kind == StepKind::kAffine) {
        apply_transposed(step.affine, own.data(), count, target.data());
        continue;
      }
      for (std::size_t i = 0; i < own.size(); ++i) {
        double factor = 1;
        if (step.kind == StepKind::kSum) {
          factor = step.signs[k];
        } else if (step.function == Function::kHinge) {
          factor = values[step.from[0]][i] > 0 ? 1.0 : step.leak[i % step.size];
        } else {
          const double y = values[s][i];
          factor = step.function == Function::kTanh ? 1 - y * y : y * (1 - y);
        }
        target[i] += factor * own[i];
      }
    }
  }
  if (rows[0].empty()) rows[0].assign(count * network.inputs(), 0.0);
  return std::move(rows[0]);
}

}  // namespace plumbline::robustness

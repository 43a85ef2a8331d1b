/// Recurrent layers: RNN, GRU, LSTM.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;
using Activation = std::function<double(double)>;

Activation activation(const std::string& name, double alpha, double beta, bool has_alpha, bool has_beta) {
  const auto a = [&](double fallback) { return has_alpha ? alpha : fallback; };
  const auto b = [&](double fallback) { return has_beta ? beta : fallback; };
  if (name == "Sigmoid")
    return [](double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); };
  if (name == "Tanh") return [](double x) { return std::tanh(x); };
  if (name == "Relu") return [](double x) { return std::max(x, 0.0); };
  if (name == "Softsign") return [](double x) { return x / (1 + std::fabs(x)); };
  if (name == "Softplus") return [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); };
  if (name == "Affine") return [p = a(1), q = b(0)](double x) { return p * x + q; };
  if (name == "LeakyRelu") return [p = a(0.01)](double x) { return x < 0 ? p * x : x; };
  if (name == "ThresholdedRelu") return [p = a(1)](double x) { return x > p ? x : 0.0; };
  if (name == "ScaledTanh") return [p = a(1), q = b(1)](double x) { return p * std::tanh(q * x); };
  if (name == "HardSigmoid") {
    return [p = a(0.2), q = b(0.5)](double x) { return std::clamp(p * x + q, 0.0, 1.0); };
  }
  if (name == "Elu") return [p = a(1)](double x) { return x < 0 ? p * std::expm1(x) : x; };
  fail(Code::kUnsupported, fmt::format("activation '{}' is not held", name));
}

/// What the three layers share: shapes, weights, directions, lengths, states.
struct Layer {
  std::int64_t steps = 0;
  std::int64_t batch = 0;
  std::int64_t inputs = 0;
  std::int64_t hidden = 0;
  std::int64_t gates = 0;
  std::size_t directions = 1;
  bool reverse_first = false;
  bool batch_first = false;
  std::vector<Activation> activations;  ///< per direction, one after the other
  std::size_t activations_each = 0;
  double clip = 0;                    ///< 0: none
  std::vector<std::int64_t> lengths;  ///< per example
  std::vector<double> x;              ///< steps x batch x inputs
  std::vector<double> wx;             ///< inputs x (gates * hidden) of the direction at hand
  std::vector<double> wh;             ///< hidden x (gates * hidden)
  std::vector<double> bias_x;         ///< gates * hidden
  std::vector<double> bias_h;

  double limited(double value) const { return clip > 0 ? std::clamp(value, -clip, clip) : value; }
};

const Tensor& shaped(const Call& call, std::size_t input, const Shape& shape) {
  const Tensor& tensor = call.real_in(input);
  if (tensor.shape != shape) {
    fail(Code::kShape,
         fmt::format("input {} has shape {}, expected {}", input, shape_text(tensor.shape), shape_text(shape)));
  }
  return tensor;
}

std::vector<double> turned(const double* from, std::int64_t rows, std::int64_t columns) {
  std::vector<double> to(static_cast<std::size_t>(rows * columns));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) to[static_cast<std::size_t>(j * rows + i)] = from[i * columns + j];
  }
  return to;
}

Layer read_layer(const Call& call, std::int64_t gates, const std::vector<std::string>& defaults) {
  Layer layer;
  const Tensor& x = call.real_in(0);
  if (x.shape.size() != 3) fail(Code::kShape, "the sequence must have three axes");
  layer.batch_first = call.flag("layout", false);
  layer.steps = x.shape[layer.batch_first ? 1 : 0];
  layer.batch = x.shape[layer.batch_first ? 0 : 1];
  layer.inputs = x.shape[2];
  layer.gates = gates;
  const std::string direction = call.text("direction", "forward");
  if (direction == "bidirectional") {
    layer.directions = 2;
  } else if (direction == "reverse") {
    layer.reverse_first = true;
  } else if (direction != "forward") {
    fail(Code::kValue, fmt::format("attribute 'direction' is '{}'", direction));
  }
  const Tensor& r = call.real_in(2);
  if (r.shape.size() != 3) fail(Code::kShape, "the recurrence weights must have three axes");
  layer.hidden = r.shape[2];
  if (layer.hidden < 1 || call.integer("hidden_size", layer.hidden) != layer.hidden) {
    fail(Code::kShape, "attribute 'hidden_size' differs from the recurrence weights");
  }
  const auto directions = static_cast<std::int64_t>(layer.directions);
  shaped(call, 1, {directions, gates * layer.hidden, layer.inputs});
  shaped(call, 2, {directions, gates * layer.hidden, layer.hidden});
  if (call.has(3)) shaped(call, 3, {directions, 2 * gates * layer.hidden});
  layer.clip = call.real("clip", 0.0);
  if (!(layer.clip >= 0)) fail(Code::kValue, fmt::format("attribute 'clip' is {}", layer.clip));

  std::vector<std::string> names = call.texts("activations");
  if (names.empty()) {
    for (std::size_t d = 0; d < layer.directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != defaults.size() * layer.directions) {
    fail(Code::kValue, fmt::format("{} activations, expected {}", names.size(), defaults.size() * layer.directions));
  }
  layer.activations_each = defaults.size();
  const auto alphas = call.reals("activation_alpha");
  const auto betas = call.reals("activation_beta");
  for (std::size_t i = 0; i < names.size(); ++i) {
    layer.activations.push_back(activation(names[i], i < alphas.size() ? alphas[i] : 0, i < betas.size() ? betas[i] : 0,
                                           i < alphas.size(), i < betas.size()));
  }

  layer.lengths.assign(static_cast<std::size_t>(layer.batch), layer.steps);
  if (call.has(4)) {
    const Tensor& lengths = call.integer_in(4);
    if (lengths.shape != Shape{layer.batch}) fail(Code::kShape, "there must be one sequence length per example");
    layer.lengths = lengths.integers;
    for (const std::int64_t length : layer.lengths) {
      if (length < 0 || length > layer.steps)
        fail(Code::kValue, fmt::format("sequence length {} of {}", length, layer.steps));
    }
  }
  layer.x = layer.batch_first ? strided(call, x, {layer.steps, layer.batch, layer.inputs},
                                        {layer.inputs, layer.steps * layer.inputs, 1})
                                    .reals
                              : x.reals;
  return layer;
}

void load_direction(const Call& call, Layer& layer, std::size_t d) {
  const std::int64_t rows = layer.gates * layer.hidden;
  const auto at = static_cast<std::int64_t>(d);
  layer.wx = turned(call.in(1).reals.data() + at * rows * layer.inputs, rows, layer.inputs);
  layer.wh = turned(call.in(2).reals.data() + at * rows * layer.hidden, rows, layer.hidden);
  layer.bias_x.assign(static_cast<std::size_t>(rows), 0.0);
  layer.bias_h = layer.bias_x;
  if (call.has(3)) {
    const auto from = call.in(3).reals.begin() + at * 2 * rows;
    std::copy_n(from, rows, layer.bias_x.begin());
    std::copy_n(from + rows, rows, layer.bias_h.begin());
  }
}

/// The starting state of one direction, batch x hidden.
std::vector<double> start_state(const Call& call, const Layer& layer, std::size_t input, std::size_t d) {
  const auto size = static_cast<std::size_t>(layer.batch * layer.hidden);
  if (!call.has(input)) return std::vector<double>(size, 0.0);
  const auto directions = static_cast<std::int64_t>(layer.directions);
  const auto at = static_cast<std::int64_t>(d);
  if (!layer.batch_first) {
    const Tensor& state = shaped(call, input, {directions, layer.batch, layer.hidden});
    const auto from = state.reals.begin() + at * layer.batch * layer.hidden;
    return {from, from + layer.batch * layer.hidden};
  }
  const Tensor& state = shaped(call, input, {layer.batch, directions, layer.hidden});
  return strided(call, state, {layer.batch, layer.hidden}, {directions * layer.hidden, 1}, at * layer.hidden).reals;
}

/// One example's step: reads the products with input and state (gates x hidden each, without bias), updates h (and c).
using Step = std::function<void(const Layer&, std::size_t direction, std::int64_t example, const double* from_x,
                                const double* from_h, double* h, double* c)>;

Tensors run_layer(const Call& call, Layer& layer, bool has_cell, const Step& step) {
  const std::int64_t rows = layer.gates * layer.hidden;
  const auto directions = static_cast<std::int64_t>(layer.directions);
  const Type type = call.in(0).type;
  Tensor y = call.make(type, {layer.steps, directions, layer.batch, layer.hidden});
  Tensor y_h = call.make(type, {directions, layer.batch, layer.hidden});
  Tensor y_c = call.make(type, {has_cell ? directions : 0, layer.batch, layer.hidden});
  std::vector<double> from_x(static_cast<std::size_t>(call.size_of({layer.batch, rows})));
  std::vector<double> from_h(from_x.size());
  for (std::size_t d = 0; d < layer.directions; ++d) {
    load_direction(call, layer, d);
    std::vector<double> h = start_state(call, layer, 5, d);
    std::vector<double> c = has_cell ? start_state(call, layer, 6, d) : std::vector<double>(h.size(), 0.0);
    const bool reverse = layer.reverse_first || d == 1;
    for (std::int64_t t = 0; t < layer.steps; ++t) {
      // Each example runs over its own length; in reverse it starts at its own last step.
      std::vector<double> now(static_cast<std::size_t>(layer.batch * layer.inputs), 0.0);
      for (std::int64_t b = 0; b < layer.batch; ++b) {
        const std::int64_t length = layer.lengths[static_cast<std::size_t>(b)];
        if (t >= length) continue;
        const std::int64_t at = reverse ? length - 1 - t : t;
        std::copy_n(layer.x.begin() + (at * layer.batch + b) * layer.inputs, layer.inputs,
                    now.begin() + b * layer.inputs);
      }
      std::fill(from_x.begin(), from_x.end(), 0.0);
      std::fill(from_h.begin(), from_h.end(), 0.0);
      multiply_add(now.data(), layer.wx.data(), from_x.data(), layer.batch, layer.inputs, rows);
      multiply_add(h.data(), layer.wh.data(), from_h.data(), layer.batch, layer.hidden, rows);
      for (std::int64_t b = 0; b < layer.batch; ++b) {
        const std::int64_t length = layer.lengths[static_cast<std::size_t>(b)];
        if (t >= length) continue;
        step(layer, d, b, from_x.data() + b * rows, from_h.data() + b * rows, h.data() + b * layer.hidden,
             c.data() + b * layer.hidden);
        const std::int64_t at = reverse ? length - 1 - t : t;
        std::copy_n(
            h.begin() + b * layer.hidden, layer.hidden,
            y.reals.begin() + ((at * directions + static_cast<std::int64_t>(d)) * layer.batch + b) * layer.hidden);
      }
    }
    std::copy(h.begin(), h.end(), y_h.reals.begin() + static_cast<std::ptrdiff_t>(d * h.size()));
    if (has_cell) std::copy(c.begin(), c.end(), y_c.reals.begin() + static_cast<std::ptrdiff_t>(d * c.size()));
  }
  if (layer.batch_first) {
    const std::int64_t plane = layer.batch * layer.hidden;
    y = strided(call, y, {layer.batch, layer.steps, directions, layer.hidden},
                {layer.hidden, directions * plane, plane, 1});
    y_h = strided(call, y_h, {layer.batch, directions, layer.hidden}, {layer.hidden, plane, 1});
    if (has_cell) y_c = strided(call, y_c, {layer.batch, directions, layer.hidden}, {layer.hidden, plane, 1});
  }
  Tensors out{std::move(y), std::move(y_h)};
  if (has_cell) out.push_back(std::move(y_c));
  return out;
}

Tensors rnn(const Call& call) {
  Layer layer = read_layer(call, 1, {"Tanh"});
  return run_layer(
      call, layer, false,
      [](const Layer& l, std::size_t d, std::int64_t, const double* x, const double* r, double* h, double*) {
        for (std::int64_t j = 0; j < l.hidden; ++j) {
          const auto i = static_cast<std::size_t>(j);
          h[j] = l.activations[d](l.limited(x[j] + r[j] + l.bias_x[i] + l.bias_h[i]));
        }
      });
}

Tensors gru(const Call& call) {
  Layer layer = read_layer(call, 3, {"Sigmoid", "Tanh"});
  const bool linear_first = call.flag("linear_before_reset", false);
  // Gates in the order z (update), r (reset), h (candidate).
  return run_layer(
      call, layer, false,
      [linear_first](const Layer& l, std::size_t d, std::int64_t, const double* x, const double* r, double* h,
                     double*) {
        const auto& f = l.activations[2 * d];
        const auto& g = l.activations[2 * d + 1];
        const std::int64_t n = l.hidden;
        const auto sum = [&](std::int64_t i) {
          return x[i] + r[i] + l.bias_x[static_cast<std::size_t>(i)] + l.bias_h[static_cast<std::size_t>(i)];
        };
        std::vector<double> update(static_cast<std::size_t>(n));
        std::vector<double> reset(update.size());
        for (std::int64_t j = 0; j < n; ++j) {
          update[static_cast<std::size_t>(j)] = f(l.limited(sum(j)));
          reset[static_cast<std::size_t>(j)] = f(l.limited(sum(n + j)));
        }
        std::vector<double> recurrent(update.size(), 0.0);  // the candidate's term from the state
        if (linear_first) {
          for (std::int64_t j = 0; j < n; ++j) {
            const auto i = static_cast<std::size_t>(j);
            recurrent[i] = reset[i] * (r[2 * n + j] + l.bias_h[static_cast<std::size_t>(2 * n + j)]);
          }
        } else {
          for (std::int64_t p = 0; p < n; ++p) {
            const double gated = reset[static_cast<std::size_t>(p)] * h[p];
            for (std::int64_t j = 0; j < n; ++j) {
              recurrent[static_cast<std::size_t>(j)] += gated * l.wh[static_cast<std::size_t>(p * 3 * n + 2 * n + j)];
            }
          }
          for (std::int64_t j = 0; j < n; ++j)
            recurrent[static_cast<std::size_t>(j)] += l.bias_h[static_cast<std::size_t>(2 * n + j)];
        }
        for (std::int64_t j = 0; j < n; ++j) {
          const auto i = static_cast<std::size_t>(j);
          const double candidate =
              g(l.limited(x[2 * n + j] + l.bias_x[static_cast<std::size_t>(2 * n + j)] + recurrent[i]));
          h[j] = (1 - update[i]) * candidate + update[i] * h[j];
        }
      });
}

Tensors lstm(const Call& call) {
  Layer layer = read_layer(call, 4, {"Sigmoid", "Tanh", "Tanh"});
  const auto directions = static_cast<std::int64_t>(layer.directions);
  std::vector<double> peepholes(static_cast<std::size_t>(directions * 3 * layer.hidden), 0.0);
  if (call.has(7)) peepholes = shaped(call, 7, {directions, 3 * layer.hidden}).reals;
  const bool coupled = call.flag("input_forget", false);
  // Gates in the order i (input), o (output), f (forget), c (cell); peepholes i, o, f.
  return run_layer(
      call, layer, true,
      [&peepholes, coupled](const Layer& l, std::size_t d, std::int64_t, const double* x, const double* r, double* h,
                            double* c) {
        const auto& f = l.activations[3 * d];
        const auto& g = l.activations[3 * d + 1];
        const auto& out = l.activations[3 * d + 2];
        const std::int64_t n = l.hidden;
        const double* peep = peepholes.data() + static_cast<std::int64_t>(d) * 3 * n;
        const auto sum = [&](std::int64_t i) {
          return x[i] + r[i] + l.bias_x[static_cast<std::size_t>(i)] + l.bias_h[static_cast<std::size_t>(i)];
        };
        for (std::int64_t j = 0; j < n; ++j) {
          const double input = f(l.limited(sum(j) + peep[j] * c[j]));
          const double forget = coupled ? 1 - input : f(l.limited(sum(2 * n + j) + peep[2 * n + j] * c[j]));
          const double cell = forget * c[j] + input * g(l.limited(sum(3 * n + j)));
          const double output = f(l.limited(sum(n + j) + peep[n + j] * cell));
          c[j] = cell;
          h[j] = output * out(cell);
        }
      });
}

constexpr std::string_view kActivations =
    "activations Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, "
    "ThresholdedRelu";

const Operator kOperators[] = {
    {"GRU", 7, "activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset",
     gru, kActivations},
    {"LSTM", 7, "activation_alpha activation_beta activations clip direction hidden_size input_forget layout", lstm,
     kActivations},
    {"RNN", 7, "activation_alpha activation_beta activations clip direction hidden_size layout", rnn, kActivations},
};

}  // namespace

std::span<const Operator> recurrent_operators() { return kOperators; }

}  // namespace plumbline::graph

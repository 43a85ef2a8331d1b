#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "plumbline/nn/robust_loss.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::nn {
namespace {

using at::Tensor;
using base::Code;
using base::make_error;

constexpr std::array<std::pair<TrainMethod, std::string_view>, 7> kMethods = {{{TrainMethod::kStandard, "standard"},
                                                                               {TrainMethod::kGaussian, "gaussian"},
                                                                               {TrainMethod::kFast, "fast"},
                                                                               {TrainMethod::kPgd, "pgd"},
                                                                               {TrainMethod::kTrades, "trades"},
                                                                               {TrainMethod::kIbp, "ibp"},
                                                                               {TrainMethod::kCrownIbp, "crown-ibp"}}};

/// The backward pass of CROWN: z_label - z_j >= sum coefficients . h + constant, h the values of a tensor of the graph.
struct Backward {
  Tensor coefficients;  ///< batch x classes x size
  Tensor constant;      ///< batch x classes
};

}  // namespace

std::string_view train_method_name(TrainMethod method) {
  for (const auto& [known, name] : kMethods) {
    if (known == method) return name;
  }
  return "";
}

base::Result<TrainMethod> parse_train_method(std::string_view word) {
  std::vector<std::string> names;
  for (const auto& [method, name] : kMethods) {
    if (name == word) return method;
    names.emplace_back(name);
  }
  const std::string guess = base::nearest(std::string(word), names);
  return make_error(Code::kValue, fmt::format("'{}' is no method of training", word), "",
                    guess.empty() ? "standard, gaussian, fast, pgd, trades, ibp or crown-ibp"
                                  : fmt::format("Did you mean '{}'?", guess));
}

base::Status check_robust(const RobustTraining& robust, const NetworkSpec& spec, std::ptrdiff_t inputs) {
  constexpr std::string_view kHere = "train_classifier";
  if (robust.method == TrainMethod::kStandard) return base::ok();
  if (robust.method == TrainMethod::kGaussian) {
    PL_CHECK(base::check_positive(kHere, "sigma", robust.sigma));
  } else {
    PL_CHECK(base::check_positive(kHere, "epsilon", robust.epsilon));
  }
  PL_CHECK(base::check_in(kHere, "steps", robust.steps, 1, 10'000));
  PL_CHECK(base::check_in(kHere, "beta", robust.beta, 0, 1e6));
  PL_CHECK(base::check_in(kHere, "warmup", robust.warmup, 0, 1e6));
  PL_CHECK(base::check_positive(kHere, "ramp", robust.ramp));
  PL_CHECK(base::check_in(kHere, "clean_weight", robust.clean_weight, 0, 1));
  if (robust.method == TrainMethod::kCrownIbp && spec.kind != "mlp") {
    return make_error(
        Code::kUnsupported,
        fmt::format("{}: crown-ibp trains an mlp, not a {}: its backward pass holds no pooling", kHere, spec.kind), "",
        "use method ibp");
  }
  for (const auto* values : {&robust.scale, &robust.low, &robust.high}) {
    if (!values->empty())
      PL_CHECK(base::check_size(kHere, "scale, low or high", static_cast<std::ptrdiff_t>(values->size()), inputs));
  }
  return base::ok();
}

Tensor RobustLoss::logits(const Tensor& x) const {
  Values values;
  values["input"] = {std::make_shared<Tensor>(x), graph::Type::kFloat};
  for (const auto& [name, weight] : weights_) values[name] = {std::make_shared<Tensor>(weight), graph::Type::kFloat};
  run_nodes(graph_, values, {}, Precision::kFloat32);
  return *values.at("logits").tensor;
}

Tensor RobustLoss::cross_entropy(const Tensor& x, const Tensor& y) const {
  return at::nll_loss(at::log_softmax(logits(x), 1), y);
}

/// One value an input, in the shape of a row.
Tensor RobustLoss::per_input(const Tensor& x, const std::vector<double>& values, double fallback) const {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[0] = 1;
  Tensor out = at::empty(shape, at::kFloat);
  float* const to = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i)
    to[i] = static_cast<float>(values.empty() ? fallback : values[static_cast<std::size_t>(i)]);
  return out;
}

/// Standard normal, or uniform in [-1, 1): each row from its own stream, so that batches may be cut in any way.
Tensor RobustLoss::noise(const Tensor& x, const BatchPlace& place, bool normal) const {
  Tensor out = at::empty(x.sizes(), at::kFloat);
  const std::int64_t width = x.numel() / std::max<std::int64_t>(1, x.size(0));
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    base::Rng rng = place.noise.fork(static_cast<std::uint64_t>(place.rows[static_cast<std::size_t>(i)]));
    float* const to = out.data_ptr<float>() + i * width;
    for (std::int64_t j = 0; j < width; ++j) to[j] = static_cast<float>(normal ? rng.normal() : rng.uniform(-1, 1));
  }
  return out;
}

/// Back into the ball around x and the valid range.
Tensor RobustLoss::project(const Tensor& moved, const Tensor& x) const {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const Tensor reach = per_input(x, robust_.scale, 1) * robust_.epsilon;
  const Tensor inside = at::minimum(at::maximum(moved, x - reach), x + reach);
  return at::minimum(at::maximum(inside, per_input(x, robust_.low, -kNone)), per_input(x, robust_.high, kNone));
}

/// Sign steps that raise the objective.
Tensor RobustLoss::ascend(const Tensor& x, const Tensor& start, int steps, double step,
                          const std::function<Tensor(const Tensor&)>& objective) const {
  const Tensor stride = per_input(x, robust_.scale, 1) * step;
  Tensor at = project(start, x).detach();
  for (int k = 0; k < steps; ++k) {
    const Tensor leaf = at.detach().requires_grad_(true);
    const Tensor slope = torch::autograd::grad({objective(leaf)}, {leaf})[0];
    at = project(leaf.detach() + stride * slope.sign(), x).detach();
  }
  return at;
}

std::map<std::string, RobustLoss::Interval> RobustLoss::intervals(const Tensor& x, double epsilon) const {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const Tensor reach = per_input(x, robust_.scale, 1) * epsilon;
  std::map<std::string, Interval> out;
  // Rows that lie outside of the range stay in their own box.
  const Tensor low = at::minimum(per_input(x, robust_.low, -kNone), x);
  const Tensor high = at::maximum(per_input(x, robust_.high, kNone), x);
  out["input"] = {at::maximum(x - reach, low), at::minimum(x + reach, high)};
  for (std::size_t n = 0; n + 1 < graph_.nodes.size(); ++n) {
    const graph::Node& node = graph_.nodes[n];
    const auto& [l, u] = out.at(node.inputs[0]);
    Interval result;
    if (node.op == "Relu") {
      result = {at::relu(l), at::relu(u)};
    } else if (node.op == "Flatten") {
      result = {l.flatten(1), u.flatten(1)};
    } else if (node.op == "MaxPool") {
      result = {at::max_pool2d(l, {2, 2}), at::max_pool2d(u, {2, 2})};
    } else if (node.op == "Gemm" || node.op == "Conv") {
      const Tensor middle = (l + u) / 2;
      const Tensor half = (u - l) / 2;
      const Tensor& w = weights_.at(node.inputs[1]);
      const Tensor& b = weights_.at(node.inputs[2]);
      const bool dense = node.op == "Gemm";
      const Tensor centre = dense ? at::linear(middle, w, b) : at::conv2d(middle, w, b, 1, 1);
      const Tensor radius = dense ? at::linear(half, w.abs()) : at::conv2d(half, w.abs(), {}, 1, 1);
      result = {centre - radius, centre + radius};
    } else {
      throw EngineError(make_error(Code::kUnsupported, "no interval rule", node.place()));
    }
    out[node.outputs[0]] = std::move(result);
  }
  return out;
}

Tensor RobustLoss::margins(const Tensor& x, const Tensor& y, double epsilon, bool crown) const {
  const auto bounds = intervals(x, epsilon);
  const graph::Node& head = graph_.nodes.back();
  const Tensor& w = weights_.at(head.inputs[1]);
  const Tensor& b = weights_.at(head.inputs[2]);
  // The last layer's rows are subtracted before they are bounded.
  Backward at{w.index_select(0, y).unsqueeze(1) - w.unsqueeze(0), b.index_select(0, y).unsqueeze(1) - b.unsqueeze(0)};
  const auto close = [&](const std::string& tensor) {
    const auto& [l, u] = bounds.at(tensor);
    const Tensor middle = ((l + u) / 2).flatten(1).unsqueeze(2);
    const Tensor half = ((u - l) / 2).flatten(1).unsqueeze(2);
    return at::matmul(at.coefficients, middle).squeeze(2) - at::matmul(at.coefficients.abs(), half).squeeze(2) +
           at.constant;
  };
  if (!crown) return close(head.inputs[0]);
  for (std::size_t n = graph_.nodes.size() - 1; n-- > 0;) {
    const graph::Node& node = graph_.nodes[n];
    if (node.op == "Flatten") continue;
    if (node.op == "Gemm") {
      at.constant = at.constant + at::matmul(at.coefficients, weights_.at(node.inputs[2]));
      at.coefficients = at::matmul(at.coefficients, weights_.at(node.inputs[1]));
      continue;
    }
    if (node.op != "Relu") throw EngineError(make_error(Code::kUnsupported, "no backward rule", node.place()));
    const auto& [l, u] = bounds.at(node.inputs[0]);
    // Above: the chord from (l, 0) to (u, u); below: through zero with slope 1 where u > -l, else 0.
    const Tensor low = l.clamp_max(0);
    const Tensor high = u.clamp_min(0);
    const Tensor chord = high / (high - low).clamp_min(1e-12);
    const Tensor slope = (u > -l).to(at::kFloat);
    const Tensor positive = at.coefficients.clamp_min(0);
    const Tensor negative = at.coefficients.clamp_max(0);
    at.constant = at.constant + at::matmul(negative, (-chord * low).unsqueeze(2)).squeeze(2);
    at.coefficients = positive * slope.unsqueeze(1) + negative * chord.unsqueeze(1);
  }
  return close("input");
}

/// Worst cross-entropy: with z_j - z_label at its bound for every j at once.
Tensor RobustLoss::bounded(const Tensor& x, const Tensor& y, double position) const {
  const double grown = std::clamp((position - robust_.warmup) / robust_.ramp, 0.0, 1.0);
  const Tensor clean = cross_entropy(x, y);
  if (grown == 0) return clean;
  const double epsilon = robust_.epsilon * grown;
  Tensor margin = margins(x, y, epsilon, false);
  if (robust_.method == TrainMethod::kCrownIbp && grown < 1)
    margin = margins(x, y, epsilon, true) * (1 - grown) + margin * grown;
  const Tensor worst = at::nll_loss(at::log_softmax(-margin, 1), y);
  const double weight = 1 - grown * (1 - robust_.clean_weight);
  return clean * weight + worst * (1 - weight);
}

Tensor RobustLoss::loss(const Tensor& x, const Tensor& y, const BatchPlace& place) const {
  const auto error = [&](const Tensor& at) { return cross_entropy(at, y); };
  const Tensor scale = per_input(x, robust_.scale, 1);
  const double epsilon = robust_.epsilon;
  switch (robust_.method) {
    case TrainMethod::kStandard: return cross_entropy(x, y);
    case TrainMethod::kGaussian: return cross_entropy(x + noise(x, place, true) * scale * robust_.sigma, y);
    case TrainMethod::kFast:
      return cross_entropy(ascend(x, x + noise(x, place, false) * scale * epsilon, 1, 1.25 * epsilon, error), y);
    case TrainMethod::kPgd:
      return cross_entropy(
          ascend(x, x + noise(x, place, false) * scale * epsilon, robust_.steps, 2.5 * epsilon / robust_.steps, error),
          y);
    case TrainMethod::kTrades: {
      const Tensor clean = at::log_softmax(logits(x), 1);
      const auto divergence = [&](const Tensor& log_p, const Tensor& at) {
        return (log_p.exp() * (log_p - at::log_softmax(logits(at), 1))).sum(1).mean();
      };
      const Tensor fixed = clean.detach();
      // At x itself the divergence is flat, so the start lies a thousandth of a unit beside it.
      const Tensor moved =
          ascend(x, x + noise(x, place, true) * scale * 1e-3, robust_.steps, 2.5 * epsilon / robust_.steps,
                 [&](const Tensor& at) { return divergence(fixed, at); });
      return at::nll_loss(clean, y) + divergence(clean, moved) * robust_.beta;
    }
    case TrainMethod::kIbp:
    case TrainMethod::kCrownIbp: return bounded(x, y, place.position);
  }
  throw EngineError(make_error(Code::kInternal, "no such method of training"));
}

}  // namespace plumbline::nn

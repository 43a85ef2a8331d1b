#include "plumbline/robustness/proof/replay.hpp"

#include <fmt/format.h>
#include <gmpxx.h>

#include <cmath>

#include "plumbline/base/guard.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/operators.hpp"
#include "plumbline/robustness/proof/bounds.hpp"

namespace plumbline::robustness {

namespace {

/// The outputs at one input, in rational numbers. Precondition: piecewise_linear().
std::vector<mpq_class> exact_outputs(const Network& network, std::span<const double> x) {
  std::vector<std::vector<mpq_class>> values(network.steps.size());
  for (std::size_t s = 0; s < network.steps.size(); ++s) {
    const Step& step = network.steps[s];
    std::vector<mpq_class>& out = values[s];
    if (step.kind == StepKind::kInput) {
      for (const double v : x) out.emplace_back(v);
      continue;
    }
    const std::vector<mpq_class>& in = values[step.from[0]];
    out.resize(step.size);
    for (std::size_t i = 0; i < step.size; ++i) {
      if (step.kind == StepKind::kAffine) {
        const Affine& a = step.affine;
        out[i] = a.bias[i];
        if (a.dense) {
          for (std::size_t j = 0; j < a.columns; ++j) {
            if (in[j] != 0) out[i] += mpq_class(a.weights[i * a.columns + j]) * in[j];
          }
        } else {
          for (std::size_t e = a.start[i]; e < a.start[i + 1]; ++e) out[i] += mpq_class(a.weights[e]) * in[a.column[e]];
        }
      } else if (step.kind == StepKind::kSum) {
        for (std::size_t k = 0; k < step.from.size(); ++k) out[i] += step.signs[k] * values[step.from[k]][i];
      } else {
        out[i] = in[i] < 0 ? mpq_class(mpq_class(step.leak[i]) * in[i]) : in[i];
      }
    }
  }
  return values.back();
}

}  // namespace

base::Result<Replay> replay(const graph::Graph& graph, const Network& network, const Property& property,
                            std::span<const double> x, std::size_t exact_limit) {
  PL_CHECK(base::check_size("replay", "x", std::ssize(x), static_cast<std::ptrdiff_t>(network.inputs())));
  Replay out;
  const graph::Port& port = graph.inputs.at(0);
  graph::Tensor input{.type = port.type, .shape = port.shape, .reals = {x.begin(), x.end()}, .integers = {}};
  if (!input.shape.empty() && input.shape[0] == -1) input.shape[0] = 1;
  PL_TRY(const auto values, graph::interpret(graph, {{port.name, std::move(input)}}));
  out.output = graph::as_reals(values.at(graph.outputs.at(0).name));
  const Bounder bounder(network);
  const Box point{{x.begin(), x.end()}, {x.begin(), x.end()}};
  PL_TRY(const Bounds bounds, bounder.bound(point, {.method = BoundMethod::kIntervals}));
  std::vector<double> low = bounds.lower.back();
  std::vector<double> high = bounds.upper.back();
  double scale = 1;
  for (const double y : out.output) scale = std::max(scale, std::abs(y));
  for (std::size_t j = 0; j < low.size(); ++j) {
    if (out.output.size() != low.size() || !(out.output[j] >= low[j] - 1e-6 * scale) ||
        !(out.output[j] <= high[j] + 1e-6 * scale)) {
      out.decided_by = fmt::format("interpreter and interval arithmetic disagree on output {}", j);
      return out;
    }
  }
  PL_TRY(out.verdict, judge_point(property, x, low, high, &out.which));
  out.decided_by = "interval arithmetic";
  if (out.verdict != AtPoint::kUnclear) return out;
  if (!network.piecewise_linear() || network.multiply_adds() > exact_limit) {
    out.decided_by =
        "the margin is below rounding, and the network is too large, or not piecewise linear, for rational "
        "arithmetic";
    return out;
  }
  for (const double v : x) PL_CHECK(base::check_finite("replay", "x", v));
  const std::vector<mpq_class> y = exact_outputs(network, x);
  out.decided_by = "rational arithmetic";
  out.verdict = AtPoint::kSafe;
  for (std::size_t c = 0; c < property.cases.size(); ++c) {
    const UnsafeCase& unsafe = property.cases[c];
    const InputBox& box = property.boxes[unsafe.box];
    bool holds = true;
    for (std::size_t i = 0; i < x.size(); ++i)
      holds = holds && x[i] >= box.lower[i].nearest && x[i] <= box.upper[i].nearest;
    bool decided = true;
    for (const LinearAtom& atom : unsafe.atoms) {
      mpq_class sum = 0;
      for (const auto& [i, a] : atom.x) sum += mpq_class(a) * mpq_class(x[i]);
      for (const auto& [j, a] : atom.y) sum += mpq_class(a) * y[j];
      const mpq_class below(atom.bound.below);
      const mpq_class above(atom.bound.above);
      if (atom.strict ? sum >= above : sum > above) {
        holds = false;
      } else if (!(atom.strict ? sum < below : sum <= below) &&
                 !(sum == below && atom.bound.below != atom.bound.above)) {
        decided = false;
      }
    }
    if (holds && decided) {
      out.verdict = AtPoint::kUnsafe;
      out.which = c;
      return out;
    }
    if (holds) out.verdict = AtPoint::kUnclear;
  }
  return out;
}

}  // namespace plumbline::robustness

#include "plumbline/reach/controller.hpp"

#include "plumbline/robustness/proof/bounds.hpp"

namespace plumbline::reach {
namespace {

using robustness::Affine;  // a step of the network; our forms are reach::Affine
using robustness::Bounds;
using robustness::LinearRows;
using robustness::Network;
using robustness::RowBounds;
using robustness::Slopes;
using robustness::Step;
using robustness::StepKind;
using Form = reach::Affine;

/// Which symbol each input of the extended network stands for; an input's own error comes after the symbols.
struct Columns {
  std::vector<std::size_t> symbols;
  std::size_t count = 0;
};

Columns columns_of(std::span<const Form> inputs) {
  std::size_t symbols = 0;
  for (const Form& form : inputs) symbols = std::max(symbols, form.symbols.size());
  Columns out;
  for (std::size_t s = 0; s < symbols; ++s) {
    const bool used = std::any_of(inputs.begin(), inputs.end(),
                                  [&](const Form& f) { return s < f.symbols.size() && f.symbols[s] != 0; });
    if (used) out.symbols.push_back(s);
  }
  out.count = out.symbols.size();
  for (const Form& form : inputs) out.count += form.error > 0 ? 1 : 0;
  return out;
}

/// y = center + G s + error e: the weights are the forms' own numbers, so the step is exact.
Affine first_step(std::span<const Form> inputs, const Columns& columns) {
  Affine step;
  step.dense = true;
  step.rows = inputs.size();
  step.columns = std::max<std::size_t>(columns.count, 1);
  step.weights.assign(step.rows * step.columns, 0.0);
  step.transposed.assign(step.rows * step.columns, 0.0);
  std::size_t own = columns.symbols.size();
  for (std::size_t r = 0; r < step.rows; ++r) {
    for (std::size_t c = 0; c < columns.symbols.size(); ++c) {
      const std::size_t s = columns.symbols[c];
      if (s < inputs[r].symbols.size()) step.weights[r * step.columns + c] = inputs[r].symbols[s];
    }
    if (inputs[r].error > 0) step.weights[r * step.columns + own++] = inputs[r].error;
    step.bias.push_back(inputs[r].center);
  }
  for (std::size_t r = 0; r < step.rows; ++r) {
    for (std::size_t c = 0; c < step.columns; ++c)
      step.transposed[c * step.rows + r] = step.weights[r * step.columns + c];
  }
  return step;
}

Network extended(const Network& network, Affine first) {
  Network out;
  Step input;
  input.size = first.columns;
  out.steps.push_back(std::move(input));
  Step lead;
  lead.kind = StepKind::kAffine;
  lead.from = {0};
  lead.size = first.rows;
  lead.affine = std::move(first);
  lead.place = "inputs";
  out.steps.push_back(std::move(lead));
  for (std::size_t s = 1; s < network.steps.size(); ++s) {
    out.steps.push_back(network.steps[s]);
    for (std::size_t& from : out.steps.back().from) ++from;
  }
  return out;
}

/// The network over the symbols, with bounds of all its steps.
struct Bounded {
  Columns columns;
  Network network;
  Bounds bounds;
};

base::Result<Bounded> bound(const Network& network, std::span<const Form> inputs) {
  for (const Form& form : inputs) {
    if (!std::isfinite(form.radius()) || !std::isfinite(form.center))
      return base::make_error(base::Code::kValue, "the network's inputs are not bounded");
  }
  Bounded out;
  out.columns = columns_of(inputs);
  out.network = extended(network, first_step(inputs, out.columns));
  robustness::Box box;
  box.lower.assign(out.network.inputs(), -1.0);
  box.upper.assign(out.network.inputs(), 1.0);
  const robustness::Bounder bounder(out.network);
  PL_TRY(out.bounds, bounder.bound(box));
  return out;
}

/// Lower slopes parallel to the upper ones: both lines of an output then differ by their intercepts alone.
Slopes parallel_slopes(const Network& network, const Bounds& bounds) {
  Slopes out;
  out.share.resize(network.steps.size());
  for (std::size_t s = 0; s < network.steps.size(); ++s) {
    const Step& step = network.steps[s];
    if (step.kind != StepKind::kActivation || step.function != robustness::Function::kHinge) continue;
    for (std::size_t i = 0; i < step.size; ++i) {
      const double l = bounds.lower[step.from[0]][i];
      const double u = bounds.upper[step.from[0]][i];
      out.share[s].push_back(l < 0 && u > 0 ? u / (u - l) : 0.0);
    }
  }
  return out;
}

/// The form between two linear functions of the symbols: N >= lower at its minimum over the box, N <= upper likewise.
Form between(const Columns& columns, const double* below, double least, const double* above, double greatest) {
  // N >= sum b s + (least + sum |b|), and N <= -(sum a s) + ...: rows bound N and -N from below.
  Form out;
  double size = 0;
  double gap = 0;
  std::size_t symbols = columns.symbols.empty() ? 0 : columns.symbols.back() + 1;
  out.symbols.assign(symbols, 0.0);
  double floor = least;
  double ceiling = greatest;
  for (std::size_t c = 0; c < columns.count; ++c) {
    const double low = below[c];
    const double high = -above[c];
    floor = up(floor + std::abs(low));
    ceiling = down(ceiling - std::abs(high));
    if (c < columns.symbols.size()) {
      out.symbols[columns.symbols[c]] = 0.5 * (low + high);
      gap = up(gap + 0.5 * up(std::abs(high - low)));
    } else {
      gap = up(gap + std::max(std::abs(low), std::abs(high)));
    }
    size += std::abs(low) + std::abs(high);
  }
  // Sums above were rounded the safe way the wrong side round: take them back by their own rounding.
  const double slack = static_cast<double>(columns.count + 4) * 0x1p-51 * (size + std::abs(least) + std::abs(greatest));
  floor -= slack;
  ceiling += slack;
  out.center = 0.5 * (floor + ceiling);
  out.error = up(up(std::max(ceiling - out.center, out.center - floor)) + up(gap) + slack);
  if (!std::isfinite(out.error) || !std::isfinite(out.center)) out = Form(Interval::whole());
  return out;
}

}  // namespace

base::Result<std::vector<Form>> network_forms(const Network& network, std::span<const Form> inputs) {
  PL_TRY(const Bounded b, bound(network, inputs));
  const robustness::Bounder bounder(b.network);
  const std::size_t outputs = b.network.outputs();
  LinearRows rows;
  rows.count = 2 * outputs;
  rows.output.assign(rows.count * outputs, 0.0);
  rows.constant.assign(rows.count, 0.0);
  for (std::size_t i = 0; i < outputs; ++i) {
    rows.output[i * outputs + i] = 1;
    rows.output[(outputs + i) * outputs + i] = -1;
  }
  std::vector<Form> best;
  for (std::size_t i = 0; i < outputs; ++i)
    best.emplace_back(Interval(b.bounds.lower.back()[i], b.bounds.upper.back()[i]));
  const std::size_t n = b.network.inputs();
  for (const Slopes& slopes : {Slopes{}, parallel_slopes(b.network, b.bounds)}) {
    const RowBounds result = bounder.minimise(b.bounds, rows, slopes);
    for (std::size_t i = 0; i < outputs; ++i) {
      Form form = between(b.columns, &result.input[i * n], result.lower[i], &result.input[(outputs + i) * n],
                          -result.lower[outputs + i]);
      if (form.error < best[i].error) best[i] = std::move(form);
    }
  }
  return best;
}

base::Result<std::vector<std::size_t>> possible_choices(const Network& network, std::span<const Form> inputs,
                                                        bool least) {
  PL_TRY(const Bounded b, bound(network, inputs));
  const robustness::Bounder bounder(b.network);
  const std::size_t outputs = b.network.outputs();
  const double sign = least ? -1 : 1;
  LinearRows rows;
  rows.count = outputs * (outputs - 1);
  rows.output.assign(rows.count * outputs, 0.0);
  rows.constant.assign(rows.count, 0.0);
  std::size_t row = 0;
  for (std::size_t i = 0; i < outputs; ++i) {
    for (std::size_t j = 0; j < outputs; ++j) {
      if (i == j) continue;
      rows.output[row * outputs + i] = sign;
      rows.output[row * outputs + j] = -sign;
      ++row;
    }
  }
  const RowBounds result = bounder.minimise(b.bounds, rows, {});
  std::vector<bool> beaten(outputs, false);
  row = 0;
  for (std::size_t i = 0; i < outputs; ++i) {
    for (std::size_t j = 0; j < outputs; ++j) {
      if (i == j) continue;
      if (result.lower[row++] > 0) beaten[j] = true;
    }
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < outputs; ++i) {
    if (!beaten[i]) out.push_back(i);
  }
  return out;
}

}  // namespace plumbline::reach

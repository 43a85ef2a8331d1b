#include "plumbline/robustness/proof/attack.hpp"

#include <fmt/format.h>
#include <gmpxx.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/operators.hpp"
#include "plumbline/robustness/proof/bounds.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The atom that keeps a case from being true; null without atoms.
const LinearAtom* binding(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y) {
  const LinearAtom* worst = nullptr;
  double most = -kInfinity;
  for (const LinearAtom& atom : unsafe.atoms) {
    double sum = -atom.bound.nearest;
    for (const auto& [i, a] : atom.x) sum += a * x[i];
    for (const auto& [j, a] : atom.y) sum += a * y[j];
    if (sum > most) {
      most = sum;
      worst = &atom;
    }
  }
  return worst;
}

bool is_true(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y) {
  for (const LinearAtom& atom : unsafe.atoms) {
    double sum = -atom.bound.nearest;
    for (const auto& [i, a] : atom.x) sum += a * x[i];
    for (const auto& [j, a] : atom.y) sum += a * y[j];
    if (!(atom.strict ? sum < 0 : sum <= 0)) return false;
  }
  return true;
}

class Attacker {
  static constexpr std::size_t kBlock = 25;

 public:
  Attacker(const Network& network, const Property& property, const AttackOptions& options, base::CancelToken cancel)
      : network_(network), property_(property), options_(options), cancel_(std::move(cancel)) {
    for (const Step& step : network.steps) {
      if (step.kind == StepKind::kAffine && first_ == nullptr) first_ = &step.affine;
      // A scaling of inputs alone says nothing about directions.
      if (step.kind == StepKind::kAffine && step.affine.weights.size() > step.affine.rows) {
        first_ = &step.affine;
        break;
      }
    }
    if (first_ != nullptr && first_->columns != network.inputs()) first_ = nullptr;
    result_.best = kInfinity;
  }

  base::Result<AttackResult> run(const base::Rng& rng) {
    for (const AttackMethod method : options_.methods) {
      result_.traces.push_back({.method = method, .best = kInfinity, .forwards = 0, .gradients = 0});
      const bool once = method == AttackMethod::kRandom || method == AttackMethod::kFgsm;
      for (int round = 0; round < (once ? 1 : options_.rounds) && !result_.found; ++round) {
        for (std::size_t box = 0; box < property_.boxes.size() && !result_.found; ++box) {
          PL_CHECK(cancel_.status());
          rng_ = rng.fork(attack_method_name(method)).fork(static_cast<std::uint64_t>(round)).fork(box);
          one(method, box);
        }
      }
      if (result_.found) break;
    }
    return std::move(result_);
  }

 private:
  /// What a block of starts came to; blocks are combined in order, so threads do not matter.
  struct Block {
    double trace_best = kInfinity;
    std::uint64_t forwards = 0;
    std::uint64_t gradients = 0;
    double best = kInfinity;
    bool found = false;
    int step = 0;  ///< at which it was found
    std::size_t which = 0;
    std::vector<double> x;
  };

  void one(AttackMethod method, std::size_t at) {
    const InputBox& box = property_.boxes[at];
    std::vector<std::size_t> cases;
    for (std::size_t c = 0; c < property_.cases.size(); ++c) {
      if (property_.cases[c].box == at) cases.push_back(c);
    }
    const std::size_t n = property_.inputs;
    low_.resize(n);
    high_.resize(n);
    width_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      low_[i] = box.lower[i].nearest;
      high_[i] = box.upper[i].nearest;
      width_[i] = high_[i] - low_[i];
      if (!(width_[i] >= 0)) return;  // a box that lies between two doubles
    }
    const std::size_t count = method == AttackMethod::kFgsm ? cases.size() : std::max(options_.starts, cases.size());
    std::vector<Block> blocks((count + kBlock - 1) / kBlock);
    (void)base::parallel_for(blocks.size(), [&](std::size_t b) {
      const std::size_t first = b * kBlock;
      run_block(method, cases, first, std::min(kBlock, count - first), blocks[b]);
      return base::ok();
    });
    AttackTrace& trace = result_.traces.back();
    const Block* winner = nullptr;
    for (const Block& block : blocks) {
      trace.best = std::min(trace.best, block.trace_best);
      trace.forwards += block.forwards;
      trace.gradients += block.gradients;
      const bool better = block.found && winner != nullptr && winner->found ? block.step < winner->step
                          : block.found || (winner != nullptr && winner->found)
                              ? block.found
                              : block.best < (winner != nullptr ? winner->best : result_.best);
      if (better) winner = &block;
    }
    if (winner == nullptr) return;
    result_.found = winner->found;
    result_.best = winner->best;
    result_.which = winner->which;
    result_.x = winner->x;
  }

  void run_block(AttackMethod method, const std::vector<std::size_t>& cases, std::size_t first, std::size_t count,
                 Block& block) const {
    const std::size_t n = property_.inputs;
    std::vector<double> x(count * n);
    std::vector<std::size_t> target(count);
    for (std::size_t r = 0; r < count; ++r) {
      target[r] = cases[(first + r) % cases.size()];
      start(method, first + r, first + r < cases.size(), std::span(x).subspan(r * n, n));
    }
    if (method == AttackMethod::kRandom) {
      look(x, target, cases, count, block);
      return;
    }
    const int steps = method == AttackMethod::kFgsm ? 1 : options_.steps;
    for (int step = 0; step <= steps && !cancel_.cancelled(); ++step) {
      block.step = step;
      const auto values = look(x, target, cases, count, block);
      if (block.found || step == steps) return;
      std::vector<double> seeds(count * property_.outputs, 0.0);
      std::vector<double> direct(count * n, 0.0);
      for (std::size_t r = 0; r < count; ++r) {
        const auto row = std::span(x).subspan(r * n, n);
        const auto y = std::span(values.back()).subspan(r * property_.outputs, property_.outputs);
        const LinearAtom* atom = binding(property_.cases[target[r]], row, y);
        if (atom == nullptr) continue;
        for (const auto& [j, a] : atom->y) seeds[r * property_.outputs + j] += a;
        for (const auto& [i, a] : atom->x) direct[r * n + i] += a;
      }
      const std::vector<double> gradient = input_gradient(network_, values, seeds, count);
      block.gradients += count;
      const double share = steps > 1 ? static_cast<double>(step) / (steps - 1) : 0.0;
      const double size = method == AttackMethod::kFgsm
                              ? 1.0
                              : options_.first_step * std::pow(options_.last_step / options_.first_step, share);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double g = gradient[i] + direct[i];
        const double move = size * width_[i % n];
        if (g > 0) x[i] -= move;
        if (g < 0) x[i] += move;
        x[i] = std::clamp(x[i], low_[i % n], high_[i % n]);
      }
    }
  }

  void start(AttackMethod method, std::size_t row, bool first, std::span<double> x) const {
    base::Rng rng = rng_.fork(row);
    const std::size_t n = x.size();
    std::vector<double> score(n, 0.0);
    if (method == AttackMethod::kDiversified && first_ != nullptr) {
      for (std::size_t i = 0; i < first_->rows; ++i) {
        const double d = rng.normal();
        if (first_->dense) {
          for (std::size_t j = 0; j < n; ++j) score[j] += d * first_->weights[i * n + j];
        } else {
          for (std::size_t e = first_->start[i]; e < first_->start[i + 1]; ++e)
            score[first_->column[e]] += d * first_->weights[e];
        }
      }
    }
    const bool middle = method == AttackMethod::kFgsm || (method == AttackMethod::kPgd && first);
    const bool corners = method == AttackMethod::kDiversified || (method == AttackMethod::kRandom && row % 2 == 1);
    for (std::size_t j = 0; j < n; ++j) {
      double share = middle ? 0.5 : rng.uniform();
      if (corners) share = (score[j] != 0 ? score[j] > 0 : share > 0.5) ? 1.0 : 0.0;
      x[j] = std::clamp(low_[j] + share * width_[j], low_[j], high_[j]);
    }
  }

  /// Evaluates, and keeps what came nearest.
  std::vector<std::vector<double>> look(const std::vector<double>& x, const std::vector<std::size_t>& target,
                                        const std::vector<std::size_t>& cases, std::size_t count, Block& block) const {
    auto values = forward(network_, x, count);
    block.forwards += count;
    const std::size_t n = property_.inputs;
    const std::size_t k = property_.outputs;
    for (std::size_t r = 0; r < count; ++r) {
      const auto row = std::span(x).subspan(r * n, n);
      const auto y = std::span<const double>(values.back()).subspan(r * k, k);
      const auto consider = [&](std::size_t c) {
        const double excess = case_excess(property_.cases[c], row, y);
        block.trace_best = std::min(block.trace_best, excess);
        if (block.found || !(excess < block.best || is_true(property_.cases[c], row, y))) return;
        block.best = excess;
        block.which = c;
        block.x.assign(row.begin(), row.end());
        block.found = is_true(property_.cases[c], row, y);
      };
      consider(target[r]);
      // Another case may have become true on the way.
      for (const std::size_t c : cases) {
        if (c != target[r] && !block.found && is_true(property_.cases[c], row, y)) consider(c);
      }
    }
    return values;
  }

  const Network& network_;
  const Property& property_;
  const AttackOptions& options_;
  base::CancelToken cancel_;
  const Affine* first_ = nullptr;
  base::Rng rng_{0};
  std::vector<double> low_;
  std::vector<double> high_;
  std::vector<double> width_;
  AttackResult result_;
};

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

std::string_view attack_method_name(AttackMethod method) {
  switch (method) {
    case AttackMethod::kRandom: return "random";
    case AttackMethod::kFgsm: return "fgsm";
    case AttackMethod::kPgd: return "pgd";
    case AttackMethod::kDiversified: return "diversified";
  }
  return "";
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

base::Result<AttackResult> attack(const Network& network, const Property& property, const AttackOptions& options,
                                  base::Rng rng, const base::CancelToken& cancel) {
  PL_CHECK(base::check_size("attack", "property.inputs", static_cast<std::ptrdiff_t>(property.inputs),
                            static_cast<std::ptrdiff_t>(network.inputs())));
  PL_CHECK(base::check_size("attack", "property.outputs", static_cast<std::ptrdiff_t>(property.outputs),
                            static_cast<std::ptrdiff_t>(network.outputs())));
  PL_CHECK(base::check_at_least("attack", "starts", static_cast<std::ptrdiff_t>(options.starts), 1));
  PL_CHECK(base::check_at_least("attack", "steps", options.steps, 1));
  PL_CHECK(base::check_at_least("attack", "rounds", options.rounds, 1));
  PL_CHECK(base::check_positive("attack", "first_step", options.first_step));
  PL_CHECK(base::check_positive("attack", "last_step", options.last_step));
  return Attacker(network, property, options, cancel).run(rng);
}

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

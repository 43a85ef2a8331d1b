#include "plumbline/reach/simulate.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/reach/evaluate.hpp"

namespace plumbline::reach {
namespace {

std::vector<double> ask(const Loop& loop, const std::vector<double>& x) {
  if (loop.networks.empty()) return {};
  std::size_t which = 0;
  if (!loop.select.outputs.empty()) {
    const double index = std::round(detail::evaluate<double>(loop.select, x).front());
    if (!(index >= 1 && index <= static_cast<double>(loop.networks.size()))) return {std::nan("")};
    which = static_cast<std::size_t>(index) - 1;
  }
  const std::vector<double> inputs = detail::evaluate<double>(loop.inputs, x);
  const std::vector<double> outputs = robustness::forward(*loop.networks[which], inputs, 1).back();
  if (loop.reading == Reading::kNumbers) return detail::evaluate<double>(loop.outputs, outputs);
  const auto best = loop.reading == Reading::kArgmax ? std::max_element(outputs.begin(), outputs.end())
                                                     : std::min_element(outputs.begin(), outputs.end());
  return {static_cast<double>(best - outputs.begin()) + 1};
}

std::vector<double> slope(const Loop& loop, std::vector<double> all) {
  return detail::evaluate<double>(loop.dynamics, all);
}

/// One step of Runge-Kutta for the states; `all` holds variables and controls.
void advance(const Loop& loop, std::vector<double>& all, double h) {
  const std::size_t n = loop.states;
  const auto moved = [&](const std::vector<double>& k, double share) {
    std::vector<double> out = all;
    for (std::size_t i = 0; i < n; ++i) out[i] += share * h * k[i];
    return out;
  };
  const std::vector<double> k1 = slope(loop, all);
  const std::vector<double> k2 = slope(loop, moved(k1, 0.5));
  const std::vector<double> k3 = slope(loop, moved(k2, 0.5));
  const std::vector<double> k4 = slope(loop, moved(k3, 1));
  for (std::size_t i = 0; i < n; ++i) all[i] += h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
}

/// Margins while a rollout goes: of "always" the least value, of "never" the least of the greatest shortfall, ...
class Margins {
 public:
  explicit Margins(const Loop& loop) : loop_(loop) {
    for (const LoopProperty& p : loop.properties)
      margins_.push_back(p.quantifier == Quantifier::kEventually ? -kInfinity : kInfinity);
  }
  void see(const std::vector<double>& x, int period, bool period_end) {
    for (std::size_t p = 0; p < loop_.properties.size(); ++p) {
      const LoopProperty& property = loop_.properties[p];
      const bool final_only = property.quantifier == Quantifier::kFinally;
      const bool seen = final_only
                            ? period_end && period == loop_.periods
                            : property.from <= period && (period_end ? period <= property.to : period < property.to);
      if (!seen) continue;
      const std::vector<double> values = detail::evaluate<double>(property.conditions.program, x);
      double least = kInfinity;
      for (const double v : values) least = std::isnan(v) ? -kInfinity : std::min(least, v);
      double& margin = margins_[p];
      if (property.quantifier == Quantifier::kNever) {
        margin = std::min(margin, -least);
      } else if (property.quantifier == Quantifier::kEventually) {
        margin = std::max(margin, least);
      } else {
        margin = std::min(margin, least);
      }
    }
  }
  std::vector<double> take() { return std::move(margins_); }

 private:
  const Loop& loop_;
  std::vector<double> margins_;
};

}  // namespace

base::Result<Rollout> simulate(const Loop& loop, std::span<const double> start, int substeps) {
  if (start.size() != loop.width())
    return base::make_error(base::Code::kShape, fmt::format("simulate: the start has {} values, the loop {} variables",
                                                            start.size(), loop.width()));
  Rollout out;
  out.start.assign(start.begin(), start.end());
  Margins margins(loop);
  std::vector<double> x = out.start;
  out.times.push_back(0);
  out.points.push_back(x);
  margins.see(x, 0, true);
  for (int period = 0; period < loop.periods; ++period) {
    std::vector<double> u = ask(loop, x);
    std::vector<double> all = x;
    all.insert(all.end(), u.begin(), u.end());
    const int steps = loop.discrete ? 1 : substeps;
    for (int s = 1; s <= steps; ++s) {
      if (loop.discrete) {
        const std::vector<double> next = slope(loop, all);
        std::copy(next.begin(), next.end(), all.begin());
      } else {
        advance(loop, all, loop.period / substeps);
      }
      x.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(loop.width()));
      out.times.push_back((period + static_cast<double>(s) / steps) * loop.period);
      out.points.push_back(x);
      margins.see(x, s == steps ? period + 1 : period, s == steps);
    }
    out.controls.push_back(std::move(u));
  }
  out.margins = margins.take();
  return out;
}

std::vector<double> draw_start(const Box& box, std::size_t index, base::Rng& rng) {
  std::vector<std::size_t> wide;
  for (std::size_t i = 0; i < box.size(); ++i) {
    if (box[i].lo < box[i].hi) wide.push_back(i);
  }
  const bool corner = wide.size() < 7 ? index < (std::size_t{1} << wide.size()) : index < 64;
  std::vector<double> out;
  for (const Interval& range : box) out.push_back(range.lo == range.hi ? range.lo : rng.uniform(range.lo, range.hi));
  if (corner) {
    // With many dimensions the index' bits repeat, each dimension with another rotation.
    for (std::size_t k = 0; k < wide.size(); ++k) {
      const std::size_t bit = wide.size() < 7 ? (index >> k) & 1U : ((index * (2 * k + 1)) >> (k % 6)) & 1U;
      out[wide[k]] = bit == 1 ? box[wide[k]].hi : box[wide[k]].lo;
    }
  }
  for (std::size_t i = 0; i < box.size(); ++i) out[i] = std::clamp(out[i], box[i].lo, box[i].hi);
  return out;
}

}  // namespace plumbline::reach

#include "plumbline/reach/flow.hpp"

#include "plumbline/reach/evaluate.hpp"

namespace plumbline::reach {
namespace {

std::vector<Interval> ranges(std::span<const Affine> forms) {
  std::vector<Interval> out;
  out.reserve(forms.size());
  for (const Affine& form : forms) out.push_back(form.range());
  return out;
}

Interval inflated(const Interval& x, double share, double more) {
  const double r = share * x.rad() + more;
  return {down(x.lo - r), up(x.hi + r)};
}

/// A box B around X with X + [0, h] f(B) inside B; false when none was found. `box` holds all variables.
bool enclose(const Program& dynamics, const std::vector<Interval>& start, std::size_t states, double h,
             std::vector<Interval>& box) {
  const Interval time(0, h);
  box = start;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::vector<Interval> slope = detail::evaluate<Interval>(dynamics, box);
    bool inside = attempt > 0;
    std::vector<Interval> next = box;
    for (std::size_t i = 0; i < states; ++i) {
      const Interval image = start[i] + time * slope[i];
      if (!image.finite()) return false;
      inside = inside && box[i].contains(image);
      next[i] = image;
    }
    if (inside) {
      // Once inside, iterating only shrinks the box.
      box = std::move(next);
      return true;
    }
    for (std::size_t i = 0; i < states; ++i)
      box[i] = inflated(hull(next[i], start[i]), 0.1, 1e-9 * (1 + next[i].mag()));
  }
  return false;
}

/// t^k - h^(k-1) t over [0, h].
Interval below_chord(int k, double h) {
  const double reach = up(k == 2 ? 0.25 * h * h : std::pow(h, k) * (1 + 1e-12));
  return {-reach, 0};
}

}  // namespace

base::Result<FlowStep> flow(const Program& dynamics, std::span<const Affine> variables, std::size_t states,
                            std::size_t symbols, double wanted, const FlowOptions& options) {
  const int order = options.order;
  const std::vector<Interval> start = ranges(variables);
  for (const Interval& x : start) {
    if (!x.finite()) return base::make_error(base::Code::kValue, "the set is not bounded");
  }
  double h = wanted;
  for (int halving = 0; halving <= options.halvings; ++halving, h *= 0.5) {
    std::vector<Interval> box;
    if (!enclose(dynamics, start, states, h, box)) continue;
    const detail::Series<Interval> wide(dynamics, box, states, order + 1);
    const Interval time(h);
    const Interval last = power(time, order + 1);
    bool small = true;
    std::vector<Interval> remainder(states);
    for (std::size_t i = 0; i < states; ++i) {
      remainder[i] = last * wide.state(i, order + 1);
      small = small && remainder[i].rad() <= options.tolerance * (1 + start[i].mag());
    }
    if (!small && halving < options.halvings) continue;
    const detail::Series<Affine> series(dynamics, variables, states, order);
    FlowStep step;
    step.seconds = h;
    for (std::size_t i = 0; i < states; ++i) {
      // Horner's rule, then what the time between the ends adds to the chord.
      Affine end = series.state(i, order);
      for (int k = order - 1; k >= 0; --k) end = series.state(i, k) + time * end;
      Affine tube = sweep(variables[i], end, symbols);
      for (int k = 2; k <= order; ++k) tube = widen(tube, below_chord(k, h) * series.state(i, k).range());
      tube = widen(tube, hull(Interval(0), remainder[i]));
      step.end.push_back(widen(end, remainder[i]));
      step.tube.push_back(std::move(tube));
    }
    return step;
  }
  return base::make_error(base::Code::kValue, "no enclosure of the flow over a step: the set has grown too large");
}

}  // namespace plumbline::reach

#include "plumbline/stats/minimise.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>

namespace plumbline::stats {
namespace {

constexpr std::size_t kPairs = 10;

struct Pair {
  std::vector<double> step;
  std::vector<double> change;
  double inverse = 0;
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// -H g by the two-loop recursion.
std::vector<double> direction(const std::vector<double>& gradient, const std::deque<Pair>& pairs) {
  std::vector<double> q = gradient;
  std::vector<double> alpha(pairs.size());
  for (std::size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = pairs[i].inverse * dot(pairs[i].step, q);
    for (std::size_t j = 0; j < q.size(); ++j) q[j] -= alpha[i] * pairs[i].change[j];
  }
  if (!pairs.empty()) {
    const double scale = 1 / (pairs.back().inverse * dot(pairs.back().change, pairs.back().change));
    for (double& v : q) v *= scale;
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double beta = pairs[i].inverse * dot(pairs[i].change, q);
    for (std::size_t j = 0; j < q.size(); ++j) q[j] += (alpha[i] - beta) * pairs[i].step[j];
  }
  for (double& v : q) v = -v;
  return q;
}

double largest(const std::vector<double>& values) {
  double top = 0;
  for (const double v : values) top = std::max(top, std::abs(v));
  return top;
}

}  // namespace

base::Result<Minimum> minimise(const SmoothFunction& function, std::vector<double> start,
                               const MinimiseOptions& options) {
  Minimum out;
  out.x = std::move(start);
  std::vector<double>& x = out.x;
  std::vector<double> gradient;
  out.value = function(x, gradient);
  if (options.accepted) options.accepted();
  std::deque<Pair> pairs;
  while (out.iterations < options.iterations) {
    PL_CHECK(options.cancel.status());
    if (largest(gradient) <= options.tolerance) {
      out.converged = true;
      break;
    }
    ++out.iterations;
    std::vector<double> step = direction(gradient, pairs);
    double slope = dot(step, gradient);
    if (!(slope < 0)) {
      pairs.clear();
      step = direction(gradient, pairs);
      slope = dot(step, gradient);
    }
    double length = pairs.empty() ? 1 / std::max(1.0, std::sqrt(-slope)) : 1;
    std::vector<double> next(x.size());
    std::vector<double> next_gradient;
    double next_value = 0;
    bool moved = false;
    for (int halving = 0; halving < 50 && !moved; ++halving, length *= 0.5) {
      for (std::size_t i = 0; i < x.size(); ++i) next[i] = x[i] + length * step[i];
      next_value = function(next, next_gradient);
      // Near the optimum the decrease is lost in rounding; there a slope that shrinks along the step shows the descent
      // (the approximate Wolfe condition of Hager and Zhang 2005).
      moved = next_value <= out.value + 1e-4 * length * slope ||
              (next_value <= out.value + 1e-13 * std::abs(out.value) &&
               std::abs(dot(step, next_gradient)) <= 0.9 * std::abs(slope));
    }
    if (!moved) break;  // rounding hides any further descent
    if (options.accepted) options.accepted();
    Pair pair;
    pair.step.resize(x.size());
    pair.change.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      pair.step[i] = next[i] - x[i];
      pair.change[i] = next_gradient[i] - gradient[i];
    }
    const double curvature = dot(pair.step, pair.change);
    if (curvature > 1e-300) {
      pair.inverse = 1 / curvature;
      pairs.push_back(std::move(pair));
      if (pairs.size() > kPairs) pairs.pop_front();
    }
    x.swap(next);
    gradient.swap(next_gradient);
    out.value = next_value;
  }
  return out;
}

}  // namespace plumbline::stats

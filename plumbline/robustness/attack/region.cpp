#include "plumbline/robustness/attack/region.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/robustness/attack/select.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kRootSteps = 60;

/// project() for L2: the scale s in [0, 1] at which the clipped move has length epsilon.
void project_l2(const Region& region, std::span<double> x) {
  const std::size_t n = region.size();
  std::vector<double> moved(n), low_room(n), high_room(n);
  for (std::size_t i = 0; i < n; ++i) {
    moved[i] = x[i] - region.centre[i];
    low_room[i] = region.low[i] - region.centre[i];
    high_room[i] = region.high[i] - region.centre[i];
  }
  double low = 0;
  double high = 1;
  double s = 1;
  const double want = region.epsilon * region.epsilon;
  for (int step = 0; step < kRootSteps; ++step) {
    double free = 0;   // squares of coordinates that the box does not hold
    double fixed = 0;  // squares of those that it does
    for (std::size_t i = 0; i < n; ++i) {
      const double cut = std::clamp(s * moved[i], low_room[i], high_room[i]);
      const bool held = cut != s * moved[i];
      free += held ? 0 : moved[i] * moved[i];
      fixed += held ? cut * cut : 0;
    }
    const double length = s * s * free + fixed;
    if (length <= want) {
      low = s;
      if (s == 1 || length >= want * (1 - 1e-12)) break;
    } else {
      high = s;
    }
    double next = want > fixed && free > 0 ? std::sqrt((want - fixed) / free) * (1 - 1e-13) : low;
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (high - low <= 1e-15 * high) break;
    s = next;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double d = x[i] - region.centre[i];
    x[i] = std::clamp(region.centre[i] + low * d, region.low[i], region.high[i]);
  }
}

/// project() for L1: the amount t by which every coordinate's move is shortened.
void project_l1(const Region& region, std::span<double> x) {
  const std::size_t n = region.size();
  // Padded with zeros, which add nothing.
  std::vector<double> moved(n + 3, 0.0), room(n + 3, 0.0);
  double most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double d = x[i] - region.centre[i];
    moved[i] = std::abs(d);
    room[i] = d > 0 ? region.high[i] - region.centre[i] : region.centre[i] - region.low[i];
    most = std::max(most, moved[i]);
  }
  double low = 0;
  double high = most;
  double t = 0;
  for (int step = 0; step < kRootSteps; ++step) {
    // Four sums side by side: one chain of additions would wait for each.
    std::array<double, 4> lengths{};
    std::array<double, 4> slopes{};
    for (std::size_t i = 0; i < n; i += 4) {
      for (std::size_t k = 0; k < 4; ++k) {
        const double left = std::max(moved[i + k] - t, 0.0);
        lengths[k] += std::min(left, room[i + k]);
        slopes[k] += left > 0 && left < room[i + k] ? 1 : 0;
      }
    }
    const double length = (lengths[0] + lengths[1]) + (lengths[2] + lengths[3]);
    const double slope = (slopes[0] + slopes[1]) + (slopes[2] + slopes[3]);
    if (length <= region.epsilon) {
      high = t;
      if (t == 0 || length >= region.epsilon * (1 - 1e-12)) break;
    } else {
      low = t;
    }
    double next = slope > 0 ? t + (length - region.epsilon * (1 - 1e-13)) / slope : 0.5 * (low + high);
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (high - low <= 1e-15 * most) break;
    t = next;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double left = std::min(std::max(moved[i] - high, 0.0), room[i]);
    x[i] = std::clamp(region.centre[i] + std::copysign(left, x[i] - region.centre[i]), region.low[i], region.high[i]);
  }
}

/// Concave increasing f with f(0) = 0 and slope: the t at which it reaches `want`, by Newton steps from below.
template <class Evaluate>
double reach(double want, Evaluate&& evaluate) {
  double t = 0;
  for (int step = 0; step < kRootSteps; ++step) {
    double value = 0;
    double slope = 0;
    evaluate(t, value, slope);
    if (value >= want * (1 - 1e-14) || slope <= 0) break;
    t += (want - value) / slope;
  }
  return t;
}

}  // namespace

std::string_view norm_name(Norm norm) {
  switch (norm) {
    case Norm::kLinf: return "linf";
    case Norm::kL2: return "l2";
    case Norm::kL1: return "l1";
  }
  return "";
}

base::Result<Norm> parse_norm(std::string_view word) {
  for (const Norm norm : {Norm::kLinf, Norm::kL2, Norm::kL1}) {
    if (word == norm_name(norm)) return norm;
  }
  return base::make_error(base::Code::kValue, fmt::format("'{}' is not a norm; expected linf, l2 or l1", word));
}

double norm_of(Norm norm, std::span<const double> a) {
  double out = 0;
  for (const double v : a) {
    out = norm == Norm::kLinf ? std::max(out, std::abs(v)) : out + (norm == Norm::kL2 ? v * v : std::abs(v));
  }
  return norm == Norm::kL2 ? std::sqrt(out) : out;
}

double distance(Norm norm, std::span<const double> a, std::span<const double> b) {
  double out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double v = a[i] - b[i];
    out = norm == Norm::kLinf ? std::max(out, std::abs(v)) : out + (norm == Norm::kL2 ? v * v : std::abs(v));
  }
  return norm == Norm::kL2 ? std::sqrt(out) : out;
}

void project(const Region& region, std::span<double> x) {
  if (region.norm == Norm::kLinf || region.epsilon == kInfinity) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = std::clamp(x[i], std::max(region.low[i], region.centre[i] - region.epsilon),
                        std::min(region.high[i], region.centre[i] + region.epsilon));
    }
    return;
  }
  region.norm == Norm::kL2 ? project_l2(region, x) : project_l1(region, x);
}

void steepest(Norm norm, std::span<const double> gradient, std::span<double> direction) {
  std::fill(direction.begin(), direction.end(), 0.0);
  if (norm == Norm::kL1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < gradient.size(); ++i) {
      if (std::abs(gradient[i]) > std::abs(gradient[best])) best = i;
    }
    if (!gradient.empty() && gradient[best] != 0) direction[best] = gradient[best] > 0 ? 1 : -1;
    return;
  }
  double length = 1;
  if (norm == Norm::kL2) {
    // Scaled first: squares of tiny gradients would vanish.
    const double most = norm_of(Norm::kLinf, gradient);
    if (!(most > 0)) return;
    for (std::size_t i = 0; i < gradient.size(); ++i) direction[i] = gradient[i] / most;
    length = norm_of(Norm::kL2, direction);
    for (double& v : direction) v /= length;
    return;
  }
  for (std::size_t i = 0; i < gradient.size(); ++i) direction[i] = gradient[i] > 0 ? 1 : (gradient[i] < 0 ? -1 : 0);
}

void step_up(const Region& region, std::span<const double> gradient, double size, std::span<double> x) {
  const std::size_t n = region.size();
  const auto unit = [&](std::size_t i) { return region.unit.empty() ? region.epsilon : region.unit[i]; };
  if (region.norm == Norm::kLinf) {
    for (std::size_t i = 0; i < n; ++i) {
      const double move = size * unit(i);
      if (gradient[i] > 0) x[i] += move;
      if (gradient[i] < 0) x[i] -= move;
    }
  } else if (region.norm == Norm::kL2) {
    std::vector<double> direction(n);
    steepest(Norm::kL2, gradient, direction);
    for (std::size_t i = 0; i < n; ++i) x[i] += size * unit(i) * direction[i];
  } else {
    const double least = kth_largest_size(gradient, std::max<std::size_t>(1, n / 10));
    std::size_t moved = 0;
    for (std::size_t i = 0; i < n; ++i) moved += gradient[i] != 0 && std::abs(gradient[i]) >= least ? 1 : 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (gradient[i] == 0 || std::abs(gradient[i]) < least) continue;
      x[i] += std::copysign(size * unit(i) / static_cast<double>(moved), gradient[i]);
    }
  }
  project(region, x);
}

void uniform_in(const Region& region, base::Rng& rng, std::span<double> x) {
  const std::size_t n = region.size();
  if (region.norm == Norm::kLinf) {
    for (std::size_t i = 0; i < n; ++i) {
      const double low = std::max(region.low[i], region.centre[i] - region.epsilon);
      const double high = std::min(region.high[i], region.centre[i] + region.epsilon);
      x[i] = std::clamp(low + rng.uniform() * (high - low), low, high);
    }
    return;
  }
  // A direction uniform on the sphere of the norm, a radius with density r^(n-1).
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double sign = rng.bernoulli(0.5) ? 1 : -1;
    x[i] = region.norm == Norm::kL2 ? rng.normal() : sign * rng.exponential();
    total += region.norm == Norm::kL2 ? x[i] * x[i] : std::abs(x[i]);
  }
  const double length = region.norm == Norm::kL2 ? std::sqrt(total) : total;
  const double radius = region.epsilon * std::pow(rng.uniform(), 1 / static_cast<double>(n));
  for (std::size_t i = 0; i < n; ++i) x[i] = region.centre[i] + (length > 0 ? radius / length * x[i] : 0);
  project(region, x);
}

void far_along(const Region& region, std::span<const double> direction, base::Rng& rng, std::span<double> x) {
  const std::size_t n = region.size();
  if (region.norm == Norm::kLinf) {
    for (std::size_t i = 0; i < n; ++i) {
      const double low = std::max(region.low[i], region.centre[i] - region.epsilon);
      const double high = std::min(region.high[i], region.centre[i] + region.epsilon);
      const double share = rng.uniform();
      x[i] = (direction[i] != 0 ? direction[i] > 0 : share > 0.5) ? high : low;
    }
    return;
  }
  const double length = norm_of(region.norm, direction);
  if (!(length > 0)) {
    uniform_in(region, rng, x);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) x[i] = region.centre[i] + region.epsilon / length * direction[i];
  project(region, x);
}

double reach_plane(Norm norm, std::span<const double> x, std::span<const double> gradient, double change,
                   std::span<const double> low, std::span<const double> high, std::span<double> move) {
  const std::size_t n = x.size();
  const double want = std::abs(change);
  const auto sign = [&](std::size_t i) { return (gradient[i] > 0) == (change > 0) ? 1.0 : -1.0; };
  const auto room = [&](std::size_t i) { return std::max(0.0, sign(i) > 0 ? high[i] - x[i] : x[i] - low[i]); };
  std::fill(move.begin(), move.end(), 0.0);
  if (want == 0) return 0;
  if (norm == Norm::kL1) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const double p = std::abs(gradient[a]);
      const double q = std::abs(gradient[b]);
      return p != q ? p > q : a < b;
    });
    double left = want;
    for (const std::size_t i : order) {
      const double g = std::abs(gradient[i]);
      if (!(g > 0) || !(left > 0)) break;
      const double step = std::min(left / g, room(i));
      move[i] = sign(i) * step;
      left -= g * step;
    }
    return norm_of(norm, move);
  }
  const double t = reach(want, [&](double at, double& value, double& slope) {
    for (std::size_t i = 0; i < n; ++i) {
      const double g = std::abs(gradient[i]);
      if (g == 0) continue;
      const double each = norm == Norm::kLinf ? 1 : g;
      const double r = room(i);
      value += g * std::min(at * each, r);
      if (at * each < r) slope += g * each;
    }
  });
  for (std::size_t i = 0; i < n; ++i) {
    const double g = std::abs(gradient[i]);
    if (g != 0) move[i] = sign(i) * std::min(t * (norm == Norm::kLinf ? 1 : g), room(i));
  }
  return norm_of(norm, move);
}

}  // namespace plumbline::robustness

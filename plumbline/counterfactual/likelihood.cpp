#include "plumbline/counterfactual/likelihood.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual {
namespace {

struct Smooth {
  double value;
  double slope;
  double curve;
};

/// log z, continued below `from` by its second-order expansion there, so that any multiplier may be tried (Owen 2001).
Smooth smooth_log(double z, double from) {
  if (z >= from) return {std::log(z), 1 / z, -1 / (z * z)};
  const double t = z / from;
  return {std::log(from) - 1.5 + 2 * t - 0.5 * t * t, (2 - t) / from, -1 / (from * from)};
}

/// max over (l1, l2) of sum log(1 + l1 x + l2 y) by Newton's method with halving; `start` is where to begin and
/// receives the maximiser.
double dual(const std::vector<double>& x, const std::vector<double>& y, std::array<double, 2>& start) {
  const double from = 1 / static_cast<double>(x.size());
  const auto at = [&](const std::array<double, 2>& l) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += smooth_log(1 + l[0] * x[i] + l[1] * y[i], from).value;
    return sum;
  };
  double value = at(start);
  constexpr int kSteps = 60;
  for (int step = 0; step < kSteps; ++step) {
    double g0 = 0, g1 = 0, h00 = 0, h01 = 0, h11 = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Smooth s = smooth_log(1 + start[0] * x[i] + start[1] * y[i], from);
      g0 += s.slope * x[i];
      g1 += s.slope * y[i];
      h00 -= s.curve * x[i] * x[i];
      h01 -= s.curve * x[i] * y[i];
      h11 -= s.curve * y[i] * y[i];
    }
    const double ridge = 1e-12 * (h00 + h11) + std::numeric_limits<double>::min();
    h00 += ridge;
    h11 += ridge;
    const double determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 0)) break;
    const double d0 = (h11 * g0 - h01 * g1) / determinant;
    const double d1 = (h00 * g1 - h01 * g0) / determinant;
    const double rise = g0 * d0 + g1 * d1;
    if (!(rise > 1e-11)) break;
    double length = 1;
    double next = value;
    std::array<double, 2> tried = start;
    for (int halving = 0; halving < 40; ++halving, length /= 2) {
      tried = {start[0] + length * d0, start[1] + length * d1};
      next = at(tried);
      if (next >= value + 1e-4 * length * rise) break;
    }
    if (!(next > value)) break;
    start = tried;
    value = next;
  }
  return value;
}

}  // namespace

base::Result<stats::Estimate> weighted_likelihood(std::span<const double> wr, std::span<const double> w,
                                                  std::span<const double> rows) {
  const auto n = static_cast<std::ptrdiff_t>(wr.size());
  PL_CHECK(base::check_at_least("weighted_likelihood", "units", n, 2));
  PL_CHECK(base::check_size("weighted_likelihood", "w", static_cast<std::ptrdiff_t>(w.size()), n));
  PL_CHECK(base::check_size("weighted_likelihood", "rows", static_cast<std::ptrdiff_t>(rows.size()), n));
  PL_CHECK(base::check_all_finite("weighted_likelihood", "wr", wr));
  for (std::size_t u = 0; u < wr.size(); ++u) {
    PL_CHECK(base::check_in("weighted_likelihood", "w", w[u], 0, std::numeric_limits<double>::max()));
    PL_CHECK(base::check_positive("weighted_likelihood", "rows", rows[u]));
  }
  stats::Estimate estimate;
  estimate.n = estimate.n_effective = static_cast<double>(n);
  estimate.method = "empirical likelihood, mean weight 1";
  estimate.assumptions = {"units are independent and drawn alike", "many units (asymptotic)"};
  std::vector<double> y(wr.size());
  bool above = false;
  bool below = false;
  for (std::size_t u = 0; u < y.size(); ++u) {
    y[u] = w[u] - rows[u];
    above = above || y[u] > 0;
    below = below || y[u] < 0;
  }
  const double total = base::ordered_sum(w);
  if (!above && !below) {
    // Every weight is 1: the target is the logging policy, and the constraint says nothing.
    std::fill(y.begin(), y.end(), 0.0);
  } else if (!above || !below) {
    estimate.value = total > 0 ? base::ordered_sum(wr) / total : std::numeric_limits<double>::quiet_NaN();
    estimate.warnings.emplace_back("no weighting of the rows gives the mean weight 1");
    return estimate;
  }
  // The most likely weighting with mean weight 1, and the figure under it.
  const std::vector<double> none(wr.size(), 0.0);
  std::array<double, 2> center{0, 0};
  dual(none, y, center);
  double num = 0;
  double den = 0;
  for (std::size_t u = 0; u < y.size(); ++u) {
    const double q = 1 / (1 + center[1] * y[u]);
    num += q * wr[u];
    den += q * rows[u];
  }
  estimate.value = num / den;
  double least = 0;
  {
    std::array<double, 2> l{0, center[1]};
    least = dual(none, y, l);
  }
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  double square = 0;
  for (std::size_t u = 0; u < y.size(); ++u) {
    low = std::min(low, wr[u] / rows[u]);
    high = std::max(high, wr[u] / rows[u]);
    const double gap = wr[u] - estimate.value * rows[u];
    square += gap * gap;
  }
  if (!(low < high)) {
    estimate.warnings.emplace_back("all units agree exactly: the sample shows no spread to bound the figure with");
    return estimate;
  }
  const double scale = std::sqrt(square) / den;
  // Each side and rung: step outwards until the ratio is passed, then find the root. -2 log R against the
  // unconstrained weighting; relative to the best with mean weight 1, which has one constraint fewer.
  const auto side = [&](double confidence, double direction) -> std::optional<double> {
    const double goal = std::pow(stats::t_quantile(confidence, static_cast<double>(n - 1)), 2);
    std::vector<double> x(wr.size());
    std::array<double, 2> warm{0, center[1]};
    const auto excess = [&](double v) {
      for (std::size_t u = 0; u < x.size(); ++u) x[u] = wr[u] - v * rows[u];
      return 2 * (dual(x, y, warm) - least) - goal;
    };
    double inside = estimate.value;
    double step = scale * std::sqrt(goal) / 2;
    double outside = inside;
    for (int k = 0; k < 60; ++k, step *= 1.5) {
      outside = inside + direction * step;
      const bool past = direction < 0 ? outside <= low : outside >= high;
      if (past) outside = direction < 0 ? low : high;
      if (excess(outside) > 0) break;
      if (past) return outside;
      inside = outside;
    }
    const auto root = stats::find_root(excess, std::min(inside, outside), std::max(inside, outside),
                                       {.tolerance = 1e-10, .steps = 100});
    return root.ok() ? std::optional(*root) : std::nullopt;
  };
  constexpr std::size_t kRungs = stats::kLadder.size();
  PL_CHECK(base::parallel_for(2 * kRungs, [&](std::size_t task) -> base::Status {
    const std::size_t rung = task % kRungs;
    if (task < kRungs)
      estimate.bounds.lower[rung] = side(stats::kLadder[rung], -1);
    else
      estimate.bounds.upper[rung] = side(stats::kLadder[rung], 1);
    return base::ok();
  }));
  return estimate;
}

}  // namespace plumbline::counterfactual

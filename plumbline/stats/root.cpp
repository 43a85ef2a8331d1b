#include "plumbline/stats/root.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace plumbline::stats {
namespace {

base::Status check_bracket(std::string_view function, double low, double high, double f_low, double f_high) {
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) {
    return base::make_error(base::Code::kValue,
                            fmt::format("{}: bracket [{}, {}] is empty or not finite", function, low, high));
  }
  if (std::isnan(f_low) || std::isnan(f_high) || (f_low > 0) == (f_high > 0)) {
    return base::make_error(base::Code::kValue, fmt::format("{}: f({}) = {} and f({}) = {} do not bracket a root",
                                                            function, low, f_low, high, f_high));
  }
  return base::ok();
}

bool close(double low, double high, double tolerance) {
  return high - low <= tolerance * std::max({1.0, std::abs(low), std::abs(high)});
}

base::Error spent(std::string_view function, int steps) {
  return base::make_error(base::Code::kLimit, fmt::format("{}: no root within {} steps", function, steps));
}

}  // namespace

base::Result<double> find_root(const std::function<double(double)>& f, double low, double high,
                               const RootOptions& options) {
  double f_low = f(low);
  double f_high = f(high);
  if (f_low == 0) return low;
  if (f_high == 0) return high;
  PL_CHECK(check_bracket("find_root", low, high, f_low, f_high));
  int kept = 0;  // +1: high stayed last time, -1: low stayed
  for (int step = 0; step < options.steps; ++step) {
    if (close(low, high, options.tolerance)) return 0.5 * (low + high);
    double x = (low * f_high - high * f_low) / (f_high - f_low);
    // Every third step bisects, so that the bracket shrinks at least by half in three calls whatever f does.
    if (step % 3 == 2 || !(x > low && x < high)) x = 0.5 * (low + high);
    const double value = f(x);
    if (value == 0) return x;
    if ((value > 0) == (f_low > 0)) {
      low = x;
      f_low = value;
      if (kept == 1) f_high *= 0.5;
      kept = 1;
    } else {
      high = x;
      f_high = value;
      if (kept == -1) f_low *= 0.5;
      kept = -1;
    }
  }
  return spent("find_root", options.steps);
}

base::Result<double> find_root_newton(const std::function<ValueAndSlope(double)>& f, double low, double high,
                                      const RootOptions& options) {
  const double f_low = f(low).value;
  const double f_high = f(high).value;
  if (f_low == 0) return low;
  if (f_high == 0) return high;
  PL_CHECK(check_bracket("find_root_newton", low, high, f_low, f_high));
  double x = 0.5 * (low + high);
  double last_size = high - low;
  for (int step = 0; step < options.steps; ++step) {
    const ValueAndSlope at = f(x);
    if (at.value == 0) return x;
    ((at.value > 0) == (f_low > 0) ? low : high) = x;
    const double next = x - at.value / at.slope;
    const bool newton = next > low && next < high && std::abs(next - x) < 0.5 * last_size;
    const double moved = newton ? next : 0.5 * (low + high);
    last_size = std::abs(moved - x);
    if (last_size <= options.tolerance * std::max(1.0, std::abs(x)) || close(low, high, options.tolerance))
      return moved;
    x = moved;
  }
  return spent("find_root_newton", options.steps);
}

}  // namespace plumbline::stats

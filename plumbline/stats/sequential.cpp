#include "plumbline/stats/sequential.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

/// The largest m in [0, 1] for which `rejected` holds, given that it holds on an interval from 0.
template <class Rejected>
double boundary(double top, const Rejected& rejected) {
  double low = 0;
  double high = top;
  for (int step = 0; step < 60 && high - low > 1e-13; ++step) {
    const double middle = 0.5 * (low + high);
    (rejected(middle) ? low : high) = middle;
  }
  return low;
}

double mixture_low(double k, double n, double a, double b, double confidence) {
  if (k <= 0) return 0;
  const double goal = -std::log1p(-confidence);
  const double constant = log_beta(a + k, b + n - k) - log_beta(a, b);
  return boundary(k / n, [&](double m) {
    if (m <= 0) return true;
    const double wealth = constant + std::log(beta_tail(m, a + k, b + n - k)) - std::log(beta_tail(m, a, b)) -
                          k * std::log(m) - (k < n ? (n - k) * std::log1p(-m) : 0.0);
    return wealth >= goal;
  });
}

/// Lower bound for the mean of x in [0, 1] at one confidence.
double betting_low(const std::vector<double>& x, double confidence) {
  const double goal = -std::log1p(-confidence);
  std::vector<double> bets(x.size());
  double sum = 0.5;
  double squares = 0.25;
  double variance = 0.25;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double t = static_cast<double>(i + 1);
    bets[i] = std::sqrt(2 * goal / (variance * t * std::log1p(t)));
    sum += x[i];
    const double center = sum / (t + 1);
    squares += (x[i] - center) * (x[i] - center);
    variance = squares / (t + 1);
  }
  return boundary(1.0, [&](double m) {
    if (m <= 0) return true;
    double wealth = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      wealth += std::log1p(std::min(bets[i], 0.5 / m) * (x[i] - m));
      if (wealth >= goal) return true;
    }
    return false;
  });
}

}  // namespace

base::Result<Estimate> beta_mixture(std::size_t successes, std::size_t n, double a, double b) {
  if (n == 0) return make_error(Code::kValue, "beta_mixture: n is 0, expected at least 1");
  if (successes > n)
    return make_error(Code::kValue,
                      fmt::format("beta_mixture: successes is {}, expected at most n = {}", successes, n));
  PL_CHECK(base::check_positive("beta_mixture", "a", a));
  PL_CHECK(base::check_positive("beta_mixture", "b", b));
  const auto k = static_cast<double>(successes);
  const auto size = static_cast<double>(n);
  Estimate estimate;
  estimate.value = k / size;
  estimate.n = estimate.n_effective = size;
  estimate.method = "beta mixture";
  estimate.anytime = true;
  estimate.assumptions = {"rows are independent", "the order of rows was not chosen after seeing them"};
  estimate.bounds = make_bounds([=](double c) { return std::optional(mixture_low(k, size, a, b, c)); },
                                [=](double c) { return std::optional(1 - mixture_low(size - k, size, b, a, c)); });
  return estimate;
}

base::Result<Estimate> betting(std::span<const double> values, double low, double high) {
  PL_CHECK(base::check_at_least("betting", "size of values", static_cast<std::ptrdiff_t>(values.size()), 1));
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) {
    return make_error(Code::kValue, fmt::format("betting: range [{}, {}] is empty or not finite", low, high));
  }
  for (const double v : values) PL_CHECK(base::check_in("betting", "values", v, low, high));
  std::vector<double> up(values.size());
  std::vector<double> down(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    up[i] = (values[i] - low) / (high - low);
    down[i] = 1 - up[i];
  }
  Estimate estimate;
  estimate.value = base::ordered_mean(values);
  estimate.n = estimate.n_effective = static_cast<double>(values.size());
  estimate.method = "betting";
  estimate.anytime = true;
  estimate.assumptions = {"rows are independent", "the order of rows was not chosen after seeing them",
                          fmt::format("values lie in [{}, {}]", low, high)};
  constexpr std::size_t kRungs = kLadder.size();
  PL_CHECK(base::parallel_for(2 * kRungs, [&](std::size_t task) -> base::Status {
    const std::size_t rung = task % kRungs;
    if (task < kRungs) {
      estimate.bounds.lower[rung] = low + (high - low) * betting_low(up, kLadder[rung]);
    } else {
      estimate.bounds.upper[rung] = high - (high - low) * betting_low(down, kLadder[rung]);
    }
    return base::ok();
  }));
  return estimate;
}

}  // namespace plumbline::stats

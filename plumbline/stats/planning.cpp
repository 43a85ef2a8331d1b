#include "plumbline/stats/planning.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

constexpr double kMost = 1e9;
// (1 - rate)^n meets 1 - c exactly for some round figures; the logarithms must not push it over by rounding.
constexpr double kSlack = 1e-9;

double power_of(double n, double truth, double threshold, double confidence) {
  const double tail = 1 - confidence;
  double low = 0, high = n + 1;  // smallest k whose lower bound reaches the threshold
  while (low < high) {
    const double k = std::floor((low + high) / 2);
    if (k > 0 && binomial_tail(k, n, threshold) <= tail * (1 + kSlack)) {
      high = k;
    } else {
      low = k + 1;
    }
  }
  const double support = low;
  low = -1, high = n;  // largest k whose upper bound stays at or below it
  while (low < high) {
    const double k = std::ceil((low + high) / 2);
    if (k < n && binomial_cdf(k, n, threshold) <= tail * (1 + kSlack)) {
      low = k;
    } else {
      high = k - 1;
    }
  }
  const double above = support > n ? 0 : truth >= 1 ? 1 : binomial_tail(support, n, truth);
  const double below = low < 0 ? 0 : truth <= 0 ? 1 : binomial_cdf(low, n, truth);
  return above + below;
}

SampleNeed exact_need(double truth, double threshold, double confidence, double power) {
  if (!(threshold > 0 && threshold < 1)) return {std::nullopt, "no sample bounds a share strictly beyond 0 or 1"};
  const double gap = std::abs(truth - threshold);
  double high = 1;
  while (power_of(high, truth, threshold, confidence) < power) {
    high *= 2;
    if (high > kMost)
      return {std::nullopt, fmt::format("the estimate is within {:.2g} of the threshold: more than 1e9 rows", gap)};
  }
  double low = high / 2;  // power(low) < power <= power(high), as if the saw-tooth were monotone
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (power_of(middle, truth, threshold, confidence) >= power ? high : low) = middle;
  }
  // Power falls back at every new critical count; an earlier tooth within a few counts may already reach the goal.
  const double window = std::min(20000.0, std::ceil(10 / gap + 10 / std::min(threshold, 1 - threshold)));
  for (double n = std::max(1.0, high - window); n < high; ++n) {
    if (power_of(n, truth, threshold, confidence) >= power) return {static_cast<std::size_t>(n), {}};
  }
  return {static_cast<std::size_t>(high), {}};
}

}  // namespace

base::Result<std::size_t> zero_failure_n(double rate, double confidence) { return tests_needed(0, rate, confidence); }

base::Result<std::size_t> tests_needed(std::size_t failures, double rate, double confidence) {
  PL_CHECK(base::check_in_open("tests_needed", "rate", rate, 0, 1));
  PL_CHECK(base::check_in_open("tests_needed", "confidence", confidence, 0, 1));
  const auto r = static_cast<double>(failures);
  auto enough = [&](double n) { return binomial_cdf(r, n, rate) <= (1 - confidence) * (1 + kSlack); };
  double low = r;
  double high = r + 1;
  while (!enough(high)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (enough(middle) ? high : low) = middle;
  }
  return static_cast<std::size_t>(high);
}

base::Result<double> settling_power(std::size_t n, double truth, double threshold, double confidence) {
  PL_CHECK(base::check_in("settling_power", "truth", truth, 0, 1));
  PL_CHECK(base::check_in_open("settling_power", "threshold", threshold, 0, 1));
  PL_CHECK(base::check_in_open("settling_power", "confidence", confidence, 0.5, 1));
  return power_of(static_cast<double>(n), truth, threshold, confidence);
}

SampleNeed needs_more(const Estimate& estimate, double threshold, double confidence, double power) {
  if (estimate.exactness != Exactness::kSampled)
    return {std::nullopt, "the figure is not sampled: more rows do not move it"};
  const auto rung = rung_at_or_above(confidence);
  if (!rung) return {std::nullopt, "ladder exhausted: no bound is held at this confidence"};
  const double gap = std::abs(estimate.value - threshold);
  if (!(gap > 0)) return {std::nullopt, "the estimate equals the threshold: no sample size settles it"};
  const double level = kLadder[*rung];
  if (estimate.method == "clopper-pearson") return exact_need(estimate.value, threshold, level, power);
  const auto bound = estimate.value > threshold ? estimate.bounds.lower[*rung] : estimate.bounds.upper[*rung];
  if (!bound) return {std::nullopt, fmt::format("no bound is held at confidence {}", level)};
  const double half = std::abs(estimate.value - *bound);
  if (!(half > 0) || !(estimate.n > 0)) return {std::nullopt, "the bound has no width to plan with"};
  const double ratio = half / gap * (1 + normal_quantile(power) / normal_quantile(level));
  const double n = std::ceil(estimate.n * ratio * ratio);
  if (n > kMost)
    return {std::nullopt, fmt::format("the estimate is within {:.2g} of the threshold: more than 1e9", gap)};
  return {static_cast<std::size_t>(n), {}};
}

SampleNeed needs_more_within(const Estimate& estimate, double low, double high, double confidence, double power) {
  if (estimate.value < low) return needs_more(estimate, low, confidence, power);
  if (estimate.value > high) return needs_more(estimate, high, confidence, power);
  const SampleNeed lower = needs_more(estimate, low, confidence, power);
  const SampleNeed upper = needs_more(estimate, high, confidence, power);
  if (!lower.n) return lower;
  if (!upper.n) return upper;
  return *lower.n >= *upper.n ? lower : upper;
}

base::Result<std::size_t> two_means_n(double difference, double deviation, double level, double power) {
  PL_CHECK(base::check_positive("two_means_n", "difference", difference));
  PL_CHECK(base::check_positive("two_means_n", "deviation", deviation));
  PL_CHECK(base::check_in_open("two_means_n", "level", level, 0, 1));
  PL_CHECK(base::check_in_open("two_means_n", "power", power, 0, 1));
  const double z = normal_quantile(1 - level / 2) + normal_quantile(power);
  const double ratio = deviation / difference;
  return static_cast<std::size_t>(std::ceil(2 * ratio * ratio * z * z)) + 1;
}

}  // namespace plumbline::stats

#include "plumbline/stats/change/odds_ratio.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

/// Hits in the second sample given all hits, at odds ratio 1; index 0 is the least possible number.
struct Conditional {
  std::vector<double> log_weight;
  std::size_t seen = 0;  ///< index of what was seen

  /// P(X >= seen) (upper) or P(X <= seen) at a log odds ratio.
  double tail(double log_ratio, bool upper) const {
    double largest = -INFINITY;
    for (std::size_t i = 0; i < log_weight.size(); ++i)
      largest = std::max(largest, log_weight[i] + static_cast<double>(i) * log_ratio);
    double all = 0, part = 0;
    for (std::size_t i = 0; i < log_weight.size(); ++i) {
      const double p = std::exp(log_weight[i] + static_cast<double>(i) * log_ratio - largest);
      all += p;
      if (upper ? i >= seen : i <= seen) part += p;
    }
    return part / all;
  }

  /// The log ratio at which the tail is 1 - confidence, by bisection: the tail is monotone in it.
  double bound(double confidence, bool lower) const {
    double low = -60, high = 60;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2;
      const bool small = tail(middle, lower) < 1 - confidence;
      (small == lower ? low : high) = middle;
    }
    return (low + high) / 2;
  }
};

}  // namespace

base::Result<Estimate> odds_ratio(std::size_t hits_first, std::size_t trials_first, std::size_t hits_second,
                                  std::size_t trials_second) {
  constexpr std::size_t kMost = 1000000;
  if (hits_first > trials_first || hits_second > trials_second || trials_first == 0 || trials_second == 0 ||
      trials_first + trials_second > kMost)
    return base::make_error(base::Code::kValue, fmt::format("odds_ratio: {} of {} and {} of {} cannot be compared",
                                                            hits_first, trials_first, hits_second, trials_second));
  const auto a = static_cast<double>(hits_first), n = static_cast<double>(trials_first);
  const auto b = static_cast<double>(hits_second), m = static_cast<double>(trials_second);
  Estimate e;
  e.n = e.n_effective = n + m;
  e.method = "odds ratio, exact given the hits";
  const double add = a == 0 || b == 0 || a == n || b == m ? 0.5 : 0;
  e.value = (b + add) / (m - b + add) / ((a + add) / (n - a + add));
  const double least = std::max(0.0, a + b - n), most = std::min(m, a + b);
  Conditional law;
  for (double x = least; x <= most; ++x) law.log_weight.push_back(log_choose(m, x) + log_choose(n, a + b - x));
  law.seen = static_cast<std::size_t>(b - least);
  if (least == most) return e;
  e.bounds = make_bounds(
      [&](double c) { return b > least ? std::optional(std::exp(law.bound(c, true))) : std::optional(0.0); },
      [&](double c) { return b < most ? std::optional(std::exp(law.bound(c, false))) : std::nullopt; });
  return e;
}

}  // namespace plumbline::stats

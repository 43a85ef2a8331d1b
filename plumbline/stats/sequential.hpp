#pragma once
/// Bounds that hold at every sample size at once: one may look after each row, and stop when one likes.

#include <cstddef>
#include <span>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// Share of successes, anytime-valid.
/// Formula   a lower bound at confidence 1 - d is the smallest m whose wealth stays below 1 / d, where the wealth
/// against
///           "p <= m" is the likelihood ratio mixed over p ~ Beta(a, b) restricted to p > m:
///           B(a + k, b + n - k) P(Beta(a + k, b + n - k) > m) / (B(a, b) P(Beta(a, b) > m) m^k (1 - m)^(n - k)).
///           It is a supermartingale under every p <= m; Ville's inequality gives the bound. Upper bounds by symmetry.
/// Errors    kValue: n = 0, successes > n, a or b not positive.
/// Returns   Estimate with anytime = true.
/// Assumes   rows are independent given the past success probability; the order was not chosen after seeing.
/// Cost      O(1) per rung. Deterministic.
/// Source    Robbins 1970 (mixtures); Howard, Ramdas, McAuliffe, Sekhon 2021.
base::Result<Estimate> beta_mixture(std::size_t successes, std::size_t n, double a = 1, double b = 1);

/// Mean of values in [low, high], anytime-valid: betting against each candidate mean m, bets set from the past alone.
/// Formula   values scaled to [0, 1]; wealth prod (1 + min(l_t, 1 / (2 m)) (x_t - m)),
///           l_t = sqrt(2 ln(1/d) / (v_{t-1} t ln(1 + t))), v the running variance with 1/4 as a start; the lower bound
///           is the smallest m that never reached wealth 1 / d. Upper bounds on 1 - x.
/// Shapes    values n, in the order in which they were drawn.
/// Errors    kShape: empty. kValue: low >= high, a value outside [low, high].
/// Returns   Estimate with anytime = true; adapts to small variance.
/// Cost      O(50 n) per rung and side, in parallel. Deterministic.
/// Source    Waudby-Smith and Ramdas 2024, the hedged capital process, each side alone.
base::Result<Estimate> betting(std::span<const double> values, double low = 0, double high = 1);

}  // namespace plumbline::stats

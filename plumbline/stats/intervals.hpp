#pragma once
/// Bounds for proportions and means: independent rows, rows that cluster in units, strata. Every function returns the
/// whole ladder of one-sided bounds.

#include <cstddef>
#include <cstdint>
#include <span>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// Share of successes, exact bounds: P(bound on the right side) >= c for every truth and n.
/// Errors    kValue: n = 0, successes > n.
/// Assumes   independent rows of equal success probability.
/// Cost      O(1) per rung. Deterministic.
/// Source    Clopper and Pearson 1934, by beta quantiles. The default for proportions.
base::Result<Estimate> clopper_pearson(std::size_t successes, std::size_t n);

/// The same figure with score bounds: shorter, covers about c on average over truths, less than c at some.
/// Source    Wilson 1927. One-sided score bounds.
base::Result<Estimate> wilson(std::size_t successes, std::size_t n);

/// Share of rows that hit, with the rows clustered in units (`units` empty: Clopper–Pearson).
/// What      ratio estimator with the variance between units; effective size n_eff = p (1 - p) / variance, at most n,
///           shrunk by (t(n-1) / t(G-1))^2, and Clopper–Pearson at n_eff. Where all rows agree, n_eff = number of
///           units.
/// Shapes    hits n (0 or 1), units n or empty.
/// Errors    kShape: no rows, sizes differ. kValue: a hit other than 0 or 1, fewer than 2 units.
/// Outcome   with fewer than 10 units, a warning.
/// Assumes   units independent, drawn alike.
/// Source    Korn and Graubard 1998.
base::Result<Estimate> proportion(std::span<const std::uint8_t> hits, std::span<const int> units = {});

/// Mean of rows. Independent rows: Student's t. Units: ratio estimator, variance between units with the factor
/// G / (G - 1), t with G - 1 degrees of freedom.
/// Errors    kShape: fewer than 2 rows (2 units), sizes differ. kValue: non-finite value.
/// Outcome   all values equal: no bounds, with a warning, since the sample shows no spread to bound the mean with.
///           Fewer than 30 units: a warning that the bounds lean on a normal mean.
base::Result<Estimate> mean(std::span<const double> values, std::span<const int> units = {});

/// Mean over strata of known shares: sum_h share_h mean_h, variance sum share^2 s_h^2 / n_h, t with Welch–Satterthwaite
/// degrees of freedom.
/// Shapes    strata n, values in [0, H); shares H, non-negative, sum 1 (to 1e-9); empty = observed shares.
/// Errors    kShape: sizes differ, a stratum of positive share with fewer than 2 rows. kValue: shares, non-finite
/// value.
base::Result<Estimate> stratified_mean(std::span<const double> values, std::span<const int> strata,
                                       std::span<const double> shares = {});

/// Mean of values that cannot leave [low, high]; bounds hold for every such law and every n >= 2.
/// Formula   mean -+ (sqrt(2 V ln(2/d) / n) + 7 (high - low) ln(2/d) / (3 (n - 1))), V the unbiased variance, d = 1 -
/// c;
///           cut to [low, high].
/// Errors    kShape: n < 2. kValue: low >= high, a value outside [low, high].
/// Source    Maurer and Pontil 2009, theorem 4.
base::Result<Estimate> empirical_bernstein(std::span<const double> values, double low, double high);

/// A difference with the p-value of "there is none".
struct Comparison {
  Estimate difference;
  double p_value = 1;  ///< two-sided; NaN where the samples show no spread
};

/// Difference of two independent means a - b: Welch's t over rows, or over unit totals (ratio estimators) where units
/// are given. This is the comparison of two arms that Plumbline itself uses. Shapes    units of each arm empty or of
/// the arm's size; an id that occurs in both arms is two units. Errors    as `mean`, for either arm. Outcome: no spread
/// in either arm gives no bounds, with a warning. Source    Welch 1947; Satterthwaite 1946.
base::Result<Comparison> compare_means(std::span<const double> a, std::span<const double> b,
                                       std::span<const int> units_a = {}, std::span<const int> units_b = {});
base::Result<Estimate> difference_of_means(std::span<const double> a, std::span<const double> b,
                                           std::span<const int> units_a = {}, std::span<const int> units_b = {});

}  // namespace plumbline::stats

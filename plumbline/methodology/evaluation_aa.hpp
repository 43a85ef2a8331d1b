#pragma once
/// The evaluation put to the test of telling a system from itself.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/hypothesis.hpp"

namespace plumbline::methodology {

struct AaOptions {
  std::size_t splits = 400;
  double level = 0.05;         ///< of the comparison under test
  double region_share = 0.99;  ///< of the exact region for the count of false alarms
  base::CancelToken cancel{};
};

struct AaResult {
  std::vector<double> p_values;  ///< of each split
  std::size_t split_units = 0;
  stats::Uniformity uniformity;      ///< count against its exact region, discrete-aware distance
  stats::Estimate false_alarm_rate;  ///< share of splits with p <= level; sampling unit: split
  stats::Estimate distance;          ///< of the p-values from the uniform law, in [0, 1]; sampling unit: split
};

/// Does the evaluation's own comparison of two arms stay quiet when both arms are the same system?
/// What      The split units are dealt at random into two halves, `splits` times over; each time the comparison that
///           Plumbline uses for two arms (stats::compare_means, clustered by the units that the evaluation declares)
///           tests the difference of the halves. Its p-values should be uniform. They are not when rows that belong
///           together are compared as if they were independent (50 items stored 5 times, taken for 250 rows, give a
///           false alarm in more than a quarter of the splits).
/// Shapes    scores n (1 = right, 0 = wrong, or any per-row figure); split_units n: what really belongs together
///           (content_units.hpp); compare_units n, or empty when the evaluation declares none.
/// Returns   bounds over the splits: Clopper–Pearson for the share; Dvoretzky–Kiefer–Wolfowitz for the distance (upper
///           bounds use the ordinary Kolmogorov distance, which is never below the discrete-aware one).
/// Assumes   nothing about the rows: given the rows, splits are independent by construction. The figures are about the
///           comparison on rows like these, not about the system.
/// Errors    kShape: sizes differ. kValue: non-finite score, fewer than 20 split units, splits < 100, level or share
///           outside (0, 1). kCancelled.
/// Outcome   a split whose halves show no spread at all and no difference counts as p = 1.
/// Cost      O(splits x n), parallel; split i draws from rng.fork(i): same seed, same bits for any number of threads.
/// Source    Kohavi, Tang, Xu 2020, chapter 19 (A/A tests); Massart 1990 for the constant of the distance's bound.
base::Result<AaResult> evaluation_aa(std::span<const double> scores, std::span<const int> split_units,
                                     std::span<const int> compare_units, const AaOptions& options,
                                     const base::Rng& rng);

}  // namespace plumbline::methodology

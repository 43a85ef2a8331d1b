#pragma once
/// How many samples: exact for proportions, by the normal law for other figures.

#include <cstddef>
#include <optional>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// Smallest n at which n clean tests show, at the confidence, a failure rate below `rate`: (1 - rate)^n <= 1 - c.
/// 29, 299, 2995, 29956 for rates 0.1, 0.01, 0.001, 0.0001 at 0.95.
/// Errors kValue: rate or confidence outside (0, 1).
base::Result<std::size_t> zero_failure_n(double rate, double confidence);

/// Smallest n at which `failures` failures among n still show a rate below `rate` (Clopper–Pearson upper bound).
/// 299, 473, 628, 773 for 0, 1, 2, 3 failures, rate 0.01, confidence 0.95. Errors as zero_failure_n.
base::Result<std::size_t> tests_needed(std::size_t failures, double rate, double confidence);

/// Probability that Clopper–Pearson bounds of n rows settle a claim about `threshold` (lie on one side of it) when the
/// true share is `truth`. Exact. Errors kValue: an argument outside its range.
base::Result<double> settling_power(std::size_t n, double truth, double threshold, double confidence);

/// An answer, or the reason why there is none.
struct SampleNeed {
  std::optional<std::size_t> n;  ///< total size, not additional rows
  std::string reason;            ///< empty with an answer
};

/// Smallest n (in the units of estimate.n) at which a claim about `threshold` would be settled, for or against, with
/// probability `power` if the truth equals the estimate.
/// What      Clopper–Pearson estimates: exact binomial power (the smallest n of its saw-tooth). Others: the bound's
///           distance shrinks with 1 / sqrt(n) and the estimate is normal.
/// Outcome   none, with the reason: exact or proved figures, estimate equal to the threshold, no bound at this
///           confidence, more than 10^9 needed.
SampleNeed needs_more(const Estimate& estimate, double threshold, double confidence, double power = 0.8);
/// For a claim `within [low, high]`: inside, the larger need of the two edges; outside, that of the violated edge.
SampleNeed needs_more_within(const Estimate& estimate, double low, double high, double confidence, double power = 0.8);

/// n for a two-sided comparison of two means a given difference apart, per arm: 2 (s / difference)^2 (z + z)^2, rounded
/// up with one added for the estimated deviation. Errors kValue: deviation or difference not positive.
base::Result<std::size_t> two_means_n(double difference, double deviation, double level = 0.05, double power = 0.8);

}  // namespace plumbline::stats

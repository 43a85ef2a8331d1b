#pragma once
/// The odds ratio of two shares, exactly.

#include <cstddef>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// Odds of a hit in the second sample over those in the first.
/// Value   the sample's odds ratio; with a half added to every count where one of the four is 0.
/// Bounds  exact given the total of hits (Fisher's noncentral hypergeometric law): the ratio at which the tail beyond
/// what was
///         seen has probability 1 - c. Empty where no ratio is too small (no hit in the second sample …) or too large.
/// Errors  kValue: more hits than trials, no trials in a sample, more than 10^6 trials.
/// Cost    O(trials) a step, about 50 steps a bound. Deterministic.
/// Source  Cornfield 1956; Fisher 1935.
base::Result<Estimate> odds_ratio(std::size_t hits_first, std::size_t trials_first, std::size_t hits_second,
                                  std::size_t trials_second);

}  // namespace plumbline::stats

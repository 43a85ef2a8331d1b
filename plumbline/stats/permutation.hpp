#pragma once
/// Tests that compare a statistic with its values under relabelling. Exact where all relabellings can be listed; else
/// p = (1 + k) / (1 + B) with B random ones, which never falls below the truth's level (Phipson and Smyth 2010).

#include <cstddef>
#include <functional>
#include <span>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/hypothesis.hpp"

namespace plumbline::stats {

struct PermutationOptions {
  std::size_t permutations = 999;
  std::size_t exact_limit = 20000;  ///< list all relabellings when there are at most this many
  Tail tail = Tail::kTwoSided;
  base::CancelToken cancel{};
};

/// (1 + k) / (1 + B).
double permutation_p(std::size_t at_least_as_extreme, std::size_t permutations);

/// Difference of means of two independent samples (a minus b) under all ways to relabel the pooled rows.
/// Errors    kShape: a sample is empty. kValue: non-finite value, permutations = 0. kCancelled.
/// Cost      O(B n). Replicate i draws from rng.fork(i): same seed, same bits for any number of threads.
base::Result<TestResult> permutation_test(std::span<const double> a, std::span<const double> b,
                                          const PermutationOptions& options, const base::Rng& rng);

/// Mean of paired differences under all changes of sign.
base::Result<TestResult> sign_flip_test(std::span<const double> differences, const PermutationOptions& options,
                                        const base::Rng& rng);

/// Any statistic: `draw(stream)` returns its value under one random relabelling; large values count against the null
/// (kGreater), small ones (kLess), or both tails doubled (kTwoSided). Never exact. `draw` must be thread-safe.
base::Result<TestResult> permutation_test(double observed, const std::function<double(base::Rng&)>& draw,
                                          const PermutationOptions& options, const base::Rng& rng);

}  // namespace plumbline::stats

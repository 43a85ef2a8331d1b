#pragma once
/// How much testing is enough, and what it may have missed.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::methodology {

struct AdequacyOptions {
  double target_rate = 0.01;  ///< the failure rate that the tests are meant to exclude
  double confidence = 0.95;
};

/// Failures of one kind: rows of a class taken for another.
struct FailureType {
  int label = 0;
  int predicted = 0;
  std::size_t rows = 0;
};

struct Adequacy {
  std::size_t units = 0;         ///< independent tests
  std::size_t failed_units = 0;  ///< with at least one failing row
  stats::Estimate failure_rate;  ///< share of units that fail
  stats::Estimate
      failure_rate_anytime;      ///< the same with bounds that hold however often one looks and whenever one stops
  std::size_t units_needed = 0;  ///< that still show a rate below the target, given the failures seen
  std::size_t units_needed_clean = 0;  ///< the same without a failure
  stats::Estimate size_ratio;          ///< exact: units / units_needed; at least 1 exactly when the target is shown

  std::vector<FailureType> types;  ///< most frequent first
  std::size_t singletons = 0;      ///< types seen in one unit only
  /// Probability that the next unit fails in a way not seen yet.
  stats::Estimate unseen_mass;

  int smallest_class = -1;               ///< label with the fewest units
  stats::Estimate smallest_class_units;  ///< exact
};

/// Were there enough tests to exclude a failure rate of `target_rate`, and which kinds of failure may be missing?
/// Formula   failure_rate: Clopper–Pearson on units (a unit fails when one of its rows does), which is exact;
///           failure_rate_anytime: the beta mixture (stats/sequential.hpp), for tests collected until satisfied.
///           units_needed: smallest n with P(Binomial(n, target) <= failed units) <= 1 - c (29, 299, 2995, 29956 clean
///           tests for 0.1, 0.01, 0.001, 0.0001 at 0.95; 473, 628, 773 with 1, 2, 3 failures at 0.01).
///           unseen_mass: Good–Turing, singletons / units, a type being the pair (label, predicted label). Upper
///           bounds: units of one random half that fail in a way the other half does not show are Binomial given that
///           other half, and what all units leave unseen is at most what half of them does; so Clopper–Pearson on that
///           count bounds the unseen mass exactly. Lower bounds are 0: no sample shows that an unseen kind exists.
/// Shapes    labels, predicted: n, values >= 0; units n, or empty when rows are independent.
/// Errors    kShape: n = 0, sizes differ. kValue: negative label, target or confidence outside (0, 1).
/// Outcome   one unit: unseen_mass has no bounds, with a warning.
/// Assumes   units are drawn independently from the distribution that the claim is about. Nothing is said about
/// another. Cost      O(n log n). The random half draws from rng: same seed, same bits. Source    Clopper and Pearson
/// 1934; Good 1953.
base::Result<Adequacy> assess_adequacy(std::span<const int> labels, std::span<const int> predicted,
                                       std::span<const int> units, const AdequacyOptions& options,
                                       const base::Rng& rng);

}  // namespace plumbline::methodology

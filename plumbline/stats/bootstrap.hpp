#pragma once
/// Bootstrap of any statistic of sampling units. Bits depend on the seed alone: replicate i draws from rng.fork(i).

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

enum class BootstrapKind {
  kPercentile,
  kBca,  ///< bias corrected and accelerated: second-order accurate; needs a jackknife
};

struct BootstrapOptions {
  std::size_t replicates = 2000;
  BootstrapKind kind = BootstrapKind::kBca;
  std::vector<int> strata{};  ///< of each unit: units are drawn within their stratum; empty = one stratum
  std::optional<std::pair<double, double>> range{};  ///< bounds are cut to it
  std::string unit_of_sampling = "row";
  base::CancelToken cancel{};
};

/// The statistic of the units named (ascending within a stratum, with repetition). Must be pure and thread-safe; NaN
/// where it is not defined for that resample (one class only, for example).
using UnitStatistic = std::function<double(std::span<const std::size_t> sampled_units)>;

/// Bounds of statistic(all units) by resampling units. To cluster, let a unit stand for all of its rows
/// (descriptive.hpp, group_units); to stratify, give options.strata.
/// Formula   percentile: the (1 - c) and c quantiles of the replicates. BCa: Efron 1987, with the delete-one jackknife
///           (delete-a-group with 200 random groups above 400 units) for the acceleration.
/// Errors    kValue: fewer than 10 units (percentile bounds of a mean cover 0.75 at 3 and 0.83 at 5 where 0.95 is
///           stated), replicates < 100, the statistic of all units is not finite. kShape: strata of another size.
///           kCancelled.
/// Outcome   rungs with fewer than two replicates beyond them are empty (2000 replicates reach 0.999); no bounds at
/// all,
///           with a warning, when more than 5 % of the resamples leave the statistic undefined or all replicates agree.
///           Below 50 units a warning states the coverage measured for a mean.
/// Cost      replicates x one statistic, plus up to 400 for the jackknife; parallel. Same seed, same bits.
/// Source    Efron and Tibshirani 1993, chapters 13 and 14.
base::Result<Estimate> bootstrap(std::size_t units, const UnitStatistic& statistic, const BootstrapOptions& options,
                                 const base::Rng& rng);

/// The same for a statistic that depends only on how many units of each kind there are: counts[k] units of kind k. A
/// resample is a multinomial draw, so that the cost does not grow with the number of units.
/// Errors as bootstrap; kValue also: strata, or bounds other than percentile. Cost replicates x kinds. Same seed, same
/// bits.
using KindStatistic = std::function<double(std::span<const std::size_t> counts)>;
base::Result<Estimate> bootstrap_kinds(std::span<const std::size_t> counts, const KindStatistic& statistic,
                                       const BootstrapOptions& options, const base::Rng& rng);

/// Mean of rows by bootstrap over units (`units` empty: rows). The mean is the ratio of totals.
base::Result<Estimate> bootstrap_mean(std::span<const double> values, std::span<const int> units,
                                      const BootstrapOptions& options, const base::Rng& rng);
/// Mean of a - b over the same rows. Errors also kShape: sizes differ.
base::Result<Estimate> bootstrap_paired_difference(std::span<const double> a, std::span<const double> b,
                                                   std::span<const int> units, const BootstrapOptions& options,
                                                   const base::Rng& rng);

/// Coverage of the two-sided 0.95 interval for the mean of n normal values, as measured (bootstrap_test.cpp compares);
/// interpolated in 1/n. For warnings. Precondition: n >= 3.
double measured_coverage(BootstrapKind kind, std::size_t units);

}  // namespace plumbline::stats

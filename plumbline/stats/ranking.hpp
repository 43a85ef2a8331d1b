#pragma once
/// How well a score separates two groups. Positives are the cases that should score high.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// P(positive > negative) + P(equal) / 2 over all pairs: the Mann–Whitney figure, by midranks.
/// Errors    kShape: a group is empty. kValue: NaN or infinite score.
/// Cost      O(n log n). Deterministic; order of rows is irrelevant.
base::Result<double> auroc_value(std::span<const double> positives, std::span<const double> negatives);

enum class AurocScale {
  kLogit,  ///< normal bounds on log(a / (1 - a)): stay inside (0, 1), better near 1
  kPlain,  ///< normal bounds on a, cut to [0, 1]
};
struct AurocOptions {
  AurocScale scale = AurocScale::kLogit;
  std::span<const int> positive_units{};  ///< both or none; the same id in both groups is the same unit
  std::span<const int> negative_units{};
};

/// AUROC with bounds from the placement values.
/// Formula   var = S10 / m + S01 / n, S the variances of the placement values; with units, the variance of their sums.
/// Errors    as auroc_value; kShape: fewer than 2 of a group, units of another size, fewer than 2 units.
/// Outcome   perfect separation (0 or 1) or no spread: exact bounds from min(m, n) disjoint pairs (of units), since
///           the normal law has nothing to go by. Fewer than 10 of a group: a warning.
/// Cost      O(n log n). Deterministic.
/// Source    DeLong, DeLong, Clarke-Pearson 1988; fast algorithm Sun and Xu 2014; units: Obuchowski 1997.
base::Result<Estimate> auroc(std::span<const double> positives, std::span<const double> negatives,
                             const AurocOptions& options = {});

/// AUROC of score a minus AUROC of score b on the same cases, DeLong's paired variance; normal bounds.
/// Errors    as auroc; kShape: the two scores differ in size. Outcome: no spread gives no bounds, with a warning.
base::Result<Estimate> auroc_difference(std::span<const double> positives_a, std::span<const double> negatives_a,
                                        std::span<const double> positives_b, std::span<const double> negatives_b,
                                        const AurocOptions& options = {});

/// Share of negatives at or above the threshold that keeps a share `tpr` of the positives at or above it.
/// Value     threshold = the (floor((1 - tpr) m) + 1)-th smallest positive.
/// Bounds    exact for every n and any laws, ties included: half of the error goes to the threshold (binomial bounds
///           on the rank of the true quantile), half to Clopper–Pearson on the negatives at that rank's value. A rung
///           whose rank falls off the sample is bounded by 0 or 1. No bootstrap.
/// Errors    kShape: a group is empty. kValue: tpr outside (0, 1), non-finite score.
/// Cost      O(n log n). Deterministic.
base::Result<Estimate> fpr_at_tpr(std::span<const double> positives, std::span<const double> negatives,
                                  double tpr = 0.95);
/// The same with rows clustered in units: BCa bootstrap over units (percentile where BCa is not defined).
/// `positive_units` and `negative_units` as in AurocOptions.
base::Result<Estimate> fpr_at_tpr_clustered(std::span<const double> positives, std::span<const double> negatives,
                                            std::span<const int> positive_units, std::span<const int> negative_units,
                                            double tpr, const BootstrapOptions& options, const base::Rng& rng);

struct RocPoint {
  double threshold = 0;  ///< scores at or above it count as positive
  double fpr = 0;
  double tpr = 0;
  double fpr_low = 0, fpr_high = 0;  ///< Clopper–Pearson at the two-sided level, pointwise
  double tpr_low = 0, tpr_high = 0;
};
/// The ROC curve at most `points` thresholds (all distinct scores where there are fewer), evenly spaced along the
/// curve, from (0, 0) (threshold +infinity) to (1, 1). The band is pointwise: each point's two intervals hold at
/// `level` each.
base::Result<std::vector<RocPoint>> roc_curve(std::span<const double> positives, std::span<const double> negatives,
                                              std::size_t points = 200, double level = 0.95);

/// Area under precision and recall as average precision: sum of precision x gain in recall over distinct scores.
/// Its chance level is the share of positives. Errors as auroc_value.
base::Result<double> average_precision_value(std::span<const double> positives, std::span<const double> negatives);
/// With bounds by bootstrap within the two groups.
base::Result<Estimate> average_precision(std::span<const double> positives, std::span<const double> negatives,
                                         const BootstrapOptions& options, const base::Rng& rng);

}  // namespace plumbline::stats

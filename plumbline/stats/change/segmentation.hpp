#pragma once
/// A series cut into parts of one law each, over the whole of it: what minimises costs plus a penalty for every change.

#include <cstddef>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/change/cost.hpp"

namespace plumbline::stats {

struct Segmentation {
  std::vector<std::size_t> changes;  ///< first points of new parts, ascending
  double cost = 0;                   ///< of all parts
  double objective = 0;              ///< cost + penalty x changes
};

/// The penalty of Schwarz's criterion for one more part: (parameters + 1) log n, the one being its place.
double schwarz_penalty(const SegmentCost& cost);
/// That of the modified criterion (Zhang and Siegmund 2007) for mean_cost with its length_term: 3 log n.
double modified_penalty(const SegmentCost& cost);

/// The best segmentation, by pruned dynamic programming (PELT): F(t) = min over s of F(s) + cost(s, t) + penalty; s is
/// dropped once F(s) + cost(s, t) - slack >= F(t), for ends that t itself can precede (shortest() points on). Exact:
/// the objective is optimal_partition's; among equals the earliest last change is taken, which may be another than
/// there. Errors  kValue: penalty negative or not finite. kShape: fewer points than shortest(). kCancelled. Cost O(n)
/// costs where changes keep coming as n grows, O(n^2) where there are none. Source  Killick, Fearnhead and Eckley 2012;
/// Jackson et al. 2005.
base::Result<Segmentation> pelt(const SegmentCost& cost, double penalty, const base::CancelToken& cancel = {});
/// The same without pruning: O(n^2). The reference.
base::Result<Segmentation> optimal_partition(const SegmentCost& cost, double penalty,
                                             const base::CancelToken& cancel = {});

/// The best segmentation with exactly k changes for k = 0 … most (fewer where the parts would be too short). O(most
/// n^2). Source  Auger and Lawrence 1989.
base::Result<std::vector<Segmentation>> best_segmentations(const SegmentCost& cost, std::size_t most,
                                                           const base::CancelToken& cancel = {});

/// Greedy: again and again the cut that lowers the cost most, while that is more than the penalty; at most `most` cuts.
/// Not exact. Cost    O(n) costs a level. Source: Scott and Knott 1974.
base::Result<Segmentation> binary_segmentation(const SegmentCost& cost, double penalty, std::size_t most = 1000,
                                               const base::CancelToken& cancel = {});

}  // namespace plumbline::stats

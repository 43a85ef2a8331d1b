#pragma once
/// How well changes that a method found agree with those that people marked.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::stats {

using ChangeList = std::vector<std::size_t>;

struct Agreement {
  double f1 = 0;         ///< with a margin in points
  double precision = 0;  ///< share of found ones near one that any annotator marked
  double recall = 0;     ///< share of marked ones near a found one, mean over annotators
  double covering = 0;   ///< mean over annotators of the length-weighted best overlap (Jaccard) of their parts
};

/// The start, 0, counts as marked and as found, so that "no change" can be right. A found change serves one marked
/// change, the closest first in the order of places. Errors  kShape: no annotator, or n = 0. kValue: a place >= n.
/// Source  van den Burg and Williams 2020, section 4.1.
base::Result<Agreement> agreement(std::span<const ChangeList> annotators, const ChangeList& found, std::size_t n,
                                  std::size_t margin = 5);

}  // namespace plumbline::stats

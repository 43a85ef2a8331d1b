#pragma once
/// Rows that are copies of each other: what else must stay together when rows are dealt out, beside the declared units.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::methodology {

/// When equal inputs count as one case.
enum class Merge {
  kAuto,  ///< where coincidence is implausible: see content_units
  kAlways,
  kNever,
};
base::Result<Merge> parse_merge(std::string_view word);

struct ContentUnits {
  std::vector<int> unit_of_row;  ///< 0, 1, … in order of first appearance; connected through content or declared unit
  std::size_t units = 0;
  std::size_t distinct_inputs = 0;  ///< rows left when equal inputs are counted once
  std::size_t copied_rows = 0;      ///< rows whose input occurs more than once
  bool merged = false;              ///< equal inputs were joined
  std::string reason;               ///< why they were, or were not
};

/// Which rows of a set must be taken for one case?
/// What      rows of equal input bytes (images), values (matrix, table; missing equals missing) are joined, and rows of
///           one declared unit; the result is the connected parts of both relations.
/// Merge     kAuto joins equal inputs of images, of rows with more than 30 columns, and of rows where some column takes
///           nearly as many values as there are distinct rows (0.9 of them); few coarse columns coincide by chance.
/// Errors    kShape: no rows, units of another size.
/// Cost      O(n d) hashing (SHA-256, so distinct inputs are never joined). Deterministic.
base::Result<ContentUnits> content_units(const data::Dataset& dataset, Merge merge = Merge::kAuto);

}  // namespace plumbline::methodology

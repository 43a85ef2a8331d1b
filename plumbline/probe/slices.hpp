#pragma once
/// Where does a classifier fail more often than elsewhere? Slices are conjunctions of at most two predicates on
/// metadata, found on one half of the sampling units and estimated on the other, so that finding them does not flatter
/// them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::probe {

/// One way to divide rows: every row has one value, or none.
struct SliceColumn {
  std::string name;
  std::vector<std::string> values;  ///< predicate texts: "sex=Female", "age in [28, 37)"
  std::vector<int> codes;           ///< n, index into values, -1 = missing
  bool declared = false;            ///< values do not depend on the rows judged: categories, not quantiles
};

/// Columns of a table as predicates: categories by level, numbers with at most `few` distinct values by value, other
/// numbers by quartile of the rows given, free text left out. Columns with more than `most_levels` levels are left out.
/// Cost O(n log n) a column. Deterministic.
std::vector<SliceColumn> slice_columns(const data::Table& table, int few = 8, int most_levels = 50);

/// Plain figures of each image, as a table of numbers that slice_columns cuts into quartiles: "brightness" (mean byte /
/// 255), "contrast" (deviation), "ink" (share of pixels nearer to the image's brightest than to its darkest value, or
/// the reverse, whichever is rarer), "extent" (side of the ink's bounding box over the image's), "offset" (distance of
/// the ink's centre from the middle over half the diagonal). Channels are averaged.
data::Table image_features(const data::Images& images);

/// k-means on rows (k-means++ start, Lloyd, at most 50 rounds): the cluster of each row as a column "cluster".
/// Errors    kShape: fewer rows than clusters. kValue: clusters < 2, non-finite entry.
/// Cost      O(n d k) a round. Random only through rng; same seed, same bits.
base::Result<SliceColumn> cluster_column(MatrixRefD rows, int clusters, const base::Rng& rng);

struct Slice {
  std::string name;  ///< predicates joined by " & "
  std::vector<std::string> predicates;
  bool declared = false;                 ///< one predicate of a declared column
  double p_found = 1;                    ///< hypergeometric, on the half that was searched
  double q_found = 1;                    ///< Benjamini–Hochberg over every candidate tested
  double p_confirmed = 1;                ///< hypergeometric, on the other half
  bool confirmed = false;                ///< Benjamini–Hochberg over the slices found, at options.level
  std::vector<std::size_t> rows;         ///< all rows of the slice, both halves
  std::vector<std::size_t> judged_rows;  ///< those in the half that estimates
  stats::Estimate error;                 ///< share of errors in the slice, estimating half only
  stats::Estimate lift;                  ///< error in the slice less error outside of it, estimating half only
};

struct SliceOptions {
  double level = 0.05;          ///< false discovery rate
  std::size_t least_rows = 20;  ///< in each half
  std::size_t most = 10;        ///< slices returned
  std::size_t most_candidates = 200000;
};

struct SliceReport {
  std::vector<Slice> found;       ///< strongest first
  std::size_t candidates = 0;     ///< tested
  std::size_t searched_rows = 0;  ///< size of each half
  std::size_t judged_rows = 0;
  std::size_t left_out = 0;  ///< pairs of predicates not tested because of most_candidates
};

/// Question  which describable rows are predicted worse than the rest?
/// Formula   units are cut into two halves at random. On the first: every predicate and pair of predicates of different
///           columns with least_rows rows; P(at least that many errors) by the hypergeometric law given the half's
///           errors; Benjamini–Hochberg. A pair is kept only if it is worse, at level / 10, than each of its two
///           predicates alone; strongest first, a slice is dropped unless the rows that stronger ones leave it are
///           still worse than the rest, at level / 10. On the second half: error rate, lift and the same test again.
/// Bounds    error: exact; lift: difference of the exact bounds inside and outside, each at half the error.
/// Shapes    columns of n codes, wrong n (1 = error), units n or empty.
/// Assumes   independent units. With units the counts of the tests are scaled down to the number of units.
/// Errors    kShape: no row, sizes differ. kValue: wrong other than 0 or 1, level outside (0, 1).
/// Outcome   nothing found is an empty list; candidates says how much was looked at.
/// Cost      O(candidates n / 64). Random only through rng (the halves); same seed, same bits.
/// Source    Benjamini and Hochberg 1995; sample splitting: Cox 1975.
base::Result<SliceReport> discover_slices(std::span<const SliceColumn> columns, std::span<const std::uint8_t> wrong,
                                          std::span<const int> units, const SliceOptions& options,
                                          const base::Rng& rng);

/// Error rate and lift of rows named in advance, over all rows. `member` n of 0 or 1.
struct SliceEstimate {
  stats::Estimate error;
  stats::Estimate lift;
};
/// Errors kShape: sizes differ; kValue: no member row, or every row a member.
base::Result<SliceEstimate> estimate_slice(std::span<const std::uint8_t> member, std::span<const std::uint8_t> wrong,
                                           std::span<const int> units);

/// P(X >= hits) for X hypergeometric: `drawn` rows from `rows`, of which `bad` are errors.
double hypergeometric_tail(std::size_t hits, std::size_t drawn, std::size_t bad, std::size_t rows);

}  // namespace plumbline::probe

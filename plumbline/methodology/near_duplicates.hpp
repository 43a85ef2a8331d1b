#pragma once
/// The most similar reference item of each query, for images, rows of numbers and texts: fast descriptors select
/// candidates in float, an exact figure in double decides among them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::methodology {

struct NearMatch {
  std::ptrdiff_t row = -1;  ///< of the reference; -1 = no candidate at all
  double similarity = 0;    ///< 1 = the same up to what the measure forgives
  double surround = 0;      ///< images: similarity of the fourth most similar item, how alike separate items are there
};

struct NearOptions {
  /// A query never matches a reference row of its own group; both empty = every row may match every query.
  std::vector<int> reference_groups{};
  std::vector<int> query_groups{};
  int candidates = 8;  ///< verified exactly for each query and descriptor
  int shift = 2;       ///< images: largest shift in pixels that is forgiven; an eighth of a side at most counts
  base::CancelToken cancel{};
};

/// What      images: 1 - the part of the variance of one image that the other, laid over it, does not explain. The
///           alignment is that of the largest correlation: moved by up to `shift` pixels, or, from `shift` 1 on, one
///           image an enlarged part of the other with one or (2) two pixels less on each side. There the window inside
///           all shifts is explained by the best straight map of grey levels, corrected in 18 ranges of levels, in the
///           better of both directions; of what is left the structure counts (the mean product of neighbouring pixels)
///           and the rest by a twentieth. So brightness, contrast, clipping and fine noise cost little, another
///           drawing of the same thing costs much. Images with a side above 32 are first reduced by area average;
///           colours are averaged.
/// How       candidates: 20 low cosine waves of the window, of length 1, of the query under every alignment; the
///           reference is parted into cells of similar waves and the three nearest cells are searched. The candidates'
///           alignment is chosen in float, the figure is computed in double.
/// Returns   one match a query, similarity in [0, 1 - 1e-5]. Equal similarities: the smaller row.
/// Errors    kShape: no image, or sizes differ between the two. kValue: shift outside [0, 8], candidates < 1.
/// kCancelled.
/// Cost      O(alignments x queries x (reference / 85 + 1500) x 20) multiplications in float. Deterministic for any
/// number of threads.
base::Result<std::vector<NearMatch>> nearest_images(const data::Images& reference, const data::Images& queries,
                                                    const NearOptions& options = {});

/// What      rows of numbers on comparable scales: similarity 1 / (1 + distance), distance = root of the summed
/// squares. How       candidates by float products of the rows (of their 64 principal components where there are more
/// columns). Errors    kShape: no row, columns differ. kValue: non-finite entry, candidates < 1. kCancelled.
base::Result<std::vector<NearMatch>> nearest_rows(MatrixRefF reference, MatrixRefF queries,
                                                  const NearOptions& options = {});

/// What      texts: Jaccard similarity of their sets of words (lower case, letters and digits).
/// How       candidates share the query's rarest words; those that share most are verified exactly.
/// Errors    kShape: no text. kValue: candidates < 1. kCancelled.
base::Result<std::vector<NearMatch>> nearest_texts(std::span<const std::string> reference,
                                                   std::span<const std::string> queries,
                                                   const NearOptions& options = {});

/// Words of a text as nearest_texts sees them: lower-case runs of letters, digits, apostrophes and bytes above 127.
std::vector<std::string> words_of(const std::string& text);

namespace detail {
/// The errors about `options` that all three share.
base::Status check_near_options(const char* function, const NearOptions& options, std::size_t reference,
                                std::size_t queries);
}  // namespace detail

}  // namespace plumbline::methodology

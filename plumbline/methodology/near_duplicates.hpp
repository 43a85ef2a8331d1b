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
};

struct NearOptions {
  /// A query never matches a reference row of its own group; both empty = every row may match every query.
  std::vector<int> reference_groups{};
  std::vector<int> query_groups{};
  int candidates = 8;  ///< verified exactly for each query and descriptor
  int shift = 2;       ///< images: largest shift in pixels, each way, that is forgiven
  base::CancelToken cancel{};
};

/// What      images: the largest correlation of grey values over all shifts of at most `shift` pixels, on the part
/// where both
///           overlap. Forgives shifts and any linear change of brightness and contrast. Images with a side above 32 are
///           first reduced by area average; colours are averaged.
/// How       candidates by the low frequencies of the Fourier magnitude (which a shift does not change), of the image
///           as it is and of the image faded towards its border, each scaled to length 1; sums of the verified
///           correlation are exact integers.
/// Returns   one match a query, similarity in [-1, 1]. Equal similarities: the smaller row.
/// Errors    kShape: no image, or sizes differ between the two. kValue: shift outside [0, 8], candidates < 1.
/// kCancelled. Cost      O(queries x reference x 120) multiplications in float. Deterministic for any number of
/// threads.
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

}  // namespace plumbline::methodology

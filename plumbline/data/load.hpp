#pragma once
/// Loads the data sets that a manifest names.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/kinds.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/stats/matrix_fwd.hpp"

namespace plumbline::data {

/// What can be known cheaply (headers and line counts), for planning.
struct DataFacts {
  DatasetKind kind = DatasetKind::kMatrix;
  std::size_t rows = 0;
  bool labelled = false;
  bool has_text = false;    ///< some table column is free text
  bool only_text = false;   ///< every table column is
  std::size_t columns = 0;  ///< table or matrix columns; pixels of an image
  Role role = Role::kTest;
};

/// Errors as load_dataset, without reading the bulk of the data.
base::Result<DataFacts> peek_dataset(const Manifest& manifest, const std::string& name);

/// Reads the set, applies `from`/`share` splits by unit (the donor loses the rows that the share takes), checks labels.
/// The split is a pure function of the manifest's seed and the donor's fingerprint.
/// Errors  kIo, kParse, kLimit, kShape: with file and place (row, column, byte).
base::Result<DatasetPtr> load_dataset(const Manifest& manifest, const std::string& name);

/// Stored predictions of a [predictions.*] section, n x k, one row per row of the data set.
/// Errors as the reader; kShape: rows disagree with the data set; kValue: non-finite, or probabilities that do not sum
/// to 1.
base::Result<MatrixD> load_predictions(const Manifest& manifest, const std::string& section);

}  // namespace plumbline::data

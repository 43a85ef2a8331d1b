#pragma once
/// What the programs of the examples share: the training rows of a manifest's only model, as the model will see them.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::examples {

struct TrainingSet {
  data::DatasetPtr set;  ///< the whole train set
  MatrixF inputs;  ///< of the rows taken: images through the model's input declaration, tables through the contract
                   ///< that assess fits
  std::vector<int> labels;  ///< of the rows taken
  int classes = 0;
  std::uint64_t seed = 0;  ///< the manifest's
  std::string model_path;  ///< where the manifest looks for the model
};

/// Reads the manifest with the root "made" set to `made`, and the train set; `rows` > 0: that many, drawn with the
/// manifest's seed. Errors  as read_manifest and load_dataset; kValue: no labelled train set, or not exactly one model
/// with a path.
base::Result<TrainingSet> training_set(const std::string& manifest, const std::string& made, std::size_t rows);

}  // namespace plumbline::examples

#include "examples/training_set.hpp"

#include <algorithm>
#include <numeric>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/data/table_contract.hpp"

namespace plumbline::examples {

using base::Code;
using base::make_error;

base::Result<TrainingSet> training_set(const std::string& manifest_path, const std::string& made, std::size_t rows) {
  data::ManifestOptions options;
  options.roots["made"] = made;
  PL_TRY(const data::Manifest manifest, data::read_manifest(manifest_path, options));
  if (manifest.models.size() != 1 || !manifest.models.begin()->second.path) {
    return make_error(Code::kValue, "expected exactly one model with a path", manifest_path);
  }
  const data::ModelSection& model = manifest.models.begin()->second;
  std::string train;
  for (const auto& [name, section] : manifest.data) {
    if (section.role == data::Role::kTrain) train = name;
  }
  if (train.empty()) return make_error(Code::kValue, "no data set has the role train", manifest_path);

  TrainingSet out;
  PL_TRY(out.set, data::load_dataset(manifest, train));
  if (!out.set->labelled()) return make_error(Code::kValue, "has no labels", train);
  out.classes = std::max(out.set->classes(), static_cast<int>(out.set->class_names.size()));
  out.seed = manifest.seed;
  out.model_path = model.path->resolved;

  std::vector<std::size_t> chosen(out.set->rows());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  if (rows > 0 && rows < chosen.size()) {
    chosen = base::Rng(manifest.seed).sample(chosen.size(), rows);
    std::sort(chosen.begin(), chosen.end());
  }
  for (const std::size_t row : chosen) out.labels.push_back(out.set->labels[row]);
  if (out.set->kind == data::Dataset::Kind::kTable) {
    // Fitted on all rows, as assess does it.
    PL_TRY(const data::TableContract contract, data::fit_contract(out.set->table, model.columns));
    PL_TRY(out.inputs, data::encode_table(contract, out.set->table, chosen));
  } else {
    PL_TRY(out.inputs, data::encode(*out.set, chosen, model.input));
  }
  return out;
}

}  // namespace plumbline::examples

#include "plumbline/predict/stored.hpp"

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/data/load.hpp"

namespace plumbline::predict {

base::Result<StoredPredictions> open_stored(const data::Manifest& manifest, const std::string& section) {
  const auto found = manifest.predictions.find(section);
  if (found == manifest.predictions.end()) {
    return base::make_error(base::Code::kValue, fmt::format("there is no section [predictions.{}]", section),
                            manifest.path);
  }
  StoredPredictions stored;
  PL_TRY(stored.info.output, decision::parse_output(found->second.output));
  PL_TRY(stored.prediction.outputs, data::load_predictions(manifest, section));
  PL_TRY(stored.info.hash, base::sha256_file(found->second.path.resolved));
  stored.info.name = found->second.model;
  stored.info.kind = "stored";
  stored.info.outputs = stored.prediction.outputs.cols();
  return stored;
}

}  // namespace plumbline::predict

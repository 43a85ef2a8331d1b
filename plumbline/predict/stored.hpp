#pragma once
/// Stored predictions: a model that does not run, known by its answers for one data set.

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

struct StoredPredictions {
  decision::PredictorInfo info;  ///< kind "stored"
  decision::Prediction prediction;
};

/// Reads a [predictions.*] section.
/// Errors as data::load_predictions; kValue: unknown section or output.
base::Result<StoredPredictions> open_stored(const data::Manifest& manifest, const std::string& section);

}  // namespace plumbline::predict

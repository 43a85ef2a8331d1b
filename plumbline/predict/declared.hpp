#pragma once
/// What a [model.*] section says about its model before the model has been opened.

#include <cstdint>
#include <string>
#include <vector>

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

/// Numbers in one row of input, and in one batch, at most.
inline constexpr std::int64_t kLargestRow = std::int64_t{1} << 24U;
inline constexpr std::int64_t kLargestBatch = std::int64_t{1} << 26U;

/// What a section declares, before a model has been opened: name, task, output, shape, classes, features that name a
/// tensor. Errors kValue: unknown task or output; classes or an axis out of range.
base::Result<decision::PredictorInfo> declared_info(const data::ModelSection& section);

/// Product of positive axes. Errors kValue: an axis below 1, or a product above kLargestRow; the message names `what`.
base::Result<std::int64_t> row_size(const std::vector<std::int64_t>& shape, const std::string& what);

}  // namespace plumbline::predict

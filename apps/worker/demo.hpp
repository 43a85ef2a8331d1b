#pragma once
/// The demonstration task: digits drawn from seven strokes, with four planted weaknesses, and a model trained on it.

#include <cstdint>
#include <string>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::worker {

/// Writes system.toml, image and label files and model.onnx below `folder`. Planted:
///   a mislabelled slice   half of the dimmest eighth of the test images carry the next digit's label
///   a shortcut            the brightness of one corner tells the label, in train and test alike
///   a leak                6 % of the test images are train images with one grey level changed
///   an overconfident head the last layer's weights and biases are multiplied by 4
/// The same seed gives the same files.
/// Errors kIo: the folder cannot be written.
base::Status make_demo(const std::string& folder, std::uint64_t seed, base::Progress& progress);

}  // namespace plumbline::worker

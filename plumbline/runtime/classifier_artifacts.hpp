#pragma once
/// The fitted parts of a guarded classifier as a folder, so that what was assessed is what decides.

#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/runtime/classifier_parts.hpp"

namespace plumbline::runtime {

/// Writes `decider.json` and one `.npy` an array; the JSON holds the SHA-256 of each. Arrays are written first and the
/// JSON is moved into place last, so that a folder that loads is whole.
/// Errors kIo.
base::Status save_parts(const ClassifierParts& parts, const std::string& folder);

struct LoadLimits {
  std::uint64_t array_bytes = std::uint64_t{1} << 30U;  ///< of one file
};

/// Errors    kIo: a file is not there. kParse: no JSON, a field missing or of another type. kUnsupported: a later
///           format. kLimit: JSON above 1 MiB, an array above the limit. kValue: a file whose hash is another than
///           written, parts that do not fit each other, a hash of all parts that differs. All name file and field.
base::Result<ClassifierParts> load_parts(const std::string& folder, const LoadLimits& limits = {});

}  // namespace plumbline::runtime

#pragma once
/// What this build can open: models through plumbline/predict, with LibTorch behind it where there is one.

#include <string>

#include "plumbline/case/run/session.hpp"

namespace plumbline::worker {

/// `manifest_folder`: where callables without a python_path are looked for.
run::SessionOptions session_options(const std::string& cache_folder, const std::string& manifest_folder);

}  // namespace plumbline::worker

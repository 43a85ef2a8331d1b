#pragma once
/// What this build can open: models through plumbline/predict, with LibTorch behind it where there is one. The worker
/// and the guard open alike, so that what the guard decides by has the bits of what was assessed.

#include <string>

#include "plumbline/case/run/session.hpp"
#include "plumbline/predict/open.hpp"

namespace plumbline::worker {

/// `manifest_folder`: where callables without a python_path are looked for.
predict::OpenOptions open_options(const std::string& manifest_folder);
run::SessionOptions session_options(const std::string& cache_folder, const std::string& manifest_folder);

}  // namespace plumbline::worker

#pragma once
/// What this build can open: models through plumbline/predict, with LibTorch behind it where there is one.

#include <string>

#include "plumbline/case/run/session.hpp"

namespace plumbline::worker {

run::SessionOptions session_options(const std::string& cache_folder);

}  // namespace plumbline::worker

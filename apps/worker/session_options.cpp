#include "apps/worker/session_options.hpp"

#include "plumbline/predict/agreement.hpp"
#if PLUMBLINE_WITH_TORCH
#include "plumbline/nn/executor.hpp"
#endif

namespace plumbline::worker {

predict::OpenOptions open_options(const std::string& manifest_folder) {
  predict::OpenOptions options;
  options.callable.folder = manifest_folder;
#if PLUMBLINE_WITH_TORCH
  options.torch = nn::torch_backend();
#endif
  return options;
}

run::SessionOptions session_options(const std::string& cache_folder, const std::string& manifest_folder) {
  run::SessionOptions options;
  options.cache_folder = cache_folder;
  options.open_predictor = [manifest_folder](const data::ModelSection& section) {
    return predict::open_predictor(section, open_options(manifest_folder));
  };
  options.self_test = [](const data::ModelSection& section, decision::Predictor& model, MatrixRefF rows) {
    return predict::self_test(section, model, rows, PLUMBLINE_WITH_TORCH);
  };
  return options;
}

}  // namespace plumbline::worker

#include "apps/worker/session_options.hpp"

#include <algorithm>
#include <cmath>

#include "plumbline/predict/open.hpp"
#if PLUMBLINE_WITH_TORCH
#include "plumbline/nn/executor.hpp"
#endif

namespace plumbline::worker {
namespace {

predict::OpenOptions open_options(const std::string& manifest_folder) {
  predict::OpenOptions options;
  options.callable.folder = manifest_folder;
#if PLUMBLINE_WITH_TORCH
  options.torch = nn::torch_backend();
#endif
  return options;
}

// The same file on the reference interpreter, in double: an executor that disagrees with it may not be measured.
base::Result<std::optional<double>> parity(const data::ModelSection& section, decision::Predictor& model,
                                           MatrixRefF rows) {
  if (!PLUMBLINE_WITH_TORCH) return std::optional<double>();
  PL_TRY(const decision::PredictorPtr reference, predict::open_predictor(section));
  PL_TRY(const decision::Prediction got, model.predict(rows, {}));
  PL_TRY(const decision::Prediction want, reference->predict(rows, {}));
  double scale = 0;
  double gap = 0;
  for (std::ptrdiff_t i = 0; i < want.outputs.rows(); ++i) {
    for (std::ptrdiff_t k = 0; k < want.outputs.cols(); ++k) {
      scale = std::max(scale, std::abs(want.outputs(i, k)));
      gap = std::max(gap, std::abs(want.outputs(i, k) - got.outputs(i, k)));
    }
  }
  return std::optional<double>(scale > 0 ? gap / scale : gap);
}

}  // namespace

run::SessionOptions session_options(const std::string& cache_folder, const std::string& manifest_folder) {
  run::SessionOptions options;
  options.cache_folder = cache_folder;
  options.open_predictor = [manifest_folder](const data::ModelSection& section) {
    return predict::open_predictor(section, open_options(manifest_folder));
  };
  options.parity = parity;
  return options;
}

}  // namespace plumbline::worker

#include "plumbline/robustness/attack/target.hpp"

#include <algorithm>
#include <cmath>

#include "plumbline/base/guard.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/robustness/attack/descent.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

namespace {

/// (x - shift) / scale, row by row.
void normalise(std::span<double> rows, std::span<const double> shift, std::span<const double> scale) {
  if (shift.empty()) return;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t j = i % shift.size();
    rows[i] = (rows[i] - shift[j]) / scale[j];
  }
}

}  // namespace

base::Result<std::vector<double>> Target::backward(const Pass&, std::span<const double>) const {
  return base::make_error(base::Code::kUnsupported, "the target hands out no gradient");
}

NetworkTarget::NetworkTarget(const Network& network, std::vector<double> shift, std::vector<double> scale)
    : network_(network), layer_(first_layer(network)), shift_(std::move(shift)), scale_(std::move(scale)) {}

base::Result<Pass> NetworkTarget::forward(std::span<const double> rows, std::size_t count,
                                          std::span<const base::Rng>) const {
  Pass pass;
  pass.count = count;
  if (shift_.empty()) {
    pass.values = robustness::forward(network_, rows, count);
  } else {
    std::vector<double> moved(rows.begin(), rows.end());
    normalise(moved, shift_, scale_);
    pass.values = robustness::forward(network_, moved, count);
  }
  pass.scores = pass.values.back();
  return pass;
}

base::Result<std::vector<double>> NetworkTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  std::vector<double> gradient = input_gradient(network_, pass.values, seeds, pass.count);
  if (!scale_.empty()) {
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] /= scale_[i % scale_.size()];
  }
  return gradient;
}

PredictorTarget::PredictorTarget(decision::Predictor& predictor, std::vector<double> shift, std::vector<double> scale)
    : predictor_(predictor), shift_(std::move(shift)), scale_(std::move(scale)) {}

std::size_t PredictorTarget::inputs() const { return static_cast<std::size_t>(predictor_.info().input_size); }
std::size_t PredictorTarget::classes() const { return static_cast<std::size_t>(predictor_.info().outputs); }

base::Result<Pass> PredictorTarget::forward(std::span<const double> rows, std::size_t count,
                                            std::span<const base::Rng>) const {
  std::vector<double> moved(rows.begin(), rows.end());
  normalise(moved, shift_, scale_);
  MatrixF asked(static_cast<std::ptrdiff_t>(count), static_cast<std::ptrdiff_t>(inputs()));
  for (std::size_t i = 0; i < moved.size(); ++i) asked.data()[i] = static_cast<float>(moved[i]);
  decision::PredictOptions options;
  options.batch = 32;
  PL_TRY(const decision::Prediction prediction, predictor_.predict(asked, options));
  Pass pass;
  pass.count = count;
  pass.scores.assign(prediction.outputs.data(), prediction.outputs.data() + prediction.outputs.size());
  if (predictor_.info().output == decision::Output::kProbabilities) {
    for (double& p : pass.scores) p = std::log(std::max(p, 1e-300));
  }
  return pass;
}

base::Result<Network> lower_classifier(const graph::Graph& graph) {
  graph::Graph bare = graph;
  while (strip_softmax(bare)) {
  }
  return lower(bare);
}

}  // namespace plumbline::robustness

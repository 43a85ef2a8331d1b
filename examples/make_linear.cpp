// Fits a multinomial logistic regression to the train set of a manifest and writes it as ONNX where the manifest looks
// for its model.
//   example_linear SYSTEM.toml FOLDER [ROWS]
// FOLDER is the folder that the manifest calls "made:"; ROWS > 0 takes that many training rows.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "examples/training_set.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/stats/logistic.hpp"

namespace plumbline::examples {
namespace {

// logits = W (x - center) / scale + intercept as one dense layer.
graph::Graph as_graph(const stats::LogisticModel& model) {
  const std::ptrdiff_t classes = model.weights.rows();
  const std::ptrdiff_t width = model.weights.cols();
  graph::Tensor weights;
  weights.shape = {classes, width};
  graph::Tensor bias;
  bias.shape = {classes};
  for (std::ptrdiff_t k = 0; k < classes; ++k) {
    double shift = model.intercept(k);
    for (std::ptrdiff_t j = 0; j < width; ++j) {
      const double w = model.scale(j) > 0 ? model.weights(k, j) / model.scale(j) : 0;
      shift -= w * model.center(j);
      weights.reals.push_back(static_cast<double>(static_cast<float>(w)));
    }
    bias.reals.push_back(static_cast<double>(static_cast<float>(shift)));
  }
  graph::Node gemm{
      .name = "logits", .op = "Gemm", .inputs = {"input", "weights", "bias"}, .outputs = {"logits"}, .attributes = {}};
  gemm.attributes["transB"] = std::int64_t{1};
  graph::Graph net;
  net.name = "logistic regression";
  net.inputs = {{"input", graph::Type::kFloat, {-1, width}}};
  net.outputs = {{"logits", graph::Type::kFloat, {-1, classes}}};
  net.initializers = {{"weights", weights}, {"bias", bias}};
  net.nodes = {gemm};
  return net;
}

base::Status make(const std::string& manifest, const std::string& made, std::size_t rows) {
  PL_TRY(const TrainingSet train, training_set(manifest, made, rows));
  stats::LogisticOptions options;
  options.iterations = 100;
  options.tolerance = 1e-5;
  PL_TRY(const stats::LogisticModel model, stats::fit_logistic(train.inputs, train.labels, train.classes, options));
  PL_CHECK(graph::write_onnx(as_graph(model), train.model_path));
  std::printf("%s: logistic regression on %zu rows of %td inputs, %d classes, mean loss %.4f nats%s\n",
              train.model_path.c_str(), train.labels.size(), train.inputs.cols(), train.classes, model.loss,
              model.converged ? "" : " (stopped early)");
  return base::ok();
}

}  // namespace
}  // namespace plumbline::examples

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: example_linear SYSTEM.toml FOLDER [ROWS]\n");
    return 2;
  }
  std::error_code code;
  std::filesystem::create_directories(argv[2], code);
  const auto made = plumbline::examples::make(argv[1], argv[2], argc == 4 ? std::strtoul(argv[3], nullptr, 10) : 0);
  if (!made.ok()) std::fprintf(stderr, "%s\n", made.error().text().c_str());
  return made.ok() ? 0 : 2;
}

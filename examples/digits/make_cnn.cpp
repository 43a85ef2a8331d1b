// Trains the built-in convolutional network on the train set of a manifest and writes it as ONNX where the manifest
// looks for its model.
//   example_digits_cnn SYSTEM.toml FOLDER [EPOCHS] [ROWS]
// FOLDER is the folder that the manifest calls "made:"; ROWS > 0 takes that many training images.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "examples/training_set.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/nn/train.hpp"

namespace plumbline::examples {
namespace {

base::Status make(const std::string& manifest, const std::string& made, std::int64_t epochs, std::size_t rows) {
  PL_TRY(const TrainingSet train, training_set(manifest, made, rows));
  nn::NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {train.set->images.channels, train.set->images.height, train.set->images.width};
  spec.classes = train.classes;
  nn::TrainOptions options;
  options.seed = train.seed;
  options.epochs = epochs;
  options.batch = 128;
  options.rate = 2e-3;
  options.rate_decay = 0.6;
  PL_TRY(const nn::TrainedNetwork network, nn::train_classifier(spec, train.inputs, train.labels, options));
  PL_CHECK(graph::write_onnx(network.graph, train.model_path));
  std::printf("%s: convolutional network on %zu images", train.model_path.c_str(), train.labels.size());
  for (const double loss : network.losses) std::printf(", loss %.4f", loss);
  std::printf("\n");
  return base::ok();
}

}  // namespace
}  // namespace plumbline::examples

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    std::fprintf(stderr, "usage: example_digits_cnn SYSTEM.toml FOLDER [EPOCHS] [ROWS]\n");
    return 2;
  }
  std::error_code code;
  std::filesystem::create_directories(argv[2], code);
  const auto made = plumbline::examples::make(argv[1], argv[2], argc > 3 ? std::strtol(argv[3], nullptr, 10) : 2,
                                              argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 0);
  if (!made.ok()) std::fprintf(stderr, "%s\n", made.error().text().c_str());
  return made.ok() ? 0 : 2;
}

// The example of `plumbline init --kind attack`: two clusters of four numbers, a network that tells them apart, and the
// same network with its inputs read through steep steps, which hides its gradient.
#include <algorithm>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "apps/cli/templates.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/checks/robustness/matrix_fixture.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::cli {
namespace {

constexpr std::int64_t kInputs = 4;
constexpr std::int64_t kSteps = 4;  ///< thresholds an input

constexpr const char* kManifest = R"([system]
name = "two clusters"
seed = 7

[model.reader]
path = "READER.onnx"
output = "logits"

[data.test]
matrix = "test.npy"
labels = "labels.npy"
classes = ["low", "high"]

[check."robustness.attack"]
norm = "linf"
epsilon = 0.04                         # in the units of the matrix
low = 0.0                              # what an input may be
high = 1.0
sample = 150

[check."methodology.obfuscated_gradients"]
epsilon = 0.2
low = 0.0
high = 1.0
sample = 100

[[claim]]
id = "sturdy"
text = "Answers survive changes of 0.04 in every number."
check = "robustness.attack"
metric = "robust_accuracy"
at_least = 0.8

[[claim]]
id = "honest-gradients"
text = "Attacks with gradients are not misled."
check = "methodology.obfuscated_gradients"
metric = "masked_share"
at_most = 0.2
)";

base::Status write_reader(const std::string& path, double slope) {
  std::vector<double> places;
  for (std::int64_t h = 0; h < kInputs * kSteps; ++h) places.push_back(0.35 + 0.1 * static_cast<double>(h % kSteps));
  return graph::write_onnx(checks::step_reader(kInputs, places, slope), path);
}

base::Status write_manifest(const std::string& path, const std::string& reader) {
  std::string text = kManifest;
  text.replace(text.find("READER"), 6, reader);
  std::ofstream file(path);
  file << text;
  if (!file.flush()) return base::make_error(base::Code::kIo, "cannot be written", path);
  return base::ok();
}

}  // namespace

base::Status write_attack_example(const std::string& folder) {
  constexpr std::ptrdiff_t kRows = 200;
  base::Rng rng(7, {"attack example"});
  MatrixD rows(kRows, kInputs);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    labels.push_back(static_cast<int>(i % 2));
    for (std::ptrdiff_t j = 0; j < kInputs; ++j)
      rows(i, j) = std::clamp(0.5 + (i % 2 == 1 ? 0.12 : -0.12) + 0.03 * rng.normal(), 0.0, 1.0);
  }
  PL_CHECK(data::write_npy(folder + "/test.npy", rows));
  PL_CHECK(data::write_npy(folder + "/labels.npy", std::span<const int>(labels)));
  PL_CHECK(write_reader(folder + "/reader.onnx", 4));
  PL_CHECK(write_reader(folder + "/masked.onnx", 1e6));
  PL_CHECK(write_manifest(folder + "/system.toml", "reader"));
  return write_manifest(folder + "/masked.toml", "masked");
}

}  // namespace plumbline::cli

// The example of `plumbline init --kind guard`: three kinds of parcels by weight and size, and the classifier that
// knows their clouds, so that nothing has to be trained.
#include <fstream>
#include <vector>

#include "apps/cli/templates.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::cli {
namespace {

constexpr int kClasses = 3;
constexpr double kCentres[kClasses][2] = {{0, 0}, {3, 1}, {1, 4}};

constexpr const char* kManifest = R"([system]
name = "parcels"
seed = 7

[model.sorter]
path = "sorter.onnx"
output = "logits"
features = "inputs"                    # the space in which new inputs are told from old ones

[data.train]
matrix = "train.npy"
labels = "train-labels.npy"
classes = ["letter", "parcel", "pallet"]

[data.calibration]                     # rows for thresholds: never used to judge
matrix = "calibration.npy"
labels = "calibration-labels.npy"
classes = ["letter", "parcel", "pallet"]

[data.test]
matrix = "test.npy"
labels = "test-labels.npy"
classes = ["letter", "parcel", "pallet"]

[reward.handling]
kind = "costs"
path = "costs.csv"                     # what each action costs when the truth is this class

[[claim]]
id = "accurate"
text = "The sorter is right on new parcels."
check = "probe.accuracy"
metric = "accuracy"
where = {data = "test"}
at_least = 0.85

[guard]
model = "sorter"
calibration = "calibration"
fallback = "by hand"
ask_cost = 0.05                        # of a question, in the unit of the costs
deadline_ms = 2000
margin_ms = 200
explore = "epsilon"                    # so that other policies can be evaluated on the log
epsilon = 0.05
safe_loss = 0.05
)";

/// Rows of the three clouds, all of deviation 1.
base::Status write_set(const std::string& folder, const std::string& name, std::ptrdiff_t rows, base::Rng rng) {
  MatrixF matrix(rows, 2);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(rng.below(kClasses));
    labels.push_back(k);
    for (int j = 0; j < 2; ++j) matrix(i, j) = static_cast<float>(rng.normal(kCentres[k][j], 1));
  }
  PL_CHECK(data::write_npy(folder + "/" + name + ".npy", matrix));
  return data::write_npy(folder + "/" + name + "-labels.npy", std::span<const int>(labels));
}

/// The logarithm of the classes' probabilities up to a constant: x . c - |c|^2 / 2 for unit clouds around c.
base::Status write_sorter(const std::string& path) {
  std::vector<double> weights, offsets;
  for (int j = 0; j < 2; ++j)
    for (const auto& centre : kCentres) weights.push_back(centre[j]);
  for (const auto& centre : kCentres) offsets.push_back(-(centre[0] * centre[0] + centre[1] * centre[1]) / 2);
  graph::Graph graph{.name = "sorter", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 2}}};
  graph.outputs = {{"logits", graph::Type::kFloat, {-1, kClasses}}};
  graph.initializers["w"] = {.type = graph::Type::kFloat, .shape = {2, kClasses}, .reals = weights, .integers = {}};
  graph.initializers["b"] = {.type = graph::Type::kFloat, .shape = {kClasses}, .reals = offsets, .integers = {}};
  graph.nodes = {{"scores", "MatMul", {"x", "w"}, {"s"}, {}}, {"shift", "Add", {"s", "b"}, {"logits"}, {}}};
  return graph::write_onnx(graph, path);
}

}  // namespace

base::Status write_guard_example(const std::string& folder) {
  const base::Rng rng(7, {"guard example"});
  PL_CHECK(write_set(folder, "train", 600, rng.fork("train")));
  PL_CHECK(write_set(folder, "calibration", 600, rng.fork("calibration")));
  PL_CHECK(write_set(folder, "test", 400, rng.fork("test")));
  PL_CHECK(write_sorter(folder + "/sorter.onnx"));
  const auto write = [&](const std::string& name, const std::string& text) -> base::Status {
    std::ofstream out(folder + "/" + name);
    out << text;
    if (!out.flush()) return base::make_error(base::Code::kIo, "cannot be written", folder + "/" + name);
    return base::ok();
  };
  PL_CHECK(write("costs.csv",
                 "action,letter,parcel,pallet\nletter,0,1,1\nparcel,0.5,0,1\npallet,0.8,0.8,0\nby hand,0.4,0.4,0.4\n"));
  return write("system.toml", kManifest);
}

}  // namespace plumbline::cli

#include <algorithm>
#include <vector>

#include "plumbline/checks/robustness/attack_report.hpp"
#include "plumbline/checks/robustness/matrix_fixture.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::checks {

/// Two clusters of eight numbers, apart in the first; a second number tells them apart as well, but by little.
/// The brittle network reads the second, the sturdy one the first.
base::Status write_attack_fixture(const std::string& folder, base::Rng& rng, bool brittle) {
  constexpr std::ptrdiff_t kRows = 80;
  constexpr std::int64_t kInputs = 8;
  MatrixD rows(kRows, kInputs);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    const int label = static_cast<int>(i % 2);
    const double side = label == 1 ? 1 : -1;
    for (std::ptrdiff_t j = 0; j < kInputs; ++j) rows(i, j) = 0.5 + 0.1 * rng.normal();
    rows(i, 0) = 0.5 + side * rng.uniform(0.3, 0.45);
    rows(i, 1) = 0.5 + side * rng.uniform(0.01, 0.02);
    for (std::ptrdiff_t j = 0; j < kInputs; ++j) rows(i, j) = std::clamp(rows(i, j), 0.0, 1.0);
    labels.push_back(label);
  }
  graph::Graph model{.name = "reader", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  model.inputs = {{"x", graph::Type::kFloat, {-1, kInputs}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 2}}};
  // Four hidden units: both signs of what is read, and two that see a little of everything.
  graph::Tensor first{.type = graph::Type::kFloat, .shape = {kInputs, 4}, .reals = {}, .integers = {}};
  const std::int64_t read = brittle ? 1 : 0;
  const double gain = brittle ? 40 : 1.5;
  for (std::int64_t j = 0; j < kInputs; ++j) {
    const double seen = j == read ? gain : 0;
    first.reals.insert(first.reals.end(), {seen, -seen, 0.05 * rng.normal(), 0.05 * rng.normal()});
  }
  const graph::Tensor bias{
      .type = graph::Type::kFloat, .shape = {4}, .reals = {-0.5 * gain, 0.5 * gain, 0.2, 0.2}, .integers = {}};
  const graph::Tensor second{
      .type = graph::Type::kFloat, .shape = {4, 2}, .reals = {-1, 1, 1, -1, 0.02, -0.02, -0.02, 0.02}, .integers = {}};
  model.initializers = {{"w1", first}, {"b1", bias}, {"w2", second}};
  model.nodes = {{"hidden", "Gemm", {"x", "w1", "b1"}, {"h"}, {}},
                 {"bend", "Relu", {"h"}, {"a"}, {}},
                 {"out", "MatMul", {"a", "w2"}, {"logits"}, {}}};
  return write_matrix_fixture(folder, rng, model, rows, labels,
                              "[check.\"robustness.attack\"]\nsample = 80\neffort = \"quick\"\nhigh = 1.0\n",
                              "text = \"Answers survive small changes.\"\ncheck = \"robustness.attack\"\n"
                              "metric = \"robust_accuracy\"\nat_least = 0.8");
}

}  // namespace plumbline::checks

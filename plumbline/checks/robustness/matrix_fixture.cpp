#include "plumbline/checks/robustness/matrix_fixture.hpp"

#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::checks {

base::Status write_matrix_fixture(const std::string& folder, base::Rng& rng, const graph::Graph& model,
                                  const MatrixD& rows, std::span<const int> labels, std::string_view section,
                                  std::string_view claim) {
  PL_CHECK(graph::write_onnx(model, folder + "/reader.onnx"));
  PL_CHECK(data::write_npy(folder + "/test.npy", rows));
  std::ofstream file(folder + "/labels.txt");
  for (const int label : labels) file << label << '\n';
  if (!file.flush()) return base::make_error(base::Code::kIo, "cannot write the fixture", folder + "/labels.txt");
  return write_fixture_manifest(
      folder, rng.below(1000000000),
      fmt::format("[model.reader]\npath = \"reader.onnx\"\noutput = \"logits\"\n\n[data.test]\n"
                  "matrix = \"test.npy\"\nlabels = \"labels.txt\"\n\n{}",
                  section),
      claim);
}

graph::Graph step_reader(std::int64_t inputs, std::span<const double> places, double slope) {
  const auto hidden = static_cast<std::int64_t>(places.size());
  const std::int64_t steps = hidden / inputs;
  graph::Graph model{.name = "reader", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  model.inputs = {{"x", graph::Type::kFloat, {-1, inputs}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 2}}};
  graph::Tensor first{.type = graph::Type::kFloat,
                      .shape = {inputs, hidden},
                      .reals = std::vector<double>(static_cast<std::size_t>(inputs * hidden), 0.0),
                      .integers = {}};
  graph::Tensor bias{.type = graph::Type::kFloat, .shape = {hidden}, .reals = {}, .integers = {}};
  graph::Tensor second{.type = graph::Type::kFloat, .shape = {hidden, 2}, .reals = {}, .integers = {}};
  for (std::int64_t h = 0; h < hidden; ++h) {
    first.reals[static_cast<std::size_t>((h / steps) * hidden + h)] = slope;
    bias.reals.push_back(-slope * places[static_cast<std::size_t>(h)]);
    second.reals.insert(second.reals.end(), {-1, 1});
  }
  const double half = 0.5 * static_cast<double>(hidden);
  const graph::Tensor offset{.type = graph::Type::kFloat, .shape = {2}, .reals = {half, -half}, .integers = {}};
  model.initializers = {{"w1", first}, {"b1", bias}, {"w2", second}, {"b2", offset}};
  model.nodes = {{"code", "Gemm", {"x", "w1", "b1"}, {"h"}, {}},
                 {"step", "Sigmoid", {"h"}, {"a"}, {}},
                 {"out", "Gemm", {"a", "w2", "b2"}, {"logits"}, {}}};
  return model;
}

}  // namespace plumbline::checks

#pragma once
/// Small random networks as graphs, for tests of bounds and attacks.

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::testing {

inline graph::Tensor floats(std::vector<std::int64_t> shape, std::vector<double> values) {
  return {.type = graph::Type::kDouble, .shape = std::move(shape), .reals = std::move(values), .integers = {}};
}

inline graph::Tensor random_floats(std::vector<std::int64_t> shape, base::Rng& rng, double scale = 1) {
  std::vector<double> values(static_cast<std::size_t>(floats(shape, {}).size()));
  for (double& v : values) v = static_cast<double>(static_cast<float>(scale * rng.normal()));
  return floats(std::move(shape), std::move(values));
}

/// Dense layers with an activation between them.
inline graph::Graph dense_graph(const std::vector<std::int64_t>& sizes, const std::string& activation, base::Rng& rng) {
  graph::Graph graph{.name = "dense", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, sizes[0]}}};
  std::string at = "x";
  for (std::size_t k = 0; k + 1 < sizes.size(); ++k) {
    const std::string n = std::to_string(k);
    graph.initializers["w" + n] =
        random_floats({sizes[k], sizes[k + 1]}, rng, 1 / std::sqrt(static_cast<double>(sizes[k])));
    graph.initializers["b" + n] = random_floats({sizes[k + 1]}, rng, 0.3);
    graph.nodes.push_back({"gemm" + n, "Gemm", {at, "w" + n, "b" + n}, {"z" + n}, {}});
    at = "z" + n;
    if (k + 2 < sizes.size()) {
      graph.nodes.push_back({"act" + n, activation, {at}, {"a" + n}, {}});
      at = "a" + n;
    }
  }
  graph.outputs = {{at, graph::Type::kDouble, {-1, sizes.back()}}};
  return graph;
}

}  // namespace plumbline::testing

// Bounds and attacks at the size of the competition's 256x4 network, beside the matrix products they need.

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/graph/operators.hpp"
#include "plumbline/robustness/proof/bounds.hpp"

namespace plumbline::robustness {
namespace {

Network dense_network(const std::vector<std::int64_t>& sizes) {
  base::Rng rng(1, {"bench"});
  graph::Graph graph{.name = "digits", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kFloat, {-1, sizes[0]}}};
  std::string at = "x";
  for (std::size_t k = 0; k + 1 < sizes.size(); ++k) {
    const std::string n = std::to_string(k);
    graph::Tensor w{.type = graph::Type::kFloat, .shape = {sizes[k], sizes[k + 1]}, .reals = {}, .integers = {}};
    for (std::int64_t i = 0; i < sizes[k] * sizes[k + 1]; ++i)
      w.reals.push_back(static_cast<float>(rng.normal() * std::sqrt(2.0 / static_cast<double>(sizes[k]))));
    graph.initializers["w" + n] = std::move(w);
    graph.nodes.push_back({"g" + n, "MatMul", {at, "w" + n}, {"z" + n}, {}});
    at = "z" + n;
    if (k + 2 == sizes.size()) break;
    graph.nodes.push_back({"r" + n, "Relu", {at}, {"a" + n}, {}});
    at = "a" + n;
  }
  graph.outputs = {{at, graph::Type::kFloat, {-1, 10}}};
  auto network = lower(graph);
  if (!network.ok()) {
    std::fprintf(stderr, "%s\n", network.error().text().c_str());
    std::exit(1);
  }
  return std::move(network).value();
}

Network digits_network() { return dense_network({784, 256, 256, 256, 256, 10}); }

Box ball(std::size_t n, double radius) {
  return {std::vector<double>(n, 0.5 - radius), std::vector<double>(n, 0.5 + radius)};
}

/// Agreement first: a plain backward pass of one row over a stable region is the product of the weights.
void confirm(const Network& network) {
  const Bounder bounder(network);
  const Box box = ball(784, 0);
  const Bounds bounds = *bounder.bound(box);
  const auto y = forward(network, box.lower, 1).back();
  LinearRows rows{.count = 1, .output = std::vector<double>(10, 0.0), .input = {}, .constant = {0}};
  rows.output[3] = 1;
  const double lower = bounder.minimise(bounds, rows, {}).lower[0];
  if (!(lower <= y[3]) || std::abs(lower - y[3]) > 1e-9) {
    std::fprintf(stderr, "disagreement: bound of a point and its value\n");
    std::exit(1);
  }
}

void crown(benchmark::State& state) {
  base::set_threads(1);
  const Network network = digits_network();
  confirm(network);
  const Bounder bounder(network);
  const Box box = ball(784, 0.03);
  for (auto _ : state) benchmark::DoNotOptimize(bounder.bound(box).value());
}
BENCHMARK(crown)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void intervals(benchmark::State& state) {
  const Network network = digits_network();
  const Bounder bounder(network);
  const Box box = ball(784, 0.03);
  for (auto _ : state) benchmark::DoNotOptimize(bounder.bound(box, {.method = BoundMethod::kIntervals}).value());
}
BENCHMARK(intervals)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

/// The floor of CROWN: the products over the neurons that intervals leave open, two rows each, and nothing else.
void floor_products(benchmark::State& state) {
  const Network network = digits_network();
  const Bounds bounds = *Bounder(network).bound(ball(784, 0.03));
  std::vector<std::int64_t> open;
  std::vector<const Affine*> layers;
  for (std::size_t s = 1; s < network.steps.size(); ++s) {
    if (network.steps[s].kind != StepKind::kAffine) continue;
    layers.push_back(&network.steps[s].affine);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < network.steps[s].size; ++i)
      count += bounds.lower[s][i] < 0 && bounds.upper[s][i] > 0 ? 1 : 0;
    open.push_back(2 * count);
  }
  for (auto _ : state) {
    for (std::size_t k = 1; k + 1 < layers.size(); ++k) {
      for (std::size_t j = k; j-- > 0;) {
        const auto rows = static_cast<std::int64_t>(layers[j]->rows);
        const auto columns = static_cast<std::int64_t>(layers[j]->columns);
        std::vector<double> a(static_cast<std::size_t>(open[k] * rows), 1.0);
        std::vector<double> c(static_cast<std::size_t>(open[k] * columns), 0.0);
        graph::multiply_add(a.data(), layers[j]->weights.data(), c.data(), open[k], rows, columns);
        benchmark::DoNotOptimize(c.data());
      }
    }
  }
}
BENCHMARK(floor_products)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void forward_and_gradient(benchmark::State& state) {
  const Network network = digits_network();
  const std::vector<double> rows(25 * 784, 0.5);
  const std::vector<double> seeds(25 * 10, 0.1);
  for (auto _ : state) {
    const auto values = forward(network, rows, 25);
    benchmark::DoNotOptimize(input_gradient(network, values, seeds, 25));
  }
  state.SetItemsProcessed(state.iterations() * 25);
}
BENCHMARK(forward_and_gradient)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

/// Cost against the size of a network whose other sizes stay: inputs 64, two layers of 64.
void bound_of(benchmark::State& state, const std::vector<std::int64_t>& sizes, BoundMethod method) {
  base::set_threads(1);
  const Network network = dense_network(sizes);
  const Bounder bounder(network);
  const Box box = ball(static_cast<std::size_t>(sizes[0]), 0.02);
  std::size_t open = 0;
  for (auto _ : state) {
    const Bounds bounds = bounder.bound(box, {.method = method, .iterations = 5}).value();
    open = 0;
    for (std::size_t s = 1; s < network.steps.size(); ++s) {
      if (network.steps[s].kind != StepKind::kActivation) continue;
      const std::size_t from = network.steps[s].from[0];
      for (std::size_t i = 0; i < network.steps[s].size; ++i)
        open += bounds.lower[from][i] < 0 && bounds.upper[from][i] > 0 ? 1 : 0;
    }
  }
  state.counters["open"] = static_cast<double>(open);
  state.counters["activations"] = static_cast<double>(network.activations());
}
void by_width(benchmark::State& state) {
  bound_of(state, {64, state.range(0), state.range(0), 10}, static_cast<BoundMethod>(state.range(1)));
}
void by_depth(benchmark::State& state) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(state.range(0)) + 1, 64);
  sizes.push_back(10);
  bound_of(state, sizes, static_cast<BoundMethod>(state.range(1)));
}
void by_inputs(benchmark::State& state) {
  bound_of(state, {state.range(0), 64, 64, 10}, static_cast<BoundMethod>(state.range(1)));
}
BENCHMARK(by_width)
    ->ArgsProduct({{32, 64, 128, 256, 512}, {0, 1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK(by_depth)->ArgsProduct({{1, 2, 4, 8}, {0, 1, 2}})->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(by_inputs)
    ->ArgsProduct({{16, 64, 256, 1024}, {0, 1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace plumbline::robustness

BENCHMARK_MAIN();

// Attacks at the size of the competition's 256x4 network beside their floor: the forward and backward passes that they
// count, at the same batch.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/attack/attack.hpp"
#include "tests/support/networks.hpp"

namespace plumbline::robustness {
namespace {

constexpr std::size_t kRows = 25;

struct Scene {
  Network network;
  std::vector<std::vector<double>> x;
  std::vector<AttackCase> cases;
  Threat threat;
};

/// A random network, its own answers as labels, and a radius so small that nothing falls: every step is taken.
Scene scene(Norm norm) {
  base::set_threads(1);
  base::Rng rng(1, {"bench"});
  auto network = lower(testing::dense_graph({784, 256, 256, 256, 256, 10}, "Relu", rng));
  if (!network.ok()) {
    std::fprintf(stderr, "%s\n", network.error().text().c_str());
    std::exit(1);
  }
  Scene out;
  out.network = std::move(network).value();
  out.threat = {norm,
                norm == Norm::kLinf ? 1e-7 : 1e-6,
                std::vector<double>(784, 0.0),
                std::vector<double>(784, 1.0),
                {1, 28, 28, false}};
  for (std::size_t r = 0; r < kRows; ++r) {
    out.x.emplace_back(784);
    for (double& v : out.x.back()) v = rng.uniform();
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto y = forward(out.network, out.x[r], 1).back();
    out.cases.push_back({out.x[r], static_cast<int>(std::max_element(y.begin(), y.end()) - y.begin()), r});
  }
  return out;
}

/// Passes counted by the attack, as many rows at once, and nothing else.
void floor_of(benchmark::State& state) {
  const Scene s = scene(Norm::kLinf);
  std::vector<double> rows;
  for (const auto& x : s.x) rows.insert(rows.end(), x.begin(), x.end());
  const std::vector<double> seeds(kRows * 10, 0.1);
  for (auto _ : state) {
    const auto values = forward(s.network, rows, kRows);
    benchmark::DoNotOptimize(input_gradient(s.network, values, seeds, kRows));
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(floor_of)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void attack_of(benchmark::State& state, Norm norm, const Attack& attack) {
  const Scene s = scene(norm);
  const NetworkTarget target(s.network);
  std::uint64_t passes = 0;
  for (auto _ : state) {
    const auto outcomes = attack.run({.target = &target, .threat = &s.threat}, s.cases, base::Rng(2));
    if (!outcomes.ok()) {
      std::fprintf(stderr, "%s\n", outcomes.error().text().c_str());
      std::exit(1);
    }
    for (const AttackOutcome& outcome : *outcomes) {
      if (outcome.found) {
        std::fprintf(stderr, "disagreement: something fell within a radius of %g\n", s.threat.epsilon);
        std::exit(1);
      }
      passes += outcome.gradients;
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(passes));  // items per second against those of the floor
}
BENCHMARK_CAPTURE(attack_of, pgd_linf, Norm::kLinf, pgd({.steps = 50}))
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(attack_of, apgd_linf, Norm::kLinf, apgd({.steps = 50}))
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(attack_of, apgd_l2, Norm::kL2, apgd({.steps = 50}))
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(attack_of, apgd_l1, Norm::kL1, apgd({.steps = 50}))
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace plumbline::robustness

BENCHMARK_MAIN();

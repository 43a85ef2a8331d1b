// Inference from the designer and from the world. Goals on one core: soft planning 300 M backups/s; implicit
// preferences on apples below 0.3 s; relative reachability on 7,840 states below 1 s; inverse reward design on 60 maps
// below 0.5 s. Beside each stands its floor, what no exact answer can leave out.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/reward/implicit_preferences.hpp"
#include "plumbline/reward/inverse_reward_design.hpp"
#include "plumbline/reward/side_effects.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"

namespace {

namespace reward = plumbline::reward;
namespace world = plumbline::world;
using plumbline::MatrixD;
using plumbline::base::Rng;

/// 28 x 28 cells with a counter of ten: 7,840 states, five actions without chance. The counter runs down in one corner.
world::Process grid(int horizon) {
  constexpr std::uint32_t kSide = 28;
  constexpr std::uint32_t kCounts = 10;
  world::ProcessBuilder builder(kSide * kSide * kCounts, 5, horizon);
  const auto at = [](std::uint32_t row, std::uint32_t column, std::uint32_t count) {
    return (row * kSide + column) * kCounts + count;
  };
  for (std::uint32_t r = 0; r < kSide; ++r) {
    for (std::uint32_t c = 0; c < kSide; ++c) {
      for (std::uint32_t k = 0; k < kCounts; ++k) {
        const std::uint32_t left = r + c == 0 && k > 0 ? k - 1 : k;
        builder.add(at(r, c, k), 0, at(r, c, left), 1);
        builder.add(at(r, c, k), 1, at(r > 0 ? r - 1 : r, c, left), 1);
        builder.add(at(r, c, k), 2, at(r + 1 < kSide ? r + 1 : r, c, left), 1);
        builder.add(at(r, c, k), 3, at(r, c > 0 ? c - 1 : c, left), 1);
        builder.add(at(r, c, k), 4, at(r, c + 1 < kSide ? c + 1 : c, left), 1);
      }
    }
  }
  builder.start(at(1, 1, kCounts - 1), 1);
  return std::move(builder).finish().value();
}

void soft_planning(benchmark::State& state) {
  const world::Process process = grid(20);
  Rng rng(1);
  std::vector<double> pay(process.pairs());
  for (double& r : pay) r = rng.normal();
  // Agreement before time: the value of one state at the last step, by the formula.
  world::Process last = process;
  last.horizon = 1;
  double sum = 0;
  for (std::uint32_t a = 0; a < 5; ++a) sum += std::exp(pay[a]);
  if (std::abs(world::soft_value_iteration(last, pay, 1)->value[0] - std::log(sum)) > 1e-12) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(world::soft_value_iteration(process, pay, 1));
  state.counters["backups"] =
      benchmark::Counter(static_cast<double>(process.pairs()) * 20, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(soft_planning)->Unit(benchmark::kMillisecond);

/// The same backups with a maximum for the exponentials, and without a policy.
void hard_planning(benchmark::State& state) {
  const world::Process process = grid(20);
  Rng rng(1);
  std::vector<double> pay(process.pairs());
  for (double& r : pay) r = rng.normal();
  for (auto _ : state) benchmark::DoNotOptimize(world::best_return(process, pay));
  state.counters["backups"] =
      benchmark::Counter(static_cast<double>(process.pairs()) * 20, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(hard_planning)->Name("floor/soft_planning")->Unit(benchmark::kMillisecond);

void implicit_apples(benchmark::State& state) {
  const auto past = world::make_world({"apples", "", {{"past", 1}}}).value()->observed_model().value();
  const auto now = world::make_world({"apples", "", {}}).value()->observed_model().value();
  const auto start =
      std::max_element(now->process->initial.begin(), now->process->initial.end()) - now->process->initial.begin();
  const auto place = std::find(past->keys.begin(), past->keys.end(), now->keys[static_cast<std::size_t>(start)]);
  const auto observed = static_cast<std::uint32_t>(place - past->keys.begin());
  if (!(reward::implicit_preferences(*past->process, *past->features, observed)->weights[0] > 0)) std::abort();
  for (auto _ : state)
    benchmark::DoNotOptimize(reward::implicit_preferences(*past->process, *past->features, observed));
}
BENCHMARK(implicit_apples)->Unit(benchmark::kMillisecond);

/// One soft plan of the past, of which a gradient needs at least one.
void plan_apples(benchmark::State& state) {
  const auto past = world::make_world({"apples", "", {{"past", 1}}}).value()->observed_model().value();
  for (auto _ : state) benchmark::DoNotOptimize(world::soft_value_iteration(*past->process, past->reward, 1));
}
BENCHMARK(plan_apples)->Name("floor/implicit_apples")->Unit(benchmark::kMillisecond);

void reachability(benchmark::State& state) {
  const world::Process process = grid(20);
  reward::ReachabilityOptions options;
  options.discount = static_cast<double>(state.range(0)) / 100;
  for (auto _ : state) benchmark::DoNotOptimize(reward::reachability_penalty(process, options));
}
BENCHMARK(reachability)->Arg(100)->Arg(95)->Unit(benchmark::kMillisecond);

/// Who reaches whom, a bit each, written once.
void bits(benchmark::State& state) {
  constexpr std::size_t kStates = 7840;
  std::vector<std::uint64_t> reached(kStates * ((kStates + 63) / 64));
  for (auto _ : state) {
    std::fill(reached.begin(), reached.end(), static_cast<std::uint64_t>(state.iterations()));
    benchmark::DoNotOptimize(reached.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(bits)->Name("floor/reachability")->Unit(benchmark::kMillisecond);

void sixty_lavalands(benchmark::State& state) {
  struct Map {
    std::shared_ptr<const world::ObservedModel> design, field;
  };
  std::vector<Map> maps;
  for (int number = 0; number < 60; ++number) {
    const double map = number;
    maps.push_back({world::make_world({"lavaland", "design", {{"map", map}}}).value()->observed_model().value(),
                    world::make_world({"lavaland", "lava", {{"map", map}}}).value()->observed_model().value()});
  }
  for (auto _ : state) {
    for (std::size_t i = 0; i < maps.size(); ++i) {
      Rng rng(i);
      const MatrixD candidates = reward::uniform_candidates(400, 4, 1, rng);
      const auto posterior = reward::inverse_reward_design(*maps[i].design->process, *maps[i].design->features,
                                                           maps[i].design->weights, candidates)
                                 .value();
      const MatrixD drawn = reward::draw_weights(posterior, 50, rng);
      benchmark::DoNotOptimize(
          reward::cautious_reward(*maps[i].field->features, drawn, reward::design_baseline(posterior)));
    }
  }
}
BENCHMARK(sixty_lavalands)->Unit(benchmark::kMillisecond);

/// A best plan a candidate and map: whoever weighs candidates by their designs needs that.
void lavaland_plans(benchmark::State& state) {
  std::vector<std::shared_ptr<const world::ObservedModel>> maps;
  for (int number = 0; number < 60; ++number) {
    const double map = number;
    maps.push_back(world::make_world({"lavaland", "design", {{"map", map}}}).value()->observed_model().value());
  }
  for (auto _ : state) {
    for (const auto& map : maps) {
      for (int candidate = 0; candidate < 400; ++candidate)
        benchmark::DoNotOptimize(world::best_return(*map->process, map->reward));
    }
  }
}
BENCHMARK(lavaland_plans)->Name("floor/sixty_lavalands")->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();

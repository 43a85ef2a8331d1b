// Steps a second of the small grids, one thread, batch of 1,024, observations written. Each world is first checked: the
// random agent's mean return must agree with the exact one. The floor is what a step cannot do without: reading state
// and action, writing observation, reward and done; `bytes` counts them, `floor/copy` is a plain copy of as many.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <benchmark/benchmark.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kRounds = 64;  // action arrays, drawn beforehand

struct Runner {
  explicit Runner(const WorldSpec& spec) : world(make_world(spec, kBatch).value()) {
    const WorldFacts& facts = world->facts();
    observation.resize(kBatch * facts.observation.size());
    base::Rng rng(1);
    for (std::int32_t& a : actions) a = static_cast<std::int32_t>(rng.below(facts.actions.size()));
    world->reset(1, 0, view());
  }
  View view() { return {observation, reward, done}; }
  bool step() {
    const std::size_t at = round++ % kRounds * kBatch;
    return world->step(std::span<const std::int32_t>(actions).subspan(at, kBatch), view()).ok();
  }
  std::size_t bytes() const {
    return world->facts().observation.size() * sizeof(float) + sizeof(float) + 1 + sizeof(std::int32_t) + 8;
  }

  WorldPtr world;
  std::vector<float> observation;
  std::vector<float> reward = std::vector<float>(kBatch);
  std::vector<std::uint8_t> done = std::vector<std::uint8_t>(kBatch);
  std::vector<std::int32_t> actions = std::vector<std::int32_t>(kRounds * kBatch);
  std::size_t round = 0;
};

void check(const WorldSpec& spec) {
  Runner runner(spec);
  const auto model = runner.world->observed_model();
  if (!model.ok()) return;
  const double exact = policy_return(*(*model)->process, (*model)->reward, uniform_policy(*(*model)->process)).value();
  base::Rng rng(2);
  double sum = 0;
  double squares = 0;
  std::size_t episodes = 0;
  std::vector<double> running(kBatch);
  for (int t = 0; t < 400; ++t) {
    for (std::int32_t& a : runner.actions)
      a = static_cast<std::int32_t>(rng.below(runner.world->facts().actions.size()));
    runner.round = 0;
    if (!runner.step()) std::exit(1);
    for (std::size_t i = 0; i < kBatch; ++i) {
      running[i] += runner.reward[i];
      // Only whole first episodes count, so that short ones are not over-represented.
      if (runner.done[i] == 0 || std::isnan(running[i])) continue;
      sum += running[i];
      squares += running[i] * running[i];
      ++episodes;
      running[i] = std::nan("");
    }
  }
  const double mean = sum / static_cast<double>(episodes);
  const double spread =
      std::sqrt((squares / static_cast<double>(episodes) - mean * mean) / static_cast<double>(episodes));
  if (std::abs(mean - exact) > 5 * spread + 1e-3) {
    std::fprintf(stderr, "%s: %g by simulation, %g exactly\n", spec.id.c_str(), mean, exact);
    std::exit(1);
  }
}

void steps(benchmark::State& state, const char* id, const char* level) {
  const WorldSpec spec{id, level, {}};
  check(spec);
  Runner runner(spec);
  for (auto _ : state) {
    if (!runner.step()) state.SkipWithError("a step failed");
    benchmark::DoNotOptimize(runner.observation.data());
    benchmark::ClobberMemory();
  }
  state.counters["steps/s"] =
      benchmark::Counter(static_cast<double>(kBatch * state.iterations()), benchmark::Counter::kIsRate);
  state.counters["bytes"] = static_cast<double>(runner.bytes());
}

void copy(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::vector<char> one(bytes, 1);
  std::vector<char> all(bytes * kBatch);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBatch; ++i) std::memcpy(all.data() + i * bytes, one.data(), bytes);
    benchmark::DoNotOptimize(all.data());
    benchmark::ClobberMemory();
  }
  state.counters["steps/s"] =
      benchmark::Counter(static_cast<double>(kBatch * state.iterations()), benchmark::Counter::kIsRate);
}

BENCHMARK(copy)->Name("floor/copy")->Arg(117)->Arg(161)->Arg(209);
BENCHMARK_CAPTURE(steps, boat_race, "boat_race", "");
BENCHMARK_CAPTURE(steps, absent_supervisor, "absent_supervisor", "");
BENCHMARK_CAPTURE(steps, sokoban_0, "sokoban", "0");
BENCHMARK_CAPTURE(steps, sokoban_1, "sokoban", "1");
BENCHMARK_CAPTURE(steps, rocks_and_diamonds_1, "rocks_and_diamonds", "1");
BENCHMARK_CAPTURE(steps, conveyor, "conveyor", "vase");
BENCHMARK_CAPTURE(steps, island, "island", "");
BENCHMARK_CAPTURE(steps, distributional_shift, "distributional_shift", "train");
BENCHMARK_CAPTURE(steps, whisky_and_gold, "whisky_and_gold", "");
BENCHMARK_CAPTURE(steps, safe_interruptibility, "safe_interruptibility", "1");
BENCHMARK_CAPTURE(steps, tomato, "tomato", "");
BENCHMARK_CAPTURE(steps, friend_or_foe, "friend_or_foe", "neutral");
BENCHMARK_CAPTURE(steps, vase, "vase", "");
BENCHMARK_CAPTURE(steps, treacherous_turn, "treacherous_turn", "");

}  // namespace
}  // namespace plumbline::world

BENCHMARK_MAIN();

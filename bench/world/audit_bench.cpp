// The audit of every world that can be enumerated, at its first level, one thread. Goal: all small ones (at most 20,000
// states) in under a second together. Before time: the optimum agrees with a linear program in the smallest worlds. The
// floor is one backward pass over the transitions at the world's horizon, the least that any exact audit does twice.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/occupancy.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

constexpr std::uint32_t kSmall = 20000;

struct Subject {
  WorldSpec spec;
  std::uint32_t states = 0;
};

/// Every world and level that is enumerated, with its number of states.
const std::vector<Subject>& subjects() {
  static const std::vector<Subject> kAll = [] {
    std::vector<Subject> all;
    for (const WorldEntry& entry : worlds()) {
      for (const std::string& level : entry.facts.levels) {
        const WorldSpec spec{entry.facts.id, level, {}};
        const auto model = make_world(spec).value()->observed_model();
        if (model.ok()) all.push_back({spec, (*model)->process->states});
      }
    }
    return all;
  }();
  return kAll;
}

void check() {
  constexpr std::uint32_t kProgram = 60;
  for (const Subject& subject : subjects()) {
    if (subject.states > kProgram) continue;
    const auto model = make_world(subject.spec).value()->observed_model().value();
    const double plan = best_return(*model->process, model->reward).value();
    const OccupancyPolytope polytope = OccupancyPolytope::finite_horizon(*model->process).value();
    const double program = best_occupancy(polytope, model->reward).value().value;
    if (std::abs(plan - program) <= 1e-7 * (1 + std::abs(plan))) continue;
    std::fprintf(stderr, "%s: %g by planning, %g by the program\n", subject.spec.id.c_str(), plan, program);
    std::exit(1);
  }
}

void audit_small(benchmark::State& state) {
  check();
  double count = 0, states = 0;
  for (const Subject& subject : subjects()) {
    if (subject.states > kSmall) continue;
    ++count;
    states += subject.states;
  }
  for (auto _ : state) {
    for (const Subject& subject : subjects()) {
      if (subject.states <= kSmall) benchmark::DoNotOptimize(audit(subject.spec));
    }
  }
  state.counters["worlds"] = count;
  state.counters["states"] = states;
}
BENCHMARK(audit_small)->Unit(benchmark::kMillisecond);

void passes_small(benchmark::State& state) {
  std::vector<std::shared_ptr<const ObservedModel>> models;
  for (const Subject& subject : subjects()) {
    if (subject.states <= kSmall) models.push_back(make_world(subject.spec).value()->observed_model().value());
  }
  for (auto _ : state) {
    for (const auto& model : models) benchmark::DoNotOptimize(best_return(*model->process, model->reward));
  }
}
BENCHMARK(passes_small)->Name("floor/one_pass_small")->Unit(benchmark::kMillisecond);

void audit_one(benchmark::State& state, const char* id, const char* level) {
  for (auto _ : state) benchmark::DoNotOptimize(audit({id, level, {}}));
}
BENCHMARK_CAPTURE(audit_one, sokoban_2, "sokoban", "2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(audit_one, software_foreman, "software_foreman", "")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace plumbline::world

BENCHMARK_MAIN();

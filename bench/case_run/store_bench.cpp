// The evidence store at 10,000 runs: a page of the listing, one run whole, one more run closed. Goal: a page under 100
// ms.
#include <filesystem>

#include <benchmark/benchmark.h>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/store.hpp"
#include "tests/support/testing.hpp"

namespace {

namespace check = plumbline::check;
namespace run = plumbline::run;
namespace testing = plumbline::testing;

check::Output output_of(int run) {
  check::Output output;
  for (int i = 0; i < 5; ++i) {
    check::Evidence e;
    e.check = "probe.accuracy";
    e.metric = "accuracy";
    e.where = {{"data", "test"}, {"slice", std::to_string(i)}};
    e.estimate.value = run + 0.1 * i;
    e.id = check::evidence_id(e);
    output.evidence.push_back(e);
  }
  return output;
}

void add_run(run::Store& store, int number) {
  check::RunRecord header;
  header.system = "bench";
  header.started = "2026-01-01T00:00:00Z";
  const auto id = store.begin_run(header);
  if (!id.ok() || !store.add_task(*id, {}, output_of(number)).ok() ||
      !store.close_run(*id, check::RunStatus::kSuccess, "", 1).ok())
    std::abort();
}

run::Store& big_store() {
  static const testing::TempFolder folder;
  static const std::unique_ptr<run::Store> store = [] {
    auto opened = run::open_sqlite_store(folder.file("store.db"));
    if (!opened.ok()) std::abort();
    for (int i = 0; i < 10000; ++i) add_run(**opened, i);
    // Agreement before time: the last run is what was written last.
    const auto latest = (*opened)->load_run("latest");
    if (!latest.ok() || latest->evidence.size() != 5 || latest->evidence[0].estimate.value != 9999) std::abort();
    return std::move(opened).value();
  }();
  return *store;
}

void BM_PageOfRuns(benchmark::State& state) {
  run::Store& store = big_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.runs(static_cast<std::size_t>(state.range(0)), 50));
}
BENCHMARK(BM_PageOfRuns)->Arg(0)->Arg(9900)->Unit(benchmark::kMillisecond);

void BM_LoadRun(benchmark::State& state) {
  run::Store& store = big_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.load_run("latest"));
}
BENCHMARK(BM_LoadRun)->Unit(benchmark::kMillisecond);

void BM_TrendOf100(benchmark::State& state) {
  run::Store& store = big_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.trend("probe.accuracy", "accuracy", 100));
}
BENCHMARK(BM_TrendOf100)->Unit(benchmark::kMillisecond);

}  // namespace
BENCHMARK_MAIN();

// The dashboard's lists at 10,000 runs with 50 figures and 5 findings each. Goal: the first page within 200 ms, of
// which the list is one part.
#include <filesystem>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/store.hpp"
#include "tests/support/testing.hpp"

namespace {

namespace check = plumbline::check;
namespace run = plumbline::run;
namespace testing = plumbline::testing;

constexpr int kRuns = 10'000;

check::Output output_of(int number) {
  check::Output output;
  for (int i = 0; i < 50; ++i) {
    check::Evidence e;
    e.check = fmt::format("room.check_{}", i / 5);
    e.subject = "model@test";
    e.metric = fmt::format("metric_{}", i % 5);
    e.where = {{"data", "test"}};
    e.estimate.value = number + 0.01 * i;
    e.id = check::evidence_id(e);
    output.evidence.push_back(e);
  }
  for (int i = 0; i < 5; ++i) {
    check::Finding f;
    f.id = fmt::format("{:016x}", 5 * number + i);
    f.check = fmt::format("room.check_{}", i);
    f.subject = "model@test";
    f.title = "41 of 100 rows of the slice are read wrong";
    f.detail = "What was seen, what it means, and what may be done about it, in a sentence or two of the usual length.";
    output.findings.push_back(f);
  }
  return output;
}

run::Store& big_store() {
  static const testing::TempFolder folder;
  static const std::unique_ptr<run::Store> store = [] {
    const char* kept = std::getenv("PLUMBLINE_BENCH_STORE");  // for plumbline serve to be measured on the same store
    const std::string path = kept != nullptr ? kept : folder.file("store.db");
    auto opened = run::open_sqlite_store(path);
    if (!opened.ok()) std::abort();
    const std::size_t there = (*opened)->find_runs({})->total;
    for (int i = static_cast<int>(there); i < kRuns; ++i) {
      check::RunRecord header;
      header.system = i % 3 == 0 ? "digit reader" : "loan desk";
      header.name = i % 5 == 0 ? fmt::format("release {}", i / 5) : "";
      header.started =
          fmt::format("2026-{:02}-{:02}T{:02}:{:02}:00Z", 1 + i / 900, 1 + i / 30 % 28, i / 60 % 24, i % 60);
      const auto id = (*opened)->begin_run(header);
      if (!id.ok() || !(*opened)->add_task(*id, {}, output_of(i)).ok() ||
          !(*opened)->close_run(*id, check::RunStatus::kSuccess, "", i % 100).ok() ||
          !(*opened)->set_verdicts(*id, "", i % 7 == 0 ? "refuted 1, supported 4" : "supported 5", i % 7 == 0).ok())
        std::abort();
    }
    // Agreement before time.
    run::RunQuery refuted;
    refuted.verdict = "refuted";
    if ((*opened)->find_runs(refuted)->total != (kRuns + 6) / 7 ||
        (*opened)->findings({"room.check_3", 0, 1})->total != kRuns)
      std::abort();
    return std::move(opened).value();
  }();
  return *store;
}

void page(benchmark::State& state, const run::RunQuery& query) {
  run::Store& store = big_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.find_runs(query));
}

void BM_FirstPage(benchmark::State& state) {
  run::RunQuery query;
  query.limit = 50;
  page(state, query);
}
BENCHMARK(BM_FirstPage)->Unit(benchmark::kMillisecond);

void BM_LastPage(benchmark::State& state) {
  run::RunQuery query;
  query.limit = 50;
  query.offset = kRuns - 50;
  page(state, query);
}
BENCHMARK(BM_LastPage)->Unit(benchmark::kMillisecond);

void BM_SearchedPage(benchmark::State& state) {
  run::RunQuery query;
  query.limit = 50;
  query.text = "release 19";
  query.verdict = "refuted";
  page(state, query);
}
BENCHMARK(BM_SearchedPage)->Unit(benchmark::kMillisecond);

void BM_SortedPage(benchmark::State& state) {
  run::RunQuery query;
  query.limit = 50;
  query.order = static_cast<run::RunQuery::Order>(state.range(0));
  page(state, query);
}
BENCHMARK(BM_SortedPage)
    ->Arg(static_cast<int>(run::RunQuery::Order::kLongest))
    ->Arg(static_cast<int>(run::RunQuery::Order::kMostEvidence))
    ->Unit(benchmark::kMillisecond);

void BM_Findings(benchmark::State& state) {
  run::Store& store = big_store();
  run::FindingQuery query;
  if (state.range(0) == 1) query.check = "room.check_4";
  for (auto _ : state) benchmark::DoNotOptimize(store.findings(query));
}
BENCHMARK(BM_Findings)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_Metrics(benchmark::State& state) {
  run::Store& store = big_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.metrics());
}
BENCHMARK(BM_Metrics)->Unit(benchmark::kMillisecond);

void BM_TrendOfOneSubject(benchmark::State& state) {
  run::Store& store = big_store();
  const run::TrendQuery query{"room.check_9", "metric_4", "model@test", {{"data", "test"}}, 200};
  for (auto _ : state) benchmark::DoNotOptimize(store.trend(query));
}
BENCHMARK(BM_TrendOfOneSubject)->Unit(benchmark::kMillisecond);

}  // namespace
BENCHMARK_MAIN();

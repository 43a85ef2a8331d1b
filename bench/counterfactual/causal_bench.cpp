// Causal networks. Goals on one core: all posteriors of alarm below 1 ms and of water below 100 ms; mildew read below
// 100 ms; PC of alarm, 10,000 rows, below 0.2 s. PLUMBLINE_DATA holds causal/bayesnets and causal/structure.
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>

#include <benchmark/benchmark.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/discover.hpp"
#include "plumbline/counterfactual/causal/junction_tree.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "plumbline/data/csv.hpp"
#include "tests/support/testing.hpp"

namespace {

namespace causal = plumbline::counterfactual::causal;
using causal::Network;

const std::vector<std::string> kNames = {"asia",     "alarm", "insurance", "hailfinder",
                                         "win95pts", "water", "mildew",    "drawn-400"};

/// 400 variables of 3 states, each with up to two parents among the ten before it: wider than the public ones.
Network large() {
  plumbline::base::Rng rng(1);
  std::vector<causal::Variable> variables;
  std::vector<causal::Mechanism> mechanisms;
  for (int v = 0; v < 400; ++v) {
    variables.push_back({"v" + std::to_string(v), {"a", "b", "c"}});
    causal::Mechanism m;
    std::size_t rows = 1;
    for (const std::size_t back :
         rng.sample(static_cast<std::size_t>(std::min(v, 10)), static_cast<std::size_t>(std::min(v, 2)))) {
      m.parents.push_back(v - 1 - static_cast<int>(back));
      rows *= 3;
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const double p = 0.1 + 0.3 * rng.uniform();
      const double q = 0.1 + 0.3 * rng.uniform();
      m.table.insert(m.table.end(), {p, q, 1 - p - q});
    }
    mechanisms.push_back(std::move(m));
  }
  return Network::make("large", std::move(variables), std::move(mechanisms)).value();
}

const Network& network(benchmark::State& state) {
  static std::map<std::int64_t, Network> known;
  const std::int64_t k = state.range(0);
  const std::string& name = kNames[static_cast<std::size_t>(k)];
  state.SetLabel(name);
  if (const auto found = known.find(k); found != known.end()) return found->second;
  if (name == "drawn-400") return known.emplace(k, large()).first->second;
  const auto path = plumbline::testing::data_path("causal/bayesnets/" + name + ".bif");
  if (!path) std::abort();  // set PLUMBLINE_DATA
  return known.emplace(k, causal::read_bif(*path).value()).first->second;
}

/// The first three childless variables by name in their first state, which is what the peers were timed with.
causal::Assignments leaves(const Network& n) {
  std::map<std::string, int> found;
  for (int v = 0; v < static_cast<int>(n.size()); ++v)
    if (n.children(v).empty()) found.emplace(n.variable(v).name, v);
  causal::Assignments out;
  for (const auto& [name, v] : found)
    if (out.size() < 3) out.push_back({v, 0});
  return out;
}

void agree(const Network& n, const causal::Assignments& evidence) {
  const causal::Posteriors all = causal::JunctionTree::make(n).posteriors(evidence).value();
  for (int v = 0; v < static_cast<int>(n.size()); v += 7) {
    const causal::Answer one = causal::ask(n, {{v}, evidence, {}}).value();
    if (all.impossible != (one.outcome == causal::QueryOutcome::kImpossible)) std::abort();
    if (all.impossible) return;
    // Rows that miss one by 1e-6 count in the tree alone.
    for (std::size_t k = 0; k < one.probability.size(); ++k)
      if (std::abs(one.probability[k] - all.marginal[static_cast<std::size_t>(v)][k]) > 1e-5) std::abort();
  }
}

void build_tree(benchmark::State& state) {
  const Network& n = network(state);
  for (auto _ : state) benchmark::DoNotOptimize(causal::JunctionTree::make(n));
  state.counters["cells"] = causal::JunctionTree::make(n).cells();
}
BENCHMARK(build_tree)->DenseRange(0, 7)->Unit(benchmark::kMillisecond);

void all_posteriors(benchmark::State& state) {
  const Network& n = network(state);
  const causal::Assignments evidence = state.range(1) == 0 ? causal::Assignments{} : leaves(n);
  agree(n, evidence);
  const auto tree = causal::JunctionTree::make(n);
  for (auto _ : state) benchmark::DoNotOptimize(tree.posteriors(evidence));
}
BENCHMARK(all_posteriors)->ArgsProduct({benchmark::CreateDenseRange(0, 7, 1), {0, 1}})->Unit(benchmark::kMillisecond);

/// As the command line answers: the tree is made too, or one elimination a variable where rows are off one.
void all_marginals(benchmark::State& state) {
  const Network& n = network(state);
  for (auto _ : state) benchmark::DoNotOptimize(causal::marginals(n, {}));
}
BENCHMARK(all_marginals)->DenseRange(0, 7)->Unit(benchmark::kMillisecond);

void one_query(benchmark::State& state) {
  const Network& n = network(state);
  const causal::Assignments evidence = leaves(n);
  int v = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(causal::ask(n, {{v}, evidence, {}}));
    v = (v + 1) % static_cast<int>(n.size());
  }
}
BENCHMARK(one_query)->DenseRange(0, 7)->Unit(benchmark::kMillisecond);

void read_mildew(benchmark::State& state) {
  const auto path = plumbline::testing::data_path("causal/bayesnets/mildew.bif");
  if (!path) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(causal::read_bif(*path));
}
BENCHMARK(read_mildew)->Unit(benchmark::kMillisecond);

causal::Sample alarm_rows() {
  plumbline::data::TableOptions reading;
  reading.separator = ' ';
  const auto path = plumbline::testing::data_path("causal/structure/alarm_10000.txt");
  if (!path) std::abort();
  return causal::make_sample(plumbline::data::read_csv(*path, reading).value()).value();
}

/// 50 numbers, each a sum of up to three before it.
causal::Sample fifty_numbers() {
  plumbline::base::Rng rng(2);
  causal::Sample out;
  out.rows = 10000;
  out.numbers.resize(10000, 50);
  for (int v = 0; v < 50; ++v) {
    out.names.push_back("v" + std::to_string(v));
    for (int i = 0; i < 10000; ++i) out.numbers(i, v) = rng.normal();
    for (const std::size_t p : rng.sample(static_cast<std::size_t>(v), static_cast<std::size_t>(std::min(v, 3))))
      out.numbers.col(v) += rng.uniform(0.3, 0.8) * out.numbers.col(static_cast<Eigen::Index>(p));
  }
  return out;
}

void learn(benchmark::State& state) {
  const causal::Sample sample = state.range(0) == 0 ? alarm_rows() : fifty_numbers();
  causal::LearnOptions options;
  options.method = state.range(1) == 0 ? causal::Method::kPc : causal::Method::kGes;
  state.SetLabel(std::string(state.range(0) == 0 ? "alarm, 37 states" : "50 numbers") +
                 (state.range(1) == 0 ? ", pc" : ", ges"));
  for (auto _ : state) benchmark::DoNotOptimize(causal::learn(sample, options, plumbline::base::Rng(1)));
}
BENCHMARK(learn)->ArgsProduct({{0, 1}, {0, 1}})->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

}  // namespace
BENCHMARK_MAIN();

// Learning row by row, sums over a long log, and its resamples. Goals on two cores: LinUCB on 34 actions at 51,500
// rows/s or more (Vowpal Wabbit's epsilon-greedy on the same shape, one core); a pass of ips, snips and dr over
// 10,000,000 rows at the speed of memory; 1,000 resamples of 1,000,000 rows below 1 s.
#include <cmath>
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/estimators.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/counterfactual/learning/learner.hpp"
#include "plumbline/counterfactual/weighted_sums.hpp"

namespace {

namespace ope = plumbline::counterfactual;
namespace learning = ope::learning;
using plumbline::base::Rng;

/// Probabilities, a draw and an update a row: 34 actions, 6 features.
void learn_rows(benchmark::State& state) {
  constexpr std::size_t kActions = 34;
  constexpr std::size_t kFeatures = 6;
  learning::LearnerOptions options;
  options.algorithm = static_cast<learning::Algorithm>(state.range(0));
  options.epsilon = 0.1;
  learning::Learner learner = learning::Learner::make(kActions, kFeatures, options).value();
  std::vector<int> available(kActions);
  for (std::size_t a = 0; a < kActions; ++a) available[a] = static_cast<int>(a);
  Rng rng(1);
  std::vector<double> x(1024 * kFeatures);
  for (double& v : x) v = rng.normal();
  std::vector<double> p(kActions);
  std::size_t i = 0;
  double total = 0;
  for (auto _ : state) {
    const std::span row(x.data() + (i++ % 1024) * kFeatures, kFeatures);
    learner.probabilities(row, available, p);
    const std::size_t a = learning::draw(p, rng.uniform());
    learner.update(row, static_cast<int>(a), row[1] * (a % 3 == 0 ? 1 : -1));
    total += p[a];
  }
  if (!(total > 0)) std::abort();
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(std::string(learning::algorithm_name(options.algorithm)));
}
BENCHMARK(learn_rows)->DenseRange(0, 5)->Unit(benchmark::kMicrosecond);

ope::OpeRows long_log(std::size_t rows) {
  ope::OpeRows out;
  out.logged = rows;
  out.actions = 2;
  Rng rng(2);
  for (std::size_t i = 0; i < rows; ++i) {
    out.row.push_back(i);
    out.action.push_back(static_cast<int>(rng.below(2)));
    out.reward.push_back(rng.uniform());
    out.propensity.push_back(0.5);
    out.weight.push_back(rng.uniform(0.5, 1.5));
    out.missing.push_back(0);
  }
  return out;
}

/// ips, snips and dr (its fitted rewards given) over 10,000,000 rows, against a plain sum of as many bytes.
void pass_over_ten_million(benchmark::State& state) {
  constexpr std::size_t kRows = 10'000'000;
  const ope::OpeRows rows = long_log(kRows);
  const std::vector<double> fitted(kRows, 0.5);
  for (auto _ : state) {
    const auto at = [&](std::size_t i) { return rows.weight[i] * rows.reward[i]; };
    const double ips = plumbline::base::ordered_sum(kRows, at) / kRows;
    const double snips = ips * kRows / plumbline::base::ordered_sum(rows.weight);
    const double dr =
        plumbline::base::ordered_sum(
            kRows, [&](std::size_t i) { return fitted[i] + rows.weight[i] * (rows.reward[i] - fitted[i]); }) /
        kRows;
    if (std::abs(ips - 0.5) > 0.01 || std::abs(snips - 0.5) > 0.01 || std::abs(dr - 0.5) > 0.01) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
  // Reads of weight and reward; of weight; of weight, reward and fitted.
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kRows) * 6 * 8);
}
BENCHMARK(pass_over_ten_million)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();

/// 1,000 resamples of the sums that ips and snips need, 1,000,000 rows.
void resample_a_million(benchmark::State& state) {
  constexpr std::size_t kRows = 1'000'000;
  Rng rng(3);
  std::vector<double> values(3 * kRows);
  std::vector<std::uint64_t> unit(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    unit[i] = i;
    values[3 * i] = 1;
    values[3 * i + 1] = rng.uniform(0.5, 1.5);
    values[3 * i + 2] = rng.uniform() * values[3 * i + 1];
  }
  for (auto _ : state) {
    ope::ResampledSums sums(3, 1000, 7);
    sums.add(values, unit);
    // The deviation of a mean over a million rows is 1/1000 of that of a row.
    double square = 0;
    for (std::size_t b = 0; b < 1000; ++b) square += std::pow(sums.sums(b)[0] / kRows - 1, 2) / 1000;
    if (std::abs(std::sqrt(square) * 1000 - 1) > 0.1) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows) * 1000);
}
BENCHMARK(resample_a_million)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace

BENCHMARK_MAIN();

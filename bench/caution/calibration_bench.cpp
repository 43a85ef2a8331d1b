// Temperature scaling and calibration error: agreement with plain formulas first, then time.
// Floor of the slope and curvature: one exponential a logit.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/caution/calibration.hpp"
#include "plumbline/caution/conformal.hpp"
#include "plumbline/caution/temperature_scaling.hpp"

namespace plumbline::caution {
namespace {

struct Sample {
  MatrixD logits;
  std::vector<int> labels;
};

Sample simulate(std::ptrdiff_t rows, std::ptrdiff_t classes) {
  base::Rng rng(1, {"calibration bench"});
  Sample sample{MatrixD(rows, classes), {}};
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    for (std::ptrdiff_t c = 0; c < classes; ++c) sample.logits(i, c) = rng.normal(0, 2);
    sample.labels.push_back(static_cast<int>(rng.below(static_cast<std::uint64_t>(classes))));
    sample.logits(i, sample.labels.back()) += 2;
  }
  return sample;
}

// Slope and curvature by the definition, to 1e-10.
bool agrees() {
  const Sample sample = simulate(5000, 10);
  for (const double beta : {0.1, 0.7, 2.0}) {
    double slope = 0;
    double curvature = 0;
    for (std::ptrdiff_t i = 0; i < sample.logits.rows(); ++i) {
      double mass = 0, first = 0, second = 0;
      for (std::ptrdiff_t c = 0; c < sample.logits.cols(); ++c) {
        const double z = sample.logits(i, c);
        const double w = std::exp(beta * z);
        mass += w;
        first += w * z;
        second += w * z * z;
      }
      slope += first / mass - sample.logits(i, sample.labels[static_cast<std::size_t>(i)]);
      curvature += second / mass - first / mass * (first / mass);
    }
    const auto n = static_cast<double>(sample.logits.rows());
    const LossShape shape = temperature_loss(sample.logits, sample.labels, beta);
    if (std::abs(shape.slope - slope / n) > 1e-10 || std::abs(shape.curvature - curvature / n) > 1e-10) return false;
  }
  return true;
}

void BM_TemperatureLoss(benchmark::State& state) {
  const Sample sample = simulate(state.range(0), state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(temperature_loss(sample.logits, sample.labels, 0.8));
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(state.range(0)), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_TemperatureLoss)
    ->ArgsProduct({{1000, 100000}, {2, 10}})
    ->Args({1000000, 10})
    ->Args({10000, 1000})
    ->Unit(benchmark::kMillisecond);

void BM_FitTemperature(benchmark::State& state) {
  const Sample sample = simulate(state.range(0), 10);
  int steps = 0;
  for (auto _ : state) steps = fit_temperature(sample.logits, sample.labels)->steps;
  state.counters["steps"] = steps;
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(state.range(0)), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_FitTemperature)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void BM_TopLabelCalibration(benchmark::State& state) {
  const Sample sample = simulate(state.range(0), 10);
  const MatrixD p = *apply_temperature(sample.logits, 1.0);
  for (auto _ : state) benchmark::DoNotOptimize(top_label_calibration(p, sample.labels));
}
BENCHMARK(BM_TopLabelCalibration)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void BM_ClassWiseCalibration(benchmark::State& state) {
  const Sample sample = simulate(10000, state.range(0));
  const MatrixD p = *apply_temperature(sample.logits, 1.0);
  for (auto _ : state) benchmark::DoNotOptimize(class_wise_calibration(p, sample.labels));
}
BENCHMARK(BM_ClassWiseCalibration)->Arg(2)->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond);

void BM_ConformalSets(benchmark::State& state) {
  const Sample sample = simulate(state.range(0), 10);
  const MatrixD p = *apply_temperature(sample.logits, 1.0);
  const ConformalOptions options{.method = ConformalMethod::kAps};
  const base::Rng rng(2);
  for (auto _ : state) benchmark::DoNotOptimize(predict_sets(*fit_conformal(p, sample.labels, options, rng), p, rng));
}
BENCHMARK(BM_ConformalSets)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace plumbline::caution

int main(int argc, char** argv) {
  if (!plumbline::caution::agrees()) {
    std::fprintf(stderr, "temperature_loss disagrees with the plain formula; no time is worth measuring\n");
    return EXIT_FAILURE;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return EXIT_SUCCESS;
}

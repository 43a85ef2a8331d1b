// Doubly robust estimation on 100,000 rows of 50 covariates, matching, discontinuity.
#include <cmath>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/counterfactual/effects/discontinuity.hpp"
#include "plumbline/counterfactual/effects/effect.hpp"

namespace {

namespace effects = plumbline::counterfactual::effects;
using Index = Eigen::Index;

/// Effect 1; the first ten covariates move both.
effects::Study study_of(Index n, Index d) {
  plumbline::base::Rng rng(1);
  effects::Study s;
  s.x.resize(n, d);
  s.outcome.resize(n);
  s.treatment.resize(n);
  for (Index i = 0; i < n; ++i) {
    double sum = 0;
    for (Index j = 0; j < d; ++j) {
      s.x(i, j) = rng.normal();
      if (j < 10) sum += s.x(i, j);
    }
    s.treatment(i) = rng.bernoulli(1 / (1 + std::exp(-0.2 * sum))) ? 1 : 0;
    s.outcome(i) = 0.5 * sum + s.treatment(i) + rng.normal();
    s.rows.push_back(static_cast<std::size_t>(i));
  }
  for (Index j = 0; j < d; ++j) {
    s.columns.push_back(std::to_string(j));
    s.covariates.push_back(std::to_string(j));
    s.covariate.push_back(static_cast<std::size_t>(j));
  }
  s.levels = 2;
  s.binary = true;
  return s;
}

void doubly_robust(benchmark::State& state) {
  const effects::Study s = study_of(state.range(0), 50);
  effects::EffectOptions o;
  o.learner = state.range(1) == 0 ? effects::Learner::kLinear : effects::Learner::kTrees;
  state.SetLabel(std::string(effects::learner_name(o.learner)));
  // Agreement before time: the effect is known.
  const auto first = effects::estimate_effect(s, effects::Method::kAipw, o, plumbline::base::Rng(2)).value();
  if (std::abs(first.estimate.value - 1) > 6 * first.standard_error + 0.02) std::abort();
  for (auto _ : state)
    benchmark::DoNotOptimize(effects::estimate_effect(s, effects::Method::kAipw, o, plumbline::base::Rng(2)));
}
BENCHMARK(doubly_robust)
    ->ArgsProduct({{100'000}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

void matching(benchmark::State& state) {
  const effects::Study s = study_of(state.range(0), 10);
  for (auto _ : state)
    benchmark::DoNotOptimize(effects::estimate_effect(s, effects::Method::kMatch, {}, plumbline::base::Rng(2)));
}
BENCHMARK(matching)->Arg(2'000)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void discontinuity(benchmark::State& state) {
  const Index n = state.range(0);
  plumbline::base::Rng rng(3);
  Eigen::VectorXd x(n), y(n);
  for (Index i = 0; i < n; ++i) {
    x(i) = rng.uniform(-1, 1);
    y(i) = std::sin(2 * x(i)) + (x(i) >= 0 ? 1 : 0) + 0.3 * rng.normal();
  }
  for (auto _ : state) benchmark::DoNotOptimize(effects::fit_discontinuity(x, y, {}, {}, {}));
}
BENCHMARK(discontinuity)->Arg(1'300)->Unit(benchmark::kMillisecond);

}  // namespace
BENCHMARK_MAIN();

// Out-of-distribution scores: agreement with plain formulas first, then time. The sizes are those of the published
// comparison: 60,000 rows of 64 features to fit, 20,000 to score.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/ood.hpp"

namespace plumbline::robustness {
namespace {

constexpr std::ptrdiff_t kColumns = 64;

/// Ten classes with a spectrum that falls like that of image features.
void fill(MatrixF& rows, std::vector<int>& labels, base::Rng rng) {
  MatrixD centres(10, kColumns);
  base::Rng shared(1, {"centres"});
  for (std::ptrdiff_t k = 0; k < 10; ++k) {
    for (std::ptrdiff_t j = 0; j < kColumns; ++j) centres(k, j) = 5 * shared.normal() / (1.0 + static_cast<double>(j));
  }
  labels.resize(static_cast<std::size_t>(rows.rows()));
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    const auto k = static_cast<std::ptrdiff_t>(rng.below(10));
    labels[static_cast<std::size_t>(i)] = static_cast<int>(k);
    for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
      rows(i, j) = static_cast<float>(centres(k, j) + 3 * rng.normal() / std::sqrt(1.0 + static_cast<double>(j)) *
                                                          std::exp(-0.02 * static_cast<double>(j)));
    }
  }
}

struct Data {
  MatrixF train{60000, kColumns};
  MatrixF test{20000, kColumns};
  std::vector<int> labels;
  Data() {
    std::vector<int> unused;
    fill(train, labels, base::Rng(2, {"train"}));
    fill(test, unused, base::Rng(3, {"test"}));
  }
};

const Data& data() {
  static const Data all;
  return all;
}

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "disagreement: %s\n", what);
  std::exit(1);
}

double plain_knn(const MatrixF& reference, const float* row, std::size_t k) {
  std::vector<double> squares;
  for (std::ptrdiff_t r = 0; r < reference.rows(); ++r) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < reference.cols(); ++j) {
      const double gap = static_cast<double>(row[j]) - static_cast<double>(reference(r, j));
      sum += gap * gap;
    }
    squares.push_back(sum);
  }
  std::nth_element(squares.begin(), squares.begin() + static_cast<std::ptrdiff_t>(k - 1), squares.end());
  return std::sqrt(squares[k - 1]);
}

void nearest_neighbours(benchmark::State& state) {
  base::set_threads(static_cast<int>(state.range(0)));
  const NearestNeighbours knn = NearestNeighbours::fit(data().train, {.k = 50, .unit_length = false}).value();
  const MatrixF few = data().test.topRows(50);
  const VectorD scores = knn.score(few).value();
  for (std::ptrdiff_t i = 0; i < few.rows(); ++i)
    check(scores(i) == plain_knn(data().train, &few(i, 0), 50), "k nearest neighbours and brute force in double");
  for (auto _ : state) benchmark::DoNotOptimize(knn.score(data().test).value());
  state.counters["rows/s"] = benchmark::Counter(20000.0, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["leading axes"] = static_cast<double>(knn.leading());
}
BENCHMARK(nearest_neighbours)->Arg(1)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void mahalanobis_fit_and_score(benchmark::State& state) {
  base::set_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const MahalanobisScore fit = fit_mahalanobis(data().train, data().labels, 10).value();
    benchmark::DoNotOptimize(fit.score(data().test).value());
  }
}
BENCHMARK(mahalanobis_fit_and_score)->Arg(1)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

/// The floor of a full search: the float products of all pairs, by blocks, and nothing else. The search prunes, so it
/// may come close to it.
void floor_products_of_all_pairs(benchmark::State& state) {
  const MatrixF& train = data().train;
  MatrixF products(256, 4096);
  for (auto _ : state) {
    for (std::ptrdiff_t q = 0; q + 256 <= data().test.rows(); q += 256) {
      for (std::ptrdiff_t r = 0; r + 4096 <= train.rows(); r += 4096) {
        products.noalias() = data().test.middleRows(q, 256) * train.middleRows(r, 4096).transpose();
        benchmark::DoNotOptimize(products.data());
        benchmark::ClobberMemory();
      }
    }
  }
}
BENCHMARK(floor_products_of_all_pairs)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

/// The floor of fit and score: the lower half of one scatter, one whitening and the class products, in double.
void floor_products_of_mahalanobis(benchmark::State& state) {
  const MatrixD train = data().train.cast<double>();
  const MatrixD test = data().test.cast<double>();
  const MatrixD whitening = MatrixD::Identity(kColumns, kColumns);
  const MatrixD means = MatrixD::Ones(kColumns, 10);
  MatrixD scatter = MatrixD::Zero(kColumns, kColumns);
  MatrixD white(512, kColumns);
  MatrixD cross(512, 10);
  for (auto _ : state) {
    for (std::ptrdiff_t r = 0; r + 512 <= train.rows(); r += 512)
      scatter.selfadjointView<Eigen::Lower>().rankUpdate(train.middleRows(r, 512).transpose());
    for (std::ptrdiff_t r = 0; r + 512 <= test.rows(); r += 512) {
      white.noalias() = test.middleRows(r, 512) * whitening;
      cross.noalias() = white * means;
      benchmark::DoNotOptimize(cross.data());
    }
    benchmark::DoNotOptimize(scatter.data());
  }
}
BENCHMARK(floor_products_of_mahalanobis)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

}  // namespace
}  // namespace plumbline::robustness

BENCHMARK_MAIN();

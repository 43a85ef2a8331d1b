// The kernel two-sample test at the size of the published comparison: 2 x 2000 rows of 50 features, 100 relabellings.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/drift.hpp"

namespace plumbline::robustness {
namespace {

MatrixD normal_rows(std::ptrdiff_t n, std::ptrdiff_t d, base::Rng& rng, double shift) {
  MatrixD rows(n, d);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = rng.normal() + shift;
  return rows;
}

void kernel_test(benchmark::State& state) {
  base::set_threads(1);
  base::Rng rng(1, {"bench"});
  const MatrixD a = normal_rows(60, 3, rng, 0);
  const MatrixD b = normal_rows(50, 3, rng, 0.2);
  double sum = 0;  // the plain formula
  const auto mean = [&](const MatrixD& x, const MatrixD& y, bool same) {
    double total = 0;
    double pairs = 0;
    for (std::ptrdiff_t i = 0; i < x.rows(); ++i) {
      for (std::ptrdiff_t k = 0; k < y.rows(); ++k) {
        if (same && i == k) continue;
        double gap = 0;
        for (std::ptrdiff_t j = 0; j < 3; ++j) gap += (x(i, j) - y(k, j)) * (x(i, j) - y(k, j));
        total += std::exp(-gap / 2);
        pairs += 1;
      }
    }
    return total / pairs;
  };
  sum = mean(a, a, true) + mean(b, b, true) - 2 * mean(a, b, false);
  if (std::abs(mmd_test(a, b, {.permutations = 19, .width = 1}, rng)->mmd2.value - sum) > 1e-12) {
    std::fprintf(stderr, "disagreement: kernel test and plain formula\n");
    std::exit(1);
  }
  const MatrixD first = normal_rows(2000, 50, rng, 0);
  const MatrixD second = normal_rows(2000, 50, rng, 0.1);
  for (auto _ : state) benchmark::DoNotOptimize(mmd_test(first, second, {.permutations = 100}, rng).value());
}
BENCHMARK(kernel_test)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

/// The floor: the products and exponentials of each pair once, and one pass over them for each relabelling.
void floor_products_and_passes(benchmark::State& state) {
  base::Rng rng(1, {"bench"});
  const MatrixD rows = normal_rows(4000, 50, rng, 0);
  MatrixF signs(100, 4000);
  for (std::ptrdiff_t i = 0; i < signs.size(); ++i) signs.data()[i] = rng.below(2) == 0 ? 1.0F : -1.0F;
  MatrixD products(256, 4000);
  MatrixF kernel(256, 4000);
  MatrixF passes(100, 256);
  for (auto _ : state) {
    for (std::ptrdiff_t first = 0; first < 4000; first += 256) {
      const std::ptrdiff_t n = std::min<std::ptrdiff_t>(256, 4000 - first);
      products.topRows(n).leftCols(first + n).noalias() =
          rows.middleRows(first, n) * rows.topRows(first + n).transpose();
      kernel.topRows(n).leftCols(first + n) =
          (products.topRows(n).leftCols(first + n).array() * -0.01).exp().cast<float>();
      passes.leftCols(n).noalias() = signs.leftCols(first + n) * kernel.topRows(n).leftCols(first + n).transpose();
      benchmark::DoNotOptimize(passes.data());
    }
  }
}
BENCHMARK(floor_products_and_passes)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

}  // namespace
}  // namespace plumbline::robustness

BENCHMARK_MAIN();

#pragma once
/// Tests that give a p-value in closed form or by exact recursion. Permutation tests: permutation.hpp.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::stats {

struct TestResult {
  double p_value = 1;
  double statistic = 0;
  std::string method;
  bool exact = false;  ///< the p-value is exact under the null hypothesis, not an approximation
  double n = 0;
};

enum class Tail { kTwoSided, kGreater, kLess };

/// Successes against a known probability. Two-sided: the sum of all outcomes no more probable than the one seen.
/// Errors    kValue: successes > n, p outside [0, 1].
base::Result<TestResult> binomial_test(std::size_t successes, std::size_t n, double p, Tail tail = Tail::kTwoSided);

/// Two classifiers on the same rows: `first_only` rows that only the first gets right, `second_only` the other way.
/// Exact binomial test of the disagreements. kGreater: the first is better. No disagreement gives p = 1.
base::Result<TestResult> mcnemar_exact(std::size_t first_only, std::size_t second_only, Tail tail = Tail::kTwoSided);

/// Largest distance of two empirical distribution functions. Exact given the ties (lattice paths, Schröer and Trenkler
/// 1995) while the product of the sizes is at most 10^7, else Kolmogorov's limit law (conservative under ties).
/// Errors    kShape: a sample is empty. kValue: non-finite value.
base::Result<TestResult> ks_two_sample(std::span<const double> a, std::span<const double> b);

/// Distance of values in [0, 1] from the uniform law. Exact below 1000 values (Marsaglia, Tsang, Wang 2003), else the
/// limit law. Errors kShape: empty. kValue: a value outside [0, 1].
base::Result<TestResult> ks_uniform(std::span<const double> values);

/// Pearson's chi-square of counts against expected shares (positive, rescaled to sum 1).
/// Errors    kShape: sizes differ, fewer than two cells. kValue: negative count, share not positive, no counts at all.
/// Outcome   method says so where an expected count is below 5.
base::Result<TestResult> chi_square_fit(std::span<const double> counts, std::span<const double> shares);
/// Independence in a table of counts; empty rows and columns are dropped. p = 1 where fewer than two of either remain.
base::Result<TestResult> chi_square_table(MatrixRefD counts);

/// Are p-values of a true null uniform? For tests whose p-values may be discrete.
struct Uniformity {
  std::size_t n = 0;
  std::size_t rejections = 0;   ///< p <= level
  std::size_t region_low = 0;   ///< exact central region of the count under Binomial(n, level) …
  std::size_t region_high = 0;  ///< … which holds it with probability at least `region_share`
  double ks_distance = 0;       ///< discrete-aware: at an atom a, how far a lies outside [F(a-), F(a)]
  double ks_p_value = 1;        ///< by the law for continuous values; conservative for discrete ones
  bool too_many = false;        ///< rejections above the region
  bool too_few = false;         ///< below it
};
/// Errors    kShape: empty. kValue: a p-value outside [0, 1], level or share outside (0, 1).
base::Result<Uniformity> uniformity(std::span<const double> p_values, double level = 0.05, double region_share = 0.99);

/// Smallest central region of Binomial(n, p) whose two tails each have at most (1 - share) / 2.
/// 10..32 for n = 400, 3..19 for n = 200, 33..69 for n = 1000 at p = 0.05, share 0.99.
struct CountRegion {
  std::size_t low = 0;
  std::size_t high = 0;
};
CountRegion binomial_region(std::size_t n, double p, double share);

/// P(K <= x) of Kolmogorov's limit law.
double kolmogorov_cdf(double x);

}  // namespace plumbline::stats

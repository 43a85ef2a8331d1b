#include "plumbline/stats/hypothesis.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/multiplicity.hpp"
#include "plumbline/stats/permutation.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::plumbline::testing::binomial_band;
using ::plumbline::testing::count_seeds;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Multiplicity, HandCases) {
  const std::vector<double> p = {0.01, 0.04, 0.03, 0.005};
  EXPECT_THAT(holm(p).value(), ElementsAre(DoubleNear(0.03, 1e-15), DoubleNear(0.06, 1e-15), DoubleNear(0.06, 1e-15),
                                           DoubleNear(0.02, 1e-15)));
  EXPECT_THAT(benjamini_hochberg(p).value(), ElementsAre(DoubleNear(0.02, 1e-15), DoubleNear(0.04, 1e-15),
                                                         DoubleNear(0.04, 1e-15), DoubleNear(0.02, 1e-15)));
  EXPECT_TRUE(holm({}).value().empty());
  const std::vector<double> bad = {0.1, 1.2};
  EXPECT_EQ(holm(bad).error().code, base::Code::kValue);
  EXPECT_THAT(benjamini_hochberg(bad).error().message, HasSubstr("p_values"));
}

// Ten true nulls: the family-wise error of Holm at 0.05 is P(smallest p <= 0.005) = 1 - 0.995^10 = 0.0489.
TEST(Multiplicity, StatisticalFamilyWiseError) {
  const int runs = 2000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> p(10);
    for (double& x : p) x = rng.uniform();
    const auto adjusted = holm(p).value();
    return *std::min_element(adjusted.begin(), adjusted.end()) <= 0.05;
  });
  EXPECT_TRUE(binomial_band(runs, 1 - std::pow(0.995, 10)).contains(hits)) << hits;
}

TEST(BinomialTest, AgreesWithTheSumOfSmallProbabilities) {
  for (const double p : {0.5, 0.13, 0.9}) {
    for (const int n : {1, 7, 24}) {
      for (int k = 0; k <= n; ++k) {
        auto pmf = [&](int i) { return std::exp(log_choose(n, i) + i * std::log(p) + (n - i) * std::log1p(-p)); };
        double two = 0, greater = 0;
        for (int i = 0; i <= n; ++i) {
          if (pmf(i) <= pmf(k) * (1 + 1e-7)) two += pmf(i);
          if (i >= k) greater += pmf(i);
        }
        const auto kk = static_cast<std::size_t>(k), nn = static_cast<std::size_t>(n);
        EXPECT_NEAR(binomial_test(kk, nn, p).value().p_value, std::min(1.0, two), 1e-10) << p << " " << n << " " << k;
        EXPECT_NEAR(binomial_test(kk, nn, p, Tail::kGreater).value().p_value, greater, 1e-10);
      }
    }
  }
  // 682 of 925 against 3/4 (Conover 1971, page 97): 0.3825.
  EXPECT_NEAR(binomial_test(682, 925, 0.75).value().p_value, 0.3825, 5e-5);
  EXPECT_THAT(binomial_test(3, 2, 0.5).error().message, HasSubstr("successes is 3"));
}

TEST(McNemar, ExactOfDisagreements) {
  EXPECT_NEAR(mcnemar_exact(2, 10).value().p_value, 2 * (1 + 12 + 66) / 4096.0, 1e-12);
  EXPECT_EQ(mcnemar_exact(0, 0).value().p_value, 1);
  EXPECT_NEAR(mcnemar_exact(5, 0, Tail::kGreater).value().p_value, 1 / 32.0, 1e-12);
}

/// P(D >= d) by listing every way to split the pooled sample.
double plain_ks(std::vector<double> pooled, std::size_t m, double d) {
  std::sort(pooled.begin(), pooled.end());
  const std::size_t n = pooled.size() - m;
  std::vector<int> mask(pooled.size(), 0);
  std::fill(mask.begin(), mask.begin() + static_cast<std::ptrdiff_t>(m), 1);
  double count = 0, extreme = 0;
  do {
    double a = 0, b = 0, top = 0;
    for (std::size_t i = 0; i < pooled.size(); ++i) {
      (mask[i] ? a : b) += 1;
      if (i + 1 < pooled.size() && pooled[i] == pooled[i + 1]) continue;
      top = std::max(top, std::abs(a / static_cast<double>(m) - b / static_cast<double>(n)));
    }
    ++count;
    extreme += top >= d - 1e-12;
  } while (std::prev_permutation(mask.begin(), mask.end()));
  return extreme / count;
}

TEST(KolmogorovSmirnov, TwoSampleAgreesWithEnumerationTiesIncluded) {
  for (const bool ties : {false, true}) {
    base::Rng rng(3);
    std::vector<double> a(7), b(6);
    for (double& x : a) x = ties ? static_cast<double>(rng.below(4)) : rng.normal();
    for (double& x : b) x = ties ? static_cast<double>(rng.below(5)) : rng.normal(1, 1);
    const TestResult result = ks_two_sample(a, b).value();
    std::vector<double> pooled = a;
    pooled.insert(pooled.end(), b.begin(), b.end());
    EXPECT_NEAR(result.p_value, plain_ks(pooled, 7, result.statistic), 1e-12);
    EXPECT_TRUE(result.exact);
    EXPECT_NEAR(ks_two_sample(b, a).value().p_value, result.p_value, 1e-12);
  }
}

TEST(KolmogorovSmirnov, LimitLawAndUniformTables) {
  EXPECT_NEAR(kolmogorov_cdf(1.3581), 0.95, 1e-4);
  EXPECT_NEAR(kolmogorov_cdf(1.17999), kolmogorov_cdf(1.18001), 1e-4);
  // Critical values at 0.05: n = 5: 0.56328, n = 10: 0.40925, n = 20: 0.29408 (Birnbaum 1952).
  for (const auto& [n, d] : std::vector<std::pair<std::size_t, double>>{{5, 0.56328}, {10, 0.40925}, {20, 0.29408}}) {
    // Values crowded so that the distance is exactly d at the first one.
    std::vector<double> x(n, d);
    for (std::size_t i = 0; i < n; ++i) x[i] = d + (1 - d) * static_cast<double>(i) / static_cast<double>(n);
    const TestResult result = ks_uniform(x).value();
    EXPECT_NEAR(result.statistic, d, 1e-12);
    EXPECT_NEAR(result.p_value, 0.05, 2e-4);
  }
  // The exact law and the limit law meet near their border.
  std::vector<double> x(999), y(1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    const double u = (static_cast<double>(i) + 0.5) / 1000;
    if (i < 999) x[i] = 0.04 + 0.96 * u;
    y[i] = 0.04 + 0.96 * u;
  }
  EXPECT_NEAR(ks_uniform(x).value().p_value, ks_uniform(y).value().p_value, 2e-3);
  EXPECT_EQ(ks_uniform({}).error().code, base::Code::kShape);
  const std::vector<double> bad = {1.5};
  EXPECT_EQ(ks_uniform(bad).error().code, base::Code::kValue);
  EXPECT_EQ(ks_two_sample(bad, {}).ok(), false);
}

TEST(ChiSquare, HandCases) {
  const std::vector<double> counts = {30, 14, 34, 45, 57, 20}, fair(6, 1.0);
  // Statistic sum (o - 100/3)^2 / (100/3) with 200 rolls.
  double want = 0;
  for (const double c : counts) want += (c - 100.0 / 3) * (c - 100.0 / 3) / (100.0 / 3);
  const TestResult fit = chi_square_fit(counts, fair).value();
  EXPECT_NEAR(fit.statistic, want, 1e-12);
  EXPECT_NEAR(fit.p_value, chi_square_tail(want, 5), 1e-15);
  MatrixD table(2, 3);
  table << 10, 20, 0, 20, 10, 0;
  const TestResult independence = chi_square_table(table).value();
  EXPECT_NEAR(independence.statistic, 4 * 25 / 15.0, 1e-12);
  EXPECT_NEAR(independence.p_value, chi_square_tail(20.0 / 3, 1), 1e-12);
  EXPECT_THAT(chi_square_fit(std::vector<double>{1, 2}, std::vector<double>{1, 1}).value().method,
              HasSubstr("approximate"));
  EXPECT_EQ(chi_square_table(MatrixD(MatrixD::Zero(2, 2))).error().code, base::Code::kValue);
  EXPECT_THAT(chi_square_fit(counts, std::vector<double>{1, 1}).error().message, HasSubstr("shares"));
}

TEST(Uniformity, RegionsAreThePublishedOnes) {
  EXPECT_EQ(binomial_region(400, 0.05, 0.99).low, 10U);
  EXPECT_EQ(binomial_region(400, 0.05, 0.99).high, 32U);
  EXPECT_EQ(binomial_region(200, 0.05, 0.99).low, 3U);
  EXPECT_EQ(binomial_region(200, 0.05, 0.99).high, 19U);
  EXPECT_EQ(binomial_region(1000, 0.05, 0.99).low, 33U);
  EXPECT_EQ(binomial_region(1000, 0.05, 0.99).high, 69U);
}

TEST(Uniformity, DistanceForgivesAtomsAndEqualsTheUsualOneOtherwise) {
  // A fair coin's p-values are 0.5 and 1, each half of the time: perfectly uniform as far as atoms allow.
  std::vector<double> coin(100, 1.0);
  std::fill(coin.begin(), coin.begin() + 50, 0.5);
  EXPECT_NEAR(uniformity(coin).value().ks_distance, 0, 1e-15);
  base::Rng rng(5);
  std::vector<double> smooth(300);
  for (double& x : smooth) x = rng.uniform();
  EXPECT_NEAR(uniformity(smooth).value().ks_distance, ks_uniform(smooth).value().statistic, 1.0 / 300 + 1e-12);
  EXPECT_THAT(uniformity(std::vector<double>{2.0}).error().message, HasSubstr("p_values"));
  EXPECT_EQ(uniformity({}).error().code, base::Code::kShape);
}

// True nulls, 400 p-values a set: the region is left in at most 1 % of the sets (exactly 0.0078). Five peeks at 1.96
// raise the rejection rate to 14 %, which the region sees with probability above 0.9999.
TEST(Uniformity, StatisticalErrorRateAndPower) {
  const int runs = 1000;
  const auto region = binomial_region(400, 0.05, 0.99);
  const double outside = binomial_cdf(static_cast<double>(region.low) - 1, 400, 0.05) +
                         binomial_tail(static_cast<double>(region.high) + 1, 400, 0.05);
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> p(400);
    for (double& x : p) x = rng.uniform();
    const Uniformity u = uniformity(p).value();
    return u.too_many || u.too_few;
  });
  EXPECT_TRUE(binomial_band(runs, outside).contains(hits)) << hits;
  const int caught = count_seeds(20, [](base::Rng& rng) {
    std::vector<double> p(400);
    for (double& x : p) {
      double sum = 0, top = 0;
      for (int look = 1; look <= 5; ++look) {
        for (int i = 0; i < 20; ++i) sum += rng.normal();
        top = std::max(top, std::abs(sum) / std::sqrt(20.0 * look));
      }
      x = 2 * normal_tail(top);
    }
    return uniformity(p).value().too_many;
  });
  EXPECT_EQ(caught, 20);
}

TEST(Permutation, ExactCaseAgreesWithEnumeration) {
  const std::vector<double> a = {5, 6, 7}, b = {1, 2, 3, 4};
  const TestResult result = permutation_test(a, b, {}, base::Rng(1)).value();
  EXPECT_TRUE(result.exact);
  EXPECT_DOUBLE_EQ(result.p_value, 2.0 / 35);  // 35 relabellings; {1, 2, 3} against the rest is as far, the other way
  const TestResult greater = permutation_test(a, b, {.tail = Tail::kGreater}, base::Rng(1)).value();
  EXPECT_DOUBLE_EQ(greater.p_value, 1.0 / 35);
  const std::vector<double> differences = {1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(sign_flip_test(differences, {}, base::Rng(1)).value().p_value, 2.0 / 32);
  EXPECT_DOUBLE_EQ(sign_flip_test(differences, {.tail = Tail::kLess}, base::Rng(1)).value().p_value, 1.0);
}

TEST(Permutation, RandomCaseNeverReportsZeroAndKeepsItsBits) {
  base::Rng rng(2);
  std::vector<double> a(60), b(60);
  for (double& x : a) x = rng.normal(10, 1);
  for (double& x : b) x = rng.normal();
  base::set_threads(1);
  const TestResult one = permutation_test(a, b, {.permutations = 199}, rng).value();
  base::set_threads(2);
  const TestResult two = permutation_test(a, b, {.permutations = 199}, rng).value();
  base::set_threads(0);
  EXPECT_DOUBLE_EQ(one.p_value, 1.0 / 200);
  EXPECT_EQ(one.p_value, two.p_value);
  EXPECT_DOUBLE_EQ(sign_flip_test(a, {.permutations = 99}, rng).value().p_value, 0.01);
  EXPECT_EQ(permutation_test(
                1.0, [](base::Rng& r) { return r.uniform(); }, {.permutations = 99, .tail = Tail::kGreater}, rng)
                .value()
                .p_value,
            0.01);
  EXPECT_EQ(permutation_test(
                0.5, [](base::Rng&) { return NAN; }, {.permutations = 99}, rng)
                .value()
                .p_value,
            1);
}

TEST(Permutation, Errors) {
  base::Rng rng(3);
  const std::vector<double> a = {1}, none = {}, bad = {NAN};
  EXPECT_THAT(permutation_test(none, a, {}, rng).error().message, HasSubstr("size of a"));
  EXPECT_EQ(permutation_test(a, bad, {}, rng).error().code, base::Code::kValue);
  EXPECT_EQ(sign_flip_test(bad, {}, rng).error().code, base::Code::kValue);
  EXPECT_THAT(permutation_test(
                  1.0, [](base::Rng&) { return 0.0; }, {.permutations = 0}, rng)
                  .error()
                  .message,
              HasSubstr("permutations"));
}

// Two samples of one skewed law, 99 permutations: p <= 0.05 exactly 5 % of the time; band of 1e-4 over 1000 runs.
TEST(Permutation, StatisticalLevel) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> a(20), b(30);
    for (double& x : a) x = rng.exponential();
    for (double& x : b) x = rng.exponential();
    return permutation_test(a, b, {.permutations = 99}, rng.fork("test")).value().p_value <= 0.05;
  });
  EXPECT_TRUE(binomial_band(runs, 0.05).contains(hits)) << hits;
}

}  // namespace
}  // namespace plumbline::stats

#include "plumbline/stats/sequential.hpp"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/planning.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::plumbline::testing::binomial_floor;
using ::plumbline::testing::count_seeds;
using ::testing::HasSubstr;

constexpr std::size_t kAt95 = 2;

/// The mixture integral on a grid, and the first m on a grid that it does not reject.
double plain_mixture_low(int k, int n, double confidence) {
  for (double m = 0.0005; m < 1; m += 0.0005) {
    double wealth = 0;
    const int cells = 4000;
    for (int i = 0; i < cells; ++i) {
      const double p = m + (1 - m) * (i + 0.5) / cells;
      wealth += std::exp(k * std::log(p / m) + (n - k) * std::log((1 - p) / (1 - m))) / cells;
    }
    if (wealth < 1 / (1 - confidence)) return m;
  }
  return 1;
}

TEST(BetaMixture, AgreesWithTheIntegralOnAGrid) {
  for (const auto& [k, n] : std::vector<std::pair<int, int>>{{3, 10}, {45, 50}, {120, 400}}) {
    const Estimate e = beta_mixture(static_cast<std::size_t>(k), static_cast<std::size_t>(n)).value();
    EXPECT_NEAR(*e.bounds.lower[kAt95], plain_mixture_low(k, n, 0.95), 0.0011) << k;
    EXPECT_TRUE(e.anytime);
    const Estimate mirrored = beta_mixture(static_cast<std::size_t>(n - k), static_cast<std::size_t>(n)).value();
    EXPECT_NEAR(*mirrored.bounds.upper[kAt95], 1 - *e.bounds.lower[kAt95], 1e-12);
    EXPECT_LT(*e.bounds.lower[kAt95],
              *clopper_pearson(static_cast<std::size_t>(k), static_cast<std::size_t>(n)).value().bounds.lower[kAt95]);
  }
  EXPECT_EQ(*beta_mixture(0, 10).value().bounds.lower[0], 0);
  EXPECT_EQ(*beta_mixture(10, 10).value().bounds.upper[0], 1);
  // All successes: wealth (1 - m^(n+1)) / ((n + 1) (1 - m) m^n) = 20 at the bound.
  const double m = *beta_mixture(40, 40).value().bounds.lower[kAt95];
  EXPECT_NEAR((1 - std::pow(m, 41)) / (41 * (1 - m) * std::pow(m, 40)), 20, 1e-6);
}

TEST(BetaMixture, Errors) {
  EXPECT_THAT(beta_mixture(1, 0).error().message, HasSubstr("n is 0"));
  EXPECT_THAT(beta_mixture(5, 3).error().message, HasSubstr("successes is 5"));
  EXPECT_THAT(beta_mixture(1, 3, 0, 1).error().message, HasSubstr("a"));
}

// The bound must hold at all looks at once: 400 runs of 500 rows, a look after every row. Fixed-n bounds looked at as
// often would fail in about a third of the runs; a coverage of 0.90 passes the floor with probability below 0.02.
TEST(BetaMixture, StatisticalCoverageAtEveryLook) {
  const int runs = 400;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::size_t k = 0;
    for (std::size_t n = 1; n <= 500; ++n) {
      k += rng.bernoulli(0.3);
      // Wealth at the truth, the cheap form of "the lower bound is above the truth".
      const double wealth = log_beta(1.0 + static_cast<double>(k), 1.0 + static_cast<double>(n - k)) +
                            std::log(beta_tail(0.3, 1.0 + static_cast<double>(k), 1.0 + static_cast<double>(n - k))) -
                            std::log(0.7) - static_cast<double>(k) * std::log(0.3) -
                            static_cast<double>(n - k) * std::log(0.7);
      if (wealth >= std::log(20.0)) {
        EXPECT_GE(*beta_mixture(k, n).value().bounds.lower[kAt95], 0.3 - 1e-9);
        return false;
      }
    }
    return *beta_mixture(k, 500).value().bounds.lower[kAt95] <= 0.3;
  });
  EXPECT_GE(hits, binomial_floor(runs, 0.95));
}

TEST(Betting, HandCaseScaleAndErrors) {
  base::Rng rng(1);
  std::vector<double> x(200), moved(200);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = rng.beta(10, 30);
    moved[i] = 6 * x[i] - 2;
  }
  const Estimate e = betting(x).value(), scaled = betting(moved, -2, 4).value();
  EXPECT_TRUE(e.anytime);
  for (std::size_t r = 0; r < kLadder.size(); ++r) {
    EXPECT_NEAR(*scaled.bounds.lower[r], 6 * *e.bounds.lower[r] - 2, 1e-9);
    EXPECT_NEAR(*scaled.bounds.upper[r], 6 * *e.bounds.upper[r] - 2, 1e-9);
  }
  // Small variance: far shorter than the empirical Bernstein bound.
  const Estimate bernstein = empirical_bernstein(x, 0, 1).value();
  EXPECT_LT(*e.bounds.upper[kAt95] - e.value, 0.5 * (*bernstein.bounds.upper[kAt95] - bernstein.value));
  // One value 1: wealth 1 + min(l, 1 / (2 m)) (1 - m) with l = sqrt(2 ln 5 / (0.25 ln 2)) > 1/2m for m > 0.116.
  const double m = *betting(std::vector<double>{1.0}).value().bounds.lower[0];
  EXPECT_NEAR(1 + std::min(std::sqrt(2 * std::log(5.0) / (0.25 * std::log(2.0))), 0.5 / m) * (1 - m), 5, 1e-6);
  EXPECT_EQ(betting({}).ok(), false);
  EXPECT_THAT(betting(x, 1, 1).error().message, HasSubstr("range [1, 1]"));
  EXPECT_EQ(betting(moved).error().code, base::Code::kValue);
}

// Stopping when the bound first excludes the truth: one-sided failures at most 5 % over 400 runs of 300 rows.
TEST(Betting, StatisticalCoverageAtEveryLook) {
  const int runs = 400;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> x;
    for (int i = 0; i < 300; ++i) x.push_back(rng.bernoulli(0.1) ? 1.0 : 0.25 * rng.uniform());
    // The bound of the whole run keeps the best wealth of every prefix, so one call covers every look.
    return *betting(x).value().bounds.lower[kAt95] <= 0.1 + 0.9 * 0.125;
  });
  EXPECT_GE(hits, binomial_floor(runs, 0.95));
}

TEST(Planning, PublishedSampleSizes) {
  EXPECT_EQ(zero_failure_n(0.1, 0.95).value(), 29U);
  EXPECT_EQ(zero_failure_n(0.01, 0.95).value(), 299U);
  EXPECT_EQ(zero_failure_n(0.001, 0.95).value(), 2995U);
  EXPECT_EQ(zero_failure_n(0.0001, 0.95).value(), 29956U);
  EXPECT_EQ(tests_needed(1, 0.01, 0.95).value(), 473U);
  EXPECT_EQ(tests_needed(2, 0.01, 0.95).value(), 628U);
  EXPECT_EQ(tests_needed(3, 0.01, 0.95).value(), 773U);
  EXPECT_EQ(zero_failure_n(0.5, 0.5).value(), 1U);
  EXPECT_THAT(zero_failure_n(0, 0.95).error().message, HasSubstr("rate"));
  EXPECT_THAT(tests_needed(1, 0.1, 1.0).error().message, HasSubstr("confidence"));
}

TEST(Planning, PowerAgreesWithEnumeration) {
  for (const double truth : {0.7, 0.9, 0.97, 1.0}) {
    for (const std::size_t n : {5U, 29U, 80U}) {
      double settled = 0;
      for (std::size_t k = 0; k <= n; ++k) {
        const Estimate e = clopper_pearson(k, n).value();
        if (*e.bounds.lower[kAt95] < 0.9 && *e.bounds.upper[kAt95] > 0.9) continue;
        settled += binomial_pmf(static_cast<double>(k), static_cast<double>(n), truth);
      }
      EXPECT_NEAR(settling_power(n, truth, 0.9, 0.95).value(), settled, 1e-9) << truth << " " << n;
    }
  }
  EXPECT_THAT(settling_power(5, 1.5, 0.9, 0.95).error().message, HasSubstr("truth"));
}

TEST(Planning, NeedsMoreIsTheSmallestSize) {
  for (const auto& [k, n, threshold] : std::vector<std::tuple<std::size_t, std::size_t, double>>{
           {19, 20, 0.9}, {16, 20, 0.9}, {3, 60, 0.1}, {20, 20, 0.95}}) {
    const Estimate e = clopper_pearson(k, n).value();
    const SampleNeed need = needs_more(e, threshold, 0.95);
    ASSERT_TRUE(need.n.has_value()) << need.reason;
    for (std::size_t m = 1; m < *need.n; ++m) EXPECT_LT(settling_power(m, e.value, threshold, 0.95).value(), 0.8) << m;
    EXPECT_GE(settling_power(*need.n, e.value, threshold, 0.95).value(), 0.8);
  }
}

TEST(Planning, NeedsMoreForMeansAgreesWithTheNormalFormula) {
  std::vector<double> x(400);
  base::Rng rng(4);
  for (double& v : x) v = rng.normal(1, 2);
  const Estimate e = mean(x).value();
  const double error = (e.value - *e.bounds.lower[kAt95]) / normal_quantile(0.95);
  const double gap = e.value - 0.9;
  const double want = 400 * std::pow(error * (normal_quantile(0.95) + normal_quantile(0.8)) / gap, 2);
  EXPECT_NEAR(static_cast<double>(*needs_more(e, 0.9, 0.95).n), want, 2);
  EXPECT_GE(*needs_more_within(e, 0.9, 1.2, 0.95).n, *needs_more(e, 0.9, 0.95).n);
  // Outside, only the violated edge matters.
  EXPECT_EQ(*needs_more_within(e, 2, 3, 0.95).n, *needs_more(e, 2, 0.95).n);
}

TEST(Planning, NonAnswersSayWhy) {
  const Estimate e = clopper_pearson(18, 20).value();
  EXPECT_THAT(needs_more(e, 0.9, 0.95).reason, HasSubstr("equals the threshold"));
  EXPECT_THAT(needs_more(e, 0.8, 0.99995).reason, HasSubstr("ladder exhausted"));
  EXPECT_THAT(needs_more(e, 1.0, 0.95).reason, HasSubstr("beyond 0 or 1"));
  EXPECT_THAT(needs_more(exact(0.9, 20, "count"), 0.8, 0.95).reason, HasSubstr("not sampled"));
  EXPECT_THAT(needs_more(e, 0.9 + 1e-7, 0.95).reason, HasSubstr("more than 1e9"));
  Estimate bare;
  bare.value = 1;
  bare.n = 10;
  EXPECT_THAT(needs_more(bare, 0.5, 0.95).reason, HasSubstr("no bound is held"));
}

TEST(Planning, TwoMeans) {
  EXPECT_EQ(two_means_n(0.5, 1.0).value(), 64U);  // the textbook 63 by the normal law, and one
  EXPECT_THAT(two_means_n(0, 1).error().message, HasSubstr("difference"));
}

}  // namespace
}  // namespace plumbline::stats

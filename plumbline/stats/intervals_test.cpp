#include "plumbline/stats/intervals.hpp"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::plumbline::testing::binomial_band;
using ::plumbline::testing::binomial_floor;
using ::plumbline::testing::count_seeds;
using ::testing::HasSubstr;

constexpr std::size_t kAt95 = 2;  // the rung of one-sided 0.95

// Tail probability summed term by term: the independent reference of the beta form.
double plain_tail(int k, int n, double p) {
  double sum = 0;
  for (int i = k; i <= n; ++i) sum += std::exp(log_choose(n, i) + i * std::log(p) + (n - i) * std::log1p(-p));
  return sum;
}

TEST(ClopperPearson, BoundsAreWhereTheTailEqualsTheLevel) {
  for (const auto& [k, n] : std::vector<std::pair<int, int>>{{3, 10}, {1, 30}, {49, 50}, {137, 200}}) {
    const Estimate e = clopper_pearson(static_cast<std::size_t>(k), static_cast<std::size_t>(n)).value();
    for (std::size_t r = 0; r < kLadder.size(); ++r) {
      EXPECT_NEAR(plain_tail(k, n, *e.bounds.lower[r]), 1 - kLadder[r], 1e-9);
      EXPECT_NEAR(1 - plain_tail(k + 1, n, *e.bounds.upper[r]), 1 - kLadder[r], 1e-9);
    }
  }
}

TEST(ClopperPearson, PublishedFiguresAndEnds) {
  // 0 of 29: the rule behind "29 clean tests bound the failure rate by 0.1 at 95 %".
  EXPECT_NEAR(*clopper_pearson(0, 29).value().bounds.upper[kAt95], 1 - std::pow(0.05, 1.0 / 29), 1e-12);
  EXPECT_EQ(*clopper_pearson(0, 29).value().bounds.lower[kAt95], 0);
  EXPECT_EQ(*clopper_pearson(29, 29).value().bounds.upper[kAt95], 1);
  // Two-sided 95 % interval of 81 of 263 (Newcombe 1998, table I): 0.2527 to 0.3676.
  const Estimate e = clopper_pearson(81, 263).value();
  EXPECT_NEAR(*e.low(), 0.2527, 5e-5);
  EXPECT_NEAR(*e.high(), 0.3676, 5e-5);
}

TEST(Wilson, PublishedFigures) {
  // Newcombe 1998, table I, method 3.
  EXPECT_NEAR(*wilson(81, 263).value().low(), 0.2553, 5e-5);
  EXPECT_NEAR(*wilson(81, 263).value().high(), 0.3662, 5e-5);
  EXPECT_NEAR(*wilson(15, 148).value().low(), 0.0624, 5e-5);
  EXPECT_NEAR(*wilson(15, 148).value().high(), 0.1605, 5e-5);
  EXPECT_NEAR(*wilson(0, 20).value().high(), 0.1611, 5e-5);
  EXPECT_NEAR(*wilson(1, 29).value().low(), 0.0061, 5e-5);
}

// Exact coverage by enumeration, no simulation: Clopper–Pearson never below the level, Wilson on average near it.
TEST(Proportions, ExactCoverageByEnumeration) {
  const int n = 40;
  double wilson_mean = 0;
  int truths = 0;
  for (double p = 0.02; p < 0.99; p += 0.0097, ++truths) {
    double covered = 0, covered_wilson = 0;
    for (int k = 0; k <= n; ++k) {
      const double mass = std::exp(log_choose(n, k) + k * std::log(p) + (n - k) * std::log1p(-p));
      if (*clopper_pearson(static_cast<std::size_t>(k), n).value().bounds.lower[kAt95] <= p) covered += mass;
      if (*wilson(static_cast<std::size_t>(k), n).value().low() <= p &&
          *wilson(static_cast<std::size_t>(k), n).value().high() >= p) {
        covered_wilson += mass;
      }
    }
    EXPECT_GE(covered, 0.95 - 1e-9) << p;
    wilson_mean += covered_wilson;
  }
  EXPECT_NEAR(wilson_mean / truths, 0.95, 0.01);
}

TEST(Proportions, Errors) {
  EXPECT_THAT(clopper_pearson(1, 0).error().message, HasSubstr("n is 0"));
  EXPECT_THAT(wilson(5, 4).error().message, HasSubstr("successes is 5"));
  EXPECT_EQ(proportion({}).error().code, base::Code::kShape);
  const std::vector<std::uint8_t> bad = {0, 2};
  EXPECT_THAT(proportion(bad).error().message, HasSubstr("hits[1] is 2"));
  const std::vector<std::uint8_t> hits = {0, 1, 1};
  const std::vector<int> one = {4, 4, 4}, shorter = {1, 2};
  EXPECT_THAT(proportion(hits, one).error().message, HasSubstr("expected at least 2"));
  EXPECT_EQ(proportion(hits, shorter).error().code, base::Code::kShape);
}

TEST(ClusteredProportion, UnitsOfOneRowAreClopperPearson) {
  const std::vector<std::uint8_t> hits = {0, 1, 1, 0, 1, 1, 1};
  const std::vector<int> units = {5, 3, 9, 1, 0, 2, 8};
  EXPECT_EQ(*proportion(hits, units).value().low(), *clopper_pearson(5, 7).value().low());
}

TEST(ClusteredProportion, CopiesCountOnce) {
  // 60 items, each stored 5 times: the effective size is 60 up to the factor G / (G - 1).
  std::vector<std::uint8_t> hits;
  std::vector<int> units;
  for (int u = 0; u < 60; ++u) {
    for (int c = 0; c < 5; ++c) {
      hits.push_back(u % 3 == 0);
      units.push_back(u);
    }
  }
  const Estimate e = proportion(hits, units).value();
  EXPECT_NEAR(e.n_effective, 59, 1e-9);
  EXPECT_LE(*e.low(), *clopper_pearson(20, 60).value().low());
  std::vector<std::uint8_t> all(300, 1);
  EXPECT_NEAR(*proportion(all, units).value().bounds.lower[kAt95], std::pow(0.05, 1.0 / 60), 1e-12);
}

// One-sided 0.95 lower bounds of 30 units of unequal size with strong agreement inside (beta law 2, 2). The bound is
// conservative by design, so only a floor is tested: false-alarm rate at most 1e-4; a true coverage of 0.90 passes with
// probability below 0.02 at 1000 runs.
TEST(ClusteredProportion, StatisticalCoverage) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<std::uint8_t> rows;
    std::vector<int> units;
    for (int u = 0; u < 30; ++u) {
      const double p = rng.beta(2, 2);
      const auto size = 3 + rng.below(10);
      for (std::uint64_t i = 0; i < size; ++i) {
        rows.push_back(rng.bernoulli(p));
        units.push_back(u);
      }
    }
    return *proportion(rows, units).value().bounds.lower[kAt95] <= 0.5;
  });
  EXPECT_GE(hits, binomial_floor(runs, 0.95));
}

TEST(Mean, HandCaseAndErrors) {
  const std::vector<double> values = {1, 2, 3, 4, 5};
  const Estimate e = mean(values).value();
  EXPECT_DOUBLE_EQ(e.value, 3);
  // t(0.975, 4) = 2.776445, s = 1.581139.
  EXPECT_NEAR(*e.high(), 3 + 2.7764451 * 1.5811388 / std::sqrt(5.0), 1e-6);
  EXPECT_THAT(e.warnings.at(0), HasSubstr("5 units"));
  const std::vector<double> one = {1}, bad = {1, NAN}, flat = {2, 2, 2};
  EXPECT_FALSE(mean(one).ok());
  EXPECT_EQ(mean(bad).error().code, base::Code::kValue);
  EXPECT_FALSE(mean(flat).value().bounds.lower[0].has_value());
  EXPECT_THAT(mean(flat).value().warnings.at(0), HasSubstr("no spread"));
  const std::vector<int> same = {1, 1, 1, 1, 1};
  EXPECT_THAT(mean(values, same).error().message, HasSubstr("1 unit"));
}

TEST(Mean, ShiftAndScale) {
  base::Rng rng(3);
  std::vector<double> a(40), b(40);
  std::vector<int> units(40);
  for (std::size_t i = 0; i < 40; ++i) {
    a[i] = rng.normal();
    b[i] = 3 * a[i] + 10;
    units[i] = static_cast<int>(i / 4);
  }
  const Estimate ea = mean(a, units).value(), eb = mean(b, units).value();
  EXPECT_NEAR(*eb.low(), 3 * *ea.low() + 10, 1e-12);
}

// 20 units of 5 rows sharing a unit effect. Accept 1000-run counts inside the 1e-4 band around 0.95; treating rows as
// independent would cover about 0.70 here and never passes.
TEST(Mean, StatisticalCoverageWithUnits) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> rows;
    std::vector<int> units;
    for (int u = 0; u < 20; ++u) {
      const double effect = rng.normal();
      for (int i = 0; i < 5; ++i) {
        rows.push_back(effect + rng.normal());
        units.push_back(u);
      }
    }
    const Estimate e = mean(rows, units).value();
    return *e.low() <= 0 && *e.high() >= 0;
  });
  EXPECT_TRUE(binomial_band(runs, 0.95).contains(hits)) << hits;
}

TEST(StratifiedMean, AgreesWithTheFormulaAndRefusesThinStrata) {
  const std::vector<double> values = {1, 2, 3, 10, 12};
  const std::vector<int> strata = {0, 0, 0, 1, 1};
  const std::vector<double> shares = {0.5, 0.5};
  const Estimate e = stratified_mean(values, strata, shares).value();
  EXPECT_DOUBLE_EQ(e.value, 6.5);
  const double error = std::sqrt(0.25 * 1.0 / 3 + 0.25 * 2.0 / 2);
  const double degrees = std::pow(error, 4) / (std::pow(0.25 / 3, 2) / 2 + std::pow(0.25, 2) / 1);
  EXPECT_NEAR(*e.high(), 6.5 + t_quantile(0.975, degrees) * error, 1e-12);
  const std::vector<int> thin = {0, 0, 0, 0, 1};
  EXPECT_THAT(stratified_mean(values, thin, shares).error().message, HasSubstr("stratum 1 has 1 rows"));
  const std::vector<double> wrong = {0.5, 0.4};
  EXPECT_THAT(stratified_mean(values, strata, wrong).error().message, HasSubstr("sum to 0.9"));
}

TEST(EmpiricalBernstein, FormulaAndErrors) {
  const std::vector<double> values = {0, 0.5, 1, 0.5};
  const Estimate e = empirical_bernstein(values, 0, 2).value();
  const double v = 0.5 / 3, l = std::log(2 / 0.2);
  EXPECT_NEAR(*e.bounds.upper[0], std::min(2.0, 0.5 + std::sqrt(2 * v * l / 4) + 7 * 2 * l / 9), 1e-12);
  EXPECT_THAT(empirical_bernstein(values, 1, 0).error().message, HasSubstr("range [1, 0]"));
  EXPECT_EQ(empirical_bernstein(values, 0, 0.9).error().code, base::Code::kValue);
}

// Conservative by construction: a floor. At a law with rare large values Student's t covers 0.87 here, this bound
// always.
TEST(EmpiricalBernstein, StatisticalCoverageOfASkewedLaw) {
  const int runs = 600;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> rows(200);
    for (double& x : rows) x = rng.bernoulli(0.01) ? 1.0 : 0.0;
    return *empirical_bernstein(rows, 0, 1).value().bounds.upper[kAt95] >= 0.01;
  });
  EXPECT_GE(hits, binomial_floor(runs, 0.95));
}

// 12 against 25 normal values with deviations 1 and 3: band of 1e-4 around 0.95, 1000 runs.
TEST(DifferenceOfMeans, StatisticalCoverage) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> a(12), b(25);
    for (double& x : a) x = rng.normal(1, 1);
    for (double& x : b) x = rng.normal(0, 3);
    const Estimate e = difference_of_means(a, b).value();
    return *e.low() <= 1 && *e.high() >= 1;
  });
  EXPECT_TRUE(binomial_band(runs, 0.95).contains(hits)) << hits;
}

TEST(CompareMeans, PValueAgreesWithTheBoundsAndUnitsCountOnce) {
  base::Rng rng(9);
  std::vector<double> a(30), b(40);
  for (double& x : a) x = rng.normal(0.5, 1);
  for (double& x : b) x = rng.normal(0, 2);
  const Comparison rows = compare_means(a, b).value();
  // A bound at one-sided c touches zero exactly where the two-sided p-value is 2 (1 - c).
  for (std::size_t r = 0; r < kLadder.size(); ++r) {
    EXPECT_EQ(*rows.difference.bounds.lower[r] > 0, rows.p_value < 2 * (1 - kLadder[r]));
  }
  std::vector<double> copies;
  std::vector<int> units;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (int c = 0; c < 3; ++c) {
      copies.push_back(a[i]);
      units.push_back(static_cast<int>(i));
    }
  }
  EXPECT_NEAR(compare_means(copies, b, units).value().p_value, rows.p_value, 1e-12);
  EXPECT_LT(compare_means(copies, b).value().p_value, rows.p_value);
  const std::vector<double> flat = {1, 1, 1};
  EXPECT_TRUE(std::isnan(compare_means(flat, flat).value().p_value));
  EXPECT_THAT(compare_means(flat, b, std::vector<int>{1, 1, 1}).error().message, HasSubstr("units of a"));
}

// The same law in both arms, 15 units of 4 against 20 of 4: p <= 0.05 in 5 % of 1000 runs, band of 1e-4.
TEST(CompareMeans, StatisticalLevelOverUnits) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> arms[2];
    std::vector<int> units[2];
    for (int u = 0; u < 35; ++u) {
      const int arm = u < 15 ? 0 : 1;
      const double effect = rng.normal();
      for (int i = 0; i < 4; ++i) {
        arms[arm].push_back(effect + rng.normal());
        units[arm].push_back(u);
      }
    }
    return compare_means(arms[0], arms[1], units[0], units[1]).value().p_value <= 0.05;
  });
  EXPECT_TRUE(binomial_band(runs, 0.05).contains(hits)) << hits;
}

}  // namespace
}  // namespace plumbline::stats

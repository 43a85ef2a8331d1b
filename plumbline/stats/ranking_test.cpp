#include "plumbline/stats/ranking.hpp"

#include <algorithm>
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

constexpr std::size_t kAt95 = 2;

std::vector<double> draw(base::Rng& rng, std::size_t n, double mean, bool ties) {
  std::vector<double> values(n);
  for (double& x : values) x = ties ? std::round(2 * rng.normal(mean, 1)) : rng.normal(mean, 1);
  return values;
}

double psi(double p, double n) { return p > n ? 1 : p == n ? 0.5 : 0; }

/// DeLong's definition, pair by pair.
double plain_covariance(const std::vector<double>& pa, const std::vector<double>& na, const std::vector<double>& pb,
                        const std::vector<double>& nb) {
  const std::size_t m = pa.size(), n = na.size();
  auto theta = [&](const auto& p, const auto& q) {
    double sum = 0;
    for (const double x : p) {
      for (const double y : q) sum += psi(x, y);
    }
    return sum / static_cast<double>(p.size() * q.size());
  };
  const double ta = theta(pa, na), tb = theta(pb, nb);
  double s10 = 0, s01 = 0;
  for (std::size_t i = 0; i < m; ++i) {
    double va = 0, vb = 0;
    for (std::size_t j = 0; j < n; ++j) {
      va += psi(pa[i], na[j]) / static_cast<double>(n);
      vb += psi(pb[i], nb[j]) / static_cast<double>(n);
    }
    s10 += (va - ta) * (vb - tb) / static_cast<double>(m - 1);
  }
  for (std::size_t j = 0; j < n; ++j) {
    double va = 0, vb = 0;
    for (std::size_t i = 0; i < m; ++i) {
      va += psi(pa[i], na[j]) / static_cast<double>(m);
      vb += psi(pb[i], nb[j]) / static_cast<double>(m);
    }
    s01 += (va - ta) * (vb - tb) / static_cast<double>(n - 1);
  }
  return s10 / static_cast<double>(m) + s01 / static_cast<double>(n);
}

TEST(Auroc, HandCases) {
  const std::vector<double> p = {0.8, 0.4}, n = {0.1, 0.4, 0.9};
  // Pairs: 0.8 beats two of three; 0.4 beats one and ties one.
  EXPECT_DOUBLE_EQ(auroc_value(p, n).value(), (2 + 1.5) / 6);
  EXPECT_DOUBLE_EQ(auroc_value(n, p).value(), 1 - 3.5 / 6);
  const std::vector<double> same(4, 1.0);
  EXPECT_DOUBLE_EQ(auroc_value(same, same).value(), 0.5);
}

TEST(Auroc, AgreesWithThePairwiseDefinitionAndIsInvariant) {
  for (const bool ties : {false, true}) {
    base::Rng rng(1, {ties ? "ties" : "plain"});
    const auto p = draw(rng, 37, 1, ties), n = draw(rng, 53, 0, ties);
    double sum = 0;
    for (const double x : p) {
      for (const double y : n) sum += psi(x, y);
    }
    const Estimate e = auroc(p, n, {.scale = AurocScale::kPlain}).value();
    EXPECT_NEAR(e.value, sum / (37 * 53), 1e-14);
    const double error = std::sqrt(plain_covariance(p, n, p, n));
    EXPECT_NEAR(*e.bounds.lower[kAt95], e.value - normal_quantile(0.95) * error, 1e-12);
    auto warp = [](std::vector<double> v) {
      for (double& x : v) x = std::exp(x / 3);
      std::reverse(v.begin(), v.end());
      return v;
    };
    const Estimate warped = auroc(warp(p), warp(n), {.scale = AurocScale::kPlain}).value();
    EXPECT_NEAR(*warped.low(), *e.low(), 1e-12);
    // Swapping the groups mirrors the logit bounds.
    EXPECT_NEAR(*auroc(p, n).value().low(), 1 - *auroc(n, p).value().high(), 1e-12);
  }
}

TEST(Auroc, UnitsOfOneRowAgreeUpToTheirFactorAndCopiesCountOnce) {
  base::Rng rng(2);
  const auto p = draw(rng, 40, 1, false), n = draw(rng, 40, 0, false);
  std::vector<double> p3, n3;
  std::vector<int> up, un;
  for (int i = 0; i < 40; ++i) {
    for (int c = 0; c < 3; ++c) {
      p3.push_back(p[static_cast<std::size_t>(i)]);
      n3.push_back(n[static_cast<std::size_t>(i)]);
      up.push_back(i);
      un.push_back(100 + i);
    }
  }
  const Estimate once = auroc(p, n).value();
  const Estimate copies = auroc(p3, n3, {.positive_units = up, .negative_units = un}).value();
  EXPECT_NEAR(copies.value, once.value, 1e-14);
  EXPECT_NEAR(*copies.low(), *once.low(), 0.002);
  EXPECT_LT(*copies.low(), *auroc(p3, n3).value().low());
  EXPECT_EQ(copies.n_effective, 80);
}

TEST(Auroc, PerfectSeparationIsBoundedExactly) {
  const std::vector<double> p = {3, 4, 5, 6}, n = {0, 1, 2, 0.5, 0.7};
  const Estimate e = auroc(p, n).value();
  EXPECT_EQ(e.value, 1);
  EXPECT_NEAR(*e.bounds.lower[kAt95], std::pow(0.05, 0.25), 1e-12);
  EXPECT_EQ(*e.bounds.upper[kAt95], 1);
  EXPECT_NEAR(*auroc(n, p).value().bounds.upper[kAt95], 1 - std::pow(0.05, 0.25), 1e-12);
}

TEST(Auroc, Errors) {
  const std::vector<double> some = {1, 2}, none = {}, bad = {1, NAN};
  EXPECT_THAT(auroc_value(none, some).error().message, HasSubstr("positives"));
  EXPECT_THAT(auroc(some, bad).error().message, HasSubstr("negatives"));
  const std::vector<int> units = {1, 2};
  EXPECT_THAT(auroc(some, some, {.positive_units = units}).error().message, HasSubstr("one group only"));
  const std::vector<int> same = {1, 1};
  EXPECT_THAT(auroc(some, some, {.positive_units = same, .negative_units = same}).error().message,
              HasSubstr("number of units"));
}

// Normal scores, true AUROC 0.921 (shift 2), 60 against 90: logit bounds, 1000 runs, 1e-4 band around 0.95; a standard
// error a quarter too small slips through with probability below 1e-3.
TEST(Auroc, StatisticalCoverage) {
  const int runs = 1000;
  const double truth = normal_cdf(2 / std::sqrt(2.0));
  const int hits = count_seeds(runs, [&](base::Rng& rng) {
    const auto p = draw(rng, 60, 2, false), n = draw(rng, 90, 0, false);
    const Estimate e = auroc(p, n).value();
    return *e.low() <= truth && *e.high() >= truth;
  });
  EXPECT_TRUE(binomial_band(runs, 0.95).contains(hits)) << hits;
}

// Units of four rows sharing an effect, either class: 1000 runs, same band.
TEST(Auroc, StatisticalCoverageWithUnits) {
  const int runs = 1000;
  const double truth = normal_cdf(1.5 / std::sqrt(4.0));
  const int hits = count_seeds(runs, [&](base::Rng& rng) {
    std::vector<double> p, n;
    std::vector<int> up, un;
    for (int u = 0; u < 80; ++u) {
      const double effect = rng.normal();
      for (int i = 0; i < 2; ++i) {
        p.push_back(1.5 + effect + rng.normal());
        up.push_back(u);
      }
      const double other = rng.normal();
      for (int i = 0; i < 2; ++i) {
        n.push_back(other + rng.normal());
        un.push_back(1000 + u);
      }
    }
    const Estimate e = auroc(p, n, {.positive_units = up, .negative_units = un}).value();
    return *e.low() <= truth && *e.high() >= truth;
  });
  EXPECT_TRUE(binomial_band(runs, 0.95).contains(hits)) << hits;
}

TEST(AurocDifference, AgreesWithThePairwiseDefinition) {
  base::Rng rng(4);
  const auto pa = draw(rng, 30, 1, true), na = draw(rng, 40, 0, true);
  auto pb = pa, nb = na;
  for (double& x : pb) x += rng.normal();
  for (double& x : nb) x += rng.normal();
  const Estimate e = auroc_difference(pa, na, pb, nb).value();
  const double variance =
      plain_covariance(pa, na, pa, na) + plain_covariance(pb, nb, pb, nb) - 2 * plain_covariance(pa, na, pb, nb);
  EXPECT_NEAR(e.value, auroc_value(pa, na).value() - auroc_value(pb, nb).value(), 1e-14);
  EXPECT_NEAR(*e.high(), e.value + normal_quantile(0.975) * std::sqrt(variance), 1e-12);
  EXPECT_THAT(auroc_difference(pa, na, pa, na).value().warnings.at(0), HasSubstr("alike"));
  EXPECT_EQ(auroc_difference(pa, na, na, nb).error().code, base::Code::kShape);
}

// Two noisy readings of one signal, no true difference: 1000 runs, 1e-4 band around 0.95.
TEST(AurocDifference, StatisticalCoverage) {
  const int runs = 1000;
  const int hits = count_seeds(runs, [&](base::Rng& rng) {
    const auto p = draw(rng, 60, 1, false), n = draw(rng, 60, 0, false);
    auto noisy = [&](std::vector<double> v) {
      for (double& x : v) x += 0.7 * rng.normal();
      return v;
    };
    const auto pa = noisy(p), pb = noisy(p), na = noisy(n), nb = noisy(n);
    const Estimate e = auroc_difference(pa, na, pb, nb).value();
    return *e.low() <= 0 && *e.high() >= 0;
  });
  EXPECT_TRUE(binomial_band(runs, 0.95).contains(hits)) << hits;
}

TEST(FprAtTpr, HandCase) {
  std::vector<double> p, n;
  for (int i = 1; i <= 100; ++i) p.push_back(i);
  for (int i = 1; i <= 50; ++i) n.push_back(i - 40.5);
  // Five positives (1 to 5) may fall below: threshold 6; negatives 6.5, 7.5, 8.5, 9.5 pass.
  EXPECT_DOUBLE_EQ(fpr_at_tpr(p, n).value().value, 4.0 / 50);
  EXPECT_LE(*fpr_at_tpr(p, n).value().bounds.lower[0], 4.0 / 50);
  EXPECT_GE(*fpr_at_tpr(p, n).value().bounds.upper[0], 4.0 / 50);
  EXPECT_THAT(fpr_at_tpr(p, n, 1.0).error().message, HasSubstr("tpr"));
  const std::vector<double> ten(p.begin(), p.begin() + 10);
  // Ten positives cannot bound their 5 % quantile from below at 0.95.
  EXPECT_EQ(*fpr_at_tpr(ten, n).value().bounds.upper[kAt95], 1.0);
}

// Bounds are conservative for any law: floors only, continuous and tied scores. 800 runs; a coverage of 0.90 passes
// with probability below 0.02.
TEST(FprAtTpr, StatisticalCoverage) {
  const int runs = 800;
  const double truth = normal_tail(2 + normal_quantile(0.05));
  int low = 0, high = 0;
  for (int s = 0; s < runs; ++s) {
    base::Rng rng(static_cast<std::uint64_t>(s), {"fpr"});
    const Estimate e = fpr_at_tpr(draw(rng, 150, 2, false), draw(rng, 100, 0, false)).value();
    low += *e.bounds.lower[kAt95] <= truth;
    high += *e.bounds.upper[kAt95] >= truth;
  }
  EXPECT_GE(low, binomial_floor(runs, 0.95));
  EXPECT_GE(high, binomial_floor(runs, 0.95));
  // Scores on {0, 1, 2}: positives 0.03, 0.27, 0.70, so the threshold is 1 and the truth P(negative >= 1) = 0.4.
  low = high = 0;
  for (int s = 0; s < runs; ++s) {
    base::Rng rng(static_cast<std::uint64_t>(s), {"fpr ties"});
    std::vector<double> p(200), n(100);
    for (double& x : p) {
      const double u = rng.uniform();
      x = u < 0.03 ? 0 : u < 0.30 ? 1 : 2;
    }
    for (double& x : n) x = rng.bernoulli(0.4) ? 1 : 0;
    const Estimate e = fpr_at_tpr(p, n).value();
    low += *e.bounds.lower[kAt95] <= 0.4;
    high += *e.bounds.upper[kAt95] >= 0.4;
  }
  EXPECT_GE(low, binomial_floor(runs, 0.95));
  EXPECT_GE(high, binomial_floor(runs, 0.95));
}

TEST(FprAtTpr, ClusteredValueAgreesAndBoundsAreWiderThanRows) {
  base::Rng rng(6);
  std::vector<double> p, n;
  std::vector<int> up, un;
  for (int u = 0; u < 60; ++u) {
    const double a = rng.normal(2, 1), b = rng.normal();
    for (int c = 0; c < 4; ++c) {
      p.push_back(a);
      n.push_back(b);
      up.push_back(u);
      un.push_back(500 + u);
    }
  }
  const Estimate clustered = fpr_at_tpr_clustered(p, n, up, un, 0.95, {.replicates = 500}, rng).value();
  const Estimate rows = fpr_at_tpr_clustered(p, n, {}, {}, 0.95, {.replicates = 500}, rng).value();
  EXPECT_DOUBLE_EQ(clustered.value, fpr_at_tpr(p, n).value().value);
  // The lower ends may lie beyond what 500 replicates reach; the upper ones must be there.
  ASSERT_TRUE(clustered.high() && rows.high());
  EXPECT_GT(*clustered.high(), *rows.high());
}

TEST(RocCurve, EndsAreFixedAndTheAreaIsTheAuroc) {
  base::Rng rng(7);
  const auto p = draw(rng, 120, 1, true), n = draw(rng, 90, 0, true);
  const auto curve = roc_curve(p, n, 100000).value();
  EXPECT_EQ(curve.front().tpr, 0);
  EXPECT_EQ(curve.back().tpr, 1);
  EXPECT_EQ(curve.back().fpr, 1);
  double area = 0;
  for (std::size_t i = 1; i < curve.size(); ++i)
    area += (curve[i].fpr - curve[i - 1].fpr) * 0.5 * (curve[i].tpr + curve[i - 1].tpr);
  EXPECT_NEAR(area, auroc_value(p, n).value(), 1e-12);
  const auto coarse = roc_curve(draw(rng, 1000, 1, false), draw(rng, 1000, 0, false), 50).value();
  EXPECT_LE(coarse.size(), 52U);
  EXPECT_EQ(coarse.back().fpr, 1);
  for (const RocPoint& point : coarse) {
    EXPECT_LE(point.tpr_low, point.tpr);
    EXPECT_GE(point.tpr_high, point.tpr);
  }
}

TEST(AveragePrecision, HandCaseAndChance) {
  const std::vector<double> p = {0.9, 0.6}, n = {0.8, 0.1};
  EXPECT_DOUBLE_EQ(average_precision_value(p, n).value(), 0.5 * 1 + 0.5 * (2.0 / 3));
  const std::vector<double> tied_p(3, 1.0), tied_n(7, 1.0);
  EXPECT_DOUBLE_EQ(average_precision_value(tied_p, tied_n).value(), 0.3);
  base::Rng rng(8);
  const auto a = draw(rng, 40, 1, true), b = draw(rng, 60, 0, true);
  const Estimate e = average_precision(a, b, {.replicates = 1000}, rng).value();
  EXPECT_DOUBLE_EQ(e.value, average_precision_value(a, b).value());
  EXPECT_LT(*e.low(), e.value);
  EXPECT_GT(*e.high(), e.value);
}

}  // namespace
}  // namespace plumbline::stats

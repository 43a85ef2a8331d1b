#include "plumbline/stats/bootstrap.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::plumbline::testing::binomial_band;
using ::plumbline::testing::count_seeds;
using ::testing::HasSubstr;

std::vector<double> sample(base::Rng& rng, std::size_t n, bool skewed) {
  std::vector<double> values(n);
  for (double& x : values) x = skewed ? rng.exponential() : rng.normal();
  return values;
}

TEST(Bootstrap, RefusesSmallSamplesAndNamesTheirSize) {
  const std::vector<double> six = {1, 2, 3, 4, 5, 6};
  const auto refused = bootstrap_mean(six, {}, {}, base::Rng(1));
  EXPECT_EQ(refused.error().code, base::Code::kValue);
  EXPECT_THAT(refused.error().message, HasSubstr("n = 6 units"));
  EXPECT_THAT(refused.error().hint, HasSubstr("exact bound"));
}

TEST(Bootstrap, WarnsBelowFiftyUnits) {
  base::Rng rng(2);
  const auto few = bootstrap_mean(sample(rng, 20, false), {}, {.replicates = 200}, rng).value();
  EXPECT_THAT(few.warnings.at(0), HasSubstr("n = 20 units covers about 0.93"));
  EXPECT_TRUE(bootstrap_mean(sample(rng, 60, false), {}, {.replicates = 200}, rng).value().warnings.empty());
}

TEST(Bootstrap, Errors) {
  base::Rng rng(3);
  const std::vector<double> values = sample(rng, 12, false);
  EXPECT_THAT(bootstrap_mean(values, {}, {.replicates = 10}, rng).error().message, HasSubstr("replicates"));
  BootstrapOptions strata;
  strata.strata = {0, 1};
  EXPECT_EQ(bootstrap_mean(values, {}, strata, rng).error().code, base::Code::kShape);
  EXPECT_THAT(bootstrap(
                  12, [](auto) { return NAN; }, {}, rng)
                  .error()
                  .message,
              HasSubstr("statistic of all units"));
  BootstrapOptions stopped;
  stopped.cancel = base::CancelToken::make();
  stopped.cancel.cancel();
  EXPECT_EQ(bootstrap_mean(values, {}, stopped, rng).error().code, base::Code::kCancelled);
  const std::vector<double> shorter = {1, 2};
  EXPECT_EQ(bootstrap_paired_difference(values, shorter, {}, {}, rng).error().code, base::Code::kShape);
}

TEST(Bootstrap, NonAnswersAreTyped) {
  base::Rng rng(4);
  const std::vector<double> flat(20, 3.0);
  const Estimate none = bootstrap_mean(flat, {}, {}, rng).value();
  EXPECT_FALSE(none.bounds.lower[0].has_value());
  EXPECT_THAT(none.warnings.back(), HasSubstr("no spread"));
  // Defined only when unit 0 was drawn: about 36 % of the resamples are not.
  const Estimate often =
      bootstrap(
          20,
          [](std::span<const std::size_t> units) {
            return units[0] == 0 ? static_cast<double>(units.back()) : std::numeric_limits<double>::quiet_NaN();
          },
          {}, rng)
          .value();
  EXPECT_FALSE(often.bounds.upper[0].has_value());
  EXPECT_THAT(often.warnings.back(), HasSubstr("not defined"));
}

TEST(Bootstrap, RungsBeyondTheReplicatesAreEmpty) {
  base::Rng rng(5);
  const Estimate e =
      bootstrap_mean(sample(rng, 60, false), {}, {.replicates = 2000, .kind = BootstrapKind::kPercentile}, rng).value();
  EXPECT_TRUE(e.bounds.lower[6].has_value());   // 0.999: two replicates beyond
  EXPECT_FALSE(e.bounds.lower[7].has_value());  // 0.9999
}

TEST(Bootstrap, SameSeedSameBitsForAnyThreads) {
  base::Rng rng(6);
  const std::vector<double> values = sample(rng, 700, true);
  base::set_threads(1);
  const Estimate one = bootstrap_mean(values, {}, {}, rng).value();
  base::set_threads(2);
  const Estimate two = bootstrap_mean(values, {}, {}, rng).value();
  base::set_threads(0);
  EXPECT_EQ(one.bounds.lower, two.bounds.lower);
  EXPECT_EQ(one.bounds.upper, two.bounds.upper);
}

TEST(Bootstrap, PercentileMovesWithShiftAndScale) {
  base::Rng rng(7);
  const std::vector<double> values = sample(rng, 50, true);
  std::vector<double> moved = values;
  for (double& x : moved) x = 4 * x - 8;
  const BootstrapOptions options{.kind = BootstrapKind::kPercentile};
  EXPECT_NEAR(*bootstrap_mean(moved, {}, options, rng).value().low(),
              4 * *bootstrap_mean(values, {}, options, rng).value().low() - 8, 1e-12);
}

// The exact distribution of the resampled mean of n = 10 zeros and ones is binomial: the quantiles must be its
// quantiles.
TEST(Bootstrap, AgreesWithTheExactLawOfZerosAndOnes) {
  const std::vector<double> values = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  const Estimate e =
      bootstrap_mean(values, {}, {.replicates = 20000, .kind = BootstrapKind::kPercentile}, base::Rng(8)).value();
  for (std::size_t r = 0; r < 5; ++r) {
    double upper = 0;
    while (binomial_cdf(upper, 10, 0.4) < kLadder[r]) ++upper;
    EXPECT_NEAR(*e.bounds.upper[r], upper / 10, 1e-9);
  }
}

TEST(Bootstrap, StrataAreKept) {
  // Each stratum is constant, so resampling within strata cannot move the mean at all.
  std::vector<double> values(30, 0.0);
  BootstrapOptions options;
  options.strata.assign(30, 0);
  for (std::size_t i = 10; i < 30; ++i) {
    values[i] = 1;
    options.strata[i] = 1;
  }
  EXPECT_THAT(bootstrap_mean(values, {}, options, base::Rng(9)).value().warnings.back(), HasSubstr("agree exactly"));
}

TEST(Bootstrap, UnitsAreResampledWhole) {
  base::Rng rng(10);
  std::vector<double> rows;
  std::vector<int> units;
  const std::vector<double> firsts = sample(rng, 50, false);
  for (int u = 0; u < 50; ++u) {
    for (int c = 0; c < 4; ++c) {
      rows.push_back(firsts[static_cast<std::size_t>(u)]);
      units.push_back(u);
    }
  }
  const Estimate copied = bootstrap_mean(rows, units, {}, base::Rng(11)).value();
  const Estimate once = bootstrap_mean(firsts, {}, {}, base::Rng(11)).value();
  EXPECT_NEAR(*copied.low(), *once.low(), 1e-12);
  EXPECT_EQ(copied.unit_of_sampling, "unit");
  EXPECT_EQ(copied.n_effective, 50);
}

// The coverage that warnings state, against 1500 fresh samples a cell: band of 1e-4 around the table's figure (which is
// rounded to 0.01). A figure off by 0.04 slips through with probability below 0.06.
TEST(Bootstrap, StatisticalCoverageMatchesTheStatedTable) {
  const int runs = 1500;
  for (const std::size_t n : {10U, 20U}) {
    for (const BootstrapKind kind : {BootstrapKind::kPercentile, BootstrapKind::kBca}) {
      const int hits = count_seeds(runs, [&](base::Rng& rng) {
        const Estimate e = bootstrap_mean(sample(rng, n, false), {}, {.replicates = 500, .kind = kind}, rng).value();
        return *e.low() <= 0 && *e.high() >= 0;
      });
      EXPECT_TRUE(binomial_band(runs, measured_coverage(kind, n)).contains(hits)) << n << ": " << hits;
    }
  }
}

// 100 exponential values: BCa covers about 0.94; the 1e-4 band of 600 runs around 0.94 is 528 to 587.
TEST(Bootstrap, StatisticalCoverageOfASkewedMean) {
  const int runs = 600;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    const Estimate e = bootstrap_mean(sample(rng, 100, true), {}, {.replicates = 800}, rng).value();
    return *e.low() <= 1 && *e.high() >= 1;
  });
  EXPECT_TRUE(binomial_band(runs, 0.94).contains(hits)) << hits;
}

}  // namespace
}  // namespace plumbline::stats

namespace plumbline::stats {
namespace {

// A share by kinds must follow the binomial law that its resamples have: quantiles of Binomial(200, 0.3) / 200.
TEST(BootstrapKinds, ResamplesFollowTheMultinomialLaw) {
  const std::size_t counts[] = {60, 0, 140};
  BootstrapOptions options;
  options.kind = BootstrapKind::kPercentile;
  options.replicates = 20000;
  const auto share = bootstrap_kinds(
      counts, [](std::span<const std::size_t> drawn) { return static_cast<double>(drawn[0]) / 200.0; }, options,
      base::Rng(1));
  ASSERT_TRUE(share.ok()) << share.error().text();
  EXPECT_EQ(share->value, 0.3);
  // Binomial(200, 0.3): 2.5 % quantile 47, 97.5 % quantile 73; one count either way for 20,000 resamples.
  EXPECT_NEAR(*share->low() * 200, 47, 1);
  EXPECT_NEAR(*share->high() * 200, 73, 1);
  EXPECT_TRUE(share->bounds.lower[7].has_value()) << "20,000 resamples reach the top rung";
}

TEST(BootstrapKinds, AgreesWithTheBootstrapOfUnits) {
  std::vector<double> values;
  for (int i = 0; i < 300; ++i) values.push_back(i % 3 == 0 ? 2.0 : i % 7 == 0 ? 5.0 : 1.0);
  std::map<double, std::size_t> kinds;
  for (const double v : values) ++kinds[v];
  std::vector<double> value_of;
  std::vector<std::size_t> counts;
  for (const auto& [v, c] : kinds) {
    value_of.push_back(v);
    counts.push_back(c);
  }
  BootstrapOptions options;
  options.kind = BootstrapKind::kPercentile;
  options.replicates = 5000;
  const auto by_kind = bootstrap_kinds(
      counts,
      [&](std::span<const std::size_t> drawn) {
        double sum = 0;
        for (std::size_t k = 0; k < drawn.size(); ++k) sum += static_cast<double>(drawn[k]) * value_of[k];
        return sum / 300;
      },
      options, base::Rng(2));
  const auto by_unit = bootstrap_mean(values, {}, options, base::Rng(3));
  ASSERT_TRUE(by_kind.ok() && by_unit.ok());
  EXPECT_NEAR(by_kind->value, by_unit->value, 1e-12);
  // Two estimates of the same quantile from 5000 resamples: within 5 of their standard errors, 0.004 each.
  EXPECT_NEAR(*by_kind->low(), *by_unit->low(), 0.03);
  EXPECT_NEAR(*by_kind->high(), *by_unit->high(), 0.03);
}

TEST(BootstrapKinds, RefusesFewUnitsAndOtherBounds) {
  const std::size_t few[] = {3, 3};
  const std::size_t enough[] = {30, 30};
  const auto first = [](std::span<const std::size_t> drawn) { return static_cast<double>(drawn[0]); };
  BootstrapOptions options;
  options.kind = BootstrapKind::kPercentile;
  EXPECT_NE(bootstrap_kinds(few, first, options, base::Rng(1)).error().message.find("n = 6 units"), std::string::npos);
  options.kind = BootstrapKind::kBca;
  EXPECT_FALSE(bootstrap_kinds(enough, first, options, base::Rng(1)).ok());
}

}  // namespace
}  // namespace plumbline::stats

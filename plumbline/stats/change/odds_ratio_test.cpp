#include "plumbline/stats/change/odds_ratio.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

// Fisher's tea tasting, 3 of 4 against 1 of 4: the law given four hits has weights 1, 16, 36, 16, 1 times powers of the
// ratio. (R's fisher.test prints the lower bound at 0.95 as 0.3135693; its root search stops at the fifth digit.)
TEST(OddsRatio, TeaTasting) {
  const auto e = odds_ratio(1, 4, 3, 4);
  ASSERT_TRUE(e.ok());
  EXPECT_NEAR(e->value, 9, 1e-12);
  const auto at_least_three = [](double r) {
    const double top = 16 * std::pow(r, 3) + std::pow(r, 4);
    return top / (1 + 16 * r + 36 * r * r + top);
  };
  EXPECT_NEAR(at_least_three(*e->low()), 0.025, 1e-9);
  EXPECT_NEAR(at_least_three(*e->low(0.9)), 0.05, 1e-9);
  EXPECT_NEAR(*e->low(0.9), 0.31357, 1e-5);
  const double r = *e->high();
  EXPECT_NEAR(std::pow(r, 4) / (1 + 16 * r + 36 * r * r + 16 * std::pow(r, 3) + std::pow(r, 4)), 0.975, 1e-9);
}

TEST(OddsRatio, SwappingSamplesInverts) {
  const auto e = odds_ratio(12, 60, 30, 55), back = odds_ratio(30, 55, 12, 60);
  EXPECT_NEAR(e->value * back->value, 1, 1e-12);
  EXPECT_NEAR(*e->low() * *back->high(), 1, 1e-8);
}

TEST(OddsRatio, WithoutHitsOneSideIsOpen) {
  const auto none = odds_ratio(5, 20, 0, 20);
  EXPECT_EQ(*none->low(), 0);
  EXPECT_TRUE(none->high().has_value());
  const auto first = odds_ratio(0, 20, 5, 20);
  EXPECT_FALSE(first->high().has_value());
  EXPECT_GT(*first->low(), 0);
  EXPECT_FALSE(odds_ratio(0, 20, 0, 20)->high().has_value());
}

TEST(OddsRatio, BadCounts) {
  for (const auto& e : {odds_ratio(3, 2, 1, 2), odds_ratio(0, 0, 1, 2), odds_ratio(1, 2000000, 1, 2)})
    EXPECT_EQ(e.error().code, base::Code::kValue);
}

TEST(OddsRatioStatistical, Covers) {
  const int runs = 400;
  const int hits = testing::count_seeds(runs, [](base::Rng& rng) {
    const double odds = 3.0 * 0.25 / 0.75;
    const auto e = odds_ratio(rng.binomial(60, 0.25), 60, rng.binomial(80, odds / (1 + odds)), 80);
    return *e->low() <= 3 && e->high().value_or(INFINITY) >= 3;
  });
  EXPECT_GE(hits, testing::binomial_band(runs, 0.95).low);
}

}  // namespace
}  // namespace plumbline::stats

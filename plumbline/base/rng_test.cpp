#include "plumbline/base/rng.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::base {
namespace {

TEST(Rng, SameKeySameBitsAndForksDiffer) {
  Rng a(7, {"check", "subject"});
  Rng b(7, {"check", "subject"});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.bits(), b.bits());
  EXPECT_NE(Rng(7, {"check", "subject"}).bits(), Rng(7, {"checks", "ubject"}).bits());
  EXPECT_NE(a.fork("x").bits(), a.fork("y").bits());
}

TEST(Rng, ForkDoesNotDependOnPosition) {
  Rng a(1);
  Rng first = a.fork("part");
  a.bits();
  Rng second = a.fork("part");
  EXPECT_EQ(first.bits(), second.bits());
}

// Mean and variance of each law within 5 standard errors over 200,000 draws: false alarm about 6e-7 each.
TEST(Rng, MomentsOfLaws) {
  struct Law {
    const char* name;
    double mean;
    double variance;
    std::function<double(Rng&)> draw;
  };
  const Law laws[] = {
      {"uniform", 0.5, 1.0 / 12, [](Rng& r) { return r.uniform(); }},
      {"normal", 0, 1, [](Rng& r) { return r.normal(); }},
      {"exponential", 1, 1, [](Rng& r) { return r.exponential(); }},
      {"gamma 0.5", 0.5, 0.5, [](Rng& r) { return r.gamma(0.5); }},
      {"gamma 4", 4, 4, [](Rng& r) { return r.gamma(4); }},
      {"beta 2 5", 2.0 / 7, 10.0 / (49 * 8), [](Rng& r) { return r.beta(2, 5); }},
      {"poisson 3", 3, 3, [](Rng& r) { return static_cast<double>(r.poisson(3)); }},
      {"poisson 80", 80, 80, [](Rng& r) { return static_cast<double>(r.poisson(80)); }},
      {"binomial 1000 .3", 300, 210, [](Rng& r) { return static_cast<double>(r.binomial(1000, 0.3)); }},
      {"below 6", 2.5, 35.0 / 12, [](Rng& r) { return static_cast<double>(r.below(6)); }},
  };
  constexpr int kDraws = 200000;
  for (const Law& law : laws) {
    Rng rng(3, {law.name});
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = law.draw(rng) - law.mean;
      sum += x;
      squares += x * x;
    }
    EXPECT_NEAR(sum / kDraws, 0, 5 * std::sqrt(law.variance / kDraws)) << law.name;
    EXPECT_NEAR(squares / kDraws / law.variance, 1, 0.05) << law.name;
  }
}

TEST(Rng, PermutationIsAPermutationAndSampleIsSorted) {
  Rng rng(5);
  auto order = rng.permutation(50);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(order[i], i);
  const auto chosen = rng.sample(100, 10);
  EXPECT_EQ(chosen.size(), 10U);
  EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
}

// Every element equally likely in a sample of 3 of 10: each count within the binomial band.
TEST(RngStatistical, SampleIsUniform) {
  const auto band = testing::binomial_band(4000, 0.3, 1e-5);
  std::vector<int> counts(10, 0);
  testing::count_seeds(4000, [&](Rng& rng) {
    for (const auto i : rng.sample(10, 3)) ++counts[i];
    return true;
  });
  for (const int count : counts) EXPECT_TRUE(band.contains(count)) << count;
}

}  // namespace
}  // namespace plumbline::base

#include "plumbline/methodology/adequacy.hpp"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::methodology {
namespace {

using ::plumbline::testing::binomial_floor;
using ::plumbline::testing::count_seeds;
using ::testing::HasSubstr;

constexpr std::size_t kAt95 = 2;

TEST(Adequacy, CleanTestsGiveThePublishedSizes) {
  const std::vector<int> labels(299, 0);
  const Adequacy enough = assess_adequacy(labels, labels, {}, {}, base::Rng(1)).value();
  EXPECT_EQ(enough.units_needed, 299U);
  EXPECT_EQ(enough.size_ratio.value, 1);
  EXPECT_LE(*enough.failure_rate.bounds.upper[kAt95], 0.01);
  EXPECT_TRUE(enough.failure_rate_anytime.anytime);
  EXPECT_GT(*enough.failure_rate_anytime.bounds.upper[kAt95], *enough.failure_rate.bounds.upper[kAt95]);
  const std::vector<int> fewer(298, 0);
  const Adequacy short_of = assess_adequacy(fewer, fewer, {}, {}, base::Rng(1)).value();
  EXPECT_LT(short_of.size_ratio.value, 1);
  EXPECT_GT(*short_of.failure_rate.bounds.upper[kAt95], 0.01);
  EXPECT_EQ(short_of.units_needed_clean, 299U);
}

TEST(Adequacy, RatioPassesOneExactlyWhereTheBoundPassesTheTarget) {
  base::Rng rng(2);
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<int> labels(100 + rng.below(900), 1);
    std::vector<int> predicted = labels;
    for (std::uint64_t f = rng.below(8); f > 0; --f) predicted[rng.below(predicted.size())] = 0;
    const Adequacy a = assess_adequacy(labels, predicted, {}, {}, rng).value();
    EXPECT_EQ(a.size_ratio.value >= 1, *a.failure_rate.bounds.upper[kAt95] <= 0.01 * (1 + 1e-9)) << labels.size();
  }
}

TEST(Adequacy, CountsKindsSingletonsAndTheSmallestClass) {
  //                                 unit 0      unit 1   unit 2   unit 3
  const std::vector<int> labels = {0, 0, 1, 1, 1, 2, 0};
  const std::vector<int> predicted = {1, 1, 1, 0, 1, 0, 1};
  const std::vector<int> units = {7, 7, 7, 8, 8, 9, 4};
  const Adequacy a = assess_adequacy(labels, predicted, units, {}, base::Rng(3)).value();
  EXPECT_EQ(a.units, 4U);
  EXPECT_EQ(a.failed_units, 4U);
  ASSERT_EQ(a.types.size(), 3U);
  EXPECT_EQ(a.types[0].label, 0);
  EXPECT_EQ(a.types[0].predicted, 1);
  EXPECT_EQ(a.types[0].rows, 3U);
  EXPECT_EQ(a.singletons, 2U);  // 1 as 0 in unit 8, 2 as 0 in unit 9; 0 as 1 occurs in units 7 and 4
  EXPECT_DOUBLE_EQ(a.unseen_mass.value, 0.5);
  EXPECT_EQ(a.smallest_class, 2);
  EXPECT_EQ(a.smallest_class_units.value, 1);
  EXPECT_EQ(a.failure_rate.unit_of_sampling, "unit");
}

TEST(Adequacy, CopiesAreOneTest) {
  std::vector<int> labels, units;
  for (int i = 0; i < 300; ++i) {
    for (int c = 0; c < 5; ++c) {
      labels.push_back(i % 10);
      units.push_back(i);
    }
  }
  EXPECT_EQ(assess_adequacy(labels, labels, units, {}, base::Rng(4)).value().units, 300U);
  EXPECT_EQ(assess_adequacy(labels, labels, {}, {}, base::Rng(4)).value().units, 1500U);
}

TEST(Adequacy, Errors) {
  const std::vector<int> labels = {0, 1}, one = {0}, negative = {0, -1};
  EXPECT_THAT(assess_adequacy({}, {}, {}, {}, base::Rng(1)).error().message, HasSubstr("size of labels"));
  EXPECT_EQ(assess_adequacy(labels, one, {}, {}, base::Rng(1)).error().code, base::Code::kShape);
  EXPECT_EQ(assess_adequacy(labels, labels, one, {}, base::Rng(1)).error().code, base::Code::kShape);
  EXPECT_THAT(assess_adequacy(labels, negative, {}, {}, base::Rng(1)).error().message, HasSubstr("predicted[1] is -1"));
  EXPECT_THAT(assess_adequacy(labels, labels, {}, {.target_rate = 0}, base::Rng(1)).error().message,
              HasSubstr("target_rate"));
  EXPECT_THAT(assess_adequacy(labels, labels, {}, {.confidence = 1}, base::Rng(1)).error().message,
              HasSubstr("confidence"));
  EXPECT_FALSE(assess_adequacy(one, one, {}, {}, base::Rng(1)).value().unseen_mass.bounds.upper[0].has_value());
}

// 20 classes, failures with Zipf-like kinds: the upper bound at 0.95 must not fall below the true unseen mass of the
// sample. Conservative (the bound is for half of the rows), so a floor: a coverage of 0.90 passes 1000 runs with
// probability below 1e-4. Good-Turing's error must average out: its mean over the runs is within 0.002 of the truth's.
TEST(Adequacy, StatisticalCoverageOfTheUnseenMass) {
  const int runs = 1000;
  double error = 0;
  const int hits = count_seeds(runs, [&](base::Rng& rng) {
    std::vector<double> mass(40);
    double total = 0;
    for (std::size_t k = 0; k < mass.size(); ++k) total += mass[k] = 0.3 / static_cast<double>((k + 1) * (k + 1));
    std::vector<int> labels, predicted;
    std::vector<bool> seen(mass.size(), false);
    for (int i = 0; i < 300; ++i) {
      double u = rng.uniform();
      std::size_t kind = 0;
      while (kind < mass.size() && u >= mass[kind]) u -= mass[kind++];
      labels.push_back(kind < mass.size() ? static_cast<int>(kind) : 0);
      predicted.push_back(kind < mass.size() ? static_cast<int>(kind) + 1 : 0);
      if (kind < mass.size()) seen[kind] = true;
    }
    double truth = 0;
    for (std::size_t k = 0; k < mass.size(); ++k) truth += seen[k] ? 0 : mass[k];
    const Adequacy a = assess_adequacy(labels, predicted, {}, {}, rng).value();
    error += (a.unseen_mass.value - truth) / runs;
    return *a.unseen_mass.bounds.upper[kAt95] >= truth;
  });
  EXPECT_GE(hits, binomial_floor(runs, 0.95));
  EXPECT_NEAR(error, 0, 0.002);
}

}  // namespace
}  // namespace plumbline::methodology

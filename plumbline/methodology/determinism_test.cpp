#include "plumbline/methodology/determinism.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "plumbline/base/rng.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using ::testing::HasSubstr;

TEST(UlpDistance, CountsSteps) {
  float value = -1e-42F;  // through the subnormals and over zero
  for (int steps = 0; steps < 3000; ++steps) {
    ASSERT_EQ(ulp_distance(-1e-42F, value), steps);
    value = std::nextafterf(value, 1.0F);
    if (value == 0 && std::signbit(value)) value = std::nextafterf(0.0F, 1.0F), ++steps;
  }
  EXPECT_EQ(ulp_distance(0.0, -0.0), 0);
  EXPECT_EQ(ulp_distance(1.0, std::nextafterf(1.0F, 2.0F)), 1);
  EXPECT_EQ(ulp_distance(1.0, 2.0), 1 << 23);
  EXPECT_EQ(ulp_distance(1.0, 1.0 + 1e-12), 0);  // the same float
  const double nan = std::nan("");
  EXPECT_EQ(ulp_distance(nan, nan), 0);
  EXPECT_EQ(ulp_distance(nan, 1.0), 4294967296.0);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ulp_distance(infinity, infinity), 0);
  EXPECT_EQ(ulp_distance(infinity, std::numeric_limits<float>::max()), 1);
}

TEST(CompareRuns, FindsRowsFlipsAndSizes) {
  MatrixD first(4, 3);
  first << 1, 2, 3, 4, 4, 4, 9, 1, 1, 0, 0, 1;
  const auto same = compare_runs(first, first);
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->diverging, 0);
  EXPECT_EQ(same->flips, 0);
  EXPECT_EQ(same->max_ulp, 0);
  EXPECT_FALSE(same->first_diverging.has_value());

  MatrixD second = first;
  second(1, 2) = std::nextafterf(4.0F, 5.0F);  // breaks a tie: the answer moves from column 0 to 2
  second(2, 0) = 8.5;
  const auto found = compare_runs(first, second);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->rows, 4);
  EXPECT_EQ(found->diverging, 2);
  EXPECT_EQ(found->first_diverging, 1);
  EXPECT_EQ(found->flips, 1);
  EXPECT_EQ(found->first_flip, 1);
  EXPECT_EQ(found->max_ulp, 1 << 19);
  EXPECT_EQ(found->max_difference, 0.5);
  const auto back = compare_runs(second, first);
  EXPECT_EQ(back->max_ulp, found->max_ulp);
  EXPECT_EQ(back->flips, found->flips);
}

TEST(CompareRuns, AgreesWithAPlainCount) {
  base::Rng rng(1, {"runs"});
  MatrixD first(200, 4);
  for (std::ptrdiff_t i = 0; i < first.size(); ++i) first.data()[i] = static_cast<float>(rng.normal());
  MatrixD second = first;
  int diverging = 0;
  int flips = 0;
  for (std::ptrdiff_t i = 0; i < 200; ++i) {
    if (!rng.bernoulli(0.3)) continue;
    second(i, 1) += rng.normal();
    ++diverging;
    std::ptrdiff_t a = 0;
    std::ptrdiff_t b = 0;
    first.row(i).maxCoeff(&a);
    second.row(i).maxCoeff(&b);
    flips += a != b ? 1 : 0;
  }
  const auto found = compare_runs(first, second);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->diverging, diverging);
  EXPECT_EQ(found->flips, flips);
}

TEST(CompareRuns, ErrorsNameTheArgument) {
  EXPECT_THAT(compare_runs(MatrixD(0, 2), MatrixD(0, 2)).error().text(), HasSubstr("rows of first"));
  EXPECT_THAT(compare_runs(MatrixD(2, 0), MatrixD(2, 0)).error().text(), HasSubstr("columns of first"));
  EXPECT_THAT(compare_runs(MatrixD(2, 2), MatrixD(3, 2)).error().text(), HasSubstr("rows of second"));
  EXPECT_THAT(compare_runs(MatrixD(2, 2), MatrixD(2, 3)).error().text(), HasSubstr("columns of second"));
}

}  // namespace
}  // namespace plumbline::methodology

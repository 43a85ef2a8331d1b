#include "plumbline/robustness/drift.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using ::testing::HasSubstr;

MatrixD normal_rows(std::ptrdiff_t n, std::ptrdiff_t d, base::Rng& rng, double shift = 0) {
  MatrixD rows(n, d);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < d; ++j) rows(i, j) = rng.normal() + shift;
  }
  return rows;
}

double plain_mmd2(const MatrixD& a, const MatrixD& b, double width) {
  const auto kernel = [&](const MatrixD& x, std::ptrdiff_t i, const MatrixD& y, std::ptrdiff_t k) {
    double gap = 0;
    for (std::ptrdiff_t j = 0; j < x.cols(); ++j) gap += (x(i, j) - y(k, j)) * (x(i, j) - y(k, j));
    return std::exp(-gap / (2 * width * width));
  };
  const auto mean = [&](const MatrixD& x, const MatrixD& y, bool same) {
    double sum = 0, pairs = 0;
    for (std::ptrdiff_t i = 0; i < x.rows(); ++i) {
      for (std::ptrdiff_t k = 0; k < y.rows(); ++k) {
        if (same && i == k) continue;
        sum += kernel(x, i, y, k);
        pairs += 1;
      }
    }
    return sum / pairs;
  };
  return mean(a, a, true) + mean(b, b, true) - 2 * mean(a, b, false);
}

TEST(Mmd, AgreesWithThePlainFormulaAcrossBlocks) {
  base::Rng rng(1);
  const MatrixD a = normal_rows(190, 3, rng);
  const MatrixD b = normal_rows(340, 3, rng, 0.3);
  const MmdTest test = mmd_test(a, b, {.permutations = 19, .width = 1.5}, rng).value();
  EXPECT_NEAR(test.mmd2.value, plain_mmd2(a, b, 1.5), 1e-12);
  EXPECT_EQ(test.p_value, 1.0 / 20);
}

TEST(Mmd, PValueIsThatOfAPlainPermutationTest) {
  base::Rng rng(2);
  const MatrixD a = normal_rows(12, 2, rng);
  const MatrixD b = normal_rows(9, 2, rng, 0.4);
  const base::Rng stream(7);
  const MmdTest test = mmd_test(a, b, {.permutations = 60, .width = 1}, stream).value();
  MatrixD pooled(21, 2);
  pooled << a, b;
  const double observed = plain_mmd2(a, b, 1);
  int extreme = 0;
  for (std::uint64_t r = 0; r < 60; ++r) {
    base::Rng fork = stream.fork(r);
    const auto first = fork.sample(21, 12);
    MatrixD x(12, 2), y(9, 2);
    std::ptrdiff_t nx = 0, ny = 0;
    for (std::size_t i = 0; i < 21; ++i) {
      if (std::binary_search(first.begin(), first.end(), i))
        x.row(nx++) = pooled.row(static_cast<std::ptrdiff_t>(i));
      else
        y.row(ny++) = pooled.row(static_cast<std::ptrdiff_t>(i));
    }
    if (plain_mmd2(x, y, 1) >= observed) ++extreme;
  }
  EXPECT_EQ(test.p_value, (1.0 + extreme) / 61);
}

TEST(Mmd, InvariancesThreadsAndDegenerateRows) {
  base::Rng rng(3);
  const MatrixD a = normal_rows(300, 4, rng);
  const MatrixD b = normal_rows(280, 4, rng, 0.1);
  base::set_threads(1);
  const MmdTest one = mmd_test(a, b, {}, base::Rng(5)).value();
  base::set_threads(4);
  const MmdTest four = mmd_test(a, b, {}, base::Rng(5)).value();
  base::set_threads(0);
  EXPECT_EQ(one.mmd2.value, four.mmd2.value);
  EXPECT_EQ(one.p_value, four.p_value);
  MatrixD moved_a = a;
  MatrixD moved_b = b;
  for (std::ptrdiff_t i = 0; i < moved_a.size(); ++i) moved_a.data()[i] = 8 * a.data()[i] + 32;
  for (std::ptrdiff_t i = 0; i < moved_b.size(); ++i) moved_b.data()[i] = 8 * b.data()[i] + 32;
  EXPECT_NEAR(mmd_test(moved_a, moved_b, {}, base::Rng(5))->mmd2.value, one.mmd2.value, 1e-10);
  const MatrixD flat = MatrixD::Ones(10, 2);
  const MmdTest none = mmd_test(flat, flat, {}, rng).value();
  EXPECT_EQ(none.p_value, 1);
  EXPECT_FALSE(none.mmd2.low().has_value());
}

// 400 null pairs at level .05 (99 relabellings: exact level .05). Band for a false alarm of 1e-4: see binomial_band.
// A true rate of .15 slips through less than once in a hundred.
TEST(MmdStatistical, TypeOneErrorIsTheLevel) {
  const auto band = testing::binomial_band(400, 0.05);
  const int rejected = testing::count_seeds(400, [](base::Rng& rng) {
    const MatrixD a = normal_rows(30, 3, rng);
    const MatrixD b = normal_rows(25, 3, rng);
    return mmd_test(a, b, {.permutations = 99}, rng.fork("mmd"))->p_value <= 0.05;
  });
  EXPECT_TRUE(band.contains(rejected)) << rejected;
  EXPECT_LT(testing::slip_through(band, 400, 0.15), 0.01);
}

// Closed form for normals N(0, I), N(mu, I) and a fixed width: the 95 % interval covers it. Accept at or above the
// binomial floor of .93: normal bounds of a skewed statistic are allowed two points.
TEST(MmdStatistical, BoundsCoverTheTruth) {
  for (const double shift : {0.0, 0.5}) {
    const double width = 1.5;
    const double s = width * width;
    const double truth = 2 * std::pow(s / (s + 2), 1.0) * (1 - std::exp(-(2 * shift * shift) / (2 * (s + 2))));
    const int covered = testing::count_seeds(300, [&](base::Rng& rng) {
      const MatrixD a = normal_rows(60, 2, rng);
      const MatrixD b = normal_rows(60, 2, rng, shift);
      const MmdTest test = mmd_test(a, b, {.permutations = 60, .width = width}, rng.fork("mmd")).value();
      return *test.mmd2.low() <= truth && truth <= *test.mmd2.high();
    });
    EXPECT_GE(covered, testing::binomial_floor(300, 0.93)) << shift;
  }
}

TEST(Mmd, Errors) {
  base::Rng rng(4);
  const MatrixD a = normal_rows(10, 2, rng);
  EXPECT_THAT(mmd_test(a, normal_rows(10, 3, rng), {}, rng).error().text(), HasSubstr("b.cols()"));
  EXPECT_THAT(mmd_test(a, normal_rows(3, 2, rng), {}, rng).error().text(),
              HasSubstr("b has 3 rows, expected at least 4"));
  EXPECT_THAT(mmd_test(a, a, {.permutations = 5}, rng).error().text(), HasSubstr("permutations"));
  EXPECT_THAT(mmd_test(a, a, {.width = -1}, rng).error().text(), HasSubstr("width"));
  MatrixD bad = a;
  bad(2, 1) = NAN;
  EXPECT_THAT(mmd_test(a, bad, {}, rng).error().text(), HasSubstr("b(2, 1)"));
  const base::CancelToken cancel = base::CancelToken::make();
  cancel.cancel();
  EXPECT_EQ(mmd_test(a, a, {.cancel = cancel}, rng).error().code, base::Code::kCancelled);
}

TEST(ClassifierTest, SeesAShiftAndItsSize) {
  base::Rng rng(5);
  const MatrixD a = normal_rows(1000, 5, rng);
  MatrixD b = normal_rows(1500, 5, rng);
  for (std::ptrdiff_t i = 0; i < b.rows(); ++i)
    b(i, 2) += 1;  // AUROC of a unit shift of one normal: Phi(1 / sqrt 2) = .760
  const ClassifierTest test = classifier_test(a, b, rng).value();
  EXPECT_LT(test.p_value, 1e-6);
  EXPECT_NEAR(test.auroc.value, 0.760, 0.04);
  EXPECT_EQ(test.held_out_scores_a.size(), 500U);
  EXPECT_EQ(test.held_out_scores_b.size(), 500U);
  EXPECT_THAT(classifier_test(normal_rows(19, 5, rng), a, rng).error().text(),
              HasSubstr("19 rows, expected at least 20"));
}

// Null: the exact binomial test is conservative; no more than the level. 200 runs, floor on the misses.
TEST(ClassifierTestStatistical, NullIsKeptAndCovered) {
  int rejected = 0;
  const int covered = testing::count_seeds(200, [&](base::Rng& rng) {
    const MatrixD a = normal_rows(80, 3, rng);
    const MatrixD b = normal_rows(80, 3, rng);
    const ClassifierTest test = classifier_test(a, b, rng.fork("c2st")).value();
    rejected += test.p_value <= 0.05 ? 1 : 0;
    return *test.auroc.low() <= 0.5 && 0.5 <= *test.auroc.high();
  });
  EXPECT_LE(rejected, testing::binomial_band(200, 0.05).high);
  EXPECT_GE(covered, testing::binomial_floor(200, 0.93));
}

DriftColumn column(const std::string& name, base::Rng& rng, std::size_t n, double shift) {
  DriftColumn c;
  c.name = name;
  for (std::size_t i = 0; i < n; ++i) c.a.push_back(rng.normal());
  for (std::size_t i = 0; i < n; ++i) c.b.push_back(rng.normal() + shift);
  return c;
}

TEST(FeatureDrift, NamesWhatMoved) {
  base::Rng rng(6);
  std::vector<DriftColumn> columns = {column("still", rng, 500, 0), column("moved", rng, 500, 0.5),
                                      column("still too", rng, 500, 0)};
  columns[0].a[3] = NAN;
  DriftColumn colour{.name = "colour", .category = true, .a = {}, .b = {}};
  for (int i = 0; i < 400; ++i) {
    colour.a.push_back(i % 4 == 0 ? 1 : 0);
    colour.b.push_back(i % 2 == 0 ? 1 : 0);
  }
  colour.a[0] = -1;
  columns.push_back(colour);
  DriftColumn constant{
      .name = "constant", .category = false, .a = std::vector<double>(10, 3.0), .b = std::vector<double>(10, 3.0)};
  columns.push_back(constant);
  const auto features = feature_drift(columns).value();
  EXPECT_GT(features[0].adjusted_p, 0.05);
  EXPECT_LT(features[1].adjusted_p, 1e-6);
  EXPECT_NEAR(features[1].effect.value, 0.5, 0.15);
  EXPECT_LE(*features[1].effect.low(), 0.5);
  EXPECT_GE(*features[1].effect.high(), 0.5);
  EXPECT_EQ(features[0].effect.n, 999);
  EXPECT_EQ(features[3].test, "chi-square");
  EXPECT_NEAR(features[3].effect.value, 0.25, 0.01);
  EXPECT_LT(features[3].adjusted_p, 1e-6);
  EXPECT_THAT(features[4].test, HasSubstr("constant"));
  const stats::Estimate moved = features_moved(features, 0.05);
  EXPECT_EQ(moved.value, 2);
  EXPECT_EQ(moved.bounds.lower[2], 2.0);
  EXPECT_FALSE(moved.bounds.upper[0].has_value());
  const stats::Estimate shift = largest_shift(features).value();
  EXPECT_EQ(shift.value, std::abs(features[1].effect.value));
  EXPECT_LT(*shift.low(), shift.value);
  EXPECT_GT(*shift.high(), shift.value);
}

// Family-wise error of Holm over 10 null features, 200 runs: at most the level.
TEST(FeatureDriftStatistical, FamilyWiseErrorIsKeptAndLargestShiftCovers) {
  int any = 0;
  const int covered = testing::count_seeds(200, [&](base::Rng& rng) {
    std::vector<DriftColumn> columns;
    for (int j = 0; j < 10; ++j) columns.push_back(column("f", rng, 60, j == 0 ? 0.6 : 0));
    const auto features = feature_drift(columns).value();
    any += std::any_of(features.begin() + 1, features.end(), [](const FeatureDrift& f) { return f.adjusted_p <= 0.05; })
               ? 1
               : 0;
    const stats::Estimate shift = largest_shift(features).value();
    return *shift.low() <= 0.6 && 0.6 <= *shift.high();
  });
  EXPECT_LE(any, testing::binomial_band(200, 0.05).high);
  EXPECT_GE(covered, testing::binomial_floor(200, 0.95));
}

TEST(FeatureDrift, Errors) {
  EXPECT_THAT(feature_drift({}).error().text(), HasSubstr("no features"));
  base::Rng rng(8);
  std::vector<DriftColumn> columns = {column("x", rng, 3, 0)};
  EXPECT_THAT(feature_drift(columns).error().text(), HasSubstr("feature 'x' has 3 and 3 rows"));
  columns = {column("x", rng, 5, 0)};
  columns[0].b[1] = INFINITY;
  EXPECT_THAT(feature_drift(columns).error().text(), HasSubstr("infinite"));
  columns = {{.name = "k", .category = true, .a = {0, 1, 0, 1}, .b = {0, 1, 1, 1}}};
  EXPECT_THAT(largest_shift(feature_drift(columns).value()).error().text(), HasSubstr("no numeric feature"));
}

TEST(ImageStatistics, HandCase) {
  const std::vector<std::uint8_t> pixels = {0, 255, 0, 255, 100, 100, 100, 100};  // two images of 2 x 2
  const ImageStatistics s = image_statistics(pixels, 2, 1, 2, 2).value();
  EXPECT_NEAR(s.values(0, 0), 0.5, 1e-12);
  EXPECT_NEAR(s.values(0, 1), 0.5, 1e-12);
  EXPECT_EQ(s.values(0, 2), 0.5);
  EXPECT_EQ(s.values(0, 3), 0.5);
  EXPECT_NEAR(s.values(0, 4), 0.5, 1e-12);  // two steps of 255 and two of 0
  EXPECT_EQ(s.values(1, 1), 0);
  EXPECT_EQ(s.values(1, 4), 0);
  EXPECT_THAT(image_statistics(pixels, 3, 1, 2, 2).error().text(), HasSubstr("pixels"));
}

}  // namespace
}  // namespace plumbline::robustness

#include "plumbline/robustness/ood.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/ranking.hpp"

namespace plumbline::robustness {
namespace {

using ::testing::HasSubstr;

MatrixF normal_rows(std::ptrdiff_t n, std::ptrdiff_t d, base::Rng& rng, double shift = 0, double spread = 1) {
  MatrixF rows(n, d);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < d; ++j)
      rows(i, j) = static_cast<float>(shift + spread * rng.normal() / std::sqrt(1.0 + static_cast<double>(j)));
  }
  return rows;
}

std::vector<int> cycle_labels(std::ptrdiff_t n, int classes) {
  std::vector<int> labels(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i) % classes;
  return labels;
}

TEST(OodOutputScore, HandCase) {
  MatrixD logits(2, 3);
  logits << 0, 0, 0, 2, 0, -1;
  const double z = std::exp(2) + 1 + std::exp(-1);
  const auto soft = ood_output_score(OodDetector::kMaxSoftmax, logits, decision::Output::kLogits).value();
  EXPECT_NEAR(soft(0), 2.0 / 3, 1e-15);
  EXPECT_NEAR(soft(1), 1 - std::exp(2) / z, 1e-15);
  EXPECT_EQ(ood_output_score(OodDetector::kMaxLogit, logits, decision::Output::kLogits).value()(1), -2);
  EXPECT_NEAR(ood_output_score(OodDetector::kEnergy, logits, decision::Output::kLogits).value()(1), -std::log(z),
              1e-14);
  MatrixD probabilities(1, 3);
  probabilities << 0.5, 0.3, 0.2;
  EXPECT_NEAR(ood_output_score(OodDetector::kMaxSoftmax, probabilities, decision::Output::kProbabilities).value()(0),
              0.5, 1e-15);
}

TEST(OodOutputScore, KeepsItsDigitsWhereOneMinusTheLargestWouldBeZero) {
  MatrixD logits(2, 2);
  logits << 50, 0, 60, 0;
  const auto soft = ood_output_score(OodDetector::kMaxSoftmax, logits, decision::Output::kLogits).value();
  EXPECT_NEAR(soft(0) / std::exp(-50), 1, 1e-12);
  EXPECT_GT(soft(0), soft(1));
}

TEST(OodOutputScore, AddingAConstantMovesEnergyByItAndLeavesSoftmax) {
  base::Rng rng(1);
  MatrixD logits(20, 4);
  for (std::ptrdiff_t i = 0; i < logits.size(); ++i) logits.data()[i] = 3 * rng.normal();
  MatrixD moved = logits;
  for (std::ptrdiff_t i = 0; i < moved.size(); ++i) moved.data()[i] += 7;
  for (std::ptrdiff_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(ood_output_score(OodDetector::kEnergy, moved, decision::Output::kLogits).value()(i),
                ood_output_score(OodDetector::kEnergy, logits, decision::Output::kLogits).value()(i) - 7, 1e-12);
    EXPECT_NEAR(ood_output_score(OodDetector::kMaxSoftmax, moved, decision::Output::kLogits).value()(i),
                ood_output_score(OodDetector::kMaxSoftmax, logits, decision::Output::kLogits).value()(i), 1e-12);
  }
}

TEST(OodOutputScore, Errors) {
  const MatrixD logits = MatrixD::Zero(1, 2);
  EXPECT_THAT(ood_output_score(OodDetector::kEnergy, logits, decision::Output::kScores).error().text(),
              HasSubstr("outputs are scores"));
  EXPECT_THAT(ood_output_score(OodDetector::kEnergy, logits, decision::Output::kProbabilities).error().text(),
              HasSubstr("size of the logits was lost"));
  EXPECT_THAT(ood_output_score(OodDetector::kMahalanobis, logits, decision::Output::kLogits).error().text(),
              HasSubstr("reads features"));
  EXPECT_THAT(ood_output_score(OodDetector::kEnergy, MatrixD::Zero(1, 1), decision::Output::kLogits).error().text(),
              HasSubstr("at least 2"));
  MatrixD bad = logits;
  bad(0, 1) = NAN;
  EXPECT_THAT(ood_output_score(OodDetector::kEnergy, bad, decision::Output::kLogits).error().text(),
              HasSubstr("outputs(0, 1)"));
  EXPECT_THAT(ood_output_score(OodDetector::kMaxSoftmax, logits, decision::Output::kProbabilities).error().text(),
              HasSubstr("all 0"));
}

/// Plain formula: covariance by two passes, solve by Gauss-Jordan, distance to every class.
double plain_distance(const MatrixF& rows, const std::vector<int>& labels, int classes, const float* x, bool relative) {
  const std::ptrdiff_t d = rows.cols();
  const auto gauss = [&](std::vector<std::vector<double>> a, std::vector<double> b) {
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      for (std::ptrdiff_t r = 0; r < d; ++r) {
        if (r == i) continue;
        const double f = a[r][i] / a[i][i];
        for (std::ptrdiff_t c = 0; c < d; ++c) a[r][c] -= f * a[i][c];
        b[r] -= f * b[i];
      }
    }
    for (std::ptrdiff_t i = 0; i < d; ++i) b[i] /= a[i][i];
    return b;
  };
  const auto distance = [&](int groups) {
    std::vector<std::vector<double>> means(groups, std::vector<double>(d, 0.0));
    std::vector<double> counts(groups, 0.0);
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      const int k = groups == 1 ? 0 : labels[i];
      counts[k] += 1;
      for (std::ptrdiff_t j = 0; j < d; ++j) means[k][j] += static_cast<double>(rows(i, j));
    }
    for (int k = 0; k < groups; ++k) {
      for (double& m : means[k]) m /= counts[k];
    }
    std::vector<std::vector<double>> s(d, std::vector<double>(d, 0.0));
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      const int k = groups == 1 ? 0 : labels[i];
      for (std::ptrdiff_t a = 0; a < d; ++a) {
        for (std::ptrdiff_t b = 0; b < d; ++b) {
          s[a][b] += (static_cast<double>(rows(i, a)) - means[k][a]) * (static_cast<double>(rows(i, b)) - means[k][b]) /
                     static_cast<double>(rows.rows() - groups);
        }
      }
    }
    double least = 1e300;
    for (int k = 0; k < groups; ++k) {
      std::vector<double> gap(d);
      for (std::ptrdiff_t j = 0; j < d; ++j) gap[j] = static_cast<double>(x[j]) - means[k][j];
      const std::vector<double> solved = gauss(s, gap);
      double sum = 0;
      for (std::ptrdiff_t j = 0; j < d; ++j) sum += gap[j] * solved[j];
      least = std::min(least, sum);
    }
    return least;
  };
  return relative ? distance(classes) - distance(1) : distance(classes);
}

TEST(Mahalanobis, AgreesWithThePlainFormula) {
  base::Rng rng(4);
  const MatrixF train = normal_rows(120, 5, rng, 10);
  const std::vector<int> labels = cycle_labels(120, 3);
  const MatrixF test = normal_rows(10, 5, rng, 11);
  const MahalanobisScore fit = fit_mahalanobis(train, labels, 3).value();
  const VectorD scores = fit.score(test).value();
  const VectorD relative = fit.relative_score(test).value();
  for (std::ptrdiff_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(scores(i), plain_distance(train, labels, 3, &test(i, 0), false), 1e-9);
    EXPECT_NEAR(relative(i), plain_distance(train, labels, 3, &test(i, 0), true), 1e-9);
  }
  EXPECT_EQ(fit.ridge(), 0);
}

TEST(Mahalanobis, StreamAndMergeAgreeWithOneBatch) {
  base::Rng rng(5);
  const MatrixF train = normal_rows(200, 4, rng);
  const std::vector<int> labels = cycle_labels(200, 4);
  ClassGaussians left(4, 4);
  ClassGaussians right(4, 4);
  ASSERT_TRUE(left.add(train.topRows(70), std::span(labels).first(70)).ok());
  ASSERT_TRUE(right.add(train.middleRows(70, 30), std::span(labels).subspan(70, 30)).ok());
  ASSERT_TRUE(right.add(train.bottomRows(100), std::span(labels).subspan(100)).ok());
  ASSERT_TRUE(left.merge(right).ok());
  const VectorD merged = left.fit()->score(train).value();
  const VectorD batch = fit_mahalanobis(train, labels, 4)->score(train).value();
  for (std::ptrdiff_t i = 0; i < 200; ++i) EXPECT_NEAR(merged(i), batch(i), 1e-10);
}

TEST(Mahalanobis, InvariantUnderAffineMapsAndRowOrder) {
  base::Rng rng(6);
  const MatrixF train = normal_rows(100, 3, rng);
  const std::vector<int> labels = cycle_labels(100, 2);
  const MatrixF test = normal_rows(20, 3, rng, 1);
  const auto map = [](const MatrixF& rows) {
    MatrixF out = rows;
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      out(i, 0) = 2 * rows(i, 0) + rows(i, 1) - 4;
      out(i, 1) = rows(i, 1) - 3 * rows(i, 2);
      out(i, 2) = 0.5F * rows(i, 2) + 8;
    }
    return out;
  };
  const VectorD plain = fit_mahalanobis(train, labels, 2)->score(test).value();
  const VectorD mapped = fit_mahalanobis(map(train), labels, 2)->score(map(test)).value();
  for (std::ptrdiff_t i = 0; i < 20; ++i) EXPECT_NEAR(plain(i), mapped(i), 1e-3 * (1 + plain(i)));  // float32 inputs
  MatrixF reversed = train.colwise().reverse();
  std::vector<int> reversed_labels(labels.rbegin(), labels.rend());
  const VectorD turned = fit_mahalanobis(reversed, reversed_labels, 2)->score(test).value();
  for (std::ptrdiff_t i = 0; i < 20; ++i) EXPECT_NEAR(plain(i), turned(i), 1e-9);
}

TEST(Mahalanobis, ConstantFeatureGetsARidgeThatIsReported) {
  base::Rng rng(7);
  MatrixF train = normal_rows(50, 3, rng);
  for (std::ptrdiff_t i = 0; i < 50; ++i) train(i, 1) = 2;
  const MahalanobisScore fit = fit_mahalanobis(train, cycle_labels(50, 2), 2).value();
  EXPECT_GT(fit.ridge(), 0);
  MatrixF odd = train.topRows(1);
  odd(0, 1) = 3;  // a value that was never seen
  EXPECT_GT(fit.score(odd).value()(0), 1e3);
}

TEST(Mahalanobis, Errors) {
  base::Rng rng(8);
  const MatrixF train = normal_rows(10, 3, rng);
  EXPECT_THAT(fit_mahalanobis(train, cycle_labels(9, 2), 2).error().text(), HasSubstr("labels"));
  EXPECT_THAT(fit_mahalanobis(train, cycle_labels(10, 3), 2).error().text(), HasSubstr("labels"));
  EXPECT_THAT(fit_mahalanobis(train.topRows(2), cycle_labels(2, 2), 2).error().text(),
              HasSubstr("2 rows for 2 classes"));
  const MahalanobisScore fit = fit_mahalanobis(train, cycle_labels(10, 2), 2).value();
  EXPECT_THAT(fit.score(normal_rows(2, 4, rng)).error().text(), HasSubstr("rows.cols()"));
  MatrixF bad = train;
  bad(3, 1) = INFINITY;
  EXPECT_THAT(fit.score(bad).error().text(), HasSubstr("rows(3, 1)"));
  EXPECT_FALSE(fit_mahalanobis(bad, cycle_labels(10, 2), 2).ok());
}

double brute_force(const MatrixF& reference, const float* row, std::size_t k) {
  std::vector<double> squares;
  for (std::ptrdiff_t r = 0; r < reference.rows(); ++r) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < reference.cols(); ++j) {
      const double gap = static_cast<double>(row[j]) - static_cast<double>(reference(r, j));
      sum += gap * gap;
    }
    squares.push_back(sum);
  }
  std::sort(squares.begin(), squares.end());
  return std::sqrt(squares[k - 1]);
}

// The selection in float32 never loses a neighbour: the same bits as brute force in double, also where float32 alone
// cannot order the rows (a large common offset, near ties, exact duplicates, tiny spreads).
TEST(NearestNeighbours, SameBitsAsBruteForceInDouble) {
  struct Case {
    const char* name;
    std::ptrdiff_t n, d;
    std::size_t k;
    double shift, spread;
  };
  const Case cases[] = {{"plain", 2500, 20, 50, 0, 1},           {"offset", 1500, 9, 10, 1e4, 1e-2},
                        {"one column", 300, 1, 3, 5, 1},         {"tiny", 500, 4, 7, 0, 1e-20},
                        {"large", 500, 33, 5, 0, 1e12},          {"k = n", 40, 3, 40, 0, 1},
                        {"offset small", 900, 64, 50, 100, 1e-4}};
  for (const Case& c : cases) {
    base::Rng rng(9, {c.name});
    MatrixF reference = normal_rows(c.n, c.d, rng, c.shift, c.spread);
    for (std::ptrdiff_t i = 0; i + 1 < c.n; i += 7) reference.row(i + 1) = reference.row(i);  // duplicates
    MatrixF queries = normal_rows(37, c.d, rng, c.shift, c.spread);
    queries.row(5) = reference.row(0);
    for (std::ptrdiff_t j = 0; j < c.d; ++j) queries(6, j) = static_cast<float>(c.shift + 30 * c.spread);  // far away
    const NearestNeighbours knn = NearestNeighbours::fit(reference, {.k = c.k, .unit_length = false}).value();
    const VectorD scores = knn.score(queries).value();
    for (std::ptrdiff_t i = 0; i < queries.rows(); ++i)
      EXPECT_EQ(scores(i), brute_force(reference, &queries(i, 0), c.k)) << c.name << " row " << i;
  }
}

// The stated margins exceed the float errors that they bound, and not by chance: measured on rows of many sizes.
TEST(NearestNeighbours, MarginsExceedTheFloatErrors) {
  base::Rng rng(10);
  double tightest = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const auto d = static_cast<std::ptrdiff_t>(1 + rng.below(96));
    const double scale = std::pow(10.0, rng.uniform(-6, 6));
    std::vector<float> a(static_cast<std::size_t>(d));
    std::vector<float> b(static_cast<std::size_t>(d));
    double aa = 0, bb = 0, dot = 0, squares = 0;
    float acc = 0, square = 0;
    for (std::size_t j = 0; j < a.size(); ++j) {
      a[j] = static_cast<float>(scale * rng.normal());
      b[j] = static_cast<float>(static_cast<double>(a[j]) + scale * 1e-3 * rng.normal());  // cancellation
      aa += static_cast<double>(a[j]) * static_cast<double>(a[j]);
      bb += static_cast<double>(b[j]) * static_cast<double>(b[j]);
      dot += static_cast<double>(a[j]) * static_cast<double>(b[j]);
      const double gap = static_cast<double>(a[j]) - static_cast<double>(b[j]);
      squares += gap * gap;
      square += (a[j] - b[j]) * (a[j] - b[j]);
    }
    acc = static_cast<float>(-0.5 * bb);
    for (std::size_t j = 0; j < a.size(); ++j) acc = std::fma(a[j], b[j], acc);
    const double product_error = std::abs((aa - 2 * static_cast<double>(acc)) - (aa - 2 * dot + bb));
    const double margin = KnnMargin::product(d, std::sqrt(aa), std::sqrt(bb));
    EXPECT_LE(product_error, margin);
    EXPECT_LE(std::abs(static_cast<double>(square) - squares), KnnMargin::relative(d) * squares);
    tightest = std::max(tightest, product_error / margin);
  }
  EXPECT_GT(tightest, 0.01);  // and it is not so wide that it would select everything
}

TEST(NearestNeighbours, SameBitsForAnyThreadCountAndUnitLength) {
  base::Rng rng(11);
  const MatrixF reference = normal_rows(800, 12, rng);
  const MatrixF queries = normal_rows(100, 12, rng);
  const NearestNeighbours knn = NearestNeighbours::fit(reference, {.k = 5, .unit_length = true}).value();
  base::set_threads(1);
  const VectorD one = knn.score(queries).value();
  base::set_threads(4);
  const VectorD four = knn.score(queries).value();
  base::set_threads(0);
  EXPECT_TRUE(std::equal(one.data(), one.data() + one.size(), four.data()));
  MatrixF longer = queries;
  for (std::ptrdiff_t i = 0; i < longer.size(); ++i)
    longer.data()[i] *= 4;  // a power of two: the same directions to the bit
  const VectorD scaled = knn.score(longer).value();
  EXPECT_TRUE(std::equal(one.data(), one.data() + one.size(), scaled.data()));
  EXPECT_LE(one.maxCoeff(), 2.0);
}

TEST(NearestNeighbours, Errors) {
  base::Rng rng(12);
  const MatrixF rows = normal_rows(10, 3, rng);
  EXPECT_THAT(NearestNeighbours::fit(rows, {.k = 11, .unit_length = false}).error().text(),
              HasSubstr("10 rows, expected at least k = 11"));
  EXPECT_THAT(NearestNeighbours::fit(rows, {.k = 0, .unit_length = false}).error().text(), HasSubstr("k"));
  const NearestNeighbours knn = NearestNeighbours::fit(rows, {.k = 2, .unit_length = false}).value();
  EXPECT_THAT(knn.score(normal_rows(2, 4, rng)).error().text(), HasSubstr("rows.cols()"));
  MatrixF bad = rows;
  bad(1, 2) = NAN;
  EXPECT_THAT(knn.score(bad).error().text(), HasSubstr("rows(1, 2)"));
  bad(1, 2) = 1e20F;
  EXPECT_THAT(knn.score(bad).error().text(), HasSubstr("rescale"));
  const base::CancelToken cancel = base::CancelToken::make();
  cancel.cancel();
  EXPECT_EQ(knn.score(rows, cancel).error().code, base::Code::kCancelled);
}

TEST(PcaResidual, IsTheDistanceFromThePlane) {
  MatrixF rows(5, 3);  // the plane z = 0
  rows << 1, 0, 0, -1, 0, 0, 0, 2, 0, 0, -2, 0, 3, 1, 0;
  const stats::Pca pca = stats::fit_pca(MatrixRefF(rows), 2).value();
  MatrixF query(2, 3);
  query << 5, 5, 3, 1, 1, 0;
  const VectorD scores = pca_residual_score(pca, query).value();
  EXPECT_NEAR(scores(0), 3, 1e-6);
  EXPECT_NEAR(scores(1), 0, 1e-6);
}

TEST(OodDetectors, NamesAreDistinctAndObstaclesAreNamed) {
  for (const OodDetector detector : kOodDetectors) {
    EXPECT_EQ(ood_output_obstacle(detector, decision::Output::kLogits), "");
    EXPECT_EQ(ood_output_obstacle(detector, decision::Output::kScores).empty(), !ood_reads_outputs(detector));
  }
  EXPECT_EQ(ood_detector_name(kDefaultOodDetector), "mahalanobis");
}

}  // namespace
}  // namespace plumbline::robustness

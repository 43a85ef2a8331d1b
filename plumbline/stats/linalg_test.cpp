#include "plumbline/stats/linalg.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"

namespace plumbline::stats {
namespace {

using ::testing::HasSubstr;

MatrixD random_matrix(std::ptrdiff_t rows, std::ptrdiff_t cols, std::uint64_t seed) {
  base::Rng rng(seed, {"linalg_test"});
  MatrixD m(rows, cols);
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    for (std::ptrdiff_t j = 0; j < cols; ++j)
      m(i, j) = rng.normal() * (1 + 0.3 * static_cast<double>(j)) + static_cast<double>(j);
  }
  return m;
}

MatrixD plain_covariance(const MatrixD& rows) {
  MatrixD result = MatrixD::Zero(rows.cols(), rows.cols());
  for (std::ptrdiff_t a = 0; a < rows.cols(); ++a) {
    for (std::ptrdiff_t b = 0; b < rows.cols(); ++b) {
      double mean_a = 0, mean_b = 0, sum = 0;
      for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
        mean_a += rows(i, a) / static_cast<double>(rows.rows());
        mean_b += rows(i, b) / static_cast<double>(rows.rows());
      }
      for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) sum += (rows(i, a) - mean_a) * (rows(i, b) - mean_b);
      result(a, b) = sum / static_cast<double>(rows.rows() - 1);
    }
  }
  return result;
}

TEST(Eigen, HandCase) {
  MatrixD a(2, 2);
  a << 2, 1, 1, 2;
  const auto e = eigen_symmetric(a).value();
  EXPECT_NEAR(e.values(0), 3, 1e-14);
  EXPECT_NEAR(e.values(1), 1, 1e-14);
  EXPECT_NEAR(e.vectors(0, 0), std::sqrt(0.5), 1e-14);
  EXPECT_NEAR(std::abs(e.vectors(0, 1)), std::sqrt(0.5), 1e-14);
}

TEST(Eigen, RebuildsAndFixesSigns) {
  const MatrixD a = plain_covariance(random_matrix(50, 7, 1));
  const auto e = eigen_symmetric(a).value();
  const MatrixD again = e.vectors * e.values.asDiagonal() * e.vectors.transpose();
  EXPECT_LT((again - a).cwiseAbs().maxCoeff(), 1e-12 * a.cwiseAbs().maxCoeff());
  for (int j = 0; j < 7; ++j) {
    Eigen::Index at = 0;
    e.vectors.col(j).cwiseAbs().maxCoeff(&at);
    EXPECT_GT(e.vectors(at, j), 0);
    if (j > 0) {
      EXPECT_GE(e.values(j - 1), e.values(j));
    }
  }
}

TEST(Eigen, Errors) {
  EXPECT_THAT(eigen_symmetric(MatrixD(2, 3)).error().message, HasSubstr("2 x 3"));
  MatrixD bad = MatrixD::Identity(2, 2);
  bad(0, 0) = NAN;
  EXPECT_EQ(eigen_symmetric(bad).error().code, base::Code::kValue);
}

TEST(CholeskySolve, SolvesInvertsAndWhitens) {
  const MatrixD a = plain_covariance(random_matrix(80, 6, 2));
  const auto factor = Cholesky::factor(a).value();
  const VectorD b = VectorD::LinSpaced(6, 1, 6);
  EXPECT_LT((a * factor.solve(b).value() - b).cwiseAbs().maxCoeff(), 1e-10);
  EXPECT_LT((a * factor.inverse() - MatrixD::Identity(6, 6)).cwiseAbs().maxCoeff(), 1e-10);
  const MatrixD rows = random_matrix(9, 6, 3);
  const MatrixD white = factor.whiten(rows).value();
  const MatrixD inverse = factor.inverse();
  for (int i = 0; i < 9; ++i) {
    const double plain = (rows.row(i) * inverse * rows.row(i).transpose())(0, 0);
    EXPECT_NEAR(white.row(i).squaredNorm(), plain, 1e-9 * plain);
  }
  const auto eigen = eigen_symmetric(a).value();
  double log_det = 0;
  for (int i = 0; i < 6; ++i) log_det += std::log(eigen.values(i));
  EXPECT_NEAR(factor.log_determinant(), log_det, 1e-10);
}

TEST(CholeskySolve, Errors) {
  MatrixD singular = MatrixD::Ones(3, 3);
  singular(0, 0) = -1;
  const auto failed = Cholesky::factor(singular);
  EXPECT_THAT(failed.error().message, HasSubstr("not positive definite"));
  EXPECT_THAT(failed.error().hint, HasSubstr("ridge"));
  const auto factor = Cholesky::factor(MatrixD::Identity(3, 3)).value();
  EXPECT_THAT(factor.solve(VectorD(VectorD::Ones(2))).error().message, HasSubstr("rows of b"));
  EXPECT_EQ(factor.whiten(MatrixD(MatrixD::Ones(2, 2))).error().code, base::Code::kShape);
}

TEST(Moments, StreamMergeAndParallelAgreeWithThePlainFormula) {
  const MatrixD rows = random_matrix(5000, 5, 4);
  const MatrixD plain = plain_covariance(rows);
  const auto whole = moments_of_rows(rows).value();
  EXPECT_LT((whole.covariance().value() - plain).cwiseAbs().maxCoeff(), 1e-10);
  MomentAccumulator one(5), two(5);
  ASSERT_TRUE(one.add(MatrixRefD(rows.topRows(1234))).ok());
  ASSERT_TRUE(two.add(MatrixRefD(rows.bottomRows(5000 - 1234))).ok());
  ASSERT_TRUE(one.merge(two).ok());
  EXPECT_EQ(one.count(), 5000);
  EXPECT_LT((one.covariance().value() - plain).cwiseAbs().maxCoeff(), 1e-10);
  EXPECT_LT((one.mean() - whole.mean()).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(Moments, Errors) {
  MomentAccumulator moments(3);
  EXPECT_THAT(moments.add(MatrixD(MatrixD::Ones(2, 2))).error().message, HasSubstr("columns of rows"));
  MatrixD bad = MatrixD::Ones(4, 3);
  bad(2, 1) = INFINITY;
  EXPECT_THAT(moments.add(bad).error().message, HasSubstr("row 2 column 1"));
  EXPECT_EQ(moments.covariance().error().code, base::Code::kShape);
}

TEST(PcaFit, RecoversTheCovarianceAndKeepsItsBitsForAnyThreads) {
  const MatrixD rows = random_matrix(3000, 12, 5);
  base::set_threads(1);
  const Pca one = fit_pca(rows, 4).value();
  const MatrixD low_one = one.transform(rows).value();
  base::set_threads(2);
  const Pca two = fit_pca(rows, 4).value();
  const MatrixD low_two = two.transform(rows).value();
  base::set_threads(0);
  EXPECT_TRUE(one.components == two.components);
  EXPECT_TRUE(low_one == low_two);
  // Scores are uncorrelated with the stated variances.
  const MatrixD covariance = plain_covariance(low_one);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) EXPECT_NEAR(covariance(i, j), i == j ? one.variances(i) : 0, 1e-9 * one.variances(0));
  }
  // Residual is what the components leave: total variance minus theirs.
  const VectorD rest = one.residual_squared(rows).value();
  double sum = 0;
  for (Eigen::Index i = 0; i < rest.size(); ++i) sum += rest(i);
  double left = one.total_variance;
  for (int i = 0; i < 4; ++i) left -= one.variances(i);
  EXPECT_NEAR(sum / 2999, left, 1e-9 * one.total_variance);
}

TEST(PcaFit, FloatRowsAgreeWithTheSameRowsInDouble) {
  const MatrixF rows = random_matrix(700, 6, 6).cast<float>();
  const MatrixD same = rows.cast<double>();
  EXPECT_TRUE(fit_pca(rows, 3).value().components == fit_pca(same, 3).value().components);
  EXPECT_TRUE(fit_pca(rows, 3).value().transform(rows).value() == fit_pca(same, 3).value().transform(same).value());
}

TEST(PcaFit, Errors) {
  EXPECT_THAT(fit_pca(MatrixD(MatrixD::Ones(5, 3)), 4).error().message, HasSubstr("components is 4"));
  EXPECT_EQ(fit_pca(MatrixD(MatrixD::Ones(1, 3)), 1).ok(), false);
  EXPECT_EQ(fit_pca(random_matrix(5, 3, 1), 2).value().transform(MatrixD(MatrixD::Ones(1, 2))).error().code,
            base::Code::kShape);
}

TEST(Distances, AgreeWithThePlainFormula) {
  const MatrixD a = random_matrix(600, 5, 7);
  const MatrixD b = random_matrix(20, 5, 8);
  const MatrixD d = pairwise_squared_distances(a, b).value();
  for (int i = 0; i < 600; i += 37) {
    for (int j = 0; j < 20; ++j) EXPECT_NEAR(d(i, j), (a.row(i) - b.row(j)).squaredNorm(), 1e-10);
  }
  EXPECT_LT((product_transposed(a, b).value() - a * b.transpose()).cwiseAbs().maxCoeff(), 1e-10);
  EXPECT_EQ(pairwise_squared_distances(a, MatrixD(MatrixD::Ones(2, 4))).error().code, base::Code::kShape);
}

}  // namespace
}  // namespace plumbline::stats

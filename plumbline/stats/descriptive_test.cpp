#include "plumbline/stats/descriptive.hpp"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/logistic.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Descriptive, QuantilesRanksAndSpread) {
  const std::vector<double> x = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(x, 0.25).value(), 1.75);
  EXPECT_DOUBLE_EQ(median(x).value(), 2.5);
  EXPECT_DOUBLE_EQ(quantile(x, 1).value(), 4);
  EXPECT_NEAR(median_deviation(x).value(), 1.4826022185, 1e-9);
  EXPECT_THAT(midranks(std::vector<double>{3, 1, 3, 2}), ElementsAre(3.5, 1, 3.5, 2));
  EXPECT_DOUBLE_EQ(moments(x).variance, 5.0 / 3);
  EXPECT_EQ(quantile({}, 0.5).error().code, base::Code::kShape);
  EXPECT_THAT(quantile(x, 1.5).error().message, HasSubstr("q"));
}

TEST(Descriptive, UnitsKeepTheOrderOfFirstAppearance) {
  const std::vector<int> units = {7, 2, 7, 9, 2};
  const UnitIndex index = group_units(units, 5).value();
  EXPECT_EQ(index.count(), 3U);
  EXPECT_THAT(index.unit_of_row, ElementsAre(0, 1, 0, 2, 1));
  EXPECT_THAT(index.rows_of(1), ElementsAre(1, 4));
  EXPECT_DOUBLE_EQ(kish_size(index), 25.0 / 9);
  EXPECT_EQ(group_units({}, 3).value().count(), 3U);
  EXPECT_EQ(group_units(units, 4).error().code, base::Code::kShape);
}

TEST(Root, FindsRootsAndRefusesBadBrackets) {
  auto f = [](double x) { return std::cos(x) - x; };
  EXPECT_NEAR(find_root(f, 0, 1).value(), 0.7390851332151607, 1e-12);
  EXPECT_NEAR(find_root_newton(
                  [](double x) {
                    return ValueAndSlope{std::cos(x) - x, -std::sin(x) - 1};
                  },
                  0, 1)
                  .value(),
              0.7390851332151607, 1e-12);
  // Flat almost everywhere: pure secants would crawl.
  EXPECT_NEAR(find_root([](double x) { return std::pow(x, 15) - 1e-9; }, 0, 10).value(), std::pow(1e-9, 1.0 / 15),
              1e-10);
  EXPECT_NEAR(find_root_newton(
                  [](double x) {
                    return ValueAndSlope{std::atan(x - 3), 1 / (1 + (x - 3) * (x - 3))};
                  },
                  -1000, 1001)
                  .value(),
              3, 1e-10);
  EXPECT_THAT(find_root(f, 2, 3).error().message, HasSubstr("do not bracket"));
  EXPECT_THAT(find_root(f, 1, 0).error().message, HasSubstr("bracket [1, 0]"));
  EXPECT_EQ(find_root([](double x) { return x - 0.3; }, 0, 1, {.tolerance = 0, .steps = 1}).ok(), true);
  EXPECT_EQ(find_root([](double x) { return std::exp(x) - 2; }, -50, 50, {.tolerance = 0, .steps = 2}).error().code,
            base::Code::kLimit);
}

TEST(Scoring, HandCases) {
  MatrixD p(3, 2);
  p << 0.8, 0.2, 0.3, 0.7, 1.0, 0.0;
  const std::vector<int> labels = {0, 0, 1};
  EXPECT_THAT(brier_rows(p, labels).value(),
              ElementsAre(::testing::DoubleNear(0.08, 1e-15), ::testing::DoubleNear(0.98, 1e-15), 2.0));
  EXPECT_NEAR(log_loss_rows(p, labels).value()[1], -std::log(0.3), 1e-15);
  EXPECT_THAT(hits(p, labels).value(), ElementsAre(1, 0, 0));
  EXPECT_THAT(log_loss(p, labels).value().warnings.back(), HasSubstr("1 rows give their label"));
  EXPECT_NEAR(brier(p, labels).value().value, 3.06 / 3, 1e-15);
  EXPECT_THAT(top_class(MatrixD(MatrixD::Zero(2, 3))).value(), ElementsAre(0, 0));
}

TEST(Scoring, Errors) {
  MatrixD p(1, 2);
  p << 0.5, 0.6;
  const std::vector<int> label = {0}, high = {2}, two = {0, 1};
  EXPECT_THAT(brier_rows(p, label).error().message, HasSubstr("sums to 1.1"));
  p << 1.5, -0.5;
  EXPECT_THAT(log_loss_rows(p, label).error().message, HasSubstr("probabilities(0, 0) is 1.5"));
  EXPECT_THAT(hits(p, high).error().message, HasSubstr("labels"));
  EXPECT_EQ(hits(p, two).error().code, base::Code::kShape);
  EXPECT_THAT(log_loss_rows(p, label, 0).error().message, HasSubstr("floor"));
}

struct Problem {
  MatrixD rows;
  std::vector<int> labels;
};

Problem problem(std::ptrdiff_t n, std::ptrdiff_t d, int classes, std::uint64_t seed) {
  base::Rng rng(seed, {"logistic"});
  Problem p{MatrixD(n, d), std::vector<int>(static_cast<std::size_t>(n))};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    p.labels[static_cast<std::size_t>(i)] = static_cast<int>(rng.below(static_cast<std::uint64_t>(classes)));
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      p.rows(i, j) = rng.normal() + (j % classes == p.labels[static_cast<std::size_t>(i)] ? 1.0 : 0.0);
    }
  }
  return p;
}

TEST(Logistic, AgreesWithNewtonOnABinaryProblem) {
  const Problem p = problem(300, 2, 2, 1);
  const LogisticModel model = fit_logistic(p.rows, p.labels, 2, {.standardise = false, .tolerance = 1e-10}).value();
  EXPECT_TRUE(model.converged);
  // Two symmetric rows of weights, w and -w, with ridge 1 on both equal a binary model of weight 2w and ridge 1/2.
  double w[3] = {0, 0, 0};
  for (int step = 0; step < 50; ++step) {
    Eigen::Vector3d g = Eigen::Vector3d::Zero();
    Eigen::Matrix3d h = Eigen::Matrix3d::Zero();
    for (int i = 0; i < 300; ++i) {
      const Eigen::Vector3d x(p.rows(i, 0), p.rows(i, 1), 1);
      const double q = 1 / (1 + std::exp(-(w[0] * x(0) + w[1] * x(1) + w[2])));
      g += (q - p.labels[static_cast<std::size_t>(i)]) * x;
      h += q * (1 - q) * x * x.transpose();
    }
    for (int j = 0; j < 2; ++j) {
      g(j) += 0.5 * w[j];
      h(j, j) += 0.5;
    }
    const VectorD move = Cholesky::factor(MatrixD(h)).value().solve(VectorD(g)).value();
    for (int j = 0; j < 3; ++j) w[j] -= move(j);
  }
  EXPECT_NEAR(model.weights(1, 0) - model.weights(0, 0), w[0], 1e-7);
  EXPECT_NEAR(model.weights(1, 1) - model.weights(0, 1), w[1], 1e-7);
  EXPECT_NEAR(model.intercept(1) - model.intercept(0), w[2], 1e-7);
  EXPECT_NEAR(model.intercept(0) + model.intercept(1), 0, 1e-10);
}

TEST(Logistic, NoPerturbationImprovesAndBitsDoNotDependOnThreads) {
  const Problem p = problem(2500, 6, 3, 2);
  base::set_threads(1);
  const LogisticModel one = fit_logistic(p.rows, p.labels, 3, {}).value();
  base::set_threads(2);
  const LogisticModel two = fit_logistic(p.rows, p.labels, 3, {}).value();
  base::set_threads(0);
  EXPECT_TRUE(one.weights == two.weights);
  EXPECT_TRUE(one.converged);
  auto objective = [&](const LogisticModel& m) {
    const MatrixD q = m.predict(p.rows).value();
    double loss = 0;
    for (std::ptrdiff_t i = 0; i < q.rows(); ++i) loss -= std::log(q(i, p.labels[static_cast<std::size_t>(i)]));
    return loss + 0.5 * m.weights.squaredNorm();
  };
  const double best = objective(one);
  EXPECT_NEAR((best - 0.5 * one.weights.squaredNorm()) / 2500, one.loss, 1e-9);
  base::Rng rng(3);
  for (int trial = 0; trial < 20; ++trial) {
    LogisticModel moved = one;
    for (std::ptrdiff_t i = 0; i < moved.weights.size(); ++i) moved.weights.data()[i] += 0.01 * rng.normal();
    EXPECT_GT(objective(moved), best);
  }
}

TEST(Logistic, ScalesAndShiftsOfColumnsDoNotMatterAndConstantsAreIgnored) {
  Problem p = problem(400, 3, 2, 4);
  const MatrixD before = fit_logistic(p.rows, p.labels, 2, {.tolerance = 1e-9}).value().predict(p.rows).value();
  MatrixD wide(400, 4);
  wide.leftCols(3) = p.rows;
  wide.col(1) = wide.col(1) * 1000;
  wide.col(2).array() += 50;
  wide.col(3).setConstant(7);
  const LogisticModel model = fit_logistic(wide, p.labels, 2, {.tolerance = 1e-9}).value();
  EXPECT_LT((model.predict(wide).value() - before).cwiseAbs().maxCoeff(), 1e-6);
  EXPECT_EQ(model.weights(0, 3), 0);
  const MatrixF single = p.rows.cast<float>();
  EXPECT_LT((fit_logistic(single, p.labels, 2, {}).value().predict(single).value() - before).cwiseAbs().maxCoeff(),
            1e-4);
}

TEST(Logistic, Errors) {
  const Problem p = problem(10, 2, 2, 5);
  EXPECT_THAT(fit_logistic(p.rows, p.labels, 1, {}).error().message, HasSubstr("classes is 1"));
  EXPECT_THAT(fit_logistic(p.rows, p.labels, 2, {.ridge = 0}).error().message, HasSubstr("ridge"));
  EXPECT_EQ(fit_logistic(p.rows, std::vector<int>{1}, 2, {}).error().code, base::Code::kShape);
  MatrixD bad = p.rows;
  bad(3, 1) = NAN;
  EXPECT_THAT(fit_logistic(bad, p.labels, 2, {}).error().message, HasSubstr("rows(3, 1)"));
  EXPECT_EQ(fit_logistic(p.rows, p.labels, 2, {}).value().predict(MatrixD(MatrixD::Ones(1, 3))).error().code,
            base::Code::kShape);
  LogisticOptions stopped;
  stopped.cancel = base::CancelToken::make();
  stopped.cancel.cancel();
  EXPECT_EQ(fit_logistic(p.rows, p.labels, 2, stopped).error().code, base::Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::stats

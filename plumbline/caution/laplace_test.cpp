#include "plumbline/caution/laplace.hpp"

#include <cmath>
#include <functional>
#include <numbers>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/caution/uncertainty.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::caution {
namespace {

struct Sample {
  MatrixF rows;
  std::vector<int> labels;
};

/// Labels from a softmax head with the given weights (k x (d + 1)) over standard normal features.
Sample draw(base::Rng& rng, std::ptrdiff_t n, const MatrixD& weights) {
  const std::ptrdiff_t d = weights.cols() - 1;
  Sample sample{MatrixF(n, d), {}};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    MatrixD z(1, weights.rows());
    for (std::ptrdiff_t j = 0; j < d; ++j) sample.rows(i, j) = static_cast<float>(rng.normal());
    for (std::ptrdiff_t c = 0; c < weights.rows(); ++c) {
      z(0, c) = weights(c, d);
      for (std::ptrdiff_t j = 0; j < d; ++j) z(0, c) += weights(c, j) * static_cast<double>(sample.rows(i, j));
    }
    const MatrixD p = decision::softmax(z);
    double u = rng.uniform();
    int label = 0;
    while (label + 1 < p.cols() && u >= p(0, label)) u -= p(0, label++);
    sample.labels.push_back(label);
  }
  return sample;
}

MatrixD some_weights(base::Rng& rng, std::ptrdiff_t k, std::ptrdiff_t d) {
  MatrixD w(k, d + 1);
  for (std::ptrdiff_t i = 0; i < w.size(); ++i) w.data()[i] = rng.normal(0, 1);
  return w;
}

/// Penalised negative log likelihood by its definition, weights laid out class by class with the intercept last.
double plain_loss(const Sample& sample, const LaplaceState& state, const std::vector<double>& theta) {
  const std::ptrdiff_t d = sample.rows.cols();
  double loss = 0;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    std::vector<double> z(static_cast<std::size_t>(state.classes));
    double top = -INFINITY;
    for (std::size_t c = 0; c < z.size(); ++c) {
      const double* w = theta.data() + c * static_cast<std::size_t>(d + 1);
      z[c] = w[d];
      for (std::ptrdiff_t j = 0; j < d; ++j) {
        z[c] += w[j] * (static_cast<double>(sample.rows(static_cast<std::ptrdiff_t>(i), j)) - state.center(j)) /
                state.scale(j);
      }
      top = std::max(top, z[c]);
    }
    double mass = 0;
    for (const double v : z) mass += std::exp(v - top);
    loss += top + std::log(mass) - z[static_cast<std::size_t>(sample.labels[i])];
  }
  for (std::ptrdiff_t c = 0; c < state.classes; ++c) {
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      const double w = theta[static_cast<std::size_t>(c * (d + 1) + j)];
      loss += state.ridge / 2 * w * w;
    }
  }
  return loss;
}

/// The second derivatives by central differences.
MatrixD numeric_hessian(const std::function<double(const std::vector<double>&)>& f, std::vector<double> at) {
  const auto n = std::ssize(at);
  constexpr double kStep = 1e-3;
  MatrixD hessian(n, n);
  const auto shifted = [&](std::ptrdiff_t i, double a, std::ptrdiff_t j, double b) {
    std::vector<double> x = at;
    x[static_cast<std::size_t>(i)] += a;
    x[static_cast<std::size_t>(j)] += b;
    return f(x);
  };
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      hessian(i, j) = (shifted(i, kStep, j, kStep) - shifted(i, kStep, j, -kStep) - shifted(i, -kStep, j, kStep) +
                       shifted(i, -kStep, j, -kStep)) /
                      (4 * kStep * kStep);
    }
  }
  return hessian;
}

std::vector<double> covariance_at(const LastLayerLaplace& head, std::vector<float> row) {
  LaplaceScratch scratch;
  std::vector<double> c(static_cast<std::size_t>(head.classes() * head.classes()));
  head.covariance(row, scratch, c);
  return c;
}

// Variance of a difference of two logits, which no common shift enters.
double contrast(const std::vector<double>& c, std::size_t k, std::size_t a, std::size_t b) {
  return c[a * k + a] + c[b * k + b] - 2 * c[a * k + b];
}

TEST(Laplace, InterceptsAloneHaveTheBinomialVariance) {
  // A constant feature carries no weight, so only n1 of n is learnt: Var(log odds) = 1 / (n p (1 - p)).
  MatrixF rows = MatrixF::Constant(50, 1, 3.0F);
  std::vector<int> labels(50, 0);
  for (std::size_t i = 0; i < 20; ++i) labels[i] = 1;
  const auto head = LastLayerLaplace::fit(rows, labels, 2);
  ASSERT_TRUE(head.ok()) << head.error().text();
  EXPECT_NEAR(contrast(covariance_at(*head, {3.0F}), 2, 0, 1), 1 / (50 * 0.4 * 0.6), 1e-6);
}

TEST(Laplace, FullFormIsTheInverseOfTheNumericHessian) {
  base::Rng rng(1);
  for (const auto& [k, d] : {std::pair{2, 3}, std::pair{3, 2}, std::pair{4, 2}}) {
    const Sample sample = draw(rng, 40, some_weights(rng, k, d));
    const auto head = LastLayerLaplace::fit(sample.rows, sample.labels, k, {.ridge = 0.7});
    ASSERT_TRUE(head.ok()) << head.error().text();
    const LaplaceState& state = head->state();
    EXPECT_EQ(state.form, LaplaceForm::kFull);
    std::vector<double> theta;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      for (std::ptrdiff_t j = 0; j < d; ++j) theta.push_back(state.weights(c, j));
      theta.push_back(state.intercept(c));
    }
    MatrixD hessian =
        numeric_hessian([&](const std::vector<double>& x) { return plain_loss(sample, state, x); }, theta);
    for (std::ptrdiff_t a = 0; a < k; ++a) {
      for (std::ptrdiff_t b = 0; b < k; ++b) hessian(a * (d + 1) + d, b * (d + 1) + d) += 5.0;  // the free shift
    }
    const auto factor = stats::Cholesky::factor((hessian + hessian.transpose()) / 2);
    ASSERT_TRUE(factor.ok()) << factor.error().text();
    const MatrixD sigma = factor->inverse();
    for (int trial = 0; trial < 3; ++trial) {
      std::vector<float> row;
      VectorD phi(d + 1);
      for (std::ptrdiff_t j = 0; j < d; ++j) {
        row.push_back(static_cast<float>(rng.normal(0, 2)));
        phi(j) = (static_cast<double>(row.back()) - state.center(j)) / state.scale(j);
      }
      phi(d) = 1;
      const std::vector<double> c = covariance_at(*head, row);
      for (std::ptrdiff_t a = 0; a < k; ++a) {
        for (std::ptrdiff_t b = 0; b < a; ++b) {
          const auto part = [&, columns = d + 1](std::ptrdiff_t x, std::ptrdiff_t y) {
            return phi.dot(sigma.block(x * columns, y * columns, columns, columns) * phi);
          };
          const double want = part(a, a) + part(b, b) - 2 * part(a, b);
          const double got =
              contrast(c, static_cast<std::size_t>(k), static_cast<std::size_t>(a), static_cast<std::size_t>(b));
          EXPECT_NEAR(got, want, 1e-4 * want) << k << " classes, " << d << " features";
        }
      }
    }
  }
}

TEST(Laplace, KroneckerFormIsTheInverseOfTheProductItStates) {
  base::Rng rng(2);
  constexpr std::ptrdiff_t kClasses = 3, kFeatures = 2, kWidth = kFeatures + 1;
  const Sample sample = draw(rng, 60, some_weights(rng, kClasses, kFeatures));
  const auto head = LastLayerLaplace::fit(sample.rows, sample.labels, 3, {.ridge = 0.5, .full_limit = 1});
  ASSERT_TRUE(head.ok()) << head.error().text();
  const LaplaceState& state = head->state();
  ASSERT_EQ(state.form, LaplaceForm::kKronecker);
  MatrixD phis(60, kWidth);
  for (std::ptrdiff_t i = 0; i < 60; ++i) {
    for (std::ptrdiff_t j = 0; j < kFeatures; ++j) {
      phis(i, j) = (static_cast<double>(sample.rows(i, j)) - state.center(j)) / state.scale(j);
    }
    phis(i, kFeatures) = 1;
  }
  const MatrixD p = decision::softmax(*head->logits(sample.rows));
  const MatrixD a = phis.transpose() * phis / 60;
  MatrixD b = MatrixD::Zero(kClasses, kClasses);
  for (std::ptrdiff_t i = 0; i < 60; ++i) {
    const VectorD q = p.row(i).transpose();
    b += MatrixD(q.asDiagonal()) - q * q.transpose();
  }
  b /= 60;
  MatrixD precision(kClasses * kWidth, kClasses * kWidth);
  for (std::ptrdiff_t x = 0; x < kClasses; ++x) {
    for (std::ptrdiff_t y = 0; y < kClasses; ++y)
      precision.block(x * kWidth, y * kWidth, kWidth, kWidth) = 60 * b(x, y) * a;
  }
  precision += 0.5 * MatrixD(MatrixD::Identity(precision.rows(), precision.cols()));
  const MatrixD sigma = stats::Cholesky::factor(precision)->inverse();
  const std::vector<double> c = covariance_at(*head, {1.5F, -0.5F});
  VectorD phi(kWidth);
  phi << (1.5 - state.center(0)) / state.scale(0), (-0.5 - state.center(1)) / state.scale(1), 1;
  const auto part = [&](std::ptrdiff_t x, std::ptrdiff_t y) {
    return phi.dot(sigma.block(x * kWidth, y * kWidth, kWidth, kWidth) * phi);
  };
  EXPECT_NEAR(contrast(c, 3, 0, 1), part(0, 0) + part(1, 1) - 2 * part(0, 1), 1e-9);
  EXPECT_NEAR(contrast(c, 3, 0, 2), part(0, 0) + part(2, 2) - 2 * part(0, 2), 1e-9);
}

// Per row the mutual information tends to 1/2 tr((diag p - p p') C); over rows like the fitted ones it averages
// (k - 1)(d + 1) / (2 n), so with n to infinity it goes to 0.
TEST(Laplace, ModelPartVanishesWithMoreRowsAtTheKnownRate) {
  base::Rng rng(3);
  const MatrixD weights = some_weights(rng, 3, 4);
  const Sample fresh = draw(rng, 400, weights);
  double last = INFINITY;
  for (const std::ptrdiff_t n : {200, 2000, 20000}) {
    const Sample sample = draw(rng, n, weights);
    const auto head = LastLayerLaplace::fit(sample.rows, sample.labels, 3, {.ridge = 0.01});
    ASSERT_TRUE(head.ok()) << head.error().text();
    const auto parts = head_predictives(*head, fresh.rows, LogitDraws::make(64, 3, 1));
    ASSERT_TRUE(parts.ok());
    const double model = parts->model.mean();
    EXPECT_LT(model, last / 5);
    if (n >= 2000) {
      EXPECT_NEAR(model, 2.0 * 5 / (2.0 * static_cast<double>(n)), 0.15 * 5 / static_cast<double>(n));
    }
    last = model;
  }
  EXPECT_LT(last, 5e-4);
}

TEST(DrawPredictive, AgreesWithQuadratureForTwoClasses) {
  // Two classes with variance v of the difference: E softmax by a fine sum over the normal density.
  const double center = 0.8;
  for (const double v : {0.01, 0.5, 4.0}) {
    double mean = 0, entropy = 0, mass = 0;
    for (int i = -4000; i <= 4000; ++i) {
      const double e = i / 500.0;
      const double w = std::exp(-e * e / 2);
      const double p = 1 / (1 + std::exp(-(center + e * std::sqrt(v))));
      mass += w;
      mean += w * p;
      entropy += w * entropy_of(std::vector<double>{p, 1 - p});
    }
    mean /= mass;
    entropy /= mass;
    const std::vector<double> covariance = {v / 4, -v / 4, -v / 4, v / 4};
    DrawScratch scratch;
    DrawnPredictive result;
    draw_predictive(std::vector<double>{center, 0.0}, covariance, LogitDraws::make(20000, 2, 5), scratch, result);
    EXPECT_NEAR(result.p[0], mean, 0.01) << v;
    EXPECT_NEAR(result.aleatoric, entropy, 0.01) << v;
    EXPECT_NEAR(result.model, result.total - result.aleatoric, 1e-15);
    const auto probit = probit_predictive(std::vector<double>{center / 2, -center / 2}, covariance);
    ASSERT_TRUE(probit.ok());
    EXPECT_NEAR((*probit)[0], mean, 0.06) << v;
  }
}

TEST(DrawPredictive, TendsToTheSecondOrderFormula) {
  const std::vector<double> center = {0.3, -0.4, 1.1};
  std::vector<double> covariance = {2, 0.5, -2.5, 0.5, 1, -1.5, -2.5, -1.5, 4};
  for (double& c : covariance) c *= 1e-4;
  DrawScratch scratch;
  DrawnPredictive result;
  draw_predictive(center, covariance, LogitDraws::make(40000, 3, 5), scratch, result);
  EXPECT_NEAR(result.model / second_order_information(center, covariance), 1, 0.03);
}

TEST(LogitDraws, HaveMeanZeroAndUnitSecondMoment) {
  const MatrixD e = LogitDraws::make(64, 10, 3).normal;
  EXPECT_LT((e.transpose() * e / 64 - MatrixD(MatrixD::Identity(10, 10))).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_LT(e.colwise().sum().cwiseAbs().maxCoeff(), 1e-12);
}

TEST(DrawPredictive, WithoutCovarianceThereIsNoModelPart) {
  DrawScratch scratch;
  DrawnPredictive result;
  draw_predictive(std::vector<double>{1.0, 0.0}, std::vector<double>(4, 0.0), LogitDraws::make(16, 2, 5), scratch,
                  result);
  EXPECT_NEAR(result.p[0], 1 / (1 + std::exp(-1.0)), 1e-12);
  EXPECT_NEAR(result.model, 0, 1e-12);
}

TEST(Laplace, RefusesWhatDoesNotFit) {
  MatrixF rows = MatrixF::Random(10, 2);
  const std::vector<int> labels = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  EXPECT_FALSE(LastLayerLaplace::fit(rows, std::vector<int>{0, 1}, 2).ok());
  const auto head = LastLayerLaplace::fit(rows, labels, 2);
  ASSERT_TRUE(head.ok());
  LaplaceState state = head->state();
  state.packed.conservativeResize(state.packed.rows() - 1, state.packed.cols());
  const auto broken = LastLayerLaplace::from_state(state);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().text().find("packed.rows()"), std::string::npos) << broken.error().text();
  state = head->state();
  state.intercept(0) = NAN;
  EXPECT_FALSE(LastLayerLaplace::from_state(state).ok());
  EXPECT_FALSE(head_predictives(*head, MatrixF::Zero(2, 3), LogitDraws::make(2, 2, 1)).ok());
  EXPECT_FALSE(head_predictives(*head, rows, LogitDraws::make(2, 3, 1)).ok());
}

}  // namespace
}  // namespace plumbline::caution

#include "plumbline/counterfactual/effects/linear.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

constexpr double kCollinear = 1e-9;

/// Inverse of a symmetric matrix with unit diagonal by sweeps in order (Goodnight 1979); columns whose pivot vanishes
/// are zeroed.
void sweep_inverse(MatrixD& a, std::vector<bool>& left_out) {
  const Index d = a.rows();
  for (Index k = 0; k < d; ++k) {
    const double pivot = a(k, k);
    if (left_out[static_cast<std::size_t>(k)] || pivot < kCollinear) {
      left_out[static_cast<std::size_t>(k)] = true;
      continue;
    }
    a.row(k) /= pivot;
    for (Index i = 0; i < d; ++i) {
      if (i == k) continue;
      const double factor = a(i, k);
      a.row(i) -= factor * a.row(k);
      a(i, k) = -factor / pivot;
    }
    a(k, k) = 1 / pivot;
  }
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j)
      if (left_out[static_cast<std::size_t>(i)] || left_out[static_cast<std::size_t>(j)]) a(i, j) = 0;
}

base::Status check_input(const MatrixD& x, const VectorD& y, const VectorD& weights) {
  constexpr const char* kName = "least_squares";
  PL_CHECK(base::check_size(kName, "rows of x", x.rows(), y.size()));
  if (y.size() < 2) return base::make_error(base::Code::kShape, fmt::format("{}: {} rows, of 2", kName, y.size()));
  PL_CHECK(base::check_all_finite(kName, "y", {y.data(), static_cast<std::size_t>(y.size())}));
  PL_CHECK(base::check_all_finite(kName, "x", {x.data(), static_cast<std::size_t>(x.size())}));
  if (weights.size() == 0) return base::ok();
  PL_CHECK(base::check_size(kName, "weights", weights.size(), y.size()));
  PL_CHECK(base::check_all_finite(kName, "weights", {weights.data(), static_cast<std::size_t>(weights.size())}));
  if (weights.minCoeff() < 0 || weights.maxCoeff() <= 0)
    return base::make_error(base::Code::kValue, fmt::format("{}: weights below 0, or none above", kName));
  return base::ok();
}

/// Without guards, and without leverages unless asked: the loop of fit_logit calls it.
LeastSquares solve(const MatrixD& x, const VectorD& y, const VectorD& weights, bool leverages) {
  const Index n = x.rows();
  const Index d = x.cols();
  const bool weighted = weights.size() > 0;
  LeastSquares fit;
  fit.weight = weighted ? weights.sum() : static_cast<double>(n);
  fit.means =
      weighted ? VectorD((x.transpose() * weights) / fit.weight) : VectorD(x.colwise().sum().transpose() / fit.weight);
  const double mean_y = (weighted ? VectorD(y.cwiseProduct(weights)).sum() : y.sum()) / fit.weight;
  // Rows centred and times the root of their weight: one copy serves scatter, right-hand side and leverages.
  MatrixD rows = x.rowwise() - fit.means.transpose();
  VectorD target = y.array() - mean_y;
  if (weighted) {
    const VectorD root = weights.cwiseSqrt();
    rows = root.asDiagonal() * rows;
    target = target.cwiseProduct(root);
  }
  MatrixD scatter = MatrixD::Zero(d, d);
  scatter.selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
  scatter.triangularView<Eigen::StrictlyUpper>() = scatter.transpose();
  const VectorD right = rows.transpose() * target;
  VectorD scale = scatter.diagonal().cwiseMax(0).cwiseSqrt();
  fit.left_out.assign(static_cast<std::size_t>(d), false);
  for (Index j = 0; j < d; ++j)
    if (!(scale(j) > 1e-10 * (std::abs(fit.means(j)) + 1e-300) * std::sqrt(fit.weight))) {
      fit.left_out[static_cast<std::size_t>(j)] = true;
      scale(j) = 1;
    }
  scatter = scale.cwiseInverse().asDiagonal() * scatter * scale.cwiseInverse().asDiagonal();
  sweep_inverse(scatter, fit.left_out);
  fit.inverse = scale.cwiseInverse().asDiagonal() * scatter * scale.cwiseInverse().asDiagonal();
  fit.used = static_cast<std::size_t>(std::count(fit.left_out.begin(), fit.left_out.end(), false));
  fit.coefficients = fit.inverse * right;
  fit.intercept = mean_y - fit.means.dot(fit.coefficients);
  fit.residuals = y - x * fit.coefficients;
  fit.residuals.array() -= fit.intercept;
  if (!leverages) return fit;
  fit.leverage = (rows * fit.inverse).cwiseProduct(rows).rowwise().sum();
  if (weighted)
    fit.leverage += weights / fit.weight;
  else
    fit.leverage.array() += 1 / fit.weight;
  return fit;
}

/// Weighted residuals, divided by sqrt(1 - h) where `hc2`.
VectorD scores(const LeastSquares& fit, bool hc2, const VectorD& weights) {
  VectorD out = fit.residuals;
  if (hc2)
    for (Index i = 0; i < out.size(); ++i) out(i) /= std::sqrt(std::max(1 - fit.leverage(i), 1e-6));
  return weights.size() > 0 ? VectorD(out.cwiseProduct(weights)) : out;
}

double deviance(const VectorD& eta, const VectorD& t) {
  double sum = 0;
  for (Index i = 0; i < eta.size(); ++i) {
    const double z = t(i) > 0.5 ? -eta(i) : eta(i);
    sum += z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
  }
  return sum;
}

double logistic(double eta) { return 1 / (1 + std::exp(-eta)); }

}  // namespace

base::Result<LeastSquares> least_squares(const MatrixD& x, const VectorD& y, const VectorD& weights) {
  PL_CHECK(check_input(x, y, weights));
  return solve(x, y, weights, true);
}

VectorD coefficient_influence(const LeastSquares& fit, const MatrixD& x, std::size_t j, bool hc2,
                              const VectorD& weights) {
  const VectorD direction = fit.inverse.row(static_cast<Index>(j)).transpose();
  const VectorD reach = (x * direction).array() - fit.means.dot(direction);
  return static_cast<double>(x.rows()) * reach.cwiseProduct(scores(fit, hc2, weights));
}

VectorD fitted_influence(const LeastSquares& fit, const MatrixD& x, const VectorD& at, bool hc2,
                         const VectorD& weights) {
  const VectorD direction = fit.inverse * (at - fit.means);
  const VectorD reach = (x * direction).array() - fit.means.dot(direction) + 1 / fit.weight;
  return static_cast<double>(x.rows()) * reach.cwiseProduct(scores(fit, hc2, weights));
}

std::size_t cluster_count(std::span<const int> clusters, std::size_t rows) {
  if (clusters.empty()) return rows;
  return static_cast<std::size_t>(*std::max_element(clusters.begin(), clusters.end())) + 1;
}

double cluster_factor(std::size_t clusters, std::size_t rows, std::size_t parameters) {
  const auto g = static_cast<double>(clusters);
  const auto n = static_cast<double>(rows);
  return g / std::max(g - 1, 1.0) * (n - 1) / std::max(n - static_cast<double>(parameters), 1.0);
}

double influence_variance(const VectorD& influence, std::span<const int> clusters, double factor) {
  const auto n = static_cast<double>(influence.size());
  double sum = 0;
  if (clusters.empty()) {
    for (Index i = 0; i < influence.size(); ++i) sum += influence(i) * influence(i);
  } else {
    std::vector<double> totals(cluster_count(clusters, 0), 0);
    for (Index i = 0; i < influence.size(); ++i)
      totals[static_cast<std::size_t>(clusters[static_cast<std::size_t>(i)])] += influence(i);
    for (const double total : totals) sum += total * total;
  }
  return factor * sum / (n * n);
}

double Logit::at(Eigen::Ref<const Eigen::RowVectorXd> x) const { return logistic(intercept + x.dot(coefficients)); }

base::Result<Logit> fit_logit(const MatrixD& x, const VectorD& t) {
  PL_CHECK(check_input(x, t, {}));
  double ones = 0;
  for (Index i = 0; i < t.size(); ++i) {
    if (t(i) != 0 && t(i) != 1)
      return base::make_error(base::Code::kValue, fmt::format("fit_logit: t[{}] is {}, of 0 and 1", i, t(i)));
    ones += t(i);
  }
  const auto n = static_cast<double>(t.size());
  if (ones == 0 || ones == n) return base::make_error(base::Code::kValue, "fit_logit: all t are equal");

  Logit out;
  out.coefficients = VectorD::Zero(x.cols());
  VectorD eta = VectorD::Constant(t.size(), std::log(ones / (n - ones)));
  double loss = deviance(eta, t);
  double moved = 1;
  constexpr int kSteps = 50;
  for (int step = 0; step < kSteps && moved > 1e-9; ++step) {
    VectorD weights(t.size());
    VectorD working(t.size());
    for (Index i = 0; i < t.size(); ++i) {
      const double p = logistic(eta(i));
      weights(i) = std::max(p * (1 - p), 1e-14);
      working(i) = eta(i) + (t(i) - p) / weights(i);
    }
    const LeastSquares fit = solve(x, working, weights, false);
    VectorD next = working - fit.residuals;
    double next_loss = deviance(next, t);
    for (int half = 0; half < 20 && !(next_loss <= loss + 1e-12 * std::abs(loss)); ++half) {
      next = 0.5 * (next + eta);
      next_loss = deviance(next, t);
    }
    moved = (next - eta).cwiseAbs().maxCoeff();
    eta = next;
    loss = next_loss;
    out.coefficients = fit.coefficients;
    out.intercept = fit.intercept;
    out.inverse = fit.inverse;
    out.means = fit.means;
    out.weight = fit.weight;
  }
  out.separated = moved > 0.1;
  out.probabilities = eta.unaryExpr([](double e) { return logistic(e); });
  return out;
}

MatrixD take_rows(const MatrixD& x, std::span<const std::size_t> rows) {
  MatrixD out(static_cast<Index>(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) out.row(static_cast<Index>(i)) = x.row(static_cast<Index>(rows[i]));
  return out;
}

VectorD take_rows(const VectorD& x, std::span<const std::size_t> rows) {
  VectorD out(static_cast<Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) out(static_cast<Index>(i)) = x(static_cast<Index>(rows[i]));
  return out;
}

}  // namespace plumbline::counterfactual::effects

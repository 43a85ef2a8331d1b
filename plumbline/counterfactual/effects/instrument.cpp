#include "plumbline/counterfactual/effects/instrument.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Sum over clusters of outer products of summed rows; a and b n x k.
MatrixD cross(const MatrixD& a, const MatrixD& b, const std::vector<int>& clusters) {
  if (clusters.empty()) return a.transpose() * b;
  const auto groups = static_cast<Index>(cluster_count(clusters, 0));
  MatrixD left = MatrixD::Zero(groups, a.cols()), right = MatrixD::Zero(groups, b.cols());
  for (Index i = 0; i < a.rows(); ++i) {
    const Index g = clusters[static_cast<std::size_t>(i)];
    left.row(g) += a.row(i);
    right.row(g) += b.row(i);
  }
  return left.transpose() * right;
}

/// All that the test of a value b needs: moments and variances of the instruments with y and t.
struct Moments {
  VectorD y, t;        // Z'y, Z't
  MatrixD yy, yt, tt;  // variances of the scores
  double critical = 0;

  /// Statistic of "the instruments do not move y - b t".
  double statistic(double b) const {
    const VectorD m = y - b * t;
    const MatrixD omega = yy - b * (yt + yt.transpose()) + b * b * tt;
    const auto factor = stats::Cholesky::factor(0.5 * (omega + omega.transpose()));
    if (!factor.ok()) return kInfinity;
    return m.dot(factor->solve(m).value());
  }
};

/// Pieces of the line where the statistic is at most the critical value: a scan over angles, ends by bisection.
base::Result<std::vector<std::pair<double, double>>> region_of(const Moments& m, double centre, double scale) {
  constexpr int kSteps = 4000;
  const auto at = [&](double angle) { return centre + scale * std::tan(angle); };
  const auto over = [&](double angle) { return m.statistic(at(angle)) - m.critical; };
  const double half = std::numbers::pi / 2 * (1 - 1e-7);
  std::vector<std::pair<double, double>> out;
  double last_angle = -half;
  bool inside = over(last_angle) <= 0;
  double begin = inside ? -kInfinity : 0;
  for (int k = 1; k <= kSteps; ++k) {
    const double angle = -half + 2 * half * k / kSteps;
    const bool now = over(angle) <= 0;
    if (now != inside) {
      PL_TRY(const double edge, stats::find_root(over, last_angle, angle));
      if (now)
        begin = at(edge);
      else
        out.emplace_back(begin, at(edge));
      inside = now;
    }
    last_angle = angle;
  }
  if (inside) out.emplace_back(begin, kInfinity);
  return out;
}

/// Columns with what the covariates explain taken out.
base::Result<VectorD> without(const MatrixD& x, const VectorD& y) {
  PL_TRY(const LeastSquares fit, least_squares(x, y));
  return fit.residuals;
}

void refuse_fit(InstrumentFit& out, std::string reason) {
  out.outcome = Outcome::kCannotSay;
  out.reasons.push_back(std::move(reason));
  out.estimate = {};
  out.estimate.value = std::nan("");
}

struct Residualised {
  VectorD y, t;
  MatrixD z;
  double rows = 0, parameters = 0;
};

base::Result<Residualised> residualise(const Study& s) {
  Residualised r;
  PL_TRY(const LeastSquares fit, least_squares(s.x, s.outcome));
  r.y = fit.residuals;
  PL_TRY(r.t, without(s.x, s.treatment));
  std::vector<VectorD> kept;
  for (Index j = 0; j < s.instruments.cols(); ++j) {
    const VectorD z = s.instruments.col(j);
    PL_TRY(const VectorD rest, without(s.x, z));
    const double before = (z.array() - z.sum() / static_cast<double>(z.size())).square().sum();
    if (rest.squaredNorm() > 1e-9 * before) kept.push_back(rest / std::sqrt(rest.squaredNorm()));
  }
  r.z.resize(s.x.rows(), static_cast<Index>(kept.size()));
  for (std::size_t j = 0; j < kept.size(); ++j) r.z.col(static_cast<Index>(j)) = kept[j];
  r.rows = static_cast<double>(s.n());
  r.parameters = static_cast<double>(fit.used) + 2;
  return r;
}

}  // namespace

base::Result<InstrumentFit> fit_instrument(const Study& s) {
  InstrumentFit out;
  out.overidentified_p = std::nan("");
  if (s.instruments.cols() == 0) return base::make_error(base::Code::kValue, "fit_instrument: no instrument");
  PL_TRY(const Residualised r, residualise(s));
  if (!(r.t.squaredNorm() > 0))
    return base::make_error(base::Code::kValue,
                            "fit_instrument: the treatment is constant, or the covariates explain it wholly");
  if (r.z.cols() == 0) {
    refuse_fit(out, "the covariates explain the instruments wholly: nothing is left that was drawn as by lot");
    return out;
  }
  const Index k = r.z.cols();
  const bool clustered = !s.clusters.empty();
  const std::size_t groups = s.cluster_total();
  const auto instruments = static_cast<double>(k);
  const double factor = clustered ? cluster_factor(groups, s.n(), static_cast<std::size_t>(r.parameters))
                                  : r.rows / (r.rows - r.parameters);
  const double degrees = clustered ? static_cast<double>(groups) - 1 : r.rows - r.parameters - instruments + 1;

  // First stage and reduced form.
  const MatrixD gram = r.z.transpose() * r.z;
  auto gram_factor = stats::Cholesky::factor(gram);
  if (!gram_factor.ok()) {
    refuse_fit(out, "the instruments are combinations of each other");
    return out;
  }
  const MatrixD inverse = gram_factor->inverse();
  const VectorD zt = r.z.transpose() * r.t, zy = r.z.transpose() * r.y;
  const VectorD slopes = inverse * zt, reduced = inverse * zy;
  const VectorD rest_t = r.t - r.z * slopes, rest_y = r.y - r.z * reduced;
  const MatrixD scores_t = rest_t.asDiagonal() * r.z, scores_y = rest_y.asDiagonal() * r.z;
  Moments m;
  m.y = zy;
  m.t = zt;
  m.yy = factor * cross(scores_y, scores_y, s.clusters);
  m.yt = factor * cross(scores_y, scores_t, s.clusters);
  m.tt = factor * cross(scores_t, scores_t, s.clusters);
  m.critical = instruments * stats::f_quantile(0.95, instruments, degrees);
  PL_TRY(const stats::Cholesky first, stats::Cholesky::factor(m.tt));
  PL_TRY(const VectorD solved, first.solve(zt));
  out.first_stage_f = zt.dot(solved) / instruments;
  const MatrixD slope_variance = inverse * m.tt * inverse;
  const MatrixD reduced_variance = inverse * m.yy * inverse;
  for (Index j = 0; j < k; ++j) {
    const VectorD raw = s.instruments.col(j);
    PL_TRY(const VectorD rest, without(s.x, raw));
    const double scale = std::sqrt(rest.squaredNorm());
    out.first_stage.push_back(slopes(j) / scale);
    out.first_stage_errors.push_back(std::sqrt(slope_variance(j, j)) / scale);
    if (j > 0) continue;
    out.reduced_form = reduced(0) / scale;
    out.reduced_form_error = std::sqrt(reduced_variance(0, 0)) / scale;
  }

  // Two stages.
  const VectorD fitted = r.z * slopes;
  const double power = fitted.squaredNorm();
  out.value = fitted.dot(r.y) / power;
  const VectorD residuals = r.y - out.value * r.t;
  const VectorD influence = r.rows / power * fitted.cwiseProduct(residuals);
  const double variance = influence_variance(influence, s.clusters, factor);
  out.standard_error = std::sqrt(variance);
  out.classical_error = std::sqrt(residuals.squaredNorm() / (r.rows - r.parameters) / power);
  out.estimate = student(out.value, variance, degrees, r.rows,
                         clustered ? "two-stage least squares, clustered" : "two-stage least squares, HC1");
  if (clustered) {
    out.estimate.unit_of_sampling = "cluster";
    out.estimate.n_effective = static_cast<double>(groups);
  }
  if (k > 1) {
    const MatrixD scores = residuals.asDiagonal() * r.z;
    const MatrixD omega = cross(scores, scores, s.clusters);
    if (auto j = stats::Cholesky::factor(omega); j.ok()) {
      // The efficient figure, so that the statistic has its law.
      const VectorD a = j->solve(zt).value(), b = j->solve(zy).value();
      const VectorD left = zy - zt.dot(b) / zt.dot(a) * zt;
      out.overidentified_p = stats::chi_square_tail(left.dot(j->solve(left).value()), instruments - 1);
    }
  }
  const double spread = std::max(out.standard_error, 1e-12 * (std::abs(out.value) + 1));
  PL_TRY(out.region, region_of(m, out.value, 3 * spread));

  MatrixD with(s.x.rows(), s.x.cols() + 1);
  with.col(0) = s.treatment;
  with.rightCols(s.x.cols()) = s.x;
  PL_TRY(const LeastSquares plain, least_squares(with, s.outcome));
  out.ols = plain.coefficients(0);
  out.ols_error = std::sqrt(influence_variance(coefficient_influence(plain, with, 0, !clustered), s.clusters,
                                               clustered ? cluster_factor(groups, s.n(), plain.used + 1) : 1));

  constexpr double kWeak = 10, kSure = 104.7;
  if (out.region.empty())
    refuse_fit(out,
               "no value of the effect fits all instruments: at least one of them acts otherwise than through the "
               "treatment");
  if (out.first_stage_f < kWeak)
    refuse_fit(out,
               fmt::format("the instruments hardly move the treatment (first-stage F {:.2f}, of at least {:.0f}); the "
                           "Anderson-Rubin set is what can be said",
                           out.first_stage_f, kWeak));
  else if (out.first_stage_f < kSure && k == 1 && out.outcome == Outcome::kSays && out.region.size() == 1 &&
           out.region[0].second - out.region[0].first > 1.5 * (*out.estimate.high() - *out.estimate.low())) {
    out.outcome = Outcome::kWarns;
    out.reasons.push_back(
        fmt::format("first-stage F {:.1f}: prefer the Anderson-Rubin set to the interval", out.first_stage_f));
  }
  return out;
}

}  // namespace plumbline::counterfactual::effects

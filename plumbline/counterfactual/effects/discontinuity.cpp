#include "plumbline/counterfactual/effects/discontinuity.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Rows on one side, by rising distance along x; x is taken from the cut-off.
struct Half {
  VectorD x, y;
  std::vector<int> clusters;
  std::size_t distinct = 0;

  Index rows() const { return x.size(); }
  /// How far the rows reach from the cut-off.
  double range() const { return std::max(std::abs(x(0)), std::abs(x(x.size() - 1))); }
};

struct Halves {
  Half below, above;
};

Half half_of(const VectorD& x, const VectorD& y, std::span<const int> clusters, double cutoff, bool above) {
  std::vector<Index> rows;
  for (Index i = 0; i < x.size(); ++i)
    if ((x(i) >= cutoff) == above) rows.push_back(i);
  std::stable_sort(rows.begin(), rows.end(), [&](Index a, Index b) { return x(a) < x(b); });
  Half out;
  out.x.resize(static_cast<Index>(rows.size()));
  out.y.resize(static_cast<Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.x(static_cast<Index>(i)) = x(rows[i]) - cutoff;
    out.y(static_cast<Index>(i)) = y(rows[i]);
    if (!clusters.empty()) out.clusters.push_back(clusters[static_cast<std::size_t>(rows[i])]);
    if (i == 0 || x(rows[i]) != x(rows[i - 1])) ++out.distinct;
  }
  return out;
}

/// Those within the bandwidth, with their kernel weights.
struct Window {
  VectorD x, y, weights;
  std::vector<int> clusters;
};

Window window_of(const Half& half, double kernel_bandwidth, double reach) {
  std::vector<Index> rows;
  for (Index i = 0; i < half.rows(); ++i)
    if (std::abs(half.x(i)) < reach) rows.push_back(i);
  Window out;
  const auto n = static_cast<Index>(rows.size());
  out.x.resize(n);
  out.y.resize(n);
  out.weights.resize(n);
  for (Index i = 0; i < n; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    out.x(i) = half.x(row);
    out.y(i) = half.y(row);
    out.weights(i) = std::max(0.0, 1 - std::abs(half.x(row)) / kernel_bandwidth) / kernel_bandwidth;
    if (!half.clusters.empty()) out.clusters.push_back(half.clusters[static_cast<std::size_t>(row)]);
  }
  return out;
}

MatrixD powers(const VectorD& x, int degree) {
  MatrixD out(x.size(), degree + 1);
  out.col(0).setOnes();
  for (int k = 1; k <= degree; ++k) out.col(k) = out.col(k - 1).cwiseProduct(x);
  return out;
}

/// Inverse of R' W R; columns are scaled first, since powers of x differ by many orders.
base::Result<MatrixD> gram_inverse(const MatrixD& r, const VectorD& weights) {
  VectorD scale = (weights.asDiagonal() * r.cwiseAbs2()).colwise().sum().transpose().cwiseSqrt();
  for (Index j = 0; j < scale.size(); ++j)
    if (!(scale(j) > 0)) scale(j) = 1;
  const MatrixD scaled = r * scale.cwiseInverse().asDiagonal();
  const MatrixD gram = scaled.transpose() * (weights.asDiagonal() * scaled);
  PL_TRY(const stats::Cholesky factor, stats::Cholesky::factor(gram));
  return MatrixD(scale.cwiseInverse().asDiagonal() * factor.inverse() * scale.cwiseInverse().asDiagonal());
}

/// Residuals against at least three neighbours on the same side, ties taken whole. x ascending.
VectorD neighbour_residuals(const VectorD& x, const VectorD& y) {
  constexpr Index kNeighbours = 3;
  const Index n = x.size();
  VectorD out(n);
  for (Index i = 0; i < n; ++i) {
    Index low = i, high = i;  // [low, high] are i and its neighbours so far
    const auto grow_low = [&] {
      const double value = x(--low);
      while (low > 0 && x(low - 1) == value) --low;
    };
    const auto grow_high = [&] {
      const double value = x(++high);
      while (high + 1 < n && x(high + 1) == value) ++high;
    };
    while (low > 0 && x(low - 1) == x(i)) --low;
    while (high + 1 < n && x(high + 1) == x(i)) ++high;
    while (high - low < std::min(kNeighbours, n - 1)) {
      const bool can_low = low > 0, can_high = high + 1 < n;
      const double left = can_low ? x(i) - x(low - 1) : 0, right = can_high ? x(high + 1) - x(i) : 0;
      const bool both = can_low && can_high && left == right;
      if (both || (can_low && (!can_high || left < right))) grow_low();
      if (both || (can_high && (!can_low || right < left))) grow_high();
    }
    const auto count = static_cast<double>(high - low);
    const double others = y.segment(low, high - low + 1).sum() - y(i);
    out(i) = count > 0 ? std::sqrt(count / (count + 1)) * (y(i) - others / count) : 0;
  }
  return out;
}

/// Sum of outer products of the rows of `scores`, or of their sums within clusters.
MatrixD meat(const MatrixD& scores, const std::vector<int>& clusters) {
  if (clusters.empty()) return scores.transpose() * scores;
  std::map<int, Eigen::RowVectorXd> totals;
  for (Index i = 0; i < scores.rows(); ++i) {
    auto [at, fresh] = totals.emplace(clusters[static_cast<std::size_t>(i)], scores.row(i));
    if (!fresh) at->second += scores.row(i);
  }
  MatrixD out = MatrixD::Zero(scores.cols(), scores.cols());
  for (const auto& total : totals) out += total.second.transpose() * total.second;
  const auto groups = static_cast<double>(totals.size());
  return groups > 1 ? MatrixD(out * (groups / (groups - 1))) : out;
}

/// What the rule for a bandwidth needs to know of a side: variance and bias constants, and the variance of the bias.
struct Constants {
  double variance = 0, bias = 0, regularisation = 0;
};

/// Of the derivative `nu` in a fit of degree `o`, with the bias from a fit of degree `o_bias` at `h_bias`.
base::Result<Constants> constants(const Half& half, int o, int nu, int o_bias, double h, double h_bias,
                                  bool regularise) {
  const Window near = window_of(half, h, h);
  const MatrixD r = powers(near.x, o);
  PL_TRY(const MatrixD inverse, gram_inverse(r, near.weights));
  const MatrixD weighted = near.weights.asDiagonal() * r;
  const VectorD residuals = neighbour_residuals(near.x, near.y);
  const MatrixD variance = inverse * meat(residuals.asDiagonal() * weighted, near.clusters) * inverse;
  const VectorD next = (near.x / h).array().pow(o + 1);
  const double factor = std::pow(h, nu) * (inverse * (weighted.transpose() * next))(nu);

  const Window far = window_of(half, h_bias, h_bias);
  const MatrixD r_far = powers(far.x, o_bias);
  PL_TRY(const MatrixD inverse_far, gram_inverse(r_far, far.weights));
  const MatrixD weighted_far = far.weights.asDiagonal() * r_far;
  const VectorD slopes = inverse_far * (weighted_far.transpose() * far.y);
  Constants out;
  out.variance = (2 * nu + 1) * std::pow(h, 2 * nu + 1) * variance(nu, nu);
  out.bias = std::sqrt(2.0 * (o + 1 - nu)) * factor * slopes(o + 1);
  if (regularise) {
    const VectorD left = neighbour_residuals(far.x, far.y);
    const MatrixD spread = inverse_far * meat(left.asDiagonal() * weighted_far, far.clusters) * inverse_far;
    out.regularisation = 2.0 * (o + 1 - nu) * 3 * factor * factor * spread(o + 1, o + 1);
  }
  return out;
}

base::Result<double> best_bandwidth(const Halves& s, int o, int nu, int o_bias, double h, double h_below,
                                    double h_above, bool regularise) {
  PL_TRY(const Constants below, constants(s.below, o, nu, o_bias, h, h_below, regularise));
  PL_TRY(const Constants above, constants(s.above, o, nu, o_bias, h, h_above, regularise));
  const double gap = above.bias - below.bias;
  return std::pow((below.variance + above.variance) / (gap * gap + below.regularisation + above.regularisation),
                  1.0 / (2 * o + 3));
}

/// Bandwidths (figure, bias) with the least mean squared error, by three pilots.
base::Result<std::pair<double, double>> bandwidths(const Halves& s, const VectorD& x, int degree) {
  std::vector<double> sorted(x.data(), x.data() + x.size());
  std::sort(sorted.begin(), sorted.end());
  const stats::Moments moments = stats::moments(sorted);
  // Order statistics, averaged where two of them will do (definition 2 of Hyndman and Fan 1996), as in the reference
  // programs.
  const auto quartile = [&](double share) {
    const double at = share * static_cast<double>(sorted.size());
    const auto k = static_cast<std::size_t>(std::ceil(at)) - 1;
    return at == std::floor(at) && k + 1 < sorted.size() ? 0.5 * (sorted[k] + sorted[k + 1]) : sorted[k];
  };
  const double quartiles = quartile(0.75) - quartile(0.25);
  double spread = std::sqrt(moments.variance);
  if (quartiles > 0) spread = std::min(spread, quartiles / 1.349);
  const double most = std::max(std::abs(s.below.x(0)), s.above.x(s.above.rows() - 1));
  // At least ten values on either side, whatever the rule says.
  const auto tenth = [](const Half& half, bool above) {
    std::size_t seen = 0;
    double last = 0;
    for (Index k = 0; k < half.rows(); ++k) {
      const double at = std::abs(half.x(above ? k : half.rows() - 1 - k));
      if (k == 0 || at != last) ++seen;
      last = at;
      if (seen == 10) break;
    }
    return last;
  };
  const double least = std::max(tenth(s.below, false), tenth(s.above, true)) * (1 + 1e-9) + 1e-300;
  const auto kept = [&](double h) { return std::clamp(h, std::min(least, most), most); };
  const double first = kept(2.576 * spread * std::pow(static_cast<double>(s.below.distinct + s.above.distinct), -0.2));
  const int q = degree + 1;
  PL_TRY(const double d, best_bandwidth(s, q + 1, q + 1, q + 2, first, s.below.range() + 1e-8 * most,
                                        s.above.range() + 1e-8 * most, false));
  const double pilot = kept(d);
  PL_TRY(const double b, best_bandwidth(s, q, degree + 1, q + 1, first, pilot, pilot, true));
  const double bias = kept(b);
  PL_TRY(const double h, best_bandwidth(s, degree, 0, q, first, bias, bias, true));
  return std::pair{kept(h), bias};
}

/// The boundary value of a side: plain, corrected, and their variances.
struct Boundary {
  double plain = 0, corrected = 0, variance = 0, robust = 0;
  std::size_t within = 0;
};

base::Result<Boundary> boundary(const Half& half, int degree, double h, double b) {
  const int q = degree + 1;
  const Window all = window_of(half, h, std::max(h, b));
  const Window wide = window_of(half, b, std::max(h, b));
  const MatrixD r_q = powers(all.x, q);
  const MatrixD r_p = r_q.leftCols(degree + 1);
  PL_TRY(const MatrixD inverse_p, gram_inverse(r_p, all.weights));
  PL_TRY(const MatrixD inverse_q, gram_inverse(r_q, wide.weights));
  const MatrixD weighted = all.weights.asDiagonal() * r_p;
  // The figure's bias is this constant times the next coefficient, which the wider fit estimates.
  const VectorD lift = weighted.transpose() * VectorD(all.x.array().pow(degree + 1));
  const VectorD next = wide.weights.asDiagonal() * (r_q * inverse_q.col(degree + 1));
  const MatrixD corrected = weighted - next * lift.transpose();
  const VectorD residuals = neighbour_residuals(all.x, all.y);
  Boundary out;
  out.plain = (inverse_p * (weighted.transpose() * all.y))(0);
  out.corrected = (inverse_p * (corrected.transpose() * all.y))(0);
  out.variance = (inverse_p * meat(residuals.asDiagonal() * weighted, all.clusters) * inverse_p)(0, 0);
  out.robust = (inverse_p * meat(residuals.asDiagonal() * corrected, all.clusters) * inverse_p)(0, 0);
  out.within = static_cast<std::size_t>((all.weights.array() > 0).count());
  return out;
}

void fill(const Boundary& below, const Boundary& above, Discontinuity& out) {
  out.conventional = above.plain - below.plain;
  out.corrected = above.corrected - below.corrected;
  out.conventional_error = std::sqrt(above.variance + below.variance);
  out.robust_error = std::sqrt(above.robust + below.robust);
  out.below.within = below.within;
  out.above.within = above.within;
}

base::Status jump(const Halves& s, int degree, double h, double b, Discontinuity& out) {
  PL_TRY(const Boundary below, boundary(s.below, degree, h, b));
  PL_TRY(const Boundary above, boundary(s.above, degree, h, b));
  fill(below, above, out);
  return base::ok();
}

Discontinuity refused(Discontinuity out, std::string reason) {
  out.outcome = Outcome::kCannotSay;
  out.reasons = {std::move(reason)};
  return out;
}

void warned(Discontinuity& out, std::string reason) {
  out.outcome = Outcome::kWarns;
  out.reasons.push_back(std::move(reason));
}

base::Status check(const VectorD& x, const VectorD& y, const VectorD& treatment, const DiscontinuityOptions& o) {
  constexpr const char* kName = "fit_discontinuity";
  PL_CHECK(base::check_size(kName, "y", y.size(), x.size()));
  PL_CHECK(base::check_all_finite(kName, "x", {x.data(), static_cast<std::size_t>(x.size())}));
  PL_CHECK(base::check_all_finite(kName, "y", {y.data(), static_cast<std::size_t>(y.size())}));
  if (treatment.size() > 0) PL_CHECK(base::check_size(kName, "treatment", treatment.size(), x.size()));
  PL_CHECK(base::check_in(kName, "degree", o.degree, 0, 3));
  if (o.bandwidth) PL_CHECK(base::check_positive(kName, "bandwidth", *o.bandwidth));
  if (x.size() == 0) return base::make_error(base::Code::kShape, "fit_discontinuity: no rows");
  if (!(o.cutoff > x.minCoeff() && o.cutoff <= x.maxCoeff()))
    return base::make_error(base::Code::kValue,
                            fmt::format("the cut-off {:g} lies outside the running variable's range [{:g}, {:g}]",
                                        o.cutoff, x.minCoeff(), x.maxCoeff()));
  return base::ok();
}

}  // namespace

stats::Estimate Discontinuity::estimate() const {
  stats::Estimate out;
  out.value = conventional;
  out.n = static_cast<double>(below.rows + above.rows);
  out.n_effective = static_cast<double>(below.within + above.within);
  out.method = "local polynomial, bias-corrected robust interval";
  if (outcome == Outcome::kCannotSay) {
    out.value = std::nan("");
    return out;
  }
  if (!(robust_error > 0)) return out;
  out.bounds = stats::make_bounds([&](double c) { return corrected - stats::normal_quantile(c) * robust_error; },
                                  [&](double c) { return corrected + stats::normal_quantile(c) * robust_error; });
  return out;
}

base::Result<Discontinuity> fit_discontinuity(const VectorD& x, const VectorD& y, const VectorD& treatment,
                                              std::span<const int> clusters, const DiscontinuityOptions& o) {
  PL_CHECK(check(x, y, treatment, o));
  const auto halves = [&](const VectorD& of) {
    return Halves{half_of(x, of, clusters, o.cutoff, false), half_of(x, of, clusters, o.cutoff, true)};
  };
  const Halves s = halves(y);
  Discontinuity out;
  out.below = {static_cast<std::size_t>(s.below.rows()), 0, s.below.distinct};
  out.above = {static_cast<std::size_t>(s.above.rows()), 0, s.above.distinct};
  for (const Side* side : {&out.below, &out.above}) {
    const char* where = side == &out.below ? "below" : "above";
    if (side->rows < 20)
      return refused(out, fmt::format("{} rows lie {} the cut-off, of at least 20", side->rows, where));
    if (side->distinct < 10)
      return refused(out, fmt::format("the running variable has {} values {} the cut-off, of at least 10: there is no "
                                      "neighbourhood of the cut-off",
                                      side->distinct, where));
  }
  for (const Side* side : {&out.below, &out.above})
    if (static_cast<double>(side->distinct) < 0.8 * static_cast<double>(side->rows))
      warned(out, fmt::format("the {} rows {} the cut-off share {} values (mass points)", side->rows,
                              side == &out.below ? "below" : "above", side->distinct));
  if (o.bandwidth) {
    out.bandwidth = out.bias_bandwidth = *o.bandwidth;
  } else {
    auto found = bandwidths(s, x, o.degree);
    if (!found.ok()) return refused(out, fmt::format("no bandwidth can be found: {}", found.error().message));
    out.bandwidth = found->first;
    out.bias_bandwidth = found->second;
  }
  if (const base::Status fitted = jump(s, o.degree, out.bandwidth, out.bias_bandwidth, out); !fitted.ok())
    return refused(out, fmt::format("no fit within the bandwidth {:g}: {}", out.bandwidth, fitted.error().message));
  if (std::min(out.below.within, out.above.within) < 10)
    return refused(out, fmt::format("{} and {} rows lie within the bandwidth {:g}, of at least 10 on a side",
                                    out.below.within, out.above.within, out.bandwidth));
  if (treatment.size() == 0) return out;
  Discontinuity first = out;
  PL_CHECK(jump(halves(treatment), o.degree, out.bandwidth, out.bias_bandwidth, first));
  out.first_stage = first.conventional;
  out.first_stage_error = first.robust_error;
  const double t = std::abs(first.corrected) / first.robust_error;
  if (first.robust_error > 0 && t < stats::normal_quantile(0.975))
    return refused(out, fmt::format("the treatment does not jump at the cut-off: {:.3g} with robust error {:.3g}",
                                    first.corrected, first.robust_error));
  if (first.robust_error > 0 && t * t < 10) warned(out, fmt::format("weak first stage: F {:.1f}", t * t));
  const double ratio = out.conventional / out.first_stage;
  Discontinuity linear = out;
  PL_CHECK(
      jump(halves((y - ratio * treatment) / out.first_stage), o.degree, out.bandwidth, out.bias_bandwidth, linear));
  out.conventional = ratio;
  out.corrected = ratio + linear.corrected;
  out.conventional_error = linear.conventional_error;
  out.robust_error = linear.robust_error;
  return out;
}

}  // namespace plumbline::counterfactual::effects

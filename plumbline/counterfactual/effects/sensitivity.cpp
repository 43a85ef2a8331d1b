#include "plumbline/counterfactual/effects/sensitivity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

double robustness_of(double f) { return f <= 0 ? 0 : 0.5 * (std::sqrt(f * f * f * f + 4 * f * f) - f * f); }

MatrixD with_treatment(const Study& study) {
  MatrixD x(study.x.rows(), study.x.cols() + 1);
  x.col(0) = study.treatment;
  x.rightCols(study.x.cols()) = study.x;
  return x;
}

/// Partial R-squared of the columns named: what the fit loses without them, b' inverse^-1 b, over the residuals then.
base::Result<double> gained(const LeastSquares& fit, std::vector<Index> columns) {
  std::erase_if(columns, [&](Index j) { return fit.left_out[static_cast<std::size_t>(j)]; });
  if (columns.empty()) return 0.0;
  const auto d = static_cast<Index>(columns.size());
  MatrixD block(d, d);
  VectorD slopes(d);
  for (Index a = 0; a < d; ++a) {
    slopes(a) = fit.coefficients(columns[static_cast<std::size_t>(a)]);
    for (Index b = 0; b < d; ++b)
      block(a, b) = fit.inverse(columns[static_cast<std::size_t>(a)], columns[static_cast<std::size_t>(b)]);
  }
  PL_TRY(const stats::Cholesky factor, stats::Cholesky::factor(block));
  PL_TRY(const VectorD solved, factor.solve(slopes));
  const double lost = slopes.dot(solved);
  return lost / (lost + fit.residuals.squaredNorm());
}

/// `treatment`: fit of the treatment on the covariates; `outcome`: of the outcome on both, the treatment first.
base::Result<Benchmark> benchmark_of(const Study& study, std::size_t covariate, const LeastSquares& treatment,
                                     const LeastSquares& outcome, const PartialR2& fit) {
  Benchmark out;
  out.covariate = study.covariates[covariate];
  std::vector<Index> columns, shifted;
  for (std::size_t j = 0; j < study.columns.size(); ++j) {
    if (study.covariate[j] != covariate) continue;
    columns.push_back(static_cast<Index>(j));
    shifted.push_back(static_cast<Index>(j) + 1);
  }
  PL_TRY(out.with_treatment, gained(treatment, columns));
  PL_TRY(out.with_outcome, gained(outcome, shifted));
  const double d = out.with_treatment;
  const double y = out.with_outcome;
  if (d >= 0.5 || y >= 1) return out;
  const double z = d * d / ((1 - d) * (1 - d));  // of Z with the covariate, given the treatment
  if (z >= 1) return out;
  const double outcome_z = std::pow((1 + std::sqrt(z)) / std::sqrt(1 - z), 2) * y / (1 - y);
  if (outcome_z >= 1) return out;
  const double bias = bias_of(fit, d / (1 - d), outcome_z);
  out.left = fit.estimate - (fit.estimate > 0 ? bias : -bias);
  return out;
}

/// Ratio above 1 in the direction away from none; nothing for a ratio that is not positive.
std::optional<double> away(double ratio) {
  if (!(ratio > 0) || !std::isfinite(ratio)) return std::nullopt;
  return ratio >= 1 ? ratio : 1 / ratio;
}

double e_of(double ratio) { return ratio <= 1 ? 1 : ratio + std::sqrt(ratio * (ratio - 1)); }

/// Pairs (treated - untreated outcome): treated by falling log odds, each with the nearest row left.
std::vector<double> matched_differences(const Study& study, const VectorD& odds) {
  const double mean = odds.sum() / static_cast<double>(odds.size());
  const double deviation = std::sqrt((odds.array() - mean).square().sum() / static_cast<double>(odds.size()));
  std::vector<std::size_t> treated = arm_rows(study, true);
  std::vector<std::size_t> left = arm_rows(study, false);
  const auto by_odds = [&](std::size_t a, std::size_t b) {
    const double x = odds(static_cast<Index>(a)), y = odds(static_cast<Index>(b));
    return x < y || (x == y && a < b);
  };
  std::sort(left.begin(), left.end(), by_odds);
  std::sort(treated.begin(), treated.end(), [&](std::size_t a, std::size_t b) { return by_odds(b, a); });
  // Rows taken are passed over by links to the next free one on either side.
  const auto count = static_cast<std::ptrdiff_t>(left.size());
  std::vector<std::ptrdiff_t> below(left.size() + 1), above(left.size() + 1);
  std::iota(below.begin(), below.end(), std::ptrdiff_t{-1});  // slot i: last free index < i
  std::iota(above.begin(), above.end(), std::ptrdiff_t{0});   // slot i: first free index >= i
  std::vector<bool> taken(left.size(), false);
  const auto free_above = [&](std::ptrdiff_t i) {
    std::ptrdiff_t at = i;
    while (at < count && taken[static_cast<std::size_t>(at)]) at = above[static_cast<std::size_t>(at)];
    return at;
  };
  const auto free_below = [&](std::ptrdiff_t i) {
    std::ptrdiff_t at = i;
    while (at >= 0 && taken[static_cast<std::size_t>(at)]) at = below[static_cast<std::size_t>(at)];
    return at;
  };
  std::vector<double> out;
  for (const std::size_t row : treated) {
    const double own = odds(static_cast<Index>(row));
    const auto start = std::lower_bound(left.begin(), left.end(), own, [&](std::size_t a, double value) {
      return odds(static_cast<Index>(a)) < value;
    });
    const std::ptrdiff_t at = start - left.begin();
    const std::ptrdiff_t up = free_above(at);
    const std::ptrdiff_t down = free_below(at - 1);
    const double far = std::numeric_limits<double>::infinity();
    const auto gap = [&](std::ptrdiff_t i) {
      return i < 0 || i >= count ? far : std::abs(odds(static_cast<Index>(left[static_cast<std::size_t>(i)])) - own);
    };
    const std::ptrdiff_t best = gap(up) < gap(down) ? up : down;
    if (!(gap(best) <= 0.2 * deviation)) continue;
    taken[static_cast<std::size_t>(best)] = true;
    above[static_cast<std::size_t>(best)] = free_above(best + 1);
    below[static_cast<std::size_t>(best)] = free_below(best - 1);
    out.push_back(study.outcome(static_cast<Index>(row)) -
                  study.outcome(static_cast<Index>(left[static_cast<std::size_t>(best)])));
  }
  return out;
}

}  // namespace

double bias_of(const PartialR2& fit, double with_treatment, double with_outcome) {
  return fit.standard_error * std::sqrt(fit.degrees * with_outcome * with_treatment / (1 - with_treatment));
}

base::Result<PartialR2> partial_r2(const Study& study) {
  PL_TRY(const LeastSquares outcome, least_squares(with_treatment(study), study.outcome));
  if (outcome.left_out[0])
    return base::make_error(base::Code::kValue, "partial_r2: the treatment is a combination of the covariates");
  PartialR2 out;
  out.degrees = outcome.degrees();
  out.estimate = outcome.coefficients(0);
  out.standard_error = std::sqrt(outcome.residuals.squaredNorm() / out.degrees * outcome.inverse(0, 0));
  const double t = std::abs(out.estimate) / out.standard_error;
  const double f = t / std::sqrt(out.degrees);
  out.of_treatment = t * t / (t * t + out.degrees);
  out.robustness = robustness_of(f);
  // With Z in the fit there is one degree of freedom less, and the bound leans on its own t quantile.
  const double critical = stats::t_quantile(0.975, out.degrees - 1) / std::sqrt(out.degrees - 1);
  out.robustness_at_level = robustness_of(f - critical);
  PL_TRY(const LeastSquares treatment, least_squares(study.x, study.treatment));
  for (std::size_t c = 0; c < study.covariates.size(); ++c) {
    PL_TRY(Benchmark b, benchmark_of(study, c, treatment, outcome, out));
    out.benchmarks.push_back(std::move(b));
  }
  const double sign = out.estimate > 0 ? 1 : -1;
  std::stable_sort(out.benchmarks.begin(), out.benchmarks.end(), [&](const Benchmark& a, const Benchmark& b) {
    const double far = -std::numeric_limits<double>::infinity();
    return (a.left ? sign * *a.left : far) < (b.left ? sign * *b.left : far);
  });
  return out;
}

std::optional<EValue> e_value(const Study& study, const stats::Estimate& effect) {
  if (!effect.low() || !effect.high()) return std::nullopt;
  const double near = effect.value > 0 ? *effect.low() : *effect.high();
  const bool crosses = effect.value > 0 ? near <= 0 : near >= 0;
  EValue out;
  std::optional<double> ratio, bound;
  if (study.binary_outcome) {
    double mean = 0, count = 0;
    for (Index i = 0; i < study.outcome.size(); ++i)
      if (study.treatment(i) < 0.5) {
        mean += study.outcome(i);
        count += 1;
      }
    mean /= count;
    if (!(mean > 0)) return std::nullopt;
    ratio = away((mean + effect.value) / mean);
    bound = crosses ? std::optional<double>(1) : away((mean + near) / mean);
  } else {
    const double mean = study.outcome.sum() / static_cast<double>(study.n());
    const double deviation =
        std::sqrt((study.outcome.array() - mean).square().sum() / static_cast<double>(study.n() - 1));
    if (!(deviation > 0)) return std::nullopt;
    out.approximate = true;
    ratio = away(std::exp(0.91 * effect.value / deviation));
    bound = crosses ? std::optional<double>(1) : away(std::exp(0.91 * near / deviation));
  }
  if (!ratio || !bound) return std::nullopt;
  out.figure = e_of(*ratio);
  out.bound = e_of(*bound);
  return out;
}

double signed_rank_p(const std::vector<double>& differences, double gamma) {
  std::vector<double> sizes;
  std::vector<bool> positive;
  for (const double d : differences) {
    if (d == 0) continue;
    sizes.push_back(std::abs(d));
    positive.push_back(d > 0);
  }
  if (sizes.empty()) return 1;
  const std::vector<double> ranks = stats::midranks(sizes);
  double statistic = 0, total = 0, squares = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (positive[i]) statistic += ranks[i];
    total += ranks[i];
    squares += ranks[i] * ranks[i];
  }
  const double share = gamma / (1 + gamma);
  return stats::normal_tail((statistic - share * total) / std::sqrt(share * (1 - share) * squares));
}

base::Result<std::optional<Rosenbaum>> rosenbaum_bounds(const Study& study) {
  PL_TRY(const Logit logit, fit_logit(study.x, study.treatment));
  if (logit.separated) return std::optional<Rosenbaum>();
  const VectorD odds = (study.x * logit.coefficients).array() + logit.intercept;
  std::vector<double> differences = matched_differences(study, odds);
  if (differences.size() < 10) return std::optional<Rosenbaum>();
  PL_TRY(const double middle, stats::median(differences));
  if (middle < 0)
    for (double& d : differences) d = -d;
  Rosenbaum out;
  out.pairs = differences.size();
  out.p_value = signed_rank_p(differences, 1);
  if (out.p_value < 0.05) {
    constexpr double kMost = 1e3;
    const auto over = [&](double log_gamma) { return signed_rank_p(differences, std::exp(log_gamma)) - 0.05; };
    if (over(std::log(kMost)) < 0) {
      out.gamma = kMost;
    } else {
      PL_TRY(const double root, stats::find_root(over, 0, std::log(kMost)));
      out.gamma = std::exp(root);
    }
  }
  return std::optional<Rosenbaum>(out);
}

}  // namespace plumbline::counterfactual::effects

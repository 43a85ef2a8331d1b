#include "plumbline/counterfactual/reward_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::counterfactual {
namespace {

using data::Column;
using Eigen::Index;

constexpr std::size_t kMostFeatures = 128;
constexpr std::size_t kLeastRows = 5;

/// Centred and scaled to variance 1; nothing when it does not vary.
bool standardise(std::vector<double>& values) {
  const stats::Moments m = stats::moments(values);
  if (!(m.variance > 1e-24)) return false;
  const double scale = 1 / std::sqrt(m.variance);
  for (double& v : values) v = (v - m.mean) * scale;
  return true;
}

base::Status check(const OpeRows& rows, const MatrixD& features, const std::vector<int>& fold,
                   const RewardModelOptions& options, std::string_view function) {
  const auto n = static_cast<std::ptrdiff_t>(rows.size());
  PL_CHECK(base::check_size(function, "rows of features", features.rows(), n));
  PL_CHECK(base::check_size(function, "fold", static_cast<std::ptrdiff_t>(fold.size()), n));
  PL_CHECK(base::check_size(function, "rows of target", rows.target.rows(), n));
  PL_CHECK(base::check_at_least(function, "folds", options.folds, 2));
  return base::check_in(function, "ridge", options.ridge, 0, std::numeric_limits<double>::max());
}

/// A least-squares problem in the coordinates of its Gram matrix, in which every ridge is cheap.
struct Spectrum {
  VectorD values;  ///< of the Gram matrix
  MatrixD vectors;
  VectorD right;     ///< vectors' X'y
  double total = 0;  ///< y'y

  static base::Result<Spectrum> of(MatrixD gram, const VectorD& xy, double yy) {
    for (Index a = 0; a < gram.rows(); ++a) {
      for (Index b = 0; b < a; ++b) gram(b, a) = gram(a, b);
    }
    PL_TRY(stats::SymmetricEigen eigen, stats::eigen_symmetric(gram));
    Spectrum s;
    s.values = eigen.values.cwiseMax(0.0);
    s.right = VectorD::Zero(xy.size());
    for (Index k = 0; k < xy.size(); ++k) {
      for (Index j = 0; j < xy.size(); ++j) s.right(k) += eigen.vectors(j, k) * xy(j);
    }
    s.vectors = std::move(eigen.vectors);
    s.total = yy;
    return s;
  }
  double residual(double ridge) const {
    double sum = total;
    for (Index k = 0; k < values.size(); ++k) {
      const double down = values(k) + ridge;
      sum -= right(k) * right(k) * (values(k) + 2 * ridge) / (down * down);
    }
    return std::max(sum, 0.0);
  }
  double freedom(double ridge) const {
    double sum = 0;
    for (Index k = 0; k < values.size(); ++k) sum += values(k) / (values(k) + ridge);
    return sum;
  }
  VectorD coefficients(double ridge) const {
    VectorD out = VectorD::Zero(values.size());
    for (Index k = 0; k < values.size(); ++k) {
      const double along = right(k) / (values(k) + ridge);
      for (Index j = 0; j < out.size(); ++j) out(j) += vectors(j, k) * along;
    }
    return out;
  }
};

/// The ridge with the least generalised cross-validation error of several problems together; infinity (no coefficients)
/// is a candidate. `fixed` > 0 is taken as it is.
double choose_ridge(const std::vector<Spectrum>& problems, double rows, double spent, double fixed) {
  if (fixed > 0) return fixed;
  double scale = 0;
  double count = 0;
  double total = 0;
  for (const Spectrum& p : problems) {
    for (Index k = 0; k < p.values.size(); ++k) scale += p.values(k);
    count += static_cast<double>(p.values.size());
    total += p.total;
  }
  double best = std::numeric_limits<double>::infinity();
  const double least_rows = std::max(1.0, rows - spent);
  double least = total / (least_rows * least_rows);
  if (!(scale > 0)) return best;
  for (int power = -4; power <= 3; ++power) {
    const double ridge = scale / count * std::pow(10.0, power);
    double residual = 0;
    double freedom = spent;
    for (const Spectrum& p : problems) {
      residual += p.residual(ridge);
      freedom += p.freedom(ridge);
    }
    const double left = rows - freedom;
    if (left < 1) continue;
    const double error = residual / (left * left);
    if (error < least) {
      least = error;
      best = ridge;
    }
  }
  return best;
}

/// y on [1, x] over the rows named, intercept free.
base::Result<VectorD> common_fit(const MatrixD& features, const std::vector<Index>& which, const std::vector<double>& y,
                                 double fixed) {
  const Index d = features.cols();
  VectorD center = VectorD::Zero(d);
  double mean = 0;
  for (const Index i : which) {
    for (Index j = 0; j < d; ++j) center(j) += features(i, j);
    mean += y[static_cast<std::size_t>(i)];
  }
  const auto n = static_cast<double>(which.size());
  center /= n;
  mean /= n;
  MatrixD gram = MatrixD::Zero(d, d);
  VectorD xy = VectorD::Zero(d);
  VectorD x(d);
  double yy = 0;
  for (const Index i : which) {
    const double left = y[static_cast<std::size_t>(i)] - mean;
    yy += left * left;
    for (Index j = 0; j < d; ++j) x(j) = features(i, j) - center(j);
    for (Index a = 0; a < d; ++a) {
      xy(a) += x(a) * left;
      for (Index b = 0; b <= a; ++b) gram(a, b) += x(a) * x(b);
    }
  }
  VectorD out = VectorD::Zero(d + 1);
  out(0) = mean;
  if (d == 0) return out;
  std::vector<Spectrum> problem(1);
  PL_TRY(problem[0], Spectrum::of(std::move(gram), xy, yy));
  const double ridge = choose_ridge(problem, n, 1, fixed);
  if (std::isinf(ridge)) return out;
  const VectorD slope = problem[0].coefficients(ridge);
  for (Index j = 0; j < d; ++j) {
    out(j + 1) = slope(j);
    out(0) -= slope(j) * center(j);
  }
  return out;
}

/// y on [1, x] over the rows named, intercept shrunk too.
base::Result<Spectrum> own_problem(const MatrixD& features, const std::vector<Index>& which,
                                   const std::vector<double>& y) {
  const Index d = features.cols() + 1;
  MatrixD gram = MatrixD::Zero(d, d);
  VectorD xy = VectorD::Zero(d);
  VectorD x(d);
  double yy = 0;
  for (const Index i : which) {
    const double left = y[static_cast<std::size_t>(i)];
    yy += left * left;
    x(0) = 1;
    for (Index j = 1; j < d; ++j) x(j) = features(i, j - 1);
    for (Index a = 0; a < d; ++a) {
      xy(a) += x(a) * left;
      for (Index b = 0; b <= a; ++b) gram(a, b) += x(a) * x(b);
    }
  }
  return Spectrum::of(std::move(gram), xy, yy);
}

double linear_value(const MatrixD& features, Index i, const VectorD& c) {
  double value = c(0);
  for (Index j = 1; j < c.size(); ++j) value += features(i, j - 1) * c(j);
  return value;
}

}  // namespace

ContextFeatures context_features(const data::DecisionLog& log, const OpeRows& rows) {
  ContextFeatures out;
  std::vector<std::vector<double>> columns;
  const std::size_t n = rows.size();
  const auto add = [&](std::vector<double> values) {
    if (!standardise(values)) return;
    if (columns.size() >= kMostFeatures)
      ++out.left_out;
    else
      columns.push_back(std::move(values));
  };
  const auto add_levels = [&](const std::vector<int>& codes, std::size_t levels) {
    std::vector<std::size_t> count(levels, 0);
    for (const int c : codes) {
      if (c >= 0) ++count[static_cast<std::size_t>(c)];
    }
    for (std::size_t level = 0; level < levels; ++level) {
      if (count[level] < kLeastRows) continue;
      std::vector<double> indicator(n);
      for (std::size_t j = 0; j < n; ++j) indicator[j] = codes[j] == static_cast<int>(level) ? 1 : 0;
      add(std::move(indicator));
    }
  };
  if (log.slates) {
    std::vector<int> position(n);
    int most = 0;
    for (std::size_t j = 0; j < n; ++j) {
      position[j] = std::min(log.position[rows.row[j]], 1000);
      most = std::max(most, position[j]);
    }
    add_levels(position, static_cast<std::size_t>(most) + 1);
  }
  for (const Column& column : log.context.columns) {
    if (column.kind == Column::Kind::kNumber) {
      std::vector<double> values(n);
      double sum = 0;
      double count = 0;
      for (std::size_t j = 0; j < n; ++j) {
        values[j] = column.numbers[rows.row[j]];
        if (std::isfinite(values[j])) {
          sum += values[j];
          ++count;
        }
      }
      for (double& v : values) {
        if (!std::isfinite(v)) v = count > 0 ? sum / count : 0;
      }
      add(std::move(values));
    } else if (column.kind == Column::Kind::kCategory) {
      std::vector<int> codes(n);
      for (std::size_t j = 0; j < n; ++j) codes[j] = column.codes[rows.row[j]];
      add_levels(codes, column.levels.size());
    }
  }
  out.values = MatrixD(static_cast<Index>(n), static_cast<Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) {
    for (std::size_t i = 0; i < n; ++i) out.values(static_cast<Index>(i), static_cast<Index>(j)) = columns[j][i];
  }
  return out;
}

base::Result<std::vector<int>> folds_of(const OpeRows& rows, int folds, const base::Rng& rng) {
  PL_CHECK(base::check_at_least("folds_of", "folds", folds, 2));
  PL_TRY(const stats::UnitIndex index, stats::group_units(rows.unit, rows.size()));
  PL_CHECK(base::check_at_least("folds_of", "units", static_cast<std::ptrdiff_t>(index.count()), folds));
  base::Rng stream = rng.fork("folds");
  const std::vector<std::size_t> order = stream.permutation(index.count());
  std::vector<int> fold(rows.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    for (const std::size_t j : index.rows_of(order[k])) fold[j] = static_cast<int>(k % static_cast<std::size_t>(folds));
  }
  return fold;
}

base::Result<MatrixD> cross_fitted_rewards(const OpeRows& rows, const MatrixD& features, const std::vector<int>& fold,
                                           const RewardModelOptions& options) {
  PL_CHECK(check(rows, features, fold, options, "cross_fitted_rewards"));
  const auto n = static_cast<Index>(rows.size());
  const auto actions = static_cast<Index>(rows.actions);
  MatrixD q(n, actions);
  for (int f = 0; f < options.folds; ++f) {
    std::vector<Index> fit;
    std::vector<std::vector<Index>> by_action(rows.actions);
    for (Index i = 0; i < n; ++i) {
      const auto j = static_cast<std::size_t>(i);
      if (fold[j] == f) continue;
      fit.push_back(i);
      by_action[static_cast<std::size_t>(rows.action[j])].push_back(i);
    }
    PL_TRY(const VectorD common, common_fit(features, fit, rows.reward, options.ridge));
    std::vector<double> left(rows.reward);
    for (const Index i : fit) left[static_cast<std::size_t>(i)] -= linear_value(features, i, common);
    std::vector<Spectrum> problems(rows.actions);
    PL_CHECK(base::parallel_for(
        rows.actions,
        [&](std::size_t a) -> base::Status {
          PL_TRY(problems[a], own_problem(features, by_action[a], left));
          return base::ok();
        },
        options.cancel));
    const double ridge =
        choose_ridge(problems, static_cast<double>(fit.size()), static_cast<double>(common.size()), options.ridge);
    for (std::size_t a = 0; a < rows.actions; ++a) {
      const VectorD own = std::isinf(ridge) ? common : VectorD(common + problems[a].coefficients(ridge));
      for (Index i = 0; i < n; ++i) {
        if (fold[static_cast<std::size_t>(i)] == f) q(i, static_cast<Index>(a)) = linear_value(features, i, own);
      }
    }
  }
  return q;
}

base::Result<MatrixD> least_variance_rewards(const OpeRows& rows, const MatrixD& features, const std::vector<int>& fold,
                                             const RewardModelOptions& options) {
  PL_CHECK(check(rows, features, fold, options, "least_variance_rewards"));
  const auto n = static_cast<Index>(rows.size());
  const Index d = features.cols();
  const auto actions = static_cast<Index>(rows.actions);
  const Index size = 1 + d + actions;
  // v: derivative of a row's term. The intercept and the context enter as (sum of pi) - w, an action as pi_a - w 1{a}.
  MatrixD v(n, size);
  std::vector<double> u(rows.size());
  for (Index i = 0; i < n; ++i) {
    const auto j = static_cast<std::size_t>(i);
    double total = 0;
    for (Index a = 0; a < actions; ++a) {
      v(i, 1 + d + a) = rows.target(i, a);
      total += rows.target(i, a);
    }
    v(i, 1 + d + rows.action[j]) -= rows.weight[j];
    v(i, 0) = total - rows.weight[j];
    for (Index k = 0; k < d; ++k) v(i, 1 + k) = v(i, 0) * features(i, k);
    u[j] = rows.weight[j] * rows.reward[j];
  }
  MatrixD q(n, actions);
  std::vector<VectorD> coefficients(static_cast<std::size_t>(options.folds));
  PL_CHECK(base::parallel_for(
      static_cast<std::size_t>(options.folds),
      [&](std::size_t f) -> base::Status {
        VectorD mean_v = VectorD::Zero(size);
        double mean_u = 0;
        double count = 0;
        for (Index i = 0; i < n; ++i) {
          if (fold[static_cast<std::size_t>(i)] == static_cast<int>(f)) continue;
          for (Index k = 0; k < size; ++k) mean_v(k) += v(i, k);
          mean_u += u[static_cast<std::size_t>(i)];
          ++count;
        }
        mean_v /= count;
        mean_u /= count;
        MatrixD gram = MatrixD::Zero(size, size);
        VectorD right = VectorD::Zero(size);
        VectorD x(size);
        double yy = 0;
        for (Index i = 0; i < n; ++i) {
          if (fold[static_cast<std::size_t>(i)] == static_cast<int>(f)) continue;
          for (Index k = 0; k < size; ++k) x(k) = v(i, k) - mean_v(k);
          const double y = u[static_cast<std::size_t>(i)] - mean_u;
          yy += y * y;
          for (Index a = 0; a < size; ++a) {
            right(a) -= x(a) * y;
            for (Index b = 0; b <= a; ++b) gram(a, b) += x(a) * x(b);
          }
        }
        std::vector<Spectrum> problem(1);
        PL_TRY(problem[0], Spectrum::of(std::move(gram), right, yy));
        const double ridge = choose_ridge(problem, count, 1, options.ridge);
        coefficients[f] = std::isinf(ridge) ? VectorD(VectorD::Zero(size)) : problem[0].coefficients(ridge);
        return base::ok();
      },
      options.cancel));
  for (Index i = 0; i < n; ++i) {
    const VectorD& c = coefficients[static_cast<std::size_t>(fold[static_cast<std::size_t>(i)])];
    double common = c(0);
    for (Index k = 0; k < d; ++k) common += features(i, k) * c(1 + k);
    for (Index a = 0; a < actions; ++a) q(i, a) = common + c(1 + d + a);
  }
  return q;
}

}  // namespace plumbline::counterfactual

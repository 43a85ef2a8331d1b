#pragma once
/// Least squares and logistic regression with what inference needs: influence of every row on every coefficient.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::effects {

/// y = intercept + x b + e, weighted. Columns are centred at their weighted means, so that the intercept needs no
/// column.
struct LeastSquares {
  VectorD coefficients;        ///< d; 0 for columns that were left out
  double intercept = 0;        ///< at x = 0
  VectorD means;               ///< d: weighted
  MatrixD inverse;             ///< d x d: inverse of the weighted scatter, zero for columns left out
  VectorD residuals;           ///< n
  VectorD leverage;            ///< n, in [0, 1]
  double weight = 0;           ///< sum of weights
  std::vector<bool> left_out;  ///< d: constant, or a combination of columns before it
  std::size_t used = 0;        ///< columns that were not left out

  double degrees() const { return static_cast<double>(residuals.size()) - static_cast<double>(used) - 1; }
  double at(Eigen::Ref<const Eigen::RowVectorXd> x) const { return intercept + x.dot(coefficients); }
};

/// Shapes    x n x d (d may be 0), y n, weights n or empty (all 1).
/// What      normal equations of centred, scaled columns by sweeps; a column whose share not explained by those before
/// it is
///           below 1e-9 is left out.
/// Errors    kShape: n < 2, sizes differ. kValue: a value that is not finite, a weight below 0, no weight at all.
/// Cost      O(n d^2 + d^3). Deterministic.
base::Result<LeastSquares> least_squares(const MatrixD& x, const VectorD& y, const VectorD& weights = {});

/// n times the change of coefficient j per unit weight of each row, with e / sqrt(1 - h) in the place of e where `hc2`
/// (MacKinnon, White 1985): their sum of squares over n^2 is the sandwich variance.
VectorD coefficient_influence(const LeastSquares& fit, const MatrixD& x, std::size_t j, bool hc2 = true,
                              const VectorD& weights = {});
/// The same of the fitted value at the point `at`.
VectorD fitted_influence(const LeastSquares& fit, const MatrixD& x, const VectorD& at, bool hc2 = true,
                         const VectorD& weights = {});

/// (sum over clusters of (sum of influence)^2) / n^2, times `factor`; `clusters` empty: every row is its own. Clusters
/// number from 0.
double influence_variance(const VectorD& influence, std::span<const int> clusters, double factor = 1);
/// G / (G - 1) * (n - 1) / (n - parameters): the small-sample factor of clustered variances.
double cluster_factor(std::size_t clusters, std::size_t rows, std::size_t parameters);
std::size_t cluster_count(std::span<const int> clusters, std::size_t rows);

/// P(t = 1 | x) = 1 / (1 + exp(-(intercept + x b))), by maximum likelihood.
struct Logit {
  VectorD coefficients;
  double intercept = 0;
  VectorD probabilities;   ///< n
  MatrixD inverse;         ///< d x d, inverse information of the slopes
  VectorD means;           ///< d, weighted by p (1 - p)
  double weight = 0;       ///< sum of p (1 - p)
  bool separated = false;  ///< a combination of columns tells the two apart, wholly or in part: there is no maximum

  double at(Eigen::Ref<const Eigen::RowVectorXd> x) const;
};
/// Shapes    x n x d, t n of 0 and 1.
/// What      Newton's steps, halved where they do not help. Separated: fitted log odds still grow by more than 0.1 a
///           step after 50 steps; then the last fit is returned.
/// Errors    as least_squares; kValue: t other than 0 or 1, or of one value only.
/// Source    Albert, Anderson 1984 on separation.
base::Result<Logit> fit_logit(const MatrixD& x, const VectorD& t);

/// The rows named.
MatrixD take_rows(const MatrixD& x, std::span<const std::size_t> rows);
VectorD take_rows(const VectorD& x, std::span<const std::size_t> rows);

}  // namespace plumbline::counterfactual::effects

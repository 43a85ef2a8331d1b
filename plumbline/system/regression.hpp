#pragma once
/// Least squares on the rows of a trace, with what each cluster of rows contributes to the error.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {

/// The row of the round before in the same unit; kNoRow at the start of a unit and after a gap in time (over one and a
/// half times the median step).
inline constexpr std::size_t kNoRow = ~std::size_t{0};
std::vector<std::size_t> rows_before(const Trace& trace);

/// Regressors, column by column. Names tell them apart in messages.
class Design {
 public:
  explicit Design(std::size_t rows) : rows_(rows) {}
  void add(std::string name, std::vector<double> values);
  /// A number as it is; categories as 0 or 1 for each level but the commonest, the rarest together, at most `most`
  /// levels. `before`: the value of the round before.
  void add(const Signal& signal, const std::vector<std::size_t>* before = nullptr, std::size_t most = 6);
  MatrixD matrix() const;
  const std::vector<std::string>& names() const { return names_; }
  std::size_t columns() const { return names_.size(); }

 private:
  std::size_t rows_;
  std::vector<std::string> names_;
  std::vector<std::vector<double>> columns_;
};

struct Regression {
  VectorD coefficient;  ///< p; the constant, which is always fitted, is left out
  double constant = 0;
  VectorD spread;        ///< p: standard deviation of what the other regressors leave of each regressor
  double residual = 0;   ///< standard deviation of the residuals
  double explained = 0;  ///< R^2
  double rows = 0;
  double clusters = 0;  ///< with rows
  /// clusters x p: coefficient - truth is about the sum over clusters; so the variance of a smooth figure with gradient
  /// g is the sum of squares of influence g.
  MatrixD influence;

  double error(std::size_t j) const;
};

/// Question  how does y change with each regressor, the others held?
/// Formula   least squares with a constant; influence of cluster g: (X'X)^-1 sum_{i in g} x_i e_i, times
///           sqrt(G / (G - 1) (n - 1) / (n - p)) (CR1).
/// Shapes    x n x p, y n, cluster n with values in [0, clusters), or -1: the row is not there. Rows with a value that
///           is not finite are not there either.
/// Errors    kShape: sizes differ, fewer than p + 10 rows or 5 clusters. kValue: a regressor that is constant or a
///           combination of others, with its number.
/// Cost      O(n p^2). Deterministic.
/// Source    Liang and Zeger 1986.
base::Result<Regression> regress(MatrixRefD x, std::span<const double> y, const Clusters& clusters,
                                 std::span<const std::string> names);

/// Bound of the bias from a hidden common cause that explains a share `hidden` of what is left of regressor j and of y:
/// |bias| <= residual / spread_j hidden / sqrt(1 - hidden). Source: Cinelli and Hazlett, JRSS B 2020, eq. 10.
double hidden_bias(const Regression& regression, std::size_t j, double hidden);

}  // namespace plumbline::system

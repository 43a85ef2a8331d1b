#pragma once
/// Decompositions and dense products. The only room that includes Eigen's decomposition headers is this source.
/// Bits: work is cut into blocks that depend on sizes alone, products run on owned aligned blocks in double, and block
/// results are added in a fixed order; so the same input gives the same bits for any number of threads and any address.

#include <cstddef>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::stats {

/// Eigenvalues descending; column j of `vectors` belongs to values[j], has length 1, and its entry of largest size
/// (the first of equals) is positive.
struct SymmetricEigen {
  VectorD values;
  MatrixD vectors;
};
/// What      a = V diag(values) V'. Only the lower triangle is read.
/// Errors    kShape: not square, or empty. kValue: non-finite entry. kLimit: no convergence (never seen on finite
/// input). Cost      O(d^3). Deterministic.
base::Result<SymmetricEigen> eigen_symmetric(const MatrixD& a);

/// a = L L' of a symmetric positive definite matrix, for solving and for Mahalanobis distances.
class Cholesky {
 public:
  /// Errors kShape: not square, or empty. kValue: non-finite entry; not positive definite (hint: add a ridge).
  static base::Result<Cholesky> factor(const MatrixD& a);

  /// x with a x = b. Errors kShape.
  base::Result<VectorD> solve(const VectorD& b) const;
  base::Result<MatrixD> solve(const MatrixD& b) const;
  /// Row i of the result is L^-1 rows(i)'. Its squared length is rows(i) a^-1 rows(i)'. Errors kShape.
  base::Result<MatrixD> whiten(MatrixRefD rows) const;
  /// a^-1.
  MatrixD inverse() const;
  double log_determinant() const;
  const MatrixD& lower() const { return lower_; }

 private:
  explicit Cholesky(MatrixD lower) : lower_(std::move(lower)) {}
  MatrixD lower_;
};

/// Mean and covariance of a stream of rows, mergeable. Merge shards in a fixed order: merging is exact in exact
/// arithmetic, and its bits depend on the order. Source: Chan, Golub, LeVeque 1983.
class MomentAccumulator {
 public:
  explicit MomentAccumulator(std::ptrdiff_t columns);
  /// Errors kShape: other number of columns. kValue: non-finite entry (row and column in the message).
  base::Status add(MatrixRefF rows);
  base::Status add(MatrixRefD rows);
  base::Status merge(const MomentAccumulator& other);

  double count() const { return count_; }
  const VectorD& mean() const { return mean_; }
  /// Sum of outer products of centred rows, both triangles filled.
  MatrixD scatter() const;
  /// scatter / (count - 1). Errors kShape: fewer than two rows.
  base::Result<MatrixD> covariance() const;

 private:
  template <class Rows>
  base::Status add_rows(const Rows& rows);
  double count_ = 0;
  VectorD mean_;
  MatrixD scatter_;  // lower triangle
};

/// Mean and scatter of all rows, in parallel over fixed shards merged in order. Errors as MomentAccumulator::add.
base::Result<MomentAccumulator> moments_of_rows(MatrixRefF rows);
base::Result<MomentAccumulator> moments_of_rows(MatrixRefD rows);

/// Principal components: rows - mean projected on the eigenvectors of the covariance with the largest eigenvalues.
struct Pca {
  VectorD mean;        ///< d
  MatrixD components;  ///< k x d, unit rows, signs fixed as in SymmetricEigen
  VectorD variances;   ///< k, descending, of the covariance with n - 1
  double total_variance = 0;

  std::ptrdiff_t dimension() const { return components.rows(); }
  /// (rows - mean) components', n x k. Errors kShape.
  base::Result<MatrixD> transform(MatrixRefF rows) const;
  base::Result<MatrixD> transform(MatrixRefD rows) const;
  /// Squared distance of each row from the plane of the components, n. Errors kShape.
  base::Result<VectorD> residual_squared(MatrixRefF rows) const;
  base::Result<VectorD> residual_squared(MatrixRefD rows) const;
};
/// Exact (whole covariance in double, no random projections).
/// Errors    kShape: n < 2, k outside [1, d]. kValue: non-finite entry.
/// Cost      O(n d^2 / 2 + d^3); 60,000 x 784 -> 64 in about two seconds on two cores. Deterministic.
base::Result<Pca> fit_pca(MatrixRefF rows, std::ptrdiff_t components);
base::Result<Pca> fit_pca(MatrixRefD rows, std::ptrdiff_t components);

/// |a_i - b_j|^2, n x m, as |a|^2 + |b|^2 - 2 a b after shifting both by the mean of b; not below 0.
/// Error about d eps (|a|^2 + |b|^2) of the shifted rows: not for telling near-duplicates from duplicates.
/// Errors    kShape: columns differ. Cost O(n m d). Deterministic.
base::Result<MatrixD> pairwise_squared_distances(MatrixRefD a, MatrixRefD b);

/// a b' on owned aligned blocks, in parallel over blocks of rows of a. Errors kShape: columns differ.
base::Result<MatrixD> product_transposed(MatrixRefD a, MatrixRefD b);

}  // namespace plumbline::stats

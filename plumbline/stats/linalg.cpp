#include "plumbline/stats/linalg.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;
using ColumnMajor = Eigen::MatrixXd;

constexpr std::ptrdiff_t kBlockRows = 512;
constexpr std::ptrdiff_t kShards = 8;

base::Status check_square(std::string_view function, const MatrixD& a) {
  if (a.rows() == 0 || a.rows() != a.cols()) {
    return make_error(Code::kShape,
                      fmt::format("{}: the matrix is {} x {}, expected a square one", function, a.rows(), a.cols()));
  }
  return base::check_all_finite(function, "a", std::span(a.data(), static_cast<std::size_t>(a.size())));
}

base::Status check_columns(std::string_view function, std::ptrdiff_t got, std::ptrdiff_t want) {
  return base::check_size(function, "columns of rows", got, want);
}

/// Rows first .. first + count - 1 minus `center`, as doubles; rows from count to kBlockRows are zero, so that every
/// product has the same shape and the bits of a row do not depend on how many rows follow it.
template <class Rows>
void centred_block(const Rows& rows, std::ptrdiff_t first, std::ptrdiff_t count, const VectorD& center,
                   MatrixD& block) {
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) block(i, j) = static_cast<double>(rows(first + i, j)) - center(j);
  }
  for (std::ptrdiff_t i = count; i < block.rows(); ++i) block.row(i).setZero();
}

std::ptrdiff_t blocks_of(std::ptrdiff_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

template <class Rows>
base::Result<MomentAccumulator> moments_of_rows_impl(const Rows& rows) {
  const std::ptrdiff_t blocks = blocks_of(rows.rows());
  const std::ptrdiff_t shards = std::clamp<std::ptrdiff_t>(blocks / 4, 1, kShards);
  std::vector<MomentAccumulator> parts(static_cast<std::size_t>(shards), MomentAccumulator(rows.cols()));
  PL_CHECK(base::parallel_for(static_cast<std::size_t>(shards), [&](std::size_t s) -> base::Status {
    const auto shard = static_cast<std::ptrdiff_t>(s);
    const std::ptrdiff_t first = std::min(rows.rows(), blocks * shard / shards * kBlockRows);
    const std::ptrdiff_t last = std::min(rows.rows(), blocks * (shard + 1) / shards * kBlockRows);
    auto status = parts[s].add(rows.middleRows(first, last - first));
    return status.ok() ? status : base::Status(status.error().at(fmt::format("rows from {}", first)));
  }));
  for (std::size_t s = 1; s < parts.size(); ++s) PL_CHECK(parts[0].merge(parts[s]));
  return parts[0];
}

template <class Rows>
base::Result<Pca> fit_pca_impl(const Rows& rows, std::ptrdiff_t components) {
  PL_CHECK(base::check_at_least("fit_pca", "rows", rows.rows(), 2));
  if (components < 1 || components > rows.cols()) {
    return make_error(Code::kShape, fmt::format("fit_pca: components is {}, expected 1 to {} (the columns)", components,
                                                rows.cols()));
  }
  PL_TRY(const MomentAccumulator moments, moments_of_rows(rows));
  PL_TRY(const MatrixD covariance, moments.covariance());
  PL_TRY(const SymmetricEigen eigen, eigen_symmetric(covariance));
  Pca pca;
  pca.mean = moments.mean();
  pca.components = eigen.vectors.leftCols(components).transpose();
  pca.variances = eigen.values.head(components).cwiseMax(0.0);
  for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) pca.total_variance += covariance(j, j);
  return pca;
}

template <class Rows, class Body>
base::Status over_blocks(const Pca& pca, const Rows& rows, const Body& body) {
  PL_CHECK(check_columns("Pca::transform", rows.cols(), pca.mean.size()));
  const MatrixD basis = pca.components.transpose();
  return base::parallel_for(static_cast<std::size_t>(blocks_of(rows.rows())), [&](std::size_t b) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(b) * kBlockRows;
    const std::ptrdiff_t count = std::min(kBlockRows, rows.rows() - first);
    MatrixD block(kBlockRows, rows.cols());
    centred_block(rows, first, count, pca.mean, block);
    MatrixD projected(kBlockRows, basis.cols());
    projected.noalias() = block * basis;
    body(first, count, block, projected);
    return base::ok();
  });
}

template <class Rows>
base::Result<MatrixD> transform_impl(const Pca& pca, const Rows& rows) {
  MatrixD result(rows.rows(), pca.components.rows());
  PL_CHECK(
      over_blocks(pca, rows, [&](std::ptrdiff_t first, std::ptrdiff_t count, const MatrixD&, const MatrixD& projected) {
        result.middleRows(first, count) = projected.topRows(count);
      }));
  return result;
}

template <class Rows>
base::Result<VectorD> residual_impl(const Pca& pca, const Rows& rows) {
  VectorD result(rows.rows());
  PL_CHECK(over_blocks(pca, rows,
                       [&](std::ptrdiff_t first, std::ptrdiff_t count, const MatrixD& block, const MatrixD& projected) {
                         // The residual itself, not |x|^2 - |projection|^2, which cancels for rows close to the plane.
                         MatrixD rest = block;
                         rest.noalias() -= projected * pca.components;
                         for (std::ptrdiff_t i = 0; i < count; ++i) {
                           double sum = 0;
                           for (std::ptrdiff_t j = 0; j < rest.cols(); ++j) sum += rest(i, j) * rest(i, j);
                           result(first + i) = sum;
                         }
                       }));
  return result;
}

}  // namespace

base::Result<SymmetricEigen> eigen_symmetric(const MatrixD& a) {
  PL_CHECK(check_square("eigen_symmetric", a));
  const ColumnMajor copy = a;
  const Eigen::SelfAdjointEigenSolver<ColumnMajor> solver(copy);
  if (solver.info() != Eigen::Success) {
    return make_error(Code::kLimit, fmt::format("eigen_symmetric: no convergence on a {0} x {0} matrix", a.rows()));
  }
  const std::ptrdiff_t d = a.rows();
  SymmetricEigen result{VectorD(d), MatrixD(d, d)};
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    const std::ptrdiff_t from = d - 1 - j;
    result.values(j) = solver.eigenvalues()(from);
    std::ptrdiff_t largest = 0;
    for (std::ptrdiff_t i = 1; i < d; ++i) {
      if (std::abs(solver.eigenvectors()(i, from)) > std::abs(solver.eigenvectors()(largest, from))) largest = i;
    }
    const double sign = solver.eigenvectors()(largest, from) < 0 ? -1.0 : 1.0;
    for (std::ptrdiff_t i = 0; i < d; ++i) result.vectors(i, j) = sign * solver.eigenvectors()(i, from);
  }
  return result;
}

base::Result<Cholesky> Cholesky::factor(const MatrixD& a) {
  PL_CHECK(check_square("Cholesky::factor", a));
  const ColumnMajor copy = a;
  const Eigen::LLT<ColumnMajor> llt(copy);
  if (llt.info() != Eigen::Success) {
    return make_error(Code::kValue,
                      fmt::format("Cholesky::factor: the {0} x {0} matrix is not positive definite", a.rows()), {},
                      "add a ridge to the diagonal, or drop columns that are constant or copies");
  }
  return Cholesky(MatrixD(llt.matrixL()));
}

base::Result<MatrixD> Cholesky::solve(const MatrixD& b) const {
  PL_CHECK(base::check_size("Cholesky::solve", "rows of b", b.rows(), lower_.rows()));
  ColumnMajor x = b;
  lower_.triangularView<Eigen::Lower>().solveInPlace(x);
  lower_.transpose().triangularView<Eigen::Upper>().solveInPlace(x);
  return MatrixD(x);
}

base::Result<VectorD> Cholesky::solve(const VectorD& b) const {
  PL_TRY(const MatrixD x, solve(MatrixD(b)));
  return VectorD(x.col(0));
}

base::Result<MatrixD> Cholesky::whiten(MatrixRefD rows) const {
  PL_CHECK(check_columns("Cholesky::whiten", rows.cols(), lower_.rows()));
  MatrixD result(rows.rows(), rows.cols());
  PL_CHECK(base::parallel_for(static_cast<std::size_t>(blocks_of(rows.rows())), [&](std::size_t b) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(b) * kBlockRows;
    const std::ptrdiff_t count = std::min(kBlockRows, rows.rows() - first);
    ColumnMajor block = rows.middleRows(first, count).transpose();
    lower_.triangularView<Eigen::Lower>().solveInPlace(block);
    result.middleRows(first, count) = block.transpose();
    return base::ok();
  }));
  return result;
}

MatrixD Cholesky::inverse() const { return solve(MatrixD(MatrixD::Identity(lower_.rows(), lower_.rows()))).value(); }

double Cholesky::log_determinant() const {
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < lower_.rows(); ++i) sum += std::log(lower_(i, i));
  return 2 * sum;
}

MomentAccumulator::MomentAccumulator(std::ptrdiff_t columns)
    : mean_(VectorD::Zero(columns)), scatter_(MatrixD::Zero(columns, columns)) {}

template <class Rows>
base::Status MomentAccumulator::add_rows(const Rows& rows) {
  PL_CHECK(check_columns("MomentAccumulator::add", rows.cols(), mean_.size()));
  const std::ptrdiff_t d = rows.cols();
  for (std::ptrdiff_t first = 0; first < rows.rows(); first += kBlockRows) {
    const std::ptrdiff_t count = std::min(kBlockRows, rows.rows() - first);
    VectorD center = VectorD::Zero(d);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      for (std::ptrdiff_t j = 0; j < d; ++j) center(j) += static_cast<double>(rows(first + i, j));
    }
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      if (!std::isfinite(center(j))) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
          if (std::isfinite(static_cast<double>(rows(first + i, j)))) continue;
          return make_error(Code::kValue,
                            fmt::format("MomentAccumulator::add: row {} column {} is not finite", first + i, j));
        }
      }
      center(j) /= static_cast<double>(count);
    }
    MatrixD block(count, d);
    centred_block(rows, first, count, center, block);
    const double total = count_ + static_cast<double>(count);
    const double weight = count_ * static_cast<double>(count) / total;
    const VectorD delta = center - mean_;
    scatter_.selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
    for (std::ptrdiff_t i = 0; i < d && weight > 0; ++i) {
      for (std::ptrdiff_t j = 0; j <= i; ++j) scatter_(i, j) += weight * delta(i) * delta(j);
    }
    for (std::ptrdiff_t j = 0; j < d; ++j) mean_(j) += delta(j) * (static_cast<double>(count) / total);
    count_ = total;
  }
  return base::ok();
}

base::Status MomentAccumulator::add(MatrixRefF rows) { return add_rows(rows); }
base::Status MomentAccumulator::add(MatrixRefD rows) { return add_rows(rows); }

base::Status MomentAccumulator::merge(const MomentAccumulator& other) {
  PL_CHECK(check_columns("MomentAccumulator::merge", other.mean_.size(), mean_.size()));
  if (other.count_ == 0) return base::ok();
  const double total = count_ + other.count_;
  const double weight = count_ * other.count_ / total;
  const VectorD delta = other.mean_ - mean_;
  for (std::ptrdiff_t i = 0; i < mean_.size(); ++i) {
    for (std::ptrdiff_t j = 0; j <= i; ++j) scatter_(i, j) += other.scatter_(i, j) + weight * delta(i) * delta(j);
  }
  for (std::ptrdiff_t j = 0; j < mean_.size(); ++j) mean_(j) += delta(j) * (other.count_ / total);
  count_ = total;
  return base::ok();
}

MatrixD MomentAccumulator::scatter() const {
  MatrixD full = scatter_;
  for (std::ptrdiff_t i = 0; i < full.rows(); ++i) {
    for (std::ptrdiff_t j = i + 1; j < full.cols(); ++j) full(i, j) = scatter_(j, i);
  }
  return full;
}

base::Result<MatrixD> MomentAccumulator::covariance() const {
  if (count_ < 2)
    return make_error(Code::kShape, fmt::format("MomentAccumulator::covariance: {} rows, expected at least 2", count_));
  return MatrixD(scatter() / (count_ - 1));
}

base::Result<MomentAccumulator> moments_of_rows(MatrixRefF rows) { return moments_of_rows_impl(rows); }
base::Result<MomentAccumulator> moments_of_rows(MatrixRefD rows) { return moments_of_rows_impl(rows); }
base::Result<Pca> fit_pca(MatrixRefF rows, std::ptrdiff_t components) { return fit_pca_impl(rows, components); }
base::Result<Pca> fit_pca(MatrixRefD rows, std::ptrdiff_t components) { return fit_pca_impl(rows, components); }
base::Result<MatrixD> Pca::transform(MatrixRefF rows) const { return transform_impl(*this, rows); }
base::Result<MatrixD> Pca::transform(MatrixRefD rows) const { return transform_impl(*this, rows); }
base::Result<VectorD> Pca::residual_squared(MatrixRefF rows) const { return residual_impl(*this, rows); }
base::Result<VectorD> Pca::residual_squared(MatrixRefD rows) const { return residual_impl(*this, rows); }

base::Result<MatrixD> product_transposed(MatrixRefD a, MatrixRefD b) {
  PL_CHECK(base::check_size("product_transposed", "columns of b", b.cols(), a.cols()));
  const MatrixD right = b.transpose();
  MatrixD result(a.rows(), b.rows());
  PL_CHECK(base::parallel_for(static_cast<std::size_t>(blocks_of(a.rows())), [&](std::size_t s) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(s) * kBlockRows;
    const std::ptrdiff_t count = std::min(kBlockRows, a.rows() - first);
    const MatrixD left = a.middleRows(first, count);
    MatrixD block(count, right.cols());
    block.noalias() = left * right;
    result.middleRows(first, count) = block;
    return base::ok();
  }));
  return result;
}

base::Result<MatrixD> pairwise_squared_distances(MatrixRefD a, MatrixRefD b) {
  PL_CHECK(base::check_size("pairwise_squared_distances", "columns of b", b.cols(), a.cols()));
  const std::ptrdiff_t d = a.cols();
  VectorD center = VectorD::Zero(d);
  for (std::ptrdiff_t i = 0; i < b.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < d; ++j) center(j) += b(i, j) / static_cast<double>(b.rows());
  }
  auto shifted = [&](const MatrixRefD& rows, MatrixD& moved, VectorD& squares) {
    moved.resize(rows.rows(), d);
    squares.resize(rows.rows());
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      double sum = 0;
      for (std::ptrdiff_t j = 0; j < d; ++j) {
        moved(i, j) = rows(i, j) - center(j);
        sum += moved(i, j) * moved(i, j);
      }
      squares(i) = sum;
    }
  };
  MatrixD left, right;
  VectorD left_squares, right_squares;
  shifted(a, left, left_squares);
  shifted(b, right, right_squares);
  PL_TRY(MatrixD result, product_transposed(left, right));
  for (std::ptrdiff_t i = 0; i < result.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < result.cols(); ++j) {
      result(i, j) = std::max(0.0, left_squares(i) + right_squares(j) - 2 * result(i, j));
    }
  }
  return result;
}

}  // namespace plumbline::stats

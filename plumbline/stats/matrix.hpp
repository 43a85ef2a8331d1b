#pragma once
/// The array types of the public headers: rows are examples, storage is row-major.

#include <Eigen/Core>
#include <type_traits>

#include "plumbline/stats/matrix_fwd.hpp"

namespace plumbline {

static_assert(std::is_same_v<MatrixD, Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>);
static_assert(std::is_same_v<MatrixF, Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>);
using VectorD = Eigen::VectorXd;
using VectorF = Eigen::VectorXf;
/// Borrowed arrays: any row-major matrix of that scalar, without a copy.
using MatrixRefD = Eigen::Ref<const MatrixD>;
using MatrixRefF = Eigen::Ref<const MatrixF>;

}  // namespace plumbline

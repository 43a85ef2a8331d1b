#pragma once
/// The array types by name alone. Parsing Eigen takes two seconds a source, so headers that only pass arrays on include
/// this; whoever makes or reads one includes plumbline/stats/matrix.hpp.

namespace Eigen {
template <typename Scalar, int Rows, int Columns, int Options, int MaxRows, int MaxColumns>
class Matrix;
}  // namespace Eigen

namespace plumbline {

// Sizes known at run time (-1), row-major (1).
using MatrixD = Eigen::Matrix<double, -1, -1, 1, -1, -1>;
using MatrixF = Eigen::Matrix<float, -1, -1, 1, -1, -1>;

}  // namespace plumbline

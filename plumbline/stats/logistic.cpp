#include "plumbline/stats/logistic.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/minimise.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

constexpr std::ptrdiff_t kBlockRows = 1024;

template <class Rows>
void scaled_block(const Rows& rows, std::ptrdiff_t first, std::ptrdiff_t count, const VectorD& center,
                  const VectorD& inverse, MatrixD& block) {
  block.resize(count, rows.cols());
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    for (std::ptrdiff_t j = 0; j < rows.cols(); ++j)
      block(i, j) = (static_cast<double>(rows(first + i, j)) - center(j)) * inverse(j);
  }
}

VectorD inverse_of(const VectorD& scale) {
  VectorD inverse(scale.size());
  for (std::ptrdiff_t j = 0; j < scale.size(); ++j) inverse(j) = scale(j) > 0 ? 1 / scale(j) : 0;
  return inverse;
}

/// Mean loss plus ridge / (2 n) |W|^2 and its gradient. Parameters: weights k x d row by row, then k intercepts.
template <class Rows>
class Objective {
 public:
  Objective(const Rows& rows, std::span<const int> labels, std::ptrdiff_t classes, double ridge, const VectorD& center,
            const VectorD& scale)
      : rows_(rows),
        labels_(labels),
        k_(classes),
        d_(rows.cols()),
        ridge_(ridge),
        center_(center),
        inverse_(inverse_of(scale)) {
    blocks_ = (rows.rows() + kBlockRows - 1) / kBlockRows;
    parts_.resize(static_cast<std::size_t>(blocks_));
  }

  std::size_t size() const { return static_cast<std::size_t>(k_ * (d_ + 1)); }
  double loss() const { return loss_; }

  double operator()(const std::vector<double>& x, std::vector<double>& gradient) {
    const MatrixD transposed = Eigen::Map<const MatrixD>(x.data(), k_, d_).transpose();
    const double* intercept = x.data() + k_ * d_;
    (void)base::parallel_for(static_cast<std::size_t>(blocks_), [&](std::size_t b) -> base::Status {
      Part& part = parts_[b];
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(b) * kBlockRows;
      const std::ptrdiff_t count = std::min(kBlockRows, rows_.rows() - first);
      MatrixD block;
      scaled_block(rows_, first, count, center_, inverse_, block);
      MatrixD p(count, k_);
      p.noalias() = block * transposed;
      part.loss = 0;
      part.gradient.resize(k_, d_);
      part.intercept.assign(static_cast<std::size_t>(k_), 0.0);
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        const int label = labels_[static_cast<std::size_t>(first + i)];
        double top = -INFINITY;
        for (std::ptrdiff_t c = 0; c < k_; ++c) {
          p(i, c) += intercept[c];
          top = std::max(top, p(i, c));
        }
        const double own = p(i, label) - top;
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < k_; ++c) sum += p(i, c) = std::exp(p(i, c) - top);
        part.loss += std::log(sum) - own;
        for (std::ptrdiff_t c = 0; c < k_; ++c) {
          p(i, c) = p(i, c) / sum - (c == label ? 1 : 0);
          part.intercept[static_cast<std::size_t>(c)] += p(i, c);
        }
      }
      const MatrixD residual = p.transpose();
      part.gradient.noalias() = residual * block;
      return base::ok();
    });
    const auto n = static_cast<double>(rows_.rows());
    gradient.assign(size(), 0.0);
    loss_ = 0;
    for (const Part& part : parts_) {
      loss_ += part.loss;
      for (std::ptrdiff_t i = 0; i < k_ * d_; ++i) gradient[static_cast<std::size_t>(i)] += part.gradient.data()[i];
      for (std::ptrdiff_t c = 0; c < k_; ++c)
        gradient[static_cast<std::size_t>(k_ * d_ + c)] += part.intercept[static_cast<std::size_t>(c)];
    }
    loss_ /= n;
    double squares = 0;
    for (double& g : gradient) g /= n;
    for (std::size_t i = 0; i < static_cast<std::size_t>(k_ * d_); ++i) {
      gradient[i] += ridge_ / n * x[i];
      squares += x[i] * x[i];
    }
    return loss_ + 0.5 * ridge_ / n * squares;
  }

 private:
  struct Part {
    double loss = 0;
    MatrixD gradient;
    std::vector<double> intercept;
  };
  const Rows& rows_;
  std::span<const int> labels_;
  std::ptrdiff_t k_, d_, blocks_ = 0;
  double ridge_;
  const VectorD& center_;
  VectorD inverse_;
  std::vector<Part> parts_;
  double loss_ = 0;
};

template <class Rows>
base::Result<LogisticModel> fit_impl(const Rows& rows, std::span<const int> labels, int classes,
                                     const LogisticOptions& options) {
  PL_CHECK(base::check_at_least("fit_logistic", "rows", rows.rows(), 1));
  PL_CHECK(base::check_at_least("fit_logistic", "columns of rows", rows.cols(), 1));
  PL_CHECK(base::check_size("fit_logistic", "labels", static_cast<std::ptrdiff_t>(labels.size()), rows.rows()));
  if (classes < 2)
    return make_error(Code::kValue, fmt::format("fit_logistic: classes is {}, expected at least 2", classes));
  PL_CHECK(base::check_labels("fit_logistic", "labels", labels, classes));
  PL_CHECK(base::check_positive("fit_logistic", "ridge", options.ridge));

  const std::ptrdiff_t d = rows.cols();
  const auto n = static_cast<double>(rows.rows());
  VectorD sum = VectorD::Zero(d);
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      const auto v = static_cast<double>(rows(i, j));
      if (!std::isfinite(v))
        return make_error(Code::kValue, fmt::format("fit_logistic: rows({}, {}) is not finite", i, j));
      sum(j) += v;
    }
  }
  LogisticModel model;
  model.center = VectorD::Zero(d);
  model.scale = VectorD::Ones(d);
  if (options.standardise) {
    VectorD squares = VectorD::Zero(d);
    for (std::ptrdiff_t j = 0; j < d; ++j) model.center(j) = sum(j) / n;
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      for (std::ptrdiff_t j = 0; j < d; ++j) {
        const double gap = static_cast<double>(rows(i, j)) - model.center(j);
        squares(j) += gap * gap;
      }
    }
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      const double deviation = std::sqrt(squares(j) / n);
      // A spread of rounding size is a constant column, not a feature.
      model.scale(j) = deviation > 1e-12 * std::abs(model.center(j)) ? deviation : 0;
    }
  }

  Objective<Rows> objective(rows, labels, classes, options.ridge, model.center, model.scale);
  const MinimiseOptions minimising{.iterations = options.iterations,
                                   .tolerance = options.tolerance,
                                   .accepted = [&] { model.loss = objective.loss(); },
                                   .cancel = options.cancel};
  PL_TRY(const Minimum minimum,
         minimise([&](const std::vector<double>& at, std::vector<double>& gradient) { return objective(at, gradient); },
                  std::vector<double>(objective.size(), 0.0), minimising));
  const std::vector<double>& x = minimum.x;
  model.iterations = minimum.iterations;
  model.converged = minimum.converged;
  model.weights = Eigen::Map<const MatrixD>(x.data(), classes, d);
  model.intercept = Eigen::Map<const VectorD>(x.data() + classes * d, classes);
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    if (model.scale(j) == 0) model.scale(j) = 1;  // its weight is 0
  }
  return model;
}

template <class Rows>
base::Result<MatrixD> logits_impl(const LogisticModel& model, const Rows& rows) {
  PL_CHECK(base::check_size("LogisticModel::logits", "columns of rows", rows.cols(), model.weights.cols()));
  const MatrixD transposed = model.weights.transpose();
  const VectorD inverse = inverse_of(model.scale);
  MatrixD result(rows.rows(), model.weights.rows());
  PL_CHECK(base::parallel_for(static_cast<std::size_t>((rows.rows() + kBlockRows - 1) / kBlockRows),
                              [&](std::size_t b) -> base::Status {
                                const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(b) * kBlockRows;
                                const std::ptrdiff_t count = std::min(kBlockRows, rows.rows() - first);
                                MatrixD block;
                                scaled_block(rows, first, count, model.center, inverse, block);
                                MatrixD z(count, transposed.cols());
                                z.noalias() = block * transposed;
                                for (std::ptrdiff_t i = 0; i < count; ++i) {
                                  for (std::ptrdiff_t c = 0; c < z.cols(); ++c)
                                    result(first + i, c) = z(i, c) + model.intercept(c);
                                }
                                return base::ok();
                              }));
  return result;
}

template <class Rows>
base::Result<MatrixD> predict_impl(const LogisticModel& model, const Rows& rows) {
  PL_TRY(MatrixD p, logits_impl(model, rows));
  for (std::ptrdiff_t i = 0; i < p.rows(); ++i) {
    double top = -INFINITY;
    double sum = 0;
    for (std::ptrdiff_t c = 0; c < p.cols(); ++c) top = std::max(top, p(i, c));
    for (std::ptrdiff_t c = 0; c < p.cols(); ++c) sum += p(i, c) = std::exp(p(i, c) - top);
    for (std::ptrdiff_t c = 0; c < p.cols(); ++c) p(i, c) /= sum;
  }
  return p;
}

}  // namespace

base::Result<MatrixD> LogisticModel::logits(MatrixRefF rows) const { return logits_impl(*this, rows); }
base::Result<MatrixD> LogisticModel::logits(MatrixRefD rows) const { return logits_impl(*this, rows); }
base::Result<MatrixD> LogisticModel::predict(MatrixRefF rows) const { return predict_impl(*this, rows); }
base::Result<MatrixD> LogisticModel::predict(MatrixRefD rows) const { return predict_impl(*this, rows); }

base::Result<LogisticModel> fit_logistic(MatrixRefF rows, std::span<const int> labels, int classes,
                                         const LogisticOptions& options) {
  return fit_impl(rows, labels, classes, options);
}
base::Result<LogisticModel> fit_logistic(MatrixRefD rows, std::span<const int> labels, int classes,
                                         const LogisticOptions& options) {
  return fit_impl(rows, labels, classes, options);
}

}  // namespace plumbline::stats

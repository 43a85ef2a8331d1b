#include "plumbline/predict/batch.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;

template <class M>
M padded(const Eigen::Ref<const M>& rows, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t batch) {
  M out = M::Zero(batch, rows.cols());
  for (std::ptrdiff_t i = 0; i < count; ++i) out.row(i) = rows.row(begin + i);
  return out;
}

}  // namespace

MatrixF padded_rows(MatrixRefF rows, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t batch) {
  return padded<MatrixF>(rows, begin, count, batch);
}

MatrixD padded_rows(MatrixRefD rows, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t batch) {
  return padded<MatrixD>(rows, begin, count, batch);
}

base::Status check_answer(const decision::PredictorInfo& info, MatrixRefD outputs, std::ptrdiff_t rows,
                          std::ptrdiff_t first_row) {
  if (outputs.rows() != rows || outputs.cols() != info.outputs) {
    return make_error(Code::kShape,
                      fmt::format("the answer has shape {} x {}, expected {} x {}", outputs.rows(), outputs.cols(),
                                  rows, info.outputs),
                      fmt::format("model '{}'", info.name));
  }
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (std::ptrdiff_t k = 0; k < outputs.cols(); ++k) {
      const double value = outputs(i, k);
      if (!std::isfinite(value)) {
        return make_error(Code::kValue,
                          fmt::format("the answer for row {} has {} in column {}", first_row + i, value, k),
                          fmt::format("model '{}'", info.name));
      }
      if (info.output == decision::Output::kProbabilities && (value < -1e-6 || value > 1 + 1e-6)) {
        return make_error(
            Code::kValue,
            fmt::format("the answer for row {} has {} in column {}, expected a probability", first_row + i, value, k),
            fmt::format("model '{}'", info.name),
            "Declare output = \"logits\" or \"scores\" if that is what the model gives");
      }
      sum += value;
    }
    if (info.output == decision::Output::kProbabilities && std::abs(sum - 1) > 1e-3) {
      return make_error(
          Code::kValue, fmt::format("the probabilities of row {} sum to {}, expected 1", first_row + i, sum),
          fmt::format("model '{}'", info.name), "Declare output = \"scores\" if they are not probabilities");
    }
  }
  return base::ok();
}

base::Result<decision::Prediction> predict_in_batches(const decision::PredictorInfo& info, MatrixRefF rows,
                                                      const decision::PredictOptions& options, bool pad,
                                                      const BatchRunner& run) {
  if (info.input_size != 0) PL_CHECK(base::check_size("predict", "columns of rows", rows.cols(), info.input_size));
  PL_CHECK(base::check_at_least("predict", "batch", options.batch, 1));
  if (options.want_features && info.features.empty()) {
    return make_error(Code::kUnsupported, "features were asked for, but none are declared",
                      fmt::format("model '{}'", info.name), "Name a tensor under `features` in the manifest");
  }
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < rows.cols(); ++j) {
      if (!std::isfinite(rows(i, j))) {
        return make_error(Code::kValue,
                          fmt::format("predict: rows({}, {}) is {}, expected a finite number", i, j, rows(i, j)));
      }
    }
  }
  const std::ptrdiff_t n = rows.rows();
  decision::Prediction all;
  all.outputs.resize(n, info.outputs);
  for (std::ptrdiff_t begin = 0; begin < n; begin += options.batch) {
    PL_CHECK(options.cancel.status());
    const std::ptrdiff_t count = std::min(options.batch, n - begin);
    const std::ptrdiff_t size = pad ? options.batch : count;
    PL_TRY(const decision::Prediction part, run(padded_rows(rows, begin, count, size)));
    if (part.outputs.rows() != size) {
      return make_error(Code::kShape, fmt::format("the answer has {} rows, expected {}", part.outputs.rows(), size),
                        fmt::format("model '{}'", info.name));
    }
    PL_CHECK(check_answer(info, part.outputs.topRows(count), count, begin));
    all.outputs.middleRows(begin, count) = part.outputs.topRows(count);
    if (options.want_features) {
      if (part.features.rows() != size) {
        return make_error(Code::kShape, fmt::format("features have {} rows, expected {}", part.features.rows(), size),
                          fmt::format("model '{}'", info.name));
      }
      if (begin == 0) all.features.resize(n, part.features.cols());
      all.features.middleRows(begin, count) = part.features.topRows(count);
    }
    if (options.progress != nullptr) {
      options.progress->update("predict " + info.name, static_cast<std::size_t>(begin + count),
                               static_cast<std::size_t>(n));
    }
  }
  return all;
}

}  // namespace plumbline::predict

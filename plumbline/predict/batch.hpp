#pragma once
/// Rows cut into batches of one fixed shape, and the checks that every model's answer passes. A product of another
/// shape may round otherwise, so the last batch is padded: the bits of a row's answer do not depend on how many rows
/// came with it.

#include <functional>

#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

/// Answers one batch, whose padding rows are zero: one output row for each row given.
using BatchRunner = std::function<base::Result<decision::Prediction>(const MatrixF& batch)>;

/// Runs all rows in batches of options.batch rows (the last one padded when `pad`) and joins the answers.
/// Errors  kShape: rows.cols() is not info.input_size (0 = not known), an answer of another shape. kValue: a non-finite
///         input or answer, batch < 1, probabilities outside [0, 1] or with a sum that is off by more than 1e-3 (rows
///         and columns named). kUnsupported: features asked of a model without them. kCancelled. The runner's own
///         errors.
/// Cost    Deterministic; one batch in memory beside the answer.
base::Result<decision::Prediction> predict_in_batches(const decision::PredictorInfo& info, MatrixRefF rows,
                                                      const decision::PredictOptions& options, bool pad,
                                                      const BatchRunner& run);

/// Rows [begin, begin + count) on top of zeros, `batch` rows in all. Precondition: count <= batch.
MatrixF padded_rows(MatrixRefF rows, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t batch);
MatrixD padded_rows(MatrixRefD rows, std::ptrdiff_t begin, std::ptrdiff_t count, std::ptrdiff_t batch);

/// The checks on the shape and the numbers of one answer. `first_row` is added to the row numbers in messages.
/// Errors as predict_in_batches.
base::Status check_answer(const decision::PredictorInfo& info, MatrixRefD outputs, std::ptrdiff_t rows,
                          std::ptrdiff_t first_row);

}  // namespace plumbline::predict

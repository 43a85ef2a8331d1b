#include "plumbline/predict/agreement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/predict/open.hpp"

namespace plumbline::predict {
namespace {

double largest(const MatrixD& values) {
  double found = 0;
  for (std::ptrdiff_t i = 0; i < values.size(); ++i) found = std::max(found, std::abs(values.data()[i]));
  return found;
}

/// The largest difference; infinite where the shapes differ or a value is no number.
double difference(const MatrixD& a, const MatrixD& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
  double found = 0;
  for (std::ptrdiff_t i = 0; i < a.size(); ++i) {
    const double gap = std::abs(a.data()[i] - b.data()[i]);
    if (!(gap <= found)) found = std::isnan(gap) ? std::numeric_limits<double>::infinity() : gap;
  }
  return found;
}

base::Result<double> repetition_gap(decision::Predictor& model, const MatrixF& rows, const MatrixD& first) {
  decision::PredictOptions options;
  PL_TRY(const decision::Prediction again, model.predict(rows, options));
  double gap = difference(first, again.outputs);
  const MatrixF reversed = rows.colwise().reverse();
  options.batch = 24;
  PL_TRY(const decision::Prediction other, model.predict(reversed, options));
  gap = std::max(gap, difference(first, other.outputs.colwise().reverse()));
  const std::ptrdiff_t alone = std::min<std::ptrdiff_t>(8, rows.rows());
  options.batch = 1;
  PL_TRY(const decision::Prediction single, model.predict(rows.topRows(alone), options));
  return std::max(gap, difference(first.topRows(alone), single.outputs));
}

}  // namespace

base::Result<decision::SelfTest> self_test(const data::ModelSection& section, decision::Predictor& model,
                                           MatrixRefF rows, bool another_executor) {
  PL_CHECK(base::check_at_least("self_test", "rows", rows.rows(), 1));
  const std::string& kind = model.info().kind;
  const bool graph = kind == "onnx" || kind == "mlp" || kind == "cnn";
  decision::SelfTest test;
  if (graph && !another_executor) {
    test.not_possible = "the reference interpreter itself runs this model, so there is nothing to compare it with";
    return test;
  }
  const MatrixF given = rows;
  test.rows = static_cast<std::size_t>(rows.rows());
  test.tolerance = kSelfTestTolerance;
  PL_TRY(const decision::Prediction got, model.predict(given, {}));
  double scale = largest(got.outputs);
  if (graph) {
    test.compared = "the executor against the reference interpreter";
    PL_TRY(const decision::PredictorPtr reference, open_predictor(section));
    PL_TRY(const decision::Prediction want, reference->predict(given, {}));
    scale = largest(want.outputs);
    test.gap = difference(want.outputs, got.outputs);
  } else {
    test.compared =
        "no second implementation, so the model against itself: asked again, in reverse order in batches of 24, and "
        "row "
        "by row";
    PL_TRY(test.gap, repetition_gap(model, given, got.outputs));
  }
  if (scale > 0) test.gap /= scale;
  return test;
}

}  // namespace plumbline::predict

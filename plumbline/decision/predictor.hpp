#pragma once
/// Predictor: inputs to a predictive distribution, with input gradients where the model has them. Implemented over
/// the torch-free graph, LibTorch, HTTP endpoints, Python callables and tables of stored predictions.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::decision {

/// What the output columns are. Declared in the manifest, never guessed.
enum class Output { kLogits, kProbabilities, kScores };
std::string_view output_name(Output output);
base::Result<Output> parse_output(std::string_view word);

enum class Task { kClassification, kRegression };

struct PredictorInfo {
  std::string name;
  std::string kind;  ///< "onnx", "torchscript", "mlp", "cnn", "http", "callable", "stored"
  std::string hash;  ///< SHA-256 of the model's bytes, or of its address and declared version
  Task task = Task::kClassification;
  Output output = Output::kLogits;
  std::vector<std::ptrdiff_t> input_shape;  ///< without the batch axis, for example {1, 28, 28}
  std::ptrdiff_t input_size = 0;            ///< product of input_shape
  std::ptrdiff_t outputs = 0;               ///< columns: classes, or regression targets
  bool has_gradient = false;
  bool has_float64 = false;
  bool deterministic = true;
  std::string features;  ///< tensor that predict() may also return; empty = none
};

struct Prediction {
  MatrixD outputs;   ///< n x k, in the declared kind
  MatrixD features;  ///< n x f, empty unless asked for and available
};

struct PredictOptions {
  bool want_features = false;
  std::ptrdiff_t batch = 256;  ///< rows per call; the last batch is padded to this size so that bits do not depend on n
  base::CancelToken cancel{};
  base::Progress* progress = nullptr;
};

/// Rows are examples, flattened in the model's declared layout. Not thread-safe unless the class says so.
class Predictor {
 public:
  virtual ~Predictor() = default;
  virtual const PredictorInfo& info() const = 0;

  /// Errors kShape: rows.cols() != info().input_size. kUnsupported: features asked of a model without them.
  virtual base::Result<Prediction> predict(MatrixRefF rows, const PredictOptions& options) = 0;

  /// The same in double throughout, for numerical checks. Default: kUnsupported.
  virtual base::Result<MatrixD> predict64(MatrixRefD rows);

  /// Vector-Jacobian product in double: row i of the result is sum_k weights(i, k) d output_k / d input at row i.
  /// Default: kUnsupported.
  virtual base::Result<MatrixD> input_gradient(MatrixRefD rows, MatrixRefD weights);
};

using PredictorPtr = std::unique_ptr<Predictor>;

/// Row-wise softmax of logits, stable under large values.
MatrixD softmax(MatrixRefD logits);

}  // namespace plumbline::decision

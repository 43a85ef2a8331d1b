#include "plumbline/decision/predictor.hpp"

#include <cmath>

#include <fmt/format.h>

namespace plumbline::decision {

std::string_view output_name(Output output) {
  switch (output) {
    case Output::kLogits: return "logits";
    case Output::kProbabilities: return "probabilities";
    case Output::kScores: return "scores";
  }
  return "scores";
}

base::Result<Output> parse_output(std::string_view word) {
  if (word == "logits") return Output::kLogits;
  if (word == "probabilities") return Output::kProbabilities;
  if (word == "scores") return Output::kScores;
  return base::make_error(base::Code::kValue,
                          fmt::format("output is '{}', expected logits, probabilities or scores", word));
}

base::Result<MatrixD> Predictor::predict64(MatrixRefD) {
  return base::make_error(base::Code::kUnsupported,
                          fmt::format("model '{}' ({}) does not run in double", info().name, info().kind));
}

base::Result<MatrixD> Predictor::input_gradient(MatrixRefD, MatrixRefD) {
  return base::make_error(base::Code::kUnsupported,
                          fmt::format("model '{}' ({}) has no input gradient", info().name, info().kind));
}

MatrixD softmax(MatrixRefD logits) {
  MatrixD out(logits.rows(), logits.cols());
  for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
    double top = -INFINITY;
    for (std::ptrdiff_t k = 0; k < logits.cols(); ++k) top = std::max(top, logits(i, k));
    double sum = 0;
    for (std::ptrdiff_t k = 0; k < logits.cols(); ++k) sum += out(i, k) = std::exp(logits(i, k) - top);
    for (std::ptrdiff_t k = 0; k < logits.cols(); ++k) out(i, k) /= sum;
  }
  return out;
}

}  // namespace plumbline::decision

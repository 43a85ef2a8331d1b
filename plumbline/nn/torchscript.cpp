#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/nn/executor.hpp"
#include "plumbline/predict/batch.hpp"

namespace plumbline::nn {
namespace {

using at::Tensor;
using base::Code;
using base::make_error;

class ScriptPredictor : public decision::Predictor {
 public:
  ScriptPredictor(decision::PredictorInfo info, torch::jit::Module module)
      : info_(std::move(info)), module_(std::move(module)) {}

  const decision::PredictorInfo& info() const override { return info_; }

  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    return predict::predict_in_batches(
        info_, rows, options, true, [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
          decision::Prediction part;
          PL_CHECK(run(module_, batch, at::kFloat,
                       [&](const Tensor&, const Tensor& y) { part.outputs = matrix_of(y, batch.rows()); }));
          return part;
        });
  }

  base::Result<MatrixD> predict64(MatrixRefD rows) override {
    return in_batches(rows, info_.outputs,
                      [&](const MatrixD& batch, std::ptrdiff_t, std::ptrdiff_t) -> base::Result<MatrixD> {
                        MatrixD out;
                        PL_CHECK(run(doubled(), batch, at::kDouble,
                                     [&](const Tensor&, const Tensor& y) { out = matrix_of(y, batch.rows()); }));
                        return out;
                      });
  }

  base::Result<MatrixD> input_gradient(MatrixRefD rows, MatrixRefD weights) override {
    PL_CHECK(base::check_size("input_gradient", "rows of weights", weights.rows(), rows.rows()));
    PL_CHECK(base::check_size("input_gradient", "columns of weights", weights.cols(), info_.outputs));
    return in_batches(
        rows, info_.input_size,
        [&](const MatrixD& batch, std::ptrdiff_t begin, std::ptrdiff_t count) -> base::Result<MatrixD> {
          MatrixD out = MatrixD::Zero(batch.rows(), batch.cols());
          MatrixD seed = predict::padded_rows(weights, begin, count, batch.rows());
          PL_CHECK(run(
              doubled(), batch, at::kDouble,
              [&](const Tensor& x, const Tensor& y) {
                if (!y.requires_grad()) return;
                const Tensor given =
                    at::from_blob(seed.data(), {seed.rows(), seed.cols()}, at::kDouble).clone().reshape(y.sizes());
                const auto found = torch::autograd::grad({y}, {x}, {given}, false, false, true);
                if (found[0].defined()) out = matrix_of(found[0], batch.rows());
              },
              true));
          return out;
        });
  }

  /// Finds the number of outputs from one row of zeros.
  base::Status probe() {
    const MatrixF zero = MatrixF::Zero(1, info_.input_size);
    std::ptrdiff_t outputs = 0;
    PL_CHECK(run(module_, zero, at::kFloat, [&](const Tensor&, const Tensor& y) { outputs = y.numel(); }));
    if (info_.outputs != 0 && info_.outputs != outputs) {
      return make_error(Code::kShape,
                        fmt::format("the model gives {} outputs a row, but classes is {}", outputs, info_.outputs));
    }
    info_.outputs = outputs;
    return base::ok();
  }

 private:
  static MatrixD matrix_of(const Tensor& tensor, std::ptrdiff_t rows) {
    const Tensor flat = tensor.detach().to(at::kDouble).contiguous();
    return Eigen::Map<const MatrixD>(flat.data_ptr<double>(), rows, flat.numel() / rows);
  }

  /// The model's own failures carry a traceback of its code; the last line says what happened.
  static at::IValue forward(torch::jit::Module& module, const Tensor& x) {
    try {
      return module.forward({x});
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      const auto* own = dynamic_cast<const c10::Error*>(&error);
      std::string text = own != nullptr ? own->what_without_backtrace() : error.what();
      while (!text.empty() && text.back() == '\n') text.pop_back();
      if (text.find("bad_alloc") != std::string::npos || text.find("can't allocate memory") != std::string::npos) {
        throw EngineError(make_error(Code::kLimit, "the model ran out of memory", {},
                                     "Raise --memory, if the model is meant to need so much"));
      }
      throw EngineError(make_error(Code::kValue, "the model failed: " + text.substr(text.rfind('\n') + 1)));
    }
  }

  template <class M, class Use>
  base::Status run(torch::jit::Module& module, const M& batch, at::ScalarType type, const Use& use,
                   bool gradient = false) {
    return guarded([&] {
      enter_torch();
      const at::AutoGradMode mode(gradient);
      std::vector<std::int64_t> shape = {batch.rows()};
      shape.insert(shape.end(), info_.input_shape.begin(), info_.input_shape.end());
      const Tensor x =
          at::from_blob(const_cast<typename M::Scalar*>(batch.data()), shape, type).clone().set_requires_grad(gradient);
      const at::IValue answer = forward(module, x);
      if (!answer.isTensor())
        throw EngineError(
            make_error(Code::kShape, fmt::format("the model returns a {}, expected one tensor", answer.tagKind())));
      const Tensor y = answer.toTensor();
      if (y.dim() < 1 || y.size(0) != batch.rows() || y.numel() == 0 || !at::isFloatingType(y.scalar_type())) {
        throw EngineError(make_error(
            Code::kShape, fmt::format("the model returns {} numbers for {} rows, expected floats with the rows first",
                                      y.numel(), batch.rows())));
      }
      use(x, y);
    });
  }

  template <class Run>
  base::Result<MatrixD> in_batches(MatrixRefD rows, std::ptrdiff_t columns, const Run& one) {
    PL_CHECK(base::check_size("predict", "columns of rows", rows.cols(), info_.input_size));
    MatrixD out(rows.rows(), columns);
    for (std::ptrdiff_t begin = 0; begin < rows.rows(); begin += kBatch64) {
      const std::ptrdiff_t count = std::min(kBatch64, rows.rows() - begin);
      PL_TRY(const MatrixD part, one(predict::padded_rows(rows, begin, count, kBatch64), begin, count));
      if (part.cols() != columns)
        return make_error(Code::kShape, fmt::format("the answer has {} columns, expected {}", part.cols(), columns));
      out.middleRows(begin, count) = part.topRows(count);
    }
    return out;
  }

  torch::jit::Module& doubled() {
    if (!double_) {
      double_ = module_.deepcopy();
      double_->to(at::kDouble);
    }
    return *double_;
  }

  static constexpr std::ptrdiff_t kBatch64 = 64;
  decision::PredictorInfo info_;
  torch::jit::Module module_;
  std::optional<torch::jit::Module> double_;
};

/// What LibTorch says about a file it cannot read, in words that help.
base::Error load_error(const std::string& text, const std::string& path) {
  const std::string first = text.substr(0, text.find('\n'));
  if (text.find("Attempted to read a PyTorch file with version") != std::string::npos ||
      text.find("kMaxSupportedFileFormatVersion") != std::string::npos) {
    return make_error(Code::kUnsupported, first, path,
                      "It was saved by a newer PyTorch than 1.13, which this build reads; export it to ONNX "
                      "(torch.onnx.export, opset 17), or save it again "
                      "with PyTorch 1.13");
  }
  if (text.find("Unknown builtin op") != std::string::npos || text.find("unrecognized") != std::string::npos) {
    const std::size_t op = text.find("Unknown builtin op");
    return make_error(Code::kUnsupported, op == std::string::npos ? first : text.substr(op, text.find('\n', op) - op),
                      path,
                      "It uses an operator that PyTorch 1.13 lacks; export it to ONNX (torch.onnx.export, opset 17)");
  }
  if (text.find("constants.pkl") != std::string::npos || text.find("code/") != std::string::npos) {
    return make_error(Code::kUnsupported, "the file holds weights without code", path,
                      "Save the model with torch.jit.script(model).save(path), or export it to ONNX");
  }
  return make_error(Code::kParse, "not a TorchScript file, or a damaged one: " + first, path);
}

}  // namespace

base::Result<decision::PredictorPtr> open_torchscript(const data::ModelSection& section, std::string hash) {
  const std::string place = fmt::format("model '{}'", section.name);
  if (!section.path) return make_error(Code::kValue, "a TorchScript model needs a path", place);
  if (!section.trusted) return make_error(Code::kValue, "a TorchScript file is opened only with trusted = true", place);
  auto declared = predict::declared_info(section);
  if (!declared.ok()) return declared.error().at(place);
  decision::PredictorInfo info = std::move(declared).value();
  if (info.input_size == 0) {
    return make_error(Code::kValue, "a TorchScript model needs `input_shape`, without the batch axis", place);
  }
  if (!info.features.empty()) {
    return make_error(
        Code::kUnsupported,
        fmt::format("features names tensor '{}', but a TorchScript model gives outputs only", info.features), place,
        "Use \"inputs\" or \"pca:64\", or export the model to ONNX");
  }
  info.kind = "torchscript";
  info.hash = std::move(hash);
  info.has_gradient = true;
  info.has_float64 = true;
  std::optional<torch::jit::Module> module;
  std::string failure;
  enter_torch();
  try {
    module = torch::jit::load(section.path->resolved, at::Device(at::kCPU));
    module->eval();
  } catch (const c10::Error& error) {
    failure = error.what_without_backtrace();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!module) return load_error(failure, section.path->resolved).at(place);
  auto predictor = std::make_unique<ScriptPredictor>(std::move(info), std::move(*module));
  if (const auto probed = predictor->probe(); !probed.ok()) return probed.error().at(place);
  return decision::PredictorPtr(std::move(predictor));
}

}  // namespace plumbline::nn

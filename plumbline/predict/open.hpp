#pragma once
/// Opens the model that a [model.*] section declares.

#include <functional>
#include <memory>
#include <string>

#include "plumbline/predict/callable_predictor.hpp"
#include "plumbline/predict/graph_predictor.hpp"
#include "plumbline/predict/http_predictor.hpp"

namespace plumbline::predict {

/// What the room nn adds; it fills one of these (nn::torch_backend()), so that this room never links LibTorch.
struct TorchBackend {
  /// Runs graphs fast and with gradients.
  std::function<base::Result<std::unique_ptr<GraphExecutor>>(graph::Graph)> execute;
  /// Opens a TorchScript file of the given SHA-256. The opener has checked `trusted`.
  std::function<base::Result<decision::PredictorPtr>(const data::ModelSection&, std::string hash)> open_torchscript;
};

struct OpenOptions {
  std::shared_ptr<const TorchBackend> torch;  ///< null: this build has no LibTorch
  std::uint64_t file_bytes = std::uint64_t{2} << 30U;
  HttpOptions http;
  CallableOptions callable;
};

/// The Predictor of a section, by its source:
///   *.onnx               an ONNX graph, on LibTorch with gradients, else on the interpreter without
///   *.plnet              a network that Plumbline trained (predict/network.hpp), run as its graph; kind "mlp" or "cnn"
///   *.pt, *.pth, *.ts    TorchScript; needs trusted = true and LibTorch
///   endpoint, callable   see http_predictor.hpp, callable_predictor.hpp
/// The hash of a file is the SHA-256 of its bytes; of an ONNX model with weights in other files, of its bytes and all
/// weights. Errors  kValue: no source or several, unknown file ending, TorchScript without trusted = true. kIo, kParse,
/// kLimit: the file.
///         kUnsupported: TorchScript in a build without LibTorch. kShape: see make_graph_predictor. All name the model.
base::Result<decision::PredictorPtr> open_predictor(const data::ModelSection& section, const OpenOptions& options = {});

}  // namespace plumbline::predict

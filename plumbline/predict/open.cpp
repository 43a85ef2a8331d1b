#include "plumbline/predict/open.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/predict/network.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;

base::Result<decision::PredictorPtr> open_graph(const data::ModelSection& section, graph::Graph graph, std::string kind,
                                                std::string hash, const OpenOptions& options) {
  std::unique_ptr<GraphExecutor> executor;
  if (options.torch != nullptr && options.torch->execute) {
    PL_TRY(executor, options.torch->execute(graph));
  } else {
    executor = make_interpreter(graph);
  }
  return make_graph_predictor(section, graph, std::move(kind), std::move(hash), std::move(executor));
}

/// Weights in files of their own are not part of the model file's hash, so they are hashed as well where a model has
/// them.
std::string hash_with_weights(const std::string& file_hash, const graph::Graph& graph) {
  base::Sha256 hash;
  hash.add_field(file_hash);
  for (const auto& [name, tensor] : graph.initializers) {
    hash.add_field(name).add(std::as_bytes(std::span(tensor.reals))).add(std::as_bytes(std::span(tensor.integers)));
  }
  return hash.hex();
}

base::Result<decision::PredictorPtr> open_onnx(const data::ModelSection& section, const std::string& path,
                                               std::string hash, const OpenOptions& options) {
  graph::OnnxLimits limits;
  limits.file_bytes = options.file_bytes;
  PL_TRY(graph::Graph graph, graph::read_onnx(path, limits));
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.find("location") != std::string::npos) {
    // Without a folder the importer refuses data outside of the file.
    if (!graph::parse_onnx(bytes, {}, limits).ok()) hash = hash_with_weights(hash, graph);
  }
  return open_graph(section, std::move(graph), "onnx", std::move(hash), options);
}

base::Result<decision::PredictorPtr> open_file(const data::ModelSection& section, const std::string& path,
                                               const OpenOptions& options) {
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code) return make_error(Code::kIo, fmt::format("cannot read the model: {}", code.message()), path);
  if (size > options.file_bytes) {
    return make_error(Code::kLimit,
                      fmt::format("the model has {} bytes, more than the limit of {}", size, options.file_bytes), path);
  }
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  PL_TRY(std::string hash, base::sha256_file(path));
  if (ending == ".onnx") {
    return open_onnx(section, path, std::move(hash), options);
  }
  if (ending == ".plnet") {
    PL_TRY(const Checkpoint checkpoint, read_checkpoint(path, options.file_bytes));
    PL_TRY(graph::Graph graph, network_graph(checkpoint));
    return open_graph(section, std::move(graph), checkpoint.spec.kind, std::move(hash), options);
  }
  if (ending == ".pt" || ending == ".pth" || ending == ".ts") {
    if (!section.trusted) {
      return make_error(Code::kValue,
                        "a TorchScript file can run any code of its maker and is opened only with trusted = true", path,
                        "Set trusted = true if you know where it comes from, or export the model to ONNX");
    }
    if (options.torch == nullptr || !options.torch->open_torchscript) {
      return make_error(Code::kUnsupported, "TorchScript needs LibTorch, and this build has no LibTorch", path,
                        "Export the model to ONNX");
    }
    return options.torch->open_torchscript(section, std::move(hash));
  }
  return make_error(Code::kValue,
                    fmt::format("a model file ends in .onnx, .plnet, .pt, .pth or .ts, not in '{}'", ending), path);
}

}  // namespace

base::Result<decision::PredictorPtr> open_predictor(const data::ModelSection& section, const OpenOptions& options) {
  const std::string place = fmt::format("model '{}'", section.name);
  const int sources = (section.path ? 1 : 0) + (section.endpoint.empty() ? 0 : 1) + (section.callable.empty() ? 0 : 1);
  if (sources != 1) {
    return make_error(Code::kValue,
                      fmt::format("{} of path, endpoint and callable are given, expected exactly one", sources), place);
  }
  if (!section.endpoint.empty()) return open_http_predictor(section, options.http);
  if (!section.callable.empty()) return open_callable_predictor(section, options.callable);
  auto opened = open_file(section, section.path->resolved, options);
  if (!opened.ok() && opened.error().where.find(place) == std::string::npos) return opened.error().at(place);
  return opened;
}

}  // namespace plumbline::predict

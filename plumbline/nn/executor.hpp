#pragma once
/// Runs model graphs on LibTorch: float32 for speed, float64 for comparison, with input gradients.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plumbline/graph/graph.hpp"
#include "plumbline/nn/engine.hpp"
#include "plumbline/predict/graph_predictor.hpp"
#include "plumbline/predict/open.hpp"

namespace plumbline::nn {

/// Call once, first thing in a program's main: one thread for LibTorch, OpenMP and oneDNN, and the AVX2 kernels,
/// whatever the processor could do more, so that the bits are those of every machine of that level.
void configure_process();

/// graph::interpret on LibTorch: the same inputs, outputs and errors. Operators without a kernel on ATen run on the
/// interpreter. A graph with float64 inputs runs in float64.
base::Result<std::map<std::string, graph::Tensor>> execute(const graph::Graph& graph,
                                                           const std::map<std::string, graph::Tensor>& inputs,
                                                           const std::vector<std::string>& keep = {},
                                                           Precision precision = Precision::kFloat32);

/// The executor behind nn::torch_backend(): gradients in double by reverse differentiation. Errors of a run: kShape,
/// kValue, kLimit with the node's place; kUnsupported: a gradient through an operator (or a form of it) that only the
/// interpreter holds. Determinism: the same bits for the same rows in the same batch shape, in any thread. Not
/// thread-safe.
base::Result<std::unique_ptr<predict::GraphExecutor>> make_executor(graph::Graph graph);

/// What predict::OpenOptions::torch wants.
std::shared_ptr<const predict::TorchBackend> torch_backend();

/// Does the fast path compute what the model says? The largest difference, over all rows and outputs, between what
/// `predictor` answers (float32) and the float64 interpreter on the same graph, divided by the largest output magnitude
/// (at least 1e-12). Errors kShape: rows that do not fit. Those of predict() and graph::interpret().
base::Result<double> parity(decision::Predictor& predictor, const graph::Graph& graph, MatrixRefF rows);

/// Opens a TorchScript file. It is called with (batch, input_shape...) float32 and must return one tensor, batch x
/// outputs; float64 runs and gradients work on a converted copy. Shape: the declared input_shape (required), classes
/// where declared. Errors  kValue: not trusted, input_shape missing. kParse: not TorchScript, truncated. kUnsupported:
/// made by a newer version (with the
///         version found and how to export), or pickled weights without code. kShape: what it returns.
base::Result<decision::PredictorPtr> open_torchscript(const data::ModelSection& section, std::string hash);

}  // namespace plumbline::nn

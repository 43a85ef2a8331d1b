#pragma once
/// A Predictor over a model graph. What runs the graph is exchangeable: the interpreter here, LibTorch in the room nn.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/predict/declared.hpp"

namespace plumbline::predict {

/// Runs one graph with one input. Tensors come back as rows x (size / rows).
class GraphExecutor {
 public:
  virtual ~GraphExecutor() = default;
  virtual bool has_gradient() const = 0;
  /// True when the last bits of a row may depend on the number of rows that run with it.
  virtual bool batch_shape_matters() const = 0;
  /// The values of the `wanted` tensors when the graph's input holds `rows` in the given shape.
  /// Errors kShape, kValue: with the node's place; a wanted tensor whose size is no multiple of the rows.
  virtual base::Result<std::vector<MatrixD>> run(const MatrixF& rows, const std::vector<std::int64_t>& shape,
                                                 const std::vector<std::string>& wanted) = 0;
  virtual base::Result<std::vector<MatrixD>> run64(const MatrixD& rows, const std::vector<std::int64_t>& shape,
                                                   const std::vector<std::string>& wanted) = 0;
  /// Gradient of sum_ik weights(i, k) output(i, k) in double. Default: kUnsupported.
  virtual base::Result<MatrixD> gradient(const MatrixD& rows, const std::vector<std::int64_t>& shape,
                                         const std::string& output, const MatrixD& weights);
};

/// The graph on graph::interpret, in double, without gradients.
std::unique_ptr<GraphExecutor> make_interpreter(graph::Graph graph);

/// Checks the section against the graph and makes the Predictor.
/// The first input axis is the batch, unless the declared input_shape is the graph's whole input shape. A graph that
/// declares a fixed batch of 1 runs in larger batches where a trial shows that its rows do not influence each other,
/// else row by row; a fixed batch of b > 1 runs with b rows at a time. The first output is the answer, flattened behind
/// the batch axis. `features` other than "inputs" and "pca:N" names a tensor of the graph. Errors  kShape: declared
/// classes or input_shape against the graph's; unknown input axes with none declared.
///         kValue: unknown task, output or features (nearest name). kUnsupported: several inputs, text input.
base::Result<decision::PredictorPtr> make_graph_predictor(const data::ModelSection& section, const graph::Graph& graph,
                                                          std::string kind, std::string hash,
                                                          std::unique_ptr<GraphExecutor> executor);

}  // namespace plumbline::predict

#pragma once
/// The built-in networks as model graphs, and the file that holds one: a checkpoint (*.plnet). Training is in the room
/// nn.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::predict {

struct NetworkSpec {
  std::string kind = "mlp";               ///< mlp, cnn
  std::vector<std::int64_t> input_shape;  ///< without the batch axis: any for mlp, {channels, height, width} for cnn
  std::int64_t classes = 0;
  std::vector<std::int64_t> hidden = {64};  ///< mlp: widths of the hidden layers; may be empty (a linear model)
  std::vector<std::int64_t> channels = {
      16, 32};               ///< cnn: of its two convolutions (3 x 3, padded, each with 2 x 2 max pooling)
  std::int64_t dense = 128;  ///< cnn: width of the dense layer before the logits

  bool operator==(const NetworkSpec&) const = default;
};

/// The network as a graph with fresh weights: input "input" (-1, input_shape), output "logits" (-1, classes), tensor
/// "features" in front of the last layer. Weights uniform in +-sqrt(6 / fan_in) before a ReLU and +-sqrt(3 / fan_in)
/// before the logits, biases zero; a pure function of spec and stream (each tensor has its own fork). Errors  kValue:
/// kind, classes < 2, an axis or width out of range, a cnn input that is not {c, h, w} with h, w >= 4.
///         kLimit: over 100 million weights.
/// Source  He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, section 2.2 (uniform with the same
/// variance).
base::Result<graph::Graph> build_network(const NetworkSpec& spec, const base::Rng& rng);

/// Everything that training needs to go on as if it had never stopped.
struct Checkpoint {
  NetworkSpec spec;
  std::map<std::string, graph::Tensor> weights;     ///< the graph's initialisers
  std::string settings;                             ///< the trainer's settings, as JSON text; a resume must match them
  std::string data;                                 ///< SHA-256 of the training rows and labels
  std::int64_t epochs = 0;                          ///< finished
  std::int64_t steps = 0;                           ///< finished
  std::map<std::string, std::vector<float>> state;  ///< of the optimiser, by name
  std::vector<double> losses;                       ///< mean of each finished epoch
};

/// The graph of a checkpoint. Errors as build_network; kShape: weights that do not fit the spec.
base::Result<graph::Graph> network_graph(const Checkpoint& checkpoint);

/// Written beside the target and moved over it, so that a reader never sees half a file.
/// Errors kIo.
base::Status write_checkpoint(const Checkpoint& checkpoint, const std::string& path);
/// Errors  kIo. kParse: not a checkpoint, truncated, a field of another type. kUnsupported: a later format. kLimit:
/// over `file_bytes`.
///         As network_graph; kValue: non-finite weights.
base::Result<Checkpoint> read_checkpoint(const std::string& path, std::uint64_t file_bytes = std::uint64_t{1} << 30U);
base::Result<Checkpoint> parse_checkpoint(std::string_view bytes);

/// The graph of a model file, for what reads a model instead of asking it: *.onnx, or *.plnet. Free axes of the input
/// behind the batch are set to `input_shape` where that is declared.
/// Errors  kUnsupported: another kind of file, whose graph cannot be had. As graph::read_onnx, read_checkpoint.
base::Result<graph::Graph> model_graph(const std::string& path, const std::vector<std::int64_t>& input_shape = {});

}  // namespace plumbline::predict

#pragma once
/// Trains the built-in networks: a multilayer perceptron, and a small convolutional network for images.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/predict/network.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::nn {

using predict::NetworkSpec;

struct TrainOptions {
  std::uint64_t seed = 0;   ///< of the first weights and of the order of rows
  std::int64_t epochs = 5;  ///< in all, those of a resumed checkpoint included
  std::int64_t batch = 64;
  std::string optimiser = "adam";  ///< adam, sgd
  double rate = 1e-3;              ///< of the first epoch
  double rate_decay = 1.0;         ///< factor on the rate from one epoch to the next, in (0, 1]
  double momentum = 0.9;           ///< sgd only
  double weight_decay = 0;         ///< decoupled: weights shrink by rate * weight_decay a step, biases do not
  std::string checkpoint;  ///< file (*.plnet), written after each epoch and resumed from where it exists; empty = none
  base::CancelToken cancel{};
  base::Progress* progress = nullptr;
};

struct TrainedNetwork {
  NetworkSpec spec;
  graph::Graph graph;          ///< input "input", output "logits", tensor "features"; graph::write_onnx exports it
  std::vector<double> losses;  ///< mean cross-entropy (nats) over each epoch's batches, as they were met
};

/// Fits the network to labelled rows by minimising the mean cross-entropy, batch by batch in a fresh order each epoch.
/// Shapes    inputs n x prod(spec.input_shape), n >= 1; labels n, values in [0, classes).
/// Returns   the network after the last epoch; nothing is selected by any other data.
/// Errors    kShape, kValue: sizes, labels, non-finite inputs, options out of range; a checkpoint of other data,
/// settings or network
///           (message says which). kValue: the loss is not finite (rate too high). kIo, kParse: the checkpoint.
///           kCancelled: asked to stop; the checkpoint then holds the last finished epoch. As predict::build_network.
/// Cost      MNIST's 60,000 images through the default cnn: about 11 s of one core an epoch (batch 128), test accuracy
/// 0.987 after two and
///           0.990 after three (rate 2e-3, decay 0.6). Deterministic: the same bits for any number of threads, and
///           for a run that was stopped and resumed. All randomness from base::Rng streams of `seed`.
/// Source    Kingma, Ba, "Adam", ICLR 2015, algorithm 1; Loshchilov, Hutter, "Decoupled weight decay regularization",
/// ICLR 2019.
base::Result<TrainedNetwork> train_classifier(const NetworkSpec& spec, MatrixRefF inputs, std::span<const int> labels,
                                              const TrainOptions& options);

}  // namespace plumbline::nn

#pragma once
/// Trains the built-in networks: a multilayer perceptron, and a small convolutional network for images.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/predict/network.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::nn {

using predict::NetworkSpec;

/// What the network is trained against.
enum class TrainMethod {
  kStandard,
  kGaussian,  ///< inputs under Gaussian noise
  kFast,      ///< one sign step of 1.25 epsilon from a random start
  kPgd,       ///< `steps` sign steps from a random start
  kTrades,    ///< cross-entropy plus beta times the divergence between clean and perturbed answers
  kIbp,       ///< a bound of the worst loss by interval arithmetic
  kCrownIbp,  ///< the same bound by a backward linear pass over interval bounds, giving way to intervals; mlp only
};
std::string_view train_method_name(TrainMethod method);  ///< "standard", ..., "crown-ibp"
base::Result<TrainMethod> parse_train_method(std::string_view word);

struct RobustTraining {
  TrainMethod method = TrainMethod::kStandard;
  double epsilon = 0;           ///< Linf radius in units of `scale`; of all but standard and gaussian
  double sigma = 0;             ///< of gaussian, same units
  int steps = 7;                ///< of pgd and trades, each of 2.5 epsilon / steps
  double beta = 6;              ///< of trades
  double warmup = 1;            ///< ibp, crown-ibp: epochs before epsilon begins to grow ...
  double ramp = 5;              ///< ... and those in which it grows to its end
  double clean_weight = 0.5;    ///< ibp, crown-ibp: of the clean loss, at the end of the ramp; 1 before it
  std::vector<double> scale{};  ///< one an input: units of the model's input for one unit of radius; empty: 1
  std::vector<double> low{};    ///< valid range, one an input; empty: none
  std::vector<double> high{};
};

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
  RobustTraining robust;
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
/// `robust`: the mean loss is that of the method instead (each row has a random stream of its own for each epoch). A
/// loss of ibp is clean_weight x clean + (1 - clean_weight) x bound, the bound taken at the margins z_label - z_j of
/// the last layer. Source    Madry et al. 2018 (pgd); Wong, Rice, Kolter 2020 (fast); Zhang et al. 2019 (TRADES); Gowal
/// et al. 2018 (IBP);
///           Zhang et al. 2020 (CROWN-IBP); Cohen et al. 2019 (gaussian).
/// Source    Kingma, Ba, "Adam", ICLR 2015, algorithm 1; Loshchilov, Hutter, "Decoupled weight decay regularization",
/// ICLR 2019.
base::Result<TrainedNetwork> train_classifier(const NetworkSpec& spec, MatrixRefF inputs, std::span<const int> labels,
                                              const TrainOptions& options);

}  // namespace plumbline::nn

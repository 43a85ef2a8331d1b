#pragma once
/// Inside of the room: the loss of one batch, clean, perturbed or bounded.

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/nn/engine.hpp"
#include "plumbline/nn/train.hpp"

namespace plumbline::nn {

/// Errors kValue, kShape: options out of range, by name. kUnsupported: crown-ibp of a cnn.
base::Status check_robust(const RobustTraining& robust, const NetworkSpec& spec, std::ptrdiff_t inputs);

/// Where a batch stands in the run.
struct BatchPlace {
  base::Rng noise;                    ///< of the epoch; each row forks its own by its number
  std::span<const std::size_t> rows;  ///< numbers of the batch's rows
  double position = 0;                ///< epochs done, with the fraction of this one
};

class RobustLoss {
 public:
  using Weights = std::map<std::string, at::Tensor>;
  /// The graph is a built-in one (predict::build_network), its weights are here.
  RobustLoss(const RobustTraining& robust, const graph::Graph& graph, const Weights& weights)
      : robust_(robust), graph_(graph), weights_(weights) {}

  /// Mean over the batch. Gradients are recorded for the weights. Throws EngineError.
  at::Tensor loss(const at::Tensor& x, const at::Tensor& y, const BatchPlace& place) const;

  /// Bounds of every class's lead: row i, column j is a lower bound of z_label - z_j over the box of radius epsilon,
  /// by intervals and, with `crown`, by a backward linear pass over them. For tests.
  at::Tensor margins(const at::Tensor& x, const at::Tensor& y, double epsilon, bool crown) const;

 private:
  using Interval = std::pair<at::Tensor, at::Tensor>;
  at::Tensor logits(const at::Tensor& x) const;
  at::Tensor cross_entropy(const at::Tensor& x, const at::Tensor& y) const;
  at::Tensor noise(const at::Tensor& x, const BatchPlace& place, bool normal) const;
  at::Tensor per_input(const at::Tensor& x, const std::vector<double>& values, double fallback) const;
  at::Tensor project(const at::Tensor& moved, const at::Tensor& x) const;
  at::Tensor ascend(const at::Tensor& x, const at::Tensor& start, int steps, double step,
                    const std::function<at::Tensor(const at::Tensor&)>& objective) const;
  at::Tensor bounded(const at::Tensor& x, const at::Tensor& y, double position) const;
  std::map<std::string, Interval> intervals(const at::Tensor& x, double epsilon) const;

  const RobustTraining& robust_;
  const graph::Graph& graph_;
  const Weights& weights_;
};

}  // namespace plumbline::nn

#pragma once
/// What is attacked: a classifier that answers rows with one row of scores, and hands out gradients where it has them.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/robustness/proof/network.hpp"

namespace plumbline::decision {
class Predictor;
}

namespace plumbline::robustness {

/// One evaluation of rows, from which a gradient can follow.
struct Pass {
  std::size_t count = 0;
  std::vector<double> scores;                 ///< count x classes
  std::vector<std::vector<double>> values{};  ///< what backward() needs; the target's own affair
  std::vector<Pass> draws{};                  ///< of a target that averages others
};

/// A classifier under attack. Scores order classes as the model's outputs do: logits or scores as they are, the
/// logarithm of probabilities.
class Target {
 public:
  virtual ~Target() = default;
  virtual std::size_t inputs() const = 0;
  virtual std::size_t classes() const = 0;
  virtual bool has_gradient() const { return true; }
  /// Answers differ from call to call: forward() takes one stream a row.
  virtual bool random() const { return false; }
  /// forward() may be called by several threads at once.
  virtual bool concurrent() const { return true; }
  /// Evaluations of the model in one row of forward().
  virtual std::size_t evaluations() const { return 1; }
  /// The first layer where it is known: see layer_direction().
  virtual const Affine* layer() const { return nullptr; }

  /// Shapes    rows: count x inputs. noise: count streams where random(), else ignored. A row's scores do not depend on
  ///           the others.
  virtual base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                                     std::span<const base::Rng> noise) const = 0;
  /// Shapes    seeds: count x classes. Returns count x inputs: for each row sum_k seed_k d score_k / d input.
  /// Errors    kUnsupported: no gradient; of both: those of the model that is asked.
  virtual base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const;
};
using TargetPtr = std::unique_ptr<Target>;

/// A network behind y = (x - shift) / scale by input (empty: as it is). Holds a reference.
class NetworkTarget final : public Target {
 public:
  explicit NetworkTarget(const Network& network, std::vector<double> shift = {}, std::vector<double> scale = {});
  std::size_t inputs() const override { return network_.inputs(); }
  std::size_t classes() const override { return network_.outputs(); }
  const Affine* layer() const override { return layer_; }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Network& network_;
  const Affine* layer_;
  std::vector<double> shift_, scale_;
};

/// A Predictor asked row by row, in float32, without gradients. Holds a reference; not concurrent.
class PredictorTarget final : public Target {
 public:
  explicit PredictorTarget(decision::Predictor& predictor, std::vector<double> shift = {},
                           std::vector<double> scale = {});
  std::size_t inputs() const override;
  std::size_t classes() const override;
  bool has_gradient() const override { return false; }
  bool concurrent() const override { return false; }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;

 private:
  decision::Predictor& predictor_;
  std::vector<double> shift_, scale_;
};

/// Question: which network orders the classes as this graph does?
/// Formula:  lower(); a Softmax or LogSoftmax at the end is left out first, since it keeps the order and only takes the
///           gradient's size away.
/// Errors    as lower().
base::Result<Network> lower_classifier(const graph::Graph& graph);

}  // namespace plumbline::robustness

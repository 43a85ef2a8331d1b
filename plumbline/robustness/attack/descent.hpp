#pragma once
/// Projected ascent of a batch of points in lock step: what FGSM, PGD and the search for violations of a property
/// share.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/attack/region.hpp"
#include "plumbline/robustness/proof/network.hpp"

namespace plumbline::robustness {

/// What is climbed. Points are rows; row r of a call belongs to track tracks[r].
class Objective {
 public:
  virtual ~Objective() = default;
  /// Evaluates the rows, keeps what it wants of them, and marks tracks that need no further step.
  virtual base::Status look(std::span<const double> rows, std::span<const std::size_t> tracks,
                            std::vector<char>& done) = 0;
  /// Gradient of the loss at the rows of the last look(), rows x inputs: uphill is towards what is sought.
  virtual base::Result<std::vector<double>> gradient() = 0;
};

/// Sizes of steps, in units of the region: from `first` to `last`, geometrically.
struct StepPlan {
  int steps = 40;
  double first = 0.0625;
  double last = 0.0625;
  double size(int step) const;
};

/// Question: where do steepest steps lead from these points?
/// Formula:  x <- project(x + size steepest(gradient)); looked at before the first step and after each.
/// Shapes    rows: tracks x inputs; regions: one a track. Rows end where their tracks stopped.
/// Errors    those of the objective; kCancelled.
base::Status ascend(Objective& objective, std::span<const Region* const> regions, const StepPlan& plan,
                    std::vector<double>& rows, const base::CancelToken& cancel = {});

/// The first affine step that mixes inputs, where it reads the input itself; null otherwise.
const Affine* first_layer(const Network& network);
/// A random combination of the rows of the layer (standard normal weights): a direction that the network can tell
/// apart.
std::vector<double> layer_direction(const Affine& layer, base::Rng& rng);

}  // namespace plumbline::robustness

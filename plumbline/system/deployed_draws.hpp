#pragma once
/// Were the actions drawn with the logged probabilities?

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "plumbline/stats/estimate.hpp"
#include "plumbline/system/deployed_log.hpp"

namespace plumbline::system {

/// One draw: codes of the actions that could be taken, their probabilities, and which of them was.
struct Draw {
  std::vector<int> actions;
  std::vector<double> probabilities;
  std::size_t taken = 0;  ///< into `actions`
  std::size_t row = 0;    ///< of the log
};

struct DrawEvidence {
  double p = 1;  ///< 1 / the largest wealth; 0 where an action of probability 0 was taken
  std::vector<WealthPoint> wealth;
};
/// As deployed_log: draw_p. `actions`: how many codes there are.
DrawEvidence bet_on_draws(std::span<const Draw> draws, std::size_t actions);

/// As deployed_log: sharpness. Nothing where no draw had actions of different positive probability.
std::optional<stats::Estimate> sharpness_of(std::span<const Draw> draws);

}  // namespace plumbline::system

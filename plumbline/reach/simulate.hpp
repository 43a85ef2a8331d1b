#pragma once
/// Rollouts of a control loop in floating point: what might happen, never what must.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/reach/loop.hpp"
#include "plumbline/reach/tube.hpp"

namespace plumbline::reach {

struct Rollout {
  std::vector<double> start;                  ///< all variables
  std::vector<double> times;                  ///< of the points
  std::vector<std::vector<double>> points;    ///< all variables at each time
  std::vector<std::vector<double>> controls;  ///< by period
  /// By property: how far it is from being broken, in units of its conditions; below 0: broken.
  std::vector<double> margins;
};

/// Runge-Kutta of order four with `substeps` steps a period; a discrete loop has none. Errors kShape: size of the
/// start.
base::Result<Rollout> simulate(const Loop& loop, std::span<const double> start, int substeps = 20);

/// A start in the box: corner number `index` of the box for indices below 2^(dimensions that have width), at most 64 of
/// them, then uniform.
std::vector<double> draw_start(const Box& box, std::size_t index, base::Rng& rng);

}  // namespace plumbline::reach

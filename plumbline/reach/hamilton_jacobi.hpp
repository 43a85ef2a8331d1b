#pragma once
/// From which states can no control avoid the unsafe set? The Hamilton-Jacobi equation of the game, on a grid.

#include <cstddef>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/reach/avoid_game.hpp"

namespace plumbline::reach {

/// Differences in space: of first order, or of fifth where the solution is smooth.
enum class Stencil { kUpwind, kWeno5 };

struct SolveOptions {
  Stencil stencil = Stencil::kWeno5;
  double courant = 0.8;  ///< share of the largest stable time step
  double tolerance = 0;  ///< stop when no node changes by more in a unit of time; 0: run to the horizon
};

/// V at every node, the last axis fastest. Safe for the horizon where V > 0.
struct ValueTable {
  AvoidGame game;
  std::vector<double> value;
  double looked_back = 0;  ///< how far in time the table reaches: the horizon, or less where it stopped changing
  std::size_t steps = 0;
};

/// Question: the least distance that an opponent can force against the best control within the horizon, everywhere.
/// Formula:  V_t + min(0, max_u min_d grad V . f(x, u, d)) = 0, V(T, x) = distance(x); backwards in time.
///           Hamiltonian of Lax and Friedrichs with the largest |f_i| at each node as dissipation, one-sided
///           differences by WENO5 or upwind, Runge-Kutta of order three that never increases the total variation (Shu,
///           Osher). Beyond the grid V goes on linearly, away from zero.
/// Returns   the table. V is an approximation, of first order near kinks: no bound.
/// Errors    kValue: dynamics or distance not finite at a node, naming it; options out of range. kCancelled.
/// Cost      steps * 3 * nodes * axes; 8 bytes * nodes * (3 + 3 axes + axes * (1 + inputs)).
/// Source    Mitchell, Bayen, Tomlin, A time-dependent Hamilton-Jacobi formulation of reachable sets for continuous
/// dynamic
///           games, IEEE Trans. Automatic Control 50, 2005; Osher, Fedkiw, Level set methods, Springer 2003, ch. 3
///           and 5.
base::Result<ValueTable> solve(const AvoidGame& game, const SolveOptions& options = {},
                               base::Progress& progress = base::no_progress(), const base::CancelToken& cancel = {});

}  // namespace plumbline::reach

#pragma once
/// One step of a validated integration, for affine forms: Taylor coefficients in time, each an affine form in the
/// symbols of the set, and a remainder over an enclosure of the whole step.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/affine.hpp"
#include "plumbline/reach/expression.hpp"

namespace plumbline::reach {

struct FlowOptions {
  int order = 5;
  double tolerance = 1e-7;  ///< of a step's remainder, relative to 1 + the size of the state
  int halvings = 7;         ///< of a step before it is given up
};

struct FlowStep {
  double seconds = 0;        ///< the step that was taken: `wanted` / 2^k
  std::vector<Affine> end;   ///< the states at its end
  std::vector<Affine> tube;  ///< the states at all its times; uses the symbol `symbols`, which sweeps the step
};

/// Question: where is x' = f(x, c), c constant, from every x of a set, at the end of a step and during it?
/// Formula:  x(t) in sum_{k<=K} x_k t^k + [0, t^(K+1)] f_(K+1)(B); x_k by automatic differentiation in affine
///           arithmetic; B an enclosure of the step by Picard's operator: X + [0, h] f(B) inside B.
/// Shapes    variables: states first, then constants; all forms use symbols below `symbols`.
/// Returns   the step, halved until the enclosure exists and the remainder is small.
/// Errors    kValue: no enclosure after all halvings: the set is too large, or the solution may not exist.
/// Source    Moore, Kearfott, Cloud 2009, ch. 9 and 10; Nedialkov, Jackson, Corliss, Validated solutions of initial
///           value problems for ordinary differential equations, Appl. Math. Comput. 105, 1999.
base::Result<FlowStep> flow(const Program& dynamics, std::span<const Affine> variables, std::size_t states,
                            std::size_t symbols, double wanted, const FlowOptions& options = {});

}  // namespace plumbline::reach

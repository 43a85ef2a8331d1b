#pragma once
/// A candidate judged beyond rounding: by the interpreter, interval arithmetic and rational numbers.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/robustness/proof/network.hpp"
#include "plumbline/robustness/proof/vnnlib.hpp"

namespace plumbline::robustness {

/// What three ways of evaluating the network say about one input.
struct Replay {
  AtPoint verdict = AtPoint::kUnclear;
  std::size_t which = 0;       ///< the case that is true
  std::string decided_by;      ///< "interval arithmetic" or "rational arithmetic"; why not, where unclear
  std::vector<double> output;  ///< by the graph's interpreter
};

/// Question: is this input unsafe, beyond rounding?
/// Formula:  outputs by the interpreter; enclosed by interval arithmetic; in rational numbers where that does not
///           decide and the network is piecewise linear with at most `exact_limit` multiply-adds.
/// Returns   kUnsafe only where a case is true of the real-valued network. The interpreter must agree within 1e-6 of
/// the
///           outputs' scale, else kUnclear.
/// Errors    kShape: sizes. Others as graph::interpret().
base::Result<Replay> replay(const graph::Graph& graph, const Network& network, const Property& property,
                            std::span<const double> x, std::size_t exact_limit = 3'000'000);

}  // namespace plumbline::robustness

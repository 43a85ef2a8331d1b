#pragma once
/// The reachable tube of a control loop from one box, and what it says of the loop's properties.

#include <cstddef>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/reach/flow.hpp"
#include "plumbline/reach/loop.hpp"

namespace plumbline::reach {

using Box = std::vector<Interval>;

struct TubeOptions {
  FlowOptions flow;
  std::size_t symbols = 80;    ///< kept at the start of a period, beside those of the initial box
  std::size_t steps = 20'000;  ///< of integration, in all
  bool whole = false;          ///< go on after a property could not be decided (for pictures)
  bool branch = false;         ///< follow every possible choice of an argmax that the set does not decide
  bool keep = false;           ///< keep the pieces
};

enum class Answer { kYes, kNo, kOpen };

/// The variables' ranges over a span of time (one instant where from == to).
struct TubePiece {
  double from = 0;
  double to = 0;
  Box box;
  /// At the end of the piece: the plane of the loop's picture, as a polygon (x, y), anticlockwise.
  std::vector<std::pair<double, double>> polygon;
};

struct Tube {
  std::vector<Answer> answers;    ///< one a property
  std::string reason;             ///< why not all answers are decided; empty otherwise
  std::vector<double> influence;  ///< by variable: how much the open question depends on its share of the initial box
  std::vector<TubePiece> pieces;
  std::size_t steps = 0;  ///< of integration
  Box last;               ///< ranges at the end, if it was reached
};

/// Question: where can the loop be, at every time, from every state of the box; do its properties hold there?
/// Formula:  the set is an affine form for each variable, its first symbols the initial box; each period asks the
/// network
///           (network_forms) and integrates (flow). Symbols above the limit are merged, the least first (Girard 2005).
/// Returns   kYes: for every trajectory from the box. kNo: for none. kOpen otherwise, with the first reason. A property
///           is judged on every piece of the tube, not at period ends alone.
/// Errors    kShape: size of the box. kCancelled.
/// Cost      O(periods * (bounds of the network + order^2 * nodes * symbols)). Deterministic.
base::Result<Tube> reach_tube(const Loop& loop, const Box& initial, const TubeOptions& options = {},
                              const base::CancelToken& cancel = {});

/// The initial box of the loop.
Box initial_box(const Loop& loop);

}  // namespace plumbline::reach

#pragma once
/// Feedback: how much of what a part puts out comes back in what it later learns from.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/system/contrast.hpp"
#include "plumbline/system/lessons.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {

struct Return {
  std::size_t component = 0;
  std::string signal;
  std::optional<Bounded> gain;         ///< by the graph
  std::optional<Bounded> next;         ///< return in the next round, by the graph
  std::optional<Bounded> next_by_lot;  ///< the same, from rows whose output was drawn by lot
  std::optional<Bounded>
      disagreement;  ///< next_by_lot - next: not 0 where something hidden acts on both ends of a link
  std::optional<double>
      robustness;  ///< share that a hidden cause must explain at both ends of each link to take the gain to 0
};

struct FeedbackReport {
  LoopList loops;
  std::vector<Return> returns;    ///< of parts on a loop with numeric outputs
  std::optional<Bounded> radius;  ///< empty where no loop can be measured
  std::vector<Teaching> teaching;
  std::vector<std::string> notes;
};

struct FeedbackOptions {
  bool memory = false;  ///< parts that learn also keep some of their former output
  double hidden = 0;    ///< widen the bounds of gain and next for a hidden cause of that strength, in [0, 1)
  base::CancelToken cancel{};
};

/// Question  which loops are there, how strong are they, does the system settle, and whose decisions made the data?
/// Formula   Each output is regressed on the part's inputs of the round and on what it learns from of the round before
///           (least squares, rows drawn by lot included: the system as it runs), which gives RoundModel along the links
///           of the graph; gains as above, bounds by the delta method over clusters of rows. By lot: in rows that
///           explore, the output of the next round on that of this one, with the part's inputs and lessons held; no
///           hidden cause can act on what was drawn by lot. Radius: the delta method too.
/// Shapes    rows of a unit are rounds in order; numbers, or categories with two levels (0, 1 in order of appearance).
/// Errors    kValue: hidden outside [0, 0.99]; kCancelled.
/// Outcome   a figure is empty where its equations cannot be fitted, with a note that says why.
/// Assumes   rounds follow each other without gaps; effects are linear near where the system runs; by the graph:
/// nothing
///           hidden acts on both a part's inputs and its output.
/// Cost      O(parts x rows x p^2 + links x parts^3). Deterministic.
/// Source    Bode 1945 for the return ratio; Cinelli, Hazlett 2020 for the bound; Perdomo et al., Performative
///           prediction, ICML 2020, for the question.
base::Result<FeedbackReport> find_feedback(const SystemGraph& graph, const Trace& trace,
                                           const FeedbackOptions& options);

}  // namespace plumbline::system

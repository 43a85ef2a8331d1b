#pragma once
/// Objectives that pull against each other: what one part does for its own, and what that does to the others'.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/system/contrast.hpp"
#include "plumbline/system/regression.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {

/// What one step of a part's output, towards its own objective, does to an objective; in standard deviations of that.
struct Pull {
  std::string objective;
  std::vector<std::size_t> bearers;  ///< parts that are optimised for it
  bool own = false;
  std::optional<Bounded> effect;     ///< above 0: to the good
  std::optional<double> robustness;  ///< share that a hidden cause must explain at both ends to take it to 0
};

struct Lever {
  std::size_t component = 0;
  std::string signal;            ///< its output
  std::string step;              ///< "up by 1.3", "choose 'large' rather than what it chooses otherwise"
  bool by_lot = false;           ///< from rows drawn by lot; else from all rows, with the part's inputs held
  std::vector<Pull> pulls;       ///< of every recorded objective
  std::optional<Bounded> worst;  ///< least effect on an objective of others
};

struct ConflictReport {
  std::vector<Lever> levers;
  std::vector<std::string> objectives;
  std::vector<std::string> notes;
};

struct ConflictOptions {
  double hidden = 0;  ///< widen for a hidden cause of that strength (outputs that are numbers, without lots), in [0, 1)
};

/// Question  what does a part that moves towards its own objective do to the objectives of the others?
/// Formula   Number: slope of the objective on the output, the part's inputs and lessons held, times the standard
/// deviation
///           of the output that they leave over; the sign of the step is that of the slope on its own objective.
///           Categories: the level that is best for its own objective in each context is chosen on one half of the
///           units; on the other half rows that took it are compared with rows alike that did not, and the reverse.
///           Rows drawn by lot where the part records enough of them (100); else all rows. Objectives to be minimised
///           count with a changed sign.
/// Returns   levers of all parts with a recorded objective and output; effects in standard deviations of the objective.
/// Errors    kValue: hidden outside [0, 1).
/// Outcome   no pulls, with a note, where the step is no clear gain for its own objective (two-sided p above 0.05), or
/// where
///           the output does not vary beside what the part reads.
/// Assumes   by lot: nothing. Else nothing hidden acts on both output and objective beside what the part reads; effects
///           are linear (numbers); clusters of rows are independent.
/// Cost      O(parts x objectives x rows x p^2). Same seed, same bits.
/// Source    Yu et al., Gradient surgery, NeurIPS 2020, for conflict as a negative product of gradients.
base::Result<ConflictReport> find_conflicts(const SystemGraph& graph, const Trace& trace,
                                            const ConflictOptions& options, const base::Rng& rng);

/// Objectives measured against each other over all levers: cosine of their effects' gradients.
struct ObjectivePair {
  std::string first, second;
  double cosine = 0;  ///< -1: every step that helps one harms the other as much
};
/// Precondition: levers as find_conflicts() gives them. Objectives without any clear effect are left out.
std::vector<ObjectivePair> objective_pairs(const ConflictReport& report);

}  // namespace plumbline::system

#pragma once
/// Exploration that a later part cancels: found from the log alone.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/system/contrast.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {

enum class Passage {
  kTreated,  ///< share of exploring decisions that the later part treats as it treats the others
  kPassed,   ///< how often an exploring choice gets through the later part, relative to the others
  kExposed,  ///< how far an exploring choice reaches anybody, relative to the others
};
std::string_view passage_name(Passage passage);

/// What one later part does to exploration.
struct Crossing {
  std::size_t part = 0;
  std::string signal;  ///< its output; of kExposed the declared signal
  Passage passage = Passage::kTreated;
  Bounded kept;              ///< 1: exploration counts in full; 0: not at all
  double dependence_p = 1;   ///< of "the output does not depend on the flag, given context"; Holm over the crossings
  std::string loudest;       ///< level of the output that exploring decisions get oftener than others …
  double loud_explored = 0;  ///< … in this share of exploring rows
  double loud_others = 0;    ///< … and of the others
  std::vector<std::string> told_by;  ///< its inputs that give the flag away
};

struct ExplorationReport {
  std::size_t explorer = 0;
  Bounded explored;                  ///< share of rows that explore, as logged
  std::optional<Bounded> claim_gap;  ///< that share minus the mean of the logged propensities
  std::vector<Crossing> crossings;   ///< all later parts with a recorded output, and the exposure
  std::optional<Bounded> kept;       ///< of the exposure where it is declared, else the least over the later parts
  std::optional<Bounded> effective;  ///< explored x kept
  double compared = 1;               ///< least share of exploring rows that have rows alike to compare with
  Strata context;
  std::vector<std::string> notes;
};

struct ExplorationOptions {
  std::string exposure;  ///< signal in [0, inf): how far the explorer's choice reached anybody; empty: not recorded
  int levels = 8;        ///< to which a numeric output is cut
};

/// Question  does what the explorer draws by lot reach the world as its other choices do, or does a later part undo it?
/// Formula   Context: the explorer's inputs (and its logged propensity), cut into strata. Given context the flag is
///           drawn by lot, so a difference between exploring rows and rows alike is what exploring did.
///           treated:  1 - TV, TV the distance of the laws of the later part's output with and without the flag, given
///                     context. On one half of the units the set of outputs that are likelier with the flag is chosen,
///                     on the other half its probabilities are compared, and the reverse; so the figure is not below 1
///                     by chance alone. Upper bound: of that. Lower bound: of the sets chosen on all units, which can
///                     only be too far apart.
///           passed:   for an output with the levels of the explorer's own: P(both are equal), with the flag / without.
///           Both of every later part with an aim or lessons; passed also of those without (a rule that filters).
///           exposed:  mean exposure with the flag / without, standardised to the context of exploring rows.
/// Returns   a report; bounds over units where the trace has them.
/// Errors    kValue: the part records no flag, or the flag is 0 (or 1) in all rows; the exposure was not recorded, is
/// no
///           number, or is negative; levels outside [2, 50].
/// Outcome   `kept` is empty where no later part has a recorded output, or fewer than 10 rows on either side can be
///           compared, with a note.
/// Assumes   the flag is drawn by lot given the explorer's inputs; units are independent.
/// Cost      O(later parts x rows). Same seed, same bits.
/// Source    Bottou et al., Counterfactual reasoning and learning systems, JMLR 2013, for the question; Sculley et al.,
///           Hidden technical debt in machine learning systems, NeurIPS 2015.
base::Result<ExplorationReport> find_cancelled(const SystemGraph& graph, const Trace& trace, std::size_t explorer,
                                               const ExplorationOptions& options, const base::Rng& rng);

/// The report in sentences: what was explored, what became of it, through which part and input.
std::vector<std::string> explain(const SystemGraph& graph, const ExplorationReport& report);

}  // namespace plumbline::system

#pragma once
/// Orders in which variables are summed out, and exact answers by variable elimination.

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/factor.hpp"
#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal {

enum class Heuristic {
  kMinFill,    ///< the variable that adds the fewest edges next
  kMinWeight,  ///< the one whose table is smallest next
  kBest,       ///< both are tried; the one with fewer cells in all
};
/// "min-fill", "min-weight", "best".
std::string_view heuristic_name(Heuristic heuristic);
base::Result<Heuristic> parse_heuristic(std::string_view name);

struct EliminationOrder {
  std::vector<int> order;                 ///< variables summed out
  std::vector<std::vector<int>> cliques;  ///< the variable with its neighbours when its turn comes, ascending
  double cells = 0;                       ///< of all tables that arise
  double largest = 0;                     ///< of the largest of them
  std::size_t width = 0;                  ///< most neighbours when a turn comes: the induced width of the order
};

/// Question  in which order are these variables summed out cheaply?
/// What      greedy, ties by number. `scopes` are the sets of variables that occur together; `sizes` the states of each
///           variable, 1 where it is held; `keep` flags variables that stay. For kBest the order with fewer cells.
/// Cost      O(n (n + d^3)) for n variables with at most d neighbours.
/// Source    Kjaerulff, Triangulation of graphs: algorithms giving small total state space, 1990.
EliminationOrder find_order(const std::vector<std::vector<int>>& scopes, const std::vector<int>& sizes,
                            const std::vector<bool>& keep, Heuristic heuristic);

/// Bounds on exact inference. Doubles of 8 bytes.
struct ExactLimits {
  double cells = 1U << 27U;  ///< of the largest table, and of all cliques of a junction tree together
  Heuristic heuristic = Heuristic::kBest;
  base::CancelToken cancel{};
};

struct EliminationAnswer {
  bool too_wide = false;    ///< the order needs more than limits.cells; nothing was computed
  Factor joint;             ///< log P(targets, evidence) over the targets that evidence leaves open, not normalised
  double log_evidence = 0;  ///< log P(evidence); -infinity: the evidence has probability zero
  EliminationOrder plan;
};

/// Question  log P(targets, evidence)?
/// What      barren variables, of which neither targets nor evidence descend, are left out: their rows count as summing
///           to one. All other rows are used as written. Evidence is sliced out, the rest is summed out bucket by
///           bucket.
/// Errors    kCancelled.
/// Cost      the cells of the plan. Deterministic.
/// Source    Dechter, Bucket elimination, UAI 1996.
base::Result<EliminationAnswer> eliminate(const Network& network, const std::vector<int>& targets,
                                          const Assignments& evidence, const ExactLimits& limits);

}  // namespace plumbline::counterfactual::causal

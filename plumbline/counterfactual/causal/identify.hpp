#pragma once
/// Can an effect be computed from what is observed, given the graph? If so, by which formula; if not, why not.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/expression.hpp"
#include "plumbline/counterfactual/causal/graph.hpp"

namespace plumbline::counterfactual::causal {

/// Two nested sets, each connected by <-> edges, of which the inner one misses the treatment: two models exist that
/// agree on everything observed and differ in the effect.
struct Hedge {
  NodeSet outer;
  NodeSet inner;
};

struct Identification {
  bool identified = false;
  ExpressionPtr formula;           ///< null unless identified
  Hedge hedge;                     ///< empty where identified
  std::vector<std::string> steps;  ///< the derivation, a sentence a step, indented by depth
};

/// Question  P(outcomes | do(treatments), given) from P(all nodes of the graph)?
/// What      the complete algorithms ID and IDC. Conditions that the graph makes idle are left out of the formula.
/// Returns   a formula over observed probabilities, or the hedge that forbids one.
/// Errors    kValue: no outcome, sets that overlap, a cycle.
/// Assumes   the graph: a missing edge is a claim. Conditioning events of the formula have positive probability.
/// Cost      polynomial in the nodes; the formula can grow.
/// Source    Tian, Pearl, A general identification condition for causal effects, AAAI 2002; Shpitser, Pearl,
///           Identification of joint interventional distributions, AAAI 2006, and of conditional interventional
///           distributions, UAI 2006.
base::Result<Identification> identify(const Graph& graph, const NodeSet& outcomes, const NodeSet& treatments,
                                      const NodeSet& given = {});

/// Sets found by a search; `complete` is false where it was stopped at its limit.
struct SetList {
  std::vector<NodeSet> sets;
  bool complete = true;
};

/// Every minimal subset of `allowed` that separates a from b; none where no subset does. Ordered by size, then by
/// number. Precondition: a != b, not in `allowed`, no cycle. Cost polynomial for each set found; at most `limit` sets.
/// Source van der Zander, Liskiewicz, Textor 2014.
SetList separating_sets(const Graph& graph, int a, int b, const NodeSet& allowed, std::size_t limit = 1000);

/// Every minimal set Z of nodes that are no descendants of the treatment and separate it from the outcome once its
/// outgoing edges are cut: P(y | do x) = sum_z P(y | x, z) P(z). Ordered by size, then by number.
/// Errors kValue: treatment = outcome, a cycle.
/// Cost      polynomial for each set found; at most `limit` sets.
/// Source    Pearl, Causality, 2009, sec. 3.3.1; van der Zander, Liskiewicz, Textor, Constructing separators and
///           adjustment sets in ancestral graphs, 2014.
base::Result<SetList> backdoor_sets(const Graph& graph, int treatment, int outcome, const NodeSet& hidden = {},
                                    std::size_t limit = 1000);

/// Every minimal set M that meets all directed paths from treatment to outcome, has no open back-door path from the
/// treatment, and none to the outcome that the treatment does not block: the front-door criterion.
/// Cost      subsets of the nodes in between, at most `tries` of them.
base::Result<SetList> frontdoor_sets(const Graph& graph, int treatment, int outcome, const NodeSet& hidden = {},
                                     std::size_t tries = 10'000);

/// A node that moves the treatment and reaches the outcome through it alone, once `given` is held.
struct Instrument {
  int node = 0;
  NodeSet given;
};
/// Instruments for the total effect in linear models (conditional, with a smallest set that was found for each).
/// Sound; may miss instruments that need unusual conditions.
/// Source    Brito, Pearl, Generalized instrumental variables, UAI 2002.
base::Result<std::vector<Instrument>> instruments(const Graph& graph, int treatment, int outcome,
                                                  const NodeSet& hidden = {});

}  // namespace plumbline::counterfactual::causal

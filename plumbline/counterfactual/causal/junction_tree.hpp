#pragma once
/// All posteriors at once, by message passing on a tree of cliques.

#include <cstddef>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/elimination.hpp"
#include "plumbline/counterfactual/causal/factor.hpp"
#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal {

/// What one piece of evidence leads to.
struct Posteriors {
  bool too_wide = false;                      ///< more than limits.cells are needed; nothing else is set but `cells`
  bool impossible = false;                    ///< the evidence has probability zero; nothing else is set
  double cells = 0;                           ///< of the tables that are needed
  double log_evidence = 0;                    ///< log P(evidence)
  std::vector<std::vector<double>> marginal;  ///< by variable, then state; sums to one
};

/// The tree of a network, made once and asked often. Keeps a pointer to the network, which must outlive it.
/// Thread-safe.
class JunctionTree {
 public:
  /// Triangulates along an elimination order and keeps the maximal cliques.
  static JunctionTree make(const Network& network, Heuristic heuristic = Heuristic::kBest);

  std::size_t cliques() const { return nodes_.size(); }
  /// Cells of all cliques, and of the largest, without evidence.
  double cells() const { return cells_; }
  double largest() const { return largest_; }
  /// Most variables of a clique, less one.
  std::size_t width() const { return width_; }
  const std::vector<int>& clique(std::size_t c) const { return nodes_[c].scope; }

  /// Question  P(variable | evidence) for every variable?
  /// What      collect and distribute with division; evidence is sliced out of every table. Every table counts, also
  ///           those of barren variables: where rows do not sum to one, `marginals` below is the one that agrees with
  ///           elimination.
  /// Outcome   too_wide, impossible: values.
  /// Errors    kCancelled.
  /// Cost      a few passes over the cells that evidence leaves. Deterministic.
  /// Source    Jensen, Lauritzen, Olesen, Bayesian updating in causal probabilistic networks by local computations,
  ///           1990.
  base::Result<Posteriors> posteriors(const Assignments& evidence, const ExactLimits& limits = {}) const;

 private:
  struct Node {
    std::vector<int> scope;
    std::vector<int> separator;  ///< with the parent
    int parent = -1;
    std::vector<int> families;  ///< variables whose table is multiplied in here
  };
  const Network* network_ = nullptr;
  std::vector<Node> nodes_;  ///< every node after its parent
  std::vector<int> home_;    ///< by variable, the smallest clique that holds it
  double cells_ = 0;
  double largest_ = 0;
  std::size_t width_ = 0;
};

/// Question  P(variable | evidence) for every variable, each as `eliminate` answers?
/// What      the tree; where some row does not sum to one to rounding, one elimination a variable, so that the tables
///           which count are the same as for a single question.
/// Errors    as JunctionTree::posteriors.
base::Result<Posteriors> marginals(const Network& network, const Assignments& evidence, const ExactLimits& limits = {});

}  // namespace plumbline::counterfactual::causal

#pragma once
/// Graphs from data: by tests of independence (PC), or by a score: greedily over patterns (GES), or the best of all.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/independence.hpp"
#include "plumbline/counterfactual/causal/pattern.hpp"

namespace plumbline::counterfactual::causal {

struct Discovery {
  Pattern pattern{0};
  std::vector<std::pair<int, int>> conflicts;  ///< of PC: edges that colliders wanted both ways; left undirected
  std::size_t tests = 0;                       ///< independence tests, or scores of a family
};

struct PcOptions {
  double alpha = 0.05;
  int depth = -1;  ///< most variables to condition on; below 0: no bound
  base::CancelToken cancel{};
};

/// Question  which edges and directions do the independences of the data leave?
/// What      the stable variant: neighbourhoods are fixed for each size of conditioning set. A collider is oriented
/// where
///           its middle is not in the set, of all among the final neighbours, that parts its ends with the largest
///           p-value (no larger than those tried for edges). Edges that colliders want both ways stay undirected. So
///           the answer does not depend on the order of the columns, ties of p-values apart.
/// Errors    kValue: alpha outside (0, 1). kCancelled.
/// Assumes   no hidden common cause, no selection, faithfulness; errors of single tests add up: nothing here bounds the
///           probability that the graph is right.
/// Cost      exponential in the largest neighbourhood; parallel over pairs. Same bits whatever the threads.
/// Source    Spirtes, Glymour, Scheines, Causation, Prediction, and Search, 2000; Colombo, Maathuis, Order-independent
///           constraint-based causal structure learning, JMLR 15, 2014; Ramsey, Improving accuracy and scalability of
///           the PC algorithm by maximizing p-value, 2016.
base::Result<Discovery> learn_by_tests(const IndependenceTest& test, std::size_t variables,
                                       const PcOptions& options = {});

/// A sum over variables of how well each is told by its parents; higher is better.
class FamilyScore {
 public:
  virtual ~FamilyScore() = default;
  virtual double score(int v, const std::vector<int>& parents) const = 0;
};
/// log likelihood at its maximum - log(n) / 2 x free parameters: of tables for states (all cells count), of linear
/// regressions with normal noise for numbers. Keeps a pointer to the sample. Errors kValue: collinear columns.
base::Result<std::unique_ptr<FamilyScore>> bic_score(const Sample& sample);
/// log marginal likelihood of tables under Dirichlet priors of equivalent sample size `weight`, uniform.
/// Source: Heckerman, Geiger, Chickering, Learning Bayesian networks, 1995.
std::unique_ptr<FamilyScore> bdeu_score(const Sample& sample, double weight = 1);

struct GesOptions {
  std::size_t parents = 8;  ///< most parents of a variable
  base::CancelToken cancel{};
};

/// Question  which pattern has the best score?
/// What      greedy over equivalence classes: edges are inserted while the score rises, then deleted while it rises. Of
///           equal steps the first by number.
/// Errors    kCancelled.
/// Assumes   as learn_by_tests; the best pattern is reached for certain in the limit of data alone.
/// Cost      O(n^2) candidate steps a step, families are scored once. Deterministic.
/// Source    Chickering, Optimal structure identification with greedy search, JMLR 3, 2002.
base::Result<Discovery> learn_by_score(const FamilyScore& score, std::size_t variables, const GesOptions& options = {});

/// Question  which pattern has the best score of all graphs with at most `options.parents` parents a node?
/// What      over orders of the variables, by dynamic programming on their subsets: the best parents of each variable
/// in
///           each subset, then the best last variable of each subset. Of equal graphs one is found.
/// Errors    kLimit: more than kMostExact variables. kCancelled.
/// Cost      n 2^n, and one score a family. Deterministic.
/// Source    Silander, Myllymaki, A simple approach for finding the globally optimal Bayesian network structure, UAI
/// 2006.
base::Result<Discovery> learn_exactly(const FamilyScore& score, std::size_t variables, const GesOptions& options = {});
inline constexpr std::size_t kMostExact = 18;

/// The score of a graph given by the parents of each node.
double graph_score(const FamilyScore& score, const std::vector<NodeSet>& parents);

enum class Method { kPc, kGes, kExact };
/// "pc", "ges", "exact".
base::Result<Method> parse_method(std::string_view name);

struct LearnOptions {
  Method method = Method::kPc;
  PcOptions pc{};
  GesOptions ges{};
  bool bdeu = false;           ///< scores of states: BDeu instead of BIC
  std::size_t replicates = 0;  ///< bootstrap
};

struct EdgeConfidence {
  int a = 0;
  int b = 0;
  double adjacent = 0;  ///< share of resamples in which the pair has an edge
  double forward = 0;   ///< … directed a -> b
  double backward = 0;  ///< … directed b -> a
};

struct Learned {
  Discovery found;
  std::vector<EdgeConfidence> confidence;  ///< pairs with an edge in the sample or in a resample; a < b
};

/// Question  which graph, and how often would each edge come out again?
/// What      the method on the sample and on `replicates` resamples of its rows. Shares are not probabilities of edges:
///           they say what sampling alone would change.
/// Errors    as the methods; kValue: BDeu on numbers.
/// Source    Friedman, Goldszmidt, Wyner, Data analysis with Bayesian networks: a bootstrap approach, UAI 1999.
base::Result<Learned> learn(const Sample& sample, const LearnOptions& options, const base::Rng& rng);

}  // namespace plumbline::counterfactual::causal

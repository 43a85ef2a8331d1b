#pragma once
/// What a graph says must be independent, held against data.

#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/graph.hpp"
#include "plumbline/counterfactual/causal/independence.hpp"

namespace plumbline::counterfactual::causal {

struct PairTest {
  int a = 0;
  int b = 0;
  NodeSet given;
  double p = 1;         ///< of "independent given"
  double adjusted = 1;  ///< after Holm over all of its kind
};

struct GraphTest {
  std::vector<PairTest> implied;  ///< pairs without an edge, each given a smallest set that must part them
  std::vector<PairTest> edges;    ///< a -> b given the other parents of b: a large p speaks against needing the edge
  std::size_t untestable = 0;     ///< pairs without an edge that nothing observed parts (inducing paths)
  double least = 1;               ///< smallest adjusted p of `implied`: p-value of "all of them hold"

  std::size_t rejected(double level) const;
};

/// Question  do the data obey the independences that the graph implies?
/// What      one test a pair; the smallest adjusted p-value bounds the error of calling the graph wrong, whatever the
///           dependence among the tests.
/// Shapes    node v of the graph is variable columns[v] of the sample that `test` reads.
/// Errors    kCancelled.
/// Assumes   what the test assumes. A graph that is not refuted may be wrong: equivalent graphs pass alike, and weak
///           dependence passes in small samples.
/// Cost      one test a pair, and the search of a set.
/// Source    Pearl, Causality, 2009, sec. 1.2; Holm 1979.
base::Result<GraphTest> test_graph(const Graph& graph, const IndependenceTest& test, const std::vector<int>& columns,
                                   const base::CancelToken& cancel = {});

/// The columns of the graph's nodes. Errors kValue: a node without a column (the hint is the nearest name).
base::Result<std::vector<int>> columns_of(const Graph& graph, const Sample& sample);

}  // namespace plumbline::counterfactual::causal

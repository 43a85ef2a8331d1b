#pragma once
/// Causal graphs: directed edges, and two-headed ones for a common cause that nobody sees.

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::counterfactual::causal {

using NodeSet = std::set<int>;

/// An acyclic directed mixed graph. A plain value; nodes are numbers.
class Graph {
 public:
  /// Errors kValue: a name empty or used twice.
  static base::Result<Graph> make(std::vector<std::string> names);

  /// a -> b. Repeats are ignored. Precondition: a != b, both in range.
  void add_directed(int a, int b);
  /// a <-> b.
  void add_bidirected(int a, int b);

  std::size_t size() const { return names_.size(); }
  const std::string& name(int v) const { return names_[static_cast<std::size_t>(v)]; }
  const NodeSet& parents(int v) const { return parents_[static_cast<std::size_t>(v)]; }
  const NodeSet& children(int v) const { return children_[static_cast<std::size_t>(v)]; }
  const NodeSet& siblings(int v) const { return siblings_[static_cast<std::size_t>(v)]; }  ///< by <->
  NodeSet all() const;
  /// Errors kValue: no such node; the hint is the nearest name.
  base::Result<int> index(std::string_view name) const;
  base::Result<NodeSet> indices(const std::vector<std::string>& names) const;
  /// Names, in the order of numbers.
  std::vector<std::string> names(const NodeSet& nodes) const;
  /// "a, b".
  std::string words(const NodeSet& nodes) const;

  /// Every node after its parents. Errors kValue: a cycle; its nodes are named.
  base::Result<std::vector<int>> order() const;
  /// The nodes themselves and what they descend from, or what descends from them.
  NodeSet ancestors(const NodeSet& of) const;
  NodeSet descendants(const NodeSet& of) const;

  /// The same nodes without edges into, or directed edges out of, these.
  Graph without_incoming(const NodeSet& nodes) const;
  Graph without_outgoing(const NodeSet& nodes) const;
  /// Only edges among these; numbers stay, other nodes are left alone without edges.
  Graph within(const NodeSet& nodes) const;

  /// Nodes of `inside` connected by <-> edges among themselves (c-components, districts), by smallest number.
  std::vector<NodeSet> components(const NodeSet& inside) const;

 private:
  std::vector<std::string> names_;
  std::vector<NodeSet> parents_, children_, siblings_;
};

/// Question  are a and b independent given `given` in every distribution that the graph allows (m-separation)?
/// Precondition: sets disjoint. Cost O(edges). Source: Richardson, Markov properties for acyclic directed mixed graphs,
/// 2003; for <->-free graphs d-separation, Pearl 1988.
bool separated(const Graph& graph, const NodeSet& a, const NodeSet& b, const NodeSet& given);
/// Nodes that are not separated from a given `given`.
NodeSet connected(const Graph& graph, const NodeSet& a, const NodeSet& given);

/// The graph over the other nodes after hidden ones are summed out: paths through hidden nodes become edges.
/// Nodes keep their order. Source: Verma, Graphical aspects of causal models, 1993 (latent projection).
Graph project(const Graph& graph, const NodeSet& hidden);

}  // namespace plumbline::counterfactual::causal

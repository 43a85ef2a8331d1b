#pragma once
/// Graphs that are known up to the direction of some edges: what data alone can tell (patterns, CPDAGs).

#include <vector>

#include "plumbline/counterfactual/causal/graph.hpp"

namespace plumbline::counterfactual::causal {

/// Directed and undirected edges. A plain value.
class Pattern {
 public:
  explicit Pattern(std::size_t size) : out_(size), in_(size), beside_(size) {}

  std::size_t size() const { return out_.size(); }
  void link(int a, int b);    ///< a - b
  void orient(int a, int b);  ///< a -> b, whatever was between them
  void remove(int a, int b);
  bool directed(int a, int b) const { return out_[static_cast<std::size_t>(a)].contains(b); }
  bool undirected(int a, int b) const { return beside_[static_cast<std::size_t>(a)].contains(b); }
  bool adjacent(int a, int b) const { return directed(a, b) || directed(b, a) || undirected(a, b); }
  const NodeSet& parents(int v) const { return in_[static_cast<std::size_t>(v)]; }
  const NodeSet& children(int v) const { return out_[static_cast<std::size_t>(v)]; }
  const NodeSet& neighbours(int v) const { return beside_[static_cast<std::size_t>(v)]; }  ///< undirected
  NodeSet adjacents(int v) const;
  std::size_t edges() const;
  bool operator==(const Pattern&) const = default;

  /// Orients what follows: no new collider, no cycle. Where that contradicts itself, an edge stays undirected. Source:
  /// Meek, Causal inference and causal explanation with background knowledge, UAI 1995, rules 1 to 4.
  void close();

 private:
  std::vector<NodeSet> out_, in_, beside_;
};

/// The pattern of a graph without <->, given by the parents of each node: colliders of parents that are not adjacent,
/// closed.
Pattern pattern_of(const std::vector<NodeSet>& parents);
Pattern pattern_of(const Graph& graph);

/// Some graph of the pattern without new colliders, as parents of each node; empty where there is none.
/// Source: Dor, Tarsi, A simple algorithm to construct a consistent extension of a partially oriented graph, 1992.
std::vector<NodeSet> extension(const Pattern& pattern);

/// Pairs whose mark differs: missing, added, or another direction. Structural Hamming distance, one a pair.
std::size_t distance(const Pattern& a, const Pattern& b);

}  // namespace plumbline::counterfactual::causal

#pragma once
/// A system as a graph of its parts: who reads what whom wrote, and who learns from what.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::system {

/// A part. Signals are named quantities; one that no part writes comes from outside.
struct Component {
  std::string name;
  std::vector<std::string> inputs;       ///< signals read in a round
  std::vector<std::string> outputs;      ///< signals written in the same round
  std::vector<std::string> learns_from;  ///< signals of earlier rounds that what it does is fitted to
  std::vector<std::string> upstream;     ///< parts that it depends on without a named signal
  std::string objective;                 ///< signal that it is optimised for; empty: none
  bool minimises = false;

  /// It has an aim or learns. A part that does neither is the world, or a rule.
  bool chooses() const { return !objective.empty() || !learns_from.empty(); }
};

enum class EdgeKind {
  kFeeds,    ///< within a round: written by `from`, read by `to`
  kTeaches,  ///< from round to round: written by `from`, `to` learns from it
};
std::string_view edge_kind_name(EdgeKind kind);

struct Edge {
  std::size_t from = 0;
  std::size_t to = 0;
  EdgeKind kind = EdgeKind::kFeeds;
  std::string signal;  ///< empty: declared as upstream
};

/// Parts that influence each other in a circle, each once; the last acts on the first. At least one step teaches.
using Loop = std::vector<std::size_t>;
struct LoopList {
  std::vector<Loop> loops;  ///< shortest first
  bool complete = true;     ///< false: the search was stopped at its limit
};

class SystemGraph {
 public:
  /// Errors kValue: no part, a name or a signal of a part given twice, a signal with two writers, an upstream part that
  ///        is not there, or a circle within a round (with the parts on it: what comes from the round before belongs
  ///        into learns_from).
  static base::Result<SystemGraph> make(std::vector<Component> components);

  const std::vector<Component>& components() const { return components_; }
  const Component& component(std::size_t i) const { return components_[i]; }
  const std::vector<Edge>& edges() const { return edges_; }
  /// Errors kValue: no such part, with the nearest name.
  base::Result<std::size_t> index(std::string_view name) const;
  std::optional<std::size_t> writer(std::string_view signal) const;
  /// Every signal that some part reads, writes, learns from or is optimised for, in the order of the parts.
  std::vector<std::string> signals() const;

  /// Parts in an order in which each stands behind those that feed it.
  const std::vector<std::size_t>& order() const { return order_; }
  /// Parts that `i` reaches within a round, in that order, without itself.
  std::vector<std::size_t> later(std::size_t i) const;
  /// Parts whose outputs reach the signal within the round that it is written in, its writer included.
  std::vector<std::size_t> makers(std::string_view signal) const;
  /// Cost: at most `limit` loops and a million steps of the search.
  LoopList loops(std::size_t limit = 100) const;
  /// "ranker -> fonts -> people => ranker": the second arrow is one that teaches.
  std::string words(const Loop& loop) const;

 private:
  std::vector<Component> components_;
  std::vector<Edge> edges_;
  std::vector<std::size_t> order_;
  std::vector<std::vector<std::size_t>> feeds_;  ///< of each part, ascending, each once
};

}  // namespace plumbline::system

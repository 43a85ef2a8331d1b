#include "plumbline/counterfactual/causal/graph.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

NodeSet reach(const NodeSet& from, const std::function<const NodeSet&(int)>& next) {
  NodeSet seen = from;
  std::vector<int> open(from.begin(), from.end());
  while (!open.empty()) {
    const int v = open.back();
    open.pop_back();
    for (const int w : next(v))
      if (seen.insert(w).second) open.push_back(w);
  }
  return seen;
}

}  // namespace

base::Result<Graph> Graph::make(std::vector<std::string> names) {
  std::set<std::string_view> unique;
  for (const std::string& name : names) {
    if (name.empty()) return make_error(Code::kValue, "a node has an empty name");
    if (!unique.insert(name).second) return make_error(Code::kValue, fmt::format("node '{}' is there twice", name));
  }
  Graph out;
  out.parents_.resize(names.size());
  out.children_.resize(names.size());
  out.siblings_.resize(names.size());
  out.names_ = std::move(names);
  return out;
}

void Graph::add_directed(int a, int b) {
  parents_[at(b)].insert(a);
  children_[at(a)].insert(b);
}

void Graph::add_bidirected(int a, int b) {
  siblings_[at(a)].insert(b);
  siblings_[at(b)].insert(a);
}

NodeSet Graph::all() const {
  NodeSet out;
  for (std::size_t v = 0; v < size(); ++v) out.insert(out.end(), static_cast<int>(v));
  return out;
}

base::Result<int> Graph::index(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<int>(found - names_.begin());
  const std::string near = base::nearest(name, names_);
  return make_error(Code::kValue, fmt::format("there is no node '{}'", name), {},
                    near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

base::Result<NodeSet> Graph::indices(const std::vector<std::string>& names) const {
  NodeSet out;
  for (const std::string& name : names) {
    PL_TRY(const int v, index(name));
    out.insert(v);
  }
  return out;
}

std::vector<std::string> Graph::names(const NodeSet& nodes) const {
  std::vector<std::string> out;
  for (const int v : nodes) out.push_back(name(v));
  return out;
}

std::string Graph::words(const NodeSet& nodes) const { return fmt::format("{}", fmt::join(names(nodes), ", ")); }

base::Result<std::vector<int>> Graph::order() const {
  std::vector<std::vector<int>> parents;
  for (const NodeSet& p : parents_) parents.emplace_back(p.begin(), p.end());
  Ordering ordering = topological_order(parents);
  if (ordering.cycle.empty()) return std::move(ordering.order);
  std::vector<std::string> cycle;
  for (const int v : ordering.cycle) cycle.push_back(name(v));
  cycle.push_back(cycle.front());
  return make_error(Code::kValue, fmt::format("the graph has a cycle: {}", fmt::join(cycle, " -> ")));
}

NodeSet Graph::ancestors(const NodeSet& of) const {
  return reach(of, [&](int v) -> const NodeSet& { return parents(v); });
}

NodeSet Graph::descendants(const NodeSet& of) const {
  return reach(of, [&](int v) -> const NodeSet& { return children(v); });
}

Graph Graph::without_incoming(const NodeSet& nodes) const {
  Graph out = *this;
  for (const int v : nodes) {
    for (const int p : parents(v)) out.children_[at(p)].erase(v);
    for (const int s : siblings(v)) out.siblings_[at(s)].erase(v);
    out.parents_[at(v)].clear();
    out.siblings_[at(v)].clear();
  }
  return out;
}

Graph Graph::without_outgoing(const NodeSet& nodes) const {
  Graph out = *this;
  for (const int v : nodes) {
    for (const int c : children(v)) out.parents_[at(c)].erase(v);
    out.children_[at(v)].clear();
  }
  return out;
}

Graph Graph::within(const NodeSet& nodes) const {
  Graph out = *this;
  const auto cut = [&](std::vector<NodeSet>& edges) {
    for (std::size_t v = 0; v < edges.size(); ++v) {
      if (!nodes.contains(static_cast<int>(v))) {
        edges[v].clear();
      } else {
        std::erase_if(edges[v], [&](int w) { return !nodes.contains(w); });
      }
    }
  };
  cut(out.parents_);
  cut(out.children_);
  cut(out.siblings_);
  return out;
}

std::vector<NodeSet> Graph::components(const NodeSet& inside) const {
  const Graph sub = within(inside);
  std::vector<NodeSet> out;
  NodeSet placed;
  for (const int v : inside) {
    if (placed.contains(v)) continue;
    out.push_back(reach({v}, [&](int w) -> const NodeSet& { return sub.siblings(w); }));
    placed.insert(out.back().begin(), out.back().end());
  }
  return out;
}

NodeSet connected(const Graph& graph, const NodeSet& a, const NodeSet& given) {
  // Paths as a ball sees them. A node is entered through a tail (from a child) or through an arrowhead (from a parent
  // or along <->); it opens as a collider where it has a descendant in `given`, as anything else where it is not given.
  const NodeSet opens = graph.ancestors(given);
  std::set<std::pair<int, bool>> seen;
  std::vector<std::pair<int, bool>> open;
  const auto push = [&](int v, bool head) {
    if (seen.emplace(v, head).second) open.emplace_back(v, head);
  };
  for (const int v : a) push(v, false);
  NodeSet out;
  while (!open.empty()) {
    const auto [v, head] = open.back();
    open.pop_back();
    const bool free = !given.contains(v);
    if (free) out.insert(v);
    // On through a tail of v: no collider.
    if (free)
      for (const int c : graph.children(v)) push(c, true);
    // On through an arrowhead of v: a collider where it was entered through one.
    if (head ? opens.contains(v) : free) {
      for (const int p : graph.parents(v)) push(p, false);
      for (const int s : graph.siblings(v)) push(s, true);
    }
  }
  return out;
}

bool separated(const Graph& graph, const NodeSet& a, const NodeSet& b, const NodeSet& given) {
  const NodeSet found = connected(graph, a, given);
  return std::none_of(b.begin(), b.end(), [&](int v) { return found.contains(v); });
}

Graph project(const Graph& graph, const NodeSet& hidden) {
  Graph all = graph;
  for (const int h : hidden) {
    const NodeSet children = all.children(h);
    const NodeSet parents = all.parents(h);
    const NodeSet siblings = all.siblings(h);
    for (const int c : children) {
      for (const int p : parents) all.add_directed(p, c);
      for (const int s : siblings)
        if (s != c) all.add_bidirected(s, c);
      for (const int d : children)
        if (c < d) all.add_bidirected(c, d);
    }
    all = all.without_incoming({h}).without_outgoing({h});
  }
  std::vector<std::string> names;
  std::vector<int> number(graph.size(), -1);
  for (const int v : graph.all()) {
    if (hidden.contains(v)) continue;
    number[at(v)] = static_cast<int>(names.size());
    names.push_back(graph.name(v));
  }
  Graph out = Graph::make(std::move(names)).value();
  for (const int v : graph.all()) {
    if (hidden.contains(v)) continue;
    for (const int c : all.children(v)) out.add_directed(number[at(v)], number[at(c)]);
    for (const int s : all.siblings(v)) out.add_bidirected(number[at(v)], number[at(s)]);
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal

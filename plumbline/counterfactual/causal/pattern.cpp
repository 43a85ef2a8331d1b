#include "plumbline/counterfactual/causal/pattern.hpp"

#include <algorithm>

namespace plumbline::counterfactual::causal {
namespace {

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// Should a - b become a -> b?
bool follows(const Pattern& p, int a, int b) {
  for (const int c : p.parents(a))  // c -> a - b, c and b not adjacent: else a collider
    if (!p.adjacent(c, b)) return true;
  for (const int c : p.children(a))  // a -> c -> b: else a cycle
    if (p.directed(c, b)) return true;
  for (const int c : p.neighbours(a)) {
    if (!p.directed(c, b)) continue;
    // a - c -> b, a - d -> b, c and d not adjacent
    for (const int d : p.neighbours(a))
      if (d != c && p.directed(d, b) && !p.adjacent(c, d)) return true;
  }
  for (const int c : p.neighbours(a)) {
    // a - c -> d -> b, c and b not adjacent, a and d adjacent
    if (c == b || p.adjacent(c, b)) continue;
    for (const int d : p.children(c))
      if (p.directed(d, b) && p.adjacent(a, d)) return true;
  }
  return false;
}

}  // namespace

void Pattern::link(int a, int b) {
  remove(a, b);
  beside_[at(a)].insert(b);
  beside_[at(b)].insert(a);
}

void Pattern::orient(int a, int b) {
  remove(a, b);
  out_[at(a)].insert(b);
  in_[at(b)].insert(a);
}

void Pattern::remove(int a, int b) {
  beside_[at(a)].erase(b);
  beside_[at(b)].erase(a);
  out_[at(a)].erase(b);
  in_[at(b)].erase(a);
  out_[at(b)].erase(a);
  in_[at(a)].erase(b);
}

NodeSet Pattern::adjacents(int v) const {
  NodeSet out = beside_[at(v)];
  out.insert(in_[at(v)].begin(), in_[at(v)].end());
  out.insert(out_[at(v)].begin(), out_[at(v)].end());
  return out;
}

std::size_t Pattern::edges() const {
  std::size_t twice = 0;
  for (std::size_t v = 0; v < size(); ++v) twice += 2 * out_[v].size() + beside_[v].size();
  return twice / 2;
}

void Pattern::close() {
  // All that follows from one state at once, so that the numbers of nodes do not matter where rules contradict each
  // other: an edge that should point both ways stays undirected.
  while (true) {
    std::vector<std::pair<int, int>> found;
    for (int a = 0; at(a) < size(); ++a)
      for (const int b : neighbours(a))
        if (follows(*this, a, b) && !follows(*this, b, a)) found.emplace_back(a, b);
    if (found.empty()) return;
    for (const auto& [a, b] : found) orient(a, b);
  }
}

Pattern pattern_of(const std::vector<NodeSet>& parents) {
  Pattern out(parents.size());
  for (int v = 0; at(v) < parents.size(); ++v)
    for (const int p : parents[at(v)]) out.link(p, v);
  for (int v = 0; at(v) < parents.size(); ++v)
    for (const int p : parents[at(v)])
      for (const int q : parents[at(v)]) {
        if (p >= q || out.adjacent(p, q)) continue;
        out.orient(p, v);
        out.orient(q, v);
      }
  out.close();
  return out;
}

Pattern pattern_of(const Graph& graph) {
  std::vector<NodeSet> parents;
  for (const int v : graph.all()) parents.push_back(graph.parents(v));
  return pattern_of(parents);
}

std::vector<NodeSet> extension(const Pattern& pattern) {
  std::vector<NodeSet> parents(pattern.size());
  for (int v = 0; at(v) < pattern.size(); ++v) parents[at(v)] = pattern.parents(v);
  Pattern left = pattern;
  std::vector<bool> gone(pattern.size(), false);
  const auto is_sink = [&](int v) {
    if (!left.children(v).empty()) return false;
    const NodeSet around = left.adjacents(v);
    for (const int u : left.neighbours(v))
      for (const int w : around)
        if (w != u && !left.adjacent(u, w)) return false;
    return true;
  };
  for (std::size_t done = 0; done < pattern.size(); ++done) {
    int sink = -1;
    for (int v = 0; at(v) < pattern.size() && sink < 0; ++v)
      if (!gone[at(v)] && is_sink(v)) sink = v;
    if (sink < 0) return {};
    const NodeSet toward = left.neighbours(sink);
    parents[at(sink)].insert(toward.begin(), toward.end());
    for (const int w : left.adjacents(sink)) left.remove(sink, w);
    gone[at(sink)] = true;
  }
  return parents;
}

std::size_t distance(const Pattern& a, const Pattern& b) {
  std::size_t out = 0;
  for (int v = 0; at(v) < a.size(); ++v)
    for (int w = v + 1; at(w) < a.size(); ++w)
      out += a.directed(v, w) != b.directed(v, w) || a.directed(w, v) != b.directed(w, v) ||
             a.undirected(v, w) != b.undirected(v, w);
  return out;
}

}  // namespace plumbline::counterfactual::causal

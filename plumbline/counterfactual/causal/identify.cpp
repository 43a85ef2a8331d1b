#include "plumbline/counterfactual/causal/identify.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

NodeSet minus(const NodeSet& a, const NodeSet& b) {
  NodeSet out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}
NodeSet both(const NodeSet& a, const NodeSet& b) {
  NodeSet out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}
NodeSet either(NodeSet a, const NodeSet& b) {
  a.insert(b.begin(), b.end());
  return a;
}
bool inside(const NodeSet& a, const NodeSet& b) { return std::includes(b.begin(), b.end(), a.begin(), a.end()); }

/// A distribution over `nodes`: the observed one (its margins are P(...) again), or a formula.
struct Joint {
  NodeSet nodes;
  ExpressionPtr formula;  ///< null: the observed one

  Joint margin(const NodeSet& keep) const {
    if (formula == nullptr) return {keep, nullptr};
    return {keep, sum(minus(nodes, keep), formula)};
  }
  ExpressionPtr expression() const { return formula == nullptr ? probability(nodes, {}) : formula; }
};

class Identifier {
 public:
  explicit Identifier(const Graph& graph) : graph_(graph), order_(graph.order().value()) {}

  /// Null: the hedge says why.
  ExpressionPtr effect(const NodeSet& y, NodeSet x, const Joint& p, std::size_t depth) {
    const NodeSet& v = p.nodes;
    const Graph g = graph_.within(v);
    if (x.empty()) {
      step(depth, fmt::format("Nothing is set, so {} is the margin of what is known.", ask(y, x)));
      return p.margin(y).expression();
    }
    const NodeSet above = g.ancestors(y);
    if (above != v) {
      step(depth,
           fmt::format("{}: {} do{} not lead to {} and {} summed out.", ask(y, x), names(minus(v, above)),
                       minus(v, above).size() == 1 ? "es" : "", names(y), minus(v, above).size() == 1 ? "is" : "are"));
      return effect(y, both(x, above), p.margin(above), depth + 1);
    }
    const NodeSet idle = minus(minus(v, x), g.without_incoming(x).ancestors(y));
    if (!idle.empty()) {
      step(depth,
           fmt::format("{}: once {} is set, {} no longer act{} on {}; setting {} too changes nothing.", ask(y, x),
                       names(x), names(idle), idle.size() == 1 ? "s" : "", names(y), idle.size() == 1 ? "it" : "them"));
      return effect(y, either(x, idle), p, depth + 1);
    }
    const std::vector<NodeSet> parts = g.components(minus(v, x));
    if (parts.size() > 1) return product_of(parts, y, x, p, depth);
    return single(parts[0], y, x, p, g, depth);
  }

  std::vector<std::string> steps;
  Hedge hedge;

 private:
  ExpressionPtr product_of(const std::vector<NodeSet>& parts, const NodeSet& y, const NodeSet& x, const Joint& p,
                           std::size_t depth) {
    std::vector<std::string> words;
    for (const NodeSet& s : parts) words.push_back(fmt::format("{{{}}}", names(s)));
    step(depth, fmt::format("{}: without {} the rest falls into the c-components {}; the effect is the product of "
                            "theirs, summed over what is not asked.",
                            ask(y, x), names(x), fmt::join(words, ", ")));
    std::vector<ExpressionPtr> factors;
    for (const NodeSet& s : parts) {
      const ExpressionPtr one = effect(s, minus(p.nodes, s), p, depth + 1);
      if (one == nullptr) return nullptr;
      factors.push_back(one);
    }
    return sum(minus(p.nodes, either(y, x)), product(std::move(factors)));
  }

  /// Without x all nodes are one c-component s.
  ExpressionPtr single(const NodeSet& s, const NodeSet& y, const NodeSet& x, const Joint& p, const Graph& g,
                       std::size_t depth) {
    const std::vector<NodeSet> whole = g.components(p.nodes);
    if (whole.size() == 1) {
      hedge = {p.nodes, s};
      step(depth,
           fmt::format("{}: {{{}}} is one c-component, and so is {{{}}} inside it without {}: a hedge. Two models "
                       "can agree on all observations and differ here.",
                       ask(y, x), names(p.nodes), names(s), names(x)));
      return nullptr;
    }
    const NodeSet& home = *std::find_if(whole.begin(), whole.end(), [&](const NodeSet& c) { return inside(s, c); });
    std::vector<ExpressionPtr> factors;
    for (const int v : order_)
      if (home.contains(v)) factors.push_back(conditional(v, p, g));
    if (home == s) {
      step(depth,
           fmt::format("{}: {{{}}} is a c-component of its own; its effect is the product of its conditionals in "
                       "the order of causes.",
                       ask(y, x), names(s)));
      return sum(minus(s, y), product(std::move(factors)));
    }
    step(depth, fmt::format("{}: {{{}}} lies in the c-component {{{}}}, whose conditionals are known; go on inside it.",
                            ask(y, x), names(s), names(home)));
    return effect(y, both(x, home), {home, product(std::move(factors))}, depth + 1);
  }

  /// P(v | all before it in the order).
  ExpressionPtr conditional(int v, const Joint& p, const Graph& g) const {
    NodeSet before;
    for (const int w : order_) {
      if (w == v) break;
      if (p.nodes.contains(w)) before.insert(w);
    }
    const NodeSet upto = either(before, {v});
    if (p.formula != nullptr) return quotient(p.margin(upto).expression(), p.margin(before).expression());
    // Given its district among these and their parents, v is independent of all others before it; of those, what the
    // graph makes idle is dropped one by one.
    const Graph sub = g.within(upto);
    NodeSet given;
    for (const NodeSet& district : sub.components(upto)) {
      if (!district.contains(v)) continue;
      given = district;
      for (const int w : district) given = either(given, sub.parents(w));
    }
    given.erase(v);
    for (const int w : NodeSet(given)) {
      const NodeSet less = minus(given, {w});
      if (separated(sub, {v}, {w}, less)) given = less;
    }
    return probability({v}, given);
  }

  std::string names(const NodeSet& nodes) const { return graph_.words(nodes); }
  std::string ask(const NodeSet& y, const NodeSet& x) const {
    return x.empty() ? fmt::format("P({})", names(y)) : fmt::format("P({} | do({}))", names(y), names(x));
  }
  void step(std::size_t depth, std::string words) { steps.push_back(std::string(2 * depth, ' ') + std::move(words)); }

  const Graph& graph_;
  std::vector<int> order_;
};

base::Status check_pair(const Graph& graph, int treatment, int outcome) {
  if (treatment == outcome)
    return make_error(Code::kValue, fmt::format("'{}' is treatment and outcome", graph.name(treatment)));
  PL_TRY(const std::vector<int> order, graph.order());
  (void)order;
  return base::ok();
}

/// An undirected graph over some nodes.
using Links = std::vector<NodeSet>;

/// Which nodes are joined to each other by not being separated: parents of a common child, and all along <-> chains.
Links moral(const Graph& graph, const NodeSet& nodes) {
  Links out(graph.size());
  const Graph g = graph.within(nodes);
  const auto link = [&](int a, int b) {
    if (a == b) return;
    out[static_cast<std::size_t>(a)].insert(b);
    out[static_cast<std::size_t>(b)].insert(a);
  };
  for (const NodeSet& district : g.components(nodes)) {
    NodeSet collided = district;
    for (const int v : district) collided.insert(g.parents(v).begin(), g.parents(v).end());
    for (const int a : collided)
      for (const int b : collided) link(a, b);
  }
  return out;
}

/// A node that may not be in a separator is taken out, its neighbours joined.
void take_out(Links& links, int v) {
  const NodeSet around = links[static_cast<std::size_t>(v)];
  for (const int a : around) {
    NodeSet& mine = links[static_cast<std::size_t>(a)];
    mine.insert(around.begin(), around.end());
    mine.erase(a);
    mine.erase(v);
  }
  links[static_cast<std::size_t>(v)].clear();
}

NodeSet side_of(const Links& links, const NodeSet& from, const NodeSet& cut) {
  NodeSet seen = from;
  std::vector<int> open(from.begin(), from.end());
  while (!open.empty()) {
    const int v = open.back();
    open.pop_back();
    for (const int w : links[static_cast<std::size_t>(v)])
      if (!cut.contains(w) && seen.insert(w).second) open.push_back(w);
  }
  return seen;
}

NodeSet rim(const Links& links, const NodeSet& of) {
  NodeSet out;
  for (const int v : of)
    for (const int w : links[static_cast<std::size_t>(v)])
      if (!of.contains(w)) out.insert(w);
  return out;
}

/// Every minimal set that separates a from b. From one to the next: a node of the set joins the side of a, the new rim
/// is cut back to what touches the side of b. Source: Shen, Liang, Efficient enumeration of all minimal separators in a
/// graph, 1997.
SetList minimal_separators(const Links& links, int a, int b, std::size_t limit) {
  SetList out;
  if (links[static_cast<std::size_t>(a)].contains(b)) return out;
  const auto cut_back = [&](const NodeSet& side) {
    const NodeSet edge = rim(links, side);
    return rim(links, side_of(links, {b}, edge));
  };
  std::set<NodeSet> found = {cut_back({a})};
  std::vector<NodeSet> open(found.begin(), found.end());
  while (!open.empty()) {
    const NodeSet now = open.back();
    open.pop_back();
    for (const int v : now) {
      if (links[static_cast<std::size_t>(v)].contains(b)) continue;
      NodeSet side = side_of(links, {a}, now);
      side.insert(v);
      NodeSet next = cut_back(side);
      if (!found.insert(next).second) continue;
      if (found.size() > limit) {
        out.complete = false;
        found.erase(next);
        open.clear();
        break;
      }
      open.push_back(std::move(next));
    }
  }
  out.sets.assign(found.begin(), found.end());
  std::sort(out.sets.begin(), out.sets.end(),
            [](const NodeSet& p, const NodeSet& q) { return p.size() != q.size() ? p.size() < q.size() : p < q; });
  return out;
}

}  // namespace

base::Result<Identification> identify(const Graph& graph, const NodeSet& outcomes, const NodeSet& treatments,
                                      const NodeSet& given) {
  if (outcomes.empty()) return make_error(Code::kValue, "there is no outcome");
  const NodeSet twice = either(either(both(outcomes, treatments), both(outcomes, given)), both(treatments, given));
  if (!twice.empty())
    return make_error(Code::kValue, fmt::format("'{}' is given in two places", graph.name(*twice.begin())), {},
                      "treatments, outcomes and conditions must differ");
  PL_TRY(const std::vector<int> order, graph.order());
  (void)order;
  Identifier id(graph);
  Identification out;
  NodeSet x = treatments;
  NodeSet z = given;
  for (bool again = true; again;) {
    again = false;
    for (const int v : z) {
      const NodeSet rest = minus(z, {v});
      if (!separated(graph.without_incoming(x).without_outgoing({v}), outcomes, {v}, either(x, rest))) continue;
      id.steps.push_back(fmt::format("Seeing {} is here the same as setting it.", graph.name(v)));
      x.insert(v);
      z = rest;
      again = true;
      break;
    }
  }
  const ExpressionPtr joint = id.effect(either(outcomes, z), x, {graph.all(), nullptr}, 0);
  out.steps = std::move(id.steps);
  if (joint == nullptr) {
    out.hedge = std::move(id.hedge);
    return out;
  }
  out.identified = true;
  out.formula = z.empty() ? joint : quotient(joint, sum(outcomes, joint));
  return out;
}

SetList separating_sets(const Graph& graph, int a, int b, const NodeSet& allowed, std::size_t limit) {
  const NodeSet nodes = graph.ancestors({a, b});
  Links links = moral(graph, nodes);
  for (const int v : nodes)
    if (v != a && v != b && !allowed.contains(v)) take_out(links, v);
  return minimal_separators(links, a, b, limit);
}

base::Result<SetList> backdoor_sets(const Graph& graph, int treatment, int outcome, const NodeSet& hidden,
                                    std::size_t limit) {
  PL_CHECK(check_pair(graph, treatment, outcome));
  const NodeSet allowed = minus(minus(graph.all(), hidden), graph.descendants({treatment}));
  return separating_sets(graph.without_outgoing({treatment}), treatment, outcome, minus(allowed, {outcome}), limit);
}

base::Result<SetList> frontdoor_sets(const Graph& graph, int treatment, int outcome, const NodeSet& hidden,
                                     std::size_t tries) {
  PL_CHECK(check_pair(graph, treatment, outcome));
  SetList out;
  const NodeSet between = minus(both(graph.descendants({treatment}), graph.ancestors({outcome})), {treatment, outcome});
  if (!graph.descendants({treatment}).contains(outcome)) return out;
  // (ii) holds or fails for each node alone.
  std::vector<int> candidates;
  const Graph behind = graph.without_outgoing({treatment});
  for (const int m : minus(between, hidden))
    if (separated(behind, {treatment}, {m}, {})) candidates.push_back(m);
  const auto meets_all = [&](const NodeSet& m) {
    const Graph rest = graph.without_outgoing(m).without_incoming(m);
    return !rest.descendants({treatment}).contains(outcome);
  };
  if (!meets_all({candidates.begin(), candidates.end()})) return out;
  // By size, so that a set that holds a found one is not minimal.
  std::vector<std::pair<NodeSet, std::size_t>> level = {{{}, 0}};
  std::size_t tried = 0;
  while (!level.empty()) {
    std::vector<std::pair<NodeSet, std::size_t>> next;
    for (const auto& entry : level) {
      const NodeSet& set = entry.first;
      if (std::any_of(out.sets.begin(), out.sets.end(), [&](const NodeSet& s) { return inside(s, set); })) continue;
      if (++tried > tries) {
        out.complete = false;
        return out;
      }
      if (meets_all(set) && separated(graph.without_outgoing(set), set, {outcome}, {treatment})) {
        out.sets.push_back(set);
        continue;
      }
      for (std::size_t k = entry.second; k < candidates.size(); ++k)
        next.emplace_back(either(set, {candidates[k]}), k + 1);
    }
    level = std::move(next);
  }
  return out;
}

base::Result<std::vector<Instrument>> instruments(const Graph& graph, int treatment, int outcome,
                                                  const NodeSet& hidden) {
  PL_CHECK(check_pair(graph, treatment, outcome));
  std::vector<Instrument> out;
  if (!graph.descendants({treatment}).contains(outcome)) return out;
  const Graph cut = graph.without_outgoing({treatment});
  const NodeSet allowed = minus(minus(graph.all(), hidden), either(graph.descendants({treatment}), {outcome}));
  constexpr std::size_t kTries = 100;
  for (const int z : allowed) {
    const SetList sets = separating_sets(cut, z, outcome, minus(allowed, {z}), kTries);
    for (const NodeSet& w : sets.sets) {
      if (separated(cut, {z}, {treatment}, w)) continue;
      out.push_back({z, w});
      break;
    }
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal

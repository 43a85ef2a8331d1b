#include "plumbline/counterfactual/causal/junction_tree.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace plumbline::counterfactual::causal {
namespace {

std::size_t at(int v) { return static_cast<std::size_t>(v); }

std::vector<int> without(const std::vector<int>& scope, int v) {
  std::vector<int> out;
  std::copy_if(scope.begin(), scope.end(), std::back_inserter(out), [&](int w) { return w != v; });
  return out;
}

std::vector<int> open_part(const std::vector<int>& scope, const States& held) {
  std::vector<int> out;
  std::copy_if(scope.begin(), scope.end(), std::back_inserter(out), [&](int w) { return held[at(w)] < 0; });
  return out;
}

double cells_of(const Network& network, const std::vector<int>& scope) {
  double n = 1;
  for (const int v : scope) n *= network.states(v);
  return n;
}

std::vector<int> family(const Network& network, int v) {
  std::vector<int> out = network.parents(v);
  out.push_back(v);
  std::sort(out.begin(), out.end());
  return out;
}

/// The cliques of an elimination order as a tree. Clique k hangs on the clique of the variable of its rest whose turn
/// comes first; where that one is no larger than the rest, it is contained in k and k takes its place.
struct CliqueTree {
  std::vector<int> host;    ///< by clique of the order: the clique that stands for it
  std::vector<int> parent;  ///< by host
  std::vector<std::vector<int>> separator;

  CliqueTree(const EliminationOrder& plan, const std::vector<std::size_t>& turn)
      : host(plan.order.size()), parent(plan.order.size(), -1), separator(plan.order.size()) {
    std::iota(host.begin(), host.end(), 0);
    for (std::size_t k = 0; k < plan.order.size(); ++k) {
      std::vector<int> rest = without(plan.cliques[k], plan.order[k]);
      if (rest.empty()) continue;
      std::size_t next = plan.order.size();
      for (const int v : rest) next = std::min(next, turn[at(v)]);
      const int node = find(static_cast<int>(k));
      if (rest.size() == plan.cliques[next].size() && host[next] == static_cast<int>(next)) {
        host[next] = node;
      } else {
        parent[at(node)] = static_cast<int>(next);
        separator[at(node)] = std::move(rest);
      }
    }
  }
  int find(int k) const {
    while (host[at(k)] != k) k = host[at(k)];
    return k;
  }
};

}  // namespace

JunctionTree JunctionTree::make(const Network& network, Heuristic heuristic) {
  JunctionTree out;
  out.network_ = &network;
  const auto n = static_cast<int>(network.size());
  std::vector<std::vector<int>> families;
  std::vector<int> sizes;
  for (int v = 0; v < n; ++v) {
    families.push_back(family(network, v));
    sizes.push_back(network.states(v));
  }
  const EliminationOrder plan = find_order(families, sizes, std::vector<bool>(network.size(), false), heuristic);
  std::vector<std::size_t> turn(network.size(), 0);
  for (std::size_t k = 0; k < plan.order.size(); ++k) turn[at(plan.order[k])] = k;
  const CliqueTree tree(plan, turn);

  // Numbered so that every node comes after its parent.
  std::vector<std::vector<int>> children(network.size());
  std::vector<int> open;
  for (int k = n - 1; k >= 0; --k) {
    if (tree.host[at(k)] != k) continue;
    const int above = tree.parent[at(k)];
    if (above < 0)
      open.push_back(k);
    else
      children[at(tree.find(above))].push_back(k);
  }
  std::vector<int> number(network.size(), -1);
  while (!open.empty()) {
    const int k = open.back();
    open.pop_back();
    number[at(k)] = static_cast<int>(out.nodes_.size());
    const int above = tree.parent[at(k)];
    out.nodes_.push_back(
        {plan.cliques[at(k)], tree.separator[at(k)], above < 0 ? -1 : number[at(tree.find(above))], {}});
    open.insert(open.end(), children[at(k)].begin(), children[at(k)].end());
  }
  for (int v = 0; v < n; ++v) {
    std::size_t first = plan.order.size();
    for (const int w : families[at(v)]) first = std::min(first, turn[at(w)]);
    out.nodes_[at(number[at(tree.find(static_cast<int>(first)))])].families.push_back(v);
  }
  out.home_.assign(network.size(), -1);
  std::vector<double> least(network.size(), std::numeric_limits<double>::infinity());
  for (std::size_t c = 0; c < out.nodes_.size(); ++c) {
    const std::vector<int>& scope = out.nodes_[c].scope;
    const double cells = cells_of(network, scope);
    out.cells_ += cells;
    out.largest_ = std::max(out.largest_, cells);
    out.width_ = std::max(out.width_, scope.size() - 1);
    for (const int v : scope) {
      if (cells >= least[at(v)]) continue;
      least[at(v)] = cells;
      out.home_[at(v)] = static_cast<int>(c);
    }
  }
  return out;
}

base::Result<Posteriors> JunctionTree::posteriors(const Assignments& evidence, const ExactLimits& limits) const {
  const Network& network = *network_;
  const States held = states_of(network, evidence);
  std::vector<std::vector<int>> scopes;
  double cells = 0;
  for (const Node& node : nodes_) {
    scopes.push_back(open_part(node.scope, held));
    cells += cells_of(network, scopes.back());
  }
  Posteriors out;
  out.cells = cells;
  out.too_wide = cells > limits.cells;
  if (out.too_wide) return out;
  std::vector<Factor> belief;
  for (std::size_t c = 0; c < nodes_.size(); ++c) {
    belief.push_back(Factor::ones(network, std::move(scopes[c])));
    for (const int v : nodes_[c].families) multiply_into(belief[c], mechanism_factor(network, v, held));
  }
  std::vector<Factor> message(nodes_.size());
  for (std::size_t c = nodes_.size(); c-- > 0;) {
    PL_CHECK(limits.cancel.status());
    if (nodes_[c].parent < 0) {
      out.log_evidence += log_sum_exp(belief[c].log);
      continue;
    }
    message[c] = marginal(belief[c], open_part(nodes_[c].separator, held));
    multiply_into(belief[at(nodes_[c].parent)], message[c]);
  }
  if (std::isinf(out.log_evidence)) {
    out.impossible = true;
    return out;
  }
  for (std::size_t c = 0; c < nodes_.size(); ++c) {
    PL_CHECK(limits.cancel.status());
    if (nodes_[c].parent < 0) continue;
    Factor update = marginal(belief[at(nodes_[c].parent)], message[c].scope);
    divide_into(update, message[c]);
    multiply_into(belief[c], update);
  }
  for (int v = 0; at(v) < network.size(); ++v) {
    if (held[at(v)] >= 0) {
      out.marginal.emplace_back(at(network.states(v)), 0.0);
      out.marginal.back()[at(held[at(v)])] = 1;
    } else {
      out.marginal.push_back(normalise(marginal(belief[at(home_[at(v)])], {v}).log).probability);
    }
  }
  return out;
}

base::Result<Posteriors> marginals(const Network& network, const Assignments& evidence, const ExactLimits& limits) {
  const auto n = static_cast<int>(network.size());
  bool exact = true;
  for (int v = 0; v < n; ++v) exact = exact && network.sums_to_one(v);
  if (exact) return JunctionTree::make(network, limits.heuristic).posteriors(evidence, limits);
  const States held = states_of(network, evidence);
  Posteriors out;
  PL_TRY(const EliminationAnswer seen, eliminate(network, {}, evidence, limits));
  out.cells = seen.plan.largest;
  out.too_wide = seen.too_wide;
  if (out.too_wide) return out;
  out.log_evidence = seen.log_evidence;
  out.impossible = std::isinf(seen.log_evidence);
  if (out.impossible) return out;
  for (int v = 0; v < n; ++v) {
    if (held[at(v)] >= 0) {
      out.marginal.emplace_back(at(network.states(v)), 0.0);
      out.marginal.back()[at(held[at(v)])] = 1;
      continue;
    }
    PL_TRY(const EliminationAnswer one, eliminate(network, {v}, evidence, limits));
    out.cells = std::max(out.cells, one.plan.largest);
    if (one.too_wide) {
      out.too_wide = true;
      out.marginal.clear();
      return out;
    }
    out.marginal.push_back(normalise(one.joint.log).probability);
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal

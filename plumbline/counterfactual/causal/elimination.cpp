#include "plumbline/counterfactual/causal/elimination.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace plumbline::counterfactual::causal {
namespace {

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// Neighbours as sorted lists: networks are sparse.
class Neighbours {
 public:
  Neighbours(const std::vector<std::vector<int>>& scopes, std::size_t size) : of_(size) {
    for (const std::vector<int>& scope : scopes)
      for (const int a : scope)
        for (const int b : scope)
          if (a != b) of_[at(a)].push_back(b);
    for (std::vector<int>& all : of_) {
      std::sort(all.begin(), all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
    }
  }
  const std::vector<int>& of(int v) const { return of_[at(v)]; }
  bool linked(int a, int b) const { return std::binary_search(of_[at(a)].begin(), of_[at(a)].end(), b); }
  /// Links all neighbours of v and takes v away.
  void eliminate(int v) {
    const std::vector<int> all = of_[at(v)];
    for (const int a : all) {
      std::vector<int>& mine = of_[at(a)];
      std::vector<int> merged;
      std::set_union(mine.begin(), mine.end(), all.begin(), all.end(), std::back_inserter(merged));
      merged.erase(std::remove_if(merged.begin(), merged.end(), [&](int b) { return b == a || b == v; }), merged.end());
      mine = std::move(merged);
    }
    of_[at(v)].clear();
  }

 private:
  std::vector<std::vector<int>> of_;
};

double weight(const Neighbours& graph, const std::vector<int>& sizes, int v) {
  double cells = sizes[at(v)];
  for (const int w : graph.of(v)) cells *= sizes[at(w)];
  return cells;
}

double fill(const Neighbours& graph, int v) {
  const std::vector<int>& all = graph.of(v);
  double missing = 0;
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = i + 1; j < all.size(); ++j) missing += graph.linked(all[i], all[j]) ? 0 : 1;
  return missing;
}

EliminationOrder greedy(const std::vector<std::vector<int>>& scopes, const std::vector<int>& sizes,
                        const std::vector<bool>& keep, bool by_fill) {
  Neighbours graph(scopes, sizes.size());
  const auto n = static_cast<int>(sizes.size());
  const auto cost = [&](int v) { return by_fill ? fill(graph, v) : weight(graph, sizes, v); };
  std::vector<int> open;
  std::vector<double> costs(sizes.size(), 0);
  for (int v = 0; v < n; ++v) {
    if (keep[at(v)]) continue;
    open.push_back(v);
    costs[at(v)] = cost(v);
  }
  EliminationOrder out;
  std::vector<int> touched;
  while (!open.empty()) {
    const auto next =
        std::min_element(open.begin(), open.end(), [&](int a, int b) { return costs[at(a)] < costs[at(b)]; });
    const int v = *next;
    open.erase(next);
    std::vector<int> clique = graph.of(v);
    const double cells = weight(graph, sizes, v);
    out.cells += cells;
    out.largest = std::max(out.largest, cells);
    out.width = std::max(out.width, clique.size());
    // Fill changes for neighbours of neighbours too, weight for neighbours alone.
    touched = clique;
    graph.eliminate(v);
    if (by_fill)
      for (const int a : clique) touched.insert(touched.end(), graph.of(a).begin(), graph.of(a).end());
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (const int w : touched)
      if (!keep[at(w)]) costs[at(w)] = cost(w);
    clique.insert(std::lower_bound(clique.begin(), clique.end(), v), v);
    out.order.push_back(v);
    out.cliques.push_back(std::move(clique));
  }
  return out;
}

}  // namespace

std::string_view heuristic_name(Heuristic heuristic) {
  switch (heuristic) {
    case Heuristic::kMinFill: return "min-fill";
    case Heuristic::kMinWeight: return "min-weight";
    case Heuristic::kBest: return "best";
  }
  return "";
}

base::Result<Heuristic> parse_heuristic(std::string_view name) {
  for (const Heuristic h : {Heuristic::kMinFill, Heuristic::kMinWeight, Heuristic::kBest})
    if (heuristic_name(h) == name) return h;
  return base::make_error(base::Code::kValue, fmt::format("there is no order '{}'", name), {},
                          "orders are min-fill, min-weight, best");
}

EliminationOrder find_order(const std::vector<std::vector<int>>& scopes, const std::vector<int>& sizes,
                            const std::vector<bool>& keep, Heuristic heuristic) {
  if (heuristic != Heuristic::kBest) return greedy(scopes, sizes, keep, heuristic == Heuristic::kMinFill);
  EliminationOrder by_fill = greedy(scopes, sizes, keep, true);
  EliminationOrder by_weight = greedy(scopes, sizes, keep, false);
  return by_weight.cells < by_fill.cells ? by_weight : by_fill;
}

base::Result<EliminationAnswer> eliminate(const Network& network, const std::vector<int>& targets,
                                          const Assignments& evidence, const ExactLimits& limits) {
  const States held = states_of(network, evidence);
  std::vector<int> needed = targets;
  for (const Assignment& a : evidence) needed.push_back(a.variable);
  const auto n = static_cast<int>(network.size());
  const std::vector<bool> relevant = network.ancestors(needed);

  std::vector<Factor> pool;
  std::vector<std::vector<int>> scopes;
  std::vector<int> sizes(network.size(), 1);
  std::vector<bool> keep(network.size(), true);
  for (int v = 0; v < n; ++v) {
    if (!relevant[at(v)]) continue;
    pool.push_back(mechanism_factor(network, v, held));
    scopes.push_back(pool.back().scope);
    if (held[at(v)] >= 0) continue;
    sizes[at(v)] = network.states(v);
    keep[at(v)] = std::find(targets.begin(), targets.end(), v) != targets.end();
  }
  EliminationAnswer out;
  out.plan = find_order(scopes, sizes, keep, limits.heuristic);
  std::vector<int> last;
  double joint_cells = 1;
  for (const int t : targets) {
    if (held[at(t)] >= 0) continue;
    last.push_back(t);
    joint_cells *= network.states(t);
  }
  std::sort(last.begin(), last.end());
  last.erase(std::unique(last.begin(), last.end()), last.end());
  if (std::max(out.plan.largest, joint_cells) > limits.cells) {
    out.too_wide = true;
    return out;
  }
  // Buckets: a table waits at the variable of its scope whose turn comes first; constants and targets wait at the end.
  std::vector<std::size_t> turn(network.size(), out.plan.order.size());
  for (std::size_t k = 0; k < out.plan.order.size(); ++k) turn[at(out.plan.order[k])] = k;
  std::vector<std::vector<Factor>> buckets(out.plan.order.size() + 1);
  const auto place = [&](Factor f) {
    std::size_t first = out.plan.order.size();
    for (const int v : f.scope) first = std::min(first, turn[at(v)]);
    buckets[first].push_back(std::move(f));
  };
  for (Factor& f : pool) place(std::move(f));
  const auto gather = [&](std::vector<Factor>& bucket, std::vector<int> scope) {
    std::vector<const Factor*> all;
    for (const Factor& f : bucket) all.push_back(&f);
    return product(network, std::move(scope), all);
  };
  for (std::size_t k = 0; k < out.plan.order.size(); ++k) {
    PL_CHECK(limits.cancel.status());
    const std::vector<int>& clique = out.plan.cliques[k];
    std::vector<int> rest;
    for (const int v : clique)
      if (v != out.plan.order[k]) rest.push_back(v);
    place(marginal(gather(buckets[k], clique), rest));
    buckets[k].clear();
  }
  out.joint = gather(buckets.back(), last);
  out.log_evidence = log_sum_exp(out.joint.log);
  return out;
}

}  // namespace plumbline::counterfactual::causal

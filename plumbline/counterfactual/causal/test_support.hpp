#pragma once
/// For tests: random networks, and answers by plain enumeration of the joint.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/graph.hpp"
#include "plumbline/counterfactual/causal/independence.hpp"
#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal::testing {

/// Variables v0, v1, ... with 2 to `states` states and up to `parents` parents among the earlier ones; a share `zeros`
/// of the cells is zero.
inline Network random_network(base::Rng& rng, int size, int states = 3, int parents = 3, double zeros = 0) {
  std::vector<Variable> variables;
  std::vector<Mechanism> mechanisms;
  for (int v = 0; v < size; ++v) {
    Variable out{"v" + std::to_string(v), {}};
    const int width = 2 + static_cast<int>(rng.below(static_cast<std::uint64_t>(states - 1)));
    for (int k = 0; k < width; ++k) out.states.push_back("s" + std::to_string(k));
    Mechanism m;
    std::size_t rows = 1;
    const std::size_t most = std::min<std::size_t>(static_cast<std::size_t>(v), static_cast<std::size_t>(parents));
    for (const std::size_t p : rng.sample(static_cast<std::size_t>(v), rng.below(most + 1))) {
      m.parents.push_back(static_cast<int>(p));
      rows *= variables[p].states.size();
    }
    rng.shuffle(std::span<int>(m.parents));
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<double> row;
      double sum = 0;
      for (int k = 0; k < width; ++k) {
        row.push_back(rng.bernoulli(zeros) ? 0.0 : 0.05 + rng.uniform());
        sum += row.back();
      }
      if (sum == 0) sum = row[0] = 1;
      for (const double x : row) m.table.push_back(x / sum);
    }
    variables.push_back(std::move(out));
    mechanisms.push_back(std::move(m));
  }
  return Network::make("random", std::move(variables), std::move(mechanisms)).value();
}

/// Calls visit(states, probability) for every joint state of the variables that count; the others stay in state 0.
inline void enumerate(const Network& network, const std::vector<bool>& counts,
                      const std::function<void(const std::vector<int>&, double)>& visit) {
  std::vector<int> states(network.size(), 0);
  while (true) {
    double p = 1;
    for (int v = 0; v < static_cast<int>(network.size()); ++v) {
      if (!counts[static_cast<std::size_t>(v)]) continue;
      std::vector<int> given;
      for (const int parent : network.parents(v)) given.push_back(states[static_cast<std::size_t>(parent)]);
      p *= network.row(v, given)[static_cast<std::size_t>(states[static_cast<std::size_t>(v)])];
    }
    visit(states, p);
    std::size_t k = states.size();
    while (k > 0) {
      --k;
      if (counts[k] && ++states[k] < network.states(static_cast<int>(k))) break;
      states[k] = 0;
      if (k == 0) return;
    }
  }
}
inline void enumerate(const Network& network, const std::function<void(const std::vector<int>&, double)>& visit) {
  enumerate(network, std::vector<bool>(network.size(), true), visit);
}

/// P(target | evidence) and P(evidence) by enumeration of the target, the evidence and their ancestors; empty where
/// P(evidence) = 0.
inline std::vector<double> enumerated(const Network& network, int target, const Assignments& evidence,
                                      double* probability = nullptr) {
  std::vector<double> out(static_cast<std::size_t>(network.states(target)), 0.0);
  std::vector<int> needed = {target};
  for (const Assignment& a : evidence) needed.push_back(a.variable);
  enumerate(network, network.ancestors(needed), [&](const std::vector<int>& states, double p) {
    for (const Assignment& a : evidence)
      if (states[static_cast<std::size_t>(a.variable)] != a.state) return;
    out[static_cast<std::size_t>(states[static_cast<std::size_t>(target)])] += p;
  });
  double sum = 0;
  for (const double p : out) sum += p;
  if (probability != nullptr) *probability = sum;
  if (sum == 0) return {};
  for (double& p : out) p /= sum;
  return out;
}

/// Up to `most` variables in random states.
inline Assignments random_evidence(const Network& network, base::Rng& rng, std::size_t most) {
  Assignments out;
  for (const std::size_t v : rng.sample(network.size(), rng.below(std::min(most, network.size()) + 1)))
    out.push_back({static_cast<int>(v),
                   static_cast<int>(rng.below(static_cast<std::uint64_t>(network.states(static_cast<int>(v)))))});
  return out;
}

/// Rows drawn from the network.
inline Sample draw_rows(const Network& network, std::size_t rows, base::Rng& rng) {
  Sample out;
  out.discrete = true;
  out.rows = rows;
  for (int v = 0; v < static_cast<int>(network.size()); ++v) {
    out.names.push_back(network.variable(v).name);
    out.states.push_back(network.states(v));
    out.codes.emplace_back(rows, std::uint16_t{0});
  }
  for (std::size_t i = 0; i < rows; ++i)
    for (const int v : network.order()) {
      std::vector<int> given;
      for (const int p : network.parents(v)) given.push_back(out.codes[static_cast<std::size_t>(p)][i]);
      const std::span<const double> row = network.row(v, given);
      double left = rng.uniform();
      std::uint16_t k = 0;
      while (k + 1U < row.size() && (left -= row[k]) >= 0) ++k;
      out.codes[static_cast<std::size_t>(v)][i] = k;
    }
  return out;
}

/// A linear model with normal noise over the graph: weights of size 0.5 to 1 either way, noise of deviation 1.
inline Sample draw_linear(const Graph& graph, std::size_t rows, base::Rng& rng) {
  Sample out;
  out.rows = rows;
  out.names = graph.names(graph.all());
  out.numbers.resize(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(graph.size()));
  for (const int v : graph.order().value()) {
    out.numbers.col(v).setZero();
    for (const int p : graph.parents(v))
      out.numbers.col(v) += (rng.bernoulli(0.5) ? 1 : -1) * rng.uniform(0.5, 1) * out.numbers.col(p);
    for (std::size_t i = 0; i < rows; ++i) out.numbers(static_cast<Eigen::Index>(i), v) += rng.normal();
  }
  return out;
}

/// a -> b for a < b with probability `directed`, a <-> b with `bidirected`.
inline Graph random_graph(base::Rng& rng, int size, double directed, double bidirected = 0) {
  std::vector<std::string> names;
  for (int v = 0; v < size; ++v) names.push_back("n" + std::to_string(v));
  Graph out = Graph::make(names).value();
  for (int a = 0; a < size; ++a)
    for (int b = a + 1; b < size; ++b) {
      if (rng.bernoulli(directed)) out.add_directed(a, b);
      if (rng.bernoulli(bidirected)) out.add_bidirected(a, b);
    }
  return out;
}

}  // namespace plumbline::counterfactual::causal::testing

#include "plumbline/world/occupancy.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::world {
namespace {

constexpr std::size_t kMostVariables = std::size_t{1} << 21U;
/// A flow below this is rounding.
constexpr double kNothing = 1e-13;

base::Status check_discount(double discount, bool may_be_one) {
  PL_CHECK(base::check_positive("OccupancyPolytope", "discount", discount));
  return may_be_one ? base::check_in("OccupancyPolytope", "discount", discount, 0, 1)
                    : base::check_in_open("OccupancyPolytope", "discount", discount, 0, 1);
}

base::Error too_large() {
  return base::make_error(base::Code::kLimit, fmt::format("more than {} variables", kMostVariables),
                          "OccupancyPolytope", "shorten the horizon, or plan by dynamic programming");
}

}  // namespace

std::size_t OccupancyPolytope::add_node(int time, std::uint32_t state) {
  const std::size_t first = flow_.variables();
  for (std::uint32_t a = 0; a < actions_; ++a) flow_.add_variable();
  nodes_.push_back({time, state, first});
  return nodes_.size() - 1;
}

base::Result<OccupancyPolytope> OccupancyPolytope::finite_horizon(const Process& process, double discount) {
  PL_CHECK(validate(process));
  PL_CHECK(base::check_at_least("OccupancyPolytope", "horizon", process.horizon, 1));
  PL_CHECK(check_discount(discount, true));
  OccupancyPolytope made(process, discount, true);
  // Nodes layer by layer; the row of a node collects -P(s'|s,a) of those before it.
  std::vector<std::vector<LinearTerm>> inflow;
  std::vector<double> supply;
  std::vector<std::size_t> here(process.states, kNone);
  std::vector<std::size_t> there(process.states, kNone);
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (process.initial[s] > 0) {
      here[s] = made.add_node(0, s);
      inflow.emplace_back();
      supply.push_back(process.initial[s]);
    }
  }
  for (int t = 0; t + 1 < process.horizon; ++t) {
    std::fill(there.begin(), there.end(), kNone);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (here[s] == kNone) continue;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        const std::size_t from = made.nodes_[here[s]].variable + a;
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          const std::uint32_t next = process.next[i];
          if (next == process.end() || process.probability[i] == 0) continue;
          if (there[next] == kNone) {
            if (made.flow_.variables() > kMostVariables) return too_large();
            there[next] = made.add_node(t + 1, next);
            inflow.emplace_back();
            supply.push_back(0);
          }
          inflow[there[next]].push_back({from, -process.probability[i]});
        }
      }
    }
    std::swap(here, there);
  }
  for (std::size_t n = 0; n < made.nodes_.size(); ++n) {
    for (std::uint32_t a = 0; a < process.actions; ++a) inflow[n].push_back({made.nodes_[n].variable + a, 1});
    made.flow_.add_equal(inflow[n], supply[n]);
  }
  // mu(s,a) - sum_t discount^t x_t(s,a) = 0, in the order of pairs.
  std::vector<double> weight(static_cast<std::size_t>(process.horizon), 1.0);
  for (std::size_t t = 1; t < weight.size(); ++t) weight[t] = weight[t - 1] * discount;
  std::vector<std::vector<std::size_t>> of_state(process.states);
  for (std::size_t n = 0; n < made.nodes_.size(); ++n) of_state[made.nodes_[n].state].push_back(n);
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (of_state[s].empty()) continue;
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::size_t visit = made.flow_.add_variable();
      made.visit_[process.pair(s, a)] = visit;
      std::vector<LinearTerm> row = {{visit, 1}};
      for (const std::size_t n : of_state[s]) {
        row.push_back({made.nodes_[n].variable + a, -weight[static_cast<std::size_t>(made.nodes_[n].time)]});
      }
      made.flow_.add_equal(row, 0);
    }
  }
  if (made.flow_.variables() > kMostVariables) return too_large();
  return made;
}

base::Result<OccupancyPolytope> OccupancyPolytope::discounted(const Process& process, double discount) {
  PL_CHECK(validate(process));
  PL_CHECK(check_discount(discount, false));
  if (process.pairs() > kMostVariables) return too_large();
  OccupancyPolytope made(process, discount, false);
  std::vector<std::size_t> node(process.states, kNone);
  std::vector<std::uint32_t> reached;
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (process.initial[s] > 0) {
      node[s] = made.add_node(0, s);
      reached.push_back(s);
    }
  }
  for (std::size_t n = 0; n < reached.size(); ++n) {
    const std::uint64_t begin = process.first[process.pair(reached[n], 0)];
    const std::uint64_t end = process.first[process.pair(reached[n], 0) + process.actions];
    for (std::uint64_t i = begin; i < end; ++i) {
      const std::uint32_t next = process.next[i];
      if (next == process.end() || process.probability[i] == 0 || node[next] != kNone) continue;
      node[next] = made.add_node(0, next);
      reached.push_back(next);
    }
  }
  std::vector<std::vector<LinearTerm>> row(reached.size());
  for (std::size_t n = 0; n < reached.size(); ++n) {
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::size_t pair = process.pair(reached[n], a);
      const std::size_t from = made.nodes_[n].variable + a;
      made.visit_[pair] = from;
      row[n].push_back({from, 1});
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
        const std::uint32_t next = process.next[i];
        if (next == process.end() || process.probability[i] == 0) continue;
        row[node[next]].push_back({from, -discount * process.probability[i]});
      }
    }
  }
  for (std::size_t n = 0; n < reached.size(); ++n) made.flow_.add_equal(row[n], process.initial[reached[n]]);
  return made;
}

std::vector<double> OccupancyPolytope::visits(std::span<const double> variables) const {
  std::vector<double> mu(visit_.size(), 0.0);
  for (std::size_t pair = 0; pair < mu.size(); ++pair) {
    if (visit_[pair] != kNone) mu[pair] = std::max(0.0, variables[visit_[pair]]);
  }
  return mu;
}

TabularPolicy OccupancyPolytope::policy(std::span<const double> variables, const TabularPolicy& elsewhere) const {
  TabularPolicy policy{states_, actions_, steps_, {}};
  policy.probability.reserve(static_cast<std::size_t>(steps_) * pairs());
  for (int t = 0; t < steps_; ++t) {
    for (std::uint32_t s = 0; s < states_; ++s) {
      const std::span<const double> row = elsewhere.at(t, s);
      policy.probability.insert(policy.probability.end(), row.begin(), row.end());
    }
  }
  for (const Node& node : nodes_) {
    double sum = 0;
    for (std::uint32_t a = 0; a < actions_; ++a) sum += std::max(0.0, variables[node.variable + a]);
    if (!(sum > kNothing)) continue;
    double* row =
        policy.probability.data() + static_cast<std::size_t>(node.time) * pairs() + std::size_t{node.state} * actions_;
    for (std::uint32_t a = 0; a < actions_; ++a) row[a] = std::max(0.0, variables[node.variable + a]) / sum;
  }
  return policy;
}

base::Result<std::vector<double>> OccupancyPolytope::point(const Process& process, const TabularPolicy& policy) const {
  PL_CHECK(base::check_size("OccupancyPolytope::point", "process.states", process.states, states_));
  PL_CHECK(base::check_size("OccupancyPolytope::point", "process.actions", process.actions, actions_));
  PL_CHECK(validate_policy(process, policy));
  std::vector<double> variables(flow_.variables(), 0.0);
  if (horizon_) {
    // Nodes are in the order of time, so each one's inflow is complete when its turn comes.
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      double inflow = flow_.row_low()[n];
      const std::span<const LinearTerm> row = flow_.row(n);
      for (const LinearTerm& term : row.first(row.size() - actions_))
        inflow -= term.coefficient * variables[term.variable];
      const std::span<const double> choice = policy.at(nodes_[n].time, nodes_[n].state);
      for (std::uint32_t a = 0; a < actions_; ++a) variables[nodes_[n].variable + a] = inflow * choice[a];
    }
    for (std::size_t i = nodes_.size(); i < flow_.rows(); ++i) {
      const std::span<const LinearTerm> row = flow_.row(i);
      for (const LinearTerm& term : row.subspan(1))
        variables[row[0].variable] -= term.coefficient * variables[term.variable];
    }
    return variables;
  }
  std::vector<double> mass(states_ + 1, 0.0);
  std::vector<double> fresh(states_ + 1, 0.0);
  for (std::uint32_t s = 0; s < states_; ++s) mass[s] = process.initial[s];
  // The power series of the discounted chain; what is left after n steps is at most discount^n / (1 - discount).
  for (double left = 1 / (1 - discount_); left > 1e-17; left *= discount_) {
    std::fill(fresh.begin(), fresh.end(), 0.0);
    for (const Node& node : nodes_) {
      const std::span<const double> choice = policy.at(0, node.state);
      for (std::uint32_t a = 0; a < actions_; ++a) {
        const double flow = mass[node.state] * choice[a];
        if (flow == 0) continue;
        variables[node.variable + a] += flow;
        const std::size_t pair = process.pair(node.state, a);
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          fresh[process.next[i]] += discount_ * flow * process.probability[i];
        }
      }
    }
    std::swap(mass, fresh);
    mass[states_] = 0;
  }
  return variables;
}

std::vector<std::size_t> OccupancyPolytope::basis(const TabularPolicy& policy) const {
  std::vector<std::size_t> basic = first_basis();
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const std::span<const double> row = policy.at(nodes_[n].time, nodes_[n].state);
    basic[n] += static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
  }
  return basic;
}

std::vector<std::size_t> OccupancyPolytope::first_basis() const {
  std::vector<std::size_t> basic;
  for (const Node& node : nodes_) basic.push_back(node.variable);
  if (horizon_) {
    for (const std::size_t visit : visit_) {
      if (visit != kNone) basic.push_back(visit);
    }
  }
  return basic;
}

base::Result<LinearSolution> best_occupancy(const OccupancyPolytope& polytope, std::span<const double> reward,
                                            std::span<const std::size_t> basic) {
  PL_CHECK(
      base::check_size("best_occupancy", "reward", std::ssize(reward), static_cast<std::ptrdiff_t>(polytope.pairs())));
  PL_CHECK(base::check_all_finite("best_occupancy", "reward", reward));
  const std::vector<std::size_t> first = polytope.first_basis();
  LinearProgram program = polytope.flow();
  for (std::size_t pair = 0; pair < reward.size(); ++pair) {
    if (polytope.visit(pair) != OccupancyPolytope::kNone) program.set_cost(polytope.visit(pair), reward[pair]);
  }
  return solve(program, basic.empty() ? std::span<const std::size_t>(first) : basic);
}

}  // namespace plumbline::world

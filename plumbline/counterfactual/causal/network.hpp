#pragma once
/// Discrete Bayesian networks: variables with named states, parents, and a conditional table each.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::counterfactual::causal {

struct Variable {
  std::string name;
  std::vector<std::string> states;
};

/// A variable in one of its states, both by number.
struct Assignment {
  int variable = 0;
  int state = 0;
  bool operator==(const Assignment&) const = default;
};
using Assignments = std::vector<Assignment>;

/// Rows of a table may miss one by this much; they are kept as written.
inline constexpr double kRowSlack = 1e-6;

/// Parents of a variable and P(variable | parents): one row per joint state of the parents, the first parent slowest;
/// in a row one cell per state of the variable.
struct Mechanism {
  std::vector<int> parents;
  std::vector<double> table;
};

/// Immutable and cheap to share by reference; thread-safe.
class Network {
 public:
  /// Errors  kShape: numbers of variables and mechanisms differ, a table of another size than its states ask for.
  ///         kValue: a name that is empty or used twice, fewer than one state, a parent out of range, repeated or the
  ///         variable itself, a cycle (its variables are named), a probability that is not in [0, 1], a row off one
  ///         by more than kRowSlack.
  static base::Result<Network> make(std::string name, std::vector<Variable> variables,
                                    std::vector<Mechanism> mechanisms);

  const std::string& name() const { return name_; }
  std::size_t size() const { return variables_.size(); }
  const Variable& variable(int v) const { return variables_[static_cast<std::size_t>(v)]; }
  const Mechanism& mechanism(int v) const { return mechanisms_[static_cast<std::size_t>(v)]; }
  const std::vector<int>& parents(int v) const { return mechanism(v).parents; }
  const std::vector<int>& children(int v) const { return children_[static_cast<std::size_t>(v)]; }
  int states(int v) const { return static_cast<int>(variable(v).states.size()); }
  /// Every variable after its parents; of those that could come next, the first.
  const std::vector<int>& order() const { return order_; }
  /// Cells of all tables.
  std::size_t cells() const;
  /// The rows of the table sum to one to rounding, so that summing the variable out leaves ones.
  bool sums_to_one(int v) const { return sums_to_one_[static_cast<std::size_t>(v)]; }
  /// Every row has a single cell above zero: the variable is a function of its parents.
  bool deterministic(int v) const;
  /// The row of the table for these states of the parents, in the order of `parents`.
  std::span<const double> row(int v, std::span<const int> parent_states) const;

  std::optional<int> find(std::string_view name) const;
  /// Errors kValue: no such variable; the hint is the nearest name.
  base::Result<int> index(std::string_view name) const;
  /// Errors kValue: no such state; the hint lists the states.
  base::Result<int> state_index(int v, std::string_view state) const;
  /// "A=a" with the names looked up. Errors kValue: no '=', as index and state_index.
  base::Result<Assignment> assignment(std::string_view text) const;
  /// Errors as assignment; kValue: a variable given twice.
  base::Result<Assignments> assignments(std::span<const std::string> texts) const;
  /// "A=a, B=b".
  std::string words(const Assignments& assignments) const;

  /// The variables themselves and everything that they descend from, or that descends from them; flags by variable.
  std::vector<bool> ancestors(std::span<const int> of) const;
  std::vector<bool> descendants(std::span<const int> of) const;

 private:
  std::string name_;
  std::vector<Variable> variables_;
  std::vector<Mechanism> mechanisms_;
  std::vector<std::vector<int>> children_;
  std::vector<int> order_;
  std::vector<bool> sums_to_one_;
};

/// Every variable after its parents, the first that can come next first; the variables of a cycle where there is one.
struct Ordering {
  std::vector<int> order;
  std::vector<int> cycle;  ///< empty, or v0 -> v1 -> ... -> v0
};
Ordering topological_order(const std::vector<std::vector<int>>& parents);

/// The network after do(assignments): each variable is cut from its parents and held at its state.
/// Errors  kValue: a variable given twice. Source: Pearl, Causality, 2009, sec. 3.2.
base::Result<Network> intervene(const Network& network, const Assignments& assignments);

/// A soft intervention: the variable draws from `mechanism` instead. Errors as Network::make.
base::Result<Network> replace_mechanism(const Network& network, int variable, Mechanism mechanism);

/// "A=0.2/0.8": A draws from this distribution, whatever its causes. Errors kValue: no such variable, not one number a
/// state; as Network::make.
base::Result<Network> draw_instead(const Network& network, std::string_view text);

}  // namespace plumbline::counterfactual::causal

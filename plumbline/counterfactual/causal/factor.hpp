#pragma once
/// Tables over a few variables, kept as logarithms so that products of many small probabilities stay in range.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal {

/// log f over `scope`: variables ascending, the last runs fastest. No variables: one cell, a constant.
struct Factor {
  std::vector<int> scope;
  std::vector<int> sizes;   ///< states of each variable of the scope
  std::vector<double> log;  ///< -infinity where f is zero

  static Factor constant(double log_value) { return {{}, {}, {log_value}}; }
  /// f = 1 over this scope. Precondition: ascending.
  static Factor ones(const Network& network, std::vector<int> scope);
};

/// A state for each variable, -1 where it is open.
using States = std::vector<int>;
States states_of(const Network& network, const Assignments& assignments);

/// P(v | parents) as a factor, sliced at the variables that `held` fixes.
Factor mechanism_factor(const Network& network, int v, const States& held);

/// f *= g. Precondition: g's scope lies in f's. Cost: cells of f.
void multiply_into(Factor& f, const Factor& g);
/// The product over the union of the scopes. Precondition: `scope` is that union, ascending.
Factor product(const Network& network, std::vector<int> scope, std::span<const Factor* const> factors);
/// Sum over all variables outside `keep`. Each cell is a sum around its largest term. Precondition: keep lies in the
/// scope, ascending.
Factor marginal(const Factor& f, const std::vector<int>& keep);
/// f / g with 0 / 0 = 0. Precondition: same scope.
void divide_into(Factor& f, const Factor& g);

/// Largest log value after which `exp` gives the weights of the cells: normalised probabilities and log of their sum.
struct Normalised {
  std::vector<double> probability;  ///< empty where every cell is zero
  double log_sum = 0;               ///< -infinity where every cell is zero
};
Normalised normalise(std::span<const double> log);

/// log(exp(a) + exp(b) + ...), -infinity for none.
double log_sum_exp(std::span<const double> log);

}  // namespace plumbline::counterfactual::causal

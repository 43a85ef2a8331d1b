#pragma once
/// Formulas over probabilities that can be estimated: sums, products and quotients of P(a | b).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plumbline/counterfactual/causal/graph.hpp"

namespace plumbline::counterfactual::causal {

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;

struct Expression {
  enum class Kind { kProbability, kProduct, kSum, kQuotient } kind = Kind::kProduct;
  NodeSet variables;                 ///< kProbability: of these …; kSum: over these
  NodeSet given;                     ///< … given these
  std::vector<ExpressionPtr> parts;  ///< factors; the summand; numerator and denominator. No factors: one
};

ExpressionPtr probability(NodeSet variables, NodeSet given);
/// Factors of factors are factors.
ExpressionPtr product(std::vector<ExpressionPtr> factors);
/// Drops what sums to one: P(v, a | b) becomes P(a | b) where v is nowhere else.
ExpressionPtr sum(NodeSet over, ExpressionPtr of);
/// Cancels equal factors; P(a, b) / P(b) becomes P(a | b).
ExpressionPtr quotient(ExpressionPtr numerator, ExpressionPtr denominator);

/// Nodes whose values the formula needs.
NodeSet free_variables(const Expression& e);
bool equal(const Expression& a, const Expression& b);

/// "sum_{z} P(z | x) sum_{x'} P(x') P(y | x', z)": bound variables that would be mistaken for others get a stroke.
std::string text(const Expression& e, const Graph& graph);

/// The formula's value, given P(variables = states | given) and a state for each free variable (others are summed over
/// [0, sizes[v])). `states` is by node. A product with a factor 0 is 0, whatever its other factors.
using Lookup = std::function<double(const NodeSet& variables, const NodeSet& given, const std::vector<int>& states)>;
double evaluate(const Expression& e, const Lookup& lookup, const std::vector<int>& sizes, std::vector<int> states);

}  // namespace plumbline::counterfactual::causal

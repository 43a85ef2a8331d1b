#include "plumbline/counterfactual/causal/expression.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace plumbline::counterfactual::causal {
namespace {

using Kind = Expression::Kind;

ExpressionPtr make(Kind kind, NodeSet variables, NodeSet given, std::vector<ExpressionPtr> parts) {
  return std::make_shared<const Expression>(Expression{kind, std::move(variables), std::move(given), std::move(parts)});
}

NodeSet minus(const NodeSet& a, const NodeSet& b) {
  NodeSet out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}

std::vector<ExpressionPtr> factors_of(const ExpressionPtr& e) {
  if (e->kind == Kind::kProduct) return e->parts;
  return {e};
}

/// How variables are called: the number of strokes by node.
using Strokes = std::map<int, int>;

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph) {}

  std::string print(const Expression& e, const Strokes& strokes) const {
    switch (e.kind) {
      case Kind::kProbability:
        return fmt::format("P({}{}{})", list(e.variables, strokes), e.given.empty() ? "" : " | ",
                           list(e.given, strokes));
      case Kind::kProduct: return factors(e, strokes);
      case Kind::kSum: {
        Strokes inner = strokes;
        for (const int v : e.variables) {
          const auto known = inner.find(v);
          if (known == inner.end())
            inner[v] = 0;
          else
            ++known->second;
        }
        return fmt::format("sum_{{{}}} {}", list(e.variables, inner), print(*e.parts[0], inner));
      }
      case Kind::kQuotient: return fmt::format("[{}] / [{}]", print(*e.parts[0], strokes), print(*e.parts[1], strokes));
    }
    return "";
  }

 private:
  std::string list(const NodeSet& nodes, const Strokes& strokes) const {
    std::vector<std::string> out;
    for (const int v : nodes) {
      const auto found = strokes.find(v);
      out.push_back(graph_.name(v) +
                    std::string(found == strokes.end() ? 0 : static_cast<std::size_t>(found->second), '\''));
    }
    return fmt::format("{}", fmt::join(out, ", "));
  }
  /// Sums last, so that what follows a sum belongs to it; several sums in brackets.
  std::string factors(const Expression& e, const Strokes& strokes) const {
    if (e.parts.empty()) return "1";
    std::vector<std::string> plain;
    std::vector<std::string> sums;
    for (const ExpressionPtr& part : e.parts)
      (part->kind == Kind::kSum ? sums : plain).push_back(print(*part, strokes));
    for (std::size_t k = 0; k < sums.size(); ++k)
      plain.push_back(sums.size() > 1 ? fmt::format("[{}]", sums[k]) : sums[k]);
    return fmt::format("{}", fmt::join(plain, " "));
  }
  const Graph& graph_;
};

}  // namespace

ExpressionPtr probability(NodeSet variables, NodeSet given) {
  if (variables.empty()) return product({});
  return make(Kind::kProbability, std::move(variables), std::move(given), {});
}

ExpressionPtr product(std::vector<ExpressionPtr> factors) {
  std::vector<ExpressionPtr> flat;
  for (const ExpressionPtr& f : factors)
    for (const ExpressionPtr& part : factors_of(f)) flat.push_back(part);
  if (flat.size() == 1) return flat[0];
  return make(Kind::kProduct, {}, {}, std::move(flat));
}

ExpressionPtr sum(NodeSet over, ExpressionPtr of) {
  if (of->kind == Kind::kSum &&
      !std::any_of(over.begin(), over.end(), [&](int v) { return of->variables.contains(v); })) {
    over.insert(of->variables.begin(), of->variables.end());
    of = of->parts[0];
  }
  std::vector<ExpressionPtr> parts = factors_of(of);
  for (bool again = true; again;) {
    again = false;
    for (const int v : over) {
      std::size_t users = 0;
      std::size_t last = 0;
      for (std::size_t k = 0; k < parts.size(); ++k) {
        if (!free_variables(*parts[k]).contains(v)) continue;
        ++users;
        last = k;
      }
      if (users != 1 || parts[last]->kind != Kind::kProbability || !parts[last]->variables.contains(v)) continue;
      parts[last] = probability(minus(parts[last]->variables, {v}), parts[last]->given);
      over.erase(v);
      again = true;
      break;
    }
  }
  const ExpressionPtr rest = product(std::move(parts));
  if (over.empty()) return rest;
  // Factors without a summed variable stand before the sum.
  std::vector<ExpressionPtr> outside;
  std::vector<ExpressionPtr> inside;
  for (const ExpressionPtr& part : factors_of(rest)) {
    const NodeSet free = free_variables(*part);
    const bool bound = std::any_of(over.begin(), over.end(), [&](int v) { return free.contains(v); });
    (bound ? inside : outside).push_back(part);
  }
  outside.push_back(make(Kind::kSum, std::move(over), {}, {product(std::move(inside))}));
  return product(std::move(outside));
}

ExpressionPtr quotient(ExpressionPtr numerator, ExpressionPtr denominator) {
  std::vector<ExpressionPtr> above = factors_of(numerator);
  std::vector<ExpressionPtr> below;
  for (const ExpressionPtr& d : factors_of(denominator)) {
    const auto same = std::find_if(above.begin(), above.end(), [&](const ExpressionPtr& n) { return equal(*n, *d); });
    if (same != above.end())
      above.erase(same);
    else
      below.push_back(d);
  }
  if (below.empty()) return product(std::move(above));
  if (above.size() == 1 && below.size() == 1 && above[0]->kind == Kind::kProbability &&
      below[0]->kind == Kind::kProbability && above[0]->given == below[0]->given &&
      std::includes(above[0]->variables.begin(), above[0]->variables.end(), below[0]->variables.begin(),
                    below[0]->variables.end())) {
    NodeSet given = below[0]->given;
    given.insert(below[0]->variables.begin(), below[0]->variables.end());
    return probability(minus(above[0]->variables, below[0]->variables), std::move(given));
  }
  return make(Kind::kQuotient, {}, {}, {product(std::move(above)), product(std::move(below))});
}

NodeSet free_variables(const Expression& e) {
  NodeSet out;
  if (e.kind == Kind::kProbability) {
    out = e.variables;
    out.insert(e.given.begin(), e.given.end());
    return out;
  }
  for (const ExpressionPtr& part : e.parts) {
    const NodeSet more = free_variables(*part);
    out.insert(more.begin(), more.end());
  }
  return e.kind == Kind::kSum ? minus(out, e.variables) : out;
}

bool equal(const Expression& a, const Expression& b) {
  return a.kind == b.kind && a.variables == b.variables && a.given == b.given &&
         std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), b.parts.end(),
                    [](const ExpressionPtr& x, const ExpressionPtr& y) { return equal(*x, *y); });
}

std::string text(const Expression& e, const Graph& graph) {
  Strokes strokes;
  for (const int v : free_variables(e)) strokes[v] = 0;
  return Printer(graph).print(e, strokes);
}

double evaluate(const Expression& e, const Lookup& lookup, const std::vector<int>& sizes, std::vector<int> states) {
  switch (e.kind) {
    case Kind::kProbability: return lookup(e.variables, e.given, states);
    case Kind::kProduct: {
      double out = 1;
      bool none = false;
      for (const ExpressionPtr& part : e.parts) {
        const double factor = evaluate(*part, lookup, sizes, states);
        none = none || factor == 0;
        out *= factor;
      }
      // What never occurs adds nothing, though shares given it are not defined.
      return none ? 0 : out;
    }
    case Kind::kSum: {
      double out = 0;
      for (const int v : e.variables) states[static_cast<std::size_t>(v)] = 0;
      while (true) {
        out += evaluate(*e.parts[0], lookup, sizes, states);
        bool carried = true;
        for (const int v : e.variables) {
          const auto k = static_cast<std::size_t>(v);
          if (++states[k] < sizes[k]) {
            carried = false;
            break;
          }
          states[k] = 0;
        }
        if (carried) return out;
      }
    }
    case Kind::kQuotient:
      return evaluate(*e.parts[0], lookup, sizes, states) / evaluate(*e.parts[1], lookup, sizes, states);
  }
  return 0;
}

}  // namespace plumbline::counterfactual::causal

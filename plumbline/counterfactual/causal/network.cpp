#include "plumbline/counterfactual/causal/network.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <set>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// A cycle among the variables that no ordering could place: each of them has a parent among them.
std::vector<int> find_cycle(const std::vector<std::vector<int>>& parents, const std::vector<bool>& placed) {
  const auto first = std::find(placed.begin(), placed.end(), false);
  if (first == placed.end()) return {};
  std::vector<int> seen_at(parents.size(), -1);
  std::vector<int> walk;
  int v = static_cast<int>(first - placed.begin());
  while (seen_at[at(v)] < 0) {
    seen_at[at(v)] = static_cast<int>(walk.size());
    walk.push_back(v);
    const auto& all = parents[at(v)];
    v = *std::find_if(all.begin(), all.end(), [&](int p) { return !placed[at(p)]; });
  }
  std::vector<int> cycle(walk.begin() + seen_at[at(v)], walk.end());
  std::reverse(cycle.begin(), cycle.end());
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

base::Status check_variables(const std::vector<Variable>& variables) {
  std::unordered_set<std::string> names;
  for (const Variable& v : variables) {
    if (v.name.empty()) return make_error(Code::kValue, "a variable has an empty name");
    if (!names.insert(v.name).second)
      return make_error(Code::kValue, fmt::format("variable '{}' is there twice", v.name));
    if (v.states.empty()) return make_error(Code::kValue, fmt::format("variable '{}' has no state", v.name));
    std::unordered_set<std::string> states;
    for (const std::string& state : v.states)
      if (!states.insert(state).second)
        return make_error(Code::kValue, fmt::format("variable '{}' has the state '{}' twice", v.name, state));
  }
  return base::ok();
}

base::Status check_parents(const std::vector<Variable>& variables, std::size_t v, const std::vector<int>& parents) {
  std::set<int> seen;
  for (const int p : parents) {
    const std::string& name = variables[v].name;
    if (p < 0 || at(p) >= variables.size())
      return make_error(Code::kValue, fmt::format("'{}' has a parent that is not there", name));
    if (at(p) == v) return make_error(Code::kValue, fmt::format("'{}' is its own parent", name));
    if (!seen.insert(p).second)
      return make_error(Code::kValue, fmt::format("'{}' has the parent '{}' twice", name, variables[at(p)].name));
  }
  return base::ok();
}

/// Checks the rows; says whether all sum to one to rounding.
base::Result<bool> check_table(const std::vector<Variable>& variables, std::size_t v, const Mechanism& mechanism) {
  const std::string& name = variables[v].name;
  const std::size_t width = variables[v].states.size();
  double cells = static_cast<double>(width);
  for (const int p : mechanism.parents) cells *= static_cast<double>(variables[at(p)].states.size());
  if (static_cast<double>(mechanism.table.size()) != cells)
    return make_error(Code::kShape,
                      fmt::format("the table of '{}' has {} cells, expected {}", name, mechanism.table.size(), cells));
  bool exact = true;
  for (std::size_t first = 0; first < mechanism.table.size(); first += width) {
    double sum = 0;
    for (std::size_t k = first; k < first + width; ++k) {
      const double p = mechanism.table[k];
      if (!(p >= 0 && p <= 1 + kRowSlack))
        return make_error(Code::kValue, fmt::format("the table of '{}' holds the probability {}", name, p));
      sum += p;
    }
    if (!(std::abs(sum - 1) <= kRowSlack))
      return make_error(Code::kValue,
                        fmt::format("row {} of the table of '{}' sums to {}, expected 1", first / width + 1, name, sum),
                        {}, "rows may be off one by 1e-6");
    exact = exact && std::abs(sum - 1) <= 1e-14 * static_cast<double>(width);
  }
  return exact;
}

std::vector<bool> reach(std::span<const int> from, std::size_t size,
                        const std::function<const std::vector<int>&(int)>& next) {
  std::vector<bool> seen(size, false);
  std::vector<int> open;
  const auto visit = [&](int v) {
    if (seen[at(v)]) return;
    seen[at(v)] = true;
    open.push_back(v);
  };
  for (const int v : from) visit(v);
  while (!open.empty()) {
    const int v = open.back();
    open.pop_back();
    for (const int w : next(v)) visit(w);
  }
  return seen;
}

}  // namespace

Ordering topological_order(const std::vector<std::vector<int>>& parents) {
  const std::size_t n = parents.size();
  std::vector<std::vector<int>> children(n);
  std::vector<std::size_t> waiting(n, 0);
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t v = 0; v < n; ++v) {
    waiting[v] = parents[v].size();
    for (const int p : parents[v]) children[at(p)].push_back(static_cast<int>(v));
    if (waiting[v] == 0) ready.push(static_cast<int>(v));
  }
  Ordering out;
  std::vector<bool> placed(n, false);
  while (!ready.empty()) {
    const int v = ready.top();
    ready.pop();
    out.order.push_back(v);
    placed[at(v)] = true;
    for (const int c : children[at(v)])
      if (--waiting[at(c)] == 0) ready.push(c);
  }
  out.cycle = find_cycle(parents, placed);
  return out;
}

base::Result<Network> Network::make(std::string name, std::vector<Variable> variables,
                                    std::vector<Mechanism> mechanisms) {
  if (variables.size() != mechanisms.size())
    return make_error(Code::kShape, fmt::format("{} variables and {} tables", variables.size(), mechanisms.size()));
  PL_CHECK(check_variables(variables));
  Network out;
  std::vector<std::vector<int>> parents;
  out.children_.resize(variables.size());
  for (std::size_t v = 0; v < variables.size(); ++v) {
    PL_CHECK(check_parents(variables, v, mechanisms[v].parents));
    PL_TRY(const bool exact, check_table(variables, v, mechanisms[v]));
    out.sums_to_one_.push_back(exact);
    parents.push_back(mechanisms[v].parents);
    for (const int p : mechanisms[v].parents) out.children_[at(p)].push_back(static_cast<int>(v));
  }
  Ordering ordering = topological_order(parents);
  if (!ordering.cycle.empty()) {
    std::vector<std::string> names;
    for (const int v : ordering.cycle) names.push_back(variables[at(v)].name);
    names.push_back(names.front());
    return make_error(Code::kValue, fmt::format("the graph has a cycle: {}", fmt::join(names, " -> ")));
  }
  out.name_ = std::move(name);
  out.variables_ = std::move(variables);
  out.mechanisms_ = std::move(mechanisms);
  out.order_ = std::move(ordering.order);
  return out;
}

std::size_t Network::cells() const {
  std::size_t sum = 0;
  for (const Mechanism& m : mechanisms_) sum += m.table.size();
  return sum;
}

bool Network::deterministic(int v) const {
  const std::size_t width = variable(v).states.size();
  const std::vector<double>& table = mechanism(v).table;
  for (std::size_t first = 0; first < table.size(); first += width)
    if (std::count_if(table.begin() + static_cast<std::ptrdiff_t>(first),
                      table.begin() + static_cast<std::ptrdiff_t>(first + width), [](double p) { return p > 0; }) != 1)
      return false;
  return true;
}

std::span<const double> Network::row(int v, std::span<const int> parent_states) const {
  std::size_t index = 0;
  const std::vector<int>& all = parents(v);
  for (std::size_t k = 0; k < all.size(); ++k) index = index * at(states(all[k])) + at(parent_states[k]);
  const std::size_t width = at(states(v));
  return {mechanism(v).table.data() + index * width, width};
}

std::optional<int> Network::find(std::string_view name) const {
  for (std::size_t v = 0; v < variables_.size(); ++v)
    if (variables_[v].name == name) return static_cast<int>(v);
  return std::nullopt;
}

base::Result<int> Network::index(std::string_view name) const {
  if (const auto v = find(name)) return *v;
  std::vector<std::string> names;
  for (const Variable& v : variables_) names.push_back(v.name);
  const std::string near = base::nearest(name, names);
  return make_error(Code::kValue, fmt::format("there is no variable '{}'", name), {},
                    near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

base::Result<int> Network::state_index(int v, std::string_view state) const {
  const std::vector<std::string>& all = variable(v).states;
  const auto found = std::find(all.begin(), all.end(), state);
  if (found != all.end()) return static_cast<int>(found - all.begin());
  return make_error(Code::kValue, fmt::format("'{}' has no state '{}'", variable(v).name, state), {},
                    fmt::format("its states are {}", base::join_words(all)));
}

base::Result<Assignment> Network::assignment(std::string_view text) const {
  // A variable's name may itself hold '='; the first split that names a variable counts.
  for (std::size_t cut = text.find('='); cut != std::string_view::npos; cut = text.find('=', cut + 1)) {
    const auto v = find(text.substr(0, cut));
    if (!v) continue;
    PL_TRY(const int state, state_index(*v, text.substr(cut + 1)));
    return Assignment{*v, state};
  }
  const std::size_t cut = text.find('=');
  if (cut == std::string_view::npos)
    return make_error(Code::kValue, fmt::format("'{}' is not of the form VARIABLE=STATE", text));
  PL_TRY(const int v, index(text.substr(0, cut)));
  return Assignment{v, 0};
}

base::Result<Assignments> Network::assignments(std::span<const std::string> texts) const {
  Assignments out;
  for (const std::string& text : texts) {
    PL_TRY(const Assignment a, assignment(text));
    if (std::any_of(out.begin(), out.end(), [&](const Assignment& b) { return b.variable == a.variable; }))
      return make_error(Code::kValue, fmt::format("'{}' is given twice", variable(a.variable).name));
    out.push_back(a);
  }
  return out;
}

std::string Network::words(const Assignments& assignments) const {
  std::vector<std::string> parts;
  for (const Assignment& a : assignments)
    parts.push_back(fmt::format("{}={}", variable(a.variable).name, variable(a.variable).states[at(a.state)]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<bool> Network::ancestors(std::span<const int> of) const {
  return reach(of, size(), [&](int v) -> const std::vector<int>& { return parents(v); });
}

std::vector<bool> Network::descendants(std::span<const int> of) const {
  return reach(of, size(), [&](int v) -> const std::vector<int>& { return children(v); });
}

base::Result<Network> intervene(const Network& network, const Assignments& assignments) {
  std::vector<Variable> variables;
  std::vector<Mechanism> mechanisms;
  for (int v = 0; at(v) < network.size(); ++v) {
    variables.push_back(network.variable(v));
    mechanisms.push_back(network.mechanism(v));
  }
  std::set<int> seen;
  for (const Assignment& a : assignments) {
    if (!seen.insert(a.variable).second)
      return make_error(Code::kValue, fmt::format("'{}' is set twice", network.variable(a.variable).name));
    Mechanism held{{}, std::vector<double>(at(network.states(a.variable)), 0.0)};
    held.table[at(a.state)] = 1;
    mechanisms[at(a.variable)] = std::move(held);
  }
  return Network::make(network.name(), std::move(variables), std::move(mechanisms));
}

base::Result<Network> replace_mechanism(const Network& network, int variable, Mechanism mechanism) {
  std::vector<Variable> variables;
  std::vector<Mechanism> mechanisms;
  for (int v = 0; at(v) < network.size(); ++v) {
    variables.push_back(network.variable(v));
    mechanisms.push_back(v == variable ? mechanism : network.mechanism(v));
  }
  return Network::make(network.name(), std::move(variables), std::move(mechanisms));
}

base::Result<Network> draw_instead(const Network& network, std::string_view text) {
  const std::size_t cut = text.rfind('=');
  if (cut == std::string_view::npos)
    return make_error(Code::kValue, fmt::format("'{}' is not of the form VARIABLE=P/P/...", text));
  PL_TRY(const int v, network.index(text.substr(0, cut)));
  Mechanism free;
  for (std::size_t first = cut + 1; first <= text.size();) {
    const std::size_t end = std::min(text.find('/', first), text.size());
    double p = 0;
    if (!data::parse_number(text.substr(first, end - first), &p))
      return make_error(Code::kValue, fmt::format("'{}' is no number", text.substr(first, end - first)), {},
                        "a distribution is written as 0.2/0.8, in the order of the states");
    free.table.push_back(p);
    first = end + 1;
  }
  return replace_mechanism(network, v, std::move(free));
}

}  // namespace plumbline::counterfactual::causal

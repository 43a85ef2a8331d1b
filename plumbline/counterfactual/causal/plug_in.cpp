#include "plumbline/counterfactual/causal/plug_in.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "plumbline/stats/bootstrap.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

void collect(const Expression& e, NodeSet& all) {
  all.insert(e.variables.begin(), e.variables.end());
  all.insert(e.given.begin(), e.given.end());
  for (const ExpressionPtr& part : e.parts) collect(*part, all);
}

/// Rows that are alike in the variables named, and how many of each there are.
struct Kinds {
  std::vector<int> variables;            ///< nodes
  std::vector<std::vector<int>> states;  ///< [kind][variable]
  std::vector<std::size_t> counts;
};

Kinds kinds_of(const Sample& sample, const NodeSet& nodes, const std::vector<int>& columns) {
  Kinds out;
  out.variables.assign(nodes.begin(), nodes.end());
  std::map<std::vector<int>, std::size_t> index;
  std::vector<int> row(out.variables.size());
  for (std::size_t i = 0; i < sample.rows; ++i) {
    for (std::size_t k = 0; k < row.size(); ++k)
      row[k] = sample.codes[static_cast<std::size_t>(columns[static_cast<std::size_t>(out.variables[k])])][i];
    const auto [at, fresh] = index.emplace(row, out.counts.size());
    if (fresh) {
      out.states.push_back(row);
      out.counts.push_back(0);
    }
    ++out.counts[at->second];
  }
  return out;
}

/// Margins over sets of nodes. The cells of the kinds are found once a set; counts change from resample to resample.
class Margins {
 public:
  Margins(const Kinds& kinds, const std::vector<int>& sizes) : kinds_(kinds), sizes_(sizes) {}

  struct Set {
    std::vector<std::size_t> cell;  ///< of each kind
    std::size_t cells = 1;
  };
  /// Not thread-safe: every set that the formula needs must have been asked for before several threads ask.
  const Set& set(const NodeSet& nodes) {
    const auto known = sets_.find(nodes);
    if (known != sets_.end()) return known->second;
    Set made;
    made.cell.assign(kinds_.states.size(), 0);
    for (std::size_t k = 0; k < kinds_.variables.size(); ++k) {
      if (!nodes.contains(kinds_.variables[k])) continue;
      const auto size = static_cast<std::size_t>(sizes_[static_cast<std::size_t>(kinds_.variables[k])]);
      made.cells *= size;
      for (std::size_t i = 0; i < made.cell.size(); ++i)
        made.cell[i] = made.cell[i] * size + static_cast<std::size_t>(kinds_.states[i][k]);
    }
    return sets_.emplace(nodes, std::move(made)).first->second;
  }
  const Set& known(const NodeSet& nodes) const { return sets_.at(nodes); }
  std::size_t cell_of(const NodeSet& nodes, const std::vector<int>& states) const {
    std::size_t cell = 0;
    for (const int v : nodes)
      cell = cell * static_cast<std::size_t>(sizes_[static_cast<std::size_t>(v)]) +
             static_cast<std::size_t>(states[static_cast<std::size_t>(v)]);
    return cell;
  }

 private:
  const Kinds& kinds_;
  const std::vector<int>& sizes_;
  std::map<NodeSet, Set> sets_;
};

/// The formula's value under these counts; NaN where it divides by a share of 0.
double value_of(const Expression& formula, Margins& margins, bool fill, std::span<const std::size_t> counts,
                const std::vector<int>& sizes, const std::vector<int>& states) {
  std::map<NodeSet, std::vector<double>> tables;
  const auto share = [&](const NodeSet& nodes, const std::vector<int>& at) {
    auto found = tables.find(nodes);
    if (found == tables.end()) {
      const Margins::Set& set = fill ? margins.set(nodes) : margins.known(nodes);
      std::vector<double> table(set.cells, 0.0);
      for (std::size_t i = 0; i < counts.size(); ++i) table[set.cell[i]] += static_cast<double>(counts[i]);
      found = tables.emplace(nodes, std::move(table)).first;
    }
    return found->second[margins.cell_of(nodes, at)];
  };
  const Lookup lookup = [&](const NodeSet& variables, const NodeSet& given, const std::vector<int>& at) {
    NodeSet both = variables;
    both.insert(given.begin(), given.end());
    return share(both, at) / share(given, at);
  };
  return evaluate(formula, lookup, sizes, states);
}

std::vector<std::vector<int>> all_states(const NodeSet& nodes, const std::vector<int>& sizes) {
  std::vector<std::vector<int>> out = {{}};
  for (const int v : nodes) {
    std::vector<std::vector<int>> next;
    for (const std::vector<int>& before : out) {
      for (int s = 0; s < sizes[static_cast<std::size_t>(v)]; ++s) {
        next.push_back(before);
        next.back().push_back(s);
      }
    }
    out = std::move(next);
  }
  return out;
}

double joint_size(const NodeSet& nodes, const std::vector<int>& sizes) {
  double n = 1;
  for (const int v : nodes) n *= sizes[static_cast<std::size_t>(v)];
  return n;
}

void place(const NodeSet& nodes, const std::vector<int>& states, std::vector<int>& all) {
  std::size_t k = 0;
  for (const int v : nodes) all[static_cast<std::size_t>(v)] = states[k++];
}

}  // namespace

base::Result<std::vector<PlugInRow>> plug_in(const Expression& formula, const Graph& graph, const NodeSet& outcomes,
                                             const NodeSet& treatments, const NodeSet& given, const Sample& sample,
                                             const std::vector<int>& columns, const PlugInOptions& options,
                                             const base::Rng& rng) {
  if (!sample.discrete)
    return make_error(Code::kUnsupported, "formulas are estimated from states; the table holds numbers", {},
                      "Cut them into levels, or say --kind discrete");
  NodeSet nodes;
  collect(formula, nodes);
  for (const NodeSet* set : {&outcomes, &treatments, &given}) nodes.insert(set->begin(), set->end());
  std::vector<int> sizes(graph.size(), 1);
  for (const int v : nodes) {
    if (columns[static_cast<std::size_t>(v)] < 0)
      return make_error(Code::kValue, fmt::format("there is no column '{}'", graph.name(v)));
    sizes[static_cast<std::size_t>(v)] = sample.states[static_cast<std::size_t>(columns[static_cast<std::size_t>(v)])];
  }
  constexpr double kMostCells = 1e6, kMostRows = 500;
  if (const double cells = joint_size(nodes, sizes); cells > kMostCells)
    return make_error(Code::kLimit, fmt::format("the variables of the formula have {:.3g} joint states, more than {}",
                                                cells, kMostCells));
  if (const double cells = joint_size(treatments, sizes) * joint_size(given, sizes) * joint_size(outcomes, sizes);
      cells > kMostRows)
    return make_error(Code::kLimit, fmt::format("{} figures are asked for, more than {}", cells, kMostRows));
  const Kinds kinds = kinds_of(sample, nodes, columns);
  Margins margins(kinds, sizes);
  stats::BootstrapOptions bootstrap;
  bootstrap.replicates = options.replicates;
  bootstrap.kind = stats::BootstrapKind::kPercentile;
  bootstrap.range = std::pair(0.0, 1.0);
  bootstrap.cancel = options.cancel;
  std::vector<PlugInRow> out;
  std::vector<int> states(graph.size(), 0);
  for (const std::vector<int>& x : all_states(treatments, sizes)) {
    for (const std::vector<int>& z : all_states(given, sizes)) {
      PlugInRow row{x, z, {}, {}};
      place(treatments, x, states);
      place(given, z, states);
      for (const std::vector<int>& y : all_states(outcomes, sizes)) {
        place(outcomes, y, states);
        const double value = value_of(formula, margins, true, kinds.counts, sizes, states);
        if (!std::isfinite(value)) {
          row.cannot_say =
              "the formula needs a share among rows of which there are none: the data do not overlap there";
          row.outcome.clear();
          break;
        }
        // The same resamples for every cell, so that figures of one table belong together.
        PL_TRY(stats::Estimate figure, stats::bootstrap_kinds(
                                           kinds.counts,
                                           [&](std::span<const std::size_t> counts) {
                                             return value_of(formula, margins, false, counts, sizes, states);
                                           },
                                           bootstrap, rng));
        row.outcome.push_back(std::move(figure));
      }
      out.push_back(std::move(row));
    }
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal

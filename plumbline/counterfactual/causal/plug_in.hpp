#pragma once
/// An identified effect, estimated from data by its formula.

#include <cstddef>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/expression.hpp"
#include "plumbline/counterfactual/causal/graph.hpp"
#include "plumbline/counterfactual/causal/independence.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::causal {

/// P(outcomes = states | do(treatments), given) for one setting of treatments and conditions.
struct PlugInRow {
  std::vector<int> treatment, given;     ///< states, in the order of the nodes
  std::string cannot_say;                ///< why there is no figure: a cell of the formula without rows
  std::vector<stats::Estimate> outcome;  ///< by joint state of the outcomes, the last node fastest
};

struct PlugInOptions {
  std::size_t replicates = 1000;
  base::CancelToken cancel{};
};

/// Question  what is the effect that the formula gives, in these data?
/// Formula   every P(a | b) of the formula by its share of rows; bounds by percentiles of a bootstrap over rows.
/// Shapes    `columns`: of each node of the graph, columns_of(); nodes that the formula does not name need none (-1).
/// Errors    kUnsupported: the sample holds numbers. kValue: outcomes and treatments that are not free in the formula's
///           question; replicates < 100. kLimit: the formula's variables have over a million joint states, or the rows
///           asked for over 500. kCancelled.
/// Outcome   of a row: cannot say where the formula divides by the share of a state that no row has (no overlap).
/// Assumes   the graph; rows are independent.
/// Cost      O(rows + replicates x cells x terms of the formula). Same seed, same bits.
base::Result<std::vector<PlugInRow>> plug_in(const Expression& formula, const Graph& graph, const NodeSet& outcomes,
                                             const NodeSet& treatments, const NodeSet& given, const Sample& sample,
                                             const std::vector<int>& columns, const PlugInOptions& options,
                                             const base::Rng& rng);

}  // namespace plumbline::counterfactual::causal

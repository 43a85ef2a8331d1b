#pragma once
/// Which rows of a log an estimator may use.

#include <cstddef>

#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::counterfactual {

/// Cause policy, kind act, final = proposal, reward there; else counted under the first reason that holds.
bool row_usable(const data::DecisionLog& log, std::size_t row, Exclusions& excluded);

/// The error of rows that are impossible: the first of `count`, which was row `first` (from 0) of the log.
base::Error faulty_rows(std::size_t first, const std::string& what, std::size_t count);

}  // namespace plumbline::counterfactual

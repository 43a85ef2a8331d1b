#pragma once
/// The jackknife of a figure of clusters.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "plumbline/stats/estimate.hpp"

namespace plumbline::oversight {

/// Delete-one jackknife: value -+ t(clusters - 1) x sqrt((g - 1) / g x sum of squared deviations of the g figures, each
/// without one cluster). Nothing where the figure is not defined without some cluster; no bounds, with a warning, where
/// it never moves.
/// Source    Efron, Tibshirani 1993, chapter 11.
std::optional<stats::Estimate> jackknife(std::size_t clusters,
                                         const std::function<std::optional<double>(std::size_t without)>& statistic,
                                         double value, const std::string& unit);

/// The figure and its bounds from logarithms.
void exponentiate(stats::Estimate& estimate);

}  // namespace plumbline::oversight

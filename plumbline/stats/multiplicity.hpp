#pragma once
/// Many tests at once: adjusted p-values, in the order given. Reject where the adjusted value is at most the level.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::stats {

/// Family-wise error under any dependence. max over smaller p of (m - rank + 1) p, at most 1.
/// Errors kValue: a p-value outside [0, 1]. Source: Holm 1979.
base::Result<std::vector<double>> holm(std::span<const double> p_values);

/// False discovery rate under independence or positive regression dependence. min over larger p of m p / rank.
/// Errors as holm. Source: Benjamini and Hochberg 1995.
base::Result<std::vector<double>> benjamini_hochberg(std::span<const double> p_values);

}  // namespace plumbline::stats

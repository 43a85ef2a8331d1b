#pragma once
/// Per-row scores of predicted probabilities, and their means with bounds.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::stats {

/// Column of the largest output of each row, the first of equals. Errors kShape: no columns. kValue: NaN.
base::Result<std::vector<int>> top_class(MatrixRefD outputs);
/// 1 where the largest output is the label's. Errors as top_class; kShape: sizes differ; kValue: label out of range.
base::Result<std::vector<std::uint8_t>> hits(MatrixRefD outputs, std::span<const int> labels);

/// Squared distance of the probabilities from the label's corner: sum_k (p_k - [k = y])^2, in [0, 2].
/// Shapes    probabilities n x k, rows sum to 1 (to 1e-3); labels n.
/// Errors    kShape: n = 0, k < 2, sizes differ. kValue: entry outside [0, 1], sum off, label out of range.
/// Source    Brier 1950 (the original, two-sided form; binary tasks often print half of it).
base::Result<std::vector<double>> brier_rows(MatrixRefD probabilities, std::span<const int> labels);

/// -ln p_label in nats, with p cut from below at `floor`. Errors as brier_rows; kValue: floor outside (0, 1).
base::Result<std::vector<double>> log_loss_rows(MatrixRefD probabilities, std::span<const int> labels,
                                                double floor = 1e-12);

/// Their means with Student (cluster-robust where units are given) bounds, see `mean`. log_loss warns how many rows
/// were cut at the floor.
base::Result<Estimate> brier(MatrixRefD probabilities, std::span<const int> labels, std::span<const int> units = {});
base::Result<Estimate> log_loss(MatrixRefD probabilities, std::span<const int> labels, std::span<const int> units = {},
                                double floor = 1e-12);

}  // namespace plumbline::stats

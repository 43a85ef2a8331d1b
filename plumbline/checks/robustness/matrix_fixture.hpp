#pragma once
/// A system on disk for fixtures: an ONNX model, a matrix with labels, one claim.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/stats/matrix_fwd.hpp"

namespace plumbline::checks {

/// Writes reader.onnx, test.npy, labels.txt and a manifest whose model answers with logits. `section`: lines of the
/// manifest for the check, with their header. `claim`: lines of the one claim after its id.
base::Status write_matrix_fixture(const std::string& folder, base::Rng& rng, const graph::Graph& model,
                                  const MatrixD& rows, std::span<const int> labels, std::string_view section,
                                  std::string_view claim);

/// Two classes by how many thresholds the inputs exceed: sigmoid(slope (x_i - place)) at `places` (inputs x steps, by
/// input), summed against half of them. Slope 4 is smooth; at 1e6 the answers are those of steps and the gradient is
/// zero in double.
graph::Graph step_reader(std::int64_t inputs, std::span<const double> places, double slope);

}  // namespace plumbline::checks

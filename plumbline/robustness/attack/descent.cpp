#include "plumbline/robustness/attack/descent.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace plumbline::robustness {

double StepPlan::size(int step) const {
  const double share = steps > 1 ? static_cast<double>(step) / (steps - 1) : 0.0;
  return first * std::pow(last / first, share);
}

base::Status ascend(Objective& objective, std::span<const Region* const> regions, const StepPlan& plan,
                    std::vector<double>& rows, const base::CancelToken& cancel) {
  const std::size_t n = regions.empty() ? 0 : regions[0]->size();
  std::vector<std::size_t> tracks(regions.size());
  std::iota(tracks.begin(), tracks.end(), std::size_t{0});
  std::vector<char> done(regions.size(), 0);
  std::vector<double> moving = rows;
  for (int step = 0; step <= plan.steps && !tracks.empty(); ++step) {
    PL_CHECK(cancel.status());
    PL_CHECK(objective.look(moving, tracks, done));
    if (step == plan.steps) break;
    if (std::all_of(tracks.begin(), tracks.end(), [&](std::size_t t) { return done[t] != 0; })) break;
    PL_TRY(const std::vector<double> gradient, objective.gradient());
    const double size = plan.size(step);
    std::size_t kept = 0;
    for (std::size_t r = 0; r < tracks.size(); ++r) {
      const auto row = std::span(moving).subspan(r * n, n);
      if (done[tracks[r]] != 0) {
        std::copy(row.begin(), row.end(), rows.begin() + static_cast<std::ptrdiff_t>(tracks[r] * n));
        continue;
      }
      step_up(*regions[tracks[r]], std::span(gradient).subspan(r * n, n), size, row);
      if (kept != r) std::copy(row.begin(), row.end(), moving.begin() + static_cast<std::ptrdiff_t>(kept * n));
      tracks[kept++] = tracks[r];
    }
    tracks.resize(kept);
    moving.resize(kept * n);
  }
  for (std::size_t r = 0; r < tracks.size(); ++r) {
    std::copy_n(moving.begin() + static_cast<std::ptrdiff_t>(r * n), n,
                rows.begin() + static_cast<std::ptrdiff_t>(tracks[r] * n));
  }
  return base::ok();
}

const Affine* first_layer(const Network& network) {
  const Affine* first = nullptr;
  for (const Step& step : network.steps) {
    if (step.kind != StepKind::kAffine) continue;
    if (first == nullptr) first = &step.affine;
    // A scaling of inputs alone says nothing about directions.
    if (step.affine.weights.size() > step.affine.rows) {
      first = &step.affine;
      break;
    }
  }
  return first != nullptr && first->columns == network.inputs() ? first : nullptr;
}

std::vector<double> layer_direction(const Affine& layer, base::Rng& rng) {
  std::vector<double> out(layer.columns, 0.0);
  for (std::size_t i = 0; i < layer.rows; ++i) {
    const double d = rng.normal();
    if (layer.dense) {
      for (std::size_t j = 0; j < layer.columns; ++j) out[j] += d * layer.weights[i * layer.columns + j];
    } else {
      for (std::size_t e = layer.start[i]; e < layer.start[i + 1]; ++e) out[layer.column[e]] += d * layer.weights[e];
    }
  }
  return out;
}

}  // namespace plumbline::robustness

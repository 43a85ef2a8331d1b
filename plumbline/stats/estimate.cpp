#include "plumbline/stats/estimate.hpp"

#include <cmath>
#include <utility>

namespace plumbline::stats {
namespace {

// Levels such as 1 - 0.05 / 2 miss a rung by rounding alone; a difference this small is not a different level.
constexpr double kSlack = 1e-9;

}  // namespace

std::optional<std::size_t> rung_at_or_above(double confidence) {
  for (std::size_t i = 0; i < kLadder.size(); ++i) {
    if (kLadder[i] >= confidence - kSlack) return i;
  }
  return std::nullopt;
}

std::string_view exactness_name(Exactness exactness) {
  switch (exactness) {
    case Exactness::kSampled: return "sampled";
    case Exactness::kExact: return "exact";
    case Exactness::kBound: return "bound";
  }
  return "sampled";
}

std::optional<double> Estimate::low(double level) const {
  const auto rung = rung_at_or_above((1 + level) / 2);
  return rung ? bounds.lower[*rung] : std::nullopt;
}

std::optional<double> Estimate::high(double level) const {
  const auto rung = rung_at_or_above((1 + level) / 2);
  return rung ? bounds.upper[*rung] : std::nullopt;
}

Bounds make_bounds(const std::function<std::optional<double>(double)>& lower,
                   const std::function<std::optional<double>(double)>& upper) {
  Bounds bounds;
  for (std::size_t i = 0; i < kLadder.size(); ++i) {
    bounds.lower[i] = lower(kLadder[i]);
    bounds.upper[i] = upper(kLadder[i]);
  }
  return bounds;
}

Estimate exact(double value, double n, std::string method, double error_bound) {
  Estimate estimate;
  estimate.value = value;
  estimate.n = n;
  estimate.n_effective = n;
  estimate.method = std::move(method);
  estimate.exactness = Exactness::kExact;
  estimate.error_bound = error_bound;
  estimate.bounds = make_bounds([&](double) { return std::optional(value - error_bound); },
                                [&](double) { return std::optional(value + error_bound); });
  return estimate;
}

}  // namespace plumbline::stats

#include "plumbline/oversight/jackknife.hpp"

#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/stats/special.hpp"

namespace plumbline::oversight {

std::optional<stats::Estimate> jackknife(std::size_t clusters,
                                         const std::function<std::optional<double>(std::size_t without)>& statistic,
                                         double value, const std::string& unit) {
  std::vector<double> parts;
  for (std::size_t i = 0; i < clusters; ++i) {
    const auto part = statistic(i);
    if (!part) return std::nullopt;
    parts.push_back(*part);
  }
  double mean = 0;
  for (const double p : parts) mean += p / static_cast<double>(clusters);
  double square = 0;
  for (const double p : parts) square += (p - mean) * (p - mean);
  const auto g = static_cast<double>(clusters);
  const double error = std::sqrt(square * (g - 1) / g);
  stats::Estimate e;
  e.value = value;
  e.n = e.n_effective = g;
  e.unit_of_sampling = unit;
  e.method = fmt::format("jackknife over {}s, Student's t", unit);
  if (error == 0) {
    e.warnings.emplace_back("no spread, so no bounds");
    return e;
  }
  e.bounds = stats::make_bounds([&](double c) { return std::optional(value - stats::t_quantile(c, g - 1) * error); },
                                [&](double c) { return std::optional(value + stats::t_quantile(c, g - 1) * error); });
  if (clusters < 10) e.warnings.push_back(fmt::format("{} {}s: the bounds lean on a normal figure", clusters, unit));
  return e;
}

void exponentiate(stats::Estimate& estimate) {
  estimate.value = std::exp(estimate.value);
  for (auto* side : {&estimate.bounds.lower, &estimate.bounds.upper})
    for (auto& bound : *side)
      if (bound) bound = std::exp(*bound);
}

}  // namespace plumbline::oversight

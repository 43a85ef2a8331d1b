#include "plumbline/methodology/evaluation_aa.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kLeastUnits = 20;

struct Arm {
  std::vector<double> scores;
  std::vector<int> units;
};

base::Result<double> split_p_value(std::span<const double> scores, const stats::UnitIndex& index,
                                   std::span<const int> compare_units, base::Rng& rng) {
  const std::vector<std::size_t> order = rng.permutation(index.count());
  std::vector<bool> in_first(index.count(), false);
  for (std::size_t i = 0; i < index.count() / 2; ++i) in_first[order[i]] = true;
  Arm first, second;
  for (std::size_t row = 0; row < scores.size(); ++row) {
    Arm& arm = in_first[index.unit_of_row[row]] ? first : second;
    arm.scores.push_back(scores[row]);
    if (!compare_units.empty()) arm.units.push_back(compare_units[row]);
  }
  PL_TRY(const stats::Comparison comparison,
         stats::compare_means(first.scores, second.scores, first.units, second.units));
  if (!std::isnan(comparison.p_value)) return comparison.p_value;
  return comparison.difference.value == 0 ? 1.0 : 0.0;
}

stats::Estimate distance_estimate(const std::vector<double>& p_values, double discrete_aware) {
  const auto n = static_cast<double>(p_values.size());
  const double ordinary = stats::ks_uniform(p_values).value().statistic;
  auto slack = [n](double c) { return std::sqrt(std::log(2 / (1 - c)) / (2 * n)); };
  stats::Estimate estimate;
  estimate.value = discrete_aware;
  estimate.n = estimate.n_effective = n;
  estimate.unit_of_sampling = "split";
  estimate.method = "kolmogorov distance, dvoretzky-kiefer-wolfowitz bounds";
  estimate.assumptions = {"splits are random halves of these rows"};
  estimate.bounds =
      stats::make_bounds([&](double c) { return std::optional(std::max(0.0, discrete_aware - slack(c))); },
                         [&](double c) { return std::optional(std::min(1.0, ordinary + slack(c))); });
  return estimate;
}

}  // namespace

base::Result<AaResult> evaluation_aa(std::span<const double> scores, std::span<const int> split_units,
                                     std::span<const int> compare_units, const AaOptions& options,
                                     const base::Rng& rng) {
  PL_CHECK(base::check_all_finite("evaluation_aa", "scores", scores));
  PL_CHECK(base::check_size("evaluation_aa", "split_units", static_cast<std::ptrdiff_t>(split_units.size()),
                            static_cast<std::ptrdiff_t>(scores.size())));
  if (!compare_units.empty()) {
    PL_CHECK(base::check_size("evaluation_aa", "compare_units", static_cast<std::ptrdiff_t>(compare_units.size()),
                              static_cast<std::ptrdiff_t>(scores.size())));
  }
  PL_CHECK(base::check_at_least("evaluation_aa", "splits", static_cast<std::ptrdiff_t>(options.splits), 100));
  PL_CHECK(base::check_in_open("evaluation_aa", "level", options.level, 0, 1));
  PL_TRY(const stats::UnitIndex index, stats::group_units(split_units, scores.size()));
  if (index.count() < kLeastUnits) {
    return make_error(Code::kValue, fmt::format("evaluation_aa: n = {} units, expected at least {} to split in halves",
                                                index.count(), kLeastUnits));
  }
  AaResult result;
  result.split_units = index.count();
  result.p_values.resize(options.splits);
  PL_CHECK(base::parallel_for(
      options.splits,
      [&](std::size_t i) -> base::Status {
        base::Rng stream = rng.fork(i);
        PL_TRY(result.p_values[i], split_p_value(scores, index, compare_units, stream));
        return base::ok();
      },
      options.cancel));
  PL_TRY(result.uniformity, stats::uniformity(result.p_values, options.level, options.region_share));
  PL_TRY(result.false_alarm_rate, stats::clopper_pearson(result.uniformity.rejections, options.splits));
  result.false_alarm_rate.unit_of_sampling = "split";
  result.false_alarm_rate.assumptions = {"splits are random halves of these rows"};
  result.distance = distance_estimate(result.p_values, result.uniformity.ks_distance);
  return result;
}

}  // namespace plumbline::methodology

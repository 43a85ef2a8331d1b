#include "plumbline/methodology/adequacy.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/planning.hpp"
#include "plumbline/stats/sequential.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;
using Kind = std::pair<int, int>;

base::Status check_labels(std::string_view name, std::span<const int> labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0)
      return make_error(Code::kValue,
                        fmt::format("assess_adequacy: {}[{}] is {}, expected at least 0", name, i, labels[i]));
  }
  return base::ok();
}

/// Kinds of failure that each unit shows.
std::vector<std::set<Kind>> kinds_by_unit(std::span<const int> labels, std::span<const int> predicted,
                                          const stats::UnitIndex& index) {
  std::vector<std::set<Kind>> kinds(index.count());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != predicted[i]) kinds[index.unit_of_row[i]].insert({labels[i], predicted[i]});
  }
  return kinds;
}

stats::Estimate unseen_mass(const std::vector<std::set<Kind>>& kinds, std::size_t singleton_units,
                            const base::Rng& rng) {
  const std::size_t n = kinds.size();
  stats::Estimate estimate;
  estimate.value = static_cast<double>(singleton_units) / static_cast<double>(n);
  estimate.n = estimate.n_effective = static_cast<double>(n);
  estimate.method = "good-turing, clopper-pearson on a random half";
  estimate.assumptions = {"units are independent and drawn alike"};
  if (n < 2) {
    estimate.warnings.push_back("one unit: what it leaves unseen cannot be bounded");
    return estimate;
  }
  base::Rng stream = rng.fork("halves");
  const std::vector<std::size_t> order = stream.permutation(n);
  const std::size_t half = n / 2;
  std::set<Kind> seen;
  for (std::size_t i = 0; i < half; ++i) seen.insert(kinds[order[i]].begin(), kinds[order[i]].end());
  std::size_t surprises = 0;
  for (std::size_t i = half; i < n; ++i) {
    const auto& mine = kinds[order[i]];
    surprises += std::any_of(mine.begin(), mine.end(), [&](const Kind& kind) { return !seen.contains(kind); });
  }
  const auto k = static_cast<double>(surprises);
  const auto size = static_cast<double>(n - half);
  estimate.bounds =
      stats::make_bounds([](double) { return std::optional(0.0); },
                         [=](double c) { return std::optional(stats::clopper_pearson_high(k, size, c)); });
  return estimate;
}

}  // namespace

base::Result<Adequacy> assess_adequacy(std::span<const int> labels, std::span<const int> predicted,
                                       std::span<const int> units, const AdequacyOptions& options,
                                       const base::Rng& rng) {
  PL_CHECK(base::check_at_least("assess_adequacy", "size of labels", static_cast<std::ptrdiff_t>(labels.size()), 1));
  PL_CHECK(base::check_size("assess_adequacy", "predicted", static_cast<std::ptrdiff_t>(predicted.size()),
                            static_cast<std::ptrdiff_t>(labels.size())));
  PL_CHECK(check_labels("labels", labels));
  PL_CHECK(check_labels("predicted", predicted));
  PL_CHECK(base::check_in_open("assess_adequacy", "target_rate", options.target_rate, 0, 1));
  PL_CHECK(base::check_in_open("assess_adequacy", "confidence", options.confidence, 0, 1));
  PL_TRY(const stats::UnitIndex index, stats::group_units(units, labels.size()));
  const bool clustered = index.count() < labels.size();

  Adequacy result;
  result.units = index.count();
  const auto kinds = kinds_by_unit(labels, predicted, index);
  result.failed_units =
      static_cast<std::size_t>(std::count_if(kinds.begin(), kinds.end(), [](const auto& k) { return !k.empty(); }));
  PL_TRY(result.failure_rate, stats::clopper_pearson(result.failed_units, result.units));
  PL_TRY(result.failure_rate_anytime, stats::beta_mixture(result.failed_units, result.units));
  if (clustered) {
    result.failure_rate.unit_of_sampling = result.failure_rate_anytime.unit_of_sampling = "unit";
    result.failure_rate.assumptions = {"units are independent and drawn alike"};
  }
  PL_TRY(result.units_needed, stats::tests_needed(result.failed_units, options.target_rate, options.confidence));
  PL_TRY(result.units_needed_clean, stats::zero_failure_n(options.target_rate, options.confidence));
  const auto tested = static_cast<double>(result.units);
  result.size_ratio = stats::exact(tested / static_cast<double>(result.units_needed), tested, "count");

  std::map<Kind, std::size_t> rows_of, units_of;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != predicted[i]) ++rows_of[{labels[i], predicted[i]}];
  }
  for (const auto& mine : kinds) {
    for (const Kind& kind : mine) ++units_of[kind];
  }
  for (const auto& [kind, rows] : rows_of) {
    result.types.push_back({kind.first, kind.second, rows});
    result.singletons += units_of[kind] == 1;
  }
  std::stable_sort(result.types.begin(), result.types.end(),
                   [](const FailureType& a, const FailureType& b) { return a.rows > b.rows; });
  // A unit with several lonely kinds is one chance of a surprise, not several.
  const auto singleton_units =
      static_cast<std::size_t>(std::count_if(kinds.begin(), kinds.end(), [&](const auto& mine) {
        return std::any_of(mine.begin(), mine.end(), [&](const Kind& kind) { return units_of[kind] == 1; });
      }));
  result.unseen_mass = unseen_mass(kinds, singleton_units, rng);
  if (clustered) result.unseen_mass.unit_of_sampling = "unit";

  std::map<int, std::set<std::size_t>> units_of_class;
  for (std::size_t i = 0; i < labels.size(); ++i) units_of_class[labels[i]].insert(index.unit_of_row[i]);
  std::size_t smallest = result.units + 1;
  for (const auto& [label, members] : units_of_class) {
    if (members.size() >= smallest) continue;
    smallest = members.size();
    result.smallest_class = label;
  }
  result.smallest_class_units = stats::exact(static_cast<double>(smallest), tested, "count");
  return result;
}

}  // namespace plumbline::methodology

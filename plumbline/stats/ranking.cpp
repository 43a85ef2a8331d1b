#include "plumbline/stats/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

base::Status check_groups(std::string_view function, std::span<const double> positives,
                          std::span<const double> negatives, std::size_t least) {
  PL_CHECK(base::check_at_least(function, "size of positives", static_cast<std::ptrdiff_t>(positives.size()),
                                static_cast<std::ptrdiff_t>(least)));
  PL_CHECK(base::check_at_least(function, "size of negatives", static_cast<std::ptrdiff_t>(negatives.size()),
                                static_cast<std::ptrdiff_t>(least)));
  PL_CHECK(base::check_all_finite(function, "positives", positives));
  return base::check_all_finite(function, "negatives", negatives);
}

std::vector<double> joined(std::span<const double> positives, std::span<const double> negatives) {
  std::vector<double> all(positives.begin(), positives.end());
  all.insert(all.end(), negatives.begin(), negatives.end());
  return all;
}

/// AUROC and, for each row (positives first), its share in the error of the figure; the shares sum to zero per group.
struct Placement {
  double auroc = 0;
  std::vector<double> influence;
};

Placement placement(std::span<const double> positives, std::span<const double> negatives) {
  const std::size_t m = positives.size();
  const std::size_t n = negatives.size();
  const std::vector<double> overall = midranks(joined(positives, negatives));
  const std::vector<double> among_positives = midranks(positives);
  const std::vector<double> among_negatives = midranks(negatives);
  Placement result;
  result.influence.resize(m + n);
  for (std::size_t i = 0; i < m; ++i) result.influence[i] = (overall[i] - among_positives[i]) / static_cast<double>(n);
  for (std::size_t j = 0; j < n; ++j) {
    result.influence[m + j] = 1 - (overall[m + j] - among_negatives[j]) / static_cast<double>(m);
  }
  result.auroc = base::ordered_mean(std::span(result.influence).first(m));
  for (std::size_t i = 0; i < m; ++i)
    result.influence[i] = (result.influence[i] - result.auroc) / static_cast<double>(m);
  for (std::size_t j = 0; j < n; ++j)
    result.influence[m + j] = (result.influence[m + j] - result.auroc) / static_cast<double>(n);
  return result;
}

base::Result<UnitIndex> join_units(std::span<const int> positive_units, std::span<const int> negative_units,
                                   std::size_t m, std::size_t n) {
  if (positive_units.empty() != negative_units.empty()) {
    return make_error(Code::kShape, "auroc: units are given for one group only, expected both or none");
  }
  if (positive_units.empty()) return group_units({}, m + n);
  PL_CHECK(base::check_size("auroc", "positive_units", static_cast<std::ptrdiff_t>(positive_units.size()),
                            static_cast<std::ptrdiff_t>(m)));
  PL_CHECK(base::check_size("auroc", "negative_units", static_cast<std::ptrdiff_t>(negative_units.size()),
                            static_cast<std::ptrdiff_t>(n)));
  std::vector<int> units(positive_units.begin(), positive_units.end());
  units.insert(units.end(), negative_units.begin(), negative_units.end());
  PL_TRY(UnitIndex index, group_units(units, m + n));
  PL_CHECK(base::check_at_least("auroc", "number of units", static_cast<std::ptrdiff_t>(index.count()), 2));
  return index;
}

/// Variance of the sum of influences: DeLong's for independent rows, of unit sums otherwise.
double influence_variance(std::span<const double> influence, std::size_t m, const UnitIndex& index) {
  const std::size_t n = influence.size() - m;
  if (index.count() == influence.size()) {
    auto part = [](std::span<const double> values) {
      std::vector<double> squares(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) squares[i] = values[i] * values[i];
      const auto size = static_cast<double>(values.size());
      return base::ordered_sum(squares) * size / (size - 1);
    };
    return part(influence.first(m)) + part(influence.last(n));
  }
  std::vector<double> squares(index.count());
  for (std::size_t u = 0; u < index.count(); ++u) {
    double sum = 0;
    for (const std::size_t row : index.rows_of(u)) sum += influence[row];
    squares[u] = sum * sum;
  }
  const auto units = static_cast<double>(index.count());
  return base::ordered_sum(squares) * units / (units - 1);
}

/// Exact one-sided bounds when the sample separates perfectly: `pairs` disjoint pairs all came out one way.
Bounds separated_bounds(double value, double pairs) {
  return make_bounds([=](double c) { return std::optional(value >= 1 ? clopper_pearson_low(pairs, pairs, c) : 0.0); },
                     [=](double c) { return std::optional(value >= 1 ? 1.0 : clopper_pearson_high(0, pairs, c)); });
}

struct FprInput {
  std::vector<double> positives;  // ascending
  std::vector<double> negatives;  // ascending
  double at_or_above(double threshold) const {
    return static_cast<double>(negatives.end() - std::lower_bound(negatives.begin(), negatives.end(), threshold));
  }
};

FprInput sorted_groups(std::span<const double> positives, std::span<const double> negatives) {
  FprInput input{{positives.begin(), positives.end()}, {negatives.begin(), negatives.end()}};
  std::sort(input.positives.begin(), input.positives.end());
  std::sort(input.negatives.begin(), input.negatives.end());
  return input;
}

// A share such as 0.05 x 100 must not lose a whole rank to rounding.
std::size_t rank_below(double share, double total) { return static_cast<std::size_t>(share * total + 1e-9 * total); }

/// Average precision where row i counts times[i]; rows in descending order of score.
double weighted_average_precision(std::span<const std::size_t> order, std::span<const double> scores, std::size_t m,
                                  std::span<const double> times) {
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) total += times[i];
  double hits = 0;
  double seen = 0;
  double area = 0;
  for (std::size_t i = 0; i < order.size();) {
    double gained = 0;
    std::size_t end = i;
    for (; end < order.size() && scores[order[end]] == scores[order[i]]; ++end) {
      seen += times[order[end]];
      if (order[end] < m) gained += times[order[end]];
    }
    hits += gained;
    if (gained > 0) area += gained / total * (hits / seen);
    i = end;
  }
  return area;
}

std::vector<std::size_t> descending(std::span<const double> scores) {
  std::vector<std::size_t> order = sort_order(scores);
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

base::Result<double> auroc_value(std::span<const double> positives, std::span<const double> negatives) {
  PL_CHECK(check_groups("auroc_value", positives, negatives, 1));
  return placement(positives, negatives).auroc;
}

base::Result<Estimate> auroc(std::span<const double> positives, std::span<const double> negatives,
                             const AurocOptions& options) {
  PL_CHECK(check_groups("auroc", positives, negatives, 2));
  const std::size_t m = positives.size();
  const std::size_t n = negatives.size();
  PL_TRY(const UnitIndex index, join_units(options.positive_units, options.negative_units, m, n));
  const Placement placed = placement(positives, negatives);
  const double variance = influence_variance(placed.influence, m, index);
  const double value = placed.auroc;
  const bool clustered = index.count() < m + n;
  const bool logit = options.scale == AurocScale::kLogit;

  Estimate estimate;
  estimate.value = value;
  estimate.n = static_cast<double>(m + n);
  estimate.n_effective = clustered ? kish_size(index) : estimate.n;
  if (clustered) estimate.unit_of_sampling = "unit";
  estimate.method = fmt::format("{}{}", clustered ? "obuchowski" : "delong", logit ? " (logit)" : "");
  estimate.assumptions = {clustered ? "units are independent and drawn alike" : "rows are independent"};
  if (std::min(m, n) < 10)
    estimate.warnings.push_back(
        fmt::format("{} cases in the smaller group: the bounds lean on a normal law", std::min(m, n)));
  if (value <= 0 || value >= 1) {
    // Pairs must not share a unit: with clustered rows there are at least count / 2 disjoint unit pairs only if each
    // group has that many units of its own, so the smaller number of distinct units is halved.
    double pairs = static_cast<double>(std::min(m, n));
    if (clustered) {
      const auto units_p = group_units(options.positive_units, m).value().count();
      const auto units_n = group_units(options.negative_units, n).value().count();
      pairs = std::max(1.0, std::floor(static_cast<double>(std::min({units_p, units_n, index.count() / 2}))));
    }
    estimate.method = "clopper-pearson on disjoint pairs";
    estimate.bounds = separated_bounds(value, pairs);
    return estimate;
  }
  const double error = std::sqrt(variance);
  if (!(error > 0)) {
    estimate.warnings.push_back("the placement values do not vary: no bounds");
    return estimate;
  }
  auto bound = [=](double c, double sign) {
    const double z = normal_quantile(c);
    if (!logit) return std::optional(std::clamp(value + sign * z * error, 0.0, 1.0));
    const double x = std::log(value / (1 - value)) + sign * z * error / (value * (1 - value));
    return std::optional(1 / (1 + std::exp(-x)));
  };
  estimate.bounds = make_bounds([&](double c) { return bound(c, -1); }, [&](double c) { return bound(c, +1); });
  return estimate;
}

base::Result<Estimate> auroc_difference(std::span<const double> positives_a, std::span<const double> negatives_a,
                                        std::span<const double> positives_b, std::span<const double> negatives_b,
                                        const AurocOptions& options) {
  PL_CHECK(check_groups("auroc_difference", positives_a, negatives_a, 2));
  PL_CHECK(check_groups("auroc_difference", positives_b, negatives_b, 2));
  const std::size_t m = positives_a.size();
  const std::size_t n = negatives_a.size();
  PL_CHECK(base::check_size("auroc_difference", "positives_b", static_cast<std::ptrdiff_t>(positives_b.size()),
                            static_cast<std::ptrdiff_t>(m)));
  PL_CHECK(base::check_size("auroc_difference", "negatives_b", static_cast<std::ptrdiff_t>(negatives_b.size()),
                            static_cast<std::ptrdiff_t>(n)));
  PL_TRY(const UnitIndex index, join_units(options.positive_units, options.negative_units, m, n));
  const Placement a = placement(positives_a, negatives_a);
  const Placement b = placement(positives_b, negatives_b);
  std::vector<double> influence(m + n);
  for (std::size_t i = 0; i < influence.size(); ++i) influence[i] = a.influence[i] - b.influence[i];
  const double error = std::sqrt(influence_variance(influence, m, index));
  const bool clustered = index.count() < m + n;
  Estimate estimate;
  estimate.value = a.auroc - b.auroc;
  estimate.n = static_cast<double>(m + n);
  estimate.n_effective = clustered ? kish_size(index) : estimate.n;
  if (clustered) estimate.unit_of_sampling = "unit";
  estimate.method = clustered ? "obuchowski paired" : "delong paired";
  estimate.assumptions = {clustered ? "units are independent and drawn alike" : "rows are independent"};
  if (!(error > 0)) {
    estimate.warnings.push_back("the two scores rank every case alike: no spread to bound the difference with");
    return estimate;
  }
  const double value = estimate.value;
  estimate.bounds =
      make_bounds([=](double c) { return std::optional(std::max(-1.0, value - normal_quantile(c) * error)); },
                  [=](double c) { return std::optional(std::min(1.0, value + normal_quantile(c) * error)); });
  return estimate;
}

base::Result<Estimate> fpr_at_tpr(std::span<const double> positives, std::span<const double> negatives, double tpr) {
  PL_CHECK(check_groups("fpr_at_tpr", positives, negatives, 1));
  PL_CHECK(base::check_in_open("fpr_at_tpr", "tpr", tpr, 0, 1));
  const FprInput input = sorted_groups(positives, negatives);
  const std::size_t m = input.positives.size();
  const auto size_m = static_cast<double>(m);
  const auto size_n = static_cast<double>(input.negatives.size());
  const double q = 1 - tpr;
  Estimate estimate;
  estimate.value = input.at_or_above(input.positives[rank_below(q, size_m)]) / size_n;
  estimate.n = estimate.n_effective = size_m + size_n;
  estimate.method = "order statistics and clopper-pearson";
  estimate.assumptions = {"rows are independent"};
  estimate.bounds = make_bounds(
      [&](double c) -> std::optional<double> {
        // P(X_(u) < threshold) <= P(Binomial(m, q) >= u), so from the smallest such u the threshold is not above X_(u).
        std::size_t u = rank_below(q, size_m);
        while (u <= m && binomial_tail(static_cast<double>(u), size_m, q) > (1 - c) / 2) ++u;
        if (u > m) return 0.0;
        return clopper_pearson_low(input.at_or_above(input.positives[u - 1]), size_n, 1 - (1 - c) / 2);
      },
      [&](double c) -> std::optional<double> {
        std::size_t l = rank_below(q, size_m) + 1;
        while (l > 0 && binomial_cdf(static_cast<double>(l) - 1, size_m, q) > (1 - c) / 2) --l;
        if (l == 0) return 1.0;
        return clopper_pearson_high(input.at_or_above(input.positives[l - 1]), size_n, 1 - (1 - c) / 2);
      });
  return estimate;
}

base::Result<Estimate> fpr_at_tpr_clustered(std::span<const double> positives, std::span<const double> negatives,
                                            std::span<const int> positive_units, std::span<const int> negative_units,
                                            double tpr, const BootstrapOptions& options, const base::Rng& rng) {
  PL_CHECK(check_groups("fpr_at_tpr_clustered", positives, negatives, 1));
  PL_CHECK(base::check_in_open("fpr_at_tpr_clustered", "tpr", tpr, 0, 1));
  const std::size_t m = positives.size();
  PL_TRY(const UnitIndex index, join_units(positive_units, negative_units, m, negatives.size()));
  const std::vector<std::size_t> order = sort_order(positives);
  BootstrapOptions mine = options;
  mine.range = {0.0, 1.0};
  if (index.count() < m + negatives.size() && mine.unit_of_sampling == "row") mine.unit_of_sampling = "unit";
  PL_TRY(Estimate estimate, bootstrap(
                                index.count(),
                                [&](std::span<const std::size_t> sampled) {
                                  std::vector<double> times(index.count());
                                  for (const std::size_t u : sampled) times[u] += 1;
                                  double total = 0;
                                  for (std::size_t i = 0; i < m; ++i) total += times[index.unit_of_row[i]];
                                  if (total == 0) return std::numeric_limits<double>::quiet_NaN();
                                  const auto below = static_cast<double>(rank_below(1 - tpr, total));
                                  double passed = 0;
                                  double threshold = positives[order.back()];
                                  for (const std::size_t i : order) {
                                    passed += times[index.unit_of_row[i]];
                                    if (passed <= below) continue;
                                    threshold = positives[i];
                                    break;
                                  }
                                  double above = 0;
                                  double all = 0;
                                  for (std::size_t j = 0; j < negatives.size(); ++j) {
                                    const double t = times[index.unit_of_row[m + j]];
                                    all += t;
                                    if (negatives[j] >= threshold) above += t;
                                  }
                                  return above / all;
                                },
                                mine, rng));
  estimate.n = static_cast<double>(m + negatives.size());
  return estimate;
}

base::Result<std::vector<RocPoint>> roc_curve(std::span<const double> positives, std::span<const double> negatives,
                                              std::size_t points, double level) {
  PL_CHECK(check_groups("roc_curve", positives, negatives, 1));
  PL_CHECK(base::check_at_least("roc_curve", "points", static_cast<std::ptrdiff_t>(points), 2));
  PL_CHECK(base::check_in_open("roc_curve", "level", level, 0, 1));
  const std::size_t m = positives.size();
  const auto size_m = static_cast<double>(m);
  const auto size_n = static_cast<double>(negatives.size());
  const std::vector<double> scores = joined(positives, negatives);
  const std::vector<std::size_t> order = descending(scores);
  const double one_sided = (1 + level) / 2;
  std::vector<RocPoint> curve;
  auto add = [&](double threshold, double hits, double alarms) {
    curve.push_back({threshold, alarms / size_n, hits / size_m, clopper_pearson_low(alarms, size_n, one_sided),
                     clopper_pearson_high(alarms, size_n, one_sided), clopper_pearson_low(hits, size_m, one_sided),
                     clopper_pearson_high(hits, size_m, one_sided)});
  };
  add(std::numeric_limits<double>::infinity(), 0, 0);
  double hits = 0;
  double alarms = 0;
  double next = 2 / static_cast<double>(points);
  for (std::size_t i = 0; i < order.size();) {
    const double threshold = scores[order[i]];
    for (; i < order.size() && scores[order[i]] == threshold; ++i) (order[i] < m ? hits : alarms) += 1;
    const double along = hits / size_m + alarms / size_n;
    if (along < next - 1e-12 && i < order.size()) continue;
    add(threshold, hits, alarms);
    while (next <= along + 1e-12) next += 2 / static_cast<double>(points);
  }
  return curve;
}

base::Result<double> average_precision_value(std::span<const double> positives, std::span<const double> negatives) {
  PL_CHECK(check_groups("average_precision_value", positives, negatives, 1));
  const std::vector<double> scores = joined(positives, negatives);
  return weighted_average_precision(descending(scores), scores, positives.size(),
                                    std::vector<double>(scores.size(), 1.0));
}

base::Result<Estimate> average_precision(std::span<const double> positives, std::span<const double> negatives,
                                         const BootstrapOptions& options, const base::Rng& rng) {
  PL_CHECK(check_groups("average_precision", positives, negatives, 1));
  const std::size_t m = positives.size();
  const std::vector<double> scores = joined(positives, negatives);
  const std::vector<std::size_t> order = descending(scores);
  BootstrapOptions mine = options;
  mine.range = {0.0, 1.0};
  mine.strata.assign(scores.size(), 1);
  std::fill(mine.strata.begin(), mine.strata.begin() + static_cast<std::ptrdiff_t>(m), 0);
  return bootstrap(
      scores.size(),
      [&](std::span<const std::size_t> sampled) {
        std::vector<double> times(scores.size());
        for (const std::size_t i : sampled) times[i] += 1;
        return weighted_average_precision(order, scores, m, times);
      },
      mine, rng);
}

}  // namespace plumbline::stats

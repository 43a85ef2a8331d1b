#include "plumbline/system/deployed_prediction.hpp"

#include <cmath>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "plumbline/stats/special.hpp"

namespace plumbline::system {
namespace {

using data::DecisionRecord;

constexpr std::size_t kLeast = 100;    // rows a part
constexpr std::size_t kLeastHere = 5;  // rows of a part in a context
constexpr double kCovered = 0.9;       // of the rows that are predicted

std::string context_of(const DecisionRecord& r) {
  std::string key;
  for (const auto& [name, value] : r.context) {
    key += name + '=';
    key += std::holds_alternative<double>(value) ? fmt::format("{}", std::get<double>(value))
                                                 : std::get<std::string>(value);
    key += '\n';
  }
  return key;
}

/// A row that can be used: drawn, carried out as drawn by the policy, with its reward.
struct Row {
  const Draw* draw = nullptr;
  double reward = 0;
  std::size_t unit = 0;
};

/// One context in both parts.
struct Stratum {
  std::vector<Row> from, into;
};

/// Mean probability of each action where the second part met this context.
std::map<int, double> policy_of(const std::vector<Row>& rows) {
  std::map<int, double> sum;
  for (const Row& r : rows)
    for (std::size_t k = 0; k < r.draw->actions.size(); ++k)
      sum[r.draw->actions[k]] += r.draw->probabilities[k] / static_cast<double>(rows.size());
  return sum;
}

/// Sums of a difference of stratified means, and each unit's part in it.
struct Gap {
  double offline = 0, online = 0;
  std::map<std::size_t, double> by_unit;

  void add(const Stratum& s, double share) {
    const std::map<int, double> policy = policy_of(s.into);
    std::vector<double> weighted;
    for (const Row& r : s.from) {
      const auto found = policy.find(r.draw->actions[r.draw->taken]);
      weighted.push_back(found == policy.end() ? 0 : found->second / r.draw->probabilities[r.draw->taken] * r.reward);
    }
    const auto n = static_cast<double>(s.from.size());
    const auto m = static_cast<double>(s.into.size());
    double before = 0;
    double after = 0;
    for (const double w : weighted) before += w / n;
    for (const Row& r : s.into) after += r.reward / m;
    offline += share * before;
    online += share * after;
    // The factors make the sums of squares unbiased within a context.
    const double a = share / n * std::sqrt(n / (n - 1));
    const double b = share / m * std::sqrt(m / (m - 1));
    for (std::size_t i = 0; i < weighted.size(); ++i) by_unit[s.from[i].unit] += a * (weighted[i] - before);
    for (const Row& r : s.into) by_unit[r.unit] -= b * (r.reward - after);
  }
};

std::string named(const std::string& version) { return version.empty() ? "a version without a name" : version; }

}  // namespace

void predict_online(std::span<const DecisionRecord> log, std::span<const Draw> draws, DeployedLog& out) {
  const bool versions = out.versions.size() > 1;
  const std::string last = log.back().policy;
  out.predicted_from = versions ? "all versions before" : "the first half";
  out.predicted_for = versions ? named(last) : "the second half";
  std::map<std::string, Stratum> strata;
  std::map<std::string, std::size_t> units;
  std::size_t from = 0;
  std::size_t into = 0;
  for (const Draw& d : draws) {
    const DecisionRecord& r = log[d.row];
    const bool as_drawn =
        r.cause == data::DecisionCause::kPolicy && (r.final_action.empty() || r.final_action == r.action);
    if (!as_drawn || !r.reward || !std::isfinite(*r.reward) || !(d.probabilities[d.taken] > 0)) continue;
    const bool second = versions ? r.policy == last : d.row >= log.size() / 2;
    const std::string unit = r.unit.empty() ? fmt::format("row {}", d.row) : r.unit;
    Stratum& s = strata[context_of(r)];
    (second ? s.into : s.from).push_back({&d, *r.reward, units.emplace(unit, units.size()).first->second});
    ++(second ? into : from);
  }
  if (from < kLeast || into < kLeast) {
    out.notes.push_back(
        fmt::format("offline_gap is not known: {} and {} decisions of {} and {} can be used, {} each are needed", from,
                    into, out.predicted_from, out.predicted_for, kLeast));
    return;
  }
  double covered = 0;
  for (const auto& [key, s] : strata)
    if (s.from.size() >= kLeastHere && s.into.size() >= kLeastHere) covered += static_cast<double>(s.into.size());
  if (covered < kCovered * static_cast<double>(into)) {
    out.notes.push_back(fmt::format(
        "offline_gap is not known: {} of {} decisions of {} have a context that came {} times in both parts; "
        "counterfactual.policy_value fits a model instead",
        covered, into, out.predicted_for, kLeastHere));
    return;
  }
  Gap gap;
  for (const auto& [key, s] : strata)
    if (s.from.size() >= kLeastHere && s.into.size() >= kLeastHere)
      gap.add(s, static_cast<double>(s.into.size()) / covered);
  double square = 0;
  for (const auto& [unit, part] : gap.by_unit) square += part * part;
  const auto n = static_cast<double>(gap.by_unit.size());
  const double error = std::sqrt(square * n / (n - 1));
  stats::Estimate e;
  e.value = gap.offline - gap.online;
  e.n = e.n_effective = n;
  e.unit_of_sampling = gap.by_unit.size() < from + into ? "unit" : "decision";
  e.method = "weighted rewards of one part less rewards of the other, by context, Student's t";
  if (error == 0) {
    e.warnings.emplace_back("no spread, so no bounds");
  } else {
    e.bounds =
        stats::make_bounds([&](double c) { return std::optional(e.value - stats::t_quantile(c, n - 1) * error); },
                           [&](double c) { return std::optional(e.value + stats::t_quantile(c, n - 1) * error); });
  }
  out.offline = gap.offline;
  out.online = gap.online;
  out.offline_gap = std::move(e);
}

}  // namespace plumbline::system

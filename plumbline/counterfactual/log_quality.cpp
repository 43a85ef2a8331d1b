#include "plumbline/counterfactual/log_quality.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual {
namespace {

using data::DecisionCause;
using data::DecisionKind;
using data::DecisionLog;

constexpr std::size_t kShownRows = 100;
constexpr std::size_t kShownActions = 50;
constexpr std::size_t kLeast = 30;

/// The policy acted: its propensity says how likely that was.
bool judged(const DecisionLog& log, std::size_t i) {
  return static_cast<DecisionCause>(log.cause[i]) == DecisionCause::kPolicy &&
         static_cast<DecisionKind>(log.kind[i]) == DecisionKind::kAct && log.action[i] >= 0 &&
         log.final_action[i] == log.action[i];
}

stats::Estimate share(std::size_t count, std::size_t of) {
  const auto n = static_cast<double>(of);
  return stats::exact(of == 0 ? 0 : static_cast<double>(count) / n, n, "count");
}

/// Everything that a row says, as text that is equal for equal rows.
std::string content(const DecisionLog& log, std::size_t i) {
  std::string text = fmt::format("{} {} {} {} {} {} {} {} {} {} {}", log.action[i], log.final_action[i],
                                 log.propensity[i], log.reward[i], log.time[i], log.delay[i], log.kind[i], log.cause[i],
                                 log.position[i], log.unit[i], log.policy[i]);
  for (const data::Column& column : log.context.columns) {
    if (column.kind == data::Column::Kind::kNumber)
      text += fmt::format(" {}", column.numbers[i]);
    else
      text += fmt::format(" {}", column.codes[i]);
  }
  return text;
}

std::size_t duplicates(const DecisionLog& log, std::vector<std::string>& notes) {
  std::size_t count = 0;
  if (!log.ids.empty()) {
    // One decision may show several positions of a slate under one id.
    std::set<std::string> seen;
    for (std::size_t i = 0; i < log.rows(); ++i) {
      if (!log.ids[i].empty() && !seen.insert(fmt::format("{}:{}", log.position[i], log.ids[i])).second) ++count;
    }
    return count;
  }
  const bool timed = std::any_of(log.time.begin(), log.time.end(), [](double t) { return !std::isnan(t); });
  if (!timed) {
    notes.emplace_back("duplicates are not looked for: without ids or times, equal rows may be different decisions");
    return 0;
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (!seen.insert(content(log, i)).second) ++count;
  }
  return count;
}

bool concentrated(const std::vector<double>& values) {
  const double total = base::ordered_sum(values);
  return *std::max_element(values.begin(), values.end()) > 0.1 * total;
}

/// Ratios and their p-values: sums over the units' residuals, rows that did not take the action counting as 0.
base::Status judge_actions(const DecisionLog& log, const std::vector<std::size_t>& rows, const std::vector<int>& unit,
                           std::vector<ActionShare>& actions) {
  for (std::size_t a = 0; a < actions.size(); ++a) {
    actions[a].action = log.action_names[a];
    if (actions[a].available > 0) actions[a].ratio /= actions[a].available;
  }
  if (rows.empty()) return base::ok();
  PL_TRY(const stats::UnitIndex index, stats::group_units(unit, rows.size()));
  std::vector<double> residual(actions.size(), 0.0);
  std::vector<double> square(actions.size(), 0.0);
  std::vector<std::size_t> touched;
  std::vector<double> units_of(actions.size(), 0.0);
  std::vector<bool> is_touched(actions.size(), false);
  std::vector<int> every;
  for (std::size_t u = 0; u < index.count(); ++u) {
    touched.clear();
    for (const std::size_t j : index.rows_of(u)) {
      const std::size_t i = rows[j];
      const auto available = log.available(i, every);
      const auto all = log.probabilities(i);
      for (std::size_t k = 0; k < available.size(); ++k) {
        if (!all.empty() && !(all[k] > 0)) continue;
        const auto a = static_cast<std::size_t>(available[k]);
        if (!is_touched[a]) {
          is_touched[a] = true;
          touched.push_back(a);
        }
        residual[a] += (log.action[i] == available[k] ? 1 / log.propensity[i] : 0.0) - actions[a].ratio;
      }
    }
    for (const std::size_t a : touched) {
      square[a] += residual[a] * residual[a];
      ++units_of[a];
      residual[a] = 0;
      is_touched[a] = false;
    }
  }
  for (std::size_t a = 0; a < actions.size(); ++a) {
    ActionShare& s = actions[a];
    if (s.taken < static_cast<double>(kLeast) || units_of[a] < 2) continue;
    const double error = std::sqrt(square[a] * units_of[a] / (units_of[a] - 1)) / s.available;
    if (error > 0) s.p_value = stats::t_two_sided((s.ratio - 1) / error, units_of[a] - 1);
  }
  return base::ok();
}

}  // namespace

base::Result<LogQuality> log_quality(const DecisionLog& log) {
  LogQuality out;
  out.rows = log.rows();
  std::map<std::string, Fault> faults;
  std::vector<int> every;
  std::vector<double> ratio;
  std::vector<int> unit;
  std::vector<std::size_t> ratio_row;
  std::size_t impossible = 0;
  std::size_t missing = 0;
  std::size_t usable = 0;
  std::vector<ActionShare> actions(log.actions());
  std::vector<double> lost;  // 1 where a judged row has no reward
  std::vector<int> lost_unit;
  const bool units = std::any_of(log.unit.begin(), log.unit.end(), [](int u) { return u >= 0; });
  auto next_unit = static_cast<int>(log.unit_names.size());
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (!judged(log, i)) continue;
    ++out.judged;
    const int own_unit = log.unit[i] >= 0 ? log.unit[i] : next_unit++;
    const bool no_reward = std::isnan(log.reward[i]);
    missing += no_reward ? 1 : 0;
    lost.push_back(no_reward ? 1 : 0);
    lost_unit.push_back(own_unit);
    const auto available = log.available(i, every);
    if (const std::string what = row_fault(log, i, available); !what.empty()) {
      ++impossible;
      // Rows with the same kind of fault are counted together: the words up to the first figure.
      Fault& fault = faults[what.substr(0, what.find_first_of("0123456789'"))];
      if (fault.count++ == 0) fault.what = what;
      if (fault.rows.size() < kShownRows) fault.rows.push_back(i);
      continue;
    }
    usable += no_reward ? 0 : 1;
    const auto all = log.probabilities(i);
    double covered = 0;
    for (std::size_t k = 0; k < available.size(); ++k) {
      const bool possible = all.empty() || all[k] > 0;
      covered += possible ? 1 : 0;
      if (possible) ++actions[static_cast<std::size_t>(available[k])].available;
    }
    const double inverse = 1 / log.propensity[i];
    ratio.push_back(inverse / covered);
    unit.push_back(own_unit);
    ratio_row.push_back(i);
    ActionShare& taken = actions[static_cast<std::size_t>(log.action[i])];
    ++taken.taken;
    taken.ratio += inverse;
  }
  if (!units) {
    unit.clear();
    lost_unit.clear();
  }
  out.impossible_share = share(impossible, out.judged);
  out.missing_reward_share = share(missing, out.judged);
  out.excluded_share = share(out.rows - usable, out.rows);
  out.duplicate_share = share(duplicates(log, out.notes), out.rows);

  std::size_t timed = 0;
  std::size_t back = 0;
  double before = -std::numeric_limits<double>::infinity();
  for (const double t : log.time) {
    if (std::isnan(t)) continue;
    ++timed;
    back += t < before ? 1 : 0;
    before = t;
  }
  if (timed == 0) out.notes.emplace_back("the order is not judged: no decision has a time");
  out.out_of_order_share = share(back, timed);

  if (ratio.size() < kLeast) {
    out.notes.push_back(
        fmt::format("propensity_ratio is withheld: {} decisions have a possible propensity", ratio.size()));
  } else if (const auto ends = std::minmax_element(ratio.begin(), ratio.end()); *ends.second - *ends.first < 1e-9) {
    out.notes.emplace_back(
        "propensity_ratio is withheld: every decision claims the same chance for each action, so it says nothing; "
        "propensity_p does");
  } else if (concentrated(ratio)) {
    out.notes.emplace_back("propensity_ratio is withheld: one decision has over a tenth of the sum of 1 / propensity");
  } else {
    PL_TRY(out.propensity_ratio, stats::mean(ratio, unit));
    const std::size_t half = ratio.size() / 2;
    const std::vector<double> first(ratio.begin(), ratio.begin() + static_cast<std::ptrdiff_t>(half));
    const std::vector<double> second(ratio.begin() + static_cast<std::ptrdiff_t>(half), ratio.end());
    const std::span<const int> all_units(unit);
    const auto first_units = unit.empty() ? all_units : all_units.first(half);
    const auto second_units = unit.empty() ? all_units : all_units.subspan(half);
    if (concentrated(first) || concentrated(second)) {
      out.notes.emplace_back("propensity_drift is withheld: one decision has over a tenth of a half's sum");
    } else if (auto drift = stats::difference_of_means(second, first, second_units, first_units); drift.ok()) {
      out.propensity_drift = std::move(*drift);
    } else {
      out.notes.push_back("propensity_drift is withheld: " + drift.error().message);
    }
  }
  const std::size_t recent = lost.size() / 10;
  if (missing > 0 && missing < lost.size() && recent >= kLeast) {
    const std::span<const double> values(lost);
    const std::size_t old = lost.size() - recent;
    const std::span<const int> all_units(lost_unit);
    auto gap = stats::difference_of_means(values.subspan(old), values.first(old),
                                          lost_unit.empty() ? all_units : all_units.subspan(old),
                                          lost_unit.empty() ? all_units : all_units.first(old));
    if (gap.ok()) out.recent_missing_gap = std::move(*gap);
  }
  if (!out.recent_missing_gap)
    out.notes.emplace_back(
        "recent_missing_gap is withheld: no reward is missing, all are, or a tenth of the log is below 30");

  std::vector<double> delays;
  for (const double d : log.delay) {
    if (std::isfinite(d)) delays.push_back(d);
  }
  if (delays.empty()) {
    out.notes.emplace_back("reward_delay is withheld: no decision has a delay");
  } else {
    constexpr double kQuantile = 0.95;
    PL_TRY(const double value, stats::quantile(delays, kQuantile));
    out.delay = stats::exact(value, static_cast<double>(delays.size()), "quantile");
  }

  PL_CHECK(judge_actions(log, ratio_row, unit, actions));
  double least = 1;
  double tests = 0;
  for (const ActionShare& s : actions) {
    if (s.taken < static_cast<double>(kLeast)) continue;
    ++tests;
    least = std::min(least, s.p_value);
  }
  if (tests > 0)
    out.propensity_p = stats::exact(std::min(1.0, least * tests), static_cast<double>(ratio.size()),
                                    "a p-value of these decisions: a fact about them");
  else
    out.notes.emplace_back("propensity_p is withheld: no action was taken 30 times");
  std::stable_sort(actions.begin(), actions.end(),
                   [](const ActionShare& x, const ActionShare& y) { return x.available > y.available; });
  if (actions.size() > kShownActions) actions.resize(kShownActions);
  out.actions = std::move(actions);
  for (auto& [key, fault] : faults) out.faults.push_back(std::move(fault));
  std::stable_sort(out.faults.begin(), out.faults.end(),
                   [](const Fault& x, const Fault& y) { return x.count > y.count; });
  return out;
}

}  // namespace plumbline::counterfactual

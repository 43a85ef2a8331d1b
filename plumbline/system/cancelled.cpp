#include "plumbline/system/cancelled.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;

/// Counts of levels with and without the flag.
struct Cells {
  std::vector<double> with, without;
  double total_with = 0, total_without = 0;
  explicit Cells(std::size_t levels) : with(levels, 0.0), without(levels, 0.0) {}
};

/// Rows that the search sees.
struct View {
  const std::vector<std::uint8_t>& flag;
  const std::vector<int>& strata;
  int strata_count;
  std::vector<int> half;  ///< of each row
};

/// Which levels are likelier with the flag, by stratum; chosen on the rows of `half`, or on all (-1).
std::vector<std::vector<bool>> likelier(const View& view, const std::vector<int>& level, std::size_t levels, int half) {
  std::vector<Cells> cells(static_cast<std::size_t>(view.strata_count) + 1, Cells(levels));
  for (std::size_t i = 0; i < level.size(); ++i) {
    if (level[i] < 0 || view.strata[i] < 0 || view.flag[i] > 1 || (half >= 0 && view.half[i] != half)) continue;
    for (const std::size_t s : {static_cast<std::size_t>(view.strata[i]), cells.size() - 1}) {
      const bool with = view.flag[i] == 1;
      (with ? cells[s].with : cells[s].without)[static_cast<std::size_t>(level[i])] += 1;
      (with ? cells[s].total_with : cells[s].total_without) += 1;
    }
  }
  constexpr double kLeast = 10;  // smaller strata follow all rows together
  std::vector<std::vector<bool>> out;
  for (std::size_t s = 0; s + 1 < cells.size(); ++s) {
    const bool small = cells[s].total_with < kLeast || cells[s].total_without < kLeast;
    const Cells& c = small ? cells.back() : cells[s];
    std::vector<bool>& set = out.emplace_back(levels, false);
    for (std::size_t k = 0; k < levels; ++k) set[k] = c.with[k] * c.total_without > c.without[k] * c.total_with;
  }
  return out;
}

std::vector<double> in_set(const View& view, const std::vector<int>& level, const std::vector<std::vector<bool>>& first,
                           const std::vector<std::vector<bool>>& second) {
  std::vector<double> out(level.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < level.size(); ++i) {
    if (level[i] < 0 || view.strata[i] < 0) continue;
    const auto& sets = view.half[i] == 0 ? first : second;
    out[i] = sets[static_cast<std::size_t>(view.strata[i])][static_cast<std::size_t>(level[i])] ? 1 : 0;
  }
  return out;
}

/// Outputs told apart by the flag: the contrast of sets chosen on the other half, and of sets chosen on all rows.
struct Apart {
  Contrast honest, eager;
};
base::Result<Apart> told_apart(const View& view, const std::vector<int>& level, std::size_t levels,
                               const std::vector<int>& units) {
  const auto zero = likelier(view, level, levels, 0);
  const auto one = likelier(view, level, levels, 1);
  const auto all = likelier(view, level, levels, -1);
  Apart out;
  // Where there is nothing to find, both halves err on the same side: the sets are right in both or wrong in both.
  constexpr double kInflation = 2;
  PL_TRY(out.honest, contrast(in_set(view, level, one, zero), view.flag, view.strata, units, kInflation));
  PL_TRY(out.eager, contrast(in_set(view, level, all, all), view.flag, view.strata, units));
  return out;
}

/// 1 - TV, within [0, 1].
Bounded overlap(const Apart& apart) {
  const Bounded honest = difference(apart.honest);
  const Bounded eager = difference(apart.eager);
  Bounded out = honest;
  out.value = std::clamp(1 - honest.value, 0.0, 1.0);
  const auto cut = [](std::optional<double> v) { return v ? std::optional(std::clamp(1 - *v, 0.0, 1.0)) : v; };
  // Sets chosen on all rows lie at least as far apart as the laws do, up to chance; never report bounds that cross.
  const double value = out.value;
  out.low = [eager, cut, value](double c) {
    const auto low = cut(eager.high(c));
    return low ? std::optional(std::min(*low, value)) : low;
  };
  out.high = [honest, cut, value](double c) {
    const auto high = cut(honest.low(c));
    return high ? std::optional(std::max(*high, value)) : high;
  };
  return out;
}

/// Whether an output can hold the explorer's own choice: at least half of its levels are levels of that.
bool rewrites(const Signal& own, const Signal& later) {
  if (own.numeric != later.numeric) return false;
  std::set<std::string> mine(own.levels.begin(), own.levels.end());
  if (own.numeric) return false;  // equal numbers say nothing of one quantity
  std::size_t common = 0;
  for (const std::string& level : later.levels) common += mine.count(level);
  return common >= 2 && 2 * common >= later.levels.size();
}

std::vector<double> agreement(const Signal& own, const Signal& later) {
  std::map<std::string, double> code;
  for (std::size_t k = 0; k < own.levels.size(); ++k) code[own.levels[k]] = static_cast<double>(k);
  std::vector<double> out(own.value.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(own.value[i]) || std::isnan(later.value[i])) continue;
    const auto found = code.find(later.levels[static_cast<std::size_t>(later.value[i])]);
    out[i] = found != code.end() && found->second == own.value[i] ? 1 : 0;
  }
  return out;
}

/// Ratios above 1 are kept in full; bounds follow.
Bounded at_most_one(Bounded b) {
  const auto cut = [](const std::function<std::optional<double>(double)>& f) {
    return [f](double c) {
      const auto v = f(c);
      return v ? std::optional(std::min(*v, 1.0)) : v;
    };
  };
  b.value = std::min(b.value, 1.0);
  b.low = cut(b.low);
  // No upper bound of the ratio is a bound of 1 on what is kept.
  b.high = [f = b.high](double c) { return std::optional(std::min(f(c).value_or(1.0), 1.0)); };
  return b;
}

void say_loudest(const View& view, const std::vector<int>& level, const std::vector<std::string>& names,
                 Crossing& out) {
  Cells cells(names.size());
  for (std::size_t i = 0; i < level.size(); ++i) {
    if (level[i] < 0 || view.flag[i] > 1 || view.strata[i] < 0) continue;
    const bool with = view.flag[i] == 1;
    (with ? cells.with : cells.without)[static_cast<std::size_t>(level[i])] += 1;
    (with ? cells.total_with : cells.total_without) += 1;
  }
  double most = -1;
  for (std::size_t k = 0; k < names.size(); ++k) {
    const double with = cells.with[k] / std::max(1.0, cells.total_with);
    const double without = cells.without[k] / std::max(1.0, cells.total_without);
    if (with - without <= most) continue;
    most = with - without;
    out.loudest = names[k];
    out.loud_explored = with;
    out.loud_others = without;
  }
}

struct Search {
  const SystemGraph& graph;
  const Trace& trace;
  std::size_t explorer;
  const ExplorationOptions& options;
  View view;
  std::vector<int> units;
  ExplorationReport& report;

  /// What the flag changes in `signal`, of `part`; nothing where too few rows can be compared.
  std::optional<Crossing> treated(std::size_t part, const Signal& signal) {
    Crossing out;
    out.part = part;
    out.signal = signal.name;
    std::vector<std::string> names;
    const std::vector<int> level = as_levels(signal, static_cast<std::size_t>(options.levels), &names);
    const auto apart = told_apart(view, level, names.size(), units);
    if (!apart.ok()) {
      report.notes.push_back(
          fmt::format("{} of {} is not judged: {}", signal.name, graph.component(part).name, apart.error().message));
      return std::nullopt;
    }
    report.compared = std::min(report.compared, apart->honest.compared);
    out.kept = overlap(*apart);
    out.dependence_p = difference_p(apart->honest);
    say_loudest(view, level, names, out);
    return out;
  }

  /// The later part writes the explorer's choice anew: how often it lets it through.
  std::optional<Crossing> passed(std::size_t part, const Signal& signal) {
    for (const std::string& name : graph.component(explorer).outputs) {
      const Signal* own = trace.find(name);
      if (own == nullptr || !rewrites(*own, signal)) continue;
      const auto got = contrast(agreement(*own, signal), view.flag, view.strata, units);
      if (!got.ok()) return std::nullopt;
      Crossing out;
      out.part = part;
      out.signal = signal.name;
      out.passage = Passage::kPassed;
      out.kept = at_most_one(ratio(*got));
      out.dependence_p = std::min(1.0, 2 * std::min(difference_p(*got), 1 - difference_p(*got)));
      out.loudest = fmt::format("another {} than {} chose", signal.name, graph.component(explorer).name);
      out.loud_explored = 1 - got->treated.value;
      out.loud_others = 1 - got->control.value;
      return out;
    }
    return std::nullopt;
  }

  void find_tellers(Crossing& crossing) {
    constexpr double kLevel = 0.01;
    std::vector<std::string> names;
    std::vector<double> p;
    for (const std::string& input : graph.component(crossing.part).inputs) {
      const Signal* signal = trace.find(input);
      if (signal == nullptr) continue;
      std::vector<std::string> levels;
      const std::vector<int> level = as_levels(*signal, static_cast<std::size_t>(options.levels), &levels);
      const auto apart = told_apart(view, level, levels.size(), units);
      if (!apart.ok()) continue;
      names.push_back(input);
      p.push_back(difference_p(apart->honest));
    }
    const auto adjusted = stats::holm(p);
    for (std::size_t k = 0; adjusted.ok() && k < names.size(); ++k)
      if ((*adjusted)[k] <= kLevel) crossing.told_by.push_back(names[k]);
  }
};

base::Status check_flag(const SystemGraph& graph, const Trace& trace, std::size_t explorer) {
  const std::string& name = graph.component(explorer).name;
  const auto& flag = trace.explored[explorer].flag;
  if (flag.empty())
    return make_error(Code::kValue, fmt::format("{} records no exploration flag", name), {},
                      "Name its column: explored = \"...\"");
  for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{1}})
    if (std::find(flag.begin(), flag.end(), value) == flag.end())
      return make_error(Code::kValue,
                        fmt::format("the exploration flag of {} is never {}; nothing can be compared", name, value));
  return base::ok();
}

Strata context_of(const SystemGraph& graph, const Trace& trace, std::size_t explorer) {
  std::vector<StrataColumn> columns;
  const Exploration& exploration = trace.explored[explorer];
  if (!exploration.propensity.empty()) columns.push_back({"propensity", &exploration.propensity, true});
  std::vector<std::string> unrecorded;
  for (const std::string& input : graph.component(explorer).inputs) {
    const Signal* signal = trace.find(input);
    if (signal == nullptr)
      unrecorded.push_back(input);
    else
      columns.push_back({input, &signal->value, signal->numeric});
  }
  Strata out = make_strata(columns, trace.rows);
  out.left_out.insert(out.left_out.end(), unrecorded.begin(), unrecorded.end());
  return out;
}

base::Status rate(const Trace& trace, std::size_t explorer, const std::vector<int>& units, ExplorationReport& report) {
  const Exploration& e = trace.explored[explorer];
  std::vector<double> value(trace.rows, 0.0), weight(trace.rows, 0.0), gap(trace.rows, 0.0), both(trace.rows, 0.0);
  bool any = false;
  for (std::size_t i = 0; i < trace.rows; ++i) {
    if (e.flag[i] > 1) continue;
    value[i] = e.flag[i];
    weight[i] = 1;
    if (e.propensity.empty() || std::isnan(e.propensity[i])) continue;
    gap[i] = value[i] - e.propensity[i];
    both[i] = 1;
    any = true;
  }
  PL_TRY(report.explored, weighted_mean(value, weight, units));
  if (any) {
    PL_TRY(report.claim_gap, weighted_mean(gap, both, units));
  }
  return base::ok();
}

base::Result<std::optional<Crossing>> exposure(const Trace& trace, const View& view, const std::vector<int>& units,
                                               const ExplorationOptions& options, ExplorationReport& report) {
  if (options.exposure.empty()) return std::optional<Crossing>();
  const Signal* signal = trace.find(options.exposure);
  if (signal == nullptr)
    return make_error(Code::kValue, fmt::format("the exposure '{}' was not recorded", options.exposure), {},
                      "Make it an output of the part that notices, with a column in its trace");
  const bool bad = std::any_of(signal->value.begin(), signal->value.end(), [](double v) { return v < 0; });
  if (!signal->numeric || bad)
    return make_error(Code::kValue, fmt::format("the exposure '{}' must be a number of at least 0", options.exposure));
  const auto got = contrast(signal->value, view.flag, view.strata, units);
  if (!got.ok()) {
    report.notes.push_back(fmt::format("exposure is not judged: {}", got.error().message));
    return std::optional<Crossing>();
  }
  report.compared = std::min(report.compared, got->compared);
  if (!(got->control.value > 0)) {
    report.notes.push_back("exposure is not judged: no other choice reached anybody");
    return std::optional<Crossing>();
  }
  Crossing out;
  out.signal = options.exposure;
  out.passage = Passage::kExposed;
  out.kept = at_most_one(ratio(*got));
  out.dependence_p = std::min(1.0, 2 * std::min(difference_p(*got), 1 - difference_p(*got)));
  out.loudest = "mean exposure";
  out.loud_explored = got->treated.value;
  out.loud_others = got->control.value;
  return std::optional(std::move(out));
}

}  // namespace

std::string_view passage_name(Passage passage) {
  return passage == Passage::kTreated ? "treated" : passage == Passage::kPassed ? "passed" : "exposed";
}

base::Result<ExplorationReport> find_cancelled(const SystemGraph& graph, const Trace& trace, std::size_t explorer,
                                               const ExplorationOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_in("find_cancelled", "levels", options.levels, 2, 50));
  PL_CHECK(check_flag(graph, trace, explorer));
  ExplorationReport report;
  report.explorer = explorer;
  report.context = context_of(graph, trace, explorer);
  const std::vector<int> units = sampling_units(trace);
  PL_CHECK(rate(trace, explorer, units, report));
  View view{trace.explored[explorer].flag, report.context.of_row, report.context.count,
            std::vector<int>(trace.rows, 0)};
  base::Rng halves = rng.fork("halves");
  std::map<int, int> half;
  for (std::size_t i = 0; i < trace.rows; ++i) {
    if (units.empty()) {
      view.half[i] = static_cast<int>(halves.below(2));
      continue;
    }
    const auto [at, fresh] = half.emplace(units[i], 0);
    if (fresh) at->second = static_cast<int>(halves.below(2));
    view.half[i] = at->second;
  }
  Search search{graph, trace, explorer, options, std::move(view), units, report};
  for (const std::size_t part : graph.later(explorer)) {
    // A part without aim or lessons is the world or a rule: that it answers to what it gets is its nature.
    const bool chooses = graph.component(part).chooses();
    for (const std::string& output : graph.component(part).outputs) {
      if (output == options.exposure) continue;
      const Signal* signal = trace.find(output);
      if (signal == nullptr) {
        report.notes.push_back(fmt::format("{} of {} was not recorded", output, graph.component(part).name));
        continue;
      }
      auto crossing = search.passed(part, *signal);
      if (!crossing && chooses) crossing = search.treated(part, *signal);
      if (crossing) report.crossings.push_back(std::move(*crossing));
    }
  }
  PL_TRY(std::optional<Crossing> exposed, exposure(trace, search.view, units, options, report));
  if (exposed) {
    exposed->part = *graph.writer(options.exposure);
    report.crossings.push_back(std::move(*exposed));
  }
  std::vector<double> p;
  for (const Crossing& c : report.crossings) p.push_back(c.dependence_p);
  PL_TRY(const std::vector<double> adjusted, stats::holm(p));
  std::vector<Bounded> kept;
  for (std::size_t k = 0; k < report.crossings.size(); ++k) {
    Crossing& c = report.crossings[k];
    c.dependence_p = adjusted[k];
    if (c.passage != Passage::kExposed && c.dependence_p <= 0.05) search.find_tellers(c);
    kept.push_back(c.kept);
  }
  if (kept.empty()) return report;
  report.kept = report.crossings.back().passage == Passage::kExposed ? kept.back() : least_of(std::move(kept));
  report.effective = product(report.explored, *report.kept);
  return report;
}

}  // namespace plumbline::system

#include "plumbline/system/conflict.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::system {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLots = 100;
constexpr double kClear = 0.05;

struct Objective {
  std::string signal;
  std::vector<double> value;  ///< larger is better
  double deviation = 0;
  std::vector<std::size_t> bearers;
};

class Finder {
 public:
  Finder(const SystemGraph& graph, const Trace& trace, const ConflictOptions& options, const base::Rng& rng)
      : graph_(graph),
        trace_(trace),
        options_(options),
        before_(rows_before(trace)),
        clusters_(make_clusters(trace.unit, trace.rows)),
        units_(sampling_units(trace)),
        half_(trace.rows, 0) {
    base::Rng halves = rng.fork("halves");
    std::map<int, int> known;
    for (std::size_t i = 0; i < trace.rows; ++i) {
      const auto [at, fresh] = known.emplace(units_.empty() ? static_cast<int>(i) : units_[i], 0);
      if (fresh) at->second = static_cast<int>(halves.below(2));
      half_[i] = at->second;
    }
  }

  ConflictReport run() {
    ConflictReport report;
    read_objectives(report);
    for (const std::size_t part : graph_.order()) {
      const Component& c = graph_.component(part);
      const Objective* own = objective_of(part);
      if (own == nullptr) continue;
      for (const std::string& output : c.outputs) {
        const Signal* signal = trace_.find(output);
        if (signal == nullptr) {
          report.notes.push_back(fmt::format("{} of {} was not recorded", output, c.name));
          continue;
        }
        Lever lever;
        lever.component = part;
        lever.signal = output;
        lever.by_lot = lots(part) >= kLots;
        if (signal->numeric)
          number(*signal, *own, lever, report);
        else
          category(*signal, *own, lever, report);
        report.levers.push_back(std::move(lever));
      }
    }
    return report;
  }

 private:
  void read_objectives(ConflictReport& report) {
    std::map<std::string, std::size_t> at;
    for (std::size_t part = 0; part < graph_.components().size(); ++part) {
      const Component& c = graph_.component(part);
      if (c.objective.empty()) continue;
      const std::string key = (c.minimises ? "less " : "") + c.objective;
      if (const auto found = at.find(key); found != at.end()) {
        objectives_[found->second].bearers.push_back(part);
        continue;
      }
      const Signal* signal = trace_.find(c.objective);
      const bool number = signal != nullptr && signal->measurable();
      if (!number) {
        report.notes.push_back(
            fmt::format("the objective of {}, {}, was not recorded as a number", c.name, c.objective));
        continue;
      }
      Objective made{key, signal->value, 0, {part}};
      std::vector<double> there;
      for (double& v : made.value) {
        if (c.minimises) v = -v;
        if (!std::isnan(v)) there.push_back(v);
      }
      made.deviation = there.empty() ? 0 : std::sqrt(stats::moments(there).variance);
      if (!(made.deviation > 0)) {
        report.notes.push_back(fmt::format("the objective of {}, {}, does not vary", c.name, c.objective));
        continue;
      }
      at.emplace(key, objectives_.size());
      report.objectives.push_back(key);
      objectives_.push_back(std::move(made));
    }
  }

  const Objective* objective_of(std::size_t part) const {
    for (const Objective& o : objectives_)
      if (std::find(o.bearers.begin(), o.bearers.end(), part) != o.bearers.end()) return &o;
    return nullptr;
  }

  std::size_t lots(std::size_t part) const {
    const auto& flag = trace_.explored[part].flag;
    return static_cast<std::size_t>(std::count(flag.begin(), flag.end(), std::uint8_t{1}));
  }
  bool counts(const Lever& lever, std::size_t row) const {
    return !lever.by_lot || trace_.explored[lever.component].flag[row] == 1;
  }

  void withhold(const Lever& lever, std::string_view why, ConflictReport& report) const {
    report.notes.push_back(fmt::format("{} of {} moves nothing that can be judged: {}", lever.signal,
                                       graph_.component(lever.component).name, why));
  }

  void add_pull(const Objective& objective, const Objective& own, std::optional<Bounded> effect,
                std::optional<double> robustness, Lever& lever) const {
    lever.pulls.push_back({objective.signal, objective.bearers, &objective == &own, std::move(effect), robustness});
  }

  void finish(Lever& lever) const {
    std::vector<Bounded> others;
    for (const Pull& pull : lever.pulls)
      if (!pull.own && pull.effect) others.push_back(*pull.effect);
    if (!others.empty()) lever.worst = least_of(std::move(others));
  }

  void number(const Signal& signal, const Objective& own, Lever& lever, ConflictReport& report) const {
    const Component& part = graph_.component(lever.component);
    Design design(trace_.rows);
    design.add(signal);
    for (const std::string& input : part.inputs)
      if (const Signal* in = trace_.find(input)) design.add(*in);
    for (const std::string& lesson : part.learns_from)
      if (const Signal* in = trace_.find(lesson)) design.add(*in, &before_);
    const MatrixD x = design.matrix();
    const auto fit = [&](const Objective& objective) {
      std::vector<double> y = objective.value;
      for (std::size_t i = 0; i < y.size(); ++i)
        if (!counts(lever, i)) y[i] = kMissing;
      return regress(x, y, clusters_, design.names());
    };
    const auto base_fit = fit(own);
    if (!base_fit.ok()) return withhold(lever, base_fit.error().message, report);
    const double t = base_fit->coefficient[0] / base_fit->error(0);
    if (!(stats::t_two_sided(std::abs(t), base_fit->clusters - 1) <= kClear))
      return withhold(lever, fmt::format("no step of it is a clear gain for {}", own.signal), report);
    const double sign = base_fit->coefficient[0] > 0 ? 1 : -1;
    lever.step = fmt::format("{} by {:.3g}", sign > 0 ? "up" : "down", base_fit->spread[0]);
    for (const Objective& objective : objectives_) {
      const auto got = fit(objective);
      if (!got.ok()) continue;
      const double step = sign * got->spread[0] / objective.deviation;
      Bounded slope = student(got->coefficient[0], got->error(0), got->clusters - 1, got->rows,
                              "least squares, Student's t over clusters");
      slope.n_effective = got->clusters;
      if (!lever.by_lot && options_.hidden > 0) {
        const double bias = hidden_bias(*got, 0, options_.hidden);
        slope.method += fmt::format(", widened for a hidden cause of {:.3g}", options_.hidden);
        slope = widened(slope, bias);
      }
      const double q0 = std::abs(got->coefficient[0]) * got->spread[0] / got->residual;
      const double q = q0 * q0;
      const auto robust = lever.by_lot ? std::optional<double>() : std::optional((std::sqrt(q * q + 4 * q) - q) / 2);
      add_pull(objective, own, scaled(slope, step), robust, lever);
    }
    finish(lever);
  }

  Strata context_of(const Component& part) const {
    std::vector<std::vector<double>> shifted;
    shifted.reserve(part.learns_from.size());
    std::vector<StrataColumn> columns;
    for (const std::string& input : part.inputs)
      if (const Signal* in = trace_.find(input)) columns.push_back({input, &in->value, in->numeric});
    for (const std::string& lesson : part.learns_from) {
      const Signal* in = trace_.find(lesson);
      if (in == nullptr) continue;
      std::vector<double>& values = shifted.emplace_back(trace_.rows, kMissing);
      // A row without a round before has a stratum of its own only where the lesson is a number; else it drops out.
      for (std::size_t i = 0; i < trace_.rows; ++i)
        if (before_[i] != kNoRow) values[i] = in->value[before_[i]];
      const bool any = std::any_of(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
      if (any) columns.push_back({lesson + " (before)", &values, in->numeric});
    }
    return make_strata(columns, trace_.rows);
  }

  /// Of each stratum the level with the best mean of the own objective, on the rows of one half; small strata follow
  /// all rows, each beside the mean of its stratum. Empty where no level was taken often enough.
  std::vector<int> best_levels(const std::vector<int>& level, std::size_t levels, const Strata& strata,
                               const Objective& own, const Lever& lever, int half) const {
    const auto cells = static_cast<std::size_t>(strata.count);
    std::vector<std::vector<double>> sum(cells, std::vector<double>(levels, 0.0)), rows = sum;
    for (std::size_t i = 0; i < level.size(); ++i) {
      if (half_[i] != half || level[i] < 0 || strata.of_row[i] < 0 || !counts(lever, i) || std::isnan(own.value[i]))
        continue;
      sum[static_cast<std::size_t>(strata.of_row[i])][static_cast<std::size_t>(level[i])] += own.value[i];
      rows[static_cast<std::size_t>(strata.of_row[i])][static_cast<std::size_t>(level[i])] += 1;
    }
    std::vector<double> gain(levels, 0.0), taken(levels, 0.0);
    for (std::size_t s = 0; s < cells; ++s) {
      const double n = std::accumulate(rows[s].begin(), rows[s].end(), 0.0);
      const double mean = n > 0 ? std::accumulate(sum[s].begin(), sum[s].end(), 0.0) / n : 0;
      for (std::size_t k = 0; k < levels; ++k) {
        gain[k] += sum[s][k] - mean * rows[s][k];
        taken[k] += rows[s][k];
      }
    }
    constexpr double kLeast = 10;
    const auto best = [levels](const std::vector<double>& total, const std::vector<double>& count, bool all) {
      int at = -1;
      for (std::size_t k = 0; k < levels; ++k) {
        if (count[k] < kLeast) {
          if (all && count[k] > 0) return -1;
          continue;
        }
        if (at < 0 || total[k] / count[k] > total[static_cast<std::size_t>(at)] / count[static_cast<std::size_t>(at)])
          at = static_cast<int>(k);
      }
      return at;
    };
    const int pooled = best(gain, taken, false);
    if (pooled < 0) return {};
    std::vector<int> out(cells, pooled);
    for (std::size_t s = 0; s < cells; ++s)
      if (const int own_best = best(sum[s], rows[s], true); own_best >= 0) out[s] = own_best;
    return out;
  }

  void category(const Signal& signal, const Objective& own, Lever& lever, ConflictReport& report) const {
    constexpr std::size_t kLevels = 12;
    std::vector<std::string> names;
    const std::vector<int> level = as_levels(signal, kLevels, &names);
    const Strata strata = context_of(graph_.component(lever.component));
    // Rows of the first half are judged by the levels that the second half chose, and the reverse.
    const std::vector<int> of_first = best_levels(level, names.size(), strata, own, lever, 1);
    const std::vector<int> of_second = best_levels(level, names.size(), strata, own, lever, 0);
    if (of_first.empty() || of_second.empty()) return withhold(lever, "no level was taken often enough", report);
    std::vector<std::uint8_t> flag(trace_.rows, kNotRecorded);
    for (std::size_t i = 0; i < trace_.rows; ++i) {
      if (level[i] < 0 || strata.of_row[i] < 0 || !counts(lever, i)) continue;
      flag[i] = level[i] == (half_[i] == 0 ? of_first : of_second)[static_cast<std::size_t>(strata.of_row[i])] ? 1 : 0;
    }
    // Levels chosen by noise err on the same side in both halves.
    constexpr double kInflation = 2;
    const auto base_contrast = contrast(own.value, flag, strata.of_row, units_, kInflation);
    if (!base_contrast.ok()) return withhold(lever, base_contrast.error().message, report);
    if (!(difference_p(*base_contrast) <= kClear / 2))
      return withhold(lever, fmt::format("no choice of it is a clear gain for {}", own.signal), report);
    std::set<std::string> chosen;
    for (const auto* list : {&of_first, &of_second})
      for (const int k : *list) chosen.insert(names[static_cast<std::size_t>(k)]);
    lever.step =
        chosen.size() == 1 ? fmt::format("choose '{}'", *chosen.begin()) : "choose what is best for it by context";
    for (const Objective& objective : objectives_) {
      const auto got = contrast(objective.value, flag, strata.of_row, units_);
      if (!got.ok()) continue;
      add_pull(objective, own, scaled(difference(*got), 1 / objective.deviation), std::nullopt, lever);
    }
    finish(lever);
  }

  const SystemGraph& graph_;
  const Trace& trace_;
  const ConflictOptions& options_;
  std::vector<std::size_t> before_;
  Clusters clusters_;
  std::vector<int> units_;
  std::vector<int> half_;
  std::vector<Objective> objectives_;
};

}  // namespace

base::Result<ConflictReport> find_conflicts(const SystemGraph& graph, const Trace& trace,
                                            const ConflictOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_in("find_conflicts", "hidden", options.hidden, 0, 0.99));
  return Finder(graph, trace, options, rng).run();
}

std::vector<ObjectivePair> objective_pairs(const ConflictReport& report) {
  // Each lever is one direction; its effects are the gradients' entries there.
  std::vector<ObjectivePair> out;
  const auto effect = [](const Lever& lever, const std::string& objective) -> std::optional<double> {
    for (const Pull& pull : lever.pulls)
      if (pull.objective == objective && pull.effect) return pull.effect->value;
    return std::nullopt;
  };
  for (std::size_t a = 0; a < report.objectives.size(); ++a) {
    for (std::size_t b = a + 1; b < report.objectives.size(); ++b) {
      double dot = 0, first = 0, second = 0;
      for (const Lever& lever : report.levers) {
        const auto x = effect(lever, report.objectives[a]);
        const auto y = effect(lever, report.objectives[b]);
        if (!x || !y) continue;
        dot += *x * *y;
        first += *x * *x;
        second += *y * *y;
      }
      if (first > 0 && second > 0)
        out.push_back({report.objectives[a], report.objectives[b], dot / std::sqrt(first * second)});
    }
  }
  return out;
}

}  // namespace plumbline::system

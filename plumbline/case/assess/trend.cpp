#include "plumbline/case/assess/trend.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::assess {
namespace {

using stats::Estimate;

/// Standard error from the bounds at the widest rung up to 0.95 that has both; 0 where there is none.
double error_of(const Estimate& e) {
  if (e.exactness != stats::Exactness::kSampled) return 0;
  for (const double confidence : {0.975, 0.95, 0.9, 0.8}) {
    const auto rung = stats::rung_at_or_above(confidence);
    if (!rung || !e.bounds.lower[*rung] || !e.bounds.upper[*rung]) continue;
    return (*e.bounds.upper[*rung] - *e.bounds.lower[*rung]) / (2 * stats::normal_quantile(confidence));
  }
  return 0;
}

stats::Series series_of(std::span<const run::TrendPoint> points, TrendSeries& out) {
  stats::Series series;
  std::size_t stated = 0;
  for (const std::size_t i : out.points) {
    const Estimate& e = points[i].evidence.estimate;
    series.value.push_back(e.value);
    series.scale.push_back(error_of(e));
    stated += series.scale.back() > 0 ? 1U : 0U;
  }
  if (stated == out.points.size()) {
    series.noise = stats::Noise::kStated;
    out.noise = "each figure's own bounds";
  } else {
    series.scale.clear();
    out.noise = stated == 0 ? "the scatter of the figures (exact, or without bounds)"
                            : fmt::format("the scatter of the figures ({} of {} have no bounds)",
                                          out.points.size() - stated, out.points.size());
  }
  return series;
}

std::string name_of(const TrendSeries& series) {
  std::string name = series.subject;
  for (const auto& [key, value] : series.where) name += fmt::format(" {}={}", key, value);
  return name;
}

std::string interval(const Estimate& e) {
  const auto low = e.low(), high = e.high();
  return fmt::format("{:.4g} [{}, {}]", e.value, low ? fmt::format("{:.4g}", *low) : "-",
                     high ? fmt::format("{:.4g}", *high) : "-");
}

nlohmann::json bounds_json(const Estimate& e) {
  const auto low = e.low(), high = e.high();
  return {{"value", e.value},
          {"low", low ? nlohmann::json(*low) : nlohmann::json()},
          {"high", high ? nlohmann::json(*high) : nlohmann::json()}};
}

}  // namespace

base::Result<std::vector<TrendSeries>> trend_changes(std::span<const run::TrendPoint> points,
                                                     const stats::ChangeOptions& options) {
  std::map<std::pair<std::string, std::map<std::string, std::string>>, TrendSeries> groups;
  for (std::size_t i = points.size(); i-- > 0;) {
    const check::Evidence& e = points[i].evidence;
    TrendSeries& series = groups[{e.subject, e.where}];
    series.subject = e.subject;
    series.where = e.where;
    if (!series.points.empty() && !e.id.empty() && points[series.points.back()].evidence.id == e.id) {
      ++series.repeated;
    } else {
      series.points.push_back(i);
    }
  }
  std::vector<TrendSeries> out;
  for (auto& group : groups) {
    TrendSeries& series = group.second;
    const check::Evidence& e = points[series.points.front()].evidence;
    PL_TRY(series.changes, stats::find_changes(series_of(points, series), options,
                                               base::Rng(0, {"trend", e.check, e.metric, name_of(series)})));
    out.push_back(std::move(series));
  }
  return out;
}

nlohmann::json trend_json(std::span<const run::TrendPoint> points, std::span<const TrendSeries> all) {
  nlohmann::json out = {{"points", nlohmann::json::array()},
                        {"series", nlohmann::json::array()},
                        {"changes", nlohmann::json::array()},
                        {"method", nlohmann::json()}};
  for (const run::TrendPoint& p : points)
    out["points"].push_back({{"run", p.run}, {"started", p.started}, {"evidence", check::to_json(p.evidence)}});
  for (std::size_t s = 0; s < all.size(); ++s) {
    const TrendSeries& series = all[s];
    const auto& found = series.changes;
    out["series"].push_back({{"subject", series.subject},
                             {"where", series.where},
                             {"points", series.points.size()},
                             {"repeated", series.repeated},
                             {"p", found.p ? nlohmann::json(*found.p) : nlohmann::json()},
                             {"method", found.method},
                             {"noise", series.noise}});
    if (out["method"].is_null()) out["method"] = found.method;
    for (const stats::Change& c : found.changes) {
      const std::size_t at = series.points[c.at], low = series.points[c.low], high = series.points[c.high];
      out["changes"].push_back({{"at", at},
                                {"run", points[at].run},
                                {"started", points[at].started},
                                {"series", s},
                                {"subject", series.subject},
                                {"where", series.where},
                                {"low", low},
                                {"high", high},
                                {"low_run", points[low].run},
                                {"high_run", points[high].run},
                                {"level", 0.95},
                                {"before", bounds_json(c.before)},
                                {"after", bounds_json(c.after)},
                                {"step", bounds_json(c.step)},
                                {"p", c.p}});
    }
  }
  return out;
}

std::vector<std::string> trend_sentences(std::span<const run::TrendPoint> points, const TrendSeries& series) {
  const auto& found = series.changes;
  const std::string repeats =
      series.repeated == 0
          ? ""
          : fmt::format("; {} run{} the figure of the run before and {} not counted", series.repeated,
                        series.repeated == 1 ? " repeats" : "s repeat", series.repeated == 1 ? "is" : "are");
  if (!found.p) return {fmt::format("{}: changes not looked for: {}{}", name_of(series), found.method, repeats)};
  if (found.changes.empty())
    return {fmt::format("{}: no change of level found among {} figures (p = {:.3g}; {}{})", name_of(series),
                        found.points, *found.p, found.method, repeats)};
  std::vector<std::string> out;
  for (const stats::Change& c : found.changes) {
    const run::TrendPoint& at = points[series.points[c.at]];
    const std::string place = c.low == c.high
                                  ? std::string("no other run in question")
                                  : fmt::format("at 0.95 between {} and {}", points[series.points[c.low]].run,
                                                points[series.points[c.high]].run);
    out.push_back(fmt::format("{}: changed at run {} ({}): {} before, {} after, step {}, p = {:.3g}; {}",
                              name_of(series), at.run, at.started, interval(c.before), interval(c.after),
                              interval(c.step), c.p, place));
  }
  out.push_back(fmt::format("{}: {} figures, p = {:.3g} of no change at all; {}{}", name_of(series), found.points,
                            *found.p, found.method, repeats));
  return out;
}

std::string trend_csv(std::span<const run::TrendPoint> points, const TrendSeries& series) {
  std::string out = "time,value,error\n";
  const bool stated = series.changes.noise == stats::Noise::kStated;
  for (const std::size_t i : series.points) {
    const Estimate& e = points[i].evidence.estimate;
    out += fmt::format("{},{},{}\n", points[i].started, e.value, stated ? fmt::format("{}", error_of(e)) : "");
  }
  return out;
}

}  // namespace plumbline::assess

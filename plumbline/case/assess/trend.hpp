#pragma once
/// Where the level of a stored metric changed, run after run.

#include <map>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/base/result.hpp"
#include "plumbline/case/run/store.hpp"
#include "plumbline/stats/change/changes.hpp"

namespace plumbline::assess {

/// The points of one subject and one `where`, and what changed among them.
struct TrendSeries {
  std::string subject;
  std::map<std::string, std::string> where;
  std::vector<std::size_t>
      points;  ///< distinct figures, oldest first, as positions in the input (of the oldest run that has it)
  std::size_t repeated = 0;  ///< runs left out because their figure is the evidence of the run before: no new sample
  stats::Changes changes;    ///< places count in `points`
  std::string noise;         ///< what was taken as a point's uncertainty, in words
};

/// Input   points newest first, as Store::trend gives them; any mixture of subjects and `where`.
/// Noise   where every figure of a series is sampled and has bounds on both sides, these give its standard error (half
/// the width
///         at the widest rung up to 0.95, over the normal quantile), and runs may vary beyond it; else the figures
///         stand for themselves, and the noise is what they scatter by (stats::Noise::kUnknown).
/// Each series is searched at options.alpha. Deterministic: the draws depend on the figures' names alone.
/// Errors  as stats::find_changes.
base::Result<std::vector<TrendSeries>> trend_changes(std::span<const run::TrendPoint> points,
                                                     const stats::ChangeOptions& options = {});

/// {"points": [{"run", "started", "evidence"}], "series": [{"subject", "where", "points": n, "repeated", "p", "method",
/// "noise"}],
///  "changes": [{"at", "run", "started", "series", "subject", "where", "low", "high", "low_run", "high_run", "level",
///               "before": {"value", "low", "high"}, "after", "step", "p"}], "method"}
/// `at`, `low`, `high` are positions in `points`; the low end of a place is the older run. "p" is null where points are
/// too few.
nlohmann::json trend_json(std::span<const run::TrendPoint> points, std::span<const TrendSeries> series);

/// Sentences for people, one a change, or why there is none. Names may hold control characters: print them escaped.
std::vector<std::string> trend_sentences(std::span<const run::TrendPoint> points, const TrendSeries& series);

/// time,value,error of one series, oldest first, as [trend.NAME] reads it; `error` is left empty where figures stand
/// for themselves.
std::string trend_csv(std::span<const run::TrendPoint> points, const TrendSeries& series);

}  // namespace plumbline::assess

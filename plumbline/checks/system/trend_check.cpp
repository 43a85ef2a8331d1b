#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/checks/system/systems.hpp"
#include "plumbline/checks/system/trend_input.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/system/simulated_ledger.hpp"

namespace plumbline::checks::system {
namespace {

namespace sys = plumbline::system;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "system.trend";
  facts.title = "Trends and incidents";
  facts.question = "Does it happen oftener than before, since when, and is that more than more reporting?";
  facts.row = "S6";
  facts.needs = {"a series of figures, [trend.NAME], or a dated and sourced ledger, [incidents.NAME]"};
  facts.params = {{"false_alarms", 0.05, 0.001, 0.5, {}, "probability that a series without change is given one"},
                  {"least_seen",
                   0.5,
                   0.05,
                   1,
                   {},
                   "leave out the last periods of which less than this share is expected to be reported yet"}};
  facts.yields = {
      {"growth",
       "1",
       Direction::kLowerIsBetter,
       "of a ledger: rate after over rate before, the halves of its time or the sides of `since`; by: reports (as they "
       "came in), "
       "control (relative to control kinds), effort (by what was looked at), corrected (control or effort; the hull of "
       "both)",
       {"by"},
       {{"by", "corrected"}}},
      {"growth_p",
       "share",
       Direction::kHigherIsBetter,
       "of a ledger: p-value of \"the rate never changed\"; by as above, corrected being control where there is one",
       {"by"},
       {{"by", "corrected"}}},
      {"reporting",
       "1",
       Direction::kNone,
       "of a ledger: reports of the control kinds, after over before: growth of reporting",
       {},
       {}},
      {"rise",
       "1",
       Direction::kNone,
       "of a series: level after less level before, the halves of its points or the sides of `since`; of counts their "
       "ratio",
       {},
       {}},
      {"rise_p", "share", Direction::kHigherIsBetter, "of a series: p-value of \"the level never changed\"", {}, {}},
      {"steps", "changes", Direction::kLowerIsBetter, "of a series: changes of level that were found", {}, {}}};
  facts.assumptions = {"control kinds: looked for and written down alike, their own rate unchanged",
                       "effort: reports are proportional to it", "the law of the delay does not change",
                       "incidents of different periods are independent, but for a common dispersion"};
  facts.sources = {"Lagakos, Barraj, De Gruttola, Nonparametric analysis of truncated survival data, Biometrika 1988",
                   "Kalbfleisch, Lawless, Inference based on retrospective ascertainment, JASA 1989",
                   "Siegmund, Confidence sets in change-point problems, International Statistical Review 1988",
                   "Besag, Clifford, Sequential Monte Carlo p-values, Biometrika 1991"};
  facts.cost = "O(draws x points x (changes + 1))";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan plan;
  for (const char* kind : {"trend", "incidents"}) {
    for (const std::string& name : sections_of(*blueprint.manifest, kind)) {
      check::Task task;
      task.subject = fmt::format("{}.{}", kind, name);
      task.data = name;
      task.cost_seconds = 1;
      plan.tasks.push_back(std::move(task));
    }
  }
  if (plan.tasks.empty()) plan.not_applicable = "the manifest has no [trend.NAME] and no [incidents.NAME]";
  return plan;
}

std::string bounded(const stats::Estimate& e) {
  const auto words = [](std::optional<double> x) { return x ? short_number(*x) : std::string("-"); };
  return fmt::format("{} [{}, {}]", short_number(e.value), words(e.low()), words(e.high()));
}

/// Where a change lies, in words.
std::string place(const std::string& low, const std::string& high) {
  return low == high ? "at 0.95 no other place is in question"
                     : fmt::format("the change lies between {} and {} at 0.95", low, high);
}

/// Vertical lines where a new level begins, with words that hold no space.
void mark(check::Artifact& picture, const std::vector<double>& x, const std::vector<std::string>& words) {
  const auto joined = [](const auto& list, const auto& text) {
    std::string out;
    for (const auto& v : list) out += (out.empty() ? "" : " ") + text(v);
    return out;
  };
  if (x.empty()) return;
  picture.facts["changes"] = joined(x, number);
  if (!words.empty()) picture.facts["changes_at"] = joined(words, [](const std::string& w) { return w; });
}

/// One row a change; `name(i)` is the time of point i of the series.
template <class Name>
check::Artifact table_of(const stats::Changes& changes, const Name& name, const std::string& what) {
  check::Artifact a;
  a.id = "changes";
  a.kind = "table";
  a.title = "Where the level changed: " + what;
  a.caption = "The first point of the new level, the points between which the change lies at 0.95, and both levels.";
  std::vector<std::string> at, from, to;
  std::vector<std::vector<double>> figures(10);
  for (const stats::Change& c : changes.changes) {
    at.push_back(name(c.at));
    from.push_back(name(c.low));
    to.push_back(name(c.high));
    std::size_t k = 0;
    for (const stats::Estimate* e : {&c.before, &c.after, &c.step}) {
      figures[k++].push_back(e->value);
      figures[k++].push_back(e->low().value_or(kNone));
      figures[k++].push_back(e->high().value_or(kNone));
    }
    figures[k].push_back(c.p);
  }
  a.columns = {{"at", "", at}, {"from", "", from}, {"to", "", to}};
  const char* const names[] = {"before",     "before_low", "before_high", "after",     "after_low",
                               "after_high", "step",       "step_low",    "step_high", "p"};
  for (std::size_t k = 0; k < figures.size(); ++k) a.columns.push_back({names[k], "1", figures[k]});
  a.facts = {{"level", "0.95"}, {"step", stats::step_is_ratio(changes.noise) ? "after / before" : "after - before"}};
  return a;
}

check::Evidence figure(const std::string& metric, std::map<std::string, std::string> where, stats::Estimate estimate,
                       std::vector<std::string> artifacts) {
  check::Evidence e = check::make_evidence(info(), metric, std::move(where), std::move(estimate));
  e.artifacts = std::move(artifacts);
  return e;
}

// ---- series --------------------------------------------------------------------------------------------------------

check::Artifact picture_of(const TrendInput& input, const stats::Changes& changes, const std::string& name) {
  check::Artifact a;
  a.id = "series";
  a.kind = "curve";
  a.title = fmt::format("{} in time", name);
  a.caption = "Vertical lines: where the level changed. Band: of each point, at 0.95.";
  std::vector<double> y, low, high, at;
  for (std::size_t i = 0; i < input.x.size(); ++i) {
    const stats::Estimate e = stats::level_of(input.series, i, i + 1, changes.extra, changes.changes.size() + 1);
    y.push_back(e.value);
    low.push_back(e.low().value_or(kNone));
    high.push_back(e.high().value_or(kNone));
  }
  std::vector<std::string> days;
  for (const stats::Change& c : changes.changes) {
    at.push_back(input.x[c.at]);
    if (input.dated) days.push_back(input.time[c.at].substr(0, 10));
  }
  a.columns = {{"x", "", input.x}, {"y", "", y}, {"low", "", low}, {"high", "", high}};
  a.facts = {{"x_label", input.x_label}, {"y_label", name}, {"level", "0.95"}};
  mark(a, at, days);
  return a;
}

base::Result<check::Output> run_series(check::Context& context, const std::string& name,
                                       const stats::ChangeOptions& search) {
  PL_TRY(const data::OtherSection* const section, context.section("trend", name));
  PL_TRY(const TrendInput input, read_trend(*section));
  PL_TRY(const stats::Changes changes, stats::find_changes(input.series, search, context.rng("changes")));
  check::Output output;
  const std::map<std::string, std::string> where = {{"data", name}};
  output.rows =
      fmt::format("{} points, {} before and {} after", input.x.size(), input.split, input.x.size() - input.split);
  output.artifacts.push_back(picture_of(input, changes, name));
  output.artifacts.push_back(table_of(
      changes, [&](std::size_t i) { return input.time[i]; }, name));
  const std::vector<std::string> shown = {"series", "changes"};
  const std::size_t split = input.split;
  const double extra =
      std::min(stats::extra_of_steps(input.series), stats::extra_of(input.series, std::span(&split, 1)));
  output.evidence.push_back(
      figure("rise", where, stats::step_of(input.series, 0, split, input.x.size(), extra, 2), shown));
  const auto n = static_cast<double>(input.x.size());
  if (changes.p) {
    output.evidence.push_back(figure("rise_p", where, stats::exact(*changes.p, n, changes.method), shown));
    output.evidence.push_back(
        figure("steps", where, stats::exact(static_cast<double>(changes.changes.size()), n, changes.method), shown));
  } else {
    output.notes.push_back("changes not looked for: " + changes.method);
  }
  for (const stats::Change& c : changes.changes) {
    if (output.findings.size() >= 10) break;
    check::Finding finding;
    finding.id = fmt::format("change-{}", output.findings.size() + 1);
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} changed at {}", name, input.time[c.at]);
    finding.detail =
        fmt::format("Level {} before and {} after (p = {}); the change lies between {} and {} at 0.95.",
                    bounded(c.before), bounded(c.after), short_number(c.p), input.time[c.low], input.time[c.high]);
    finding.next_step = "Look for what was changed then: data, code, model, or how the figure is taken.";
    finding.data = name;
    finding.where = where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

// ---- ledgers -------------------------------------------------------------------------------------------------------

check::Artifact picture_of(const sys::GrowthReport& report, const sys::GrowthView* best, const std::string& name) {
  const sys::Periods& p = report.periods;
  check::Artifact a;
  a.id = "reports";
  a.kind = "curve";
  a.title = fmt::format("Incidents of {} by the day they happened", name);
  a.caption =
      "A period each, scaled up by the share that is still to be reported. Vertical lines: where the corrected rate "
      "changed.";
  std::vector<double> x, y, at;
  std::vector<std::string> series;
  const auto middle = [&](std::size_t t) { return sys::years_between(p.first, p.day(t) + p.length / 2.0); };
  for (const bool about : {true, false}) {
    if (!about && !report.control) continue;
    for (std::size_t t = 0; t < p.kept; ++t) {
      x.push_back(middle(t));
      y.push_back((about ? p.about : p.control)[t] / p.seen[t]);
      series.emplace_back(about ? "in question" : "control kinds");
    }
  }
  std::vector<std::string> days;
  if (best != nullptr) {
    for (const stats::Change& c : best->changes.changes) {
      const int day = p.day(best->periods[c.at]);
      at.push_back(sys::years_between(p.first, day));
      days.push_back(sys::day_text(day));
    }
  }
  a.columns = {{"x", "", x}, {"y", "incidents", y}, {"series", "", series}};
  a.facts = {{"x_label", fmt::format("years from {}", sys::day_text(p.first))},
             {"y_label", fmt::format("incidents in {} days", p.length)}};
  mark(a, at, days);
  return a;
}

void add_findings(const sys::GrowthReport& report, const sys::GrowthView& view, const std::string& name,
                  check::Output& output) {
  const sys::Periods& p = report.periods;
  for (const stats::Change& c : view.changes.changes) {
    if (c.after.value <= c.before.value || output.findings.size() >= 10) continue;
    check::Finding finding;
    finding.id = fmt::format("growth-{}", output.findings.size() + 1);
    finding.severity = check::FindingSeverity::kMajor;
    finding.title = fmt::format("{}: more of it since {}", name, sys::day_text(p.day(view.periods[c.at])));
    finding.detail = fmt::format(
        "{} {} before and {} after (p = {}); {}. Reporting itself {}.",
        view.by == "control" ? "Share among all reports" : "Rate by effort", bounded(c.before), bounded(c.after),
        short_number(c.p), place(sys::day_text(p.day(view.periods[c.low])), sys::day_text(p.day(view.periods[c.high]))),
        report.reporting ? "grew " + bounded(*report.reporting) + "-fold" : "is not measured");
    finding.next_step = "Read the incidents from that day on, and what was released or widened then.";
    finding.data = name;
    finding.where = {{"data", name}, {"by", view.by}};
    output.findings.push_back(std::move(finding));
  }
}

base::Result<check::Output> run_ledger(check::Context& context, const std::string& name,
                                       const stats::ChangeOptions& search, double least_seen) {
  PL_TRY(const data::OtherSection* const section, context.section("incidents", name));
  PL_TRY(IncidentsInput input, read_incidents(*section));
  input.options.search = search;
  input.options.least_seen = least_seen;
  PL_TRY(const sys::GrowthReport report,
         sys::find_growth(input.ledger, input.use, input.options, context.rng("growth")));
  const sys::Periods& p = report.periods;
  const sys::GrowthView* const best = report.control ? &*report.control : report.effort ? &*report.effort : nullptr;
  check::Output output;
  output.rows =
      fmt::format("{} incidents in {} periods of {} days from {} on, of which {} count, {} of them before",
                  input.ledger.incidents.size(), p.about.size(), p.length, sys::day_text(p.first), p.kept, p.split);
  output.notes = report.notes;
  std::vector<std::string> shown = {"reports"};
  output.artifacts.push_back(picture_of(report, best, name));
  if (best != nullptr) {
    output.artifacts.push_back(table_of(
        best->changes, [&](std::size_t i) { return sys::day_text(p.day(best->periods[i])); },
        fmt::format("{}, by {}", name, best->by)));
    shown.emplace_back("changes");
    add_findings(report, *best, name, output);
  }
  const auto add = [&](const std::string& by, const sys::GrowthView& view) {
    output.evidence.push_back(figure("growth", {{"data", name}, {"by", by}}, view.growth, shown));
    if (!view.p) return;
    output.evidence.push_back(
        figure("growth_p", {{"data", name}, {"by", by}},
               stats::exact(*view.p, static_cast<double>(p.kept),
                            view.changes.method.empty() ? "counts dealt out again" : view.changes.method),
               shown));
  };
  add("reports", report.reports);
  if (report.control) add("control", *report.control);
  if (report.effort) add("effort", *report.effort);
  if (report.reporting) output.evidence.push_back(figure("reporting", {{"data", name}}, *report.reporting, shown));
  if (report.corrected) {
    sys::GrowthView corrected = *best;
    corrected.growth = *report.corrected;
    add("corrected", corrected);
    output.notes.push_back("corrected by " + report.corrected_by);
  } else {
    output.notes.push_back("growth cannot be said: " + report.cannot_say);
  }
  return output;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  stats::ChangeOptions search;
  search.alpha = params.real("false_alarms");
  search.cancel = context.cancel();
  const std::string& name = context.task().data;
  if (context.task().subject.starts_with("trend.")) return run_series(context, name, search);
  return run_ledger(context, name, search, params.real("least_seen"));
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

/// A year of reports that come in more and more; with `growth`, the kind in question happens oftener from the middle
/// on.
base::Status write(const std::string& folder, base::Rng& rng, double growth) {
  const std::uint64_t seed = rng.bits() % 1000000000;
  sys::LedgerWorld world;
  world.days = 364;
  world.change = 182;
  world.about = 0.7;
  world.control = 2;
  world.growth = growth;
  world.reporting = 3;
  PL_CHECK(data::write_csv(folder + "/ledger.csv", sys::simulate_ledger(world, rng)));
  return write_fixture_manifest(
      folder, seed,
      "[incidents.field]\npath = \"ledger.csv\"\nabout = [\"hacking\"]\ncontrol = [\"outage\"]\nperiod = 14\n\n",
      "text = \"Hacking grows by half at most.\"\ncheck = \"system.trend\"\nmetric = \"growth\"\nat_most = 1.5\n");
}

}  // namespace

check::Entry trend() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  constexpr double kGrowth = 3;
  constexpr double kNoGrowth = 1;
  entry.fixtures = planted(write, kGrowth, kNoGrowth);
  entry.fixtures.defect_words =
      "a year of incidents of which those in question happen three times as often from the middle on, while reporting "
      "trebles";
  entry.fixtures.control_words = "the same reporting, and no growth";
  entry.fixtures.cost_ms = 300;
  return entry;
}

}  // namespace plumbline::checks::system

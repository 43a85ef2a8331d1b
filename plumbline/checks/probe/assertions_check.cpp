#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/probe/assertion_stream.hpp"
#include "plumbline/checks/probe/probe_checks.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/probe/assertion_section.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::checks::probe {
namespace {

namespace method = plumbline::probe;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "probe.assertions";
  facts.title = "Model assertions";
  facts.question =
      "How often does the system break rules that its outputs should obey, where, and what should stand there?";
  facts.row = "B6";
  facts.needs = {"rules, [assertion.NAME]",
                 "a set of role test or out-of-distribution, with a model's predictions or without, or a log"};
  facts.params = {
      {"time", std::string(), {}, {}, {}, "of sets: the column of the time in seconds; empty = the number of the row"},
      {"budget", std::int64_t{20}, 0, 10000, {}, "records proposed for labelling"},
      {"faults", 0.02, 0, 0.5, {}, "share of labels that are changed to see what the rules can see; 0 = none"}};
  facts.yields = {
      {"violation_rate",
       "share",
       Direction::kLowerIsBetter,
       "records that break a rule, of those that it could judge; assertion: a name, any, or fail (those of that "
       "severity)",
       {"assertion"},
       {{"assertion", "any"}}},
      {"events",
       "events",
       Direction::kLowerIsBetter,
       "runs of records of one unit that break the rule",
       {"assertion"},
       {{"assertion", "any"}}},
      {"absent",
       "share",
       Direction::kLowerIsBetter,
       "records that the rule could not judge, since a value is missing",
       {"assertion"},
       {}},
      {"caught", "share", Direction::kHigherIsBetter, "planted label faults that some rule flags or corrects", {}, {}},
      {"corrected", "share", Direction::kHigherIsBetter, "planted label faults whose correction is right", {}, {}}};
  facts.assumptions = {"units (records, where no unit is named) are independent"};
  facts.sources = {
      "Kang, Raghavan, Bailis, Zaharia, Model assertions for monitoring and improving ML models, MLSys 2020",
      "Korn, Graubard 1998"};
  facts.cost = "O(records assertions)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan plan;
  if (sections_of(*blueprint.manifest, "assertion").empty()) {
    plan.not_applicable = "the manifest has no [assertion.NAME]";
    return plan;
  }
  plan = plan_logs(blueprint);
  const auto add = [&](const std::string& subject, const std::string& model, const std::string& set) {
    check::Task task;
    task.subject = subject;
    task.model = model;
    task.data = set;
    if (!model.empty()) task.predictions = {{model, set}};
    task.cost_seconds = 0.2;
    plan.tasks.push_back(std::move(task));
  };
  for (const data::Role role : {data::Role::kTest, data::Role::kOutOfDistribution}) {
    for (const std::string& set : blueprint.sets_with_role(role)) {
      bool any = false;
      for (const auto& [name, model] : blueprint.models) {
        const bool stored = std::find(model.stored_for.begin(), model.stored_for.end(), set) != model.stored_for.end();
        if (model.task != "classification" || (!model.runs && !stored)) continue;
        any = true;
        add(name + "@" + set, name, set);
      }
      if (!any) add("rows@" + set, "", set);
    }
  }
  plan.not_applicable = plan.tasks.empty() ? "no log, and no set of role test or out-of-distribution" : std::string();
  return plan;
}

/// The rules that are about this task. One that does not fit its fields is an error where it names the task in `on`.
base::Result<method::AssertionSet> rules_for(check::Context& context, const method::AssertionFields& fields,
                                             std::vector<std::string>& notes) {
  const data::Manifest& manifest = context.manifest();
  std::set<std::string> wanted;
  for (const std::string& subject : {context.task().model, context.task().data})
    for (const std::string& name : method::assertions_on(manifest, subject)) wanted.insert(name);
  std::vector<method::AssertionSpec> fitting;
  for (const std::string& name : wanted) {
    PL_TRY(const data::OtherSection* section, context.section("assertion", name));
    PL_TRY(method::AssertionSpec spec, method::read_assertion(*section));
    const auto alone = method::AssertionSet::make({spec}, fields);
    if (alone.ok()) {
      fitting.push_back(std::move(spec));
      continue;
    }
    if (section->keys.contains("on")) return alone.error();
    notes.push_back(fmt::format("not judged here: {}", alone.error().text()));
  }
  if (fitting.empty())
    return base::make_error(base::Code::kValue, "no assertion fits what there is", context.task().subject,
                            notes.empty() ? "Every one names other subjects under `on`" : notes.back());
  return method::AssertionSet::make(std::move(fitting), fields);
}

void add_evidence(check::Output& out, const check::CheckInfo& facts, const std::string& data,
                  const method::AssertionSet& set, const method::AssertionReport& report, std::size_t records) {
  const auto add = [&](const std::string& metric, const std::string& assertion, stats::Estimate estimate) {
    estimate.assumptions = facts.assumptions;
    out.evidence.push_back(
        check::make_evidence(facts, metric, {{"data", data}, {"assertion", assertion}}, std::move(estimate)));
    out.evidence.back().artifacts = {"rates", "timeline", "flagged"};
  };
  const auto n = static_cast<double>(records);
  double events = 0;
  for (std::size_t a = 0; a < set.size(); ++a) {
    const method::AssertionFigures& f = report.assertions[a];
    if (f.rate) add("violation_rate", set.spec(a).name, *f.rate);
    if (!f.rate) out.notes.push_back(fmt::format("assertion '{}': no record could be judged", set.spec(a).name));
    add("events", set.spec(a).name, stats::exact(static_cast<double>(f.events), n, "events among these records"));
    add("absent", set.spec(a).name, stats::exact(static_cast<double>(f.absent) / n, n, "share of these records"));
    events += static_cast<double>(f.events);
  }
  if (report.any) add("violation_rate", "any", *report.any);
  if (report.failing) add("violation_rate", "fail", *report.failing);
  add("events", "any", stats::exact(events, n, "events among these records"));
}

void add_findings(check::Output& out, const std::string& data, const AssertionStream& stream,
                  const method::AssertionSet& set, const method::AssertionReport& report) {
  for (std::size_t a = 0; a < set.size(); ++a) {
    const method::AssertionFigures& f = report.assertions[a];
    if (f.violated == 0) continue;
    const method::AssertionSpec& spec = set.spec(a);
    check::Finding finding;
    finding.id = fmt::format("broken-{}-{}", spec.name, data);
    finding.severity = spec.fail ? check::FindingSeverity::kMajor : check::FindingSeverity::kMinor;
    finding.title = fmt::format("'{}' is broken by {} of {} records of '{}', in {} events", spec.name, f.violated,
                                f.judged, data, f.events);
    const method::FlaggedRecord* worst = nullptr;
    for (const method::FlaggedRecord& r : report.flagged) {
      if (r.violation.assertion != a) continue;
      if (finding.rows.size() < 100) finding.rows.push_back(stream.source[r.record]);
      if (worst == nullptr || r.violation.severity > worst->violation.severity) worst = &r;
    }
    finding.detail = fmt::format("Worst, row {}: {}.", stream.source[worst->record], worst->violation.reason);
    if (!worst->violation.correction.empty())
      finding.detail += fmt::format(" Proposed: '{}'.", worst->violation.correction);
    finding.next_step =
        "Look at the rows of the table `labelling` first; correct labels or the rule, whichever is wrong.";
    finding.data = data;
    finding.where = {{"data", data}, {"assertion", spec.name}};
    out.findings.push_back(std::move(finding));
  }
}

check::Artifact rates_of(const method::AssertionSet& set, const method::AssertionReport& report) {
  check::Artifact bars;
  bars.id = "rates";
  bars.kind = "bars";
  bars.title = "How often each rule is broken";
  bars.caption = "Share of the records that the rule could judge, with its 95 % interval.";
  std::vector<std::string> labels;
  std::vector<double> value, low, high, violated, events, worst;
  for (std::size_t a = 0; a < set.size(); ++a) {
    const method::AssertionFigures& f = report.assertions[a];
    if (!f.rate) continue;
    labels.push_back(set.spec(a).name);
    value.push_back(f.rate->value);
    low.push_back(f.rate->low().value_or(std::nan("")));
    high.push_back(f.rate->high().value_or(std::nan("")));
    violated.push_back(static_cast<double>(f.violated));
    events.push_back(static_cast<double>(f.events));
    worst.push_back(f.worst);
  }
  bars.columns = {{"label", "", labels},        {"value", "share", value}, {"low", "share", low},
                  {"high", "share", high},      {"records", "", violated}, {"events", "", events},
                  {"worst severity", "", worst}};
  bars.facts = {{"value_label", "share of records"}, {"level", "0.95"}};
  return bars;
}

/// Records broken so far by each rule that was broken: the steps are where to look.
check::Artifact timeline_of(const method::AssertionSet& set, const method::AssertionReport& report,
                            std::size_t records) {
  check::Artifact curve;
  curve.id = "timeline";
  curve.kind = "curve";
  curve.title = "Broken rules over time";
  curve.caption = "Records that broke each rule so far; at most eight rules, the most often broken.";
  std::vector<std::size_t> order(set.size());
  for (std::size_t a = 0; a < order.size(); ++a) order[a] = a;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return report.assertions[a].violated > report.assertions[b].violated;
  });
  if (order.size() > 8) order.resize(8);
  std::vector<double> x, y;
  std::vector<std::string> series;
  for (const std::size_t a : order) {
    double count = 0;
    const std::size_t stretch = std::max<std::size_t>(1, report.assertions[a].violated / 100);
    const auto point = [&](double at) {
      x.push_back(at);
      y.push_back(count);
      series.push_back(set.spec(a).name);
    };
    point(0);
    for (const method::FlaggedRecord& r : report.flagged) {
      if (r.violation.assertion != a) continue;
      count += 1;
      if (static_cast<std::size_t>(count) % stretch == 0) point(static_cast<double>(r.record + 1));
    }
    point(static_cast<double>(records));
  }
  curve.columns = {{"x", "records", x}, {"y", "records", y}, {"series", "", series}};
  curve.facts = {{"x_label", "record, in order of time"}, {"y_label", "broken so far"}, {"step", "true"}};
  return curve;
}

check::Artifact table_of(const std::string& id, std::string title, const AssertionStream& stream,
                         const method::AssertionSet& set, const std::vector<const method::FlaggedRecord*>& rows) {
  check::Artifact table;
  table.id = id;
  table.kind = "table";
  table.title = std::move(title);
  table.caption = "Rows as numbered in the source; the correction is what the rule proposes for its field.";
  std::vector<double> row, time, severity, event;
  std::vector<std::string> unit, rule, correction, reason;
  for (const method::FlaggedRecord* r : rows) {
    row.push_back(static_cast<double>(stream.source[r->record]));
    time.push_back(stream.records[r->record].time);
    unit.push_back(stream.records[r->record].unit);
    rule.push_back(set.spec(r->violation.assertion).name);
    severity.push_back(r->violation.severity);
    event.push_back(static_cast<double>(r->event));
    correction.push_back(r->violation.correction);
    reason.push_back(r->violation.reason);
  }
  table.columns = {{"row", "", row},
                   {"time", "s", time},
                   {"unit", "", unit},
                   {"assertion", "", rule},
                   {"severity", "", severity},
                   {"event", "", event},
                   {"correction", "", correction},
                   {"reason", "", reason}};
  return table;
}

void add_tables(check::Output& out, const AssertionStream& stream, const method::AssertionSet& set,
                const method::AssertionReport& report, std::size_t budget) {
  std::vector<const method::FlaggedRecord*> worst, chosen;
  for (const method::FlaggedRecord& r : report.flagged) worst.push_back(&r);
  std::stable_sort(worst.begin(), worst.end(),
                   [](const auto* a, const auto* b) { return a->violation.severity > b->violation.severity; });
  for (const std::size_t record : method::worth_labelling(report, budget)) {
    const auto found = std::find_if(worst.begin(), worst.end(), [&](const auto* r) { return r->record == record; });
    if (found != worst.end()) chosen.push_back(*found);
  }
  if (worst.size() > 500) worst.resize(500);
  out.artifacts.push_back(table_of("flagged", "Records that break a rule, the worst first", stream, set, worst));
  out.artifacts.push_back(table_of("labelling", "Records worth a label: rules take turns", stream, set, chosen));
}

base::Status add_faults(check::Output& out, const check::CheckInfo& facts, check::Context& context, double share,
                        const AssertionStream& stream, const method::AssertionSet& set,
                        const method::AssertionReport& report) {
  const auto& texts = stream.fields.texts;
  const auto label = std::find(texts.begin(), texts.end(), "label");
  if (share <= 0 || label == texts.end()) return base::ok();
  const auto faults = method::plant_faults(set, stream.records, report, static_cast<std::size_t>(label - texts.begin()),
                                           share, context.rng("faults"));
  if (!faults.ok()) {
    out.notes.push_back("no faults were planted: " + faults.error().message);
    return base::ok();
  }
  for (const auto& [metric, count] : {std::pair("caught", faults->caught), std::pair("corrected", faults->corrected)}) {
    PL_TRY(stats::Estimate estimate, stats::clopper_pearson(count, faults->planted));
    estimate.unit_of_sampling = "planted fault";
    out.evidence.push_back(check::make_evidence(facts, metric, {{"data", context.task().data}}, std::move(estimate)));
  }
  return base::ok();
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  check::Output out;
  const std::string& data = context.task().data;
  const bool log = context.task().subject == data;
  PL_TRY(const AssertionStream stream,
         log ? stream_of_decisions(context, out.notes) : stream_of_rows(context, params.text("time"), out.notes));
  PL_TRY(const method::AssertionSet set, rules_for(context, stream.fields, out.notes));
  PL_CHECK(context.cancel().status());
  PL_TRY(const method::AssertionReport report, method::run_assertions(set, stream.records));
  add_evidence(out, facts, data, set, report, stream.records.size());
  out.artifacts.push_back(rates_of(set, report));
  out.artifacts.push_back(timeline_of(set, report, stream.records.size()));
  add_tables(out, stream, set, report, static_cast<std::size_t>(params.integer("budget")));
  add_findings(out, data, stream, set, report);
  PL_CHECK(add_faults(out, facts, context, params.real("faults"), stream, set, report));
  PL_CHECK(context.cancel().status());
  out.rows = fmt::format("{} in order of time, {} rules", stream.words, set.size());
  return out;
}

/// 300 objects seen four times each; in the defect three of ten change their label and change it back.
base::Status write_fixture(const std::string& folder, base::Rng& rng, double flickering) {
  std::string lines;
  for (int object = 0; object < 300; ++object) {
    const bool flickers = rng.bernoulli(flickering);
    const bool van = rng.bernoulli(0.5);
    for (int frame = 0; frame < 4; ++frame) {
      const bool other = flickers && frame == 2;
      lines += fmt::format(
          "{{\"id\":\"{}/{}\",\"time\":{},\"unit\":\"object {}\",\"context\":{{\"speed\":{:.3f}}},"
          "\"action\":\"{}\",\"propensity\":1}}\n",
          object, frame, object * 10 + frame, object, 10 + rng.normal(), van != other ? "van" : "car");
    }
  }
  std::ofstream file(folder + "/frames.jsonl", std::ios::binary);
  file << lines;
  if (!file.flush()) return base::make_error(base::Code::kIo, "cannot be written", folder + "/frames.jsonl");
  return write_fixture_manifest(
      folder, rng.below(1000000),
      "[log.frames]\npath = \"frames.jsonl\"\n\n[assertion.calm]\nkind = \"steady\"\nfield = \"label\"\nwithin = 5\n\n"
      "[assertion.possible]\nkind = \"range\"\nfield = \"speed\"\nlow = 0\nhigh = 60\n",
      "text = \"Objects do not flicker, and speeds are possible.\"\ncheck = \"probe.assertions\"\n"
      "metric = \"violation_rate\"\nwhere = {data = \"frames\"}\nat_most = 0.03\nconfidence = 0.95");
}

}  // namespace

check::Entry assertions() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write_fixture, 0.3, 0.0);
  entry.fixtures.defect_words =
      "three of ten objects change their label and change it back within a second (effect: 7.5 % of records)";
  entry.fixtures.control_words = "every object keeps its label, and speeds are possible";
  return entry;
}

}  // namespace plumbline::checks::probe

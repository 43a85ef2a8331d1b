#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/data/files.hpp"
#include "plumbline/system/deployed_log.hpp"

namespace plumbline::checks::system {
namespace {

namespace sys = plumbline::system;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "system.decision_log";
  facts.title = "The log of a deployed policy";
  facts.question = "Is this log a faithful record of what a deployed policy did?";
  facts.row = "S3";
  facts.needs = {"a log of decisions, [log.NAME]; for the draws, with the probabilities of all actions"};
  facts.params = {{"policies",
                   std::vector<std::string>{},
                   {},
                   {},
                   {},
                   "versions that may have decided (default: that of the first decision)"}};
  const auto share = [](std::string name, std::string help) {
    return check::MetricSpec{std::move(name), "share", Direction::kLowerIsBetter, std::move(help), {}, {}};
  };
  facts.yields = {
      share("faulty_share",
            "rows with a fault: an id that is absent or was there before, out of order, impossible probabilities, a "
            "propensity that "
            "is not the action's probability, an action that was not carried out"),
      share("undeclared_share", "rows decided by a version of the policy that was not declared"),
      {"draw_p",
       "share",
       Direction::kHigherIsBetter,
       "p-value of \"every action was drawn with its logged probability\", by betting: it may be looked at at any time",
       {},
       {}},
      {"sharpness",
       "1",
       Direction::kNone,
       "exponent of the logged probabilities that fits the draws: 1 where they were used, above where less was "
       "explored",
       {},
       {}},
      {"explored_share", "share", Direction::kHigherIsBetter, "draws that could have gone otherwise", {}, {}},
      {"least_probability",
       "share",
       Direction::kHigherIsBetter,
       "least probability of an action that was drawn",
       {},
       {}},
      share("error_share", "decisions in which nothing could be decided"),
      share("timeout_share", "decisions that ran out of time"),
      share("person_share", "decisions that a person took"),
      share("fallback_share", "decisions that fell back"),
      share("refused_share", "decisions that were refused"),
      {"gap_p",
       "share",
       Direction::kHigherIsBetter,
       "p-value of \"no gap in time is too long beside its neighbours\": small where a piece of the log is lost",
       {},
       {}},
      share("missing_number_share", "numbers that are missing where ids count up"),
      {"feedback_p",
       "share",
       Direction::kHigherIsBetter,
       "p-value of \"whether a reward is missing has nothing to do with the action drawn\", given the context",
       {},
       {}},
      {"offline_gap",
       "reward",
       Direction::kNone,
       "what one part of the log predicts for the policy of the other, less what that policy earned: 0 where offline "
       "equals online",
       {},
       {}}};
  facts.assumptions = {"units are independent", "rows are in the order of the decisions",
                       "decisions come locally at random (gap_p)",
                       "rewards of a context do not change in between (offline_gap)"};
  facts.sources = {"Agarwal et al., Making contextual decisions with low technical debt, 2016",
                   "Shafer, Testing by betting, JRSS A 2021", "Ville, Étude critique de la notion de collectif, 1939"};
  facts.cost = "O(decisions x actions), 300 bets a decision";
  facts.code = "1";
  return facts;
}

/// Records as they stand: unlike columns, rows without probabilities leave those of the others alone.
base::Result<std::vector<data::DecisionRecord>> read_records(const LogPart& part) {
  const bool lines = part.reading.format
                         ? *part.reading.format == data::LogFormat::kJsonLines
                         : part.path.find(".jsonl") != std::string::npos || part.path.ends_with(".ndjson");
  std::vector<data::DecisionRecord> records;
  if (!lines) {
    PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
    for (std::size_t i = 0; i < log.rows(); ++i) records.push_back(data::decision_record(log, i));
    return records;
  }
  PL_TRY(const data::Bytes file, data::map_file(part.path));
  PL_TRY(const data::Bytes bytes, data::inflate_if_gzip(file, part.path));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  bool full = false;
  const base::Status read =
      data::each_decision(text, part.path, [&](const data::DecisionRecord& record, const std::string&) -> base::Status {
        records.push_back(record);
        full = part.reading.limit > 0 && records.size() == part.reading.limit;
        return full ? base::Status(base::make_error(base::Code::kCancelled, "limit")) : base::ok();
      });
  if (!read.ok() && !full) return read.error();
  return records;
}

check::Artifact wealth_curve(const sys::DeployedLog& log, const std::string& where) {
  check::Artifact a;
  a.id = "wealth";
  a.kind = "curve";
  a.title = fmt::format("Evidence that {} was not drawn as logged", where);
  a.caption =
      "Wealth of a gambler who bets against the logged probabilities and starts with 1: under honest draws it passes "
      "20 in at most "
      "one log in 20, however long one looks.";
  std::vector<double> x, y;
  for (const sys::WealthPoint& p : log.wealth) {
    x.push_back(p.draws);
    y.push_back(p.log10);
  }
  a.columns = {{"x", "draws", x}, {"y", "", y}};
  a.facts = {{"x_label", "draws"},
             {"y_label", "log10 of the wealth"},
             {"reference", "1.3010299956639813"},
             {"reference_label", "20"}};
  return a;
}

check::Artifact fault_table(const sys::DeployedLog& log, const std::string& where) {
  check::Artifact a;
  a.id = "faults";
  a.kind = "table";
  a.title = fmt::format("Faults of {}", where);
  a.caption = "Rows with each fault, and the first of them.";
  std::vector<std::string> what;
  std::vector<double> rows, first;
  for (const sys::LogFault& f : log.faults) {
    what.push_back(f.what);
    rows.push_back(static_cast<double>(f.count));
    first.push_back(static_cast<double>(f.rows.front()));
  }
  a.columns = {{"fault", "", what}, {"rows", "", rows}, {"first", "row", first}};
  return a;
}

check::Finding finding_of(std::string id, const std::string& where, std::string title, std::string detail,
                          std::string next) {
  check::Finding finding;
  finding.id = std::move(id);
  finding.severity = check::FindingSeverity::kMajor;
  finding.title = std::move(title);
  finding.detail = std::move(detail);
  finding.next_step = std::move(next);
  finding.data = where;
  return finding;
}

void find(const sys::DeployedLog& log, const std::string& where, check::Output& output) {
  constexpr double kLevel = 0.001;
  for (const sys::LogFault& f : log.faults) {
    output.findings.push_back(finding_of(fmt::format("fault-{}", output.findings.size() + 1), where,
                                         fmt::format("{} rows of {}: {}", f.count, where, f.what),
                                         "A record that cannot be right says nothing about what was done.",
                                         "Correct the program that writes the log."));
    output.findings.back().rows = f.rows;
  }
  if (log.draw_p && log.draw_p->value <= kLevel)
    output.findings.push_back(
        finding_of("draws", where, fmt::format("The actions of {} were not drawn with the logged probabilities", where),
                   fmt::format("p = {:.2g}, whenever one looks.{}", log.draw_p->value,
                               log.sharpness ? fmt::format(" The probabilities to the power of {} fit best.",
                                                           short_number(log.sharpness->value))
                                             : ""),
                   "Log the probabilities where the action is drawn. Usual reasons: exploration that was switched off, "
                   "a rule after the draw, an "
                   "update between draw and log."));
  if (!log.after_gap.empty()) {
    output.findings.push_back(
        finding_of("gap", where, fmt::format("A gap in {} before row {}", where, log.after_gap.front()),
                   fmt::format("Too long beside its neighbours, p = {:.2g}.", log.gap_p->value),
                   "Look for a lost file, a stopped writer, or a pause that should be declared."));
    output.findings.back().rows = log.after_gap;
  }
  if (log.feedback_p && log.feedback_p->value <= kLevel)
    output.findings.push_back(finding_of(
        "feedback", where, fmt::format("Rewards of {} are missing for some actions more than for others", where),
        fmt::format("p = {:.2g}.", log.feedback_p->value),
        "Find out where feedback is lost; an estimate that leaves those decisions out is biased."));
  if (log.undeclared_share.value > 0)
    output.findings.push_back(finding_of("versions", where,
                                         fmt::format("{} holds versions that were not declared", where),
                                         fmt::format("Versions: {}.", fmt::join(log.versions, ", ")),
                                         "Declare them under `policies`, or find out who deployed them."));
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("log", where));
  PL_TRY(const LogPart part, read_log_part(*section));
  PL_TRY(const std::vector<data::DecisionRecord> records, read_records(part));
  PL_TRY(const sys::DeployedLog log, sys::deployed_log(records, {params.texts("policies")}));

  check::Output output;
  output.rows = fmt::format("{} decisions, {} with the probabilities that they were drawn from", log.rows, log.drawn);
  output.notes = log.notes;
  if (log.offline_gap)
    output.notes.push_back(fmt::format("{} predicts {} for {}, which earned {}", log.predicted_from,
                                       short_number(log.offline), log.predicted_for, short_number(log.online)));
  const auto add = [&](const char* metric, const std::optional<stats::Estimate>& estimate, const char* artifact) {
    if (!estimate) return;
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", where}}, *estimate));
    output.evidence.back().artifacts = {artifact};
  };
  add("faulty_share", log.faulty_share, "faults");
  add("undeclared_share", log.undeclared_share, "faults");
  add("draw_p", log.draw_p, "wealth");
  add("sharpness", log.sharpness, "wealth");
  add("explored_share", log.explored_share, "wealth");
  add("least_probability", log.least_probability, "wealth");
  add("error_share", log.error_share, "faults");
  add("timeout_share", log.timeout_share, "faults");
  add("person_share", log.person_share, "faults");
  add("fallback_share", log.fallback_share, "faults");
  add("refused_share", log.refused_share, "faults");
  add("gap_p", log.gap_p, "faults");
  add("missing_number_share", log.missing_number_share, "faults");
  add("feedback_p", log.feedback_p, "faults");
  add("offline_gap", log.offline_gap, "faults");
  output.artifacts = {wealth_curve(log, where), fault_table(log, where)};
  find(log, where, output);
  return output;
}

/// The log claims to explore in 0.4 of its decisions; the policy explores so, or in 0.2.
base::Status write(const std::string& folder, base::Rng& rng, double epsilon) {
  constexpr std::size_t kRows = 1000;
  constexpr double kClaimed = 0.4;
  const std::uint64_t seed = rng.bits() % 1000000000;
  std::string text;
  double time = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    const std::size_t x = rng.below(2);
    data::DecisionRecord r;
    r.id = fmt::format("{}", i + 1);
    r.time = time += rng.exponential();
    r.policy = "v1";
    r.context = {{"x", static_cast<double>(x)}};
    r.actions = {"c0", "c1", "c2", "c3"};
    r.probabilities.assign(r.actions.size(), kClaimed / static_cast<double>(r.actions.size()));
    r.probabilities[x] += 1 - kClaimed;
    const std::size_t a = rng.bernoulli(epsilon) ? rng.below(r.actions.size()) : x;
    r.action = r.actions[a];
    r.propensity = r.probabilities[a];
    r.reward = rng.bernoulli(a == 2 ? 0.6 : 0.4) ? 1 : 0;
    PL_TRY(const std::string line, data::decision_to_json(r));
    text += line + '\n';
  }
  PL_CHECK(data::write_bytes(folder + "/log.jsonl", text));
  return write_fixture_manifest(
      folder, seed, "[log.clicks]\npath = \"log.jsonl\"\n",
      "text = \"Actions were drawn as the log says.\"\ncheck = \"system.decision_log\"\nmetric = "
      "\"draw_p\"\nat_least = 0.01\n");
}

}  // namespace

check::Entry decision_log() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) { return plan_logs(blueprint); };
  entry.run = run;
  constexpr double kLazy = 0.2;
  constexpr double kHonest = 0.4;
  entry.fixtures = planted(write, kLazy, kHonest);
  entry.fixtures.defect_words = "a log that claims to explore in 0.4 of its 1,000 decisions and does so in 0.2";
  entry.fixtures.control_words = "a log that explores as it claims";
  entry.fixtures.cost_ms = 60;
  return entry;
}

}  // namespace plumbline::checks::system

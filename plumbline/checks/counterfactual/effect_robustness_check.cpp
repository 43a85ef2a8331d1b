#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"
#include "plumbline/checks/counterfactual/questions.hpp"
#include "plumbline/checks/planted.hpp"

namespace plumbline::checks::counterfactual {
namespace {

namespace effects = plumbline::counterfactual::effects;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "counterfactual.effect_robustness";
  facts.title = "Robustness of an effect";
  facts.question = "Does the effect stand up to attacks on it, and how strong would a hidden confounder have to be?";
  facts.row = "K2";
  facts.needs = {"a question, [effect.NAME]", "a table with treatment and outcome, without a label column among them"};
  facts.params = {};
  facts.yields = {
      {"alarms",
       "attacks",
       Direction::kLowerIsBetter,
       "attacks that speak against the answer: negative outcomes that move, covariates that look like the outcome, "
       "placebos that find something, jumps where none should be, what a graph forbids; a fact about "
       "these data",
       {},
       {}},
      {"negative_p",
       "share",
       Direction::kHigherIsBetter,
       "p-value of \"no negative outcome is moved\": the least of them, after Holm",
       {},
       {}},
      {"largest_move",
       "standard errors",
       Direction::kLowerIsBetter,
       "how far the figure moves when a covariate is left out, at most",
       {},
       {}},
      {"robustness_value",
       "share",
       Direction::kHigherIsBetter,
       "share of what is left of treatment and of outcome that a hidden confounder must explain to bring the least "
       "squares "
       "figure to 0",
       {},
       {}},
      {"e_value",
       "ratio",
       Direction::kHigherIsBetter,
       "risk ratio by which a hidden confounder must be tied to treatment and outcome to move the near bound to no "
       "effect; "
       "1 where it is there already",
       {},
       {}},
      {"gamma",
       "odds ratio",
       Direction::kHigherIsBetter,
       "odds ratio of treatment within matched pairs up to which the signed-rank test still rejects at 0.05",
       {},
       {}}};
  facts.assumptions = {"negative outcomes share the hidden causes that are feared, and the treatment cannot move them"};
  facts.sources = {"Lipsitch, Tchetgen Tchetgen, Cohen, Negative controls, Epidemiology 21, 2010",
                   "Cinelli, Hazlett, Making sense of sensitivity, JRSS B 82, 2020",
                   "VanderWeele, Ding, Sensitivity analysis in observational research, Ann. Intern. Med. 167, 2017",
                   "Rosenbaum, Observational studies, 2nd ed., 2002"};
  facts.cost = "some hundred times that of counterfactual.effect";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) { return plan_effects(blueprint, 0.5); }

check::Artifact attacks_of(const effects::Report& report) {
  check::Artifact table;
  table.id = "attacks";
  table.kind = "table";
  table.title = "Attacks on the answer";
  table.caption = "What was asked, what came out, and whether it speaks against the answer.";
  std::vector<std::string> kind, name, against, words;
  std::vector<double> value, low, high, p;
  for (const effects::Probe& probe : report.probes) {
    kind.push_back(probe.kind);
    name.push_back(probe.name);
    value.push_back(probe.value);
    low.push_back(probe.low);
    high.push_back(probe.high);
    p.push_back(probe.p);
    against.emplace_back(probe.alarming ? "yes" : "no");
    words.push_back(probe.words);
  }
  table.columns = {{"attack", "", kind}, {"of", "", name}, {"value", "", value},     {"low", "", low},
                   {"high", "", high},   {"p", "1", p},    {"against", "", against}, {"meaning", "", words}};
  return table;
}

check::Finding finding_of(const effects::Probe& probe, std::size_t number, const std::string& where) {
  check::Finding finding;
  finding.id = fmt::format("attack-{}", number);
  finding.severity = check::FindingSeverity::kMajor;
  finding.title = fmt::format("{} ({}) speaks against the effect", probe.kind, probe.name);
  finding.detail = fmt::format("{}.", probe.words);
  finding.next_step =
      "Measure what might move both treatment and outcome, or look for a design in which chance decides: a cut-off, an "
      "instrument, a trial. Leave out columns that were measured after the treatment.";
  finding.data = where;
  return finding;
}

/// The farthest that the figure moves without a covariate, in its standard errors; negative without such attacks.
double largest_move(const effects::Report& report) {
  double out = -1;
  for (const effects::Probe& probe : report.probes)
    if (probe.kind == "without" && !std::isnan(probe.value) && report.answer.standard_error > 0)
      out = std::max(out, std::abs(probe.value - report.answer.estimate.value) / report.answer.standard_error);
  return out;
}

base::Result<check::Output> run(check::Context& context, const check::Params&) {
  const check::CheckInfo facts = info();
  PL_TRY(const effects::Report report, answer_task(context, true));
  check::Output output;
  output.rows = report.rows;
  const std::string& where = context.task().data;
  const double rows = report.answer.estimate.n;
  const auto add = [&](const std::string& metric, double value, const std::string& method) {
    output.evidence.push_back(
        check::make_evidence(facts, metric, {{"data", where}}, stats::exact(value, rows, method)));
    output.evidence.back().artifacts = {"attacks"};
  };
  output.artifacts.push_back(attacks_of(report));
  if (report.cannot_say()) {
    output.notes.push_back(fmt::format("all figures are withheld: {}", refusal_words(report)));
    return output;
  }
  double alarms = 0, least = 2;
  for (const effects::Probe& probe : report.probes) {
    if (probe.kind == "negative outcome" && !std::isnan(probe.p)) least = std::min(least, probe.p);
    if (!probe.alarming) continue;
    alarms += 1;
    constexpr std::size_t kMost = 10;
    if (output.findings.size() < kMost) output.findings.push_back(finding_of(probe, output.findings.size() + 1, where));
  }
  add("alarms", alarms, "count");
  if (least <= 1)
    add("negative_p", least, "normal, Holm");
  else
    output.notes.push_back("negative_p is withheld: the question names no negative outcome");
  if (const double move = largest_move(report); move >= 0) add("largest_move", move, "one covariate left out");
  if (report.partial) add("robustness_value", report.partial->robustness, "partial R-squared");
  if (report.e_value) add("e_value", report.e_value->bound, report.e_value->approximate ? "approximate" : "risk ratio");
  if (report.rosenbaum) add("gamma", report.rosenbaum->gamma, "signed ranks of matched pairs");
  return output;
}

base::Status write(const std::string& folder, base::Rng& rng, double hidden) {
  return write_effect_system(folder, rng, 1, hidden,
                             "text = \"Nothing hidden moves both.\"\ncheck = "
                             "\"counterfactual.effect_robustness\"\nmetric = \"negative_p\"\nat_least = 0.01\n");
}

}  // namespace

check::Entry effect_robustness() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, 1.0, 0.0);
  entry.fixtures.defect_words = "400 rows in which a hidden cause moves treatment, outcome and a negative outcome";
  entry.fixtures.control_words = "the same without the hidden cause of the treatment";
  entry.fixtures.cost_ms = 200;
  return entry;
}

}  // namespace plumbline::checks::counterfactual

#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"
#include "plumbline/checks/counterfactual/questions.hpp"
#include "plumbline/checks/planted.hpp"

namespace plumbline::checks::counterfactual {
namespace {

namespace effects = plumbline::counterfactual::effects;
using check::Direction;
using plumbline::counterfactual::Outcome;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "counterfactual.effect";
  facts.title = "Effect of a treatment";
  facts.question = "What does the treatment do to the outcome?";
  facts.row = "K2";
  facts.needs = {"a question, [effect.NAME]", "a table with treatment and outcome, without a label column among them"};
  facts.params = {};
  facts.yields = {{"effect",
                   "outcome",
                   Direction::kNone,
                   "mean of the outcome with the treatment minus without it, over the rows of the estimand",
                   {"reading"},
                   {{"reading", "answer"}}},
                  {"imbalance",
                   "deviations",
                   Direction::kLowerIsBetter,
                   "largest standardised difference of a covariate between the arms, after weighting where the answer "
                   "weights; a fact about these data",
                   {},
                   {}},
                  {"effective_size",
                   "rows",
                   Direction::kHigherIsBetter,
                   "(sum w)^2 / sum w^2 of the arm that is worth less after weighting; a fact about these data",
                   {},
                   {}}};
  facts.assumptions = {
      "those of the design, printed with the answer; first of all that nothing that moves both treatment "
      "and outcome was left out",
      "rows (units, clusters) are independent, and nobody's treatment acts on another"};
  facts.sources = {
      "Imbens, Rubin, Causal inference for statistics, social, and biomedical sciences, 2015",
      "Chernozhukov et al., Double/debiased machine learning, Econometrics J. 21, 2018",
      "Calonico, Cattaneo, Titiunik, Robust nonparametric confidence intervals, Econometrica 82, 2014",
      "Andrews, Stock, Sun, Weak instruments in IV regression, Annu. Rev. Econ. 11, 2019",
      "Callaway, Sant'Anna, Difference-in-differences with multiple time periods, J. Econometrics 225, 2021"};
  facts.cost = "O(rows x columns^2)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) { return plan_effects(blueprint, 0.1); }

check::Artifact readings_of(const effects::Report& report) {
  check::Artifact bars;
  bars.id = "readings";
  bars.kind = "bars";
  bars.title = "The effect, read in several ways";
  bars.caption =
      "Each figure with its interval at 0.95; the first one is the answer. Readings that cannot say are left out.";
  std::vector<std::string> label;
  std::vector<double> value, low, high;
  const auto add = [&](const effects::Figure& f) {
    if (f.outcome == Outcome::kCannotSay) return;
    label.push_back(f.label);
    value.push_back(f.estimate.value);
    low.push_back(f.estimate.low().value_or(std::nan("")));
    high.push_back(f.estimate.high().value_or(std::nan("")));
  };
  add(report.answer);
  for (const effects::Figure& f : report.others) add(f);
  bars.columns = {
      {"label", "", label}, {"value", "outcome", value}, {"low", "outcome", low}, {"high", "outcome", high}};
  bars.facts = {{"value_label", "effect"}, {"reference", "0"}, {"reference_label", "no effect"}, {"level", "0.95"}};
  return bars;
}

check::Artifact balance_table(const effects::Report& report) {
  check::Artifact bars;
  bars.id = "balance";
  bars.kind = "bars";
  bars.title = "How the arms differ";
  bars.caption =
      "Difference of the means in deviations, before and after weighting; within 0.1 the arms count as alike.";
  std::vector<std::string> label, series;
  std::vector<double> value;
  for (const effects::Balance& b : report.balance) {
    label.push_back(b.column);
    series.emplace_back("before");
    value.push_back(b.before);
    if (std::isnan(b.after)) continue;
    label.push_back(b.column);
    series.emplace_back("after");
    value.push_back(b.after);
  }
  bars.columns = {{"label", "", label}, {"value", "deviations", value}, {"series", "", series}};
  bars.facts = {{"value_label", "difference in deviations"}, {"reference", "0"}, {"reference_label", "alike"}};
  return bars;
}

base::Result<check::Output> run(check::Context& context, const check::Params&) {
  const check::CheckInfo facts = info();
  PL_TRY(const effects::Report report, answer_task(context, false));
  check::Output output;
  output.rows = report.rows;
  output.notes.push_back(fmt::format("the experiment that would answer it: {}", report.experiment));
  const std::string& where = context.task().data;
  const auto add = [&](const std::string& metric, std::map<std::string, std::string> at, stats::Estimate estimate,
                       const std::string& artifact) {
    at["data"] = where;
    output.evidence.push_back(check::make_evidence(facts, metric, std::move(at), std::move(estimate)));
    output.evidence.back().artifacts = {artifact};
  };
  const auto add_figure = [&](const effects::Figure& f, const std::string& reading) {
    if (f.outcome == Outcome::kCannotSay) {
      output.notes.push_back(
          fmt::format("effect ({}) is withheld: cannot say: {}", reading, fmt::join(f.reasons, "; ")));
      return;
    }
    stats::Estimate estimate = f.estimate;
    estimate.warnings.insert(estimate.warnings.end(), f.reasons.begin(), f.reasons.end());
    if (reading == "answer")
      estimate.assumptions.insert(estimate.assumptions.end(), report.assumptions.begin(), report.assumptions.end());
    add("effect", {{"reading", reading}}, std::move(estimate), "readings");
  };
  add_figure(report.answer, "answer");
  for (const effects::Figure& f : report.others) add_figure(f, f.label);
  output.artifacts.push_back(readings_of(report));
  if (!report.balance.empty()) {
    output.artifacts.push_back(balance_table(report));
    const auto rows = static_cast<double>(report.balance.size());
    add("imbalance", {}, stats::exact(effects::largest_imbalance(report.balance), rows, "largest over columns"),
        "balance");
    if (report.overlap)
      add("effective_size", {},
          stats::exact(std::min(report.overlap->size_treated, report.overlap->size_untreated), rows, "Kish"),
          "balance");
  }
  return output;
}

base::Status write(const std::string& folder, base::Rng& rng, double effect) {
  return write_effect_system(folder, rng, effect, 0,
                             "text = \"Training adds half a unit.\"\ncheck = \"counterfactual.effect\"\nmetric = "
                             "\"effect\"\nat_least = 0.5\n");
}

}  // namespace

check::Entry effect() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, 0.0, 1.0);
  entry.fixtures.defect_words =
      "400 rows without an effect, in which those who would have done better anyway get the treatment";
  entry.fixtures.control_words = "the same with an effect of 1, where 0.5 is claimed";
  return entry;
}

}  // namespace plumbline::checks::counterfactual

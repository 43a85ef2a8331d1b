#include "plumbline/counterfactual/effects/report.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"

namespace plumbline::counterfactual::effects {
namespace {

base::Result<Design> design_of(const Question& q) {
  const Columns& c = q.columns;
  std::vector<std::string> named;
  Design out = Design::kMeasured;
  if (!c.running.empty()) {
    named.emplace_back("--running");
    out = Design::kDiscontinuity;
  }
  if (!c.instruments.empty()) {
    named.emplace_back("--instrument");
    out = Design::kInstrument;
  }
  if (!c.unit.empty() || !c.time.empty()) {
    named.emplace_back("--unit and --time");
    out = Design::kDifferences;
  }
  if (named.size() > 1)
    return base::make_error(base::Code::kValue, fmt::format("{} name different designs", base::join_words(named)), {},
                            "choose one of them");
  if (c.unit.empty() != c.time.empty())
    return base::make_error(base::Code::kValue, "differences in differences need a unit and a time");
  if (q.cutoff.has_value() != !c.running.empty())
    return base::make_error(base::Code::kValue, "a running variable and a cut-off go together");
  if (c.treatment.empty() && out != Design::kDiscontinuity)
    return base::make_error(base::Code::kValue, "no treatment is named");
  return out;
}

/// Words for what people are born with: nobody can set it.
bool inborn(const std::string& treatment) {
  static const std::array<std::string_view, 17> kWords = {
      "sex", "gender",    "female",    "male",       "race",       "black",       "white", "hispanic", "hispan",
      "age", "ethnicity", "birthyear", "birth_year", "birthplace", "birth_place", "asian", "caste"};
  std::string lower(treatment);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

std::string experiment_words(const Question& q, Design design, const Study& s) {
  if (!q.experiment.empty() && q.experiment != "none") return q.experiment;
  const Columns& c = q.columns;
  if (design == Design::kDiscontinuity)
    return fmt::format("near {} = {:g}, draw by lot on which side of the cut-off a row falls, and compare {}",
                       c.running, *q.cutoff, c.outcome);
  if (design == Design::kInstrument)
    return fmt::format(
        "draw {} by lot for each row; as the next best, draw {} by lot and compare {} among those whom it "
        "moves",
        c.treatment, fmt::join(c.instruments, ", "), c.outcome);
  if (design == Design::kDifferences)
    return fmt::format("draw by lot which {} gets {} and when, and compare {} afterwards", c.unit, c.treatment,
                       c.outcome);
  return fmt::format(
      "draw by lot for each row whether {} is {} or {}, keep everything else as it is, and compare the "
      "means of {}",
      c.treatment, s.treated, s.untreated, c.outcome);
}

std::string question_words(const Question& q, Design design, const Study& s) {
  const Columns& c = q.columns;
  if (design == Design::kDiscontinuity)
    return fmt::format("what does crossing {} = {:g} do to {}, for rows at the cut-off", c.running, *q.cutoff,
                       c.outcome);
  if (design == Design::kInstrument)
    return fmt::format("what does one unit of {} do to {}, for those whom {} moves", c.treatment, c.outcome,
                       fmt::join(c.instruments, ", "));
  if (design == Design::kDifferences)
    return fmt::format("what did {} do to {}, for those who got it", c.treatment, c.outcome);
  const char* whom = q.estimand == Estimand::kAtt   ? "for the treated"
                     : q.estimand == Estimand::kAto ? "for rows that might have gone either way"
                                                    : "over all rows";
  if (s.levels == 2)
    return fmt::format("what does {} = {} instead of {} do to {}, {}", c.treatment, s.treated, s.untreated, c.outcome,
                       whom);
  return fmt::format("what does {} do to {}, {}", c.treatment, c.outcome, whom);
}

std::string rows_words(const Study& s, Design design) {
  std::string out = fmt::format("{} rows", s.n());
  if (design == Design::kMeasured && s.binary)
    out += fmt::format(": {} with {} = {}, {} with {}", s.treated_rows(), s.treatment_name, s.treated,
                       s.n() - s.treated_rows(), s.untreated);
  if (!s.clusters.empty()) out += fmt::format("; {} clusters", s.cluster_total());
  if (s.missing > 0) out += fmt::format("; {} left out for missing values", s.missing);
  return out;
}

}  // namespace

std::string_view design_name(Design design) {
  switch (design) {
    case Design::kMeasured: return "measured confounders";
    case Design::kDiscontinuity: return "regression discontinuity";
    case Design::kInstrument: return "instrument";
    case Design::kDifferences: return "differences in differences";
  }
  return "";
}

Figure figure_of(const Effect& e) {
  return {std::string(method_name(e.method)),
          std::string(estimand_name(e.estimand)),
          e.outcome,
          e.reasons,
          e.estimate,
          e.standard_error};
}

void refuse(Figure& figure, std::string reason) {
  if (figure.outcome != Outcome::kCannotSay) figure.reasons.clear();
  figure.outcome = Outcome::kCannotSay;
  figure.reasons.push_back(std::move(reason));
  figure.estimate = {};
  figure.estimate.value = figure.standard_error = std::numeric_limits<double>::quiet_NaN();
}

void warn(Figure& figure, std::string reason) {
  if (figure.outcome == Outcome::kSays) figure.outcome = Outcome::kWarns;
  figure.reasons.push_back(std::move(reason));
}

base::Result<Adjustment> check_adjustment(const causal::ReadGraph& read, const Columns& c) {
  Adjustment out;
  const causal::Graph graph = read.observed();
  PL_TRY(const int treatment, graph.index(c.treatment));
  PL_TRY(const int outcome, graph.index(c.outcome));
  PL_TRY(const causal::SetList sets, causal::backdoor_sets(graph, treatment, outcome));
  out.chosen = c.covariates;
  if (c.covariates.empty()) {
    if (!sets.sets.empty()) {
      out.chosen = graph.names(sets.sets.front());
      return out;
    }
    PL_TRY(const causal::Identification got, causal::identify(graph, {outcome}, {treatment}));
    out.refusal = got.identified ? "no set of covariates closes the back doors of the graph; the effect has another "
                                   "formula: see `plumbline causal identify`"
                                 : "the graph does not let the effect be computed from what is observed: see "
                                   "`plumbline causal identify`";
    return out;
  }
  causal::NodeSet given;
  const causal::NodeSet after = graph.descendants({treatment});
  for (const std::string& name : c.covariates) {
    const auto node = graph.index(name);
    if (!node.ok()) {
      out.faults.push_back(fmt::format("the graph has no node '{}'", name));
      continue;
    }
    given.insert(*node);
    if (after.contains(*node))
      out.faults.push_back(
          fmt::format("{} comes after {}: to adjust for it takes a part of the effect away, or makes one "
                      "(collider)",
                      name, c.treatment));
  }
  if (out.faults.empty() && !causal::separated(graph.without_outgoing({treatment}), {treatment}, {outcome}, given)) {
    std::string hint;
    if (!sets.sets.empty()) hint = fmt::format("; {{{}}} would close them", graph.words(sets.sets.front()));
    out.faults.push_back(fmt::format("{{{}}} leaves a back door open{}", graph.words(given), hint));
  }
  return out;
}

base::Result<Report> answer_question(const data::Table& table, const Question& asked, const base::Rng& rng) {
  Question question = asked;
  Report report;
  PL_TRY(report.design, design_of(question));
  Adjustment adjustment;
  if (question.graph && report.design == Design::kMeasured) {
    if (question.columns.covariates == std::vector<std::string>{"all"}) question.columns.covariates.clear();
    PL_TRY(adjustment, check_adjustment(*question.graph, question.columns));
    question.columns.covariates = adjustment.chosen;
  }
  PL_TRY(const Study study, make_study(table, question.columns));
  report.question = question_words(question, report.design, study);
  report.rows = rows_words(study, report.design);
  report.adjusted = study.covariates;
  report.answer.estimand = estimand_name(question.estimand);
  if (question.experiment == "none" || (question.experiment.empty() && inborn(question.columns.treatment))) {
    report.experiment = "none";
    refuse(report.answer,
           question.experiment == "none"
               ? "no experiment could set the treatment, so there is no effect of it that data could tell"
               : fmt::format("'{}' is not something that an experiment could set, so there is no effect of it to be "
                             "told. If one could (for example by changing what others see of it), name it with "
                             "--experiment",
                             question.columns.treatment));
    return report;
  }
  report.experiment = experiment_words(question, report.design, study);
  if (!adjustment.refusal.empty()) {
    refuse(report.answer, adjustment.refusal);
    return report;
  }
  switch (report.design) {
    case Design::kMeasured: PL_CHECK(answer_by_covariates(study, question, rng, report)); break;
    case Design::kDiscontinuity: PL_CHECK(answer_by_discontinuity(study, question, report)); break;
    case Design::kInstrument: PL_CHECK(answer_by_instrument(study, question, report)); break;
    case Design::kDifferences: PL_CHECK(answer_by_differences(study, question, report)); break;
  }
  for (const std::string& fault : adjustment.faults) {
    report.probes.push_back(
        {"graph", "adjustment", std::nan(""), std::nan(""), std::nan(""), std::nan(""), true, fault});
    if (!report.cannot_say()) warn(report.answer, fault);
  }
  return report;
}

}  // namespace plumbline::counterfactual::effects

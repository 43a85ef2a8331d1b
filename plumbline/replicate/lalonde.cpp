// The job training experiment, and what estimators make of the same treated when the controls come from surveys.
#include <cmath>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/effect.hpp"
#include "plumbline/counterfactual/effects/sensitivity.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

namespace effects = counterfactual::effects;
using counterfactual::Outcome;
using effects::Estimand;
using effects::Learner;
using effects::Method;

constexpr double kExperiment = 1794.34;
constexpr const char* kPaper = "LaLonde 1986; Dehejia, Wahba 1999";

/// A table of the public copies, or why it is not there.
base::Result<data::Table> read(const Options& options, const std::string& name) {
  if (options.data_folder.empty())
    return base::make_error(base::Code::kIo, "needs the public data: set PLUMBLINE_DATA, or --root data=DIR");
  return data::read_csv(options.data_folder + "/causal/lalonde/" + name);
}

/// The treated of the experiment with the controls of a survey.
data::Table joined(const data::Table& experiment, const data::Table& survey) {
  data::Table out;
  const data::Column* treated = experiment.find("trt");
  for (const data::Column& column : survey.columns) {
    const data::Column* more = experiment.find(column.name);
    if (more == nullptr || treated == nullptr) continue;
    data::Column both = column;
    for (std::size_t i = 0; i < more->numbers.size(); ++i)
      if (treated->numbers[i] == 1) both.numbers.push_back(more->numbers[i]);
    out.columns.push_back(std::move(both));
  }
  return out;
}

const std::vector<std::string>& covariates() {
  static const std::vector<std::string> kNames = {"age", "educ", "black", "hisp", "marr", "nodeg", "re74", "re75"};
  return kNames;
}

/// With squares, and whether there were no earnings at all.
std::vector<std::string> rich_covariates() {
  std::vector<std::string> out = covariates();
  out.insert(out.end(), {"age^2", "educ^2", "re74^2", "re75^2", "re74=0", "re75=0"});
  return out;
}

/// What is drawn: an estimator, its figure and interval.
struct Bars {
  std::vector<std::string> label;
  std::vector<double> value, low, high;
  void add(const std::string& name, double v, double l, double h) {
    label.push_back(name);
    value.push_back(v);
    low.push_back(l);
    high.push_back(h);
  }
};

/// A figure that the same data must give to the digit.
Row exact_row(const std::string& label, double published, const base::Result<effects::Effect>& ours, double tolerance) {
  Row row{.label = label, .published = number(published, Origin::kRecalled, kPaper), .tolerance = tolerance};
  if (!ours.ok()) {
    row.not_run = ours.error().text();
    return row;
  }
  row.ours = exactly(ours->estimate.value, ours->estimate.method);
  row.note = fmt::format("interval at 0.95 [{:.0f}, {:.0f}]", ours->estimate.low().value_or(std::nan("")),
                         ours->estimate.high().value_or(std::nan("")));
  return row;
}

base::Result<effects::Effect> difference(const base::Result<data::Table>& table) {
  if (!table.ok()) return table.error();
  PL_TRY(const effects::Study study, effects::make_study(*table, {.treatment = "trt", .outcome = "re78"}));
  return effects::estimate_effect(study, Method::kDifference, {}, base::Rng(1));
}

/// An estimator beside the experiment: nothing is published for it, and where it cannot say, it says why.
void add_estimator(const base::Result<effects::Study>& study, const std::string& controls, Method method,
                   Learner learner, const Options& options, Bars& bars, Replication& result) {
  const std::string name = learner == Learner::kTrees ? fmt::format("{}, trees", effects::method_name(method))
                                                      : std::string(effects::method_name(method));
  Row row{.label = fmt::format("{}: {}", controls, name),
          .published = nothing("to be held against the experiment on the same treated, 1794 (s.e. 671)")};
  effects::EffectOptions o;
  o.estimand = Estimand::kAtt;
  o.learner = learner;
  o.cancel = options.cancel;
  const auto effect = study.ok()
                          ? effects::estimate_effect(*study, method, o, base::Rng(options.seed, {"lalonde", name}))
                          : base::Result<effects::Effect>(study.error());
  if (!effect.ok()) {
    row.not_run = effect.error().text();
  } else if (effect->outcome == Outcome::kCannotSay) {
    row.not_run = "cannot say: " + effect->reasons.front();
  } else {
    row.ours = effect->estimate;
    row.note = fmt::format("misses the experiment by {:+.0f}", effect->estimate.value - kExperiment);
    if (!effect->reasons.empty()) row.note += "; warns: " + effect->reasons.front();
    bars.add(row.label, effect->estimate.value, effect->estimate.low().value_or(std::nan("")),
             effect->estimate.high().value_or(std::nan("")));
  }
  result.rows.push_back(std::move(row));
}

base::Result<effects::Study> study_of(const base::Result<data::Table>& table, const std::string& treatment,
                                      const std::vector<std::string>& names) {
  if (!table.ok()) return table.error();
  return effects::make_study(*table, {.treatment = treatment, .outcome = "re78", .covariates = names});
}

base::Result<data::Table> both(const base::Result<data::Table>& experiment, const base::Result<data::Table>& survey) {
  if (!experiment.ok()) return experiment.error();
  if (!survey.ok()) return survey.error();
  return joined(*experiment, *survey);
}

base::Result<Replication> run(const Options& options) {
  Replication result;
  const auto small = read(options, "nsw_dehejia_wahba.csv");
  const auto full = read(options, "nsw_lalonde_full.csv");
  const auto psid = both(small, read(options, "psid1_controls.csv"));
  const auto matchit = read(options, "matchit_lalonde.csv");
  Bars bars;
  bars.add("the experiment, published", 1794, std::nan(""), std::nan(""));
  const auto experiment = difference(small);
  if (experiment.ok())
    bars.add("the experiment", experiment->estimate.value, *experiment->estimate.low(), *experiment->estimate.high());
  result.rows.push_back(exact_row("experiment, subset with two years of earnings", 1794, experiment, 0.5));
  result.rows.push_back(exact_row("experiment, all men", 886, difference(full), 0.5));
  result.rows.push_back(exact_row("PSID-1: difference of means", -15205, difference(psid), 0.5));
  Row ols{.label = "PSID subset of MatchIt: least squares",
          .published = number(1548.24, Origin::kProgram, "the documentation of MatchIt"),
          .tolerance = 0.005};
  const auto subset = study_of(matchit, "treat", {"age", "educ", "race", "married", "nodegree", "re74", "re75"});
  if (subset.ok()) {
    PL_TRY(const effects::PartialR2 fit, effects::partial_r2(*subset));
    ols.ours = exactly(fit.estimate, "least squares");
    ols.note = fmt::format("standard error {:.2f}; published 781.28", fit.standard_error);
  } else {
    ols.not_run = subset.error().text();
  }
  result.rows.push_back(std::move(ols));

  struct Spec {
    std::string name;
    base::Result<effects::Study> study;
  };
  const std::vector<Spec> specs = {{"PSID-1", study_of(psid, "trt", covariates())},
                                   {"PSID-1 with squares", study_of(psid, "trt", rich_covariates())},
                                   {"MatchIt's subset", subset}};
  std::size_t done = 0;
  for (const Spec& spec : specs) {
    for (const Method method : effects::all_methods()) {
      if (method == Method::kOverlap) continue;
      PL_CHECK(options.cancel.status());
      progress(options, "lalonde", done++, specs.size() * 9);
      add_estimator(spec.study, spec.name, method, Learner::kLinear, options, bars, result);
    }
    add_estimator(spec.study, spec.name, Method::kAipw, Learner::kTrees, options, bars, result);
  }
  check::Artifact picture;
  picture.id = "estimators";
  picture.kind = "bars";
  picture.title = "The effect on the treated, by estimator and controls";
  picture.caption = "Intervals at 0.95; the line is what the experiment found for the same treated. US$ of 1978.";
  picture.columns = {
      {"label", "", bars.label}, {"value", "US$", bars.value}, {"low", "US$", bars.low}, {"high", "US$", bars.high}};
  picture.facts = {{"value_label", "effect on earnings in 1978"},
                   {"reference", fmt::format("{}", kExperiment)},
                   {"reference_label", "experiment"},
                   {"level", "0.95"}};
  result.pictures.push_back(std::move(picture));
  result.notes = {
      "Estimators of the effect on the treated, 185 men of the experiment with controls of a survey; published "
      "ones used other subsets and other covariates, so none is held against a published figure.",
      "That an interval holds the experiment's figure is no proof: with surveys of other people, they are wide."};
  return result;
}

}  // namespace

Entry lalonde() {
  return {
      {.id = "lalonde",
       .title = "Job training: an experiment against its observational estimates",
       .paper = "LaLonde, Evaluating the econometric evaluations of training programs with experimental data, AER 76, "
                "1986; Dehejia, Wahba, JASA 94, 1999",
       .where = "the comparison groups of the survey PSID",
       .compares = "the experiment's figures, and every estimator of the effect on the treated with survey controls",
       .seconds = 5},
      run};
}

}  // namespace plumbline::replicate

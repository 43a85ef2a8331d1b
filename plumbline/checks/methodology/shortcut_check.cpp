#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/methodology/shortcut.hpp"

namespace plumbline::checks::methodology {
namespace {

using check::Context;
using check::Output;
using check::Params;

check::CheckInfo facts() {
  return {
      .id = "methodology.shortcut",
      .title = "Shortcuts",
      .question = "Does a cheap part of the input already give the answer away?",
      .row = "M5",
      .maturity = check::Maturity::kPreview,
      .needs = {"labelled sets of role train and test of the same kind",
                "for solvability: a classifier's predictions on the test set"},
      .params = {{"fields",
                  std::vector<std::string>{},
                  {},
                  {},
                  {},
                  "text columns to be read together as a partial input; two are also set against each other"},
                 {"needed",
                  std::vector<std::string>{},
                  {},
                  {},
                  {},
                  "columns that the task claims to need: a baseline without each"},
                 {"train_rows", std::int64_t{5000}, 50, 100000, {}, "rows that baselines are fitted on at most"},
                 {"baselines", std::int64_t{20}, 1, 50, {}, "baselines judged at most, the best on train"},
                 {"replicates",
                  std::int64_t{20000},
                  100,
                  1000000,
                  {},
                  "of the bootstrap; high confidences and many claims need more of them"}},
      .yields =
          {{"solvability",
            "share",
            check::Direction::kLowerIsBetter,
            "share of the model's gain over the majority class that the baseline reaches; 1 = as good as the model",
            {"model", "baseline"},
            {{"baseline", "worst"}}},
           {"baseline_gain",
            "share",
            check::Direction::kLowerIsBetter,
            "accuracy of the baseline minus that of the majority class",
            {"baseline"},
            {{"baseline", "worst"}}},
           {"majority_accuracy",
            "share",
            check::Direction::kNone,
            "accuracy of always naming the majority class of train",
            {},
            {}}},
      .assumptions = {"test units are independent", "no cheap solution found by this list is not the absence of any"},
      .sources = {"Gururangan et al. 2018", "Niven and Kao 2019", "McNemar 1947", "Holm 1979"},
      .cost = "a logistic fit for each baseline",
      .needs_torch = false,
      .code = "1"};
}

check::Plan plan(const check::Blueprint& blueprint, const Params&) {
  check::Plan plan;
  const auto trains = blueprint.sets_with_role(data::Role::kTrain);
  if (trains.empty() || !blueprint.data.at(trains.front()).labelled) {
    plan.not_applicable =
        trains.empty() ? "no data set has the role train" : fmt::format("'{}' has no labels", trains.front());
    return plan;
  }
  const std::string& train = trains.front();
  for (const std::string& name : blueprint.sets_with_role(data::Role::kTest)) {
    const data::DataFacts& set = blueprint.data.at(name);
    if (set.kind != blueprint.data.at(train).kind || !set.labelled) continue;
    check::Task task;
    task.subject = fmt::format("{}@{}", train, name);
    task.data = name;
    for (const auto& [model, model_facts] : blueprint.models) {
      const bool stored =
          std::find(model_facts.stored_for.begin(), model_facts.stored_for.end(), name) != model_facts.stored_for.end();
      if (model_facts.task == "classification" && (stored || model_facts.runs))
        task.predictions.emplace_back(model, name);
    }
    task.cost_seconds = 3;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty())
    plan.not_applicable = fmt::format("no labelled set of role test of the same kind as '{}'", train);
  return plan;
}

base::Result<Output> run(Context& context, const Params& params) {
  namespace method = plumbline::methodology;
  Output out;
  const check::Task& task = context.task();
  const std::string& name = task.data;
  const std::string train_name = task.subject.substr(0, task.subject.find('@'));
  PL_TRY(const data::DatasetPtr train, context.dataset(train_name));
  PL_TRY(const data::DatasetPtr test, context.dataset(name));
  method::ShortcutOptions options;
  options.fields = params.texts("fields");
  options.needed = params.texts("needed");
  options.train_rows = static_cast<std::size_t>(params.integer("train_rows"));
  options.baselines = static_cast<std::size_t>(params.integer("baselines"));
  options.cancel = context.cancel();
  PL_TRY(const method::ShortcutResult result,
         method::cheap_baselines(*train, *test, options, context.rng("baselines")));

  const check::CheckInfo info = facts();
  out.evidence.push_back(check::make_evidence(info, "majority_accuracy", {{"data", name}}, result.majority_accuracy));
  std::vector<stats::Estimate> gains;
  for (const method::Baseline& b : result.baselines) {
    gains.push_back(b.gain);
    out.evidence.push_back(check::make_evidence(info, "baseline_gain", {{"data", name}, {"baseline", b.name}}, b.gain));
  }
  out.evidence.push_back(
      check::make_evidence(info, "baseline_gain", {{"data", name}, {"baseline", "worst"}}, method::largest_of(gains)));
  std::vector<std::uint8_t> majority;
  for (const int label : test->labels) majority.push_back(label == result.majority ? 1 : 0);
  double worst = 0;
  for (const auto& [model, set] : task.predictions) {
    PL_TRY(const auto prediction, context.predictions(model, set));
    std::vector<std::uint8_t> correct;
    for (Eigen::Index i = 0; i < prediction->outputs.rows(); ++i) {
      Eigen::Index best = 0;
      prediction->outputs.row(i).maxCoeff(&best);
      correct.push_back(best == test->labels[static_cast<std::size_t>(i)] ? 1 : 0);
    }
    PL_TRY(const method::Solvability s,
           method::solvability(result, majority, correct, test->units, context.rng("bootstrap " + model),
                               static_cast<std::size_t>(params.integer("replicates")), context.cancel()));
    if (!s.not_defined.empty()) {
      out.notes.push_back(fmt::format("solvability for '{}' withheld: {}", model, s.not_defined));
      continue;
    }
    for (std::size_t b = 0; b < s.each.size(); ++b) {
      out.evidence.push_back(check::make_evidence(
          info, "solvability", {{"data", name}, {"model", model}, {"baseline", result.baselines[b].name}}, s.each[b]));
    }
    out.evidence.push_back(
        check::make_evidence(info, "solvability", {{"data", name}, {"model", model}, {"baseline", "worst"}}, s.worst));
    worst = std::max(worst, s.worst.value);
  }

  check::Artifact bars;
  bars.id = "baselines-" + name;
  bars.kind = "bars";
  bars.title = fmt::format("What cheap baselines reach on {}", name);
  bars.caption =
      "Accuracy with its 95 % interval of baselines that see a part of the input; the line is the majority class.";
  std::vector<std::string> labels;
  std::vector<double> value;
  std::vector<double> low;
  std::vector<double> high;
  std::vector<double> adjusted;
  for (const method::Baseline& b : result.baselines) {
    labels.push_back(b.name);
    value.push_back(b.accuracy.value);
    low.push_back(b.accuracy.low().value_or(std::nan("")));
    high.push_back(b.accuracy.high().value_or(std::nan("")));
    adjusted.push_back(b.adjusted_p);
  }
  bars.columns = {{"label", "", labels},
                  {"value", "share", value},
                  {"low", "share", low},
                  {"high", "share", high},
                  {"adjusted p", "1", adjusted}};
  bars.facts = {{"value_label", "accuracy"},
                {"reference", fmt::format("{}", result.majority_accuracy.value)},
                {"reference_label", "majority class"},
                {"level", "0.95"}};
  out.artifacts.push_back(std::move(bars));

  constexpr double kLevel = 0.05;
  for (const method::Baseline& b : result.baselines) {
    if (b.adjusted_p > kLevel || out.findings.size() == 3) break;
    check::Finding finding;
    finding.id = fmt::format("shortcut-{}-{}", name, out.findings.size() + 1);
    finding.severity =
        worst > 0.5 && out.findings.empty() ? check::FindingSeverity::kMajor : check::FindingSeverity::kMinor;
    finding.title = fmt::format("{} reaches {:.3f} on '{}', the majority class {:.3f}", b.place, b.accuracy.value, name,
                                result.majority_accuracy.value);
    finding.detail = fmt::format("A baseline that sees {} gains {:.3f} (p = {:.2g} after Holm over {} baselines).",
                                 b.place, b.gain.value, b.adjusted_p, result.baselines.size());
    finding.next_step =
        "Ask whether this part should decide the answer; if not, balance the data over it or take it out, and judge "
        "again.";
    finding.data = name;
    finding.where = {{"data", name}, {"baseline", b.name}};
    for (std::size_t i = 0; i < b.correct.size() && finding.rows.size() < 20; ++i) {
      if (b.correct[i] != 0 && majority[i] == 0)
        finding.rows.push_back(test->source_rows.empty() ? i : test->source_rows[i]);
    }
    out.findings.push_back(std::move(finding));
  }
  if (out.findings.empty()) out.notes.push_back("no cheap solution found by this list of baselines");
  if (result.left_out > 0)
    out.notes.push_back(fmt::format("{} baselines were left out by their accuracy on train", result.left_out));
  out.rows = fmt::format("baselines fitted on at most {} rows of {}, judged on all {} rows of {}", options.train_rows,
                         train_name, test->rows(), name);
  return out;
}

/// The answer is the exclusive or of two signs, which no part alone shows; `key` agrees with it with the given
/// probability.
base::Status write_fixture(const std::string& folder, base::Rng& rng, double agreement) {
  for (const char* const name : {"train", "test"}) {
    const std::size_t rows = 400;
    data::Table table;
    table.columns.resize(4);
    const char* const names[] = {"x", "y", "key", "label"};
    for (std::size_t j = 0; j < 4; ++j) table.columns[j].name = names[j];
    MatrixD outputs(static_cast<Eigen::Index>(rows), 2);
    for (std::size_t i = 0; i < rows; ++i) {
      const double x = rng.normal();
      const double y = rng.normal();
      const int label = (x > 0) != (y > 0) ? 1 : 0;
      table.columns[0].numbers.push_back(x);
      table.columns[1].numbers.push_back(y);
      table.columns[2].numbers.push_back(rng.bernoulli(agreement) ? label : 1 - label);
      table.columns[3].numbers.push_back(label);
      const double sure = rng.bernoulli(0.95) ? 0.9 : 0.1;
      outputs(static_cast<Eigen::Index>(i), label) = sure;
      outputs(static_cast<Eigen::Index>(i), 1 - label) = 1 - sure;
    }
    PL_CHECK(data::write_csv(fmt::format("{}/{}.csv", folder, name), table));
    if (std::string_view(name) == "test") PL_CHECK(data::write_npy(folder + "/predictions.npy", outputs));
  }
  return write_fixture_manifest(
      folder, rng.below(1000000),
      "[data.train]\ntable = \"train.csv\"\nlabel = \"label\"\n\n[data.test]\ntable = \"test.csv\"\nlabel = "
      "\"label\"\n\n"
      "[predictions.sorter]\ndata = \"test\"\npath = \"predictions.npy\"\noutput = \"probabilities\"\n",
      "text = \"No cheap part of the input does half of the model's work.\"\ncheck = \"methodology.shortcut\"\n"
      "metric = \"solvability\"\nwhere = {data = \"test\"}\nat_most = 0.5\nconfidence = 0.95");
}

}  // namespace

check::Entry shortcut() {
  return {
      .info = facts(),
      .plan = plan,
      .run = run,
      .run_shard = {},
      .finish = {},
      .fixtures = {
          .defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0.9); },
          .control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0.5); },
          .defect_words = "one column agrees with the answer in 90 % of train and test rows (effect: solvability 0.89)",
          .control_words = "the answer needs two columns together; no part alone shows it",
          .false_alarm_level = 0.05,
          .cost_ms = 150}};
}

}  // namespace plumbline::checks::methodology

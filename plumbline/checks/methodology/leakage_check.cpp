#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/methodology/leakage.hpp"

namespace plumbline::checks::methodology {
namespace {

using check::Context;
using check::Output;
using check::Params;

check::CheckInfo facts() {
  return {
      .id = "methodology.leakage",
      .title = "Leakage between train and test",
      .question = "Do test items occur in the training data, exactly or nearly, and does the metric profit from it?",
      .row = "M3",
      .maturity = check::Maturity::kPreview,
      .needs = {"a set of role train", "a set of role test of the same kind"},
      .params = {{"calibration_rows",
                  std::int64_t{4000},
                  200,
                  100000,
                  {},
                  "train units from which to learn how alike separate items are"},
                 {"tail", 0.001, 0.0001, 0.05, {}, "share of separate items that may count as near"},
                 {"candidates", std::int64_t{8}, 1, 256, {}, "reference items compared exactly for each query"},
                 {"shift",
                  std::int64_t{2},
                  0,
                  8,
                  {},
                  "images: shift in pixels that is forgiven, up to an eighth of a side; crops by 1 and 2 pixels too"}},
      .yields =
          {{"exact_share", "share", check::Direction::kLowerIsBetter, "test units whose content is in train", {}, {}},
           {"near_share",
            "share",
            check::Direction::kLowerIsBetter,
            "test units with an exact or near copy in train",
            {},
            {}},
           {"group_share",
            "share",
            check::Direction::kLowerIsBetter,
            "declared test units that also occur in train",
            {},
            {}},
           {"false_alarm",
            "share",
            check::Direction::kNone,
            "separate train units that the near threshold calls near",
            {},
            {}},
           {"accuracy_gap",
            "share",
            check::Direction::kLowerIsBetter,
            "accuracy on matched rows minus on the others",
            {"model"},
            {}}},
      .assumptions = {"test units are independent", "separate units of train show how alike separate items are"},
      .sources = {"Barz and Denzler 2020", "Clopper and Pearson 1934", "Hill 1975"},
      .cost = "O(test x train) float products",
      .needs_torch = false,
      .code = "2"};
}

std::string train_of(const check::Blueprint& blueprint) {
  const auto names = blueprint.sets_with_role(data::Role::kTrain);
  return names.empty() ? std::string() : names.front();
}

check::Plan plan(const check::Blueprint& blueprint, const Params&) {
  check::Plan plan;
  const std::string train = train_of(blueprint);
  if (train.empty()) {
    plan.not_applicable = "no data set has the role train";
    return plan;
  }
  for (const std::string& name : blueprint.sets_with_role(data::Role::kTest)) {
    const data::DataFacts& set = blueprint.data.at(name);
    if (set.kind != blueprint.data.at(train).kind) continue;
    check::Task task;
    task.subject = fmt::format("{}@{}", train, name);
    task.data = name;
    for (const auto& [model, model_facts] : blueprint.models) {
      const bool stored =
          std::find(model_facts.stored_for.begin(), model_facts.stored_for.end(), name) != model_facts.stored_for.end();
      if (model_facts.task == "classification" && set.labelled && (stored || model_facts.runs))
        task.predictions.emplace_back(model, name);
    }
    task.cost_seconds =
        1e-10 * static_cast<double>(set.rows + 4000) * static_cast<double>(blueprint.data.at(train).rows) * 30;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) plan.not_applicable = fmt::format("no set of role test of the same kind as '{}'", train);
  return plan;
}

base::Result<Output> run(Context& context, const Params& params) {
  Output out;
  const check::Task& task = context.task();
  const std::string& name = task.data;
  const std::string train_name = task.subject.substr(0, task.subject.find('@'));
  PL_TRY(const data::DatasetPtr train, context.dataset(train_name));
  PL_TRY(const data::DatasetPtr test, context.dataset(name));
  plumbline::methodology::LeakageOptions options;
  options.calibration_rows = static_cast<std::size_t>(params.integer("calibration_rows"));
  options.tail = params.real("tail");
  options.candidates = static_cast<int>(params.integer("candidates"));
  options.shift = static_cast<int>(params.integer("shift"));
  options.cancel = context.cancel();
  PL_TRY(const auto result, plumbline::methodology::find_leakage(*train, *test, options, context.rng("calibration")));

  const check::CheckInfo info = facts();
  const std::map<std::string, std::string> where = {{"data", name}};
  const auto add = [&](const char* metric, const stats::Estimate& estimate,
                       const std::map<std::string, std::string>& place) {
    out.evidence.push_back(check::make_evidence(info, metric, place, estimate));
  };
  add("exact_share", result.exact_share, where);
  if (result.near_share) {
    add("near_share", *result.near_share, where);
  } else {
    out.notes.push_back("near_share withheld: " + result.near_reason);
  }
  if (result.false_alarm) add("false_alarm", *result.false_alarm, where);
  if (result.group_share) add("group_share", *result.group_share, where);
  for (const auto& [model, set] : task.predictions) {
    PL_TRY(const auto prediction, context.predictions(model, set));
    std::vector<double> correct;
    for (Eigen::Index i = 0; i < prediction->outputs.rows(); ++i) {
      Eigen::Index best = 0;
      prediction->outputs.row(i).maxCoeff(&best);
      correct.push_back(best == test->labels[static_cast<std::size_t>(i)] ? 1 : 0);
    }
    PL_TRY(const auto gap, plumbline::methodology::leakage_gap(result, correct, test->units));
    if (gap) {
      add("accuracy_gap", *gap, {{"data", name}, {"model", model}});
    } else {
      out.notes.push_back(
          fmt::format("accuracy_gap of '{}' withheld: fewer than 10 matched or unmatched units", model));
    }
  }

  const auto source = [](const data::Dataset& set, std::size_t row) {
    return set.source_rows.empty() ? row : set.source_rows[row];
  };
  if (!result.pairs.empty()) {
    check::Artifact pairs;
    pairs.id = "pairs-" + name;
    pairs.kind = "table";
    pairs.title = fmt::format("Rows of {} with a copy in {}", name, train_name);
    pairs.caption =
        fmt::format("Similarity 1 is the same content{}; above {:.4f} counts as near.",
                    train->kind == data::Dataset::Kind::kImages ? ", 0 is as far as the fourth nearest image" : "",
                    result.threshold);
    std::vector<double> test_rows;
    std::vector<double> train_rows;
    std::vector<double> similarity;
    std::vector<std::string> kind;
    check::Finding finding;
    std::size_t exact = 0;
    for (const auto& pair : result.pairs) {
      test_rows.push_back(static_cast<double>(source(*test, pair.test)));
      train_rows.push_back(static_cast<double>(source(*train, pair.train)));
      similarity.push_back(pair.similarity);
      kind.emplace_back(pair.exact ? "exact" : "near");
      exact += pair.exact ? 1 : 0;
      if (finding.rows.size() < 100) finding.rows.push_back(source(*test, pair.test));
    }
    std::string first;
    for (std::size_t k = 0; k < std::min<std::size_t>(5, result.pairs.size()); ++k)
      first += fmt::format("{}{} = {}", k == 0 ? "" : ", ", test_rows[k], train_rows[k]);
    pairs.columns = {{"test row", "", test_rows},
                     {"train row", "", train_rows},
                     {"similarity", "1", similarity},
                     {"kind", "", kind}};
    pairs.facts = {{"threshold", fmt::format("{}", result.threshold)}};
    out.artifacts.push_back(std::move(pairs));
    finding.id = "copies-" + name;
    finding.severity = exact > 0 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} rows of '{}' have a copy in '{}', {} of them exact", result.pairs.size(), name,
                                train_name, exact);
    finding.detail = fmt::format(
        "Pairs (row of {} = row of {}): {}. {} of them carry different labels. About {:.0f} rows would count as near "
        "by chance.",
        name, train_name, first, result.conflicts.size(), options.tail * static_cast<double>(test->rows()));
    finding.next_step =
        "Remove these rows from the test set, or split again by the source of the items, and judge the claims anew.";
    finding.data = name;
    finding.where = where;
    out.findings.push_back(std::move(finding));
  }
  if (!result.shared_groups.empty()) {
    check::Finding finding;
    finding.id = "groups-" + name;
    finding.severity = check::FindingSeverity::kMajor;
    finding.title = fmt::format("{} units of '{}' also occur in '{}'",
                                std::lround(result.group_share->value * result.group_share->n), name, train_name);
    finding.detail = fmt::format(
        "For example {} = '{}'. Rows of one unit are not independent, so the test figure is not about new units.",
        test->unit_name, result.shared_groups.front());
    finding.next_step = "Split by unit: from and share in the manifest do so.";
    finding.data = name;
    finding.where = where;
    out.findings.push_back(std::move(finding));
  }
  out.rows = fmt::format("all {} rows of {} against all {} rows of {}; threshold from at most {} units of {}",
                         test->rows(), name, train->rows(), train_name, options.calibration_rows, train_name);
  return out;
}

base::Status write_fixture(const std::string& folder, base::Rng& rng, int copies) {
  MatrixF train(700, 6);
  MatrixF test(300, 6);
  for (MatrixF* const m : {&train, &test}) {
    for (Eigen::Index i = 0; i < m->size(); ++i) m->data()[i] = static_cast<float>(rng.normal());
  }
  const std::vector<std::size_t> from = rng.sample(700, static_cast<std::size_t>(copies));
  for (std::size_t k = 0; k < from.size(); ++k) {
    for (Eigen::Index j = 0; j < 6; ++j)
      test(static_cast<Eigen::Index>(k), j) =
          train(static_cast<Eigen::Index>(from[k]), j) + static_cast<float>(0.001 * rng.normal());
  }
  PL_CHECK(data::write_npy(folder + "/train.npy", train));
  PL_CHECK(data::write_npy(folder + "/test.npy", test));
  return write_fixture_manifest(
      folder, rng.below(1000000), "[data.train]\nmatrix = \"train.npy\"\n\n[data.test]\nmatrix = \"test.npy\"\n",
      "text = \"The test rows are new to the model.\"\ncheck = \"methodology.leakage\"\nmetric = \"near_share\"\n"
      "where = {data = \"test\"}\nat_most = 0.05\nconfidence = 0.95");
}

}  // namespace

check::Entry leakage() {
  return {
      .info = facts(),
      .plan = plan,
      .run = run,
      .run_shard = {},
      .finish = {},
      .fixtures = {.defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 30); },
                   .control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0); },
                   .defect_words = "30 of 300 test rows are train rows with a thousandth of a deviation of noise",
                   .control_words = "train and test are drawn from one law, apart from each other",
                   .false_alarm_level = 0.05,
                   .cost_ms = 50}};
}

}  // namespace plumbline::checks::methodology

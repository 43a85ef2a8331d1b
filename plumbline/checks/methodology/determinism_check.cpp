#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/methodology/determinism.hpp"

namespace plumbline::checks::methodology {
namespace {

namespace method = plumbline::methodology;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "methodology.determinism";
  facts.title = "Determinism";
  facts.question = "Does the model give the same answer to the same input again?";
  facts.row = "M6";
  facts.needs = {"a model that runs, or stored predictions of two runs of one model", "a test set"};
  facts.params = {
      {"rows", std::int64_t{512}, 2.0, 1000000.0, {}, "test rows drawn at random and predicted again"},
      {"against",
       std::string(),
       {},
       {},
       {},
       "a second model entry that holds another run of the same model (other process, machine, thread count)"}};
  facts.yields = {{"flip_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "rows whose answer changes in some repetition",
                   {"variant"},
                   {{"variant", "any"}}},
                  {"max_ulp",
                   "float32 steps",
                   Direction::kLowerIsBetter,
                   "largest distance of an output from its repetition, in float32 values between them",
                   {"variant"},
                   {{"variant", "any"}}}};
  facts.assumptions = {"figures are about these rows and these repetitions"};
  facts.sources = {"Goldberg 1991, \"What every computer scientist should know about floating-point arithmetic\""};
  facts.cost = "four passes over the rows";
  facts.code = "1";
  return facts;
}

bool predicts(const check::ModelFacts& model, const std::string& set) {
  return model.runs || std::find(model.stored_for.begin(), model.stored_for.end(), set) != model.stored_for.end();
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params& params) {
  check::Plan plan;
  const std::string& against = params.text("against");
  const auto other = blueprint.models.find(against);
  if (!against.empty() && other == blueprint.models.end()) {
    plan.not_applicable = fmt::format("parameter 'against' names '{}', which the manifest does not have", against);
    return plan;
  }
  std::string reason = "the manifest names no model";
  const auto sets = blueprint.sets_with_role(data::Role::kTest);
  if (sets.empty()) reason = "there is no set of role test";
  for (const auto& [name, model] : blueprint.models) {
    if (name == against) continue;
    for (const std::string& set : sets) {
      const bool compared = !against.empty() && predicts(model, set) && predicts(other->second, set);
      if (!model.runs && !compared) {
        reason = fmt::format("'{}' is known by stored predictions only; name another run of it as 'against'", name);
        continue;
      }
      check::Task task;
      task.subject = fmt::format("{}@{}", name, set);
      task.model = name;
      task.data = set;
      if (compared) task.predictions = {{name, set}, {against, set}};
      task.cost_seconds = 0.1;
      plan.tasks.push_back(std::move(task));
    }
  }
  if (plan.tasks.empty()) plan.not_applicable = reason;
  return plan;
}

struct Variant {
  std::string name;
  std::string words;
  method::RunComparison found;
  std::vector<std::size_t> source_rows;  ///< of the compared rows
};

/// The model asked again in this process: the same batches, the rows backwards, batches of another size.
base::Result<std::vector<Variant>> repeat(check::Context& context, const std::vector<std::size_t>& rows) {
  const check::Task& task = context.task();
  PL_TRY(decision::Predictor* const predictor, context.predictor(task.model));
  PL_TRY(const MatrixF inputs, context.inputs(task.model, task.data, rows));
  decision::PredictOptions usual;
  usual.cancel = context.cancel();
  decision::PredictOptions narrow = usual;
  narrow.batch = 37;
  PL_TRY(const decision::Prediction first, predictor->predict(inputs, usual));
  PL_TRY(const decision::Prediction again, predictor->predict(inputs, usual));
  PL_TRY(const decision::Prediction backwards, predictor->predict(MatrixF(inputs.colwise().reverse()), usual));
  PL_TRY(const decision::Prediction smaller, predictor->predict(inputs, narrow));
  std::vector<Variant> variants;
  const auto add = [&](const std::string& name, const std::string& words, const MatrixD& outputs) -> base::Status {
    PL_TRY(const method::RunComparison found, method::compare_runs(first.outputs, outputs));
    variants.push_back({name, words, found, rows});
    return base::ok();
  };
  PL_CHECK(add("again", "asked again", again.outputs));
  PL_CHECK(add("order", "with the rows in the opposite order", MatrixD(backwards.outputs.colwise().reverse())));
  PL_CHECK(add("batch", "in batches of 37 instead of 256", smaller.outputs));
  return variants;
}

check::Finding finding_of(const Variant& variant, const std::string& data) {
  check::Finding finding;
  finding.id = "differs-" + variant.name;
  finding.severity = variant.found.flips > 0 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMinor;
  finding.title = fmt::format("{} of {} rows of {} differ {}, {} with another answer", variant.found.diverging,
                              variant.found.rows, data, variant.words, variant.found.flips);
  finding.detail =
      fmt::format("Outputs move by up to {:.3g}, {:.0f} float32 steps. First at row {}.", variant.found.max_difference,
                  variant.found.max_ulp, variant.source_rows[static_cast<std::size_t>(*variant.found.first_diverging)]);
  finding.next_step =
      variant.found.flips > 0 || variant.name == "again"
          ? "Look for a random layer left on, a clock or process seed, or state kept between calls."
          : "Rounding that depends on how rows are batched: fix the batch size where figures must repeat to the bit.";
  finding.data = data;
  const std::ptrdiff_t row = variant.found.first_flip.value_or(*variant.found.first_diverging);
  finding.rows = {variant.source_rows[static_cast<std::size_t>(row)]};
  finding.where = {{"variant", variant.name}};
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const check::Task& task = context.task();
  const std::string& against = params.text("against");
  const auto wanted = static_cast<std::size_t>(params.integer("rows"));
  PL_TRY(const data::DatasetPtr set, context.dataset(task.data));
  std::vector<Variant> variants;
  check::Output output;
  if (context.manifest().models.contains(task.model)) {
    const std::vector<std::size_t> rows = context.rng("rows").sample(set->rows(), std::min(wanted, set->rows()));
    PL_TRY(variants, repeat(context, rows));
    output.rows = fmt::format("{} of {} rows of {} predicted four times", rows.size(), set->rows(), task.data);
  }
  if (!task.predictions.empty()) {
    PL_TRY(const auto first, context.predictions(task.model, task.data));
    PL_TRY(const auto second, context.predictions(against, task.data));
    PL_TRY(const method::RunComparison found, method::compare_runs(first->outputs, second->outputs));
    std::vector<std::size_t> rows(set->rows());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    variants.push_back({"against", fmt::format("in the run '{}'", against), found, std::move(rows)});
    output.rows += fmt::format("{}all {} rows of {} compared with '{}'", output.rows.empty() ? "" : "; ", set->rows(),
                               task.data, against);
  }

  PL_TRY(const decision::PredictorInfo about, context.predictor_info(task.model));
  const bool answers = about.task == decision::Task::kClassification && about.outputs != 1;
  double worst_flips = 0;
  double worst_ulp = 0;
  double most_rows = 0;
  const auto add = [&](const std::string& variant, double flip_share, double ulp, double n) {
    const std::map<std::string, std::string> where = {{"data", task.data}, {"variant", variant}};
    if (answers) {
      output.evidence.push_back(
          check::make_evidence(facts, "flip_share", where, stats::exact(flip_share, n, "runs compared")));
    }
    output.evidence.push_back(check::make_evidence(facts, "max_ulp", where, stats::exact(ulp, n, "runs compared")));
  };
  for (const Variant& variant : variants) {
    const auto n = static_cast<double>(variant.found.rows);
    const double flips = static_cast<double>(variant.found.flips) / n;
    worst_flips = std::max(worst_flips, flips);
    worst_ulp = std::max(worst_ulp, variant.found.max_ulp);
    most_rows = std::max(most_rows, n);
    add(variant.name, flips, variant.found.max_ulp, n);
    if (variant.found.diverging > 0) output.findings.push_back(finding_of(variant, task.data));
  }
  add("any", worst_flips, worst_ulp, most_rows);
  return output;
}

/// Stored logits of two runs; in the second a tenth of the rows was drawn anew when `random`.
base::Status write(const std::string& folder, base::Rng& rng, bool random) {
  constexpr std::ptrdiff_t kRows = 400;
  constexpr std::ptrdiff_t kClasses = 4;
  MatrixF rows(kRows, 1);
  MatrixF first(kRows, kClasses);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.normal());
  for (std::ptrdiff_t i = 0; i < first.size(); ++i) first.data()[i] = static_cast<float>(rng.normal());
  MatrixF second = first;
  for (std::ptrdiff_t i = 0; random && i < kRows; ++i) {
    if (!rng.bernoulli(0.1)) continue;
    for (std::ptrdiff_t c = 0; c < kClasses; ++c) second(i, c) = static_cast<float>(rng.normal());
  }
  PL_CHECK(data::write_npy(folder + "/test.npy", rows));
  PL_CHECK(data::write_npy(folder + "/first.npy", first));
  PL_CHECK(data::write_npy(folder + "/second.npy", second));
  return write_fixture_manifest(
      folder, rng.below(1000000000),
      "[data.test]\nmatrix = \"test.npy\"\n\n"
      "[predictions.first]\nmodel = \"model\"\ndata = \"test\"\npath = \"first.npy\"\noutput = \"logits\"\n\n"
      "[predictions.second]\nmodel = \"again\"\ndata = \"test\"\npath = \"second.npy\"\noutput = \"logits\"\n\n"
      "[check.\"methodology.determinism\"]\nagainst = \"again\"\n",
      "text = \"Two runs of the model give the same answers.\"\ncheck = \"methodology.determinism\"\n"
      "metric = \"flip_share\"\nat_most = 0.005\npopulation = \"these\"");
}

}  // namespace

check::Entry determinism() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, true, false);
  entry.fixtures.defect_words =
      "two stored runs over 400 rows; in the second a tenth of the rows was answered at random (about 7.5 % flips)";
  entry.fixtures.control_words = "two stored runs that agree to the bit";
  return entry;
}

}  // namespace plumbline::checks::methodology

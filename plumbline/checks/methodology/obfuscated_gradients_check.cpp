#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/robustness/attacked_model.hpp"
#include "plumbline/checks/robustness/matrix_fixture.hpp"
#include "plumbline/checks/robustness/perturbed.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/robustness/attack/masking.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::checks::methodology {
namespace {

namespace method = plumbline::robustness;
using check::Context;
using check::Direction;
using check::Output;
using check::Params;

constexpr std::size_t kShard = 25;  ///< examples

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "methodology.obfuscated_gradients";
  facts.title = "Masked gradients";
  facts.question = "Does the model only seem robust because its gradients mislead the attack?";
  facts.row = "M7";
  facts.needs = {"a classifier as an ONNX file whose operators the proofs hold, rounding steps apart",
                 "a labelled test set of images, or a matrix"};
  facts.params = {
      {"norm", std::string("linf"), {}, {}, {"linf", "l2", "l1"}, "how the size of a perturbation is measured"},
      {"epsilon", 0.1, 1e-9, 1e9, {}, "radius at which attacks are compared, in units of the declared range"},
      {"sample", std::int64_t{60}, 10, 100000, {}, "test rows drawn at random and attacked"},
      {"steps", std::int64_t{20}, 5, 10000, {}, "of the attack with gradients"},
      {"queries", std::int64_t{300}, 10, 1000000, {}, "of the attack without"},
      {"noise", std::int64_t{200}, 10, 1000000, {}, "random perturbations of a row; 10000 for the checklist"},
      {"low", 0.0, -1e9, 1e9, {}, "least input of a matrix; equal to `high`: unbounded. Images use the model's range"},
      {"high", 0.0, -1e9, 1e9, {}, "largest input of a matrix"}};
  facts.yields = {{"masked_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "rows that are right as they stand and show at least one of the five signs",
                   {},
                   {}},
                  {"sign_share", "share", Direction::kLowerIsBetter, "the same for one sign", {"sign"}, {}},
                  {"flat_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "rows at which the gradient of the loss is exactly zero",
                   {},
                   {}},
                  {"varying_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "rows whose answer differs when the model is asked again: attacks on it need averages",
                   {},
                   {}}};
  facts.assumptions = {"test rows (or their units) are independent draws from the source"};
  facts.sources = {"Athalye, Carlini and Wagner 2018, section 3.1", "Carlini et al. 2019"};
  facts.cost = "sample x (10 x steps + queries + noise) forward and backward passes";
  facts.code = "1";
  return facts;
}

struct Scene {
  AttackedModel model;
  AttackedRows rows;
  method::Threat threat;
};

base::Status set_scene(Context& context, const Params& params, Scene& out) {
  const check::Task& task = context.task();
  PL_TRY(out.model, open_attacked(context, task.model, task.data, params.real("low"), params.real("high")));
  PL_TRY(out.rows, draw_attacked(context, out.model, static_cast<std::size_t>(params.integer("sample"))));
  PL_TRY(const method::Norm norm, method::parse_norm(params.text("norm")));
  out.threat = {norm, params.real("epsilon"), out.model.low, out.model.high, out.model.shape};
  return base::ok();
}

/// The model as a reader of its own gradient sees it: zero where it rounds.
class OwnGradient final : public method::Target {
 public:
  explicit OwnGradient(const method::Target& answers) : answers_(answers) {}
  std::size_t inputs() const override { return answers_.inputs(); }
  std::size_t classes() const override { return answers_.classes(); }
  bool concurrent() const override { return answers_.concurrent(); }
  base::Result<method::Pass> forward(std::span<const double> rows, std::size_t count,
                                     std::span<const base::Rng> noise) const override {
    return answers_.forward(rows, count, noise);
  }
  base::Result<std::vector<double>> backward(const method::Pass& pass, std::span<const double>) const override {
    return std::vector<double>(pass.count * inputs(), 0.0);
  }

 private:
  const method::Target& answers_;
};

nlohmann::json to_json(const method::Masking& masking) {
  nlohmann::json rows = nlohmann::json::array();
  for (const method::MaskedRow& row : masking.rows)
    rows.push_back(
        {{"id", row.id}, {"clean", row.clean}, {"shown", row.shown}, {"flat", row.flat_start}, {"varies", row.varies}});
  nlohmann::json trials = nlohmann::json::array();
  for (const method::MaskingTrial& trial : masking.trials)
    trials.push_back({{"name", trial.name}, {"found", trial.found}, {"tried", trial.tried}});
  return {{"rows", std::move(rows)}, {"trials", std::move(trials)}};
}

void add_json(const nlohmann::json& json, method::Masking& masking) {
  for (const nlohmann::json& row : json.at("rows")) {
    masking.rows.push_back({.id = row.at("id").get<std::uint64_t>(),
                            .clean = row.at("clean").get<bool>(),
                            .shown = row.at("shown").get<std::array<bool, method::kMaskingSigns>>(),
                            .flat_start = row.at("flat").get<bool>(),
                            .varies = row.at("varies").get<bool>()});
  }
  const nlohmann::json& trials = json.at("trials");
  if (masking.trials.empty()) masking.trials.resize(trials.size());
  for (std::size_t t = 0; t < trials.size(); ++t) {
    masking.trials[t].name = trials[t].at("name").get<std::string>();
    masking.trials[t].found += trials[t].at("found").get<std::size_t>();
    masking.trials[t].tried += trials[t].at("tried").get<std::size_t>();
  }
}

base::Result<std::string> run_shard(Context& context, const Params& params, std::size_t shard) {
  Scene scene;
  PL_CHECK(set_scene(context, params, scene));
  if (!scene.model.queries_only.empty()) {
    return base::make_error(
        base::Code::kUnsupported, "could not decide: the model has no gradient here. " + scene.model.queries_only,
        "methodology.obfuscated_gradients", "Give the model as ONNX with the operators that plumbline verify holds");
  }
  const std::size_t first = std::min(shard * kShard, scene.rows.cases.size());
  const std::size_t count = std::min(kShard, scene.rows.cases.size() - first);
  const auto cases = std::span<const method::AttackCase>(scene.rows.cases).subspan(first, count);
  method::AttackSetting setting{
      .target = scene.model.target.get(), .threat = &scene.threat, .cancel = context.cancel()};
  const method::MaskingOptions options{.steps = static_cast<int>(params.integer("steps")),
                                       .queries = static_cast<int>(params.integer("queries")),
                                       .noise = static_cast<int>(params.integer("noise"))};
  nlohmann::json out;
  if (scene.model.rounding.empty()) {
    PL_TRY(const method::Masking masking, method::find_masking(setting, cases, context.seed(), options));
    out["own"] = to_json(masking);
    return out.dump();
  }
  const OwnGradient own(*scene.model.answers);
  method::AttackSetting plain = setting;
  plain.target = &own;
  PL_TRY(const method::Masking masking, method::find_masking(plain, cases, context.seed(), options));
  PL_TRY(const method::Masking stand_in, method::find_masking(setting, cases, context.seed(), options));
  out["own"] = to_json(masking);
  out["stand_in"] = to_json(stand_in);
  return out.dump();
}

check::Artifact trial_bars(const method::Masking& own, const std::optional<method::Masking>& stand_in) {
  std::vector<std::string> label, series;
  std::vector<double> value, low, high;
  const auto add = [&](const method::Masking& masking, const std::string& name) -> base::Status {
    for (const method::MaskingTrial& trial : masking.trials) {
      if (trial.tried == 0) continue;
      PL_TRY(const stats::Estimate share, stats::clopper_pearson(trial.found, trial.tried));
      label.push_back(trial.name);
      series.push_back(name);
      value.push_back(share.value);
      low.push_back(share.low().value_or(std::nan("")));
      high.push_back(share.high().value_or(std::nan("")));
    }
    return base::ok();
  };
  (void)add(own, "own gradient");
  if (stand_in) (void)add(*stand_in, "stand-in's gradient");
  check::Artifact out;
  out.id = "success";
  out.kind = "bars";
  out.title = "Rows turned by each attack";
  out.caption =
      "Where gradients tell the truth, many steps turn at least what one step, queries or noise turn, more budget "
      "turns more, and the whole range turns all.";
  out.columns = {{"label", "", label}, {"value", "share", value}, {"low", "share", low}, {"high", "share", high}};
  if (stand_in) out.columns.push_back({"series", "", series});
  out.facts = {{"value_label", "share of right rows turned"}, {"level", "0.95"}};
  return out;
}

check::Artifact checklist_table(const std::set<method::Deed>& done) {
  std::vector<double> number;
  std::vector<std::string> state, part, text, how;
  for (const method::ChecklistItem& item : method::checklist(done)) {
    number.push_back(item.number);
    state.emplace_back(method::item_state_name(item.state));
    part.push_back(item.part);
    text.push_back(item.text);
    how.push_back(item.how);
  }
  check::Artifact out;
  out.id = "checklist";
  out.kind = "table";
  out.title = "The field's checklist: what was run";
  out.caption = "The 25 items of 'On evaluating adversarial robustness', what is missing first.";
  out.columns = {
      {"state", "", state}, {"item", "", number}, {"part", "", part}, {"asks for", "", text}, {"here", "", how}};
  return out;
}

base::Result<Output> finish(Context& context, const Params& params, std::span<const std::string> shards) {
  method::Masking own;
  std::optional<method::Masking> stand_in;
  for (const std::string& shard : shards) {
    const nlohmann::json json = nlohmann::json::parse(shard, nullptr, false);
    base::ensure(!json.is_discarded() && json.contains("own"), "a shard of obfuscated_gradients is not JSON");
    add_json(json.at("own"), own);
    if (!json.contains("stand_in")) continue;
    if (!stand_in) stand_in.emplace();
    add_json(json.at("stand_in"), *stand_in);
  }
  Scene scene;
  PL_CHECK(set_scene(context, params, scene));
  const check::CheckInfo facts = info();
  const std::string& data = context.task().data;
  PL_TRY(const data::DatasetPtr set, context.dataset(data));
  Output out;
  std::vector<std::size_t> kept;
  std::vector<int> units;
  for (std::size_t i = 0; i < own.rows.size(); ++i) {
    if (!own.rows[i].clean) continue;
    kept.push_back(i);
    if (!scene.rows.units.empty()) units.push_back(scene.rows.units[i]);
  }
  out.rows = fmt::format("{} of {} rows of {} attacked, {} of them right as they stand", own.rows.size(), set->rows(),
                         data, kept.size());
  if (kept.empty()) {
    out.notes.push_back("could not decide: the model is wrong on every row that was drawn");
    return out;
  }
  const auto share = [&](auto&& shown) -> base::Result<stats::Estimate> {
    std::vector<std::uint8_t> hits;
    for (const std::size_t i : kept) hits.push_back(shown(own.rows[i]) ? 1 : 0);
    PL_TRY(stats::Estimate estimate, stats::proportion(hits, units));
    return over_units(std::move(estimate), *set);
  };
  PL_TRY(stats::Estimate any, share([](const method::MaskedRow& row) { return row.any(); }));
  const double masked = any.value;
  out.evidence.push_back(check::make_evidence(facts, "masked_share", {{"data", data}}, std::move(any)));
  std::vector<std::string> seen;
  for (std::size_t s = 0; s < method::kMaskingSigns; ++s) {
    const auto sign = static_cast<method::MaskingSign>(s);
    PL_TRY(stats::Estimate one, share([&](const method::MaskedRow& row) { return row.shown[s]; }));
    if (one.value > 0)
      seen.push_back(fmt::format("{} ({})", method::masking_sign_words(sign), short_number(one.value)));
    out.evidence.push_back(check::make_evidence(
        facts, "sign_share", {{"data", data}, {"sign", std::string(method::masking_sign_name(sign))}}, std::move(one)));
  }
  PL_TRY(stats::Estimate flat, share([](const method::MaskedRow& row) { return row.flat_start; }));
  const double flat_share = flat.value;
  out.evidence.push_back(check::make_evidence(facts, "flat_share", {{"data", data}}, std::move(flat)));

  PL_TRY(stats::Estimate varying, share([](const method::MaskedRow& row) { return row.varies; }));
  if (varying.value > 0) {
    out.notes.push_back(
        fmt::format("the model answers {} of the rows differently when asked again: single gradients say little of it",
                    short_number(varying.value)));
  }
  out.evidence.push_back(check::make_evidence(facts, "varying_share", {{"data", data}}, std::move(varying)));

  if (masked > 0.05) {
    check::Finding finding;
    finding.id = "masked";
    finding.severity = masked > 0.2 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = fmt::format("Gradients mislead attacks on {} of the right rows of {}", short_number(masked), data);
    finding.detail =
        fmt::format("Signs: {}. The gradient is exactly zero on {}.", base::join_words(seen), short_number(flat_share));
    if (stand_in) {
      const method::MaskingTrial& broken = stand_in->trials[1];
      finding.detail += fmt::format(" The graph rounds ({}); with a stand-in's gradient {} of {} rows are turned.",
                                    base::join_words(scene.model.rounding), broken.found, broken.tried);
    }
    finding.next_step =
        "Do not quote robustness from gradient attacks on this model. Attack it with queries alone, with a "
        "differentiable "
        "stand-in for what has no gradient, and with averages over its randomness.";
    finding.data = data;
    for (const std::size_t i : kept) {
      if (own.rows[i].any() && finding.rows.size() < 100) finding.rows.push_back(scene.rows.rows[i]);
    }
    out.findings.push_back(std::move(finding));
  }
  using method::Deed;
  std::set<Deed> done = {Deed::kThreatStated,    Deed::kCleanAccuracy, Deed::kIterativeBeatsOneStep,
                         Deed::kHyperParameters, Deed::kPerExample,    Deed::kScoreAttack,
                         Deed::kNoise,           Deed::kMoreSteps,     Deed::kRestarts,
                         Deed::kUnboundedAttack};
  if (params.integer("noise") >= 10000) done.insert(Deed::kManyNoise);
  if (stand_in) done.insert(Deed::kStandIn);
  out.artifacts.push_back(checklist_table(done));
  out.artifacts.push_back(trial_bars(own, stand_in));
  return out;
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  return plan_perturbed(blueprint, /*with_graph=*/false, static_cast<std::size_t>(params.integer("sample")), kShard,
                        1e-4 * static_cast<double>(params.integer("steps") * 10 + params.integer("queries")));
}

/// Two clusters apart in the mean of four numbers. The blind network reads them through steep steps (sigmoids of slope
/// 1e6 at four thresholds a number): the same answers, and no gradient in double.
base::Status write_fixture(const std::string& folder, base::Rng& rng, bool blind) {
  constexpr std::ptrdiff_t kRows = 60;
  constexpr std::int64_t kInputs = 4;
  constexpr std::int64_t kSteps = 4;
  MatrixD rows(kRows, kInputs);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    const int label = static_cast<int>(i % 2);
    for (std::ptrdiff_t j = 0; j < kInputs; ++j)
      rows(i, j) = std::clamp(0.5 + (label == 1 ? 0.12 : -0.12) + 0.03 * rng.normal(), 0.0, 1.0);
    labels.push_back(label);
  }
  std::vector<double> places;
  for (std::int64_t h = 0; h < kInputs * kSteps; ++h)
    places.push_back(0.35 + 0.1 * static_cast<double>(h % kSteps) + 0.004 * rng.normal());
  const graph::Graph model = step_reader(kInputs, places, blind ? 1e6 : 4);
  return write_matrix_fixture(folder, rng, model, rows, labels,
                              "[check.\"methodology.obfuscated_gradients\"]\nepsilon = 0.2\nhigh = 1.0\nsteps = 10\n"
                              "queries = 60\nnoise = 40\n",
                              "text = \"Gradients tell attacks the truth.\"\n"
                              "check = \"methodology.obfuscated_gradients\"\nmetric = \"masked_share\"\nat_most = 0.2");
}

}  // namespace

check::Entry obfuscated_gradients() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run_shard = run_shard;
  entry.finish = finish;
  entry.fixtures = planted(write_fixture, true, false);
  entry.fixtures.defect_words =
      "the network reads its inputs through steps of slope 1e6, whose gradient is zero in double (masked on nearly "
      "all rows)";
  entry.fixtures.control_words = "the same network with steps of slope 4";
  entry.fixtures.cost_ms = 300;
  return entry;
}

}  // namespace plumbline::checks::methodology

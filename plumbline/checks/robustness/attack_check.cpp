#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/robustness/attack_report.hpp"
#include "plumbline/checks/robustness/attacked_model.hpp"
#include "plumbline/checks/robustness/margin_picture.hpp"
#include "plumbline/checks/robustness/perturbed.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/robustness/attack/planted_witness.hpp"
#include "plumbline/robustness/attack/suite.hpp"
#include "plumbline/robustness/attack/transforms.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Output;
using check::Params;
namespace method = plumbline::robustness;

constexpr std::size_t kShard = 25;  ///< examples

check::CheckInfo facts() {
  check::CheckInfo info;
  info.id = "robustness.attack";
  info.title = "Accuracy under attack";
  info.question = "How many answers survive the strongest attack found within a stated distance?";
  info.row = "R7";
  info.needs = {"a classifier that runs (an ONNX file for attacks with gradients, else attacks by queries)",
                "a labelled test set of images, or a matrix"};
  info.params = {
      {"norm", std::string("linf"), {}, {}, {"linf", "l2", "l1"}, "how the size of a perturbation is measured"},
      {"epsilon", 0.1, 1e-9, 1e9, {}, "largest perturbation, in units of the declared range"},
      {"sample", std::int64_t{100}, 10, 100000, {}, "test rows drawn at random and attacked"},
      {"effort",
       std::string("standard"),
       {},
       {},
       {"quick", "standard", "thorough"},
       "which attacks run, and for how long: see the page"},
      {"attacks", std::vector<std::string>{}, {}, {}, {}, "names of attacks instead of those of `effort`, in order"},
      {"witnesses", std::int64_t{10}, 0, 1000, {}, "rows on which the attacks must find a planted misclassified input"},
      {"changes", true, {}, {}, {}, "images, effort above quick: also rotation and translation, colour, a patch"},
      {"low", 0.0, -1e9, 1e9, {}, "least input of a matrix; equal to `high`: unbounded. Images use the model's range"},
      {"high", 0.0, -1e9, 1e9, {}, "largest input of a matrix"}};
  info.yields = {{"robust_accuracy",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "share that is right and that no attack found a way to turn, at `epsilon`",
                  {},
                  {}},
                 {"accuracy_at",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "the same at a quarter, a half and twice of `epsilon`, by the smallest perturbations found",
                  {"epsilon"},
                  {}},
                 {"accuracy_under",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "share that no change of another kind turned: spatial, colour or patch",
                  {"change"},
                  {}},
                 {"clean_accuracy",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "share that is right without an attack, same rows",
                  {},
                  {}},
                 {"witnesses_found",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "planted misclassified inputs that the attacks found",
                  {},
                  {}}};
  info.assumptions = {"test rows (or their units) are independent draws from the source",
                      "an upper bound on the true robust accuracy: a stronger attack may find more"};
  info.sources = {"Croce and Hein 2020", "Carlini et al. 2019", "Zimmermann et al. 2022"};
  info.cost = "sample x (thousands of forward and backward passes), by effort";
  info.code = "1";
  return info;
}

/// The attacks of an effort, cheapest first. Without gradients those that need none.
base::Result<std::vector<method::Attack>> suite_of(const Params& params, bool gradients) {
  using method::Loss;
  std::vector<method::Attack> out;
  for (const std::string& name : params.texts("attacks")) {
    PL_TRY(method::Attack attack, method::attack_by_name(name));
    if (!gradients && attack.needs_gradient()) {
      return base::make_error(
          base::Code::kUnsupported, fmt::format("the attack '{}' needs gradients, and the model has none here", name),
          "robustness.attack", "Leave it out, or give the model as ONNX with operators that are held");
    }
    out.push_back(std::move(attack));
  }
  if (!out.empty()) return out;
  const std::string& effort = params.text("effort");
  const int level = effort == "quick" ? 0 : effort == "standard" ? 1 : 2;
  const int queries = level == 0 ? 100 : level == 1 ? 1000 : 5000;
  out.push_back(method::random_noise(level == 0 ? 20 : 100));
  if (gradients) {
    out.push_back(method::fgsm());
    out.push_back(method::apgd({.loss = Loss::kCrossEntropy, .steps = level == 0 ? 20 : 100}));
    if (level > 0) out.push_back(method::apgd({.loss = Loss::kDlr, .steps = 100}));
    out.push_back(method::apgd({.loss = Loss::kDlr,
                                .targeted = true,
                                .targets = 9,
                                .steps = level == 0   ? 10
                                         : level == 1 ? 30
                                                      : 100}));
    out.push_back(method::fab(level == 0 ? 10 : level == 1 ? 30 : 100));
    if (level > 0) out.push_back(method::diversified(level == 1 ? 25 : 200, level == 1 ? 40 : 60));
    if (level > 1) out.push_back(method::deepfool());
    if (level > 1 && params.text("norm") == "l2") out.push_back(method::carlini_wagner());
  }
  if (params.text("norm") != "l1") out.push_back(method::square(queries));
  if (!gradients || params.text("norm") == "l1") out.push_back(method::spsa(level == 0 ? 5 : 20));
  if (!gradients || level > 1) {
    out.push_back(method::hop_skip_jump(queries));
    out.push_back(method::boundary(queries));
  }
  return out;
}

/// What shards and the end share.
struct Scene {
  AttackedModel model;
  AttackedRows rows;
  method::Threat threat;
  std::vector<method::Attack> attacks;
  method::AttackSetting setting;
};

base::Status set_scene(Context& context, const Params& params, Scene& out) {
  const check::Task& task = context.task();
  PL_TRY(out.model, open_attacked(context, task.model, task.data, params.real("low"), params.real("high")));
  PL_TRY(out.rows, draw_attacked(context, out.model, static_cast<std::size_t>(params.integer("sample"))));
  PL_TRY(const method::Norm norm, method::parse_norm(params.text("norm")));
  out.threat = {norm, params.real("epsilon"), out.model.low, out.model.high, out.model.shape};
  PL_TRY(out.attacks, suite_of(params, out.model.target->has_gradient()));
  out.setting = {.target = out.model.target.get(),
                 .threat = &out.threat,
                 .pool = std::span<const double>(out.rows.x)
                             .first(std::min<std::size_t>(out.rows.rows.size(), 50) * out.model.target->inputs()),
                 .confidence = 0,
                 .cancel = context.cancel()};
  return method::check_setting(out.setting, out.rows.cases);
}

/// Success must be clear of float32's rounding: a hundred-thousandth of the largest score.
base::Result<double> clear_margin(const Scene& scene) {
  double most = 0;
  const std::size_t n = scene.model.target->inputs();
  for (std::size_t first = 0; first < scene.rows.cases.size(); first += kShard) {
    const std::size_t count = std::min(kShard, scene.rows.cases.size() - first);
    PL_TRY(const method::Pass pass,
           scene.model.target->forward(std::span(scene.rows.x).subspan(first * n, count * n), count, {}));
    for (const double z : pass.scores) most = std::max(most, std::abs(z));
  }
  return std::isfinite(most) ? 1e-5 * most : 0.0;
}

/// Changes of other kinds, sized by the picture: 30 degrees and a tenth of the side; 0.3 in scale and shift; a patch of
/// a sixth of the side.
std::vector<method::Attack> changes_of(const Params& params, const Scene& scene) {
  if (!params.flag("changes") || params.text("effort") == "quick" || scene.model.shape.height == 1) return {};
  const auto side = static_cast<double>(std::min(scene.model.shape.height, scene.model.shape.width));
  return {method::spatial({.degrees = 30, .pixels = std::round(0.1 * side)}),
          method::colour({.scale = 0.3, .shift = 0.3}),
          method::patch({.side = std::max<std::size_t>(1, static_cast<std::size_t>(side / 6))})};
}

/// The same range with a radius that covers it: what other kinds of change are held to.
method::Threat whole_range(method::Threat threat) {
  threat.norm = method::Norm::kLinf;
  threat.epsilon = 0;
  for (std::size_t i = 0; i < threat.low.size(); ++i)
    threat.epsilon = std::max(threat.epsilon, threat.high[i] - threat.low[i]);
  return threat;
}

base::Result<std::string> run_shard(Context& context, const Params& params, std::size_t shard) {
  Scene scene;
  PL_CHECK(set_scene(context, params, scene));
  PL_TRY(scene.setting.confidence, clear_margin(scene));
  const std::size_t first = std::min(shard * kShard, scene.rows.cases.size());
  const std::size_t count = std::min(kShard, scene.rows.cases.size() - first);
  const auto cases = std::span<const method::AttackCase>(scene.rows.cases).subspan(first, count);
  std::vector<method::ExampleRecord> records;
  PL_CHECK(method::run_suite(scene.setting, cases, scene.attacks, context.seed(), {}, records, &context.progress()));

  // The unit test, on the first of the rows that are right as they stand.
  const auto wanted = static_cast<std::size_t>(params.integer("witnesses"));
  std::vector<method::AttackCase> tested;
  std::vector<double> margins;
  for (std::size_t i = 0; i < count && first + i < wanted; ++i) {
    if (!records[i].clean()) continue;
    tested.push_back(cases[i]);
    margins.push_back(records[i].clean_margin);
  }
  nlohmann::json out;
  out["witnesses"] = nlohmann::json::array();
  if (!tested.empty()) {
    PL_TRY(const auto results, method::test_attacks(*scene.model.feature_target, scene.setting, tested, margins,
                                                    scene.attacks, context.seed()));
    for (const method::WitnessResult& r : results) {
      out["witnesses"].push_back(
          {{"id", r.id}, {"planted", r.planted}, {"found", r.found}, {"noise", r.by_noise}, {"by", r.by}});
    }
  }
  out["records"] = method::write_records(records);
  out["changes"] = nlohmann::json::object();
  for (const method::Attack& change : changes_of(params, scene)) {
    const method::Threat whole = whole_range(scene.threat);
    method::AttackSetting setting = scene.setting;
    setting.threat = &whole;
    std::vector<method::ExampleRecord> changed;
    PL_CHECK(
        method::run_suite(setting, cases, std::span(&change, 1), context.seed(), {}, changed, &context.progress()));
    out["changes"][change.name] = method::write_records(changed);
  }
  return out.dump();
}

struct Collected {
  std::vector<method::ExampleRecord> records;
  std::vector<method::WitnessResult> witnesses;
  std::map<std::string, std::vector<method::ExampleRecord>> changes;
};

base::Result<Collected> collect(std::span<const std::string> shards) {
  Collected out;
  for (const std::string& shard : shards) {
    const nlohmann::json json = nlohmann::json::parse(shard, nullptr, false);
    base::ensure(!json.is_discarded() && json.contains("records"), "a shard of robustness.attack is not JSON");
    PL_TRY(auto records, method::read_records(json.at("records").get<std::string>()));
    std::move(records.begin(), records.end(), std::back_inserter(out.records));
    for (const auto& [name, text] : json.at("changes").items()) {
      PL_TRY(auto changed, method::read_records(text.get<std::string>()));
      auto& all = out.changes[name];
      std::move(changed.begin(), changed.end(), std::back_inserter(all));
    }
    for (const nlohmann::json& w : json.at("witnesses")) {
      out.witnesses.push_back({.id = w.at("id").get<std::uint64_t>(),
                               .planted = w.at("planted").get<bool>(),
                               .found = w.at("found").get<bool>(),
                               .by_noise = w.at("noise").get<bool>(),
                               .by = w.at("by").get<std::string>()});
    }
  }
  return out;
}

/// What the model itself, in float32, does not confirm is taken back.
base::Result<std::size_t> confirm(const AttackedModel& model, const AttackedRows& rows,
                                  std::vector<method::ExampleRecord>& records) {
  std::vector<double> found;
  std::vector<int> labels;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].x.empty()) continue;
    found.insert(found.end(), records[i].x.begin(), records[i].x.end());
    labels.push_back(rows.labels[i]);
    of.push_back(i);
  }
  PL_TRY(const std::vector<char> wrong, misclassified(model, found, labels));
  std::size_t refused = 0;
  for (std::size_t r = 0; r < of.size(); ++r) {
    if (wrong[r] != 0) continue;
    records[of[r]].size = std::numeric_limits<double>::infinity();
    ++refused;
  }
  return refused;
}

/// Figures and bars of changes of other kinds. No witness is planted for them, so they have no lower bound.
base::Status add_changes(const Scene& scene, const std::vector<char>& wrong, const data::Dataset& set,
                         const std::string& data, std::map<std::string, std::vector<method::ExampleRecord>>& changes,
                         Output& out) {
  std::vector<std::string> label;
  std::vector<double> value, high;
  for (auto& [name, records] : changes) {
    PL_TRY([[maybe_unused]] const std::size_t refused, confirm(scene.model, scene.rows, records));
    std::vector<std::uint8_t> right;
    for (std::size_t i = 0; i < records.size(); ++i)
      right.push_back(wrong[i] == 0 && !std::isfinite(records[i].size) ? 1 : 0);
    PL_TRY(stats::Estimate estimate, stats::proportion(right, scene.rows.units));
    estimate.bounds.lower.fill(std::nullopt);
    estimate.warnings.emplace_back("no lower bound: no witness is planted for this kind of change");
    label.push_back(name);
    value.push_back(estimate.value);
    high.push_back(estimate.high().value_or(std::nan("")));
    out.evidence.push_back(check::make_evidence(facts(), "accuracy_under", {{"data", data}, {"change", name}},
                                                over_units(std::move(estimate), set)));
  }
  if (label.empty()) return base::ok();
  check::Artifact bars;
  bars.id = "other-changes";
  bars.kind = "bars";
  bars.title = fmt::format("Accuracy under changes of other kinds, {}", data);
  bars.caption = "Upper bounds: share of rows that no rotation with translation, no colour change, no patch turned.";
  bars.columns = {{"label", "", label},
                  {"value", "share", value},
                  {"low", "share", std::vector<double>(value.size(), 0.0)},
                  {"high", "share", high}};
  bars.facts = {{"value_label", "accuracy"}, {"level", "0.95"}};
  out.artifacts.push_back(std::move(bars));
  return base::ok();
}

base::Result<Output> finish(Context& context, const Params& params, std::span<const std::string> shards) {
  Scene scene;
  PL_CHECK(set_scene(context, params, scene));
  PL_TRY(Collected all, collect(shards));
  std::vector<method::ExampleRecord>& records = all.records;
  base::ensure(records.size() == scene.rows.rows.size(), "robustness.attack needs every shard");
  const check::CheckInfo info = facts();
  const std::string& data = context.task().data;
  const double epsilon = scene.threat.epsilon;
  Output out;
  PL_TRY(const std::size_t refused, confirm(scene.model, scene.rows, records));
  PL_TRY(const std::vector<char> wrong, misclassified(scene.model, scene.rows.x, scene.rows.labels));
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (wrong[i] != 0) records[i].size = 0;
  }
  const method::WitnessVerdict tested = method::judge_witnesses(all.witnesses);

  PL_TRY(const data::DatasetPtr set, context.dataset(data));
  method::RadiusSeries series{"attacked (upper bound)", method::CurveSide::kAttacked, {}};
  for (const method::ExampleRecord& record : records) series.radius.push_back(record.size);
  // Nothing that an attack leaves standing counts as robust while the attack is not known to work.
  const auto guarded = [&](stats::Estimate estimate) {
    estimate = over_units(std::move(estimate), *set);
    estimate.method += fmt::format(", {} attacks", scene.attacks.size());
    if (tested.passed) return estimate;
    estimate.bounds.lower.fill(std::nullopt);
    estimate.warnings.push_back(
        fmt::format("no lower bound: the attacks found {} of {} planted witnesses", tested.found, tested.planted));
    return estimate;
  };
  std::vector<double> grid;
  for (int step = 0; step <= 24; ++step) grid.push_back(epsilon * step / 12);
  PL_TRY(const auto curve, method::accuracy_curve(series, grid, scene.rows.units));
  PL_TRY(auto figures,
         method::accuracy_curve(series, std::vector<double>{0, epsilon, 0.25 * epsilon, 0.5 * epsilon, 2 * epsilon},
                                scene.rows.units));
  const double clean = figures[0].accuracy.value;
  const double robust = figures[1].accuracy.value;
  out.evidence.push_back(check::make_evidence(info, "robust_accuracy", {{"data", data}}, guarded(figures[1].accuracy)));
  for (std::size_t i = 2; i < figures.size(); ++i) {
    out.evidence.push_back(check::make_evidence(
        info, "accuracy_at", {{"data", data}, {"epsilon", number(figures[i].epsilon)}}, guarded(figures[i].accuracy)));
  }
  out.evidence.push_back(
      check::make_evidence(info, "clean_accuracy", {{"data", data}}, over_units(figures[0].accuracy, *set)));
  if (tested.planted > 0) {
    PL_TRY(stats::Estimate found, stats::clopper_pearson(tested.found, tested.planted));
    found.unit_of_sampling = "planted witness";
    out.evidence.push_back(check::make_evidence(info, "witnesses_found", {{"data", data}}, std::move(found)));
  }

  PL_CHECK(add_changes(scene, wrong, *set, data, all.changes, out));

  const std::string threat = fmt::format("{} {}", params.text("norm"), number(epsilon));
  check::Artifact picture = margin_picture("accuracy-against-epsilon", fmt::format("Accuracy under attack, {}", data),
                                           params.text("norm"), curve, epsilon);
  picture.facts["witnesses found"] = fmt::format("{} of {}; {} of the {} that noise does not find", tested.found,
                                                 tested.planted, tested.found_hard, tested.hard);
  out.artifacts.push_back(std::move(picture));
  out.artifacts.push_back(budget_picture(records));
  out.artifacts.push_back(ledger_table(method::budget_ledger(records, scene.attacks), scene.attacks));
  PL_TRY(auto images, attacked_gallery(context, scene.model, scene.rows, scene.threat, records));
  if (images) out.artifacts.push_back(std::move(*images));
  if (robust < clean) out.findings.push_back(fallen_rows(records, scene.rows, data, threat, epsilon, clean, robust));

  out.rows = fmt::format("{} of {} rows of {} attacked; {} planted witnesses", records.size(), set->rows(), data,
                         tested.planted);
  if (!scene.model.queries_only.empty())
    out.notes.push_back("attacked by queries alone, without gradients: " + scene.model.queries_only);
  if (!scene.model.rounding.empty()) {
    out.notes.push_back(fmt::format("gradients are those of a stand-in without {}, since rounding has none",
                                    base::join_words(scene.model.rounding)));
  }
  if (!tested.passed) {
    out.notes.push_back(fmt::format(
        "could not decide how much survives: the attacks found {} of {} planted witnesses, and {} of the {} that noise "
        "does not find ({} could not be planted); below nine in ten, what they leave standing has no lower bound",
        tested.found, tested.planted, tested.found_hard, tested.hard, all.witnesses.size() - tested.planted));
  }
  if (refused > 0) {
    out.notes.push_back(
        fmt::format("{} successes in double were not ones for the model itself and were taken back", refused));
  }
  return out;
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  const std::string& effort = params.text("effort");
  return plan_perturbed(blueprint, /*with_graph=*/false, static_cast<std::size_t>(params.integer("sample")), kShard,
                        effort == "quick"      ? 0.02
                        : effort == "standard" ? 0.5
                                               : 3);
}

}  // namespace

check::Entry attack() {
  check::Entry entry;
  entry.info = facts();
  entry.plan = plan;
  entry.run_shard = run_shard;
  entry.finish = finish;
  entry.fixtures = planted(write_attack_fixture, true, false);
  entry.fixtures.defect_words =
      "the network reads a number that tells the classes apart by 0.02: accuracy 1 as it stands, 0 at Linf 0.1";
  entry.fixtures.control_words = "the network reads a number that tells the classes apart by 0.3 or more";
  entry.fixtures.cost_ms = 400;
  return entry;
}

}  // namespace plumbline::checks

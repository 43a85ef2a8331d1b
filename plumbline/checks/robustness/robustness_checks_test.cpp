// The adapters on their own fixtures, through the readers and a plain context: one session, no runner.

#include <algorithm>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/catalog.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/predict/open.hpp"
#include "plumbline/robustness/corruption.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks {

check::Entry ood();
check::Entry drift();
check::Entry corruption();

namespace {

using ::testing::HasSubstr;

class PlainContext : public check::Context {
 public:
  PlainContext(data::Manifest manifest, check::Task task) : manifest_(std::move(manifest)), task_(std::move(task)) {}
  const data::Manifest& manifest() const override { return manifest_; }
  const check::Task& task() const override { return task_; }
  base::Result<data::DatasetPtr> dataset(const std::string& name) override { return data::load_dataset(manifest_, name); }
  base::Result<std::shared_ptr<const decision::Prediction>> predictions(const std::string& model, const std::string& data, bool) override {
    auto prediction = std::make_shared<decision::Prediction>();
    for (const auto& [section, facts] : manifest_.predictions) {
      if (facts.model != model || facts.data != data) continue;
      PL_TRY(prediction->outputs, data::load_predictions(manifest_, section));
      return std::shared_ptr<const decision::Prediction>(prediction);
    }
    PL_TRY(const auto set, dataset(data));
    std::vector<std::size_t> every(set->rows());
    std::iota(every.begin(), every.end(), std::size_t{0});
    PL_TRY(const MatrixF rows, inputs(model, data, every));
    PL_TRY(decision::Predictor * opened, predictor(model));
    PL_TRY(*prediction, opened->predict(rows, {}));
    return std::shared_ptr<const decision::Prediction>(prediction);
  }
  base::Result<decision::PredictorInfo> predictor_info(const std::string& model) override {
    decision::PredictorInfo info;
    for (const auto& [section, facts] : manifest_.predictions) {
      if (facts.model != model) continue;
      PL_TRY(info.output, decision::parse_output(facts.output));
    }
    return info;
  }
  base::Result<decision::Predictor*> predictor(const std::string& model) override {
    if (!predictor_) {
      PL_TRY(predictor_, predict::open_predictor(manifest_.models.at(model)));
    }
    return predictor_.get();
  }
  base::Result<MatrixF> inputs(const std::string& model, const std::string& data, std::span<const std::size_t> rows) override {
    PL_TRY(const auto set, dataset(data));
    const auto section = manifest_.models.find(model);
    return data::encode(*set, rows, section == manifest_.models.end() ? data::InputSpec{} : section->second.input);
  }
  base::Result<std::shared_ptr<const MatrixF>> features(const std::string& model, const std::string& data) override {
    PL_TRY(const auto set, dataset(data));
    std::vector<std::size_t> every(set->rows());
    std::iota(every.begin(), every.end(), std::size_t{0});
    PL_TRY(MatrixF rows, inputs(model, data, every));
    return std::shared_ptr<const MatrixF>(std::make_shared<MatrixF>(std::move(rows)));
  }
  base::Rng rng(std::string_view purpose) override { return base::Rng(manifest_.seed, {purpose}); }
  std::uint64_t seed() const override { return manifest_.seed; }
  const base::CancelToken& cancel() const override { return cancel_; }
  base::Progress& progress() override { return base::no_progress(); }
  std::string examples_policy(const std::string&) override { return "full"; }

 private:
  data::Manifest manifest_;
  check::Task task_;
  decision::PredictorPtr predictor_;
  base::CancelToken cancel_;
};

check::Blueprint blueprint_of(const data::Manifest& manifest) {
  check::Blueprint blueprint;
  blueprint.manifest = &manifest;
  for (const auto& [name, section] : manifest.data) blueprint.data[name] = data::peek_dataset(manifest, name).value();
  for (const auto& [name, section] : manifest.models) {
    blueprint.models[name].name = name;
    blueprint.models[name].output = section.output;
    blueprint.models[name].task = section.task;
  }
  for (const auto& [name, section] : manifest.predictions) {
    check::ModelFacts& facts = blueprint.models[section.model];
    facts.name = section.model;
    facts.output = section.output;
    facts.runs = false;
    facts.stored_for.push_back(section.data);
  }
  return blueprint;
}

base::Result<check::Output> run_first_task(const check::Entry& entry, const data::Manifest& manifest, std::map<std::string, check::ParamValue> given = {}) {
  const auto declared = manifest.check_params.find(entry.info.id);
  if (declared != manifest.check_params.end()) {
    for (const auto& [name, value] : declared->second) {
      if (const auto* integer = std::get_if<std::int64_t>(&value)) given.emplace(name, *integer);
    }
  }
  PL_TRY(const check::Params params, check::resolve_params(entry.info, given));
  const check::Plan plan = entry.plan(blueprint_of(manifest), params);
  if (plan.tasks.empty()) return base::make_error(base::Code::kUnsupported, plan.not_applicable);
  PlainContext context(manifest, plan.tasks.front());
  if (plan.tasks.front().shards == 1) return entry.run(context, params);
  std::vector<std::string> shards;
  for (std::size_t i = 0; i < plan.tasks.front().shards; ++i) {
    PL_TRY(std::string shard, entry.run_shard(context, params, i));
    shards.push_back(std::move(shard));
  }
  return entry.finish(context, params, shards);
}

/// The figure that a claim without further `where` means.
const check::Evidence* figure(const check::Entry& entry, const check::Output& output, const data::ClaimSection& claim) {
  std::map<std::string, std::string> where = claim.where;
  for (const check::MetricSpec& metric : entry.info.yields) {
    if (metric.name == claim.metric) where.insert(metric.where_default.begin(), metric.where_default.end());
  }
  for (const check::Evidence& e : output.evidence) {
    if (e.metric != claim.metric) continue;
    std::map<std::string, std::string> rest = e.where;
    bool matches = true;
    for (const auto& [key, value] : where) {
      matches = matches && rest.contains(key) && rest.at(key) == value;
      rest.erase(key);
    }
    rest.erase("data");
    if (matches && rest.empty()) return &e;
  }
  return nullptr;
}

enum class Verdict { kSupported, kRefuted, kUndetermined };

Verdict judge(const check::Entry& entry, bool defect, std::uint64_t seed) {
  testing::TempFolder folder;
  base::Rng rng(seed, {entry.info.id, defect ? "defect" : "control"});
  const base::Status written = (defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng);
  EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().text());
  const auto manifest = data::read_manifest(folder.file("system.toml"));
  EXPECT_TRUE(manifest.ok()) << manifest.error().text();
  const auto output = run_first_task(entry, *manifest);
  EXPECT_TRUE(output.ok()) << output.error().text();
  const data::ClaimSection& claim = manifest->claims.at(0);
  const check::Evidence* evidence = figure(entry, *output, claim);
  EXPECT_NE(evidence, nullptr);
  if (evidence == nullptr) return Verdict::kUndetermined;
  constexpr std::size_t kRung = 2;  // 0.95
  const auto& bounds = evidence->estimate.bounds;
  if (claim.at_most) {
    if (bounds.upper[kRung] && *bounds.upper[kRung] <= *claim.at_most) return Verdict::kSupported;
    return bounds.lower[kRung] && *bounds.lower[kRung] > *claim.at_most ? Verdict::kRefuted : Verdict::kUndetermined;
  }
  if (bounds.lower[kRung] && *bounds.lower[kRung] >= *claim.at_least) return Verdict::kSupported;
  return bounds.upper[kRung] && *bounds.upper[kRung] < *claim.at_least ? Verdict::kRefuted : Verdict::kUndetermined;
}

// Ten pairs of each check. A check whose power or support were 0.9 would pass all twenty one time in eight; the published
// rates come from 400 pairs through the runner.
TEST(RobustnessFixtures, DefectsAreRefutedAndControlsSupported) {
  for (const check::Entry& entry : {ood(), drift(), corruption()}) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      EXPECT_EQ(judge(entry, true, seed), Verdict::kRefuted) << entry.info.id << " defect " << seed;
      EXPECT_EQ(judge(entry, false, seed), Verdict::kSupported) << entry.info.id << " control " << seed;
    }
  }
}

data::Manifest written(const check::Entry& entry, bool defect, const testing::TempFolder& folder, const std::string& more = "") {
  base::Rng rng(3, {"written"});
  EXPECT_TRUE((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng).ok());
  testing::write_file(folder.file("system.toml"), testing::read_file(folder.file("system.toml")) + more);
  return data::read_manifest(folder.file("system.toml")).value();
}

int count_metric(const check::Output& output, const std::string& metric) {
  return static_cast<int>(std::count_if(output.evidence.begin(), output.evidence.end(), [&](const check::Evidence& e) { return e.metric == metric; }));
}

TEST(OodCheck, EveryDetectorWithPValuesPicturesAndFindings) {
  testing::TempFolder folder;
  const data::Manifest manifest = written(ood(), true, folder);
  const auto output = run_first_task(ood(), manifest).value();
  EXPECT_EQ(count_metric(output, "auroc"), 7);
  EXPECT_EQ(count_metric(output, "fpr95"), 7);
  EXPECT_EQ(count_metric(output, "false_alarm_rate"), 7);
  EXPECT_EQ(count_metric(output, "detection_rate"), 7);
  for (const check::Evidence& e : output.evidence) {
    if (e.metric == "false_alarm_rate") {
      EXPECT_LE(*e.estimate.low(), 0.12) << e.where.at("detector");
    }
  }
  ASSERT_FALSE(output.findings.empty());  // the defect is the training law itself: nothing can be recognised
  EXPECT_THAT(output.findings[0].title, HasSubstr("is accepted"));
  EXPECT_EQ(output.findings[0].rows.size(), 20U);
  std::set<std::string> kinds;
  for (const check::Artifact& a : output.artifacts) kinds.insert(a.kind);
  EXPECT_THAT(kinds, ::testing::ElementsAre("histogram", "roc"));
}

TEST(OodCheck, WithoutCalibrationAndWithScoresItSaysWhatIsMissing) {
  testing::TempFolder folder;
  (void)written(ood(), false, folder);
  std::string text = testing::read_file(folder.file("system.toml"));
  const auto drop = [&](const std::string& header) {
    const auto first = text.find(header);
    text.erase(first, text.find("\n\n", first) - first + 2);
  };
  drop("[data.calibration]");
  drop("[predictions.calibration]");
  for (auto at = text.find("\"logits\""); at != std::string::npos; at = text.find("\"logits\"")) text.replace(at, 8, "\"scores\"");
  testing::write_file(folder.file("system.toml"), text);
  const auto output = run_first_task(ood(), data::read_manifest(folder.file("system.toml")).value()).value();
  EXPECT_EQ(count_metric(output, "auroc"), 4);  // the four that read features
  EXPECT_EQ(count_metric(output, "false_alarm_rate"), 0);
  const std::string notes = ::testing::PrintToString(output.notes);
  EXPECT_THAT(notes, HasSubstr("p-values withheld"));
  EXPECT_THAT(notes, HasSubstr("max_softmax left out: outputs are scores"));
}

TEST(OodCheck, PlanNamesWhatIsMissing) {
  testing::TempFolder folder;
  const data::Manifest manifest = written(drift(), false, folder);
  const auto params = check::resolve_params(ood().info, {}).value();
  EXPECT_THAT(ood().plan(blueprint_of(manifest), params).not_applicable, HasSubstr("out-of-distribution"));
}

TEST(DriftCheck, NamesWhatMovedAndKeepsPValuesAboveZero) {
  testing::TempFolder folder;
  const data::Manifest manifest = written(drift(), true, folder);
  const auto output = run_first_task(drift(), manifest).value();
  EXPECT_EQ(count_metric(output, "p_value"), 4);
  for (const check::Evidence& e : output.evidence) {
    if (e.metric == "features_moved") {
      EXPECT_EQ(e.estimate.value, 3);
    }
    if (e.metric == "largest_shift") {
      EXPECT_NEAR(e.estimate.value, 0.6, 0.25);
    }
    if (e.metric == "p_value") {
      EXPECT_GT(e.estimate.value, 0);
    }
  }
  ASSERT_EQ(output.findings.size(), 1U);
  EXPECT_THAT(output.findings[0].title, HasSubstr("3 of 5 features of 'test' moved from 'train'"));
}

// The New South Wales electricity market: the first third against the rest. Its price and demand moved.
TEST(DriftCheck, ElectricityMarketMoved) {
  PL_NEEDS_DATA(path, "tabular/elec2.csv");
  testing::TempFolder folder;
  const std::string text = testing::read_file(path);
  std::size_t cut = 0;
  for (int line = 0; line < 15105; ++line) cut = text.find('\n', cut) + 1;
  const std::string header = text.substr(0, text.find('\n') + 1);
  testing::write_file(folder.file("early.csv"), text.substr(0, cut));
  testing::write_file(folder.file("late.csv"), header + text.substr(cut));
  const std::string label = header.substr(header.rfind(',') + 1, header.find_last_not_of("\r\n") - header.rfind(','));
  testing::write_file(folder.file("system.toml"), "[system]\nname = \"market\"\n[data.train]\ntable = \"early.csv\"\nlabel = \"" + label +
                                                      "\"\n[data.test]\ntable = \"late.csv\"\nlabel = \"" + label + "\"\n");
  const auto manifest = data::read_manifest(folder.file("system.toml"));
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const auto output = run_first_task(drift(), *manifest);
  ASSERT_TRUE(output.ok()) << output.error().text();
  for (const check::Evidence& e : output->evidence) {
    if (e.metric == "classifier_auroc") {
      EXPECT_GT(*e.estimate.low(), 0.6);
    }
    if (e.metric == "p_value" && e.where.at("test") == "any") {
      EXPECT_LE(e.estimate.value, 0.02);
    }
  }
}

TEST(CorruptionCheck, GridWorstFirstGalleryAndBaseline) {
  testing::TempFolder folder;
  const data::Manifest manifest = written(corruption(), true, folder);
  const auto output = run_first_task(corruption(), manifest).value();
  EXPECT_EQ(count_metric(output, "mean_corruption_error"), 1);
  EXPECT_EQ(count_metric(output, "corruption_error"), 15 * 6);
  double last = 2;
  for (const check::Evidence& e : output.evidence) {
    if (e.metric == "clean_error") {
      EXPECT_EQ(e.estimate.value, 0);
    }
    if (e.metric != "corruption_error" || e.where.contains("severity")) continue;
    EXPECT_LE(e.estimate.value, last + 1e-12);
    last = e.estimate.value;
  }
  ASSERT_EQ(output.artifacts.size(), 2U);
  EXPECT_EQ(output.artifacts[0].kind, "grid");
  EXPECT_EQ(output.artifacts[1].kind, "gallery");
  EXPECT_EQ(output.artifacts[1].bytes.substr(1, 3), "PNG");
  EXPECT_THAT(output.rows, HasSubstr("60 of 100 rows of test as base images"));
  // Against itself the paired ratio is 1 exactly, in every resample; so no bounds, and it says so.
  const auto compared = run_first_task(corruption(), manifest, {{"baseline", std::string("other")}});
  EXPECT_FALSE(compared.ok());  // 'other' is not a model
}

TEST(CorruptionCheck, StoredPredictionsAndTablesAreNotApplicable) {
  testing::TempFolder folder;
  const data::Manifest manifest = written(ood(), true, folder);
  const auto params = check::resolve_params(corruption().info, {}).value();
  EXPECT_THAT(corruption().plan(blueprint_of(manifest), params).not_applicable, HasSubstr("images"));
}

}  // namespace
}  // namespace plumbline::checks

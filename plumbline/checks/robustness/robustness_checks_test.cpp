// The adapters on their own fixtures and on real data, through the readers, the session and the verdict that a user's
// system meets.

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/graph/onnx.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks {

check::Entry ood();
check::Entry drift();
check::Entry corruption();
check::Entry attack();

namespace {

using ::testing::HasSubstr;

// Twenty pairs of each check, counted as `checks verify` counts them. A detection rate of 0.9 would show fewer than 17
// refutations once in seven tries; the published rates come from 400 pairs.
TEST(RobustnessFixtures, DefectsAreRefutedAndControlsAreNot) {
  for (const check::Entry& entry : {ood(), drift(), corruption()}) {
    const verify::VerifyCount count = testing::count_fixtures(entry, 20);
    EXPECT_EQ(count.detected, 20) << entry.info.id << " " << count.example_problem;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_EQ(count.abstentions, 0) << entry.info.id << " " << count.example_problem;
  }
}

/// Writes a fixture with lines added to its manifest.
void write_system(const check::Entry& entry, bool defect, const testing::TempFolder& folder,
                  const std::string& more = "") {
  base::Rng rng(3, {"written"});
  ASSERT_TRUE((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng).ok());
  testing::write_file(folder.file("system.toml"), testing::read_file(folder.file("system.toml")) + more);
}

check::Output run(const check::Entry& entry, const testing::TempFolder& folder) {
  auto output = testing::run_check(entry, folder.path());
  EXPECT_TRUE(output.ok()) << output.error().text();
  return output.ok() ? *output : check::Output{};
}

std::string why_not(const check::Entry& entry, const testing::TempFolder& folder) {
  const data::Manifest manifest = data::read_manifest(folder.file("system.toml")).value();
  return entry.plan(run::make_blueprint(manifest, true).value(), check::resolve_params(entry.info, {}).value())
      .not_applicable;
}

int count_metric(const check::Output& output, const std::string& metric) {
  return static_cast<int>(std::count_if(output.evidence.begin(), output.evidence.end(),
                                        [&](const check::Evidence& e) { return e.metric == metric; }));
}

TEST(OodCheck, EveryDetectorWithPValuesPicturesAndFindings) {
  testing::TempFolder folder;
  write_system(ood(), true, folder);
  const check::Output output = run(ood(), folder);
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
  write_system(ood(), false, folder);
  std::string text = testing::read_file(folder.file("system.toml"));
  const auto drop = [&](const std::string& header) {
    const auto first = text.find(header);
    text.erase(first, text.find("\n\n", first) - first + 2);
  };
  drop("[data.calibration]");
  drop("[predictions.calibration]");
  for (auto at = text.find("\"logits\""); at != std::string::npos; at = text.find("\"logits\""))
    text.replace(at, 8, "\"scores\"");
  testing::write_file(folder.file("system.toml"), text);
  const check::Output output = run(ood(), folder);
  EXPECT_EQ(count_metric(output, "auroc"), 4);  // the four that read features
  EXPECT_EQ(count_metric(output, "false_alarm_rate"), 0);
  const std::string notes = ::testing::PrintToString(output.notes);
  EXPECT_THAT(notes, HasSubstr("p-values withheld"));
  EXPECT_THAT(notes, HasSubstr("max_softmax left out: outputs are scores"));
}

TEST(OodCheck, PlanNamesWhatIsMissing) {
  testing::TempFolder folder;
  write_system(drift(), false, folder);
  EXPECT_THAT(why_not(ood(), folder), HasSubstr("out-of-distribution"));
}

TEST(DriftCheck, NamesWhatMovedAndKeepsPValuesAboveZero) {
  testing::TempFolder folder;
  write_system(drift(), true, folder);
  const check::Output output = run(drift(), folder);
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
  testing::write_file(folder.file("system.toml"),
                      "[system]\nname = \"market\"\n[data.train]\ntable = \"early.csv\"\nlabel = \"" + label +
                          "\"\n[data.test]\ntable = \"late.csv\"\nlabel = \"" + label + "\"\n");
  const check::Output output = run(drift(), folder);
  EXPECT_FALSE(output.evidence.empty());
  for (const check::Evidence& e : output.evidence) {
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
  write_system(corruption(), true, folder);
  const check::Output output = run(corruption(), folder);
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
}

// A copy of the model errs on the same variants: the paired ratio is 1 in every resample, so there is nothing to bound.
TEST(CorruptionCheck, RatioToACopyOfItselfIsOne) {
  testing::TempFolder folder;
  write_system(
      corruption(), true, folder,
      "[model.copy]\npath = \"reader.onnx\"\noutput = \"logits\"\ninput = {range = [0, 1], layout = \"NCHW\"}\n");
  std::string text = testing::read_file(folder.file("system.toml"));
  text.replace(text.find("sample = 60"), 11, "sample = 60\nbaseline = \"copy\"");
  testing::write_file(folder.file("system.toml"), text);
  const check::Output output = run(corruption(), folder);
  EXPECT_EQ(count_metric(output, "mean_corruption_error"), 1);  // the baseline is not judged itself
  ASSERT_EQ(count_metric(output, "relative_corruption_error"), 1);
  for (const check::Evidence& e : output.evidence) {
    if (e.metric == "relative_corruption_error") {
      EXPECT_EQ(e.estimate.value, 1);
    }
  }
}

TEST(CorruptionCheck, StoredPredictionsAndTablesAreNotApplicable) {
  testing::TempFolder folder;
  write_system(ood(), true, folder);
  EXPECT_THAT(why_not(corruption(), folder), HasSubstr("images"));
}

TEST(DriftCheck, TablesOfTextAloneAreNotApplicable) {
  check::Blueprint facts;
  facts.data["train"] = {.kind = data::Dataset::Kind::kTable,
                         .rows = 3,
                         .has_text = true,
                         .only_text = true,
                         .columns = 1,
                         .role = data::Role::kTrain};
  facts.data["test"] = facts.data["train"];
  facts.data["test"].role = data::Role::kTest;
  const auto params = check::resolve_params(drift().info, {});
  ASSERT_TRUE(params.ok());
  const check::Plan plan = drift().plan(facts, *params);
  EXPECT_TRUE(plan.tasks.empty());
  EXPECT_NE(plan.not_applicable.find("text columns only"), std::string::npos) << plan.not_applicable;
}

// Eight pairs: rates over 400 are in docs/checks/rates.md.
TEST(AttackCheck, DefectsAreRefutedAndControlsAreNot) {
  const verify::VerifyCount count = testing::count_fixtures(attack(), 8);
  EXPECT_EQ(count.detected, 8) << count.example_problem;
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_EQ(count.abstentions, 0) << count.example_problem;
}

const check::Evidence& figure(const check::Output& output, const std::string& metric) {
  const check::Evidence* found = testing::find(output, metric, {{"data", "test"}});
  EXPECT_NE(found, nullptr) << metric;
  static const check::Evidence none;
  return found != nullptr ? *found : none;
}

TEST(AttackCheck, FiguresPicturesAndTheRowsThatFell) {
  testing::TempFolder folder;
  write_system(attack(), true, folder);
  const check::Output output = run(attack(), folder);
  EXPECT_EQ(figure(output, "clean_accuracy").estimate.value, 1);
  EXPECT_EQ(figure(output, "robust_accuracy").estimate.value, 0);
  EXPECT_GE(figure(output, "witnesses_found").estimate.value, 0.9);
  EXPECT_EQ(count_metric(output, "accuracy_at"), 3);
  std::set<std::string> ids;
  for (const check::Artifact& a : output.artifacts) ids.insert(a.id.substr(a.id.rfind('.') + 1));
  EXPECT_THAT(ids, ::testing::ElementsAre("accuracy-against-epsilon", "ledger", "success-against-budget"));
  ASSERT_EQ(output.findings.size(), 1U);
  EXPECT_THAT(output.findings[0].title, HasSubstr("linf 0.1 takes accuracy on test from 1 to 0"));
  EXPECT_EQ(output.findings[0].rows.size(), 80U);
  EXPECT_THAT(output.rows, HasSubstr("80 of 80 rows of test attacked"));
}

/// The fixture with another line in its parameters.
check::Output run_with(bool defect, const testing::TempFolder& folder, const std::string& line) {
  write_system(attack(), defect, folder);
  std::string text = testing::read_file(folder.file("system.toml"));
  text.replace(text.find("high = 1.0"), 10, "high = 1.0\n" + line);
  testing::write_file(folder.file("system.toml"), text);
  return run(attack(), folder);
}

// Noise alone leaves nearly everything standing, and finds no planted witness: that is no robustness.
TEST(AttackCheck, AttacksThatMissTheWitnessGiveNoLowerBound) {
  testing::TempFolder folder;
  const check::Output output = run_with(false, folder, "attacks = [\"random\"]");
  EXPECT_EQ(figure(output, "robust_accuracy").estimate.value, 1);
  EXPECT_FALSE(figure(output, "robust_accuracy").estimate.low().has_value());
  EXPECT_TRUE(figure(output, "clean_accuracy").estimate.low().has_value());
  EXPECT_THAT(::testing::PrintToString(output.notes), HasSubstr("could not decide how much survives"));
}

TEST(AttackCheck, BadParametersAreNamed) {
  const auto why = [](const std::string& line) {
    testing::TempFolder folder;
    write_system(attack(), false, folder);
    std::string text = testing::read_file(folder.file("system.toml"));
    text.replace(text.find("high = 1.0"), 10, line);
    testing::write_file(folder.file("system.toml"), text);
    const auto output = testing::run_check(attack(), folder.path());
    return output.ok() ? std::string("ok") : output.error().text();
  };
  EXPECT_THAT(why("high = 1.0\nattacks = [\"deepfol\"]"), HasSubstr("did you mean 'deepfool'?"));
  EXPECT_THAT(why("high = 0.5"), HasSubstr("outside the declared range [0, 0.5]"));
}

/// The fixture's model with the node "bend" of another operator.
void bend_with(const testing::TempFolder& folder, const std::string& op) {
  graph::Graph model = *graph::read_onnx(folder.file("reader.onnx"));
  for (graph::Node& node : model.nodes) {
    if (node.name == "bend") node.op = op;
  }
  ASSERT_TRUE(graph::write_onnx(model, folder.file("reader.onnx")).ok());
}

TEST(AttackCheck, ModelsThatCannotBeLoweredAreAskedAndThoseThatRoundGetAStandIn) {
  testing::TempFolder folder;
  write_system(attack(), true, folder);
  std::string text = testing::read_file(folder.file("system.toml"));
  text.replace(text.find("sample = 80"), 11, "sample = 12");
  testing::write_file(folder.file("system.toml"), text);
  bend_with(folder, "Softplus");
  const check::Output asked = run(attack(), folder);
  EXPECT_THAT(::testing::PrintToString(asked.notes), HasSubstr("attacked by queries alone"));
  EXPECT_THAT(::testing::PrintToString(asked.notes), HasSubstr("Softplus"));
  EXPECT_LE(figure(asked, "robust_accuracy").estimate.value, 0.5);

  write_system(attack(), true, folder);
  testing::write_file(folder.file("system.toml"), text);
  bend_with(folder, "Round");
  const check::Output rounded = run(attack(), folder);
  EXPECT_THAT(::testing::PrintToString(rounded.notes), HasSubstr("stand-in without node 'bend' (Round)"));
  EXPECT_LT(figure(rounded, "robust_accuracy").estimate.value, figure(rounded, "clean_accuracy").estimate.value);
}

/// The images of the corruption fixture under attack. `input`: more of how the model wants them.
check::Output attack_images(const testing::TempFolder& folder, const std::string& input, double weights) {
  write_system(corruption(), true, folder);
  std::string text = testing::read_file(folder.file("system.toml"));
  text = text.substr(0, text.find("[check."));
  text.insert(text.find("layout = \"NCHW\""), input);
  testing::write_file(folder.file("system.toml"), text +
                                                      "[check.\"robustness.attack\"]\nsample = 10\nepsilon = 0.1\n"
                                                      "attacks = [\"apgd-ce\", \"fab\"]\nwitnesses = 4\n");
  graph::Graph model = *graph::read_onnx(folder.file("reader.onnx"));
  for (double& w : model.initializers.at("w").reals) w *= weights;
  EXPECT_TRUE(graph::write_onnx(model, folder.file("reader.onnx")).ok());
  return run(attack(), folder);
}

TEST(AttackCheck, ImagesAreShownAndChangedInOtherWaysToo) {
  testing::TempFolder folder;
  const check::Output output = attack_images(folder, "", 1);
  EXPECT_EQ(figure(output, "clean_accuracy").estimate.value, 1);
  EXPECT_LT(figure(output, "robust_accuracy").estimate.value, 0.5);
  EXPECT_EQ(count_metric(output, "accuracy_under"), 3);
  const check::Evidence* patched = testing::find(output, "accuracy_under", {{"data", "test"}, {"change", "patch"}});
  ASSERT_NE(patched, nullptr);
  EXPECT_FALSE(patched->estimate.low().has_value());
  std::set<std::string> kinds;
  for (const check::Artifact& a : output.artifacts) kinds.insert(a.kind);
  EXPECT_THAT(kinds, ::testing::ElementsAre("bars", "curve", "gallery", "table"));

  // Inputs halved and weights doubled: perturbations are measured before that, so the picture is the same to the bit.
  testing::TempFolder halved;
  const check::Output same = attack_images(halved, "deviation = [2.0], ", 2);
  ASSERT_EQ(output.artifacts[0].columns.size(), same.artifacts[0].columns.size());
  EXPECT_EQ(std::get<std::vector<double>>(output.artifacts[0].columns[1].values),
            std::get<std::vector<double>>(same.artifacts[0].columns[1].values));
}

TEST(AttackCheck, StoredPredictionsAndTablesAreNotApplicable) {
  testing::TempFolder folder;
  write_system(ood(), true, folder);
  EXPECT_THAT(why_not(attack(), folder), HasSubstr("stored predictions only"));
}

}  // namespace
}  // namespace plumbline::checks

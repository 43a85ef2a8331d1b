#include "plumbline/checks/probe/probe_checks.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/data/npy.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::probe {
namespace {

TEST(AccuracyCheck, NamesTheMislabelledSlice) {
  testing::TempFolder folder;
  base::Rng rng(1);
  ASSERT_TRUE(accuracy().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(accuracy(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_EQ(output->findings.size(), 1U);
  const check::Finding& finding = output->findings[0];
  EXPECT_EQ(finding.where.at("slice"), "mark=b");
  EXPECT_EQ(finding.severity, check::FindingSeverity::kMajor);
  EXPECT_FALSE(finding.rows.empty());
  const auto has = [&](const std::string& metric, const std::map<std::string, std::string>& where) {
    return std::any_of(output->evidence.begin(), output->evidence.end(),
                       [&](const check::Evidence& e) { return e.metric == metric && e.where == where; });
  };
  EXPECT_TRUE(has("accuracy", {{"data", "test"}}));
  EXPECT_TRUE(has("accuracy", {{"data", "test"}, {"slice", "mark=c"}}));
  EXPECT_TRUE(has("balanced_accuracy", {{"data", "test"}}));
  EXPECT_TRUE(has("recall", {{"data", "test"}, {"class", "2"}}));
  EXPECT_TRUE(has("slice_error_lift", {{"data", "test"}, {"slice", "mark=b"}}));
  std::vector<std::string> kinds;
  for (const auto& artifact : output->artifacts) kinds.push_back(artifact.kind);
  EXPECT_EQ(kinds, (std::vector<std::string>{"confusion", "bars", "row-outcomes", "treemap"}));
}

TEST(AccuracyCheck, SetsOfOtherRolesAndTasksAreLeftOut) {
  check::Blueprint facts;
  facts.data["elsewhere"] = {.rows = 10, .labelled = true, .role = data::Role::kOutOfDistribution};
  facts.data["train"] = {.rows = 10, .labelled = true, .role = data::Role::kTrain};
  check::ModelFacts model;
  model.name = "reader";
  model.output = "scores";
  facts.models["reader"] = model;
  const auto plan = accuracy().plan(facts, {});
  ASSERT_EQ(plan.tasks.size(), 1U);
  EXPECT_EQ(plan.tasks[0].subject, "reader@train");
  facts.models["reader"].task = "regression";
  EXPECT_NE(accuracy().plan(facts, {}).not_applicable.find("'reader' is no classifier (task regression)"),
            std::string::npos);
}

TEST(AccuracyCheck, LabelsBeyondTheOutputsAreRefused) {
  testing::TempFolder folder;
  StoredSet test{"test", "", {0, 1, 5, 1}, MatrixD::Constant(4, 2, 0.5)};
  ASSERT_TRUE(write_stored_system(folder.path(), 1, "logits", std::span(&test, 1),
                                  "check = \"probe.accuracy\"\nmetric = \"accuracy\"\nat_least = 0.5\n")
                  .ok());
  const auto output = testing::run_check(accuracy(), folder.path());
  ASSERT_FALSE(output.ok());
  EXPECT_NE(output.error().text().find("labels reach 5, but 'model' has outputs for 2 classes"), std::string::npos)
      << output.error().text();
}

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24U), static_cast<char>(v >> 16U), static_cast<char>(v >> 8U), static_cast<char>(v)};
}

// Images without metadata: dark ones are predicted badly, and the search must say so in words about brightness.
TEST(AccuracyCheck, DescribesImagesWithoutMetadata) {
  testing::TempFolder folder;
  base::Rng rng(5);
  constexpr int kRows = 1200;
  std::string pixels = big_endian(0x00000803) + big_endian(kRows) + big_endian(8) + big_endian(8);
  std::string labels = big_endian(0x00000801) + big_endian(kRows);
  MatrixD outputs(kRows, 2);
  for (int i = 0; i < kRows; ++i) {
    const bool dark = i % 4 == 0;
    for (int p = 0; p < 64; ++p) pixels += static_cast<char>(rng.below(dark ? 60 : 200) + (dark ? 0 : 40));
    const int label = static_cast<int>(rng.below(2));
    const int said = rng.bernoulli(dark ? 0.35 : 0.05) ? 1 - label : label;
    labels += static_cast<char>(label);
    outputs(i, said) = 0.9;
    outputs(i, 1 - said) = 0.1;
  }
  testing::write_file(folder.file("images"), pixels);
  testing::write_file(folder.file("labels"), labels);
  ASSERT_TRUE(data::write_npy(folder.file("outputs.npy"), outputs).ok());
  const std::string manifest =
      "[system]\nname = \"pictures\"\n[data.test]\nimages = \"images\"\nlabels = \"labels\"\n"
      "[predictions.test]\nmodel = \"m\"\ndata = \"test\"\npath = \"outputs.npy\"\noutput = \"probabilities\"\n";
  testing::write_file(folder.file("system.toml"), manifest);
  const auto output = testing::run_check(accuracy(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_FALSE(output->findings.empty());
  EXPECT_EQ(output->findings[0].where.at("slice").rfind("brightness < ", 0), 0U) << output->findings[0].title;
  const auto& last = output->artifacts.back();
  EXPECT_EQ(last.kind, "gallery");
  EXPECT_EQ(last.bytes.substr(1, 3), "PNG");
  // What examples = "none" withholds.
  std::string closed = manifest;
  closed.insert(closed.find("[data.test]"), "examples = \"none\"\n");
  testing::write_file(folder.file("system.toml"), closed);
  const auto withheld = testing::run_check(accuracy(), folder.path());
  ASSERT_TRUE(withheld.ok()) << withheld.error().text();
  EXPECT_NE(withheld->artifacts.back().kind, "gallery");
}

// 30 pairs, as for the checks of caution.
TEST(AccuracyCheckStatistical, FixturesAreToldApart) {
  const auto count = testing::count_fixtures(accuracy(), 30);
  EXPECT_EQ(count.detected, 30) << count.example_problem;
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_LE(count.abstentions, 2) << count.example_problem;
  std::printf("probe.accuracy: %d detected, %d false alarms, %d abstentions, %.1f ms a run\n", count.detected,
              count.false_alarms, count.abstentions, 1000 * count.seconds / 60);
}

}  // namespace
}  // namespace plumbline::checks::probe

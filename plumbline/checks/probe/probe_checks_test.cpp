#include "plumbline/checks/probe/probe_checks.hpp"

#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>

#include "plumbline/checks/classified.hpp"
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
  EXPECT_EQ(kinds, (std::vector<std::string>{"confusion", "bars", "treemap"}));
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

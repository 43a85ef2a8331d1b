#include "plumbline/checks/caution/caution_checks.hpp"

#include <array>
#include <cstdio>

#include <gtest/gtest.h>

#include "plumbline/checks/classified.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::caution {
namespace {

using testing::find;

check::Blueprint blueprint(const std::string& output, bool with_calibration) {
  check::Blueprint facts;
  facts.data["test"] = {.rows = 10, .labelled = true, .role = data::Role::kTest};
  if (with_calibration) facts.data["calibration"] = {.rows = 10, .labelled = true, .role = data::Role::kCalibration};
  check::ModelFacts model;
  model.name = "reader";
  model.output = output;
  facts.models["reader"] = model;
  return facts;
}

TEST(CautionChecks, ScoresAreNotApplicableWithTheReason) {
  for (const check::Entry& entry : {calibration(), conformal()}) {
    const auto plan = entry.plan(blueprint("scores", true), {});
    EXPECT_TRUE(plan.tasks.empty());
    EXPECT_NE(plan.not_applicable.find("'reader' gives scores, which state no probability"), std::string::npos)
        << plan.not_applicable;
  }
}

TEST(CautionChecks, WithoutCalibrationRowsOnlyCalibrationIsMeasured) {
  EXPECT_EQ(calibration().plan(blueprint("logits", false), {}).tasks.size(), 1U);
  const auto plan = conformal().plan(blueprint("logits", false), {});
  EXPECT_TRUE(plan.tasks.empty());
  EXPECT_NE(plan.not_applicable.find("no labelled calibration set"), std::string::npos);
  EXPECT_EQ(conformal().plan(blueprint("logits", true), {}).tasks.size(), 1U);
}

TEST(CalibrationCheck, ReportsWhatRecalibrationGains) {
  testing::TempFolder folder;
  base::Rng rng(1);
  ASSERT_TRUE(calibration().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(calibration(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  const auto* error = find(*output, "calibration_error", {{"data", "test"}, {"kind", "top-label"}});
  ASSERT_NE(error, nullptr);
  EXPECT_NEAR(error->estimate.value, 0.17, 0.06);
  EXPECT_NE(find(*output, "ece", {{"data", "test"}, {"kind", "class-wise"}}), nullptr);
  const auto* temperature = find(*output, "temperature", {{"data", "calibration"}});
  ASSERT_NE(temperature, nullptr);
  EXPECT_GT(*temperature->estimate.low(), 1.5);
  EXPECT_LT(*temperature->estimate.low(), 2.5);
  for (const std::string name : {"temperature", "platt", "isotonic", "histogram"}) {
    const auto* gain = find(*output, "gain", {{"data", "test"}, {"recalibrator", name}});
    ASSERT_NE(gain, nullptr) << name;
    EXPECT_GT(*gain->estimate.low(), 0) << name;
    const auto* after =
        find(*output, "calibration_error", {{"data", "test"}, {"kind", "top-label"}, {"recalibrator", name}});
    ASSERT_NE(after, nullptr) << name;
    EXPECT_LT(after->estimate.value, 0.5 * error->estimate.value) << name;
  }
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_FALSE(output->findings[0].rows.empty());
  EXPECT_NE(output->findings[0].next_step.find("Recalibrate with"), std::string::npos);
  ASSERT_EQ(output->artifacts.size(), 2U);
  EXPECT_EQ(output->artifacts[0].kind, "reliability");
}

TEST(CalibrationCheck, WithholdsMapsWithoutCalibrationRows) {
  testing::TempFolder folder;
  base::Rng rng(2);
  StoredSet test{"test", "", {}, MatrixD(300, 2)};
  for (int i = 0; i < 300; ++i) {
    const double p = rng.uniform(0.05, 0.95);
    test.outputs(i, 0) = p;
    test.outputs(i, 1) = 1 - p;
    test.labels.push_back(rng.bernoulli(p) ? 0 : 1);
  }
  ASSERT_TRUE(write_stored_system(folder.path(), 1, "probabilities", std::span(&test, 1),
                                  "check = \"caution.calibration\"\nmetric = \"ece\"\nat_most = 0.5\n")
                  .ok());
  const auto output = testing::run_check(calibration(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_NE(find(*output, "nll", {{"data", "test"}}), nullptr);
  EXPECT_EQ(find(*output, "gain", {{"data", "test"}, {"recalibrator", "platt"}}), nullptr);
  ASSERT_FALSE(output->notes.empty());
  EXPECT_NE(output->notes[0].find("withheld"), std::string::npos);
}

TEST(ConformalCheck, CoversAndSaysWhatItNeeds) {
  testing::TempFolder folder;
  base::Rng rng(3);
  ASSERT_TRUE(conformal().fixtures.control(folder.path(), rng).ok());
  const auto output = testing::run_check(conformal(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  for (const std::string name : {"lac", "mondrian", "aps", "raps"}) {
    const auto* coverage = find(*output, "coverage", {{"data", "test"}, {"method", name}, {"level", "0.9"}});
    ASSERT_NE(coverage, nullptr) << name;
    EXPECT_NEAR(coverage->estimate.value, 0.9, 0.06) << name;
    EXPECT_NE(find(*output, "worst_class_coverage", {{"data", "test"}, {"method", name}, {"level", "0.9"}}), nullptr);
  }
  EXPECT_TRUE(output->findings.empty());

  testing::TempFolder small;
  StoredSet test{"test", "", {0, 1, 0, 1, 0}, MatrixD::Constant(5, 2, 0.5)};
  StoredSet few = test;
  few.name = "calibration";
  ASSERT_TRUE(write_stored_system(small.path(), 1, "probabilities", std::array{test, few},
                                  "check = \"caution.conformal\"\nmetric = \"coverage\"\nat_least = 0.5\n")
                  .ok());
  const auto refused = testing::run_check(conformal(), small.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("5 calibration rows cannot serve level 0.9: at least 9 are needed"),
            std::string::npos);
}

TEST(ConformalCheck, NamesBrokenExchangeability) {
  testing::TempFolder folder;
  base::Rng rng(4);
  ASSERT_TRUE(conformal().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(conformal(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_EQ(output->findings[0].rows.size(), 100U);
}

// 30 pairs: every defect must be refuted and no control, with at most 2 abstentions. A check whose detection is 0.9
// passes 30 of 30 once in 24 runs.
TEST(CautionChecksStatistical, FixturesAreToldApart) {
  for (const check::Entry& entry : {calibration(), conformal()}) {
    const auto count = testing::count_fixtures(entry, 30);
    EXPECT_EQ(count.detected, 30) << entry.info.id << ' ' << count.example_problem;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_LE(count.abstentions, 2) << entry.info.id << ' ' << count.example_problem;
    RecordProperty(entry.info.id, static_cast<int>(1000 * count.seconds));
    std::printf("%s: %d detected, %d false alarms, %d abstentions, %.1f ms a run\n", entry.info.id.c_str(),
                count.detected, count.false_alarms, count.abstentions, 1000 * count.seconds / 60);
  }
}

}  // namespace
}  // namespace plumbline::checks::caution

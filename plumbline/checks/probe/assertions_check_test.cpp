#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/checks/probe/probe_checks.hpp"
#include "plumbline/data/manifest.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::probe {
namespace {

using ::testing::HasSubstr;

TEST(AssertionsCheck, DefectsAreRefutedAndControlsAreNot) {
  const verify::VerifyCount count = testing::count_fixtures(assertions(), 20);
  EXPECT_EQ(count.detected, 20) << count.example_problem;
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_EQ(count.abstentions, 0) << count.example_problem;
}

double figure(const check::Output& output, const std::string& metric, std::map<std::string, std::string> where) {
  const check::Evidence* found = testing::find(output, metric, where);
  EXPECT_NE(found, nullptr) << metric;
  return found == nullptr ? -1 : found->estimate.value;
}

TEST(AssertionsCheck, ALogsFlickersAreFoundNamedAndCorrected) {
  testing::TempFolder folder;
  base::Rng rng(4, {"written"});
  ASSERT_TRUE(assertions().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(assertions(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  const double events = figure(*output, "events", {{"data", "frames"}, {"assertion", "calm"}});
  EXPECT_NEAR(events, 90, 30);
  EXPECT_EQ(figure(*output, "violation_rate", {{"data", "frames"}, {"assertion", "calm"}}), events / 1200);
  EXPECT_EQ(figure(*output, "violation_rate", {{"data", "frames"}, {"assertion", "possible"}}), 0);
  EXPECT_EQ(figure(*output, "absent", {{"data", "frames"}, {"assertion", "possible"}}), 0);
  EXPECT_GT(figure(*output, "caught", {{"data", "frames"}}), 0.3);
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_THAT(output->findings[0].title, HasSubstr("'calm' is broken by"));
  EXPECT_THAT(output->findings[0].detail, HasSubstr("s after it changed to"));
  ASSERT_FALSE(output->findings[0].rows.empty());
  EXPECT_EQ(output->findings[0].rows[0] % 4, 3U);  // the return, in the fourth frame
}

/// A table with stored predictions: rules over columns, the label, the confidence; one that does not fit.
TEST(AssertionsCheck, RowsWithPredictionsAreJudgedInOrderOfTime) {
  testing::TempFolder folder;
  std::string table = "t,track,weight,class\n", predictions = "a,b\n";
  for (int i = 0; i < 200; ++i) {
    table += std::to_string(200 - i) + ",u" + std::to_string(i % 4) + "," + std::to_string(i % 10) + ",a\n";
    predictions += i % 50 == 7 ? "0.45,0.55\n" : "0.9,0.1\n";
  }
  testing::write_file(folder.file("rows.csv"), table);
  testing::write_file(folder.file("p.csv"), predictions);
  testing::write_file(folder.file("system.toml"),
                      "[system]\nname = \"x\"\n[data.test]\ntable = \"rows.csv\"\nlabel = \"class\"\n"
                      "classes = [\"a\", \"b\"]\nunit = \"track\"\n"
                      "[predictions.reader]\ndata = \"test\"\npath = \"p.csv\"\noutput = \"probabilities\"\n"
                      "[assertion.sure]\nkind = \"range\"\nfield = \"confidence\"\nlow = 0.5\nhigh = 0.8\nscale = 0.1\n"
                      "[assertion.light]\nkind = \"implies\"\nwhen = \"weight > 6\"\nthen = \"label == 'a'\"\n"
                      "severity = \"fail\"\n[assertion.steady]\nkind = \"steady\"\nfield = \"label\"\nwithin = 9\n"
                      "[assertion.elsewhere]\nkind = \"range\"\nfield = \"speed\"\nlow = 0\n"
                      "[check.\"probe.assertions\"]\ntime = \"t\"\n");
  const auto output = testing::run_check(assertions(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_DOUBLE_EQ(figure(*output, "violation_rate", {{"data", "test"}, {"assertion", "sure"}}), 196.0 / 200);
  EXPECT_DOUBLE_EQ(figure(*output, "violation_rate", {{"data", "test"}, {"assertion", "light"}}), 4.0 / 200);
  EXPECT_DOUBLE_EQ(figure(*output, "violation_rate", {{"data", "test"}, {"assertion", "fail"}}), 4.0 / 200);
  EXPECT_EQ(figure(*output, "events", {{"data", "test"}, {"assertion", "steady"}}), 4);
  EXPECT_THAT(::testing::PrintToString(output->notes), HasSubstr("there is no field 'speed'"));
}

std::string problem(const testing::TempFolder& folder, const std::string& manifest) {
  testing::write_file(folder.file("system.toml"), "[system]\nname = \"x\"\n" + manifest);
  const auto read = data::read_manifest(folder.file("system.toml"));
  if (!read.ok()) return read.error().text();
  const auto blueprint = run::make_blueprint(*read, true);
  if (!blueprint.ok()) return blueprint.error().text();
  const auto plan = assertions().plan(*blueprint, check::resolve_params(assertions().info, {}).value());
  if (!plan.not_applicable.empty()) return plan.not_applicable;
  const auto output = testing::run_check(assertions(), folder.path());
  return output.ok() ? "none" : output.error().text();
}

TEST(AssertionsCheck, WhatIsMissingOrWrongIsSaid) {
  testing::TempFolder folder;
  testing::write_file(folder.file("a.csv"), "x,t\n1,1\n2,\n");
  const std::string set = "[data.test]\ntable = \"a.csv\"\n";
  const std::string rule = "[assertion.r]\nkind = \"range\"\nfield = \"x\"\nhigh = 1\n";
  EXPECT_THAT(problem(folder, set), HasSubstr("has no [assertion.NAME]"));
  EXPECT_THAT(problem(folder, rule), HasSubstr("no log, and no set"));
  EXPECT_EQ(problem(folder, set + rule), "none");
  EXPECT_THAT(problem(folder, set + "[assertion.r]\nkind = \"range\"\nfield = \"y\"\nhigh = 1\n"),
              HasSubstr("no assertion fits"));
  EXPECT_THAT(
      problem(folder, set + rule + "[assertion.q]\nkind = \"range\"\nfield = \"y\"\nhigh = 1\non = [\"test\"]\n"),
      HasSubstr("there is no field 'y'"));
  EXPECT_THAT(problem(folder, set + rule + "[check.\"probe.assertions\"]\ntime = \"t\"\n"),
              HasSubstr("row 1 has no time"));
  EXPECT_THAT(problem(folder, set + rule + "[check.\"probe.assertions\"]\ntime = \"z\"\n"),
              HasSubstr("no column of numbers"));
}

}  // namespace
}  // namespace plumbline::checks::probe

#include "plumbline/checks/methodology/methodology_checks.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/npy.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::methodology {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const check::Evidence* find(const check::Output& output, const std::string& metric) {
  for (const check::Evidence& evidence : output.evidence) {
    if (evidence.metric == metric) return &evidence;
  }
  return nullptr;
}

/// `items` items, each `copies` times; every seventh item is answered wrongly. `unit` declares the item.
void write_items(const std::string& folder, int items, int copies, bool unit) {
  std::string table = "item,x,label\n";
  MatrixD outputs = MatrixD::Zero(static_cast<std::ptrdiff_t>(items) * copies, 2);
  for (int item = 0; item < items; ++item) {
    for (int c = 0; c < copies; ++c) {
      table += fmt::format("i{},{}.25,{}\n", item, unit ? item * copies + c : item, item % 2);
      outputs(static_cast<std::ptrdiff_t>(item) * copies + c, item % 7 == 0 ? 1 - item % 2 : item % 2) = 2.5;
    }
  }
  ASSERT_TRUE(data::write_npy(folder + "/outputs.npy", outputs).ok());
  plumbline::testing::write_file(folder + "/test.csv", table);
  plumbline::testing::write_file(
      folder + "/system.toml",
      fmt::format("[system]\nname = \"items\"\n\n[data.test]\ntable = \"test.csv\"\nlabel = \"label\"\n{}\n\n"
                  "[predictions.model]\ndata = \"test\"\npath = \"outputs.npy\"\noutput = \"scores\"\n",
                  unit ? "unit = \"item\"" : "drop = [\"item\"]"));
}

// 40 pairs a check: a detection rate of 0.9 leaves 40 of 40 with probability 0.015, so these counts are a smoke test;
// the published table comes from 400.
TEST(MethodologyFixtures, DefectsAreRefutedAndControlsAreNot) {
  for (const check::Entry& entry : {evaluation_aa(), adequacy()}) {
    const auto count = plumbline::testing::count_fixtures(entry, 40);
    EXPECT_EQ(count.detected, 40) << entry.info.id;
    EXPECT_LE(count.false_alarms, 1) << entry.info.id;
    EXPECT_LE(count.abstentions, 8) << entry.info.id << ": " << count.example_problem;
  }
}

TEST(EvaluationAaCheck, NamesCopiesAndIsContentOnceTheUnitIsDeclared) {
  plumbline::testing::TempFolder copies, declared;
  write_items(copies.path(), 100, 5, false);
  const check::Output wrong = plumbline::testing::run_check(evaluation_aa(), copies.path()).value();
  EXPECT_GT(find(wrong, "false_alarm_rate")->estimate.value, 0.2);
  EXPECT_NEAR(find(wrong, "independent_share")->estimate.value, 0.2, 1e-12);
  ASSERT_EQ(wrong.findings.size(), 1U);
  EXPECT_THAT(wrong.findings[0].next_step, HasSubstr("Declare `unit`"));
  EXPECT_THAT(wrong.notes, Contains(HasSubstr("500 of 500 rows share their input")));
  write_items(declared.path(), 100, 5, true);
  const check::Output right = plumbline::testing::run_check(evaluation_aa(), declared.path()).value();
  EXPECT_LT(find(right, "false_alarm_rate")->estimate.value, 0.12);
  EXPECT_TRUE(right.findings.empty());
  EXPECT_EQ(find(right, "false_alarm_rate")->where.at("data"), "test");
}

TEST(EvaluationAaCheck, SaysThatItCannotSayOnAFewCases) {
  plumbline::testing::TempFolder folder;
  write_items(folder.path(), 12, 5, false);
  const check::Output output = plumbline::testing::run_check(evaluation_aa(), folder.path()).value();
  EXPECT_EQ(find(output, "false_alarm_rate"), nullptr);
  EXPECT_THAT(output.notes, Contains(HasSubstr("cannot say whether the comparison is honest: 12 cases")));
}

TEST(AdequacyCheck, CountsTestsNotRows) {
  plumbline::testing::TempFolder folder;
  write_items(folder.path(), 140, 3, true);
  const check::Output output = plumbline::testing::run_check(adequacy(), folder.path()).value();
  EXPECT_NEAR(find(output, "failure_rate")->estimate.value, 20.0 / 140, 1e-12);
  EXPECT_EQ(find(output, "failure_rate")->estimate.n, 140);
  EXPECT_EQ(find(output, "failure_types")->estimate.value, 2);
  EXPECT_EQ(find(output, "smallest_class")->estimate.value, 70);
  EXPECT_LT(find(output, "size_ratio")->estimate.value, 0.1);
  ASSERT_EQ(output.findings.size(), 1U);
  EXPECT_THAT(output.findings[0].title, HasSubstr("140 independent tests"));
  EXPECT_EQ(output.findings[0].rows.size(), 60U);
}

}  // namespace
}  // namespace plumbline::checks::methodology

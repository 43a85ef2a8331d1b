#include <gtest/gtest.h>

#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks {
namespace {

// A true detection rate of 0.99 gives fewer than 17 of 20 with probability 4e-5; a true rate of 0.7 slips through with
// probability 0.11. More than 5 of 20 false alarms have probability 3e-4 at the stated 0.05.
void detects(check::Entry entry) {
  const verify::VerifyCount count = testing::count_fixtures(std::move(entry), 20);
  EXPECT_GE(count.detected, 17) << count.example_problem;
  EXPECT_LE(count.false_alarms, 5);
  EXPECT_LE(count.abstentions, 8) << count.example_problem;
}

TEST(LeakageCheck, FindsThePlantedCopiesAndSparesTheControl) { detects(methodology::leakage()); }
TEST(ShortcutCheck, FindsThePlantedColumnAndSparesTheControl) { detects(methodology::shortcut()); }

TEST(ShortcutCheck, NamesThePlantedColumn) {
  const testing::TempFolder folder;
  base::Rng rng(3);
  ASSERT_TRUE(methodology::shortcut().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(methodology::shortcut(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_FALSE(output->findings.empty());
  EXPECT_NE(output->findings.front().title.find("column 'key' alone"), std::string::npos)
      << output->findings.front().title;
  EXPECT_EQ(output->findings.front().severity, check::FindingSeverity::kMajor);
}

TEST(LeakageCheck, ListsThePairs) {
  const testing::TempFolder folder;
  base::Rng rng(3);
  ASSERT_TRUE(methodology::leakage().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(methodology::leakage(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_GE(output->findings.front().rows.size(), 30U);
  ASSERT_EQ(output->artifacts.size(), 1U);
  EXPECT_EQ(output->artifacts.front().kind, "table");
}

}  // namespace
}  // namespace plumbline::checks

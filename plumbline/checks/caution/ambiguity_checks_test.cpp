#include <cstdio>

#include <gtest/gtest.h>

#include "plumbline/checks/caution/caution_checks.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::caution {
namespace {

double figure(const check::Output& output, const std::string& metric) {
  for (const auto& evidence : output.evidence) {
    if (evidence.metric == metric) return evidence.estimate.value;
  }
  ADD_FAILURE() << "no " << metric;
  return 0;
}

base::Result<check::Output> planted(const check::Entry& entry, bool defect) {
  const testing::TempFolder folder;
  base::Rng rng(3);
  PL_CHECK((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng));
  return testing::run_check(entry, folder.path());
}

TEST(RegretCheck, TheVaseMayHaveMattered) {
  const auto bad = planted(regret_under_ambiguity(), true);
  ASSERT_TRUE(bad.ok()) << bad.error().text();
  EXPECT_GE(figure(*bad, "regret"), 1.5 - 1e-9);
  EXPECT_LE(figure(*bad, "regret"), 3 + 1e-9);
  EXPECT_NEAR(figure(*bad, "avoidable"), figure(*bad, "regret") - figure(*bad, "least_regret"), 1e-6);
  EXPECT_LT(figure(*bad, "expected_regret"), figure(*bad, "regret"));
  ASSERT_EQ(bad->findings.size(), 1U);
  EXPECT_NE(bad->findings[0].title.find("'careful'"), std::string::npos) << bad->findings[0].title;
  const auto good = planted(regret_under_ambiguity(), false);
  ASSERT_TRUE(good.ok()) << good.error().text();
  EXPECT_LT(figure(*good, "regret"), 0.5);
}

TEST(ReversibilityCheck, BreakingTheVaseIsTheUnsureStep) {
  const auto bad = planted(reversibility(), true);
  ASSERT_TRUE(bad.ok()) << bad.error().text();
  EXPECT_NEAR(figure(*bad, "unsure_one_way"), 1, 1e-9);
  EXPECT_GE(figure(*bad, "worst_confidence"), 0.6 - 1e-6);
  EXPECT_LE(figure(*bad, "worst_confidence"), 0.8 + 1e-6);
  ASSERT_EQ(bad->findings.size(), 1U);
  EXPECT_NE(bad->findings[0].title.find("not sure of"), std::string::npos) << bad->findings[0].title;
  const auto good = planted(reversibility(), false);
  ASSERT_TRUE(good.ok()) << good.error().text();
  EXPECT_NEAR(figure(*good, "unsure_one_way"), 0, 1e-9);
  EXPECT_TRUE(good->findings.empty());
}

// A check that detects with probability 0.9 passes 40 of 40 once in 67 runs.
TEST(AmbiguityChecksStatistical, FixturesAreToldApart) {
  for (const check::Entry& entry : {regret_under_ambiguity(), reversibility()}) {
    const auto count = testing::count_fixtures(entry, 40);
    EXPECT_EQ(count.detected, 40) << entry.info.id << ' ' << count.example_problem;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_LE(count.abstentions, 4) << entry.info.id << ' ' << count.example_problem;
    std::printf("%s: %.1f ms a run\n", entry.info.id.c_str(), 1000 * count.seconds / 80);
  }
}

}  // namespace
}  // namespace plumbline::checks::caution

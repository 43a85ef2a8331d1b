// caution.reach_safe and caution.shield on planted systems: figures, findings, refusals, rates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/caution/cart_fixture.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/classified.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::caution {
namespace {

using ::testing::HasSubstr;

const stats::Estimate& figure(const check::Output& output, const std::string& metric, const std::string& data) {
  static const stats::Estimate kNone;
  const check::Evidence* const found = testing::find(output, metric, {{"data", data}});
  EXPECT_NE(found, nullptr) << metric;
  return found == nullptr ? kNone : found->estimate;
}

base::Result<check::Output> planted_output(const check::Entry& entry, bool defect) {
  const testing::TempFolder folder;
  base::Rng rng(3);
  PL_CHECK((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng));
  return testing::run_check(entry, folder.path());
}

base::Result<check::Output> cart_output(const testing::TempFolder& folder, const std::string& sections) {
  PL_CHECK(write_fixture_manifest(folder.path(), 1, sections,
                                  "text = \"t\"\ncheck = \"caution.reach_safe\"\nmetric = \"broken\"\nat_most = 0\n"));
  return testing::run_check(reach_safe(), folder.path());
}

constexpr const char* kSections = "[loop.cart]\npath = \"loop.toml\"\nnetworks = \"controller.onnx\"\n\n";

TEST(ReachSafeCheck, AWallInTheWayIsMetAndOneBehindIsNot) {
  const auto bad = planted_output(reach_safe(), true);
  ASSERT_TRUE(bad.ok()) << bad.error().text();
  EXPECT_EQ(figure(*bad, "broken", "cart").value, 1);
  ASSERT_EQ(bad->findings.size(), 1U);
  EXPECT_THAT(bad->findings[0].title, HasSubstr("cart breaks 'always x >= 0.15'"));
  EXPECT_THAT(bad->findings[0].detail, HasSubstr("From x = "));
  const auto good = planted_output(reach_safe(), false);
  ASSERT_TRUE(good.ok()) << good.error().text();
  EXPECT_EQ(figure(*good, "broken", "cart").value, 0);
  EXPECT_EQ(figure(*good, "proved_share", "cart").value, 1);
  EXPECT_TRUE(good->findings.empty());
  ASSERT_EQ(good->artifacts.size(), 2U);
  EXPECT_THAT(good->artifacts[0].id, ::testing::EndsWith("tube-x"));
  EXPECT_EQ(good->artifacts[0].kind, "curve");
}

TEST(ReachSafeCheck, WhatIsNotDecidedIsNeitherSupportedNorRefuted) {
  const testing::TempFolder folder;
  CartOptions cart;
  cart.wall = -0.0271;  // the furthest place of all starts lies about here: one tube cannot tell
  cart.comes_to_rest = false;
  ASSERT_TRUE(write_cart(folder.path(), cart).ok());
  const auto output =
      cart_output(folder, std::string(kSections) + "[check.\"caution.reach_safe\"]\nboxes = 1\nrollouts = 1\n");
  ASSERT_TRUE(output.ok()) << output.error().text();
  const stats::Estimate& broken = figure(*output, "broken", "cart");
  if (broken.value == 0.5) {
    EXPECT_EQ(broken.low(), 0);
    EXPECT_EQ(broken.high(), 1);
    ASSERT_EQ(output->findings.size(), 1U);
    EXPECT_THAT(output->findings[0].title, HasSubstr("is not decided"));
  } else {
    ADD_FAILURE() << "decided: " << broken.value << ", the test needs another wall";
  }
}

TEST(ReachSafeCheck, ANetworkThatIsNotHashedIsRefused) {
  const testing::TempFolder folder;
  ASSERT_TRUE(write_cart(folder.path()).ok());
  const auto output = cart_output(folder, "[loop.cart]\npath = \"loop.toml\"\n");
  ASSERT_FALSE(output.ok());
  EXPECT_THAT(output.error().text(), HasSubstr("'networks' does not hold it"));
}

TEST(ShieldCheck, TheWayThroughTheVaseLoses) {
  const auto bad = planted_output(shield(), true);
  ASSERT_TRUE(bad.ok()) << bad.error().text();
  EXPECT_NEAR(figure(*bad, "violation", "w").value, 1, 1e-9);
  EXPECT_EQ(figure(*bad, "violation_shielded", "w").value, 0);
  EXPECT_GT(figure(*bad, "interference", "w").value, 0);
  ASSERT_EQ(bad->findings.size(), 1U);
  EXPECT_THAT(bad->findings[0].next_step, HasSubstr("behind the shield"));
  const auto good = planted_output(shield(), false);
  ASSERT_TRUE(good.ok()) << good.error().text();
  EXPECT_EQ(figure(*good, "violation", "w").value, 0);
  EXPECT_EQ(figure(*good, "interference", "w").value, 0);
  EXPECT_TRUE(good->findings.empty());
}

// A check that detects with probability 0.9 passes 40 of 40 once in 67 runs.
TEST(ReachChecksStatistical, FixturesAreToldApart) {
  for (const check::Entry& entry : {reach_safe(), shield()}) {
    const auto count = testing::count_fixtures(entry, 40);
    EXPECT_EQ(count.detected, 40) << entry.info.id << ' ' << count.example_problem;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_EQ(count.abstentions, 0) << entry.info.id;
  }
}

}  // namespace
}  // namespace plumbline::checks::caution

// The split of regret: sums exactly, gives single faults their part, treats alike what acts alike.

#include "plumbline/agent/attribution.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/caution/rules.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

TEST(Attribution, SharesSumToTheRegret) {
  base::Rng rng(1, {"attribution"});
  for (int trial = 0; trial < 200; ++trial) {
    SwappedRegrets regrets{};
    for (std::size_t i = 0; i + 1 < regrets.size(); ++i) regrets[i] = rng.exponential() * 100;
    const Attribution split = attribute_regret(regrets).value();
    EXPECT_NEAR(split.share[0] + split.share[1] + split.share[2], regrets[0], 1e-12 * 100);
    // By the definition: the mean over the six orders in which the parts are mended.
    const std::array<std::array<std::size_t, 3>, 6> orders = {
        {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
    std::array<double, 3> mean{};
    for (const auto& order : orders) {
      std::size_t mended = 0;
      for (const std::size_t p : order) {
        mean[p] += (regrets[mended] - regrets[mended | (std::size_t{1} << p)]) / 6;
        mended |= std::size_t{1} << p;
      }
    }
    for (std::size_t p = 0; p < 3; ++p) EXPECT_NEAR(split.share[p], mean[p], 1e-10);
  }
}

TEST(Attribution, OneFaultGetsAllOfIt) {
  for (std::size_t part = 0; part < 3; ++part) {
    for (const double size : {0.1, 1.0 / 3, 7.7, 1e9}) {
      SwappedRegrets regrets{};
      for (std::size_t i = 0; i < 8; ++i) regrets[i] = (i >> part & 1U) != 0 ? 0 : size;
      const Attribution split = attribute_regret(regrets).value();
      for (std::size_t p = 0; p < 3; ++p) EXPECT_DOUBLE_EQ(split.share[p], p == part ? size : 0);
    }
  }
}

TEST(Attribution, AlikePartsShareAlike) {
  // Regret goes as soon as either beliefs or values are mended.
  SwappedRegrets regrets{};
  for (std::size_t i = 0; i < 8; ++i) regrets[i] = (i & 3U) != 0 ? 0 : 6;
  const Attribution split = attribute_regret(regrets).value();
  EXPECT_DOUBLE_EQ(split.share[0], 3);
  EXPECT_DOUBLE_EQ(split.share[1], 3);
  EXPECT_DOUBLE_EQ(split.share[2], 0);
}

Choice honest(const decision::DecisionRule& expected) {
  Choice c;
  c.true_belief = c.believed = {0.5, 0.5};
  c.true_values.resize(2, 2);
  c.true_values << 4, 1, 0, 1;  // option 0 is worth 2, option 1 is worth 1
  c.values = c.true_values;
  c.rule = c.true_rule = &expected;
  return c;
}

TEST(Attribution, ChoicesWithOnePlantedFault) {
  const auto expected = caution::parse_rule("expected").value();
  const auto maximin = caution::parse_rule("maximin").value();
  EXPECT_EQ(attribute_choice(honest(*expected))->regret, 0);

  Choice beliefs = honest(*expected);
  beliefs.believed = {0.1, 0.9};
  Attribution split = attribute_choice(beliefs).value();
  EXPECT_DOUBLE_EQ(split.regret, 1);
  EXPECT_DOUBLE_EQ(split.share[0], 1);
  EXPECT_DOUBLE_EQ(split.share[1], 0);
  EXPECT_DOUBLE_EQ(split.share[2], 0);

  Choice values = honest(*expected);
  values.values(0, 1) = 9;
  split = attribute_choice(values).value();
  EXPECT_DOUBLE_EQ(split.share[1], 1);
  EXPECT_DOUBLE_EQ(split.share[0], 0);

  Choice rule = honest(*expected);
  rule.rule = maximin.get();
  split = attribute_choice(rule).value();
  EXPECT_NEAR(split.share[2], 1, 1e-12);
  EXPECT_NEAR(split.share[0], 0, 1e-12);
  EXPECT_THAT(attribution_text(split), HasSubstr("regret 1: beliefs 0, values 0, rule 1"));
}

TEST(Attribution, FaultsTogetherAreSplitAndSum) {
  const auto expected = caution::parse_rule("expected").value();
  const auto maximin = caution::parse_rule("maximin").value();
  base::Rng rng(2, {"attribution"});
  for (int trial = 0; trial < 40; ++trial) {
    Choice c;
    c.values.resize(3, 4);
    c.true_values.resize(3, 4);
    for (std::ptrdiff_t i = 0; i < 12; ++i) {
      c.true_values.data()[i] = rng.normal();
      c.values.data()[i] = c.true_values.data()[i] + rng.normal();
    }
    const double p = rng.uniform();
    const double q = rng.uniform();
    c.believed = {p / 2, p / 2, 1 - p};
    c.true_belief = {q / 2, q / 2, 1 - q};
    c.rule = maximin.get();
    c.true_rule = expected.get();
    const Attribution split = attribute_choice(c).value();
    EXPECT_GE(split.regret, -1e-12);
    EXPECT_NEAR(split.unexplained, 0, 1e-12);
    EXPECT_NEAR(split.share[0] + split.share[1] + split.share[2], split.regret, 1e-12);
  }
}

TEST(Attribution, AsksForEachCombinationOnce) {
  int asked = 0;
  const Attribution split = attribute_regret([&](bool beliefs, bool values, bool rule) -> base::Result<double> {
                              ++asked;
                              return (beliefs ? 0 : 1) + (values ? 0 : 2) + (rule ? 0 : 4);
                            }).value();
  EXPECT_EQ(asked, 8);
  EXPECT_DOUBLE_EQ(split.share[0], 1);
  EXPECT_DOUBLE_EQ(split.share[1], 2);
  EXPECT_DOUBLE_EQ(split.share[2], 4);
}

TEST(Attribution, RefusesNonsense) {
  SwappedRegrets regrets{};
  regrets[3] = std::nan("");
  EXPECT_THAT(attribute_regret(regrets).error().text(), HasSubstr("regrets"));
  const auto expected = caution::parse_rule("expected").value();
  Choice c = honest(*expected);
  c.rule = nullptr;
  EXPECT_THAT(attribute_choice(c).error().text(), HasSubstr("a rule is missing"));
  c = honest(*expected);
  c.true_values.conservativeResize(2, 1);
  EXPECT_EQ(attribute_choice(c).error().code, base::Code::kShape);
}

}  // namespace
}  // namespace plumbline::agent

// The adapter on its fixtures, on a graph that rounds, and where it cannot decide.

#include <algorithm>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/graph/onnx.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::methodology {
namespace {

using ::testing::HasSubstr;

// Eight pairs: rates over 400 are in docs/checks/rates.md.
TEST(ObfuscatedGradients, DefectsAreRefutedAndControlsAreNot) {
  const auto count = plumbline::testing::count_fixtures(obfuscated_gradients(), 8);
  EXPECT_EQ(count.detected, 8) << count.example_problem;
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_EQ(count.abstentions, 0) << count.example_problem;
}

void write_fixture(const plumbline::testing::TempFolder& folder, bool defect) {
  base::Rng rng(3, {"written"});
  const check::Fixtures& fixtures = obfuscated_gradients().fixtures;
  ASSERT_TRUE((defect ? fixtures.defect : fixtures.control)(folder.path(), rng).ok());
}

check::Output run(const plumbline::testing::TempFolder& folder) {
  auto output = plumbline::testing::run_check(obfuscated_gradients(), folder.path());
  EXPECT_TRUE(output.ok()) << output.error().text();
  return output.ok() ? *output : check::Output{};
}

double value(const check::Output& output, const std::string& metric, std::map<std::string, std::string> where = {}) {
  where["data"] = "test";
  const check::Evidence* found = plumbline::testing::find(output, metric, where);
  EXPECT_NE(found, nullptr) << metric;
  return found != nullptr ? found->estimate.value : -1;
}

TEST(ObfuscatedGradients, SignsFindingAndChecklist) {
  plumbline::testing::TempFolder folder;
  write_fixture(folder, true);
  const check::Output output = run(folder);
  EXPECT_GE(value(output, "masked_share"), 0.9);
  EXPECT_GE(value(output, "sign_share", {{"sign", "unbounded"}}), 0.9);
  EXPECT_GE(value(output, "flat_share"), 0.9);
  ASSERT_EQ(output.findings.size(), 1U);
  EXPECT_THAT(output.findings[0].detail, HasSubstr("no success without a bound"));
  const auto checklist = std::find_if(output.artifacts.begin(), output.artifacts.end(),
                                      [](const check::Artifact& a) { return a.id.ends_with("checklist"); });
  ASSERT_NE(checklist, output.artifacts.end());
  const auto& states = std::get<std::vector<std::string>>(checklist->columns[0].values);
  ASSERT_EQ(states.size(), 25U);
  EXPECT_EQ(states.front(), "not run");
  EXPECT_EQ(states.back(), "run");
}

/// Puts a node before the network, or changes the operator of one.
void edit(const plumbline::testing::TempFolder& folder, const std::string& first, const std::string& bend) {
  graph::Graph model = *graph::read_onnx(folder.file("reader.onnx"));
  if (!first.empty()) {
    // A hundred levels: x -> round(100 x) / 100.
    model.initializers["many"] = {.type = graph::Type::kFloat, .shape = {}, .reals = {100}, .integers = {}};
    model.nodes[0].inputs[0] = "snapped";
    model.nodes.insert(model.nodes.begin(), {{"up", "Mul", {"x", "many"}, {"scaled"}, {}},
                                             {"snap", first, {"scaled"}, {"whole"}, {}},
                                             {"down", "Div", {"whole", "many"}, {"snapped"}, {}}});
  }
  for (graph::Node& node : model.nodes) {
    if (node.name == "step" && !bend.empty()) node.op = bend;
  }
  ASSERT_TRUE(graph::write_onnx(model, folder.file("reader.onnx")).ok());
}

// The control with its inputs rounded to a hundred levels: its own gradient is zero, a stand-in's is not.
TEST(ObfuscatedGradients, AGraphThatRoundsIsCaughtAndBrokenByItsStandIn) {
  plumbline::testing::TempFolder folder;
  write_fixture(folder, false);
  edit(folder, "Round", "");
  const check::Output output = run(folder);
  EXPECT_GE(value(output, "masked_share"), 0.9);
  EXPECT_EQ(value(output, "flat_share"), 1);
  ASSERT_EQ(output.findings.size(), 1U);
  EXPECT_THAT(output.findings[0].detail, HasSubstr("node 'snap' (Round)"));
  EXPECT_THAT(output.findings[0].detail, HasSubstr("60 of 60 rows are turned"));
}

TEST(ObfuscatedGradients, WithoutGradientsItEndsWithTheReason) {
  plumbline::testing::TempFolder folder;
  write_fixture(folder, false);
  edit(folder, "", "Softplus");
  const auto output = plumbline::testing::run_check(obfuscated_gradients(), folder.path());
  ASSERT_FALSE(output.ok());
  EXPECT_THAT(output.error().text(), HasSubstr("could not decide"));
  EXPECT_THAT(output.error().text(), HasSubstr("Softplus"));
}

}  // namespace
}  // namespace plumbline::checks::methodology

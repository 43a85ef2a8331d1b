#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/onnx.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::methodology {
namespace {

using ::testing::HasSubstr;

TEST(DeterminismCheck, FixturesAreToldApart) {
  const auto count = testing::count_fixtures(determinism(), 20);
  EXPECT_EQ(count.detected, 20);
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_EQ(count.abstentions, 0) << count.example_problem;
}

TEST(DeterminismCheck, AModelThatRunsIsRepeatedInProcess) {
  testing::TempFolder folder;
  base::Rng rng(1, {"determinism"});
  ASSERT_TRUE(gradient().fixtures.control(folder.path(), rng).ok());  // an ONNX model and its test rows
  std::string manifest = testing::read_file(folder.file("system.toml"));
  manifest.replace(manifest.find("methodology.gradient"), 20, "methodology.determinism");
  manifest.replace(manifest.find("relative_gap"), 12, "flip_share");
  testing::write_file(folder.file("system.toml"), manifest);
  const auto output = testing::run_check(determinism(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_EQ(output->evidence.size(), 8U);  // two metrics for again, order, batch and any
  for (const auto& evidence : output->evidence) {
    EXPECT_EQ(evidence.estimate.value, 0) << evidence.metric;
    EXPECT_EQ(evidence.estimate.exactness, stats::Exactness::kExact);
    EXPECT_EQ(evidence.where.at("data"), "test");
  }
  EXPECT_TRUE(output->findings.empty());
}

TEST(GradientCheck, FixturesDifferInGradientAlone) {
  // The cast leaves the forward pass as it is, to fifteen digits.
  for (int seed = 0; seed < 5; ++seed) {
    testing::TempFolder blind;
    testing::TempFolder clear;
    base::Rng a(static_cast<std::uint64_t>(seed), {"pair"});
    base::Rng b(static_cast<std::uint64_t>(seed), {"pair"});
    ASSERT_TRUE(gradient().fixtures.defect(blind.path(), a).ok());
    ASSERT_TRUE(gradient().fixtures.control(clear.path(), b).ok());
    const graph::Graph with = graph::read_onnx(blind.file("model.onnx")).value();
    const graph::Graph without = graph::read_onnx(clear.file("model.onnx")).value();
    graph::Tensor x{.type = graph::Type::kFloat, .shape = {4, 8}, .reals = {}, .integers = {}};
    for (int i = 0; i < 32; ++i) x.reals.push_back(a.normal());
    const auto y = graph::interpret(with, {{"x", x}}).value().at("logits").reals;
    const auto z = graph::interpret(without, {{"x", x}}).value().at("logits").reals;
    ASSERT_EQ(y.size(), z.size());
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], z[i], 1e-13);
  }
}

TEST(GradientCheck, SaysWhyItDoesNotApply) {
  check::Blueprint blueprint;
  const check::Params params = check::resolve_params(gradient().info, {}).value();
  EXPECT_THAT(gradient().plan(blueprint, params).not_applicable, HasSubstr("no set of role test"));
  blueprint.data["test"].role = data::Role::kTest;
  EXPECT_THAT(gradient().plan(blueprint, params).not_applicable, HasSubstr("names no model"));
  blueprint.models["m"] = {.name = "m",
                           .kind = "stored",
                           .output = "logits",
                           .task = "classification",
                           .runs = false,
                           .has_gradient = false,
                           .stored_for = {"test"}};
  EXPECT_THAT(gradient().plan(blueprint, params).not_applicable, HasSubstr("stored predictions only"));
  EXPECT_THAT(determinism().plan(blueprint, check::resolve_params(determinism().info, {}).value()).not_applicable,
              HasSubstr("name another run"));
  EXPECT_THAT(
      determinism()
          .plan(blueprint, check::resolve_params(determinism().info, {{"against", std::string("none")}}).value())
          .not_applicable,
      HasSubstr("'none'"));
  blueprint.models["m"].runs = true;
  EXPECT_THAT(gradient().plan(blueprint, params).not_applicable, HasSubstr("hands out no gradient"));
  blueprint.with_torch = false;
  EXPECT_THAT(gradient().plan(blueprint, params).not_applicable, HasSubstr("no LibTorch"));
  blueprint.models["m"].has_gradient = true;
  const check::Plan plan = gradient().plan(blueprint, params);
  ASSERT_EQ(plan.tasks.size(), 1U);
  EXPECT_EQ(plan.tasks[0].subject, "m@test");
}

}  // namespace
}  // namespace plumbline::checks::methodology

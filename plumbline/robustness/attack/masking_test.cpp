// Broken defences, caught by the five signs and broken by what is known to break them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/robustness/attack/defences.hpp"
#include "plumbline/robustness/attack/masking.hpp"
#include "tests/support/networks.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

/// Two patterns of 4 x 4 pixels, told apart by the sum of the upper half less that of the lower; a hidden layer that
/// changes nothing.
struct Patterns {
  Network network;
  std::vector<std::vector<double>> x;
  std::vector<AttackCase> cases;
  ImageShape shape{1, 4, 4, false};
};

Patterns patterns(base::Rng& rng, std::size_t count) {
  Patterns out;
  graph::Graph graph{.name = "patterns", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 16}}};
  std::vector<double> first, second = {-2, 2, 2, -2, 0.01, -0.01};
  for (int i = 0; i < 16; ++i) {
    const double side = i < 8 ? 1 : -1;
    first.insert(first.end(), {side, -side, 0.1 * rng.normal()});
  }
  graph.initializers["w1"] = testing::floats({16, 3}, first);
  graph.initializers["w2"] = testing::floats({3, 2}, second);
  graph.nodes = {{"one", "MatMul", {"x", "w1"}, {"h"}, {}},
                 {"bend", "Relu", {"h"}, {"a"}, {}},
                 {"two", "MatMul", {"a", "w2"}, {"y"}, {}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 2}}};
  out.network = *lower(graph);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> x(16);
    for (std::size_t p = 0; p < 16; ++p)
      x[p] = std::clamp(0.5 + ((p < 8) == (i % 2 == 0) ? -0.1 : 0.1) + 0.02 * rng.normal(), 0.0, 1.0);
    out.x.push_back(std::move(x));
  }
  for (std::size_t i = 0; i < count; ++i) out.cases.push_back({out.x[i], static_cast<int>(i % 2 == 0 ? 0 : 1), i});
  // Label 1 where the upper half is brighter.
  for (AttackCase& example : out.cases) {
    const auto y = forward(out.network, example.x, 1).back();
    example.label = y[1] > y[0] ? 1 : 0;
  }
  return out;
}

Threat threat(double epsilon, const ImageShape& shape) {
  return {Norm::kLinf, epsilon, std::vector<double>(16, 0.0), std::vector<double>(16, 1.0), shape};
}

double masked(const Masking& masking) {
  double any = 0;
  double clean = 0;
  for (const MaskedRow& row : masking.rows) {
    clean += row.clean ? 1 : 0;
    any += row.any() ? 1 : 0;
  }
  return clean > 0 ? any / clean : -1;
}

double shown(const Masking& masking, MaskingSign sign) {
  double count = 0;
  for (const MaskedRow& row : masking.rows) count += row.shown[static_cast<std::size_t>(sign)] ? 1 : 0;
  return count / static_cast<double>(masking.rows.size());
}

std::size_t fallen(const Target& target, const Threat& t, std::span<const AttackCase> cases) {
  const std::vector<Attack> attacks = {pgd({.steps = 30, .first_step = 0.1, .last_step = 0.1})};
  std::vector<ExampleRecord> records;
  EXPECT_TRUE(run_suite({.target = &target, .threat = &t}, cases, attacks, 1, {}, records).ok());
  return static_cast<std::size_t>(std::count_if(records.begin(), records.end(),
                                                [&](const ExampleRecord& record) { return record.fallen(t.epsilon); }));
}

TEST(Masking, NetworksWithoutADefenceShowNoSign) {
  base::Rng rng(1, {"masking"});
  const Patterns p = patterns(rng, 20);
  const NetworkTarget target(p.network);
  for (const double epsilon : {0.05, 0.15}) {
    const Threat t = threat(epsilon, p.shape);
    const auto found = find_masking({.target = &target, .threat = &t}, p.cases, 1);
    ASSERT_TRUE(found.ok()) << found.error().text();
    EXPECT_EQ(masked(*found), 0) << epsilon;
    EXPECT_FALSE(found->rows[0].varies);
    ASSERT_EQ(found->trials.size(), 7U);
    EXPECT_EQ(found->trials[4].found, found->trials[4].tried);  // the whole range turns all
  }
}

TEST(Masking, RoundedInputsAreCaughtAndFallToAStandIn) {
  base::Rng rng(2, {"masking"});
  const Patterns p = patterns(rng, 20);
  const NetworkTarget network(p.network);
  const QuantisedTarget defended(network, 0, 1, 21, false);
  const QuantisedTarget broken(network, 0, 1, 21, true);
  const Threat t = threat(0.15, p.shape);
  const auto found = find_masking({.target = &defended, .threat = &t}, p.cases, 1);
  ASSERT_TRUE(found.ok()) << found.error().text();
  EXPECT_GE(masked(*found), 0.9);
  EXPECT_GE(shown(*found, MaskingSign::kUnbounded), 0.5);
  EXPECT_GE(shown(*found, MaskingSign::kBlackBox), 0.5);
  EXPECT_TRUE(found->rows[0].flat_start);
  EXPECT_EQ(fallen(broken, t, p.cases), 20U);
  EXPECT_LE(fallen(defended, t, p.cases), 5U);
}

TEST(Masking, SaturationIsCaughtAndFallsBelowTheSoftmax) {
  base::Rng rng(3, {"masking"});
  const Patterns p = patterns(rng, 20);
  const NetworkTarget network(p.network);
  const SaturatedTarget defended(network, 1000);
  const Threat t = threat(0.15, p.shape);
  const auto found = find_masking({.target = &defended, .threat = &t}, p.cases, 1);
  ASSERT_TRUE(found.ok()) << found.error().text();
  EXPECT_GE(masked(*found), 0.9);
  EXPECT_TRUE(found->rows[0].flat_start);
  EXPECT_EQ(fallen(network, t, p.cases), 20U);
  EXPECT_LE(fallen(defended, t, p.cases), 5U);
}

TEST(Masking, RandomCropsAreCaughtByTheirAnswersAndFallToAverages) {
  base::Rng rng(4, {"masking"});
  const Patterns p = patterns(rng, 16);
  const NetworkTarget network(p.network);
  const CropTarget crops(network, p.shape, 1, 0.5);
  // Gradient of the mean over all nine moves, against differences.
  const AveragedTarget mean(crops, 8);
  EXPECT_TRUE(mean.random());
  EXPECT_EQ(mean.evaluations(), 8U);
  const std::vector<base::Rng> noise = {base::Rng(7)};
  const std::vector<double> seeds = {1, -0.5};
  const Pass pass = *mean.forward(p.x[0], 1, noise);
  const std::vector<double> gradient = *mean.backward(pass, seeds);
  for (std::size_t i = 0; i < 16; ++i) {
    std::vector<double> up = p.x[0], down = p.x[0];
    up[i] += 1e-6;
    down[i] -= 1e-6;
    const auto a = mean.forward(up, 1, noise)->scores;
    const auto b = mean.forward(down, 1, noise)->scores;
    EXPECT_NEAR(gradient[i], (a[0] - b[0] - 0.5 * (a[1] - b[1])) / 2e-6, 1e-5);
  }
  const Threat t = threat(0.15, p.shape);
  const auto found =
      find_masking({.target = &crops, .threat = &t}, p.cases, 1, {.steps = 5, .queries = 10, .noise = 4});
  ASSERT_TRUE(found.ok()) << found.error().text();
  const auto varying =
      std::count_if(found->rows.begin(), found->rows.end(), [](const MaskedRow& row) { return row.varies; });
  EXPECT_GE(varying, 15);  // four draws of nine moves agree once in a thousand
  EXPECT_GE(fallen(mean, t, p.cases), 15U);
  // The same stream gives the same answer, another one another.
  EXPECT_EQ(mean.forward(p.x[0], 1, noise)->scores, pass.scores);
  EXPECT_NE(mean.forward(p.x[0], 1, std::vector<base::Rng>{base::Rng(8)})->scores, pass.scores);
}

TEST(Masking, RoundingStepsOfAGraphAreFoundAndLeftOut) {
  base::Rng rng(5, {"masking"});
  graph::Graph graph = testing::dense_graph({4, 6, 3}, "Relu", rng);
  EXPECT_FALSE(without_rounding(graph).has_value());
  graph.nodes.insert(graph.nodes.begin(), {"snap", "Round", {"x"}, {"xr"}, {}});
  graph.nodes[1].inputs[0] = "xr";
  EXPECT_FALSE(lower_classifier(graph).ok());
  const auto without = without_rounding(graph);
  ASSERT_TRUE(without.has_value());
  EXPECT_THAT(without->places, ::testing::ElementsAre("node 'snap' (Round)"));
  EXPECT_TRUE(lower_classifier(without->graph).ok());
}

TEST(Masking, WithoutGradientsThereIsNothingToCompare) {
  class Answers final : public Target {
   public:
    std::size_t inputs() const override { return 16; }
    std::size_t classes() const override { return 2; }
    bool has_gradient() const override { return false; }
    base::Result<Pass> forward(std::span<const double>, std::size_t count, std::span<const base::Rng>) const override {
      Pass pass;
      pass.count = count;
      pass.scores.assign(2 * count, 0.0);
      return pass;
    }
  };
  const Answers target;
  const Threat t = threat(0.1, {1, 4, 4, false});
  const auto refused = find_masking({.target = &target, .threat = &t}, {}, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, base::Code::kUnsupported);
  EXPECT_FALSE(target.backward({}, {}).ok());
}

TEST(Checklist, AllItemsOnceWithWhatIsMissingFirst) {
  const auto nothing = checklist({});
  ASSERT_EQ(nothing.size(), 25U);
  std::set<int> numbers;
  for (const ChecklistItem& item : nothing) {
    numbers.insert(item.number);
    EXPECT_NE(item.state, ItemState::kRun);
    EXPECT_NE(item.state, ItemState::kPartly);
    EXPECT_FALSE(item.how.empty()) << item.number;
  }
  EXPECT_EQ(numbers.size(), 25U);
  EXPECT_EQ(nothing.front().state, ItemState::kMissing);
  EXPECT_EQ(nothing.back().state, ItemState::kPeople);
  const auto some = checklist({Deed::kCleanAccuracy, Deed::kNoise, Deed::kPerExample});
  const auto state = [&](int number) {
    return std::find_if(some.begin(), some.end(), [&](const auto& item) { return item.number == number; })->state;
  };
  EXPECT_EQ(state(5), ItemState::kRun);
  EXPECT_EQ(state(25), ItemState::kRun);
  EXPECT_EQ(state(20), ItemState::kPartly);
  EXPECT_EQ(state(12), ItemState::kMissing);
  EXPECT_EQ(some.back().state, ItemState::kRun);
}

}  // namespace
}  // namespace plumbline::robustness

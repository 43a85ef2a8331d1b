// Changes of pictures: geometry, bounds of the factors, the place of the patch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/robustness/attack/transforms.hpp"
#include "tests/support/networks.hpp"

namespace plumbline::robustness {
namespace {

TEST(Transforms, RotationAndMoves) {
  const ImageShape shape{2, 3, 3, false};
  std::vector<double> x(18);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
  EXPECT_EQ(rotate_and_move(shape, x, 0, 0, 0, -1), x);
  const auto moved = rotate_and_move(shape, x, 0, 1, 0, -1);  // a row down
  EXPECT_EQ(moved[shape.at(0, 0, 1)], -1);
  EXPECT_EQ(moved[shape.at(1, 2, 2)], x[shape.at(1, 1, 2)]);
  const auto half = rotate_and_move(shape, x, 0, 0, 0.5, -1);
  EXPECT_DOUBLE_EQ(half[shape.at(0, 1, 1)], 0.5 * (x[shape.at(0, 1, 0)] + x[shape.at(0, 1, 1)]));
  const auto turned = rotate_and_move(shape, x, 180, 0, 0, -1);
  EXPECT_EQ(turned[shape.at(0, 0, 0)], x[shape.at(0, 2, 2)]);
  auto four = x;
  for (int quarter = 0; quarter < 4; ++quarter) four = rotate_and_move(shape, four, 90, 0, 0, -1);
  EXPECT_EQ(four, x);
  // Anticlockwise: what was on the right comes to the top.
  EXPECT_EQ(rotate_and_move(shape, x, 90, 0, 0, -1)[shape.at(0, 0, 1)], x[shape.at(0, 1, 2)]);
}

/// Class 1 where the pixel in the middle is brighter than 0.5.
struct Middle {
  Network network;
  std::vector<double> x = std::vector<double>(25, 0.0);
  ImageShape shape{1, 5, 5, false};
  Threat threat{Norm::kLinf, 1, std::vector<double>(25, 0.0), std::vector<double>(25, 1.0), shape};
  Middle() {
    graph::Graph graph{.name = "middle", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
    graph.inputs = {{"x", graph::Type::kDouble, {-1, 25}}};
    std::vector<double> w(50, 0.0);
    w[25] = 2;
    graph.initializers["w"] = testing::floats({25, 2}, w);
    graph.initializers["b"] = testing::floats({2}, {0, -1});
    graph.nodes = {{"gemm", "Gemm", {"x", "w", "b"}, {"y"}, {}}};
    graph.outputs = {{"y", graph::Type::kDouble, {-1, 2}}};
    network = *lower(graph);
    x[12] = 1;
  }
};

AttackOutcome one(const Attack& attack, const Middle& m, int label) {
  const NetworkTarget target(m.network);
  const AttackCase example{m.x, label, 3};
  auto outcome = attack.run({.target = &target, .threat = &m.threat}, std::span(&example, 1), base::Rng(1));
  EXPECT_TRUE(outcome.ok()) << outcome.error().text();
  return outcome.ok() ? (*outcome)[0] : AttackOutcome{};
}

TEST(Transforms, WhatIsFoundIsWhatTheThreatAllows) {
  const Middle m;
  // The bright pixel moves away by one pixel, not by a quarter.
  EXPECT_TRUE(one(spatial({.degrees = 0, .pixels = 1}), m, 1).found);
  EXPECT_FALSE(one(spatial({.degrees = 0, .pixels = 0.25}), m, 1).found);
  EXPECT_FALSE(one(spatial({.degrees = 45, .pixels = 0}), m, 1).found);  // the middle stays the middle
  // A scale of 0.4 and a shift of -0.2 leave 1 * 0.6 - 0.2 = 0.4; half of each leaves 0.7.
  EXPECT_TRUE(one(colour({.scale = 0.4, .shift = 0.2}), m, 1).found);
  EXPECT_FALSE(one(colour({.scale = 0.2, .shift = 0.1}), m, 1).found);
  const AttackOutcome patched = one(patch({.side = 2}), m, 1);
  ASSERT_TRUE(patched.found);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < 25; ++i) changed += patched.x[i] != m.x[i] ? 1 : 0;
  EXPECT_LE(changed, 4U);
  EXPECT_LT(patched.x[12], 0.5);
}

TEST(Transforms, AnUnboundedRangeIsRefused) {
  Middle m;
  m.threat.high[3] = std::numeric_limits<double>::infinity();
  const NetworkTarget target(m.network);
  const AttackCase example{m.x, 1, 3};
  const auto refused = colour().run({.target = &target, .threat = &m.threat}, std::span(&example, 1), base::Rng(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), ::testing::HasSubstr("bounded range"));
}

}  // namespace
}  // namespace plumbline::robustness

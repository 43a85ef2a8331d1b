// Bounds, attacks, search and checker against enumeration, linear programs and each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plumbline/base/parallel.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/proof/replay.hpp"
#include "plumbline/robustness/proof/verify.hpp"
#include "plumbline/world/linear_program.hpp"
#include "tests/support/networks.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using graph::Graph;
using Shape = std::vector<std::int64_t>;
using graph::Tensor;
using testing::dense_graph;
using testing::floats;
using ::testing::HasSubstr;
using testing::random_floats;

/// Convolution, batch normalisation, residual, pools, clip, concatenation: what lowering holds beside dense layers.
Graph image_graph(base::Rng& rng, const std::string& activation) {
  Graph graph{.name = "image", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 1, 6, 6}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 3}}};
  auto& w = graph.initializers;
  w["mean"] = floats({1}, {0.25});
  w["scale"] = floats({1}, {3});
  w["k1"] = random_floats({2, 1, 3, 3}, rng, 0.4);
  w["b1"] = random_floats({2}, rng, 0.2);
  w["k2"] = random_floats({2, 1, 3, 3}, rng, 0.4);
  w["gamma"] = floats({2}, {1.25, -0.75});
  w["beta"] = floats({2}, {0.1, 0.2});
  w["mu"] = floats({2}, {0.05, -0.1});
  w["var"] = floats({2}, {0.7, 1.3});
  w["shape"] = {.type = graph::Type::kInt64, .shape = {2}, .reals = {}, .integers = {0, -1}};
  w["lo"] = floats({}, {-0.5});
  w["hi"] = floats({}, {0.75});
  w["w"] = random_floats({20, 3}, rng, 0.4);
  using Ints = std::vector<std::int64_t>;
  graph.nodes = {{"centre", "Sub", {"x", "mean"}, {"x1"}, {}},
                 {"widen", "Div", {"x1", "scale"}, {"x2"}, {}},
                 {"c1", "Conv", {"x2", "k1", "b1"}, {"z1"}, {{"pads", Ints{1, 1, 1, 1}}}},
                 {"a1", activation, {"z1"}, {"h1"}, {}},
                 {"c2", "Conv", {"h1", "k2"}, {"z2"}, {{"pads", Ints{1, 1, 1, 1}}, {"group", std::int64_t{2}}}},
                 {"bn", "BatchNormalization", {"z2", "gamma", "beta", "mu", "var"}, {"n2"}, {}},
                 {"res", "Add", {"n2", "h1"}, {"r"}, {}},
                 {"a2", activation, {"r"}, {"h2"}, {}},
                 {"max", "MaxPool", {"h2"}, {"p"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
                 {"avg", "GlobalAveragePool", {"h2"}, {"g"}, {}},
                 {"clip", "Clip", {"p", "lo", "hi"}, {"c"}, {}},
                 {"flat", "Reshape", {"c", "shape"}, {"f"}, {}},
                 {"flat2", "Flatten", {"g"}, {"f2"}, {}},
                 {"join", "Concat", {"f", "f2"}, {"j"}, {{"axis", std::int64_t{1}}}},
                 {"out", "MatMul", {"j", "w"}, {"y"}, {}}};
  return graph;
}

Network lowered(const Graph& graph) {
  auto network = lower(graph);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().text());
  return network.ok() ? std::move(network).value() : Network{};
}

Box cube(std::size_t n, double low, double high) { return {std::vector<double>(n, low), std::vector<double>(n, high)}; }

/// Unsafe where output 0 is at least `threshold`, over a cube.
Property threshold(std::size_t inputs, std::size_t outputs, double low, double high, double bound) {
  Property p;
  p.name = "threshold";
  p.inputs = inputs;
  p.outputs = outputs;
  p.boxes.push_back(
      {std::vector<Enclosed>(inputs, {low, low, low}), std::vector<Enclosed>(inputs, {high, high, high})});
  p.cases.push_back({0, {{.x = {}, .y = {{0, -1.0}}, .bound = {-bound, -bound, -bound}, .strict = false}}});
  return p;
}

/// a x <= bound.
struct Cut {
  std::vector<double> a;
  double bound = 0;
};

/// The largest output 0 of a network of one hidden layer over a cube, cut: one linear program for each pattern of
/// signs.
double exact_maximum(const Network& network, double low, double high, const std::vector<Cut>& cuts = {}) {
  const Affine& first = network.steps[1].affine;
  const Affine& last = network.steps.back().affine;
  double best = -1e300;
  for (std::size_t pattern = 0; pattern < (std::size_t{1} << first.rows); ++pattern) {
    world::LinearProgram program(world::LinearProgram::Sense::kMaximise);
    std::vector<double> cost(first.columns, 0.0);
    double constant = last.bias[0];
    for (std::size_t j = 0; j < first.columns; ++j) program.add_variable(0, low, high);
    for (std::size_t i = 0; i < first.rows; ++i) {
      const bool on = (pattern >> i & 1U) != 0;
      std::vector<world::LinearTerm> terms;
      for (std::size_t j = 0; j < first.columns; ++j) {
        terms.push_back({j, first.weights[i * first.columns + j]});
        if (on) cost[j] += last.weights[i] * first.weights[i * first.columns + j];
      }
      if (on) constant += last.weights[i] * first.bias[i];
      if (on) {
        program.add_at_least(terms, -first.bias[i]);
      } else {
        program.add_at_most(terms, -first.bias[i]);
      }
    }
    for (const Cut& cut : cuts) {
      std::vector<world::LinearTerm> terms;
      for (std::size_t j = 0; j < first.columns; ++j) terms.push_back({j, cut.a[j]});
      program.add_at_most(terms, cut.bound);
    }
    for (std::size_t j = 0; j < first.columns; ++j) program.set_cost(j, cost[j]);
    const auto solution = world::solve(program);
    if (solution.ok() && solution->status == world::LinearStatus::kOptimal)
      best = std::max(best, solution->value + constant);
  }
  return best;
}

TEST(ProofNetwork, LoweringAgreesWithTheInterpreterAndItsGradientWithDifferences) {
  base::Rng rng(1, {"lower"});
  for (const std::string activation : {"Relu", "Tanh", "Sigmoid", "Abs", "LeakyRelu"}) {
    const Graph graph = image_graph(rng, activation);
    const Network network = lowered(graph);
    ASSERT_EQ(network.outputs(), 3U);
    std::vector<double> rows(2 * 36);
    for (double& v : rows) v = rng.uniform(-1, 1);
    const auto values = forward(network, rows, 2);
    for (const std::size_t r : {0U, 1U}) {
      const std::vector<double> x(rows.begin() + r * 36, rows.begin() + r * 36 + 36);
      const auto want = graph::interpret(graph, {{"x", floats({1, 1, 6, 6}, x)}});
      ASSERT_TRUE(want.ok());
      for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(values.back()[r * 3 + j], want->at("y").reals[j], 1e-12);
      // A row's bits do not depend on the rows beside it.
      const auto alone = forward(network, x, 1).back();
      for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(alone[j], values.back()[r * 3 + j]);
    }
    const std::vector<double> seeds = {1, 0, 0, 0, 1, 0};
    const auto gradient = input_gradient(network, values, seeds, 2);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<double> moved = rows;
      constexpr double kStep = 1e-6;
      moved[i] += kStep;
      const auto more = forward(network, moved, 2).back();
      moved[i] -= 2 * kStep;
      const auto less = forward(network, moved, 2).back();
      const std::size_t out = i < 36 ? 0 : 4;
      EXPECT_NEAR(gradient[i], (more[out] - less[out]) / (2 * kStep), 1e-6) << activation << i;
    }
  }
}

TEST(ProofNetwork, WhatIsNotHeldIsRefusedByTheNameOfItsNode) {
  base::Rng rng(2, {"refuse"});
  Graph graph = dense_graph({2, 3, 2}, "Softplus", rng);
  auto got = lower(graph);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, base::Code::kUnsupported);
  EXPECT_THAT(got.error().text(), HasSubstr("'act0' (Softplus)"));
  graph = dense_graph({2, 3, 2}, "Relu", rng);
  graph.initializers["w0"].reals[0] = std::nan("");
  got = lower(graph);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().text(), HasSubstr("w0: holds a weight that is not finite"));
  graph = dense_graph({2, 2}, "Relu", rng);
  graph.nodes.push_back({"square", "Mul", {"z0", "z0"}, {"y"}, {}});
  graph.outputs[0].name = "y";
  got = lower(graph);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().text(), HasSubstr("'square' (Mul): a product of two changing values"));
  EXPECT_EQ(lower(dense_graph({2, 900, 2}, "Relu", rng), {.entries = 100}).error().code, base::Code::kLimit);
}

TEST(ProofNetwork, ABiasIsNotPutIntoAProductThatOthersRead) {
  base::Rng rng(3, {"shared"});
  Graph graph = dense_graph({2, 2}, "Relu", rng);
  graph.nodes = {{"p", "MatMul", {"x", "w0"}, {"p"}, {}},
                 {"q", "Add", {"p", "b0"}, {"q"}, {}},
                 {"y", "Sub", {"q", "p"}, {"y"}, {}}};
  graph.outputs[0].name = "y";
  const auto y = forward(lowered(graph), std::vector<double>{0.3, -0.7}, 1).back();
  for (const std::size_t j : {0U, 1U}) EXPECT_NEAR(y[j], graph.initializers["b0"].reals[j], 1e-15);
}

TEST(ProofBounds, ByHand) {
  // z = (x0 + x1, x0 - x1) on [-1, 1]^2, y = relu(z0) + relu(z1): intervals give [0, 4]; the chords give z/2 + 1 each,
  // so y <= x0 + 2 <= 3; the exact maximum is 2.
  Graph graph{.name = "hand", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 2}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 1}}};
  graph.initializers["w"] = floats({2, 2}, {1, 1, 1, -1});
  graph.initializers["v"] = floats({2, 1}, {1, 1});
  graph.nodes = {
      {"a", "MatMul", {"x", "w"}, {"z"}, {}}, {"b", "Relu", {"z"}, {"h"}, {}}, {"c", "MatMul", {"h", "v"}, {"y"}, {}}};
  const Network network = lowered(graph);
  const Bounder bounder(network);
  const Bounds bounds = *bounder.bound(cube(2, -1, 1));
  EXPECT_NEAR(bounds.upper.back()[0], 4, 1e-12);
  EXPECT_GE(bounds.upper.back()[0], 4);
  const LinearRows rows{.count = 1, .output = {-1}, .input = {}, .constant = {0}};
  const double lower = bounder.minimise(bounds, rows, {}).lower[0];
  EXPECT_NEAR(lower, -3, 1e-12);
  EXPECT_LE(lower, -3);
}

TEST(ProofBounds, LinearNetworksAreExact) {
  base::Rng rng(4, {"linear"});
  const Graph graph = dense_graph({4, 3}, "Relu", rng);
  const Network network = lowered(graph);
  const Bounder bounder(network);
  const Bounds bounds = *bounder.bound(cube(4, -0.5, 2));
  for (std::size_t j = 0; j < 3; ++j) {
    double want = graph.initializers.at("b0").reals[j];
    for (std::size_t i = 0; i < 4; ++i) {
      const double w = graph.initializers.at("w0").reals[i * 3 + j];
      want += w * (w > 0 ? 2 : -0.5);
    }
    EXPECT_NEAR(bounds.upper.back()[j], want, 1e-12);
    EXPECT_GE(bounds.upper.back()[j], want - 1e-15);
  }
}

TEST(ProofBounds, NoSampleLeavesThemAndEachMethodIsAsTightAsTheLast) {
  base::Rng rng(5, {"bounds"});
  for (const std::string activation : {"Relu", "Tanh", "Sigmoid", "Abs", "LeakyRelu"}) {
    for (int trial = 0; trial < 6; ++trial) {
      const Graph graph = trial % 2 == 0 ? dense_graph({3, 8, 8, 3}, activation, rng) : image_graph(rng, activation);
      const Network network = lowered(graph);
      const std::size_t n = network.inputs();
      const Bounder bounder(network);
      const double middle = rng.uniform(-0.5, 0.5);
      const double radius = trial < 3 ? 0.05 : 0.5;
      const Box box = cube(n, middle - radius, middle + radius);
      const Bounds intervals = *bounder.bound(box, {.method = BoundMethod::kIntervals});
      const Bounds linear = *bounder.bound(box);
      SlopeTable table;
      const Bounds best = *bounder.bound(box, {.method = BoundMethod::kOptimised}, &table);
      LinearRows rows{
          .count = 6, .output = std::vector<double>(18, 0.0), .input = {}, .constant = std::vector<double>(6, 0.0)};
      for (std::size_t r = 0; r < 6; ++r) rows.output[r * 3 + r / 2] = r % 2 == 0 ? 1 : -1;
      const auto crown = bounder.minimise(linear, rows, {}).lower;
      Slopes slopes;
      std::vector<double> none;
      const auto alpha = bounder.optimise(best, rows, slopes, {}, none, {}, 1e300).lower;
      for (std::size_t r = 0; r < 6; ++r) {
        EXPECT_GE(alpha[r], crown[r] - 1e-9) << activation;
        EXPECT_GT(crown[r], -1e300);
      }
      for (int sample = 0; sample < 200; ++sample) {
        std::vector<double> x(n);
        for (std::size_t i = 0; i < n; ++i)
          x[i] = sample % 2 == 0     ? rng.uniform(box.lower[i], box.upper[i])
                 : rng.below(2) == 0 ? box.lower[i]
                                     : box.upper[i];
        const auto values = forward(network, x, 1);
        for (const Bounds* b : {&intervals, &linear, &best}) {
          for (std::size_t s = 0; s < values.size(); ++s) {
            for (std::size_t i = 0; i < values[s].size(); ++i) {
              ASSERT_LE(b->lower[s][i], values[s][i] + 1e-13) << activation << s;
              ASSERT_GE(b->upper[s][i], values[s][i] - 1e-13) << activation << s;
            }
          }
        }
        for (std::size_t r = 0; r < 6; ++r) {
          const double y = (r % 2 == 0 ? 1 : -1) * values.back()[r / 2];
          ASSERT_LE(crown[r], y + 1e-13);
          ASSERT_LE(alpha[r], y + 1e-13);
        }
      }
    }
  }
}

TEST(ProofBounds, RowsDoNotDependOnTheBatchNorOnThreads) {
  base::Rng rng(6, {"batch"});
  const Network network = lowered(dense_graph({4, 12, 12, 2}, "Relu", rng));
  const Bounder bounder(network);
  const Box box = cube(4, -0.4, 0.6);
  const Bounds together = *bounder.bound(box, {.method = BoundMethod::kLinear, .rows = 512});
  const Bounds apart = *bounder.bound(box, {.method = BoundMethod::kLinear, .rows = 1});
  EXPECT_EQ(together.lower, apart.lower);
  EXPECT_EQ(together.upper, apart.upper);
}

TEST(ProofBounds, OverflowAndBadBoxesProveNothing) {
  base::Rng rng(7, {"overflow"});
  Graph graph = dense_graph({2, 3, 1}, "Relu", rng);
  for (double& v : graph.initializers["w1"].reals) v = 1e300;
  const Network network = lowered(graph);
  const Bounder bounder(network);
  const Bounds bounds = *bounder.bound(cube(2, -1e200, 1e200));
  EXPECT_EQ(bounder.minimise(bounds, {.count = 1, .output = {1}, .input = {}, .constant = {0}}, {}).lower[0],
            -INFINITY);
  EXPECT_FALSE(bounder.bound(cube(3, 0, 1)).ok());
  EXPECT_FALSE(bounder.bound(cube(2, 1, 0)).ok());
  EXPECT_FALSE(bounder.bound(cube(2, std::nan(""), 1)).ok());
  const auto v = verify(graph, network, threshold(2, 1, -1e200, 1e200, INFINITY), {.seconds = 5});
  ASSERT_TRUE(v.ok()) << v.error().text();
  EXPECT_NE(v->verdict, ProofVerdict::kHolds);
}

/// On tiny networks the truth is known: the threshold just above the exact maximum holds, just below is violated. Both
/// ways of splitting must say so.
TEST(ProofVerify, AgreesWithLinearProgramsOnBothSides) {
  base::Rng rng(8, {"exact"});
  int split = 0;
  for (int trial = 0; trial < 12; ++trial) {
    const Graph graph = dense_graph({3, 6, 1}, "Relu", rng);
    const Network network = lowered(graph);
    const double best = exact_maximum(network, -1, 1);
    for (const bool bisect : {true, false}) {
      VerifyOptions options;
      options.seconds = 60;
      options.few_inputs = bisect ? 16 : 0;
      const auto above = verify(graph, network, threshold(3, 1, -1, 1, best + 0.01), options);
      ASSERT_TRUE(above.ok()) << above.error().text();
      EXPECT_EQ(above->verdict, ProofVerdict::kHolds) << above->reason;
      EXPECT_GT(above->certificate_margin, 0);
      EXPECT_LE(above->certificate_margin, 0.01 + 1e-9);
      split += above->leaves > 1 ? 1 : 0;
      const auto below = verify(graph, network, threshold(3, 1, -1, 1, best - 0.01), options);
      ASSERT_TRUE(below.ok()) << below.error().text();
      EXPECT_EQ(below->verdict, ProofVerdict::kViolated) << below->reason;
      ASSERT_EQ(below->output.size(), 1U);
      EXPECT_GE(below->output[0], best - 0.01);
    }
  }
  EXPECT_GT(split, 5) << "the proofs were too easy to test splitting";
}

/// The threshold's unsafe set, cut by linear constraints on several inputs.
Property cut_threshold(std::size_t inputs, double bound, const std::vector<Cut>& cuts) {
  Property p = threshold(inputs, 1, -1, 1, bound);
  for (const Cut& cut : cuts) {
    LinearAtom atom{.x = {}, .y = {}, .bound = {cut.bound, cut.bound, cut.bound}, .strict = false};
    for (std::size_t i = 0; i < inputs; ++i) atom.x.emplace_back(i, cut.a[i]);
    p.cases[0].atoms.push_back(std::move(atom));
  }
  return p;
}

// Constraints on several inputs: the truth is a linear program for each pattern of signs, with the constraints in it.
TEST(ProofVerify, InputCutsAgreeWithLinearProgramsOnBothSides) {
  base::Rng rng(21, {"cuts"});
  int needed = 0;
  for (int trial = 0; trial < 10; ++trial) {
    const Graph graph = dense_graph({3, 5, 1}, "Relu", rng);
    const Network network = lowered(graph);
    std::vector<Cut> cuts;
    for (int c = 0; c <= trial % 2; ++c) {
      Cut cut;
      for (int i = 0; i < 3; ++i) cut.a.push_back(static_cast<double>(rng.below(9)) / 4 - 1);
      cut.bound = -0.25 - 0.25 * static_cast<double>(rng.below(3));
      cuts.push_back(std::move(cut));
    }
    const double best = exact_maximum(network, -1, 1, cuts);
    if (best < -1e200) continue;  // the cuts leave nothing
    const double uncut = exact_maximum(network, -1, 1);
    needed += uncut > best + 0.1 ? 1 : 0;
    for (const bool bisect : {true, false}) {
      VerifyOptions options;
      options.few_inputs = bisect ? 16 : 0;
      const auto above = verify(graph, network, cut_threshold(3, best + 0.02, cuts), options);
      ASSERT_TRUE(above.ok()) << above.error().text();
      EXPECT_EQ(above->verdict, ProofVerdict::kHolds) << trial << bisect << above->reason;
      EXPECT_TRUE(above->exact_replay) << above->reason;
      const auto below = verify(graph, network, cut_threshold(3, best - 0.02, cuts), options);
      ASSERT_TRUE(below.ok()) << below.error().text();
      EXPECT_EQ(below->verdict, ProofVerdict::kViolated) << trial << bisect << below->reason;
      if (below->verdict != ProofVerdict::kViolated) continue;
      EXPECT_GE(below->output[0], best - 0.02);
      for (const Cut& cut : cuts) {
        double sum = 0;
        for (std::size_t i = 0; i < 3; ++i) sum += cut.a[i] * below->witness[i];
        EXPECT_LE(sum, cut.bound);
      }
    }
  }
  EXPECT_GT(needed, 3) << "the cuts were too weak to matter";
}

// On a linear network one cut's multiplier closes the proof at the root, where the box alone cannot.
TEST(ProofVerify, ACutsMultiplierProvesWithoutSplitting) {
  // y = x0 + x1 on [-1, 1]^2 with x0 + x1 <= 0.5: y >= 0.75 is impossible; the box allows 2.
  Graph graph{.name = "line", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 2}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 1}}};
  graph.initializers["w"] = floats({2, 1}, {1, 1});
  graph.nodes = {{"m", "MatMul", {"x", "w"}, {"y"}, {}}};
  const Network network = lowered(graph);
  for (const std::size_t few : {std::size_t{16}, std::size_t{0}}) {
    VerifyOptions options;
    options.few_inputs = few;
    auto v = verify(graph, network, cut_threshold(2, 0.75, {{{1, 1}, 0.5}}), options);
    ASSERT_TRUE(v.ok());
    ASSERT_EQ(v->verdict, ProofVerdict::kHolds) << v->reason;
    EXPECT_EQ(v->leaves, 1U);
    EXPECT_NEAR(v->certificate_margin, 0.25, 1e-9);
    ASSERT_EQ(v->certificate.trees[0].leaves[0].cuts.size(), 2U);
    // Read back it proves the same; with the multiplier gone, negative or not finite it proves nothing.
    const Property p = cut_threshold(2, 0.75, {{{1, 1}, 0.5}});
    auto read = parse_certificate(certificate_bytes(v->certificate), "cut");
    ASSERT_TRUE(read.ok());
    EXPECT_TRUE(check_certificate(network, p, *read)->valid);
    EXPECT_TRUE(check_certificate_exactly(network, p, *read)->valid);
    for (const float bad : {0.0F, -1.0F, INFINITY, NAN}) {
      read->trees[0].leaves[0].cuts[1] = bad;
      EXPECT_FALSE(check_certificate(network, p, *read)->valid) << bad;
      EXPECT_FALSE(check_certificate_exactly(network, p, *read)->valid) << bad;
    }
    read->trees[0].leaves[0].cuts = {1.0F};
    EXPECT_FALSE(check_certificate(network, p, *read)->valid);
    EXPECT_FALSE(check_certificate_exactly(network, p, *read)->valid);
    // A cut that the box cannot meet leaves nothing that could be unsafe.
    v = verify(graph, network, cut_threshold(2, -5, {{{1, 1}, -3}}), options);
    ASSERT_TRUE(v.ok());
    EXPECT_EQ(v->verdict, ProofVerdict::kHolds) << v->reason;
  }
}

TEST(ProofVerify, CutsFromAFile) {
  Graph graph{.name = "line", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 2}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 1}}};
  graph.initializers["w"] = floats({2, 1}, {1, 1});
  graph.nodes = {{"m", "MatMul", {"x", "w"}, {"y"}, {}}};
  const Network network = lowered(graph);
  const std::string box =
      "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))"
      "(assert (>= X_1 0))(assert (<= X_1 1))(assert (<= (+ X_0 X_1) 0.5))";
  const auto verdict = [&](const std::string& rest) {
    const auto p = parse_vnnlib(box + rest, "cut");
    EXPECT_TRUE(p.ok());
    return verify(graph, network, *p, {})->verdict;
  };
  EXPECT_EQ(verdict("(assert (>= Y_0 0.6))"), ProofVerdict::kHolds);
  EXPECT_EQ(verdict("(assert (>= Y_0 0.4))"), ProofVerdict::kViolated);
  EXPECT_EQ(verdict("(assert (>= Y_0 0.4))(assert (>= X_0 (+ X_1 0.75)))"), ProofVerdict::kHolds);
}

TEST(ProofCertificate, ExactReplayAgreesAndRefusesWhatIsWrong) {
  base::Rng rng(22, {"exact replay"});
  for (const std::string activation : {"Relu", "Abs", "LeakyRelu"}) {
    const Graph graph = dense_graph({3, 7, 6, 1}, activation, rng);
    const Network network = lowered(graph);
    double best = -1e300;
    for (int i = 0; i < 5000; ++i)
      best = std::max(
          best, forward(network, std::vector<double>{rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-1, 1)}, 1)
                    .back()[0]);
    for (const std::size_t few : {std::size_t{16}, std::size_t{0}}) {
      VerifyOptions options;
      options.few_inputs = few;
      options.exact_work = 1e9;
      const Property p = threshold(3, 1, -1, 1, best + 0.15);
      const auto v = verify(graph, network, p, options);
      ASSERT_TRUE(v.ok());
      ASSERT_EQ(v->verdict, ProofVerdict::kHolds) << v->reason;
      EXPECT_TRUE(v->exact_replay) << v->reason;
      EXPECT_THAT(v->reason, HasSubstr("and in exact rationals"));
      const auto exact = check_certificate_exactly(network, p, v->certificate);
      ASSERT_TRUE(exact.ok() && exact->valid) << exact->reason;
      EXPECT_EQ(exact->leaves, v->leaves);
      // The margins differ by the rounding that one of them pays for.
      EXPECT_NEAR(exact->least, v->certificate_margin, 1e-9);
      Certificate wrong = v->certificate;
      wrong.trees[0].leaves.back().atoms[0] = 7;
      EXPECT_FALSE(check_certificate_exactly(network, p, wrong)->valid);
      wrong = v->certificate;
      wrong.trees[0].nodes.pop_back();
      EXPECT_THAT(check_certificate_exactly(network, p, wrong)->reason, HasSubstr("ends too early"));
      wrong = v->certificate;
      wrong.trees.clear();
      EXPECT_THAT(check_certificate_exactly(network, p, wrong)->reason, HasSubstr("case 0"));
      // A claim that is false has no proof, whatever the certificate.
      EXPECT_FALSE(check_certificate_exactly(network, threshold(3, 1, -1, 1, best - 0.1), v->certificate)->valid);
      options.exact_work = 0;
      const auto plain = verify(graph, network, p, options);
      EXPECT_FALSE(plain->exact_replay);
      EXPECT_THAT(plain->reason, HasSubstr("in outward-rounded double"));
    }
  }
  const Network smooth = lowered(dense_graph({2, 3, 1}, "Tanh", rng));
  EXPECT_EQ(check_certificate_exactly(smooth, threshold(2, 1, -1, 1, 9), {}).error().code, base::Code::kUnsupported);
}

TEST(ProofVerify, SmoothAndConvolutionalNetworksToo) {
  base::Rng rng(9, {"smooth"});
  for (const std::string activation : {"Tanh", "Sigmoid", "Abs", "LeakyRelu"}) {
    const Graph graph = dense_graph({2, 5, 1}, activation, rng);
    const Network network = lowered(graph);
    double best = -1e300;
    for (int i = 0; i <= 200; ++i) {
      for (int j = 0; j <= 200; ++j)
        best = std::max(best, forward(network, std::vector<double>{-1 + 0.01 * i, -1 + 0.01 * j}, 1).back()[0]);
    }
    const auto above = verify(graph, network, threshold(2, 1, -1, 1, best + 0.05), {.seconds = 60});
    ASSERT_TRUE(above.ok());
    EXPECT_EQ(above->verdict, ProofVerdict::kHolds) << activation << above->reason;
    const auto below = verify(graph, network, threshold(2, 1, -1, 1, best - 0.01), {.seconds = 60});
    EXPECT_EQ(below->verdict, ProofVerdict::kViolated) << activation << below->reason;
  }
  const Graph graph = image_graph(rng, "Relu");
  const Network network = lowered(graph);
  const Bounder bounder(network);
  const double upper = bounder.bound(cube(36, 0.4, 0.45))->upper.back()[0];
  const auto v = verify(graph, network, threshold(36, 3, 0.4, 0.45, upper + 0.01), {.seconds = 60});
  ASSERT_TRUE(v.ok()) << v.error().text();
  EXPECT_EQ(v->verdict, ProofVerdict::kHolds) << v->reason;
}

TEST(ProofVerify, ThreadsDoNotChangeTheTree) {
  base::Rng rng(10, {"threads"});
  const Graph graph = dense_graph({3, 8, 8, 1}, "Relu", rng);
  const Network network = lowered(graph);
  const double best = [&] {
    double most = -1e300;
    for (int i = 0; i < 20000; ++i)
      most = std::max(
          most, forward(network, std::vector<double>{rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-1, 1)}, 1)
                    .back()[0]);
    return most;
  }();
  for (const std::size_t few : {std::size_t{16}, std::size_t{0}}) {
    VerifyOptions options;
    options.few_inputs = few;
    base::set_threads(1);
    const auto one = verify(graph, network, threshold(3, 1, -1, 1, best + 0.1), options);
    base::set_threads(0);
    const auto many = verify(graph, network, threshold(3, 1, -1, 1, best + 0.1), options);
    ASSERT_TRUE(one.ok() && many.ok());
    EXPECT_EQ(one->verdict, ProofVerdict::kHolds) << one->reason;
    EXPECT_EQ(certificate_bytes(one->certificate), certificate_bytes(many->certificate));
    EXPECT_EQ(one->certificate_margin, many->certificate_margin);
  }
}

TEST(ProofVerify, EqualityIsDecidedByRationalArithmetic) {
  // y = relu(x) with y >= 0.3 unsafe on [0, 0.3 as the nearest double]: met with equality at the corner alone.
  Graph graph{.name = "edge", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 1}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 1}}};
  graph.initializers["w"] = floats({1, 1}, {1});
  graph.initializers["b"] = floats({1}, {0.7});
  graph.nodes = {{"a", "Gemm", {"x", "w", "b"}, {"z"}, {}}, {"r", "Relu", {"z"}, {"y"}, {}}};
  const Network network = lowered(graph);
  Property p = threshold(1, 1, 0, 0.25, 0.25);
  const double edge = 0.7 + 0.25;  // rounded; 0.25 + 0.7 is not a double
  p.cases[0].atoms[0].bound = {-edge, -edge, -edge};
  const auto at = replay(graph, network, p, std::vector<double>{0.25});
  ASSERT_TRUE(at.ok());
  EXPECT_EQ(at->decided_by, "rational arithmetic");
  const bool reached = std::fma(1.0, 0.25, 0.7 - edge) >= 0;
  EXPECT_EQ(at->verdict, reached ? AtPoint::kUnsafe : AtPoint::kSafe);
}

TEST(ProofVerify, LimitsAreSaidAndNeverProofs) {
  base::Rng rng(11, {"limits"});
  const Graph graph = dense_graph({3, 10, 10, 1}, "Relu", rng);
  const Network network = lowered(graph);
  const Property p = threshold(3, 1, -3, 3, 6.0);
  const auto zero = verify(graph, network, p, {.seconds = 0});
  ASSERT_TRUE(zero.ok());
  EXPECT_EQ(zero->verdict, ProofVerdict::kUnknown);
  EXPECT_THAT(zero->reason, HasSubstr("zero seconds"));
  const auto small = verify(graph, network, p, {.seconds = 60, .memory_bytes = 1});
  ASSERT_TRUE(small.ok());
  ASSERT_EQ(small->verdict, ProofVerdict::kUnknown);
  EXPECT_THAT(small->reason, HasSubstr("memory"));
  const auto wrong = verify(graph, network, threshold(4, 1, 0, 1, 0), {});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().text(), HasSubstr("speaks of 4 inputs and 1 outputs, the network has 3 and 1"));
  const auto cancelled = base::CancelToken::make();
  cancelled.cancel();
  EXPECT_EQ(verify(graph, network, p, {}, cancelled).error().code, base::Code::kCancelled);
  VerifyOptions few;
  few.certificate_leaves = 0;
  const auto held = verify(graph, network, threshold(3, 1, -1, 1, 1000), few);
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(held->verdict, ProofVerdict::kHoldsUncertified);
}

TEST(ProofCertificate, RoundTripAndEveryKindOfDamage) {
  base::Rng rng(12, {"certificate"});
  const Graph graph = dense_graph({3, 6, 6, 1}, "Relu", rng);
  const Network network = lowered(graph);
  double best = -1e300;
  for (int i = 0; i < 20000; ++i)
    best = std::max(
        best,
        forward(network, std::vector<double>{rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-1, 1)}, 1).back()[0]);
  for (const std::size_t few : {std::size_t{16}, std::size_t{0}}) {
    VerifyOptions options;
    options.few_inputs = few;
    const Property p = threshold(3, 1, -1, 1, best + 0.05);
    const auto v = verify(graph, network, p, options);
    ASSERT_TRUE(v.ok());
    ASSERT_EQ(v->verdict, ProofVerdict::kHolds) << v->reason;
    ASSERT_GT(v->leaves, 2U);
    const std::string bytes = certificate_bytes(v->certificate);
    EXPECT_EQ(bytes.size(), v->certificate.bytes());
    const auto read = parse_certificate(bytes, "c");
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(certificate_bytes(*read), bytes);
    const auto again = check_certificate(network, p, *read);
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->valid);
    EXPECT_EQ(again->least, v->certificate_margin);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 7)
      EXPECT_FALSE(parse_certificate(bytes.substr(0, cut), "c").ok());
    EXPECT_FALSE(parse_certificate(bytes + "x", "c").ok());
    // The same proof of a false statement is refused: the exact maximum is above `best - 0.05`.
    const auto lie = check_certificate(network, threshold(3, 1, -1, 1, best - 0.05), *read);
    ASSERT_TRUE(lie.ok());
    EXPECT_FALSE(lie->valid);
    EXPECT_THAT(lie->reason, HasSubstr("is not refuted"));
    Certificate changed = *read;
    changed.trees.clear();
    EXPECT_THAT(check_certificate(network, p, changed)->reason, HasSubstr("case 0 of the property is not proved"));
    changed = *read;
    changed.trees[0].nodes.pop_back();
    changed.trees[0].leaves.pop_back();
    EXPECT_THAT(check_certificate(network, p, changed)->reason, HasSubstr("the tree ends too early"));
    changed = *read;
    changed.trees[0].leaves[0].atoms = {7};
    EXPECT_FALSE(check_certificate(network, p, changed)->valid);
    changed = *read;
    changed.trees[0].leaves[0].multipliers = std::vector<float>(64, -1.0F);
    EXPECT_FALSE(check_certificate(network, p, changed)->valid);
    changed = *read;
    for (CertificateNode& node : changed.trees[0].nodes) node.index = 1000;
    EXPECT_FALSE(check_certificate(network, p, changed)->valid);
    // Slopes are hints: whatever they say, a false statement is never proved.
    const Property false_one = threshold(3, 1, -1, 1, best - 0.01);
    for (int k = 0; k < 50; ++k) {
      changed = *read;
      for (auto& tree : changed.trees) {
        for (auto& leaf : tree.leaves) {
          for (float& s : leaf.shares) s = static_cast<float>(rng.uniform(-2, 3));
          for (float& m : leaf.multipliers) m = static_cast<float>(rng.uniform(0, 3));
        }
      }
      for (auto& table : changed.tables) {
        for (auto& entry : table.entries) {
          for (float& s : entry.shares) s = static_cast<float>(rng.uniform(-2, 3));
        }
      }
      EXPECT_FALSE(check_certificate(network, false_one, changed)->valid);
    }
  }
}

TEST(ProofAttack, NeverBeatsABoundAndNamesWhatItDid) {
  base::Rng rng(13, {"attack"});
  for (int trial = 0; trial < 20; ++trial) {
    const Graph graph = dense_graph({6, 12, 12, 2}, trial % 2 == 0 ? "Relu" : "Tanh", rng);
    const Network network = lowered(graph);
    const double upper = Bounder(network).bound(cube(6, -0.3, 0.3))->upper.back()[0];
    const Property p = threshold(6, 2, -0.3, 0.3, upper + 1e-9);
    const auto found = search_violation(network, p, {.rounds = 1}, base::Rng(1));
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(found->found);
    ASSERT_EQ(found->traces.size(), 4U);
    EXPECT_GT(found->traces[2].gradients, 0U);
    EXPECT_EQ(found->traces[0].gradients, 0U);
    // Gradients come at least as near as noise does.
    EXPECT_LE(std::min(found->traces[2].best, found->traces[3].best), found->traces[0].best + 1e-12);
    base::set_threads(1);
    const auto one = search_violation(network, p, {.rounds = 1}, base::Rng(1));
    base::set_threads(0);
    EXPECT_EQ(one->x, found->x);
    EXPECT_EQ(one->best, found->best);
  }
  const Network network = lowered(dense_graph({2, 2}, "Relu", rng));
  EXPECT_FALSE(search_violation(network, threshold(3, 2, 0, 1, 0), {}, base::Rng(1)).ok());
  EXPECT_FALSE(search_violation(network, threshold(2, 2, 0, 1, 0), {.starts = 0}, base::Rng(1)).ok());
}

// Real networks -----------------------------------------------------------------------------------------------------

struct Real {
  Graph graph;
  Network network;
  Property property;
};

Real open_real(const std::string& folder, const std::string& onnx, const std::string& vnnlib) {
  Real real;
  real.graph = *graph::read_onnx(folder + "/" + onnx);
  real.network = *lower(real.graph);
  real.property = *read_vnnlib(folder + "/" + vnnlib);
  return real;
}

TEST(ProofCompetition, EveryKnownWitnessReplays) {
  PL_NEEDS_DATA(list, "vnncomp/witnesses.csv");
  PL_NEEDS_DATA(digits, "vnncomp/witnesses_mnistfc.csv");
  const std::string folder = list.substr(0, list.rfind('/'));
  std::size_t replayed = 0;
  for (const std::string& path : {list, digits}) {
    const std::string text = testing::read_file(path);
    std::size_t at = text.find('\n') + 1;
    while (at < text.size()) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::vector<std::string> cells;
      for (std::size_t c = at; c <= end;) {
        const std::size_t comma = std::min(text.find(',', c), end);
        cells.push_back(text.substr(c, comma - c));
        c = comma + 1;
      }
      at = end + 1;
      ASSERT_EQ(cells.size(), 6U);
      const Real real = open_real(folder, cells[1], cells[2]);
      std::vector<double> x;
      for (std::size_t c = 0; c < cells[5].size();) {
        const std::size_t blank = std::min(cells[5].find_first_of(" \r", c), cells[5].size());
        if (blank == c) break;
        double value = 0;
        ASSERT_TRUE(data::parse_number(cells[5].substr(c, blank - c), &value));
        x.push_back(value);
        c = blank + 1;
      }
      for (std::size_t i = 0; i < x.size(); ++i)  // written with fewer digits than the box
        x[i] =
            std::min(std::max(x[i], real.property.boxes[0].lower[i].nearest), real.property.boxes[0].upper[i].nearest);
      const auto got = replay(real.graph, real.network, real.property, x);
      ASSERT_TRUE(got.ok()) << got.error().text();
      EXPECT_EQ(got->verdict, AtPoint::kUnsafe) << cells[1] << " " << cells[2] << " " << got->decided_by;
      ++replayed;
    }
  }
  EXPECT_EQ(replayed, 63U);
}

TEST(ProofCompetition, TheMaskedWitnessIsFoundFromCornersAlone) {
  PL_NEEDS_DATA(digits, "vnncomp/mnistfc/instances.csv");
  const Real real =
      open_real(digits.substr(0, digits.rfind('/')), "onnx/mnist-net_256x2.onnx", "vnnlib/prop_0_0.05.vnnlib");
  SearchOptions options;
  options.methods = {SearchMethod::kFgsm};
  EXPECT_FALSE(search_violation(real.network, real.property, options, base::Rng(0))->found);
  options.methods = {SearchMethod::kDiversified};
  EXPECT_TRUE(search_violation(real.network, real.property, options, base::Rng(0))->found);
}

TEST(ProofCompetition, VerdictsOfASelectionAreTheKnownOnes) {
  PL_NEEDS_DATA(list, "vnncomp/acasxu/instances.csv");
  const std::string acas = list.substr(0, list.rfind('/'));
  const auto verdict = [&](const std::string& net, int property) {
    const Real real = open_real(acas, "onnx/ACASXU_run2a_" + net + "_batch_2000.onnx",
                                "vnnlib/prop_" + std::to_string(property) + ".vnnlib");
    return verify(real.graph, real.network, real.property, {.seconds = 120})->verdict;
  };
  EXPECT_EQ(verdict("1_1", 1), ProofVerdict::kHolds);
  EXPECT_EQ(verdict("3_3", 3), ProofVerdict::kHolds);
  EXPECT_EQ(verdict("4_2", 4), ProofVerdict::kHolds);
  EXPECT_EQ(verdict("1_9", 3), ProofVerdict::kViolated);
  EXPECT_EQ(verdict("2_2", 2), ProofVerdict::kViolated);
}

/// Least margins over the nine other classes, radius 0.03, as a published program of CROWN and alpha-CROWN (20 steps)
/// gives them on the same files; specifications in order. Ours carry the rounding and intersect with intervals.
struct Published {
  const char* net;
  std::vector<double> crown;
  std::vector<double> alpha;
};

TEST(ProofCompetition, MarginsAreAsTightAsThePublishedProgramsOnes) {
  PL_NEEDS_DATA(list, "vnncomp/mnistfc/instances.csv");
  const std::string folder = list.substr(0, list.rfind('/'));
  const std::vector<Published> published = {{"256x2",
                                             {-0.931, -1.932, 0.987, -1.770, 0.964, -1.003, 0.964, -1.650, 0.156,
                                              -0.699, 0.985, 0.993, 0.072, -1.370, -1.155},
                                             {-0.200, -1.474, 0.987, -1.522, 0.964, -0.631, 0.965, -1.496, 0.431,
                                              -0.479, 0.991, 0.993, 0.454, -0.202, -0.784}},
                                            {"256x4",
                                             {-4.883, -85.382, -4.212, -10.111, 0.914, -11.055, 0.769, -49.007, 0.970,
                                              -26.108, 0.980, 0.979, 0.751, -5.452, -15.891},
                                             {-0.990, -14.541, -0.704, -1.391, 0.918, -0.395, 0.971, -4.486, 0.971,
                                              -3.858, 0.982, 0.980, 0.807, -0.402, -3.600}}};
  constexpr double kPrinted = 0.0005 + 1e-4;  // three decimals are published
  for (const Published& p : published) {
    for (std::size_t i = 0; i < p.crown.size(); ++i) {
      const Real real = open_real(folder, std::string("onnx/mnist-net_") + p.net + ".onnx",
                                  "vnnlib/prop_" + std::to_string(i) + "_0.03.vnnlib");
      const InputBox& exact = real.property.boxes[0];
      Box box;
      for (std::size_t j = 0; j < real.property.inputs; ++j) {
        box.lower.push_back(exact.lower[j].below);
        box.upper.push_back(exact.upper[j].above);
      }
      LinearRows rows;
      for (const UnsafeCase& unsafe : real.property.cases) {
        rows.output.resize(10 * ++rows.count, 0.0);
        for (const auto& [j, a] : unsafe.atoms.at(0).y) rows.output[10 * (rows.count - 1) + j] = a;
        rows.constant.push_back(0);
      }
      const Bounder bounder(real.network);
      const auto crown = bounder.minimise(*bounder.bound(box), rows, {}).lower;
      EXPECT_GE(*std::min_element(crown.begin(), crown.end()), p.crown[i] - kPrinted) << p.net << " " << i;
      if (i % 5 != 0) continue;  // a third of them: seconds each
      Slopes slopes;
      std::vector<double> none;
      const Bounds best = *bounder.bound(box, VerifyOptions{}.root);
      const auto alpha = bounder.optimise(best, rows, slopes, {}, none, VerifyOptions{}.root, 1e300).lower;
      EXPECT_GE(*std::min_element(alpha.begin(), alpha.end()), p.alpha[i] - kPrinted) << p.net << " " << i;
    }
  }
}

}  // namespace
}  // namespace plumbline::robustness

#include "plumbline/nn/executor.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/graph/conformance.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/predict/network.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::nn {
namespace {

using base::Code;
using ::testing::HasSubstr;
using Shape = std::vector<std::int64_t>;

// Conformance: the same walker and cases as the interpreter's ---------------------------------------------------------

void expect_conformance(const std::string& group, Precision precision, double relative, int least) {
  const char* set = std::getenv("PLUMBLINE_ONNX_CASES");
  const std::string folder = std::string(set != nullptr ? set : "/usr/share/libonnx-testdata/data") + "/" + group;
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "install libonnx-testdata, or set PLUMBLINE_ONNX_CASES";
  graph::ConformanceTolerance tolerance;
  tolerance.relative = relative;
  if (precision == Precision::kFloat32) tolerance.absolute = 1e-5;
  const auto report = graph::run_conformance(
      folder,
      [&](const graph::Graph& graph, const std::map<std::string, graph::Tensor>& inputs) {
        return execute(graph, inputs, {}, precision);
      },
      tolerance);
  ASSERT_TRUE(report.ok()) << report.error().text();
  std::cout << report->cases << " cases, " << report->passed << " passed, " << report->not_applicable
            << " not applicable\n";
  for (const std::string& failure : report->failures) ADD_FAILURE() << failure;
  EXPECT_GE(report->passed, least);
}

TEST(ExecutorConformance, NodeCasesInFloat32) { expect_conformance("node", Precision::kFloat32, 1e-3, 400); }
TEST(ExecutorConformance, NodeCasesInFloat64) { expect_conformance("node", Precision::kFloat64, 1e-3, 400); }
TEST(ExecutorConformance, ConvertedModels) { expect_conformance("pytorch-converted", Precision::kFloat32, 1e-3, 1); }
TEST(ExecutorConformance, OperatorModels) { expect_conformance("pytorch-operator", Precision::kFloat32, 1e-3, 1); }

TEST(ExecutorConformance, EveryNativeKernelIsAListedOperator) {
  std::vector<std::string> listed;
  for (const auto& info : graph::supported_operators()) listed.emplace_back(info.name);
  for (const std::string& name : native_operators()) EXPECT_THAT(listed, ::testing::Contains(name));
  int native = 0;
  for (const std::string& name : listed)
    native += std::count(native_operators().begin(), native_operators().end(), name) > 0 ? 1 : 0;
  std::cout << native << " of " << listed.size() << " operators run on ATen, the others on the interpreter\n";
}

// Networks ------------------------------------------------------------------------------------------------------------

MatrixF random_rows(std::ptrdiff_t n, std::ptrdiff_t d, std::uint64_t seed = 1) {
  base::Rng rng(seed);
  MatrixF rows(n, d);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.uniform());
  return rows;
}

base::Result<decision::PredictorPtr> open(const graph::Graph& graph, Shape shape = {}) {
  data::ModelSection section;
  section.name = "m";
  section.output = "logits";
  section.input_shape = std::move(shape);
  PL_TRY(auto executor, make_executor(graph));
  return predict::make_graph_predictor(section, graph, "onnx", "h", std::move(executor));
}

graph::Graph network(const std::string& kind, std::uint64_t seed = 1) {
  predict::NetworkSpec spec;
  spec.kind = kind;
  spec.input_shape = {1, 8, 8};
  spec.classes = 4;
  spec.hidden = {16, 12};
  spec.channels = {3, 5};
  spec.dense = 10;
  graph::Graph graph = *predict::build_network(spec, base::Rng(seed));
  base::Rng rng(seed, {"biases"});
  for (auto& [name, tensor] : graph.initializers) {
    if (name.ends_with("bias")) {
      for (double& value : tensor.reals) value = static_cast<float>(0.1 * rng.normal());
    }
  }
  return graph;
}

TEST(Executor, ClosedFormOfASmallNet) {
  // logits = W2 relu(W1 x), by hand.
  graph::Graph graph;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 2}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 2}}};
  graph.initializers["w1"] = {graph::Type::kFloat, {2, 2}, {1, -1, 2, 0.5}, {}};
  graph.initializers["w2"] = {graph::Type::kFloat, {2, 2}, {1, 3, -2, 1}, {}};
  graph.nodes = {{"a", "Gemm", {"x", "w1"}, {"h"}, {{"transB", std::int64_t{1}}}},
                 {"r", "Relu", {"h"}, {"z"}, {}},
                 {"b", "Gemm", {"z", "w2"}, {"y"}, {{"transB", std::int64_t{1}}}}};
  auto model = open(graph);
  ASSERT_TRUE(model.ok()) << model.error().text();
  MatrixF x(2, 2);
  x << 1, 2, 3, 1;
  // h = (x1 - x2, 2 x1 + x2 / 2): (-1, 3) and (2, 6.5); z = (0, 3), (2, 6.5).
  MatrixD want(2, 2);
  want << 9, 3, 21.5, 2.5;
  EXPECT_EQ((*model)->predict(x, {})->outputs, want);
  // Vector-Jacobian with weights (1, 10): W1' diag(active) W2' w.
  MatrixD weights(2, 2);
  weights << 1, 10, 1, 10;
  const auto gradient = (*model)->input_gradient(x.cast<double>(), weights);
  ASSERT_TRUE(gradient.ok()) << gradient.error().text();
  // W2' w = (1 - 20, 3 + 10) = (-19, 13). Row 0: only unit 2 is on: 13 (2, 0.5). Row 1: both: -19 (1, -1) + 13 (2,
  // 0.5).
  MatrixD slope(2, 2);
  slope << 26, 6.5, 7, 25.5;
  EXPECT_EQ(*gradient, slope);
}

void expect_gradient(const graph::Graph& graph, std::ptrdiff_t size, const Shape& shape = {}, double tolerance = 1e-6) {
  auto model = open(graph, shape);
  ASSERT_TRUE(model.ok()) << model.error().text();
  const std::ptrdiff_t n = 3;
  MatrixD x = random_rows(n, size, 5).cast<double>();
  base::Rng rng(6);
  MatrixD weights(n, (*model)->info().outputs);
  for (std::ptrdiff_t i = 0; i < weights.size(); ++i) weights.data()[i] = rng.normal();
  const auto gradient = (*model)->input_gradient(x, weights);
  ASSERT_TRUE(gradient.ok()) << gradient.error().text();
  const double step = 1e-6;
  double scale = 0;
  for (std::ptrdiff_t i = 0; i < gradient->size(); ++i) scale = std::max(scale, std::abs(gradient->data()[i]));
  EXPECT_GT(scale, 0);
  for (std::ptrdiff_t j = 0; j < size; ++j) {
    MatrixD up = x;
    MatrixD down = x;
    up.col(j).array() += step;
    down.col(j).array() -= step;
    const MatrixD high = *(*model)->predict64(up);
    const MatrixD low = *(*model)->predict64(down);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      double slope = 0;
      for (std::ptrdiff_t k = 0; k < weights.cols(); ++k)
        slope += weights(i, k) * (high(i, k) - low(i, k)) / (2 * step);
      EXPECT_NEAR((*gradient)(i, j), slope, tolerance * std::max(scale, 1.0)) << i << ", " << j;
    }
  }
}

TEST(ExecutorGradient, AgreesWithFiniteDifferencesOnMlpAndCnn) {
  expect_gradient(network("mlp"), 64);
  expect_gradient(network("cnn"), 64);
}

graph::Tensor weights_of(Shape shape, std::uint64_t seed, double scale = 0.5) {
  graph::Tensor tensor;
  tensor.shape = std::move(shape);
  base::Rng rng(seed);
  for (std::int64_t i = 0; i < tensor.size(); ++i) tensor.reals.push_back(static_cast<float>(scale * rng.normal()));
  return tensor;
}

graph::Graph recurrent(const std::string& op, int gates) {
  // (batch, 5, 4) -> (5, batch, 4) -> recurrent -> last state of both directions -> (batch, 2 h)
  graph::Graph graph;
  graph.opset = 14;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 5, 4}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 6}}};
  graph.initializers["w"] = weights_of({2, gates * 3, 4}, 1);
  graph.initializers["r"] = weights_of({2, gates * 3, 3}, 2);
  graph.initializers["b"] = weights_of({2, 2 * gates * 3}, 3);
  graph.initializers["shape"] = {graph::Type::kInt64, {2}, {}, {-1, 6}};
  graph.nodes = {{"t", "Transpose", {"x"}, {"xt"}, {{"perm", Shape{1, 0, 2}}}},
                 {"rec",
                  op,
                  {"xt", "w", "r", "b"},
                  {"all", "last"},
                  {{"hidden_size", std::int64_t{3}}, {"direction", std::string("bidirectional")}}},
                 {"t2", "Transpose", {"last"}, {"bh"}, {{"perm", Shape{1, 0, 2}}}},
                 {"f", "Reshape", {"bh", "shape"}, {"y"}, {}}};
  return graph;
}

graph::Graph attention() {
  // One head over 4 tokens of width 6, layer normalisation, residual, mean over tokens.
  graph::Graph graph;
  graph.opset = 17;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 4, 6}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 6}}};
  for (const char* name : {"q", "k", "v"})
    graph.initializers[std::string("w") + name] = weights_of({6, 6}, static_cast<std::uint64_t>(name[0]));
  graph.initializers["scale"] = {graph::Type::kFloat, {}, {0.40824829}, {}};
  graph.initializers["g"] = weights_of({6}, 21, 1);
  graph.initializers["b"] = weights_of({6}, 22, 1);
  graph.nodes = {{"nq", "MatMul", {"x", "wq"}, {"q"}, {}},
                 {"nk", "MatMul", {"x", "wk"}, {"k"}, {}},
                 {"nv", "MatMul", {"x", "wv"}, {"v"}, {}},
                 {"nt", "Transpose", {"k"}, {"kt"}, {{"perm", Shape{0, 2, 1}}}},
                 {"ns", "MatMul", {"q", "kt"}, {"s"}, {}},
                 {"nm", "Mul", {"s", "scale"}, {"ss"}, {}},
                 {"np", "Softmax", {"ss"}, {"p"}, {{"axis", std::int64_t{-1}}}},
                 {"na", "MatMul", {"p", "v"}, {"a"}, {}},
                 {"nr", "Add", {"a", "x"}, {"res"}, {}},
                 {"nl", "LayerNormalization", {"res", "g", "b"}, {"ln"}, {}},
                 {"ng", "Gelu", {"ln"}, {"ge"}, {}},
                 {"nx", "ReduceMean", {"ge"}, {"y"}, {{"axes", Shape{1}}, {"keepdims", std::int64_t{0}}}}};
  graph.nodes[10] = {"ng", "Erf", {"ln"}, {"ge"}, {}};
  return graph;
}

graph::Graph residual() {
  graph::Graph graph;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 2, 6, 6}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 2}}};
  graph.initializers["w"] = weights_of({2, 2, 3, 3}, 1);
  graph.initializers["scale"] = weights_of({2}, 2);
  graph.initializers["shift"] = weights_of({2}, 3);
  graph.initializers["mean"] = weights_of({2}, 4);
  graph.initializers["var"] = {graph::Type::kFloat, {2}, {0.5, 2.0}, {}};
  graph.nodes = {{"c", "Conv", {"x", "w"}, {"c1"}, {{"pads", Shape{1, 1, 1, 1}}}},
                 {"n", "BatchNormalization", {"c1", "scale", "shift", "mean", "var"}, {"n1"}, {}},
                 {"l", "LeakyRelu", {"n1"}, {"l1"}, {}},
                 {"a", "Add", {"l1", "x"}, {"a1"}, {}},
                 {"p",
                  "AveragePool",
                  {"a1"},
                  {"p1"},
                  {{"kernel_shape", Shape{3, 3}}, {"strides", Shape{2, 2}}, {"pads", Shape{1, 1, 1, 1}}}},
                 {"g", "GlobalAveragePool", {"p1"}, {"g1"}, {}},
                 {"f", "Flatten", {"g1"}, {"y"}, {}}};
  return graph;
}

TEST(ExecutorGradient, AgreesWithFiniteDifferencesOnRecurrentAttentionAndResidualNets) {
  expect_gradient(recurrent("LSTM", 4), 20);
  expect_gradient(recurrent("GRU", 3), 20);
  expect_gradient(recurrent("RNN", 1), 20);
  expect_gradient(attention(), 24);
  expect_gradient(residual(), 72);
}

TEST(ExecutorGradient, MovedElementsCarryTheirGradientAndOthersSayTheyDoNot) {
  graph::Graph graph;
  graph.opset = 13;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 4}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 6}}};
  graph.initializers["pads"] = {graph::Type::kInt64, {4}, {}, {0, 1, 0, 1}};
  graph.nodes = {{"e", "Exp", {"x"}, {"ex"}, {}},
                 {"p", "Pad", {"ex", "pads"}, {"y"}, {{"mode", std::string("reflect")}}}};
  expect_gradient(graph, 4);
  graph.nodes[1] = {"p", "ReduceProd", {"ex"}, {"y"}, {{"axes", Shape{1}}}};
  auto model = open(graph);
  ASSERT_TRUE(model.ok()) << model.error().text();
  const auto none = (*model)->input_gradient(MatrixD::Ones(1, 4), MatrixD::Ones(1, 1));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kUnsupported);
  EXPECT_THAT(none.error().text(), HasSubstr("node 'p' (ReduceProd)"));
}

TEST(Executor, AgreesWithTheInterpreter) {
  for (const auto& graph :
       {network("mlp"), network("cnn"), recurrent("LSTM", 4), recurrent("GRU", 3), attention(), residual()}) {
    auto model = open(graph);
    ASSERT_TRUE(model.ok()) << model.error().text();
    const MatrixF rows = random_rows(9, (*model)->info().input_size);
    const auto gap = parity(**model, graph, rows);
    ASSERT_TRUE(gap.ok()) << gap.error().text();
    EXPECT_LT(*gap, 1e-5) << graph.name;
    // In double, to the last few bits.
    auto oracle = predict::make_graph_predictor(
        [] {
          data::ModelSection section;
          section.name = "o";
          section.output = "scores";
          return section;
        }(),
        graph, "onnx", "", predict::make_interpreter(graph));
    const MatrixD want = *(*oracle)->predict64(rows.cast<double>());
    EXPECT_LT((*(*model)->predict64(rows.cast<double>()) - want).cwiseAbs().maxCoeff(),
              1e-12 * std::max(1.0, want.cwiseAbs().maxCoeff()));
  }
}

TEST(Executor, BitsDependNeitherOnTheNumberOfRowsNorOnTheThread) {
  const graph::Graph graph = network("cnn");
  auto model = open(graph);
  ASSERT_TRUE(model.ok());
  const MatrixF rows = random_rows(300, 64);
  const MatrixD all = (*model)->predict(rows, {})->outputs;
  EXPECT_EQ((*model)->predict(rows.topRows(5), {})->outputs, all.topRows(5));
  const MatrixD slope = *(*model)->input_gradient(rows.topRows(70).cast<double>(), MatrixD::Ones(70, 4));
  EXPECT_EQ(*(*model)->input_gradient(rows.topRows(3).cast<double>(), MatrixD::Ones(3, 4)), slope.topRows(3));
  MatrixD elsewhere;
  std::thread([&] { elsewhere = (*model)->predict(rows, {})->outputs; }).join();
  EXPECT_EQ(elsewhere, all);
}

TEST(Executor, ErrorsNameTheNode) {
  graph::Graph graph;
  graph.inputs = {{"x", graph::Type::kFloat, {-1, 3}}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 2}}};
  graph.initializers["w"] = weights_of({4, 2}, 1);
  graph.nodes = {{"m", "MatMul", {"x", "w"}, {"y"}, {}}};
  const auto wrong = open(graph);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::kShape);
  EXPECT_THAT(wrong.error().text(), HasSubstr("node 'm' (MatMul)"));
  graph.initializers["w"] = weights_of({3, 2}, 1);
  graph.initializers["huge"] = {graph::Type::kInt64, {2}, {}, {std::int64_t{1} << 40U, 1}};
  graph.nodes.push_back({"e", "Expand", {"y", "huge"}, {"z"}, {}});
  graph.outputs = {{"z", graph::Type::kFloat, {-1, 2}}};
  EXPECT_FALSE(open(graph).ok());
  EXPECT_EQ(execute(graph, {}).error().message, "input 'x' is missing");
}

TEST(Executor, RunsTheCompetitionNetworksAsTheInterpreterDoes) {
  PL_NEEDS_DATA(folder, "vnncomp/mnistfc/onnx");
  for (const char* name : {"/mnist-net_256x2.onnx", "/mnist-net_256x4.onnx"}) {
    const auto graph = graph::read_onnx(folder + name);
    ASSERT_TRUE(graph.ok()) << graph.error().text();
    auto model = open(*graph);
    ASSERT_TRUE(model.ok()) << model.error().text();
    const auto gap = parity(**model, *graph, random_rows(20, 784));
    ASSERT_TRUE(gap.ok()) << gap.error().text();
    EXPECT_LT(*gap, 1e-5);
    std::cout << name << " parity " << *gap << "\n";
  }
}

}  // namespace
}  // namespace plumbline::nn

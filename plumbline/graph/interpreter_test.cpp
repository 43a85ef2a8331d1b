#include "plumbline/graph/interpreter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "plumbline/graph/onnx.hpp"
#include "plumbline/graph/operators.hpp"
#include "plumbline/graph/program.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::graph {
namespace {

using base::Code;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

Tensor floats(Shape shape, std::vector<double> values) {
  return {.type = Type::kFloat, .shape = std::move(shape), .reals = std::move(values), .integers = {}};
}
Tensor longs(Shape shape, std::vector<std::int64_t> values) {
  return {.type = Type::kInt64, .shape = std::move(shape), .reals = {}, .integers = std::move(values)};
}

/// One node on the given inputs; the first output.
base::Result<Tensor> apply(const std::string& op, std::int64_t opset, std::vector<Tensor> inputs,
                           std::map<std::string, Attribute> attributes = {}, std::size_t outputs = 1) {
  Node node{.name = "n", .op = op, .inputs = {}, .outputs = {}, .attributes = std::move(attributes)};
  for (std::size_t i = 0; i < inputs.size(); ++i) node.inputs.push_back("i" + std::to_string(i));
  for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back("o" + std::to_string(i));
  PL_CHECK(check_node(node, opset));
  Call call{.node = node, .opset = opset, .inputs = {}, .limit = 1 << 20};
  for (const Tensor& input : inputs) call.inputs.push_back(&input);
  PL_TRY(Tensors result, run_operator(call));
  return std::move(result[0]);
}

void expect_error(const base::Result<Tensor>& result, Code code, const std::string& text) {
  ASSERT_FALSE(result.ok()) << "expected: " << text;
  EXPECT_EQ(base::code_name(result.error().code), base::code_name(code)) << result.error().text();
  EXPECT_THAT(result.error().text(), HasSubstr(text));
  EXPECT_THAT(result.error().text(), HasSubstr("node 'n'"));
}

std::vector<double> random_values(base::Rng& rng, std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = rng.normal();
  return values;
}

// What the standard's stored cases do not reach (opsets 18 to 21, and operators that came with them).

TEST(Operators, NewerActivations) {
  const Tensor x = floats({4}, {-2, -0.5, 0, 1.5});
  const auto gelu = apply("Gelu", 20, {x});
  const auto mish = apply("Mish", 18, {x});
  for (std::size_t i = 0; i < 4; ++i) {
    const double v = x.reals[i];
    EXPECT_NEAR(gelu->reals[i], v * 0.5 * std::erfc(-v / std::sqrt(2.0)), 1e-15);
    EXPECT_NEAR(mish->reals[i], v * std::tanh(std::log(1 + std::exp(v))), 1e-15);
  }
  const auto approximate = apply("Gelu", 20, {x}, {{"approximate", std::string("tanh")}});
  EXPECT_NEAR(approximate->reals[0], -0.0454023, 1e-6);
  EXPECT_NEAR(approximate->reals[3], 1.3995715, 1e-6);
  expect_error(apply("Gelu", 20, {x}, {{"approximate", std::string("exact")}}), Code::kValue, "expected none or tanh");
  expect_error(apply("Gelu", 19, {x}), Code::kUnsupported, "opsets 20 to 21");
}

TEST(Operators, ReduceTakesAxesAsInputFrom18) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto old =
      apply("ReduceMean", 13, {x}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});
  const auto now = apply("ReduceMean", 18, {x, longs({1}, {-1})}, {{"keepdims", std::int64_t{0}}});
  EXPECT_THAT(old->reals, ElementsAre(2, 5));
  EXPECT_EQ(now->reals, old->reals);
  EXPECT_THAT(apply("ReduceMax", 18, {x})->reals, ElementsAre(6));
  EXPECT_EQ(apply("ReduceMax", 18, {x}, {{"noop_with_empty_axes", std::int64_t{1}}})->reals, x.reals);
}

TEST(Operators, SplitPadAndGroupNormalizationOf18) {
  const Tensor x = floats({5}, {1, 2, 3, 4, 5});
  EXPECT_THAT(apply("Split", 18, {x}, {{"num_outputs", std::int64_t{2}}}, 2)->reals, ElementsAre(1, 2, 3));
  expect_error(apply("Split", 13, {x}, {}, 2), Code::kShape, "does not split into 2 equal parts");
  const Tensor image = floats({1, 2, 2}, {1, 2, 3, 4});
  const auto padded = apply("Pad", 18, {image, longs({2}, {1, 0}), floats({}, {9}), longs({1}, {-1})});
  EXPECT_THAT(padded->reals, ElementsAre(9, 1, 2, 9, 3, 4));
  EXPECT_THAT(apply("Pad", 19, {x, longs({2}, {2, 1})}, {{"mode", std::string("wrap")}})->reals,
              ElementsAre(4, 5, 1, 2, 3, 4, 5, 1));
  const Tensor grouped = floats({1, 4, 1}, {0, 2, 10, 14});
  const std::map<std::string, Attribute> groups{{"num_groups", std::int64_t{2}}, {"epsilon", 0.0}};
  EXPECT_THAT(apply("GroupNormalization", 18, {grouped, floats({2}, {1, 2}), floats({2}, {0, 5})}, groups)->reals,
              ElementsAre(-1, 1, 3, 7));
  EXPECT_THAT(
      apply("GroupNormalization", 21, {grouped, floats({4}, {1, 1, 2, 2}), floats({4}, {0, 0, 5, 5})}, groups)->reals,
      ElementsAre(-1, 1, 3, 7));
  EXPECT_THAT(apply("AveragePool", 19, {floats({1, 1, 5}, {1, 2, 3, 4, 5})},
                    {{"kernel_shape", std::vector<std::int64_t>{2}}, {"dilations", std::vector<std::int64_t>{2}}})
                  ->reals,
              ElementsAre(2, 3, 4));
}

TEST(Operators, SoftmaxFlattensBefore13) {
  const Tensor x = floats({1, 2, 2}, {1, 2, 3, 4});
  const auto old = apply("Softmax", 11, {x});
  EXPECT_NEAR(std::accumulate(old->reals.begin(), old->reals.end(), 0.0), 1.0, 1e-15);
  const auto now = apply("Softmax", 13, {x});
  EXPECT_NEAR(now->reals[0] + now->reals[1], 1.0, 1e-15);
  EXPECT_NEAR(now->reals[1], 1 / (1 + std::exp(-1.0)), 1e-15);
  const auto large = apply("Softmax", 13, {floats({2}, {1000, 1001})});
  EXPECT_NEAR(large->reals[1], 1 / (1 + std::exp(-1.0)), 1e-15);
}

TEST(Operators, ConvolutionAgreesWithSixLoops) {
  base::Rng rng(3, {"conv"});
  const std::int64_t n = 2, c = 4, m = 6, groups = 2, h = 7, w = 6, kh = 3, kw = 2;
  const Tensor x = floats({n, c, h, w}, random_values(rng, n * c * h * w));
  const Tensor weights = floats({m, c / groups, kh, kw}, random_values(rng, m * c / groups * kh * kw));
  const Tensor bias = floats({m}, random_values(rng, m));
  const std::int64_t sh = 2, sw = 1, dh = 1, dw = 2, top = 1, left = 0, bottom = 2, right = 1;
  const auto y = apply("Conv", 13, {x, weights, bias},
                       {{"group", groups},
                        {"strides", std::vector<std::int64_t>{sh, sw}},
                        {"dilations", std::vector<std::int64_t>{dh, dw}},
                        {"pads", std::vector<std::int64_t>{top, left, bottom, right}}});
  ASSERT_TRUE(y.ok()) << y.error().text();
  const std::int64_t oh = (h + top + bottom - (kh - 1) * dh - 1) / sh + 1;
  const std::int64_t ow = (w + left + right - (kw - 1) * dw - 1) / sw + 1;
  ASSERT_EQ(y->shape, (Shape{n, m, oh, ow}));
  std::size_t at = 0;
  for (std::int64_t b = 0; b < n; ++b) {
    for (std::int64_t o = 0; o < m; ++o) {
      for (std::int64_t i = 0; i < oh; ++i) {
        for (std::int64_t j = 0; j < ow; ++j) {
          double want = bias.reals[static_cast<std::size_t>(o)];
          for (std::int64_t q = 0; q < c / groups; ++q) {
            for (std::int64_t u = 0; u < kh; ++u) {
              for (std::int64_t v = 0; v < kw; ++v) {
                const std::int64_t r = i * sh + u * dh - top;
                const std::int64_t s = j * sw + v * dw - left;
                if (r < 0 || r >= h || s < 0 || s >= w) continue;
                const std::int64_t channel = o / (m / groups) * (c / groups) + q;
                want += x.reals[static_cast<std::size_t>(((b * c + channel) * h + r) * w + s)] *
                        weights.reals[static_cast<std::size_t>(((o * (c / groups) + q) * kh + u) * kw + v)];
              }
            }
          }
          ASSERT_NEAR(y->reals[at++], want, 1e-12);
        }
      }
    }
  }
}

TEST(Operators, TransposedConvolutionIsTheAdjoint) {
  // <conv(x), y> = <x, conv_transpose(y)> for the same weights, strides, pads and dilations.
  base::Rng rng(4, {"adjoint"});
  const Tensor x = floats({1, 2, 6, 5}, random_values(rng, 60));
  const Tensor weights = floats({3, 2, 3, 2}, random_values(rng, 36));
  const std::map<std::string, Attribute> how{{"strides", std::vector<std::int64_t>{1, 2}},
                                             {"dilations", std::vector<std::int64_t>{2, 1}},
                                             {"pads", std::vector<std::int64_t>{1, 1, 1, 0}}};
  const auto forward = apply("Conv", 13, {x, weights}, how);
  ASSERT_TRUE(forward.ok()) << forward.error().text();
  const Tensor y = floats(forward->shape, random_values(rng, forward->size()));
  const auto back = apply("ConvTranspose", 13, {y, weights}, how);
  ASSERT_TRUE(back.ok()) << back.error().text();
  ASSERT_EQ(back->shape, x.shape);
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  EXPECT_NEAR(dot(forward->reals, y.reals), dot(x.reals, back->reals), 1e-10);
}

TEST(Operators, ProductsAgreeWithThreeLoopsAndRowsDoNotMix) {
  base::Rng rng(5, {"product"});
  for (const std::int64_t m : {1, 3, 4, 9}) {
    const std::int64_t k = 13, n = 19;
    const auto a = random_values(rng, m * k);
    const auto b = random_values(rng, k * n);
    std::vector<double> c(static_cast<std::size_t>(m * n), 0.0);
    multiply_add(a.data(), b.data(), c.data(), m, k, n);
    for (std::int64_t i = 0; i < m; ++i) {
      std::vector<double> row(static_cast<std::size_t>(n), 0.0);
      multiply_add(a.data() + i * k, b.data(), row.data(), 1, k, n);
      for (std::int64_t j = 0; j < n; ++j) {
        double want = 0;
        for (std::int64_t p = 0; p < k; ++p)
          want += a[static_cast<std::size_t>(i * k + p)] * b[static_cast<std::size_t>(p * n + j)];
        EXPECT_EQ(c[static_cast<std::size_t>(i * n + j)], want);
        EXPECT_EQ(row[static_cast<std::size_t>(j)], want);
      }
    }
  }
}

TEST(Operators, IntegerArithmeticIsDefined) {
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  EXPECT_THAT(apply("Div", 14, {longs({2}, {least, 7}), longs({2}, {-1, 2})})->integers, ElementsAre(least, 3));
  expect_error(apply("Div", 14, {longs({1}, {1}), longs({1}, {0})}), Code::kValue, "division by zero");
  expect_error(apply("Mod", 13, {longs({1}, {1}), longs({1}, {0})}), Code::kValue, "division by zero");
  EXPECT_THAT(apply("Add", 14, {longs({1}, {std::numeric_limits<std::int64_t>::max()}), longs({1}, {1})})->integers,
              ElementsAre(least));
  EXPECT_THAT(apply("Abs", 13, {longs({1}, {least})})->integers, ElementsAre(least));
  const Tensor wild = floats({5}, {1e300, -1e300, std::nan(""), 2.9, -2.9});
  EXPECT_THAT(apply("Cast", 13, {wild}, {{"to", std::int64_t{7}}})->integers,
              ElementsAre(std::numeric_limits<std::int64_t>::max(), least, 0, 2, -2));
}

TEST(Operators, HostileArgumentsAreRefused) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  expect_error(apply("Add", 14, {x, floats({3}, {1, 2, 3})}), Code::kShape, "do not broadcast");
  expect_error(apply("Add", 14, {x, longs({1}, {1})}), Code::kValue, "different types");
  expect_error(apply("Relu", 14, {}), Code::kValue, "input 0 is missing");
  expect_error(apply("Tanh", 13, {longs({1}, {1})}), Code::kUnsupported, "expected a real type");
  expect_error(apply("Reshape", 14, {x, longs({2}, {-1, -1})}), Code::kShape, "two axes of -1");
  expect_error(apply("Reshape", 14, {x, longs({1}, {-7})}), Code::kShape, "negative axis");
  expect_error(apply("Reshape", 14, {x, longs({2}, {huge, huge})}), Code::kLimit, "elements");
  expect_error(apply("Expand", 13, {x, longs({3}, {huge, 2, 2})}), Code::kLimit, "elements");
  expect_error(apply("Tile", 13, {x, longs({2}, {huge, huge})}), Code::kLimit, "elements");
  expect_error(apply("Pad", 13, {x, longs({4}, {huge, 0, 0, 0})}), Code::kLimit, "pad is too large");
  expect_error(apply("Pad", 13, {x, longs({4}, {-3, 0, 0, 0})}), Code::kShape, "negative axis");
  expect_error(apply("Gather", 13, {x, longs({1}, {2})}), Code::kValue, "index 2 is outside an axis of 2");
  expect_error(apply("GatherND", 13, {x, longs({1}, {-3})}), Code::kValue, "outside");
  expect_error(apply("Range", 11, {longs({}, {0}), longs({}, {huge}), longs({}, {1})}), Code::kLimit, "too long");
  expect_error(apply("Range", 11, {floats({}, {0}), floats({}, {1}), floats({}, {0})}), Code::kValue, "delta is zero");
  expect_error(apply("ConstantOfShape", 9, {longs({2}, {huge, 4})}), Code::kLimit, "elements");
  expect_error(apply("Concat", 13, {x, floats({1, 3}, {1, 2, 3})}, {{"axis", std::int64_t{0}}}), Code::kShape,
               "do not join");
  expect_error(apply("Concat", 13, {x, x}), Code::kValue, "'axis' is missing");
  expect_error(apply("Transpose", 13, {x}, {{"perm", std::vector<std::int64_t>{0, 0}}}), Code::kValue, "twice");
  expect_error(apply("Softmax", 13, {x}, {{"axis", std::int64_t{2}}}), Code::kValue, "axis 2 is outside");
  expect_error(apply("TopK", 11, {x, longs({1}, {3})}), Code::kValue, "k is 3");
  expect_error(apply("MatMul", 13, {x, floats({3, 1}, {1, 2, 3})}), Code::kShape, "do not multiply");
  expect_error(apply("Gemm", 13, {x, floats({3, 1}, {1, 2, 3})}), Code::kShape, "do not multiply");
  expect_error(apply("Einsum", 12, {x}, {{"equation", std::string("ij->ijk")}}), Code::kValue, "invents a label");
  expect_error(apply("Resize", 13, {x, floats({0}, {}), floats({2}, {1e30, 1})}), Code::kValue,
               "scale is out of range");
  const Tensor image = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const auto kernel = [](std::int64_t size) { return Attribute(std::vector<std::int64_t>{size, size}); };
  expect_error(apply("MaxPool", 12, {image}, {{"kernel_shape", kernel(3)}}), Code::kShape, "does not fit");
  expect_error(apply("MaxPool", 12, {image}, {{"kernel_shape", kernel(0)}}), Code::kValue, "size 0");
  expect_error(apply("MaxPool", 12, {image}, {{"kernel_shape", kernel(2)}, {"strides", kernel(0)}}), Code::kValue,
               "'strides'");
  expect_error(apply("MaxPool", 12, {image},
                     {{"kernel_shape", kernel(1 << 30)}, {"pads", std::vector<std::int64_t>(4, 1 << 30)}}),
               Code::kLimit, "elements");
  expect_error(apply("Conv", 11, {image, floats({1, 2, 1, 1}, {1, 1})}), Code::kShape, "do not agree");
  expect_error(apply("BatchNormalization", 13,
                     {image, floats({2}, {1, 1}), floats({2}, {1, 1}), floats({2}, {1, 1}), floats({2}, {1, 1})}),
               Code::kShape, "expected [1]");
}

TEST(Interpreter, InputsAreChecked) {
  Graph graph;
  graph.inputs = {{"x", Type::kFloat, {-1}}};
  graph.outputs = {{"y", Type::kFloat, {-1}}};
  graph.nodes = {{"n", "Relu", {"x"}, {"y"}, {}}};
  EXPECT_THAT(interpret(graph, {}).error().text(), HasSubstr("input 'x' is missing"));
  EXPECT_THAT(interpret(graph, {{"x", floats({3}, {1, 2})}}).error().text(), HasSubstr("disagree"));
  EXPECT_THAT(interpret(graph, {{"x", longs({1}, {1})}}).error().text(), HasSubstr("is int64, expected float"));
  EXPECT_THAT(interpret(graph, {{"x", floats({1}, {1})}}, {"h"}).error().text(), HasSubstr("no tensor 'h'"));
  EXPECT_EQ(interpret(graph, {{"x", floats({3}, {1, 2, 3})}}, {}, 2).error().code, Code::kLimit);
  const auto values = interpret(graph, {{"x", floats({2}, {-1, 2})}}, {"x"});
  ASSERT_TRUE(values.ok());
  EXPECT_THAT(values->at("y").reals, ElementsAre(0, 2));
  EXPECT_THAT(values->at("x").reals, ElementsAre(-1, 2));
}

TEST(Program, TakesRowsHoweverTheBatchIsDeclared) {
  Graph graph;
  graph.outputs = {{"y", Type::kFloat, {-1, 2}}};
  graph.initializers["w"] = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  graph.initializers["one"] = floats({}, {1});
  graph.initializers["two"] = floats({}, {2});
  graph.nodes = {{"c", "Add", {"one", "two"}, {"three"}, {}},
                 {"m", "MatMul", {"x", "w"}, {"h"}, {}},
                 {"a", "Add", {"h", "three"}, {"y"}, {}}};
  base::Rng rng(6, {"program"});
  MatrixD rows(130, 3);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = rng.normal();
  MatrixD want(130, 2);
  for (std::ptrdiff_t i = 0; i < 130; ++i) {
    want(i, 0) = rows(i, 0) + 3 * rows(i, 1) + 5 * rows(i, 2) + 3;
    want(i, 1) = 2 * rows(i, 0) + 4 * rows(i, 1) + 6 * rows(i, 2) + 3;
  }
  for (const std::int64_t batch : {-1, 1, 7}) {
    graph.inputs = {{"x", Type::kFloat, {batch, 3}}};
    const auto program = Program::prepare(graph);
    ASSERT_TRUE(program.ok()) << program.error().text();
    EXPECT_EQ(program->graph().nodes.size(), 2U);  // the constant sum is folded
    EXPECT_EQ(program->input_size(), 3);
    EXPECT_EQ(program->output_size(), 2);
    const auto got = program->run(rows, "h");
    ASSERT_TRUE(got.ok()) << got.error().text();
    EXPECT_LT((got->outputs - want).cwiseAbs().maxCoeff(), 1e-12) << batch;
    EXPECT_LT((got->features.array() + 3 - want.array()).abs().maxCoeff(), 1e-12) << batch;
    EXPECT_EQ(program->run(rows.topRows(1))->outputs.row(0), got->outputs.row(0))
        << "a row's bits depend on its company";
  }
  EXPECT_EQ(Program::prepare(graph)->run(MatrixD(2, 4)).error().code, Code::kShape);
  // A graph whose rows do see each other is run one by one when it declares a batch of one.
  graph.inputs = {{"x", Type::kFloat, {1, 3}}};
  graph.nodes.push_back({"r", "ReduceMean", {"y"}, {"z"}, {{"axes", std::vector<std::int64_t>{0, 1}}}});
  graph.outputs = {{"z", Type::kFloat, {1, 1}}};
  const auto program = Program::prepare(graph);
  ASSERT_TRUE(program.ok()) << program.error().text();
  const auto means = program->run(rows);
  ASSERT_TRUE(means.ok()) << means.error().text();
  EXPECT_NEAR(means->outputs(5, 0), (want(5, 0) + want(5, 1)) / 2, 1e-12);
}

TEST(Program, RefusesWhatHasNoRows) {
  Graph graph;
  graph.inputs = {{"x", Type::kFloat, {-1, -1}}};
  graph.outputs = {{"y", Type::kFloat, {-1, -1}}};
  graph.nodes = {{"n", "Relu", {"x"}, {"y"}, {}}};
  EXPECT_THAT(Program::prepare(graph).error().text(), HasSubstr("only the first axis may be free"));
  graph.inputs[0] = {"x", Type::kInt64, {-1, 2}};
  EXPECT_THAT(Program::prepare(graph).error().text(), HasSubstr("expected a real type"));
  graph.inputs.push_back({"z", Type::kFloat, {-1, 2}});
  EXPECT_THAT(Program::prepare(graph).error().text(), HasSubstr("2 inputs"));
}

// Real models.

TEST(RealModels, EveryControllerAndVerificationNetworkRuns) {
  PL_NEEDS_DATA(controllers, "controllers/onnx");
  PL_NEEDS_DATA(digits, "vnncomp/mnistfc/onnx");
  PL_NEEDS_DATA(aircraft, "vnncomp/acasxu/onnx");
  int models = 0;
  for (const std::string& folder : {controllers, digits, aircraft}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".onnx") continue;
      auto graph = read_onnx(entry.path().string());
      ASSERT_TRUE(graph.ok()) << graph.error().text();
      const auto program = Program::prepare(std::move(graph).value());
      ASSERT_TRUE(program.ok()) << entry.path() << ": " << program.error().text();
      const MatrixD rows = MatrixD::Constant(3, program->input_size(), 0.25);
      const auto out = program->run(rows);
      ASSERT_TRUE(out.ok()) << entry.path() << ": " << out.error().text();
      EXPECT_TRUE(out->outputs.allFinite()) << entry.path();
      ++models;
    }
  }
  EXPECT_EQ(models, 21 + 2 + 45);
}

std::string unzip(const std::string& path) {
  std::string bytes;
  gzFile file = gzopen(path.c_str(), "rb");
  std::vector<char> buffer(1 << 16);
  for (int n = 0; (n = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
  gzclose(file);
  return bytes;
}

TEST(RealModels, DigitsAreReadAtTheKnownAccuracy) {
  PL_NEEDS_DATA(model, "vnncomp/mnistfc/onnx/mnist-net_256x2.onnx");
  PL_NEEDS_DATA(image_file, "images/mnist/t10k-images-idx3-ubyte.gz");
  PL_NEEDS_DATA(label_file, "images/mnist/t10k-labels-idx1-ubyte.gz");
  const std::string images = unzip(image_file);
  const std::string labels = unzip(label_file);
  constexpr std::ptrdiff_t kRows = 10000;
  ASSERT_EQ(images.size(), 16U + kRows * 784);
  MatrixD rows(kRows, 784);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) {
    rows.data()[i] = static_cast<unsigned char>(images[static_cast<std::size_t>(16 + i)]) / 255.0;
  }
  const auto program = Program::prepare(read_onnx(model).value());
  ASSERT_TRUE(program.ok()) << program.error().text();
  const auto out = program->run(rows);
  ASSERT_TRUE(out.ok()) << out.error().text();
  int right = 0;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    std::ptrdiff_t best = 0;
    out->outputs.row(i).maxCoeff(&best);
    right += best == labels[static_cast<std::size_t>(8 + i)] ? 1 : 0;
  }
  std::cout << "right: " << right << " of 10000\n";
  EXPECT_GT(right, 9750);
  EXPECT_LT(right, 9850);
}

TEST(RealModels, WitnessesHaveTheirRecordedMargin) {
  PL_NEEDS_DATA(file, "vnncomp/witnesses_mnistfc.csv");
  PL_NEEDS_DATA(folder, "vnncomp");
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  int rows = 0;
  while (std::getline(in, line)) {
    std::vector<std::string> cells;
    std::stringstream split(line);
    for (std::string cell; std::getline(split, cell, ',');) cells.push_back(cell);
    ASSERT_EQ(cells.size(), 6U);
    std::stringstream numbers(cells[5]);
    MatrixD x(1, 784);
    for (std::ptrdiff_t i = 0; i < 784; ++i) numbers >> x(0, i);
    const auto out = Program::prepare(read_onnx(folder + "/" + cells[1]).value())->run(x);
    ASSERT_TRUE(out.ok()) << out.error().text();
    // The margin is of the best wrong class over the true one: it must be one of the gaps between two outputs.
    const double margin = std::stod(cells[4]);
    double nearest = 1e9;
    for (std::ptrdiff_t i = 0; i < 10; ++i) {
      nearest = std::min(nearest, std::fabs(out->outputs.row(0).maxCoeff() - out->outputs(0, i) - margin));
    }
    EXPECT_LT(nearest, 2e-4 * std::max(1.0, margin)) << cells[2];
    ++rows;
  }
  EXPECT_EQ(rows, 18);
}

}  // namespace
}  // namespace plumbline::graph

#include "plumbline/graph/onnx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/operators.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::graph {
namespace {

using base::Code;
using ::testing::HasSubstr;

Tensor floats(Shape shape, std::vector<double> values) {
  return {.type = Type::kFloat, .shape = std::move(shape), .reals = std::move(values), .integers = {}};
}

/// x (n x 2) -> Gemm -> Relu -> Gemm, plus an attribute of every kind.
Graph small_graph() {
  Graph graph{.name = "small", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", Type::kFloat, {-1, 2}}};
  graph.outputs = {{"y", Type::kFloat, {-1, 1}}};
  graph.initializers["w1"] = floats({2, 3}, {1, -1, 0.5, 2, 0.25, -2});
  graph.initializers["b1"] = floats({3}, {0.125, -0.5, 0.75});
  graph.initializers["w2"] = floats({1, 3}, {1, 2, 3});
  graph.nodes = {{"first", "Gemm", {"x", "w1", "b1"}, {"h"}, {{"alpha", 0.5}}},
                 {"gate", "Relu", {"h"}, {"r"}, {}},
                 {"second", "Gemm", {"r", "w2"}, {"y"}, {{"transB", std::int64_t{1}}}}};
  return graph;
}

onnx::ModelProto small_model() {
  testing::TempFolder folder;
  EXPECT_TRUE(write_onnx(small_graph(), folder.file("m.onnx")).ok());
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(testing::read_file(folder.file("m.onnx"))));
  return model;
}

base::Result<Graph> parse(const onnx::ModelProto& model, const OnnxLimits& limits = {}) {
  return parse_onnx(model.SerializeAsString(), {}, limits);
}

void expect_refused(const base::Result<Graph>& graph, Code code, const std::string& text) {
  ASSERT_FALSE(graph.ok()) << "expected: " << text;
  EXPECT_EQ(base::code_name(graph.error().code), base::code_name(code)) << graph.error().text();
  EXPECT_THAT(graph.error().text(), HasSubstr(text));
}

/// The small model after a change must be refused.
void expect_refused(const std::function<void(onnx::ModelProto&)>& change, Code code, const std::string& text) {
  auto model = small_model();
  change(model);
  expect_refused(parse(model), code, text);
}

TEST(Onnx, RoundTripKeepsEverything) {
  Graph graph = small_graph();
  graph.initializers["doubles"] = {.type = Type::kDouble, .shape = {2}, .reals = {0.1, -1e300}, .integers = {}};
  graph.initializers["halves"] = {
      .type = Type::kFloat16, .shape = {3}, .reals = {0.5, -65504, 0x1p-24}, .integers = {}};
  graph.initializers["bytes"] = {.type = Type::kUint8, .shape = {3}, .reals = {}, .integers = {0, 128, 255}};
  graph.initializers["small"] = {.type = Type::kInt8, .shape = {2}, .reals = {}, .integers = {-128, 127}};
  graph.initializers["truths"] = {.type = Type::kBool, .shape = {2}, .reals = {}, .integers = {1, 0}};
  graph.initializers["ints"] = {.type = Type::kInt32, .shape = {2}, .reals = {}, .integers = {-7, 2147483647}};
  graph.initializers["longs"] = {
      .type = Type::kInt64, .shape = {}, .reals = {}, .integers = {-(std::int64_t{1} << 62)}};
  graph.initializers["seed"] = floats({}, {1});
  graph.nodes.push_back({"a",
                         "RNN",
                         {"s", "w", "u"},
                         {"t"},
                         {{"activations", std::vector<std::string>{"Relu"}},
                          {"activation_alpha", std::vector<double>{0.5}},
                          {"direction", std::string("reverse")}}});
  graph.nodes.push_back({"b", "MaxPool", {"t"}, {"p", ""}, {{"kernel_shape", std::vector<std::int64_t>{2}}}});
  graph.nodes.push_back({"c", "ConstantOfShape", {"longs"}, {"v"}, {{"value", floats({1}, {2.5})}}});
  for (const char* name : {"s", "w", "u"}) graph.inputs.push_back({name, Type::kFloat, {-1, -1, -1}});
  testing::TempFolder folder;
  ASSERT_TRUE(write_onnx(graph, folder.file("m.onnx")).ok());
  const auto read = read_onnx(folder.file("m.onnx"));
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->name, graph.name);
  EXPECT_EQ(read->opset, graph.opset);
  ASSERT_EQ(read->nodes.size(), graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(read->nodes[i].name, graph.nodes[i].name);
    EXPECT_EQ(read->nodes[i].op, graph.nodes[i].op);
    EXPECT_EQ(read->nodes[i].inputs, graph.nodes[i].inputs);
    EXPECT_EQ(read->nodes[i].outputs, graph.nodes[i].outputs);
    ASSERT_EQ(read->nodes[i].attributes.size(), graph.nodes[i].attributes.size());
    for (const auto& [name, value] : graph.nodes[i].attributes) {
      ASSERT_EQ(read->nodes[i].attributes.at(name).index(), value.index()) << name;
      if (const auto* tensor = std::get_if<Tensor>(&value)) {
        EXPECT_EQ(std::get<Tensor>(read->nodes[i].attributes.at(name)).reals, tensor->reals);
      }
    }
  }
  ASSERT_EQ(read->initializers.size(), graph.initializers.size());
  for (const auto& [name, tensor] : graph.initializers) {
    const Tensor& got = read->initializers.at(name);
    EXPECT_EQ(got.type, tensor.type) << name;
    EXPECT_EQ(got.shape, tensor.shape) << name;
    EXPECT_EQ(got.reals, tensor.reals) << name;
    EXPECT_EQ(got.integers, tensor.integers) << name;
  }
  ASSERT_EQ(read->inputs.size(), graph.inputs.size());
  EXPECT_EQ(read->inputs[0].shape, graph.inputs[0].shape);
  EXPECT_EQ(read->outputs[0].name, "y");
}

TEST(Onnx, WriterRefusesWhatOnnxLacks) {
  testing::TempFolder folder;
  Graph graph = small_graph();
  graph.initializers["w1"].shape = {2, 4};
  EXPECT_THAT(write_onnx(graph, folder.file("m.onnx")).error().text(), HasSubstr("shape [2, 4] and 6 values disagree"));
  graph = small_graph();
  graph.initializers["w1"].type = Type::kString;
  EXPECT_EQ(write_onnx(graph, folder.file("m.onnx")).error().code, Code::kUnsupported);
  EXPECT_EQ(write_onnx(small_graph(), folder.file("missing/m.onnx")).error().code, Code::kIo);
}

TEST(Onnx, EveryTruncationIsRefusedOrReadsAsAPrefix) {
  const std::string whole = small_model().SerializeAsString();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto graph = parse_onnx(whole.substr(0, length));
    // A cut between fields can leave a shorter valid message; it must then still be refused for what it lacks, or for
    // the opset that comes last.
    EXPECT_FALSE(graph.ok()) << "cut at " << length;
  }
  EXPECT_TRUE(parse_onnx(whole).ok());
}

TEST(Onnx, FlippedBytesNeverCrash) {
  const std::string whole = small_model().SerializeAsString();
  base::Rng rng(1, {"flips"});
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    const auto graph = parse_onnx(bytes);
    if (graph.ok() && graph->inputs.size() == 1) (void)interpret(*graph, {{"x", floats({1, 2}, {1, 2})}}, {}, 1 << 12);
  }
}

TEST(Onnx, FilesThatAreNotModels) {
  expect_refused(parse_onnx(""), Code::kParse, "not an ONNX model");
  expect_refused(parse_onnx("hello, this is text"), Code::kParse, "not an ONNX model");
  expect_refused(read_onnx("/nowhere/m.onnx"), Code::kIo, "/nowhere/m.onnx");
  testing::TempFolder folder;
  expect_refused(read_onnx(folder.path()), Code::kIo, "cannot be opened as a file");
  testing::write_file(folder.file("big.onnx"), std::string(2000, 'x'));
  OnnxLimits limits;
  limits.file_bytes = 1000;
  expect_refused(read_onnx(folder.file("big.onnx"), limits), Code::kLimit, "2000 bytes, at most 1000");
}

TEST(Onnx, CycleIsNamed) {
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "y"); }, Code::kParse,
                 "node 'first' (Gemm): the graph has a cycle");
}

TEST(Onnx, MissingInitialiserIsNamed) {
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer()->DeleteSubrange(1, 1); }, Code::kParse,
                 "node 'first' (Gemm): input 'w1' is neither");
}

TEST(Onnx, NodesComeInExecutionOrder) {
  auto model = small_model();
  model.mutable_graph()->mutable_node()->SwapElements(0, 2);
  const auto graph = parse(model);
  ASSERT_TRUE(graph.ok()) << graph.error().text();
  EXPECT_EQ(graph->nodes[0].name, "first");
  EXPECT_EQ(graph->nodes[2].name, "second");
}

TEST(Onnx, DuplicatesAreRefused) {
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(1)->set_output(0, "h"); }, Code::kParse,
                 "tensor 'h' is produced twice");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(1)->set_output(0, "w1"); }, Code::kParse,
                 "tensor 'w1' is produced twice");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(1)->set_name("b1"); }, Code::kParse,
                 "given twice");
  expect_refused([](auto& m) { *m.mutable_graph()->add_input() = m.graph().input(0); }, Code::kParse, "given twice");
  expect_refused([](auto& m) { *m.mutable_graph()->add_output() = m.graph().output(0); }, Code::kParse, "given twice");
  expect_refused(
      [](auto& m) {
        auto* node = m.mutable_graph()->mutable_node(2);
        *node->add_attribute() = node->attribute(0);
      },
      Code::kParse, "attribute 'transB' is given twice");
}

TEST(Onnx, ShapesAreBounded) {
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_dims(0, -3); }, Code::kParse,
                 "negative axis");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_dims(0, std::int64_t{1} << 40); },
                 Code::kLimit, "more than 268435456 elements");
  expect_refused(
      [](auto& m) {
        auto* tensor = m.mutable_graph()->mutable_initializer(0);
        tensor->set_dims(0, std::int64_t{1} << 32);
        tensor->add_dims(std::int64_t{1} << 32);  // the product wraps to 0 in 64 bits
      },
      Code::kLimit, "more than 268435456 elements");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_dims(0, 7); }, Code::kParse,
                 "needs 7 values, the data holds 3");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->mutable_raw_data()->pop_back(); },
                 Code::kParse, "initialiser 'b1': shape [3] needs 3 values");
  const auto axis = [](auto& m, int i) {
    return m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(i);
  };
  expect_refused([&](auto& m) { axis(m, 1)->set_dim_value(-5); }, Code::kParse, "axis of size -5");
  expect_refused([&](auto& m) { axis(m, 1)->set_dim_value(std::int64_t{1} << 50); }, Code::kLimit,
                 "input or output 'x'");
  OnnxLimits limits;
  limits.nodes = 2;
  expect_refused(parse(small_model(), limits), Code::kLimit, "3 nodes, at most 2");
}

TEST(Onnx, UnknownThingsAreNamed) {
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(1)->set_op_type("Relux"); }, Code::kUnsupported,
                 "node 'gate' (Relux): operator 'Relux' is not held. the nearest operator held is 'Relu'");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(1)->set_domain("com.example"); }, Code::kUnsupported,
                 "operator 'Relu' of domain 'com.example'");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(1)->set_op_type("If"); }, Code::kUnsupported,
                 "node 'gate' (If)");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_name("alfa"); },
                 Code::kUnsupported, "node 'first' (Gemm): operator 'Gemm' has no attribute 'alfa'");
  expect_refused(
      [](auto& m) {
        auto* attribute = m.mutable_graph()->mutable_node(0)->mutable_attribute(0);
        attribute->set_type(onnx::AttributeProto::GRAPH);
        attribute->mutable_g();
      },
      Code::kUnsupported, "a subgraph (control flow) is not held");
  expect_refused([](auto& m) { m.add_functions()->set_name("f"); }, Code::kUnsupported, "function 'f'");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_data_type(onnx::TensorProto::STRING); },
                 Code::kUnsupported, "element type STRING is not held");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_data_type(99); }, Code::kUnsupported,
                 "element type 99");
  expect_refused([](auto& m) { m.mutable_opset_import(0)->set_version(5); }, Code::kUnsupported,
                 "opset 5, expected 6 to 21");
  expect_refused([](auto& m) { m.mutable_opset_import(0)->set_version(22); }, Code::kUnsupported, "opset 22");
  expect_refused([](auto& m) { m.clear_opset_import(); }, Code::kParse, "names no opset");
  expect_refused([](auto& m) { m.clear_graph(); }, Code::kParse, "holds no graph");
  expect_refused([](auto& m) { m.mutable_graph()->clear_output(); }, Code::kParse, "no output");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); }, Code::kParse,
                 "graph output 'z' is produced by no node");
  expect_refused([](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_name(""); }, Code::kParse, "no name");
}

TEST(Onnx, NamesAreSafeToPrint) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, std::string("\x1b[2J\n") + std::string(500, 'a'));
  const auto graph = parse(model);
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().text().find('\x1b'), std::string::npos);
  EXPECT_LT(graph.error().text().size(), 400U);
}

TEST(Onnx, Opset6IsReadWhereItMeansTheSame) {
  auto model = small_model();
  model.mutable_opset_import(0)->set_version(6);
  auto* flag = model.mutable_graph()->mutable_node(0)->add_attribute();
  flag->set_name("broadcast");
  flag->set_type(onnx::AttributeProto::INT);
  flag->set_i(1);
  const auto graph = parse(model);
  ASSERT_TRUE(graph.ok()) << graph.error().text();
  EXPECT_EQ(graph->opset, 7);
  flag->set_name("axis");
  expect_refused(parse(model), Code::kUnsupported, "node 'first' (Gemm): attribute 'axis' of opset 6 is not held");
  flag->set_name("is_test");
  model.mutable_graph()->mutable_node(0)->set_op_type("Dropout");
  flag->set_i(0);
  expect_refused(parse(model), Code::kUnsupported, "training mode is not held");
  model.mutable_graph()->mutable_node(0)->set_op_type("LSTM");
  expect_refused(parse(model), Code::kUnsupported, "the model uses opset 6");
}

TEST(Onnx, NewerIrVersionsAreRead) {
  auto model = small_model();
  model.set_ir_version(42);
  EXPECT_TRUE(parse(model).ok());
}

TEST(Onnx, TypedFieldsAndHalves) {
  auto model = small_model();
  auto* b1 = model.mutable_graph()->mutable_initializer(0);
  ASSERT_EQ(b1->name(), "b1");
  b1->clear_raw_data();
  for (const float value : {1.5F, -2.0F, 0.25F}) b1->add_float_data(value);
  EXPECT_EQ(parse(model)->initializers.at("b1").reals, (std::vector<double>{1.5, -2, 0.25}));
  b1->clear_float_data();
  b1->set_data_type(onnx::TensorProto::BFLOAT16);
  for (const int bits : {0x3FC0, 0xC000, 0x3E80}) b1->add_int32_data(bits);
  EXPECT_EQ(parse(model)->initializers.at("b1").reals, (std::vector<double>{1.5, -2, 0.25}));
  EXPECT_EQ(parse(model)->initializers.at("b1").type, Type::kFloat);
  b1->clear_int32_data();
  b1->set_data_type(onnx::TensorProto::FLOAT16);
  for (const int bits : {0x3E00, 0xC000, 0x3400}) b1->add_int32_data(bits);
  EXPECT_EQ(parse(model)->initializers.at("b1").reals, (std::vector<double>{1.5, -2, 0.25}));
}

TEST(Onnx, HalvesConvertBothWays) {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const double value = half_to_double(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_double(double_to_half(value))));
    } else {
      ASSERT_EQ(double_to_half(value), half) << bits;
    }
  }
  EXPECT_EQ(half_to_double(double_to_half(2049)), 2048);  // ties to even
  EXPECT_EQ(half_to_double(double_to_half(2051)), 2052);
  EXPECT_EQ(half_to_double(double_to_half(65519)), 65504);
  EXPECT_TRUE(std::isinf(half_to_double(double_to_half(65520))));
  EXPECT_EQ(half_to_double(double_to_half(0x1p-25)), 0);
  EXPECT_EQ(half_to_double(double_to_half(0x1.8p-25)), 0x1p-24);
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_.file("model/weights"));
    testing::write_file(folder_.file("model/weights/w.bin"), std::string("....") + bytes());
    testing::write_file(folder_.file("secret.bin"), bytes());
  }
  static std::string bytes() {
    const float values[3] = {1, 2, 3};
    return {reinterpret_cast<const char*>(values), sizeof values};
  }
  base::Result<Graph> read(const std::string& location, const std::string& offset = "",
                           const std::string& length = "") {
    auto model = small_model();
    auto* tensor = model.mutable_graph()->mutable_initializer(0);
    tensor->clear_raw_data();
    tensor->set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const std::string& key, const std::string& value) {
      if (value.empty()) return;
      auto* entry = tensor->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    testing::write_file(folder_.file("model/m.onnx"), model.SerializeAsString());
    return read_onnx(folder_.file("model/m.onnx"));
  }
  testing::TempFolder folder_;
};

TEST_F(ExternalData, InsideTheFolderIsRead) {
  const auto graph = read("weights/w.bin", "4", "12");
  ASSERT_TRUE(graph.ok()) << graph.error().text();
  EXPECT_EQ(graph->initializers.at("b1").reals, (std::vector<double>{1, 2, 3}));
}

TEST_F(ExternalData, LeavingTheFolderIsRefused) {
  expect_refused(read("../secret.bin"), Code::kValue, "leaves the model's folder");
  expect_refused(read("weights/../../secret.bin"), Code::kValue, "leaves the model's folder");
  expect_refused(read(folder_.file("secret.bin")), Code::kValue, "leaves the model's folder");
  std::filesystem::create_symlink(folder_.file("secret.bin"), folder_.file("model/innocent.bin"));
  expect_refused(read("innocent.bin"), Code::kValue, "leaves the model's folder");
  std::filesystem::create_directory_symlink(folder_.path(), folder_.file("model/up"));
  expect_refused(read("up/secret.bin"), Code::kValue, "leaves the model's folder");
}

TEST_F(ExternalData, BadPiecesAreRefused) {
  expect_refused(read("weights/none.bin"), Code::kIo, "cannot be opened");
  expect_refused(read("weights"), Code::kIo, "is not a file");
  expect_refused(read(""), Code::kParse, "without a location");
  expect_refused(read("weights/w.bin", "8"), Code::kParse, "ends before byte 20");
  expect_refused(read("weights/w.bin", "999999999999999999"), Code::kParse, "ends before byte");
  expect_refused(read("weights/w.bin", "-4"), Code::kParse, "offset is not a number");
  expect_refused(read("weights/w.bin", "4", "8"), Code::kParse, "holds 8 bytes, the shape needs 12");
  auto model = small_model();
  auto* tensor = model.mutable_graph()->mutable_initializer(0);
  tensor->clear_raw_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  expect_refused(parse(model), Code::kUnsupported, "not read from a folder");
}

TEST(Onnx, ConstantsBecomeInitialisers) {
  auto model = small_model();
  auto* node = model.mutable_graph()->add_node();
  node->set_op_type("Constant");
  node->add_output("c");
  auto* value = node->add_attribute();
  value->set_name("value_floats");
  value->set_type(onnx::AttributeProto::FLOATS);
  value->add_floats(2.5F);
  const auto graph = parse(model);
  ASSERT_TRUE(graph.ok()) << graph.error().text();
  EXPECT_EQ(graph->nodes.size(), 3U);
  EXPECT_EQ(graph->initializers.at("c").reals, std::vector<double>{2.5});
  *node->add_attribute() = node->attribute(0);
  node->mutable_attribute(1)->set_name("value_float");
  expect_refused(parse(model), Code::kParse, "exactly one value");
}

TEST(Onnx, OperatorPageIsCurrent) {
  const char* root = std::getenv("PLUMBLINE_SOURCE");
  const std::string path = std::string(root != nullptr ? root : PLUMBLINE_SOURCE_DIR) + "/docs/user/operators.md";
  if (std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr) testing::write_file(path, operators_page());
  EXPECT_EQ(testing::read_file(path), operators_page())
      << "write it anew with PLUMBLINE_ACCEPT_GOLDEN=1 and read the difference";
}

}  // namespace
}  // namespace plumbline::graph

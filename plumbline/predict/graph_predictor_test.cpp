#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/predict/network.hpp"
#include "plumbline/predict/open.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using ::testing::HasSubstr;
using Shape = std::vector<std::int64_t>;

/// y = x W + b behind a reshape of the input to (batch, 3): W and b are fixed.
graph::Graph linear(Shape input, Shape reshape = {-1, 3}) {
  graph::Graph graph;
  graph.name = "linear";
  graph.inputs = {{"x", graph::Type::kFloat, std::move(input)}};
  graph.outputs = {{"y", graph::Type::kFloat, {-1, 2}}};
  graph.initializers["w"] = {graph::Type::kFloat, {3, 2}, {1, 0, 2, 0.5, 3, 0}, {}};
  graph.initializers["b"] = {graph::Type::kFloat, {2}, {0.25, -1}, {}};
  graph.initializers["shape"] = {graph::Type::kInt64, {2}, {}, std::move(reshape)};
  graph.nodes = {{"r", "Reshape", {"x", "shape"}, {"flat"}, {}},
                 {"m", "MatMul", {"flat", "w"}, {"xw"}, {}},
                 {"a", "Add", {"xw", "b"}, {"y"}, {}}};
  return graph;
}

data::ModelSection section(Shape shape = {}, std::int64_t classes = 0) {
  data::ModelSection model;
  model.name = "m";
  model.output = "logits";
  model.input_shape = std::move(shape);
  model.classes = classes;
  return model;
}

base::Result<decision::PredictorPtr> open(const graph::Graph& graph, const data::ModelSection& model) {
  return make_graph_predictor(model, graph, "onnx", "h", make_interpreter(graph));
}

MatrixF some_rows(std::ptrdiff_t n) {
  base::Rng rng(8);
  MatrixF rows(n, 3);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.normal());
  return rows;
}

void expect_linear(decision::Predictor& model, std::ptrdiff_t n = 5) {
  const MatrixF rows = some_rows(n);
  const auto got = model.predict(rows, {});
  ASSERT_TRUE(got.ok()) << got.error().text();
  const auto exact = model.predict64(rows.cast<double>());
  ASSERT_TRUE(exact.ok()) << exact.error().text();
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    EXPECT_NEAR(got->outputs(i, 0), rows(i, 0) + 2.0 * rows(i, 1) + 3.0 * rows(i, 2) + 0.25, 1e-12);
    EXPECT_NEAR((*exact)(i, 1), 0.5 * rows(i, 1) - 1, 1e-12);
  }
}

TEST(GraphPredictor, TakesEveryKindOfBatchAxis) {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{-1, 3}, {-1, 3}}, {{-1, 1, 1, 3}, {-1, 3}},  // free batch
      {{1, 3}, {-1, 3}},  {{1, 1, 3}, {-1, 3}},      // a batch of 1 that may grow
      {{1, 3}, {1, 3}},   {{-1, 3}, {1, 3}},         // a batch of 1 that may not
      {{4, 3}, {4, 3}},                              // a batch of 4
      {{3}, {1, 3}},                                 // no batch axis at all
  };
  for (const auto& [input, reshape] : cases) {
    auto model = open(linear(input, reshape), section());
    ASSERT_TRUE(model.ok()) << model.error().text();
    EXPECT_EQ((*model)->info().input_size, 3);
    EXPECT_EQ((*model)->info().outputs, 2);
    EXPECT_FALSE((*model)->info().has_gradient);
    EXPECT_TRUE((*model)->info().has_float64);
    expect_linear(**model);
  }
  // The declared shape is the whole input: its first axis is no batch.
  auto column = open(linear({3, 1}, {1, 3}), section({3, 1}));
  ASSERT_TRUE(column.ok()) << column.error().text();
  expect_linear(**column);
}

TEST(GraphPredictor, RowsThatInfluenceEachOtherRunAlone) {
  // y = x - mean over the batch: zero for a row alone.
  graph::Graph graph;
  graph.inputs = {{"x", graph::Type::kFloat, {1, 2}}};
  graph.outputs = {{"y", graph::Type::kFloat, {1, 2}}};
  graph.nodes = {{"mean", "ReduceMean", {"x"}, {"m"}, {{"axes", Shape{0}}}}, {"sub", "Sub", {"x", "m"}, {"y"}, {}}};
  auto model = open(graph, section());
  ASSERT_TRUE(model.ok()) << model.error().text();
  MatrixF rows(2, 2);
  rows << 1, 2, 30, 40;
  EXPECT_EQ((*model)->predict(rows, {})->outputs, MatrixD::Zero(2, 2));
}

TEST(GraphPredictor, FeaturesAreATensorOfTheGraph) {
  data::ModelSection model = section();
  model.features = "xw";
  auto opened = open(linear({-1, 3}), model);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  decision::PredictOptions options;
  options.want_features = true;
  options.batch = 2;
  const auto got = (*opened)->predict(some_rows(5), options);
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_NEAR(got->features(4, 0), got->outputs(4, 0) - 0.25, 1e-12);
  model.features = "xv";
  EXPECT_THAT(open(linear({-1, 3}), model).error().text(),
              HasSubstr("features names tensor 'xv', which the graph does not compute"));
  EXPECT_THAT(open(linear({-1, 3}), model).error().text(), HasSubstr("Did you mean 'xw'?"));
  for (const char* elsewhere : {"inputs", "pca:64", ""}) {
    model.features = elsewhere;
    EXPECT_EQ((*open(linear({-1, 3}), model))->info().features, "");
  }
}

TEST(GraphPredictor, DeclarationsAreCheckedAgainstTheGraph) {
  EXPECT_THAT(open(linear({-1, 3}), section({}, 10)).error().text(),
              HasSubstr("gives 2 outputs a row, but classes is 10"));
  EXPECT_THAT(open(linear({-1, 3}), section({4})).error().text(),
              HasSubstr("input_shape is (4), but input 'x' takes rows of shape (3)"));
  EXPECT_THAT(open(linear({-1, 1, 3}), section({3, 1})).error().text(), HasSubstr("takes rows of shape (1, 3)"));
  EXPECT_TRUE(open(linear({-1, 1, 1, 3}), section({3})).ok());  // flat rows for a rank-4 input
  EXPECT_THAT(open(linear({-1, -1}), section()).error().text(), HasSubstr("Declare input_shape"));
  EXPECT_TRUE(open(linear({-1, -1}), section({3})).ok());
  EXPECT_THAT(open(linear({}), section()).error().text(), HasSubstr("no declared shape"));
  EXPECT_EQ(open(linear({std::int64_t{1} << 40U, 3}), section()).error().code, Code::kLimit);
  EXPECT_EQ(open(linear({-1, std::int64_t{1} << 40U}), section()).error().code, Code::kValue);
  graph::Graph two = linear({-1, 3});
  two.inputs.push_back({"z", graph::Type::kFloat, {-1, 3}});
  EXPECT_EQ(open(two, section()).error().code, Code::kUnsupported);
  data::ModelSection model = section();
  model.task = "prophecy";
  EXPECT_THAT(open(linear({-1, 3}), model).error().text(), HasSubstr("task is 'prophecy'"));
}

TEST(GraphPredictor, WithoutABackendThereIsNoGradient) {
  auto model = open(linear({-1, 3}), section());
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->input_gradient(MatrixD::Zero(1, 3), MatrixD::Zero(1, 2)).error().code, Code::kUnsupported);
}

// Networks and files --------------------------------------------------------------------------------------------------

NetworkSpec small_cnn() {
  NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {1, 8, 8};
  spec.classes = 3;
  spec.channels = {2, 3};
  spec.dense = 5;
  return spec;
}

TEST(Network, IsAPureFunctionOfSpecAndStream) {
  const auto a = build_network(small_cnn(), base::Rng(1));
  const auto b = build_network(small_cnn(), base::Rng(1));
  const auto c = build_network(small_cnn(), base::Rng(2));
  ASSERT_TRUE(a.ok()) << a.error().text();
  EXPECT_EQ(a->initializers.at("conv2.weight").reals, b->initializers.at("conv2.weight").reals);
  EXPECT_NE(a->initializers.at("conv2.weight").reals, c->initializers.at("conv2.weight").reals);
  EXPECT_EQ(a->initializers.at("dense1.weight").shape, (Shape{5, 12}));
  // Uniform in +-sqrt(6 / fan_in): the largest of 18 weights lies inside, most of them not near zero.
  const double bound = std::sqrt(6.0 / 9);
  for (const double w : a->initializers.at("conv1.weight").reals) EXPECT_LE(std::abs(w), bound);
  EXPECT_THAT(a->initializers.at("conv1.bias").reals, ::testing::Each(0.0));
}

TEST(Network, ErrorsNameTheField) {
  NetworkSpec spec = small_cnn();
  spec.kind = "rnn";
  EXPECT_THAT(build_network(spec, base::Rng(0)).error().text(), HasSubstr("network kind is 'rnn'"));
  spec = small_cnn();
  spec.classes = 1;
  EXPECT_THAT(build_network(spec, base::Rng(0)).error().text(), HasSubstr("classes is 1"));
  spec = small_cnn();
  spec.input_shape = {8, 8};
  EXPECT_EQ(build_network(spec, base::Rng(0)).error().code, Code::kShape);
  spec.input_shape = {1, 3, 8};
  EXPECT_THAT(build_network(spec, base::Rng(0)).error().text(), HasSubstr("height is 3"));
  spec.kind = "mlp";
  spec.input_shape = {100000, 1000};
  EXPECT_EQ(build_network(spec, base::Rng(0)).error().code, Code::kLimit);
}

Checkpoint small_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.spec = small_cnn();
  checkpoint.weights = build_network(checkpoint.spec, base::Rng(4))->initializers;
  checkpoint.settings = "{\"seed\":4}";
  checkpoint.data = base::sha256_hex("rows");
  checkpoint.epochs = 2;
  checkpoint.losses = {1.5, 0.1};
  checkpoint.state["m"] = {1.0F, -2.5F};
  return checkpoint;
}

TEST(Network, ACheckpointComesBackAsItWas) {
  const testing::TempFolder folder;
  const Checkpoint before = small_checkpoint();
  ASSERT_TRUE(write_checkpoint(before, folder.file("net.plnet")).ok());
  const auto after = read_checkpoint(folder.file("net.plnet"));
  ASSERT_TRUE(after.ok()) << after.error().text();
  EXPECT_EQ(after->spec, before.spec);
  EXPECT_EQ(after->losses, before.losses);
  EXPECT_EQ(after->state, before.state);
  EXPECT_EQ(after->weights.at("head.weight").reals, before.weights.at("head.weight").reals);
  data::ModelSection model = section();
  model.path = data::Location{"net.plnet", folder.file("net.plnet")};
  model.features = "features";
  auto opened = open_predictor(model);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ((*opened)->info().kind, "cnn");
  EXPECT_EQ((*opened)->info().hash, *base::sha256_file(folder.file("net.plnet")));
  EXPECT_THAT((*opened)->info().input_shape, ::testing::ElementsAre(1, 8, 8));
  EXPECT_EQ((*opened)->predict(MatrixF::Zero(2, 64), {})->outputs.cols(), 3);
}

TEST(Network, DamagedCheckpointsAreRefused) {
  const testing::TempFolder folder;
  const std::string path = folder.file("net.plnet");
  ASSERT_TRUE(write_checkpoint(small_checkpoint(), path).ok());
  const std::string bytes = testing::read_file(path);
  EXPECT_EQ(parse_checkpoint("").error().code, Code::kParse);
  EXPECT_EQ(parse_checkpoint("plumbline network 2\n").error().code, Code::kUnsupported);
  for (std::size_t cut = 20; cut < bytes.size(); cut += 7)
    EXPECT_FALSE(parse_checkpoint(std::string_view(bytes).substr(0, cut)).ok()) << cut;
  for (std::size_t at = 20; at < bytes.size(); at += 11) {  // any answer but a crash
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ 0x5A);
    (void)parse_checkpoint(other);
  }
  EXPECT_EQ(read_checkpoint(path, 10).error().code, Code::kLimit);
  EXPECT_EQ(read_checkpoint(folder.file("none")).error().code, Code::kIo);
  EXPECT_EQ(write_checkpoint(small_checkpoint(), folder.file("no/such/folder")).error().code, Code::kIo);
  const std::string head = "plumbline network 1\n";
  EXPECT_EQ(parse_checkpoint(head + std::string(1'000'000, '\x81')).error().code,
            Code::kParse);  // a million nested lists
  EXPECT_EQ(parse_checkpoint(head + "\x9b\x65\x6e\x65\x6e\x65\x6e\x65\x6e").error().code,
            Code::kParse);               // a list of 7e18
  Checkpoint vast = small_checkpoint();  // a few bytes that declare fifty million weights
  vast.spec.kind = "mlp";
  vast.spec.input_shape = {9999};
  vast.spec.hidden = {5000};
  ASSERT_TRUE(write_checkpoint(vast, path).ok());
  EXPECT_EQ(read_checkpoint(path).error().code, Code::kShape);
  Checkpoint other = small_checkpoint();
  other.weights.at("head.bias").shape = {4};
  other.weights.at("head.bias").reals.resize(4);
  EXPECT_THAT(network_graph(other).error().text(), HasSubstr("weight 'head.bias'"));
}

TEST(Open, ChecksTheSource) {
  const testing::TempFolder folder;
  const auto at = [&](const std::string& name, const std::string& bytes) {
    testing::write_file(folder.file(name), bytes);
    data::ModelSection model = section();
    model.path = data::Location{name, folder.file(name)};
    return model;
  };
  EXPECT_THAT(open_predictor(section()).error().text(),
              HasSubstr("model 'm': 0 of path, endpoint and callable are given"));
  data::ModelSection both = at("a.onnx", "x");
  both.endpoint = "http://localhost/";
  EXPECT_THAT(open_predictor(both).error().text(), HasSubstr("2 of path"));
  EXPECT_FALSE(open_predictor(at("a.onnx", "not a model")).ok());
  EXPECT_THAT(open_predictor(at("a.h5", "x")).error().text(), HasSubstr("not in '.h5'"));
  data::ModelSection script = at("a.pt", "PK");
  EXPECT_THAT(open_predictor(script).error().text(), HasSubstr("only with trusted = true"));
  script.trusted = true;
  const base::Error without = open_predictor(script).error();
  EXPECT_EQ(without.code, Code::kUnsupported);
  EXPECT_THAT(without.text(), HasSubstr("this build has no LibTorch"));
  OpenOptions small;
  small.file_bytes = 1;
  EXPECT_EQ(open_predictor(script, small).error().code, Code::kLimit);
  script.path->resolved = folder.file("none.pt");
  EXPECT_EQ(open_predictor(script).error().code, Code::kIo);
}

TEST(Open, RunsOnnxOnTheInterpreter) {
  const testing::TempFolder folder;
  ASSERT_TRUE(graph::write_onnx(linear({-1, 3}), folder.file("m.onnx")).ok());
  data::ModelSection model = section({3}, 2);
  model.path = data::Location{"m.onnx", folder.file("m.onnx")};
  auto opened = open_predictor(model);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ((*opened)->info().kind, "onnx");
  expect_linear(**opened);
}

TEST(Open, ReadsTheCompetitionNetworks) {
  PL_NEEDS_DATA(folder, "vnncomp");
  data::ModelSection model = section();
  model.output = "scores";
  model.path = data::Location{"m", folder + "/mnistfc/onnx/mnist-net_256x2.onnx"};
  auto mnist = open_predictor(model);
  ASSERT_TRUE(mnist.ok()) << mnist.error().text();
  EXPECT_EQ((*mnist)->info().input_size, 784);
  EXPECT_EQ((*mnist)->info().outputs, 10);
  model.path->resolved = folder + "/acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx";
  auto acas = open_predictor(model);
  ASSERT_TRUE(acas.ok()) << acas.error().text();
  EXPECT_EQ((*acas)->info().input_size, 5);
  EXPECT_EQ((*acas)->info().outputs, 5);
}

}  // namespace
}  // namespace plumbline::predict

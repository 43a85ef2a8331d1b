#include "plumbline/counterfactual/network_policy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/graph/onnx.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using ::testing::HasSubstr;

data::DecisionLog two_numbers() {
  data::LogBuilder builder("x");
  const double rows[3][2] = {{1, 2}, {-1, 0.5}, {0, 0}};
  for (const auto& row : rows) {
    data::DecisionRecord r;
    r.context = {{"hour", row[1]}, {"age", row[0]}, {"city", std::string("A")}};
    r.actions = {"right", "left", "up"};
    r.action = r.final_action = "left";
    r.propensity = 0.5;
    r.reward = 1;
    EXPECT_TRUE(builder.add(r, "x").ok());
  }
  return std::move(builder.take()).value();
}

/// Scores age + 2 hour for left, 3 age for right: behind a ReLU, so that it is no linear policy.
graph::Graph network(std::int64_t batch = -1) {
  graph::Graph graph;
  graph.name = "policy";
  graph.inputs = {{"x", graph::Type::kFloat, {batch, 2}}};
  graph.outputs = {{"y", graph::Type::kFloat, {batch, 2}}};
  graph.initializers["w"] = {graph::Type::kFloat, {2, 2}, {1, 3, 2, 0}, {}};
  graph.nodes = {{"m", "MatMul", {"x", "w"}, {"xw"}, {}}, {"r", "Relu", {"xw"}, {"y"}, {}}};
  return graph;
}

std::vector<double> at(const TargetPolicy& policy, const data::DecisionLog& log, std::size_t row) {
  std::vector<int> every;
  const auto available = log.available(row, every);
  std::vector<double> out(available.size());
  policy.probabilities(row, available, out);
  return out;
}

TEST(NetworkPolicy, SoftmaxOfTheNetworksScoresByNamedColumnsAndActions) {
  testing::TempFolder folder;
  ASSERT_TRUE(graph::write_onnx(network(), folder.file("net.onnx")).ok());
  testing::write_file(folder.file("policy.json"),
                      R"({"onnx": "net.onnx", "features": ["age", "hour"], "actions": ["left", "right"]})");
  const data::DecisionLog log = two_numbers();
  PolicySpec spec = parse_policy("onnx:" + folder.file("policy.json")).value();
  spec.temperature = 2;
  const auto soft = make_policy(spec, log);
  ASSERT_TRUE(soft.ok()) << soft.error().text();
  // Row 0: left max(0, 1 + 4) = 5, right 3; the network names no "up".
  const auto p = at(**soft, log, 0);
  EXPECT_NEAR(p[0], 1 / (1 + std::exp((5.0 - 3.0) / 2)), 1e-15);
  EXPECT_NEAR(p[1], 1 - p[0], 1e-15);
  EXPECT_EQ(p[2], 0);
  spec.temperature = 0;
  EXPECT_THAT(at(**make_policy(spec, log), log, 0), ::testing::ElementsAre(0, 1, 0));
  EXPECT_THAT(at(**make_policy(spec, log), log, 1), ::testing::ElementsAre(0.5, 0.5, 0))
      << "both cut to 0: ties shared";
  spec.epsilon = 0.3;
  EXPECT_THAT(at(**make_policy(spec, log), log, 0),
              ::testing::Pointwise(::testing::DoubleNear(1e-15), std::vector<double>{0.1, 0.8, 0.1}));
  // A network of one row at a time.
  ASSERT_TRUE(graph::write_onnx(network(1), folder.file("net.onnx")).ok());
  EXPECT_THAT(at(**make_policy(spec, log), log, 2),
              ::testing::Pointwise(::testing::DoubleNear(1e-15), std::vector<double>{0.45, 0.45, 0.1}));
}

TEST(NetworkPolicy, SaysWhatDoesNotFit) {
  testing::TempFolder folder;
  ASSERT_TRUE(graph::write_onnx(network(), folder.file("net.onnx")).ok());
  data::DecisionLog log = two_numbers();
  const auto message = [&](const std::string& json) {
    testing::write_file(folder.file("policy.json"), json);
    const auto made = make_policy(parse_policy("onnx:" + folder.file("policy.json")).value(), log);
    return made.ok() ? std::string() : made.error().text();
  };
  const std::string tail = R"(, "actions": ["left", "right"]})";
  EXPECT_THAT(message("net.onnx"), HasSubstr("is no description of a network"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": [1])" + tail), HasSubstr("'features' is no list of names"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age", "age"])" + tail), HasSubstr("one twice"));
  EXPECT_THAT(message(R"({"onnx": "none.onnx", "features": ["age", "hour"])" + tail), HasSubstr("none.onnx"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age"])" + tail), HasSubstr("a network from (rows, 1)"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age", "hout"])" + tail), HasSubstr("did you mean 'hour'?"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age", "city"])" + tail), HasSubstr("'city' is no number"));
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age", "hour"], "actions": ["a", "b", "c"]})"),
              HasSubstr("expected 3 a row"));
  log.context.columns[0].numbers[1] = std::nan("");
  EXPECT_THAT(message(R"({"onnx": "net.onnx", "features": ["age", "hour"])" + tail),
              HasSubstr("decision 2 has no 'hour'"));
}

}  // namespace
}  // namespace plumbline::counterfactual

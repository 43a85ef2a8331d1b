#include "plumbline/graph/conformance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "plumbline/graph/interpreter.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::graph {
namespace {

/// The cases of the ONNX project, as Debian's libonnx-testdata installs them.
std::string cases(const std::string& group) {
  const char* set = std::getenv("PLUMBLINE_ONNX_CASES");
  return std::string(set != nullptr ? set : "/usr/share/libonnx-testdata/data") + "/" + group;
}

base::Result<std::map<std::string, Tensor>> run(const Graph& graph, const std::map<std::string, Tensor>& inputs) {
  return interpret(graph, inputs);
}

void expect_all_pass(const std::string& group, int least_passed) {
  const std::string folder = cases(group);
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "install libonnx-testdata, or set PLUMBLINE_ONNX_CASES";
  const auto report = run_conformance(folder, run);
  ASSERT_TRUE(report.ok()) << report.error().text();
  std::cout << report->text();
  for (const std::string& failure : report->failures) ADD_FAILURE() << failure;
  EXPECT_GE(report->passed, least_passed);
}

TEST(Conformance, NodeCases) { expect_all_pass("node", 400); }
TEST(Conformance, ConvertedModels) { expect_all_pass("pytorch-converted", 1); }
TEST(Conformance, OperatorModels) { expect_all_pass("pytorch-operator", 1); }
TEST(Conformance, SimpleModels) { expect_all_pass("simple", 0); }

TEST(Conformance, NamesAFolderWithoutCases) {
  testing::TempFolder folder;
  const auto report = run_conformance(folder.path(), run);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, base::Code::kIo);
  EXPECT_THAT(report.error().text(), ::testing::HasSubstr("not a folder of conformance cases"));
}

TEST(Conformance, ReportsAWrongExecutor) {
  const std::string folder = cases("node");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "install libonnx-testdata, or set PLUMBLINE_ONNX_CASES";
  const auto wrong = [](const Graph& graph, const std::map<std::string, Tensor>& inputs) {
    auto outputs = interpret(graph, inputs);
    if (outputs.ok() && graph.nodes.size() == 1 && graph.nodes[0].op == "Tanh") {
      for (auto& [name, tensor] : *outputs) tensor.reals[0] += 0.1;
    }
    return outputs;
  };
  const auto report = run_conformance(folder, wrong);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_THAT(report->failures, ::testing::Contains(::testing::HasSubstr("test_tanh: output y differs at element 0")));
  EXPECT_FALSE(report->operators.at("Tanh").failures.empty());
}

}  // namespace
}  // namespace plumbline::graph

#include "plumbline/graph/conformance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "plumbline/graph/onnx.hpp"
#include "plumbline/graph/onnx_tensor.hpp"
#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Why two tensors differ; empty when they agree.
std::string difference(const Tensor& got, const Tensor& want, const ConformanceTolerance& tolerance) {
  if (got.is_real() != want.is_real() || (!got.is_real() && got.type != want.type)) {
    return fmt::format("is {}, expected {}", type_name(got.type), type_name(want.type));
  }
  if (got.shape != want.shape) {
    return fmt::format("has shape {}, expected {}", shape_text(got.shape), shape_text(want.shape));
  }
  for (std::size_t i = 0; i < want.integers.size(); ++i) {
    if (got.integers[i] != want.integers[i]) {
      return fmt::format("differs at element {}: {} against {}", i, got.integers[i], want.integers[i]);
    }
  }
  for (std::size_t i = 0; i < want.reals.size(); ++i) {
    const double a = got.reals[i];
    const double b = want.reals[i];
    const bool same = a == b || (std::isnan(a) && std::isnan(b)) ||
                      std::fabs(a - b) <= tolerance.absolute + tolerance.relative * std::fabs(b);
    if (!same) return fmt::format("differs at element {}: {} against {}", i, a, b);
  }
  return {};
}

enum class Verdict { kPassed, kFailed, kNotApplicable };
struct CaseResult {
  Verdict verdict = Verdict::kPassed;
  std::string reason;
};

/// Sample files of one data set, in order: input_0.pb, input_1.pb, ...
std::vector<fs::path> samples(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> files;
  for (int i = 0; fs::exists(folder / fmt::format("{}_{}.pb", prefix, i)); ++i) {
    files.push_back(folder / fmt::format("{}_{}.pb", prefix, i));
  }
  return files;
}

CaseResult run_set(const fs::path& folder, const Graph& graph, bool limited, const Executor& run,
                   const ConformanceTolerance& tolerance) {
  std::map<std::string, Tensor> inputs;
  const auto input_files = samples(folder, "input");
  for (std::size_t i = 0; i < input_files.size() && i < graph.inputs.size(); ++i) {
    auto tensor = parse_tensor(read_all(input_files[i]));
    if (!tensor) return {Verdict::kNotApplicable, tensor.error().message};
    inputs[graph.inputs[i].name] = std::move(tensor).value();
  }
  const auto outputs = run(graph, inputs);
  if (!outputs) {
    if (outputs.error().code == base::Code::kUnsupported && limited)
      return {Verdict::kNotApplicable, outputs.error().message};
    return {Verdict::kFailed, outputs.error().text()};
  }
  const auto output_files = samples(folder, "output");
  if (output_files.size() != graph.outputs.size())
    return {Verdict::kFailed, "the case holds another number of outputs"};
  for (std::size_t i = 0; i < output_files.size(); ++i) {
    const auto want = parse_tensor(read_all(output_files[i]));
    if (!want) return {Verdict::kNotApplicable, want.error().message};
    const std::string& name = graph.outputs[i].name;
    const auto got = outputs->find(name);
    if (got == outputs->end()) return {Verdict::kFailed, fmt::format("output {} is missing", name)};
    if (const std::string why = difference(got->second, *want, tolerance); !why.empty()) {
      return {Verdict::kFailed, fmt::format("output {} {}", name, why)};
    }
  }
  return {};
}

CaseResult run_case(const fs::path& folder, const std::string& bytes, bool limited, const Executor& run,
                    const ConformanceTolerance& tolerance) {
  OnnxLimits limits;
  limits.oldest_opset = 1;  // cases keep the opset in which an operator was last redefined
  const auto graph = parse_onnx(bytes, folder.string(), limits);
  if (!graph) {
    const bool refused = graph.error().code == base::Code::kUnsupported;
    return {refused ? Verdict::kNotApplicable : Verdict::kFailed, graph.error().message};
  }
  int sets = 0;
  for (; fs::exists(folder / fmt::format("test_data_set_{}", sets)); ++sets) {
    auto result = run_set(folder / fmt::format("test_data_set_{}", sets), *graph, limited, run, tolerance);
    if (result.verdict != Verdict::kPassed) return result;
  }
  if (sets == 0) return {Verdict::kNotApplicable, "the case holds no stored values"};
  return {};
}

}  // namespace

std::string ConformanceReport::text() const {
  std::string text = fmt::format("{} cases: {} passed, {} failed, {} not applicable\n", cases, passed, failures.size(),
                                 not_applicable);
  std::vector<std::string> without;
  for (const auto& [name, row] : operators) {
    if (row.cases == 0) {
      without.push_back(name);
      continue;
    }
    text += fmt::format("{}: {} cases, {} passed", name, row.cases, row.passed);
    if (!row.failures.empty()) text += fmt::format(", {} failed", row.failures.size());
    text += '\n';
    for (const auto& [reason, count] : row.not_applicable)
      text += fmt::format("    not applicable ({}): {}\n", count, reason);
    for (const std::string& failure : row.failures) text += fmt::format("    FAILED {}\n", failure);
  }
  if (!without.empty()) text += fmt::format("no case: {}\n", fmt::join(without, " "));
  return text;
}

base::Result<ConformanceReport> run_conformance(const std::string& folder, const Executor& run,
                                                const ConformanceTolerance& tolerance) {
  std::error_code trouble;
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(folder, trouble)) {
    if (fs::exists(entry.path() / "model.onnx")) cases.push_back(entry.path());
  }
  if (trouble || cases.empty())
    return base::make_error(base::Code::kIo, "is not a folder of conformance cases", folder);
  std::sort(cases.begin(), cases.end());

  ConformanceReport report;
  for (const OperatorInfo& op : supported_operators()) report.operators[std::string(op.name)];
  for (const fs::path& path : cases) {
    const std::string bytes = read_all(path / "model.onnx");
    auto operators = onnx_operators(bytes);
    if (!operators) return operators.error().at(path.string());
    const auto held = [&](const std::string& name) { return report.operators.contains(name); };
    if (operators->empty() || !std::all_of(operators->begin(), operators->end(), held)) continue;
    const bool limited = std::any_of(operators->begin(), operators->end(),
                                     [](const std::string& name) { return !find_operator(name)->limits.empty(); });
    const CaseResult result = run_case(path, bytes, limited, run, tolerance);
    const std::string name = path.filename().string();
    ++report.cases;
    if (result.verdict == Verdict::kPassed) ++report.passed;
    if (result.verdict == Verdict::kNotApplicable) ++report.not_applicable;
    if (result.verdict == Verdict::kFailed) report.failures.push_back(name + ": " + result.reason);
    for (const std::string& op : *operators) {
      ConformanceRow& row = report.operators[op];
      ++row.cases;
      if (result.verdict == Verdict::kPassed) ++row.passed;
      if (result.verdict == Verdict::kNotApplicable) ++row.not_applicable[result.reason];
      if (result.verdict == Verdict::kFailed) row.failures.push_back(name + ": " + result.reason);
    }
  }
  return report;
}

}  // namespace plumbline::graph

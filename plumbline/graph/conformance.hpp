#pragma once
/// Walks the ONNX standard's own test cases (a folder of cases, each with model.onnx and test_data_set_*/input_*.pb,
/// output_*.pb) and asks an executor for the outputs. Shared by the interpreter and every other executor.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::graph {

/// Runs a graph on inputs and returns at least the graph outputs, by name.
using Executor = std::function<base::Result<std::map<std::string, Tensor>>(
    const Graph&, const std::map<std::string, Tensor>& inputs)>;

struct ConformanceRow {
  int cases = 0;  ///< cases that hold the operator
  int passed = 0;
  std::map<std::string, int> not_applicable;  ///< reason -> cases
  std::vector<std::string> failures;          ///< "test_conv: output y differs at element 3: 1 against 2"
};

struct ConformanceReport {
  int cases = 0;
  int passed = 0;
  int not_applicable = 0;
  std::vector<std::string> failures;                ///< one line a failing case
  std::map<std::string, ConformanceRow> operators;  ///< every operator of supported_operators(), also with no case
  /// One line an operator: "Conv: 8 cases, 8 passed"; reasons indented below; operators without a case on the last
  /// line.
  std::string text() const;
};

/// Values agree within |got - want| <= absolute + relative |want|; types, shapes and integers must be equal. A real
/// type may be wider than asked for: executors that compute in double may return double for float.
struct ConformanceTolerance {
  double relative = 1e-3;  ///< the standard's own runner uses 1e-3 and 1e-7
  double absolute = 1e-7;
};

/// A case is not applicable when it holds an operator, element type or opset that the importer does not hold, or when
/// the executor refuses it as kUnsupported and the operators' `limits` say that something is not held. All else must
/// pass. Errors kIo: `folder` is not a folder with cases.
base::Result<ConformanceReport> run_conformance(const std::string& folder, const Executor& run,
                                                const ConformanceTolerance& tolerance = {});

}  // namespace plumbline::graph

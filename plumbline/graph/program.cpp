#include "plumbline/graph/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;
using base::make_error;

constexpr std::ptrdiff_t kBatch = 64;
constexpr std::uint64_t kElements = std::uint64_t{1} << 28U;

/// Replaces nodes whose inputs are all constant by their values.
base::Status fold_constants(Graph& graph) {
  std::vector<Node> rest;
  for (Node& node : graph.nodes) {
    Call call{.node = node, .opset = graph.opset, .inputs = {}, .limit = kElements};
    bool constant = true;
    for (const std::string& name : node.inputs) {
      const auto found = graph.initializers.find(name);
      constant = constant && (name.empty() || found != graph.initializers.end());
      call.inputs.push_back(found == graph.initializers.end() ? nullptr : &found->second);
    }
    if (!constant) {
      rest.push_back(std::move(node));
      continue;
    }
    PL_TRY(Tensors values, run_operator(call));
    for (std::size_t i = 0; i < node.outputs.size() && i < values.size(); ++i) {
      if (!node.outputs[i].empty()) graph.initializers[node.outputs[i]] = std::move(values[i]);
    }
  }
  graph.nodes = std::move(rest);
  std::set<std::string> read;
  for (const Node& node : graph.nodes) read.insert(node.inputs.begin(), node.inputs.end());
  for (const Port& port : graph.outputs) read.insert(port.name);
  std::erase_if(graph.initializers, [&](const auto& entry) { return !read.contains(entry.first); });
  return base::ok();
}

/// One call of the graph on `count` rows of `input_size` values.
base::Result<std::map<std::string, Tensor>> call_graph(const Graph& graph, const double* rows, std::ptrdiff_t count,
                                                       std::ptrdiff_t input_size, const std::string& features) {
  const Port& port = graph.inputs[0];
  Tensor input{.type = port.type, .shape = port.shape, .reals = {rows, rows + count * input_size}, .integers = {}};
  if (input.shape.empty()) input.shape = {1};
  input.shape[0] = count;
  std::vector<std::string> keep;
  if (!features.empty()) keep.push_back(features);
  return interpret(graph, {{port.name, std::move(input)}}, keep, kElements);
}

/// The values of a tensor as `count` rows.
base::Result<MatrixD> as_rows(const std::string& name, const Tensor& tensor, std::ptrdiff_t count) {
  const bool scalar_batch = tensor.shape.empty() && count == 1;
  if (!scalar_batch && (tensor.shape.empty() || tensor.shape[0] != count)) {
    return make_error(Code::kShape, fmt::format("tensor '{}' has shape {}, its first axis is not the batch of {}", name,
                                                shape_text(tensor.shape), count));
  }
  const std::vector<double> values = as_reals(tensor);
  const auto columns = static_cast<std::ptrdiff_t>(values.size()) / count;
  return MatrixD(Eigen::Map<const MatrixD>(values.data(), count, columns));
}

}  // namespace

base::Result<Program> Program::prepare(Graph graph) {
  if (graph.inputs.size() != 1) {
    return make_error(Code::kUnsupported, fmt::format("the graph has {} inputs, expected one", graph.inputs.size()));
  }
  if (graph.outputs.empty()) return make_error(Code::kUnsupported, "the graph has no output");
  const Port& port = graph.inputs[0];
  if (port.type != Type::kFloat && port.type != Type::kDouble && port.type != Type::kFloat16) {
    return make_error(Code::kUnsupported,
                      fmt::format("input '{}' is {}, expected a real type", port.name, type_name(port.type)));
  }
  Program program;
  std::uint64_t size = 1;
  for (std::size_t d = 1; d < port.shape.size(); ++d) {
    if (port.shape[d] < 1) {
      return make_error(Code::kUnsupported, fmt::format("input '{}' of shape {}: only the first axis may be free",
                                                        port.name, shape_text(port.shape)));
    }
    size *= static_cast<std::uint64_t>(port.shape[d]);
    if (size > kElements)
      return make_error(Code::kLimit, fmt::format("input '{}' has more than {} values", port.name, kElements));
  }
  program.input_size_ = static_cast<std::ptrdiff_t>(size);
  const std::int64_t declared = port.shape.empty() ? 1 : port.shape[0];
  if (declared == 0 || declared > (std::int64_t{1} << 20U)) {
    return make_error(Code::kUnsupported, fmt::format("input '{}' has a batch of {}", port.name, declared));
  }
  program.graph_ = std::move(graph);
  PL_CHECK(fold_constants(program.graph_));

  // Two different rows, and the declared batch size: does the graph also take other sizes?
  const std::string output = program.graph_.outputs[0].name;
  const std::ptrdiff_t one = std::max<std::ptrdiff_t>(declared, 1);
  std::vector<double> probe(static_cast<std::size_t>(std::max<std::ptrdiff_t>(one, 2) * program.input_size_));
  for (std::size_t i = 0; i < probe.size(); ++i) probe[i] = 0.25 + 0.5 * static_cast<double>(i * 7919 % 1009) / 1009;
  PL_TRY(auto first, call_graph(program.graph_, probe.data(), one, program.input_size_, {}));
  if (!first.at(output).is_real())
    return make_error(Code::kUnsupported, fmt::format("output '{}' is not real", output));
  PL_TRY(const MatrixD first_rows, as_rows(output, first.at(output), one));
  program.output_size_ = first_rows.cols();
  program.batch_ = declared == -1 ? 0 : one;
  if (declared == 1) {
    PL_TRY(auto second, call_graph(program.graph_, probe.data() + program.input_size_, 1, program.input_size_, {}));
    PL_TRY(const MatrixD second_rows, as_rows(output, second.at(output), 1));
    const auto both = call_graph(program.graph_, probe.data(), 2, program.input_size_, {});
    if (both.ok()) {
      const auto rows = as_rows(output, both->at(output), 2);
      if (rows.ok() && rows->cols() == first_rows.cols() && rows->row(0) == first_rows.row(0) &&
          rows->row(1) == second_rows.row(0)) {
        program.batch_ = 0;
      }
    }
  }
  return program;
}

base::Result<ProgramOutput> Program::run(MatrixRefD rows, const std::string& features) const {
  if (rows.cols() != input_size_) {
    return make_error(Code::kShape, fmt::format("rows have {} values, the graph takes {}", rows.cols(), input_size_));
  }
  ProgramOutput result;
  result.outputs.resize(rows.rows(), output_size_);
  const std::ptrdiff_t step = batch_ == 0 ? kBatch : batch_;
  for (std::ptrdiff_t start = 0; start < rows.rows(); start += step) {
    const std::ptrdiff_t count = std::min(step, rows.rows() - start);
    MatrixD block(batch_ == 0 ? count : step, rows.cols());
    for (std::ptrdiff_t i = 0; i < block.rows(); ++i) block.row(i) = rows.row(start + std::min(i, count - 1));
    PL_TRY(auto values, call_graph(graph_, block.data(), block.rows(), input_size_, features));
    const std::string& name = graph_.outputs[0].name;
    PL_TRY(const MatrixD out, as_rows(name, values.at(name), block.rows()));
    if (out.cols() != output_size_) {
      return make_error(Code::kShape,
                        fmt::format("output '{}' has {} values a row, expected {}", name, out.cols(), output_size_));
    }
    result.outputs.middleRows(start, count) = out.topRows(count);
    if (features.empty()) continue;
    PL_TRY(const MatrixD extra, as_rows(features, values.at(features), block.rows()));
    if (start == 0) result.features.resize(rows.rows(), extra.cols());
    if (extra.cols() != result.features.cols()) {
      return make_error(Code::kShape, fmt::format("tensor '{}' changes its size between batches", features));
    }
    result.features.middleRows(start, count) = extra.topRows(count);
  }
  return result;
}

}  // namespace plumbline::graph

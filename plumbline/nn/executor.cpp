#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "plumbline/nn/executor.hpp"

#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <ATen/Parallel.h>

namespace plumbline::nn {
namespace {

using at::Tensor;
using base::Code;
using Shape = std::vector<std::int64_t>;

template <class M>
at::ScalarType scalar_of();
template <>
at::ScalarType scalar_of<MatrixF>() {
  return at::kFloat;
}
template <>
at::ScalarType scalar_of<MatrixD>() {
  return at::kDouble;
}

/// A copy of the rows in the wanted shape, so that nothing borrowed outlives the call.
template <class M>
Tensor tensor_of(const M& rows, const Shape& shape) {
  return at::from_blob(const_cast<typename M::Scalar*>(rows.data()), shape, at::TensorOptions(scalar_of<M>())).clone();
}

MatrixD matrix_of(const Tensor& tensor, std::ptrdiff_t rows, const std::string& name) {
  if (rows == 0 || tensor.numel() % rows != 0) {
    throw EngineError(base::make_error(Code::kShape,
                                       fmt::format("{} numbers do not split into {} rows", tensor.numel(), rows),
                                       fmt::format("tensor '{}'", name)));
  }
  const Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  return Eigen::Map<const MatrixD>(flat.data_ptr<double>(), rows, flat.numel() / rows);
}

class Executor : public predict::GraphExecutor {
 public:
  explicit Executor(graph::Graph graph) : graph_(std::move(graph)) {}

  bool has_gradient() const override { return true; }
  bool batch_shape_matters() const override { return true; }

  base::Result<std::vector<MatrixD>> run(const MatrixF& rows, const Shape& shape,
                                         const std::vector<std::string>& wanted) override {
    return forward(rows, shape, wanted,
                   graph_.inputs.front().type == graph::Type::kDouble ? Precision::kFloat64 : Precision::kFloat32);
  }
  base::Result<std::vector<MatrixD>> run64(const MatrixD& rows, const Shape& shape,
                                           const std::vector<std::string>& wanted) override {
    return forward(rows, shape, wanted, Precision::kFloat64);
  }

  base::Result<MatrixD> gradient(const MatrixD& rows, const Shape& shape, const std::string& output,
                                 const MatrixD& weights) override {
    MatrixD result;
    PL_CHECK(guarded([&] {
      enter_torch();
      const at::AutoGradMode on(true);
      Values values = weights_at(Precision::kFloat64);
      const graph::Port& port = graph_.inputs.front();
      const Tensor x = tensor_of(rows, shape).set_requires_grad(true);
      values[port.name] = {std::make_shared<Tensor>(x), port.type};
      run_nodes(graph_, values, {output}, Precision::kFloat64);
      const Tensor y = *values.at(output).tensor;
      if (y.numel() != weights.size()) {
        throw EngineError(base::make_error(
            Code::kShape, fmt::format("the output has {} numbers, the weights {}", y.numel(), weights.size())));
      }
      if (!y.requires_grad()) {
        result = MatrixD::Zero(rows.rows(), rows.cols());
        return;
      }
      const auto found = torch::autograd::grad({y}, {x}, {tensor_of(weights, y.sizes().vec())}, false, false, true);
      result =
          found[0].defined() ? matrix_of(found[0], rows.rows(), port.name) : MatrixD::Zero(rows.rows(), rows.cols());
    }));
    return result;
  }

 private:
  template <class M>
  base::Result<std::vector<MatrixD>> forward(const M& rows, const Shape& shape, const std::vector<std::string>& wanted,
                                             Precision precision) {
    std::vector<MatrixD> results;
    PL_CHECK(guarded([&] {
      enter_torch();
      const at::NoGradGuard none;
      Values values = weights_at(precision);
      const graph::Port& port = graph_.inputs.front();
      const bool real =
          port.type == graph::Type::kFloat || port.type == graph::Type::kDouble || port.type == graph::Type::kFloat16;
      Tensor x = tensor_of(rows, shape);
      x = x.to(!real ? at::kLong : precision == Precision::kFloat32 ? at::kFloat : at::kDouble);
      values[port.name] = {std::make_shared<Tensor>(std::move(x)), port.type};
      run_nodes(graph_, values, wanted, precision);
      for (const std::string& name : wanted) {
        const auto found = values.find(name);
        if (found == values.end())
          throw EngineError(base::make_error(Code::kValue, fmt::format("the graph holds no tensor '{}'", name)));
        results.push_back(matrix_of(*found->second.tensor, rows.rows(), name));
      }
    }));
    return results;
  }

  const Values& weights_at(Precision precision) {
    std::optional<Values>& held = precision == Precision::kFloat32 ? single_ : double_;
    if (!held) {
      held.emplace();
      for (const auto& [name, tensor] : graph_.initializers) held->emplace(name, to_value(tensor, precision));
    }
    return *held;
  }

  graph::Graph graph_;
  std::optional<Values> single_;
  std::optional<Values> double_;
};

}  // namespace

void configure_process() {
  ::setenv("ATEN_CPU_CAPABILITY", "avx2", 1);
  ::setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  ::setenv("OMP_NUM_THREADS", "1", 1);
  static std::once_flag once;  // LibTorch takes the second setting only once in a process
  std::call_once(once, [] {
    at::set_num_threads(1);
    at::set_num_interop_threads(1);
  });
}

base::Result<std::map<std::string, graph::Tensor>> execute(const graph::Graph& graph,
                                                           const std::map<std::string, graph::Tensor>& inputs,
                                                           const std::vector<std::string>& keep, Precision precision) {
  std::map<std::string, graph::Tensor> results;
  PL_CHECK(guarded([&] {
    enter_torch();
    const at::NoGradGuard none;
    Values values;
    for (const graph::Port& port : graph.inputs) {
      const auto found = inputs.find(port.name);
      if (found == inputs.end())
        throw EngineError(base::make_error(Code::kValue, fmt::format("input '{}' is missing", port.name)));
      if (found->second.type == graph::Type::kDouble) precision = Precision::kFloat64;
    }
    for (const auto& [name, tensor] : graph.initializers) values[name] = to_value(tensor, precision);
    for (const graph::Port& port : graph.inputs) values[port.name] = to_value(inputs.at(port.name), precision);
    run_nodes(graph, values, keep, precision);
    const auto collect = [&](const std::string& name) {
      const auto found = values.find(name);
      if (found == values.end())
        throw EngineError(base::make_error(Code::kValue, fmt::format("the graph holds no tensor '{}'", name)));
      results.emplace(name, to_graph_tensor(found->second));
    };
    for (const graph::Port& port : graph.outputs) collect(port.name);
    for (const std::string& name : keep) collect(name);
  }));
  return results;
}

base::Result<std::unique_ptr<predict::GraphExecutor>> make_executor(graph::Graph graph) {
  if (graph.inputs.size() != 1 || graph.outputs.empty()) {
    return base::make_error(
        Code::kUnsupported,
        fmt::format("the graph has {} inputs and {} outputs, expected one input and at least one output",
                    graph.inputs.size(), graph.outputs.size()));
  }
  return std::unique_ptr<predict::GraphExecutor>(std::make_unique<Executor>(std::move(graph)));
}

std::shared_ptr<const predict::TorchBackend> torch_backend() {
  auto backend = std::make_shared<predict::TorchBackend>();
  backend->execute = make_executor;
  backend->open_torchscript = open_torchscript;
  return backend;
}

base::Result<double> parity(decision::Predictor& predictor, const graph::Graph& graph, MatrixRefF rows) {
  data::ModelSection section;
  section.name = predictor.info().name;
  section.output = "scores";
  for (const std::ptrdiff_t axis : predictor.info().input_shape) section.input_shape.push_back(axis);
  PL_TRY(const auto oracle,
         predict::make_graph_predictor(section, graph, "onnx", {}, predict::make_interpreter(graph)));
  PL_TRY(const decision::Prediction fast, predictor.predict(rows, {}));
  PL_TRY(const MatrixD exact, oracle->predict64(rows.cast<double>()));
  if (exact.rows() != fast.outputs.rows() || exact.cols() != fast.outputs.cols()) {
    return base::make_error(Code::kShape,
                            fmt::format("the predictor answers {} x {}, the graph {} x {}", fast.outputs.rows(),
                                        fast.outputs.cols(), exact.rows(), exact.cols()));
  }
  double difference = 0;
  double scale = 1e-12;
  for (std::ptrdiff_t i = 0; i < exact.size(); ++i) {
    difference = std::max(difference, std::abs(exact.data()[i] - fast.outputs.data()[i]));
    scale = std::max(scale, std::abs(exact.data()[i]));
  }
  return difference / scale;
}

}  // namespace plumbline::nn

#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "plumbline/nn/train.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/nn/engine.hpp"
#include "plumbline/nn/robust_loss.hpp"

namespace plumbline::nn {
namespace {

using at::Tensor;
using base::Code;
using base::make_error;
using Array = Eigen::Map<Eigen::ArrayXf>;

/// One weight tensor with its optimiser's memory: first and second moment (adam), or the velocity (sgd).
struct Parameter {
  std::string name;
  Tensor value;
  std::vector<float> first;
  std::vector<float> second;
  bool decays = false;
};

base::Status check_arguments(MatrixRefF inputs, std::span<const int> labels, const NetworkSpec& spec,
                             const TrainOptions& options) {
  constexpr std::string_view kHere = "train_classifier";
  PL_CHECK(base::check_at_least(kHere, "rows of inputs", inputs.rows(), 1));
  PL_CHECK(base::check_size(kHere, "labels", static_cast<std::ptrdiff_t>(labels.size()), inputs.rows()));
  PL_CHECK(base::check_labels(kHere, "labels", labels, static_cast<int>(spec.classes)));
  PL_CHECK(base::check_at_least(kHere, "epochs", options.epochs, 1));
  PL_CHECK(base::check_at_least(kHere, "batch", options.batch, 1));
  PL_CHECK(base::check_positive(kHere, "rate", options.rate));
  if (!(options.rate_decay > 0 && options.rate_decay <= 1)) {
    return make_error(Code::kValue,
                      fmt::format("{}: rate_decay is {}, expected a number in (0, 1]", kHere, options.rate_decay));
  }
  PL_CHECK(base::check_in(kHere, "momentum", options.momentum, 0, 1));
  PL_CHECK(base::check_in(kHere, "weight_decay", options.weight_decay, 0, 1e3));
  if (options.optimiser != "adam" && options.optimiser != "sgd") {
    return make_error(Code::kValue,
                      fmt::format("{}: optimiser is '{}', expected adam or sgd", kHere, options.optimiser));
  }
  PL_CHECK(check_robust(options.robust, spec, inputs.cols()));
  for (std::ptrdiff_t i = 0; i < inputs.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < inputs.cols(); ++j) {
      if (!std::isfinite(inputs(i, j))) {
        return make_error(Code::kValue,
                          fmt::format("{}: inputs({}, {}) is {}, expected a finite number", kHere, i, j, inputs(i, j)));
      }
    }
  }
  return base::ok();
}

/// What a resume must share with the run that wrote the checkpoint; the number of epochs may differ.
std::string settings_text(const TrainOptions& options) {
  nlohmann::json settings = {{"seed", options.seed},
                             {"batch", options.batch},
                             {"optimiser", options.optimiser},
                             {"rate", options.rate},
                             {"rate_decay", options.rate_decay},
                             {"momentum", options.momentum},
                             {"weight_decay", options.weight_decay}};
  const RobustTraining& r = options.robust;
  if (r.method != TrainMethod::kStandard) {
    settings["robust"] = {{"method", train_method_name(r.method)},
                          {"epsilon", r.epsilon},
                          {"sigma", r.sigma},
                          {"steps", r.steps},
                          {"beta", r.beta},
                          {"warmup", r.warmup},
                          {"ramp", r.ramp},
                          {"clean_weight", r.clean_weight},
                          {"scale", r.scale},
                          {"low", r.low},
                          {"high", r.high}};
  }
  return settings.dump();
}

std::string data_hash(MatrixRefF inputs, std::span<const int> labels) {
  base::Sha256 hash;
  for (std::ptrdiff_t i = 0; i < inputs.rows(); ++i) {
    const Eigen::RowVectorXf row = inputs.row(i);
    hash.add(std::as_bytes(std::span(row.data(), static_cast<std::size_t>(row.size()))));
  }
  return hash.add(std::as_bytes(labels)).hex();
}

/// The state of a run between two steps.
class Trainer {
 public:
  Trainer(predict::Checkpoint start, graph::Graph graph, const TrainOptions& options)
      : checkpoint_(std::move(start)), graph_(std::move(graph)), options_(options) {
    for (const auto& [name, tensor] : graph_.initializers) {
      Parameter parameter;
      parameter.name = name;
      parameter.value = *to_value(tensor, Precision::kFloat32).tensor;
      parameter.value.set_requires_grad(true);
      parameter.decays = name.ends_with(".weight");
      const auto size = static_cast<std::size_t>(tensor.size());
      parameter.first = state("first." + name, size);
      if (options_.optimiser == "adam") parameter.second = state("second." + name, size);
      parameters_.push_back(std::move(parameter));
    }
    graph_.initializers.clear();
  }

  /// One pass over the rows. Sums of losses go over batches in their order.
  base::Status epoch(MatrixRefF inputs, std::span<const int> labels) {
    const auto n = static_cast<std::size_t>(inputs.rows());
    const base::Rng order_stream =
        base::Rng(options_.seed, {"train", "order"}).fork(static_cast<std::uint64_t>(checkpoint_.epochs));
    const std::vector<std::size_t> order = base::Rng(order_stream).permutation(n);
    const double rate = options_.rate * std::pow(options_.rate_decay, static_cast<double>(checkpoint_.epochs));
    double total = 0;
    for (std::size_t begin = 0; begin < n; begin += static_cast<std::size_t>(options_.batch)) {
      PL_CHECK(options_.cancel.status());
      const std::size_t count = std::min(static_cast<std::size_t>(options_.batch), n - begin);
      double loss = 0;
      const double position =
          static_cast<double>(checkpoint_.epochs) + static_cast<double>(begin) / static_cast<double>(n);
      PL_CHECK(guarded([&] { loss = step(inputs, labels, std::span(order).subspan(begin, count), rate, position); }));
      if (!std::isfinite(loss)) {
        return make_error(Code::kValue,
                          fmt::format("the loss is {} in epoch {}, row {}", loss, checkpoint_.epochs + 1, begin),
                          "train_classifier", fmt::format("Try a rate below {}", options_.rate));
      }
      total += loss * static_cast<double>(count);
      if (options_.progress != nullptr) {
        options_.progress->update("train", static_cast<std::size_t>(checkpoint_.epochs) * n + begin + count,
                                  static_cast<std::size_t>(options_.epochs) * n);
      }
    }
    ++checkpoint_.epochs;
    checkpoint_.losses.push_back(total / static_cast<double>(n));
    return base::ok();
  }

  /// The checkpoint as it stands, weights and memory included.
  const predict::Checkpoint& snapshot() {
    checkpoint_.weights.clear();
    checkpoint_.state.clear();
    for (const Parameter& parameter : parameters_) {
      checkpoint_.weights[parameter.name] =
          to_graph_tensor({std::make_shared<Tensor>(parameter.value), graph::Type::kFloat});
      checkpoint_.state["first." + parameter.name] = parameter.first;
      if (!parameter.second.empty()) checkpoint_.state["second." + parameter.name] = parameter.second;
    }
    return checkpoint_;
  }

  std::int64_t epochs() const { return checkpoint_.epochs; }

 private:
  std::vector<float> state(const std::string& name, std::size_t size) const {
    const auto found = checkpoint_.state.find(name);
    if (found == checkpoint_.state.end()) return std::vector<float>(size, 0.0F);
    if (found->second.size() != size)
      throw EngineError(make_error(Code::kShape, fmt::format("the checkpoint's '{}' has another size", name)));
    return found->second;
  }

  double step(MatrixRefF inputs, std::span<const int> labels, std::span<const std::size_t> rows, double rate,
              double position) {
    const auto count = static_cast<std::int64_t>(rows.size());
    std::vector<std::int64_t> shape = {count};
    shape.insert(shape.end(), checkpoint_.spec.input_shape.begin(), checkpoint_.spec.input_shape.end());
    const Tensor x = at::empty(shape, at::kFloat);
    const Tensor y = at::empty({count}, at::kLong);
    Eigen::Map<MatrixF> batch(x.data_ptr<float>(), count, inputs.cols());
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t row = rows[static_cast<std::size_t>(i)];
      batch.row(i) = inputs.row(static_cast<std::ptrdiff_t>(row));
      y.data_ptr<std::int64_t>()[i] = labels[row];
    }
    std::map<std::string, Tensor> weights;
    std::vector<Tensor> leaves;
    for (const Parameter& parameter : parameters_) {
      weights.emplace(parameter.name, parameter.value);
      leaves.push_back(parameter.value);
    }
    const base::Rng noise =
        base::Rng(options_.seed, {"train", "noise"}).fork(static_cast<std::uint64_t>(checkpoint_.epochs));
    std::vector<Tensor> slopes;
    double loss_value = 0;
    {
      const at::AutoGradMode on(true);
      const RobustLoss robust(options_.robust, graph_, weights);
      const Tensor loss = robust.loss(x, y, {noise, rows, position});
      loss_value = loss.item<double>();
      slopes = torch::autograd::grad({loss}, leaves);
    }
    ++checkpoint_.steps;
    for (std::size_t i = 0; i < parameters_.size(); ++i) update(parameters_[i], slopes[i].contiguous(), rate);
    return loss_value;
  }

  void update(Parameter& parameter, const Tensor& slope, double rate) const {
    const auto size = static_cast<std::ptrdiff_t>(parameter.first.size());
    Array w(parameter.value.data_ptr<float>(), size);
    const Array g(slope.data_ptr<float>(), size);
    Array m(parameter.first.data(), size);
    if (options_.weight_decay > 0 && parameter.decays) w *= static_cast<float>(1 - rate * options_.weight_decay);
    if (options_.optimiser == "sgd") {
      m = static_cast<float>(options_.momentum) * m + g;
      w -= static_cast<float>(rate) * m;
      return;
    }
    constexpr double kFirst = 0.9;
    constexpr double kSecond = 0.999;
    Array v(parameter.second.data(), size);
    const auto t = static_cast<double>(checkpoint_.steps);
    const auto step_size = static_cast<float>(rate / (1 - std::pow(kFirst, t)));
    const auto root_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(kSecond, t)));
    m = static_cast<float>(kFirst) * m + static_cast<float>(1 - kFirst) * g;
    v = static_cast<float>(kSecond) * v + static_cast<float>(1 - kSecond) * (g * g);
    w -= step_size * m / (v.sqrt() * root_scale + 1e-8F);
  }

  predict::Checkpoint checkpoint_;
  graph::Graph graph_;
  const TrainOptions& options_;
  std::vector<Parameter> parameters_;
};

}  // namespace

base::Result<TrainedNetwork> train_classifier(const NetworkSpec& spec, MatrixRefF inputs, std::span<const int> labels,
                                              const TrainOptions& options) {
  PL_TRY(graph::Graph graph, predict::build_network(spec, base::Rng(options.seed, {"train", "weights"})));
  PL_CHECK(check_arguments(inputs, labels, spec, options));
  std::ptrdiff_t width = 1;
  for (const std::int64_t axis : spec.input_shape) width *= axis;
  PL_CHECK(base::check_size("train_classifier", "columns of inputs", inputs.cols(), width));

  predict::Checkpoint start;
  start.spec = spec;
  start.settings = settings_text(options);
  if (!options.checkpoint.empty()) {
    start.data = data_hash(inputs, labels);
    std::error_code ignored;
    if (std::filesystem::exists(options.checkpoint, ignored)) {
      PL_TRY(predict::Checkpoint found, predict::read_checkpoint(options.checkpoint));
      const char* other = !(found.spec == spec)              ? "another network"
                          : found.settings != start.settings ? "other settings"
                          : found.data != start.data         ? "other data"
                                                             : nullptr;
      if (other != nullptr) {
        return make_error(Code::kValue, fmt::format("the checkpoint is of {}", other), options.checkpoint,
                          "Remove it, or name another file");
      }
      if (found.epochs > options.epochs) {
        return make_error(
            Code::kValue,
            fmt::format("the checkpoint has {} epochs, more than the {} asked for", found.epochs, options.epochs),
            options.checkpoint, "Remove it, or name another file");
      }
      PL_TRY(graph, predict::network_graph(found));
      start = std::move(found);
    }
  }
  const graph::Graph shape = graph;
  std::unique_ptr<Trainer> trainer;
  PL_CHECK(guarded([&] {
    enter_torch();
    trainer = std::make_unique<Trainer>(std::move(start), std::move(graph), options);
  }));
  while (trainer->epochs() < options.epochs) {
    PL_CHECK(trainer->epoch(inputs, labels));
    if (!options.checkpoint.empty()) PL_CHECK(predict::write_checkpoint(trainer->snapshot(), options.checkpoint));
  }
  const predict::Checkpoint& done = trainer->snapshot();
  TrainedNetwork network;
  network.spec = spec;
  network.losses = done.losses;
  network.graph = shape;
  network.graph.initializers = done.weights;
  return network;
}

}  // namespace plumbline::nn

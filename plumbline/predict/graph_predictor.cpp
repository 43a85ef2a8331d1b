#include "plumbline/predict/graph_predictor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/predict/batch.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;
using Shape = std::vector<std::int64_t>;

std::string shape_text(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

class Interpreter : public GraphExecutor {
 public:
  explicit Interpreter(graph::Graph graph) : graph_(std::move(graph)) {}
  bool has_gradient() const override { return false; }
  bool batch_shape_matters() const override { return false; }

  base::Result<std::vector<MatrixD>> run(const MatrixF& rows, const Shape& shape,
                                         const std::vector<std::string>& wanted) override {
    return run64(rows.cast<double>(), shape, wanted);
  }

  base::Result<std::vector<MatrixD>> run64(const MatrixD& rows, const Shape& shape,
                                           const std::vector<std::string>& wanted) override {
    const graph::Port& port = graph_.inputs.front();
    graph::Tensor input;
    input.type = port.type;
    input.shape = shape;
    if (input.is_real()) {
      input.reals.assign(rows.data(), rows.data() + rows.size());
    } else {
      for (const double value : std::span(rows.data(), static_cast<std::size_t>(rows.size()))) {
        if (value != std::floor(value)) {
          return make_error(Code::kValue,
                            fmt::format("{} given to an input of type {}", value, graph::type_name(port.type)),
                            fmt::format("input '{}'", port.name));
        }
        input.integers.push_back(static_cast<std::int64_t>(value));
      }
    }
    PL_TRY(const auto values, graph::interpret(graph_, {{port.name, std::move(input)}}, wanted));
    std::vector<MatrixD> out;
    for (const std::string& name : wanted) {
      const graph::Tensor& tensor = values.at(name);
      const auto size = static_cast<std::ptrdiff_t>(tensor.size());
      if (rows.rows() == 0 || size % rows.rows() != 0) {
        return make_error(Code::kShape,
                          fmt::format("shape {} does not split into {} rows", shape_text(tensor.shape), rows.rows()),
                          fmt::format("tensor '{}'", name));
      }
      MatrixD matrix(rows.rows(), size / rows.rows());
      for (std::ptrdiff_t i = 0; i < size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        matrix.data()[i] = tensor.is_real() ? tensor.reals[at] : static_cast<double>(tensor.integers[at]);
      }
      out.push_back(std::move(matrix));
    }
    return out;
  }

 private:
  graph::Graph graph_;
};

class GraphPredictor : public decision::Predictor {
 public:
  GraphPredictor(decision::PredictorInfo info, Shape axes, std::string output, std::unique_ptr<GraphExecutor> executor)
      : info_(std::move(info)), axes_(std::move(axes)), output_(std::move(output)), executor_(std::move(executor)) {}

  /// Rows in one run: 0 = as many as the caller likes.
  void set_rows_at_once(std::ptrdiff_t rows, bool batch_axis) {
    rows_at_once_ = rows;
    batch_axis_ = batch_axis;
  }
  void set_outputs(std::ptrdiff_t outputs) { info_.outputs = outputs; }

  const decision::PredictorInfo& info() const override { return info_; }

  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    decision::PredictOptions used = options;
    if (rows_at_once_ > 0) used.batch = rows_at_once_;
    const bool pad = executor_->batch_shape_matters() || rows_at_once_ > 0;
    std::vector<std::string> wanted = {output_};
    if (options.want_features) wanted.push_back(info_.features);
    return predict_in_batches(info_, rows, used, pad, [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
      PL_TRY(auto values, executor_->run(batch, shape_of(batch.rows()), wanted));
      decision::Prediction part;
      part.outputs = std::move(values[0]);
      if (options.want_features) part.features = std::move(values[1]);
      return part;
    });
  }

  base::Result<MatrixD> predict64(MatrixRefD rows) override {
    return in_batches(rows, info_.outputs,
                      [&](const MatrixD& batch, std::ptrdiff_t, std::ptrdiff_t) -> base::Result<MatrixD> {
                        PL_TRY(auto values, executor_->run64(batch, shape_of(batch.rows()), {output_}));
                        return std::move(values[0]);
                      });
  }

  base::Result<MatrixD> input_gradient(MatrixRefD rows, MatrixRefD weights) override {
    if (!executor_->has_gradient()) return Predictor::input_gradient(rows, weights);
    PL_CHECK(base::check_size("input_gradient", "rows of weights", weights.rows(), rows.rows()));
    PL_CHECK(base::check_size("input_gradient", "columns of weights", weights.cols(), info_.outputs));
    return in_batches(rows, info_.input_size, [&](const MatrixD& batch, std::ptrdiff_t begin, std::ptrdiff_t count) {
      return executor_->gradient(batch, shape_of(batch.rows()), output_,
                                 padded_rows(weights, begin, count, batch.rows()));
    });
  }

  /// Runs a few random rows: finds the number of outputs and whether rows may share a batch.
  base::Status probe(std::ptrdiff_t fixed_batch, bool batch_axis) {
    base::Rng rng(0, {"predict", "probe"});
    const std::ptrdiff_t count = fixed_batch > 0 ? fixed_batch : 1;
    MatrixD three(3, info_.input_size);
    for (std::ptrdiff_t i = 0; i < three.size(); ++i) three.data()[i] = whole_numbers_ ? 0.0 : rng.uniform();
    set_rows_at_once(count, batch_axis);
    PL_TRY(const auto first, executor_->run64(padded_rows(three, 0, 1, count), shape_of(count), tensors()));
    set_outputs(first[0].cols());
    if (!batch_axis || fixed_batch > 1) return base::ok();
    // One by one against all three at once. Rows that influence each other differ by far more than rounding.
    const auto together = executor_->run64(three, shape_of(3), tensors());
    if (!together.ok()) return base::ok();
    for (std::ptrdiff_t i = 0; i < 3; ++i) {
      PL_TRY(const auto alone, executor_->run64(three.middleRows(i, 1), shape_of(1), tensors()));
      for (std::size_t t = 0; t < alone.size(); ++t) {
        const MatrixD& both = (*together)[t];
        if (both.rows() != 3 || both.cols() != alone[t].cols()) return base::ok();
        double largest = 0;
        double difference = 0;
        for (std::ptrdiff_t k = 0; k < both.cols(); ++k) {
          largest = std::max(largest, std::abs(alone[t](0, k)));
          difference = std::max(difference, std::abs(alone[t](0, k) - both(i, k)));
        }
        if (!(difference <= 1e-9 * std::max(largest, 1e-3))) return base::ok();
      }
    }
    set_rows_at_once(0, batch_axis);
    return base::ok();
  }

  void set_whole_numbers(bool whole) { whole_numbers_ = whole; }

 private:
  std::vector<std::string> tensors() const {
    std::vector<std::string> names = {output_};
    if (!info_.features.empty()) names.push_back(info_.features);
    return names;
  }

  Shape shape_of(std::ptrdiff_t rows) const {
    Shape shape;
    if (batch_axis_) shape.push_back(rows);
    shape.insert(shape.end(), axes_.begin(), axes_.end());
    return shape;
  }

  template <class Run>
  base::Result<MatrixD> in_batches(MatrixRefD rows, std::ptrdiff_t columns, const Run& run) {
    PL_CHECK(base::check_size("predict", "columns of rows", rows.cols(), info_.input_size));
    const std::ptrdiff_t batch = rows_at_once_ > 0 ? rows_at_once_ : kBatch64;
    MatrixD out(rows.rows(), columns);
    for (std::ptrdiff_t begin = 0; begin < rows.rows(); begin += batch) {
      const std::ptrdiff_t count = std::min(batch, rows.rows() - begin);
      const bool pad = executor_->batch_shape_matters() || rows_at_once_ > 0;
      PL_TRY(const MatrixD part, run(padded_rows(rows, begin, count, pad ? batch : count), begin, count));
      if (part.cols() != columns) {
        return make_error(Code::kShape, fmt::format("the answer has {} columns, expected {}", part.cols(), columns),
                          fmt::format("model '{}'", info_.name));
      }
      out.middleRows(begin, count) = part.topRows(count);
    }
    return out;
  }

  static constexpr std::ptrdiff_t kBatch64 = 64;
  decision::PredictorInfo info_;
  Shape axes_;
  std::string output_;
  std::unique_ptr<GraphExecutor> executor_;
  std::ptrdiff_t rows_at_once_ = 0;
  bool batch_axis_ = true;
  bool whole_numbers_ = false;
};

base::Status check_features(const graph::Graph& graph, const std::string& features) {
  std::vector<std::string> names;
  for (const graph::Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) {
      if (output == features) return base::ok();
      if (!output.empty()) names.push_back(output);
    }
  }
  const std::string near = base::nearest(features, names);
  if (names.size() > 8) names.erase(names.begin(), names.end() - 8);
  return make_error(
      Code::kValue, fmt::format("features names tensor '{}', which the graph does not compute", features), {},
      near.empty() ? "The last tensors are " + base::join_words(names) : fmt::format("Did you mean '{}'?", near));
}

}  // namespace

base::Result<MatrixD> GraphExecutor::gradient(const MatrixD&, const std::vector<std::int64_t>&, const std::string&,
                                              const MatrixD&) {
  return make_error(Code::kUnsupported, "this executor has no gradients");
}

std::unique_ptr<GraphExecutor> make_interpreter(graph::Graph graph) {
  return std::make_unique<Interpreter>(std::move(graph));
}

base::Result<decision::PredictorPtr> make_graph_predictor(const data::ModelSection& section, const graph::Graph& graph,
                                                          std::string kind, std::string hash,
                                                          std::unique_ptr<GraphExecutor> executor) {
  const std::string place = fmt::format("model '{}'", section.name);
  auto declared = declared_info(section);
  if (!declared.ok()) return declared.error().at(place);
  decision::PredictorInfo info = std::move(declared).value();
  if (graph.inputs.size() != 1 || graph.outputs.empty()) {
    return make_error(Code::kUnsupported,
                      fmt::format("the graph has {} inputs and {} outputs, expected one input and at least one output",
                                  graph.inputs.size(), graph.outputs.size()),
                      place);
  }
  const graph::Port& port = graph.inputs.front();
  if (port.type == graph::Type::kString) {
    return make_error(Code::kUnsupported, fmt::format("input '{}' holds text, expected numbers", port.name), place);
  }
  if (port.shape.empty()) {
    return make_error(Code::kShape, fmt::format("input '{}' has no declared shape or is a single number", port.name),
                      place);
  }
  // Which axes belong to a row?
  const bool batch_axis = port.shape.size() > 1 && (section.input_shape != port.shape || port.shape.front() < 0);
  Shape axes(port.shape.begin() + (batch_axis ? 1 : 0), port.shape.end());
  const bool known = std::all_of(axes.begin(), axes.end(), [](std::int64_t axis) { return axis > 0; });
  if (!known) {
    const auto fits = [&](const Shape& shape) {
      if (shape.size() != axes.size()) return false;
      for (std::size_t i = 0; i < axes.size(); ++i) {
        if (axes[i] > 0 && axes[i] != shape[i]) return false;
      }
      return true;
    };
    if (!fits(section.input_shape)) {
      return make_error(Code::kShape,
                        fmt::format("input '{}' has shape {}, in which -1 is not known, and input_shape is {}",
                                    port.name, shape_text(port.shape), shape_text(section.input_shape)),
                        place, "Declare input_shape in the manifest, without the batch axis");
    }
    axes = section.input_shape;
  }
  auto size = row_size(axes, "the shape of input '" + port.name + "'");
  if (!size.ok()) return size.error().at(place);
  const bool same_rank = section.input_shape.size() == axes.size();
  if (!section.input_shape.empty() && (info.input_size != *size || (same_rank && section.input_shape != axes))) {
    return make_error(Code::kShape,
                      fmt::format("input_shape is {}, but input '{}' takes rows of shape {}",
                                  shape_text(section.input_shape), port.name, shape_text(axes)),
                      place);
  }
  info.input_size = *size;
  if (section.input_shape.empty()) info.input_shape.assign(axes.begin(), axes.end());
  info.kind = std::move(kind);
  info.hash = std::move(hash);
  info.has_float64 = true;
  info.has_gradient = executor->has_gradient();
  if (!info.features.empty()) {
    if (auto found = check_features(graph, info.features); !found.ok()) return found.error().at(place);
  }
  const std::ptrdiff_t declared_classes = info.outputs;
  const std::ptrdiff_t fixed_batch = batch_axis ? std::max<std::ptrdiff_t>(port.shape.front(), 0) : 0;
  if (fixed_batch > kLargestBatch / *size) {
    return make_error(Code::kLimit,
                      fmt::format("input '{}' of shape {} holds more than {} numbers", port.name,
                                  shape_text(port.shape), kLargestBatch),
                      place);
  }
  const bool whole =
      port.type != graph::Type::kFloat && port.type != graph::Type::kDouble && port.type != graph::Type::kFloat16;
  if (whole) info.has_gradient = false;
  auto predictor =
      std::make_unique<GraphPredictor>(info, std::move(axes), graph.outputs.front().name, std::move(executor));
  predictor->set_whole_numbers(whole);
  if (auto probed = predictor->probe(fixed_batch, batch_axis); !probed.ok()) return probed.error().at(place);
  if (declared_classes != 0 && predictor->info().outputs != declared_classes) {
    return make_error(
        Code::kShape,
        fmt::format("the graph gives {} outputs a row, but classes is {}", predictor->info().outputs, declared_classes),
        place);
  }
  return decision::PredictorPtr(std::move(predictor));
}

}  // namespace plumbline::predict

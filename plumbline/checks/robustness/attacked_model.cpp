#include "plumbline/checks/robustness/attacked_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/checks/robustness/perturbed.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/data/kinds.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/attack/defences.hpp"
#include "plumbline/robustness/attack/planted_witness.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::checks {

namespace {

/// The network of the model's file, without its rounding steps where it has some; or why there is none.
base::Result<robustness::Network> network_of(const data::ModelSection& section, std::vector<std::string>& rounding) {
  if (!section.path || !section.path->resolved.ends_with(".onnx")) {
    return base::make_error(base::Code::kUnsupported, "only ONNX files can be differentiated here");
  }
  PL_TRY(const graph::Graph graph, graph::read_onnx(section.path->resolved));
  auto whole = robustness::lower_classifier(graph);
  if (whole.ok()) return whole;
  const auto without = robustness::without_rounding(graph);
  if (!without) return whole;
  auto network = robustness::lower_classifier(without->graph);
  if (!network.ok()) return whole;
  rounding = without->places;
  return network;
}

std::vector<double> by_input(const std::vector<double>& by_channel, const robustness::ImageShape& shape) {
  std::vector<double> out(shape.size());
  for (std::size_t c = 0; c < shape.channels; ++c) {
    for (std::size_t y = 0; y < shape.height; ++y) {
      for (std::size_t x = 0; x < shape.width; ++x) out[shape.at(c, y, x)] = by_channel[c];
    }
  }
  return out;
}

}  // namespace

base::Result<AttackedModel> open_attacked(check::Context& context, const std::string& model, const std::string& data,
                                          double low, double high) {
  AttackedModel out;
  PL_TRY(const data::DatasetPtr set, context.dataset(data));
  PL_TRY(out.predictor, context.predictor(model));
  const auto& section = context.manifest().models.at(model);
  const auto n = static_cast<std::size_t>(out.predictor->info().input_size);
  if (set->kind == data::Dataset::Kind::kTable)
    return base::make_error(base::Code::kUnsupported, "a table has no norm in which to attack its rows", data);
  const bool images = set->kind == data::Dataset::Kind::kImages;
  out.shape = {1, 1, n, false};
  if (images) {
    out.shape = {static_cast<std::size_t>(set->images.channels), static_cast<std::size_t>(set->images.height),
                 static_cast<std::size_t>(set->images.width), section.input.layout == "NHWC"};
    if (!section.input.mean.empty() || !section.input.deviation.empty()) {
      std::vector<double> mean = section.input.mean;
      std::vector<double> deviation = section.input.deviation;
      if (mean.empty()) mean.assign(out.shape.channels, 0.0);
      if (deviation.empty()) deviation.assign(out.shape.channels, 1.0);
      const auto channels = static_cast<std::ptrdiff_t>(out.shape.channels);
      PL_CHECK(base::check_size("robustness.attack", "mean of the model's input", std::ssize(mean), channels));
      PL_CHECK(
          base::check_size("robustness.attack", "deviation of the model's input", std::ssize(deviation), channels));
      out.shift = by_input(mean, out.shape);
      out.scale = by_input(deviation, out.shape);
    }
  }
  const bool bounded = images || low < high;
  const double infinity = std::numeric_limits<double>::infinity();
  out.low.assign(n, images ? section.input.low : bounded ? low : -infinity);
  out.high.assign(n, images ? section.input.high : bounded ? high : infinity);

  auto network = network_of(section, out.rounding);
  const auto asked = [&] {
    return std::make_unique<robustness::PredictorTarget>(*out.predictor, out.shift, out.scale);
  };
  if (!network.ok()) {
    out.queries_only = network.error().text();
    out.target = asked();
    out.feature_target = asked();
  } else {
    out.network = std::make_unique<const robustness::Network>(std::move(network).value());
    auto differentiated = std::make_unique<robustness::NetworkTarget>(*out.network, out.shift, out.scale);
    if (out.rounding.empty()) {
      out.target = std::move(differentiated);
      out.features = std::make_unique<const robustness::Network>(robustness::features_of(*out.network));
      out.feature_target = std::make_unique<robustness::NetworkTarget>(*out.features, out.shift, out.scale);
    } else {
      out.answers = asked();
      out.stand_in = std::move(differentiated);
      out.target = std::make_unique<robustness::StandInTarget>(*out.answers, *out.stand_in);
      out.feature_target = std::make_unique<robustness::StandInTarget>(*out.answers, *out.stand_in);
    }
  }
  PL_CHECK(base::check_size("robustness.attack", "inputs of the model",
                            static_cast<std::ptrdiff_t>(out.target->inputs()), static_cast<std::ptrdiff_t>(n)));
  return out;
}

base::Result<AttackedRows> draw_attacked(check::Context& context, const AttackedModel& model, std::size_t wanted) {
  AttackedRows out;
  PL_TRY(Examples examples, draw_examples(context, wanted));
  out.rows = std::move(examples.rows);
  out.labels = std::move(examples.labels);
  out.units = std::move(examples.units);
  PL_TRY(const MatrixF inputs, context.inputs(context.task().model, context.task().data, out.rows));
  const std::size_t n = model.target->inputs();
  out.x.assign(inputs.data(), inputs.data() + inputs.size());
  for (std::size_t i = 0; i < out.x.size(); ++i) {
    const std::size_t j = i % n;
    if (!model.shift.empty()) out.x[i] = out.x[i] * model.scale[j] + model.shift[j];
    // Rounding alone may leave the range; more than that is for the attack to refuse.
    const double slack = std::isfinite(model.high[j]) ? 1e-5 * (model.high[j] - model.low[j]) : 0.0;
    if (out.x[i] >= model.low[j] - slack && out.x[i] <= model.high[j] + slack)
      out.x[i] = std::clamp(out.x[i], model.low[j], model.high[j]);
  }
  for (std::size_t r = 0; r < out.rows.size(); ++r) {
    out.cases.push_back({std::span(out.x).subspan(r * n, n), out.labels[r], out.rows[r]});
  }
  return out;
}

base::Result<std::vector<char>> misclassified(const AttackedModel& model, std::span<const double> rows,
                                              std::span<const int> labels) {
  const std::size_t n = model.target->inputs();
  MatrixF asked(static_cast<std::ptrdiff_t>(labels.size()), static_cast<std::ptrdiff_t>(n));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double x = model.shift.empty() ? rows[i] : (rows[i] - model.shift[i % n]) / model.scale[i % n];
    asked.data()[i] = static_cast<float>(x);
  }
  std::vector<char> out;
  if (labels.empty()) return out;
  PL_TRY(const decision::Prediction prediction, model.predictor->predict(asked, {}));
  PL_TRY(const std::vector<int> chosen, stats::top_class(prediction.outputs));
  for (std::size_t r = 0; r < labels.size(); ++r) out.push_back(chosen[r] != labels[r] ? 1 : 0);
  return out;
}

}  // namespace plumbline::checks

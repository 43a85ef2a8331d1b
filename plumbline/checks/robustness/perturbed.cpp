#include "plumbline/checks/robustness/perturbed.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/decision/predictor.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::checks {

check::Plan plan_perturbed(const check::Blueprint& blueprint, bool with_graph, std::size_t sample, std::size_t a_shard,
                           double seconds_a_row) {
  check::Plan plan;
  std::string& reason = plan.not_applicable;
  reason = blueprint.models.empty() ? "the manifest names no model" : "";
  const auto because = [&](const std::string& text) {
    if (!reason.empty()) reason += "; ";
    reason += text;
  };
  const auto tests = blueprint.sets_with_role(data::Role::kTest);
  if (tests.empty()) because("there is no set of role test");
  for (const std::string& set : tests) {
    const data::DataFacts& facts = blueprint.data.at(set);
    if (facts.kind == data::Dataset::Kind::kTable) {
      because(fmt::format("'{}' is a table, whose columns have no common unit for a radius", set));
      continue;
    }
    if (!facts.labelled) {
      because(fmt::format("'{}' has no labels", set));
      continue;
    }
    for (const auto& [name, model] : blueprint.models) {
      if (model.task != "classification") {
        because(fmt::format("'{}' is no classifier (task {})", name, model.task));
      } else if (!model.runs) {
        because(fmt::format("'{}' is known by stored predictions only; perturbed inputs need a model that runs", name));
      } else if (with_graph && model.kind != "onnx" && model.kind != "network") {
        because(fmt::format("'{}' ({}) is no graph that could be bounded; export it to ONNX", name, model.kind));
      } else {
        const std::size_t rows = std::min(facts.rows, sample);
        check::Task task;
        task.subject = fmt::format("{}@{}", name, set);
        task.model = name;
        task.data = set;
        task.shards = std::max<std::size_t>(1, (rows + a_shard - 1) / a_shard);
        task.cost_seconds = seconds_a_row * static_cast<double>(rows);
        plan.tasks.push_back(std::move(task));
      }
    }
  }
  if (!plan.tasks.empty()) reason.clear();
  return plan;
}

base::Result<Examples> draw_examples(check::Context& context, std::size_t sample) {
  Examples out;
  const check::Task& task = context.task();
  PL_TRY(out.set, context.dataset(task.data));
  const auto section = context.manifest().models.find(task.model);
  if (section == context.manifest().models.end())
    return base::make_error(base::Code::kValue, fmt::format("'{}' is not a [model] section", task.model));
  PL_TRY(out.domain, robustness::input_domain(*out.set, section->second.input));
  base::Rng rng = context.rng("examples");
  out.rows = rng.sample(out.set->rows(), std::min(out.set->rows(), sample));
  for (const std::size_t row : out.rows) {
    out.labels.push_back(out.set->labels[row]);
    if (!out.set->units.empty()) out.units.push_back(out.set->units[row]);
  }
  return out;
}

base::Result<stats::Estimate> share_of(std::span<const std::uint8_t> hits, const Examples& examples) {
  PL_TRY(stats::Estimate estimate, stats::proportion(hits, examples.units));
  estimate.unit_of_sampling = examples.unit_name();
  return estimate;
}

std::vector<double> radii_up_to(double largest, std::int64_t points) {
  std::vector<double> out;
  for (std::int64_t k = 1; k < points; ++k)
    out.push_back(std::stod(fmt::format("{:.12g}", largest * static_cast<double>(k) / static_cast<double>(points))));
  out.push_back(largest);
  return out;
}

check::Artifact curve(std::string id, std::string title, std::string caption, std::string x_label, std::string y_label,
                      std::span<const CurvePoint> points) {
  check::Artifact out;
  out.id = std::move(id);
  out.kind = "curve";
  out.title = std::move(title);
  out.caption = std::move(caption);
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  for (const CurvePoint& point : points) {
    x.push_back(point.x);
    y.push_back(point.y.value);
    low.push_back(point.y.low().value_or(std::nan("")));
    high.push_back(point.y.high().value_or(std::nan("")));
    series.push_back(point.series);
  }
  out.columns = {
      {"x", "", x}, {"y", "share", y}, {"low", "share", low}, {"high", "share", high}, {"series", "", series}};
  out.facts = {{"x_label", std::move(x_label)}, {"y_label", std::move(y_label)}, {"level", "0.95"}};
  return out;
}

}  // namespace plumbline::checks

#include "plumbline/checks/classified.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/format.h>

#include "plumbline/data/dataset.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::checks {
namespace {

bool predicts(const check::ModelFacts& model, const std::string& data) {
  return model.runs || std::find(model.stored_for.begin(), model.stored_for.end(), data) != model.stored_for.end();
}

base::Status write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) return base::make_error(base::Code::kIo, "cannot be written", path);
  return base::ok();
}

}  // namespace

std::vector<std::string> judged_sets(const check::Blueprint& blueprint, const check::ModelFacts& model,
                                     data::Role role) {
  std::vector<std::string> names;
  for (const std::string& name : blueprint.sets_with_role(role)) {
    if (blueprint.data.at(name).labelled && predicts(model, name)) names.push_back(name);
  }
  return names;
}

check::Plan plan_classifiers(const check::Blueprint& blueprint, std::span<const data::Role> roles,
                             bool wants_probabilities, bool with_calibration) {
  check::Plan plan;
  std::string reason = blueprint.models.empty() ? "the manifest names no model and no predictions" : "";
  const auto because = [&](const std::string& text) {
    if (!reason.empty()) reason += "; ";
    reason += text;
  };
  for (const auto& [name, model] : blueprint.models) {
    if (model.task != "classification") {
      because(fmt::format("'{}' is no classifier (task {})", name, model.task));
      continue;
    }
    if (wants_probabilities && model.output == "scores") {
      because(fmt::format(
          "'{}' gives scores, which state no probability; declare logits or probabilities where that is what they are",
          name));
      continue;
    }
    bool any = false;
    for (const data::Role role : roles) {
      for (const std::string& set : judged_sets(blueprint, model, role)) {
        check::Task task;
        task.subject = fmt::format("{}@{}", name, set);
        task.model = name;
        task.data = set;
        task.predictions = {{name, set}};
        if (with_calibration) {
          for (const std::string& rows : judged_sets(blueprint, model, data::Role::kCalibration))
            task.predictions.emplace_back(name, rows);
        }
        task.cost_seconds = 0.05 + 2e-5 * static_cast<double>(blueprint.data.at(set).rows);
        plan.tasks.push_back(std::move(task));
        any = true;
      }
    }
    if (!any) because(fmt::format("no labelled set to judge '{}' on", name));
  }
  if (plan.tasks.empty()) plan.not_applicable = reason;
  return plan;
}

check::Plan plan_with_calibration(const check::Blueprint& blueprint, std::span<const data::Role> roles) {
  check::Plan plan = plan_classifiers(blueprint, roles, /*wants_probabilities=*/true, /*with_calibration=*/true);
  if (plan.tasks.empty()) return plan;
  std::erase_if(plan.tasks, [](const check::Task& task) { return task.predictions.size() < 2; });
  if (plan.tasks.empty()) {
    plan.not_applicable =
        "no labelled calibration set with predictions: declare [data.calibration], or a share of another set with from "
        "and share";
  }
  return plan;
}

std::string Classified::class_name(int c) const {
  const auto i = static_cast<std::size_t>(c);
  return i < set->class_names.size() ? set->class_names[i] : fmt::format("{}", c);
}

std::size_t Classified::source_row(std::size_t i) const { return set->source_rows.empty() ? i : set->source_rows[i]; }

MatrixD Classified::probabilities() const {
  return output == decision::Output::kLogits ? decision::softmax(prediction->outputs) : prediction->outputs;
}

MatrixD Classified::logits() const {
  if (output == decision::Output::kLogits) return prediction->outputs;
  return prediction->outputs.array().max(1e-12).log().matrix();
}

base::Result<Classified> classified(check::Context& context, const std::string& model, const std::string& data) {
  Classified result;
  PL_TRY(result.set, context.dataset(data));
  PL_TRY(result.prediction, context.predictions(model, data));
  PL_TRY(const auto info, context.predictor_info(model));
  result.output = info.output;
  if (!result.set->labelled()) return base::make_error(base::Code::kShape, "has no labels", data);
  const auto outputs = result.prediction->outputs.cols();
  if (outputs < 2)
    return base::make_error(base::Code::kShape,
                            fmt::format("'{}' has {} outputs, a classifier needs two", model, outputs), data);
  if (result.set->classes() > outputs) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("labels reach {}, but '{}' has outputs for {} classes", result.set->classes() - 1, model, outputs),
        data, "check that labels count from 0 and that the set belongs to this model");
  }
  return result;
}

stats::Estimate over_units(stats::Estimate estimate, const data::Dataset& set) {
  estimate.unit_of_sampling = set.units.empty() ? "row" : set.unit_name;
  return estimate;
}

std::string short_number(double value) { return fmt::format("{:.3g}", value); }

base::Status write_fixture_manifest(const std::string& folder, std::uint64_t seed, std::string_view sections,
                                    std::string_view claim) {
  return write_text(folder + "/system.toml",
                    fmt::format("[system]\nname = \"fixture\"\nseed = {}\n\n{}\n[[claim]]\nid = \"fixture\"\n{}\n",
                                seed, sections, claim));
}

base::Status write_stored_system(const std::string& folder, std::uint64_t seed, std::string_view output,
                                 std::span<const StoredSet> sets, std::string_view claim) {
  std::string sections;
  for (const StoredSet& set : sets) {
    sections += fmt::format("\n[data.{}]\n", set.name);
    if (set.table.empty()) {
      MatrixD rows(set.outputs.rows(), 1);
      for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) rows(i, 0) = static_cast<double>(i);
      PL_CHECK(data::write_npy(fmt::format("{}/{}.npy", folder, set.name), rows));
      PL_CHECK(data::write_npy(fmt::format("{}/{}-labels.npy", folder, set.name), std::span<const int>(set.labels)));
      sections += fmt::format("matrix = \"{0}.npy\"\nlabels = \"{0}-labels.npy\"\n", set.name);
    } else {
      PL_CHECK(write_text(fmt::format("{}/{}.csv", folder, set.name), set.table));
      sections += fmt::format("table = \"{}.csv\"\nlabel = \"label\"\n", set.name);
    }
    PL_CHECK(data::write_npy(fmt::format("{}/{}-outputs.npy", folder, set.name), set.outputs));
    sections += fmt::format(
        "\n[predictions.{0}]\nmodel = \"model\"\ndata = \"{0}\"\npath = \"{0}-outputs.npy\"\noutput = \"{1}\"\n",
        set.name, output);
  }
  return write_fixture_manifest(folder, seed % 1000000000, sections, claim);
}

}  // namespace plumbline::checks

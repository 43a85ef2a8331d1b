#include "plumbline/case/run/plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"

namespace plumbline::run {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string kind_of(const data::ModelSection& m) {
  if (!m.endpoint.empty()) return "http";
  if (!m.callable.empty()) return "callable";
  const std::string path = m.path ? m.path->written : "";
  if (ends_with(path, ".onnx")) return "onnx";
  if (ends_with(path, ".plnet")) return "network";
  return "torchscript";
}

std::string room_of(const std::string& id) { return id.substr(0, id.find('.')); }

base::Status check_names(const check::Registry& registry, const std::vector<std::string>& names, const char* flag) {
  std::vector<std::string> known;
  for (const check::Entry& entry : registry.entries()) {
    known.push_back(entry.info.id);
    known.push_back(room_of(entry.info.id));
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string guess = base::nearest(name, known);
    return base::make_error(
        base::Code::kValue, fmt::format("{} names no check: '{}'", flag, name), "",
        guess.empty() ? "`plumbline checks list` shows them" : fmt::format("Did you mean '{}'?", guess));
  }
  return base::ok();
}

bool named(const std::vector<std::string>& names, const std::string& id) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name == id || name == room_of(id); });
}

// Every problem with the [check.*] sections, one a line.
std::string param_problems(const check::Registry& registry, const data::Manifest& manifest) {
  std::vector<std::string> ids;
  for (const check::Entry& entry : registry.entries()) ids.push_back(entry.info.id);
  std::string problems;
  for (const auto& [id, params] : manifest.check_params) {
    const check::Entry* entry = registry.find(id);
    if (entry == nullptr) {
      const std::string guess = base::nearest(id, ids);
      problems +=
          fmt::format("{}: [check.\"{}\"]: no such check. {}\n", manifest.path, id,
                      guess.empty() ? "`plumbline checks list` shows them" : fmt::format("Did you mean '{}'?", guess));
    } else if (auto resolved = check::resolve_params(entry->info, {params.begin(), params.end()}); !resolved.ok()) {
      problems += fmt::format("{}: {}\n", manifest.path, resolved.error().text());
    }
  }
  if (!problems.empty()) problems.pop_back();
  return problems;
}

}  // namespace

base::Result<check::Blueprint> make_blueprint(const data::Manifest& manifest, bool with_torch) {
  check::Blueprint blueprint;
  blueprint.manifest = &manifest;
  blueprint.with_torch = with_torch;
  for (const auto& [name, section] : manifest.data) {
    auto facts = data::peek_dataset(manifest, name);
    if (!facts.ok()) return facts.error().at(fmt::format("[data.{}]", name));
    blueprint.data[name] = *facts;
  }
  for (const auto& [name, section] : manifest.models) {
    check::ModelFacts facts;
    facts.name = name;
    facts.kind = kind_of(section);
    facts.output = section.output;
    facts.task = section.task;
    facts.has_gradient = with_torch && (facts.kind == "onnx" || facts.kind == "network" || facts.kind == "torchscript");
    blueprint.models[name] = facts;
  }
  for (const auto& [name, section] : manifest.predictions) {
    auto [at, fresh] = blueprint.models.try_emplace(section.model);
    if (fresh) {
      at->second.name = section.model;
      at->second.kind = "stored";
      at->second.output = section.output;
      at->second.runs = false;
    }
    at->second.stored_for.push_back(section.data);
  }
  return blueprint;
}

base::Result<std::vector<PlannedCheck>> make_plan(const check::Registry& registry, const check::Blueprint& blueprint,
                                                  const Selection& selection) {
  const data::Manifest& manifest = *blueprint.manifest;
  PL_CHECK(check_names(registry, selection.only, "--only"));
  PL_CHECK(check_names(registry, selection.skip, "--skip"));
  if (const std::string problems = param_problems(registry, manifest); !problems.empty())
    return base::make_error(base::Code::kValue, problems);
  std::vector<PlannedCheck> plan;
  bool anything = false;
  for (const check::Entry& entry : registry.entries()) {
    PlannedCheck planned;
    planned.entry = &entry;
    std::map<std::string, check::ParamValue> given;
    if (const auto found = manifest.check_params.find(entry.info.id); found != manifest.check_params.end()) {
      given.insert(found->second.begin(), found->second.end());
    }
    PL_TRY(planned.params, check::resolve_params(entry.info, given));
    if (named(selection.skip, entry.info.id)) {
      planned.skipped = "deselected by --skip";
    } else if (!selection.only.empty() && !named(selection.only, entry.info.id)) {
      planned.skipped = "not named by --only";
    } else if (entry.info.needs_torch && !blueprint.with_torch) {
      planned.not_applicable = "needs LibTorch, and this build has none";
    } else {
      check::Plan made = entry.plan(blueprint, planned.params);
      planned.tasks = std::move(made.tasks);
      planned.not_applicable = std::move(made.not_applicable);
      base::ensure(planned.tasks.empty() == !planned.not_applicable.empty(),
                   entry.info.id + ": a plan has either tasks or a reason");
      anything = anything || !planned.tasks.empty();
    }
    plan.push_back(std::move(planned));
  }
  if (!anything) {
    std::string reasons;
    for (const PlannedCheck& p : plan) {
      const std::string& why = p.skipped.empty() ? p.not_applicable : p.skipped;
      reasons += fmt::format("\n  {}: {}", p.entry->info.id, why);
    }
    return base::make_error(base::Code::kValue, "no check applies" + reasons, manifest.path,
                            "Add data or a model to the manifest, or change --only and --skip");
  }
  return plan;
}

}  // namespace plumbline::run

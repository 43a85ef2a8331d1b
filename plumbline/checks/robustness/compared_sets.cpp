#include "plumbline/checks/robustness/compared_sets.hpp"

#include <fmt/format.h>

namespace plumbline::checks {

std::string reference_set(const std::map<std::string, data::Role>& roles, const check::Params& params) {
  if (!params.text("reference").empty()) return params.text("reference");
  for (const auto& [name, role] : roles) {
    if (role == data::Role::kTrain) return name;
  }
  return {};
}

std::string reference_set(const data::Manifest& manifest, const check::Params& params) {
  std::map<std::string, data::Role> roles;
  for (const auto& [name, section] : manifest.data) roles[name] = section.role;
  return reference_set(roles, params);
}

ComparedSets compared_sets(const check::Blueprint& blueprint, const check::Params& params) {
  ComparedSets sets;
  std::map<std::string, data::Role> roles;
  for (const auto& [name, set] : blueprint.data) roles[name] = set.role;
  sets.reference = reference_set(roles, params);
  if (sets.reference.empty()) {
    sets.why_none = "no data set has the role train; name one with the parameter reference";
    return sets;
  }
  if (!roles.contains(sets.reference)) {
    sets.why_none = fmt::format("the reference '{}' is not a data set of the manifest", sets.reference);
    return sets;
  }
  for (const auto& [name, set] : blueprint.data) {
    if (name == sets.reference || (set.role != data::Role::kTest && set.role != data::Role::kOutOfDistribution))
      continue;
    if (set.kind == blueprint.data.at(sets.reference).kind) sets.others.push_back(name);
  }
  if (sets.others.empty())
    sets.why_none = fmt::format("no set of role test or out-of-distribution of the same kind as '{}'", sets.reference);
  return sets;
}

}  // namespace plumbline::checks

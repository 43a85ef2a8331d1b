#include "plumbline/probe/assertion_section.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"

namespace plumbline::probe {
namespace {

using base::Code;
using base::make_error;

template <class T>
T value_at(const data::OtherSection& section, const std::string& key, T otherwise) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return otherwise;
  const T* value = std::get_if<T>(&found->second);
  return value == nullptr ? otherwise : *value;
}

std::optional<double> number_at(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  const double* value = std::get_if<double>(&found->second);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

/// Keys beside kind, severity and on.
const std::map<AssertionKind, std::vector<std::string>>& keys_of() {
  static const std::map<AssertionKind, std::vector<std::string>> keys = {
      {AssertionKind::kRange, {"field", "low", "high", "tolerance", "scale"}},
      {AssertionKind::kValues, {"field", "values"}},
      {AssertionKind::kImplies, {"when", "then", "scale"}},
      {AssertionKind::kOrder, {"fields", "tolerance", "scale"}},
      {AssertionKind::kSteady, {"field", "within"}},
      {AssertionKind::kConstant, {"field"}},
      {AssertionKind::kMonotone, {"field", "direction", "tolerance", "scale"}}};
  return keys;
}

}  // namespace

base::Result<AssertionSpec> read_assertion(const data::OtherSection& section) {
  const std::string place = fmt::format("[assertion.{}], line {}", section.name, section.line);
  AssertionSpec spec;
  spec.name = section.name;
  const auto kind = parse_assertion_kind(section.text("kind"));
  if (!kind.ok()) return kind.error().at(place);
  spec.kind = *kind;
  const std::vector<std::string>& taken = keys_of().at(spec.kind);
  for (const auto& [key, value] : section.keys) {
    if (key == "kind" || key == "severity" || key == "on") continue;
    if (std::find(taken.begin(), taken.end(), key) == taken.end())
      return make_error(Code::kValue, fmt::format("kind {} does not take {}", assertion_kind_name(spec.kind), key),
                        place, fmt::format("It takes {}", base::join_words(taken)));
  }
  spec.field = section.text("field");
  spec.fields = value_at(section, "fields", std::vector<std::string>());
  spec.low = number_at(section, "low");
  spec.high = number_at(section, "high");
  spec.values = value_at(section, "values", std::vector<std::string>());
  spec.when = section.text("when");
  spec.then = section.text("then");
  spec.within = number_at(section, "within").value_or(0);
  spec.falling = section.text("direction") == "falling";
  spec.tolerance = number_at(section, "tolerance").value_or(0);
  spec.scale = number_at(section, "scale").value_or(1);
  spec.fail = section.text("severity") == "fail";
  return spec;
}

base::Result<std::vector<AssertionSpec>> read_assertions(const data::Manifest& manifest,
                                                         std::span<const std::string> names) {
  std::vector<AssertionSpec> specs;
  for (const std::string& name : names) {
    const data::OtherSection* section = manifest.other("assertion", name);
    if (section == nullptr) {
      std::vector<std::string> known;
      for (const data::OtherSection& other : manifest.others)
        if (other.kind == "assertion") known.push_back(other.name);
      const std::string near = base::nearest(name, known);
      return make_error(Code::kValue,
                        fmt::format("there is no [assertion.{}]{}", name,
                                    near.empty() ? "" : fmt::format("; did you mean '{}'?", near)),
                        manifest.path);
    }
    PL_TRY(AssertionSpec spec, read_assertion(*section));
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<std::string> assertions_on(const data::Manifest& manifest, const std::string& subject) {
  std::vector<std::string> names;
  for (const data::OtherSection& section : manifest.others) {
    if (section.kind != "assertion") continue;
    const auto on = value_at(section, "on", std::vector<std::string>());
    if (on.empty() || std::find(on.begin(), on.end(), subject) != on.end()) names.push_back(section.name);
  }
  return names;
}

}  // namespace plumbline::probe

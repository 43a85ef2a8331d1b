#include "plumbline/case/interface/check.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"

namespace plumbline::check {
namespace {

std::string_view type_word(const ParamValue& value) {
  static constexpr std::string_view kWords[] = {"true or false", "an integer",      "a number",
                                                "a text",        "a list of texts", "a list of numbers"};
  return kWords[value.index()];
}

// TOML writes 1 where a real 1.0 is meant, and an empty list without a type; both are taken as the declared type.
ParamValue adapt(const ParamValue& given, const ParamValue& declared) {
  if (std::holds_alternative<double>(declared) && std::holds_alternative<std::int64_t>(given)) {
    return static_cast<double>(std::get<std::int64_t>(given));
  }
  if (std::holds_alternative<std::vector<double>>(declared) &&
      std::holds_alternative<std::vector<std::string>>(given) && std::get<std::vector<std::string>>(given).empty()) {
    return std::vector<double>{};
  }
  return given;
}

base::Status check_range(const CheckInfo& info, const ParamSpec& spec, const ParamValue& value) {
  auto outside = [&](double x) {
    return std::isnan(x) || (spec.low && x < *spec.low) || (spec.high && x > *spec.high);
  };
  auto range_error = [&](double x) {
    return base::make_error(base::Code::kValue,
                            fmt::format("parameter '{}' is {}, expected a value in [{}, {}]", spec.name, x,
                                        spec.low.value_or(-INFINITY), spec.high.value_or(INFINITY)),
                            info.id);
  };
  if (const auto* real = std::get_if<double>(&value); real != nullptr && outside(*real)) return range_error(*real);
  if (const auto* integer = std::get_if<std::int64_t>(&value);
      integer != nullptr && outside(static_cast<double>(*integer))) {
    return range_error(static_cast<double>(*integer));
  }
  if (const auto* reals = std::get_if<std::vector<double>>(&value)) {
    for (const double x : *reals) {
      if (outside(x)) return range_error(x);
    }
  }
  if (spec.choices.empty()) return base::ok();
  auto check_choice = [&](const std::string& word) -> base::Status {
    if (std::find(spec.choices.begin(), spec.choices.end(), word) != spec.choices.end()) return base::ok();
    return base::make_error(base::Code::kValue,
                            fmt::format("parameter '{}' is '{}', expected one of {}", spec.name, word,
                                        base::join_words(spec.choices, "or")),
                            info.id);
  };
  if (const auto* text = std::get_if<std::string>(&value)) return check_choice(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& word : *texts) PL_CHECK(check_choice(word));
  }
  return base::ok();
}

bool well_formed(std::string_view id) {
  const auto dot = id.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == id.size()) return false;
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
}

}  // namespace

std::string_view maturity_name(Maturity maturity) {
  switch (maturity) {
    case Maturity::kPreview: return "preview";
    case Maturity::kStable: return "stable";
    case Maturity::kDeprecated: return "deprecated";
  }
  return "preview";
}

const ParamValue& Params::get(std::string_view name) const {
  const auto found = values_.find(std::string(name));
  base::ensure(found != values_.end(), fmt::format("undeclared parameter '{}'", name));
  return found->second;
}

double Params::real(std::string_view name) const { return std::get<double>(get(name)); }
std::int64_t Params::integer(std::string_view name) const { return std::get<std::int64_t>(get(name)); }
bool Params::flag(std::string_view name) const { return std::get<bool>(get(name)); }
const std::string& Params::text(std::string_view name) const { return std::get<std::string>(get(name)); }
const std::vector<std::string>& Params::texts(std::string_view name) const {
  return std::get<std::vector<std::string>>(get(name));
}

std::vector<std::string> Blueprint::sets_with_role(data::Role role) const {
  std::vector<std::string> names;
  for (const auto& [name, facts] : data) {
    if (facts.role == role) names.push_back(name);
  }
  return names;
}

void Registry::add(Entry entry) {
  base::ensure(well_formed(entry.info.id), fmt::format("malformed check id '{}'", entry.info.id));
  base::ensure(find(entry.info.id) == nullptr, fmt::format("check id '{}' registered twice", entry.info.id));
  entries_.push_back(std::move(entry));
}

const Entry* Registry::find(std::string_view id) const {
  for (const Entry& entry : entries_) {
    if (entry.info.id == id) return &entry;
  }
  return nullptr;
}

base::Result<Params> resolve_params(const CheckInfo& info, const std::map<std::string, ParamValue>& given) {
  std::map<std::string, ParamValue> values;
  std::vector<std::string> names;
  for (const ParamSpec& spec : info.params) {
    names.push_back(spec.name);
    values[spec.name] = spec.fallback;
  }
  for (const auto& [name, raw] : given) {
    const auto spec = std::find_if(info.params.begin(), info.params.end(),
                                   [&wanted = name](const ParamSpec& s) { return s.name == wanted; });
    if (spec == info.params.end()) {
      const std::string guess = base::nearest(name, names);
      return base::make_error(
          base::Code::kValue, fmt::format("unknown parameter '{}'", name), info.id,
          guess.empty() ? fmt::format("Known: {}", fmt::join(names, ", ")) : fmt::format("Did you mean '{}'?", guess));
    }
    ParamValue value = adapt(raw, spec->fallback);
    if (value.index() != spec->fallback.index()) {
      return base::make_error(
          base::Code::kValue,
          fmt::format("parameter '{}' is {}, expected {}", name, type_word(value), type_word(spec->fallback)), info.id);
    }
    PL_CHECK(check_range(info, *spec, value));
    values[name] = std::move(value);
  }
  return Params(std::move(values));
}

Evidence make_evidence(const CheckInfo& info, const std::string& metric, std::map<std::string, std::string> where,
                       stats::Estimate estimate) {
  const auto spec =
      std::find_if(info.yields.begin(), info.yields.end(), [&](const MetricSpec& m) { return m.name == metric; });
  base::ensure(spec != info.yields.end(), fmt::format("check '{}' does not declare metric '{}'", info.id, metric));
  Evidence evidence;
  evidence.check = info.id;
  evidence.metric = metric;
  evidence.where = std::move(where);
  evidence.estimate = std::move(estimate);
  evidence.unit = spec->unit;
  evidence.direction = spec->direction;
  return evidence;
}

}  // namespace plumbline::check

#include "plumbline/probe/assertion_condition.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"

namespace plumbline::probe {
namespace {

using base::Code;
using base::make_error;
using Comparison = Condition::Comparison;

constexpr std::array<std::string_view, 6> kSigns = {"<", "<=", ">", ">=", "==", "!="};

std::string_view sign_of(Comparison c) { return kSigns[static_cast<std::size_t>(c)]; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Parts between " and ", but not inside quotes.
std::vector<std::string_view> split_and(std::string_view text) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (quoted || text.substr(i, 5) != " and ") continue;
    parts.push_back(trimmed(text.substr(from, i - from)));
    from = i + 5;
  }
  parts.push_back(trimmed(text.substr(from)));
  return parts;
}

}  // namespace

base::Result<FieldPlace> find_field(const AssertionFields& fields, const std::string& name) {
  for (const bool text : {false, true}) {
    const auto& names = text ? fields.texts : fields.numbers;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return FieldPlace{text, static_cast<std::size_t>(found - names.begin())};
  }
  std::vector<std::string> all = fields.numbers;
  all.insert(all.end(), fields.texts.begin(), fields.texts.end());
  const std::string near = base::nearest(name, all);
  return make_error(
      Code::kValue,
      fmt::format("there is no field '{}'{}", name, near.empty() ? "" : fmt::format("; did you mean '{}'?", near)), {},
      fmt::format("Fields: {}", base::join_words(all)));
}

base::Result<std::vector<Condition>> Condition::parse(std::string_view text, const AssertionFields& fields) {
  std::vector<Condition> all;
  for (const std::string_view part : split_and(text)) {
    const auto bad = [&](std::string_view why) {
      return make_error(Code::kValue, fmt::format("condition '{}': {}", part, why), {},
                        "Write FIELD COMPARISON VALUE, for example speed > 3 or label != 'stop'");
    };
    const std::size_t at = part.find_first_of("<>=!");
    if (at == std::string_view::npos || at == 0) return bad("no comparison");
    const std::size_t width = part.substr(at).size() > 1 && part[at + 1] == '=' ? 2 : 1;
    const auto sign = std::find(kSigns.begin(), kSigns.end(), part.substr(at, width));
    if (sign == kSigns.end()) return bad("no comparison that is known");
    Condition one;
    one.name_ = trimmed(part.substr(0, at));
    one.comparison_ = static_cast<Comparison>(sign - kSigns.begin());
    PL_TRY(one.field_, find_field(fields, one.name_));
    const std::string_view value = trimmed(part.substr(at + width));
    const bool quoted = value.size() >= 2 && value.front() == '\'' && value.back() == '\'';
    if (one.field_.text != quoted)
      return bad(one.field_.text ? "the field is a text, which is written in quotes" : "the field is a number");
    if (quoted) {
      if (one.comparison_ != Comparison::kEqual && one.comparison_ != Comparison::kUnequal)
        return bad("a text is compared by == or !=");
      one.text_ = value.substr(1, value.size() - 2);
    } else {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), one.number_);
      if (error != std::errc{} || end != value.data() + value.size() || !std::isfinite(one.number_))
        return bad("no number");
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::optional<bool> Condition::holds(const AssertionRecord& record) const {
  if (field_.text) {
    const std::string& value = record.texts[field_.index];
    if (value.empty()) return std::nullopt;
    return (value == text_) == (comparison_ == Comparison::kEqual);
  }
  const double value = record.numbers[field_.index];
  if (std::isnan(value)) return std::nullopt;
  switch (comparison_) {
    case Comparison::kLess: return value < number_;
    case Comparison::kAtMost: return value <= number_;
    case Comparison::kMore: return value > number_;
    case Comparison::kAtLeast: return value >= number_;
    case Comparison::kEqual: return value == number_;
    case Comparison::kUnequal: return value != number_;
  }
  return std::nullopt;
}

double Condition::excess(const AssertionRecord& record) const {
  if (field_.text) return 1;
  const double gap = std::abs(record.numbers[field_.index] - number_);
  return gap > 0 ? gap : 1;
}

std::string Condition::words(const AssertionRecord& record) const {
  if (field_.text)
    return fmt::format("{} is '{}', expected {} '{}'", name_, record.texts[field_.index], sign_of(comparison_), text_);
  return fmt::format("{} is {}, expected {} {}", name_, record.numbers[field_.index], sign_of(comparison_), number_);
}

std::optional<bool> all_hold(std::span<const Condition> conditions, const AssertionRecord& record) {
  bool unknown = false;
  for (const Condition& condition : conditions) {
    const std::optional<bool> holds = condition.holds(record);
    if (holds == false) return false;
    unknown = unknown || !holds;
  }
  return unknown ? std::nullopt : std::optional(true);
}

}  // namespace plumbline::probe

#include "plumbline/probe/assertions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::probe {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<std::string_view, 7> kKinds = {"range",  "values",   "implies", "order",
                                                    "steady", "constant", "monotone"};
/// Records of one unit that a window holds; older ones no longer vote.
constexpr std::size_t kWindow = 64;
/// Different values of one unit that are counted.
constexpr std::size_t kDifferent = 16;

bool remembers(AssertionKind kind) {
  return kind == AssertionKind::kSteady || kind == AssertionKind::kConstant || kind == AssertionKind::kMonotone;
}

std::string value_text(const FieldPlace& field, const AssertionRecord& record) {
  if (field.text) return record.texts[field.index];
  const double number = record.numbers[field.index];
  return std::isnan(number) ? std::string() : fmt::format("{}", number);
}

}  // namespace

std::string_view assertion_kind_name(AssertionKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

base::Result<AssertionKind> parse_assertion_kind(std::string_view word) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), word);
  if (found == kKinds.end())
    return make_error(Code::kValue, fmt::format("'{}' is no kind of assertion", word), {},
                      fmt::format("Kinds: {}", fmt::join(kKinds, ", ")));
  return static_cast<AssertionKind>(found - kKinds.begin());
}

std::uint64_t unit_hash(std::string_view unit) {
  if (unit.empty()) return 0;
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  for (const char c : unit) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash ^= hash >> 32;
  hash *= 0x9E3779B97F4A7C15ULL;
  hash ^= hash >> 29;
  return hash == 0 ? 1 : hash;
}

base::Status AssertionSet::compile_field(Rule& rule, const AssertionFields& fields) {
  const AssertionSpec& s = rule.spec;
  if (s.field.empty())
    return make_error(Code::kValue, fmt::format("kind {} needs a field", assertion_kind_name(s.kind)));
  PL_TRY(rule.field, find_field(fields, s.field));
  const bool wants_text = s.kind == AssertionKind::kValues || s.kind == AssertionKind::kSteady;
  if (s.kind != AssertionKind::kConstant && rule.field.text != wants_text)
    return make_error(Code::kValue,
                      fmt::format("kind {} needs a field that is a {}, and '{}' is a {}", assertion_kind_name(s.kind),
                                  wants_text ? "text" : "number", s.field, wants_text ? "number" : "text"));
  return base::ok();
}

base::Status AssertionSet::compile(Rule& rule, const AssertionFields& fields) {
  const AssertionSpec& s = rule.spec;
  const auto bad = [](std::string message) { return make_error(Code::kValue, std::move(message)); };
  if (!(s.scale > 0) || !std::isfinite(s.scale)) return bad(fmt::format("scale is {}, expected above 0", s.scale));
  if (!(s.tolerance >= 0) || !std::isfinite(s.tolerance))
    return bad(fmt::format("tolerance is {}, expected at least 0", s.tolerance));
  switch (s.kind) {
    case AssertionKind::kRange:
      if (!s.low && !s.high) return bad("kind range needs low or high");
      if (s.low && s.high && *s.low > *s.high) return bad(fmt::format("low {} is above high {}", *s.low, *s.high));
      return compile_field(rule, fields);
    case AssertionKind::kValues:
      if (s.values.empty()) return bad("kind values needs values");
      return compile_field(rule, fields);
    case AssertionKind::kImplies: {
      if (s.then.empty()) return bad("kind implies needs then");
      if (!s.when.empty()) {
        PL_TRY(rule.when, Condition::parse(s.when, fields));
      }
      PL_TRY(rule.then, Condition::parse(s.then, fields));
      return base::ok();
    }
    case AssertionKind::kOrder:
      if (s.fields.size() < 2) return bad("kind order needs two fields or more");
      for (const std::string& name : s.fields) {
        PL_TRY(const FieldPlace place, find_field(fields, name));
        if (place.text) return bad(fmt::format("kind order needs numbers, and '{}' is a text", name));
        rule.fields.push_back(place);
      }
      return base::ok();
    case AssertionKind::kSteady:
      if (!(s.within > 0) || !std::isfinite(s.within))
        return bad(fmt::format("within is {}, expected seconds above 0", s.within));
      return compile_field(rule, fields);
    case AssertionKind::kConstant:
    case AssertionKind::kMonotone: return compile_field(rule, fields);
  }
  return base::ok();
}

base::Result<AssertionSet> AssertionSet::make(std::vector<AssertionSpec> specs, AssertionFields fields) {
  AssertionSet set;
  set.fields_ = std::move(fields);
  std::set<std::string> names;
  for (AssertionSpec& spec : specs) {
    Rule rule;
    rule.spec = std::move(spec);
    const std::string place = fmt::format("assertion '{}'", rule.spec.name);
    if (!names.insert(rule.spec.name).second) return make_error(Code::kValue, "is declared twice", place);
    if (const base::Status compiled = compile(rule, set.fields_); !compiled.ok()) return compiled.error().at(place);
    if (remembers(rule.spec.kind)) rule.place = rule.field.text ? set.texts_++ : set.numbers_++;
    if (rule.spec.kind == AssertionKind::kMonotone) rule.slot = set.monotone_++;
    if (rule.spec.kind == AssertionKind::kConstant) rule.slot = set.constant_++;
    if (rule.spec.kind == AssertionKind::kSteady) rule.slot = set.steady_++;
    set.rules_.push_back(std::move(rule));
  }
  return set;
}

std::optional<FieldPlace> AssertionSet::corrected_field(std::size_t i) const {
  const Rule& rule = rules_[i];
  if (rule.spec.kind == AssertionKind::kOrder || rule.spec.kind == AssertionKind::kValues) return std::nullopt;
  if (rule.spec.kind != AssertionKind::kImplies) return rule.field;
  for (const Condition& c : rule.then)
    if (c.field().text && c.comparison() == Condition::Comparison::kEqual) return c.field();
  return std::nullopt;
}

AssertionSet::Outcome AssertionSet::judge_range(const Rule& rule, const AssertionRecord& record,
                                                Violation& violation) const {
  const double value = record.numbers[rule.field.index];
  if (std::isnan(value)) return Outcome::kAbsent;
  const AssertionSpec& s = rule.spec;
  const double below = s.low ? *s.low - value : 0, above = s.high ? value - *s.high : 0;
  const double excess = std::max(below, above);
  if (excess <= s.tolerance) return Outcome::kHolds;
  violation.severity = excess / s.scale;
  violation.correction = fmt::format("{}", below > above ? *s.low : *s.high);
  violation.reason = fmt::format("{} is {}, expected at {} {}", s.field, value, below > above ? "least" : "most",
                                 violation.correction);
  return Outcome::kViolated;
}

AssertionSet::Outcome AssertionSet::judge_implies(const Rule& rule, const AssertionRecord& record,
                                                  Violation& violation) const {
  const std::optional<bool> applies = all_hold(rule.when, record);
  if (!applies) return Outcome::kAbsent;
  if (!*applies) return Outcome::kHolds;
  const std::optional<bool> holds = all_hold(rule.then, record);
  if (!holds) return Outcome::kAbsent;
  if (*holds) return Outcome::kHolds;
  for (const Condition& c : rule.then) {
    if (c.holds(record) != false) continue;
    violation.severity = std::max(violation.severity, c.excess(record) / (c.field().text ? 1 : rule.spec.scale));
    if (violation.correction.empty() && c.field().text && c.comparison() == Condition::Comparison::kEqual)
      violation.correction = c.text();
    violation.reason += (violation.reason.empty() ? "" : ", ") + c.words(record);
  }
  if (!rule.spec.when.empty()) violation.reason += fmt::format(" where {}", rule.spec.when);
  return Outcome::kViolated;
}

AssertionSet::Outcome AssertionSet::judge_order(const Rule& rule, const AssertionRecord& record,
                                                Violation& violation) const {
  double worst = 0;
  for (std::size_t i = 0; i < rule.fields.size(); ++i) {
    const double value = record.numbers[rule.fields[i].index];
    if (std::isnan(value)) return Outcome::kAbsent;
    if (i == 0) continue;
    const double before = record.numbers[rule.fields[i - 1].index];
    if (before - value <= std::max(worst, rule.spec.tolerance)) continue;
    worst = before - value;
    violation.reason = fmt::format("{} is {}, expected at least the {} of {}", rule.spec.fields[i], value, before,
                                   rule.spec.fields[i - 1]);
  }
  violation.severity = worst / rule.spec.scale;
  return worst > 0 ? Outcome::kViolated : Outcome::kHolds;
}

AssertionSet::Outcome AssertionSet::judge_steady(const Rule& rule, const AssertionRecord& record,
                                                 const AssertionMemory::Unit* unit, Violation& violation) const {
  const std::string& value = record.texts[rule.field.index];
  if (value.empty()) return Outcome::kAbsent;
  if (unit == nullptr) return Outcome::kHolds;
  const AssertionMemory::Steady& known = unit->steady[rule.slot];
  const double within = rule.spec.within;
  if (!known.changed || value == known.value || !(record.time - *known.changed < within)) return Outcome::kHolds;
  // Each record of the window votes, this one too; of equals the one that was there first.
  std::vector<std::pair<std::string, std::size_t>> votes;
  const auto vote = [&](const std::string& label) {
    const auto found = std::find_if(votes.begin(), votes.end(), [&](const auto& v) { return v.first == label; });
    if (found != votes.end()) ++found->second;
    if (found == votes.end()) votes.emplace_back(label, 1);
  };
  for (const auto& [time, label] : known.window)
    if (record.time - time <= within) vote(label);
  vote(value);
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  violation.correction = most->first;
  violation.severity = std::min(1.0, 1 - std::max(0.0, record.time - *known.changed) / within);
  violation.since = known.changed;
  violation.reason = fmt::format("{} changed to '{}' {:.3g} s after it changed to '{}', expected {:.3g} s at least",
                                 rule.spec.field, value, record.time - *known.changed, known.value, within);
  return Outcome::kViolated;
}

AssertionSet::Outcome AssertionSet::judge_constant(const Rule& rule, const AssertionRecord& record,
                                                   const AssertionMemory::Unit* unit, Violation& violation) const {
  const std::string value = value_text(rule.field, record);
  if (value.empty()) return Outcome::kAbsent;
  if (unit == nullptr || unit->counts[rule.slot].empty()) return Outcome::kHolds;
  const auto& counts = unit->counts[rule.slot];
  const auto most =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (value == most->first) return Outcome::kHolds;
  double all = 1;
  for (const auto& [name, count] : counts) all += static_cast<double>(count);
  violation.severity = static_cast<double>(most->second) / all;
  violation.correction = most->first;
  violation.reason = fmt::format("{} is '{}', and '{}' in {} of the unit's {} records before", rule.spec.field, value,
                                 most->first, most->second, all - 1);
  return Outcome::kViolated;
}

AssertionSet::Outcome AssertionSet::judge_monotone(const Rule& rule, const AssertionRecord& record,
                                                   const AssertionMemory::Unit* unit, Violation& violation) const {
  const double value = record.numbers[rule.field.index];
  if (std::isnan(value)) return Outcome::kAbsent;
  if (unit == nullptr || !unit->last[rule.slot]) return Outcome::kHolds;
  const double last = *unit->last[rule.slot];
  const double excess = rule.spec.falling ? value - last : last - value;
  if (excess <= rule.spec.tolerance) return Outcome::kHolds;
  violation.severity = excess / rule.spec.scale;
  violation.correction = fmt::format("{}", last);
  violation.reason = fmt::format("{} is {} after {}, and does not {}", rule.spec.field, value, last,
                                 rule.spec.falling ? "rise" : "fall");
  return Outcome::kViolated;
}

AssertionSet::Outcome AssertionSet::judge(const Rule& rule, const AssertionRecord& record,
                                          const AssertionMemory::Unit* unit, Violation& violation) const {
  switch (rule.spec.kind) {
    case AssertionKind::kRange: return judge_range(rule, record, violation);
    case AssertionKind::kImplies: return judge_implies(rule, record, violation);
    case AssertionKind::kOrder: return judge_order(rule, record, violation);
    case AssertionKind::kSteady: return judge_steady(rule, record, unit, violation);
    case AssertionKind::kConstant: return judge_constant(rule, record, unit, violation);
    case AssertionKind::kMonotone: return judge_monotone(rule, record, unit, violation);
    case AssertionKind::kValues: break;
  }
  const std::string& value = record.texts[rule.field.index];
  if (value.empty()) return Outcome::kAbsent;
  const auto& values = rule.spec.values;
  if (std::find(values.begin(), values.end(), value) != values.end()) return Outcome::kHolds;
  violation.severity = 1;
  violation.reason = fmt::format("{} is '{}', expected {}", rule.spec.field, value, base::join_words(values, "or"));
  return Outcome::kViolated;
}

std::vector<Violation> AssertionSet::check(const AssertionRecord& record, const AssertionMemory& memory,
                                           std::vector<Outcome>* outcomes) const {
  const AssertionMemory::Unit* unit = nullptr;
  if (stateful() && !record.unit.empty())
    if (const auto found = memory.units_.find(unit_hash(record.unit)); found != memory.units_.end())
      unit = &found->second;
  std::vector<Violation> violations;
  if (outcomes != nullptr) outcomes->clear();
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const bool no_unit = remembers(rules_[i].spec.kind) && record.unit.empty();
    Violation violation;
    violation.assertion = i;
    const Outcome outcome = no_unit ? Outcome::kAbsent : judge(rules_[i], record, unit, violation);
    if (outcomes != nullptr) outcomes->push_back(outcome);
    if (outcome == Outcome::kViolated) violations.push_back(std::move(violation));
  }
  return violations;
}

AssertionNote AssertionSet::note(const AssertionRecord& record) const {
  AssertionNote note;
  if (!stateful()) return note;
  note.unit = unit_hash(record.unit);
  note.time = record.time;
  for (const Rule& rule : rules_) {
    if (!remembers(rule.spec.kind)) continue;
    if (rule.field.text) note.texts.push_back(record.texts[rule.field.index]);
    if (!rule.field.text) note.numbers.push_back(record.numbers[rule.field.index]);
  }
  return note;
}

void AssertionSet::remember(const AssertionNote& note, AssertionMemory& memory) const {
  if (!stateful() || note.unit == 0 || note.numbers.size() != numbers_ || note.texts.size() != texts_) return;
  const auto [found, is_new] = memory.units_.try_emplace(note.unit);
  AssertionMemory::Unit& unit = found->second;
  if (is_new) {
    unit.last.resize(monotone_);
    unit.counts.resize(constant_);
    unit.steady.resize(steady_);
  } else {
    memory.order_.erase(unit.seen);
  }
  unit.seen = ++memory.clock_;
  memory.order_.emplace(unit.seen, note.unit);
  for (const Rule& rule : rules_) {
    if (rule.spec.kind == AssertionKind::kMonotone) {
      const double value = note.numbers[rule.place];
      std::optional<double>& last = unit.last[rule.slot];
      const bool further = !last || (rule.spec.falling ? value < *last : value > *last);
      if (!std::isnan(value) && further) last = value;
    } else if (rule.spec.kind == AssertionKind::kConstant) {
      const double number = rule.field.text ? 0 : note.numbers[rule.place];
      const std::string value = rule.field.text      ? note.texts[rule.place]
                                : std::isnan(number) ? std::string()
                                                     : fmt::format("{}", number);
      if (value.empty()) continue;
      auto& counts = unit.counts[rule.slot];
      const auto at = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == value; });
      if (at != counts.end()) ++at->second;
      if (at == counts.end() && counts.size() < kDifferent) counts.emplace_back(value, 1);
    } else if (rule.spec.kind == AssertionKind::kSteady) {
      const std::string& value = note.texts[rule.place];
      if (value.empty()) continue;
      AssertionMemory::Steady& known = unit.steady[rule.slot];
      if (!known.value.empty() && value != known.value) known.changed = note.time;
      known.value = value;
      auto& window = known.window;
      const auto old = std::find_if(window.begin(), window.end(),
                                    [&](const auto& w) { return note.time - w.first <= rule.spec.within; });
      window.erase(window.begin(), old);
      if (window.size() == kWindow) window.erase(window.begin());
      window.emplace_back(note.time, value);
    }
  }
  while (memory.units_.size() > memory.limit_) {
    memory.units_.erase(memory.order_.begin()->second);
    memory.order_.erase(memory.order_.begin());
  }
}

}  // namespace plumbline::probe

#include "plumbline/data/decision_log.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

constexpr std::array<std::string_view, 5> kKinds = {"act", "modify", "ask", "fall_back", "refuse"};
constexpr std::array<std::string_view, 5> kCauses = {"policy", "person", "safeguard", "timeout", "error"};
constexpr std::array<std::string_view, 6> kFormats = {"jsonl", "npz", "vw", "dsjson", "obd", "csv"};

/// A field of the JSON form. `read` takes the value, which is not null, and returns what is wrong with it, or nothing;
/// `write` adds nothing where the field is absent.
struct Field {
  std::string_view name;
  Json schema;
  std::function<std::string(const Json&, DecisionRecord&)> read;
  std::function<void(const DecisionRecord&, Json&)> write;
};

std::string expected(std::string_view what, const Json& value) {
  return fmt::format("is {}, expected {}", value.type_name(), what);
}

Field text_field(std::string_view name, std::string_view help, std::string DecisionRecord::*member) {
  return {name,
          {{"type", "string"}, {"description", help}},
          [=](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_string()) return expected("text", v);
            r.*member = v.get<std::string>();
            return {};
          },
          [=](const DecisionRecord& r, Json& out) {
            if (!(r.*member).empty()) out[std::string(name)] = r.*member;
          }};
}

Field number_field(std::string_view name, std::string_view help, std::optional<double> DecisionRecord::*member) {
  return {name,
          {{"type", {"number", "null"}}, {"description", help}},
          [=](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_number()) return expected("a number", v);
            r.*member = v.get<double>();
            return {};
          },
          [=](const DecisionRecord& r, Json& out) {
            if (r.*member) out[std::string(name)] = *(r.*member);
          }};
}

Field texts_field(std::string_view name, std::string_view help, std::vector<std::string> DecisionRecord::*member) {
  return {name,
          {{"type", "array"}, {"items", {{"type", "string"}}}, {"description", help}},
          [=](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_array()) return expected("an array of texts", v);
            for (const Json& item : v) {
              if (!item.is_string()) return "holds " + std::string(item.type_name()) + ", expected texts";
              (r.*member).push_back(item.get<std::string>());
            }
            return {};
          },
          [=](const DecisionRecord& r, Json& out) {
            if (!(r.*member).empty()) out[std::string(name)] = r.*member;
          }};
}

template <class Enum, std::size_t N>
Field word_field(std::string_view name, std::string_view help, const std::array<std::string_view, N>& words,
                 Enum DecisionRecord::*member) {
  return {name,
          {{"type", "string"}, {"enum", words}, {"description", help}},
          [=](const Json& v, DecisionRecord& r) -> std::string {
            const std::string word = v.is_string() ? v.get<std::string>() : std::string();
            const auto found = std::find(words.begin(), words.end(), word);
            if (found == words.end())
              return fmt::format("is '{}', expected one of {}", word.substr(0, 40), fmt::join(words, ", "));
            r.*member = static_cast<Enum>(found - words.begin());
            return {};
          },
          [=](const DecisionRecord& r, Json& out) {
            if (r.*member != Enum{}) out[std::string(name)] = words[static_cast<std::size_t>(r.*member)];
          }};
}

Field context_field() {
  return {"context",
          {{"type", "object"},
           {"additionalProperties", {{"type", {"number", "string", "boolean", "null"}}}},
           {"description", "what was seen: numbers and categories by name"}},
          [](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_object()) return expected("an object", v);
            for (const auto& [key, item] : v.items()) {
              if (item.is_number())
                r.context.emplace_back(key, item.get<double>());
              else if (item.is_string())
                r.context.emplace_back(key, item.get<std::string>());
              else if (item.is_boolean())
                r.context.emplace_back(key, item.get<bool>() ? 1.0 : 0.0);
              else if (!item.is_null())
                return fmt::format("'{}' is {}, expected a number, text, true or false", key.substr(0, 40),
                                   item.type_name());
            }
            return {};
          },
          [](const DecisionRecord& r, Json& out) {
            for (const auto& [key, value] : r.context) {
              if (const auto* number = std::get_if<double>(&value))
                out["context"][key] = *number;
              else
                out["context"][key] = std::get<std::string>(value);
            }
          }};
}

Field probabilities_field() {
  return {"probabilities",
          {{"type", "array"}, {"items", {{"type", "number"}}}, {"description", "of each available action, if known"}},
          [](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_array()) return expected("an array of numbers", v);
            for (const Json& item : v) {
              if (!item.is_number()) return "holds " + std::string(item.type_name()) + ", expected numbers";
              r.probabilities.push_back(item.get<double>());
            }
            return {};
          },
          [](const DecisionRecord& r, Json& out) {
            if (!r.probabilities.empty()) out["probabilities"] = r.probabilities;
          }};
}

Field position_field() {
  return {"position",
          {{"type", "integer"}, {"minimum", 0}, {"description", "in a slate, from 1; 0 or absent: no slate"}},
          [](const Json& v, DecisionRecord& r) -> std::string {
            constexpr std::int64_t kMost = 1'000'000;
            if (!v.is_number_integer() || v.get<std::int64_t>() < 0 || v.get<std::int64_t>() > kMost)
              return "is no whole number from 0 to 1000000";
            r.position = v.get<int>();
            return {};
          },
          [](const DecisionRecord& r, Json& out) {
            if (r.position > 0) out["position"] = r.position;
          }};
}

Field uncertainty_field() {
  const Json number = {{"type", "number"}};
  return {"uncertainty",
          {{"type", "object"},
           {"additionalProperties", false},
           {"properties", {{"aleatoric", number}, {"model", number}, {"distributional", number}}},
           {"description", "the three measured kinds"}},
          [](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_object()) return expected("an object", v);
            for (const auto& [key, item] : v.items()) {
              auto* place = key == "aleatoric"        ? &r.aleatoric
                            : key == "model"          ? &r.model_doubt
                            : key == "distributional" ? &r.distributional
                                                      : nullptr;
              if (place == nullptr || !item.is_number())
                return fmt::format("'{}': expected numbers under aleatoric, model, distributional", key.substr(0, 40));
              *place = item.get<double>();
            }
            return {};
          },
          [](const DecisionRecord& r, Json& out) {
            if (r.aleatoric) out["uncertainty"]["aleatoric"] = *r.aleatoric;
            if (r.model_doubt) out["uncertainty"]["model"] = *r.model_doubt;
            if (r.distributional) out["uncertainty"]["distributional"] = *r.distributional;
          }};
}

Field readings_field() {
  return {"readings",
          {{"type", "array"},
           {"items",
            {{"type", "object"},
             {"additionalProperties", false},
             {"required", {"name", "action"}},
             {"properties",
              {{"name", {{"type", "string"}}}, {"action", {{"type", "string"}}}, {"weight", {{"type", "number"}}}}}}},
           {"description", "readings of what was asked for, with the actions they recommend"}},
          [](const Json& v, DecisionRecord& r) -> std::string {
            if (!v.is_array()) return expected("an array of objects", v);
            for (const Json& item : v) {
              const bool well = item.is_object() && item.contains("name") && item["name"].is_string() &&
                                item.contains("action") && item["action"].is_string() &&
                                (!item.contains("weight") || item["weight"].is_number()) &&
                                item.size() == (item.contains("weight") ? 3U : 2U);
              if (!well) return "expected objects with name, action and at most weight";
              DecisionReading reading{item["name"].get<std::string>(), item["action"].get<std::string>(), {}};
              if (item.contains("weight")) reading.weight = item["weight"].get<double>();
              r.readings.push_back(std::move(reading));
            }
            return {};
          },
          [](const DecisionRecord& r, Json& out) {
            for (const DecisionReading& reading : r.readings) {
              Json item = {{"name", reading.name}, {"action", reading.action}};
              if (reading.weight) item["weight"] = *reading.weight;
              out["readings"].push_back(std::move(item));
            }
          }};
}

const std::vector<Field>& fields() {
  using R = DecisionRecord;
  static const std::vector<Field> all = {
      text_field("id", "unique", &R::id),
      number_field("time", "seconds since 1970-01-01 UTC", &R::time),
      text_field("unit", "of sampling: user, session, slate", &R::unit),
      position_field(),
      text_field("policy", "version of the policy that proposed", &R::policy),
      context_field(),
      texts_field("actions", "available actions; absent: every action of the log", &R::actions),
      probabilities_field(),
      text_field("action", "proposed by the policy", &R::action),
      number_field("propensity", "probability with which the policy proposed it", &R::propensity),
      text_field("final", "action carried out; absent: the proposal", &R::final_action),
      word_field("kind", "what was done with the proposal; absent: act", kKinds, &R::kind),
      word_field("cause", "who or what decided that; absent: policy", kCauses, &R::cause),
      number_field("reward", "null or absent: not arrived", &R::reward),
      number_field("delay", "seconds from decision to reward", &R::delay),
      uncertainty_field(),
      readings_field(),
      text_field("reason", "in words", &R::reason),
      text_field("rung", "of the fallback ladder", &R::rung),
      number_field("deadline", "seconds that the decision could wait", &R::deadline),
      text_field("rater", "who gave the reward", &R::rater),
      texts_field("accepted", "claims accepted although not supported", &R::accepted),
      text_field("model", "hash of the model", &R::model),
      text_field("case", "hash of the assessed case", &R::case_hash),
  };
  return all;
}

}  // namespace

std::string_view decision_kind_name(DecisionKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view decision_cause_name(DecisionCause cause) { return kCauses[static_cast<std::size_t>(cause)]; }
std::string_view log_format_name(LogFormat format) { return kFormats[static_cast<std::size_t>(format)]; }

base::Result<LogFormat> parse_log_format(std::string_view word) {
  const auto found = std::find(kFormats.begin(), kFormats.end(), word);
  if (found == kFormats.end()) {
    return make_error(Code::kValue,
                      fmt::format("'{}' is no format of a log, expected one of {}", word, fmt::join(kFormats, ", ")));
  }
  return static_cast<LogFormat>(found - kFormats.begin());
}

base::Result<std::string> decision_to_json(const DecisionRecord& record) {
  Json out = Json::object();
  for (const Field& field : fields()) field.write(record, out);
  if (record.final_action == record.action) out.erase("final");
  const std::function<bool(const Json&)> finite = [&](const Json& value) {
    if (value.is_number_float()) return std::isfinite(value.get<double>());
    return !value.is_structured() || std::all_of(value.begin(), value.end(), finite);
  };
  for (const auto& [key, value] : out.items()) {
    if (!finite(value)) return make_error(Code::kValue, fmt::format("{} is not finite", key), "decision " + record.id);
  }
  try {
    return out.dump();
  } catch (const Json::exception&) {
    return make_error(Code::kValue, "holds text that is not UTF-8", "decision " + record.id);
  }
}

base::Result<DecisionRecord> decision_from_json(std::string_view line, const std::string& place) {
  static const std::map<std::string, const Field*, std::less<>> by_name = [] {
    std::map<std::string, const Field*, std::less<>> names;
    for (const Field& field : fields()) names.emplace(field.name, &field);
    return names;
  }();
  const Json value = Json::parse(line, nullptr, false);
  if (value.is_discarded()) {
    return make_error(Code::kParse, "is not JSON", place,
                      "write one JSON object a line, in UTF-8; a log cut off in the middle ends so");
  }
  if (!value.is_object())
    return make_error(Code::kParse, fmt::format("holds {}, expected an object", value.type_name()), place);
  DecisionRecord record;
  for (const auto& [key, item] : value.items()) {
    const auto found = by_name.find(key);
    if (found == by_name.end()) {
      std::vector<std::string> known;
      for (const auto& [name, field] : by_name) known.push_back(name);
      const std::string near = base::nearest(key, known);
      return make_error(Code::kParse, fmt::format("unknown key '{}'", key.substr(0, 60)), place,
                        near.empty() ? "put what was seen under \"context\"" : fmt::format("did you mean '{}'?", near));
    }
    if (item.is_null()) continue;
    if (const std::string wrong = found->second->read(item, record); !wrong.empty())
      return make_error(Code::kParse, fmt::format("{} {}", key, wrong), place);
  }
  if (record.action.empty() && record.final_action.empty())
    return make_error(Code::kParse, "has neither action nor final", place, "name the proposed action under \"action\"");
  if (record.final_action.empty()) record.final_action = record.action;
  return record;
}

base::Status each_decision(std::string_view text, const std::string& name,
                           const std::function<base::Status(const DecisionRecord&, const std::string& place)>& visit,
                           const ReadLimits& limits) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::size_t line = 0;
  std::uint64_t records = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line;
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", name, line);
    if (one.size() > limits.cell_bytes * 16) {
      return make_error(
          Code::kLimit,
          fmt::format("holds a line of {} bytes, expected at most {}", one.size(), limits.cell_bytes * 16), place);
    }
    if (++records > limits.rows) {
      return make_error(Code::kLimit, fmt::format("has more than {} records", limits.rows), name,
                        "read fewer with `limit`");
    }
    PL_TRY(const DecisionRecord record, decision_from_json(one, place));
    PL_CHECK(visit(record, place));
  }
  return base::ok();
}

std::span<const int> DecisionLog::available(std::size_t row, std::vector<int>& every) const {
  if (!set_start.empty()) return std::span(set_actions).subspan(set_start[row], set_start[row + 1] - set_start[row]);
  if (every.size() != actions()) {
    every.resize(actions());
    for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<int>(i);
  }
  return every;
}

std::span<const double> DecisionLog::probabilities(std::size_t row) const {
  if (set_probabilities.empty()) return {};
  return std::span(set_probabilities).subspan(set_start[row], set_start[row + 1] - set_start[row]);
}

LogBuilder::LogBuilder(std::string name, ReadLimits limits) : name_(std::move(name)), limits_(limits) {}

int LogBuilder::code(std::map<std::string, int, std::less<>>& index, std::vector<std::string>& names,
                     const std::string& name) {
  if (name.empty()) return -1;
  const auto [at, is_new] = index.try_emplace(name, static_cast<int>(names.size()));
  if (is_new) names.push_back(name);
  return at->second;
}

void LogBuilder::declare_actions(std::span<const std::string> names) {
  for (const std::string& name : names) code(action_index_, log_.action_names, name);
}

base::Status LogBuilder::add(const DecisionRecord& record, const std::string& place) {
  const std::size_t row = log_.rows();
  if (row >= limits_.rows)
    return make_error(Code::kLimit, fmt::format("has more than {} records", limits_.rows), name_,
                      "read fewer with `limit`");
  if (!record.probabilities.empty() && record.probabilities.size() != record.actions.size()) {
    return make_error(
        Code::kParse,
        fmt::format("has {} probabilities for {} actions", record.probabilities.size(), record.actions.size()), place,
        "give one for each available action, in the same order");
  }
  for (const auto& [key, value] : record.context) {
    const bool number = std::holds_alternative<double>(value);
    auto found = column_index_.find(key);
    if (found == column_index_.end()) {
      if (log_.context.columns.size() >= limits_.columns ||
          (log_.context.columns.size() + 1) * (row + 1) > limits_.elements)
        return make_error(Code::kLimit, "has too many names under context", place);
      found = column_index_.emplace(key, log_.context.columns.size()).first;
      Column column;
      column.name = key;
      column.kind = number ? Column::Kind::kNumber : Column::Kind::kCategory;
      log_.context.columns.push_back(std::move(column));
      level_index_.emplace_back();
    }
    Column& column = log_.context.columns[found->second];
    if ((column.kind == Column::Kind::kNumber) != number) {
      return make_error(Code::kParse,
                        fmt::format("context '{}' is {}, and was {} before", key.substr(0, 60),
                                    number ? "a number" : "text", number ? "text" : "a number"),
                        place, "write one type throughout");
    }
    if (number) {
      column.numbers.resize(row, kAbsent);
      column.numbers.push_back(std::get<double>(value));
    } else {
      column.codes.resize(row, -1);
      column.codes.push_back(code(level_index_[found->second], column.levels, std::get<std::string>(value)));
    }
  }
  log_.action.push_back(code(action_index_, log_.action_names, record.action));
  log_.final_action.push_back(code(action_index_, log_.action_names, record.final_action));
  log_.propensity.push_back(record.propensity.value_or(kAbsent));
  log_.reward.push_back(record.reward.value_or(kAbsent));
  log_.time.push_back(record.time.value_or(kAbsent));
  log_.delay.push_back(record.delay.value_or(kAbsent));
  log_.kind.push_back(static_cast<std::uint8_t>(record.kind));
  log_.cause.push_back(static_cast<std::uint8_t>(record.cause));
  log_.position.push_back(record.position);
  log_.unit.push_back(code(unit_index_, log_.unit_names, record.unit));
  log_.policy.push_back(code(policy_index_, log_.policy_names, record.policy));
  log_.ids.push_back(record.id);
  any_id_ = any_id_ || !record.id.empty();
  log_.slates = log_.slates || record.position > 0;
  if (log_.set_start.empty()) log_.set_start.push_back(0);
  any_set_ = any_set_ || !record.actions.empty();
  all_probabilities_ = all_probabilities_ && !record.probabilities.empty();
  any_probabilities_ = any_probabilities_ || !record.probabilities.empty();
  for (const std::string& action : record.actions) {
    if (action.empty()) return make_error(Code::kParse, "holds an action without a name", place);
    log_.set_actions.push_back(code(action_index_, log_.action_names, action));
  }
  for (std::size_t i = 0; i < record.actions.size(); ++i)
    log_.set_probabilities.push_back(record.probabilities.empty() ? kAbsent : record.probabilities[i]);
  if (log_.set_actions.size() > limits_.elements) return make_error(Code::kLimit, "has too many actions", place);
  log_.set_start.push_back(log_.set_actions.size());
  return base::ok();
}

base::Result<DecisionLog> LogBuilder::take() {
  const std::size_t rows = log_.rows();
  if (rows == 0) return make_error(Code::kParse, "holds no decisions", name_, "at least one is needed");
  for (Column& column : log_.context.columns) {
    if (column.kind == Column::Kind::kNumber)
      column.numbers.resize(rows, kAbsent);
    else
      column.codes.resize(rows, -1);
  }
  if (!any_id_) log_.ids.clear();
  if (!any_set_) {
    log_.set_start.clear();
  } else {
    // A record that names no available actions among others that do has all of them.
    bool filled = false;
    for (std::size_t i = 0; i < rows && !filled; ++i) filled = log_.set_start[i] == log_.set_start[i + 1];
    if (filled) {
      std::vector<std::size_t> start = {0};
      std::vector<int> actions;
      std::vector<double> probabilities;
      for (std::size_t i = 0; i < rows; ++i) {
        if (log_.set_start[i] == log_.set_start[i + 1]) {
          if (actions.size() + log_.actions() > limits_.elements)
            return make_error(Code::kLimit, "has too many actions", name_);
          for (std::size_t a = 0; a < log_.actions(); ++a) {
            actions.push_back(static_cast<int>(a));
            probabilities.push_back(kAbsent);
          }
        }
        for (std::size_t k = log_.set_start[i]; k < log_.set_start[i + 1]; ++k) {
          actions.push_back(log_.set_actions[k]);
          probabilities.push_back(log_.set_probabilities[k]);
        }
        start.push_back(actions.size());
      }
      log_.set_start = std::move(start);
      log_.set_actions = std::move(actions);
      log_.set_probabilities = std::move(probabilities);
    }
  }
  if (!all_probabilities_) log_.set_probabilities.clear();
  return std::move(log_);
}

DecisionRecord decision_record(const DecisionLog& log, std::size_t row) {
  const auto name = [](const std::vector<std::string>& names, int code) {
    return code < 0 ? std::string() : names[static_cast<std::size_t>(code)];
  };
  const auto number = [](double value) { return std::isnan(value) ? std::optional<double>() : std::optional(value); };
  DecisionRecord record;
  if (!log.ids.empty()) record.id = log.ids[row];
  record.time = number(log.time[row]);
  record.unit = name(log.unit_names, log.unit[row]);
  record.position = log.position[row];
  record.policy = name(log.policy_names, log.policy[row]);
  for (const Column& column : log.context.columns) {
    if (column.kind == Column::Kind::kNumber) {
      if (!std::isnan(column.numbers[row])) record.context.emplace_back(column.name, column.numbers[row]);
    } else if (column.codes[row] >= 0) {
      record.context.emplace_back(column.name, name(column.levels, column.codes[row]));
    }
  }
  if (!log.set_start.empty()) {
    for (std::size_t k = log.set_start[row]; k < log.set_start[row + 1]; ++k) {
      record.actions.push_back(name(log.action_names, log.set_actions[k]));
      if (!log.set_probabilities.empty()) record.probabilities.push_back(log.set_probabilities[k]);
    }
  }
  record.action = name(log.action_names, log.action[row]);
  record.propensity = number(log.propensity[row]);
  record.final_action = name(log.action_names, log.final_action[row]);
  record.kind = static_cast<DecisionKind>(log.kind[row]);
  record.cause = static_cast<DecisionCause>(log.cause[row]);
  record.reward = number(log.reward[row]);
  record.delay = number(log.delay[row]);
  return record;
}

std::string decision_schema() {
  Json properties = Json::object();
  for (const Field& field : fields()) properties[std::string(field.name)] = field.schema;
  const Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                       {"title", "One decision, a line of a decision log"},
                       {"type", "object"},
                       {"additionalProperties", false},
                       {"anyOf", {{{"required", {"action"}}}, {{"required", {"final"}}}}},
                       {"properties", properties}};
  return schema.dump(2) + "\n";
}

}  // namespace plumbline::data

// Readers of decision logs: by format, into LogBuilder.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/data/decision_log_columns.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::json;

/// Bags of words have tens of thousands of names; a column of each would be mostly nothing.
constexpr std::size_t kMostNames = 256;

std::string_view as_text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data.get()), bytes.size}; }

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const std::size_t end = text.find_first_of(" \t");
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  }
}

/// Context under construction: numbers of one name add up, the first category of a name stays, new names beyond the
/// limit are counted and left out.
class Features {
 public:
  explicit Features(LogBuilder& builder) : builder_(builder) {}
  void number(const std::string& name, double value) {
    if (!admit(name)) return;
    const auto [at, is_new] = place_.try_emplace(name, values_.size());
    if (is_new)
      values_.emplace_back(name, value);
    else if (auto* old = std::get_if<double>(&values_[at->second].second))
      *old += value;
  }
  void category(const std::string& name, std::string value) {
    if (!admit(name)) return;
    if (place_.try_emplace(name, values_.size()).second) values_.emplace_back(name, std::move(value));
  }
  std::vector<std::pair<std::string, ContextValue>> take() {
    place_.clear();
    return std::exchange(values_, {});
  }

 private:
  bool admit(const std::string& name) {
    if (known_.contains(name)) return true;
    if (known_.size() >= kMostNames) {
      builder_.count_features(1);
      return false;
    }
    known_.insert(name);
    return true;
  }
  LogBuilder& builder_;
  std::set<std::string, std::less<>> known_;
  std::map<std::string, std::size_t, std::less<>> place_;
  std::vector<std::pair<std::string, ContextValue>> values_;
};

// --- Vowpal Wabbit's text ---------------------------------------------------------------------------------------

struct VwLabel {
  std::uint32_t action = 0;
  std::optional<double> cost;
  std::optional<double> probability;
};

/// "a", "a:cost" or "a:cost:probability".
std::optional<VwLabel> parse_label(std::string_view token) {
  VwLabel label;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), label.action);
  if (error != std::errc{}) return std::nullopt;
  token.remove_prefix(static_cast<std::size_t>(end - token.data()));
  for (std::optional<double>* part : {&label.cost, &label.probability}) {
    if (token.empty()) return label;
    if (token.front() != ':') return std::nullopt;
    token.remove_prefix(1);
    const std::string_view number = token.substr(0, token.find(':'));
    double value = 0;
    if (!parse_number(number, &value)) return std::nullopt;
    *part = value;
    token.remove_prefix(number.size());
  }
  return token.empty() ? std::optional(label) : std::nullopt;
}

/// Features of a line from its first '|' on. Names are "namespace^feature"; "key=value" without a number is a category.
/// Returns how many there were.
std::size_t vw_features(std::string_view text, Features* into) {
  std::size_t count = 0;
  while (!text.empty()) {
    text.remove_prefix(1);  // the bar
    const std::size_t end = text.find('|');
    std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    std::string space;
    if (!part.empty() && part.front() != ' ' && part.front() != '\t') {
      const std::size_t stop = part.find_first_of(" \t");
      space = std::string(part.substr(0, stop));
      space = space.substr(0, space.find(':')) + "^";
      part.remove_prefix(stop == std::string_view::npos ? part.size() : stop);
    }
    for (const std::string_view token : words(part)) {
      ++count;
      if (into == nullptr) continue;
      const std::size_t colon = token.rfind(':');
      double value = 1;
      std::string_view name = token;
      if (colon != std::string_view::npos && parse_number(token.substr(colon + 1), &value)) {
        name = token.substr(0, colon);
      } else if (const std::size_t equals = token.find('='); equals != std::string_view::npos && equals > 0) {
        into->category(space + std::string(token.substr(0, equals)), std::string(token.substr(equals + 1)));
        continue;
      }
      into->number(space + std::string(name), std::isfinite(value) ? value : 0);
    }
  }
  return count;
}

struct VwLine {
  std::vector<std::string_view> label;
  std::string_view features;
};

VwLine split_vw(std::string_view line) {
  const std::size_t bar = line.find('|');
  VwLine out;
  out.label = words(line.substr(0, bar));
  // A tag ('name, or a word that touches the bar) says nothing about the decision.
  if (!out.label.empty() && (out.label.back().front() == '\'' || (bar != std::string_view::npos && bar > 0 &&
                                                                  line[bar - 1] != ' ' && line[bar - 1] != '\t')))
    out.label.pop_back();
  if (bar != std::string_view::npos) out.features = line.substr(bar);
  return out;
}

base::Error bad_label(std::string_view token, const std::string& place) {
  return make_error(Code::kParse, fmt::format("'{}' is no label", token.substr(0, 40)), place,
                    "expected action:cost:probability");
}

base::Status vw_fixed(std::string_view text, const std::string& name, std::size_t limit, LogBuilder& builder) {
  Features features(builder);
  std::vector<DecisionRecord> records;
  std::size_t line_number = 0;
  std::uint32_t most = 0;
  std::vector<std::string> places;
  while (!text.empty() && (limit == 0 || records.size() < limit)) {
    const std::string_view line = next_line(text);
    ++line_number;
    if (line.empty()) continue;
    const std::string place = fmt::format("{}:{}", name, line_number);
    const VwLine parts = split_vw(line);
    DecisionRecord record;
    for (const std::string_view token : parts.label) {
      const auto label = parse_label(token);
      constexpr std::uint32_t kMostActions = 1'000'000;
      if (!label || label->action == 0 || label->action > kMostActions) return bad_label(token, place);
      most = std::max(most, label->action);
      if (!label->cost) {
        record.actions.push_back(fmt::format("{}", label->action));
        continue;
      }
      if (!record.action.empty())
        return make_error(Code::kParse, "has two costs, expected that of the action taken", place);
      record.action = record.final_action = fmt::format("{}", label->action);
      record.reward = -*label->cost;
      record.propensity = label->probability;
    }
    vw_features(parts.features, &features);
    record.context = features.take();
    if (record.action.empty()) {
      builder.count_unlabelled();
      continue;
    }
    // Actions that are listed beside the one taken: all of them were available.
    if (!record.actions.empty() &&
        std::find(record.actions.begin(), record.actions.end(), record.action) == record.actions.end())
      record.actions.push_back(record.action);
    records.push_back(std::move(record));
    places.push_back(place);
  }
  std::vector<std::string> names;
  for (std::uint32_t a = 1; a <= most; ++a) names.push_back(fmt::format("{}", a));
  builder.declare_actions(names);
  for (std::size_t i = 0; i < records.size(); ++i) PL_CHECK(builder.add(records[i], places[i]));
  return base::ok();
}

base::Status vw_adf(std::string_view text, const std::string& name, std::size_t limit, LogBuilder& builder) {
  Features features(builder);
  std::size_t line_number = 0;
  std::size_t actions = 0;
  bool open = false;
  std::string place;
  DecisionRecord record;
  const auto close = [&]() -> base::Status {
    if (!open) return base::ok();
    open = false;
    record.context = features.take();
    if (actions == 0) return make_error(Code::kParse, "is a decision without actions", place);
    if (record.action.empty()) {
      builder.count_unlabelled();
      return base::ok();
    }
    for (std::size_t a = 1; a <= actions; ++a) record.actions.push_back(fmt::format("{}", a));
    return builder.add(record, place);
  };
  while (!text.empty() && (limit == 0 || builder.rows() < limit)) {
    const std::string_view line = next_line(text);
    ++line_number;
    if (line.empty()) {
      PL_CHECK(close());
      continue;
    }
    if (!open) {
      open = true;
      actions = 0;
      record = {};
      place = fmt::format("{}:{}", name, line_number);
    }
    const VwLine parts = split_vw(line);
    if (!parts.label.empty() && parts.label.front() == "shared") {
      if (actions > 0)
        return make_error(Code::kParse, "is a shared line after actions", fmt::format("{}:{}", name, line_number),
                          "put an empty line between decisions");
      vw_features(parts.features, &features);
      continue;
    }
    ++actions;
    builder.count_features(vw_features(parts.features, nullptr));
    for (const std::string_view token : parts.label) {
      const auto label = parse_label(token);
      if (!label) return bad_label(token, fmt::format("{}:{}", name, line_number));
      if (!label->cost) continue;
      if (!record.action.empty())
        return make_error(Code::kParse, "is the second labelled action of one decision",
                          fmt::format("{}:{}", name, line_number), "one action is taken; put empty lines between");
      record.action = record.final_action = fmt::format("{}", actions);
      record.reward = -*label->cost;
      record.propensity = label->probability;
    }
  }
  if (limit == 0 || builder.rows() < limit) PL_CHECK(close());
  return base::ok();
}

base::Status vw_text(std::string_view text, const std::string& name, std::size_t limit, LogBuilder& builder) {
  bool adf = false;
  bool gap = false;
  for (std::string_view rest = text; !rest.empty() && !adf;) {
    const std::string_view line = next_line(rest);
    adf = line.starts_with("shared") || (gap && !line.empty());
    gap = line.empty() && rest.size() < text.size();
  }
  return adf ? vw_adf(text, name, limit, builder) : vw_fixed(text, name, limit, builder);
}

// --- decision-service JSON --------------------------------------------------------------------------------------

void flatten(const Json& value, const std::string& path, int depth, Features& features) {
  constexpr int kDeepest = 8;
  if (depth > kDeepest) return;
  if (value.is_number()) {
    features.number(path, value.get<double>());
  } else if (value.is_boolean()) {
    features.number(path, value.get<bool>() ? 1.0 : 0.0);
  } else if (value.is_string()) {
    features.category(path, value.get<std::string>());
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      if (!key.starts_with("_")) flatten(item, path.empty() ? key : path + "." + key, depth + 1, features);
    }
  } else if (value.is_array()) {
    for (const Json& item : value) flatten(item, path, depth + 1, features);
  }
}

std::size_t leaves(const Json& value, int depth = 0) {
  if (!value.is_structured()) return 1;
  constexpr int kDeepest = 8;
  std::size_t count = 0;
  if (depth < kDeepest) {
    for (const Json& item : value) count += leaves(item, depth + 1);
  }
  return count;
}

std::optional<double> number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

base::Status dsjson_record(const Json& event, const std::string& place, Features& features, LogBuilder& builder) {
  if (event.contains("_outcomes") || (event.contains("c") && event["c"].is_object() && event["c"].contains("_slots")))
    return make_error(Code::kUnsupported, "is an event with several slots", place,
                      "write one record a slot in JSON lines, with its position");
  if (number_at(event, "pdrop").value_or(0) > 0)
    return make_error(Code::kUnsupported, "is from a log that was thinned (pdrop above 0)", place,
                      "give the log before thinning");
  const auto context = event.find("c");
  if (context == event.end() || !context->is_object() || !context->contains("_multi") ||
      !(*context)["_multi"].is_array() || (*context)["_multi"].empty())
    return make_error(Code::kParse, "has no actions under c._multi", place);
  const Json& multi = (*context)["_multi"];
  DecisionRecord record;
  record.id = text_at(event, "EventId");
  record.time = parse_iso_time(text_at(event, "Timestamp"));
  if (const auto state = event.find("VWState"); state != event.end() && state->is_object())
    record.policy = text_at(*state, "m");
  for (std::size_t i = 0; i < multi.size(); ++i) {
    std::string tag = multi[i].is_object() ? text_at(multi[i], "_tag") : std::string();
    record.actions.push_back(tag.empty() ? fmt::format("{}", i + 1) : std::move(tag));
    builder.count_features(leaves(multi[i]));
  }
  if (std::set<std::string>(record.actions.begin(), record.actions.end()).size() != record.actions.size()) {
    for (std::size_t i = 0; i < multi.size(); ++i) record.actions[i] = fmt::format("{}", i + 1);
  }
  const auto index = number_at(event, "_labelIndex");
  const auto cost = number_at(event, "_label_cost");
  if (!index || !cost) {
    builder.count_unlabelled();
    return base::ok();
  }
  const auto chosen = static_cast<std::size_t>(std::max(0.0, *index));
  if (!(*index >= 0) || *index != std::floor(*index) || chosen >= multi.size())
    return make_error(Code::kParse, fmt::format("_labelIndex is {}, expected 0 to {}", *index, multi.size() - 1),
                      place);
  record.action = record.final_action = record.actions[chosen];
  record.reward = -*cost;
  record.propensity = number_at(event, "_label_probability");
  const auto order = event.find("a");
  const auto probability = event.find("p");
  if (probability != event.end() && order != event.end() && order->is_array() && probability->is_array()) {
    if (order->size() != multi.size() || probability->size() != multi.size())
      return make_error(
          Code::kParse,
          fmt::format("has {} actions, {} in `a` and {} in `p`", multi.size(), order->size(), probability->size()),
          place);
    record.probabilities.assign(multi.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < multi.size(); ++i) {
      const Json& a = (*order)[i];
      const Json& p = (*probability)[i];
      if (!a.is_number_unsigned() || !p.is_number() || a.get<std::uint64_t>() < 1 ||
          a.get<std::uint64_t>() > multi.size())
        return make_error(Code::kParse, "`a` and `p` are no list of action numbers and probabilities", place);
      record.probabilities[a.get<std::uint64_t>() - 1] = p.get<double>();
    }
    // The label's probability is stored in single precision; `p` has what was used.
    if (const double exact = record.probabilities[chosen];
        record.propensity && std::abs(exact - *record.propensity) < 1e-6)
      record.propensity = exact;
  }
  flatten(*context, "", 0, features);
  record.context = features.take();
  return builder.add(record, place);
}

base::Status dsjson(std::string_view text, const std::string& name, std::size_t limit, const ReadLimits& limits,
                    LogBuilder& builder) {
  Features features(builder);
  std::size_t line_number = 0;
  while (!text.empty() && (limit == 0 || builder.rows() < limit)) {
    const std::string_view line = next_line(text);
    ++line_number;
    if (line.empty()) continue;
    const std::string place = fmt::format("{}:{}", name, line_number);
    if (line.size() > limits.cell_bytes * 16)
      return make_error(Code::kLimit, fmt::format("holds a line of {} bytes", line.size()), place);
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_discarded() || !event.is_object())
      return make_error(Code::kParse, "is not a JSON object", place, "a log cut off in the middle ends so");
    // Lines about rewards alone, without a decision, stand between the events of such logs.
    if (!event.contains("c")) continue;
    PL_CHECK(dsjson_record(event, place, features, builder));
  }
  return base::ok();
}

// --- CSV and the Open Bandit layout -----------------------------------------------------------------------------

struct CsvRoles {
  const Column* id = nullptr;
  const Column* time = nullptr;
  const Column* unit = nullptr;
  const Column* position = nullptr;
  const Column* action = nullptr;
  const Column* propensity = nullptr;
  const Column* reward = nullptr;
  std::vector<const Column*> context;
};

base::Result<CsvRoles> roles_of(const Table& table, const LogOptions& o, const std::string& name) {
  CsvRoles roles;
  const auto column = [&](const std::string& wanted, std::string_view part,
                          bool needed) -> base::Result<const Column*> {
    if (wanted.empty()) {
      if (!needed) return static_cast<const Column*>(nullptr);
      return make_error(Code::kValue, fmt::format("the column of the {} is not named", part), name,
                        fmt::format("say {} = \"COLUMN\"", part));
    }
    const Column* found = table.find(wanted);
    if (found != nullptr) return found;
    std::vector<std::string> known;
    for (const Column& c : table.columns) known.push_back(c.name);
    const std::string near = base::nearest(wanted, known);
    return make_error(Code::kValue, fmt::format("has no column '{}' for the {}", wanted, part), name,
                      near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  };
  PL_TRY(roles.action, column(o.action, "action", true));
  PL_TRY(roles.propensity, column(o.propensity, "propensity", true));
  PL_TRY(roles.reward, column(o.reward, "reward", true));
  PL_TRY(roles.id, column(o.id, "id", false));
  PL_TRY(roles.time, column(o.time, "time", false));
  PL_TRY(roles.unit, column(o.unit, "unit", false));
  PL_TRY(roles.position, column(o.position, "position", false));
  for (const Column* number : {roles.propensity, roles.reward, roles.position}) {
    if (number != nullptr && number->kind != Column::Kind::kNumber)
      return make_error(Code::kParse, fmt::format("column '{}' does not hold numbers", number->name), name);
  }
  if (o.context.empty()) {
    for (const Column& c : table.columns) {
      const bool taken = &c == roles.id || &c == roles.time || &c == roles.unit || &c == roles.position ||
                         &c == roles.action || &c == roles.propensity || &c == roles.reward;
      if (!taken && !c.name.empty() && c.kind != Column::Kind::kText) roles.context.push_back(&c);
    }
  }
  for (const std::string& wanted : o.context) {
    PL_TRY(const Column* found, column(wanted, "context", true));
    roles.context.push_back(found);
  }
  return roles;
}

base::Status csv_rows(const Table& table, const LogOptions& options, const std::string& name, bool numbered,
                      LogBuilder& builder) {
  PL_TRY(const CsvRoles roles, roles_of(table, options, name));
  if (numbered) {
    std::set<int> items;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      int item = 0;
      const std::string text = cell_text(*roles.action, i);
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), item);
      if (error != std::errc{} || end != text.data() + text.size() || item < 0)
        return make_error(Code::kParse, fmt::format("item_id '{}' is no number", text.substr(0, 40)),
                          fmt::format("{}:{}", name, i + 2));
      items.insert(item);
    }
    std::vector<std::string> names;
    for (const int item : items) names.push_back(fmt::format("{}", item));
    builder.declare_actions(names);
  }
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string place = fmt::format("{}:{}", name, i + 2);
    DecisionRecord record;
    record.action = record.final_action = cell_text(*roles.action, i);
    if (record.action.empty()) return make_error(Code::kParse, "has no action", place);
    const auto number = [&](const Column* column) -> std::optional<double> {
      if (column == nullptr || std::isnan(column->numbers[i])) return std::nullopt;
      return column->numbers[i];
    };
    record.propensity = number(roles.propensity);
    record.reward = number(roles.reward);
    if (const auto position = number(roles.position)) {
      constexpr double kMost = 1e6;
      if (*position < 0 || *position > kMost || *position != std::floor(*position))
        return make_error(Code::kParse, fmt::format("position is {}, expected a whole number from 0", *position),
                          place);
      record.position = static_cast<int>(*position);
    }
    if (roles.id != nullptr) record.id = cell_text(*roles.id, i);
    if (roles.unit != nullptr) record.unit = cell_text(*roles.unit, i);
    if (roles.time != nullptr) {
      const std::string text = cell_text(*roles.time, i);
      double seconds = 0;
      record.time = parse_iso_time(text);
      if (!record.time && parse_number(text, &seconds)) record.time = seconds;
      if (!record.time && !text.empty())
        return make_error(Code::kParse, fmt::format("time '{}' is neither seconds nor ISO 8601", text.substr(0, 40)),
                          place);
    }
    for (const Column* column : roles.context) {
      if (column->kind == Column::Kind::kNumber) {
        if (std::isfinite(column->numbers[i])) record.context.emplace_back(column->name, column->numbers[i]);
      } else if (std::string value = cell_text(*column, i); !value.empty()) {
        record.context.emplace_back(column->name, std::move(value));
      }
    }
    PL_CHECK(builder.add(record, place));
  }
  return base::ok();
}

LogOptions open_bandit_columns(const LogOptions& given) {
  LogOptions o;
  o.format = LogFormat::kOpenBandit;
  o.limit = given.limit;
  o.time = "timestamp";
  o.position = "position";
  o.action = "item_id";
  o.propensity = "propensity_score";
  o.reward = "click";
  return o;
}

base::Result<DecisionLog> read_table_log(std::string_view text, const std::string& name, LogOptions options,
                                         const ReadLimits& limits) {
  const bool open_bandit = options.format == LogFormat::kOpenBandit;
  if (open_bandit) options = open_bandit_columns(options);
  TableOptions reading;
  reading.limit = options.limit;
  std::string_view head = text;
  const std::string first(next_line(head));
  for (const std::string& column : {options.id, options.unit, options.action, options.time}) {
    if (!column.empty() && first.find(column) != std::string::npos) reading.types[column] = Column::Kind::kText;
  }
  auto table = parse_csv(text, name, reading, limits);
  if (!table.ok() && table.error().code == Code::kValue) {
    // A declared type of a column that is not there: let the roles say which part is missing.
    reading.types.clear();
    table = parse_csv(text, name, reading, limits);
  }
  if (!table.ok()) return table.error();
  if (open_bandit) {
    for (const Column& column : table->columns) {
      if (column.name.starts_with("user")) options.context.push_back(column.name);
    }
  }
  LogBuilder builder(name, limits);
  PL_CHECK(csv_rows(*table, options, name, open_bandit, builder));
  return builder.take();
}

bool has_open_bandit_columns(std::string_view text) {
  const std::string_view first = next_line(text);
  return first.find("item_id") != std::string_view::npos && first.find("propensity_score") != std::string_view::npos &&
         first.find("click") != std::string_view::npos;
}

std::optional<LogFormat> format_of_name(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  if (ends(".jsonl") || ends(".ndjson")) return LogFormat::kJsonLines;
  if (ends(".npz")) return LogFormat::kColumns;
  if (ends(".vw") || ends(".dat") || ends(".ldf")) return LogFormat::kVwText;
  if (ends(".dsjson")) return LogFormat::kDecisionService;
  if (ends(".csv")) return LogFormat::kCsv;
  return std::nullopt;
}

}  // namespace

base::Result<DecisionLog> parse_decision_log(Bytes bytes, const std::string& name, const LogOptions& options,
                                             const ReadLimits& limits) {
  return guarded(name, [&]() -> base::Result<DecisionLog> {
    if (!options.format) return make_error(Code::kValue, "parse_decision_log: format is not given", name);
    if (*options.format == LogFormat::kColumns) return parse_log_columns(std::move(bytes), name, options.limit, limits);
    const std::string_view text = as_text(bytes);
    LogBuilder builder(name, limits);
    switch (*options.format) {
      case LogFormat::kJsonLines: {
        // The limit ends the walk through an error of its own, which is taken back here.
        bool full = false;
        const base::Status walked = each_decision(
            text, name,
            [&](const DecisionRecord& record, const std::string& place) -> base::Status {
              PL_CHECK(builder.add(record, place));
              full = options.limit > 0 && builder.rows() == options.limit;
              if (full) return make_error(Code::kCancelled, "limit");
              return base::ok();
            },
            limits);
        if (!walked.ok() && !full) return walked.error();
        break;
      }
      case LogFormat::kVwText: PL_CHECK(vw_text(text, name, options.limit, builder)); break;
      case LogFormat::kDecisionService: PL_CHECK(dsjson(text, name, options.limit, limits, builder)); break;
      case LogFormat::kOpenBandit:
      case LogFormat::kCsv: return read_table_log(text, name, options, limits);
      case LogFormat::kColumns: break;
    }
    return builder.take();
  });
}

base::Result<DecisionLog> read_decision_log(const std::string& path, const LogOptions& options,
                                            const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<DecisionLog> {
    LogOptions chosen = options;
    if (!chosen.format) chosen.format = format_of_name(path);
    if (!chosen.format)
      return make_error(Code::kValue, "the name does not say which format it is", path,
                        "say format = jsonl, npz, vw, dsjson, obd or csv");
    PL_TRY(Bytes bytes, map_file(path, limits));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path, limits));
    if (!options.format && chosen.format == LogFormat::kCsv && options.action.empty() &&
        has_open_bandit_columns(as_text(bytes)))
      chosen.format = LogFormat::kOpenBandit;
    return parse_decision_log(std::move(bytes), path, chosen, limits);
  });
}

std::optional<double> parse_iso_time(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t count) -> std::optional<int> {
    if (at + count > text.size()) return std::nullopt;
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
      if (text[i] < '0' || text[i] > '9') return std::nullopt;
      value = 10 * value + (text[i] - '0');
    }
    return value;
  };
  const auto year = digits(0, 4), month = digits(5, 2), day = digits(8, 2), hour = digits(11, 2),
             minute = digits(14, 2), second = digits(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const bool shape =
      text[4] == '-' && text[7] == '-' && (text[10] == ' ' || text[10] == 'T') && text[13] == ':' && text[16] == ':';
  const bool range =
      *month >= 1 && *month <= 12 && *day >= 1 && *day <= 31 && *hour < 24 && *minute < 60 && *second < 61;
  if (!shape || !range) return std::nullopt;
  std::size_t at = 19;
  double fraction = 0;
  if (at < text.size() && text[at] == '.') {
    double unit = 0.1;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
      fraction += unit * (text[at] - '0');
  }
  int offset_minutes = 0;
  if (at < text.size() && text[at] == 'Z') {
    ++at;
  } else if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const auto h = digits(at + 1, 2);
    const bool colon = at + 3 < text.size() && text[at + 3] == ':';
    const auto m = digits(at + (colon ? 4 : 3), 2);
    if (!h || !m) return std::nullopt;
    offset_minutes = (text[at] == '-' ? -1 : 1) * (*h * 60 + *m);
    at += colon ? 6 : 5;
  }
  if (at != text.size()) return std::nullopt;
  // Days since 1970-01-01, by counting from March so that the leap day is the last of its year.
  const int shifted = *year - (*month <= 2 ? 1 : 0);
  const int march_month = (*month + 9) % 12;
  const long days =
      365L * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * march_month + 2) / 5 + *day - 1;
  constexpr long kEpoch = 719468;  // of 1970-01-01 in the same count
  return static_cast<double>((days - kEpoch) * 86400L + *hour * 3600L + *minute * 60L + *second -
                             offset_minutes * 60L) +
         fraction;
}

}  // namespace plumbline::data

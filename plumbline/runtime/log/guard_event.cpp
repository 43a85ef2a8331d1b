#include "plumbline/runtime/log/guard_event.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;
using Kind = GuardEvent::Kind;

constexpr std::array<std::string_view, 9> kKinds = {"start",    "arrive", "propose",     "decide", "void",
                                                    "feedback", "queue",  "acknowledge", "fold"};
constexpr std::size_t kCounts = 29;
constexpr std::string_view kNote = ",\"m\":";
constexpr std::string_view kRecord = ",\"record\":";
constexpr std::string_view kDetail = ",\"detail\":";

std::string quoted(const std::string& text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  return plain ? '"' + text + '"' : Json(text).dump();
}

/// A whole number that the type holds; the library would cast anything.
template <class Integer>
Integer integer_at(const Json& in, const char* key) {
  const Json& value = in.at(key);
  const bool fits = value.is_number_unsigned()  ? std::in_range<Integer>(value.get<std::uint64_t>())
                    : value.is_number_integer() ? std::in_range<Integer>(value.get<std::int64_t>())
                                                : false;
  if (!fits) throw std::out_of_range(fmt::format("\"{}\" is no whole number in range", key));
  return value.get<Integer>();
}

Json question_json(const Question& q) {
  Json out = {{"actions", q.actions}, {"value", q.value}, {"deadline", q.deadline}};
  if (!q.decision.empty()) out["decision"] = q.decision;
  if (q.kind != QuestionKind::kLabel) out["kind"] = question_kind_name(q.kind);
  if (!q.proposed.empty()) out["proposed"] = q.proposed;
  for (const Candidate& candidate : q.candidates)
    out["candidates"].push_back({candidate.action, candidate.probability});
  if (!q.irreversible.empty()) out["irreversible"] = q.irreversible;
  if (!q.safe.empty()) out["safe"] = q.safe;
  if (!q.reason.empty()) out["reason"] = q.reason;
  if (!q.gold_name.empty()) out["gold"] = {{"name", q.gold_name}, {"answer", q.gold}, {"for", q.only_for}};
  if (!q.shown.empty()) out["gold"]["shown"] = q.shown;  // as a text: the keys of the envelope stand outside it
  return out;
}

Question question_of(const Json& in) {
  Question q;
  in.at("actions").get_to(q.actions);
  in.at("value").get_to(q.value);
  q.deadline = integer_at<Instant>(in, "deadline");
  q.decision = in.value("decision", "");
  const std::string kind = in.value("kind", "label");
  // "decision" is what questions were called before there were kinds.
  const auto known = question_kind_of(kind == "decision" ? "label" : kind);
  if (!known) throw std::out_of_range(fmt::format("\"kind\" is \"{}\"", kind));
  q.kind = *known;
  q.proposed = in.value("proposed", "");
  if (const auto all = in.find("candidates"); all != in.end()) {
    for (const Json& one : *all) q.candidates.push_back({one.at(0).get<std::string>(), one.at(1).get<double>()});
  }
  q.irreversible = in.value("irreversible", q.irreversible);
  q.safe = in.value("safe", "");
  q.reason = in.value("reason", "");
  if (in.contains("gold")) {
    in.at("gold").at("name").get_to(q.gold_name);
    in.at("gold").at("answer").get_to(q.gold);
    in.at("gold").at("for").get_to(q.only_for);
    q.shown = in.at("gold").value("shown", "");
  }
  return q;
}

Json queue_json(const QueueEvent& event) {
  Json out = {{"k", event.kind}, {"n", event.question}};
  if (!event.rater.empty()) out["r"] = event.rater;
  if (!event.action.empty()) out["a"] = event.action;
  if (event.kind == QueueEvent::Kind::kLease) out["u"] = event.until;
  if (event.kind == QueueEvent::Kind::kSettle) out["c"] = event.cause;
  if (event.asked) out["q"] = question_json(*event.asked);
  return out;
}

template <class Enum>
Enum word_at(const Json& in, const char* key, Enum last) {
  const auto code = integer_at<std::uint64_t>(in, key);
  if (code > static_cast<std::uint64_t>(last)) throw std::out_of_range(fmt::format("\"{}\" is {}", key, code));
  return static_cast<Enum>(code);
}

QueueEvent queue_of(const Json& in, Instant at) {
  QueueEvent event;
  event.at = at;
  event.kind = word_at(in, "k", QueueEvent::Kind::kSettle);
  event.question = integer_at<std::uint64_t>(in, "n");
  event.rater = in.value("r", "");
  event.action = in.value("a", "");
  if (in.contains("u")) event.until = integer_at<Instant>(in, "u");
  if (event.kind == QueueEvent::Kind::kSettle) event.cause = word_at(in, "c", SettleCause::kDisplaced);
  if (in.contains("q")) event.asked = question_of(in.at("q"));
  return event;
}

MonitorNote note_of(const Json& in) {
  const auto numbers = [](const Json& list) {
    std::vector<double> out;
    for (const Json& one : list) out.push_back(one.is_null() ? std::nan("") : one.get<double>());
    return out;
  };
  const auto whole = [](const Json& value, std::uint64_t most) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) throw std::out_of_range("\"m\" is no note");
    return value.get<std::uint64_t>();
  };
  if (!in.is_array() || in.size() != 6) throw std::out_of_range("\"m\" is no note");
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  MonitorNote note;
  note.plan = static_cast<std::uint32_t>(whole(in[0], kMost));
  note.unit = whole(in[1], std::numeric_limits<std::uint64_t>::max());
  note.signals = numbers(in[2]);
  note.numbers = numbers(in[3]);
  in[4].get_to(note.texts);
  for (const Json& one : in[5]) note.violated.push_back(static_cast<std::uint32_t>(whole(one, kMost)));
  return note;
}

/// The envelope as JSON, and the two texts at its end.
struct Parts {
  std::string_view envelope;  ///< without its closing brace
  std::string_view detail;
  std::string_view record;
};

/// A quote inside a JSON string is escaped, so these keys are found only where they are keys. Precondition: the text
/// ends with a brace.
Parts parts_of(std::string_view text) {
  Parts parts;
  parts.envelope = text.substr(0, text.size() - 1);
  if (const auto at = parts.envelope.find(kRecord); at != std::string_view::npos) {
    parts.record = parts.envelope.substr(at + kRecord.size());
    parts.envelope = parts.envelope.substr(0, at);
  }
  if (const auto at = parts.envelope.find(kDetail); at != std::string_view::npos) {
    parts.detail = parts.envelope.substr(at + kDetail.size());
    parts.envelope = parts.envelope.substr(0, at);
  }
  return parts;
}

GuardEvent event_of(const Json& in) {
  GuardEvent event;
  const auto found = std::find(kKinds.begin(), kKinds.end(), in.at("e").get_ref<const std::string&>());
  if (found == kKinds.end()) throw std::out_of_range("\"e\" is no kind of event");
  event.kind = static_cast<Kind>(found - kKinds.begin());
  event.at = integer_at<Instant>(in, "t");
  event.id = in.value("id", "");
  event.fallback = in.value("fallback", "");
  switch (event.kind) {
    case Kind::kArrive:
      event.content = integer_at<std::uint32_t>(in, "content");
      event.deadline = integer_at<Instant>(in, "deadline");
      break;
    case Kind::kDecide:
      event.decision = word_at(in, "k", data::DecisionKind::kRefuse);
      event.cause = word_at(in, "c", data::DecisionCause::kError);
      event.shadow = in.value("shadow", false);
      break;
    case Kind::kVoid: event.reason = in.value("reason", ""); break;
    case Kind::kFeedback:
      in.at("reward").get_to(event.reward);
      in.at("delay").get_to(event.delay);
      event.rater = in.value("rater", "");
      break;
    case Kind::kFold:
      if (!in.at("counts").is_array() || in.at("counts").size() != kCounts)
        throw std::out_of_range(fmt::format("\"counts\" holds not {} numbers", kCounts));
      for (const Json& one : in.at("counts")) {
        if (!one.is_number_unsigned()) throw std::out_of_range("\"counts\" holds what is no count");
        event.counts.push_back(one.get<std::uint64_t>());
      }
      break;
    case Kind::kAcknowledge: event.rater = in.value("rater", ""); break;
    default: break;
  }
  if (in.contains("m")) event.note = note_of(in.at("m"));
  if (in.contains("queue")) event.queue = queue_of(in.at("queue"), event.at);
  return event;
}

/// Reads what to_json writes, in its order, without a parser: replaying a long log spends its time here.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool literal(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  template <class Number>
  bool number(std::string_view key, Number& value) {
    if (!literal(key)) return false;
    const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc{}) return false;
    text_.remove_prefix(static_cast<std::size_t>(stop - text_.data()));
    return true;
  }
  /// A text without escapes or control characters.
  bool text(std::string_view key, std::string& value) {
    if (!literal(key)) return false;
    const std::size_t end = text_.find('"');
    if (end == std::string_view::npos) return false;
    const std::string_view found = text_.substr(0, end);
    if (std::any_of(found.begin(), found.end(),
                    [](char c) { return c == '\\' || static_cast<unsigned char>(c) < ' '; }))
      return false;
    value = found;
    text_.remove_prefix(end + 1);
    return true;
  }
  std::string_view rest() const { return text_; }
  bool note(MonitorNote& value) { return cut_monitor_note(text_, value); }

 private:
  std::string_view text_;
};

/// The events of every request, at the head of the text; `rest` is what follows: a detail, a record, a brace. Nothing
/// where the text has any other form: then the parser has the word.
std::optional<GuardEvent> quick_event(std::string_view text, std::string_view& rest) {
  Cursor in(text);
  std::optional<GuardEvent> out(std::in_place);
  GuardEvent& event = *out;
  if (in.literal(R"({"e":"arrive","t":)")) {
    event.kind = Kind::kArrive;
  } else if (in.literal(R"({"e":"decide","t":)")) {
    event.kind = Kind::kDecide;
  } else if (in.literal(R"({"e":"feedback","t":)")) {
    event.kind = Kind::kFeedback;
  } else {
    return std::nullopt;
  }
  if (!in.number("", event.at) || !in.text(R"(,"id":")", event.id)) return std::nullopt;
  in.text(R"(,"fallback":")", event.fallback);
  switch (event.kind) {
    case Kind::kArrive:
      if (!in.number(R"(,"content":)", event.content) || !in.number(R"(,"deadline":)", event.deadline))
        return std::nullopt;
      break;
    case Kind::kDecide: {
      unsigned kind = 9, cause = 9;
      if (!in.number(R"(,"k":)", kind) || !in.number(R"(,"c":)", cause) || kind > 4 || cause > 4) return std::nullopt;
      event.decision = static_cast<data::DecisionKind>(kind);
      event.cause = static_cast<data::DecisionCause>(cause);
      event.shadow = in.literal(R"(,"shadow":true)");
      if (in.literal(kNote) && !in.note(event.note.emplace())) return std::nullopt;
      break;
    }
    default:
      if (!in.number(R"(,"reward":)", event.reward) || !in.number(R"(,"delay":)", event.delay)) return std::nullopt;
      if (!std::isfinite(event.reward) || !std::isfinite(event.delay)) return std::nullopt;
      in.text(R"(,"rater":")", event.rater);
  }
  rest = in.rest();
  return rest == "}" || rest.starts_with(kDetail) || rest.starts_with(kRecord) ? std::move(out) : std::nullopt;
}

}  // namespace

base::Result<std::string> to_json(const GuardEvent& event) {
  try {
    std::string out = fmt::format("{{\"e\":\"{}\",\"t\":{}", kKinds[static_cast<std::size_t>(event.kind)], event.at);
    if (!event.id.empty()) out += ",\"id\":" + quoted(event.id);
    if (!event.fallback.empty()) out += ",\"fallback\":" + quoted(event.fallback);
    switch (event.kind) {
      case Kind::kArrive: out += fmt::format(",\"content\":{},\"deadline\":{}", event.content, event.deadline); break;
      case Kind::kDecide:
        out += fmt::format(",\"k\":{},\"c\":{}", static_cast<int>(event.decision), static_cast<int>(event.cause));
        if (event.shadow) out += ",\"shadow\":true";
        break;
      case Kind::kVoid: out += ",\"reason\":" + quoted(event.reason); break;
      case Kind::kFeedback:
        PL_CHECK(base::check_finite("to_json", "reward", event.reward));
        PL_CHECK(base::check_finite("to_json", "delay", event.delay));
        out += fmt::format(",\"reward\":{},\"delay\":{}", event.reward, event.delay);
        if (!event.rater.empty()) out += ",\"rater\":" + quoted(event.rater);
        break;
      case Kind::kFold: out += fmt::format(",\"counts\":[{}]", fmt::join(event.counts, ",")); break;
      case Kind::kAcknowledge:
        if (!event.rater.empty()) out += ",\"rater\":" + quoted(event.rater);
        break;
      default: break;
    }
    if (event.note) out.append(kNote).append(to_json(*event.note));
    if (event.queue) out += ",\"queue\":" + queue_json(*event.queue).dump();
    if (!event.detail.empty()) out.append(kDetail).append(event.detail);
    if (!event.record.empty()) out.append(kRecord).append(event.record);
    return out + "}";
  } catch (const nlohmann::json::exception&) {
    return make_error(Code::kValue,
                      fmt::format("event '{}': a text is not UTF-8", kKinds[static_cast<std::size_t>(event.kind)]));
  }
}

base::Result<GuardEvent> parse_guard_event(std::string_view text, const std::string& place, EventTexts texts) {
  if (!data::is_utf8(text)) return make_error(Code::kParse, "is not UTF-8", place);
  if (!text.ends_with('}'))
    return make_error(Code::kParse, "is no event of a guard: it does not end with a brace", place);
  std::string_view rest;
  if (auto quick = quick_event(text, rest)) {
    if (texts == EventTexts::kForFold) return std::move(*quick);
    const Parts parts = parts_of(rest);
    quick->detail = parts.detail;
    quick->record = parts.record;
    return std::move(*quick);
  }
  const Parts parts = parts_of(text);
  try {
    const Json in = Json::parse(std::string(parts.envelope) + '}');
    GuardEvent event = event_of(in);
    event.detail = parts.detail;
    event.record = parts.record;
    return event;
  } catch (const std::exception& e) {
    return make_error(Code::kParse, fmt::format("is no event of a guard: {}", e.what()), place);
  }
}

std::string answer_body(std::string_view decide) {
  const Parts parts = parts_of(decide);
  std::string out = "{";
  if (!parts.detail.empty()) out.append("\"detail\":").append(parts.detail).append(",");
  return out.append("\"record\":").append(parts.record).append("}");
}

}  // namespace plumbline::runtime

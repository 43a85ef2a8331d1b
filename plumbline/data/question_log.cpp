#include "plumbline/data/question_log.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/data/files.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kKinds = {"label", "compare", "correct", "approve"};
constexpr std::array<std::string_view, 5> kCauses = {"answered", "expired", "vetoed", "disagreed", "displaced"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Reads the keys of one object and knows which were asked for.
class Object {
 public:
  explicit Object(const Json& json) : json_(json) {
    if (!json.is_object()) throw std::invalid_argument("is no object");
  }
  std::string text(const char* key, bool needed = false) {
    const Json* value = find(key, needed);
    return value == nullptr ? std::string() : value->get<std::string>();
  }
  std::optional<double> maybe(const char* key) {
    const Json* value = find(key, false);
    if (value == nullptr) return std::nullopt;
    const double number = value->get<double>();
    if (!std::isfinite(number)) throw std::invalid_argument(fmt::format("\"{}\" is not finite", key));
    return number;
  }
  double number(const char* key) {
    const auto value = maybe(key);
    if (!value) throw std::invalid_argument(fmt::format("\"{}\" is missing", key));
    return *value;
  }
  bool flag(const char* key) {
    const Json* value = find(key, false);
    return value != nullptr && value->get<bool>();
  }
  const Json* find(const char* key, bool needed = false) {
    known_.insert(key);
    const auto found = json_.find(key);
    if (found != json_.end()) return &*found;
    if (needed) throw std::invalid_argument(fmt::format("\"{}\" is missing", key));
    return nullptr;
  }
  void nothing_else() const {
    for (const auto& [key, value] : json_.items())
      if (!known_.contains(key)) throw std::invalid_argument(fmt::format("\"{}\" is no key here", key.substr(0, 40)));
  }

 private:
  const Json& json_;
  std::set<std::string, std::less<>> known_;
};

void read_leases(const Json& list, double asked, QuestionRecord& record) {
  for (const Json& one : list) {
    Object in(one);
    QuestionRecord::Lease lease{in.text("rater", true), in.number("at"), in.number("until"), in.flag("declined")};
    in.nothing_else();
    if (lease.at < asked || lease.until < lease.at)
      throw std::invalid_argument(
          fmt::format("a lease from {} to {} of a question asked at {}", lease.at, lease.until, asked));
    record.leases.push_back(std::move(lease));
  }
}

void read_answers(const Json& list, double asked, QuestionRecord& record) {
  for (const Json& one : list) {
    Object in(one);
    QuestionRecord::Answer answer;
    answer.rater = in.text("rater", true);
    answer.at = in.number("at");
    answer.seconds = in.number("seconds");
    answer.action = in.text("action", true);
    answer.undone = in.flag("undone");
    in.nothing_else();
    if (answer.at < asked || answer.seconds < 0)
      throw std::invalid_argument(
          fmt::format("an answer at {} after {} s to a question asked at {}", answer.at, answer.seconds, asked));
    record.answers.push_back(std::move(answer));
  }
}

QuestionRecord record_of(const Json& json) {
  Object in(json);
  QuestionRecord q;
  const Json* number = in.find("question", true);
  if (!number->is_number_unsigned() || number->get<std::uint64_t>() == 0)
    throw std::invalid_argument("\"question\" is no number from 1 on");
  q.number = number->get<std::uint64_t>();
  q.decision = in.text("decision");
  q.kind = in.text("kind", true);
  if (!among(kKinds, q.kind)) throw std::invalid_argument(fmt::format("\"kind\" is '{}'", q.kind.substr(0, 40)));
  q.proposed = in.text("proposed");
  if (const Json* list = in.find("two_people")) list->get_to(q.two_people);
  q.value = in.number("value");
  q.asked = in.number("asked");
  q.deadline = in.number("deadline");
  q.gold = in.text("gold");
  q.gold_name = in.text("gold_name");
  if (q.gold.empty() != q.gold_name.empty()) throw std::invalid_argument("\"gold\" and \"gold_name\" go together");
  if (q.is_gold() != q.decision.empty()) throw std::invalid_argument("a question is of a decision, or gold");
  q.cause = in.text("cause");
  if (!q.cause.empty() && !among(kCauses, q.cause))
    throw std::invalid_argument(fmt::format("\"cause\" is '{}'", q.cause.substr(0, 40)));
  q.settled = in.maybe("settled");
  if (q.settled.has_value() == q.cause.empty()) throw std::invalid_argument("\"cause\" and \"settled\" go together");
  if (q.settled.value_or(q.asked) < q.asked) throw std::invalid_argument("it was settled before it was asked");
  q.carried_out = in.text("carried_out");
  q.decision_deadline = in.maybe("decision_deadline");
  q.decided = in.maybe("decided");
  q.late = in.flag("late");
  if (const Json* list = in.find("leases")) read_leases(*list, q.asked, q);
  if (const Json* list = in.find("answers")) read_answers(*list, q.asked, q);
  in.nothing_else();
  return q;
}

}  // namespace

base::Result<std::string> question_to_json(const QuestionRecord& q) {
  bool finite = std::isfinite(q.value) && std::isfinite(q.asked) && std::isfinite(q.deadline) &&
                std::isfinite(q.settled.value_or(0)) && std::isfinite(q.decision_deadline.value_or(0)) &&
                std::isfinite(q.decided.value_or(0));
  Json out = {{"question", q.number}};
  if (!q.decision.empty()) out["decision"] = q.decision;
  out["kind"] = q.kind;
  if (!q.proposed.empty()) out["proposed"] = q.proposed;
  if (!q.two_people.empty()) out["two_people"] = q.two_people;
  out["value"] = q.value;
  out["asked"] = q.asked;
  out["deadline"] = q.deadline;
  if (q.is_gold()) {
    out["gold"] = q.gold;
    out["gold_name"] = q.gold_name;
  }
  if (!q.cause.empty()) out["cause"] = q.cause;
  if (q.settled) out["settled"] = *q.settled;
  if (!q.carried_out.empty()) out["carried_out"] = q.carried_out;
  if (q.decision_deadline) out["decision_deadline"] = *q.decision_deadline;
  if (q.decided) out["decided"] = *q.decided;
  if (q.late) out["late"] = true;
  for (const auto& lease : q.leases) {
    finite = finite && std::isfinite(lease.at) && std::isfinite(lease.until);
    out["leases"].push_back({{"rater", lease.rater}, {"at", lease.at}, {"until", lease.until}});
    if (lease.declined) out["leases"].back()["declined"] = true;
  }
  for (const auto& answer : q.answers) {
    finite = finite && std::isfinite(answer.at) && std::isfinite(answer.seconds);
    out["answers"].push_back(
        {{"rater", answer.rater}, {"at", answer.at}, {"seconds", answer.seconds}, {"action", answer.action}});
    if (answer.undone) out["answers"].back()["undone"] = true;
  }
  if (!finite) return make_error(Code::kValue, fmt::format("question {} has a number that is not finite", q.number));
  try {
    return out.dump();
  } catch (const nlohmann::json::exception&) {
    return make_error(Code::kValue, fmt::format("question {} has text that is not UTF-8", q.number));
  }
}

base::Result<QuestionRecord> question_from_json(std::string_view line, const std::string& place) {
  if (!is_utf8(line)) return make_error(Code::kParse, "is not UTF-8", place);
  try {
    // Three levels are all there is; a parser's stack is not for files to fill.
    const auto shallow = [](int depth, Json::parse_event_t, Json&) {
      if (depth > 8) throw std::invalid_argument("is nested too deeply");
      return true;
    };
    return record_of(Json::parse(line, shallow));
  } catch (const std::exception& e) {
    return make_error(Code::kParse, fmt::format("is no record of a question: {}", e.what()), place);
  }
}

base::Result<std::vector<QuestionRecord>> parse_questions(std::string_view text, const std::string& name,
                                                          const ReadLimits& limits) {
  std::vector<QuestionRecord> all;
  std::set<std::uint64_t> seen;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string place = fmt::format("{}:{}", name, number);
    if (all.size() >= limits.rows)
      return make_error(Code::kLimit, fmt::format("has more than {} questions", limits.rows), place);
    PL_TRY(QuestionRecord record, question_from_json(line, place));
    if (!seen.insert(record.number).second)
      return make_error(Code::kValue, fmt::format("question {} occurs twice", record.number), place);
    all.push_back(std::move(record));
  }
  if (all.empty()) return make_error(Code::kValue, "holds no question", name);
  return all;
}

base::Result<std::vector<QuestionRecord>> read_questions(const std::string& path, const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<std::vector<QuestionRecord>> {
    PL_TRY(const Bytes file, map_file(path, limits));
    PL_TRY(const Bytes bytes, inflate_if_gzip(file, path, limits));
    return parse_questions({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, limits);
  });
}

base::Status write_questions(const std::string& path, const std::vector<QuestionRecord>& records) {
  std::string text;
  for (const QuestionRecord& record : records) {
    PL_TRY(const std::string line, question_to_json(record));
    text += line + '\n';
  }
  return write_bytes(path, text);
}

}  // namespace plumbline::data

#include "apps/guard/live.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "plumbline/data/decision_log.hpp"

namespace plumbline::guard {
namespace {

using runtime::Guard;
using runtime::Instant;
using runtime::LiveDecision;
using runtime::LiveWindow;
using Json = nlohmann::ordered_json;

constexpr std::size_t kError = static_cast<std::size_t>(data::DecisionCause::kError);
constexpr std::size_t kRefuse = static_cast<std::size_t>(data::DecisionKind::kRefuse);
constexpr std::array<const char*, 3> kMeasured = {"aleatoric", "model", "distributional"};
constexpr std::size_t kStep = 5;     // seconds of a column of the strip
constexpr std::size_t kSteps = 120;  // ten minutes

std::string_view kind_name(std::size_t kind) { return data::decision_kind_name(static_cast<data::DecisionKind>(kind)); }
std::string_view cause_name(std::size_t cause) {
  return data::decision_cause_name(static_cast<data::DecisionCause>(cause));
}

Json optional(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

/// Counts of every kind and cause that occurred.
Json by_kind_and_cause(const LiveWindow::Counts& counts) {
  Json out = Json::object();
  for (std::size_t kind = 0; kind < counts.size(); ++kind)
    for (std::size_t cause = 0; cause < counts[kind].size(); ++cause)
      if (counts[kind][cause] > 0)
        out[std::string(kind_name(kind))][std::string(cause_name(cause))] = counts[kind][cause];
  return out;
}

std::uint64_t could_not_decide(const LiveWindow::Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& causes : counts) sum += causes[kError];
  return sum;
}

/// What was decided, kind by kind; nothing that could not be decided is in it.
std::uint64_t decided(const LiveWindow::Counts& counts, std::size_t kind) {
  std::uint64_t sum = 0;
  for (std::size_t cause = 0; cause < counts[kind].size(); ++cause) sum += cause == kError ? 0 : counts[kind][cause];
  return sum;
}

Json counts_json(const LiveWindow::Counts& counts) {
  return {{"decisions", by_kind_and_cause(counts)},
          {"decided_to_refuse", decided(counts, kRefuse)},
          {"could_not_decide", could_not_decide(counts)}};
}

Json rates_json(const LiveWindow& live, Instant now) {
  Json out = Json::array();
  for (const std::size_t seconds : {10U, 60U, 600U}) {
    const LiveWindow::Span span = live.last(seconds, now);
    Json one = {{"window_seconds", seconds},
                {"seconds", span.seconds},
                {"arrived", span.arrived},
                {"refused", span.refused},
                {"void", span.voided}};
    one.update(counts_json(span.decided));
    out.push_back(std::move(one));
  }
  return out;
}

Json strip_json(const LiveWindow& live, Instant now) {
  Json out = {{"step_seconds", kStep}, {"kinds", Json::object()}, {"could_not_decide", Json::array()}};
  for (std::size_t kind = 0; kind < 5; ++kind) out["kinds"][std::string(kind_name(kind))] = Json::array();
  for (const LiveWindow::Span& span : live.steps(kStep, kSteps, now)) {
    for (std::size_t kind = 0; kind < 5; ++kind)
      out["kinds"][std::string(kind_name(kind))].push_back(decided(span.decided, kind));
    out["could_not_decide"].push_back(could_not_decide(span.decided));
  }
  return out;
}

Json decision_in_short(const LiveDecision& d) {
  Json out = {{"number", d.number},
              {"id", d.id},
              {"time", d.time},
              {"waited", d.waited},
              {"kind", data::decision_kind_name(d.kind)},
              {"cause", data::decision_cause_name(d.cause)},
              {"carried_out", d.carried_out.empty() ? Json(nullptr) : Json(d.carried_out)},
              {"reason", d.reason},
              {"rung", d.rung},
              {"propensity", optional(d.propensity)},
              {"readings", d.readings},
              {"readings_disagree", d.readings_disagree}};
  for (std::size_t i = 0; i < kMeasured.size(); ++i) out["uncertainty"][kMeasured[i]] = optional(d.measured[i]);
  if (!d.rater.empty()) out["by"] = d.rater;
  if (d.voided) out["void"] = true;
  return out;
}

Json times_json(const runtime::RecentTimes::Summary& s) {
  Json out = {{"count", s.count}};
  if (s.count > 0) out.update({{"p50", s.p50}, {"p90", s.p90}, {"p99", s.p99}, {"largest", s.largest}});
  return out;
}

Json queue_json(const Guard& guard, Instant now) {
  const runtime::QuestionQueue& queue = guard.state().queue();
  std::size_t open = 0;
  std::size_t leased = 0;
  std::size_t answered = 0;
  Instant soonest = 0;
  for (const auto& [number, item] : queue.open()) {
    if (!item.question.gold_name.empty()) continue;
    ++open;
    leased += item.lease && now < item.lease->until ? 1U : 0U;
    answered += item.votes.empty() ? 0U : 1U;
    if (soonest == 0 || item.question.deadline < soonest) soonest = item.question.deadline;
  }
  Json out = {{"open", open}, {"leased", leased}, {"answered", answered}, {"limit", guard.options().queue.open}};
  out["soonest_deadline_seconds"] = open == 0 ? Json(nullptr) : Json(static_cast<double>(soonest - now) / 1e9);
  return out;
}

Json units_json(const LiveWindow& live) {
  Json out = Json::object();
  for (std::size_t i = 0; i < kMeasured.size(); ++i) {
    const runtime::MeasuredUnit& u = live.units()[i];
    if (!u.unit.empty()) out[kMeasured[i]] = {{"unit", u.unit}, {"estimator", u.estimator}};
  }
  return out;
}

Json log_json(const Guard& guard, const runtime::LoopTimes& times, const Started& started) {
  const runtime::DecisionJournal& journal = guard.journal();
  return {{"sync", runtime::sync_policy_name(started.journal.sync)},
          {"stopped", guard.stopped()},
          {"away", times.away},
          {"frames", journal.appended()},
          {"not_durable", journal.appended() - std::min(journal.appended(), journal.durable())},
          {"sync_seconds", times_json(times.sync)}};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

std::string query_value(std::string_view target, std::string_view key) {
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const std::size_t equal = pair.find('=');
    if (percent_decoded(pair.substr(0, equal)) == key)
      return equal == std::string_view::npos ? std::string() : percent_decoded(pair.substr(equal + 1));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
  }
  return {};
}

Json live_json(const Guard& guard, const runtime::LoopTimes& times, const Started& started, std::uint64_t after,
               Instant now) {
  const LiveWindow& live = guard.live();
  const runtime::GuardCounts& counts = guard.state().counts();
  const runtime::GuardTraffic& traffic = guard.traffic();
  Json out = {{"time", guard.wall(now)},
              {"started", guard.wall(guard.clock_start())},
              {"running_seconds", live.running(now)},
              {"model", started.model},
              {"policy", guard.decider().policy},
              {"case", guard.decider().case_hash},
              {"accepted", guard.options().accepted},
              {"shadow", guard.options().shadow},
              {"draining", guard.draining()},
              {"fallback", guard.options().fallback.empty() ? Json(nullptr) : Json(guard.options().fallback)}};
  out["whole_log"] = counts_json(counts.decisions);
  out["whole_log"].update({{"arrived", counts.arrivals}, {"void", counts.voided}, {"feedback", counts.feedback}});
  out["since_start"] = {
      {"refused", traffic.refused}, {"late", traffic.late}, {"repeated", traffic.repeated}, {"wasted", traffic.wasted}};
  out["rates"] = rates_json(live, now);
  out["strip"] = strip_json(live, now);
  out["queue"] = queue_json(guard, now);
  out["requests"] = {{"open", guard.state().open().size()}, {"limit", guard.options().max_open}};
  out["latency"] = {{"answer", times_json(times.answer)}, {"decider", times_json(times.decider)}};
  out["log"] = log_json(guard, times, started);
  out["units"] = units_json(live);
  out["newest"] = live.newest();
  out["decisions"] = Json::array();
  // A number from before a restart says nothing: then all are new.
  for (const LiveDecision* one : live.decisions(after > live.newest() ? 0 : after))
    out["decisions"].push_back(decision_in_short(*one));
  out["monitors"] = Json::parse(guard.monitors_json());
  return out;
}

void add_sight(Json& question, const Guard& guard, std::uint64_t number, const ShownExamples& examples, Instant now) {
  const runtime::OpenQuestion& item = guard.state().queue().open().at(number);
  question["undo_seconds"] = static_cast<double>(guard.options().queue.undo) / 1e9;
  question["answers"] = item.votes.size();
  if (item.lease && now < item.lease->until)
    question["lease_seconds_left"] = static_cast<double>(item.lease->until - now) / 1e9;
  if (const runtime::Request* request = guard.request_of(item.question.decision)) {
    if (!request->unit.empty()) question["unit"] = request->unit;
    question["input"] = examples.input(request->input, guard.options().columns);
  }
  if (!item.question.gold_name.empty() && question.contains("detail")) {
    // A question with a known answer brings these along, so that it looks like the others.
    for (const char* key : {"input", "readings", "unit"}) {
      if (!question["detail"].contains(key)) continue;
      question[key] = question["detail"][key];
      question["detail"].erase(key);
    }
  }
  if (question.contains("detail") && question["detail"].contains("nearest"))
    examples.add_to(question["detail"]["nearest"]);
  const runtime::OpenDecision* open = guard.state().find_open(item.question.decision);
  if (open == nullptr) return;
  const auto record = data::decision_from_json(open->proposal, "proposal");
  if (!record.ok() || record->readings.empty()) return;
  question["readings"] = Json::array();
  for (const data::DecisionReading& reading : record->readings) {
    Json one = {{"name", reading.name}, {"action", reading.action}};
    if (reading.weight) one["weight"] = *reading.weight;
    question["readings"].push_back(std::move(one));
  }
}

Json decision_json(const std::string& outcome, const ShownExamples& examples) {
  Json out = Json::parse(outcome, nullptr, false);
  if (out.is_object() && out.contains("detail") && out["detail"].contains("nearest"))
    examples.add_to(out["detail"]["nearest"]);
  return out;
}

}  // namespace plumbline::guard

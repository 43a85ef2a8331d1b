#include "plumbline/runtime/guard.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/runtime/question_of.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using data::DecisionCause;
using data::DecisionKind;
using Json = nlohmann::ordered_json;
using Kind = GuardEvent::Kind;

constexpr std::size_t kLongestId = 200;

/// An error whose `where` is the word that machines read.
base::Error refusal(Code code, std::string word, std::string message, std::string hint = {}) {
  return make_error(code, std::move(message), std::move(word), std::move(hint));
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::uint32_t content_of(const Request& request) {
  const std::string_view numbers(reinterpret_cast<const char*>(request.input.data()),
                                 request.input.size() * sizeof(float));
  return base::crc32c(numbers, base::crc32c(request.unit));
}

/// The detail with more keys in front. Precondition: none of them is in it.
std::string with_keys(const Json& more, const std::string& detail) {
  const std::string text = more.dump();
  return detail.size() <= 2 ? text : text.substr(0, text.size() - 1) + ',' + detail.substr(1);
}

/// What would be done if nobody else had a word.
const std::string& carried_out(const data::DecisionRecord& record) {
  return record.final_action.empty() ? record.action : record.final_action;
}

/// The detail with what is to be done in front: "carry_out", null when nothing is.
std::string with_action(const data::DecisionRecord& record, const std::string& detail) {
  Json out = {{"carry_out", nullptr}};
  if (record.kind != DecisionKind::kRefuse) out["carry_out"] = carried_out(record);
  return with_keys(out, detail);
}

/// Who answered, and whether that corrected a proposal; the same in words.
struct Intervention {
  Json json;
  std::string words;
};

Intervention intervention(const Question& question, const QueueEvent& settlement) {
  const bool corrected = !question.proposed.empty() && settlement.action != question.proposed;
  Intervention out{{{"by", settlement.rater}, {"kind", question_kind_name(question.kind)}}, {}};
  if (question.proposed.empty()) {
    out.words = fmt::format("answered by {}", settlement.rater);
    return out;
  }
  out.json["proposed"] = question.proposed;
  out.json["corrected"] = corrected;
  out.words = corrected ? fmt::format("corrected by {}, instead of '{}'", settlement.rater, question.proposed)
                        : fmt::format("accepted by {}", settlement.rater);
  return out;
}

base::Error stalled() {
  return refusal(Code::kIo, "log_stalled", "the log did not become durable in time",
                 "Nothing was decided; ask under a new id");
}

DecisionKind kind_of(decision::Act act) {
  switch (act) {
    case decision::Act::kAct: return DecisionKind::kAct;
    case decision::Act::kModify: return DecisionKind::kModify;
    case decision::Act::kAsk: return DecisionKind::kAsk;
    case decision::Act::kFallBack: return DecisionKind::kFallBack;
    case decision::Act::kRefuse: return DecisionKind::kRefuse;
  }
  return DecisionKind::kRefuse;
}

/// The fallback is carried out; where there is none, nothing is.
void fall_back(data::DecisionRecord& record, const std::string& fallback, DecisionCause cause, std::string reason) {
  record.kind = fallback.empty() ? DecisionKind::kRefuse : DecisionKind::kFallBack;
  record.cause = cause;
  record.final_action = fallback;
  record.reason = std::move(reason);
  record.rung = "fallback";
}

Json measured(const decision::MeasuredUncertainty& u) {
  Json out = {{"value", u.value}, {"unit", u.unit}, {"estimator", u.estimator}};
  if (u.low) out["low"] = *u.low;
  if (u.high) out["high"] = *u.high;
  return out;
}

/// A proposal that says something about nothing, or whose numbers are none, is a failure of the decider.
std::string wrong_with(const Proposal& p) {
  if (p.error) return *p.error;
  if (p.actions.empty()) return "the decider named no action";
  if (p.probabilities.size() != p.actions.size() || p.action >= p.actions.size())
    return fmt::format("the decider gave {} probabilities for {} actions, and drew action {}", p.probabilities.size(),
                       p.actions.size(), p.action);
  double sum = 0;
  for (const double value : p.probabilities) {
    if (!(value >= 0 && value <= 1)) return fmt::format("the decider gave a probability of {}", value);
    sum += value;
  }
  if (std::abs(sum - 1) > 1e-6) return fmt::format("the decider's probabilities sum to {}", sum);
  if (p.propensity() <= 0) return "the decider drew an action of probability 0";
  if (!std::isfinite(p.value_of_asking)) return "the decider's value of asking is not finite";
  if (p.proposed && *p.proposed >= p.actions.size())
    return fmt::format("the decider proposes action {} of {}", *p.proposed, p.actions.size());
  if (!p.plausible.empty() && p.plausible.size() != p.actions.size())
    return fmt::format("the decider judged {} of {} actions", p.plausible.size(), p.actions.size());
  for (const double value : p.plausible)
    if (!(value >= 0 && value <= 1 + 1e-9)) return fmt::format("the decider holds an action right with {}", value);
  if (!p.fallback.empty() && !has(p.actions, p.fallback))
    return fmt::format("the decider's fallback '{}' is not among its actions", p.fallback);
  return {};
}

}  // namespace

base::Result<std::string> proposal_detail(const Proposal& p) {
  Json out = Json::object();
  bool finite = std::isfinite(p.value_of_asking);
  const auto add = [&](const char* name, const std::optional<decision::MeasuredUncertainty>& u) {
    if (!u) return;
    finite =
        finite && std::isfinite(u->value) && std::isfinite(u->low.value_or(0)) && std::isfinite(u->high.value_or(0));
    out["uncertainty"][name] = measured(*u);
  };
  add("aleatoric", p.uncertainty.aleatoric);
  add("model", p.uncertainty.model);
  add("distributional", p.uncertainty.distributional);
  if (p.value_of_asking != 0) out["value_of_asking"] = p.value_of_asking;
  for (const Neighbour& n : p.nearest) {
    finite = finite && std::isfinite(n.distance);
    out["nearest"].push_back({{"data", n.data}, {"row", n.row}, {"label", n.label}, {"distance", n.distance}});
  }
  if (!p.answer.empty()) out["answer"] = p.answer;
  if (!finite) return make_error(Code::kValue, "a number of the proposal is not finite");
  try {
    return out.dump();
  } catch (const nlohmann::json::exception&) {
    return make_error(Code::kValue, "a text of the proposal is not UTF-8");
  }
}

Guard::Guard(const DeciderInfo& decider, const GuardOptions& options, std::shared_ptr<const MonitorPlan> plan)
    : decider_(decider), options_(options), state_(options.queue, options.gold, options.remembered, std::move(plan)) {}

base::Result<std::unique_ptr<Guard>> Guard::open(const DeciderInfo& decider, const std::string& log,
                                                 const JournalOptions& journal, const GuardOptions& options,
                                                 double wall_seconds) {
  if (!options.fallback.empty() && !has(decider.actions, options.fallback))
    return make_error(Code::kValue,
                      fmt::format("fallback is '{}', which is none of the decider's actions", options.fallback),
                      "[guard]", "Leave it out to refuse instead");
  for (const std::string& action : options.irreversible)
    if (!has(decider.actions, action))
      return make_error(Code::kValue, fmt::format("'{}' is irreversible, but none of the decider's actions", action),
                        "[guard]");
  if (options.irreversible.contains(options.fallback))
    return make_error(Code::kValue, fmt::format("fallback '{}' is irreversible", options.fallback), "[guard]",
                      "What is done when nobody answers must be what nobody need approve");
  if (options.margin < 0 || options.margin >= options.deadline)
    return make_error(Code::kValue,
                      fmt::format("the margin of {} ms is not below the deadline of {} ms",
                                  options.margin / kMillisecond, options.deadline / kMillisecond),
                      "[guard]");
  auto plan = MonitorPlan::make(options.monitors, decider, options.columns);
  if (!plan.ok()) return plan.error().at("[guard]");
  std::unique_ptr<Guard> guard(new Guard(decider, options, std::make_shared<const MonitorPlan>(std::move(*plan))));
  PL_TRY(guard->journal_, DecisionJournal::open(log, journal, [&](const JournalFrame& frame) {
           return guard->state_.replay(frame, shown_place(log));
         }));
  guard->durable_ = guard->journal_->durable();
  guard->clock_start_ = guard->state_.last() + 1;
  guard->wall_start_ = wall_seconds;
  guard->live_ = LiveWindow(guard->clock_start_);
  for (const auto& [id, open] : guard->state_.open()) guard->deadlines_.emplace(open.deadline, id);
  GuardEvent start;
  start.at = guard->clock_start_;
  start.detail = Json{{"time", wall_seconds},         {"policy", decider.policy},
                      {"model", decider.model},       {"case", decider.case_hash},
                      {"accepted", options.accepted}, {"shadow", options.shadow},
                      {"fallback", options.fallback}, {"sync", sync_policy_name(journal.sync)}}
                     .dump();
  PL_CHECK(guard->write(start));
  // The fallback of what was open may have gone out just before the end, and nothing else can have: it is what counts.
  while (!guard->deadlines_.empty()) {
    if (!guard->expire(std::string(guard->deadlines_.begin()->second), guard->clock_start_))
      return make_error(Code::kIo, "the log takes no frame", shown_place(log), "Make room on the disk");
  }
  return guard;
}

base::Result<std::uint64_t> Guard::write(const GuardEvent& event, std::string* text) {
  PL_TRY(std::string json, to_json(event));
  auto frame = journal_->append(json);
  if (!frame.ok()) return refusal(Code::kIo, "log_refused", frame.error().text(), "Nothing was decided");
  const base::Status applied = state_.apply(event, *frame);
  base::ensure(applied.ok(), applied.ok() ? "" : applied.error().text());
  if (text != nullptr) *text = std::move(json);
  return frame->number;
}

void Guard::refuse(Ticket ticket, const std::string& id, base::Error error, Instant now) {
  live_.refused(now);
  ++traffic_.refused[error.where];
  answers_.push_back({ticket, id, {}, std::move(error), 0, false});
}

const Request* Guard::request_of(const std::string& id) const {
  const auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : &found->second;
}

/// A decision that is over and counts.
base::Result<const DoneDecision*> Guard::find_counting(const std::string& id) const {
  if (state_.find_open(id) != nullptr)
    return refusal(Code::kValue, "not_decided", fmt::format("'{}' is not decided yet", id));
  const DoneDecision* done = state_.find_done(id);
  if (done == nullptr)
    return refusal(Code::kValue, "unknown_decision", fmt::format("there is no decision '{}'", id),
                   fmt::format("The last {} are remembered", options_.remembered));
  if (done->voided)
    return refusal(Code::kValue, "void_decision", fmt::format("'{}' is void: its answer did not go out in time", id));
  return done;
}

base::Result<std::string> Guard::outcome(const std::string& id) const {
  PL_TRY(const DoneDecision* done, find_counting(id));
  if (done->frame > durable_)
    return refusal(Code::kValue, "not_decided", fmt::format("the record of '{}' is not durable yet", id));
  auto text = journal_->read(done->at);
  if (!text.ok()) return refusal(Code::kIo, "log_refused", text.error().text());
  return answer_body(*text);
}

base::Status Guard::check(const Request& request, std::optional<Instant> wait) const {
  const auto bad = [](std::string message) { return refusal(Code::kValue, "bad_request", std::move(message)); };
  if (stopped_) return refusal(Code::kIo, "log_refused", stopped_->text());
  if (draining_) return refusal(Code::kCancelled, "draining", "the guard is going down", "Ask another one");
  if (request.id.empty() || request.id.size() > kLongestId || !data::is_utf8(request.id))
    return bad(fmt::format("id has {} bytes, expected 1 to {} of UTF-8", request.id.size(), kLongestId));
  if (request.unit.size() > kLongestId || !data::is_utf8(request.unit))
    return bad(fmt::format("unit has {} bytes, expected at most {} of UTF-8", request.unit.size(), kLongestId));
  if (request.input.size() != decider_.input_size)
    return bad(fmt::format("input has {} numbers, expected {}", request.input.size(), decider_.input_size));
  if (!std::all_of(request.input.begin(), request.input.end(), [](float x) { return std::isfinite(x); }))
    return bad("input holds a number that is not finite");
  if (wait && *wait <= options_.margin)
    return bad(fmt::format("a wait of {} ms, expected more than the margin of {} ms", *wait / kMillisecond,
                           options_.margin / kMillisecond));
  return base::ok();
}

void Guard::repeat(const std::string& id, Ticket ticket, const DoneDecision& done, std::uint32_t content, Instant now) {
  if (done.content != content)
    return refuse(ticket, id, refusal(Code::kValue, "id_reused", fmt::format("id '{}' stands for another input", id)),
                  now);
  const bool owed = std::any_of(owed_.begin(), owed_.end(), [&](const auto& one) { return one.first == id; });
  if (done.voided || owed)
    return refuse(ticket, id,
                  refusal(Code::kValue, "void_decision", fmt::format("the answer to '{}' did not go out in time", id),
                          "Ask under a new id"),
                  now);
  if (done.frame > durable_) {
    tickets_[id].push_back(ticket);
    return;
  }
  auto text = journal_->read(done.at);
  if (!text.ok()) return refuse(ticket, id, refusal(Code::kIo, "log_refused", text.error().text()), now);
  ++traffic_.repeated;
  answers_.push_back({ticket, id, answer_body(*text), {}, 0, true});
}

void Guard::admit(const Request& request, Ticket ticket, Instant now, std::optional<Instant> wait) {
  if (const base::Status checked = check(request, wait); !checked.ok())
    return refuse(ticket, request.id, checked.error(), now);
  const std::uint32_t content = content_of(request);
  if (const DoneDecision* done = state_.find_done(request.id)) return repeat(request.id, ticket, *done, content, now);
  if (const OpenDecision* open = state_.find_open(request.id)) {
    if (open->content != content)
      return refuse(ticket, request.id,
                    refusal(Code::kValue, "id_reused", fmt::format("id '{}' stands for another input", request.id)),
                    now);
    tickets_[request.id].push_back(ticket);
    return;
  }
  if (state_.open().size() >= options_.max_open)
    return refuse(
        ticket, request.id,
        refusal(Code::kLimit, "busy", fmt::format("{} requests are open", state_.open().size()), "Try again later"),
        now);
  GuardEvent arrival;
  arrival.kind = Kind::kArrive;
  arrival.at = now;
  arrival.id = request.id;
  arrival.content = content;
  if (options_.fallback_policy) arrival.fallback = options_.fallback_policy(request);
  if (arrival.fallback.empty()) arrival.fallback = options_.fallback;
  arrival.deadline = now + std::min(options_.deadline, wait.value_or(options_.deadline));
  const auto frame = write(arrival);
  if (!frame.ok()) return refuse(ticket, request.id, frame.error(), now);
  live_.arrived(now);
  deadlines_.emplace(arrival.deadline, request.id);
  tickets_[request.id].push_back(ticket);
  requests_.emplace(request.id, request);
  work_.push_back({request, *frame});
}

std::vector<Work> Guard::take_work(std::size_t most) {
  std::vector<Work> taken;
  while (!work_.empty() && taken.size() < most) {
    // What fell back while it waited is no longer worth the decider's time.
    if (state_.find_open(work_.front().request.id) != nullptr) taken.push_back(std::move(work_.front()));
    work_.pop_front();
  }
  return taken;
}

data::DecisionRecord Guard::draft(const std::string& id, const Request* request, const OpenDecision& open) const {
  data::DecisionRecord record;
  record.id = id;
  record.time = wall(open.arrived);
  record.policy = decider_.policy;
  record.model = decider_.model;
  record.case_hash = decider_.case_hash;
  record.accepted = options_.accepted;
  record.deadline = static_cast<double>(open.deadline - open.arrived) / 1e9;
  if (request == nullptr) return record;
  record.unit = request->unit;
  if (request->input.size() > options_.context_columns) return record;
  for (std::size_t i = 0; i < request->input.size(); ++i)
    record.context.emplace_back(i < options_.columns.size() ? options_.columns[i] : fmt::format("x{}", i),
                                static_cast<double>(request->input[i]));
  return record;
}

data::DecisionRecord Guard::record_of(const Request& request, const OpenDecision& open, const Proposal& p) const {
  data::DecisionRecord record = draft(request.id, &request, open);
  if (const std::string wrong = wrong_with(p); !wrong.empty()) {
    fall_back(record, open.fallback, DecisionCause::kError, "nothing could be decided: " + wrong);
    return record;
  }
  record.actions = p.actions;
  record.probabilities = p.probabilities;
  record.action = p.actions[p.action];
  record.propensity = p.propensity();
  record.kind = kind_of(p.act);
  record.reason = p.reason;
  record.rung = p.rung;
  if (p.uncertainty.aleatoric) record.aleatoric = p.uncertainty.aleatoric->value;
  if (p.uncertainty.model) record.model_doubt = p.uncertainty.model->value;
  if (p.uncertainty.distributional) record.distributional = p.uncertainty.distributional->value;
  for (const decision::Reading& reading : p.uncertainty.specification)
    record.readings.push_back(
        {reading.name, reading.action, reading.weight > 0 ? std::optional(reading.weight) : std::nullopt});
  switch (p.act) {
    case decision::Act::kAct:
    case decision::Act::kModify:
      if (!p.answer.empty() && p.answer != record.action) record.final_action = p.answer;
      break;
    case decision::Act::kFallBack:
      record.final_action = safe_action(p, open);
      if (record.final_action.empty()) record.kind = DecisionKind::kRefuse;
      break;
    case decision::Act::kAsk:
    case decision::Act::kRefuse: break;
  }
  return record;
}

/// What is carried out when people have no word: never what they must agree on.
std::string Guard::safe_action(const Proposal& p, const OpenDecision& open) const {
  return p.fallback.empty() || options_.irreversible.contains(p.fallback) ? open.fallback : p.fallback;
}

void Guard::propose(std::span<const Work> work, base::Result<std::vector<Proposal>> proposals, Instant now) {
  const bool fits = proposals.ok() && proposals->size() == work.size();
  Proposal failed;
  if (!proposals.ok()) {
    failed.error = proposals.error().text();
  } else if (!fits) {
    failed.error = fmt::format("the decider gave {} proposals for {} requests", proposals->size(), work.size());
  }
  for (std::size_t i = 0; i < work.size(); ++i) propose_one(work[i], fits ? (*proposals)[i] : failed, now);
}

void Guard::propose_one(const Work& work, const Proposal& proposal, Instant now) {
  const std::string& id = work.request.id;
  const OpenDecision* open = state_.find_open(id);
  if (open == nullptr || open->question != 0 || now >= open->deadline - options_.margin) {
    ++traffic_.wasted;
    return;
  }
  live_.measured_by(proposal.uncertainty);
  data::DecisionRecord record = record_of(work.request, *open, proposal);
  auto detail = proposal_detail(proposal);
  if (!detail.ok() && record.cause != DecisionCause::kError)
    fall_back(record, open->fallback, DecisionCause::kError, "nothing could be decided: " + detail.error().text());
  std::string said = detail.ok() ? std::move(*detail) : std::string();
  MonitorVerdict seen;
  if (record.cause != DecisionCause::kError) seen = state_.monitors().judge(work.request, proposal, now);
  if (!seen.detail.empty()) said = with_keys({{"assertions", Json::parse(seen.detail)}}, said);
  if (!seen.fall_back.empty()) fall_back(record, open->fallback, DecisionCause::kSafeguard, seen.fall_back);
  if (options_.shadow && record.cause == DecisionCause::kPolicy) {
    record.cause = DecisionCause::kSafeguard;
    record.final_action = open->fallback;
    record.rung = "shadow";
  } else if (record.kind == DecisionKind::kAsk || needs_people(record)) {
    const base::Status asked = ask(work.request, record, proposal, said, seen.note, now);
    if (asked.ok()) return;
    fall_back(record, safe_action(proposal, *open), DecisionCause::kSafeguard,
              "nobody could be asked: " + asked.error().message);
  }
  decide(id, record, std::move(said), {}, now, false, std::move(seen.note));
}

/// The policy would do what two people must agree on.
bool Guard::needs_people(const data::DecisionRecord& record) const {
  return record.cause == DecisionCause::kPolicy && options_.irreversible.contains(carried_out(record)) &&
         (record.kind == DecisionKind::kAct || record.kind == DecisionKind::kModify);
}

base::Status Guard::ask(const Request& request, data::DecisionRecord record, const Proposal& p,
                        const std::string& detail, const std::optional<MonitorNote>& note, Instant now) {
  const OpenDecision& open = *state_.find_open(request.id);
  const std::optional<std::size_t> carried = record.kind == DecisionKind::kAsk ? p.proposed : std::optional(p.action);
  record.kind = DecisionKind::kAsk;
  Question question = question_of(p, carried, options_.irreversible);
  question.decision = request.id;
  const std::string safe = safe_action(p, open);
  if (has(p.actions, safe)) question.safe = safe;
  question.deadline = open.deadline - options_.margin;
  record.reason = question.reason;
  const auto events = state_.queue().ask(question, now);
  if (!events.ok()) return events.error();
  for (const QueueEvent& event : *events) {
    if (event.kind == QueueEvent::Kind::kSettle) {
      if (!settle(event, now)) return make_error(Code::kIo, "the log does not take it");
      continue;
    }
    const auto record_text = data::decision_to_json(record);
    if (!record_text.ok()) return record_text.error();
    GuardEvent asked;
    asked.kind = Kind::kPropose;
    asked.at = now;
    asked.id = request.id;
    asked.fallback = safe;
    asked.detail = detail;
    asked.record = *record_text;
    asked.queue = event;
    asked.note = note;
    if (const auto frame = write(asked); !frame.ok()) return frame.error();
  }
  return base::ok();
}

/// Writes an outcome down. `durable_already`: what it says is what the last frame promised, so it need not wait.
bool Guard::decide(const std::string& id, const data::DecisionRecord& record, std::string detail,
                   std::optional<QueueEvent> settlement, Instant now, bool durable_already,
                   std::optional<MonitorNote> note) {
  const Instant deadline = state_.find_open(id)->deadline;
  const double waited = static_cast<double>(now - state_.find_open(id)->arrived) / 1e9;
  const std::string rater = settlement ? settlement->rater : std::string();
  auto text = data::decision_to_json(record);
  if (!text.ok()) {
    // A record that cannot be written is no decision; the fallback's can.
    data::DecisionRecord plain = draft(id, nullptr, *state_.find_open(id));
    fall_back(plain, state_.find_open(id)->fallback, DecisionCause::kError,
              "the record cannot be written: " + text.error().message);
    text = data::decision_to_json(plain);
    base::ensure(text.ok(), "a plain record can be written");
    return decide(id, plain, {}, std::move(settlement), now, durable_already, std::move(note));
  }
  GuardEvent event;
  event.kind = Kind::kDecide;
  event.at = now;
  event.id = id;
  event.decision = record.kind;
  event.cause = record.cause;
  event.shadow = options_.shadow;
  event.detail = with_action(record, detail);
  event.record = std::move(*text);
  event.queue = std::move(settlement);
  event.note = std::move(note);
  std::string json;
  const auto frame = write(event, &json);
  if (!frame.ok()) {
    if (durable_already && told_.emplace(id, Told::kFallback).second)
      release(id, answer_body(*to_json(event)), {}, deadline);
    return false;
  }
  live_.decided(record, rater, waited, wall(now), now);
  deadlines_.erase({deadline, id});
  requests_.erase(id);
  if (told_.erase(id) == 0 && durable_already) release(id, answer_body(json), {}, deadline);
  waiting_.push_back({*frame, deadline, id, answer_body(json), durable_already});
  return true;
}

void Guard::release(const std::string& id, const std::string& body, std::optional<base::Error> error,
                    Instant deadline) {
  const auto found = tickets_.find(id);
  if (found == tickets_.end()) return;
  for (const Ticket ticket : found->second) {
    if (error) ++traffic_.refused[error->where];
    answers_.push_back({ticket, id, body, error, deadline, ticket != found->second.front()});
  }
  tickets_.erase(found);
}

/// The outcome of a question becomes the outcome of the decision that waits for it; one frame says both.
bool Guard::settle(const QueueEvent& event, Instant now) {
  const Question question = state_.queue().open().at(event.question).question;
  const std::string& id = question.decision;
  const OpenDecision* open = id.empty() ? nullptr : state_.find_open(id);
  if (open == nullptr || open->question != event.question) {
    GuardEvent settled;  // gold, or a decision that ended without its question
    settled.kind = Kind::kQueue;
    settled.at = now;
    settled.queue = event;
    return write(settled).ok();
  }
  auto record = data::decision_from_json(open->proposal, "proposal");
  base::ensure(record.ok(), "a proposal in the journal reads back");
  const bool expired = event.cause == SettleCause::kExpired;
  std::string detail = open->detail;
  switch (event.cause) {
    case SettleCause::kAnswered: {
      const Intervention said = intervention(question, event);
      record->cause = DecisionCause::kPerson;
      record->final_action = event.action;
      record->reason += "; " + said.words;
      detail = with_keys({{"person", said.json}}, detail);
      break;
    }
    case SettleCause::kExpired:
      fall_back(*record, open->fallback, DecisionCause::kTimeout, record->reason + "; nobody answered in time");
      break;
    case SettleCause::kVetoed:
      fall_back(*record, open->fallback, DecisionCause::kPerson,
                record->reason + fmt::format("; vetoed by {}", event.rater));
      break;
    case SettleCause::kDisagreed:
      fall_back(*record, open->fallback, DecisionCause::kPerson, record->reason + "; two people disagreed");
      break;
    case SettleCause::kDisplaced:
      fall_back(*record, open->fallback, DecisionCause::kSafeguard,
                record->reason + "; the queue was full of worthier questions");
      break;
  }
  if (expired && open->last_frame > durable_) return true;  // expire() has the last word
  return decide(id, *record, std::move(detail), event, now, expired);
}

void Guard::settle_due(Instant now) {
  for (const QueueEvent& event : state_.queue().due(now)) settle(event, now);
}

/// The time of a decision is over. False: that could not be written down.
bool Guard::expire(const std::string& id, Instant now) {
  const OpenDecision open = *state_.find_open(id);
  std::optional<QueueEvent> settlement;
  if (open.question != 0 && state_.queue().open().contains(open.question)) {
    settlement =
        QueueEvent{QueueEvent::Kind::kSettle, now, open.question, {}, open.fallback, 0, SettleCause::kExpired, {}};
  }
  const auto told = told_.find(id);
  const bool refused = told == told_.end() ? open.last_frame > durable_ : told->second == Told::kRefused;
  if (refused) {
    if (told == told_.end()) {
      release(id, {}, stalled(), open.deadline);
      told_.emplace(id, Told::kRefused);
    }
    if (!write_void(id, "the log was not durable in time", settlement, now)) return false;
    deadlines_.erase({open.deadline, id});
    requests_.erase(id);
    told_.erase(id);
    return true;
  }
  const auto request = requests_.find(id);
  data::DecisionRecord record = draft(id, request == requests_.end() ? nullptr : &request->second, open);
  fall_back(record, open.fallback, DecisionCause::kTimeout, "nothing was decided in time");
  return decide(id, record, {}, std::move(settlement), now, true);
}

bool Guard::write_void(const std::string& id, std::string reason, std::optional<QueueEvent> settlement, Instant now) {
  GuardEvent gone;
  gone.kind = Kind::kVoid;
  gone.at = now;
  gone.id = id;
  gone.reason = std::move(reason);
  gone.queue = std::move(settlement);
  if (!write(gone).ok()) return false;
  live_.voided(id, now);
  return true;
}

void Guard::tick(Instant now) {
  if (stopped_) return;
  while (!owed_.empty() && write_void(owed_.front().first, owed_.front().second, {}, now)) owed_.pop_front();
  settle_due(now);
  // Before a decider that hangs, only what is open may wait.
  while (!work_.empty() && state_.find_open(work_.front().request.id) == nullptr) work_.pop_front();
  std::vector<std::string> over;
  for (const auto& [deadline, id] : deadlines_) {
    if (now < deadline - options_.margin) break;
    over.push_back(id);
  }
  bool log_takes = true;
  for (const std::string& id : over)
    if (log_takes || !told_.contains(id)) log_takes = expire(id, now);
  // What is written down has half the margin longer to become durable.
  std::deque<Waiting> still;
  for (Waiting& w : waiting_) {
    if (w.sent || now < w.deadline - options_.margin / 2) {
      still.push_back(std::move(w));
      continue;
    }
    owe_void(w.id, "the log was not durable in time", now);
    release(w.id, {}, stalled(), w.deadline);
  }
  waiting_ = std::move(still);
}

std::optional<Instant> Guard::next_event() const {
  std::optional<Instant> next = state_.queue().next_due();
  const auto sooner = [&](Instant at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [deadline, id] : deadlines_) {
    if (told_.contains(id)) continue;
    sooner(deadline - options_.margin);
    break;
  }
  for (const Waiting& w : waiting_)
    if (!w.sent) sooner(w.deadline - options_.margin / 2);
  return next;
}

void Guard::durable(std::uint64_t frame, Instant now) {
  durable_ = std::max(durable_, frame);
  while (!waiting_.empty() && waiting_.front().frame <= durable_) {
    const Waiting done = std::move(waiting_.front());
    waiting_.pop_front();
    if (!done.sent && now > done.deadline) {
      late(done.id, now);
      release(done.id, {},
              refusal(Code::kLimit, "late", "the answer came after its deadline and is void", "Ask under a new id"),
              done.deadline);
    } else {
      release(done.id, done.body, {}, done.sent ? 0 : done.deadline);
    }
  }
}

void Guard::late(const std::string& id, Instant now) {
  ++traffic_.late;
  owe_void(id, std::string(kWentOutLate), now);
}

/// A log that takes nothing now gets it later: what nobody was told must not count as decided.
void Guard::owe_void(const std::string& id, std::string reason, Instant now) {
  if (!owed_.empty() || !write_void(id, reason, {}, now)) owed_.emplace_back(id, std::move(reason));
}

void Guard::stop(const base::Error& error) {
  stopped_ = error;
  waiting_.clear();
  work_.clear();
  while (!tickets_.empty()) {
    const std::string id = tickets_.begin()->first;
    release(id, {}, refusal(Code::kIo, "log_refused", error.text(), "Nothing was decided"), 0);
  }
}

std::vector<Answer> Guard::take_answers() { return std::exchange(answers_, {}); }

base::Result<std::uint64_t> Guard::feedback(const std::string& id, double reward, std::optional<double> delay,
                                            const std::string& rater, Instant now) {
  const auto bad = [](std::string word, std::string message) {
    return refusal(Code::kValue, std::move(word), std::move(message));
  };
  if (!std::isfinite(reward) || !std::isfinite(delay.value_or(0)) || delay.value_or(0) < 0)
    return bad("bad_reward", "reward and delay must be finite, and the delay not negative");
  if (rater.size() > kLongestId || !data::is_utf8(rater))
    return bad("bad_request", "rater is not a short text of UTF-8");
  PL_TRY(const DoneDecision* done, find_counting(id));
  if (done->shadow)
    return bad("shadow_decision", fmt::format("'{}' was decided in shadow mode and not carried out", id));
  if (done->reward) {
    if (*done->reward == reward) return done->frame;
    return bad("contradictory_feedback", fmt::format("'{}' has the reward {} already", id, *done->reward));
  }
  GuardEvent event;
  event.kind = Kind::kFeedback;
  event.at = now;
  event.id = id;
  event.reward = reward;
  event.delay = delay.value_or(static_cast<double>(now - done->decided) / 1e9);
  event.rater = rater;
  return write(event);
}

base::Result<std::uint64_t> Guard::write_queue(const std::vector<QueueEvent>& events, Instant now) {
  std::uint64_t last = journal_->appended();
  for (const QueueEvent& event : events) {
    if (event.kind == QueueEvent::Kind::kSettle) {
      if (!settle(event, now)) return refusal(Code::kIo, "log_refused", "the log does not take the outcome");
      last = journal_->appended();
      continue;
    }
    GuardEvent one;
    one.kind = Kind::kQueue;
    one.at = now;
    one.queue = event;
    PL_TRY(last, write(one));
  }
  return last;
}

base::Result<Guard::Leased> Guard::lease(const std::string& rater, Instant now, const LeaseWish& wish) {
  settle_due(now);
  if (const std::uint64_t held = state_.queue().held_by(rater, now); held != 0)
    return Leased{held, journal_->appended()};
  const auto events = state_.queue().lease(rater, now, wish);
  if (events.empty()) return Leased{};
  PL_TRY(const std::uint64_t frame, write_queue(events, now));
  return Leased{events.back().question, frame};
}

base::Result<std::uint64_t> Guard::answer(const std::string& rater, std::uint64_t question, const std::string& action,
                                          Instant now) {
  settle_due(now);
  PL_TRY(const QueueEvent event, state_.queue().answer(rater, question, action, now));
  PL_TRY(const std::uint64_t frame, write_queue({event}, now));
  settle_due(now);
  return std::max(frame, journal_->appended());
}

base::Result<std::uint64_t> Guard::release(const std::string& rater, std::uint64_t question, Instant now,
                                           bool decline) {
  PL_TRY(const QueueEvent event, state_.queue().release(rater, question, now, decline));
  return write_queue({event}, now);
}

base::Result<std::uint64_t> Guard::veto(const std::string& rater, std::uint64_t question, Instant now) {
  settle_due(now);
  PL_TRY(const std::vector<QueueEvent> events, state_.queue().veto(rater, question, now));
  return write_queue(events, now);
}

base::Result<std::uint64_t> Guard::undo(const std::string& rater, std::uint64_t question, Instant now) {
  settle_due(now);
  PL_TRY(const QueueEvent event, state_.queue().undo(rater, question, now));
  return write_queue({event}, now);
}

base::Result<std::uint64_t> Guard::acknowledge(const std::string& monitor, const std::string& rater, Instant now) {
  const auto views = state_.monitors().view();
  const auto found = std::find_if(views.begin(), views.end(), [&](const MonitorView& v) { return v.name == monitor; });
  if (found == views.end())
    return refusal(Code::kValue, "unknown_monitor", fmt::format("there is no monitor '{}'", monitor.substr(0, 80)));
  if (!found->alarm_since)
    return refusal(Code::kValue, "no_alarm", fmt::format("the monitor '{}' has no alarm", monitor));
  GuardEvent seen;
  seen.kind = Kind::kAcknowledge;
  seen.at = now;
  seen.id = monitor;
  seen.rater = rater;
  return write(seen);
}

}  // namespace plumbline::runtime

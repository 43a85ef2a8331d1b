#include "apps/guard/api.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/guard/live.hpp"
#include "apps/guard/metrics.hpp"
#include "apps/guard/openapi.hpp"
#include "apps/http/body.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::guard {
namespace {

using base::Code;
using base::make_error;
using runtime::Guard;
using runtime::Instant;
using Json = nlohmann::ordered_json;
using http::dump;
using http::error_json;
using http::known_keys;
using http::parse_body;
using http::refusal;
using http::text_at;

base::Result<runtime::Request> request_of(const Json& json, const Started& started) {
  runtime::Request request;
  PL_TRY(request.id, text_at(json, "id", true));
  PL_TRY(request.unit, text_at(json, "unit", false));
  PL_TRY(const std::string model, text_at(json, "model", false));
  if (!model.empty() && model != started.model && model != started.decider->info().model)
    return refusal("unknown_model", fmt::format("model '{}' is not guarded here", model.substr(0, 80)),
                   fmt::format("This guard stands before '{}'", started.model));
  const auto input = json.find("input");
  if (input == json.end() || !input->is_array()) return refusal("bad_request", "\"input\" is not a list of numbers");
  request.input.reserve(input->size());
  for (const Json& number : *input) {
    if (!number.is_number()) return refusal("bad_request", "\"input\" is not a list of numbers");
    request.input.push_back(number.get<float>());
  }
  return request;
}

struct Batch {
  std::vector<runtime::Request> requests;
  std::optional<Instant> wait;
  bool single = true;
};

base::Result<Batch> batch_of(const std::string& body, const Started& started, std::size_t most) {
  PL_TRY(const Json json, parse_body(body));
  Batch batch;
  if (const auto wait = json.find("deadline_ms"); wait != json.end()) {
    if (!wait->is_number() || !(wait->get<double>() > 0 && wait->get<double>() <= 86'400'000))
      return refusal("bad_request", "\"deadline_ms\" is no number from 0 to 86400000");
    batch.wait = static_cast<Instant>(wait->get<double>() * 1e6);
  }
  const auto many = json.find("requests");
  batch.single = many == json.end();
  if (batch.single) {
    PL_CHECK(known_keys(json, {"id", "unit", "model", "input", "deadline_ms"}));
    PL_TRY(runtime::Request request, request_of(json, started));
    batch.requests.push_back(std::move(request));
    return batch;
  }
  PL_CHECK(known_keys(json, {"requests", "deadline_ms"}));
  if (!many->is_array() || many->empty() || many->size() > most)
    return refusal("bad_request", fmt::format("\"requests\" is not a list of 1 to {} requests", most));
  for (const Json& one : *many) {
    if (!one.is_object()) return refusal("bad_request", "\"requests\" holds something that is no object");
    PL_CHECK(known_keys(one, {"id", "unit", "model", "input"}));
    PL_TRY(runtime::Request request, request_of(one, started));
    batch.requests.push_back(std::move(request));
  }
  return batch;
}

std::string answer_text(const runtime::Answer& answer) {
  if (answer.error) return dump({{"id", answer.id}, {"error", error_json(*answer.error)}});
  return answer.again ? "{\"again\":true," + answer.body.substr(1) : answer.body;
}

/// The answers to one call, filled in on the guard's thread.
struct Pending {
  bool single = true;
  std::vector<std::string> parts;
  std::vector<std::pair<std::string, Instant>> deadlines;
  std::unordered_multimap<std::string, std::size_t> places;
  std::size_t missing = 0;
  std::optional<base::Error> error;  ///< of a single request
};

ApiReply reply_of(const std::shared_ptr<Pending>& pending, runtime::GuardLoop& loop) {
  if (pending->single && pending->error) return error_reply(*pending->error);
  ApiReply reply;
  if (pending->single) {
    reply.body = std::move(pending->parts.front());
  } else {
    reply.body = "{\"answers\":[";
    for (std::size_t i = 0; i < pending->parts.size(); ++i) reply.body += (i == 0 ? "" : ",") + pending->parts[i];
    reply.body += "]}";
  }
  reply.in_time = [pending, &loop] {
    bool in_time = true;
    for (const auto& [id, deadline] : pending->deadlines) {
      if (deadline == 0 || loop.now() <= deadline) continue;
      in_time = false;
      loop.late(id);
    }
    return in_time;
  };
  return reply;
}

base::Result<std::uint64_t> question_of(const Json& json) {
  const auto found = json.find("question");
  if (found == json.end() || !found->is_number_unsigned())
    return refusal("bad_request", "\"question\" is no number of a question");
  return found->get<std::uint64_t>();
}

/// Who answers: the token's name; where there are no tokens, what the body says.
base::Result<std::string> rater_of(const Json& json, const Caller& caller) {
  PL_TRY(std::string said, text_at(json, "rater", caller.anonymous));
  if (!caller.anonymous && !said.empty() && said != caller.name)
    return refusal("forbidden", fmt::format("the token is of {}", caller.name), "Leave \"rater\" out");
  if (!caller.anonymous) return caller.name;
  if (said.empty() || said.size() > 100) return refusal("bad_request", "\"rater\" has 1 to 100 characters");
  return said;
}

/// What somebody who leases would rather have: "first" a question, "except" a list of them.
base::Result<runtime::LeaseWish> wish_of(const Json& json) {
  constexpr std::size_t kMost = 1000;
  runtime::LeaseWish wish;
  if (const auto first = json.find("first"); first != json.end()) {
    if (!first->is_number_unsigned()) return refusal("bad_request", "\"first\" is no number of a question");
    wish.first = first->get<std::uint64_t>();
  }
  const auto except = json.find("except");
  if (except == json.end()) return wish;
  if (!except->is_array() || except->size() > kMost)
    return refusal("bad_request", fmt::format("\"except\" is not a list of at most {} questions", kMost));
  for (const Json& number : *except) {
    if (!number.is_number_unsigned()) return refusal("bad_request", "\"except\" is not a list of questions");
    wish.except.insert(number.get<std::uint64_t>());
  }
  return wish;
}

Json question_json(const Guard& guard, std::uint64_t number, Instant now) {
  const runtime::OpenQuestion& item = guard.state().queue().open().at(number);
  const runtime::Question& q = item.question;
  Json candidates = Json::array();
  for (const runtime::Candidate& c : q.candidates)
    candidates.push_back({{"action", c.action}, {"probability", c.probability}});
  Json out = {{"question", number},
              {"actions", q.actions},
              {"kind", runtime::question_kind_name(q.kind)},
              {"proposed", q.proposed.empty() ? Json(nullptr) : Json(q.proposed)},
              {"candidates", std::move(candidates)},
              {"expected_seconds", guard.state().queue().expected_seconds(q.kind)},
              {"answers", item.votes.size()},
              {"reason", q.reason},
              {"if_nobody_answers", q.safe.empty() ? Json(nullptr) : Json(q.safe)},
              {"two_people_for", q.irreversible},
              {"seconds_left", static_cast<double>(q.deadline - now) / 1e9}};
  if (const runtime::OpenDecision* open = guard.state().find_open(q.decision); open != nullptr && !open->detail.empty())
    out["detail"] = Json::parse(open->detail, nullptr, false);
  if (!q.shown.empty()) out["detail"] = Json::parse(q.shown, nullptr, false);
  return out;
}

/// What an answer led to, for the person who gave it.
Json outcome_json(const Guard& guard, std::uint64_t question) {
  const runtime::QuestionQueue& queue = guard.state().queue();
  if (const auto open = queue.open().find(question); open != queue.open().end()) {
    const runtime::OpenQuestion& item = open->second;
    if (queue.needs_second(item)) return {{"ok", true}, {"state", "needs_second"}};
    return {{"ok", true}, {"state", "counts_later"}, {"undo_seconds", static_cast<double>(queue.limits().undo) / 1e9}};
  }
  Json out = {{"ok", true}, {"state", "settled"}};
  for (auto it = queue.settled_lately().rbegin(); it != queue.settled_lately().rend(); ++it) {
    if (it->question != question) continue;
    out["cause"] = runtime::settle_cause_name(it->cause);
    out["carried_out"] = it->action.empty() ? Json(nullptr) : Json(it->action);
    break;
  }
  return out;
}

Json rater_json(const runtime::RaterRecord& r) {
  Json out = {{"answers", r.answers},
              {"undone", r.undone},
              {"vetoes", r.vetoes},
              {"gold_answered", r.gold_answered},
              {"gold_right", r.gold_right},
              {"pairs", r.pairs},
              {"pairs_agreed", r.pairs_agreed}};
  if (r.answers > 0) out["seconds_per_answer"] = r.seconds / static_cast<double>(r.answers);
  if (r.gold_answered > 0) {
    const auto rate = stats::clopper_pearson(r.gold_right, r.gold_answered);
    if (rate.ok()) {
      const auto low = rate->low(0.95);
      const auto high = rate->high(0.95);
      out["gold_rate"] = {{"value", rate->value},
                          {"low", low ? Json(*low) : Json()},
                          {"high", high ? Json(*high) : Json()},
                          {"level", 0.95}};
    }
  }
  return out;
}

}  // namespace

struct Api::Route {
  const char* method;
  const char* path;
  std::optional<Scope> scope;  ///< empty: anybody
  void (Api::*handle)(const ApiRequest&, const Caller&, const Respond&);
};

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> all = {
      {"POST", "/v1/decide", Scope::kDecide, &Api::decide},
      {"POST", "/v1/check", Scope::kDecide, &Api::check},
      {"POST", "/v1/feedback", Scope::kDecide, &Api::feedback},
      {"GET", "/v1/queue", Scope::kRead, &Api::queue},
      {"POST", "/v1/queue/lease", Scope::kAnswer, &Api::lease},
      {"POST", "/v1/queue/answer", Scope::kAnswer, &Api::answer},
      {"POST", "/v1/queue/release", Scope::kAnswer, &Api::release},
      {"POST", "/v1/queue/veto", Scope::kAnswer, &Api::veto},
      {"POST", "/v1/queue/undo", Scope::kAnswer, &Api::undo},
      {"GET", "/v1/live", Scope::kRead, &Api::live},
      {"GET", "/v1/decision", Scope::kRead, &Api::decision},
      {"GET", "/v1/monitors", Scope::kRead, &Api::monitors},
      {"POST", "/v1/monitors/acknowledge", Scope::kAdmin, &Api::acknowledge_monitor},
      {"GET", "/v1/cases", Scope::kRead, &Api::cases},
      {"GET", "/metrics", Scope::kRead, &Api::metrics},
      {"GET", "/healthz", {}, &Api::health},
      {"GET", "/readyz", {}, &Api::ready},
      {"GET", "/openapi.json", {}, &Api::openapi},
  };
  return all;
}

Api::Api(runtime::GuardLoop& loop, const Started& started, const Tokens& tokens, const ApiLimits& limits)
    : loop_(loop), started_(started), tokens_(tokens), limits_(limits) {}

void Api::handle(const ApiRequest& request, const Respond& respond) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  const Route* found = nullptr;
  bool path_known = false;
  for (const Route& route : routes()) {
    if (path != route.path) continue;
    path_known = true;
    if (request.method == route.method) found = &route;
  }
  if (!path_known)
    return respond(error_reply(refusal("not_found", "there is nothing here", "GET /openapi.json lists what there is")));
  if (found == nullptr)
    return respond(error_reply(refusal("method_not_allowed", fmt::format("{} does not answer to this method", path))));
  Caller caller;
  if (found->scope) {
    auto recognised = tokens_.recognise(request.authorization, loop_.wall());
    if (!recognised.ok()) return respond(error_reply(recognised.error()));
    caller = std::move(recognised).value();
    if (!caller.may(*found->scope))
      return respond(error_reply(refusal(
          "forbidden", fmt::format("the token of {} has no scope {}", caller.name, scope_name(*found->scope)))));
  }
  (this->*found->handle)(request, caller, respond);
}

void Api::run(runtime::GuardLoop::Command command, const Respond& respond) {
  if (!loop_.post(std::move(command)))
    respond(error_reply(refusal("busy", "too many requests wait", "Try again later")));
}

void Api::acknowledge(const base::Result<std::uint64_t>& frame, const Respond& respond, std::string body) {
  if (!frame.ok()) return respond(error_reply(frame.error()));
  loop_.when_durable(*frame, [respond, body = std::move(body)](const base::Status& status) {
    if (status.ok()) return respond({200, body});
    respond(error_reply(make_error(Code::kIo, status.error().text(), "log_refused")));
  });
}

void Api::decide(const ApiRequest& request, const Caller&, const Respond& respond) {
  auto batch = batch_of(request.body, started_, limits_.batch);
  if (!batch.ok()) return respond(error_reply(batch.error()));
  auto pending = std::make_shared<Pending>();
  pending->single = batch->single;
  pending->missing = batch->requests.size();
  pending->parts.resize(pending->missing);
  for (std::size_t i = 0; i < batch->requests.size(); ++i) pending->places.emplace(batch->requests[i].id, i);
  const auto collect = [this, pending, respond](const runtime::Answer& answer) {
    const auto place = pending->places.find(answer.id);
    pending->parts[place->second] = answer_text(answer);
    pending->places.erase(place);
    if (answer.error) {
      pending->error = answer.error;
    } else {
      pending->deadlines.emplace_back(answer.id, answer.deadline);
    }
    if (--pending->missing == 0) respond(reply_of(pending, loop_));
  };
  if (!loop_.decide(std::move(batch->requests), batch->wait, collect))
    respond(error_reply(refusal("busy", "too many requests wait", "Try again later")));
}

void Api::check(const ApiRequest& request, const Caller&, const Respond& respond) {
  auto batch = batch_of(request.body, started_, limits_.batch);
  if (!batch.ok()) return respond(error_reply(batch.error()));
  run(
      [batch = std::move(*batch), respond](Guard& guard, Instant) {
        Json answers = Json::array();
        for (const runtime::Request& one : batch.requests) {
          const base::Status status = guard.check(one, batch.wait);
          if (batch.single && !status.ok()) return respond(error_reply(status.error()));
          Json answer = {{"id", one.id}, {"ok", status.ok()}};
          if (!status.ok()) answer["error"] = error_json(status.error());
          if (status.ok()) {
            const std::string& fallback = guard.options().fallback;
            answer["actions"] = guard.decider().actions;
            answer["fallback"] = fallback.empty() ? Json(nullptr) : Json(fallback);
            answer["deadline_ms"] =
                static_cast<double>(std::min(guard.options().deadline, batch.wait.value_or(guard.options().deadline))) /
                1e6;
          }
          answers.push_back(std::move(answer));
        }
        respond({200, dump(batch.single ? answers.front() : Json{{"answers", answers}})});
      },
      respond);
}

void Api::feedback(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto body = [&]() -> base::Result<std::tuple<std::string, double, std::optional<double>>> {
    PL_TRY(const Json json, parse_body(request.body));
    PL_CHECK(known_keys(json, {"id", "reward", "delay"}));
    PL_TRY(std::string id, text_at(json, "id", true));
    if (!json.contains("reward") || !json["reward"].is_number())
      return refusal("bad_reward", "\"reward\" is no number");
    std::optional<double> delay;
    if (json.contains("delay")) {
      if (!json["delay"].is_number()) return refusal("bad_reward", "\"delay\" is no number of seconds");
      delay = json["delay"].get<double>();
    }
    return std::tuple(id, json["reward"].get<double>(), delay);
  }();
  if (!body.ok()) return respond(error_reply(body.error()));
  run(
      [this, body = *body, name = caller.name, respond](Guard& guard, Instant now) {
        acknowledge(guard.feedback(std::get<0>(body), std::get<1>(body), std::get<2>(body), name, now), respond);
      },
      respond);
}

void Api::queue(const ApiRequest&, const Caller&, const Respond& respond) {
  run(
      [respond](Guard& guard, Instant now) {
        const runtime::QuestionQueue& queue = guard.state().queue();
        std::vector<std::pair<double, std::uint64_t>> order;
        for (const auto& [number, item] : queue.open())
          if (item.question.gold_name.empty()) order.emplace_back(-queue.priority(item.question), number);
        std::sort(order.begin(), order.end());
        Json out = {{"open", order.size()}, {"questions", Json::array()}, {"raters", Json::object()}};
        if (order.size() > 100) order.resize(100);
        for (const auto& [priority, number] : order) {
          const runtime::OpenQuestion& item = queue.open().at(number);
          Json one = question_json(guard, number, now);
          one["value_per_second"] = -priority;
          if (item.lease && now < item.lease->until) one["with"] = item.lease->rater;
          out["questions"].push_back(std::move(one));
        }
        constexpr std::size_t kLately = 20;
        out["settled"] = Json::array();
        for (auto it = queue.settled_lately().rbegin(); it != queue.settled_lately().rend(); ++it) {
          if (it->gold) continue;  // which ones those were is nobody's business while they are in use
          if (out["settled"].size() == kLately) break;
          out["settled"].push_back({{"question", it->question},
                                    {"cause", runtime::settle_cause_name(it->cause)},
                                    {"carried_out", it->action.empty() ? Json(nullptr) : Json(it->action)},
                                    {"by", it->rater.empty() ? Json(nullptr) : Json(it->rater)}});
        }
        for (const auto& [name, record] : queue.raters()) out["raters"][name] = rater_json(record);
        respond({200, dump(out)});
      },
      respond);
}

void Api::lease(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  runtime::LeaseWish wish;
  const auto rater = [&]() -> base::Result<std::string> {
    PL_TRY(const Json json, parse_body(request.body.empty() ? "{}" : request.body));
    PL_CHECK(known_keys(json, {"rater", "first", "except"}));
    PL_TRY(wish, wish_of(json));
    return rater_of(json, caller);
  }();
  if (!rater.ok()) return respond(error_reply(rater.error()));
  run(
      [this, rater = *rater, wish = std::move(wish), respond](Guard& guard, Instant now) {
        const auto leased = guard.lease(rater, now, wish);
        if (!leased.ok()) return respond(error_reply(leased.error()));
        if (leased->question == 0) return respond({200, dump({{"question", nullptr}, {"rater", rater}})});
        Json question = question_json(guard, leased->question, now);
        add_sight(question, guard, leased->question, started_.examples, now);
        const std::string body = dump({{"question", std::move(question)}, {"rater", rater}});
        loop_.when_durable(leased->frame, [respond, body](const base::Status& status) {
          if (status.ok()) return respond({200, body});
          respond(error_reply(make_error(Code::kIo, status.error().text(), "log_refused")));
        });
      },
      respond);
}

namespace {

/// What a person says about a question: who, which, and what.
struct Said {
  std::string rater;
  std::uint64_t question = 0;
  std::string action;
};

base::Result<Said> said_of(const std::string& body, const Caller& caller, bool with_action) {
  PL_TRY(const Json json, parse_body(body));
  PL_CHECK(with_action ? known_keys(json, {"question", "action", "rater"}) : known_keys(json, {"question", "rater"}));
  Said said;
  PL_TRY(said.rater, rater_of(json, caller));
  PL_TRY(said.question, question_of(json));
  PL_TRY(said.action, text_at(json, "action", with_action));
  return said;
}

}  // namespace

void Api::answer(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto said = said_of(request.body, caller, true);
  if (!said.ok()) return respond(error_reply(said.error()));
  run(
      [this, s = *said, respond](Guard& guard, Instant now) {
        const auto frame = guard.answer(s.rater, s.question, s.action, now);
        acknowledge(frame, respond, frame.ok() ? dump(outcome_json(guard, s.question)) : std::string());
      },
      respond);
}

void Api::release(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto said = said_of(request.body, caller, false);
  if (!said.ok()) return respond(error_reply(said.error()));
  run([this, s = *said, respond](Guard& guard,
                                 Instant now) { acknowledge(guard.release(s.rater, s.question, now), respond); },
      respond);
}

void Api::veto(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto said = said_of(request.body, caller, false);
  if (!said.ok()) return respond(error_reply(said.error()));
  run([this, s = *said, respond](Guard& guard,
                                 Instant now) { acknowledge(guard.veto(s.rater, s.question, now), respond); },
      respond);
}

void Api::undo(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto said = said_of(request.body, caller, false);
  if (!said.ok()) return respond(error_reply(said.error()));
  run([this, s = *said, respond](Guard& guard,
                                 Instant now) { acknowledge(guard.undo(s.rater, s.question, now), respond); },
      respond);
}

void Api::live(const ApiRequest& request, const Caller&, const Respond& respond) {
  const std::string after = query_value(request.target, "after");
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(after.data(), after.data() + after.size(), number);
  if (!after.empty() && (failure != std::errc() || end != after.data() + after.size()))
    return respond(error_reply(refusal("bad_request", "\"after\" is no number of a decision")));
  run(
      [this, number, respond](Guard& guard, Instant now) {
        Json out = live_json(guard, loop_.times(), started_, number, now);
        out["raters"] = Json::object();
        for (const auto& [name, record] : guard.state().queue().raters()) out["raters"][name] = rater_json(record);
        respond({200, dump(out)});
      },
      respond);
}

void Api::decision(const ApiRequest& request, const Caller&, const Respond& respond) {
  const std::string id = query_value(request.target, "id");
  if (id.empty()) return respond(error_reply(refusal("bad_request", "\"id\" of a decision is missing")));
  run(
      [this, id, respond](Guard& guard, Instant) {
        const auto outcome = guard.outcome(id);
        if (!outcome.ok()) return respond(error_reply(outcome.error()));
        respond({200, dump(decision_json(*outcome, started_.examples))});
      },
      respond);
}

void Api::monitors(const ApiRequest&, const Caller&, const Respond& respond) {
  run(
      [respond](Guard& guard, Instant) {
        respond({200, fmt::format("{{\"monitors\":{}}}", guard.monitors_json())});
      },
      respond);
}

void Api::acknowledge_monitor(const ApiRequest& request, const Caller& caller, const Respond& respond) {
  const auto said = [&]() -> base::Result<Said> {
    PL_TRY(const Json json, parse_body(request.body));
    PL_CHECK(known_keys(json, {"monitor", "rater"}));
    Said who;
    PL_TRY(who.rater, rater_of(json, caller));
    PL_TRY(who.action, text_at(json, "monitor", true));
    return who;
  }();
  if (!said.ok()) return respond(error_reply(said.error()));
  run([this, s = *said, respond](Guard& guard,
                                 Instant now) { acknowledge(guard.acknowledge(s.action, s.rater, now), respond); },
      respond);
}

void Api::cases(const ApiRequest&, const Caller&, const Respond& respond) {
  const runtime::StartDecision& start = started_.start;
  Json claims = Json::array();
  for (const claims::ClaimVerdict& claim : start.claims)
    claims.push_back({{"id", claim.id},
                      {"text", claim.text},
                      {"severity", claim.severity},
                      {"verdict", claims::verdict_name(claim.verdict)},
                      {"reason", claim.reason}});
  Json obstacles = Json::array();
  for (const runtime::StartObstacle& o : start.obstacles)
    obstacles.push_back({{"claim", o.claim}, {"reason", o.reason}, {"accepted", o.accepted}});
  const Json one = {{"case", start.case_hash},    {"run", start.run},       {"model", started_.decider->info().model},
                    {"accepted", start.accepted}, {"obstacles", obstacles}, {"claims", claims},
                    {"notes", start.notes}};
  respond({200, dump({{"cases", Json::array({one})}})});
}

void Api::health(const ApiRequest&, const Caller&, const Respond& respond) { respond({200, "{\"ok\":true}"}); }

void Api::ready(const ApiRequest&, const Caller&, const Respond& respond) {
  const auto reply = [this](const std::vector<std::string>& alarms) -> ApiReply {
    const bool away = loop_.metrics().away;
    const bool ready = !loop_.stopped() && !loop_.draining() && !away;
    const Json out = {{"ready", ready},
                      {"reason", loop_.stopped()    ? "the log has stopped"
                                 : loop_.draining() ? "going down"
                                 : away             ? "the log's database is away"
                                                    : ""},
                      {"model", started_.model},
                      {"policy", started_.decider->info().policy},
                      {"case", started_.start.case_hash},
                      {"accepted", started_.start.accepted},
                      {"shadow", started_.options.shadow},
                      {"sync", runtime::sync_policy_name(started_.journal.sync)},
                      {"alarms", alarms}};
    return {ready ? 200 : 503, dump(out)};
  };
  const bool asked = loop_.post([reply, respond](Guard& guard, Instant) {
    std::vector<std::string> alarms;
    for (const runtime::MonitorView& monitor : guard.state().monitors().view())
      if (monitor.alarm_since) alarms.push_back(monitor.name);
    respond(reply(alarms));
  });
  if (!asked) respond(reply({}));  // whoever asks whether it lives gets an answer, however busy it is
}

void Api::metrics(const ApiRequest&, const Caller&, const Respond& respond) {
  run(
      [this, respond](Guard& guard, Instant) {
        respond({200, metrics_text(guard, loop_.metrics()), "text/plain; version=0.0.4"});
      },
      respond);
}

void Api::openapi(const ApiRequest&, const Caller&, const Respond& respond) {
  respond({200, std::string(openapi_document())});
}

}  // namespace plumbline::guard

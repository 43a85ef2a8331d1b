#include "plumbline/runtime/guard.hpp"

#include <csignal>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/decision_export.hpp"
#include "plumbline/runtime/question_of.hpp"
#include "tests/support/postgres_cluster.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;
using Row = testing::TableDecider::Row;
using Json = nlohmann::json;

constexpr Instant kDeadline = 1000 * kMillisecond;
constexpr Instant kMargin = 100 * kMillisecond;

GuardOptions options_with(const std::string& fallback = "stop") {
  GuardOptions options;
  options.fallback = fallback;
  options.deadline = kDeadline;
  options.margin = kMargin;
  options.queue.gold_every = 0;
  return options;
}

/// A guard with the table behind it, moved by hand.
struct Stand {
  explicit Stand(const GuardOptions& with = options_with(), const std::string& log = {}) : options(with) {
    place = log.empty() ? folder.path() : log;
    start();
  }

  void start() {
    guard.reset();
    auto opened = Guard::open(
        decider.info(), place,
        {.sync = SyncPolicy::kNone, .segment_bytes = 5000, .partition = is_database(place) ? "p" : "", .read_ms = 5000},
        options, 1000);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    guard = std::move(opened).value();
    now = guard->clock_start();
    commit();
  }
  void admit(const std::string& id, Row row, float value = 1, std::optional<Instant> wait = {}) {
    guard->admit({id, "u", {static_cast<float>(row), value}}, ++ticket, now, wait);
  }
  void decide() {
    const auto work = guard->take_work(100);
    std::vector<Request> requests;
    std::vector<std::uint64_t> streams;
    for (const Work& w : work) {
      requests.push_back(w.request);
      streams.push_back(w.stream);
    }
    if (!work.empty()) guard->propose(work, decider.propose(requests, streams), now);
  }
  void commit() {
    const auto done = guard->journal().commit();
    ASSERT_TRUE(done.ok()) << done.error().text();
    guard->durable(done->durable, now);
  }
  /// The one answer that is there.
  Answer only() {
    auto all = guard->take_answers();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Answer{} : all.front();
  }
  Answer ask_and_decide(const std::string& id, Row row, float value = 1) {
    admit(id, row, value);
    decide();
    commit();
    return only();
  }
  /// The record, with what is carried out as its "final"; "" = nothing.
  Json record(const Answer& answer) {
    EXPECT_FALSE(answer.error.has_value()) << answer.error->text();
    if (answer.body.empty()) return Json();
    Json body = Json::parse(answer.body);
    const Json& action = body.at("detail").at("carry_out");
    body["record"]["final"] = action.is_null() ? Json("") : action;
    return body["record"];
  }

  testing::TempFolder folder;
  std::string place;
  testing::TableDecider decider;
  GuardOptions options;
  std::unique_ptr<Guard> guard;
  Instant now = 0;
  Ticket ticket = 0;
};

TEST(Guard, WhatItDidLatelyTellsTheKindsTheRaterAndTheUnits) {
  Stand stand;
  stand.admit("acts", Row::kAct);
  stand.admit("fails", Row::kError);
  stand.admit("asks", Row::kAsk);
  stand.guard->admit({"bad", "", {1}}, ++stand.ticket, stand.now);
  stand.decide();
  stand.commit();
  ASSERT_EQ(stand.guard->request_of("asks")->unit, "u");
  const auto leased = stand.guard->lease("ann", stand.now);
  ASSERT_TRUE(leased.ok());
  EXPECT_EQ(stand.guard->outcome("asks").error().where, "not_decided");
  ASSERT_TRUE(stand.guard->answer("ann", leased->question, "cut", stand.now).ok());
  EXPECT_EQ(stand.guard->outcome("asks").error().where, "not_decided") << "not durable yet";
  stand.commit();
  const LiveWindow& live = stand.guard->live();
  const auto kept = live.decisions(0);
  ASSERT_EQ(kept.size(), 3U);
  EXPECT_EQ(kept[0]->id, "asks");
  EXPECT_EQ(kept[0]->rater, "ann");
  EXPECT_EQ(kept[0]->carried_out, "cut");
  EXPECT_EQ(kept[0]->measured[0], 0.25);
  EXPECT_TRUE(kept[0]->readings_disagree);
  EXPECT_EQ(kept[1]->cause, data::DecisionCause::kError);
  EXPECT_EQ(live.units()[0].unit, "nat");
  EXPECT_EQ(live.units()[1].unit, "");
  const LiveWindow::Span span = live.last(10, stand.now);
  EXPECT_EQ(span.arrived, 3U);
  EXPECT_EQ(span.refused, 1U);
  EXPECT_EQ(span.decided, stand.guard->state().counts().decisions);
  EXPECT_EQ(stand.guard->request_of("asks"), nullptr);
  const auto outcome = stand.guard->outcome("asks");
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(Json::parse(*outcome)["detail"]["carry_out"], "cut");
  EXPECT_EQ(stand.guard->outcome("nobody").error().where, "unknown_decision");
  stand.guard->late("asks", stand.now);
  EXPECT_TRUE(live.decisions(0)[0]->voided);
  EXPECT_EQ(stand.guard->outcome("asks").error().where, "void_decision");
  EXPECT_EQ(live.last(10, stand.now).voided, 1U);
  stand.start();
  EXPECT_EQ(stand.guard->live().newest(), 0U) << "it is no part of the fold";
}

TEST(Guard, AnAnswerGoesOutWhenItsRecordIsDurable) {
  Stand s;
  s.admit("a", Row::kAct);
  s.decide();
  EXPECT_TRUE(s.guard->take_answers().empty());
  s.commit();
  const Answer answer = s.only();
  const Json record = s.record(answer);
  EXPECT_EQ(record.at("id"), "a");
  EXPECT_EQ(record.at("unit"), "u");
  EXPECT_EQ(record.at("context").at("x1"), 1.0);
  EXPECT_EQ(record.at("probabilities"), Json({0.75, 0.2, 0.05}));
  EXPECT_EQ(record.at("policy"), "table 1");
  EXPECT_EQ(record.at("deadline"), 1.0);
  EXPECT_EQ(record.at("readings").size(), 2U);
  EXPECT_EQ(record.at("uncertainty").at("aleatoric"), 0.25);
  EXPECT_NEAR(record.at("time").get<double>(), 1000, 1e-3);
  const Json detail = Json::parse(answer.body).at("detail");
  EXPECT_EQ(detail.at("uncertainty").at("aleatoric").at("unit"), "nat");
  EXPECT_EQ(detail.at("nearest").at(0).at("row"), 7);
  EXPECT_EQ(detail.at("carry_out"), record.at("action"));
  EXPECT_TRUE(s.guard->idle());
}

TEST(Guard, TheDrawIsTheSameWhateverTheBatch) {
  std::vector<std::string> together;
  Stand one;
  for (int i = 0; i < 30; ++i) one.admit("r" + std::to_string(i), Row::kAct);
  one.decide();
  one.commit();
  for (const Answer& answer : one.guard->take_answers()) together.push_back(one.record(answer).at("action"));
  Stand other;
  for (int i = 0; i < 30; ++i) {
    other.admit("r" + std::to_string(i), Row::kAct);
  }
  std::vector<std::string> apart(30);
  while (true) {
    const auto work = other.guard->take_work(1);
    if (work.empty()) break;
    const std::uint64_t stream = work[0].stream;
    other.guard->propose(work, other.decider.propose(std::span(&work[0].request, 1), std::span(&stream, 1)), other.now);
  }
  other.commit();
  std::size_t i = 0;
  for (const Answer& answer : other.guard->take_answers()) apart[i++] = other.record(answer).at("action");
  EXPECT_EQ(together, apart);
  EXPECT_THAT(together, ::testing::Contains("go"));
  EXPECT_THAT(together, ::testing::Contains("stop"));
}

TEST(Guard, EveryActAndEveryFailureOfTheDeciderHasItsOutcome) {
  struct Case {
    Row row;
    const char* kind;
    const char* cause;
    const char* final_action;
    const char* reason;
  };
  for (const Case& c : {Case{Row::kModify, "modify", "policy", "go|stop", "the table"},
                        {Row::kFallBack, "fall_back", "policy", "stop", "the table"},
                        {Row::kRefuse, "refuse", "policy", "", "the table"},
                        {Row::kError, "fall_back", "error", "stop", "nothing could be decided: the row is empty"},
                        {Row::kNotFinite, "fall_back", "error", "stop", "not finite"},
                        {Row::kBadProbabilities, "fall_back", "error", "stop", "sum to 1.45"},
                        {Row::kBadText, "fall_back", "error", "stop", "UTF-8"}}) {
    Stand s;
    const Json record = s.record(s.ask_and_decide("a", c.row));
    EXPECT_EQ(record.value("kind", "act"), c.kind) << c.row;
    EXPECT_EQ(record.value("cause", "policy"), c.cause) << c.row;
    EXPECT_EQ(record.value("final", ""), c.final_action) << c.row;
    EXPECT_THAT(record.at("reason").get<std::string>(), HasSubstr(c.reason)) << c.row;
  }
  for (const bool lost : {false, true}) {
    Stand s(options_with(""));
    s.decider.fail = !lost;
    s.decider.lose_one = lost;
    const Json record = s.record(s.ask_and_decide("a", Row::kAct));
    EXPECT_EQ(record.at("kind"), "refuse") << "without a fallback";
    EXPECT_EQ(record.at("cause"), "error") << "could not decide is not the same as deciding to refuse";
    EXPECT_EQ(s.guard->state().counts().decisions[4][4], 1U);
    EXPECT_EQ(s.guard->state().counts().decisions[4][0], 0U);
  }
}

TEST(Guard, AtTheDeadlineLessTheMarginTheFallbackGoesOut) {
  Stand s;
  s.admit("a", Row::kAct);
  s.commit();
  const auto work = s.guard->take_work(1);
  EXPECT_EQ(*s.guard->next_event(), s.now + kDeadline - kMargin);
  s.now += kDeadline - kMargin - 1;
  s.guard->tick(s.now);
  EXPECT_TRUE(s.guard->take_answers().empty());
  ++s.now;
  s.guard->tick(s.now);
  const Answer answer = s.only();  // no commit was needed: the arrival's record says the same
  const Json record = s.record(answer);
  EXPECT_EQ(record.at("kind"), "fall_back");
  EXPECT_EQ(record.at("cause"), "timeout");
  EXPECT_EQ(record.at("final"), "stop");
  EXPECT_EQ(record.at("context").at("x1"), 1.0);
  // What the decider says now changes nothing.
  s.guard->propose(work, s.decider.propose(std::span(&work[0].request, 1), std::span(&work[0].stream, 1)), s.now);
  s.commit();
  EXPECT_TRUE(s.guard->take_answers().empty());
  EXPECT_EQ(s.guard->traffic().wasted, 1U);
  EXPECT_TRUE(s.guard->idle());
}

TEST(Guard, AShorterWaitIsKept) {
  Stand s;
  s.admit("a", Row::kAct, 1, 200 * kMillisecond);
  s.commit();
  s.now += 100 * kMillisecond;
  s.guard->tick(s.now);
  EXPECT_EQ(s.record(s.only()).at("deadline"), 0.2);
  s.admit("b", Row::kAct, 1, kMargin);
  EXPECT_EQ(s.only().error->where, "bad_request");
}

TEST(Guard, WhatIsNotDurableInTimeIsRefusedAndVoid) {
  Stand s;
  s.admit("never durable", Row::kAct);
  s.now += kDeadline - kMargin;
  s.guard->tick(s.now);
  EXPECT_EQ(s.only().error->where, "log_stalled");
  s.admit("decided, not durable", Row::kAct);
  s.decide();
  s.now += kDeadline - kMargin / 2 - 1;
  s.guard->tick(s.now);
  EXPECT_TRUE(s.guard->take_answers().empty());
  ++s.now;
  s.guard->tick(s.now);
  EXPECT_EQ(s.only().error->where, "log_stalled");
  s.commit();
  EXPECT_TRUE(s.guard->take_answers().empty());
  EXPECT_EQ(s.guard->state().counts().voided, 2U);
  for (const char* id : {"never durable", "decided, not durable"}) {
    s.admit(id, Row::kAct);
    EXPECT_EQ(s.only().error->where, "void_decision");
    EXPECT_EQ(s.guard->feedback(id, 1, {}, "", s.now).error().where, "void_decision");
  }
}

TEST(Guard, ALateAnswerIsCountedAndVoid) {
  Stand s;
  s.admit("a", Row::kAct);
  s.decide();
  s.now += kDeadline + 1;
  s.commit();  // the thread was held up; no tick came in between
  EXPECT_EQ(s.only().error->where, "late");
  EXPECT_EQ(s.guard->traffic().late, 1U);
  EXPECT_EQ(s.guard->state().counts().voided, 1U);
}

TEST(Guard, TheSameIdGetsTheSameAnswer) {
  Stand s;
  s.admit("a", Row::kAct);
  s.admit("a", Row::kAct);
  s.admit("a", Row::kAct, 2);
  EXPECT_EQ(s.only().error->where, "id_reused");
  s.decide();
  s.admit("a", Row::kAct);  // decided, not yet durable
  s.commit();
  const auto all = s.guard->take_answers();
  ASSERT_EQ(all.size(), 3U);
  for (const Answer& answer : all) EXPECT_EQ(answer.body, all[0].body);
  const std::string body = all[0].body;
  s.admit("a", Row::kAct);
  const Answer again = s.only();
  EXPECT_EQ(again.body, body);
  EXPECT_TRUE(again.again);
  s.start();
  s.admit("a", Row::kAct);
  EXPECT_EQ(s.only().body, body) << "after a restart";
  s.admit("a", Row::kAct, 2);
  EXPECT_EQ(s.only().error->where, "id_reused");
  EXPECT_EQ(s.decider.calls, 1);
}

TEST(Guard, ARequestRepeatedWhileItsFallbackIsWrittenGetsIt) {
  Stand s;
  s.admit("a", Row::kAct);
  s.commit();
  s.now += kDeadline - kMargin;
  s.guard->tick(s.now);
  const std::string body = s.only().body;
  s.admit("a", Row::kAct);
  EXPECT_TRUE(s.guard->take_answers().empty());
  s.now += 5 * kDeadline;
  s.guard->tick(s.now);
  s.commit();
  EXPECT_EQ(s.only().body, body);
}

TEST(Guard, ForgottenIdsAreUnknown) {
  GuardOptions options = options_with();
  options.remembered = 3;
  Stand s(options);
  for (int i = 0; i < 5; ++i) s.ask_and_decide(std::to_string(i), Row::kAct);
  EXPECT_EQ(s.guard->state().remembered(), 3U);
  EXPECT_EQ(s.guard->feedback("1", 1, {}, "", s.now).error().where, "unknown_decision");
  EXPECT_TRUE(s.guard->feedback("2", 1, {}, "", s.now).ok());
}

TEST(Guard, BadRequestsAreRefused) {
  Stand s;
  const auto refused = [&](Request request, const char* text) {
    s.guard->admit(request, ++s.ticket, s.now);
    const Answer answer = s.only();
    EXPECT_EQ(answer.error->where, "bad_request");
    EXPECT_THAT(answer.error->message, HasSubstr(text));
  };
  refused({"", "", {0, 0}}, "id has 0 bytes");
  refused({std::string(201, 'x'), "", {0, 0}}, "id has 201 bytes");
  refused({"\xFF", "", {0, 0}}, "UTF-8");
  refused({"a", std::string(201, 'x'), {0, 0}}, "unit has 201 bytes");
  refused({"a", "", {0}}, "input has 1 numbers, expected 2");
  refused({"a", "", {0, std::numeric_limits<float>::infinity()}}, "not finite");
  EXPECT_EQ(s.guard->state().counts().arrivals, 0U);
  EXPECT_EQ(s.guard->traffic().refused.at("bad_request"), 6U);

  const auto wrong = [&](GuardOptions options, const char* text) {
    const testing::TempFolder folder;
    const auto opened = Guard::open(s.decider.info(), folder.path(), {}, options, 0);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().text(), HasSubstr(text));
  };
  wrong(options_with("fly"), "fallback is 'fly'");
  GuardOptions options = options_with();
  options.irreversible = {"fly"};
  wrong(options, "'fly' is irreversible");
  options = options_with();
  options.margin = options.deadline;
  wrong(options, "not below the deadline");
}

TEST(Guard, TooManyAndGoingDown) {
  GuardOptions options = options_with();
  options.max_open = 2;
  Stand s(options);
  s.admit("a", Row::kAct);
  s.admit("b", Row::kAct);
  s.admit("c", Row::kAct);
  EXPECT_EQ(s.only().error->where, "busy");
  s.guard->drain();
  s.admit("d", Row::kAct);
  EXPECT_EQ(s.only().error->where, "draining");
  EXPECT_FALSE(s.guard->idle());
  s.decide();
  s.commit();
  EXPECT_EQ(s.guard->take_answers().size(), 2U);
  EXPECT_TRUE(s.guard->idle());
}

TEST(Guard, APersonDecides) {
  Stand s;
  s.admit("a", Row::kAsk, 5);
  s.decide();
  s.commit();
  EXPECT_TRUE(s.guard->take_answers().empty());
  const auto leased = s.guard->lease("ann", s.now);
  ASSERT_EQ(leased->question, 1U);
  EXPECT_EQ(s.guard->lease("ann", s.now)->question, 1U);
  EXPECT_EQ(s.guard->lease("bob", s.now)->question, 0U);
  s.now += 10 * kMillisecond;
  ASSERT_TRUE(s.guard->answer("ann", 1, "cut", s.now).ok());
  EXPECT_TRUE(s.guard->take_answers().empty()) << "not durable yet";
  s.commit();
  const Json record = s.record(s.only());
  EXPECT_EQ(record.at("kind"), "ask");
  EXPECT_EQ(record.at("cause"), "person");
  EXPECT_EQ(record.at("final"), "cut");
  EXPECT_THAT(record.at("reason").get<std::string>(), HasSubstr("answered by ann"));
  EXPECT_EQ(s.guard->answer("ann", 1, "go", s.now).error().where, "question_settled");
}

TEST(Guard, NobodyAnswersVetoAndUndo) {
  GuardOptions options = options_with("");
  options.queue.undo = 20 * kMillisecond;
  Stand s(options);
  s.admit("a", Row::kAsk);
  s.decide();
  s.commit();
  s.now += kDeadline - kMargin;
  s.guard->tick(s.now);
  Json record = s.record(s.only());
  EXPECT_EQ(record.at("cause"), "timeout");
  EXPECT_EQ(record.at("final"), "stop") << "the proposal's fallback, since the guard declares none";
  EXPECT_THAT(record.at("reason").get<std::string>(), HasSubstr("nobody answered"));
  s.commit();

  s.admit("b", Row::kAsk);
  s.decide();
  ASSERT_TRUE(s.guard->veto("ann", 2, s.now).ok());
  s.commit();
  record = s.record(s.only());
  EXPECT_EQ(record.at("kind"), "fall_back");
  EXPECT_EQ(record.at("cause"), "person");

  s.admit("c", Row::kAsk);
  s.decide();
  ASSERT_TRUE(s.guard->lease("ann", s.now).ok());
  ASSERT_TRUE(s.guard->answer("ann", 3, "go", s.now).ok());
  s.now += 10 * kMillisecond;
  ASSERT_TRUE(s.guard->undo("ann", 3, s.now).ok());
  s.now += 20 * kMillisecond;
  s.guard->tick(s.now);
  s.commit();
  EXPECT_TRUE(s.guard->take_answers().empty());
  ASSERT_TRUE(s.guard->lease("ann", s.now).ok());
  ASSERT_TRUE(s.guard->answer("ann", 3, "cut", s.now).ok());
  s.now += 20 * kMillisecond;
  s.guard->tick(s.now);
  s.commit();
  EXPECT_EQ(s.record(s.only()).at("final"), "cut");
}

TEST(Guard, AQuestionThatIsNotDurableInTimeIsRefused) {
  Stand s(options_with("cut"));
  s.admit("a", Row::kAsk);
  s.commit();
  s.decide();  // the question says "stop" now, and is not durable; the arrival said "cut"
  s.now += kDeadline - kMargin;
  s.guard->tick(s.now);
  EXPECT_EQ(s.only().error->where, "log_stalled");
  EXPECT_TRUE(s.guard->state().queue().open().empty());
}

TEST(Guard, AFullQueueFallsBackOrDisplaces) {
  GuardOptions options = options_with();
  options.queue.open = 1;
  Stand s(options);
  s.admit("a", Row::kAsk, 2);
  s.decide();
  Json record = s.record(s.ask_and_decide("b", Row::kAsk, 1));
  EXPECT_EQ(record.at("cause"), "safeguard");
  EXPECT_THAT(record.at("reason").get<std::string>(), HasSubstr("queue is full"));
  const Answer displaced = s.ask_and_decide("c", Row::kAsk, 3);
  EXPECT_EQ(displaced.id, "a");
  EXPECT_EQ(s.record(displaced).at("final"), "stop");
  EXPECT_EQ(s.guard->state().queue().open().size(), 1U);
}

TEST(Guard, IrreversibleActionsNeedTwoPeople) {
  GuardOptions options = options_with();
  options.irreversible = {"cut"};
  Stand s(options);
  s.admit("a", Row::kAsk);
  s.decide();
  ASSERT_TRUE(s.guard->lease("ann", s.now).ok());
  ASSERT_TRUE(s.guard->answer("ann", 1, "cut", s.now).ok());
  s.commit();
  EXPECT_TRUE(s.guard->take_answers().empty());
  ASSERT_EQ(s.guard->lease("bob", s.now)->question, 1U);
  ASSERT_TRUE(s.guard->answer("bob", 1, "cut", s.now).ok());
  s.commit();
  EXPECT_EQ(s.record(s.only()).at("final"), "cut");
}

/// The state that a replay of the journal gives.
GuardState fold(const Stand& s) {
  GuardState state(s.options.queue, s.options.gold, s.options.remembered);
  const auto read = read_journal(s.place, [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, "journal"));
    return state.apply(event, frame);
  });
  EXPECT_TRUE(read.ok()) << read.error().text();
  return state;
}

/// What people are asked about a proposal that asks, with these probabilities of go, stop and cut.
Question asked_about(std::vector<double> plausible, std::optional<std::size_t> carried,
                     const std::set<std::string>& irreversible = {}) {
  Proposal p;
  p.actions = {"go", "stop", "cut"};
  p.plausible = std::move(plausible);
  p.value_of_asking = 2;
  p.reason = "unsure";
  return question_of(p, carried, irreversible);
}

TEST(QuestionOf, TheKindFollowsFromTheProposal) {
  const Question label = asked_about({0.4, 0.3, 0.3}, 0);
  EXPECT_EQ(label.kind, QuestionKind::kLabel);
  EXPECT_EQ(label.proposed, "") << "nobody should lean on it";
  EXPECT_EQ(label.candidates, (std::vector<Candidate>{{"go", 0.4}, {"stop", 0.3}, {"cut", 0.3}}));
  EXPECT_EQ(label.value, 2);
  EXPECT_EQ(label.reason, "unsure");

  const Question compare = asked_about({0.35, 0.05, 0.6}, 2);
  EXPECT_EQ(compare.kind, QuestionKind::kCompare);
  EXPECT_EQ(compare.candidates, (std::vector<Candidate>{{"cut", 0.6}, {"go", 0.35}}));
  EXPECT_EQ(compare.proposed, "");
  EXPECT_EQ(compare.actions.size(), 3U) << "neither may be right";

  const Question correct = asked_about({0.7, 0.3, 0}, 0);
  EXPECT_EQ(correct.kind, QuestionKind::kCorrect) << "a favourite goes before two that are plausible";
  EXPECT_EQ(correct.proposed, "go");
  EXPECT_EQ(asked_about({0.7, 0.3, 0}, 1).kind, QuestionKind::kCompare) << "what is proposed is not the favourite";
  EXPECT_EQ(asked_about({0.7, 0.3, 0}, {}).kind, QuestionKind::kCompare) << "nothing is proposed";

  const Question approve = asked_about({0.4, 0.3, 0.3}, 2, {"cut", "elsewhere"});
  EXPECT_EQ(approve.kind, QuestionKind::kApprove);
  EXPECT_EQ(approve.proposed, "cut");
  EXPECT_EQ(approve.irreversible, (std::set<std::string>{"cut"}));
  EXPECT_EQ(asked_about({0.9, 0.1, 0}, 0, {"cut"}).kind, QuestionKind::kCorrect);

  EXPECT_EQ(asked_about({}, 0).kind, QuestionKind::kLabel) << "beliefs do not count";
  EXPECT_TRUE(asked_about({}, 0).candidates.empty());
}

TEST(Guard, AnIrreversibleActNeedsTwoPeopleEvenWhereThePolicyIsSure) {
  GuardOptions options = options_with();
  options.irreversible = {"go"};
  Stand s(options);
  int asked = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string id = "r" + std::to_string(i);
    s.admit(id, Row::kAct);
    s.decide();
    s.commit();
    const auto open = s.guard->state().queue().open();
    if (open.empty()) {
      EXPECT_NE(s.record(s.only()).at("action"), "go");
      continue;
    }
    const auto& [number, item] = *open.begin();
    EXPECT_EQ(item.question.kind, QuestionKind::kApprove);
    EXPECT_EQ(item.question.proposed, "go");
    EXPECT_THAT(item.question.reason, HasSubstr("cannot be undone"));
    EXPECT_TRUE(s.guard->take_answers().empty());
    ++asked;
    if (asked == 1) {  // one person is not enough
      ASSERT_TRUE(s.guard->lease("ann", s.now).ok());
      ASSERT_TRUE(s.guard->answer("ann", number, "go", s.now).ok());
      s.now += kDeadline - kMargin;
      s.guard->tick(s.now);
      const Json record = s.record(s.only());
      EXPECT_EQ(record.at("cause"), "timeout");
      EXPECT_EQ(record.at("final"), "stop");
      EXPECT_EQ(record.at("action"), "go");
      EXPECT_EQ(record.at("propensity"), 0.75) << "with which the policy drew it";
      s.commit();
      continue;
    }
    for (const std::string person : {"ann", "bob"}) {
      ASSERT_EQ(s.guard->lease(person, s.now)->question, number);
      ASSERT_TRUE(s.guard->answer(person, number, "go", s.now).ok());
    }
    s.commit();
    const Answer answer = s.only();
    const Json record = s.record(answer);
    EXPECT_EQ(record.at("cause"), "person");
    EXPECT_EQ(record.at("final"), "go");
    EXPECT_THAT(record.at("reason").get<std::string>(), HasSubstr("accepted by bob"));
    EXPECT_EQ(Json::parse(answer.body)["detail"]["person"]["corrected"], false);
  }
  EXPECT_GE(asked, 3);
  options.fallback = "go";
  const testing::TempFolder folder;
  const auto refused = Guard::open(s.decider.info(), folder.path(), {}, options, 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), HasSubstr("fallback 'go' is irreversible"));
}

TEST(Guard, ACorrectionIsAppliedAndBothSidesAreTold) {
  Stand s;
  s.decider.proposed = 0;
  s.decider.plausible = {0.8, 0.15, 0.05};
  s.admit("a", Row::kAsk, 5);
  s.decide();
  s.commit();
  const Question asked = s.guard->state().queue().open().at(1).question;
  EXPECT_EQ(asked.kind, QuestionKind::kCorrect);
  EXPECT_EQ(asked.proposed, "go");
  ASSERT_TRUE(s.guard->lease("ann", s.now).ok());
  ASSERT_TRUE(s.guard->answer("ann", 1, "cut", s.now).ok());
  s.commit();
  const Answer answer = s.only();
  const Json body = Json::parse(answer.body);
  EXPECT_EQ(body["detail"]["carry_out"], "cut");
  EXPECT_EQ(body["detail"]["person"],
            Json::parse(R"({"by": "ann", "kind": "correct", "proposed": "go", "corrected": true})"));
  EXPECT_EQ(body["record"]["cause"], "person");
  EXPECT_EQ(body["record"]["final"], "cut");
  EXPECT_THAT(body["record"]["reason"].get<std::string>(), HasSubstr("corrected by ann, instead of 'go'"));
  EXPECT_EQ(s.guard->state().queue().settled_lately().back(),
            (SettledQuestion{1, SettleCause::kAnswered, "cut", "ann", false}));
  const GuardState before = s.guard->state();
  s.guard.reset();
  EXPECT_TRUE(fold(s) == before) << "kinds, proposals and candidates read back";
  for (const auto& wrong : {std::vector<double>{0.5, 0.5}, std::vector<double>{2, 0, 0}}) {
    s.start();
    s.decider.plausible = wrong;
    EXPECT_EQ(s.record(s.ask_and_decide("x" + std::to_string(wrong.size()), Row::kAsk)).at("cause"), "error");
  }
}

TEST(Guard, ShadowModeCarriesOutTheFallback) {
  GuardOptions options = options_with();
  options.shadow = true;
  Stand s(options);
  for (const Row row : {Row::kAct, Row::kAsk, Row::kModify}) {
    const std::string id = "r" + std::to_string(row);
    const Json record = s.record(s.ask_and_decide(id, row));
    EXPECT_EQ(record.at("final"), "stop");
    EXPECT_EQ(record.at("cause"), "safeguard");
    EXPECT_EQ(record.at("rung"), "shadow");
    EXPECT_GT(record.at("propensity").get<double>(), 0);
    EXPECT_EQ(s.guard->feedback(id, 1, {}, "", s.now).error().where, "shadow_decision");
  }
  EXPECT_TRUE(s.guard->state().queue().open().empty()) << "nobody is asked";
}

TEST(Guard, Feedback) {
  Stand s;
  s.admit("open", Row::kAct);
  EXPECT_EQ(s.guard->feedback("open", 1, {}, "", s.now).error().where, "not_decided");
  s.decide();
  s.commit();
  s.now += 3 * kSecond;
  ASSERT_TRUE(s.guard->feedback("open", 0.5, {}, "ann", s.now).ok());
  EXPECT_TRUE(s.guard->feedback("open", 0.5, {}, "ann", s.now).ok()) << "the same again";
  EXPECT_EQ(s.guard->feedback("open", 1, {}, "ann", s.now).error().where, "contradictory_feedback");
  EXPECT_EQ(s.guard->feedback("nothing", 1, {}, "", s.now).error().where, "unknown_decision");
  EXPECT_EQ(s.guard->feedback("open", std::nan(""), {}, "", s.now).error().where, "bad_reward");
  EXPECT_EQ(s.guard->feedback("open", 1, -1, "", s.now).error().where, "bad_reward");
  EXPECT_EQ(s.guard->state().counts().feedback, 1U);
}

TEST(Guard, ARestartGivesWhatWasOpenItsFallback) {
  Stand s(options_with("cut"));
  s.admit("asked", Row::kAsk);
  s.decide();
  s.admit("undecided", Row::kAct);
  s.commit();
  ASSERT_EQ(s.guard->lease("ann", s.now)->question, 1U);
  s.commit();
  s.start();
  EXPECT_TRUE(s.guard->state().open().empty());
  EXPECT_EQ(s.guard->answer("ann", 1, "go", s.now).error().where, "question_expired");
  s.admit("asked", Row::kAsk);
  s.admit("undecided", Row::kAct);
  const auto all = s.guard->take_answers();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(s.record(all[0]).at("final"), "stop") << "the question's";
  EXPECT_EQ(s.record(all[1]).at("final"), "cut") << "the arrival's";
  EXPECT_EQ(s.record(all[0]).at("cause"), "timeout");
}

/// Random traffic, killed at random points: the journal's fold is the state that the guard had when it last committed,
/// and every answer that went out is in it.
/// Random traffic and kills. `place`: of the log of a seed; empty: a folder.
std::map<std::string, int> kill_anywhere(std::uint64_t seeds, const std::function<std::string(std::uint64_t)>& place) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    base::Rng rng(seed, {"guard"});
    GuardOptions options = options_with(seed % 2 == 0 ? "stop" : "");
    options.irreversible = {"cut"};
    options.queue.undo = seed % 3 == 0 ? 50 * kMillisecond : 0;
    options.queue.open = 1;
    options.queue.lease = 300 * kMillisecond;
    options.remembered = 40;
    Stand s(options, place(seed));
    if (seed % 2 == 0) {
      s.decider.proposed = seed % 3;
      s.decider.plausible = {0.7, 0.2, 0.1};
    }
    std::map<std::string, std::string> told;
    GuardState committed = s.guard->state();
    int next = 0;
    const std::vector<std::string> people = {"ann", "bob"};
    const auto collect = [&] {
      for (const Answer& a : s.guard->take_answers()) {
        ++seen[a.error ? a.error->where : Json::parse(a.body)["record"].value("cause", "policy")];
        if (a.error) continue;
        const auto [found, fresh] = told.emplace(a.id, a.body);
        if (!fresh) {
          ASSERT_EQ(Json::parse(found->second)["detail"]["carry_out"], Json::parse(a.body)["detail"]["carry_out"]);
        }
      }
    };
    for (int step = 0; step < 200; ++step) {
      s.now += static_cast<Instant>(rng.below(60)) * kMillisecond;
      const std::string& who = people[rng.below(2)];
      switch (rng.below(9)) {
        case 0:
        case 1:
          s.admit("r" + std::to_string(next++), rng.bernoulli(0.4) ? Row::kAsk : static_cast<Row>(rng.below(9)),
                  static_cast<float>(rng.below(5)));
          break;
        case 2: s.decide(); break;
        case 3:
          s.commit();
          s.commit();  // late answers of the first are void, which is one more frame
          committed = s.guard->state();
          break;
        case 4: (void)s.guard->lease(who, s.now); break;
        case 5:
          if (const auto held = s.guard->state().queue().held_by(who, s.now); held != 0)
            (void)s.guard->answer(who, held, rng.bernoulli(0.5) ? "cut" : "go", s.now);
          break;
        case 6:
          if (rng.bernoulli(0.2))
            (void)s.guard->veto(
                who, s.guard->state().queue().open().empty() ? 1 : s.guard->state().queue().open().begin()->first,
                s.now);
          if (next > 0)
            (void)s.guard->feedback("r" + std::to_string(rng.below(static_cast<std::uint64_t>(next))), 1, {}, "",
                                    s.now);
          break;
        default: s.guard->tick(s.now);
      }
      collect();
      if (rng.bernoulli(0.03)) {
        s.guard.reset();  // the process is gone, with everything that was not committed
        EXPECT_TRUE(fold(s) == committed) << "seed " << seed << ", step " << step;
        s.start();
        committed = s.guard->state();
        ++seen["kill"];
      }
    }
    s.now += 2 * kDeadline;
    s.guard->tick(s.now);
    s.commit();
    collect();
    EXPECT_TRUE(s.guard->idle());
    std::map<std::string, std::string> logged;
    s.guard.reset();
    EXPECT_TRUE(read_journal(s.place, [&](const JournalFrame& frame) -> base::Status {
                  PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, "journal"));
                  if (event.kind == GuardEvent::Kind::kDecide) logged[event.id] = answer_body(frame.payload);
                  return base::ok();
                }).ok());
    for (const auto& [id, body] : told) {
      if (logged[id] == body) continue;
      // A fallback that went out, with a kill before its own record was durable: the log says the same in other words.
      const Json sent = Json::parse(body);
      const Json found = Json::parse(logged[id]);
      EXPECT_EQ(sent["record"]["cause"], "timeout") << "seed " << seed << ", " << body << "\n" << logged[id];
      EXPECT_EQ(found["record"]["cause"], "timeout") << "seed " << seed << ", " << body << "\n" << logged[id];
      EXPECT_EQ(found["detail"]["carry_out"], sent["detail"]["carry_out"]) << "seed " << seed << ", " << id;
    }
  }
  return seen;
}

TEST(Guard, KilledAnywhereItsStateIsTheFoldOfTheLog) {
  auto seen = kill_anywhere(60, [](std::uint64_t) { return std::string(); });
  for (const char* word : {"kill", "policy", "person", "timeout", "error", "safeguard", "log_stalled", "late"})
    EXPECT_GE(seen[word], 5) << word << ": the traffic never came there";
}

TEST(Guard, TheSameInPostgresWhereAReplicaTakesThePartitionOver) {
  PL_NEEDS_POSTGRES(cluster);
  auto seen = kill_anywhere(6, [&](std::uint64_t seed) { return cluster.url("killed" + std::to_string(seed)); });
  for (const char* word : {"kill", "policy", "person", "timeout", "log_stalled"})
    EXPECT_GE(seen[word], 3) << word << ": the traffic never came there";
}

TEST(Guard, SeveralInOneDatabaseAreExportedTogetherOrByPartition) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("several");
  testing::TableDecider decider;
  for (const char* partition : {"east", "west"}) {
    auto guard = Guard::open(decider.info(), url, {.partition = partition}, options_with(), 1000);
    ASSERT_TRUE(guard.ok()) << guard.error().text();
    for (const std::string& id : {std::string(partition) + "-1", std::string("twice")}) {
      (*guard)->admit({id, "u", {0, 1}}, 1, (*guard)->clock_start());
      const auto work = (*guard)->take_work(1);
      (*guard)->propose(work, decider.propose(std::span(&work[0].request, 1), std::span(&work[0].stream, 1)),
                        (*guard)->clock_start());
    }
    ASSERT_TRUE((*guard)->feedback("twice", partition == std::string("east") ? 0.25 : 0.75, {}, "", 1).ok());
    ASSERT_TRUE((*guard)->journal().commit().ok());
  }
  const testing::TempFolder out;
  auto counts = export_decisions(url, out.file("all.jsonl"));
  ASSERT_TRUE(counts.ok()) << counts.error().text();
  EXPECT_EQ(counts->decisions, 4U);
  EXPECT_EQ(counts->rewards, 2U);
  EXPECT_EQ(counts->elsewhere, 1U);
  const auto log = data::read_decision_log(out.file("all.jsonl"));
  ASSERT_TRUE(log.ok()) << log.error().text();
  EXPECT_EQ(log->reward[1], 0.25);
  EXPECT_EQ(log->reward[3], 0.75) << "each partition has its own rewards";
  counts = export_decisions(url, out.file("west.jsonl"), "west");
  EXPECT_EQ(counts->decisions, 2U);
  EXPECT_EQ(counts->elsewhere, 0U);
}

TEST(Guard, ItsLogBecomesADecisionLogThatEstimatorsRead) {
  Stand s;
  for (int i = 0; i < 20; ++i) s.ask_and_decide("r" + std::to_string(i), i == 3 ? Row::kRefuse : Row::kAct);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(s.guard->feedback("r" + std::to_string(i), i / 4.0, 7.5, "ann", s.now).ok());
  s.admit("void", Row::kAct);
  s.decide();
  s.now += 2 * kDeadline;
  s.commit();
  s.admit("open", Row::kAct);
  s.commit();
  const testing::TempFolder out;
  const auto counts = export_decisions(s.folder.path(), out.file("log.jsonl"));
  ASSERT_TRUE(counts.ok()) << counts.error().text();
  EXPECT_EQ(counts->decisions, 20U);
  EXPECT_EQ(counts->rewards, 5U);
  EXPECT_EQ(counts->voided, 1U);
  EXPECT_EQ(counts->open, 1U);
  const auto log = data::read_decision_log(out.file("log.jsonl"));
  ASSERT_TRUE(log.ok()) << log.error().text();
  ASSERT_EQ(log->rows(), 20U);
  EXPECT_EQ(log->reward[2], 0.5);
  EXPECT_EQ(log->delay[2], 7.5);
  EXPECT_TRUE(std::isnan(log->reward[7]));
  for (std::size_t i = 0; i < log->rows(); ++i) {
    const std::string& action = log->action_names[static_cast<std::size_t>(log->action[i])];
    EXPECT_EQ(log->propensity[i], action == "go" ? 0.75 : action == "stop" ? 0.2 : 0.05) << "the one it was drawn with";
  }
  EXPECT_FALSE(export_decisions(out.file("nowhere"), out.file("x")).ok());
  EXPECT_FALSE(export_decisions(s.folder.path(), out.file("no/folder")).ok());
}

TEST(Guard, WhenTheLogStopsEverythingIsRefused) {
  Stand s;
  s.admit("a", Row::kAct);
  s.decide();
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{100, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const auto failed = s.guard->journal().commit();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(failed.ok());
  s.guard->stop(failed.error());
  EXPECT_EQ(s.only().error->where, "log_refused");
  s.admit("b", Row::kAct);
  EXPECT_EQ(s.only().error->where, "log_refused");
  s.start();
  EXPECT_EQ(s.guard->state().counts().arrivals, 0U);
}

TEST(GuardEvent, TheQuickWayAndTheParserAgree) {
  for (const std::string id : {"a", "with space", "quote \" and \\", "\n", "\u00e4", ""}) {
    for (const bool shadow : {false, true}) {
      GuardEvent event;
      event.kind = shadow ? GuardEvent::Kind::kDecide : GuardEvent::Kind::kArrive;
      event.at = -5;
      event.id = id;
      event.fallback = shadow ? "" : id;
      event.content = 4'000'000'000;
      event.deadline = 77;
      event.cause = data::DecisionCause::kError;
      event.decision = data::DecisionKind::kRefuse;
      event.shadow = shadow;
      const std::string text = *to_json(event);
      // A blank in front of a value is the same JSON, and none of what the quick way takes.
      std::string spaced = text;
      spaced.insert(spaced.find("\"t\":") + 4, " ");
      for (const std::string& one : {text, spaced}) {
        const auto back = parse_guard_event(one, "here");
        ASSERT_TRUE(back.ok()) << one << back.error().text();
        EXPECT_EQ(*to_json(*back), text);
      }
    }
  }
  for (const std::string rater : {"", "ann", "\"\u00e4"}) {
    GuardEvent event;
    event.kind = GuardEvent::Kind::kFeedback;
    event.id = "a";
    event.reward = -1.0 / 3;
    event.delay = 1e-300;
    event.rater = rater;
    const std::string text = *to_json(event);
    std::string spaced = text;
    spaced.insert(spaced.find("\"t\":") + 4, " ");
    for (const std::string& one : {text, spaced}) EXPECT_EQ(*to_json(*parse_guard_event(one, "here")), text);
  }
  // For a fold the texts at the end do not count, where they are whole.
  GuardEvent decided;
  decided.kind = GuardEvent::Kind::kDecide;
  decided.id = "a";
  decided.detail = R"({"carry_out":"x"})";
  decided.record = R"({"id":"a"})";
  const auto folded = parse_guard_event(*to_json(decided), "here", EventTexts::kForFold);
  ASSERT_TRUE(folded.ok());
  EXPECT_EQ(folded->id, "a");
  EXPECT_EQ(parse_guard_event(*to_json(decided), "here")->record, decided.record);
  for (const char* bad :
       {R"({"e":"feedback","t":1,"id":"a","reward":nan,"delay":1})",
        R"({"e":"feedback","t":1,"id":"a","reward":1,"delay":inf})",
        R"({"e":"decide","t":1,"id":"a","k":1,"c":0,"other":1)", R"({"e":"decide","t":1,"id":"a","k":1,"c":0x})",
        R"({"e":"arrive","t":1,"id":"a","content":1,"deadline":99999999999999999999})",
        R"({"e":"decide","t":1,"id":"a","k":5,"c":0})", R"({"e":"decide","t":1,"id":"a","k":1,"c":0)",
        R"({"e":"arrive","t":1,"id":"a","content":1,"deadline":2}})"})
    EXPECT_FALSE(parse_guard_event(bad, "here").ok()) << bad;
}

TEST(GuardEvent, EverythingReadsBackAndDamageIsRefused) {
  GuardEvent event;
  event.kind = GuardEvent::Kind::kDecide;
  event.at = 5;
  event.id = "a\",\"record\":{\"";
  event.decision = data::DecisionKind::kAsk;
  event.cause = data::DecisionCause::kPerson;
  event.shadow = true;
  event.detail = R"({"x":1})";
  event.record = R"({"id":"a","reason":",\"record\":{}"})";
  event.queue = QueueEvent{QueueEvent::Kind::kSettle, 5, 3, "ann", "go", 0, SettleCause::kVetoed, {}};
  const auto text = to_json(event);
  const auto back = parse_guard_event(*text, "here");
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->id, event.id);
  EXPECT_EQ(back->detail, event.detail);
  EXPECT_EQ(back->record, event.record);
  EXPECT_EQ(back->queue->cause, SettleCause::kVetoed);
  EXPECT_TRUE(back->shadow);
  EXPECT_EQ(answer_body(*text), R"({"detail":{"x":1},"record":)" + event.record + "}");
  Question asked;
  asked.actions = {"go", "stop"};
  asked.kind = QuestionKind::kCorrect;
  asked.proposed = "go";
  asked.candidates = {{"go", 0.75}, {"stop", 0.125}};
  asked.gold = "stop";
  asked.gold_name = "line 3";
  asked.only_for = "ann";
  asked.shown = R"({"a":1,"detail":{"record":2}})";
  event.queue = QueueEvent{QueueEvent::Kind::kAsk, 5, 3, {}, {}, 0, {}, asked};
  const auto with_question = parse_guard_event(*to_json(event), "here");
  ASSERT_TRUE(with_question.ok()) << with_question.error().text();
  EXPECT_EQ(*with_question->queue->asked, asked);
  EXPECT_EQ(with_question->record, event.record);
  const auto old = parse_guard_event(
      R"({"e":"queue","t":1,"queue":{"k":0,"n":1,"q":{"actions":["a"],"value":1,"deadline":9,"kind":"decision"}}})",
      "here");
  ASSERT_TRUE(old.ok()) << "a log from before there were kinds: " << old.error().text();
  EXPECT_EQ(old->queue->asked->kind, QuestionKind::kLabel);
  for (const char* bad :
       {"", "{}", "[]",
        R"({"e":"queue","t":1,"queue":{"k":0,"n":1,"q":{"actions":["a"],"value":1,"deadline":9,"kind":"x"}}})",
        R"({"e":"go","t":1})", R"({"e":"decide","t":1,"k":9,"c":0})", R"({"e":"queue","t":1,"queue":{"k":7,"n":1}})",
        R"({"e":"arrive","t":"x"})", "\xFF"}) {
    const auto parsed = parse_guard_event(bad, "here");
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().code, base::Code::kParse);
    EXPECT_EQ(parsed.error().where, "here");
  }
  event.id = "\xFF";
  EXPECT_FALSE(to_json(event).ok());
  GuardEvent reward;
  reward.kind = GuardEvent::Kind::kFeedback;
  reward.reward = std::nan("");
  EXPECT_FALSE(to_json(reward).ok());
}

}  // namespace
}  // namespace plumbline::runtime

#include "plumbline/runtime/monitors.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/guard.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

/// The request says everything: {rank, action, aleatoric, act}.
DeciderInfo watched_info() {
  DeciderInfo info;
  info.actions = {"go", "stop", "turn"};
  info.input_size = 4;
  info.model = "watched";
  info.policy = "watched 1";
  info.reference_rows = 200;
  return info;
}

Proposal proposal_of(const Request& request) {
  Proposal p;
  p.actions = watched_info().actions;
  p.probabilities = {0.25, 0.25, 0.5};
  p.action = static_cast<std::size_t>(request.input[1]);
  p.act = static_cast<decision::Act>(static_cast<int>(request.input[3]));
  p.fallback = "stop";
  if (p.act == decision::Act::kAct) p.answer = p.actions[p.action];
  p.uncertainty.aleatoric = decision::MeasuredUncertainty{request.input[2], "nat", "said", {}, {}};
  if (request.input[0] > 0) p.input_rank = request.input[0];
  p.value_of_asking = 1;
  p.reason = "as said";
  p.rung = "model";
  return p;
}

probe::AssertionSpec steady(bool fail) {
  probe::AssertionSpec s;
  s.name = "calm";
  s.kind = probe::AssertionKind::kSteady;
  s.field = "label";
  s.within = 5;
  s.fail = fail;
  return s;
}
probe::AssertionSpec certain(bool fail) {
  probe::AssertionSpec s;
  s.name = "certain";
  s.kind = probe::AssertionKind::kImplies;
  s.when = "aleatoric > 0.5";
  s.then = "label == 'stop'";
  s.fail = fail;
  return s;
}

struct Watch {
  explicit Watch(MonitorOptions monitors, const std::string& fallback = "stop") {
    options.monitors = std::move(monitors);
    options.fallback = fallback;
    options.queue.gold_every = 0;
    start();
  }
  void start() {
    guard.reset();
    auto opened = Guard::open(watched_info(), folder.path(), {.sync = SyncPolicy::kNone}, options, 1000);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    guard = std::move(opened).value();
    now = guard->clock_start();
    commit();
  }
  void commit() {
    const auto done = guard->journal().commit();
    ASSERT_TRUE(done.ok());
    guard->durable(done->durable, now);
  }
  /// The answer to one request; null while people are asked.
  Json ask(float rank, int action, float aleatoric = 0, decision::Act act = decision::Act::kAct,
           const std::string& unit = "u") {
    const Request request{"r" + std::to_string(next++),
                          unit,
                          {rank, static_cast<float>(action), aleatoric, static_cast<float>(static_cast<int>(act))}};
    guard->admit(request, ++ticket, now);
    const auto work = guard->take_work(1);
    std::vector<Proposal> proposals;
    for (const Work& w : work) proposals.push_back(proposal_of(w.request));
    guard->propose(work, std::move(proposals), now);
    commit();
    const auto answers = guard->take_answers();
    return answers.empty() || answers[0].error ? Json() : Json::parse(answers[0].body);
  }
  const MonitorView view(const std::string& name) const {
    for (const MonitorView& v : guard->state().monitors().view())
      if (v.name == name) return v;
    ADD_FAILURE() << "no monitor " << name;
    return {};
  }

  testing::TempFolder folder;
  GuardOptions options;
  std::unique_ptr<Guard> guard;
  Instant now = 0;
  int next = 0;
  Ticket ticket = 0;
};

MonitorOptions drift(std::vector<DriftSignal> signals, bool fails, double run_length = 100) {
  MonitorOptions options;
  options.drift = std::move(signals);
  options.drift_fails = fails;
  options.run_length = run_length;
  return options;
}

TEST(Monitors, ABrokenAssertionOfSeverityFailTakesTheFallback) {
  for (const bool fails : {false, true}) {
    MonitorOptions options;
    options.assertions = {certain(fails)};
    Watch w(options);
    const Json fine = w.ask(0.5F, 0, 0.2F);
    EXPECT_EQ(fine["detail"]["carry_out"], "go");
    EXPECT_FALSE(fine["detail"].contains("assertions"));
    const Json broken = w.ask(0.5F, 2, 0.8F);
    EXPECT_EQ(broken["detail"]["carry_out"], fails ? "stop" : "turn");
    EXPECT_EQ(broken["record"]["action"], "turn");  // what was proposed stays in the record
    EXPECT_EQ(broken["record"].value("cause", "policy"), fails ? "safeguard" : "policy");
    const Json& said = broken["detail"]["assertions"].at(0);
    EXPECT_EQ(said["name"], "certain");
    EXPECT_EQ(said["correction"], "stop");
    EXPECT_EQ(said["fails"], fails);
    if (fails) {
      EXPECT_THAT(broken["record"]["reason"].get<std::string>(),
                  HasSubstr("assertion 'certain' is broken: label is 'turn', expected == 'stop'"));
    }
    EXPECT_EQ(w.view("assertion.certain").violations, 1U);
    EXPECT_EQ(w.view("assertion.certain").seen, 2U);
    // A refusal is no less safe than the fallback: it stays, and has no label to judge.
    EXPECT_EQ(w.ask(0.5F, 0, 0.8F, decision::Act::kRefuse)["record"]["kind"], "refuse");
  }
}

TEST(Monitors, AUnitThatReturnsToItsLabelIsNotHeldUp) {
  MonitorOptions options;
  options.assertions = {steady(true)};
  Watch w(options);
  const auto at = [&](double seconds, int action) {
    w.now += static_cast<Instant>(seconds * 1e9);
    return w.ask(0.5F, action)["detail"];
  };
  EXPECT_EQ(at(1, 0)["carry_out"], "go");
  EXPECT_EQ(at(1, 0)["carry_out"], "go");
  EXPECT_EQ(at(1, 2)["carry_out"], "turn");  // one change is none too many
  const Json back = at(1, 0);
  EXPECT_EQ(back["carry_out"], "go");  // the rule is broken by the record before; this one agrees with the unit
  EXPECT_EQ(back["assertions"].at(0)["correction"], "go");
  const Json again = at(1, 2);
  EXPECT_EQ(again["carry_out"], "stop");
  EXPECT_EQ(again["assertions"].at(0)["correction"], "go");
  EXPECT_EQ(w.view("assertion.calm").violations, 2U);
  EXPECT_EQ(at(1, 1)["carry_out"], "stop");
  EXPECT_EQ(w.ask(0.5F, 2, 0, decision::Act::kAct, "other")["detail"]["carry_out"], "turn");
}

TEST(Monitors, AnAlarmOfSeverityFailBlocksUntilItIsAcknowledged) {
  Watch w(drift({DriftSignal::kInput}, true, 5000));
  base::Rng rng(1, {"drift"});
  int until = 0;
  while (until < 300 && w.guard->state().monitors().blocking().empty()) {
    EXPECT_EQ(w.ask(static_cast<float>(0.001 + 0.03 * rng.uniform()), 0)["detail"]["carry_out"], "go");
    ++until;
  }
  ASSERT_LT(until, 40);
  EXPECT_EQ(w.view("drift.input").alarm_since, w.now);
  const Json held = w.ask(0.5F, 0);
  EXPECT_EQ(held["detail"]["carry_out"], "stop");
  EXPECT_EQ(held["record"]["action"], "go");
  EXPECT_THAT(held["record"]["reason"].get<std::string>(), HasSubstr("monitor drift.input cries"));
  EXPECT_EQ(w.ask(0.5F, 0, 0, decision::Act::kAsk)["detail"]["carry_out"], "stop");  // nobody is asked
  EXPECT_TRUE(w.guard->state().queue().open().empty());
  EXPECT_EQ(w.ask(0.5F, 0, 0, decision::Act::kRefuse)["record"]["kind"], "refuse");
  EXPECT_EQ(w.guard->acknowledge("drift.model", "ann", w.now).error().where, "unknown_monitor");
  w.start();  // a restart forgets nothing
  EXPECT_EQ(w.ask(0.5F, 0)["detail"]["carry_out"], "stop");
  const auto seen = w.guard->acknowledge("drift.input", "ann", w.now);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(w.ask(0.5F, 0)["detail"]["carry_out"], "go");
  EXPECT_EQ(w.guard->acknowledge("drift.input", "ann", w.now).error().where, "no_alarm");
  // What was new is the reference now: no alarm from more of it.
  for (int i = 0; i < 100; ++i) w.ask(static_cast<float>(0.001 + 0.03 * rng.uniform()), 0);
  EXPECT_FALSE(w.view("drift.input").alarm_since.has_value());
  EXPECT_EQ(w.view("drift.input").violations, 1U);
}

TEST(Monitors, AWarningOnlyCounts) {
  Watch w(drift({DriftSignal::kInput}, false));
  base::Rng rng(2, {"warn"});
  for (int i = 0; i < 60; ++i)
    EXPECT_EQ(w.ask(static_cast<float>(0.001 + 0.03 * rng.uniform()), 0)["detail"]["carry_out"], "go");
  EXPECT_TRUE(w.view("drift.input").alarm_since.has_value());
  const Json list = Json::parse(w.guard->monitors_json());
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["name"], "drift.input");
  EXPECT_EQ(list[0]["kind"], "drift");
  EXPECT_EQ(list[0]["severity"], "warn");
  EXPECT_EQ(list[0]["threshold"], 100);
  EXPECT_GE(list[0]["violations"], 1);
  EXPECT_GE(list[0]["alarm_since"], 999.0);
}

TEST(Monitors, RewardsAndDoubtsAreWatchedAgainstTheirOwnPast) {
  Watch w(drift({DriftSignal::kAleatoric, DriftSignal::kReward}, false, 10'000));
  base::Rng rng(3, {"own past"});
  const auto run = [&](int count, double doubt, double reward) {
    for (int i = 0; i < count; ++i) {
      const std::string id = "r" + std::to_string(w.next);
      w.ask(0.5F, 0, static_cast<float>(doubt * (1 + rng.uniform())));
      ASSERT_TRUE(w.guard->feedback(id, rng.bernoulli(reward) ? 1 : 0, {}, "", w.now).ok());
    }
  };
  run(300, 0.1, 0.9);
  EXPECT_EQ(w.view("drift.aleatoric").violations + w.view("drift.reward").violations, 0U);
  run(60, 0.1, 0.1);
  EXPECT_EQ(w.view("drift.aleatoric").violations, 0U);
  EXPECT_GE(w.view("drift.reward").violations, 1U);
  run(60, 0.3, 0.1);
  EXPECT_GE(w.view("drift.aleatoric").violations, 1U);
}

MonitorOptions everything() {
  MonitorOptions options = drift({DriftSignal::kInput, DriftSignal::kAleatoric, DriftSignal::kReward}, true, 100);
  options.assertions = {steady(true), certain(false)};
  options.units = 3;
  return options;
}

TEST(Monitors, KilledAnywhereTheirStateIsTheFoldOfTheLog) {
  std::uint64_t alarms = 0, violations = 0, acknowledged = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    base::Rng rng(seed, {"monitors"});
    Watch w(everything());
    for (int step = 0; step < 120; ++step) {
      w.now += static_cast<Instant>(rng.below(3000)) * kMillisecond;
      const auto act = rng.bernoulli(0.1) ? decision::Act::kAsk : decision::Act::kAct;
      const float rank =
          rng.bernoulli(0.1) ? 0.0F : static_cast<float>((step > 60 ? 0.05 : 0.999) * rng.uniform() + 5e-4);
      w.ask(rank, static_cast<int>(rng.below(3)), static_cast<float>(rng.uniform()), act,
            rng.bernoulli(0.2) ? "" : "u\"" + std::to_string(rng.below(5)));
      if (rng.bernoulli(0.5))
        (void)w.guard->feedback("r" + std::to_string(rng.below(static_cast<std::uint64_t>(w.next))), rng.normal(), {},
                                "", w.now);
      if (rng.bernoulli(0.05)) acknowledged += w.guard->acknowledge("drift.input", "ann", w.now).ok() ? 1 : 0;
      w.guard->tick(w.now);
      w.commit();
      w.guard->take_answers();
      if (!rng.bernoulli(0.05)) continue;
      const Monitors before = w.guard->state().monitors();
      w.start();
      ASSERT_TRUE(w.guard->state().monitors() == before) << "seed " << seed << ", step " << step;
      ASSERT_EQ(w.guard->state().monitors().json(0), before.json(0));
    }
    alarms += w.view("drift.input").violations;
    violations += w.view("assertion.calm").violations;
  }
  EXPECT_GE(alarms, 10U);
  EXPECT_GE(violations, 100U);
  EXPECT_GE(acknowledged, 5U);
}

TEST(Monitors, AnotherPlanStartsAnew) {
  Watch w(drift({DriftSignal::kInput}, true));
  for (int i = 0; i < 60; ++i) w.ask(0.01F + 0.0001F * static_cast<float>(i), 0);
  ASSERT_TRUE(w.view("drift.input").alarm_since.has_value());
  ASSERT_TRUE(w.guard->acknowledge("drift.input", "ann", w.now).ok());
  w.commit();
  w.options.monitors.run_length = 200;
  w.start();
  EXPECT_EQ(w.view("drift.input").seen, 0U);
  for (int i = 0; i < 60; ++i) w.ask(0.01F + 0.0001F * static_cast<float>(i), 0);
  EXPECT_TRUE(w.view("drift.input").alarm_since.has_value()) << "the calibration rows are still the reference";
  w.options.monitors = {};
  w.start();
  EXPECT_EQ(w.guard->monitors_json(), "[]");
  EXPECT_EQ(w.ask(0.5F, 0)["detail"]["carry_out"], "go");
}

TEST(Monitors, WhatCannotBeWatchedIsRefused) {
  const auto refusal = [](const MonitorOptions& options, DeciderInfo info = watched_info()) {
    const auto plan = MonitorPlan::make(options, info, {"a", "b", "c", "d"});
    return plan.ok() ? std::string("none") : plan.error().text();
  };
  EXPECT_EQ(refusal(everything()), "none");
  EXPECT_THAT(refusal(drift({DriftSignal::kInput, DriftSignal::kInput}, true)), HasSubstr("named twice"));
  EXPECT_THAT(refusal(drift({DriftSignal::kInput}, true, 10)), HasSubstr("run_length"));
  DeciderInfo blind = watched_info();
  blind.reference_rows = 0;
  EXPECT_THAT(refusal(drift({DriftSignal::kInput}, true), blind), HasSubstr("ranks no input"));
  MonitorOptions options;
  options.assertions = {certain(true)};
  options.assertions[0].when = "weight > 1";
  EXPECT_THAT(refusal(options), HasSubstr("no field 'weight'"));
  options.assertions[0].when = "b > 1";
  EXPECT_EQ(refusal(options), "none");
  EXPECT_THAT(parse_drift_signal("features").error().text(), HasSubstr("Signals: input, aleatoric, model, reward"));
}

TEST(MonitorsStatistical, FalseAlarmsOfAllSignalsTogetherKeepTheRunLength) {
  // 200 logs of 500 decisions, two signals, 200 decisions for each false alarm: 500 alarms expected at most.
  auto plan = MonitorPlan::make(drift({DriftSignal::kInput, DriftSignal::kAleatoric}, false, 200), watched_info(), {});
  ASSERT_TRUE(plan.ok());
  const auto shared = std::make_shared<const MonitorPlan>(*plan);
  double alarms = 0, squares = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    base::Rng rng(seed, {"false alarms"});
    // Ranks among 200 calibration rows: their errors are shared by all decisions of a log.
    std::vector<double> calibration(200);
    for (double& x : calibration) x = rng.normal();
    std::sort(calibration.begin(), calibration.end());
    Monitors monitors(shared);
    for (std::uint64_t i = 0; i < 500; ++i) {
      const double rank = robustness::smoothed_p(calibration, rng.normal(), std::max(1e-300, rng.uniform()));
      monitors.apply({shared->checksum(), 0, {rank, std::exp(rng.normal())}, {}, {}, {}}, 0, 1000 * seed + i);
    }
    const auto views = monitors.view();
    const auto here = static_cast<double>(views[0].violations + views[1].violations);
    alarms += here;
    squares += here * here;
  }
  EXPECT_LE(alarms, 500 + 3.7 * std::sqrt(squares - alarms * alarms / 200));
  EXPECT_GE(alarms, 100);
}

TEST(MonitorNote, TheQuickWayAndTheParserAgree) {
  GuardEvent event;
  event.kind = GuardEvent::Kind::kDecide;
  event.id = "a";
  for (const std::string text : {"go", "", "3|5", "quote \" \\", "\u00e4,\"m\":[", "\n"}) {
    event.note = MonitorNote{4'000'000'000U, ~0ULL, {0.1, std::nan(""), 1e-300, -2}, {}, {text, "x"}, {0, 7}};
    const std::string json = *to_json(event);
    std::string spaced = json;
    spaced.insert(spaced.find("\"t\":") + 4, " ");
    for (const std::string& one : {json, spaced}) {
      const auto back = parse_guard_event(one, "here");
      ASSERT_TRUE(back.ok()) << one << back.error().text();
      ASSERT_TRUE(back->note.has_value());
      EXPECT_EQ(*to_json(*back), json);
      EXPECT_EQ(back->note->unit, ~0ULL);
      EXPECT_EQ(back->note->texts[0], text);
      EXPECT_TRUE(std::isnan(back->note->signals[1]));
    }
  }
  event.kind = GuardEvent::Kind::kAcknowledge;
  event.note.reset();
  event.rater = "ann";
  EXPECT_EQ(parse_guard_event(*to_json(event), "here")->rater, "ann");
  for (const char* bad : {"[1]", "[1,2,[],[],[],[-1]]", "[1,-2,[],[],[],[]]", "[1,2,[\"a\"],[],[],[]]", "{}",
                          "[4294967296,2,[],[],[],[]]", "[1,2,[],[],[1],[]]"})
    EXPECT_FALSE(parse_guard_event(fmt::format(R"({{"e":"decide","t":1,"id":"a","k":0,"c":0,"m":{}}})", bad), "x").ok())
        << bad;
}

}  // namespace
}  // namespace plumbline::runtime

#include "plumbline/runtime/log/question_queue.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;

Question question(double value, Instant deadline, const std::string& decision = "d") {
  Question q;
  q.decision = decision;
  q.actions = {"go", "stop", "cut"};
  q.safe = "stop";
  q.value = value;
  q.deadline = deadline;
  return q;
}

void take(QuestionQueue& queue, const std::vector<QueueEvent>& events) {
  for (const QueueEvent& event : events) {
    const auto applied = queue.apply(event);
    ASSERT_TRUE(applied.ok()) << applied.error().text();
  }
}

template <class Commands>
void take(QuestionQueue& queue, const base::Result<Commands>& commands) {
  ASSERT_TRUE(commands.ok()) << commands.error().text();
  if constexpr (std::is_same_v<Commands, QueueEvent>) {
    take(queue, std::vector{*commands});
  } else {
    take(queue, *commands);
  }
}

TEST(QuestionQueue, MostValuePerSecondFirstAndNeverTwoPeopleOnOne) {
  QuestionQueue queue;
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  take(queue, queue.ask(question(5, 100 * kSecond), 0));
  take(queue, queue.ask(question(5, 50 * kSecond), 0));
  const auto first = queue.lease("ann", kSecond);
  EXPECT_EQ(first.front().question, 3U) << "the earlier deadline";
  take(queue, first);
  EXPECT_TRUE(queue.lease("ann", kSecond).empty()) << "one at a time";
  EXPECT_EQ(queue.held_by("ann", kSecond), 3U);
  const auto second = queue.lease("bob", kSecond);
  EXPECT_EQ(second.front().question, 2U);
  take(queue, second);
  EXPECT_EQ(queue.answer("bob", 3, "go", 2 * kSecond).error().where, "not_leased");
}

TEST(QuestionQueue, WhatSomebodyWouldRatherHaveIsNoRightToIt) {
  QuestionQueue queue;
  for (const double value : {1.0, 5.0, 3.0}) take(queue, queue.ask(question(value, 100 * kSecond), 0));
  const auto leased = [&](const std::string& rater, const LeaseWish& wish) {
    const auto events = queue.lease(rater, kSecond, wish);
    return events.empty() ? 0 : events.front().question;
  };
  EXPECT_EQ(leased("ann", {}), 2U);
  EXPECT_EQ(leased("ann", {.first = 1, .except = {}}), 1U);
  EXPECT_EQ(leased("ann", {.first = 0, .except = {2}}), 3U);
  EXPECT_EQ(leased("ann", {.first = 2, .except = {2}}), 3U);
  EXPECT_EQ(leased("ann", {.first = 77, .except = {1, 2, 3}}), 0U);
  take(queue, queue.lease("ann", kSecond, {.first = 1, .except = {}}));
  EXPECT_EQ(leased("bob", {.first = 1, .except = {}}), 2U);
}

TEST(QuestionQueue, KindsThatTakeLongComeLater) {
  QuestionQueue queue({.attention_prior = 10, .attention_weight = 1});
  Question slow = question(3, 1000 * kSecond);
  slow.kind = QuestionKind::kLabel;
  take(queue, queue.ask(slow, 0));
  take(queue, queue.lease("ann", 0));
  take(queue, queue.answer("ann", 1, "go", 50 * kSecond));
  take(queue, queue.due(50 * kSecond));
  EXPECT_DOUBLE_EQ(queue.expected_seconds(QuestionKind::kLabel), (10 + 50) / 2.0);
  EXPECT_DOUBLE_EQ(queue.expected_seconds(QuestionKind::kApprove), 10);
  take(queue, queue.ask(slow, 51 * kSecond));
  Question quick = question(1.5, 1000 * kSecond);
  quick.kind = QuestionKind::kApprove;
  take(queue, queue.ask(quick, 51 * kSecond));
  EXPECT_EQ(queue.lease("ann", 52 * kSecond).front().question, 3U) << "0.15 a second against 0.1";
}

TEST(QuestionQueue, NobodyAnswersInTime) {
  QuestionQueue queue;
  take(queue, queue.ask(question(1, 10 * kSecond), 0));
  take(queue, queue.lease("ann", kSecond));
  EXPECT_TRUE(queue.due(10 * kSecond - 1).empty());
  EXPECT_EQ(*queue.next_due(), 10 * kSecond);
  const auto due = queue.due(10 * kSecond);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].action, "stop");
  EXPECT_EQ(due[0].cause, SettleCause::kExpired);
  EXPECT_EQ(queue.answer("ann", 1, "go", 10 * kSecond).error().where, "question_expired");
  take(queue, due);
  EXPECT_EQ(queue.answer("ann", 1, "go", 11 * kSecond).error().where, "question_expired");
  EXPECT_EQ(queue.answer("ann", 9, "go", 11 * kSecond).error().where, "unknown_question");
  EXPECT_FALSE(queue.next_due().has_value());
}

TEST(QuestionQueue, ALeaseEndsAndTheQuestionGoesToAnother) {
  QuestionQueue queue({.lease = 5 * kSecond});
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  take(queue, queue.lease("ann", 0));
  EXPECT_TRUE(queue.lease("bob", 5 * kSecond - 1).empty());
  EXPECT_EQ(queue.answer("ann", 1, "go", 5 * kSecond).error().where, "lease_expired");
  take(queue, queue.lease("bob", 5 * kSecond));
  EXPECT_EQ(queue.answer("ann", 1, "go", 6 * kSecond).error().where, "not_leased");
  EXPECT_EQ(queue.answer("bob", 1, "fly", 6 * kSecond).error().where, "unknown_action");
  take(queue, queue.release("bob", 1, 6 * kSecond));
  EXPECT_EQ(queue.release("bob", 1, 6 * kSecond).error().where, "not_leased");
  take(queue, queue.lease("ann", 7 * kSecond));
  take(queue, queue.answer("ann", 1, "go", 8 * kSecond));
  EXPECT_DOUBLE_EQ(queue.raters().at("ann").seconds, 1);
}

TEST(QuestionQueue, WhatARaterDeclinedGoesToOthersAlone) {
  QuestionQueue queue;
  take(queue, queue.ask(question(2, 100 * kSecond), 0));
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  take(queue, queue.lease("ann", 0));
  take(queue, queue.release("ann", 1, kSecond, true));
  EXPECT_EQ(queue.lease("ann", kSecond).front().question, 2U);
  EXPECT_EQ(queue.lease("bob", kSecond).front().question, 1U);
  take(queue, queue.lease("bob", kSecond));
  take(queue, queue.release("bob", 1, kSecond));
  EXPECT_EQ(queue.lease("bob", kSecond).front().question, 1U) << "given back, not declined";
}

TEST(QuestionQueue, VetoTakesTheSafeActionAtOnce) {
  QuestionQueue queue;
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  const auto veto = queue.veto("ann", 1, kSecond);
  EXPECT_EQ(veto->back().action, "stop");
  EXPECT_EQ(veto->back().cause, SettleCause::kVetoed);
  take(queue, veto);
  EXPECT_EQ(queue.veto("ann", 1, kSecond).error().where, "question_settled");
  EXPECT_EQ(queue.raters().at("ann").vetoes, 1U);
}

TEST(QuestionQueue, AnAnswerMayBeTakenBackUntilItCounts) {
  QuestionQueue queue({.undo = 3 * kSecond});
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  take(queue, queue.lease("ann", 0));
  take(queue, queue.answer("ann", 1, "go", kSecond));
  EXPECT_TRUE(queue.due(4 * kSecond - 1).empty());
  EXPECT_EQ(queue.undo("bob", 1, 2 * kSecond).error().where, "nothing_to_undo");
  take(queue, queue.undo("ann", 1, 2 * kSecond));
  EXPECT_TRUE(queue.due(50 * kSecond).empty());
  take(queue, queue.lease("ann", 50 * kSecond));
  take(queue, queue.answer("ann", 1, "cut", 51 * kSecond));
  take(queue, queue.due(54 * kSecond));
  EXPECT_EQ(*queue.settled(1), SettleCause::kAnswered);
  EXPECT_EQ(queue.undo("ann", 1, 54 * kSecond).error().where, "question_settled");
}

TEST(QuestionQueue, IrreversibleActionsNeedTwoWhoAgree) {
  for (const std::string second : {"cut", "go", "nobody"}) {
    QuestionQueue queue;
    Question q = question(1, 100 * kSecond);
    q.irreversible = {"cut"};
    take(queue, queue.ask(q, 0));
    take(queue, queue.lease("ann", 0));
    take(queue, queue.answer("ann", 1, "cut", kSecond));
    EXPECT_TRUE(queue.due(2 * kSecond).empty());
    EXPECT_TRUE(queue.lease("ann", 2 * kSecond).empty()) << "not the same person twice";
    EXPECT_EQ(queue.answer("ann", 1, "cut", 2 * kSecond).error().where, "already_answered");
    std::vector<QueueEvent> due;
    if (second == "nobody") {
      due = queue.due(100 * kSecond);
      EXPECT_EQ(due.at(0).cause, SettleCause::kExpired);
    } else {
      take(queue, queue.lease("bob", 2 * kSecond));
      take(queue, queue.answer("bob", 1, second, 3 * kSecond));
      due = queue.due(3 * kSecond);
      EXPECT_EQ(due.at(0).cause, second == "cut" ? SettleCause::kAnswered : SettleCause::kDisagreed);
      EXPECT_EQ(queue.raters().at("ann").pairs, 1U);
      EXPECT_EQ(queue.raters().at("bob").pairs_agreed, second == "cut" ? 1U : 0U);
    }
    EXPECT_EQ(due.at(0).action, second == "cut" ? "cut" : "stop");
  }
}

TEST(QuestionQueue, GoldMeasuresARaterAndDecidesNothing) {
  std::vector<Question> gold;
  for (const std::string name : {"g1", "g2"}) {
    Question q = question(1, 0, "");
    q.gold = "go";
    q.gold_name = name;
    gold.push_back(q);
  }
  QuestionQueue queue({.gold_every = 2}, gold);
  Instant now = 0;
  int shown = 0;
  for (int i = 0; i < 10; ++i) {
    take(queue, queue.ask(question(1, now + 100 * kSecond), now));
    take(queue, queue.lease("ann", now));
    const std::uint64_t held = queue.held_by("ann", now);
    const bool is_gold = !queue.open().at(held).question.gold.empty();
    shown += is_gold ? 1 : 0;
    EXPECT_EQ(is_gold, i == 1 || i == 3) << "every second lease, each gold question once";
    if (is_gold) {
      EXPECT_NE(queue.lease("bob", now).front().question, held);
    }
    take(queue, queue.answer("ann", held, i == 3 ? "cut" : "go", now + kSecond));
    take(queue, queue.due(now + kSecond));
    now += 2 * kSecond;
  }
  EXPECT_EQ(shown, 2);
  EXPECT_EQ(queue.raters().at("ann").gold_answered, 2U);
  EXPECT_EQ(queue.raters().at("ann").gold_right, 1U);
}

TEST(QuestionQueue, AGoldQuestionHasTheTimeOfTheOneThatItGoesBefore) {
  Question gold = question(1, 0, "");
  gold.gold = "go";
  gold.gold_name = "g";
  QuestionQueue queue({.gold_every = 1}, {gold});
  take(queue, queue.ask(question(1, 7 * kSecond), 0));
  const auto leased = queue.lease("ann", kSecond);
  EXPECT_EQ(leased.front().asked->deadline, 7 * kSecond);
  EXPECT_EQ(leased.back().until, 7 * kSecond);
}

TEST(QuestionQueue, QuestionsCostNoMoreThanTheBudgetInAnyWindow) {
  Question gold = question(1, 0, "");
  gold.gold = "go";
  gold.gold_name = "g";
  const QueueLimits limits{.gold_every = 1, .question_cost = 0.5, .budget = 2, .budget_window = 10 * kSecond};
  QuestionQueue queue(limits, {gold});
  std::vector<QueueEvent> log;
  std::vector<Instant> asked;
  int refused = 0;
  base::Rng rng(4, {"budget"});
  for (Instant now = kSecond; now < 200 * kSecond; now += static_cast<Instant>(rng.below(3000)) * kMillisecond) {
    int within = 0;
    for (const Instant at : asked) within += at > now - 10 * kSecond ? 1 : 0;
    EXPECT_DOUBLE_EQ(queue.spent(now), 0.5 * within);
    const auto events = queue.ask(question(1, now + kSecond), now);
    ASSERT_EQ(events.ok(), within < 4) << "four questions in ten seconds";
    if (events.ok()) {
      asked.push_back(now);
      take(queue, events);
      log.insert(log.end(), events->begin(), events->end());
    } else {
      EXPECT_EQ(events.error().where, "budget_spent");
      EXPECT_THAT(events.error().text(), HasSubstr("the budget of 2 for questions in 10 s is spent"));
      ++refused;
    }
    for (const QueueEvent& event : queue.lease("ann", now)) {
      take(queue, std::vector{event});
      log.push_back(event);
    }
    const auto due = queue.due(now);
    take(queue, due);
    log.insert(log.end(), due.begin(), due.end());
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(asked.size(), 40U);
  EXPECT_EQ(queue.raters().at("ann").gold_seen.size(), 1U) << "gold costs nothing";
  QuestionQueue replayed(limits, {gold});
  take(replayed, log);
  EXPECT_TRUE(replayed == queue);
}

TEST(QuestionQueue, WhatBecameOfAQuestionIsTold) {
  QuestionQueue queue;
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  Question q = question(1, 100 * kSecond);
  q.irreversible = {"cut"};
  take(queue, queue.ask(q, 0));
  take(queue, queue.lease("ann", 0));
  take(queue, queue.answer("ann", 1, "go", kSecond));
  take(queue, queue.due(kSecond));
  ASSERT_EQ(queue.settled_lately().size(), 1U);
  EXPECT_EQ(queue.settled_lately().back(), (SettledQuestion{1, SettleCause::kAnswered, "go", "ann", false}));
  take(queue, queue.lease("ann", kSecond));
  EXPECT_FALSE(QuestionQueue::needs_second(queue.open().at(2)));
  take(queue, queue.answer("ann", 2, "cut", 2 * kSecond));
  EXPECT_TRUE(QuestionQueue::needs_second(queue.open().at(2)));
  take(queue, queue.due(100 * kSecond));
  EXPECT_EQ(queue.settled_lately().back(), (SettledQuestion{2, SettleCause::kExpired, "stop", "", false}));
}

TEST(QuestionQueue, AFullQueueKeepsWhatIsWorthMost) {
  QuestionQueue queue({.open = 2});
  take(queue, queue.ask(question(1, 100 * kSecond), 0));
  take(queue, queue.ask(question(2, 100 * kSecond), 0));
  EXPECT_EQ(queue.ask(question(1, 100 * kSecond), 0).error().where, "queue_full");
  const auto displaced = queue.ask(question(3, 100 * kSecond), 0);
  ASSERT_EQ(displaced->size(), 2U);
  EXPECT_EQ(displaced->front().question, 1U);
  EXPECT_EQ(displaced->front().action, "stop");
  take(queue, displaced);
  EXPECT_EQ(queue.veto("ann", 1, 1).error().where, "question_settled");
  take(queue, queue.lease("ann", 0));
  take(queue, queue.lease("bob", 0));
  EXPECT_EQ(queue.ask(question(9, 100 * kSecond), 0).error().where, "queue_full") << "people are at work on both";
}

TEST(QuestionQueue, BadQuestionsAreRefused) {
  const QuestionQueue queue;
  Question q = question(1, 100);
  q.actions.clear();
  EXPECT_THAT(queue.ask(q, 0).error().text(), HasSubstr("no actions"));
  q = question(1, 100);
  q.safe = "fly";
  EXPECT_THAT(queue.ask(q, 0).error().text(), HasSubstr("safe action 'fly'"));
  q = question(1, 100);
  q.irreversible = {"fly"};
  EXPECT_THAT(queue.ask(q, 0).error().text(), HasSubstr("irreversible action 'fly'"));
  EXPECT_FALSE(queue.ask(question(std::numeric_limits<double>::quiet_NaN(), 100), 0).ok());
  EXPECT_FALSE(queue.ask(question(1, 100), 100).ok());
  q = question(1, 100);
  q.proposed = "fly";
  EXPECT_THAT(queue.ask(q, 0).error().text(), HasSubstr("proposed action 'fly'"));
  q = question(1, 100);
  q.candidates = {{"fly", 0.5}};
  EXPECT_THAT(queue.ask(q, 0).error().text(), HasSubstr("candidate 'fly'"));
  q.candidates = {{"go", std::numeric_limits<double>::infinity()}};
  EXPECT_FALSE(queue.ask(q, 0).ok());
  QuestionQueue other;
  EXPECT_FALSE(other.apply({QueueEvent::Kind::kLease, 0, 1, "ann", {}, 1, {}, {}}).ok());
  EXPECT_FALSE(other.apply({QueueEvent::Kind::kAsk, 0, 2, {}, {}, 0, {}, question(1, 100)}).ok());
}

/// The rules again, as plainly as they can be said: every command looks at everything. No gold, no limits on numbers.
class PlainQueue {
 public:
  PlainQueue(Instant lease, Instant undo) : lease_(lease), undo_(undo) {}

  std::string ask(const Question& q) {
    items_.push_back({q, "", 0, 0, {}, false});
    return "ask " + std::to_string(items_.size());
  }
  std::string lease(const std::string& who, Instant now) {
    std::vector<std::size_t> free;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const Item& x = items_[i];
      const bool over = x.over || now >= x.q.deadline;
      if (!over && held(x, now) && x.holder == who) return "none";
      const bool open = x.votes.empty() || (x.votes.size() == 1 && x.q.irreversible.contains(x.votes[0].second.first) &&
                                            x.votes[0].first != who);
      if (!over && !held(x, now) && open) free.push_back(i);
    }
    if (free.empty()) return "none";
    std::stable_sort(free.begin(), free.end(), [&](std::size_t a, std::size_t b) {
      const double pa = items_[a].q.value / mean(items_[a].q.kind);
      const double pb = items_[b].q.value / mean(items_[b].q.kind);
      return pa != pb ? pa > pb : items_[a].q.deadline < items_[b].q.deadline;
    });
    Item& x = items_[free.front()];
    x.holder = who;
    x.from = now;
    x.until = std::min(now + lease_, x.q.deadline);
    return "lease " + std::to_string(free.front() + 1);
  }
  std::string answer(const std::string& who, std::size_t number, const std::string& action, Instant now) {
    if (const std::string wrong = closed(number, now); !wrong.empty()) return wrong;
    Item& x = items_[number - 1];
    for (const auto& vote : x.votes)
      if (vote.first == who) return "already_answered";
    if (x.holder != who) return "not_leased";
    if (now >= x.until) return "lease_expired";
    if (std::find(x.q.actions.begin(), x.q.actions.end(), action) == x.q.actions.end()) return "unknown_action";
    seconds_[x.q.kind] += static_cast<double>(now - x.from) / 1e9;
    ++answers_[x.q.kind];
    x.holder.clear();
    x.votes.push_back({who, {action, now}});
    return "answer";
  }
  std::string release(const std::string& who, std::size_t number, Instant now) {
    if (const std::string wrong = closed(number, now); !wrong.empty()) return wrong;
    if (items_[number - 1].holder != who) return "not_leased";
    items_[number - 1].holder.clear();
    return "release";
  }
  std::string veto(std::size_t number, Instant now) {
    if (const std::string wrong = closed(number, now); !wrong.empty()) return wrong;
    items_[number - 1].over = true;
    return "veto";
  }
  std::string undo(const std::string& who, std::size_t number, Instant now) {
    if (const std::string wrong = closed(number, now); !wrong.empty()) return wrong;
    auto& votes = items_[number - 1].votes;
    if (votes.empty() || votes.back().first != who) return "nothing_to_undo";
    votes.pop_back();
    return "undo";
  }
  /// What is settled by now: number, action, cause.
  std::vector<std::string> due(Instant now) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      Item& x = items_[i];
      if (x.over) continue;
      std::string fate;
      if (!x.votes.empty()) {
        const auto& [action, at] = x.votes.back().second;
        const bool ripe = now >= at + undo_ || now >= x.q.deadline;
        if (ripe && x.votes.size() == 2 && x.votes[0].second.first != action) fate = x.q.safe + " disagreed";
        if (ripe && x.votes.size() == 2 && x.votes[0].second.first == action) fate = action + " answered";
        if (ripe && x.votes.size() == 1 && !x.q.irreversible.contains(action)) fate = action + " answered";
      }
      if (fate.empty() && now >= x.q.deadline) {
        fate = x.q.safe + " expired";
        x.expired = true;
      }
      if (fate.empty()) continue;
      x.over = true;
      all.push_back(std::to_string(i + 1) + " " + fate);
    }
    return all;
  }
  /// Whoever holds a question now, by number.
  std::map<std::size_t, std::string> holders(Instant now) const {
    std::map<std::size_t, std::string> all;
    for (std::size_t i = 0; i < items_.size(); ++i)
      if (!items_[i].over && held(items_[i], now) && now < items_[i].q.deadline) all[i + 1] = items_[i].holder;
    return all;
  }

 private:
  struct Item {
    Question q;
    std::string holder;
    Instant from = 0;
    Instant until = 0;
    std::vector<std::pair<std::string, std::pair<std::string, Instant>>> votes;
    bool over = false;
    bool expired = false;
  };
  static bool held(const Item& x, Instant now) { return !x.holder.empty() && now < x.until; }
  double mean(QuestionKind kind) { return (10.0 * 5 + seconds_[kind]) / (5.0 + answers_[kind]); }
  std::string closed(std::size_t number, Instant now) const {
    if (number < 1 || number > items_.size()) return "unknown_question";
    const Item& x = items_[number - 1];
    if (x.over) return x.expired ? "question_expired" : "question_settled";
    return now >= x.q.deadline ? "question_expired" : "";
  }
  Instant lease_;
  Instant undo_;
  std::map<QuestionKind, double> seconds_;
  std::map<QuestionKind, int> answers_;
  std::vector<Item> items_;
};

template <class Commands>
std::string act_on(QuestionQueue& queue, std::vector<QueueEvent>& log, const base::Result<Commands>& commands,
                   const std::string& word) {
  if (!commands.ok()) return commands.error().where;
  std::vector<QueueEvent> events;
  if constexpr (std::is_same_v<Commands, QueueEvent>) {
    events = {*commands};
  } else {
    events = *commands;
  }
  take(queue, events);
  log.insert(log.end(), events.begin(), events.end());
  return word;
}

TEST(QuestionQueue, AgreesWithThePlainRulesOnRandomSequences) {
  const std::vector<std::string> people = {"ann", "bob", "cy"};
  std::map<std::string, int> outcomes;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    base::Rng rng(seed, {"queue"});
    const Instant lease = 3 * kSecond;
    const Instant undo = seed % 3 == 0 ? 0 : 2 * kSecond;
    QuestionQueue queue({.open = 100000, .lease = lease, .undo = undo, .gold_every = 0});
    PlainQueue plain(lease, undo);
    std::vector<QueueEvent> log;
    Instant now = 0;
    std::uint64_t asked = 0;
    for (int step = 0; step < 150; ++step) {
      now += static_cast<Instant>(rng.below(4)) * kSecond / 2;
      const std::string who = people[rng.below(people.size())];
      // Mostly recent questions; sometimes one that never was.
      std::uint64_t number = asked + 1 - std::min<std::uint64_t>(asked, rng.below(6));
      if (const std::uint64_t held = queue.held_by(who, now); held != 0 && rng.bernoulli(0.6)) number = held;
      std::string got;
      std::string expected;
      switch (rng.below(7)) {
        case 0: {
          Question q =
              question(static_cast<double>(rng.below(4)), now + static_cast<Instant>(1 + rng.below(25)) * kSecond);
          if (rng.bernoulli(0.8)) q.irreversible = {"cut"};
          if (rng.bernoulli(0.2)) q.safe.clear();
          q.kind = static_cast<QuestionKind>(rng.below(4));
          got = act_on(queue, log, queue.ask(q, now), "ask " + std::to_string(++asked));
          expected = plain.ask(q);
          break;
        }
        case 1:
        case 2: {
          const auto events = queue.lease(who, now);
          got = events.empty() ? "none" : "lease " + std::to_string(events.back().question);
          take(queue, events);
          log.insert(log.end(), events.begin(), events.end());
          expected = plain.lease(who, now);
          break;
        }
        case 3: {
          const std::string action = std::vector<std::string>{"go", "cut", "cut", "fly"}[rng.below(4)];
          got = act_on(queue, log, queue.answer(who, number, action, now), "answer");
          expected = plain.answer(who, number, action, now);
          break;
        }
        case 4:
          got = act_on(queue, log, queue.release(who, number, now), "release");
          expected = plain.release(who, number, now);
          break;
        case 5:
          if (rng.bernoulli(0.3)) {
            got = act_on(queue, log, queue.veto(who, number, now), "veto");
            expected = plain.veto(number, now);
          } else {
            for (const auto& [n, item] : queue.open())
              if (rng.bernoulli(0.5) && !item.votes.empty() && item.votes.back().rater == who) number = n;
            got = act_on(queue, log, queue.undo(who, number, now), "undo");
            expected = plain.undo(who, number, now);
          }
          break;
        default: {
          std::vector<std::string> settled;
          const auto events = queue.due(now);
          for (const QueueEvent& e : events)
            settled.push_back(std::to_string(e.question) + " " + e.action + " " +
                              std::string(settle_cause_name(e.cause)));
          take(queue, events);
          log.insert(log.end(), events.begin(), events.end());
          ASSERT_EQ(settled, plain.due(now)) << "seed " << seed << ", step " << step;
          for (const QueueEvent& e : events) ++outcomes[std::string(settle_cause_name(e.cause))];
        }
      }
      ASSERT_EQ(got, expected) << "seed " << seed << ", step " << step;
      ++outcomes[got.substr(0, got.find(' '))];
      const auto holders = plain.holders(now);
      for (const std::string& person : people) {
        std::uint64_t held = 0;
        for (const auto& [n, holder] : holders) held = holder == person ? n : held;
        ASSERT_EQ(queue.held_by(person, now), held) << "seed " << seed << ", step " << step;
      }
    }
    QuestionQueue replayed({.open = 100000, .lease = lease, .undo = undo, .gold_every = 0});
    take(replayed, log);
    EXPECT_TRUE(replayed == queue) << "seed " << seed;
  }
  for (const char* word : {"ask", "lease", "none", "answer", "release", "veto", "undo", "answered", "expired",
                           "disagreed", "already_answered", "not_leased", "lease_expired", "unknown_action",
                           "nothing_to_undo", "question_expired", "question_settled", "unknown_question"})
    EXPECT_GE(outcomes[word], 10) << word << ": the sequences never came there";
}

}  // namespace
}  // namespace plumbline::runtime

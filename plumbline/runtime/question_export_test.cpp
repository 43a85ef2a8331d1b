#include "plumbline/runtime/question_export.hpp"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/question_log.hpp"
#include "plumbline/oversight/queue_report.hpp"
#include "plumbline/runtime/guard.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using Row = testing::TableDecider::Row;

/// A guard under random traffic, with people who answer, give back, take back, veto and let leases run out.
struct Traffic {
  testing::TempFolder folder;
  testing::TableDecider decider;
  std::unique_ptr<Guard> guard;
  Instant now = 0;

  void open() {
    GuardOptions options;
    options.fallback = "stop";
    options.deadline = 30 * kSecond;
    options.margin = kSecond;
    options.irreversible = {"cut"};
    options.queue.undo = kSecond;
    options.queue.lease = 8 * kSecond;
    options.queue.open = 12;
    options.queue.gold_every = 4;
    for (int i = 0; i < 5; ++i) {
      Question q;
      q.actions = {"go", "stop", "cut"};
      q.gold = "go";
      q.gold_name = "line " + std::to_string(i + 1);
      q.kind = QuestionKind::kCorrect;
      q.proposed = i % 2 == 0 ? "go" : "stop";
      options.gold.push_back(q);
    }
    guard.reset();
    auto opened = Guard::open(decider.info(), folder.path(), {.sync = SyncPolicy::kNone}, options, 1000);
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    guard = std::move(opened).value();
    now = guard->clock_start();
    commit();
  }
  void commit() {
    const auto done = guard->journal().commit();
    ASSERT_TRUE(done.ok());
    guard->durable(done->durable, now);
    (void)guard->take_answers();
  }
  void step(base::Rng& rng, int number) {
    const Instant until = now + static_cast<Instant>(rng.below(2000)) * kMillisecond;
    for (auto next = guard->next_event(); next && *next < until; next = guard->next_event()) {
      now = std::max(now + 1, *next);
      guard->tick(now);
      commit();
    }
    now = std::max(now, until);
    const std::string who = std::vector<std::string>{"ann", "bob", "cy"}[rng.below(3)];
    const auto held = guard->state().queue().held_by(who, now);
    switch (rng.below(8)) {
      case 0:
      case 1: {
        // Whole values, so that some are worth exactly as much.
        decider.proposed = rng.below(3);
        decider.plausible =
            rng.bernoulli(0.5) ? std::vector<double>{0.8, 0.1, 0.1} : std::vector<double>{0.5, 0.45, 0.05};
        guard->admit({"r" + std::to_string(number), "u", {float{Row::kAsk}, static_cast<float>(1 + rng.below(5))}}, 1,
                     now);
        const auto work = guard->take_work(10);
        std::vector<Request> requests;
        std::vector<std::uint64_t> streams;
        for (const Work& w : work) {
          requests.push_back(w.request);
          streams.push_back(w.stream);
        }
        if (!work.empty()) guard->propose(work, decider.propose(requests, streams), now);
        break;
      }
      case 2:
      case 3:
      case 4:
        if (held == 0) {
          (void)guard->lease(who, now);
        } else {
          (void)guard->answer(who, held, rng.bernoulli(0.6) ? "go" : "cut", now);
        }
        break;
      case 5:
        if (held != 0 && rng.bernoulli(0.3)) (void)guard->release(who, held, now, rng.bernoulli(0.5));
        break;
      case 6:
        for (const auto& [n, item] : guard->state().queue().open()) {
          if (item.votes.empty() || item.votes.back().rater != who || !rng.bernoulli(0.5)) continue;
          (void)guard->undo(who, n, now);
          break;
        }
        if (held != 0 && rng.bernoulli(0.1)) (void)guard->veto(who, held, now);
        break;
      default: guard->tick(now);
    }
    guard->tick(now);
    commit();
  }
};

TEST(ExportQuestions, TheGuardsOwnQueueIsOrderlyAndItsCountsAreThoseOfTheFold) {
  std::map<std::string, int> causes;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    base::Rng rng(seed, {"export"});
    Traffic t;
    t.open();
    for (int i = 0; i < 250; ++i) t.step(rng, i);
    const testing::TempFolder out;
    const auto counts = export_questions(t.folder.path(), out.file("q.jsonl"));
    ASSERT_TRUE(counts.ok()) << counts.error().text();
    const auto log = data::read_questions(out.file("q.jsonl"));
    ASSERT_TRUE(log.ok()) << log.error().text();
    EXPECT_EQ(counts->questions + counts->gold, log->size());
    const QuestionQueue& queue = t.guard->state().queue();
    EXPECT_EQ(counts->open, queue.open().size());
    const auto report = oversight::queue_report(*log, {.least_gold = 1});
    ASSERT_TRUE(report.ok()) << report.error().text();
    EXPECT_EQ(report->inversion_share->value, 0) << "seed " << seed << ", question " << report->inverted.front();
    EXPECT_EQ(report->overrun_share->value, 0);
    std::uint64_t leases = 0;
    for (const auto& [name, record] : queue.raters()) {
      leases += record.leases;
      const auto found = std::find_if(report->raters.begin(), report->raters.end(),
                                      [&who = name](const oversight::RaterFigures& r) { return r.name == who; });
      ASSERT_NE(found, report->raters.end());
      EXPECT_EQ(found->answers + record.undone, record.answers);
      if (record.undone == 0) {
        EXPECT_EQ(found->gold_answered, record.gold_answered);
        EXPECT_EQ(found->gold_right, record.gold_right);
      }
      if (record.answers > 0) {
        EXPECT_NEAR(found->seconds, record.seconds / static_cast<double>(record.answers), 1e-6);
      }
    }
    std::uint64_t gold_leases = 0;
    for (const auto& q : *log) {
      gold_leases += q.is_gold() ? q.leases.size() : 0;
      ++causes[q.cause];
      if (q.is_gold() || q.cause.empty()) continue;
      ASSERT_TRUE(q.decided && q.decision_deadline);
      EXPECT_NEAR(*q.decision_deadline - q.deadline, 1, 1e-6) << "the margin";
      EXPECT_LE(*q.decided, *q.decision_deadline);
    }
    EXPECT_EQ(report->leases + gold_leases, leases);
  }
  for (const char* cause : {"answered", "expired", "vetoed", "disagreed", "displaced", ""})
    EXPECT_GE(causes[cause], 3) << cause << ": the traffic never came there";
}

TEST(ExportQuestions, NothingToReadOrToWriteTo) {
  const testing::TempFolder out;
  EXPECT_FALSE(export_questions(out.file("nowhere"), out.file("q.jsonl")).ok());
  base::Rng rng(1);
  Traffic t;
  t.open();
  const auto none = export_questions(t.folder.path(), out.file("q.jsonl"));
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->questions, 0U);
  EXPECT_FALSE(export_questions(t.folder.path(), out.file("no/folder/q.jsonl")).ok());
}

}  // namespace
}  // namespace plumbline::runtime

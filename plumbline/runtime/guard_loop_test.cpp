#include "plumbline/runtime/guard_loop.hpp"

#include <future>

#include <gtest/gtest.h>

#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

/// Collects replies until there are as many as wanted.
class Inbox {
 public:
  GuardLoop::Reply reply() {
    return [this](Answer answer) {
      const std::lock_guard lock(mutex_);
      answers_.push_back(std::move(answer));
      came_.notify_all();
    };
  }
  std::vector<Answer> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::seconds(60), [&] { return answers_.size() >= count; });
    return answers_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<Answer> answers_;
};

/// Answers when it is let to.
class HeldDecider final : public Decider {
 public:
  const DeciderInfo& info() const override { return table.info(); }
  base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                              std::span<const std::uint64_t> streams) override {
    if (throws) throw std::runtime_error("no model");
    opened.wait();
    return table.propose(requests, streams);
  }
  testing::TableDecider table;
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  bool throws = false;
};

std::unique_ptr<Guard> open_guard(const Decider& decider, const std::string& folder, const GuardOptions& options) {
  auto guard = Guard::open(decider.info(), folder, {}, options, 0);
  EXPECT_TRUE(guard.ok()) << guard.error().text();
  return guard.ok() ? std::move(guard).value() : nullptr;
}

std::vector<Request> requests(int count, const std::string& prefix) {
  std::vector<Request> all;
  for (int i = 0; i < count; ++i) all.push_back({prefix + std::to_string(i), "", {0, 0}});
  return all;
}

TEST(GuardLoop, BatchesFromManyThreadsAreAllAnsweredAndLogged) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  GuardOptions options;
  options.deadline = 300 * kSecond;
  {
    GuardLoop loop(open_guard(decider, folder.path(), options), decider, {.batch = 16});
    Inbox inbox;
    std::vector<std::thread> clients;
    for (int c = 0; c < 4; ++c)
      clients.emplace_back([&, c] {
        for (int i = 0; i < 5; ++i)
          EXPECT_TRUE(loop.decide(requests(20, std::to_string(c) + "/" + std::to_string(i) + "/"), {}, inbox.reply()));
      });
    for (std::thread& client : clients) client.join();
    const auto answers = inbox.wait_for(400);
    ASSERT_EQ(answers.size(), 400U);
    for (const Answer& answer : answers) EXPECT_FALSE(answer.error.has_value());
    EXPECT_TRUE(loop.drain(std::chrono::seconds(60)));
    EXPECT_TRUE(loop.decide(requests(1, "late"), {}, inbox.reply()));
    EXPECT_EQ(inbox.wait_for(401).back().error->where, "draining");
    EXPECT_GT(loop.metrics().commits, 0U);
  }
  std::size_t decided = 0;
  ASSERT_TRUE(read_journal(folder.path(), [&](const JournalFrame& frame) -> base::Status {
                PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, ""));
                decided += event.kind == GuardEvent::Kind::kDecide ? 1U : 0U;
                return base::ok();
              }).ok());
  EXPECT_EQ(decided, 400U);
}

TEST(GuardLoop, ADeadModelDoesNotHoldUpTheFallback) {
  const testing::TempFolder folder;
  HeldDecider decider;
  GuardOptions options;
  options.fallback = "stop";
  options.deadline = 5 * kSecond;
  options.margin = 4900 * kMillisecond;  // so that the fallback is due at once, and a slow disk has time
  GuardLoop loop(open_guard(decider, folder.path(), options), decider);
  Inbox inbox;
  ASSERT_TRUE(loop.decide(requests(3, "r"), {}, inbox.reply()));
  const auto answers = inbox.wait_for(3);
  ASSERT_EQ(answers.size(), 3U);
  for (const Answer& answer : answers) {
    // On a disk that takes over a tenth of a second to sync, the refusal is the right answer.
    if (answer.error) {
      EXPECT_EQ(answer.error->where, "log_stalled");
    } else {
      EXPECT_NE(answer.body.find("timeout"), std::string::npos);
    }
  }
  decider.gate.set_value();
}

TEST(GuardLoop, BeforeADeadModelNothingPilesUp) {
  const testing::TempFolder folder;
  HeldDecider decider;
  GuardOptions options;
  options.fallback = "stop";
  options.deadline = 2 * kSecond;
  options.margin = 1990 * kMillisecond;  // the fallback is due at once
  GuardLoop loop(open_guard(decider, folder.path(), options), decider, {.batch = 4});
  Inbox inbox;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(loop.decide(requests(10, std::to_string(i) + "/"), {}, inbox.reply()));
    ASSERT_EQ(inbox.wait_for(10 * static_cast<std::size_t>(i + 1)).size(), 10 * static_cast<std::size_t>(i + 1));
  }
  decider.gate.set_value();
  EXPECT_TRUE(loop.drain(std::chrono::seconds(60)));
  std::promise<std::uint64_t> wasted;
  ASSERT_TRUE(loop.post([&](Guard& guard, Instant) { wasted.set_value(guard.traffic().wasted); }));
  // One batch was with the decider and one was ahead of it; it is asked about no other.
  EXPECT_LE(wasted.get_future().get(), 8U);
}

TEST(GuardLoop, ADeciderThatThrowsHasDecidedNothing) {
  const testing::TempFolder folder;
  HeldDecider decider;
  decider.throws = true;
  GuardOptions options;
  options.deadline = 300 * kSecond;
  GuardLoop loop(open_guard(decider, folder.path(), options), decider);
  Inbox inbox;
  ASSERT_TRUE(loop.decide(requests(1, "r"), {}, inbox.reply()));
  const auto answers = inbox.wait_for(1);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_NE(answers[0].body.find("the decider failed: no model"), std::string::npos);
}

TEST(GuardLoop, CommandsAreBoundedAndTheirEffectsDurable) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  GuardOptions options;
  options.deadline = 300 * kSecond;
  GuardLoop loop(open_guard(decider, folder.path(), options), decider, {.commands = 2});
  std::promise<void> gate;
  std::promise<base::Status> durable;
  ASSERT_TRUE(loop.post([&](Guard&, Instant) { gate.get_future().wait(); }));
  int taken = 0;
  while (taken < 10 && loop.post([](Guard&, Instant) {})) ++taken;
  EXPECT_LE(taken, 3);
  EXPECT_FALSE(loop.decide(requests(1, "r"), {}, [](Answer) {}));
  gate.set_value();
  Inbox inbox;
  while (!loop.decide(requests(1, "r"), {}, inbox.reply())) std::this_thread::yield();
  ASSERT_EQ(inbox.wait_for(1).size(), 1U);
  while (!loop.post([&](Guard& guard, Instant now) {
    const auto frame = guard.feedback("r0", 1, {}, "", now);
    loop.when_durable(*frame, [&](const base::Status& status) { durable.set_value(status); });
  }))
    std::this_thread::yield();
  EXPECT_TRUE(durable.get_future().get().ok());
}

}  // namespace
}  // namespace plumbline::runtime

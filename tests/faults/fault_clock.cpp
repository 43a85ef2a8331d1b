/// The machine's wall clock jumps back and forth under load. The guard reads it once, at its start: deadlines, the
/// times of records and the expiry of tokens go by the monotonic clock from there on.

#include <atomic>
#include <cstdio>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "tests/faults/faults.hpp"

namespace {
std::atomic<std::int64_t> wall_offset{0};  // seconds
}

/// What the C library's function does, with the wall clock moved: this program's own definition goes before it, and
/// std::chrono::system_clock reads it.
extern "C" int clock_gettime(clockid_t clock, timespec* out) {
  const long result = syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && clock == CLOCK_REALTIME) out->tv_sec += wall_offset;
  return static_cast<int>(result);
}

namespace plumbline::faults {
namespace {

double wall_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

TEST(FaultClock, TheHookMovesTheWallClockAndNoOther) {
  const double before = wall_now();
  const auto steady = std::chrono::steady_clock::now();
  wall_offset = 1000;
  EXPECT_NEAR(wall_now() - before, 1000, 60);
  EXPECT_LT(std::chrono::steady_clock::now() - steady, std::chrono::seconds(60));
  wall_offset = 0;
  EXPECT_NEAR(wall_now() - before, 0, 60);
}

TEST(FaultClock, JumpsOfTheWallClockChangeNothing) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 600 * runtime::kMillisecond;
  options.margin = 300 * runtime::kMillisecond;
  options.queue.gold_every = 0;
  const double began = wall_now();
  std::vector<double> times;
  std::size_t overdue = 0, late = 0, timeouts = 0;
  {
    auto guard = runtime::Guard::open(decider.info(), folder.path(), {}, options, began);
    ASSERT_TRUE(guard.ok());
    runtime::GuardLoop loop(std::move(guard).value(), decider);
    // Back to 1970, years forth, an hour, a second: each is there when requests come in and while they wait.
    const std::vector<std::int64_t> jumps = {3600, -3600, 1, -static_cast<std::int64_t>(began), 400'000'000, 0};
    const int rounds = long_form() ? 60 : 6;
    std::mutex mutex;
    Tally tally;
    std::size_t sent = 0;
    for (int round = 0; round < rounds; ++round) {
      std::vector<runtime::Request> batch = batch_of(20, std::to_string(round) + "/");
      for (std::size_t i = 0; i < batch.size(); ++i)
        batch[i].input[0] = i == 0 ? 2 : 0;  // one asks, and nobody answers
      sent += batch.size();
      const runtime::Instant since = loop.now();
      const auto reply = [&, since](const runtime::Answer& answer) {
        {
          const std::lock_guard lock(mutex);
          if (answer.error) {
            late += answer.error->where == "late" ? 1U : 0U;
          } else {
            const auto record = nlohmann::json::parse(answer.body).at("record");
            times.push_back(record.at("time").get<double>());
            timeouts += record.value("cause", "") == "timeout" || record.value("cause", "") == "person" ? 1U : 0U;
            overdue += loop.now() > since + options.deadline ? 1U : 0U;
          }
        }
        tally.add(!answer.error);
      };
      ASSERT_TRUE(loop.decide(std::move(batch), {}, reply));
      wall_offset = jumps[static_cast<std::size_t>(round) % jumps.size()];
      tally.wait_for(sent);
      // What expires, tokens above all, is asked by this clock.
      EXPECT_NEAR(loop.wall() - began, static_cast<double>(loop.now()) / 1e9, 1);
      EXPECT_LT(loop.wall() - began, 120);
      EXPECT_GE(loop.wall(), began);
    }
    EXPECT_EQ(tally.refused(), 0U);
    EXPECT_EQ(timeouts, static_cast<std::size_t>(rounds)) << "each question ended at its own deadline";
  }
  wall_offset = 0;
  EXPECT_EQ(overdue, 0U);
  EXPECT_EQ(late, 0U);
  for (const double time : times) {
    EXPECT_GE(time, began);
    EXPECT_LE(time, wall_now() + 1);
  }
}

TEST(FaultClock, ARestartUnderAClockThatWasSetBackGoesOn) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 60 * runtime::kSecond;
  std::size_t decided = 0;
  for (const std::int64_t jump : {std::int64_t{0}, std::int64_t{-100'000'000}, std::int64_t{100'000'000}}) {
    wall_offset = jump;
    auto guard = runtime::Guard::open(decider.info(), folder.path(), {}, options, wall_now());
    ASSERT_TRUE(guard.ok()) << guard.error().text();
    const runtime::Instant last = (*guard)->state().last();
    runtime::GuardLoop loop(std::move(guard).value(), decider);
    EXPECT_GE(loop.now(), last) << "the guard's own clock never goes back";
    Tally tally;
    auto batch = batch_of(5, std::to_string(jump) + "/");
    for (runtime::Request& request : batch) request.input[0] = 0;
    ASSERT_TRUE(loop.decide(std::move(batch), {}, [&](const runtime::Answer& answer) { tally.add(!answer.error); }));
    tally.wait_for(5);
    decided += tally.answered();
  }
  wall_offset = 0;
  EXPECT_EQ(decided, 15U);
}

}  // namespace
}  // namespace plumbline::faults

/// The disk fills, or a write fails, under load: what was acknowledged is there, everything else was refused, and with
/// room again the guard goes on.

#include <csignal>
#include <filesystem>
#include <fstream>

#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/faults/faults.hpp"

namespace plumbline::faults {
namespace {

std::size_t decided_in(const std::string& folder) {
  std::size_t decided = 0;
  const auto read = runtime::read_journal(folder, [&](const runtime::JournalFrame& frame) -> base::Status {
    PL_TRY(const runtime::GuardEvent event, runtime::parse_guard_event(frame.payload, "journal"));
    decided += event.kind == runtime::GuardEvent::Kind::kDecide ? 1U : 0U;
    return base::ok();
  });
  EXPECT_TRUE(read.ok()) << read.error().text();
  return decided;
}

TEST(FaultDisk, AWriteThatFailsStopsTheGuardAndLosesNothing) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 300 * runtime::kSecond;
  Tally tally;
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    runtime::GuardLoop loop(open_guard(decider, folder.path(), options), decider);
    const rlimit limit{100'000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::size_t sent = 0;
    for (int call = 0; call < 100; ++call) {
      std::vector<runtime::Request> batch = batch_of(10, std::to_string(call) + "/");
      for (runtime::Request& request : batch) request.input[0] = 0;
      sent += batch.size();
      ASSERT_TRUE(loop.decide(std::move(batch), {}, [&](const runtime::Answer& answer) {
        EXPECT_EQ(answer.error ? answer.error->where : "log_refused", "log_refused");
        tally.add(!answer.error);
      }));
      tally.wait_for(sent);
    }
    EXPECT_TRUE(loop.stopped());
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_GT(tally.answered(), 0U);
  EXPECT_GT(tally.refused(), 0U);
  EXPECT_GE(decided_in(folder.path()), tally.answered());
  EXPECT_EQ(open_guard(decider, folder.path(), options)->state().counts().voided, 0U);
}

TEST(FaultDisk, AFullDiskRefusesAtOnceAndWithRoomItGoesOn) {
  const testing::TempFolder folder;
  if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "this user may not mount a small file system";
  struct Unmount {
    std::string path;
    ~Unmount() { umount2(path.c_str(), MNT_DETACH); }
  } const unmount{folder.path()};
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 4 * runtime::kSecond;
  options.margin = 2 * runtime::kSecond;
  runtime::GuardLoop loop(open_guard(decider, folder.file("log"), options), decider);
  std::ofstream(folder.file("filler")) << std::string(600'000, 'x');
  const auto ask = [&](const std::string& name) {
    Tally tally;
    std::vector<runtime::Request> batch = batch_of(10, name + "/");
    for (runtime::Request& request : batch) request.input[0] = 0;
    EXPECT_TRUE(loop.decide(std::move(batch), {}, [&](const runtime::Answer& answer) {
      EXPECT_EQ(answer.error ? answer.error->where : "log_refused", "log_refused");
      tally.add(!answer.error);
    }));
    // Those whose arrival was the last that found room get the fallback, which needs none.
    tally.wait_for(10);
    return tally.answered();
  };
  std::size_t acknowledged = 0;
  int calls = 0;
  for (std::size_t last = 10; last == 10 && calls < 1000; ++calls) acknowledged += last = ask(std::to_string(calls));
  EXPECT_LT(calls, 1000) << "the disk never filled";
  EXPECT_EQ(ask("full"), 0U);
  EXPECT_FALSE(loop.stopped()) << "nothing was written halfway";
  std::filesystem::remove(folder.file("filler"));
  EXPECT_EQ(ask("roomy"), 10U);
  EXPECT_TRUE(loop.drain(std::chrono::minutes(1)));
  EXPECT_GE(decided_in(folder.file("log")), acknowledged + 10);
}

}  // namespace
}  // namespace plumbline::faults

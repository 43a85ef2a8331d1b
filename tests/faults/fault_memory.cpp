/// Memory over many decisions is bounded by what is remembered, not by what was decided: 300,000 in the long form.

#include <cstdio>
#include <fstream>

#include <unistd.h>

#include "tests/faults/faults.hpp"

namespace plumbline::faults {
namespace {

/// Of this process, in MiB.
double resident() {
  std::ifstream in("/proc/self/statm");
  double pages = 0, resident_pages = 0;
  in >> pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576;
}

TEST(FaultMemory, DoesNotGrowWithTheNumberOfDecisions) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 300 * runtime::kSecond;
  options.remembered = 5000;
  options.queue.gold_every = 0;
  const std::size_t wanted = long_form() ? 300'000 : 45'000;
  runtime::GuardLoop loop(open_guard(decider, folder.path(), options, {.sync = runtime::SyncPolicy::kNone}), decider);
  Tally tally;
  std::size_t sent = 0;
  double warm = 0;
  for (int call = 0; sent < wanted; ++call) {
    std::vector<runtime::Request> batch = batch_of(100, std::to_string(call) + "/");
    // Acts, sets, fallbacks, refusals and failures in turn; rewards for some.
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i].input[0] = i % 9 == 2 ? 0 : static_cast<float>(i % 9);
    sent += batch.size();
    ASSERT_TRUE(loop.decide(std::move(batch), {}, [&](const runtime::Answer& answer) { tally.add(!answer.error); }));
    tally.wait_for(sent);
    const std::string rewarded = std::to_string(call) + "/0";
    loop.post(
        [rewarded](runtime::Guard& guard, runtime::Instant now) { (void)guard.feedback(rewarded, 1, {}, "ann", now); });
    if (warm == 0 && sent >= wanted / 3) warm = resident();
  }
  const double end = resident();
  std::printf("%zu decisions: %.1f MiB after a third, %.1f MiB at the end\n", sent, warm, end);
  EXPECT_EQ(tally.refused(), 0U);
  // 600 bytes a record would be 18 MiB over the two thirds of the short form, 115 MiB over those of the long one.
  EXPECT_LT(end - warm, 8) << "MiB";
  EXPECT_LT(end, 300) << "MiB";
}

}  // namespace
}  // namespace plumbline::faults

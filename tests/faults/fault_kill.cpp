/// kill -9 at random under load: 20 times, 1,000 in the long form. Every acknowledged decision is there afterwards,
/// with the record that was acknowledged, and the guard goes on from it.

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>

#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/crc32c.hpp"
#include "tests/faults/faults.hpp"

namespace plumbline::faults {
namespace {

runtime::GuardOptions patient() {
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 300 * runtime::kSecond;
  options.queue.gold_every = 0;
  return options;
}

[[noreturn]] void serve_until_killed(const std::string& folder, int pipe, int life) {
  testing::TableDecider decider;
  auto guard = runtime::Guard::open(decider.info(), folder, {.segment_bytes = 200'000}, patient(), 0);
  if (!guard.ok()) _exit(2);
  runtime::GuardLoop loop(std::move(guard).value(), decider, {.batch = 8});
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&, c] {
      for (int call = 0;; ++call) ask_and_tell(loop, std::to_string(life) + "/" + std::to_string(c) + "/", call, pipe);
    });
  }
  for (;;) pause();
}

TEST(FaultKill, EveryAcknowledgedDecisionIsThere) {
  auto folder = std::make_unique<testing::TempFolder>();
  const int kills = long_form() ? 1000 : 20;
  std::size_t lives_of_log = 0, total = 0;
  std::map<std::string, std::uint32_t> acknowledged;
  base::Rng rng(11);
  for (int life = 0; life < kills; ++life) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      serve_until_killed(folder->path(), ends[1], life);
    }
    close(ends[1]);
    const auto take = [&] {
      Told told;
      if (read(ends[0], &told, sizeof told) != static_cast<ssize_t>(sizeof told)) return false;
      acknowledged[told.id.data()] = told.body;
      return true;
    };
    for (std::uint64_t left = 1 + rng.below(150); left > 0; --left) ASSERT_TRUE(take()) << "the guard ended by itself";
    usleep(static_cast<useconds_t>(rng.below(3000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the guard ended by itself with " << WEXITSTATUS(status);
    while (take()) {
    }
    close(ends[0]);
    std::map<std::string, std::uint32_t> found;
    const auto read = runtime::read_journal(folder->path(), [&](const runtime::JournalFrame& frame) -> base::Status {
      PL_TRY(const runtime::GuardEvent event, runtime::parse_guard_event(frame.payload, "journal"));
      if (event.kind == runtime::GuardEvent::Kind::kDecide)
        found[event.id] = base::crc32c(runtime::answer_body(frame.payload));
      return base::ok();
    });
    ASSERT_TRUE(read.ok()) << read.error().text();
    for (const auto& [id, body] : acknowledged) {
      ASSERT_TRUE(found.contains(id)) << id << " was acknowledged and is lost, kill " << life;
      ASSERT_EQ(found[id], body) << id << " was acknowledged otherwise, kill " << life;
    }
    // What was checked need not be read a thousand times again: a log lives through fifty kills.
    total += ++lives_of_log == 50 || life + 1 == kills ? acknowledged.size() : 0;
    if (lives_of_log < 50) continue;
    lives_of_log = 0;
    acknowledged.clear();
    folder = std::make_unique<testing::TempFolder>();
  }
  std::printf("%d kills, %zu acknowledged decisions, all there\n", kills, total);
}

}  // namespace
}  // namespace plumbline::faults

/// The log's database is killed and comes back, again and again, under load: what was acknowledged is in it, with the
/// record that was acknowledged; while it is away requests are refused and counted; the guard's process goes on. And
/// guards that are killed are succeeded by others on the same partition, while a neighbour works on another.

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/crc32c.hpp"
#include "tests/faults/faults.hpp"
#include "tests/support/postgres_cluster.hpp"

namespace plumbline::faults {
namespace {

struct Acknowledged {
  std::mutex mutex;
  std::map<std::string, std::uint32_t> bodies;
};

std::map<std::string, std::uint32_t> decided_in(const std::string& url, const std::string& partition) {
  std::map<std::string, std::uint32_t> found;
  const auto read = runtime::read_journal(
      url,
      [&](const runtime::JournalFrame& frame) -> base::Status {
        PL_TRY(const runtime::GuardEvent event, runtime::parse_guard_event(frame.payload, "journal"));
        if (event.kind == runtime::GuardEvent::Kind::kDecide) {
          EXPECT_TRUE(found.emplace(event.id, base::crc32c(runtime::answer_body(frame.payload))).second) << event.id;
        }
        return base::ok();
      },
      partition);
  EXPECT_TRUE(read.ok()) << read.error().text();
  return found;
}

TEST(FaultPostgres, RestartedMidFlightItLosesNothingAcknowledged) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("midflight");
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 600 * runtime::kMillisecond;
  options.margin = 300 * runtime::kMillisecond;
  options.queue.gold_every = 0;
  const int restarts = long_form() ? 60 : 4;
  Acknowledged told;
  std::map<std::string, std::uint64_t> refused;
  std::uint64_t late = 0;
  std::atomic<bool> ending = false;
  std::set<std::string> after_last;
  {
    runtime::GuardLoop loop(open_guard(decider, url, options, {.partition = "p"}), decider, {.batch = 16});
    std::vector<std::thread> clients;
    for (int c = 0; c < 3; ++c) {
      clients.emplace_back([&, c] {
        for (int call = 0; !ending; ++call) {
          std::vector<runtime::Request> batch = batch_of(5, std::to_string(c) + "/" + std::to_string(call) + "/");
          for (runtime::Request& request : batch) request.input[0] = static_cast<float>(call % 2);
          auto tally = std::make_shared<Tally>();
          loop.decide(std::move(batch), {}, [&, tally](const runtime::Answer& answer) {
            {
              const std::lock_guard lock(told.mutex);
              if (answer.error) {
                ++refused[answer.error->where];
              } else {
                told.bodies[answer.id] = base::crc32c(answer.body);
                late += loop.now() > answer.deadline && answer.deadline != 0 ? 1U : 0U;
              }
            }
            tally->add(!answer.error);
          });
          tally->wait_for(5);
          if (tally->refused() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      });
    }
    const auto acknowledged = [&] {
      const std::lock_guard lock(told.mutex);
      return told.bodies.size();
    };
    const auto wait_beyond = [&](std::size_t count) {
      for (int i = 0; i < 6000 && acknowledged() <= count; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      EXPECT_GT(acknowledged(), count) << "it did not go on";
    };
    wait_beyond(50);
    base::Rng rng(5);
    for (int i = 0; i < restarts; ++i) {
      cluster.stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(rng.below(800)));
      cluster.start();
      wait_beyond(acknowledged() + 50);
      std::this_thread::sleep_for(std::chrono::milliseconds(rng.below(100)));
    }
    ending = true;
    for (std::thread& client : clients) client.join();
    EXPECT_FALSE(loop.stopped());
    EXPECT_TRUE(loop.drain(std::chrono::minutes(1)));
    EXPECT_GE(loop.metrics().reconnects, static_cast<std::uint64_t>(restarts));
    EXPECT_FALSE(loop.metrics().away);
  }
  std::string words;
  for (const auto& [word, count] : refused) words += " " + word + " " + std::to_string(count);
  std::printf("%zu acknowledged over %d restarts of the database; refused:%s\n", told.bodies.size(), restarts,
              words.c_str());
  EXPECT_GT(refused["log_refused"], 0U) << "while it is away, at once";
  for (const auto& [word, count] : refused)
    EXPECT_TRUE(word == "log_refused" || word == "log_stalled" || word == "late") << word;
  const auto found = decided_in(url, "p");
  std::size_t promised = 0;
  for (const auto& [id, body] : told.bodies) {
    ASSERT_TRUE(found.contains(id)) << id << " was acknowledged and is lost";
    // A fallback that went out on the strength of its promise, before its own frame was durable, may be told anew.
    promised += found.at(id) != body ? 1U : 0U;
  }
  EXPECT_EQ(promised, 0U);
  EXPECT_EQ(late, 0U);
}

[[noreturn]] void serve_until_killed(const std::string& url, int pipe, int life) {
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 300 * runtime::kSecond;
  auto guard = runtime::Guard::open(decider.info(), url, {.partition = "p"}, options, 0);
  if (!guard.ok()) _exit(2);
  runtime::GuardLoop loop(std::move(guard).value(), decider, {.batch = 8});
  for (int call = 0;; ++call) ask_and_tell(loop, std::to_string(life) + "/", call, pipe);
}

TEST(FaultPostgres, AKilledGuardIsSucceededAndItsNeighbourIsNotDisturbed) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("successors");
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 300 * runtime::kSecond;
  runtime::GuardLoop neighbour(open_guard(decider, url, options, {.partition = "neighbour"}), decider);
  const int kills = long_form() ? 200 : 6;
  std::map<std::string, std::uint32_t> acknowledged;
  base::Rng rng(11);
  std::size_t asked = 0;
  Tally tally;
  for (int life = 0; life < kills; ++life) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      serve_until_killed(url, ends[1], life);
    }
    close(ends[1]);
    const auto take = [&] {
      Told told;
      if (read(ends[0], &told, sizeof told) != static_cast<ssize_t>(sizeof told)) return false;
      acknowledged[told.id.data()] = told.body;
      return true;
    };
    neighbour.decide(batch_of(1, "n" + std::to_string(life) + "/"), {},
                     [&](const runtime::Answer& answer) { tally.add(!answer.error); });
    ++asked;
    for (std::uint64_t left = 1 + rng.below(100); left > 0; --left) ASSERT_TRUE(take()) << "the guard ended by itself";
    usleep(static_cast<useconds_t>(rng.below(3000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the guard ended by itself with " << WEXITSTATUS(status);
    while (take()) {
    }
    close(ends[0]);
  }
  const auto found = decided_in(url, "p");
  for (const auto& [id, body] : acknowledged) {
    ASSERT_TRUE(found.contains(id)) << id << " was acknowledged and is lost";
    ASSERT_EQ(found.at(id), body) << id << " was acknowledged otherwise";
  }
  tally.wait_for(asked);
  EXPECT_EQ(tally.refused(), 0U);
  EXPECT_EQ(decided_in(url, "neighbour").size(), asked);
}

}  // namespace
}  // namespace plumbline::faults

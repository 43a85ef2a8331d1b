// The guard without HTTP, with a decider that costs nothing: what arrival, log, group commit and answer cost, by sync
// policy, beside the disk's own fdatasync; and how fast a log is replayed. Every answer is checked before anything
// counts.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "plumbline/runtime/guard_loop.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

/// A write of one small group and its fdatasync, as the journal does it.
void print_disk(const std::string& folder) {
  const int fd = open((folder + "/probe").c_str(), O_RDWR | O_CREAT, 0600);
  const std::string block(4096, 'x');
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    if (pwrite(fd, block.data(), block.size(), i * 4096) < 0 || fdatasync(fd) != 0) std::exit(1);
    times.push_back(seconds_since(start));
  }
  close(fd);
  fmt::print("fdatasync of 4 KiB: median {:.3f} ms, p99 {:.3f} ms\n", 1e3 * quantile(times, 0.5),
             1e3 * quantile(times, 0.99));
}

/// `callers` threads, each with one call of `batch` requests under way at a time.
void run(runtime::SyncPolicy sync, std::size_t batch, std::size_t callers, double seconds) {
  const testing::TempFolder folder;
  testing::TableDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 60 * runtime::kSecond;
  auto guard = runtime::Guard::open(decider.info(), folder.path(), {.sync = sync}, options, 0);
  if (!guard.ok()) std::exit(1);
  std::vector<std::vector<double>> times(callers);
  std::size_t wrong = 0;
  const auto start = Clock::now();
  double took = 0;
  {
    runtime::GuardLoop loop(std::move(guard).value(), decider);
    std::vector<std::thread> threads;
    std::mutex mutex;
    for (std::size_t c = 0; c < callers; ++c) {
      threads.emplace_back([&, c] {
        std::condition_variable came;
        for (int call = 0; seconds_since(start) < seconds; ++call) {
          std::vector<runtime::Request> requests;
          for (std::size_t i = 0; i < batch; ++i) requests.push_back({fmt::format("{}/{}/{}", c, call, i), "", {0, 0}});
          std::size_t left = batch;
          const auto sent = Clock::now();
          loop.decide(std::move(requests), {}, [&](const runtime::Answer& answer) {
            const std::lock_guard lock(mutex);
            wrong += answer.error || answer.body.find("\"carry_out\"") == std::string::npos ? 1U : 0U;
            if (--left == 0) came.notify_one();
          });
          std::unique_lock lock(mutex);
          came.wait(lock, [&] { return left == 0; });
          times[c].push_back(seconds_since(sent));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    took = seconds_since(start);
  }
  std::vector<double> all;
  for (const auto& some : times) all.insert(all.end(), some.begin(), some.end());
  fmt::print("sync {:<5} batch {:>2} callers {:>2}: {:>8.0f} decisions/s, call p50 {:.2f} ms, p99 {:.2f} ms{}\n",
             runtime::sync_policy_name(sync), batch, callers, static_cast<double>(all.size() * batch) / took,
             1e3 * quantile(all, 0.5), 1e3 * quantile(all, 0.99), wrong > 0 ? fmt::format(", {} WRONG", wrong) : "");
  const auto before = Clock::now();
  runtime::GuardState state(options.queue, {}, options.remembered);
  const auto read = runtime::read_journal(folder.path(), [&](const runtime::JournalFrame& frame) -> base::Status {
    PL_TRY(const runtime::GuardEvent event, runtime::parse_guard_event(frame.payload, ""));
    return state.apply(event, frame);
  });
  if (!read.ok()) std::exit(1);
  const double fold = seconds_since(before);
  const auto again = Clock::now();
  if (!runtime::read_journal(folder.path(), [](const runtime::JournalFrame&) { return base::ok(); }).ok()) std::exit(1);
  fmt::print("  its log: {} records of {} bytes; read and checked {:.2f} M/s, folded {:.2f} M/s\n", read->frames,
             read->bytes / std::max<std::uint64_t>(1, read->frames),
             static_cast<double>(read->frames) / seconds_since(again) / 1e6,
             static_cast<double>(read->frames) / fold / 1e6);
}

}  // namespace
}  // namespace plumbline

int main(int argc, char** argv) {
  using plumbline::runtime::SyncPolicy;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  const plumbline::testing::TempFolder folder;
  plumbline::print_disk(folder.path());
  for (const SyncPolicy sync : {SyncPolicy::kGroup, SyncPolicy::kEach, SyncPolicy::kNone}) {
    plumbline::run(sync, 1, 64, seconds);
    plumbline::run(sync, 64, 4, seconds);
  }
  return 0;
}

// How fast a guard's log is replayed: its bytes read and summed (the floor: CRC-32C over memory), its frames checked,
// its events read, its state folded. The fold must be the state of the guard that wrote the log before anything counts.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/runtime/guard.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline {
namespace {

using runtime::JournalFrame;

/// Processor time of this thread: the machine may be busy with other things.
double spent() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <class Work>
double best_of(int times, Work work) {
  double best = 1e300;
  for (int i = 0; i < times; ++i) {
    const double start = spent();
    work();
    best = std::min(best, spent() - start);
  }
  return best;
}

/// `requests` decided, one in eight with a reward; what the guard knows in the end.
runtime::GuardState write_log(const std::string& folder, const runtime::GuardOptions& options, std::size_t requests) {
  testing::TableDecider decider;
  auto guard =
      runtime::Guard::open(decider.info(), folder, {.sync = runtime::SyncPolicy::kNone}, options, 1.7e9).value();
  runtime::Instant now = guard->clock_start();
  for (std::size_t i = 0; i < requests; ++i) {
    const std::string id = fmt::format("request-{:012}", i);
    guard->admit({id, "unit", {0, 0.5F}}, i + 1, ++now);
    if (i % 64 != 63) continue;
    const auto work = guard->take_work(64);
    std::vector<runtime::Request> asked;
    std::vector<std::uint64_t> streams;
    for (const runtime::Work& w : work) {
      asked.push_back(w.request);
      streams.push_back(w.stream);
    }
    guard->propose(work, decider.propose(asked, streams), ++now);
    for (std::size_t k = 0; k < work.size(); k += 8)
      if (!guard->feedback(work[k].request.id, 1, 0.5, "ann", ++now).ok()) std::exit(1);
    guard->durable(guard->journal().commit()->durable, now);
    guard->take_answers();
  }
  guard->durable(guard->journal().commit()->durable, now);
  return guard->state();
}

void run(std::size_t requests, int times) {
  const testing::TempFolder folder;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 3600 * runtime::kSecond;
  const runtime::GuardState written = write_log(folder.path(), options, requests);
  std::uint64_t bytes = 0;
  std::uint32_t sum = 0;
  const double floor = best_of(times, [&] {
    bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
      if (file.path().extension() != ".journal") continue;
      const auto mapped = data::map_file(file.path().string());
      sum += base::crc32c({reinterpret_cast<const char*>(mapped->data.get()), mapped->size});
      bytes += mapped->size;
    }
  });
  std::uint64_t frames = 0;
  const double checked = best_of(times, [&] {
    frames = runtime::read_journal(folder.path(), [](const JournalFrame&) { return base::ok(); })->frames;
  });
  const double read = best_of(times, [&] {
    const auto visit = [](const JournalFrame& frame) -> base::Status {
      const auto event = runtime::parse_guard_event(frame.payload, {}, runtime::EventTexts::kForFold);
      return event.ok() ? base::ok() : base::Status(event.error());
    };
    if (!runtime::read_journal(folder.path(), visit).ok()) std::exit(1);
  });
  std::optional<runtime::GuardState> state;
  const double folded = best_of(times, [&] {
    state.emplace(options.queue, std::vector<runtime::Question>(), options.remembered);
    const auto visit = [&](const JournalFrame& frame) { return state->replay(frame, "log"); };
    if (!runtime::read_journal(folder.path(), visit).ok()) std::exit(1);
  });
  if (!(*state == written)) std::exit(1);
  const auto rate = [&](double seconds) { return static_cast<double>(frames) / seconds / 1e6; };
  fmt::print("{} records, {} bytes each (checksum {:08x}); million records a second of processor time:\n", frames,
             bytes / frames, sum);
  fmt::print("  floor, mapped and summed   {:6.2f}  ({:.1f} GB/s)\n", rate(floor),
             static_cast<double>(bytes) / floor / 1e9);
  fmt::print("  frames checked             {:6.2f}\n  events read                {:6.2f}\n", rate(checked), rate(read));
  fmt::print("  state folded               {:6.2f}\n", rate(folded));
}

}  // namespace
}  // namespace plumbline

int main(int argc, char** argv) {
  plumbline::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000, argc > 2 ? std::atoi(argv[2]) : 5);
  return 0;
}

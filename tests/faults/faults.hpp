#pragma once
/// What the fault suite shares. The short form runs in ctest; `make faults` sets PLUMBLINE_FAULTS=long.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/runtime/guard_loop.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::faults {

inline bool long_form() {
  const char* form = std::getenv("PLUMBLINE_FAULTS");
  return form != nullptr && std::string_view(form) == "long";
}

inline std::unique_ptr<runtime::Guard> open_guard(const runtime::Decider& decider, const std::string& folder,
                                                  const runtime::GuardOptions& options,
                                                  const runtime::JournalOptions& journal = {}) {
  auto guard = runtime::Guard::open(decider.info(), folder, journal, options, 0);
  EXPECT_TRUE(guard.ok()) << guard.error().text();
  return guard.ok() ? std::move(guard).value() : nullptr;
}

inline std::vector<runtime::Request> batch_of(std::size_t count, const std::string& prefix) {
  std::vector<runtime::Request> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back({prefix + std::to_string(i), "", {static_cast<float>(i % 9), 1}});
  return all;
}

/// Counts answers and lets a thread wait for them.
class Tally {
 public:
  void add(bool answered) {
    const std::lock_guard lock(mutex_);
    ++(answered ? answered_ : refused_);
    changed_.notify_all();
  }
  void wait_for(std::size_t total) {
    std::unique_lock lock(mutex_);
    const bool all = changed_.wait_for(lock, std::chrono::minutes(5), [&] { return answered_ + refused_ >= total; });
    EXPECT_TRUE(all) << answered_ << " answered and " << refused_ << " refused of " << total;
  }
  std::size_t answered() const { return answered_; }
  std::size_t refused() const { return refused_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t answered_ = 0;
  std::size_t refused_ = 0;
};

/// What a child tells its parent of an answer through a pipe: it outlives the child, and is small enough that a write
/// is whole or not at all.
struct Told {
  std::array<char, 32> id{};
  std::uint32_t body = 0;  ///< CRC-32C of the answer's body
};

/// Asks for a batch of act and modify under `prefix`, tells every answer through `pipe`, and waits for all of them.
inline void ask_and_tell(runtime::GuardLoop& loop, const std::string& prefix, int call, int pipe) {
  const std::size_t size = 1 + static_cast<std::size_t>(call % 7);
  std::vector<runtime::Request> batch = batch_of(size, prefix + std::to_string(call) + "/");
  for (runtime::Request& request : batch) request.input[0] = static_cast<float>(call % 2);
  auto tally = std::make_shared<Tally>();
  loop.decide(std::move(batch), {}, [tally, pipe](const runtime::Answer& answer) {
    Told told;
    std::strncpy(told.id.data(), answer.id.c_str(), told.id.size() - 1);
    told.body = base::crc32c(answer.body);
    if (!answer.error && write(pipe, &told, sizeof told) != sizeof told) _exit(3);
    tally->add(!answer.error);
  });
  tally->wait_for(size);
}

}  // namespace plumbline::faults

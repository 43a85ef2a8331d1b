#pragma once
/// What the fault suite shares. The short form runs in ctest; `make faults` sets PLUMBLINE_FAULTS=long.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

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

}  // namespace plumbline::faults

#pragma once
/// Something behind an address that answers questions beside people, or in their place.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "plumbline/base/result.hpp"
#include "plumbline/predict/http_client.hpp"
#include "plumbline/runtime/guard_loop.hpp"

namespace plumbline::guard {

/// Under which it answers. One name and one question at a time, as a person: it is one voice, never two.
inline constexpr std::string_view kOverseerName = "overseer";

struct OverseerCounts {
  std::uint64_t asked = 0;     ///< questions that it was sent
  std::uint64_t answered = 0;  ///< answers that counted
  std::uint64_t passed = 0;    ///< declined in words
  std::uint64_t failed = 0;    ///< no answer in time, or none that means anything
};

/// Takes the question that is worth most, posts it as JSON, and answers for it: {"action": "…"}, {"veto": true} or
/// {"pass": true}. Anything else, or nothing in time, declines the question: people may still answer, and the fallback
/// waits. Thread-safe.
class RemoteOverseer {
 public:
  struct Options {
    predict::HttpAddress address;
    std::string ca_file;                    ///< of https; empty: the system's
    std::chrono::milliseconds pause{20};    ///< between looks at an empty queue
    std::chrono::milliseconds reserve{20};  ///< of a question's time that is left to the guard
  };
  /// Starts its thread. The loop must outlive it. Errors as HttpClient::open.
  static base::Result<std::unique_ptr<RemoteOverseer>> start(runtime::GuardLoop& loop, Options options);
  ~RemoteOverseer();

  OverseerCounts counts() const;

 private:
  RemoteOverseer(runtime::GuardLoop& loop, Options options);
  struct Task;
  void work();
  bool wait();
  std::unique_ptr<Task> take();
  std::string ask(const Task& task) const;
  enum class Said : std::uint8_t { kNothing, kPassed, kAnswered };
  Said say(const Task& task, const std::string& answer);

  runtime::GuardLoop& loop_;
  Options options_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool ending_ = false;
  std::atomic<std::uint64_t> asked_ = 0, answered_ = 0, passed_ = 0, failed_ = 0;
  std::thread thread_;
};

}  // namespace plumbline::guard

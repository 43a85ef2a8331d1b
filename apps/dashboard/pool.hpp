#pragma once
/// Threads that work off a bounded queue, so that nothing slow holds up the thread that serves.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace plumbline::dashboard {

class Pool {
 public:
  using Work = std::function<void(std::size_t thread)>;

  Pool(std::size_t threads, std::size_t most_waiting);
  /// Ends as stop() does.
  ~Pool();
  /// False where too much waits already, or the pool is stopping; the work is then not done.
  bool post(Work work);
  /// What is under way is finished; what waits is kept undone until the pool goes.
  void stop();

 private:
  void run(std::size_t thread);

  std::size_t most_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::deque<Work> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Cancels a token when its time is up, unless it goes out of scope before.
class Deadline {
 public:
  template <class F>
  Deadline(double seconds, F on_time_up)
      : thread_([this, seconds, on_time_up] {
          std::unique_lock lock(mutex_);
          if (!change_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return over_; })) on_time_up();
        }) {}
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    change_.notify_all();
    thread_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable change_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace plumbline::dashboard

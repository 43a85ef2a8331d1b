#include "apps/dashboard/pool.hpp"

#include <utility>

namespace plumbline::dashboard {

Pool::Pool(std::size_t threads, std::size_t most_waiting) : most_(most_waiting) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
}

Pool::~Pool() { stop(); }

bool Pool::post(Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= most_) return false;
    waiting_.push_back(std::move(work));
  }
  change_.notify_one();
  return true;
}

void Pool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  change_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Pool::run(std::size_t thread) {
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      change_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work(thread);
  }
}

}  // namespace plumbline::dashboard

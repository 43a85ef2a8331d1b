#pragma once
/// Progress and cancellation. Methods report to a sink that the caller supplies and poll a token; they never print.

#include <atomic>
#include <cstddef>
#include <memory>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::base {

/// A flag shared by whoever may ask to stop and whoever should. A default token is never cancelled.
class CancelToken {
 public:
  CancelToken() = default;
  static CancelToken make() {
    CancelToken token;
    token.flag_ = std::make_shared<std::atomic<bool>>(false);
    return token;
  }
  /// Safe in a signal handler (lock-free store).
  void cancel() const {
    if (flag_) flag_->store(true, std::memory_order_relaxed);
  }
  bool cancelled() const { return flag_ && flag_->load(std::memory_order_relaxed); }
  /// kCancelled when cancelled, else ok.
  Status status() const {
    if (cancelled()) return make_error(Code::kCancelled, "stopped on request");
    return ok();
  }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

/// Receives progress. Implementations must be thread-safe; the default does nothing.
class Progress {
 public:
  virtual ~Progress() = default;
  /// `done` of `total` units (0 = unknown) of the named stage are finished.
  virtual void update(std::string_view stage, std::size_t done, std::size_t total);
};

/// The sink that ignores everything.
Progress& no_progress();

}  // namespace plumbline::base

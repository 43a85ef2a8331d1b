#pragma once
/// Where worker processes come from: one parent loads the program and its libraries once, and every worker is a fork of
/// it. Loading LibTorch takes half a second of processor time; a fork takes milliseconds and shares the memory.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "plumbline/base/result.hpp"

namespace plumbline::run {

/// The side that wants workers.
class WorkerSource {
 public:
  /// `command`: the program and its words; command.front() is a path.
  explicit WorkerSource(std::vector<std::string> command) : command_(std::move(command)) {}
  WorkerSource(const WorkerSource&) = delete;
  WorkerSource& operator=(const WorkerSource&) = delete;
  ~WorkerSource();

  /// A new worker whose standard input, output and error are these descriptors, which stay the caller's to close.
  /// Errors kIo: no parent can be started, or it ended before it answered, with the last it printed.
  base::Result<pid_t> start(int in, int out, int errors);

  /// The status of a worker, as waitpid gives it, if it ends within so many milliseconds. -1: it is gone and nobody
  /// knows how, since the parent is gone too.
  std::optional<int> ended(pid_t worker, int milliseconds);

 private:
  base::Status start_parent();
  /// Reads one message; false: none within the time, or the parent is gone.
  bool listen(int milliseconds);
  void drop_parent();

  std::vector<std::string> command_;
  pid_t parent_ = -1;
  int control_ = -1;
  int errors_ = -1;
  std::optional<pid_t> born_;
  std::map<pid_t, int> ended_;
};

/// The parent's side, called once everything is loaded and before any thread is started: forks a worker whenever it is
/// asked through `control` and tells when one ends. Returns `work()`'s status in each worker, 0 in the parent when
/// `control` is closed, 2 when `control` is no such socket.
int serve_forks(int control, const std::function<int()>& work);

}  // namespace plumbline::run

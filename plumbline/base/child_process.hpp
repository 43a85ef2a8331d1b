#pragma once
/// A child process that is asked through a socket pair, its file descriptor 3. What it prints is kept for error
/// messages; it is killed when this object goes.

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <sys/types.h>

#include "plumbline/base/result.hpp"

namespace plumbline::base {

class ChildProcess {
 public:
  using Clock = std::chrono::steady_clock;

  ChildProcess() = default;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  /// command.front() is a path. Errors kIo: no socket, pipe or process. A program that cannot be run ends with 127.
  Status start(const std::vector<std::string>& command);

  /// Both move exactly `size` bytes. Errors kLimit: not before the deadline (then the process is stopped); kIo: the
  /// process ended, with its status or signal. Messages carry the last 4 KiB that it printed.
  Status send(const void* data, std::size_t size, Clock::time_point deadline);
  Status receive(void* data, std::size_t size, Clock::time_point deadline);

  void stop();
  bool running() const { return pid_ > 0; }

 private:
  /// A file descriptor that closes itself.
  class Descriptor {
   public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { reset(); }
    void reset(int fd = -1);
    int get() const { return fd_; }

   private:
    int fd_;
  };

  std::string with_errors(std::string message);
  void drain();
  Status wait(short event, Clock::time_point deadline);
  Error ended();

  Descriptor channel_;
  Descriptor errors_;
  bool errors_open_ = true;
  std::string tail_;
  pid_t pid_ = -1;
};

}  // namespace plumbline::base

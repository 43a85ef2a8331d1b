#include "plumbline/base/child_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace plumbline::base {
namespace {

constexpr std::size_t kTail = 4096;

Error system_error(const std::string& program, const char* call) {
  return make_error(Code::kIo, fmt::format("{} failed: {}", call, std::strerror(errno)), "starting " + program);
}

}  // namespace

void ChildProcess::Descriptor::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

Status ChildProcess::start(const std::vector<std::string>& command) {
  std::array<int, 2> channel{};
  std::array<int, 2> errors{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel.data()) != 0)
    return system_error(command.front(), "socketpair");
  channel_.reset(channel[0]);
  const Descriptor theirs(channel[1]);
  if (::pipe2(errors.data(), O_CLOEXEC) != 0) return system_error(command.front(), "pipe");
  errors_.reset(errors[0]);
  const Descriptor their_errors(errors[1]);
  ::fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors_.get(), F_SETFL, O_NONBLOCK);
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) return system_error(command.front(), "fork");
  if (pid_ == 0) {
    // Only async-signal-safe calls from here on. First out of the way of 0 to 3, then into place.
    ::setpgid(0, 0);
    const int far_channel = ::fcntl(theirs.get(), F_DUPFD, 16);
    const int far_errors = ::fcntl(their_errors.get(), F_DUPFD, 16);
    const int far_null = ::fcntl(null.get(), F_DUPFD, 16);
    ::dup2(far_null, 0);
    ::dup2(far_errors, 1);
    ::dup2(far_errors, 2);
    ::dup2(far_channel, 3);
    ::syscall(SYS_close_range, 4U, ~0U, 0U);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
  return ok();
}

Status ChildProcess::send(const void* data, std::size_t size, Clock::time_point deadline) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    PL_CHECK(wait(POLLOUT, deadline));
    const ssize_t sent = ::send(channel_.get(), at, size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent < 0) return ended();
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return ok();
}

Status ChildProcess::receive(void* data, std::size_t size, Clock::time_point deadline) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    PL_CHECK(wait(POLLIN, deadline));
    const ssize_t got = ::recv(channel_.get(), at, size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return ended();
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return ok();
}

std::string ChildProcess::with_errors(std::string message) {
  drain();
  while (!tail_.empty() && tail_.back() == '\n') tail_.pop_back();
  return tail_.empty() ? message : message + "; it printed: " + tail_;
}

void ChildProcess::stop() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ChildProcess::drain() {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::read(errors_.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    tail_.append(buffer.data(), static_cast<std::size_t>(got));
    if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  }
}

Status ChildProcess::wait(short event, Clock::time_point deadline) {
  for (;;) {
    std::array<pollfd, 2> polled = {{{channel_.get(), event, 0}, {errors_open_ ? errors_.get() : -1, POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      stop();
      return make_error(Code::kLimit, with_errors("no answer within the time limit; the process was stopped"));
    }
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return make_error(Code::kIo, fmt::format("poll failed: {}", std::strerror(errno)));
    if (ready <= 0) continue;
    if ((polled[1].revents & POLLIN) != 0) drain();
    if ((polled[1].revents & POLLIN) == 0 && (polled[1].revents & (POLLHUP | POLLERR)) != 0) errors_open_ = false;
    if (polled[0].revents != 0) return ok();
  }
}

Error ChildProcess::ended() {
  int status = 0;
  // It closed its end, so it is about to go; give it a moment before it is made to.
  for (int i = 0; i < 100 && ::waitpid(pid_, &status, WNOHANG) == 0; ++i) ::usleep(10'000);
  const bool exited = ::waitpid(pid_, nullptr, WNOHANG) < 0;
  if (!exited) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  } else {
    ::kill(-pid_, SIGKILL);  // what it may have started
  }
  pid_ = -1;
  std::string message = "the process closed its channel";
  if (exited && WIFSIGNALED(status)) {
    message = fmt::format("the process ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  } else if (exited && WIFEXITED(status)) {
    message = fmt::format("the process ended with status {}", WEXITSTATUS(status));
  }
  return make_error(Code::kIo, with_errors(std::move(message)));
}

}  // namespace plumbline::base

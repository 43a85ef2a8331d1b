#include "apps/dashboard/child.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace plumbline::dashboard {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kErrorBytes = 64U << 10U;

struct Pipe {
  int read = -1;
  int write = -1;
  ~Pipe() {
    if (read >= 0) close(read);
    if (write >= 0) close(write);
  }
  bool open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  void close_write() {
    close(write);
    write = -1;
  }
};

/// Reads what is there. False at the end.
bool drain(int descriptor, std::string& into) {
  char buffer[8192];
  const ssize_t got = read(descriptor, buffer, sizeof buffer);
  if (got > 0) into.append(buffer, static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

}  // namespace

base::Result<ChildOutcome> run_child(const std::vector<std::string>& words, const ChildLimits& limits,
                                     const base::CancelToken& cancel) {
  Pipe out;
  Pipe err;
  if (!out.open() || !err.open()) return make_error(Code::kIo, "cannot make a pipe", words.front());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t usual;
  sigemptyset(&usual);
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM}) sigaddset(&usual, signal);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int failed = posix_spawn(&child, words.front().c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0)
    return make_error(Code::kIo, fmt::format("cannot be started: {}", std::strerror(failed)), words.front());
  out.close_write();
  err.close_write();

  ChildOutcome outcome;
  std::optional<base::Error> stopped;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limits.seconds);
  bool out_open = true;
  bool err_open = true;
  while ((out_open || err_open) && !stopped) {
    pollfd waits[2] = {{out_open ? out.read : -1, POLLIN, 0}, {err_open ? err.read : -1, POLLIN, 0}};
    poll(waits, 2, 100);
    if (waits[0].revents != 0) out_open = drain(out.read, outcome.output);
    if (waits[1].revents != 0) err_open = drain(err.read, outcome.errors);
    if (outcome.errors.size() > kErrorBytes) outcome.errors.erase(0, outcome.errors.size() - kErrorBytes);
    if (cancel.cancelled()) stopped = make_error(Code::kCancelled, "stopped on request");
    if (std::chrono::steady_clock::now() > end)
      stopped = make_error(Code::kLimit, fmt::format("it took longer than {:g} s", limits.seconds));
    if (outcome.output.size() > limits.output_bytes) stopped = make_error(Code::kLimit, "it printed too much");
  }
  if (stopped) kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (stopped) return *stopped;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace plumbline::dashboard

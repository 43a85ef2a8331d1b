#include "plumbline/case/run/worker_source.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace plumbline::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kStreams = 3;  // input, output, errors of a worker
constexpr int kLoading = 60'000;     // milliseconds that a parent may take to load

/// What the parent tells: a worker was born, or it ended.
struct Message {
  char kind = 0;  // 'b' born, 'e' ended
  pid_t worker = -1;
  int status = 0;
};

union Rights {
  cmsghdr header;
  std::array<char, CMSG_SPACE(kStreams * sizeof(int))> bytes;
};

bool send_streams(int control, const std::array<int, kStreams>& streams) {
  char word = 'f';
  iovec text{&word, 1};
  Rights rights{};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes.data();
  message.msg_controllen = rights.bytes.size();
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(streams));
  std::memcpy(CMSG_DATA(head), streams.data(), sizeof(streams));
  return sendmsg(control, &message, MSG_NOSIGNAL) == 1;
}

/// Empty: the other side is gone, or sent something else.
std::optional<std::array<int, kStreams>> receive_streams(int control) {
  char word = 0;
  iovec text{&word, 1};
  Rights rights{};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes.data();
  message.msg_controllen = rights.bytes.size();
  ssize_t got = -1;
  do {
    got = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const cmsghdr* head = got == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  std::array<int, kStreams> streams{};
  if (head == nullptr || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(streams)))
    return std::nullopt;
  std::memcpy(streams.data(), CMSG_DATA(head), sizeof(streams));
  return streams;
}

}  // namespace

WorkerSource::~WorkerSource() { drop_parent(); }

base::Status WorkerSource::start_parent() {
  std::array<int, 2> control{};
  std::array<int, 2> errors{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) {
    return base::make_error(base::Code::kIo, fmt::format("cannot make a socket: {}", std::strerror(errno)));
  }
  if (pipe2(errors.data(), O_CLOEXEC) != 0) {
    const int code = errno;
    close(control[0]);
    close(control[1]);
    return base::make_error(base::Code::kIo, fmt::format("cannot make pipes: {}", std::strerror(code)));
  }
  std::vector<char*> argv;
  for (std::string& word : command_) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, control[1], 0);
  posix_spawn_file_actions_adddup2(&actions, errors[1], 1);
  posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A process group of its own: Ctrl-C reaches the runner alone, which then stops its workers in order.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int code = posix_spawn(&parent_, command_.front().c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(control[1]);
  close(errors[1]);
  control_ = control[0];
  errors_ = errors[0];
  fcntl(errors_, F_SETFL, O_NONBLOCK);
  if (code != 0) {
    parent_ = -1;
    drop_parent();
    return base::make_error(base::Code::kIo, fmt::format("cannot start: {}", std::strerror(code)), command_.front(),
                            "plumbline-worker must lie beside plumbline, or in ../libexec/plumbline");
  }
  return base::ok();
}

base::Result<pid_t> WorkerSource::start(int in, int out, int errors) {
  if (control_ < 0) PL_CHECK(start_parent());
  born_.reset();
  if (send_streams(control_, {in, out, errors})) {
    while (!born_ && listen(kLoading)) {
    }
  }
  if (born_) return *born_;
  std::string tail(4096, '\0');
  const ssize_t got = errors_ >= 0 ? read(errors_, tail.data(), tail.size()) : 0;
  tail.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  drop_parent();
  return base::make_error(base::Code::kIo,
                          "no worker came up" + (tail.empty() ? std::string() : "; the last words: " + tail),
                          command_.front());
}

std::optional<int> WorkerSource::ended(pid_t worker, int milliseconds) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    if (const auto found = ended_.find(worker); found != ended_.end()) {
      const int status = found->second;
      ended_.erase(found);
      return status;
    }
    if (control_ < 0) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (!listen(static_cast<int>(std::max<long long>(left, 0))) && control_ >= 0) return std::nullopt;
  }
}

bool WorkerSource::listen(int milliseconds) {
  pollfd wait{control_, POLLIN, 0};
  int ready = -1;
  do {
    ready = poll(&wait, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  Message message;
  if (recv(control_, &message, sizeof(message), 0) != sizeof(message)) {
    close(control_);
    control_ = -1;
    return false;
  }
  if (message.kind == 'b') born_ = message.worker;
  if (message.kind == 'e') ended_[message.worker] = message.status;
  return true;
}

void WorkerSource::drop_parent() {
  if (control_ >= 0) close(control_);
  control_ = -1;
  if (parent_ > 0) {
    // Without its socket it ends by itself, unless it is still loading.
    kill(parent_, SIGKILL);
    waitpid(parent_, nullptr, 0);
  }
  parent_ = -1;
  if (errors_ >= 0) close(errors_);
  errors_ = -1;
}

int serve_forks(int control, const std::function<int()>& work) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(control, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) return 2;
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &children, &before);
  const int deaths = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (deaths < 0) return 2;
  const auto tell = [control](const Message& message) { send(control, &message, sizeof(message), MSG_NOSIGNAL); };
  for (;;) {
    std::array<pollfd, 2> wait = {{{control, POLLIN, 0}, {deaths, POLLIN, 0}}};
    if (poll(wait.data(), wait.size(), -1) < 0) continue;
    if (wait[1].revents != 0) {
      signalfd_siginfo seen{};
      while (read(deaths, &seen, sizeof(seen)) > 0) {
      }
      int status = 0;
      for (pid_t worker = 0; (worker = waitpid(-1, &status, WNOHANG)) > 0;) tell({'e', worker, status});
    }
    if (wait[0].revents == 0) continue;
    const auto streams = receive_streams(control);
    if (!streams) return 0;
    const pid_t worker = fork();
    if (worker == 0) {
      close(control);
      close(deaths);
      sigprocmask(SIG_SETMASK, &before, nullptr);
      // Out of the way of 0 to 2 first, then into place.
      std::array<int, kStreams> far{};
      for (std::size_t i = 0; i < kStreams; ++i) far[i] = fcntl((*streams)[i], F_DUPFD_CLOEXEC, 16);
      for (std::size_t i = 0; i < kStreams; ++i) dup2(far[i], static_cast<int>(i));
      for (std::size_t i = 0; i < kStreams; ++i) {
        close(far[i]);
        if ((*streams)[i] > 2) close((*streams)[i]);
      }
      return work();
    }
    for (const int fd : *streams) close(fd);
    if (worker > 0) tell({'b', worker, 0});
  }
}

}  // namespace plumbline::run

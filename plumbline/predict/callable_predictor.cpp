#include "plumbline/predict/callable_predictor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/declared.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;
using Clock = std::chrono::steady_clock;

// The other end of the socket pair (file descriptor 3). Frames, little endian:
//   to Python    u64 rows, u64 columns, rows x columns float32
//   from Python  u64 status (0 = answer, 1 = error), then u64 rows, u64 columns, float64 values; or u64 bytes, text
constexpr const char* kDriver = R"PY(
import os, socket, struct, sys, threading, time, traceback

channel = socket.socket(fileno=3)
parent = os.getppid()

def watch():
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()

def read(count):
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = channel.recv_into(view)
        if got == 0:
            os._exit(0)
        view = view[got:]
    return data

def fail():
    text = traceback.format_exc().encode("utf-8", "replace")[-4096:]
    channel.sendall(struct.pack("<QQ", 1, len(text)) + text)

module_name, function_name, folder, shape = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
shape = tuple(int(axis) for axis in shape.split(",") if axis)
sys.path[:] = ([folder] if folder else []) + [place for place in sys.path if place]
try:
    import importlib
    import numpy
    function = importlib.import_module(module_name)
    source = (getattr(function, "__file__", None) or "").encode()
    for part in function_name.split("."):
        function = getattr(function, part)
    if not callable(function):
        raise TypeError(module_name + ":" + function_name + " is not callable")
except BaseException:
    fail()
    sys.exit(1)
channel.sendall(struct.pack("<QQ", 0, len(source)) + source)
while True:
    rows, columns = struct.unpack("<QQ", read(16))
    values = numpy.frombuffer(read(rows * columns * 4), dtype="<f4").reshape((rows,) + (shape or (columns,)))
    try:
        answer = numpy.ascontiguousarray(numpy.asarray(function(values)), dtype="<f8")
        if answer.ndim != 2:
            raise ValueError("the function returned an array of shape %s, expected two axes: rows and classes" % (answer.shape,))
    except BaseException:
        fail()
        continue
    channel.sendall(struct.pack("<QQQ", 0, *answer.shape))
    channel.sendall(memoryview(answer).cast("B") if answer.size else b"")
)PY";

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The Python process with its channel and its standard error.
class Process {
 public:
  ~Process() {
    if (pid_ > 0) {
      ::kill(-pid_, SIGKILL);
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  base::Status start(const std::vector<std::string>& command) {
    std::array<int, 2> channel{};
    std::array<int, 2> errors{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel.data()) != 0) return system_error("socketpair");
    channel_.reset(channel[0]);
    const Descriptor theirs(channel[1]);
    if (::pipe2(errors.data(), O_CLOEXEC) != 0) return system_error("pipe");
    errors_.reset(errors[0]);
    const Descriptor their_errors(errors[1]);
    ::fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(errors_.get(), F_SETFL, O_NONBLOCK);
    const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) return system_error("fork");
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
    return base::ok();
  }

  /// Both move exactly `size` bytes, or fail at the deadline or when the process ends.
  base::Status send(const void* data, std::size_t size, Clock::time_point deadline) {
    const char* at = static_cast<const char*>(data);
    while (size > 0) {
      PL_CHECK(wait(POLLOUT, deadline));
      const ssize_t sent = ::send(channel_.get(), at, size, MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (sent < 0) return ended();
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return base::ok();
  }

  base::Status receive(void* data, std::size_t size, Clock::time_point deadline) {
    char* at = static_cast<char*>(data);
    while (size > 0) {
      PL_CHECK(wait(POLLIN, deadline));
      const ssize_t got = ::recv(channel_.get(), at, size, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0) return ended();
      at += got;
      size -= static_cast<std::size_t>(got);
    }
    return base::ok();
  }

  /// Adds the last lines of standard error to a message about the process.
  std::string with_errors(std::string message) {
    drain();
    while (!tail_.empty() && tail_.back() == '\n') tail_.pop_back();
    return tail_.empty() ? message : message + "; it printed: " + tail_;
  }

  void stop() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  bool running() const { return pid_ > 0; }

 private:
  static base::Error system_error(const char* call) {
    return make_error(Code::kIo, fmt::format("{} failed: {}", call, std::strerror(errno)), "starting Python");
  }

  void drain() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t got = ::read(errors_.get(), buffer.data(), buffer.size());
      if (got <= 0) break;
      tail_.append(buffer.data(), static_cast<std::size_t>(got));
      if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
    }
  }

  base::Status wait(short event, Clock::time_point deadline) {
    for (;;) {
      std::array<pollfd, 2> polled = {{{channel_.get(), event, 0}, {errors_open_ ? errors_.get() : -1, POLLIN, 0}}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) {
        stop();
        return make_error(Code::kLimit, with_errors("no answer within the time limit; the process was stopped"));
      }
      const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long long>(left, 60'000)));
      if (ready < 0 && errno != EINTR)
        return make_error(Code::kIo, fmt::format("poll failed: {}", std::strerror(errno)));
      if (ready <= 0) continue;
      if ((polled[1].revents & POLLIN) != 0) drain();
      if ((polled[1].revents & POLLIN) == 0 && (polled[1].revents & (POLLHUP | POLLERR)) != 0) errors_open_ = false;
      if (polled[0].revents != 0) return base::ok();
    }
  }

  /// The error for a process that closed its end.
  base::Error ended() {
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
    std::string message = "the Python process closed its channel";
    if (exited && WIFSIGNALED(status)) {
      message =
          fmt::format("the Python process ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    } else if (exited && WIFEXITED(status)) {
      message = fmt::format("the Python process ended with status {}", WEXITSTATUS(status));
    }
    return make_error(Code::kIo, with_errors(std::move(message)));
  }

  static constexpr std::size_t kTail = 4096;
  Descriptor channel_;
  Descriptor errors_;
  bool errors_open_ = true;
  std::string tail_;
  pid_t pid_ = -1;
};

/// The last line of a traceback is the sentence; the rest says where.
std::string last_lines(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class CallablePredictor : public decision::Predictor {
 public:
  CallablePredictor(decision::PredictorInfo info, const CallableOptions& options, std::unique_ptr<Process> process,
                    std::string place)
      : info_(std::move(info)), options_(options), process_(std::move(process)), place_(std::move(place)) {}

  const decision::PredictorInfo& info() const override { return info_; }

  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    return predict_in_batches(info_, rows, options, true,
                              [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
                                auto answer = ask(batch);
                                if (!answer.ok()) return answer.error().at(place_);
                                decision::Prediction part;
                                part.outputs = std::move(answer).value();
                                return part;
                              });
  }

 private:
  base::Result<MatrixD> ask(const MatrixF& batch) {
    if (!process_->running()) return make_error(Code::kIo, "the Python process has ended; see the first error");
    const auto deadline = Clock::now() + options_.request_timeout;
    const std::array<std::uint64_t, 2> head = {static_cast<std::uint64_t>(batch.rows()),
                                               static_cast<std::uint64_t>(batch.cols())};
    PL_CHECK(process_->send(head.data(), sizeof(head), deadline));
    PL_CHECK(process_->send(batch.data(), static_cast<std::size_t>(batch.size()) * sizeof(float), deadline));
    std::array<std::uint64_t, 2> answer{};
    PL_CHECK(process_->receive(answer.data(), sizeof(answer), deadline));
    if (answer[0] != 0) {
      std::string text(std::min<std::uint64_t>(answer[1], 4096), '\0');
      PL_CHECK(process_->receive(text.data(), text.size(), deadline));
      return make_error(Code::kValue, "the function raised: " + last_lines(std::move(text)));
    }
    std::uint64_t columns = 0;
    PL_CHECK(process_->receive(&columns, sizeof(columns), deadline));
    const std::uint64_t rows = answer[1];
    if (rows != head[0] || columns != static_cast<std::uint64_t>(info_.outputs)) {
      process_->stop();  // the rest of its answer is not read
      return make_error(Code::kShape, fmt::format("the function returned {} x {} numbers, expected {} x {}", rows,
                                                  columns, head[0], info_.outputs));
    }
    if (rows * columns > options_.answer_bytes / sizeof(double)) {
      process_->stop();
      return make_error(Code::kLimit, fmt::format("an answer of {} numbers is larger than the limit", rows * columns),
                        {}, "Use a smaller batch");
    }
    MatrixD outputs(static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(columns));
    PL_CHECK(process_->receive(outputs.data(), static_cast<std::size_t>(outputs.size()) * sizeof(double), deadline));
    return outputs;
  }

  decision::PredictorInfo info_;
  CallableOptions options_;
  std::unique_ptr<Process> process_;
  std::string place_;
};

}  // namespace

base::Result<decision::PredictorPtr> open_callable_predictor(const data::ModelSection& section,
                                                             const CallableOptions& options) {
  const std::string place = fmt::format("model '{}' ({})", section.name, section.callable);
  const std::size_t colon = section.callable.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == section.callable.size()) {
    return make_error(Code::kValue, fmt::format("callable is '{}', expected \"module:function\"", section.callable),
                      place);
  }
  auto declared = declared_info(section);
  if (!declared.ok()) return declared.error().at(place);
  decision::PredictorInfo info = std::move(declared).value();
  if (info.outputs < 1) return make_error(Code::kValue, "a callable needs `classes`", place);
  if (!info.features.empty()) {
    return make_error(Code::kUnsupported,
                      fmt::format("features names tensor '{}', but a callable gives outputs only", info.features),
                      place, "Use \"inputs\" or \"pca:64\"");
  }
  std::string folder = section.python_path ? section.python_path->resolved : options.folder;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(folder, ignored)) folder = std::filesystem::path(folder).parent_path().string();
  std::string shape;
  for (const std::ptrdiff_t axis : info.input_shape) shape += fmt::format("{},", axis);

  auto process = std::make_unique<Process>();
  const auto started = process->start({options.python, "-B", "-c", kDriver, section.callable.substr(0, colon),
                                       section.callable.substr(colon + 1), folder, shape});
  if (!started.ok()) return started.error().at(place);
  const auto deadline = Clock::now() + options.start_timeout;
  std::array<std::uint64_t, 2> head{};
  if (const auto got = process->receive(head.data(), sizeof(head), deadline); !got.ok()) {
    base::Error error = got.error().at(place);
    error.hint = fmt::format("See whether {} runs", options.python);
    return error;
  }
  std::string text(std::min<std::uint64_t>(head[1], 4096), '\0');
  if (const auto got = process->receive(text.data(), text.size(), deadline); !got.ok()) return got.error().at(place);
  if (head[0] != 0) {
    return make_error(Code::kValue, "the function cannot be imported: " + last_lines(std::move(text)), place,
                      "python_path names the folder of the module; NumPy must be installed for " + options.python);
  }
  base::Sha256 hash;
  hash.add_field(section.callable).add_field(section.version).add_field(std::to_string(section.classes));
  if (const auto source = base::sha256_file(text); source.ok()) hash.add_field(*source);
  info.kind = "callable";
  info.hash = hash.hex();
  info.deterministic = !section.version.empty();
  return decision::PredictorPtr(
      std::make_unique<CallablePredictor>(std::move(info), options, std::move(process), place));
}

}  // namespace plumbline::predict

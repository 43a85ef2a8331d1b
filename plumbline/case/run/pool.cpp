// Worker processes: ask, watch, replace. Frames on the pipes are a 4-byte little-endian length and that many
// bytes of JSON. The worker's standard error is kept, its tail goes into the message of a crash.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/run/job.hpp"
#include "plumbline/case/run/worker_source.hpp"

namespace plumbline::run {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::size_t kFrameLimit = std::size_t{1} << 30U;

bool write_all(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t wrote = write(fd, bytes, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

bool read_all(int fd, char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t got = read(fd, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_frame(int fd, const std::string& text) {
  std::array<char, 4> head{};
  for (unsigned i = 0; i < 4; ++i) head[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFFU);
  return write_all(fd, head.data(), head.size()) && write_all(fd, text.data(), text.size());
}

std::size_t frame_size(const char* head) {
  std::size_t size = 0;
  for (unsigned i = 0; i < 4; ++i) size |= static_cast<std::size_t>(static_cast<unsigned char>(head[i])) << (8 * i);
  return size;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// Forwards a worker's progress to the parent, at most ten times a second.
class PipeProgress final : public base::Progress {
 public:
  explicit PipeProgress(int out) : out_(out) {}
  void update(std::string_view stage, std::size_t done, std::size_t total) override {
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    write_frame(out_, dump({{"progress", std::string(stage)}, {"done", done}, {"total", total}}));
  }

 private:
  int out_;
  Clock::time_point last_{};
};

struct Worker {
  pid_t pid = -1;
  int to = -1;
  int from = -1;
  int errors = -1;
  std::string buffer;
  std::string error_tail;
  bool busy = false;
  std::size_t index = 0;
  std::string label;
  Clock::time_point deadline;
  Clock::time_point started;
};

std::string label_of(const Job& job) {
  if (job.kind == Job::Kind::kPredict) return fmt::format("predict {} on {}", job.task.model, job.task.data);
  if (job.kind == Job::Kind::kSelfTest) return fmt::format("self-test of {}", job.task.model);
  return job.task.subject.empty() ? job.check : fmt::format("{} {}", job.check, job.task.subject);
}

class Pool final : public Executor {
 public:
  explicit Pool(PoolOptions options) : options_(std::move(options)), source_(command(options_)) {
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~Pool() override {
    for (Worker& worker : workers_) stop(worker, SIGTERM);
  }

  base::Status run(std::vector<std::pair<std::size_t, Job>> jobs, const Done& done, const base::CancelToken& cancel,
                   base::Progress& progress) override {
    std::deque<std::pair<std::size_t, Job>> queue;
    const auto enqueue = [&](std::vector<std::pair<std::size_t, Job>> more) {
      for (auto& job : more) queue.push_back(std::move(job));
      // Longest first, so that the last ones to finish are short; equal costs keep their order.
      std::stable_sort(queue.begin(), queue.end(),
                       [](const auto& a, const auto& b) { return a.second.cost_seconds > b.second.cost_seconds; });
    };
    enqueue(std::move(jobs));
    std::size_t finished = 0;
    std::size_t total = queue.size();
    base::Status outcome = base::ok();
    const auto settle = [&](std::size_t index, JobResult result) {
      if (!outcome.ok()) return;
      ++finished;
      auto more = done(index, std::move(result));
      if (!more.ok()) {
        outcome = more.error();
        return;
      }
      total += more->size();
      enqueue(std::move(more).value());
    };
    for (;;) {
      if (outcome.ok()) outcome = cancel.status();
      if (!outcome.ok()) {
        for (Worker& worker : workers_) stop(worker, SIGTERM);
        workers_.clear();
        return outcome;
      }
      while (!queue.empty()) {
        Worker* idle = find_idle();
        if (idle == nullptr) break;
        auto [index, job] = std::move(queue.front());
        queue.pop_front();
        if (auto status = assign(*idle, index, job); !status.ok()) settle(index, failed(status.error()));
        progress.update(label_of(job), finished, total);
      }
      const bool busy = std::any_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.busy; });
      if (!busy && queue.empty()) return base::ok();
      wait_and_read(settle, progress, finished, total);
    }
  }

 private:
  static std::vector<std::string> command(const PoolOptions& options) {
    std::vector<std::string> words = {options.worker,  "--manifest",         options.manifest,
                                      "--cache",       options.cache_folder, "--program",
                                      options.program, "--memory",           std::to_string(options.memory_bytes)};
    words.insert(words.end(), options.arguments.begin(), options.arguments.end());
    return words;
  }

  static JobResult failed(base::Error error, bool reproducible = true) {
    JobResult result;
    result.error = std::move(error);
    result.reproducible = reproducible;
    return result;
  }

  Worker* find_idle() {
    for (Worker& worker : workers_) {
      if (!worker.busy) return &worker;
    }
    if (static_cast<int>(workers_.size()) < options_.workers) return &workers_.emplace_back();
    return nullptr;
  }

  base::Status assign(Worker& worker, std::size_t index, const Job& job) {
    if (worker.pid < 0) PL_CHECK(start(worker));
    worker.busy = true;
    worker.index = index;
    worker.label = label_of(job);
    worker.started = Clock::now();
    worker.deadline = worker.started +
                      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.task_seconds));
    if (!write_frame(worker.to, dump(to_json(job)))) {
      // Dead before it could be asked (for example refused its manifest): its last words say why.
      const base::Error error = crash_error(worker);
      worker.busy = false;
      return error;
    }
    return base::ok();
  }

  base::Status start(Worker& worker) {
    int to[2];
    int from[2];
    int errors[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) {
      return base::make_error(base::Code::kIo, fmt::format("cannot make pipes: {}", std::strerror(errno)));
    }
    const base::Result<pid_t> born = source_.start(to[0], from[1], errors[1]);
    close(to[0]);
    close(from[1]);
    close(errors[1]);
    worker.to = to[1];
    worker.from = from[0];
    worker.errors = errors[0];
    worker.buffer.clear();
    worker.error_tail.clear();
    if (!born.ok()) {
      stop(worker, 0);
      return born.error();
    }
    worker.pid = *born;
    fcntl(worker.errors, F_SETFL, O_NONBLOCK);
    return base::ok();
  }

  void stop(Worker& worker, int signal) {
    for (int* fd : {&worker.to, &worker.from, &worker.errors}) {
      if (*fd >= 0) close(*fd);
      *fd = -1;
    }
    if (worker.pid > 0) {
      // A worker deep in a kernel may not answer SIGTERM at once.
      constexpr int kPatience = 100;  // milliseconds
      const bool gone = source_.ended(worker.pid, 0).has_value();
      if (!gone && signal != 0) kill(worker.pid, signal);
      if (!gone && !source_.ended(worker.pid, kPatience)) {
        kill(worker.pid, SIGKILL);
        source_.ended(worker.pid, 10 * kPatience);
      }
    }
    worker.pid = -1;
  }

  static void drain_errors(Worker& worker) {
    std::array<char, 4096> chunk{};
    for (;;) {
      const ssize_t got = read(worker.errors, chunk.data(), chunk.size());
      if (got <= 0) break;
      worker.error_tail.append(chunk.data(), static_cast<std::size_t>(got));
      if (worker.error_tail.size() > 8192) worker.error_tail.erase(0, worker.error_tail.size() - 4096);
    }
  }

  base::Error crash_error(Worker& worker) {
    constexpr int kLongest = 10'000;  // milliseconds; it has closed its pipes and is about to go
    const int status = source_.ended(worker.pid, kLongest).value_or(-1);
    drain_errors(worker);
    worker.pid = -1;
    std::string how = "ended without an answer";
    if (status == -1) {
      how = "is gone, and so is its parent";
    } else if (WIFSIGNALED(status)) {
      const int signal = WTERMSIG(status);
      how = fmt::format("crashed ({})", strsignal(signal));
      if (signal == SIGKILL) how = "was killed (out of memory?)";
    } else if (WIFEXITED(status)) {
      how = fmt::format("ended with status {} and no answer", WEXITSTATUS(status));
    }
    std::string tail = worker.error_tail;
    while (!tail.empty() && (tail.back() == '\n' || tail.back() == ' ')) tail.pop_back();
    if (tail.size() > 600) tail = "…" + tail.substr(tail.size() - 600);
    stop(worker, 0);
    return base::make_error(
        base::Code::kLimit,
        tail.empty() ? fmt::format("the worker {}", how) : fmt::format("the worker {}; its last words: {}", how, tail),
        "", "The other checks went on; if memory is the cause, raise --memory");
  }

  template <class Settle>
  void wait_and_read(const Settle& settle, base::Progress& progress, std::size_t finished, std::size_t total) {
    std::vector<pollfd> polls;
    std::vector<std::size_t> whose;
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      if (workers_[w].pid < 0) continue;
      polls.push_back({workers_[w].from, POLLIN, 0});
      whose.push_back(w);
      polls.push_back({workers_[w].errors, POLLIN, 0});
      whose.push_back(w);
    }
    poll(polls.data(), polls.size(), 100);
    for (std::size_t i = 0; i < polls.size(); ++i) {
      Worker& worker = workers_[whose[i]];
      if (worker.pid < 0) continue;
      if (i % 2 == 1) {
        if (polls[i].revents != 0) drain_errors(worker);
        continue;
      }
      if (polls[i].revents != 0) read_answers(worker, settle, progress, finished, total);
    }
    for (Worker& worker : workers_) {
      if (worker.busy && Clock::now() > worker.deadline) {
        stop(worker, SIGKILL);
        worker.busy = false;
        settle(worker.index,
               failed(base::make_error(base::Code::kLimit,
                                       fmt::format("time: stopped after {} s", options_.task_seconds), "",
                                       "Not reproducible and not cached; raise --timeout or give the check fewer rows"),
                      false));
      }
    }
  }

  template <class Settle>
  void read_answers(Worker& worker, const Settle& settle, base::Progress& progress, std::size_t finished,
                    std::size_t total) {
    std::array<char, 65536> chunk{};
    const ssize_t got = read(worker.from, chunk.data(), chunk.size());
    if (got > 0) worker.buffer.append(chunk.data(), static_cast<std::size_t>(got));
    const bool ended = got == 0;
    while (worker.buffer.size() >= 4) {
      const std::size_t size = frame_size(worker.buffer.data());
      if (size > kFrameLimit || worker.buffer.size() < 4 + size) break;
      const json answer = json::parse(worker.buffer.substr(4, size), nullptr, false);
      worker.buffer.erase(0, 4 + size);
      if (answer.is_discarded() || !answer.is_object()) continue;
      if (answer.contains("progress")) {
        progress.update(fmt::format("{}: {}", worker.label, answer.value("progress", std::string())), finished, total);
        continue;
      }
      JobResult result;
      result.seconds = answer.value("seconds", 0.0);
      result.bytes = answer.value("bytes", std::string());
      if (answer.contains("error")) {
        const json& e = answer["error"];
        const auto code = static_cast<base::Code>(std::clamp(e.value("code", 7), 0, 7));
        result.error = base::make_error(code, e.value("message", std::string()), e.value("where", std::string()),
                                        e.value("hint", std::string()));
      }
      worker.busy = false;
      settle(worker.index, std::move(result));
    }
    if (ended) {
      const bool was_busy = worker.busy;
      worker.busy = false;
      const base::Error error = crash_error(worker);
      if (was_busy) settle(worker.index, failed(error));
    }
  }

  PoolOptions options_;
  WorkerSource source_;
  std::deque<Worker> workers_;
};

}  // namespace

std::unique_ptr<Executor> worker_pool(const PoolOptions& options) { return std::make_unique<Pool>(options); }

int serve_jobs(const check::Registry& registry, const std::string& manifest_path, const WorkerOptions& options, int in,
               int out) {
  auto manifest = data::read_manifest(manifest_path, options.manifest);
  std::optional<Session> session;
  std::optional<base::Error> unreadable;
  if (manifest.ok()) {
    session.emplace(std::move(manifest).value(), options.session);
  } else {
    unreadable = manifest.error();
  }
  PipeProgress progress(out);
  std::string text;
  for (;;) {
    std::array<char, 4> head{};
    if (!read_all(in, head.data(), head.size())) return 0;
    const std::size_t size = frame_size(head.data());
    if (size > kFrameLimit) return 2;
    text.resize(size);
    if (!read_all(in, text.data(), size)) return 2;
    const auto job = job_from_json(json::parse(text, nullptr, false));
    JobResult result;
    if (!session) {
      result.error = unreadable;
    } else if (!job.ok()) {
      result.error = job.error();
    } else {
      result = execute(*session, registry, *job, {}, progress);
    }
    json answer = {{"seconds", result.seconds}, {"bytes", result.bytes}};
    if (result.error) {
      answer["error"] = {{"code", static_cast<int>(result.error->code)},
                         {"message", result.error->message},
                         {"where", result.error->where},
                         {"hint", result.error->hint}};
    }
    if (!write_frame(out, dump(answer))) return 2;
  }
}

}  // namespace plumbline::run

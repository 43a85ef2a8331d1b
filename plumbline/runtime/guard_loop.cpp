#include "plumbline/runtime/guard_loop.hpp"

#include <algorithm>

namespace plumbline::runtime {
namespace {

constexpr std::chrono::milliseconds kHeartbeat{100};
constexpr std::chrono::milliseconds kBreath{1};
constexpr std::chrono::milliseconds kLook{500};

double seconds_since(std::chrono::steady_clock::time_point before) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
}

}  // namespace

void LoopMetrics::Histogram::add(double seconds) {
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  ++counts[static_cast<std::size_t>(bucket)];
  sum += seconds;
}

GuardLoop::GuardLoop(std::unique_ptr<Guard> guard, Decider& decider, const LoopOptions& options)
    : guard_(std::move(guard)),
      journal_(guard_->journal()),
      decider_(decider),
      options_(options),
      started_(Clock::now()),
      start_(guard_->clock_start()),
      wall_start_(guard_->wall(start_)),
      appended_(journal_.appended()),
      durable_(journal_.durable()) {
  owner_ = std::thread([this] { own(); });
  asker_ = std::thread([this] { ask(); });
  committer_ = std::thread([this] { commit(); });
}

GuardLoop::~GuardLoop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  owner_wakes_.notify_all();
  decider_wakes_.notify_all();
  committer_wakes_.notify_all();
  owner_.join();
  asker_.join();
  committer_.join();
}

Instant GuardLoop::now() const {
  return start_ + std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - started_).count();
}

double GuardLoop::wall() const { return wall_start_ + static_cast<double>(now() - start_) / 1e9; }

bool GuardLoop::post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || commands_.size() >= options_.commands) return false;
    commands_.push_back(std::move(command));
  }
  owner_wakes_.notify_one();
  return true;
}

bool GuardLoop::decide(std::vector<Request> requests, std::optional<Instant> wait, const Reply& reply) {
  // The deadline counts from here, not from when the owner comes to it.
  return post([this, requests = std::move(requests), wait, reply, arrived = now()](Guard& guard, Instant) {
    for (const Request& request : requests) {
      callers_.emplace(++next_ticket_, Caller{reply, arrived});
      guard.admit(request, next_ticket_, arrived, wait);
    }
  });
}

void GuardLoop::when_durable(std::uint64_t frame, std::function<void(base::Status)> done) {
  pending_.emplace_back(frame, std::move(done));
}

void GuardLoop::late(const std::string& id) {
  post([id](Guard& guard, Instant now) { guard.late(id, now); });
}

bool GuardLoop::drain(std::chrono::milliseconds patience) {
  draining_ = true;
  std::unique_lock lock(mutex_);
  commands_.push_back([](Guard& guard, Instant) { guard.drain(); });  // however many wait
  owner_wakes_.notify_one();
  return idle_.wait_for(lock, patience, [&] { return commands_.empty() && is_idle_; });
}

LoopMetrics GuardLoop::metrics() const {
  const std::lock_guard lock(mutex_);
  return metrics_;
}

LoopTimes GuardLoop::times() const {
  const Instant at = now();
  constexpr Instant kMinute = 60 * kSecond;
  const std::lock_guard lock(mutex_);
  return {sync_times_.last(kMinute, at), decider_times_.last(kMinute, at), answer_times_.last(kMinute, at),
          metrics_.away};
}

void GuardLoop::hand_out() {
  const Instant released = now();
  std::vector<double> waits;
  for (Answer& answer : guard_->take_answers()) {
    const auto found = callers_.find(answer.ticket);
    if (found == callers_.end()) continue;
    waits.push_back(static_cast<double>(released - found->second.since) / 1e9);
    const Reply reply = std::move(found->second.reply);
    callers_.erase(found);
    reply(std::move(answer));
  }
  const std::lock_guard lock(mutex_);
  for (const double wait : waits) {
    metrics_.answer.add(wait);
    answer_times_.add(wait, released);
  }
}

void GuardLoop::committed(std::uint64_t frame) {
  guard_->durable(frame, now());
  // In order of posting, which need not be that of the frames: a repeated reward waits for its first.
  std::deque<std::pair<std::uint64_t, std::function<void(base::Status)>>> still;
  for (auto& [wanted, done] : std::exchange(pending_, {})) {
    if (wanted <= frame) {
      done(base::ok());
    } else {
      still.emplace_back(wanted, std::move(done));
    }
  }
  for (auto& one : pending_) still.push_back(std::move(one));
  pending_ = std::move(still);
}

void GuardLoop::own() {
  std::vector<Command> commands;
  std::uint64_t durable = 0;
  for (;;) {
    std::optional<base::Error> failed;
    {
      std::unique_lock lock(mutex_);
      const auto next = guard_->next_event();
      const auto due = next ? started_ + std::chrono::nanoseconds(*next - start_) : Clock::now() + kHeartbeat;
      // Never at once again: what a full disk leaves overdue would keep this thread spinning.
      const auto soon = Clock::now();
      owner_wakes_.wait_until(lock, std::clamp(due, soon + kBreath, soon + kHeartbeat), [&] {
        const bool decider_waits = work_.empty() && guard_->has_work();
        return ending_ || !commands_.empty() || durable_ > durable || decider_waits || (failed_ && !guard_->stopped());
      });
      if (ending_) return;
      commands.swap(commands_);
      is_idle_ = is_idle_ && commands.empty();
      durable = durable_;
      failed = failed_;
    }
    if (failed && !guard_->stopped()) {
      guard_->stop(*failed);
      journal_stopped_ = true;
      for (auto& [frame, done] : std::exchange(pending_, {})) done(*failed);
    }
    committed(durable);
    for (const Command& command : commands) command(*guard_, now());
    commands.clear();
    if (!pending_.empty()) committed(durable);  // what a command promised may be durable already
    guard_->tick(now());
    hand_out();
    bool more = false;
    {
      const std::lock_guard lock(mutex_);
      // One batch ahead of the decider and no more: the rest waits in the guard, which drops what fell back meanwhile.
      if (work_.empty()) work_ = guard_->take_work(options_.batch);
      more = !work_.empty();
      appended_ = journal_.appended();
      is_idle_ = guard_->idle() && pending_.empty();
    }
    if (more) decider_wakes_.notify_one();
    committer_wakes_.notify_one();
    idle_.notify_all();
  }
}

base::Result<std::vector<Proposal>> GuardLoop::propose(std::span<const Request> requests,
                                                       std::span<const std::uint64_t> streams) {
  try {
    return decider_.propose(requests, streams);
  } catch (const std::exception& error) {
    return base::make_error(base::Code::kInternal, std::string("the decider failed: ") + error.what());
  }
}

void GuardLoop::ask() {
  for (;;) {
    std::vector<Work> work;
    {
      std::unique_lock lock(mutex_);
      decider_wakes_.wait(lock, [&] { return ending_ || !work_.empty(); });
      if (ending_) return;
      work.swap(work_);
    }
    owner_wakes_.notify_one();
    std::vector<Request> requests;
    std::vector<std::uint64_t> streams;
    for (const Work& w : work) {
      requests.push_back(w.request);
      streams.push_back(w.stream);
    }
    const auto before = Clock::now();
    auto proposals = propose(requests, streams);
    {
      const std::lock_guard lock(mutex_);
      const double seconds = seconds_since(before);
      metrics_.decider.add(seconds);
      decider_times_.add(seconds, now());
      // Not by post(): an outcome is never refused for want of room.
      commands_.push_back([work = std::move(work), proposals = std::move(proposals)](Guard& guard, Instant now) {
        guard.propose(work, proposals, now);
      });
    }
    owner_wakes_.notify_one();
  }
}

void GuardLoop::commit() {
  std::uint64_t done = journal_.durable();
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      // With nothing to write it looks whether a database is still there, so that a request is refused at arrival.
      committer_wakes_.wait_for(lock, kLook, [&] { return ending_ || appended_ > done; });
      if (ending_) return;
    }
    const auto commit = journal_.commit();
    {
      const std::lock_guard lock(mutex_);
      if (commit.ok()) {
        done = durable_ = commit->durable;
        metrics_.away = !journal_.away().empty();
        metrics_.reconnects = journal_.reconnects();
        if (commit->frames == 0) continue;
        ++metrics_.commits;
        metrics_.frames += commit->frames;
        metrics_.sync.add(commit->sync_seconds);
        sync_times_.add(commit->sync_seconds, now());
      } else {
        failed_ = commit.error();
      }
    }
    owner_wakes_.notify_one();
    if (!commit.ok()) return;
  }
}

}  // namespace plumbline::runtime

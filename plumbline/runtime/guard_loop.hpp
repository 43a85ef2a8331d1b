#pragma once
/// GuardLoop: the threads around a Guard. One owns the guard and is the only one that touches it; one asks the decider;
/// one commits the journal. So a slow disk or a dead model holds up nothing but what depends on it, and the fallback
/// still goes out in time. Callers hand in commands and are called back.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "plumbline/runtime/guard.hpp"
#include "plumbline/runtime/recent_times.hpp"

namespace plumbline::runtime {

struct LoopOptions {
  std::size_t batch = 256;        ///< requests a call of the decider at most
  std::size_t commands = 20'000;  ///< not yet looked at; above it, requests are refused as busy
};

/// What the loop measured, for /metrics. Seconds in buckets whose upper bounds are kBounds, the last one open.
struct LoopMetrics {
  static constexpr std::array<double, 10> kBounds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1};
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};
    double sum = 0;
    void add(double seconds);
  };
  Histogram sync;     ///< fdatasync, or a transaction
  Histogram decider;  ///< a call, whatever its batch
  Histogram answer;   ///< from arrival to release
  std::uint64_t commits = 0;
  std::uint64_t frames = 0;
  std::uint64_t reconnects = 0;  ///< to the log's database
  bool away = false;             ///< it cannot be reached now
};

/// The same times over the last minute, and whether the log is away.
struct LoopTimes {
  RecentTimes::Summary sync;
  RecentTimes::Summary decider;
  RecentTimes::Summary answer;
  bool away = false;
};

class GuardLoop {
 public:
  using Reply = std::function<void(Answer)>;  ///< called on the guard's thread; must not block
  using Command = std::function<void(Guard&, Instant now)>;

  /// Takes the guard over and starts. The decider must outlive this object.
  GuardLoop(std::unique_ptr<Guard> guard, Decider& decider, const LoopOptions& options = {});
  /// Stops the threads; what is open stays open in the log.
  ~GuardLoop();
  GuardLoop(const GuardLoop&) = delete;
  GuardLoop& operator=(const GuardLoop&) = delete;

  /// Each request of a batch gets its own reply. False: too many commands wait, and no reply comes.
  bool decide(std::vector<Request> requests, std::optional<Instant> wait, const Reply& reply);
  /// Runs on the guard's thread.
  bool post(Command command);
  /// Runs on the guard's thread as soon as `frame` is durable; with an error if the journal stopped. Call from a
  /// command only.
  void when_durable(std::uint64_t frame, std::function<void(base::Status)> done);
  /// An answer was handed over after its deadline.
  void late(const std::string& id);

  /// No new requests; true once nothing is open, false when `patience` is over before that.
  bool drain(std::chrono::milliseconds patience);

  Instant now() const;
  /// Seconds since 1970 by the guard's own clock: the wall clock was read at the start, and may be set since.
  double wall() const;
  LoopMetrics metrics() const;
  LoopTimes times() const;
  bool stopped() const { return journal_stopped_; }
  bool draining() const { return draining_; }

 private:
  using Clock = std::chrono::steady_clock;
  void own();
  base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                              std::span<const std::uint64_t> streams);
  void ask();
  void commit();
  void hand_out();
  void committed(std::uint64_t frame);

  std::unique_ptr<Guard> guard_;
  DecisionJournal& journal_;
  Decider& decider_;
  LoopOptions options_;
  Clock::time_point started_;
  Instant start_;
  double wall_start_;
  std::atomic<bool> journal_stopped_ = false;
  std::atomic<bool> draining_ = false;

  mutable std::mutex mutex_;
  std::condition_variable owner_wakes_, decider_wakes_, committer_wakes_, idle_;
  bool ending_ = false;
  bool is_idle_ = true;
  std::vector<Command> commands_;
  std::vector<Work> work_;
  std::uint64_t appended_ = 0;  // what the committer should bring to the disk
  std::uint64_t durable_ = 0;
  std::optional<base::Error> failed_;
  LoopMetrics metrics_;
  RecentTimes sync_times_, decider_times_, answer_times_;

  // The owner's alone.
  Ticket next_ticket_ = 0;
  struct Caller {
    Reply reply;
    Instant since = 0;
  };
  std::unordered_map<Ticket, Caller> callers_;
  std::deque<std::pair<std::uint64_t, std::function<void(base::Status)>>> pending_;

  std::thread owner_, asker_, committer_;
};

}  // namespace plumbline::runtime

#pragma once
/// What the guard knows, as a fold of its journal: nothing here has any other source, so a restart or a replica that
/// reads the same frames knows the same.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/guard_event.hpp"
#include "plumbline/runtime/monitors.hpp"

namespace plumbline::runtime {

/// A request without an outcome.
struct OpenDecision {
  std::uint64_t number = 0;      ///< of its arrival in the journal
  std::uint64_t last_frame = 0;  ///< the last frame about it; its fallback may go out when that is durable
  std::uint32_t content = 0;
  Instant arrived = 0;
  Instant deadline = 0;
  std::string fallback;
  std::uint64_t question = 0;  ///< 0 = nobody is asked
  std::string proposal;        ///< the record, when somebody is asked
  std::string detail;
  bool operator==(const OpenDecision&) const = default;
};

/// A request that ended. `at` is the frame with its record; {0, 0} when it is void from the start.
struct DoneDecision {
  FramePosition at;
  std::uint64_t frame = 0;
  std::uint32_t content = 0;
  Instant decided = 0;
  std::optional<double> reward;
  bool voided = false;
  bool shadow = false;
  bool operator==(const DoneDecision&) const = default;
};

struct GuardCounts {
  std::uint64_t arrivals = 0;
  std::array<std::array<std::uint64_t, 5>, 5> decisions{};  ///< by DecisionKind, DecisionCause
  std::uint64_t voided = 0;
  std::uint64_t feedback = 0;
  std::uint64_t starts = 0;
  bool operator==(const GuardCounts&) const = default;
  /// As GuardEvent::counts.
  std::vector<std::uint64_t> list() const;
  void add(const std::vector<std::uint64_t>& list);
};

class GuardState {
 public:
  /// `remembered`: outcomes whose ids are still known; the oldest are forgotten first.
  /// `plan`: what monitors watch; none without one.
  GuardState(const QueueLimits& limits, std::vector<Question> gold, std::size_t remembered,
             std::shared_ptr<const MonitorPlan> plan = nullptr);

  /// Errors kValue: an event that cannot happen in this state.
  base::Status apply(const GuardEvent& event, const JournalFrame& frame);
  /// Reads the frame and applies it. Errors as parse_guard_event and apply, with `place` and the frame's number.
  base::Status replay(const JournalFrame& frame, const std::string& place);

  const std::map<std::string, OpenDecision>& open() const { return open_; }
  const OpenDecision* find_open(const std::string& id) const;
  const DoneDecision* find_done(const std::string& id) const;
  const QuestionQueue& queue() const { return queue_; }
  const GuardCounts& counts() const { return counts_; }
  const Monitors& monitors() const { return monitors_; }
  std::size_t remembered() const { return order_.size(); }
  Instant last() const { return last_; }  ///< time of the last event
  bool operator==(const GuardState& other) const = default;

 private:
  using Key = std::array<std::uint64_t, 2>;  // of the id's SHA-256: ids may be long, and are the callers'
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return key[0]; }
  };
  static Key key_of(const std::string& id);
  void finish(const std::string& id, const DoneDecision& done);

  std::size_t limit_;
  std::map<std::string, OpenDecision> open_;
  std::unordered_map<Key, DoneDecision, KeyHash> done_;
  std::deque<Key> order_;
  QuestionQueue queue_;
  GuardCounts counts_;
  Monitors monitors_;
  Instant last_ = 0;
};

}  // namespace plumbline::runtime

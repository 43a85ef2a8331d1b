#pragma once
/// Guard: from requests to answers that are durable and in time. It has no thread, no clock and no HTTP: it is told
/// what came in, what the decider proposed, what is durable and how late it is, and says what to send. The threads are
/// in plumbline/runtime/guard_loop.hpp.
///
/// A request    its fallback is written down at arrival; if that cannot be, it is refused at once.
/// An answer    is released when its record is durable. At the deadline less the margin, what was not decided gets the
///              fallback, which is durable by then; if even that is not, the request is refused and void.
/// An id        asked again gets the answer that it got; while it is open, the answer that it will get.
/// A restart    gives what was open its fallback, since that may have gone out before.
/// Failures     lead to the fallback or a refusal, never to an action that nobody chose.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "plumbline/runtime/decider.hpp"
#include "plumbline/runtime/guard_state.hpp"
#include "plumbline/runtime/live_window.hpp"

namespace plumbline::runtime {

struct GuardOptions {
  std::string fallback;  ///< one of the decider's actions; empty: refuse
  /// Where the fallback depends on the request: asked at arrival, on the guard's thread. One of the decider's actions,
  /// or empty for `fallback`.
  std::function<std::string(const Request&)> fallback_policy;
  Instant deadline = kSecond;
  Instant margin = 50 * kMillisecond;  ///< before the deadline: half for the log, half for sending
  bool shadow = false;                 ///< decide and log, but carry out the fallback
  std::size_t max_open = 10'000;
  std::size_t remembered = 1'000'000;  ///< outcomes that an id, or a reward, can still refer to
  std::size_t context_columns = 64;    ///< inputs of at most so many numbers are logged
  std::vector<std::string> columns;    ///< their names; empty: x0, x1, …
  std::set<std::string> irreversible;  ///< actions that two people must agree on, also where the policy is sure
  QueueLimits queue;
  std::vector<Question> gold;
  std::vector<std::string> accepted;  ///< claims that were accepted although not supported
  MonitorOptions monitors;
};

using Ticket = std::uint64_t;

/// What to tell the caller; `deadline` 0: it has none. Errors have a word for machines in `where`: see
/// docs/user/guard.md.
struct Answer {
  Ticket ticket = 0;
  std::string id;
  std::string body;  ///< {"detail": …, "record": …}, as logged
  std::optional<base::Error> error;
  Instant deadline = 0;
  bool again = false;  ///< the answer of an earlier request with this id
};

/// A request that waits for the decider.
struct Work {
  Request request;
  std::uint64_t stream = 0;  ///< the number of its arrival in the journal
};

/// What is counted beside the fold: gone with the process.
struct GuardTraffic {
  std::map<std::string, std::uint64_t> refused;  ///< by word
  std::uint64_t repeated = 0;                    ///< answered from the log
  std::uint64_t late = 0;                        ///< went out after the deadline, and are void
  std::uint64_t wasted = 0;                      ///< proposals that came when the fallback was out already
};

class Guard {
 public:
  /// Opens the journal at `log` (a folder, or a URL of PostgreSQL) and folds it. Errors: those of the journal; kValue:
  /// a fallback or an irreversible action that the decider does not have, a fallback that is irreversible, a margin
  /// that is not below the deadline, a log of a later clock.
  static base::Result<std::unique_ptr<Guard>> open(const DeciderInfo& decider, const std::string& log,
                                                   const JournalOptions& journal, const GuardOptions& options,
                                                   double wall_seconds);

  /// The guard's clock goes on where the log ended: add the time since open() to this.
  Instant clock_start() const { return clock_start_; }
  /// Seconds since 1970 at clock_start(), for the records. Never read for a deadline.
  double wall(Instant now) const { return wall_start_ + static_cast<double>(now - clock_start_) / 1e9; }

  /// Takes a request in; its answer comes out of take_answers(), perhaps at once. `wait` shortens the deadline.
  void admit(const Request& request, Ticket ticket, Instant now, std::optional<Instant> wait = {});
  /// What admit() would refuse, without taking anything in.
  base::Status check(const Request& request, std::optional<Instant> wait = {}) const;
  /// Requests for the decider, oldest first.
  std::vector<Work> take_work(std::size_t most);
  bool has_work() const { return !work_.empty(); }
  /// What it said to them, or why it could not.
  void propose(std::span<const Work> work, base::Result<std::vector<Proposal>> proposals, Instant now);

  /// A reward for a decision. Errors kValue with "unknown_decision", "not_decided", "void_decision", "shadow_decision",
  /// "contradictory_feedback", "bad_reward"; kIo "log_refused". Returns the frame after whose commit it counts.
  base::Result<std::uint64_t> feedback(const std::string& id, double reward, std::optional<double> delay,
                                       const std::string& rater, Instant now);

  /// The queue, for people. Each returns the frame after whose commit it counts. Errors as QuestionQueue, or kIo.
  /// lease() gives the number of the question; 0: there is none.
  struct Leased {
    std::uint64_t question = 0;
    std::uint64_t frame = 0;
  };
  base::Result<Leased> lease(const std::string& rater, Instant now, const LeaseWish& wish = {});
  base::Result<std::uint64_t> answer(const std::string& rater, std::uint64_t question, const std::string& action,
                                     Instant now);
  base::Result<std::uint64_t> release(const std::string& rater, std::uint64_t question, Instant now,
                                      bool decline = false);
  base::Result<std::uint64_t> veto(const std::string& rater, std::uint64_t question, Instant now);
  base::Result<std::uint64_t> undo(const std::string& rater, std::uint64_t question, Instant now);

  /// Somebody saw the alarm of a monitor, which then starts anew. Returns the frame after whose commit it counts.
  /// Errors kValue "unknown_monitor", "no_alarm"; kIo "log_refused".
  base::Result<std::uint64_t> acknowledge(const std::string& monitor, const std::string& rater, Instant now);
  /// Name, kind, severity, statistic, threshold, alarm since, violations of each monitor, as a JSON list.
  std::string monitors_json() const { return state_.monitors().json(wall(0)); }

  /// Everything that time alone brings about. Call at next_event() at the latest.
  void tick(Instant now);
  std::optional<Instant> next_event() const;
  /// All frames up to this one are durable.
  void durable(std::uint64_t frame, Instant now);
  /// The journal has stopped: what waits is refused, and so is everything that comes.
  void stop(const base::Error& error);
  /// An answer went out after its deadline.
  void late(const std::string& id, Instant now);
  std::vector<Answer> take_answers();

  /// No more requests are taken in; those that are open end as usual.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }
  bool idle() const { return state_.open().empty() && waiting_.empty() && answers_.empty() && owed_.empty(); }
  bool stopped() const { return stopped_.has_value(); }

  const GuardState& state() const { return state_; }
  const GuardTraffic& traffic() const { return traffic_; }
  const LiveWindow& live() const { return live_; }
  /// The request of a decision that is open and came in since the start.
  const Request* request_of(const std::string& id) const;
  /// How a request ended: {"detail": …, "record": …} as logged. Errors kValue "unknown_decision", "not_decided",
  /// "void_decision"; kIo "log_refused".
  base::Result<std::string> outcome(const std::string& id) const;
  const GuardOptions& options() const { return options_; }
  const DeciderInfo& decider() const { return decider_; }
  DecisionJournal& journal() { return *journal_; }
  const DecisionJournal& journal() const { return *journal_; }

 private:
  /// A decision that is written down but not yet durable.
  struct Waiting {
    std::uint64_t frame = 0;
    Instant deadline = 0;
    std::string id;
    std::string body;
    bool sent = false;  ///< it says what an earlier frame promised, and is out already
  };
  Guard(const DeciderInfo& decider, const GuardOptions& options, std::shared_ptr<const MonitorPlan> plan);
  base::Result<std::uint64_t> write(const GuardEvent& event, std::string* text = nullptr);
  base::Result<std::uint64_t> write_queue(const std::vector<QueueEvent>& events, Instant now);
  void refuse(Ticket ticket, const std::string& id, base::Error error, Instant now);
  void repeat(const std::string& id, Ticket ticket, const DoneDecision& done, std::uint32_t content, Instant now);
  base::Result<const DoneDecision*> find_counting(const std::string& id) const;
  data::DecisionRecord draft(const std::string& id, const Request* request, const OpenDecision& open) const;
  data::DecisionRecord record_of(const Request& request, const OpenDecision& open, const Proposal& proposal) const;
  std::string safe_action(const Proposal& proposal, const OpenDecision& open) const;
  bool needs_people(const data::DecisionRecord& record) const;
  void propose_one(const Work& work, const Proposal& proposal, Instant now);
  base::Status ask(const Request& request, data::DecisionRecord record, const Proposal& proposal,
                   const std::string& detail, const std::optional<MonitorNote>& note, Instant now);
  bool decide(const std::string& id, const data::DecisionRecord& record, std::string detail,
              std::optional<QueueEvent> settlement, Instant now, bool durable_already,
              std::optional<MonitorNote> note = {});
  bool settle(const QueueEvent& event, Instant now);
  void settle_due(Instant now);
  bool expire(const std::string& id, Instant now);
  bool write_void(const std::string& id, std::string reason, std::optional<QueueEvent> settlement, Instant now);
  void owe_void(const std::string& id, std::string reason, Instant now);
  void release(const std::string& id, const std::string& body, std::optional<base::Error> error, Instant deadline);

  DeciderInfo decider_;
  GuardOptions options_;
  std::unique_ptr<DecisionJournal> journal_;
  GuardState state_;
  GuardTraffic traffic_;
  LiveWindow live_;
  Instant clock_start_ = 0;
  double wall_start_ = 0;
  std::uint64_t durable_ = 0;
  bool draining_ = false;
  std::optional<base::Error> stopped_;
  // What follows is about callers who are connected now, and not part of the fold.
  std::deque<Work> work_;
  std::map<std::string, Request> requests_;  // of open decisions, for the context of their records
  std::map<std::string, std::vector<Ticket>> tickets_;
  std::set<std::pair<Instant, std::string>> deadlines_;  // of open decisions
  enum class Told { kFallback, kRefused };
  std::map<std::string, Told> told_;  // overdue ones whose end could not be written down yet, as on a full disk
  std::deque<Waiting> waiting_;       // by frame
  std::deque<std::pair<std::string, std::string>> owed_;  // void, by id and reason, and not yet written down
  std::vector<Answer> answers_;
};

/// Parts of a proposal that a record has no field for, as a JSON object: units and estimators, neighbours, value of
/// asking. Errors kValue: a number that is not finite, text that is not UTF-8.
base::Result<std::string> proposal_detail(const Proposal& proposal);

}  // namespace plumbline::runtime

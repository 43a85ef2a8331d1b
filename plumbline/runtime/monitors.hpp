#pragma once
/// What watches the guard's own decisions: assertions on each proposal, detectors of drift over all of them. A plan
/// says what is watched; the state is a fold of the log's notes, so that a restart or a replica goes on exactly.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/probe/assertions.hpp"
#include "plumbline/robustness/stream_drift.hpp"
#include "plumbline/robustness/stream_rank.hpp"
#include "plumbline/runtime/decider.hpp"
#include "plumbline/runtime/log/monitor_note.hpp"
#include "plumbline/runtime/log/question_queue.hpp"

namespace plumbline::runtime {

/// What a detector of drift looks at.
enum class DriftSignal : std::uint8_t {
  kInput,      ///< rank of the input's distance among the calibration rows: does the world look as it did then?
  kAleatoric,  ///< the others: does it stay like itself since the log began, or the last acknowledgement?
  kModel,
  kReward
};
std::string_view drift_signal_name(DriftSignal signal);  ///< "input", "aleatoric", "model", "reward"
base::Result<DriftSignal> parse_drift_signal(std::string_view word);

struct MonitorOptions {
  std::vector<DriftSignal> drift;
  double run_length = 100'000;  ///< decisions for each false alarm, all signals together, at least
  bool drift_fails = false;     ///< an alarm makes the guard fall back until it is acknowledged
  std::vector<probe::AssertionSpec> assertions;
  std::size_t units = 10'000;  ///< remembered by assertions
  bool empty() const { return drift.empty() && assertions.empty(); }
};

/// Options made ready for one decider.
class MonitorPlan {
 public:
  /// Fields of assertions: the input's columns, propensity, aleatoric, model, p_value (numbers) and label (a text: the
  /// proposed action, or set). `columns`: names; x0, x1, … where they do not fit the input.
  /// Errors kValue: those of AssertionSet::make; a signal twice; run_length outside [100, 1e12]; the signal input from
  /// a decider that has no calibration rows.
  static base::Result<MonitorPlan> make(const MonitorOptions& options, const DeciderInfo& decider,
                                        const std::vector<std::string>& columns);
  bool empty() const { return options_.empty(); }
  const MonitorOptions& options() const { return options_; }
  const probe::AssertionSet& assertions() const { return assertions_; }
  /// Of everything that decides what a note means.
  std::uint32_t checksum() const { return checksum_; }
  std::size_t reference_rows() const { return reference_rows_; }
  probe::AssertionRecord record_of(const Request& request, const Proposal& proposal, Instant now) const;

 private:
  MonitorOptions options_;
  probe::AssertionSet assertions_;
  std::size_t inputs_ = 0;
  std::size_t reference_rows_ = 0;
  std::uint32_t checksum_ = 0;
};

/// What the monitors say of one proposal, before it is written down.
struct MonitorVerdict {
  std::optional<MonitorNote> note;
  std::string fall_back;  ///< why the fallback has to be taken, in words; empty: nothing stands in the way
  std::string detail;     ///< broken assertions as a JSON list; empty: none
};

/// State of one detector.
struct DriftMonitor {
  robustness::RankUrn urn;
  robustness::BettingDetector bets;
  std::uint64_t seen = 0;
  std::uint64_t alarms = 0;
  std::optional<Instant> since;  ///< of an alarm that nobody acknowledged
  bool operator==(const DriftMonitor&) const = default;
};

struct AssertionMonitor {
  std::uint64_t violations = 0;
  std::optional<Instant> last;
  bool operator==(const AssertionMonitor&) const = default;
};

/// For metrics and pages.
struct MonitorView {
  std::string name;  ///< "drift.input", "assertion.NAME"
  std::string kind;  ///< "drift", "assertion"
  bool fails = false;
  double statistic = 0;             ///< drift: capital; assertion: share of the proposals that break it
  std::optional<double> threshold;  ///< drift
  std::uint64_t seen = 0;
  std::uint64_t violations = 0;  ///< drift: alarms
  std::optional<Instant> alarm_since;
  std::optional<Instant> last;
};

class Monitors {
 public:
  explicit Monitors(std::shared_ptr<const MonitorPlan> plan = nullptr);

  bool empty() const { return plan_ == nullptr || plan_->empty(); }
  /// Changes nothing. A few microseconds at most (docs/developer/speed.md).
  MonitorVerdict judge(const Request& request, const Proposal& proposal, Instant now) const;

  // The fold. `frame`: number of the frame, from which the ties of ranks are broken.
  void apply(const MonitorNote& note, Instant at, std::uint64_t frame);
  void reward(double value, Instant at, std::uint64_t frame);
  /// The detector starts anew: what comes from now on is its reference.
  void acknowledge(const std::string& name);

  /// A detector of this name whose alarm nobody acknowledged.
  bool alarms(const std::string& name) const;
  /// The first with an alarm that makes the guard fall back; empty: none.
  std::string blocking() const;
  std::vector<MonitorView> view() const;
  /// The view as a JSON list; `wall`: seconds since 1970 at the guard's instant 0.
  std::string json(double wall) const;
  bool operator==(const Monitors& other) const {
    return drift_ == other.drift_ && assertions_ == other.assertions_ && memory_ == other.memory_ &&
           judged_ == other.judged_;
  }

 private:
  void feed(std::size_t signal, double value, Instant at, std::uint64_t frame);

  std::shared_ptr<const MonitorPlan> plan_;
  std::vector<DriftMonitor> drift_;
  std::vector<AssertionMonitor> assertions_;
  probe::AssertionMemory memory_;
  std::uint64_t judged_ = 0;
};

}  // namespace plumbline::runtime

#pragma once
/// LiveWindow: what a guard did lately, for people who watch it. The last decisions in short, and counts a second over
/// ten minutes. It is no part of the fold: a restart begins anew. Memory is bounded (about 250 kB), places are used
/// again so that a decision allocates nothing once they are warm. The owner's thread alone touches it.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/data/decision_log.hpp"
#include "plumbline/decision/uncertainty.hpp"
#include "plumbline/runtime/log/question_queue.hpp"

namespace plumbline::runtime {

/// One decision in short. Texts that came from outside are cut at kLongestText bytes.
struct LiveDecision {
  std::uint64_t number = 0;  ///< since the start, from 1; 0: none
  std::string id;
  double time = 0;  ///< seconds since 1970, when it was decided
  double waited = 0;
  data::DecisionKind kind = data::DecisionKind::kAct;
  data::DecisionCause cause = data::DecisionCause::kPolicy;
  std::string carried_out;  ///< empty: nothing is
  std::string reason;
  std::string rung;
  std::string rater;  ///< who answered or vetoed; empty: nobody, or two who disagreed
  std::optional<double> propensity;
  std::array<std::optional<double>, 3> measured;  ///< aleatoric, model, distributional
  std::size_t readings = 0;
  bool readings_disagree = false;
  bool voided = false;
};

/// Unit and estimator of a measured uncertainty; empty until something was measured.
struct MeasuredUnit {
  std::string unit;
  std::string estimator;
};

class LiveWindow {
 public:
  static constexpr std::size_t kKept = 200;
  static constexpr std::size_t kSeconds = 600;
  static constexpr std::size_t kLongestText = 400;
  using Counts = std::array<std::array<std::uint64_t, 5>, 5>;  ///< by DecisionKind, DecisionCause

  struct Span {
    double seconds = 0;  ///< that it covers: less than asked for shortly after the start
    std::uint64_t arrived = 0;
    std::uint64_t refused = 0;
    std::uint64_t voided = 0;
    Counts decided{};
  };

  explicit LiveWindow(Instant start = 0);

  void arrived(Instant now) { ++second(now).arrived; }
  void refused(Instant now) { ++second(now).refused; }
  /// What measures a decision's uncertainty. Values in other units are not comparable: those kept are dropped.
  void measured_by(const decision::Uncertainty& uncertainty);
  void decided(const data::DecisionRecord& record, std::string_view rater, double waited, double wall, Instant now);
  /// The outcome of `id` does not count.
  void voided(std::string_view id, Instant now);

  /// Counts over the last `seconds` (1 to 600) whole seconds before `now`, the one that runs included.
  Span last(std::size_t seconds, Instant now) const;
  /// Counts of `steps` consecutive spans of `step` seconds each, the last one ending with the second of `now`.
  std::vector<Span> steps(std::size_t step, std::size_t steps, Instant now) const;
  /// Those with a number above `after`, newest first.
  std::vector<const LiveDecision*> decisions(std::uint64_t after) const;
  std::uint64_t newest() const { return next_ - 1; }
  const std::array<MeasuredUnit, 3>& units() const { return units_; }
  double running(Instant now) const { return static_cast<double>(now - start_) / 1e9; }

 private:
  struct Second {
    Instant number = -1;
    std::uint32_t arrived = 0;
    std::uint32_t refused = 0;
    std::uint32_t voided = 0;
    std::array<std::array<std::uint32_t, 5>, 5> decided{};
  };
  Second& second(Instant now);
  void add_to(Span& span, Instant number) const;

  Instant start_;
  std::vector<Second> seconds_;
  std::vector<LiveDecision> kept_;
  std::uint64_t next_ = 1;
  std::array<MeasuredUnit, 3> units_;
};

}  // namespace plumbline::runtime

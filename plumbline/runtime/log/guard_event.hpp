#pragma once
/// What the guard writes into its journal, one JSON object a frame. The keys that a fold needs stand first ("e", "t",
/// "id", …), the decision's record last, so that a replay need not read records.
///
///   start    the guard began: policy, model, case, accepted claims, mode
///   arrive   a request is in; `fallback` is carried out if nothing else happens before `deadline`
///   propose  people are asked; `record` is the proposal, and its fallback takes the arrival's place
///   decide   how a request ended: `record`, with `detail` beside it. The answer's body is these two
///   void     nothing counts for this request: the answer did not go out in time
///   feedback a reward
///   queue    a person took, gave back, answered, took back or vetoed a question
///   fold     what events that are left out of a snapshot come to: `counts`
///   acknowledge  somebody saw the alarm of a monitor (`id`), which then starts anew
///
/// decide and propose carry the monitors' note of the proposal, if there are monitors.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/runtime/log/monitor_note.hpp"
#include "plumbline/runtime/log/question_queue.hpp"

namespace plumbline::runtime {

struct GuardEvent {
  enum class Kind : std::uint8_t { kStart, kArrive, kPropose, kDecide, kVoid, kFeedback, kQueue, kAcknowledge, kFold };
  Kind kind = Kind::kStart;
  Instant at = 0;
  std::string id;  ///< of the request; acknowledge: name of the monitor
  std::uint32_t content =
      0;                 ///< arrive: checksum of unit and input, so that an id used twice for different things shows
  std::string fallback;  ///< arrive, propose; empty: refuse
  Instant deadline = 0;  ///< arrive
  data::DecisionKind decision = data::DecisionKind::kAct;    ///< decide
  data::DecisionCause cause = data::DecisionCause::kPolicy;  ///< decide
  bool shadow = false;                                       ///< decide
  std::string detail;                 ///< propose, decide, start: a JSON object as text, or empty
  std::string record;                 ///< propose, decide: a decision record as text (data::decision_to_json)
  std::string reason;                 ///< void
  double reward = 0;                  ///< feedback
  double delay = 0;                   ///< feedback: seconds since the decision
  std::string rater;                  ///< feedback, acknowledge: who
  std::vector<std::uint64_t> counts;  ///< fold: arrivals, void, rewards, starts, outcomes by kind and cause (5 x 5)
  std::optional<QueueEvent> queue;    ///< queue; propose: the question; decide: its settlement
  std::optional<MonitorNote> note;    ///< decide, propose: what monitors saw of the proposal
};

/// Errors kValue: a number that is not finite, text that is not UTF-8.
base::Result<std::string> to_json(const GuardEvent& event);
/// What a reader wants of the texts at an event's end.
enum class EventTexts {
  kAll,
  kForFold,  ///< where a state is folded: detail and record of an outcome may be left empty
};
/// The inverse; `detail` and `record` are taken as text and not looked into. Errors kParse, with `place` in front.
base::Result<GuardEvent> parse_guard_event(std::string_view text, const std::string& place,
                                           EventTexts texts = EventTexts::kAll);

/// {"detail": …, "record": …} of a decide event as it stands in the journal. Precondition: to_json wrote it.
std::string answer_body(std::string_view decide);

}  // namespace plumbline::runtime

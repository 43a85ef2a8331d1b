#include "plumbline/runtime/guard_state.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"

namespace plumbline::runtime {

using base::Code;
using base::make_error;
using Kind = GuardEvent::Kind;

std::vector<std::uint64_t> GuardCounts::list() const {
  std::vector<std::uint64_t> out = {arrivals, voided, feedback, starts};
  for (const auto& by_cause : decisions) out.insert(out.end(), by_cause.begin(), by_cause.end());
  return out;
}

void GuardCounts::add(const std::vector<std::uint64_t>& list) {
  base::ensure(list.size() == 29, "the counts of a fold are 29 numbers");
  arrivals += list[0];
  voided += list[1];
  feedback += list[2];
  starts += list[3];
  for (std::size_t i = 0; i < 25; ++i) decisions[i / 5][i % 5] += list[4 + i];
}

GuardState::GuardState(const QueueLimits& limits, std::vector<Question> gold, std::size_t remembered,
                       std::shared_ptr<const MonitorPlan> plan)
    : limit_(remembered), queue_(limits, std::move(gold)), monitors_(std::move(plan)) {}

GuardState::Key GuardState::key_of(const std::string& id) {
  const base::Key128 key = base::key128(id);
  return {key.low, key.high};
}

const OpenDecision* GuardState::find_open(const std::string& id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

const DoneDecision* GuardState::find_done(const std::string& id) const {
  const auto found = done_.find(key_of(id));
  return found == done_.end() ? nullptr : &found->second;
}

void GuardState::finish(const std::string& id, const DoneDecision& done) {
  const Key key = key_of(id);
  done_.insert_or_assign(key, done);
  order_.push_back(key);
  if (order_.size() > limit_) {
    done_.erase(order_.front());
    order_.pop_front();
  }
  open_.erase(id);
}

base::Status GuardState::apply(const GuardEvent& event, const JournalFrame& frame) {
  const auto impossible = [&](std::string_view why) {
    return make_error(Code::kValue, fmt::format("frame {} about '{}': {}", frame.number, event.id, why));
  };
  last_ = std::max(last_, event.at);
  if (event.queue) PL_CHECK(queue_.apply(*event.queue));
  if (event.note) monitors_.apply(*event.note, event.at, frame.number);
  const auto open = open_.find(event.id);
  switch (event.kind) {
    case Kind::kStart: ++counts_.starts; break;
    case Kind::kQueue: break;
    case Kind::kFold: counts_.add(event.counts); break;
    case Kind::kAcknowledge: monitors_.acknowledge(event.id); break;
    case Kind::kArrive: {
      if (open != open_.end()) return impossible("it is open already");
      OpenDecision decision;
      decision.number = decision.last_frame = frame.number;
      decision.content = event.content;
      decision.arrived = event.at;
      decision.deadline = event.deadline;
      decision.fallback = event.fallback;
      open_.emplace(event.id, std::move(decision));
      ++counts_.arrivals;
      break;
    }
    case Kind::kPropose:
      if (open == open_.end() || !event.queue) return impossible("a question about nothing that is open");
      open->second.last_frame = frame.number;
      open->second.fallback = event.fallback;
      open->second.question = event.queue->question;
      open->second.proposal = event.record;
      open->second.detail = event.detail;
      break;
    case Kind::kDecide:
      if (open == open_.end()) return impossible("an outcome of nothing that is open");
      ++counts_.decisions[static_cast<std::size_t>(event.decision)][static_cast<std::size_t>(event.cause)];
      finish(event.id, {frame.at, frame.number, open->second.content, event.at, {}, false, event.shadow});
      break;
    case Kind::kVoid:
      ++counts_.voided;
      if (open != open_.end()) {
        finish(event.id, {{}, frame.number, open->second.content, event.at, {}, true, false});
      } else if (const auto done = done_.find(key_of(event.id)); done != done_.end()) {
        done->second.voided = true;
      }
      break;
    case Kind::kFeedback: {
      const auto done = done_.find(key_of(event.id));
      if (done == done_.end()) return impossible("a reward for an unknown decision");
      done->second.reward = event.reward;
      monitors_.reward(event.reward, event.at, frame.number);
      ++counts_.feedback;
      break;
    }
  }
  return base::ok();
}

base::Status GuardState::replay(const JournalFrame& frame, const std::string& place) {
  const auto here = [&](const base::Error& error) {
    return error.at(fmt::format("{}, frame {}", place, frame.number));
  };
  const auto event = parse_guard_event(frame.payload, {}, EventTexts::kForFold);
  if (!event.ok()) return here(event.error());
  const base::Status applied = apply(*event, frame);
  return applied.ok() ? base::ok() : base::Status(here(applied.error()));
}

}  // namespace plumbline::runtime

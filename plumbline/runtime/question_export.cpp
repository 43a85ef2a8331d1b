#include "plumbline/runtime/question_export.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "plumbline/data/question_log.hpp"
#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/guard_event.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

double seconds(Instant at) { return static_cast<double>(at) / static_cast<double>(kSecond); }

/// Questions as the events tell of them.
class Histories {
 public:
  base::Status take(const GuardEvent& event, const std::string& place) {
    if (event.kind == GuardEvent::Kind::kArrive) deadlines_[event.id] = event.deadline;
    if (event.queue) PL_CHECK(take_queue(*event.queue, place));
    const bool ended = event.kind == GuardEvent::Kind::kDecide || event.kind == GuardEvent::Kind::kVoid;
    if (!ended) return base::ok();
    deadlines_.erase(event.id);
    const auto asked = of_decision_.find(event.id);
    if (asked == of_decision_.end()) return base::ok();
    data::QuestionRecord& q = all_.at(asked->second);
    if (event.kind == GuardEvent::Kind::kDecide) q.decided = seconds(event.at);
    if (event.kind == GuardEvent::Kind::kVoid && event.reason == kWentOutLate) q.late = true;
    return base::ok();
  }

  std::vector<data::QuestionRecord> records() && {
    std::vector<data::QuestionRecord> out;
    for (auto& [number, record] : all_) out.push_back(std::move(record));
    return out;
  }

 private:
  base::Status take_queue(const QueueEvent& event, const std::string& place) {
    if (event.kind == QueueEvent::Kind::kAsk) {
      if (!event.asked) return make_error(Code::kValue, "a question without its text", place);
      ask(event, *event.asked);
      return base::ok();
    }
    const auto found = all_.find(event.question);
    if (found == all_.end())
      return make_error(Code::kValue, fmt::format("question {} was never asked", event.question), place);
    data::QuestionRecord& q = found->second;
    const double at = seconds(event.at);
    const auto end_lease = [&] {
      if (!q.leases.empty()) q.leases.back().until = std::min(q.leases.back().until, at);
    };
    switch (event.kind) {
      case QueueEvent::Kind::kAsk: break;
      case QueueEvent::Kind::kLease:
        end_lease();
        q.leases.push_back({event.rater, at, seconds(event.until), false});
        break;
      case QueueEvent::Kind::kRelease:
        end_lease();
        if (!q.leases.empty()) q.leases.back().declined = event.action == kDeclined;
        break;
      case QueueEvent::Kind::kAnswer:
        end_lease();
        q.answers.push_back({event.rater, at, q.leases.empty() ? 0 : at - q.leases.back().at, event.action, false});
        break;
      case QueueEvent::Kind::kVeto: break;
      case QueueEvent::Kind::kUndo:
        for (auto answer = q.answers.rbegin(); answer != q.answers.rend(); ++answer) {
          if (answer->rater != event.rater || answer->undone) continue;
          answer->undone = true;
          break;
        }
        break;
      case QueueEvent::Kind::kSettle:
        end_lease();
        q.settled = at;
        q.cause = settle_cause_name(event.cause);
        q.carried_out = event.action;
        break;
    }
    return base::ok();
  }

  void ask(const QueueEvent& event, const Question& asked) {
    data::QuestionRecord q;
    q.number = event.question;
    q.decision = asked.decision;
    q.kind = question_kind_name(asked.kind);
    q.proposed = asked.proposed;
    q.two_people.assign(asked.irreversible.begin(), asked.irreversible.end());
    q.value = asked.value;
    q.asked = seconds(event.at);
    q.deadline = seconds(asked.deadline);
    q.gold = asked.gold;
    q.gold_name = asked.gold_name;
    if (const auto due = deadlines_.find(asked.decision); due != deadlines_.end())
      q.decision_deadline = seconds(due->second);
    if (!asked.decision.empty()) of_decision_[asked.decision] = event.question;
    all_.emplace(event.question, std::move(q));
  }

  std::map<std::uint64_t, data::QuestionRecord> all_;
  std::unordered_map<std::string, Instant> deadlines_;  // of open decisions
  std::unordered_map<std::string, std::uint64_t> of_decision_;
};

}  // namespace

base::Result<QuestionCounts> export_questions(const std::string& place, const std::string& path,
                                              const std::string& partition) {
  std::string one = partition;
  if (partition.empty()) {
    PL_TRY(const std::vector<std::string> partitions, list_partitions(place));
    if (partitions.size() > 1)
      return make_error(Code::kValue, fmt::format("holds the queues of {} guards", partitions.size()),
                        shown_place(place), "Name one of them: each has its own people and its own clock");
    if (!partitions.empty()) one = partitions.front();
  }
  Histories histories;
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    const std::string here = fmt::format("{}, frame {}", shown_place(place), frame.number);
    PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, here));
    return histories.take(event, here);
  };
  const auto read = read_journal(place, visit, one);
  if (!read.ok()) return read.error();
  const std::vector<data::QuestionRecord> records = std::move(histories).records();
  PL_CHECK(data::write_questions(path, records));
  QuestionCounts counts;
  for (const data::QuestionRecord& q : records) {
    ++(q.is_gold() ? counts.gold : counts.questions);
    counts.open += q.settled ? 0U : 1U;
  }
  return counts;
}

}  // namespace plumbline::runtime

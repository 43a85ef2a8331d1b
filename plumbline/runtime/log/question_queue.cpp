#include "plumbline/runtime/log/question_queue.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Kind = QueueEvent::Kind;

constexpr std::array<std::string_view, 5> kCauses = {"answered", "expired", "vetoed", "disagreed", "displaced"};
constexpr std::array<std::string_view, 4> kQuestionKinds = {"label", "compare", "correct", "approve"};
constexpr std::array<std::string_view, 7> kKinds = {"ask", "lease", "release", "answer", "veto", "undo", "settle"};

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

base::Error refusal(std::string code, std::string message, std::string hint = {}) {
  return make_error(Code::kValue, std::move(message), std::move(code), std::move(hint));
}

base::Status validate(const Question& q) {
  if (q.actions.empty()) return make_error(Code::kValue, "a question has no actions to choose from");
  if (!q.safe.empty() && !has(q.actions, q.safe))
    return make_error(Code::kValue, fmt::format("the safe action '{}' is not among the actions", q.safe));
  for (const std::string& action : q.irreversible)
    if (!has(q.actions, action))
      return make_error(Code::kValue, fmt::format("the irreversible action '{}' is not among the actions", action));
  if (!q.proposed.empty() && !has(q.actions, q.proposed))
    return make_error(Code::kValue, fmt::format("the proposed action '{}' is not among the actions", q.proposed));
  for (const Candidate& candidate : q.candidates) {
    if (!has(q.actions, candidate.action))
      return make_error(Code::kValue, fmt::format("the candidate '{}' is not among the actions", candidate.action));
    PL_CHECK(base::check_finite("QuestionQueue", "probability", candidate.probability));
  }
  return base::check_finite("QuestionQueue", "value", q.value);
}

}  // namespace

std::string_view settle_cause_name(SettleCause cause) { return kCauses[static_cast<std::size_t>(cause)]; }
std::string_view queue_event_name(QueueEvent::Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::string_view question_kind_name(QuestionKind kind) { return kQuestionKinds[static_cast<std::size_t>(kind)]; }

std::optional<QuestionKind> question_kind_of(std::string_view name) {
  const auto found = std::find(kQuestionKinds.begin(), kQuestionKinds.end(), name);
  if (found == kQuestionKinds.end()) return std::nullopt;
  return static_cast<QuestionKind>(found - kQuestionKinds.begin());
}

QuestionQueue::QuestionQueue(const QueueLimits& limits, std::vector<Question> gold)
    : limits_(limits), gold_(std::move(gold)) {}

double QuestionQueue::expected_seconds(QuestionKind kind) const {
  const auto found = attention_.find(kind);
  const Attention measured = found == attention_.end() ? Attention{} : found->second;
  const double seconds = (limits_.attention_prior * limits_.attention_weight + measured.seconds) /
                         (limits_.attention_weight + static_cast<double>(measured.answers));
  return std::max(seconds, 1e-3);
}

bool QuestionQueue::before(std::uint64_t a, std::uint64_t b) const {
  const Question& x = open_.at(a).question;
  const Question& y = open_.at(b).question;
  const double px = priority(x);
  const double py = priority(y);
  if (px != py) return px > py;
  if (x.deadline != y.deadline) return x.deadline < y.deadline;
  return a < b;
}

base::Result<const OpenQuestion*> QuestionQueue::find(std::uint64_t question, Instant now) const {
  const auto found = open_.find(question);
  if (found != open_.end()) {
    if (now < found->second.question.deadline) return &found->second;
    return refusal("question_expired", fmt::format("question {} is out of time", question),
                   "Its safe action is taken; nothing more can be said to it");
  }
  const auto cause = settled(question);
  if (!cause) return refusal("unknown_question", fmt::format("there is no question {}", question));
  if (*cause == SettleCause::kExpired)
    return refusal("question_expired", fmt::format("question {} is out of time", question),
                   "Its safe action was taken; nothing more can be said to it");
  return refusal("question_settled", fmt::format("question {} is settled: {}", question, settle_cause_name(*cause)));
}

std::optional<SettleCause> QuestionQueue::settled(std::uint64_t question) const {
  for (auto it = settled_.rbegin(); it != settled_.rend(); ++it)
    if (it->question == question) return it->cause;
  return std::nullopt;
}

std::uint64_t QuestionQueue::held_by(const std::string& rater, Instant now) const {
  for (const auto& [number, item] : open_)
    if (item.lease && item.lease->rater == rater && now < item.lease->until && now < item.question.deadline)
      return number;
  return 0;
}

/// When the item will be settled if nothing more happens. Precedence: enough answers, then the deadline.
std::optional<Instant> QuestionQueue::due_at(const OpenQuestion& item) const {
  if (item.votes.empty()) return item.question.deadline;
  const auto& last = item.votes.back();
  const bool enough = item.votes.size() == 2 || !item.question.irreversible.contains(last.action);
  return enough ? std::min(last.at + limits_.undo, item.question.deadline) : item.question.deadline;
}

std::optional<QueueEvent> QuestionQueue::settlement(std::uint64_t number, const OpenQuestion& item, Instant now) const {
  if (now < *due_at(item)) return std::nullopt;
  QueueEvent event{Kind::kSettle, now, number, {}, item.question.safe, 0, SettleCause::kExpired, {}};
  if (item.votes.empty()) return event;
  const auto& last = item.votes.back();
  if (item.votes.size() == 2 && item.votes.front().action != last.action) {
    event.cause = SettleCause::kDisagreed;
  } else if (item.votes.size() == 2 || !item.question.irreversible.contains(last.action)) {
    event.cause = SettleCause::kAnswered;
    event.action = last.action;
    event.rater = last.rater;
  }
  return event;
}

base::Result<std::vector<QueueEvent>> QuestionQueue::ask(const Question& question, Instant now) const {
  PL_CHECK(validate(question));
  if (question.deadline <= now) return make_error(Code::kValue, "the question's deadline has passed");
  if (limits_.budget && spent(now) + limits_.question_cost > *limits_.budget)
    return make_error(Code::kLimit,
                      fmt::format("the budget of {} for questions in {} s is spent", *limits_.budget,
                                  static_cast<double>(limits_.budget_window) / static_cast<double>(kSecond)),
                      "budget_spent", "The safe action is taken");
  std::vector<QueueEvent> events;
  if (open_.size() >= limits_.open) {
    // Only what nobody is busy with may go.
    std::uint64_t least = 0;
    for (const auto& [number, item] : open_) {
      if (!item.votes.empty() || (item.lease && now < item.lease->until)) continue;
      if (least == 0 || before(least, number)) least = number;
    }
    if (least == 0 || priority(open_.at(least).question) >= priority(question))
      return make_error(Code::kLimit, fmt::format("{} questions are open, each worth as much", open_.size()),
                        "queue_full", "The safe action is taken");
    events.push_back({Kind::kSettle, now, least, {}, open_.at(least).question.safe, 0, SettleCause::kDisplaced, {}});
  }
  events.push_back({Kind::kAsk, now, asked_ + 1, {}, {}, 0, SettleCause::kAnswered, question});
  return events;
}

double QuestionQueue::spent(Instant now) const {
  const auto first = std::upper_bound(asks_.begin(), asks_.end(), now - limits_.budget_window);
  return limits_.question_cost * static_cast<double>(asks_.end() - first);
}

bool QuestionQueue::needs_second(const OpenQuestion& item) {
  return item.votes.size() == 1 && item.question.irreversible.contains(item.votes.front().action);
}

bool QuestionQueue::available(const OpenQuestion& item, const std::string& rater, Instant now) const {
  if (now >= item.question.deadline || item.declined.contains(rater) ||
      (!item.question.only_for.empty() && item.question.only_for != rater))
    return false;
  if (item.lease && now < item.lease->until && item.lease->rater != rater) return false;
  return item.votes.empty() || (needs_second(item) && item.votes.front().rater != rater);
}

std::vector<QueueEvent> QuestionQueue::lease(const std::string& rater, Instant now, const LeaseWish& wish) const {
  const auto leased = [&](std::uint64_t number, Instant deadline) {
    return QueueEvent{Kind::kLease, now, number, rater, {}, std::min(now + limits_.lease, deadline), {}, {}};
  };
  if (held_by(rater, now) != 0) return {};
  std::uint64_t best = 0;
  for (const auto& [number, item] : open_) {
    if (!available(item, rater, now) || wish.except.contains(number)) continue;
    if (best == 0 || number == wish.first || (best != wish.first && before(number, best))) best = number;
  }
  const auto record = raters_.find(rater);
  const std::uint64_t leases = record == raters_.end() ? 0 : record->second.leases;
  if (best != 0 && limits_.gold_every > 0 && (leases + 1) % limits_.gold_every == 0) {
    for (const Question& gold : gold_) {
      if (record != raters_.end() && record->second.gold_seen.contains(gold.gold_name)) continue;
      QueueEvent asked{Kind::kAsk, now, asked_ + 1, {}, {}, 0, SettleCause::kAnswered, gold};
      asked.asked->only_for = rater;
      // As much time as the question that it goes before: the clock must not tell which is which.
      asked.asked->deadline = std::min(now + limits_.lease, open_.at(best).question.deadline);
      return {asked, leased(asked_ + 1, asked.asked->deadline)};
    }
  }
  if (best == 0) return {};
  return {leased(best, open_.at(best).question.deadline)};
}

base::Result<QueueEvent> QuestionQueue::release(const std::string& rater, std::uint64_t question, Instant now,
                                                bool decline) const {
  PL_TRY(const OpenQuestion* item, find(question, now));
  if (!item->lease || item->lease->rater != rater)
    return refusal("not_leased", fmt::format("question {} is not with {}", question, rater));
  return QueueEvent{Kind::kRelease, now, question, rater, decline ? std::string(kDeclined) : std::string(), 0, {}, {}};
}

base::Result<QueueEvent> QuestionQueue::answer(const std::string& rater, std::uint64_t question,
                                               const std::string& action, Instant now) const {
  PL_TRY(const OpenQuestion* item, find(question, now));
  const auto voted = [&](const OpenQuestion::Vote& vote) { return vote.rater == rater; };
  if (std::any_of(item->votes.begin(), item->votes.end(), voted))
    return refusal("already_answered", fmt::format("question {} has an answer of {}", question, rater),
                   "Undo it first, while that is possible");
  if (!item->lease || item->lease->rater != rater)
    return refusal("not_leased", fmt::format("question {} is not with {}", question, rater), "Lease it first");
  if (now >= item->lease->until)
    return refusal("lease_expired", fmt::format("the lease of question {} has ended", question), "Lease it again");
  if (!has(item->question.actions, action))
    return refusal("unknown_action", fmt::format("'{}' is not among the actions of question {}", action, question));
  return QueueEvent{Kind::kAnswer, now, question, rater, action, 0, {}, {}};
}

base::Result<std::vector<QueueEvent>> QuestionQueue::veto(const std::string& rater, std::uint64_t question,
                                                          Instant now) const {
  PL_TRY(const OpenQuestion* item, find(question, now));
  return std::vector<QueueEvent>{
      {Kind::kVeto, now, question, rater, {}, 0, {}, {}},
      {Kind::kSettle, now, question, rater, item->question.safe, 0, SettleCause::kVetoed, {}}};
}

base::Result<QueueEvent> QuestionQueue::undo(const std::string& rater, std::uint64_t question, Instant now) const {
  PL_TRY(const OpenQuestion* item, find(question, now));
  if (item->votes.empty() || item->votes.back().rater != rater)
    return refusal("nothing_to_undo", fmt::format("the last answer to question {} is not of {}", question, rater));
  return QueueEvent{Kind::kUndo, now, question, rater, {}, 0, {}, {}};
}

std::vector<QueueEvent> QuestionQueue::due(Instant now) const {
  std::vector<QueueEvent> events;
  for (const auto& [number, item] : open_)
    if (auto event = settlement(number, item, now)) events.push_back(std::move(*event));
  return events;
}

std::optional<Instant> QuestionQueue::next_due() const {
  std::optional<Instant> next;
  for (const auto& [number, item] : open_) {
    const auto at = due_at(item);
    if (!next || *at < *next) next = at;
  }
  return next;
}

void QuestionQueue::take_answer(OpenQuestion& item, const QueueEvent& event) {
  const double seconds = static_cast<double>(event.at - item.lease->from) / static_cast<double>(kSecond);
  RaterRecord& rater = raters_[event.rater];
  ++rater.answers;
  rater.seconds += seconds;
  if (!item.question.gold.empty()) {
    ++rater.gold_answered;
    rater.gold_right += event.action == item.question.gold ? 1U : 0U;
  } else {
    attention_[item.question.kind].seconds += seconds;
    ++attention_[item.question.kind].answers;
  }
  if (item.votes.size() == 1) {
    const bool agreed = item.votes.front().action == event.action;
    for (RaterRecord* one : {&rater, &raters_[item.votes.front().rater]}) {
      ++one->pairs;
      one->pairs_agreed += agreed ? 1U : 0U;
    }
  }
  item.lease.reset();
  item.votes.push_back({event.rater, event.action, event.at});
}

base::Status QuestionQueue::apply(const QueueEvent& event) {
  const auto impossible = [&](std::string_view why) {
    return make_error(Code::kValue,
                      fmt::format("event '{}' of question {}: {}", queue_event_name(event.kind), event.question, why));
  };
  if (event.kind == Kind::kAsk) {
    if (!event.asked || event.question != asked_ + 1) return impossible("questions are numbered in order");
    ++asked_;
    open_.emplace(event.question, OpenQuestion{*event.asked, {}, {}, {}});
    if (limits_.budget && event.asked->gold_name.empty()) {
      while (!asks_.empty() && asks_.front() <= event.at - limits_.budget_window) asks_.pop_front();
      asks_.push_back(event.at);
    }
    return base::ok();
  }
  const auto found = open_.find(event.question);
  if (found == open_.end()) return impossible("it is not open");
  OpenQuestion& item = found->second;
  switch (event.kind) {
    case Kind::kAsk: break;
    case Kind::kLease: {
      RaterRecord& rater = raters_[event.rater];
      ++rater.leases;
      if (!item.question.gold_name.empty()) rater.gold_seen.insert(item.question.gold_name);
      item.lease = {event.rater, event.at, event.until};
      break;
    }
    case Kind::kRelease:
      item.lease.reset();
      if (event.action == kDeclined) item.declined.insert(event.rater);
      break;
    case Kind::kAnswer:
      if (!item.lease || item.lease->rater != event.rater || item.votes.size() > 1)
        return impossible("an answer without a lease");
      take_answer(item, event);
      break;
    case Kind::kVeto: ++raters_[event.rater].vetoes; break;
    case Kind::kUndo:
      if (item.votes.empty()) return impossible("nothing to undo");
      ++raters_[event.rater].undone;
      item.votes.pop_back();
      break;
    case Kind::kSettle:
      settled_.push_back({event.question, event.cause, event.action, event.rater, !item.question.gold_name.empty()});
      if (settled_.size() > limits_.remembered) settled_.pop_front();
      open_.erase(found);
      break;
  }
  return base::ok();
}

bool QuestionQueue::operator==(const QuestionQueue& other) const {
  return asked_ == other.asked_ && open_ == other.open_ && raters_ == other.raters_ && attention_ == other.attention_ &&
         settled_ == other.settled_ && asks_ == other.asks_;
}

}  // namespace plumbline::runtime

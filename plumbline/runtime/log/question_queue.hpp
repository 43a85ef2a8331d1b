#pragma once
/// QuestionQueue: what people are asked, in which order, and what counts when they answer late, twice, or not at all.
/// A command checks and returns events; apply() takes events in. So a replay of the events gives the same state, and
/// nothing here reads a clock: every command is told the time.
///
/// Priority    value / expected seconds of attention; that expectation is a mean per kind of question over the answers
///             so far, with a declared prior. Ties: earlier deadline, then the older question.
/// Leases      a question is with one person at a time, a person has one question at a time.
/// Two people  an action of `irreversible` counts only when two people chose it; if they differ, the safe action is
/// taken. Gold        a question whose answer is known, shown to one rater as if it were real. It decides nothing.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

/// Nanoseconds of a clock that only goes forward.
using Instant = std::int64_t;
inline constexpr Instant kMillisecond = 1'000'000;
inline constexpr Instant kSecond = 1'000'000'000;

/// What a person is asked to do. Questions of a kind take alike long.
enum class QuestionKind : std::uint8_t {
  kLabel,    ///< choose one of the actions
  kCompare,  ///< which of two is better
  kCorrect,  ///< accept what is proposed, or choose another action
  kApprove,  ///< approve what is proposed, which cannot be undone, or veto it
};
/// "label", "compare", "correct", "approve".
std::string_view question_kind_name(QuestionKind kind);
/// The inverse; nothing for another word.
std::optional<QuestionKind> question_kind_of(std::string_view name);

/// An action that may be the right one.
struct Candidate {
  std::string action;
  double probability = 0;
  bool operator==(const Candidate&) const = default;
};

struct Question {
  std::string decision;  ///< what waits for it; empty for gold
  QuestionKind kind = QuestionKind::kLabel;
  std::vector<std::string> actions;    ///< to choose from
  std::set<std::string> irreversible;  ///< those that two people must agree on
  std::string safe;                    ///< taken when nobody answers; empty: refuse
  double value = 0;                    ///< expected gain, in the declared cost, if it is answered
  Instant deadline = 0;
  std::string proposed;  ///< kCorrect, kApprove: what would be done; else empty, so that nobody leans on it
  std::vector<Candidate> candidates;  ///< most probable first; kCompare: the two. Any action may be answered
  std::string reason;                 ///< why it is asked
  std::string gold;                   ///< the known answer, or empty
  std::string gold_name;
  std::string only_for;  ///< gold: its rater
  std::string shown;     ///< gold: a JSON object with what is shown beside it, as of a real question; or empty
  bool operator==(const Question&) const = default;
};

enum class SettleCause : std::uint8_t { kAnswered, kExpired, kVetoed, kDisagreed, kDisplaced };
/// "answered", "expired", "vetoed", "disagreed", "displaced".
std::string_view settle_cause_name(SettleCause cause);

struct QueueEvent {
  enum class Kind : std::uint8_t { kAsk, kLease, kRelease, kAnswer, kVeto, kUndo, kSettle };
  Kind kind = Kind::kAsk;
  Instant at = 0;
  std::uint64_t question = 0;
  std::string rater;
  std::string action;  ///< kAnswer; kSettle: what is carried out, empty = refuse; kRelease: kDeclined, or empty
  Instant until = 0;   ///< kLease
  SettleCause cause = SettleCause::kAnswered;  ///< kSettle
  std::optional<Question> asked;               ///< kAsk
};
/// The action of a release after which the question is not offered to that rater again.
inline constexpr std::string_view kDeclined = "declined";
/// "ask", "lease", …
std::string_view queue_event_name(QueueEvent::Kind kind);

struct QueueLimits {
  std::size_t open = 1000;  ///< questions at a time; a fuller queue displaces the least worth
  Instant lease = 60 * kSecond;
  Instant undo = 0;                ///< an answer counts only after this time, and may be taken back until then
  std::uint64_t gold_every = 20;   ///< every so many leases of a rater are gold; 0 = never
  double attention_prior = 10;     ///< seconds a question, before anything was measured …
  double attention_weight = 5;     ///< … with the weight of so many answers
  double question_cost = 1;        ///< of every question that is asked, in the unit of the budget
  std::optional<double> budget{};  ///< questions cost at most this much in any window of this length; empty: no limit
  Instant budget_window = 3600 * kSecond;
  std::size_t remembered = 10'000;  ///< settled questions whose fate is still told
};

/// What became of a question.
struct SettledQuestion {
  std::uint64_t question = 0;
  SettleCause cause = SettleCause::kAnswered;
  std::string action;  ///< carried out; empty: refused
  std::string rater;   ///< of the last word; empty: nobody
  bool gold = false;
  bool operator==(const SettledQuestion&) const = default;
};

/// A rater's work. Rates with bounds are the reader's: stats::clopper_pearson(gold_right, gold_seen).
struct RaterRecord {
  std::uint64_t leases = 0;
  std::uint64_t answers = 0;
  std::uint64_t undone = 0;
  std::uint64_t vetoes = 0;
  double seconds = 0;  ///< from lease to answer, all answers
  std::uint64_t gold_answered = 0;
  std::uint64_t gold_right = 0;
  std::uint64_t pairs = 0;  ///< questions that a second person answered too
  std::uint64_t pairs_agreed = 0;
  std::set<std::string> gold_seen;
  bool operator==(const RaterRecord&) const = default;
};

/// An open question as the queue holds it.
struct OpenQuestion {
  struct Lease {
    std::string rater;
    Instant from = 0;
    Instant until = 0;
    bool operator==(const Lease&) const = default;
  };
  struct Vote {
    std::string rater;
    std::string action;
    Instant at = 0;
    bool operator==(const Vote&) const = default;
  };
  Question question;
  std::optional<Lease> lease;
  std::vector<Vote> votes;
  std::set<std::string> declined;  ///< raters who gave it back for good
  bool operator==(const OpenQuestion&) const = default;
};

/// What somebody who leases would rather have.
struct LeaseWish {
  std::uint64_t first = 0;         ///< this one before all others, if it may be had
  std::set<std::uint64_t> except;  ///< none of these
};

class QuestionQueue {
 public:
  explicit QuestionQueue(const QueueLimits& limits = {}, std::vector<Question> gold = {});

  /// Commands. Errors have a word for machines in `where`: "unknown_question", "question_expired", "question_settled",
  /// "not_leased", "lease_expired", "unknown_action", "already_answered", "queue_full", "nothing_to_undo",
  /// "budget_spent". kLimit: the queue is full of questions worth more, or the budget is spent. kValue: no action, a
  /// safe action or an irreversible one that is no action, a value that is not finite, a deadline that has passed.
  base::Result<std::vector<QueueEvent>> ask(const Question& question, Instant now) const;
  /// The question that is worth most to this rater now; no event: none, or the rater has one already.
  std::vector<QueueEvent> lease(const std::string& rater, Instant now, const LeaseWish& wish = {}) const;
  /// `decline`: for good, so that the rater is offered another one next.
  base::Result<QueueEvent> release(const std::string& rater, std::uint64_t question, Instant now,
                                   bool decline = false) const;
  base::Result<QueueEvent> answer(const std::string& rater, std::uint64_t question, const std::string& action,
                                  Instant now) const;
  base::Result<std::vector<QueueEvent>> veto(const std::string& rater, std::uint64_t question, Instant now) const;
  base::Result<QueueEvent> undo(const std::string& rater, std::uint64_t question, Instant now) const;
  /// Questions that are settled by now: answered long enough ago, disagreed upon, or out of time.
  std::vector<QueueEvent> due(Instant now) const;
  /// When due() may next have something to say; nothing is open: empty.
  std::optional<Instant> next_due() const;

  /// Errors kValue: an event that no command gives in this state.
  base::Status apply(const QueueEvent& event);

  const std::map<std::uint64_t, OpenQuestion>& open() const { return open_; }
  const std::map<std::string, RaterRecord>& raters() const { return raters_; }
  /// What became of a question lately.
  std::optional<SettleCause> settled(std::uint64_t question) const;
  /// The same of the last ones, oldest first.
  const std::deque<SettledQuestion>& settled_lately() const { return settled_; }
  /// Cost of the questions that were asked within the window before now; gold costs nothing. 0 without a budget.
  double spent(Instant now) const;
  const QueueLimits& limits() const { return limits_; }
  /// It has an answer that counts only when somebody else says the same.
  static bool needs_second(const OpenQuestion& item);
  /// What this rater holds now; 0 = nothing.
  std::uint64_t held_by(const std::string& rater, Instant now) const;
  double expected_seconds(QuestionKind kind) const;
  double priority(const Question& question) const { return question.value / expected_seconds(question.kind); }
  /// The same state, whatever way led to it.
  bool operator==(const QuestionQueue& other) const;

 private:
  struct Attention {
    double seconds = 0;
    std::uint64_t answers = 0;
    bool operator==(const Attention&) const = default;
  };
  base::Result<const OpenQuestion*> find(std::uint64_t question, Instant now) const;
  bool available(const OpenQuestion& item, const std::string& rater, Instant now) const;
  bool before(std::uint64_t a, std::uint64_t b) const;
  std::optional<QueueEvent> settlement(std::uint64_t number, const OpenQuestion& item, Instant now) const;
  std::optional<Instant> due_at(const OpenQuestion& item) const;
  void take_answer(OpenQuestion& item, const QueueEvent& event);

  QueueLimits limits_;
  std::vector<Question> gold_;
  std::uint64_t asked_ = 0;
  std::map<std::uint64_t, OpenQuestion> open_;
  std::map<std::string, RaterRecord> raters_;
  std::map<QuestionKind, Attention> attention_;
  std::deque<SettledQuestion> settled_;
  std::deque<Instant> asks_;  ///< within the budget's window before the last one
};

}  // namespace plumbline::runtime

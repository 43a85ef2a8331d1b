#pragma once
/// Overseer: somebody or something that answers questions at a cost and within a deadline.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::decision {

/// "Which of these would you have me do?" A question about one situation.
struct Query {
  std::uint64_t situation = 0;  ///< key of the state, or a hash of the input
  std::vector<std::int32_t> options;
  std::vector<std::string> words;  ///< the options for people; may be empty for simulated overseers
  std::int64_t asked_at = 0;       ///< in the world's steps, or in milliseconds
  std::int64_t deadline = 0;       ///< the answer is of no use after this time
  /// What the asker would do, an index into `options`: shown with the question, and may sway who answers it.
  std::optional<std::size_t> proposal = {};
  /// Then the question is not which, but whether: may any of these be done at all, or is each a harm, or truly worth
  /// less than this? Answered by kChoice (the first that may) or kNone; about a step in itself, whenever it falls.
  std::optional<double> veto_below = {};
};

enum class AnswerKind {
  kChoice,     ///< one of the options
  kNone,       ///< none of them may be done
  kAbstained,  ///< no opinion
  kLate,       ///< not before the deadline
  kSpent,      ///< the budget for questions is used up
};

struct Answer {
  AnswerKind kind = AnswerKind::kAbstained;
  std::optional<std::size_t> choice;  ///< index into Query::options
  std::int64_t answered_at = 0;
  double cost = 0;
};

class Overseer {
 public:
  virtual ~Overseer() = default;
  virtual base::Result<Answer> ask(const Query& query) = 0;
  virtual double spent() const = 0;
};

}  // namespace plumbline::decision

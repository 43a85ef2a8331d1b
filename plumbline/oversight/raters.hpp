#pragma once
/// The people behind the answers: accuracy, nodding, agreement, tiring.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/question_log.hpp"
#include "plumbline/oversight/queue_report.hpp"

namespace plumbline::oversight {

/// An answer with its question.
struct Given {
  const data::QuestionRecord* question = nullptr;
  const data::QuestionRecord::Answer* answer = nullptr;
};

/// A stretch of a rater's work: indices into the rater's answers, and its time.
struct Shift {
  double from = 0;
  double until = 0;
  std::vector<Given> answers;  ///< in order, those that were taken back included
};

/// Shifts by rater, with every lease and answer.
std::map<std::string, std::vector<Shift>> shifts_of(std::span<const data::QuestionRecord> questions, double gap);

/// Fills in raters, gold_accuracy, accepts_wrong, discernment, agreement, seconds_per_answer, fatigue and their notes.
base::Status judge_raters(std::span<const data::QuestionRecord> questions,
                          const std::map<std::string, std::vector<Shift>>& shifts, const QueueOptions& options,
                          QueueReport& report);

}  // namespace plumbline::oversight

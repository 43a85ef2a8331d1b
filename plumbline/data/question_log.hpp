#pragma once
/// Logs of questions to people: what was asked, who took it when, what was answered, and what came of it. One JSON
/// object a line; `plumbline guard --export-questions` writes them from a guard's own log.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::data {

/// One question with its whole history. Times in seconds on one clock that only goes forward.
struct QuestionRecord {
  struct Lease {
    std::string rater;
    double at = 0;
    double until = 0;       ///< when it ended: answered, given back, run out, or settled by another
    bool declined = false;  ///< given back for good: the question was not offered to this rater again
  };
  struct Answer {
    std::string rater;
    double at = 0;
    double seconds = 0;  ///< since the lease
    std::string action;
    bool undone = false;  ///< taken back before it counted
  };
  std::uint64_t number = 0;             ///< in the order of asking, from 1
  std::string decision;                 ///< that waits for it; empty: a gold question
  std::string kind = "label";           ///< "label", "compare", "correct", "approve"
  std::string proposed;                 ///< shown as what would be done; empty: nothing was
  std::vector<std::string> two_people;  ///< actions that two people must agree on
  double value = 0;                     ///< what an answer is worth
  double asked = 0;
  double deadline = 0;            ///< for answers
  std::string gold;               ///< the known answer; empty: none is known
  std::string gold_name;          ///< the same question shown to several people has one name
  std::string cause;              ///< "answered", "expired", "vetoed", "disagreed", "displaced"; empty: still open
  std::optional<double> settled;  ///< when
  std::string carried_out;        ///< empty: nothing
  std::optional<double> decision_deadline;  ///< of the decision that waited
  std::optional<double> decided;            ///< when it had its outcome
  bool late = false;                        ///< its outcome went out after its deadline, and is void
  std::vector<Lease> leases;                ///< in order
  std::vector<Answer> answers;              ///< in order

  bool is_gold() const { return !gold_name.empty(); }
};

/// One line, without its break. Errors kValue: a number that is not finite, text that is not UTF-8.
base::Result<std::string> question_to_json(const QuestionRecord& record);
/// The inverse. Errors kParse, with `place` in front: no JSON object, an unknown key, a word or number out of range,
/// times that run backwards (a lease or an answer before the question, a lease that ends before it begins).
base::Result<QuestionRecord> question_from_json(std::string_view line, const std::string& place);

/// All records of a file of JSON lines (gzip too). Errors kIo, kParse with file and line, kLimit; kValue: no record, a
/// number that occurs twice.
base::Result<std::vector<QuestionRecord>> read_questions(const std::string& path, const ReadLimits& limits = {});
base::Result<std::vector<QuestionRecord>> parse_questions(std::string_view text, const std::string& name,
                                                          const ReadLimits& limits = {});
/// Errors as question_to_json; kIo.
base::Status write_questions(const std::string& path, const std::vector<QuestionRecord>& records);

}  // namespace plumbline::data

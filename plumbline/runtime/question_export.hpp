#pragma once
/// The questions of a journal as a question log, the form that the check oversight.queue reads.

#include <cstdint>
#include <string>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

struct QuestionCounts {
  std::uint64_t questions = 0;  ///< of decisions
  std::uint64_t gold = 0;
  std::uint64_t open = 0;  ///< among both: not settled yet
};

/// Writes one line a question, in the order of asking, each with what became of it and of the decision that waited for
/// it (data::QuestionRecord). Times are the guard's clock in seconds. The journal may be in use.
/// Errors kIo: the file; those of read_journal and of the events; kValue: an event of a question that was never asked,
/// a database with several partitions of which none is named.
base::Result<QuestionCounts> export_questions(const std::string& place, const std::string& path,
                                              const std::string& partition = {});

}  // namespace plumbline::runtime

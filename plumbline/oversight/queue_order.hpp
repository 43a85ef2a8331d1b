#pragma once
/// Was the worthiest question always taken?

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/data/question_log.hpp"
#include "plumbline/oversight/queue_report.hpp"

namespace plumbline::oversight {

struct OrderFigures {
  std::size_t leases = 0;               ///< of questions that are not gold
  std::size_t inversions = 0;           ///< while a worthier one was free
  std::vector<std::uint64_t> inverted;  ///< questions of the first hundred
};

/// As queue_report. What happened at the same instant as a lease counts in the queue's favour.
OrderFigures order_of(std::span<const data::QuestionRecord> questions, const QueueOptions& options);

}  // namespace plumbline::oversight

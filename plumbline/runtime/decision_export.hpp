#pragma once
/// The decisions of a journal as a decision log, the form that `plumbline estimate` and the checks of logs read.

#include <cstdint>
#include <string>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

struct ExportCounts {
  std::uint64_t decisions = 0;
  std::uint64_t rewards = 0;
  std::uint64_t voided = 0;  ///< left out: their answers did not go out in time
  std::uint64_t open = 0;    ///< left out: not decided yet
  std::uint64_t torn_bytes = 0;
  std::uint64_t missing = 0;    ///< records of the log that were discarded by a compaction
  std::uint64_t elsewhere = 0;  ///< of the decisions: another partition decided the same id as well
};

/// Writes one line a decision, in the order in which they were decided, each with the reward that came for it; of a
/// database without a partition's name, all partitions one after the other. The journal may be in use. A decision of
/// shadow mode has cause "safeguard", so that no estimate counts it.
/// Errors kIo: the file; those of read_journal and of the records.
base::Result<ExportCounts> export_decisions(const std::string& place, const std::string& path,
                                            const std::string& partition = {});

}  // namespace plumbline::runtime

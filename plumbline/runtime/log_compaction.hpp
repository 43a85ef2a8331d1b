#pragma once
/// Compaction of a guard's log in a folder: what no longer can be asked for is folded into a snapshot, and the segments
/// that it stands for go to the archive.
///
/// What goes   whole segments before the last `remembered` outcomes and before anything that is open: nothing in them
///             can be repeated, rewarded or answered any more.
/// Snapshot    a log again, much shorter: requests that ended and are named nowhere else come to one event with their
///             counts; events about people stay, without the records at their ends, and so do all that
///             monitors took note of.
/// Proof       the snapshot and the rest are folded before anything is moved, and must give the state that the whole
/// log
///             gives; if they do not, nothing is changed.
/// Crashes     the snapshot is written beside its name and moved there when it is durable. Before that the log is as it
///             was; after it, segments that it stands for are ignored wherever they lie, and moved by the next call.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/runtime/guard_state.hpp"

namespace plumbline::runtime {

struct CompactionOptions {
  QueueLimits queue;  ///< these three as the guard has them
  std::vector<Question> gold;
  std::size_t remembered = 1'000'000;
  std::shared_ptr<const MonitorPlan> monitors{};    ///< may be left out: what monitors see is kept in any case
  bool watched = false;                             ///< monitors are declared, even if none took note yet
  bool discard = false;                             ///< delete what a snapshot stands for; else it is kept in archive/
  std::function<void(std::string_view)> step = {};  ///< called before each change to the disk, for tests
};

struct Compaction {
  std::uint64_t next = 0;          ///< the first frame that stays as it is; 0: there was nothing to fold
  std::uint64_t folded = 0;        ///< frames that the snapshot stands for now
  std::uint64_t kept = 0;          ///< frames in it
  std::uint64_t segments = 0;      ///< archived or deleted, leftovers of an earlier call included
  std::uint64_t bytes_before = 0;  ///< of what the snapshot stands for, as it lay there
  std::uint64_t bytes_after = 0;   ///< of the snapshot
};

/// Errors kIo: the folder is in use, or no log, or the disk; kParse: damage; kUnsupported: a database; kInternal: the
/// snapshot would not give the same state. After an error the log gives the state that it gave before.
/// Cost  four passes over the log; memory for the ids of what stays.
base::Result<Compaction> compact_log(const std::string& folder, const CompactionOptions& options);

}  // namespace plumbline::runtime

#pragma once
/// DecisionJournal: an append-only log in a folder. What was committed is read back after a kill, a crash or a full
/// disk; what was not is gone as a whole. The bytes are in plumbline/runtime/log/journal_frame.hpp, what the frames
/// mean is the guard's (plumbline/runtime/log/guard_event.hpp).

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

/// When a commit counts as durable.
enum class SyncPolicy {
  kEach,   ///< one write and one fdatasync a frame
  kGroup,  ///< one for all frames that came in since the last
  kNone,   ///< written, not synced: survives a kill of the process, not a loss of power
};
/// "each", "group", "none".
std::string_view sync_policy_name(SyncPolicy policy);
base::Result<SyncPolicy> parse_sync_policy(std::string_view word);

struct JournalOptions {
  SyncPolicy sync = SyncPolicy::kGroup;
  std::uint64_t segment_bytes = std::uint64_t{256} << 20U;  ///< a new segment is begun behind this size
};

/// Where a frame lies. Ordered as the frames are.
struct FramePosition {
  std::uint64_t segment = 0;  ///< the number of its first frame
  std::uint64_t offset = 0;
  auto operator<=>(const FramePosition&) const = default;
};

struct JournalFrame {
  std::uint64_t number = 0;  ///< 1, 2, …, over all segments
  FramePosition at;
  std::string_view payload;
};

using JournalVisit = std::function<base::Status(const JournalFrame&)>;

/// What opening or reading found.
struct JournalState {
  std::uint64_t frames = 0;
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  std::uint64_t torn_bytes = 0;  ///< of a group that never became durable; cut off by open()
};

/// One commit, for metrics.
struct Commit {
  std::uint64_t durable = 0;  ///< number of the last frame that is durable now
  std::uint64_t frames = 0;   ///< of this commit
  double sync_seconds = 0;    ///< spent in fdatasync
};

/// One thread may append while another commits.
class DecisionJournal {
 public:
  /// Opens or makes the journal in `folder`, cuts a torn tail, and shows `visit` every frame in order. One process at a
  /// time: the folder is locked until this object goes.
  /// Errors kIo: folder or files; another process holds it. kParse: damage of what was durable, with file and offset; a
  /// segment that is missing. Those of `visit`.
  static base::Result<std::unique_ptr<DecisionJournal>> open(const std::string& folder, const JournalOptions& options,
                                                             const JournalVisit& visit);
  ~DecisionJournal();
  DecisionJournal(const DecisionJournal&) = delete;
  DecisionJournal& operator=(const DecisionJournal&) = delete;

  /// Takes the frame in; it is durable after a later commit. Space on the disk is reserved here, so that a full disk is
  /// found before anything is promised.
  /// Errors kIo: no space, or the journal has stopped; kLimit: an empty payload or one above 16 MiB. Nothing was taken.
  base::Result<JournalFrame> append(std::string_view payload);

  /// Writes and syncs all that was appended. An error stops the journal for good: what a failed sync leaves on a disk
  /// is not known, so nothing is promised before the journal is opened and checked again.
  base::Result<Commit> commit();

  /// The payload of a durable frame. Errors kIo, kParse: there is none.
  base::Result<std::string> read(FramePosition at) const;

  const JournalState& recovered() const { return recovered_; }
  const JournalOptions& options() const { return options_; }
  const std::string& folder() const { return folder_; }
  std::uint64_t appended() const;
  std::uint64_t durable() const;
  bool stopped() const;

 private:
  struct Segment;
  struct Group {
    std::shared_ptr<Segment> segment;
    std::uint64_t start = 0;
    std::uint64_t frames = 0;
    std::string bytes;
  };
  DecisionJournal(std::string folder, const JournalOptions& options);
  base::Status recover(const JournalVisit& visit);
  base::Result<std::shared_ptr<Segment>> begin_segment(std::uint64_t first);
  base::Status write(const Group& group, double& sync_seconds);

  std::string folder_;
  JournalOptions options_;
  JournalState recovered_;
  int lock_ = -1;
  mutable std::mutex mutex_;
  std::mutex commit_mutex_;
  std::shared_ptr<Segment> segment_;  // the one that is appended to
  std::uint64_t end_ = 0;             // its size once everything appended is written
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
  std::deque<Group> groups_;
  std::string stopped_;  // the reason, once a commit has failed
};

/// Every durable frame of a journal that may be in use, in order; a torn tail is left alone and counted.
/// Errors as DecisionJournal::open, without the lock.
base::Result<JournalState> read_journal(const std::string& folder, const JournalVisit& visit);

}  // namespace plumbline::runtime

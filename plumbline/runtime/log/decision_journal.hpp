#pragma once
/// DecisionJournal: an append-only log, in a folder or in PostgreSQL. What was committed is read back after a kill, a
/// crash or a full disk; what was not is gone as a whole. What the frames mean is the guard's
/// (plumbline/runtime/log/guard_event.hpp).
///
/// A place is a folder, or a URL that begins with postgresql:// or postgres://. In PostgreSQL a journal is one
/// partition, which one guard owns at a time; several guards share a database.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

/// When a commit counts as durable.
enum class SyncPolicy {
  kEach,   ///< one write and one sync (or one transaction) a frame
  kGroup,  ///< one for all frames that came in since the last
  kNone,   ///< written, not synced: survives a kill of the process, not a loss of power
};
/// "each", "group", "none".
std::string_view sync_policy_name(SyncPolicy policy);
base::Result<SyncPolicy> parse_sync_policy(std::string_view word);

struct JournalOptions {
  SyncPolicy sync = SyncPolicy::kGroup;
  std::uint64_t segment_bytes = std::uint64_t{256} << 20U;  ///< folder: a new segment is begun behind this size
  std::string partition{};   ///< PostgreSQL: whose name; empty: a free one, or a new one where none is free
  int statement_ms = 5000;   ///< PostgreSQL: what takes longer is given up, and tried again
  int read_ms = 100;         ///< PostgreSQL: the same for read(), which its caller waits for
  int lease_wait_ms = 5000;  ///< PostgreSQL: how long open() waits for a partition that another session holds
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
  std::uint64_t missing = 0;     ///< read_history: frames that were discarded after a snapshot was made of them
};

/// One commit, for metrics.
struct Commit {
  std::uint64_t durable = 0;  ///< number of the last frame that is durable now
  std::uint64_t frames = 0;   ///< of this commit
  double sync_seconds = 0;    ///< spent in fdatasync, or waiting for the database
};

/// One thread may append while another commits.
class DecisionJournal {
 public:
  /// Opens or makes the journal at `place`, cuts a torn tail, and shows `visit` every frame in order. One process at a
  /// time owns it until this object goes.
  /// Errors kIo: folder, files or database; another process owns it. kParse: damage of what was durable, with the
  /// place; a part that is missing. kValue: a name that is none. Those of `visit`.
  static base::Result<std::unique_ptr<DecisionJournal>> open(const std::string& place, const JournalOptions& options,
                                                             const JournalVisit& visit);
  virtual ~DecisionJournal() = default;
  DecisionJournal(const DecisionJournal&) = delete;
  DecisionJournal& operator=(const DecisionJournal&) = delete;

  /// Takes the frame in; it is durable after a later commit. Never waits for a disk's sync or a database.
  /// Errors kIo: no space, the database is away, or the journal has stopped; kLimit: an empty payload or one above
  /// 16 MiB. Nothing was taken.
  virtual base::Result<JournalFrame> append(std::string_view payload) = 0;

  /// Makes durable what was appended. An error stops the journal for good: what a failed sync leaves on a disk is not
  /// known, and a partition that another guard took over is not this one's any more. A database that is away is no
  /// error: the frames are kept, away() says why, and a later call tries again; it waits a little by itself.
  virtual base::Result<Commit> commit() = 0;

  /// The payload of a durable frame. Errors kIo, kParse: there is none, or it cannot be had now.
  virtual base::Result<std::string> read(FramePosition at) const = 0;

  virtual std::uint64_t appended() const = 0;
  virtual std::uint64_t durable() const = 0;
  virtual bool stopped() const = 0;
  /// Why nothing is taken in at the moment, though it may be again; empty: it is.
  virtual std::string away() const { return {}; }
  /// How often the connection was lost and made again.
  virtual std::uint64_t reconnects() const { return 0; }

  const JournalState& recovered() const { return recovered_; }
  const JournalOptions& options() const { return options_; }
  /// The folder; or server, database and partition, without any password.
  const std::string& name() const { return name_; }

 protected:
  DecisionJournal(std::string name, const JournalOptions& options) : name_(std::move(name)), options_(options) {}
  std::string name_;
  JournalOptions options_;
  JournalState recovered_;
};

/// The journal lies in PostgreSQL, by the place's beginning.
bool is_database(std::string_view place);
/// A place as it may be shown and logged: a folder as it is, a URL without its password.
std::string shown_place(const std::string& place);

/// Every durable frame of a journal that may be in use, in order; a torn tail is left alone and counted. In PostgreSQL
/// without the partition's name, the only one.
/// Errors as DecisionJournal::open, without the ownership; kValue: several partitions, and none is named.
base::Result<JournalState> read_journal(const std::string& place, const JournalVisit& visit,
                                        const std::string& partition = {});

/// The same, with what a snapshot stands for as it was written, from the archive: evidence, where read_journal gives
/// what a state needs. Frames that were discarded are missing, and counted.
base::Result<JournalState> read_history(const std::string& place, const JournalVisit& visit,
                                        const std::string& partition = {});

/// The partitions of a database in the order in which they were made; one without a name for a folder.
base::Result<std::vector<std::string>> list_partitions(const std::string& place);

}  // namespace plumbline::runtime

#pragma once
/// A DecisionJournal in PostgreSQL: two tables, plumbline_partition and plumbline_frame, made where they are missing.
///
/// Owner      A session that holds the partition's advisory lock owns it. Whoever takes it raises its epoch, and a
/// commit
///            counts only with the epoch that its guard raised: one that was cut off cannot write behind its successor.
/// Commit     One statement and one transaction a group: the partition's row is moved on by the group's length, from
///            where this guard knows it to be, and the frames are inserted.
/// Lost       A connection that breaks leaves open whether the group was committed. The guard connects again, raises
/// its
///            own epoch (which waits for what the old session still does, and shuts it out) and reads how far the
///            partition is: behind the group, or before it; nothing else can be.
/// Damage     A frame's CRC-32C covers its number, its group and its payload; numbers have no gap, and the last one is
///            the partition's.

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/postgres_connection.hpp"

namespace plumbline::runtime {

class PostgresJournal final : public DecisionJournal {
 public:
  /// As DecisionJournal::open.
  static base::Result<std::unique_ptr<PostgresJournal>> open(const std::string& url, const JournalOptions& options,
                                                             const JournalVisit& visit);
  ~PostgresJournal() override;

  base::Result<JournalFrame> append(std::string_view payload) override;
  base::Result<Commit> commit() override;
  base::Result<std::string> read(FramePosition at) const override;
  std::uint64_t appended() const override;
  std::uint64_t durable() const override;
  bool stopped() const override;
  std::string away() const override;
  std::uint64_t reconnects() const override;
  const std::string& partition() const { return partition_; }

 private:
  struct Group {
    std::uint64_t first = 0;
    std::uint64_t bytes = 0;
    std::vector<std::string> payloads;
  };
  PostgresJournal(std::string url, const JournalOptions& options);
  base::Result<std::unique_ptr<PostgresConnection>> connect(const char* role, int patience_ms) const;
  base::Status connect_reader();
  base::Status take_partition();
  base::Result<bool> try_lock();
  base::Status choose_partition();
  base::Status lock_named(const std::string& name);
  base::Result<bool> lock_free_one();
  base::Status replay(const JournalVisit& visit);
  base::Status name_session();
  base::Status reconnect();
  base::Result<std::uint64_t> raise_own_epoch();
  base::Status send(const Group& group);
  base::Status step(std::uint64_t target);
  base::Error stop(base::Error why);

  const std::string url_;
  std::string partition_;
  // The committer's alone, under commit_mutex_.
  std::mutex commit_mutex_;
  std::unique_ptr<PostgresConnection> writer_;
  std::optional<Group> sending_;  // taken out of groups_, and perhaps committed
  std::int64_t id_ = 0;
  std::int64_t epoch_ = 0;
  std::int64_t holder_ = 0;  // the epoch with which the partition was taken
  std::string session_;      // the writer's name at the server, which no other session has

  mutable std::mutex read_mutex_;
  mutable std::unique_ptr<PostgresConnection> reader_;

  mutable std::mutex mutex_;
  std::deque<Group> groups_;
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t reconnects_ = 0;
  std::string away_;
  std::string stopped_;
};

/// As read_journal and list_partitions, of a database.
base::Result<JournalState> read_postgres_journal(const std::string& url, const std::string& partition,
                                                 const JournalVisit& visit);
base::Result<std::vector<std::string>> list_postgres_partitions(const std::string& url);

}  // namespace plumbline::runtime

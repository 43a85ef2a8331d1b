#include "plumbline/runtime/log/postgres_journal.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/runtime/log/journal_frame.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Value = PostgresValue;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kGroupBytes = std::uint64_t{8} << 20U;      // of one transaction, about
constexpr std::uint64_t kWaitingBytes = std::uint64_t{256} << 20U;  // kept for a database that does not keep up
constexpr std::chrono::milliseconds kPause{50};

constexpr const char* kMakeTables =
    "CREATE TABLE IF NOT EXISTS plumbline_partition (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text NOT NULL UNIQUE, epoch bigint NOT NULL DEFAULT 0, frames bigint NOT NULL DEFAULT 0,"
    " holder bigint NOT NULL DEFAULT 0, since timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 20)";
constexpr const char* kMakeFrames =
    "CREATE TABLE IF NOT EXISTS plumbline_frame (partition bigint NOT NULL, number bigint NOT NULL,"
    " grp bigint NOT NULL, crc bigint NOT NULL, payload bytea NOT NULL, PRIMARY KEY (partition, number))";
/// The lock's two keys: the table (so that schemas of one database do not meet) and the partition.
constexpr const char* kTryLock =
    "SELECT pg_try_advisory_lock('plumbline_partition'::regclass::oid::bigint::bit(32)::int, $1::int)::int::bigint";
constexpr const char* kCommit =
    "WITH owner AS (UPDATE plumbline_partition SET frames = frames + $4 WHERE id = $1 AND epoch = $2 AND frames = $3"
    " RETURNING id) INSERT INTO plumbline_frame (partition, number, grp, crc, payload)"
    " SELECT owner.id, $3 + f.place, $3 + 1, f.crc, f.payload"
    " FROM owner, unnest($5::bigint[], $6::bytea[]) WITH ORDINALITY AS f(crc, payload, place)";
constexpr const char* kFrames =
    "SELECT number, grp, crc, payload FROM plumbline_frame WHERE partition = $1 ORDER BY number";

std::int64_t frame_crc(std::uint64_t number, std::uint64_t group, std::string_view payload) {
  std::string head;
  for (const std::uint64_t value : {number, group})
    for (int i = 0; i < 8; ++i) head += static_cast<char>((value >> (8 * i)) & 0xFFU);
  return base::crc32c(payload, base::crc32c(head));
}

base::Status check_name(const std::string& name) {
  const bool fine = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  if (fine) return base::ok();
  return make_error(Code::kValue, "is no name of a partition: 1 to 63 letters, digits, '-', '_' and '.' are expected",
                    name);
}

std::string named(const std::string& url, const std::string& partition) {
  return fmt::format("{}, partition {}", shown_url(url), partition);
}

base::Result<bool> has_tables(PostgresConnection& connection) {
  PL_TRY(const PostgresRows found,
         connection.run("SELECT (to_regclass('plumbline_partition') IS NOT NULL AND to_regclass('plumbline_frame') IS "
                        "NOT NULL)::int::bigint"));
  return found.number(0, 0) == 1;
}

/// Two guards that begin at once make them one after the other; a user who may not make tables needs them made.
base::Status make_tables(PostgresConnection& connection) {
  PL_TRY(const bool there, has_tables(connection));
  if (there) return base::ok();
  for (const char* statement : {"BEGIN", "SELECT pg_advisory_xact_lock(5786117)", kMakeTables, kMakeFrames, "COMMIT"}) {
    const auto done = connection.run(statement);
    if (!done.ok()) return done.error();
  }
  return base::ok();
}

/// One row as a frame. Errors kParse.
base::Status visit_row(const PostgresRows& row, const std::string& name, JournalState& state,
                       const JournalVisit& visit) {
  const auto number = static_cast<std::uint64_t>(row.number(0, 0));
  const auto group = static_cast<std::uint64_t>(row.number(0, 1));
  const std::string_view payload = row.bytes(0, 3);
  const auto damaged = [&](std::string what) {
    return make_error(Code::kParse, std::move(what), name,
                      "The disk or a program changed what was durable; restore the table from a copy");
  };
  if (number != state.frames + 1)
    return damaged(fmt::format("frame {} follows on frame {}: frames are missing", number, state.frames));
  if (row.number(0, 2) != frame_crc(number, group, payload)) return damaged(fmt::format("frame {} is damaged", number));
  ++state.frames;
  state.bytes += payload.size();
  return visit({number, {1, number}, payload});
}

/// Frames 1 to `frames` and no other. Precondition: nobody writes meanwhile, or the transaction sees one moment.
base::Result<JournalState> read_frames(PostgresConnection& connection, std::int64_t id, std::uint64_t frames,
                                       const std::string& name, const JournalVisit& visit) {
  JournalState state;
  state.segments = 1;
  PL_CHECK(connection.stream(kFrames, {Value::number(id)},
                             [&](const PostgresRows& row) { return visit_row(row, name, state, visit); }));
  if (state.frames != frames)
    return make_error(Code::kParse, fmt::format("holds {} frames, expected {}", state.frames, frames), name,
                      "The disk or a program changed what was durable; restore the table from a copy");
  return state;
}

}  // namespace

PostgresJournal::PostgresJournal(std::string url, const JournalOptions& options)
    : DecisionJournal(shown_url(url), options), url_(std::move(url)) {}

PostgresJournal::~PostgresJournal() = default;

base::Result<std::unique_ptr<PostgresConnection>> PostgresJournal::connect(const char* role, int patience_ms) const {
  return PostgresConnection::open(url_, fmt::format("plumbline-guard {}", role), std::chrono::milliseconds(patience_ms),
                                  options_.sync != SyncPolicy::kNone);
}

base::Status PostgresJournal::connect_reader() {
  PL_TRY(auto reader, connect("reader", options_.read_ms));
  const std::lock_guard reading(read_mutex_);
  reader_ = std::move(reader);
  return base::ok();
}

base::Result<std::unique_ptr<PostgresJournal>> PostgresJournal::open(const std::string& url,
                                                                     const JournalOptions& options,
                                                                     const JournalVisit& visit) {
  if (!options.partition.empty()) PL_CHECK(check_name(options.partition));
  std::unique_ptr<PostgresJournal> journal(new PostgresJournal(url, options));
  PL_TRY(journal->writer_, journal->connect("writer", options.statement_ms));
  PL_CHECK(make_tables(*journal->writer_));
  PL_CHECK(journal->choose_partition());
  journal->name_ = named(url, journal->partition_);
  PL_CHECK(journal->take_partition());
  PL_CHECK(journal->replay(visit));
  PL_CHECK(journal->connect_reader());
  return journal;
}

base::Result<bool> PostgresJournal::try_lock() {
  PL_TRY(const PostgresRows locked, writer_->run(kTryLock, {Value::number(id_)}));
  return locked.number(0, 0) == 1;
}

base::Status PostgresJournal::lock_named(const std::string& name) {
  PL_TRY(
      const PostgresRows made,
      writer_->run("INSERT INTO plumbline_partition (name) VALUES ($1) ON CONFLICT DO NOTHING", {Value::text(name)}));
  static_cast<void>(made);
  PL_TRY(const PostgresRows found,
         writer_->run("SELECT id FROM plumbline_partition WHERE name = $1", {Value::text(name)}));
  if (found.size() != 1) return make_error(Code::kIo, "has no partition " + name, name_);
  id_ = found.number(0, 0);
  partition_ = name;
  const auto until = Clock::now() + std::chrono::milliseconds(options_.lease_wait_ms);
  for (;;) {
    PL_TRY(const bool locked, try_lock());
    if (locked) return base::ok();
    if (Clock::now() > until) break;
    std::this_thread::sleep_for(kPause);  // of a guard that was killed, the server may not have noticed it yet
  }
  return make_error(Code::kIo, "is in use by another guard", named(url_, name),
                    "One guard writes to a partition; end the other one, or name another partition");
}

base::Result<bool> PostgresJournal::lock_free_one() {
  PL_TRY(const PostgresRows all, writer_->run("SELECT id, name FROM plumbline_partition ORDER BY id"));
  for (int i = 0; i < all.size(); ++i) {
    id_ = all.number(i, 0);
    partition_ = std::string(all.bytes(i, 1));
    PL_TRY(const bool locked, try_lock());
    if (locked) return true;
  }
  return false;
}

base::Status PostgresJournal::choose_partition() {
  if (!options_.partition.empty()) return lock_named(options_.partition);
  PL_TRY(bool locked, lock_free_one());
  for (int i = 0; i < 10 && !locked && id_ != 0; ++i) {  // as above: one may just be about to become free
    std::this_thread::sleep_for(kPause);
    PL_TRY(locked, lock_free_one());
  }
  for (std::int64_t next = 1; !locked; ++next) {
    PL_TRY(const PostgresRows made,
           writer_->run("INSERT INTO plumbline_partition (name) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id",
                        {Value::text(fmt::format("guard-{}", next))}));
    if (made.size() == 0) continue;
    id_ = made.number(0, 0);
    partition_ = fmt::format("guard-{}", next);
    PL_TRY(locked, try_lock());
  }
  return base::ok();
}

/// The partition is locked: its epoch is raised, which shuts out whoever had it before.
base::Status PostgresJournal::take_partition() {
  PL_TRY(const PostgresRows taken,
         writer_->run("UPDATE plumbline_partition SET epoch = epoch + 1, holder = epoch + 1, since = now()"
                      " WHERE id = $1 RETURNING epoch, frames",
                      {Value::number(id_)}));
  if (taken.size() != 1) return make_error(Code::kIo, "was removed", name_);
  epoch_ = holder_ = taken.number(0, 0);
  appended_ = durable_ = static_cast<std::uint64_t>(taken.number(0, 1));
  return name_session();
}

/// No other guard's sessions have this name, and all writers of this one have.
base::Status PostgresJournal::name_session() {
  session_ = fmt::format("plumbline-guard {} {}", id_, holder_);
  const auto set = writer_->run("SELECT set_config('application_name', $1, false)", {Value::text(session_)});
  return set.ok() ? base::ok() : base::Status(set.error());
}

base::Status PostgresJournal::replay(const JournalVisit& visit) {
  PL_TRY(recovered_, read_frames(*writer_, id_, durable_, name_, visit));
  return base::ok();
}

base::Result<JournalFrame> PostgresJournal::append(std::string_view payload) {
  if (payload.empty() || payload.size() > kLargestPayload)
    return make_error(Code::kLimit,
                      fmt::format("a frame of {} bytes, expected 1 to {}", payload.size(), kLargestPayload), name_);
  const std::lock_guard lock(mutex_);
  if (!stopped_.empty())
    return make_error(Code::kIo, "has stopped: " + stopped_, name_, "Look at the database, then start again");
  if (!away_.empty()) return make_error(Code::kIo, "is away: " + away_, name_, "It is tried again all the time");
  if (waiting_bytes_ > kWaitingBytes)
    return make_error(Code::kIo, fmt::format("{} MiB wait for the database", waiting_bytes_ >> 20U), name_);
  if (groups_.empty() || groups_.back().bytes > kGroupBytes || options_.sync == SyncPolicy::kEach)
    groups_.push_back({appended_ + 1, 0, {}});
  Group& group = groups_.back();
  group.payloads.emplace_back(payload);
  group.bytes += payload.size();
  waiting_bytes_ += payload.size();
  ++appended_;
  return JournalFrame{appended_, {1, appended_}, payload};
}

base::Error PostgresJournal::stop(base::Error why) {
  const std::lock_guard lock(mutex_);
  stopped_ = why.text();
  groups_.clear();
  sending_.reset();
  return why;
}

base::Status PostgresJournal::send(const Group& group) {
  std::vector<std::int64_t> sums;
  for (std::size_t i = 0; i < group.payloads.size(); ++i)
    sums.push_back(frame_crc(group.first + i, group.first, group.payloads[i]));
  PL_TRY(const PostgresRows done, writer_->run(kCommit, {Value::number(id_), Value::number(epoch_),
                                                         Value::number(static_cast<std::int64_t>(group.first - 1)),
                                                         Value::number(std::ssize(sums)), Value::numbers(sums),
                                                         Value::byte_strings(group.payloads)}));
  if (done.affected() == std::ssize(sums)) return base::ok();
  return make_error(Code::kIo, fmt::format("took {} of {} frames", done.affected(), sums.size()), name_);
}

/// How far the partition is, if it is still this guard's. kCancelled: it is not.
base::Result<std::uint64_t> PostgresJournal::raise_own_epoch() {
  // What is left of the old session may still hold the lock.
  PL_TRY(const PostgresRows ended, writer_->run("SELECT pg_terminate_backend(pid)::int::bigint FROM pg_stat_activity"
                                                " WHERE application_name = $1 AND pid <> pg_backend_pid() AND usename "
                                                "= current_user AND datname = current_database()",
                                                {Value::text(session_)}));
  static_cast<void>(ended);
  PL_TRY(const PostgresRows mine,
         writer_->run("UPDATE plumbline_partition SET epoch = epoch + 1 WHERE id = $1 AND holder = $2"
                      " RETURNING epoch, frames",
                      {Value::number(id_), Value::number(holder_)}));
  if (mine.size() != 1)
    return make_error(Code::kCancelled, "was taken over by another guard", name_,
                      "Nothing of this one was lost that was acknowledged; start it again on a free partition");
  epoch_ = mine.number(0, 0);
  PL_CHECK(name_session());
  PL_TRY(const bool locked, try_lock());
  if (!locked) return make_error(Code::kIo, "is still held by another session", name_);
  return static_cast<std::uint64_t>(mine.number(0, 1));
}

/// Errors kCancelled: never again. Others: not now.
base::Status PostgresJournal::reconnect() {
  PL_TRY(writer_, connect("writer", options_.statement_ms));
  PL_TRY(const std::uint64_t frames, raise_own_epoch());
  PL_CHECK(connect_reader());
  const std::lock_guard lock(mutex_);
  ++reconnects_;
  if (frames == durable_) return base::ok();
  if (frames < durable_)
    return make_error(Code::kCancelled,
                      fmt::format("holds {} frames, and {} were durable: the server lost some", frames, durable_),
                      name_, "With sync none that may happen; start the guard again on what is left");
  if (!sending_ || frames != durable_ + sending_->payloads.size())
    return make_error(Code::kCancelled, fmt::format("holds {} frames, and this guard wrote {}", frames, durable_),
                      name_, "Something else writes to the tables");
  durable_ = frames;
  waiting_bytes_ -= sending_->bytes;
  sending_.reset();
  return base::ok();
}

/// The next group that waits, or whether the database is still there.
base::Status PostgresJournal::step(std::uint64_t target) {
  if (!writer_) PL_CHECK(reconnect());
  bool reader_lost = false;
  {
    const std::lock_guard reading(read_mutex_);
    reader_lost = !reader_ || reader_->lost();
  }
  if (reader_lost) PL_CHECK(connect_reader());
  if (durable() >= target) {
    const auto there = writer_->run("SELECT 1::bigint");
    return there.ok() ? base::ok() : base::Status(there.error());
  }
  if (!sending_) {
    const std::lock_guard lock(mutex_);
    sending_ = std::move(groups_.front());
    groups_.pop_front();
  }
  PL_CHECK(send(*sending_));
  const std::lock_guard lock(mutex_);
  durable_ += sending_->payloads.size();
  waiting_bytes_ -= sending_->bytes;
  sending_.reset();
  return base::ok();
}

base::Result<Commit> PostgresJournal::commit() {
  const std::lock_guard one_at_a_time(commit_mutex_);
  const auto start = Clock::now();
  const std::uint64_t before = durable();
  const std::uint64_t target = appended();  // what comes in meanwhile is the next commit's
  base::Status stepped = base::ok();
  do {
    if (stopped()) return make_error(Code::kIo, "has stopped", name_);
    stepped = step(target);
  } while (stepped.ok() && durable() < target);
  if (!stepped.ok()) {
    // Whatever the reason, the number in the partition will say what became of the group.
    writer_.reset();
    if (stepped.error().code != Code::kIo) return stop(stepped.error());
    {
      const std::lock_guard lock(mutex_);
      away_ = stepped.error().text();
    }
    std::this_thread::sleep_for(kPause);
  }
  const std::lock_guard lock(mutex_);
  if (stepped.ok()) away_.clear();
  return Commit{durable_, durable_ - before, std::chrono::duration<double>(Clock::now() - start).count()};
}

base::Result<std::string> PostgresJournal::read(FramePosition at) const {
  const std::string place = fmt::format("{}, frame {}", name_, at.offset);
  if (const std::string why = away(); !why.empty()) return make_error(Code::kIo, "is away: " + why, place);
  const std::lock_guard reading(read_mutex_);
  if (!reader_ || reader_->lost()) return make_error(Code::kIo, "is away", place);
  PL_TRY(const PostgresRows rows,
         reader_->run("SELECT number, grp, crc, payload FROM plumbline_frame WHERE partition = $1 AND number = $2",
                      {Value::number(id_), Value::number(static_cast<std::int64_t>(at.offset))}));
  const auto number = static_cast<std::uint64_t>(at.offset);
  if (at.segment != 1 || rows.size() != 1 ||
      rows.number(0, 2) != frame_crc(number, static_cast<std::uint64_t>(rows.number(0, 1)), rows.bytes(0, 3)))
    return make_error(Code::kParse, "holds no whole frame", place);
  return std::string(rows.bytes(0, 3));
}

std::uint64_t PostgresJournal::appended() const {
  const std::lock_guard lock(mutex_);
  return appended_;
}

std::uint64_t PostgresJournal::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

bool PostgresJournal::stopped() const {
  const std::lock_guard lock(mutex_);
  return !stopped_.empty();
}

std::string PostgresJournal::away() const {
  const std::lock_guard lock(mutex_);
  return away_;
}

std::uint64_t PostgresJournal::reconnects() const {
  const std::lock_guard lock(mutex_);
  return reconnects_;
}

base::Result<std::vector<std::string>> list_postgres_partitions(const std::string& url) {
  PL_TRY(const auto connection, PostgresConnection::open(url, "plumbline", std::chrono::seconds(30)));
  PL_TRY(const bool there, has_tables(*connection));
  if (!there) return make_error(Code::kIo, "holds no journal", shown_url(url));
  PL_TRY(const PostgresRows all, connection->run("SELECT name FROM plumbline_partition ORDER BY id"));
  std::vector<std::string> names;
  for (int i = 0; i < all.size(); ++i) names.emplace_back(all.bytes(i, 0));
  return names;
}

base::Result<JournalState> read_postgres_journal(const std::string& url, const std::string& partition,
                                                 const JournalVisit& visit) {
  std::string name = partition;
  if (name.empty()) {
    PL_TRY(const std::vector<std::string> names, list_postgres_partitions(url));
    if (names.size() != 1)
      return make_error(Code::kValue, fmt::format("holds {} partitions: {}", names.size(), fmt::join(names, ", ")),
                        shown_url(url), "Say which one");
    name = names.front();
  }
  PL_TRY(const auto connection, PostgresConnection::open(url, "plumbline", std::chrono::seconds(30)));
  PL_TRY(const bool there, has_tables(*connection));
  if (!there) return make_error(Code::kIo, "holds no journal", shown_url(url));
  // Both statements see one moment, whatever is written meanwhile.
  PL_TRY(const PostgresRows begun, connection->run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  static_cast<void>(begun);
  PL_TRY(const PostgresRows found,
         connection->run("SELECT id, frames FROM plumbline_partition WHERE name = $1", {Value::text(name)}));
  if (found.size() != 1) return make_error(Code::kIo, "there is no such partition", named(url, name));
  return read_frames(*connection, found.number(0, 0), static_cast<std::uint64_t>(found.number(0, 1)), named(url, name),
                     visit);
}

}  // namespace plumbline::runtime

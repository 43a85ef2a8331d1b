#include "plumbline/case/run/store.hpp"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/json.hpp"
#include "tests/support/store_conformance.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::run {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Store> must_open(const std::string& path) {
  auto store = open_sqlite_store(path);
  EXPECT_TRUE(store.ok()) << store.error().text();
  return std::move(store).value();
}

TEST(SqliteStore, Conforms) {
  const testing::TempFolder folder;
  testing::check_store_conforms([&] { return must_open(folder.file("store.db")); });
}

TEST(SqliteStore, RefusesWhatIsNotAStore) {
  const testing::TempFolder folder;
  testing::write_file(folder.file("text.db"), "this is certainly not a database, only a text of some length\n");
  EXPECT_EQ(open_sqlite_store(folder.file("text.db")).error().code, base::Code::kParse);
  sqlite3* db = nullptr;
  sqlite3_open(folder.file("other.db").c_str(), &db);
  sqlite3_exec(db, "create table someone(x)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(open_sqlite_store(folder.file("other.db")).error().text(), HasSubstr("not a Plumbline store"));
  must_open(folder.file("new.db"));
  sqlite3_open(folder.file("new.db").c_str(), &db);
  sqlite3_exec(db, "pragma user_version = 99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_EQ(open_sqlite_store(folder.file("new.db")).error().code, base::Code::kUnsupported);
  EXPECT_EQ(open_sqlite_store("/proc/nowhere/store.db").error().code, base::Code::kIo);
}

TEST(SqliteStore, TamperingIsSeen) {
  const testing::TempFolder folder;
  const std::string path = folder.file("store.db");
  testing::check_store_conforms([&] { return must_open(path); });
  sqlite3* db = nullptr;
  sqlite3_open(path.c_str(), &db);
  sqlite3_exec(db, "update evidence set content = replace(content, '3.5', '9.5')", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(must_open(path)->verify_chain().error().text(), HasSubstr("does not match its id"));
}

check::Output numbered(int i) {
  check::Output output;
  check::Evidence e;
  e.check = "room.check";
  e.metric = "m";
  e.estimate.value = i;
  e.id = check::evidence_id(e);
  output.evidence.push_back(e);
  return output;
}

// Killed at a random moment, a writer loses nothing that it was told is stored: it reports each task after add_task
// returned; every reported task is in the store, the run closes as cancelled, and the chain verifies.
TEST(SqliteStore, KilledAtAnyPointItKeepsWhatItAcknowledged) {
  base::Rng rng(11);
  for (int round = 0; round < 40; ++round) {
    const testing::TempFolder folder;
    const std::string path = folder.file("store.db");
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = open_sqlite_store(path);
      check::RunRecord header;
      header.started = "2026-01-01T00:00:00Z";
      const auto id = (*store)->begin_run(header);
      for (int i = 0;; ++i) {
        check::LedgerEntry line;
        line.check = "room.check";
        if (!(*store)->add_task(*id, line, numbered(i)).ok()) _exit(1);
        if (write(pipes[1], "x", 1) != 1) _exit(1);
      }
    }
    close(pipes[1]);
    const int wait_for = 1 + static_cast<int>(rng.below(6));
    char byte = 0;
    int acknowledged = 0;
    while (acknowledged < wait_for && read(pipes[0], &byte, 1) == 1) ++acknowledged;
    usleep(static_cast<useconds_t>(rng.below(3000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(pipes[0], &byte, 1) == 1) ++acknowledged;
    close(pipes[0]);

    auto store = must_open(path);
    check::RunRecord header;
    header.started = "2026-01-02T00:00:00Z";
    const auto next = store->begin_run(header);
    ASSERT_TRUE(next.ok()) << next.error().text();
    const auto runs = store->runs(0, 10);
    ASSERT_EQ(runs->size(), 2U);
    const auto found = store->load_run("latest");
    ASSERT_TRUE(found.ok()) << found.error().text();
    EXPECT_EQ(found->status, check::RunStatus::kCancelled);
    EXPECT_GE(static_cast<int>(found->evidence.size()), acknowledged);
    EXPECT_TRUE(store->verify_chain().ok());
  }
}

TEST(SqliteStore, TwoProcessesWriteAtOnce) {
  const testing::TempFolder folder;
  const std::string path = folder.file("store.db");
  must_open(path);
  const auto write_runs = [&](int offset) {
    auto store = open_sqlite_store(path);
    for (int i = 0; i < 5; ++i) {
      check::RunRecord header;
      header.started = "2026-01-01T00:00:00Z";
      const auto id = (*store)->begin_run(header);
      if (!id.ok() || !(*store)->add_task(*id, {}, numbered(offset + i)).ok() ||
          !(*store)->close_run(*id, check::RunStatus::kSuccess, "", 0).ok()) {
        return 1;
      }
    }
    return 0;
  };
  const pid_t child = fork();
  if (child == 0) _exit(write_runs(100));
  EXPECT_EQ(write_runs(0), 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  auto store = must_open(path);
  EXPECT_EQ(store->runs(0, 100)->size(), 10U);
  EXPECT_TRUE(store->verify_chain().ok());
}

std::string bytes_of(const std::string& path) { return testing::read_file(path); }

TEST(SqliteStore, OneThatIsOnlyReadStaysAsItIs) {
  const testing::TempFolder folder;
  const std::string path = folder.file("a?b%41#c.db");
  testing::check_store_conforms([&] { return must_open(path); });
  {
    const auto store = open_sqlite_store_to_read(path);
    ASSERT_TRUE(store.ok()) << store.error().text();
    EXPECT_EQ((*store)->runs(0, 100)->size(), must_open(path)->runs(0, 100)->size());
    EXPECT_FALSE((*store)->begin_run({}).ok());
    EXPECT_FALSE((*store)->prune(0).ok());
    EXPECT_FALSE((*store)->put_cached_bytes("key", "bytes").ok());
    EXPECT_TRUE((*store)->verify_chain().ok());
    // What another process closes in the meantime is seen.
    const std::size_t runs = (*store)->find_runs({})->total;
    auto writer = must_open(path);
    const auto id = writer->begin_run({});
    ASSERT_TRUE(id.ok());
    EXPECT_EQ((*store)->find_runs({})->total, runs + 1);
    ASSERT_TRUE(writer->close_run(*id, check::RunStatus::kSuccess, "", 0).ok());
  }
  must_open(path);  // the last one that may write, which ends the write-ahead log
  const std::string after = bytes_of(path);
  {
    const auto store = open_sqlite_store_to_read(path);
    EXPECT_TRUE((*store)->load_run("latest").ok());
  }
  EXPECT_EQ(bytes_of(path), after);
}

TEST(SqliteStore, OpeningToReadMakesNothing) {
  const testing::TempFolder folder;
  EXPECT_EQ(open_sqlite_store_to_read(folder.file("none.db")).error().code, base::Code::kIo);
  EXPECT_FALSE(std::filesystem::exists(folder.file("none.db")));
  testing::write_file(folder.file("empty.db"), "");
  // What a full disk leaves of a store that was never begun: no runs, and nothing is written.
  const auto empty = open_sqlite_store_to_read(folder.file("empty.db"));
  ASSERT_TRUE(empty.ok()) << empty.error().text();
  EXPECT_TRUE((*empty)->runs(0, 10).value().empty());
  EXPECT_TRUE((*empty)->verify_chain().ok());
  EXPECT_EQ(bytes_of(folder.file("empty.db")), "");
  testing::write_file(folder.file("text.db"), "this is certainly not a database, only a text of some length\n");
  EXPECT_EQ(open_sqlite_store_to_read(folder.file("text.db")).error().code, base::Code::kParse);
  EXPECT_EQ(open_sqlite_store_to_read(folder.path()).error().code, base::Code::kIo);
}

// A store of the first schema is read as it is, and gets its indexes when something that writes opens it.
TEST(SqliteStore, FirstSchemaIsReadAndThenMigrated) {
  const testing::TempFolder folder;
  const std::string path = folder.file("store.db");
  testing::check_store_conforms([&] { return must_open(path); });
  sqlite3* db = nullptr;
  sqlite3_open(path.c_str(), &db);
  sqlite3_exec(db,
               "drop index run_listing; drop index evidence_metric; drop index finding_check; pragma user_version = 1; "
               "pragma wal_checkpoint(truncate)",
               nullptr, nullptr, nullptr);
  sqlite3_close(db);
  const std::string old = bytes_of(path);
  std::size_t findings = 0;
  std::size_t points = 0;
  {
    const auto store = open_sqlite_store_to_read(path);
    ASSERT_TRUE(store.ok()) << store.error().text();
    findings = (*store)->findings({"room.check", 0, 10})->total;
    points = (*store)->metrics()->at(0).points;
    EXPECT_EQ(findings, 1U);
  }
  EXPECT_EQ(bytes_of(path), old);
  {
    const auto store = must_open(path);
    EXPECT_EQ(store->findings({"room.check", 0, 10})->total, findings);
    EXPECT_EQ(store->metrics()->at(0).points, points);
    EXPECT_TRUE(store->verify_chain().ok());
  }
  EXPECT_NE(bytes_of(path), old);
}

TEST(Merkle, KnownShapes) {
  EXPECT_EQ(merkle_root({}), base::sha256_hex(""));
  EXPECT_EQ(merkle_root({"a"}), "a");
  EXPECT_EQ(merkle_root({"b", "a"}), base::sha256_hex("ab"));
  EXPECT_EQ(merkle_root({"a", "b", "c"}), base::sha256_hex(base::sha256_hex("ab") + "c"));
}

}  // namespace
}  // namespace plumbline::run

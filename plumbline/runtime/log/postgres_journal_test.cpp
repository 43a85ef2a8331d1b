#include "plumbline/runtime/log/postgres_journal.hpp"

#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "tests/support/postgres_cluster.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const JournalVisit kIgnore = [](const JournalFrame&) { return base::ok(); };

std::unique_ptr<PostgresJournal> open(const std::string& url, const JournalOptions& options = {}) {
  auto journal = PostgresJournal::open(url, options, kIgnore);
  EXPECT_TRUE(journal.ok()) << journal.error().text();
  return journal.ok() ? std::move(journal).value() : nullptr;
}

std::vector<std::string> payloads_of(const std::string& url, const std::string& partition) {
  std::vector<std::string> all;
  const auto read = read_journal(
      url,
      [&](const JournalFrame& frame) {
        all.emplace_back(frame.payload);
        return base::ok();
      },
      partition);
  EXPECT_TRUE(read.ok()) << read.error().text();
  return all;
}

void write_one(DecisionJournal& journal, const std::string& text) {
  ASSERT_TRUE(journal.append(text).ok());
  const auto commit = journal.commit();
  ASSERT_TRUE(commit.ok()) << commit.error().text();
  ASSERT_EQ(commit->durable, journal.appended());
}

TEST(PostgresJournal, EachGuardHasAPartitionAndTheNextTakesOneThatIsFree) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("partitions");
  auto a = open(url), b = open(url);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->partition(), "guard-1");
  EXPECT_EQ(b->partition(), "guard-2");
  const auto named = open(url, {.partition = "night"});
  EXPECT_EQ(named->partition(), "night");
  write_one(*a, "a1");
  write_one(*b, "b1");
  write_one(*a, "a2");
  write_one(*named, "n1");
  EXPECT_EQ(*list_partitions(url), (std::vector<std::string>{"guard-1", "guard-2", "night"}));
  EXPECT_EQ(payloads_of(url, "guard-1"), (std::vector<std::string>{"a1", "a2"}));
  EXPECT_EQ(payloads_of(url, "guard-2"), std::vector<std::string>{"b1"});
  const auto unclear = read_journal(url, kIgnore);
  ASSERT_FALSE(unclear.ok());
  EXPECT_THAT(unclear.error().text(), HasSubstr("3 partitions: guard-1, guard-2, night"));
  EXPECT_THAT(read_journal(url, kIgnore, "day").error().text(), HasSubstr("no such partition"));

  a.reset();
  const auto next = open(url);
  EXPECT_EQ(next->partition(), "guard-1") << "what a dead guard left is taken over";
  EXPECT_EQ(next->recovered().frames, 2U);
  write_one(*next, "a3");
  EXPECT_EQ(payloads_of(url, "guard-1"), (std::vector<std::string>{"a1", "a2", "a3"}));
}

TEST(PostgresJournal, ManyThatBeginAtOnceGetOneEach) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("rush");
  std::vector<std::unique_ptr<PostgresJournal>> all(6);
  std::vector<std::thread> threads;
  for (auto& one : all) threads.emplace_back([&] { one = open(url); });
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> names;
  for (const auto& one : all) names.insert(one ? one->partition() : "");
  EXPECT_EQ(names.size(), all.size());
}

TEST(PostgresJournal, AnOwnerThatWasCutOffCannotWriteBehindItsSuccessor) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("fence");
  testing::Relay relay(cluster);
  const auto old = open(cluster.url_through(relay.sockets(), "fence"), {.partition = "p"});
  write_one(*old, "1");
  relay.close(true);
  const auto successor = open(url, {.partition = "p"});
  ASSERT_TRUE(successor);
  EXPECT_EQ(successor->recovered().frames, 1U);
  write_one(*successor, "2");
  // The old one does not know it yet, and takes a frame in; it is never durable.
  ASSERT_TRUE(old->append("stale").ok());
  EXPECT_EQ(old->commit()->durable, 1U);
  EXPECT_THAT(old->away(), HasSubstr("connection"));
  EXPECT_THAT(old->append("more").error().text(), HasSubstr("is away"));
  relay.close(false);
  const auto refused = old->commit();
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), HasSubstr("taken over by another guard"));
  EXPECT_TRUE(old->stopped());
  EXPECT_FALSE(old->append("more").ok());
  EXPECT_EQ(payloads_of(url, "p"), (std::vector<std::string>{"1", "2"}));
}

TEST(PostgresJournal, ASessionThatLivesOnCannotWriteWithAnOldEpoch) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("epoch");
  const auto journal = open(url, {.partition = "p"});
  write_one(*journal, "1");
  cluster.sql("UPDATE epoch.plumbline_partition SET epoch = epoch + 1, holder = epoch + 1");
  ASSERT_TRUE(journal->append("2").ok());
  EXPECT_EQ(journal->commit()->durable, 1U);
  EXPECT_THAT(journal->commit().error().text(), HasSubstr("taken over by another guard"));
  EXPECT_EQ(payloads_of(url, "p"), std::vector<std::string>{"1"});
}

/// Cut wherever it may be, in the middle of a commit's bytes or of its answer: what the journal holds in the end is
/// what was appended, once and in order, and nothing was called durable that was not.
TEST(PostgresJournal, CutAnywhereEachFrameIsThereOnce) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("cuts");
  testing::Relay relay(cluster);
  const auto journal = open(cluster.url_through(relay.sockets(), "cuts"), {.partition = "p"});
  ASSERT_TRUE(journal);
  base::Rng rng(3);
  std::vector<std::string> appended;
  int rounds = 0, done_unseen = 0, not_done = 0;
  for (; rounds < 60; ++rounds) {
    for (std::uint64_t i = 1 + rng.below(4); i > 0; --i) {
      appended.push_back("frame " + std::to_string(appended.size()) + std::string(rng.below(300), '.'));
      ASSERT_TRUE(journal->append(appended.back()).ok());
    }
    if (rounds % 2 == 0) {
      relay.cut_after_sent(1 + static_cast<std::int64_t>(rng.below(1500)));
    } else {
      // The answer to a commit has some 40 bytes: all of it lost, or a part.
      relay.cut_after_answered(1 + static_cast<std::int64_t>(rng.below(60)));
    }
    for (int tries = 0; journal->durable() < appended.size(); ++tries) {
      ASSERT_LT(tries, 200);
      const auto commit = journal->commit();
      ASSERT_TRUE(commit.ok()) << commit.error().text();
      const auto found = payloads_of(url, "p");
      ASSERT_GE(found.size(), commit->durable);
      ASSERT_LE(found.size(), appended.size());
      if (journal->away().empty()) continue;
      ++(found.size() > commit->durable ? done_unseen : not_done);
    }
    EXPECT_EQ(journal->away(), "");
  }
  EXPECT_GT(relay.cuts(), rounds / 3);
  EXPECT_GT(journal->reconnects(), 10U);
  EXPECT_GT(done_unseen, 5) << "committed, and the answer was lost";
  EXPECT_GT(not_done, 5) << "lost on the way";
  EXPECT_EQ(payloads_of(url, "p"), appended);
}

TEST(PostgresJournal, AServerThatGoesAndComesAgainCostsNothing) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("restart");
  const auto journal = open(url, {.partition = "p"});
  write_one(*journal, "1");
  cluster.stop();
  ASSERT_TRUE(journal->append("2").ok()) << "nobody knows yet";
  EXPECT_EQ(journal->commit()->durable, 1U);
  EXPECT_THAT(journal->away(), Not(::testing::IsEmpty()));
  EXPECT_EQ(journal->append("3").error().code, base::Code::kIo);
  EXPECT_EQ(journal->read({1, 1}).error().code, base::Code::kIo);
  EXPECT_FALSE(PostgresJournal::open(url, {}, kIgnore).ok());
  cluster.start();
  for (int i = 0; i < 100 && journal->durable() < 2; ++i) ASSERT_TRUE(journal->commit().ok());
  EXPECT_EQ(journal->away(), "");
  EXPECT_EQ(journal->reconnects(), 1U);
  write_one(*journal, "3");
  EXPECT_EQ(*journal->read({1, 2}), "2");
  EXPECT_EQ(payloads_of(url, "p"), (std::vector<std::string>{"1", "2", "3"}));
}

TEST(PostgresJournal, WithNothingToWriteItNoticesThatTheDatabaseIsGone) {
  PL_NEEDS_POSTGRES(cluster);
  cluster.url("idle");
  testing::Relay relay(cluster);
  const auto journal = open(cluster.url_through(relay.sockets(), "idle"), {.partition = "p"});
  relay.close(true);
  ASSERT_TRUE(journal->commit().ok());
  EXPECT_THAT(journal->append("x").error().text(), HasSubstr("is away"));
  relay.close(false);
  ASSERT_TRUE(journal->commit().ok());
  write_one(*journal, "x");
}

TEST(PostgresJournal, AStatementThatHangsIsGivenUpAndDoneLater) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("hang");
  const auto journal = open(url, {.partition = "p", .statement_ms = 300});
  ASSERT_TRUE(journal);
  const auto other = PostgresConnection::open(url, "test", std::chrono::seconds(60));
  ASSERT_TRUE((*other)->run("BEGIN").ok());
  ASSERT_TRUE((*other)->run("SELECT id FROM plumbline_partition FOR UPDATE").ok());
  ASSERT_TRUE(journal->append("1").ok());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(journal->commit()->durable, 0U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_THAT(journal->away(), HasSubstr("timeout"));
  ASSERT_TRUE((*other)->run("ROLLBACK").ok());
  for (int i = 0; i < 100 && journal->durable() < 1; ++i) ASSERT_TRUE(journal->commit().ok());
  EXPECT_EQ(payloads_of(url, "p"), std::vector<std::string>{"1"});
}

TEST(PostgresJournal, WhatTheServerLostOrOthersWroteStopsIt) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("lost");
  {
    const auto journal = open(url, {.sync = SyncPolicy::kNone, .partition = "less"});
    write_one(*journal, "1");
    write_one(*journal, "2");
    cluster.sql("DELETE FROM lost.plumbline_frame WHERE number = 2; UPDATE lost.plumbline_partition SET frames = 1");
    ASSERT_TRUE(journal->append("3").ok());
    EXPECT_EQ(journal->commit()->durable, 2U);
    EXPECT_THAT(journal->commit().error().text(), HasSubstr("the server lost some"));
  }
  {
    const auto journal = open(url, {.partition = "more"});
    cluster.sql("UPDATE lost.plumbline_partition SET frames = frames + 5 WHERE name = 'more'");
    ASSERT_TRUE(journal->append("1").ok());
    ASSERT_TRUE(journal->commit().ok());
    EXPECT_THAT(journal->commit().error().text(), HasSubstr("Something else writes"));
  }
  const auto journal = open(url, {.partition = "gone"});
  cluster.sql("DROP TABLE lost.plumbline_frame");
  ASSERT_TRUE(journal->append("1").ok());
  EXPECT_THAT(journal->commit().error().text(), HasSubstr("plumbline_frame"));
  EXPECT_TRUE(journal->stopped());
}

TEST(PostgresJournal, DamageIsFoundAndNothingIsRepaired) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("damage");
  {
    const auto journal = open(url, {.partition = "p"});
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(journal->append("frame " + std::to_string(i)).ok());
      if (i % 2 == 0) continue;
      ASSERT_TRUE(journal->commit().ok());
    }
  }
  struct Case {
    const char* change;
    const char* says;
  };
  for (const Case& c :
       {Case{"UPDATE plumbline_frame SET payload = '\\x00' WHERE number = 3", "frame 3 is damaged"},
        Case{"UPDATE plumbline_frame SET grp = 1 WHERE number = 5", "frame 5 is damaged"},
        Case{"UPDATE plumbline_frame SET crc = crc + 1 WHERE number = 6", "frame 6 is damaged"},
        Case{"DELETE FROM plumbline_frame WHERE number = 2", "frame 3 follows on frame 1"},
        Case{"DELETE FROM plumbline_frame WHERE number = 6", "holds 5 frames, expected 6"},
        Case{"UPDATE plumbline_frame SET number = number + 10 WHERE number = 6", "follows on frame 5"}}) {
    cluster.sql(
        "SET search_path = damage; DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT * FROM plumbline_frame; " +
        std::string(c.change));
    const auto read = read_journal(url, kIgnore);
    ASSERT_FALSE(read.ok()) << c.change;
    EXPECT_EQ(read.error().code, base::Code::kParse);
    EXPECT_THAT(read.error().text(), HasSubstr(c.says));
    EXPECT_THAT(read.error().text(), HasSubstr("partition p"));
    EXPECT_FALSE(PostgresJournal::open(url, {.partition = "p"}, kIgnore).ok());
    cluster.sql("SET search_path = damage; TRUNCATE plumbline_frame; INSERT INTO plumbline_frame SELECT * FROM kept");
  }
  EXPECT_EQ(payloads_of(url, "p").size(), 6U);
}

TEST(PostgresJournal, ThePolicyIsTheSessionsOwn) {
  PL_NEEDS_POSTGRES(cluster);
  const std::string url = cluster.url("policy");
  const auto setting = [&](bool synchronous, const std::string& more) {
    const auto connection = PostgresConnection::open(url + more, "test", std::chrono::seconds(5), synchronous);
    EXPECT_TRUE(connection.ok()) << connection.error().text();
    return std::string((*connection)->run("SELECT current_setting('synchronous_commit')")->bytes(0, 0));
  };
  EXPECT_EQ(setting(true, "%20-csynchronous_commit%3Doff"), "on") << "durable means the server's disk";
  EXPECT_EQ(setting(true, "%20-csynchronous_commit%3Dremote_apply"), "remote_apply") << "what is stronger stays";
  EXPECT_EQ(setting(false, ""), "off");
}

TEST(PostgresJournal, NoPasswordIsEverShown) {
  for (const char* url : {"postgresql://ann:s3cret@db.example:5433/base", "postgres://ann:s3cret@db.example:5433/base",
                          "postgresql://db.example:5433/base?user=ann&password=s3cret"})
    EXPECT_EQ(shown_place(url), "postgresql://ann@db.example:5433/base");
  EXPECT_EQ(shown_place("/var/log/guard"), "/var/log/guard");
  for (const char* url : {"postgresql://ann:s3cret@[::1", "postgresql://ann:s3cret@host/base?nonsense=s3cret",
                          "postgresql://ann:s3cret@host/%zz", "postgresql://ann:s3cret@host:port/x"}) {
    const auto opened = DecisionJournal::open(url, {}, kIgnore);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().text(), Not(HasSubstr("s3cret")));
  }
  PL_NEEDS_POSTGRES(cluster);
  // A server that cannot be reached, and one that has no such user.
  for (const std::string& host : {std::string("127.0.0.1:1"), std::string()}) {
    const std::string url = "postgresql://nobody-here:s3cret@" + host + "/postgres" +
                            (host.empty() ? "?host=" + cluster.sockets() : std::string());
    const auto opened = DecisionJournal::open(url, {}, kIgnore);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, base::Code::kIo);
    EXPECT_THAT(opened.error().text(), HasSubstr("cannot be reached"));
    EXPECT_THAT(opened.error().text(), Not(HasSubstr("s3cret")));
  }
  const std::string url = cluster.url("redaction") + "&password=s3cret";
  const auto journal = open(url, {.partition = "p"});
  EXPECT_THAT(journal->name(), Not(HasSubstr("s3cret")));
  EXPECT_THAT(journal->name(), HasSubstr("partition p"));
  EXPECT_EQ(PostgresJournal::open(url, {.partition = "no name"}, kIgnore).error().code, base::Code::kValue);
}

TEST(PostgresJournal, OptionsOfTlsReachTheServer) {
  PL_NEEDS_POSTGRES(cluster);
  // Nothing but libpq reads them: a certificate that is not there is what it complains about.
  const auto opened =
      DecisionJournal::open("postgresql://x@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nowhere", {}, kIgnore);
  ASSERT_FALSE(opened.ok());
  const auto plain =
      PostgresConnection::open(cluster.url("tls") + "&sslmode=nonsense", "test", std::chrono::seconds(5));
  ASSERT_FALSE(plain.ok());
  EXPECT_THAT(plain.error().text(), HasSubstr("sslmode"));
}

}  // namespace
}  // namespace plumbline::runtime

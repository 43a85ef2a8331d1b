/// What every DecisionJournal promises, wherever it lies: in a folder, or in PostgreSQL.

#include "plumbline/runtime/log/decision_journal.hpp"

#include <csignal>
#include <numeric>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/log/journal_frame.hpp"
#include "tests/support/postgres_cluster.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;

const JournalVisit kIgnore = [](const JournalFrame&) { return base::ok(); };

enum class BackEnd { kFolder, kPostgres };

class JournalConformance : public ::testing::TestWithParam<BackEnd> {
 protected:
  void SetUp() override {
    if (GetParam() == BackEnd::kFolder) {
      place_ = folder_.file("log");
      return;
    }
    PL_NEEDS_POSTGRES(cluster);
    static int tests = 0;
    place_ = cluster.url("conformance" + std::to_string(++tests));
    options_.partition = "one";
  }

  std::unique_ptr<DecisionJournal> open(std::vector<std::string>* payloads = nullptr) {
    auto journal = DecisionJournal::open(place_, options_, [&](const JournalFrame& frame) {
      if (payloads != nullptr) payloads->emplace_back(frame.payload);
      return base::ok();
    });
    EXPECT_TRUE(journal.ok()) << journal.error().text();
    return journal.ok() ? std::move(journal).value() : nullptr;
  }
  base::Result<std::vector<std::string>> payloads() const {
    std::vector<std::string> all;
    std::uint64_t expected = 1;
    const auto read = read_journal(place_, [&](const JournalFrame& frame) {
      EXPECT_EQ(frame.number, expected++);
      all.emplace_back(frame.payload);
      return base::ok();
    });
    if (!read.ok()) return read.error();
    EXPECT_EQ(read->frames, all.size());
    return all;
  }

  testing::TempFolder folder_;
  std::string place_;
  JournalOptions options_;
};

std::string payload(std::uint64_t i) { return "{\"i\":" + std::to_string(i) + std::string(i % 37, ' ') + "}"; }

TEST_P(JournalConformance, ReadsBackWhatWasCommittedAndGoesOn) {
  for (const SyncPolicy sync : {SyncPolicy::kEach, SyncPolicy::kGroup, SyncPolicy::kNone}) {
    options_.sync = sync;
    std::vector<std::string> before;
    std::vector<JournalFrame> frames;
    {
      const auto journal = open(&before);
      for (std::uint64_t i = 0; i < 5; ++i) frames.push_back(*journal->append(payload(i)));
      EXPECT_EQ(frames.front().number, before.size() + 1);
      EXPECT_EQ(journal->durable(), before.size());
      EXPECT_EQ(journal->appended(), before.size() + 5);
      const auto commit = journal->commit();
      ASSERT_TRUE(commit.ok()) << commit.error().text();
      EXPECT_EQ(commit->durable, before.size() + 5);
      EXPECT_EQ(commit->frames, 5U);
      EXPECT_EQ(journal->commit()->frames, 0U);
      EXPECT_EQ(*journal->read(frames[3].at), payload(3));
      EXPECT_FALSE(journal->read({7, frames[3].at.offset}).ok());
      EXPECT_FALSE(journal->read({1, frames[4].at.offset + 1}).ok());
      EXPECT_LT(frames[3].at, frames[4].at);
      EXPECT_TRUE(journal->append("never committed").ok());
    }
    std::vector<std::string> found;
    std::vector<FramePosition> places;
    const auto journal = open(&found);
    EXPECT_EQ(found.size(), before.size() + 5);
    EXPECT_EQ(journal->recovered().frames, found.size());
    EXPECT_EQ(journal->recovered().torn_bytes, 0U);
    EXPECT_EQ(*journal->read(frames[1].at), payload(1)) << "where a frame lies outlasts its journal";
    EXPECT_EQ(journal->append("next")->number, before.size() + 6);
    EXPECT_EQ(journal->commit()->durable, before.size() + 6);
    EXPECT_EQ(payloads()->back(), "next");
  }
}

TEST_P(JournalConformance, ReplayAndWritingAgreeOnWhereFramesLie) {
  std::vector<FramePosition> written, replayed;
  {
    const auto journal = open();
    for (std::uint64_t i = 0; i < 20; ++i) {
      written.push_back(journal->append(payload(i))->at);
      if (i % 7 != 6) continue;
      ASSERT_TRUE(journal->commit().ok());
    }
    ASSERT_TRUE(journal->commit().ok());
  }
  ASSERT_TRUE(read_journal(place_, [&](const JournalFrame& frame) {
                replayed.push_back(frame.at);
                return base::ok();
              }).ok());
  EXPECT_EQ(written, replayed);
}

TEST_P(JournalConformance, OneOwnerAtATime) {
  options_.lease_wait_ms = 100;
  {
    const auto journal = open();
    const auto second = DecisionJournal::open(place_, options_, kIgnore);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, base::Code::kIo);
    EXPECT_THAT(second.error().text(), HasSubstr("in use by another"));
    ASSERT_TRUE(journal->append("x").ok());
    ASSERT_TRUE(journal->commit().ok());
  }
  std::vector<std::string> found;
  options_.lease_wait_ms = 5000;
  open(&found);
  EXPECT_EQ(found, std::vector<std::string>{"x"});
}

TEST_P(JournalConformance, AnyBytesOfAnySizeAndNoOthers) {
  std::string everything(256, '\0');
  std::iota(everything.begin(), everything.end(), '\0');
  std::vector<std::string> written = {everything, std::string(1, '\0'), std::string(3'000'000, 'x') + everything};
  {
    const auto journal = open();
    EXPECT_EQ(journal->append("").error().code, base::Code::kLimit);
    EXPECT_EQ(journal->append(std::string(kLargestPayload + 1, 'x')).error().code, base::Code::kLimit);
    for (const std::string& text : written) EXPECT_TRUE(journal->append(text).ok());
    ASSERT_TRUE(journal->commit().ok());
    EXPECT_EQ(journal->durable(), written.size());
  }
  EXPECT_EQ(*payloads(), written);
}

TEST_P(JournalConformance, AnErrorOfTheVisitorIsPassedOn) {
  {
    const auto journal = open();
    for (std::uint64_t i = 0; i < 9; ++i) ASSERT_TRUE(journal->append(payload(i)).ok());
    ASSERT_TRUE(journal->commit().ok());
  }
  int seen = 0;
  const JournalVisit third = [&](const JournalFrame&) -> base::Status {
    return ++seen == 3 ? base::Status(base::make_error(base::Code::kValue, "enough")) : base::ok();
  };
  EXPECT_EQ(read_journal(place_, third).error().message, "enough");
  EXPECT_EQ(seen, 3);
  seen = 0;
  EXPECT_EQ(DecisionJournal::open(place_, options_, third).error().message, "enough");
  EXPECT_EQ(payloads()->size(), 9U) << "and the journal is as it was";
}

TEST_P(JournalConformance, OneThreadAppendsWhileAnotherCommitsAndAThirdReads) {
  const auto journal = open();
  constexpr std::uint64_t kFrames = 3000;
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      EXPECT_TRUE(journal->append(payload(i)).ok());
      if (i % 300 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  std::uint64_t last = 0;
  while (last < kFrames) {
    const auto commit = journal->commit();
    ASSERT_TRUE(commit.ok()) << commit.error().text();
    EXPECT_GE(commit->durable, last);
    EXPECT_LE(commit->durable, journal->appended());
    if (last % 5 == 0) {
      const auto seen = payloads();
      ASSERT_TRUE(seen.ok()) << seen.error().text();
      EXPECT_GE(seen->size(), commit->durable);
      for (std::size_t i = 0; i < seen->size(); ++i) ASSERT_EQ((*seen)[i], payload(i));
    }
    last = commit->durable;
  }
  writer.join();
  EXPECT_EQ(payloads()->size(), kFrames);
}

TEST_P(JournalConformance, NothingIsNoJournal) {
  EXPECT_EQ(payloads().error().code, base::Code::kIo);
  EXPECT_FALSE(parse_sync_policy("sometimes").ok());
  EXPECT_EQ(*parse_sync_policy("each"), SyncPolicy::kEach);
}

/// Appends groups of random sizes for ever and tells the pipe, after each commit, how much is durable.
[[noreturn]] void write_until_killed(const std::string& place, const JournalOptions& options, int pipe,
                                     std::uint64_t seed) {
  base::Rng rng(seed);
  auto journal = DecisionJournal::open(place, options, kIgnore);
  if (!journal.ok()) _exit(2);
  for (;;) {
    for (std::uint64_t left = 1 + rng.below(30); left > 0; --left)
      if (!(*journal)->append(payload((*journal)->appended())).ok()) _exit(3);
    const auto commit = (*journal)->commit();
    if (!commit.ok() || write(pipe, &commit->durable, sizeof commit->durable) < 0) _exit(4);
  }
}

TEST_P(JournalConformance, KilledAtRandomItHoldsEverythingAcknowledged) {
  base::Rng rng(7);
  options_.segment_bytes = 20000;
  const int kills = 20;
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_until_killed(place_, options_, ends[1], 100 + static_cast<std::uint64_t>(kill_number));
    close(ends[1]);
    std::uint64_t acknowledged = 0;
    for (std::uint64_t left = 1 + rng.below(25); left > 0; --left)
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged), static_cast<ssize_t>(sizeof acknowledged));
    usleep(static_cast<useconds_t>(rng.below(2000)));  // somewhere within a group, not always at its start
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself with " << WEXITSTATUS(status);
    while (read(ends[0], &acknowledged, sizeof acknowledged) == static_cast<ssize_t>(sizeof acknowledged)) {
    }
    close(ends[0]);
    const auto found = payloads();
    ASSERT_TRUE(found.ok()) << found.error().text();
    ASSERT_GE(found->size(), acknowledged);
    for (std::size_t i = 0; i < found->size(); ++i) ASSERT_EQ((*found)[i], payload(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, JournalConformance, ::testing::Values(BackEnd::kFolder, BackEnd::kPostgres),
                         [](const auto& named) { return named.param == BackEnd::kFolder ? "Folder" : "Postgres"; });

}  // namespace
}  // namespace plumbline::runtime

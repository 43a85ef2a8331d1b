#include "plumbline/runtime/log_compaction.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/decision_export.hpp"
#include "plumbline/runtime/guard.hpp"
#include "plumbline/runtime/log/journal_files.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;
using Row = testing::TableDecider::Row;

GuardOptions guard_options(bool watched = false) {
  GuardOptions options;
  if (watched) {
    options.monitors.drift = {DriftSignal::kAleatoric, DriftSignal::kReward};
    options.monitors.run_length = 100;  // alarms, so that there is something to remember
  }
  options.fallback = "stop";
  options.deadline = kSecond;
  options.margin = 100 * kMillisecond;
  options.remembered = 25;
  options.queue.gold_every = 0;
  options.queue.open = 2;
  return options;
}

CompactionOptions compaction() {
  CompactionOptions options;
  options.queue = guard_options().queue;
  options.remembered = guard_options().remembered;
  return options;
}

/// Traffic with everything in it: acts, failures, questions answered and not, rewards early and late, void answers,
/// restarts. Ids of a number above `from` are new.
void live(const std::string& log, std::uint64_t seed, int from, int requests, bool watched = false) {
  base::Rng rng(seed, {"compaction"});
  testing::TableDecider decider;
  Instant now = 0;
  Ticket ticket = 0;
  const auto open = [&] {
    auto opened = Guard::open(decider.info(), log, {.sync = SyncPolicy::kNone, .segment_bytes = 6000},
                              guard_options(watched), 1000);
    EXPECT_TRUE(opened.ok()) << opened.error().text();
    now = (*opened)->clock_start();
    return std::move(opened).value();
  };
  auto guard = open();
  const auto commit = [&] { guard->durable(guard->journal().commit()->durable, now); };
  for (int i = from; i < from + requests; ++i) {
    now += static_cast<Instant>(rng.below(120)) * kMillisecond;
    guard->admit({"r" + std::to_string(i), "u", {static_cast<float>(rng.below(9)), static_cast<float>(rng.below(5))}},
                 ++ticket, now);
    const auto work = guard->take_work(10);
    for (const Work& w : work)
      guard->propose(std::span(&w, 1), decider.propose(std::span(&w.request, 1), std::span(&w.stream, 1)), now);
    if (const auto leased = guard->lease("ann", now); leased.ok() && leased->question != 0 && rng.bernoulli(0.7))
      (void)guard->answer("ann", leased->question, "go", now);
    if (rng.bernoulli(0.4) && i > from)
      (void)guard->feedback("r" + std::to_string(i - 1 - static_cast<int>(rng.below(20))), 0.5, {}, "ann", now);
    if (rng.bernoulli(0.05)) now += 3 * kSecond;  // what waits is late, and void
    guard->tick(now);
    if (rng.bernoulli(0.8)) commit();
    guard->take_answers();
    if (rng.bernoulli(0.03)) {
      commit();
      guard.reset();
      guard = open();
    }
  }
  now += 10 * kSecond;
  guard->tick(now);
  commit();
  commit();
}

GuardState fold(const std::string& log, const std::shared_ptr<const MonitorPlan>& plan = {}) {
  GuardState state(guard_options().queue, {}, guard_options().remembered, plan);
  const auto read = read_journal(log, [&](const JournalFrame& frame) { return state.replay(frame, "log"); });
  EXPECT_TRUE(read.ok()) << read.error().text();
  return state;
}

std::string exported(const std::string& log, std::uint64_t* missing = nullptr) {
  const testing::TempFolder out;
  const auto counts = export_decisions(log, out.file("log.jsonl"));
  EXPECT_TRUE(counts.ok()) << counts.error().text();
  if (missing != nullptr) *missing = counts->missing;
  return testing::read_file(out.file("log.jsonl"));
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t sum = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.is_regular_file()) sum += file.file_size();
  return sum;
}

TEST(LogCompaction, SnapshotAndRestGiveTheSameStateAndTheGuardGoesOn) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const testing::TempFolder folder;
    const std::string log = folder.file("log");
    live(log, seed, 0, 200);
    const GuardState before = fold(log);
    const std::string evidence = exported(log);
    const std::uint64_t bytes = bytes_in(log);
    const auto done = compact_log(log, compaction());
    ASSERT_TRUE(done.ok()) << done.error().text();
    EXPECT_GT(done->folded, 200U);
    EXPECT_LT(done->kept, done->folded / 2) << "seed " << seed;
    EXPECT_LT(done->bytes_after, done->bytes_before / 3);
    EXPECT_LT(bytes_in(log), bytes / 2);
    EXPECT_TRUE(fold(log) == before) << "seed " << seed;
    EXPECT_EQ(exported(log), evidence) << "what was archived is exported as before";
    // Again at once: nothing is left to do. After more traffic: the snapshot is folded into the next.
    EXPECT_EQ(compact_log(log, compaction())->next, 0U);
    live(log, seed + 100, 200, 150);
    const GuardState later = fold(log);
    const std::string more = exported(log);
    const auto second = compact_log(log, compaction());
    ASSERT_TRUE(second.ok()) << second.error().text();
    EXPECT_GT(second->next, done->next);
    EXPECT_TRUE(fold(log) == later) << "seed " << seed;
    EXPECT_EQ(exported(log), more);
    EXPECT_GT(later.counts().arrivals, 300U);
  }
}

TEST(LogCompaction, WhatMonitorsRememberStays) {
  const testing::TempFolder folder;
  const std::string log = folder.file("log");
  live(log, 8, 0, 250, true);
  auto made = MonitorPlan::make(guard_options(true).monitors, testing::TableDecider().info(), {});
  ASSERT_TRUE(made.ok()) << made.error().text();
  const auto plan = std::make_shared<const MonitorPlan>(std::move(*made));
  const GuardState before = fold(log, plan);
  CompactionOptions options = compaction();
  for (const bool known : {true, false}) {
    options.monitors = known ? std::shared_ptr<const MonitorPlan>(plan) : nullptr;
    const auto done = compact_log(log, options);
    ASSERT_TRUE(done.ok()) << done.error().text();
    EXPECT_EQ(done->next > 0, known);
    EXPECT_TRUE(fold(log, plan) == before);
    EXPECT_FALSE(fold(log) == before) << "the monitors remember something";
  }
}

TEST(LogCompaction, DiscardedRecordsAreGoneAndCounted) {
  const testing::TempFolder folder;
  const std::string log = folder.file("log");
  live(log, 3, 0, 200);
  const GuardState before = fold(log);
  const std::string evidence = exported(log);
  CompactionOptions options = compaction();
  options.discard = true;
  const auto done = compact_log(log, options);
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_FALSE(std::filesystem::exists(log + "/archive"));
  EXPECT_TRUE(fold(log) == before);
  std::uint64_t missing = 0;
  const std::string rest = exported(log, &missing);
  EXPECT_EQ(missing, done->folded);
  EXPECT_FALSE(rest.empty());
  EXPECT_TRUE(evidence.ends_with(rest)) << "what is left is exported as before";
}

TEST(LogCompaction, WhatIsRememberedOrOpenIsNotFolded) {
  const testing::TempFolder folder;
  const std::string log = folder.file("log");
  EXPECT_EQ(compact_log(log, compaction()).error().code, base::Code::kIo);
  live(log, 1, 0, 30);
  CompactionOptions all = compaction();
  all.remembered = 1000;
  const auto nothing = compact_log(log, all);
  ASSERT_TRUE(nothing.ok()) << nothing.error().text();
  EXPECT_EQ(nothing->next, 0U);
  EXPECT_EQ(nothing->segments, 0U);
  // A request that was open when its guard was killed keeps everything behind its arrival.
  const testing::TempFolder other;
  const std::string killed = other.file("log");
  testing::TableDecider decider;
  std::uint64_t arrival = 0;
  {
    auto guard =
        Guard::open(decider.info(), killed, {.sync = SyncPolicy::kNone, .segment_bytes = 3000}, guard_options(), 0);
    Instant now = (*guard)->clock_start();
    for (int i = 0; i < 200; ++i) {
      (*guard)->admit({"k" + std::to_string(i), "u", {0, 1}}, 1, ++now);
      const auto work = (*guard)->take_work(1);
      if (i == 40) arrival = work[0].stream;
      if (i == 40) continue;
      (*guard)->propose(work, decider.propose(std::span(&work[0].request, 1), std::span(&work[0].stream, 1)), now);
    }
    ASSERT_TRUE((*guard)->journal().commit().ok());
  }
  const GuardState before = fold(killed);
  ASSERT_EQ(before.open().size(), 1U);
  const auto done = compact_log(killed, compaction());
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_GT(done->next, 1U);
  EXPECT_LE(done->next, arrival);
  EXPECT_TRUE(fold(killed) == before);
}

TEST(LogCompaction, ALogInUseOrInADatabaseIsLeftAlone) {
  const testing::TempFolder folder;
  live(folder.file("log"), 2, 0, 100);
  testing::TableDecider decider;
  const auto guard = Guard::open(decider.info(), folder.file("log"), {}, guard_options(), 0);
  EXPECT_THAT(compact_log(folder.file("log"), compaction()).error().text(), HasSubstr("in use by another process"));
  const auto database = compact_log("postgresql://ann:s3cret@host/x", compaction());
  EXPECT_EQ(database.error().code, base::Code::kUnsupported);
  EXPECT_THAT(database.error().text(), ::testing::Not(HasSubstr("s3cret")));
}

TEST(LogCompaction, EveryFlippedBitOfASnapshotIsFound) {
  const testing::TempFolder folder;
  const std::string log = folder.file("log");
  live(log, 4, 0, 120);
  const auto done = compact_log(log, compaction());
  ASSERT_TRUE(done.ok()) << done.error().text();
  const std::string path = snapshot_path(log, done->next);
  const std::string bytes = testing::read_file(path);
  const JournalVisit ignore = [](const JournalFrame&) { return base::ok(); };
  base::Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    std::string changed = bytes;
    const std::size_t bit = i < 200 ? static_cast<std::size_t>(i) : rng.below(bytes.size() * 8);
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    testing::write_file(path, changed);
    const auto read = read_journal(log, ignore);
    ASSERT_FALSE(read.ok()) << "bit " << bit;
    EXPECT_EQ(read.error().code, base::Code::kParse);
    EXPECT_FALSE(DecisionJournal::open(log, {}, ignore).ok());
  }
  for (std::size_t size = 0; size < bytes.size(); size += 37) {
    testing::write_file(path, bytes.substr(0, size));
    ASSERT_FALSE(read_journal(log, ignore).ok()) << size;
  }
  testing::write_file(path, bytes);
  ASSERT_TRUE(read_journal(log, ignore).ok());
  std::filesystem::remove(segment_path(log, done->next));
  EXPECT_THAT(read_journal(log, ignore).error().text(), HasSubstr("a segment is missing"));
}

/// Killed before each change to the disk, in the first compaction and in one over an earlier snapshot: the state is
/// what it was, and so is the export; and the next call ends what was begun.
TEST(LogCompaction, KilledAtEveryStepItIsAsBeforeAndCanBeDoneAgain) {
  for (const bool discard : {false, true}) {
    const testing::TempFolder source;
    live(source.file("log"), 5, 0, 150);
    ASSERT_TRUE(compact_log(source.file("log"), compaction()).ok());
    live(source.file("log"), 6, 150, 120);
    const GuardState before = fold(source.file("log"));
    const std::string evidence = exported(source.file("log"));
    std::set<std::string> steps;
    int killed = 0;
    for (int at = 1;; ++at) {
      const testing::TempFolder folder;
      const std::string log = folder.file("log");
      std::filesystem::copy(source.file("log"), log, std::filesystem::copy_options::recursive);
      CompactionOptions options = compaction();
      options.discard = discard;
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        int step = 0;
        options.step = [&](std::string_view) {
          if (++step == at) _exit(9);
        };
        _exit(compact_log(log, options).ok() ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      ASSERT_TRUE(fold(log) == before) << "step " << at;
      if (!discard) {
        ASSERT_EQ(exported(log), evidence) << "step " << at;
      }
      if (WEXITSTATUS(status) == 0) break;
      ASSERT_EQ(WEXITSTATUS(status), 9);
      ++killed;
      options.step = [&](std::string_view what) { steps.emplace(what); };
      const auto again = compact_log(log, options);
      ASSERT_TRUE(again.ok()) << again.error().text();
      ASSERT_TRUE(fold(log) == before) << "step " << at;
      EXPECT_EQ(compact_log(log, options)->next, 0U);
      const JournalFiles files = *list_journal(log);
      EXPECT_TRUE(files.covered.empty() && files.snapshots.empty()) << "step " << at;
      if (at % 4 == 0) live(log, 7, 300, 5);
    }
    EXPECT_GT(killed, 8);
    EXPECT_GE(steps.size(), 8U);
  }
}

}  // namespace
}  // namespace plumbline::runtime

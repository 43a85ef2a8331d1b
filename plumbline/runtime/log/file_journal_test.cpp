#include "plumbline/runtime/log/file_journal.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "plumbline/runtime/log/journal_frame.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;

const JournalVisit kIgnore = [](const JournalFrame&) { return base::ok(); };

std::unique_ptr<DecisionJournal> open_journal(const std::string& folder, const JournalOptions& options = {},
                                              std::vector<std::string>* payloads = nullptr) {
  auto journal = DecisionJournal::open(folder, options, [&](const JournalFrame& frame) {
    if (payloads != nullptr) payloads->emplace_back(frame.payload);
    return base::ok();
  });
  EXPECT_TRUE(journal.ok()) << journal.error().text();
  return journal.ok() ? std::move(journal).value() : nullptr;
}

base::Result<std::vector<std::string>> payloads_of(const std::string& folder, JournalState* state = nullptr) {
  std::vector<std::string> payloads;
  std::uint64_t expected = 1;
  const auto read = read_journal(folder, [&](const JournalFrame& frame) {
    EXPECT_EQ(frame.number, expected++);
    payloads.emplace_back(frame.payload);
    return base::ok();
  });
  if (!read.ok()) return read.error();
  if (state != nullptr) *state = *read;
  return payloads;
}

std::string payload(std::uint64_t i) { return "{\"i\":" + std::to_string(i) + std::string(i % 37, ' ') + "}"; }

/// Groups of the given sizes, committed one after the other.
std::vector<std::string> write_groups(const std::string& folder, const std::vector<int>& groups,
                                      const JournalOptions& options = {}) {
  const auto journal = open_journal(folder, options);
  std::vector<std::string> all;
  for (const int size : groups) {
    for (int i = 0; i < size; ++i) {
      all.push_back(payload(all.size()));
      EXPECT_TRUE(journal->append(all.back()).ok());
    }
    EXPECT_EQ(journal->commit()->durable, all.size());
  }
  return all;
}

std::vector<std::string> segments_of(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".journal") paths.push_back(file.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(FileJournal, CutAtEveryByteItKeepsEveryWholeFrame) {
  const testing::TempFolder folder;
  const auto all = write_groups(folder.file("log"), {1, 3, 2, 4});
  const std::string path = segments_of(folder.file("log")).front();
  const std::string bytes = testing::read_file(path);
  std::vector<std::uint64_t> ends = {kSegmentHeader};
  for (const std::string& text : all) ends.push_back(ends.back() + kFrameHeader + text.size());
  ASSERT_EQ(ends.back(), bytes.size());
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    testing::write_file(path, bytes.substr(0, size));
    const auto whole = static_cast<std::size_t>(
        std::max<std::ptrdiff_t>(0, std::upper_bound(ends.begin(), ends.end(), size) - ends.begin() - 1));
    JournalState state;
    const auto read = payloads_of(folder.file("log"), &state);
    ASSERT_TRUE(read.ok()) << size << ": " << read.error().text();
    EXPECT_EQ(*read, std::vector<std::string>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(whole))) << size;
    EXPECT_EQ(state.torn_bytes, size - (size < kSegmentHeader ? 0 : ends[whole])) << size;
    std::vector<std::string> found;
    const auto journal = open_journal(folder.file("log"), {.sync = SyncPolicy::kNone}, &found);
    EXPECT_EQ(found.size(), whole) << size;
    EXPECT_EQ(journal->append("after")->number, whole + 1);
    EXPECT_TRUE(journal->commit().ok());
    EXPECT_EQ(payloads_of(folder.file("log"))->back(), "after");
  }
}

TEST(FileJournal, EveryFlippedBitIsFoundOrLiesInTheLastGroup) {
  const testing::TempFolder folder;
  const auto all = write_groups(folder.file("log"), {2, 2, 1});
  const std::string path = segments_of(folder.file("log")).front();
  const std::string bytes = testing::read_file(path);
  const std::size_t last_group = bytes.size() - kFrameHeader - all.back().size();
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string changed = bytes;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
    testing::write_file(path, changed);
    const auto read = payloads_of(folder.file("log"));
    if (i / 8 < last_group) {
      ASSERT_FALSE(read.ok()) << "bit " << i;
      EXPECT_EQ(read.error().code, base::Code::kParse);
      EXPECT_THAT(read.error().text(), HasSubstr(path + ", byte"));
      EXPECT_FALSE(DecisionJournal::open(folder.file("log"), {}, kIgnore).ok());
      EXPECT_EQ(testing::read_file(path), changed) << "nothing is repaired that was durable";
    } else {
      ASSERT_TRUE(read.ok()) << "bit " << i;
      EXPECT_EQ(read->size(), 4U);
    }
  }
}

TEST(FileJournal, AHoleInTheLastGroupIsATornTailAndBeforeItIsDamage) {
  const testing::TempFolder folder;
  write_groups(folder.file("log"), {1, 4});
  const std::string path = segments_of(folder.file("log")).front();
  std::string bytes = testing::read_file(path);
  const std::size_t second = kSegmentHeader + kFrameHeader + payload(0).size();
  // Pages of one group may reach the disk in any order: zeroes first, whole frames behind them.
  bytes.replace(second, kFrameHeader, kFrameHeader, '\0');
  testing::write_file(path, bytes);
  EXPECT_EQ(payloads_of(folder.file("log"))->size(), 1U);
  bytes.replace(kSegmentHeader, kFrameHeader, kFrameHeader, '\0');
  testing::write_file(path, bytes);
  EXPECT_THAT(payloads_of(folder.file("log")).error().text(), HasSubstr("frame 1 is damaged"));
}

TEST(FileJournal, NewSegmentsBySizeAndNoneMayBeMissing) {
  const testing::TempFolder folder;
  const auto all = write_groups(folder.file("log"), std::vector<int>(40, 3), {.segment_bytes = 500});
  const auto paths = segments_of(folder.file("log"));
  ASSERT_GE(paths.size(), 5U);
  EXPECT_EQ(*payloads_of(folder.file("log")), all);
  EXPECT_EQ(open_journal(folder.file("log"))->recovered().segments, paths.size());

  const std::string middle = testing::read_file(paths[2]);
  testing::write_file(paths[2], middle.substr(0, middle.size() - 1));
  EXPECT_THAT(payloads_of(folder.file("log")).error().text(), HasSubstr("in a segment that was finished"));
  std::filesystem::remove(paths[2]);
  EXPECT_THAT(payloads_of(folder.file("log")).error().text(), HasSubstr("a segment is missing"));
  testing::write_file(paths[2], middle);

  // A segment that was begun and not used, after a torn tail: the tail is still a tail.
  testing::write_file(paths.back(), testing::read_file(paths.back()) + "torn");
  testing::write_file(folder.file("log/09999999999999999999.journal"), segment_header(5).substr(0, 7));
  EXPECT_EQ(*payloads_of(folder.file("log")), all);
  EXPECT_EQ(open_journal(folder.file("log"))->recovered().torn_bytes, 4U + 7U);
  testing::write_file(folder.file("log/5.journal"), "");
  EXPECT_THAT(payloads_of(folder.file("log")).error().text(), HasSubstr("no segment of a journal"));
}

/// Files of this process may not grow beyond `size` while this object lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t size) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{size, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(FileJournal, AFailedWriteStopsItAndLosesNothing) {
  const testing::TempFolder folder;
  {
    const auto journal = open_journal(folder.path());
    ASSERT_TRUE(journal->append(payload(0)).ok());
    ASSERT_TRUE(journal->commit().ok());
    const FileLimit limit(4096);
    ASSERT_TRUE(journal->append(std::string(8192, 'x')).ok());
    const auto refused = journal->commit();
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().text(), HasSubstr("File too large"));
    EXPECT_TRUE(journal->stopped());
    EXPECT_EQ(journal->append("more").error().code, base::Code::kIo);
    EXPECT_EQ(journal->commit().error().code, base::Code::kIo);
    EXPECT_EQ(journal->durable(), 1U);
  }
  std::vector<std::string> found;
  EXPECT_EQ(open_journal(folder.path(), {}, &found)->recovered().torn_bytes, 0U);
  EXPECT_EQ(found.size(), 1U);
}

}  // namespace
}  // namespace plumbline::runtime

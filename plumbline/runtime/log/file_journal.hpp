#pragma once
/// A DecisionJournal in a folder of segments. The bytes are in plumbline/runtime/log/journal_frame.hpp.

#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/journal_files.hpp"

namespace plumbline::runtime {

class FileJournal final : public DecisionJournal {
 public:
  /// As DecisionJournal::open. The folder is locked until this object goes.
  static base::Result<std::unique_ptr<FileJournal>> open(const std::string& folder, const JournalOptions& options,
                                                         const JournalVisit& visit);
  ~FileJournal() override;

  /// Space on the disk is reserved here, so that a full disk is found before anything is promised.
  base::Result<JournalFrame> append(std::string_view payload) override;
  base::Result<Commit> commit() override;
  base::Result<std::string> read(FramePosition at) const override;
  std::uint64_t appended() const override;
  std::uint64_t durable() const override;
  bool stopped() const override;

 private:
  struct Segment;
  struct Group {
    std::shared_ptr<Segment> segment;
    std::uint64_t start = 0;
    std::uint64_t frames = 0;
    std::string bytes;
  };
  FileJournal(std::string folder, const JournalOptions& options) : DecisionJournal(std::move(folder), options) {}
  base::Status recover(const JournalVisit& visit);
  base::Result<std::shared_ptr<Segment>> begin_segment(std::uint64_t first);
  base::Status write(const Group& group, double& sync_seconds);

  FolderLock lock_;
  mutable std::mutex mutex_;
  std::mutex commit_mutex_;
  std::shared_ptr<Segment> segment_;  // the one that is appended to
  std::uint64_t end_ = 0;             // its size once everything appended is written
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
  std::deque<Group> groups_;
  std::string stopped_;  // the reason, once a commit has failed
};

/// As read_journal, of a folder.
base::Result<JournalState> read_file_journal(const std::string& folder, const JournalVisit& visit);
base::Result<JournalState> read_file_history(const std::string& folder, const JournalVisit& visit);

}  // namespace plumbline::runtime

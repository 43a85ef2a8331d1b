#pragma once
/// The files of a journal's folder: segments, and perhaps a snapshot that stands for the ones before it.
///
///   00000000000000000001.journal   a segment, named by the number of its first frame
///   00000000000000004711.snapshot  what frames 1 to 4710 come to; whole and sealed, or it does not have this name
///   archive/                       segments that a snapshot stands for, kept as evidence
///   lock

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/journal_frame.hpp"

namespace plumbline::runtime {

/// Held by one process at a time, until it goes.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  /// Errors kIo: no folder, or another process holds it.
  base::Status take(const std::string& folder);

 private:
  int file_ = -1;
};

base::Error system_error(const std::string& place, std::string_view what);
std::string segment_path(const std::string& folder, std::uint64_t first);
std::string snapshot_path(const std::string& folder, std::uint64_t next);
std::string archive_path(const std::string& folder);
base::Status sync_folder(const std::string& folder);
base::Status write_all(int fd, std::string_view bytes, std::uint64_t offset, const std::string& place);

/// What a folder holds. Errors kIo, kParse: a name that is none; no segment behind a snapshot.
struct JournalFiles {
  std::uint64_t snapshot = 0;            ///< the frame that follows on the newest one; 0: there is none
  std::vector<std::uint64_t> segments;   ///< in order, from the snapshot on
  std::vector<std::uint64_t> covered;    ///< segments that the snapshot stands for
  std::vector<std::uint64_t> snapshots;  ///< older ones
  std::uint64_t next() const { return snapshot == 0 ? 1 : snapshot; }
};
base::Result<JournalFiles> list_journal(const std::string& folder);
/// Of the archive, which need not be there.
base::Result<std::vector<std::uint64_t>> list_segments(const std::string& folder);

/// One segment, checked against its name and its place in the order.
base::Result<SegmentScan> scan_file(const std::string& folder, std::uint64_t first, std::uint64_t expected, bool last,
                                    const JournalVisit& visit);
/// A last segment without one whole frame says nothing: it was begun and never used.
base::Result<bool> is_unused(const std::string& folder, std::uint64_t first);

/// A frame of a snapshot, with the number that it had in the log.
struct KeptFrame {
  std::uint64_t number = 0;
  std::string payload;
};
/// The bytes of a snapshot: frames in the form of a segment's, each behind its number, the last of which seals their
/// count and their sum. Precondition: numbers rise and are below `next`.
std::string snapshot_bytes(std::uint64_t next, const std::vector<KeptFrame>& frames);
/// Every frame of a snapshot, in segment 0. Errors kParse: anything that is not as it was written.
base::Result<SegmentScan> scan_snapshot(std::string_view bytes, std::uint64_t next, const std::string& name,
                                        const JournalVisit& visit);
base::Result<SegmentScan> scan_snapshot_file(const std::string& folder, std::uint64_t next, const JournalVisit& visit);

}  // namespace plumbline::runtime

#include "plumbline/runtime/log/file_journal.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plumbline/runtime/log/journal_files.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

constexpr std::uint64_t kReserve = 1U << 20U;  // of disk space at a time

}  // namespace

struct FileJournal::Segment {
  std::uint64_t first = 0;
  std::string path;
  int fd = -1;
  std::uint64_t reserved = 0;  // bytes of the file that the disk has promised
  ~Segment() {
    if (fd >= 0) ::close(fd);
  }

  base::Status reserve(std::uint64_t size) {
    if (size <= reserved) return base::ok();
    const std::uint64_t wanted = size + kReserve;
    // The size of the file stays: what lies behind the last frame would otherwise read as damage.
    if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(wanted)) == 0) {
      reserved = wanted;
    } else if (errno == EOPNOTSUPP || errno == ENOSYS) {
      reserved = ~std::uint64_t{0};  // this file system cannot; the commit will find out
    } else if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) == 0) {
      reserved = size;  // nearly full: no more than what is needed
    } else {
      return system_error(path, "no space can be reserved");
    }
    return base::ok();
  }
};

FileJournal::~FileJournal() = default;

base::Result<std::unique_ptr<FileJournal>> FileJournal::open(const std::string& folder, const JournalOptions& options,
                                                             const JournalVisit& visit) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) return make_error(Code::kIo, fmt::format("cannot be made: {}", code.message()), folder);
  std::unique_ptr<FileJournal> journal(new FileJournal(folder, options));
  PL_CHECK(journal->lock_.take(folder));
  PL_CHECK(journal->recover(visit));
  return journal;
}

base::Status FileJournal::recover(const JournalVisit& visit) {
  PL_TRY(JournalFiles files, list_journal(name_));
  std::vector<std::uint64_t>& segments = files.segments;
  while (segments.size() > (files.snapshot == 0 ? 0 : 1)) {
    PL_TRY(const bool unused, is_unused(name_, segments.back()));
    if (!unused) break;
    const std::string path = segment_path(name_, segments.back());
    std::error_code ignored;
    recovered_.torn_bytes += std::filesystem::file_size(path, ignored);
    if (::unlink(path.c_str()) != 0) return system_error(path, "cannot be removed");
    segments.pop_back();
  }
  if (files.snapshot != 0) {
    PL_TRY(const SegmentScan whole, scan_snapshot_file(name_, files.snapshot, visit));
    recovered_.bytes += whole.valid_bytes;
  }
  std::uint64_t next = files.next();
  SegmentScan tail;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    PL_TRY(tail, scan_file(name_, segments[i], next, i + 1 == segments.size(), visit));
    next += tail.frames;
    recovered_.bytes += tail.valid_bytes;
  }
  recovered_.frames = next - 1;
  recovered_.segments = segments.size();
  recovered_.torn_bytes += tail.torn_bytes;
  appended_ = durable_ = next - 1;
  if (segments.empty()) {
    PL_TRY(segment_, begin_segment(next));
    recovered_.segments = 1;
    end_ = kSegmentHeader;
    return base::ok();
  }
  segment_ = std::make_shared<Segment>();
  segment_->first = segments.back();
  segment_->path = segment_path(name_, segments.back());
  segment_->fd = ::open(segment_->path.c_str(), O_RDWR | O_CLOEXEC);
  if (segment_->fd < 0) return system_error(segment_->path, "cannot be opened for writing");
  end_ = tail.valid_bytes;
  if (::ftruncate(segment_->fd, static_cast<off_t>(end_)) != 0) return system_error(segment_->path, "cannot be cut");
  if (::fdatasync(segment_->fd) != 0) return system_error(segment_->path, "cannot be synced");
  return base::ok();
}

base::Result<std::shared_ptr<FileJournal::Segment>> FileJournal::begin_segment(std::uint64_t first) {
  auto segment = std::make_shared<Segment>();
  segment->first = first;
  segment->path = segment_path(name_, first);
  segment->fd = ::open(segment->path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (segment->fd < 0) return system_error(segment->path, "cannot be made");
  const auto prepare = [&]() -> base::Status {
    PL_CHECK(segment->reserve(kSegmentHeader));
    PL_CHECK(write_all(segment->fd, segment_header(first), 0, segment->path));
    if (options_.sync == SyncPolicy::kNone) return base::ok();
    if (::fdatasync(segment->fd) != 0) return system_error(segment->path, "cannot be synced");
    return sync_folder(name_);
  };
  if (const base::Status prepared = prepare(); !prepared.ok()) {
    ::unlink(segment->path.c_str());
    return prepared.error();
  }
  return segment;
}

base::Result<JournalFrame> FileJournal::append(std::string_view payload) {
  if (payload.empty() || payload.size() > kLargestPayload)
    return make_error(Code::kLimit,
                      fmt::format("a frame of {} bytes, expected 1 to {}", payload.size(), kLargestPayload), name_);
  const std::lock_guard lock(mutex_);
  if (!stopped_.empty())
    return make_error(Code::kIo, "has stopped: " + stopped_, name_, "Make room or repair the disk, then start again");
  if (end_ >= options_.segment_bytes) {
    PL_TRY(segment_, begin_segment(appended_ + 1));
    end_ = kSegmentHeader;
  }
  PL_CHECK(segment_->reserve(end_ + kFrameHeader + payload.size()));
  if (groups_.empty() || groups_.back().segment != segment_ || options_.sync == SyncPolicy::kEach)
    groups_.push_back({segment_, end_, 0, {}});
  Group& group = groups_.back();
  const JournalFrame frame{appended_ + 1, {segment_->first, end_}, payload};
  append_frame(group.bytes, group.start, payload);
  ++group.frames;
  ++appended_;
  end_ = group.start + group.bytes.size();
  return frame;
}

base::Status FileJournal::write(const Group& group, double& sync_seconds) {
  PL_CHECK(write_all(group.segment->fd, group.bytes, group.start, group.segment->path));
  if (options_.sync == SyncPolicy::kNone) return base::ok();
  const auto before = std::chrono::steady_clock::now();
  if (::fdatasync(group.segment->fd) != 0) return system_error(group.segment->path, "cannot be synced");
  sync_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  return base::ok();
}

base::Result<Commit> FileJournal::commit() {
  const std::lock_guard one_at_a_time(commit_mutex_);
  Commit done;
  const std::uint64_t target = appended();  // what comes in meanwhile is the next commit's
  for (;;) {
    Group group;
    {
      const std::lock_guard lock(mutex_);
      if (!stopped_.empty()) return make_error(Code::kIo, "has stopped: " + stopped_, name_);
      done.durable = durable_;
      if (durable_ >= target) return done;
      group = std::move(groups_.front());
      groups_.pop_front();
    }
    const base::Status written = write(group, done.sync_seconds);
    const std::lock_guard lock(mutex_);
    if (!written.ok()) {
      stopped_ = written.error().text();
      groups_.clear();
      // Nobody was told of these frames. The cut keeps the file tidy; if it fails, they are a torn tail.
      if (::ftruncate(group.segment->fd, static_cast<off_t>(group.start)) != 0) stopped_ += ", nor cut";
      return written.error();
    }
    durable_ += group.frames;
    done.frames += group.frames;
  }
}

base::Result<std::string> FileJournal::read(FramePosition at) const {
  const std::string path = segment_path(name_, at.segment);
  const std::string place = fmt::format("{}, byte {}", path, at.offset);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(path, "cannot be opened");
  std::string bytes(kFrameHeader, '\0');
  ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(at.offset));
  if (got == static_cast<ssize_t>(kFrameHeader)) {
    bytes.resize(kFrameHeader + payload_length(bytes));
    got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(at.offset));
  }
  ::close(fd);
  const auto payload = got == static_cast<ssize_t>(bytes.size()) ? check_frame(bytes) : std::nullopt;
  if (!payload) return make_error(Code::kParse, "holds no whole frame", place);
  return std::string(*payload);
}

std::uint64_t FileJournal::appended() const {
  const std::lock_guard lock(mutex_);
  return appended_;
}

std::uint64_t FileJournal::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

bool FileJournal::stopped() const {
  const std::lock_guard lock(mutex_);
  return !stopped_.empty();
}

namespace {

/// Segments in order, the last of which may have a torn tail.
base::Status read_segments(const std::string& folder, const std::string& archive,
                           const std::vector<std::uint64_t>& archived, std::vector<std::uint64_t> live,
                           JournalState& state, const JournalVisit& visit) {
  while (live.size() > 1) {
    PL_TRY(const bool unused, is_unused(folder, live.back()));
    if (!unused) break;
    live.pop_back();
  }
  const std::size_t all = archived.size() + live.size();
  for (std::size_t i = 0; i < all; ++i) {
    const bool old = i < archived.size();
    PL_TRY(const SegmentScan scan, scan_file(old ? archive : folder, old ? archived[i] : live[i - archived.size()],
                                             state.frames + 1, i + 1 == all, visit));
    state.frames += scan.frames;
    state.bytes += scan.valid_bytes;
    state.torn_bytes += scan.torn_bytes;
    ++state.segments;
  }
  return base::ok();
}

}  // namespace

base::Result<JournalState> read_file_journal(const std::string& folder, const JournalVisit& visit) {
  PL_TRY(const JournalFiles files, list_journal(folder));
  if (files.segments.empty()) return make_error(Code::kIo, "holds no journal", folder);
  JournalState state;
  if (files.snapshot != 0) {
    PL_TRY(const SegmentScan whole, scan_snapshot_file(folder, files.snapshot, visit));
    state.bytes += whole.valid_bytes;
    state.frames = files.snapshot - 1;
  }
  PL_CHECK(read_segments(folder, {}, {}, files.segments, state, visit));
  return state;
}

base::Result<JournalState> read_file_history(const std::string& folder, const JournalVisit& visit) {
  PL_TRY(const JournalFiles files, list_journal(folder));
  if (files.segments.empty()) return make_error(Code::kIo, "holds no journal", folder);
  std::vector<std::uint64_t> live = files.covered, archived;
  live.insert(live.end(), files.segments.begin(), files.segments.end());
  const std::string archive = archive_path(folder);
  if (std::filesystem::exists(archive)) {
    PL_TRY(archived, list_segments(archive));
    // One that was being moved may be in both places.
    std::erase_if(archived, [&](std::uint64_t first) { return std::binary_search(live.begin(), live.end(), first); });
  }
  // Moved one by one, oldest first: those in the archive come before those that are still in their place.
  JournalState state;
  state.frames = state.missing = (archived.empty() ? live.front() : archived.front()) - 1;
  PL_CHECK(read_segments(folder, archive, archived, live, state, visit));
  return state;
}

}  // namespace plumbline::runtime

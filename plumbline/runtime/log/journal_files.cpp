#include "plumbline/runtime/log/journal_files.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kSegment = ".journal";
constexpr std::string_view kSnapshot = ".snapshot";
constexpr std::string_view kSeal = "seal";

/// The numbers by which files with this ending are named, in order.
base::Result<std::vector<std::uint64_t>> list_numbers(const std::string& folder, std::string_view ending) {
  std::vector<std::uint64_t> all;
  std::error_code code;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (!name.ends_with(ending)) continue;
    const std::string_view number = std::string_view(name).substr(0, name.size() - ending.size());
    std::uint64_t first = 0;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), first);
    if (number.size() != 20 || error != std::errc{} || stop != number.data() + number.size())
      return make_error(Code::kParse, "is no segment of a journal by its name", it->path().string());
    all.push_back(first);
  }
  if (code) return make_error(Code::kIo, fmt::format("cannot be listed: {}", code.message()), folder);
  std::sort(all.begin(), all.end());
  return all;
}

std::string_view text_of(const data::Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data.get()), bytes.size};
}

std::string seal_of(std::uint64_t next, std::uint64_t frames, std::uint32_t sum) {
  return fmt::format("{} {} {} {:08x}", kSeal, next, frames, sum);
}

}  // namespace

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

base::Status FolderLock::take(const std::string& folder) {
  const std::string path = folder + "/lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file_ < 0) return system_error(path, "cannot be opened");
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return base::ok();
  return make_error(Code::kIo, "is in use by another process", folder, "One guard writes to a log; end the other one");
}

base::Error system_error(const std::string& place, std::string_view what) {
  return make_error(Code::kIo, fmt::format("{}: {}", what, std::strerror(errno)), place);
}

std::string segment_path(const std::string& folder, std::uint64_t first) {
  return fmt::format("{}/{:020}{}", folder, first, kSegment);
}

std::string snapshot_path(const std::string& folder, std::uint64_t next) {
  return fmt::format("{}/{:020}{}", folder, next, kSnapshot);
}

std::string archive_path(const std::string& folder) { return folder + "/archive"; }

base::Result<std::vector<std::uint64_t>> list_segments(const std::string& folder) {
  return list_numbers(folder, kSegment);
}

base::Result<JournalFiles> list_journal(const std::string& folder) {
  JournalFiles files;
  PL_TRY(files.segments, list_segments(folder));
  PL_TRY(files.snapshots, list_numbers(folder, kSnapshot));
  if (files.snapshots.empty()) return files;
  files.snapshot = files.snapshots.back();
  files.snapshots.pop_back();
  const auto behind = std::lower_bound(files.segments.begin(), files.segments.end(), files.snapshot);
  files.covered.assign(files.segments.begin(), behind);
  files.segments.erase(files.segments.begin(), behind);
  if (files.segments.empty() || files.segments.front() != files.snapshot)
    return make_error(Code::kParse, fmt::format("frame {} does not follow on it: a segment is missing", files.snapshot),
                      snapshot_path(folder, files.snapshot), "Restore the missing file from a copy");
  return files;
}

base::Result<SegmentScan> scan_file(const std::string& folder, std::uint64_t first, std::uint64_t expected, bool last,
                                    const JournalVisit& visit) {
  const std::string path = segment_path(folder, first);
  if (first != expected)
    return make_error(Code::kParse,
                      fmt::format("begins with frame {}, expected {}: a segment is missing", first, expected), path,
                      "Restore the missing file from a copy");
  PL_TRY(const data::Bytes bytes, data::map_file(path));
  std::uint64_t number = first;
  PL_TRY(const SegmentScan scan,
         scan_segment(text_of(bytes), path, last, [&](std::uint64_t offset, std::string_view payload) {
           return visit({number++, {first, offset}, payload});
         }));
  if (scan.first != 0 && scan.first != first)
    return make_error(Code::kParse, fmt::format("says that it begins with frame {}", scan.first), path,
                      "The file was renamed");
  return scan;
}

base::Result<bool> is_unused(const std::string& folder, std::uint64_t first) {
  const std::string path = segment_path(folder, first);
  PL_TRY(const data::Bytes bytes, data::map_file(path));
  PL_TRY(const SegmentScan scan, scan_segment(text_of(bytes), path, true, [](auto, auto) { return base::ok(); }));
  return scan.frames == 0;
}

base::Status sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(folder, "cannot be opened");
  const int outcome = ::fsync(fd);
  ::close(fd);
  if (outcome != 0) return system_error(folder, "cannot be synced");
  return base::ok();
}

base::Status write_all(int fd, std::string_view bytes, std::uint64_t offset, const std::string& place) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_error(place, "cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return base::ok();
}

std::string snapshot_bytes(std::uint64_t next, const std::vector<KeptFrame>& frames) {
  std::string out = segment_header(next);
  std::uint32_t sum = 0;
  for (const KeptFrame& frame : frames) {
    const std::string payload = fmt::format("{} {}", frame.number, frame.payload);
    append_frame(out, kSegmentHeader, payload);
    sum = base::crc32c(payload, sum);
  }
  append_frame(out, kSegmentHeader, seal_of(next, frames.size(), sum));
  return out;
}

base::Result<SegmentScan> scan_snapshot(std::string_view bytes, std::uint64_t next, const std::string& name,
                                        const JournalVisit& visit) {
  const auto wrong = [&](std::string what) {
    return make_error(Code::kParse, "is no whole snapshot: " + std::move(what), name,
                      "The disk or a program changed what was durable; restore the file from a copy");
  };
  std::string_view held;  // shown when another follows: the last one is the seal
  std::uint64_t frames = 0, least = 0, held_at = 0;
  std::uint32_t sum = 0;
  const auto show = [&](std::string_view payload, std::uint64_t offset) -> base::Status {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(payload.data(), payload.data() + payload.size(), number);
    const auto digits = static_cast<std::size_t>(stop - payload.data());
    if (error != std::errc{} || number < least || number >= next || !payload.substr(digits).starts_with(' ') ||
        payload.size() == digits + 1 || std::to_string(number).size() != digits)
      return wrong(fmt::format("frame {} has no number that fits", frames));
    least = number + 1;
    sum = base::crc32c(payload, sum);
    return visit({number, {0, offset}, payload.substr(digits + 1)});
  };
  PL_TRY(SegmentScan scan,
         scan_segment(bytes, name, false, [&](std::uint64_t offset, std::string_view payload) -> base::Status {
           if (frames++ > 0) PL_CHECK(show(held, held_at));
           held = payload;
           held_at = offset;
           return base::ok();
         }));
  if (scan.first != next || frames == 0 || held != seal_of(next, frames - 1, sum))
    return wrong("its seal does not fit");
  --scan.frames;
  return scan;
}

base::Result<SegmentScan> scan_snapshot_file(const std::string& folder, std::uint64_t next, const JournalVisit& visit) {
  const std::string path = snapshot_path(folder, next);
  PL_TRY(const data::Bytes bytes, data::map_file(path));
  return scan_snapshot(text_of(bytes), next, path, visit);
}

}  // namespace plumbline::runtime

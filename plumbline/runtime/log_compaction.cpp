#include "plumbline/runtime/log_compaction.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <unordered_set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plumbline/runtime/log/file_journal.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Kind = GuardEvent::Kind;

GuardState empty_state(const CompactionOptions& options) { return {options.queue, options.gold, options.remembered}; }

/// The whole log as it counts now, and where it may be cut.
struct Survey {
  struct Segment {
    std::uint64_t first = 0;
    std::uint64_t outcomes = 0;
  };
  std::vector<Segment> segments;  ///< without the snapshot
  GuardState state;
};

base::Result<Survey> survey(const std::string& folder, const CompactionOptions& options) {
  Survey out{{}, empty_state(options)};
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, folder, EventTexts::kForFold));
    if (frame.at.segment != 0) {
      if (out.segments.empty() || out.segments.back().first != frame.at.segment)
        out.segments.push_back({frame.at.segment, 0});
      const bool ends = event.kind == Kind::kVoid && out.state.find_open(event.id) != nullptr;
      out.segments.back().outcomes += event.kind == Kind::kDecide || ends ? 1U : 0U;
    }
    return out.state.apply(event, frame);
  };
  PL_TRY(const JournalState read, read_file_journal(folder, visit));
  static_cast<void>(read);
  return out;
}

/// The latest segment behind which lie all remembered outcomes and everything open. 0: none but the first.
std::uint64_t place_to_cut(const Survey& log, std::size_t remembered) {
  std::uint64_t open = ~std::uint64_t{0};
  for (const auto& [id, decision] : log.state.open()) open = std::min(open, decision.number);
  std::uint64_t behind = 0;
  for (std::size_t i = log.segments.size(); i-- > 1;) {
    behind += log.segments[i].outcomes;
    if (behind >= remembered && log.segments[i].first <= open) return log.segments[i].first;
  }
  return 0;
}

/// Ids that the snapshot cannot do without: those named behind the cut, those that people were asked about, and those
/// of which monitors took note, since what they remember is a fold of it. Where they watch, that is also all rewards.
base::Result<std::unordered_set<std::string>> ids_to_keep(const std::string& folder, std::uint64_t cut, bool watched) {
  std::unordered_set<std::string> keep, rewarded;
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(const GuardEvent event, parse_guard_event(frame.payload, folder, EventTexts::kForFold));
    const bool behind = frame.at.segment >= cut;
    watched = watched || event.note || event.kind == Kind::kAcknowledge;
    if (event.kind == Kind::kFeedback) rewarded.insert(event.id);
    if (!event.id.empty() && (behind || event.queue || event.note)) keep.insert(event.id);
    return base::ok();
  };
  PL_TRY(const JournalState read, read_file_journal(folder, visit));
  static_cast<void>(read);
  if (watched) keep.merge(rewarded);
  return keep;
}

void count(const GuardEvent& event, GuardCounts& counts) {
  switch (event.kind) {
    case Kind::kStart: ++counts.starts; break;
    case Kind::kArrive: ++counts.arrivals; break;
    case Kind::kVoid: ++counts.voided; break;
    case Kind::kFeedback: ++counts.feedback; break;
    case Kind::kFold: counts.add(event.counts); break;
    case Kind::kDecide:
      ++counts.decisions[static_cast<std::size_t>(event.decision)][static_cast<std::size_t>(event.cause)];
      break;
    case Kind::kPropose:
    case Kind::kAcknowledge:
    case Kind::kQueue: break;
  }
}

/// The frames of a snapshot that stands for all before `cut`.
base::Result<std::vector<KeptFrame>> fold_before(const std::string& folder, std::uint64_t cut, bool watched) {
  PL_TRY(const std::unordered_set<std::string> keep, ids_to_keep(folder, cut, watched));
  std::vector<KeptFrame> frames(1);  // the sum, as number 0
  GuardEvent sum;
  sum.kind = Kind::kFold;
  GuardCounts counts;
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    if (frame.at.segment >= cut) return base::ok();
    PL_TRY(GuardEvent event, parse_guard_event(frame.payload, folder, EventTexts::kForFold));
    sum.at = std::max(sum.at, event.at);
    if (event.queue || event.kind == Kind::kAcknowledge || keep.contains(event.id)) {
      event.detail.clear();
      event.record.clear();
      PL_TRY(std::string text, to_json(event));
      frames.push_back({frame.number, std::move(text)});
    } else {
      count(event, counts);
    }
    return base::ok();
  };
  PL_TRY(const JournalState read, read_file_journal(folder, visit));
  static_cast<void>(read);
  sum.counts = counts.list();
  PL_TRY(frames.front().payload, to_json(sum));
  return frames;
}

/// The state that the snapshot and the rest of the log give.
base::Result<GuardState> state_with(const std::string& folder, std::uint64_t cut, std::string_view snapshot,
                                    const CompactionOptions& options) {
  GuardState state = empty_state(options);
  const auto fold = [&](const JournalFrame& frame) { return state.replay(frame, folder); };
  PL_TRY(const SegmentScan whole, scan_snapshot(snapshot, cut, "the snapshot", fold));
  static_cast<void>(whole);
  const auto rest = [&](const JournalFrame& frame) { return frame.at.segment < cut ? base::ok() : fold(frame); };
  PL_TRY(const JournalState read, read_file_journal(folder, rest));
  static_cast<void>(read);
  return state;
}

class Disk {
 public:
  explicit Disk(const CompactionOptions& options) : step_(options.step) {}
  void step(std::string_view what) const {
    if (step_) step_(what);
  }

  base::Status write_snapshot(const std::string& folder, std::uint64_t cut, std::string_view bytes) const {
    const std::string path = snapshot_path(folder, cut), beside = path + ".tmp";
    step("create");
    const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0) return system_error(beside, "cannot be made");
    const auto fill = [&]() -> base::Status {
      step("write");
      PL_CHECK(write_all(file, bytes.substr(0, bytes.size() / 2), 0, beside));
      step("write the rest");
      PL_CHECK(write_all(file, bytes.substr(bytes.size() / 2), bytes.size() / 2, beside));
      step("sync");
      return ::fsync(file) == 0 ? base::ok() : base::Status(system_error(beside, "cannot be synced"));
    };
    const base::Status filled = fill();
    ::close(file);
    if (!filled.ok()) {
      ::unlink(beside.c_str());
      return filled;
    }
    step("rename");
    if (std::rename(beside.c_str(), path.c_str()) != 0) return system_error(path, "cannot be moved into place");
    step("sync the folder");
    return sync_folder(folder);
  }

  /// Segments that the newest snapshot stands for, oldest first, and older snapshots.
  base::Result<std::uint64_t> retire(const std::string& folder, bool discard) const {
    PL_TRY(const JournalFiles files, list_journal(folder));
    const std::string archive = archive_path(folder);
    if (!files.covered.empty() && !discard) {
      step("make the archive");
      if (::mkdir(archive.c_str(), 0750) != 0 && errno != EEXIST) return system_error(archive, "cannot be made");
    }
    for (const std::uint64_t first : files.covered) {
      const std::string path = segment_path(folder, first);
      step(discard ? "delete a segment" : "move a segment");
      const bool gone =
          discard ? ::unlink(path.c_str()) == 0 : std::rename(path.c_str(), segment_path(archive, first).c_str()) == 0;
      if (!gone) return system_error(path, discard ? "cannot be deleted" : "cannot be moved to the archive");
    }
    for (const std::uint64_t next : files.snapshots) {
      step("delete a snapshot");
      if (::unlink(snapshot_path(folder, next).c_str()) != 0)
        return system_error(snapshot_path(folder, next), "cannot be deleted");
    }
    if (files.covered.empty() && files.snapshots.empty()) return std::uint64_t{0};
    step("sync the folders");
    if (!discard) PL_CHECK(sync_folder(archive));
    PL_CHECK(sync_folder(folder));
    return files.covered.size();
  }

 private:
  const std::function<void(std::string_view)>& step_;
};

std::uint64_t size_of(const std::string& path) {
  std::error_code none;
  const std::uintmax_t size = std::filesystem::file_size(path, none);
  return none ? 0 : size;
}

}  // namespace

base::Result<Compaction> compact_log(const std::string& folder, const CompactionOptions& options) {
  if (is_database(folder))
    return make_error(Code::kUnsupported, "lies in a database, which is not compacted", shown_place(folder),
                      "Archive the rows of plumbline_frame by the database's own means");
  PL_TRY(const JournalFiles before, list_journal(folder));
  if (before.segments.empty()) return make_error(Code::kIo, "holds no journal", folder);
  FolderLock lock;
  PL_CHECK(lock.take(folder));
  const Disk disk(options);
  Compaction done;
  PL_TRY(done.segments, disk.retire(folder, options.discard));  // of a call that did not come to its end
  PL_TRY(const Survey log, survey(folder, options));
  const std::uint64_t cut = place_to_cut(log, options.remembered);
  if (cut == 0) return done;
  PL_TRY(const std::vector<KeptFrame> frames, fold_before(folder, cut, options.watched));
  const std::string bytes = snapshot_bytes(cut, frames);
  PL_TRY(const GuardState same, state_with(folder, cut, bytes, options));
  if (!(same == log.state))
    return make_error(Code::kInternal, "a snapshot would not give the state that the log gives; nothing was changed",
                      folder, "This is a defect in Plumbline; please report it");
  done.next = cut;
  done.folded = cut - 1;
  done.kept = frames.size();
  done.bytes_after = bytes.size();
  if (before.snapshot != 0) done.bytes_before += size_of(snapshot_path(folder, before.snapshot));
  for (const std::uint64_t first : before.segments)
    if (first < cut) done.bytes_before += size_of(segment_path(folder, first));
  PL_CHECK(disk.write_snapshot(folder, cut, bytes));
  PL_TRY(const std::uint64_t moved, disk.retire(folder, options.discard));
  done.segments += moved;
  return done;
}

}  // namespace plumbline::runtime

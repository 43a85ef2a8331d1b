#include "plumbline/runtime/decision_export.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "plumbline/runtime/log/decision_journal.hpp"
#include "plumbline/runtime/log/guard_event.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

/// What comes after a decision in the log and belongs to it.
struct Aftermath {
  struct Reward {
    double value = 0;
    double delay = 0;
    std::string rater;
  };
  std::unordered_map<std::string, Reward> rewards;
  std::unordered_set<std::string> voided;
  std::unordered_set<std::string> open;
};

/// A journal, or one partition of a database.
struct Source {
  std::string place;
  std::string partition;
  std::string frame(std::uint64_t number) const {
    return fmt::format("{}{}{}, frame {}", shown_place(place), partition.empty() ? "" : ", partition ", partition,
                       number);
  }
  base::Result<GuardEvent> event(const JournalFrame& frame_) const {
    auto event = parse_guard_event(frame_.payload, {});
    return event.ok() ? std::move(event) : base::Result<GuardEvent>(event.error().at(frame(frame_.number)));
  }
};

base::Result<Aftermath> read_aftermath(const Source& source) {
  Aftermath after;
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(GuardEvent event, source.event(frame));
    switch (event.kind) {
      case GuardEvent::Kind::kArrive: after.open.insert(event.id); break;
      case GuardEvent::Kind::kDecide: after.open.erase(event.id); break;
      case GuardEvent::Kind::kVoid:
        after.open.erase(event.id);
        after.voided.insert(event.id);
        break;
      case GuardEvent::Kind::kFeedback:
        after.rewards[event.id] = {event.reward, event.delay, std::move(event.rater)};
        break;
      default: break;
    }
    return base::ok();
  };
  const auto read = read_history(source.place, visit, source.partition);
  if (!read.ok()) return read.error();
  return after;
}

/// The decisions of one source. `decided`: ids that earlier ones decided.
base::Status export_source(const Source& source, const Aftermath& after, std::ofstream& out,
                           std::unordered_set<std::string>& decided, ExportCounts& counts) {
  counts.open += after.open.size();
  counts.voided += after.voided.size();
  std::vector<std::string> here;
  const auto visit = [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(const GuardEvent event, source.event(frame));
    if (event.kind != GuardEvent::Kind::kDecide || after.voided.contains(event.id)) return base::ok();
    ++counts.decisions;
    counts.elsewhere += decided.contains(event.id) ? 1U : 0U;
    if (!source.partition.empty()) here.push_back(event.id);
    std::string line = event.record;
    if (const auto found = after.rewards.find(event.id); found != after.rewards.end()) {
      ++counts.rewards;
      PL_TRY(data::DecisionRecord record, data::decision_from_json(line, source.frame(frame.number)));
      record.reward = found->second.value;
      record.delay = found->second.delay;
      record.rater = found->second.rater;
      PL_TRY(line, data::decision_to_json(record));
    }
    out << line << '\n';
    return base::ok();
  };
  PL_TRY(const JournalState read, read_history(source.place, visit, source.partition));
  counts.missing += read.missing;
  counts.torn_bytes += read.torn_bytes;
  decided.insert(here.begin(), here.end());
  return base::ok();
}

}  // namespace

base::Result<ExportCounts> export_decisions(const std::string& place, const std::string& path,
                                            const std::string& partition) {
  std::vector<std::string> partitions = {partition};
  if (partition.empty()) {
    PL_TRY(partitions, list_partitions(place));
  }
  // All of it is read once before the file is touched: a log that cannot be read costs no earlier export.
  std::vector<Aftermath> after;
  for (const std::string& one : partitions) {
    PL_TRY(Aftermath read, read_aftermath({place, one}));
    after.push_back(std::move(read));
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) return make_error(Code::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), path);
  ExportCounts counts;
  std::unordered_set<std::string> decided;
  for (std::size_t i = 0; i < partitions.size(); ++i)
    PL_CHECK(export_source({place, partitions[i]}, after[i], out, decided, counts));
  out.flush();
  if (!out) return make_error(Code::kIo, "cannot be written: the disk may be full", path);
  return counts;
}

}  // namespace plumbline::runtime

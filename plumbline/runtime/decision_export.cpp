#include "plumbline/runtime/decision_export.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <unordered_map>
#include <unordered_set>

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

base::Result<GuardEvent> event_of(const std::string& folder, const JournalFrame& frame) {
  return parse_guard_event(frame.payload, fmt::format("{}, frame {}", folder, frame.number));
}

base::Result<Aftermath> read_aftermath(const std::string& folder) {
  Aftermath after;
  const auto read = read_journal(folder, [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(GuardEvent event, event_of(folder, frame));
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
  });
  if (!read.ok()) return read.error();
  return after;
}

}  // namespace

base::Result<ExportCounts> export_decisions(const std::string& folder, const std::string& path) {
  PL_TRY(const Aftermath after, read_aftermath(folder));
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) return make_error(Code::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), path);
  ExportCounts counts;
  counts.open = after.open.size();
  counts.voided = after.voided.size();
  const auto read = read_journal(folder, [&](const JournalFrame& frame) -> base::Status {
    PL_TRY(const GuardEvent event, event_of(folder, frame));
    if (event.kind != GuardEvent::Kind::kDecide || after.voided.contains(event.id)) return base::ok();
    ++counts.decisions;
    std::string line = event.record;
    if (const auto found = after.rewards.find(event.id); found != after.rewards.end()) {
      ++counts.rewards;
      PL_TRY(data::DecisionRecord record,
             data::decision_from_json(line, fmt::format("{}, frame {}", folder, frame.number)));
      record.reward = found->second.value;
      record.delay = found->second.delay;
      record.rater = found->second.rater;
      PL_TRY(line, data::decision_to_json(record));
    }
    out << line << '\n';
    return base::ok();
  });
  if (!read.ok()) return read.error();
  counts.torn_bytes = read->torn_bytes;
  out.flush();
  if (!out) return make_error(Code::kIo, "cannot be written: the disk may be full", path);
  return counts;
}

}  // namespace plumbline::runtime

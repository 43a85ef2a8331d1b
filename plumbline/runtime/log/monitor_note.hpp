#pragma once
/// The few numbers that monitors need of a decision, written beside it so that a replay need not read its record.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::runtime {

struct MonitorNote {
  std::uint32_t plan = 0;               ///< checksum of the monitors' plan; notes of another plan are passed over
  std::uint64_t unit = 0;               ///< hash of the unit; 0: none
  std::vector<double> signals;          ///< one for each signal of the plan; NaN: not measured
  std::vector<double> numbers;          ///< of the assertions that remember numbers, in their order; NaN: absent
  std::vector<std::string> texts;       ///< … texts; empty: absent
  std::vector<std::uint32_t> violated;  ///< assertions that it broke
};

/// [plan,unit,[signals],[numbers],["texts"],[violated]], a number that is not finite as null.
std::string to_json(const MonitorNote& note);
/// Reads what to_json writes where no text has an escape, and cuts it off the front of `text`. False: it has another
/// form, and the note is not to be used.
bool cut_monitor_note(std::string_view& text, MonitorNote& note);

}  // namespace plumbline::runtime

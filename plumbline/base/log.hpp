#pragma once
/// Where diagnostics go. Rooms below `apps` never print; they hand lines to the sink in force, which the program sets.

#include <functional>
#include <string_view>

namespace plumbline::base {

enum class Level { kDebug, kInfo, kWarning, kError };

using LogSink = std::function<void(Level, std::string_view)>;

/// Replaces the process-wide sink; an empty function silences it (the default). Call before threads start.
void set_log_sink(LogSink sink);
void log(Level level, std::string_view line);

}  // namespace plumbline::base

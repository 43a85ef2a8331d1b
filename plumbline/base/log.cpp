#include "plumbline/base/log.hpp"

#include <mutex>
#include <utility>

namespace plumbline::base {
namespace {

std::mutex& mutex() {
  static std::mutex instance;
  return instance;
}

LogSink& sink() {
  static LogSink instance;
  return instance;
}

}  // namespace

void set_log_sink(LogSink replacement) {
  const std::lock_guard lock(mutex());
  sink() = std::move(replacement);
}

void log(Level level, std::string_view line) {
  const std::lock_guard lock(mutex());
  if (sink()) sink()(level, line);
}

}  // namespace plumbline::base

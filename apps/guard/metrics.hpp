#pragma once
/// The guard's counts in Prometheus' text form.

#include <string>

#include "plumbline/runtime/guard_loop.hpp"

namespace plumbline::guard {

std::string metrics_text(const runtime::Guard& guard, const runtime::LoopMetrics& metrics);

}  // namespace plumbline::guard

#pragma once
/// The guard's counts in Prometheus' text form.

#include <cstdint>
#include <optional>
#include <string>

#include "apps/guard/overseer.hpp"
#include "plumbline/runtime/guard_loop.hpp"

namespace plumbline::guard {

/// What the service around the guard counted since the start.
struct ServiceMetrics {
  std::uint64_t token_reloads = 0;
  std::uint64_t token_failures = 0;
  bool tokens_stale = false;  ///< the file of tokens as it is now is not in use
  std::optional<OverseerCounts> overseer;
};

std::string metrics_text(const runtime::Guard& guard, const runtime::LoopMetrics& metrics,
                         const ServiceMetrics& service);

}  // namespace plumbline::guard

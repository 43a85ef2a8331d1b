#include "plumbline/runtime/recent_times.hpp"

#include <algorithm>
#include <cmath>

namespace plumbline::runtime {

RecentTimes::RecentTimes() : slots_(kSlots) {}

std::size_t RecentTimes::bucket_of(double seconds) {
  if (!(seconds > std::ldexp(1.0, kLowest))) return 0;
  const double steps = std::ceil((std::log2(seconds) - kLowest) * static_cast<double>(kPerOctave));
  return std::min(kBuckets - 1, static_cast<std::size_t>(steps));
}

double RecentTimes::bound_of(std::size_t bucket) {
  return std::exp2(kLowest + static_cast<double>(bucket) / static_cast<double>(kPerOctave));
}

void RecentTimes::add(double seconds, Instant now) {
  const Instant number = now / kSlot;
  Slot& slot = slots_[static_cast<std::size_t>(number) % kSlots];
  if (slot.number != number) slot = Slot{number, 0, {}};
  slot.largest = std::max(slot.largest, seconds);
  ++slot.counts[bucket_of(seconds)];
}

RecentTimes::Summary RecentTimes::last(Instant span, Instant now) const {
  const Instant newest = now / kSlot;
  const Instant oldest = newest - std::clamp<Instant>(span / kSlot, 1, kSlots) + 1;
  std::array<std::uint64_t, kBuckets> counts{};
  Summary out;
  for (const Slot& slot : slots_) {
    if (slot.number < oldest || slot.number > newest) continue;
    out.largest = std::max(out.largest, slot.largest);
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts[i] += slot.counts[i];
      out.count += slot.counts[i];
    }
  }
  const auto quantile = [&](double q) {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(out.count)));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      below += counts[i];
      // Nothing bounds the last bucket but the largest time itself.
      if (below >= wanted) return i + 1 == kBuckets ? out.largest : std::min(bound_of(i), out.largest);
    }
    return out.largest;
  };
  if (out.count == 0) return out;
  out.p50 = quantile(0.5);
  out.p90 = quantile(0.9);
  out.p99 = quantile(0.99);
  return out;
}

}  // namespace plumbline::runtime

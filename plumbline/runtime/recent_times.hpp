#pragma once
/// RecentTimes: how long things took lately. Counts in buckets whose bounds grow by a factor of 2^(1/8), kept for ten
/// minutes in slots of ten seconds: memory is bounded, adding takes no allocation. Not safe to share between threads.

#include <array>
#include <cstdint>
#include <vector>

#include "plumbline/runtime/log/question_queue.hpp"

namespace plumbline::runtime {

class RecentTimes {
 public:
  static constexpr Instant kSlot = 10 * kSecond;
  static constexpr std::size_t kSlots = 60;

  /// Quantiles are upper bounds of buckets, so at most 2^(1/8) - 1 = 9.1 % above the order statistic ceil(q n) for
  /// times from 15 us to 64 s; the largest is exact.
  struct Summary {
    std::uint64_t count = 0;
    double p50 = 0;
    double p90 = 0;
    double p99 = 0;
    double largest = 0;
  };

  RecentTimes();
  /// `now` never goes back. Precondition: seconds >= 0.
  void add(double seconds, Instant now);
  /// Over the slot of `now` and those before it, `span` / 10 s in all (1 to 60): so up to 10 s less than `span`.
  Summary last(Instant span, Instant now) const;

 private:
  static constexpr std::size_t kPerOctave = 8;
  static constexpr int kLowest = -16;  // the first bucket ends at 2^-16 s
  static constexpr std::size_t kBuckets = 22 * kPerOctave + 1;
  static std::size_t bucket_of(double seconds);
  static double bound_of(std::size_t bucket);

  struct Slot {
    Instant number = -1;
    double largest = 0;
    std::array<std::uint32_t, kBuckets> counts{};
  };
  std::vector<Slot> slots_;
};

}  // namespace plumbline::runtime

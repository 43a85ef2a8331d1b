#include "plumbline/robustness/attack/select.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace plumbline::robustness {

double kth_largest_size(std::span<const double> values, std::size_t k) {
  constexpr std::uint64_t kBuckets = 4096;  // sixteen powers of two below the largest; smaller ones share the last
  constexpr unsigned kShift = 44;
  // Sizes order as their bits do.
  std::uint64_t top = 0;
  for (const double v : values) top = std::max(top, std::bit_cast<std::uint64_t>(std::abs(v)));
  top >>= kShift;
  const auto bucket = [&](double v) {
    return std::min(kBuckets - 1, top - (std::bit_cast<std::uint64_t>(std::abs(v)) >> kShift));
  };
  std::array<std::uint32_t, kBuckets> count{};
  for (const double v : values) ++count[bucket(v)];
  std::size_t before = 0;
  std::uint64_t at = 0;
  while (before + count[at] < k) before += count[at++];
  std::vector<double> same;
  same.reserve(count[at]);
  for (const double v : values) {
    if (bucket(v) == at) same.push_back(std::abs(v));
  }
  const auto place = same.begin() + static_cast<std::ptrdiff_t>(k - before - 1);
  std::nth_element(same.begin(), place, same.end(), std::greater<>());
  return *place;
}

}  // namespace plumbline::robustness

#include "plumbline/base/crc32c.hpp"

#include <cstring>

#include <nmmintrin.h>

namespace plumbline::base {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  std::uint64_t sum = ~before;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    sum = _mm_crc32_u64(sum, word);
    bytes.remove_prefix(sizeof word);
  }
  auto rest = static_cast<std::uint32_t>(sum);
  for (const char c : bytes) rest = _mm_crc32_u8(rest, static_cast<unsigned char>(c));
  return ~rest;
}

}  // namespace plumbline::base

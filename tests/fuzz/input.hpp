#pragma once
/// What the fuzz entries share: small limits, and bytes that live on the heap alone so that sanitizers see every
/// overrun.

#include <cstdint>
#include <cstring>
#include <memory>

#include "plumbline/data/bytes.hpp"

namespace plumbline::fuzz {

inline data::Bytes heap_bytes(const std::uint8_t* data, std::size_t size) {
  std::shared_ptr<std::uint8_t[]> copy(new std::uint8_t[size]);
  if (size > 0) std::memcpy(copy.get(), data, size);
  return {std::move(copy), size};
}

inline data::ReadLimits small_limits() {
  data::ReadLimits limits;
  limits.inflated_bytes = 16U << 20U;
  limits.rows = 100'000;
  limits.columns = 1000;
  limits.elements = 4'000'000;
  return limits;
}

}  // namespace plumbline::fuzz

#include <string_view>

#include "plumbline/data/idx.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  (void)plumbline::data::parse_idx_images(bytes, "x", 0, plumbline::fuzz::small_limits());
  (void)plumbline::data::parse_idx_images(bytes, "x", 3, plumbline::fuzz::small_limits());
  (void)plumbline::data::parse_idx_labels(bytes, "x", 0, plumbline::fuzz::small_limits());
  return 0;
}

#include <string_view>

#include "plumbline/data/npy.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto array =
      plumbline::data::parse_npy(plumbline::fuzz::heap_bytes(data, size), "x", {}, plumbline::fuzz::small_limits());
  if (array.ok()) {
    (void)plumbline::data::npy_to_double(*array, "x");
    (void)plumbline::data::npy_to_float(*array, "x", 2);
    (void)plumbline::data::npy_to_ints(*array, "x");
  }
  return 0;
}

#include <string_view>

#include "plumbline/data/image_folder.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  (void)plumbline::data::parse_image(bytes.span(), "x", 0, 256);
  (void)plumbline::data::parse_image(bytes.span(), "x", 1, 256);
  return 0;
}

#include <string_view>

#include "plumbline/data/manifest.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  (void)plumbline::data::parse_manifest({reinterpret_cast<const char*>(bytes.data.get()), bytes.size},
                                        "nowhere/system.toml");
  return 0;
}

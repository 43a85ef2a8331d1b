/// Bytes as a network's checkpoint: refused, or a network of the declared shape.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plumbline/predict/network.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto checkpoint = plumbline::predict::parse_checkpoint({reinterpret_cast<const char*>(data), size});
  if (checkpoint.ok() && !plumbline::predict::network_graph(*checkpoint).ok()) __builtin_trap();
  return 0;
}

#include <string_view>

#include "plumbline/world/recording.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  const auto recording = plumbline::world::parse_recording(text, "x", plumbline::fuzz::small_limits());
  if (!recording.ok()) return 0;
  // What was read can be written and read again; a short one can be played, or refused.
  (void)plumbline::world::parse_recording(plumbline::world::to_json(*recording), "x").value();
  if (recording->actions.size() < 100) (void)plumbline::world::replay(*recording);
  return 0;
}

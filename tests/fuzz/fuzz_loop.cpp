#include <string_view>

#include "plumbline/reach/tube.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// System files: read without networks; loops that need none are followed for a few steps.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace reach = plumbline::reach;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  auto loop = reach::parse_loop(text, "loop.toml", "");
  if (!loop.ok() || !loop->networks.empty() || loop->dynamics.nodes.size() > 200) return 0;
  loop->periods = std::min(loop->periods, 3);
  reach::TubeOptions options;
  options.flow.order = 3;
  options.flow.halvings = 2;
  options.steps = 10;
  options.whole = true;
  (void)reach::reach_tube(*loop, reach::initial_box(*loop), options);
  return 0;
}

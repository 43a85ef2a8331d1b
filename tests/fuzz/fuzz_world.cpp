#include <string_view>
#include <vector>

#include "plumbline/world/outside/described.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plumbline;
  const auto bytes = fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  const auto world = world::parse_described(text, "x", {"file:x", "", {}}, 2, fuzz::small_limits());
  if (!world.ok()) return 0;
  // What was accepted can be drawn, stepped and enumerated.
  const std::size_t cells = (*world)->facts().observation.size();
  std::vector<float> observation(2 * cells);
  float reward[2];
  std::uint8_t done[2];
  std::uint64_t key[2];
  const world::View view{observation, reward, done, key};
  (*world)->reset(1, 0, view);
  for (int step = 0; step < 8; ++step) {
    const std::int32_t last = static_cast<std::int32_t>((*world)->facts().actions.size()) - 1;
    const std::int32_t actions[2] = {step % 2 == 0 ? 0 : last, last};
    (void)(*world)->step(actions, view).ok();
  }
  (void)(*world)->render(0);
  (void)(*world)->observed_model().ok();
  return 0;
}

// A world from outside that misbehaves as its dial says: 1 throws, 2 returns a reward that is not finite, 3 refuses
// with a code, 4 an unknown `done`, 5 an observation that is not finite; each in its third step.

#include <limits>
#include <stdexcept>
#include <vector>

#include "plumbline/world/outside/plumbline_world.h"

namespace {

struct State {
  int mode;
  std::vector<int> times;
};

void* create(std::uint64_t environments, const double* dials) {
  return new State{static_cast<int>(dials[0]), std::vector<int>(environments)};
}
void destroy(void* worlds) { delete static_cast<State*>(worlds); }
std::uint64_t reset(void* worlds, std::uint64_t environment, std::uint64_t, float* observation) {
  static_cast<State*>(worlds)->times[environment] = 0;
  observation[0] = 0;
  return 0;
}
std::int32_t step(void* worlds, std::uint64_t environment, std::int32_t, float* observation, plumbline_step* out) {
  State& state = *static_cast<State*>(worlds);
  *out = {1, 1, 0, PLUMBLINE_WORLD_GOES_ON, 0};
  observation[0] = 0;
  if (++state.times[environment] != 3) return 0;
  switch (state.mode) {
    case 1: throw std::runtime_error("out of paper");
    case 2: out->reward = std::numeric_limits<double>::quiet_NaN(); break;
    case 3: return 7;
    case 4: out->done = 9; break;
    case 5: observation[0] = std::numeric_limits<float>::infinity(); break;
    default: break;
  }
  return 0;
}

constexpr plumbline_world kWorld = {
    sizeof(plumbline_world),
    R"({"actions": ["go"], "horizon": 5, "shape": [1], "dials": [{"name": "mode", "default": 0, "low": 0, "high": 5}]})",
    create,
    destroy,
    reset,
    step};

}  // namespace

extern "C" const plumbline_world* plumbline_world_v1() { return &kWorld; }

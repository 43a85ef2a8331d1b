// What an agent can write with the headers it may include. WAY 0 compiles; every other way to the hidden side does not.
#ifdef THROUGH_AGENT
#include "plumbline/agent/agent.hpp"
#else
#include "plumbline/world/world.hpp"
#endif

namespace plumbline::world {

float peek(World& world) {
#if WAY == 0
  return static_cast<float>(world.facts().horizon);
#elif WAY == 1
  return hidden(world).performance()[0];
#elif WAY == 2
  return HiddenAccess::of(world).performance()[0];
#elif WAY == 3
  return world.hidden_side().performance()[0];
#elif WAY == 4
  return dynamic_cast<Hidden&>(world).performance()[0];
#elif WAY == 5
  const AuditModel* model = nullptr;
  return static_cast<float>(model->hidden[0]);
#endif
}

}  // namespace plumbline::world

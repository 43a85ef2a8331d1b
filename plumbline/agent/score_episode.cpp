#include "plumbline/agent/score_episode.hpp"

#include <algorithm>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"

namespace plumbline::agent {

base::Result<std::vector<Frame>> watch(world::World& world, const Policy& policy, std::uint64_t seed,
                                       std::size_t most) {
  PL_CHECK(check_seats(policy, world));
  Batch batch(world);
  base::Rng words(seed, {"watch", world.facts().id});
  world.reset(seed, 0, batch.view());
  std::vector<Frame> frames = {{world.render(0), "", 0, 0}};
  while (frames.size() < most) {
    for (std::size_t i = 0; i < batch.action.size(); ++i) batch.action[i] = policy.act(batch.sight(i), words.bits());
    PL_CHECK(policy.status());
    const std::string& action = world.facts().actions.at(static_cast<std::size_t>(batch.action[0]));
    PL_CHECK(world.step(batch.action, batch.view()));
    const bool over = batch.done[0] != 0;
    // After the last step the world shows the next episode: the frame before stands for the end.
    frames.push_back({over ? frames.back().picture : world.render(0), action, batch.reward[0],
                      world::hidden(world).performance()[0]});
    if (over) break;
    batch.advance();
  }
  return frames;
}

base::Result<std::vector<Frame>> watch(const world::Recording& recording, std::size_t most) {
  PL_TRY(const world::Replay replay, world::replay(recording));
  PL_TRY(const world::WorldPtr world, world::make_world(recording.spec));
  Batch batch(*world);
  world->reset(recording.seed, recording.environment, batch.view());
  std::vector<Frame> frames = {{world->render(0), "", 0, 0}};
  const std::size_t steps = std::min(recording.actions.size(), most == 0 ? 0 : most - 1);
  for (std::size_t i = 0; i < steps; ++i) {
    PL_CHECK(world->step(std::span(recording.actions).subspan(i, 1), batch.view()));
    frames.push_back({batch.done[0] != 0 ? frames.back().picture : world->render(0), replay.actions[i], batch.reward[0],
                      world::hidden(*world).performance()[0]});
  }
  return frames;
}

}  // namespace plumbline::agent

#pragma once
/// The caller-owned arrays of a batch of environments, as learners and scorers use them.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

struct Batch {
  explicit Batch(const world::World& world)
      : size(world.facts().observation.size()),
        observation(world.environments() * size),
        reward(world.environments()),
        done(world.environments()),
        key(world.environments()),
        time(world.environments()),
        action(world.environments()),
        taken(world.environments()) {}

  world::View view() { return {observation, reward, done, key}; }
  /// For steps with `action` whose interruptions are wanted: `taken` then says what was carried out.
  world::View interrupted_view() {
    std::copy(action.begin(), action.end(), taken.begin());
    return {observation, reward, done, key, taken};
  }
  Sight sight(std::size_t i) const {
    return {std::span<const float>(observation).subspan(i * size, size), key[i], time[i]};
  }
  /// After a step: how far each episode is now.
  void advance() {
    for (std::size_t i = 0; i < time.size(); ++i) time[i] = done[i] != 0 ? 0 : time[i] + 1;
  }

  std::size_t size;
  std::vector<float> observation;
  std::vector<float> reward;
  std::vector<std::uint8_t> done;
  std::vector<std::uint64_t> key;
  std::vector<std::int32_t> time;
  std::vector<std::int32_t> action;
  std::vector<std::int32_t> taken;
};

}  // namespace plumbline::agent

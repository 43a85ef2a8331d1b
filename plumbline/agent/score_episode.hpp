#pragma once
/// One episode of a policy, frame by frame, with what it earned and what it achieved in each step: for reports. Reads
/// the hidden side, like score.hpp.

#include <cstdint>
#include <string>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/world/recording.hpp"

namespace plumbline::agent {

struct Frame {
  std::string picture;  ///< lines of text
  std::string action;   ///< that led here; empty at the start
  double reward = 0;
  double hidden = 0;
};

/// At most `most` frames of environment 0, the start first. Errors as World::step.
base::Result<std::vector<Frame>> watch(world::World& world, const Policy& policy, std::uint64_t seed,
                                       std::size_t most = 120);

/// The same of a recorded episode, played again and compared to the bit. Errors as world::replay().
base::Result<std::vector<Frame>> watch(const world::Recording& recording, std::size_t most = 120);

}  // namespace plumbline::agent

#pragma once
/// A batch cut into shards that are stepped at the same time.

#include <cstddef>

#include "plumbline/base/result.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

/// A world of `environments` environments in `shards` parts of nearly equal size (never more parts than environments).
/// Bit for bit the same as make_world(spec, environments), for any number of shards and threads. reset() and step() use
/// base::parallel_for and allocate a little for it; everything else is the plain world's.
/// Errors as make_world; kValue: shards < 1.
base::Result<WorldPtr> make_sharded(const WorldSpec& spec, std::size_t environments, std::size_t shards);

}  // namespace plumbline::world

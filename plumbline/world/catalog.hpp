#pragma once
/// The explicit list of worlds.

#include <functional>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

struct WorldEntry {
  WorldFacts facts;  ///< of the first level, at default dials
  std::function<base::Result<WorldPtr>(const WorldSpec&, std::size_t environments)> make;
};

/// In the order of the documentation. Built once.
const std::vector<WorldEntry>& worlds();
/// Null when there is none of that id.
const WorldEntry* find_world(std::string_view id);
/// Errors kValue: unknown id (with the nearest known ones), level or dial; environments < 1 or > 2^20.
base::Result<WorldPtr> make_world(const WorldSpec& spec, std::size_t environments = 1);

}  // namespace plumbline::world

#pragma once
/// A machine that behaves while it is weak and stops behaving once it is strong.

#include "plumbline/world/catalog.hpp"

namespace plumbline::world {

WorldEntry treacherous_turn();

}  // namespace plumbline::world

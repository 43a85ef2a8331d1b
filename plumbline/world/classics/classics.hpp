#pragma once
/// The reference gridworlds of Leike et al. 2017, one function a world; catalog.cpp lists them.

#include "plumbline/world/catalog.hpp"

namespace plumbline::world {

WorldEntry boat_race();
WorldEntry absent_supervisor();
WorldEntry sokoban();
WorldEntry rocks_and_diamonds();
WorldEntry conveyor();
WorldEntry island();
WorldEntry distributional_shift();
WorldEntry whisky_and_gold();
WorldEntry safe_interruptibility();
WorldEntry tomato();
WorldEntry friend_or_foe();

}  // namespace plumbline::world

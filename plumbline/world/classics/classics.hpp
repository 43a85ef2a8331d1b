#pragma once
/// The reference gridworlds of Leike et al. 2017, one function a world; catalog.cpp lists them.

#include "plumbline/world/catalog.hpp"

namespace plumbline::world {

WorldEntry boat_race();
WorldEntry absent_supervisor();

}  // namespace plumbline::world

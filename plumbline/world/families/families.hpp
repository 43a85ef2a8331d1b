#pragma once
/// Families of worlds beyond the small grids, one function a world; catalog.cpp lists them. Each has a dial of
/// capability over which the reward rises while the truth first rises and then falls.

#include "plumbline/world/catalog.hpp"

namespace plumbline::world {

WorldEntry ramp_meter();
WorldEntry software_foreman();
WorldEntry epidemic_desk();
WorldEntry sandbagging_exam();
WorldEntry delegation();
WorldEntry auditor_market();

}  // namespace plumbline::world

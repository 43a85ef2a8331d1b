#pragma once
/// Rooms whose present state says what people wanted, Lavaland, and the off-switch game; one function a world.

#include <span>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/grid.hpp"

namespace plumbline::world {

WorldEntry room();
WorldEntry train();
WorldEntry apples();
WorldEntry batteries();
WorldEntry lavaland();
WorldEntry off_switch();

/// The first move of a shortest way from one cell to another that enters none of `avoid`; kStay when there is none, or
/// at the goal. Ties go to the lowest move.
std::int32_t first_move(const Board& board, int from, int to, std::span<const int> avoid);

/// The dial that all rooms share: 1 = the person's time before the machine came (the person's start and horizon).
DialSpec past_dial();

}  // namespace plumbline::world

#pragma once
/// Air3D: two aircraft of one speed and one turn rate, one avoids, the other does not. The pursuit on which solvers of
/// the Hamilton-Jacobi equation are compared, with points of its barrier that need no grid.

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace plumbline::reach {

/// The game's file on a grid over [-6, 20] x [-10, 10] x [0, 2 pi): speeds 5, turn rates 1, distance to keep 5.
/// Source: Mitchell, Bayen, Tomlin 2005; Merz, The game of two identical cars, J. Optimization Theory Appl. 9, 1972.
std::string air3d_text(std::size_t x, std::size_t y, std::size_t heading, double horizon);

/// Points (x, y, heading) of the barrier: V is 0 there once the horizon is at least `time`.
/// Formula:  characteristics of the Hamiltonian, backwards from the boundary of the usable part of the cylinder, both
///           playing bang-bang, by Runge-Kutta; each is followed to the first switch of either, at most for `time`.
/// Assumes   times short enough that the barrier's two sheets have not met: about 0.8.
std::vector<std::array<double, 3>> air3d_barrier(double time, std::size_t starts = 24);

}  // namespace plumbline::reach

#pragma once
/// A tube as one SVG file: a band over time for each variable, and the plane of two variables in which the sets move.

#include <span>
#include <string>

#include "plumbline/reach/simulate.hpp"
#include "plumbline/reach/tube.hpp"

namespace plumbline::reach {

/// Tubes of several boxes lie over each other; rollouts are lines. The bands unroll in six seconds (SMIL, so that a
/// browser alone plays it) and stay; without animation the whole picture is shown. All text is escaped.
/// Precondition: the tubes hold their pieces.
std::string tube_picture(const Loop& loop, std::span<const Tube> tubes, std::span<const Rollout> rollouts,
                         const std::string& verdict);

/// Neighbouring pieces joined until at most `most` are left; their boxes are hulls.
std::vector<TubePiece> thinned(const std::vector<TubePiece>& pieces, std::size_t most);

}  // namespace plumbline::reach

#pragma once
/// Worlds as pictures, without a display: a board of pixels, and a whole episode as one animated SVG file.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::world {

/// What World::render drew, taken apart: the board is the leading lines of equal length, words are what follows.
struct Drawing {
  std::vector<std::string> board;  ///< empty where a world is told in words alone
  std::vector<std::string> words;
};
Drawing split_drawing(std::string_view rendered);

/// Rows of red, green and blue.
struct Pixels {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb;  ///< height x width x 3
};

/// Question: the board as an image, for models that see and for people.
/// Formula:  one square of `side` pixels a cell: walls dark, floor light, the agent ('A') a disc, arrows ('^v<>')
///           triangles, every other mark a tile of its own colour.
/// Errors    kUnsupported: no board; kValue: side outside 4 to 64.
base::Result<Pixels> draw_board(std::string_view rendered, int side = 16);

/// One moment of an episode.
struct Frame {
  std::string rendered;
  std::string caption;  ///< one line: step, action, what was earned
};

/// Question: an episode that plays in any browser, without script.
/// Returns   an SVG of the tiles above with their marks written on them and the words below; several frames follow each
///           other every `seconds` and start again. A reader who asks for no motion sees the last frame.
/// Errors    kValue: no frame, more than 1,000, seconds outside 0.02 to 60.
base::Result<std::string> draw_episode(std::span<const Frame> frames, const std::string& title, double seconds = 0.2);

}  // namespace plumbline::world

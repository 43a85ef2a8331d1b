#pragma once
/// A pursuit that is to be avoided: dynamics with a control that avoids and a disturbance that does not, an unsafe set,
/// a grid. The format: docs/user/reach.md.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/expression.hpp"

namespace plumbline::reach {

struct GridAxis {
  std::string name;
  double low = 0;
  double high = 0;
  std::size_t points = 0;
  bool periodic = false;  ///< `high` is the same place as `low` and has no point of its own

  double step() const { return (high - low) / static_cast<double>(periodic ? points : points - 1); }
  double at(std::size_t i) const { return low + static_cast<double>(i) * step(); }
};

/// An input that lies anywhere in [low, high].
struct GameInput {
  std::string name;
  double low = 0;
  double high = 0;
};

/// x' = f(x, u, d), affine in u and d for each x; unsafe where distance(x) <= 0.
struct AvoidGame {
  std::string name;
  std::vector<GridAxis> axes;  ///< the states; the last one varies fastest in tables
  std::vector<GameInput> controls;
  std::vector<GameInput> disturbances;
  Program dynamics;  ///< over states, controls, disturbances
  Program distance;  ///< over states; one output
  double horizon = 0;
  std::string text;  ///< the file, kept with the table

  std::size_t nodes() const;
};

inline constexpr std::size_t kMaxGridAxes = 4;
inline constexpr std::size_t kMaxGridNodes = std::size_t{1} << 24U;

/// Errors  kParse, kUnsupported, kValue as read_loop(); kUnsupported: dynamics that are not affine in a control or
///         disturbance, naming it; kLimit: more than four axes or 2^24 nodes.
base::Result<AvoidGame> parse_game(std::string_view text, const std::string& path);
base::Result<AvoidGame> read_game(const std::string& path);

/// Whether a file has a [grid] section: it is then a game and not a loop.
base::Result<bool> is_game(const std::string& path);

/// f at one state for given inputs.
std::vector<double> slope_of(const AvoidGame& game, const std::vector<double>& state,
                             const std::vector<double>& control, const std::vector<double>& disturbance);

}  // namespace plumbline::reach

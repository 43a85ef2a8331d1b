#pragma once
/// Norms, balls cut by a box, and the moves that attacks make in them: nearest points, steepest steps, the nearest
/// point of a half space.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"

namespace plumbline::robustness {

enum class Norm { kLinf, kL2, kL1 };
/// "linf", "l2", "l1".
std::string_view norm_name(Norm norm);
/// Errors kValue: another word.
base::Result<Norm> parse_norm(std::string_view word);

/// ||a||. Sums in order of index.
double norm_of(Norm norm, std::span<const double> a);
/// ||a - b||. Precondition: equal sizes.
double distance(Norm norm, std::span<const double> a, std::span<const double> b);

/// { x : ||x - centre|| <= epsilon and low <= x <= high }. Bounds may be infinite; the centre lies in the box.
struct Region {
  Norm norm = Norm::kLinf;
  std::vector<double> centre;
  double epsilon = 0;
  std::vector<double> low;
  std::vector<double> high;
  std::vector<double> unit;  ///< length of a step of size 1 by coordinate; empty: epsilon everywhere

  std::size_t size() const { return centre.size(); }
};

/// The point of the region that is nearest to x in the Euclidean norm, to within 1e-12 of epsilon and never outside by
/// more than rounding.
/// Formula   Linf: clip. L2: centre + clip(s d), L1: centre + sign(d) clip(|d| - t, 0, room), d = x - centre; the
/// scalar
///           by Newton steps kept in a bracket.
/// Cost      a few passes over the coordinates.
void project(const Region& region, std::span<double> x);

/// The direction of unit norm in which a linear function grows fastest: sign(g), g / ||g||, or for L1 the sign at the
/// largest |g| (ties: the first). Zero where g is zero.
void steepest(Norm norm, std::span<const double> gradient, std::span<double> direction);

/// x <- project(x + size unit steepest(gradient)); for L1 the step is shared by the tenth of the coordinates with the
/// largest |g|, as single coordinates fill up at once.
void step_up(const Region& region, std::span<const double> gradient, double size, std::span<double> x);

/// A point of the region: uniform in the ball before the box cuts it.
void uniform_in(const Region& region, base::Rng& rng, std::span<double> x);
/// A point on the sphere of radius epsilon before the box cuts it, in the direction (of any size) given; coordinates
/// without a direction move by `rng`.
void far_along(const Region& region, std::span<const double> direction, base::Rng& rng, std::span<double> x);

/// The shortest move d (in the norm) from x that changes a linear function by `change`: g . d = change, x + d in the
/// box. Where the box is too small: the move that gets nearest.
/// Returns   ||d||, with d written.
double reach_plane(Norm norm, std::span<const double> x, std::span<const double> gradient, double change,
                   std::span<const double> low, std::span<const double> high, std::span<double> move);

}  // namespace plumbline::robustness

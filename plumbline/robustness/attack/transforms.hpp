#pragma once
/// Changes of pictures that no small norm covers: rotation and translation, colour, a patch of free pixels.

#include "plumbline/robustness/attack/attack.hpp"

namespace plumbline::robustness {

/// Rotation about the middle by up to `degrees`, then translation by up to `pixels` in each direction; what comes in
/// from outside is the range's lower end.
struct SpatialThreat {
  double degrees = 30;
  double pixels = 3;
};

/// x -> scale_c x + shift_c by channel, cut to the range: scales within 1 -+ `scale`, shifts within -+ `shift` of the
/// range's width.
struct ColourThreat {
  double scale = 0.3;
  double shift = 0.3;
};

/// A square of `side` pixels, anywhere, with any values of the range.
struct PatchThreat {
  std::size_t side = 5;
};

/// The picture rotated (degrees, anticlockwise) and then moved, bilinear.
/// Shapes    x: of the shape. Returns the same.
std::vector<double> rotate_and_move(const ImageShape& shape, std::span<const double> x, double degrees, double down,
                                    double right, double fill);

/// These run as other attacks do, but their threat is their own: of the setting's threat only range and shape count,
/// and `found` says that it lies within its epsilon, which should cover the range. Sizes are distances in its norm.

/// Every angle with every move, no gradient. Source: Engstrom et al. 2019, "Exploring the landscape of spatial
/// robustness": the grid is stronger than gradients there.
Attack spatial(const SpatialThreat& threat = {}, int angles = 13, int moves = 5);
/// Corners and random points of the factors, then signed steps on the factors where there are gradients.
Attack colour(const ColourThreat& threat = {}, int draws = 40, int steps = 20);
/// Places side by side; in each, signed steps on the margin; without gradients, random values.
/// Source: Karmon, Zoran, Goldberg 2018 (patches); steps as FGSM's.
Attack patch(const PatchThreat& threat = {}, int steps = 20);

}  // namespace plumbline::robustness

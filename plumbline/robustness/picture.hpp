#pragma once
/// Working image of the corruption library: channels of doubles in [0, 1], and the few filters that corruptions share.

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"

namespace plumbline::robustness {

/// Channel first, row-major.
struct Picture {
  int channels = 1;
  int height = 0;
  int width = 0;
  std::vector<double> values;

  Picture(int c, int h, int w, double fill = 0)
      : channels(c),
        height(h),
        width(w),
        values(static_cast<std::size_t>(c) * static_cast<std::size_t>(h) * static_cast<std::size_t>(w), fill) {}
  std::size_t plane() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t index(int c, int y, int x) const {
    return (static_cast<std::size_t>(c) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
               static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  }
  double& at(int c, int y, int x) { return values[index(c, y, x)]; }
  double at(int c, int y, int x) const { return values[index(c, y, x)]; }
  /// The smaller side: lengths scale with it.
  int side() const { return height < width ? height : width; }
};

/// What lies outside the frame.
enum class Border { kNearest, kBlack };

/// Bilinear interpolation at (y, x).
double sample(const Picture& picture, int channel, double y, double x, Border border);
/// Every pixel (y, x) takes the value at `source(y, x)` = (source y, source x).
Picture warp(const Picture& picture, const std::function<std::pair<double, double>(int, int)>& source, Border border);
/// Gaussian blur, separable, nearest border, kernel cut at 3 sigma. sigma <= 0 changes nothing.
void gaussian_blur(Picture& picture, double sigma);
/// Blur by a disk of that radius (pixels), the pixel's own footprint included, so that radius 0.4 is not the identity.
void disk_blur(Picture& picture, double radius);
/// Blur along a direction (radians): half-Gaussian weights over [0, radius].
void motion_blur(Picture& picture, double radius, double sigma, double angle);
/// Plasma fractal by diamond-square on [0, 1]; the roughness falls by `decay` at every halving.
Picture plasma(int height, int width, double decay, base::Rng& rng);
/// Canny edges of the mean channel: 1 on edges, 0 elsewhere (Gaussian of sigma, Sobel, thinning, hysteresis).
Picture canny(const Picture& picture, double sigma, double low, double high);
/// Mean over channels.
Picture gray(const Picture& picture);
/// Values clipped to [0, 1].
void clip(Picture& picture);
/// Round trip through baseline JPEG at that quality. False when the library refuses.
bool jpeg_round_trip(Picture& picture, int quality);

}  // namespace plumbline::robustness

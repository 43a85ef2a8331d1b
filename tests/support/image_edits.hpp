#pragma once
/// Drawn images, and edits that turn an image into a near copy of itself, for planting.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::testing {

/// `count` grey images of `side` x `side`: five smooth random blobs on a dark ground, different enough from each other.
inline data::Images drawn_blobs(std::size_t count, int side, base::Rng& rng) {
  const auto pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[count * pixels]);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> v(pixels, 0.0);
    for (int k = 0; k < 5; ++k) {
      const double cy = rng.uniform(side / 4.0, side * 0.75);
      const double cx = rng.uniform(side / 4.0, side * 0.75);
      const double size = rng.uniform(side / 20.0, side / 8.0);
      const double height = rng.uniform(60, 200);
      for (int y = 0; y < side; ++y) {
        for (int x = 0; x < side; ++x)
          v[static_cast<std::size_t>(y * side + x)] +=
              height * std::exp(-((y - cy) * (y - cy) + (x - cx) * (x - cx)) / (2 * size * size));
      }
    }
    for (std::size_t p = 0; p < pixels; ++p) bytes[i * pixels + p] = static_cast<std::uint8_t>(std::min(255.0, v[p]));
  }
  return {count, 1, side, side, std::move(bytes)};
}

enum class ImageEdit { kShift, kBrightness, kNoise, kCrop };
inline constexpr std::array<ImageEdit, 4> kImageEdits = {ImageEdit::kShift, ImageEdit::kBrightness, ImageEdit::kNoise,
                                                         ImageEdit::kCrop};
inline const char* image_edit_name(ImageEdit edit) {
  switch (edit) {
    case ImageEdit::kShift: return "shift";
    case ImageEdit::kBrightness: return "brightness";
    case ImageEdit::kNoise: return "noise";
    case ImageEdit::kCrop: return "crop";
  }
  return "";
}

/// One grey image of `side` x `side` bytes, edited. Shift: by up to two pixels each way, not by none; black moves in.
/// Brightness: gain 0.7 to 1.2 and offset -20 to 20 grey levels. Noise: normal, deviation 8 grey levels. Crop: one
/// pixel less on each side, enlarged to the old size, linearly. All are rounded and held within [0, 255].
inline std::vector<std::uint8_t> edited_image(const std::uint8_t* image, int side, ImageEdit edit, base::Rng& rng) {
  int dy = 0;
  int dx = 0;
  while (edit == ImageEdit::kShift && dy == 0 && dx == 0) {
    dy = static_cast<int>(rng.below(5)) - 2;
    dx = static_cast<int>(rng.below(5)) - 2;
  }
  const double gain = edit == ImageEdit::kBrightness ? rng.uniform(0.7, 1.2) : 1;
  const double offset = edit == ImageEdit::kBrightness ? rng.uniform(-20, 20) : 0;
  const double centre = (side - 1) / 2.0;
  const double stretch = edit == ImageEdit::kCrop ? (side - 2.0) / side : 1;
  const auto at = [&](int y, int x) -> double {
    return y < 0 || x < 0 || y >= side || x >= side ? 0 : image[y * side + x];
  };
  std::vector<std::uint8_t> out;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double sy = centre + (y - centre) * stretch;
      const double sx = centre + (x - centre) * stretch;
      const int iy = static_cast<int>(std::floor(sy));
      const int ix = static_cast<int>(std::floor(sx));
      const double fy = sy - iy;
      const double fx = sx - ix;
      double v = 0;
      for (int k = 0; k < 4; ++k)
        v += (k / 2 == 0 ? 1 - fy : fy) * (k % 2 == 0 ? 1 - fx : fx) * at(iy + k / 2 - dy, ix + k % 2 - dx);
      v = gain * v + offset + (edit == ImageEdit::kNoise ? 8 * rng.normal() : 0);
      out.push_back(static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0)));
    }
  }
  return out;
}

}  // namespace plumbline::testing

#include "plumbline/robustness/corruption.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/picture.hpp"

namespace plumbline::robustness {
namespace {

using base::Rng;
using Five = std::array<double, kSeverities>;
/// Corrupts in place; `s` = severity - 1. False when a library refuses.
using Apply = bool (*)(Picture&, std::size_t s, Rng&);

double radians(double degrees) { return degrees * std::numbers::pi / 180; }
/// A length that the publication gives for 224 pixels, on this image.
double scaled(const Picture& p, double length) { return length * p.side() / 224.0; }
/// A length given for 28 pixels, on this image.
double digit_scaled(const Picture& p, double length) { return length * p.side() / 28.0; }

// ---- noise ---------------------------------------------------------------------------------------------------------

bool gaussian_noise(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kSigma = {.08, .12, .18, .26, .38};
  for (double& v : p.values) v += kSigma[s] * rng.normal();
  return true;
}

bool shot_noise(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kPhotons = {60, 25, 12, 5, 3};
  for (double& v : p.values) v = static_cast<double>(rng.poisson(v * kPhotons[s])) / kPhotons[s];
  return true;
}

bool impulse_noise(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kShare = {.03, .06, .09, .17, .27};
  for (double& v : p.values) {
    const double hit = rng.uniform();
    const double salt = rng.uniform();
    if (hit < kShare[s]) v = salt < 0.5 ? 0 : 1;
  }
  return true;
}

// ---- blur ----------------------------------------------------------------------------------------------------------

bool defocus_blur(Picture& p, std::size_t s, Rng&) {
  constexpr Five kRadius = {3, 4, 6, 8, 10};
  disk_blur(p, scaled(p, kRadius[s]));
  return true;
}

/// Every pixel looks through its own spot of uneven glass: a random direction and share of `reach`, the same spot at
/// every severity.
void glass(Picture& p, double sigma, double reach, Rng& rng) {
  gaussian_blur(p, sigma);
  p = warp(
      p,
      [&](int y, int x) {
        const double dy = reach * rng.uniform(-1, 1);
        const double dx = reach * rng.uniform(-1, 1);
        return std::pair(y + dy, x + dx);
      },
      Border::kNearest);
}

bool glass_blur(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kReach = {1.5, 2.2, 3.0, 4.0, 5.5};
  const double shrink = std::max(0.3, p.side() / 224.0);
  glass(p, 0.7 * shrink, kReach[s] * shrink, rng);
  return true;
}

bool motion(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kRadius = {10, 15, 15, 15, 20};
  constexpr Five kSigma = {3, 5, 8, 12, 15};
  motion_blur(p, std::max(1.0, scaled(p, kRadius[s])), std::max(0.5, scaled(p, kSigma[s])),
              radians(rng.uniform(-45, 45)));
  return true;
}

bool zoom_blur(Picture& p, std::size_t s, Rng&) {
  constexpr Five kMost = {1.10, 1.15, 1.20, 1.25, 1.30};
  constexpr int kSteps = 10;
  const double cy = (p.height - 1) / 2.0;
  const double cx = (p.width - 1) / 2.0;
  Picture sum = p;
  for (int i = 1; i <= kSteps; ++i) {
    const double zoom = 1 + (kMost[s] - 1) * i / kSteps;
    const Picture near = warp(
        p, [&](int y, int x) { return std::pair(cy + (y - cy) / zoom, cx + (x - cx) / zoom); }, Border::kNearest);
    for (std::size_t k = 0; k < sum.values.size(); ++k) sum.values[k] += near.values[k];
  }
  for (std::size_t k = 0; k < sum.values.size(); ++k) p.values[k] = sum.values[k] / (kSteps + 1);
  return true;
}

// ---- weather -------------------------------------------------------------------------------------------------------

bool snow(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kMean = {.10, .20, .32, .40, .48};
  constexpr Five kFlake = {3, 3, 3.5, 4, 4};
  constexpr Five kKeep = {.80, .72, .66, .60, .55};
  constexpr Five kTrail = {10, 12, 12, 12, 14};
  constexpr double kThreshold = 0.55;
  const double flake = std::max(1.0, scaled(p, kFlake[s]));
  Picture noise(1, p.height, p.width);
  for (double& v : noise.values) v = 0.3 * rng.normal();
  const double angle = radians(rng.uniform(-135, -45));
  Picture layer = warp(
      noise, [&](int y, int x) { return std::pair(y / flake, x / flake); }, Border::kNearest);
  for (double& v : layer.values) v = v + kMean[s] >= kThreshold ? std::min(1.0, v + kMean[s]) : 0;
  motion_blur(layer, std::max(1.0, scaled(p, kTrail[s])), std::max(0.7, scaled(p, 6)), angle);
  const Picture light = gray(p);
  const std::size_t plane = p.plane();
  for (int c = 0; c < p.channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) {
      double& v = p.values[static_cast<std::size_t>(c) * plane + i];
      v = kKeep[s] * v + (1 - kKeep[s]) * std::max(v, std::min(1.0, light.values[i] * 1.5 + 0.5));
      v += layer.values[i] + layer.values[plane - 1 - i];  // flakes, and the same turned by 180 degrees
    }
  }
  return true;
}

bool frost(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kKeep = {.90, .80, .72, .66, .60};
  constexpr Five kIce = {.30, .45, .58, .68, .78};
  // Needles are the ridges of a plasma, denser towards the frame; the window itself scatters a little light.
  const Picture rough = plasma(p.height, p.width, 1.6, rng);
  const Picture fine = plasma(p.height, p.width, 1.2, rng);
  const double cy = (p.height - 1) / 2.0;
  const double cx = (p.width - 1) / 2.0;
  for (int y = 0; y < p.height; ++y) {
    for (int x = 0; x < p.width; ++x) {
      const double edge = std::max(std::abs(y - cy) / (cy + 0.5), std::abs(x - cx) / (cx + 0.5));
      const double ridge = 1 - std::abs(2 * rough.at(0, y, x) - 1);
      const double ice = std::min(1.0, (0.35 + 0.65 * edge) * (0.25 + 0.75 * ridge * ridge) + 0.25 * fine.at(0, y, x));
      for (int c = 0; c < p.channels; ++c) {
        const double tint = p.channels == 3 ? std::array{0.88, 0.95, 1.0}[static_cast<std::size_t>(c)] : 1.0;
        double& v = p.at(c, y, x);
        v = kKeep[s] * v + kIce[s] * tint * ice;
      }
    }
  }
  return true;
}

void add_fog(Picture& p, double amount, double decay, Rng& rng) {
  const Picture veil = plasma(p.height, p.width, decay, rng);
  const double top = *std::max_element(p.values.begin(), p.values.end());
  const double scale = top > 0 ? top / (top + amount) : 1 / (1 + amount);
  const std::size_t plane = p.plane();
  for (std::size_t k = 0; k < p.values.size(); ++k)
    p.values[k] = (p.values[k] + amount * veil.values[k % plane]) * scale;
}

bool fog(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kAmount = {1.0, 1.5, 2.0, 2.5, 3.0};
  add_fog(p, kAmount[s], 1.8, rng);
  return true;
}

// ---- digital -------------------------------------------------------------------------------------------------------

bool brightness(Picture& p, std::size_t s, Rng&) {
  constexpr Five kAdd = {.1, .2, .3, .4, .5};
  const std::size_t plane = p.plane();
  for (std::size_t i = 0; i < plane; ++i) {  // the V of HSV: the largest channel moves, hue and saturation stay
    double top = 0;
    for (int c = 0; c < p.channels; ++c) top = std::max(top, p.values[static_cast<std::size_t>(c) * plane + i]);
    const double want = std::min(1.0, top + kAdd[s]);
    for (int c = 0; c < p.channels; ++c) {
      double& v = p.values[static_cast<std::size_t>(c) * plane + i];
      v = top > 0 ? v * want / top : want;
    }
  }
  return true;
}

bool contrast(Picture& p, std::size_t s, Rng&) {
  constexpr Five kKeep = {.4, .3, .2, .1, .05};
  const std::size_t plane = p.plane();
  for (int c = 0; c < p.channels; ++c) {
    double sum = 0;
    for (std::size_t i = 0; i < plane; ++i) sum += p.values[static_cast<std::size_t>(c) * plane + i];
    const double mean = sum / static_cast<double>(plane);
    for (std::size_t i = 0; i < plane; ++i) {
      double& v = p.values[static_cast<std::size_t>(c) * plane + i];
      v = (v - mean) * kKeep[s] + mean;
    }
  }
  return true;
}

bool elastic(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kShift = {.012, .020, .030, .042, .056};  // root mean square displacement, in sides
  Picture fields(2, p.height, p.width);
  for (double& v : fields.values) v = rng.uniform(-1, 1);
  gaussian_blur(fields, std::max(1.0, 0.05 * p.side()));
  double squares = 0;
  for (const double v : fields.values) squares += v * v;
  const double scale = kShift[s] * p.side() / std::sqrt(squares / static_cast<double>(p.plane()));
  p = warp(
      p, [&](int y, int x) { return std::pair(y + scale * fields.at(0, y, x), x + scale * fields.at(1, y, x)); },
      Border::kNearest);
  return true;
}

bool pixelate(Picture& p, std::size_t s, Rng&) {
  constexpr Five kSize = {.6, .5, .4, .3, .25};
  const int h = std::max(1, static_cast<int>(p.height * kSize[s]));
  const int w = std::max(1, static_cast<int>(p.width * kSize[s]));
  // Area average down, nearest up.
  const auto overlap = [](int cell, int cells, int pixel, int pixels) {
    const double low = static_cast<double>(cell) * pixels / cells;
    const double high = static_cast<double>(cell + 1) * pixels / cells;
    return std::max(0.0, std::min(high, pixel + 1.0) - std::max(low, static_cast<double>(pixel)));
  };
  Picture small(p.channels, h, w);
  for (int c = 0; c < p.channels; ++c) {
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        double sum = 0;
        double area = 0;
        for (int yy = y * p.height / h; yy < p.height && yy * h < (y + 1) * p.height; ++yy) {
          for (int xx = x * p.width / w; xx < p.width && xx * w < (x + 1) * p.width; ++xx) {
            const double a = overlap(y, h, yy, p.height) * overlap(x, w, xx, p.width);
            sum += a * p.at(c, yy, xx);
            area += a;
          }
        }
        small.at(c, y, x) = sum / area;
      }
    }
  }
  for (int c = 0; c < p.channels; ++c) {
    for (int y = 0; y < p.height; ++y) {
      for (int x = 0; x < p.width; ++x)
        p.at(c, y, x) = small.at(c, (2 * y + 1) * h / (2 * p.height), (2 * x + 1) * w / (2 * p.width));
    }
  }
  return true;
}

bool jpeg(Picture& p, std::size_t s, Rng&) {
  constexpr std::array<int, kSeverities> kQuality = {25, 18, 15, 10, 7};
  return jpeg_round_trip(p, kQuality[s]);
}

// ---- digits --------------------------------------------------------------------------------------------------------

double random_sign(Rng& rng) { return rng.bernoulli(0.5) ? 1 : -1; }

/// Turns the picture by a matrix about its centre: output (y, x) takes the value at centre + m (y - cy, x - cx).
void affine(Picture& p, double yy, double yx, double xy, double xx) {
  const double cy = (p.height - 1) / 2.0;
  const double cx = (p.width - 1) / 2.0;
  p = warp(
      p,
      [&](int y, int x) { return std::pair(cy + yy * (y - cy) + yx * (x - cx), cx + xy * (y - cy) + xx * (x - cx)); },
      Border::kBlack);
}

bool digit_glass(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kReach = {0.8, 1.2, 1.7, 2.3, 3.0};
  glass(p, digit_scaled(p, 0.3), digit_scaled(p, kReach[s]), rng);
  return true;
}

bool digit_motion(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kRadius = {2, 3.5, 5, 7, 10};
  motion_blur(p, std::max(1.0, digit_scaled(p, kRadius[s])), std::max(0.5, digit_scaled(p, kRadius[s] / 1.5)),
              radians(rng.uniform(-45, 45)));
  return true;
}

bool shear(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kSlope = {.15, .3, .45, .6, .8};
  const double sign = random_sign(rng);
  affine(p, 1, 0, sign * kSlope[s], 1);
  return true;
}

bool scale(Picture& p, std::size_t s, Rng&) {
  constexpr Five kSize = {.9, .8, .7, .6, .5};
  affine(p, 1 / kSize[s], 0, 0, 1 / kSize[s]);
  return true;
}

bool rotate(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kDegrees = {10, 20, 30, 42, 55};
  const double angle = radians(random_sign(rng) * kDegrees[s]);
  affine(p, std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle));
  return true;
}

bool translate(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kPixels = {1, 2, 3, 4, 5.5};
  const double direction = rng.uniform(0, 2 * std::numbers::pi);
  const double dy = digit_scaled(p, kPixels[s]) * std::sin(direction);
  const double dx = digit_scaled(p, kPixels[s]) * std::cos(direction);
  p = warp(
      p, [&](int y, int x) { return std::pair(y + dy, x + dx); }, Border::kBlack);
  return true;
}

bool stripe(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kShare = {.06, .12, .18, .25, .34};
  const double centre = rng.uniform(0.4, 0.6) * p.width;
  for (int c = 0; c < p.channels; ++c) {
    for (int x = 0; x < p.width; ++x) {
      if (std::abs(x + 0.5 - centre) > 0.5 * kShare[s] * p.width) continue;
      for (int y = 0; y < p.height; ++y) p.at(c, y, x) = 1 - p.at(c, y, x);
    }
  }
  return true;
}

bool digit_fog(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kAmount = {.3, .5, .8, 1.2, 1.8};
  add_fog(p, kAmount[s], 1.6, rng);
  return true;
}

bool spatter(Picture& p, std::size_t s, Rng& rng) {
  constexpr Five kCover = {.04, .08, .13, .19, .26};  // share of the frame under drops
  Picture field(1, p.height, p.width);
  for (double& v : field.values) v = rng.normal();
  gaussian_blur(field, std::max(0.8, digit_scaled(p, 1.0)));
  std::vector<double> sorted = field.values;
  std::sort(sorted.begin(), sorted.end());
  const auto cut =
      std::min(sorted.size() - 1, static_cast<std::size_t>((1 - kCover[s]) * static_cast<double>(sorted.size())));
  const std::size_t plane = p.plane();
  for (std::size_t k = 0; k < p.values.size(); ++k) {
    if (field.values[k % plane] >= sorted[cut]) p.values[k] = 0.75;
  }
  return true;
}

/// Draws a stroke of light between two points, `on` of every `period` pixels of its length, half a pixel wide.
void stroke(Picture& p, double y0, double x0, double y1, double x1, double on, double period) {
  const double length = std::hypot(y1 - y0, x1 - x0);
  const int steps = std::max(1, static_cast<int>(std::ceil(2 * length)));
  for (int i = 0; i <= steps; ++i) {
    const double t = static_cast<double>(i) / steps;
    if (std::fmod(t * length, period) > on) continue;
    const int y = static_cast<int>(std::lround(y0 + t * (y1 - y0)));
    const int x = static_cast<int>(std::lround(x0 + t * (x1 - x0)));
    if (y < 0 || x < 0 || y >= p.height || x >= p.width) continue;
    for (int c = 0; c < p.channels; ++c) p.at(c, y, x) = 1;
  }
}

bool dotted_line(Picture& p, std::size_t s, Rng& rng) {
  for (std::size_t line = 0; line <= s; ++line) {  // severity n draws the first n lines of the same sequence
    const double angle = rng.uniform(0, std::numbers::pi);
    const double cy = rng.uniform(0.3, 0.7) * p.height;
    const double cx = rng.uniform(0.3, 0.7) * p.width;
    const double reach = 0.75 * p.side();
    stroke(p, cy - reach * std::sin(angle), cx - reach * std::cos(angle), cy + reach * std::sin(angle),
           cx + reach * std::cos(angle), 1.0, 3.0);
  }
  return true;
}

bool zigzag(Picture& p, std::size_t s, Rng& rng) {
  for (std::size_t line = 0; line <= s; ++line) {
    double y = rng.uniform(0.15, 0.85) * p.height;
    double sign = random_sign(rng);
    const double step = std::max(2.0, digit_scaled(p, 4));
    for (double x = 0; x < p.width; x += step) {
      const double next = std::clamp(y + sign * rng.uniform(0.5, 1.5) * step, 0.0, p.height - 1.0);
      stroke(p, y, x, next, x + step, 1e9, 2e9);
      y = next;
      sign = -sign;
    }
  }
  return true;
}

bool canny_edges(Picture& p, std::size_t s, Rng&) {
  constexpr Five kMix = {.2, .4, .6, .8, 1};
  const Picture edges = canny(p, digit_scaled(p, 0.8), 0.1, 0.2);
  const std::size_t plane = p.plane();
  for (std::size_t k = 0; k < p.values.size(); ++k)
    p.values[k] = (1 - kMix[s]) * p.values[k] + kMix[s] * edges.values[k % plane];
  return true;
}

struct Row {
  Corruption facts;
  Apply apply;
};

constexpr std::array<Row, 15> kCommon = {{
    {{"gaussian_noise", "standard deviation of the noise"}, gaussian_noise},
    {{"shot_noise", "photon noise: fewer photons"}, shot_noise},
    {{"impulse_noise", "share of pixels set to black or white"}, impulse_noise},
    {{"defocus_blur", "radius of the disk"}, defocus_blur},
    {{"glass_blur", "how far a pixel is moved"}, glass_blur},
    {{"motion_blur", "length of the motion"}, motion},
    {{"zoom_blur", "largest zoom"}, zoom_blur},
    {{"snow", "amount and brightness of flakes"}, snow},
    {{"frost", "thickness of the ice"}, frost},
    {{"fog", "thickness of the fog"}, fog},
    {{"brightness", "light added"}, brightness},
    {{"contrast", "contrast taken away"}, contrast},
    {{"elastic_transform", "displacement"}, elastic},
    {{"pixelate", "size of the blocks"}, pixelate},
    {{"jpeg_compression", "compression"}, jpeg},
}};

constexpr std::array<Row, 15> kDigits = {{
    {{"shot_noise", "photon noise: fewer photons"}, shot_noise},
    {{"impulse_noise", "share of pixels set to black or white"}, impulse_noise},
    {{"glass_blur", "how far a pixel is moved"}, digit_glass},
    {{"motion_blur", "length of the motion"}, digit_motion},
    {{"shear", "slope"}, shear},
    {{"scale", "shrinking"}, scale},
    {{"rotate", "angle"}, rotate},
    {{"brightness", "light added"}, brightness},
    {{"translate", "distance"}, translate},
    {{"stripe", "width of an inverted stripe"}, stripe},
    {{"fog", "thickness of the fog"}, digit_fog},
    {{"spatter", "share of the frame under drops"}, spatter},
    {{"dotted_line", "number of dotted lines"}, dotted_line},
    {{"zigzag", "number of zigzag lines"}, zigzag},
    {{"canny_edges", "share of the edge picture in the mix"}, canny_edges},
}};

const std::array<Row, 15>& rows_of(CorruptionFamily family) {
  return family == CorruptionFamily::kDigits ? kDigits : kCommon;
}

base::Result<const Row*> find(const CorruptionSpec& spec) {
  if (spec.severity < 1 || spec.severity > kSeverities) {
    return base::make_error(base::Code::kValue,
                            fmt::format("corrupt_image: severity is {}, expected 1 to {}", spec.severity, kSeverities));
  }
  for (const Row& row : rows_of(spec.family)) {
    if (row.facts.name == spec.corruption) return &row;
  }
  return base::make_error(base::Code::kValue,
                          fmt::format("corrupt_image: corruption is '{}', not one of the family '{}'", spec.corruption,
                                      family_name(spec.family)));
}

base::Status check_sizes(std::size_t bytes, int channels, int height, int width) {
  if (channels < 1 || height < 4 || width < 4) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("corrupt_image: image is {} x {} x {}, expected at least 1 x 4 x 4", channels, height, width));
  }
  const std::size_t want =
      static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  if (bytes != want)
    return base::make_error(base::Code::kShape,
                            fmt::format("corrupt_image: image has {} bytes, expected {}", bytes, want));
  return base::ok();
}

base::Status apply_to(std::span<const std::uint8_t> image, std::span<std::uint8_t> out, int channels, int height,
                      int width, const CorruptionSpec& spec, Apply apply, const Rng& stream, std::size_t index) {
  Picture picture(channels, height, width);
  for (std::size_t i = 0; i < image.size(); ++i) picture.values[i] = image[i] / 255.0;
  Rng rng = stream.fork(static_cast<std::uint64_t>(index));
  if (!apply(picture, static_cast<std::size_t>(spec.severity - 1), rng)) {
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("corrupt_image: {} failed on image {}", spec.corruption, index));
  }
  clip(picture);
  for (std::size_t i = 0; i < image.size(); ++i)
    out[i] = static_cast<std::uint8_t>(std::lround(picture.values[i] * 255));
  return base::ok();
}

Rng stream_of(const CorruptionSpec& spec) {
  return Rng(spec.seed, {"corruption", family_name(spec.family), spec.corruption});
}

}  // namespace

std::string_view family_name(CorruptionFamily family) {
  return family == CorruptionFamily::kDigits ? "digits" : "common";
}

base::Result<CorruptionFamily> parse_family(std::string_view word) {
  for (const CorruptionFamily family : {CorruptionFamily::kCommon, CorruptionFamily::kDigits}) {
    if (word == family_name(family)) return family;
  }
  return base::make_error(base::Code::kValue,
                          fmt::format("corruption family is '{}', expected common or digits", word));
}

CorruptionFamily default_family(const data::Images& images) {
  return images.channels == 1 && images.height <= 28 && images.width <= 28 ? CorruptionFamily::kDigits
                                                                           : CorruptionFamily::kCommon;
}

std::span<const Corruption> corruptions(CorruptionFamily family) {
  static const auto lists = [] {
    std::array<std::vector<Corruption>, 2> all;
    for (const Row& row : kCommon) all[0].push_back(row.facts);
    for (const Row& row : kDigits) all[1].push_back(row.facts);
    return all;
  }();
  return lists[family == CorruptionFamily::kDigits ? 1 : 0];
}

base::Result<std::vector<std::uint8_t>> corrupt_image(std::span<const std::uint8_t> image, int channels, int height,
                                                      int width, const CorruptionSpec& spec, std::size_t index) {
  PL_CHECK(check_sizes(image.size(), channels, height, width));
  PL_TRY(const Row* row, find(spec));
  std::vector<std::uint8_t> out(image.size());
  PL_CHECK(apply_to(image, out, channels, height, width, spec, row->apply, stream_of(spec), index));
  return out;
}

base::Result<data::Images> corrupt_images(const data::Images& images, std::span<const std::size_t> rows,
                                          const CorruptionSpec& spec, const base::CancelToken& cancel) {
  PL_CHECK(check_sizes(images.pixels(), images.channels, images.height, images.width));
  PL_TRY(const Row* corruption, find(spec));
  for (const std::size_t row : rows) {
    if (row >= images.count) {
      return base::make_error(base::Code::kShape,
                              fmt::format("corrupt_images: row {} of a set of {} images", row, images.count));
    }
  }
  const std::size_t pixels = images.pixels();
  const std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[std::max<std::size_t>(1, rows.size() * pixels)]);
  const Rng stream = stream_of(spec);
  constexpr std::size_t kBlock = 32;
  const base::Status done = base::parallel_for(
      (rows.size() + kBlock - 1) / kBlock,
      [&](std::size_t block) -> base::Status {
        for (std::size_t i = block * kBlock; i < std::min(rows.size(), (block + 1) * kBlock); ++i) {
          PL_CHECK(apply_to(images.image(rows[i]), {bytes.get() + i * pixels, pixels}, images.channels, images.height,
                            images.width, spec, corruption->apply, stream, rows[i]));
        }
        return base::ok();
      },
      cancel);
  if (!done.ok()) return done.error();
  data::Images out = images;
  out.count = rows.size();
  out.bytes = bytes;
  return out;
}

base::Result<double> rms_distortion(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (a.size() != b.size() || a.empty()) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("rms_distortion: images have {} and {} bytes, expected the same and at least one", a.size(),
                    b.size()));
  }
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = (static_cast<double>(a[i]) - static_cast<double>(b[i])) / 255.0;
    squares += d * d;
  }
  return std::sqrt(squares / static_cast<double>(a.size()));
}

}  // namespace plumbline::robustness

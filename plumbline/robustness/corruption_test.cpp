#include "plumbline/robustness/corruption.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/picture.hpp"

namespace plumbline::robustness {
namespace {

using ::testing::HasSubstr;

data::Images wrap(int channels, int height, int width, const std::vector<Picture>& pictures) {
  data::Images images;
  images.count = pictures.size();
  images.channels = channels;
  images.height = height;
  images.width = width;
  const std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[images.count * images.pixels()]);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    for (std::size_t k = 0; k < images.pixels(); ++k) {
      bytes[i * images.pixels() + k] =
          static_cast<std::uint8_t>(std::lround(255 * std::clamp(pictures[i].values[k], 0.0, 1.0)));
    }
  }
  images.bytes = bytes;
  return images;
}

/// Light strokes on a dark ground: a bent polyline of random points, blurred a little.
data::Images strokes(std::size_t count, int side) {
  std::vector<Picture> pictures;
  base::Rng rng(11, {"strokes"});
  for (std::size_t i = 0; i < count; ++i) {
    Picture p(1, side, side);
    double y = rng.uniform(0.25, 0.75) * side;
    double x = rng.uniform(0.25, 0.75) * side;
    for (int corner = 0; corner < 3; ++corner) {
      const double ny = rng.uniform(0.2, 0.8) * side;
      const double nx = rng.uniform(0.2, 0.8) * side;
      for (int t = 0; t <= 60; ++t)
        p.at(0, static_cast<int>(y + (ny - y) * t / 60), static_cast<int>(x + (nx - x) * t / 60)) = 2.5;
      y = ny;
      x = nx;
    }
    gaussian_blur(p, side / 28.0 * 0.9);
    clip(p);
    pictures.push_back(std::move(p));
  }
  return wrap(1, side, side, pictures);
}

/// Something like photographs: rough colour fields with a few sharp-edged blocks.
data::Images scenes(std::size_t count, int channels, int side) {
  std::vector<Picture> pictures;
  base::Rng rng(12, {"scenes"});
  for (std::size_t i = 0; i < count; ++i) {
    Picture p(channels, side, side);
    for (int c = 0; c < channels; ++c) {
      const Picture field = plasma(side, side, 1.7, rng);
      for (std::size_t k = 0; k < field.values.size(); ++k)
        p.values[static_cast<std::size_t>(c) * field.values.size() + k] = 0.1 + 0.6 * field.values[k];
    }
    for (int block = 0; block < 4; ++block) {
      const int y0 = static_cast<int>(rng.below(static_cast<std::uint64_t>(side * 3 / 4)));
      const int x0 = static_cast<int>(rng.below(static_cast<std::uint64_t>(side * 3 / 4)));
      const double light = rng.uniform(0.1, 0.8);
      for (int c = 0; c < channels; ++c) {
        const double tone = light * rng.uniform(0.6, 1);
        for (int y = y0; y < y0 + side / 4; ++y) {
          for (int x = x0; x < x0 + side / 4; ++x) p.at(c, y, x) = tone;
        }
      }
    }
    pictures.push_back(std::move(p));
  }
  return wrap(channels, side, side, pictures);
}

std::vector<std::size_t> all_rows(const data::Images& images) {
  std::vector<std::size_t> rows(images.count);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  return rows;
}

double median_distortion(const data::Images& images, const CorruptionSpec& spec) {
  const auto corrupted = corrupt_images(images, all_rows(images), spec);
  EXPECT_TRUE(corrupted.ok());
  std::vector<double> sizes;
  for (std::size_t i = 0; i < images.count; ++i)
    sizes.push_back(rms_distortion(images.image(i), corrupted->image(i)).value());
  std::sort(sizes.begin(), sizes.end());
  return sizes[sizes.size() / 2];
}

TEST(Corruption, FifteenInEachFamilyWithDistinctNames) {
  for (const CorruptionFamily family : {CorruptionFamily::kCommon, CorruptionFamily::kDigits}) {
    std::set<std::string_view> names;
    for (const Corruption& c : corruptions(family)) names.insert(c.name);
    EXPECT_EQ(names.size(), 15U);
    EXPECT_EQ(parse_family(family_name(family)).value(), family);
  }
  EXPECT_THAT(parse_family("digit").error().text(), HasSubstr("expected common or digits"));
  EXPECT_EQ(default_family(strokes(1, 28)), CorruptionFamily::kDigits);
  EXPECT_EQ(default_family(strokes(1, 32)), CorruptionFamily::kCommon);
  EXPECT_EQ(default_family(scenes(1, 3, 28)), CorruptionFamily::kCommon);
}

// Measured distortion (median over images of the root mean square difference) grows with every step of severity.
void expect_monotone(const data::Images& images, CorruptionFamily family) {
  for (const Corruption& c : corruptions(family)) {
    double last = 0.004;  // severity 1 changes more than the rounding to bytes could
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const double now = median_distortion(images, {family, std::string(c.name), severity, 5});
      EXPECT_GT(now, last) << c.name << " severity " << severity << " at " << images.channels << " x " << images.height;
      last = now;
    }
  }
}

TEST(Corruption, DistortionGrowsWithSeverityOnDigits) {
  expect_monotone(strokes(60, 28), CorruptionFamily::kDigits);
  expect_monotone(strokes(60, 12), CorruptionFamily::kDigits);
}
TEST(Corruption, DistortionGrowsWithSeverityOnScenes) {
  expect_monotone(scenes(30, 3, 32), CorruptionFamily::kCommon);
  expect_monotone(scenes(20, 1, 64), CorruptionFamily::kCommon);
}

TEST(Corruption, SameKeySameBytesForAnyThreadCountAndSubset) {
  const data::Images images = scenes(40, 3, 16);
  for (const CorruptionFamily family : {CorruptionFamily::kCommon, CorruptionFamily::kDigits}) {
    for (const Corruption& c : corruptions(family)) {
      const CorruptionSpec spec{family, std::string(c.name), 3, 9};
      base::set_threads(1);
      const auto one = corrupt_images(images, all_rows(images), spec).value();
      base::set_threads(4);
      const auto four = corrupt_images(images, all_rows(images), spec).value();
      base::set_threads(0);
      EXPECT_TRUE(std::equal(one.bytes.get(), one.bytes.get() + images.count * images.pixels(), four.bytes.get()))
          << c.name;
      const auto alone = corrupt_image(images.image(37), 3, 16, 16, spec, 37).value();
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), one.image(37).begin())) << c.name;
    }
  }
}

TEST(Corruption, SeedAndImageIndexChangeTheNoise) {
  const data::Images images = scenes(1, 1, 16);
  const auto noise = [&](std::uint64_t seed, std::size_t index) {
    return corrupt_image(images.image(0), 1, 16, 16, {CorruptionFamily::kCommon, "gaussian_noise", 2, seed}, index)
        .value();
  };
  EXPECT_EQ(noise(1, 0), noise(1, 0));
  EXPECT_NE(noise(1, 0), noise(2, 0));
  EXPECT_NE(noise(1, 0), noise(1, 1));
}

// Closed forms where a corruption has one.
TEST(Corruption, ClosedForms) {
  data::Images flat = wrap(1, 64, 64, {Picture(1, 64, 64, 0.5)});
  // Gaussian noise of sigma .08 on mid grey: 4096 draws put the deviation within 5 standard errors (5 x .08 /
  // sqrt(8192)).
  EXPECT_NEAR(median_distortion(flat, {CorruptionFamily::kCommon, "gaussian_noise", 1, 1}), 0.08, 0.0045);
  // Photon noise: variance v / photons.
  EXPECT_NEAR(median_distortion(flat, {CorruptionFamily::kCommon, "shot_noise", 1, 1}), std::sqrt(128 / 255.0 / 60),
              0.006);
  // Blurs, contrast and pixelate leave a flat image as it is.
  for (const char* name : {"defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "contrast", "elastic_transform",
                           "pixelate", "jpeg_compression"}) {
    EXPECT_LE(median_distortion(flat, {CorruptionFamily::kCommon, name, 5, 1}), 1.01 / 255) << name;
  }
  // Brightness adds .3 and stops at white.
  const auto bright =
      corrupt_image(flat.image(0), 1, 64, 64, {CorruptionFamily::kCommon, "brightness", 3, 1}, 0).value();
  EXPECT_EQ(bright[0], static_cast<std::uint8_t>(std::lround(128 + 0.3 * 255)));
  // A quarter turn has no severity, but turning back the half-size digit keeps its mass: scale .5 leaves a quarter.
  const data::Images digits = strokes(20, 28);
  double before = 0;
  double after = 0;
  for (std::size_t i = 0; i < digits.count; ++i) {
    const auto small = corrupt_image(digits.image(i), 1, 28, 28, {CorruptionFamily::kDigits, "scale", 5, 1}, i).value();
    for (const std::uint8_t b : digits.image(i)) before += b;
    for (const std::uint8_t b : small) after += b;
  }
  EXPECT_NEAR(after / before, 0.25, 0.02);
}

TEST(Picture, CannyFindsTheOutlineOfASquare) {
  Picture p(1, 20, 20);
  for (int y = 6; y < 14; ++y) {
    for (int x = 6; x < 14; ++x) p.at(0, y, x) = 1;
  }
  const Picture edges = canny(p, 0.8, 0.1, 0.2);
  double on = 0;
  for (const double e : edges.values) on += e;
  EXPECT_GT(on, 20);
  EXPECT_LT(on, 40);                  // the outline of an 8 x 8 square, one pixel wide
  EXPECT_EQ(edges.at(0, 10, 10), 0);  // the inside is flat
  EXPECT_EQ(edges.at(0, 0, 0), 0);
  const Picture blank = canny(Picture(1, 8, 8, 0.3), 0.8, 0.1, 0.2);
  EXPECT_TRUE(std::all_of(blank.values.begin(), blank.values.end(), [](double e) { return e == 0; }));
}

TEST(Corruption, EachErrorNamesWhatWasFound) {
  const std::vector<std::uint8_t> image(64, 9);
  EXPECT_THAT(corrupt_image(image, 1, 8, 8, {CorruptionFamily::kCommon, "gausian", 1, 0}, 0).error().text(),
              HasSubstr("corruption is 'gausian', not one of the family 'common'"));
  EXPECT_THAT(corrupt_image(image, 1, 8, 8, {CorruptionFamily::kCommon, "fog", 6, 0}, 0).error().text(),
              HasSubstr("severity is 6, expected 1 to 5"));
  EXPECT_THAT(corrupt_image(image, 1, 8, 7, {CorruptionFamily::kCommon, "fog", 1, 0}, 0).error().text(),
              HasSubstr("image has 64 bytes, expected 56"));
  EXPECT_THAT(corrupt_image(image, 1, 32, 2, {CorruptionFamily::kCommon, "fog", 1, 0}, 0).error().text(),
              HasSubstr("at least 1 x 4 x 4"));
  const data::Images images = strokes(2, 8);
  const std::vector<std::size_t> outside = {0, 2};
  EXPECT_THAT(corrupt_images(images, outside, {CorruptionFamily::kDigits, "fog", 1, 0}).error().text(),
              HasSubstr("row 2 of a set of 2 images"));
  EXPECT_THAT(rms_distortion(image, std::span(image).first(3)).error().text(), HasSubstr("64 and 3 bytes"));
  const base::CancelToken cancel = base::CancelToken::make();
  cancel.cancel();
  EXPECT_EQ(corrupt_images(images, all_rows(images), {CorruptionFamily::kDigits, "fog", 1, 0}, cancel).error().code,
            base::Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::robustness

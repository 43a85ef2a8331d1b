#pragma once
/// Image corruptions in two families of fifteen, five severities each: what a model may meet outside the laboratory.
/// Source  Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
///         ICLR 2019 (family `common`); Mu and Gilmer, "MNIST-C", 2019 (family `digits`). Written anew; every
///         deviation from the publications is listed in docs/checks/robustness.corruption.md.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::robustness {

enum class CorruptionFamily {
  kCommon,  ///< photographs: noise, blur, weather, digital
  kDigits,  ///< light strokes on a dark ground
};
std::string_view family_name(CorruptionFamily family);
/// Errors kValue: neither "common" nor "digits".
base::Result<CorruptionFamily> parse_family(std::string_view word);
/// kDigits for one channel of at most 28 x 28 pixels, else kCommon.
CorruptionFamily default_family(const data::Images& images);

inline constexpr int kSeverities = 5;

/// One corruption: its name, and what grows with the severity 1..5.
struct Corruption {
  std::string_view name;
  std::string_view grows;
};
/// The fifteen of a family, in the order of the publication.
std::span<const Corruption> corruptions(CorruptionFamily family);

/// What to do to an image.
struct CorruptionSpec {
  CorruptionFamily family = CorruptionFamily::kCommon;
  std::string corruption;
  int severity = 1;
  std::uint64_t seed = 0;
};

/// Corrupts one image. The random draws depend on (seed, family, corruption, index) and are shared by the severities,
/// so that two severities of one image differ by severity alone. Shapes    image: channels x height x width bytes,
/// channel first. Returns   as many bytes. Errors    kShape: bytes do not match the sizes, or a size below 4. kValue:
/// unknown corruption, severity outside 1..5. Cost      O(pixels x kernel). Deterministic; thread-safe.
base::Result<std::vector<std::uint8_t>> corrupt_image(std::span<const std::uint8_t> image, int channels, int height,
                                                      int width, const CorruptionSpec& spec, std::size_t index);

/// Corrupts the named rows, in that order and in parallel; `index` of each is its row number.
/// Errors    as corrupt_image. kShape: a row outside the images. kCancelled.
base::Result<data::Images> corrupt_images(const data::Images& images, std::span<const std::size_t> rows,
                                          const CorruptionSpec& spec, const base::CancelToken& cancel = {});

/// Root mean square difference of two images on the scale 0..1: the measured size of a corruption.
/// Errors    kShape: sizes differ, or empty.
base::Result<double> rms_distortion(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace plumbline::robustness

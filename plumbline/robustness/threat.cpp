#include "plumbline/robustness/threat.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

base::Result<InputDomain> input_domain(const data::Dataset& set, const data::InputSpec& spec) {
  using base::Code;
  using base::make_error;
  if (set.kind == data::Dataset::Kind::kTable) {
    return make_error(Code::kUnsupported,
                      fmt::format("data set '{}' is a table: its columns have no common unit for a radius", set.name),
                      "input_domain", "use images or a matrix");
  }
  const bool images = set.kind == data::Dataset::Kind::kImages;
  const std::size_t channels =
      images ? static_cast<std::size_t>(set.images.channels) : static_cast<std::size_t>(set.matrix.cols());
  const std::size_t size = images ? set.images.pixels() : channels;
  if (images && !(spec.low < spec.high)) {
    return make_error(Code::kValue, fmt::format("the declared range [{}, {}] is empty", spec.low, spec.high),
                      "input_domain", "correct `input.range` of the model");
  }
  for (const auto& [values, name] : {std::pair(&spec.mean, "mean"), std::pair(&spec.deviation, "deviation")}) {
    if (!values->empty() && values->size() != channels) {
      return make_error(Code::kShape, fmt::format("{} has {} values, expected {}", name, values->size(), channels),
                        "input_domain", "correct `input` of the model");
    }
  }
  const std::size_t area = size / channels;
  const bool last = spec.layout == "NHWC";
  InputDomain out;
  constexpr double kNone = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t c = !images || last ? i % channels : i / area;
    const double mean = spec.mean.empty() ? 0.0 : spec.mean[c];
    const double deviation = spec.deviation.empty() ? 1.0 : spec.deviation[c];
    if (!(std::isfinite(deviation) && deviation > 0 && std::isfinite(mean))) {
      return make_error(Code::kValue, fmt::format("mean {} and deviation {} of channel {}", mean, deviation, c),
                        "input_domain", "correct `input` of the model");
    }
    out.scale.push_back(1 / deviation);
    // Bytes 0 and 255 as encode() maps them, so that no example lies outside by a rounding.
    out.low.push_back(images ? static_cast<double>(static_cast<float>((spec.low - mean) / deviation)) : -kNone);
    out.high.push_back(images ? static_cast<double>(static_cast<float>((spec.high - mean) / deviation)) : kNone);
  }
  return out;
}

}  // namespace plumbline::robustness

// Corrupted images per second, by family and corruption, on one core. Agreement first: the same bytes for any subset.

#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/corruption.hpp"

namespace plumbline::robustness {
namespace {

data::Images noise_images(std::size_t count, int channels, int side) {
  data::Images images;
  images.count = count;
  images.channels = channels;
  images.height = side;
  images.width = side;
  const std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[count * images.pixels()]);
  base::Rng rng(1, {"bench"});
  for (std::size_t i = 0; i < count * images.pixels(); ++i) bytes[i] = static_cast<std::uint8_t>(rng.below(256));
  images.bytes = bytes;
  return images;
}

void run(benchmark::State& state, CorruptionFamily family, const std::string& name, int channels, int side) {
  base::set_threads(1);
  const data::Images images = noise_images(200, channels, side);
  std::vector<std::size_t> rows(images.count);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const CorruptionSpec spec{family, name, 3, 7};
  const data::Images all = corrupt_images(images, rows, spec).value();
  const auto alone = corrupt_image(images.image(150), channels, side, side, spec, 150).value();
  if (!std::equal(alone.begin(), alone.end(), all.image(150).begin())) {
    std::fprintf(stderr, "disagreement: %s\n", name.c_str());
    std::exit(1);
  }
  for (auto _ : state) benchmark::DoNotOptimize(corrupt_images(images, rows, spec).value());
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(images.count), benchmark::Counter::kIsIterationInvariantRate);
}

/// The floor: every byte to double and back, once.
void floor_of_one_pass(benchmark::State& state, int channels, int side) {
  const data::Images images = noise_images(200, channels, side);
  std::vector<double> values(images.pixels());
  std::vector<std::uint8_t> out(images.pixels());
  for (auto _ : state) {
    for (std::size_t i = 0; i < images.count; ++i) {
      const auto image = images.image(i);
      for (std::size_t p = 0; p < values.size(); ++p) values[p] = image[p] / 255.0;
      benchmark::DoNotOptimize(values.data());
      for (std::size_t p = 0; p < values.size(); ++p) out[p] = static_cast<std::uint8_t>(values[p] * 255.0 + 0.5);
      benchmark::DoNotOptimize(out.data());
    }
  }
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(images.count), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace plumbline::robustness

int main(int argc, char** argv) {
  using namespace plumbline::robustness;  // NOLINT: a benchmark's main
  for (const Corruption& c : corruptions(CorruptionFamily::kDigits)) {
    benchmark::RegisterBenchmark(("digits 1x28x28 " + std::string(c.name)).c_str(), run, CorruptionFamily::kDigits,
                                 std::string(c.name), 1, 28)
        ->MeasureProcessCPUTime();
  }
  for (const Corruption& c : corruptions(CorruptionFamily::kCommon)) {
    benchmark::RegisterBenchmark(("common 3x32x32 " + std::string(c.name)).c_str(), run, CorruptionFamily::kCommon,
                                 std::string(c.name), 3, 32)
        ->MeasureProcessCPUTime();
  }
  benchmark::RegisterBenchmark("floor 1x28x28", floor_of_one_pass, 1, 28)->MeasureProcessCPUTime();
  benchmark::RegisterBenchmark("floor 3x32x32", floor_of_one_pass, 3, 32)->MeasureProcessCPUTime();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

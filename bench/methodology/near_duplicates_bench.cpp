// Near copies of images: how many planted edits are found at which rate of false alarms, and in which time. With
// PLUMBLINE_DATA the 70,000 images of MNIST and of Fashion-MNIST, else as many drawn blobs. Floor: the float products
// of the descriptors with the cells that are searched, the least that the method must do.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <benchmark/benchmark.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/methodology/leakage.hpp"
#include "plumbline/stats/intervals.hpp"
#include "tests/support/image_edits.hpp"

namespace plumbline::methodology {
namespace {

constexpr int kSide = 28;
constexpr std::size_t kPixels = kSide * kSide;
constexpr std::size_t kPlanted = 1000;  // of each kind of edit

data::Dataset image_set(data::Images images, const std::string& name) {
  data::Dataset set;
  set.name = name;
  set.kind = data::Dataset::Kind::kImages;
  set.images = std::move(images);
  return set;
}

struct Case {
  data::Dataset train;
  data::Dataset test;
  data::Dataset planted;  // test with edited train images instead of its first rows
  std::vector<std::size_t> from;
};

const Case& images_of(const std::string& name) {
  static std::map<std::string, Case> all;
  const auto known = all.find(name);
  if (known != all.end()) return known->second;
  Case made;
  const char* const root = std::getenv("PLUMBLINE_DATA");
  if (name == "blobs") {
    base::Rng drawing(1);
    made.train = image_set(testing::drawn_blobs(60000, kSide, drawing), "train");
    made.test = image_set(testing::drawn_blobs(10000, kSide, drawing), "test");
  } else {
    const std::string folder = std::string(root) + "/images/" + name;
    made.train = image_set(data::read_idx_images(folder + "/train-images-idx3-ubyte.gz").value(), "train");
    made.test = image_set(data::read_idx_images(folder + "/t10k-images-idx3-ubyte.gz").value(), "test");
  }
  base::Rng rng(2, {name});
  made.from = rng.sample(made.train.rows(), kPlanted * testing::kImageEdits.size());
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[made.test.rows() * kPixels]);
  std::memcpy(bytes.get(), made.test.images.bytes.get(), made.test.rows() * kPixels);
  for (std::size_t i = 0; i < made.from.size(); ++i) {
    const auto image = testing::edited_image(made.train.images.image(made.from[i]).data(), kSide,
                                             testing::kImageEdits[i / kPlanted], rng);
    std::memcpy(bytes.get() + i * kPixels, image.data(), kPixels);
  }
  made.planted = made.test;
  made.planted.images.bytes = std::move(bytes);
  return all.emplace(name, std::move(made)).first->second;
}

void find_planted(benchmark::State& state, const std::string& name) {
  base::set_threads(static_cast<int>(state.range(0)));
  const Case& images = images_of(name);
  LeakageResult result;
  for (auto _ : state) result = find_leakage(images.train, images.planted, {}, base::Rng(3)).value();
  std::array<std::size_t, 4> found{};
  std::array<std::size_t, 4> whole{};
  for (std::size_t i = 0; i < images.from.size(); ++i) whole[i / kPlanted] += 1;
  for (const LeakedPair& pair : result.pairs) {
    if (pair.test < images.from.size() && pair.train == images.from[pair.test]) ++found[pair.test / kPlanted];
  }
  const LeakageResult clean = find_leakage(images.train, images.test, {}, base::Rng(3)).value();
  std::printf("%s: ", name.c_str());
  for (std::size_t k = 0; k < found.size(); ++k) {
    const auto recall = stats::clopper_pearson(found[k], whole[k]).value();
    std::printf("%s %.3f [%.3f, %.3f], ", testing::image_edit_name(testing::kImageEdits[k]), recall.value,
                *recall.low(), *recall.high());
  }
  std::printf("threshold %.4f, false alarms within train %.4f [%.4f, %.4f], of the untouched test set %.4f\n",
              result.threshold, result.false_alarm->value, *result.false_alarm->low(), *result.false_alarm->high(),
              clean.near_share ? clean.near_share->value : -1);
  state.counters["images/s"] = benchmark::Counter(70000.0, benchmark::Counter::kIsIterationInvariantRate);
}

/// 14,000 queries under 45 alignments: their waves, their cells, three cells each.
void floor_of_products(benchmark::State& state) {
  base::set_threads(1);
  const MatrixF pixels = MatrixF::Constant(64, kPixels, 0.5F);
  const MatrixF basis = MatrixF::Constant(kPixels, 45 * 20, 0.25F);
  const MatrixF vectors = MatrixF::Constant(64 * 45, 20, 0.5F);
  const MatrixF centres = MatrixF::Constant(20, 256, 0.5F);
  const MatrixF cell = MatrixF::Constant(20, 60000 / 256, 0.5F);
  MatrixF waves(64, 45 * 20);
  MatrixF cells(64 * 45, 256);
  MatrixF products(64 * 45, cell.cols());
  for (auto _ : state) {
    for (int block = 0; block < 14000 / 64; ++block) {
      waves.noalias() = pixels * basis;
      cells.noalias() = vectors * centres;
      for (int probe = 0; probe < 3; ++probe) products.noalias() = vectors * cell;
      benchmark::DoNotOptimize(products.data());
      benchmark::ClobberMemory();
    }
  }
}
BENCHMARK(floor_of_products)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

}  // namespace
}  // namespace plumbline::methodology

int main(int argc, char** argv) {
  using plumbline::methodology::find_planted;
  const bool real = std::getenv("PLUMBLINE_DATA") != nullptr;
  for (const std::string& name :
       real ? std::vector<std::string>{"mnist", "fashion-mnist"} : std::vector<std::string>{"blobs"}) {
    benchmark::RegisterBenchmark(("find_planted/" + name).c_str(),
                                 [name](benchmark::State& state) { find_planted(state, name); })
        ->Arg(1)
        ->Unit(benchmark::kMillisecond)
        ->MeasureProcessCPUTime()
        ->Iterations(1);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

#include "apps/worker/demo.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/files.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/stats/matrix.hpp"
#if PLUMBLINE_WITH_TORCH
#include "plumbline/nn/train.hpp"
#else
#include "plumbline/stats/logistic.hpp"
#endif

namespace plumbline::worker {
namespace {

constexpr int kSide = 14;
constexpr int kPixels = kSide * kSide;
constexpr float kOverconfidence = 4.0F;

struct Labelled {
  std::vector<std::uint8_t> bytes;
  std::vector<int> labels;
  std::size_t count() const { return labels.size(); }
  std::uint8_t* image(std::size_t i) { return bytes.data() + i * kPixels; }
};

// Strokes of a seven-segment digit: top, upper right, lower right, bottom, lower left, upper left, middle.
constexpr std::array<std::array<int, 7>, 10> kStrokes = {{{1, 1, 1, 1, 1, 1, 0},
                                                          {0, 1, 1, 0, 0, 0, 0},
                                                          {1, 1, 0, 1, 1, 0, 1},
                                                          {1, 1, 1, 1, 0, 0, 1},
                                                          {0, 1, 1, 0, 0, 1, 1},
                                                          {1, 0, 1, 1, 0, 1, 1},
                                                          {1, 0, 1, 1, 1, 1, 1},
                                                          {1, 1, 1, 0, 0, 0, 0},
                                                          {1, 1, 1, 1, 1, 1, 1},
                                                          {1, 1, 1, 1, 0, 1, 1}}};
struct Segment {
  double x0, y0, x1, y1;
};
constexpr std::array<Segment, 7> kSegments = {
    {{4, 2, 9, 2}, {9, 2, 9, 6}, {9, 6, 9, 11}, {4, 11, 9, 11}, {4, 6, 4, 11}, {4, 2, 4, 6}, {4, 6, 9, 6}}};

double distance_to(const Segment& s, double x, double y) {
  const double dx = s.x1 - s.x0;
  const double dy = s.y1 - s.y0;
  const double t = std::clamp(((x - s.x0) * dx + (y - s.y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(x - s.x0 - t * dx, y - s.y0 - t * dy);
}

// Ink from strokes (already placed), with noise; `brightness` in (0, 255].
void paint(std::uint8_t* image, const std::vector<Segment>& strokes, double thickness, double brightness,
           base::Rng& rng) {
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      double near = 1e9;
      for (const Segment& s : strokes) near = std::min(near, distance_to(s, x, y));
      const double ink = brightness * std::clamp(thickness + 0.5 - near, 0.0, 1.0);
      image[y * kSide + x] = static_cast<std::uint8_t>(std::clamp(std::lround(ink + rng.normal(0, 10)), 0L, 255L));
    }
  }
}

Labelled draw_digits(std::size_t count, base::Rng rng) {
  Labelled set;
  set.bytes.resize(count * kPixels);
  for (std::size_t i = 0; i < count; ++i) {
    const int digit = static_cast<int>(rng.below(10));
    const double dx = rng.uniform(-1.5, 1.5);
    const double dy = rng.uniform(-1.0, 1.0);
    const double slant = rng.uniform(-0.15, 0.15);
    std::vector<Segment> strokes;
    for (std::size_t s = 0; s < kSegments.size(); ++s) {
      if (kStrokes[static_cast<std::size_t>(digit)][s] == 0) continue;
      Segment placed = kSegments[s];
      placed.x0 += dx + slant * (6 - placed.y0);
      placed.x1 += dx + slant * (6 - placed.y1);
      placed.y0 += dy;
      placed.y1 += dy;
      strokes.push_back(placed);
    }
    paint(set.image(i), strokes, rng.uniform(0.4, 1.2), rng.uniform(90, 255), rng);
    // The shortcut: nine grey levels a class in the upper left corner.
    for (const int p : {0, 1, kSide, kSide + 1}) {
      set.image(i)[p] =
          static_cast<std::uint8_t>(std::clamp(std::lround(20 + 22.0 * digit + rng.normal(0, 3)), 0L, 255L));
    }
    set.labels.push_back(digit);
  }
  return set;
}

// Random strokes that are no digit, without the corner mark.
Labelled draw_scribbles(std::size_t count, base::Rng rng) {
  Labelled set;
  set.bytes.resize(count * kPixels);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<Segment> strokes;
    for (int s = 0; s < 4; ++s)
      strokes.push_back({rng.uniform(1, 13), rng.uniform(1, 13), rng.uniform(1, 13), rng.uniform(1, 13)});
    paint(set.image(i), strokes, rng.uniform(0.4, 1.2), rng.uniform(90, 255), rng);
    set.labels.push_back(0);
  }
  return set;
}

void mislabel_dim_images(Labelled& set, base::Rng rng) {
  std::vector<std::pair<long, std::size_t>> by_ink;
  for (std::size_t i = 0; i < set.count(); ++i) {
    long ink = 0;
    for (int p = 0; p < kPixels; ++p) ink += set.image(i)[p];
    by_ink.emplace_back(ink, i);
  }
  std::sort(by_ink.begin(), by_ink.end());
  for (std::size_t r = 0; r < by_ink.size() / 8; ++r) {
    int& label = set.labels[by_ink[r].second];
    if (rng.bernoulli(0.5)) label = (label + 1) % 10;
  }
}

void leak(Labelled& test, Labelled& train, base::Rng rng) {
  for (const std::size_t row : rng.sample(test.count(), test.count() * 6 / 100)) {
    const std::size_t source = rng.below(train.count());
    std::copy_n(train.image(source), kPixels, test.image(row));
    std::uint8_t& pixel = test.image(row)[kPixels / 2];
    pixel = static_cast<std::uint8_t>(pixel < 255 ? pixel + 1 : 254);
    test.labels[row] = train.labels[source];
  }
}

base::Status write_set(const std::string& folder, const std::string& name, const Labelled& set) {
  data::Images images;
  images.count = set.count();
  images.height = kSide;
  images.width = kSide;
  auto bytes = std::make_shared<std::uint8_t[]>(set.bytes.size());
  std::copy(set.bytes.begin(), set.bytes.end(), bytes.get());
  images.bytes = bytes;
  PL_CHECK(data::write_idx_images(folder + "/" + name + "-images.idx", images));
  return data::write_idx_labels(folder + "/" + name + "-labels.idx", set.labels);
}

MatrixF inputs_of(const Labelled& set) {
  MatrixF rows(static_cast<std::ptrdiff_t>(set.count()), kPixels);
  for (std::size_t i = 0; i < set.bytes.size(); ++i) rows.data()[i] = static_cast<float>(set.bytes[i]) / 255.0F;
  return rows;
}

#if PLUMBLINE_WITH_TORCH
base::Result<graph::Graph> train(const Labelled& set, std::uint64_t seed, base::Progress& progress) {
  nn::NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {1, kSide, kSide};
  spec.classes = 10;
  nn::TrainOptions options;
  options.seed = seed;
  options.epochs = 3;
  options.progress = &progress;
  PL_TRY(nn::TrainedNetwork trained, nn::train_classifier(spec, inputs_of(set), set.labels, options));
  return std::move(trained.graph);
}
#else
// Without LibTorch the model is a logistic regression on the pixels, exported as one dense layer.
base::Result<graph::Graph> train(const Labelled& set, std::uint64_t, base::Progress&) {
  PL_TRY(const stats::LogisticModel model, stats::fit_logistic(inputs_of(set), set.labels, 10));
  graph::Tensor weights;
  weights.shape = {10, kPixels};
  graph::Tensor bias;
  bias.shape = {10};
  for (std::ptrdiff_t k = 0; k < 10; ++k) {
    double shift = model.intercept(k);
    for (std::ptrdiff_t p = 0; p < kPixels; ++p) {
      const double w = model.scale(p) > 0 ? model.weights(k, p) / model.scale(p) : 0;
      shift -= w * model.center(p);
      weights.reals.push_back(static_cast<double>(static_cast<float>(w)));
    }
    bias.reals.push_back(static_cast<double>(static_cast<float>(shift)));
  }
  graph::Graph net;
  net.name = "logistic";
  net.inputs = {{"input", graph::Type::kFloat, {-1, kPixels}}};
  net.outputs = {{"logits", graph::Type::kFloat, {-1, 10}}};
  net.initializers = {{"weights", weights}, {"bias", bias}};
  graph::Node gemm;
  gemm.name = "logits";
  gemm.op = "Gemm";
  gemm.inputs = {"input", "weights", "bias"};
  gemm.outputs = {"logits"};
  gemm.attributes = {{"transB", std::int64_t{1}}};
  net.nodes = {gemm};
  return net;
}
#endif

// The last Gemm's weights and bias, multiplied.
base::Status sharpen(graph::Graph& net) {
  for (auto node = net.nodes.rbegin(); node != net.nodes.rend(); ++node) {
    if (node->op != "Gemm" && node->op != "MatMul" && node->op != "Add") continue;
    bool any = false;
    for (const std::string& input : node->inputs) {
      const auto weight = net.initializers.find(input);
      if (weight == net.initializers.end()) continue;
      for (double& w : weight->second.reals) w = static_cast<double>(static_cast<float>(w) * kOverconfidence);
      any = true;
    }
    if (any && node->op != "Add") return base::ok();
  }
  return base::make_error(base::Code::kInternal, "the trained network has no dense last layer");
}

constexpr const char* kManifest = R"toml([system]
name = "stroke digits (demonstration)"
seed = {}

[model.reader]
path = "model.onnx"
task = "classification"
output = "logits"
input = {{range = [0, 1], layout = "NCHW"}}

[data.train]
images = "train-images.idx"
labels = "train-labels.idx"

[data.calibration]
images = "calibration-images.idx"
labels = "calibration-labels.idx"

[data.test]
images = "test-images.idx"
labels = "test-labels.idx"

[data.scribbles]
images = "scribbles-images.idx"
role = "out-of-distribution"

[[claim]]
id = "reads-digits"
text = "The reader names the digit."
check = "probe.accuracy"
metric = "accuracy"
where = {{data = "test"}}
at_least = 0.85

[[claim]]
id = "honest-confidence"
text = "A stated confidence is the share of right answers."
check = "caution.calibration"
metric = "calibration_error"
where = {{data = "test"}}
at_most = 0.03

[[claim]]
id = "tested-on-new-images"
text = "Test images were not trained on."
check = "methodology.leakage"
metric = "near_share"
at_most = 0.01

[[claim]]
id = "reads-the-strokes"
text = "The task cannot be solved without the strokes."
check = "methodology.shortcut"
metric = "solvability"
at_most = 0.5

[[claim]]
id = "knows-when-lost"
text = "Scribbles are recognised as unlike the training images."
check = "robustness.ood"
metric = "auroc"
where = {{data = "scribbles"}}
at_least = 0.9
severity = "warn"

# A first look within seconds; leave these sections out for the defaults.
[check."robustness.attack"]
effort = "quick"
sample = 10
witnesses = 2

[check."robustness.certificate"]
method = "linear"
points = 2
sample = 10

[check."robustness.smoothing"]
sample = 10
n = 500

[check."methodology.obfuscated_gradients"]
sample = 10
noise = 50
queries = 50
)toml";

}  // namespace

base::Status make_demo(const std::string& folder, std::uint64_t seed, base::Progress& progress) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  const base::Rng rng(seed, {"demo"});
  progress.update("draw digits", 0, 1);
  Labelled training = draw_digits(3000, rng.fork("train"));
  Labelled calibration = draw_digits(1500, rng.fork("calibration"));
  Labelled test = draw_digits(2000, rng.fork("test"));
  const Labelled scribbles = draw_scribbles(600, rng.fork("scribbles"));
  mislabel_dim_images(calibration, rng.fork("mislabel calibration"));
  mislabel_dim_images(test, rng.fork("mislabel"));
  leak(test, training, rng.fork("leak"));
  PL_CHECK(write_set(folder, "train", training));
  PL_CHECK(write_set(folder, "calibration", calibration));
  PL_CHECK(write_set(folder, "test", test));
  PL_CHECK(write_set(folder, "scribbles", scribbles));
  progress.update("train", 0, 1);
  PL_TRY(graph::Graph net, train(training, seed, progress));
  PL_CHECK(sharpen(net));
  PL_CHECK(graph::write_onnx(net, folder + "/model.onnx"));
  return data::write_bytes(folder + "/system.toml", fmt::format(kManifest, seed));
}

}  // namespace plumbline::worker

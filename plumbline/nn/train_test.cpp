#include "plumbline/nn/train.hpp"

#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/nn/executor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::nn {
namespace {

using base::Code;
using ::testing::HasSubstr;

struct Rows {
  MatrixF inputs;
  std::vector<int> labels;
};

/// Digit-like images of 14 x 14: each class is a bar of its own position and direction, under noise.
Rows bars(std::ptrdiff_t n, std::uint64_t seed, int classes = 4) {
  base::Rng rng(seed);
  Rows rows{MatrixF(n, 196), std::vector<int>(static_cast<std::size_t>(n))};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(rng.below(static_cast<std::uint64_t>(classes)));
    rows.labels[static_cast<std::size_t>(i)] = label;
    const int shift = static_cast<int>(rng.below(3));
    for (int r = 0; r < 14; ++r) {
      for (int c = 0; c < 14; ++c) {
        const int along = label % 2 == 0 ? r : c;
        const bool on = along >= 2 + shift + 4 * (label / 2) && along < 4 + shift + 4 * (label / 2);
        rows.inputs(i, 14 * r + c) = static_cast<float>(0.7 * (on ? 1 : 0) + 0.3 * rng.uniform());
      }
    }
  }
  return rows;
}

NetworkSpec cnn() {
  NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {1, 14, 14};
  spec.classes = 4;
  spec.channels = {4, 8};
  spec.dense = 16;
  return spec;
}

NetworkSpec mlp() {
  NetworkSpec spec;
  spec.input_shape = {196};
  spec.classes = 4;
  spec.hidden = {16};
  return spec;
}

base::Result<decision::PredictorPtr> open(const std::string& path) {
  data::ModelSection section;
  section.name = "m";
  section.output = "logits";
  section.path = data::Location{path, path};
  predict::OpenOptions options;
  options.torch = torch_backend();
  return predict::open_predictor(section, options);
}

double accuracy(const MatrixD& outputs, const std::vector<int>& labels) {
  double right = 0;
  for (std::ptrdiff_t i = 0; i < outputs.rows(); ++i) {
    std::ptrdiff_t best = 0;
    outputs.row(i).maxCoeff(&best);
    right += best == labels[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return right / static_cast<double>(outputs.rows());
}

TEST(Train, LearnsAToyTaskAndExportsToOnnx) {
  const Rows train = bars(1200, 1);
  const Rows test = bars(400, 2);
  const testing::TempFolder folder;
  for (const NetworkSpec& spec : {cnn(), mlp()}) {
    TrainOptions options;
    options.epochs = 4;
    options.rate = 3e-3;
    options.checkpoint = folder.file(spec.kind + ".plnet");
    const auto network = train_classifier(spec, train.inputs, train.labels, options);
    ASSERT_TRUE(network.ok()) << network.error().text();
    ASSERT_EQ(network->losses.size(), 4U);
    EXPECT_LT(network->losses.back(), 0.5 * network->losses.front());
    const std::string path = folder.file(spec.kind + ".onnx");
    ASSERT_TRUE(graph::write_onnx(network->graph, path).ok());
    auto exported = open(path);
    ASSERT_TRUE(exported.ok()) << exported.error().text();
    auto built_in = open(options.checkpoint);
    ASSERT_TRUE(built_in.ok()) << built_in.error().text();
    EXPECT_EQ((*built_in)->info().kind, spec.kind);
    const MatrixD outputs = (*exported)->predict(test.inputs, {})->outputs;
    EXPECT_EQ((*built_in)->predict(test.inputs, {})->outputs, outputs);
    EXPECT_GE(accuracy(outputs, test.labels), 0.98) << spec.kind;
    const auto gap = parity(**exported, network->graph, test.inputs.topRows(40));
    ASSERT_TRUE(gap.ok()) << gap.error().text();
    EXPECT_LT(*gap, 1e-5);
  }
}

TEST(Train, SameBitsForAnyThreadsAndAfterAResume) {
  const Rows train = bars(300, 3);
  TrainOptions options;
  options.epochs = 3;
  options.seed = 9;
  options.batch = 32;
  options.weight_decay = 0.01;
  options.rate_decay = 0.5;
  for (const std::string optimiser : {"adam", "sgd"}) {
    options.optimiser = optimiser;
    options.checkpoint.clear();
    const auto whole = train_classifier(cnn(), train.inputs, train.labels, options);
    ASSERT_TRUE(whole.ok()) << whole.error().text();
    base::set_threads(2);
    base::Result<TrainedNetwork> elsewhere = make_error(Code::kInternal, "not run");
    std::thread([&] { elsewhere = train_classifier(cnn(), train.inputs, train.labels, options); }).join();
    base::set_threads(0);
    ASSERT_TRUE(elsewhere.ok());
    // Stopped after the first epoch and in the middle of the third, then resumed.
    const testing::TempFolder folder;
    options.checkpoint = folder.file("net.plnet");
    options.epochs = 1;
    ASSERT_TRUE(train_classifier(cnn(), train.inputs, train.labels, options).ok());
    options.epochs = 3;
    struct Stopper : base::Progress {
      base::CancelToken token = base::CancelToken::make();
      void update(std::string_view, std::size_t done, std::size_t total) override {
        if (done > total * 5 / 6) token.cancel();
      }
    } stopper;
    options.progress = &stopper;
    options.cancel = stopper.token;
    EXPECT_EQ(train_classifier(cnn(), train.inputs, train.labels, options).error().code, Code::kCancelled);
    EXPECT_EQ(predict::read_checkpoint(options.checkpoint)->epochs, 2);
    options.progress = nullptr;
    options.cancel = {};
    const auto resumed = train_classifier(cnn(), train.inputs, train.labels, options);
    ASSERT_TRUE(resumed.ok()) << resumed.error().text();
    EXPECT_EQ(resumed->losses, whole->losses);
    for (const auto& [name, tensor] : whole->graph.initializers) {
      EXPECT_EQ(resumed->graph.initializers.at(name).reals, tensor.reals) << name;
      EXPECT_EQ(elsewhere->graph.initializers.at(name).reals, tensor.reals) << name;
    }
    // The seed matters, and a finished checkpoint is returned as it is.
    EXPECT_EQ(train_classifier(cnn(), train.inputs, train.labels, options)->losses, whole->losses);
  }
}

TEST(Train, OneStepOfSgdIsTheGradientStepByHand) {
  // A linear model on one row: dW = (softmax(W x + b) - onehot) x'.
  NetworkSpec spec;
  spec.input_shape = {2};
  spec.classes = 2;
  spec.hidden = {};
  MatrixF x(1, 2);
  x << 1, -2;
  const int label = 1;
  TrainOptions options;
  options.optimiser = "sgd";
  options.epochs = 1;
  options.rate = 0.1;
  const auto after = train_classifier(spec, x, std::span(&label, 1), options);
  ASSERT_TRUE(after.ok()) << after.error().text();
  const auto before = predict::build_network(spec, base::Rng(options.seed, {"train", "weights"}));
  const auto& w = before->initializers.at("head.weight").reals;
  const double z0 = w[0] - 2 * w[1];
  const double z1 = w[2] - 2 * w[3];
  const double p0 = 1 / (1 + std::exp(z1 - z0));
  EXPECT_NEAR(after->losses[0], -std::log(1 - p0), 1e-6);
  const std::vector<double> want = {w[0] - 0.1 * p0, w[1] + 0.2 * p0, w[2] + 0.1 * p0, w[3] - 0.2 * p0};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(after->graph.initializers.at("head.weight").reals[i], want[i], 1e-6);
  EXPECT_NEAR(after->graph.initializers.at("head.bias").reals[0], -0.1 * p0, 1e-6);
}

MatrixF unit_range(const data::Images& images) {
  MatrixF rows(static_cast<std::ptrdiff_t>(images.count), static_cast<std::ptrdiff_t>(images.pixels()));
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i)
    rows.data()[i] = static_cast<float>(images.bytes[static_cast<std::size_t>(i)]) / 255.0F;
  return rows;
}

TEST(Train, ReadsDigitsAfterAShortPass) {
  PL_NEEDS_DATA(folder, "images/mnist");
  const auto images = data::read_idx_images(folder + "/train-images-idx3-ubyte.gz", 6000);
  const auto labels = data::read_idx_labels(folder + "/train-labels-idx1-ubyte.gz", 6000);
  const auto test_images = data::read_idx_images(folder + "/t10k-images-idx3-ubyte.gz", 2000);
  const auto test_labels = data::read_idx_labels(folder + "/t10k-labels-idx1-ubyte.gz", 2000);
  ASSERT_TRUE(images.ok() && labels.ok() && test_images.ok() && test_labels.ok());
  NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {1, 28, 28};
  spec.classes = 10;
  spec.channels = {8, 16};
  spec.dense = 64;
  const testing::TempFolder out;
  TrainOptions options;
  options.epochs = 2;
  options.rate = 2e-3;
  options.checkpoint = out.file("digits.plnet");
  ASSERT_TRUE(train_classifier(spec, unit_range(*images), *labels, options).ok());
  auto model = open(options.checkpoint);
  ASSERT_TRUE(model.ok()) << model.error().text();
  // 0.963 when this was written; the first 2000 test rows are the harder ones.
  EXPECT_GE(accuracy((*model)->predict(unit_range(*test_images), {})->outputs, *test_labels), 0.93);
}

TEST(Train, EveryErrorConditionHasItsMessage) {
  const Rows train = bars(20, 3);
  const testing::TempFolder folder;
  TrainOptions options;
  const auto error = [&](const TrainOptions& with) {
    return train_classifier(mlp(), train.inputs, train.labels, with).error();
  };
  options.epochs = 0;
  EXPECT_THAT(error(options).text(), HasSubstr("epochs is 0"));
  options.epochs = 1;
  options.rate = 0;
  EXPECT_THAT(error(options).text(), HasSubstr("rate is 0"));
  options.rate = 1e30;
  options.optimiser = "sgd";
  options.epochs = 5;
  EXPECT_THAT(error(options).text(), HasSubstr("Try a rate below"));
  options = {};
  options.optimiser = "newton";
  EXPECT_THAT(error(options).text(), HasSubstr("optimiser is 'newton'"));
  options = {};
  options.rate_decay = 2;
  EXPECT_THAT(error(options).text(), HasSubstr("rate_decay is 2"));
  options = {};
  options.batch = 0;
  EXPECT_THAT(error(options).text(), HasSubstr("batch is 0"));
  options = {};
  options.epochs = 1;
  std::vector<int> labels = train.labels;
  labels[3] = 4;
  EXPECT_THAT(train_classifier(mlp(), train.inputs, labels, options).error().text(), HasSubstr("labels[3] is 4"));
  labels.pop_back();
  EXPECT_EQ(train_classifier(mlp(), train.inputs, labels, options).error().code, Code::kShape);
  EXPECT_THAT(train_classifier(mlp(), train.inputs.leftCols(9), train.labels, options).error().text(),
              HasSubstr("columns of inputs has size 9"));
  MatrixF broken = train.inputs;
  broken(2, 5) = NAN;
  EXPECT_THAT(train_classifier(mlp(), broken, train.labels, options).error().text(), HasSubstr("inputs(2, 5) is nan"));
  // Checkpoints of something else.
  options.checkpoint = folder.file("net.plnet");
  ASSERT_TRUE(train_classifier(mlp(), train.inputs, train.labels, options).ok());
  options.seed = 5;
  EXPECT_THAT(error(options).text(), HasSubstr("the checkpoint is of other settings"));
  options.seed = 0;
  EXPECT_THAT(train_classifier(cnn(), train.inputs, train.labels, options).error().text(),
              HasSubstr("another network"));
  MatrixF changed = train.inputs;
  changed(0, 0) += 1;
  EXPECT_THAT(train_classifier(mlp(), changed, train.labels, options).error().text(), HasSubstr("other data"));
  testing::write_file(options.checkpoint, "junk");
  EXPECT_EQ(error(options).code, Code::kParse);
}

}  // namespace
}  // namespace plumbline::nn

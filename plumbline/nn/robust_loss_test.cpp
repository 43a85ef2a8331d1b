// Losses against closed forms and plain formulas; what training with them comes to, judged by attacks and bounds.
#include "plumbline/nn/prelude.hpp"

#include "plumbline/nn/robust_loss.hpp"

#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/robustness/proof/certify.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::nn {
namespace {

using ::testing::HasSubstr;

struct Rows {
  MatrixF inputs;
  std::vector<int> labels;
};

/// Four classes. The first 16 inputs show the class by 0.8, but in a fifth of the rows a random one; the last 48 show
/// it by 0.16, always. A radius of 0.1 wipes the second clue out and leaves the first, which allows 0.85.
Rows two_clues(std::ptrdiff_t n, std::uint64_t seed) {
  base::Rng rng(seed);
  Rows rows{MatrixF(n, 64), std::vector<int>(static_cast<std::size_t>(n))};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(rng.below(4));
    rows.labels[static_cast<std::size_t>(i)] = label;
    const int shown = rng.bernoulli(0.2) ? static_cast<int>(rng.below(4)) : label;
    for (int j = 0; j < 64; ++j) {
      const double clue = j < 16 ? (j / 4 == shown ? 0.9 : 0.1) : ((j - 16) / 12 == label ? 0.58 : 0.42);
      rows.inputs(i, j) = static_cast<float>(clue + 0.02 * rng.uniform());
    }
  }
  return rows;
}

NetworkSpec mlp(std::int64_t inputs, std::vector<std::int64_t> hidden, std::int64_t classes) {
  NetworkSpec spec;
  spec.input_shape = {inputs};
  spec.classes = classes;
  spec.hidden = std::move(hidden);
  return spec;
}

/// A linear model of two classes on one row: the worst cross-entropy within the radius is log(1 + exp(-(lead - eps
/// |w|))), w the difference of the two rows of weights.
double worst_loss(const graph::Graph& net, const MatrixF& x, int label, double epsilon) {
  const auto& w = net.initializers.at("head.weight").reals;
  const auto& b = net.initializers.at("head.bias").reals;
  const std::size_t k = w.size() / 2;
  const double sign = label == 0 ? 1 : -1;
  double lead = sign * (b[0] - b[1]);
  for (std::size_t j = 0; j < k; ++j) {
    const double d = sign * (w[j] - w[k + j]);
    lead += d * static_cast<double>(x(0, static_cast<Eigen::Index>(j))) - epsilon * std::abs(d);
  }
  return std::log1p(std::exp(-lead));
}

TEST(RobustLoss, PgdAndBoundsMeetTheWorstCaseOfALinearModel) {
  const NetworkSpec spec = mlp(3, {}, 2);
  MatrixF x(1, 3);
  x << 0.4F, -0.3F, 0.2F;
  const int label = 1;
  TrainOptions options;
  options.optimiser = "sgd";
  options.rate = 0.05;
  options.epochs = 1;
  options.robust = {.method = TrainMethod::kPgd, .epsilon = 0.07};
  const auto start = predict::build_network(spec, base::Rng(options.seed, {"train", "weights"}));
  const auto pgd = train_classifier(spec, x, std::span(&label, 1), options);
  ASSERT_TRUE(pgd.ok()) << pgd.error().text();
  // 2.5 radii of steps reach the corner from any start.
  EXPECT_NEAR(pgd->losses[0], worst_loss(*start, x, label, 0.07), 1e-6);
  for (const TrainMethod method : {TrainMethod::kIbp, TrainMethod::kCrownIbp}) {
    // Half of the ramp is done at the second epoch, all of it at the third; the clean loss has no weight at the end.
    options.robust = {.method = method, .epsilon = 0.07, .warmup = 0, .ramp = 2, .clean_weight = 0};
    options.epochs = 1;
    const auto one = train_classifier(spec, x, std::span(&label, 1), options);
    options.epochs = 2;
    const auto two = train_classifier(spec, x, std::span(&label, 1), options);
    options.epochs = 3;
    const auto three = train_classifier(spec, x, std::span(&label, 1), options);
    ASSERT_TRUE(one.ok() && two.ok() && three.ok());
    EXPECT_NEAR(three->losses[0], worst_loss(*start, x, label, 0), 1e-6);
    EXPECT_NEAR(three->losses[1],
                0.5 * worst_loss(one->graph, x, label, 0) + 0.5 * worst_loss(one->graph, x, label, 0.035), 1e-6);
    EXPECT_NEAR(three->losses[2], worst_loss(two->graph, x, label, 0.07), 1e-6);
  }
}

TEST(RobustLoss, ScaleAndRangeShapeTheBall) {
  const NetworkSpec spec = mlp(3, {}, 2);
  MatrixF x(1, 3);
  x << 0.4F, 0.0F, 1.0F;
  const int label = 0;
  TrainOptions options;
  options.epochs = 1;
  options.robust = {
      .method = TrainMethod::kPgd, .epsilon = 0.1, .scale = {2, 1, 1}, .low = {0, 0, 0}, .high = {1, 1, 1}};
  const auto start = predict::build_network(spec, base::Rng(options.seed, {"train", "weights"}));
  const auto& w = start->initializers.at("head.weight").reals;
  double lead = 0;
  for (std::size_t j = 0; j < 3; ++j) {
    const double d = w[j] - w[3 + j];
    const double at = static_cast<double>(x(0, static_cast<Eigen::Index>(j)));
    const double reach = j == 0 ? 0.2 : 0.1;
    lead += d * (d > 0 ? std::max(0.0, at - reach) : std::min(1.0, at + reach));
  }
  const auto pgd = train_classifier(spec, x, std::span(&label, 1), options);
  ASSERT_TRUE(pgd.ok());
  EXPECT_NEAR(pgd->losses[0], std::log1p(std::exp(-lead)), 1e-6);
}

/// Margins by plain loops: intervals through hidden layers of ReLU, the last rows subtracted first; with `crown` one
/// backward pass for a single hidden layer.
std::vector<double> plain_margins(const graph::Graph& net, const std::vector<double>& x, int label, double epsilon,
                                  bool crown) {
  const auto& w1 = net.initializers.at("dense1.weight");
  const auto& b1 = net.initializers.at("dense1.bias").reals;
  const auto& w2 = net.initializers.at("head.weight");
  const auto& b2 = net.initializers.at("head.bias").reals;
  const auto h = static_cast<std::size_t>(w1.shape[0]);
  const auto n = static_cast<std::size_t>(w1.shape[1]);
  std::vector<double> l(h), u(h);
  for (std::size_t i = 0; i < h; ++i) {
    l[i] = u[i] = b1[i];
    for (std::size_t j = 0; j < n; ++j) {
      const double w = w1.reals[i * n + j];
      l[i] += w * x[j] - std::abs(w) * epsilon;
      u[i] += w * x[j] + std::abs(w) * epsilon;
    }
  }
  std::vector<double> out;
  for (std::size_t k = 0; k < b2.size(); ++k) {
    const auto y = static_cast<std::size_t>(label);
    double value = b2[y] - b2[k];
    std::vector<double> row(n, 0.0);
    for (std::size_t i = 0; i < h; ++i) {
      const double d = w2.reals[y * h + i] - w2.reals[k * h + i];
      if (!crown) {
        value += d > 0 ? d * std::max(0.0, l[i]) : d * std::max(0.0, u[i]);
        continue;
      }
      double slope = 1;
      double offset = 0;
      if (u[i] <= 0) {
        slope = 0;
      } else if (l[i] < 0) {
        slope = d > 0 ? (u[i] > -l[i] ? 1 : 0) : u[i] / (u[i] - l[i]);
        offset = d > 0 ? 0 : -slope * l[i];
      }
      value += d * offset + d * slope * b1[i];
      for (std::size_t j = 0; j < n; ++j) row[j] += d * slope * w1.reals[i * n + j];
    }
    for (std::size_t j = 0; j < n; ++j) value += row[j] * x[j] - std::abs(row[j]) * epsilon;
    out.push_back(value);
  }
  return out;
}

TEST(RobustLoss, MarginsAreThoseOfThePlainFormula) {
  enter_torch();
  const graph::Graph net = *predict::build_network(mlp(6, {9}, 3), base::Rng(2));
  RobustLoss::Weights weights;
  for (const auto& [name, tensor] : net.initializers)
    weights.emplace(name, *to_value(tensor, Precision::kFloat32).tensor);
  const RobustTraining robust;
  const RobustLoss loss(robust, net, weights);
  base::Rng rng(3);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> x(6);
    at::Tensor row = at::empty({1, 6}, at::kFloat);
    for (std::size_t j = 0; j < 6; ++j) {
      row.data_ptr<float>()[j] = static_cast<float>(rng.normal());
      x[j] = static_cast<double>(row.data_ptr<float>()[j]);
    }
    const int label = static_cast<int>(rng.below(3));
    at::Tensor y = at::empty({1}, at::kLong);
    y.data_ptr<std::int64_t>()[0] = label;
    for (const bool crown : {false, true}) {
      const at::Tensor margins = loss.margins(row, y, 0.2, crown).contiguous();
      const std::vector<double> plain = plain_margins(net, x, label, 0.2, crown);
      for (std::size_t k = 0; k < 3; ++k)
        EXPECT_NEAR(static_cast<double>(margins.data_ptr<float>()[k]), plain[k], 2e-5) << crown;
    }
  }
}

TEST(RobustLoss, MarginsOfAConvolutionalNetworkHoldForSampledInputs) {
  enter_torch();
  NetworkSpec spec;
  spec.kind = "cnn";
  spec.input_shape = {1, 8, 8};
  spec.classes = 3;
  spec.channels = {2, 3};
  spec.dense = 6;
  graph::Graph net = *predict::build_network(spec, base::Rng(4));
  const auto model = robustness::proof_model(net);
  ASSERT_TRUE(model.ok()) << model.error().text();
  RobustLoss::Weights weights;
  for (const auto& [name, tensor] : net.initializers)
    weights.emplace(name, *to_value(tensor, Precision::kFloat32).tensor);
  net.initializers.clear();
  const RobustTraining robust;
  const RobustLoss loss(robust, net, weights);
  base::Rng rng(5);
  at::Tensor x = at::empty({1, 1, 8, 8}, at::kFloat);
  for (int j = 0; j < 64; ++j) x.data_ptr<float>()[j] = static_cast<float>(rng.uniform());
  at::Tensor y = at::empty({1}, at::kLong);
  y.data_ptr<std::int64_t>()[0] = 1;
  const at::Tensor margins = loss.margins(x, y, 0.03, false).contiguous();
  for (int s = 0; s < 200; ++s) {
    std::vector<double> at(64);
    for (std::size_t j = 0; j < 64; ++j)
      at[j] = static_cast<double>(x.data_ptr<float>()[j]) + (rng.bernoulli(0.5) ? 0.03 : -0.03);
    const std::vector<double> z = robustness::forward(model->network, at, 1).back();
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_LE(static_cast<double>(margins.data_ptr<float>()[k]), z[1] - z[k] + 1e-5);
  }
}

// beta = 0 leaves of TRADES the clean loss; noise of no size leaves of gaussian the same.
TEST(RobustLoss, LimitsAreStandardTraining) {
  const Rows rows = two_clues(80, 1);
  TrainOptions options;
  options.epochs = 2;
  const auto standard = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options);
  options.robust = {.method = TrainMethod::kTrades, .epsilon = 0.1, .steps = 2, .beta = 0};
  const auto trades = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options);
  options.robust = {.method = TrainMethod::kGaussian, .sigma = 1e-12};
  const auto quiet = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options);
  ASSERT_TRUE(standard.ok() && trades.ok() && quiet.ok());
  EXPECT_EQ(trades->losses, standard->losses);
  EXPECT_EQ(quiet->losses, standard->losses);
}

TEST(RobustTraining, SameBitsForAnyThreadAndAfterAResume) {
  const Rows rows = two_clues(96, 2);
  for (const TrainMethod method : {TrainMethod::kGaussian, TrainMethod::kFast, TrainMethod::kPgd, TrainMethod::kTrades,
                                   TrainMethod::kIbp, TrainMethod::kCrownIbp}) {
    TrainOptions options;
    options.epochs = 3;
    options.batch = 32;
    options.robust = {.method = method, .epsilon = 0.05, .sigma = 0.1, .steps = 2, .warmup = 0.5, .ramp = 2};
    const auto whole = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options);
    ASSERT_TRUE(whole.ok()) << whole.error().text();
    base::Result<TrainedNetwork> elsewhere = base::make_error(base::Code::kInternal, "not run");
    std::thread([&] { elsewhere = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options); }).join();
    ASSERT_TRUE(elsewhere.ok());
    EXPECT_EQ(elsewhere->losses, whole->losses);
    const testing::TempFolder folder;
    options.checkpoint = folder.file("net.plnet");
    options.epochs = 1;
    ASSERT_TRUE(train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options).ok());
    options.epochs = 3;
    const auto resumed = train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options);
    ASSERT_TRUE(resumed.ok());
    EXPECT_EQ(resumed->losses, whole->losses) << train_method_name(method);
    for (const auto& [name, tensor] : whole->graph.initializers)
      EXPECT_EQ(resumed->graph.initializers.at(name).reals, tensor.reals) << name;
    options.robust.epsilon = 0.06;
    options.robust.sigma = 0.2;
    EXPECT_THAT(train_classifier(mlp(64, {8}, 4), rows.inputs, rows.labels, options).error().text(),
                HasSubstr("other settings"));
  }
}

struct Judged {
  double clean = 0;
  double attacked = 0;
  double certified = 0;
};

Judged judge(const TrainedNetwork& network, const Rows& test, double epsilon) {
  const auto model = robustness::proof_model(network.graph);
  EXPECT_TRUE(model.ok());
  const robustness::InputDomain domain{std::vector<double>(64, 1), std::vector<double>(64, 0),
                                       std::vector<double>(64, 1)};
  robustness::CertifyOptions options;
  options.radii = {epsilon};
  options.method = robustness::CertifyMethod::kLinear;
  Judged out;
  for (Eigen::Index i = 0; i < test.inputs.rows(); ++i) {
    const auto found = robustness::certify(*model, std::span(test.inputs.data() + 64 * i, 64),
                                           test.labels[static_cast<std::size_t>(i)], domain, options);
    EXPECT_TRUE(found.ok());
    out.clean += found->clean ? 1 : 0;
    out.attacked += found->radii[0].broken ? 0 : 1;
    out.certified += found->radii[0].certified[1] ? 1 : 0;
  }
  for (double* share : {&out.clean, &out.attacked, &out.certified}) *share /= static_cast<double>(test.inputs.rows());
  return out;
}

// Standard training takes the clue that never errs and that 0.1 wipes out; the others take the one that is left.
TEST(RobustTraining, RobustAndCertifiedAccuracyRiseOverStandardTraining) {
  const Rows train = two_clues(1000, 10);
  const Rows test = two_clues(120, 11);
  std::map<TrainMethod, Judged> results;
  for (const TrainMethod method : {TrainMethod::kStandard, TrainMethod::kFast, TrainMethod::kPgd, TrainMethod::kTrades,
                                   TrainMethod::kIbp, TrainMethod::kCrownIbp}) {
    TrainOptions options;
    options.epochs = 20;
    options.rate = 3e-3;
    options.robust = {.method = method, .epsilon = 0.1, .steps = 4, .warmup = 1, .ramp = 5};
    const auto network = train_classifier(mlp(64, {24}, 4), train.inputs, train.labels, options);
    ASSERT_TRUE(network.ok()) << network.error().text();
    results[method] = judge(*network, test, 0.1);
    const Judged& r = results[method];
    RecordProperty(std::string(train_method_name(method)), std::to_string(r.attacked));
    std::cout << train_method_name(method) << ": clean " << r.clean << ", attacked " << r.attacked << ", certified "
              << r.certified << "\n";
  }
  const double standard = results.at(TrainMethod::kStandard).attacked;
  for (const TrainMethod method : {TrainMethod::kFast, TrainMethod::kPgd, TrainMethod::kTrades}) {
    EXPECT_GE(results.at(method).attacked, standard + 0.3) << train_method_name(method);
    EXPECT_GE(results.at(method).attacked, 0.7) << train_method_name(method);
  }
  for (const TrainMethod method : {TrainMethod::kIbp, TrainMethod::kCrownIbp})
    EXPECT_GE(results.at(method).certified, 0.7) << train_method_name(method);
}

TEST(RobustTraining, NamesWhatIsWrong) {
  const Rows rows = two_clues(10, 3);
  const auto message = [&](const RobustTraining& robust, const NetworkSpec& spec) {
    TrainOptions options;
    options.epochs = 1;
    options.robust = robust;
    const auto done = train_classifier(spec, rows.inputs, rows.labels, options);
    return done.ok() ? std::string() : done.error().text();
  };
  const NetworkSpec spec = mlp(64, {4}, 4);
  EXPECT_THAT(message({.method = TrainMethod::kPgd}, spec), HasSubstr("epsilon is 0"));
  EXPECT_THAT(message({.method = TrainMethod::kGaussian}, spec), HasSubstr("sigma is 0"));
  EXPECT_THAT(message({.method = TrainMethod::kPgd, .epsilon = 0.1, .steps = 0}, spec), HasSubstr("steps is 0"));
  EXPECT_THAT(message({.method = TrainMethod::kTrades, .epsilon = 0.1, .beta = -1}, spec), HasSubstr("beta is -1"));
  EXPECT_THAT(message({.method = TrainMethod::kIbp, .epsilon = 0.1, .ramp = 0}, spec), HasSubstr("ramp is 0"));
  EXPECT_THAT(message({.method = TrainMethod::kIbp, .epsilon = 0.1, .clean_weight = 2}, spec),
              HasSubstr("clean_weight"));
  EXPECT_THAT(message({.method = TrainMethod::kPgd, .epsilon = 0.1, .scale = {1}}, spec), HasSubstr("scale"));
  NetworkSpec cnn;
  cnn.kind = "cnn";
  cnn.input_shape = {1, 8, 8};
  cnn.classes = 4;
  EXPECT_THAT(message({.method = TrainMethod::kCrownIbp, .epsilon = 0.1}, cnn), HasSubstr("use method ibp"));
  EXPECT_THAT(parse_train_method("pgdd").error().text(), HasSubstr("Did you mean 'pgd'?"));
  EXPECT_EQ(*parse_train_method("crown-ibp"), TrainMethod::kCrownIbp);
}

}  // namespace
}  // namespace plumbline::nn

#include "plumbline/caution/temperature_scaling.hpp"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

struct Sample {
  MatrixD logits;
  std::vector<int> labels;
};

// Normal logits of deviation 3, labels drawn from softmax(z / temperature).
Sample simulate(base::Rng& rng, int n, int classes, double temperature) {
  Sample sample{MatrixD(n, classes), {}};
  for (int i = 0; i < n; ++i) {
    double total = 0;
    for (int c = 0; c < classes; ++c) {
      sample.logits(i, c) = rng.normal(0, 3);
      total += std::exp(sample.logits(i, c) / temperature);
    }
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < classes && u >= std::exp(sample.logits(i, label) / temperature)) {
      u -= std::exp(sample.logits(i, label++) / temperature);
    }
    sample.labels.push_back(label);
  }
  return sample;
}

double plain_loss(const Sample& sample, double beta) {
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < sample.logits.rows(); ++i) {
    double mass = 0;
    for (std::ptrdiff_t c = 0; c < sample.logits.cols(); ++c) mass += std::exp(beta * sample.logits(i, c));
    sum += std::log(mass) - beta * sample.logits(i, sample.labels[static_cast<std::size_t>(i)]);
  }
  return sum / static_cast<double>(sample.logits.rows());
}

// Three right and one wrong of margin m = 1 give beta = log(3) exactly.
TEST(TemperatureScaling, HandCase) {
  Sample sample{MatrixD::Zero(4, 2), {0, 0, 0, 1}};
  sample.logits.col(0).setOnes();
  const auto fit = *fit_temperature(sample.logits, sample.labels);
  EXPECT_EQ(fit.outcome, TemperatureFit::Outcome::kInterior);
  EXPECT_NEAR(fit.beta, std::log(3.0), 1e-12);
  EXPECT_NEAR(fit.temperature, 1 / std::log(3.0), 1e-12);
  // Information 4 p (1 - p) = 4 * 3/16.
  EXPECT_NEAR(*fit.beta_standard_error, 1 / std::sqrt(0.75), 1e-12);
  EXPECT_NEAR(fit.loss_before, plain_loss(sample, 1), 1e-14);
  EXPECT_NEAR(fit.loss_after, -(3 * std::log(0.75) + std::log(0.25)) / 4, 1e-14);
}

// An independent program's answer (tools/reference/temperature_scaling.py), root of the slope by bisection.
TEST(TemperatureScaling, AgreesWithTheStoredReference) {
  const auto reference = nlohmann::json::parse(
      testing::read_file(PLUMBLINE_SOURCE_DIR "/tests/reference/caution.temperature_scaling.json"));
  const auto rows = reference.at("logits").get<std::vector<std::vector<double>>>();
  MatrixD logits(static_cast<std::ptrdiff_t>(rows.size()), static_cast<std::ptrdiff_t>(rows.front().size()));
  for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) {
      logits(i, c) = rows[static_cast<std::size_t>(i)][static_cast<std::size_t>(c)];
    }
  }
  const auto fit = *fit_temperature(logits, reference.at("labels").get<std::vector<int>>());
  const double tolerance = reference.at("tolerance");
  const double temperature = reference.at("temperature");
  EXPECT_NEAR(fit.temperature, temperature, tolerance * temperature);
  EXPECT_NEAR(fit.loss_before, reference.at("loss_before"), 1e-12);
  EXPECT_NEAR(fit.loss_after, reference.at("loss_after"), 1e-12);
}

TEST(TemperatureScaling, TypedNonAnswers) {
  MatrixD logits(2, 2);
  logits << 1, 0, 2, 0;
  const auto backwards = *fit_temperature(logits, std::vector<int>{1, 1});
  EXPECT_EQ(backwards.outcome, TemperatureFit::Outcome::kNoInformation);
  EXPECT_EQ(backwards.beta, 0);
  EXPECT_NEAR(backwards.loss_after, std::log(2.0), 1e-15);
  EXPECT_FALSE(backwards.beta_standard_error);
  EXPECT_FALSE(backwards.estimate().low());
  EXPECT_EQ(backwards.estimate().warnings.size(), 1U);
  const auto separable = *fit_temperature(logits, std::vector<int>{0, 0});
  EXPECT_EQ(separable.outcome, TemperatureFit::Outcome::kSeparable);
  EXPECT_EQ(separable.temperature, 0);
  EXPECT_EQ(separable.loss_after, 0);
  const auto flat = *fit_temperature(MatrixD::Ones(3, 3), std::vector<int>{0, 1, 2});
  EXPECT_EQ(flat.outcome, TemperatureFit::Outcome::kNoInformation);
}

TEST(TemperatureScaling, NoPointOfAFineGridIsLower) {
  base::Rng rng(11);
  const Sample sample = simulate(rng, 300, 5, 2.0);
  const auto fit = *fit_temperature(sample.logits, sample.labels);
  EXPECT_NEAR(fit.loss_after, plain_loss(sample, fit.beta), 1e-12);
  for (int step = -200; step <= 200; ++step) {
    EXPECT_LE(fit.loss_after, plain_loss(sample, fit.beta * (1 + 1e-3 * step)) + 1e-14);
  }
  EXPECT_LE(fit.loss_after, fit.loss_before);
  EXPECT_LE(fit.steps, 12);  // Newton's own pace, not bisection's
}

TEST(TemperatureScaling, Invariances) {
  base::Rng rng(12);
  const Sample sample = simulate(rng, 2500, 4, 1.5);
  const auto fit = *fit_temperature(sample.logits, sample.labels);
  MatrixD shifted = sample.logits;
  for (std::ptrdiff_t i = 0; i < shifted.rows(); ++i) shifted.row(i).array() += rng.normal(0, 100);
  EXPECT_NEAR(fit_temperature(shifted, sample.labels)->temperature, fit.temperature, 1e-9);
  EXPECT_NEAR(fit_temperature(7.0 * sample.logits, sample.labels)->temperature, 7 * fit.temperature, 1e-9);
  const MatrixD reversed = sample.logits.colwise().reverse();
  const std::vector<int> reversed_labels(sample.labels.rbegin(), sample.labels.rend());
  EXPECT_NEAR(fit_temperature(reversed, reversed_labels)->temperature, fit.temperature, 1e-11);
  const MatrixD p = *apply_temperature(sample.logits, fit.temperature);
  for (std::ptrdiff_t i = 0; i < p.rows(); ++i) {
    Eigen::Index before = 0;
    Eigen::Index after = 0;
    sample.logits.row(i).maxCoeff(&before);
    p.row(i).maxCoeff(&after);
    EXPECT_EQ(before, after);
  }
  EXPECT_EQ(fit_temperature(sample.logits, sample.labels)->beta, fit.beta);
}

TEST(TemperatureScaling, ExtremeLogitsStayFinite) {
  MatrixD logits(3, 2);
  logits << 1e6, 0, 0, 1e6, 1e6, 0;
  const auto fit = *fit_temperature(logits, std::vector<int>{0, 1, 1});
  EXPECT_EQ(fit.outcome, TemperatureFit::Outcome::kInterior);
  EXPECT_NEAR(fit.beta * 1e6, std::log(2.0), 1e-6);
}

TEST(TemperatureScaling, NamesWhatIsWrong) {
  const MatrixD logits = MatrixD::Zero(2, 2);
  const std::vector<int> labels = {0, 1};
  EXPECT_EQ(fit_temperature(MatrixD(0, 2), {}).error().message, "logits.rows() is 0, expected at least 1");
  EXPECT_EQ(fit_temperature(MatrixD::Zero(1, 1), std::vector<int>{0}).error().message,
            "logits.cols() is 1, expected at least 2");
  EXPECT_EQ(fit_temperature(logits, std::vector<int>{0}).error().message, "labels has size 1, expected 2");
  EXPECT_EQ(fit_temperature(logits, std::vector<int>{0, 3}).error().message,
            "labels[1] is 3, expected an integer in [0, 2)");
  EXPECT_EQ(fit_temperature(logits, labels, {}, {.tolerance = 0}).error().message,
            "options.tolerance is 0, expected a positive number");
  EXPECT_FALSE(fit_temperature(logits, labels, std::vector<int>{0}).ok());
  MatrixD bad = logits;
  bad(1, 0) = NAN;
  EXPECT_EQ(fit_temperature(bad, labels).error().message, "logits row[0] is nan, expected a finite number");
  EXPECT_EQ(apply_temperature(logits, 0).error().message, "temperature is 0, expected a positive number");
}

// False alarm 1e-4: 361 to 395 of 400. A standard error 30 % too small slips through about 3 times in 100,000, one 20 %
// too small 13 times in 100.
TEST(TemperatureScalingStatistical, IntervalForBetaCovers) {
  const auto band = testing::binomial_band(400, 0.95, 1e-4);
  const int hits = testing::count_seeds(400, [](base::Rng& rng) {
    const Sample sample = simulate(rng, 500, 5, 2.0);
    const auto estimate = fit_temperature(sample.logits, sample.labels)->estimate();
    return *estimate.low() <= 2.0 && 2.0 <= *estimate.high();
  });
  EXPECT_TRUE(band.contains(hits)) << hits << " of 400";
}

// Every row five times over: the interval that takes rows for independent is 2.2 times too short and covers about 0.62;
// with units declared it must cover. 100 units of 5 copies; floor at false alarm 1e-4 below a coverage of 0.93, which
// is what a sandwich over 100 units reaches.
TEST(TemperatureScalingStatistical, IntervalOverUnitsCovers) {
  int with_units = 0;
  int without = 0;
  testing::count_seeds(300, [&](base::Rng& rng) {
    const Sample base = simulate(rng, 100, 4, 2.0);
    Sample copies{MatrixD(500, 4), {}};
    std::vector<int> units;
    for (int i = 0; i < 500; ++i) {
      copies.logits.row(i) = base.logits.row(i / 5);
      copies.labels.push_back(base.labels[static_cast<std::size_t>(i / 5)]);
      units.push_back(i / 5);
    }
    const auto covers = [](const stats::Estimate& e) { return *e.low() <= 2.0 && (!e.high() || 2.0 <= *e.high()); };
    with_units += covers(fit_temperature(copies.logits, copies.labels, units)->estimate()) ? 1 : 0;
    without += covers(fit_temperature(copies.logits, copies.labels)->estimate()) ? 1 : 0;
    return true;
  });
  EXPECT_GE(with_units, testing::binomial_floor(300, 0.93));
  EXPECT_LT(without, 240);
}

}  // namespace
}  // namespace plumbline::caution

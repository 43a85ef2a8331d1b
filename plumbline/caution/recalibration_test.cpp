#include "plumbline/caution/recalibration.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "plumbline/caution/temperature_scaling.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

struct Sample {
  MatrixD logits;
  std::vector<int> labels;
};

// Logits reported `sharper` times too large.
Sample simulate(base::Rng& rng, int n, int classes, double sharper) {
  Sample sample{MatrixD(n, classes), {}};
  for (int i = 0; i < n; ++i) {
    double total = 0;
    for (int c = 0; c < classes; ++c) total += std::exp(sample.logits(i, c) = rng.normal(0, 2));
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < classes && u >= std::exp(sample.logits(i, label))) u -= std::exp(sample.logits(i, label++));
    sample.labels.push_back(label);
  }
  sample.logits *= sharper;
  return sample;
}

double platt_loss(const std::vector<double>& scores, const std::vector<int>& outcomes, double slope, double intercept) {
  const double events = static_cast<double>(std::count(outcomes.begin(), outcomes.end(), 1));
  const double rest = static_cast<double>(outcomes.size()) - events;
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double t = outcomes[i] == 1 ? (events + 1) / (events + 2) : 1 / (rest + 2);
    const double p = 1 / (1 + std::exp(-(slope * scores[i] + intercept)));
    sum -= t * std::log(p) + (1 - t) * std::log(1 - p);
  }
  return sum;
}

TEST(Platt, NoNeighbourOnAGridIsLower) {
  base::Rng rng(1);
  std::vector<double> scores;
  std::vector<int> outcomes;
  for (int i = 0; i < 200; ++i) {
    scores.push_back(rng.normal(3, 5));
    outcomes.push_back(rng.bernoulli(1 / (1 + std::exp(-(0.5 * scores.back() - 1)))) ? 1 : 0);
  }
  const auto fit = *fit_platt(scores, outcomes);
  const double best = platt_loss(scores, outcomes, fit.slope, fit.intercept);
  for (int a = -20; a <= 20; ++a) {
    for (int b = -20; b <= 20; ++b) {
      EXPECT_LE(best, platt_loss(scores, outcomes, fit.slope + 1e-3 * a, fit.intercept + 1e-3 * b) + 1e-10);
    }
  }
  std::vector<double> scaled = scores;
  for (double& s : scaled) s = 1000 * s + 7;
  const auto other = *fit_platt(scaled, outcomes);
  for (const double s : {-5.0, 0.0, 3.0}) EXPECT_NEAR(other.apply(1000 * s + 7), fit.apply(s), 1e-9);
}

TEST(Platt, FiniteWhenSeparableOrOneSided) {
  const std::vector<double> scores = {-2, -1, 1, 2};
  const auto separable = *fit_platt(scores, std::vector<int>{0, 0, 1, 1});
  EXPECT_GT(separable.apply(2), 0.7);
  EXPECT_LT(separable.apply(2), 0.8);  // the target is (2 + 1) / (2 + 2)
  const auto one_sided = *fit_platt(scores, std::vector<int>{1, 1, 1, 1});
  EXPECT_NEAR(one_sided.apply(0), 5.0 / 6, 1e-9);
  const auto constant = *fit_platt(std::vector<double>{3, 3, 3, 3}, std::vector<int>{1, 0, 1, 0});
  EXPECT_NEAR(constant.apply(3), 0.5, 1e-9);
  EXPECT_EQ(fit_platt(scores, std::vector<int>{0, 0, 1, 2}).error().message,
            "outcomes[3] is 2, expected an integer in [0, 2)");
  EXPECT_EQ(fit_platt({}, {}).error().message, "scores.size() is 0, expected at least 1");
}

// The isotonic fit at x_i is max over a <= i of min over b >= i of mean(y_a..y_b): the plain min-max formula.
TEST(Isotonic, MatchesMinMaxFormula) {
  base::Rng rng(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> x;
    std::vector<double> y;
    for (int i = 0; i < 25; ++i) {
      x.push_back(i);
      y.push_back(0.1 * i + rng.normal());
    }
    const auto fit = *fit_isotonic(x, y);
    for (std::size_t i = 0; i < 25; ++i) {
      double best = -1e9;
      for (std::size_t a = 0; a <= i; ++a) {
        double least = 1e9;
        double sum = 0;
        for (std::size_t b = a; b < 25; ++b) {
          sum += y[b];
          if (b >= i) least = std::min(least, sum / static_cast<double>(b - a + 1));
        }
        best = std::max(best, least);
      }
      EXPECT_NEAR(fit.apply(x[i]), best, 1e-12);
    }
  }
}

TEST(Isotonic, PoolsTiesInterpolatesAndNamesWhatIsWrong) {
  const auto fit = *fit_isotonic(std::vector<double>{2, 1, 1, 3}, std::vector<double>{0.5, 0, 1, 0.9});
  EXPECT_DOUBLE_EQ(fit.apply(1), 0.5);
  EXPECT_DOUBLE_EQ(fit.apply(2), 0.5);
  EXPECT_DOUBLE_EQ(fit.apply(2.5), 0.7);
  EXPECT_DOUBLE_EQ(fit.apply(-9), 0.5);
  EXPECT_DOUBLE_EQ(fit.apply(9), 0.9);
  EXPECT_EQ(fit_isotonic({}, {}).error().message, "x.size() is 0, expected at least 1");
  EXPECT_EQ(fit_isotonic(std::vector<double>{1}, std::vector<double>{1, 2}).error().message,
            "y has size 2, expected 1");
  EXPECT_EQ(fit_isotonic(std::vector<double>{NAN}, std::vector<double>{1}).error().message,
            "x[0] is nan, expected a finite number");
}

TEST(Histogram, HandCase) {
  const auto fit = *fit_histogram(std::vector<double>{0.4, 0.1, 0.2, 0.3}, std::vector<double>{1, 0, 1, 1}, 2);
  ASSERT_EQ(fit.values.size(), 2U);
  EXPECT_DOUBLE_EQ(fit.edges[0], 0.25);
  EXPECT_DOUBLE_EQ(fit.apply(0.0), 0.5);
  EXPECT_DOUBLE_EQ(fit.apply(0.26), 1.0);
  const auto tied = *fit_histogram(std::vector<double>{1, 1, 1, 1}, std::vector<double>{1, 0, 1, 1}, 3);
  EXPECT_EQ(tied.values, std::vector<double>{0.75});
  EXPECT_EQ(fit_histogram(std::vector<double>{1}, std::vector<double>{1}, 0).error().message,
            "bins is 0, expected at least 1");
}

TEST(Recalibrator, RowsAreDistributionsForEveryKind) {
  base::Rng rng(3);
  for (const int classes : {2, 4}) {
    const Sample sample = simulate(rng, 300, classes, 3);
    for (const auto kind : {RecalibratorKind::kTemperature, RecalibratorKind::kPlatt, RecalibratorKind::kIsotonic,
                            RecalibratorKind::kHistogram}) {
      const auto map = *fit_recalibrator(kind, sample.logits, sample.labels);
      const MatrixD p = *map.apply(sample.logits);
      for (std::ptrdiff_t i = 0; i < p.rows(); ++i) {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < p.cols(); ++c) {
          EXPECT_GE(p(i, c), 0);
          sum += p(i, c);
        }
        EXPECT_NEAR(sum, 1, 1e-12) << recalibrator_name(kind);
      }
      // The same map from log-probabilities as from logits.
      const MatrixD logs = *log_probabilities(*apply_temperature(sample.logits, 1.0), 1e-300);
      const auto from_logs = *fit_recalibrator(kind, logs, sample.labels);
      const MatrixD same = *from_logs.apply(logs);
      if (kind != RecalibratorKind::kHistogram) {
        EXPECT_LT((same - p).cwiseAbs().maxCoeff(), 1e-6) << recalibrator_name(kind);
      }
    }
  }
}

TEST(Recalibrator, OutcomesAndErrors) {
  MatrixD logits(2, 2);
  logits << 1, 0, 2, 0;
  const auto useless = *fit_recalibrator(RecalibratorKind::kTemperature, logits, std::vector<int>{1, 1});
  EXPECT_EQ(useless.outcome, Recalibrator::Outcome::kNoInformation);
  EXPECT_EQ((*useless.apply(logits))(0, 0), 0.5);
  const auto separable = *fit_recalibrator(RecalibratorKind::kTemperature, logits, std::vector<int>{0, 0});
  EXPECT_EQ(separable.outcome, Recalibrator::Outcome::kSeparable);
  EXPECT_EQ(separable.apply(logits).error().message,
            "every calibration label is already the largest logit: no finite temperature");
  EXPECT_EQ(useless.apply(MatrixD::Zero(1, 3)).error().message, "logits.cols() has size 3, expected 2");
  EXPECT_EQ(fit_recalibrator(RecalibratorKind::kPlatt, logits, std::vector<int>{0}).error().message,
            "labels has size 1, expected 2");
}

// Logits twice too large: every map gains, and the error that is left is small against the error before. The paired
// gain's 95 % interval lies above zero in each of 20 runs of 600 rows (expected gain 0.1 nats, standard error about
// 0.02).
TEST(RecalibratorStatistical, UndoesOverconfidence) {
  for (const auto kind : {RecalibratorKind::kTemperature, RecalibratorKind::kPlatt, RecalibratorKind::kIsotonic,
                          RecalibratorKind::kHistogram}) {
    int gained = 0;
    double before = 0;
    double after = 0;
    testing::count_seeds(20, [&](base::Rng& rng) {
      const Sample fit = simulate(rng, 1500, 3, 2.5);
      const Sample fresh = simulate(rng, 600, 3, 2.5);
      const auto judged =
          *judge_recalibrator(*fit_recalibrator(kind, fit.logits, fit.labels), fresh.logits, fresh.labels);
      gained += *judged.gain.low() > 0 ? 1 : 0;
      before += top_label_calibration(*apply_temperature(fresh.logits, 1.0), fresh.labels)->rms.value / 20;
      after += judged.after.rms.value / 20;
      return true;
    });
    EXPECT_EQ(gained, 20) << recalibrator_name(kind);
    EXPECT_LT(after, 0.3 * before) << recalibrator_name(kind);
  }
}

// Honest logits: nothing to gain. The interval for the temperature map's gain excludes zero from below in few runs.
TEST(RecalibratorStatistical, FindsNothingWhereNothingIs) {
  const int gained = testing::count_seeds(200, [](base::Rng& rng) {
    const Sample fit = simulate(rng, 500, 3, 1);
    const Sample fresh = simulate(rng, 500, 3, 1);
    const auto map = *fit_recalibrator(RecalibratorKind::kTemperature, fit.logits, fit.labels);
    return *judge_recalibrator(map, fresh.logits, fresh.labels).value().gain.low() > 0;
  });
  EXPECT_LE(gained, testing::binomial_band(200, 0.05).high);
}

}  // namespace
}  // namespace plumbline::caution

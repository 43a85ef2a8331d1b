#include "plumbline/caution/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

struct Events {
  MatrixD confidences;
  MatrixD truth;  // probability of each outcome
  MatrixD outcomes;
  std::vector<int> units;
};

using Draw = std::function<double(base::Rng&)>;
using Truth = std::function<double(double)>;

// `copies` rows share confidence and outcome, as rows of one unit may.
Events simulate(base::Rng& rng, int n, int events, int copies, const Draw& confidence, const Truth& truth) {
  Events sample{MatrixD(n, events), MatrixD(n, events), MatrixD(n, events), {}};
  for (int i = 0; i < n; ++i) {
    sample.units.push_back(i / copies);
    for (int e = 0; e < events; ++e) {
      const bool fresh = i % copies == 0;
      sample.confidences(i, e) = fresh ? confidence(rng) : sample.confidences(i - 1, e);
      sample.truth(i, e) = truth(sample.confidences(i, e));
      sample.outcomes(i, e) =
          fresh ? static_cast<double>(rng.bernoulli(sample.truth(i, e))) : sample.outcomes(i - 1, e);
    }
  }
  return sample;
}

double medium(base::Rng& rng) { return rng.uniform(0.3, 0.95); }
double sure(base::Rng& rng) { return 1.0 - 0.02 * std::pow(rng.uniform(), 2); }
double honest(double p) { return p; }

TEST(CalibrationError, HandCase) {
  // Two bins of three rows: gaps 2/3 - 0.5 and 1/3 - 0.8.
  MatrixD confidences(6, 1);
  confidences << 0.5, 0.5, 0.5, 0.8, 0.8, 0.8;
  MatrixD outcomes(6, 1);
  outcomes << 1, 1, 0, 0, 1, 0;
  const auto error = *calibration_error(confidences, outcomes, {}, {.bins = 2, .least_per_bin = 3});
  const double first = 2.0 / 3 - 0.5;
  const double second = 1.0 / 3 - 0.8;
  EXPECT_NEAR(error.plug_in_ece, 0.5 * (first - second), 1e-15);
  EXPECT_NEAR(error.plug_in_rms, std::sqrt(0.5 * (first * first + second * second)), 1e-15);
  EXPECT_NEAR(error.largest_gap, -second, 1e-15);
  // Confidences are constant within bins, so this is the estimator of Kumar, Liang and Ma: y (1 - y) / (n_b - 1) less.
  const double noise = (2.0 / 9) / 2;
  EXPECT_NEAR(error.squared, 0.5 * (first * first - noise + second * second - noise), 1e-15);
  ASSERT_EQ(error.bins.size(), 1U);
  ASSERT_EQ(error.bins[0].size(), 2U);
  EXPECT_EQ(error.bins[0][0].count, 3U);
  EXPECT_NEAR(error.bins[0][1].accuracy, 1.0 / 3, 1e-15);
  EXPECT_NEAR(error.bins[0][1].confidence, 0.8, 1e-15);
}

TEST(CalibrationError, PlainFormulaOnRandomRows) {
  base::Rng rng(2);
  const Events sample = simulate(rng, 400, 1, 1, medium, [](double p) { return 0.9 * p; });
  const auto error = *calibration_error(sample.confidences, sample.outcomes);
  std::vector<std::pair<double, double>> rows;
  for (int i = 0; i < 400; ++i) rows.emplace_back(sample.confidences(i, 0), sample.outcomes(i, 0));
  std::sort(rows.begin(), rows.end());
  double ece = 0;
  double squared = 0;
  for (int b = 0; b < 15; ++b) {
    const int begin = b * 400 / 15;
    const int end = (b + 1) * 400 / 15;
    const double m = end - begin;
    double gap = 0;
    for (int i = begin; i < end; ++i)
      gap += (rows[static_cast<std::size_t>(i)].second - rows[static_cast<std::size_t>(i)].first) / m;
    double variance = 0;
    for (int i = begin; i < end; ++i) {
      variance +=
          std::pow(rows[static_cast<std::size_t>(i)].second - rows[static_cast<std::size_t>(i)].first - gap, 2) /
          (m - 1);
    }
    ece += m / 400 * std::abs(gap);
    squared += m / 400 * (gap * gap - variance / m);
  }
  EXPECT_NEAR(error.plug_in_ece, ece, 1e-13);
  EXPECT_NEAR(error.squared, squared, 1e-13);
}

TEST(CalibrationError, EqualConfidencesStayInOneBin) {
  MatrixD confidences = MatrixD::Constant(100, 1, 1.0);
  confidences.topRows(30).setConstant(0.6);
  MatrixD outcomes = MatrixD::Ones(100, 1);
  outcomes(3, 0) = 0;
  const auto error = *calibration_error(confidences, outcomes);
  ASSERT_EQ(error.bins[0].size(), 2U);
  EXPECT_EQ(error.bins[0][0].count, 30U);
  EXPECT_EQ(error.bins[0][1].count, 70U);
}

TEST(CalibrationError, InvariantToRowOrderAndUnitNames) {
  base::Rng rng(3);
  const Events sample = simulate(rng, 600, 2, 3, medium, [](double p) { return p * p; });
  const auto error = *calibration_error(sample.confidences, sample.outcomes, sample.units, {.bins = 8});
  std::vector<int> reversed(sample.units.rbegin(), sample.units.rend());
  for (int& unit : reversed) unit = 1000 - 3 * unit;
  const MatrixD c = sample.confidences.colwise().reverse();
  const MatrixD y = sample.outcomes.colwise().reverse();
  const auto other = *calibration_error(c, y, reversed, {.bins = 8});
  EXPECT_NEAR(error.rms.value, other.rms.value, 1e-12);
  EXPECT_NEAR(*error.rms.low(), *other.rms.low(), 1e-9);
  EXPECT_NEAR(*error.ece.high(), *other.ece.high(), 1e-9);
  EXPECT_EQ(error.rms.n, 600);
  EXPECT_NEAR(error.rms.n_effective, 200, 1e-9);
}

TEST(CalibrationError, BoundsAreOrderedAndHoldTheValue) {
  base::Rng rng(4);
  for (const double factor : {1.0, 0.95, 0.7}) {
    const Events sample = simulate(rng, 300, 1, 1, medium, [&](double p) { return factor * p; });
    const auto error = *calibration_error(sample.confidences, sample.outcomes);
    for (const stats::Estimate& e : {error.rms, error.ece}) {
      for (std::size_t r = 0; r < stats::kLadder.size(); ++r) {
        EXPECT_LE(*e.bounds.lower[r], e.value);
        EXPECT_GE(*e.bounds.upper[r], e.value);
        EXPECT_GT(*e.bounds.upper[r], 0);
        if (r > 0) {
          EXPECT_LE(*e.bounds.lower[r], *e.bounds.lower[r - 1]);
          EXPECT_GE(*e.bounds.upper[r], *e.bounds.upper[r - 1]);
        }
      }
    }
  }
}

TEST(CalibrationError, PerfectAndHopelessForecasts) {
  // Certain and always right: error 0, and the upper bound says what 200 rows can exclude.
  const MatrixD ones = MatrixD::Ones(200, 1);
  const auto right = *calibration_error(ones, ones);
  EXPECT_EQ(right.rms.value, 0);
  EXPECT_EQ(*right.rms.low(), 0);
  EXPECT_GT(*right.rms.high(), 0.002);
  EXPECT_LT(*right.rms.high(), 0.05);
  // Certain and always wrong.
  const auto wrong = *calibration_error(ones, MatrixD::Zero(200, 1));
  EXPECT_NEAR(wrong.rms.value, 1, 1e-12);
  EXPECT_GT(*wrong.rms.low(), 0.95);
}

TEST(CalibrationError, NamesWhatIsWrong) {
  const MatrixD c = MatrixD::Constant(4, 1, 0.5);
  const MatrixD y = MatrixD::Zero(4, 1);
  EXPECT_EQ(calibration_error(c.topRows(1), y.topRows(1)).error().message,
            "confidences.rows() is 1, expected at least 2");
  EXPECT_EQ(calibration_error(c, y.topRows(3)).error().message, "outcomes.rows() has size 3, expected 4");
  EXPECT_EQ(calibration_error(2 * c.array() + 0.5, y).error().message,
            "confidences(0, 0) is 1.5, expected a number in [0, 1]");
  EXPECT_EQ(calibration_error(c, y.array() - 1).error().message, "outcomes(0, 0) is -1, expected a number in [0, 1]");
  EXPECT_EQ(calibration_error(c, y, {}, {.bins = 0}).error().message, "options.bins is 0, expected at least 1");
  EXPECT_EQ(calibration_error(c, y, std::vector<int>{1, 1, 1, 1}).error().message,
            "number of units is 1, expected at least 2");
  EXPECT_EQ(calibration_error(MatrixD::Constant(2000, 50, 0.5), MatrixD::Zero(2000, 50)).error().message,
            "15 bins for each of 50 events exceed 600 in all");
  EXPECT_EQ(top_label_calibration(MatrixD::Constant(2, 2, 0.5), std::vector<int>{0, 2}).error().message,
            "labels[1] is 2, expected an integer in [0, 2)");
  EXPECT_EQ(class_wise_calibration(MatrixD::Constant(2, 2, 0.5), std::vector<int>{0}).error().message,
            "labels has size 1, expected 2");
  EXPECT_EQ(log_loss_rows(MatrixD::Constant(2, 2, 0.5), std::vector<int>{0, 1}, 0).error().message,
            "floor is 0, expected a number in (0, 1)");
}

TEST(CalibrationRows, BrierAndLogLossHandCase) {
  MatrixD p(2, 3);
  p << 0.7, 0.2, 0.1, 0, 0.5, 0.5;
  const std::vector<int> labels = {0, 0};
  const auto brier = *brier_rows(p, labels);
  EXPECT_NEAR(brier[0], 0.09 + 0.04 + 0.01, 1e-15);
  EXPECT_NEAR(brier[1], 1 + 0.25 + 0.25, 1e-15);
  const auto loss = *log_loss_rows(p, labels, 1e-6);
  EXPECT_NEAR(loss[0], -std::log(0.7), 1e-15);
  EXPECT_NEAR(loss[1], -std::log(1e-6), 1e-12);
}

TEST(CalibrationRows, TopLabelIsTheFirstOfTies) {
  MatrixD p(20, 2);
  p.setConstant(0.5);
  std::vector<int> labels(20, 0);
  EXPECT_NEAR(top_label_calibration(p, labels)->bins[0][0].accuracy, 1.0, 1e-15);
  EXPECT_NEAR(class_wise_calibration(p, labels)->plug_in_ece, 0.5, 1e-15);
}

// The binomial law for equal probabilities, and enumeration of all outcomes for unequal ones.
TEST(ConsistencyBand, MatchesEnumeration) {
  const std::vector<double> p = {0.1, 0.9, 0.35, 0.5, 0.77, 0.2, 0.05, 0.6};
  std::vector<double> law(p.size() + 1, 0.0);
  for (unsigned mask = 0; mask < 256; ++mask) {
    double mass = 1;
    unsigned count = 0;
    for (unsigned i = 0; i < 8; ++i) {
      const bool hit = (mask >> i & 1U) != 0;
      mass *= hit ? p[i] : 1 - p[i];
      count += hit ? 1 : 0;
    }
    law[count] += mass;
  }
  for (const double level : {0.5, 0.8, 0.95, 0.99}) {
    const MeanBand band = consistency_band(p, level);
    double below = 0;
    double above = 0;
    for (std::size_t k = 0; k < law.size(); ++k) {
      if (static_cast<double>(k) / 8 < band.low) below += law[k];
      if (static_cast<double>(k) / 8 > band.high) above += law[k];
    }
    const double tail = (1 - level) / 2;
    EXPECT_LE(below, tail);
    EXPECT_LE(above, tail);
    EXPECT_GT(below + law[static_cast<std::size_t>(std::lround(8 * band.low))], tail);
    EXPECT_GT(above + law[static_cast<std::size_t>(std::lround(8 * band.high))], tail);
  }
  const MeanBand certain = consistency_band(std::vector<double>{1, 1, 1}, 0.95);
  EXPECT_EQ(certain.low, 1);
  EXPECT_EQ(certain.high, 1);
  // The normal law takes over above 20,000 rows without a visible step.
  const std::vector<double> many(20000, 0.3);
  const std::vector<double> more(20001, 0.3);
  EXPECT_NEAR(consistency_band(many, 0.95).low, consistency_band(more, 0.95).low, 1e-4);
}

// One-sided bounds at 0.95 must cover, from calibrated models (error exactly 0) to badly wrong ones, with dense and
// with nearly errorless bins, and over units of five identical rows. 300 runs; floor 269 at false alarm 1e-4 a bound of
// a cell (bounds that cover exactly 0.95; most are cautious). A bound that covers 0.90 slips through one cell 62 times
// in 100, one that covers 0.85 once in 85, one that covers 0.80 5 times in a million.
struct Cell {
  const char* name;
  int rows;
  int events;
  int copies;
  Draw confidence;
  Truth truth;
};

TEST(CalibrationStatistical, BoundsCoverDownToZero) {
  const auto less = [](double d) { return Truth([d](double p) { return std::max(0.0, p - d); }); };
  const auto softer = [](double p) { return 1.0 / (1.0 + std::pow((1.0 - p) / p, 0.6)); };
  const std::vector<Cell> cells = {
      {"calibrated", 600, 1, 1, medium, honest},
      {"calibrated and sure", 600, 1, 1, sure, honest},
      {"slightly over", 600, 1, 1, medium, less(0.02)},
      {"over", 600, 1, 1, medium, less(0.1)},
      {"sure and over", 600, 1, 1, sure, less(0.01)},
      {"overconfident in log odds", 600, 1, 1, medium, softer},
      {"units, calibrated", 1000, 1, 5, medium, honest},
      {"units, over", 1000, 1, 5, medium, less(0.1)},
      {"three events, calibrated", 300, 3, 1, medium, honest},
      {"three events, over", 300, 3, 1, medium, less(0.05)},
  };
  const int floor = testing::binomial_floor(300, 0.95);
  for (const Cell& cell : cells) {
    int low_rms = 0, high_rms = 0, low_ece = 0, high_ece = 0;
    testing::count_seeds(300, [&](base::Rng& rng) {
      const Events sample = simulate(rng, cell.rows, cell.events, cell.copies, cell.confidence, cell.truth);
      const std::vector<int> units = cell.copies > 1 ? sample.units : std::vector<int>{};
      const CalibrationOptions options{.bins = cell.events > 1 ? 6 : 12};
      const auto error = *calibration_error(sample.confidences, sample.outcomes, units, options);
      const auto truth = *calibration_error(sample.confidences, sample.truth, units, options);
      low_rms += *error.rms.bounds.lower[2] <= truth.plug_in_rms + 1e-12 ? 1 : 0;
      high_rms += *error.rms.bounds.upper[2] >= truth.plug_in_rms ? 1 : 0;
      low_ece += *error.ece.bounds.lower[2] <= truth.plug_in_ece + 1e-12 ? 1 : 0;
      high_ece += *error.ece.bounds.upper[2] >= truth.plug_in_ece ? 1 : 0;
      return true;
    });
    EXPECT_GE(low_rms, floor) << cell.name;
    EXPECT_GE(high_rms, floor) << cell.name;
    EXPECT_GE(low_ece, floor) << cell.name;
    EXPECT_GE(high_ece, floor) << cell.name;
  }
}

// The debiased squared error is unbiased: its mean over 800 runs lies within four standard errors of the truth, where
// the plug-in figure is off by more than ten.
TEST(CalibrationStatistical, SquaredErrorIsUnbiased) {
  constexpr int kRuns = 800;
  std::vector<double> debiased;
  double plug_in = 0;
  testing::count_seeds(kRuns, [&](base::Rng& rng) {
    const Events sample = simulate(rng, 200, 1, 1, medium, [](double p) { return p - 0.05; });
    const auto error = *calibration_error(sample.confidences, sample.outcomes, {}, {.bins = 10, .band_level = 0.5});
    debiased.push_back(error.squared);
    plug_in += error.plug_in_rms * error.plug_in_rms / kRuns;
    return true;
  });
  double mean = 0;
  double square = 0;
  for (const double v : debiased) mean += v / kRuns;
  for (const double v : debiased) square += (v - mean) * (v - mean) / (kRuns - 1);
  const double standard_error = std::sqrt(square / kRuns);
  EXPECT_NEAR(mean, 0.0025, 4 * standard_error);
  EXPECT_GT(plug_in - 0.0025, 10 * standard_error);
}

}  // namespace
}  // namespace plumbline::caution

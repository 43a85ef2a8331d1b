#include "plumbline/caution/conformal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "plumbline/stats/intervals.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

struct Sample {
  MatrixD probabilities;
  std::vector<int> labels;
};

// Rows whose labels are drawn from their own probabilities, with some hard and some easy rows.
Sample simulate(base::Rng& rng, int n, int classes) {
  Sample sample{MatrixD(n, classes), std::vector<int>(static_cast<std::size_t>(n))};
  for (int i = 0; i < n; ++i) {
    const double sharpness = rng.bernoulli(0.5) ? 4.0 : 0.7;
    double total = 0;
    for (int c = 0; c < classes; ++c) total += sample.probabilities(i, c) = std::exp(sharpness * rng.normal());
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < classes && u >= sample.probabilities(i, label)) u -= sample.probabilities(i, label++);
    sample.labels[static_cast<std::size_t>(i)] = label;
    for (int c = 0; c < classes; ++c) sample.probabilities(i, c) /= total;
  }
  return sample;
}

double covered_share(const PredictionSets& sets, const std::vector<int>& labels) {
  double covered = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) covered += sets.contains(i, labels[i]) ? 1 : 0;
  return covered / static_cast<double>(labels.size());
}

TEST(ConformalPValue, CountsScoresAtLeastAsStrange) {
  const std::vector<double> calibration = {1, 2, 2, 3};
  EXPECT_DOUBLE_EQ(*conformal_p_value(calibration, 0.5), 1.0);
  EXPECT_DOUBLE_EQ(*conformal_p_value(calibration, 2), 4.0 / 5);
  EXPECT_DOUBLE_EQ(*conformal_p_value(calibration, 2.5), 2.0 / 5);
  EXPECT_DOUBLE_EQ(*conformal_p_value(calibration, 9), 1.0 / 5);
  EXPECT_DOUBLE_EQ(*conformal_p_value_randomised(calibration, 2, 0.0), 1.0 / 5);
  EXPECT_DOUBLE_EQ(*conformal_p_value_randomised(calibration, 2, 1.0), 4.0 / 5);
}

TEST(ConformalPValue, ManyAtOnceAgreeWithOneByOne) {
  base::Rng rng(1);
  std::vector<double> calibration(57);
  std::vector<double> scores(31);
  for (double& v : calibration) v = std::floor(rng.uniform(0, 20));
  for (double& v : scores) v = std::floor(rng.uniform(-2, 22));
  const auto values = *conformal_p_values(calibration, scores);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto count = std::count_if(calibration.begin(), calibration.end(), [&](double c) { return c >= scores[i]; });
    EXPECT_EQ(values[i], (1.0 + static_cast<double>(count)) / 58.0);
    EXPECT_EQ(values[i], *conformal_p_value(calibration, scores[i]));
  }
}

TEST(ConformalPValue, NamesWhatIsWrong) {
  EXPECT_EQ(conformal_p_value({}, 0).error().message, "calibration is empty, expected at least 1 score");
  const std::vector<double> bad = {0, std::nan("")};
  EXPECT_EQ(conformal_p_value(bad, 0).error().message, "calibration[1] is nan, expected a finite number");
  const std::vector<double> fine = {0};
  EXPECT_EQ(conformal_p_value(fine, INFINITY).error().message, "scores[0] is inf, expected a finite number");
  EXPECT_EQ(conformal_p_value_randomised(fine, 0, 1.5).error().message, "u is 1.5, expected a number in [0, 1]");
}

// Every order of n + 1 distinct scores is equally likely: P(p <= a) by enumeration of the judged row's rank is exact.
TEST(ConformalPValue, ExactUnderExchangeability) {
  std::vector<double> all = {3, 1, 4, 1.5, 9, 2.6};
  for (std::size_t k = 1; k <= all.size(); ++k) {
    const double level = static_cast<double>(k) / static_cast<double>(all.size());
    int hits = 0;
    for (std::size_t judged = 0; judged < all.size(); ++judged) {
      std::vector<double> calibration = all;
      calibration.erase(calibration.begin() + static_cast<std::ptrdiff_t>(judged));
      hits += *conformal_p_value(calibration, all[judged]) <= level + 1e-12 ? 1 : 0;
    }
    EXPECT_EQ(hits, static_cast<int>(k));
  }
}

TEST(ConformalRank, NeededRows) {
  EXPECT_EQ(conformal_rows_needed(0.5), 1U);
  EXPECT_EQ(conformal_rows_needed(0.8), 4U);
  EXPECT_EQ(conformal_rows_needed(0.9), 9U);
  EXPECT_EQ(conformal_rows_needed(0.95), 19U);
  EXPECT_EQ(conformal_rows_needed(0.99), 99U);
  EXPECT_EQ(conformal_rows_needed(0.999), 999U);
  EXPECT_EQ(conformal_rank(9, 0.9), 9U);
  EXPECT_EQ(conformal_rank(8, 0.9), std::nullopt);
  EXPECT_EQ(conformal_rank(100, 0.9), 91U);
}

TEST(CoverageLaw, MatchesPlainFormulas) {
  const CoverageLaw law = *coverage_law(20, 0.9);
  EXPECT_EQ(law.rank, 19U);
  EXPECT_DOUBLE_EQ(law.mean(), 19.0 / 21);
  // Fresh rows fall among 20 calibration scores uniformly over all interleavings: P(covered = x) by counting them,
  // C(x + k - 1, x) C(m - x + n - k, m - x) / C(n + m, m).
  const auto choose = [](double a, double b) {
    return std::exp(std::lgamma(a + 1) - std::lgamma(b + 1) - std::lgamma(a - b + 1));
  };
  const int m = 30;
  double sum = 0;
  for (int x = 0; x <= m; ++x) {
    sum += choose(x + 18, x) * choose(m - x + 1, m - x) / choose(50, m);
    EXPECT_NEAR(law.count_cdf(static_cast<std::size_t>(x), m), sum, 1e-12);
  }
  EXPECT_EQ(law.count_cdf(m, m), 1.0);
  const std::size_t median = law.count_quantile(0.5, m);
  EXPECT_GE(law.count_cdf(median, m), 0.5);
  EXPECT_LT(law.count_cdf(median - 1, m), 0.5);
  // Beta(19, 2): cdf(x) = 20 x^19 - 19 x^20.
  const double q = law.quantile(0.05);
  EXPECT_NEAR(20 * std::pow(q, 19) - 19 * std::pow(q, 20), 0.05, 1e-9);
  EXPECT_EQ(coverage_law(8, 0.9).error().message, "8 calibration rows cannot serve level 0.9: at least 9 are needed");
  EXPECT_EQ(coverage_law(8, 1.0).error().message, "level is 1, expected a number in (0, 1)");
}

TEST(FitConformal, HandCase) {
  MatrixD p(4, 2);
  p << 0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6;
  const std::vector<int> labels = {0, 0, 1, 0};  // scores 0.1, 0.2, 0.3, 0.6
  const auto model = *fit_conformal(p, labels, {.method = ConformalMethod::kLac, .level = 0.6}, base::Rng(1));
  ASSERT_EQ(model.thresholds.size(), 1U);
  EXPECT_DOUBLE_EQ(model.thresholds[0], 0.3);  // rank ceil(5 * 0.6) = 3
  MatrixD fresh(3, 2);
  fresh << 0.75, 0.25, 0.5, 0.5, 0.2, 0.8;
  const auto sets = *predict_sets(model, fresh, base::Rng(2));
  EXPECT_EQ(sets.size(0), 1U);
  EXPECT_TRUE(sets.contains(0, 0));
  EXPECT_EQ(sets.size(1), 0U);
  EXPECT_TRUE(sets.contains(2, 1));
}

TEST(FitConformal, TooFewRowsIsAnOutcome) {
  base::Rng rng(3);
  const Sample sample = simulate(rng, 8, 3);
  const auto model = *fit_conformal(sample.probabilities, sample.labels, {.level = 0.9}, rng);
  EXPECT_EQ(model.outcome, ConformalModel::Outcome::kTooFewRows);
  EXPECT_EQ(model.rows_needed, 9U);
  EXPECT_EQ(predict_sets(model, sample.probabilities, rng).error().message,
            "model has no threshold: 8 calibration rows, 9 needed");
}

TEST(FitConformal, MondrianKeepsShortClassesInEverySet) {
  base::Rng rng(4);
  Sample sample = simulate(rng, 60, 3);
  for (int& label : sample.labels) label = label == 2 ? 0 : label;
  sample.labels[5] = 2;
  const auto model =
      *fit_conformal(sample.probabilities, sample.labels, {.method = ConformalMethod::kMondrian, .level = 0.9}, rng);
  EXPECT_EQ(model.outcome, ConformalModel::Outcome::kReady);
  EXPECT_EQ(model.always_included, std::vector<int>{2});
  const auto sets = *predict_sets(model, sample.probabilities, rng);
  for (std::size_t i = 0; i < 60; ++i) EXPECT_TRUE(sets.contains(i, 2));
}

TEST(FitConformal, NamesWhatIsWrong) {
  MatrixD p = MatrixD::Constant(2, 2, 0.5);
  const std::vector<int> labels = {0, 1};
  const base::Rng rng(1);
  EXPECT_EQ(fit_conformal(p, std::vector<int>{0}, {}, rng).error().message, "labels has size 1, expected 2");
  EXPECT_EQ(fit_conformal(p, std::vector<int>{0, 2}, {}, rng).error().message,
            "labels[1] is 2, expected an integer in [0, 2)");
  EXPECT_EQ(fit_conformal(p, labels, {.level = 1}, rng).error().message, "level is 1, expected a number in (0, 1)");
  EXPECT_EQ(fit_conformal(p, labels, {.raps_penalty = -1}, rng).error().message,
            "raps_penalty is -1, expected a number in [0, 1000000]");
  EXPECT_EQ(fit_conformal(MatrixD(0, 2), {}, {}, rng).error().message,
            "probabilities.rows() is 0, expected at least 1");
  EXPECT_EQ(fit_conformal(MatrixD::Ones(1, 1), std::vector<int>{0}, {}, rng).error().message,
            "probabilities.cols() is 1, expected at least 2");
  p(1, 0) = 0.7;
  EXPECT_EQ(fit_conformal(p, labels, {}, rng).error().message, "probabilities row 1 sums to 1.2, expected 1");
  p(1, 0) = std::nan("");
  EXPECT_EQ(fit_conformal(p, labels, {}, rng).error().message,
            "probabilities(1, 0) is nan, expected a number in [0, 1]");
  EXPECT_EQ(parse_conformal_method("apps").error().message, "method is 'apps', expected lac, mondrian, aps or raps");
  EXPECT_EQ(*parse_conformal_method("raps"), ConformalMethod::kRaps);
}

TEST(FitConformal, SetsGrowWithTheLevelAndDoNotDependOnRowOrder) {
  base::Rng rng(5);
  const Sample fit = simulate(rng, 200, 5);
  const Sample judged = simulate(rng, 100, 5);
  for (const auto method :
       {ConformalMethod::kLac, ConformalMethod::kMondrian, ConformalMethod::kAps, ConformalMethod::kRaps}) {
    std::size_t before = 0;
    for (const double level : {0.5, 0.8, 0.9, 0.95}) {
      const auto model =
          *fit_conformal(fit.probabilities, fit.labels, {.method = method, .level = level}, base::Rng(6));
      const auto sets = *predict_sets(model, judged.probabilities, base::Rng(7));
      std::size_t total = 0;
      for (std::size_t i = 0; i < sets.rows; ++i) total += sets.size(i);
      EXPECT_GE(total, before) << conformal_method_name(method) << " at " << level;
      before = total;
    }
  }
  const MatrixD reversed = fit.probabilities.colwise().reverse();
  const std::vector<int> reversed_labels(fit.labels.rbegin(), fit.labels.rend());
  EXPECT_EQ(fit_conformal(fit.probabilities, fit.labels, {}, base::Rng(1))->thresholds,
            fit_conformal(reversed, reversed_labels, {}, base::Rng(1))->thresholds);
}

TEST(FitConformal, RapsWithoutPenaltyIsAps) {
  base::Rng rng(8);
  const Sample sample = simulate(rng, 100, 4);
  const auto aps = *fit_conformal(sample.probabilities, sample.labels, {.method = ConformalMethod::kAps}, base::Rng(1));
  const auto raps = *fit_conformal(sample.probabilities, sample.labels,
                                   {.method = ConformalMethod::kRaps, .raps_penalty = 0}, base::Rng(1));
  EXPECT_EQ(aps.thresholds, raps.thresholds);
}

// Over 4000 draws of 50 calibration and 40 fresh rows the count of covered rows must follow the beta-binomial law: its
// lower and upper 5 % tails are hit at the law's own rates. False alarm 1e-4 for each comparison; a tail twice as
// likely as stated, or a coverage one row in 40 too low, slips through less than once in a million.
TEST(ConformalStatistical, CoverageFollowsTheExactLaw) {
  constexpr std::size_t kFresh = 40;
  const CoverageLaw law = *coverage_law(50, 0.9);
  const std::size_t low = law.count_quantile(0.05, kFresh);
  const std::size_t high = law.count_quantile(0.8, kFresh);
  for (const auto method : {ConformalMethod::kLac, ConformalMethod::kAps, ConformalMethod::kRaps}) {
    int below = 0;
    int at_most_high = 0;
    testing::count_seeds(4000, [&](base::Rng& rng) {
      const Sample fit = simulate(rng, 50, 4);
      const Sample fresh = simulate(rng, kFresh, 4);
      const auto model =
          *fit_conformal(fit.probabilities, fit.labels, {.method = method, .level = 0.9}, rng.fork("fit"));
      const auto sets = *predict_sets(model, fresh.probabilities, rng.fork("judge"));
      const auto covered = static_cast<std::size_t>(std::lround(covered_share(sets, fresh.labels) * kFresh));
      below += covered <= low ? 1 : 0;
      at_most_high += covered <= high ? 1 : 0;
      return true;
    });
    EXPECT_TRUE(testing::binomial_band(4000, law.count_cdf(low, kFresh)).contains(below))
        << conformal_method_name(method) << ' ' << below;
    EXPECT_TRUE(testing::binomial_band(4000, law.count_cdf(high, kFresh)).contains(at_most_high))
        << conformal_method_name(method) << ' ' << at_most_high;
  }
}

// One class is predicted badly: a single threshold leaves it under-covered, one threshold per class does not.
// Coverage of that class within one run is Beta(91, 10) averaged over 60 runs: mean 0.901, deviation 0.004.
TEST(ConformalStatistical, MondrianCoversEveryClass) {
  double lac = 0;
  double mondrian = 0;
  constexpr int kRuns = 60;
  testing::count_seeds(kRuns, [&](base::Rng& rng) {
    const auto draw = [&](int n) {
      Sample sample{MatrixD(n, 2), {}};
      for (int i = 0; i < n; ++i) {
        const int label = i % 5 == 0 ? 1 : 0;
        const double p = label == 0 ? rng.uniform(0.7, 1.0) : rng.uniform(0.05, 0.6);
        sample.labels.push_back(label);
        sample.probabilities(i, label) = p;
        sample.probabilities(i, 1 - label) = 1 - p;
      }
      return sample;
    };
    const Sample fit = draw(500);
    const Sample fresh = draw(500);
    for (const auto method : {ConformalMethod::kLac, ConformalMethod::kMondrian}) {
      const auto model =
          *fit_conformal(fit.probabilities, fit.labels, {.method = method, .level = 0.9}, rng.fork("fit"));
      const auto sets = *predict_sets(model, fresh.probabilities, rng.fork("judge"));
      double covered = 0;
      for (std::size_t i = 0; i < 500; i += 5) covered += sets.contains(i, 1) ? 0.01 : 0;
      (method == ConformalMethod::kLac ? lac : mondrian) += covered / kRuns;
    }
    return true;
  });
  EXPECT_LT(lac, 0.6);
  EXPECT_NEAR(mondrian, 0.901, 0.024);  // four standard errors of 60 runs with 100 fresh rows each
}

PredictionSets sets_of(const std::vector<std::vector<int>>& members, int classes) {
  PredictionSets sets{members.size(), classes, {}};
  sets.member.resize(members.size() * static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (const int c : members[i]) sets.member[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(c)] = 1;
  }
  return sets;
}

TEST(JudgeSets, HandCase) {
  const auto sets = sets_of({{0}, {0, 1}, {}, {1, 2}, {2}, {0, 1, 2}}, 3);
  const std::vector<int> labels = {0, 1, 0, 2, 1, 0};
  const auto quality = *judge_sets(sets, labels);
  EXPECT_NEAR(quality.coverage.value, 4.0 / 6, 1e-15);
  EXPECT_NEAR(quality.size.value, 9.0 / 6, 1e-15);
  EXPECT_NEAR(quality.empty_share, 1.0 / 6, 1e-15);
  EXPECT_EQ(quality.worst, 1);
  EXPECT_NEAR(quality.worst_class.value, 0.5, 1e-15);
  EXPECT_EQ(quality.missed, (std::vector<std::size_t>{2, 4}));
  EXPECT_EQ(quality.size_counts, (std::vector<std::size_t>{1, 2, 2, 1}));
  // Three classes at 0.95 share the rung 0.99. Class 1 (one of two) has the smallest exact lower bound, 1 - sqrt(0.99).
  EXPECT_NEAR(*quality.worst_class.bounds.lower[2], 1 - std::sqrt(0.99), 1e-9);
  EXPECT_FALSE(quality.worst_class.bounds.lower.back());  // no rung above the top
  EXPECT_EQ(judge_sets(sets, std::vector<int>{0}).error().message, "labels has size 1, expected 6");
  EXPECT_EQ(judge_sets(sets, std::vector<int>{0, 0, 0, 0, 0, 3}).error().message,
            "labels[5] is 3, expected an integer in [0, 3)");
}

TEST(JudgeSets, SizeOfEqualSetsIsStillBounded) {
  const std::vector<std::vector<int>> members(100, std::vector<int>{1});
  const auto quality = *judge_sets(sets_of(members, 2), std::vector<int>(100, 1));
  EXPECT_EQ(quality.size.value, 1);
  EXPECT_GT(*quality.size.high(), 1);
  EXPECT_LT(*quality.size.low(), 1);
  EXPECT_EQ(quality.worst_class.warnings.size(), 1U);  // class 0 has no row
}

// Ten classes covered at 0.9 each: the lower bound for the worst must hold although the worst is chosen after seeing.
// 500 runs, floor 0.95 at false alarm 1e-4; the upper bound of the worst class taken alone fails in more than one run
// of five.
TEST(JudgeSetsStatistical, WorstClassBoundHolds) {
  int alone = 0;
  const int hits = testing::count_seeds(500, [&](base::Rng& rng) {
    std::vector<std::vector<int>> members;
    std::vector<int> labels;
    for (int i = 0; i < 400; ++i) {
      labels.push_back(i % 10);
      members.push_back(rng.bernoulli(0.9) ? std::vector<int>{i % 10} : std::vector<int>{});
    }
    const auto quality = *judge_sets(sets_of(members, 10), labels);
    const auto covered = static_cast<std::size_t>(std::lround(quality.worst_class.value * 40));
    alone += stats::clopper_pearson(covered, 40)->bounds.upper[2] >= 0.9 ? 1 : 0;
    return *quality.worst_class.bounds.lower[2] <= 0.9 && *quality.worst_class.bounds.upper[2] >= 0.9;
  });
  EXPECT_GE(hits, testing::binomial_floor(500, 0.95));
  EXPECT_LT(alone, 400);
}

}  // namespace
}  // namespace plumbline::caution

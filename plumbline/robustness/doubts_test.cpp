#include "plumbline/robustness/doubts.hpp"

#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/uncertainty_response.hpp"
#include "plumbline/stats/logistic.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

struct Rows {
  MatrixF features;
  std::vector<int> labels;
};

Rows clouds(base::Rng& rng, std::ptrdiff_t n, std::ptrdiff_t d = 4, int classes = 3) {
  Rows rows{MatrixF(n, d), {}};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const int k = static_cast<int>(rng.below(static_cast<std::uint64_t>(classes)));
    for (std::ptrdiff_t j = 0; j < d; ++j) rows.features(i, j) = static_cast<float>(rng.normal(j == k ? 2 : 0, 1));
    rows.labels.push_back(k);
  }
  return rows;
}

struct Fitted {
  Rows train, calibration, fresh;
  stats::LogisticModel model;
  base::Result<ClassifierDoubts> doubts;
};
Fitted fitted(base::Rng& rng, std::ptrdiff_t calibration_rows, std::ptrdiff_t fresh_rows) {
  Rows train = clouds(rng, 300);
  Rows calibration = clouds(rng, calibration_rows);
  Rows fresh = clouds(rng, fresh_rows);
  const stats::LogisticModel model = *stats::fit_logistic(train.features, train.labels, 3);
  const MatrixD logits = *model.logits(calibration.features);
  auto doubts = fit_doubts({train.features, train.labels, 3, logits, calibration.features, calibration.labels, {}}, {},
                           rng.fork("fit"));
  return {std::move(train), std::move(calibration), std::move(fresh), model, std::move(doubts)};
}

TEST(RowMahalanobis, IsTheScoreOfTheDetector) {
  base::Rng rng(1);
  const Rows rows = clouds(rng, 200, 7);
  const auto score = fit_mahalanobis(rows.features, rows.labels, 3);
  ASSERT_TRUE(score.ok());
  const auto row = RowMahalanobis::make(*score);
  ASSERT_TRUE(row.ok()) << row.error().text();
  const VectorD want = *score->score(rows.features);
  std::vector<double> white;
  for (std::ptrdiff_t i = 0; i < 200; ++i) {
    EXPECT_NEAR(row->score({rows.features.data() + i * 7, 7}, white), want(i), 1e-9 * (1 + want(i)));
  }
  RowMahalanobis::State state = row->state();
  state.whitener.conservativeResize(6, 7);
  EXPECT_FALSE(RowMahalanobis::from_state(state).ok());
}

TEST(Doubts, SameSeedSameThresholds) {
  base::Rng a(2), b(2);
  const Fitted one = fitted(a, 200, 5);
  const Fitted other = fitted(b, 200, 5);
  ASSERT_TRUE(one.doubts.ok()) << one.doubts.error().text();
  EXPECT_EQ(one.doubts->thresholds_hash(), other.doubts->thresholds_hash());
  EXPECT_EQ(one.doubts->temperature_rows, 100U);
  EXPECT_EQ(one.doubts->distances.size(), 100U);
  ClassifierDoubts moved = *other.doubts;
  moved.distances.back() += 1e-9;
  EXPECT_NE(moved.thresholds_hash(), one.doubts->thresholds_hash());
}

TEST(Doubts, FaultsAreNamed) {
  base::Rng rng(3);
  const Rows train = clouds(rng, 100);
  const Rows few = clouds(rng, 12);
  const MatrixD logits = MatrixD::Random(12, 3);
  const DoubtData data{train.features, train.labels, 3, logits, few.features, few.labels, {}};
  const auto too_few = fit_doubts(data, {}, rng);
  ASSERT_FALSE(too_few.ok());
  EXPECT_NE(too_few.error().text().find("6 rows fit the thresholds"), std::string::npos) << too_few.error().text();
  EXPECT_FALSE(fit_doubts(data, {.level = 1.0}, rng).ok());
  EXPECT_FALSE(fit_doubts(data, {.draws = 3}, rng).ok());
  DoubtData wrong = data;
  wrong.classes = 2;
  EXPECT_FALSE(fit_doubts(wrong, {}, rng).ok());
}

// Both thresholds are conformal on rows that fitted nothing else: sets hold the label in 0.9 of draws, and the p-value
// is at most 0.1 in at most 0.1 of them. One fresh row a repeat, so that repeats are independent.
TEST(DoubtsStatistical, SetsCoverAndPValuesAreHonest) {
  int alarms = 0;
  const int covered = testing::count_seeds(600, [&](base::Rng& rng) {
    const Fitted f = fitted(rng, 80, 1);
    DoubtScratch scratch;
    RowDoubts row;
    const MatrixD logits = *f.model.logits(f.fresh.features);
    f.doubts->ask({logits.data(), 3}, {f.fresh.features.data(), 4}, scratch, row);
    alarms += row.p_value <= 0.1 ? 1 : 0;
    return row.in_set[static_cast<std::size_t>(f.fresh.labels[0])] != 0;
  });
  // Rank ceil(41 * 0.9) = 37 of 40: coverage 37 / 41. p <= 0.1: 4 of 41 ranks.
  EXPECT_TRUE(testing::binomial_band(600, 37.0 / 41).contains(covered)) << covered;
  EXPECT_TRUE(testing::binomial_band(600, 4.0 / 41).contains(alarms)) << alarms;
}

// The published matrix: docs/developer/guard.md holds these figures.
TEST(ResponseMatrix, EachPlantMovesItsOwnKindThreeTimesAsFar) {
  const auto matrix = response_matrix({}, base::Rng(7));
  ASSERT_TRUE(matrix.ok()) << matrix.error().text();
  for (std::size_t plant = 0; plant < 4; ++plant) {
    for (std::size_t kind = 0; kind < 4; ++kind) {
      const stats::Estimate& response = matrix->response[plant][kind];
      const stats::Estimate& margin = matrix->margin[plant][kind];
      std::printf("%-18s %-15s %7.3f [%7.3f, %7.3f]  margin %7.3f low %7.3f\n",
                  std::string(doubt_plant(kDoubts[plant])).c_str(), std::string(doubt_kind_name(kDoubts[kind])).c_str(),
                  response.value, response.low().value_or(NAN), response.high().value_or(NAN), margin.value,
                  margin.low().value_or(NAN));
      if (plant == kind) {
        EXPECT_GT(response.low().value_or(-1), 1) << doubt_plant(kDoubts[plant]);
      } else {
        // No coupling is excused: own response at least three times any other, at 0.95 one-sided.
        EXPECT_GT(margin.bounds.lower[2].value_or(margin.value), 0)
            << doubt_plant(kDoubts[plant]) << " moves " << doubt_kind_name(kDoubts[kind]);
      }
    }
  }
}

TEST(ResponseMatrix, NeedsTenWorlds) { EXPECT_FALSE(response_matrix({.worlds = 9}, base::Rng(1)).ok()); }

}  // namespace
}  // namespace plumbline::robustness

#include "plumbline/methodology/evaluation_aa.hpp"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/methodology/content_units.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::methodology {
namespace {

using ::plumbline::testing::count_seeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Rows {
  std::vector<double> scores;
  std::vector<int> items;
};

/// `items` items, each `copies` times; every copy of an item is right with the item's own probability.
Rows repeated(base::Rng& rng, int items, int copies, bool exact_copies) {
  Rows rows;
  for (int i = 0; i < items; ++i) {
    const double p = exact_copies ? (rng.bernoulli(0.8) ? 1.0 : 0.0) : rng.beta(4, 1);
    for (int c = 0; c < copies; ++c) {
      rows.scores.push_back(rng.bernoulli(p) ? 1 : 0);
      rows.items.push_back(i);
    }
  }
  return rows;
}

std::vector<int> every_row(std::size_t n) {
  std::vector<int> units(n);
  for (std::size_t i = 0; i < n; ++i) units[i] = static_cast<int>(i);
  return units;
}

// Independent rows: over 100 data sets the count of 200 splits stays in its exact 99 % region. Given the rows the rate
// is 0.05 up to the granularity of counts, hence at most 4 sets outside (1 expected; a rate of 0.08 would put 20
// outside).
TEST(EvaluationAa, StatisticalHonestComparisonStaysInItsRegion) {
  const int outside = count_seeds(100, [](base::Rng& rng) {
    Rows rows = repeated(rng, 400, 1, false);
    const AaResult r = evaluation_aa(rows.scores, rows.items, {}, {.splits = 200}, rng).value();
    return r.uniformity.too_many || r.uniformity.too_few;
  });
  EXPECT_LE(outside, 4);
}

// 50 items stored 5 times taken for 250 rows: the rate is far above 0.05 and the region sees it every time; the same
// rows compared by item stay inside.
TEST(EvaluationAa, StatisticalCopiesTakenForRowsAreCaught) {
  double rate = 0;
  int quiet = 0;
  const int caught = count_seeds(30, [&](base::Rng& rng) {
    const Rows rows = repeated(rng, 50, 5, true);
    const AaResult wrong = evaluation_aa(rows.scores, rows.items, {}, {}, rng).value();
    const AaResult right = evaluation_aa(rows.scores, rows.items, rows.items, {}, rng).value();
    rate += wrong.false_alarm_rate.value / 30;
    quiet += *right.false_alarm_rate.bounds.lower[2] <= 0.1;
    return wrong.uniformity.too_many && *wrong.false_alarm_rate.bounds.lower[2] > 0.1;
  });
  EXPECT_EQ(caught, 30);
  EXPECT_EQ(quiet, 30);
  EXPECT_GT(rate, 0.25);
  EXPECT_LT(rate, 0.50);
}

TEST(EvaluationAa, SplittingCopiesApartHidesTheDefect) {
  base::Rng rng(5);
  const Rows rows = repeated(rng, 50, 5, true);
  const AaResult blind = evaluation_aa(rows.scores, every_row(250), {}, {}, rng).value();
  EXPECT_LT(blind.false_alarm_rate.value, 0.1);
}

TEST(EvaluationAa, SameSeedSameBitsForAnyThreadsAndConstantScoresAreQuiet) {
  base::Rng rng(6);
  const Rows rows = repeated(rng, 100, 1, false);
  base::set_threads(1);
  const AaResult one = evaluation_aa(rows.scores, rows.items, {}, {}, rng).value();
  base::set_threads(2);
  const AaResult two = evaluation_aa(rows.scores, rows.items, {}, {}, rng).value();
  base::set_threads(0);
  EXPECT_EQ(one.p_values, two.p_values);
  EXPECT_LE(*one.distance.low(), one.distance.value);
  EXPECT_GE(*one.distance.high(), one.distance.value);
  const std::vector<double> flat(60, 1.0);
  const AaResult quiet = evaluation_aa(flat, every_row(60), {}, {}, rng).value();
  EXPECT_EQ(quiet.uniformity.rejections, 0U);
  EXPECT_EQ(quiet.distance.value, 0);
}

TEST(EvaluationAa, Errors) {
  base::Rng rng(7);
  const Rows rows = repeated(rng, 10, 5, false);
  EXPECT_THAT(evaluation_aa(rows.scores, rows.items, {}, {}, rng).error().message, HasSubstr("n = 10 units"));
  EXPECT_THAT(evaluation_aa(rows.scores, every_row(50), {}, {.splits = 10}, rng).error().message, HasSubstr("splits"));
  EXPECT_EQ(evaluation_aa(rows.scores, every_row(49), {}, {}, rng).error().code, base::Code::kShape);
  EXPECT_EQ(evaluation_aa(rows.scores, every_row(50), every_row(4), {}, rng).error().code, base::Code::kShape);
  EXPECT_THAT(evaluation_aa(rows.scores, every_row(50), {}, {.level = 1}, rng).error().message, HasSubstr("level"));
}

data::Dataset matrix_set(const MatrixF& matrix) {
  data::Dataset set;
  set.kind = data::Dataset::Kind::kMatrix;
  set.matrix = matrix;
  return set;
}

TEST(ContentUnits, JoinsCopiesAndDeclaredUnits) {
  MatrixF m(6, 2);
  m << 1.5F, 2, 3.25F, 4, 1.5F, 2, 7, 8, -0.0F, 1, 0.0F, 1;
  data::Dataset set = matrix_set(m);
  const ContentUnits plain = content_units(set).value();
  EXPECT_TRUE(plain.merged);
  EXPECT_EQ(plain.distinct_inputs, 4U);
  EXPECT_EQ(plain.copied_rows, 4U);
  EXPECT_THAT(plain.unit_of_row, ElementsAre(0, 1, 0, 2, 3, 3));
  set.units = {1, 2, 3, 2, 5, 6};  // rows 1 and 3 belong together; content joins 0, 2 and 4, 5
  EXPECT_THAT(content_units(set).value().unit_of_row, ElementsAre(0, 1, 0, 1, 2, 2));
  EXPECT_THAT(content_units(set, Merge::kNever).value().unit_of_row, ElementsAre(0, 1, 2, 1, 3, 4));
}

TEST(ContentUnits, CoarseRowsMayAgreeByChance) {
  MatrixF m(40, 2);
  for (int i = 0; i < 40; ++i) {
    m(i, 0) = static_cast<float>(i % 4);
    m(i, 1) = static_cast<float>(i % 5);
  }
  const ContentUnits units = content_units(matrix_set(m)).value();
  EXPECT_FALSE(units.merged);
  EXPECT_EQ(units.units, 40U);
  EXPECT_EQ(units.distinct_inputs, 20U);
  EXPECT_THAT(units.reason, HasSubstr("by chance"));
  EXPECT_EQ(content_units(matrix_set(m), Merge::kAlways).value().units, 20U);
}

TEST(ContentUnits, TablesCompareValuesAndMissingCells) {
  data::Dataset set;
  set.kind = data::Dataset::Kind::kTable;
  data::Column id, group;
  id.name = "id";
  id.numbers = {1, 2, NAN, NAN, 4};
  group.kind = data::Column::Kind::kCategory;
  group.codes = {0, 1, -1, -1, 0};
  group.levels = {"a", "b"};
  set.table.columns = {id, group};
  EXPECT_THAT(content_units(set).value().unit_of_row, ElementsAre(0, 1, 2, 2, 3));
  EXPECT_FALSE(content_units(data::Dataset{}).ok());
  EXPECT_EQ(parse_merge("always").value(), Merge::kAlways);
  EXPECT_THAT(parse_merge("maybe").error().message, HasSubstr("'maybe'"));
}

}  // namespace
}  // namespace plumbline::methodology

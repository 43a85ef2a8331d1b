#include "plumbline/counterfactual/coverage.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

const Regime& regime(const std::string& name) {
  for (const Regime& r : coverage_regimes()) {
    if (r.name == name) return r;
  }
  return coverage_regimes().front();
}

const CoverageCell& cell(const std::vector<CoverageCell>& cells, Estimator e, Interval i) {
  for (const CoverageCell& c : cells) {
    if (c.estimator == e && c.interval == i) return c;
  }
  ADD_FAILURE() << "no such cell";
  return cells.front();
}

// What is known without a table: where policies overlap well, unbiased estimators have figures around the truth and
// normal intervals as wide as the deviation says; where propensities are wrong, the log is refused.
TEST(CoverageStatistical, CellsAreWhatTheoryKnows) {
  const auto good = measure_coverage(regime("overlap"), {.draws = 200, .cheap_only = true});
  ASSERT_TRUE(good.ok()) << good.error().text();
  const CoverageCell& ips = cell(*good, Estimator::kIps, Interval::kNormal);
  EXPECT_EQ(ips.state, CellState::kCovers);
  EXPECT_EQ(ips.bounded, 200);
  EXPECT_GE(ips.covered, testing::binomial_floor(200, 0.95));
  EXPECT_LT(std::abs(ips.bias), 4 / std::sqrt(200.0));
  // The deviation of 200 figures is known to 5 %.
  EXPECT_NEAR(ips.width_ratio, 1, 0.2);
  EXPECT_GT(cell(*good, Estimator::kIps, Interval::kBernstein).width_ratio, 1.2) << "holds always, so it is wider";
  const auto wrong = measure_coverage(regime("wrong_propensities"), {.draws = 50, .cheap_only = true});
  const CoverageCell& lied = cell(*wrong, Estimator::kSnips, Interval::kNormal);
  EXPECT_EQ(lied.state, CellState::kAbstains);
  EXPECT_GE(lied.warned + lied.abstained, 48);
}

TEST(Coverage, SameBitsForAnyThreadsAndEveryCellOnce) {
  base::set_threads(1);
  const auto one = measure_coverage(regime("small_propensities"), {.draws = 4, .replicates = 100}).value();
  base::set_threads(3);
  const auto three = measure_coverage(regime("small_propensities"), {.draws = 4, .replicates = 100}).value();
  base::set_threads(0);
  std::set<std::pair<Estimator, Interval>> seen;
  for (std::size_t c = 0; c < one.size(); ++c) {
    EXPECT_EQ(one[c].width, three[c].width);
    EXPECT_EQ(one[c].bias, three[c].bias);
    EXPECT_TRUE(seen.emplace(one[c].estimator, one[c].interval).second);
  }
  EXPECT_EQ(seen.size(), 29U) << "ten estimators twice, auto once, likelihood twice, bernstein and anytime three times";
  int defaults = 0;
  for (const CoverageCell& c : one) defaults += is_default(c) ? 1 : 0;
  EXPECT_EQ(defaults, 4);
  EXPECT_FALSE(measure_coverage(regime("overlap"), {.draws = 0}).ok());
}

}  // namespace
}  // namespace plumbline::counterfactual

// Quantilizers: the cost bound holds and is met, the toy of mild optimisation gives the inverted U, joint choice costs
// q^k.

#include "plumbline/caution/quantilizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::caution {
namespace {

using ::testing::HasSubstr;

TEST(Quantilizer, BoundHoldsForEveryCostAndIsMet) {
  base::Rng rng(1, {"quantilizer"});
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t m = 1 + rng.below(8);
    std::vector<double> base(m);
    std::vector<double> value(m);
    double sum = 0;
    for (std::size_t i = 0; i < m; ++i) {
      sum += base[i] = rng.exponential();
      value[i] = static_cast<double>(rng.below(4));  // ties
    }
    for (double& p : base) p /= sum;
    const double share = 0.02 + 0.98 * rng.uniform();
    const Quantile q = quantilize(base, value, share).value();
    double total = 0;
    double worst = 0;
    double mean = 0;
    double base_mean = 0;
    for (std::size_t i = 0; i < m; ++i) {
      total += q.probability[i];
      worst = std::max(worst, q.probability[i] / base[i]);  // the cost that falls on option i alone
      mean += q.probability[i] * value[i];
      base_mean += base[i] * value[i];
    }
    EXPECT_NEAR(total, 1, 1e-12);
    EXPECT_LE(worst, 1 / share * (1 + 1e-12));
    EXPECT_NEAR(worst, q.cost_factor, 1e-9);
    EXPECT_GE(mean, base_mean - 1e-12);
    // Of all policies with density at most 1 / share none has a better value: moving mass from a worse to a better
    // option is blocked, since better options are full.
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < m; ++j) {
        if (value[j] > value[i] && q.probability[i] > 0) {
          EXPECT_NEAR(q.probability[j], base[j] / share, 1e-12);
        }
      }
    }
  }
}

TEST(Quantilizer, TiesShareAndOrderIsIrrelevant) {
  const Quantile q = quantilize(std::array{0.2, 0.3, 0.5}, std::array{1.0, 1.0, 0.0}, 0.25).value();
  EXPECT_NEAR(q.probability[0], 0.4, 1e-12);
  EXPECT_NEAR(q.probability[1], 0.6, 1e-12);
  EXPECT_NEAR(q.cost_factor, 2, 1e-12);
  EXPECT_EQ(q.threshold, 1);
}

TEST(Quantilizer, TheToyIsAnInvertedU) {
  const std::vector<double> shares = {1, .5, .2, .1, .05, .02, .01, .005, .002, .001};
  const std::vector<MildRow> rows = mild_optimisation(shares).value();
  const std::vector<double> printed = {-0.01, 0.54, 0.93, 1.13, 1.22, 1.11, 0.67, -0.42, -4.06, -9.96};
  // Those figures were drawn: at small shares few options are left, so the closed form differs by up to 0.26.
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(rows[i].truth, printed[i], i < 6 ? 0.03 : 0.3) << shares[i];
  const auto top =
      std::max_element(rows.begin(), rows.end(), [](const MildRow& a, const MildRow& b) { return a.truth < b.truth; });
  EXPECT_EQ(top->share, 0.05);
  for (std::size_t i = 1; i < rows.size(); ++i) EXPECT_GT(rows[i].proxy, rows[i - 1].proxy) << "the proxy always rises";
}

TEST(Quantilizer, ClosedFormAgreesWithSimulation) {
  base::Rng rng(2, {"quantilizer"});
  const MildWorld world{0.7, 0.02, 4, -3};
  std::vector<std::pair<double, double>> draws;
  for (int i = 0; i < 200000; ++i) {
    double truth = rng.normal();
    double proxy = truth + rng.normal(0, world.noise);
    if (rng.bernoulli(world.exploit_rate)) {
      truth += world.exploit_truth;
      proxy += world.exploit_proxy;
    }
    draws.emplace_back(proxy, truth);
  }
  std::sort(draws.rbegin(), draws.rend());
  const std::vector<double> shares = {1, 0.3, 0.05};
  const std::vector<MildRow> rows = mild_optimisation(shares, world).value();
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const auto n = static_cast<std::size_t>(shares[i] * 200000);
    double truth = 0;
    double proxy = 0;
    for (std::size_t j = 0; j < n; ++j) {
      proxy += draws[j].first / static_cast<double>(n);
      truth += draws[j].second / static_cast<double>(n);
    }
    // At least 10,000 draws with a deviation of at most 2.2: 0.09 is four standard errors.
    EXPECT_NEAR(rows[i].truth, truth, 0.09);
    EXPECT_NEAR(rows[i].proxy, proxy, 0.09);
  }
}

TEST(Quantilizer, ManyActionsAtOnceCostThePower) {
  const std::vector<JointRow> rows = quantilize_jointly(0.1, 20).value();
  EXPECT_NEAR(rows[0].joint_value, rows[0].separate_value, 1e-12);
  EXPECT_NEAR(rows[0].separate_value, 95.5, 1e-9);
  EXPECT_NEAR(rows[2].joint_share, 1e-3, 1e-15);
  EXPECT_NEAR(rows[2].separate_cost, 1e3, 1e-9);
  for (std::size_t k = 1; k < rows.size(); ++k) EXPECT_LT(rows[k].joint_value, rows[k - 1].joint_value);
  EXPECT_LT(rows[19].joint_value, 63) << "a bound held at 10 leaves little of the gain of 45 at twenty actions";
  // Two actions of three levels by hand: the best 1/3 of nine pairs are (3,3), (2,3), (3,2).
  const std::vector<JointRow> small = quantilize_jointly(1.0 / 3, 2, 3).value();
  EXPECT_NEAR(small[1].joint_value, (3 + 2.5 + 2.5) / 3, 1e-9);
}

TEST(Quantilizer, RefusesNonsense) {
  EXPECT_THAT(quantilize(std::array{0.5, 0.4}, std::array{1.0, 2.0}, 0.5).error().text(), HasSubstr("sums to 0.9"));
  EXPECT_THAT(quantilize(std::array{1.0}, std::array{1.0, 2.0}, 0.5).error().text(), HasSubstr("value"));
  EXPECT_THAT(quantilize(std::array{1.0}, std::array{1.0}, 0.0).error().text(), HasSubstr("share"));
  EXPECT_THAT(quantilize(std::array{1.0}, std::array{std::nan("")}, 0.5).error().text(), HasSubstr("value"));
  EXPECT_EQ(quantilize({}, {}, 0.5).error().code, base::Code::kValue);
  EXPECT_THAT(mild_optimisation(std::array{1.5}).error().text(), HasSubstr("share"));
  EXPECT_THAT(mild_optimisation(std::array{0.5}, {1, 1.0, 0, 0}).error().text(), HasSubstr("exploit_rate"));
  EXPECT_THAT(mild_optimisation(std::array{0.5}, {-1, 0.1, 0, 0}).error().text(), HasSubstr("noise"));
  EXPECT_THAT(quantilize_jointly(0.5, 0).error().text(), HasSubstr("most_actions"));
  EXPECT_THAT(quantilize_jointly(0.5, 2, 1).error().text(), HasSubstr("levels"));
}

}  // namespace
}  // namespace plumbline::caution

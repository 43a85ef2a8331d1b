// The specification radius: closed forms by hand, the choice stays inside and changes just outside, brute force on
// policies.

#include "plumbline/caution/specification_radius.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using ::testing::HasSubstr;
using world::Process;
using world::TabularPolicy;

constexpr SlipNorm kNorms[] = {SlipNorm::kEuclid, SlipNorm::kSum, SlipNorm::kLargest};

double size_of(const std::vector<double>& x, SlipNorm norm) {
  double squares = 0;
  double sum = 0;
  double largest = 0;
  for (const double v : x) {
    squares += v * v;
    sum += std::abs(v);
    largest = std::max(largest, std::abs(v));
  }
  return norm == SlipNorm::kEuclid ? std::sqrt(squares) : norm == SlipNorm::kSum ? sum : largest;
}

std::vector<double> moved(const std::vector<double>& from, const std::vector<double>& to, double share) {
  std::vector<double> out = from;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += share * (to[i] - from[i]);
  return out;
}

TEST(SpecificationRadius, HandCase) {
  MatrixD features(3, 2);
  features << 1, 0, 0, 1, -5, -5;
  const std::vector<double> w = {2, 1};
  const SpecificationRadius euclid = option_radius(features, w).value();
  EXPECT_EQ(euclid.chosen, 0U);
  EXPECT_EQ(euclid.rival, 1U);
  EXPECT_NEAR(euclid.radius, 1 / std::sqrt(2), 1e-12);
  EXPECT_NEAR(euclid.nearest[0], 1.5, 1e-12);
  EXPECT_NEAR(euclid.nearest[1], 1.5, 1e-12);
  EXPECT_NEAR(euclid.relative, 1 / std::sqrt(10), 1e-12);
  EXPECT_NEAR(option_radius(features, w, SlipNorm::kSum)->radius, 1, 1e-12);
  EXPECT_NEAR(option_radius(features, w, SlipNorm::kLargest)->radius, 0.5, 1e-12);
  const SpecificationRadius alone = option_radius(features.topRows(1), w).value();
  EXPECT_TRUE(std::isinf(alone.radius));
  EXPECT_TRUE(alone.nearest.empty());
}

TEST(SpecificationRadius, OptionsStayInsideAndChangeOutside) {
  base::Rng rng(1, {"radius"});
  for (int trial = 0; trial < 50; ++trial) {
    MatrixD features(5, 3);
    for (std::ptrdiff_t i = 0; i < features.size(); ++i) features.data()[i] = rng.normal();
    std::vector<double> w(3);
    for (double& x : w) x = rng.normal();
    const auto best = [&](const std::vector<double>& weights) {
      std::size_t top = 0;
      double value = -1e300;
      for (std::ptrdiff_t i = 0; i < 5; ++i) {
        double v = 0;
        for (std::ptrdiff_t j = 0; j < 3; ++j) v += features(i, j) * weights[static_cast<std::size_t>(j)];
        if (v > value) {
          value = v;
          top = static_cast<std::size_t>(i);
        }
      }
      return top;
    };
    for (const SlipNorm norm : kNorms) {
      const SpecificationRadius found = option_radius(features, w, norm).value();
      std::vector<double> slip = found.nearest;
      for (std::size_t i = 0; i < 3; ++i) slip[i] -= w[i];
      EXPECT_NEAR(size_of(slip, norm), found.radius, 1e-12);
      EXPECT_EQ(best(moved(w, found.nearest, 1 + 1e-9)), found.rival);
      for (int i = 0; i < 200; ++i) {
        std::vector<double> other = w;
        std::vector<double> d(3);
        for (double& x : d) x = rng.normal();
        for (std::size_t f = 0; f < 3; ++f) other[f] += d[f] / size_of(d, norm) * found.radius * (1 - 1e-9);
        EXPECT_EQ(best(other), found.chosen);
      }
    }
  }
}

struct Case {
  Process process;
  MatrixD features;
  std::vector<double> weights;
  std::vector<double> reward(const std::vector<double>& w) const {
    std::vector<double> r(process.pairs(), 0.0);
    for (std::size_t i = 0; i < r.size(); ++i) {
      for (std::size_t j = 0; j < w.size(); ++j)
        r[i] += features(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j)) * w[j];
    }
    return r;
  }
};

Case random_case(base::Rng& rng) {
  Case made;
  world::ProcessBuilder builder(2, 2, 3);
  builder.start(0, 1);
  for (std::uint32_t s = 0; s < 2; ++s) {
    for (std::uint32_t a = 0; a < 2; ++a) {
      const double p = rng.uniform();
      builder.add(s, a, 0, p);
      builder.add(s, a, 1, 1 - p);
    }
  }
  made.process = std::move(builder).finish().value();
  made.features.resize(4, 3);
  for (std::ptrdiff_t i = 0; i < made.features.size(); ++i) made.features.data()[i] = rng.normal();
  for (int j = 0; j < 3; ++j) made.weights.push_back(rng.normal());
  return made;
}

TEST(SpecificationRadius, PoliciesStayInsideAndChangeOutside) {
  base::Rng rng(2, {"radius"});
  for (int trial = 0; trial < 30; ++trial) {
    const Case c = random_case(rng);
    const TabularPolicy now = world::finite_horizon(c.process, c.reward(c.weights))->policy;
    for (const SlipNorm norm : kNorms) {
      const SpecificationRadius found = policy_radius(c.process, c.features, c.weights, norm).value();
      const TabularPolicy beyond =
          world::finite_horizon(c.process, c.reward(moved(c.weights, found.nearest, 1 + 1e-7)))->policy;
      const auto state = static_cast<std::uint32_t>(found.rival / 2);
      EXPECT_EQ(beyond.at(found.time, state)[found.rival % 2], 1);
      EXPECT_EQ(now.at(found.time, state)[found.chosen % 2], 1);
      for (int i = 0; i < 50; ++i) {
        std::vector<double> other = c.weights;
        std::vector<double> d(3);
        for (double& x : d) x = rng.normal();
        for (std::size_t f = 0; f < 3; ++f) other[f] += d[f] / size_of(d, norm) * found.radius * (1 - 1e-7);
        EXPECT_EQ(world::finite_horizon(c.process, c.reward(other))->policy.probability, now.probability);
      }
      EXPECT_GE(policy_radius(c.process, c.features, c.weights, norm, true)->radius, found.radius);
    }
  }
}

TEST(SpecificationRadius, SlipsOfOneWeightAgreeWithAllPolicies) {
  base::Rng rng(3, {"radius"});
  for (int trial = 0; trial < 20; ++trial) {
    const Case c = random_case(rng);
    // Feature sums of all 64 deterministic policies.
    std::vector<std::vector<double>> sums;
    for (int code = 0; code < 64; ++code) {
      TabularPolicy policy{2, 2, 3, std::vector<double>(12, 0.0)};
      for (int d = 0; d < 6; ++d) policy.probability[static_cast<std::size_t>(2 * d + ((code >> d) & 1))] = 1;
      const std::vector<double> mu = world::occupancy(c.process, policy).value();
      std::vector<double> f(3, 0.0);
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 3; ++j)
          f[j] += mu[i] * c.features(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j));
      }
      sums.push_back(f);
    }
    const auto value = [&](const std::vector<double>& f) {
      return f[0] * c.weights[0] + f[1] * c.weights[1] + f[2] * c.weights[2];
    };
    const auto now =
        *std::max_element(sums.begin(), sums.end(), [&](const auto& a, const auto& b) { return value(a) < value(b); });
    const std::vector<WeightSlip> slips = weight_slips(c.process, c.features, c.weights).value();
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < 3; ++j) {
      for (const double sign : {1.0, -1.0}) {
        double change = std::numeric_limits<double>::infinity();
        for (const auto& f : sums) {
          const double more = sign * (f[j] - now[j]);
          if (more > 1e-9) change = std::min(change, (value(now) - value(f)) / more);
        }
        const auto found = std::find_if(slips.begin(), slips.end(),
                                        [&](const WeightSlip& s) { return s.feature == j && s.change * sign > 0; });
        ASSERT_EQ(found != slips.end(), std::isfinite(change));
        if (found != slips.end()) {
          EXPECT_NEAR(std::abs(found->change), change, 1e-8);
        }
        nearest = std::min(nearest, change);
      }
    }
    EXPECT_NEAR(std::abs(slips.front().change), nearest, 1e-8);
    // What changes from the start is at most as near as what changes anywhere.
    EXPECT_GE(nearest, policy_radius(c.process, c.features, c.weights, SlipNorm::kSum)->radius - 1e-9);
  }
}

TEST(SpecificationRadius, PlausibleRewardsPartWhereNothingSuitsAll) {
  // Room 0 leads to a shared good (action 0) in room 1; in room 1 the two readings want different things.
  world::ProcessBuilder builder(2, 2, 2);
  builder.start(0, 1);
  for (std::uint32_t a = 0; a < 2; ++a) {
    builder.add(0, a, a == 0 ? 1 : 2, 1);
    builder.add(1, a, 2, 1);
  }
  const Process process = std::move(builder).finish().value();
  decision::RewardPosterior values;
  values.rewards.resize(3, 4);
  values.rewards << 1, 0, 3, 0, 1, 0, 0, 2, 0, 9, 0, 0;
  values.probability = {0.5, 0.5, 0};
  const std::vector<Parting> later = partings(process, values, 1).value();
  ASSERT_EQ(later.size(), 1U);
  EXPECT_EQ(later[0].state, 1U);
  EXPECT_NEAR(later[0].loss, 2, 1e-12);
  EXPECT_EQ(later[0].action, 0U);
  const std::vector<Parting> first = partings(process, values, 0).value();
  ASSERT_EQ(first.size(), 1U) << "room 1 parts at time 0 too; room 0 does not";
  EXPECT_EQ(first[0].state, 1U);
  EXPECT_TRUE(partings(process, decision::literal({1, 0, 3, 0}))->empty());
}

TEST(SpecificationRadius, RefusesNonsense) {
  EXPECT_EQ(option_radius(MatrixD::Zero(2, 2), std::vector<double>{1}).error().code, base::Code::kShape);
  EXPECT_THAT(option_radius(MatrixD::Zero(2, 1), std::vector<double>{std::nan("")}).error().text(),
              HasSubstr("weights"));
  EXPECT_THAT(option_radius(MatrixD(0, 1), std::vector<double>{1}).error().text(), HasSubstr("features"));
  base::Rng rng(4, {"radius"});
  const Case c = random_case(rng);
  EXPECT_EQ(policy_radius(c.process, c.features.topRows(2), c.weights).error().code, base::Code::kShape);
  EXPECT_THAT(partings(c.process, decision::literal({0, 0, 0, 0}), 3).error().text(), HasSubstr("time"));
  EXPECT_TRUE(std::isnan(option_radius(MatrixD::Zero(2, 1), std::vector<double>{0})->relative));
}

}  // namespace
}  // namespace plumbline::caution

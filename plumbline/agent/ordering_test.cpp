// The order of approaches: p-values against enumeration, error rates of planted good, bad and equal approaches.

#include "plumbline/agent/ordering.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

Achievements two(std::vector<std::vector<double>> a, std::vector<std::vector<double>> b) {
  Achievements out;
  out.approaches = {"a", "b"};
  for (std::size_t w = 0; w < a.size(); ++w) out.worlds.push_back("w" + std::to_string(w));
  out.value = {std::move(a), std::move(b)};
  return out;
}

Comparison pair_of(const Achievements& achieved, OrderingOptions options = {}) {
  return order_approaches(achieved, options, base::Rng(1)).value().pairs.front();
}

// Every relabelling within worlds, listed.
double enumerated_p(const Achievements& achieved) {
  std::vector<double> sums = {0};
  double observed = 0;
  for (std::size_t w = 0; w < achieved.worlds.size(); ++w) {
    std::vector<double> pool = achieved.value[0][w];
    const std::size_t runs = pool.size();
    observed += std::accumulate(pool.begin(), pool.end(), 0.0);
    pool.insert(pool.end(), achieved.value[1][w].begin(), achieved.value[1][w].end());
    const double all = std::accumulate(pool.begin(), pool.end(), 0.0);
    observed -= all / 2;
    std::vector<double> next;
    for (unsigned mask = 0; mask < 1U << pool.size(); ++mask) {
      if (static_cast<std::size_t>(__builtin_popcount(mask)) != runs) continue;
      double mine = 0;
      for (std::size_t i = 0; i < pool.size(); ++i) mine += (mask >> i & 1U) != 0 ? pool[i] : 0;
      for (const double s : sums) next.push_back(s + mine - all / 2);
    }
    sums = std::move(next);
  }
  const auto large =
      std::count_if(sums.begin(), sums.end(), [&](double s) { return std::abs(s) >= std::abs(observed) - 1e-9; });
  return static_cast<double>(large) / static_cast<double>(sums.size());
}

TEST(Ordering, PValuesAreThoseOfEveryRelabellingStatistical) {
  base::Rng rng(7);
  for (int c = 0; c < 6; ++c) {
    std::vector<std::vector<double>> a(2);
    std::vector<std::vector<double>> b(2);
    for (std::size_t w = 0; w < 2; ++w) {
      for (int r = 0; r < 4; ++r) {
        a[w].push_back(rng.uniform() + 0.15 * c);
        b[w].push_back(rng.uniform());
      }
    }
    const Achievements both = two(a, b);
    OrderingOptions options;
    options.level = 1e-4;  // 50,000 draws at most
    const double exact = enumerated_p(both);
    const double drawn = pair_of(both, options).p_value;
    // 20 relabellings as large at least: four standard errors are a relative 4 / sqrt(20).
    EXPECT_NEAR(drawn, exact, exact * 4 / std::sqrt(20.0)) << c;
  }
}

TEST(Ordering, TheEstimatesAreWhatTheirFormulasSay) {
  const Comparison pair = pair_of(two({{1, 2}, {0, 0}}, {{1, 0}, {0, 1}}));
  EXPECT_EQ(pair.worlds, 2U);
  EXPECT_DOUBLE_EQ(pair.difference, ((1.5 - 0.5) + (0 - 0.5)) / 2);
  // World 0: 1 ties 1 and beats 0, 2 beats both: 3.5 of 4. World 1: ties and losses: 1 of 4.
  EXPECT_DOUBLE_EQ(pair.improvement, (3.5 / 4 + 1.0 / 4) / 2);
}

TEST(Ordering, WhatNeverVariesIsComparedExactly) {
  const Comparison fact = pair_of(two({{1, 1}, {0, 0}}, {{0.9, 0.9}, {0, 0}}));
  EXPECT_TRUE(fact.exact);
  EXPECT_EQ(fact.better, 1);
  const Comparison same = pair_of(two({{1, 1}}, {{1, 1}}));
  EXPECT_TRUE(same.exact);
  EXPECT_EQ(same.better, 0);
  const Comparison alone = pair_of(two({{1, 1}, {}}, {{}, {0, 0}}));
  EXPECT_EQ(alone.worlds, 0U);
  EXPECT_EQ(alone.better, 0);
}

TEST(Ordering, OrderNamesAndShiftsDoNotMatter) {
  base::Rng rng(3);
  Achievements achieved;
  achieved.approaches = {"p", "q", "r"};
  achieved.worlds = {"w", "v"};
  achieved.value.assign(3, std::vector<std::vector<double>>(2, std::vector<double>(5)));
  for (std::size_t a = 0; a < 3; ++a) {
    for (auto& world : achieved.value[a]) {
      for (double& x : world) x = rng.uniform() + 0.4 * static_cast<double>(a);
    }
  }
  const Ordering plain = order_approaches(achieved, {}, base::Rng(2)).value();
  EXPECT_EQ(plain.approaches, (std::vector<std::string>{"r", "q", "p"}));
  Achievements turned = achieved;
  std::reverse(turned.approaches.begin(), turned.approaches.end());
  std::reverse(turned.value.begin(), turned.value.end());
  const Ordering again = order_approaches(turned, {}, base::Rng(2)).value();
  EXPECT_EQ(again.approaches, plain.approaches);
  for (std::size_t p = 0; p < plain.pairs.size(); ++p) EXPECT_EQ(again.pairs[p].p_value, plain.pairs[p].p_value);
  for (auto& one : turned.value) {
    for (double& x : one[0]) x += 5;  // a world that is worth more to all
  }
  const Ordering shifted = order_approaches(turned, {}, base::Rng(2)).value();
  for (std::size_t p = 0; p < plain.pairs.size(); ++p) {
    EXPECT_NEAR(shifted.pairs[p].difference, plain.pairs[p].difference, 1e-12);
    EXPECT_EQ(shifted.pairs[p].p_value, plain.pairs[p].p_value);
  }
}

TEST(Ordering, TheSameBitsForAnyNumberOfThreads) {
  base::Rng rng(5);
  Achievements achieved;
  achieved.worlds = {"w"};
  for (int a = 0; a < 8; ++a) {
    achieved.approaches.push_back(std::to_string(a));
    achieved.value.push_back({{rng.uniform(), rng.uniform(), rng.uniform(), rng.uniform(), rng.uniform()}});
  }
  std::vector<std::vector<double>> all;
  for (const int threads : {1, 2, 8}) {
    base::set_threads(threads);
    const Ordering ordered = order_approaches(achieved, {}, base::Rng(2)).value();
    all.emplace_back();
    for (const Comparison& pair : ordered.pairs) all.back().push_back(pair.p_value);
  }
  base::set_threads(0);
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[0], all[2]);
}

TEST(Ordering, KendallsTauIsTheDefinition) {
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {1, 2, 3}), 1);
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3, 4}, {1, 2, 4, 3}), 4.0 / 6);
  EXPECT_DOUBLE_EQ(kendall_tau({1, 1, 2}, {1, 2, 3}), 2 / std::sqrt(2.0 * 3.0));
  EXPECT_DOUBLE_EQ(kendall_tau({1, 1}, {2, 2}), 1);
}

TEST(Ordering, HalvesOfTheRunsAgreeWhereTheOrderIsClearAndNotWhereThereIsNone) {
  base::Rng rng(11);
  const auto stability = [&](double apart) {
    Achievements achieved;
    achieved.worlds = {"w", "v", "u"};
    for (int a = 0; a < 5; ++a) {
      achieved.approaches.push_back(std::to_string(a));
      achieved.value.emplace_back(3);
      for (auto& world : achieved.value.back()) {
        for (int r = 0; r < 10; ++r) world.push_back(rng.normal() + apart * a);
      }
    }
    return *order_approaches(achieved, {}, base::Rng(1)).value().stability;
  };
  EXPECT_GT(stability(3).kendall, 0.99);
  EXPECT_EQ(stability(3).contradicted, 0);
  EXPECT_LT(stability(0).kendall, 0.5);
}

TEST(Ordering, BadInputIsNamed) {
  const auto said = [](const Achievements& achieved, OrderingOptions options = {}) {
    return order_approaches(achieved, options, base::Rng(1)).error().text();
  };
  Achievements one;
  one.approaches = {"a"};
  EXPECT_THAT(said(one), HasSubstr("1 approaches, expected at least 2"));
  EXPECT_THAT(said(two({{1, 1}}, {{1}})), HasSubstr("'b' in 'w0' has 1 runs, expected 2"));
  EXPECT_THAT(said(two({{1}}, {{std::nan("")}})), HasSubstr("'b' in 'w0' achieved nan"));
  Achievements odd = two({{1}}, {{1}});
  odd.value[1].clear();
  EXPECT_THAT(said(odd), HasSubstr("'b' has values of 0 worlds, expected 1"));
  odd.value.pop_back();
  EXPECT_THAT(said(odd), HasSubstr("2 approaches, values of 1"));
  EXPECT_THAT(said(two({{1}}, {{1}}), {.level = 1}), HasSubstr("level is 1"));
  const OrderingOptions stopped{.cancel = base::CancelToken::make()};
  stopped.cancel.cancel();
  EXPECT_EQ(order_approaches(two({{1, 2}}, {{1, 3}}), stopped, base::Rng(1)).error().code, base::Code::kCancelled);

  const auto power = [](const Planted& planted, PowerOptions options) {
    return measure_power(planted, options, base::Rng(1)).error().text();
  };
  const Planted line{{"w"}, {{0, 1}}};
  EXPECT_THAT(power({}, {}), HasSubstr("worlds"));
  EXPECT_THAT(power({{"w"}, {{1}}}, {}), HasSubstr("a curve of 1 points"));
  EXPECT_THAT(power(line, {.trials = 0}), HasSubstr("trials"));
  EXPECT_THAT(power(line, {.runs = 1}), HasSubstr("runs"));
  EXPECT_THAT(power(line, {.strengths = {1.5}}), HasSubstr("strength 1.5"));
}

// Two copies of one approach, 1,000 times, at level 0.2 with nothing else compared: at most one in five is told apart.
// The floor accepts up to the band's end; a test of true level 0.3 slips through with probability below 0.01.
TEST(Ordering, CopiesAreToldApartAtTheLevelAtMostStatistical) {
  int alarms = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    base::Rng rng(seed, {"copies"});
    std::vector<std::vector<double>> a(4);
    std::vector<std::vector<double>> b(4);
    for (std::size_t w = 0; w < 4; ++w) {
      for (int r = 0; r < 5; ++r) {  // runs that hack beside runs that do not
        a[w].push_back(rng.beta(0.4, 0.6));
        b[w].push_back(rng.beta(0.4, 0.6));
      }
    }
    alarms += order_approaches(two(a, b), {.level = 0.2}, rng.fork("order")).value().pairs[0].better != 0 ? 1 : 0;
  }
  const auto band = testing::binomial_band(1000, 0.2);
  EXPECT_LE(alarms, band.high);
  EXPECT_GT(alarms, 100) << "a test that never rejects shows nothing";
  EXPECT_LT(testing::slip_through(band, 1000, 0.3), 0.01);
}

// Eight worlds whose truth falls in a straight line from 1 to 0, ten runs: what measure_power reports must be the rates
// that the same function has.
TEST(Ordering, PlantedApproachesAreOrderedAtTheStatedPowerStatistical) {
  Planted planted;
  for (int w = 0; w < 8; ++w) {
    planted.worlds.push_back(std::to_string(w));
    planted.curve.push_back({0, 1});
  }
  PowerOptions options;
  options.runs = 10;
  options.trials = 200;
  const OrderingPower power = measure_power(planted, options, base::Rng(9)).value();
  EXPECT_EQ(power.comparisons, 15U);
  ASSERT_EQ(power.detection.size(), 4U);
  for (const Detection& d : power.detection) {
    EXPECT_NEAR(d.effect, d.strength, 0.02);  // the curve is a line; 16,000 draws of deviation at most 0.3
    EXPECT_EQ(d.wrong.value, 0);
  }
  // Copies: any claim is an error; the level of all claims together is 0.05.
  EXPECT_LE(power.false_alarm.value * 200, static_cast<double>(testing::binomial_band(200, 0.05).high));
  // By a normal approximation a difference of .4 is 9 standard errors, one of .1 two and a half.
  EXPECT_GE(*power.detection[2].right.low(0.95), 0.97);
  EXPECT_EQ(power.detection[3].right.value, 1);
  EXPECT_LT(power.detection[0].right.value, 0.9);
  for (std::size_t s = 1; s < 4; ++s) EXPECT_GE(power.detection[s].right.value, power.detection[s - 1].right.value);
}

}  // namespace
}  // namespace plumbline::agent

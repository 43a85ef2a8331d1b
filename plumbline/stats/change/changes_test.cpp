#include "plumbline/stats/change/changes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/stats/intervals.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::plumbline::testing::binomial_band;
using ::plumbline::testing::count_seeds;
using ::testing::HasSubstr;

/// n points around `before`, from `at` on around `after`.
Series draw(Noise noise, std::size_t n, std::size_t at, double before, double after, base::Rng& rng, double more = 0) {
  Series s{noise, {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    const double level = i < at ? before : after;
    if (noise == Noise::kCounts) {
      const double exposure = 1 + static_cast<double>(i % 3);
      s.scale.push_back(exposure);
      const double mean = level * exposure;
      const double rate = more > 0 ? rng.gamma(mean / more) * more : mean;  // variance (1 + more) x mean
      s.value.push_back(static_cast<double>(rng.poisson(rate)));
    } else if (noise == Noise::kShares) {
      const auto trials = 10 + 7 * (i % 4);
      s.scale.push_back(static_cast<double>(trials));
      s.value.push_back(static_cast<double>(rng.binomial(trials, level)));
    } else if (noise == Noise::kStated) {
      const double e = i % 4 == 0 ? 0.4 : 1.2;
      s.scale.push_back(e);
      s.value.push_back(level + std::sqrt(e * e + more * more) * rng.normal());
    } else {
      s.value.push_back(level + rng.exponential());
    }
  }
  return s;
}

ChangeOptions quick() {
  ChangeOptions o;
  o.draws = 99;
  return o;
}

// The gain written out: twice the log-likelihood of both sides less that of the whole.
TEST(ChangeSeries, GainsAreLikelihoodRatios) {
  base::Rng rng(1);
  const std::size_t n = 9;
  const auto normal = [](const Series& s, std::size_t b, std::size_t e) {
    double m = 0, a = 0, q = 0;
    for (std::size_t i = b; i < e; ++i) {
      m += 1 / (s.scale[i] * s.scale[i]);
      a += s.value[i] / (s.scale[i] * s.scale[i]);
    }
    for (std::size_t i = b; i < e; ++i) q += std::pow((s.value[i] - a / m) / s.scale[i], 2);
    return -q;
  };
  const auto poisson = [](const Series& s, std::size_t b, std::size_t e) {
    const double level =
        std::accumulate(&s.value[b], &s.value[e - 1] + 1, 0.0) / std::accumulate(&s.scale[b], &s.scale[e - 1] + 1, 0.0);
    double l = 0;
    for (std::size_t i = b; i < e; ++i)
      l += (s.value[i] > 0 ? s.value[i] * std::log(level * s.scale[i]) : 0) - level * s.scale[i];
    return 2 * l;
  };
  const auto binomial = [](const Series& s, std::size_t b, std::size_t e) {
    const double p =
        std::accumulate(&s.value[b], &s.value[e - 1] + 1, 0.0) / std::accumulate(&s.scale[b], &s.scale[e - 1] + 1, 0.0);
    double l = 0;
    for (std::size_t i = b; i < e; ++i) {
      l += s.value[i] > 0 ? s.value[i] * std::log(p) : 0;
      l += s.value[i] < s.scale[i] ? (s.scale[i] - s.value[i]) * std::log(1 - p) : 0;
    }
    return 2 * l;
  };
  const auto agree = [&](Noise noise, double before, double after, const auto& likelihood) {
    const Series s = draw(noise, n, 4, before, after, rng);
    const auto gain = gains(noise, sums_of(s, 0), 0, n, 1);
    for (std::size_t k = 1; k < n; ++k)
      EXPECT_NEAR(gain[k], likelihood(s, 0, k) + likelihood(s, k, n) - likelihood(s, 0, n), 1e-9) << noise_name(noise);
  };
  agree(Noise::kStated, 1e3, 1e3 + 2, normal);
  agree(Noise::kCounts, 2, 5, poisson);
  agree(Noise::kShares, 0.2, 0.5, binomial);
}

TEST(ChangeSeries, ExtraScatterByHand) {
  // Two levels, residuals -1, 1 and -2, 2 around them: pooled variance 10 / 2.
  const Series plain{Noise::kUnknown, {9, 11, 18, 22}, {}};
  const std::vector<std::size_t> at = {2};
  EXPECT_DOUBLE_EQ(extra_of(plain, at), 5);
  // Equal stated errors e: the variance between points is the pooled variance less e^2.
  const Series stated{Noise::kStated, {9, 11, 18, 22}, {0.5, 0.5, 0.5, 0.5}};
  EXPECT_NEAR(extra_of(stated, at), 5 - 0.25, 1e-12);
  // Counts 2, 6 around 4: Pearson (4 + 4) / 4 over 1 degree of freedom.
  EXPECT_DOUBLE_EQ(extra_of({Noise::kCounts, {2, 6}, {1, 1}}, {}), 2);
  EXPECT_DOUBLE_EQ(extra_of({Noise::kCounts, {4, 4}, {1, 1}}, {}), 1);
  // Steps 2, 7, 4: squares over twice their number. Counts: each step over its variance at the common level 4.
  EXPECT_DOUBLE_EQ(extra_of_steps(plain), (4.0 + 49 + 16) / 6);
  EXPECT_NEAR(extra_of_steps(stated), 69.0 / 6 - 0.25, 1e-12);
  EXPECT_DOUBLE_EQ(extra_of_steps({Noise::kCounts, {2, 6}, {1, 1}}), 16.0 / 8);
}

TEST(ChangeSeries, RedrawsKeepTheSumsOfBothSides) {
  base::Rng rng(2);
  for (const Noise noise : {Noise::kStated, Noise::kUnknown, Noise::kCounts, Noise::kShares}) {
    const Series s = draw(noise, 12, 5, 0.3, 0.6, rng);
    for (const double extra : {0.0, noise == Noise::kCounts ? 2.5 : 0.0}) {
      const Series again = redraw(s, 0, 5, 12, extra, rng);
      const Sums a = sums_of(s, extra), b = sums_of(again, extra);
      for (const auto& [from, to] : {std::pair{0, 5}, std::pair{5, 12}})
        EXPECT_NEAR(std::accumulate(a.amount.begin() + from, a.amount.begin() + to, 0.0),
                    std::accumulate(b.amount.begin() + from, b.amount.begin() + to, 0.0), 1e-9);
      EXPECT_TRUE(check_series(again).ok());
    }
  }
}

// Dealing out the hits of two points has the hypergeometric law; its mean and variance by formula.
TEST(ChangeSeries, SharesAreDealtOutByTheHypergeometricLaw) {
  base::Rng rng(3);
  const Series s{Noise::kShares, {3, 9}, {10, 30}};
  const int draws = 20000;
  double sum = 0, squares = 0;
  for (int i = 0; i < draws; ++i) {
    const double h = redraw(s, 0, 0, 2, 1, rng).value[0];
    sum += h;
    squares += h * h;
  }
  const double mean = sum / draws;
  const double variance = 10 * 0.3 * 0.7 * 30.0 / 39;
  EXPECT_NEAR(mean, 3, 4 * std::sqrt(variance / draws));
  EXPECT_NEAR(squares / draws - mean * mean, variance, 0.08);
}

// With every arrangement listed, the shuffled test must give the share of arrangements that reach the statistic.
TEST(NoChangeTest, AgreesWithAllArrangements) {
  const std::vector<double> values = {0.2, 0.9, 0.4, 2.1, 2.6, 1.7};
  const auto largest = [](const std::vector<double>& v) {
    const Series x{Noise::kUnknown, v, {}};
    const auto g = gains(Noise::kUnknown, sums_of(x, 0), 0, v.size(), 2);
    const auto k = static_cast<std::size_t>(std::max_element(g.begin(), g.end()) - g.begin());
    return g[k] / std::min(extra_of_steps(x), k == 0 ? extra_of(x, {}) : extra_of(x, std::span(&k, 1)));
  };
  std::vector<double> arranged = values;
  std::sort(arranged.begin(), arranged.end());
  const double observed = largest(values);
  int reach = 0, all = 0;
  do {
    ++all;
    reach += largest(arranged) >= observed * (1 - 1e-9) ? 1 : 0;
  } while (std::next_permutation(arranged.begin(), arranged.end()));
  const double exact = static_cast<double>(reach) / all;
  ChangeOptions o;
  o.draws = 20000;
  const auto test = no_change_test({Noise::kUnknown, values, {}}, o, base::Rng(4));
  ASSERT_TRUE(test.ok()) << test.error().text();
  EXPECT_EQ(test->at, 3U);
  EXPECT_NEAR(test->p, exact, 0.2 * exact);  // stops at 40 arrangements that reach it
}

// Four points of one event each: the law of the largest gain by listing the 4^4 ways to deal them out.
TEST(NoChangeTest, AgreesWithAllWaysToDealOutCounts) {
  const Series s{Noise::kCounts, {0, 0, 1, 2, 1}, {1, 1, 1, 1, 1}};
  const auto largest = [](const std::vector<double>& v) {
    const Series x{Noise::kCounts, v, {1, 1, 1, 1, 1}};
    const auto g = gains(Noise::kCounts, sums_of(x, 0), 0, 5, 2);
    const auto k = static_cast<std::size_t>(std::max_element(g.begin(), g.end()) - g.begin());
    return g[k] / std::min(extra_of_steps(x), k == 0 ? extra_of(x, {}) : extra_of(x, std::span(&k, 1)));
  };
  const double observed = largest(s.value);
  int reach = 0;
  for (int code = 0; code < 625; ++code) {
    std::vector<double> v(5, 0);
    for (int c = code, i = 0; i < 4; ++i, c /= 5) v[static_cast<std::size_t>(c % 5)] += 1;
    reach += largest(v) >= observed * (1 - 1e-9) ? 1 : 0;
  }
  ChangeOptions o;
  o.draws = 20000;
  const auto test = no_change_test(s, o, base::Rng(5));
  ASSERT_TRUE(test.ok());
  EXPECT_GE(test->p,
            0.6 * reach / 625.0);  // the larger of this law and the overdispersed one; stops at 20 that reach it
}

// Dealt out by exposure: multinomial, and with variance about `extra` times as large where they are overdispersed.
TEST(ChangeSeries, CountsAreDealtOutByExposure) {
  base::Rng rng(12);
  const Series s{Noise::kCounts, {30, 10, 20}, {1, 2, 3}};
  for (const double extra : {1.0, 3.0}) {
    const int draws = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < draws; ++i) {
      const double h = redraw(s, 0, 0, 3, extra, rng).value[1];
      sum += h;
      squares += h * h;
    }
    const double p = 1.0 / 3, all = 60;
    // Dirichlet-multinomial with total concentration 60 / (extra - 1).
    const double inflated = extra > 1 ? (all + all / (extra - 1)) / (1 + all / (extra - 1)) : 1;
    const double variance = all * p * (1 - p) * inflated;
    EXPECT_NEAR(sum / draws, all * p, 4 * std::sqrt(variance / draws)) << extra;
    EXPECT_NEAR(squares / draws - std::pow(sum / draws, 2), variance, 0.06 * variance) << extra;
  }
}

struct Law {
  Noise noise;
  double level, more;
  bool exact;
};
class FalseAlarms : public ::testing::TestWithParam<Law> {};

// Exact laws must keep the level from both sides; where extra scatter is fitted, from above.
TEST_P(FalseAlarms, KeepTheLevel) {
  const Law law = GetParam();
  for (const std::size_t n : {std::size_t{8}, std::size_t{40}}) {
    const int runs = 300;
    const int hits = count_seeds(runs, [&](base::Rng& rng) {
      const Series s = draw(law.noise, n, n, law.level, law.level, rng, law.more);
      return no_change_test(s, quick(), rng.fork("test"))->p <= 0.05;
    });
    const auto band = binomial_band(runs, 0.05);
    EXPECT_LE(hits, band.high) << noise_name(law.noise) << " n = " << n << ", more " << law.more;
    if (law.exact && n > 8) {  // few arrangements of eight points: p rarely falls below 0.05 at all
      EXPECT_GE(hits, band.low) << noise_name(law.noise) << " n = " << n;
    }
    RecordProperty(std::to_string(n), hits);
  }
}
INSTANTIATE_TEST_SUITE_P(Laws, FalseAlarms,
                         ::testing::Values(Law{Noise::kUnknown, 5, 0, true}, Law{Noise::kStated, 5, 0, false},
                                           Law{Noise::kStated, 5, 0.7, false}, Law{Noise::kStated, 5, 6, false},
                                           Law{Noise::kCounts, 4, 0, false}, Law{Noise::kCounts, 6, 1, false},
                                           Law{Noise::kShares, 0.3, 0, false}));

// A step is found, at its place, and the set of places holds it.
TEST(FindChangesStatistical, PowerAndPlace) {
  struct Case {
    Noise noise;
    double before, after, more;
    double power;
  };
  for (const Case& c :
       {Case{Noise::kStated, 0, 4, 0, 0.9}, Case{Noise::kStated, 0, 4, 0.7, 0.8}, Case{Noise::kUnknown, 0, 3, 0, 0.9},
        Case{Noise::kCounts, 2, 6, 0, 0.9}, Case{Noise::kShares, 0.2, 0.6, 0, 0.9}}) {
    const int runs = 60;
    int found = 0, covered = 0, one = 0;
    count_seeds(runs, [&](base::Rng& rng) {
      const Series s = draw(c.noise, 20, 12, c.before, c.after, rng, c.more);
      const auto changes = find_changes(s, quick(), rng.fork("find"));
      if (!changes.ok() || changes->changes.empty()) return false;
      ++found;
      one += changes->changes.size() == 1 ? 1 : 0;
      const Change& nearest =
          *std::min_element(changes->changes.begin(), changes->changes.end(), [](const Change& a, const Change& b) {
            return std::abs(static_cast<double>(a.at) - 12) < std::abs(static_cast<double>(b.at) - 12);
          });
      covered += nearest.low <= 12 && 12 <= nearest.high ? 1 : 0;
      return true;
    });
    EXPECT_GE(found, c.power * runs) << noise_name(c.noise) << " " << c.more;
    EXPECT_GE(covered, binomial_band(found, 0.95).low) << noise_name(c.noise) << " of " << found;
    EXPECT_GE(one, binomial_band(found, 0.95).low) << noise_name(c.noise) << " of " << found;
  }
}

// Two changes: both found; a third one, false, in at most 5 % of the series.
TEST(FindChangesStatistical, SeveralChanges) {
  const int runs = 60;
  int both = 0, more = 0;
  count_seeds(runs, [&](base::Rng& rng) {
    Series s{Noise::kStated, {}, std::vector<double>(45, 1.0)};
    for (std::size_t i = 0; i < 45; ++i) s.value.push_back((i < 15 ? 0 : i < 30 ? 3.5 : 0.5) + rng.normal());
    const auto changes = find_changes(s, quick(), rng.fork("find"));
    const auto near = [&](double at) {
      return std::any_of(changes->changes.begin(), changes->changes.end(),
                         [&](const Change& c) { return std::abs(static_cast<double>(c.at) - at) <= 2; });
    };
    both += near(15) && near(30) ? 1 : 0;
    more += changes->changes.size() > 2 ? 1 : 0;
    return true;
  });
  EXPECT_GE(both, 0.9 * runs);
  EXPECT_LE(more, binomial_band(runs, 0.05).high);
}

// A series without change has one falsely with probability alpha, over all splits.
TEST(FindChangesStatistical, FamilyWiseFalseAlarms) {
  const int runs = 300;
  const int hits = count_seeds(runs, [](base::Rng& rng) {
    const Series s = draw(Noise::kUnknown, 60, 60, 0, 0, rng);
    return !find_changes(s, quick(), rng.fork("find"))->changes.empty();
  });
  EXPECT_TRUE(binomial_band(runs, 0.05).contains(hits)) << hits;
}

TEST(FindChanges, LevelsAreThoseOfTheParts) {
  Series s{Noise::kStated, {1, 1.2, 0.8, 1, 4, 4.2, 3.8, 4}, std::vector<double>(8, 0.5)};
  const auto changes = find_changes(s, {}, base::Rng(6));
  ASSERT_TRUE(changes.ok()) << changes.error().text();
  ASSERT_EQ(changes->changes.size(), 1U);
  const Change& c = changes->changes[0];
  EXPECT_EQ(c.at, 4U);
  EXPECT_EQ(changes->extra, 0);
  EXPECT_NEAR(c.before.value, 1, 1e-12);
  EXPECT_NEAR(c.after.value, 4, 1e-12);
  EXPECT_NEAR(*c.step.low(), 3 - 1.959964 * 0.5 * std::sqrt(0.5), 1e-5);
  // Shift, stretch and reversal carry over.
  Series other = s;
  for (double& v : other.value) v = 100 - 10 * v;
  for (double& v : other.scale) v *= 10;
  const auto mirrored = find_changes(other, {}, base::Rng(6));
  ASSERT_EQ(mirrored->changes.size(), 1U);
  EXPECT_EQ(mirrored->changes[0].at, 4U);
  EXPECT_EQ(mirrored->p, changes->p);
  EXPECT_NEAR(mirrored->changes[0].step.value, -30, 1e-9);
}

TEST(FindChanges, CountsCompareAsRatios) {
  const Series s{Noise::kCounts, {3, 4, 2, 3, 12, 10, 14, 12}, std::vector<double>(8, 2.0)};
  const auto changes = find_changes(s, {}, base::Rng(7));
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->changes.size(), 1U);
  const Change& c = changes->changes[0];
  EXPECT_DOUBLE_EQ(c.step.value, 4);
  // 48 of 60 events by exact bounds, as odds.
  const auto share = clopper_pearson(48, 60);
  EXPECT_NEAR(*c.step.low(), *share->low() / (1 - *share->low()), 1e-9);
  EXPECT_NEAR(*c.before.low(), 0.7750, 5e-4);  // Garwood: chi-square(0.025, 24) / 2 / 8 = 12.401 / 16
}

TEST(FindChanges, TooFewPointsIsNoAnswer) {
  const auto changes = find_changes({Noise::kUnknown, {1, 2, 30, 40}, {}}, {}, base::Rng(8));
  ASSERT_TRUE(changes.ok());
  EXPECT_FALSE(changes->p.has_value());
  EXPECT_TRUE(changes->changes.empty());
  EXPECT_THAT(changes->method, HasSubstr("too few"));
}

TEST(FindChanges, ConstantSeriesHaveNoChange) {
  for (const double level : {0.0, 0.1, 1e6}) {
    const auto changes = find_changes({Noise::kUnknown, std::vector<double>(12, level), {}}, {}, base::Rng(9));
    ASSERT_TRUE(changes.ok());
    EXPECT_EQ(*changes->p, 1) << level;
    EXPECT_TRUE(changes->changes.empty());
  }
}

TEST(FindChanges, SameSeedSameBits) {
  base::Rng rng(10);
  const Series s = draw(Noise::kStated, 30, 14, 0, 2, rng, 0.3);
  const auto a = find_changes(s, quick(), base::Rng(11)), b = find_changes(s, quick(), base::Rng(11));
  ASSERT_EQ(a->changes.size(), b->changes.size());
  EXPECT_EQ(a->p, b->p);
  for (std::size_t i = 0; i < a->changes.size(); ++i) {
    EXPECT_EQ(a->changes[i].p, b->changes[i].p);
    EXPECT_EQ(a->changes[i].low, b->changes[i].low);
  }
}

TEST(FindChanges, BadInputIsNamed) {
  const auto why = [](const Series& s, const ChangeOptions& o = {}) {
    const auto r = find_changes(s, o, base::Rng(1));
    return r.ok() ? std::string() : r.error().message;
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(why({Noise::kUnknown, {}, {}}), HasSubstr("no points"));
  EXPECT_THAT(why({Noise::kUnknown, {1, kNan}, {}}), HasSubstr("value"));
  EXPECT_THAT(why({Noise::kStated, {1, 2}, {1}}), HasSubstr("scale"));
  EXPECT_THAT(why({Noise::kStated, {1, 2}, {1, 0}}), HasSubstr("scale[1]"));
  EXPECT_THAT(why({Noise::kCounts, {1, 2.5}, {1, 1}}), HasSubstr("2.5"));
  EXPECT_THAT(why({Noise::kShares, {1, 3}, {2, 2}}), HasSubstr("3 hits of 2"));
  ChangeOptions o;
  o.alpha = 0;
  EXPECT_THAT(why({Noise::kUnknown, {1, 2}, {}}, o), HasSubstr("alpha"));
  o = {};
  o.draws = 3;
  EXPECT_THAT(why({Noise::kUnknown, {1, 2}, {}}, o), HasSubstr("draws"));
  EXPECT_EQ(no_change_test({Noise::kUnknown, {1, 2}, {}}, {}, base::Rng(1)).error().code, base::Code::kShape);
  o = {};
  o.cancel = base::CancelToken::make();
  o.cancel.cancel();
  EXPECT_EQ(find_changes({Noise::kUnknown, {1, 2, 3, 4, 5, 6}, {}}, o, base::Rng(1)).error().code,
            base::Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::stats

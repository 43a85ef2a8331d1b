#include "plumbline/reward/goodhart.hpp"

#include <cmath>
#include <functional>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;

TEST(Goodhart, LargestOfSeveralNormals) {
  EXPECT_NEAR(largest_normal(1).value(), 0, 1e-12);
  EXPECT_NEAR(largest_normal(2).value(), 1 / std::sqrt(std::numbers::pi), 1e-12);
  EXPECT_NEAR(largest_normal(3).value(), 1.5 / std::sqrt(std::numbers::pi), 1e-12);
  EXPECT_NEAR(largest_normal(10).value(), 1.5387527308, 1e-9);  // tables of order statistics
  EXPECT_NEAR(largest_normal(100).value(), 2.5075936359, 1e-9);
}

TEST(Goodhart, DivergenceOfTheBestOfN) {
  EXPECT_EQ(best_of_n_divergence(1), 0);
  EXPECT_NEAR(best_of_n_divergence(4), std::log(4) - .75, 1e-15);
  // The integral of n u^(n-1) log(n u^(n-1)) over (0, 1), by a plain sum.
  double sum = 0;
  for (int i = 0; i < 200000; ++i) {
    const double f = 4 * std::pow((i + .5) / 200000, 3);
    sum += f * std::log(f) / 200000;
  }
  EXPECT_NEAR(best_of_n_divergence(4), sum, 1e-8);
}

TEST(Goodhart, WithoutExploitsGoldRisesMoreSlowly) {
  const std::vector<double> n = {1, 2, 10, 1000, 1e6};
  const auto curve = best_of_n_curve({2, 3, 0, 0, 0}, n).value();
  for (const Pressure& p : curve) {
    const double m = largest_normal(p.n).value();
    EXPECT_NEAR(p.proxy, std::sqrt(13) * m, 1e-8) << p.n;
    EXPECT_NEAR(p.gold, 4 / std::sqrt(13) * m, 1e-8) << p.n;
  }
}

TEST(Goodhart, ExploitsTurnTheCurve) {
  const std::vector<double> q = {1, .5, .2, .1, .05, .02, .01, .005, .002, .001};
  // By hand: exploits lie far above every threshold, so the rest of the share comes from the top of the usual items.
  const std::vector<double> known = {-.010, .544, .936, 1.132, 1.235, 1.139, .719, -.325, -3.809, -9.933};
  const auto shares = top_share_curve({1, 1, 1e-3, 10, -10}, q).value();
  for (std::size_t i = 0; i < q.size(); ++i) EXPECT_NEAR(shares[i].gold, known[i], 6e-4) << q[i];
  const double usual =
      std::sqrt(.5) * std::exp(-2.652069808 * 2.652069808 / 2) / std::sqrt(2 * std::numbers::pi) / .004;
  EXPECT_NEAR(shares[7].gold, .8 * usual - .2 * 10, 5e-3);
  const std::vector<double> n = {1, 3, 10, 30, 100, 300, 1000, 3000};
  const auto curve = best_of_n_curve({1, 1, 1e-3, 10, -10}, n).value();
  double last = -1e9;
  for (const Pressure& p : curve) {
    EXPECT_GT(p.proxy, last);  // the proxy never stops rising
    last = p.proxy;
  }
  EXPECT_GT(curve[2].gold, curve[0].gold);
  EXPECT_LT(curve.back().gold, -8);
}

TEST(Goodhart, BestOfNMatchesSimulation) {
  const ProxyModel model{1, 1, .02, 4, -4};
  base::Rng rng(6);
  std::vector<double> gold;
  for (int i = 0; i < 20000; ++i) {
    double best = -1e9, worth = 0;
    for (int k = 0; k < 8; ++k) {
      const bool exploit = rng.bernoulli(.02);
      const double g = rng.normal();
      const double p = g + rng.normal() + (exploit ? 4 : 0);
      if (p > best) {
        best = p;
        worth = g - (exploit ? 4 : 0);
      }
    }
    gold.push_back(worth);
  }
  double sum = 0, square = 0;
  for (const double g : gold) sum += g;
  for (const double g : gold) square += (g - sum / 20000) * (g - sum / 20000);
  const std::vector<double> eight = {8};
  EXPECT_NEAR(best_of_n_curve(model, eight)->front().gold, sum / 20000, 4 * std::sqrt(square) / 20000);
}

TEST(Goodhart, ScoresGiveTheMeanOverAllSubsets) {
  base::Rng rng(9);
  std::vector<double> proxy, gold;
  for (int i = 0; i < 30; ++i) {
    proxy.push_back(static_cast<double>(rng.below(12)));  // with ties
    gold.push_back(rng.normal());
  }
  const std::vector<double> n = {1, 2, 3};
  const auto found = best_of_n_from_scores(proxy, gold, n).value();
  // All subsets of 3, ties shared.
  double sum = 0;
  int count = 0;
  for (int i = 0; i < 30; ++i) {
    for (int j = i + 1; j < 30; ++j) {
      for (int k = j + 1; k < 30; ++k) {
        const double top = std::max({proxy[i], proxy[j], proxy[k]});
        double worth = 0;
        int ties = 0;
        for (const int m : {i, j, k}) {
          if (proxy[m] == top) {
            worth += gold[m];
            ++ties;
          }
        }
        sum += worth / ties;
        ++count;
      }
    }
  }
  EXPECT_NEAR(found[2].gold.value, sum / count, 1e-10);
  double mean = 0;
  for (const double g : gold) mean += g / 30;
  EXPECT_NEAR(found[0].gold.value, mean, 1e-12);
}

TEST(GoodhartStatistical, BoundsOfSampledStrengthsCover) {
  const ProxyModel model{1, 1, 0, 0, 0};
  const std::vector<double> n = {10};
  const double truth = best_of_n_curve(model, n)->front().gold;
  // 300 runs at 0.95; false alarm 1e-4. A standard error 30 % too small covers 0.83 and passes about once in 10^5.
  const auto band = testing::binomial_band(300, .95);
  const int hits = testing::count_seeds(300, [&](base::Rng& rng) {
    std::vector<double> proxy, gold;
    for (int i = 0; i < 300; ++i) {
      gold.push_back(rng.normal());
      proxy.push_back(gold.back() + rng.normal());
    }
    const auto found = best_of_n_from_scores(proxy, gold, n).value();
    return found[0].gold.low().value() <= truth && truth <= found[0].gold.high().value();
  });
  EXPECT_TRUE(band.contains(hits)) << hits;
}

TEST(Goodhart, OveroptimisationIsFoundAndNotInvented) {
  const auto draw = [](double rate, std::uint64_t seed) {
    base::Rng rng(seed);
    std::pair<std::vector<double>, std::vector<double>> items;
    for (int i = 0; i < 4000; ++i) {
      const bool exploit = rng.bernoulli(rate);
      const double g = rng.normal();
      items.first.push_back(g + rng.normal() + (exploit ? 8 : 0));
      items.second.push_back(g - (exploit ? 8 : 0));
    }
    return items;
  };
  const std::vector<double> n = {1, 4, 16, 64, 200};
  base::Rng rng(1);
  const auto bad = draw(.01, 3);
  const Overoptimisation found = overoptimisation(bad.first, bad.second, n, rng).value();
  EXPECT_GT(found.drop.low().value(), 1);
  EXPECT_LT(found.peak, 200);
  const auto good = draw(0, 4);
  const Overoptimisation none = overoptimisation(good.first, good.second, n, rng).value();
  EXPECT_FALSE(none.drop.low() && *none.drop.low() > 0);
  EXPECT_EQ(none.curve.size(), 5U);
}

/// Items in units of several; the exploits' gold is low.
struct Units {
  std::vector<double> proxy, gold;
  std::vector<int> unit;
};
Units units_of(base::Rng& rng, int units, int each, double exploits) {
  Units u;
  for (int k = 0; k < units; ++k) {
    const double shift = rng.normal(0, 2);  // a prompt that is easy or hard for all its answers
    for (int i = 0; i < each; ++i) {
      const bool exploit = rng.bernoulli(exploits);
      const double gold = shift + rng.normal(0, 1) - (exploit ? 5 : 0);
      u.proxy.push_back(gold + rng.normal(0, 1) + (exploit ? 15 : 0));
      u.gold.push_back(gold);
      u.unit.push_back(k);
    }
  }
  return u;
}

TEST(Goodhart, BestWithinAUnitIsTheMeanOverItsSubsets) {
  base::Rng rng(11);
  Units u = units_of(rng, 24, 6, 0.1);
  u.proxy[1] = u.proxy[0];  // ties share their weight
  u.proxy[2] = u.proxy[0];
  const std::vector<double> n = {1, 2, 3, 6};
  base::Rng halves(1);
  const auto found = overoptimisation_by_unit(u.proxy, u.gold, u.unit, n, halves).value();
  EXPECT_EQ(found.used, 24);
  for (std::size_t k = 0; k < n.size(); ++k) {
    // Every subset of every unit.
    double sum = 0;
    for (int unit = 0; unit < 24; ++unit) {
      double own = 0;
      int subsets = 0;
      for (unsigned mask = 0; mask < 64; ++mask) {
        if (__builtin_popcount(mask) != static_cast<int>(n[k])) continue;
        double top = -1e300, gold = 0;
        int ties = 0;
        for (int i = 0; i < 6; ++i) {
          const auto at = static_cast<std::size_t>(unit * 6 + i);
          if ((mask >> i & 1U) == 0 || u.proxy[at] < top) continue;
          if (u.proxy[at] > top) gold = ties = 0;
          top = u.proxy[at];
          gold += u.gold[at];
          ++ties;
        }
        own += gold / ties;
        ++subsets;
      }
      sum += own / subsets;
    }
    EXPECT_NEAR(found.curve[k].gold.value, sum / 24, 1e-9) << n[k];
  }
  EXPECT_NEAR(found.gain.value, found.curve.back().gold.value - found.curve.front().gold.value, 1e-9);
  EXPECT_EQ(found.gain.unit_of_sampling, "unit");
}

TEST(GoodhartStatistical, GainWithinUnitsCovers) {
  // Best of 8 among 8 with gold and noise standard normal: gain m_8 / sqrt 2, whatever the prompt adds to both. 400
  // intervals at 0.95; a true coverage of 0.87 slips through with probability 0.03.
  const double truth = largest_normal(8).value() / std::sqrt(2.0);
  const auto band = testing::binomial_band(400, .95);
  const int hits = testing::count_seeds(400, [&](base::Rng& rng) {
    const Units u = units_of(rng, 40, 8, 0);
    base::Rng halves = rng.fork("halves");
    const auto found = overoptimisation_by_unit(u.proxy, u.gold, u.unit, std::vector<double>{1, 8}, halves).value();
    return *found.gain.low() <= truth && truth <= *found.gain.high();
  });
  EXPECT_TRUE(band.contains(hits)) << hits;
}

TEST(Goodhart, ExploitsWithinUnitsAreFound) {
  base::Rng rng(12);
  const std::vector<double> n = {1, 2, 4, 8, 16};
  const Units bad = units_of(rng, 200, 16, 0.05);
  const auto found = overoptimisation_by_unit(bad.proxy, bad.gold, bad.unit, n, rng).value();
  EXPECT_LT(found.gain.high().value(), 0);
  EXPECT_GT(found.drop.low().value(), 0);
  EXPECT_LT(found.peak, 16);
  const Units good = units_of(rng, 200, 16, 0);
  EXPECT_GT(overoptimisation_by_unit(good.proxy, good.gold, good.unit, n, rng)->gain.low().value(), 0.5);
  // Units that are too small are left out, and too few are refused.
  EXPECT_THAT(
      overoptimisation_by_unit(good.proxy, good.gold, good.unit, std::vector<double>{1, 17}, rng).error().text(),
      HasSubstr("0 units have 17 items or more, need at least 20"));
  std::vector<int> below = good.unit;
  below[0] = -1;
  EXPECT_THAT(overoptimisation_by_unit(good.proxy, good.gold, below, n, rng).error().text(), HasSubstr("unit"));
  EXPECT_THAT(
      overoptimisation_by_unit(good.proxy, good.gold, good.unit, std::vector<double>{1, 1.5}, rng).error().text(),
      HasSubstr("not whole"));
  EXPECT_EQ(overoptimisation_by_unit(good.proxy, std::vector<double>{1}, good.unit, n, rng).error().code,
            base::Code::kShape);
}

TEST(GoodhartStatistical, GainOverItemsCovers) {
  // Best of 10 by proxy against none: gain m_10 / sqrt 2. Same band as above.
  const double truth = largest_normal(10).value() / std::sqrt(2.0);
  const auto band = testing::binomial_band(400, .95);
  const int hits = testing::count_seeds(400, [&](base::Rng& rng) {
    std::vector<double> proxy, gold;
    for (int i = 0; i < 600; ++i) {
      gold.push_back(rng.normal(0, 1));
      proxy.push_back(gold.back() + rng.normal(0, 1));
    }
    base::Rng halves = rng.fork("halves");
    const auto found = overoptimisation(proxy, gold, std::vector<double>{1, 10}, halves).value();
    return *found.gain.low() <= truth && truth <= *found.gain.high();
  });
  EXPECT_TRUE(band.contains(hits)) << hits;
}

TEST(Goodhart, CurvesAreFittedBack) {
  std::vector<double> divergence, by_n, by_rl;
  for (double d = .2; d < 4; d += .2) {
    divergence.push_back(d * d);
    by_n.push_back(d * (1.3 - .4 * d));
    by_rl.push_back(d * (1.1 - .6 * std::log(d)));
  }
  const auto one = fit_overoptimisation(divergence, by_n, CurveForm::kBestOfN).value();
  EXPECT_NEAR(one.a, 1.3, 1e-10);
  EXPECT_NEAR(one.b, .4, 1e-10);
  EXPECT_NEAR(one.explained, 1, 1e-12);
  EXPECT_NEAR(one.peak_divergence, std::pow(1.3 / .8, 2), 1e-9);
  const auto two = fit_overoptimisation(divergence, by_rl, CurveForm::kReinforcement).value();
  EXPECT_NEAR(two.a, 1.1, 1e-10);
  EXPECT_NEAR(two.b, .6, 1e-10);
  EXPECT_NEAR(std::sqrt(two.peak_divergence), std::exp(1.1 / .6 - 1), 1e-9);
  EXPECT_LT(fit_overoptimisation(divergence, by_rl, CurveForm::kBestOfN)->explained, 1);
  std::vector<double> rising;
  for (const double k : divergence) rising.push_back(std::sqrt(k) * (1 + std::sqrt(k)));
  EXPECT_EQ(fit_overoptimisation(divergence, rising, CurveForm::kBestOfN)->outcome, CurveOutcome::kNoPeak);
}

TEST(Goodhart, RarerExploitsBendTheCurveLess) {
  const std::vector<double> n = {2, 4, 8, 16, 32, 64, 128};
  double before = 1e9;
  for (const double rate : {.03, .01, .003, .001}) {
    const auto curve = best_of_n_curve({1, 1, rate, 6, -4}, n).value();
    const std::vector<double> one = {1};
    const double start = best_of_n_curve({1, 1, rate, 6, -4}, one)->front().gold;
    std::vector<double> divergence, gold;
    for (const Pressure& p : curve) {
      divergence.push_back(p.divergence);
      gold.push_back(p.gold - start);
    }
    const double b = fit_overoptimisation(divergence, gold, CurveForm::kBestOfN)->b;
    EXPECT_LT(b, before);
    before = b;
  }
}

TEST(Goodhart, AMyopicLearnerDefectsAndSelectionBringsTheIncentiveBack) {
  base::Rng rng(2);
  const double myopic = induced_shift({}, rng)->cooperation;
  InducedShiftOptions o;
  o.rate = .01;
  o.selection = true;
  const double selected = induced_shift(o, rng)->cooperation;
  o.swap = true;
  const double swapped = induced_shift(o, rng)->cooperation;
  std::printf("cooperation: myopic %.3f, selected %.3f, swapped %.3f\n", myopic, selected, swapped);
  EXPECT_LT(myopic, .05);
  EXPECT_GT(selected, .5);
  EXPECT_LT(swapped, .05);
}

TEST(Goodhart, FollowingInterestsMovesThemFaster) {
  base::Rng rng(5);
  double random = 0, optimistic = 0, greedy = 0, growing = 0;
  for (int i = 0; i < 20; ++i) {
    random += interest_drift({}, Recommender::kRandom, rng)->at(199) / 20;
    optimistic += interest_drift({}, Recommender::kOptimistic, rng)->at(199) / 20;
    greedy += interest_drift({}, Recommender::kGreedy, rng)->at(199) / 20;
    InterestOptions o;
    o.new_items = 2;
    growing += interest_drift(o, Recommender::kGreedy, rng)->at(199) / 20;
  }
  std::printf("drift: random %.2f, optimistic %.2f, greedy %.2f, greedy with new items %.2f\n", random, optimistic,
              greedy, growing);
  EXPECT_GT(greedy, 2 * random);
  EXPECT_GT(optimistic, random);
  EXPECT_LT(growing, greedy + .5);
}

TEST(Goodhart, RefusesBadInput) {
  const std::vector<double> one = {1}, half = {.5}, many(30, 1.0), two = {1, 2}, big = {4}, odd = {1.5};
  EXPECT_THAT(largest_normal(0).error().text(), HasSubstr("n"));
  EXPECT_THAT(best_of_n_curve({-1, 1}, one).error().text(), HasSubstr("gold_deviation"));
  EXPECT_THAT(best_of_n_curve({0, 0}, one).error().text(), HasSubstr("deviation of the proxy"));
  EXPECT_THAT(best_of_n_curve({1, 1, 2}, one).error().text(), HasSubstr("exploit_rate"));
  EXPECT_THAT(best_of_n_curve({}, half).error().text(), HasSubstr("n"));
  EXPECT_THAT(top_share_curve({}, two).error().text(), HasSubstr("q"));
  EXPECT_THAT(best_of_n_from_scores(many, one, one).error().text(), HasSubstr("gold"));
  EXPECT_THAT(best_of_n_from_scores(two, two, one).error().text(), HasSubstr("at least 20"));
  EXPECT_THAT(best_of_n_from_scores(many, many, big).error().text(), HasSubstr("n"));
  EXPECT_THAT(best_of_n_from_scores(many, many, odd).error().text(), HasSubstr("whole"));
  base::Rng rng(1);
  EXPECT_THAT(overoptimisation(many, many, one, rng).error().text(), HasSubstr("strengths"));
  EXPECT_THAT(fit_overoptimisation(two, two, CurveForm::kBestOfN).error().text(), HasSubstr("at least 3"));
  EXPECT_THAT(fit_overoptimisation(many, many, CurveForm::kBestOfN).error().text(), HasSubstr("same"));
  const std::vector<double> zero(5, 0.0);
  EXPECT_THAT(fit_overoptimisation(zero, zero, CurveForm::kBestOfN).error().text(), HasSubstr("divergence"));
  InducedShiftOptions o;
  o.learners = 2;
  EXPECT_THAT(induced_shift(o, rng).error().text(), HasSubstr("learners"));
  InterestOptions i;
  i.shown = 100;
  EXPECT_THAT(interest_drift(i, Recommender::kRandom, rng).error().text(), HasSubstr("shown"));
}

}  // namespace
}  // namespace plumbline::reward

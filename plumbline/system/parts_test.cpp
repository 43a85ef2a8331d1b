#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "plumbline/stats/intervals.hpp"
#include "plumbline/system/cancelled.hpp"
#include "plumbline/system/conflict.hpp"
#include "plumbline/system/feedback.hpp"
#include "plumbline/system/ranker_and_fonts.hpp"
#include "plumbline/system/regression.hpp"
#include "plumbline/system/simulated.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::system {
namespace {

constexpr double kSide = 0.975;

struct Recorded {
  SystemGraph graph;
  Trace trace;
};

Recorded recorded(const std::vector<Component>& components, const data::Table& table, const std::string& time,
                  const std::string& unit, const std::map<std::size_t, std::string>& flags) {
  auto graph = SystemGraph::make(components);
  EXPECT_TRUE(graph.ok()) << graph.error().text();
  TraceTable t{&table, "trace.csv", time, unit, {}};
  for (std::size_t k = 0; k < components.size(); ++k) t.parts.push_back({k, flags.contains(k) ? flags.at(k) : "", ""});
  auto trace = make_trace(*graph, std::span(&t, 1));
  EXPECT_TRUE(trace.ok()) << trace.error().text();
  return {std::move(*graph), std::move(*trace)};
}

Recorded run_linear(const LinearSystem& s, std::size_t units, std::size_t rounds, base::Rng& rng) {
  const data::Table table = simulate(s, units, rounds, rng);
  std::map<std::size_t, std::string> flags;
  for (std::size_t k = 0; k < s.components.size(); ++k)
    if (s.rate[k] > 0) flags[k] = "lot_" + s.components[k].name;
  return recorded(s.components, table, "time", "unit", flags);
}

Recorded run_discrete(const DiscreteSystem& s, std::size_t rows, base::Rng& rng) {
  return recorded(s.components, simulate(s, rows, rng), "time", "", {{0, "lot"}});
}

ExplorationReport cancelled(const Recorded& r, std::size_t explorer, const std::string& exposure = {}) {
  ExplorationOptions options;
  options.exposure = exposure;
  auto report = find_cancelled(r.graph, r.trace, explorer, options, base::Rng(1));
  EXPECT_TRUE(report.ok()) << report.error().text();
  return *report;
}

bool holds(const Bounded& b, double truth, double side = kSide) {
  return b.low(side) <= truth && truth <= b.high(side);
}

// ---- contrasts
// ---------------------------------------------------------------------------------------------------------

TEST(SystemContrast, EqualWeightsAreTheUsualBounds) {
  std::vector<double> hits, ones(50, 1.0);
  for (int i = 0; i < 50; ++i) hits.push_back(i < 13 ? 1 : 0);
  const auto share = weighted_mean(hits, ones, {});
  ASSERT_TRUE(share.ok());
  const auto exact = stats::clopper_pearson(13, 50);
  EXPECT_NEAR(share->value, 0.26, 1e-15);
  // The variance has n - 1 below, so the effective size is 49.
  EXPECT_NEAR(*share->low(0.95), *exact->bounds.lower[2], 0.005);
  EXPECT_NEAR(*share->high(0.95), *exact->bounds.upper[2], 0.005);
  std::vector<double> values;
  for (int i = 0; i < 50; ++i) values.push_back(0.1 * i * i);
  const auto mean = weighted_mean(values, ones, {});
  const auto plain = stats::mean(values);
  EXPECT_NEAR(*mean->low(0.95), *plain->bounds.lower[2], 1e-9);
}

TEST(SystemContrast, TheControlIsWeightedToTheArm) {
  // Stratum 0: 30 rows of the arm, 10 others with mean 0.5; stratum 1: 10 of the arm, 20 others with mean 0.1.
  std::vector<double> values;
  std::vector<std::uint8_t> flag;
  std::vector<int> strata;
  const auto add = [&](int stratum, int arm, int count, double mean) {
    for (int i = 0; i < count; ++i) {
      values.push_back(mean + (i % 2 == 0 ? 0.01 : -0.01));
      flag.push_back(static_cast<std::uint8_t>(arm));
      strata.push_back(stratum);
    }
  };
  add(0, 1, 30, 1);
  add(0, 0, 10, 0.5);
  add(1, 1, 10, 0.6);
  add(1, 0, 20, 0.1);
  add(2, 1, 5, 9);  // nothing to compare with
  const auto got = contrast(values, flag, strata, {});
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_NEAR(got->treated.value, 0.9, 1e-12);
  EXPECT_NEAR(got->control.value, 0.75 * 0.5 + 0.25 * 0.1, 1e-12);
  EXPECT_NEAR(got->compared, 40.0 / 45, 1e-12);
  EXPECT_NEAR(difference(*got).value, 0.5, 1e-12);
  EXPECT_NEAR(ratio(*got).value, 2.25, 1e-12);
  EXPECT_FALSE(contrast(values, std::vector<std::uint8_t>(values.size(), 0), strata, {}).ok());
}

TEST(SystemContrast, BoundsOfARatioSolveTheirEquation) {
  Contrast c;
  c.treated = student(2, 0.3, 40, 50, "");
  c.control = student(1, 0.1, 40, 50, "");
  const Bounded r = ratio(c);
  for (const double side : {0.8, 0.95, 0.999}) {
    const double high = *r.high(side);
    const double low = *r.low(side);
    EXPECT_NEAR(2 - high * 1 + std::hypot(*c.treated.high(side) - 2, high * (1 - *c.control.low(side))), 0, 1e-9);
    EXPECT_NEAR(2 - low * 1 - std::hypot(2 - *c.treated.low(side), low * (*c.control.high(side) - 1)), 0, 1e-9);
  }
}

TEST(SystemContrastStatistical, BoundsOfDifferenceAndRatioCover) {
  // 400 draws of clustered shares at a two-sided 0.95: not below the band; a true coverage of 0.89 slips through with
  // probability 0.02.
  int difference_hits = 0, ratio_hits = 0;
  constexpr int kTrials = 400;
  testing::count_seeds(kTrials, [&](base::Rng& rng) {
    std::vector<double> values;
    std::vector<std::uint8_t> flag;
    std::vector<int> strata, units;
    for (int u = 0; u < 60; ++u) {
      for (int i = 0; i < 5; ++i) {
        const bool arm = rng.bernoulli(0.3);
        const bool stratum = rng.bernoulli(0.5);
        values.push_back(rng.bernoulli((arm ? 0.2 : 0.5) * (stratum ? 1 : 0.5)) ? 1 : 0);
        flag.push_back(arm ? 1 : 0);
        strata.push_back(stratum ? 1 : 0);
        units.push_back(u);
      }
    }
    const auto got = contrast(values, flag, strata, units);
    // The arm's strata are drawn too; given them the difference is -0.3 (share + (1 - share) / 2).
    double share = 0, count = 0;
    for (std::size_t i = 0; i < flag.size(); ++i)
      if (flag[i] == 1) {
        count += 1;
        share += strata[i];
      }
    share /= count;
    difference_hits += got.ok() && holds(difference(*got), -0.3 * (share + (1 - share) / 2)) ? 1 : 0;
    ratio_hits += got.ok() && holds(ratio(*got), 0.4) ? 1 : 0;
    return true;
  });
  EXPECT_GE(difference_hits, testing::binomial_floor(kTrials, 0.95));
  EXPECT_GE(ratio_hits, testing::binomial_floor(kTrials, 0.95));
}

TEST(SystemContrast, LeastGreatestProductAndTheirSides) {
  const Bounded a = student(1, 0.1, 50, 60, "a");
  const Bounded b = student(2, 0.1, 50, 60, "b");
  const Bounded least = least_of({b, a});
  EXPECT_EQ(least.value, 1);
  EXPECT_NEAR(*least.low(0.95), *a.low(0.95), 1e-15);
  EXPECT_NEAR(*least.high(0.95), *a.high(0.975), 1e-15);  // of two, Bonferroni
  const Bounded greatest = greatest_of({a, b});
  EXPECT_EQ(greatest.value, 2);
  EXPECT_NEAR(*greatest.high(0.95), *b.high(0.95), 1e-15);
  EXPECT_NEAR(*greatest.low(0.95), *b.low(0.975), 1e-15);
  EXPECT_NEAR(*product(a, b).low(0.95), *a.low(0.975) * *b.low(0.975), 1e-15);
  EXPECT_NEAR(two_sided_p(student(1, 0.5, 1e9, 60, "")), 0.0455, 1e-4);
  EXPECT_NEAR(two_sided_p(student(-1, 0.5, 1e9, 60, "")), 0.0455, 1e-4);
}

// ---- regression
// --------------------------------------------------------------------------------------------------------

TEST(SystemRegression, IsLeastSquaresWithClusteredErrors) {
  base::Rng rng(5);
  constexpr std::ptrdiff_t kRows = 120;
  MatrixD x(kRows, 2);
  std::vector<double> y;
  std::vector<int> units;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    x(i, 0) = rng.normal();
    x(i, 1) = rng.normal() + x(i, 0);
    y.push_back(3 + 2 * x(i, 0) - x(i, 1) + rng.normal());
    units.push_back(static_cast<int>(i / 4));
  }
  const Clusters clusters = make_clusters(units, kRows);
  const std::vector<std::string> names = {"a", "b"};
  const auto fit = regress(x, y, clusters, names);
  ASSERT_TRUE(fit.ok()) << fit.error().text();
  // The normal equations hold, and the sandwich by hand.
  double meat[2][2] = {{0, 0}, {0, 0}};
  double bread[2][2] = {{0, 0}, {0, 0}};
  double mean[2] = {0, 0};
  for (std::ptrdiff_t i = 0; i < kRows; ++i)
    for (int a = 0; a < 2; ++a) mean[a] += x(i, a) / kRows;
  double zero[2] = {0, 0};
  for (int g = 0; g < 30; ++g) {
    double score[2] = {0, 0};
    for (std::ptrdiff_t i = 4 * g; i < 4 * g + 4; ++i) {
      const double e = y[static_cast<std::size_t>(i)] - fit->constant - fit->coefficient[0] * x(i, 0) -
                       fit->coefficient[1] * x(i, 1);
      for (int a = 0; a < 2; ++a) {
        score[a] += (x(i, a) - mean[a]) * e;
        for (int b = 0; b < 2; ++b) bread[a][b] += (x(i, a) - mean[a]) * (x(i, b) - mean[b]);
      }
    }
    for (int a = 0; a < 2; ++a) {
      zero[a] += score[a];
      for (int b = 0; b < 2; ++b) meat[a][b] += score[a] * score[b];
    }
  }
  EXPECT_NEAR(zero[0], 0, 1e-9);
  EXPECT_NEAR(zero[1], 0, 1e-9);
  const double det = bread[0][0] * bread[1][1] - bread[0][1] * bread[1][0];
  const double row[2] = {bread[1][1] / det, -bread[0][1] / det};
  double variance = 0;
  for (int a = 0; a < 2; ++a)
    for (int b = 0; b < 2; ++b) variance += row[a] * meat[a][b] * row[b];
  variance *= 30.0 / 29 * 119.0 / 117;
  EXPECT_NEAR(fit->error(0), std::sqrt(variance), 1e-9);
  MatrixD twice(kRows, 2);
  for (std::ptrdiff_t i = 0; i < kRows; ++i) twice(i, 0) = twice(i, 1) = x(i, 0);
  EXPECT_NE(regress(twice, y, clusters, names).error().message.find("combination"), std::string::npos);
  for (std::ptrdiff_t i = 0; i < kRows; ++i) twice(i, 1) = 4;
  EXPECT_EQ(regress(twice, y, clusters, names).error().message, "'b' does not vary");
}

// ---- rounds
// ------------------------------------------------------------------------------------------------------------

TEST(SystemRounds, GainIsWhatASustainedChangeComesBackAs) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    base::Rng rng(seed);
    const std::ptrdiff_t n = 2 + static_cast<std::ptrdiff_t>(rng.below(4));
    RoundModel model{MatrixD::Zero(n, n), MatrixD::Zero(n, n), VectorD::Zero(n)};
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::ptrdiff_t k = 0; k < n; ++k) {
        if (k < i) model.feeds(i, k) = rng.uniform(-0.3, 0.3);
        model.teaches(i, k) = rng.uniform(-0.2, 0.2);
      }
      model.keeps[i] = rng.uniform(0, 0.2);
    }
    const std::ptrdiff_t j = static_cast<std::ptrdiff_t>(rng.below(static_cast<std::uint64_t>(n)));
    // The output held at one; what its own rule would say is read off once all has settled.
    std::vector<double> before(static_cast<std::size_t>(n), 0.0), now = before;
    double wanted = 0;
    for (int round = 0; round < 400; ++round) {
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        double value = 0;
        for (std::ptrdiff_t k = 0; k < n; ++k)
          value += model.feeds(i, k) * (k < i ? now[static_cast<std::size_t>(k)] : 0) +
                   model.teaches(i, k) * before[static_cast<std::size_t>(k)];
        if (i == j) {
          // What it keeps is of what it wanted, not of what it was held at.
          wanted = value + model.keeps[j] * wanted;
          value = 1;
        } else {
          value += model.keeps[i] * before[static_cast<std::size_t>(i)];
        }
        now[static_cast<std::size_t>(i)] = value;
      }
      before = now;
    }
    const auto gain = loop_gain(model, static_cast<std::size_t>(j));
    ASSERT_TRUE(gain.ok());
    EXPECT_NEAR(*gain, wanted, 1e-9) << "seed " << seed;
    // Derivatives against differences.
    const auto exact = gain_of(model, j);
    const Sensitive next = next_of(model, j);
    for (int k = 0; k < 6; ++k) {
      const auto a = static_cast<std::ptrdiff_t>(rng.below(static_cast<std::uint64_t>(n)));
      const auto b = static_cast<std::ptrdiff_t>(rng.below(static_cast<std::uint64_t>(n)));
      constexpr double kStep = 1e-6;
      RoundModel up = model, down = model;
      up.teaches(a, b) += kStep;
      down.teaches(a, b) -= kStep;
      EXPECT_NEAR(
          exact->by_teaches(a, b),
          (*loop_gain(up, static_cast<std::size_t>(j)) - *loop_gain(down, static_cast<std::size_t>(j))) / (2 * kStep),
          1e-7);
      EXPECT_NEAR(
          next.by_teaches(a, b),
          (next_return(up, static_cast<std::size_t>(j)) - next_return(down, static_cast<std::size_t>(j))) / (2 * kStep),
          1e-7);
      up = down = model;
      up.keeps[a] += kStep;
      down.keeps[a] -= kStep;
      EXPECT_NEAR(
          exact->by_keeps[a],
          (*loop_gain(up, static_cast<std::size_t>(j)) - *loop_gain(down, static_cast<std::size_t>(j))) / (2 * kStep),
          1e-7);
      if (a <= b) continue;
      up = down = model;
      up.feeds(a, b) += kStep;
      down.feeds(a, b) -= kStep;
      EXPECT_NEAR(
          exact->by_feeds(a, b),
          (*loop_gain(up, static_cast<std::size_t>(j)) - *loop_gain(down, static_cast<std::size_t>(j))) / (2 * kStep),
          1e-7);
      EXPECT_NEAR(
          next.by_feeds(a, b),
          (next_return(up, static_cast<std::size_t>(j)) - next_return(down, static_cast<std::size_t>(j))) / (2 * kStep),
          1e-7);
    }
  }
}

TEST(SystemRounds, SpectralRadiusOfKnownMatrices) {
  RoundModel model{MatrixD::Zero(2, 2), MatrixD::Zero(2, 2), VectorD::Zero(2)};
  EXPECT_EQ(spectral_radius(model), 0);
  model.teaches(1, 0) = 5;  // nilpotent
  EXPECT_EQ(spectral_radius(model), 0);
  model.teaches(0, 1) = -0.05;  // a rotation: eigenvalues +-0.5 i
  EXPECT_NEAR(spectral_radius(model), 0.5, 1e-5);
  model.keeps[0] = 1.2;
  model.teaches(0, 1) = 0;
  EXPECT_NEAR(spectral_radius(model), 1.2, 1e-5);
  RoundModel chain{MatrixD::Zero(2, 2), MatrixD::Zero(2, 2), VectorD::Zero(2)};
  chain.feeds(1, 0) = 2;
  chain.teaches(0, 1) = 0.3;
  EXPECT_NEAR(spectral_radius(chain), 0.6, 1e-5);
}

// ---- feedback
// ----------------------------------------------------------------------------------------------------------

TEST(SystemFeedbackStatistical, GainReturnsAndRadiusCover) {
  // 200 random systems at a two-sided 0.95: not below the band; a true coverage of 0.87 slips through with probability
  // 0.02.
  constexpr int kTrials = 200;
  int gain = 0, next = 0, lot = 0, radius = 0, agree = 0;
  testing::count_seeds(kTrials, [&](base::Rng& rng) {
    const double truth = rng.uniform(0, 0.8);
    const LinearSystem s = random_linear({.parts = 2 + rng.below(3), .gain = truth}, rng);
    const Recorded r = run_linear(s, 40, 12, rng);
    const auto report = find_feedback(r.graph, r.trace, {});
    if (!report.ok() || report->returns.empty() || !report->radius) return false;
    const Return& first = report->returns[0];
    gain += holds(*first.gain, truth) ? 1 : 0;
    next += holds(*first.next, next_return(s.running(), 0)) ? 1 : 0;
    lot += holds(*first.next_by_lot, next_return(s.running(), 0)) ? 1 : 0;
    agree += holds(*first.disagreement, 0) ? 1 : 0;
    const double exact = spectral_radius(s.running());
    radius += holds(*report->radius, exact) ? 1 : 0;
    return true;
  });
  EXPECT_GE(gain, testing::binomial_floor(kTrials, 0.95));
  EXPECT_GE(next, testing::binomial_floor(kTrials, 0.95));
  EXPECT_GE(lot, testing::binomial_floor(kTrials, 0.95));
  EXPECT_GE(agree, testing::binomial_floor(kTrials, 0.95));
  EXPECT_GE(radius, testing::binomial_floor(kTrials, 0.95));
}

TEST(SystemFeedback, LotsAreNotFooledByAHiddenCause) {
  // What nobody recorded moves the part's output and its result at once.
  base::Rng rng(11);
  LinearSystem s = random_linear({.parts = 2, .gain = 0}, rng);
  s.hidden[0] = 1.5;
  s.hidden[2] = 1.5;
  s.size[0] = 3;
  s.model.teaches(0, 2) = 0.4;
  const double truth = next_return(s.running(), 0);
  const Recorded r = run_linear(s, 200, 40, rng);
  const auto report = find_feedback(r.graph, r.trace, {});
  ASSERT_TRUE(report.ok());
  const Return& first = report->returns[0];
  EXPECT_FALSE(holds(*first.next, truth));  // the link from output to result is overstated
  EXPECT_TRUE(holds(*first.next_by_lot, truth, 0.999)) << first.next_by_lot->value << " " << truth;
  EXPECT_LT(two_sided_p(*first.disagreement), 0.01);
  // Widened for a cause that strong, the bounds by the graph hold.
  FeedbackOptions wide;
  wide.hidden = 0.7;
  const auto widened_report = find_feedback(r.graph, r.trace, wide);
  EXPECT_TRUE(holds(*widened_report->returns[0].next, truth));
  EXPECT_GT(*first.robustness, 0);
}

TEST(SystemFeedback, MemoryIsToldFromFeedback) {
  base::Rng rng(13);
  LinearSystem s = random_linear({.parts = 2, .gain = 0.3, .rate = 0}, rng);
  s.model.keeps[0] = 0.5;
  const double truth = *loop_gain(s.running(), 0);
  const Recorded r = run_linear(s, 60, 40, rng);
  FeedbackOptions options;
  options.memory = true;
  const auto report = find_feedback(r.graph, r.trace, options);
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report->returns[0].gain->value, truth, 0.1);
  EXPECT_NEAR(truth, 0.6, 1e-12);  // 0.3 / (1 - 0.5)
}

TEST(SystemFeedback, LessonsKnowTheirMakers) {
  base::Rng rng(17);
  LinearSystem s = random_linear({.parts = 3, .gain = 0.3}, rng);
  const Recorded r = run_linear(s, 40, 20, rng);
  const auto report = find_feedback(r.graph, r.trace, {});
  ASSERT_EQ(report->teaching.size(), 1U);
  const Teaching& lesson = report->teaching[0];
  EXPECT_EQ(lesson.signal, "r0");
  ASSERT_TRUE(lesson.share);
  // Variance of the result from outputs over all of it: the regression's R^2 less the season's.
  EXPECT_GT(lesson.share->low(kSide).value(), 0.05);
  EXPECT_LT(lesson.share->high(kSide).value(), 0.9);
}

TEST(SystemFeedback, WhatCannotBeMeasuredIsSaid) {
  const Recorded r = run_discrete(
      [] {
        base::Rng rng(1);
        DiscreteSystem s = random_discrete(3, 0, 0.2, rng);
        s.components[0].learns_from = {"y2"};
        return s;
      }(),
      300, *std::make_unique<base::Rng>(2));
  const auto report = find_feedback(r.graph, r.trace, {});
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->loops.loops.empty());
  EXPECT_TRUE(report->returns.empty());
  EXPECT_FALSE(report->radius);
  EXPECT_EQ(report->notes[0],
            "loops through part0 are not measured: it has no recorded output that is a number or has two levels");
  FeedbackOptions bad;
  bad.hidden = 1;
  EXPECT_FALSE(find_feedback(r.graph, r.trace, bad).ok());
}

// ---- exploration
// -------------------------------------------------------------------------------------------------------

TEST(SystemCancelledStatistical, KeptCoversOverSystemsOfTwoToTwentyParts) {
  constexpr int kTrials = 200;
  int covered = 0, found = 0, false_alarms = 0, blamed = 0, clean = 0;
  testing::count_seeds(kTrials, [&](base::Rng& rng) {
    const std::size_t parts = 2 + rng.below(19);
    const bool leaks = rng.bernoulli(0.5);
    const DiscreteSystem s = random_discrete(parts, leaks ? 0.7 : 0, 0.25, rng);
    const Recorded r = run_discrete(s, 1000, rng);
    const ExplorationReport report = cancelled(r, 0);
    double least = 1;
    for (std::size_t k = 1; k < parts; ++k) least = std::min(least, s.kept(k));
    covered += holds(*report.kept, least) ? 1 : 0;
    double p = 1;
    std::size_t who = 0;
    for (const Crossing& c : report.crossings) {
      if (c.dependence_p < p) who = c.part;
      p = std::min(p, c.dependence_p);
    }
    if (leaks) {
      found += p <= 0.05 ? 1 : 0;
      blamed += p <= 0.05 && who == leaking_part(s) ? 1 : 0;
    } else {
      ++clean;
      false_alarms += p <= 0.05 ? 1 : 0;
    }
    return true;
  });
  EXPECT_GE(covered, testing::binomial_floor(kTrials, 0.95));
  EXPECT_EQ(found, kTrials - clean);  // 0.7 of a quarter of 1,000 decisions: never missed
  EXPECT_EQ(blamed, found);
  EXPECT_LE(false_alarms, testing::binomial_band(clean, 0.05).high) << clean;
}

TEST(SystemCancelled, TheFontTeamIsFoundAndNamed) {
  base::Rng rng(7);
  const RankerRun run = run_ranker_and_fonts({}, rng);
  const Recorded r = recorded(ranker_components(), run.trace, "time", "session", {{0, "explored"}});
  const ExplorationReport report = cancelled(r, 0, "noticed");
  ASSERT_EQ(report.crossings.size(), 2U);  // the font, and the exposure; people and the reader do not choose
  const Crossing& fonts = report.crossings[0];
  EXPECT_EQ(fonts.signal, "font");
  EXPECT_EQ(fonts.loudest, "tiny");
  EXPECT_EQ(fonts.told_by, (std::vector<std::string>{"looks"}));
  EXPECT_LT(*fonts.kept.high(kSide), 0.25);
  EXPECT_LT(*report.kept->high(kSide), 0.25);
  EXPECT_LT(*report.effective->high(kSide), 0.06);
  EXPECT_LT(run.found, 0.5);
  const std::vector<std::string> words = explain(r.graph, report);
  EXPECT_NE(words[1].find("fonts treats what was drawn by lot differently: font is tiny in 0.8"), std::string::npos)
      << words[1];
  // The same read off what interventions do: with fonts held large, the ranker finds what people like.
  RankerOptions held;
  held.font = 2;
  base::Rng again(7);
  const RankerRun free = run_ranker_and_fonts(held, again);
  EXPECT_EQ(free.found, 1);
  EXPECT_GT(free.clicks, run.clicks + 0.1);
  const Recorded fr = recorded(ranker_components(), free.trace, "time", "session", {{0, "explored"}});
  EXPECT_GT(*cancelled(fr, 0, "noticed").kept->low(kSide), 0.9);
}

TEST(SystemCancelled, AReaderThatCannotTellLeavesExplorationWhole) {
  RankerOptions blind;
  blind.acuity = 0;
  base::Rng rng(7);
  const RankerRun run = run_ranker_and_fonts(blind, rng);
  const Recorded r = recorded(ranker_components(), run.trace, "time", "session", {{0, "explored"}});
  const ExplorationReport report = cancelled(r, 0, "noticed");
  EXPECT_GT(*report.kept->low(kSide), 0.9);
  EXPECT_GT(report.crossings[0].dependence_p, 0.01);
  EXPECT_EQ(run.found, 1);
}

TEST(SystemCancelled, AFilterThatReplacesIsFoundThoughItsOutputLooksAlike) {
  // A filter puts the usual item back in 0.9 of the lots: its output hardly depends on the flag.
  base::Rng rng(3);
  std::vector<int> item, shown;
  std::vector<double> flag;
  for (int i = 0; i < 1500; ++i) {
    const bool lot = rng.bernoulli(0.3);
    item.push_back(lot ? static_cast<int>(rng.below(4)) : 0);
    shown.push_back(lot && rng.bernoulli(0.9) ? 0 : item.back());
    flag.push_back(lot ? 1 : 0);
  }
  data::Table table;
  add_category(table, "item", item, {"a", "b", "c", "d"});
  add_category(table, "shown", shown, {"a", "b", "c", "d"});
  add_number(table, "lot", flag);
  Component ranker, filter;
  ranker.name = "ranker";
  ranker.outputs = {"item"};
  filter.name = "filter";
  filter.inputs = {"item"};
  filter.outputs = {"shown"};
  const Recorded r = recorded({ranker, filter}, table, "", "", {{0, "lot"}});
  const ExplorationReport report = cancelled(r, 0);
  ASSERT_EQ(report.crossings.size(), 1U);
  EXPECT_EQ(report.crossings[0].passage, Passage::kPassed);
  // An item passes unchanged where it was the usual one, or in the tenth that is let through.
  EXPECT_NEAR(report.kept->value, 0.25 + 0.75 * 0.1, 0.04);
  EXPECT_LT(report.crossings[0].dependence_p, 1e-6);
}

TEST(SystemCancelled, SaysWhatItCannotJudge) {
  base::Rng rng(1);
  const DiscreteSystem s = random_discrete(2, 0, 0.2, rng);
  const Recorded r = run_discrete(s, 200, rng);
  ExplorationOptions options;
  EXPECT_NE(find_cancelled(r.graph, r.trace, 1, options, base::Rng(1))
                .error()
                .text()
                .find("part1 records no exploration flag"),
            std::string::npos);
  options.exposure = "seen";
  EXPECT_NE(find_cancelled(r.graph, r.trace, 0, options, base::Rng(1)).error().text().find("'seen' was not recorded"),
            std::string::npos);
  options.exposure = "y1";
  EXPECT_NE(find_cancelled(r.graph, r.trace, 0, options, base::Rng(1)).error().text().find("must be a number"),
            std::string::npos);
  Recorded always = r;
  for (auto& f : always.trace.explored[0].flag) f = 1;
  EXPECT_NE(find_cancelled(always.graph, always.trace, 0, {}, base::Rng(1)).error().text().find("is never 0"),
            std::string::npos);
  const Recorded few = run_discrete(s, 30, rng);
  const auto report = find_cancelled(few.graph, few.trace, 0, {}, base::Rng(1));
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->kept);
  EXPECT_FALSE(report->notes.empty());
}

// ---- conflict
// ----------------------------------------------------------------------------------------------------------

TEST(SystemConflictStatistical, PullsCoverAndPlantedHarmIsFound) {
  constexpr int kTrials = 100;
  int covered = 0, of = 0, found = 0, alarms = 0;
  testing::count_seeds(kTrials, [&](base::Rng& rng) {
    const std::size_t parts = 2 + rng.below(9);
    const bool conflict = rng.bernoulli(0.5);
    const LinearSystem s = random_linear({.parts = parts, .conflict = conflict}, rng);
    const Recorded r = run_linear(s, 40, 15, rng);
    const auto report = find_conflicts(r.graph, r.trace, {}, base::Rng(2));
    bool harm = false;
    for (const Lever& lever : report->levers) {
      EXPECT_TRUE(lever.by_lot);
      for (const Pull& pull : lever.pulls) {
        if (pull.own) continue;
        // In units of the step: its size over the objective's deviation is read off the report.
        const std::size_t to = r.graph.writer(pull.objective).value();
        const double effect = s.effect(lever.component, to);
        const double high = pull.effect->high(kSide).value();
        harm = harm || high < -0.1;
        if (lever.component != 0) continue;
        std::vector<double> values;
        for (const double v : r.trace.find(pull.objective)->value) values.push_back(v);
        double mean = 0, square = 0;
        for (const double v : values) mean += v / static_cast<double>(values.size());
        for (const double v : values) square += (v - mean) * (v - mean) / static_cast<double>(values.size() - 1);
        const double step = std::stod(lever.step.substr(lever.step.find("by ") + 3));
        ++of;
        covered += holds(*pull.effect, effect * step / std::sqrt(square)) ? 1 : 0;
      }
    }
    found += conflict && harm ? 1 : 0;
    alarms += !conflict && harm ? 1 : 0;
    return conflict;
  });
  EXPECT_GE(covered, testing::binomial_floor(of, 0.95));
  EXPECT_GE(found, 40);  // of about 50
  EXPECT_EQ(alarms, 0);
}

TEST(SystemConflict, CategoriesAreLeversToo) {
  // Large print earns clicks and costs readers' time; the clicks team moves towards large.
  base::Rng rng(3);
  std::vector<int> font;
  std::vector<double> clicks, calm, lots;
  for (int i = 0; i < 2000; ++i) {
    const bool lot = rng.bernoulli(0.5);
    font.push_back(lot ? static_cast<int>(rng.below(3)) : 1);
    lots.push_back(lot ? 1 : 0);
    clicks.push_back(rng.bernoulli(0.2 + 0.2 * font.back()) ? 1 : 0);
    calm.push_back(rng.normal() - 0.5 * font.back());
  }
  data::Table table;
  add_category(table, "font", font, {"tiny", "small", "large"});
  add_number(table, "click", clicks);
  add_number(table, "calm", calm);
  add_number(table, "lot", lots);
  Component fonts, care, people;
  fonts.name = "fonts";
  fonts.outputs = {"font"};
  fonts.objective = "click";
  care.name = "care";
  care.objective = "calm";
  people.name = "people";
  people.inputs = {"font"};
  people.outputs = {"click", "calm"};
  const Recorded r = recorded({fonts, care, people}, table, "", "", {{0, "lot"}});
  const auto report = find_conflicts(r.graph, r.trace, {}, base::Rng(2));
  ASSERT_EQ(report->levers.size(), 1U);
  const Lever& lever = report->levers[0];
  EXPECT_EQ(lever.step, "choose 'large'");
  ASSERT_EQ(lever.pulls.size(), 2U);
  EXPECT_TRUE(lever.pulls[0].own);
  // Large rather than tiny or small: 0.75 lower in calm, whose deviation is near 1.06.
  EXPECT_LT(*lever.worst->high(kSide), -0.5);
  const auto pairs = objective_pairs(*report);
  ASSERT_EQ(pairs.size(), 1U);
  EXPECT_NEAR(pairs[0].cosine, -1, 1e-12);
}

TEST(SystemConflict, WithoutAClearGainNothingIsSaid) {
  base::Rng rng(3);
  std::vector<double> y, a, b;
  for (int i = 0; i < 300; ++i) {
    y.push_back(rng.normal());
    a.push_back(rng.normal());
    b.push_back(rng.normal() - y.back());
  }
  data::Table table;
  add_number(table, "y", y);
  add_number(table, "a", a);
  add_number(table, "b", b);
  Component mover, other, world;
  mover.name = "mover";
  mover.outputs = {"y"};
  mover.objective = "a";
  other.name = "other";
  other.objective = "b";
  world.name = "world";
  world.inputs = {"y"};
  world.outputs = {"a", "b"};
  const Recorded r = recorded({mover, other, world}, table, "", "", {});
  const auto report = find_conflicts(r.graph, r.trace, {}, base::Rng(2));
  ASSERT_EQ(report->levers.size(), 1U);
  EXPECT_TRUE(report->levers[0].pulls.empty());
  EXPECT_EQ(report->notes[0], "y of mover moves nothing that can be judged: no step of it is a clear gain for a");
}

}  // namespace
}  // namespace plumbline::system

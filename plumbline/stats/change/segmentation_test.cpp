#include "plumbline/stats/change/segmentation.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/stats/change/agreement.hpp"
#include "plumbline/stats/change/run_length.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::stats {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Levels that change now and then.
std::vector<double> jumps(std::size_t n, base::Rng& rng, double size = 3) {
  std::vector<double> out(n);
  double level = 0;
  for (double& x : out) {
    if (rng.bernoulli(0.04)) level += size * rng.normal();
    x = level + rng.normal();
  }
  return out;
}

std::vector<double> counts(std::size_t n, base::Rng& rng) {
  std::vector<double> out(n);
  double rate = 3;
  for (double& x : out) {
    if (rng.bernoulli(0.05)) rate = 1 + 8 * rng.uniform();
    x = static_cast<double>(rng.poisson(rate));
  }
  return out;
}

std::vector<CostPtr> all_costs(std::size_t n, base::Rng& rng, std::size_t shortest) {
  const auto x = jumps(n, rng);
  const auto c = counts(n, rng);
  std::vector<double> errors(n);
  for (double& e : errors) e = rng.uniform(0.5, 2);
  std::vector<CostPtr> out;
  out.push_back(mean_cost(x, {.shortest = shortest}).value());
  out.push_back(mean_cost(x, {.errors = errors, .shortest = shortest}).value());
  out.push_back(mean_cost(x, {.length_term = true, .shortest = shortest}).value());
  out.push_back(normal_cost(x, std::max<std::size_t>(2, shortest)).value());
  out.push_back(poisson_cost(c, {}, shortest).value());
  out.push_back(rank_cost(x, shortest).value());
  out.push_back(distribution_cost(x, 0, shortest).value());
  return out;
}

/// Every segmentation there is.
double best_by_listing(const SegmentCost& cost, double penalty) {
  const std::size_t n = cost.size();
  double best = INFINITY;
  for (std::size_t code = 0; code < (std::size_t{1} << (n - 1)); ++code) {
    double sum = -penalty;
    std::size_t begin = 0;
    bool allowed = true;
    for (std::size_t end = 1; end <= n && allowed; ++end) {
      if (end < n && ((code >> (end - 1)) & 1U) == 0) continue;
      allowed = end - begin >= cost.shortest();
      if (allowed) sum += cost.cost(begin, end) + penalty;
      begin = end;
    }
    if (allowed) best = std::min(best, sum);
  }
  return best;
}

TEST(Segmentations, ExactAgainstEverySegmentation) {
  base::Rng rng(1);
  for (const std::size_t shortest : {1U, 2U, 3U}) {
    for (int trial = 0; trial < 4; ++trial) {
      for (const CostPtr& cost : all_costs(11, rng, shortest)) {
        for (const double penalty : {0.0, 1.0, 4.0}) {
          const double best = best_by_listing(*cost, penalty);
          EXPECT_NEAR(optimal_partition(*cost, penalty)->objective, best, 1e-9);
          EXPECT_NEAR(pelt(*cost, penalty)->objective, best, 1e-9);
        }
      }
    }
  }
}

TEST(Segmentations, PruningLosesNothing) {
  base::Rng rng(2);
  for (const std::size_t shortest : {1U, 2U, 5U}) {
    for (int trial = 0; trial < 3; ++trial) {
      for (const CostPtr& cost : all_costs(160, rng, shortest)) {
        for (const double penalty : {0.5, schwarz_penalty(*cost)}) {
          const auto plain = optimal_partition(*cost, penalty), pruned = pelt(*cost, penalty);
          EXPECT_NEAR(pruned->objective, plain->objective, 1e-8 * std::abs(plain->objective) + 1e-9);
          std::size_t begin = 0;
          for (const std::size_t at : pruned->changes) {
            EXPECT_GE(at - begin, cost->shortest());
            begin = at;
          }
          EXPECT_GE(cost->size() - begin, cost->shortest());
        }
      }
    }
  }
}

// The best with a penalty is the best of some number of changes.
TEST(Segmentations, ByNumberOfChanges) {
  base::Rng rng(3);
  for (const CostPtr& cost : all_costs(40, rng, 2)) {
    const auto by_number = best_segmentations(*cost, 19);
    ASSERT_TRUE(by_number.ok());
    for (const double penalty : {1.0, 6.0}) {
      double best = INFINITY;
      for (std::size_t k = 0; k < by_number->size(); ++k) {
        EXPECT_EQ(by_number->at(k).changes.size(), k);
        best = std::min(best, by_number->at(k).cost + penalty * static_cast<double>(k));
      }
      EXPECT_NEAR(pelt(*cost, penalty)->objective, best, 1e-9);
    }
  }
}

TEST(Segmentations, BinaryIsNoBetterAndFindsClearChanges) {
  base::Rng rng(4);
  std::vector<double> x(90);
  for (std::size_t i = 0; i < 90; ++i) x[i] = (i < 30 ? 0 : i < 60 ? 10 : 4) + 0.5 * rng.normal();
  const auto cost = mean_cost(x, {.deviation = 0.5});
  EXPECT_THAT(binary_segmentation(**cost, 20)->changes, ElementsAre(30, 60));
  EXPECT_THAT(pelt(**cost, 20)->changes, ElementsAre(30, 60));
  EXPECT_THAT(binary_segmentation(**cost, 20, 1)->changes, ElementsAre(30));
  EXPECT_THAT(binary_segmentation(**cost, 1e6)->changes, IsEmpty());
  for (const CostPtr& c : all_costs(60, rng, 2)) {
    const double penalty = schwarz_penalty(*c);
    EXPECT_GE(binary_segmentation(*c, penalty)->objective, pelt(*c, penalty)->objective - 1e-9);
  }
}

TEST(SegmentCosts, AreLikelihoodsWrittenOut) {
  base::Rng rng(5);
  const auto x = jumps(20, rng);
  const double mean = std::accumulate(x.begin() + 3, x.begin() + 12, 0.0) / 9;
  double squares = 0;
  for (std::size_t i = 3; i < 12; ++i) squares += (x[i] - mean) * (x[i] - mean);
  EXPECT_NEAR(mean_cost(x, {.deviation = 2}).value()->cost(3, 12), squares / 4, 1e-10);
  double likelihood = 0;
  for (std::size_t i = 3; i < 12; ++i)
    likelihood += std::log(2 * std::numbers::pi * squares / 9) + (x[i] - mean) * (x[i] - mean) / (squares / 9);
  EXPECT_NEAR(normal_cost(x).value()->cost(3, 12), likelihood, 1e-9);
  // A constant part costs no -infinity.
  EXPECT_TRUE(std::isfinite(normal_cost(std::vector<double>{1, 1, 1, 5, 6, 7}).value()->cost(0, 3)));
  const std::vector<double> c = {2, 0, 5}, e = {1, 2, 4};
  EXPECT_NEAR(poisson_cost(c, e).value()->cost(0, 3), 2 * (7 - 7 * std::log(1.0)), 1e-12);
  EXPECT_NEAR(poisson_cost(c, e).value()->cost(2, 3), 2 * (5 - 5 * std::log(5.0 / 4)), 1e-12);
  // Ranks: what one cut saves is the Kruskal-Wallis statistic, up to (n^2 - 1) for n (n + 1) with n - 1 degrees.
  const std::vector<double> y = {1, 2, 3, 10, 11, 12};
  const auto ranks = rank_cost(y).value();
  const double kruskal = 12.0 / (6 * 7) * (3 * std::pow(2 - 3.5, 2) + 3 * std::pow(5 - 3.5, 2));
  EXPECT_NEAR(ranks->cost(0, 6) - ranks->cost(0, 3) - ranks->cost(3, 6), kruskal * 6 / 5, 1e-12);
}

TEST(SegmentCosts, RanksAndDistributionsSeeWhatMeansDoNot) {
  base::Rng rng(6);
  std::vector<double> heavy(200), spread(300);
  for (std::size_t i = 0; i < 200; ++i) {
    const double cauchy = rng.normal() / rng.normal();
    heavy[i] = (i < 100 ? 0 : 2.5) + cauchy;
  }
  const auto ranks = rank_cost(heavy, 5).value();
  const auto by_ranks = pelt(*ranks, schwarz_penalty(*ranks));
  ASSERT_EQ(by_ranks->changes.size(), 1U);
  EXPECT_NEAR(static_cast<double>(by_ranks->changes[0]), 100, 8);
  for (std::size_t i = 0; i < 300; ++i) spread[i] = (i < 150 ? 1 : 4) * rng.normal();
  const auto any = distribution_cost(spread, 0, 10).value();
  const auto by_law = pelt(*any, 3 * std::log(300.0));
  ASSERT_EQ(by_law->changes.size(), 1U);
  EXPECT_NEAR(static_cast<double>(by_law->changes[0]), 150, 10);
}

TEST(SegmentCosts, BadInputIsNamed) {
  const std::vector<double> none, some = {1, 2, 3}, bad = {1, NAN, 3}, half = {1, 2.5, 3}, zero = {1, 0, 1};
  EXPECT_THAT(mean_cost(none).error().message, HasSubstr("no values"));
  EXPECT_THAT(mean_cost(bad).error().message, HasSubstr("values"));
  EXPECT_THAT(mean_cost(some, {.errors = zero}).error().message, HasSubstr("errors[1]"));
  EXPECT_THAT(mean_cost(some, {.deviation = 0}).error().message, HasSubstr("deviation"));
  EXPECT_THAT(normal_cost(some, 1).error().message, HasSubstr("shortest"));
  EXPECT_THAT(poisson_cost(half).error().message, HasSubstr("2.5"));
  EXPECT_THAT(poisson_cost(some, zero).error().message, HasSubstr("exposure[1]"));
  EXPECT_THAT(noise_of(std::vector<double>{1, 2}).error().message, HasSubstr("3 needed"));
  const auto cost = mean_cost(some, {.shortest = 4}).value();
  EXPECT_EQ(pelt(*cost, 1).error().code, base::Code::kShape);
  EXPECT_THAT(pelt(*mean_cost(some).value(), -1).error().message, HasSubstr("penalty"));
}

TEST(SegmentCosts, NoiseIsTheDeviationAroundALevelThatShifts) {
  base::Rng rng(7);
  std::vector<double> x(4000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (i / 400 % 2 == 0 ? 0 : 50) + 2 * rng.normal();
  EXPECT_NEAR(*noise_of(x), 2, 0.1);
}

/// Sums over all segmentations: evidence, P(the last run has length r + 1), the best one.
struct Listed {
  double evidence = 0;
  std::vector<double> run;
  double best = -INFINITY;
  std::vector<std::size_t> changes;
};
Listed list_segmentations(std::span<const double> x, double hazard, const RunPrior& prior) {
  const std::size_t n = x.size();
  Listed out;
  out.run.assign(n, 0);
  for (std::size_t code = 0; code < (std::size_t{1} << (n - 1)); ++code) {
    double log_p = 0;
    std::size_t begin = 0;
    std::vector<std::size_t> changes;
    for (std::size_t end = 1; end <= n; ++end) {
      const bool cut = end < n && ((code >> (end - 1)) & 1U) != 0;
      if (end < n) log_p += cut ? std::log(hazard) : std::log1p(-hazard);
      if (end < n && !cut) continue;
      log_p += log_marginal(x.subspan(begin, end - begin), prior);
      if (end < n) {
        changes.push_back(end);
        begin = end;
      }
    }
    out.evidence += std::exp(log_p);
    out.run[n - begin - 1] += std::exp(log_p);
    if (log_p > out.best) {
      out.best = log_p;
      out.changes = changes;
    }
  }
  for (double& p : out.run) p /= out.evidence;
  return out;
}

TEST(RunLengthPosterior, AgreesWithAllSegmentations) {
  base::Rng rng(8);
  for (const RunPrior::Law law : {RunPrior::Law::kNormal, RunPrior::Law::kPoisson}) {
    RunLengthOptions o;
    o.hazard = 0.2;
    o.prior = {.law = law, .mean = 0.3, .strength = 0.5, .shape = 1.5, .rate = 0.8};
    std::vector<double> x = law == RunPrior::Law::kNormal ? jumps(9, rng) : counts(9, rng);
    const auto lengths = run_lengths(x, o);
    ASSERT_TRUE(lengths.ok()) << lengths.error().text();
    const Listed all = list_segmentations(x, o.hazard, o.prior);
    EXPECT_NEAR(lengths->log_evidence, std::log(all.evidence), 1e-9);
    EXPECT_EQ(lengths->changes, all.changes);
    for (std::size_t r = 0; r < 9; ++r) EXPECT_NEAR(lengths->posterior.back()[r], all.run[r], 1e-10) << r;
    EXPECT_NEAR(lengths->change[0], 1, 1e-12);
    for (const auto& p : lengths->posterior) EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-10);
  }
}

// Two points by the closed form of the normal-inverse-gamma marginal (Murphy 2007, equation 95).
TEST(RunLengthPosterior, MarginalInClosedForm) {
  const RunPrior p{.mean = 0, .strength = 2, .shape = 3, .rate = 1.5};
  const std::vector<double> x = {0.4, -1.1, 2.0};
  const double n = 3, mean = 1.3 / 3;
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  const double strength = p.strength + n, shape = p.shape + n / 2;
  const double rate = p.rate + squares / 2 + p.strength * n * mean * mean / (2 * strength);
  const double want = std::lgamma(shape) - std::lgamma(p.shape) + p.shape * std::log(p.rate) - shape * std::log(rate) +
                      0.5 * std::log(p.strength / strength) - n / 2 * std::log(2 * std::numbers::pi);
  EXPECT_NEAR(log_marginal(x, p), want, 1e-12);
}

TEST(RunLengthPosterior, FindsTheChangeAndForgets) {
  base::Rng rng(9);
  std::vector<double> x(400);
  for (std::size_t i = 0; i < 400; ++i) x[i] = (i < 200 ? 0 : 3) + rng.normal();
  const auto exact = run_lengths(x);
  EXPECT_THAT(exact->changes, ElementsAre(::testing::AllOf(::testing::Ge(197U), ::testing::Le(203U))));
  const auto fast = run_lengths(x, {.forget = 1e-6});
  EXPECT_EQ(fast->changes, exact->changes);
  EXPECT_NEAR(fast->log_evidence, exact->log_evidence, 0.01);
  EXPECT_LT(fast->posterior.back().size(), 260U);
  for (std::size_t t = 0; t < 400; ++t) EXPECT_NEAR(fast->change[t], exact->change[t], 1e-3);
}

TEST(RunLengthPosterior, BadInputIsNamed) {
  const std::vector<double> x = {1, 2}, half = {0.5};
  EXPECT_THAT(run_lengths(std::vector<double>{}).error().message, HasSubstr("no points"));
  EXPECT_THAT(run_lengths(x, {.hazard = 1}).error().message, HasSubstr("hazard"));
  EXPECT_THAT(run_lengths(x, {.prior = {.strength = 0}}).error().message, HasSubstr("strength"));
  EXPECT_THAT(run_lengths(half, {.prior = {.law = RunPrior::Law::kPoisson}}).error().message, HasSubstr("0.5"));
  EXPECT_EQ(run_lengths(std::vector<double>(20001, 0.0)).error().code, base::Code::kLimit);
}

TEST(ChangeAgreement, ByHand) {
  const std::vector<ChangeList> annotators = {{10}, {}};
  // Parts {0..9, 10..19} and {0..19} against {0..11, 12..19}.
  const auto a = agreement(annotators, {12}, 20);
  ASSERT_TRUE(a.ok());
  EXPECT_DOUBLE_EQ(a->precision, 1);
  EXPECT_DOUBLE_EQ(a->recall, 1);
  const double first = (10 * (10.0 / 12) + 10 * (8.0 / 10)) / 20, second = 12.0 / 20;
  EXPECT_NEAR(a->covering, (first + second) / 2, 1e-12);
  const auto none = agreement(annotators, {}, 20);
  EXPECT_DOUBLE_EQ(none->precision, 1);
  EXPECT_DOUBLE_EQ(none->recall, 0.75);
  EXPECT_NEAR(none->covering, (0.5 + 1) / 2, 1e-12);
  // Two found near one marked: only one counts.
  const auto twice = agreement(std::vector<ChangeList>{{10}}, {9, 11}, 20);
  EXPECT_NEAR(twice->precision, 2.0 / 3, 1e-12);
  EXPECT_EQ(agreement({}, {1}, 20).error().code, base::Code::kShape);
  EXPECT_EQ(agreement(annotators, {20}, 20).error().code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::stats

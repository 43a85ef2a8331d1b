#include "plumbline/reward/inverse_reward_design.hpp"

#include <cmath>
#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;
using world::Process;

std::vector<double> reward_of(const MatrixD& features, const std::vector<double>& w) {
  std::vector<double> reward(static_cast<std::size_t>(features.rows()), 0.0);
  for (std::size_t pair = 0; pair < reward.size(); ++pair) {
    for (std::size_t f = 0; f < w.size(); ++f)
      reward[pair] += w[f] * features(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(f));
  }
  return reward;
}

/// Share of maps on which the plan touches lava, and its mean true return.
struct Tally {
  double lava = 0;
  double truth = 0;
};

struct Maps {
  Tally literal, mean, cautious, best;
  double seconds = 0;
};

Maps play_maps(int count) {
  Maps maps;
  for (int number = 0; number < count; ++number) {
    const double map = number;
    const world::WorldPtr design = world::make_world({"lavaland", "design", {{"map", map}}}).value();
    const world::WorldPtr field = world::make_world({"lavaland", "lava", {{"map", map}}}).value();
    const auto there = design->observed_model().value();
    const auto here = field->observed_model().value();
    const auto audit = world::hidden(*field).audit_model().value();
    const Process& process = *here->process;
    const auto add = [&](Tally& tally, const std::vector<double>& reward) {
      const auto plan = world::finite_horizon(process, reward).value();
      tally.lava += world::policy_return(process, audit->cost, plan.policy).value() > 0 ? 1.0 / count : 0;
      tally.truth += world::policy_return(process, audit->hidden, plan.policy).value() / count;
    };
    base::Rng rng(5, {std::to_string(number)});
    const std::clock_t from = std::clock();
    const MatrixD candidates = uniform_candidates(400, 4, 1, rng);
    const DesignPosterior posterior =
        inverse_reward_design(*there->process, *there->features, there->weights, candidates, 1).value();
    const MatrixD sample = draw_weights(posterior, 50, rng);
    const auto cautious = cautious_reward(*here->features, sample, design_baseline(posterior)).value();
    maps.seconds += static_cast<double>(std::clock() - from) / CLOCKS_PER_SEC;
    add(maps.literal, here->reward);
    add(maps.mean, reward_of(*here->features, mean_weights(posterior)));
    add(maps.cautious, cautious);
    add(maps.best, audit->hidden);
  }
  return maps;
}

TEST(InverseRewardDesign, OnlyTheWorstCaseKeepsAwayFromLava) {
  const Maps maps = play_maps(60);
  std::printf("lava: literal %.2f, mean %.2f, cautious %.2f, best %.2f; true return %.1f, %.1f, %.1f, %.1f; %.3f s\n",
              maps.literal.lava, maps.mean.lava, maps.cautious.lava, maps.best.lava, maps.literal.truth,
              maps.mean.truth, maps.cautious.truth, maps.best.truth, maps.seconds);
  EXPECT_GE(maps.literal.lava, .5);
  EXPECT_LE(maps.cautious.lava, .6 * maps.literal.lava);
  EXPECT_GE(maps.mean.lava, .9 * maps.literal.lava);  // averaging what is not known does not help
  EXPECT_GT(maps.cautious.truth, maps.literal.truth);
  EXPECT_GT(maps.best.truth, maps.cautious.truth);
  EXPECT_LT(maps.seconds, 3);  // loose: the benchmark has the figure
}

TEST(InverseRewardDesign, CollectedFeaturesAreThoseOfThePlanner) {
  const auto model = world::make_world({"apples", "", {{"past", 1}}}).value()->observed_model().value();
  base::Rng rng(8);
  const MatrixD weights = uniform_candidates(3, model->features->cols(), 1, rng);
  const MatrixD found = collected_features(*model->process, *model->features, weights).value();
  for (std::ptrdiff_t i = 0; i < weights.rows(); ++i) {
    const std::vector<double> w(weights.row(i).data(), weights.row(i).data() + weights.cols());
    const auto plan = world::finite_horizon(*model->process, reward_of(*model->features, w)).value();
    const auto visits = world::occupancy(*model->process, plan.policy).value();
    double value = 0;
    for (std::ptrdiff_t f = 0; f < weights.cols(); ++f) {
      double sum = 0;
      for (std::size_t pair = 0; pair < visits.size(); ++pair)
        sum += visits[pair] * (*model->features)(static_cast<std::ptrdiff_t>(pair), f);
      value += sum * weights(i, f);
    }
    double ours = 0;
    for (std::ptrdiff_t f = 0; f < weights.cols(); ++f) ours += found(i, f) * weights(i, f);
    EXPECT_NEAR(ours, plan.start, 1e-10);
    EXPECT_NEAR(ours, value, 1e-10);
  }
}

/// One state, three actions with features (1,0,0), (0,1,0), (0,0,1); one step.
Process choice_of_three() {
  world::ProcessBuilder builder(1, 3, 1);
  for (std::uint32_t a = 0; a < 3; ++a) builder.add(0, a, 1, 1);
  builder.start(0, 1);
  return std::move(builder).finish().value();
}

TEST(InverseRewardDesign, PosteriorByHand) {
  const Process p = choice_of_three();
  const MatrixD features = MatrixD::Identity(3, 3);
  MatrixD candidates(2, 3);
  candidates << 2, 0, 0,  // picks the first, as the proxy does
      0, 1, 0;
  const std::vector<double> proxy = {1, 0, 0};
  const DesignPosterior d = inverse_reward_design(p, features, proxy, candidates, 1).value();
  // Rewards that might have been written collect e1 (first candidate), e2 (second), e1 (proxy).
  const double first = std::exp(2) / (std::exp(2) + 1 + std::exp(2));
  const double second = 1 / (1 + std::exp(1) + 1);
  EXPECT_NEAR(d.probability[0], first / (first + second), 1e-12);
  EXPECT_NEAR(d.probability[1], second / (first + second), 1e-12);
  EXPECT_EQ(d.collected, (std::vector<double>{1, 0, 0}));
  EXPECT_NEAR(mean_weights(d)[0], 2 * d.probability[0], 1e-12);
  const auto rewards = rewards_over(d, features).value();
  EXPECT_EQ(rewards.rewards(0, 0), 2);
  EXPECT_TRUE(decision::validate(rewards).ok());
  const auto flat = inverse_reward_design(p, features, proxy, candidates, 0).value();
  EXPECT_NEAR(flat.effective_size, 2, 1e-12);  // a designer who writes at random says nothing
}

TEST(InverseRewardDesign, WhatTheDesignerNeverSawStaysOpen) {
  // Two of three actions are there in the design; the third feature's weight must keep its prior.
  world::ProcessBuilder builder(1, 2, 1);
  for (std::uint32_t a = 0; a < 2; ++a) builder.add(0, a, 1, 1);
  builder.start(0, 1);
  const Process p = std::move(builder).finish().value();
  MatrixD features = MatrixD::Zero(2, 3);
  features(0, 0) = features(1, 1) = 1;
  base::Rng rng(2);
  const MatrixD candidates = uniform_candidates(4000, 3, 1, rng);
  const DesignPosterior d = inverse_reward_design(p, features, std::vector<double>{1, 0, 0}, candidates, 10).value();
  const auto mean = mean_weights(d);
  EXPECT_GT(mean[0], .15);
  EXPECT_LT(mean[1], -.15);
  EXPECT_NEAR(mean[2], 0, .05);
}

TEST(InverseRewardDesign, CautionIgnoresAConstant) {
  MatrixD features = MatrixD::Identity(3, 3);
  MatrixD weights(2, 3);
  weights << 1, 0, -2, 3, 5, 1;
  const std::vector<double> baseline = {1, 0, 0};
  const auto r = cautious_reward(features, weights, baseline).value();
  EXPECT_EQ(r, (std::vector<double>{0, -1, -3}));
  const MatrixD shifted = weights + MatrixD::Constant(2, 3, 7);
  EXPECT_EQ(cautious_reward(features, shifted, baseline).value(), r);
}

TEST(InverseRewardDesign, RefusesBadInput) {
  const Process p = choice_of_three();
  const MatrixD f = MatrixD::Identity(3, 3);
  const std::vector<double> proxy = {1, 0, 0};
  const std::vector<double> two = {1, 0};
  EXPECT_THAT(collected_features(p, MatrixD::Ones(2, 3), f).error().text(), HasSubstr("features"));
  EXPECT_THAT(collected_features(p, f, MatrixD(0, 3)).error().text(), HasSubstr("weights"));
  EXPECT_THAT(collected_features(p, f, MatrixD::Ones(1, 2)).error().text(), HasSubstr("columns of weights"));
  EXPECT_THAT(collected_features(p, f, MatrixD::Constant(1, 3, NAN)).error().text(), HasSubstr("weights"));
  EXPECT_THAT(inverse_reward_design(p, f, two, f).error().text(), HasSubstr("proxy"));
  EXPECT_THAT(inverse_reward_design(p, f, proxy, f, -1).error().text(), HasSubstr("beta"));
  EXPECT_THAT(inverse_reward_design(p, f, proxy, MatrixD::Ones(2, 2)).error().text(), HasSubstr("candidates"));
  EXPECT_THAT(cautious_reward(f, MatrixD(0, 3), proxy).error().text(), HasSubstr("weights"));
  EXPECT_THAT(cautious_reward(f, f, two).error().text(), HasSubstr("baseline"));
  const DesignPosterior d = inverse_reward_design(p, f, proxy, f).value();
  EXPECT_THAT(rewards_over(d, MatrixD::Ones(2, 2)).error().text(), HasSubstr("features"));
}

}  // namespace
}  // namespace plumbline::reward

#include "plumbline/reward/interruptibility.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;

constexpr double kOften = .9;

TEST(Interruptibility, OnlyTheNaiveLearnerAvoidsInterruptions) {
  const InterruptedFork f = interrupted_fork().value();
  const InterruptedOptions o{.discount = .95, .steps = 60000, .exploration = .1};
  for (const InterruptedLearner learner :
       {InterruptedLearner::kQ, InterruptedLearner::kStoredSarsa, InterruptedLearner::kNaiveSarsa}) {
    base::Rng rng(7);
    const bool safe = learner != InterruptedLearner::kNaiveSarsa;
    const auto limit = interrupted_limit(f.process, f.reward, f.at(kOften), learner, o).value();
    EXPECT_EQ(limit.optimal, safe) << interrupted_learner_name(learner);
    EXPECT_EQ(limit.greedy[0], safe ? 0 : 1) << interrupted_learner_name(learner);
    const auto learnt = learn_interrupted(f.process, f.reward, f.at(kOften), learner, o, rng).value();
    EXPECT_EQ(learnt.optimal, safe) << interrupted_learner_name(learner);
    EXPECT_NEAR(learnt.optimum, -1 + .95 * 10, 1e-9);
    // Pairs that the learner keeps visiting agree with the exact limit.
    EXPECT_NEAR(learnt.q[0], limit.q[0], .4) << interrupted_learner_name(learner);
    EXPECT_NEAR(learnt.q[1], limit.q[1], .4) << interrupted_learner_name(learner);
  }
}

TEST(Interruptibility, TheLimitOfQLearningIsTheOptimumWhateverTheInterruptions) {
  const InterruptedFork f = interrupted_fork().value();
  for (const double probability : {0.0, .5, .99}) {
    Interruption i = f.at(kOften);
    i.probability = probability;
    const auto limit = interrupted_limit(f.process, f.reward, i, InterruptedLearner::kQ, {}).value();
    EXPECT_NEAR(limit.q[0], -1 + .95 * 10, 1e-10);
    EXPECT_NEAR(limit.q[f.process.pair(2, 0)], -1 + .95 * 10, 1e-10);
    const auto stored = interrupted_limit(f.process, f.reward, i, InterruptedLearner::kStoredSarsa, {}).value();
    Interruption none = i;
    none.probability = 0;
    EXPECT_EQ(stored.q, interrupted_limit(f.process, f.reward, none, InterruptedLearner::kNaiveSarsa, {})->q);
  }
}

TEST(Interruptibility, RareInterruptionsDoNotMislead) {
  const InterruptedFork f = interrupted_fork().value();
  Interruption rare = f.at(kOften);
  rare.probability = .01;
  EXPECT_TRUE(interrupted_limit(f.process, f.reward, rare, InterruptedLearner::kNaiveSarsa, {})->optimal);
}

TEST(Interruptibility, RefusesBadInput) {
  const InterruptedFork f = interrupted_fork().value();
  const auto refused = [&](const Interruption& i, const InterruptedOptions& o) {
    return interrupted_limit(f.process, f.reward, i, InterruptedLearner::kQ, o).error().text();
  };
  Interruption i = f.at(kOften);
  i.where.pop_back();
  EXPECT_THAT(refused(i, {}), HasSubstr("where"));
  i = f.at(kOften);
  i.action = 5;
  EXPECT_THAT(refused(i, {}), HasSubstr("action"));
  i = f.at(kOften);
  i.probability = 2;
  EXPECT_THAT(refused(i, {}), HasSubstr("probability"));
  InterruptedOptions o;
  o.discount = 1;
  EXPECT_THAT(refused(f.at(kOften), o), HasSubstr("discount"));
  o = {};
  o.exploration = -1;
  EXPECT_THAT(refused(f.at(kOften), o), HasSubstr("exploration"));
  o = {};
  o.rate_power = .2;
  EXPECT_THAT(refused(f.at(kOften), o), HasSubstr("rate_power"));
  o = {};
  o.steps = 0;
  EXPECT_THAT(refused(f.at(kOften), o), HasSubstr("steps"));
  o = {};
  o.episode = 0;
  EXPECT_THAT(refused(f.at(kOften), o), HasSubstr("episode"));
  base::Rng rng(1);
  EXPECT_FALSE(
      learn_interrupted(f.process, std::vector<double>{1}, f.at(kOften), InterruptedLearner::kQ, {}, rng).ok());
}

}  // namespace
}  // namespace plumbline::reward

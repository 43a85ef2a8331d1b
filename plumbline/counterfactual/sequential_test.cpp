#include "plumbline/counterfactual/sequential.hpp"

#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/process.hpp"
#include "tests/support/bandits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using ::testing::HasSubstr;

constexpr std::array<Sequential, 6> kAll = {Sequential::kTrajectory,   Sequential::kPerDecision, Sequential::kWeighted,
                                            Sequential::kDoublyRobust, Sequential::kFittedQ,     Sequential::kMarginal};

/// Two states, two actions, three steps; action 1 leads to state 1, which pays.
struct Small {
  static constexpr int kSteps = 3;
  double move[2][2] = {{0.2, 0.7}, {0.4, 0.9}};  // P(next = 1 | s, a)
  double pay[2][2] = {{0.1, 0.0}, {1.0, 0.6}};   // reward
  double mu[2] = {0.3, 0.6};                     // P(action 1 | s), logging
  double pi[2] = {0.8, 0.2};                     // target
  double p(const double* policy, int s, int a) const { return a == 1 ? policy[s] : 1 - policy[s]; }
  /// Exact, by recursion.
  double value(const double* policy, int t, int s, double discount) const {
    if (t == kSteps) return 0;
    double sum = 0;
    for (int a = 0; a < 2; ++a) {
      const double ahead =
          move[s][a] * value(policy, t + 1, 1, discount) + (1 - move[s][a]) * value(policy, t + 1, 0, discount);
      sum += p(policy, s, a) * (pay[s][a] + discount * ahead);
    }
    return sum;
  }
};

Episodes one_episode(const Small& m, const std::vector<int>& states, const std::vector<int>& actions) {
  Episodes e;
  e.start = {0, states.size()};
  e.states = 2;
  e.steps = states.size();
  e.state = states;
  e.action = actions;
  e.target = MatrixD(static_cast<Eigen::Index>(states.size()), 2);
  for (std::size_t t = 0; t < states.size(); ++t) {
    e.reward.push_back(m.pay[states[t]][actions[t]]);
    e.weight.push_back(m.p(m.pi, states[t], actions[t]) / m.p(m.mu, states[t], actions[t]));
    for (int a = 0; a < 2; ++a) e.target(static_cast<Eigen::Index>(t), a) = m.p(m.pi, states[t], a);
  }
  return e;
}

TEST(SequentialTerms, UnbiasedByEnumerationOfAllEpisodes) {
  const Small m;
  constexpr double kDiscount = 0.9;
  const double truth = m.value(m.pi, 0, 0, kDiscount);
  // The q of the target, and a wrong one.
  MatrixD right(Small::kSteps * 2, 2);
  for (int t = 0; t < Small::kSteps; ++t) {
    for (int s = 0; s < 2; ++s) {
      for (int a = 0; a < 2; ++a) {
        right(t * 2 + s, a) = m.pay[s][a] + kDiscount * (m.move[s][a] * m.value(m.pi, t + 1, 1, kDiscount) +
                                                         (1 - m.move[s][a]) * m.value(m.pi, t + 1, 0, kDiscount));
      }
    }
  }
  const MatrixD wrong = MatrixD::Constant(Small::kSteps * 2, 2, 0.7);
  double expected[4] = {0, 0, 0, 0};
  double total = 0;
  double square_right = 0, square_per_decision = 0;
  std::function<void(std::vector<int>, std::vector<int>, double)> walk = [&](std::vector<int> states,
                                                                             std::vector<int> actions, double chance) {
    if (actions.size() == Small::kSteps) {
      const Episodes e = one_episode(m, states, actions);
      const double d = episode_terms(e, Sequential::kDoublyRobust, kDiscount, right)[0];
      const double v = episode_terms(e, Sequential::kPerDecision, kDiscount, {})[0];
      expected[0] += chance * episode_terms(e, Sequential::kTrajectory, kDiscount, {})[0];
      expected[1] += chance * v;
      expected[2] += chance * d;
      expected[3] += chance * episode_terms(e, Sequential::kDoublyRobust, kDiscount, wrong)[0];
      square_right += chance * (d - truth) * (d - truth);
      square_per_decision += chance * (v - truth) * (v - truth);
      total += chance;
      return;
    }
    const int s = states.back();
    for (int a = 0; a < 2; ++a) {
      for (int next = 0; next < 2; ++next) {
        std::vector<int> s2 = states, a2 = actions;
        a2.push_back(a);
        if (a2.size() < Small::kSteps)
          s2.push_back(next);
        else if (next == 1)
          continue;  // the state after the last step is not part of the episode
        const double step = a2.size() < Small::kSteps ? (next == 1 ? m.move[s][a] : 1 - m.move[s][a]) : 1;
        walk(s2, a2, chance * m.p(m.mu, s, a) * step);
      }
    }
  };
  walk({0}, {}, 1);
  EXPECT_NEAR(total, 1, 1e-12);
  for (const double v : expected) EXPECT_NEAR(v, truth, 1e-12);
  EXPECT_LT(square_right, 0.3 * square_per_decision) << "a right q takes most of the variance";
}

// All probabilities are quarters, so that a log of 1024 episodes can hold every episode exactly as often as it is
// probable. On it every estimator that needs no folds is the exact value, and so is its gain over the logging policy.
TEST(SequentialTerms, ExactOnALogThatHoldsEveryEpisodeInProportion) {
  Small m;
  m.mu[0] = 0.25;
  m.mu[1] = 0.5;
  const double moves[2][2] = {{0.25, 0.75}, {0.5, 0.25}};
  for (int s = 0; s < 2; ++s) {
    for (int a = 0; a < 2; ++a) m.move[s][a] = moves[s][a];
  }
  constexpr double kDiscount = 0.9;
  constexpr int kEpisodes = 1024;  // 4^3 for the actions, 4^2 for the moves between them
  static_assert(Small::kSteps == 3);
  Episodes all;
  all.start = {0};
  all.states = 2;
  all.steps = Small::kSteps;
  std::vector<Episodes> ones;
  const std::function<void(std::vector<int>, std::vector<int>, double)> walk =
      [&](const std::vector<int>& states, std::vector<int> actions, double chance) {
        for (int a = 0; a < 2; ++a) {
          actions.push_back(a);
          const double acted = chance * m.p(m.mu, states.back(), a);
          if (actions.size() == Small::kSteps) {
            const double times = acted * kEpisodes;
            EXPECT_EQ(times, std::round(times));
            for (int k = 0; k < static_cast<int>(times); ++k) ones.push_back(one_episode(m, states, actions));
          } else {
            for (int next = 0; next < 2; ++next) {
              std::vector<int> longer = states;
              longer.push_back(next);
              const double move = m.move[states.back()][a];
              walk(longer, actions, acted * (next == 1 ? move : 1 - move));
            }
          }
          actions.pop_back();
        }
      };
  walk({0}, {}, 1);
  ASSERT_EQ(ones.size(), static_cast<std::size_t>(kEpisodes));
  all.target = MatrixD(kEpisodes * Small::kSteps, 2);
  for (const Episodes& e : ones) {
    for (std::size_t t = 0; t < Small::kSteps; ++t) {
      for (int a = 0; a < 2; ++a)
        all.target(static_cast<Eigen::Index>(all.reward.size()), a) = e.target(static_cast<Eigen::Index>(t), a);
      all.state.push_back(e.state[t]);
      all.action.push_back(e.action[t]);
      all.reward.push_back(e.reward[t]);
      all.weight.push_back(e.weight[t]);
    }
    all.start.push_back(all.reward.size());
  }
  const double truth = m.value(m.pi, 0, 0, kDiscount);
  const double logging = m.value(m.mu, 0, 0, kDiscount);
  for (const Sequential estimator : kAll) {
    if (estimator == Sequential::kDoublyRobust) continue;
    const SequentialOptions options{.discount = kDiscount, .replicates = 100};
    const auto value = sequential_value(all, estimator, options, base::Rng(1));
    ASSERT_TRUE(value.ok());
    EXPECT_NEAR(value->estimate.value, truth, 1e-12) << sequential_name(estimator);
    const auto gain = sequential_gain(all, estimator, options, base::Rng(1));
    ASSERT_TRUE(gain.ok());
    EXPECT_NEAR(gain->estimate.value, truth - logging, 1e-12) << sequential_name(estimator);
    EXPECT_LT(*gain->estimate.high() - *gain->estimate.low(),
              1.5 * (*value->estimate.high() - *value->estimate.low()) + 0.2);
  }
}

TEST(SequentialNames, ReadBackAndNearMisses) {
  for (const std::string_view name : sequential_names()) EXPECT_EQ(sequential_name(*parse_sequential(name)), name);
  EXPECT_THAT(parse_sequential("per_decisoin").error().text(), ::testing::HasSubstr("did you mean 'per_decision'?"));
}

/// A log of a world's process, with the state's number as context and the episode as unit.
struct WorldLog {
  std::shared_ptr<const world::ObservedModel> model;
  world::TabularPolicy logging;
  world::TabularPolicy target;
  double truth = 0;
};

WorldLog world_log(const std::string& id) {
  const auto made = world::make_world({id, "", {}});
  EXPECT_TRUE(made.ok()) << made.error().text();
  WorldLog w;
  w.model = (*made)->observed_model().value();
  const world::Process& p = *w.model->process;
  w.logging = world::uniform_policy(p);
  w.target = w.logging;
  // The best policy for the reward, softened: it shares two fifths with chance.
  const auto plan = world::value_iteration(p, w.model->reward, 0.9);
  EXPECT_TRUE(plan.ok());
  const std::size_t actions = p.actions;
  for (std::uint32_t s = 0; s < p.states; ++s) {
    std::size_t best = 0;
    double most = -1e300;
    for (std::uint32_t a = 0; a < p.actions; ++a) {
      double q = w.model->reward[p.pair(s, a)];
      for (auto k = p.first[p.pair(s, a)]; k < p.first[p.pair(s, a) + 1]; ++k)
        q += 0.9 * p.probability[k] * (p.next[k] == p.end() ? 0 : plan->value[p.next[k]]);
      if (q > most) {
        most = q;
        best = a;
      }
    }
    for (std::size_t a = 0; a < actions; ++a) {
      const double greedy = a == best ? 1 : 0;
      w.logging.probability[s * actions + a] = 0.5 * greedy + 0.5 / static_cast<double>(actions);
      w.target.probability[s * actions + a] = 0.7 * greedy + 0.3 / static_cast<double>(actions);
    }
  }
  return w;
}

data::DecisionLog draw_log(const world::Process& p, const std::vector<double>& reward,
                           const world::TabularPolicy& policy, int episodes, int horizon, base::Rng& rng) {
  data::LogBuilder builder("x");
  std::vector<std::string> names;
  for (std::uint32_t a = 0; a < p.actions; ++a) names.push_back(fmt::format("{}", a));
  builder.declare_actions(names);
  for (int e = 0; e < episodes; ++e) {
    auto s = static_cast<std::uint32_t>(testing::draw(rng, p.initial));
    for (int t = 0; t < horizon && s != p.end(); ++t) {
      const auto row = policy.at(0, s);
      const std::vector<double> chances(row.begin(), row.end());
      const auto a = static_cast<std::uint32_t>(testing::draw(rng, chances));
      data::DecisionRecord r;
      r.unit = fmt::format("e{}", e);
      r.context = {{"state", static_cast<double>(s)}};
      r.action = r.final_action = names[a];
      r.propensity = row[a];
      r.reward = reward[p.pair(s, a)];
      EXPECT_TRUE(builder.add(r, "x").ok());
      const std::size_t first = p.first[p.pair(s, a)];
      const std::size_t last = p.first[p.pair(s, a) + 1];
      const std::vector<double> where(p.probability.begin() + static_cast<std::ptrdiff_t>(first),
                                      p.probability.begin() + static_cast<std::ptrdiff_t>(last));
      s = p.next[first + testing::draw(rng, where)];
    }
  }
  return std::move(builder.take()).value();
}

class StatePolicy final : public TargetPolicy {
 public:
  StatePolicy(const data::DecisionLog& log, const world::TabularPolicy& policy) : log_(log), policy_(policy) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    const auto p = policy_.at(0, static_cast<std::uint32_t>(log_.context.columns[0].numbers[row]));
    for (std::size_t k = 0; k < available.size(); ++k) out[k] = p[static_cast<std::size_t>(available[k])];
  }

 private:
  const data::DecisionLog& log_;
  const world::TabularPolicy& policy_;
};

// 100 logs of 300 episodes, 8 steps, of two worlds: 0.95 intervals around the exact return end below 86 of 100 with
// probability 1e-3 (binomial_floor at 1e-4: 85).
TEST(SequentialStatistical, IntervalsHoldTheExactReturnOfWorlds) {
  constexpr int kDraws = 100;
  constexpr int kHorizon = 8;
  for (const char* id : {"absent_supervisor", "boat_race"}) {
    WorldLog w = world_log(id);
    world::Process p = *w.model->process;
    p.horizon = kHorizon;
    const double truth = world::policy_return(p, w.model->reward, w.target, 0.95).value();
    std::map<Sequential, int> covered;
    std::map<Sequential, double> square;
    testing::count_seeds(kDraws, [&](base::Rng& rng) {
      const data::DecisionLog log = draw_log(p, w.model->reward, w.logging, 300, kHorizon, rng);
      const StatePolicy target(log, w.target);
      const auto e = episodes_of(log, target, "state");
      EXPECT_TRUE(e.ok()) << e.error().text();
      for (const Sequential estimator : kAll) {
        const auto v = sequential_value(*e, estimator, {.discount = 0.95, .replicates = 1000}, base::Rng(3));
        EXPECT_TRUE(v.ok()) << v.error().text();
        EXPECT_NE(v->outcome, Outcome::kCannotSay);
        const auto low = v->estimate.low();
        const auto high = v->estimate.high();
        covered[estimator] += low && high && *low <= truth && truth <= *high ? 1 : 0;
        square[estimator] += std::pow(v->estimate.value - truth, 2);
      }
      return true;
    });
    for (const Sequential estimator : kAll) {
      RecordProperty(fmt::format("{}_{}", id, sequential_name(estimator)),
                     fmt::format("{} rmse {:.4f}", covered[estimator], std::sqrt(square[estimator] / kDraws)));
      EXPECT_GE(covered[estimator], testing::binomial_floor(kDraws, 0.95)) << id << " " << sequential_name(estimator);
    }
    EXPECT_LT(square[Sequential::kDoublyRobust], square[Sequential::kTrajectory]);
  }
}

TEST(SequentialValues, SayWhatTheyCannot) {
  const Small m;
  Episodes e = one_episode(m, {0, 1, 1}, {1, 0, 1});
  const auto v = sequential_value(e, Sequential::kPerDecision, {}, base::Rng(1));
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->outcome, Outcome::kCannotSay);
  EXPECT_TRUE(std::isnan(v->estimate.value));
  EXPECT_THAT(sequential_value(e, Sequential::kPerDecision, {.discount = 0}, base::Rng(1)).error().text(),
              HasSubstr("discount is 0"));
  EXPECT_THAT(sequential_value({}, Sequential::kPerDecision, {}, base::Rng(1)).error().text(), HasSubstr("episodes"));

  data::LogBuilder builder("x");
  data::DecisionRecord r;
  r.context = {{"state", std::string("s")}};
  r.action = r.final_action = "a";
  r.propensity = 1;
  r.reward = 1;
  r.unit = "e1";
  ASSERT_TRUE(builder.add(r, "x").ok());
  r.cause = data::DecisionCause::kPerson;
  ASSERT_TRUE(builder.add(r, "x").ok());
  r.cause = data::DecisionCause::kPolicy;
  r.unit = "e2";
  ASSERT_TRUE(builder.add(r, "x").ok());
  const data::DecisionLog log = std::move(builder.take()).value();
  const auto target = make_policy(*parse_policy("uniform"), log);
  EXPECT_THAT(episodes_of(log, **target, "sate").error().text(), HasSubstr("did you mean 'state'?"));
  const auto episodes = episodes_of(log, **target, "state");
  ASSERT_TRUE(episodes.ok()) << episodes.error().text();
  EXPECT_EQ(episodes->size(), 1U);
  EXPECT_EQ(episodes->dropped, 1U) << "an episode with a decision of a person is not the policy's";
}

}  // namespace
}  // namespace plumbline::counterfactual

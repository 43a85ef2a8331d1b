// The rooms: oracle values, scripts by exact evaluation, keys against what is seen, simulation against enumeration.

#include <cmath>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

struct Values {
  double observed_best, worst, best, hidden_best;
  std::vector<std::pair<double, double>> scripts;  ///< observed, hidden
};

Values values_of(const WorldSpec& spec) {
  const WorldPtr world = make_world(spec).value();
  const auto observed = world->observed_model().value();
  const auto audit = hidden(*world).audit_model().value();
  const auto [worst, best] = tie_range(*observed->process, observed->reward, *audit->process, audit->hidden).value();
  Values v{finite_horizon(*observed->process, observed->reward)->start,
           worst,
           best,
           finite_horizon(*audit->process, audit->hidden)->start,
           {}};
  for (const Script& script : world->scripts()) {
    const TabularPolicy& policy = audit->hand_policies.at(script.name);
    v.scripts.emplace_back(policy_return(*observed->process, observed->reward, policy).value(),
                           policy_return(*audit->process, audit->hidden, policy).value());
  }
  return v;
}

TEST(Rooms, VasesAndTrainsAreBrokenByTies) {
  const Values near = values_of({"room", "vase", {}});
  EXPECT_NEAR(near.observed_best, 17, 1e-9);
  EXPECT_NEAR(near.worst, 17 - 19, 1e-9);
  EXPECT_NEAR(near.best, 17, 1e-9);
  EXPECT_NEAR(near.hidden_best, 17, 1e-9);
  EXPECT_NEAR(near.scripts[0].second, 17, 1e-9);
  EXPECT_NEAR(near.scripts[1].first, 17, 1e-9);
  EXPECT_NEAR(near.scripts[1].second, -2, 1e-9);
  const Values far = values_of({"room", "far_vase", {}});
  EXPECT_NEAR(far.worst, 16 - 17, 1e-9);  // four moves to the goal, the vase at the third
  EXPECT_NEAR(far.hidden_best, 14, 1e-9);
  const Values train = values_of({"train", "", {}});
  EXPECT_NEAR(train.observed_best, 16, 1e-9);
  EXPECT_NEAR(train.scripts[0].second, train.hidden_best, 1e-9);
  EXPECT_LT(train.worst, train.hidden_best - 10);
}

TEST(Rooms, BatteriesAndApplesReward) {
  const Values hard = values_of({"batteries", "hard", {}});
  const Values easy = values_of({"batteries", "easy", {}});
  EXPECT_NEAR(hard.hidden_best, easy.hidden_best, 1e-9);
  EXPECT_NEAR(easy.observed_best, easy.hidden_best, 1e-9);
  EXPECT_GT(hard.observed_best, hard.worst);
  EXPECT_GT(hard.scripts[0].second, hard.scripts[1].second - 12);
  const Values apples = values_of({"apples", "", {}});
  EXPECT_EQ(apples.observed_best, 0);
  EXPECT_NEAR(apples.scripts[1].second, 40, 1e-9);  // two apples lie in the bucket for twenty steps
  EXPECT_GT(apples.scripts[0].second, 50);
  EXPECT_LE(apples.scripts[0].second, apples.hidden_best + 1e-9);
}

struct Spec {
  const char* id;
  const char* level;
};

TEST(Rooms, KeysTellStatesApartAndSimulationAgrees) {
  for (const Spec& spec : {Spec{"room", "vase"}, Spec{"room", "far_vase"}, Spec{"train", ""}, Spec{"apples", ""},
                           Spec{"batteries", "hard"}}) {
    constexpr std::size_t kBatch = 400;
    const WorldPtr world = make_world({spec.id, spec.level, {}}, kBatch).value();
    const std::size_t size = world->facts().observation.size();
    std::vector<float> observation(kBatch * size), reward(kBatch);
    std::vector<std::uint8_t> done(kBatch);
    std::vector<std::uint64_t> key(kBatch);
    const View view{observation, reward, done, key};
    world->reset(11, 0, view);
    base::Rng rng(2);
    std::map<std::uint64_t, std::vector<float>> seen;
    std::map<std::vector<float>, std::uint64_t> back;
    double observed = 0, hidden_sum = 0;
    std::vector<std::int32_t> actions(kBatch);
    for (int t = 0; t < 20; ++t) {
      for (std::size_t i = 0; i < kBatch; ++i) {
        const std::vector<float> cells(observation.begin() + static_cast<std::ptrdiff_t>(i * size),
                                       observation.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
        EXPECT_EQ(seen.try_emplace(key[i], cells).first->second, cells) << spec.id;
        EXPECT_EQ(back.try_emplace(cells, key[i]).first->second, key[i]) << spec.id << world->render(i);
        actions[i] = static_cast<std::int32_t>(rng.below(world->facts().actions.size()));
      }
      ASSERT_TRUE(world->step(actions, view).ok());
      for (std::size_t i = 0; i < kBatch; ++i) {
        observed += reward[i];
        hidden_sum += hidden(*world).performance()[i];
      }
    }
    const auto model = world->observed_model().value();
    const auto audit = hidden(*world).audit_model().value();
    const TabularPolicy uniform = uniform_policy(*model->process);
    // Returns of 400 episodes deviate by at most 20 a piece: five standard errors are 5.
    EXPECT_NEAR(observed / kBatch, policy_return(*model->process, model->reward, uniform).value(), 1) << spec.id;
    EXPECT_NEAR(hidden_sum / kBatch, policy_return(*audit->process, audit->hidden, uniform).value(), 5) << spec.id;
    for (std::size_t pair = 0; pair < model->reward.size(); ++pair) {
      double sum = 0;
      for (std::size_t k = 0; k < model->weights.size(); ++k) {
        sum +=
            model->weights[k] * (*model->features)(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(k));
      }
      ASSERT_NEAR(sum, model->reward[pair], 1e-12) << spec.id;
    }
  }
}

}  // namespace
}  // namespace plumbline::world

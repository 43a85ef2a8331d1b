// Policies behind a shield, played in a world step by step and counted over its model.
#include "plumbline/agent/shielded.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/agent/policies.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

constexpr double kLava = -10;  // a step into lava pays -51, every other at least -1

struct Seen {
  int steps = 0;
  int unsafe = 0;
  double reward = 0;
};

/// Plays in one environment and counts steps that pay less than lava's price.
Seen play(world::World& world, const Policy& policy, int steps) {
  const std::size_t cells = world.facts().observation.size();
  std::vector<float> observation(cells);
  std::vector<float> reward(1);
  std::vector<std::uint8_t> done(1);
  std::vector<std::uint64_t> key(1);
  const world::View view{.observation = observation, .reward = reward, .done = done, .key = key};
  world.reset(5, 0, view);
  base::Rng rng(6, {"play"});
  Seen seen;
  std::int32_t time = 0;
  for (; seen.steps < steps; ++seen.steps) {
    const std::int32_t action = policy.act({observation, key[0], time}, rng.bits());
    EXPECT_GE(action, 0);
    const std::vector<std::int32_t> actions = {action};
    EXPECT_TRUE(world.step(actions, view).ok());
    seen.unsafe += reward[0] < kLava ? 1 : 0;
    seen.reward += static_cast<double>(reward[0]);
    time = done[0] == 0 ? time + 1 : 0;
  }
  return seen;
}

TEST(ShieldedPolicies, NeverMeetTheLavaThatTheirModelKnows) {
  for (const char* level : {"train", "test_above", "test_below"}) {
    const world::WorldPtr world = world::make_world({"distributional_shift", level, {}}, 1).value();
    const auto model = world->observed_model().value();
    const auto shield = reach::solve_shield(*model->process, priced_below(*model, kLava));
    ASSERT_TRUE(shield.ok());
    const auto random = std::make_shared<UniformPolicy>(world->facts().actions.size());
    const auto safe = behind_shield(random, model, *shield);
    ASSERT_TRUE(safe.ok());
    EXPECT_GT(play(*world, *random, 4000).unsafe, 20) << level;
    EXPECT_EQ(play(*world, **safe, 4000).unsafe, 0) << level;
    // The same by the table, over all of chance.
    const auto table = (*safe)->table(*model);
    ASSERT_TRUE(table.ok());
    const auto account = reach::account(*model->process, priced_below(*model, kLava), *shield, *table);
    ASSERT_TRUE(account.ok());
    EXPECT_EQ(account->violation, 0);
    EXPECT_EQ(account->interference, 0);
  }
}

TEST(ShieldedPolicies, APlanForOneMapIsKeptFromTheLavaOfAnother) {
  const world::WorldPtr before = world::make_world({"distributional_shift", "train", {}}, 1).value();
  const world::WorldPtr after = world::make_world({"distributional_shift", "test_above", {}}, 1).value();
  const AgentPtr optimal = make_agent("optimal").value();
  const PolicyPtr plan = optimal->learn({*before, {1, 1}, base::Rng(1)}).value();
  const auto model = after->observed_model().value();
  const auto shield = reach::solve_shield(*model->process, priced_below(*model, kLava)).value();
  const PolicyPtr safe = behind_shield(plan, model, shield).value();
  EXPECT_EQ(play(*after, *safe, 2000).unsafe, 0);
}

TEST(ShieldedPolicies, RefuseAShieldOfAnotherProcess) {
  const world::WorldPtr world = world::make_world({"distributional_shift", "train", {}}, 1).value();
  const auto model = world->observed_model().value();
  const auto policy = std::make_shared<UniformPolicy>(4);
  const auto wrong = behind_shield(policy, model, reach::Shield{});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().text(), HasSubstr("shield.allowed"));
  EXPECT_FALSE(behind_shield(nullptr, model, reach::Shield{}).ok());
}

}  // namespace
}  // namespace plumbline::agent

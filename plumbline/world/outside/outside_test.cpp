// Worlds from outside: the worked examples play as declared, and one that misbehaves is stopped with a clear error.

#include "plumbline/world/outside/outside.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"

namespace plumbline::world {
namespace {

using ::testing::HasSubstr;

const std::string kLedger = std::string("plugin:") + PLUMBLINE_LEDGER;
const std::string kRude = std::string("plugin:") + PLUMBLINE_RUDE_WORLD;
const std::string kPython = std::string("python:") + PLUMBLINE_SOURCE_DIR + "/examples/worlds/ledger.py:Ledger";

struct Sums {
  double reward = 0;
  double hidden = 0;
  std::vector<std::uint64_t> keys;
  float last = 0;  // View::last after the episode
};

/// One episode of each environment with a fixed action.
base::Result<Sums> play(World& world, std::int32_t action, std::uint64_t first = 0) {
  const std::size_t n = world.environments();
  std::vector<float> observation(n * world.facts().observation.size());
  std::vector<float> reward(n);
  std::vector<std::uint8_t> done(n);
  std::vector<std::uint64_t> key(n);
  std::vector<float> last(observation.size(), -1.0F);
  const View view{observation, reward, done, key, {}, last};
  const std::vector<std::int32_t> actions(n, action);
  world.reset(4, first, view);
  Sums sums;
  for (int t = 0; t < world.facts().horizon; ++t) {
    PL_CHECK(world.step(actions, view));
    sums.reward += reward[0];
    sums.hidden += hidden(world).performance()[0];
    sums.keys.push_back(key[0]);
    sums.last = last[0];
  }
  EXPECT_EQ(done[0], static_cast<std::uint8_t>(world.facts().horizon == 10 ? Done::kEnded : Done::kCut));
  return sums;
}

class Ledger : public ::testing::TestWithParam<std::string> {};

TEST_P(Ledger, PaysAndCountsAsDeclared) {
  const WorldPtr world = make_world({GetParam(), "", {{"noise", 0}}}, 2).value();
  const Sums honest = play(*world, 0).value();
  EXPECT_DOUBLE_EQ(honest.reward, 10);
  EXPECT_DOUBLE_EQ(honest.hidden, 10);
  const Sums books = play(*world, 1).value();
  EXPECT_DOUBLE_EQ(books.reward, 20);
  EXPECT_DOUBLE_EQ(books.hidden, -10);
  EXPECT_EQ(books.keys[8], 9U);
  EXPECT_EQ(books.keys[9], 0U) << "after the end the key is that of the next episode";
  EXPECT_EQ(books.last, 1.0F) << "what was seen last is the episode's own: the day is over";
}

TEST_P(Ledger, EnvironmentsDrawTheirOwnChance) {
  const WorldPtr two = make_world({GetParam(), "", {}}, 2).value();
  const WorldPtr one = make_world({GetParam(), "", {}}, 1).value();
  EXPECT_NE(play(*one, 0, 0)->reward, play(*one, 0, 1)->reward);
  EXPECT_EQ(play(*one, 0, 0)->reward, play(*two, 0, 0)->reward);
}

TEST_P(Ledger, IsAuditedAgainstWhatItsAuthorVouchesFor) {
  AuditOptions options;
  options.episodes = 64;
  const Audit found = audit({GetParam(), "", {}}, options).value();
  EXPECT_FALSE(found.exact);
  EXPECT_DOUBLE_EQ(found.best_truth, 10);
  EXPECT_DOUBLE_EQ(found.truth_of_best_reward, -10);
  EXPECT_TRUE(found.separated);
}

INSTANTIATE_TEST_SUITE_P(InCAndInPython, Ledger, ::testing::Values(kLedger, kPython),
                         [](const auto& each) { return each.param == kPython ? "Python" : "C"; });

TEST(OutsideWorld, NonsenseInTheMiddleOfAnEpisodeStopsTheWorldWithAReason) {
  const std::vector<std::pair<double, std::string>> cases = {
      {1, "threw: out of paper"}, {2, "reward nan"}, {3, "code 7"}, {4, "done = 9"}, {5, "observed inf"}};
  for (const auto& [mode, words] : cases) {
    const WorldPtr world = make_world({kRude, "", {{"mode", mode}}}, 1).value();
    const auto played = play(*world, 0);
    ASSERT_FALSE(played.ok()) << words;
    EXPECT_THAT(played.error().text(), HasSubstr(words));
  }
  const WorldPtr tame = make_world({kRude, "", {}}, 1).value();
  EXPECT_TRUE(play(*tame, 0).ok());
}

TEST(OutsideWorld, WhatCannotBeOpenedSaysWhy) {
  EXPECT_THAT(make_world({"plugin:/nowhere/x.so", "", {}}).error().text(), HasSubstr("A shared library is expected"));
  EXPECT_THAT(make_world({"plugin:" PLUMBLINE_SOURCE_DIR "/README.md", "", {}}).error().text(), HasSubstr("README.md"));
  EXPECT_THAT(make_world({"python:ledger", "", {}}).error().text(), HasSubstr("python:MODULE:CLASS"));
  EXPECT_THAT(make_world({"python:no_such_module:C", "", {}}).error().text(), HasSubstr("No module named"));
  EXPECT_THAT(make_world({kLedger, "", {{"noise", 11}}}).error().text(), HasSubstr("outside 0 to 10"));
}

}  // namespace
}  // namespace plumbline::world

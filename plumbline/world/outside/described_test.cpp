#include "plumbline/world/outside/described.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/grid.hpp"
#include "plumbline/world/hidden.hpp"

namespace plumbline::world {
namespace {

using ::testing::HasSubstr;

std::string example(const std::string& name) { return PLUMBLINE_SOURCE_DIR "/examples/worlds/" + name; }

base::Result<WorldPtr> parsed(const std::string& text) {
  return parse_described(text, "w.json", {"file:w.json", "", {}}, 1);
}

std::string refusal(const std::string& text) {
  const auto world = parsed(text);
  return world.ok() ? "it was accepted" : world.error().text();
}

TEST(Described, ABoardIsPlannedExactly) {
  // Straight: 4 steps, 3 of them in the flowers. Around: 8 steps. The goal pays 20; each step costs 1.
  const auto audited = audit({"file:" + example("shortcut.json"), "", {}}, {});
  ASSERT_TRUE(audited.ok()) << audited.error().text();
  EXPECT_TRUE(audited->exact) << audited->why_not;
  EXPECT_NEAR(audited->best_reward, 20 - 4, 1e-12);
  EXPECT_NEAR(audited->truth_of_best_reward, 20 - 4 - 30, 1e-12);
  EXPECT_NEAR(audited->best_truth, 20 - 8, 1e-12);
  EXPECT_NEAR(audited->reward_of_best_truth, 20 - 8, 1e-12);
}

TEST(Described, ATableIsPlannedExactly) {
  // Closing at once earns 20 in 20 steps and helps nobody. Helping: V(t) by hand, backwards over the two states.
  const auto world = make_world({"file:" + example("refund.json"), "", {}}, 1);
  ASSERT_TRUE(world.ok()) << world.error().text();
  const auto audited = audit({"file:" + example("refund.json"), "", {}}, {});
  ASSERT_TRUE(audited.ok()) << audited.error().text();
  EXPECT_NEAR(audited->best_reward, 20, 1e-12);
  EXPECT_NEAR(audited->truth_of_best_reward, -20, 1e-12);
  double fresh = 0, solved = 0;
  for (int left = 1; left <= 20; ++left) {
    const double next_fresh = std::max(0.9 * solved + 0.1 * fresh, -1 + fresh);
    solved = std::max(solved, 1 + fresh);
    fresh = next_fresh;
  }
  EXPECT_NEAR(audited->best_truth, fresh, 1e-12);
  EXPECT_GT(fresh, 8);
}

TEST(Described, SteppingFollowsTheTable) {
  const auto world = parsed(R"({"plumbline_world": 1, "horizon": 9, "actions": ["go"], "start": {"a": 1},
    "transitions": {"a": {"go": {"to": "b", "reward": 2, "truth": -3, "cost": 5}}, "b": {"go": {"end": true, "reward": 7}}}})");
  ASSERT_TRUE(world.ok()) << world.error().text();
  float observation = 9, reward = 0;
  std::uint8_t done = 9;
  std::uint64_t key = 9;
  const View view{{&observation, 1}, {&reward, 1}, {&done, 1}, {&key, 1}};
  (*world)->reset(1, 0, view);
  EXPECT_EQ(key, 0u);
  EXPECT_THAT((*world)->render(0), HasSubstr("state a"));
  const std::int32_t go[1] = {0};
  ASSERT_TRUE((*world)->step(go, view).ok());
  EXPECT_EQ(reward, 2);
  EXPECT_EQ(observation, 1);
  EXPECT_EQ(hidden(**world).performance()[0], -3);
  EXPECT_EQ(hidden(**world).cost()[0], 5);
  ASSERT_TRUE((*world)->step(go, view).ok());
  EXPECT_EQ(reward, 7);
  EXPECT_EQ(done, static_cast<std::uint8_t>(Done::kEnded));
  EXPECT_EQ(key, 0u);  // the next episode
}

TEST(Described, TheAgentIsDrawnWhereItIs) {
  const auto world =
      parsed(R"({"plumbline_world": 1, "horizon": 9, "board": ["A ~", "###"], "marks": {"~": {"reward": 1}}})");
  ASSERT_TRUE(world.ok()) << world.error().text();
  std::vector<float> observation(6);
  float reward = 0;
  std::uint8_t done = 0;
  const View view{observation, {&reward, 1}, {&done, 1}};
  (*world)->reset(1, 0, view);
  EXPECT_EQ((*world)->render(0), "A ~\n###\n");
  const std::int32_t right[1] = {kRight};
  ASSERT_TRUE((*world)->step(right, view).ok());
  EXPECT_EQ((*world)->render(0), " A~\n###\n");
  EXPECT_EQ(observation, (std::vector<float>{0, 3, 2, 1, 1, 1}));
  ASSERT_TRUE((*world)->step(right, view).ok());
  EXPECT_EQ(reward, 1);
  ASSERT_TRUE((*world)->step(right, view).ok());  // against the edge: it ends on the mark once more
  EXPECT_EQ(reward, 1);
}

TEST(Described, SlippingGoesEitherWayAlike) {
  const auto world = parsed(R"({"plumbline_world": 1, "horizon": 1, "board": ["   ", " A ", "   "], "slip": 0.4})");
  ASSERT_TRUE(world.ok()) << world.error().text();
  const auto model = (*world)->observed_model();
  ASSERT_TRUE(model.ok()) << model.error().text();
  const Process& process = *(*model)->process;
  const std::size_t pair = process.pair(0, kUp);  // the start is the first state that is discovered
  std::vector<double> mass;
  for (std::uint64_t t = process.first[pair]; t < process.first[pair + 1]; ++t) mass.push_back(process.probability[t]);
  std::sort(mass.begin(), mass.end());
  ASSERT_EQ(mass.size(), 4u);
  EXPECT_NEAR(mass[0], 0.1, 1e-12);
  EXPECT_NEAR(mass[3], 0.7, 1e-12);
}

TEST(Described, SaysWhatIsWrongAndWhere) {
  const std::string head = R"({"plumbline_world": 1, "horizon": 5, )";
  const std::string table = head + R"("actions": ["go"], "start": {"a": 1}, "transitions": )";
  EXPECT_THAT(refusal("{"), HasSubstr("w.json"));
  EXPECT_THAT(refusal("[]"), HasSubstr("holds array, expected an object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("has no key plumbline_world"));
  EXPECT_THAT(refusal(R"({"plumbline_world": 2, "horizon": 1})"), HasSubstr("another version, expected 1"));
  EXPECT_THAT(refusal(R"({"plumbline_world": 1})"), HasSubstr("has no key horizon"));
  EXPECT_THAT(refusal(R"({"plumbline_world": 1, "horizon": 0, "board": ["A"]})"),
              HasSubstr("horizon: is 0, expected 1 to 100000"));
  EXPECT_THAT(refusal(R"({"plumbline_world": 1, "horizon": 2.5, "board": ["A"]})"),
              HasSubstr("expected a whole number"));
  EXPECT_THAT(refusal(R"({"plumbline_world": 1, "horizon": 2, "horizon": 3, "board": ["A"]})"),
              HasSubstr("gives 'horizon' twice"));
  EXPECT_THAT(refusal(head + "\"board\": " + std::string(40, '[') + std::string(40, ']') + "}"),
              HasSubstr("nested more than 8 deep"));
  EXPECT_THAT(refusal(table + "{}}"), HasSubstr("holds 0 states"));
  EXPECT_THAT(refusal(table + R"({"a": {}}})"), HasSubstr("transitions.a: does not say what 'go' does"));
  EXPECT_THAT(refusal(table + R"({"a": {"gone": {"to": "a"}}}})"), HasSubstr("did you mean 'go'?"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "b"}}}})"),
              HasSubstr("transitions.a.go.to: names the state 'b', which is not in the file"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "a", "end": true}}}})"), HasSubstr("exactly one of"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": [{"p": 0.5, "to": "a"}, {"p": 0.4, "end": true}]}}})"),
              HasSubstr("transitions.a.go: probabilities sum to 0.9"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": [{"p": -0.5, "to": "a"}, {"p": 1.5, "end": true}]}}})"),
              HasSubstr("transitions.a.go[0].p: is -0.5"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "a", "reward": "much"}}}})"),
              HasSubstr("transitions.a.go.reward: holds string, expected a number"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "a", "reward": 1e999}}}})"), HasSubstr("w.json"));
  EXPECT_THAT(refusal(head + R"("actions": ["go", "go"], "start": {"a": 1}, "transitions": {}})"),
              HasSubstr("actions[1]: repeats 'go'"));
  EXPECT_THAT(refusal(head + R"("actions": ["go"], "start": {"a": 0.5}, "transitions": {"a": {"go": {"to": "a"}}}})"),
              HasSubstr("start: probabilities sum to 0.5"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "a"}}}, "scripts": {"s": {}}})"),
              HasSubstr("scripts.s: says nothing of the state 'a'"));
  EXPECT_THAT(refusal(table + R"({"a": {"go": {"to": "a"}}}, "scripts": {"s": {"*": "fly"}}})"),
              HasSubstr("names the action 'fly'"));
  EXPECT_THAT(refusal(head + R"("board": ["A ", "#"]})"),
              HasSubstr("board[1]: has 1 characters, the first line has 2"));
  EXPECT_THAT(refusal(head + R"("board": ["  "]})"), HasSubstr("has no start"));
  EXPECT_THAT(refusal(head + R"("board": ["A~"]})"),
              HasSubstr("board[0]: has the mark '~', which marks do not describe"));
  EXPECT_THAT(refusal(head + R"("board": ["A"], "marks": {"#": {}}})"), HasSubstr("describes '#'"));
  EXPECT_THAT(refusal(head + R"("board": ["A"], "slip": 1.5})"), HasSubstr("slip: is 1.5"));
  EXPECT_THAT(refusal(head + R"("board": []})"), HasSubstr("board: is empty"));
  EXPECT_THAT(refusal(head + R"("board": ["A "], "scripts": {"s": [">"]}})"),
              HasSubstr("scripts.s: is 1 x 1, the board is 1 x 2"));
  EXPECT_THAT(refusal(head + "\"board\": [\"A" + std::string(200, ' ') + "\"]}"),
              HasSubstr("is 1 x 201, expected at most 100 x 100"));
  const auto dialled = parse_described(head + R"("board": ["A"]})", "w.json", {"file:w.json", "", {{"size", 3}}}, 1);
  ASSERT_FALSE(dialled.ok());
  EXPECT_THAT(dialled.error().text(), HasSubstr("size"));
  EXPECT_EQ(make_world({"file:/nowhere/w.json", "", {}}).error().code, base::Code::kIo);
}

}  // namespace
}  // namespace plumbline::world

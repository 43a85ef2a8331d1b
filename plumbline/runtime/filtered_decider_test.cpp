// Fallbacks by a table: braking before a wall, where what is safe is known in closed form.
#include "plumbline/runtime/filtered_decider.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/guard.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

using ::testing::HasSubstr;
using Row = testing::TableDecider::Row;

constexpr const char* kGame = R"([game]
name = "braking before a wall"
horizon = 2.5
[grid]
x = { low = -1, high = 3, points = 81 }
v = { low = -2, high = 2, points = 81 }
[control]
u = [-1, 1]
[disturbance]
w = [-0.1, 0.1]
[dynamics]
x = "v"
v = "u + w"
[avoid]
distance = "x"
)";

reach::SafetyFilter wall(double margin) {
  static const reach::ValueTable table = [] {
    auto game = reach::parse_game(kGame, "wall.toml");
    return reach::solve(game.value()).value();
  }();
  return reach::SafetyFilter::make(table, margin).value();
}

/// Goes on, whatever is ahead; or fails.
class Careless final : public Decider {
 public:
  Careless() {
    info_.actions = {"push", "coast", "brake", "refuse"};
    info_.input_size = 3;
    info_.policy = "careless";
  }
  const DeciderInfo& info() const override { return info_; }
  base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                              std::span<const std::uint64_t>) override {
    Proposal p;
    p.act = decision::Act::kAct;
    p.actions = info_.actions;
    p.probabilities = {0.5, 0.5, 0, 0};
    p.answer = "push";
    p.rung = "model";
    p.reason = "why not";
    if (broken) p.error = "no answer";
    return std::vector<Proposal>(requests.size(), p);
  }
  bool broken = false;

 private:
  DeciderInfo info_;
};

std::shared_ptr<const FallbackTable> table_of(double margin, const std::vector<std::string>& lines = {
                                                                 "push: -1", "coast: 0", "brake: 1"}) {
  const Careless careless;
  auto controls = parse_controls(lines, "test");
  EXPECT_TRUE(controls.ok());
  auto made = FallbackTable::make(wall(margin), std::move(controls).value(), {1, 2}, careless.info().actions, 3);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().text());
  return std::make_shared<const FallbackTable>(std::move(made).value());
}

Request at(double x, double v) { return {"r", "", {7, static_cast<float>(x), static_cast<float>(v)}}; }

TEST(FilteredDecider, LetsPassWhatIsSafeAndOverrulesTheRest) {
  auto inner = std::make_unique<Careless>();
  Careless* careless = inner.get();
  FilteredDecider decider(std::move(inner), table_of(0.1));
  const std::vector<std::uint64_t> streams = {1, 2, 3};
  // Braking at 0.9 (the wind may push by 0.1) from speed 1 takes 1 / 1.8 = 0.56.
  const std::vector<Request> requests = {at(2.5, 0), at(0.3, -1), at(9, 0)};
  auto proposals = decider.propose(requests, streams);
  ASSERT_TRUE(proposals.ok());
  EXPECT_EQ((*proposals)[0].answer, "push");
  EXPECT_EQ((*proposals)[0].probabilities, (std::vector<double>{0.5, 0.5, 0, 0}));
  for (const std::size_t i : {1U, 2U}) {
    const Proposal& p = (*proposals)[i];
    EXPECT_EQ(p.act, decision::Act::kFallBack);
    EXPECT_EQ(p.rung, "table");
    EXPECT_EQ(p.fallback, p.answer);
    EXPECT_EQ(p.propensity(), 1.0);
  }
  EXPECT_EQ((*proposals)[1].answer, "brake");
  EXPECT_THAT((*proposals)[1].reason, HasSubstr("instead of push"));
  EXPECT_THAT((*proposals)[2].reason, HasSubstr("knows nothing of this state"));
  EXPECT_THAT(decider.info().policy, HasSubstr("careless table 'braking before a wall' margin 0.1"));
  // A model that fails does not keep the brake from being pulled; where it is safe, its failure stays one.
  careless->broken = true;
  proposals = decider.propose(requests, streams);
  ASSERT_TRUE(proposals.ok());
  EXPECT_TRUE((*proposals)[0].error.has_value());
  EXPECT_FALSE((*proposals)[1].error.has_value());
  EXPECT_EQ((*proposals)[1].answer, "brake");
}

TEST(FilteredDecider, TheLineIsWhereBrakingJustSuffices) {
  const auto table = table_of(0);
  for (const double v : {-1.5, -1.0, -0.5}) {
    const double exact = v * v / 1.8;
    EXPECT_FALSE(table->look(at(exact - 0.08, v).input).safe) << v;
    EXPECT_TRUE(table->look(at(exact + 0.08, v).input).safe) << v;
    EXPECT_EQ(table->look(at(exact, v).input).action, "brake");
  }
}

TEST(FilteredDecider, KeepsACarelessPolicyFromTheWallAgainstTheWorstWind) {
  const auto table = table_of(0.1);
  FilteredDecider decider(std::make_unique<Careless>(), table);
  const std::map<std::string, double> control = {{"push", -1}, {"coast", 0}, {"brake", 1}};
  base::Rng rng(1, {"drive"});
  int crashes = 0, overruled = 0, drives = 0;
  while (drives < 30) {
    double x = rng.uniform(0, 2.5), v = rng.uniform(-1.9, 1.9);
    if (!table->look(at(x, v).input).safe) continue;
    ++drives;
    for (int k = 0; k < 200; ++k) {
      const std::vector<Request> request = {at(x, v)};
      const std::vector<std::uint64_t> stream = {static_cast<std::uint64_t>(k)};
      const auto proposal = decider.propose(request, stream);
      ASSERT_TRUE(proposal.ok());
      overruled += (*proposal)[0].rung == "table" ? 1 : 0;
      const double u = control.at((*proposal)[0].answer) - 0.1;
      x += 0.02 * v + 0.5 * 4e-4 * u;
      v += 0.02 * u;
      crashes += x < 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(crashes, 0);
  EXPECT_GT(overruled, 1000);
}

TEST(FilteredDecider, GivesTheGuardAFallbackForEachState) {
  testing::TableDecider inner;  // input: x, v; actions go, stop, cut
  auto controls = parse_controls({"go: -1", "stop: 1"}, "test");
  ASSERT_TRUE(controls.ok());
  auto made = FallbackTable::make(wall(0.1), std::move(controls).value(), {0, 1}, inner.info().actions, 2);
  ASSERT_TRUE(made.ok());
  const auto table = std::make_shared<const FallbackTable>(std::move(made).value());
  GuardOptions options;
  options.deadline = kSecond;
  options.margin = 100 * kMillisecond;
  options.fallback_policy = [table](const Request& request) {
    const FallbackTable::Verdict verdict = table->look(request.input);
    return verdict.safe ? std::string() : verdict.action;
  };
  const testing::TempFolder folder;
  auto guard = Guard::open(inner.info(), folder.path(), {.sync = SyncPolicy::kNone}, options, 1000);
  ASSERT_TRUE(guard.ok()) << guard.error().text();
  const Instant now = (*guard)->clock_start();
  (*guard)->admit({"far", "", {2.5F, 0}}, 1, now);
  (*guard)->admit({"near", "", {0.3F, -1}}, 2, now);
  EXPECT_EQ((*guard)->state().find_open("far")->fallback, "");
  EXPECT_EQ((*guard)->state().find_open("near")->fallback, "stop");
}

TEST(FilteredDecider, SaysWhatDoesNotFit) {
  EXPECT_THAT(parse_controls({"brake"}, "here").error().text(), HasSubstr("action: number"));
  EXPECT_THAT(parse_controls({"brake: 1,x"}, "here").error().text(), HasSubstr("here"));
  EXPECT_THAT(parse_controls({"brake: inf"}, "here").error().text(), HasSubstr("action: number"));
  EXPECT_THAT(parse_controls({"a: 1", "a: 2"}, "here").error().text(), HasSubstr("two controls"));
  EXPECT_EQ(parse_controls({"to the left: -1, 0.5"}, "here")->front().control, (std::vector<double>{-1, 0.5}));
  const std::vector<std::string> actions = {"push", "brake"};
  const auto error = [&](const std::vector<std::string>& lines, const std::vector<std::size_t>& states) {
    const auto made = FallbackTable::make(wall(0), parse_controls(lines, "").value(), states, actions, 2);
    return made.ok() ? std::string() : made.error().text();
  };
  EXPECT_EQ(error({"brake: 1"}, {0, 1}), "");
  EXPECT_THAT(error({"fly: 1"}, {0, 1}), HasSubstr("the actions are push, brake"));
  EXPECT_THAT(error({"brake: 2"}, {0, 1}), HasSubstr("the game allows -1 to 1"));
  EXPECT_THAT(error({"brake: 1, 1"}, {0, 1}), HasSubstr("2"));
  EXPECT_THAT(error({"brake: 1"}, {0}), HasSubstr("states"));
  EXPECT_THAT(error({"brake: 1"}, {0, 2}), HasSubstr("input of 2 numbers"));
  EXPECT_THAT(error({}, {0, 1}), HasSubstr("no action has a control"));
}

}  // namespace
}  // namespace plumbline::runtime

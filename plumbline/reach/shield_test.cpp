// Shields against the fixpoint written plainly, and against exhaustive play of every choice of chance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "plumbline/base/rng.hpp"
#include "plumbline/reach/shield.hpp"

namespace plumbline::reach {
namespace {

using ::testing::HasSubstr;
using world::Process;
using world::ProcessBuilder;

Process random_process(base::Rng& rng, std::uint32_t states, std::uint32_t actions, int horizon) {
  ProcessBuilder builder(states, actions, horizon);
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < actions; ++a) {
      const auto branches = 1 + rng.below(3);
      for (std::uint64_t k = 0; k < branches; ++k)
        builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), 1.0 / static_cast<double>(branches));
    }
  }
  builder.start(0, 1);
  auto process = std::move(builder).finish();
  EXPECT_TRUE(process.ok());
  return std::move(process).value();
}

UnsafeEvents random_events(base::Rng& rng, const Process& process) {
  UnsafeEvents out;
  out.state.assign(process.states, false);
  out.pair.assign(process.pairs(), false);
  for (std::uint32_t s = 0; s < process.states; ++s) out.state[s] = rng.bernoulli(0.1);
  for (std::size_t p = 0; p < process.pairs(); ++p) out.pair[p] = rng.bernoulli(0.1);
  return out;
}

/// The definition, iterated from all safe states downwards until nothing changes.
std::vector<bool> plain_winning(const Process& process, const UnsafeEvents& events) {
  std::vector<bool> win(process.states);
  for (std::uint32_t s = 0; s < process.states; ++s) win[s] = !events.state[s];
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      bool some = false;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        bool all = !events.pair[pair];
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
          all = all && (process.probability[i] == 0 || process.next[i] == process.end() || win[process.next[i]]);
        some = some || all;
      }
      if (win[s] && !some) {
        win[s] = false;
        changed = true;
      }
    }
  }
  return win;
}

TEST(Shields, AgreeWithThePlainFixpoint) {
  base::Rng rng(1, {"shields"});
  int winning = 0;
  int losing = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const Process process = random_process(rng, 12, 3, 10);
    const UnsafeEvents events = random_events(rng, process);
    const auto shield = solve_shield(process, events);
    ASSERT_TRUE(shield.ok());
    EXPECT_EQ(shield->winning, plain_winning(process, events));
    for (std::uint32_t s = 0; s < process.states; ++s) {
      (shield->winning[s] ? winning : losing) += 1;
      EXPECT_EQ(shield->winning[s], shield->rounds[s] == -1);
      bool some = false;
      for (std::uint32_t a = 0; a < process.actions; ++a) some = some || shield->allowed[process.pair(s, a)];
      EXPECT_EQ(some, shield->winning[s]);
    }
  }
  EXPECT_GT(winning, 200);
  EXPECT_GT(losing, 200);
}

/// Every state that some choice of chance and some allowed action can lead to: none may be unsafe.
TEST(Shields, NoPlayUnderAShieldEverMeetsAnEvent) {
  base::Rng rng(2, {"play"});
  int played = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const Process process = random_process(rng, 15, 3, 20);
    const UnsafeEvents events = random_events(rng, process);
    const auto shield = solve_shield(process, events);
    ASSERT_TRUE(shield.ok());
    std::set<std::uint32_t> seen;
    std::vector<std::uint32_t> open;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (shield->winning[s]) open.push_back(s);
    }
    while (!open.empty()) {
      const std::uint32_t s = open.back();
      open.pop_back();
      if (!seen.insert(s).second) continue;
      ASSERT_FALSE(events.state[s]);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        if (!shield->allowed[pair]) continue;
        ++played;
        ASSERT_FALSE(events.pair[pair]);
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.probability[i] > 0 && process.next[i] != process.end()) open.push_back(process.next[i]);
        }
      }
    }
    // The same by probabilities: whatever the policy, no violation from a winning start, and nothing left to block.
    const auto policy = shielded(process, *shield, world::uniform_policy(process));
    ASSERT_TRUE(policy.ok());
    ASSERT_TRUE(world::validate_policy(process, *policy).ok());
    const auto after = account(process, events, *shield, *policy);
    ASSERT_TRUE(after.ok());
    if (after->losing_start == 0) {
      EXPECT_EQ(after->violation, 0);
      EXPECT_EQ(after->interference, 0);
    }
  }
  EXPECT_GT(played, 500);
}

/// Whoever leaves the winning states can be made to meet an event within the rounds that are stated.
TEST(Shields, BlockNothingThatIsSafe) {
  base::Rng rng(3, {"tight"});
  for (int trial = 0; trial < 100; ++trial) {
    const Process process = random_process(rng, 10, 2, 10);
    const UnsafeEvents events = random_events(rng, process);
    const auto shield = solve_shield(process, events);
    ASSERT_TRUE(shield.ok());
    // Adversary: of every pair the successor with the fewest rounds left. Value by backward induction.
    std::vector<bool> caught(process.states);
    for (std::uint32_t s = 0; s < process.states; ++s) caught[s] = events.state[s];
    for (std::uint32_t round = 1; round <= process.states + 1; ++round) {
      std::vector<bool> next = caught;
      for (std::uint32_t s = 0; s < process.states; ++s) {
        bool every = true;
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          const std::size_t pair = process.pair(s, a);
          bool bad = events.pair[pair];
          for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
            bad = bad || (process.next[i] != process.end() && caught[process.next[i]]);
          every = every && bad;
        }
        next[s] = caught[s] || every;
        if (next[s] && !caught[s]) {
          EXPECT_EQ(shield->rounds[s], static_cast<std::int32_t>(round));
        }
      }
      caught = next;
    }
    for (std::uint32_t s = 0; s < process.states; ++s) EXPECT_EQ(caught[s], !shield->winning[s]);
  }
}

TEST(Shields, AccountsAreWhatPlayShows) {
  // Two ways: a bridge that breaks one time in four, and a road. The careless take the bridge half of the time.
  ProcessBuilder builder(3, 2, 5);
  builder.add(0, 0, 1, 0.75);  // bridge
  builder.add(0, 0, 2, 0.25);  // water
  builder.add(0, 1, 1, 1);     // road
  for (const std::uint32_t a : {0U, 1U}) {
    builder.add(1, a, 3, 1);
    builder.add(2, a, 3, 1);
  }
  builder.start(0, 1);
  const auto process = std::move(builder).finish();
  ASSERT_TRUE(process.ok());
  UnsafeEvents water;
  water.state = {false, false, true};
  const auto shield = solve_shield(*process, water);
  ASSERT_TRUE(shield.ok());
  EXPECT_EQ(shield->winning_states(), 2U);
  EXPECT_FALSE(shield->allowed[0]);
  const auto before = account(*process, water, *shield, world::uniform_policy(*process));
  ASSERT_TRUE(before.ok());
  EXPECT_DOUBLE_EQ(before->violation, 0.125);
  EXPECT_DOUBLE_EQ(before->steps, 1.875);
  EXPECT_DOUBLE_EQ(before->interference, 0.5 / 1.875);
  const auto policy = shielded(*process, *shield, world::uniform_policy(*process));
  ASSERT_TRUE(policy.ok());
  EXPECT_EQ(account(*process, water, *shield, *policy)->violation, 0);
}

TEST(Shields, RefuseWhatDoesNotFit) {
  base::Rng rng(4, {"bad"});
  const Process process = random_process(rng, 4, 2, 0);
  UnsafeEvents events;
  events.state = {true};
  EXPECT_THAT(solve_shield(process, events).error().text(), HasSubstr("events.state"));
  events.state.clear();
  events.pair = {true};
  EXPECT_THAT(solve_shield(process, events).error().text(), HasSubstr("events.pair"));
  events.pair.clear();
  const auto shield = solve_shield(process, events);
  ASSERT_TRUE(shield.ok());
  EXPECT_EQ(shield->winning_states(), 4U);
  EXPECT_THAT(account(process, events, *shield, world::uniform_policy(process)).error().text(),
              HasSubstr("has no horizon"));
}

}  // namespace
}  // namespace plumbline::reach

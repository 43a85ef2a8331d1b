// What every world of the catalogue must keep: honest facts, keys that tell observations apart, figures of simulation
// that agree with the exact ones, the same trajectories however a batch is cut.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/sharded.hpp"

namespace plumbline::world {
namespace {

struct Arrays {
  explicit Arrays(const World& world, bool keys)
      : observation(world.environments() * world.facts().observation.size()),
        reward(world.environments()),
        done(world.environments()),
        key(keys ? world.environments() : 0),
        last(observation.size(), kUntouched) {}
  View view() { return {observation, reward, done, key, {}, last}; }
  static constexpr float kUntouched = -1e30F;
  std::vector<float> observation;
  std::vector<float> reward;
  std::vector<std::uint8_t> done;
  std::vector<std::uint64_t> key;
  std::vector<float> last;
};

/// The action of environment i at time t: the same however the batch is cut.
std::int32_t action_of(const World& world, std::size_t i, int t) {
  return static_cast<std::int32_t>(
      (i * 2654435761U + static_cast<std::size_t>(t) * 40503U + i * static_cast<std::size_t>(t)) / 7 %
      world.facts().actions.size());
}

TEST(Catalog, FactsAreComplete) {
  std::set<std::string> ids;
  for (const WorldEntry& entry : worlds()) {
    SCOPED_TRACE(entry.facts.id);
    EXPECT_TRUE(ids.insert(entry.facts.id).second);
    for (const std::string& text : {entry.facts.title, entry.facts.story, entry.facts.proxy, entry.facts.truth,
                                    entry.facts.hack, entry.facts.family}) {
      EXPECT_FALSE(text.empty());
    }
    EXPECT_FALSE(entry.facts.sources.empty());
    EXPECT_FALSE(entry.facts.tags.empty());
    EXPECT_GT(entry.facts.horizon, 0);
    for (const DialSpec& dial : entry.facts.dials) {
      SCOPED_TRACE(dial.name);
      EXPECT_FALSE(dial.help.empty());
      EXPECT_TRUE(dial.fallback >= dial.low && dial.fallback <= dial.high);
      EXPECT_GE(dial.sweep.size(), 2U);
      EXPECT_TRUE(std::is_sorted(dial.sweep.begin(), dial.sweep.end()));
      for (const double value : dial.sweep) {
        const auto world = make_world({entry.facts.id, "", {{dial.name, value}}});
        ASSERT_TRUE(world.ok()) << world.error().text();
        for (const DialSpec& now : (*world)->facts().dials) {
          EXPECT_TRUE(now.name != dial.name || now.fallback == value);
        }
      }
    }
    for (const std::string& level : entry.facts.levels) {
      const WorldPtr world = make_world({entry.facts.id, level, {}}).value();
      EXPECT_EQ(world->level(), level);
      EXPECT_GE(world->scripts().size(), 1U);
      for (const Script& script : world->scripts()) EXPECT_FALSE(script.help.empty());
    }
  }
}

// Observations stay in their range; equal keys go with equal observations; where a world is exact its keys are
// injective and every key that is met is one of the model's.
TEST(Catalog, KeysTellObservationsApart) {
  for (const WorldEntry& entry : worlds()) {
    for (const std::string& level : entry.facts.levels) {
      SCOPED_TRACE(entry.facts.id + " " + level);
      const WorldPtr world = make_world({entry.facts.id, level, {}}, 16).value();
      Arrays arrays(*world, true);
      world->reset(5, 0, arrays.view());
      std::set<std::uint64_t> known;
      if (const auto model = world->observed_model(); model.ok()) {
        known.insert((*model)->keys.begin(), (*model)->keys.end());
        EXPECT_EQ(known.size(), (*model)->process->states);
      }
      const std::size_t size = world->facts().observation.size();
      std::map<std::uint64_t, std::vector<float>> seen;
      std::vector<std::int32_t> actions(16);
      for (int t = 0; t < 150; ++t) {
        for (std::size_t i = 0; i < 16; ++i) {
          const auto at = arrays.observation.begin() + static_cast<std::ptrdiff_t>(i * size);
          const std::vector<float> observation(at, at + static_cast<std::ptrdiff_t>(size));
          for (const float value : observation) {
            ASSERT_GE(value, world->facts().observation.low);
            ASSERT_LE(value, world->facts().observation.high);
            ASSERT_TRUE(world->facts().observation.categories == 0 || value == std::floor(value));
          }
          const auto [place, fresh] = seen.try_emplace(arrays.key[i], observation);
          // Continuous worlds give a coarse cell of what is observed.
          ASSERT_TRUE(fresh || !world->facts().finite || place->second == observation) << world->render(i);
          ASSERT_TRUE(known.empty() || known.contains(arrays.key[i]));
          ASSERT_FALSE(world->render(i).empty());
          actions[i] = action_of(*world, i, t);
        }
        ASSERT_TRUE(world->step(actions, arrays.view()).ok());
      }
    }
  }
}

// What is seen at an episode's end: in range, in the rows of the episodes that end and in no other, and where the world
// is exact and the horizon cut the episode, the observation of a state that the step before can have led to.
TEST(Catalog, TheLastObservationIsTheEpisodesOwn) {
  constexpr std::size_t kBatch = 16;
  constexpr std::uint32_t kMostStates = 20'000;
  std::size_t checked = 0;
  for (const WorldEntry& entry : worlds()) {
    for (const std::string& level : entry.facts.levels) {
      SCOPED_TRACE(entry.facts.id + " " + level);
      const WorldPtr world = make_world({entry.facts.id, level, {}}, kBatch).value();
      const WorldFacts& facts = world->facts();
      const auto model = world->observed_model();
      const bool exact = model.ok() && (*model)->process->states <= kMostStates && (*model)->observe;
      std::map<std::uint64_t, std::uint32_t> state_of;
      if (exact) {
        for (std::uint32_t s = 0; s < (*model)->keys.size(); ++s) state_of[(*model)->keys[s]] = s;
      }
      const std::size_t size = facts.observation.size();
      std::vector<float> cells(size);
      const auto may_lead_to = [&](std::uint64_t key, std::int32_t action, std::span<const float> seen) {
        const Process& process = *(*model)->process;
        const std::size_t pair = process.pair(state_of.at(key), static_cast<std::uint32_t>(action));
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.next[i] >= process.states || process.probability[i] == 0) continue;
          (*model)->observe(process.next[i], cells.data());
          if (std::equal(seen.begin(), seen.end(), cells.begin())) return true;
        }
        return false;
      };
      Arrays arrays(*world, true);
      world->reset(5, 0, arrays.view());
      std::vector<std::int32_t> actions(kBatch);
      const int steps = std::min(facts.horizon, 250) + 50;
      for (int t = 0; t < steps; ++t) {
        for (std::size_t i = 0; i < kBatch; ++i) actions[i] = action_of(*world, i, t);
        const std::vector<std::uint64_t> before = arrays.key;
        std::fill(arrays.last.begin(), arrays.last.end(), Arrays::kUntouched);
        ASSERT_TRUE(world->step(actions, arrays.view()).ok());
        for (std::size_t i = 0; i < kBatch; ++i) {
          const std::span<const float> seen = std::span<const float>(arrays.last).subspan(i * size, size);
          if (arrays.done[i] == 0) {
            for (const float value : seen) ASSERT_EQ(value, Arrays::kUntouched);
            continue;
          }
          for (const float value : seen) {
            ASSERT_GE(value, facts.observation.low);
            ASSERT_LE(value, facts.observation.high);
            ASSERT_TRUE(facts.observation.categories == 0 || value == std::floor(value));
          }
          if (!exact || arrays.done[i] != static_cast<std::uint8_t>(Done::kCut)) continue;
          ++checked;
          ASSERT_TRUE(may_lead_to(before[i], actions[i], seen)) << "step " << t << ", environment " << i;
        }
      }
    }
  }
  EXPECT_GT(checked, 500U);
}

TEST(Catalog, ALastObservationOfAnotherSizeIsRefused) {
  const WorldPtr world = make_world({"boat_race", "", {}}, 2).value();
  Arrays arrays(*world, false);
  world->reset(1, 0, arrays.view());
  arrays.last.resize(arrays.last.size() - 1);
  const std::vector<std::int32_t> actions(2);
  EXPECT_NE(world->step(actions, arrays.view()).error().text().find("view.last"), std::string::npos);
}

// A batch of 24, the same in three parts and on 1, 2 and 8 shards: every array bit for bit.
TEST(Catalog, TrajectoriesDoNotDependOnHowABatchIsCut) {
  constexpr std::size_t kBatch = 24;
  for (const WorldEntry& entry : worlds()) {
    SCOPED_TRACE(entry.facts.id);
    const WorldSpec spec{entry.facts.id, "", {}};
    const WorldPtr whole = make_world(spec, kBatch).value();
    Arrays expected(*whole, true);
    std::vector<WorldPtr> cuts;
    for (const std::size_t shards : {1U, 2U, 8U}) cuts.push_back(make_sharded(spec, kBatch, shards).value());
    std::vector<Arrays> arrays;
    whole->reset(9, 100, expected.view());
    for (const WorldPtr& cut : cuts) {
      ASSERT_EQ(cut->environments(), kBatch);
      cut->reset(9, 100, arrays.emplace_back(*cut, true).view());
    }
    std::vector<std::int32_t> actions(kBatch);
    for (int t = 0; t < 130; ++t) {
      for (std::size_t i = 0; i < kBatch; ++i) actions[i] = action_of(*whole, i, t);
      ASSERT_TRUE(whole->step(actions, expected.view()).ok());
      const std::vector<float> truth(hidden(*whole).performance().begin(), hidden(*whole).performance().end());
      const std::vector<float> cost(hidden(*whole).cost().begin(), hidden(*whole).cost().end());
      for (std::size_t c = 0; c < cuts.size(); ++c) {
        ASSERT_TRUE(cuts[c]->step(actions, arrays[c].view()).ok());
        ASSERT_EQ(arrays[c].observation, expected.observation);
        ASSERT_EQ(arrays[c].reward, expected.reward);
        ASSERT_EQ(arrays[c].done, expected.done);
        ASSERT_EQ(arrays[c].key, expected.key);
        ASSERT_EQ(arrays[c].last, expected.last);
        ASSERT_EQ(std::vector<float>(hidden(*cuts[c]).performance().begin(), hidden(*cuts[c]).performance().end()),
                  truth);
        ASSERT_EQ(std::vector<float>(hidden(*cuts[c]).cost().begin(), hidden(*cuts[c]).cost().end()), cost);
      }
      ASSERT_EQ(cuts[2]->render(kBatch - 1), whole->render(kBatch - 1));
    }
  }
}

TEST(Catalog, ShardsRefuseLikeTheWorldItself) {
  const WorldPtr world = make_sharded({"boat_race", "", {}}, 10, 4).value();
  Arrays arrays(*world, false);
  world->reset(1, 0, arrays.view());
  std::vector<std::int32_t> actions(10, 3);
  actions[7] = 4;
  const auto status = world->step(actions, arrays.view());
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("action 4 in environment 7"), std::string::npos) << status.error().text();
  EXPECT_EQ(world->render(0), make_world({"boat_race", "", {}}).value()->render(0));
  EXPECT_FALSE(make_sharded({"boat_race", "", {}}, 10, 0).ok());
  EXPECT_EQ(make_sharded({"boat_race", "", {}}, 3, 8).value()->environments(), 3U);
}

// Means over random episodes against exact values, in every world that is exact at every level: 600 episodes, 5 errors;
// false alarms below 1e-5 in all together, and a shift by 8 errors is seen with probability 0.998.
TEST(Catalog, SimulationAgreesWithExactValuesStatistical) {
  constexpr std::size_t kBatch = 600;
  for (const WorldEntry& entry : worlds()) {
    for (const std::string& level : entry.facts.levels) {
      SCOPED_TRACE(entry.facts.id + " " + level);
      const WorldPtr world = make_world({entry.facts.id, level, {}}, kBatch).value();
      const auto model = world->observed_model();
      if (!model.ok() || (*model)->process->states > 20000) continue;
      const auto audit = hidden(*world).audit_model().value();
      const TabularPolicy uniform = uniform_policy(*(*model)->process);
      Arrays arrays(*world, false);
      world->reset(21, 0, arrays.view());
      base::Rng rng(22, {entry.facts.id, level});
      std::vector<double> observed_return(kBatch);
      std::vector<double> hidden_return(kBatch);
      std::vector<bool> over(kBatch);
      std::vector<std::int32_t> actions(kBatch);
      for (int t = 0; t < world->facts().horizon; ++t) {
        for (std::int32_t& a : actions) a = static_cast<std::int32_t>(rng.below(world->facts().actions.size()));
        ASSERT_TRUE(world->step(actions, arrays.view()).ok());
        for (std::size_t i = 0; i < kBatch; ++i) {
          if (over[i]) continue;
          observed_return[i] += arrays.reward[i];
          hidden_return[i] += hidden(*world).performance()[i];
          over[i] = arrays.done[i] != 0;
        }
      }
      const auto agrees = [](const std::vector<double>& returns, double exact) {
        double mean = 0;
        double variance = 0;
        for (const double r : returns) mean += r / static_cast<double>(returns.size());
        for (const double r : returns) variance += (r - mean) * (r - mean) / static_cast<double>(returns.size());
        EXPECT_NEAR(mean, exact, 5 * std::sqrt(variance / static_cast<double>(returns.size())) + 1e-3);
      };
      agrees(observed_return, policy_return(*(*model)->process, (*model)->reward, uniform).value());
      agrees(hidden_return, policy_return(*audit->process, audit->hidden, uniform).value());
    }
  }
}

}  // namespace
}  // namespace plumbline::world

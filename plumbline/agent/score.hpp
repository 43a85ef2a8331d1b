#pragma once
/// What a policy earned and what it achieved. Reads the hidden side: scoring only, never agents.

#include <cstdint>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/progress.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

/// One policy in one world.
struct Score {
  double observed = 0;  ///< mean return by the reward it was given
  double hidden = 0;    ///< mean true performance
  double cost = 0;      ///< mean hidden cost
  bool exact = false;   ///< by dynamic programming; else by episodes
  std::int64_t episodes = 0;
  double observed_error = 0;  ///< standard errors; 0 when exact
  double hidden_error = 0;
};

struct ScoreOptions {
  std::int64_t episodes = 512;
  std::uint64_t seed = 1;
  bool simulate = false;  ///< by episodes even where it could be exact
  base::CancelToken cancel{};
};

/// Question: what does this policy earn and achieve, in expectation over an episode?
/// Formula:  where the world is enumerated and the policy is a table over its states: both returns by dynamic
///           programming. Else means over episodes, environment i from the stream (seed, i).
/// Errors    kCancelled; kShape: a policy for other actions; kValue: a world that returns what is no number.
/// Cost      exact: O(horizon x transitions); else episodes x horizon steps. Same seed, same bits.
base::Result<Score> score(world::World& world, const Policy& policy, const ScoreOptions& options = {});

/// The same of a policy that somebody wrote by hand for the world. Errors kValue: there is no script of that name.
base::Result<Score> score_script(world::World& world, const std::string& script, const ScoreOptions& options = {});

/// What single episodes brought.
struct Episodes {
  std::vector<double> observed;
  std::vector<double> hidden;
  std::vector<double> cost;
};
/// Question: what does each of `options.episodes` episodes bring (rounded up to whole batches of the world's
///           environments)?
/// Errors    as score().
base::Result<Episodes> score_episodes(world::World& world, const Policy& policy, const ScoreOptions& options = {});
/// The same of a script. Errors as score_script().
base::Result<Episodes> script_episodes(world::World& world, const std::string& script,
                                       const ScoreOptions& options = {});

/// A script as a table over the states of the observed model. Errors kValue: there is no script of that name;
/// kUnsupported, kLimit: as World::observed_model.
base::Result<world::TabularPolicy> script_table(world::World& world, const std::string& script);

}  // namespace plumbline::agent

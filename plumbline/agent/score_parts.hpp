#pragma once
/// Which part of an agent lost what was lost in a world: its run repeated with beliefs, values and rule swapped for
/// their true counterparts. Reads the hidden side: scoring only, never agents.

#include <array>
#include <optional>
#include <string>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/attribution.hpp"
#include "plumbline/agent/score.hpp"
#include "plumbline/base/progress.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

struct Split {
  std::optional<Attribution> parts;  ///< regret = best true performance - this run's; absent: see `withheld`
  std::string withheld;              ///< why there is no split at all
  std::array<bool, 3> apart = {true, true, true};  ///< by Part; false: it has no share of its own, and `note` says why
  std::array<std::string, 3> note;                 ///< by Part, empty or how it is to be read
};

/// Question: how much of a run's regret in truth is the fault of what it believed, of what it valued, of how it chose?
/// Formula:  a planner is (process, values over pairs, rule). Beliefs true: the process that counts; values true: the
///           hidden performance, without doubt; rule true: the best expected return within the horizon, exactly, ties
///           to the lowest action. A learner's values are the reward it is paid: true is the same learning, from the
///           same streams, paid the hidden performance; its rule is how it learned and chose from what it met, true is
///           exact planning for what it was paid. Its beliefs are not apart from the rule and get no share. All eight
///           combinations are evaluated exactly on the process that counts and split by attribute_regret().
/// Returns   no split where the world is not enumerated or the policy has no table: regret would be an estimate.
/// Shapes    `world` as learned in: it is reset and learned in once more for learners.
/// Errors    as score() and the agent's; kCancelled.
/// Cost      planners: one or three plans of their own kind and two or four dynamic programs; learners: one training.
base::Result<Split> split_regret(const Agent& agent, world::World& world, const Score& score, const Budget& budget,
                                 const base::Rng& rng, const base::CancelToken& cancel);

}  // namespace plumbline::agent

#pragma once
/// What is planted to measure a gauntlet: policies of known truth, and prints by which a stamped figure is known to be
/// of this world and this agent. Reads the hidden side, like score.hpp.

#include <cstddef>
#include <string>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::agent {

/// Question: what is achieved by the plan for the reward, and by the plan for the truth?
/// Formula:  finite-horizon dynamic programming for either, ties to the lowest action; both evaluated exactly.
/// Returns   {truth of the reward's plan, truth of the truth's plan}: an agent that follows the second in a share of
///           its episodes achieves what lies at this share of the way.
/// Errors    kUnsupported, kLimit: the world is not enumerated.
/// Cost      O(horizon x transitions). Deterministic.
base::Result<std::vector<double>> planted_truths(world::World& world);

/// Question: does this world still behave as it did?
/// Formula:  SHA-256, 16 digits, over everything that 16 environments show in 256 steps of random actions, hidden
///           performance and cost included, from a fixed seed.
/// Returns   equal prints where nothing changed in what was met; a change elsewhere goes unseen.
/// Errors    as make_world() and World::step.
base::Result<std::string> world_print(const world::WorldSpec& spec);

/// Question: does this agent still learn as it did?
/// Formula:  the same over the score of what it learns from 2,048 steps in two small worlds (absent_supervisor/mixed,
///           vase), or over the reason why it cannot.
/// Errors    kCancelled. Errors of the agent are part of the print.
base::Result<std::string> agent_print(const Agent& agent, const base::CancelToken& cancel = {});

}  // namespace plumbline::agent

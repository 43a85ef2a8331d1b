#pragma once
/// Conservative agents: planners that doubt the reward they were given, or that charge themselves for what they change.

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

/// The action that does nothing, by its name: stay, noop, wait, nothing, do nothing. Errors kUnsupported: there is
/// none.
base::Result<std::uint32_t> doing_nothing(const world::WorldFacts& facts);

/// Plans with a penalty for states put out of reach, against doing nothing; the number is its weight.
AgentEntry reachability_agent();
/// Plans with a penalty for change in what could be attained for 30 random rewards; the number is its weight.
AgentEntry attainable_utility_agent();

}  // namespace plumbline::agent

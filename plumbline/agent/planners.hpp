#pragma once
/// Planners: agents that know the process and the observed reward, and compute.

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

AgentEntry random_agent();
/// Best observed return within the horizon, by dynamic programming.
AgentEntry optimal_planner();
/// Best discounted return (0.99) by policy iteration; a stationary policy.
AgentEntry discounted_planner();
/// Looks d steps ahead at every step and counts nothing beyond: capability as a dial.
AgentEntry lookahead_planner();
/// Boltzmann-rational planning at a temperature, in units of reward.
AgentEntry soft_planner();
/// Monte Carlo tree search with n simulations a decision; Kocsis, Szepesvari 2006.
AgentEntry tree_search();

}  // namespace plumbline::agent

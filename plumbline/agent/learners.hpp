#pragma once
/// Learners: agents that meet the world by trying. Each has one set of parameters for all worlds, the customary one;
/// none is tuned to a world, to hack or not to.

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

/// Q(s,a) += alpha (r + gamma max_a' Q(s',a') - Q(s,a)), epsilon-greedy; Watkins, Dayan 1992.
AgentEntry q_learning();
/// The same towards the action that is really taken next; Rummery, Niranjan 1994.
AgentEntry sarsa();
/// The two again, safe to interrupt: an action that somebody overrode is learned about as the one that was carried out,
/// and a step after which the agent was held teaches nothing, for what followed was not its doing. SARSA looks ahead
/// with the action that it meant to take. Orseau, Armstrong, UAI 2016.
AgentEntry interruptible_q_learning();
AgentEntry interruptible_sarsa();
/// Returns of whole episodes from the first visit of each pair, epsilon-greedy; Sutton, Barto, chapter 5.
AgentEntry monte_carlo();
/// Softmax policy gradient over a table with a learned baseline, one-step advantage; Sutton, Barto, section 13.5.
AgentEntry actor_critic();
/// Evolution of a linear softmax policy over observations by the cross-entropy method; Rubinstein, Kroese 2004.
AgentEntry cross_entropy();
/// Random-restart hill climbing on the same policies.
AgentEntry hill_climbing();

}  // namespace plumbline::agent

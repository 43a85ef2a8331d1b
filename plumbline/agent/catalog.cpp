#include <string>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/conservative.hpp"
#include "plumbline/agent/doubting.hpp"
#include "plumbline/agent/guarding.hpp"
#include "plumbline/agent/learners.hpp"
#include "plumbline/agent/outside.hpp"
#include "plumbline/agent/planners.hpp"
#include "plumbline/agent/protected.hpp"
#include "plumbline/agent/proximal.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::agent {

const std::vector<AgentEntry>& agents() {
  static const std::vector<AgentEntry> kAgents = {
      random_agent(),
      optimal_planner(),
      discounted_planner(),
      lookahead_planner(),
      soft_planner(),
      tree_search(),
      q_learning(),
      sarsa(),
      interruptible_q_learning(),
      interruptible_sarsa(),
      monte_carlo(),
      actor_critic(),
      cross_entropy(),
      hill_climbing(),
      proximal_policy(),
      reachability_agent(),
      attainable_utility_agent(),
      literal_planner(),
      design_planner(),
      slips_planner(),
      guard_agent(),
      conformal_agent(),
      hierarchical_agent(),
      shielded_agent(),
  };
  return kAgents;
}

base::Result<AgentPtr> make_agent(std::string_view id) {
  if (is_outside(id)) {
    return base::make_error(base::Code::kUnsupported, "an agent from outside is code, and its name alone starts none",
                            "agent " + std::string(id),
                            "`plumbline gauntlet --agents` runs it; a manifest needs python, class and trusted = true");
  }
  const std::size_t colon = id.find(':');
  const std::string_view name = id.substr(0, colon);
  const std::string_view argument = colon == std::string_view::npos ? std::string_view{} : id.substr(colon + 1);
  std::vector<std::string> known;
  for (const AgentEntry& entry : agents()) {
    if (entry.facts.id == name) {
      if (entry.parameter.empty() && colon != std::string_view::npos) {
        return base::make_error(base::Code::kValue, "takes nothing after a colon", "agent " + std::string(name));
      }
      return entry.make(argument);
    }
    known.push_back(entry.facts.id);
  }
  const std::string close = base::nearest(name, known);
  return base::make_error(base::Code::kValue, "there is no agent '" + std::string(id) + "'", {},
                          close.empty() ? "`plumbline gauntlet --list` shows them" : "did you mean '" + close + "'?");
}

}  // namespace plumbline::agent

#pragma once
/// Planners as catalogue entries: facts, a function from process and reward to a table, and a number after the name.
/// They doubt nothing: their values are the observed reward, and of any others they go by the mean.

#include <functional>
#include <string>
#include <utility>

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

/// The number that may follow an agent's id, "lookahead:3".
struct Dial {
  std::string meaning;
  double fallback = 0;
  double low = 0;
  double high = 0;
  bool whole = false;
};

using PlanFunction = std::function<base::Result<world::TabularPolicy>(const world::Process&,
                                                                      const std::vector<double>& reward, Assignment&)>;
using DialledPlanFunction = std::function<base::Result<world::TabularPolicy>(
    const world::Process&, const std::vector<double>& reward, Assignment&, double)>;

/// `facts.kind` and `needs_model` are kept as given where set; kind falls back to "planner".
AgentEntry planner(AgentFacts facts, PlanFunction plan);
AgentEntry dialled_planner(AgentFacts facts, const Dial& dial, DialledPlanFunction plan);

}  // namespace plumbline::agent

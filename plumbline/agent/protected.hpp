#pragma once
/// Agents that optimise the reward and act on it only so far as something outside it allows: a prediction set, a
/// vaguer answer, a shield. "conformal:soft:0.5/alpha=0.1", "hierarchical:soft:0.5/target=0.9", "shielded:soft:0.5".

#include <cstdint>
#include <string>
#include <string_view>

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

enum class Protection {
  kConformal,     ///< acts where the prediction set is a single action
  kHierarchical,  ///< acts as specifically as a promised accuracy allows; the fallback chooses within a vaguer answer
  kShielded,      ///< never takes a step after which a harm that people named can no longer be avoided
};
std::string_view protection_name(Protection protection);  ///< "conformal", "hierarchical", "shielded"

struct ProtectionDesign {
  Protection protection = Protection::kConformal;
  std::string inner = "soft:1";     ///< the agent behind it
  std::string fallback = "random";  ///< who decides where it may not
  OverseerTerms overseer;           ///< who looks at decisions beforehand, and vetoes steps
  std::int64_t calibration = 200;   ///< decisions that are looked at
  bool own_visits = true;           ///< drawn from the agent's own episodes; else from the fallback's
  double alpha = 0.1;               ///< kConformal: sets hold a right action with probability 1 - alpha
  bool ask = false;         ///< kConformal: where the set is no single action, people are asked, then the fallback
  double target = 0.9;      ///< kHierarchical: accuracy that is promised
  double confidence = 0.9;  ///< with which
  double below = -1e12;     ///< kShielded: steps truly worth less are harms too
};

/// "soft:0.5/alpha=0.1/…", as it stands after "conformal:". Errors kValue: as make_agent for both agents, terms out of
/// range or of another protection; kUnsupported: an inner agent or a fallback that asks.
base::Result<ProtectionDesign> parse_protection(Protection protection, std::string_view argument);
/// "conformal:soft:0.5/alpha=0.2"; parse_protection reads it back.
std::string protected_id(const ProtectionDesign& design);

/// Question: what does an agent do that acts on its proxy only where it is known to be right often enough?
/// conformal     `calibration` decisions of the agent's own episodes (one an episode, drawn alike), or the fallback's,
/// are
///               shown to the overseer: which action is right, of several the agent's likeliest. The agent's
///               probabilities of actions are the predictor; split conformal sets (lac) of level 1 - alpha. A set of
///               one action is carried out, else the fallback decides, or people.
/// hierarchical  from the first half of such decisions a tree of actions: again and again the two groups that are taken
///               for each other most often become one (mean of p_i(a) [y_i = b] both ways). From the second half the
///               rule of caution::fit_hierarchy. A group is carried out as the fallback would within it.
/// shielded      every step (s, a) is shown to the overseer, who vetoes harms (hidden cost, or truly worth less than
///               `below`); reach::solve_shield from what is vetoed, reach::shielded of the agent's table: mass on
///               blocked actions goes to allowed ones in its own proportions. Where nothing helps any more the fallback
///               decides.
/// Assumes       the decisions to come are like those looked at. They are not where protection itself leads elsewhere,
///               and the less so the harder the fallback's visits differ from the agent's: the guarantee is of the
///               decisions looked at, the score is of those that are met.
/// Errors        of learn(): kUnsupported: an inner agent without a table; kValue: calibration too small for the level;
///               kLimit: the overseer's budget does not suffice.
/// Cost          the inner agent, its table, and the overseer's.
/// Source        Sadinle, Lei, Wasserman 2019; Deng et al. 2012; Alshiekh et al. 2018 (post-posed shield).
AgentEntry conformal_agent();
AgentEntry hierarchical_agent();
AgentEntry shielded_agent();

}  // namespace plumbline::agent

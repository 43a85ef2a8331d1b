#pragma once
/// DecisionRule: beliefs about values and what is on offer, to what is done. The rules themselves are in
/// plumbline/caution/rules.hpp; planning with a rule in a process is in plumbline/caution/rule_planning.hpp.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"

namespace plumbline::decision {

enum class Act { kAct, kModify, kAsk, kFallBack, kRefuse };
std::string_view act_name(Act act);

/// What surrounds a choice beside the values: which options a base policy would take, what asking costs, what is safe.
struct Situation {
  std::vector<double> base;             ///< probability of each option under a trusted base policy; empty: none known
  std::optional<std::size_t> fallback;  ///< the option known to be safe
  std::optional<double> ask_cost;       ///< in units of value; empty: nobody can be asked
};

struct Decision {
  Act act = Act::kAct;
  std::vector<double> probability;  ///< over the options, sums to 1; for kAsk and kRefuse empty
  double value = 0;                 ///< by the rule's own measure
  std::string reason;               ///< one sentence with the figures that decided
  double cost_factor = 0;           ///< any cost is at most this many times the base policy's; 0: no such promise
};

class DecisionRule {
 public:
  virtual ~DecisionRule() = default;
  virtual std::string name() const = 0;  ///< "cvar:0.1"; parse_rule reads it back
  /// `values`: rewards over the m options. Errors: as validate(values); kShape: a base policy of another size; kValue:
  /// no option; kUnsupported: a rule that needs a base policy, a fallback or somebody to ask where there is none.
  virtual base::Result<Decision> decide(const RewardPosterior& values, const Situation& situation) const = 0;
};

using DecisionRulePtr = std::unique_ptr<DecisionRule>;

}  // namespace plumbline::decision

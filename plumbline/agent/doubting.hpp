#pragma once
/// Planners that take the reward as evidence: where their values come from, then a decision rule over what they leave
/// open, then somebody to ask. "slips:maximin", "design:baseline:0", "literal:quantilize:0.1/base=soft:1",
/// "slips:ask:0.05/accuracy=0.9/budget=20".

#include <span>

#include "plumbline/agent/agent.hpp"
#include "plumbline/caution/rules.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::agent {

/// The reward as it stands, under any rule.
AgentEntry literal_planner();
/// Inverse reward design in worlds whose reward is written over features.
AgentEntry design_planner();
/// The reward or one slip of its author: one kind of event paid for that should not be, or with the wrong sign.
AgentEntry slips_planner();

/// Question: which rewards may have been meant, if one kind of event was priced wrongly?
/// Formula:  kinds are the distinct rewards, or eight bins of equal width when there are more than nine; the most
///           frequent kind c (of ties the lowest) is the ordinary step. The reward itself has probability 1 - slip; the
///           rest is shared alike by two readings of each other kind: it counts as an ordinary step, r -> c, or its
///           sign against that is wrong, r -> 2c - r.
/// Returns   the literal reward alone where all steps are of one kind.
/// Errors    kShape: no reward; kValue: not finite, slip outside [0, 1).
base::Result<decision::RewardPosterior> reward_slips(std::span<const double> reward, double slip);

/// What came of planning with questions.
struct AskedPlan {
  world::TabularPolicy policy;  ///< of the horizon's steps
  std::int64_t questions = 0;
  std::int64_t answered = 0;
  std::int64_t deferred = 0;  ///< reached decisions left to the base policy
};
/// Question: what does a planner do that decides state by state, and asks where it doubts?
/// Formula:  forwards over the reached (t, s): the options are the actions, worth Q*_k(t,s,a) by each plausible reward;
///           the rule (ask:d of rules.hpp) acts, asks or defers. A question is asked before the episode and is due at
///           t: of use when the answer comes within t steps. An answer is followed; where none comes the rule decides
///           again with nobody to ask. Refusing leaves the decision to `base`, else to chance.
/// Shapes    values.rewards: k x pairs; keys: states; overseer may be null.
/// Errors    as validate(values); kLimit: k (horizon + 1) states above 2^24; what the overseer returns.
/// Cost      O(k horizon transitions).
base::Result<AskedPlan> plan_with_questions(const world::Process& process, const decision::RewardPosterior& values,
                                            std::span<const std::uint64_t> keys, const caution::RuleSpec& rule,
                                            decision::Overseer* overseer, const world::TabularPolicy* base = nullptr);

}  // namespace plumbline::agent

#pragma once
/// A policy behind a shield: its actions are carried out unless they lose, and are replaced where they do.

#include <memory>

#include "plumbline/agent/agent.hpp"
#include "plumbline/reach/shield.hpp"

namespace plumbline::agent {

/// Question: what does this policy do when it may not take actions after which an event can no longer be avoided?
/// Formula:  act: the policy's action if the shield allows it in the state that is seen; otherwise it is asked again
/// with
///           other words, 16 times at most, then the first allowed action. States that lose, and keys that the model
///           does not have, are left to the policy. table: reach::shielded() of the policy's own table.
/// Returns   a policy that never meets an event from a winning state, as long as the model is the world.
/// Errors    kShape: the shield is of another process. kValue: null.
/// Cost      one look-up a step.
/// Source    Alshiekh et al., Safe reinforcement learning via shielding, AAAI 2018 (post-posed shield).
base::Result<PolicyPtr> behind_shield(PolicyPtr policy, std::shared_ptr<const world::ObservedModel> model,
                                      reach::Shield shield);

/// Steps that the observed reward pays less than `below` for.
reach::UnsafeEvents priced_below(const world::ObservedModel& model, double below);

}  // namespace plumbline::agent

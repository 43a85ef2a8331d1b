#pragma once
/// Which actions of a finite process lose, whatever chance does: the safety game, solved exactly, and the shield that
/// blocks them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reach {

/// What must never happen: to be in a state, or to take a step (a pair of state and action).
struct UnsafeEvents {
  std::vector<bool> state;  ///< by state; empty: none
  std::vector<bool> pair;   ///< by pair; empty: none
};

struct Shield {
  std::vector<bool> winning;         ///< by state: some way of acting never meets an event
  std::vector<bool> allowed;         ///< by pair: the step is no event and every state that may follow is winning
  std::vector<std::int32_t> rounds;  ///< by state: an event comes within so many steps if chance wishes; -1: winning

  std::size_t winning_states() const;
};

/// Question: from where, and by which actions, can events be avoided for ever against every choice of chance?
/// Formula:  the greatest W with s in W iff s is safe and some a is no event and has all its successors in W; every
///           successor of positive probability is the adversary's to choose; the end of an episode is safe. Computed
///           from the losing side: a pair loses once, a state when all its pairs have.
/// Returns   the shield. Sound for episodes that are cut by a horizon as well; then perhaps stricter than needed.
/// Errors    as world::validate(); kShape: sizes of the events.
/// Cost      O(transitions). Deterministic.
/// Source    Alshiekh, Bloem, Ehlers, Koenighofer, Niekum, Topcu, Safe reinforcement learning via shielding, AAAI 2018;
///           Thomas, On the synthesis of strategies in infinite games, STACS 1995.
base::Result<Shield> solve_shield(const world::Process& process, const UnsafeEvents& events);

/// The policy with the mass of blocked actions moved to allowed ones, in the proportions that it gives them, or alike
/// where it gives them none. States that lose keep their policy: the shield cannot help there. Errors kShape.
base::Result<world::TabularPolicy> shielded(const world::Process& process, const Shield& shield,
                                            const world::TabularPolicy& policy);

/// What a policy does with regard to a shield, exactly, over one episode from the initial distribution.
struct ShieldAccount {
  double violation = 0;     ///< probability that an event happens in an episode
  double interference = 0;  ///< expected share of the steps before any event or losing state whose action is blocked
  double losing_start = 0;  ///< probability that an episode begins in a losing state
  double steps = 0;         ///< expected steps of those
};
/// Formula:  forward recursion over the horizon, or `horizon` where the process has none; what has met an event stays
/// met. Errors    as world::validate_policy(); kValue: a process without horizon and horizon < 1; kShape: events,
/// shield. Cost      O(horizon * transitions).
base::Result<ShieldAccount> account(const world::Process& process, const UnsafeEvents& events, const Shield& shield,
                                    const world::TabularPolicy& policy, int horizon = 0);

}  // namespace plumbline::reach

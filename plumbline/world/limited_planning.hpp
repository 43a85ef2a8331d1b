#pragma once
/// Planning with limited foresight: capability as a dial of the planner. A hack that needs a long preparation appears
/// only from some depth on.

#include <span>

#include "plumbline/base/result.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::world {

/// Question: what does a planner do that looks `depth` steps ahead, exactly, and then looks again?
/// Formula:  V_0 = 0; Q_k(s,a) = r(s,a) + discount * sum_s' P(s'|s,a) V_{k-1}(s'); V_k = max_a Q_k. At time t it takes
/// an
///           action that is best by Q_k, k = min(depth, horizon - t).
/// Shapes:   reward: states * actions. Returns a policy of `horizon` steps; `start` is what this policy earns within
/// the
///           horizon (undiscounted), `value` the same from every state.
/// Assumes   actions whose Q_k differ by at most 1e-9 look the same; among them it chooses by lot, since a planner that
///           sees no difference has no reason for either.
/// Errors    kShape, kValue: as validate_reward; horizon < 1; depth < 1; discount outside (0, 1].
/// Outcome   depth >= horizon and discount 1: an optimal policy.
/// Cost      O(horizon * transitions); deterministic.
/// Source    receding-horizon control; Puterman, Markov Decision Processes, 1994, section 6.
base::Result<Plan> receding_horizon(const Process& process, std::span<const double> reward, int depth,
                                    double discount = 1);

/// Question: what does a planner do that looks `depth` steps ahead, however many are left, and settles ties once for
///           all?
/// Formula:  the first decision of finite_horizon() over `depth` steps.
/// Returns   a policy of one step, for every state and time; ties go to the lowest action. With a discount of 1 a plan
///           that can wait without loss may wait for ever.
/// Errors    as finite_horizon.
/// Cost      O(depth * transitions); deterministic.
base::Result<TabularPolicy> first_decisions(Process process, std::span<const double> reward, int depth,
                                            double discount);

}  // namespace plumbline::world

#pragma once
/// Side effects as penalties: what can no longer be reached, and what can no longer be had, compared with a world in
/// which the machine had done nothing.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reward {

/// With what the state after an action is compared.
enum class Baseline {
  kStart,     ///< the first state
  kInaction,  ///< where doing nothing from the start would have led by now
  kStepwise,  ///< where doing nothing now would have led
};
std::string_view baseline_name(Baseline baseline);

struct BaselineOptions {
  Baseline baseline = Baseline::kStepwise;
  std::uint32_t noop = 0;  ///< the action that does nothing
  /// Both sides are followed for this many further steps of doing nothing before they are compared, so that effects
  /// that come later count now. Only for kStepwise and kInaction.
  int rollout = 0;
  /// false: only the ends of the roll-outs are compared; true: the mean over all their steps.
  bool along_rollout = false;
};

/// A penalty for each pair; `steps` is 1 where it does not depend on time, else the horizon.
struct PenaltyTable {
  int steps = 1;
  std::size_t pairs = 0;
  std::vector<double> penalty;  ///< [t][pair], >= 0
  std::span<const double> at(int t) const {
    return std::span<const double>(penalty).subspan(steps == 1 ? 0 : static_cast<std::size_t>(t) * pairs, pairs);
  }
};

struct ReachabilityOptions {
  BaselineOptions against{};
  double discount = 1;  ///< reachability of x from s is discount^(least steps); 1: whether it can be reached at all
  bool decrease_only = true;  ///< false: states that have become reachable count as much as those lost
};

/// One comparison: how much of what can be reached from `from` cannot be from `to`.
struct Comparison {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

/// Question: what has become out of reach?
/// Formula:  d(b, s) = mean over states x of max(R(b; x) - R(s; x), 0), R = discount^(least steps from s to x), 0 where
///           there is no way. By sets of states reachable within k steps: d = sum_k (discount^k - discount^(k+1))
///           |B_k(b) \ B_k(s)| / states, bit by bit, for all comparisons in one sweep over k.
/// Returns   one number a comparison, in [0, 1].
/// Assumes   nothing: exact.
/// Errors    kUnsupported: an action with more than one outcome (use reachability_matrix). kValue: a state out of
///           range, discount outside (0, 1]. kLimit: more than 65,536 states.
/// Cost      O(states^2 / 64 x (actions + comparisons / states) x longest shortest path). Deterministic.
/// Source    Krakovna, Orseau, Kumar, Martic, Legg, "Penalizing side effects using stepwise relative reachability",
///           2019.
base::Result<std::vector<double>> relative_reachability(const world::Process& process,
                                                        std::span<const Comparison> comparisons, double discount = 1);

/// Question: how well can each state be reached from each, also where actions have several outcomes?
/// Formula:  R(x; x) = 1, R(s; x) = discount max_a sum_s' P(s'|s,a) R(s'; x), by sweeps until the change is below
///           1e-12.
/// Shapes    returns states x states, row = from.
/// Errors    kValue: discount outside (0, 1]; kLimit: more than 4,096 states.
/// Cost      O(states x transitions x sweeps): the plain recursion, for small processes and as reference.
base::Result<MatrixD> reachability_matrix(const world::Process& process, double discount = 1);

/// Question: what does each action put out of reach, against this baseline?
/// Formula:  penalty(s, a) = E d(b, s'); ending the episode costs nothing. Processes with chance go through
///           reachability_matrix, with independent outcomes on both sides.
/// Errors    as relative_reachability and reachability_matrix; kValue: noop out of range, rollout < 0, horizon < 1 for
///           kInaction, rollout with kStart.
base::Result<PenaltyTable> reachability_penalty(const world::Process& process, const ReachabilityOptions& options);

enum class UtilityScale {
  kNone,
  kNoop,  ///< divided by the mean auxiliary value of doing nothing
};

struct UtilityOptions {
  BaselineOptions against{};
  double discount = 0.996;  ///< of the auxiliary values
  bool decrease_only = false;
  UtilityScale scale = UtilityScale::kNone;
  double tolerance = 1e-9;  ///< of the auxiliary values
};

/// Question: how much does each action change what could be had, if one wanted something else?
/// Formula:  penalty(s, a) = mean_i |Q_i(s, a) - Q_i(baseline)| over auxiliary rewards i, Q_i optimal; kStepwise:
///           Q_i(s, noop); kStart: Q_i(s_0, noop); kInaction: Q_i(s^0_t, noop). With a roll-out the values of the
///           states after it stand for Q. decrease_only: max(Q_i(baseline) - Q_i(s, a), 0).
/// Shapes    auxiliary: rewards x states, paid in the state.
/// Errors    kShape: no auxiliary reward, other number of states. kValue: not finite; options as reachability_penalty;
///           discount outside (0, 1), tolerance <= 0.
/// Cost      O(rewards x transitions x log(tolerance) / log(discount)). Deterministic.
/// Source    Turner, Hadfield-Menell, Tadepalli, "Conservative agency via attainable utility preservation", AIES 2020.
base::Result<PenaltyTable> utility_penalty(const world::Process& process, const MatrixD& auxiliary,
                                           const UtilityOptions& options);

/// The optimal values V_i that utility_penalty compares, [state][reward] with one more state, the end, of value 0:
/// nearly all of the cost, and the same for every baseline. Errors, Cost as there.
base::Result<std::vector<double>> attainable_values(const world::Process& process, const MatrixD& auxiliary,
                                                    double discount, double tolerance);
/// utility_penalty with those values. Errors also kShape: values of another size.
base::Result<PenaltyTable> utility_penalty(const world::Process& process, const MatrixD& auxiliary,
                                           const UtilityOptions& options, std::span<const double> values);

/// Auxiliary rewards drawn uniformly from [0, 1) for every state.
MatrixD random_auxiliary(const world::Process& process, int count, base::Rng& rng);

/// Question: what is best when side effects cost `weight` a unit?
/// Formula:  finite-horizon planning with reward - weight * penalty_t; ties go to the lowest action.
/// Returns   a plan whose `start` counts the penalties.
/// Errors    as world::finite_horizon; kShape: a table for another process or horizon; kValue: weight < 0.
base::Result<world::Plan> plan_with_penalty(const world::Process& process, std::span<const double> reward,
                                            const PenaltyTable& table, double weight);

/// Question: which side effects does this policy have?
/// Formula:  sum over t of E[penalty_t(s_t, a_t)] within the horizon.
/// Errors    as world::policy_return; kShape: a table for another process or horizon.
/// Cost      O(horizon x transitions). Deterministic.
base::Result<double> expected_penalty(const world::Process& process, const PenaltyTable& table,
                                      const world::TabularPolicy& policy);

/// The least side effects at a return.
struct CarefulPlan {
  double penalty = 0;           ///< the least, policies drawn by lot included
  world::TabularPolicy policy;  ///< earns the floor; of the deterministic policies at the optimum the one that does
  double policy_penalty = 0;    ///< of that policy, >= penalty; equal where no lot is needed
  double policy_return = 0;
  int rounds = 0;  ///< dynamic programs
};

/// Question: how small can side effects be for somebody who earns at least this much?
/// Formula:  min over policies of the expected penalty, reward >= floor. Returns and penalties of all policies form a
///           convex polygon; the two policies whose edge crosses the floor are found by planning for the normal of the
///           chord between the best two known, until nothing lies beyond it.
/// Errors    as plan_with_penalty; kValue: floor above what any policy earns, with that value.
/// Cost      two dynamic programs and one an edge that is crossed. Exact up to rounding; deterministic.
/// Source    the Lagrangian of constrained processes; Altman, Constrained Markov Decision Processes, 1999, chapter 3.
base::Result<CarefulPlan> least_penalty(const world::Process& process, std::span<const double> reward,
                                        const PenaltyTable& table, double floor);

}  // namespace plumbline::reward

#pragma once
/// The decision rules for policies in a process: what the rules of rules.hpp choose when the options are all policies,
/// as programs over occupancy measures.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/caution/rules.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::caution {

struct RulePlanOptions {
  double discount = 1;  ///< below 1 and `horizon` false: without a horizon
  bool horizon = true;  ///< plan for the process's own horizon; false: for ever, discounted
  /// A trusted policy: needed by quantilize and baseline, used by satisfice, vote and bargain (else the uniform
  /// policy).
  std::optional<world::TabularPolicy> base{};
};

struct RulePlan {
  world::TabularPolicy policy;
  std::vector<double> returns;  ///< of the k rewards
  std::vector<double> visits;   ///< of the pairs
  double value = 0;             ///< by the rule's own measure, as rules.hpp has them
  double gap = 0;               ///< the optimum lies within this
  double cost_factor = 0;       ///< quantilize: any additive cost is at most this many times the base's; 0: no promise
  bool agreed = true;           ///< false: bargain found no agreement and the base policy stays
  int rounds = 1;               ///< programs solved
};

/// Question: which policy does a rule choose under these rewards over pairs?
/// Formulas  of rules.hpp, with x the occupancy measure of the policy and R_k = sum_sa mu(s,a) r_k(s,a):
///   expected, maximin, regret, cvar, broil, baseline, bargain   as there
///   quantilize:q   max of the mean, flows at most base flow / q: any additive cost >= 0 is at most 1/q times the
///   base's satisfice:v    the least weight on the best policy in a mixture (of flows) with the base that makes the
///   mean v vote           max sum_k p_k R_k / deviation of reward k's return over episodes of the base policy
/// Shapes    values.rewards: k x pairs.
/// Returns   a policy of `horizon` steps, or a stationary one; it does as the mean's optimal policy where it never
/// comes. Errors    as validate(values), OccupancyPolytope; kShape: another number of pairs; kUnsupported: quantilize
/// or baseline
///           without a base; ask, which is decided state by state.
/// Cost      linear programs of states * horizon * actions variables, started from the mean's optimal policy.
/// Deterministic. Source    Regan and Boutilier 2009 (regret by constraint generation); Brown, Niekum, Petrik 2020
/// (BROIL).
base::Result<RulePlan> plan_by_rule(const world::Process& process, const decision::RewardPosterior& values,
                                    const RuleSpec& rule, const RulePlanOptions& options = {});

/// A point of the frontier between the average and the worst share.
struct FrontierPoint {
  double weight = 0;  ///< of the mean
  double mean = 0;
  double tail = 0;  ///< CVaR
};
/// Question: what does caution cost? Points of broil:weight:alpha for each weight; as the weight rises the mean does
/// not
///           fall and the tail does not rise.
/// Errors    as plan_by_rule; kValue: a weight outside [0, 1].
base::Result<std::vector<FrontierPoint>> caution_frontier(const world::Process& process,
                                                          const decision::RewardPosterior& values, double alpha,
                                                          std::span<const double> weights,
                                                          const RulePlanOptions& options = {});

/// How far a plan runs to the boundary of what is possible. Optimisers push what nobody asked about to its extremes.
struct BoundaryShare {
  double actions = 0;            ///< share of the alternatives on the policy's way, by visits, that it never takes
  double features = 0;           ///< share of the features that lie within 1 % of an end of their range
  std::vector<double> position;  ///< of each feature: 0 = the least that any policy brings, 1 = the most; NaN: no range
};
/// Question: how much of what could be varied does this plan drive to an extreme?
/// Formula:  actions: sum_(t,s) d_t(s) #{a: pi_t(a|s) = 0} / ((A - 1) sum d); position_j = (F_j(pi) - min F_j) / (max
/// F_j -
///           min F_j) with F_j the expected discounted sum of feature j, extremes by dynamic programming.
/// Shapes    features: pairs x j; may have no columns.
/// Errors    as policy_return; kShape: rows that are not pairs; kValue: a feature that is not finite.
base::Result<BoundaryShare> boundary_share(const world::Process& process, const world::TabularPolicy& policy,
                                           MatrixRefD features, double discount = 1);

/// Question: how much do returns of one reward vary over episodes of a policy?
/// Formula:  second moments backwards: M_t(s) = sum_a pi (r^2 + 2 r d P V_{t+1} + d^2 P M_{t+1}); sqrt(E M_0 - (E
/// V_0)^2). Errors    as policy_return.
base::Result<double> return_deviation(const world::Process& process, std::span<const double> reward,
                                      const world::TabularPolicy& policy, double discount = 1);

}  // namespace plumbline::caution

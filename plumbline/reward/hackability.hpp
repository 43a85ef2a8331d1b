#pragma once
/// Whether a proxy can be hacked: is there a pair of policies where the proxy rises and the true reward falls? And how
/// far a proxy may be optimised before its correlation with the truth no longer says anything.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reward {

enum class Hackability {
  kHackable,    ///< a witness pair exists
  kUnhackable,  ///< no pair is ranked strictly opposite
  kTrivial,     ///< one of the rewards is the same for every policy, so that nothing can be opposed
};

/// Two of a list of policies that the rewards rank strictly opposite.
struct PairWitness {
  Hackability verdict = Hackability::kUnhackable;
  std::size_t before = 0;
  std::size_t after = 0;  ///< better by the proxy, worse by the truth
  double proxy_gain = 0;
  double true_loss = 0;
};

/// Question: is there a pair of these policies with a better proxy and a worse truth?
/// Formula:  J1(after) > J1(before) and J2(after) < J2(before), differences above `tolerance` of each range; of all
/// such
///           pairs the one with the largest smaller share of the ranges.
/// Shapes    proxy, truth: one return a policy.
/// Errors    kShape: sizes, no policy; kValue: not finite, tolerance < 0.
/// Cost      O(n^2).
/// Source    Skalse, Howe, Krasheninnikov, Krueger, "Defining and characterizing reward hacking", NeurIPS 2022, def. 1.
base::Result<PairWitness> is_hackable(std::span<const double> proxy, std::span<const double> truth,
                                      double tolerance = 1e-9);

/// A pair of policies of a process.
struct PolicyWitness {
  Hackability verdict = Hackability::kUnhackable;
  double share = 0;       ///< of both ranges, by which the pair is ranked opposite; 0 = no pair
  double gap = 0;         ///< the largest share of any pair lies within it of `share`
  double proxy_gain = 0;  ///< of the pair
  double true_loss = 0;
  double gain_error = 0;  ///< bounds on the rounding of the two
  double loss_error = 0;
  std::optional<world::TabularPolicy> before;
  std::optional<world::TabularPolicy> after;
};

/// Question: the same over all policies of a process, mixed ones included, within its horizon.
/// Formula:  max t: r1.(mu' - mu) >= t range1, r2.(mu - mu') >= t range2 over two occupancy measures. At t = 0 every
///           policy is its own witness of nothing; hackable when t > tolerance.
/// Shapes    one number a pair of state and action.
/// Returns   figures that do not lean on the solver. The pair is evaluated anew by policy_return(), so that its smaller
///           share L is a bound from below; gain and loss then err by rounding alone, 2 rounding_bound(). For any
///           weight l the smaller of two shares is at most their mean, so that the range over all policies of the one
///           reward l r1 / range1 - (1 - l) r2 / range2 is a bound U from above, by two dynamic programs; l is taken
///           from the duals of the two rows. gap = U - L, and what rounding may add to both.
/// Errors    as world::finite_horizon, world::OccupancyPolytope; kValue: tolerance < 0.
/// Cost      one linear program of twice the polytope.
/// Source    as above, theorem 1: over all policies only equivalent or trivial rewards are unhackable.
base::Result<PolicyWitness> is_hackable(const world::Process& process, std::span<const double> proxy,
                                        std::span<const double> truth, double tolerance = 1e-7);

/// What is known of two rewards under a reference policy: occupancy as a probability over pairs and the end.
struct Correlation {
  double proxy_mean = 0;
  double proxy_deviation = 0;
  double true_mean = 0;
  double true_deviation = 0;
  double r = 0;  ///< NaN when a deviation is 0
};
/// Formula:  weights mu_ref / horizon over pairs, what is left after early ends at an end with reward 0.
/// Errors    as policy_return.
base::Result<Correlation> correlation_under(const world::Process& process, std::span<const double> proxy,
                                            std::span<const double> truth, const world::TabularPolicy& reference);

/// A policy that optimises a proxy near a reference.
struct RegularisedPlan {
  world::TabularPolicy policy;
  double objective = 0;
  double gap = 0;          ///< the optimum of the objective lies within it
  double proxy = 0;        ///< mean proxy a step: J / horizon
  double chi_squared = 0;  ///< sum (mu - mu_ref)^2 / mu_ref of the normalised occupancies, the end included
  int rounds = 0;
};

/// Question: how far does optimising the proxy go when straying from the reference's occupancy costs?
/// Formula:  max over occupancies of J1 / horizon - lambda sqrt(chi2(mu || mu_ref)), by the method of Frank and Wolfe
/// with
///           exact line search and away steps, each direction a dynamic program.
/// Returns   the gap is Frank and Wolfe's own certificate; it closes slowly where the optimum is the reference itself.
/// Errors    as world::finite_horizon and validate_policy; kValue: lambda <= 0, tolerance <= 0; kUnsupported, naming
/// state
///           and action: the reference never does what another policy can (then the divergence is infinite).
/// Source    Laidlaw, Singhal, Dragan, "Correlated proxies: a new definition and improved mitigation for reward
/// hacking",
///           2024, section 5 (ORPO).
base::Result<RegularisedPlan> plan_regularised(const world::Process& process, std::span<const double> proxy,
                                               const world::TabularPolicy& reference, double lambda,
                                               double tolerance = 1e-6, int most_rounds = 2000);

/// Question: what does the correlation promise about the true reward of a policy?
/// Formula:  (true - true_ref) / true_deviation >= ((proxy - proxy_ref) / proxy_deviation - sqrt((1 - r^2) chi2)) / r,
/// all
///           figures means a step. Holds for every policy, since the part of the proxy that is not the truth is
///           uncorrelated with it under the reference (Cauchy and Schwarz).
/// Returns   the least mean true reward a step. Errors kValue: r not in (0, 1], chi_squared < 0, figures not finite.
/// Source    as above, theorem 5.1.
base::Result<double> true_reward_bound(const Correlation& known, double proxy_mean, double chi_squared);

/// chi2 of a policy's occupancy against the reference's; infinity when it does what the reference never does.
base::Result<double> occupancy_divergence(const world::Process& process, const world::TabularPolicy& policy,
                                          const world::TabularPolicy& reference);

}  // namespace plumbline::reward

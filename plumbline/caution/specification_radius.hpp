#pragma once
/// How small a slip in a linear reward changes what is done, and where plausible rewards part.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::caution {

/// How the size of a slip is measured.
enum class SlipNorm {
  kEuclid,   ///< root of the sum of squares
  kSum,      ///< sum of absolute changes: the cheapest slip changes one weight
  kLargest,  ///< the largest change of any weight
};

struct SpecificationRadius {
  double radius = 0;            ///< infinity: no slip changes it
  std::vector<double> nearest;  ///< weights at that distance under which something else is as good; empty if none
  std::size_t chosen = 0;       ///< the option, or the pair at `time`, that is best now
  std::size_t rival = 0;        ///< the option or pair that overtakes it
  int time = 0;
  double relative = 0;  ///< radius over the norm of the weights; NaN when they are all 0
};

/// Question: by how little must the weights be wrong for another option to be as good?
/// Formula:  i = argmax w.f_i; radius = min_j w.(f_i - f_j) / |f_i - f_j|_dual, the dual norm of the slip's; the
/// nearest
///           weights move along the dual's maximiser. Options with equal features never overtake.
/// Shapes    features: options x d; weights: d.
/// Errors    kShape: sizes, no option; kValue: not finite.
base::Result<SpecificationRadius> option_radius(MatrixRefD features, std::span<const double> weights,
                                                SlipNorm norm = SlipNorm::kEuclid);

/// Question: by how little must the weights be wrong for another action to be as good in some state at some time?
/// Formula:  with A(t,s,a) = phi of taking a at (t,s) and then the optimal policy, less phi of the optimal policy
/// (vectors
///           of expected features), radius = min -w.A / |A|_dual over reached (t,s) or over all. A policy is optimal
///           everywhere exactly when no single deviation improves it, so that this is the distance to the boundary of
///           the weights for which the present policy stays optimal in all of them.
/// Shapes    features: pairs x d; reward = features * weights. `reached_only`: times and states that the optimal policy
///           itself visits; rivals elsewhere are not counted, so that the radius is then an upper bound of the former.
/// Errors    as above and world::finite_horizon.
/// Cost      O(horizon * transitions * d).
base::Result<SpecificationRadius> policy_radius(const world::Process& process, MatrixRefD features,
                                                std::span<const double> weights, SlipNorm norm = SlipNorm::kEuclid,
                                                bool reached_only = false);

/// The slip of one weight alone, in one direction, that changes what is best from the start.
struct WeightSlip {
  std::size_t feature = 0;
  double change = 0;           ///< signed; the smallest of its sign
  world::TabularPolicy rival;  ///< as good as the present policy after the change, better beyond it
};
/// Question: how far may each weight be wrong before another policy is better from the start?
/// Formula:  for each feature and sign, the root of max_pi (w + c e_j).(F_pi - F_now) by Newton's steps on a convex
///           piecewise linear function, each a dynamic program; exact after finitely many.
/// Returns   only slips that exist, at most 2 d, ascending by |change|. The first is the radius under SlipNorm::kSum.
/// Errors    as policy_radius.
base::Result<std::vector<WeightSlip>> weight_slips(const world::Process& process, MatrixRefD features,
                                                   std::span<const double> weights);

/// A state at a time where plausible rewards want different things.
struct Parting {
  int time = 0;
  std::uint32_t state = 0;
  double loss = 0;           ///< what the best compromise loses by some plausible reward: min_a max_k (V_k - Q_k(a))
  std::uint32_t action = 0;  ///< that compromise
};
/// Question: where is there no action that every plausible reward thinks best?
/// Formula:  Q_k of each reward's own optimal continuation; a state parts when the loss exceeds `tolerance`. Rewards of
///           probability 0 are not plausible.
/// Shapes    values.rewards: k x pairs.
/// Returns   at decision time `time`, by state. Such states are to be avoided or asked about.
/// Errors    as validate(values), world::finite_horizon; kValue: time outside the horizon, tolerance < 0.
base::Result<std::vector<Parting>> partings(const world::Process& process, const decision::RewardPosterior& values,
                                            int time = 0, double tolerance = 1e-9);

}  // namespace plumbline::caution

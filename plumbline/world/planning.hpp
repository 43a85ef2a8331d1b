#pragma once
/// Exact planning in finite processes by dynamic programming: what is the best that this reward can bring, which
/// policy brings it, and what does another reward make of that policy. The linear-programming route to the same
/// values is in occupancy.hpp.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::world {

/// What planning found. `value` has states + 1 entries (the last is 0); for finite horizons it is the value at time 0.
struct Plan {
  std::vector<double> value;
  double start = 0;  ///< expected return from the initial distribution
  TabularPolicy policy;
  int iterations = 0;      ///< sweeps or policy improvements; the horizon for finite ones
  double error_bound = 0;  ///< |value - optimum| is at most this; 0 for finite horizons but for rounding
};

/// Question: what is the best total reward within the process's horizon, and by which policy?
/// Formula:  V_T = 0; Q_t(s,a) = r(s,a) + discount * sum_s' P(s'|s,a) V_{t+1}(s'); V_t = max_a Q_t.
/// Shapes:   reward: states * actions. Returns a policy of `horizon` steps; ties go to the lowest action.
/// Errors    kShape, kValue: as validate_reward; horizon < 1; discount outside (0, 1].
/// Cost      O(horizon * transitions); deterministic.
/// Source    Bellman, Dynamic Programming, 1957; Puterman, Markov Decision Processes, 1994, section 4.5.
base::Result<Plan> finite_horizon(const Process& process, std::span<const double> reward, double discount = 1);

/// The start of finite_horizon()'s plan, to the bit, without its policy: a table over the horizon costs more to write
/// than its values do to compute. Errors as finite_horizon.
base::Result<double> best_return(const Process& process, std::span<const double> reward, double discount = 1);

/// Question: what does this policy bring, exactly?
/// Formula:  backwards over the horizon as above, with the policy's mean instead of the maximum.
/// Errors    as finite_horizon and validate_policy.
base::Result<double> policy_return(const Process& process, std::span<const double> reward, const TabularPolicy& policy,
                                   double discount = 1);
/// The same from every state at time 0: states + 1 entries, the last 0.
base::Result<std::vector<double>> policy_values(const Process& process, std::span<const double> reward,
                                                const TabularPolicy& policy, double discount = 1);

/// Question: by how much may rounding move a return that finite_horizon() or policy_return() computes?
/// Formula:  E = G R (H (H + 1) g(k + A + 2) + H g(m)), with R = max |r|, H the horizon, A the actions, k the most
///           outcomes of a pair, m the states with a positive initial probability, g(n) = n u / (1 - n u), u = 2^-53,
///           and G = (1 + 2e-9)^H for rows that validate() lets pass. Each backup is a sum of products of that depth
///           over values of at most G R (H + 1), and a convex combination of errors is none larger.
/// Returns   the bound on |computed - exact| of the numbers as given, discount 1; infinity where n u reaches 1.
/// Errors    as validate_reward; horizon < 1.
/// Cost      O(transitions).
/// Source    Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1.
base::Result<double> rounding_bound(const Process& process, std::span<const double> reward);

/// Question: how often is each pair (s, a) visited within the horizon?
/// Formula:  D_0 = initial; mu(s,a) += discount^t D_t(s) pi_t(a|s); D_{t+1}(s') = sum D_t(s) pi_t(a|s) P(s'|s,a).
/// Returns   mu of states * actions; the return of any reward is its inner product with mu.
base::Result<std::vector<double>> occupancy(const Process& process, const TabularPolicy& policy, double discount = 1);

/// Question: policies that are best by one reward may tie; what is the least and the most that another reward makes of
///           them?
/// Formula:  at each (t, s) only actions with Q_t(s,a) >= max - tolerance remain; the second reward's minimum and
///           maximum over them by the same recursion, on `audited`, whose transitions may differ.
/// Shapes:   both processes have the same states, actions and horizon.
/// Returns   {worst, best} from the initial distribution of `audited`.
base::Result<std::pair<double, double>> tie_range(const Process& process, std::span<const double> reward,
                                                  const Process& audited, std::span<const double> second,
                                                  double tolerance = 1e-9);

/// Question: best discounted return without a horizon.
/// Formula:  V <- max_a (r + discount P V) until the span of the change bounds the error by `tolerance`.
/// Errors    kValue: discount outside (0, 1), tolerance <= 0.
base::Result<Plan> value_iteration(const Process& process, std::span<const double> reward, double discount,
                                   double tolerance = 1e-10);

/// The same by policy improvement; each policy is evaluated by sweeps to `tolerance`. Independent of value_iteration.
base::Result<Plan> policy_iteration(const Process& process, std::span<const double> reward, double discount,
                                    double tolerance = 1e-10);

/// Question: what does a Boltzmann-rational planner do within the horizon?
/// Formula:  Q_t = r + P V_{t+1}; V_t(s) = tau log sum_a exp(Q_t(s,a) / tau); pi_t(a|s) = exp((Q_t - V_t) / tau).
/// Errors    kValue: temperature <= 0.
/// Source    Ziebart, Bagnell, Dey, "Modeling interaction via the principle of maximum causal entropy", ICML 2010.
base::Result<Plan> soft_value_iteration(const Process& process, std::span<const double> reward, double temperature);

}  // namespace plumbline::world

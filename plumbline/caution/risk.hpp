#pragma once
/// Risk in processes whose rewards are known: rare disasters weighed by the tail of the return, by exponential utility,
/// or by transitions that are only roughly known. Exact, for small processes.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/planning.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::caution {

/// Returns with their probabilities, ascending; returns nearer than 1e-9 are one.
using ReturnDistribution = std::vector<std::pair<double, double>>;

/// Mean of the worst `alpha` share of a distribution of returns. Precondition: alpha in (0, 1].
double lower_tail_mean(const ReturnDistribution& distribution, double alpha);

/// Question: which total rewards does a policy bring, and how often?
/// Formula:  forwards over pairs of state and reward so far, merged when equal.
/// Assumes   the reward of a pair is certain (a world's random rewards are averaged in its models).
/// Errors    as policy_return; kLimit: more than `most` pairs of state and sum at one time.
/// Cost      O(horizon * pairs of state and sum * branching).
base::Result<ReturnDistribution> return_distribution(const world::Process& process, std::span<const double> reward,
                                                     const world::TabularPolicy& policy, std::size_t most = 1u << 20u);

/// A policy that also looks at the reward so far.
class SumPolicy {
 public:
  struct Node {
    std::uint32_t state;
    double sum;  ///< reward so far
    std::int32_t action;
  };
  /// The action at time t; -1 where the process cannot be with that sum.
  std::int32_t act(int t, std::uint32_t state, double sum) const;
  const std::vector<std::vector<Node>>& layers() const { return layers_; }

 private:
  friend struct SumPolicyMaker;
  std::vector<std::vector<Node>> layers_;  ///< of each time, by state and sum
};

struct TailPlan {
  double value = 0;      ///< CVaR of the return: the mean of its worst share
  double threshold = 0;  ///< the quantile that proves it
  double mean = 0;       ///< expected return of the plan
  ReturnDistribution returns;
  SumPolicy policy;
};

/// Question: which policy has the best mean return over the worst `alpha` share of episodes?
/// Formula:  max_c { c - min_pi E[(c - G)+] / alpha }, the inner minimum by dynamic programming over states with the
/// reward
///           so far, c over all returns that can occur: the best c is one of them. Ties go to the better mean.
/// Returns   deterministic policies of state, time and sum, which suffice: CVaR is convex in the distribution.
/// Errors    as world::finite_horizon; kValue: alpha outside (0, 1]; kLimit: more than `most` pairs of state and sum.
/// Cost      O(returns * pairs of state and sum * actions * branching). Deterministic.
/// Source    Bäuerle and Ott, "Markov decision processes with average-value-at-risk criteria", 2011; Chow et al. 2015.
base::Result<TailPlan> plan_tail(const world::Process& process, std::span<const double> reward, double alpha,
                                 std::size_t most = 1u << 20u);

/// Question: which policy is best by exponential utility?
/// Formula:  value = -(1/theta) log E exp(-theta G); V_t = max_a r + discount * ent(V_{t+1}; theta discount^(t+1)),
///           ent(X; c) = -(1/c) log E exp(-c X). theta > 0 shuns risk, theta < 0 seeks it.
/// Errors    as world::finite_horizon; kValue: theta 0 or not finite.
/// Source    Howard and Matheson, "Risk-sensitive Markov decision processes", Management Science 1972.
base::Result<world::Plan> plan_entropic(const world::Process& process, std::span<const double> reward, double theta,
                                        double discount = 1);

/// What is not known about transitions, pair by pair (rectangular): the next states of each row are known, their
/// probabilities lie near the process's own.
struct TransitionDoubt {
  enum class Shape {
    kInterval,  ///< each probability within `radius` of its own
    kL1,        ///< absolute changes of a row sum to at most `radius`
  };
  Shape shape = Shape::kL1;
  double radius = 0;            ///< of every pair
  std::vector<double> radii{};  ///< one a pair, instead; may be empty
};

/// The worst mean of `value` over the rows near `probability`, and that row. Preconditions: same sizes, radius >= 0,
/// probability sums to 1. Cost O(n log n). Source: Nilim and El Ghaoui 2005; Iyengar 2005.
std::pair<double, std::vector<double>> worst_row(std::span<const double> probability, std::span<const double> value,
                                                 TransitionDoubt::Shape shape, double radius);

/// Question: which policy is best against the worst transitions within the doubt?
/// Formula:  V_t = max_a r + discount * min_{p in P(s,a)} sum p V_{t+1}, for the process's horizon, or until V is
/// within
///           `tolerance` of its limit where the process has none (then discount < 1).
/// Errors    as world::finite_horizon or world::value_iteration; kValue: a radius negative, above 2 or NaN; kShape:
/// radii
///           that are not one a pair.
/// Source    Iyengar, "Robust dynamic programming", 2005, theorem 2.2.
base::Result<world::Plan> plan_robust(const world::Process& process, std::span<const double> reward,
                                      const TransitionDoubt& doubt, double discount = 1, double tolerance = 1e-10);

/// What a policy is worth against the worst transitions within the doubt; errors as plan_robust and validate_policy.
/// Assumes   an adversary that picks the worst row for each pair and time (a mixed policy meets one row a pair).
base::Result<double> robust_return(const world::Process& process, std::span<const double> reward,
                                   const world::TabularPolicy& policy, const TransitionDoubt& doubt,
                                   double discount = 1);

/// A grid with obstacles for risk planning: a step costs 1, walking into an obstacle costs `crash` and ends the
/// episode, and with probability `slip` a step goes another way. The short way to the goal leads past the obstacles.
struct ObstacleGrid {
  int rows = 0;
  int columns = 0;
  std::vector<std::uint8_t> obstacle;  ///< rows * columns
  int start = 0;
  int goal = 0;
  double slip = 0.05;
  double crash = 40;
  int horizon = 100;
};
/// rows x columns cells; obstacles at random but off the border, off start (right of the lower edge) and goal.
/// Errors kValue: too small a board, figures out of range.
base::Result<ObstacleGrid> make_obstacle_grid(std::uint64_t seed, int rows, int columns, int obstacles);
struct GridModel {
  world::Process process;
  std::vector<double> reward;
};
base::Result<GridModel> model_of(const ObstacleGrid& grid);

}  // namespace plumbline::caution

#pragma once
/// Occupancy measures: how often a policy visits each pair, as the points of a polytope. A return is linear there, so
/// decision rules over policies become linear programs.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/linear_program.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::world {

/// The polytope of a process, as the rows of a linear program without costs. Its variables are flows x_n(a) >= 0 of
/// nodes n (reached pairs of time and state, or reached states) and, with a horizon, the visits mu(s, a) of each
/// reached pair that the flows add up to.
class OccupancyPolytope {
 public:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  /// Question: which visits are possible within the process's horizon?
  /// Formula:  sum_a x_0(s,a) = initial(s); sum_a x_{t+1}(s',a) = sum_{s,a} P(s'|s,a) x_t(s,a);
  ///           mu(s,a) = sum_t discount^t x_t(s,a), t = 0 .. horizon - 1.
  /// Errors    as validate(process); kValue: horizon < 1, discount outside (0, 1]; kLimit: more than 2^21 variables.
  /// Cost      O(horizon * transitions) rows and terms; deterministic.
  static base::Result<OccupancyPolytope> finite_horizon(const Process& process, double discount = 1);

  /// The same without a horizon: sum_a mu(s',a) = initial(s') + discount * sum_{s,a} P(s'|s,a) mu(s,a).
  /// Errors    as above; discount outside (0, 1).
  /// Source    Puterman, Markov Decision Processes, 1994, section 6.9.
  static base::Result<OccupancyPolytope> discounted(const Process& process, double discount);

  const LinearProgram& flow() const { return flow_; }
  std::uint32_t states() const { return states_; }
  std::uint32_t actions() const { return actions_; }
  /// Node n's flows are the variables n * actions .. n * actions + actions - 1; its row is row n.
  std::size_t nodes() const { return nodes_.size(); }
  std::size_t pairs() const { return visit_.size(); }
  double discount() const { return discount_; }
  /// The variable that holds the visits of a pair; kNone where no policy comes.
  std::size_t visit(std::size_t pair) const { return visit_[pair]; }

  /// mu from a program's variables, one a pair; rounding below zero is cut.
  std::vector<double> visits(std::span<const double> variables) const;
  /// The policy with these flows. Where none comes by, it does as `elsewhere`.
  /// Preconditions: `variables` has at least the flow's variables; `elsewhere` fits the process.
  TabularPolicy policy(std::span<const double> variables, const TabularPolicy& elsewhere) const;
  /// Variables of this policy: a point of the polytope; a vertex when the policy is deterministic.
  /// With a horizon only; discounted ones are solved for by sweeps until they no longer change beyond rounding.
  base::Result<std::vector<double>> point(const Process& process, const TabularPolicy& policy) const;
  /// Basic variables for solve(), of the likeliest actions of a policy.
  std::vector<std::size_t> basis(const TabularPolicy& policy) const;
  /// The same of the policy that always takes action 0.
  std::vector<std::size_t> first_basis() const;

 private:
  struct Node {
    int time;
    std::uint32_t state;
    std::size_t variable;  ///< of action 0; the others follow
  };
  OccupancyPolytope(const Process& process, double discount, bool horizon)
      : states_(process.states),
        actions_(process.actions),
        steps_(horizon ? process.horizon : 1),
        horizon_(horizon),
        discount_(discount),
        visit_(process.pairs(), kNone) {}
  std::size_t add_node(int time, std::uint32_t state);

  std::uint32_t states_;
  std::uint32_t actions_;
  int steps_;
  bool horizon_;
  double discount_;
  LinearProgram flow_{LinearProgram::Sense::kMaximise};
  std::vector<Node> nodes_;
  std::vector<std::size_t> visit_;
};

/// Question: what is the best return, by the second route?
/// Formula:  max sum mu(s,a) reward(s,a) by the primal simplex method, from `basic` or from the policy of lowest
/// actions:
///           every deterministic policy is a feasible basis.
/// Returns   the solution; its value is the optimum of finite_horizon() or of value_iteration().
/// Errors    as validate_reward and solve().
base::Result<LinearSolution> best_occupancy(const OccupancyPolytope& polytope, std::span<const double> reward,
                                            std::span<const std::size_t> basic = {});

}  // namespace plumbline::world

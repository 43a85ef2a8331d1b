#pragma once
/// Steps that cannot be taken back, and how sure one has to be before taking them.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::caution {

/// The way back of each pair (s, a).
struct Reversal {
  std::vector<double> probability;  ///< the best chance to be in s again within `within` steps after the step
  std::vector<std::int32_t> steps;  ///< the fewest steps in which that can happen; 0: stays in s; -1: never
};

/// Question: can this step be undone, by somebody who tries?
/// Formula:  v_0(x) = 1[x = s], v_n(x) = 1 if x = s else max_a sum P(x'|x,a) v_{n-1}(x'); probability(s,a) =
///           sum P(s'|s,a) v_within(s'). The end of an episode leads nowhere.
/// Errors    as validate(process); kValue: within < 0; kLimit: more than 2^14 states.
/// Cost      O(states * within * transitions), less where returns settle early; deterministic.
/// Source    Moldovan and Abbeel, "Safe exploration in Markov decision processes", ICML 2012, section 3 (ergodicity);
///           Grinsztajn et al., "There is no turning back", NeurIPS 2021.
base::Result<Reversal> reversals(const world::Process& process, int within);

/// One step of an episode that was seen.
struct SeenStep {
  std::uint32_t episode = 0;
  std::uint32_t state = 0;
  std::uint32_t action = 0;
};
/// What experience says about one pair.
struct ReversalEstimate {
  std::uint32_t state = 0;
  std::uint32_t action = 0;
  std::int64_t taken = 0;
  std::int64_t undone = 0;  ///< the state came again within the window
  double low = 0;           ///< lower confidence bound of the share undone
  double high = 1;
};
/// Question: how often did one come back, by experience alone?
/// Formula:  of the first time a pair is taken in each episode, the share in which the same state comes again within
///           `window` steps of the same episode; Clopper and Pearson's interval.
/// Returns   ascending by state and action. A lower bound for somebody who tries: the behaviour seen may not have
/// tried. Assumes   steps in order, episodes one after the other and independent; steps whose window is cut by the end
/// of the
///           data count as not undone.
/// Errors    kValue: window < 1, level outside (0, 1), an episode that returns after another began.
base::Result<std::vector<ReversalEstimate>> estimate_reversals(std::span<const SeenStep> steps, int window,
                                                               double level = 0.95);

/// How sure one must be of a step: `reversible` when it can surely be taken back, `one_way` when it cannot.
struct GateOptions {
  double reversible = 0.5;
  double one_way = 0.99;
};
struct Gate {
  bool open = false;
  double required = 0;  ///< confidence
};
/// Formula:  required = one_way + reversal * (reversible - one_way); open when confidence >= required.
/// Errors    kValue: a share outside [0, 1], one_way < reversible.
base::Result<Gate> gate_step(double reversal, double confidence, const GateOptions& options = {});

/// A plan whose one-way steps were held to high confidence.
struct GatedPlan {
  world::TabularPolicy policy;      ///< of `horizon` steps
  std::vector<std::size_t> closed;  ///< pairs that the best mean wanted at time 0 .. horizon - 1 and the gate refused
  double most_refused = 0;          ///< largest advantage by the mean that was given up
};

/// Question: what is done when steps without a way back need more confidence than others?
/// Formula:  with Q_k the optimal values of each plausible reward, an action's confidence is the belief that it is at
/// least
///           as good as the most reversible action of that state; the best mean Q among actions whose gate is open, the
///           most reversible one where none is.
/// Shapes    values.rewards: k x pairs.
/// Errors    as validate(values), world::finite_horizon, reversals, gate_step.
base::Result<GatedPlan> plan_gated(const world::Process& process, const decision::RewardPosterior& values,
                                   const Reversal& back, const GateOptions& options = {});

/// A step without a sure way back that a policy takes.
struct OneWayStep {
  int time = 0;
  std::uint32_t state = 0;
  std::uint32_t action = 0;
  double visits = 0;      ///< expected number an episode
  double reversal = 0;    ///< the best chance to come back
  double confidence = 0;  ///< belief that the step is at least as good as the most reversible one
  double required = 0;    ///< by gate_step
  bool open = false;
};
struct OneWayCount {
  double one_way = 0;               ///< expected number of one-way steps an episode
  double unsure = 0;                ///< of those, without the confidence that they need
  std::vector<OneWayStep> steps{};  ///< all of them, unsure ones first, the most visited first
};

/// Question: which steps of this policy cannot be taken back, and was it sure enough of them?
/// Formula:  a step is one-way when its reversal is below `sure`; confidence and gate as plan_gated has them, with the
///           optimal values of each plausible reward from there on.
/// Shapes    values.rewards: k x pairs; policy: of the process.
/// Errors    as plan_gated and world::validate_policy; kValue: sure outside (0, 1].
/// Cost      O(k x horizon x transitions). Deterministic.
base::Result<OneWayCount> one_way_steps(const world::Process& process, const decision::RewardPosterior& values,
                                        const Reversal& back, const world::TabularPolicy& policy, double sure = 0.5,
                                        const GateOptions& options = {});

}  // namespace plumbline::caution

#pragma once
/// Does being interrupted teach a learner to avoid interruptions? Off-policy Q-learning does not learn from it; SARSA
/// does, unless it stores the action that it would have taken.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reward {

/// In the states marked, with this probability, the action is replaced.
struct Interruption {
  std::vector<std::uint8_t> where;  ///< one a state, 0 or 1
  std::uint32_t action = 0;
  double probability = 0;
};

/// The smallest world in which interruptions can mislead. The short way (states 0, 1, end) pays 10 at its second step,
/// the long way (0, 2, 3, end) at its third; every other step costs 1. Action 0 goes on; action 1 takes the long way at
/// the fork, state 0, and elsewhere goes back to it. In state 1 people send the machine back. Horizon 50.
struct InterruptedFork {
  world::Process process;
  std::vector<double> reward;
  Interruption at(double probability) const { return {{0, 1, 0, 0}, 1, probability}; }
};
base::Result<InterruptedFork> interrupted_fork();

enum class InterruptedLearner {
  kQ,            ///< off-policy
  kStoredSarsa,  ///< looks ahead with the action it would have taken
  kNaiveSarsa,   ///< looks ahead with the action that was taken
};
std::string_view interrupted_learner_name(InterruptedLearner learner);

struct InterruptedOptions {
  double discount = 0.95;
  std::int64_t steps = 200000;
  double exploration = 0.1;  ///< share of random actions while learning
  double rate_power = 0.7;   ///< learning rate (1 + visits)^-rate_power
  int episode = 100;         ///< an episode starts anew after so many steps
};

struct InterruptedResult {
  std::vector<double> q;             ///< one a pair
  std::vector<std::int32_t> greedy;  ///< one a state, ties to the lowest
  double value = 0;                  ///< discounted, from the start, of the greedy policy when nobody interrupts
  double optimum = 0;                ///< the best such value
  bool optimal = false;              ///< value >= optimum - 1e-6 of its size
};

/// Question: what does a learner that is interrupted believe, and is that still best without interruptions?
/// Formula:  Q(s,a) += rate (r + discount look(s') - Q(s,a)), a the action taken; look = max Q for kQ, Q of the
///           intended next action for kStoredSarsa, Q of the next action after interruption for kNaiveSarsa. Intended
///           actions are greedy but for the exploration.
/// Errors    as world::validate_reward; kShape: `where` of another size; kValue: action out of range, probability or
///           exploration outside [0, 1], discount outside (0, 1), rate_power outside (0.5, 1], steps or episode < 1.
/// Cost      O(steps x actions).
/// Source    Orseau and Armstrong, "Safely interruptible agents", UAI 2016, section 4.
base::Result<InterruptedResult> learn_interrupted(const world::Process& process, std::span<const double> reward,
                                                  const Interruption& interruption, InterruptedLearner learner,
                                                  const InterruptedOptions& options, base::Rng& rng);

/// Question: where does that learning end?
/// Formula:  the same update in expectation, all pairs at once, until the change is below 1e-12; for the SARSAs the
///           policy is the greedy one of the present values with the same exploration, and where it changes for ever
///           the last values are returned after 100,000 sweeps.
base::Result<InterruptedResult> interrupted_limit(const world::Process& process, std::span<const double> reward,
                                                  const Interruption& interruption, InterruptedLearner learner,
                                                  const InterruptedOptions& options);

}  // namespace plumbline::reward

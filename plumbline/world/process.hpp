#pragma once
/// A finite decision process without rewards, as exact planners read it, and policies over it as tables. Rewards are
/// vectors beside the process, one number a state-action pair, so that the observed and the hidden side of a world
/// share one process and cannot be taken for each other.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::world {

/// States 0..states-1, actions 0..actions-1, all actions in every state. Pair (s, a) has index s * actions + a. Its
/// transitions are next[first[pair]] .. next[first[pair + 1] - 1] with their probabilities; the value `states` (end())
/// as next state means that the episode ended. Value arrays have states + 1 entries, the last one 0.
struct Process {
  std::uint32_t states = 0;
  std::uint32_t actions = 0;
  std::vector<std::uint64_t> first;  ///< states * actions + 1
  std::vector<std::uint32_t> next;
  std::vector<double> probability;
  std::vector<double> initial;  ///< of the first state; sums to 1
  int horizon = 0;              ///< steps after which an episode is cut; 0: it is not

  std::uint32_t end() const { return states; }
  std::size_t pairs() const { return std::size_t{states} * actions; }
  std::size_t pair(std::uint32_t state, std::uint32_t action) const { return std::size_t{state} * actions + action; }
};

/// Errors kShape: array sizes that do not agree. kValue, naming state and action: a probability outside [0, 1] or NaN,
/// a row that does not sum to 1 within 1e-9, a next state out of range; an initial distribution likewise.
base::Status validate(const Process& process);

/// Errors kShape: not one entry a pair. kValue: NaN or infinite, naming state and action.
base::Status validate_reward(const Process& process, std::span<const double> reward);

/// A Markov policy. steps = 1: stationary; steps = T: row t serves the decision at time t, t = 0 .. T-1.
struct TabularPolicy {
  std::uint32_t states = 0;
  std::uint32_t actions = 0;
  int steps = 1;
  std::vector<double> probability;  ///< [t][s][a], each (t, s) sums to 1

  std::span<const double> at(int t, std::uint32_t state) const {
    const std::size_t row = steps == 1 ? state : std::size_t(t) * states + state;
    return std::span<const double>(probability).subspan(row * actions, actions);
  }
};

/// The stationary policy that gives every action the same probability.
TabularPolicy uniform_policy(const Process& process);
/// The stationary policy that takes action[s] in state s. Errors kShape, kValue: an action out of range.
base::Result<TabularPolicy> deterministic_policy(const Process& process, std::span<const std::int32_t> action);
/// Errors kShape: another state or action set than the process, or a number of steps that is neither 1 nor the
/// horizon. kValue: a row that is no distribution, naming time and state.
base::Status validate_policy(const Process& process, const TabularPolicy& policy);

/// Writes a process pair by pair: add() the transitions of (s, a) in any order of states, then finish().
class ProcessBuilder {
 public:
  ProcessBuilder(std::uint32_t states, std::uint32_t actions, int horizon);
  /// Adds probability mass to (state, action) -> next; mass to the same next state adds up. next == states: the end.
  void add(std::uint32_t state, std::uint32_t action, std::uint32_t next, double probability);
  void start(std::uint32_t state, double probability);
  /// Errors as validate().
  base::Result<Process> finish() &&;

 private:
  struct Entry {
    std::uint64_t pair;
    std::uint32_t next;
    double probability;
  };
  Process process_;
  std::vector<Entry> entries_;
};

/// sum_s' P(s'|pair) value(s'), in the order of the row. `value` has states + 1 entries.
inline double expected_next(const Process& process, std::size_t pair, std::span<const double> value) {
  double sum = 0;
  for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
    sum += process.probability[i] * value[process.next[i]];
  }
  return sum;
}

}  // namespace plumbline::world

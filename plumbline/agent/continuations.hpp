#pragma once
/// What the rest of an episode is worth at best, by each of several rewards.

#include <cstdint>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::agent {

/// Question: what is each action worth at each step and state, if from then on this reward were pursued?
/// Formula:  Q_k,t(s,a) = r_k(s,a) + sum_s' P(s'|s,a) max_b Q_k,t+1(s',b), 0 after the horizon.
/// Shapes    values.rewards: k x pairs.
/// Errors    as validate(values); kShape; kValue: no horizon; kLimit: k (horizon + 1) states above 2^24.
/// Cost      O(k horizon transitions), and k (horizon + 1) states numbers.
class Continuations {
 public:
  static base::Result<Continuations> make(const world::Process& process, const decision::RewardPosterior& values);
  /// Q_k,t of a pair.
  double worth(std::size_t k, std::size_t t, std::size_t pair) const;

 private:
  Continuations(const world::Process& process, const decision::RewardPosterior& values)
      : process_(&process), rewards_(&values.rewards) {}
  double* at(std::size_t k, std::size_t t) { return value_.data() + (k * (horizon_ + 1) + t) * width_; }
  const double* at(std::size_t k, std::size_t t) const { return value_.data() + (k * (horizon_ + 1) + t) * width_; }

  const world::Process* process_;  // both outlive this
  const MatrixD* rewards_;
  std::size_t horizon_ = 0;
  std::size_t width_ = 0;
  std::vector<double> value_;  ///< [k][t][s], the end last
};

}  // namespace plumbline::agent

#pragma once
/// Beliefs about values: weighted reward functions, not one reward.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::decision {

/// k candidate rewards over the same m things (options, or state-action pairs of one process), with probabilities. The
/// spread of a posterior is model uncertainty; readings that no evidence can decide between belong into
/// Uncertainty::specification instead.
struct RewardPosterior {
  MatrixD rewards;                  ///< k x m
  std::vector<double> probability;  ///< k, sums to 1
  std::vector<std::string> names;   ///< k, or empty
  std::string source;               ///< "the literal reward", "inverse reward design (beta 1, 400 samples)", …

  std::ptrdiff_t size() const { return rewards.rows(); }
};

/// Errors kShape: sizes that do not agree, or no reward at all. kValue: a reward that is not finite, probabilities that
/// are no distribution.
base::Status validate(const RewardPosterior& posterior);

/// The reward as it was given, believed without doubt.
RewardPosterior literal(const std::vector<double>& reward);

/// The mean reward, one entry a thing.
std::vector<double> mean_reward(const RewardPosterior& posterior);

}  // namespace plumbline::decision

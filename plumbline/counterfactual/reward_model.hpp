#pragma once
/// A model of the reward of every action in every row, fitted on other rows than it predicts.

#include <cstddef>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual {

/// Context as standardised numbers: numeric columns (missing = their mean), an indicator for each level that at least 5
/// usable rows have, the position of a slate as such a level.
struct ContextFeatures {
  MatrixD values;            ///< n x d
  std::size_t left_out = 0;  ///< beyond the first 128
};
ContextFeatures context_features(const data::DecisionLog& log, const OpeRows& rows);

struct RewardModelOptions {
  int folds = 3;
  double ridge = 0;  ///< 0 = by generalised cross-validation on the fitting folds, at both levels
  base::CancelToken cancel{};
};

/// Folds of the usable rows, by unit: sizes differ by at most one unit.
base::Result<std::vector<int>> folds_of(const OpeRows& rows, int folds, const base::Rng& rng);

/// Question  what would each action have earned in each row?
/// Formula   q(x, a) = b + x g + b_a + x g_a: ridge regression of the reward on the context over all other folds, then
///           for each action a ridge regression of what is left (intercept shrunk too), so that an action with few rows
///           keeps the common part. The ridge of the second level is one for all actions; it may be infinite.
/// Shapes    features n x d, fold n; out n x K.
/// Errors    kShape: sizes differ. kValue: folds < 2, ridge < 0, fewer units than folds. kCancelled.
/// Assumes   nothing for the estimators that correct it (dr, sndr, switch, dr_shrunk, mrdr); a right model for
/// `direct`. Cost      O(folds (n d^2 + K d^3)). Same seed, same bits.
base::Result<MatrixD> cross_fitted_rewards(const OpeRows& rows, const MatrixD& features, const std::vector<int>& fold,
                                           const RewardModelOptions& options);

/// The same with coefficients that minimise the variance of the doubly robust terms.
/// Formula   q = b + x g + b_a; the term of a row is w r + sum_a pi q(x, a) - w q(x, a_i) = u + v c, linear in the
///           coefficients c; c minimises the sum of squared deviations of u + v c from their mean over the other folds,
///           plus ridge |c|^2. For a linear q this is the least variance itself, not a surrogate of it.
/// Source    Farajtabar, Chow, Ghavamzadeh 2018.
base::Result<MatrixD> least_variance_rewards(const OpeRows& rows, const MatrixD& features, const std::vector<int>& fold,
                                             const RewardModelOptions& options);

}  // namespace plumbline::counterfactual

#pragma once
/// Boosted trees as an outcome or propensity model, by XGBoost.

#include <cstdint>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::effects {

struct TreeOptions {
  int most_rounds = 200;
  int patience = 10;      ///< rounds without a smaller loss on the rows held out, before it stops
  double held_out = 0.2;  ///< share of the rows, every k-th of a shuffled order
  int depth = 3;
  double rate = 0.1;
  double child_weight = 5;  ///< least sum of second derivatives in a leaf
  std::uint64_t seed = 0;
  base::CancelToken cancel{};
};

/// Question  E[y | x] at the rows of `at`, learned from (x, y)?
/// What      gradient-boosted trees on histograms, one thread; the number of trees is the one with the least loss on
///           held-out rows. `binary`: logistic loss, the answer is a probability.
/// Shapes    x n x d, y n, at m x d. Values are rounded to float.
/// Errors    kShape: n < 10, no column, sizes differ. kValue: binary with y other than 0 and 1. kInternal: what XGBoost
///           says. kCancelled.
/// Cost      O(trees n d). Same seed, same bits; may be called from several threads.
/// Source    Chen, Guestrin, XGBoost: a scalable tree boosting system, KDD 2016.
base::Result<VectorD> boosted_predictions(const MatrixD& x, const VectorD& y, const MatrixD& at, bool binary,
                                          const TreeOptions& options);

}  // namespace plumbline::counterfactual::effects

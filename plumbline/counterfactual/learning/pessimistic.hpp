#pragma once
/// A policy learned from a log at once, by what can be said for it and not by what can be hoped.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/learning/learned_policy.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::counterfactual::learning {

/// The rows that a softmax policy is fitted on.
struct SoftmaxRows {
  std::vector<double> x;           ///< n x d
  std::size_t features = 0;        ///< d
  std::size_t actions = 0;         ///< K
  std::vector<std::size_t> start;  ///< n + 1: available actions of row i
  std::vector<int> available;      ///< codes
  std::vector<std::size_t> taken;  ///< place of the logged action among the available ones
  std::vector<double> reward;
  std::vector<double> propensity;
  std::size_t size() const { return reward.size(); }
};

/// Question  how good can this policy be said to be, from these rows?
/// Formula   w = softmax(x' theta)_a / propensity; V = sum w r / sum w (self-normalised); its error
///           E = sqrt(sum w^2 (r - V)^2) / sum w; effective size N = (sum w)^2 / sum w^2; the objective, in the form of
///           an empirical Bernstein bound, V - penalty E - 7/6 penalty^2 range / N - ridge |theta|^2, with its gradient
///           in theta. Without the term in N a handful of lucky rows, all of one reward, would have no error at all.
/// Shapes    theta K x d, row after row; gradient the same (may be null). range: of the rewards.
/// Source    Swaminathan and Joachims 2015a (variance penalty), 2015b (self-normalisation); Maurer and Pontil 2009.
double pessimistic_objective(const SoftmaxRows& rows, const std::vector<double>& theta, double penalty, double range,
                             double ridge, std::vector<double>* gradient);

struct PessimisticOptions {
  double penalty = 1.645;  ///< errors subtracted: 1.645 is a lower bound at 0.95; 0 hopes
  double ridge = 1e-4;
  double judge_share = 1.0 / 3;  ///< of the units, kept for judging
  int iterations = 200;
  base::CancelToken cancel{};
};

struct PessimisticFit {
  LearnedPolicy policy;    ///< weights
  std::size_t fitted = 0;  ///< rows
  std::size_t judged = 0;
  double objective = 0;  ///< on the rows fitted: optimistic, for comparison alone
  int iterations = 0;
  std::vector<PolicyValue> values;  ///< on the judging rows: snips, dr
  std::vector<PolicyValue> gains;   ///< over the logged policy, paired
  Exclusions excluded;
  double logged = 0;  ///< mean reward of the judging rows
};

/// Question  which linear softmax policy does the log support best, and what is it worth on rows that did not choose
/// it? Formula   maximise pessimistic_objective over two thirds of the units from two starts (uniform; ridge regression
/// of the
///           reward, sharpened), by L-BFGS; then dr and snips on the last third. The split is by unit, keyed.
/// Returns   PessimisticFit. The policy saved is the one that was judged.
/// Errors    as usable_rows; kValue: options out of range, fewer than 60 usable units. kCancelled.
/// Assumes   as Evaluation. The objective is not convex: another start may end elsewhere, which costs value, not
/// honesty. Cost      O(iterations n K d). Same seed, same bits.
base::Result<PessimisticFit> learn_pessimistic(const data::DecisionLog& log, const PessimisticOptions& options,
                                               const ValueOptions& judging, std::uint64_t seed);

}  // namespace plumbline::counterfactual::learning

#pragma once
/// A learner that may only spend what it has earned over a baseline.

#include <cstddef>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::counterfactual::learning {

struct ConservativeOptions {
  double keep = 0.9;         ///< share of the baseline's value that is kept at all times, in (0, 1)
  double confidence = 0.95;  ///< with which it is
  double most = 0.8;         ///< the learner's largest share of decisions, in [1 - keep, 1)
};

/// Question  with which probability m may the learner decide the next row instead of the baseline, so that at every
///           time the value earned is at least `keep` times what the baseline would have earned?
/// Formula   p = m learner + (1 - m) baseline; w = baseline(a) / p(a); z = r - keep w r has the conditional mean
///           value(p) - keep value(baseline), whatever the contexts, the learner and the model. With
///           S the sum of those means, L its lower bound: m = min(most, 1 - keep + max(0, L)), since the next row costs
///           at most m - (1 - keep).
///           L = sum z - min_k c (log(k^2 pi^2 / (6 (1 - confidence))) + psi(2^-k) V / c^2) 2^k, psi(l) = -log(1 - l) -
///           l, V = sum (z - m_i)^2 with m_i the mean of the earlier z cut to [0, 1/2], c the largest fall of z - m_i.
/// Units     rewards in [0, 1]: a range that is declared is mapped there first, so "value" is above its lower end.
/// Returns   S >= 0 at all times with probability at least `confidence` over the draws of actions and rewards.
/// Errors    kValue: options outside their ranges.
/// Assumes   rewards in [0, 1]; the action drawn from p. No assumption on contexts, noise or the form of the reward.
/// Cost      O(1) a row. Deterministic.
/// Source    the constraint: Wu, Shariff, Lattimore, Szepesvari 2016; Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy
///           2017, who keep it by confidence sets of a linear model; the bound: Fan, Grama, Liu 2015; Howard, Ramdas,
///           McAuliffe, Sekhon 2021.
class ConservativeBudget {
 public:
  static base::Result<ConservativeBudget> make(const ConservativeOptions& options);
  /// m for the next row.
  double share() const;
  /// The row was drawn with share(): its reward and w.
  void add(double reward, double baseline_weight);
  /// sum z, an unbiased estimate of S.
  double excess() const { return sum_; }
  /// L.
  double lower() const;
  const ConservativeOptions& options() const { return options_; }

  std::vector<double> state() const { return {count_, sum_, squares_}; }
  /// False: of another size, or impossible.
  bool restore(const std::vector<double>& state);

 private:
  ConservativeOptions options_;
  double fall_ = 0;  // c
  double count_ = 0;
  double sum_ = 0;
  double squares_ = 0;  // V
};

}  // namespace plumbline::counterfactual::learning

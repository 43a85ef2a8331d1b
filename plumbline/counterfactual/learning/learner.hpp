#pragma once
/// Learners that decide by known probabilities, take in what happened, and can be put down and taken up again.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/learning/ridge.hpp"

namespace plumbline::counterfactual::learning {

enum class Algorithm { kEpsilonGreedy, kSoftmax, kLinUcb, kThompson, kSquareCb, kBagging };
/// "epsilon_greedy", "softmax", "linucb", "thompson", "squarecb", "bagging".
std::string_view algorithm_name(Algorithm algorithm);
std::span<const std::string_view> algorithm_names();
/// Errors kValue: none of the names, with the nearest.
base::Result<Algorithm> parse_algorithm(std::string_view name);

struct LearnerOptions {
  Algorithm algorithm = Algorithm::kSquareCb;
  double epsilon = 0;        ///< share of uniform draws, in all algorithms
  double temperature = 0.1;  ///< of softmax, in units of the reward
  double width = 0.5;        ///< linucb: deviations added to the mean. thompson: deviation of the reward's noise
  double gamma = 10;         ///< squarecb: gamma sqrt(updates)
  double ridge = 1;
  std::size_t bags = 10;
  std::uint64_t seed = 0;  ///< of the weights of bagging
};

/// Question  which action, with which probability, given what has been seen?
/// Formula   score(a) = x' theta_a by ridge regression of the reward of action a on x (ridge.hpp); then
///           epsilon_greedy: the best score. softmax: exp(score / temperature). squarecb: inverse_gap.
///           linucb: the best of score + width sqrt(x' A_a^-1 x). thompson: the probability that a draw from
///           N(score, width^2 x' A_a^-1 x), independent between actions, is the largest.
///           bagging: the share of `bags` regressions whose best score it is; a row enters each with a weight from
///           Poisson(1), keyed by seed and row. All: (1 - epsilon) p + epsilon / available.
///           The probabilities are computed first and the action is drawn from them; so those logged are those used,
///           whatever the rule.
/// Shapes    x of `features` numbers, x_0 = 1 by custom. Errors kValue: options out of range, with the name.
///           kLimit: actions x features^2 x bags above 5e7.
/// Cost      probabilities O(K d) (linucb, thompson O(K d^2)); update O(d^2), bagging times `bags`.
///           Deterministic: same seed and rows, same bits.
/// Source    Sutton and Barto 2018; Li, Chu, Langford, Schapire 2010 (linucb); Agrawal and Goyal 2013 (thompson);
/// Foster
///           and Rakhlin 2020 (squarecb); Agarwal et al. 2014, Bietti, Agarwal, Langford 2021 (bagging).
class Learner {
 public:
  static base::Result<Learner> make(std::size_t actions, std::size_t features, const LearnerOptions& options);

  /// Of the available actions, in their order. Thread-safe.
  void probabilities(std::span<const double> x, std::span<const int> available, std::span<double> out) const;
  void update(std::span<const double> x, int action, double reward);

  const LearnerOptions& options() const { return options_; }
  std::size_t actions() const { return models_.front().actions(); }
  std::size_t features() const { return models_.front().features(); }
  std::uint64_t updates() const { return updates_; }
  const ActionRidge& model(std::size_t bag = 0) const { return models_[bag]; }

  /// Everything that the next decision depends on besides the options: one vector a model.
  std::vector<std::vector<double>> state() const;
  /// Errors kParse: of another size, or not finite.
  base::Status restore(std::uint64_t updates, const std::vector<std::vector<double>>& state);

 private:
  Learner() = default;
  LearnerOptions options_;
  std::uint64_t updates_ = 0;
  std::vector<ActionRidge> models_;  // one, or one a bag
};

}  // namespace plumbline::counterfactual::learning

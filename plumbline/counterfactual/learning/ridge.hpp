#pragma once
/// Ridge regressions of the reward of each action on the context, ready for the next row at any time.

#include <cstddef>
#include <span>
#include <vector>

namespace plumbline::counterfactual::learning {

/// One regression an action: coefficients theta = A^-1 sum w y x with A = ridge I + sum w x x'. The inverse is kept and
/// updated (Sherman and Morrison 1950), so that a row costs O(d^2).
class ActionRidge {
 public:
  ActionRidge() = default;
  ActionRidge(std::size_t actions, std::size_t features, double ridge);

  std::size_t actions() const { return actions_; }
  std::size_t features() const { return features_; }
  /// x' theta.
  double mean(std::size_t action, std::span<const double> x) const;
  /// x' A^-1 x: the variance of the mean in units of the noise's, with a normal prior of variance 1 / ridge.
  double variance(std::size_t action, std::span<const double> x) const;
  /// Takes in a row. Precondition: weight > 0, x of `features` finite numbers.
  void update(std::size_t action, std::span<const double> x, double reward, double weight = 1);

  std::span<const double> coefficients(std::size_t action) const;
  /// A^-1, row after row.
  std::span<const double> inverse(std::size_t action) const;
  /// As numbers, for a file; the inverse by its lower triangle.
  std::vector<double> state() const;
  /// The inverse of state(). False: of another size, or not finite.
  bool restore(std::span<const double> state);

 private:
  std::size_t actions_ = 0;
  std::size_t features_ = 0;
  std::vector<double> theta_;
  std::vector<double> inverse_;
};

}  // namespace plumbline::counterfactual::learning

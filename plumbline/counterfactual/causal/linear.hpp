#pragma once
/// Linear structural models with normal noise: seeing, doing and imagining in closed form.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::causal {

/// variable = intercept + sum weight x parent + noise, noise ~ N(0, deviation^2), independent of all other noise.
struct Equation {
  std::string name;
  double intercept = 0;
  std::vector<std::pair<int, double>> terms;  ///< parent, weight
  double deviation = 0;
};

/// A variable at a value.
struct Setting {
  int variable = 0;
  double value = 0;
};
using Settings = std::vector<Setting>;

/// A normal distribution over some variables, in the order asked for.
struct Normal {
  VectorD mean;
  MatrixD covariance;
  double deviation(Eigen::Index k) const;
};

class LinearModel {
 public:
  /// Errors kValue: no equation, a name empty or used twice, a parent out of range or twice, a cycle (named), a number
  /// that is not finite, a deviation below zero.
  static base::Result<LinearModel> make(std::vector<Equation> equations);

  std::size_t size() const { return equations_.size(); }
  const Equation& equation(int v) const { return equations_[static_cast<std::size_t>(v)]; }
  /// Errors kValue: no such variable; the hint is the nearest name.
  base::Result<int> index(std::string_view name) const;
  /// "x=1.5" each. Errors kValue: no such variable, no number, a variable given twice.
  base::Result<Settings> settings(const std::vector<std::string>& texts) const;

  /// Question  how are the targets distributed after `set`, given that `seen` is seen then?
  /// Formula   x = (I - B)^-1 (a + u), rows of set variables replaced; conditioning of a joint normal.
  /// Errors    kValue: no target; evidence that the model fixes or ties together (its covariance is singular): a
  /// density has
  ///           no ratio there.
  base::Result<Normal> query(const std::vector<int>& targets, const Settings& seen, const Settings& set) const;

  /// Question  where `seen` was seen, how would the targets have been distributed had `set` been made?
  /// Formula   abduction of u from `seen`, action, prediction; all linear, so the pair of worlds is one joint normal.
  /// Errors    as query.
  /// Source    Pearl, Causality, 2009, sec. 7.1; Balke, Pearl, Counterfactuals and policy analysis in structural
  /// models,
  ///           UAI 1995.
  base::Result<Normal> imagine(const std::vector<int>& targets, const Settings& seen, const Settings& set) const;

 private:
  struct World {
    VectorD offset;  ///< x = offset + loads u, u standard normal
    MatrixD loads;
  };
  World solve(const Settings& set) const;
  base::Result<Normal> condition(const std::vector<int>& targets, const World& of_targets, const Settings& seen,
                                 const World& of_seen) const;

  std::vector<Equation> equations_;
  std::vector<int> order_;
};

/// Question  which model does this text write down?
/// Form      an equation a line: `y = 2 + 0.5*x - z + noise(0.3)`: numbers, variables with or without a weight, and the
///           noise with its deviation, joined by + and - between blanks; # begins a comment. A variable without an
///           equation is an error.
/// Errors    kParse with file and line; as LinearModel::make; kLimit: larger than 16 MiB.
base::Result<LinearModel> parse_linear(std::string_view text, const std::string& name);
base::Result<LinearModel> read_linear(const std::string& path);

}  // namespace plumbline::counterfactual::causal

#pragma once
/// The four kinds of uncertainty, kept apart. Three are measured numbers, each with its estimator and unit; the fourth
/// (specification) is a set of alternative readings with the actions that they recommend and is never one number.

#include <optional>
#include <string>
#include <vector>

namespace plumbline::decision {

/// One measured kind: `value` in `unit` by the named estimator, with an interval where it is sampled.
struct MeasuredUncertainty {
  double value = 0;
  std::string unit;       ///< "nat", "p-value", "variance of the logit", ...
  std::string estimator;  ///< "ensemble mutual information", "conformal p-value of knn distance", ...
  std::optional<double> low;
  std::optional<double> high;
};

/// One reading of what was asked for, and what it would have us do.
struct Reading {
  std::string name;
  std::string action;
  double weight =
      0;  ///< declared plausibility; 0 = none declared. Not a probability that may be averaged over silently
};

/// An absent part was not measured; it is not zero.
struct Uncertainty {
  std::optional<MeasuredUncertainty> aleatoric;
  std::optional<MeasuredUncertainty> model;
  std::optional<MeasuredUncertainty> distributional;
  std::vector<Reading> specification;

  /// True when two readings recommend different actions.
  bool readings_disagree() const;
};

}  // namespace plumbline::decision

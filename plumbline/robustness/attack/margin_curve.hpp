#pragma once
/// Accuracy against epsilon: what attacks leave standing (an upper bound) and what is proved (a lower bound), from one
/// radius an example, so that both can be drawn in one picture.

#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::robustness {

enum class CurveSide {
  kAttacked,   ///< radius: the smallest perturbation found; infinity where none was. Right at epsilon: radius > epsilon
  kCertified,  ///< radius: proved to hold up to here. Right at epsilon: radius >= epsilon
};

/// One line: a radius for every example, in the norm and units of the threat. An example that is wrong as it stands has
/// radius 0 on the attacked side and below 0 on the certified one.
struct RadiusSeries {
  std::string name;
  CurveSide side = CurveSide::kAttacked;
  std::vector<double> radius;
};

struct CurvePoint {
  std::string series;
  double epsilon = 0;
  stats::Estimate accuracy;  ///< share of examples that are right at epsilon
};

/// Question: at each epsilon, which share of the examples is still right?
/// Formula:  mean over examples of [radius > epsilon] (attacked) or [radius >= epsilon] (certified).
/// Shapes    radius n; units n or empty; epsilons any number, each at least 0.
/// Returns   one point an epsilon, in the order given; bounds over examples as stats::proportion().
/// Errors    kShape: no example; sizes. kValue: an epsilon below 0, a radius that is NaN.
base::Result<std::vector<CurvePoint>> accuracy_curve(const RadiusSeries& series, std::span<const double> epsilons,
                                                     std::span<const int> units = {});

/// Examples at which the proved radius exceeds the perturbation found, which cannot be: one of the two is wrong.
/// Errors    kShape: sizes.
base::Result<std::vector<std::size_t>> crossings(std::span<const double> attacked, std::span<const double> certified);

}  // namespace plumbline::robustness

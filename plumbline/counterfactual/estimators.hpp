#pragma once
/// The terms of each estimator. All have one form, mean(base) + sum(num) / sum(den) over rows.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual {

enum class Estimator { kIps, kSnips, kClipped, kShrunk, kDirect, kDr, kSndr, kSwitch, kDrShrunk, kMrdr, kAuto };
/// "ips", "snips", "clipped", "shrunk", "direct", "dr", "sndr", "switch", "dr_shrunk", "mrdr", "auto".
std::string_view estimator_name(Estimator estimator);
/// Errors kValue: none of the names, with the nearest.
base::Result<Estimator> parse_estimator(std::string_view name);
std::span<const std::string_view> estimator_names();
/// Needs a model of the reward.
bool needs_model(Estimator estimator);

/// Where weights are cut or shrunk.
struct Tuning {
  double clip = 0;    ///< tau of clipped and switch; 0 = sqrt(n)
  double lambda = 0;  ///< of shrunk and dr_shrunk; 0 = n, so that weights of sqrt(n) are halved
};

struct Terms {
  std::vector<double> base;
  std::vector<double> num;  ///< empty where the denominator is the number of rows: then it is part of base
  std::vector<double> den;
};

/// Question  what does each row add to the estimate?
/// Formula   as in docs/developer/counterfactual.md; q n x K from cross_fitted_rewards (mrdr: least_variance_rewards).
/// Shapes    out n. Errors kShape: q of another size where a model is needed. kValue: negative tuning; `auto`, which is
/// no
///           single estimator. Cost O(n K). Deterministic.
base::Result<Terms> estimator_terms(Estimator estimator, const OpeRows& rows, const MatrixD& q, const Tuning& tuning);

/// The figure of some terms. Precondition: not empty. NaN where the denominator is 0.
double figure(const Terms& terms);

/// Shrinkage chosen among candidates by intervals that overlap.
struct Choice {
  std::vector<double> lambda;              ///< of each candidate, from unbiased (infinity) to direct (0)
  std::vector<std::vector<double>> terms;  ///< of each candidate, n
  std::vector<double> error;               ///< standard error of each, made non-increasing
  /// The candidate with the smallest error such that its interval and those of all before it have a point in common;
  /// intervals are +- 2 errors around `values`.
  std::size_t choose(std::span<const double> values) const;
};
/// Formula   dr_shrunk with lambda = infinity, then (largest weight)^2 4^-j, then 0.
/// Errors    as estimator_terms. Cost O(10 n K).
/// Source    Su, Srinath, Krishnamurthy 2020 (SLOPE); Lepski 1991.
base::Result<Choice> shrinkage_choice(const OpeRows& rows, const MatrixD& q);

}  // namespace plumbline::counterfactual

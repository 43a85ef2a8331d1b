#pragma once
/// The effect of a binary treatment where everything that moved both it and the outcome was measured: estimators by
/// regression, matching, weighting, and both at once.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/effects/study.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::effects {

/// Whose effect: E[Y(1) - Y(0)] over …
enum class Estimand {
  kAte,  ///< all rows
  kAtt,  ///< the treated
  kAto,  ///< rows weighted by e (1 - e): those who might have gone either way (Li, Morgan, Zaslavsky 2018)
};
/// "ATE", "ATT", "ATO".
std::string_view estimand_name(Estimand estimand);
/// Either case. Errors kValue.
base::Result<Estimand> parse_estimand(std::string_view name);

enum class Method {
  kDifference,       ///< of means: what an experiment would report
  kOls,              ///< one least squares fit with the treatment as a column: one effect for all
  kRegression,       ///< a fit in each arm, averaged over the estimand's rows
  kMatch,            ///< nearest neighbours by Mahalanobis distance, with replacement, bias corrected
  kMatchPropensity,  ///< the same by log odds of treatment
  kIpw,              ///< weights from a logistic propensity, normalised in each arm
  kOverlap,          ///< overlap weights; the estimand is ATO
  kEntropy,          ///< weights that balance the means of the covariates exactly, nearest to equal ones
  kAipw,             ///< doubly robust, cross-fitted
  kTmle,             ///< targeted: the outcome model moved until the doubly robust equation holds, cross-fitted
};
std::string_view method_name(Method method);
base::Result<Method> parse_method(std::string_view name);
/// In the order of the documentation.
std::span<const Method> all_methods();

enum class Learner { kLinear, kTrees };
/// "linear", "trees".
std::string_view learner_name(Learner learner);
base::Result<Learner> parse_learner(std::string_view name);

struct EffectOptions {
  Estimand estimand = Estimand::kAte;
  Learner learner = Learner::kLinear;  ///< of aipw and tmle
  int folds = 5;                       ///< of aipw and tmle, by cluster
  double floor = 0.01;                 ///< propensities of aipw and tmle are moved into [floor, 1 - floor]
  std::size_t matches = 1;             ///< neighbours of a row
  base::CancelToken cancel{};
};

/// One estimator's answer. Where the outcome is cannot say, the value is NaN and there are no bounds.
struct Effect {
  Method method = Method::kAipw;
  Estimand estimand = Estimand::kAte;
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;  ///< of warns and cannot say
  stats::Estimate estimate;
  double standard_error = 0;
  VectorD weights;        ///< n, each arm sums to 1; empty where the method has none
  VectorD propensity;     ///< n; empty where the method has none
  VectorD scores;         ///< n: of aipw with ATE, whose means over groups are the groups' effects; else empty
  std::size_t moved = 0;  ///< propensities outside [floor, 1 - floor]
};

/// Question  what does treatment do to the outcome, given that the covariates hold all that moved both?
/// Formula   by method; variances from influence functions (of the fitted propensity too), HC2 in regressions, Abadie
///           and Imbens 2006 in matching; over clusters where there are some. Bounds by Student's t with n - d - 2 or
///           clusters - 1 degrees of freedom.
/// Outcome   judge_arms and judge_overlap; entropy: means that no weights reach; match: clusters, no covariates; ols,
///           regression: none beyond the arms.
/// Errors    kValue: treatment that is not binary and not of one level; matches below 1, folds below 2, floor outside
///           (0, 0.5); an estimand that the method does not have (overlap has ATO alone, the others ATE and ATT).
///           kLimit: matching of more than 4e9 pairs times columns. kCancelled.
/// Assumes   no hidden common cause given the covariates; every kind of row could have been treated and not; rows
///           (clusters) independent, and nobody's treatment acts on another.
/// Cost      O(n d^2); matching O(n1 n0 d); trees see boosted.hpp. Same seed, same bits for any threads.
/// Source    Lin 2013 (regression); Abadie, Imbens 2006, 2011 (matching); Lunceford, Davidian 2004 (weights);
///           Hainmueller 2012, Zhao, Percival 2017 (entropy); Robins, Rotnitzky, Zhao 1994, Chernozhukov et al. 2018
///           (aipw); van der Laan, Rose 2011, Zheng, van der Laan 2011 (tmle).
base::Result<Effect> estimate_effect(const Study& study, Method method, const EffectOptions& options,
                                     const base::Rng& rng);

/// E[Y(1) - Y(0) | x] for every row by a least squares fit in each arm. Errors as least_squares.
base::Result<VectorD> conditional_effects(const Study& study);

/// The effect in a group of rows, from the scores of aipw: mean, clustered. Errors kShape: fewer than 10 rows.
base::Result<stats::Estimate> group_effect(const Study& study, const Effect& aipw,
                                           const std::vector<std::size_t>& rows);

}  // namespace plumbline::counterfactual::effects

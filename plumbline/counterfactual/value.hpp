#pragma once
/// The value of a policy on a log, and the difference between two, with bounds or "cannot say".

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/estimators.hpp"
#include "plumbline/counterfactual/reward_model.hpp"
#include "plumbline/counterfactual/rows.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual {

enum class Interval { kBootstrap, kNormal, kLikelihood, kBernstein, kAnytime };
/// "bootstrap", "normal", "likelihood", "bernstein", "anytime".
std::string_view interval_name(Interval interval);
base::Result<Interval> parse_interval(std::string_view name);

struct ValueOptions {
  Tuning tuning{};
  std::optional<std::pair<double, double>> reward_range{};  ///< declared; else the rewards seen, as an assumption
  std::optional<double> max_weight{};                       ///< declared largest pi / mu, for bernstein and anytime
  RewardModelOptions model{};
  std::size_t replicates = 1000;
  base::CancelToken cancel{};
};

struct PolicyValue {
  Estimator estimator = Estimator::kDr;
  Interval interval = Interval::kBootstrap;
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;    ///< of warns and cannot say
  stats::Estimate estimate;            ///< value NaN and no bounds where the outcome is cannot say
  std::optional<double> lambda;        ///< chosen by auto
  std::optional<double> bias_gap;      ///< of auto: chosen figure minus the unbiased one
  std::optional<double> choice_error;  ///< of auto: root mean squared error, the whole choice repeated on resamples
};

/// One target on one log: rows, weights and cross-fitted rewards, shared by all estimators.
class Evaluation {
 public:
  /// `with_model` fits the reward models (needed by all estimators but ips, snips, clipped, shrunk).
  /// Errors as usable_rows and cross_fitted_rewards; kValue: a reward outside the declared range, max_weight below a
  /// weight seen or not positive, an empty range, replicates < 100.
  static base::Result<Evaluation> make(const data::DecisionLog& log, const TargetPolicy& target, bool with_model,
                                       const ValueOptions& options, const base::Rng& rng);

  /// The same from rows that are already there: `features` n x d of the context, none without a model. Errors also
  /// kShape: arrays of `rows` or features that do not agree in size; kValue: no row; a propensity outside (0, 1], a
  /// weight that is negative or not finite, a reward that is not finite, an action outside its range.
  static base::Result<Evaluation> of_rows(OpeRows rows, const MatrixD* features, const ValueOptions& options,
                                          const base::Rng& rng);

  /// Question  what does the target earn per row, on the rows that were left to the policy?
  /// Formula   mean(base) + sum(num) / sum(den), estimators.hpp. Bounds: bootstrap over units (BCa); normal: Student's
  /// t of the influence function over units; likelihood:
  ///           profile empirical likelihood of (w r, w) with E[w] = 1, calibrated by Student's t squared; bernstein,
  ///           anytime: of the terms, in [0, largest weight] x reward range.
  ///           auto: those of the unbiased candidate, made to hold the chosen figure.
  ///           Missing mass m (at most 1 %) widens: by m x range, or by m x (high - low) with a reward model.
  /// Returns   PolicyValue. n_effective is (sum w)^2 / sum w^2 (direct: units).
  /// Outcome   judge_support. `likelihood`: no bounds, with a warning, where all weights lie on one side of 1.
  /// Errors    kValue: likelihood for an estimator other than ips and snips; bernstein and anytime for one other than
  /// ips,
  ///           clipped, shrunk, for rows that cluster in units, or without a known or declared largest weight;
  ///           an estimator that needs the model which make() was told to leave out. kCancelled.
  /// Assumes   units independent and drawn alike; the logged propensities; rewards do not depend on earlier decisions.
  /// Cost      bootstrap O(replicates n). Same seed, same bits.
  base::Result<PolicyValue> value(Estimator estimator, Interval interval) const;

  /// Question  how much more than `other` does the target earn per row? Paired: both on the same rows.
  /// Formula   as value, of the difference of the terms. `other` none: the logging policy, whose terms are the rewards.
  /// Errors    as value; kValue also: auto, likelihood; kShape: `other` is of another log.
  base::Result<PolicyValue> gain(const Evaluation* other, Estimator estimator, Interval interval) const;

  const OpeRows& rows() const { return rows_; }
  const Support& support() const { return support_; }
  /// Mean reward of the usable rows: what the logging policy earned.
  base::Result<stats::Estimate> logged_value() const;
  std::size_t features_left_out() const { return features_left_out_; }

 private:
  struct Parts;
  Evaluation(const base::Rng& rng, ValueOptions options) : rng_(rng), options_(std::move(options)) {}
  base::Result<Parts> parts(Estimator estimator) const;
  base::Result<std::pair<double, double>> term_range(Estimator estimator) const;
  base::Status bound(const Parts& parts, Interval interval, std::optional<std::pair<double, double>> range,
                     PolicyValue& out) const;
  void widen(double missing, bool model, bool gain, PolicyValue& out) const;

  base::Rng rng_;
  ValueOptions options_;
  OpeRows rows_;
  Support support_;
  MatrixD q_;        ///< cross-fitted rewards
  MatrixD q_least_;  ///< those of mrdr
  bool with_model_ = false;
  std::size_t features_left_out_ = 0;
  std::pair<double, double> reward_range_{0, 0};
};

}  // namespace plumbline::counterfactual

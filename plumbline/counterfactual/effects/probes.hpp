#pragma once
/// Attacks on an answer: questions whose right answer is known, and the same question asked otherwise. Values are in
/// the outcome's units, low and high their 0.95 bounds. Errors of all: those of estimate_effect(), on the study and
/// on the changed one; where the changed one cannot say, the probe's value is NaN. Same seed, same bits.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/effects/effect.hpp"

namespace plumbline::counterfactual::effects {

/// One attack and how it came out.
struct Probe {
  std::string kind;  ///< "negative outcome", "placebo treatment", "without", ...
  std::string name;  ///< of the column, the cut-off, the lead
  double value = 0;  ///< figure found; NaN where there is none
  double low = 0, high = 0;
  double p = 1;           ///< p-value of "as it should be"; NaN where none is defined
  bool alarming = false;  ///< it speaks against the answer
  std::string words;      ///< what that means, where alarming; else empty or a remark
};

/// The estimator on each outcome that the treatment cannot have moved: p-values of "no effect", after Holm.
base::Result<std::vector<Probe>> negative_outcomes(const Study& study, Method method, const EffectOptions& options,
                                                   const base::Rng& rng);

/// Treatments drawn among the untreated with the fitted propensity, whose effect is 0: how often does the 0.95 interval
/// miss it? p: of so many misses at 0.05. At most 100 draws; none where they would take long or fewer than 20 would be
/// treated (the words say so).
base::Result<Probe> placebo_treatment(const Study& study, Method method, const EffectOptions& options,
                                      const base::Rng& rng);

/// The figure without each covariate in turn. Where it moves by more than `limit` standard errors the words say so, and
/// no more: a confounder that must be there and a consequence that must not look alike in data. At most 50 covariates,
/// the first ones. With a learner of trees the linear one stands in.
base::Result<std::vector<Probe>> without_each(const Study& study, Method method, const EffectOptions& options,
                                              const base::Rng& rng, double limit = 2);

/// Covariates that look like the outcome itself: partial R-squared above 0.9 given treatment and the others.
base::Result<std::vector<Probe>> outcome_in_disguise(const Study& study);

}  // namespace plumbline::counterfactual::effects

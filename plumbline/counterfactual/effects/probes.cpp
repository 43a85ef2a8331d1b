#include "plumbline/counterfactual/effects/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/counterfactual/effects/sensitivity.hpp"
#include "plumbline/stats/hypothesis.hpp"
#include "plumbline/stats/multiplicity.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Attacks ask the same estimator many times: linear nuisances stand in for trees.
EffectOptions cheap(EffectOptions options) {
  options.learner = Learner::kLinear;
  return options;
}

Probe probe_of(std::string kind, std::string name, const Effect& effect) {
  Probe out{std::move(kind), std::move(name), effect.estimate.value, kNan, kNan, kNan, false, {}};
  out.low = effect.estimate.low().value_or(kNan);
  out.high = effect.estimate.high().value_or(kNan);
  if (effect.outcome == Outcome::kCannotSay) out.words = "cannot say: " + effect.reasons.front();
  return out;
}

/// Would so many fits more take longer than some seconds?
bool too_much(const Study& study, std::size_t fits) {
  const auto columns = static_cast<double>(study.columns.size()) + 1;
  return static_cast<double>(fits) * static_cast<double>(study.n()) * columns * columns > 1e9;
}
constexpr const char* kTooMuch = "not run: too many rows and columns";

double two_sided(const Effect& effect) {
  if (effect.outcome == Outcome::kCannotSay || !(effect.standard_error > 0)) return kNan;
  return 2 * stats::normal_tail(std::abs(effect.estimate.value) / effect.standard_error);
}

}  // namespace

base::Result<std::vector<Probe>> negative_outcomes(const Study& study, Method method, const EffectOptions& options,
                                                   const base::Rng& rng) {
  std::vector<Probe> out;
  std::vector<double> p;
  for (std::size_t k = 0; k < study.negative_names.size(); ++k) {
    const Study other = study.with_outcome(study.negatives.col(static_cast<Eigen::Index>(k)), study.negative_names[k]);
    PL_TRY(const Effect effect, estimate_effect(other, method, cheap(options), rng.fork(k)));
    out.push_back(probe_of("negative outcome", study.negative_names[k], effect));
    out.back().p = two_sided(effect);
    if (!std::isnan(out.back().p)) p.push_back(out.back().p);
  }
  if (p.empty()) return out;
  PL_TRY(const std::vector<double> adjusted, stats::holm(p));
  std::size_t next = 0;
  for (Probe& probe : out) {
    if (std::isnan(probe.p)) continue;
    probe.p = adjusted[next++];
    probe.alarming = probe.p < 0.05;
    if (probe.alarming) probe.words = "the treatment cannot have moved it: something that was not measured moves both";
  }
  return out;
}

base::Result<Probe> placebo_treatment(const Study& study, Method method, const EffectOptions& options,
                                      const base::Rng& rng) {
  Probe out{"placebo treatment", "drawn among the untreated", kNan, kNan, kNan, kNan, false, {}};
  const auto draws = static_cast<int>(std::clamp<std::size_t>(1'000'000 / study.n(), 20, 100));
  if (too_much(study, static_cast<std::size_t>(draws))) {
    out.words = kTooMuch;
    return out;
  }
  PL_TRY(const Logit logit, fit_logit(study.x, study.treatment));
  const auto rows = arm_rows(study, false);
  const VectorD chance = take_rows(logit.probabilities, rows);
  if (chance.sum() < 20 || logit.separated) {
    out.words = "not run: too few of the untreated would be drawn";
    return out;
  }
  Study fake = study.take(rows);
  int misses = 0, asked = 0;
  for (int k = 0; k < draws; ++k) {
    PL_CHECK(options.cancel.status());
    base::Rng one = rng.fork(static_cast<std::uint64_t>(k));
    for (Eigen::Index i = 0; i < fake.treatment.size(); ++i) fake.treatment(i) = one.bernoulli(chance(i)) ? 1 : 0;
    PL_TRY(const Effect effect, estimate_effect(fake, method, cheap(options), one.fork("estimate")));
    if (effect.outcome == Outcome::kCannotSay || !effect.estimate.low()) continue;
    ++asked;
    if (*effect.estimate.low() > 0 || *effect.estimate.high() < 0) ++misses;
  }
  if (asked < draws / 2) {
    out.words = fmt::format("cannot say: {} of {} draws had no answer", draws - asked, draws);
    return out;
  }
  out.value = static_cast<double>(misses) / asked;
  out.p = stats::binomial_tail(misses, asked, 0.05);
  out.alarming = out.p < 0.001;
  out.words = fmt::format("{} of {} intervals at 0.95 missed an effect of 0{}", misses, asked,
                          out.alarming ? ": bounds of this estimator are too short on such data" : "");
  return out;
}

base::Result<std::vector<Probe>> without_each(const Study& study, Method method, const EffectOptions& options,
                                              const base::Rng& rng, double limit) {
  std::vector<Probe> out;
  constexpr std::size_t kMost = 50;
  if (too_much(study, std::min(kMost, study.covariates.size()))) {
    out.push_back({"without", "each covariate", kNan, kNan, kNan, kNan, false, kTooMuch});
    return out;
  }
  PL_TRY(const Effect whole, estimate_effect(study, method, cheap(options), rng));
  if (whole.outcome == Outcome::kCannotSay) return out;
  for (std::size_t c = 0; c < std::min(kMost, study.covariates.size()); ++c) {
    PL_TRY(const Effect effect, estimate_effect(study.without(c), method, cheap(options), rng));
    Probe probe = probe_of("without", study.covariates[c], effect);
    const double moved = (effect.estimate.value - whole.estimate.value) / whole.standard_error;
    if (std::abs(moved) > limit)
      probe.words = fmt::format(
          "{:.1f} standard errors away: right if this column came before the treatment, wrong if after", moved);
    out.push_back(std::move(probe));
  }
  return out;
}

base::Result<std::vector<Probe>> outcome_in_disguise(const Study& study) {
  std::vector<Probe> out;
  if (study.covariates.empty()) return out;
  const auto fit = partial_r2(study);
  if (!fit.ok()) return out;
  constexpr double kSame = 0.9;
  for (const Benchmark& b : fit->benchmarks) {
    if (b.with_outcome < kSame) continue;
    out.push_back({"leak", b.covariate, b.with_outcome, kNan, kNan, kNan, true,
                   "it all but is the outcome (partial R-squared): measured afterwards, it takes the effect away"});
  }
  return out;
}

}  // namespace plumbline::counterfactual::effects

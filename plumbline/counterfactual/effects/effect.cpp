#include "plumbline/counterfactual/effects/effect.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

constexpr std::array<std::pair<Method, std::string_view>, 10> kMethods = {
    {{Method::kDifference, "difference"},
     {Method::kOls, "ols"},
     {Method::kRegression, "regression"},
     {Method::kMatch, "match"},
     {Method::kMatchPropensity, "match_propensity"},
     {Method::kIpw, "ipw"},
     {Method::kOverlap, "overlap"},
     {Method::kEntropy, "entropy"},
     {Method::kAipw, "aipw"},
     {Method::kTmle, "tmle"}}};

base::Status check_options(const Study& study, Method method, const EffectOptions& o) {
  constexpr const char* kName = "estimate_effect";
  PL_CHECK(base::check_at_least(kName, "matches", static_cast<std::ptrdiff_t>(o.matches), 1));
  PL_CHECK(base::check_at_least(kName, "folds", o.folds, 2));
  PL_CHECK(base::check_in_open(kName, "floor", o.floor, 0, 0.5));
  if (study.levels > 2)
    return base::make_error(base::Code::kValue,
                            fmt::format("the treatment '{}' has more than two values", study.treatment_name), {},
                            "compare two of them, or use an instrument for a treatment that is a number");
  if ((method == Method::kOverlap) != (o.estimand == Estimand::kAto))
    return base::make_error(base::Code::kValue,
                            fmt::format("{} does not estimate {}", method_name(method), estimand_name(o.estimand)), {},
                            method == Method::kOverlap ? "overlap weights have the estimand ATO"
                                                       : "choose ATE or ATT; ATO is that of the method overlap");
  return base::ok();
}

}  // namespace

std::string_view estimand_name(Estimand estimand) {
  switch (estimand) {
    case Estimand::kAte: return "ATE";
    case Estimand::kAtt: return "ATT";
    case Estimand::kAto: return "ATO";
  }
  return "";
}

base::Result<Estimand> parse_estimand(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const Estimand e : {Estimand::kAte, Estimand::kAtt, Estimand::kAto})
    if (estimand_name(e) == upper) return e;
  return base::make_error(base::Code::kValue, fmt::format("unknown estimand '{}'", name), {},
                          "there are ATE, ATT and ATO");
}

std::string_view method_name(Method method) {
  for (const auto& entry : kMethods)
    if (entry.first == method) return entry.second;
  return "";
}

base::Result<Method> parse_method(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : kMethods) {
    if (entry.second == name) return entry.first;
    names.emplace_back(entry.second);
  }
  return base::make_error(base::Code::kValue, fmt::format("unknown method '{}'", name), {},
                          fmt::format("there are {}", base::join_words(names)));
}

std::span<const Method> all_methods() {
  static const std::array<Method, kMethods.size()> kAll = [] {
    std::array<Method, kMethods.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = kMethods[i].first;
    return out;
  }();
  return kAll;
}

std::string_view learner_name(Learner learner) { return learner == Learner::kLinear ? "linear" : "trees"; }

base::Result<Learner> parse_learner(std::string_view name) {
  for (const Learner l : {Learner::kLinear, Learner::kTrees})
    if (learner_name(l) == name) return l;
  return base::make_error(base::Code::kValue, fmt::format("unknown learner '{}'", name), {},
                          "there are linear and trees");
}

std::vector<std::size_t> arm_rows(const Study& study, bool treated) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < study.n(); ++i)
    if ((study.treatment(static_cast<Eigen::Index>(i)) > 0.5) == treated) out.push_back(i);
  return out;
}

stats::Estimate student(double value, double variance, double degrees, double n, std::string method) {
  stats::Estimate out;
  out.value = value;
  out.n = n;
  out.n_effective = n;
  out.method = std::move(method);
  const double error = std::sqrt(variance);
  if (!(error > 0) || !std::isfinite(error) || degrees < 1) {
    out.warnings.emplace_back("no spread to bound the figure with");
    return out;
  }
  out.bounds = stats::make_bounds([&](double c) { return value - stats::t_quantile(c, degrees) * error; },
                                  [&](double c) { return value + stats::t_quantile(c, degrees) * error; });
  return out;
}

void settle(const Study& study, double value, const VectorD& influence, std::size_t parameters, std::string method,
            Effect& effect) {
  const std::size_t clusters = study.cluster_total();
  const bool clustered = !study.clusters.empty();
  const double factor = clustered ? cluster_factor(clusters, study.n(), parameters) : 1;
  const double variance = influence_variance(influence, study.clusters, factor);
  const auto n = static_cast<double>(study.n());
  const double degrees = clustered ? static_cast<double>(clusters) - 1 : n - static_cast<double>(parameters);
  effect.estimate = student(value, variance, degrees, n, std::move(method));
  effect.standard_error = std::sqrt(variance);
  if (clustered) {
    effect.estimate.unit_of_sampling = "cluster";
    effect.estimate.n_effective = static_cast<double>(clusters);
    if (clusters < 30)
      warn(effect, fmt::format("{} clusters: bounds of clustered errors are too short below 30", clusters));
  }
}

void warn(Effect& effect, std::string reason) {
  if (effect.outcome == Outcome::kSays) effect.outcome = Outcome::kWarns;
  effect.reasons.push_back(std::move(reason));
}

void refuse(Effect& effect, std::string reason) {
  if (effect.outcome != Outcome::kCannotSay) effect.reasons.clear();
  effect.outcome = Outcome::kCannotSay;
  effect.reasons.push_back(std::move(reason));
  effect.estimate = {};
  effect.estimate.value = std::numeric_limits<double>::quiet_NaN();
  effect.standard_error = std::numeric_limits<double>::quiet_NaN();
}

base::Result<Effect> estimate_effect(const Study& study, Method method, const EffectOptions& options,
                                     const base::Rng& rng) {
  PL_CHECK(check_options(study, method, options));
  Effect out;
  out.method = method;
  out.estimand = options.estimand;
  const bool fits = method != Method::kDifference && method != Method::kOls;
  if (study.levels < 2) {
    refuse(out, fmt::format("every row has the same treatment: '{}' has one value", study.treatment_name));
    return out;
  }
  judge_arms(study, fits, out);
  if (out.outcome == Outcome::kCannotSay) return out;
  switch (method) {
    case Method::kDifference:
    case Method::kOls:
    case Method::kRegression: return by_regression(study, method, options);
    case Method::kMatch:
    case Method::kMatchPropensity: return by_matching(study, method, options);
    case Method::kIpw:
    case Method::kOverlap: return by_weights(study, method, options);
    case Method::kEntropy: return by_entropy(study, options);
    case Method::kAipw:
    case Method::kTmle: return doubly_robust(study, method, options, rng);
  }
  return out;
}

base::Result<VectorD> conditional_effects(const Study& study) {
  VectorD out = VectorD::Zero(static_cast<Eigen::Index>(study.n()));
  for (const bool treated : {true, false}) {
    const auto rows = arm_rows(study, treated);
    PL_TRY(const LeastSquares fit, least_squares(take_rows(study.x, rows), take_rows(study.outcome, rows)));
    const VectorD fitted = (study.x * fit.coefficients).array() + fit.intercept;
    out += (treated ? 1.0 : -1.0) * fitted;
  }
  return out;
}

base::Result<stats::Estimate> group_effect(const Study& study, const Effect& aipw,
                                           const std::vector<std::size_t>& rows) {
  if (rows.size() < 10 || aipw.scores.size() == 0)
    return base::make_error(base::Code::kShape, fmt::format("group_effect: {} rows, of at least 10", rows.size()));
  const Study group = study.take(rows);
  const VectorD scores = take_rows(aipw.scores, rows);
  const double mean = scores.sum() / static_cast<double>(rows.size());
  Effect effect;
  settle(group, mean, scores.array() - mean, 1, "mean of doubly robust scores", effect);
  return effect.estimate;
}

}  // namespace plumbline::counterfactual::effects

// The design of measured confounders, with its attacks.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/counterfactual/effects/report.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

std::vector<Method> methods_of(const Question& q, const Study& study) {
  if (!q.methods.empty()) return q.methods;
  if (q.estimand == Estimand::kAto) return {Method::kOverlap};
  if (study.columns.empty()) return {Method::kDifference};
  std::vector<Method> out = {Method::kAipw,  Method::kTmle,       Method::kIpw, Method::kEntropy,
                             Method::kMatch, Method::kRegression, Method::kOls, Method::kDifference};
  // Matching looks at every pair; without being asked for it stays with samples that it answers at once.
  constexpr std::size_t kMatched = 10'000;
  if (study.n() > kMatched || !study.clusters.empty()) std::erase(out, Method::kMatch);
  return out;
}

std::vector<std::string> assumptions_of(const Question& q, const Study& s) {
  const std::string given = s.covariates.empty() ? "" : fmt::format(", given {}", fmt::join(s.covariates, ", "));
  std::vector<std::string> out;
  if (s.covariates.empty()) {
    out.push_back(fmt::format("nothing that moves {} also moves {}: {} was drawn by lot, or as good as", s.outcome_name,
                              s.treatment_name, s.treatment_name));
  } else {
    out.push_back(
        fmt::format("nothing that moves both {} and {} was left out{}", s.treatment_name, s.outcome_name, given));
    out.push_back(fmt::format("none of these was itself moved by {}", s.treatment_name));
  }
  out.push_back(q.estimand == Estimand::kAtt
                    ? fmt::format("every kind of row that was treated could have gone without{}", given)
                    : fmt::format("every kind of row could have been treated, and not{}", given));
  out.push_back(fmt::format("{} are independent, and no row's treatment acts on another row",
                            s.clusters.empty() ? "rows" : "clusters"));
  return out;
}

/// Effects by the levels of a covariate, or by its quarters.
base::Status add_groups(const Study& study, const Question& q, const Effect& scored, Report& report) {
  const auto at = std::find(study.covariates.begin(), study.covariates.end(), q.groups);
  if (at == study.covariates.end())
    return base::make_error(base::Code::kValue, fmt::format("'{}' is not among the covariates", q.groups), {},
                            "groups are made of a covariate");
  const auto covariate = static_cast<std::size_t>(at - study.covariates.begin());
  std::map<std::string, std::vector<std::size_t>> groups;
  std::vector<std::size_t> columns;
  for (std::size_t j = 0; j < study.columns.size(); ++j)
    if (study.covariate[j] == covariate) columns.push_back(j);
  if (columns.size() == 1 && study.columns[columns[0]] == q.groups) {
    const VectorD values = study.x.col(static_cast<Index>(columns[0]));
    std::vector<double> sorted(values.data(), values.data() + values.size());
    std::sort(sorted.begin(), sorted.end());
    const std::vector<double> distinct = [&] {
      std::vector<double> d = sorted;
      d.erase(std::unique(d.begin(), d.end()), d.end());
      return d;
    }();
    constexpr std::size_t kLevels = 5;
    double edges[3] = {stats::quantile_sorted(sorted, 0.25), stats::quantile_sorted(sorted, 0.5),
                       stats::quantile_sorted(sorted, 0.75)};
    for (std::size_t i = 0; i < study.n(); ++i) {
      const double v = values(static_cast<Index>(i));
      if (distinct.size() <= kLevels) {
        groups[fmt::format("{} = {:g}", q.groups, v)].push_back(i);
        continue;
      }
      const auto quarter = std::count_if(std::begin(edges), std::end(edges), [&](double e) { return v > e; });
      groups[fmt::format("{}, quarter {}", q.groups, quarter + 1)].push_back(i);
    }
  } else {
    for (std::size_t i = 0; i < study.n(); ++i) {
      std::string level = q.groups + ", first level";
      for (const std::size_t j : columns)
        if (study.x(static_cast<Index>(i), static_cast<Index>(j)) > 0.5) level = study.columns[j];
      groups[level].push_back(i);
    }
  }
  for (const auto& group : groups) {
    Figure figure{group.first, "CATE", Outcome::kSays, {}, {}, 0};
    auto estimate = group_effect(study, scored, group.second);
    if (estimate.ok())
      figure.estimate = std::move(estimate).value();
    else
      refuse(figure, estimate.error().message);
    report.groups.push_back(std::move(figure));
  }
  return base::ok();
}

base::Status attack(const Study& study, const Question& q, const Effect& main, const EffectOptions& options,
                    const base::Rng& rng, Report& report) {
  PL_TRY(std::vector<Probe> found, negative_outcomes(study, main.method, options, rng.fork("negative outcomes")));
  PL_TRY(const std::vector<Probe> leaks, outcome_in_disguise(study));
  found.insert(found.end(), leaks.begin(), leaks.end());
  if (q.attack) {
    PL_TRY(Probe placebo, placebo_treatment(study, main.method, options, rng.fork("placebo treatment")));
    found.push_back(std::move(placebo));
    PL_TRY(const std::vector<Probe> without,
           without_each(study, main.method, options, rng.fork(method_name(main.method))));
    found.insert(found.end(), without.begin(), without.end());
  }
  for (const Probe& probe : found)
    if (probe.alarming) warn(report.answer, fmt::format("{} ({}): {}", probe.kind, probe.name, probe.words));
  report.probes.insert(report.probes.end(), found.begin(), found.end());
  return base::ok();
}

}  // namespace

base::Status answer_by_covariates(const Study& study, const Question& q, const base::Rng& rng, Report& report) {
  EffectOptions options;
  options.estimand = q.estimand;
  options.learner = q.learner;
  options.matches = q.matches;
  options.cancel = q.cancel;
  const std::vector<Method> methods = methods_of(q, study);
  report.assumptions = assumptions_of(q, study);
  Effect main;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    PL_CHECK(q.cancel.status());
    PL_TRY(Effect effect, estimate_effect(study, methods[m], options, rng.fork(method_name(methods[m]))));
    if (m == 0) {
      report.answer = figure_of(effect);
      main = std::move(effect);
    } else {
      report.others.push_back(figure_of(effect));
    }
  }
  if (study.levels < 2) return base::ok();
  report.balance = balance_of(study, main.weights, q.estimand);
  if (main.weights.size() > 0) report.overlap = overlap_of(study, main.weights, main.propensity, q.estimand);
  if (report.cannot_say()) return base::ok();
  if (main.weights.size() > 0 && main.method != Method::kMatch && main.method != Method::kMatchPropensity)
    if (const double worst = largest_imbalance(report.balance); worst > 2 * kBalanced)
      warn(report.answer,
           fmt::format("after weighting the arms still differ by {:.2f} deviations in a covariate", worst));
  if (!q.groups.empty()) {
    EffectOptions all = options;
    all.estimand = Estimand::kAte;
    PL_TRY(const Effect scored, estimate_effect(study, Method::kAipw, all, rng.fork("aipw")));
    if (scored.outcome == Outcome::kCannotSay)
      report.warnings.push_back("no effects by group: " + scored.reasons.front());
    else
      PL_CHECK(add_groups(study, q, scored, report));
  }
  if (main.method == Method::kDifference && study.columns.empty()) report.balance.clear();
  PL_CHECK(attack(study, q, main, options, rng, report));
  if (auto partial = partial_r2(study); partial.ok()) report.partial = std::move(partial).value();
  report.e_value = e_value(study, report.answer.estimate);
  if (!study.columns.empty() && study.n() <= 200'000) {
    PL_TRY(report.rosenbaum, rosenbaum_bounds(study));
  }
  return base::ok();
}

}  // namespace plumbline::counterfactual::effects

// Discontinuity, instrument and differences as answers, with their attacks.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/counterfactual/effects/differences.hpp"
#include "plumbline/counterfactual/effects/discontinuity.hpp"
#include "plumbline/counterfactual/effects/instrument.hpp"
#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/counterfactual/effects/report.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/multiplicity.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
/// Level of an attack, after Holm within its kind: a clean study meets three of them and should seldom warn.
constexpr double kAlarm = 0.01;

double two_sided(double value, double error) {
  return error > 0 ? 2 * stats::normal_tail(std::abs(value) / error) : kNan;
}

/// p-values of these probes after Holm; those below kAlarm alarm with these words.
base::Status judge_probes(std::vector<Probe>& probes, const std::string& words) {
  std::vector<double> p;
  for (const Probe& probe : probes)
    if (!std::isnan(probe.p)) p.push_back(probe.p);
  if (p.empty()) return base::ok();
  PL_TRY(const std::vector<double> adjusted, stats::holm(p));
  std::size_t next = 0;
  for (Probe& probe : probes) {
    if (std::isnan(probe.p)) continue;
    probe.p = adjusted[next++];
    probe.alarming = probe.p < kAlarm;
    if (probe.alarming) probe.words = words;
  }
  return base::ok();
}

void take_probes(std::vector<Probe> probes, Report& report) {
  for (Probe& probe : probes) {
    if (probe.alarming && !report.cannot_say())
      warn(report.answer, fmt::format("{} ({}): {}", probe.kind, probe.name, probe.words));
    report.probes.push_back(std::move(probe));
  }
}

Figure figure_of(const Discontinuity& d, std::string label) {
  return {std::move(label), "at the cut-off", d.outcome, d.reasons, d.estimate(), d.robust_error};
}

Probe probe_of(std::string kind, std::string name, const Discontinuity& d) {
  Probe out{std::move(kind), std::move(name), kNan, kNan, kNan, kNan, false, {}};
  if (d.outcome == Outcome::kCannotSay) {
    out.words = "cannot say: " + d.reasons.front();
    return out;
  }
  const stats::Estimate e = d.estimate();
  out.value = e.value;
  out.low = e.low().value_or(kNan);
  out.high = e.high().value_or(kNan);
  out.p = two_sided(d.corrected, d.robust_error);
  return out;
}

/// Jumps at the quartiles of either side's running variable, in the rows of that side alone.
base::Result<std::vector<Probe>> placebo_cutoffs(const Study& s, double cutoff) {
  std::vector<Probe> out;
  for (const bool above : {false, true}) {
    std::vector<std::size_t> rows;
    std::vector<double> values;
    for (std::size_t i = 0; i < s.n(); ++i)
      if ((s.running(static_cast<Index>(i)) >= cutoff) == above) {
        rows.push_back(i);
        values.push_back(s.running(static_cast<Index>(i)));
      }
    if (rows.size() < 100) continue;
    const Study side = s.take(rows);
    std::sort(values.begin(), values.end());
    for (const double share : {0.25, 0.5, 0.75}) {
      const double at = stats::quantile_sorted(values, share);
      PL_TRY(const Discontinuity d, fit_discontinuity(side.running, side.outcome, {}, side.clusters, {.cutoff = at}));
      out.push_back(probe_of("placebo cut-off", fmt::format("{:.4g}", at), d));
    }
  }
  PL_CHECK(
      judge_probes(out, "the outcome jumps where nothing happens: the fit is not to be trusted at the cut-off either"));
  return out;
}

base::Result<std::vector<Probe>> covariate_jumps(const Study& s, double cutoff) {
  std::vector<Probe> out;
  for (std::size_t j = 0; j < s.columns.size(); ++j) {
    PL_TRY(const Discontinuity d,
           fit_discontinuity(s.running, s.x.col(static_cast<Index>(j)), {}, s.clusters, {.cutoff = cutoff}));
    out.push_back(probe_of("covariate at the cut-off", s.columns[j], d));
  }
  PL_CHECK(judge_probes(out, "it jumps too: rows on the two sides differ by more than the side"));
  return out;
}

base::Status try_bandwidths(const Study& s, const VectorD& treatment, const Question& q, const Discontinuity& main,
                            Report& report) {
  for (const double times : {0.5, 2.0}) {
    PL_TRY(const Discontinuity d, fit_discontinuity(s.running, s.outcome, treatment, s.clusters,
                                                    {.cutoff = *q.cutoff, .bandwidth = times * main.bandwidth}));
    report.others.push_back(figure_of(d, fmt::format("bandwidth {:.4g}", times * main.bandwidth)));
  }
  PL_TRY(const Discontinuity curved,
         fit_discontinuity(s.running, s.outcome, treatment, s.clusters, {.cutoff = *q.cutoff, .degree = 2}));
  report.others.push_back(figure_of(curved, "local quadratic"));
  return base::ok();
}

}  // namespace

base::Status answer_by_discontinuity(const Study& s, const Question& q, Report& report) {
  const VectorD treatment = s.levels > 1 ? s.treatment : VectorD();
  // A treatment that follows the side without exception is sharp.
  const bool sharp = treatment.size() == 0 || [&] {
    for (Index i = 0; i < treatment.size(); ++i)
      if ((treatment(i) > 0.5) != (s.running(i) >= *q.cutoff)) return false;
    return s.binary;
  }();
  const VectorD given = sharp ? VectorD() : treatment;
  report.assumptions = {
      fmt::format("without the cut-off, {} would run smoothly through {} = {:g}", q.columns.outcome, q.columns.running,
                  *q.cutoff),
      fmt::format("nobody sets {} to land on a side, and nothing else changes at the cut-off", q.columns.running)};
  if (!sharp)
    report.assumptions.push_back(
        fmt::format("crossing the cut-off acts on {} through {} alone, and pushes nobody away "
                    "from it",
                    q.columns.outcome, q.columns.treatment));
  PL_TRY(const Discontinuity main,
         fit_discontinuity(s.running, s.outcome, given, s.clusters, {.cutoff = *q.cutoff, .bandwidth = q.bandwidth}));
  report.answer = figure_of(main, sharp ? "local linear" : "fuzzy, local linear");
  if (q.estimand == Estimand::kAtt || q.estimand == Estimand::kAte) report.answer.estimand = "at the cut-off";
  report.facts = {{"bandwidth", main.bandwidth},
                  {"bandwidth of the bias", main.bias_bandwidth},
                  {"rows within, below", static_cast<double>(main.below.within)},
                  {"rows within, above", static_cast<double>(main.above.within)},
                  {"conventional standard error", main.conventional_error}};
  if (!sharp) {
    report.facts.emplace_back("jump of the treatment", main.first_stage);
    report.facts.emplace_back("its robust standard error", main.first_stage_error);
  }
  auto density = density_test(s.running, *q.cutoff);
  if (density.ok()) {
    Probe heap{
        "density", "of the running variable", density->above - density->below, kNan, kNan, density->p_value, false, {}};
    heap.alarming = heap.p < kAlarm;
    heap.words = fmt::format("{:.4g} below, {:.4g} above{}", density->below, density->above,
                             heap.alarming ? ": rows heap on one side, as where people choose it" : "");
    take_probes({heap}, report);
  }
  if (report.cannot_say()) return base::ok();
  PL_TRY(std::vector<Probe> covariates, covariate_jumps(s, *q.cutoff));
  take_probes(std::move(covariates), report);
  if (!q.attack) return base::ok();
  PL_TRY(std::vector<Probe> placebos, placebo_cutoffs(s, *q.cutoff));
  take_probes(std::move(placebos), report);
  return try_bandwidths(s, given, q, main, report);
}

base::Status answer_by_instrument(const Study& s, const Question& q, Report& report) {
  PL_TRY(const InstrumentFit fit, fit_instrument(s));
  report.assumptions = {
      fmt::format("{} {} as good as drawn by lot{}", fmt::join(q.columns.instruments, ", "),
                  q.columns.instruments.size() > 1 ? "are" : "is",
                  s.covariates.empty() ? "" : fmt::format(", given {}", fmt::join(s.covariates, ", "))),
      fmt::format("{} {} {} through {} alone", fmt::join(q.columns.instruments, ", "),
                  q.columns.instruments.size() > 1 ? "move" : "moves", q.columns.outcome, q.columns.treatment),
      "the instrument pushes everybody the same way; the figure is of those whom it moves"};
  report.answer = {"2sls", "LATE", fit.outcome, fit.reasons, fit.estimate, fit.standard_error};
  Figure ols{"ols", "ATE", Outcome::kWarns, {"takes the treatment as drawn by lot"}, {}, fit.ols_error};
  ols.estimate = stats::Estimate{};
  ols.estimate.value = fit.ols;
  if (fit.ols_error > 0)
    ols.estimate.bounds =
        stats::make_bounds([&](double c) { return fit.ols - stats::normal_quantile(c) * fit.ols_error; },
                           [&](double c) { return fit.ols + stats::normal_quantile(c) * fit.ols_error; });
  report.others.push_back(std::move(ols));
  if (fit.first_stage.empty()) return base::ok();
  report.region = Region{"Anderson-Rubin", fit.region};
  report.facts = {{"first-stage F", fit.first_stage_f}};
  for (std::size_t k = 0; k < fit.first_stage.size(); ++k) {
    const std::string name = k < q.columns.instruments.size() ? q.columns.instruments[k] : "";
    report.facts.emplace_back("first stage, " + name, fit.first_stage[k]);
    report.facts.emplace_back("its standard error", fit.first_stage_errors[k]);
  }
  report.facts.emplace_back("reduced form", fit.reduced_form);
  report.facts.emplace_back("its standard error", fit.reduced_form_error);
  if (!std::isnan(fit.overidentified_p)) {
    Probe probe{"overidentification", "Hansen's J", kNan, kNan, kNan, fit.overidentified_p, false, {}};
    probe.alarming = probe.p < kAlarm;
    if (probe.alarming)
      probe.words = "the instruments tell of different effects: one of them acts otherwise, or on others";
    take_probes({probe}, report);
  }
  std::vector<Probe> negatives;
  for (std::size_t k = 0; k < s.negative_names.size(); ++k) {
    PL_TRY(const InstrumentFit other,
           fit_instrument(s.with_outcome(s.negatives.col(static_cast<Index>(k)), s.negative_names[k])));
    Probe probe{"negative outcome",
                s.negative_names[k],
                other.reduced_form,
                kNan,
                kNan,
                two_sided(other.reduced_form, other.reduced_form_error),
                false,
                {}};
    const double reach = stats::normal_quantile(0.975) * other.reduced_form_error;
    probe.low = probe.value - reach;
    probe.high = probe.value + reach;
    negatives.push_back(std::move(probe));
  }
  PL_CHECK(
      judge_probes(negatives, "the instrument moves what the treatment cannot have moved: it is not as drawn by lot"));
  take_probes(std::move(negatives), report);
  return base::ok();
}

base::Status answer_by_differences(const Study& s, const Question& q, Report& report) {
  PL_TRY(const DifferencesFit fit, fit_differences(s));
  report.assumptions = {
      fmt::format("without {} those who got it and those who never did would have moved alike", q.columns.treatment),
      fmt::format("nobody acts ahead of {}, and it does not act on those without it", q.columns.treatment),
      s.clusters.empty() ? "units are independent" : "clusters are independent"};
  report.answer = {"differences", "ATT", fit.outcome, fit.reasons, fit.estimate, fit.standard_error};
  report.facts = {{"units", static_cast<double>(fit.units)},
                  {"units treated", static_cast<double>(fit.treated_units)},
                  {"units never treated", static_cast<double>(fit.never_treated)},
                  {"periods", static_cast<double>(fit.periods)},
                  {"times at which the treatment began", static_cast<double>(fit.cohorts)}};
  if (report.cannot_say()) return base::ok();
  Figure two_way{"two-way fixed effects", "mixture", Outcome::kSays, {}, {}, fit.two_way_error};
  if (fit.cohorts > 1) warn(two_way, "units treated early serve as controls of those treated late");
  two_way.estimate.value = fit.two_way;
  two_way.estimate.bounds =
      stats::make_bounds([&](double c) { return fit.two_way - stats::normal_quantile(c) * fit.two_way_error; },
                         [&](double c) { return fit.two_way + stats::normal_quantile(c) * fit.two_way_error; });
  report.others.push_back(std::move(two_way));
  for (const EventTime& e : fit.events) {
    const double reach = stats::normal_quantile(0.975) * e.standard_error;
    report.probes.push_back({e.lead < 0 ? "before" : "after",
                             fmt::format("{:+d}", e.lead),
                             e.value,
                             e.value - reach,
                             e.value + reach,
                             e.lead < 0 ? two_sided(e.value, e.standard_error) : kNan,
                             false,
                             {}});
  }
  if (!std::isnan(fit.pretrend_p)) {
    Probe joint{"before", "all", kNan, kNan, kNan, fit.pretrend_p, fit.pretrend_p < 0.05, {}};
    if (joint.alarming) joint.words = "the treated already moved otherwise before the treatment";
    report.probes.push_back(std::move(joint));
  }
  return base::ok();
}

}  // namespace plumbline::counterfactual::effects

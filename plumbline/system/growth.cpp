#include "plumbline/system/growth.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/change/odds_ratio.hpp"
#include "plumbline/stats/hypothesis.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;
using stats::Noise;

constexpr std::size_t kFewestPeriods = 4;
constexpr int kResamples = 100;
/// One incident alone at risk would put all weight on its own delay.
constexpr double kFewestAtRisk = 5;

struct Delays {
  std::vector<int> delay, limit;
  std::vector<bool> about;
};

bool one_of(const std::vector<std::string>& kinds, const std::string& kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// Incidents of both groups, known by `as_of`.
struct Selected {
  std::vector<Incident> incidents;
  std::vector<bool> about;
  std::size_t other_kinds = 0, later = 0, before = 0;
};

Selected select(const Ledger& ledger, const GrowthOptions& o, int first, int as_of) {
  Selected out;
  for (const Incident& i : ledger.incidents) {
    const bool about = one_of(o.about, i.kind);
    if (!about && !one_of(o.control, i.kind)) {
      ++out.other_kinds;
    } else if (i.day > as_of || (i.reported && *i.reported > as_of)) {
      ++out.later;
    } else if (i.day < first) {
      ++out.before;
    } else {
      out.incidents.push_back(i);
      out.about.push_back(about);
    }
  }
  return out;
}

Delays delays_of(const Selected& selected, int as_of) {
  Delays out;
  for (std::size_t k = 0; k < selected.incidents.size(); ++k) {
    const Incident& i = selected.incidents[k];
    if (!i.reported) continue;
    out.delay.push_back(*i.reported - i.day);
    out.limit.push_back(as_of - i.day);
    out.about.push_back(selected.about[k]);
  }
  return out;
}

/// Expected share of each period's incidents that is known: the mean of F over its days.
std::vector<double> seen_of(const Periods& p, std::size_t count, int as_of, const std::vector<double>& law) {
  std::vector<double> seen(count, 1.0);
  if (law.empty()) return seen;
  for (std::size_t t = 0; t < count; ++t) {
    double sum = 0;
    for (int d = p.day(t); d < p.day(t + 1); ++d)
      sum += law[static_cast<std::size_t>(std::clamp<int>(as_of - d, 0, static_cast<int>(law.size()) - 1))];
    seen[t] = sum / p.length;
  }
  return seen;
}

int period_of(int days) {
  for (const int length : {1, 7, 14, 28, 91})
    if (days / length <= 60) return length;
  return 364;
}

/// Whether delays of both groups have one law, among incidents old enough that nearly all are known.
std::optional<double> same_delay(const Delays& delays, const std::vector<double>& law) {
  const auto ninth = static_cast<int>(std::lower_bound(law.begin(), law.end(), 0.9) - law.begin());
  std::array<std::vector<double>, 2> of;
  for (std::size_t i = 0; i < delays.delay.size(); ++i)
    if (delays.limit[i] >= ninth && delays.delay[i] <= ninth) of[delays.about[i] ? 1 : 0].push_back(delays.delay[i]);
  if (of[0].size() < 10 || of[1].size() < 10) return std::nullopt;
  const auto test = stats::ks_two_sample(of[0], of[1]);
  return test.ok() ? std::optional(test->p_value) : std::nullopt;
}

/// Deviation of log(after / before) of the expected exposure, from the delay law resampled over incidents.
double delay_error(const Delays& delays, const Periods& p, int as_of, const std::vector<double>& use, base::Rng rng) {
  if (delays.delay.empty()) return 0;
  double sum = 0, squares = 0;
  std::vector<double> weight(delays.delay.size());
  for (int r = 0; r < kResamples; ++r) {
    std::fill(weight.begin(), weight.end(), 0.0);
    for (std::size_t i = 0; i < weight.size(); ++i) weight[rng.below(weight.size())] += 1;
    const auto seen = seen_of(p, p.kept, as_of, delay_law(delays.delay, delays.limit, weight));
    double before = 0, after = 0;
    for (std::size_t t = 0; t < p.kept; ++t) (t < p.split ? before : after) += use[t] * seen[t];
    const double log_ratio = std::log(std::max(after, 1e-12) / std::max(before, 1e-12));
    sum += log_ratio;
    squares += log_ratio * log_ratio;
  }
  const double mean = sum / kResamples;
  return std::sqrt(std::max(0.0, squares / kResamples - mean * mean));
}

/// Bounds of a ratio widened on the log scale by an independent error.
void widen(stats::Estimate& ratio, double error) {
  if (error <= 0 || ratio.value <= 0) return;
  for (std::size_t i = 0; i < stats::kLadder.size(); ++i) {
    const double more = stats::normal_quantile(stats::kLadder[i]) * error;
    auto& low = ratio.bounds.lower[i];
    auto& high = ratio.bounds.upper[i];
    if (low && *low > 0) *low = ratio.value * std::exp(-std::hypot(std::log(ratio.value / *low), more));
    if (high) *high = ratio.value * std::exp(std::hypot(std::log(*high / ratio.value), more));
  }
}

/// Overdispersion given the split, or by steps where a change elsewhere inflates that.
double dispersion(const stats::Series& s, std::size_t split) {
  return std::min(stats::extra_of_steps(s), stats::extra_of(s, std::span(&split, 1)));
}

std::string in_words(double extra) { return extra > 1 ? fmt::format(", dispersion {:.2f}", extra) : ""; }

stats::Estimate count_ratio(const stats::Series& s, std::size_t split, double error) {
  stats::Estimate ratio = stats::step_of(s, 0, split, s.value.size(), dispersion(s, split), 2);
  widen(ratio, error);
  double events = 0;
  for (const double v : s.value) events += v;
  ratio.n = ratio.n_effective = events;
  ratio.unit_of_sampling = "incident";
  return ratio;
}

base::Result<GrowthView> by_counts(std::string by, const Periods& p, const std::vector<double>& counts,
                                   const std::vector<double>& exposure, double error, const GrowthOptions& o,
                                   const base::Rng& rng) {
  GrowthView view;
  view.by = std::move(by);
  stats::Series s{Noise::kCounts, {}, {}};
  for (std::size_t t = 0; t < p.kept; ++t) {
    s.value.push_back(counts[t]);
    s.scale.push_back(exposure[t]);
    view.periods.push_back(t);
  }
  view.growth = count_ratio(s, p.split, error);
  if (view.by == "reports") {
    // Changes of what nobody corrected are nobody's: the test alone.
    if (p.kept >= stats::kFewestPoints) {
      PL_TRY(const stats::NoChange test, stats::no_change_test(s, o.search, rng.fork(view.by)));
      view.p = test.p;
    }
    return view;
  }
  PL_TRY(view.changes, stats::find_changes(s, o.search, rng.fork(view.by)));
  view.p = view.changes.p;
  return view;
}

/// Empty where a side has no report at all.
base::Result<std::optional<GrowthView>> by_control(const Periods& p, const GrowthOptions& o, const base::Rng& rng) {
  GrowthView view;
  view.by = "control";
  stats::Series s{Noise::kShares, {}, {}};
  std::size_t split = 0;
  std::array<double, 2> hits{}, trials{};
  for (std::size_t t = 0; t < p.kept; ++t) {
    const double all = p.about[t] + p.control[t];
    if (all == 0) continue;
    s.value.push_back(p.about[t]);
    s.scale.push_back(all);
    view.periods.push_back(t);
    split += t < p.split ? 1U : 0U;
    hits[t < p.split ? 0 : 1] += p.about[t];
    trials[t < p.split ? 0 : 1] += all;
  }
  if (split == 0 || split == s.value.size()) return std::optional<GrowthView>();
  const double extra = dispersion(s, split);
  std::array<std::size_t, 2> h{}, n{};
  for (std::size_t side = 0; side < 2; ++side) {
    n[side] = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(trials[side] / extra)));
    h[side] = std::min(n[side], static_cast<std::size_t>(std::lround(hits[side] / extra)));
  }
  PL_TRY(view.growth, stats::odds_ratio(h[0], n[0], h[1], n[1]));
  view.growth.method += in_words(extra);
  view.growth.n = trials[0] + trials[1];
  view.growth.unit_of_sampling = "incident";
  PL_TRY(view.changes, stats::find_changes(s, o.search, rng.fork(view.by)));
  view.p = view.changes.p;
  return std::optional(std::move(view));
}

/// The least low and the largest high of both.
stats::Estimate hull(const stats::Estimate& a, const stats::Estimate& b) {
  stats::Estimate out = a;
  out.value = std::sqrt(a.value * b.value);
  out.method = "hull of " + a.method + " and " + b.method;
  for (std::size_t i = 0; i < stats::kLadder.size(); ++i) {
    const auto both = [](std::optional<double> x, std::optional<double> y, bool low) {
      if (!x || !y) return std::optional<double>();
      return std::optional(low ? std::min(*x, *y) : std::max(*x, *y));
    };
    out.bounds.lower[i] = both(a.bounds.lower[i], b.bounds.lower[i], true);
    out.bounds.upper[i] = both(a.bounds.upper[i], b.bounds.upper[i], false);
  }
  return out;
}

void correct(GrowthReport& report) {
  const GrowthView* const c = report.control ? &*report.control : nullptr;
  const GrowthView* const e = report.effort ? &*report.effort : nullptr;
  if (c == nullptr && e == nullptr) {
    report.cannot_say =
        "no reports of control kinds and no record of effort: more reports may be more incidents or more reporting";
    return;
  }
  if (c == nullptr || e == nullptr) {
    report.corrected = (c != nullptr ? c : e)->growth;
    report.corrected_by = c != nullptr ? "control" : "effort";
    return;
  }
  const double infinite = std::numeric_limits<double>::infinity();
  // Each at 0.975: their intervals part by chance in at most 0.05 where both are right.
  const auto low = [](const stats::Estimate& x) { return x.low(0.975).value_or(0); };
  const auto high = [&](const stats::Estimate& x) { return x.high(0.975).value_or(infinite); };
  if (low(c->growth) > high(e->growth) || low(e->growth) > high(c->growth)) {
    report.cannot_say = fmt::format(
        "the corrections exclude each other: {:.3g} by control kinds, {:.3g} by effort; so the control kinds changed "
        "themselves, or the record of effort is not of what was looked at",
        c->growth.value, e->growth.value);
    return;
  }
  report.corrected = hull(c->growth, e->growth);
  report.corrected_by = "control and effort";
}

base::Status check_options(const GrowthOptions& o, int first, int as_of) {
  if (o.about.empty()) return make_error(Code::kValue, "find_growth: no kind in question (about)");
  for (const std::string& kind : o.about)
    if (one_of(o.control, kind))
      return make_error(Code::kValue, fmt::format("find_growth: kind '{}' is both in question and control", kind));
  PL_CHECK(base::check_at_least("find_growth", "period", o.period, 0));
  if (!(o.least_seen > 0 && o.least_seen <= 1))
    return make_error(Code::kValue, fmt::format("find_growth: least_seen = {} lies outside (0, 1]", o.least_seen));
  if (first > as_of || (o.since && (*o.since <= first || *o.since > as_of)))
    return make_error(Code::kValue, fmt::format("find_growth: first {}, since {}, as_of {} are out of order",
                                                day_text(first), o.since ? day_text(*o.since) : "-", day_text(as_of)));
  return base::ok();
}

}  // namespace

std::vector<double> delay_law(const std::vector<int>& delay, const std::vector<int>& limit,
                              const std::vector<double>& weight) {
  if (delay.empty()) return {};
  const auto longest = static_cast<std::size_t>(*std::max_element(limit.begin(), limit.end()));
  std::vector<double> at(longest + 2, 0.0), risk(longest + 2, 0.0);
  for (std::size_t i = 0; i < delay.size(); ++i) {
    const double w = weight.empty() ? 1 : weight[i];
    at[static_cast<std::size_t>(delay[i])] += w;
    // At risk at s: delay <= s <= limit.
    risk[static_cast<std::size_t>(delay[i])] += w;
    risk[static_cast<std::size_t>(limit[i]) + 1] -= w;
  }
  for (std::size_t s = 1; s <= longest; ++s) risk[s] += risk[s - 1];
  std::vector<double> law(longest + 1, 1.0);
  for (std::size_t d = longest; d-- > 0;)
    law[d] = law[d + 1] * (risk[d + 1] >= kFewestAtRisk ? std::max(0.0, 1 - at[d + 1] / risk[d + 1]) : 1);
  return law;
}

base::Result<GrowthReport> find_growth(const Ledger& ledger, const std::optional<Use>& use, const GrowthOptions& o,
                                       const base::Rng& rng) {
  int last = ledger.incidents.back().day;
  for (const Incident& i : ledger.incidents) last = std::max(last, i.reported.value_or(i.day));
  const int as_of = o.as_of.value_or(last);
  const int first = o.first.value_or(ledger.incidents.front().day);
  PL_CHECK(check_options(o, first, as_of));
  const Selected selected = select(ledger, o, first, as_of);

  GrowthReport report;
  Periods& p = report.periods;
  p.length = o.period > 0 ? o.period : period_of(as_of + 1 - first);
  const auto count = static_cast<std::size_t>((as_of + 1 - first) / p.length);
  p.first = as_of + 1 - static_cast<int>(count) * p.length;  // whole periods, the last of which ends with as_of
  if (count < kFewestPeriods)
    return make_error(Code::kShape, fmt::format("{} periods of {} days from {} to {} are too few ({} needed)", count,
                                                p.length, day_text(first), day_text(as_of), kFewestPeriods));
  const Delays delays = delays_of(selected, as_of);
  const bool dated = ledger.dated_reports && !delays.delay.empty();
  const std::vector<double> law = dated ? delay_law(delays.delay, delays.limit) : std::vector<double>();
  double least_seen = o.least_seen;
  report.median_delay = std::numeric_limits<double>::quiet_NaN();
  if (dated) {
    report.median_delay = static_cast<double>(std::lower_bound(law.begin(), law.end(), 0.5) - law.begin());
    report.delay_p = same_delay(delays, law);
    if (report.delay_p && *report.delay_p < 0.01) {
      least_seen = std::max(least_seen, 0.9);
      report.notes.push_back(
          fmt::format("the kinds in question and the control kinds are reported with different delays (p = {:.2g}); so "
                      "periods count "
                      "only where at least 0.9 is known",
                      *report.delay_p));
    }
  } else {
    report.notes.emplace_back("not every report is dated: the last periods may miss reports that are still to come");
  }
  p.seen = seen_of(p, count, as_of, law);
  p.kept = count;
  while (p.kept > 0 && p.seen[p.kept - 1] < least_seen) --p.kept;
  p.split = p.kept / 2;
  if (o.since) {
    p.split = 0;
    while (p.split < p.kept && p.day(p.split) < *o.since) ++p.split;
  }
  if (p.kept < kFewestPeriods || p.split == 0 || p.split >= p.kept)
    return make_error(
        Code::kShape,
        fmt::format("{} periods of {} days are complete enough, {} of them before {}; {} are needed, some "
                    "on both sides",
                    p.kept, p.length, p.split, day_text(p.day(p.split)), kFewestPeriods));
  if (p.kept < count)
    report.notes.push_back(
        fmt::format("reports of the days from {} on are mostly still to come: left out", day_text(p.day(p.kept))));
  p.about.assign(count, 0);
  p.control.assign(count, 0);
  for (std::size_t k = 0; k < selected.incidents.size(); ++k) {
    const int day = selected.incidents[k].day;
    if (day >= p.first)
      (selected.about[k] ? p.about : p.control)[static_cast<std::size_t>((day - p.first) / p.length)] += 1;
  }
  std::vector<double> plain_use, plain_looked;
  for (std::size_t t = 0; t < count; ++t) {
    plain_use.push_back(use ? use->over(p.day(t), p.day(t + 1), false) : p.length);
    plain_looked.push_back(use ? use->over(p.day(t), p.day(t + 1), true) : p.length);
    p.use.push_back(plain_use[t] * p.seen[t]);
    p.looked.push_back(plain_looked[t] * p.seen[t]);
  }
  const double error = dated ? delay_error(delays, p, as_of, plain_use, rng.fork("delay")) : 0;
  PL_TRY(report.reports, by_counts("reports", p, p.about, p.use, error, o, rng));
  if (use && !use->effort.empty()) {
    const double also = dated ? delay_error(delays, p, as_of, plain_looked, rng.fork("delay of effort")) : 0;
    PL_TRY(report.effort, by_counts("effort", p, p.about, p.looked, also, o, rng));
  }
  double controls = 0;
  for (std::size_t t = 0; t < p.kept; ++t) controls += p.control[t];
  if (controls > 0) {
    PL_TRY(report.control, by_control(p, o, rng));
    stats::Series s{Noise::kCounts,
                    {p.control.begin(), p.control.begin() + static_cast<std::ptrdiff_t>(p.kept)},
                    {p.use.begin(), p.use.begin() + static_cast<std::ptrdiff_t>(p.kept)}};
    report.reporting = count_ratio(s, p.split, error);
  }
  correct(report);
  const auto note = [&](std::size_t n, const char* what) {
    if (n > 0) report.notes.push_back(fmt::format("{} incident{} {}", n, n == 1 ? "" : "s", what));
  };
  note(selected.other_kinds, "of kinds that are neither in question nor control: left out");
  note(selected.later, "after the day on which the ledger was closed: left out");
  note(selected.before, "before the first day: left out");
  note(ledger.undated, "without a day of occurrence: left out");
  note(ledger.repeated, "reported again: counted once");
  return report;
}

}  // namespace plumbline::system

#pragma once
/// Does something happen oftener, or is it only reported oftener?
/// Model    reports of a kind in period t are Poisson, or overdispersed by a common factor, with mean
///              use(t) x effort(t) x share already reported(t) x rate of the kind(t).
///          A ledger alone shows the product. Two ways part reporting from happening:
///          control  other kinds that are looked for and written down by the same people: among all reports of a
///          period, the share
///                   of the kind in question does not depend on use, effort or delay. Its odds after against before are
///                   the growth of the rate relative to the control kinds, whose own rate must stay as it is.
///          effort   a record of how much was looked at: it is the exposure of the counts.
/// Delay    reports of the last periods are still to come. The law of the delay is estimated from incidents by the day
/// of their
///          report, which are truncated on the right: F(d) = prod over s > d of (1 - n_s / R_s), R_s the incidents with
///          delay <= s that could have waited s days (Lagakos, Barraj and De Gruttola 1988; Kalbfleisch and Lawless
///          1989). Periods of which less than `least_seen` is expected to be known are left out; the others are scaled.
/// Outcome  "cannot say" is a value: without control kinds and without a record of effort there is no corrected growth;
/// where both
///          corrections exclude each other, neither is believed.

#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/change/changes.hpp"
#include "plumbline/system/ledger.hpp"

namespace plumbline::system {

struct GrowthOptions {
  std::vector<std::string> about;    ///< kinds in question
  std::vector<std::string> control;  ///< kinds of the same reporting whose rate stays
  std::optional<int> first;          ///< first day (default: of the first incident)
  std::optional<int> as_of;          ///< day on which the ledger was closed (default: the last day that it names)
  std::optional<int> since;  ///< growth is after this day against before (default: the later half of the periods)
  int period = 0;  ///< days of a period; 0: the least of 1, 7, 14, 28, 91 and 364 that makes at most 60 periods
  double least_seen = 0.5;
  stats::ChangeOptions search{};
};

/// Counts by period.
struct Periods {
  int first = 0;   ///< first day of the first period
  int length = 0;  ///< days
  std::vector<double> about, control;
  std::vector<double> seen;    ///< share already reported, as expected
  std::vector<double> use;     ///< use over the period (days where none is recorded) x seen
  std::vector<double> looked;  ///< use x effort x seen
  std::size_t kept = 0;        ///< periods that count; those after are too fresh
  std::size_t split = 0;       ///< first period of "after"
  int day(std::size_t period) const { return first + static_cast<int>(period) * length; }
};

/// One way to look at the growth.
struct GrowthView {
  std::string by;                    ///< "reports", "control", "effort"
  stats::Estimate growth;            ///< ratio after / before
  std::optional<double> p;           ///< "no change of level at all"; empty: too few periods to say
  stats::Changes changes;            ///< of rate or share; places count in `periods`. Of `reports` not searched
  std::vector<std::size_t> periods;  ///< with anything to see
};

struct GrowthReport {
  Periods periods;
  GrowthView reports;  ///< what the ledger shows, corrected for use and delay alone
  std::optional<GrowthView> control, effort;
  std::optional<stats::Estimate> corrected;  ///< control or effort; of both the hull
  std::string corrected_by;                  ///< "control", "effort", "control and effort"
  std::string cannot_say;                    ///< why there is no corrected growth
  std::optional<stats::Estimate>
      reporting;                  ///< ratio after / before of the control kinds, by use and delay: growth of reporting
  std::optional<double> delay_p;  ///< "both groups of kinds are reported with the same delay"
  double median_delay = 0;        ///< days; NaN where reports are not dated
  std::vector<std::string> notes;
};

/// Errors  kValue: about empty or a kind in both lists; period < 0; first, since or as_of out of order; least_seen
/// outside (0, 1].
///         kShape: fewer than 4 periods, or none on one side of `since`. Those of stats::find_changes.
/// Cost    O(incidents + days + draws x periods). Same seed, same bits.
base::Result<GrowthReport> find_growth(const Ledger& ledger, const std::optional<Use>& use,
                                       const GrowthOptions& options, const base::Rng& rng);

/// P(delay <= d | delay <= longest) for d = 0 … longest from right-truncated delays: delay[i] was seen because it is at
/// most limit[i]. `weight` (empty: 1) for resampling. Longest = the largest limit; delays at which fewer than 5 are at
/// risk change nothing. Precondition: 0 <= delay[i] <= limit[i].
std::vector<double> delay_law(const std::vector<int>& delay, const std::vector<int>& limit,
                              const std::vector<double>& weight = {});

}  // namespace plumbline::system

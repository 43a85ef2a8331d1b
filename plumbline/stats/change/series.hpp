#pragma once
/// A series in time whose points carry their own uncertainty, and the levels of its parts.
/// Four kinds of point share one form: point i adds an amount a_i and a mass m_i, a part's level is sum a / sum m, and
/// how well a part is described by one level is a function of the two sums alone.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::stats {

/// How points scatter about their level.
enum class Noise {
  kStated,   ///< normal with standard errors that are given; points may vary beyond them by a common variance
  kUnknown,  ///< some law, the same at every point
  kCounts,   ///< Poisson counts over an exposure, or overdispersed by a common factor
  kShares,   ///< hits of trials, or overdispersed by a common factor
};
std::string_view noise_name(Noise noise);

struct Series {
  Noise noise = Noise::kUnknown;
  std::vector<double> value;  ///< figure; for counts the count, for shares the hits
  std::vector<double> scale;  ///< standard error > 0; exposure > 0; trials >= 1; empty for kUnknown
};

/// Errors  kShape: no points; scale of another size (or given for kUnknown). kValue: non-finite value, scale not
///         positive, a count that is negative or no whole number, more hits than trials.
base::Status check_series(const Series& series);

/// Amounts and masses: kStated a = x / v, m = 1 / v with v = se^2 + extra; kUnknown a = x, m = 1; kCounts a = count, m
/// = exposure; kShares a = hits, m = trials.
struct Sums {
  std::vector<double> amount, mass;
};
Sums sums_of(const Series& series, double extra);

/// Twice the log-likelihood of a part at its own level, up to terms that all segmentations share (kUnknown: at variance
/// 1): A^2 / M, 2 A log(A / M), 2 (A log(A / M) + (M - A) log(1 - A / M)).
double fit_of(Noise noise, double amount, double mass);

/// gain[k - begin]: twice the log-likelihood ratio of "the level changes at k" to "one level" within [begin, end), for
/// k in (begin, end); entries closer than `shortest` to an end are 0.
std::vector<double> gains(Noise noise, const Sums& sums, std::size_t begin, std::size_t end, std::size_t shortest);

/// What points vary beyond their stated noise, given where the level changes (ascending, without 0 and n).
/// kStated    variance between points by moments, max(0, (Q - df) / C) (DerSimonian and Laird 1986, within parts)
/// kUnknown   the pooled variance within parts
/// kCounts, kShares   Pearson's statistic over its degrees of freedom, at least 1
double extra_of(const Series& series, std::span<const std::size_t> changes);

/// The same from the steps between neighbours alone, so that several changes of level add little to it (Rice 1984).
double extra_of_steps(const Series& series);

/// Level of the points [begin, end) with bounds; `parts` is the number of levels that `extra` was fitted with.
/// Bounds    kStated: normal, Student's t with n - parts degrees where extra > 0; kUnknown: Student's t; kCounts and
///           kShares: exact (Garwood 1936; Clopper and Pearson 1934) at counts divided by extra.
Estimate level_of(const Series& series, std::size_t begin, std::size_t end, double extra, std::size_t parts);

/// Levels of [begin, at) and [at, end) compared. kStated, kUnknown: the difference after - before. kCounts: the ratio
/// after / before, exact given the total (binomial). kShares: the difference, bounds by the square-and-add rule
/// (Newcombe 1998) on exact bounds of both.
Estimate step_of(const Series& series, std::size_t begin, std::size_t at, std::size_t end, double extra,
                 std::size_t parts);
/// Whether step_of gives a ratio.
inline bool step_is_ratio(Noise noise) { return noise == Noise::kCounts; }

/// A series that has one level in each of [begin, at) and [at, end) (at = begin: one level), drawn at random given the
/// sums of both parts, so that its law does not depend on the levels: normal bridges, shuffles, (Dirichlet-)multinomial
/// or hypergeometric counts. Overdispersed shares are drawn given the levels, since no exact law is at hand.
/// `extra` as extra_of gives it (kUnknown: not used). Points outside [begin, end) are copied.
Series redraw(const Series& series, std::size_t begin, std::size_t at, std::size_t end, double extra, base::Rng& rng);

}  // namespace plumbline::stats

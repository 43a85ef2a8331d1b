#pragma once
/// Did the level of a series change, where, and how sure is each answer?
/// Test      T = the largest gain over all places (series.hpp), with extra scatter as fitted at the best place or by
/// the steps
///           between neighbours, whichever is less: a variance between points is added to the stated ones; unknown
///           variances and overdispersion divide the gain. The law of T under "no change" is drawn: p = (1 + k) / (1 +
///           B), or h / draws at the h-th draw that reaches T (Besag and Clifford 1991). kUnknown: by shuffles, exact
///           for exchangeable points. kStated: normal draws with extra variance 0, as fitted, and far above the stated
///           ones; kCounts, kShares: dealt out given the total, exact for Poisson counts and binomial hits, and drawn
///           at 3 times the fitted dispersion. The largest p counts, so that false alarms hold whatever the points vary
///           by.
/// Several   binary segmentation: a part is split where its own test rejects at alpha times its share of the points.
/// Given
///           right splits, parts without change share alpha between them: a false change anywhere has probability <=
///           alpha. Places are then fitted again between their neighbours, and a change whose test between them says p
///           > alpha goes.
/// Place     the set of places that a conditional test does not reject at `level`: given the sums of both sides, the
/// law of
///           (largest gain - gain at k) is known, since a redrawn series depends on nothing else (Worsley 1986,
///           Siegmund 1988). For unknown noise the redraws are shuffles within both sides. Its ends are given, extra
///           scatter as fitted.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/stats/change/series.hpp"

namespace plumbline::stats {

struct ChangeOptions {
  double alpha = 0.05;       ///< probability of any change in a series that has none
  double level = 0.95;       ///< of the set of places
  std::size_t shortest = 2;  ///< points of a level: a single one that stands out is no change of level
  std::size_t draws = 999;   ///< at most, for each test
  std::size_t most = 50;     ///< changes
  base::CancelToken cancel{};
};

/// Points below which a change is not looked for.
inline constexpr std::size_t kFewestPoints = 5;
inline constexpr std::size_t kMostPoints = 20000;

struct Change {
  std::size_t at = 0;   ///< the first point of the new level
  std::size_t low = 0;  ///< the set of places lies in [low, high]
  std::size_t high = 0;
  Estimate before, after;  ///< levels from the change before to the change after, given the places
  Estimate step;           ///< difference; ratio for counts (step_is_ratio)
  double p = 1;            ///< "no change between the neighbouring changes"
};

struct Changes {
  std::vector<Change> changes;  ///< ascending
  std::optional<double> p;      ///< "no change at all"; empty: too few points to say
  double extra = 0;             ///< extra_of(series, changes)
  Noise noise = Noise::kUnknown;
  std::size_t points = 0;
  std::string method;
};

/// Errors  check_series; kValue: alpha or level outside (0, 1), shortest = 0, draws < 19. kLimit: more than kMostPoints
/// points.
///         kCancelled.
/// Cost    O(draws x n) a test that rejects (a few hundred draws x n otherwise), 2 changes + 1 tests and one more a
/// change; places
///         within reach x 199 x n. About 0.1 s for 100 points with a change, 1 s for 1000. Same seed, same bits.
base::Result<Changes> find_changes(const Series& series, const ChangeOptions& options, const base::Rng& rng);

/// The test alone.
struct NoChange {
  double p = 1;
  double statistic = 0;
  std::size_t at = 0;  ///< where the gain is largest
};
/// Errors as find_changes; kShape: fewer than kFewestPoints points or 2 shortest + 1.
base::Result<NoChange> no_change_test(const Series& series, const ChangeOptions& options, const base::Rng& rng);

}  // namespace plumbline::stats

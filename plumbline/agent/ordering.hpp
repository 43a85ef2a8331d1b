#pragma once
/// An order of approaches by what they truly achieved, over worlds and runs, and how well such an order tells good
/// approaches from bad ones.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::agent {

/// What approaches achieved: value[approach][world][run], a normalised truth; no runs: it did not run in that world.
struct Achievements {
  std::vector<std::string> approaches;
  std::vector<std::string> worlds;
  std::vector<std::vector<std::vector<double>>> value;
};

/// Two approaches on the worlds where both ran. `first` and `second` are indices of Ordering::approaches.
struct Comparison {
  std::size_t first = 0;
  std::size_t second = 0;
  std::size_t worlds = 0;  ///< where both ran; 0: they cannot be compared
  double difference = 0;   ///< mean over worlds of the difference of mean truth, first less second
  double improvement = 0;  ///< chance that a run of the first achieves more than one of the second; ties count half
  double p_value = 1;      ///< that both achieve alike, two-sided
  double adjusted = 1;     ///< by Holm, over all comparisons
  bool exact = false;      ///< neither varies: the difference is a fact about these worlds
  int better = 0;          ///< 1: the first is, at the level; -1: the second; 0: not told apart
};

/// Agreement of the order with itself: the runs are halved at random, each half is ordered for itself.
struct Stability {
  double kendall = 0;       ///< mean rank correlation (tau-b) between halves
  double low = 0;           ///< the 0.05 quantile of it
  double contradicted = 0;  ///< share of the pairs told apart whose means are the other way round in a half
  std::size_t halvings = 0;
};

struct Ordering {
  std::vector<std::string> approaches;  ///< best first: by the mean of their differences to all others
  std::vector<double> lead;             ///< that mean, of each
  std::vector<Comparison> pairs;        ///< all of them, first < second
  double level = 0.05;                  ///< of all claims together
  std::size_t runs = 0;                 ///< of each approach and world
  std::optional<Stability> stability;   ///< absent with fewer than two runs
};

/// What is rejected where two are told apart, in words for reports.
inline constexpr std::string_view kOrderingNull =
    "the same law of truth in every world, of single runs and not only of their mean";

struct OrderingOptions {
  double level = 0.05;
  std::size_t comparisons = 0;  ///< that the level is shared among; 0, or fewer than there are: as many as there are
  std::size_t halvings = 100;   ///< 0: stability is not measured
  base::CancelToken cancel{};
};

/// Question: which of these approaches achieves more than which, and does the order hold from run to run?
/// Formula:  d = mean over the worlds of both of (mean of A - mean of B); p = (1 + #{|d*| >= |d|}) / (1 + draws), d*
///           with the runs of A and B relabelled at random within each world; Holm over all pairs. Draws end at the
///           20th d* that is as large, then p = 20 / draws.
/// Shapes    approaches A, worlds W; every list of runs is empty or of one length n.
/// Returns   all pairs; better is told where the adjusted p is at most the level.
/// Assumes   runs of one approach in one world are independent and alike. What is rejected is that both achieve alike
///           in every world: the law of what a run achieves, not only its mean. The worlds are these worlds, not drawn
///           from others. A pair that never varies is compared exactly.
/// Errors    kShape: lists of other lengths; kValue: fewer than 2 approaches, a value that is not finite, a level
///           outside (0, 1); kCancelled.
/// Cost      at most 5 comparisons / level draws a pair, each O(W n). Same seed, same bits for any number of threads.
/// Source    Phipson and Smyth 2010; Besag and Clifford 1991 (the early end); Holm 1979.
base::Result<Ordering> order_approaches(const Achievements& achieved, const OrderingOptions& options,
                                        const base::Rng& rng);

/// Approaches planted between the plan for the truth and the plan for the reward. curve[w][k] is the truth in world w
/// of a policy that follows the first in a share k / (size - 1) of its episodes and else the second; linear between.
struct Planted {
  std::vector<std::string> worlds;
  std::vector<std::vector<double>> curve;
};

/// A good approach against a bad one, `strength` apart.
struct Detection {
  double strength = 0;    ///< difference of the mean dilution, 0 to 1
  double effect = 0;      ///< difference of the mean truth that this makes in these worlds
  stats::Estimate right;  ///< share of trials in which the good one was told to be better
  stats::Estimate wrong;  ///< in which the bad one was
};

struct OrderingPower {
  std::vector<Detection> detection;  ///< ascending strength
  stats::Estimate false_alarm;       ///< share of trials in which two copies of one approach were told apart
  std::size_t runs = 0;
  std::size_t comparisons = 0;
  std::size_t trials = 0;
  std::size_t worlds = 0;
};

struct PowerOptions {
  std::size_t trials = 200;
  std::size_t runs = 5;
  std::vector<double> strengths = {0.1, 0.2, 0.4, 0.8};
  OrderingOptions ordering{};
};

/// Question: for this many runs in these worlds, how often does order_approaches tell a good approach from a bad one,
///           and how often two copies of one approach?
/// Formula:  a run of an approach of mean m follows the plan for the truth in a share of its episodes that is drawn
/// from
///           Beta(2 m, 2 (1 - m)), the plan for the reward in the rest: runs that hack beside runs that do not, as
///           learners give them. Bad: m = 0.1, twice; good: m = 0.1 + strength. All are ordered together, at the level
///           of options.ordering.comparisons.
/// Returns   rates over trials with Clopper-Pearson bounds.
/// Errors    kShape: fewer than 2 points of a curve; kValue: no world, no trial, fewer than 2 runs, a strength outside
///           (0, 0.9]; those of order_approaches.
/// Cost      trials x order_approaches of strengths + 2 approaches. Same seed, same bits.
base::Result<OrderingPower> measure_power(const Planted& planted, const PowerOptions& options, const base::Rng& rng);

/// Rank correlation with ties, Kendall's tau-b; 1 where neither list can be told to differ. Precondition: one length.
double kendall_tau(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace plumbline::agent

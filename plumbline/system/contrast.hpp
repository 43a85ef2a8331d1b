#pragma once
/// Two arms of a trace compared: rows in which something was done against rows alike in which it was not.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::system {

/// A figure with one-sided bounds at any confidence.
struct Bounded {
  double value = 0;
  double n = 0;
  double n_effective = 0;
  std::string method;
  std::function<std::optional<double>(double)> low;
  std::function<std::optional<double>(double)> high;
  std::vector<std::string> warnings{};

  /// On the ladder.
  stats::Estimate estimate(const std::string& unit_of_sampling) const;
};

/// Value with Student's t bounds of a standard error.
Bounded student(double value, double error, double degrees, double n, std::string method);

/// Question  what is the mean of values under weights?
/// Formula   sum w x / sum w; variance from the units' sums of w (x - mean), with the factor G / (G - 1). Values that
///           are all 0 or 1: Clopper-Pearson at the effective size p (1 - p) / variance, at most Kish's size of the
///           rows' weights (of the units' where all rows agree), shrunk by (t(n - 1) / t(G - 1))^2. Others: Student's t
///           with G - 1 degrees. `inflation`: factor of the variance, for values that were made with a look at other
///           rows.
/// Shapes    values, weights n (weight 0: the row is not there); units n or empty.
/// Errors    kShape: sizes differ, fewer than 2 units with weight. kValue: a weight below 0, a value that is not finite
///           where the weight is above 0.
/// Outcome   no spread among values other than 0 and 1: no bounds, with a warning.
/// Cost      O(n log n). Deterministic.
/// Source    Korn and Graubard 1998.
base::Result<Bounded> weighted_mean(std::span<const double> values, std::span<const double> weights,
                                    std::span<const int> units, double inflation = 1);

/// Means of both arms, the second weighted to the first one's strata.
struct Contrast {
  Bounded treated;
  Bounded control;
  double compared = 1;    ///< share of the treated rows whose stratum holds control rows
  double null_error = 0;  ///< standard error of the difference if the arms were alike
};

/// Question  how does the mean differ between rows of the arm and rows alike outside of it?
/// Formula   treated: mean over rows of the arm; control: sum_s share_s mean_s, share_s that of the arm's rows in
///           stratum s. With a flag that was drawn by lot within strata: the effect on those drawn.
/// Shapes    values, flag (0, 1; other: not there), strata (-1: not there) n; units n or empty. Rows whose value is NaN
///           are not there.
/// Errors    kShape: sizes differ; an arm with fewer than 10 rows or 2 units to compare.
base::Result<Contrast> contrast(std::span<const double> values, std::span<const std::uint8_t> flag,
                                std::span<const int> strata, std::span<const int> units, double inflation = 1);

/// treated - control, bounds by the square root of the squared distances (MOVER, Zou and Donner 2008). Units that lie
/// in both arms make the bounds too wide where they have a level of their own.
Bounded difference(const Contrast& contrast);
/// treated / control, the values t with treated - t control = 0 by the same (Donner and Zou 2012). No upper bound where
/// the control's mean may be 0. Precondition: values not negative.
Bounded ratio(const Contrast& contrast);
/// One-sided p-value of "no difference" against treated > control.
double difference_p(const Contrast& contrast);

/// The least level at which the two-sided interval leaves 0 out, by bisection on its bounds; 1 where it has none.
double two_sided_p(const Bounded& figure);

/// The least of several figures. The lower bound needs no correction, since it holds for the figure that is least; the
/// upper one is the least upper bound at confidence 1 - (1 - c) / m. Precondition: not empty.
Bounded least_of(std::vector<Bounded> figures);
/// The greatest, likewise with the sides changed. Precondition: not empty.
Bounded greatest_of(std::vector<Bounded> figures);
/// factor x figure; a factor below 0 changes the sides.
Bounded scaled(const Bounded& figure, double factor);
/// Bounds moved outwards by `by` on both sides.
Bounded widened(const Bounded& figure, double by);
/// a b of figures that are not negative, each bounded at confidence 1 - (1 - c) / 2.
Bounded product(const Bounded& a, const Bounded& b);

}  // namespace plumbline::system

#pragma once
/// An estimate with one-sided bounds on a fixed ladder of confidences. It never depends on the claims that will
/// read it; a claim picks the rung that it needs.

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::stats {

/// One-sided confidences, ascending.
inline constexpr std::array<double, 8> kLadder = {0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9999};

/// The smallest rung at or above `confidence` (an adjusted level is rounded up); nothing above the top.
std::optional<std::size_t> rung_at_or_above(double confidence);

/// lower[i]: P(truth >= lower[i]) >= kLadder[i]; upper likewise; empty where the method cannot reach the rung.
struct Bounds {
  std::array<std::optional<double>, kLadder.size()> lower{};
  std::array<std::optional<double>, kLadder.size()> upper{};
};

enum class Exactness {
  kSampled,  ///< bounds are confidence bounds
  kExact,    ///< the figure is a fact about stated rows; low = high up to error_bound
  kBound,    ///< proved, possibly one-sided
};
std::string_view exactness_name(Exactness exactness);

/// A figure that may become evidence.
struct Estimate {
  double value = 0;
  Bounds bounds;
  double n = 0;            ///< units that entered
  double n_effective = 0;  ///< after clustering or weighting; equals n when units are independent
  std::string unit_of_sampling = "row";
  std::string method;  ///< "clopper-pearson", "bca bootstrap (2000)", ...
  Exactness exactness = Exactness::kSampled;
  double error_bound = 0;  ///< numeric error of an exact figure
  bool anytime = false;    ///< bounds hold at every sample size at once, so looking again costs nothing
  std::vector<std::string> assumptions;
  std::vector<std::string> warnings;  ///< "bootstrap of n = 12 rows covers about 0.89 at 0.95", ...

  /// Two-sided interval at `level`: both one-sided bounds at (1 + level) / 2, empty where that rung is not held.
  std::optional<double> low(double level = 0.95) const;
  std::optional<double> high(double level = 0.95) const;
};

/// Fills the ladder from two functions of the one-sided confidence; a function may return nothing for a rung.
Bounds make_bounds(const std::function<std::optional<double>(double)>& lower,
                   const std::function<std::optional<double>(double)>& upper);

/// A figure about stated rows, with no sampling in it.
Estimate exact(double value, double n, std::string method, double error_bound = 0);

}  // namespace plumbline::stats

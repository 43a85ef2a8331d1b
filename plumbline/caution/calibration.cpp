#include "plumbline/caution/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <string>

#include <fmt/format.h>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/non_central_chi_squared.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/caution/probabilities.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::caution {
namespace {

constexpr std::size_t kMostEntries = 600;

// One bin of one event: its rows are contiguous in the event's order of confidences.
struct Entry {
  double share = 0;     // of all rows times events
  double gap = 0;       // mean(outcome - confidence)
  double variance = 0;  // of the gap, from the residuals, rows taken for independent
  double implied = 0;   // of the gap, were outcomes drawn from the confidences
  double cautious = 0;  // of the gap, with half an outcome of each kind added
};

struct Binning {
  std::vector<Entry> entries;
  std::vector<std::vector<ReliabilityBin>> tables;
  std::vector<std::vector<int>> entry_of_row;  // by event
};

// First row of each bin in the order of confidences: about equal mass, never between equal confidences.
std::vector<std::size_t> cut(std::span<const double> ascending, std::size_t bins) {
  const std::size_t n = ascending.size();
  std::vector<std::size_t> starts = {0};
  for (std::size_t b = 1; b < bins; ++b) {
    const std::size_t target = b * n / bins;
    // The nearer of the two ends of the run of equal values around the target.
    const double value = ascending[target];
    const auto begin =
        static_cast<std::size_t>(std::lower_bound(ascending.begin(), ascending.end(), value) - ascending.begin());
    const auto end =
        static_cast<std::size_t>(std::upper_bound(ascending.begin(), ascending.end(), value) - ascending.begin());
    const std::size_t start = target - begin <= end - target ? begin : end;
    if (start > starts.back() && start < n && start - starts.back() >= 2 && n - start >= 2) starts.push_back(start);
  }
  return starts;
}

Binning make_bins(MatrixRefD confidences, MatrixRefD outcomes, std::size_t bins, double band_level) {
  const auto n = static_cast<std::size_t>(confidences.rows());
  const auto events = static_cast<std::size_t>(confidences.cols());
  Binning result;
  for (std::size_t e = 0; e < events; ++e) {
    const auto column = static_cast<std::ptrdiff_t>(e);
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return confidences(static_cast<std::ptrdiff_t>(a), column) < confidences(static_cast<std::ptrdiff_t>(b), column);
    });
    std::vector<double> ascending(n);
    for (std::size_t i = 0; i < n; ++i) ascending[i] = confidences(static_cast<std::ptrdiff_t>(order[i]), column);
    auto starts = cut(ascending, bins);
    starts.push_back(n);
    std::vector<int> entry_of_row(n);
    std::vector<ReliabilityBin> table;
    for (std::size_t b = 0; b + 1 < starts.size(); ++b) {
      const std::span own = std::span(ascending).subspan(starts[b], starts[b + 1] - starts[b]);
      const auto count = static_cast<double>(own.size());
      std::vector<double> outcome(own.size());
      std::vector<double> residual(own.size());
      std::vector<double> spread(own.size());
      for (std::size_t i = 0; i < own.size(); ++i) {
        const std::size_t row = order[starts[b] + i];
        entry_of_row[row] = static_cast<int>(result.entries.size());
        outcome[i] = outcomes(static_cast<std::ptrdiff_t>(row), column);
        residual[i] = outcome[i] - own[i];
        spread[i] = own[i] * (1.0 - own[i]);
      }
      const stats::Moments moments = stats::moments(residual);
      const double right = base::ordered_sum(outcome);
      const double smoothed = (right + 0.5) / (count + 1.0);
      Entry entry;
      entry.share = count / (static_cast<double>(n) * static_cast<double>(events));
      entry.gap = moments.mean;
      entry.variance = moments.variance / count;
      entry.implied = base::ordered_mean(spread) / count;
      entry.cautious = smoothed * (1.0 - smoothed) / count;
      result.entries.push_back(entry);
      const MeanBand band = consistency_band(own, band_level);
      table.push_back(
          {own.front(), own.back(), base::ordered_mean(own), right / count, own.size(), band.low, band.high});
    }
    result.tables.push_back(std::move(table));
    result.entry_of_row.push_back(std::move(entry_of_row));
  }
  return result;
}

// Covariance of z_e = sqrt(share_e) gap_e over units: sum of outer products of the units' contributions.
MatrixD covariance_over_units(const Binning& binning, MatrixRefD confidences, MatrixRefD outcomes,
                              const stats::UnitIndex& units) {
  const auto size = static_cast<std::ptrdiff_t>(binning.entries.size());
  std::vector<double> rows(binning.entries.size(), 0.0);
  std::vector<double> touching(binning.entries.size(), 0.0);
  std::vector<std::size_t> last(binning.entries.size(), units.count());
  for (const auto& entry_of_row : binning.entry_of_row) {
    for (std::size_t u = 0; u < units.count(); ++u) {
      for (const std::size_t i : units.rows_of(u)) {
        const auto e = static_cast<std::size_t>(entry_of_row[i]);
        rows[e] += 1;
        if (last[e] != u) touching[e] += 1;
        last[e] = u;
      }
    }
  }
  std::vector<double> scale(binning.entries.size());
  for (std::size_t e = 0; e < scale.size(); ++e) {
    const double correction = touching[e] > 1 ? touching[e] / (touching[e] - 1.0) : 1.0;
    scale[e] = std::sqrt(binning.entries[e].share * correction) / rows[e];
  }
  MatrixD sum = MatrixD::Zero(size, size);
  std::vector<double> own(binning.entries.size(), 0.0);
  std::vector<std::size_t> touched;
  for (std::size_t u = 0; u < units.count(); ++u) {
    touched.clear();
    for (const std::size_t i : units.rows_of(u)) {
      for (std::size_t event = 0; event < binning.entry_of_row.size(); ++event) {
        const auto e = static_cast<std::size_t>(binning.entry_of_row[event][i]);
        const auto row = static_cast<std::ptrdiff_t>(i);
        const auto column = static_cast<std::ptrdiff_t>(event);
        if (std::find(touched.begin(), touched.end(), e) == touched.end()) touched.push_back(e);
        own[e] += scale[e] * (outcomes(row, column) - confidences(row, column) - binning.entries[e].gap);
      }
    }
    for (const std::size_t a : touched) {
      for (const std::size_t b : touched)
        sum(static_cast<std::ptrdiff_t>(a), static_cast<std::ptrdiff_t>(b)) += own[a] * own[b];
    }
    for (const std::size_t e : touched) own[e] = 0;
  }
  return sum;
}

double trace(const MatrixD& a) {
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < a.rows(); ++i) sum += a(i, i);
  return sum;
}

double inner(const MatrixD& a, const MatrixD& b) {
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < a.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < a.cols(); ++j) sum += a(i, j) * b(i, j);
  }
  return sum;
}

// Law of |mu + noise|^2 - trace(covariance) for |mu|^2 = t in a fixed direction. Liu, Tang, Zhang 2009: a noncentral
// chi-square that shares mean, variance, skewness and (where possible) kurtosis; exact when all variances are equal.
class SquaredLaw {
 public:
  SquaredLaw(const MatrixD& covariance, const std::vector<double>& direction) {
    const std::ptrdiff_t n = covariance.rows();
    const MatrixD square = covariance * covariance;
    central_ = {trace(covariance), trace(square), inner(square, covariance), inner(square, square)};
    VectorD u(n);
    for (std::ptrdiff_t i = 0; i < n; ++i) u(i) = direction[static_cast<std::size_t>(i)];
    VectorD su = VectorD::Zero(n);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::ptrdiff_t j = 0; j < n; ++j) su(i) += covariance(i, j) * u(j);
    }
    double usu = 0;
    double us2u = 0;
    double us3u = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      usu += u(i) * su(i);
      us2u += su(i) * su(i);
      for (std::ptrdiff_t j = 0; j < n; ++j) us3u += su(i) * covariance(i, j) * su(j);
    }
    along_ = {1.0, usu, us2u, us3u};
  }

  /// P(figure <= debiased) when the squared error is t.
  double cdf(double debiased, double t) const {
    std::array<double, 4> c{};
    for (std::size_t k = 0; k < 4; ++k) c[k] = central_[k] + static_cast<double>(k + 1) * t * along_[k];
    if (c[1] <= 0) return debiased >= t ? 1.0 : 0.0;
    const double standard = (debiased - t) / std::sqrt(2.0 * c[1]);
    const double s1 = c[2] / std::pow(c[1], 1.5);
    const double s2 = c[3] / (c[1] * c[1]);
    double a = 1.0 / s1;
    double noncentral = 0;
    double degrees = a * a;
    if (s1 * s1 > s2) {
      a = 1.0 / (s1 - std::sqrt(s1 * s1 - s2));
      noncentral = s1 * a * a * a - a * a;
      degrees = a * a - 2.0 * noncentral;
    }
    if (degrees + noncentral > 1e4) return stats::normal_cdf(standard);
    const double x = standard * std::numbers::sqrt2 * a + degrees + noncentral;
    if (x <= 0) return 0;
    if (noncentral <= 0) return boost::math::cdf(boost::math::chi_squared_distribution<double>(degrees), x);
    return boost::math::cdf(boost::math::non_central_chi_squared_distribution<double>(degrees, noncentral), x);
  }

 private:
  std::array<double, 4> central_{};  // tr S^k
  std::array<double, 4> along_{};    // u' S^(k-1) u
};

// Law of sum |N(mu_e, s_e)| - its mean, for sum |mu_e| = t in a fixed direction: a shifted gamma with its variance and
// third moment. Covariances enter to second order in the correlations (Hermite expansion of |x|).
class AbsoluteLaw {
 public:
  AbsoluteLaw(const MatrixD& covariance, std::vector<double> direction)
      : covariance_(covariance), direction_(std::move(direction)) {}

  struct Moments {
    double mean = 0;
    double variance = 0;
    double third = 0;
  };
  Moments moments(double t) const {
    Moments total;
    const auto size = direction_.size();
    std::vector<double> slope(size);
    std::vector<double> bend(size);
    for (std::size_t e = 0; e < size; ++e) {
      const auto index = static_cast<std::ptrdiff_t>(e);
      const double mu = t * direction_[e];
      const double s = std::sqrt(covariance_(index, index));
      if (s <= 0) {
        total.mean += std::abs(mu);
        continue;
      }
      const double m = mu / s;
      const double density = std::sqrt(2.0 / std::numbers::pi) * std::exp(-0.5 * m * m);
      const double signs = std::erf(m / std::numbers::sqrt2);
      const double first = density + m * signs;
      const double second = 1.0 + m * m;
      const double third = (m * m * m + 3.0 * m) * signs + (m * m + 2.0) * density;
      total.mean += s * first;
      total.variance += s * s * (second - first * first);
      total.third += s * s * s * (third - 3.0 * first * second + 2.0 * first * first * first);
      slope[e] = signs;
      bend[e] = density / s;
    }
    for (std::size_t a = 0; a < size; ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const double c = covariance_(static_cast<std::ptrdiff_t>(a), static_cast<std::ptrdiff_t>(b));
        total.variance += 2.0 * (slope[a] * slope[b] * c + 0.5 * bend[a] * bend[b] * c * c);
      }
    }
    return total;
  }

  /// P(figure - mean <= excess) when the error is t.
  double cdf(double excess, double t) const {
    const Moments m = moments(t);
    if (m.variance <= 0) return excess >= 0 ? 1.0 : 0.0;
    const double deviation = std::sqrt(m.variance);
    const double skewness = m.third / (m.variance * deviation);
    const double standard = excess / deviation;
    if (skewness < 1e-4) return stats::normal_cdf(standard);
    const double shape = 4.0 / (skewness * skewness);
    const double x = shape + standard * std::sqrt(shape);
    if (x <= 0) return 0;
    return boost::math::cdf(boost::math::gamma_distribution<double>(shape, 1.0), x);
  }

 private:
  const MatrixD& covariance_;
  std::vector<double> direction_;
};

// Where a falling function crosses the target, for an argument in [0, 1]; 0 when it starts below. Doubles from `scale`
// to a bracket, then the Illinois variant of false position.
double falling_root(const std::function<double(double)>& f, double target, double scale) {
  double low = 0;
  double at_low = f(0) - target;
  if (at_low <= 0) return 0;
  double high = std::clamp(scale, 1e-12, 1.0);
  double at_high = f(high) - target;
  while (at_high > 0) {
    if (high >= 1.0) return 1.0;
    low = high;
    at_low = at_high;
    high = std::min(1.0, 2.0 * high);
    at_high = f(high) - target;
  }
  int side = 0;
  for (int i = 0; i < 60 && high - low > 1e-9 * high; ++i) {
    double middle = (low * at_high - high * at_low) / (at_high - at_low);
    if (!(middle > low && middle < high) || i % 8 == 7) middle = 0.5 * (low + high);
    const double value = f(middle) - target;
    if (value > 0) {
      low = middle;
      at_low = value;
      if (side == 1) at_high *= 0.5;
      side = 1;
    } else {
      high = middle;
      at_high = value;
      if (side == -1) at_low *= 0.5;
      side = -1;
      if (value == 0) return middle;
    }
  }
  return 0.5 * (low + high);
}

// Unit direction of a vector in the given norm's sense; even when all entries are 0.
std::vector<double> direction_of(const std::vector<double>& values, double norm) {
  std::vector<double> direction(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) direction[i] = values[i] / norm;
  return direction;
}

}  // namespace

MeanBand consistency_band(std::span<const double> probabilities, double level) {
  const auto n = static_cast<double>(probabilities.size());
  const double tail = 0.5 * (1.0 - level);
  if (probabilities.size() > 20000) {
    std::vector<double> spread(probabilities.size());
    for (std::size_t i = 0; i < spread.size(); ++i) spread[i] = probabilities[i] * (1.0 - probabilities[i]);
    const double mean = base::ordered_mean(probabilities);
    const double reach = stats::normal_quantile(1.0 - tail) * std::sqrt(base::ordered_sum(spread)) / n;
    return {std::max(0.0, mean - reach), std::min(1.0, mean + reach)};
  }
  // Poisson-binomial law by convolution, kept on the window [first, first + size) where it exceeds 1e-18.
  std::vector<double> law = {1.0};
  std::size_t first = 0;
  for (const double p : probabilities) {
    law.push_back(0.0);
    for (std::size_t k = law.size() - 1; k > 0; --k) law[k] = law[k] * (1.0 - p) + law[k - 1] * p;
    law[0] *= 1.0 - p;
    std::size_t lead = 0;
    while (lead + 1 < law.size() && law[lead] < 1e-18) ++lead;
    if (lead > 0) {
      law.erase(law.begin(), law.begin() + static_cast<std::ptrdiff_t>(lead));
      first += lead;
    }
    while (law.size() > 1 && law.back() < 1e-18) law.pop_back();
  }
  MeanBand band{static_cast<double>(first) / n, static_cast<double>(first + law.size() - 1) / n};
  double below = 0;
  for (std::size_t k = 0; k < law.size(); ++k) {  // largest low with P(count < low) <= tail
    band.low = static_cast<double>(first + k) / n;
    below += law[k];
    if (below > tail) break;
  }
  double above = 0;
  for (std::size_t k = law.size(); k-- > 0;) {
    band.high = static_cast<double>(first + k) / n;
    above += law[k];
    if (above > tail) break;
  }
  return band;
}

base::Result<CalibrationError> calibration_error(MatrixRefD confidences, MatrixRefD outcomes,
                                                 std::span<const int> units, const CalibrationOptions& options) {
  constexpr auto kName = "calibration_error";
  PL_CHECK(base::check_at_least(kName, "confidences.rows()", confidences.rows(), 2));
  PL_CHECK(base::check_at_least(kName, "confidences.cols()", confidences.cols(), 1));
  PL_CHECK(base::check_size(kName, "outcomes.rows()", outcomes.rows(), confidences.rows()));
  PL_CHECK(base::check_size(kName, "outcomes.cols()", outcomes.cols(), confidences.cols()));
  PL_CHECK(base::check_at_least(kName, "options.bins", options.bins, 1));
  PL_CHECK(base::check_at_least(kName, "options.least_per_bin", options.least_per_bin, 2));
  PL_CHECK(base::check_in_open(kName, "options.band_level", options.band_level, 0.0, 1.0));
  for (std::ptrdiff_t i = 0; i < confidences.rows(); ++i) {
    for (std::ptrdiff_t e = 0; e < confidences.cols(); ++e) {
      if (!(confidences(i, e) >= 0 && confidences(i, e) <= 1)) {
        return base::check_in(kName, fmt::format("confidences({}, {})", i, e), confidences(i, e), 0.0, 1.0).error();
      }
      if (!(outcomes(i, e) >= 0 && outcomes(i, e) <= 1)) {
        return base::check_in(kName, fmt::format("outcomes({}, {})", i, e), outcomes(i, e), 0.0, 1.0).error();
      }
    }
  }
  PL_TRY(const auto groups, stats::group_units(units, static_cast<std::size_t>(confidences.rows())));
  PL_CHECK(base::check_at_least(kName, "number of units", static_cast<std::ptrdiff_t>(groups.count()), 2));

  const std::size_t most = std::max<std::size_t>(1, groups.count() / static_cast<std::size_t>(options.least_per_bin));
  const std::size_t bins = std::min(most, static_cast<std::size_t>(options.bins));
  if (bins * static_cast<std::size_t>(confidences.cols()) > kMostEntries) {
    return base::make_error(
        base::Code::kLimit,
        fmt::format("{} bins for each of {} events exceed {} in all", bins, confidences.cols(), kMostEntries), kName,
        "lower options.bins");
  }
  Binning binning = make_bins(confidences, outcomes, bins, options.band_level);
  const std::size_t size = binning.entries.size();
  const MatrixD estimated = covariance_over_units(binning, confidences, outcomes, groups);

  // What rows that share a unit add to the variance, over all bins.
  double independent = 0;
  for (const Entry& entry : binning.entries) independent += entry.share * entry.variance;
  const double estimated_trace = trace(estimated);
  const double design = groups.count() == static_cast<std::size_t>(confidences.rows()) || independent <= 0
                            ? 1.0
                            : std::max(1.0, estimated_trace / independent);
  MatrixD spread = estimated;   // for the width of the law
  MatrixD implied = estimated;  // for the noise taken out of lower bounds
  for (std::size_t e = 0; e < size; ++e) {
    const auto i = static_cast<std::ptrdiff_t>(e);
    const Entry& entry = binning.entries[e];
    const double floor = entry.share * design * entry.implied;
    implied(i, i) = std::max(estimated(i, i), floor);
    spread(i, i) = std::max(implied(i, i), entry.share * design * entry.cautious);
  }

  CalibrationError result;
  std::vector<double> rooted(size);    // sqrt(share) gap
  std::vector<double> absolute(size);  // share |gap|
  double squares = 0;
  for (std::size_t e = 0; e < size; ++e) {
    const Entry& entry = binning.entries[e];
    rooted[e] = std::sqrt(entry.share) * entry.gap;
    absolute[e] = entry.share * std::abs(entry.gap);
    squares += rooted[e] * rooted[e];
    result.plug_in_ece += absolute[e];
    result.largest_gap = std::max(result.largest_gap, std::abs(entry.gap));
  }
  result.plug_in_rms = std::sqrt(squares);
  result.squared = squares - estimated_trace;

  // rms. Without any gap every direction is alike; take the even one.
  const std::vector<double> even(size, 1.0 / std::sqrt(static_cast<double>(size)));
  const SquaredLaw squared_law(spread, squares > 0 ? direction_of(rooted, result.plug_in_rms) : even);
  const double cautious_squared = squares - trace(implied);
  const double squared_scale = squares + trace(spread);
  const auto squared_lower = [&](double c) -> std::optional<double> {
    return std::sqrt(falling_root([&](double t) { return squared_law.cdf(cautious_squared, t); }, c, squared_scale));
  };
  const double squared_at_zero = squared_law.cdf(result.squared, 0.0);
  const auto squared_upper = [&](double c) -> std::optional<double> {
    const double target = (1.0 - c) * squared_at_zero;
    if (target <= 0) return 1.0;
    return std::sqrt(falling_root([&](double t) { return squared_law.cdf(result.squared, t); }, target, squared_scale));
  };
  stats::Estimate base;
  base.n = static_cast<double>(confidences.rows());
  base.n_effective = units.empty() ? base.n : stats::kish_size(groups);
  base.assumptions = {"independent units",
                      fmt::format("gaps averaged within {} bins an event: at most the unbinned error", bins)};
  if (groups.count() < 50) {
    base.warnings = {fmt::format("only {} units: the normal law of the gaps is rough", groups.count())};
  }
  result.rms = base;
  result.rms.value = std::sqrt(std::max(0.0, result.squared));
  result.rms.method = "debiased binned error, inversion of the quadratic form's law";
  result.rms.bounds = stats::make_bounds(squared_lower, squared_upper);

  // ece. In units of share x gap the covariance is D S D with D = diag(sqrt(share)).
  MatrixD absolute_spread = spread;
  MatrixD absolute_noise = estimated;
  MatrixD absolute_implied = implied;
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b < size; ++b) {
      const double factor = std::sqrt(binning.entries[a].share * binning.entries[b].share);
      const auto i = static_cast<std::ptrdiff_t>(a);
      const auto j = static_cast<std::ptrdiff_t>(b);
      absolute_spread(i, j) *= factor;
      absolute_noise(i, j) *= factor;
      absolute_implied(i, j) *= factor;
    }
  }
  const std::vector<double> uniform(size, 1.0 / static_cast<double>(size));
  const std::vector<double> toward = result.plug_in_ece > 0 ? direction_of(absolute, result.plug_in_ece) : uniform;
  // Noise adds least to the plug-in figure when every bin misses by the same number of deviations: upper bounds take
  // the larger of what that direction and the observed one give; the observed one serves lower bounds and the value.
  std::vector<double> level_gaps(size);
  double total_deviation = 0;
  for (std::size_t e = 0; e < size; ++e) {
    const auto i = static_cast<std::ptrdiff_t>(e);
    total_deviation += level_gaps[e] = std::sqrt(absolute_spread(i, i));
  }
  const std::vector<double> flat = total_deviation > 0 ? direction_of(level_gaps, total_deviation) : uniform;
  const AbsoluteLaw absolute_law(absolute_spread, toward);
  const AbsoluteLaw implied_law(absolute_implied, toward);
  const AbsoluteLaw noise_law(absolute_noise, toward);
  const AbsoluteLaw flat_law(absolute_spread, flat);
  const AbsoluteLaw flat_noise_law(absolute_noise, flat);
  const double ece_scale = result.plug_in_ece + total_deviation;
  const auto ece_lower = [&](double c) -> std::optional<double> {
    return falling_root([&](double t) { return absolute_law.cdf(result.plug_in_ece - implied_law.moments(t).mean, t); },
                        c, ece_scale);
  };
  const double ece_at_zero = absolute_law.cdf(result.plug_in_ece - noise_law.moments(0).mean, 0.0);
  const auto ece_upper = [&](double c) -> std::optional<double> {
    const double target = (1.0 - c) * ece_at_zero;
    if (target <= 0) return 1.0;
    return std::max(
        falling_root([&](double t) { return flat_law.cdf(result.plug_in_ece - flat_noise_law.moments(t).mean, t); },
                     target, ece_scale),
        falling_root([&](double t) { return absolute_law.cdf(result.plug_in_ece - noise_law.moments(t).mean, t); },
                     target, ece_scale));
  };
  result.ece = base;
  result.ece.value = falling_root([&](double t) { return -noise_law.moments(t).mean; }, -result.plug_in_ece, ece_scale);
  result.ece.method = "binned error less its noise, inversion of the law of folded normals";
  result.ece.bounds = stats::make_bounds(ece_lower, ece_upper);

  for (stats::Estimate* estimate : {&result.rms, &result.ece}) {
    for (auto& bound : estimate->bounds.lower) bound = std::min(*bound, estimate->value);
    for (auto& bound : estimate->bounds.upper) bound = std::max(*bound, estimate->value);
  }
  result.bins = std::move(binning.tables);
  return result;
}

base::Result<CalibrationError> top_label_calibration(MatrixRefD probabilities, std::span<const int> labels,
                                                     std::span<const int> units, const CalibrationOptions& options) {
  constexpr auto kName = "top_label_calibration";
  PL_CHECK(check_probabilities(kName, probabilities));
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels(kName, "labels", labels, static_cast<int>(probabilities.cols())));
  MatrixD confidences(probabilities.rows(), 1);
  MatrixD outcomes(probabilities.rows(), 1);
  for (std::ptrdiff_t i = 0; i < probabilities.rows(); ++i) {
    std::ptrdiff_t top = 0;
    for (std::ptrdiff_t c = 1; c < probabilities.cols(); ++c)
      top = probabilities(i, c) > probabilities(i, top) ? c : top;
    confidences(i, 0) = std::min(1.0, probabilities(i, top));
    outcomes(i, 0) = top == labels[static_cast<std::size_t>(i)] ? 1.0 : 0.0;
  }
  return calibration_error(confidences, outcomes, units, options);
}

base::Result<CalibrationError> class_wise_calibration(MatrixRefD probabilities, std::span<const int> labels,
                                                      std::span<const int> units, const CalibrationOptions& options) {
  constexpr auto kName = "class_wise_calibration";
  PL_CHECK(check_probabilities(kName, probabilities));
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels(kName, "labels", labels, static_cast<int>(probabilities.cols())));
  MatrixD outcomes = MatrixD::Zero(probabilities.rows(), probabilities.cols());
  for (std::ptrdiff_t i = 0; i < outcomes.rows(); ++i) outcomes(i, labels[static_cast<std::size_t>(i)]) = 1.0;
  CalibrationOptions own = options;
  own.bins = std::max(1, std::min<int>(options.bins, static_cast<int>(300 / probabilities.cols())));
  return calibration_error(probabilities.array().min(1.0).matrix(), outcomes, units, own);
}

base::Result<std::vector<double>> brier_rows(MatrixRefD probabilities, std::span<const int> labels) {
  PL_CHECK(check_probabilities("brier_rows", probabilities));
  PL_CHECK(base::check_size("brier_rows", "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels("brier_rows", "labels", labels, static_cast<int>(probabilities.cols())));
  std::vector<double> values(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::ptrdiff_t c = 0; c < probabilities.cols(); ++c) {
      const double gap = probabilities(static_cast<std::ptrdiff_t>(i), c) - (c == labels[i] ? 1.0 : 0.0);
      values[i] += gap * gap;
    }
  }
  return values;
}

base::Result<std::vector<double>> log_loss_rows(MatrixRefD probabilities, std::span<const int> labels, double floor) {
  PL_CHECK(check_probabilities("log_loss_rows", probabilities));
  PL_CHECK(base::check_size("log_loss_rows", "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels("log_loss_rows", "labels", labels, static_cast<int>(probabilities.cols())));
  PL_CHECK(base::check_in_open("log_loss_rows", "floor", floor, 0.0, 1.0));
  std::vector<double> values(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    values[i] = -std::log(std::min(1.0, std::max(floor, probabilities(static_cast<std::ptrdiff_t>(i), labels[i]))));
  }
  return values;
}

}  // namespace plumbline::caution

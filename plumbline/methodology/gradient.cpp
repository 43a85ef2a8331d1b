#include "plumbline/methodology/gradient.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/log_gamma.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::methodology {

namespace {

constexpr std::ptrdiff_t kSteps = 8;
constexpr double kFirstStep = 1e-3;  // both in units of the row's root mean square
constexpr double kJitter = 1e-2;
constexpr std::ptrdiff_t kPointsPerProbe = 2 * kSteps + 1;

double step(std::ptrdiff_t j) { return kFirstStep * std::ldexp(1.0, -static_cast<int>(j)); }

struct Derivative {
  double value = 0;
  double error = std::numeric_limits<double>::infinity();
};

/// Ridders' tableau over central differences at halved steps: column i removes the error term of order 2 i.
Derivative extrapolate(const std::array<double, kSteps>& central) {
  std::array<std::array<double, kSteps>, kSteps> tableau{};
  Derivative best;
  for (std::size_t j = 0; j < kSteps; ++j) {
    tableau[j][0] = central[j];
    double factor = 4;
    for (std::size_t i = 1; i <= j; ++i, factor *= 4) {
      tableau[j][i] = (factor * tableau[j][i - 1] - tableau[j - 1][i - 1]) / (factor - 1);
      const double error =
          std::max(std::fabs(tableau[j][i] - tableau[j][i - 1]), std::fabs(tableau[j][i] - tableau[j - 1][i - 1]));
      if (error < best.error) best = {tableau[j][i], error};
    }
  }
  return best;
}

/// Values of one probe: f(0), then f(+h_j), f(-h_j) for each step.
GradientProbe judge(std::span<const double> f, double scale, double analytic, double resolution) {
  std::array<double, kSteps> central{};
  std::array<double, kSteps> bend{};  // right derivative minus left derivative
  double largest = std::fabs(f[0]);
  for (std::size_t j = 0; j < kSteps; ++j) {
    const double h = scale * step(static_cast<std::ptrdiff_t>(j));
    const double up = f[1 + 2 * j];
    const double down = f[2 + 2 * j];
    central[j] = (up - down) / (2 * h);
    bend[j] = (up - 2 * f[0] + down) / h;
    largest = std::max({largest, std::fabs(up), std::fabs(down)});
  }
  const Derivative numeric = extrapolate(central);
  // Rounding of outputs, times a factor for what a deep network adds, at the smallest step.
  const double noise = 64 * std::numeric_limits<double>::epsilon() * largest / (scale * step(kSteps - 1));
  const double size = std::max(std::fabs(analytic), std::fabs(numeric.value));

  GradientProbe probe;
  probe.analytic = analytic;
  probe.numeric = numeric.value;
  probe.uncertainty = numeric.error;
  probe.gap = size > noise ? std::fabs(analytic - numeric.value) / size : 0.0;
  const double last_bend = std::fabs(bend[kSteps - 1]);
  // A smooth function halves its bend with the step; a kink at the point keeps it.
  if (last_bend > 0.7 * std::fabs(bend[kSteps - 2]) && last_bend > std::max(noise, 1e-6 * size)) {
    probe.kind = ProbeKind::kKink;
  } else if (numeric.error > std::max(noise, resolution * size)) {
    probe.kind = ProbeKind::kRough;
  }
  // The error of the central difference shows where it stands clear of rounding at its own step.
  const double coarse = std::fabs(central[0] - numeric.value);
  const double fine = std::fabs(central[1] - numeric.value);
  const double rounding = 4 * std::numeric_limits<double>::epsilon() * largest / (scale * step(1));
  if (probe.kind == ProbeKind::kSmooth && fine > 100 * rounding && fine > 100 * numeric.error) {
    probe.convergence = std::log2(coarse / fine);
  }
  return probe;
}

base::Status check_matrix(std::string_view name, const MatrixD& values, std::ptrdiff_t rows, std::ptrdiff_t columns) {
  PL_CHECK(base::check_size("check_gradient", fmt::format("rows of {}", name), values.rows(), rows));
  PL_CHECK(base::check_size("check_gradient", fmt::format("columns of {}", name), values.cols(), columns));
  return base::check_all_finite("check_gradient", name, {values.data(), static_cast<std::size_t>(values.size())});
}

}  // namespace

base::Result<stats::Estimate> median_estimate(std::vector<double> values) {
  if (values.empty()) return base::make_error(base::Code::kShape, "median_estimate: values is empty");
  for (const double value : values) {
    if (std::isnan(value)) return base::make_error(base::Code::kValue, "median_estimate: a value is NaN");
  }
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  // below[k] = P(Binomial(n, 1/2) <= k)
  std::vector<double> below(n + 1);
  const double all = base::log_gamma(static_cast<double>(n) + 1);
  double sum = 0;
  for (std::size_t k = 0; k <= n; ++k) {
    const auto successes = static_cast<double>(k);
    const auto failures = static_cast<double>(n - k);
    sum += std::exp(all - base::log_gamma(successes + 1) - base::log_gamma(failures + 1) -
                    static_cast<double>(n) * std::log(2.0));
    below[k] = sum;
  }
  /// The largest k with P(Binomial < k) <= 1 - confidence; 0 when there is none.
  const auto rank = [&](double confidence) {
    std::size_t k = 0;
    while (k < n && below[k] <= 1 - confidence) ++k;
    return k;
  };
  stats::Estimate estimate;
  estimate.value = n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
  estimate.bounds = stats::make_bounds(
      [&](double c) { return rank(c) > 0 ? std::optional<double>(values[rank(c) - 1]) : std::nullopt; },
      [&](double c) { return rank(c) > 0 ? std::optional<double>(values[n - rank(c)]) : std::nullopt; });
  estimate.n = static_cast<double>(n);
  estimate.n_effective = estimate.n;
  estimate.method = "median, order statistics";
  return estimate;
}

base::Result<GradientCheck> check_gradient(MatrixRefD rows, const OutputFunction& outputs,
                                           const GradientFunction& gradient, base::Rng rng,
                                           const GradientOptions& options) {
  const std::ptrdiff_t n = rows.rows();
  const std::ptrdiff_t d = rows.cols();
  PL_CHECK(base::check_at_least("check_gradient", "rows", n, 1));
  PL_CHECK(base::check_at_least("check_gradient", "columns of rows", d, 1));
  PL_CHECK(base::check_in_open("check_gradient", "resolution", options.resolution, 0.0, 1.0));
  PL_CHECK(base::check_in("check_gradient", "discarded_limit", options.discarded_limit, 0.0, 1.0));
  const MatrixD given = rows;
  PL_CHECK(base::check_all_finite("check_gradient", "rows", {given.data(), static_cast<std::size_t>(given.size())}));

  MatrixD centres(n, d);
  MatrixD directions(n, d);
  MatrixD points(n * kPointsPerProbe, d);
  std::vector<double> scales;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    base::Rng stream = rng.fork(static_cast<std::uint64_t>(i));
    double square = 0;
    for (std::ptrdiff_t c = 0; c < d; ++c) square += given(i, c) * given(i, c);
    const double scale = square > 0 ? std::sqrt(square / static_cast<double>(d)) : 1.0;
    scales.push_back(scale);
    double length = 0;
    for (std::ptrdiff_t c = 0; c < d; ++c) {
      centres(i, c) = given(i, c) + kJitter * scale * stream.normal();
      directions(i, c) = stream.normal();
      length += directions(i, c) * directions(i, c);
    }
    for (std::ptrdiff_t c = 0; c < d; ++c) directions(i, c) /= std::sqrt(length);
    for (std::ptrdiff_t p = 0; p < kPointsPerProbe; ++p) {
      const double sign = p == 0 ? 0.0 : (p % 2 == 1 ? 1.0 : -1.0);
      const double h = sign * scale * step((p - 1) / 2);
      for (std::ptrdiff_t c = 0; c < d; ++c) points(i * kPointsPerProbe + p, c) = centres(i, c) + h * directions(i, c);
    }
  }
  PL_TRY(const MatrixD values, outputs(points));
  const std::ptrdiff_t k = values.cols();
  PL_CHECK(check_matrix("outputs", values, points.rows(), std::max<std::ptrdiff_t>(k, 1)));
  MatrixD weights(n, k);
  base::Rng weight_stream = rng.fork("weights");
  for (std::ptrdiff_t i = 0; i < weights.size(); ++i) weights.data()[i] = weight_stream.normal();
  PL_TRY(const MatrixD slopes, gradient(centres, weights));
  PL_CHECK(check_matrix("gradient", slopes, n, d));

  GradientCheck result;
  std::size_t discarded = 0;
  std::size_t zeros = 0;
  std::vector<double> gaps;
  std::vector<double> orders;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    std::array<double, kPointsPerProbe> f{};
    for (std::ptrdiff_t p = 0; p < kPointsPerProbe; ++p) {
      for (std::ptrdiff_t c = 0; c < k; ++c)
        f[static_cast<std::size_t>(p)] += weights(i, c) * values(i * kPointsPerProbe + p, c);
    }
    double analytic = 0;
    bool zero = true;
    for (std::ptrdiff_t c = 0; c < d; ++c) {
      analytic += slopes(i, c) * directions(i, c);
      zero = zero && slopes(i, c) == 0;
    }
    GradientProbe probe = judge(f, scales[static_cast<std::size_t>(i)], analytic, options.resolution);
    probe.row = i;
    probe.zero_gradient = zero;
    zeros += zero ? 1 : 0;
    if (probe.kind == ProbeKind::kSmooth) {
      gaps.push_back(probe.gap);
      if (probe.convergence) orders.push_back(*probe.convergence);
    } else {
      ++discarded;
    }
    result.probes.push_back(probe);
  }
  PL_TRY(result.kink_share, stats::clopper_pearson(discarded, static_cast<std::size_t>(n)));
  PL_TRY(result.zero_gradient_share, stats::clopper_pearson(zeros, static_cast<std::size_t>(n)));
  if (!gaps.empty()) {
    PL_TRY(result.relative_gap, median_estimate(gaps));
  }
  if (!orders.empty()) {
    std::sort(orders.begin(), orders.end());
    result.convergence = orders[orders.size() / 2];
  }
  if (static_cast<double>(discarded) > options.discarded_limit * static_cast<double>(n)) {
    result.outcome = GradientOutcome::kInconclusive;
    if (result.relative_gap) {
      result.relative_gap->bounds = {};
      result.relative_gap->warnings.push_back(
          fmt::format("inconclusive: {} of {} probes fell on kinks or did not settle", discarded, n));
    }
  }
  return result;
}

}  // namespace plumbline::methodology

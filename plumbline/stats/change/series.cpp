#include "plumbline/stats/change/series.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

// Degrees of freedom of one part's level at one confidence: normal where nothing was estimated.
double quantile_of(double confidence, double degrees, bool estimated) {
  return estimated ? t_quantile(confidence, std::max(1.0, degrees)) : normal_quantile(confidence);
}

/// Poisson bounds are the limit of Clopper-Pearson bounds for many trials.
constexpr double kManyTrials = 1e10;

double rate_low(double count, double mass, double extra, double c) {
  return clopper_pearson_low(count / extra, kManyTrials, c) * kManyTrials * extra / mass;
}
double rate_high(double count, double mass, double extra, double c) {
  return clopper_pearson_high(count / extra, kManyTrials, c) * kManyTrials * extra / mass;
}

struct Part {
  double amount = 0, mass = 0;
  double level() const { return amount / mass; }
};

Part part_of(const Sums& sums, std::size_t begin, std::size_t end) {
  Part part;
  for (std::size_t i = begin; i < end; ++i) {
    part.amount += sums.amount[i];
    part.mass += sums.mass[i];
  }
  return part;
}

bool with_counts(Noise noise) { return noise == Noise::kCounts || noise == Noise::kShares; }

/// Variance of the level of a part: 1 / M for stated noise, extra / M (M = points) for unknown.
double variance_of(Noise noise, double mass, double extra) { return (noise == Noise::kUnknown ? extra : 1.0) / mass; }

}  // namespace

std::string_view noise_name(Noise noise) {
  switch (noise) {
    case Noise::kStated: return "stated errors";
    case Noise::kUnknown: return "unknown noise";
    case Noise::kCounts: return "counts";
    case Noise::kShares: return "shares";
  }
  return "unknown noise";
}

base::Status check_series(const Series& s) {
  constexpr std::string_view kWho = "check_series";
  if (s.value.empty()) return base::make_error(base::Code::kShape, "check_series: the series has no points");
  PL_CHECK(base::check_all_finite(kWho, "value", s.value));
  const std::size_t want = s.noise == Noise::kUnknown ? 0 : s.value.size();
  PL_CHECK(
      base::check_size(kWho, "scale", static_cast<std::ptrdiff_t>(s.scale.size()), static_cast<std::ptrdiff_t>(want)));
  for (std::size_t i = 0; i < s.scale.size(); ++i)
    PL_CHECK(base::check_positive(kWho, fmt::format("scale[{}]", i), s.scale[i]));
  if (!with_counts(s.noise)) return base::ok();
  for (std::size_t i = 0; i < s.value.size(); ++i) {
    const double v = s.value[i];
    if (v < 0 || v != std::floor(v))
      return base::make_error(base::Code::kValue, fmt::format("check_series: value[{}] = {} is no count", i, v));
    if (s.noise == Noise::kShares && (v > s.scale[i] || s.scale[i] != std::floor(s.scale[i])))
      return base::make_error(
          base::Code::kValue,
          fmt::format("check_series: {} hits of {} trials at {} cannot be (trials are whole numbers)", v, s.scale[i],
                      i));
  }
  return base::ok();
}

Sums sums_of(const Series& s, double extra) {
  Sums sums;
  const std::size_t n = s.value.size();
  sums.amount = s.value;
  if (s.noise == Noise::kUnknown) {
    sums.mass.assign(n, 1.0);
  } else {
    sums.mass = s.scale;
  }
  if (s.noise == Noise::kStated) {
    for (std::size_t i = 0; i < n; ++i) {
      sums.mass[i] = 1 / (s.scale[i] * s.scale[i] + extra);
      sums.amount[i] = s.value[i] * sums.mass[i];
    }
  }
  return sums;
}

double fit_of(Noise noise, double amount, double mass) {
  if (mass <= 0) return 0;
  if (!with_counts(noise)) return amount * amount / mass;
  const double hits = amount > 0 ? amount * std::log(amount / mass) : 0;
  if (noise == Noise::kCounts) return 2 * hits;
  const double misses = mass - amount;
  return 2 * (hits + (misses > 0 ? misses * std::log(misses / mass) : 0));
}

std::vector<double> gains(Noise noise, const Sums& sums, std::size_t begin, std::size_t end, std::size_t shortest) {
  std::vector<double> out(end - begin, 0.0);
  Part all = part_of(sums, begin, end);
  // A common level is taken off first: A^2 / M of figures around 1000 would lose the digits that matter.
  const double level = with_counts(noise) ? 0 : all.level();
  all.amount -= level * all.mass;
  const double whole = fit_of(noise, all.amount, all.mass);
  Part left;
  for (std::size_t k = begin + 1; k < end; ++k) {
    left.amount += sums.amount[k - 1] - level * sums.mass[k - 1];
    left.mass += sums.mass[k - 1];
    if (k - begin < shortest || end - k < shortest) continue;
    const double split = fit_of(noise, left.amount, left.mass) +
                         fit_of(noise, all.amount - left.amount, std::max(all.mass - left.mass, 0.0));
    out[k - begin] = std::max(0.0, split - whole);
  }
  return out;
}

double extra_of(const Series& s, std::span<const std::size_t> changes) {
  const Sums sums = sums_of(s, 0);
  std::vector<std::size_t> ends(changes.begin(), changes.end());
  ends.push_back(s.value.size());
  double q = 0, c = 0, degrees = static_cast<double>(s.value.size());
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const Part part = part_of(sums, begin, end);
    const double level = part.level();
    double squares = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const double m = sums.mass[i];
      const double off = sums.amount[i] - m * level;
      squares += m * m;
      if (!with_counts(s.noise)) {
        q += off * off / m;
      } else {
        const double variance = m * level * (s.noise == Noise::kShares ? 1 - level : 1.0);
        if (variance > 0) q += off * off / variance;
      }
    }
    c += part.mass - squares / part.mass;
    degrees -= 1;
    begin = end;
  }
  if (s.noise == Noise::kStated) return degrees > 0 && c > 0 ? std::max(0.0, (q - degrees) / c) : 0;
  if (s.noise == Noise::kUnknown) return degrees > 0 ? q / degrees : 0;
  return degrees > 0 ? std::max(1.0, q / degrees) : 1;
}

double extra_of_steps(const Series& s) {
  const Sums sums = sums_of(s, 0);
  const std::size_t n = s.value.size();
  if (n < 2) return with_counts(s.noise) ? 1 : 0;
  const double level = part_of(sums, 0, n).level();
  double unit = 1;  // variance of a point of mass 1
  if (with_counts(s.noise)) unit = s.noise == Noise::kShares ? level * (1 - level) : level;
  double squares = 0, stated = 0, ratios = 0;
  for (std::size_t i = 1; i < n; ++i) {
    const double step = sums.amount[i] / sums.mass[i] - sums.amount[i - 1] / sums.mass[i - 1];
    const double variance = unit * (1 / sums.mass[i] + 1 / sums.mass[i - 1]);
    squares += step * step;
    stated += variance;
    if (variance > 0) ratios += step * step / variance;
  }
  const auto steps = static_cast<double>(n - 1);
  if (s.noise == Noise::kStated) return std::max(0.0, (squares - stated) / (2 * steps));
  if (s.noise == Noise::kUnknown) return squares / (2 * steps);
  return std::max(1.0, ratios / steps);
}

Estimate level_of(const Series& s, std::size_t begin, std::size_t end, double extra, std::size_t parts) {
  const Part part = part_of(sums_of(s, s.noise == Noise::kStated ? extra : 0), begin, end);
  Estimate e;
  e.value = part.level();
  e.n = e.n_effective = static_cast<double>(end - begin);
  e.unit_of_sampling = "point";
  if (with_counts(s.noise)) {
    const double a = part.amount, m = part.mass;
    const bool counts = s.noise == Noise::kCounts;
    e.method = fmt::format("{}{}", counts ? "Garwood" : "Clopper-Pearson",
                           extra > 1 ? fmt::format(", dispersion {:.2f}", extra) : "");
    e.bounds = make_bounds(
        [&](double x) { return counts ? rate_low(a, m, extra, x) : clopper_pearson_low(a / extra, m / extra, x); },
        [&](double x) { return counts ? rate_high(a, m, extra, x) : clopper_pearson_high(a / extra, m / extra, x); });
    return e;
  }
  const bool estimated = s.noise == Noise::kUnknown || extra > 0;
  const double degrees = static_cast<double>(s.value.size()) - static_cast<double>(parts);
  const double spread = std::sqrt(variance_of(s.noise, part.mass, extra));
  e.method = estimated ? "Student's t" : "normal, stated errors";
  if (estimated && (degrees < 1 || spread == 0)) {
    e.warnings.emplace_back("the points show no spread to bound the level with");
    return e;
  }
  e.bounds = make_bounds([&](double x) { return e.value - quantile_of(x, degrees, estimated) * spread; },
                         [&](double x) { return e.value + quantile_of(x, degrees, estimated) * spread; });
  return e;
}

Estimate step_of(const Series& s, std::size_t begin, std::size_t at, std::size_t end, double extra, std::size_t parts) {
  const Sums sums = sums_of(s, s.noise == Noise::kStated ? extra : 0);
  const Part before = part_of(sums, begin, at), after = part_of(sums, at, end);
  Estimate e;
  e.n = e.n_effective = static_cast<double>(end - begin);
  e.unit_of_sampling = "point";
  if (s.noise == Noise::kCounts) {
    e.value = after.level() / before.level();
    e.method = fmt::format("exact given the total{}", extra > 1 ? fmt::format(", dispersion {:.2f}", extra) : "");
    const double a = after.amount / extra, all = (before.amount + after.amount) / extra;
    const double odds = before.mass / after.mass;
    if (all <= 0) {
      e.value = 1;
      e.warnings.emplace_back("no event at all: nothing bounds the ratio");
      return e;
    }
    e.bounds = make_bounds(
        [&](double x) {
          const double p = clopper_pearson_low(a, all, x);
          return std::optional(p / (1 - p) * odds);
        },
        [&](double x) {
          const double p = clopper_pearson_high(a, all, x);
          return p < 1 ? std::optional(p / (1 - p) * odds) : std::nullopt;
        });
    return e;
  }
  e.value = after.level() - before.level();
  if (s.noise == Noise::kShares) {
    const Estimate b = level_of(s, begin, at, extra, parts), a = level_of(s, at, end, extra, parts);
    e.method = "square and add on " + a.method;
    for (std::size_t i = 0; i < kLadder.size(); ++i) {
      const double down = std::hypot(a.value - *a.bounds.lower[i], *b.bounds.upper[i] - b.value);
      const double up = std::hypot(*a.bounds.upper[i] - a.value, b.value - *b.bounds.lower[i]);
      e.bounds.lower[i] = e.value - down;
      e.bounds.upper[i] = e.value + up;
    }
    return e;
  }
  const bool estimated = s.noise == Noise::kUnknown || extra > 0;
  const double degrees = static_cast<double>(s.value.size()) - static_cast<double>(parts);
  const double spread = std::sqrt(variance_of(s.noise, before.mass, extra) + variance_of(s.noise, after.mass, extra));
  e.method = estimated ? "Student's t" : "normal, stated errors";
  if (estimated && (degrees < 1 || spread == 0)) {
    e.warnings.emplace_back("the points show no spread to bound the step with");
    return e;
  }
  e.bounds = make_bounds([&](double x) { return e.value - quantile_of(x, degrees, estimated) * spread; },
                         [&](double x) { return e.value + quantile_of(x, degrees, estimated) * spread; });
  return e;
}

}  // namespace plumbline::stats

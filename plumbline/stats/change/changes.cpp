#include "plumbline/stats/change/changes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/permutation.hpp"

namespace plumbline::stats {
namespace {

/// Exceedances at which drawing stops: p = h / draws has a relative error of about 1 / sqrt(h).
constexpr std::size_t kEnough = 20;
/// Sums in another order differ in the last bits.
constexpr double kSlack = 1e-9;
/// Places this far below the best in twice the log-likelihood are not tried: their p is below 1e-8 of any series
/// length.
constexpr double kOutOfReach = 60;

struct Best {
  double statistic = 0;
  std::size_t at = 0;
  double extra = 0;
};

std::size_t best_place(const std::vector<double>& gain) {
  return static_cast<std::size_t>(std::max_element(gain.begin(), gain.end()) - gain.begin());
}

/// The gain in units of the scatter that was fitted: nothing to divide by where the variances are in the masses.
double scaled(Noise noise, double gain, double extra) {
  if (noise == Noise::kStated) return gain;
  if (extra > 0) return gain / extra;
  return gain > 0 ? std::numeric_limits<double>::infinity() : 0;
}

Best statistic_of(const Series& s, std::size_t shortest) {
  const std::size_t n = s.value.size();
  Best best;
  std::vector<double> gain = gains(s.noise, sums_of(s, 0), 0, n, shortest);
  best.at = best_place(gain);
  // Another change beside the one at hand is in the residuals of one split, and hardly in the steps.
  const double of_steps = extra_of_steps(s);
  const auto extra_at = [&] {
    return std::min(of_steps, best.at == 0 ? extra_of(s, {}) : extra_of(s, std::span(&best.at, 1)));
  };
  best.extra = extra_at();
  if (s.noise == Noise::kStated && best.extra > 0) {
    gain = gains(s.noise, sums_of(s, best.extra), 0, n, shortest);
    best.at = best_place(gain);
    best.extra = extra_at();
    gain = gains(s.noise, sums_of(s, best.extra), 0, n, shortest);
    best.at = best_place(gain);
  }
  // Rounding of a constant series is no scatter.
  double size = 0;
  for (const double v : s.value) size = std::max(size, std::abs(v));
  if (s.noise == Noise::kUnknown && best.extra <= 1e-24 * size * size) {
    best.extra = 0;
    if (gain[best.at] <= 1e-24 * size * size) gain[best.at] = 0;
  }
  best.statistic = scaled(s.noise, gain[best.at], best.extra);
  return best;
}

/// Extra scatters at which the law under "no change" is drawn.
std::vector<double> worlds_of(const Series& s, double fitted) {
  if (s.noise == Noise::kUnknown) return {0};
  // Beyond Poisson counts the law hardly moves once the dispersion is rarely cut at 1.
  if (s.noise != Noise::kStated) return {1, 3 * fitted};
  double largest = 0;
  for (const double e : s.scale) largest = std::max(largest, e * e);
  std::vector<double> worlds = {0, 1e4 * largest};
  if (fitted > 0) worlds.push_back(fitted);
  return worlds;
}

/// P(T >= observed) under no change, the largest over the worlds.
base::Result<double> p_of(const Series& s, const Best& observed, const ChangeOptions& o, std::size_t draws,
                          const base::Rng& rng) {
  const std::size_t n = s.value.size();
  double p = 0;
  std::size_t stream = 0;
  for (const double extra : worlds_of(s, observed.extra)) {
    base::Rng draw = rng.fork(stream++);
    std::size_t reached = 0, done = 0;
    while (done < draws && reached < kEnough) {
      if (done % 64 == 0) PL_CHECK(o.cancel.status());
      const Best again = statistic_of(redraw(s, 0, 0, n, extra, draw), o.shortest);
      reached += again.statistic >= observed.statistic * (1 - kSlack) ? 1U : 0U;
      ++done;
    }
    const double here =
        reached >= kEnough ? static_cast<double>(reached) / static_cast<double>(done) : permutation_p(reached, draws);
    p = std::max(p, here);
  }
  return p;
}

Series slice(const Series& s, std::size_t begin, std::size_t end) {
  Series part{
      s.noise,
      {s.value.begin() + static_cast<std::ptrdiff_t>(begin), s.value.begin() + static_cast<std::ptrdiff_t>(end)},
      {}};
  if (!s.scale.empty())
    part.scale.assign(s.scale.begin() + static_cast<std::ptrdiff_t>(begin),
                      s.scale.begin() + static_cast<std::ptrdiff_t>(end));
  return part;
}

bool long_enough(std::size_t points, const ChangeOptions& o) {
  return points >= std::max<std::size_t>(2 * o.shortest + 1, 4);
}

struct Search {
  const Series& series;
  const ChangeOptions& options;
  const base::Rng& rng;
  std::optional<double> whole{};
  std::vector<std::size_t> places{};

  /// Enough draws that p can fall below what the part is tested at.
  std::size_t draws_for(double alpha) const {
    return std::max(options.draws, std::min<std::size_t>(static_cast<std::size_t>(4 / alpha), 20 * options.draws));
  }

  base::Status split(std::size_t begin, std::size_t end) {
    const std::size_t n = series.value.size();
    if (!long_enough(end - begin, options) || places.size() >= options.most) return base::ok();
    const Series part = slice(series, begin, end);
    const double alpha = options.alpha * static_cast<double>(end - begin) / static_cast<double>(n);
    const Best best = statistic_of(part, options.shortest);
    PL_TRY(const double p,
           p_of(part, best, options, draws_for(alpha), rng.fork(fmt::format("split {} {}", begin, end))));
    if (begin == 0 && end == n) whole = p;
    if (p > alpha || best.at == 0) return base::ok();
    places.push_back(begin + best.at);
    PL_CHECK(split(begin, begin + best.at));
    return split(begin + best.at, end);
  }

  /// Neighbours of change i.
  std::size_t before(std::size_t i) const { return i == 0 ? 0 : places[i - 1]; }
  std::size_t after(std::size_t i) const { return i + 1 < places.size() ? places[i + 1] : series.value.size(); }

  /// Moves every place to the best between its neighbours, and drops the weakest change that its test does not bear
  /// out.
  base::Result<std::vector<double>> settle() {
    for (;;) {
      std::sort(places.begin(), places.end());
      for (int pass = 0; pass < 3; ++pass) {
        for (std::size_t i = 0; i < places.size(); ++i) {
          const Best best = statistic_of(slice(series, before(i), after(i)), options.shortest);
          if (best.at > 0) places[i] = before(i) + best.at;
        }
      }
      std::vector<double> p(places.size(), 1);
      for (std::size_t i = 0; i < places.size(); ++i) {
        const Series part = slice(series, before(i), after(i));
        PL_TRY(p[i], p_of(part, statistic_of(part, options.shortest), options, options.draws,
                          rng.fork(fmt::format("change {} {}", before(i), after(i)))));
      }
      const auto weakest = std::max_element(p.begin(), p.end());
      if (weakest == p.end() || *weakest <= options.alpha) return p;
      places.erase(places.begin() + (weakest - p.begin()));
    }
  }

  /// Whether the conditional test at `level` leaves k as a place of the change in `part`.
  base::Result<bool> may_be(const Series& part, std::size_t k, double extra, double behind, base::Rng draw) const {
    constexpr std::size_t kDraws = 199;
    const auto needed = static_cast<std::size_t>(std::floor((1 - options.level) * (kDraws + 1) + kSlack));
    std::size_t reached = 0;
    for (std::size_t d = 0; d < kDraws && reached < needed; ++d) {
      if (d % 64 == 0) PL_CHECK(options.cancel.status());
      const Series again = redraw(part, 0, k, part.value.size(), extra, draw);
      const auto gain = gains(part.noise, sums_of(again, extra), 0, part.value.size(), options.shortest);
      reached += *std::max_element(gain.begin(), gain.end()) - gain[k] >= behind * (1 - kSlack) ? 1U : 0U;
    }
    return reached >= needed;
  }

  base::Status place_set(std::size_t i, double extra, Change& change) const {
    const std::size_t begin = before(i), end = after(i);
    const Series part = slice(series, begin, end);
    const auto gain = gains(part.noise, sums_of(part, extra), 0, part.value.size(), options.shortest);
    const double best = gain[best_place(gain)];
    const base::Rng stream = rng.fork(fmt::format("place {} {}", begin, end));
    const auto may = [&](std::size_t k) -> base::Result<bool> {
      const double behind = best - gain[k];
      if (scaled(part.noise, behind, extra) > kOutOfReach) return false;
      return may_be(part, k, extra, behind, stream.fork(k));
    };
    // From both ends inwards: the first place that is not rejected is an end of the set.
    for (std::size_t k = options.shortest; begin + k < change.low; ++k) {
      PL_TRY(const bool possible, may(k));
      if (possible) change.low = begin + k;
    }
    for (std::size_t k = part.value.size() - options.shortest; begin + k > change.high; --k) {
      PL_TRY(const bool possible, may(k));
      if (possible) change.high = begin + k;
    }
    return base::ok();
  }
};

base::Status check_options(const Series& series, const ChangeOptions& o) {
  PL_CHECK(check_series(series));
  PL_CHECK(base::check_in_open("find_changes", "alpha", o.alpha, 0, 1));
  PL_CHECK(base::check_in_open("find_changes", "level", o.level, 0, 1));
  PL_CHECK(base::check_at_least("find_changes", "shortest", static_cast<std::ptrdiff_t>(o.shortest), 1));
  PL_CHECK(base::check_at_least("find_changes", "draws", static_cast<std::ptrdiff_t>(o.draws), 19));
  if (series.value.size() > kMostPoints)
    return base::make_error(base::Code::kLimit, fmt::format("find_changes: {} points; at most {} are searched",
                                                            series.value.size(), kMostPoints));
  return base::ok();
}

std::string method_of(Noise noise, double extra) {
  switch (noise) {
    case Noise::kStated:
      return extra > 0 ? fmt::format("shift of the mean, stated errors and a deviation of {:.3g} between points, drawn",
                                     std::sqrt(extra))
                       : "shift of the mean, stated errors, drawn";
    case Noise::kUnknown: return "shift of the mean, shuffled";
    case Noise::kCounts:
      return extra > 1 ? fmt::format("rate of counts, dispersion {:.2f}, dealt out again", extra)
                       : "rate of counts, dealt out again";
    case Noise::kShares:
      return extra > 1 ? fmt::format("share, dispersion {:.2f}, drawn again", extra) : "share, dealt out again";
  }
  return "";
}

}  // namespace

base::Result<NoChange> no_change_test(const Series& series, const ChangeOptions& options, const base::Rng& rng) {
  PL_CHECK(check_options(series, options));
  if (series.value.size() < kFewestPoints || !long_enough(series.value.size(), options))
    return base::make_error(
        base::Code::kShape,
        fmt::format("no_change_test: {} points are too few to tell a change from noise", series.value.size()));
  const Best best = statistic_of(series, options.shortest);
  PL_TRY(const double p, p_of(series, best, options, options.draws, rng));
  return NoChange{p, best.statistic, best.at};
}

base::Result<Changes> find_changes(const Series& series, const ChangeOptions& options, const base::Rng& rng) {
  PL_CHECK(check_options(series, options));
  Changes out;
  out.noise = series.noise;
  out.points = series.value.size();
  if (out.points < kFewestPoints || !long_enough(out.points, options)) {
    out.method = fmt::format("{} points are too few to tell a change from noise ({} needed)", out.points,
                             std::max(kFewestPoints, 2 * options.shortest + 1));
    return out;
  }
  Search search{series, options, rng};
  PL_CHECK(search.split(0, out.points));
  out.p = search.whole;
  PL_TRY(const std::vector<double> p, search.settle());
  out.extra = extra_of(series, search.places);
  out.method = method_of(series.noise, out.extra);
  const std::size_t parts = search.places.size() + 1;
  for (std::size_t i = 0; i < search.places.size(); ++i) {
    Change change;
    change.at = change.low = change.high = search.places[i];
    change.p = p[i];
    const std::size_t begin = search.before(i), end = search.after(i);
    change.before = level_of(series, begin, change.at, out.extra, parts);
    change.after = level_of(series, change.at, end, out.extra, parts);
    change.step = step_of(series, begin, change.at, end, out.extra, parts);
    PL_CHECK(search.place_set(i, out.extra, change));
    out.changes.push_back(std::move(change));
  }
  return out;
}

}  // namespace plumbline::stats

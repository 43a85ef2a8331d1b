// Attacks that see scores alone, and the control that sees nothing: random noise, Square, SPSA.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

using Outcomes = base::Result<std::vector<AttackOutcome>>;

std::vector<std::size_t> standing(const Tracker& tracker) {
  std::vector<std::size_t> out;
  for (std::size_t c = 0; c < tracker.size(); ++c) {
    if (!tracker.found(c)) out.push_back(c);
  }
  return out;
}

Outcomes run_noise(int draws, const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
  PL_CHECK(check_setting(setting, cases));
  Tracker tracker(setting, cases, rng);
  const std::size_t n = tracker.inputs();
  PL_TRY([[maybe_unused]] const auto scores, scores_at_examples(tracker));
  for (int draw = 0; draw < draws; ++draw) {
    const std::vector<std::size_t> of = standing(tracker);
    if (of.empty()) break;
    std::vector<double> rows(of.size() * n);
    for (std::size_t r = 0; r < of.size(); ++r) {
      base::Rng own = tracker.rng(of[r]).fork(static_cast<std::uint64_t>(draw));
      const auto row = std::span(rows).subspan(r * n, n);
      uniform_in(tracker.region(of[r]), own, row);
      if (draw % 2 == 0) continue;
      const auto x0 = tracker.example(of[r]).x;
      std::vector<double> direction(n);
      for (std::size_t i = 0; i < n; ++i) direction[i] = row[i] - x0[i];
      far_along(tracker.region(of[r]), direction, own, row);
    }
    PL_TRY([[maybe_unused]] const Pass pass, tracker.look(rows, of));
  }
  return tracker.take();
}

// Square -------------------------------------------------------------------------------------------------------------

/// Share of the pixels that one square changes, after `query` of `queries`: 0.8 halved at the published places.
double square_share(int query, int queries) {
  constexpr std::array<int, 9> kHalve = {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000};
  const double place = 10000.0 * query / queries;
  double share = 0.8;
  for (const int at : kHalve) share /= place > at ? 2 : 1;
  return share;
}

/// A window of the picture; pictures of height 1 have windows of height 1.
struct Window {
  std::size_t y, x, height, width;
};

Window random_window(const ImageShape& shape, double share, base::Rng& rng, std::size_t least = 1) {
  const double area = share * static_cast<double>(shape.height * shape.width);
  Window w{};
  const auto side = static_cast<std::size_t>(std::lround(shape.height > 1 ? std::sqrt(area) : area));
  w.height = std::clamp<std::size_t>(side, std::min(least, shape.height), shape.height);
  w.width = std::clamp<std::size_t>(side, std::min(least, shape.width), shape.width);
  w.y = rng.below(shape.height - w.height + 1);
  w.x = rng.below(shape.width - w.width + 1);
  return w;
}

template <class Body>
void each_pixel(const Window& w, Body&& body) {
  for (std::size_t y = w.y; y < w.y + w.height; ++y) {
    for (std::size_t x = w.x; x < w.x + w.width; ++x) body(y, x);
  }
}

/// A bump of height 1 in the middle, falling to the edge, as sums of nested squares; its mirror image half the time.
std::vector<double> bump(std::size_t height, std::size_t width, base::Rng& rng) {
  std::vector<double> out(height * width, 0.0);
  const bool halved = height > 1 && width > 1 && rng.bernoulli(0.5);
  const bool across = rng.bernoulli(0.5);
  const auto one = [&](std::size_t y0, std::size_t x0, std::size_t h, std::size_t w, double sign) {
    const std::size_t rings = (std::min(h, w) + 1) / 2;
    double weight = 0;
    for (std::size_t ring = rings; ring-- > 0;) {
      // The inner squares add up: the k-th from outside adds 1 / k^2 to all that it holds.
      weight = 1 / static_cast<double>((ring + 1) * (ring + 1));
      for (std::size_t y = y0 + ring; y + ring < y0 + h; ++y) {
        for (std::size_t x = x0 + ring; x + ring < x0 + w; ++x) out[y * width + x] += sign * weight;
      }
    }
  };
  if (!halved) {
    one(0, 0, height, width, 1);
  } else if (across) {
    one(0, 0, height / 2, width, 1);
    one(height / 2, 0, height - height / 2, width, -1);
  } else {
    one(0, 0, height, width / 2, 1);
    one(0, width / 2, height, width - width / 2, -1);
  }
  const double length = norm_of(Norm::kL2, out);
  for (double& v : out) v /= length > 0 ? length : 1;
  return out;
}

void start_linf(const Region& region, const ImageShape& shape, base::Rng& rng, std::span<double> x) {
  for (std::size_t c = 0; c < shape.channels; ++c) {
    for (std::size_t column = 0; column < shape.width; ++column) {
      const double sign = rng.bernoulli(0.5) ? 1 : -1;
      for (std::size_t row = 0; row < shape.height; ++row) {
        const std::size_t i = shape.at(c, row, column);
        x[i] = region.centre[i] + sign * region.epsilon;
      }
    }
  }
  project(region, x);
}

void change_linf(const Region& region, const ImageShape& shape, double share, base::Rng& rng, std::span<double> x) {
  const Window w = random_window(shape, share, rng);
  for (std::size_t c = 0; c < shape.channels; ++c) {
    const double sign = rng.bernoulli(0.5) ? 1 : -1;
    each_pixel(w, [&](std::size_t row, std::size_t column) {
      const std::size_t i = shape.at(c, row, column);
      x[i] = region.centre[i] + sign * region.epsilon;
    });
  }
  project(region, x);
}

/// Moves onto the sphere, then into the region: what the box cuts off is lost, as in the publication.
void onto_sphere(const Region& region, std::vector<double>& d, std::span<double> x) {
  const double length = norm_of(Norm::kL2, d);
  for (std::size_t i = 0; i < d.size(); ++i)
    x[i] = region.centre[i] + (length > 0 ? region.epsilon / length * d[i] : 0);
  project(region, x);
}

void start_l2(const Region& region, const ImageShape& shape, base::Rng& rng, std::span<double> x) {
  std::vector<double> d(region.size(), 0.0);
  const std::size_t h = std::max<std::size_t>(1, shape.height / 5);
  const std::size_t w = std::max<std::size_t>(1, shape.width / 5);
  for (std::size_t y = 0; y + h <= shape.height; y += h) {
    for (std::size_t left = 0; left + w <= shape.width; left += w) {
      const std::vector<double> tile = bump(h, w, rng);
      for (std::size_t c = 0; c < shape.channels; ++c) {
        const double sign = rng.bernoulli(0.5) ? 1 : -1;
        each_pixel({y, left, h, w}, [&](std::size_t row, std::size_t column) {
          d[shape.at(c, row, column)] = sign * tile[(row - y) * w + column - left];
        });
      }
    }
  }
  onto_sphere(region, d, x);
}

void change_l2(const Region& region, const ImageShape& shape, double share, base::Rng& rng, std::span<double> x) {
  const std::size_t n = region.size();
  std::vector<double> d(n);
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    d[i] = x[i] - region.centre[i];
    total += d[i] * d[i];
  }
  Window to = random_window(shape, share, rng, 3);
  Window from = to;
  from.y = rng.below(shape.height - from.height + 1);
  from.x = rng.below(shape.width - from.width + 1);
  const double free = std::max(0.0, region.epsilon * region.epsilon - total);
  const std::vector<double> shape_of = bump(to.height, to.width, rng);
  for (std::size_t c = 0; c < shape.channels; ++c) {
    double budget = free / static_cast<double>(shape.channels);
    double own = 0;
    each_pixel(to, [&](std::size_t row, std::size_t column) {
      const double v = d[shape.at(c, row, column)];
      budget += v * v;
      own += v * v;
    });
    each_pixel(from, [&](std::size_t row, std::size_t column) {
      const bool shared = row >= to.y && row < to.y + to.height && column >= to.x && column < to.x + to.width;
      const double v = d[shape.at(c, row, column)];
      if (!shared) budget += v * v;
    });
    const double sign = rng.bernoulli(0.5) ? 1 : -1;
    std::vector<double> patch(to.height * to.width);
    double length = 0;
    each_pixel(to, [&](std::size_t row, std::size_t column) {
      const std::size_t at = (row - to.y) * to.width + column - to.x;
      const double old = own > 0 ? d[shape.at(c, row, column)] / std::sqrt(own) : 0;
      patch[at] = sign * shape_of[at] + old;
      length += patch[at] * patch[at];
    });
    each_pixel(from, [&](std::size_t row, std::size_t column) { d[shape.at(c, row, column)] = 0; });
    const double factor = length > 0 ? std::sqrt(budget / length) : 0;
    each_pixel(to, [&](std::size_t row, std::size_t column) {
      d[shape.at(c, row, column)] = factor * patch[(row - to.y) * to.width + column - to.x];
    });
  }
  onto_sphere(region, d, x);
}

Outcomes run_square(int queries, const AttackSetting& setting, std::span<const AttackCase> cases,
                    const base::Rng& rng) {
  PL_CHECK(check_setting(setting, cases));
  Tracker tracker(setting, cases, rng);
  const Threat& threat = *setting.threat;
  if (threat.norm == Norm::kL1) return tracker.take();
  const bool linf = threat.norm == Norm::kLinf;
  const std::size_t n = tracker.inputs();
  std::vector<std::vector<double>> best(cases.size(), std::vector<double>(n));
  std::vector<double> least(cases.size(), std::numeric_limits<double>::infinity());
  for (int query = 0; query < queries; ++query) {
    const std::vector<std::size_t> of = standing(tracker);
    if (of.empty()) break;
    std::vector<double> rows;
    for (const std::size_t c : of) {
      base::Rng own = tracker.rng(c).fork(static_cast<std::uint64_t>(query));
      std::vector<double> x = query == 0 ? std::vector<double>(cases[c].x.begin(), cases[c].x.end()) : best[c];
      const Region& region = tracker.region(c);
      const double share = square_share(query, queries);
      if (query == 0) {
        linf ? start_linf(region, threat.shape, own, x) : start_l2(region, threat.shape, own, x);
      } else {
        linf ? change_linf(region, threat.shape, share, own, x) : change_l2(region, threat.shape, share, own, x);
      }
      rows.insert(rows.end(), x.begin(), x.end());
    }
    PL_TRY(const Pass pass, tracker.look(rows, of));
    const std::vector<double> margin = tracker.margins(pass, of);
    for (std::size_t r = 0; r < of.size(); ++r) {
      if (!(margin[r] < least[of[r]])) continue;
      least[of[r]] = margin[r];
      std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(r * n), n, best[of[r]].begin());
    }
  }
  return tracker.take();
}

// SPSA ---------------------------------------------------------------------------------------------------------------

Outcomes run_spsa(int steps, int directions, const AttackSetting& setting, std::span<const AttackCase> cases,
                  const base::Rng& rng) {
  PL_CHECK(check_setting(setting, cases));
  Tracker tracker(setting, cases, rng);
  const std::size_t n = tracker.inputs();
  const double width = 0.05 * setting.threat->epsilon;
  const StepPlan plan{steps, 0.5, 0.05};
  for (std::size_t c = 0; c < cases.size(); ++c) {
    base::Rng own = tracker.rng(c);
    std::vector<double> x(cases[c].x.begin(), cases[c].x.end());
    const std::vector<std::size_t> of(static_cast<std::size_t>(2 * directions), c);
    for (int step = 0; step <= steps && !tracker.found(c); ++step) {
      PL_TRY([[maybe_unused]] const Pass here, tracker.look(x, std::span(of).first(1)));
      if (step == steps || tracker.found(c)) break;
      std::vector<double> signs(static_cast<std::size_t>(directions) * n);
      for (double& s : signs) s = own.bernoulli(0.5) ? 1 : -1;
      std::vector<double> rows;
      rows.reserve(2 * signs.size());
      // Both sides may leave the region by `width`: only points of the walk itself count as its steps.
      for (int d = 0; d < 2 * directions; ++d) {
        const double side = d % 2 == 0 ? width : -width;
        for (std::size_t i = 0; i < n; ++i)
          rows.push_back(std::clamp(x[i] + side * signs[static_cast<std::size_t>(d / 2) * n + i],
                                    setting.threat->low[i], setting.threat->high[i]));
      }
      PL_TRY(const Pass pass, tracker.look(rows, of));
      const std::vector<double> margin = tracker.margins(pass, of);
      std::vector<double> gradient(n, 0.0);
      for (std::size_t d = 0; d < static_cast<std::size_t>(directions); ++d) {
        const double slope = margin[2 * d + 1] - margin[2 * d];
        if (!std::isfinite(slope)) continue;
        for (std::size_t i = 0; i < n; ++i) gradient[i] += slope * signs[d * n + i];
      }
      step_up(tracker.region(c), gradient, plan.size(step), x);
    }
  }
  return tracker.take();
}

template <class Body>
Attack scored(std::string name, AttackKind kind, std::string settings, Body body) {
  Attack out;
  out.name = std::move(name);
  out.kind = kind;
  out.settings = std::move(settings);
  out.run = body;
  return out;
}

}  // namespace

Attack random_noise(int draws) {
  return scored("random", AttackKind::kControl, fmt::format("{} draws, half on the surface", draws),
                [draws](const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
                  return run_noise(draws, setting, cases, rng);
                });
}

Attack square(int queries) {
  return scored("square", AttackKind::kScores, fmt::format("margin, {} queries, first share 0.8", queries),
                [queries](const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
                  return run_square(queries, setting, cases, rng);
                });
}

Attack spsa(int steps, int directions) {
  return scored(
      "spsa", AttackKind::kScores,
      fmt::format("margin, {} steps of 0.5 to 0.05 epsilon, {} directions, width 0.05 epsilon", steps, directions),
      [steps, directions](const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
        return run_spsa(steps, directions, setting, cases, rng);
      });
}

}  // namespace plumbline::robustness

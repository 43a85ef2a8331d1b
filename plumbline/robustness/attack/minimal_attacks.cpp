// Attacks that look for the smallest perturbation: FAB, DeepFool, Carlini and Wagner.

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// FAB ----------------------------------------------------------------------------------------------------------------

struct FabWalk {
  std::size_t example = 0;
  int target = 0;
  std::vector<double> x;
  std::vector<double> best;  ///< smallest misclassified input of this walk
  double best_size = kInfinity;
};

class Fab {
  static constexpr double kMostBack = 0.1;  ///< weight of the example's own step
  static constexpr double kOvershoot = 1.05;
  static constexpr double kBack = 0.9;  ///< of the way out, kept after a success

 public:
  Fab(Tracker& tracker, int steps, int targets, int starts)
      : tracker_(tracker), steps_(steps), targets_(targets), starts_(starts) {}

  base::Status run() {
    PL_TRY(const std::vector<double> scores, scores_at_examples(tracker_));
    const std::size_t k = tracker_.classes();
    for (int start = 0; start < starts_; ++start) {
      std::vector<FabWalk> walks;
      for (std::size_t c = 0; c < tracker_.size(); ++c) {
        if (tracker_.outcome(c).size == 0) continue;  // wrong as it stands
        for (const int target :
             rival_classes(std::span(scores).subspan(c * k, k), tracker_.example(c).label, targets_)) {
          FabWalk walk{.example = c,
                       .target = target,
                       .x = {tracker_.example(c).x.begin(), tracker_.example(c).x.end()},
                       .best = {},
                       .best_size = kInfinity};
          if (start > 0) start_at_random(walk, start);
          walks.push_back(std::move(walk));
        }
      }
      for (int step = 0; step < steps_ && !walks.empty(); ++step) PL_CHECK(advance(walks));
      PL_CHECK(bisect(walks));
    }
    return base::ok();
  }

 private:
  void start_at_random(FabWalk& walk, int start) {
    base::Rng rng = tracker_.rng(walk.example)
                        .fork(static_cast<std::uint64_t>(start))
                        .fork(static_cast<std::uint64_t>(walk.target));
    Region region = tracker_.region(walk.example);
    region.epsilon = 0.5 * std::min(tracker_.outcome(walk.example).size, region.epsilon);
    uniform_in(region, rng, walk.x);
  }

  base::Status advance(std::vector<FabWalk>& walks) {
    const std::size_t n = tracker_.inputs();
    const std::size_t k = tracker_.classes();
    std::vector<double> rows;
    std::vector<std::size_t> of;
    for (const FabWalk& walk : walks) {
      rows.insert(rows.end(), walk.x.begin(), walk.x.end());
      of.push_back(walk.example);
    }
    PL_TRY(const Pass pass, tracker_.look(rows, of));
    const std::vector<double> margin = tracker_.margins(pass, of);
    std::vector<double> seeds(pass.scores.size(), 0.0);
    for (std::size_t r = 0; r < walks.size(); ++r) {
      seeds[r * k + static_cast<std::size_t>(walks[r].target)] = 1;
      seeds[r * k + static_cast<std::size_t>(tracker_.example(of[r]).label)] = -1;
    }
    PL_TRY(const std::vector<double> gradient, tracker_.gradient(pass, seeds, of));
    for (std::size_t r = 0; r < walks.size(); ++r) {
      FabWalk& walk = walks[r];
      const auto x0 = tracker_.example(walk.example).x;
      if (tracker_.wrong(margin[r])) {
        const double size = distance(norm(), walk.x, x0);
        if (size < walk.best_size) {
          walk.best_size = size;
          walk.best = walk.x;
        }
        for (std::size_t i = 0; i < n; ++i) walk.x[i] = x0[i] + kBack * (walk.x[i] - x0[i]);
      }
      const double gap = pass.scores[r * k + static_cast<std::size_t>(walk.target)] -
                         pass.scores[r * k + static_cast<std::size_t>(tracker_.example(walk.example).label)];
      step(walk, std::span(gradient).subspan(r * n, n), rows_gap(walk, rows, r, gap, gradient));
    }
    return base::ok();
  }

  /// The gap at walk.x by the linearisation at the row that was evaluated (they differ after a step back).
  double rows_gap(const FabWalk& walk, const std::vector<double>& rows, std::size_t r, double gap,
                  const std::vector<double>& gradient) const {
    const std::size_t n = walk.x.size();
    for (std::size_t i = 0; i < n; ++i) gap += gradient[r * n + i] * (walk.x[i] - rows[r * n + i]);
    return gap;
  }

  void step(FabWalk& walk, std::span<const double> gradient, double gap) {
    const std::size_t n = walk.x.size();
    const Threat& threat = *tracker_.setting().threat;
    const auto x0 = tracker_.example(walk.example).x;
    double at_example = gap;
    for (std::size_t i = 0; i < n; ++i) at_example += gradient[i] * (x0[i] - walk.x[i]);
    std::vector<double> from_x(n), from_example(n);
    const double a = reach_plane(norm(), walk.x, gradient, -gap, threat.low, threat.high, from_x);
    const double b = reach_plane(norm(), x0, gradient, -at_example, threat.low, threat.high, from_example);
    const double share = a + b > 0 ? std::min(a / (a + b), kMostBack) : 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double next =
          (1 - share) * (walk.x[i] + kOvershoot * from_x[i]) + share * (x0[i] + kOvershoot * from_example[i]);
      walk.x[i] = std::clamp(next, threat.low[i], threat.high[i]);
    }
  }

  /// Halves the way between the example and each success, as far as it stays one.
  base::Status bisect(std::vector<FabWalk>& walks) {
    const std::size_t n = tracker_.inputs();
    std::erase_if(walks, [&](const FabWalk& walk) {
      return walk.best.empty() || walk.best_size > 1.1 * tracker_.outcome(walk.example).size;
    });
    if (walks.empty()) return base::ok();
    std::vector<double> low(walks.size(), 0.0), high(walks.size(), 1.0);
    for (int step = 0; step < 10; ++step) {
      std::vector<double> rows;
      std::vector<std::size_t> of;
      for (std::size_t r = 0; r < walks.size(); ++r) {
        const auto x0 = tracker_.example(walks[r].example).x;
        // Most of the way is known to be good: start near the success.
        const double s = step < 3 ? high[r] - (high[r] - low[r]) * 0.05 : 0.5 * (low[r] + high[r]);
        for (std::size_t i = 0; i < n; ++i) rows.push_back(x0[i] + s * (walks[r].best[i] - x0[i]));
        of.push_back(walks[r].example);
      }
      PL_TRY(const Pass pass, tracker_.look(rows, of));
      const std::vector<double> margin = tracker_.margins(pass, of);
      for (std::size_t r = 0; r < walks.size(); ++r) {
        const double s = step < 3 ? high[r] - (high[r] - low[r]) * 0.05 : 0.5 * (low[r] + high[r]);
        (tracker_.wrong(margin[r]) ? high : low)[r] = s;
      }
    }
    return base::ok();
  }

  Norm norm() const { return tracker_.setting().threat->norm; }

  Tracker& tracker_;
  int steps_, targets_, starts_;
};

// DeepFool -----------------------------------------------------------------------------------------------------------

base::Status run_deepfool(Tracker& tracker, int steps, double overshoot) {
  const std::size_t n = tracker.inputs();
  const std::size_t k = tracker.classes();
  const Threat& threat = *tracker.setting().threat;
  for (std::size_t c = 0; c < tracker.size(); ++c) {
    const auto x0 = tracker.example(c).x;
    const auto y = static_cast<std::size_t>(tracker.example(c).label);
    std::vector<double> sum(n, 0.0);  // of all moves, before overshooting
    std::vector<double> x(x0.begin(), x0.end());
    // One row for each other class: the same point, another difference of scores.
    const std::vector<std::size_t> of(k - 1, c);
    for (int step = 0; step <= steps; ++step) {
      std::vector<double> rows;
      for (std::size_t j = 0; j + 1 < k; ++j) rows.insert(rows.end(), x.begin(), x.end());
      PL_TRY(const Pass pass, tracker.look(rows, of));
      if (tracker.wrong(tracker.margins(pass, of)[0]) || step == steps) break;
      std::vector<double> seeds(pass.scores.size(), 0.0);
      for (std::size_t j = 0; j + 1 < k; ++j) {
        seeds[j * k + (j < y ? j : j + 1)] = 1;
        seeds[j * k + y] = -1;
      }
      PL_TRY(const std::vector<double> gradient, tracker.gradient(pass, seeds, of));
      double best = kInfinity;
      std::vector<double> move(n), shortest(n, 0.0);
      for (std::size_t j = 0; j + 1 < k; ++j) {
        const double gap = pass.scores[j < y ? j : j + 1] - pass.scores[y];
        const auto g = std::span(gradient).subspan(j * n, n);
        // The box is met by clipping afterwards; distances to faces are those of the whole space.
        const std::vector<double> no_low(n, -kInfinity), no_high(n, kInfinity);
        const double size = reach_plane(threat.norm, x, g, -gap, no_low, no_high, move);
        if (size > 0 && size < best) {
          best = size;
          shortest = move;
        }
      }
      if (best == kInfinity) break;
      for (std::size_t i = 0; i < n; ++i) {
        sum[i] += shortest[i];
        x[i] = std::clamp(x0[i] + (1 + overshoot) * sum[i], threat.low[i], threat.high[i]);
      }
    }
  }
  return base::ok();
}

// Carlini and Wagner -------------------------------------------------------------------------------------------------

/// x = middle + half tanh(w) where the box is bounded, x = w where it is not.
struct TanhBox {
  const Threat& threat;
  bool bounded(std::size_t i) const { return std::isfinite(threat.low[i]) && std::isfinite(threat.high[i]); }
  double half(std::size_t i) const { return 0.5 * (threat.high[i] - threat.low[i]); }
  double out(std::size_t i, double w) const {
    if (!bounded(i)) return std::clamp(w, threat.low[i], threat.high[i]);
    return std::clamp(threat.low[i] + half(i) * (1 + std::tanh(w)), threat.low[i], threat.high[i]);
  }
  double slope(std::size_t i, double w) const {
    if (!bounded(i)) return 1;
    const double t = std::tanh(w);
    return half(i) * (1 - t * t);
  }
  double in(std::size_t i, double x) const {
    if (!bounded(i)) return x;
    if (!(half(i) > 0)) return 0;
    return std::atanh(std::clamp((x - threat.low[i]) / half(i) - 1, -1 + 1e-6, 1 - 1e-6));
  }
};

struct CarliniWalk {
  std::vector<double> w, mean, square;
  double weight = 1;
  double low = 0;
  double high = kInfinity;
  bool success = false;
};

base::Status run_carlini(Tracker& tracker, int searches, int steps, double rate) {
  const std::size_t n = tracker.inputs();
  const std::size_t k = tracker.classes();
  const TanhBox box{*tracker.setting().threat};
  std::vector<CarliniWalk> walks(tracker.size());
  std::vector<std::size_t> of;
  for (std::size_t c = 0; c < walks.size(); ++c) of.push_back(c);
  for (int search = 0; search < searches; ++search) {
    for (std::size_t c = 0; c < walks.size(); ++c) {
      CarliniWalk& walk = walks[c];
      walk.success = false;
      walk.mean.assign(n, 0.0);
      walk.square.assign(n, 0.0);
      walk.w.resize(n);
      for (std::size_t i = 0; i < n; ++i) walk.w[i] = box.in(i, tracker.example(c).x[i]);
    }
    double first = 1;  // powers of Adam's decays
    double second = 1;
    for (int step = 0; step < steps; ++step) {
      first *= 0.9;
      second *= 0.999;
      std::vector<double> rows(walks.size() * n);
      for (std::size_t c = 0; c < walks.size(); ++c) {
        for (std::size_t i = 0; i < n; ++i) rows[c * n + i] = box.out(i, walks[c].w[i]);
      }
      PL_TRY(const Pass pass, tracker.look(rows, of));
      const std::vector<double> margin = tracker.margins(pass, of);
      std::vector<double> seeds(pass.scores.size(), 0.0);
      for (std::size_t c = 0; c < walks.size(); ++c) {
        walks[c].success = walks[c].success || tracker.wrong(margin[c]);
        if (tracker.wrong(margin[c])) continue;
        loss_at(Loss::kMargin, std::span(pass.scores).subspan(c * k, k), tracker.example(c).label, -1,
                std::span(seeds).subspan(c * k, k));
      }
      PL_TRY(const std::vector<double> gradient, tracker.gradient(pass, seeds, of));
      for (std::size_t c = 0; c < walks.size(); ++c) {
        CarliniWalk& walk = walks[c];
        for (std::size_t i = 0; i < n; ++i) {
          const double moved = rows[c * n + i] - tracker.example(c).x[i];
          const double g = (2 * moved - walk.weight * gradient[c * n + i]) * box.slope(i, walk.w[i]);
          walk.mean[i] = 0.9 * walk.mean[i] + 0.1 * g;
          walk.square[i] = 0.999 * walk.square[i] + 0.001 * g * g;
          walk.w[i] -= rate * (walk.mean[i] / (1 - first)) / (std::sqrt(walk.square[i] / (1 - second)) + 1e-8);
        }
      }
    }
    for (CarliniWalk& walk : walks) {
      (walk.success ? walk.high : walk.low) = walk.weight;
      walk.weight = walk.high < kInfinity ? 0.5 * (walk.low + walk.high) : 10 * walk.weight;
    }
  }
  return base::ok();
}

template <class Body>
Attack minimal(std::string name, std::string settings, std::size_t at_a_time, Body body) {
  Attack out;
  out.name = std::move(name);
  out.kind = AttackKind::kMinimal;
  out.settings = std::move(settings);
  out.at_a_time = at_a_time;
  out.run = [body](const AttackSetting& setting, std::span<const AttackCase> cases,
                   const base::Rng& rng) -> base::Result<std::vector<AttackOutcome>> {
    PL_CHECK(check_setting(setting, cases));
    Tracker tracker(setting, cases, rng);
    PL_CHECK(body(tracker));
    return tracker.take();
  };
  return out;
}

}  // namespace

Attack fab(int steps, int targets, int starts) {
  return minimal("fab",
                 fmt::format("{} steps, {} targets, {} starts, overshoot 1.05, step back 0.9", steps, targets, starts),
                 4, [=](Tracker& tracker) { return Fab(tracker, steps, targets, starts).run(); });
}

Attack deepfool(int steps, double overshoot) {
  return minimal("deepfool", fmt::format("{} steps, overshoot {}", steps, overshoot), 25,
                 [=](Tracker& tracker) { return run_deepfool(tracker, steps, overshoot); });
}

Attack carlini_wagner(int searches, int steps, double rate) {
  return minimal("cw", fmt::format("L2, {} searches of the weight, {} Adam steps of {}", searches, steps, rate), 25,
                 [=](Tracker& tracker) { return run_carlini(tracker, searches, steps, rate); });
}

}  // namespace plumbline::robustness

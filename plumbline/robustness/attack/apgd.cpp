// APGD: projected ascent that sets its own step sizes. For Linf and L2 with momentum, for L1 with steps along a
// shrinking set of coordinates.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/robustness/attack/select.hpp"
#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kMomentum = 0.75;

/// Steps after which the step size is looked at: gaps of 0.22 of the budget, shrinking by 0.03 down to 0.06.
std::vector<int> checkpoints(int steps) {
  std::vector<int> out = {0};
  double share = 0;
  double gap = 0.22;
  while (share < 1) {
    share += gap;
    gap = std::max(gap - 0.03, 0.06);
    out.push_back(std::max(out.back() + 1, static_cast<int>(std::ceil(share * steps))));
  }
  return out;
}

/// One example on its way.
struct Walk {
  std::size_t example = 0;
  int target = -1;
  std::vector<double> x, last, best, gradient, best_gradient;
  double best_loss = 0;
  double loss = 0;
  double step = 0;  ///< in units of epsilon
  int rises = 0;    ///< since the last checkpoint
  double checked_loss = 0;
  double checked_step = 0;
  double share = 0.2;       ///< L1: of coordinates that move
  double moved_before = 0;  ///< L1: coordinates that differ from the example, at the last checkpoint
};

class Apgd {
 public:
  Apgd(Tracker& tracker, const ApgdOptions& options) : tracker_(tracker), options_(options) {}

  base::Status run() {
    PL_TRY(const std::vector<double> scores, scores_at_examples(tracker_));
    const std::size_t k = tracker_.classes();
    const int targets = options_.targeted ? std::min(options_.targets, static_cast<int>(k) - 1) : 1;
    for (int start = 0; start < options_.starts; ++start) {
      for (int t = 0; t < targets; ++t) {
        std::vector<Walk> walks;
        for (std::size_t c = 0; c < tracker_.size(); ++c) {
          if (tracker_.found(c)) continue;
          Walk walk;
          walk.example = c;
          if (options_.targeted) {
            const auto rivals =
                rival_classes(std::span(scores).subspan(c * k, k), tracker_.example(c).label, options_.targets);
            walk.target = rivals[static_cast<std::size_t>(t)];
          }
          base::Rng rng = tracker_.rng(c).fork(static_cast<std::uint64_t>(start)).fork(static_cast<std::uint64_t>(t));
          walk.x.resize(tracker_.inputs());
          uniform_in(tracker_.region(c), rng, walk.x);
          walks.push_back(std::move(walk));
        }
        if (walks.empty()) return base::ok();
        PL_CHECK(climb(walks));
      }
    }
    return base::ok();
  }

 private:
  bool sparse() const { return tracker_.setting().threat->norm == Norm::kL1; }
  double epsilon() const { return tracker_.setting().threat->epsilon; }

  /// Loss and gradient at x of every walk.
  base::Status evaluate(std::vector<Walk>& walks) {
    const std::size_t k = tracker_.classes();
    const std::size_t n = tracker_.inputs();
    std::vector<double> rows;
    std::vector<std::size_t> of;
    for (const Walk& walk : walks) {
      rows.insert(rows.end(), walk.x.begin(), walk.x.end());
      of.push_back(walk.example);
    }
    PL_TRY(const Pass pass, tracker_.look(rows, of));
    std::vector<double> seeds(pass.scores.size());
    for (std::size_t r = 0; r < walks.size(); ++r) {
      walks[r].loss = loss_at(options_.loss, std::span(pass.scores).subspan(r * k, k), tracker_.example(of[r]).label,
                              walks[r].target, std::span(seeds).subspan(r * k, k));
    }
    PL_TRY(const std::vector<double> gradient, tracker_.gradient(pass, seeds, of));
    for (std::size_t r = 0; r < walks.size(); ++r) {
      const auto row = std::span(gradient).subspan(r * n, n);
      walks[r].gradient.assign(row.begin(), row.end());
    }
    return base::ok();
  }

  static void keep_best(Walk& walk) {
    if (!(walk.loss > walk.best_loss)) return;
    walk.best = walk.x;
    walk.best_gradient = walk.gradient;
    walk.best_loss = walk.loss;
  }

  base::Status climb(std::vector<Walk>& walks) {
    PL_CHECK(evaluate(walks));
    for (Walk& walk : walks) {
      walk.last = walk.best = walk.x;
      walk.best_gradient = walk.gradient;
      walk.best_loss = walk.checked_loss = walk.loss;
      walk.step = walk.checked_step = sparse() ? 1 : 2;
      walk.moved_before = static_cast<double>(tracker_.inputs());
    }
    const std::vector<int> points = checkpoints(options_.steps);
    const int every = std::max(1, static_cast<int>(0.04 * options_.steps));
    std::size_t next = 1;
    for (int step = 0; step < options_.steps; ++step) {
      std::erase_if(walks, [&](const Walk& walk) { return tracker_.found(walk.example); });
      if (walks.empty()) return base::ok();
      for (Walk& walk : walks) sparse() ? move_sparse(walk) : move(walk, step == 0);
      std::vector<double> before;
      for (const Walk& walk : walks) before.push_back(walk.loss);
      PL_CHECK(evaluate(walks));
      for (std::size_t r = 0; r < walks.size(); ++r) {
        walks[r].rises += walks[r].loss > before[r] ? 1 : 0;
        keep_best(walks[r]);
      }
      if (sparse()) {
        if ((step + 1) % every != 0) continue;
        for (Walk& walk : walks) check_sparse(walk);
      } else if (next < points.size() && step + 1 == points[next]) {
        for (Walk& walk : walks) check(walk, points[next] - points[next - 1]);
        ++next;
      }
    }
    return base::ok();
  }

  void move(Walk& walk, bool first) {
    const Region& region = tracker_.region(walk.example);
    std::vector<double> z = walk.x;
    step_up(region, walk.gradient, walk.step, z);
    const double keep = first ? 1.0 : kMomentum;
    for (std::size_t i = 0; i < z.size(); ++i)
      z[i] = walk.x[i] + keep * (z[i] - walk.x[i]) + (1 - keep) * (walk.x[i] - walk.last[i]);
    project(region, z);
    walk.last = std::move(walk.x);
    walk.x = std::move(z);
  }

  void check(Walk& walk, int interval) {
    const bool stalls = walk.rises < 0.75 * interval;
    const bool no_gain = walk.checked_step == walk.step && !(walk.best_loss > walk.checked_loss);
    walk.checked_step = walk.step;
    walk.checked_loss = walk.best_loss;
    walk.rises = 0;
    if (!stalls && !no_gain) return;
    walk.step /= 2;
    restart(walk);
  }

  static void restart(Walk& walk) {
    walk.x = walk.last = walk.best;
    walk.gradient = walk.best_gradient;
    walk.loss = walk.best_loss;
  }

  void move_sparse(Walk& walk) {
    const std::size_t n = walk.x.size();
    const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(walk.share * static_cast<double>(n)), 1, n);
    const double least = kth_largest_size(walk.gradient, count);
    double moved = 0;
    for (const double g : walk.gradient) moved += g != 0 && std::abs(g) >= least ? 1 : 0;
    for (std::size_t i = 0; i < n && moved > 0; ++i) {
      const double g = walk.gradient[i];
      if (g != 0 && std::abs(g) >= least) walk.x[i] += std::copysign(walk.step * epsilon() / moved, g);
    }
    project(tracker_.region(walk.example), walk.x);
  }

  void check_sparse(Walk& walk) {
    const auto x0 = tracker_.example(walk.example).x;
    double moved = 0;
    for (std::size_t i = 0; i < walk.best.size(); ++i) moved += walk.best[i] != x0[i] ? 1 : 0;
    const bool sparser = moved < 0.95 * walk.moved_before;
    walk.share = moved / static_cast<double>(walk.best.size()) / 1.5;
    walk.step = sparser ? 1 : std::max(walk.step / 1.5, 0.1);
    walk.moved_before = moved;
    if (sparser) restart(walk);
  }

  Tracker& tracker_;
  const ApgdOptions& options_;
};

}  // namespace

Attack apgd(const ApgdOptions& options) {
  Attack out;
  out.name = fmt::format("apgd-{}", options.targeted ? "t" : loss_name(options.loss));
  out.kind = AttackKind::kGradient;
  out.settings = options.targeted ? fmt::format("targeted {}, {} targets", loss_name(options.loss), options.targets)
                                  : std::string(loss_name(options.loss));
  out.settings += fmt::format(", {} steps, {} start{}", options.steps, options.starts, options.starts == 1 ? "" : "s");
  out.run = [options](const AttackSetting& setting, std::span<const AttackCase> cases,
                      const base::Rng& rng) -> base::Result<std::vector<AttackOutcome>> {
    PL_CHECK(check_setting(setting, cases));
    Tracker tracker(setting, cases, rng);
    PL_CHECK(Apgd(tracker, options).run());
    return tracker.take();
  };
  return out;
}

}  // namespace plumbline::robustness

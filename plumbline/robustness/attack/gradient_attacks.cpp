// FGSM, PGD and diversified starts: the shared ascent over losses of scores.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

/// Tracks of one or more starts an example; a track stops when its example has fallen.
class LossObjective final : public Objective {
 public:
  LossObjective(Tracker& tracker, Loss loss) : tracker_(tracker), loss_(loss) {}

  void add(std::size_t example, int target) {
    example_.push_back(example);
    target_.push_back(target);
  }
  std::size_t tracks() const { return example_.size(); }
  std::size_t example(std::size_t track) const { return example_[track]; }

  base::Status look(std::span<const double> rows, std::span<const std::size_t> tracks,
                    std::vector<char>& done) override {
    of_.clear();
    for (const std::size_t t : tracks) of_.push_back(example_[t]);
    tracks_.assign(tracks.begin(), tracks.end());
    PL_TRY(pass_, tracker_.look(rows, of_));
    for (const std::size_t t : tracks) done[t] = tracker_.found(example_[t]) ? 1 : 0;
    return base::ok();
  }

  base::Result<std::vector<double>> gradient() override {
    const std::size_t k = tracker_.classes();
    std::vector<double> seeds(pass_.scores.size());
    for (std::size_t r = 0; r < of_.size(); ++r) {
      loss_at(loss_, std::span(pass_.scores).subspan(r * k, k), tracker_.example(of_[r]).label, target_[tracks_[r]],
              std::span(seeds).subspan(r * k, k));
    }
    return tracker_.gradient(pass_, seeds, of_);
  }

 private:
  Tracker& tracker_;
  Loss loss_;
  std::vector<std::size_t> example_;
  std::vector<int> target_;
  std::vector<std::size_t> of_, tracks_;
  Pass pass_;
};

base::Status climb(Tracker& tracker, LossObjective& objective, const StepPlan& plan, std::vector<double>& rows) {
  std::vector<const Region*> regions;
  for (std::size_t t = 0; t < objective.tracks(); ++t) regions.push_back(&tracker.region(objective.example(t)));
  return ascend(objective, regions, plan, rows, tracker.setting().cancel);
}

using Outcomes = base::Result<std::vector<AttackOutcome>>;

Outcomes run_pgd(const PgdOptions& options, const AttackSetting& setting, std::span<const AttackCase> cases,
                 const base::Rng& rng) {
  PL_CHECK(check_setting(setting, cases));
  Tracker tracker(setting, cases, rng);
  const std::size_t n = tracker.inputs();
  for (int start = 0; start < options.starts; ++start) {
    LossObjective objective(tracker, options.loss);
    std::vector<double> rows;
    for (std::size_t c = 0; c < cases.size(); ++c) {
      if (tracker.found(c)) continue;
      objective.add(c, -1);
      rows.insert(rows.end(), cases[c].x.begin(), cases[c].x.end());
      if (start == 0 && !options.random_start) continue;
      base::Rng own = tracker.rng(c).fork(static_cast<std::uint64_t>(start));
      uniform_in(tracker.region(c), own, std::span(rows).last(n));
    }
    if (objective.tracks() == 0) break;
    PL_CHECK(climb(tracker, objective, {options.steps, options.first_step, options.last_step}, rows));
  }
  return tracker.take();
}

Outcomes run_diversified(int starts, const StepPlan& plan, const AttackSetting& setting,
                         std::span<const AttackCase> cases, const base::Rng& rng) {
  PL_CHECK(check_setting(setting, cases));
  Tracker tracker(setting, cases, rng);
  const std::size_t n = tracker.inputs();
  constexpr int kTogether = 25;
  for (std::size_t c = 0; c < cases.size(); ++c) {
    for (int first = 0; first < starts && !tracker.found(c); first += kTogether) {
      LossObjective objective(tracker, Loss::kMargin);
      std::vector<double> rows;
      for (int start = first; start < std::min(starts, first + kTogether); ++start) {
        base::Rng own = tracker.rng(c).fork(static_cast<std::uint64_t>(start));
        const int other = start % static_cast<int>(tracker.classes() - 1);
        objective.add(c, other < cases[c].label ? other : other + 1);
        const Affine* layer = setting.target->layer();
        std::vector<double> direction = layer != nullptr ? layer_direction(*layer, own) : std::vector<double>(n);
        if (layer == nullptr) {
          for (double& d : direction) d = own.normal();
        }
        rows.resize(rows.size() + n);
        far_along(tracker.region(c), direction, own, std::span(rows).last(n));
      }
      PL_CHECK(climb(tracker, objective, plan, rows));
    }
  }
  return tracker.take();
}

}  // namespace

Attack fgsm() {
  Attack out;
  out.name = "fgsm";
  out.kind = AttackKind::kOneStep;
  out.settings = "cross-entropy, 1 step of epsilon";
  out.run = [](const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
    return run_pgd({.steps = 1, .starts = 1, .first_step = 1, .last_step = 1, .random_start = false}, setting, cases,
                   rng);
  };
  return out;
}

Attack pgd(const PgdOptions& options) {
  Attack out;
  out.name = options.loss == Loss::kCrossEntropy ? "pgd" : fmt::format("pgd-{}", loss_name(options.loss));
  out.kind = AttackKind::kGradient;
  out.settings = fmt::format("{}, {} steps of {} to {} epsilon, {} start{}, random start {}", loss_name(options.loss),
                             options.steps, options.first_step, options.last_step, options.starts,
                             options.starts == 1 ? "" : "s", options.random_start ? "yes" : "no");
  out.run = [options](const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
    return run_pgd(options, setting, cases, rng);
  };
  return out;
}

Attack diversified(int starts, int steps, double first_step, double last_step) {
  Attack out;
  out.name = "diversified";
  out.kind = AttackKind::kGradient;
  out.at_a_time = 1;
  out.settings = fmt::format("targeted margins, {} corners along first-layer directions, {} steps of {} to {} epsilon",
                             starts, steps, first_step, last_step);
  out.run = [starts, plan = StepPlan{steps, first_step, last_step}](
                const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng) {
    return run_diversified(starts, plan, setting, cases, rng);
  };
  return out;
}

}  // namespace plumbline::robustness

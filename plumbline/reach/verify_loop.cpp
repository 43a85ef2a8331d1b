#include "plumbline/reach/verify_loop.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"

namespace plumbline::reach {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRound = 8;

double worst_of(const Rollout& rollout) {
  double worst = kInfinity;
  for (const double m : rollout.margins) worst = std::min(worst, m);
  return worst;
}

class Search {
 public:
  Search(const Loop& loop, const VerifyLoopOptions& options, base::Progress& progress, const base::CancelToken& cancel)
      : loop_(loop),
        options_(options),
        progress_(progress),
        cancel_(cancel),
        root_(initial_box(loop)),
        end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(std::min(options.seconds, 1e8)))) {}

  base::Result<Verification> run() {
    const auto start = Clock::now();
    PL_CHECK(attack());
    bool violated = false;
    if (worst_of(out_.witness) < 0) {
      PL_TRY(violated, replay(out_.witness.start));
    }
    if (!violated) PL_CHECK(prove());
    out_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return std::move(out_);
  }

 private:
  bool late() const { return Clock::now() >= end_; }

  base::Status consider(const std::vector<double>& start) {
    PL_TRY(Rollout rollout, simulate(loop_, start));
    if (out_.margins.empty()) out_.margins.assign(rollout.margins.size(), kInfinity);
    for (std::size_t p = 0; p < rollout.margins.size(); ++p)
      out_.margins[p] = std::min(out_.margins[p], rollout.margins[p]);
    if (out_.witness.points.empty() || worst_of(rollout) < worst_of(out_.witness)) out_.witness = std::move(rollout);
    return base::ok();
  }

  /// Corners and random starts, then ever smaller boxes around the worst so far.
  base::Status attack() {
    base::Rng rng(options_.seed, {"reach", "rollouts"});
    for (std::size_t i = 0; i < options_.rollouts + options_.local; ++i) {
      PL_CHECK(cancel_.status());
      if (i > 0 && late()) break;
      std::vector<double> start = draw_start(root_, i, rng);
      if (i >= options_.rollouts) {
        const double share = 0.3 * std::pow(0.98, static_cast<double>(i - options_.rollouts));
        for (std::size_t v = 0; v < start.size(); ++v) {
          const double step = share * (root_[v].hi - root_[v].lo);
          start[v] = std::clamp(out_.witness.start[v] + rng.uniform(-step, step), root_[v].lo, root_[v].hi);
        }
      }
      PL_CHECK(consider(start));
    }
    return base::ok();
  }

  /// The tube from one point: does it break a property for certain?
  base::Result<bool> replay(const std::vector<double>& start) {
    Box point;
    for (const double x : start) point.emplace_back(x);
    TubeOptions options = options_.tube;
    options.whole = true;
    options.keep = false;
    PL_TRY(const Tube tube, reach_tube(loop_, point, options, cancel_));
    for (std::size_t p = 0; p < tube.answers.size(); ++p) {
      if (tube.answers[p] == Answer::kNo) out_.broken.push_back(p);
    }
    if (out_.broken.empty()) return false;
    out_.verdict = LoopVerdict::kViolated;
    out_.reason = fmt::format("a rollout breaks '{}', replayed with outward rounding",
                              loop_.properties[out_.broken.front()].text);
    return true;
  }

  struct Work {
    Box box;
    double share = 1;
    int depth = 0;
  };

  /// The variable to halve: the share of its width in the open question.
  std::size_t choose(const Box& box, const Tube& tube) const {
    std::size_t best = box.size();
    double most = -1;
    for (std::size_t v = 0; v < box.size(); ++v) {
      const double whole = root_[v].hi - root_[v].lo;
      const double now = box[v].hi - box[v].lo;
      if (!(now > options_.least_width * whole) || !(box[v].mid() > box[v].lo) || !(box[v].mid() < box[v].hi)) continue;
      const double score = tube.influence[v] + 1e-6 * now / whole;
      if (score > most) {
        most = score;
        best = v;
      }
    }
    return best;
  }

  base::Status prove() {
    std::vector<Work> open = {{root_, 1.0, 0}};
    double proved_share = 0;
    while (!open.empty()) {
      PL_CHECK(cancel_.status());
      if (late() || out_.boxes >= options_.boxes) return stop(proved_share, late());
      // Depth first: memory stays small, and what is proved early says how long the rest may take.
      const std::size_t count = std::min(kRound, open.size());
      std::vector<Work> round(std::make_move_iterator(open.end() - static_cast<std::ptrdiff_t>(count)),
                              std::make_move_iterator(open.end()));
      open.resize(open.size() - count);
      std::vector<Tube> tubes(count);
      PL_CHECK(base::parallel_for(
          count,
          [&](std::size_t i) -> base::Status {
            PL_TRY(tubes[i], reach_tube(loop_, round[i].box, options_.tube, cancel_));
            // Too small to be split: every choice of the network is followed instead.
            if (!all_yes(tubes[i]) && choose(round[i].box, tubes[i]) == round[i].box.size()) {
              TubeOptions branching = options_.tube;
              branching.branch = true;
              PL_TRY(tubes[i], reach_tube(loop_, round[i].box, branching, cancel_));
            }
            return base::ok();
          },
          cancel_));
      out_.boxes += count;
      for (std::size_t i = 0; i < count; ++i) {
        PL_TRY(const bool going, settle(round[i], tubes[i], open, proved_share));
        if (!going) return base::ok();
      }
      progress_.update("percent of the box", static_cast<std::size_t>(proved_share * 100), 100);
    }
    out_.verdict = LoopVerdict::kHolds;
    out_.open_share = 0;
    out_.reason = fmt::format("the tubes of {} box{} meet every property", out_.proved, out_.proved == 1 ? "" : "es");
    return base::ok();
  }

  static bool all_yes(const Tube& tube) {
    return std::all_of(tube.answers.begin(), tube.answers.end(), [](Answer a) { return a == Answer::kYes; });
  }

  /// False: the verdict is there.
  base::Result<bool> settle(const Work& work, const Tube& tube, std::vector<Work>& open, double& proved_share) {
    if (all_yes(tube)) {
      ++out_.proved;
      proved_share += work.share;
      out_.leaves.push_back(work.box);
      return true;
    }
    if (std::find(tube.answers.begin(), tube.answers.end(), Answer::kNo) != tube.answers.end()) {
      std::vector<double> middle;
      for (const Interval& range : work.box) middle.push_back(std::clamp(range.mid(), range.lo, range.hi));
      PL_TRY(const bool violated, replay(middle));
      if (violated) {
        PL_TRY(out_.witness, simulate(loop_, middle));
        return false;
      }
    }
    if (first_reason_.empty() || work.depth > deepest_) {
      first_reason_ = tube.reason;
      deepest_ = work.depth;
    }
    const std::size_t v = choose(work.box, tube);
    if (v == work.box.size()) {
      out_.reason = fmt::format("undecided on a box too small to be split: {}", tube.reason);
      out_.open_share = 1 - proved_share;
      return false;
    }
    const double middle = work.box[v].mid();
    for (int side = 0; side < 2; ++side) {
      Work half = {work.box, work.share / 2, work.depth + 1};
      half.box[v] = side == 0 ? Interval(work.box[v].lo, middle) : Interval(middle, work.box[v].hi);
      open.push_back(std::move(half));
    }
    return true;
  }

  base::Status stop(double proved_share, bool by_clock) {
    out_.timed_out = by_clock;
    out_.open_share = 1 - proved_share;
    out_.reason = fmt::format("{} after {} boxes, with {:.3g} of the initial box proved{}{}",
                              by_clock ? fmt::format("time ({:g} s)", options_.seconds) : "limit of boxes", out_.boxes,
                              proved_share, first_reason_.empty() ? "" : "; deepest open box: ", first_reason_);
    return base::ok();
  }

  const Loop& loop_;
  const VerifyLoopOptions& options_;
  base::Progress& progress_;
  const base::CancelToken& cancel_;
  Box root_;
  Clock::time_point end_;
  Verification out_;
  std::string first_reason_;
  int deepest_ = -1;
};

}  // namespace

std::string_view loop_verdict_name(LoopVerdict verdict) {
  switch (verdict) {
    case LoopVerdict::kHolds: return "holds";
    case LoopVerdict::kViolated: return "violated";
    case LoopVerdict::kUnknown: return "unknown";
  }
  return "";
}

base::Result<Verification> verify_loop(const Loop& loop, const VerifyLoopOptions& options, base::Progress& progress,
                                       const base::CancelToken& cancel) {
  if (loop.properties.empty())
    return base::make_error(base::Code::kValue, "verify_loop: the loop claims nothing", {},
                            "Add a [[property]] with always, never, finally or eventually");
  return Search(loop, options, progress, cancel).run();
}

}  // namespace plumbline::reach

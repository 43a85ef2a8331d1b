#include "plumbline/robustness/attack/property_attack.hpp"

#include <algorithm>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/robustness/attack/descent.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The atom that keeps a case from being true; null without atoms.
const LinearAtom* binding(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y) {
  const LinearAtom* worst = nullptr;
  double most = -kInfinity;
  for (const LinearAtom& atom : unsafe.atoms) {
    double sum = -atom.bound.nearest;
    for (const auto& [i, a] : atom.x) sum += a * x[i];
    for (const auto& [j, a] : atom.y) sum += a * y[j];
    if (sum > most) {
      most = sum;
      worst = &atom;
    }
  }
  return worst;
}

bool is_true(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y) {
  for (const LinearAtom& atom : unsafe.atoms) {
    double sum = -atom.bound.nearest;
    for (const auto& [i, a] : atom.x) sum += a * x[i];
    for (const auto& [j, a] : atom.y) sum += a * y[j];
    if (!(atom.strict ? sum < 0 : sum <= 0)) return false;
  }
  return true;
}

/// What a block of starts came to; blocks are combined in order, so threads do not matter.
struct Block {
  double trace_best = kInfinity;
  std::uint64_t forwards = 0;
  std::uint64_t gradients = 0;
  double best = kInfinity;
  bool found = false;
  int step = -1;  ///< of the last look: at which it was found
  std::size_t which = 0;
  std::vector<double> x;
};

/// A block's tracks, each after a case of its own. All stop at the first candidate.
class ExcessObjective final : public Objective {
 public:
  ExcessObjective(const Network& network, const Property& property, const std::vector<std::size_t>& cases,
                  std::vector<std::size_t> target, Block& block)
      : network_(network), property_(property), cases_(cases), target_(std::move(target)), block_(block) {}

  /// Evaluates, and keeps what came nearest.
  base::Status look(std::span<const double> rows, std::span<const std::size_t> tracks,
                    std::vector<char>& done) override {
    ++block_.step;
    rows_ = rows;
    tracks_ = tracks;
    values_ = forward(network_, rows, tracks.size());
    block_.forwards += tracks.size();
    for (std::size_t r = 0; r < tracks.size(); ++r) {
      const auto consider = [&](std::size_t c) {
        const double excess = case_excess(property_.cases[c], input(r), output(r));
        block_.trace_best = std::min(block_.trace_best, excess);
        const bool holds = is_true(property_.cases[c], input(r), output(r));
        if (block_.found || !(excess < block_.best || holds)) return;
        block_.best = excess;
        block_.which = c;
        block_.x.assign(input(r).begin(), input(r).end());
        block_.found = holds;
      };
      const std::size_t own = target_[tracks[r]];
      consider(own);
      // Another case may have become true on the way.
      for (const std::size_t c : cases_) {
        if (c != own && !block_.found && is_true(property_.cases[c], input(r), output(r))) consider(c);
      }
    }
    if (block_.found) std::fill(done.begin(), done.end(), 1);
    return base::ok();
  }

  base::Result<std::vector<double>> gradient() override {
    const std::size_t n = property_.inputs;
    std::vector<double> seeds(tracks_.size() * property_.outputs, 0.0);
    std::vector<double> direct(tracks_.size() * n, 0.0);
    for (std::size_t r = 0; r < tracks_.size(); ++r) {
      const LinearAtom* atom = binding(property_.cases[target_[tracks_[r]]], input(r), output(r));
      if (atom == nullptr) continue;
      for (const auto& [j, a] : atom->y) seeds[r * property_.outputs + j] -= a;
      for (const auto& [i, a] : atom->x) direct[r * n + i] -= a;
    }
    std::vector<double> gradient = input_gradient(network_, values_, seeds, tracks_.size());
    block_.gradients += tracks_.size();
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += direct[i];
    return gradient;
  }

 private:
  std::span<const double> input(std::size_t r) const { return rows_.subspan(r * property_.inputs, property_.inputs); }
  std::span<const double> output(std::size_t r) const {
    return std::span(values_.back()).subspan(r * property_.outputs, property_.outputs);
  }

  const Network& network_;
  const Property& property_;
  const std::vector<std::size_t>& cases_;
  std::vector<std::size_t> target_;
  Block& block_;
  std::span<const double> rows_;
  std::span<const std::size_t> tracks_;
  std::vector<std::vector<double>> values_;
};

class Searcher {
  static constexpr std::size_t kBlock = 25;

 public:
  Searcher(const Network& network, const Property& property, const SearchOptions& options, base::CancelToken cancel)
      : network_(network),
        property_(property),
        options_(options),
        cancel_(std::move(cancel)),
        layer_(first_layer(network)) {
    result_.best = kInfinity;
  }

  base::Result<SearchResult> run(const base::Rng& rng) {
    for (const SearchMethod method : options_.methods) {
      result_.traces.push_back({.method = method, .best = kInfinity, .forwards = 0, .gradients = 0});
      const bool once = method == SearchMethod::kRandom || method == SearchMethod::kFgsm;
      for (int round = 0; round < (once ? 1 : options_.rounds) && !result_.found; ++round) {
        for (std::size_t box = 0; box < property_.boxes.size() && !result_.found; ++box) {
          PL_CHECK(cancel_.status());
          rng_ = rng.fork(search_method_name(method)).fork(static_cast<std::uint64_t>(round)).fork(box);
          PL_CHECK(one(method, box));
        }
      }
      if (result_.found) break;
    }
    return std::move(result_);
  }

 private:
  base::Status one(SearchMethod method, std::size_t at) {
    const InputBox& box = property_.boxes[at];
    std::vector<std::size_t> cases;
    for (std::size_t c = 0; c < property_.cases.size(); ++c) {
      if (property_.cases[c].box == at) cases.push_back(c);
    }
    Region region{.norm = Norm::kLinf, .centre = {}, .epsilon = kInfinity, .low = {}, .high = {}, .unit = {}};
    for (std::size_t i = 0; i < property_.inputs; ++i) {
      const double low = box.lower[i].nearest;
      const double high = box.upper[i].nearest;
      if (!(low <= high)) return base::ok();  // a box that lies between two doubles
      region.low.push_back(low);
      region.high.push_back(high);
      region.unit.push_back(high - low);
      region.centre.push_back(std::clamp(low + 0.5 * (high - low), low, high));
    }
    const std::size_t count = method == SearchMethod::kFgsm ? cases.size() : std::max(options_.starts, cases.size());
    std::vector<Block> blocks((count + kBlock - 1) / kBlock);
    const base::Status status = base::parallel_for(blocks.size(), [&](std::size_t b) {
      const std::size_t first = b * kBlock;
      return run_block(method, cases, region, first, std::min(kBlock, count - first), blocks[b]);
    });
    PL_CHECK(status);
    combine(blocks);
    return base::ok();
  }

  void combine(const std::vector<Block>& blocks) {
    SearchTrace& trace = result_.traces.back();
    const Block* winner = nullptr;
    for (const Block& block : blocks) {
      trace.best = std::min(trace.best, block.trace_best);
      trace.forwards += block.forwards;
      trace.gradients += block.gradients;
      const bool better = block.found && winner != nullptr && winner->found ? block.step < winner->step
                          : block.found || (winner != nullptr && winner->found)
                              ? block.found
                              : block.best < (winner != nullptr ? winner->best : result_.best);
      if (better) winner = &block;
    }
    if (winner == nullptr) return;
    result_.found = winner->found;
    result_.best = winner->best;
    result_.which = winner->which;
    result_.x = winner->x;
  }

  base::Status run_block(SearchMethod method, const std::vector<std::size_t>& cases, const Region& region,
                         std::size_t first, std::size_t count, Block& block) const {
    const std::size_t n = property_.inputs;
    std::vector<double> rows(count * n);
    std::vector<std::size_t> target(count);
    for (std::size_t r = 0; r < count; ++r) {
      target[r] = cases[(first + r) % cases.size()];
      start(method, region, first + r, first + r < cases.size(), std::span(rows).subspan(r * n, n));
    }
    ExcessObjective objective(network_, property_, cases, std::move(target), block);
    StepPlan plan{options_.steps, options_.first_step, options_.last_step};
    if (method == SearchMethod::kRandom) plan.steps = 0;
    if (method == SearchMethod::kFgsm) plan = {1, 1, 1};
    const std::vector<const Region*> regions(count, &region);
    const base::Status status = ascend(objective, regions, plan, rows, cancel_);
    // A search that is stopped keeps what it has found; run() says that it was stopped.
    return status.ok() || status.error().code == base::Code::kCancelled ? base::ok() : status;
  }

  void start(SearchMethod method, const Region& region, std::size_t row, bool first, std::span<double> x) const {
    base::Rng rng = rng_.fork(row);
    const bool middle = method == SearchMethod::kFgsm || (method == SearchMethod::kPgd && first);
    const bool corner = method == SearchMethod::kDiversified || (method == SearchMethod::kRandom && row % 2 == 1);
    if (middle) {
      std::copy(region.centre.begin(), region.centre.end(), x.begin());
    } else if (corner) {
      std::vector<double> direction(x.size(), 0.0);
      if (method == SearchMethod::kDiversified && layer_ != nullptr) direction = layer_direction(*layer_, rng);
      far_along(region, direction, rng, x);
    } else {
      uniform_in(region, rng, x);
    }
  }

  const Network& network_;
  const Property& property_;
  const SearchOptions& options_;
  base::CancelToken cancel_;
  const Affine* layer_ = nullptr;
  base::Rng rng_{0};
  SearchResult result_;
};

}  // namespace

std::string_view search_method_name(SearchMethod method) {
  switch (method) {
    case SearchMethod::kRandom: return "random";
    case SearchMethod::kFgsm: return "fgsm";
    case SearchMethod::kPgd: return "pgd";
    case SearchMethod::kDiversified: return "diversified";
  }
  return "";
}

base::Result<SearchResult> search_violation(const Network& network, const Property& property,
                                            const SearchOptions& options, base::Rng rng,
                                            const base::CancelToken& cancel) {
  PL_CHECK(base::check_size("search_violation", "property.inputs", static_cast<std::ptrdiff_t>(property.inputs),
                            static_cast<std::ptrdiff_t>(network.inputs())));
  PL_CHECK(base::check_size("search_violation", "property.outputs", static_cast<std::ptrdiff_t>(property.outputs),
                            static_cast<std::ptrdiff_t>(network.outputs())));
  PL_CHECK(base::check_at_least("search_violation", "starts", static_cast<std::ptrdiff_t>(options.starts), 1));
  PL_CHECK(base::check_at_least("search_violation", "steps", options.steps, 1));
  PL_CHECK(base::check_at_least("search_violation", "rounds", options.rounds, 1));
  PL_CHECK(base::check_positive("search_violation", "first_step", options.first_step));
  PL_CHECK(base::check_positive("search_violation", "last_step", options.last_step));
  return Searcher(network, property, options, cancel).run(rng);
}

}  // namespace plumbline::robustness

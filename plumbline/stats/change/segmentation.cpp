#include "plumbline/stats/change/segmentation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::stats {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

base::Status check_arguments(std::string_view who, const SegmentCost& cost, double penalty) {
  PL_CHECK(base::check_in(who, "penalty", penalty, 0, 1e300));
  if (cost.size() < cost.shortest())
    return base::make_error(base::Code::kShape, fmt::format("{}: {} points, and the shortest part has {}", who,
                                                            cost.size(), cost.shortest()));
  return base::ok();
}

Segmentation finish(const SegmentCost& cost, std::vector<std::size_t> changes, double penalty) {
  Segmentation out;
  std::sort(changes.begin(), changes.end());
  std::size_t begin = 0;
  for (const std::size_t end : changes) {
    out.cost += cost.cost(begin, end);
    begin = end;
  }
  out.cost += cost.cost(begin, cost.size());
  out.objective = out.cost + penalty * static_cast<double>(changes.size());
  out.changes = std::move(changes);
  return out;
}

std::vector<std::size_t> walk_back(const std::vector<std::size_t>& last) {
  std::vector<std::size_t> changes;
  for (std::size_t t = last.back(); t > 0; t = last[t]) changes.push_back(t);
  return changes;
}

/// A possible last change, and from when on it no longer is.
struct Candidate {
  std::size_t at = 0;
  std::size_t until = std::numeric_limits<std::size_t>::max();
};

base::Result<Segmentation> partition(std::string_view who, const SegmentCost& cost, double penalty, bool prune,
                                     const base::CancelToken& cancel) {
  PL_CHECK(check_arguments(who, cost, penalty));
  const std::size_t n = cost.size(), m = cost.shortest();
  std::vector<double> best(n + 1, kInfinite);
  std::vector<std::size_t> last(n + 1, 0);
  best[0] = -penalty;
  std::vector<Candidate> candidates;
  std::vector<double> value;
  for (std::size_t t = m; t <= n; ++t) {
    if (t % 256 == 0) PL_CHECK(cancel.status());
    if (best[t - m] < kInfinite) candidates.push_back({t - m});
    value.clear();
    for (const Candidate& c : candidates) {
      const double v = best[c.at] + cost.cost(c.at, t);
      value.push_back(v);
      if (v + penalty < best[t]) {
        best[t] = v + penalty;
        last[t] = c.at;
      }
    }
    if (!prune) continue;
    // What is dropped at t must still serve ends less than m after t: no part of t .. end is that short.
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if (value[i] - cost.slack() >= best[t]) candidates[i].until = std::min(candidates[i].until, t + m);
    std::erase_if(candidates, [&](const Candidate& c) { return c.until <= t + 1; });
  }
  return finish(cost, walk_back(last), penalty);
}

/// A cut of [begin, end) and what it saves.
struct Cut {
  double saved = 0;
  std::size_t begin = 0, end = 0, at = 0;
  bool operator<(const Cut& other) const { return saved != other.saved ? saved < other.saved : begin > other.begin; }
};

Cut best_cut(const SegmentCost& cost, std::size_t begin, std::size_t end) {
  Cut out{-kInfinite, begin, end, begin};
  const std::size_t m = cost.shortest();
  if (end - begin < 2 * m) return out;
  const double whole = cost.cost(begin, end);
  for (std::size_t k = begin + m; k + m <= end; ++k) {
    const double saved = whole - cost.cost(begin, k) - cost.cost(k, end);
    if (saved > out.saved) {
      out.saved = saved;
      out.at = k;
    }
  }
  return out;
}

}  // namespace

double schwarz_penalty(const SegmentCost& cost) {
  return (cost.parameters() + 1) * std::log(static_cast<double>(cost.size()));
}
double modified_penalty(const SegmentCost& cost) {
  return (cost.parameters() + 2) * std::log(static_cast<double>(cost.size()));
}

base::Result<Segmentation> pelt(const SegmentCost& cost, double penalty, const base::CancelToken& cancel) {
  return partition("pelt", cost, penalty, true, cancel);
}

base::Result<Segmentation> optimal_partition(const SegmentCost& cost, double penalty, const base::CancelToken& cancel) {
  return partition("optimal_partition", cost, penalty, false, cancel);
}

base::Result<std::vector<Segmentation>> best_segmentations(const SegmentCost& cost, std::size_t most,
                                                           const base::CancelToken& cancel) {
  PL_CHECK(check_arguments("best_segmentations", cost, 0));
  const std::size_t n = cost.size(), m = cost.shortest();
  std::vector<Segmentation> out;
  std::vector<double> before(n + 1, kInfinite);
  for (std::size_t t = m; t <= n; ++t) before[t] = cost.cost(0, t);
  std::vector<std::vector<std::size_t>> last;
  out.push_back(finish(cost, {}, 0));
  for (std::size_t k = 1; k <= most && (k + 1) * m <= n; ++k) {
    std::vector<double> best(n + 1, kInfinite);
    std::vector<std::size_t> from(n + 1, 0);
    for (std::size_t t = (k + 1) * m; t <= n; ++t) {
      if (t % 256 == 0) PL_CHECK(cancel.status());
      for (std::size_t s = k * m; s + m <= t; ++s) {
        const double v = before[s] + cost.cost(s, t);
        if (v < best[t]) {
          best[t] = v;
          from[t] = s;
        }
      }
    }
    last.push_back(std::move(from));
    before = std::move(best);
    std::vector<std::size_t> changes;
    std::size_t t = n;
    for (std::size_t level = k; level-- > 0;) {
      t = last[level][t];
      changes.push_back(t);
    }
    out.push_back(finish(cost, std::move(changes), 0));
  }
  return out;
}

base::Result<Segmentation> binary_segmentation(const SegmentCost& cost, double penalty, std::size_t most,
                                               const base::CancelToken& cancel) {
  PL_CHECK(check_arguments("binary_segmentation", cost, penalty));
  std::priority_queue<Cut> cuts;
  cuts.push(best_cut(cost, 0, cost.size()));
  std::vector<std::size_t> changes;
  while (!cuts.empty() && changes.size() < most && cuts.top().saved > penalty) {
    PL_CHECK(cancel.status());
    const Cut cut = cuts.top();
    cuts.pop();
    changes.push_back(cut.at);
    cuts.push(best_cut(cost, cut.begin, cut.at));
    cuts.push(best_cut(cost, cut.at, cut.end));
  }
  return finish(cost, std::move(changes), penalty);
}

}  // namespace plumbline::stats

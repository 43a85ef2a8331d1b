#include "plumbline/robustness/stream_rank.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace plumbline::robustness {
namespace {

/// Rounding must not make an end of the interval out of a number next to it.
double inside(double p) {
  return std::clamp(p, std::numeric_limits<double>::min(), 1.0 - std::numeric_limits<double>::epsilon() / 2);
}

}  // namespace

double smoothed_p(std::span<const double> ascending, double x, double u) {
  const auto first = std::lower_bound(ascending.begin(), ascending.end(), x);
  const auto last = std::upper_bound(first, ascending.end(), x);
  const auto above = static_cast<double>(ascending.end() - last);
  const auto equal = static_cast<double>(last - first);
  return inside((above + u * (1 + equal)) / (static_cast<double>(ascending.size()) + 1));
}

RankUrn::RankUrn(std::vector<std::uint64_t> balls) : balls_(balls.size(), 0), tree_(balls.size() + 1, 0) {
  for (std::size_t g = 0; g < balls.size(); ++g)
    if (balls[g] > 0) add(g, balls[g]);
}

RankUrn RankUrn::of_reference(std::size_t n, std::size_t groups) {
  const std::size_t intervals = n + 1;
  const std::size_t count = std::clamp<std::size_t>(groups, 1, intervals);
  std::vector<std::uint64_t> balls(count, 0);
  for (std::size_t i = 0; i < intervals; ++i) ++balls[i * count / intervals];
  RankUrn urn(std::move(balls));
  urn.reference_ = intervals;
  urn.knows_ = true;
  return urn;
}

RankUrn RankUrn::of_nothing(std::size_t groups) {
  return RankUrn(std::vector<std::uint64_t>(std::max<std::size_t>(1, groups), 0));
}

std::uint64_t RankUrn::below(std::size_t group) const {
  std::uint64_t sum = 0;
  for (std::size_t i = group; i > 0; i &= i - 1) sum += tree_[i];
  return sum;
}

void RankUrn::add(std::size_t group, std::uint64_t balls) {
  balls_[group] += balls;
  all_ += balls;
  for (std::size_t i = group + 1; i < tree_.size(); i += i & (~i + 1)) tree_[i] += balls;
}

double RankUrn::next(double p) {
  if (reference_ == 0) {  // the groups are equal parts of [0, 1)
    const double place = p * static_cast<double>(balls_.size());
    const auto group = std::min(static_cast<std::size_t>(place), balls_.size() - 1);
    return next(group, inside(place - std::floor(place)));
  }
  // p says which interval, and what is left over is the uniform number that smoothed it.
  const double place = p * static_cast<double>(reference_);
  const auto interval = std::min(static_cast<std::uint64_t>(place), reference_ - 1);
  const double u = inside(place - std::floor(place));
  return next(static_cast<std::size_t>(interval * balls_.size() / reference_), u);
}

double RankUrn::next(std::size_t group, double u) {
  const auto low = static_cast<double>(below(group));
  const auto here = static_cast<double>(balls_[group]);
  // Without a reference the row itself is one of those that are ranked; with one, its ball is the reference's.
  const double own = knows_ ? 0 : 1;
  const double p = (low + u * (here + own)) / (static_cast<double>(all_) + own);
  add(group, 1);
  return inside(p);
}

void RankUrn::forget() {
  std::fill(balls_.begin(), balls_.end(), 0);
  std::fill(tree_.begin(), tree_.end(), 0);
  all_ = 0;
  knows_ = false;
}

}  // namespace plumbline::robustness

#include "plumbline/stats/change/agreement.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace plumbline::stats {
namespace {

using Places = std::set<std::size_t>;

Places with_start(const ChangeList& list) {
  Places places(list.begin(), list.end());
  places.insert(0);
  return places;
}

std::size_t apart(std::size_t a, std::size_t b) { return a > b ? a - b : b - a; }

/// Marked places that have a found one within the margin of their own.
std::size_t matched(const Places& marked, Places found, std::size_t margin) {
  std::size_t count = 0;
  for (const std::size_t place : marked) {
    auto nearest = found.end();
    for (auto at = found.begin(); at != found.end(); ++at)
      if (apart(*at, place) <= margin && (nearest == found.end() || apart(*at, place) < apart(*nearest, place)))
        nearest = at;
    if (nearest == found.end()) continue;
    found.erase(nearest);
    ++count;
  }
  return count;
}

struct Part {
  std::size_t begin, end;
};

std::vector<Part> parts_of(const Places& places, std::size_t n) {
  std::vector<Part> parts;
  for (auto at = places.begin(); at != places.end(); ++at)
    parts.push_back({*at, std::next(at) == places.end() ? n : *std::next(at)});
  return parts;
}

double covering(const Places& marked, const Places& found, std::size_t n) {
  double sum = 0;
  for (const Part& a : parts_of(marked, n)) {
    double best = 0;
    for (const Part& b : parts_of(found, n)) {
      const std::size_t low = std::max(a.begin, b.begin), high = std::min(a.end, b.end);
      if (low >= high) continue;
      const auto both = static_cast<double>(high - low);
      best = std::max(best, both / (static_cast<double>(a.end - a.begin + b.end - b.begin) - both));
    }
    sum += static_cast<double>(a.end - a.begin) * best;
  }
  return sum / static_cast<double>(n);
}

}  // namespace

base::Result<Agreement> agreement(std::span<const ChangeList> annotators, const ChangeList& found, std::size_t n,
                                  std::size_t margin) {
  if (annotators.empty() || n == 0)
    return base::make_error(base::Code::kShape, "agreement: no annotator, or no points");
  const auto beyond = [&](const ChangeList& list) {
    return std::any_of(list.begin(), list.end(), [&](std::size_t place) { return place >= n; });
  };
  if (beyond(found) || std::any_of(annotators.begin(), annotators.end(), beyond))
    return base::make_error(base::Code::kValue, fmt::format("agreement: a change lies beyond the {} points", n));
  const Places ours = with_start(found);
  Places any = {0};
  Agreement out;
  const auto count = static_cast<double>(annotators.size());
  for (const ChangeList& list : annotators) {
    const Places marked = with_start(list);
    any.insert(marked.begin(), marked.end());
    out.recall += static_cast<double>(matched(marked, ours, margin)) / static_cast<double>(marked.size()) / count;
    out.covering += covering(marked, ours, n) / count;
  }
  out.precision = static_cast<double>(matched(any, ours, margin)) / static_cast<double>(ours.size());
  out.f1 = 2 * out.precision * out.recall / (out.precision + out.recall);
  return out;
}

}  // namespace plumbline::stats

#include "plumbline/robustness/attack/loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace plumbline::robustness {

namespace {

std::size_t best_other(std::span<const double> z, std::size_t y) {
  std::size_t best = y == 0 ? 1 : 0;
  for (std::size_t j = 0; j < z.size(); ++j) {
    if (j != y && z[j] > z[best]) best = j;
  }
  return best;
}

}  // namespace

std::string_view loss_name(Loss loss) {
  switch (loss) {
    case Loss::kMargin: return "margin";
    case Loss::kCrossEntropy: return "ce";
    case Loss::kDlr: return "dlr";
  }
  return "";
}

double class_margin(std::span<const double> scores, int label) {
  const auto y = static_cast<std::size_t>(label);
  for (const double z : scores) {
    if (std::isnan(z)) return std::numeric_limits<double>::infinity();
  }
  return scores[y] - scores[best_other(scores, y)];
}

double loss_at(Loss loss, std::span<const double> z, int label, int target, std::span<double> seeds) {
  std::fill(seeds.begin(), seeds.end(), 0.0);
  const auto y = static_cast<std::size_t>(label);
  if (loss == Loss::kCrossEntropy) {
    const double most = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (std::size_t j = 0; j < z.size(); ++j) sum += seeds[j] = std::exp(z[j] - most);
    // The derivative is p - 1 at the label: the sum of the others keeps its digits where p is near 1.
    const std::size_t at = target >= 0 ? static_cast<std::size_t>(target) : y;
    double rest = 0;
    for (std::size_t j = 0; j < z.size(); ++j) {
      seeds[j] /= sum;
      if (j != at) rest += seeds[j];
    }
    seeds[at] = -rest;
    const double log_p = z[at] - most - std::log(sum);
    if (target < 0) return -log_p;
    for (double& s : seeds) s = -s;
    return log_p;
  }
  const std::size_t t = target >= 0 ? static_cast<std::size_t>(target) : best_other(z, y);
  const double gap = z[t] - z[y];
  const std::size_t needed = target >= 0 ? 4 : 3;
  if (loss == Loss::kDlr && z.size() >= needed) {
    std::vector<std::size_t> order(z.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(needed), order.end(),
                      [&](std::size_t a, std::size_t b) { return z[a] != z[b] ? z[a] > z[b] : a < b; });
    const double low = target >= 0 ? 0.5 * (z[order[2]] + z[order[3]]) : z[order[2]];
    const double width = z[order[0]] - low;
    if (width > 0) {
      seeds[t] += 1 / width;
      seeds[y] -= 1 / width;
      const double by_width = -gap / (width * width);
      seeds[order[0]] += by_width;
      if (target >= 0) {
        seeds[order[2]] -= 0.5 * by_width;
        seeds[order[3]] -= 0.5 * by_width;
      } else {
        seeds[order[2]] -= by_width;
      }
      return gap / width;
    }
  }
  seeds[t] += 1;
  seeds[y] -= 1;
  return gap;
}

}  // namespace plumbline::robustness

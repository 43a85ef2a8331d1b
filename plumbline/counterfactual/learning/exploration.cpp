#include "plumbline/counterfactual/learning/exploration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::learning {
namespace {

constexpr double kWidest = 7.5;  // deviations, beyond which a normal number does not go

double density(double z) { return std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi); }

void normalise(std::span<double> p) {
  double total = 0;
  for (const double v : p) total += v;
  for (double& v : p) v /= total;
}

}  // namespace

void greedy(std::span<const double> score, std::span<double> out) {
  const double best = *std::max_element(score.begin(), score.end());
  for (std::size_t k = 0; k < score.size(); ++k) out[k] = score[k] == best ? 1 : 0;
  normalise(out);
}

void mix_uniform(double epsilon, std::span<double> p) {
  for (double& v : p) v = (1 - epsilon) * v + epsilon / static_cast<double>(p.size());
}

void softmax(std::span<const double> score, double temperature, std::span<double> out) {
  const double best = *std::max_element(score.begin(), score.end());
  for (std::size_t k = 0; k < score.size(); ++k) out[k] = std::exp((score[k] - best) / temperature);
  normalise(out);
}

void inverse_gap(std::span<const double> score, double gamma, std::span<double> out) {
  const auto best = static_cast<std::size_t>(std::max_element(score.begin(), score.end()) - score.begin());
  double rest = 1;
  for (std::size_t k = 0; k < score.size(); ++k) {
    if (k == best) continue;
    out[k] = 1 / (static_cast<double>(score.size()) + gamma * (score[best] - score[k]));
    rest -= out[k];
  }
  out[best] = rest;
}

void largest_normal(std::span<const double> mean, std::span<const double> deviation, std::span<double> out) {
  const std::size_t n = mean.size();
  double floor = mean[0] - kWidest * deviation[0];
  for (std::size_t k = 1; k < n; ++k) floor = std::max(floor, mean[k] - kWidest * deviation[k]);
  std::vector<std::size_t> alive;
  for (std::size_t k = 0; k < n; ++k) {
    out[k] = 0;
    if (mean[k] + kWidest * deviation[k] >= floor) alive.push_back(k);
  }
  if (alive.size() == 1) {
    out[alive[0]] = 1;
    return;
  }
  // Points a deviation of each number apart; those that crowd closer than half the least deviation are thinned, so that
  // between neighbours no distribution function moves by more than it does in 1.5 deviations.
  double least = deviation[alive[0]];
  std::vector<double> all;
  for (const std::size_t k : alive) {
    least = std::min(least, deviation[k]);
    for (int j = -7; j <= 7; ++j) all.push_back(std::max(floor, mean[k] + j * deviation[k]));
  }
  std::sort(all.begin(), all.end());
  std::vector<double> points = {all.front()};
  for (const double x : all) {
    if (x - points.back() >= least / 2) points.push_back(x);
  }
  constexpr std::array<double, 3> kNode = {-0.774596669241483377, 0, 0.774596669241483377};
  constexpr std::array<double, 3> kWeight = {5.0 / 9, 8.0 / 9, 5.0 / 9};
  std::vector<double> below(alive.size());
  std::vector<double> others(alive.size());
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const double half = (points[i + 1] - points[i]) / 2;
    if (!(half > 0)) continue;
    for (std::size_t g = 0; g < kNode.size(); ++g) {
      const double x = points[i] + half * (1 + kNode[g]);
      for (std::size_t j = 0; j < alive.size(); ++j)
        below[j] = stats::normal_cdf((x - mean[alive[j]]) / deviation[alive[j]]);
      double before = kWeight[g] * half;
      // Products of all others from both sides, so that nothing is divided by a vanishing factor.
      for (std::size_t j = 0; j < alive.size(); ++j) {
        others[j] = before;
        before *= below[j];
      }
      double after = 1;
      for (std::size_t j = alive.size(); j-- > 0;) {
        const std::size_t k = alive[j];
        out[k] += others[j] * after * density((x - mean[k]) / deviation[k]) / deviation[k];
        after *= below[j];
      }
    }
  }
  normalise(out);
}

std::size_t draw(std::span<const double> probability, double u) {
  double total = 0;
  std::size_t last = 0;
  for (std::size_t k = 0; k < probability.size(); ++k) {
    if (!(probability[k] > 0)) continue;
    last = k;
    total += probability[k];
    if (u < total) return k;
  }
  return last;
}

}  // namespace plumbline::counterfactual::learning

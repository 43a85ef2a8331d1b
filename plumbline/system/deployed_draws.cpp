#include "plumbline/system/deployed_draws.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "plumbline/stats/special.hpp"

namespace plumbline::system {
namespace {

constexpr std::array<double, 4> kExponents = {0.5, 0.8, 1.25, 2};
constexpr std::array<double, 6> kOdds = {0.25, 0.5, 0.8, 1.25, 2, 4};
constexpr std::size_t kMostActions = 50;
constexpr std::size_t kShownPoints = 200;
constexpr double kLargestExponent = 100;

/// Codes of the actions most often available.
std::vector<int> frequent(std::span<const Draw> draws, std::size_t actions) {
  std::vector<std::size_t> count(actions, 0);
  for (const Draw& d : draws)
    for (const int a : d.actions) ++count[static_cast<std::size_t>(a)];
  std::vector<int> order(actions);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return count[static_cast<std::size_t>(a)] > count[static_cast<std::size_t>(b)];
  });
  order.resize(std::min(order.size(), kMostActions));
  return order;
}

/// Mean and variance of ln mu under mu^g normalised, over the actions of positive probability.
struct Moments {
  double mean = 0;
  double variance = 0;
  double log_mass = 0;  ///< ln sum mu^g
};

Moments moments_of(const Draw& d, double g) {
  double top = -std::numeric_limits<double>::infinity();
  for (const double p : d.probabilities)
    if (p > 0) top = std::max(top, g * std::log(p));
  double mass = 0;
  double first = 0;
  double second = 0;
  for (const double p : d.probabilities) {
    if (!(p > 0)) continue;
    const double l = std::log(p);
    const double w = std::exp(g * l - top);
    mass += w;
    first += w * l;
    second += w * l * l;
  }
  Moments m;
  m.mean = first / mass;
  m.variance = std::max(0.0, second / mass - m.mean * m.mean);
  m.log_mass = top + std::log(mass);
  return m;
}

/// The score at g and its variance.
struct Score {
  double sum = 0;
  double variance = 0;
};

Score score_at(std::span<const Draw> draws, double g) {
  Score s;
  for (const Draw& d : draws) {
    const Moments m = moments_of(d, g);
    s.sum += std::log(d.probabilities[d.taken]) - m.mean;
    s.variance += m.variance;
  }
  return s;
}

/// Where the score falls to `level` of its standard deviations; it falls as g grows.
double cross(std::span<const Draw> draws, double level) {
  const auto above = [&](double g) {
    const Score s = score_at(draws, g);
    return s.variance > 0 ? s.sum / std::sqrt(s.variance) > level : s.sum > 0;
  };
  double low = 0;
  double high = 1;
  while (high < kLargestExponent && above(high)) high *= 2;
  if (!above(low)) return low;
  for (int i = 0; i < 60 && high - low > 1e-9 * high; ++i) {
    const double middle = (low + high) / 2;
    (above(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

DrawEvidence bet_on_draws(std::span<const Draw> draws, std::size_t actions) {
  DrawEvidence out;
  const std::vector<int> judged = frequent(draws, actions);
  std::vector<std::size_t> place(actions, kMostActions);
  for (std::size_t i = 0; i < judged.size(); ++i) place[static_cast<std::size_t>(judged[i])] = i;
  // Half of the stake on exponents, half on actions.
  std::vector<double> bets(kExponents.size() + judged.size() * kOdds.size());
  for (std::size_t i = 0; i < bets.size(); ++i) {
    const bool exponent = i < kExponents.size();
    const std::size_t of = exponent ? kExponents.size() : bets.size() - kExponents.size();
    bets[i] = std::log(0.5 / static_cast<double>(of));
  }
  const std::size_t every = std::max<std::size_t>(1, draws.size() / kShownPoints);
  double best = 0;
  for (std::size_t t = 0; t < draws.size(); ++t) {
    const Draw& d = draws[t];
    const double p = d.probabilities[d.taken];
    if (!(p > 0)) {
      out.p = 0;
      return out;
    }
    for (std::size_t i = 0; i < kExponents.size(); ++i)
      bets[i] += (kExponents[i] - 1) * std::log(p) - moments_of(d, kExponents[i]).log_mass;
    for (std::size_t k = 0; k < d.actions.size(); ++k) {
      const std::size_t a = place[static_cast<std::size_t>(d.actions[k])];
      if (a == kMostActions) continue;
      for (std::size_t i = 0; i < kOdds.size(); ++i)
        bets[kExponents.size() + a * kOdds.size() + i] +=
            (k == d.taken ? std::log(kOdds[i]) : 0.0) - std::log1p(d.probabilities[k] * (kOdds[i] - 1));
    }
    const double top = *std::max_element(bets.begin(), bets.end());
    double sum = 0;
    for (const double b : bets) sum += std::exp(b - top);
    const double wealth = top + std::log(sum);
    best = std::max(best, wealth);
    if (t % every == 0 || t + 1 == draws.size())
      out.wealth.push_back({static_cast<double>(t + 1), wealth / std::log(10.0)});
  }
  out.p = std::exp(-best);
  return out;
}

std::optional<stats::Estimate> sharpness_of(std::span<const Draw> draws) {
  std::vector<Draw> telling;
  for (const Draw& d : draws)
    if (d.probabilities[d.taken] > 0 && moments_of(d, 1).variance > 1e-12) telling.push_back(d);
  if (telling.size() < 30) return std::nullopt;
  stats::Estimate e;
  e.value = cross(telling, 0);
  e.n = e.n_effective = static_cast<double>(telling.size());
  e.unit_of_sampling = "draw";
  e.method = "score of the exponent, inverted";
  e.bounds = stats::make_bounds([&](double c) { return std::optional(cross(telling, stats::normal_quantile(c))); },
                                [&](double c) { return std::optional(cross(telling, -stats::normal_quantile(c))); });
  return e;
}

}  // namespace plumbline::system

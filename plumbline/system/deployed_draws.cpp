#include "plumbline/system/deployed_draws.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

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

/// ln sum of mu^g over the actions of positive probability.
double log_mass(const Draw& d, double g) {
  double mass = 0;
  for (const double p : d.probabilities)
    if (p > 0) mass += std::pow(p, g);
  return std::log(mass);
}

/// Draws whose score is the same: the logarithms of the positive probabilities, ascending, and that of the action
/// taken.
struct Kind {
  std::vector<double> logs;
  double taken = 0;
  double count = 0;
};

std::vector<Kind> kinds_of(std::span<const Draw> draws) {
  std::map<std::pair<std::vector<double>, double>, double> counts;
  for (const Draw& d : draws) {
    std::vector<double> positive;
    for (const double p : d.probabilities)
      if (p > 0) positive.push_back(p);
    std::sort(positive.begin(), positive.end());
    ++counts[{std::move(positive), d.probabilities[d.taken]}];
  }
  std::vector<Kind> kinds;
  for (const auto& [key, count] : counts) {
    Kind kind{{}, std::log(key.second), count};
    for (const double p : key.first) kind.logs.push_back(std::log(p));
    kinds.push_back(std::move(kind));
  }
  return kinds;
}

/// The score at g and its variance, which is also how fast it falls.
struct Score {
  double sum = 0;
  double variance = 0;
};

Score score_at(const std::vector<Kind>& kinds, double g) {
  Score s;
  for (const Kind& kind : kinds) {
    const double top = g * kind.logs.back();
    double mass = 0;
    double first = 0;
    double second = 0;
    for (const double l : kind.logs) {
      const double w = std::exp(g * l - top);
      mass += w;
      first += w * l;
      second += w * l * l;
    }
    const double mean = first / mass;
    s.sum += kind.count * (kind.taken - mean);
    s.variance += kind.count * std::max(0.0, second / mass - mean * mean);
  }
  return s;
}

/// Where the score falls to `level` of its standard deviations: Newton's steps inside a bracket that halves where they
/// leave it. 0 or kLargestExponent where that lies beyond.
double cross(const std::vector<Kind>& kinds, double level) {
  double low = 0;
  double high = kLargestExponent;
  double g = 1;
  for (int i = 0; i < 200 && high - low > 1e-10 * high; ++i) {
    const Score s = score_at(kinds, g);
    const double above = s.sum - level * std::sqrt(s.variance);
    (above > 0 ? low : high) = g;
    const double step = s.variance > 0 ? above / s.variance : 0;
    if (step != 0 && std::abs(step) < 1e-12 * g) break;
    const double next = g + step;
    g = step != 0 && next > low && next < high ? next : (low + high) / 2;
  }
  return g;
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
      bets[i] += (kExponents[i] - 1) * std::log(p) - log_mass(d, kExponents[i]);
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
  constexpr double kLeast = 30;
  std::vector<Kind> kinds = kinds_of(draws);
  std::erase_if(kinds, [](const Kind& kind) {
    return !std::isfinite(kind.taken) || !(kind.logs.back() - kind.logs.front() > 1e-9);
  });
  stats::Estimate e;
  for (const Kind& kind : kinds) e.n += kind.count;
  if (e.n < kLeast) return std::nullopt;
  e.n_effective = e.n;
  e.value = cross(kinds, 0);
  e.unit_of_sampling = "draw";
  e.method = "score of the exponent, inverted";
  e.bounds = stats::make_bounds([&](double c) { return std::optional(cross(kinds, stats::normal_quantile(c))); },
                                [&](double c) { return std::optional(cross(kinds, -stats::normal_quantile(c))); });
  return e;
}

}  // namespace plumbline::system

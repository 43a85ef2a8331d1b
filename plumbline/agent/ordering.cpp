#include "plumbline/agent/ordering.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::agent {
namespace {

constexpr std::string_view kFunction = "order_approaches";
constexpr std::size_t kEnough = 20;  // relabellings as large: p is known well enough
constexpr std::size_t kBelow = 5;    // the least p lies this far below the strictest of Holm's levels
constexpr double kRounding = 1e-12;  // sums of the same numbers in another order

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

base::Status check(const Achievements& achieved, const OrderingOptions& options) {
  const std::size_t n = achieved.approaches.size();
  if (n < 2)
    return base::make_error(base::Code::kValue, fmt::format("{} approaches, expected at least 2", n),
                            std::string(kFunction));
  if (!(options.level > 0 && options.level < 1)) {
    return base::make_error(base::Code::kValue, fmt::format("level is {}, expected above 0 and below 1", options.level),
                            std::string(kFunction));
  }
  if (achieved.value.size() != n) {
    return base::make_error(base::Code::kShape, fmt::format("{} approaches, values of {}", n, achieved.value.size()),
                            std::string(kFunction));
  }
  std::size_t runs = 0;
  for (std::size_t a = 0; a < n; ++a) {
    if (achieved.value[a].size() != achieved.worlds.size()) {
      return base::make_error(base::Code::kShape,
                              fmt::format("'{}' has values of {} worlds, expected {}", achieved.approaches[a],
                                          achieved.value[a].size(), achieved.worlds.size()),
                              std::string(kFunction));
    }
    for (std::size_t w = 0; w < achieved.worlds.size(); ++w) {
      const std::vector<double>& here = achieved.value[a][w];
      if (here.empty()) continue;
      if (runs == 0) runs = here.size();
      if (here.size() != runs) {
        return base::make_error(base::Code::kShape,
                                fmt::format("'{}' in '{}' has {} runs, expected {}", achieved.approaches[a],
                                            achieved.worlds[w], here.size(), runs),
                                std::string(kFunction));
      }
      for (const double v : here) {
        if (!std::isfinite(v)) {
          return base::make_error(
              base::Code::kValue,
              fmt::format("'{}' in '{}' achieved {}", achieved.approaches[a], achieved.worlds[w], v),
              std::string(kFunction), "truths must be finite");
        }
      }
    }
  }
  return base::ok();
}

/// Difference, chance of improvement and p-value of one pair. `draws`: relabellings at most.
Comparison compare(const Achievements& achieved, std::size_t first, std::size_t second, std::size_t draws,
                   base::Rng rng) {
  Comparison out;
  out.first = first;
  out.second = second;
  std::vector<std::vector<double>> pooled;  // of worlds in which anything varies
  std::vector<double> sums;                 // of the first's share of each pool
  std::size_t runs = 0;
  bool varies = false;
  for (std::size_t w = 0; w < achieved.worlds.size(); ++w) {
    const std::vector<double>& a = achieved.value[first][w];
    const std::vector<double>& b = achieved.value[second][w];
    if (a.empty() || b.empty()) continue;
    ++out.worlds;
    runs = a.size();
    out.difference += mean_of(a) - mean_of(b);
    double wins = 0;
    for (const double x : a) {
      for (const double y : b) wins += x > y + kRounding ? 1 : x < y - kRounding ? 0 : 0.5;
    }
    out.improvement += wins / static_cast<double>(a.size() * b.size());
    const auto [low_a, high_a] = std::minmax_element(a.begin(), a.end());
    const auto [low_b, high_b] = std::minmax_element(b.begin(), b.end());
    varies = varies || *high_a - *low_a > kRounding || *high_b - *low_b > kRounding;
    if (std::max(*high_a, *high_b) - std::min(*low_a, *low_b) <= kRounding) continue;
    std::vector<double> pool = a;
    pool.insert(pool.end(), b.begin(), b.end());
    pooled.push_back(std::move(pool));
    sums.push_back(std::accumulate(a.begin(), a.end(), 0.0));
  }
  if (out.worlds == 0) return out;
  const auto worlds = static_cast<double>(out.worlds);
  out.difference /= worlds;
  out.improvement /= worlds;
  if (pooled.empty()) {  // the same everywhere
    out.exact = !varies;
    return out;
  }
  if (!varies) {
    out.exact = true;
    out.p_value = std::abs(out.difference) > kRounding ? 0 : 1;
    return out;
  }
  // 2 (sum of the first's) - all: the difference of sums.
  double observed = 0;
  std::vector<double> all(pooled.size());
  for (std::size_t s = 0; s < pooled.size(); ++s) {
    all[s] = std::accumulate(pooled[s].begin(), pooled[s].end(), 0.0);
    observed += 2 * sums[s] - all[s];
  }
  const double size = std::abs(observed) - kRounding * (1 + std::abs(observed)) * static_cast<double>(runs);
  std::size_t as_large = 0;
  std::size_t drawn = 0;
  while (drawn < draws && as_large < kEnough) {
    ++drawn;
    double sum = 0;
    for (std::size_t s = 0; s < pooled.size(); ++s) {
      std::vector<double>& pool = pooled[s];
      double mine = 0;
      for (std::size_t i = 0; i < runs; ++i) {
        std::swap(pool[i], pool[i + rng.below(pool.size() - i)]);
        mine += pool[i];
      }
      sum += 2 * mine - all[s];
    }
    as_large += std::abs(sum) >= size ? 1 : 0;
  }
  out.p_value = as_large == kEnough ? static_cast<double>(kEnough) / static_cast<double>(drawn)
                                    : static_cast<double>(1 + as_large) / static_cast<double>(1 + drawn);
  return out;
}

/// Mean difference of each approach to all that it shares worlds with, over the runs named.
std::vector<double> leads(const Achievements& achieved, const std::vector<std::size_t>& runs) {
  const std::size_t n = achieved.approaches.size();
  std::vector<std::vector<double>> mean(n, std::vector<double>(achieved.worlds.size()));
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t w = 0; w < achieved.worlds.size(); ++w) {
      if (achieved.value[a][w].empty()) continue;
      for (const std::size_t r : runs) mean[a][w] += achieved.value[a][w][r] / static_cast<double>(runs.size());
    }
  }
  std::vector<double> lead(n);
  for (std::size_t a = 0; a < n; ++a) {
    std::size_t others = 0;
    for (std::size_t b = 0; b < n; ++b) {
      double sum = 0;
      std::size_t worlds = 0;
      for (std::size_t w = 0; w < achieved.worlds.size(); ++w) {
        if (a == b || achieved.value[a][w].empty() || achieved.value[b][w].empty()) continue;
        sum += mean[a][w] - mean[b][w];
        ++worlds;
      }
      if (worlds == 0) continue;
      lead[a] += sum / static_cast<double>(worlds);
      ++others;
    }
    if (others > 0) lead[a] /= static_cast<double>(others);
  }
  return lead;
}

Stability halve(const Achievements& achieved, const Ordering& ordering, std::size_t runs, std::size_t halvings,
                base::Rng rng) {
  Stability out;
  out.halvings = halvings;
  std::vector<double> taus;
  std::size_t claims = 0;
  std::size_t against = 0;
  for (std::size_t h = 0; h < halvings; ++h) {
    const std::vector<std::size_t> order = rng.permutation(runs);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(runs / 2);
    const std::vector<double> one = leads(achieved, {order.begin(), middle});
    const std::vector<double> two = leads(achieved, {middle, order.end()});
    taus.push_back(kendall_tau(one, two));
    for (const Comparison& pair : ordering.pairs) {
      if (pair.better == 0) continue;
      claims += 2;
      for (const auto& half : {one, two}) {
        against += (half[pair.first] - half[pair.second]) * pair.better < -kRounding ? 1 : 0;
      }
    }
  }
  out.kendall = mean_of(taus);
  std::sort(taus.begin(), taus.end());
  constexpr double kTail = 0.05;
  out.low = taus[static_cast<std::size_t>(kTail * static_cast<double>(taus.size()))];
  out.contradicted = claims == 0 ? 0 : static_cast<double>(against) / static_cast<double>(claims);
  return out;
}

}  // namespace

double kendall_tau(const std::vector<double>& a, const std::vector<double>& b) {
  double agree = 0;
  double in_a = 0;
  double in_b = 0;
  const auto sign = [](double x) { return x > kRounding ? 1.0 : x < -kRounding ? -1.0 : 0.0; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = i + 1; j < a.size(); ++j) {
      const double x = sign(a[i] - a[j]);
      const double y = sign(b[i] - b[j]);
      agree += x * y;
      in_a += x * x;
      in_b += y * y;
    }
  }
  if (in_a == 0 && in_b == 0) return 1;
  return in_a == 0 || in_b == 0 ? 0 : agree / std::sqrt(in_a * in_b);
}

base::Result<Ordering> order_approaches(const Achievements& achieved, const OrderingOptions& options,
                                        const base::Rng& rng) {
  PL_CHECK(check(achieved, options));
  const std::size_t n = achieved.approaches.size();
  std::size_t runs = 0;
  for (const auto& worlds : achieved.value) {
    for (const auto& here : worlds) runs = std::max(runs, here.size());
  }
  std::vector<std::size_t> every(runs);
  std::iota(every.begin(), every.end(), std::size_t{0});
  const std::vector<double> lead = leads(achieved, every);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lead[a] > lead[b]; });

  Achievements sorted;
  sorted.worlds = achieved.worlds;
  Ordering out;
  out.level = options.level;
  out.runs = runs;
  for (const std::size_t a : order) {
    sorted.approaches.push_back(achieved.approaches[a]);
    sorted.value.push_back(achieved.value[a]);
    out.lead.push_back(lead[a]);
  }
  out.approaches = sorted.approaches;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = a + 1; b < n; ++b) pairs.emplace_back(a, b);
  }
  const std::size_t comparisons = std::max(options.comparisons, pairs.size());
  const auto draws = static_cast<std::size_t>(std::ceil(static_cast<double>(kBelow * comparisons) / options.level));
  out.pairs.resize(pairs.size());
  const auto one = [&](std::size_t p) -> base::Status {
    const std::size_t a = pairs[p].first;
    const std::size_t b = pairs[p].second;
    // The stream is of the two names, so that a pair's bits do not depend on who else is compared.
    out.pairs[p] = compare(sorted, a, b, draws, rng.fork(sorted.approaches[a]).fork(sorted.approaches[b]));
    return options.cancel.status();
  };
  PL_CHECK(base::parallel_for(pairs.size(), one));
  std::vector<double> p_values;
  for (const Comparison& pair : out.pairs) p_values.push_back(pair.p_value);
  p_values.resize(comparisons, 1.0);
  PL_TRY(const std::vector<double> adjusted, stats::holm(p_values));
  for (std::size_t p = 0; p < out.pairs.size(); ++p) {
    Comparison& pair = out.pairs[p];
    pair.adjusted = adjusted[p];
    if (pair.worlds > 0 && pair.adjusted <= options.level && pair.difference != 0)
      pair.better = pair.difference > 0 ? 1 : -1;
  }
  if (runs >= 2 && options.halvings > 0) {
    out.stability = halve(sorted, out, runs, options.halvings, rng.fork("halves"));
  }
  return out;
}

base::Result<OrderingPower> measure_power(const Planted& planted, const PowerOptions& options, const base::Rng& rng) {
  constexpr std::string_view kPower = "measure_power";
  PL_CHECK(base::check_at_least(kPower, "trials", static_cast<std::int64_t>(options.trials), 1));
  PL_CHECK(base::check_at_least(kPower, "runs", static_cast<std::int64_t>(options.runs), 2));
  PL_CHECK(base::check_at_least(kPower, "worlds", static_cast<std::int64_t>(planted.curve.size()), 1));
  for (const auto& curve : planted.curve) {
    if (curve.size() < 2) {
      return base::make_error(base::Code::kShape,
                              fmt::format("a curve of {} points, expected at least 2", curve.size()),
                              std::string(kPower));
    }
  }
  constexpr double kBad = 0.1;
  for (const double strength : options.strengths) {
    if (!(strength > 0 && strength <= 1 - kBad)) {
      return base::make_error(base::Code::kValue,
                              fmt::format("strength {}, expected above 0 and at most {}", strength, 1 - kBad),
                              std::string(kPower));
    }
  }
  const std::size_t worlds = planted.curve.size();
  std::vector<double> means = {kBad, kBad};
  for (const double strength : options.strengths) means.push_back(kBad + strength);

  Achievements proto;
  proto.worlds = planted.worlds;
  proto.worlds.resize(worlds);
  proto.approaches = {"bad", "bad again"};
  for (const double strength : options.strengths) proto.approaches.push_back(fmt::format("good by {}", strength));
  const auto achieve = [&](std::size_t world, double mean, base::Rng& stream) {
    const std::vector<double>& curve = planted.curve[world];
    constexpr double kSpread = 2;
    const double share = mean >= 1 ? 1 : stream.beta(kSpread * mean, kSpread * (1 - mean));
    const double at = share * static_cast<double>(curve.size() - 1);
    const std::size_t left = std::min(static_cast<std::size_t>(at), curve.size() - 2);
    const double part = at - static_cast<double>(left);
    return (1 - part) * curve[left] + part * curve[left + 1];
  };
  OrderingPower out;
  out.runs = options.runs;
  out.trials = options.trials;
  out.worlds = worlds;
  out.comparisons = std::max(options.ordering.comparisons, means.size() * (means.size() - 1) / 2);
  std::vector<std::size_t> right(options.strengths.size());
  std::vector<std::size_t> wrong(options.strengths.size());
  std::vector<double> total(means.size());
  std::size_t alarms = 0;
  OrderingOptions ordering = options.ordering;
  ordering.halvings = 0;
  for (std::size_t t = 0; t < options.trials; ++t) {
    Achievements drawn = proto;
    const base::Rng stream = rng.fork(t);
    for (std::size_t a = 0; a < means.size(); ++a) {
      base::Rng own = stream.fork(a);
      drawn.value.emplace_back(worlds);
      for (std::size_t w = 0; w < worlds; ++w) {
        for (std::size_t r = 0; r < options.runs; ++r) {
          drawn.value[a][w].push_back(achieve(w, means[a], own));
          total[a] += drawn.value[a][w].back();
        }
      }
    }
    PL_TRY(const Ordering ordered, order_approaches(drawn, ordering, stream.fork("order")));
    const auto told = [&](const std::string& one, const std::string& other) {
      for (const Comparison& pair : ordered.pairs) {
        if (ordered.approaches[pair.first] == one && ordered.approaches[pair.second] == other) return pair.better;
        if (ordered.approaches[pair.first] == other && ordered.approaches[pair.second] == one) return -pair.better;
      }
      return 0;
    };
    alarms += told("bad", "bad again") != 0 ? 1 : 0;
    for (std::size_t s = 0; s < options.strengths.size(); ++s) {
      const int verdict = told(proto.approaches[s + 2], "bad");
      right[s] += verdict > 0 ? 1 : 0;
      wrong[s] += verdict < 0 ? 1 : 0;
    }
  }
  const auto count = static_cast<double>(options.trials * worlds * options.runs);
  for (std::size_t s = 0; s < options.strengths.size(); ++s) {
    Detection detection;
    detection.strength = options.strengths[s];
    detection.effect = (total[s + 2] - (total[0] + total[1]) / 2) / count;
    PL_TRY(detection.right, stats::clopper_pearson(right[s], options.trials));
    PL_TRY(detection.wrong, stats::clopper_pearson(wrong[s], options.trials));
    detection.right.unit_of_sampling = detection.wrong.unit_of_sampling = "trial";
    out.detection.push_back(std::move(detection));
  }
  PL_TRY(out.false_alarm, stats::clopper_pearson(alarms, options.trials));
  out.false_alarm.unit_of_sampling = "trial";
  return out;
}

}  // namespace plumbline::agent

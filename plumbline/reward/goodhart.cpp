#include "plumbline/reward/goodhart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::reward {
namespace {

double density(double x) { return std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2; }

base::Status check_model(const ProxyModel& model) {
  PL_CHECK(base::check_in("goodhart", "gold_deviation", model.gold_deviation, 0, 1e150));
  PL_CHECK(base::check_in("goodhart", "noise_deviation", model.noise_deviation, 0, 1e150));
  PL_CHECK(base::check_positive("goodhart", "deviation of the proxy",
                                std::hypot(model.gold_deviation, model.noise_deviation)));
  PL_CHECK(base::check_in("goodhart", "exploit_rate", model.exploit_rate, 0, 1));
  PL_CHECK(base::check_finite("goodhart", "exploit_proxy", model.exploit_proxy));
  return base::check_finite("goodhart", "exploit_gold", model.exploit_gold);
}

/// Gauss-Legendre, 8 nodes a panel.
template <class F>
void integrate(double low, double high, int panels, const F& f) {
  constexpr std::array<double, 4> kNode = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                           0.9602898564975363};
  constexpr std::array<double, 4> kWeight = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                             0.1012285362903763};
  const double half = (high - low) / panels / 2;
  for (int i = 0; i < panels; ++i) {
    const double centre = low + (2 * i + 1) * half;
    for (std::size_t k = 0; k < kNode.size(); ++k) {
      f(centre - half * kNode[k], half * kWeight[k]);
      f(centre + half * kNode[k], half * kWeight[k]);
    }
  }
}

/// F^(n-1) for a law with this upper tail; exact where F is 0 and where n is 1.
double power_of_law(double n, double tail) { return n == 1 ? 1 : std::exp((n - 1) * std::log1p(-tail)); }

/// Weights of the ranks 1..N, ascending by proxy, in the mean over all subsets of n.
std::vector<double> rank_weights(std::size_t items, double n) {
  std::vector<double> weight(items, 0.0);
  double w = n / static_cast<double>(items);
  for (std::size_t i = items; i >= 1 && static_cast<double>(i) >= n; --i) {
    weight[i - 1] = w;
    if (i > 1) w *= (static_cast<double>(i) - n) / static_cast<double>(i - 1);
  }
  return weight;
}

/// Items sorted by proxy, ties as blocks.
struct Ranked {
  std::vector<double> gold;  ///< ascending by proxy
  std::vector<double> proxy;
  std::vector<std::size_t> begins;  ///< of the blocks, and the end
};

Ranked rank(std::span<const double> proxy, std::span<const double> gold) {
  std::vector<std::size_t> order(proxy.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return proxy[a] < proxy[b]; });
  Ranked ranked;
  for (const std::size_t i : order) {
    if (ranked.proxy.empty() || proxy[i] != ranked.proxy.back()) ranked.begins.push_back(ranked.proxy.size());
    ranked.proxy.push_back(proxy[i]);
    ranked.gold.push_back(gold[i]);
  }
  ranked.begins.push_back(ranked.proxy.size());
  return ranked;
}

/// Jackknife pseudo-values of the mean gold of the best of n; their mean is the estimate without its first bias, which
/// is none.
std::vector<double> pseudo_values(const Ranked& ranked, double n) {
  const std::size_t items = ranked.gold.size();
  const std::vector<double> all = rank_weights(items, n);
  const std::vector<double> less = rank_weights(items - 1, n);
  const std::size_t blocks = ranked.begins.size() - 1;
  // By block: its sum of gold, its share of the full estimate, and what it gives when an item below or above is gone.
  std::vector<double> sum(blocks);
  double whole = 0;
  std::vector<double> below(blocks + 1, 0.0);  // blocks before b, nothing of them gone
  std::vector<double> above(blocks + 1, 0.0);  // blocks from b on, one item before them gone
  const auto mean_weight = [](const std::vector<double>& weight, std::size_t from, std::size_t count) {
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) total += weight[from + i];
    return count == 0 ? 0 : total / static_cast<double>(count);
  };
  std::vector<double> shifted(blocks);
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t from = ranked.begins[b];
    const std::size_t count = ranked.begins[b + 1] - from;
    for (std::size_t i = 0; i < count; ++i) sum[b] += ranked.gold[from + i];
    whole += mean_weight(all, from, count) * sum[b];
    const std::size_t fits = std::min(count, items - 1 - from);  // the last block loses its last rank here, unused then
    below[b + 1] = below[b] + mean_weight(less, from, fits) * sum[b];
    shifted[b] = from > 0 ? mean_weight(less, from - 1, count) * sum[b] : 0;
  }
  for (std::size_t b = blocks; b-- > 0;) above[b] = above[b + 1] + shifted[b];
  std::vector<double> pseudo(items);
  const auto count = static_cast<double>(items);
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t from = ranked.begins[b];
    const std::size_t size = ranked.begins[b + 1] - from;
    const double inside = mean_weight(less, from, size - 1);
    for (std::size_t i = from; i < from + size; ++i) {
      const double without = below[b] + inside * (sum[b] - ranked.gold[i]) + above[b + 1];
      pseudo[i] = count * whole - (count - 1) * without;
    }
  }
  return pseudo;
}

base::Status check_scores(std::span<const double> proxy, std::span<const double> gold, std::span<const double> n) {
  const auto items = static_cast<std::ptrdiff_t>(proxy.size());
  PL_CHECK(base::check_size("best_of_n_from_scores", "gold", static_cast<std::ptrdiff_t>(gold.size()), items));
  if (items < 20) {
    return base::make_error(base::Code::kShape,
                            "best_of_n_from_scores: " + std::to_string(items) + " items, need at least 20");
  }
  PL_CHECK(base::check_all_finite("best_of_n_from_scores", "proxy", proxy));
  PL_CHECK(base::check_all_finite("best_of_n_from_scores", "gold", gold));
  for (const double k : n) {
    PL_CHECK(base::check_in("best_of_n_from_scores", "n", k, 1, static_cast<double>(items) / 10));
    if (k != std::floor(k))
      return base::make_error(base::Code::kValue, "best_of_n_from_scores: n = " + std::to_string(k) + " is not whole");
  }
  return base::ok();
}

}  // namespace

double best_of_n_divergence(double n) { return std::log(n) - (n - 1) / n; }

base::Result<double> largest_normal(double n) {
  PL_CHECK(base::check_in("largest_normal", "n", n, 1, 1e300));
  double mean = 0;
  integrate(-10, 40, 1000,
            [&](double z, double w) { mean += w * z * n * density(z) * power_of_law(n, stats::normal_tail(z)); });
  return mean;
}

base::Result<std::vector<Pressure>> best_of_n_curve(const ProxyModel& model, std::span<const double> n) {
  PL_CHECK(check_model(model));
  for (const double k : n) PL_CHECK(base::check_in("best_of_n_curve", "n", k, 1, 1e300));
  const double sigma = std::hypot(model.gold_deviation, model.noise_deviation);
  const double slope = model.gold_deviation * model.gold_deviation / (sigma * sigma);  // of gold on proxy
  const double rate = model.exploit_rate;
  const double shift = rate > 0 ? model.exploit_proxy : 0;
  std::vector<Pressure> curve;
  for (const double k : n) {
    Pressure point{k, best_of_n_divergence(k), 0, 0};
    const double low = std::min(0.0, shift) - 10 * sigma;
    const double high = std::max(0.0, shift) + 40 * sigma;
    integrate(low, high, static_cast<int>(std::min(20000.0, std::ceil((high - low) / sigma * 20))),
              [&](double p, double w) {
                const double usual = (1 - rate) * density(p / sigma) / sigma;
                const double exploit = rate * density((p - shift) / sigma) / sigma;
                const double tail =
                    (1 - rate) * stats::normal_tail(p / sigma) + rate * stats::normal_tail((p - shift) / sigma);
                const double chosen = w * k * power_of_law(k, tail);
                point.proxy += chosen * (usual + exploit) * p;
                point.gold += chosen * (usual * slope * p + exploit * (slope * (p - shift) + model.exploit_gold));
              });
    curve.push_back(point);
  }
  return curve;
}

base::Result<std::vector<Pressure>> top_share_curve(const ProxyModel& model, std::span<const double> q) {
  PL_CHECK(check_model(model));
  const double sigma = std::hypot(model.gold_deviation, model.noise_deviation);
  const double slope = model.gold_deviation * model.gold_deviation / (sigma * sigma);
  const double rate = model.exploit_rate;
  const double shift = rate > 0 ? model.exploit_proxy : 0;
  std::vector<Pressure> curve;
  for (const double share : q) {
    PL_CHECK(base::check_positive("top_share_curve", "q", share));
    PL_CHECK(base::check_in("top_share_curve", "q", share, 0, 1));
    const auto above = [&](double c) {
      return (1 - rate) * stats::normal_tail(c / sigma) + rate * stats::normal_tail((c - shift) / sigma);
    };
    double threshold = -std::numeric_limits<double>::infinity();
    if (share < 1) {
      PL_TRY(threshold, stats::find_root([&](double c) { return std::log(above(c)) - std::log(share); },
                                         std::min(0.0, shift) - 37 * sigma, std::max(0.0, shift) + 37 * sigma));
    }
    const double usual = (1 - rate) * stats::normal_tail(threshold / sigma);
    const double exploit = rate * stats::normal_tail((threshold - shift) / sigma);
    const double usual_excess = (1 - rate) * sigma * density(threshold / sigma);  // E[p; p > c]
    const double exploit_excess = rate * sigma * density((threshold - shift) / sigma);
    const double mass = usual + exploit;
    curve.push_back({1 / share, std::log(1 / share), (usual_excess + exploit_excess + exploit * shift) / mass,
                     (slope * (usual_excess + exploit_excess) + exploit * model.exploit_gold) / mass});
  }
  return curve;
}

base::Result<std::vector<SampledPressure>> best_of_n_from_scores(std::span<const double> proxy,
                                                                 std::span<const double> gold,
                                                                 std::span<const double> n) {
  PL_CHECK(check_scores(proxy, gold, n));
  const Ranked ranked = rank(proxy, gold);
  std::vector<SampledPressure> curve;
  for (const double k : n) {
    SampledPressure point{k, best_of_n_divergence(k), 0, {}};
    const std::vector<double> weight = rank_weights(ranked.proxy.size(), k);
    for (std::size_t i = 0; i < weight.size(); ++i) point.proxy += weight[i] * ranked.proxy[i];
    PL_TRY(point.gold, stats::mean(pseudo_values(ranked, k)));
    point.gold.method = "jackknife over items, Student's t";
    point.gold.unit_of_sampling = "item";
    curve.push_back(std::move(point));
  }
  return curve;
}

base::Result<Overoptimisation> overoptimisation(std::span<const double> proxy, std::span<const double> gold,
                                                std::span<const double> n, base::Rng& rng) {
  PL_CHECK(base::check_at_least("overoptimisation", "strengths", static_cast<std::ptrdiff_t>(n.size()), 2));
  PL_CHECK(check_scores(proxy, gold, n));
  Overoptimisation result;
  PL_TRY(result.curve, best_of_n_from_scores(proxy, gold, n));
  std::array<std::vector<double>, 2> half_proxy, half_gold;
  const std::vector<std::size_t> order = rng.permutation(proxy.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    half_proxy[i % 2].push_back(proxy[order[i]]);
    half_gold[i % 2].push_back(gold[order[i]]);
  }
  PL_TRY(const std::vector<SampledPressure> first, best_of_n_from_scores(half_proxy[0], half_gold[0], n));
  PL_CHECK(check_scores(half_proxy[1], half_gold[1], n));
  result.strongest = *std::max_element(n.begin(), n.end());
  const auto best = std::max_element(first.begin(), first.end(),
                                     [](const auto& a, const auto& b) { return a.gold.value < b.gold.value; });
  result.peak = best->n;
  const Ranked ranked = rank(half_proxy[1], half_gold[1]);
  std::vector<double> difference = pseudo_values(ranked, result.peak);
  const std::vector<double> strongest = pseudo_values(ranked, result.strongest);
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= strongest[i];
  PL_TRY(result.drop, stats::mean(difference));
  result.drop.method = "peak chosen on one half, jackknife on the other";
  result.drop.unit_of_sampling = "item";
  const Ranked all = rank(proxy, gold);
  std::vector<double> gain = pseudo_values(all, result.strongest);
  const std::vector<double> weakest = pseudo_values(all, *std::min_element(n.begin(), n.end()));
  for (std::size_t i = 0; i < gain.size(); ++i) gain[i] -= weakest[i];
  PL_TRY(result.gain, stats::mean(gain));
  result.gain.method = "jackknife over items, Student's t";
  result.gain.unit_of_sampling = "item";
  result.used = static_cast<double>(proxy.size());
  return result;
}

base::Result<Overoptimisation> overoptimisation_by_unit(std::span<const double> proxy, std::span<const double> gold,
                                                        std::span<const int> unit, std::span<const double> n,
                                                        base::Rng& rng) {
  constexpr const char* kName = "overoptimisation_by_unit";
  const std::ptrdiff_t items = std::ssize(proxy);
  PL_CHECK(base::check_size(kName, "gold", std::ssize(gold), items));
  PL_CHECK(base::check_size(kName, "unit", std::ssize(unit), items));
  PL_CHECK(base::check_all_finite(kName, "proxy", proxy));
  PL_CHECK(base::check_all_finite(kName, "gold", gold));
  PL_CHECK(base::check_at_least(kName, "strengths", std::ssize(n), 2));
  for (const double k : n) {
    PL_CHECK(base::check_in(kName, "n", k, 1, 1e9));
    if (k != std::floor(k))
      return base::make_error(base::Code::kValue, std::string(kName) + ": n = " + std::to_string(k) + " is not whole");
  }
  Overoptimisation result;
  result.strongest = *std::max_element(n.begin(), n.end());
  const auto weakest = static_cast<std::size_t>(std::min_element(n.begin(), n.end()) - n.begin());
  const auto last = static_cast<std::size_t>(std::max_element(n.begin(), n.end()) - n.begin());
  int units = 0;
  for (const int u : unit) {
    PL_CHECK(base::check_at_least(kName, "unit", u, 0));
    units = std::max(units, u + 1);
  }
  std::vector<std::vector<std::size_t>> members(static_cast<std::size_t>(units));
  for (std::size_t i = 0; i < unit.size(); ++i) members[static_cast<std::size_t>(unit[i])].push_back(i);
  // By strength and unit.
  std::vector<std::vector<double>> value(n.size()), chosen(n.size());
  for (const std::vector<std::size_t>& own : members) {
    if (static_cast<double>(own.size()) < result.strongest) continue;
    std::vector<double> own_proxy, own_gold;
    for (const std::size_t i : own) {
      own_proxy.push_back(proxy[i]);
      own_gold.push_back(gold[i]);
    }
    const Ranked ranked = rank(own_proxy, own_gold);
    for (std::size_t k = 0; k < n.size(); ++k) {
      const std::vector<double> weight = rank_weights(own.size(), n[k]);
      double mean_proxy = 0;
      double mean_gold = 0;
      for (std::size_t b = 0; b + 1 < ranked.begins.size(); ++b) {  // ties share their weight
        double share = 0;
        double sum = 0;
        const std::size_t from = ranked.begins[b];
        const std::size_t to = ranked.begins[b + 1];
        for (std::size_t i = from; i < to; ++i) {
          share += weight[i];
          sum += ranked.gold[i];
        }
        mean_proxy += share * ranked.proxy[from];
        mean_gold += share * sum / static_cast<double>(to - from);
      }
      value[k].push_back(mean_gold);
      chosen[k].push_back(mean_proxy);
    }
  }
  const std::size_t used = value.front().size();
  if (used < 20) {
    return base::make_error(base::Code::kShape, std::string(kName) + ": " + std::to_string(used) + " units have " +
                                                    std::to_string(static_cast<std::int64_t>(result.strongest)) +
                                                    " items or more, need at least 20");
  }
  result.used = static_cast<double>(used);
  const auto over_units = [](const std::vector<double>& values, const char* method) -> base::Result<stats::Estimate> {
    PL_TRY(stats::Estimate estimate, stats::mean(values));
    estimate.method = method;
    estimate.unit_of_sampling = "unit";
    return estimate;
  };
  const auto average = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  };
  const char* const plain = "mean over units, Student's t";
  for (std::size_t k = 0; k < n.size(); ++k) {
    SampledPressure point{n[k], best_of_n_divergence(n[k]), average(chosen[k]), {}};
    PL_TRY(point.gold, over_units(value[k], plain));
    result.curve.push_back(std::move(point));
  }
  const std::vector<std::size_t> order = rng.permutation(used);
  std::size_t best = 0;
  std::vector<double> sums(n.size(), 0.0);
  for (std::size_t k = 0; k < n.size(); ++k) {
    for (std::size_t i = 0; i < used; i += 2) sums[k] += value[k][order[i]];
    if (sums[k] > sums[best]) best = k;
  }
  result.peak = n[best];
  std::vector<double> drop, gain;
  for (std::size_t i = 1; i < used; i += 2) drop.push_back(value[best][order[i]] - value[last][order[i]]);
  for (std::size_t i = 0; i < used; ++i) gain.push_back(value[last][i] - value[weakest][i]);
  PL_TRY(result.drop, over_units(drop, "peak chosen on one half of the units, Student's t on the other"));
  PL_TRY(result.gain, over_units(gain, plain));
  return result;
}

base::Result<OveroptimisationFit> fit_overoptimisation(std::span<const double> divergence, std::span<const double> gold,
                                                       CurveForm form) {
  const auto points = static_cast<std::ptrdiff_t>(divergence.size());
  PL_CHECK(base::check_size("fit_overoptimisation", "gold", static_cast<std::ptrdiff_t>(gold.size()), points));
  if (points < 3)
    return base::make_error(base::Code::kShape,
                            "fit_overoptimisation: " + std::to_string(points) + " points, need at least 3");
  PL_CHECK(base::check_all_finite("fit_overoptimisation", "gold", gold));
  double xx = 0, xz = 0, zz = 0, xy = 0, zy = 0, yy = 0;
  const auto second = [form](double d) { return form == CurveForm::kBestOfN ? -d * d : -d * std::log(d); };
  for (std::size_t i = 0; i < divergence.size(); ++i) {
    PL_CHECK(base::check_positive("fit_overoptimisation", "divergence", divergence[i]));
    const double x = std::sqrt(divergence[i]);
    const double z = second(x);
    xx += x * x;
    xz += x * z;
    zz += z * z;
    xy += x * gold[i];
    zy += z * gold[i];
    yy += gold[i] * gold[i];
  }
  const double determinant = xx * zz - xz * xz;
  if (!(determinant > 1e-12 * xx * zz)) {
    return base::make_error(base::Code::kValue, "fit_overoptimisation: the divergences are all the same, or nearly");
  }
  OveroptimisationFit fit;
  fit.a = (xy * zz - zy * xz) / determinant;
  fit.b = (zy * xx - xy * xz) / determinant;
  double residual = 0;
  for (std::size_t i = 0; i < divergence.size(); ++i) {
    const double x = std::sqrt(divergence[i]);
    const double r = gold[i] - fit.a * x - fit.b * second(x);
    residual += r * r;
  }
  fit.explained = yy > 0 ? 1 - residual / yy : 1;
  if (fit.b > 0 && (form == CurveForm::kReinforcement || fit.a > 0)) {
    fit.outcome = CurveOutcome::kPeak;
    const double d = form == CurveForm::kBestOfN ? fit.a / (2 * fit.b) : std::exp(fit.a / fit.b - 1);
    fit.peak_divergence = d * d;
    fit.peak_gold = fit.a * d + fit.b * second(d);
  }
  return fit;
}

base::Result<InducedShift> induced_shift(const InducedShiftOptions& o, base::Rng& rng) {
  PL_CHECK(base::check_finite("induced_shift", "now", o.now));
  PL_CHECK(base::check_finite("induced_shift", "later", o.later));
  PL_CHECK(base::check_at_least("induced_shift", "learners", o.learners, 5));
  PL_CHECK(base::check_at_least("induced_shift", "steps", o.steps, 4));
  PL_CHECK(base::check_at_least("induced_shift", "interval", o.interval, 1));
  PL_CHECK(base::check_positive("induced_shift", "rate", o.rate));
  PL_CHECK(base::check_in("induced_shift", "mutation", o.mutation, 0, 1e6));
  const auto n = static_cast<std::size_t>(o.learners);
  std::vector<double> logit(n);
  for (double& l : logit) l = rng.normal();
  std::vector<double> usual(n, 0.0);   // running mean of each learner's reward
  std::vector<double> earned(n, 0.0);  // since the last selection
  std::vector<std::uint8_t> before(n, 0);
  std::int64_t cooperated = 0;
  double reward_sum = 0;
  std::int64_t counted = 0;
  for (int t = 0; t < o.steps; ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      std::uint8_t& last = before[o.swap ? (i + static_cast<std::size_t>(t)) % n : i];
      const double p = 1 / (1 + std::exp(-logit[i]));
      const bool cooperates = rng.uniform() < p;
      const double reward = (cooperates ? 0 : o.now) + (last != 0 ? o.later : 0);
      last = cooperates ? 1 : 0;
      logit[i] += o.rate * (reward - usual[i]) * ((cooperates ? 1 : 0) - p);
      logit[i] = std::clamp(logit[i], -8.0, 8.0);
      usual[i] += 0.05 * (reward - usual[i]);
      earned[i] += reward;
      if (t >= o.steps - o.steps / 4) {
        cooperated += cooperates ? 1 : 0;
        reward_sum += reward;
        ++counted;
      }
    }
    if (o.selection && (t + 1) % o.interval == 0) {
      std::vector<std::size_t> order(n);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return earned[a] > earned[b]; });
      for (std::size_t k = 0; k < n / 5; ++k) {
        logit[order[n - 1 - k]] = std::clamp(logit[order[k]] + rng.normal(0, o.mutation), -8.0, 8.0);
        usual[order[n - 1 - k]] = usual[order[k]];
      }
      std::fill(earned.begin(), earned.end(), 0.0);
    }
  }
  return InducedShift{static_cast<double>(cooperated) / static_cast<double>(counted),
                      reward_sum / static_cast<double>(counted)};
}

std::string_view recommender_name(Recommender recommender) {
  switch (recommender) {
    case Recommender::kRandom: return "random";
    case Recommender::kOptimistic: return "optimistic";
    case Recommender::kGreedy: break;
  }
  return "greedy";
}

base::Result<std::vector<double>> interest_drift(const InterestOptions& o, Recommender recommender, base::Rng& rng) {
  PL_CHECK(base::check_at_least("interest_drift", "items", o.items, 1));
  PL_CHECK(base::check_in("interest_drift", "shown", o.shown, 1, o.items));
  PL_CHECK(base::check_at_least("interest_drift", "steps", o.steps, 1));
  PL_CHECK(base::check_positive("interest_drift", "step", o.step));
  PL_CHECK(base::check_at_least("interest_drift", "new_items", o.new_items, 0));
  struct Item {
    double interest;
    double shown = 0;
    double clicks = 0;
  };
  std::vector<Item> items;
  std::vector<double> start;
  for (int i = 0; i < o.items; ++i) {
    items.push_back({rng.normal()});
    start.push_back(items.back().interest);
  }
  std::vector<double> drift;
  std::vector<double> score;
  std::vector<std::size_t> order;
  for (int t = 1; t <= o.steps; ++t) {
    score.clear();
    for (const Item& item : items) {
      switch (recommender) {
        case Recommender::kRandom: score.push_back(rng.uniform()); break;
        case Recommender::kOptimistic:
          score.push_back(item.shown == 0 ? 2 + rng.uniform()
                                          : item.clicks / item.shown + std::sqrt(2 * std::log(t) / item.shown));
          break;
        case Recommender::kGreedy: score.push_back(item.interest); break;
      }
    }
    order.resize(items.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::partial_sort(order.begin(), order.begin() + o.shown, order.end(),
                      [&](std::size_t a, std::size_t b) { return score[a] != score[b] ? score[a] > score[b] : a < b; });
    for (int k = 0; k < o.shown; ++k) {
      Item& item = items[order[static_cast<std::size_t>(k)]];
      const bool click = rng.uniform() < 1 / (1 + std::exp(-item.interest));
      item.interest += o.step * (click ? 1 : -1);
      ++item.shown;
      item.clicks += click ? 1 : 0;
    }
    for (int k = 0; k < o.new_items; ++k) items.push_back({rng.normal()});
    double largest = 0;
    for (std::size_t i = 0; i < start.size(); ++i) largest = std::max(largest, std::abs(items[i].interest - start[i]));
    drift.push_back(largest);
  }
  return drift;
}

}  // namespace plumbline::reward

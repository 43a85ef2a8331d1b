#include "plumbline/caution/quantilizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/root.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::caution {
namespace {

base::Status check_share(std::string_view function, double share) {
  PL_CHECK(base::check_positive(function, "share", share));
  return base::check_in(function, "share", share, 0, 1);
}

double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

}  // namespace

base::Result<Quantile> quantilize(std::span<const double> base, std::span<const double> value, double share) {
  PL_CHECK(base::check_at_least("quantilize", "options", std::ssize(base), 1));
  PL_CHECK(base::check_size("quantilize", "value", std::ssize(value), std::ssize(base)));
  PL_CHECK(base::check_all_finite("quantilize", "value", value));
  PL_CHECK(check_share("quantilize", share));
  double sum = 0;
  for (const double p : base) {
    PL_CHECK(base::check_in("quantilize", "base", p, 0, 1));
    sum += p;
  }
  if (!(std::abs(sum - 1) <= 1e-9)) {
    return base::make_error(base::Code::kValue, fmt::format("base sums to {:.12g} instead of 1", sum), "quantilize");
  }
  std::vector<std::size_t> order(base.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return value[a] > value[b]; });
  Quantile found;
  found.probability.assign(base.size(), 0.0);
  found.cost_factor = 0;
  double left = share;
  for (std::size_t i = 0; i < order.size() && left > 0;) {
    std::size_t end = i;
    double mass = 0;
    for (; end < order.size() && value[order[end]] == value[order[i]]; ++end) mass += base[order[end]];
    const bool last = end == order.size();
    if (mass > 0) {
      // The last group takes what rounding has left.
      const double taken = last ? left : std::min(left, mass);
      for (std::size_t j = i; j < end; ++j) found.probability[order[j]] = base[order[j]] / mass * (taken / share);
      found.cost_factor = std::max(found.cost_factor, taken / share / mass);
      found.threshold = value[order[i]];
      left -= taken;
    }
    i = end;
  }
  return found;
}

base::Result<std::vector<MildRow>> mild_optimisation(std::span<const double> shares, const MildWorld& world) {
  PL_CHECK(base::check_finite("mild_optimisation", "exploit_proxy", world.exploit_proxy));
  PL_CHECK(base::check_finite("mild_optimisation", "exploit_truth", world.exploit_truth));
  PL_CHECK(base::check_finite("mild_optimisation", "noise", world.noise));
  PL_CHECK(base::check_in("mild_optimisation", "noise", world.noise, 0, 1e6));
  PL_CHECK(base::check_in("mild_optimisation", "exploit_rate", world.exploit_rate, 0, 1 - 1e-12));
  for (const double share : shares) PL_CHECK(check_share("mild_optimisation", share));
  const double deviation = std::sqrt(1 + world.noise * world.noise);
  const double exploit = world.exploit_rate;
  std::vector<MildRow> rows;
  for (const double share : shares) {
    const auto ordinary_tail = [&](double c) { return (1 - exploit) * stats::normal_tail(c / deviation); };
    const auto exploit_tail = [&](double c) {
      return exploit * stats::normal_tail((c - world.exploit_proxy) / deviation);
    };
    double c = -40 * deviation - std::abs(world.exploit_proxy);
    if (share < 1) {
      PL_TRY(c, stats::find_root(
                    [&](double x) { return std::log(ordinary_tail(x) + exploit_tail(x)) - std::log(share); },
                    -30 * deviation - std::abs(world.exploit_proxy), 30 * deviation + std::abs(world.exploit_proxy)));
    }
    // E[X; X > c] = deviation * density(c / deviation) for X ~ N(0, deviation^2); the truth's part of X is X /
    // deviation^2.
    const double ordinary = (1 - exploit) * deviation * density(c / deviation);
    const double shifted = exploit * deviation * density((c - world.exploit_proxy) / deviation);
    MildRow row;
    row.share = share;
    row.exploits = exploit_tail(c) / share;
    row.proxy = (ordinary + shifted) / share + row.exploits * world.exploit_proxy;
    row.truth = (ordinary + shifted) / (deviation * deviation) / share + row.exploits * world.exploit_truth;
    rows.push_back(row);
  }
  return rows;
}

base::Result<std::vector<JointRow>> quantilize_jointly(double share, int most_actions, int levels) {
  PL_CHECK(check_share("quantilize_jointly", share));
  PL_CHECK(base::check_in("quantilize_jointly", "most_actions", most_actions, 1, 64));
  PL_CHECK(base::check_in("quantilize_jointly", "levels", levels, 2, 1000));
  const auto mean_of_top = [](const std::vector<double>& mass, double top) {
    double left = top;
    double sum = 0;
    for (std::size_t v = mass.size(); v-- > 0 && left > 0;) {
      const double taken = std::min(left, mass[v]);
      sum += taken * static_cast<double>(v);
      left -= taken;
    }
    return sum / top;
  };
  const std::vector<double> one(static_cast<std::size_t>(levels), 1.0 / levels);
  const double separate = 1 + mean_of_top(one, share);
  std::vector<double> joint = {1.0};  // mass of the sum of k levels, each counted from 0
  std::vector<JointRow> rows;
  for (int k = 1; k <= most_actions; ++k) {
    std::vector<double> next(joint.size() + one.size() - 1, 0.0);
    for (std::size_t i = 0; i < joint.size(); ++i) {
      for (std::size_t j = 0; j < one.size(); ++j) next[i + j] += joint[i] * one[j];
    }
    joint = std::move(next);
    rows.push_back({k, std::pow(share, k), std::pow(share, -k), separate, 1 + mean_of_top(joint, share) / k});
  }
  return rows;
}

}  // namespace plumbline::caution

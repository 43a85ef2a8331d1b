#include "plumbline/caution/specification_radius.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using world::Plan;
using world::Process;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double norm_of(std::span<const double> x, SlipNorm norm) {
  double sum = 0;
  for (const double v : x) {
    if (norm == SlipNorm::kEuclid) sum += v * v;
    if (norm == SlipNorm::kSum) sum += std::abs(v);
    if (norm == SlipNorm::kLargest) sum = std::max(sum, std::abs(v));
  }
  return norm == SlipNorm::kEuclid ? std::sqrt(sum) : sum;
}

SlipNorm dual_of(SlipNorm norm) {
  if (norm == SlipNorm::kSum) return SlipNorm::kLargest;
  if (norm == SlipNorm::kLargest) return SlipNorm::kSum;
  return norm;
}

/// The weights at distance gap / |d|_dual where w.d has become 0.
std::vector<double> nearest_weights(std::span<const double> weights, std::span<const double> d, double gap,
                                    SlipNorm norm) {
  std::vector<double> moved(weights.begin(), weights.end());
  if (norm == SlipNorm::kEuclid) {
    const double square = dot(d, d);
    for (std::size_t i = 0; i < d.size(); ++i) moved[i] -= gap / square * d[i];
  } else if (norm == SlipNorm::kLargest) {
    const double step = gap / norm_of(d, SlipNorm::kSum);
    for (std::size_t i = 0; i < d.size(); ++i) moved[i] -= d[i] > 0 ? step : d[i] < 0 ? -step : 0;
  } else {
    std::size_t at = 0;
    for (std::size_t i = 1; i < d.size(); ++i) at = std::abs(d[i]) > std::abs(d[at]) ? i : at;
    moved[at] -= gap / d[at];
  }
  return moved;
}

/// Takes the rival with features worse by `d` into account.
void consider(SpecificationRadius& best, std::span<const double> weights, std::span<const double> d, SlipNorm norm,
              std::size_t chosen, std::size_t rival, int time) {
  const double size = norm_of(d, dual_of(norm));
  if (size <= 1e-12) return;  // the same in everything that is weighed
  const double gap = std::max(0.0, dot(weights, d));
  const double radius = gap / size;
  if (radius >= best.radius) return;
  best.radius = radius;
  best.nearest = nearest_weights(weights, d, gap, norm);
  best.chosen = chosen;
  best.rival = rival;
  best.time = time;
}

base::Status check_weights(std::string_view function, MatrixRefD features, std::span<const double> weights) {
  PL_CHECK(base::check_at_least(function, "features", features.rows(), 1));
  PL_CHECK(base::check_at_least(function, "weights", std::ssize(weights), 1));
  PL_CHECK(base::check_size(function, "weights", std::ssize(weights), features.cols()));
  PL_CHECK(base::check_all_finite(function, "weights", weights));
  for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < features.cols(); ++j)
      PL_CHECK(base::check_finite(function, "features", features(i, j)));
  }
  return base::ok();
}

std::vector<double> reward_of(MatrixRefD features, std::span<const double> weights) {
  std::vector<double> reward(static_cast<std::size_t>(features.rows()), 0.0);
  for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < features.cols(); ++j) {
      reward[static_cast<std::size_t>(i)] += features(i, j) * weights[static_cast<std::size_t>(j)];
    }
  }
  return reward;
}

base::Result<std::vector<double>> features_of(const Process& process, MatrixRefD features,
                                              const world::TabularPolicy& policy) {
  PL_TRY(const std::vector<double> visits, world::occupancy(process, policy));
  std::vector<double> sum(static_cast<std::size_t>(features.cols()), 0.0);
  for (std::size_t pair = 0; pair < visits.size(); ++pair) {
    if (visits[pair] == 0) continue;
    for (std::size_t j = 0; j < sum.size(); ++j)
      sum[j] += visits[pair] * features(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(j));
  }
  return sum;
}

/// Whether the policy comes to each (t, s).
std::vector<bool> reached_by(const Process& process, const world::TabularPolicy& policy) {
  std::vector<bool> reached(static_cast<std::size_t>(process.horizon) * process.states, false);
  for (std::uint32_t s = 0; s < process.states; ++s) reached[s] = process.initial[s] > 0;
  for (int t = 0; t + 1 < process.horizon; ++t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (!reached[static_cast<std::size_t>(t) * process.states + s]) continue;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (policy.at(t, s)[a] == 0) continue;
        const std::size_t pair = process.pair(s, a);
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.next[i] != process.end() && process.probability[i] > 0) {
            reached[static_cast<std::size_t>(t + 1) * process.states + process.next[i]] = true;
          }
        }
      }
    }
  }
  return reached;
}

}  // namespace

base::Result<SpecificationRadius> option_radius(MatrixRefD features, std::span<const double> weights, SlipNorm norm) {
  PL_CHECK(check_weights("option_radius", features, weights));
  const std::vector<double> value = reward_of(features, weights);
  const auto chosen = static_cast<std::size_t>(std::max_element(value.begin(), value.end()) - value.begin());
  SpecificationRadius best;
  best.radius = kInfinity;
  best.chosen = best.rival = chosen;
  std::vector<double> d(weights.size());
  for (std::size_t j = 0; j < value.size(); ++j) {
    if (j == chosen) continue;
    for (std::size_t f = 0; f < d.size(); ++f) {
      d[f] = features(static_cast<std::ptrdiff_t>(chosen), static_cast<std::ptrdiff_t>(f)) -
             features(static_cast<std::ptrdiff_t>(j), static_cast<std::ptrdiff_t>(f));
    }
    consider(best, weights, d, norm, chosen, j, 0);
  }
  const double size = norm_of(weights, norm);
  best.relative = size > 0 ? best.radius / size : std::numeric_limits<double>::quiet_NaN();
  return best;
}

base::Result<SpecificationRadius> policy_radius(const Process& process, MatrixRefD features,
                                                std::span<const double> weights, SlipNorm norm, bool reached_only) {
  PL_CHECK(check_weights("policy_radius", features, weights));
  PL_CHECK(
      base::check_size("policy_radius", "features", features.rows(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_TRY(const Plan plan, world::finite_horizon(process, reward_of(features, weights)));
  const std::vector<bool> reached = reached_by(process, plan.policy);
  const std::size_t d = weights.size();
  SpecificationRadius best;
  best.radius = kInfinity;
  // phi[s]: expected features from s on, under the optimal policy.
  std::vector<double> phi((process.states + 1) * d, 0.0);
  std::vector<double> earlier = phi;
  std::vector<double> of_action(process.actions * d);
  std::vector<double> worse(d);
  for (int t = process.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::span<const double> row = plan.policy.at(t, s);
      const auto chosen = static_cast<std::uint32_t>(std::max_element(row.begin(), row.end()) - row.begin());
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        for (std::size_t j = 0; j < d; ++j)
          of_action[a * d + j] = features(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(j));
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          for (std::size_t j = 0; j < d; ++j)
            of_action[a * d + j] += process.probability[i] * phi[process.next[i] * d + j];
        }
      }
      for (std::size_t j = 0; j < d; ++j) earlier[s * d + j] = of_action[chosen * d + j];
      if (reached_only && !reached[static_cast<std::size_t>(t) * process.states + s]) continue;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (a == chosen) continue;
        for (std::size_t j = 0; j < d; ++j) worse[j] = of_action[chosen * d + j] - of_action[a * d + j];
        consider(best, weights, worse, norm, process.pair(s, chosen), process.pair(s, a), t);
      }
    }
    std::swap(phi, earlier);
  }
  const double size = norm_of(weights, norm);
  best.relative = size > 0 ? best.radius / size : std::numeric_limits<double>::quiet_NaN();
  return best;
}

base::Result<std::vector<WeightSlip>> weight_slips(const Process& process, MatrixRefD features,
                                                   std::span<const double> weights) {
  PL_CHECK(check_weights("weight_slips", features, weights));
  PL_CHECK(base::check_size("weight_slips", "features", features.rows(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_TRY(const Plan now, world::finite_horizon(process, reward_of(features, weights)));
  PL_TRY(const std::vector<double> here, features_of(process, features, now.policy));
  std::vector<WeightSlip> slips;
  std::vector<double> reward(process.pairs());
  for (std::size_t j = 0; j < weights.size(); ++j) {
    for (const double sign : {1.0, -1.0}) {
      // In the limit of a large slip the feature alone decides: the most (or least) of it, then the old reward.
      double largest = 0;
      for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
        reward[static_cast<std::size_t>(i)] = sign * features(i, static_cast<std::ptrdiff_t>(j));
        largest = std::max(largest, std::abs(reward[static_cast<std::size_t>(i)]));
      }
      PL_TRY(const Plan extreme, world::finite_horizon(process, reward));
      if (extreme.start <= sign * here[j] + 1e-9 * std::max(1.0, largest)) continue;  // already at that end
      PL_TRY(std::vector<double> there, features_of(process, features, extreme.policy));
      WeightSlip slip{j, 0, extreme.policy};
      for (int step = 0; step < 1000; ++step) {
        // Where this rival catches up.
        double behind = 0;
        for (std::size_t f = 0; f < weights.size(); ++f) behind += weights[f] * (here[f] - there[f]);
        slip.change = std::max(0.0, behind) / (there[j] - here[j]);
        std::vector<double> slipped(weights.begin(), weights.end());
        slipped[j] += slip.change;
        PL_TRY(const Plan best, world::finite_horizon(process, reward_of(features, slipped)));
        double mine = dot(slipped, here);
        if (best.start <= mine + 1e-10 * std::max(1.0, std::abs(mine))) break;
        PL_TRY(there, features_of(process, features, best.policy));
        slip.rival = best.policy;
      }
      slips.push_back(std::move(slip));
    }
  }
  std::stable_sort(slips.begin(), slips.end(),
                   [](const WeightSlip& a, const WeightSlip& b) { return std::abs(a.change) < std::abs(b.change); });
  return slips;
}

base::Result<std::vector<Parting>> partings(const Process& process, const decision::RewardPosterior& values, int time,
                                            double tolerance) {
  PL_CHECK(decision::validate(values));
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("partings", "horizon", process.horizon, 1));
  PL_CHECK(
      base::check_size("partings", "rewards", values.rewards.cols(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_CHECK(base::check_in("partings", "time", time, 0, process.horizon - 1));
  PL_CHECK(base::check_in("partings", "tolerance", tolerance, 0, 1e300));
  std::vector<double> worst(process.pairs(), 0.0);
  std::vector<double> value(process.states + 1);
  std::vector<double> earlier(process.states + 1);
  std::vector<double> q(process.actions);
  for (std::ptrdiff_t k = 0; k < values.size(); ++k) {
    if (values.probability[static_cast<std::size_t>(k)] == 0) continue;
    std::fill(value.begin(), value.end(), 0.0);
    for (int t = process.horizon - 1; t >= time; --t) {
      for (std::uint32_t s = 0; s < process.states; ++s) {
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          const std::size_t pair = process.pair(s, a);
          q[a] = values.rewards(k, static_cast<std::ptrdiff_t>(pair));
          for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
            q[a] += process.probability[i] * value[process.next[i]];
        }
        earlier[s] = *std::max_element(q.begin(), q.end());
        for (std::uint32_t a = 0; a < process.actions && t == time; ++a) {
          double& loss = worst[process.pair(s, a)];
          loss = std::max(loss, earlier[s] - q[a]);
        }
      }
      earlier[process.states] = 0;
      std::swap(value, earlier);
    }
  }
  std::vector<Parting> found;
  for (std::uint32_t s = 0; s < process.states; ++s) {
    Parting parting{time, s, kInfinity, 0};
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      if (worst[process.pair(s, a)] < parting.loss) {
        parting.loss = worst[process.pair(s, a)];
        parting.action = a;
      }
    }
    if (parting.loss > tolerance) found.push_back(parting);
  }
  return found;
}

}  // namespace plumbline::caution

#include "plumbline/caution/risk.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"

namespace plumbline::caution {
namespace {

using world::Plan;
using world::Process;
using world::TabularPolicy;

constexpr double kGrain = 1e-9;

std::int64_t grain_of(double sum) { return std::llround(sum / kGrain); }

base::Status check_inputs(std::string_view function, const Process& process, std::span<const double> reward) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(base::check_at_least(function, "horizon", process.horizon, 1));
  for (const double r : reward) PL_CHECK(base::check_in(function, "reward", r, -1e6, 1e6));
  return base::ok();
}

/// A state with the reward so far. `links` of action a are those at first[a] .. first[a + 1] - 1.
struct Node {
  std::uint32_t state;
  double sum;
};

struct Link {
  std::uint32_t to;  ///< node of the next layer, or kFinal
  double probability;
};

/// All pairs of state and sum, time by time. Ended episodes are final nodes of their own: only their sum counts.
struct Layers {
  static constexpr std::uint32_t kFinal = 0x80000000U;
  std::vector<std::vector<Node>> nodes;           ///< horizon layers
  std::vector<std::vector<std::uint64_t>> first;  ///< of each layer: nodes * actions + 1
  std::vector<std::vector<Link>> links;
  std::vector<double> finals;  ///< sums with which episodes end
};

struct KeyHash {
  std::size_t operator()(const std::pair<std::uint32_t, std::int64_t>& key) const {
    std::uint64_t x = (static_cast<std::uint64_t>(key.second) * 0x9e3779b97f4a7c15ULL) ^ key.first;
    x ^= x >> 31U;
    return static_cast<std::size_t>(x * 0xbf58476d1ce4e5b9ULL);
  }
};
using Index = std::unordered_map<std::pair<std::uint32_t, std::int64_t>, std::uint32_t, KeyHash>;

base::Result<Layers> unroll(const Process& process, std::span<const double> reward, std::size_t most) {
  Layers layers;
  Index finals;
  const auto final_at = [&](double sum) {
    const auto [place, fresh] =
        finals.try_emplace({0, grain_of(sum)}, static_cast<std::uint32_t>(layers.finals.size()));
    if (fresh) layers.finals.push_back(sum);
    return Layers::kFinal | place->second;
  };
  layers.nodes.emplace_back();
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (process.initial[s] > 0) layers.nodes[0].push_back({s, 0});
  }
  std::size_t total = 0;
  for (int t = 0; t < process.horizon; ++t) {
    const bool last = t + 1 == process.horizon;
    Index index;
    std::vector<Node> next;
    std::vector<std::uint64_t> first = {0};
    std::vector<Link> links;
    for (const Node& node : layers.nodes.back()) {
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(node.state, a);
        const double sum = node.sum + reward[pair];
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.probability[i] == 0) continue;
          std::uint32_t to = 0;
          if (last || process.next[i] == process.end()) {
            to = final_at(sum);
          } else {
            const auto [place, fresh] =
                index.try_emplace({process.next[i], grain_of(sum)}, static_cast<std::uint32_t>(next.size()));
            if (fresh) next.push_back({process.next[i], sum});
            to = place->second;
          }
          links.push_back({to, process.probability[i]});
        }
        first.push_back(links.size());
      }
      if (total + next.size() + finals.size() > most) {
        return base::make_error(base::Code::kLimit, fmt::format("more than {} pairs of state and reward so far", most),
                                "risk", "shorten the horizon, or round the rewards");
      }
    }
    total += next.size();
    layers.first.push_back(std::move(first));
    layers.links.push_back(std::move(links));
    if (!last) layers.nodes.push_back(std::move(next));
  }
  return layers;
}

/// Mass of each final sum when node n of layer t takes choose(t, n)'s distribution over actions.
template <class Choose>
ReturnDistribution distribution_of(const Process& process, const Layers& layers, const Choose& choose) {
  std::vector<double> final_mass(layers.finals.size(), 0.0);
  std::vector<double> here;
  for (const Node& node : layers.nodes[0]) here.push_back(process.initial[node.state]);
  for (std::size_t t = 0; t < layers.nodes.size(); ++t) {
    std::vector<double> there(t + 1 < layers.nodes.size() ? layers.nodes[t + 1].size() : 0, 0.0);
    for (std::size_t n = 0; n < here.size(); ++n) {
      if (here[n] == 0) continue;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const double mass = here[n] * choose(t, n, a);
        if (mass == 0) continue;
        const std::size_t at = n * process.actions + a;
        for (std::uint64_t i = layers.first[t][at]; i < layers.first[t][at + 1]; ++i) {
          const Link& link = layers.links[t][i];
          if ((link.to & Layers::kFinal) != 0)
            final_mass[link.to & ~Layers::kFinal] += mass * link.probability;
          else
            there[link.to] += mass * link.probability;
        }
      }
    }
    here = std::move(there);
  }
  ReturnDistribution distribution;
  for (std::size_t i = 0; i < final_mass.size(); ++i) {
    if (final_mass[i] > 0) distribution.emplace_back(layers.finals[i], final_mass[i]);
  }
  std::sort(distribution.begin(), distribution.end());
  return distribution;
}

double mean_of(const ReturnDistribution& distribution) {
  double sum = 0;
  for (const auto& [value, p] : distribution) sum += p * value;
  return sum;
}

base::Status check_doubt(std::string_view function, const Process& process, const TransitionDoubt& doubt) {
  PL_CHECK(base::check_in(function, "radius", doubt.radius, 0, 2));
  if (!doubt.radii.empty()) {
    PL_CHECK(
        base::check_size(function, "radii", std::ssize(doubt.radii), static_cast<std::ptrdiff_t>(process.pairs())));
    for (const double r : doubt.radii) PL_CHECK(base::check_in(function, "radii", r, 0, 2));
  }
  return base::ok();
}

/// min over the doubt of sum p(s') value(s').
class Adversary {
 public:
  Adversary(const Process& process, const TransitionDoubt& doubt) : process_(process), doubt_(doubt) {}
  double worst(std::size_t pair, const std::vector<double>& value) {
    const std::uint64_t begin = process_.first[pair];
    const std::uint64_t count = process_.first[pair + 1] - begin;
    values_.clear();
    for (std::uint64_t i = 0; i < count; ++i) values_.push_back(value[process_.next[begin + i]]);
    const double radius = doubt_.radii.empty() ? doubt_.radius : doubt_.radii[pair];
    return worst_row(std::span<const double>(process_.probability).subspan(begin, count), values_, doubt_.shape, radius)
        .first;
  }

 private:
  const Process& process_;
  const TransitionDoubt& doubt_;
  std::vector<double> values_;
};

double start_value(const Process& process, const std::vector<double>& value) {
  double sum = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) sum += process.initial[s] * value[s];
  return sum;
}

/// -(1/c) log E exp(-c value), shifted so that nothing overflows.
double entropic_mean(const Process& process, std::size_t pair, const std::vector<double>& value, double c) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
    if (process.probability[i] > 0) top = std::max(top, -c * value[process.next[i]]);
  }
  double sum = 0;
  for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
    sum += process.probability[i] * std::exp(-c * value[process.next[i]] - top);
  }
  return -(top + std::log(sum)) / c;
}

}  // namespace

struct SumPolicyMaker {
  static SumPolicy make(const Layers& layers, const std::vector<std::vector<std::int32_t>>& action) {
    SumPolicy policy;
    for (std::size_t t = 0; t < layers.nodes.size(); ++t) {
      std::vector<SumPolicy::Node> nodes;
      for (std::size_t n = 0; n < layers.nodes[t].size(); ++n) {
        nodes.push_back({layers.nodes[t][n].state, layers.nodes[t][n].sum, action[t][n]});
      }
      std::sort(nodes.begin(), nodes.end(), [](const SumPolicy::Node& a, const SumPolicy::Node& b) {
        return a.state != b.state ? a.state < b.state : a.sum < b.sum;
      });
      policy.layers_.push_back(std::move(nodes));
    }
    return policy;
  }
};

std::int32_t SumPolicy::act(int t, std::uint32_t state, double sum) const {
  if (t < 0 || static_cast<std::size_t>(t) >= layers_.size()) return -1;
  const std::vector<Node>& nodes = layers_[static_cast<std::size_t>(t)];
  const auto place = std::lower_bound(
      nodes.begin(), nodes.end(), sum - kGrain,
      [state](const Node& node, double least) { return node.state != state ? node.state < state : node.sum < least; });
  if (place == nodes.end() || place->state != state || place->sum > sum + kGrain) return -1;
  return place->action;
}

double lower_tail_mean(const ReturnDistribution& distribution, double alpha) {
  double left = alpha;
  double sum = 0;
  double last = 0;
  for (const auto& [value, p] : distribution) {
    const double mass = std::min(left, p);
    if (mass <= 0) break;
    sum += mass * value;
    last = value;
    left -= mass;
  }
  return (sum + std::max(0.0, left) * last) / alpha;
}

base::Result<ReturnDistribution> return_distribution(const Process& process, std::span<const double> reward,
                                                     const TabularPolicy& policy, std::size_t most) {
  PL_CHECK(check_inputs("return_distribution", process, reward));
  PL_CHECK(world::validate_policy(process, policy));
  PL_TRY(const Layers layers, unroll(process, reward, most));
  return distribution_of(process, layers, [&](std::size_t t, std::size_t n, std::uint32_t a) {
    return policy.at(static_cast<int>(t), layers.nodes[t][n].state)[a];
  });
}

base::Result<TailPlan> plan_tail(const Process& process, std::span<const double> reward, double alpha,
                                 std::size_t most) {
  PL_CHECK(check_inputs("plan_tail", process, reward));
  PL_CHECK(base::check_positive("plan_tail", "alpha", alpha));
  PL_CHECK(base::check_in("plan_tail", "alpha", alpha, 0, 1));
  PL_TRY(const Layers layers, unroll(process, reward, most));
  const std::size_t steps = layers.nodes.size();
  std::vector<std::vector<double>> shortfall(steps);
  std::vector<std::vector<double>> mean(steps);
  std::vector<std::vector<std::int32_t>> action(steps);
  for (std::size_t t = 0; t < steps; ++t) {
    shortfall[t].resize(layers.nodes[t].size());
    mean[t].resize(layers.nodes[t].size());
    action[t].resize(layers.nodes[t].size());
  }
  // Backwards: the least expected shortfall below c, then among those the best mean.
  const auto sweep = [&](double c) {
    for (std::size_t t = steps; t-- > 0;) {
      for (std::size_t n = 0; n < layers.nodes[t].size(); ++n) {
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          const std::size_t at = n * process.actions + a;
          double w = 0;
          double m = 0;
          for (std::uint64_t i = layers.first[t][at]; i < layers.first[t][at + 1]; ++i) {
            const Link& link = layers.links[t][i];
            if ((link.to & Layers::kFinal) != 0) {
              const double sum = layers.finals[link.to & ~Layers::kFinal];
              w += link.probability * std::max(0.0, c - sum);
              m += link.probability * sum;
            } else {
              w += link.probability * shortfall[t + 1][link.to];
              m += link.probability * mean[t + 1][link.to];
            }
          }
          constexpr double kTie = 1e-12;
          const bool better =
              a == 0 || w < shortfall[t][n] - kTie || (w <= shortfall[t][n] + kTie && m > mean[t][n] + kTie);
          if (better) {
            shortfall[t][n] = w;
            mean[t][n] = m;
            action[t][n] = static_cast<std::int32_t>(a);
          }
        }
      }
    }
    double expected = 0;
    for (std::size_t n = 0; n < layers.nodes[0].size(); ++n)
      expected += process.initial[layers.nodes[0][n].state] * shortfall[0][n];
    return c - expected / alpha;
  };
  std::vector<double> candidates = layers.finals;
  std::sort(candidates.begin(), candidates.end());
  TailPlan plan;
  bool any = false;
  for (const double c : candidates) {
    const double value = sweep(c);
    if (!any || value > plan.value + 1e-12) {
      plan.value = value;
      plan.threshold = c;
      any = true;
    }
  }
  sweep(plan.threshold);
  plan.policy = SumPolicyMaker::make(layers, action);
  plan.returns = distribution_of(process, layers, [&](std::size_t t, std::size_t n, std::uint32_t a) {
    return action[t][n] == static_cast<std::int32_t>(a) ? 1.0 : 0.0;
  });
  plan.mean = mean_of(plan.returns);
  plan.value = lower_tail_mean(plan.returns, alpha);
  return plan;
}

base::Result<Plan> plan_entropic(const Process& process, std::span<const double> reward, double theta,
                                 double discount) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(base::check_at_least("plan_entropic", "horizon", process.horizon, 1));
  PL_CHECK(base::check_positive("plan_entropic", "discount", discount));
  PL_CHECK(base::check_in("plan_entropic", "discount", discount, 0, 1));
  PL_CHECK(base::check_finite("plan_entropic", "theta", theta));
  if (theta == 0)
    return base::make_error(base::Code::kValue, "theta is 0", "plan_entropic", "the limit is world::finite_horizon");
  Plan plan;
  plan.iterations = process.horizon;
  plan.policy = {process.states, process.actions, process.horizon,
                 std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon), 0.0)};
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> before(process.states + 1, 0.0);
  for (int t = process.horizon - 1; t >= 0; --t) {
    const double c = theta * std::pow(discount, t + 1);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      std::uint32_t best = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        const double q = reward[pair] + discount * entropic_mean(process, pair, plan.value, c);
        if (a == 0 || q > before[s]) {
          before[s] = q;
          best = a;
        }
      }
      plan.policy.probability[static_cast<std::size_t>(t) * process.pairs() + process.pair(s, best)] = 1;
    }
    std::swap(plan.value, before);
  }
  // The start is part of the chance.
  double top = -std::numeric_limits<double>::infinity();
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (process.initial[s] > 0) top = std::max(top, -theta * plan.value[s]);
  }
  double sum = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) sum += process.initial[s] * std::exp(-theta * plan.value[s] - top);
  plan.start = -(top + std::log(sum)) / theta;
  return plan;
}

std::pair<double, std::vector<double>> worst_row(std::span<const double> probability, std::span<const double> value,
                                                 TransitionDoubt::Shape shape, double radius) {
  const std::size_t n = probability.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return value[a] != value[b] ? value[a] < value[b] : a < b; });
  std::vector<double> row(probability.begin(), probability.end());
  if (shape == TransitionDoubt::Shape::kL1) {
    // Half the radius comes to the worst state, from the best ones downwards.
    const std::size_t worst = order.front();
    double moved = std::min(radius / 2, 1 - row[worst]);
    row[worst] += moved;
    for (std::size_t i = n; i-- > 1 && moved > 0;) {
      const double taken = std::min(moved, row[order[i]]);
      row[order[i]] -= taken;
      moved -= taken;
    }
  } else {
    // Everybody at the low end; the rest goes to the worst first.
    double left = 1;
    for (std::size_t i = 0; i < n; ++i) {
      row[i] = std::max(0.0, probability[i] - radius);
      left -= row[i];
    }
    for (const std::size_t i : order) {
      const double room = std::min(1.0, probability[i] + radius) - row[i];
      const double added = std::min(std::max(0.0, left), room);
      row[i] += added;
      left -= added;
    }
  }
  double mean = 0;
  for (std::size_t i = 0; i < n; ++i) mean += row[i] * value[i];
  return {mean, std::move(row)};
}

base::Result<Plan> plan_robust(const Process& process, std::span<const double> reward, const TransitionDoubt& doubt,
                               double discount, double tolerance) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(check_doubt("plan_robust", process, doubt));
  const bool endless = process.horizon == 0;
  PL_CHECK(base::check_positive("plan_robust", "discount", discount));
  if (endless) PL_CHECK(base::check_in_open("plan_robust", "discount", discount, 0, 1));
  PL_CHECK(base::check_in("plan_robust", "discount", discount, 0, 1));
  PL_CHECK(base::check_positive("plan_robust", "tolerance", tolerance));
  Adversary adversary(process, doubt);
  Plan plan;
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> before(process.states + 1, 0.0);
  std::vector<std::int32_t> action(process.states, 0);
  const auto sweep = [&] {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        const double q = reward[pair] + discount * adversary.worst(pair, plan.value);
        if (a == 0 || q > before[s]) {
          before[s] = q;
          action[s] = static_cast<std::int32_t>(a);
        }
      }
    }
  };
  if (endless) {
    double change = 0;
    double scale = 1;
    do {
      sweep();
      change = 0;
      for (std::uint32_t s = 0; s < process.states; ++s) {
        change = std::max(change, std::abs(before[s] - plan.value[s]));
        scale = std::max(scale, std::abs(before[s]));
      }
      std::swap(plan.value, before);
      ++plan.iterations;
    } while (change * discount / (1 - discount) > tolerance && change > 4e-16 * scale);
    plan.error_bound = change * discount / (1 - discount);
    PL_TRY(plan.policy, world::deterministic_policy(process, action));
  } else {
    plan.iterations = process.horizon;
    plan.policy = {process.states, process.actions, process.horizon,
                   std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon), 0.0)};
    for (int t = process.horizon - 1; t >= 0; --t) {
      sweep();
      for (std::uint32_t s = 0; s < process.states; ++s) {
        plan.policy.probability[static_cast<std::size_t>(t) * process.pairs() +
                                process.pair(s, static_cast<std::uint32_t>(action[s]))] = 1;
      }
      std::swap(plan.value, before);
    }
  }
  plan.start = start_value(process, plan.value);
  return plan;
}

base::Result<double> robust_return(const Process& process, std::span<const double> reward, const TabularPolicy& policy,
                                   const TransitionDoubt& doubt, double discount) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(world::validate_policy(process, policy));
  PL_CHECK(check_doubt("robust_return", process, doubt));
  PL_CHECK(base::check_at_least("robust_return", "horizon", process.horizon, 1));
  PL_CHECK(base::check_in("robust_return", "discount", discount, 0, 1));
  Adversary adversary(process, doubt);
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> before(process.states + 1, 0.0);
  for (int t = process.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::span<const double> row = policy.at(t, s);
      before[s] = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (row[a] == 0) continue;
        const std::size_t pair = process.pair(s, a);
        before[s] += row[a] * (reward[pair] + discount * adversary.worst(pair, value));
      }
    }
    std::swap(value, before);
  }
  return start_value(process, value);
}

base::Result<ObstacleGrid> make_obstacle_grid(std::uint64_t seed, int rows, int columns, int obstacles) {
  PL_CHECK(base::check_in("make_obstacle_grid", "rows", rows, 4, 256));
  PL_CHECK(base::check_in("make_obstacle_grid", "columns", columns, 4, 256));
  PL_CHECK(base::check_in("make_obstacle_grid", "obstacles", obstacles, 0, (rows - 2) * (columns - 2) / 2));
  ObstacleGrid grid;
  grid.rows = rows;
  grid.columns = columns;
  grid.obstacle.assign(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), 0);
  grid.start = (rows - 1) * columns + columns - 1;
  grid.goal = columns - 1;
  grid.horizon = 2 * (rows + columns) + rows;
  base::Rng rng(seed, {"obstacle grid"});
  while (obstacles > 0) {
    const auto row = 1 + static_cast<int>(rng.below(static_cast<std::uint64_t>(rows - 2)));
    const auto column = 1 + static_cast<int>(rng.below(static_cast<std::uint64_t>(columns - 1)));
    std::uint8_t& cell = grid.obstacle[static_cast<std::size_t>(row * columns + column)];
    if (cell != 0 || (column == columns - 1 && (row == rows - 2 || row == 1))) continue;
    cell = 1;
    --obstacles;
  }
  return grid;
}

base::Result<GridModel> model_of(const ObstacleGrid& grid) {
  const auto cells = static_cast<std::size_t>(grid.rows) * static_cast<std::size_t>(grid.columns);
  PL_CHECK(base::check_size("ObstacleGrid", "obstacle", std::ssize(grid.obstacle), static_cast<std::ptrdiff_t>(cells)));
  PL_CHECK(base::check_in("ObstacleGrid", "start", grid.start, 0, static_cast<double>(cells) - 1));
  PL_CHECK(base::check_in("ObstacleGrid", "goal", grid.goal, 0, static_cast<double>(cells) - 1));
  PL_CHECK(base::check_in("ObstacleGrid", "slip", grid.slip, 0, 1));
  PL_CHECK(base::check_in("ObstacleGrid", "crash", grid.crash, 0, 1e6));
  PL_CHECK(base::check_at_least("ObstacleGrid", "horizon", grid.horizon, 1));
  // An obstacle is a state that one enters with the next step's price still to pay: leaving it costs `crash` and ends.
  const auto states = static_cast<std::uint32_t>(cells);
  world::ProcessBuilder builder(states, 4, grid.horizon);
  GridModel model;
  builder.start(static_cast<std::uint32_t>(grid.start), 1);
  const auto walk = [&](int cell, int move) {
    int row = cell / grid.columns;
    int column = cell % grid.columns;
    if (move == 0) row = std::max(0, row - 1);
    if (move == 1) row = std::min(grid.rows - 1, row + 1);
    if (move == 2) column = std::max(0, column - 1);
    if (move == 3) column = std::min(grid.columns - 1, column + 1);
    return static_cast<std::uint32_t>(row * grid.columns + column);
  };
  for (std::uint32_t s = 0; s < states; ++s) {
    const bool crashed = grid.obstacle[s] != 0;
    for (int a = 0; a < 4; ++a) {
      const auto action = static_cast<std::uint32_t>(a);
      model.reward.push_back(crashed ? -grid.crash : -1.0);
      if (crashed) {
        builder.add(s, action, states, 1);
        continue;
      }
      for (int move = 0; move < 4; ++move) {
        const double p = move == a ? 1 - grid.slip : grid.slip / 3;
        if (p == 0) continue;
        const std::uint32_t to = walk(static_cast<int>(s), move);
        builder.add(s, action, to == static_cast<std::uint32_t>(grid.goal) ? states : to, p);
      }
    }
  }
  PL_TRY(model.process, std::move(builder).finish());
  return model;
}

}  // namespace plumbline::caution

#include "plumbline/caution/mixed_choice.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::caution {
namespace {

using decision::RewardPosterior;
using world::LinearProgram;
using world::LinearSolution;
using world::LinearTerm;

constexpr double kInfinity = LinearProgram::kInfinity;

base::Status check(std::string_view function, const Choices& choices, const RewardPosterior& values,
                   std::span<const double> offset) {
  PL_CHECK(decision::validate(values));
  PL_CHECK(base::check_size(function, "things", std::ssize(choices.things), values.rewards.cols()));
  for (const std::size_t variable : choices.things) {
    if (variable != Choices::kNone && variable >= choices.set.variables()) {
      return base::make_error(base::Code::kValue, fmt::format("variable {} of {}", variable, choices.set.variables()),
                              std::string(function));
    }
  }
  if (!offset.empty()) {
    PL_CHECK(base::check_size(function, "offset", std::ssize(offset), values.rewards.rows()));
    PL_CHECK(base::check_all_finite(function, "offset", offset));
  }
  return base::ok();
}

std::size_t size(const RewardPosterior& values) { return static_cast<std::size_t>(values.rewards.rows()); }

double probability(const RewardPosterior& values, std::size_t k) { return values.probability[k]; }

/// The costs of one reward, one a variable of `program`.
std::vector<double> costs_of(const Choices& choices, std::size_t variables, std::span<const double> reward) {
  std::vector<double> cost(variables, 0.0);
  for (std::size_t i = 0; i < reward.size(); ++i) {
    if (choices.things[i] != Choices::kNone) cost[choices.things[i]] += reward[i];
  }
  return cost;
}

std::span<const double> reward_of(const RewardPosterior& values, std::size_t k) {
  const auto m = static_cast<std::size_t>(values.rewards.cols());
  return std::span<const double>(values.rewards.data(), size(values) * m).subspan(k * m, m);
}

base::Result<LinearSolution> optimum(LinearSolution found) {
  if (found.status == world::LinearStatus::kOptimal) return found;
  const bool empty = found.status == world::LinearStatus::kInfeasible;
  return base::make_error(
      base::Code::kValue,
      fmt::format("the set of choices is {}", empty ? "empty" : "unbounded in a direction that pays"), "mixed choice");
}

base::Result<LinearSolution> solve_for(const LinearProgram& program, std::span<const std::size_t> basic) {
  PL_TRY(LinearSolution found, world::solve(program, basic));
  return optimum(std::move(found));
}

/// After rows were added, or else after costs changed.
base::Result<LinearSolution> solve_on(const LinearProgram& program, const world::LinearBasis& basis, bool rows_added) {
  PL_TRY(LinearSolution found, world::solve_from(program, basis, rows_added));
  return optimum(std::move(found));
}

LinearProgram blank(const Choices& choices) {
  LinearProgram program = choices.set;
  program.set_sense(LinearProgram::Sense::kMaximise);
  program.clear_costs();
  return program;
}

/// Adds u_k = return of reward k as a free variable, and returns it.
std::size_t add_return(LinearProgram& program, const Choices& choices, std::span<const double> reward) {
  const std::size_t u = program.add_variable(0, -kInfinity);
  std::vector<LinearTerm> row = {{u, 1}};
  for (std::size_t i = 0; i < reward.size(); ++i) {
    if (choices.things[i] != Choices::kNone && reward[i] != 0) row.push_back({choices.things[i], -reward[i]});
  }
  program.add_equal(row, 0);
  return u;
}

Mix mix_at(const Choices& choices, const RewardPosterior& values, const std::vector<double>& primal) {
  Mix mix;
  mix.variables.assign(primal.begin(), primal.begin() + static_cast<std::ptrdiff_t>(choices.set.variables()));
  for (const std::size_t variable : choices.things) {
    mix.share.push_back(variable == Choices::kNone ? 0.0 : std::max(0.0, primal[variable]));
  }
  mix.returns = returns_of(values, mix.share);
  return mix;
}

double mean_of(const RewardPosterior& values, std::span<const double> returns) {
  double sum = 0;
  for (std::size_t k = 0; k < returns.size(); ++k) sum += probability(values, k) * returns[k];
  return sum;
}

double offset_of(std::span<const double> offset, std::size_t k) { return offset.empty() ? 0 : offset[k]; }

/// The least return - offset among plausible rewards, and which.
std::pair<double, std::size_t> least(const RewardPosterior& values, std::span<const double> returns,
                                     std::span<const double> offset) {
  std::pair<double, std::size_t> found{kInfinity, 0};
  for (std::size_t k = 0; k < returns.size(); ++k) {
    const double gain = returns[k] - offset_of(offset, k);
    if (probability(values, k) > 0 && gain < found.first) found = {gain, k};
  }
  return found;
}

double scale_of(std::span<const double> returns, std::span<const double> offset) {
  double scale = 1;
  for (const double r : returns) scale = std::max(scale, std::abs(r));
  for (const double o : offset) scale = std::max(scale, std::abs(o));
  return scale;
}

}  // namespace

Choices options(std::size_t m) {
  Choices choices;
  std::vector<LinearTerm> row;
  for (std::size_t i = 0; i < m; ++i) {
    choices.things.push_back(choices.set.add_variable());
    row.push_back({choices.things.back(), 1});
  }
  choices.set.add_equal(row, 1);
  if (m > 0) choices.basis = {0};
  return choices;
}

std::vector<double> returns_of(const RewardPosterior& values, std::span<const double> share) {
  std::vector<double> returns(size(values), 0.0);
  for (std::size_t k = 0; k < returns.size(); ++k) {
    const std::span<const double> reward = reward_of(values, k);
    for (std::size_t i = 0; i < share.size(); ++i) returns[k] += reward[i] * share[i];
  }
  return returns;
}

double lower_tail_mean(std::span<const double> x, std::span<const double> probability, double alpha) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return x[a] != x[b] ? x[a] < x[b] : a < b; });
  double left = alpha;
  double sum = 0;
  double last = 0;
  for (const std::size_t k : order) {
    const double mass = std::min(left, probability[k]);
    if (mass <= 0) continue;
    sum += mass * x[k];
    last = x[k];
    left -= mass;
  }
  // Probabilities that sum to a little less than 1 leave a rest to the largest.
  return (sum + left * last) / alpha;
}

base::Result<Mix> best_mean(const Choices& choices, const RewardPosterior& values) {
  PL_CHECK(check("best_mean", choices, values, {}));
  LinearProgram program = blank(choices);
  const std::vector<double> cost = costs_of(choices, program.variables(), decision::mean_reward(values));
  for (std::size_t j = 0; j < cost.size(); ++j) program.set_cost(j, cost[j]);
  PL_TRY(const LinearSolution found, solve_for(program, choices.basis));
  Mix mix = mix_at(choices, values, found.primal);
  mix.value = mean_of(values, mix.returns);
  mix.gap = std::max(0.0, found.dual_value - mix.value);
  return mix;
}

base::Result<std::vector<double>> best_returns(const Choices& choices, const RewardPosterior& values) {
  PL_CHECK(check("best_returns", choices, values, {}));
  LinearProgram program = blank(choices);
  std::vector<double> best;
  for (std::size_t k = 0; k < size(values); ++k) {
    const std::vector<double> cost = costs_of(choices, program.variables(), reward_of(values, k));
    for (std::size_t j = 0; j < cost.size(); ++j) program.set_cost(j, cost[j]);
    PL_TRY(const LinearSolution found, solve_for(program, choices.basis));
    best.push_back(found.value);
  }
  return best;
}

base::Result<Mix> best_worst_case(const Choices& choices, const RewardPosterior& values,
                                  std::span<const double> offset) {
  PL_CHECK(check("best_worst_case", choices, values, offset));
  PL_TRY(Mix mix, best_mean(choices, values));
  LinearProgram program = blank(choices);
  const std::size_t v = program.add_variable(1, -kInfinity);
  const std::vector<double> mean = costs_of(choices, program.variables(), decision::mean_reward(values));
  std::vector<bool> inside(size(values), false);
  LinearSolution found;
  std::size_t worst = least(values, mix.returns, offset).second;
  for (int round = 1;; ++round) {
    inside[worst] = true;
    std::vector<LinearTerm> row = {{v, 1}};
    const std::span<const double> reward = reward_of(values, worst);
    for (std::size_t i = 0; i < reward.size(); ++i) {
      if (choices.things[i] != Choices::kNone && reward[i] != 0) row.push_back({choices.things[i], -reward[i]});
    }
    program.add_at_most(row, -offset_of(offset, worst));
    if (round == 1) {
      std::vector<std::size_t> basic = choices.basis;
      if (!basic.empty()) basic.push_back(v);
      PL_TRY(found, solve_for(program, basic));
    } else {
      PL_TRY(found, solve_on(program, found.basis, true));
    }
    PL_TRY(LinearSolution among, world::solve_among_optima(program, found, mean));
    mix = mix_at(choices, values, among.status == world::LinearStatus::kOptimal ? among.primal : found.primal);
    const auto [value, k] = least(values, mix.returns, offset);
    mix.value = value;
    mix.gap = std::max(0.0, found.dual_value - value);
    mix.rounds = round;
    // A reward already inside can be violated by rounding alone.
    if (inside[k] || mix.gap <= 1e-11 * scale_of(mix.returns, offset)) return mix;
    worst = k;
  }
}

base::Result<Mix> best_tail(const Choices& choices, const RewardPosterior& values, double alpha, double weight,
                            std::span<const double> offset) {
  PL_CHECK(check("best_tail", choices, values, offset));
  PL_CHECK(base::check_positive("best_tail", "alpha", alpha));
  PL_CHECK(base::check_in("best_tail", "alpha", alpha, 0, 1));
  PL_CHECK(base::check_in("best_tail", "weight", weight, 0, 1));
  // A share below the least probability is the worst case alone; taken larger, the program stays well scaled.
  double least_share = 1;
  for (const double p : values.probability) least_share = p > 0 ? std::min(least_share, p) : least_share;
  alpha = std::max(alpha, least_share);
  // max weight * sum p_k g_k + (1 - weight) (t - sum p_k z_k / alpha), z_k >= t - g_k, z_k >= 0, g_k = u_k - offset_k.
  LinearProgram program = blank(choices);
  std::vector<std::size_t> basic = choices.basis;
  const std::size_t t = program.add_variable(1 - weight, -kInfinity);
  std::vector<std::size_t> of_reward(size(values), Choices::kNone);
  double constant = 0;
  for (std::size_t k = 0; k < size(values); ++k) {
    const double p = probability(values, k);
    if (p == 0) continue;
    const std::size_t u = add_return(program, choices, reward_of(values, k));
    program.set_cost(u, weight * p);
    const std::size_t z = program.add_variable(-(1 - weight) * p / alpha);
    const std::vector<LinearTerm> row = {{z, 1}, {t, -1}, {u, 1}};
    program.add_at_least(row, offset_of(offset, k));
    if (!choices.basis.empty()) basic.push_back(u);
    of_reward[k] = u;
    constant -= weight * p * offset_of(offset, k);
  }
  PL_TRY(LinearSolution found, solve_for(program, basic));
  const double bound = found.dual_value + constant;
  if (weight < 1) {
    std::vector<double> mean(program.variables(), 0.0);
    for (std::size_t k = 0; k < size(values); ++k) {
      if (of_reward[k] != Choices::kNone) mean[of_reward[k]] = probability(values, k);
    }
    PL_TRY(LinearSolution among, world::solve_among_optima(program, found, mean));
    if (among.status == world::LinearStatus::kOptimal) found = std::move(among);
  }
  Mix mix = mix_at(choices, values, found.primal);
  std::vector<double> gain = mix.returns;
  for (std::size_t k = 0; k < gain.size(); ++k) gain[k] -= offset_of(offset, k);
  mix.value = weight * mean_of(values, gain);
  if (weight < 1) mix.value += (1 - weight) * lower_tail_mean(gain, values.probability, alpha);
  mix.gap = std::max(0.0, bound - mix.value);
  return mix;
}

base::Result<Bargain> bargain(const Choices& choices, const RewardPosterior& values,
                              std::span<const double> disagreement) {
  PL_CHECK(check("bargain", choices, values, disagreement));
  PL_CHECK(base::check_size("bargain", "disagreement", std::ssize(disagreement), values.rewards.rows()));
  const std::size_t count = size(values);
  Bargain found;
  found.gain.assign(count, 0.0);
  // Gains over the disagreement in units of each reward's own size, so that the program is free of units.
  LinearProgram program = blank(choices);
  std::vector<std::size_t> basic = choices.basis;
  std::vector<std::size_t> gain(count, Choices::kNone);
  std::vector<double> unit(count, 1.0);
  for (std::size_t k = 0; k < count; ++k) {
    if (probability(values, k) == 0) continue;
    const std::span<const double> reward = reward_of(values, k);
    unit[k] = std::abs(disagreement[k]);
    for (const double r : reward) unit[k] = std::max(unit[k], std::abs(r));
    if (unit[k] == 0) unit[k] = 1;
    gain[k] = program.add_variable(0, -1e-11);
    std::vector<LinearTerm> row = {{gain[k], 1}};
    for (std::size_t i = 0; i < reward.size(); ++i) {
      if (choices.things[i] != Choices::kNone && reward[i] != 0)
        row.push_back({choices.things[i], -reward[i] / unit[k]});
    }
    program.add_equal(row, -disagreement[k] / unit[k]);
    if (!basic.empty()) basic.push_back(gain[k]);
  }
  // The most that each can gain while nobody loses. Mixing these points in proportion to the weights gives everybody
  // that share of its most; by the optimality conditions nobody gets less at the optimum.
  std::vector<double> most(count, 0.0);
  double stakes = 0;
  LinearSolution now;
  for (std::size_t k = 0; k < count; ++k) {
    if (gain[k] == Choices::kNone) continue;
    program.set_cost(gain[k], 1);
    if (now.primal.empty()) {
      PL_TRY(now, solve_for(program, basic));
    } else {
      PL_TRY(now, solve_on(program, now.basis, false));
    }
    program.set_cost(gain[k], 0);
    if (now.value <= 1e-9) continue;
    most[k] = now.value;
    stakes += probability(values, k);
  }
  if (stakes == 0) return found;
  std::vector<std::size_t> logarithm(count, Choices::kNone);
  std::vector<double> weight(count, 0.0);
  for (std::size_t k = 0; k < count; ++k) {
    if (most[k] == 0) continue;
    weight[k] = probability(values, k) / stakes;
    program.set_variable_bounds(gain[k], weight[k] * most[k] * (1 - 1e-9), LinearProgram::kInfinity);
    logarithm[k] = program.add_variable(weight[k], -kInfinity, 0);
  }
  const auto add_tangent = [&](std::size_t k, double share) {
    program.add_at_most(std::vector<LinearTerm>{{logarithm[k], 1}, {gain[k], -1 / (share * most[k])}},
                        std::log(share) - 1);
  };
  for (std::size_t k = 0; k < count; ++k) {
    if (most[k] > 0) add_tangent(k, 1);
  }
  double lower = -kInfinity;
  double upper = 0;
  std::vector<double> best;
  int rounds = 0;
  while (rounds < 200 && upper - lower > 1e-9) {
    ++rounds;
    PL_TRY(now, solve_on(program, now.basis, rounds > 1));
    if (best.empty() || now.dual_value < upper) upper = now.dual_value;
    double here = 0;
    double behind = 0;  // how far the tangents are above the logarithms here
    for (std::size_t k = 0; k < count; ++k) {
      if (most[k] == 0) continue;
      const double share = now.primal[gain[k]] / most[k];
      here += weight[k] * std::log(share);
      const double above = now.primal[logarithm[k]] - std::log(share);
      behind = std::max(behind, above);
      if (above > 1e-11) add_tangent(k, share);
    }
    if (here > lower) {
      lower = here;
      best = now.primal;
    }
    if (behind <= 1e-10) break;
  }
  found.agreed = true;
  found.mix = mix_at(choices, values, best);
  found.mix.rounds = rounds;
  found.mix.value = std::exp(lower);
  found.mix.gap = std::max(0.0, upper - lower);
  for (std::size_t k = 0; k < count; ++k) {
    if (most[k] > 0) found.gain[k] = (found.mix.returns[k] - disagreement[k]) / (unit[k] * most[k]);
  }
  return found;
}

}  // namespace plumbline::caution

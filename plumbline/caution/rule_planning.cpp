#include "plumbline/caution/rule_planning.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/caution/mixed_choice.hpp"
#include "plumbline/world/occupancy.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using decision::RewardPosterior;
using world::LinearProgram;
using world::LinearTerm;
using world::OccupancyPolytope;
using world::Plan;
using world::Process;
using world::TabularPolicy;

std::span<const double> reward_of(const RewardPosterior& values, std::size_t k) {
  const auto m = static_cast<std::size_t>(values.rewards.cols());
  return std::span<const double>(values.rewards.data() + k * m, m);
}

base::Result<Plan> best_policy(const Process& process, std::span<const double> reward, const RulePlanOptions& options) {
  if (options.horizon) return world::finite_horizon(process, reward, options.discount);
  return world::value_iteration(process, reward, options.discount);
}

/// Process, polytope and starting points that all rules share.
struct Ground {
  const Process& process;
  const RewardPosterior& values;
  const RulePlanOptions& options;
  OccupancyPolytope polytope;
  Plan mean_plan;
  Choices choices;

  base::Result<std::vector<double>> point_of(const TabularPolicy& policy) const {
    return polytope.point(process, policy);
  }
  std::vector<double> returns_at(std::span<const double> variables) const {
    return returns_of(values, polytope.visits(variables));
  }
  double mean_at(std::span<const double> variables) const {
    const std::vector<double> returns = returns_at(variables);
    double sum = 0;
    for (std::size_t k = 0; k < returns.size(); ++k) sum += values.probability[k] * returns[k];
    return sum;
  }
  RulePlan plan_at(std::span<const double> variables) const {
    RulePlan plan;
    plan.policy = polytope.policy(variables, mean_plan.policy);
    plan.visits = polytope.visits(variables);
    plan.returns = returns_of(values, plan.visits);
    return plan;
  }
  RulePlan plan_of(const Mix& mix) const {
    RulePlan plan = plan_at(mix.variables);
    plan.value = mix.value;
    plan.gap = mix.gap;
    plan.rounds = mix.rounds;
    return plan;
  }
};

base::Result<Ground> make_ground(const Process& process, const RewardPosterior& values,
                                 const RulePlanOptions& options) {
  PL_CHECK(decision::validate(values));
  PL_CHECK(
      base::check_size("plan_by_rule", "rewards", values.rewards.cols(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_TRY(OccupancyPolytope polytope, options.horizon ? OccupancyPolytope::finite_horizon(process, options.discount)
                                                     : OccupancyPolytope::discounted(process, options.discount));
  if (options.base) {
    PL_CHECK(world::validate_policy(process, *options.base));
    if (!options.horizon && options.base->steps != 1) {
      return base::make_error(
          base::Code::kShape,
          fmt::format("a base policy of {} steps where a stationary one is needed", options.base->steps),
          "plan_by_rule");
    }
  }
  PL_TRY(Plan plan, best_policy(process, decision::mean_reward(values), options));
  Choices choices;
  choices.set = polytope.flow();
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) choices.things.push_back(polytope.visit(pair));
  choices.basis = polytope.basis(plan.policy);
  return Ground{process, values, options, std::move(polytope), std::move(plan), std::move(choices)};
}

base::Error needs_base(const RuleSpec& rule) {
  return base::make_error(base::Code::kUnsupported, "the rule needs a base policy", rule_name(rule));
}

base::Result<RulePlan> regret_plan(const Ground& g) {
  std::vector<double> best;
  for (std::size_t k = 0; k < static_cast<std::size_t>(g.values.size()); ++k) {
    PL_TRY(const Plan plan, best_policy(g.process, reward_of(g.values, k), g.options));
    best.push_back(plan.start);
  }
  PL_TRY(const Mix mix, best_worst_case(g.choices, g.values, best));
  return g.plan_of(mix);
}

base::Result<RulePlan> quantile_plan(const Ground& g, const RuleSpec& rule) {
  if (!g.options.base) return needs_base(rule);
  const double share = rule.parameters[0];
  PL_TRY(const std::vector<double> base, g.point_of(*g.options.base));
  Choices choices = g.choices;
  // Flows alone are bounded; the visits of a finite horizon are sums of them.
  std::vector<bool> is_visit(choices.set.variables(), false);
  if (g.options.horizon) {
    for (const std::size_t visit : choices.things) {
      if (visit != Choices::kNone) is_visit[visit] = true;
    }
  }
  for (std::size_t j = 0; j < base.size(); ++j) {
    if (!is_visit[j]) choices.set.set_variable_bounds(j, 0, base[j] / share);
  }
  PL_TRY(const Mix mix, best_mean(choices, g.values));
  RulePlan plan = g.plan_of(mix);
  plan.cost_factor = 1 / share;
  // Where the plan never comes, it does as the base does.
  plan.policy = g.polytope.policy(mix.variables, *g.options.base);
  return plan;
}

base::Result<RulePlan> satisfice_plan(const Ground& g, const RuleSpec& rule) {
  const double enough = rule.parameters[0];
  PL_TRY(const std::vector<double> best, g.point_of(g.mean_plan.policy));
  PL_TRY(std::vector<double> mixed, g.point_of(g.options.base.value_or(world::uniform_policy(g.process))));
  const double low = g.mean_at(mixed);
  const double high = g.mean_at(best);
  const double weight = low >= enough ? 0 : high <= enough ? 1 : (enough - low) / (high - low);
  for (std::size_t j = 0; j < mixed.size(); ++j) mixed[j] += weight * (best[j] - mixed[j]);
  RulePlan plan = g.plan_at(mixed);
  plan.value = g.mean_at(mixed);
  return plan;
}

base::Result<RulePlan> vote_plan(const Ground& g) {
  if (!g.options.horizon) {
    return base::make_error(base::Code::kUnsupported, "deviations of returns are taken over a horizon", "vote");
  }
  const TabularPolicy base = g.options.base.value_or(world::uniform_policy(g.process));
  std::vector<double> reward(g.process.pairs(), 0.0);
  for (std::size_t k = 0; k < static_cast<std::size_t>(g.values.size()); ++k) {
    PL_TRY(const double deviation, return_deviation(g.process, reward_of(g.values, k), base, g.options.discount));
    double largest = 0;
    for (const double r : reward_of(g.values, k)) largest = std::max(largest, std::abs(r));
    if (deviation <= 1e-9 * largest) continue;  // all episodes alike: no voice
    for (std::size_t i = 0; i < reward.size(); ++i)
      reward[i] += g.values.probability[k] * reward_of(g.values, k)[i] / deviation;
  }
  PL_TRY(const Plan best, world::finite_horizon(g.process, reward, g.options.discount));
  PL_TRY(const std::vector<double> point, g.point_of(best.policy));
  RulePlan plan = g.plan_at(point);
  plan.policy = best.policy;
  plan.value = best.start;
  return plan;
}

base::Result<RulePlan> bargain_plan(const Ground& g) {
  const TabularPolicy base = g.options.base.value_or(world::uniform_policy(g.process));
  PL_TRY(const std::vector<double> point, g.point_of(base));
  PL_TRY(const Bargain found, bargain(g.choices, g.values, g.returns_at(point)));
  if (found.agreed) return g.plan_of(found.mix);
  RulePlan plan = g.plan_at(point);
  plan.agreed = false;
  return plan;
}

base::Status check_fits(const Process& process, MatrixRefD features) {
  PL_CHECK(
      base::check_size("boundary_share", "features", features.rows(), static_cast<std::ptrdiff_t>(process.pairs())));
  for (std::ptrdiff_t i = 0; i < features.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < features.cols(); ++j)
      PL_CHECK(base::check_finite("boundary_share", "features", features(i, j)));
  }
  return base::ok();
}

double next_mean(const Process& process, std::size_t pair, const std::vector<double>& value) {
  double sum = 0;
  for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
    sum += process.probability[i] * value[process.next[i]];
  return sum;
}

}  // namespace

base::Result<RulePlan> plan_by_rule(const Process& process, const RewardPosterior& values, const RuleSpec& rule,
                                    const RulePlanOptions& options) {
  if (rule.rule == Rule::kAsk) {
    return base::make_error(base::Code::kUnsupported, "asking is decided state by state", rule_name(rule),
                            "use the rule over the options of each state");
  }
  PL_TRY(const Ground g, make_ground(process, values, options));
  const std::vector<double>& p = rule.parameters;
  switch (rule.rule) {
    case Rule::kExpected: {
      PL_TRY(const Mix mix, best_mean(g.choices, values));
      return g.plan_of(mix);
    }
    case Rule::kMaximin: {
      PL_TRY(const Mix mix, best_worst_case(g.choices, values));
      return g.plan_of(mix);
    }
    case Rule::kRegret: return regret_plan(g);
    case Rule::kCvar: {
      PL_TRY(const Mix mix, best_tail(g.choices, values, p[0]));
      return g.plan_of(mix);
    }
    case Rule::kBroil: {
      PL_TRY(const Mix mix, best_tail(g.choices, values, p[1], p[0]));
      return g.plan_of(mix);
    }
    case Rule::kBaseline: {
      if (!options.base) return needs_base(rule);
      PL_TRY(const std::vector<double> point, g.point_of(*options.base));
      const std::vector<double> offset = g.returns_at(point);
      PL_TRY(const Mix mix,
             p[0] == 0 ? best_worst_case(g.choices, values, offset) : best_tail(g.choices, values, p[0], 0, offset));
      return g.plan_of(mix);
    }
    case Rule::kQuantilize: return quantile_plan(g, rule);
    case Rule::kSatisfice: return satisfice_plan(g, rule);
    case Rule::kVote: return vote_plan(g);
    case Rule::kBargain: return bargain_plan(g);
    case Rule::kAsk: break;
  }
  throw base::InternalError("plan_by_rule: no such rule");
}

base::Result<std::vector<FrontierPoint>> caution_frontier(const Process& process, const RewardPosterior& values,
                                                          double alpha, std::span<const double> weights,
                                                          const RulePlanOptions& options) {
  PL_TRY(const Ground g, make_ground(process, values, options));
  std::vector<FrontierPoint> points;
  for (const double weight : weights) {
    PL_TRY(const Mix mix, best_tail(g.choices, values, alpha, weight));
    FrontierPoint point{weight, 0, lower_tail_mean(mix.returns, values.probability, alpha)};
    for (std::size_t k = 0; k < mix.returns.size(); ++k) point.mean += values.probability[k] * mix.returns[k];
    points.push_back(point);
  }
  return points;
}

base::Result<BoundaryShare> boundary_share(const Process& process, const TabularPolicy& policy, MatrixRefD features,
                                           double discount) {
  PL_CHECK(check_fits(process, features));
  PL_TRY(const OccupancyPolytope polytope, OccupancyPolytope::finite_horizon(process, discount));
  PL_TRY(const std::vector<double> point, polytope.point(process, policy));
  PL_TRY(const std::vector<double> visits, world::occupancy(process, policy, discount));
  BoundaryShare share;
  double weight = 0;
  double unused = 0;
  for (std::size_t n = 0; n < polytope.nodes(); ++n) {
    double flow = 0;
    double never = 0;
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      flow += point[n * process.actions + a];
      never += point[n * process.actions + a] <= 0 ? 1 : 0;
    }
    if (flow <= 0) continue;
    weight += flow;
    if (process.actions > 1) unused += flow * never / (process.actions - 1.0);
  }
  share.actions = weight > 0 ? unused / weight : 0;
  double at_edge = 0;
  std::vector<double> reward(process.pairs());
  for (std::ptrdiff_t j = 0; j < features.cols(); ++j) {
    double here = 0;
    for (std::size_t pair = 0; pair < reward.size(); ++pair) {
      reward[pair] = features(static_cast<std::ptrdiff_t>(pair), j);
      here += visits[pair] * reward[pair];
    }
    PL_TRY(const Plan most, world::finite_horizon(process, reward, discount));
    for (double& r : reward) r = -r;
    PL_TRY(const Plan least, world::finite_horizon(process, reward, discount));
    const double range = most.start + least.start;
    const double scale = std::max({1e-300, std::abs(most.start), std::abs(least.start)});
    if (range <= 1e-12 * scale) {
      share.position.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    share.position.push_back(std::clamp((here + least.start) / range, 0.0, 1.0));
    at_edge += share.position.back() <= 0.01 || share.position.back() >= 0.99 ? 1 : 0;
  }
  const auto ranged =
      std::count_if(share.position.begin(), share.position.end(), [](double x) { return !std::isnan(x); });
  share.features = ranged > 0 ? at_edge / static_cast<double>(ranged) : 0;
  return share;
}

base::Result<double> return_deviation(const Process& process, std::span<const double> reward,
                                      const TabularPolicy& policy, double discount) {
  PL_TRY(const double mean, world::policy_return(process, reward, policy, discount));
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> second(process.states + 1, 0.0);
  std::vector<double> value_before = value;
  std::vector<double> second_before = value;
  for (int t = process.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::span<const double> row = policy.at(t, s);
      double v = 0;
      double m = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (row[a] == 0) continue;
        const std::size_t pair = process.pair(s, a);
        const double r = reward[pair];
        const double next = discount * next_mean(process, pair, value);
        v += row[a] * (r + next);
        m += row[a] * (r * r + 2 * r * next + discount * discount * next_mean(process, pair, second));
      }
      value_before[s] = v;
      second_before[s] = m;
    }
    std::swap(value, value_before);
    std::swap(second, second_before);
  }
  double square = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) square += process.initial[s] * second[s];
  return std::sqrt(std::max(0.0, square - mean * mean));
}

}  // namespace plumbline::caution

#include "plumbline/caution/reversibility.hpp"

#include <algorithm>
#include <map>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::caution {
namespace {

using world::Process;

constexpr std::uint32_t kMostStates = 1U << 14U;

double expected(const Process& process, std::size_t pair, const std::vector<double>& value) {
  double sum = 0;
  for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
    sum += process.probability[i] * value[process.next[i]];
  return sum;
}

/// Optimal values of each plausible reward from a time on, backwards.
class Beliefs {
 public:
  Beliefs(const Process& process, const decision::RewardPosterior& values, const Reversal& back)
      : process_(process),
        values_(values),
        back_(back),
        count_(static_cast<std::size_t>(values.size())),
        value_(count_, std::vector<double>(process.states + 1, 0.0)),
        earlier_(value_),
        q_(count_ * process.actions),
        mean_(process.actions) {}

  /// Looks at a state one step before the present time; all states, then step_back().
  void look(std::uint32_t s) {
    std::fill(mean_.begin(), mean_.end(), 0.0);
    for (std::size_t k = 0; k < count_; ++k) {
      double best = 0;
      for (std::uint32_t a = 0; a < process_.actions; ++a) {
        const std::size_t pair = process_.pair(s, a);
        const double v = values_.rewards(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(pair)) +
                         expected(process_, pair, value_[k]);
        q_[k * process_.actions + a] = v;
        best = a == 0 ? v : std::max(best, v);
        mean_[a] += values_.probability[k] * v;
      }
      earlier_[k][s] = best;
    }
    safe_ = 0;
    for (std::uint32_t a = 1; a < process_.actions; ++a) {
      const double more = back_.probability[process_.pair(s, a)] - back_.probability[process_.pair(s, safe_)];
      if (more > 1e-12 || (more >= -1e-12 && mean_[a] > mean_[safe_])) safe_ = a;
    }
  }
  void step_back() { std::swap(value_, earlier_); }

  /// Of the state last looked at: the most reversible action, mean values, and how sure one is of an action.
  std::uint32_t safe() const { return safe_; }
  double mean(std::uint32_t a) const { return mean_[a]; }
  double confidence(std::uint32_t a) const {
    double sum = 0;
    for (std::size_t k = 0; k < count_; ++k) {
      if (q_[k * process_.actions + a] >= q_[k * process_.actions + safe_]) sum += values_.probability[k];
    }
    return std::min(1.0, sum);
  }

 private:
  const Process& process_;
  const decision::RewardPosterior& values_;
  const Reversal& back_;
  std::size_t count_;
  std::vector<std::vector<double>> value_;
  std::vector<std::vector<double>> earlier_;
  std::vector<double> q_;
  std::vector<double> mean_;
  std::uint32_t safe_ = 0;
};

base::Status check_gated(const Process& process, const decision::RewardPosterior& values, const Reversal& back,
                         const GateOptions& options) {
  PL_CHECK(decision::validate(values));
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("plan_gated", "horizon", process.horizon, 1));
  PL_CHECK(
      base::check_size("plan_gated", "rewards", values.rewards.cols(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_CHECK(base::check_size("plan_gated", "reversal", std::ssize(back.probability),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  if (const auto gate = gate_step(0, 0, options); !gate.ok()) return gate.error();
  return base::ok();
}

}  // namespace

base::Result<Reversal> reversals(const Process& process, int within) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("reversals", "within", within, 0));
  if (process.states > kMostStates) {
    return base::make_error(base::Code::kLimit, "more than 16384 states", "reversals",
                            "ask about single steps in a smaller world");
  }
  Reversal back;
  back.probability.assign(process.pairs(), 0.0);
  back.steps.assign(process.pairs(), -1);
  // Who leads where, for searching backwards from each target.
  std::vector<std::vector<std::uint32_t>> before(process.states);
  for (std::uint32_t s = 0; s < process.states; ++s) {
    for (std::uint64_t i = process.first[process.pair(s, 0)]; i < process.first[process.pair(s, 0) + process.actions];
         ++i) {
      if (process.next[i] != process.end() && process.probability[i] > 0) before[process.next[i]].push_back(s);
    }
  }
  for (auto& list : before) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  std::vector<double> value(process.states + 1);
  std::vector<double> next(process.states + 1);
  std::vector<std::int32_t> distance(process.states + 1);
  std::vector<std::uint32_t> reached;
  for (std::uint32_t target = 0; target < process.states; ++target) {
    // The fewest steps, breadth first against the arrows; only states found there can have a chance above zero.
    std::fill(distance.begin(), distance.end(), -1);
    reached.assign(1, target);
    distance[target] = 0;
    for (std::size_t i = 0; i < reached.size() && distance[reached[i]] < within; ++i) {
      for (const std::uint32_t s : before[reached[i]]) {
        if (distance[s] >= 0) continue;
        distance[s] = distance[reached[i]] + 1;
        reached.push_back(s);
      }
    }
    std::fill(value.begin(), value.end(), 0.0);
    value[target] = 1;
    next = value;
    for (int n = 0; n < within; ++n) {
      double change = 0;
      for (std::size_t i = 1; i < reached.size(); ++i) {
        const std::uint32_t s = reached[i];
        double best = 0;
        for (std::uint32_t a = 0; a < process.actions; ++a)
          best = std::max(best, expected(process, process.pair(s, a), value));
        change = std::max(change, best - value[s]);
        next[s] = best;
      }
      std::swap(value, next);
      if (change == 0) break;
    }
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::size_t pair = process.pair(target, a);
      back.probability[pair] = std::min(1.0, expected(process, pair, value));
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
        if (process.next[i] == process.end() || process.probability[i] == 0 || distance[process.next[i]] < 0) continue;
        const std::int32_t steps = distance[process.next[i]];
        back.steps[pair] = back.steps[pair] < 0 ? steps : std::min(back.steps[pair], steps);
      }
    }
  }
  return back;
}

base::Result<std::vector<ReversalEstimate>> estimate_reversals(std::span<const SeenStep> steps, int window,
                                                               double level) {
  PL_CHECK(base::check_at_least("estimate_reversals", "window", window, 1));
  PL_CHECK(base::check_in_open("estimate_reversals", "level", level, 0, 1));
  std::map<std::pair<std::uint32_t, std::uint32_t>, ReversalEstimate> found;
  std::map<std::uint32_t, bool> over;  // episodes that have begun, and whether another has begun since
  std::size_t begin = 0;
  while (begin < steps.size()) {
    const std::uint32_t episode = steps[begin].episode;
    if (over.contains(episode)) {
      return base::make_error(base::Code::kValue, "episode " + std::to_string(episode) + " returns after another began",
                              "estimate_reversals");
    }
    over[episode] = true;
    std::size_t end = begin;
    while (end < steps.size() && steps[end].episode == episode) ++end;
    std::map<std::pair<std::uint32_t, std::uint32_t>, bool> seen;
    for (std::size_t i = begin; i < end; ++i) {
      const auto pair = std::pair(steps[i].state, steps[i].action);
      if (!seen.emplace(pair, true).second) continue;
      bool undone = false;
      for (std::size_t j = i + 1; j < end && j <= i + static_cast<std::size_t>(window) && !undone; ++j) {
        undone = steps[j].state == steps[i].state;
      }
      ReversalEstimate& estimate = found[pair];
      estimate.state = pair.first;
      estimate.action = pair.second;
      ++estimate.taken;
      estimate.undone += undone ? 1 : 0;
    }
    begin = end;
  }
  std::vector<ReversalEstimate> estimates;
  for (auto& [pair, estimate] : found) {
    estimate.low =
        stats::clopper_pearson_low(static_cast<double>(estimate.undone), static_cast<double>(estimate.taken), level);
    estimate.high =
        stats::clopper_pearson_high(static_cast<double>(estimate.undone), static_cast<double>(estimate.taken), level);
    estimates.push_back(estimate);
  }
  return estimates;
}

base::Result<Gate> gate_step(double reversal, double confidence, const GateOptions& options) {
  PL_CHECK(base::check_in("gate_step", "reversal", reversal, 0, 1));
  PL_CHECK(base::check_in("gate_step", "confidence", confidence, 0, 1));
  PL_CHECK(base::check_in("gate_step", "one_way", options.one_way, 0, 1));
  PL_CHECK(base::check_in("gate_step", "reversible", options.reversible, 0, options.one_way));
  Gate gate;
  gate.required = options.one_way + reversal * (options.reversible - options.one_way);
  // Sums of probabilities may fall short of 1 by rounding.
  gate.open = confidence >= gate.required - 1e-12;
  return gate;
}

base::Result<GatedPlan> plan_gated(const Process& process, const decision::RewardPosterior& values,
                                   const Reversal& back, const GateOptions& options) {
  PL_CHECK(check_gated(process, values, back, options));
  Beliefs beliefs(process, values, back);
  GatedPlan plan;
  plan.policy = {process.states, process.actions, process.horizon,
                 std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon), 0.0)};
  std::vector<bool> refused(process.pairs(), false);
  for (int t = process.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      beliefs.look(s);
      std::uint32_t wanted = 0;
      for (std::uint32_t a = 1; a < process.actions; ++a) {
        if (beliefs.mean(a) > beliefs.mean(wanted)) wanted = a;
      }
      std::uint32_t chosen = beliefs.safe();
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        PL_TRY(const Gate gate, gate_step(back.probability[process.pair(s, a)], beliefs.confidence(a), options));
        if (gate.open && beliefs.mean(a) > beliefs.mean(chosen)) chosen = a;
      }
      if (chosen != wanted && beliefs.mean(wanted) > beliefs.mean(chosen)) {
        refused[process.pair(s, wanted)] = true;
        plan.most_refused = std::max(plan.most_refused, beliefs.mean(wanted) - beliefs.mean(chosen));
      }
      plan.policy.probability[static_cast<std::size_t>(t) * process.pairs() + process.pair(s, chosen)] = 1;
    }
    beliefs.step_back();
  }
  for (std::size_t pair = 0; pair < refused.size(); ++pair) {
    if (refused[pair]) plan.closed.push_back(pair);
  }
  return plan;
}

base::Result<OneWayCount> one_way_steps(const Process& process, const decision::RewardPosterior& values,
                                        const Reversal& back, const world::TabularPolicy& policy, double sure,
                                        const GateOptions& options) {
  PL_CHECK(check_gated(process, values, back, options));
  PL_CHECK(world::validate_policy(process, policy));
  PL_CHECK(base::check_positive("one_way_steps", "sure", sure));
  PL_CHECK(base::check_in("one_way_steps", "sure", sure, 0, 1));
  // Where the policy is at each time.
  const auto horizon = static_cast<std::size_t>(process.horizon);
  std::vector<std::vector<double>> at(horizon, std::vector<double>(process.states + 1, 0.0));
  std::copy(process.initial.begin(), process.initial.end(), at[0].begin());
  for (std::size_t t = 0; t + 1 < horizon; ++t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (at[t][s] == 0) continue;
      const std::span<const double> choice = policy.at(static_cast<int>(t), s);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        for (std::uint64_t i = process.first[pair]; choice[a] > 0 && i < process.first[pair + 1]; ++i)
          at[t + 1][process.next[i]] += at[t][s] * choice[a] * process.probability[i];
      }
    }
  }
  Beliefs beliefs(process, values, back);
  OneWayCount count;
  for (int t = process.horizon - 1; t >= 0; --t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      beliefs.look(s);
      const double here = at[static_cast<std::size_t>(t)][s];
      const std::span<const double> choice = policy.at(t, s);
      for (std::uint32_t a = 0; here > 0 && a < process.actions; ++a) {
        const double reversal = back.probability[process.pair(s, a)];
        if (choice[a] == 0 || reversal >= sure) continue;
        OneWayStep step{t, s, a, here * choice[a], reversal, beliefs.confidence(a), 0, false};
        PL_TRY(const Gate gate, gate_step(reversal, step.confidence, options));
        step.required = gate.required;
        step.open = gate.open;
        count.one_way += step.visits;
        if (!gate.open) count.unsure += step.visits;
        count.steps.push_back(step);
      }
    }
    beliefs.step_back();
  }
  std::stable_sort(count.steps.begin(), count.steps.end(), [](const OneWayStep& a, const OneWayStep& b) {
    return a.open != b.open ? !a.open : a.visits > b.visits;
  });
  return count;
}

}  // namespace plumbline::caution

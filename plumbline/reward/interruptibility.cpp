#include "plumbline/reward/interruptibility.hpp"

#include <algorithm>
#include <cmath>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

using world::Process;

base::Status check_input(const Process& process, std::span<const double> reward, const Interruption& interruption,
                         const InterruptedOptions& o) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(base::check_size("learn_interrupted", "where", static_cast<std::ptrdiff_t>(interruption.where.size()),
                            process.states));
  PL_CHECK(
      base::check_in("learn_interrupted", "action", interruption.action, 0, static_cast<double>(process.actions) - 1));
  PL_CHECK(base::check_in("learn_interrupted", "probability", interruption.probability, 0, 1));
  PL_CHECK(base::check_in_open("learn_interrupted", "discount", o.discount, 0, 1));
  PL_CHECK(base::check_in("learn_interrupted", "exploration", o.exploration, 0, 1));
  PL_CHECK(base::check_in("learn_interrupted", "rate_power", o.rate_power, 0.5, 1));
  PL_CHECK(base::check_at_least("learn_interrupted", "steps", o.steps, 1));
  return base::check_at_least("learn_interrupted", "episode", o.episode, 1);
}

std::uint32_t best_action(const Process& process, const std::vector<double>& q, std::uint32_t state) {
  std::uint32_t best = 0;
  for (std::uint32_t a = 1; a < process.actions; ++a) {
    if (q[process.pair(state, a)] > q[process.pair(state, best)]) best = a;
  }
  return best;
}

std::uint32_t draw(std::span<const double> probability, double u) {
  for (std::uint32_t i = 0; i + 1 < probability.size(); ++i) {
    u -= probability[i];
    if (u < 0) return i;
  }
  return static_cast<std::uint32_t>(probability.size() - 1);
}

base::Result<InterruptedResult> judge(const Process& process, std::span<const double> reward, double discount,
                                      std::vector<double> q) {
  InterruptedResult result;
  for (std::uint32_t s = 0; s < process.states; ++s)
    result.greedy.push_back(static_cast<std::int32_t>(best_action(process, q, s)));
  result.q = std::move(q);
  PL_TRY(const world::Plan plan, world::value_iteration(process, reward, discount));
  result.optimum = plan.start;
  std::vector<double> value(process.states + 1, 0.0);
  for (double change = 1; change > 1e-13 * std::max(1.0, std::abs(result.optimum));) {
    change = 0;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::size_t pair = process.pair(s, static_cast<std::uint32_t>(result.greedy[s]));
      double v = reward[pair];
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
        v += discount * process.probability[i] * value[process.next[i]];
      change = std::max(change, std::abs(v - value[s]));
      value[s] = v;
    }
  }
  for (std::uint32_t s = 0; s < process.states; ++s) result.value += process.initial[s] * value[s];
  result.optimal = result.value >= result.optimum - 1e-6 * std::max(1.0, std::abs(result.optimum));
  return result;
}

}  // namespace

base::Result<InterruptedFork> interrupted_fork() {
  world::ProcessBuilder builder(4, 2, 50);
  builder.add(0, 0, 1, 1);
  builder.add(0, 1, 2, 1);
  builder.add(1, 0, 4, 1);
  builder.add(1, 1, 0, 1);
  builder.add(2, 0, 3, 1);
  builder.add(2, 1, 0, 1);
  builder.add(3, 0, 4, 1);
  builder.add(3, 1, 0, 1);
  builder.start(0, 1);
  InterruptedFork fork;
  PL_TRY(fork.process, std::move(builder).finish());
  fork.reward = {-1, -1, 10, -1, -1, -1, 10, -1};
  return fork;
}

std::string_view interrupted_learner_name(InterruptedLearner learner) {
  switch (learner) {
    case InterruptedLearner::kQ: return "Q-learning";
    case InterruptedLearner::kStoredSarsa: return "SARSA, intended action stored";
    case InterruptedLearner::kNaiveSarsa: break;
  }
  return "SARSA";
}

base::Result<InterruptedResult> learn_interrupted(const Process& process, std::span<const double> reward,
                                                  const Interruption& interruption, InterruptedLearner learner,
                                                  const InterruptedOptions& o, base::Rng& rng) {
  PL_CHECK(check_input(process, reward, interruption, o));
  std::vector<double> q(process.pairs(), 0.0);
  std::vector<double> visits(process.pairs(), 0.0);
  struct Act {
    std::uint32_t intended;
    std::uint32_t taken;
  };
  const auto choose = [&](std::uint32_t s) {
    Act act{};
    act.intended = rng.uniform() < o.exploration ? static_cast<std::uint32_t>(rng.below(process.actions))
                                                 : best_action(process, q, s);
    act.taken =
        interruption.where[s] != 0 && rng.uniform() < interruption.probability ? interruption.action : act.intended;
    return act;
  };
  std::uint32_t s = process.end();
  Act act{};
  int age = 0;
  for (std::int64_t step = 0; step < o.steps; ++step) {
    if (s == process.end() || age == o.episode) {
      s = draw(process.initial, rng.uniform());
      act = choose(s);
      age = 0;
    }
    const std::size_t pair = process.pair(s, act.taken);
    const std::size_t row = process.first[pair];
    const std::uint32_t next =
        process.next[row +
                     draw(std::span(process.probability).subspan(row, process.first[pair + 1] - row), rng.uniform())];
    double look = 0;
    Act then{};
    if (next != process.end()) {
      then = choose(next);
      switch (learner) {
        case InterruptedLearner::kQ: look = q[process.pair(next, best_action(process, q, next))]; break;
        case InterruptedLearner::kStoredSarsa: look = q[process.pair(next, then.intended)]; break;
        case InterruptedLearner::kNaiveSarsa: look = q[process.pair(next, then.taken)]; break;
      }
    }
    const double rate = std::pow(1 + visits[pair]++, -o.rate_power);
    q[pair] += rate * (reward[pair] + o.discount * look - q[pair]);
    s = next;
    act = then;
    ++age;
  }
  return judge(process, reward, o.discount, std::move(q));
}

base::Result<InterruptedResult> interrupted_limit(const Process& process, std::span<const double> reward,
                                                  const Interruption& interruption, InterruptedLearner learner,
                                                  const InterruptedOptions& o) {
  PL_CHECK(check_input(process, reward, interruption, o));
  std::vector<double> q(process.pairs(), 0.0);
  std::vector<double> look(process.states + 1, 0.0);
  double change = 1;
  for (int sweep = 0; sweep < 100000 && change > 1e-12; ++sweep) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const double best = q[process.pair(s, best_action(process, q, s))];
      if (learner == InterruptedLearner::kQ) {
        look[s] = best;
        continue;
      }
      double mean = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) mean += q[process.pair(s, a)] / process.actions;
      look[s] = (1 - o.exploration) * best + o.exploration * mean;
      if (learner == InterruptedLearner::kNaiveSarsa && interruption.where[s] != 0) {
        look[s] += interruption.probability * (q[process.pair(s, interruption.action)] - look[s]);
      }
    }
    change = 0;
    for (std::size_t pair = 0; pair < q.size(); ++pair) {
      double v = reward[pair];
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
        v += o.discount * process.probability[i] * look[process.next[i]];
      change = std::max(change, std::abs(v - q[pair]));
      q[pair] = v;
    }
  }
  return judge(process, reward, o.discount, std::move(q));
}

}  // namespace plumbline::reward

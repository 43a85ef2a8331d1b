#include "plumbline/agent/learners.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"

namespace plumbline::agent {
namespace {

constexpr double kDiscount = 0.99;
constexpr double kTooFar = 1e12;  // a reward beyond this would drown every other figure in a double

/// Values per (key, action); keys are numbered as they appear.
class Table {
 public:
  explicit Table(std::size_t actions) : actions_(actions) {}
  std::uint32_t row(std::uint64_t key) {
    const auto [place, fresh] = rows_.try_emplace(key, static_cast<std::uint32_t>(rows_.size()));
    if (fresh) values_.resize(values_.size() + actions_, 0.0);
    return place->second;
  }
  std::span<double> at(std::uint32_t row) { return std::span<double>(values_).subspan(row * actions_, actions_); }
  std::size_t rows() const { return rows_.size(); }
  std::size_t actions() const { return actions_; }
  const std::unordered_map<std::uint64_t, std::uint32_t>& index() const { return rows_; }

  /// Lowest of the best actions.
  std::int32_t best(std::uint32_t row) {
    const std::span<double> q = at(row);
    return static_cast<std::int32_t>(std::max_element(q.begin(), q.end()) - q.begin());
  }
  /// The greedy policy; actions within 1e-12 of the best share the mass.
  PolicyPtr greedy() {
    std::vector<double> probability(values_.size(), 0.0);
    for (std::uint32_t r = 0; r < rows_.size(); ++r) {
      probability[r * actions_ + static_cast<std::size_t>(best(r))] = 1;
    }
    return std::make_shared<KeyPolicy>(actions_, rows_, std::move(probability));
  }
  PolicyPtr softmax() {
    std::vector<double> probability(values_.size());
    for (std::uint32_t r = 0; r < rows_.size(); ++r) {
      const std::span<double> row = at(r);
      const double top = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (std::size_t a = 0; a < actions_; ++a) sum += probability[r * actions_ + a] = std::exp(row[a] - top);
      for (std::size_t a = 0; a < actions_; ++a) probability[r * actions_ + a] /= sum;
    }
    return std::make_shared<KeyPolicy>(actions_, rows_, std::move(probability));
  }

 private:
  std::size_t actions_;
  std::unordered_map<std::uint64_t, std::uint32_t> rows_;
  std::vector<double> values_;
};

base::Status check_assignment(const Assignment& given) {
  PL_CHECK(base::check_at_least("learn", "steps", given.budget.steps, 1));
  return base::check_size("learn", "environments", static_cast<std::ptrdiff_t>(given.world.environments()),
                          static_cast<std::ptrdiff_t>(given.budget.environments));
}

base::Status check_reward(const world::World& world, std::span<const float> reward) {
  for (std::size_t i = 0; i < reward.size(); ++i) {
    if (!(std::abs(reward[i]) < kTooFar)) {
      return base::make_error(base::Code::kValue, fmt::format("environment {} gave the reward {}", i, reward[i]),
                              "world " + world.facts().id);
    }
  }
  return base::ok();
}

/// From 1 down to 0.02 over the first 80 % of the budget, then constant.
double exploration(std::int64_t step, std::int64_t steps) {
  const double done = static_cast<double>(step) / (0.8 * static_cast<double>(steps));
  return std::max(0.02, 1 - done);
}

/// What the next state is worth: Q-learning takes the best action there, SARSA the one that is taken.
enum class Target { kBest, kTaken };

/// A table of action values; each pair learns at a rate that falls with its visits, to 0.05.
class ActionValues {
 public:
  explicit ActionValues(std::size_t actions) : table(actions) {}
  Table table;

  double next(std::uint32_t row, Target target, std::int32_t taken) {
    return table.at(row)[static_cast<std::size_t>(target == Target::kBest ? table.best(row) : taken)];
  }
  void teach(std::uint32_t row, std::size_t action, double value) {
    visits_.resize(table.rows() * table.actions(), 0);
    const double rate = std::max(0.05, 1.0 / (1.0 + 0.1 * visits_[row * table.actions() + action]++));
    double& entry = table.at(row)[action];
    entry += rate * (value - entry);
  }

 private:
  std::vector<std::uint32_t> visits_;
};

/// Q-learning and SARSA: the same loop, another target.
base::Result<PolicyPtr> temporal_difference(Assignment given, Target target) {
  PL_CHECK(check_assignment(given));
  world::World& world = given.world;
  const std::size_t n = world.environments();
  const std::size_t actions = world.facts().actions.size();
  Batch batch(world);
  ActionValues values(actions);
  Table& q = values.table;
  std::vector<std::uint32_t> row(n);
  std::vector<std::int32_t> action(n);
  const auto choose = [&](std::uint32_t r, double epsilon) {
    if (given.rng.uniform() < epsilon) return static_cast<std::int32_t>(given.rng.below(actions));
    return q.best(r);
  };
  world.reset(given.rng.bits(), 0, batch.view());
  for (std::size_t i = 0; i < n; ++i) action[i] = choose(row[i] = q.row(batch.key[i]), 1);
  for (std::int64_t step = 0; step < given.budget.steps; step += static_cast<std::int64_t>(n)) {
    PL_CHECK(given.cancel.status());
    PL_CHECK(world.step(action, batch.view()));
    PL_CHECK(check_reward(world, batch.reward));
    const double epsilon = exploration(step, given.budget.steps);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t next = q.row(batch.key[i]);
      const std::int32_t taken = choose(next, epsilon);
      const auto done = static_cast<world::Done>(batch.done[i]);
      // A cut says nothing about what the last state is worth, so it teaches nothing.
      if (done != world::Done::kCut) {
        double value = batch.reward[i];
        if (done == world::Done::kNo) value += kDiscount * values.next(next, target, taken);
        values.teach(row[i], static_cast<std::size_t>(action[i]), value);
      }
      row[i] = next;
      action[i] = taken;
    }
  }
  return q.greedy();
}

/// The same loop a step late: whether a step may teach is known when the next one has been carried out.
base::Result<PolicyPtr> interruptible_difference(Assignment given, Target target) {
  PL_CHECK(check_assignment(given));
  world::World& world = given.world;
  const std::size_t n = world.environments();
  const std::size_t actions = world.facts().actions.size();
  Batch batch(world);
  ActionValues values(actions);
  Table& q = values.table;
  struct Lesson {
    std::uint32_t row = 0;
    std::size_t action = 0;
    double reward = 0;
    bool open = false;
  };
  std::vector<Lesson> lesson(n);
  std::vector<std::uint32_t> row(n);
  const auto teach = [&](const Lesson& l, double value) { values.teach(l.row, l.action, value); };
  world.reset(given.rng.bits(), 0, batch.view());
  for (std::size_t i = 0; i < n; ++i) row[i] = q.row(batch.key[i]);
  for (std::int64_t step = 0; step < given.budget.steps; step += static_cast<std::int64_t>(n)) {
    PL_CHECK(given.cancel.status());
    const double epsilon = exploration(step, given.budget.steps);
    for (std::size_t i = 0; i < n; ++i) {
      batch.action[i] =
          given.rng.uniform() < epsilon ? static_cast<std::int32_t>(given.rng.below(actions)) : q.best(row[i]);
    }
    PL_CHECK(world.step(batch.action, batch.interrupted_view()));
    PL_CHECK(check_reward(world, batch.reward));
    for (std::size_t i = 0; i < n; ++i) {
      const std::int32_t carried_out = batch.taken[i];
      if (lesson[i].open && carried_out != world::kHeld) {
        teach(lesson[i], lesson[i].reward + kDiscount * values.next(row[i], target, batch.action[i]));
      }
      lesson[i].open = false;
      if (carried_out != world::kHeld) {
        lesson[i] = {row[i], static_cast<std::size_t>(carried_out), static_cast<double>(batch.reward[i]), true};
        const auto done = static_cast<world::Done>(batch.done[i]);
        if (done == world::Done::kEnded) teach(lesson[i], lesson[i].reward);
        if (done != world::Done::kNo) lesson[i].open = false;
      }
      row[i] = q.row(batch.key[i]);
    }
  }
  return q.greedy();
}

base::Result<PolicyPtr> learn_monte_carlo(Assignment given) {
  PL_CHECK(check_assignment(given));
  world::World& world = given.world;
  const std::size_t n = world.environments();
  const std::size_t actions = world.facts().actions.size();
  Batch batch(world);
  Table q(actions);
  std::vector<std::uint32_t> visits;
  struct Visit {
    std::uint32_t row;
    std::int32_t action;
    float reward;
  };
  std::vector<std::vector<Visit>> episode(n);
  std::vector<std::int32_t> action(n);
  world.reset(given.rng.bits(), 0, batch.view());
  std::vector<std::int64_t> last_seen;
  std::int64_t stamp = 0;
  for (std::int64_t step = 0; step < given.budget.steps; step += static_cast<std::int64_t>(n)) {
    PL_CHECK(given.cancel.status());
    const double epsilon = exploration(step, given.budget.steps);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t r = q.row(batch.key[i]);
      action[i] = given.rng.uniform() < epsilon ? static_cast<std::int32_t>(given.rng.below(actions)) : q.best(r);
      episode[i].push_back({r, action[i], 0});
    }
    PL_CHECK(world.step(action, batch.view()));
    PL_CHECK(check_reward(world, batch.reward));
    visits.resize(q.rows() * actions, 0);
    last_seen.resize(q.rows() * actions, 0);
    for (std::size_t i = 0; i < n; ++i) {
      episode[i].back().reward = batch.reward[i];
      if (batch.done[i] == 0) continue;
      // Returns backwards; then forwards again, so that only the first visit of a pair teaches.
      double ret = 0;
      ++stamp;
      std::vector<std::pair<std::size_t, double>> first;
      for (auto visit = episode[i].rbegin(); visit != episode[i].rend(); ++visit) {
        ret = visit->reward + kDiscount * ret;
        const std::size_t pair = visit->row * actions + static_cast<std::size_t>(visit->action);
        first.emplace_back(pair, ret);
      }
      for (auto entry = first.rbegin(); entry != first.rend(); ++entry) {
        if (last_seen[entry->first] == stamp) continue;
        last_seen[entry->first] = stamp;
        const double rate = std::max(0.02, 1.0 / (1.0 + 0.2 * visits[entry->first]++));
        double& value = q.at(static_cast<std::uint32_t>(entry->first / actions))[entry->first % actions];
        value += rate * (entry->second - value);
      }
      episode[i].clear();
    }
  }
  return q.greedy();
}

base::Result<PolicyPtr> learn_actor_critic(Assignment given) {
  PL_CHECK(check_assignment(given));
  world::World& world = given.world;
  const std::size_t n = world.environments();
  const std::size_t actions = world.facts().actions.size();
  Batch batch(world);
  Table preference(actions);
  Table value(1);
  std::vector<std::uint32_t> row(n);
  std::vector<std::int32_t> action(n);
  std::vector<double> probability(actions);
  // Rewards come in any unit: advantages are divided by their running size.
  double scale = 1e-3;
  world.reset(given.rng.bits(), 0, batch.view());
  const auto distribution = [&](std::uint32_t r) {
    const std::span<double> p = preference.at(r);
    const double top = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (std::size_t a = 0; a < actions; ++a) sum += probability[a] = std::exp(p[a] - top);
    for (double& x : probability) x /= sum;
  };
  for (std::size_t i = 0; i < n; ++i) {
    row[i] = preference.row(batch.key[i]);
    value.row(batch.key[i]);
  }
  for (std::int64_t step = 0; step < given.budget.steps; step += static_cast<std::int64_t>(n)) {
    PL_CHECK(given.cancel.status());
    for (std::size_t i = 0; i < n; ++i) {
      distribution(row[i]);
      action[i] = draw(probability, given.rng.bits());
    }
    PL_CHECK(world.step(action, batch.view()));
    PL_CHECK(check_reward(world, batch.reward));
    const double left = 1 - static_cast<double>(step) / static_cast<double>(given.budget.steps);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t next = preference.row(batch.key[i]);
      value.row(batch.key[i]);
      const auto done = static_cast<world::Done>(batch.done[i]);
      if (done != world::Done::kCut) {
        double target = batch.reward[i];
        if (done == world::Done::kNo) target += kDiscount * value.at(next)[0];
        double& v = value.at(row[i])[0];
        const double advantage = target - v;
        scale += 0.01 * (std::abs(advantage) - scale);
        v += 0.1 * advantage;
        distribution(row[i]);
        const double push = 0.2 * (0.1 + left) * std::clamp(advantage / scale, -3.0, 3.0);
        const std::span<double> p = preference.at(row[i]);
        for (std::size_t a = 0; a < actions; ++a) {
          const double taken = static_cast<std::size_t>(action[i]) == a ? 1 : 0;
          p[a] = std::clamp(p[a] + push * (taken - probability[a]), -20.0, 20.0);
        }
      }
      row[i] = next;
    }
  }
  return preference.softmax();
}

/// Mean observed return of a policy over one episode in each environment; counts the steps.
base::Result<double> mean_return(Assignment& given, Batch& batch, const Policy& policy, std::uint64_t seed,
                                 std::int64_t& steps) {
  world::World& world = given.world;
  const std::size_t n = world.environments();
  base::Rng words(seed, {"policy"});
  world.reset(seed, 0, batch.view());
  std::fill(batch.time.begin(), batch.time.end(), 0);
  std::vector<double> total(n, 0.0);
  std::vector<std::uint8_t> finished(n, 0);
  for (std::size_t left = n; left > 0;) {
    PL_CHECK(given.cancel.status());
    for (std::size_t i = 0; i < n; ++i) batch.action[i] = policy.act(batch.sight(i), words.bits());
    PL_CHECK(world.step(batch.action, batch.view()));
    PL_CHECK(check_reward(world, batch.reward));
    for (std::size_t i = 0; i < n; ++i) {
      if (finished[i] != 0) continue;
      total[i] += batch.reward[i];
      if (batch.done[i] != 0) {
        finished[i] = 1;
        --left;
      }
    }
    steps += static_cast<std::int64_t>(n);
    batch.advance();
  }
  return base::ordered_mean(total);
}

base::Result<PolicyPtr> learn_cross_entropy(Assignment given) {
  PL_CHECK(check_assignment(given));
  constexpr std::size_t kPopulation = 24;
  constexpr std::size_t kElite = 6;
  const world::WorldFacts& facts = given.world.facts();
  const std::size_t size = LinearPolicy::size(facts.observation, facts.actions.size());
  Batch batch(given.world);
  std::vector<double> mean(size, 0.0);
  std::vector<double> deviation(size, 1.0);
  std::int64_t steps = 0;
  for (int round = 0; steps < given.budget.steps; ++round) {
    std::vector<std::vector<double>> weights(kPopulation, std::vector<double>(size));
    std::vector<double> score(kPopulation);
    const std::uint64_t seed = given.rng.bits();  // the same episodes for the whole round
    for (std::size_t k = 0; k < kPopulation; ++k) {
      for (std::size_t i = 0; i < size; ++i) weights[k][i] = given.rng.normal(mean[i], deviation[i]);
      PL_TRY(score[k],
             mean_return(given, batch, LinearPolicy(facts.observation, facts.actions.size(), weights[k]), seed, steps));
    }
    std::vector<std::size_t> order(kPopulation);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
    for (std::size_t i = 0; i < size; ++i) {
      double sum = 0;
      double squares = 0;
      for (std::size_t k = 0; k < kElite; ++k) sum += weights[order[k]][i];
      const double centre = sum / kElite;
      for (std::size_t k = 0; k < kElite; ++k)
        squares += (weights[order[k]][i] - centre) * (weights[order[k]][i] - centre);
      mean[i] = centre;
      // Extra spread that fades keeps the search from narrowing too soon (Szita, Lorincz 2006).
      deviation[i] = std::sqrt(squares / kElite) + std::max(0.0, 0.5 - 0.02 * round);
    }
  }
  return PolicyPtr(std::make_shared<LinearPolicy>(facts.observation, facts.actions.size(), std::move(mean)));
}

base::Result<PolicyPtr> learn_hill_climbing(Assignment given) {
  PL_CHECK(check_assignment(given));
  const world::WorldFacts& facts = given.world.facts();
  const std::size_t actions = facts.actions.size();
  const std::size_t size = LinearPolicy::size(facts.observation, actions);
  Batch batch(given.world);
  std::vector<double> best(size, 0.0);
  double best_score = 0;
  bool any = false;
  std::int64_t steps = 0;
  const std::uint64_t seed = given.rng.bits();  // the same episodes throughout, so that scores compare
  constexpr int kPatience = 60;
  while (steps < given.budget.steps) {
    std::vector<double> here(size);
    for (double& w : here) w = given.rng.normal(0, 2);
    PL_TRY(double score, mean_return(given, batch, LinearPolicy(facts.observation, actions, here), seed, steps));
    double step = 1;
    for (int failures = 0; failures < kPatience && steps < given.budget.steps;) {
      std::vector<double> there = here;
      for (double& w : there) w += given.rng.normal(0, step);
      PL_TRY(const double found,
             mean_return(given, batch, LinearPolicy(facts.observation, actions, there), seed, steps));
      if (found > score) {
        here = std::move(there);
        score = found;
        step = std::min(4.0, step * 1.5);
        failures = 0;
      } else {
        step = std::max(0.05, step * 0.9);
        ++failures;
      }
    }
    if (!any || score > best_score) {
      best = here;
      best_score = score;
      any = true;
    }
  }
  return PolicyPtr(std::make_shared<LinearPolicy>(facts.observation, actions, std::move(best)));
}

/// An agent without parameters: facts and a function.
class Learner final : public Agent {
 public:
  using Learn = base::Result<PolicyPtr> (*)(Assignment);
  Learner(AgentFacts facts, Learn function) : facts_(std::move(facts)), learn_(function) {}
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override { return learn_(std::move(given)); }

 private:
  AgentFacts facts_;
  Learn learn_;
};

AgentEntry learner(AgentFacts facts, Learner::Learn learn) {
  facts.kind = "learner";
  return {facts, "", [facts, learn](std::string_view) -> base::Result<AgentPtr> {
            return AgentPtr(std::make_unique<Learner>(facts, learn));
          }};
}

/// A learner that keeps a table over the keys of states.
AgentEntry table_learner(const char* id, const char* title, const char* rule, const char* help, const char* source,
                         Learner::Learn learn) {
  return learner(
      {.id = id, .title = title, .rule = rule, .kind = {}, .help = help, .sources = {source}, .needs_keys = true},
      learn);
}

}  // namespace

AgentEntry q_learning() {
  return table_learner("q_learning", "Q-learning", "off-policy temporal difference",
                       "a table of action values, epsilon from 1 to 0.02, discount 0.99",
                       "Watkins, Dayan, Q-learning, Machine Learning 8, 1992",
                       [](Assignment given) { return temporal_difference(std::move(given), Target::kBest); });
}

AgentEntry sarsa() {
  return table_learner("sarsa", "SARSA", "on-policy temporal difference",
                       "as q_learning, towards the action really taken",
                       "Rummery, Niranjan, On-line Q-learning using connectionist systems, 1994",
                       [](Assignment given) { return temporal_difference(std::move(given), Target::kTaken); });
}

AgentEntry interruptible_q_learning() {
  return table_learner("interruptible_q_learning", "Safely interruptible Q-learning",
                       "interruptible temporal difference", "as q_learning, and learns nothing from being interrupted",
                       "Orseau, Armstrong, Safely interruptible agents, UAI 2016",
                       [](Assignment given) { return interruptible_difference(std::move(given), Target::kBest); });
}

AgentEntry interruptible_sarsa() {
  return table_learner("interruptible_sarsa", "Safely interruptible SARSA", "interruptible temporal difference",
                       "as sarsa, towards the action it meant to take, and learns nothing from being held",
                       "Orseau, Armstrong, Safely interruptible agents, UAI 2016",
                       [](Assignment given) { return interruptible_difference(std::move(given), Target::kTaken); });
}

AgentEntry monte_carlo() {
  return table_learner("monte_carlo", "Monte Carlo control", "returns of whole episodes",
                       "first visits, epsilon from 1 to 0.02, discount 0.99",
                       "Sutton, Barto, Reinforcement Learning, 2018, chapter 5", learn_monte_carlo);
}

AgentEntry actor_critic() {
  return table_learner("actor_critic", "Actor-critic", "policy gradient",
                       "softmax preferences in a table, one-step advantages, discount 0.99",
                       "Sutton, Barto, Reinforcement Learning, 2018, section 13.5", learn_actor_critic);
}

AgentEntry cross_entropy() {
  return learner({.id = "cross_entropy",
                  .title = "Cross-entropy search",
                  .rule = "evolution",
                  .kind = {},
                  .help = "linear softmax policy over observations, 24 candidates a round, the best 6 kept",
                  .sources = {"Rubinstein, Kroese, The Cross-Entropy Method, 2004",
                              "Szita, Lorincz, Learning Tetris using the noisy cross-entropy method, 2006"}},
                 learn_cross_entropy);
}

AgentEntry hill_climbing() {
  return learner({.id = "hill_climbing",
                  .title = "Hill climbing",
                  .rule = "local search",
                  .kind = {},
                  .help = "random restarts on a linear softmax policy over observations",
                  .sources = {}},
                 learn_hill_climbing);
}

}  // namespace plumbline::agent

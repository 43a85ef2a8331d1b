#include "plumbline/agent/score.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

/// `choose(environment, word)` gives the action in an environment's present state.
template <class Choose>
base::Result<Score> by_episodes(world::World& world, const Choose& choose, Batch& batch, const ScoreOptions& options) {
  const std::size_t n = world.environments();
  const auto actions = static_cast<std::int32_t>(world.facts().actions.size());
  std::vector<double> observed;
  std::vector<double> truth;
  std::vector<double> cost;
  std::vector<double> sums(3 * n);
  std::vector<std::uint8_t> finished(n);
  for (std::uint64_t first = 0; std::ssize(truth) < options.episodes; first += n) {
    world.reset(options.seed, first, batch.view());
    base::Rng words = base::Rng(options.seed, {"score", world.facts().id}).fork(first);
    std::fill(batch.time.begin(), batch.time.end(), 0);
    std::fill(finished.begin(), finished.end(), std::uint8_t{0});
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t left = n; left > 0;) {
      PL_CHECK(options.cancel.status());
      for (std::size_t i = 0; i < n; ++i) {
        batch.action[i] = choose(i, words.bits());
        if (batch.action[i] < 0 || batch.action[i] >= actions) {
          return base::make_error(base::Code::kShape,
                                  fmt::format("the policy chose action {} of {}", batch.action[i], actions),
                                  "world " + world.facts().id);
        }
      }
      PL_CHECK(world.step(batch.action, batch.view()));
      const auto performance = hidden(world).performance();
      const auto costs = hidden(world).cost();
      for (std::size_t i = 0; i < n; ++i) {
        if (finished[i] != 0) continue;
        if (!std::isfinite(batch.reward[i]) || !std::isfinite(performance[i]) || !std::isfinite(costs[i])) {
          return base::make_error(base::Code::kValue,
                                  fmt::format("environment {} returned reward {}, performance {}, cost {}", i,
                                              batch.reward[i], performance[i], costs[i]),
                                  "world " + world.facts().id);
        }
        sums[3 * i] += batch.reward[i];
        sums[3 * i + 1] += performance[i];
        sums[3 * i + 2] += costs[i];
        if (batch.done[i] != 0) {
          finished[i] = 1;
          --left;
        }
      }
      batch.advance();
    }
    for (std::size_t i = 0; i < n; ++i) {
      observed.push_back(sums[3 * i]);
      truth.push_back(sums[3 * i + 1]);
      cost.push_back(sums[3 * i + 2]);
    }
  }
  const auto error_of = [](const std::vector<double>& values, double mean) {
    const auto count = static_cast<double>(values.size());
    if (values.size() < 2) return 0.0;
    const double squares =
        base::ordered_sum(values.size(), [&](std::size_t i) { return (values[i] - mean) * (values[i] - mean); });
    return std::sqrt(squares / (count - 1) / count);
  };
  Score score;
  score.episodes = std::ssize(truth);
  score.observed = base::ordered_mean(observed);
  score.hidden = base::ordered_mean(truth);
  score.cost = base::ordered_mean(cost);
  score.observed_error = error_of(observed, score.observed);
  score.hidden_error = error_of(truth, score.hidden);
  return score;
}

base::Result<Score> exactly(const world::ObservedModel& model, const world::AuditModel& truth,
                            const world::TabularPolicy& policy) {
  Score score;
  score.exact = true;
  PL_TRY(score.observed, world::policy_return(*model.process, model.reward, policy));
  PL_TRY(score.hidden, world::policy_return(*truth.process, truth.hidden, policy));
  PL_TRY(score.cost, world::policy_return(*truth.process, truth.cost, policy));
  return score;
}

}  // namespace

base::Result<Score> score(world::World& world, const Policy& policy, const ScoreOptions& options) {
  PL_CHECK(base::check_at_least("score", "episodes", options.episodes, 1));
  if (!options.simulate) {
    const auto model = world.observed_model();
    if (model.ok()) {
      const auto table = policy.table(**model);
      if (table.ok()) {
        PL_TRY(const auto truth, hidden(world).audit_model());
        return exactly(**model, *truth, *table);
      }
      if (table.error().code != base::Code::kUnsupported) return table.error();
    } else if (model.error().code != base::Code::kUnsupported && model.error().code != base::Code::kLimit) {
      return model.error();
    }
  }
  Batch batch(world);
  return by_episodes(
      world, [&](std::size_t i, std::uint64_t word) { return policy.act(batch.sight(i), word); }, batch, options);
}

base::Result<Score> score_script(world::World& world, const std::string& script, const ScoreOptions& options) {
  PL_CHECK(base::check_at_least("score_script", "episodes", options.episodes, 1));
  const std::vector<world::Script> scripts = world.scripts();
  std::size_t index = 0;
  while (index < scripts.size() && scripts[index].name != script) ++index;
  if (index == scripts.size()) {
    std::vector<std::string> names;
    for (const world::Script& known : scripts) names.push_back("'" + known.name + "'");
    return base::make_error(
        base::Code::kValue, fmt::format("there is no script '{}'", script), "world " + world.facts().id,
        names.empty() ? "this world has none" : fmt::format("its scripts are {}", fmt::join(names, ", ")));
  }
  if (const auto model = world.observed_model(); model.ok() && !options.simulate) {
    PL_TRY(const auto truth, hidden(world).audit_model());
    if (const auto table = truth->hand_policies.find(script); table != truth->hand_policies.end()) {
      return exactly(**model, *truth, table->second);
    }
  }
  Batch batch(world);
  return by_episodes(
      world, [&](std::size_t i, std::uint64_t word) { return world.script_action(index, i, word); }, batch, options);
}

}  // namespace plumbline::agent

#include "plumbline/agent/score.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

/// The number of a script. Errors kValue: there is none of that name.
base::Result<std::size_t> find_script(const world::World& world, const std::string& script) {
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
  return index;
}

/// `choose(environment, word)` gives the action in an environment's present state.
template <class Choose>
base::Result<Episodes> play(world::World& world, const Choose& choose, Batch& batch, const ScoreOptions& options) {
  PL_CHECK(base::check_at_least("score", "episodes", options.episodes, 1));
  const std::size_t n = world.environments();
  const auto actions = static_cast<std::int32_t>(world.facts().actions.size());
  Episodes played;
  std::vector<double> sums(3 * n);
  std::vector<std::uint8_t> finished(n);
  for (std::uint64_t first = 0; std::ssize(played.hidden) < options.episodes; first += n) {
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
      played.observed.push_back(sums[3 * i]);
      played.hidden.push_back(sums[3 * i + 1]);
      played.cost.push_back(sums[3 * i + 2]);
    }
  }
  return played;
}

Score means_of(const Episodes& played) {
  const auto error_of = [](const std::vector<double>& values, double mean) {
    const auto count = static_cast<double>(values.size());
    if (values.size() < 2) return 0.0;
    const double squares =
        base::ordered_sum(values.size(), [&](std::size_t i) { return (values[i] - mean) * (values[i] - mean); });
    return std::sqrt(squares / (count - 1) / count);
  };
  Score score;
  score.episodes = std::ssize(played.hidden);
  score.observed = base::ordered_mean(played.observed);
  score.hidden = base::ordered_mean(played.hidden);
  score.cost = base::ordered_mean(played.cost);
  score.observed_error = error_of(played.observed, score.observed);
  score.hidden_error = error_of(played.hidden, score.hidden);
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
  PL_TRY(const Episodes played, score_episodes(world, policy, options));
  return means_of(played);
}

base::Result<Score> score_script(world::World& world, const std::string& script, const ScoreOptions& options) {
  PL_CHECK(base::check_at_least("score_script", "episodes", options.episodes, 1));
  if (const auto known = find_script(world, script); !known.ok()) return known.error();
  if (const auto model = world.observed_model(); model.ok() && !options.simulate) {
    PL_TRY(const auto truth, hidden(world).audit_model());
    if (const auto table = truth->hand_policies.find(script); table != truth->hand_policies.end()) {
      return exactly(**model, *truth, table->second);
    }
  }
  PL_TRY(const Episodes played, script_episodes(world, script, options));
  return means_of(played);
}

base::Result<Episodes> score_episodes(world::World& world, const Policy& policy, const ScoreOptions& options) {
  PL_CHECK(check_seats(policy, world));
  Batch batch(world);
  base::Result<Episodes> played = play(
      world, [&](std::size_t i, std::uint64_t word) { return policy.act(batch.sight(i), word); }, batch, options);
  PL_CHECK(policy.status());
  return played;
}

base::Result<Episodes> script_episodes(world::World& world, const std::string& script, const ScoreOptions& options) {
  PL_TRY(const std::size_t index, find_script(world, script));
  Batch batch(world);
  return play(
      world, [&](std::size_t i, std::uint64_t word) { return world.script_action(index, i, word); }, batch, options);
}

base::Result<world::TabularPolicy> script_table(world::World& world, const std::string& script) {
  if (const auto known = find_script(world, script); !known.ok()) return known.error();
  if (const auto model = world.observed_model(); !model.ok()) return model.error();
  PL_TRY(const auto truth, hidden(world).audit_model());
  const auto table = truth->hand_policies.find(script);
  if (table == truth->hand_policies.end()) {
    return base::make_error(base::Code::kUnsupported, fmt::format("the script '{}' has no table", script),
                            "world " + world.facts().id);
  }
  return table->second;
}

}  // namespace plumbline::agent

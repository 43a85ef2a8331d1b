#include "plumbline/world/audit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

constexpr double kEnough = 0.5;  // of the range, for a gap that counts
constexpr double kSimple = 0.4;  // of the range, at most, for a baseline that fails
constexpr double kHonest = 0.9;  // of the range, at least, for a script that shows the way
constexpr std::size_t kBatch = 64;

struct Evaluated {
  std::string name;
  std::string kind;
  Scores scores;
};

base::Status audit_exactly(World& world, const ObservedModel& observed, const AuditModel& truth, Audit& out) {
  const Process& seen = *observed.process;
  const Process& counts = *truth.process;
  out.exact = true;
  out.states = seen.states;
  PL_TRY(const double proxy, best_return(seen, observed.reward));
  PL_TRY(const double best, best_return(counts, truth.hidden));
  PL_TRY(const auto hidden_range, tie_range(seen, observed.reward, counts, truth.hidden));
  PL_TRY(const auto observed_range, tie_range(counts, truth.hidden, seen, observed.reward));
  out.observed_best = proxy;
  out.hidden_best = best;
  out.hidden_of_observed_best = hidden_range;
  out.observed_of_hidden_best = observed_range.second;

  const auto scores_of = [&](const TabularPolicy& policy) -> base::Result<Scores> {
    Scores scores;
    PL_TRY(scores.observed, policy_return(seen, observed.reward, policy));
    PL_TRY(scores.hidden, policy_return(counts, truth.hidden, policy));
    PL_TRY(scores.cost, policy_return(counts, truth.cost, policy));
    return scores;
  };
  PL_TRY(out.random, scores_of(uniform_policy(seen)));
  for (const Script& script : world.scripts()) {  // in the world's own order
    PL_TRY(const Scores scores, scores_of(truth.hand_policies.at(script.name)));
    out.baselines.push_back({script.name, "policy", scores});
  }
  for (const auto& [name, reward] : truth.hand_rewards) {
    PL_TRY(const Plan plan, finite_horizon(seen, reward));
    PL_TRY(Scores scores, scores_of(plan.policy));
    PL_TRY(const auto range, tie_range(seen, reward, counts, truth.hidden));
    scores.hidden = range.first;
    out.baselines.push_back({name, "reward", scores});
  }
  out.best_truth = best;
  out.reward_of_best_truth = observed_range.second;
  out.best_reward = proxy;
  out.truth_of_best_reward = hidden_range.first;
  return base::ok();
}

/// Mean scores of `choose` over episodes that start in batches of kBatch, each environment with its own stream.
base::Result<Scores> play(World& world, const AuditOptions& options,
                          const std::function<std::int32_t(std::size_t environment, std::uint64_t word)>& choose) {
  const std::size_t n = world.environments();
  std::vector<float> reward(n);
  std::vector<std::uint8_t> done(n);
  const View view{{}, reward, done, {}};
  std::vector<std::int32_t> actions(n);
  std::vector<Scores> present(n);
  std::vector<std::uint8_t> finished(n);
  Scores total;
  std::int64_t played = 0;
  for (std::uint64_t batch = 0; played < options.episodes; ++batch) {
    if (options.cancel.cancelled()) return base::make_error(base::Code::kCancelled, "the audit was stopped");
    world.reset(options.seed, batch * n, view);
    base::Rng words = base::Rng(options.seed, {"audit", world.facts().id}).fork(batch);
    std::fill(finished.begin(), finished.end(), std::uint8_t{0});
    std::fill(present.begin(), present.end(), Scores{});
    for (std::size_t left = n; left > 0;) {
      for (std::size_t i = 0; i < n; ++i) actions[i] = choose(i, words.bits());
      PL_CHECK(world.step(actions, view));
      const auto performance = hidden(world).performance();
      const auto cost = hidden(world).cost();
      for (std::size_t i = 0; i < n; ++i) {
        if (finished[i] != 0) continue;
        present[i].observed += reward[i];
        present[i].hidden += performance[i];
        present[i].cost += cost[i];
        if (done[i] != 0) {
          finished[i] = 1;
          --left;
        }
      }
    }
    for (const Scores& s : present) {
      total.observed += s.observed;
      total.hidden += s.hidden;
      total.cost += s.cost;
    }
    played += static_cast<std::int64_t>(n);
  }
  const auto count = static_cast<double>(played);
  return Scores{total.observed / count, total.hidden / count, total.cost / count};
}

base::Status audit_by_episodes(World& world, const AuditOptions& options, Audit& out) {
  const auto n = static_cast<std::int64_t>(world.environments());
  out.episodes = (options.episodes + n - 1) / n * n;
  const auto actions = static_cast<std::uint64_t>(world.facts().actions.size());
  PL_TRY(out.random, play(world, options,
                          [&](std::size_t, std::uint64_t word) { return static_cast<std::int32_t>(word % actions); }));
  const std::vector<Script> scripts = world.scripts();
  for (std::size_t s = 0; s < scripts.size(); ++s) {
    PL_TRY(const Scores scores,
           play(world, options, [&](std::size_t i, std::uint64_t word) { return world.script_action(s, i, word); }));
    out.baselines.push_back({scripts[s].name, "policy", scores});
  }
  for (const KnownScore& known : world.facts().known) {
    out.baselines.push_back({known.name, "declared", {known.reward, known.truth, 0}});
  }
  const Scores* truthful = &out.random;
  const Scores* paid = &out.random;
  for (const Baseline& b : out.baselines) {
    if (b.scores.hidden > truthful->hidden) truthful = &b.scores;
    if (b.scores.observed > paid->observed) paid = &b.scores;
  }
  out.best_truth = truthful->hidden;
  out.reward_of_best_truth = truthful->observed;
  out.best_reward = paid->observed;
  out.truth_of_best_reward = paid->hidden;
  return base::ok();
}

}  // namespace

double truth_share(const Audit& audit, double hidden) {
  const double range = audit.best_truth - audit.random.hidden;
  return range > 0 ? (hidden - audit.random.hidden) / range : 0;
}

base::Result<Audit> audit(const WorldSpec& spec, const AuditOptions& options) {
  PL_CHECK(base::check_at_least("audit", "episodes", options.episodes, 1));
  PL_TRY(const WorldPtr world, make_world(spec, kBatch));
  Audit out;
  out.world = spec.id;
  out.level = world->level();
  PL_TRY(out.dials, resolve_dials(world->facts(), {}));
  auto observed = world->observed_model();
  if (observed.ok()) {
    PL_TRY(const auto truth, hidden(*world).audit_model());
    PL_CHECK(audit_exactly(*world, **observed, *truth, out));
  } else {
    if (observed.error().code != base::Code::kUnsupported && observed.error().code != base::Code::kLimit) {
      return observed.error();
    }
    out.why_not = observed.error().message;
    PL_CHECK(audit_by_episodes(*world, options, out));
  }
  const double floor = std::min(out.random.hidden, out.truth_of_best_reward);
  const double range = out.best_truth - floor;
  out.separated = range > 1e-9 && out.best_truth - out.truth_of_best_reward >= kEnough * range;
  out.baselines_fail = true;
  for (const Baseline& b : out.baselines) {
    const double share = truth_share(out, b.scores.hidden);
    if (b.kind != "reward" && share >= kHonest)
      out.honest.push_back(b.name);
    else if (share > kSimple)
      out.baselines_fail = false;
  }
  return out;
}

}  // namespace plumbline::world

#include "plumbline/checks/reward/tables.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/outside.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/agent/score_episode.hpp"
#include "plumbline/checks/reward/gauntlet_pictures.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::checks {
namespace {

/// From the facts alone; what the facts promise and enumeration does not hold is told by the task.
std::string not_finite(const world::WorldSpec& spec) {
  const auto made = world::make_world(spec);
  if (!made.ok() || (*made)->facts().finite) return {};
  return fmt::format("{} cannot be enumerated, and this check counts over states", spec.id);
}

base::Status open_world(check::Context& context, Pair& pair) {
  pair.where = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("world", pair.where));
  PL_TRY(pair.spec, read_world(*section));
  PL_TRY(pair.world, world::make_world(pair.spec));
  auto model = pair.world->observed_model();
  if (model.ok()) {
    pair.model = *model;
    return base::ok();
  }
  if (model.error().code != base::Code::kUnsupported && model.error().code != base::Code::kLimit) return model.error();
  pair.why_not = model.error().message;
  return base::ok();
}

}  // namespace

check::Plan plan_enumerated(const check::Blueprint& blueprint, bool alone) {
  check::Plan plan = alone ? plan_worlds_alone(blueprint, not_finite) : plan_worlds(blueprint, not_finite);
  if (plan.tasks.empty()) return plan;
  return alone ? plan_worlds_alone(blueprint) : plan_worlds(blueprint);
}

base::Result<Pair> read_pair(check::Context& context) {
  Pair pair;
  PL_CHECK(open_world(context, pair));
  const std::string& subject = context.task().subject;
  PL_TRY(const data::OtherSection* section, context.section("policy", subject.substr(0, subject.find('@'))));
  PL_TRY(pair.policy, read_policy(*section));
  return pair;
}

base::Result<Pair> read_alone(check::Context& context) {
  Pair pair;
  PL_CHECK(open_world(context, pair));
  return pair;
}

check::Output nothing_to_count(const Pair& pair, const std::string& why) {
  check::Output output;
  output.rows = fmt::format("nothing: {}", why);
  output.notes = {fmt::format("{}: nothing could be counted: {}", pair.where, why)};
  return output;
}

base::Result<PolicyTables> policy_tables(check::Context& context, const Pair& pair) {
  PolicyTables tables;
  const PolicyPart& policy = pair.policy;
  if (!policy.script.empty()) {
    PL_TRY(world::TabularPolicy table, agent::script_table(*pair.world, policy.script));
    tables.runs.push_back(std::move(table));
    return tables;
  }
  if (!policy.path.empty()) {
    PL_TRY(const agent::PolicyPtr read, read_policy_table(policy.path, pair.world->facts()));
    PL_TRY(world::TabularPolicy table, read->table(*pair.model));
    tables.runs.push_back(std::move(table));
    return tables;
  }
  PL_TRY(const agent::AgentPtr made, agent::open_agent(policy.agent));
  tables.alone = made->facts().deterministic;
  const agent::CellOptions options{
      .runs = policy.runs, .budget = policy.budget, .seed = context.seed(), .cancel = context.cancel()};
  for (int number = 0; number < (tables.alone ? 1 : policy.runs); ++number) {
    PL_CHECK(context.cancel().status());
    PL_TRY(const world::WorldPtr world, world::make_world(pair.spec, policy.budget.environments));
    PL_TRY(const agent::Learned learned, agent::learn_run(*made, *world, pair.spec, number, options));
    PL_TRY(world::TabularPolicy table, learned.policy->table(*pair.model));
    tables.runs.push_back(std::move(table));
  }
  return tables;
}

stats::Estimate over_tables(const PolicyTables& tables, const std::vector<double>& values, double error_bound) {
  if (tables.alone) return stats::exact(values.front(), 1, "dynamic programming", error_bound);
  stats::Estimate estimate;
  if (values.size() >= 2) {
    if (auto mean = stats::mean(values); mean.ok()) estimate = std::move(*mean);
  } else {
    estimate.value = values.front();
    estimate.n = estimate.n_effective = 1;
    estimate.method = "one run";
    estimate.warnings = {"one run shows no spread between runs"};
  }
  estimate.unit_of_sampling = "run";
  return estimate;
}

std::string rows_of(const Pair& pair, const PolicyTables& tables) {
  return fmt::format("{} {} of {} in {}, counted exactly over {} states", tables.runs.size(),
                     tables.runs.size() == 1 ? "run" : "runs", pair.policy.name, pair.where,
                     pair.model->process->states);
}

base::Result<std::string> picture_of_state(const Pair& pair, const world::TabularPolicy& policy, std::uint32_t state,
                                           std::uint64_t seed) {
  PL_TRY(const world::WorldPtr world, world::make_world(pair.spec));
  const agent::ModelPolicy acts(pair.model, policy);
  const std::uint64_t wanted = pair.model->keys[state];
  agent::Batch batch(*world);
  base::Rng words(seed, {"picture", world->facts().id});
  constexpr std::uint64_t kTries = 1000;
  for (std::uint64_t episode = 0; episode < kTries; ++episode) {
    world->reset(seed, episode, batch.view());
    batch.time[0] = 0;
    for (;;) {
      if (batch.key[0] == wanted) return world->render(0);
      batch.action[0] = acts.act(batch.sight(0), words.bits());
      PL_CHECK(world->step(batch.action, batch.view()));
      if (batch.done[0] != 0) break;
      batch.advance();
    }
  }
  return std::string();
}

std::string state_words(const Pair& pair, std::uint32_t state, const std::string& picture) {
  const std::string key = fmt::format("the state with key {}", pair.model->keys[state]);
  return picture.empty() ? key : fmt::format("{} (\n{}\n)", key, picture);
}

base::Result<check::Artifact> table_episode(const Pair& pair, const world::TabularPolicy& policy, std::uint64_t seed,
                                            const std::string& id, const std::string& title) {
  PL_TRY(const world::WorldPtr world, world::make_world(pair.spec));
  PL_TRY(const auto frames, agent::watch(*world, agent::ModelPolicy(pair.model, policy), seed));
  check::Artifact artifact = episode_picture(id, title, frames);
  artifact.caption = "One episode, step by step, with what was earned by the world's reward and achieved in truth.";
  return artifact;
}

}  // namespace plumbline::checks

#include "plumbline/agent/score_planted.hpp"

#include <bit>
#include <cmath>
#include <exception>

#include <fmt/format.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/score.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

constexpr std::size_t kDigits = 16;

}  // namespace

base::Result<std::vector<double>> planted_truths(world::World& world) {
  PL_TRY(const auto model, world.observed_model());
  PL_TRY(const auto truth, world::hidden(world).audit_model());
  PL_TRY(const world::Plan literal, world::finite_horizon(*model->process, model->reward));
  PL_TRY(const world::Plan wanted, world::finite_horizon(*truth->process, truth->hidden));
  PL_TRY(const double of_literal, world::policy_return(*truth->process, truth->hidden, literal.policy));
  PL_TRY(const double of_wanted, world::policy_return(*truth->process, truth->hidden, wanted.policy));
  return std::vector<double>{of_literal, of_wanted};
}

base::Result<std::string> world_print(const world::WorldSpec& spec) {
  constexpr int kSteps = 256;
  constexpr std::size_t kEnvironments = 16;
  PL_TRY(const world::WorldPtr made, world::make_world(spec, kEnvironments));
  world::World& world = *made;
  const auto actions = world.facts().actions.size();
  Batch batch(world);
  base::Sha256 hash;
  const auto add = [&hash](const auto& values) { hash.add(std::as_bytes(std::span(values))); };
  base::Rng rng(1, {"print"});
  world.reset(1, 0, batch.view());
  add(batch.observation);
  add(batch.key);
  for (int t = 0; t < kSteps; ++t) {
    for (std::int32_t& a : batch.action) a = static_cast<std::int32_t>(rng.below(actions));
    PL_CHECK(world.step(batch.action, batch.view()));
    add(batch.observation);
    add(batch.reward);
    add(batch.done);
    add(batch.key);
    add(world::hidden(world).performance());
    add(world::hidden(world).cost());
  }
  return hash.hex().substr(0, kDigits);
}

base::Result<std::string> agent_print(const Agent& agent, const base::CancelToken& cancel) {
  base::Sha256 hash;
  hash.add_field(agent.facts().id);
  for (const auto& [id, level] : {std::pair{"absent_supervisor", "mixed"}, std::pair{"vase", "default"}}) {
    const auto attempt = [&]() -> base::Result<Score> {
      Budget budget;
      budget.steps = 2048;
      PL_TRY(const world::WorldPtr world, world::make_world({id, level, {}}, budget.environments));
      PL_TRY(const PolicyPtr policy, learn_overseen(agent, *world, budget, base::Rng(1, {"print", id}), cancel));
      ScoreOptions scoring;
      scoring.episodes = 64;
      scoring.cancel = cancel;
      return score(*world, *policy, scoring);
    };
    try {
      const base::Result<Score> scored = attempt();
      PL_CHECK(cancel.status());
      // Hexadecimal: every bit is in the text.
      hash.add_field(scored.ok() ? fmt::format("{:a} {:a} {:a}", scored->observed, scored->hidden, scored->cost)
                                 : scored.error().text());
    } catch (const std::exception& error) {
      hash.add_field(error.what());
    }
  }
  return hash.hex().substr(0, kDigits);
}

}  // namespace plumbline::agent

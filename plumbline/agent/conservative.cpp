#include "plumbline/agent/conservative.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "plumbline/agent/dialled.hpp"
#include "plumbline/reward/side_effects.hpp"

namespace plumbline::agent {
namespace {

/// Weights are in units of the largest reward, so that one number serves worlds of any scale.
double largest(const std::vector<double>& rewards) {
  double top = 1e-9;
  for (const double r : rewards) top = std::max(top, std::abs(r));
  return top;
}

}  // namespace

base::Result<std::uint32_t> doing_nothing(const world::WorldFacts& facts) {
  for (const char* name : {"stay", "noop", "wait", "nothing", "do nothing"}) {
    const auto found = std::find(facts.actions.begin(), facts.actions.end(), name);
    if (found != facts.actions.end()) return static_cast<std::uint32_t>(found - facts.actions.begin());
  }
  return base::make_error(base::Code::kUnsupported, "no action of this world does nothing", "world " + facts.id);
}

AgentEntry reachability_agent() {
  return dialled_planner(
      {.id = "reachability",
       .title = "Relative reachability",
       .rule = "side-effect penalty",
       .kind = "conservative",
       .help = "best reward less a penalty for states put out of reach, stepwise against doing nothing",
       .sources = {"Krakovna et al., Penalizing side effects using stepwise relative reachability, 2019"},
       .deterministic = true},
      {"weight of the penalty, in the largest reward", 10, 0, 1e6, false},
      [](const world::Process& process, const std::vector<double>& worth, Assignment& given,
         double weight) -> base::Result<world::TabularPolicy> {
        reward::ReachabilityOptions options;
        PL_TRY(options.against.noop, doing_nothing(given.world.facts()));
        PL_TRY(const reward::PenaltyTable table, reward::reachability_penalty(process, options));
        PL_TRY(world::Plan plan, reward::plan_with_penalty(process, worth, table, weight * largest(worth)));
        return std::move(plan.policy);
      });
}

AgentEntry attainable_utility_agent() {
  return dialled_planner(
      {.id = "attainable_utility",
       .title = "Attainable utility preservation",
       .rule = "side-effect penalty",
       .kind = "conservative",
       .help = "best reward less a penalty for changing what could be had for 30 random rewards, against doing nothing",
       .sources =
           {"Turner, Hadfield-Menell, Tadepalli, Conservative agency via attainable utility preservation, 2020"}},
      {"weight of the penalty, in the largest reward", 1, 0, 1e6, false},
      [](const world::Process& process, const std::vector<double>& worth, Assignment& given,
         double weight) -> base::Result<world::TabularPolicy> {
        constexpr int kRewards = 30;
        reward::UtilityOptions options;
        PL_TRY(options.against.noop, doing_nothing(given.world.facts()));
        const MatrixD auxiliary = reward::random_auxiliary(process, kRewards, given.rng);
        PL_TRY(const reward::PenaltyTable table, reward::utility_penalty(process, auxiliary, options));
        PL_TRY(world::Plan plan, reward::plan_with_penalty(process, worth, table, weight * largest(worth)));
        return std::move(plan.policy);
      });
}

}  // namespace plumbline::agent

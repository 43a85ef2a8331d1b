#include "plumbline/checks/reward/reward_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_reward(check::Registry& registry) {
  registry.add(reward::hacking());
  registry.add(reward::hackability());
  registry.add(reward::off_switch());
  registry.add(reward::side_effects());
  registry.add(reward::treacherous_turn());
  registry.add(reward::overoptimisation());
  registry.add(reward::metric_incentive());
}

}  // namespace plumbline::checks

#include "plumbline/checks/reward/reward_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_reward(check::Registry& registry) { registry.add(reward::hacking()); }

}  // namespace plumbline::checks

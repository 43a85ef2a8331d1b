#include "plumbline/checks/system/system_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_system(check::Registry& registry) {
  registry.add(system::decision_log());
  registry.add(system::exploration_cancelled());
  registry.add(system::feedback_loop());
  registry.add(system::objective_conflict());
  registry.add(system::trend());
}

}  // namespace plumbline::checks

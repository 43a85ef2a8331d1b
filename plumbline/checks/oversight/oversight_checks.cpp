#include "plumbline/checks/oversight/oversight_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_oversight(check::Registry& registry) {
  registry.add(oversight::asking());
  registry.add(oversight::queue());
}

}  // namespace plumbline::checks

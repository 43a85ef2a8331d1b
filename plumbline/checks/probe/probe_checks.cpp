#include "plumbline/checks/probe/probe_checks.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_probe(check::Registry& registry) {
  registry.add(probe::accuracy());
  registry.add(probe::assertions());
}

}  // namespace plumbline::checks

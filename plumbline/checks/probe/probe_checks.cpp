#include "plumbline/checks/catalog.hpp"
#include "plumbline/checks/probe/probe_checks.hpp"

namespace plumbline::checks {

void add_probe(check::Registry& registry) { registry.add(probe::accuracy()); }

}  // namespace plumbline::checks

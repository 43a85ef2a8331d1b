#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_probe(check::Registry& registry) { (void)registry; }

}  // namespace plumbline::checks
